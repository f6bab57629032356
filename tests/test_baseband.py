# SPDX-License-Identifier: GPL-2.0-or-later
"""Baseband reports: what the phone's modem slips into a cellular capture."""

import random
import struct

import pytest

import support
from support import Datagram

RELAY = ("17.252.1.1", 3489)
PHONE = ("10.127.22.118", 16393)
TAG = 0x6DAAF59C


def report(queued=1234, transmitted=567890, clock=1000, unknown=3304, first=0, radio=5, version=2):
    """As the 2023 capture has them: modern.md section 9 counts each offset."""
    return struct.pack("!IHHIBBHBBHIIII", 0xDEADBEEF, 0xCAFE, version, TAG, radio, first, 1, 0, 0, 0,
                       queued, unknown, transmitted, clock)


# The forms that no capture has.
SHORT = struct.pack("!IHHII", 0xDEADBEEF, 0xCAFE, 2, 0x6F, 0x01020304)
DROPPED = struct.pack("!IHHIHH", 0xDEADBEEF, 0xDEAD, 2, TAG, 0x1234, 0) + \
    struct.pack("!BHHHH", 100, 3, 7, 8, 9) + struct.pack("!BHH", 104, 1, 65535)
DROPPED_NONE = struct.pack("!IHHIHH", 0xDEADBEEF, 0xDEAD, 2, TAG, 0x1234, 0xFFFF) + struct.pack("!BH", 100, 0)

EXPERTS = ("injected", "unverified", "bad_length", "cut", "bad_form", "odd_constant", "bad_dropped")


def down(payload, **changes):
    """From the relay, as the modem would have it."""
    return Datagram(*RELAY, *PHONE, payload)._replace(**changes)


def experts(tshark, capture, *options):
    """The expert infos at each packet."""
    for name in EXPERTS:
        options += ("-e", f"baseband.{name}")
    lines = tshark.lines(capture, "-T", "fields", "-E", "separator=|", *options)
    return [[n for n, v in zip(EXPERTS, line.split("|"), strict=True) if v] for line in lines]


def by_hand(tshark, capture):
    return experts(tshark, capture, "-d", f"udp.port=={RELAY[1]},baseband")


def numbers(tshark, capture, field):
    return [int(v, 0) for v in tshark.values(capture, field)]


# Real reports

@pytest.fixture(scope="module")
def cellular(real):
    return real("facetime-2023-cellular.pcapng")


def test_real_reports_are_all_there(cellular, tshark):
    assert tshark.count(cellular, 'facetime.kind == "baseband"') == 400
    assert tshark.count(cellular, "baseband") == 400
    assert tshark.count(cellular, "baseband.injected") == 400
    noted = " || ".join(f"baseband.{name}" for name in EXPERTS if name != "injected")
    assert tshark.count(cellular, noted) == 0


def test_real_reports_take_no_path(cellular, tshark):
    assert tshark.count(cellular, "baseband && facetime.path") == 0
    assert tshark.count(cellular, 'baseband && facetime.generation == "modern"') == 400


def test_real_constants(cellular, tshark):
    for field, value in (("tag", TAG), ("radio", 5), ("version", 2)):
        assert set(numbers(tshark, cellular, f"baseband.{field}")) == {value}
    assert numbers(tshark, cellular, "baseband.first").count(1) == 2


def test_real_queue_adds_up(cellular, tshark):
    """What waits and what was sent grow together by what the phone sent: 243,511 bytes."""
    queued = numbers(tshark, cellular, "baseband.queued")
    sent = numbers(tshark, cellular, "baseband.transmitted")
    assert sent == sorted(sent)
    total = [q + s for q, s in zip(queued, sent, strict=True)]
    assert total == sorted(total)
    assert total[-1] - total[0] == 243_511


def test_real_clock(cellular, tshark):
    clock = numbers(tshark, cellular, "baseband.clock")
    assert clock == sorted(clock)
    assert clock[-1] - clock[0] == 28_722
    assert max(numbers(tshark, cellular, "baseband.unknown_24")) == 3304


# Made reports

