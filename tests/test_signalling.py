# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark -z facetime,signalling: a line a frame of signalling, whose values are those of the frame's fields; hostile texts."""

import functools
import json
import random
import subprocess

import jsonschema
import pytest

import support
from wire import packets, stun

SCHEMA = json.loads((support.ROOT / "docs/signalling.schema.json").read_text())
VALID = jsonschema.Draft7Validator(SCHEMA["items"])
KINDS = dict(enumerate(SCHEMA["items"]["properties"]["kind"]["enum"], 1))
PATHS, CODINGS = {1: "relay", 2: "direct", 3: "server"}, {0: "none", 1: "zlib", 2: "raw", 3: "gzip"}
COLUMNS = ["frame", "epoch", "kind", "path", "calls", "source", "destination", "label", "answered_after", "info"]
# What the report is to have, in the words of a display filter
TOLD = '"first_media", "path_switch", "media_gap", "one_way_media", "handover", "mode_changed"'
SIGNALLING = f"(facetime && (!(facetime.kind == 4) || facetime.event in {{{TOLD}}})) || tcp.port == 5223"
FIELDS = ("frame.number", "frame.time_epoch", "frame.encap_type", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
          "facetime.kind", "facetime.path", "facetime.call", "facetime.call.frame", "stun.type", "stun.att.type", "stun.time", "facetime_sip.coding",
          "facetime.label", "tcp.port", "_ws.col.Info")
# A whole legacy call with push, one directly, modern ones, indications in STUN, IPv6, ICMP, STUN that stock shows, packed SDP
NAMES = ("facetime-caller", "facetime-samenet-nop2p", "modern-call", "modern-chained", "send-data-indications", "ipv6",
         "peer-unreachable", "relay-3478", "sip-raw-deflate", "sip-gzip", "gamekit-then-call", "vlan", "media-gap")


def told(lines):
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    for one in objects:
        VALID.validate(one)
    return objects


@functools.lru_cache(maxsize=None)
def alone(tshark, name, two_pass=False):
    return told(tshark.lines(support.TEST_CAPTURES / f"{name}.pcapng", "-q", "-z", "facetime,signalling,json", two_pass=two_pass))


@functools.lru_cache(maxsize=None)
def rows_of(tshark, name, two_pass=False):
    """Of each frame that passes the filter: its fields' values."""
    arguments = ["-Y", SIGNALLING, "-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e"]
    arguments += [word for field in FIELDS for word in ("-e", field)]
    text = tshark.text(support.TEST_CAPTURES / f"{name}.pcapng", *arguments, two_pass=two_pass)
    return [dict(zip(FIELDS, ([v for v in value.split("\x1e") if v] for value in line.split("\x1f")), strict=True))
            for line in text.split("\n")[:-1]]


def numbers(row, field):
    return [int(value, 0) for value in row[field]]


def last(names, row, field):
    return names[numbers(row, field)[-1]] if row[field] else None


