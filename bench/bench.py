#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin costs, in ratios to stock tshark.

    bench/bench.py [--packets N] [--lua FILE] [LOAD | CAPTURE ...]     instructions per packet
    bench/bench.py --wall N [LOAD ...]       seconds (hyperfine) and peak memory of N packets
    bench/bench.py --growth N [LOAD ...]     one run each of 10,000 packets, ten times as many, ... N: a table with tabs

Stock; stock with its three switches that decode as much (rtp_stun, stun_turn, rtp_udp); the plugin. A LOAD is made by
bench/loads.py; a CAPTURE is read again and again. A run of N packets less a run of none (the set-up of the call alone),
under valgrind, gives instructions per packet; addresses aren't randomised, hash tables are seeded with a constant (seed.c)
and the environment is the same in all runs, so counts repeat to 0.01 %. --lua FILE adds stock with another dissector of FaceTime.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import loads

ROOT = pathlib.Path(__file__).resolve().parent.parent
SWITCHES = [f"--enable-heuristic={name}" for name in ("rtp_stun", "stun_turn", "rtp_udp")]
NOBODY = 65534


class Program:
    def __init__(self, plugin, options=()):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="facetime-bench-"))
        version = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
        folder = self.home / re.search(r"(\d+\.\d+)\.", version).group(1) / "epan"
        folder.mkdir(parents=True)
        if plugin:
            (folder / "facetime.so").write_bytes(pathlib.Path(plugin).read_bytes())
        seed = self.home / "seed.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", seed, ROOT / "bench" / "seed.c"], check=True)
        self.options = list(options)
        self.unprivileged = []
        if os.geteuid() == 0:   # as root tshark ignores WIRESHARK_PLUGIN_DIR
            self.unprivileged = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            subprocess.run(["chmod", "-R", "a+rwX", self.home], check=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "WIRESHARK_PLUGIN_DIR": str(self.home),
                            "LD_PRELOAD": str(seed)}

    def command(self, capture, *prefix):
        return [*self.unprivileged, "setarch", "-R", *prefix, "tshark", "-n", "-r", str(capture), *self.options]

    def instructions(self, capture):
        """Instructions of a whole run."""
        run = subprocess.run(self.command(capture, "valgrind", "--tool=cachegrind", "--cache-sim=no",
                                          "--cachegrind-out-file=/dev/null"),
                             env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert run.returncode == 0, run.stderr
        return int(re.search(r"I\s+refs:\s+([\d,]+)", run.stderr).group(1).replace(",", ""))

    def seconds(self, capture):
        """Of the processor: the wall clock tells of other programs too."""
        report = self.home / "hyperfine.json"
        subprocess.run(["hyperfine", "-N", "-w1", "-r3", "--export-json", report, " ".join(self.command(capture))],
                       env=self.environment, check=True, capture_output=True)
        result = json.loads(report.read_text())["results"][0]
        return result["user"] + result["system"]

    def run(self, capture):
        """Seconds, of the processor, and peak memory in MiB of one run."""
        process = subprocess.Popen(self.command(capture), env=self.environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Captures:
    """The captures to measure with, each made once."""

    def __init__(self, folder):
        self.folder = folder

    def of(self, load, count):
        name = pathlib.Path(load).stem
        path = self.folder / f"{name}-{count}.pcap"
        if not path.exists():
            loads.write(loads.LOADS.get(load) or loads.repeated(load), count, path)
            path.chmod(0o644)
        return path


def per_packet(program, captures, load, count):
    total = program.instructions(captures.of(load, count))
    return (total - program.instructions(captures.of(load, 0))) / count


def row(name, results, shown="{:,.0f}"):
    ratios = [f"{results['plugin'] / results[other]:.3f}" for other in results if other != "plugin"]
    print(f"{name:44}" + "".join(f"{shown.format(value):>12}" for value in results.values()) + "   "
          + " | ".join(ratios), flush=True)


def heading(text, programs):
    others = " | ".join(f"plugin/{which}" for which in programs if which != "plugin")
    print(f"{text:44}" + "".join(f"{which:>12}" for which in programs) + f"   {others}")


def measure_instructions(programs, captures, args):
    heading("instructions per packet", programs)
    empty = captures.of("dns", 0)
    row("start-up (thousands)", {which: program.instructions(empty) / 1e3 for which, program in programs.items()})
    for load in args.loads:
        row(load, {which: per_packet(program, captures, load, args.packets) for which, program in programs.items()})


def measure_runs(programs, captures, args):
    heading("whole runs", programs)
    for load in args.loads:
        capture = captures.of(load, args.wall)
        row(f"{load}: seconds", {which: program.seconds(capture) for which, program in programs.items()}, "{:.2f}")
        row(f"{load}: MiB", {which: program.run(capture)[1] for which, program in programs.items()}, "{:.1f}")


def measure_growth(programs, captures, args):
    print("load\tpackets\t" + "\t".join(f"{which} s\t{which} MiB" for which in programs))
    for load in args.loads:
        count = 10_000
        while count <= args.growth:
            capture = captures.of(load, count)
            runs = [program.run(capture) for program in programs.values()]
            print(f"{load}\t{count}\t" + "\t".join(f"{seconds:.2f}\t{peak:.1f}" for seconds, peak in runs), flush=True)
            capture.unlink()
            count *= 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default=ROOT / "build" / "facetime.so")
    parser.add_argument("--packets", type=int, default=20000, help="for the instruction counts (default %(default)s)")
    parser.add_argument("--wall", type=int, metavar="N")
    parser.add_argument("--growth", type=int, metavar="N")
    parser.add_argument("--lua", metavar="FILE")
    parser.add_argument("loads", nargs="*", metavar="LOAD", default=list(loads.LOADS), help=", ".join(loads.LOADS))
    args = parser.parse_args()

    programs = {"stock": Program(None), "switches": Program(None, SWITCHES), "plugin": Program(args.plugin)}
    if args.lua:
        programs["lua"] = Program(None, ["-X", f"lua_script:{pathlib.Path(args.lua).resolve()}"])
    with tempfile.TemporaryDirectory(prefix="facetime-bench-") as name:
        captures = Captures(pathlib.Path(name))
        captures.folder.chmod(0o755)
        if args.wall:
            measure_runs(programs, captures, args)
        elif args.growth:
            measure_growth(programs, captures, args)
        else:
            measure_instructions(programs, captures, args)


if __name__ == "__main__":
    sys.exit(main())
