# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark -z facetime,streams and -z facetime,pairs: their form, against the schemas of docs/; filters; what hand-made
streams must say. Simulated calls are in test_quality.py."""

import collections
import json
import re
import struct
import subprocess
import sys

import jsonschema
import pytest

import support
from support import Datagram
import generate                                         # of the folder that support puts on the path

REPORTS = ("calls", "streams", "pairs", "timeline")
PHONE, PEER = ("192.168.1.10", 16402), ("198.51.100.7", 16402)
CLOCK = 24000


def schema(name):
    return json.loads((support.ROOT / "docs" / f"{name}.schema.json").read_text())


SCHEMAS = {name: schema("calls" if name == "timeline" else name) for name in REPORTS}


def reports(tshark, capture, **how):
    """{report: JSON} of one run."""
    options = [word for name in REPORTS for word in ("-z", f"facetime,{name},json")]
    found = [json.loads(block) for block in
             re.split(r"^(?=\[)", tshark.text(capture, "-q", *options, **how), flags=re.MULTILINE) if block]
    assert len(found) == len(REPORTS)
    named = {}
    for data in found:          # taps draw in no order that is promised
        first = data[0] if data else {}
        name = "timeline" if "events" in first else "streams" if "ssrc" in first else "calls" if "findings" in first \
            else "pairs" if "pairs" in first else None
        named.setdefault(name, data)
    return named


def streams(tshark, capture, filter=None, **how):
    option = "facetime,streams,json" + (f",{filter}" if filter else "")
    return json.loads(tshark.text(capture, "-q", "-z", option, **how))


@pytest.mark.parametrize("name", generate.CAPTURES)
def test_reports_keep_to_their_schemas(tshark, name):
    for report, data in reports(tshark, support.TEST_CAPTURES / generate.file_name(name)).items():
        if report:
            jsonschema.validate(data, SCHEMAS[report])


@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
@pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
def test_reports_of_real_calls_keep_to_their_schemas(tshark, real, name, two_pass):
    found = reports(tshark, real(name), two_pass=two_pass)
    assert set(found) == set(REPORTS)
    for report, data in found.items():
        jsonschema.validate(data, SCHEMAS[report])


@pytest.mark.parametrize("name", generate.CAPTURES)
def test_one_pass_and_two_tell_the_same_streams(tshark, name):
    capture = support.TEST_CAPTURES / generate.file_name(name)
    once = reports(tshark, capture).get("streams", [])      # of the start that the schemas had
    assert once == streams(tshark, capture, two_pass=True)


def test_real_checks_and_their_answers(tshark, real):
    """60 checks and 8 answers, two of them sent again; media stayed on the relay (modern.md 6)."""
    call, = reports(tshark, real("facetime-2023-cellular.pcapng"))["calls"]
    assert sum(p["answered"] for p in call["pairs"]) == 6
    assert {p["remote"] for p in call["pairs"] if p["answered"]} == {
        "172.58.223.197:38489", "[2607:fb90:ac93:9bef:82c:a0c:b9dc:10e]:16394"}
    assert not any(p["media_packets"] for p in call["pairs"])
    assert call["setup"]["direct_ready"]["frame"] == 659 and call["setup"]["first_direct_media"] is None
    assert not any(p["rtt"] for p in call["pairs"]) and call["clock"] == "media"
    assert call["start_time"].startswith("2023-07-03T")


@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
def test_real_checks_by_direction(tshark, real, name):
    """Whose the checks of a direct pair are, counted by addresses; an answer that is sent again counts once."""
    call, = reports(tshark, real(name))["calls"]
    ends = [("ip.src", "ip.dst"), ("ipv6.src", "ipv6.dst")]
    rows = tshark.rows(real(name), "stun.type", "stun.id", "udp.srcport", "udp.dstport", *sum(ends, ()),
                       filter='gkstun && facetime.call && facetime.path == "direct" && stun.type in {0x0001, 0x0101} && !icmp && !icmpv6')
    asked, answered = collections.Counter(), collections.defaultdict(set)
    for row in rows:
        version, form = ("ip", "{}:{}") if row["ip.src"] else ("ipv6", "[{}]:{}")
        source, target = (form.format(row[f"{version}.{end}"][0], row[f"udp.{end}port"][0]) for end in ("src", "dst"))
        if int(row["stun.type"][0], 0) == 1:
            asked[source, target] += 1
        else:
            answered[target, source].add(row["stun.id"][0])
    direct = [p for p in call["pairs"] if (p["local"], p["remote"]) in asked or (p["remote"], p["local"]) in asked]
    assert direct
    for pair in direct:
        for way, ends in (("out", (pair["local"], pair["remote"])), ("in", (pair["remote"], pair["local"]))):
            assert pair[way] == {"sent": asked[ends], "answered": len(answered[ends])}
        assert pair["sent"] == pair["out"]["sent"] + pair["in"]["sent"]


@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
def test_tables_fit(tshark, real, name):
    for report in ("streams", "pairs", "calls"):
        output = tshark.text(real(name), "-q", "-z", f"facetime,{report}")
        assert max(map(len, output.splitlines())) <= 160
    assert "capture clock batched" in output


def test_table_of_streams_is_the_json(tshark):
    capture = support.TEST_CAPTURES / generate.file_name("facetime-dropmidcall")
    lines = tshark.lines(capture, "-q", "-z", "facetime,streams")
    rows = [line.split() for line in lines if re.search(r"0x[0-9a-f]{8}", line)]
    found = streams(tshark, capture)
    assert len(rows) == len(found)
    for row, stream in zip(rows, found):
        assert row[:3] == [str(stream["call"]), stream["direction"], stream["medium"]]
        assert int(row[4], 0) == stream["ssrc"]
        assert row[5:8] == [str(stream[key]) for key in ("packets", "lost", "copies")]
        assert row[-1] == stream["clock"]


def test_filter_leaves_the_streams_of_its_packets(tshark):
    capture = support.TEST_CAPTURES / generate.file_name("facetime-dropmidcall")
    every = streams(tshark, capture)
    one = every[2]
    assert streams(tshark, capture, f"rtp.ssrc=={one['ssrc']:#x}") == [one]
    assert streams(tshark, capture, f"rtp.ssrc=={one['ssrc']:#x}", two_pass=True) == [one]
    assert streams(tshark, capture, "facetime.call==2") == [s for s in every if s["call"] == 2]
    assert streams(tshark, capture, "dns") == []


def test_relays_of_calls(tshark, real):
    """Server, channels, allocations: of 2015 bound and asked for, of 2023 the one channel, asked for inside QUIC."""
    call, = reports(tshark, support.TEST_CAPTURES / generate.file_name("facetime-caller"))["calls"]
    assert call["relay"] == [{"server": "17.155.5.251:16385", "channels": [0x4002], "allocations": 1}]
    call, = reports(tshark, real("facetime-2023-cellular.pcapng"))["calls"]
    assert call["relay"] == [{"server": "17.249.172.172:3489", "channels": [0x6000], "allocations": 0}]


@pytest.mark.parametrize("name", ["calls", "streams"])
def test_search_engines_get_a_mapping_of_records(name):
    done = subprocess.run([sys.executable, support.ROOT / "tools" / "elastic-mapping", "--records",
                           support.ROOT / "docs" / f"{name}.schema.json"], capture_output=True, text=True, check=True)
    properties = json.loads(done.stdout)["mappings"]["properties"]
    assert set(properties) == set(SCHEMAS[name]["items"]["properties"])
    if name == "calls":
        assert properties["start_time"] == {"type": "date"}
        assert properties["setup"]["properties"]["invite"]["properties"]["seconds"] == {"type": "double"}
    else:
        assert properties["ssrc"] == {"type": "long"} and properties["inside_quic"] == {"type": "boolean"}
        assert properties["series"]["properties"]["frames"] == {"type": "long"}


# --- streams made by hand ---------------------------------------------------------------------------------------------
# Legacy: the extension that only FaceTime has (profile 0x4400, two words) proves them.

def rtp(sequence, ticks, payload_type=104, ssrc=0x1234, size=60, marker=False):
    return struct.pack("!BBHII", 0x90, payload_type | marker << 7, sequence & 0xFFFF, ticks & 0xFFFFFFFF, ssrc) \
        + bytes.fromhex("4400 0002 00000001 00000000") + bytes(range(size))


def audio(count, first=0, **changes):
    """[(seconds, payload)]: 20 ms each."""
    return [(n / 50, rtp(n, n * CLOCK // 50, **changes)) for n in range(first, first + count)]


def sent(make_capture, packets):
    return make_capture([Datagram(*PHONE, *PEER, payload, time=time) for time, payload in packets])


def test_counts_of_a_steady_stream(make_capture, tshark):
    stream, = streams(tshark, sent(make_capture, audio(500)))
    assert (stream["packets"], stream["lost"], stream["reordered"], stream["copies"]) == (500, 0, 0, 0)
    assert stream["bytes"] == 500 * len(rtp(0, 0))
    assert stream["duration"] == pytest.approx(9.98) and stream["clock"] == "capture"
    assert stream["bitrate"] == pytest.approx(8 * stream["bytes"] / 9.98, rel=1e-4)
    assert stream["jitter"]["max"] < 0.01
    assert [row["packets"] for row in stream["series"]] == 10 * [50]


def test_losses_and_bursts(make_capture, tshark):
    packets = [p for n, p in enumerate(audio(500)) if n not in {10, 100, 101, 102, 499 - 5}]
    stream, = streams(tshark, sent(make_capture, packets))
    assert stream["lost"] == 5 and stream["loss_bursts"] == {"count": 3, "longest": 3}
    assert [row["lost"] for row in stream["series"]] == [1, 0, 3, 0, 0, 0, 0, 0, 0, 1]


def test_a_restart_is_no_loss(make_capture, tshark):
    packets = audio(200) + [(n / 50, rtp(n + 30000, n * CLOCK // 50)) for n in range(200, 400)]
    stream, = streams(tshark, sent(make_capture, packets))
    assert (stream["packets"], stream["lost"]) == (400, 0)
    assert stream["duration"] == pytest.approx(7.98)


def test_jitter_by_hand(make_capture, tshark):
    """Every other packet 8 ms late: |D| is 8 ms each time, so J goes to 8."""
    packets = [(time + 0.008 * (n % 2), payload) for n, (time, payload) in enumerate(audio(500))]
    stream, = streams(tshark, sent(make_capture, packets))
    assert stream["jitter"]["max"] == pytest.approx(8, abs=0.01)
    j, total = 0, 0
    for _ in range(499):
        j += (8 - j) / 16
        total += j
    assert stream["jitter"]["mean"] == pytest.approx(total / 499, abs=0.01)


def test_batched_clock_gives_no_jitter(make_capture, tshark):
    packets = [(1 + int(time) + 0.0001 * (n % 50), payload) for n, (time, payload) in enumerate(audio(500))]
    capture = sent(make_capture, packets)
    stream, = streams(tshark, capture)
    assert stream["clock"] == "media" and stream["jitter"] is None
    assert stream["duration"] == pytest.approx(9.98)
    call, = reports(tshark, capture)["calls"]
    assert "capture_clock_batched" in {f["code"] for f in call["findings"]}


def pictures(times, clock=90000, ssrc=0x77):
    """Video of two packets a picture."""
    packets, sequence = [], 0
    for time in times:
        for half in (0, 1):
            packets.append((time + half / 1000, rtp(sequence, round(time * clock), 126, ssrc, marker=bool(half))))
            sequence += 1
    return packets


@pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
def test_freezes(make_capture, tshark, two_pass):
    """30 pictures a second, but 0.5 s without one, 0.19 s (more than 33 + 150 ms), 0.17 s (less)."""
    times = [n / 30 for n in range(300)]
    for at, pause in ((60, 0.5), (120, 0.19), (200, 0.17)):
        times[at:] = [time + pause - 1 / 30 for time in times[at:]]
    capture = sent(make_capture, pictures(times))
    stream, = streams(tshark, capture, two_pass=two_pass)
    assert [(f["frame"], round(f["length"], 2)) for f in stream["freezes"]] == [(121, 0.5), (241, 0.19)]
    assert stream["frames"] is None and stream["medium"] == "video"
    rows = tshark.rows(capture, "frame.number", "facetime.freeze", filter="facetime.freeze", two_pass=two_pass)
    assert [(r["frame.number"], round(float(r["facetime.freeze"][0]), 2)) for r in rows] == [(["121"], 0.5),
                                                                                           (["241"], 0.19)]


def test_many_timestamps_far_apart(make_capture, tshark):
    """A sender that lies: timestamps anywhere. Rows are bounded, nothing hangs, all is counted."""
    packets = [(n / 50, rtp(n, n * 0x11111111)) for n in range(300)]
    stream, = streams(tshark, sent(make_capture, packets))
    assert stream["packets"] == 300 and len(stream["series"]) <= 3600
    jsonschema.validate([stream], SCHEMAS["streams"])


def test_long_series_are_folded(make_capture, tshark):
    """Two hours of a packet each second: rows of two seconds."""
    packets = [(n, rtp(n, n * CLOCK)) for n in range(7200)]
    stream, = streams(tshark, sent(make_capture, packets))
    assert len(stream["series"]) == 3600 and {row["packets"] for row in stream["series"]} == {2}
    assert [row["t"] for row in stream["series"][:3]] == [0, 2, 4]


# --- RTCP ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
def test_round_trip_of_rtcp(make_capture, tshark, two_pass):
    """The device's sender report is answered 150 ms later; the peer held it for 50 ms. The other way nothing is measured."""
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x1234, 0x83AA7E80, 0x40000000, 0, 0, 0)
    block = struct.pack("!BBHII4xIIII", 0x81, 201, 7, 0x9999, 0x1234, 0, 0, 0x7E804000, round(0.05 * 65536))
    own = struct.pack("!BBHII4xIIII", 0x81, 201, 7, 0x1234, 0x9999, 0, 0, 0x7E804000, 0)
    packets = [Datagram(*PHONE, *PEER, payload, time=time) for time, payload in audio(200)]
    packets += [Datagram(*PHONE, *PEER, report, time=4.0), Datagram(*PEER, *PHONE, block, time=4.150),
                Datagram(*PHONE, *PEER, own, time=4.2)]
    capture = make_capture(packets)
    assert [float(v) for v in tshark.values(capture, "facetime.rtt", two_pass=two_pass)] == pytest.approx([0.1], abs=1e-4)
    stream, = streams(tshark, capture, two_pass=two_pass)
    assert stream["rtt"]["basis"] == "rtcp" and stream["rtt"]["median"] == pytest.approx(100, rel=0.01)


