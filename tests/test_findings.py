# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of generated faults: each kind of fault is found, and clean calls have none.

    FACETIME_FAULTS    how many calls of each kind (default 3; docs/findings.md has the matrix of 10)
    python3 -m pytest -s test_findings.py      prints the matrix
"""

import collections
import json
import os
import random
import re

import pytest

import simulate
import support
from simulate import Call, Capture, Loss, Plan

SEEDS = range(int(os.environ.get("FACETIME_FAULTS", 3)))
RECALL = .95

PLACE = simulate.Place

# quality.md's table: no other code may be given
CODES = set("""
    relay_only direct_after path_flaps one_way_media peer_silent no_media network_loss bursty_loss freezes low_frame_rate
    bitrate_drop long_round_trip slow_setup broken_off restarted refused cancelled busy unanswered_bye hung_up handover nat
    cleartext capture_clock_batched capture_cut begins_in_call ends_in_call seen_twice one_direction""".split())
NOTES = {"hung_up", "cleartext", "nat", "direct_after"}        # what a clean call may have
SILENCE = {"one_way_media", "peer_silent", "no_media"}
LOSS = {"network_loss", "bursty_loss"}

KINDS = {}      # name of the finding: function(rng, seed) that makes a capture with it


def fault(function):
    KINDS[function.__name__] = function
    return function


def plan(seed, kind, mode=None, **changes):
    """A call on which all is well, but for what is changed: relay, then direct, hung up here."""
    rng = random.Random(f"{kind} {seed}")
    usual = dict(mode=mode or ("one-to-one", "legacy")[seed % 2], seconds=20.0, fps=15, video=False,
                 paths=((0, "relay"), (rng.uniform(3, 5), "direct")), goes_on=3.0)
    return Plan(seed=f"{kind} {seed}", **{**usual, **changes})


def capture(seed, kind, at="A", how=None, **changes):
    return Call(plan(seed, kind, **changes)).capture(at, **{"background": .7, **(how or {})})


BOTH = ("audio", "video")


@fault
def relay_only(rng, seed):
    return capture(seed, "relay_only", paths=((0, "relay"),), answers=seed % 4 < 2)


@fault
def path_flaps(rng, seed):
    return capture(seed, "path_flaps", paths=((0, "relay"), (3, "direct"), (rng.uniform(6, 8), "relay"), (10, "direct"),
                                              (rng.uniform(13, 15), "relay")))


@fault
def one_way_media(rng, seed):
    return capture(seed, "one_way_media", mute=((0, 99, "B", BOTH),))


@fault
def peer_silent(rng, seed):
    return capture(seed, "peer_silent", mute=((rng.uniform(9, 13), 99, "B", BOTH),))


@fault
def no_media(rng, seed):
    return capture(seed, "no_media", mode="legacy", mute=((0, 99, "AB", BOTH),))


@fault
def network_loss(rng, seed):
    return capture(seed, "network_loss", losses={hop: Loss(rate=rng.uniform(.03, .08)) for hop in ("A:down", "B:direct")})


@fault
def bursty_loss(rng, seed):
    length = rng.uniform(.2, .35)
    return capture(seed, "bursty_loss", losses={"B:direct": Loss(windows=((11, 11 + length),))})


@fault
def freezes(rng, seed):
    return capture(seed, "freezes", video=True, pauses=((8, 8 + rng.uniform(1.5, 3), "B"),))


@fault
def low_frame_rate(rng, seed):
    return capture(seed, "low_frame_rate", video=True, slow=((6, 16, rng.choice((5, 6, 7))),))


@fault
def bitrate_drop(rng, seed):
    return capture(seed, "bitrate_drop", video=True, thin=((8, 15.5, rng.uniform(10, 14)),))


@fault
def long_round_trip(rng, seed):
    one_way = rng.uniform(.2, .3)
    return capture(seed, "long_round_trip", delay={"up": one_way / 2, "down": one_way / 2, "direct": one_way})


@fault
def slow_setup(rng, seed):
    how = {"rings_after": 6.5, "media_at": 8.8} if seed % 2 else {"media_at": rng.uniform(5.5, 7)}
    return capture(seed, "slow_setup", mode="legacy", **how)


@fault
def broken_off(rng, seed):
    return capture(seed, "broken_off", ending="none")


@fault
def restarted(rng, seed):
    first = Call(plan(seed, "broken", mode="legacy", ending="unanswered", mute=((14, 99, "B", BOTH),)))
    second = Call(plan(seed, "restarted", mode="legacy"), start=30 + rng.uniform(0, 8))
    return Capture([first, second], "A", background=.7)


@fault
def refused(rng, seed):
    return capture(seed, "refused", mode="legacy", outcome="declined")


@fault
def busy(rng, seed):
    return capture(seed, "busy", mode="legacy", outcome="busy")


@fault
def cancelled(rng, seed):
    return capture(seed, "cancelled", mode="legacy", outcome="cancelled")


@fault
def unanswered_bye(rng, seed):
    return capture(seed, "unanswered_bye", mode="legacy", ending="unanswered", goes_on=9.0)


@fault
def handover(rng, seed):
    return capture(seed, "handover", moves_at=rng.uniform(9, 12), moves_for=rng.uniform(.2, 1.2))


@fault
def capture_clock_batched(rng, seed):
    return capture(seed, "capture_clock_batched", how={"clock": "batched"})


@fault
def capture_cut(rng, seed):
    return capture(seed, "capture_cut", how={"snap": rng.choice((96, 110))}, losses={"B:direct": Loss(rate=.04)})


@fault
def begins_in_call(rng, seed):
    return capture(seed, "begins_in_call", how={"window": (rng.uniform(8, 12), 99)})


@fault
def ends_in_call(rng, seed):
    return capture(seed, "ends_in_call", how={"window": (0, rng.uniform(12, 18))})


@fault
def seen_twice(rng, seed):
    return capture(seed, "seen_twice", how={"mirrored": 1.0})


@fault
def one_direction(rng, seed):
    return capture(seed, "one_direction", how={"directions": ("in", "out")[seed // 2 % 2]})


# what excludes what: the capture's own gaps are no fault of the call
EXCLUDED = {"one_direction": SILENCE, "capture_cut": LOSS, "begins_in_call": {"slow_setup"}}


def clean(seed):
    return capture(seed, "clean", video=seed % 3 == 0, doubled=((4.5, 5.5),) if seed % 4 == 1 else (),
                   losses={"B:direct": Loss(rate=.001)} if seed % 4 == 2 else {})


# clean, but odd: what people do in a call is no fault of it
ODD = {"camera off": {"mute": ((6, 14, "A", ("video",)),)},
       "peer's camera off": {"mute": ((6, 14, "B", ("video",)),)},
       "peer mute to the end": {"mute": ((6, 99, "B", ("audio",)),)},
       "both silent for a while": {"video": False, "mute": ((8, 14, "AB", BOTH),)},
       "comfort noise": {"dtx": ((5, 12),)},
       "the peer hangs up": {"ending": "B"}, "the peer hangs up, the clock batched": {"ending": "B"},
       "the device moves": {"moves_at": 10, "moves_for": 2.0}}
HOW = {"the peer hangs up, the clock batched": {"clock": "batched"}}
MAY = {"the device moves": {"handover"}, "the peer hangs up, the clock batched": {"capture_clock_batched"}}


def odd(name, mode):
    return capture(0, f"odd {name}", mode=mode, how=HOW.get(name), **{"video": True, **ODD[name]})


@pytest.fixture(scope="module")
def findings(tshark):
    """findings(capture): of all its calls."""
    def run(simulated):
        calls = json.loads(tshark.text(support.write_capture(simulated.write()), "-q", "-z", "facetime,calls,json"))
        return [f for call in calls for f in call["findings"]]
    return run


def well_formed(found):
    for finding in found:
        assert finding["code"] in CODES
        assert finding["severity"] in ("note", "warning") and len(finding["text"]) > 10
        assert 1 <= len(finding["frames"]) <= 8 and all(isinstance(n, int) and n > 0 for n in finding["frames"])


@pytest.fixture(scope="module")
def matrix(findings):
    """{kind: Counter of codes found in its captures}"""
    out = {}
    for kind, make in KINDS.items():
        out[kind] = collections.Counter()
        for seed in SEEDS:
            found = findings(make(random.Random(f"fault {kind} {seed}"), seed))
            well_formed(found)
            out[kind].update({f["code"] for f in found})
    print(text_of(out))
    return out


def text_of(matrix):
    """The confusion matrix: rows are what was made, columns what was found, in how many of the calls."""
    columns = [c for c in [*KINDS, *sorted(NOTES)] if any(row[c] for row in matrix.values())]
    lines = ["", f"{len(SEEDS)} calls of each kind", "| made | found | also |", "|---|---|---|"]
    for kind, row in matrix.items():
        also = ", ".join(f"{c} {row[c]}" for c in columns if c != kind and row[c])
        lines.append(f"| {kind} | {row[kind]} | {also or '-'} |")
    return "\n".join(lines)


def test_every_fault_is_a_kind_of_finding():
    assert set(KINDS) <= CODES and len(KINDS) >= 20
    assert CODES - set(KINDS) == NOTES
    assert set(HOW) | set(MAY) <= set(ODD)


@pytest.mark.parametrize("kind", KINDS)
def test_faults_have_what_they_are_named_for(kind):
    """The simulator's own word: each fault's capture has packets, and those of a kind differ."""
    make = KINDS[kind]
    one, other = (make(random.Random(f"fault {kind} {s}"), s) for s in (0, 1))
    assert len(one.records) > 20 and one.write() != other.write()


def test_recall(matrix):
    made = len(KINDS) * len(SEEDS)
    found = sum(row[kind] for kind, row in matrix.items())
    missed = {kind: len(SEEDS) - row[kind] for kind, row in matrix.items() if row[kind] < len(SEEDS)}
    assert found >= RECALL * made, f"{found} of {made}; missed: {missed}"


@pytest.mark.parametrize("kind", EXCLUDED)
def test_what_the_capture_hides_is_no_fault(matrix, kind):
    assert not [code for code in EXCLUDED[kind] if matrix[kind][code]]


@pytest.mark.parametrize("name", ODD)
def test_odd_calls_have_none(findings, name):
    for mode in ("one-to-one",) if name in ("comfort noise", "peer mute to the end") else ("one-to-one", "legacy"):
        found = findings(odd(name, mode))
        assert {f["code"] for f in found} <= NOTES | MAY.get(name, set()), (mode, found)


HIDDEN = {      # what the capture hides: (finding, its call, how it was captured, what may be said, what may not)
    "answers of one way": ("relay_only", {"paths": ((0, "relay"),)}, {"directions": "out"}, "can't be told", "never answered"),
    "a set-up before the file": ("relay_only", {"paths": ((0, "relay"),)}, {"window": (9, 99)}, "is in the capture", "was tried"),
    "losses of cut packets": ("handover", {"moves_at": 10}, {"snap": 110}, "what was lost can't be told", "packets of"),
    "losses of one way": ("handover", {"moves_at": 10}, {"directions": "out"}, "what was lost can't be told", "packets of")}


@pytest.mark.parametrize("name", HIDDEN)
def test_sentences_say_nothing_of_what_is_hidden(findings, name):
    code, changes, how, may, mustnt = HIDDEN[name]
    found = [f["text"] for f in findings(capture(0, name, how=how, **changes)) if f["code"] == code]
    assert len(found) == 1 and may in found[0] and mustnt not in found[0], found


def test_an_answered_bye_that_is_not_seen_ends_the_call(findings):
    found = {f["code"] for f in findings(capture(1, "answer alone", how={"directions": "in", "background": None}))}
    assert "one_direction" in found and not found & {"ends_in_call", "broken_off", "unanswered_bye"}


class MoreStreams(Call):
    """B's streams change their SSRC and key at 10 s, and a second layer of its video comes and goes."""

    def _signalling(self):
        self.windows = {s: (0, 10) for s in self.streams if s.end == "B"}
        self.keys = {}
        for medium, since, until in (("audio", 10, 99), ("video", 10, 99), ("video", 6, 15)):
            stream = simulate.Stream(self, "B", medium)
            self.streams.append(stream)
            self.windows[stream] = since, until
            self.keys[stream] = simulate.modern.new_mki(self.rng)
        super()._signalling()

    def _silent(self, stream, second):
        since, until = self.windows.get(stream, (0, 99))
        return not since <= second < until or super()._silent(stream, second)

    def _trailer(self, stream, seq):
        return self.keys[stream] + bytes(4) if stream in self.keys else super()._trailer(stream, seq)


