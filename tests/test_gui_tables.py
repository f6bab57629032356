# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user finds in the menus, asked of tshark -z and sharkd: the table of calls, the statistics, the flow graph, the
export without the relay. Expectations: what the generator wrote, and -z facetime,calls,json (test_timeline.py)."""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

import generate
import support
import test_findings as batched
from scenario import media_of
from test_truth import MID_CALL

SOME = ["rtp-both-paths", "calls-in-sequence", "modern-call", "ipv6", "gamekit-then-call", "ice-only"]
RELAYED = ["rtp-both-paths", "calls-in-sequence", "send-data-indications", "relay-3478", "ipv6",
           "loss-reorder-duplicates", "modern-call", "modern-chained"]

COLUMNS = ["Call", "Version", "Start", "Duration", "First frame", "Last frame", "Packets", "Local", "Remote",
           "Offer from", "State", "Relayed media", "Direct media", "Streams", "Events", "End"]


def path(name):
    return support.TEST_CAPTURES / generate.file_name(name)


def reported(tshark, capture, **how):
    return json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json", **how))


def media_on(call, way):
    return sum(p["packets"] for p in call["paths"] if p["path"] == way)


def cells(call, events):
    """A row of the table, as the report has it."""
    return {"Call": str(call["call"]), "Version": call["generation"], "Start": f"{call['start']:.3f}",
            "Duration": f"{call['duration']:.3f}", "First frame": str(call["first_frame"]),
            "Last frame": str(call["last_frame"]), "Packets": str(call["packets"]), "Local": call["local"],
            "Remote": call.get("remote", "unknown"), "Offer from": call.get("offer_from", "unknown"),
            "State": call["state"], "Relayed media": str(media_on(call, "relay")),
            "Direct media": str(media_on(call, "direct")), "Streams": str(len(call["streams"])),
            "Events": str(events[call["call"]]), "End": call.get("end", "not in this file").replace('"', "'")}


def any_table(tshark, capture, which, filter="", **how):
    """[{column: cell}]"""
    lines = tshark.lines(capture, "-q", "-z", f"facetime,{which}" + (f",{filter}" if filter else ""), **how)
    rows = [[cell.strip() for cell in line.rstrip("|").split("|")] for line in lines if "|" in line]
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]


def table(tshark, capture, filter="", **how):
    rows = any_table(tshark, capture, "calltable", filter, **how)
    assert all(list(row)[:len(COLUMNS)] == COLUMNS for row in rows)
    return [{column: row[column] for column in COLUMNS} for row in rows]


@pytest.mark.parametrize("name", SOME)
def test_the_table_is_the_report(name, tshark):
    """With all packets seen before, as in the GUI: each listed call has its row, nothing else has one."""
    timeline = json.loads(tshark.text(path(name), "-q", "-z", "facetime,timeline,json", two_pass=True))
    events = {call["call"]: len(call["events"]) for call in timeline}
    expected = [cells(call, events) for call in reported(tshark, path(name), two_pass=True)]
    assert sorted(table(tshark, path(name), two_pass=True), key=lambda row: int(row["Call"])) == expected


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize("name", ["calls-in-sequence", "loss-reorder-duplicates", "modern-call", "modern-quic-media"])
def test_the_table_of_streams_is_the_report(name, two_pass, tshark):
    """What the capture can't tell, as losses inside QUIC, is "-" as in the report's null, never 0."""
    streams = json.loads(tshark.text(path(name), "-q", "-z", "facetime,streams,json"))
    assert streams and ("quic" not in name or None in [s["lost"] for s in streams])
    text = lambda value, form="{}": "-" if value is None else form.format(value)       # noqa: E731
    expected = sorted((str(s["call"]), s["direction"], text(s["ssrc"], "0x{:08x}"), str(s["packets"]), text(s["lost"]),
                       text(s["copies"])) for s in streams)
    told = any_table(tshark, path(name), "streamtable", two_pass=two_pass)
    assert sorted(tuple(row[c] for c in ("Call", "Direction", "SSRC", "Packets", "Lost", "Copies")) for row in told) == \
        expected


@pytest.mark.parametrize("name, two_pass", [("facetime-dropmidcall", True), ("calls-in-sequence", True),
                                            ("modern-call", True), ("modern-call", False), ("rtp-both-paths", False)])
def test_the_table_of_pairs_is_the_report(name, two_pass, tshark):
    calls = json.loads(tshark.text(path(name), "-q", "-z", "facetime,pairs,json"))
    expected = sorted((str(call["call"]), p["local"], p["remote"], str(p["sent"]), str(p["answered"]),
                       str(p["media_packets"]), "yes" if p["nominated"] else "-")
                      for call in calls for p in call["pairs"])
    assert expected
    told = any_table(tshark, path(name), "pairtable", two_pass=two_pass)
    assert sorted(tuple(row[c] for c in ("Call", "Local", "Remote", "Checks", "Answered", "Media", "Nominated"))
                  for row in told) == expected


def findings(calls):
    """Rows of the table, as the report has them."""
    return [(str(call["call"]), f["severity"], f["code"], str(f["frames"][0]), ", ".join(map(str, f["frames"])),
             f["text"].replace('"', "'")) for call in calls for f in call["findings"]]


def findings_told(tshark, name, **how):
    return [tuple(row[c] for c in ("Call", "Severity", "Finding", "Frame", "Frames", "What it says"))
            for row in any_table(tshark, path(name), "findingtable", **how)]


@pytest.mark.parametrize("name", ["facetime-dropmidcall", "calls-in-sequence", "modern-call"])
def test_the_table_of_findings_is_the_report(name, tshark):
    """In one pass, too, though a call's findings rest on the file's end."""
    expected = findings(reported(tshark, path(name)))
    assert expected
    for two_pass in (False, True):
        assert findings_told(tshark, name, two_pass=two_pass) == expected


def test_a_filter_chooses_calls_whose_findings_stay(tshark):
    """Whichever packet of the call passes: what it says rests on all of them, and on the file's end."""
    calls = reported(tshark, path("calls-in-sequence"))
    chosen = calls[1]
    for two_pass in (False, True):
        assert findings_told(tshark, "calls-in-sequence", two_pass=two_pass,
                             filter=f"frame.number=={chosen['first_frame']}") == findings([chosen])


