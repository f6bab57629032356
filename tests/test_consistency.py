# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker of captures (consistency.py, tools/check-capture): what it counts in the real captures, and
that each of its facts can fail, at the right frame."""

import os
import re
import subprocess
import sys

import pytest

import consistency
import support

UUIDS = ("8223ac97-8cc7-488d-a6ea-86b60e6b56c5", "988f5763-f04b-41ca-bbe9-3c28c7414192")
HERE, THERE = ("10.0.0.2", 16393), ("17.249.172.142", 3482)


# ---- the real captures, by the counts of the format's description ----

# Each fact that can be judged there, and in how many cases; None: not told elsewhere, but there are some.
CELLULAR = {
    "datagrams of FaceTime's flows have a kind": 2501 + 51 + 67 + 1 + 3 + 67 + 400 + 123 + 2,
    "FaceTime packets are not malformed": 2501 + 51 + 67 + 1 + 3 + 67 + 400 + 123 + 2,
    "relay header: length is the datagram's": 2620,
    "relay header: parses to a known body": 2620,
    "relay header: flags give its length (empty, link, HBH, control)": 51 + 67 + 1,
    "relay header: link bit on link messages alone": 67,
    "relay header: link ids were announced": None,
    "relay header: session version never falls": None,
    "RTP: key id (MKI) is a v4 UUID": 2501,
    "RTP: one key id for each stream": 2501 - 4,
    "RTP: header extension is as long as its fields": None,
    "RTP: retransmissions fill a gap": 1,
    "video: packets in frame are as many as announced": 1247,
    "video: packets of a frame agree on its number and size": 1247,
    "video: one marker for each frame": 1247,
    "video: frame sequence steps by 1": None,
    "video: probe is an audio timestamp of the same sender (one-to-one)": None,
    "link message: TLVs fill its length": 67 + 3,
    "link message: last TLV is its HMAC of 20 bytes": 67 + 3,
    "control message: key id begins a key id of RTP": 51,
    "control message: one ciphertext for each counter of a key": 51,
    "baseband: clock never falls": 399,
    "baseband: transmitted bytes never fall": 399,
    "baseband: queued and transmitted bytes never fall": 399,
}
WIFI = {
    "datagrams of FaceTime's flows have a kind": 1488 + 51 + 19 + 164 + 12 + 1 + 220,
    "FaceTime packets are not malformed": 1488 + 51 + 19 + 164 + 12 + 1 + 220,
    "relay header: length is the datagram's": 1722,
    "relay header: parses to a known body": 1722,
    "relay header: flags give its length (empty, link, HBH, control)": 51 + 19 + 164,
    "relay header: link bit on link messages alone": 19,
    "relay header: stream id is the SSRC's low half, +1 on FEC parity": None,
    "relay header: link ids were announced": None,
    "relay header: session version never falls": None,
    "relay counter: steps by 1 or 2": None,
    "relay report: echoes a counter sent before": None,
    "relay report: clock never falls": None,
    "relay report: received since the last one is what was sent, within 7": None,
    "relay report: sent since the last one is what came, within 1": None,
    "RTP: key id (MKI) is a v4 UUID": 1488,
    "RTP: one key id for each stream": 1488 - 13,
    "RTP: header extension is as long as its fields": None,
    "video: packets in frame are as many as announced": 155,
    "video: packets of a frame agree on its number and size": 155,
    "video: one marker for each frame": 155,
    "video: frame sequence steps by 1": None,
    "video: probe is an audio timestamp of the same sender (one-to-one)": None,
    "video: probe is 0 (multiway)": None,
    "FEC: source length is the payload's": None,
    "FEC: parity length is the longest of its list": None,
    "FEC: parity lists the lengths of its source packets": None,
    "FEC: parity repeats the last source packet's sequence number": None,
    "link message: TLVs fill its length": 19 + 1,
    "link message: last TLV is its HMAC of 20 bytes": 19 + 1,
    "control message: key id begins a key id of RTP": 51,
    "control message: one ciphertext for each counter of a key": 51,
}
IXIA = {
    "datagrams of FaceTime's flows have a kind": 6000,
    "FaceTime packets are not malformed": 6000,
    "RTP: header extension is as long as its fields": 6000,
}


def rows_of(tshark, capture):
    lines = tshark.text(capture, *consistency.arguments()).split("\n")[:-1]
    return consistency.judge(consistency.parse(lines))


@pytest.mark.parametrize("name, expected", [
    ("facetime-2023-cellular.pcapng", CELLULAR), ("facetime-2023-wifi-caller.pcapng", WIFI),
    ("ixia-facetime-rtp.pcap", IXIA)])
def test_real_captures_have_no_exception(tshark, real, name, expected):
    rows = rows_of(tshark, real(name))
    assert [(row.name, row.frame, row.what) for row in rows if row.holds != row.of] == []
    judged = {row.name: row.of for row in rows if row.of}
    assert set(judged) == set(expected)
    assert {fact: judged[fact] for fact, count in expected.items() if count} == {
        fact: count for fact, count in expected.items() if count}


# ---- each fact can fail ----

def packet(frame, way=(HERE, THERE), **values):
    """A packet as tshark prints it. Names of fields are written with __ for a dot; a value may be a list."""
    source, destination = way
    fields = {"frame.number": frame, "ip.src": source[0], "udp.srcport": source[1], "ip.dst": destination[0],
              "udp.dstport": destination[1], "udp.length": 100, "facetime.kind": consistency.RTP}
    fields.update({name.replace("__", "."): value for name, value in values.items()})
    unknown = set(fields) - set(consistency.FIELDS)
    assert not unknown, f"consistency.py asks tshark for no {unknown}"
    return consistency.Packet({name: [str(v) for v in (value if isinstance(value, list) else [value])]
                               for name, value in fields.items() if value is not None})


def relay(frame, f1=0, f2=0, kind=consistency.QUICKRELAY, length=2, **values):
    return packet(frame, **{"facetime__kind": kind, "quickrelay__length": length, "udp__length": length + 12,
                            "quickrelay__flags1": hex(f1), "quickrelay__flags2": hex(f2), **values})


def back(frame, **values):
    return relay(frame, way=(THERE, HERE), **values)


def rtp(frame, sequence=1, timestamp=0, ssrc=0x1234DEA2, kind=100, marker=0, mki=UUIDS[0], **values):
    return packet(frame, rtp__ssrc=hex(ssrc), rtp__seq=sequence, rtp__timestamp=timestamp, rtp__p_type=kind,
                  rtp__marker=marker, facetime_rtp__mki=mki, **values)


def video(frame, sequence, timestamp, announced, number, marker=0, **values):
    return rtp(frame, sequence, timestamp, marker=marker, facetime_rtp__video__packets_in_frame=announced,
               facetime_rtp__video__frame_sequence=number, facetime_rtp__ext__version=2, **values)


def source(frame, sequence, length, timestamp=0, marker=0, **values):
    return rtp(frame, sequence, timestamp, marker=marker, facetime_rtp__fec__index="0x0b",
               facetime_rtp__fec__length=length, **values)


def parity(frame, sequence, lengths, length=None, timestamp=0):
    return rtp(frame, sequence, timestamp, facetime_rtp__fec__index="0x08",
               facetime_rtp__fec__length=max(lengths) if length is None else length,
               facetime_rtp__fec__count=len(lengths), facetime_rtp__fec__source_length=lengths)


def report(frame, **stats):
    values = {f"quickrelay__stats__{name}": value for name, value in stats.items()}
    return back(frame, f1=0x06, length=14, **values)


def counter(frame, number):
    return relay(frame, f1=0x02, f2=0x40, length=4, quickrelay__counter=number)


def link(frame, told, *tlvs, kind=consistency.LINK, attr=0x20):
    return relay(frame, 0x80, kind=kind, length=4 + 20 + told, quickrelay__attr=hex(attr),
                 facetime_link__length=told, facetime_link__tlv__type=[number for number, _ in tlvs],
                 facetime_link__tlv__length=[length for _, length in tlvs])


def control(frame, key, number, text):
    return packet(frame, facetime__kind=consistency.CONTROL, facetime_control__key_id=key,
                  facetime_control__counter=number, facetime_control__ciphertext=text)


def baseband(frame, clock, queued, transmitted):
    return packet(frame, facetime__kind=12, baseband__clock=clock, baseband__queued=queued,
                  baseband__transmitted=transmitted)


KEY = UUIDS[0].replace("-", "")[:16]
NO_KIND = {"facetime__kind": None}

# For each fact: packets of which so many cases hold, and one that doesn't: the last one, unless another frame
# is given.
CASES = {
    "datagrams of FaceTime's flows have a kind": (2, [packet(1), packet(2), packet(3, **NO_KIND)]),
    "FaceTime packets are not malformed": (1, [packet(1), packet(2, **NO_KIND, _ws__malformed=1),
                                               packet(3, _ws__malformed=1)]),
    "relay header: length is the datagram's": (1, [relay(1), relay(2, udp__length=20)]),
    "relay header: parses to a known body": (3, [
        relay(1), relay(2, kind=consistency.RTP), relay(3, kind=consistency.LINK),
        relay(4, quickrelay__unverified=1)]),
    "relay header: flags give its length (empty, link, HBH, control)": (8, [
        relay(1), relay(2, 0x22, 0x7D, length=2 + 2 + 2 + 8 + 1 + 2 + 1 + 2),
        relay(3, 0x80, 0x02, length=2 + 2 + 7 + 1, quickrelay__attr="0x02",
              quickrelay__secondary_stream=[1, 2, 3]),
        relay(4, 0x46, 0x80, length=2 + 2 + 12 + 5, quickrelay__secondary_link=[1, 2]),
        relay(5, 0x80, length=2 + 2 + 2, quickrelay__attr="0x10"), link(6, 24, (9, 20)),
        relay(7, 0xA0, kind=consistency.HBH, length=6 + 50, quickrelay__attr="0x01"),
        relay(8, kind=consistency.CONTROL, length=2 + 11 + 3, facetime_control__ciphertext="010203"),
        relay(9, 0x08, length=3)]),
    "relay header: link bit on link messages alone": (1, [
        link(1, 24, (9, 20)), relay(2), relay(3, 0x80, quickrelay__attr="0x21", kind=consistency.HBH)]),
    "relay header: stream id is the SSRC's low half, +1 on FEC parity": (4, [
        rtp(1, quickrelay__stream="0xdea2"), rtp(2), rtp(3, ssrc=0x1FFFF, quickrelay__stream="0xffff"),
        rtp(4, quickrelay__stream="0xdea3", facetime_rtp__fec__count=3),
        rtp(5, ssrc=0x1FFFF, quickrelay__stream="0x0000", facetime_rtp__fec__count=3),
        rtp(6, quickrelay__stream="0xdea3")]),
    "relay header: link ids were announced": (2, [
        relay(1, quickrelay__link="0x5811"),
        packet(2, facetime_link__interface__link_id=["0x5811", "0x5812"]),
        relay(3, quickrelay__link="0x5812"), relay(4, quickrelay__link="0x5813")]),
    "relay header: session version never falls": (1, [
        back(1, quickrelay__session_version=2), relay(2, quickrelay__session_version=1),
        back(3, quickrelay__session_version=2), back(4, quickrelay__session_version=1)]),
    "relay counter: steps by 1 or 2": (3, [counter(1, 65533), counter(2, 65535), counter(3, 0), counter(4, 1),
                                           counter(5, 4)]),
    "relay report: echoes a counter sent before": (1, [
        report(1, echoed_counter=9), counter(2, 9), counter(3, 10), report(4, echoed_counter=9),
        report(5, echoed_counter=11)]),
    "relay report: clock never falls": (2, [
        report(1, clock=65530), report(2, clock=65530), report(3, clock=4), report(4, clock=3)]),
    "relay report: received since the last one is what was sent, within 7": (1, [
        counter(1, 1), report(2, echoed_counter=1, received=65530),
        counter(3, 2), report(4, echoed_counter=2, received=2),
        counter(5, 3), report(6, echoed_counter=3, received=11)]),
    "relay report: sent since the last one is what came, within 1": (1, [
        report(1, sent=65535), back(2, f2=0x40), back(3, f2=0x40), back(4), report(5, sent=2),
        report(6, sent=4)]),
    "RTP: key id (MKI) is a v4 UUID": (2, [
        rtp(1), rtp(2, mki=UUIDS[1]), rtp(3, mki=UUIDS[0][:14] + "1" + UUIDS[0][15:])]),
    "RTP: one key id for each stream": (1, [
        rtp(1), rtp(2, ssrc=2, mki=UUIDS[1]), rtp(3), rtp(4, mki=UUIDS[1])]),
    "RTP: header extension is as long as its fields": (1, [
        rtp(1), rtp(2, facetime_rtp__ext__profile="0x8500"),
        rtp(3, facetime_rtp__ext__profile="0x8500", facetime_rtp__bytes_left=1)]),
    "RTP: retransmissions fill a gap": (1, [
        rtp(1, 5), rtp(2, 7), rtp(3, 6, quickrelay__attr="0x0004"), rtp(4, 7, quickrelay__attr="0x0004")]),
    "video: packets in frame are as many as announced": (3, [
        video(1, 65534, 0, 2, 1), video(2, 65535, 0, 2, 1, 1), video(3, 0, 800, 2, 2), video(4, 0, 800, 2, 2),
        video(5, 1, 800, 2, 2, 1), video(6, 2, 1600, 3, 3), video(7, 3, 1600, 3, 3, 1),
        video(8, 4, 2400, 1, 4, 1)], 6),
    "video: packets of a frame agree on its number and size": (1, [
        video(1, 1, 0, 1, 1, 1), video(2, 2, 800, 2, 2), video(3, 3, 800, 2, 3, 1)], 2),
    "video: one marker for each frame": (2, [
        video(1, 1, 0, 1, 1, 1), video(2, 2, 800, 2, 2, 1), video(3, 3, 800, 2, 2, 1),
        video(4, 4, 1600, 1, 3, 1)], 2),
    "video: frame sequence steps by 1": (1, [
        video(1, 1, 0, 1, 65535, 1), video(2, 2, 800, 1, 0, 1), video(3, 3, 1600, 1, 2, 1)]),
    "video: probe is an audio timestamp of the same sender (one-to-one)": (1, [
        rtp(1, 1, 480, ssrc=7, kind=104), rtp(2, 2, 1440, ssrc=7, kind=104),
        rtp(3, 1, 960, ssrc=8, kind=104, mki=UUIDS[1]),
        *(rtp(frame, frame, facetime_rtp__video__probe=probe, facetime_rtp__ext__version=2)
          for frame, probe in ((4, 0), (5, 480), (6, 2400), (7, 960)))]),
    "video: probe is 0 (multiway)": (1, [
        *(rtp(frame, facetime_rtp__video__probe=probe, facetime_rtp__ext__version=version)
          for frame, probe, version in ((1, 0, 1), (2, 5, 2), (3, 5, 1)))]),
    "FEC: source length is the payload's": (1, [
        source(1, 1, 9), parity(2, 1, [9]), source(3, 2, 9, facetime_rtp__fec_length_mismatch=1)]),
    "FEC: parity length is the longest of its list": (1, [
        parity(1, 1, [5, 9, 7]), parity(2, 1, [5, 9, 7], length=7)]),
    "FEC: parity lists the lengths of its source packets": (1, [
        source(1, 65535, 5), source(2, 0, 6), parity(3, 0, [5, 6]), parity(4, 1, [5, 6]),
        parity(5, 0, [5, 7])]),
    "FEC: parity repeats the last source packet's sequence number": (1, [
        source(1, 5, 5), source(2, 6, 5, marker=1), parity(3, 6, [5, 5]), parity(4, 5, [5, 5])]),
    "link message: TLVs fill its length": (1, [
        link(1, 30, (1, 2), (9, 20)), link(2, 30, (1, 1), (9, 20))]),
    "link message: last TLV is its HMAC of 20 bytes": (1, [
        link(1, 30, (1, 2), (9, 20)), link(2, 30, (9, 20), (1, 2))]),
    "control message: key id begins a key id of RTP": (1, [
        rtp(1), control(2, KEY, 1, "aa"), control(3, KEY[::-1], 1, "aa")]),
    "control message: one ciphertext for each counter of a key": (3, [
        control(1, KEY, 1, "aa"), control(2, KEY, 1, "aa"), control(3, KEY, 2, "bb"),
        control(4, KEY, 1, "bb")]),
    "baseband: clock never falls": (1, [baseband(1, 5, 0, 0), baseband(2, 5, 0, 0), baseband(3, 4, 0, 0)]),
    "baseband: transmitted bytes never fall": (1, [
        baseband(1, 1, 0, 5), baseband(2, 1, 0, 6), baseband(3, 1, 2, 5)]),
    "baseband: queued and transmitted bytes never fall": (1, [
        baseband(1, 1, 9, 5), baseband(2, 1, 8, 6), baseband(3, 1, 0, 7)]),
}


def test_each_fact_has_a_case():
    assert list(CASES) == [name for name, _ in consistency.FACTS]


@pytest.mark.parametrize("name", CASES)
def test_a_fact_holds_and_fails(name):
    holds, packets, *frame = CASES[name]
    row = {row.name: row for row in consistency.judge(packets)}[name]
    assert (row.holds, row.of) == (holds, holds + 1)
    assert row.frame == (frame[0] if frame else packets[-1].frame)
    assert row.what


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if len(case) == 2])
def test_a_fact_without_the_exception_holds(name):
    _, packets = CASES[name]
    row = {row.name: row for row in consistency.judge(packets[:-1])}[name]
    assert row.holds == row.of and row.frame is None


def test_missing_packets_are_not_judged():
    """Loss and the capture's ends explain fewer packets than announced; nothing explains more."""
    packets = [video(1, 2, 0, 2, 1, 1),                             # began before the capture
               video(2, 3, 800, 3, 2), video(3, 5, 800, 3, 2, 1),   # 4 was lost
               video(4, 7, 1600, 2, 3, 1),                          # 6 was lost
               video(5, 8, 2400, 1, 4, 1),
               video(6, 9, 3200, 2, 5)]                             # ends after the capture
    rows = {row.name: row for row in consistency.judge(packets)}
    assert rows["video: packets in frame are as many as announced"][1:3] == (1, 1)
    assert rows["video: one marker for each frame"][1:3] == (4, 4)
    packets.append(video(7, 10, 3200, 1, 5, 1))
    packets[5] = video(6, 9, 3200, 1, 5)
    rows = {row.name: row for row in consistency.judge(packets)}
    assert rows["video: packets in frame are as many as announced"][1:4] == (1, 2, 6)


