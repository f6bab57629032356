# SPDX-License-Identifier: GPL-2.0-or-later
"""Telephony > VoIP Calls, its flow sequence, and RTP Streams: what the GUI shows there, asked of sharkd."""

import collections
import json
import re
import shutil
import subprocess

import pytest

import generate
import support
from scenario import media_of

DEVICE, PEER, RELAY = "192.168.1.10", "198.51.100.20", "17.155.5.251"     # of rtp-both-paths


def capture_of(name):
    return support.TEST_CAPTURES / generate.file_name(name)


@pytest.fixture(scope="module")
def sharkd(tshark):
    """sharkd(capture name, taps, prefs): the result of each tap."""
    program = shutil.which("sharkd")
    if tshark.version < (4, 4) or not program:
        pytest.skip("sharkd of Wireshark 4.4 or later is needed: that of 4.0 has no voip-calls")

    def ask(name, *taps, prefs=None):
        requests = [("setconf", {"name": k, "value": v}) for k, v in (prefs or {}).items()]
        requests += [("load", {"file": str(tshark._readable(capture_of(name)))})]
        requests += [("tap", {"tap0": tap}) for tap in taps]
        lines = [json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
                 for number, (method, params) in enumerate(requests, 1)]
        done = subprocess.run([*tshark.command, program, "-"], input="\n".join(lines) + "\n", env=tshark.environment,
                              cwd=tshark.home, capture_output=True, text=True, timeout=support.TIME_LIMIT)
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert [answer["id"] for answer in answers if "result" in answer] == list(range(1, len(lines) + 1)), done
        return [answer["result"]["taps"][0] for answer in answers[-len(taps):]]
    return ask


def calls(sharkd, name):
    return sharkd(name, "voip-calls")[0]["calls"]


def told(call):
    return tuple(call[key] for key in ("protocol", "from", "to", "state", "comment"))


def flow(sharkd, name, *numbers):
    return sharkd(name, "voip-convs:" + ",".join(map(str, numbers)))[0]["convs"]


def ends(stream):
    return stream["saddr"], stream["sport"], stream["daddr"], stream["dport"]


def packets_of(media):
    """{SSRC: packets} by the comments of the flow's items. Stock makes one item of a sender's packets on both paths."""
    count = collections.Counter()
    for item in media:
        packets, ssrc = re.search(r"(\d+) packets.*SSRC: 0x([0-9A-F]+)", item["comment"]).groups()
        count[int(ssrc, 16)] += int(packets)
    return count


def packets_written(truth):
    return collections.Counter(rtp["ssrc"] for frame in truth.values() for rtp in media_of(frame))


def test_a_legacy_call(sharkd):
    """Beside stock's entry of the SIP dialog, with the far end's address, not the relay's."""
    entries = {call["protocol"]: call for call in calls(sharkd, "rtp-both-paths")}
    ways = [frame["path"] for frame in generate.build("rtp-both-paths").truth.values() if frame["kind"] == "rtp"]
    ways = ", then ".join(dict.fromkeys(ways))
    assert ways in ("relay, then direct", "direct, then relay")
    assert told(entries["FaceTime"]) == ("FaceTime", f"{DEVICE}:16402", f"{PEER}:16402", "COMPLETED",
                                         f"{ways}; AAC-ELD and Opus (inferred); ended by BYE")
    assert entries["SIP"]["state"] == "COMPLETED"
    assert set(entries) == {"FaceTime", "SIP"}


def test_calls_in_sequence(sharkd):
    entries = [call for call in calls(sharkd, "calls-in-sequence") if call["protocol"] == "FaceTime"]
    assert [call["state"] for call in entries] == ["COMPLETED"] * 3
    truth = generate.build("calls-in-sequence").truth.values()
    starts = [next(f["time"] for f in truth if f["call"] == number) for number in (1, 2, 3)]
    assert [call["start_time"] for call in entries] == pytest.approx(starts)


