# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark -z facetime,calls and -z facetime,timeline: every capture's calls against what the generator knows, text
against JSON, filters, and the story of the report's session 5."""

import collections
import functools
import json
import random
import re
import subprocess

import pytest

import generate
import support
import test_truth
from scenario import elements_of
from wire import sip

SESSION_5 = "facetime-dropmidcall"
LOCAL = {generate.build(name).name: generate.build(name).local for name in generate.CAPTURES}
each_capture = pytest.mark.parametrize("name", generate.CAPTURES)

# Frames that may be left to stock, so that packets can't be counted.
OPEN = [name for name in generate.CAPTURES if name not in test_truth.MID_CALL
        and any(frame.get("unproven") for frame in generate.build(name).truth.values())]


def path(name):
    return support.TEST_CAPTURES / generate.file_name(name)


def told(tshark, name, report="calls", filter=None, **how):
    """The report as JSON, read."""
    if not filter:
        return all_reports(tshark, name, **how)[report, "json"]
    return json.loads(tshark.text(path(name), "-q", "-z", f"facetime,{report},json,{filter}", **how))


def text(tshark, name, report="calls", filter=None, **how):
    if not filter:
        return all_reports(tshark, name, **how)[report, "text"]
    return tshark.text(path(name), "-q", "-z", f"facetime,{report},{filter}", **how)


def all_reports(tshark, name, **how):
    """{(report, form): it}, of one run."""
    options = [f"facetime,{report}{form}" for report in ("calls", "timeline") for form in ("", ",json")]
    output = tshark.text(path(name), "-q", *(word for option in options for word in ("-z", option)), **how)
    found = {}
    for block in re.split(r"^(?=\[|\nFaceTime )", output, flags=re.MULTILINE):
        if block.startswith("["):
            data = json.loads(block)
            found["timeline" if data and "events" in data[0] else "calls", "json"] = data
        elif block:
            found["timeline" if block.startswith("\nFaceTime timeline") else "calls", "text"] = block
    found.setdefault(("timeline", "json"), found["calls", "json"])      # of no call, both are []
    return found


# --- what the generator wrote --------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def frames_of_calls(name):
    """{number of the call: its frames}. Of captures that begin in mid-call, from where media can be known for media."""
    cap = generate.build(name)
    frames = [frame for frame in cap.truth.values() if not (name in OPEN and frame.get("unproven"))]
    if name in test_truth.MID_CALL:
        frames = [frame for frame, _ in test_truth.after_agreement([(frame, None) for frame in frames])]
    calls = collections.defaultdict(list)
    for frame in frames:
        if frame["call"] is not None:
            calls[frame["call"]].append(frame)
    return dict(calls)


def listed_calls(name):
    """Those that `calls` has: a session of direct checks alone is in the timeline only, and so is one that turns out to be a
    game, whose messages come after what it began with and before anything else begins."""
    calls = frames_of_calls(name)
    starts = sorted(of[0]["number"] for of in calls.values())
    games = [f["number"] for f in generate.build(name).truth.values() if f["kind"] == "gamekit"]

    def is_listed(of):
        after = next((start for start in starts if start > of[0]["number"]), float("inf"))
        return any(f["kind"] not in ("stun", "data") or f["path"] == "relay" for f in of) and not any(
            of[0]["number"] < game < after for game in games)
    return {number: of for number, of in calls.items() if is_listed(of)}


def end(addr):
    """As the reports write an address and a port."""
    return ("[{}]:{}" if ":" in addr[0] else "{}:{}").format(*addr)


def device(name, frames):
    """(address, port) of the device that the call is seen at first."""
    first = frames[0]
    return first["src"] if first["src"][0] in LOCAL[name] else first["dst"]


def is_from(frame, here):
    """Whether the device at `here` sent it: what comes to it is the peer's, or the relay's."""
    return frame["dst"][0] != here[0]


def named_end(cap, frames, here):
    """Whom SIP in a relay's channel names: the host of the URI that isn't the sender's own side, if it is public."""
    for f in frames:
        if not f.get("sip") or f["path"] != "relay":
            continue
        to_far_end = is_from(f, here) == (f["sip"]["status"] is None)
        header = b"(?:To|t)" if to_far_end else b"(?:From|f)"
        uri = re.search(rb"\r\n" + header + rb": .*?sip:\w+@([\d.]+):(\d+)", cap.packets[f["number"] - 1][1])
        if uri and not re.match(rb"10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.", uri[1]):
            return [(uri[1].decode(), int(uri[2]))]
    return []


