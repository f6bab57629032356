# SPDX-License-Identifier: GPL-2.0-or-later
"""TURN over TCP (RFC 8656): what is decoded of a relay's flow over UDP is decoded over TCP, also behind a proxy."""

import collections
import random
import struct

import pytest

import support
import test_links
import test_negative

CLIENT, SERVER = bytes([192, 168, 1, 10]), bytes([17, 155, 5, 251])
CLIENT_PORT = 50443
START, HOUR = 1_700_000_000, 3600


class Connection:
    """Segments of a TCP connection, as (seconds, microseconds, packet)."""

    def __init__(self, port, number=0):
        """number: each has a client, and an hour, of its own."""
        self.port, self.sequence, self.frames, self.now = port, {True: 1000, False: 9000}, [], number * HOUR * 100
        self.client = CLIENT[:2] + bytes([1 + number // 200, 10 + number % 200])
        for from_client, flags in ((True, 0x02), (False, 0x12), (True, 0x10)):
            self.segment(from_client, b"", flags)
            self.sequence[from_client] += bool(flags & 2)

    def segment(self, from_client, payload, flags=0x18):
        ends = (self.client, SERVER) if from_client else (SERVER, self.client)
        ports = (CLIENT_PORT, self.port) if from_client else (self.port, CLIENT_PORT)
        head = struct.pack("!HHIIBBHHH", *ports, self.sequence[from_client], self.sequence[not from_client], 0x50, flags,
                           65535, 0, 0)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(payload), 1, 0, 64, 6, 0) + ends[0] + ends[1]
        self.frames.append((START + self.now // 100, self.now % 100 * 10000, ip + head + payload))
        self.sequence[from_client] += len(payload)
        self.now += 1


def messages(name):
    """[(from the client, message)] of the relay's flow in a test capture."""
    packets = [p for _, _, p in test_links.packets_of(name) if p[9] == 17]
    relayed = [p for p in packets if 3478 <= int.from_bytes(p[22:24], "big") <= 3497
               and p[28:32] not in (b"\0\0\0\1", b"\0\0\0\2")]
    client, port = relayed[0][12:16], relayed[0][22:24]
    return [(p[12:16] == client, p[28:]) for p in packets
            if p[22:24] == port and p[12:16] == client or p[20:22] == port and p[16:20] == client]


def framed(message):
    return message + bytes(-len(message) % 4)


def segments(stream, way):
    """How the messages lie in segments: [(from the client, bytes)]."""
    if way == "one each":
        return stream
    if way == "two in one":
        out = []
        for from_client, message in stream:
            if out and out[-1][0] == from_client and len(out) % 3:
                out[-1] = from_client, out[-1][1] + message
            else:
                out.append((from_client, message))
        return out
    return [(from_client, part) for from_client, message in stream    # in halves, but the first two
            for part in ([message] if message in (stream[0][1], stream[1][1])
                         else [message[:len(message) // 2], message[len(message) // 2:]])]


FIELDS = ("facetime.kind", "facetime.path", "facetime.event", "rtp.seq", "stun.type", "sip.CSeq")


@pytest.mark.parametrize("port, proxy, way", [(3478, False, "one each"), (443, False, "two in one"),
                                              (8080, True, "in halves")])
def test_legacy(port, proxy, way, tshark):
    stream = messages("relay-3478.pcapng")
    connection = Connection(port)
    if proxy:
        connection.segment(True, b"CONNECT 17.155.5.251:3478 HTTP/1.1\r\nHost: 17.155.5.251:3478\r\n\r\n")
        connection.segment(False, b"HTTP/1.1 200 Connection established\r\n\r\n")
    for from_client, payload in segments([(c, framed(m)) for c, m in stream], way):
        connection.segment(from_client, payload)
    capture = test_links.write(test_links.RAW, connection.frames)
    over_udp = support.make_capture([support.Datagram(*(("192.168.1.10", 16402, "17.155.5.251", 3478) if c else
                                     ("17.155.5.251", 3478, "192.168.1.10", 16402)), m) for c, m in stream])

    def values(path, **how):
        rows = tshark.rows(path, *FIELDS, **how)
        return {field: [value for row in rows for value in row[field]] for field in FIELDS}
    assert values(capture) == values(over_udp)
    assert values(capture, two_pass=True)["facetime.kind"] == values(capture)["facetime.kind"]
    assert "Malformed" not in tshark.text(capture)


def test_modern(tshark):
    """No capture shows it; the header proves itself as over UDP."""
    stream = [(c, m) for c, m in messages("modern-call.pcapng") if m[:2] == b"\x60\0"]
    connection = Connection(3482)
    for from_client, message in stream:
        connection.segment(from_client, framed(message))
    capture = test_links.write(test_links.RAW, connection.frames)
    kinds = tshark.values(capture, "facetime.kind")
    assert len(kinds) >= len(stream) - 3 and kinds.count("4") > 20


def cut_at(stream, at):
    return [(c, part) for c, m in stream for part in (m[:min(at, len(m) - 1)], m[min(at, len(m) - 1):])]


def in_segments(stream, size, together=False):
    """Of so many bytes; together: whatever message they are of, until the other end speaks."""
    runs = []
    for c, m in stream:
        if together and runs and runs[-1][0] == c:
            runs[-1] = c, runs[-1][1] + m
        else:
            runs.append((c, m))
    return [(c, run[i:i + size]) for c, run in runs for i in range(0, len(run), size)]


def kinds_of(tshark, variants, port):
    """[kinds of each variant], each a connection of its own; both passes agree."""
    frames, own = [], []
    for number, variant in enumerate(variants):
        connection = Connection(port, number)
        for from_client, payload in variant:
            connection.segment(from_client, payload)
        frames += connection.frames
        own += [number] * len(connection.frames)
    capture = test_links.write(test_links.RAW, frames)
    once, twice = (tshark.rows(capture, "facetime.kind", two_pass=two_pass) for two_pass in (False, True))
    assert once == twice
    found = [[] for _ in variants]
    for number, row in zip(own, once, strict=True):
        found[number] += row["facetime.kind"]
    return found


@pytest.mark.parametrize("port", [443, 3478])
def test_every_message_is_cut(port, tshark):
    """In two at each byte, the first one too; in segments of some bytes, which end anywhere."""
    stream = [(c, framed(m)) for c, m in messages("relay-3478.pcapng")]
    whole, *cut = kinds_of(tshark, [stream] + [cut_at(stream, at) for at in range(1, 90)] + [in_segments(stream, n) for n in (1, 3, 7)]
                           + [in_segments(stream, n, True) for n in (20, 33, 101, 500)], port)
    assert len(whole) == len(stream)
    assert all(kinds == whole for kinds in cut)


def test_what_shows_its_length_is_cut(tshark):
    """A check in a channel whose bind wasn't captured; media whose timestamp and SSRC look like the head of a modern relay's
    packet, which ends where the segment does."""
    stream = [(c, framed(m)) for c, m in messages("relay-3478.pcapng")]
    check = next(m for c, m in stream if c and m[:1] == b"\x40" and m[8:12] == b"\x21\x12\xa4\x42")
    media = next(m for c, m in stream if c and m[:1] == b"\x40" and m[4:5] == b"\x80" and len(m) > 40)
    stream += [(True, b"\x40\x09" + check[2:]), (True, media[:11] + b"\x60\0\0\x11" + media[15:])]
    whole, *cut = kinds_of(tshark, [stream] + [cut_at(stream, at) for at in (*range(12, 60, 4), 35)], 3478)
    assert len(whole) == len(stream) and all(kinds == whole for kinds in cut)


def test_modern_in_pieces(tshark):
    stream = [(c, framed(m)) for c, m in messages("modern-call.pcapng") if m[:2] == b"\x60\0"]
    for kinds in kinds_of(tshark, [cut_at(stream, 3), cut_at(stream, 30), in_segments(stream, 100, True)], 3482):
        assert len(kinds) >= len(stream) - 3


@pytest.mark.parametrize("how", ["one each", "in halves", "together"])
def test_a_length_that_lies(how, tshark):
    """The next messages of that direction are found again; the message itself is shown as it is, damaged."""
    stream = [(c, framed(m)) for c, m in messages("relay-3478.pcapng")]
    variants = [stream]
    for number in (3, 9, 16, 33):
        for length in (0xFFFF, 5000, 4000, 1000, 300, 4, 0):
            lying = list(stream)
            lying[number] = stream[number][0], stream[number][1][:2] + struct.pack("!H", length) + stream[number][1][4:]
            variants.append(lying if how == "one each" else cut_at(lying, 25) if how == "in halves" else in_segments(lying, 100, True))
    whole, *others = kinds_of(tshark, variants, 443)
    for kinds in others:
        assert len(whole) <= len(kinds) <= len(whole) + 3     # a message cut short may be shown in pieces
        assert collections.Counter(whole) - collections.Counter(kinds) <= collections.Counter({kind: 1 for kind in whole})


def others_over_tcp(rng):
    """What begins like TURN, and isn't FaceTime's: [(port, [(from the client, bytes)])]."""
    turn = [(n % 2 == 0, d.payload + bytes(-len(d.payload) % 4)) for n, d in enumerate(test_negative.turn_channel_6000(rng))][:300]
    sip = [(n % 2 == 0, d.payload) for n, d in enumerate(test_negative.sip_phones(rng)) if b"SIP" in d.payload]
    http = [(True, b"GET /connectivity.txt HTTP/1.1\r\nHost: example.org\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\n\r\n" + bytes(900))] * 20
    tls = [(bool(n % 2), b"\x17\x03\x03\0\x40" + rng.randbytes(64)) for n in range(60)]
    random = [(bool(n % 2), bytes([rng.choice((0, 1, 0x40, 0x41, 0x60))]) + rng.randbytes(rng.randrange(1, 900))) for n in range(200)]
    letters = [(True, bytes([rng.randrange(0x40, 0x5B)])) for _ in range(200)]
    return [(3478, turn), (443, turn), (5060, sip), (8080, http), (443, tls), (16402, random), (23, letters)]


def test_others_are_left_alone(tshark, stock):
    """In segments of any size."""
    frames, number = [], 0
    for port, stream in others_over_tcp(random.Random("others over TCP")):
        for variant in (stream, cut_at(stream, 11), in_segments(stream, 3)[:900], in_segments(stream, 140, True)):
            connection = Connection(port, number)
            for from_client, payload in variant:
                connection.segment(from_client, payload)
            frames += connection.frames
            number += 1
    capture = test_links.write(test_links.RAW, frames)
    for two_pass in (False, True):
        assert not tshark.frames(capture, "facetime", two_pass=two_pass)
    assert tshark.text(capture) == stock.text(capture)


def test_tls_is_left_alone(tshark, stock, own_protocols):
    connection = Connection(443)
    for n in range(20):
        connection.segment(bool(n % 2), b"\x17\x03\x03\0\x40" + bytes(range(n, n + 64)))
    capture = test_links.write(test_links.RAW, connection.frames)
    assert not tshark.frames(capture, " || ".join(own_protocols))
    assert tshark.text(capture, "-V") == stock.text(capture, "-V")
