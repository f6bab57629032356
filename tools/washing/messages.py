# SPDX-License-Identifier: GPL-2.0-or-later
"""FaceTime's datagrams, told by their first bytes as docs/protocol.md says (section 2), and what else looks like them.

Each function takes bytes and gives as many back. Cut messages are washed as far as they go. What a message holds beyond the
fields that are known to be harmless (types, lengths, counters, times, ports, random numbers of one call) is overwritten.
"""

import struct
import zlib

from . import modern, sip
from .modern import u16

COOKIE = b"\x21\x12\xa4\x42"
OTHER_SERVICES = {53, 67, 68, 123, 137, 138, 500, 546, 547, 1900, 4500, 5353, 5355}     # never FaceTime's
RELAY_PORTS = range(3478, 3498)
MEDIA_PORTS = {*range(16384, 16388), *range(16393, 16473), *RELAY_PORTS}
DEEPEST = 8             # messages inside of messages


def invert(data):
    return bytes(byte ^ 0xFF for byte in data)


def xor(data, key):
    return bytes(a ^ b for a, b in zip(data, key))


class Washer:
    """mask: a Mask."""

    def __init__(self, mask):
        self.mask = mask
        self.sip = sip.Sip(mask)

    # what it is

    def datagram(self, data, length, sport, dport):
        """A UDP payload; length: its bytes before the capture cut it."""
        if sport in OTHER_SERVICES or dport in OTHER_SERVICES:
            return bytes(len(data))
        ports = sport in MEDIA_PORTS or dport in MEDIA_PORTS
        if data[:1] >= b"\x80" and data[:1] < b"\xc0" and not is_media(data, ports):
            return self.unknown(data)
        return self.payload(data, length, dport in RELAY_PORTS, 0)

    def payload(self, data, length, uplink=False, depth=0):
        if len(data) < 4 or depth > DEEPEST:
            return self.unknown(data)
        first = data[0]
        if first < 0x40:
            if length == 16:
                return self.sixteen_bytes(data)
            if is_dtls(data):
                return data[:DTLS_HEAD] + self.mask.opaque(data[DTLS_HEAD:])
            is_stun = len(data) >= 8 and (data[4:8] == COOKIE or u16(data, 2) + 20 == length)
            return self.stun(data, depth) if is_stun else self.unknown(data)
        if first < 0x80:
            return self.channel(data, length, uplink, depth)
        if first < 0xC0:
            return self.rtcp(data) if 192 <= data[1] <= 223 else self.rtp(data)
        if data[:4] == b"\xde\xad\xbe\xef":
            return self.baseband(data)
        if is_gamekit(data, length):
            return self.gamekit(data, length)
        return self.quic(data, uplink)

    def channel(self, data, length, uplink, depth):
        exact = 0 <= length - 4 - u16(data, 2) <= 3
        if data[:1] == b"\x60" and (exact or uplink and data[1] == 0):
            return self.quickrelay(data)
        if sip.is_sip(data):
            return self.sip.message(data)
        if exact:
            return data[:4] + self.payload(data[4:], u16(data, 2), uplink, depth + 1)
        if data[:2] == b"\x40\x0f":
            return self.control(data)
        return self.quic_short(data, uplink)

    @staticmethod
    def unknown(data):
        return b"\xff" * len(data)

    # SNATMAP, CommNAT

    def sixteen_bytes(self, data):
        kind = int.from_bytes(data[:4], "big")
        if kind == 1:
            return data[:8] + self.ipv4(data[8:12]) + data[12:14] + self.leftover(data[14:])
        if kind == 2:
            return data[:8] + invert(self.ipv4(invert(data[8:12]))) + data[12:14] + self.leftover(data[14:])
        if kind in (0x00010001, 0x00010002):
            return data[:8] + invert(self.ipv4(invert(data[8:12]))) + data[12:14] + self.unknown(data[14:])
        if kind in (0x00020001, 0x00020002):        # 16 inverted flags; what follows is FF in all of them
            return data[:8] + self.unknown(data[8:10]) + data[10:12] + self.unknown(data[12:])
        return self.unknown(data)

    @staticmethod
    def leftover(data):
        """Whatever was in the sender's memory."""
        return data if data in (b"\xaa\xaa", b"\xff\xff") else bytes(len(data))

    def ipv4(self, data):
        return self.mask.ipv4(data) if len(data) == 4 else self.mask.opaque(data)

    def ipv6(self, data):
        return self.mask.ipv6(data) if len(data) == 16 else self.mask.opaque(data)

    # STUN

    def stun(self, data, depth):
        out, at, end = bytearray(data), 20, min(len(data), 20 + u16(data, 2))
        while at + 4 <= end:
            kind, length = u16(data, at), u16(data, at + 2)
            stop = min(at + 4 + length, end)
            value = data[at + 4:stop]
            if kind == 0x8028 and len(value) == 4 and value == fingerprint(data[:at]):
                out[at + 4:stop] = fingerprint(bytes(out[:at]))
            else:
                out[at + 4:stop] = self.attribute(kind, value, data, depth)
            at = at + 4 + (length + 3 & ~3)
            out[stop:min(at, end)] = bytes(max(0, min(at, end) - stop))     # padding: anybody's memory
        tail = min(at, end)
        out[tail:] = self.unknown(data[tail:])
        return bytes(out)

    def attribute(self, kind, value, message, depth):
        if kind in (0x0001, 0x0002, 0x0004, 0x0005, 0x000B, 0x0011, 0x802B, 0x802C):
            return self.stun_address(value, bytes(16))
        if kind in (0x0012, 0x0016, 0x0020, 0x8020):
            return self.stun_address(value, message[4:20])
        if kind == 0x0013:
            return self.payload(value, len(value), False, depth + 1) if u16(value, 2) + 20 != len(value) or \
                value[4:20].strip(b"\0") else self.link(value)
        if kind == 0x8009:
            return self.candidates(value)
        if kind == 0x0006 and len(value) == 20 and any(not 32 <= byte < 127 for byte in value):
            return value if is_candidate_pair(value) else self.mask.opaque(value)
        if kind == 0x0009:
            return value[:4] + (value[4:] if value[4:] in REASONS else self.mask.text(value[4:]))
        if kind == 0x000A:
            return listed_attributes(value)
        if kind in (0x0006, 0x0014, 0x0015, 0x8022):
            return self.mask.text(value)
        if kind == 0x8023 and len(value) in (8, 20):
            return self.stun_address(value, bytes(16))
        if kind == 0x8008 and len(value) == 16:
            return self.mask.uuid(value)
        if kind in HARMLESS and len(value) <= HARMLESS[kind]:
            return value
        return self.mask.opaque(value)

    def stun_address(self, value, key):
        """0, family, port, address. The key is the cookie and the transaction id, or zeros."""
        family = value[1] if len(value) > 1 else 0
        if family == 1 and len(value) == 8:
            return value[:4] + xor(self.mask.ipv4(xor(value[4:], key)), key)
        if family == 2 and len(value) == 20:
            return value[:4] + xor(self.mask.ipv6(xor(value[4:], key)), key)
        return value[:2] + self.mask.opaque(value[2:])

    def candidates(self, value):
        """Version; numbers of addresses; IPv4 addresses, reversed; IPv6 addresses; entries of 16 bytes."""
        out, at = value[:3], 3
        if len(value) < 3:
            return self.mask.opaque(value)
        for count, size, wash in ((value[2] >> 4, 4, lambda a: self.mask.ipv4(a[::-1])[::-1]),
                                  (value[2] & 15, 16, self.mask.ipv6)):
            for _ in range(count):
                if at + size > len(value):
                    return out + self.mask.opaque(value[at:])
                out += wash(value[at:at + size])
                at += size
        entries = [value[i:i + 16] for i in range(at, len(value), 16)]
        begins = bool(entries) and is_candidate(entries[0], value[2])
        return out + b"".join(entry if begins and is_candidate(entry) else self.mask.opaque(entry) for entry in entries)

    # the modern relay

    def quickrelay(self, data):
        """Channel header, header, body; then maybe another packet."""
        end = min(len(data), 4 + u16(data, 2))
        if end < 6:
            return data[:4] + self.unknown(data[4:])
        out = bytearray(data)
        packets, known = modern.packets(data, end)
        for head, stop in packets:
            if head.participant:
                out[head.participant:head.participant + 8] = self.mask.opaque(data[head.participant:head.participant + 8])
            out[head.end:stop] = self.relay_body(data[head.end:stop], head.attributes) if head.whole else \
                self.unknown(data[head.end:stop])
        out[known:] = self.unknown(data[known:])
        return bytes(out)

    def relay_body(self, body, attributes):
        if attributes & 0x20:
            return self.link(body)
        if attributes & 0x01:
            return self.hbh(body)
        if body[:2] == b"\x40\x0f":
            return self.control(body)
        if len(body) >= 2 and body[0] >> 6 == 2:
            return self.rtcp(body) if 192 <= body[1] <= 223 else self.rtp(body)
        return self.unknown(body)

    def hbh(self, body):
        """Protobuf fields of bytes: tag, length, value."""
        out, at = bytearray(body), 0
        while at + 2 <= len(body) and body[at] & 7 == 2 and body[at + 1] < 0x80:
            stop = at + 2 + body[at + 1]
            out[at + 2:stop] = self.mask.opaque(body[at + 2:stop])
            at = stop
        out[at:] = self.unknown(body[at:])
        return bytes(out[:len(body)])

    def control(self, body):
        key = body[2:10]
        wash = self.mask.named_key if len(key) == 8 and modern.is_named(key) else self.mask.key_id
        return body[:2] + wash(key) + body[10:11] + self.mask.opaque(body[11:])

    def link(self, body):
        out, at = bytearray(body), 20
        out[4:20] = self.mask.opaque(body[4:20])
        while at + 4 <= len(body):
            kind, length = u16(body, at), u16(body, at + 2)
            stop = min(len(body), at + 4 + length)
            out[at + 4:stop] = self.tlv(kind, body[at + 4:stop])
            at = at + 4 + length
        out[min(at, len(body)):] = self.unknown(body[at:])
        return bytes(out)

    def tlv(self, kind, value):
        if kind == 0x03:
            return self.connection_data(value)
        if kind in (0x0B, 0x0D, 0x0E):
            return self.mask.uuid(value)
        if kind == 0x16 and value.startswith(b"bplist"):
            return value[:8] + self.mask.opaque(value[8:])
        if kind == 0x15:
            return self.interfaces(value)
        return value if kind in LINK_NUMBERS and len(value) <= LINK_NUMBERS[kind] else self.mask.opaque(value)

    def connection_data(self, value):
        """u16 of counts; each address: u16 of flags, 4 or 16 bytes; each candidate: u16, port."""
        out, at, addresses = bytearray(value), 2, u16(value, 0) >> 6 & 0x7F
        for _ in range(addresses):
            size = 16 if value[at:at + 1] >= b"\x80" else 4
            if at + 2 + size > len(value):
                out[at:] = self.mask.opaque(value[at:])
                return bytes(out)
            address = value[at + 2:at + 2 + size]
            out[at + 2:at + 2 + size] = self.mask.ipv4(address) if size == 4 else self.mask.ipv6(address)
            at += 2 + size
        for _ in range(u16(value, 0) & 0x3F):
            if len(value) < at + 4 or value[at + 1] & 0x1F >= addresses:
                break
            at += 4
        out[at:] = self.mask.opaque(value[at:])
        return bytes(out)

    def interfaces(self, value):
        """u16: form 1, number; each interface: kind and radio, link id, MTU (2 bytes each), flags (2), mask (4)."""
        number = u16(value, 0)
        whole = (len(value) - 2) // 12
        items = [value[at:at + 12] for at in range(2, 2 + 12 * min(whole, number & 0x1FFF), 12)]
        if number >> 13 != 1 or any(item[1] & 7 or u16(item, 4) > LARGEST_MTU for item in items):
            return self.mask.opaque(value)
        end = 2 + 12 * len(items)
        return value[:end] + self.mask.opaque(value[end:])

    # media

    def rtp(self, data):
        """The fixed header and FaceTime's extensions stay. The payload is encrypted, but keys may come to light one day."""
        at = 12 + 4 * (data[0] & 15)
        head = data[:12] + bytes(len(data[12:at]))              # FaceTime's have no CSRCs
        if data[0] & 0x10 and at + 4 <= len(data):
            head += self.extension(data[1] & 0x7F, data[at:at + 4 + 4 * u16(data, at + 2)])
        body = data[len(head):]
        if data[0] & 0x20 and body and body[-1] <= len(body):       # padding
            body, tail = body[:-1], body[-1:]
        else:
            tail = b""
        form, at = (None, 0) if tail else modern.trailer(data)
        if form is None:
            return head + self.mask.opaque(body) + tail
        return head + self.mask.opaque(data[len(head):at]) + self.trailer(form, data[at:])

    def trailer(self, form, data):
        """Which key, and a word or a counter, stay; a tag is of the payload."""
        if form == "uuid":
            return self.mask.uuid(data[:16]) + data[16:]
        if form == "named":
            return self.mask.named_key(data[:16]) + data[16:]
        key = len(data) if form == "group" else len(data) - (4 if len(data) < 12 else 10)
        return data[:key] + self.mask.opaque(data[key:])

    def extension(self, payload_type, data):
        """Flags, number of words, the fields that the flags bring. Others' extensions have other lengths."""
        flags = u16(data, 0)
        known = video_extension(flags, data) if payload_type in modern.VIDEO else audio_extension(flags)
        if data[:4] != LEGACY_EXTENSION and (flags >> 14 not in (1, 2) or known + 3 & ~3 != 4 + 4 * u16(data, 2)):
            return bytes(2) + data[2:4] + self.mask.opaque(data[4:])
        return data

    def rtcp(self, data):
        """Types, lengths, SSRCs, reports and the texts' stand-ins stay."""
        out, at = bytearray(data), 0
        while at + 8 <= len(data) and data[at] >> 6 == 2 and 192 <= data[at + 1] <= 223:
            stop, count = at + 4 + 4 * u16(data, at + 2), data[at] & 31
            if stop > len(data):
                break
            head, block = RTCP_KEPT.get(data[at + 1], (8, 0))
            known = {202: self.sdes, 203: self.goodbye}.get(data[at + 1])
            known = known(out, at + 4, stop, count) if known else at + head + block * count
            out[known:stop] = self.mask.opaque(data[known:stop])
            at = stop
        start = at or 8                             # a cut packet's head stays
        out[start:] = self.mask.opaque(data[start:])
        return bytes(out)

    # Both return where the part ends that they know.

    def sdes(self, out, at, stop, chunks):
        for _ in range(chunks):
            if at + 4 > stop:
                break
            at += 4
            while at + 2 <= stop and out[at]:
                end = min(stop, at + 2 + out[at + 1])
                out[at + 2:end] = self.mask.text(out[at + 2:end])
                at = end
            ends = min(stop, at + 4 & ~3)
            out[at:ends] = bytes(ends - at)
            at = ends
        return at

    def goodbye(self, out, at, stop, sources):
        at = min(stop, at + 4 * sources)
        if at < stop:
            end = min(stop, at + 1 + out[at])
            out[at + 1:end] = self.mask.text(out[at + 1:end])
            at = end
        return at

    # QUIC, the modem

    def quic(self, data, uplink):
        """Connection ids stay. A client's first packets are open to everybody and hold a token: overwritten."""
        out, at = bytearray(data), 0
        while at + 7 <= len(data) and data[at] >= 0xC0 and data[at + 1:at + 5] == b"\0\0\0\1":
            ids = at + 6 + data[at + 5]
            start = ids + 1 + (data[ids] if ids < len(data) else len(data))
            if start > len(data) or max(data[at + 5], data[ids]) > LONGEST_QUIC_ID:
                at += 5
                break
            if data[at] & 0x30 == 0x30:             # a retry has no length
                at = start
                break
            if data[at] & 0x30 == 0:
                length, token = varint(data, start)
                out[token:token + length] = self.mask.opaque(data[token:token + length])
                start = token + length
            length, body = varint(data, start)
            end = min(len(data), body + length)
            out[body:end] = self.mask.opaque(data[body:end])
            if end <= at:
                break
            at = end
        out[at:] = self.quic_short(data[at:], uplink) if at and data[at:at + 1] < b"\x80" else self.unknown(data[at:])
        return bytes(out)

    def quic_short(self, data, uplink):
        """To a relay: its connection id of 8 bytes, of which the second is 80. From a relay: none; around media, an id of 4
        bytes that begins with its kind, 0 or 1."""
        kept = 9 if uplink and data[2:3] == b"\x80" else 5 if data[1:2] < b"\x20" and data[2:3] >= b"\x80" else 1
        return data[:kept] + self.mask.opaque(data[kept:])

    def gamekit(self, data, length):
        """The head stays, with a checksum that is as right or wrong as it was; who plays with whom, and what, goes."""
        out = data[:8] + self.mask.opaque(data[8:12]) + self.mask.opaque(data[12:16]) + self.mask.opaque(data[16:])
        was_right = length == len(data) and u16(data, 6) == crc16(data)
        return out[:6] + crc16(out).to_bytes(2, "big") + out[8:] if was_right else out

    def baseband(self, data):
        """The tag is overwritten; numbers stay where a report has them."""
        form = data[4:8]
        if form not in (b"\xca\xfe\0\2", b"\xde\xad\0\2"):
            return data[:4] + self.unknown(data[4:])
        if form[0] == 0xDE:
            known = dropped_packets(data)
        elif data[8:12] == b"\0\0\0\x6f":         # the short form: nobody knows what it says
            return data[:12] + self.unknown(data[12:])
        else:
            known = 36 if b"\0\1\0\0\0\0".startswith(data[14:20]) else 12
        return data[:8] + self.mask.opaque(data[8:12]) + data[12:known] + self.unknown(data[known:])


