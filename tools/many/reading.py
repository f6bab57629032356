"""One capture, read: its hash, its packets, what tshark's FaceTime taps say of it. The file is read once, by this process, and
handed on through pipes: hostile names reach no other program, and as root nothing that decodes needs rights of its own."""
# SPDX-License-Identifier: GPL-2.0-or-later

import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

TOOLS = pathlib.Path(__file__).resolve().parent.parent
NOBODY = 65534
CHUNK = 1 << 20
MAX_WORDS = 500         # of what a program complains
STAGE = "FACETIME_MANY_STAGE"
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864"      # a third of a start's price is small pages
TAPS = ("facetime,calls,json,lean", "facetime,timeline,json,lean", "facetime,streams,json,lean")

# What BPF can't look into goes through: frames that aren't plain IP (VLAN tags, PPPoE, MPLS), fragments, tunnels in IP.
PREFILTER = ("(not ip and not ip6) or icmp or icmp6 or udp portrange 16384-16403 or udp portrange 3478-3497 or tcp port 80 or "
             "(ip[6:2] & 0x1fff != 0) or ip6 proto 44 or ip proto 4 or ip proto 41 or ip proto 47 or ip6 proto 4 or "
             "ip6 proto 41 or ip6 proto 47")


class Failure(Exception):
    """What the user is told, and nothing else."""


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Programs:
    """tshark with the plugin and no personal setting: the fresh build of this source tree if there is one, else the installed
    one; TSHARK names another, which is run as it is. Root's run as nobody."""

    def __init__(self):
        self.tshark, self.own = os.environ.get("TSHARK", "tshark"), "TSHARK" in os.environ
        self.environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "GLIBC_TUNABLES": TUNABLES}
        self.drop = []
        if os.geteuid() == 0:
            self.drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if self.own:
            return
        self.home = pathlib.Path(os.environ.get(STAGE) or self._stage())
        self.environment["WIRESHARK_CONFIG_DIR"] = str(self.home / "settings")
        if (self.home / "plugins").is_dir():
            self.environment["WIRESHARK_PLUGIN_DIR"] = str(self.home / "plugins")
        if os.geteuid() == 0:
            self.environment["HOME"] = str(self.home / "settings")

    def _stage(self):
        """A folder with settings that are none, and the fresh plugin; it lives as long as this object, and serves the tasks
        that this process starts."""
        self.stage = tempfile.TemporaryDirectory(prefix="facetime-many-")
        home = pathlib.Path(self.stage.name)
        (home / "settings").mkdir()
        plugin = pathlib.Path(os.environ.get("BUILD_DIR", TOOLS.parent / "build")) / "facetime.so"
        if (TOOLS / "lib.sh").is_file() and plugin.is_file():
            epan = home / "plugins" / ".".join(self.version().split(".")[:2]) / "epan"
            epan.mkdir(parents=True)
            shutil.copyfile(plugin, epan / "facetime.so")
        for folder, _, _ in os.walk(home):
            os.chmod(folder, 0o755)         # nobody's tshark reads them
        if os.geteuid() == 0:
            os.chown(home / "settings", NOBODY, NOBODY)
        return home

    def for_tasks(self):
        """The environment of tasks on this machine."""
        return {**os.environ, **({} if self.own else {STAGE: str(self.home)})}

    def start(self, *command, **pipes):
        program = [] if self.own and command[0] == self.tshark else self.drop
        try:
            return subprocess.Popen([*program, *command], env=self.environment, cwd="/", start_new_session=True, **pipes)
        except OSError as error:
            raise Failure(f"{command[0]} can't be started: {error.strerror}") from error

    def said(self, *arguments):
        with self.start(self.tshark, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        text=True, errors="replace") as process:
            return process.communicate()

    def version(self):
        """4.0.17"""
        found = re.match(r"[^0-9]*(\d+\.\d+\.\d+)", self.said("--version")[0])
        if not found:
            raise Failure(f"{self.tshark} doesn't tell its version")
        return found[1]

    def plugin(self):
        """The plugin's version: 0.1.0"""
        words, complaints = self.said("-G", "plugins")
        found = re.search(r"^facetime\.so\s+(\S+)", words, re.MULTILINE)
        if not found:
            raise Failure("this tshark has no FaceTime plugin for its version: build it, or install it"
                          + (f" ({complaints.strip()[:MAX_WORDS]})" if "facetime" in complaints else ""))
        return found[1]


def versions(programs):
    return {"tshark": programs.version(), "plugin": programs.plugin()}


class Pipeline:
    """Programs that get the file through their standard input. `stop` ends them all."""

    def __init__(self, programs, prefilter):
        self.complaints = {}
        self.processes = {}
        self.timed_out = False
        self.sinks = []
        counter = self._start(programs, "capinfos", ["capinfos", "-T", "-m", "-M", "-t", "-c", "-a", "-e", "-S", "-"])
        self.sinks.append(counter.stdin)
        source = subprocess.PIPE
        if prefilter:
            first = self._start(programs, "tcpdump", ["tcpdump", "-n", "-r", "-", "-w", "-", "-U", PREFILTER])
            source = first.stdout
        taps = [word for tap in TAPS for word in ("-z", tap)]
        reader = self._start(programs, "tshark", [programs.tshark, "-n", "-q", "-r", "-", *taps], source)
        if prefilter:
            first.stdout.close()
        self.sinks.append((first if prefilter else reader).stdin)

    def _start(self, programs, name, command, source=subprocess.PIPE):
        words = self.complaints[name] = tempfile.TemporaryFile("w+", errors="replace")
        self.processes[name] = programs.start(*command, stdin=source, stdout=subprocess.PIPE, stderr=words)
        return self.processes[name]

    def feed(self, chunk):
        """A program that has given up (a damaged file) gets no more; the rest is still hashed."""
        for sink in self.sinks[:]:
            try:
                sink.write(chunk)
                sink.flush()
            except (BrokenPipeError, ValueError):
                self.sinks.remove(sink)

    def close(self):
        for process in self.processes.values():
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()

    def stop(self):
        self.timed_out = True
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def end(self, name):
        """(exit status, what it complained)"""
        process, words = self.processes[name], self.complaints[name]
        process.stdout.close()
        status = process.wait()
        words.seek(0)
        lines = [line.strip() for line in words.read(64 * MAX_WORDS).splitlines()]
        told = " ".join(line for line in lines if line and not line.startswith(("Running as", "reading from file")))
        return status, told[:MAX_WORDS]


