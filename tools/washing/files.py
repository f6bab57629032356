# SPDX-License-Identifier: GPL-2.0-or-later
"""pcap and pcapng: the packets and their times go through, all else that may name somebody is left out: comments, names of
interfaces and machines, resolved host names, decryption secrets."""

import struct

SECTION, INTERFACE, OLD_PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
BYTE_ORDER = 0x1A2B3C4D
SHORTEST = {SECTION: 16, INTERFACE: 8, OLD_PACKET: 20, SIMPLE: 4, ENHANCED: 20}    # bodies
KEPT_OPTIONS = {INTERFACE: {9, 14}, ENHANCED: {2}}     # resolution and offset of times; direction
MAX_BLOCK = 1 << 28


class CaptureError(Exception):
    """A file that can't be washed."""


def exactly(source, size):
    data = source.read(size)
    if len(data) != size:
        raise CaptureError("the file ends within a packet: `editcap` writes a clean one of what is there")
    return data


def copy(source, target, wash, known_links):
    """Reads a capture from source and writes it to target, each packet as wash(linktype, bytes)."""
    magic = source.read(4)
    if magic == b"\x0a\x0d\x0d\x0a":
        return _copy_pcapng(source, target, wash, known_links)
    for order in "<>":
        if magic in (struct.pack(order + "I", 0xA1B2C3D4), struct.pack(order + "I", 0xA1B23C4D)):
            return _copy_pcap(order, magic, source, target, wash, known_links)
    raise CaptureError("not a pcap or pcapng file")


def _check(linktype, known):
    if linktype not in known:
        raise CaptureError(f"link type {linktype} isn't known here: nothing can be promised about it")


def _copy_pcap(order, magic, source, target, wash, known):
    header = exactly(source, 20)
    major, minor, snap, network = struct.unpack(order + "HH8xII", header)
    _check(network & 0xFFFF, known)
    target.write(magic + struct.pack(order + "HHiIII", major, minor, 0, 0, snap, network))
    while head := source.read(16):
        if len(head) < 16:
            exactly(source, 1)
        size = struct.unpack(order + "8xI4x", head)[0]
        if size > MAX_BLOCK:
            raise CaptureError("a packet's length is beyond reason")
        target.write(head + wash(network & 0xFFFF, exactly(source, size)))


def _copy_pcapng(source, target, wash, known):
    order, links, kind = "<", [], b"\x0a\x0d\x0d\x0a"
    while kind:
        rest = exactly(source, 4)
        start = b""
        if kind == b"\x0a\x0d\x0d\x0a":
            start = exactly(source, 4)
            order, links = "<" if start == struct.pack("<I", BYTE_ORDER) else ">", []
            if start != struct.pack(order + "I", BYTE_ORDER):
                raise CaptureError("not a pcapng section")
        number, size = struct.unpack(order + "I", kind)[0], struct.unpack(order + "I", rest)[0]
        if not 12 <= size <= MAX_BLOCK or size % 4:
            raise CaptureError("a block's length is beyond reason")
        body = start + exactly(source, size - 8 - len(start))[:-4]
        body = _block_body(order, number, body, links, wash, known)
        if body is not None:
            length = struct.pack(order + "I", 12 + len(body))
            target.write(kind + length + body + length)
        kind = source.read(4)


def _block_body(order, number, body, links, wash, known):
    """What is written of a block, or None."""
    if len(body) < SHORTEST.get(number, 0):
        raise CaptureError("a block is too short for its kind")
    if number == SECTION:
        return body[:8] + b"\xff" * 8               # the section's length is another now
    if number == INTERFACE:
        links.append((struct.unpack(order + "H", body[:2])[0], struct.unpack(order + "I", body[4:8])[0]))
        _check(links[-1][0], known)
        return body[:8] + _options(order, body[8:], KEPT_OPTIONS[INTERFACE])
    if number not in (ENHANCED, OLD_PACKET, SIMPLE):
        return None
    head = 4 if number == SIMPLE else 20
    fields = struct.unpack(order + "I", body[:4])[0]
    interface = 0 if number == SIMPLE else fields if number == ENHANCED else struct.unpack(order + "H", body[:2])[0]
    if interface >= len(links):
        raise CaptureError("a packet of no interface")
    linktype, snap = links[interface]
    kept = min(fields, snap or fields, len(body) - 4) if number == SIMPLE else struct.unpack(order + "12xI", body[:16])[0]
    if head + kept > len(body):
        raise CaptureError("a packet is longer than its block")
    data = wash(linktype, body[head:head + kept])
    options = body[head + (kept + 3 & ~3):] if number == ENHANCED else b""
    return body[:head] + data + bytes(-kept % 4) + _options(order, options, KEPT_OPTIONS[ENHANCED])


def _options(order, data, kept):
    out, at = b"", 0
    while at + 4 <= len(data):
        code, size = struct.unpack(order + "HH", data[at:at + 4])
        stop = at + 4 + (size + 3 & ~3)
        if code in kept:
            out += data[at:stop]
        at = stop if code else len(data)
    return out + bytes(4) if out else b""
