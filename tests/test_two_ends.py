# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/two-ends: pairs of captures of one simulated call, with known losses on each hop."""

import functools
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import support
from browser import Browser
from simulate import Call, Loss, Plan

TOOL = support.ROOT / "tools" / "two-ends"
HOP = {"up": "uplink", "relay": "relay", "down": "downlink", "direct": "direct"}
OFFSET, PPM = 1.75, 40.0        # B's clock against A's, unless said otherwise

LATER_DIRECT = ((0, "relay"), (12, "direct"))
PLANS = {
    "uplink": Plan(seed=1, seconds=20, losses={"A:up": Loss(rate=.02), "B:up": Loss(bursts=(.002, 8))}),
    "downlink": Plan(seed=2, seconds=20, losses={"B:down": Loss(rate=.02), "A:down": Loss(bursts=(.002, 8))}),
    "relay": Plan(seed=3, seconds=20, losses={"A:relay": Loss(rate=.01), "B:relay": Loss(windows=((8, 8.3),))}),
    "direct": Plan(seed=4, seconds=20, paths=LATER_DIRECT, doubled=((11, 13),),
                   losses={"A:direct": Loss(rate=.02), "B:direct": Loss(bursts=(.002, 8))}),
    "all hops": Plan(seed=5, seconds=20, paths=LATER_DIRECT, overtaken=.004, losses={
        "A:up": Loss(rate=.003), "A:relay": Loss(windows=((4, 4.1),)), "B:down": Loss(rate=.003),
        "B:up": Loss(bursts=(.0007, 6)), "A:down": Loss(windows=((7, 7.2),)), "A:direct": Loss(rate=.01)}),
    "multiway": Plan(seed=6, seconds=20, mode="multiway", losses={"A:up": Loss(rate=.01), "A:down": Loss(rate=.01)}),
    "legacy": Plan(seed=7, seconds=20, mode="legacy", paths=LATER_DIRECT, losses={
        "A:up": Loss(rate=.01), "A:direct": Loss(rate=.01), "A:down": Loss(rate=.01)}),
    "stalls": Plan(seed=8, seconds=20, stalls={"A:up": (5, 5.6), "A:down": (9, 9.4)}),
    "clean": Plan(seed=9, seconds=20),
}


@functools.lru_cache(maxsize=2)
def call_of(name):
    return Call(PLANS[name])