def far_end(cap, frames, here):
    """Who sends media directly; else who is behind the relay's channel; else who answers a check; else whom SIP names."""
    for found in ([f["src"] for f in frames if f["kind"] == "rtp" and f["path"] == "direct" and not is_from(f, here)],
                  [f["binds"]["peer"] for f in frames if "binds" in f],
                  [f["peer"] for f in frames if f.get("indication") and f.get("peer")],
                  [f["src"] for f in frames if f["kind"] == "stun" and f["stun"]["class"] == "success"
                   and not is_from(f, here)],
                  named_end(cap, frames, here)):
        if found:
            return found[0]
    return None


def sips(frames, method, status=None):
    return [f for f in frames if f.get("sip") and (f["sip"]["method"], f["sip"]["status"]) == (method, status)]


def reason(cap, frame):
    return re.search(rb"\r\nReason: (.*)\r\n", cap.packets[frame["number"] - 1][1])[1].decode()


def numbers(frames):
    return {"packets": len(frames), "first_frame": frames[0]["number"], "last_frame": frames[-1]["number"]}


def unwrapped(sequences):
    """Sequence numbers that go on beyond 65535: each nearest to the highest before (RFC 3550, A.1)."""
    highest = sequences[0]
    for sequence in sequences:
        step = (sequence - highest + 0x8000) % 0x10000 - 0x8000
        yield highest + step
        highest = max(highest, highest + step)


def is_parity(frame):
    return frame.get("fields", {}).get("facetime_rtp.fec.parity") == [1]


def rtp_packets(frames):
    """Each RTP packet as if it had a frame of its own: a relay's datagram may hold several."""
    return [{**frame, **element} for frame in frames for element in elements_of(frame) if "rtp" in element]


def streams(frames, here):
    """Of each SSRC as it goes out of the device or comes in, in order of their first packets. FEC's parity packets have
    sequence numbers of their own."""
    media = collections.defaultdict(list)
    for frame in rtp_packets(frames):
        if not is_parity(frame):
            media[frame["rtp"]["ssrc"], "out" if is_from(frame, here) else "in"].append(frame)
    found = []
    for (ssrc, direction), of in media.items():
        sequences = list(unwrapped([f["rtp"]["seq"] for f in of]))
        different = set(sequences)
        found.append({
            "ssrc": ssrc, "direction": direction, "payload_types": sorted({f["rtp"]["pt"] for f in of}),
            **numbers(of), "packets": len(different), "copies": len(sequences) - len(different),
            "lost": max(sequences) - sequences[0] + 1 - len([s for s in different if s >= sequences[0]])})
    return found


def expected_call(name, number, frames):
    """The call as the JSON has it, but for codecs' names."""
    cap, here = generate.build(name), device(name, frames)
    quic = [f for f in frames if f.get("fields", {}).get("facetime.quic_media") == [1]]
    media = sorted(rtp_packets(frames) + quic, key=lambda f: f["number"])
    call = {
        "call": number, "start": frames[0]["time"],
        "duration": frames[-1]["time"] - frames[0]["time"], **numbers(frames), "local": end(here),
        "paths": [{"path": way, **numbers(of)} for way in ("relay", "direct")
                  if (of := [f for f in media if f["path"] == way])],
        "streams": streams(frames, here),
    }
    generations = {f["generation"] for f in frames}     # iChat AV's SIP tells what STUN doesn't
    call["generation"] = "ichat" if "ichat" in generations else frames[0]["generation"]
    far, invites, byes = far_end(cap, frames, here), sips(frames, "INVITE"), sips(frames, "BYE")
    if far:
        call["remote"] = end(far)
    if invites:
        sender = invites[0]
        call["offer_from"] = end(sender["src"] if sender["path"] == "direct" or is_from(sender, here)
                                 else sender["peer"])
    if byes:
        call["end_frame"], call["end"] = byes[0]["number"], "BYE, " + reason(cap, byes[0])
    call["state"] = ("answered" if sips(frames, "INVITE", 200) else "media" if media else "ended" if byes
                     else "set-up only")
    if number in cap.restarts:
        call["restart_of"] = number - 1
    return call


