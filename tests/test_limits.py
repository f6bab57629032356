# SPDX-License-Identifier: GPL-2.0-or-later
"""Each bound of calls/limits.h: in docs/limits.md, told at the packets that go beyond, all else shown."""

import functools
import itertools
import json
import re

import jsonschema
import pytest

import floods
import limits
import support
from wire import stun

DOC = (support.ROOT / "docs/limits.md").read_text()
ROOM = 96 * 1024    # KiB that a flood may cost more than stock tshark on the same file
EXTRA = 40          # packets beyond
SLOW = {"relay_counters"}   # a million packets: docs/limits.md has what they cost
FIELDS = ("facetime.limit", "frame.number", "facetime.kind", "facetime.path", "facetime.generation",
          "facetime.peer.port", "facetime.event", "_ws.expert.message")
AS_FIELDS = ("-T", "fields", *(word for field in FIELDS for word in ("-e", field)))


@functools.cache
def beyond(name):
    """(capture, numbers of the frames beyond the bound, how many frames)"""
    bound, flood, _ = floods.FLOODS[name]
    frames, numbers = [], []
    for number, (frame, is_beyond) in enumerate(flood(floods.LIMITS[bound]), 1):
        frames.append(frame)
        numbers += [number] if is_beyond else []
        if len(numbers) == EXTRA:
            return support.make_capture(frames), numbers, len(frames)


def is_large(name):
    return floods.LIMITS[floods.FLOODS[name][0]] > 1024


PEAKS = {}      # KiB that the first pass took, of the large ones
UNTIED, WITH_CALLS = "prepared_frames", (*AS_FIELDS, "-e", "facetime.call")
BOTH = {}       # of UNTIED: both passes' lines, for the test that asks for calls


def first_pass(name, tshark):
    """The fields as tshark prints them; what that took is kept for test_memory_at_a_bound."""
    capture, _, _ = beyond(name)
    fields = WITH_CALLS if name == UNTIED else AS_FIELDS
    if not is_large(name) or support.SANITIZED:
        return tshark.text(capture, *fields)
    result = tshark.measure(capture, *fields)
    PEAKS[name] = result.memory
    return result.stdout


def both_passes(name, tshark):
    """The lines of each. The second pass is asked for what is shown of each packet: that must be all of them."""
    fields = WITH_CALLS if name == UNTIED else AS_FIELDS
    texts = first_pass(name, tshark), tshark.text(beyond(name)[0], *fields, two_pass=True, filter=floods.FLOODS[name][2])
    return [text.split("\n")[:-1] for text in texts]


@pytest.mark.parametrize("name", [name for name in floods.FLOODS if name not in SLOW])
def test_beyond_a_bound(name, tshark):
    """The packets beyond say so, no other does; they are shown as the others are; both passes agree."""
    _, numbers, count = beyond(name)
    once, twice = both_passes(name, tshark)
    if name == UNTIED:
        BOTH[name] = once, twice
    assert len(once) == len(twice) == count
    assert [n for n, line in enumerate(once, 1) if not line.startswith("\t")] == numbers
    assert not [pair for pair in zip(once, twice) if pair[0] != pair[1]][:1]


@pytest.mark.parametrize("sends", (False, True))
def test_media_makes_room_for_flows(sends, tshark):
    """For one more 5-tuple each: what a flood of tests alone can't have, many calls can."""
    clients = [floods.at(floods.CLIENT, i) for i in range(5)]
    calls = [floods.allocate(client) for client in clients]
    calls += [floods.udp(client, floods.RELAY, floods.media(1, n)) for client in clients if sends for n in (1, 2)]
    most = floods.LIMITS["FLOWS"] - len(clients) + (len(clients) if sends else 0)
    flood = [frame for frame, _ in itertools.islice(floods.flows(0), most + 3)]
    capture = support.make_capture(calls + flood)
    assert tshark.frames(capture, "facetime.limit") == [len(calls) + most + n for n in (1, 2, 3)]


def test_packets_that_are_not_tied_to_their_call(tshark):
    """Each pass shows the call for as many as are tied, and for the allocation that began it."""
    _, numbers, _ = beyond(UNTIED)
    for lines in BOTH.get(UNTIED) or both_passes(UNTIED, tshark):
        assert [n for n, line in enumerate(lines, 1) if line.endswith("\t")] == numbers


def test_reports_say_which_bound_was_met(tshark):
    """In the head of each table, and in each object that reaches beyond."""
    capture, numbers, _ = beyond("streams_per_call")
    names = ("calls", "streams", "pairs", "timeline")
    said = f"Incomplete from frame {numbers[0]} on (FT_MAX_STREAMS_PER_CALL): more than 256 media streams"
    text = tshark.text(capture, "-q", *(word for name in names for word in ("-z", f"facetime,{name}")))
    assert text.count(said) == text.count("Incomplete from") == len(names)
    for name in names:
        objects = json.loads(tshark.text(capture, "-q", "-z", f"facetime,{name},json"))
        assert objects
        for one in objects:
            if one.get("last_frame", numbers[0]) < numbers[0]:
                assert "limits" not in one
                continue
            limit, = one["limits"]
            assert (limit["bound"], limit["most"], limit["frame"]) == ("FT_MAX_STREAMS_PER_CALL", 256, numbers[0])
            jsonschema.validate([one], json.loads((support.ROOT / "docs" / f"{'calls' if name == 'timeline' else name}.schema.json")
                                                  .read_text()))


