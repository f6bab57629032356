# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/facetime-many: the calls of a folder in one database. What is expected is what the taps tell of each file."""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import support

sys.path.insert(0, str(support.ROOT / "tools"))
from many.store import Store, split_address     # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("parallel"), reason="no GNU parallel (package parallel)")

TOOL = support.ROOT / "tools" / "facetime-many"
CALLS = ("two-calls-one-relay", "modern-call", "calls-in-sequence")
HOSTILE = "it's \"a\"; $(touch many-was-here) `id`\n\t*.pcapng"
NO_UTF8 = b"caf\xe9.pcap"
TABLES = {"files": "sha256, size, packets, first_time, last_time, status, reason", "call_keys": "call, key",
          "calls": "call, call_group, is_call, start_time, end_time, local, remote, state, relay_packets, direct_packets, json",
          "streams": "call, stream, ssrc, packets, lost, json", "pairs": "call, local, remote, sent, answered, rtt",
          "addresses": "call, address, port, what, frame", "findings": "call, code, severity, text, frames",
          "events": "call, frame, time, path, event, text, other_frame"}


def many(*arguments, tshark, status=0, **environment):
    """What it says on standard output and error."""
    done = subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True,
                          timeout=support.TIME_LIMIT,
                          env={**os.environ, "TSHARK": str(tshark), "TMPDIR": str(support.stage()), **environment})
    assert status in (None, done.returncode), done.stdout + done.stderr
    return done.stdout, done.stderr


def contents(path):
    """All rows, files known by their hashes: numbers that count the order of arrival are left out."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = {table: sorted(db.execute(f"SELECT sha256, {columns} FROM (SELECT * FROM {table}) " + (
            "" if table == "files" else "JOIN (SELECT id, sha256 FROM files) ON id = file_id")), key=repr)
            for table, columns in TABLES.items()}
        rows["paths"] = sorted(db.execute("SELECT p.path, sha256, p.size, mtime_ns FROM paths p JOIN files f ON f.id = file_id"),
                               key=repr)
        return rows


def ask(path, question, *parameters):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(question, parameters).fetchall()


def path_of(name):
    return support.TEST_CAPTURES / f"{name}.pcapng"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three with calls, one of them twice; what is none, what is broken, and names that shells mind."""
    folder = tmp_path_factory.mktemp("captures")
    (folder / "sub").mkdir()
    shutil.copy(path_of(CALLS[0]), folder / HOSTILE)
    shutil.copy(path_of(CALLS[1]), folder / "sub" / "modern.pcapng")
    shutil.copy(path_of(CALLS[1]), os.fsencode(folder) + b"/" + NO_UTF8)
    (folder / "cut.pcapng").write_bytes(path_of(CALLS[2]).read_bytes()[:-500])
    (folder / "empty.pcap").write_bytes(b"")
    (folder / "text.pcap").write_text("no capture at all\n")
    (folder / "notes.txt").write_text("not even looked at\n")
    shutil.copy(support.make_capture([support.Datagram("10.0.0.1", 40000, "10.0.0.2", 53, b"\0\1\1\0\0\0\0\0\0\0\0\0")]),
                folder / "dns")
    return folder


@pytest.fixture(scope="module")
def whole(folder, program, tmp_path_factory):
    """(database, NDJSON, what was said) of the folder, read without a stop."""
    out = tmp_path_factory.mktemp("whole")
    _, words = many(folder, "--db", out / "calls.db", "--ndjson", out / "calls.ndjson", tshark=program, status=3)
    return out / "calls.db", out / "calls.ndjson", words


def test_each_file_has_a_status_and_a_reason(whole, folder):
    rows = {row[0]: row[1:] for row in ask(whole[0], "SELECT path, status, reason, packets FROM files")}
    cut = rows.pop(str(folder / "cut.pcapng"))
    assert cut[0] == "partial" and "cut short" in cut[1] and cut[2] > 80
    twin = rows.pop(os.fsencode(folder) + b"/" + NO_UTF8, None) or rows.pop(str(folder / "sub/modern.pcapng"))
    assert twin == ("ok", None, 97)
    text = rows.pop(str(folder / "text.pcap"))
    assert text[0] == "failed" and ("capture file" in text[1] or "cut short" in text[1])    # as versions have it
    assert rows == {str(folder / HOSTILE): ("ok", None, 104), str(folder / "dns"): ("none", "no FaceTime in it", 1),
                    str(folder / "empty.pcap"): ("failed", "it is empty", None)}
    assert "text.pcap: failed: " in whole[2] and "empty.pcap: failed: it is empty" in whole[2]
    assert len(ask(whole[0], "SELECT path FROM paths")) == 7, "the twin, too"
    assert not list(support.stage().rglob("many-was-here")) and not os.path.exists("many-was-here")


