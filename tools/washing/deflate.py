# SPDX-License-Identifier: GPL-2.0-or-later
"""Deflate streams of a given length: zlib, raw and gzip, whole, cut or corrupt.

A stream is made longer with empty blocks, which every decoder skips: stored ones (5 bytes) and ones of fixed codes
(10 bits). Where the text doesn't become short enough, its end is given up.
"""

import collections
import struct
import zlib

LARGE = 1 << 20     # from here on a text is no SDP: so much of it becomes x, and no more is looked at

DONE, CUT, CORRUPT = "done", "cut", "corrupt"

# head, trailer: bytes around the raw stream; size: of the raw stream; right: the checksum was
Stream = collections.namedtuple("Stream", "form head plain state size trailer right")


def _gzip_head(data):
    """Where the raw stream begins, or None."""
    if len(data) < 10 or data[2] != 8:
        return None
    flags, at = data[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(data[at:at + 2], "little")
    for bit in (8, 16):
        if flags & bit:
            end = data.find(b"\0", at)
            if end < 0:
                return None
            at = end + 1
    at += 2 if flags & 2 else 0
    return at if at <= len(data) else None


def _inflate_raw(data):
    """(plain, state, bytes consumed)"""
    coder = zlib.decompressobj(-15)
    try:
        plain = coder.decompress(data, LARGE)
    except zlib.error:
        return _inflate_slowly(data)
    if coder.eof:
        return plain, DONE, len(data) - len(coder.unused_data)
    return plain, CUT, len(data)


def _inflate_slowly(data):
    """What comes out before the error."""
    coder, plain = zlib.decompressobj(-15), []
    for i in range(len(data)):
        try:
            plain.append(coder.decompress(data[i:i + 1], LARGE))
        except zlib.error:
            break
    return b"".join(plain), CORRUPT, len(data)


def read(data):
    """A Stream, or None where these bytes are none."""
    form, start, tail = "raw", 0, 0
    if data[:2] == b"\x1f\x8b":
        form, start, tail = "gzip", _gzip_head(data), 8
    elif len(data) >= 2 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0:
        form, start, tail = "zlib", None if data[1] & 0x20 else 2, 4
    if start is None:
        return None
    plain, state, size = _inflate_raw(data[start:])
    if form == "raw" and not plain and state != DONE:
        return None
    trailer = data[start + size:start + size + tail] if state == DONE else b""
    right = trailer == checksum(form, plain)
    return Stream(form, data[:start], plain, state, size, trailer, right)


def checksum(form, plain):
    if form == "zlib":
        return struct.pack("!I", zlib.adler32(plain))
    if form == "gzip":
        return struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)
    return b""


def _coded(plain):
    """The raw stream in the ways that zlib knows, best first."""
    ways = [(level, memory, strategy) for level in (9, 6, 4, 1) for memory in (9, 8, 1) for strategy in (0, 1, 4)]
    found = set()
    for level, memory, strategy in ways:
        coder = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)
        found.add(coder.compress(plain) + coder.flush())
    return sorted(found, key=len)


def fits(stream, plain):
    """Whether the text, changed, can be put back without loss."""
    return stream.state != DONE or _whole(plain, stream.size) is not None


def _whole(plain, size):
    """A raw stream of that size, or None."""
    for coded in _coded(plain):
        missing = size - len(coded)
        if missing < 0:
            break
        for fixed in range(0, 9):
            bits = int.from_bytes(coded, "little") << 10 * fixed
            for _ in range(fixed):      # 0, 01, then seven zeros: from the lowest bit up 0 1 0 0000000
                bits |= 2 << 10 * _
            for length in (len(coded) + 10 * fixed // 8, len(coded) + 10 * fixed // 8 + 1):
                stored = size - length
                if stored < 0 or stored % 5 or bits >> 8 * length:
                    continue
                made = b"\0\0\0\xff\xff" * (stored // 5) + bits.to_bytes(length, "little")
                coder = zlib.decompressobj(-15)
                try:
                    good = coder.decompress(made) == plain and coder.eof and not coder.unused_data
                except zlib.error:
                    good = False
                if good:
                    return made
    return None


def _open(plain, size, state):
    """A raw stream of that size that doesn't end well, with as much of the text as there is room for."""
    end = b"\x07" if state == CORRUPT else b""      # a last block, of the kind that doesn't exist
    while True:
        coder = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
        made = (coder.compress(plain) + coder.flush(zlib.Z_SYNC_FLUSH) if plain else b"") + end
        if len(made) <= size or not plain:
            padding = b"\0" if end else b"\0\0\0\xff\xff"
            return (made + padding * size)[:size]
        plain = plain[:len(plain) - max(1, len(made) - size)]


def write(stream, plain):
    """(the bytes of the stream with another text, of the same length; bytes of the text that were lost)."""
    kept = plain
    if stream.state != DONE:
        raw = _open(plain, stream.size, stream.state)
    else:
        while (raw := _whole(kept, stream.size)) is None:
            if not kept:
                raw = _open(b"", stream.size, CORRUPT)
                break
            kept = kept[:-1]
    trailer = checksum(stream.form, kept)[:len(stream.trailer)]
    if not stream.right and trailer:
        old = checksum(stream.form, stream.plain)
        trailer = bytes(a ^ b ^ c for a, b, c in zip(trailer, stream.trailer, old))
    return neutral_head(stream) + raw + trailer, len(plain) - len(kept)


def neutral_head(stream):
    """The head without gzip's time; a comment of x, as long, is in place of a file's name and all else optional."""
    head = stream.head
    if stream.form != "gzip":
        return head
    flags, comment = (b"\x10", b"x" * (len(head) - 11) + b"\0") if len(head) > 10 else (b"\0", b"")
    return head[:3] + flags + bytes(4) + head[8:10] + comment