def test_quoted_datagrams_are_left_out():
    """What an ICMP error quotes was sent once already."""
    quoted = packet(2, icmp__type=3, **NO_KIND)
    rows = {row.name: row for row in consistency.judge([packet(1), quoted])}
    assert rows["datagrams of FaceTime's flows have a kind"][1:3] == (1, 1)


# ---- as a command ----

def lines_of(*packets):
    rows = [[consistency.VALUE.join(p.values.get(name, ())) for name in consistency.FIELDS] for p in packets]
    return "".join(consistency.FIELD.join(row) + "\n" for row in rows)


def run(text, *arguments):
    return subprocess.run([sys.executable, consistency.__file__, *arguments], input=text, capture_output=True,
                          text=True)


def test_table_and_exit_status():
    done = run(lines_of(packet(1), packet(2)))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["fact", "holds", "of", "first", "exception"]
    assert len(lines) == 1 + len(consistency.FACTS)
    assert re.fullmatch(r"datagrams of FaceTime's flows have a kind +2 +2", lines[1])
    assert sum(line.endswith("(nothing to judge)") for line in lines) == len(consistency.FACTS) - 2

    done = run(lines_of(packet(1), packet(77, **NO_KIND)))
    assert (done.returncode, done.stderr) == (1, "")
    assert re.fullmatch(r"datagrams of FaceTime's flows have a kind +1 +2  frame 77: no facetime.kind",
                        done.stdout.splitlines()[1])