def told(tshark, capture):
    """By the taps: calls, listed calls, streams."""
    taps = (word for tap in ("timeline", "calls", "streams") for word in ("-z", f"facetime,{tap},json"))
    text = tshark.text(capture, "-q", *taps)
    decoder, at, arrays = json.JSONDecoder(), 0, []
    while (at := text.find("[", at)) >= 0:
        array, at = decoder.raw_decode(text, at)
        arrays.append(array)
    find = lambda test: next(array for array in arrays if test(array[0]))      # noqa: E731
    return (find(lambda one: "events" in one), find(lambda one: "streams" in one and "events" not in one),
            find(lambda one: "ssrc" in one))


@pytest.mark.parametrize("name", CALLS[:2])
def test_rows_are_what_the_taps_tell(whole, tshark, name):
    calls, listed, streams = told(tshark, path_of(name))
    db, sha = whole[0], ask(whole[0], "SELECT sha256 FROM files WHERE size = ?", path_of(name).stat().st_size)[0][0]
    of_file = f"FROM {{}} t JOIN files f ON f.id = t.file_id WHERE f.sha256 = '{sha}'"

    def rows(table, columns):
        return ask(db, f"SELECT {columns} {of_file.format(table)} ORDER BY t.rowid" if table not in ("calls", "streams")
                   else f"SELECT {columns} {of_file.format(table)}")

    assert [json.loads(text) for text, in rows("streams", "json")] == streams
    assert [json.loads(text) for text, in rows("calls", "json")] == [
        {key: value for key, value in call.items() if key != "streams"} for call in calls]
    assert rows("calls", "call, local, remote, start_time, state") == [
        (c["call"], c["local"], c["remote"], c["start_time"], c["state"]) for c in calls]
    assert [call for call, yes in rows("calls", "call, is_call") if yes] == [call["call"] for call in listed]
    assert rows("streams", "t.call, ssrc, t.packets, lost, relay_packets + direct_packets") == [
        (s["call"], s["ssrc"], s["packets"], s["lost"], sum(p["packets"] for p in s["paths"])) for s in streams]
    assert rows("streams", "relay || ':' || relay_port, relay_packets") == [next(
        ((p["server"], p["packets"]) for p in s["paths"] if p["path"] == "relay"), (None, 0)) for s in streams]
    assert rows("findings", "call, code, text, frames") == [
        (c["call"], f["code"], f["text"], json.dumps(f["frames"], separators=(",", ":"))) for c in calls for f in c["findings"]]
    assert rows("events", "call, frame, event, text") == [
        (c["call"], e["frame"], e["event"], e["text"]) for c in calls for e in c["events"]]
    assert rows("pairs", "call, local, remote, sent, answered") == [
        (c["call"], p["local"], p["remote"], p["sent"], p["answered"]) for c in calls for p in c["pairs"]]
    addresses = set(rows("addresses", "call, address, what"))
    assert addresses >= {(c["call"], split_address(a["address"])[0], a["what"]) for c in calls for a in c["addresses"]}
    assert addresses >= {(c["call"], split_address(c["remote"])[0], "remote") for c in calls}


def test_ndjson_has_an_object_a_call_with_its_streams(whole, tshark):
    _, listed, streams = told(tshark, path_of(CALLS[0]))
    records = [json.loads(line) for line in whole[1].read_text().splitlines()]
    mine = [r for r in records if r["file"]["path"].endswith(HOSTILE)]
    assert [r["local"] for r in mine] == [call["local"] for call in listed]
    assert [s for r in mine for s in r["streams"]] == sorted(streams, key=lambda s: s["call"])
    assert len(records) == ask(whole[0], "SELECT count(*) FROM calls WHERE is_call")[0][0] == 6