def test_a_filter_leaves_no_blank_rows(tshark):
    name = "calls-in-sequence"
    calls = [call["call"] for call in reported(tshark, path(name))]
    assert len(calls) > 1
    rows = table(tshark, path(name), filter=f"facetime.call=={calls[-1]}")
    assert [row["Call"] for row in rows] == [str(calls[-1])]


def test_no_double_quote_in_a_cell(tshark):
    """CSV has no way to write one, and the reason of a BYE brings some."""
    assert any('"' in call.get("end", "") for call in reported(tshark, path("rtp-both-paths")))
    text = tshark.text(path("rtp-both-paths"), "-q", "-z", "facetime,calltable")
    assert '"' not in text and "text='" in text


# --- conversations and endpoints -----------------------------------------------------------------------------------------

DEVICE = "192.168.1.10"


def between(row):
    """Of a packet's fields: its ends, with the far end in place of the relay where it has a name."""
    ends = {row["ip.src"][0], row["ip.dst"][0]}
    if row["facetime.peer.ipv4"]:
        ends = {end for end in ends if end.startswith("192.168.1.")} | set(row["facetime.peer.ipv4"])
    return frozenset(ends)


@pytest.mark.parametrize("name", ["rtp-both-paths", "three-calls-one-relay", "modern-call", "peer-unreachable"])
def test_conversations_and_endpoints_are_sums_of_fields(name, tshark):
    packets = tshark.rows(path(name), "frame.number", "ip.src", "ip.dst", "facetime.peer.ipv4", "frame.len",
                          filter="facetime.call && !icmp")
    count, size = collections.Counter(), collections.Counter()
    end_count, end_size = collections.Counter(), collections.Counter()
    for row in packets:
        length = int(row["frame.len"][0])
        count[between(row)] += 1
        size[between(row)] += length
        for end in between(row):
            end_count[end] += 1
            end_size[end] += length
    lines = tshark.lines(path(name), "-q", "-z", "conv,facetime", "-z", "endpoints,facetime")
    told, told_size, ends = collections.Counter(), collections.Counter(), {}
    for line in lines:
        row = re.match(r"(\S+) +<-> (\S+) +(.*)", line)
        if row:        # -> and <-, then the sum: each frames, bytes, "bytes"
            numbers = row[3].split()
            told[frozenset({row[1], row[2]})] += int(numbers[6])
            told_size[frozenset({row[1], row[2]})] += int(numbers[7])
        elif re.match(r"\d+\.\d+\.\d+\.\d+ ", line):
            end, packets_of, bytes_of, unit = line.split()[:4]
            scale = 1000 if unit == "kB" else 1         # 4.6 has "12 kB"
            of_end = ends.setdefault(end, [0, 0, 0])
            ends[end] = [of_end[0] + int(packets_of), of_end[1] + scale * int(bytes_of), of_end[2] + scale - 1]
    assert told == count and told_size == size
    assert set(ends) == set(end_count)
    for end, (packets_of, bytes_of, rounded) in ends.items():
        assert packets_of == end_count[end] and abs(bytes_of - end_size[end]) <= rounded