# --- every capture -------------------------------------------------------------------------------------------------

@each_capture
def test_number_of_calls(tshark, name):
    assert [call["call"] for call in told(tshark, name)] == sorted(listed_calls(name))
    assert sorted(frames_of_calls(name)) == list(range(1, len(frames_of_calls(name)) + 1))


@pytest.mark.parametrize("name", [name for name in generate.CAPTURES if name not in OPEN])
def test_calls_are_the_generators(tshark, name):
    """Ends, paths, streams, losses, how each call ended."""
    expected = [expected_call(name, number, of) for number, of in sorted(listed_calls(name).items())]
    calls = told(tshark, name)
    for call in calls:
        for key in ("mode", "participants", "links",    # test_modern_far_end
                    "schema", "start_time", "clock", "capture_points", "setup", "pairs", "addresses", "relay", "sdp",
                    "findings",                         # test_quality, test_streams, test_findings
                    "call_key", "keys",                 # test_keys
                    "merged"):                          # test_merged_calls
            call.pop(key, None)
        call["streams"] = [s for s in call["streams"] if not s.get("inside_quic")]      # test_quic_media
        for stream in call["streams"]:
            del stream["codecs"]
            stream.pop("sender", None)
    assert calls == [to_the_microsecond(call) for call in expected]


def to_the_microsecond(call):
    """The same call, but that times need only be right to the microsecond."""
    return {key: pytest.approx(value, abs=1.5e-6) if key in ("start", "duration") else value
            for key, value in call.items()}


@pytest.mark.parametrize("name", OPEN)
def test_calls_of_captures_with_open_frames(tshark, name):
    for call, (number, of) in zip(told(tshark, name), sorted(frames_of_calls(name).items()), strict=True):
        expected = expected_call(name, number, of)
        for key in ("call", "generation", "local", "state", "end", "end_frame"):
            assert call.get(key) == expected.get(key), key


def test_losses_and_copies_are_those_made(tshark):
    """The capture's lists of what was left out, and the truth about what was sent twice."""
    cap = generate.build("loss-reorder-duplicates")
    told_streams = {stream["direction"]: stream for stream in told(tshark, cap.name)[0]["streams"]}
    for direction, who in (("out", "client"), ("in", "peer")):
        assert told_streams[direction]["lost"] == len(cap.groups[f"lost sequence numbers of the {who}"]) > 0
        assert told_streams[direction]["copies"] == sum(
            "duplicate_of" in f and f["sender"] == who for f in cap.truth.values()) > 0


def test_codecs_have_names(tshark):
    """Payload types 104, 119 and 123 are what docs/protocol.md says of them: of 119, nobody knows it in 2015."""
    named = {"out": [], "in": []}
    for stream in told(tshark, "facetime-caller")[0]["streams"]:
        named[stream["direction"]].append((stream["payload_types"], stream["codecs"]))
    assert named["out"] == named["in"] == [([104, 119], ["AAC-ELD", "Opus (inferred)"]), ([123], ["H264"])]


@pytest.fixture(scope="module")
def mapped():
    """A call of 2010 whose SDP says a=rtpmap:119 X-AAC_ELD; its audio is of 104 and 119."""
    frames = [data for _, data in generate.build("sip-uncompressed").packets]
    for name, by in ((b"a=rtpmap:105 ", b"a=rtpmap:119 "), (b"RTP/AVP 105 ", b"RTP/AVP 119 ")):
        assert sum(name in data for data in frames) == 2
        frames = [data.replace(name, by) for data in frames]
    return support.make_capture(frames)


def test_codecs_are_those_of_the_calls_sdp(tshark, mapped):
    """In each report as in the packets, whatever FaceTime's own use of the number is."""
    rows = tshark.rows(mapped, "rtp.p_type", "facetime_rtp.codec", filter="rtp")
    assert {(*row["rtp.p_type"], *row["facetime_rtp.codec"]) for row in rows} == {
        ("104", "AAC-ELD"), ("119", "X-AAC_ELD")}
    call, = json.loads(tshark.text(mapped, "-q", "-z", "facetime,calls,json"))
    assert [stream["codecs"] for stream in call["streams"]] == [["AAC-ELD", "X-AAC_ELD"]] * 2
    assert "AAC-ELD/X-AAC_ELD " in tshark.text(mapped, "-q", "-z", "facetime,streams")
    tree = tshark.text(mapped, "-q", "-z", "facetime,tree")
    assert "119 X-AAC_ELD" in tree and "104 AAC-ELD" in tree and "Opus" not in tree