def test_again_adds_nothing(whole, folder, program):
    before, stat = contents(whole[0]), os.stat(whole[0])
    _, words = many(folder, "--db", whole[0], tshark=program)
    assert "0 files read, 7 known already, 0 failed" in words
    assert contents(whole[0]) == before and os.stat(whole[0]).st_mtime_ns == stat.st_mtime_ns


def test_a_copy_is_known_by_its_hash(whole, folder, program, tmp_path):
    db = shutil.copy(whole[0], tmp_path / "calls.db")
    shutil.copy(folder / "cut.pcapng", tmp_path / "another name.pcapng")
    before = contents(db)
    _, words = many(tmp_path, "--db", db, tshark=program)
    assert "0 files read, 1 known already" in words
    after = contents(db)
    assert len(after.pop("paths")) == len(before.pop("paths")) + 1 and after == before


def test_killed_and_completed_it_is_the_same(whole, folder, program, tmp_path):
    """SIGKILL when some files are in: consistent at once, the same in the end."""
    db = tmp_path / "calls.db"
    process = subprocess.Popen([sys.executable, TOOL, folder, "--db", db, "--jobs", "1"], stderr=subprocess.DEVNULL,
                               env={**os.environ, "TSHARK": str(program), "TMPDIR": str(support.stage())})
    while process.poll() is None:
        time.sleep(0.02)
        with contextlib.suppress(sqlite3.Error):
            if ask(db, "SELECT count(*) FROM files")[0][0] >= 2:
                process.send_signal(signal.SIGKILL)
                break
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was killed in time"
    some, all_of_it = contents(db), contents(whole[0])
    assert 2 <= len(some["files"]) < 7
    assert all(row in all_of_it[table] for table in TABLES for row in some[table])
    many(folder, "--db", db, "--quiet", tshark=program, status=3)
    assert contents(db) == all_of_it


def test_with_the_fresh_build_and_a_name_on_the_command_line(whole, folder):
    """Like its siblings: nothing is installed and no tshark named, the build folder has the plugin."""
    if support.SANITIZED:
        pytest.skip("a plugin with sanitizers needs their runtimes")
    environment = {key: value for key, value in os.environ.items() if key not in ("TSHARK", "WIRESHARK_PLUGIN_DIR")}
    db = support.stage() / "fresh.db"
    subprocess.run([sys.executable, TOOL, folder / HOSTILE, "--db", db], check=True, capture_output=True,
                   env={**environment, "BUILD_DIR": str(support.PLUGIN.parent)})
    size = path_of(CALLS[0]).stat().st_size
    assert ask(db, "SELECT json FROM calls") == ask(whole[0], "SELECT c.json FROM calls c JOIN files f ON f.id = c.file_id "
                                                    "WHERE f.size = ? ORDER BY c.call", size)


def test_merged_databases_are_the_whole(whole, program, tmp_path):
    many("--merge", whole[0], "--db", tmp_path / "all.db", tshark=program)
    many("--merge", whole[0], "--db", tmp_path / "all.db", tshark=program)
    assert contents(tmp_path / "all.db") == contents(whole[0])


@pytest.fixture(scope="module")
def tool():
    """The program, as a module."""
    loader = importlib.machinery.SourceFileLoader("facetime_many", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("facetime_many", loader))
    loader.exec_module(module)
    return module


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="no tcpdump")
def test_the_prefilter_leaves_what_is_on_the_usual_ports(whole, tshark, program, tmp_path):
    """Behind VLAN tags, which BPF doesn't look into, too."""
    names = (CALLS[0], "vlan")
    for name in names:
        shutil.copy(path_of(name), tmp_path)
    many(tmp_path, "--db", tmp_path / "calls.db", "--prefilter", "--quiet", tshark=program)
    streams = [stream for name in names for stream in json.loads(tshark.text(path_of(name), "-q", "-z", "facetime,streams,json"))]
    assert sorted(ask(tmp_path / "calls.db", "SELECT ssrc, packets, lost FROM streams")) == sorted(
        (s["ssrc"], s["packets"], s["lost"]) for s in streams)
    assert ask(tmp_path / "calls.db", "SELECT DISTINCT prefilter FROM files") == [(1,)]


# A tshark that does what a test wants

