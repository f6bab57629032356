# SPDX-License-Identifier: GPL-2.0-or-later
"""Media inside QUIC: connection ids of 4 bytes, told by coming back; and whatever only looks so."""

import json
import random
import re
import struct

import pytest

import support
import generate     # of test-captures/, by way of support
from support import Datagram

PHONE, RELAY = ("10.239.19.254", 16393), ("17.249.172.142", 3482)
MEDIA, LINK = 0x0A8B1C2D, 0x1083F00F
# A device's counter on Apple's ports proves the flow.
PROOF = bytes.fromhex("6000000602411234") + bytes.fromhex("0001")
SHOWN = ("frame.number", "facetime.kind", "facetime.path", "facetime.quic_media")


def pod(rng, connection, size=40, after=b""):
    return struct.pack("!BI", 0x40 | rng.getrandbits(5), connection) + after + rng.randbytes(size - len(after))


def capture_of(payloads, up=True):
    """PROOF, then these payloads in one direction."""
    ends = (*PHONE, *RELAY) if up else (*RELAY, *PHONE)
    return support.make_capture([Datagram(*PHONE, *RELAY, PROOF), *(Datagram(*ends, payload) for payload in payloads)])


NUMBERS = {"True": "1", "False": "0"}   # booleans as tshark has them from 4.4 on


def media(tshark, capture, **how):
    return [[NUMBERS.get(value, value) for value in row["facetime.quic_media"]]
            for row in tshark.rows(capture, "facetime.quic_media", **how)]


def calls(tshark, capture):
    return json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json") or "[]")


@pytest.fixture
def rng():
    return random.Random(12)


def test_truth(tshark):
    """Each frame of the test capture, on both passes."""
    capture = support.TEST_CAPTURES / generate.file_name("modern-quic-media")
    truth = generate.build("modern-quic-media").truth
    for two_pass in (False, True):
        for row in tshark.rows(capture, *SHOWN, two_pass=two_pass):
            expected = truth[int(row["frame.number"][0])].get("fields", {}).get("facetime.quic_media", [])
            assert [int(NUMBERS.get(v, v)) for v in row["facetime.quic_media"]] == expected, row
    assert tshark.count(capture, 'facetime.kind == "quic" && !quic') == 0


def test_report(tshark):
    """Packets, bytes, direction and path in the list of calls."""
    capture = support.TEST_CAPTURES / generate.file_name("modern-quic-media")
    frames = generate.build("modern-quic-media").truth.values()
    one, = calls(tshark, capture)
    streams = [s for s in one["streams"] if s.get("inside_quic")]
    assert [(s["direction"], s["path"], s["packets"]) for s in streams] == [
        ("out", "relay", 6), ("in", "relay", 6), ("out", "direct", 6), ("in", "direct", 6)]
    assert all(s["ssrc"] is None and s["codecs"] == [] and "lost" not in s for s in streams)
    size = 5 + 60
    assert {s["bytes"] for s in streams} == {6 * size}
    rtp = {path: sum(f["kind"] == "rtp" and f["path"] == path for f in frames) for path in ("relay", "direct")}
    assert {p["path"]: p["packets"] for p in one["paths"]} == {"relay": rtp["relay"] + 12, "direct": 12}
    told = re.findall(r"^Call 1: media inside QUIC, (out|in), (relay|direct): (\d+) packets, frames ",
                      tshark.text(capture, "-q", "-z", "facetime,streams"), re.MULTILINE)
    assert told == [("out", "relay", "6"), ("in", "relay", "6"), ("out", "direct", "6"), ("in", "direct", "6")]


def quic_streams(tshark, capture, **how):
    records = json.loads(tshark.text(capture, "-q", "-z", "facetime,streams,json" + how.pop("option", ""), **how))
    return [record for record in records if record["inside_quic"]]


@pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
def test_streams(tshark, two_pass):
    """A row a direction, over both paths. What is encrypted is null."""
    capture = support.TEST_CAPTURES / generate.file_name("modern-quic-media")
    found = quic_streams(tshark, capture, two_pass=two_pass)
    for record, direction in zip(found, ("out", "in"), strict=True):
        assert record["direction"] == direction and record["packets"] == 12 and record["bytes"] == 12 * 65
        assert [(p["path"], p["packets"]) for p in record["paths"]] == [("relay", 6), ("direct", 6)]
        assert all(record[key] is None for key in ("ssrc", "medium", "copies", "seen_twice", "lost", "reordered", "loss_bursts",
                                                   "frames", "frame_rate", "fec", "freezes", "jitter", "rtt", "peer_report"))
    assert quic_streams(tshark, capture, option=",facetime.path==1 || ip.src==192.168.1.10", two_pass=two_pass) == found
    outgoing = "ip.src==192.168.1.10 && facetime.quic_media==1"
    assert quic_streams(tshark, capture, option=f",{outgoing}", two_pass=two_pass) == found[:1]


