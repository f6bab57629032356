#!/usr/bin/env python3
"""facetime-many at scale: one capture with many calls at a time, whole and cut into files as a ring buffer does. Are the records
equal, and what do two workers gain over one?

    bench/many.py                       1,000 calls, 50 at a time, about 1,000 packets each; files of 1,000 packets (an hour)
    bench/many.py --calls 100           a tenth of that
    bench/many.py --size 10000          larger files
    bench/many.py --prefilter           also: a capture with a tenth of FaceTime, with and without the prefilter
    bench/many.py --split               also: split-calls and a process a part, against one pass over the whole

Needs what the tests need, and editcap. Nothing here is a test that can fail by the machine's load but the comparison of records.
"""
# SPDX-License-Identifier: GPL-2.0-or-later

import argparse
import contextlib
import heapq
import os
import pathlib
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "test-captures")]

import simulate                 # noqa: E402
from wire import packets        # noqa: E402

AT_A_TIME = 50
SECONDS = 3.6                   # of media: makes about 1,000 packets a call
LENGTH = 6.5                    # of a call, with its set-up and its end
TLS = 895                       # bytes of a record of the background
TOOL = ROOT / "tools" / "facetime-many"


class Place(simulate.Place):
    """Each call has a device, a peer and public addresses of its own."""

    number = 0

    def __init__(self, end, port):
        super().__init__(end, port)
        tail = f"{Place.number >> 8}.{Place.number & 255}"
        self.host = ({"A": "10.1.", "B": "10.2."}[end] + tail, port)
        self.public = ({"A": "100.64.", "B": "100.65."}[end] + tail, port)


def call_records(number):
    """(microseconds, number, Ethernet frame) of one call, as seen at its device."""
    Place.number, simulate.Place = number, Place
    plan = simulate.Plan(seed=number, seconds=SECONDS, media_at=.6, goes_on=.5, paths=((0, "relay"), (2, "direct")))
    call = simulate.Call(plan, number * LENGTH / AT_A_TIME)
    for at, record in enumerate(simulate.Capture([call]).records):
        macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
        yield record.stamp, number, at, packets.ethernet(*(macs if record.outgoing else macs[::-1]), record.ip())


def write(path, calls, background=0):
    """All calls in the order of time; after each packet so many of TLS. Returns how many packets."""
    out, waiting, count = open(path, "wb"), [], 0
    sent = 1
    with out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, packets.LINKTYPE_ETHERNET))
        for number in range(calls + 1):
            if number < calls:
                for record in call_records(number):
                    heapq.heappush(waiting, record)
            until = simulate.START * 1e6 + number * LENGTH / AT_A_TIME * 1e6 if number < calls else float("inf")
            while waiting and waiting[0][0] < until:
                stamp, _, _, frame = heapq.heappop(waiting)
                for data in (frame, *(tls(sent + n * (TLS + 5)) for n in range(background))):
                    out.write(struct.pack("<IIII", *divmod(stamp, 1_000_000), len(data), len(data)) + data)
                    count += 1
                sent += background * (TLS + 5)
    return count


def tls(sent):
    """The next segment of a long TLS stream, one record each."""
    head = struct.pack("!HHIIBBHHH", 40000, 443, sent & 0xFFFFFFFF, 1, 0x50, 0x18, 1000, 0, 0)
    return packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", packets.ipv4(
        "10.9.0.1", "10.9.0.2", 6, head + struct.pack("!BHH", 23, 0x0303, TLS) + bytes(TLS)))


def measured(*command, **how):
    """(seconds, seconds of CPU)"""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, **how)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def many(captures, db, *options):
    return measured(sys.executable, TOOL, captures, "--db", db, "--quiet", *options)


def records(db):
    """What doesn't count frames: of each joined call its ends and media, of each of its SSRCs packets and losses; and how many
    records have no key."""
    with contextlib.closing(sqlite3.connect(db)) as opened:
        return (opened.execute("SELECT call_group, local, remote, end_time, relay_packets, direct_packets FROM joined_calls "
                               "WHERE keyed ORDER BY 1").fetchall(),
                opened.execute("SELECT call_group, ssrc, direction, packets, bytes, copies, lost, relay_packets, direct_packets "
                               "FROM joined_streams ORDER BY 1, 2").fetchall(),
                opened.execute("SELECT count(*) FROM joined_calls WHERE NOT keyed").fetchone()[0])


def show(what, packets_read, size, seconds, cpu):
    print(f"{what:36} {seconds:8.1f} s {cpu:8.1f} s CPU {packets_read / seconds:10,.0f} packets/s "
          f"{size / 1e6 / seconds:7.1f} MB/s", flush=True)


def different(whole, parts):
    """How many rows of either aren't the other's, and some of them."""
    odd = sorted(set(whole) ^ set(parts), key=repr)
    for row in odd[:6]:
        print("   ", "whole" if row in whole else "parts", row)
    return len(odd)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1000, help="packets of a file")
    parser.add_argument("--prefilter", action="store_true")
    parser.add_argument("--split", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="facetime-bench-"))
    try:
        whole, parts = folder / "whole.pcap", folder / "parts"
        parts.mkdir()
        count = write(whole, options.calls)
        size = whole.stat().st_size
        print(f"{options.calls} calls, {count} packets, {size / 1e6:.1f} MB")
        show("one file", count, size, *many(whole, folder / "whole.db"))
        subprocess.run(["editcap", "-F", "pcap", "-c", str(options.size), whole, parts / "part.pcap"], check=True)
        print(len(list(parts.iterdir())), f"files of {options.size:,} packets")
        alone = many(parts, folder / "one.db", "--jobs", "1")
        show("1 worker", count, size, *alone)
        both = many(parts, folder / "two.db", "--jobs", "2")
        show("2 workers", count, size, *both)
        print(f"2 workers are {alone[0] / both[0]:.2f} times as fast as 1 (load average {os.getloadavg()[0]:.1f})")
        one, two, all_of_it = records(folder / "one.db"), records(folder / "two.db"), records(folder / "whole.db")
        print("1 and 2 workers: records", "equal" if one == two else "DIFFERENT")
        for what, some, other in (("calls", all_of_it[0], one[0]), ("streams", all_of_it[1], one[1])):
            print(f"whole and parts: {len(some)} and {len(other)} {what}, rows that differ: {different(some, other)}")
        print(f"records without a key: {all_of_it[2]} of the whole, {one[2]} of the parts")
        if options.split:
            split(whole, folder, count, size)
        if options.prefilter:
            prefilter(folder, options.calls)
    finally:
        shutil.rmtree(folder)


def split(whole, folder, count, size):
    show("split-calls", count, size, *measured(ROOT / "tools" / "split-calls", whole, folder / "split", count // 10))
    print(len(list((folder / "split").iterdir())), "parts")
    show("the parts", count, size, *many(folder / "split", folder / "split.db"))


def prefilter(folder, calls):
    mixed = folder / "mixed.pcap"
    count = write(mixed, max(1, calls // 5), background=9)
    size = mixed.stat().st_size
    for name, option in (("a tenth of it FaceTime", ()), ("the same with --prefilter", ("--prefilter",))):
        show(name, count, size, *many(mixed, folder / f"mixed{len(option)}.db", *option))
    plain, filtered = (records(folder / f"mixed{n}.db") for n in (0, 1))
    print("with and without the prefilter: rows that differ:",
          different(plain[0], filtered[0]) + different(plain[1], filtered[1]))


if __name__ == "__main__":
    main()
