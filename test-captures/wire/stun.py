# SPDX-License-Identifier: GPL-2.0-or-later
"""STUN, TURN and ChannelData the way GameKit writes them (2010-2016).

    message      type(2) length(2) 2112A442 transaction-id(12) attributes
    attribute    type(2) length(2) value, padded to 4
    ChannelData  channel(2) length(2) payload
"""

import struct
import uuid

from . import Wire, truth_of
from .packets import ip_bytes, is_ipv6

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, CHANNEL_BIND = 1, 3, 4, 6, 7, 9
METHODS = {BINDING: "binding", ALLOCATE: "allocate", REFRESH: "refresh", SEND: "send", DATA: "data",
           CHANNEL_BIND: "channel-bind"}
REQUEST, INDICATION, SUCCESS, ERROR = 0, 1, 2, 3
CLASSES = {REQUEST: "request", INDICATION: "indication", SUCCESS: "success", ERROR: "error"}

MAPPED_ADDRESS, USERNAME, MESSAGE_INTEGRITY, ERROR_CODE = 0x0001, 0x0006, 0x0008, 0x0009
CHANNEL_NUMBER, LIFETIME, XOR_PEER_ADDRESS, DATA_ATTRIBUTE = 0x000C, 0x000D, 0x0012, 0x0013
XOR_RELAYED_ADDRESS, REQUESTED_TRANSPORT, XOR_MAPPED_ADDRESS = 0x0016, 0x0019, 0x0020
RESERVATION_TOKEN, USE_CANDIDATE = 0x0022, 0x0025
ICE_CONTROLLED, ICE_CONTROLLING = 0x8029, 0x802A

# Apple's own, named in the fields of the plugin
APPLE_PROTOCOL, APPLE_8002, APPLE_ICE_VERSION, APPLE_TIMESTAMP = 0x8001, 0x8002, 0x8003, 0x8004
APPLE_DELAY, APPLE_QOS, APPLE_RADIO, APPLE_NOMINATION = 0x8005, 0x8006, 0x8007, 0x8008
APPLE_CANDIDATES, APPLE_SKE, APPLE_LINK_FLAGS, APPLE_DATA_SO = 0x8009, 0x800A, 0x8023, 0x8024
APPLE_ATTRIBUTES = (*range(0x8001, 0x800B), APPLE_LINK_FLAGS, APPLE_DATA_SO)

HOST, SERVER_REFLEXIVE, RELAYED, DERIVED = 1, 3, 5, 6
PRIORITY = {HOST: 90, SERVER_REFLEXIVE: 70, RELAYED: 40, DERIVED: 60}


class Attribute:
    """One attribute as written; `fields` are the display-filter names it must answer to."""

    def __init__(self, number, value=b"", **fields):
        self.number, self.value = number, value
        self.fields = {name.replace("__", "."): given for name, given in fields.items()}
        if number in APPLE_ATTRIBUTES:
            self.fields = {"gkstun.att.type": number, "gkstun.att.length": len(value), **self.fields}

    def encode(self):
        padding = bytes(-len(self.value) % 4)
        return struct.pack("!HH", self.number, len(self.value)) + self.value + padding


def u32(number, value, **fields):
    return Attribute(number, struct.pack("!I", value), **fields)


def address(number, addr, txid=None):
    """(XOR-)address attribute; `txid` given means XOR, as RFC 8489 section 14.2 has it."""
    ip, port = ip_bytes(addr[0]), addr[1]
    if txid is not None:
        mask = struct.pack("!I", COOKIE) + txid
        ip = bytes(a ^ b for a, b in zip(ip, mask))
        port ^= COOKIE >> 16
    return Attribute(number, struct.pack("!BBH", 0, 2 if is_ipv6(addr[0]) else 1, port) + ip)


# --- Apple's attributes -------------------------------------------------------------------------

def username(destination, source, destination_tag=0, source_tag=0):
    """20 bytes: candidate id (8) and a tag (2) of the destination, then of the source."""
    return Attribute(USERNAME, struct.pack("!QHQH", destination, destination_tag, source, source_tag),
                     gkstun__username__destination=destination,
                     gkstun__username__destination_tag=destination_tag,
                     gkstun__username__source=source, gkstun__username__source_tag=source_tag)


def protocol(value, derived=False):
    return u32(APPLE_PROTOCOL, value | (0x100 if derived else 0),
               gkstun__protocol=value, gkstun__derived=derived)


def unknown_8002(value):
    return Attribute(APPLE_8002, value, gkstun__unknown_8002=value.hex())


def ice_version(value):
    return u32(APPLE_ICE_VERSION, value, gkstun__ice_version=value)