def test_every_bound_has_its_words():
    """What reports lack beyond it; but for those of one packet."""
    header = (support.ROOT / "calls/limits.h").read_text()
    named = set(re.findall(r"^    X\((\w+), ", header, re.MULTILINE))
    assert set(floods.LIMITS) - named == {"CHAIN", "NESTING", "BRANCHES_PER_DIALOG", "SERIES"}


@pytest.fixture(scope="module")
def start(stock):
    """KiB that stock tshark takes for next to nothing."""
    return stock.cost(support.make_capture([bytes(60)]), runs=1)[1]


@pytest.mark.parametrize("name", [name for name in floods.FLOODS if name not in SLOW and is_large(name)])
def test_memory_at_a_bound(name, tshark, stock, start):
    """Where the flood costs no more than that over a start, even with its fields printed, stock needn't be asked."""
    if name not in PEAKS:
        first_pass(name, tshark)
    if PEAKS.get(name, start + ROOM + 1) > start + ROOM:
        capture, _, _ = beyond(name)
        assert tshark.cost(capture, runs=1)[1] <= stock.cost(capture, runs=1)[1] + ROOM


def bare(number, source):
    """A packet of media without signalling or any mark: four in a row, 20 ms apart, prove a flow."""
    return floods.udp(floods.at(floods.CLIENT, source), floods.DEVICE, floods.media(number, 1))


@pytest.mark.parametrize("others, claimed", [(0, 7), (-1, 7), (1, 0)])
def test_media_that_is_not_watched(others, claimed, tshark):
    """Beyond the bound nothing is claimed, so nothing can be told. others: watched before, fewer or more than
    the bound; 0: none."""
    watched = floods.LIMITS["BARE_MEDIA"] + others if others else 0
    frames = [bare(0, 1 + i) for i in range(watched)] + [frame for n in range(10) for frame in (bare(n, 0), bytes(60))]   # frames are 10 ms apart
    capture = support.make_capture(frames)
    for two_pass in (False, True):
        assert tshark.count(capture, "facetime", two_pass=two_pass) == claimed


def test_channels_within_channels(tshark):
    """The outer one, and as many within as the bound says; the rest is told, and shown as bytes."""
    most, check = floods.LIMITS["NESTING"], floods.CHECK
    for depth, nested in ((most, False), (most + 1, True), (40, True)):
        message = check
        for _ in range(depth):
            message = bytes(stun.channel_data(0x4001, message))
        capture = support.make_capture([floods.allocate(floods.CLIENT),
                                        floods.udp(floods.CLIENT, floods.RELAY, message)])
        for two_pass in (False, True):
            row = tshark.rows(capture, "stun.channel", "facetime.nesting", "data.len", two_pass=two_pass)[1]
            assert len(row["stun.channel"]) == min(depth, most + 1)
            assert bool(row["facetime.nesting"]) == nested
            assert bool(row["data.len"]) == nested


def test_every_bound_has_a_flood():
    """The last four have tests of their own; what quality remembers takes hundreds of thousands of packets."""
    quality = {"MARKS", "SERIES", "SECONDS", "PAUSES", "HISTOGRAMS", "ADDRESSES", "SDP_BYTES"}
    tested = {"BARE_MEDIA", "CHAIN", "NESTING", "KEYS_PER_CALL"}
    assert {bound for bound, *_ in floods.FLOODS.values()} | quality | tested == set(floods.LIMITS)


def test_every_bound_is_stated():
    """docs/limits.md has a row for each, with its number; those of other files have the file next to it."""
    stated = dict(re.findall(r"^\| `FT_MAX_(\w+)` \| ([\d,]+) \| (?!`)", DOC, re.MULTILINE))
    assert {name: int(number.replace(",", "")) for name, number in stated.items()} == floods.LIMITS


def test_every_other_bound_is_stated():
    """Those of one packet stand where they are used; the doc has the same numbers, and all of them."""
    stated = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| `([\w./-]+)`,? ", DOC, re.MULTILINE)
    assert len(stated) >= 10
    for name, number, file in stated:
        assert limits.defined()[file][name] == int(number.replace(",", "")), name
    named = {name for name, _, _ in stated} | set(limits.defined()["calls/limits.h"])
    others = {"MAX_RADIO", "MAX_RTT_S", "MAX_ID", "MAX_PRIORITY", "MAX_HEADERS", "FT_MAX_CODEC_NAME",
              "FT_SEQUENCE_MAX_DROPOUT", "FT_SEQUENCE_MAX_MISORDER"}     # values and sizes, of nothing counted
    bounds = {name for numbers in limits.defined().values() for name in numbers
              if re.fullmatch(r"\w*MAX_\w+|\w+_KEPT|\w+_MAX", name)}
    assert bounds > others and bounds - others <= named


def test_tests_that_the_doc_names_are_there():
    named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", DOC)
    assert named
    for file, test in named:
        assert f"\ndef {test}(" in (support.ROOT / f"tests/{file}.py").read_text(), test