def test_the_filter_of_a_conversation_finds_its_packets(tshark):
    """As "Apply as filter" makes it, relayed packets too."""
    peer = "198.51.100.20"
    rows = tshark.rows(path("rtp-both-paths"), "ip.dst", "facetime.from.ipv4", "facetime.to.ipv4",
                       filter=f"facetime.end.ipv4=={DEVICE} && facetime.end.ipv4=={peer} && facetime.end.port==16402")
    truth = [frame for frame in generate.build("rtp-both-paths").truth.values() if frame["kind"]]
    assert {row["ip.dst"][0] for row in rows} > {peer, DEVICE}
    assert all({*row["facetime.from.ipv4"], *row["facetime.to.ipv4"]} == {DEVICE, peer} for row in rows)
    assert 0 < len(rows) < len(truth)


# --- service response times --------------------------------------------------------------------------------------------

METHODS = {1: "Connectivity check", 3: "Allocate", 4: "Refresh", 8: "CreatePermission", 9: "ChannelBind"}
TIMES = ("frame.time_epoch", "gkstun.rtt", "stun.type.method", "stun.time", "stun.reqduplicate", "snatmap.time",
         "commnat.time", "commnat.response_to", "commnat.operation", "sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.CSeq", "sip.Via.branch")


def of_fields(rows):
    """{row: its times}, from the fields of packets."""
    times, asked, answered = collections.defaultdict(list), {}, set()
    for row in rows:
        times["Connectivity check"] += map(float, row["gkstun.rtt"])
        if row["stun.time"] and not row["stun.reqduplicate"] and int(row["stun.type.method"][0], 16) != 1:
            times[METHODS[int(row["stun.type.method"][0], 16)]].append(float(row["stun.time"][0]))
        times["SNATMAP request"] += map(float, row["snatmap.time"])
        if row["commnat.time"] and row["commnat.response_to"][0] not in answered:       # else a second answer
            answered.add(row["commnat.response_to"][0])
            times["Test" if row["commnat.operation"] == ["1"] else "Report"].append(float(row["commnat.time"][0]))
        if not row["sip.CSeq"]:
            continue
        now, key = float(row["frame.time_epoch"][0]), (*row["sip.Call-ID"], *row["sip.CSeq"], row["sip.Via.branch"][0])
        method, status = row["sip.CSeq"][0].split()[1], int((row["sip.Status-Code"] or ["0"])[0])
        what = "INVITE to 180 Ringing" if status == 180 else {"INVITE": "INVITE to its answer"}.get(method, method)
        if status == 0:
            asked.setdefault(key, now)
        elif (status == 180 or status >= 200) and key in asked and (key, what) not in answered:
            answered.add((key, what))
            times[what].append(now - asked[key])
    return {what: found for what, found in times.items() if found}


