# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers that the sources define, as the compiler has them.

    python3 tests/limits.py          calls/limits.h
    python3 tests/limits.py FILE     one file of the sources
"""

import functools
import os
import re
import subprocess
import sys

import support

PACKAGES = ("wireshark", "glib-2.0")    # whose headers the sources include


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@functools.cache
def defined():
    """{file below the root: {macro: number}}, of macros that are a plain number. One run of the preprocessor over all
    files: it says in its output where it is."""
    files = sorted(file for where in ("*.[ch]", "calls/*.[ch]", "wire/*.[ch]", "stock/*.[ch]")
                   for file in support.ROOT.glob(where) if not file.name.startswith("test_"))
    text = output(os.environ.get("CC", "cc"), "-E", "-dD", "-w", "-x", "c", "-I", support.ROOT,
                  "-I", support.ROOT / "sdp_inflate", *output("pkg-config", "--cflags", *PACKAGES).split(), "-",
                  input="".join(f'#include "{file}"\n' for file in files))
    numbers = {str(file.relative_to(support.ROOT)): {} for file in files}
    here = {}
    for line in text.splitlines():
        words = line.split()
        if place := re.match(r'# \d+ "(.*?)"', line):
            here = numbers.get(os.path.relpath(place[1], support.ROOT), {})
        elif words[:1] == ["#define"] and len(words) == 3 and words[2].isdigit():
            here[words[1]] = int(words[2])
    return numbers


def remembered():
    """{name without FT_MAX_: number} of calls/limits.h."""
    return {name.removeprefix("FT_MAX_"): number for name, number in defined()["calls/limits.h"].items()}


if __name__ == "__main__":
    for name, number in defined()[sys.argv[1] if sys.argv[1:] else "calls/limits.h"].items():
        print(f"{name:30} {number:>12,}")