def timestamp(value):
    return u32(APPLE_TIMESTAMP, value, gkstun__timestamp=value)


def delay(value):
    return u32(APPLE_DELAY, value, gkstun__delay=value)


def qos():
    return Attribute(APPLE_QOS, gkstun__qos=True)


def radio(value):
    return u32(APPLE_RADIO, value, gkstun__radio=value)


def nomination(count, flags=0):
    """4-byte reading of 0x8008: nomination count, and flags from bit 8 up."""
    return u32(APPLE_NOMINATION, flags | count, gkstun__nomination=flags | count,
               gkstun__nomination__count=count)


def link_id(value):
    """16-byte reading of 0x8008 (modern): the link's UUID."""
    return Attribute(APPLE_NOMINATION, value, gkstun__link_id=str(uuid.UUID(bytes=value)))


def ske(blob):
    return Attribute(APPLE_SKE, blob, gkstun__ske=blob.hex())


def link_flags(value):
    return u32(APPLE_LINK_FLAGS, value, gkstun__link_flags=value)


def data_so(value):
    return u32(APPLE_DATA_SO, value, gkstun__data_so=value)


class Candidate:
    """One candidate of a device: what the peer is told, and what the USERNAME halves name."""

    def __init__(self, kind, addr, word, call_id=0x01020304, protocol_number=1, rank=0, flags=0,
                 cellular=False):
        self.kind, self.addr, self.word, self.call_id = kind, addr, word, call_id
        self.protocol, self.rank, self.flags, self.cellular = protocol_number, rank, flags, cellular

    @property
    def id(self):
        """As in the USERNAME: this word, and 0 for a plain candidate."""
        return self.word << 32

    @property
    def priority(self):
        return 10 if is_ipv6(self.addr[0]) else PRIORITY[self.kind]


def candidates(entries, version=1):
    """0x8009: u16 version, count nibbles, addresses (IPv4 byte-reversed), 16 bytes a candidate."""
    v4 = list(dict.fromkeys(e.addr[0] for e in entries if not is_ipv6(e.addr[0])))
    v6 = list(dict.fromkeys(e.addr[0] for e in entries if is_ipv6(e.addr[0])))
    out = struct.pack("!HB", version, len(v4) << 4 | len(v6))
    out += b"".join(ip_bytes(a)[::-1] for a in v4) + b"".join(map(ip_bytes, v6))
    for e in entries:
        six = is_ipv6(e.addr[0])
        ip_flags = (1 if six else 0) | (4 if e.cellular else 0)
        index = (v6 if six else v4).index(e.addr[0])
        out += struct.pack("<BI", e.protocol << 4 | e.kind, e.call_id) + struct.pack("!I", e.word)
        out += struct.pack("<HBBBH", e.priority, e.rank, e.flags, ip_flags << 4 | index, e.addr[1])
    listed = {
        "gkstun.candidate.type": [e.kind for e in entries],
        "gkstun.candidate.protocol": [e.protocol for e in entries],
        "gkstun.candidate.call_id": [e.call_id for e in entries],
        "gkstun.candidate.id": [e.word for e in entries],
        "gkstun.candidate.priority": [e.priority for e in entries],
        "gkstun.candidate.rank": [e.rank for e in entries],
        "gkstun.candidate.flags": [e.flags for e in entries],
        "gkstun.candidate.ipv4": [e.addr[0] for e in entries if not is_ipv6(e.addr[0])],
        "gkstun.candidate.ipv6": [e.addr[0] for e in entries if is_ipv6(e.addr[0])],
        "gkstun.candidate.port": [e.addr[1] for e in entries],
    }
    attribute = Attribute(APPLE_CANDIDATES, out, gkstun__candidates__version=version)
    attribute.fields.update({name: values for name, values in listed.items() if values})
    return attribute


# --- messages -----------------------------------------------------------------------------------

def message(method, cls, txid, attributes, generation="legacy", **truth):
    """A whole message; `truth["stun"]` says method, class, transaction id and attribute numbers."""
    body = b"".join(a.encode() for a in attributes)
    bits = (method & 0xF80) << 2 | (method & 0x70) << 1 | method & 0xF
    bits |= (cls & 2) << 7 | (cls & 1) << 4
    fields = {}
    for attribute in attributes:
        for name, value in attribute.fields.items():
            fields.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    stun = {"method": METHODS.get(method, method), "class": CLASSES[cls], "txid": txid.hex(),
            "attributes": [a.number for a in attributes]}
    return Wire(struct.pack("!HHI", bits, len(body), COOKIE) + txid + body,
                **{"kind": "stun", "generation": generation, "stun": stun, "fields": fields, **truth})