@pytest.mark.parametrize("name", ["facetime-dropmidcall", "nat-tests", "modern-call", "sip-key-exchange"])
def test_response_times_are_the_fields(name, tshark):
    expected = of_fields(tshark.rows(path(name), *TIMES))
    assert expected
    lines = [line for line in tshark.lines(path(name), "-q", "-z", "facetime,srt") if re.match(r" *\d+  \S", line)]
    told = {line[7:29].strip(): line[29:].split() for line in lines}
    assert set(told) == set(expected)
    for what, times in expected.items():
        assert int(told[what][0]) == len(times), what
        assert [float(cell) for cell in told[what][1:]] == pytest.approx(
            [min(times), max(times), sum(times) / len(times), sum(times)], abs=2e-6 * len(times)), what


@pytest.mark.parametrize("two_pass", [False, True])
def test_calls_on_the_same_ports_have_pairs_of_their_own(two_pass, tshark):
    """One call after another between the same two sockets: each with its own checks and its own media."""
    name = "calls-in-sequence"
    truth = generate.build(name).truth
    told = json.loads(tshark.text(path(name), "-q", "-z", "facetime,pairs,json", two_pass=two_pass))
    for call in told:
        of_call = {n: f for n, f in truth.items() if f.get("call") == call["call"]}
        checked = [n for n, f in of_call.items() if f["kind"] == "stun"]
        media = [n for n, f in of_call.items() if f["kind"] == "rtp"]
        assert [(p["media_packets"], p["first_frame"], p["last_frame"]) for p in call["pairs"]] == [
            (len(media), min(checked), max(checked + media))]
    rows = any_table(tshark, path(name), "pairtable", two_pass=two_pass)
    assert [(int(row["Call"]), int(row["Media"])) for row in rows] == [
        (call["call"], pair["media_packets"]) for call in told for pair in call["pairs"]]


def test_batched_times_are_no_response_times(tshark):
    simulated = batched.capture(0, "batched answers", how={"clock": "batched"})
    capture = support.write_capture(simulated.write())
    assert tshark.count(capture, "gkstun.rtt || stun.time")
    lines = tshark.lines(capture, "-q", "-z", "facetime,srt", two_pass=True)
    assert any("FaceTime SRT" in line for line in lines)
    assert not any("Connectivity check" in line for line in lines)


# --- flow graph ------------------------------------------------------------------------------------------------------

Item = collections.namedtuple("Item", "call seconds label comment")


def flow(tshark, name, **how):
    lines = tshark.lines(path(name), "-q", "-z", "flow,facetime,standard", **how)
    items = []
    for line in lines:
        row = re.match(r"(?:\d+ *)?\|([0-9.]+) *\|(.*)\|(Call (\d+), .*)$", line)    # the column of calls: if several
        if row:
            label = re.sub(r"\s*\|\s*", " ", row[2]).strip()
            items.append(Item(int(row[4]), float(row[1]), label, row[3]))
    return items


def test_the_flow_tells_the_call(tshark):
    """Signalling in words and in order, media only where something happens, and far fewer items than packets."""
    items = flow(tshark, "rtp-both-paths", two_pass=True)
    labels = [item.label for item in items]
    truth = generate.build("rtp-both-paths").truth.values()
    for word in ("Allocate", "Bind channel", "Check, nominated", "INVITE", "200 OK (INVITE)", "ACK",
                 "First audio out", "BYE", "200 OK (BYE)"):
        assert word in labels, labels
    assert labels.index("Allocate") < labels.index("INVITE") < labels.index("First audio out")
    assert labels.index("First audio out") < labels.index("BYE")
    ssrcs = {frame["rtp"]["ssrc"] for frame in truth if "rtp" in frame}
    ends = [item for item in items if item.label.startswith("Last ")]
    assert {item.label for item in ends} == {"Last audio out"}
    checks = [item for item in items if item.label == "Check"]
    assert [item.comment.split(":")[0].split(" (")[0] for item in checks if "relay" in item.comment] == ["Call 1, relay"] * 2
    assert {item.comment.split(":")[0].split(" (")[0] for item in checks} == {"Call 1, relay", "Call 1, direct"}
    assert {f"0x{ssrc:08x}" for ssrc in ssrcs} == {re.search("SSRC (0x[0-9a-f]{8})", item.comment)[1] for item in ends}
    assert sum("Media on both paths" == label for label in labels) <= 2
    assert len(items) < sum(1 for frame in truth if frame["kind"]) / 2