def test_a_modern_call(sharkd):
    """No end is in the file, so it goes on."""
    assert [told(call) for call in calls(sharkd, "modern-call")] == [
        ("FaceTime", f"{DEVICE}:16393", f"{PEER}:16393", "IN CALL",
         "relay, then direct; AAC-ELD and HEVC; no end in this file")]


def test_flow_of_a_legacy_call(sharkd):
    """Both entries chosen: each STUN and SIP message once, and media by its codec's name."""
    truth = generate.build("rtp-both-paths").truth
    items = flow(sharkd, "rtp-both-paths", 0, 1)
    messages = {n for n, frame in truth.items() if frame["kind"] in ("stun", "turn", "sip")}
    shown = [item["frame"] for item in items if truth[item["frame"]]["kind"] != "rtp"]
    assert sorted(shown) == sorted(messages)
    labels = {truth[item["frame"]]["kind"]: set() for item in items}
    for item in items:
        labels[truth[item["frame"]]["kind"]].add(item["label"].strip())
    assert labels["stun"] <= {"Check", "Check, nominated", "Check answered"} and "Check, nominated" in labels["stun"]
    assert {"Allocate", "Allocated", "Bind channel", "Channel bound"} <= labels["turn"]
    assert {"INVITE", "200", "ACK", "BYE"} <= {label.split()[0] for label in labels["sip"]}
    media = [item for item in items if truth[item["frame"]]["kind"] == "rtp"]
    assert {item["label"].strip() for item in media} == {"SRTP (AAC-ELD)", "SRTP (Opus)"}
    assert packets_of(media) == packets_written(truth)


def test_flow_of_a_modern_call(sharkd):
    """There is no SIP to hang media on: it hangs on the call."""
    truth = generate.build("modern-call").truth
    items = flow(sharkd, "modern-call", 0)
    media = [item for item in items if truth[item["frame"]]["kind"] == "rtp"]
    assert {item["label"].strip() for item in media} == {"SRTP (AAC-ELD)", "SRTP (HEVC)"}
    assert packets_of(media) == packets_written(truth)
    assert {"Check", "Check answered", "Connection data ack", "Control message"} <= {item["label"] for item in items}


@pytest.mark.parametrize("name", ["rtp-both-paths", "modern-call", "modern-2026"])
def test_rtp_streams(name, sharkd):
    """A stream each way and SSRC, all packets of it, none lost."""
    truth = generate.build(name).truth
    expected = {}
    for frame in truth.values():
        for rtp in media_of(frame):
            key = (rtp["ssrc"], *frame["src"], *frame["dst"])
            expected[key] = expected.get(key, 0) + 1
    streams = sharkd(name, "rtp-streams")[0]["streams"]
    assert {(int(s["ssrc"], 16), *ends(s)): s["pkts"] for s in streams} == expected
    assert all(name.strip() in ("AAC-ELD", "Opus", "HEVC", "H264") for s in streams for name in s["payload"].split(","))


def test_the_peer_instead_of_the_relay(sharkd):
    def far_ends(**how):
        return {stream["daddr"] for stream in sharkd("rtp-both-paths", "rtp-streams", **how)[0]["streams"]}

    assert far_ends() == {RELAY, PEER}
    assert far_ends(prefs={"facetime.show_peer": "TRUE"}) == {PEER}


def test_streams_of_tshark(tshark):
    """In every version. The preference is heeded here too."""
    def far_ends(**how):
        lines = tshark.lines(capture_of("rtp-both-paths"), "-q", "-z", "rtp,streams", **how)
        rows = [line.split() for line in lines if "0x" in line]
        assert all("AAC-ELD" in line for line in lines if "0x" in line)
        return {row[4] for row in rows}

    assert far_ends() == {RELAY, PEER}
    assert far_ends(prefs={"facetime.show_peer": True}) == {PEER}


@pytest.mark.parametrize("name", ["gamekit", "gamekit-relayed", "ice-only"])
def test_no_calls(sharkd, name):
    """Games, and checks of which nobody knows what they are for, are in no list of calls."""
    assert calls(sharkd, name) == []