@pytest.mark.parametrize("mode", ("one-to-one", "legacy"))
def test_more_streams_are_no_fault(tshark, mode):
    simulated = MoreStreams(plan(0, "more streams", mode=mode, video=True)).capture("A", background=.7)
    capture = support.write_capture(simulated.write())
    calls = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    assert len(calls) == 1 and {f["code"] for f in calls[0]["findings"]} <= NOTES
    streams = json.loads(tshark.text(capture, "-q", "-z", "facetime,streams,json"))
    assert len(streams) == 7 and not any(s["lost"] or s["freezes"] for s in streams)


class SameNetwork(Call):
    """Both ends know each other by their addresses at home; what is beyond their network is not seen."""

    def _signalling(self):
        for place in self.places.values():
            place.public = place.host
        super()._signalling()


@pytest.mark.parametrize("private", (True, False))
def test_a_neighbour_knows_nothing_of_a_nat(findings, private, monkeypatch):
    if not private:
        monkeypatch.setattr(simulate, "Place", public_place)
    found = findings(SameNetwork(plan(0, "same network")).capture("A", background=.7))
    texts = [f["text"] for f in found if f["code"] == "nat"]
    assert len(texts) == 1 and ("No NAT is seen" in texts[0]) != private, texts
    assert private == ("what one makes of it isn't seen" in texts[0])