@pytest.fixture(scope="module")
def two_ends(program):
    """two_ends(A, B): the tool's object of two simulated captures."""
    def run(*captures):
        files = [support.write_capture(c.write()) for c in captures]
        done = subprocess.run([TOOL, "--json", *files], env={**os.environ, "TSHARK": str(program)},
                              capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return json.loads(done.stdout)
    return run


class Truth:
    """A stream, as the two captures have it."""

    def __init__(self, stream, sender, receiver):
        ours = [r for r in sender.records if r.packet and r.packet.stream is stream]
        theirs = [r for r in receiver.records if r.packet and r.packet.stream is stream]
        self.sent, self.got = {}, {}
        for where, records in ((self.sent, ours), (self.got, theirs)):
            for record in records:
                where.setdefault(record.packet, record)
        self.copies = tuple(len(r) - len(w) for w, r in ((self.sent, ours), (self.got, theirs)))
        self.both = [p for p in self.sent if p in self.got]

    def judge(self, span):
        self.lost = {r.number: p for p, r in self.sent.items()
                     if p not in self.got and span[0] <= r.number <= span[1]}
        self.not_judged = sum(not span[0] <= r.number <= span[1] for r in self.sent.values())

    def reordered(self):
        order = {p: i for i, p in enumerate(self.sent)}
        numbers = [order[p] for p in self.got if p in order]
        return sum(n < max(numbers[:i], default=0) for i, n in enumerate(numbers))

    def delays(self):
        return [self.got[p].time - self.sent[p].time for p in self.both]


def truths(call, captures):
    out = {}
    for end, other in ("AB", "BA"):
        own = {s.ssrc: Truth(s, captures[end], captures[other]) for s in call.streams if s.end == end}
        frames = [t.sent[p].number for t in own.values() for p in t.both]
        for truth in own.values():
            truth.judge((min(frames), max(frames)))
        out.update(own)
    return out


def hop(packet):
    """Where it was lost, if it was on one path only."""
    places = {HOP[place.split(":")[1]] for place in packet.lost_at.values()}
    return places.pop() if len(packet.lost_at) == 1 else None


@pytest.mark.parametrize("name", PLANS)
def test_what_was_sent_lost_and_where(two_ends, name):
    call = call_of(name)
    captures = {"A": call.capture("A"), "B": call.capture("B", offset=OFFSET, ppm=PPM)}
    record = two_ends(captures["A"], captures["B"])
    right = truths(call, captures)
    assert {s["ssrc"] for s in record["streams"]} == set(right)
    told = lost = 0
    for stream in record["streams"]:
        truth = right[stream["ssrc"]]
        assert (stream["sent"], stream["received"], stream["lost"], stream["not_judged"], stream["not_sent"]) == \
            (len(truth.sent), len(truth.both), len(truth.lost), truth.not_judged, 0)
        assert {p["frame"] for p in stream["lost_packets"]} == set(truth.lost)
        wrong = [p for p in stream["lost_packets"] if p["where"] not in (None, hop(truth.lost[p["frame"]]))]
        assert not wrong
        told += sum(p["where"] is not None for p in stream["lost_packets"])
        lost += len(truth.lost)
        assert (stream["copies"]["sent"], stream["copies"]["received"]) == truth.copies
        assert stream["reordered"] == truth.reordered()
        assert stream["seen_twice"] == {"sent": 0, "received": 0}
    if name in ("uplink", "downlink", "relay", "direct", "clean", "stalls"):
        assert told >= .99 * lost
    if name == "clean":
        assert lost == 0
    if name in ("uplink", "downlink", "relay", "all hops", "multiway"):
        for way in record["ways"]:
            gone = [hop(p) for t in right.values() for p in t.lost.values() if p.stream.end == way["from"]]
            counted = way["lost_by_relays_counters"]
            unreported = 5 if name == "all hops" else 0     # lost after the relay's last report, before media left it
            for place in ("uplink", "downlink"):
                assert gone.count(place) - unreported <= counted[place] <= gone.count(place)
            assert counted["relay"] in (None, gone.count("relay"))
    if name == "legacy":        # this relay counts nothing
        assert all(w["lost_by_relays_counters"]["uplink"] is None for w in record["ways"])
        assert all(s["lost_where"]["uplink"] == s["lost_where"]["downlink"] == 0 for s in record["streams"])
        assert any(s["lost_where"]["unknown"] for s in record["streams"])


@pytest.mark.parametrize("offset, ppm", [(-3.2, -60.0), (7200.0, 25.0)])
def test_clocks_and_lateness(two_ends, offset, ppm):
    call = call_of("stalls")
    captures = {"A": call.capture("A"), "B": call.capture("B", offset=offset, ppm=ppm)}
    record = two_ends(captures["A"], captures["B"])
    clocks = record["clocks"]
    ahead = offset + 2 * ppm * 1e-6         # two seconds in, when media begins
    assert abs(clocks["offset"] - ahead) <= clocks["uncertainty"] <= .1
    assert abs(clocks["drift_ppm"] - ppm) < 40
    right = truths(call, captures)
    for end in "AB":
        quickest = min(d for t in right.values() for p, d in zip(t.both, t.delays()) if p.stream.end == end)
        for stream in record["streams"]:
            if stream["from"] == end:
                above = [d - quickest for d in right[stream["ssrc"]].delays()]
                least, most = (sum(d > .150 + slack for d in above) for slack in (.004, -.004))
                assert least <= stream["late"] <= most and most > 5
                assert abs(stream["delay_above_quickest"]["max"] - 1000 * max(above)) < 4


@pytest.mark.parametrize("end, how, why", [
    ("A", {"clock": "batched"}, "batched"), ("B", {"clock": "stepped", "step": (11.0, 4.0)}, "was set")])
def test_no_clocks_where_one_cannot_be_believed(two_ends, how, why, end):
    """Losses are told all the same."""
    call = call_of("uplink")
    captures = {e: call.capture(e, **(how if e == end else {})) for e in "AB"}
    record = two_ends(captures["A"], captures["B"])
    assert record["clocks"]["offset"] is None and why in record["clocks"]["why"]
    assert (record["captures"][end]["clock"] == "batched") == (why == "batched")
    for stream in record["streams"]:
        assert stream["late"] is None and stream["delay_above_quickest"] is None
        truth = truths(call, captures)[stream["ssrc"]]
        assert (stream["lost"], stream["lost_where"]["uplink"]) == (len(truth.lost), len(truth.lost))


@pytest.mark.parametrize("name", ["all hops", "downlink", "legacy"])
def test_a_capture_that_covers_a_part(two_ends, name):
    """B's begins in mid-call and ends early: what it can't have seen isn't lost.

    Bare legacy media takes a few packets until it is known for FaceTime's: those are neither sent nor received.
    """
    call = call_of(name)
    captures = {"A": call.capture("A"), "B": call.capture("B", window=(9, 17), mirrored=.2)}
    record = two_ends(captures["A"], captures["B"])
    right = truths(call, captures)
    for stream in record["streams"]:
        truth = right[stream["ssrc"]]
        assert stream["lost"] == len(truth.lost)
        assert all(p["where"] in (None, hop(truth.lost[p["frame"]])) for p in stream["lost_packets"])
        assert 0 <= stream["not_judged"] - truth.not_judged <= (4 if name == "legacy" else 0)
        assert stream["not_judged"] + stream["not_sent"] > 300
    assert any(s["seen_twice"]["received"] for s in record["streams"])


def test_cut_packets_are_told_by_their_beginnings(two_ends):
    call = call_of("downlink")
    captures = {"A": call.capture("A"), "B": call.capture("B", snap=110)}
    record = two_ends(captures["A"], captures["B"])
    assert record["captures"]["B"]["cut"]
    for stream in record["streams"]:
        assert stream["lost"] == len(truths(call, captures)[stream["ssrc"]].lost)


@pytest.fixture(scope="module")
def tool():
    """The tool as a module."""
    loader = importlib.machinery.SourceFileLoader("two_ends_tool", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


UP, DOWN = "uplink", "downlink"


@pytest.mark.parametrize("up, down, right", [
    ([(UP, 0, "ab")], [(DOWN, 2, "ab")], {"a": DOWN, "b": DOWN}),
    ([(UP, 2, "ab")], [(DOWN, 0, "ab")], {"a": UP, "b": UP}),
    ([(UP, 0, "ab")], [(DOWN, 0, "ab")], {"a": "relay", "b": "relay"}),
    ([(UP, 1, "ab")], [(DOWN, 1, "ab")], {"a": None, "b": None}),
    ([(UP, 1, "a"), (UP, 0, "b")], [(DOWN, 1, "ab")], {"a": UP, "b": DOWN}),
    ([(UP, 1, "a"), (UP, 0, "b")], [(DOWN, 0, "ab")], {"a": UP, "b": "relay"}),
    ([], [(DOWN, 1, "ab")], {"a": None, "b": None}),
    ([], [(DOWN, 2, "ab")], {"a": DOWN, "b": DOWN}),
    ([(UP, 1, "a")], [(DOWN, 1, "a")], {"a": None}),               # it can't have been lost twice
    ([(UP, 3, "ab")], [(DOWN, 0, "ab")], {"a": None, "b": None}),  # more than there are
])
def test_a_hop_is_given_where_the_counts_leave_no_other(tool, up, down, right):
    groups = [[tool.Group(hop, lost, frozenset(frames), True) for hop, lost, frames in side] for side in (up, down)]
    assert tool.settled(sorted(right), *groups, tool.between(sorted(right), *groups)) == right


def test_a_report_that_runs_behind_is_no_loss(tool):
    """As the real relay's: 0, 3, then -1 more than it should be, and 3 from there on."""
    def merged(*losses):
        return [(i.begin, i.end, i.lost) for i in tool.merged(tool.Interval(n, n + 1, lost)
                                                              for n, lost in enumerate(losses))]
    assert merged(0, 1, -1, 0) == [(0, 1, 0), (1, 3, 0), (3, 4, 0)]
    assert merged(-1, 1, 0) == [(0, 2, 0), (2, 3, 0)]
    assert sum(lost for _, _, lost in merged(0, 3, -4, 4, 0)) == 3
    assert merged(2, -1, -1) == [(0, 3, 0)]


def files(*captures):
    return [str(support.write_capture(c.write())) for c in captures]


def run(program, *arguments):
    return subprocess.run([TOOL, *arguments], env={**os.environ, "TSHARK": str(program)}, capture_output=True, text=True)


def test_text_and_page_say_the_same(program, tmp_path):
    call = call_of("all hops")
    pair = files(call.capture("A"), call.capture("B", offset=OFFSET))
    page = tmp_path / "page.html"
    done = run(program, "-o", page, *pair)
    assert done.returncode == 0 and not done.stderr
    html = page.read_text()
    assert not re.search(r"(src|href)=(?!\"#)", html) and html.count("<script") == 1
    record = json.loads(run(program, "--json", *pair).stdout)
    for stream in record["streams"]:
        line = next(line for line in done.stdout.splitlines() if f"0x{stream['ssrc']:08x}" in line)
        assert [str(stream[k]) for k in ("sent", "received", "lost")] == line.split()[5:8]
        assert f"0x{stream['ssrc']:08x}" in html
    assert "B's is 1.75" in done.stdout and "give or take" in done.stdout
    in_a_browser(page, record, tmp_path)


def in_a_browser(page, record, folder):
    """Loads nothing, says nothing, draws each lost packet; 400 pixels, dark, paper; a frame number is a filter."""
    if not shutil.which("chromium"):
        return
    with Browser(shutil.which("chromium"), folder / "browser") as browser:
        browser.width(1280)
        browser.open(page.as_uri())
        assert browser.console == [] and len(browser.requests) == 1 and browser.requests[0].startswith("file:")
        assert browser.ask("document.querySelectorAll('svg.way').length") == len(record["ways"])
        strokes = browser.ask("[...document.querySelectorAll('svg.losses .line')].map(l => (l.getAttribute('d').match(/M/g) || []).length)"
                              ".reduce((a, b) => a + b, 0)")
        assert strokes == sum(s["lost"] for s in record["streams"]) > 0
        browser.ask("document.querySelector('button.f').click()")
        assert re.search(r"frame\.number in \{\d+\}$", browser.ask("document.getElementById('copied').textContent"))
        browser.media(scheme="dark")
        browser.width(400)
        assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(23, 23, 27)"
        assert browser.ask("document.documentElement.scrollWidth") <= 400
        assert browser.pdf().startswith(b"%PDF") and browser.console == []


def test_names_of_files_are_text(program, tmp_path):
    pair = files(call_of("clean").capture("A"), call_of("clean").capture("B"))
    hostile = support.stage() / "<script>alert(1)<&.pcap"
    hostile.write_bytes(pathlib.Path(pair[0]).read_bytes())
    hostile.chmod(0o644)
    page = tmp_path / "page.html"
    assert run(program, "-o", page, hostile, pair[1]).returncode == 0
    assert "<script>alert" not in page.read_text()


def test_the_fresh_build_is_found():
    """Without TSHARK, by lib.sh, as its siblings do."""
    pair = files(call_of("clean").capture("A"), call_of("clean").capture("B"))
    environment = {k: v for k, v in os.environ.items() if k != "TSHARK"}
    done = subprocess.run([TOOL, *pair], env={**environment, "BUILD_DIR": str(support.PLUGIN.parent)},
                          capture_output=True, text=True)
    assert done.returncode == 0 and "A to B" in done.stdout, done.stderr


def test_what_cannot_be_compared_is_said(program, stock, tmp_path):
    one, other = files(call_of("clean").capture("A"), Call(Plan(seed=99, seconds=5)).capture("B"))
    no_capture = tmp_path / "facetime" / "facetime.txt"     # tshark names the file when it refuses it
    no_capture.parent.mkdir()
    no_capture.write_text("A text.\n")
    for path in (tmp_path, no_capture.parent):
        path.chmod(0o755)
    for pair, words in (((one, other), "no media packet"), ((one, one), "no media packet"),
                        ((one, tmp_path / "none"), "cannot read"), ((one, no_capture), "can't read")):
        done = run(program, *pair)
        assert done.returncode != 0 and words in done.stderr and "Traceback" not in done.stderr
    done = subprocess.run([TOOL, one, one], env={**stock.environment, "TSHARK": stock.program},
                          capture_output=True, text=True)
    assert done.returncode != 0 and "no FaceTime plugin" in done.stderr
    done = run("/nonexistent/tshark", one, other)
    assert done.returncode != 0 and "can't be started" in done.stderr


def test_the_real_call_from_both_ends(program):
    """1,395 bodies went up at one end and came down unchanged at the other, in each direction's relayed part."""
    names = ("facetime-2023-wifi-caller.pcapng", "facetime-2023-wifi-callee.pcapng")
    pair = [support.SHARED_CAPTURES / "real" / name for name in names]
    if not pair[0].is_file():
        pytest.skip("no real captures here (FACETIME_CAPTURES)")
    if not pair[1].is_file():
        pytest.skip("of the real call only one end's capture is here: the other end's isn't in the folder")
    done = run(program, "--json", *pair)
    assert done.returncode == 0
    assert sum(s["received"] for s in json.loads(done.stdout)["streams"]) >= .99 * 1395