@each_capture
def test_events_stand_where_packets_have_them(tshark, name):
    """The timeline has the events of facetime.event, no more and no less, under the call of their packet. Of a call that
    is found to be an earlier one, later, it leaves out what is told once and the earlier one had told."""
    rows = tshark.rows(path(name), "frame.number", "facetime.call", "facetime.event", two_pass=True,
                       filter="facetime.event and facetime.call")
    # a packet that leads to a call, and is found to by two, is told in the one it names
    expected = collections.Counter((int(row["facetime.call"][-1]), int(row["frame.number"][0]), event)
                                   for row in rows for event in row["facetime.event"])
    found = collections.Counter((call["call"], event["frame"], event["event"])
                                for call in told(tshark, name, "timeline") for event in call["events"])
    assert not found - expected
    in_two = {int(row["frame.number"][0]) for row in rows if len(row["facetime.call"]) == 2}
    for call, frame, event in expected - found:
        assert event in ("call_started", "legacy_username") and frame in in_two
        assert any(c == call and e == event and f < frame for c, f, e in found)


def test_merged_calls(tshark):
    """Both devices on one network: the second device's call is the first's, found when a check gets through."""
    assert [call.get("merged") for call in told(tshark, "facetime-samenet-nop2p")] == [[2]]
    assert all("merged" not in call for call in told(tshark, "facetime-caller"))


@each_capture
def test_one_pass_and_two_tell_the_same(tshark, name):
    assert told(tshark, name, "timeline") == told(tshark, name, "timeline", two_pass=True)


# --- as text -------------------------------------------------------------------------------------------------------

TITLES = ["Call", "Version", "Start", "Duration", "Frames", "Local", "Remote", "Offer", "State", "Paths", "Streams",
          "Lost", "End"]
RIGHT = {"Call", "Start", "Duration", "Streams", "Lost"}        # aligned on the right
CLOCK = re.compile(r"Call \d+: (capture clock batched|seen at 2 points): ")
WIDTH = 160


def table(output):
    """The rows of the table of calls, {title: cell}; every cell stands under its title."""
    head, *lines = (line for line in output.splitlines()[2:] if not CLOCK.match(line))
    assert max(map(len, output.splitlines())) <= WIDTH
    assert head.split("  ", 1)[0] == "Call" and re.split("  +", head) == TITLES
    rows = []
    for line in lines:
        cells = re.split("  +", line.strip(), maxsplit=len(TITLES) - 1)
        assert len(cells) == len(TITLES), line
        rows.append(dict(zip(TITLES, cells)))
        at = 0
        for title, cell in rows[-1].items():
            at = line.index(cell, at)
            place = re.search(rf"(?:^|  ){title}(?:  |$)", head)
            left = place.start() + (2 if place[0].startswith("  ") else 0)
            if title in RIGHT:
                assert at + len(cell) == left + len(title), title
            else:
                assert at == left, title
            at += len(cell)
    return rows


def row_of(call):
    """The table's row that says what this call of the JSON says."""
    return {
        "Call": str(call["call"]), "Version": call["generation"], "Start": f"{call['start']:.3f}",
        "Duration": f"{call['duration']:.3f}", "Frames": f"{call['first_frame']}-{call['last_frame']}",
        "Local": call["local"], "Remote": call.get("remote", "unknown"),
        "Offer": offer_of(call), "State": call["state"], "End": call.get("end", "not in this file"),
        "Paths": "+".join(p["path"] for p in call["paths"]) or "-", "Streams": str(len(call["streams"])),
        "Lost": str(sum(s.get("lost", 0) for s in call["streams"])),
    }


def offer_of(call):
    """Which end sent the INVITE; an address where it is neither."""
    end = call.get("offer_from", "-")
    return next((name for name in ("local", "remote") if call.get(name) == end), end)