def public_place(end, port):
    place = PLACE(end, port)
    place.host = place.public
    return place


def test_batched_times_have_no_tenths(findings):
    found = findings(capture(0, "no tenths", mute=((10, 99, "B", BOTH),), how={"clock": "batched", "window": (0, 19.5)}))
    texts = {f["code"]: f["text"] for f in found if f["code"] in ("direct_after", "peer_silent", "ends_in_call")}
    assert set(texts) == {"direct_after", "peer_silent", "ends_in_call"}
    assert all(re.search(r" about \d+ s ", text) and not re.search(r"\d\.\d s", text) for text in texts.values()), texts


def test_the_worst_seconds_are_whole(findings):
    """Losses everywhere: a window that the stream's end would cut to few packets isn't the worst of all."""
    losses = {hop: Loss(rate=.03, bursts=(.004, 7)) for hop in ("B:up", "A:down", "B:down", "B:direct")}
    found = [f["text"] for f in findings(capture(0, "whole seconds", losses=losses, mode="legacy")) if f["code"] == "network_loss"]
    told = [re.search(r"worst (\d+) s \((\d+) packets, from (\d+) s on", text) for text in found]
    assert told and all(int(t[1]) == 10 and int(t[3]) <= 10 for t in told), found


def test_a_silent_peer_makes_no_round_trips(tshark):
    """Who hears nothing repeats the last echo: stamps older than that tell how long it waits, not how long the way is."""
    streams = json.loads(tshark.text(support.write_capture(odd("peer mute to the end", "one-to-one").write()),
                                     "-q", "-z", "facetime,streams,json"))
    trips = [s["rtt"] for s in streams if s["rtt"]]
    assert trips and max(t["median"] for t in trips) < 150
    assert all(row["rtt"] is None or row["rtt"] < 600 for s in streams for row in s["series"])


