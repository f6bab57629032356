# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures made to fill the memory: what the plugin remembers stays within calls/limits.h, so a flood costs no more
than 64 MiB over stock tshark, which reads the same file in the same test."""

import itertools
import random
import struct

import pytest

import support
from wire import packets

ROOM = 64 * 1024    # KiB
CLIENT, RELAY, RELAYED, PEER = "10.0.0.1", "17.155.5.251", ("17.155.5.251", 3489), ("71.230.89.52", 16402)
COOKIE = 0x2112A442


def attribute(number, value):
    return struct.pack("!HH", number, len(value)) + value


def xor_address(address):
    host = struct.unpack("!I", packets.ip_bytes(address[0]))[0] ^ COOKIE
    return struct.pack("!BBHI", 0, 1, address[1] ^ COOKIE >> 16, host)


def request(method, txid, body):
    return struct.pack("!HHI", method, len(body), COOKIE) + txid + body


ALLOCATE = (attribute(0x0019, b"\x11\0\0\0") + attribute(0x0022, bytes(8)) + attribute(0x0016, xor_address(RELAYED))
            + attribute(0x000D, struct.pack("!I", 60)) + attribute(0x0008, bytes(20)))


def frames(payloads):
    """Datagrams to the relay; addresses and payload are written into one frame, whose checksums go stale."""
    client, payload = next(payloads)
    blank = bytearray(support.Datagram(CLIENT, 16402, RELAY, 16385, payload).frame())
    for client, payload in itertools.chain([(client, payload)], payloads):
        blank[26:30] = struct.pack("!I", client)
        blank[42:] = payload
        yield bytes(blank)


def allocates(count):
    rng = random.Random(1)
    return ((0x0A000001 + i, request(3, rng.randbytes(12), ALLOCATE)) for i in range(count))


def binds(count):
    """One client that binds each time another channel to another peer."""
    rng = random.Random(2)
    yield 0x0A000001, request(3, rng.randbytes(12), ALLOCATE)
    for i in range(count):
        body = (attribute(0x000C, struct.pack("!HH", 0x4002 + i % 0x3FF0, 0))
                + attribute(0x0012, xor_address((PEER[0], i & 0xFFFF))) + attribute(0x0008, bytes(20)))
        yield 0x0A000001, request(9, rng.randbytes(12), body + bytes(len(ALLOCATE) - len(body)))


def media(count):
    """One packet each of ever new senders on a claimed flow."""
    rng = random.Random(3)
    length = 20 + len(ALLOCATE)
    yield 0x0A000001, request(3, rng.randbytes(12), ALLOCATE)
    for i in range(count):
        rtp = struct.pack("!BBHII", 0x80, 104, i & 0xFFFF, 480 * i & 0xFFFFFFFF, rng.getrandbits(32))
        yield 0x0A000001, rtp + bytes(length - len(rtp))


@pytest.mark.parametrize("flood", [allocates, binds, media])
def test_memory_is_bounded(tshark, stock, flood):
    capture = support.make_capture(frames(flood(100_000)))
    memory = {which: which.cost(capture, runs=1)[1] for which in (tshark, stock)}
    assert memory[tshark] <= memory[stock] + ROOM


def test_beyond_a_bound_packets_say_so(tshark):
    """FT_MAX_LEGS_PER_FLOW binds are remembered; later ones are shown, and carry the note."""
    capture = support.make_capture(frames(binds(2000)))
    assert tshark.count(capture, 'facetime.kind == "turn"') == 2001
    assert tshark.frames(capture, "facetime.limit") == list(range(1026, 2002))
    assert tshark.frames(capture, "facetime.limit", two_pass=True) == list(range(1026, 2002))