def legacy_txid(method, rng):
    """The first two bytes are the method, the top bit of bytes 0, 4 and 8 is clear."""
    words = [method << 16 | rng.getrandbits(16), rng.getrandbits(31), rng.getrandbits(31)]
    return struct.pack("!III", *words)


def binding_request(txid, to, frm, controlling, tie_breaker, stamp, nominate=0, listed=None,
                    first_form=False, version=109, extra=()):
    """A check from candidate `frm` to candidate `to`.

    nominate: count for USE-CANDIDATE and 0x8008, 0 = plain check. listed: candidates for 0x8009.
    first_form: 0x8002 in the place of 0x8004, as the report lists for its packet 122.
    version: of ICE; None for 2010, without 0x8003 and what came with it. extra: more attributes.
    """
    attributes = [username(to.id, frm.id), protocol(1)]
    if first_form:
        attributes += [unknown_8002(struct.pack("!I", stamp)), ice_version(version)]
    elif version:
        attributes += [ice_version(version), timestamp(stamp)]
    role = ICE_CONTROLLING if controlling else ICE_CONTROLLED
    attributes.append(Attribute(role, struct.pack("!Q", tie_breaker)))
    if nominate:
        attributes += [Attribute(USE_CANDIDATE)] + ([nomination(nominate)] if version else [])
    if listed:
        attributes.append(candidates(listed))
    attributes += extra
    return message(BINDING, REQUEST, txid, attributes, legacy_username=True, nominates=bool(nominate))


def binding_response(txid, to, frm, mapped, stamp, processing, listed=None, derived=False, version=109):
    """The answer from candidate `frm` to candidate `to`: USERNAME halves swapped, plain MAPPED-ADDRESS."""
    attributes = [username(to.id, frm.id), address(MAPPED_ADDRESS, mapped), protocol(1, derived)]
    if version:
        attributes += [ice_version(version), timestamp(stamp), delay(processing)]
    if listed:
        attributes.append(candidates(listed))
    return message(BINDING, SUCCESS, txid, attributes, legacy_username=True)


def turn(method, cls, txid, attributes, **truth):
    return message(method, cls, txid, attributes, kind="turn", **truth)


def allocate_request(txid, token, relayed, ticket, lifetime=60):
    """With RESERVATION-TOKEN and the relay address that signalling has already handed out."""
    return turn(ALLOCATE, REQUEST, txid, [
        Attribute(REQUESTED_TRANSPORT, bytes([17, 0, 0, 0])),
        Attribute(RESERVATION_TOKEN, token),
        address(XOR_RELAYED_ADDRESS, relayed, txid),
        u32(LIFETIME, lifetime),
        Attribute(MESSAGE_INTEGRITY, ticket)], reserved=True)


def allocate_success(txid, mapped, ticket, lifetime=60):
    return turn(ALLOCATE, SUCCESS, txid, [
        address(XOR_MAPPED_ADDRESS, mapped, txid),
        u32(LIFETIME, lifetime),
        Attribute(MESSAGE_INTEGRITY, ticket)])


def channel_bind_request(txid, channel, peer, ticket):
    return turn(CHANNEL_BIND, REQUEST, txid, [
        u32(CHANNEL_NUMBER, channel << 16),
        address(XOR_PEER_ADDRESS, peer, txid),
        Attribute(MESSAGE_INTEGRITY, ticket)], binds={"channel": channel, "peer": list(peer)})


def channel_bind_success(txid):
    return turn(CHANNEL_BIND, SUCCESS, txid, [])


def refresh_request(txid, lifetime):
    return turn(REFRESH, REQUEST, txid, [u32(LIFETIME, lifetime)], lifetime=lifetime)


def refresh_success(txid, lifetime):
    return turn(REFRESH, SUCCESS, txid, [u32(LIFETIME, lifetime)], lifetime=lifetime)


def error(method, txid, code, reason):
    value = struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()
    return turn(method, ERROR, txid, [Attribute(ERROR_CODE, value)], error=code)


def indication(method, txid, peer, payload):
    """Send or Data indication around `payload`; the packet is of the payload's kind."""
    outer = turn(method, INDICATION, txid,
                 [address(XOR_PEER_ADDRESS, peer, txid), Attribute(DATA_ATTRIBUTE, bytes(payload))])
    inner = truth_of(payload)
    return Wire(outer, **{**outer.truth, **inner, "stun": inner.get("stun"),
                          "indication": METHODS[method], "peer": list(peer)})


def channel_data(channel, payload, padded=False):
    padding = bytes(-len(payload) % 4) if padded else b""
    return Wire(struct.pack("!HH", channel, len(payload)) + payload + padding,
                **{**truth_of(payload), "channel": channel})