@pytest.mark.parametrize("seed", range(2 * len(SEEDS)))
def test_clean_calls_have_none(findings, seed):
    found = findings(clean(seed))
    well_formed(found)
    codes = {f["code"] for f in found}
    assert codes <= NOTES and {f["severity"] for f in found} <= {"note"}
    assert codes >= {"direct_after", "hung_up"}
    assert seed % 2 == 0 or "cleartext" in codes


# --- frame times that lie ---------------------------------------------------------------------------------------------

STEPS = [(mode, at, step) for mode in ("legacy", "one-to-one") for at, step in ((1.75, 7200), (4, 7200), (4, -3600), (4, 20))]


@pytest.mark.parametrize("mode,at,step", STEPS)
def test_a_clock_that_was_set_makes_no_time(findings, mode, at, step):
    """Before media runs, and between relay and direct path: the media clock says how long that took, 4 s."""
    found = {f["code"]: f["text"] for f in findings(capture(1, "was set", mode=mode, paths=((0, "relay"), (4, "direct")),
                                                            how={"clock": "stepped", "step": (at, step)}))}
    assert set(found) <= NOTES
    told = re.search(r" (\d+)(?:\.\d)? s after", found["direct_after"])
    assert 3 <= int(told[1]) <= 5, found


@pytest.mark.parametrize("step", (7200, -3600))
def test_the_captures_end_is_told_by_one_clock(findings, step):
    """The media ends 13 s before the capture does, the clock was set in between the call."""
    found = {f["code"]: f["text"] for f in findings(capture(1, "end by one clock", mode="legacy", ending="none",
                                                            how={"clock": "stepped", "step": (12, step)}))}
    assert set(found) <= NOTES | {"broken_off"}
    assert 5 <= float(re.search(r"without a BYE, (\d+\.\d) s", found["broken_off"])[1]) <= 15, found


