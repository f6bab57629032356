# SPDX-License-Identifier: GPL-2.0-or-later
"""Every frame of every test capture, against what the generator knows it wrote: kind, generation, path, call, the
peer behind the channel, and the events that must stand there (test-captures/events.py has their rules)."""

import pytest

import generate
import support

NUMBERS = {
    "kind": dict(stun=1, turn=2, sip=3, rtp=4, rtcp=5, snatmap=6, commnat=7, quickrelay=8, control=9, link=10, hbh=11,
                 quic=12, baseband=13, data=14),
    "generation": dict(legacy=1, modern=2),
    "path": dict(relay=1, direct=2, server=3),
}
FIELDS = ["frame.number", "facetime.kind", "facetime.generation", "facetime.path", "facetime.call",
          "facetime.peer.ipv4", "facetime.peer.ipv6", "facetime.peer.port", "facetime.event"]

pytestmark = pytest.mark.parametrize("name", generate.CAPTURES)


@pytest.fixture
def frames(tshark, name):
    """[(truth, {field: values})] of the capture, as the GUI sees it: with links forward."""
    truth = generate.build(name).truth
    rows = tshark.rows(support.TEST_CAPTURES / generate.file_name(name), *FIELDS, two_pass=True)
    assert len(rows) == len(truth), "the capture has other frames than the generator made"
    return [(truth[int(row["frame.number"][0])], row) for row in rows]


def differences(frames, told, expected):
    """Frames where told(row) isn't expected(truth), as text; the first twenty."""
    wrong = [f"frame {truth['number']}: {told(row)} instead of {expected(truth)}"
             for truth, row in frames if told(row) != expected(truth)]
    return wrong[:20]


@pytest.mark.parametrize("what", NUMBERS)
def test_classification(frames, what):
    def expected(truth):
        return NUMBERS[what].get(truth[what])

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
    def expected(truth):
        return list(map(str, truth["peer"])) if truth.get("peer") and truth["path"] == "relay" else []

    def told(row):
        return row["facetime.peer.ipv4"] + row["facetime.peer.ipv6"] + row["facetime.peer.port"]

    assert not differences(frames, told, expected)


def test_events(frames):
    """Events that must be there are, and none that may not."""
    wrong = []
    for truth, row in frames:
        told = sorted(row["facetime.event"])
        missing = set(truth["events"]) - set(told)
        surplus = set(told) - set(truth["events"]) - set(truth["may"])
        repeated = {event for event in told if told.count(event) > 1}
        if missing or surplus or repeated:
            wrong.append(f"frame {truth['number']}: missing {missing}, surplus {surplus}, repeated {repeated}")
    assert not wrong[:20]
