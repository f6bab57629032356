#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin costs: instructions per packet (valgrind's count, above start-up), in ratios to stock tshark.

    bench/bench.py [--packets N] [--wall N] [--lua FILE] [LOAD ...]

Three runs a load: stock; stock with its three switches that decode as much (rtp_stun, stun_turn, rtp_udp); the plugin.
A run of N packets less a run of none (the set-up alone) gives instructions per packet. Addresses aren't randomised and the
environment is the same in all runs, so the counts repeat to 0.1 %. With --wall N also seconds and peak memory of N
packets, by hyperfine's method: the best of three runs. --lua FILE adds stock with that Lua dissector.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import loads

ROOT = pathlib.Path(__file__).resolve().parent.parent
SWITCHES = [f"--enable-heuristic={name}" for name in ("rtp_stun", "stun_turn", "rtp_udp")]
NOBODY = 65534


class Program:
    def __init__(self, plugin, options=()):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="facetime-bench-"))
        version = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"(\d+\.\d+)\.", version).group(1)
        folder = self.home / version / "epan"
        folder.mkdir(parents=True)
        if plugin:
            (folder / "facetime.so").write_bytes(pathlib.Path(plugin).read_bytes())
        self.options = list(options)
        self.unprivileged = []
        if os.geteuid() == 0:   # as root tshark ignores WIRESHARK_PLUGIN_DIR
            self.unprivileged = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            subprocess.run(["chmod", "-R", "a+rwX", self.home], check=True)

    def _run(self, prefix, capture, *options):
        command = [*self.unprivileged, "setarch", "-R", *prefix, "tshark", "-n", "-r", capture, *self.options, *options]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "WIRESHARK_PLUGIN_DIR": str(self.home)}
        return subprocess.Popen(command, env=environment, cwd=self.home, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def instructions(self, capture, *options):
        """Instructions of a whole run."""
        process = self._run(["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"],
                            capture, *options)
        errors = process.communicate()[1]
        assert process.returncode == 0, errors
        return int(re.search(r"I\s+refs:\s+([\d,]+)", errors).group(1).replace(",", ""))

    def cost(self, capture, *options):
        """(seconds, peak MiB) of the quickest of three runs."""
        best = []
        for _ in range(3):
            start = time.monotonic()
            process = self._run([], capture, *options)
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            assert status == 0, errors
            best.append((time.monotonic() - start, usage.ru_maxrss / 1024))
        return min(best)


def per_packet(program, name, count, folder):
    total = program.instructions(capture(name, count, folder))
    return (total - program.instructions(capture(name, 0, folder))) / count


def capture(name, count, folder):
    path = folder / f"{name}-{count}.pcap"
    if not path.exists():
        loads.write(name, count, path)
        path.chmod(0o644)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default=ROOT / "build" / "facetime.so")
    parser.add_argument("--packets", type=int, default=20000, help="for the instruction counts (default %(default)s)")
    parser.add_argument("--wall", type=int, default=0, metavar="N", help="also time N packets")
    parser.add_argument("--lua", metavar="FILE", help="another dissector of FaceTime to compare with")
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=", ".join(loads.LOADS))
    args = parser.parse_args()

    programs = {"stock": Program(None), "switches": Program(None, SWITCHES), "plugin": Program(args.plugin)}
    if args.lua:
        programs["lua"] = Program(None, ["-X", f"lua_script:{pathlib.Path(args.lua).resolve()}"])
    with tempfile.TemporaryDirectory(prefix="facetime-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        empty = capture("dns", 0, folder)
        starts = {which: program.instructions(empty) for which, program in programs.items()}
        print("instructions per packet above start-up" + " " * 12 + "".join(f"{which:>12}" for which in programs)
              + f"{'plugin/stock':>14}{'plugin/switches':>17}")
        row("start-up (millions)", {which: total / 1e6 for which, total in starts.items()})
        for load in args.loads or loads.LOADS:
            row(load, {which: per_packet(program, load, args.packets, folder) for which, program in programs.items()})
        if args.wall:
            print(f"\nseconds and peak MiB of {args.wall} packets")
            for load in args.loads or loads.LOADS:
                results = {which: program.cost(capture(load, args.wall, folder)) for which, program in programs.items()}
                print(f"{load:50}" + "".join(f"{s:8.2f} s {m:6.0f}" for s, m in results.values()))


def row(load, results):
    ratio = [results["plugin"] / results[other] for other in ("stock", "switches")]
    print(f"{load:50}" + "".join(f"{value:12,.0f}" for value in results.values()) + f"{ratio[0]:14.3f}{ratio[1]:17.3f}",
          flush=True)


if __name__ == "__main__":
    sys.exit(main())
