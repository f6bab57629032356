#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random lives of one to six calls in one capture, and whether the plugin tells them apart.

    lives.py --seeds 1-500              the table, and the worst seeds with why
    lives.py --seed 17                  one life: its calls, faults, and each frame that is wrong
    lives.py --seed 17 --write X.pcap   the same, and the capture
    lives.py --seeds 1-500 --lacking burst:40   ... of which much wasn't captured, or otherwise: see LACKING, CAPTURED
    lives.py --seeds 1-500 --restless           ... of people who call again at once, put calls on hold, let it ring

lives_calls.py makes the lives, lives_truth.py says what is right. Measured: the share of frames with the
right call (numbers are matched to calls so that most are right), numbers that cover two calls, calls in two numbers, severe events where
they may not be, and those missing where they must be. Read in two passes, as the GUI does; --one-pass for tshark's way.
"""

import argparse
import collections
import multiprocessing
import pathlib
import random
import sys

import lives_calls
import lives_truth
import support

GOAL = 0.995
FIELDS = ("frame.number", "facetime.call", "facetime.event")
WORST = 12


def _lost(packets, share, dice):
    return [p for p in packets if dice.random() >= share]


def _in_bursts(packets, length, dice):
    """Of this length on average, two fifths of all."""
    out, skipped = [], 0
    for p in packets:
        if skipped:
            skipped -= 1
        elif dice.random() < 0.4 / length:
            skipped = dice.randrange(1, 2 * round(length))
        else:
            out.append(p)
    return out


# what a capture may lack besides the life's own faults; what is right of the rest is told anew
LACKING = {
    "share": _lost,                 # share:0.3
    "burst": _in_bursts,            # burst:40
    "begin": lambda packets, share, dice: packets[dice.randrange(max(1, round(share * len(packets)))):],    # begin:0.75, at most
    "up": lambda packets, _, dice: [p for p in packets if not p.up],        # up:0
    "down": lambda packets, _, dice: [p for p in packets if p.up],
}


def _moved(packets, how_late):
    """In the order in which they come now; how_late(packet): seconds. The clock's faults stay where they are."""
    faults = [p.stamp - p.time for p in packets]
    for p in packets:
        p.time += how_late(p)
    packets = sorted(packets, key=lambda p: p.time)
    for p, fault in zip(packets, faults):
        p.stamp = p.time + fault
    return packets


def _answers_late(packets, most, dice):
    """What a relay answers itself, and what comes through it before there is media, isn't in order."""
    return _moved(packets, lambda p: dice.uniform(0, most) if p.up is False and p.way in ("server", "relay") and not p.ssrc else 0)


def _apart(packets, most, dice):
    """Each direction has a port of its own, whose packets come together later."""
    late = {True: dice.uniform(0, most), False: dice.uniform(0, most), None: 0}
    return _moved(packets, lambda p: late[p.up])


def _shuffled(packets, most, dice):
    """Each packet by itself, but none before what it quotes."""
    return _moved(packets, lambda p: dice.uniform(0, most) if p.kind != "icmp" else most)


def _twice(packets, share, dice):
    """A mirror port shows what comes in and what goes out again: so many of the frames."""
    out = []
    for p in packets:
        out.append(p)
        if dice.random() < share:
            out.append(lives_calls.again(p, dice.uniform(5e-6, 2e-4)))
    return sorted(out, key=lambda p: p.time)


# how else it may have been captured, or got there
CAPTURED = {
    "late": _answers_late,      # late:0.1
    "apart": _apart,            # apart:0.05
    "shuffled": _shuffled,      # shuffled:0.01
    "twice": _twice,            # twice:1
}


def changed(life, how):
    """how: KIND:NUMBER of LACKING or CAPTURED, several of them with a + between."""
    for one in how.split("+") if how else ():
        kind, _, how_much = one.partition(":")
        life.packets = {**LACKING, **CAPTURED}[kind](life.packets, float(how_much), random.Random(life.seed))
    _promote(life.packets)
    return life