def same_but_rounding(row, other):
    for title, cell in row.items():
        if title in ("Start", "Duration"):
            assert float(cell) == pytest.approx(float(other[title]), abs=0.0011)
        elif cell.endswith("+"):        # cut, so that the line keeps to its length
            assert other[title].startswith(cell[:-1])
        else:
            assert cell == other[title]


@each_capture
def test_table_of_calls_is_the_json(tshark, name):
    for row, call in zip(table(text(tshark, name)), told(tshark, name), strict=True):
        same_but_rounding(row, row_of(call))


Line = collections.namedtuple("Line", "frame seconds path event text more last")
LINE = re.compile(r"^ *(\d+) +(\d+\.\d{3})  (relay|direct|server|-) +([a-z_0-9]+) +(.*?)"
                  r"(?: \(and (\d+) more, to frame (\d+)\))?$")
EVENT_HEAD = "   Frame     Seconds  Path    Event                       What"


def stories(output):
    """[(header, lines)] of a timeline."""
    found = []
    for line in output.splitlines():
        if line.startswith(("Call ", "Session ")):
            found.append((line, []))
        elif found and line and line != EVENT_HEAD and not line.startswith(("Modern: ", "  note ", "  warning ")):
            match = LINE.match(line)
            assert match, line
            frame, seconds, way, event, words, more, last = match.groups()
            assert line[:8].strip() == frame and line[9:20].strip() == seconds, "columns"
            assert line[22:30].strip() == way and line[30:58].strip() == event and line[58:].startswith(words[:20])
            found[-1][1].append(Line(int(frame), seconds, way, event, words, int(more or 0), int(last or 0)))
    return found


def lines_of(call):
    """The timeline's lines that tell the events of this call of the JSON: of more than six of a name, one."""
    events = collections.defaultdict(list)
    for event in call["events"]:
        events[event["event"]].append(event)
    lines = []
    for name, of in events.items():
        many = len(of) > 6
        for event in of[:1] if many else of:
            lines.append(Line(event["frame"], f"{event['time']:.3f}", event.get("path", "-"), name, event["text"],
                              len(of) - 1 if many else 0, of[-1]["frame"] if many else 0))
    return lines


@each_capture
def test_timeline_is_the_json(tshark, name):
    for (header, lines), call in zip(stories(text(tshark, name, "timeline")), told(tshark, name, "timeline"),
                                     strict=True):
        row = row_of(call)
        what = "Session" if call["state"] == "no call" else "Call"
        assert header.startswith(f"{what} {row['Call']}, {row['Version']}: {row['Local']} <-> {row['Remote']}, "
                                 f"frames {row['Frames']}, ")
        assert header.endswith(f", {row['State']}; end: {row['End']}")
        assert [line.frame for line in lines] == sorted(line.frame for line in lines)
        key = lambda line: (line.frame, line.event, line.text)  # noqa: E731
        for line, expected in zip(sorted(lines, key=key), sorted(lines_of(call), key=key), strict=True):
            assert line._replace(seconds="") == expected._replace(seconds="")
            assert float(line.seconds) == pytest.approx(float(expected.seconds), abs=0.0011)


@each_capture
def test_timeline_has_the_calls_of_the_table(tshark, name):
    calls = [call for call in told(tshark, name, "timeline") if call["state"] not in ("ICE only", "no call")]
    for call in calls:
        del call["events"]
    assert calls == told(tshark, name)


@pytest.mark.parametrize("name", ["modern-call", "relay-3478"])
def test_mirrored_call(tshark, name, tmp_path):
    """A mirror port gives each frame twice: one call, each packet once, and the table says so."""
    later, both = tmp_path / "later.pcapng", support.stage() / f"mirrored-{name}.pcapng"
    subprocess.run(["editcap", "-t", "0.0002", path(name), later], check=True)
    subprocess.run(["mergecap", "-w", both, path(name), later], check=True)
    both.chmod(0o644)
    calls = json.loads(tshark.text(both, "-q", "-z", "facetime,calls,json"))
    for call, plain in zip(calls, told(tshark, name), strict=True):
        assert (call["capture_points"], plain["capture_points"]) == (2, 1)
        assert call["packets"] == plain["packets"] and call["state"] == plain["state"]
        assert [(s["ssrc"], s["packets"], s["copies"], s["lost"]) for s in call["streams"]] == [
            (s["ssrc"], s["packets"], s["copies"], s["lost"]) for s in plain["streams"]]
    assert "\nCall 1: seen at 2 points: " in tshark.text(both, "-q", "-z", "facetime,calls")
    assert "seen at" not in text(tshark, name)