def test_rtcp_cut_short_or_lying(make_capture, tshark):
    """At each length, to a phone of its own."""
    packets, cuts = [], range(1, 60, 3)
    for n, cut in enumerate(cuts):
        phone, peer, ssrc = (f"192.168.1.{100 + n}", PHONE[1]), (f"198.51.100.{100 + n}", PEER[1]), 0x1234 + n
        block = struct.pack("!BBHII4xIIII", 0x9F, 201, 0xFFFF, 0x9999, ssrc, 0, 0, 1, 2)
        packets += [Datagram(*phone, *peer, payload, time=10 * n + time) for time, payload in audio(10, ssrc=ssrc)]
        packets.append(Datagram(*peer, *phone, (2 * block)[:cut], time=10 * n + 1))
    capture = make_capture(packets)
    assert len(streams(tshark, capture)) == len(cuts)
    assert tshark.count(capture, "facetime.rtt") == 0


# --- no clock at all --------------------------------------------------------------------------------------------------

def test_no_clock_no_rates(make_capture, tshark):
    """A payload type whose clock nobody knows, where the device's other media shows frame times to be batched."""
    def batched(time):
        return 1 + int(time) + (time % 1) / 200
    packets = [(batched(time), payload) for time, payload in audio(500)]
    packets += [(batched(time) + .00001, rtp(n, n * 777, payload_type=99, ssrc=0x99)) for n, (time, _) in enumerate(audio(500))]
    known, unknown = sorted(streams(tshark, sent(make_capture, sorted(packets))), key=lambda s: -s["ssrc"])
    assert known["clock"] == "media" and known["duration"] == pytest.approx(9.98)
    assert unknown["packets"] == 500 and unknown["medium"] is None
    assert [unknown[key] for key in ("clock", "duration", "bitrate", "jitter")] == 4 * [None] and unknown["series"] == []
