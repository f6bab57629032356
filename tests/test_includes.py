# SPDX-License-Identifier: GPL-2.0-or-later
"""Includes run downwards only, and in no circle (tools/check-includes); what there should be once is there once
(tools/check-once): on the sources, and on trees that break the rule."""

import re
import subprocess

import pytest

import support

TREE = {
    "plugin/plugin.c": ["packet-door.h"],
    "packet-door.c": ["packet-door.h", "wire/shape.h"],
    "packet-door.h": [],
    "wire/shape.c": ["wire/shape.h", "calls/flow.h"],
    "wire/shape.h": ["calls/flow.h"],
    "calls/flow.c": ["calls/flow.h", "calls/call.h"],
    "calls/flow.h": ["ws-compat.h"],
    "calls/call.c": ["calls/call.h"],
    "calls/call.h": [],
    "sdp_inflate/sdp_inflate.c": ["sdp_inflate.h"],
    "sdp_inflate/sdp_inflate.h": [],
    "ws-compat.h": [],
}


def checked(root, tool="check-includes"):
    done = subprocess.run([support.ROOT / "tools" / tool, root], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def write(path, includes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'#include "{name}"\n' for name in includes))


def tree(root):
    for file, includes in TREE.items():
        write(root / file, includes)
    return root


def test_sources():
    assert checked(support.ROOT) == (0, "")


def test_tree_in_order(tmp_path):
    assert checked(tree(tmp_path)) == (0, "")


@pytest.mark.parametrize("file, includes, found", [
    ("calls/call.c", ["calls/call.h", "calls/flow.h"], "a circle: "),            # flow.c includes call.h
    ("calls/call.h", ["calls/flow.h"], "a circle: "),
    ("calls/flow.h", ["wire/shape.h"], "calls/flow.h: includes wire/shape.h, which is above it"),
    ("ws-compat.h", ["calls/call.h"], "ws-compat.h: includes calls/call.h, which is above it"),
    ("wire/shape.c", ["packet-door.h"], "wire/shape.c: includes packet-door.h, which is above it"),
    ("packet-door.c", ["calls/gone.h"], "packet-door.c: includes calls/gone.h, which is not there"),
])
def test_tree_that_breaks_the_rule(file, includes, found, tmp_path):
    root = tree(tmp_path)
    write(root / file, includes)
    status, text = checked(root)
    assert status == 1 and found in text


def test_no_sources_at_all(tmp_path):
    assert checked(tmp_path)[0] == 1


def once(root, **files):
    """tools/check-once on a tree of these files of calls/."""
    (root / "calls").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "calls" / f"{name}.c").write_text(text)
    return checked(root, "check-once")


def test_once():
    assert checked(support.ROOT, "check-once") == (0, "")


def test_one_name_twice(tmp_path):
    one = "static int\nlength_of(const char *text,\n          int most)\n{\n}\n\nstatic void\nreset(void)\n{\n}\n"
    assert once(tmp_path, flow=one, call=one) == (1, "length_of(): static in calls/call.c, calls/flow.c\n")


def test_callbacks_and_declarations_are_no_second_name(tmp_path):
    assert once(tmp_path, flow="static void\nreset(void)\n{\n}\n\nstatic int length_of(int);\n",
                call="static void\nreset(void)\n{\n}\n\nstatic int\nlength_of(int most)\n{\n}\n") == (0, "")


def test_bounds_and_times_by_hand(tmp_path):
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls/limits.h").write_text('#define FT_MAX_CALLS 8\n#define FT_LIMITS(X) \\\n    X(CALLS, "calls")\n')
    assert once(tmp_path, call="if (count >= FT_MAX_CALLS)\n    nstime_delta(&passed, &now, &then);\n") == \
        (1, "calls/call.c: compares with FT_MAX_CALLS, ft_has_room() should\n"
            "calls/call.c: subtracts times, ft_passed() should\n")
    assert once(tmp_path, call="if (ft_has_room(pinfo, FT_LIMIT_CALLS, count))\n    passed = ft_passed(&then, &now);\n") == (0, "")


def test_width():
    """Lines of C end within the columns that .clang-format gives."""
    most = int(re.search(r"^ColumnLimit: (\d+)$", (support.ROOT / ".clang-format").read_text(), re.M).group(1))
    files = [path for folder in ("", "wire", "stock", "calls", "plugin", "sdp_inflate", "fuzz", "bench") for path in (support.ROOT / folder).glob("*.[ch]")]
    assert most == 100 and len(files) > 100
    assert not [f"{path.name}:{number}" for path in files
                for number, line in enumerate(path.read_text().splitlines(), 1) if len(line) > most]