def test_fields_of_a_report(tshark, make_capture):
    capture = make_capture([down(report(first=1))])
    row, = tshark.rows(capture, *(f"baseband.{n}" for n in (
        "magic", "form", "version", "tag", "radio", "first", "unknown_14", "unknown_16", "queued",
        "unknown_24", "transmitted", "clock")))
    assert list(row.values()) == [["0xdeadbeef"], ["0xcafe"], ["2"], ["0x6daaf59c"], ["5"], ["1"], ["0001"],
                                  ["00000000"], ["1234"], ["3304"], ["567890"], ["1000"]]
    assert experts(tshark, capture) == [["injected"]]
    assert tshark.names(capture, "facetime.kind", "baseband.radio", "facetime.path") == [
        {"facetime.kind": "baseband", "baseband.radio": "Cellular", "facetime.path": ""}]


def test_radios(tshark, make_capture):
    """Wi-Fi and cellular were seen; 9 is told by others' clients alone."""
    capture = make_capture([down(report(radio=number)) for number in (0, 5, 9)])
    names = [row["baseband.radio"] for row in tshark.names(capture, "baseband.radio")]
    assert names == ["Wi-Fi", "Cellular", "Wired (unverified)"]


def test_columns(tshark, make_capture):
    capture = make_capture([down(report())])
    assert tshark.lines(capture, "-T", "tabs", "-o", 'gui.column.format:"P","%p","I","%i"') == [
        "Baseband\tModem report: 1234 bytes queued, 567890 transmitted"]


def test_the_tree_says_where_it_is_from(tshark, make_capture):
    text = tshark.text(make_capture([down(report())]), "-O", "baseband")
    assert "from the phone's own modem" in text
    assert "never was on the network" in text


def test_short_form(tshark, make_capture):
    capture = make_capture([down(SHORT)])
    row, = tshark.rows(capture, "baseband.tag", "baseband.unknown_12", "baseband.queued")
    assert list(row.values()) == [["0x0000006f"], ["01020304"], []]
    assert experts(tshark, capture) == [["injected", "unverified"]]


def test_dropped_form(tshark, make_capture):
    capture = make_capture([down(DROPPED), down(DROPPED_NONE)])
    rows = tshark.rows(capture, *(f"baseband.{n}" for n in (
        "transaction", "status", "dropped.payload_type", "dropped.count", "dropped.sequence", "rest")))
    assert [list(row.values()) for row in rows] == [
        [["0x1234"], ["0x0000"], ["100", "104"], ["3", "1"], ["7", "8", "9", "65535"], []],
        [["0x1234"], ["0xffff"], ["100"], ["0"], [], []]]
    assert experts(tshark, capture) == [["injected", "unverified"]] * 2


def test_six_lists_and_no_more(tshark, make_capture):
    one = struct.pack("!BHH", 100, 1, 5)
    capture = make_capture([down(report()), down(DROPPED[:16] + 6 * one), down(DROPPED[:16] + 7 * one)])
    field = "baseband.dropped.sequence"
    sequences = [row[field] for row in tshark.rows(capture, field)]
    assert sequences == [[], ["5"] * 6, ["5"] * 6]
    unverified = ["injected", "unverified"]
    assert experts(tshark, capture)[1:] == [unverified, [*unverified, "bad_dropped"]]


# Whose they are

def test_only_reports_are_claimed(tshark, make_capture):
    claimed = [report(), SHORT, DROPPED, DROPPED_NONE]
    others = [
        bytes.fromhex("deadbeefcafebabe") + report()[8:],
        bytes.fromhex("deadbeefdeadbeef") * 4,
        report(version=3),
        report() + b"\0", report()[:35], report()[:16],
        SHORT[:8] + struct.pack("!I", 0x70) + SHORT[12:],
        DROPPED + b"\0", DROPPED[:-1], DROPPED[:16] + struct.pack("!BH", 100, 0xFFFF),
        DROPPED[:16] + 7 * struct.pack("!BHH", 100, 1, 5),
        b"\xde\xad\xbe\xef", b"\xde\xad\xbe\xef\xca\xfe",
    ]
    apart = [down(payload, dst=f"10.9.0.{n}") for n, payload in enumerate(claimed + others, 1)]
    assert tshark.frames(make_capture(apart), "facetime or baseband") == [1, 2, 3, 4]


