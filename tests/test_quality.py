# SPDX-License-Identifier: GPL-2.0-or-later
"""How good was the call: figures of simulated calls, whose truth is known, and of the real captures."""

import functools
import json
import random
import re
import subprocess

import pytest

import quality
import support
from simulate import Call, Loss, Plan

SEEDS = range(30)
OF_2026 = 27             # from this seed on: the trailers of 2026
MODES, CLOCKS = ("one-to-one", "legacy", "multiway"), ("exact", "batched", "stepped")
BATCHES = (1.0, .25, .5, .12)                               # seconds
STEPS = (-2.5, 4, 7200, .3, -.5, .15, 7200, -.9, -86400)
LOSSES = (
    {},
    {f"{e}:{hop}": Loss(rate=.01) for e in "AB" for hop in ("up", "down", "direct")},
    {f"{e}:{hop}": Loss(bursts=(.002, 9)) for e in "AB" for hop in ("up", "direct")},
    {f"{e}:down": Loss(rate=.03, bursts=(.001, 30)) for e in "AB"},
    {"A:relay": Loss(windows=((21, 21.6),)), "B:relay": Loss(windows=((24, 24.4),))},
)


@functools.lru_cache(maxsize=3)
def simulated(seed):
    """The capture of this seed: every mode with every clock, and by chance the rest."""
    rng = random.Random(f"quality {seed}")
    mode, clock = MODES[seed % 3], CLOCKS[seed // 3 % 3]
    plan = Plan(seed=seed, mode=mode, losses=LOSSES[seed % len(LOSSES)], fps=rng.choice((30, 24, 15)))
    plan.trailer = 2026 if seed >= OF_2026 else 2023
    if mode != "legacy":
        plan.audio = rng.choice(("AAC-ELD", "AAC-ELD", "RED", "EVS"))
    if rng.random() < .5:
        plan.pauses = ((5, 5 + rng.uniform(.6, 3), "AB"), (26, 26.5, rng.choice("AB")))
    if rng.random() < .3:
        plan.slow = ((18, 23, 10),)
    if rng.random() < .4 and plan.audio == "AAC-ELD":
        plan.dtx = ((3, 4.5), (12, 15))
    if rng.random() < .4:
        plan.overtaken = .01
    if rng.random() < .35:
        plan.restart = 9.0
    if rng.random() < .7:
        plan.paths = ((0, "relay"), (16, "direct"))
        plan.doubled = ((15.5, 17),) if rng.random() < .5 else ()
    plan.delay = {"up": rng.uniform(.005, .06), "down": rng.uniform(.005, .06), "direct": rng.uniform(.005, .09)}
    plan.ppm = {e: rng.uniform(-80, 80) for e in "AB"}
    if seed % 4 == 3:
        plan.stalls = {"A:up": (11.2, 12.7 if seed in (11, 19) else 11.9), "B:up": (13, 13.5)}
    return Call(plan).capture(rng.choice("AAB"), clock=clock, ppm=rng.uniform(-50, 50),
                              batch=BATCHES[seed // 3 % len(BATCHES)], step=(13.3, STEPS[(seed // 9 * 3 + seed % 3) % len(STEPS)]),
                              mirrored=rng.choice((0, 0, .3, 1)) if clock == "exact" else 0)


@functools.lru_cache(maxsize=3)
def truths(seed):
    capture = simulated(seed)
    return {stream.ssrc: quality.Truth(capture, stream, records) for stream, records in capture.streams()}


@functools.lru_cache(maxsize=3)
def written(seed):
    return support.write_capture(simulated(seed).write())


def objects(tshark, capture, tap):
    return json.loads(tshark.text(capture, "-q", "-z", f"facetime,{tap},json"))


@pytest.fixture(scope="module")
def streams(tshark):
    """streams(capture): what -z facetime,streams,json says."""
    taps = subprocess.run([*tshark.command, tshark.program, "-z", "help"], env=tshark.environment,
                          capture_output=True, text=True, check=False)
    if "facetime,streams" not in taps.stdout + taps.stderr:
        pytest.skip("this plugin has no -z facetime,streams")
    return functools.partial(objects, tshark, tap="streams")


# The comparison itself

of_each_seed = functools.partial(pytest.mark.parametrize, "seed", scope="module")    # one after the other: a call is simulated once


@of_each_seed(SEEDS[:6])
def test_the_comparison_finds_no_fault_with_the_truth(seed):
    for truth in truths(seed).values():
        assert quality.differences(truth, quality.sample(truth)) == []


def wrong(**changes):
    return lambda record: record.update(changes)


FAULTS = {
    "lost": lambda r: r.update(lost=r["lost"] + 1),
    "packets": lambda r: r.update(packets=r["packets"] - 1),
    "bytes": lambda r: r.update(bytes=r["bytes"] + 1),
    "copies": lambda r: r.update(copies=r["copies"] + 1),
    "seen_twice": lambda r: r.update(seen_twice=r["seen_twice"] + 1),
    "reordered": lambda r: r.update(reordered=r["reordered"] + 1),
    "bursts": lambda r: r.update(loss_bursts={"count": 99, "longest": 1}),
    "direction": wrong(direction="sideways"),
    "payload types": wrong(payload_types=[1]),
    "duration": lambda r: r.update(duration=r["duration"] * 1.01 + .01),
    "bit rate": lambda r: r.update(bitrate=r["bitrate"] * 1.02),
    "frames": wrong(frames={"seen": 1, "complete": 1, "incomplete": 0, "missing": 0}),
    "frame rate": wrong(frame_rate={"mean": 90, "least": 90}),
    "a freeze of no frame": lambda r: r["freezes"].append({"frame": 1, "at": 1, "length": 9}),
    "jitter": wrong(jitter={"mean": 1468.0, "max": 3000.0}),
    "first frame": lambda r: r.update(first_frame=r["first_frame"] + 1),
    "paths": wrong(paths=[]),
    "dscp": wrong(dscp=[9]),
    "series": lambda r: r["series"].pop(),
    "a second's packets": lambda r: [row.update(packets=0) for row in r["series"][2:9]],
    "peer's count": wrong(peer_report={"received": 1, **quality.REPORTED}),
    "peer's delays": lambda r: r["peer_report"] and r["peer_report"].update(one_way_delay=0),
    "round trip": wrong(rtt={"basis": "stamps", "samples": 1, "min": 1.0, "median": 1.0, "p95": 1.0}),
}
ONLY = {"frames": "video", "peer's count": "audio", "peer's delays": "audio", "round trip": "audio", "frame rate": "video"}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_finds_what_is_wrong(fault):
    for truth in truths(0).values():
        if ONLY.get(fault, truth.medium) == truth.medium:
            record = json.loads(json.dumps(quality.sample(truth)))
            FAULTS[fault](record)
            assert quality.differences(truth, record), f"{truth.medium} {truth.direction}"


def test_the_comparison_finds_a_missing_freeze_and_wrong_seconds():
    capture = Call(Plan(seed=1, pauses=((5, 7, "AB"),), seconds=12)).capture("A")
    for stream, records in capture.streams():
        truth = quality.Truth(capture, stream, records)
        if truth.medium == "video":
            assert [round(f.length, 1) for f in truth.freezes] == [2.0]
            assert quality.differences(truth, {**quality.sample(truth), "freezes": []})
            record = quality.sample(truth)
            record["series"][3]["frames"] -= 3
            assert quality.differences(truth, record)


def test_the_simulation_keeps_its_promises():
    """What is lost where it is lost, and what comes comes once."""
    plan = Plan(seed=5, seconds=20, losses={"A:up": Loss(rate=.05), "B:down": Loss(bursts=(.01, 6))},
                paths=((0, "relay"), (10, "direct")), doubled=((9, 11),))
    call = Call(plan)
    sent = [p for s in call.streams if s.end == "A" for p in s.packets]
    got = {id(r.packet) for r in call.capture("B").records if r.packet and r.packet.stream.end == "A"}
    assert {id(p) for p in sent if None in p.lost_at.values()} == got
    relayed = [p for p in sent if "relay" in p.lost_at]
    up = sum(p.lost_at["relay"] == "A:up" for p in relayed)
    assert .035 < up / len(relayed) < .065
    assert not any(p.lost_at.get("direct") for p in sent)
    for truth in (quality.Truth(c, s, r) for c in (call.capture("A"),) for s, r in c.streams()):
        assert truth.lost == truth.reordered == 0 or truth.direction == "in"
        assert truth.direction == "in" or truth.copies > 50
    assert any(quality.Truth(c, s, r).lost > 20 for c in (call.capture("B"),) for s, r in c.streams())


# The figures

@of_each_seed(SEEDS)
def test_streams_of_simulated_calls(streams, seed):
    records = {r["ssrc"]: r for r in streams(written(seed))}
    right = truths(seed)
    assert set(records) == set(right)
    found = [d for ssrc, truth in right.items() for d in quality.differences(truth, records[ssrc])]
    assert not found, f"{simulated(seed).calls[0].plan}\n" + "\n".join(found)


@of_each_seed(SEEDS)
def test_calls_of_simulated_calls(streams, tshark, seed):
    """One call, its clock, and when what began."""
    calls, capture = objects(tshark, written(seed), "calls"), simulated(seed)
    assert len(calls) == 1
    call, = calls
    codes = {f["code"] for f in call["findings"]}
    assert ("capture_clock_batched" in codes) == capture.batched
    assert ("seen_twice" in codes) == any(r.mirrored for r in capture.records)
    if capture.batched:
        assert call["clock"] == "media"
    seconds = {name: step["seconds"] for name, step in call["setup"].items() if step}
    assert seconds.pop("first_packet") == 0 and seconds
    assert {value is None for value in seconds.values()} == {capture.batched}      # quality.md: while the clock can be believed
    shown = re.findall(r"^  (\w+) +(\S+) +(\d+)$", tshark.text(written(seed), "-q", "-z", "facetime,pairs"), re.MULTILINE)
    assert [(name, text == "-", int(frame)) for name, text, frame in shown if name != "first_packet"] == [
        (name, capture.batched, step["frame"]) for name, step in call["setup"].items() if step and name != "first_packet"]
    for truth in truths(seed).values():
        name = f"first_{truth.medium}_{truth.direction}"
        assert call["setup"][name]["frame"] == truth.first_frame, name
    direct = [r.number for r in capture.records if r.packet and r.path == "direct"]
    if direct:
        assert call["setup"]["first_direct_media"]["frame"] == direct[0]


@of_each_seed(SEEDS)
def test_no_round_trip_by_a_clock_that_cannot_be_believed(streams, tshark, seed):
    if MODES[seed % 3] != "one-to-one":
        return      # the relay's figures are of those calls
    trips = [float(v) for v in tshark.values(written(seed), "quickrelay.stats.rtt")]
    if simulated(seed).batched:
        assert not trips
    assert all(t >= 0 for t in trips) or CLOCKS[seed // 3 % 3] == "stepped"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
def test_fields_say_what_the_figures_say(tshark, mode, two_pass):
    """Where nothing overtakes: facetime.lost_before adds up to what is lost, a freeze stands on the packet after it."""
    if "facetime.lost_before" not in tshark.field_types:
        pytest.skip("this plugin has no facetime.lost_before")
    plan = Plan(seed=3, mode=mode, losses=LOSSES[2], wobble=0, pauses=((6, 8, "AB"),))
    capture = Call(plan).capture("A")
    file = support.write_capture(capture.write())
    rows = tshark.rows(file, "frame.number", "rtp.ssrc", "facetime.lost_before", "facetime.freeze",
                       filter="facetime.lost_before || facetime.freeze", two_pass=two_pass)
    for stream, records in capture.streams():
        truth = quality.Truth(capture, stream, records)
        own = [r for r in rows if int(r["rtp.ssrc"][0], 0) == stream.ssrc]
        assert sum(int(v) for r in own for v in r["facetime.lost_before"]) == truth.lost
        frozen = [int(r["frame.number"][0]) for r in own if r["facetime.freeze"]]
        for freeze in truth.freezes:
            if freeze.length > 1:
                assert set(freeze.frames) & set(frozen)
        assert len(truth.freezes) <= len(frozen) <= len(truth.freezes) + len(truth.unsure)


# Real captures: figures counted when the facts were collected

CELLULAR, WIFI = "facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"


def test_real_video_is_complete(streams, real):
    """1,402 frames of the one-to-one video, each as long as it says."""
    counts = [r["frames"] for name in (CELLULAR, WIFI) for r in streams(real(name))
              if r["medium"] == "video" and r["frames"]]
    assert sorted(c["seen"] for c in counts) == [71, 84, 556, 691]
    assert all(c["complete"] == c["seen"] and not c["incomplete"] and not c["missing"] for c in counts)


@pytest.mark.parametrize("name, medians, more", [(WIFI, (39, 40), 3), (CELLULAR, (160, 179), 10)])
def test_real_round_trips(streams, real, name, medians, more):
    found = sorted(r["rtt"]["median"] for r in streams(real(name)) if r["rtt"] and r["rtt"]["basis"] == "stamps")
    assert len(found) == 2
    assert all(abs(value - right) <= more for value, right in zip(found, medians))


def test_real_cellular_call_lost_nothing(streams, real):
    assert [r["lost"] for r in streams(real(CELLULAR))] == [0, 0, 0, 0]


def test_the_real_far_ends_counts_agree(streams, real):
    """What was received of what was sent; the rest was under way."""
    def counts(name):
        return {r["packets"]: r["peer_report"]["received"] for r in streams(real(name)) if r["peer_report"]}
    assert counts(CELLULAR).items() >= {233: 231, 394: 393}.items()
    assert counts(WIFI).items() >= {150: 150, 98: 91}.items()


@pytest.mark.parametrize("name", [CELLULAR, WIFI])
def test_real_clocks_are_batched(streams, tshark, real, name):
    records = streams(real(name))
    assert {r["clock"] for r in records} == {"media"} and not any(r["jitter"] for r in records)
    call, = objects(tshark, real(name), "calls")
    assert "capture_clock_batched" in {f["code"] for f in call["findings"]}
    assert not tshark.values(real(name), "quickrelay.stats.rtt")


# --- where the capture begins and ends ------------------------------------------------------------------------------

def within_pictures(whole, since, until):
    """A window that begins and ends within a picture of B's video."""
    records = [r for r in whole.records if r.packet and r.packet.stream.medium == "video" and r.packet.stream.end == "B"]
    cuts = [(a.time + b.time) / 2 for a, b in zip(records, records[1:]) if a.packet.frame == b.packet.frame]
    return min(c for c in cuts if c > since), max(c for c in cuts if c < until)


@pytest.mark.parametrize("clock", ("exact", "batched"))
def test_pictures_that_the_capture_cuts_are_not_incomplete(streams, clock):
    """Nothing was lost. What lies before the file is no loss, and the far end's count of it isn't this stream's."""
    call = Call(Plan(seed=5, seconds=20.0, mode="one-to-one"))
    window = within_pictures(call.capture("A"), 9.0, 17.0)
    found = streams(support.write_capture(call.capture("A", clock=clock, window=window).write()))
    assert len(found) == 4
    for stream in found:
        assert stream["lost"] == 0
        if stream["medium"] == "video":
            counts = stream["frames"]
            assert counts["incomplete"] == counts["missing"] == 0 and counts["complete"] >= counts["seen"] - 2
        else:
            assert stream["peer_report"]["received"] is None
    assert any(s["frames"] and s["frames"]["complete"] == s["frames"]["seen"] - 2 for s in found)


def test_a_short_snap_length_makes_no_loss(streams, real):
    """Nothing is missing of the caller's streams; of packets cut to 54 bytes the parity's headers are there, those before aren't."""
    for snap in (50, 54, 58, 62):
        assert not any(s["lost"] for s in streams(support.cut_to(real(WIFI), snap)))


def test_what_cut_packets_hide_is_null(streams):
    """66 bytes end before the RTP header does where the relay's stands before it, and before the extension where that is short."""
    call = Call(Plan(seed=6, seconds=20.0, mode="one-to-one", paths=((0, "direct"), (6, "relay"), (9, "direct")),
                     losses={"B:direct": Loss(rate=.02)}))
    found = streams(support.write_capture(call.capture("A", snap=66).write()))
    assert {s["direction"]: s["lost"] for s in found} == {"out": 0, "in": None}
    assert [s["frames"] for s in found] == 4 * [None]
    for stream in (s for s in found if s["lost"] is None):
        assert stream["reordered"] is None and stream["loss_bursts"] is None
        assert stream["frame_rate"] is None and bool(stream["freezes"] is None) == (stream["medium"] == "video")
        assert {(row["lost"], row["frames"]) for row in stream["series"]} == {(None, None)}
