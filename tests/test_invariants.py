# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for any capture whatever is in it."""

import re

import pytest

import support

OURS = support.own_captures() + support.shared_captures("real")
ALL = OURS + support.shared_captures("negative")

FRAME = re.compile(r"^Frame (\d+):", re.MULTILINE)
# A generated line that ends in a frame number: [Response In: 12], [Bound in frame: 12], [... in frame 12]
LINK = re.compile(r"^ *\[.*\b(?:in|in frame|frame|by)\b:? *(\d+)\]$", re.IGNORECASE)


def packets(text):
    """{frame number: the lines of -V}"""
    starts = [(int(m[1]), m.start()) for m in FRAME.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {number: text[start:end].splitlines() for (number, start), end in zip(starts, ends)}


def without_links_forward(text):
    """Only a second pass can know what comes later."""
    def later(line, number):
        link = LINK.match(line)
        return link and int(link[1]) > number
    return {number: [line for line in lines if not later(line, number)]
            for number, lines in packets(text).items()}


@pytest.mark.parametrize("capture", OURS)
def test_two_passes_show_what_one_does(capture, tshark):
    once = without_links_forward(tshark.text(capture, "-V"))
    twice = without_links_forward(tshark.text(capture, "-V", two_pass=True))
    assert once.keys() == twice.keys()
    for number, lines in once.items():
        assert lines == twice[number]


@pytest.mark.parametrize("capture", support.shared_captures("negative"))
def test_two_passes_over_others_are_stock(capture, tshark, stock):
    """Stock's own two passes differ in some of these: the plugin adds nothing to that."""
    assert tshark.text(capture, "-V", two_pass=True) == stock.text(capture, "-V", two_pass=True)


@pytest.mark.parametrize("capture", ALL)
def test_disabled_is_stock(capture, tshark, stock, own_protocols):
    assert tshark.text(capture, "-V", disable=own_protocols) == stock.text(capture, "-V")


@pytest.mark.parametrize("capture", ALL)
def test_a_filter_changes_no_packet(capture, tshark):
    whole = packets(tshark.text(capture, "-V"))
    chosen = packets(tshark.text(capture, "-V", filter="facetime || frame.number % 2 == 0"))
    assert chosen == {number: whole[number] for number in chosen}
    assert set(tshark.frames(capture, "facetime")) <= set(chosen)


@pytest.mark.parametrize("capture", ALL)
def test_nothing_becomes_malformed(capture, tshark, stock):
    damaged = "_ws.malformed"
    assert set(tshark.frames(capture, damaged)) <= set(stock.frames(capture, damaged))