def test_random_tails_are_not_claimed(tshark, make_capture):
    """DEADBEEF and the rest by chance: nobody's."""
    rand = random.Random(16393)
    capture = make_capture([
        down(b"\xde\xad\xbe\xef" + rand.randbytes(rand.choice((12, 15, 32))),
             dport=rand.randrange(16384, 16404))
        for _ in range(20_000)])
    assert tshark.count(capture, "facetime or baseband") == 0


# Damage

def test_every_truncation(tshark, make_capture):
    """By hand at each length: a name for what is wrong, and the fields that are there."""
    ends = [("form", 6), ("version", 8), ("tag", 12), ("radio", 13), ("first", 14), ("queued", 24),
            ("transmitted", 32), ("clock", 36)]
    for snapped in (False, True):
        capture = make_capture(support.truncations(down(report()), snapped))
        options = ["-d", f"udp.port=={RELAY[1]},baseband", "-T", "fields", "-E", "separator=|"]
        for name, _ in ends:
            options += ["-e", f"baseband.{name}"]
        lines = tshark.lines(capture, *options)
        assert len(lines) == 36
        for length, line in enumerate(lines, 1):
            there = [name for (name, _), value in zip(ends, line.split("|"), strict=True) if value]
            assert there == [name for name, end in ends if length >= end]
        wrong = "cut" if snapped else "bad_length"
        assert by_hand(tshark, capture) == [["injected", wrong]] * 35 + [["injected"]]


def test_every_truncation_of_the_other_forms(tshark, make_capture):
    for form in (SHORT, DROPPED):
        whole = ["injected", "unverified"]
        assert by_hand(tshark, make_capture([down(form)])) == [whole]
        for told in by_hand(tshark, make_capture(support.truncations(down(form), True)))[:-1]:
            assert "cut" in told
    # a liar's drop report ends well only where a list does
    ends = [16, 16 + 9, 16 + 9 + 5]
    for length, told in enumerate(by_hand(tshark, make_capture(support.truncations(down(DROPPED)))), 1):
        assert told[0] == "injected"
        if length >= 16:
            assert ("bad_dropped" not in told) == (length in ends)
        else:
            assert "bad_length" in told


def test_in_its_flow_every_truncation_stays_ours(tshark, make_capture):
    """From four bytes on: DEADBEEF on a flow that had a report is the modem's."""
    cuts = [d for snapped in (False, True) for d in support.truncations(down(report()), snapped)]
    capture = make_capture([down(report())] + cuts)
    assert tshark.frames(capture, "baseband") == [1, *range(5, 38), *range(41, 74)]


def test_oddities_have_a_name(tshark, make_capture):
    good = report()
    capture = make_capture([
        down(good[:14] + b"\0\2" + good[16:]), down(good[:19] + b"\1" + good[20:]), down(report(version=3)),
        down(good[:4] + b"\xbe\xef" + good[6:]), down(good + b"\0"),
    ])
    assert by_hand(tshark, capture) == [
        ["injected", "odd_constant"], ["injected", "odd_constant"], ["injected", "odd_constant"],
        ["injected", "bad_form"], ["injected", "bad_length"]]


def test_lists_that_lie(tshark, make_capture):
    """A count beyond the end: what came before it is shown, the rest as bytes."""
    lying = DROPPED[:25] + struct.pack("!BHH", 104, 2, 1)
    capture = make_capture([down(report()), down(lying)])
    row = tshark.rows(capture, "baseband.dropped.sequence", "baseband.rest")[1]
    assert list(row.values()) == [["7", "8", "9"], ["6800020001"]]
    assert experts(tshark, capture)[1] == ["injected", "unverified", "bad_dropped"]


def test_both_passes_say_the_same(tshark, make_capture):
    capture = make_capture([down(report()), down(SHORT), down(DROPPED), down(report(clock=1070))])
    texts = [tshark.text(capture, "-V", two_pass=two_pass) for two_pass in (False, True)]
    assert texts[0] == texts[1]
