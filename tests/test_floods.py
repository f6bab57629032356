# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures made to fill the memory, far beyond every bound: they cost at most 96 MiB more than stock tshark takes
for the same file. docs/limits.md has what a million packets cost."""

import itertools
import zlib

import pytest

import floods
import support

ROOM = 96 * 1024    # KiB
CALLERS = 100_000


def allocates():
    """Each of another client: a flow and a call each."""
    return (floods.allocate(floods.at(floods.CLIENT, i)) for i in itertools.count())


FLOODS = {"allocates": allocates,
          **{name: lambda name=name: floods.frames(name)
             for name in ("calls", "legs", "legs_per_flow", "streams_per_call", "http_checks")}}


@pytest.mark.parametrize("name", FLOODS)
def test_memory_is_bounded(name, tshark, stock):
    capture = support.make_capture(itertools.islice(FLOODS[name](), CALLERS))
    memory = {which: which.cost(capture, runs=1)[1] for which in (tshark, stock)}
    assert memory[tshark] <= memory[stock] + ROOM


def invite(number, body, encoding):
    head, end = floods.sip_message("INVITE", number % 10, number).split(b"Content-Length: 0")
    return floods.udp(floods.CLIENT, floods.DEVICE, head + (
        f"Content-Type: application/sdp\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}").encode()
        + end + body)


def test_bombs_back_to_back(tshark, stock):
    """60,000 bytes each that would inflate to 60 MB: each stops at the cap, so the thousandth costs what the first
    does. Stock would inflate them all: it gets as many bytes that it doesn't."""
    bomb = zlib.compress(b"v=0\r\n" + bytes(60_000_000), 9)[:60_000]
    bombs, bodies = (support.make_capture(invite(n, bomb, encoding) for n in range(1000))
                     for encoding in ("deflate", "identity"))
    rows = tshark.rows(bombs, "facetime_sip.inflated_length", "facetime_sip.inflate_limit")
    assert [row["facetime_sip.inflated_length"] for row in rows] == [[str(64 * 1024)]] * 1000
    assert all(row["facetime_sip.inflate_limit"] for row in rows)
    assert tshark.cost(bombs, runs=1)[1] <= stock.cost(bodies, runs=1)[1] + ROOM
