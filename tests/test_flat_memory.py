# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture read again and again costs no more memory than what is remembered of it."""

import re
import struct

import pytest

import support

# What stock needs to decode as much of the same packets; its RTP keeps something for each that it decodes.
SWITCHES = [word for name in ("rtp_udp", "rtp_stun", "stun_turn") for word in ("--enable-heuristic", name)]
SELDOM, OFTEN = 5, 25  # below that a process is at its largest before it reads the first packet, and what it reads doesn't show
SLACK = 4 * 1024    # KiB
EVENT = 0.5         # KiB that an event may take: it is remembered
COPY = 0.2          # KiB of a packet that was seen before: its frame knows


def repeated(capture, times, stock):
    """The capture as many times, one after the other."""
    once = stock.home / "once.pcap"
    stock._run(("-r", str(stock._readable(capture)), "-F", "pcap", "-w", str(once)))
    data, records, offset = once.read_bytes(), [], 24
    order = "<" if data[0] in (0xD4, 0x4D) else ">"
    while offset < len(data):
        seconds, _, kept, _ = struct.unpack_from(order + "IIII", data, offset)
        records.append((seconds, data[offset + 4:offset + 16 + kept]))
        offset += 16 + kept
    span = records[-1][0] - records[0][0] + 1
    return support.write_capture(data[:24] + b"".join(
        struct.pack(order + "I", seconds + n * span) + rest for n in range(times) for seconds, rest in records))


def copies(capture, tshark):
    """Reading a capture again is what a second capture of the same packets is."""
    return sum(int(n) for n in re.findall(r"counts once \((\d+) datagrams\)", tshark.text(capture, "-q", "-z", "facetime,calls")))


def excess(seldom, often, tshark, stock):
    """KiB that grow beyond what stock RTP keeps, events and copies."""
    runs = [tshark.measure(capture, "-T", "fields", "-E", "aggregator=,", "-e", "facetime.event") for capture in (seldom, often)]
    events = [sum(line.count(",") + 1 for line in run.stdout.split("\n") if line) for run in runs]
    grown = runs[1].memory - runs[0].memory - SLACK - EVENT * (events[1] - events[0])
    if grown > 0:       # a growth that needs no excuse needs no comparison either
        grown -= stock.cost(often, *SWITCHES, runs=1)[1] - stock.cost(seldom, *SWITCHES, runs=1)[1]
    return grown if grown <= 0 else grown - COPY * (copies(often, tshark) - copies(seldom, tshark))


@pytest.mark.parametrize("source", support.some([c for c in support.own_captures() if c.id.startswith("facetime-")], 3)
                         + support.shared_captures("real"))
def test_memory_is_flat(source, tshark, stock):
    """Read 20 times more: what grows is what stock RTP keeps, and the events. Four numbers of processes stand in it; where these have
    addresses at random each differs by some MiB from run to run, so it is enough once of three times."""
    seldom, often = (repeated(source, times, stock) for times in (SELDOM, OFTEN))
    assert any(excess(seldom, often, tshark, stock) <= 0 for _ in range(3))