def test_errors_in_the_flow_go_to_who_is_told(tshark):
    """Whether ICMP quotes the whole datagram or eight bytes of it. Routers' errors count for no end in the other tables."""
    lines = tshark.lines(path("peer-unreachable"), "-q", "-z", "flow,facetime,standard", two_pass=True)
    arrows = [lines[n + 1] for n, line in enumerate(lines) if "Peer unreachable" in line]
    assert len(arrows) == 2 and all("<---" in arrow and DEVICE not in arrow for arrow in arrows)
    assert "(16402)" in arrows[0] and "(16385)" in arrows[1]


def test_what_repeats_in_the_flow_stands_once(tshark):
    """Keepalives and numbered messages that go on and on: a modern call fits on a screen."""
    items = flow(tshark, "modern-call", two_pass=True)
    assert len(items) <= 40
    assert collections.Counter((item.label, item.comment.split(":")[0].split(" (")[0]) for item in items
                               if item.label == "Control message").most_common(1)[0][1] <= 2


def test_figures_are_sorted_as_numbers(sharkd):
    """Wireshark sorts texts by their letters, and figures that may be unknown are texts."""
    rows = sharkd("modern-call", "tap", tap0="nstat:facetime,streamtable")["taps"][0]["tables"][0]["i"]
    for column in (6, 7, 8, 9, 13):          # Lost, Copies, kbit/s, Pictures/s, Jitter ms
        cells = [row[column] for row in rows]
        numbers = [-1.0 if cell.strip() == "-" else float(cell) for cell in cells]
        assert [number for _, number in sorted(zip(cells, numbers, strict=True))] == sorted(numbers)


@pytest.mark.parametrize("name", SOME)
def test_the_flow_names_calls_as_the_report_does(name, tshark):
    calls = {call["call"] for call in reported(tshark, path(name), two_pass=True)}
    assert {item.call for item in flow(tshark, name, two_pass=True)} == calls


# --- export without the relay ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def exported(tshark):
    """exported(name): the capture that "FaceTime without relay" makes of it."""
    def export(name):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="export-", dir=support.stage()))
        folder.chmod(0o755)
        os.chown(folder, *([support.NOBODY] * 2 if os.geteuid() == 0 else [-1, -1]))
        out = folder / "out.pcapng"
        tshark.text(path(name), "-U", "FaceTime without relay", "-w", out)
        out.chmod(0o644)
        return out
    return export


def streams(call):
    """What a stream is, whatever way its packets took."""
    return sorted((s["ssrc"], s["direction"], s["packets"], s["lost"], tuple(s["payload_types"]))
                  for s in call["streams"])


@pytest.mark.parametrize("name", [*(name for name in RELAYED if name not in MID_CALL), "modern-2026"])
def test_the_export_has_the_same_calls(name, tshark, exported):
    before, after = reported(tshark, path(name)), reported(tshark, exported(name))
    assert [streams(call) for call in after] == [streams(call) for call in before]
    assert [call["generation"] for call in after] == [call["generation"] for call in before]
    assert [call.get("end") for call in after] == [call.get("end") for call in before]
    assert [call["local"] for call in after] == [call["local"] for call in before]
    assert all(path["path"] == "direct" for call in after for path in call["paths"])


