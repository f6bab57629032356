# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions of Wireshark that no Debian has. The plugin's sources are compiled, to syntax only, against the headers that are
installed, changed as the other version is known to differ: 4.0 as 4.2 (Ubuntu 24.04), 4.6 as 5.0 (its development tree).

WIRESHARK_HEADERS=DIR takes other headers than the installed ones."""

import os
import pathlib
import re
import subprocess

import pytest

import support

FLAGS = ("-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-DHAVE_SSIZE_T", '-DPLUGIN_VERSION="0"')

# What searches in a tvb look like in 5.0. Whoever calls those that they replace is told.
SEARCHES = """
WS_DLL_PUBLIC bool tvb_find_uint8_length(tvbuff_t *tvb, const unsigned offset, const unsigned maxlength,
                                         const uint8_t needle, unsigned *found);
WS_DLL_PUBLIC bool tvb_find_line_end_remaining(tvbuff_t *tvb, const unsigned offset, unsigned *linelen,
                                               unsigned *next_offset);
#pragma GCC poison tvb_find_line_end tvb_find_uint8 tvb_find_uint16 tvb_ws_mempbrk_pattern_uint8
"""


def searches_return_bool(text):
    """tvbuff.h with the new functions, and the old ones for nobody."""
    return text.replace("#ifdef __cplusplus\n}", SEARCHES + "#ifdef __cplusplus\n}")


# installed: (pretended, {header: what it becomes})
CHANGES = {
    (4, 0): ((4, 2), {}),
    (4, 6): ((5, 0), {"epan/tvbuff.h": searches_return_bool}),
}


def packages(*names):
    done = subprocess.run(["pkg-config", "--cflags-only-I", *names], capture_output=True, text=True, check=True)
    return [pathlib.Path(flag[2:]) for flag in done.stdout.split()]


def version(text):
    return tuple(int(re.search(rf"VERSION_{part} (\d+)", text)[1]) for part in ("MAJOR", "MINOR"))


def test_the_sources_compile(tmp_path):
    headers = pathlib.Path(os.environ.get("WIRESHARK_HEADERS") or
                           next(path for path in packages("wireshark") if path.name == "wireshark"))
    numbers = (headers / "ws_version.h").read_text()
    if version(numbers) not in CHANGES:
        pytest.skip("another version is tried with the headers of 4.0 and 4.6 only, not with these")
    (major, minor), changes = CHANGES[version(numbers)]
    pretended = re.sub(r"(VERSION_MAJOR )\d+", rf"\g<1>{major}", re.sub(r"(VERSION_MINOR )\d+", rf"\g<1>{minor}", numbers))
    (tmp_path / "ws_version.h").write_text(pretended)
    for name, change in changes.items():
        before = (headers / name).read_text()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(change(before))
        assert change(before) != before
    folders = [tmp_path, headers, support.ROOT, support.ROOT / "sdp_inflate", *packages("glib-2.0")]
    sources = [file for where in ("packet-*.c", "plugin/*.c", "stock/*.c", "wire/*.c", "calls/*.c")
               for file in sorted(support.ROOT.glob(where)) if not file.name.startswith("test_")]
    done = subprocess.run([os.environ.get("CC", "cc"), *FLAGS, *(f"-I{folder}" for folder in folders), *sources],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
