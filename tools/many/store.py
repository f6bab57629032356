"""The database: one transaction a file. All that comes from the wire goes in as parameters, never as text of a statement."""
# SPDX-License-Identifier: GPL-2.0-or-later

import datetime
import fcntl
import json
import os
import pathlib
import sqlite3

from .reading import Failure, compact

SCHEMA = 1
CHILDREN = ("calls", "call_keys", "streams", "pairs", "addresses", "findings", "events")
CALL_TEXTS = ("generation", "mode", "start_time", "duration", "first_frame", "last_frame", "packets", "local", "remote",
              "offer_from", "state", "end", "end_frame", "restart_of", "clock", "capture_points", "call_key")
STREAM_VALUES = ("ssrc", "inside_quic", "direction", "medium", "sender", "first_frame", "last_frame", "packets", "bytes",
                 "copies", "seen_twice", "lost", "reordered", "duration", "clock", "bitrate")
PAIR_VALUES = ("local", "remote", "sent", "answered", "first_frame", "last_frame", "rtt", "nominated", "media_packets")
EVENT_VALUES = ("frame", "time", "path", "event", "text", "other_frame")
FILE_VALUES = ("sha256", "size", "packets", "first_time", "last_time", "plugin", "tshark", "prefilter", "status", "reason")


def name_of(path):
    """As the database has it: text, or where it is no UTF-8 its bytes."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return os.fsencode(path)


def split_address(text):
    """(address, port or None) of 192.0.2.1:5, [2001:db8::1]:5, 2001:db8::1"""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return host, int(port) if port.isdigit() else None


def end_time(call):
    if not call.get("start_time"):
        return None
    begin = datetime.datetime.strptime(call["start_time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{begin + datetime.timedelta(seconds=call['duration']):%Y-%m-%dT%H:%M:%S.%fZ}"


def addresses_of(call, streams):
    """(address with port, what, frame), each once: where the call's records name one."""
    named = [(call.get(end), end, call["first_frame"]) for end in ("local", "remote", "offer_from")]
    named += [(pair[end], f"pair's {end} end", pair["first_frame"])
              for pair in call.get("pairs", ()) for end in ("local", "remote")]
    named += [(stream.get("sender"), "sender of media", stream["first_frame"]) for stream in streams]
    named += [(p.get("server"), "relay of media", p["first_frame"]) for stream in streams for p in stream.get("paths", ())]
    named += [(one["address"], one["what"], one["frame"]) for one in call.get("addresses", ())]
    first = {}
    for address, what, frame in named:
        if address:
            first.setdefault((address, what), frame)
    return [(address, what, frame) for (address, what), frame in first.items()]


