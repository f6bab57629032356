# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics > FaceTime, Export Objects, Decode As and Enabled Protocols, against what the generator wrote."""

import collections
import os
import pathlib
import re
import tempfile

import pytest

import generate
import support
from support import Datagram
from scenario import media_of
from test_fields import WORDS
from test_truth import MID_CALL

# Damaged messages have no kind in the truth; media without signalling is stock's until it agrees (test_truth.py).
COUNTED = [name for name in generate.CAPTURES if name != "modern-damaged" and name not in MID_CALL]
# In the others the body's damage, or more than the body, comes out.
EXPORTED = [name for name in generate.CAPTURES if name not in ("sip-damaged-bodies", "sip-deflate-bomb")
            and any(frame.get("sip", {}).get("body") for frame in generate.build(name).truth.values())]
# As Apple's attributes are called; 0x8008 by whose it is.
APPLE = {0x8001: "CANDIDATE-PROTOCOL", 0x8002: "UNKNOWN-8002", 0x8003: "ICE-VERSION", 0x8004: "REQUEST-TIMESTAMP",
         0x8005: "RESPONSE-DELAY", 0x8006: "CELLULAR-QOS", 0x8007: "RADIO-ACCESS-TECHNOLOGY", 0x8008: "NOMINATION",
         0x8009: "CANDIDATE-LIST", 0x800A: "SIMPLE-KEY-EXCHANGE", 0x8023: "LINK-FLAGS", 0x8024: "DATA-SO-MASK"}


def attribute_name(attribute, frame):
    return "LINK-ID" if attribute == 0x8008 and frame["generation"] == "modern" else APPLE[attribute]


def kind_name(kind):
    return "hop-by-hop" if kind == "hbh" else kind


def capture_of(name):
    return support.TEST_CAPTURES / generate.file_name(name)


def tree(tshark, capture, **how):
    """{branch: {item: packets}} of -z facetime,tree; the root's own number is [""]["FaceTime packets"]."""
    branches, branch = collections.defaultdict(dict), ""
    for line in tshark.lines(capture, "-q", "-z", "facetime,tree", **how):
        row = re.match(r"( *)(\S.*?)  +(\d+) +[0-9.-]", line)
        if not row:
            continue
        depth, item, packets = len(row[1]), row[2], int(row[3])
        if depth == 1:
            branch = item
        if packets:     # a branch that nothing was counted in is shown with 0
            branches["" if depth < 2 else branch][item] = packets
    return branches


def expected_tree(truth):
    """The same from the truth of the frames."""
    branches = collections.defaultdict(collections.Counter)
    for frame in truth.values():
        if frame["kind"]:
            branches["Kind"][kind_name(frame["kind"])] += 1
        for rtp in media_of(frame):     # each of a datagram of several
            branches["RTP payload type"][rtp["pt"]] += 1
        for attribute in APPLE.keys() & set(frame.get("stun", {}).get("attributes", [])):
            branches["Apple STUN attribute"][attribute_name(attribute, frame)] += 1
    return branches


@pytest.mark.parametrize("name", COUNTED)
def test_tree_counts_what_was_written(name, tshark):
    told, expected = tree(tshark, capture_of(name)), expected_tree(generate.build(name).truth)
    assert told["Kind"] == expected["Kind"]
    assert told["Apple STUN attribute"] == expected["Apple STUN attribute"]
    payload_types = collections.Counter()
    for item, packets in told["RTP payload type"].items():
        payload_types[int(item.split()[0])] += packets
    assert payload_types == expected["RTP payload type"]


@pytest.mark.parametrize("name", ["facetime-caller", "calls-in-sequence", "modern-call"])
@pytest.mark.parametrize("branch, what", [("Path", "path"), ("Generation", "generation"), ("Call", "call"),
                                          ("Event", "event")])