@pytest.mark.parametrize("mode", ("legacy", "one-to-one"))
def test_silences_of_batched_times_have_no_tenths(tshark, mode):
    simulated = capture(0, "batched silence", mode=mode, mute=((6, 12, "B", BOTH),), how={"clock": "batched"})
    story = json.loads(tshark.text(support.write_capture(simulated.write()), "-q", "-z", "facetime,timeline,json"))
    texts = [e["text"] for call in story for e in call["events"] if e["event"] == "media_gap"]
    assert texts and all(re.search(r"for about [5-8] s", text) and not re.search(r"\d\.\d s", text) for text in texts), texts


# --- NAT tests --------------------------------------------------------------------------------------------------------

class WithNatTests(Call):
    """A's NAT tests before the call: SNATMAP from the call's port, CommNAT from 16403 to three servers, a report."""

    def __init__(self, *arguments, ports=(16403, 16403, 16403), snatmap=True, flags=None):
        self.ports, self.snatmap, self.flags = ports, snatmap, flags
        super().__init__(*arguments)

    def _signalling(self):
        wire, place = simulate.snatmap, self.places["A"]
        test, outside = (place.host[0], 16403), place.public[0]

        def ask(when, near, server, request, answer):
            self._record("A", when, near, server, request)
            self._record("A", when + .03, server, near, answer, incoming=True)
        if self.snatmap:
            ask(.02, place.host, ("17.173.254.222", 16384), wire.snatmap(1, 77, place.host), wire.snatmap(2, 77, place.public))
        for i, port in enumerate(self.ports):
            token = 0x12345000 ^ (wire.MAIN0, wire.MAIN1, wire.COHORT)[i]
            ask(.05 + .001 * i, test, ("17.173.255.222", 16384 + i), wire.commnat_test(1, token),
                wire.commnat_test(2, token, (outside, port)))
        if self.flags is not None:
            ask(.15, test, ("17.173.255.222", 16384), wire.commnat_report(1, 0x9876, self.flags),
                wire.commnat_report(2, 0x9876, self.flags))
        super()._signalling()


NATS = {    # (how it was tested, what the finding says, what it doesn't)
    "one mapping": ({}, ["in 3 answers the mapping is the same, and the port is kept"], ["not the same", "report"]),
    "another for each": ({"ports": (40001, 40002, 40007), "flags": 0x04},
                         ["not the same, and the port is changed", "mapped ports differ between servers, port not kept"], []),
    "one answer": ({"ports": (40001,)}, ["one answer, in which the port is changed"], ["the same"]),
    "the report alone": ({"ports": (), "flags": 0x112}, ["0x112", "one mapping for all servers", "port kept",
                                                         "outside address reaches it"], ["answers the mapping"])}


@pytest.mark.parametrize("name", NATS)
def test_nat_tests_verdicts(findings, name):
    how, says, says_not = NATS[name]
    for mode in ("legacy", "one-to-one"):
        found = findings(WithNatTests(plan(0, f"nat {name}", mode=mode), **how).capture("A", background=.7))
        text, = [f["text"] for f in found if f["code"] == "nat"]
        assert {f["code"] for f in found} <= NOTES
        assert all(part in text for part in says) and not any(part in text for part in says_not), text
        assert "16402 is 203.0.113.7:16402 outside" in text or "16393 is 203.0.113.7:16393 outside" in text


def test_snatmap_alone_tells_of_a_nat(findings):
    """No direct check is answered, and no server of STUN: SNATMAP's answer remains."""
    found = findings(WithNatTests(plan(0, "snatmap alone", mode="one-to-one", paths=((0, "relay"),), answers=False), ports=())
                     .capture("A", background=.7))
    text, = [f["text"] for f in found if f["code"] == "nat"]
    assert "192.168.1.10:16393 is 203.0.113.7:16393 outside; the port is kept" in text and "CommNAT" not in text