FAKE = r"""#!/bin/sh
case "$*" in
--version) echo "TShark (Wireshark) 4.0.17" ;;
"-G plugins") printf 'facetime.so          \t%s\tdissector\t/x\n' "${FAKE_PLUGIN:-0.1.0}" ;;
*) cat >/dev/null; eval "${FAKE_DOES:-true}"; printf '[]\n[]\n[]\n' ;;
esac
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    path = tmp_path_factory.mktemp("fake") / "tshark"
    path.write_text(FAKE)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("does, options, reason", [
    ("kill -SEGV $$", (), "tshark was ended by SIGSEGV"),
    ("echo no such tap >&2; exit 1", (), "no such tap"),
    ("exit 0", (), "tshark ended with 0 and without its reports"),
    ("sleep 60", ("--timeout", "1"), "no end after 1 s"),
    ("printf '[\\n  {\\n    \"call\": 1,\\n'; kill -KILL $$", (), "tshark was ended by SIGKILL"),
    ("printf '[\\n  {\\n    \"ssrc\": 1\\n  }\\n]\\n'", (), "a record can't be stored: KeyError('call')"),
])
def test_what_fails_stops_nothing(fake, does, options, reason, tmp_path):
    shutil.copy(path_of("ice-only"), tmp_path / "one.pcapng")
    db = tmp_path / "calls.db"
    many(tmp_path, tmp_path / "gone.pcap", "--db", db, *options, tshark=fake, status=3, FAKE_DOES=does)
    assert ask(db, "SELECT path, status, reason FROM files ORDER BY path") == [
        (str(tmp_path / "gone.pcap"), "failed", "can't be read: No such file or directory"),
        (str(tmp_path / "one.pcapng"), "failed", reason)]
    assert sum(ask(db, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES if table != "files") == 0


def test_what_failed_is_read_again_where_asked(fake, tmp_path):
    shutil.copy(path_of("ice-only"), tmp_path / "one.pcapng")
    db = tmp_path / "calls.db"
    many(tmp_path, "--db", db, tshark=fake, status=3, FAKE_DOES="kill -SEGV $$")
    assert "0 files read, 1 known" in many(tmp_path, "--db", db, tshark=fake)[1]
    assert "1 files read" in many(tmp_path, "--db", db, "--retry", tshark=fake)[1]
    assert ask(db, "SELECT status, reason FROM files") == [("none", "no FaceTime in it")]


def test_a_bound_that_was_met_is_told(fake, tmp_path):
    limit = {"bound": "FT_MAX_CALLS", "most": 9, "frame": 7, "text": "calls"}
    array = json.dumps([{**call(1), "streams": [], "limits": [limit]}], indent=2)
    (tmp_path / "said").write_text(array + "\n")
    many(path_of("ice-only"), "--db", tmp_path / "calls.db", tshark=fake, FAKE_DOES=f"cat {tmp_path}/said")
    assert ask(tmp_path / "calls.db", "SELECT status, reason FROM files") == [
        ("partial", "incomplete from frame 7 on (FT_MAX_CALLS): more than 9 calls")]
    assert len(ask(tmp_path / "calls.db", "SELECT * FROM calls")) == 1


def test_another_version_reads_again_where_asked(fake, tmp_path):
    shutil.copy(path_of("ice-only"), tmp_path / "one.pcapng")
    db = tmp_path / "calls.db"
    for options, version, read in (((), "0.1.0", 1), ((), "0.2.0", 0), (("--redo",), "0.2.0", 1), (("--redo",), "0.2.0", 0)):
        _, words = many(tmp_path, "--db", db, *options, tshark=fake, FAKE_PLUGIN=version)
        assert f"{read} files read" in words
    assert ask(db, "SELECT plugin FROM files") == [("0.2.0",)]


def test_parts_share_the_files(tool):
    paths = [f"/captures/{number}.pcap" for number in range(100)]
    parts = [list(tool.parts(paths, (index, 3))) for index in range(3)]
    assert sorted(path for part in parts for path in part) == sorted(paths) and all(len(part) > 20 for part in parts)


def test_a_second_one_at_the_same_time_is_refused(fake, tmp_path):
    store = Store(tmp_path / "calls.db")
    _, words = many(path_of("ice-only"), "--db", tmp_path / "calls.db", tshark=fake, status=1)
    assert "is being written by another" in words
    store.db.close()


@pytest.mark.parametrize("arguments, words, status", [
    ((), "captures and --db FILE are needed", 2),
    (("x.pcap", "--db", "/nonexistent/x.db"), "can't write", 1),
    (("x.pcap", "--db", "{notes}"), "not a database", 1),
])
def test_wrong_uses_say_so(fake, arguments, words, status, tmp_path):
    (tmp_path / "notes").write_text("x" * 5000)
    assert words in many(*(a.format(notes=tmp_path / "notes") for a in arguments), tshark=fake, status=status)[1]


def test_a_tshark_without_the_plugin_is_no_success(stock, tmp_path):
    assert "no FaceTime plugin" in many(path_of("ice-only"), "--db", tmp_path / "calls.db", tshark=stock.program, status=1,
                                        **{k: v for k, v in stock.environment.items() if k.startswith("WIRESHARK")})[1]


# Containers

def test_the_manifest_starts_the_program_as_it_can_be_started(tool):
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((support.ROOT / "tools/kubernetes/job.yaml").read_text())
    assert (job["apiVersion"], job["kind"], job["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    pod = job["spec"]["template"]["spec"]
    container, = pod["containers"]
    assert pod["restartPolicy"] == "Never" and pod["securityContext"]["runAsNonRoot"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    count, found = job["spec"]["completions"], []
    for index in range(count):
        arguments = [word.replace("$(JOB_COMPLETION_INDEX)", str(index)) for word in container["args"]]
        options = tool.options_parser().parse_args(arguments)
        found.append((options.part, options.db))
    assert found == [((index, count), f"/results/calls-{index}.db") for index in range(count)]
    for status, wanted in ((0, 0), (1, 1), (3, 0)):
        words = [word.replace("facetime-many", f"sh -c 'exit {status}'") for word in container["command"]]
        assert subprocess.run(words, check=False).returncode == wanted


def test_the_containerfile_is_well_formed(tool):
    text = (support.ROOT / "tools/kubernetes/Containerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    steps = [step for step in "\n".join(lines).replace("\\\n", " ").splitlines() if step]
    words = [step.split(None, 1) for step in steps]
    assert {word for word, _ in words} <= {"FROM", "RUN", "COPY", "ENV", "USER", "ENTRYPOINT"} and words[0][0] == "FROM"
    stages = [rest.split(" AS ")[1] for word, rest in words if word == "FROM" and " AS " in rest]
    assert [rest.split()[0] for word, rest in words if word == "COPY" and "--from" in rest] == [f"--from={s}" for s in stages]
    assert json.loads(words[-1][1]) == ["facetime-many"]
    for word, rest in words:
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
    packages = re.search(r"^BUILD_PACKAGES=\((.*?)\)", (support.ROOT / "tools/lib.sh").read_text(), re.MULTILINE | re.DOTALL)[1]
    assert set(packages.split()) <= set(" ".join(steps).split()), "what the build needs is installed"


# Calls that several files have

def call(number, *keys, end=None, start="2015-04-08T12:00:00.000000Z"):
    return {"call": number, "keys": list(keys), "call_key": keys[0] if keys else None, "generation": "legacy",
            "start_time": start, "duration": 2.5, "first_frame": 1, "last_frame": 9, "packets": 9, "local": "192.0.2.1:5", "remote": "[2001:db8::1]:7", "state": "media", "end": end,
            "paths": [{"path": "relay", "packets": 4}], "pairs": [], "findings": [], "events": [],
            "addresses": [{"address": "2001:db8::2", "what": "'); DROP TABLE calls; --", "frame": 3}]}


def add(store, name, *calls):
    about = {"sha256": name * 8, "size": 1, "status": "ok", "prefilter": 0}
    store.add(f"/{name}", 1, about, calls, {one["call"] for one in calls}, ())


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "calls.db")
    yield store
    store.db.close()


FILES = (("a", call(1, "k5", "k6"), call(2, "k9")), ("b", call(1, "k7", "k6", start="2015-04-08T12:59:59.000000Z")),
         ("c", call(1, "k7", "k1", end="BYE", start="2015-04-08T13:00:01.000000Z"), call(2)))
GROUPS = {("a", 1): "k1", ("a", 2): "k9", ("b", 1): "k1", ("c", 1): "k1", ("c", 2): "cccccccc:2"}


def groups(store):
    return {(sha[0], number): group for sha, number, group in store.db.execute(
        "SELECT sha256, call, call_group FROM calls JOIN files ON id = file_id")}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_calls_that_share_a_key_are_one_in_any_order(store, order):
    for number in order:
        add(store, *FILES[number])
    assert groups(store) == GROUPS
    assert store.db.execute("SELECT call_group, parts, start_time, end_time, duration, packets, \"end\" FROM joined_calls "
                            "WHERE parts > 1").fetchall() == [
        ("k1", 3, "2015-04-08T12:00:00.000000Z", "2015-04-08T13:00:03.500000Z", 3603.5, 27, "BYE")]
    assert store.db.execute("SELECT hour, calls, records_without_key FROM calls_per_hour").fetchall() == [
        ("2015-04-08 12:00", 2, 1)]


def test_what_held_calls_together_may_go(store):
    """The middle file changes: what it joined is two again."""
    for file in FILES:
        add(store, *file)
    add(store, "b", call(1, "k8"))
    assert groups(store) == {**GROUPS, ("a", 1): "k5", ("b", 1): "k8"}
    add(store, *FILES[1])
    assert groups(store) == GROUPS


def test_a_path_with_another_content_takes_the_old_rows_along(store):
    add(store, "a", call(1, "k5"))
    about = {"sha256": "new", "size": 2, "status": "ok", "prefilter": 0}
    store.add("/a", 2, about, [call(1, "k6"), call(2, "k7")], {1, 2}, ())
    assert sorted(groups(store).values()) == ["k6", "k7"]
    store.add("/a", 3, {"sha256": None, "size": None, "status": "failed", "reason": "can't be read", "prefilter": 0}, (), (), ())
    assert sorted(groups(store).values()) == ["k6", "k7"], "what can't be read now is not forgotten"


def test_texts_of_strangers_are_texts(store):
    add(store, *FILES[0])
    assert store.db.execute("SELECT what, address, port FROM addresses WHERE call = 2 ORDER BY address").fetchall() == [
        ("local", "192.0.2.1", 5), ("remote", "2001:db8::1", 7), ("'); DROP TABLE calls; --", "2001:db8::2", None)]
    assert [row[0] for row in store.db.execute("SELECT call FROM calls_by_address WHERE address = '2001:db8::2'")] == [1, 2]


@pytest.mark.parametrize("name, size", [("two-calls-one-relay", 60), ("modern-call", 50)])
def test_a_ring_buffers_files_have_the_calls_of_the_whole(tshark, program, name, size, tmp_path):
    """Cut in the middle of the calls: their parts are known by their keys."""
    if "keys" not in told(tshark, path_of(name))[1][0]:
        pytest.skip("this plugin's calls have no keys")
    subprocess.run(["editcap", "-c", str(size), path_of(name), tmp_path / "part.pcapng"], check=True)
    many(tmp_path, "--db", tmp_path / "calls.db", "--quiet", tshark=program)
    whole = told(tshark, path_of(name))[1]
    question = 'SELECT parts, local, remote, start_time, "end" FROM joined_calls ORDER BY local'
    assert ask(tmp_path / "calls.db", question) == sorted(
        (2, c["local"], c["remote"], c["start_time"], c.get("end")) for c in whole)


# Hosts

SETTINGS = """Port 2222
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
PermitRootLogin yes
StrictModes no
UsePAM no
"""
SSH = ("ssh -F none -p 2222 -i {folder}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
       "-o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=2 -o ServerAliveCountMax=4")
# Slow, and tells of each file what its bytes add up to; each start is a line in `log`.
SLOW = """#!/bin/sh
case "$*" in --version) echo "TShark 4.0.17"; exit ;; -G*) printf 'facetime.so\\t0.1.0\\tdissector\\t/x\\n'; exit ;; esac
n=$(cksum | cut -d' ' -f1); ip -4 -o addr show to 10.77/16 | sed 's/.*inet \\([0-9.]*\\).*/\\1/' >>{folder}/log; sleep 1
c='"call": 1, "keys": ["callid:'$n'"], "packets": '$n', "first_frame": 1, "duration": 1, "local": "192.0.2.1:1"'
printf '[\\n  {{\\n%s, "streams": []\\n  }}\\n]\\n[\\n  {{\\n%s, "events": []\\n  }}\\n]\\n[]\\n' "$c" "$c"
"""


class Hosts:
    """Three network namespaces with an sshd each, at the ends of cables to a fourth, `holder`'s."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        self.holder = self._namespace()
        self.hosts = [self._host(number) for number in (1, 2, 3)]
        (folder / "hosts").write_text("".join(f"1/10.77.{number}.2\n" for number in (1, 2, 3)))

    def _namespace(self):
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec sleep 600"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        self.processes.append(process)
        if not process.stdout.readline():
            self.end()
            pytest.skip("network namespaces aren't allowed here")
        return process

    def inside(self, process, *command):
        return ["nsenter", f"--target={process.pid}", "--net", *map(str, command)]

    def _host(self, number):
        process, near, far = self._namespace(), f"10.77.{number}.1/24", f"10.77.{number}.2"
        done = [subprocess.run(self.inside(where, "ip", *command.split()), capture_output=True) for where, command in (
            (self.holder, f"link add h{number} type veth peer name h0 netns {process.pid}"),
            (self.holder, f"addr add {near} dev h{number}"), (self.holder, f"link set h{number} up"),
            (process, f"addr add {far}/24 dev h0"), (process, "link set h0 up"))]
        if any(one.returncode for one in done):
            self.end()
            pytest.skip("no pair of interfaces in a network namespace")
        settings = self.folder / f"sshd{number}"
        settings.write_text(SETTINGS.format(folder=self.folder, address=far))
        self.processes.append(subprocess.Popen(self.inside(process, shutil.which("sshd", path=SBIN), "-D", "-e", "-f", settings),
                                               stderr=subprocess.DEVNULL, start_new_session=True))
        return process

    def kill(self, number):
        """All at once, and the cable: nobody says goodbye."""
        subprocess.run(self.inside(self.holder, "ip", "link", "del", f"h{number}"), check=True)
        space = os.readlink(f"/proc/{self.hosts[number - 1].pid}/ns/net")
        for process in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if process.isdigit() and os.readlink(f"/proc/{process}/ns/net") == space:
                    os.kill(int(process), signal.SIGKILL)

    def end(self):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