# What a message is, and how far it is known

DTLS_HEAD = 13


def is_dtls(data):
    """A record: content type 20 to 25, version 1.0 or 1.2."""
    return len(data) >= DTLS_HEAD and 20 <= data[0] <= 25 and data[1:3] in (b"\xfe\xff", b"\xfe\xfd")


def is_gamekit(data, length):
    """C1, kind, its own length."""
    return data[:1] == b"\xc1" and len(data) >= 16 and data[1] in (1, 2, 5) and u16(data, 2) == length


def crc16(data):
    """CRC-16/ARC of a GameKit message, its own field taken for zero."""
    crc = 0
    for byte in data[:6] + bytes(2) + data[8:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def is_media(data, ports):
    """Whether a datagram that begins like RTP or RTCP is FaceTime's: by the trailer, or by ports and payload type."""
    if len(data) < 2 or 192 <= data[1] <= 223:
        return ports
    alone = len(data) >= 12 and modern.trailer(data)[0] in ("uuid", "named", "group")
    return alone or ports and not data[0] & 15 and data[1] & 0x7F in modern.PAYLOAD_TYPES


def audio_extension(flags):
    """How many bytes of it are known, with its head. What pads the last word is none of them."""
    return 10 + sum(size for bit, size in ((0x0100, 6), (0x0400, 4), (0x0800, 4), (0x0200, 4)) if flags & bit)


def video_extension(flags, data):
    known = 4 + 4 * bool(flags & 2) + 4 * (flags & 1 and flags >> 14 == 2)
    if flags & 4:
        parity = data[known + 1:known + 2] == b"\0"
        known += (6 + 2 * min(u16(data, known + 4), modern.MOST_IN_LIST) + 3 & ~3) if parity else 4
    return known + 4 * bool(flags & 8)


def is_candidate_pair(username):
    """Two candidate ids with a tag each. An id: a word with the top bit clear, then 0 or the other's word."""
    words = username[:4], username[10:14]
    return all(word[0] < 0x80 for word in words) and all(
        username[at:at + 4] in (bytes(4), *words) for at in (4, 14))


def is_candidate(entry, counts=None):
    """Protocol and type, call id, candidate id, priority, rank, flags, address; its index is looked at with the counts."""
    if len(entry) < 16 or entry[0] & 15 not in CANDIDATE_TYPES or entry[5] >= 0x80 or entry[10]:
        return False
    six, index = entry[13] >> 4 & 1, entry[13] & 15
    return entry[13] & 0xA0 == 0 and (counts is None or index < (counts & 15 if six else counts >> 4))


def listed_attributes(value):
    """UNKNOWN-ATTRIBUTES: a text's letters aren't numbers of attributes."""
    pairs = (value[at:at + 2] for at in range(0, len(value), 2))
    return b"".join(pair if len(pair) == 2 and pair[0] in (0x00, 0x80) else bytes(len(pair)) for pair in pairs)


def dropped_packets(data):
    """How far the lists go of packets that the modem dropped: payload type, number, sequence numbers (which grow)."""
    at = 16
    for _ in range(6):
        count = u16(data, at + 1)
        stop = at + 3 + 2 * count
        numbers = [u16(data, i) for i in range(at + 3, stop, 2)]
        if stop > len(data) or any((b - a) & 0xFFFF > 1000 for a, b in zip(numbers, numbers[1:])):
            break
        at = stop
    return at


# Attributes that hold numbers, with the most bytes of such a number: codes, lifetimes, radio, versions, times, tie-breakers.
HARMLESS = {0x0003: 4, 0x000C: 4, 0x000D: 4, 0x0010: 4, 0x0018: 4, 0x0019: 4, 0x001A: 4, 0x0024: 4, 0x0025: 0,
            0x0026: 4, 0x0027: 4, 0x8001: 4, 0x8002: 4, 0x8003: 4, 0x8004: 4, 0x8005: 4, 0x8006: 0, 0x8007: 4, 0x8008: 4, 0x8023: 4,
            0x8024: 4, 0x8029: 8, 0x802A: 8}

LINK_NUMBERS = {0x01: 2, 0x02: 2, 0x05: 4, 0x06: 4, 0x07: 4, 0x0A: 12, 0x0C: 2, 0x11: 4, 0x12: 4, 0x13: 2, 0x14: 4}
LARGEST_MTU = 9216
LONGEST_QUIC_ID = 20

# RFC 8489 and 8656, and what FaceTime's relays say
REASONS = {b"Try Alternate", b"Bad Request", b"Unauthenticated", b"Unauthorized", b"Forbidden", b"Unknown Attribute",
           b"Allocation Mismatch", b"Stale Nonce", b"Wrong Credentials", b"Unsupported Transport Protocol",
           b"Allocation Quota Reached", b"Role Conflict", b"Server Error", b"Insufficient Capacity",
           b"Unable to Find Participant", b"Idle Client"}
CANDIDATE_TYPES = {1, 3, 5, 6, 7, 8, 9, 10, 11}

LEGACY_EXTENSION = b"\x44\0\0\2"

# RTCP packet type: bytes of the head that stay, and of each report block
RTCP_KEPT = {200: (28, 24), 201: (8, 24), 205: (12, 0), 206: (12, 0)}

# name, flags that bring it, flags that keep it away, bytes (0: a list)


def fingerprint(message):
    return struct.pack("!I", zlib.crc32(message) ^ 0x5354554E)


def varint(data, at):
    """(value, where it ends) of a QUIC integer."""
    if at >= len(data):
        return 0, at
    size = 1 << (data[at] >> 6)
    return int.from_bytes(data[at:at + size], "big") & (1 << 8 * size - 2) - 1, at + size