def compare(one, row):
    assert f"{one['epoch']:.6f}" == f"{float(row['frame.time_epoch'][0]):.6f}"
    assert one["link_type"] == numbers(row, "frame.encap_type")[0]
    assert one["protocols"].startswith(row["frame.protocols"][0])       # the back door comes after that field
    assert [one["source"]] == (row["ip.src"] or row["ipv6.src"])[:1]
    assert [one["destination"]] == (row["ip.dst"] or row["ipv6.dst"])[:1]
    assert (one.get("service") == "push") == ("5223" in row["tcp.port"])
    assert one.get("kind") == last(KINDS, row, "facetime.kind")
    assert one.get("path") == last(PATHS, row, "facetime.path")
    calls, forward = numbers(row, "facetime.call"), len(row["facetime.call.frame"])     # links forward: of the second pass
    assert one.get("calls", []) == calls[:len(calls) - forward]
    assert one.get("stun_types", []) == numbers(row, "stun.type")
    assert one.get("stun_attributes", []) == numbers(row, "stun.att.type")
    assert one.get("answered_after") == (float(row["stun.time"][0]) if row["stun.time"] else None)
    assert one.get("coding") == last(CODINGS, row, "facetime_sip.coding")
    if "service" not in one:
        assert [one["label"]] == row["facetime.label"][-1:]
        assert [" ".join(one["info"].split())] == [" ".join(text.split()) for text in row["_ws.col.Info"]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("two_pass", [False, True], ids=["", "two-pass"])
def test_lines_say_what_fields_say(tshark, name, two_pass):
    objects, rows = alone(tshark, name, two_pass), rows_of(tshark, name, two_pass)
    assert [one["frame"] for one in objects] == [int(row["frame.number"][0]) for row in rows] and objects
    for one, row in zip(objects, rows):
        compare(one, row)


def test_the_story_of_a_call(tshark):
    """What docs/report.md tells of the session: who hangs up, what is answered, when the relay is given back."""
    sip = [(one["frame"], one["label"]) for one in alone(tshark, "facetime-caller") if one.get("kind") == "sip"]
    assert sip[-2:] == [(5786, "BYE"), (5790, "200 OK (BYE)")]
    invite = next(one for one in alone(tshark, "facetime-caller") if one.get("label") == "INVITE")
    assert invite["coding"] != "none" and invite["path"] == "relay" and invite["calls"] == [1]
    refresh = next(one for one in alone(tshark, "facetime-caller") if one["frame"] == 5791)
    assert refresh["label"] == "Refresh" and refresh["stun_types"] == [0x0004] and refresh["path"] == "server"


def test_the_table(tshark):
    capture = support.TEST_CAPTURES / "facetime-samenet-nop2p.pcapng"
    objects = alone(tshark, "facetime-samenet-nop2p")
    head, *rows = (line.split("\t") for line in tshark.lines(capture, "-q", "-z", "facetime,signalling"))
    assert head == COLUMNS
    for row, one in zip(rows, objects, strict=True):
        cells = dict(zip(COLUMNS, row, strict=True))
        assert cells["frame"] == str(one["frame"]) and float(cells["epoch"]) == one["epoch"]
        assert cells["kind"] == one.get("kind", one.get("service", ""))
        assert cells["calls"] == ",".join(map(str, one.get("calls", ())))
        assert float(cells["answered_after"] or -1) == one.get("answered_after", -1)
        for name in ("path", "source", "destination", "label", "info"):
            assert cells[name] == one.get(name, "")


def test_filter(tshark):
    """It leaves what passes, segments of push included; one that nothing passes leaves the head."""
    capture = support.TEST_CAPTURES / "facetime-samenet-nop2p.pcapng"
    objects = alone(tshark, "facetime-samenet-nop2p")
    sip = told(tshark.lines(capture, "-q", "-z", "facetime,signalling,json,sip"))
    assert sip == [one for one in objects if one.get("kind") == "sip"] and sip
    assert tshark.lines(capture, "-q", "-z", "facetime,signalling,dns") == ["\t".join(COLUMNS)]
    assert tshark.lines(capture, "-q", "-z", "facetime,signalling,json,dns") == []


def test_push(tshark, make_capture):
    """Either port; no other segment."""
    def segment(source, destination):
        tcp = packets.tcp(("192.0.2.1", source), ("17.57.144.1", destination), 1, 1, 0x18, b"\x17\x03\x03\0\1x")
        return packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", packets.ipv4("192.0.2.1", "17.57.144.1", packets.PROTO_TCP, tcp))
    capture = make_capture([segment(50000, 5223), segment(5223, 50000), segment(50000, 443)])
    objects = told(tshark.lines(capture, "-q", "-z", "facetime,signalling,json"))
    assert [(one["frame"], one["service"], one["source"]) for one in objects] == [(1, "push", "192.0.2.1"), (2, "push", "192.0.2.1")]
    assert not any(name in one for one in objects for name in ("kind", "calls", "label", "info"))


FORGED = "x\n{\"schema\": 1, \"frame\": 99}\n[\t\x1b[2J\u202e\"\\\r\x7f"


def test_a_text_makes_no_line_of_its_own(tshark, make_capture):
    """A user's name that has lines, quotes, a terminal's escapes and a change of direction in it."""
    rng, end, far = random.Random(5), ("192.168.1.5", 16402), ("192.0.2.7", 16402)
    wires = [stun.message(stun.BINDING, stun.REQUEST, stun.legacy_txid(stun.BINDING, rng), attributes, legacy_username=named)
             for attributes, named in (([stun.username(1, 2), stun.protocol(1)], True),
                                       ([stun.Attribute(stun.USERNAME, FORGED.encode())], False))]
    capture = make_capture([support.Datagram(*end, *far, wire) for wire in wires])
    text = tshark.text(capture, "-q", "-z", "facetime,signalling,json")
    objects = told(text.split("\n"))
    assert [one["frame"] for one in objects] == [1, 2] and text.count("\n") == 2
    table = tshark.text(capture, "-q", "-z", "facetime,signalling")
    assert table.count("\n") == 3 and all(line.count("\t") == len(COLUMNS) - 1 for line in table.split("\n")[:-1])
    for hidden in ("\x1b", "\u202e", "\x7f", "\r"):
        assert hidden not in objects[1]["info"] and hidden not in text + table
    assert "\"frame\": 99}" in objects[1]["info"]


def test_many_attributes(tshark, make_capture):
    """All of a datagram's are told: it bounds them."""
    rng, end, far = random.Random(6), ("192.168.1.5", 16402), ("192.0.2.7", 16402)
    known = stun.message(stun.BINDING, stun.REQUEST, stun.legacy_txid(stun.BINDING, rng), [stun.username(1, 2), stun.protocol(1)],
                         legacy_username=True)
    flood = stun.message(stun.BINDING, stun.REQUEST, stun.legacy_txid(stun.BINDING, rng),
                         [stun.Attribute(0x8000 + n % 41, b"") for n in range(10_000)], legacy_username=False)
    objects = told(tshark.lines(make_capture([support.Datagram(*end, *far, wire) for wire in (known, flood)]), "-q", "-z",
                                "facetime,signalling,json"))
    assert [len(one["stun_attributes"]) for one in objects][1] == 10_000


def test_tshark_lists_it(tshark, program):
    taps = subprocess.run([*tshark.command, tshark.program, "-z", "help"], env=tshark.environment, capture_output=True, text=True,
                          check=False)
    assert "facetime,signalling" in (taps.stdout + taps.stderr).split()