def _promote(packets):
    """Of two that are the same the one is left, perhaps: then it is the first."""
    captured = set(map(id, packets))
    instead = {id(p.twin): p for p in packets if p.twin and id(p.twin) not in captured}
    for p in packets:
        p.copy, p.quoted = instead.get(id(p.copy), p.copy), instead.get(id(p.quoted), p.quoted)
        if p.twin and id(p.twin) in instead:
            p.twin = None


class Verdict:
    """What the plugin made of one life."""

    def __init__(self, seed, tshark, two_pass=True, lacking=None, restless=False):
        self.seed = seed
        self.life = changed(lives_calls.Life(seed, restless), lacking)
        self.truth = lives_truth.Truth(self.life)
        self.file = support.write_capture(lives_calls.capture(self.life))
        rows = tshark.rows(self.file, *FIELDS, two_pass=two_pass)
        assert len(rows) == len(self.life.packets), f"seed {seed}: {len(rows)} frames, not {len(self.life.packets)}"
        self.numbers = [int(row["facetime.call"][-1]) if row["facetime.call"] else None for row in rows]
        self.events = [row["facetime.event"] for row in rows]
        self._calls()
        self._events()

    def _calls(self):
        truth = self.truth
        self.judged = {i: call for i, call in truth.counts.items()
                       if self.numbers[i] is not None or i not in truth.optional}
        met = collections.Counter((call, self.numbers[i]) for i, call in self.judged.items())
        self.match = best_match(met)
        self.right = sum(self.match.get(call) == self.numbers[i] is not None for i, call in self.judged.items())
        self.wrong = [i for i, call in self.judged.items()
                      if self.match.get(call) != self.numbers[i] or self.numbers[i] is None]
        covers, parts = collections.defaultdict(set), collections.defaultdict(set)
        for call, number in met:
            if number is not None:
                covers[number].add(call)
                parts[call].add(number)
        self.merged = {number: sorted(calls) for number, calls in covers.items() if len(calls) > 1}
        self.split = {call: sorted(numbers) for call, numbers in parts.items() if len(numbers) > 1}
        self.met = met

    def _events(self):
        self.false, self.missing = [], []
        for name in lives_truth.SEVERE:
            told = [i for i, events in enumerate(self.events) if name in events]
            self.false += [(name, i) for i in told if i not in self.truth.may[name]]
            self.missing += [(name, i) for i in sorted(self.truth.must[name]) if i not in told]
            self.missing += [(name, frames[0]) for frames in self.truth.wanted[name] if not set(frames) & set(told)]

    def why(self):
        """Lines that say what went wrong."""
        for number, calls in self.merged.items():
            yield f"calls {', '.join(map(str, calls))} are one (number {number})"
        for call, numbers in self.split.items():
            frames = {n: self.met[call, n] for n in numbers}
            yield f"call {call} is in numbers " + ", ".join(f"{n} ({frames[n]} frames)" for n in numbers)
        lost = collections.Counter(call for i, call in self.judged.items() if self.numbers[i] is None)
        for call, count in lost.items():
            yield f"{count} frames of call {call} have no number"
        for what, found in (("false", self.false), ("missing", self.missing)):
            for name, indexes in group(found).items():
                frames = ", ".join(str(i + 1) for i in indexes[:6])
                yield f"{what} {name} at frame {frames}" + (" ..." if indexes[6:] else "")

    def describe(self):
        life = self.life
        yield f"{life.place}, {len(life.packets)} frames" + "".join("; " + fault for fault in life.faults)
        for call in life.calls:
            vlan = f" VLAN {call.device.vlan}" if call.device.vlan else ""
            yield (f"  call {call.number}: {call.generation} {call.course}, {call.how}, "
                   f"{call.begin:.1f}-{call.end:.1f} s, {call.device.ip}{vlan} - {call.person.ip}, {', '.join(call.story)}")


def group(found):
    out = collections.defaultdict(list)
    for name, i in found:
        out[name].append(i)
    return out


