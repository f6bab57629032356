# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for any capture whatever is in it."""

import itertools
import re

import pytest

import support

FRAME = re.compile(r"^(?:Packet comments\n(?: .*\n)*)?Frame (\d+):", re.MULTILINE)
DISPLAYED = re.compile(r"^ *\[Time delta from previous displayed frame: .*\]$", re.MULTILINE)
# A generated line that names a frame: [Response In: 12], [Bound in frame: 12], [Call: 1 (begins in frame 12)]
LINK = re.compile(r"^ *\[.*\b(?:in|frame|by)\b:? *(\d+)\)?\]$", re.IGNORECASE)


def packets(text):
    """{frame number: the lines of -V}, but for the one that depends on what else is displayed."""
    text = DISPLAYED.sub("", text)
    starts = [(int(m[1]), m.start()) for m in FRAME.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {number: text[start:end].splitlines() for (number, start), end in zip(starts, ends)}


def links_forward(number, lines):
    """Those that only a second pass can know: generated lines that name a later frame."""
    return [line for line in lines if (link := LINK.match(line)) and int(link[1]) > number]


@pytest.fixture(scope="module", params=support.own_captures() + support.shared_captures("real")
                + support.shared_captures("negative"))
def capture(request):
    return request.param


def assert_same(one, other):
    """The first lines that differ are worth a word: of long texts, pytest's own explanation takes minutes."""
    if one != other:
        pairs = itertools.zip_longest(one, other)
        pytest.fail("{}\n{}\nis not\n{}".format(one[0], *next(pair for pair in pairs if pair[0] != pair[1])))


def test_two_passes_show_what_one_does(capture, tshark, stock):
    """Stock's own two passes differ (a TCP conversation's completeness ...): those lines of a packet don't count."""
    once, twice = (packets(tshark.text(capture, "-V", two_pass=n)) for n in (False, True))
    stock_once, stock_twice = (packets(stock.text(capture, "-V", two_pass=n)) for n in (False, True))
    assert len(once) == len(twice) == len(stock_once) == len(stock_twice)
    for number in once:
        stock_differs = set(stock_once[number]) ^ set(stock_twice[number])
        ignored = stock_differs.union(links_forward(number, twice[number]))
        assert not links_forward(number, once[number])
        assert_same([line for line in once[number] if line not in ignored],
                    [line for line in twice[number] if line not in ignored])


def test_disabled_is_stock(capture, tshark, stock, own_protocols):
    assert_same(tshark.lines(capture, "-V", disable=own_protocols), stock.lines(capture, "-V"))


def test_a_filter_changes_no_packet(capture, tshark):
    whole = packets(tshark.text(capture, "-V"))
    chosen = packets(tshark.text(capture, "-V", filter="facetime || frame.number % 2 == 0"))
    assert set(tshark.frames(capture, "facetime || frame.number % 2 == 0")) == set(chosen)
    for number, lines in chosen.items():
        assert_same(lines, whole[number])


def test_nothing_becomes_malformed(capture, tshark, stock):
    assert set(tshark.frames(capture, "_ws.malformed")) <= set(stock.frames(capture, "_ws.malformed"))