def objects(lines):
    """The objects of the arrays that tshark prints one after the other, one at a time (json_dumper indents by two), and None
    where an array ends."""
    found = None
    for line in lines:
        if found is None:
            found = [line] if line.rstrip() == "  {" else None
            if line.rstrip() in ("]", "[]"):
                yield None
        else:
            found.append(line)
            if line.rstrip() in ("  }", "  },"):
                yield json.loads("".join(found).rstrip().rstrip(","))
                found = None


def kind_of(record):
    return "stream" if "ssrc" in record else "call" if "events" in record else "listed"


def moment(seconds):
    """Of capinfos' epoch, or None."""
    try:
        whole, _, fraction = seconds.partition(".")
        time = datetime.datetime.fromtimestamp(int(whole), datetime.timezone.utc)
        return f"{time:%Y-%m-%dT%H:%M:%S}.{(fraction + '000000')[:6]}Z"
    except (ValueError, OverflowError, OSError):
        return None


def counts(text):
    """Of capinfos: packets, and the times of the first and the last. Wireshark takes texts and pictures, too, as one packet at no
    time."""
    row = text.splitlines()[-1].split(",") if "\n" in text else []
    if len(row) != 5 or not row[2].isdigit():
        return {}
    if row[2] == "1" and moment(row[3]) is None:
        raise Failure("it is no capture file")
    return {"packets": int(row[2]), "first_time": moment(row[3]), "last_time": moment(row[4])}


def time_limit(size, option):
    return option if option is not None else 600 + size // 1_000_000


def read(path, prefilter, timeout, take):
    """Hands take(kind, record) each record of the file at path; returns what is to be said of the file."""
    about = {"sha256": None, "size": None, "status": "failed", "reason": None, "prefilter": int(prefilter)}
    try:
        with open(path, "rb") as file:
            about["size"] = os.fstat(file.fileno()).st_size
            _read(file, about, prefilter, time_limit(about["size"], timeout), take, Programs())
    except OSError as error:
        about["reason"] = f"can't be read: {error.strerror}"
    except Failure as failure:
        about["reason"] = str(failure)
    return about


def _read(file, about, prefilter, timeout, take, programs):
    whole, size = hashlib.sha256(), 0
    pipeline = Pipeline(programs, prefilter)
    watch = threading.Timer(timeout, pipeline.stop)
    watch.daemon = True
    watch.start()
    try:
        while chunk := file.read(CHUNK):
            whole.update(chunk)
            size += len(chunk)
            pipeline.feed(chunk)
        pipeline.close()
        about.update(sha256=whole.hexdigest(), size=size)
        if not size:
            raise Failure("it is empty")
        about.update(counts(pipeline.processes["capinfos"].stdout.read().decode(errors="replace")))
        judge(about, pipeline, timeout, *hand_out(pipeline, take))
    finally:
        watch.cancel()
        pipeline.stop()


def hand_out(pipeline, take):
    """How many reports there were, and calls; and which bounds of the plugin's memory they say were met."""
    reports, some, limits = 0, 0, {}
    lines = (line.decode("utf-8", "replace") for line in pipeline.processes["tshark"].stdout)
    try:
        for record in objects(lines):
            if record is None:
                reports += 1
                continue
            some += kind_of(record) == "call"
            limits.update({limit["bound"]: limit for limit in record.get("limits", ())})
            take(kind_of(record), record)
    except json.JSONDecodeError:
        pass            # cut short, by a crash: its status says so
    return reports, some, sorted(limits.values(), key=lambda limit: limit["frame"])


def judge(about, pipeline, timeout, reports, some, limits):
    """Status and reason."""
    timed_out = pipeline.timed_out
    ends = {name: pipeline.end(name) for name in pipeline.processes}
    status, words = ends["tshark"]
    filtered, why = ends.get("tcpdump", (0, ""))
    if timed_out:
        about["reason"] = f"no end after {timeout:g} s"
    elif status < 0:
        about["reason"] = f"tshark was ended by {signal.Signals(-status).name}"
    elif filtered and "truncated" not in why:
        about["reason"] = f"the prefilter can't read it: {why}"
    elif reports < len(TAPS):           # it didn't come so far as to tell anything: "no FaceTime" would be a guess
        about["reason"] = words or f"tshark ended with {status} and without its reports"
    elif status or filtered or ends["capinfos"][0]:
        about["status"] = "partial" if about.get("packets") else "failed"
        about["reason"] = words or why or ends["capinfos"][1] or f"tshark ended with {status}"
    elif limits:
        about["status"] = "partial"
        about["reason"] = "; ".join(f"incomplete from frame {limit['frame']} on ({limit['bound']}): more than {limit['most']} "
                                    f"{limit['text']}" for limit in limits)
    else:
        none = "no FaceTime in it" + about["prefilter"] * ", of what the prefilter left"
        about["status"], about["reason"] = ("ok", None) if some else ("none", none)