def test_modern_far_end(tshark):
    """The mode at the end, participants and links: what modern.md 4.1 counts, in the one call of the capture."""
    capture = support.real_capture("facetime-2023-wifi-caller.pcapng")
    calls = json.loads(tshark.text(capture, "-q", "-z", "facetime,timeline,json"))
    assert [(call["mode"], call["participants"], call["links"]) for call in calls] == [
        ("one-to-one", ["959a7033b7526469"], [0x5813])]
    assert "Modern: one-to-one; participants 959a7033b7526469; links 0x5813" in tshark.lines(
        capture, "-q", "-z", "facetime,timeline")


def test_an_empty_list_has_no_title(tshark):
    """Calls of which only the mode and a link are known."""
    for name in generate.CAPTURES:
        for line in text(tshark, name, "timeline").splitlines():
            assert not line.startswith("Modern: ") or re.fullmatch(
                r"Modern: [a-z-]+(; participants( [0-9a-f]{16})+)?(; links( 0x[0-9a-f]{4})+)?", line), line


# --- filters -------------------------------------------------------------------------------------------------------

def test_filter_leaves_one_call(tshark):
    whole = told(tshark, SESSION_5, "timeline", two_pass=True)
    assert told(tshark, SESSION_5, "timeline", "facetime.call==2", two_pass=True) == [whole[1]]
    assert told(tshark, SESSION_5, "calls", "facetime.call==1")[0]["call"] == 1
    assert [row["Call"] for row in table(text(tshark, SESSION_5, "calls", "facetime.call==2"))] == ["2"]


def test_filter_leaves_events_of_its_packets(tshark):
    for name, expected in (("path_switch", [149, 151, 6893]), ("bye_unanswered", [9633])):
        calls = told(tshark, SESSION_5, "timeline", f'facetime.event == "{name}"', two_pass=True)
        assert [call["call"] for call in calls] == [1]
        assert [event["frame"] for event in calls[0]["events"] if event["event"] == name] == expected
        assert {event["frame"] for event in calls[0]["events"]} == set(expected)


def test_filter_with_commas_and_filter_that_finds_nothing(tshark):
    calls = told(tshark, SESSION_5, "timeline", "frame.number in {92, 9600}")
    assert [{event["frame"] for event in call["events"]} for call in calls] == [{92}, {9600}]
    assert told(tshark, SESSION_5, "timeline", "dns") == []
    assert table(text(tshark, SESSION_5, "calls", "dns")) == []
    assert stories(text(tshark, SESSION_5, "timeline", "dns")) == []


def test_wrong_filter_is_refused(tshark):
    with pytest.raises(AssertionError, match="(?s)exit status 1.*facetime,calls,facetime.nosuch == 1"):
        text(tshark, SESSION_5, "calls", "facetime.nosuch == 1")


@pytest.mark.parametrize("report", ["calls", "timeline"])
def test_no_call_no_story(tshark, make_capture, report):
    nothing = make_capture([support.Datagram("10.0.0.2", 5000, "10.0.0.3", 5001, b"hello")])
    assert json.loads(tshark.text(nothing, "-q", "-z", f"facetime,{report},json")) == []
    assert len(tshark.lines(nothing, "-q", "-z", f"facetime,{report}")) <= 3


@pytest.mark.parametrize("last, state, end", [
    (None, "ringing", None),
    ("CANCEL", "not answered", "CANCEL"),
    (603, "not answered", "INVITE answered 603"),
    (180, "ringing", None),
])
def test_calls_that_nobody_took(tshark, make_capture, last, state, end):
    """RFC 3261: a CANCEL, or a final response other than 2xx, ends the INVITE; a provisional one doesn't."""
    caller, callee = ("192.168.1.10", 16402), ("198.51.100.20", 16402)
    dialog = sip.Dialog(random.Random(0), caller, callee)
    offer = sip.Body(sip.sdp(sip.OFFER_2015, caller, 1, 2), "application/sdp", "zlib")
    packets = [support.Datagram(*caller, *callee, bytes(dialog.request("INVITE", "caller", 1, offer)))]
    if last == "CANCEL":
        packets.append(support.Datagram(*caller, *callee, bytes(dialog.request("CANCEL", "caller", 1))))
    elif last:
        packets.append(support.Datagram(*callee, *caller, bytes(dialog.response(last, "INVITE", "callee", 1))))
    call, = json.loads(tshark.text(make_capture(packets), "-q", "-z", "facetime,calls,json"))
    assert (call["state"], call.get("end"), call.get("end_frame")) == (state, end, 2 if end else None)