def test_tree_counts_as_the_filters_do(name, branch, what, tshark):
    """Path, generation, call and events of each frame are test_truth.py's; here the tree agrees with them."""
    told = tree(tshark, capture_of(name))[branch]
    values = collections.Counter(tshark.values(capture_of(name), "facetime." + what))
    words = {str(number): word for number, word in enumerate(WORDS.get("facetime." + what, []), 1)}
    named = {value: f"Call {value}" if what == "call" else words.get(value, value) for value in values}
    assert told == {named[value]: n for value, n in values.items()}


@pytest.mark.parametrize("name", EXPORTED)
def test_export_objects_gives_the_sdp_that_was_written(name, tshark):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="objects-", dir=support.stage()))
    os.chown(folder, *([support.NOBODY] * 2 if os.geteuid() == 0 else [-1, -1]))
    tshark.text(capture_of(name), "-q", "--export-objects", f"facetime-sdp,{folder}")
    files = {int(path.name.split("-")[1]): path.read_bytes() for path in folder.iterdir()}
    written = {number: frame["sip"]["body"].encode() for number, frame in generate.build(name).truth.items()
               if frame.get("sip", {}).get("content_type") == "application/sdp"}
    assert written
    assert files == written


def test_decode_as(tshark, make_capture):
    """On ports that are nobody's, a check without a mark of Apple's, and media: FaceTime's because the user says so."""
    check = bytes.fromhex("00010000 2112a442 000102030405060708090a0b")
    media = bytes.fromhex("8068 0001 00000001 0000abcd") + bytes(40)
    capture = make_capture([Datagram("192.0.2.1", 40000, "198.51.100.2", 40001, payload) for payload in (check, media)])
    assert tshark.values(capture, "facetime.kind") == []
    rows = tshark.names(capture, "facetime.kind", "frame.protocols", args=("-d", "udp.port==40000,facetime"))
    assert [row["facetime.kind"] for row in rows] == ["stun", "rtp"]
    assert [row["frame.protocols"].split(":")[-1] for row in rows] == ["stun", "rtp"]


# What stands in the packets of a part that is switched off, behind `facetime`.
SWITCHES = [
    ("rtp-both-paths", "facetime_rtp", {"rtp", "gkstun:rtp"}),
    ("rtp-both-paths", "facetime_sip", {"sip", "sip:sdp"}),
    ("rtp-both-paths", "facetime_sdp", {"facetime_sip:sip:sdp"}),
    ("facetime-samenet", "gkstun", {"stun"}),
    ("modern-call", "facetime_control", {"data", "quickrelay:data"}),
    ("modern-call", "facetime_link", {"quickrelay:data", "gkstun:data"}),
    ("modern-call", "quickrelay", {"data"}),
    ("modern-snatmap", "snatmap", {"data"}),
    ("modern-baseband", "baseband", {"data"}),
    ("nat-tests", "commnat", {"data"}),
]


@pytest.mark.parametrize("name, protocol, instead", SWITCHES)
def test_a_part_switched_off(name, protocol, instead, tshark):
    """Its packets show the layers that stock has for them; all others are as before."""
    capture, fields = capture_of(name), ("facetime.kind", "facetime.call", "frame.protocols")
    mine = set(tshark.frames(capture, protocol))
    before, after = (tshark.names(capture, *fields, disable=off) for off in ((), (protocol,)))
    assert mine and len(before) == len(after)
    assert tshark.count(capture, protocol, disable=(protocol,)) == 0
    assert [a for n, a in enumerate(after, 1) if n not in mine] == [b for n, b in enumerate(before, 1) if n not in mine]
    assert {a["frame.protocols"].split(":facetime:", 1)[1] for n, a in enumerate(after, 1) if n in mine} == instead


def test_the_plugin_switched_off(tshark, stock):
    capture = capture_of("rtp-both-paths")
    assert tshark.text(capture, "-V", disable=("facetime",)) == stock.text(capture, "-V")
