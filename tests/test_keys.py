# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of a call that are the same in every file in which a part of it is seen (calls/key.h)."""

import hashlib
import itertools
import json
import struct

import pytest

import floods
import support

HALVES = {"facetime-caller": 6000, "modern-call": 97}
# Derived from real packets of one call, which is told in docs/protocol.md
ONE_ORIGIN = {"modern-vectors", "modern-header-flags"}


def key(kind, clue):
    return f"{kind}:{hashlib.sha256(clue).hexdigest()[:16]}"


def pair(one, other):
    return struct.pack(">QQ", *sorted((one, other)))


def calls(tshark, capture):
    return json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json") or "[]")


def test_keys_of_a_legacy_call(tshark):
    """By what its packets show."""
    capture = support.TEST_CAPTURES / "facetime-caller.pcapng"
    rows = tshark.rows(capture, "sip.Call-ID", "stun.att.tie-breaker", "rtp.ssrc", "facetime.call", "ip.src", filter="facetime.call")
    call_ids = {value for row in rows for value in row["sip.Call-ID"]}
    ties = {int(value.replace(":", ""), 16) for row in rows for value in row["stun.att.tie-breaker"]}
    call, = calls(tshark, capture)
    ways = {s["ssrc"]: s["direction"] for s in call["streams"]}
    sent, met = ([ssrc for ssrc, way in ways.items() if way == direction] for direction in ("out", "in"))
    assert {int(value, 0) for row in rows for value in row["rtp.ssrc"]} == set(ways)
    expected = {key("callid", call_id.encode()) for call_id in call_ids}
    expected |= {key("tie", pair(*ties))} | {key("ssrc", pair(one, other)) for one in sent for other in met}
    assert set(call["keys"]) == expected
    assert call["call_key"] == call["keys"][0] == key("callid", call_ids.pop().encode())


def test_keys_of_a_modern_call(tshark):
    capture = support.TEST_CAPTURES / "modern-call.pcapng"
    rows = tshark.rows(capture, "facetime_rtp.mki", "quickrelay.participant")
    senders = {bytes.fromhex(v.replace("-", "").replace(":", ""))[:8] for row in rows for v in row["facetime_rtp.mki"]}
    participants = {bytes.fromhex(v.replace(":", "")) for row in rows for v in row["quickrelay.participant"]}
    call, = calls(tshark, capture)
    assert [k for k in call["keys"] if k.startswith("mki")] == sorted(key("mki", mki + bytes(8)) for mki in senders)
    assert {k for k in call["keys"] if k.startswith("part")} == {key("participant", p + bytes(8)) for p in participants}
    assert call["call_key"] == call["keys"][0]


@pytest.mark.parametrize("name", HALVES)
def test_parts_of_a_call_have_a_key_in_common(tshark, name):
    capture, last = support.TEST_CAPTURES / f"{name}.pcapng", HALVES[name]
    parts = [calls(tshark, support.part_of(capture, *span)) for span in ((1, last // 2), (last // 2 + 1, last))]
    whole, = calls(tshark, capture)
    for part, in parts:
        assert set(part["keys"]) <= set(whole["keys"])
        assert part["call_key"] in whole["keys"]
    assert set(parts[0][0]["keys"]) & set(parts[1][0]["keys"])


def test_no_two_calls_share_a_key(tshark):
    """In all small captures, each call of which is another."""
    owner = {}
    captures = [c for c in sorted(support.TEST_CAPTURES.glob("*.pcapng"))
                if c.stem not in ONE_ORIGIN and c.stat().st_size < support.SMALL]
    for batch in support.in_batches(captures):
        for call in calls(tshark, support.one_after_the_other(tuple(batch))):
            for one in call["keys"]:
                assert owner.setdefault(one, (batch, call["call"])) == (batch, call["call"]), one


def test_keys_are_bounded(tshark):
    """A call of ever new participants."""
    most = floods.LIMITS["KEYS_PER_CALL"]
    frames = [frame for frame, _ in itertools.islice(floods.names_per_call(most), 2 * most)]
    call, = calls(tshark, support.make_capture(frames))
    assert len(call["keys"]) == len(set(call["keys"])) == most
