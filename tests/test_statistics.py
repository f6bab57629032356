# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics > FaceTime, Export Objects, Decode As and Enabled Protocols, against what the generator wrote."""

import collections
import re
import tempfile

import pytest

import generate
import support
from support import Datagram
from test_fields import WORDS
from test_truth import AGREEING, MID_CALL
from wire import stun

# Damaged messages have no kind in the truth; media without signalling is stock's until it agrees (test_truth.py).
COUNTED = [name for name in generate.CAPTURES if name != "modern-damaged" and name not in MID_CALL]
# Their SIP bodies are broken, or SDP's text isn't the body: nothing to compare an export with.
EXPORTED = ["facetime-caller", "facetime-callee", "calls-in-sequence", "sip-gzip", "sip-raw-deflate", "sip-uncompressed"]
APPLE = {*range(0x8001, 0x800B), 0x8023, 0x8024}


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
        known = frame["kind"] or frame.get("http") or frame.get("quotes")
        if not known:
            continue
        branches["Kind"][frame["kind"]] += 1
        if "rtp" in frame:
            branches["RTP payload type"][frame["rtp"]["pt"]] += 1
        for attribute in APPLE.intersection(frame.get("stun", {}).get("attributes", [])):
            branches["Apple STUN attribute"][f"0x{attribute:04x}"] += 1
    return branches


@pytest.mark.parametrize("name", COUNTED)
def test_tree_counts_what_was_written(name, tshark):
    told, expected = tree(tshark, capture_of(name)), expected_tree(generate.build(name).truth)
    for branch in ("Apple STUN attribute",):
        assert told[branch] == expected[branch]
    assert {kind: n for kind, n in told["Kind"].items()} == {k: n for k, n in expected["Kind"].items() if k}
    payload_types = collections.Counter()
    for item, packets in told["RTP payload type"].items():
        payload_types[int(item.split()[0])] += packets
    assert payload_types == expected["RTP payload type"]


@pytest.mark.parametrize("name", ["facetime-caller", "calls-in-sequence", "modern-call"])
@pytest.mark.parametrize("branch, what", [("Path", "path"), ("Generation", "generation"), ("Call", "call")])
def test_tree_counts_as_the_filters_do(name, branch, what, tshark):
    """Path, generation and call of each frame are test_truth.py's; here the tree agrees with them."""
    told = tree(tshark, capture_of(name))[branch]
    values = collections.Counter(tshark.values(capture_of(name), "facetime." + what))
    words = dict(zip(map(str, range(1, 9)), WORDS.get("facetime." + what, [])))
    assert told == {words.get(value, f"Call {value}"): n for value, n in values.items()}
