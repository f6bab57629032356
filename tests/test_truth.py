# SPDX-License-Identifier: GPL-2.0-or-later
"""Every frame of every test capture, against what the generator knows it wrote: kind, generation, path, call, the
peer behind the channel, and the events that must stand there (test-captures/events.py has their rules)."""

import collections

import pytest

import events
import generate
import support

NUMBERS = {
    "kind": dict(stun=1, turn=2, sip=3, rtp=4, rtcp=5, snatmap=6, commnat=7, quickrelay=8, control=9, link=10, hbh=11,
                 quic=12, baseband=13, data=14, gamekit=15),
    "generation": dict(legacy=1, modern=2, ichat=3),
    "path": dict(relay=1, direct=2, server=3),
}
FIELDS = ["frame.number", "facetime.kind", "facetime.generation", "facetime.path", "facetime.call",
          "facetime.peer.ipv4", "facetime.peer.ipv6", "facetime.peer.port", "facetime.event"]

# Captures that begin in the middle of a call: without signalling, media is claimed once four packets of a sender agree
# with each other (facetime.media_without_signalling), the first ones stay stock's.
MID_CALL = ("mid-call-direct", "mid-call-relay")
AGREEING = 4

KNOWN_EVENTS = set(events.EVENTS)     # what else the plugin tells is welcome

pytestmark = pytest.mark.parametrize("name", generate.CAPTURES)


@pytest.fixture
def frames(tshark, name):
    """[(truth, {field: values})] of the capture, as the GUI sees it: with links forward. Of damaged messages the
    generator doesn't say what they are: tests of the protocols do."""
    truth = generate.build(name).truth
    rows = tshark.rows(support.TEST_CAPTURES / generate.file_name(name), *FIELDS, two_pass=True)
    assert len(rows) == len(truth), "the capture has other frames than the generator made"
    frames = [(truth[int(row["frame.number"][0])], row) for row in rows]
    if name == "modern-damaged":
        frames = [(truth, row) for truth, row in frames if truth["kind"]]
    return after_agreement(frames) if name in MID_CALL else frames


def after_agreement(frames):
    """The frames from the first one on by which a sender's packets have agreed often enough."""
    seen = collections.Counter()
    for at, (truth, _) in enumerate(frames):
        if truth.get("rtp"):
            seen[truth["rtp"]["ssrc"]] += 1
            if seen[truth["rtp"]["ssrc"]] >= AGREEING:
                return frames[at:]
    raise AssertionError("no sender's packets agree")


def differences(frames, told, expected):
    """Frames where told(row) isn't expected(truth), as text; the first twenty."""
    wrong = [f"frame {truth['number']}: {told(row)} instead of {expected(truth)}"
             for truth, row in frames if told(row) != expected(truth)]
    return wrong[:20]


@pytest.mark.parametrize("what", NUMBERS)
def test_classification(frames, what):
    def expected(truth):
        value = truth[what]
        if what == "path" and "http" in truth:
            value = "server"        # Apple's, though not a FaceTime message
        if what == "generation" and truth["kind"] == "snatmap":
            # the bytes are the same in both generations: the server's port tells (legacy.md 2, modern.md 7)
            ports = truth["src"][1], truth["dst"][1]
            value = "modern" if any(3478 <= port <= 3497 for port in ports) else "legacy"
        return NUMBERS[what].get(value)

    def told(row):
        values = row["facetime." + what]
        return int(values[0]) if len(values) == 1 else values or None

    assert not differences(frames, told, expected)


def test_calls(frames):
    """Also the packets of Apple's servers that precede a call: tied to it."""
    def expected(truth):
        return truth["call"] or truth["precedes"]

    def told(row):
        return int(row["facetime.call"][-1]) if row["facetime.call"] else None

    assert not differences(frames, told, expected)


def test_peers(frames):
    bound = {(frozenset((tuple(truth["src"]), tuple(truth["dst"]))), truth["binds"]["channel"])
             for truth, _ in frames if "binds" in truth}

    def expected(truth):
        if truth["path"] != "relay" or not truth.get("peer"):
            return []
        channel = frozenset((tuple(truth["src"]), tuple(truth["dst"]))), truth.get("channel")
        return list(map(str, truth["peer"])) if "indication" in truth or channel in bound else []

    def told(row):
        return row["facetime.peer.ipv4"] + row["facetime.peer.ipv6"] + row["facetime.peer.port"]

    assert not differences(frames, told, expected)


def test_events(frames):
    """Events that must be there are, and none that may not."""
    wrong = []
    for truth, row in frames:
        told = sorted(KNOWN_EVENTS.intersection(row["facetime.event"]), key=str)
        told = [event for event in told for _ in range(row["facetime.event"].count(event))]
        missing = set(truth["events"]) - set(told)
        surplus = set(told) - set(truth["events"]) - set(truth["may"])
        repeated = {event for event in told if told.count(event) > 1}
        if missing or surplus or repeated:
            wrong.append(f"frame {truth['number']}: missing {missing}, surplus {surplus}, repeated {repeated}")
    assert not wrong[:20]


CHAT, COMMENT = 0x200000, 0x100000


def test_severities(tshark, name):
    """What only says how FaceTime does things is severity chat; a comment would lose the name in Expert Information. The
    captures' own comments are the only ones."""
    chat = {event for event, (_, severity) in events.EVENTS.items() if severity == events.CHAT}
    wrong = []
    for row in tshark.rows(support.TEST_CAPTURES / generate.file_name(name), "frame.number", "facetime.event",
                           "_ws.expert.severity", "frame.comment", two_pass=True, filter="facetime.event"):
        found = [int(value, 0) for value in row["_ws.expert.severity"]]
        comments = len(row["frame.comment"])
        if found.count(COMMENT) > comments or found.count(CHAT) < len(chat.intersection(row["facetime.event"])):
            wrong.append((row["frame.number"], row["facetime.event"], found))
    assert not wrong[:20]
