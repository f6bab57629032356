# SPDX-License-Identifier: GPL-2.0-or-later
"""TURN over TCP (RFC 8656): what is decoded of a relay's flow over UDP is decoded over TCP, also behind a proxy."""

import struct

import pytest

import support
import test_links

CLIENT, SERVER = bytes([192, 168, 1, 10]), bytes([17, 155, 5, 251])
CLIENT_PORT = 50443
START = 1_700_000_000


class Connection:
    """Segments of a TCP connection, as (seconds, microseconds, packet)."""

    def __init__(self, port):
        self.port, self.sequence, self.frames, self.now = port, {True: 1000, False: 9000}, [], 0
        for from_client, flags in ((True, 0x02), (False, 0x12), (True, 0x10)):
            self.segment(from_client, b"", flags)
            self.sequence[from_client] += bool(flags & 2)

    def segment(self, from_client, payload, flags=0x18):
        ends = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
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


def test_tls_is_left_alone(tshark, stock, own_protocols):
    connection = Connection(443)
    for n in range(20):
        connection.segment(bool(n % 2), b"\x17\x03\x03\0\x40" + bytes(range(n, n + 64)))
    capture = test_links.write(test_links.RAW, connection.frames)
    assert not tshark.frames(capture, " || ".join(own_protocols))
    assert tshark.text(capture, "-V") == stock.text(capture, "-V")