@pytest.mark.parametrize("name", [name for name in RELAYED if not name.startswith("modern")])
def test_the_export_has_the_true_peer(name, tshark, exported):
    before, after = reported(tshark, path(name)), reported(tshark, exported(name))
    assert [call["remote"] for call in after] == [call["remote"] for call in before]


def test_a_peer_whom_nobody_names_has_a_documentation_address(tshark, exported):
    rows = tshark.rows(exported("modern-chained"), "ip.src", "ip.dst")
    ends = {end for row in rows for end in row["ip.src"] + row["ip.dst"]}
    assert len(ends) == 2 and len([end for end in ends if end.startswith("192.0.2.")]) == 1


@pytest.mark.parametrize("name", ["rtp-both-paths", "send-data-indications", "modern-call", "modern-2026"])
def test_stock_reads_the_export_as_rtp(name, stock, exported):
    """Each RTP packet that was written is there for tools that know nothing of relays, with right checksums."""
    options = ("--enable-heuristic", "rtp_udp", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
    rows = stock.rows(exported(name), "rtp.ssrc", "rtp.seq", args=options)
    told = collections.Counter((int(row["rtp.ssrc"][0], 16), int(row["rtp.seq"][0])) for row in rows if row["rtp.seq"])
    written = collections.Counter((rtp["ssrc"], rtp["seq"])
                                  for frame in generate.build(name).truth.values() for rtp in media_of(frame))
    assert told == written
    bad = stock.rows(exported(name), "frame.number", args=options,
                     filter="ip.checksum.status == 0 || udp.checksum.status == 0")
    assert bad == []


# --- sharkd ------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sharkd(tshark):
    program = shutil.which("sharkd")
    if not program:
        pytest.skip("no sharkd here")

    def ask(name, method, **params):
        requests = [("load", {"file": str(tshark._readable(path(name)))}), (method, params)]
        lines = [json.dumps({"jsonrpc": "2.0", "id": number, "method": each, **({"params": what} if what else {})})
                 for number, (each, what) in enumerate(requests, 1)]
        done = subprocess.run([*tshark.command, program, "-"], input="\n".join(lines) + "\n", env=tshark.environment,
                              cwd=tshark.home, capture_output=True, text=True, timeout=support.TIME_LIMIT)
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert "result" in answers[-1], done
        return answers[-1]["result"]
    return ask


def test_sharkd_knows_what_the_menus_have(sharkd):
    info = sharkd("ice-only", "info")
    assert {"nstat:facetime,calltable", "nstat:facetime,streamtable", "nstat:facetime,pairtable",
            "nstat:facetime,findingtable", "stat:facetime", "seqa:facetime", "srt:facetime",
            "conv:FaceTime", "endpt:FaceTime"} <= {
        entry["tap"] for kind in ("nstat", "stats", "seqa", "srt", "convs") for entry in info[kind]}


def test_sharkd_has_the_table(sharkd, tshark):
    told = sharkd("calls-in-sequence", "tap", tap0="nstat:facetime,calltable")["taps"][0]
    rows = told["tables"][0]["i"]
    assert [row[0] for row in rows] == [call["call"] for call in reported(tshark, path("calls-in-sequence"))]


def test_sharkd_has_the_findings(sharkd, tshark):
    """Those of hindsight, too."""
    told = sharkd("facetime-dropmidcall", "tap", tap0="nstat:facetime,findingtable")["taps"][0]["tables"][0]["i"]
    assert [tuple(map(str, row)) for row in told] == findings(reported(tshark, path("facetime-dropmidcall")))


def test_sharkd_has_the_statistics(sharkd):
    told = sharkd("rtp-both-paths", "tap", tap0="stat:facetime")["taps"][0]
    assert told["stats"][0]["name"] == "FaceTime packets"
    truth = generate.build("rtp-both-paths").truth.values()
    assert told["stats"][0]["count"] == sum(1 for frame in truth if frame["kind"])


def test_sharkd_has_the_flow(sharkd):
    told = sharkd("rtp-both-paths", "tap", tap0="seqa:facetime")["taps"][0]
    assert any("INVITE" in json.dumps(flow) for flow in told["flows"])
