#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the captures of this folder, byte for byte the same every time.

    generate.py                 write all captures beside this file
    generate.py -o DIR NAME..   write some, elsewhere
    generate.py --truth NAME    print what is true of each frame, as JSON

Tests import it: build("facetime-caller") gives a Capture with .truth, .landmarks and .file_bytes()
(scenario.py says what is in them).
"""

import argparse
import functools
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import events  # noqa: E402  (the folder's name can't be a package name)
import legacy_corners  # noqa: E402
import modern_2026  # noqa: E402
import modern_corners  # noqa: E402
import others  # noqa: E402
import sessions  # noqa: E402

CAPTURES = {**sessions.SESSIONS, **legacy_corners.CORNERS, **modern_corners.CORNERS, **modern_2026.SCENES, **others.OTHERS}


@functools.lru_cache(maxsize=None)
def build(name):
    """The capture of that name, with the truth about it. Cached: treat it as read-only."""
    cap = CAPTURES[name]()
    events.tell(cap)
    return cap


def file_name(name):
    return f"{name}.pcapng"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=pathlib.Path, default=HERE)
    parser.add_argument("--truth", metavar="NAME", choices=CAPTURES)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    args = parser.parse_args()
    if args.truth:
        cap = build(args.truth)
        json.dump({"landmarks": cap.landmarks, "frames": cap.truth}, sys.stdout, indent=1)
        return
    for name in args.names or CAPTURES:
        (args.output / file_name(name)).write_bytes(build(name).file_bytes())


if __name__ == "__main__":
    main()