class Store:
    def __init__(self, path):
        fresh = not os.path.exists(path) or os.path.getsize(path) == 0
        try:
            # Kept open as long as the process lives: closing it would give up SQLite's locks of the same file.
            self._lock = open(path, "ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failure(f"{path} is being written by another facetime-many") from error
        except OSError as error:
            raise Failure(f"can't write {path}: {error.strerror}") from error
        self.db = connect(path, fresh)

    def known(self, path, size, mtime_ns):
        """The file of this path, where it is as it was; else None."""
        return self.db.execute("SELECT f.id, f.sha256, f.status, f.plugin, f.prefilter FROM paths p "
                               "JOIN files f ON f.id = p.file_id WHERE p.path = ? AND p.size = ? AND p.mtime_ns = ?", (name_of(path), size, mtime_ns)).fetchone()

    def of_size(self, size):
        """{hash: file} of that size."""
        rows = self.db.execute("SELECT id, sha256, status, plugin, prefilter FROM files WHERE size = ? AND sha256 IS NOT NULL",
                               (size,))
        return {row[1]: row for row in rows}

    def add_path(self, path, file, size, mtime_ns):
        with self.db:
            self._path(path, file, size, mtime_ns)

    def add_twin(self, path, sha256, size, mtime_ns):
        """Another name of a content that was just read; without result, its reason for each."""
        file = self._old(None, sha256) if sha256 else None
        if file:
            self.add_path(path, file, size, mtime_ns)

    def forget_failure(self, path):
        with self.db:
            self.db.execute("DELETE FROM files WHERE path = ? AND sha256 IS NULL", (name_of(path),))

    def _path(self, path, file, size, mtime_ns):
        """A path whose content is another now takes the old one's rows along, where that has no other name. A file that could not
        be read has a row in files alone, so that it is tried again."""
        name = name_of(path)
        self.db.execute("DELETE FROM files WHERE path = ? AND sha256 IS NULL", (name,))
        old = self.db.execute("SELECT file_id FROM paths WHERE path = ?", (name,)).fetchone()
        self.db.execute("INSERT OR REPLACE INTO paths VALUES (?, ?, ?, ?)", (name, file, size, mtime_ns))
        if old and old[0] != file and not self.db.execute("SELECT 1 FROM paths WHERE file_id = ?", old).fetchone():
            groups = self._forget(old[0])
            self.db.execute("DELETE FROM files WHERE id = ?", old)
            self._regroup(groups)

    def add(self, path, mtime_ns, about, calls, listed, streams):
        """All of a file, in one transaction: what was known of the same content is replaced. Without result, its reason alone."""
        with self.db:
            self._add(path, mtime_ns, about, *((calls, listed, streams) if about["status"] != "failed" else ((), (), ())))

    def _add(self, path, mtime_ns, about, calls, listed, streams):
        name = name_of(path)
        old = self._old(name, about["sha256"])
        groups = self._forget(old) if old else set()
        values = [about.get(key) for key in FILE_VALUES]
        if old:
            file = old
            self.db.execute(f"UPDATE files SET {', '.join(f'{key} = ?' for key in FILE_VALUES)} WHERE id = ?", (*values, file))
        else:
            marks = ", ".join("?" * (len(values) + 1))
            file = self.db.execute(f"INSERT INTO files (path, {', '.join(FILE_VALUES)}) VALUES ({marks})",
                                   (name, *values)).lastrowid
        if about["sha256"]:
            self._path(path, file, about["size"], mtime_ns)
        of_call = {}
        for number, stream in enumerate(streams, 1):
            of_call.setdefault(stream["call"], []).append(stream)
            self._stream(file, number, stream)
        for call in calls:
            self._call(file, call, call["call"] in listed, of_call.get(call["call"], []), about["sha256"])
        self._regroup(groups)
        for call in calls:
            self._join(file, call["call"])

    def _old(self, name, sha256):
        """The row of this content; of a file that could not be read, that of its name."""
        if sha256:
            found = self.db.execute("SELECT id FROM files WHERE sha256 = ?", (sha256,)).fetchone()
        else:
            found = self.db.execute("SELECT id FROM files WHERE path = ? AND sha256 IS NULL", (name,)).fetchone()
        return found and found[0]

    def _forget(self, file):
        """Takes away what a file told; the groups that its calls were in."""
        groups = {row[0] for row in self.db.execute("SELECT DISTINCT call_group FROM calls WHERE file_id = ?", (file,))}
        for table in CHILDREN:
            self.db.execute(f"DELETE FROM {table} WHERE file_id = ?", (file,))
        return groups

    def _insert(self, table, rows):
        for row in rows:
            self.db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def _stream(self, file, number, stream):
        value = {key: stream.get(key) for key in STREAM_VALUES}
        pictures, rate, jitter, rtt = (stream.get(key) or {} for key in ("frames", "frame_rate", "jitter", "rtt"))
        bursts, freezes = stream.get("loss_bursts") or {}, stream.get("freezes")
        value.update(
            file_id=file, call=stream["call"], stream=number, codecs=", ".join(stream.get("codecs") or ()),
            bursts=bursts.get("count"), longest_burst=bursts.get("longest"), pictures=pictures.get("seen"),
            pictures_incomplete=pictures.get("incomplete"), pictures_missing=pictures.get("missing"), frame_rate=rate.get("mean"),
            freezes=None if freezes is None else len(freezes),
            frozen=None if freezes is None else sum(freeze["length"] for freeze in freezes),
            jitter=jitter.get("mean"), jitter_max=jitter.get("max"), rtt_basis=rtt.get("basis"), rtt=rtt.get("median"),
            rtt_p95=rtt.get("p95"), json=compact(stream))
        servers = [p["server"] for p in stream.get("paths", ()) if p.get("server")]
        value["relay"], value["relay_port"] = split_address(servers[0]) if servers else (None, None)
        for path in ("relay", "direct"):
            value[f"{path}_packets"] = sum(p["packets"] for p in stream.get("paths", ()) if p["path"] == path)
            lost = [r["lost"] for r in stream.get("series", ()) if r.get("path") == path]
            value[f"{path}_lost"] = sum(lost) if lost and None not in lost else None
        self._row("streams", value)

    def _row(self, table, value):
        columns = ", ".join(f'"{key}"' for key in value)        # keys are ours
        self.db.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(value))})", tuple(value.values()))

    def _call(self, file, call, listed, streams, sha256):
        number, keys = call["call"], sorted(set(call.get("keys") or ()))
        on = {p["path"]: p["packets"] for p in call.get("paths", ())}
        value = {key: call.get(key) for key in CALL_TEXTS}
        value.update(file_id=file, call=number, call_group=keys[0] if keys else f"{sha256}:{number}", is_call=int(listed),
                     end_time=end_time(call), relay_packets=on.get("relay", 0), direct_packets=on.get("direct", 0),
                     json=compact({key: some for key, some in call.items() if key != "streams"}))
        self._row("calls", value)
        self._insert("call_keys", [(file, number, key) for key in keys])
        self._insert("pairs", [(file, number, *(pair.get(key) for key in PAIR_VALUES)) for pair in call.get("pairs", ())])
        self._insert("addresses", [(file, number, *split_address(address), what, frame)
                                   for address, what, frame in addresses_of(call, streams)])
        self._insert("findings", [(file, number, one["code"], one["severity"], one["text"], compact(one["frames"]))
                                  for one in call.get("findings", ())])
        self._insert("events", [(file, number, *(one.get(key) for key in EVENT_VALUES)) for one in call.get("events", ())])

    # Groups: calls that share a key are one, through as many calls as it takes. A group is named for the least of all its keys,
    # so that the order in which files come in doesn't matter.

    def _join(self, file, call):
        groups = {row[0] for row in self.db.execute(
            "SELECT DISTINCT c.call_group FROM call_keys mine JOIN call_keys other USING (key) "
            "JOIN calls c ON c.file_id = other.file_id AND c.call = other.call WHERE mine.file_id = ? AND mine.call = ?",
            (file, call))}
        least = min(groups, default=None)
        self.db.executemany("UPDATE calls SET call_group = ? WHERE call_group = ?",
                            [(least, group) for group in groups - {least}])

    def _regroup(self, groups):
        """What a forgotten file may have held together is taken apart, and joined again."""
        left = [row for group in sorted(groups) for row in self.db.execute(
            "SELECT c.file_id, c.call, coalesce((SELECT min(key) FROM call_keys k WHERE k.file_id = c.file_id "
            "AND k.call = c.call), c.call_group) FROM calls c WHERE c.call_group = ?", (group,))]
        self.db.executemany("UPDATE calls SET call_group = ? WHERE file_id = ? AND call = ?", [(g, f, c) for f, c, g in left])
        for file, call, _ in left:
            self._join(file, call)

    # What goes out

    def count(self, statement):
        return self.db.execute(statement).fetchone()[0]

    def not_read(self):
        return self.db.execute("SELECT path, status, reason FROM files_not_read").fetchall()

    def records(self):
        """An object a call, its streams inside."""
        rows = self.db.execute("SELECT f.sha256, f.path, c.file_id, c.call, c.call_group, c.json FROM calls c "
                               "JOIN files f ON f.id = c.file_id WHERE c.is_call ORDER BY f.sha256, c.call")
        for sha256, path, file, number, group, text in rows:
            streams = self.db.execute("SELECT json FROM streams WHERE file_id = ? AND call = ? ORDER BY stream", (file, number))
            path = path if isinstance(path, str) else path.decode("utf-8", "backslashreplace")
            yield {"file": {"sha256": sha256, "path": path}, "call_group": group, **json.loads(text),
                   "streams": [json.loads(row[0]) for row in streams]}

    def merge(self, path):
        """Takes in what another database has: that of another host, or of another part of the files."""
        if not os.path.isfile(path):
            raise Failure(f"{path} isn't there")
        other = connect(path, False)
        other.row_factory = sqlite3.Row
        for file in other.execute("SELECT * FROM files ORDER BY id").fetchall():
            calls = other.execute("SELECT json, is_call FROM calls WHERE file_id = ? ORDER BY call", (file["id"],)).fetchall()
            streams = other.execute("SELECT json FROM streams WHERE file_id = ? ORDER BY stream", (file["id"],))
            records = [json.loads(row["json"]) for row in calls]
            listed = {call["call"] for call, row in zip(records, calls) if row["is_call"]}
            paths = other.execute("SELECT * FROM paths WHERE file_id = ? ORDER BY path", (file["id"],)).fetchall()
            with self.db:
                self._add(os.fsdecode(file["path"]), paths[0]["mtime_ns"] if paths else None, dict(file), records, listed,
                          [json.loads(row["json"]) for row in streams])
                own = self._old(name_of(file["path"]), file["sha256"])
                for row in paths:
                    self._path(os.fsdecode(row["path"]), own, row["size"], row["mtime_ns"])
        other.close()


def connect(path, fresh):
    try:
        db = sqlite3.connect(path, timeout=60)
        db.execute("PRAGMA foreign_keys = ON")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if fresh or (version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone()):
            schema = (pathlib.Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
            db.executescript(f"BEGIN; {schema} PRAGMA user_version = {SCHEMA}; COMMIT;")
        elif version != SCHEMA or not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'call_keys'").fetchone():
            raise Failure(f"{path} is no database of this facetime-many")
        return db
    except sqlite3.Error as error:
        raise Failure(f"{path}: {error}") from error