def best_match(met):
    """{call: number}, each number once, so that most frames agree. met: Counter of (call, number)."""
    calls = sorted({call for call, _ in met})

    def best(rest, taken):
        if not rest:
            return 0, {}
        call, *others = rest
        options = [(best(others, taken), None)]
        for (c, number), count in met.items():
            if c == call and number is not None and number not in taken:
                score, match = best(others, taken | {number})
                options.append(((score + count, {**match, call: number}), number))
        return max((option for option, _ in options), key=lambda o: o[0])
    return best(calls, frozenset())[1]


def summary(verdicts):
    """(share right, lines of the table)"""
    judged, right = sum(len(v.judged) for v in verdicts), sum(v.right for v in verdicts)
    share = right / judged if judged else 1.0
    frames = sum(len(v.life.packets) for v in verdicts)
    bad = [v for v in verdicts if v.wrong or v.false or v.merged or v.split]
    false = collections.Counter(name for v in verdicts for name, _ in v.false)
    missing = collections.Counter(name for v in verdicts for name, _ in v.missing)
    due = collections.Counter({name: sum(len(v.truth.must[name]) for v in verdicts) for name in lives_truth.SEVERE})
    calls = sum(len(v.life.calls) for v in verdicts)
    merged, split = [v for v in verdicts if v.merged], [v for v in verdicts if v.split]
    lines = [f"{len(verdicts)} lives, {calls} calls, {frames} frames, {judged} of them judged",
             f"right call            {share:8.3%}   (goal {GOAL:.1%})",
             f"calls in one number   {sum(len(v.merged) for v in merged):8}   in {len(merged)} lives",
             f"calls in two numbers  {sum(len(v.split) for v in split):8}   in {len(split)} lives",
             f"lives without fault   {len(verdicts) - len(bad):8}",
             "event                     must  missing    false"]
    lines += [f"{name:24}{due[name]:6}{missing[name]:9}{false[name]:9}" for name in lives_truth.SEVERE]
    return share, lines


def _judge(seed):
    if _judge.tshark is None:
        _judge.tshark = support.Tshark(support.PLUGIN)
    return Verdict(seed, _judge.tshark, *_judge.how)


_judge.tshark, _judge.how = None, ()


def judge(seeds, jobs=1, two_pass=True, lacking=None, restless=False):
    _judge.how = two_pass, lacking, restless
    if jobs == 1:
        return [_judge(seed) for seed in seeds]
    support.stage()
    with multiprocessing.Pool(jobs) as pool:
        return pool.map(_judge, seeds, chunksize=4)


def seeds_of(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-25"), metavar="A-B")
    parser.add_argument("--seed", type=int, help="one, in every detail")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="the capture of --seed")
    parser.add_argument("--one-pass", action="store_true")
    parser.add_argument("--lacking", metavar="KIND:NUMBER[+...]")
    parser.add_argument("--restless", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    if args.seed is not None:
        return one(judge([args.seed], 1, not args.one_pass, args.lacking, args.restless)[0], args.write)
    verdicts = judge(args.seeds, args.jobs, not args.one_pass, args.lacking, args.restless)
    share, lines = summary(verdicts)
    print("\n".join(lines))
    worst = sorted((v for v in verdicts if v.wrong or v.false or v.missing),
                   key=lambda v: -len(v.wrong) - 5 * len(v.false))
    for v in worst[:WORST]:
        print(f"\nseed {v.seed}: {len(v.wrong)} of {len(v.judged)} wrong; {next(iter(v.describe()))}")
        print("\n".join("    " + line for line in v.why()))
    return 0 if share >= GOAL and not any(v.merged or v.split or v.false for v in verdicts) else 1


def one(verdict, write):
    print("\n".join(verdict.describe()))
    print("\n".join(verdict.why()) or "all right")
    for i in verdict.wrong[:40]:
        p = verdict.life.packets[i]
        print(f"frame {i + 1} at {p.time:.3f} s: {p.kind} {p.way}{' up' if p.up else ' down'} "
              f"of call {p.call} (number {verdict.match.get(p.call)}) is in {verdict.numbers[i]}")
    if write:
        write.write_bytes(verdict.file.read_bytes())
    return 1 if verdict.wrong or verdict.false else 0


if __name__ == "__main__":
    sys.exit(main())