# --- a stranger's text ---------------------------------------------------------------------------------------------

REASON = '*;text="\x1b[31mr\u00e9d \u2028\x07\u202e'


@pytest.fixture(scope="module")
def strange(make_capture):
    """A call whose BYE has a reason of control characters, bytes that aren't UTF-8, and what reorders a line; so has the
    offer."""
    caller, callee = ("192.168.1.10", 16402), ("198.51.100.20", 16402)
    dialog = sip.Dialog(random.Random(0), caller, callee)
    offer, answer = (sip.Body(sip.sdp(template, end, 1, 2) + more, "application/sdp", "zlib")
                     for template, end, more in ((sip.OFFER_2015, caller, b"i=" + REASON.encode() + b"\xff\r\n"),
                                                 (sip.ANSWER_2015, callee, b"")))
    bye = bytes(dialog.request("BYE", "caller", 2, reason="REASON"))
    return make_capture([
        support.Datagram(*caller, *callee, bytes(dialog.request("INVITE", "caller", 1, offer))),
        support.Datagram(*callee, *caller, bytes(dialog.response(200, "INVITE", "callee", 1, answer))),
        support.Datagram(*caller, *callee, bye.replace(b"REASON", REASON.encode() + b"\xff\xfe\"")),
        support.Datagram(*callee, *caller, bytes(dialog.response(200, "BYE", "callee", 2)))])


@pytest.mark.parametrize("report", ["calls", "timeline"])
def test_text_of_strangers_moves_no_cursor(tshark, strange, report):
    output = tshark.text(strange, "-q", "-z", f"facetime,{report}")
    assert "r\u00e9d" in output and "\ufffd" in output
    assert all(char == "\n" or char.isprintable() or char == " " for char in output)


@pytest.mark.parametrize("report", ["calls", "timeline"])
def test_text_of_strangers_is_valid_json(tshark, strange, report):
    """What doesn't print is U+FFFD, wherever it is shown. support reads bytes that aren't UTF-8 as \\xNN."""
    call, = json.loads(tshark.text(strange, "-q", "-z", f"facetime,{report},json"))
    printed = "".join(char if char.isprintable() else "\ufffd" for char in REASON)
    assert call["end"] == "BYE, " + printed + '\ufffd\ufffd"'
    assert tshark.values(strange, "facetime_sip.reason") == [printed + '\ufffd\ufffd"']
    texts = [sdp["text"] for sdp in call["sdp"]]
    assert all(char in "\r\n" or char.isprintable() for text in texts for char in text)
    assert f"i={printed}\ufffd\r\n" in texts[0]


# --- session 5 of the report, told unasked -------------------------------------------------------------------------

@pytest.fixture(scope="module")
def story(tshark):
    """The events of the call that breaks off, and of the one after it."""
    first, second = told(tshark, SESSION_5, "timeline", two_pass=True)
    return first["events"], second["events"]


def of(events, name):
    return [event for event in events if event["event"] == name]


def seconds_between(*frames):
    truth = generate.build(SESSION_5).truth
    return truth[frames[1]]["time"] - truth[frames[0]]["time"]


def seconds_in(words):
    return float(re.search(r"(\d+\.\d) s\b", words)[1])


def test_session_5_starts_as_usual(story):
    """Relay first, then direct; the allocation of 92 is released in 150."""
    first, _ = story
    assert [event["frame"] for event in of(first, "reserved_allocation")] == [92]
    assert [event["frame"] for event in of(first, "relay_released")] == [150]
    before = [event for event in of(first, "path_switch") if event["frame"] < 6216]
    assert len(before) == 2 and all("relay" in e["text"] and e["text"].endswith("to the direct path") for e in before)