def test_a_capture_without_facetime_is_no_pass():
    done = run("")
    assert len(done.stdout.splitlines()) == 1 + len(consistency.FACTS) + 1
    assert "is there FaceTime in this capture?" in done.stdout.splitlines()[-1]


def test_arguments_are_what_tshark_takes(tshark, own_fields):
    arguments = run("", "--arguments").stdout.split("\n")[:-1]
    assert arguments == consistency.arguments()
    known = {*tshark.field_types, *tshark.protocols}
    assert not [name for name in consistency.FIELDS if name not in known]
    assert [name for name in consistency.FIELDS if name in own_fields]


BUILD = support.PLUGIN.parent


@pytest.mark.skipif(not (BUILD / "CMakeCache.txt").is_file(), reason="the plugin isn't in its build folder")
@pytest.mark.skipif("FACETIME_PRELOAD" in os.environ, reason="sanitizers need a preload")
@pytest.mark.parametrize("name, status", [("facetime-caller", 0), ("modern-damaged", 1)])
def test_one_command_for_users(name, status):
    command = [support.ROOT / "tools" / "check-capture", support.TEST_CAPTURES / f"{name}.pcapng"]
    environment = {**os.environ, "BUILD_DIR": str(BUILD)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + len(consistency.FACTS)
    assert any(re.search(r"frame \d+: ", line) for line in lines[1:]) == bool(status)
    assert int(lines[1].split()[-1]) > 10