def test_bit_rate_by_second(tshark, rng):
    """50 packets a second of 45 bytes, for three seconds; then as many of twice the size. The first two settle the id."""
    frames = [Datagram(*PHONE, *RELAY, PROOF)] + [
        Datagram(*RELAY, *PHONE, pod(rng, MEDIA, 40 if i < 150 else 85), time=1 + i / 50) for i in range(-2, 300)]
    record, = quic_streams(tshark, support.make_capture(frames))
    assert [row["t"] for row in record["series"]] == [0, 1, 2, 3, 4, 5]
    assert [(row["packets"], row["bytes"]) for row in record["series"]] == 3 * [(50, 2250)] + 3 * [(50, 4500)]
    assert all(row["lost"] is row["frames"] is row["rtt"] is None and row["path"] == "relay" for row in record["series"])
    assert record["clock"] == "capture" and record["duration"] == pytest.approx(5.98)
    assert record["bitrate"] == pytest.approx(8 * 150 * 135 / 5.98, rel=1e-4)


def test_path_switch(tshark):
    """The device's own. Who sent what came down from the relay isn't seen, so that nobody is known to have moved."""
    capture = support.TEST_CAPTURES / generate.file_name("modern-quic-media")
    straight = [f["number"] for f in generate.build("modern-quic-media").truth.values()
                if f["path"] == "direct" and f.get("fields", {}).get("facetime.quic_media")]
    assert tshark.frames(capture, 'facetime.event == "path_switch"') == straight[:1]


def test_only_quic(tshark, rng):
    """A call whose media is all inside QUIC has media."""
    one, = calls(tshark, capture_of([pod(rng, MEDIA) for _ in range(9)]))
    assert one["state"] == "media" and [s["packets"] for s in one["streams"]] == [7]


def test_silence(tshark, rng):
    frames = [Datagram(*PHONE, *RELAY, PROOF)] + [
        Datagram(*RELAY, *PHONE, pod(rng, MEDIA), time=1 + 0.02 * i + (5 if i > 9 else 0)) for i in range(20)]
    assert tshark.frames(support.make_capture(frames), 'facetime.event == "media_gap"') == [12]


def test_from_the_third_on(tshark, rng):
    capture = capture_of([pod(rng, MEDIA) for _ in range(5)])
    assert media(tshark, capture) == [[], [], [], ["1"], ["1"], ["1"]]
    assert media(tshark, capture, two_pass=True) == media(tshark, capture)


def test_ids_change(tshark, rng):
    """Another id in mid-call is media from its third packet on; of losses nothing is told."""
    capture = capture_of([pod(rng, MEDIA) for _ in range(5)] + [pod(rng, MEDIA ^ 0x1234) for _ in range(5)])
    assert media(tshark, capture)[1:] == ([[]] * 2 + [["1"]] * 3) * 2
    one, = [line.split() for line in tshark.lines(capture, "-q", "-z", "facetime,calls") if line.startswith("   1 ")]
    assert one[9:12] == ["relay", "1", "-"]         # paths, streams, lost


def test_link_messages(tshark, rng):
    """Type 1 isn't media."""
    capture = capture_of([pod(rng, LINK) for _ in range(5)])
    assert media(tshark, capture)[3:] == [["0"]] * 3
    assert [c["streams"] for c in calls(tshark, capture)] == [[]]


def test_directions_apart(tshark, rng):
    """Twice up and twice down is no id that came three times."""
    frames = [Datagram(*PHONE, *RELAY, PROOF)]
    for _ in range(2):
        frames += [Datagram(*PHONE, *RELAY, pod(rng, MEDIA)), Datagram(*RELAY, *PHONE, pod(rng, MEDIA))]
    assert not any(media(tshark, support.make_capture(frames)))


@pytest.mark.parametrize("connection", [0x2A8B1C2D, 0xFA8B1C2D, 0x0A0B1C2D, 0x10700000])
def test_other_shapes(tshark, rng, connection):
    """Another type, or bit 23 clear."""
    assert not any(media(tshark, capture_of([pod(rng, connection) for _ in range(9)])))


@pytest.mark.parametrize("more", [1, 2, 4])
def test_longer_ids(tshark, rng, more):
    """An id of 5, 6 or 8 bytes whose head has the shape, as one in 16 has."""
    rest = rng.randbytes(more)
    assert not any(media(tshark, capture_of([pod(rng, MEDIA, after=rest) for _ in range(50)])))


def test_random(tshark, rng):
    """No id at all, as a relay's packets to a device have none: of 20,000 random ones, nothing."""
    payloads = [bytes([0x40 | rng.getrandbits(5)]) + rng.randbytes(30) for _ in range(20000)]
    assert not any(media(tshark, capture_of(payloads, up=False)))


def test_too_short(tshark, rng):
    """Shorter than any QUIC packet."""
    assert not any(media(tshark, capture_of([pod(rng, MEDIA, size=12) for _ in range(9)])))


def test_looks_like_others(tshark, rng):
    """Once the connection is known, its packets are QUIC whatever their bytes look like: ChannelData of the right
    length, a control message."""
    connection = 0x0F900013
    head = [pod(rng, connection) for _ in range(3)]
    control = struct.pack("!BI", 0x40, connection) + rng.randbytes(40)
    capture = capture_of([*head, control])
    assert tshark.values(capture, "facetime.kind")[-1] == "12" and media(tshark, capture)[-1] == ["1"]


def test_strange_flow(tshark, rng):
    """Nobody's flow stays nobody's."""
    frames = [Datagram("10.1.1.1", 50000, "203.0.113.9", 443, pod(rng, MEDIA)) for _ in range(20)]
    assert tshark.count(support.make_capture(frames), "facetime") == 0
