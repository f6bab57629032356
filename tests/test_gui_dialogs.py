# SPDX-License-Identifier: GPL-2.0-or-later
"""The real Wireshark on a screen of its own: FaceTime's tables are opened, sorted, filtered and looked at again after the file was
closed, with freed memory overwritten; the conversation filters are clicked. What the tables say: test_gui_tables.py."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import generate
import support

PROGRAMS = ["wireshark", "xvfb-run", "xauth", "xdotool", "openbox"]
TABLES = ["Calls", "Streams", "Pairs", "Findings"]
DONE = [*TABLES, *(f"conversation filter {n}" for n in (1, 2, 3)), "timeline of the call", "file closed",
        *(f"{title} without a file" for title in TABLES), "quit"]


@pytest.fixture(scope="module")
def drive(tshark):
    """drive(capture, frame, filter): what was printed, what was complained of, and the display filters that were used."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip("Wireshark's windows need " + ", ".join(missing))
    if support.SANITIZED:
        pytest.skip("Wireshark's windows are not for the sanitizers' plugin")

    def run(capture, frame, filter):
        home = pathlib.Path(tempfile.mkdtemp(prefix="gui-", dir=support.stage()))
        profile = home / ".config" / "wireshark"
        profile.mkdir(parents=True)
        (home / "run").mkdir(mode=0o700)
        (profile / "preferences").write_text("gui.update.enabled: FALSE\ngui.ask_unsaved: FALSE\n")
        driver = shutil.copy(pathlib.Path(__file__).parent / "drive-dialogs", home)
        if os.geteuid() == 0:
            for path in (home, *home.rglob("*")):
                os.chown(path, support.NOBODY, support.NOBODY)
        environment = {key: value for key, value in tshark.environment.items()
                       if key not in ("GLIBC_TUNABLES", "WIRESHARK_DATA_DIR")}
        environment.update(HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"), QT_QPA_PLATFORM="xcb", MALLOC_PERTURB_="165")
        done = subprocess.run([*tshark.command, "xvfb-run", "-a", "-s", "-screen 0 1440x900x24 -nolisten tcp", driver,
                               tshark._readable(capture), str(frame), filter],
                              env=environment, cwd=home, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done
        saved = {table: (home / f"{table}.csv").read_text() for table in TABLES}
        return done.stdout.splitlines(), done.stderr, (profile / "recent_common").read_text(), saved
    return run


def rows_of(saved):
    """A CSV as strict readers take it: without its headings, no row shorter or longer."""
    headings, *rows = csv.reader(saved.splitlines(), strict=True)
    assert all(len(row) == len(headings) and all(row) for row in rows)
    return rows


@pytest.mark.parametrize("name", support.some(["calls-in-sequence", "rtp-both-paths", "modern-call"], 3))
def test_the_dialogs_live(name, drive, tshark):
    truth = generate.build(name).truth
    frame = next(number for number, of_frame in truth.items() if of_frame["kind"] == "rtp")
    call = truth[frame]["call"]
    capture = support.TEST_CAPTURES / generate.file_name(name)
    done, complaints, recent, saved = drive(capture, frame, "facetime.call==1")
    assert done == DONE
    assert not any(word in complaints for word in ("CRITICAL", "assertion", "Assertion", "ERROR", "corrupt", "invalid"))
    used = [line.split(": ", 1)[1] for line in recent.splitlines() if line.startswith("recent.display_filter:")]
    assert {f"facetime.call == {call}", f"facetime.call == {call} && facetime.event"} <= set(used)
    assert any(text.startswith(f"facetime.call == {call} && (facetime.kind") for text in used)
    (first, *_), streams, pairs = (json.loads(tshark.text(capture, "-q", "-z", f"facetime,{what},json", two_pass=True))
                                   for what in ("calls", "streams", "pairs"))
    rows = {table: rows_of(text) for table, text in saved.items()}
    assert {row[0] for table in rows.values() for row in table} == {"1"}
    assert len(rows["Calls"]) == 1
    assert {row[4] for row in rows["Streams"]} == {f"0x{s['ssrc']:08x}" for s in streams if s["call"] == 1}
    assert sorted(row[1:3] for row in rows["Pairs"]) == sorted([p["local"], p["remote"]] for p in pairs[0]["pairs"])
    assert sorted(row[2] for row in rows["Findings"]) == sorted(f["code"] for f in first["findings"])