SBIN = os.environ["PATH"] + ":/usr/sbin:/sbin"


@pytest.fixture
def hosts(tmp_path):
    missing = [tool for tool in ("sshd", "ssh", "ssh-keygen", "ip", "unshare", "nsenter") if not shutil.which(tool, path=SBIN)]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not here (packages openssh-server, iproute2)")
    if os.geteuid() != 0:
        pytest.skip("sshd needs root")
    hosts = Hosts(tmp_path)
    yield hosts
    hosts.end()


@pytest.mark.parametrize("files", support.some(["shared", "copied"], 2))
def test_a_host_that_dies_loses_nothing_and_doubles_nothing(hosts, files, tmp_path):
    if files == "copied" and not shutil.which("rsync"):
        pytest.skip("no rsync")
    captures = tmp_path / "captures"
    captures.mkdir()
    for number in range(6):
        (captures / f"{number} '\n.pcap").write_bytes(support.pcap_bytes(
            [support.Datagram("10.0.0.1", 40000, "10.0.0.2", 9, bytes([number]))]))
    slow = tmp_path / "slow"
    slow.write_text(SLOW.format(folder=tmp_path))
    slow.chmod(0o755)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": SBIN}
    command = [sys.executable, TOOL, captures, "--db", tmp_path / "calls.db", "--jobs", "1", "--sshlogin", tmp_path / "hosts",
               *["--shared"] * (files == "shared"), "--ssh", SSH.format(folder=tmp_path),
               "--remote", f"env TSHARK={slow} {sys.executable} {TOOL}",
               "--joblog", tmp_path / "joblog"]
    process = subprocess.Popen(hosts.inside(hosts.holder, *command), env=environment, text=True, stderr=subprocess.PIPE)
    begin, log = time.monotonic(), tmp_path / "log"
    while time.monotonic() < begin + 120 and not (log.exists() and "10.77.2.2" in log.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    hosts.kill(2)
    words = process.communicate(timeout=support.TIME_LIMIT)[1]
    assert process.returncode == 0, words
    used = log.read_text().split()
    assert "10.77.2.2" in used and len(set(used)) > 1 and len(used) >= 7, "it was at work, and its task was done again"
    db = tmp_path / "calls.db"
    assert ask(db, "SELECT path, status, reason FROM files ORDER BY path") == [
        (str(path), "ok", None) for path in sorted(captures.iterdir())]
    assert ask(db, "SELECT count(*), count(DISTINCT call_group), min(parts) FROM joined_calls") == [(6, 6, 1)]
    contents(db)
