# SPDX-License-Identifier: GPL-2.0-or-later
"""From the link layer to the transport. Checksums are corrected by what has changed (RFC 1624): a right one stays right, a wrong one
wrong, and packets that the capture cut need no exception."""

from .messages import u16

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
TAGS = {0x8100, 0x88A8, 0x9100}
CHECK_HOST, CHECK_ANSWER = b"GET /connectivity.txt HTTP/1", b"AV was here!"
CHECK_HEADERS = {b"host", b"server", b"last-modified", b"accept-ranges", b"content-length", b"content-type", b"date",
                 b"connection"}


def corrected(old_sum, before, after):
    """The checksum field (2 bytes) for `after`, where it was old_sum for `before`."""
    if before == after:
        return old_sum
    total = (~int.from_bytes(old_sum, "big") & 0xFFFF) - folded(before) + folded(after)
    return (0xFFFF - total % 0xFFFF).to_bytes(2, "big")


def folded(data):
    return int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF


class Frames:
    """washer: of messages.py."""

    def __init__(self, washer):
        self.washer, self.mask = washer, washer.mask
        self.links = {0: self.null, 1: self.ethernet, 12: self.raw, 14: self.raw, 101: self.raw, 108: self.null,
                      113: self.cooked, 228: self.raw, 229: self.raw, 258: self.pktap, 276: self.cooked2}

    def frame(self, linktype, data):
        return self.links[linktype](data)

    # link layers

    def ethernet(self, data):
        if len(data) < 14:
            return bytes(len(data))
        return self.mask.mac(data[:6]) + self.mask.mac(data[6:12]) + self.typed(data[12:14], data[14:])

    def typed(self, ethertype, data):
        """The type and what follows."""
        number = int.from_bytes(ethertype, "big")
        if number in TAGS and len(data) >= 4:
            return ethertype + data[:2] + self.typed(data[2:4], data[4:])
        if number in (IPV4, IPV6):
            return ethertype + self.raw(data)
        if number == ARP:
            return ethertype + self.arp(data)
        return ethertype + bytes(len(data))

    def arp(self, data):
        if data[:6] != b"\0\1\x08\0\6\4" or len(data) < 28:
            return bytes(len(data))
        return (data[:8] + self.mask.mac(data[8:14]) + self.mask.ipv4(data[14:18]) + self.mask.mac(data[18:24])
                + self.mask.ipv4(data[24:28]) + bytes(len(data) - 28))

    def null(self, data):
        return data[:4] + self.raw(data[4:])

    def raw(self, data):
        version = data[0] >> 4 if data else 0
        if version == 4:
            return self.ipv4(data)
        return self.ipv6(data) if version == 6 else bytes(len(data))

    def cooked(self, data):
        """Linux: type, kind of hardware, length of the address, address (8 bytes), protocol."""
        if len(data) < 16:
            return bytes(len(data))
        address = self.mask.mac(data[6:12]) + bytes(2) if u16(data, 4) == 6 else bytes(8)
        return data[:6] + address + self.typed(data[14:16], data[16:])

    def cooked2(self, data):
        """The same, second version: protocol first."""
        if len(data) < 20:
            return bytes(len(data))
        address = self.mask.mac(data[12:18]) + bytes(2) if data[11] == 6 else bytes(8)
        return data[:12] + address + self.typed(data[:2], data[20:])[2:]

    def pktap(self, data):
        """Apple's: length, next header, link type, then the interface's and the process's names."""
        length, linktype = (int.from_bytes(data[i:i + 4], "little") for i in (0, 8))
        if len(data) < 12 or not 52 <= length <= len(data) or linktype not in self.links or linktype == 258:
            return bytes(len(data))
        head = data[:12] + bytes(24) + data[36:52] + bytes(length - 52)
        return head + self.frame(linktype, data[length:])

    # network

    def ipv4(self, data):
        header = (data[0] & 15) * 4
        if header < 20 or len(data) < header:
            return bytes(len(data))
        total = u16(data, 2) or len(data)
        addresses = self.mask.ipv4(data[12:16]) + self.mask.ipv4(data[16:20])
        new = data[:10] + bytes(2) + addresses + bytes([1]) * (header - 20)      # options may hold addresses
        new = new[:10] + corrected(data[10:12], data[:10] + data[12:header], new[:10] + new[12:]) + new[12:]
        body = data[header:max(header, total)]
        fragment = u16(data, 6) & 0x1FFF
        washed = bytes(len(body)) if fragment else self.transport(
            data[9], body, max(0, total - header), data[12:20], addresses)
        return new + washed + bytes(len(data) - header - len(body))

    def ipv6(self, data):
        if len(data) < 40:
            return bytes(len(data))
        addresses = self.mask.ipv6(data[8:24]) + self.mask.ipv6(data[24:40])
        total = 40 + u16(data, 4) if u16(data, 4) else len(data)
        protocol, at, head, fragment = data[6], 40, b"", 0
        while protocol in (0, 43, 44, 60) and at + 8 <= min(len(data), total):
            size = 8 if protocol == 44 else 8 + 8 * data[at + 1]
            extension = data[at:at + size]
            if protocol == 44:
                fragment = u16(data, at + 2) >> 3
            elif protocol == 43:
                extension = extension[:4] + bytes(len(extension) - 4)
            else:
                extension = extension[:2] + pad_option(len(extension) - 2)
            protocol, at, head = data[at], at + size, head + extension
        body = data[at:max(at, total)]
        washed = bytes(len(body)) if fragment else self.transport(
            protocol, body, max(0, total - at), data[8:40], addresses)
        new = data[:8] + addresses + head
        return (new + washed).ljust(len(data), b"\0")[:len(data)]

    # transport

    def transport(self, protocol, data, length, before, after):
        """length: as the network layer tells; before, after: both addresses, as they count for the checksum."""
        wash, at = {1: (self.icmp, 2), 6: (self.tcp, 16), 17: (self.udp, 6), 58: (self.icmpv6, 2)}.get(protocol, (None, 0))
        if not wash or len(data) < 8:
            return bytes(len(data))
        new = wash(data, length)
        if protocol == 1:
            before = after = b""
        field = data[at:at + 2]
        if len(field) < 2 or protocol == 17 and field == b"\0\0":
            return new
        field = corrected(field, before + data[:at] + data[at + 2:], after + new[:at] + new[at + 2:])
        return new[:at] + field + new[at + 2:]

    def udp(self, data, length):
        told = u16(data, 4) or length
        payload = data[8:max(8, told)]
        washed = self.washer.datagram(payload, max(0, min(told, length) - 8), u16(data, 0), u16(data, 2))
        return data[:8] + washed + bytes(len(data) - 8 - len(payload))

    def tcp(self, data, _length):
        header = (data[12] >> 4) * 4 if len(data) > 12 else 0
        if header < 20 or len(data) < header:
            return data[:min(20, len(data))] + bytes(max(0, len(data) - 20))
        options, at = bytearray(data[20:header]), 0
        while at < len(options) and options[at]:
            size = 1 if options[at] == 1 else max(2, options[at + 1] if at + 1 < len(options) else 2)
            if options[at] not in (1, 2, 3, 4, 5, 8):       # multipath TCP has tokens and addresses
                options[at:at + size] = bytes([1]) * len(options[at:at + size])
            at += size
        return data[:20] + bytes(options) + self.http_check(data[header:])

    @staticmethod
    def http_check(data):
        """A TCP payload: only the check of connectivity is FaceTime's."""
        if not data.startswith(CHECK_HOST) and not (data.startswith(b"HTTP/1.") and CHECK_ANSWER in data):
            return bytes(len(data))
        head, blank, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        for i, line in enumerate(lines[1:], 1):
            name, colon, value = line.partition(b":")
            if name.lower() not in CHECK_HEADERS:
                lines[i] = name + colon + b"x" * len(value)
        body = body if body.strip() in (b"", CHECK_ANSWER) else bytes(len(body))
        return b"\r\n".join(lines) + blank + body

    def icmp(self, data, _length):
        if data[0] in (3, 4, 5, 11, 12):
            gateway = self.mask.ipv4(data[4:8]) if data[0] == 5 else data[4:8]
            return data[:4] + gateway + self.raw(data[8:])
        return data[:8] + bytes(len(data) - 8)

    def icmpv6(self, data, _length):
        if data[0] in (1, 2, 3, 4):
            return data[:8] + self.raw(data[8:])
        if data[0] in (135, 136) and len(data) >= 24:
            return data[:8] + self.mask.ipv6(data[8:24]) + self.neighbour(data[24:])
        return data[:8] + bytes(len(data) - 8)

    def neighbour(self, options):
        out, at = bytes(0), 0
        while at + 8 <= len(options) and options[at + 1]:
            size = 8 * options[at + 1]
            option = options[at:at + size]
            out += option[:2] + (self.mask.mac(option[2:8]) if option[0] in (1, 2) and size == 8 else
                                 bytes(len(option) - 2))
            at += size
        return out + bytes(len(options) - len(out))


def pad_option(length):
    """Hop-by-hop and destination options that say nothing (PadN)."""
    return bytes([1, length - 2]) + bytes(length - 2) if length >= 2 else bytes(length)