def test_session_5_path_is_blocked_after_6216_and_three_seconds_pass(story):
    """The change back to the relay in 6893 tells how long the peer had been silent, and since which packet."""
    first, _ = story
    switch = of(first, "path_switch")[-1]
    assert switch["frame"] == 6893 and switch["path"] == "relay"
    assert "to the relay" in switch["text"] and "frame 6216" in switch["text"]
    assert seconds_in(switch["text"]) == pytest.approx(seconds_between(6216, 6893), abs=0.06)
    assert seconds_in(switch["text"]) == pytest.approx(3, abs=0.1)


def test_session_5_channel_is_one_that_was_released(story):
    first, _ = story
    used = of(first, "released_channel_used")
    truth = generate.build(SESSION_5).truth
    assert [event["frame"] for event in used] == [
        n for n, f in truth.items() if f["call"] == 1 and f.get("channel") and n > 150]
    assert used[0]["frame"] == 6893 and used[0]["other_frame"] == 150
    assert "0x4002" in used[0]["text"] and "frame 150" in used[0]["text"]


def test_session_5_same_rtp_on_both_paths(story):
    first, _ = story
    copies = of(first, "media_on_both_paths")
    truth = generate.build(SESSION_5).truth
    assert {event["frame"]: event["other_frame"] for event in copies} == {
        n: f["copy_of"] for n, f in truth.items() if "copy_of" in f}
    assert (copies[0]["frame"], copies[0]["other_frame"]) == (6893, 6892) and "51593" in copies[0]["text"]


def test_session_5_gives_up_after_18_seconds(story):
    first, _ = story
    ended, = of(first, "call_ended")
    gap, = of(first, "media_gap")
    assert ended["frame"] == gap["frame"] == 9598 and ended["path"] == "relay"
    for words in (ended["text"], gap["text"]):
        assert "frame 6216" in words
        assert seconds_in(words) == pytest.approx(seconds_between(6216, 9598), abs=0.06)
        assert seconds_in(words) == pytest.approx(18, abs=0.2)


def test_session_5_four_byes_and_no_answer(story):
    first, _ = story
    again, unanswered = of(first, "bye_retransmitted"), of(first, "bye_unanswered")
    assert [event["frame"] for event in again] == [9605, 9623, 9633]
    assert all(event["other_frame"] == 9598 for event in again)
    assert [event["frame"] for event in unanswered] == [9633] and "4 BYEs" in unanswered[0]["text"]


def test_session_5_starts_again(story):
    """With 9600; 9608 is the first packet that names the peer."""
    _, second = story
    again, = of(second, "call_restarted")
    assert again["frame"] == 9608 and again["other_frame"] == 9598
    assert "call 1" in again["text"] and "call 2" in again["text"].lower()
    assert [event["frame"] for event in of(second, "reserved_allocation")] == [9600]
    assert not of(second, "path_switch")


def test_session_5_is_told_in_a_page(tshark):
    """What repeats a thousand times is one line."""
    lines = [line for line in text(tshark, SESSION_5, "timeline").splitlines()
             if not line.startswith(("  note ", "  warning "))]
    assert len(lines) < 60
    for words in ("frame 6216", "Channel 0x4002 is used though frame 150 released", "sequence number 51593",
                  "4 BYEs and no answer", "Call 2 starts"):
        assert any(words in line for line in lines), words


@pytest.mark.parametrize("snap, state", [(200, "answered"), (128, "media"), (96, "media")])
def test_state_where_sip_is_cut(tshark, make_capture, snap, state):
    """An answer cut before its Call-ID is of no call that is known; a call with media both ways isn't one that nobody took."""
    frames = [(frame, min(snap, len(frame))) for _, frame in generate.build("sip-raw-deflate").packets]
    one, = json.loads(tshark.text(make_capture(frames), "-q", "-z", "facetime,calls,json"))
    assert (one["state"], one["packets"]) == (state, len(frames))


def test_a_cut_answer_isnt_a_missing_one(tshark, make_capture):
    """The 200 is there, without its end, and media of the device alone: nothing says that nobody took the call."""
    frames = [(frame, min(128, len(frame))) for _, frame in generate.build("rtp-both-paths").packets]
    one, = json.loads(tshark.text(make_capture(frames), "-q", "-z", "facetime,calls,json"))
    assert one["state"] == "media"
