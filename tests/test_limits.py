# SPDX-License-Identifier: GPL-2.0-or-later
"""Each bound of calls/limits.h: stated in docs/limits.md, told at the packets that go beyond, all else shown."""

import re

import pytest

import floods
import support

DOC = (support.ROOT / "docs/limits.md").read_text() if (support.ROOT / "docs/limits.md").exists() else ""
ROOM = 64 * 1024    # KiB that a flood may cost more than stock tshark on the same file
EXTRA = 40          # packets beyond
SLOW = {"relay_counters"}   # a million packets: docs/limits.md has what they cost
FIELDS = ("frame.number", "facetime.limit", "facetime.kind", "facetime.path", "facetime.generation", "facetime.peer.port",
          "facetime.event", "_ws.expert.message")


def beyond(name):
    """(capture, numbers of the frames beyond the bound, how many frames)"""
    bound, flood, _ = floods.FLOODS[name]
    frames, numbers = [], []
    for number, (frame, is_beyond) in enumerate(flood(floods.LIMITS[bound]), 1):
        frames.append(frame)
        numbers += [number] if is_beyond else []
        if len(numbers) == EXTRA:
            return support.make_capture(frames), numbers, len(frames)


@pytest.mark.parametrize("name", [name for name in floods.FLOODS if name not in SLOW])
def test_beyond_a_bound(name, tshark):
    """The packets beyond say so, no other does; they are shown as the others are; both passes agree."""
    capture, numbers, count = beyond(name)
    once, twice = (tshark.rows(capture, *FIELDS, two_pass=n) for n in (False, True))
    assert [int(row["frame.number"][0]) for row in once if row["facetime.limit"]] == numbers
    assert once == twice
    assert tshark.count(capture, floods.FLOODS[name][2]) == count
