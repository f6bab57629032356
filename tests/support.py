# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests stand on: tshark with the fresh plugin, and captures made on the spot.

Most tests need two fixtures (conftest.py) and nothing else:

    def test_response_undoes_the_inversion(tshark, make_capture):
        capture = make_capture([Datagram("10.0.0.2", 16402, "17.188.181.8", 3480, request),
                                Datagram("17.188.181.8", 3480, "10.0.0.2", 16402, response)])
        assert tshark.values(capture, "snatmap.port") == ["16402", "46256"]

`tshark` is tshark with the plugin, `stock` the same tshark without it; both are a `Tshark`. Each call fails
the test when tshark exits with an error, writes a word to stderr, says "Dissector bug" or takes too long.
Results are kept, so asking the same thing twice costs nothing. A run of tshark takes 0.05 s, since only the first of
a kind is started (forks.py); elsewhere a start takes 0.3 s: put many packets into one capture rather than one into many.

Environment
    FACETIME_PLUGIN    the plugin to test (default build/facetime.so)
    TSHARK             the tshark to use (default: the one in PATH)
    FACETIME_CAPTURES  folder with real/ and negative/ captures (default ../shared/captures);
                       tests that need it are reported as skipped where it isn't there
    FACETIME_PRELOAD   libraries to preload into tshark: the runtimes of a plugin built with sanitizers
    FACETIME_FORKS     0: each run starts a tshark of its own
"""

import collections
import functools
import hashlib
import itertools
import os
import pathlib
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import pytest

import forks

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST_CAPTURES = ROOT / "test-captures"
sys.path.insert(0, str(TEST_CAPTURES))      # `from wire import stun`: the generator's builders of messages
from wire import packets                    # noqa: E402

SHARED_CAPTURES = pathlib.Path(os.environ.get("FACETIME_CAPTURES", ROOT.parent / "shared" / "captures"))
PLUGIN = pathlib.Path(os.environ.get("FACETIME_PLUGIN", ROOT / "build" / "facetime.so"))
TSHARK = os.environ.get("TSHARK", "tshark")
SANITIZED = "FACETIME_PRELOAD" in os.environ

TIME_LIMIT = 300            # seconds of one tshark run: beyond it, it hangs
KEPT = 100_000_000          # characters of output kept for the session, the oldest given up first
START_TIME = 1_700_000_000  # of captures made here, seconds since 1970
NOBODY = 65534
DATA = pathlib.Path("/usr/share/wireshark")


# Captures

class Datagram(collections.namedtuple("Datagram", "src sport dst dport payload time snap",
                                      defaults=(None, None))):
    """One UDP datagram; IPv6 where the addresses are.

    time  seconds since the capture's start (default: 10 ms after the packet before)
    snap  how many bytes of the *payload* the capture kept (default: all)
    """

    def frame(self):
        ip = packets.ipv6 if packets.is_ipv6(self.src) else packets.ipv4
        udp = packets.udp((self.src, self.sport), (self.dst, self.dport), self.payload)
        return packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02",
                                ip(self.src, self.dst, packets.PROTO_UDP, udp))

    def reply(self, payload, **changes):
        """A datagram the other way."""
        return Datagram(self.dst, self.dport, self.src, self.sport, payload)._replace(**changes)


def truncations(datagram, snapped=False):
    """The datagram cut at every length from 1 byte to its whole: the datagram itself (a sender that lies), or
    with `snapped` only what the capture kept of it (editcap -s)."""
    lengths = range(1, len(datagram.payload) + 1)
    if snapped:
        return [datagram._replace(snap=n) for n in lengths]
    return [datagram._replace(payload=datagram.payload[:n]) for n in lengths]


def pcap_bytes(frames):
    """frames: a Datagram each, the bytes of an Ethernet frame, or (those bytes, how many are captured)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, packets.LINKTYPE_ETHERNET)]
    now = -0.01
    for frame in frames:
        data, kept, now = frame, None, now + 0.01
        if isinstance(frame, Datagram):
            data = frame.frame()
            now = now if frame.time is None else frame.time
            kept = None if frame.snap is None else len(data) - len(frame.payload) + frame.snap
        elif isinstance(frame, tuple):
            data, kept = frame
        kept = len(data) if kept is None else kept
        micros = round((START_TIME + now) * 1_000_000)
        out.append(struct.pack("<IIII", *divmod(micros, 1_000_000), kept, len(data)) + data[:kept])
    return b"".join(out)


@functools.lru_cache(maxsize=None)
def stage():
    """A folder that every user may read: tshark doesn't run as root here (Tshark.__init__ says why)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="facetime-tests-"))
    folder.chmod(0o755)
    return folder


@functools.lru_cache(maxsize=None)
def data_folder():
    """Wireshark's own files but for the long lists of ports, vendors and enterprises, which cost each start."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="data-", dir=stage()))
    folder.chmod(0o755)
    for file in DATA.iterdir() if DATA.is_dir() else ():
        if file.name not in ("services", "manuf", "enterprises.tsv", "enterprises"):
            (folder / file.name).symlink_to(file)
    return folder


def write_capture(data):
    """The path of a file with these bytes, named for them: equal captures are one file."""
    path = stage() / f"{hashlib.sha256(data).hexdigest()[:16]}.pcap"
    if not path.exists():
        path.write_bytes(data)
        path.chmod(0o644)
    return path


def make_capture(frames):
    """The path of a capture with these frames (see pcap_bytes)."""
    return write_capture(pcap_bytes(frames))


def part_of(capture, first, last):
    """The path of a capture with these frames of another one, as a ring buffer would have cut it."""
    path = stage() / f"{capture.stem}-{first}-{last}.pcapng"
    if not path.exists():
        subprocess.run(["editcap", "-r", capture, path, f"{first}-{last}"], check=True)
        path.chmod(0o644)
    return path


def cut_to(capture, snap):
    """The path of a capture of which only so many bytes a frame were kept."""
    path = stage() / f"{capture.stem}-snap-{snap}.pcapng"
    if not path.exists():
        subprocess.run(["editcap", "-s", str(snap), capture, path], check=True)
        path.chmod(0o644)
    return path


def real_capture(name):
    """The path of a capture of the folder real/; the test is skipped where the folder isn't there."""
    return _shared_capture("real", name)


def negative_capture(name):
    """The same of negative/."""
    return _shared_capture("negative", name)


def _shared_capture(folder, name):
    path = SHARED_CAPTURES / folder / name
    if not path.parent.is_dir():
        pytest.skip(_no_folder(folder))
    assert path.is_file(), f"{name} is missing from the captures"
    return path


def _no_folder(folder):
    return f"no {folder} captures here (FACETIME_CAPTURES)"


def shared_captures(folder):
    """Parameters for pytest.mark.parametrize: each capture of real/ or negative/, or one that is skipped."""
    files = sorted((SHARED_CAPTURES / folder).glob("*.pcap*"))
    return [pytest.param(f, id=f.name) for f in files] or [
        pytest.param(None, id=folder, marks=pytest.mark.skip(reason=_no_folder(folder)))]


def own_captures():
    """Parameters: each capture of test-captures/."""
    return [pytest.param(f, id=f.name) for f in sorted(TEST_CAPTURES.glob("*.pcap*"))]


def some(items, step):
    """Every step-th, for what takes long and hardly depends on the capture; all of them where FACETIME_ALL is set."""
    return items if os.environ.get("FACETIME_ALL") else items[::step]


SMALL, TOGETHER = 64 * 1024, 8


def in_batches(items):
    """What holds for any capture holds for several in one, which cost one start of tshark."""
    return [items[i:i + TOGETHER] for i in range(0, len(items), TOGETHER)]


def captures_together():
    """Parameters for one_after_the_other(): the small captures of test-captures/ in batches, each other one, those of real/."""
    own = sorted(TEST_CAPTURES.glob("*.pcap*"))
    small = [file for file in own if file.stat().st_size < SMALL and "bomb" not in file.name]
    together = [pytest.param(tuple(batch), id=f"from-{batch[0].stem}") for batch in in_batches(small)]
    return together + [pytest.param(file, id=file.stem) for file in own if file not in small] + shared_captures("real")


@functools.lru_cache(maxsize=None)
def one_after_the_other(captures):
    """The path of a capture that has all of these."""
    if not isinstance(captures, tuple):
        return captures
    path = stage() / f"from-{captures[0].stem}.pcapng"
    subprocess.run(["mergecap", "-a", "-w", path, *captures], check=True)
    path.chmod(0o644)
    return path


# tshark

# Without addresses at random, where the system allows that: with them a process takes up to 5 MiB more in one run than in another.
STEADY = ["setarch", "-R"] if subprocess.run(["setarch", "-R", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0 else []

Result = collections.namedtuple("Result", "stdout cpu memory")  # text; seconds of CPU, peak KiB (measured)

# What a child is said to have used includes what its parent had in memory when starting it: so a small
# process stands between, starts tshark, and tells. Arguments: where to, seconds, command.
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[3:], timeout=float(sys.argv[2]))
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as out:
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=out)
sys.exit(status)
"""


class Tshark:
    """tshark with a plugin and no setting of the user's. plugin=None: stock.

    Every method takes the capture's path, then:
        two_pass  -2: what the GUI shows
        disable   protocols for --disable-protocol
        prefs     {"facetime.some_preference": value} for -o
        filter    -Y
    """

    def __init__(self, plugin=None, program=TSHARK):
        self.program = shutil.which(program)
        assert self.program, f"{program} isn't there: install tshark, or set TSHARK"
        # WIRESHARK_PLUGIN_DIR takes the place of the global plugin folder, so that no installed facetime.so
        # gets in the way. Wireshark ignores it for root: hence setpriv, and files that nobody may read.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=stage()))
        self.command = []
        if os.geteuid() == 0:
            os.chown(self.home, NOBODY, NOBODY)
            self.command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                            "TZ": "UTC", "WIRESHARK_PLUGIN_DIR": str(self._plugin_folder(plugin)),
                            "WIRESHARK_EXTCAP_DIR": str(self.home),     # no tools for capturing
                            # half of a start's price: small pages, and the tables of names that -n doesn't use
                            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864",
                            "WIRESHARK_DATA_DIR": str(data_folder())}
        if plugin and SANITIZED:
            self.environment.update(LD_PRELOAD=os.environ["FACETIME_PRELOAD"], G_SLICE="always-malloc",
                                    WIRESHARK_DEBUG_WMEM_OVERRIDE="simple",
                                    ASAN_OPTIONS="detect_leaks=0:abort_on_error=1",
                                    UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
        if plugin and "LLVM_PROFILE_FILE" in os.environ:        # tools/coverage
            self.environment["LLVM_PROFILE_FILE"] = os.environ["LLVM_PROFILE_FILE"]
        self._results = {}
        self._copies = {}
        self._waiting = {}      # early options -> Forks

    @functools.cached_property
    def version(self):
        """(4, 0, 17)"""
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(int(n) for n in re.search(r"(\d+)\.(\d+)\.(\d+)", text).groups())

    def _plugin_folder(self, plugin):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="plugins-", dir=stage()))
        folder.chmod(0o755)
        if plugin:
            epan = folder / "{}.{}".format(*self.version) / "epan"
            epan.mkdir(parents=True, mode=0o755)
            shutil.copy(plugin, epan / "facetime.so")
        return folder

    def _readable(self, capture):
        """The capture, or where nobody can't be sure to read it, a copy."""
        path = pathlib.Path(capture)
        if os.geteuid() != 0 or stage() in path.parents:
            return path
        if path not in self._copies:
            self._copies[path] = write_capture(path.read_bytes())
        return self._copies[path]

    def run(self, *args):
        """Runs tshark with these arguments alone: a Result. Fails the test on any complaint."""
        args = tuple(str(a) for a in args)
        if args not in self._results:
            self._results[args] = self._run(args)
            while len(self._results) > 1 and sum(len(r.stdout) for r in self._results.values()) > KEPT:
                del self._results[next(iter(self._results))]
        return self._results[args]

    def _run(self, args, measured=False):
        with (tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err,
              tempfile.NamedTemporaryFile() as used):
            waiting = None if measured else self._waiting_for(args)
            status = waiting.run(args, out, err, TIME_LIMIT) if waiting else self._start(
                args, out, err, [*STEADY, sys.executable, "-c", MEASURE, used.name, str(TIME_LIMIT - 5)] if measured else [])
            out.seek(0), err.seek(0)
            stdout, stderr = out.read().decode(errors="backslashreplace"), err.read().decode(errors="replace")
            cpu, memory = map(float, used.read().split()) if measured and status == 0 else (None, None)
        shown = " ".join(args)
        assert status is not None, f"tshark {shown}: no end after {TIME_LIMIT} s"
        assert status == 0, f"tshark {shown}: exit status {status}\n{stderr[-4000:]}"
        assert not stderr, f"tshark {shown} complains:\n{stderr[-4000:]}"
        bug = _line_of("Dissector bug", stdout)
        assert not bug or args[0] == "-G", f"tshark {shown}: {bug}"     # -G fields lists a field of that name
        return Result(stdout, cpu, memory)

    def _start(self, args, out, err, before=()):
        process = subprocess.Popen([*before, *self.command, self.program, *args], env=self.environment, cwd=self.home,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        return _wait(process)

    def _waiting_for(self, args):
        """A tshark that waits for these arguments (forks.py), or None where one has to be started."""
        early, library = forks.early(args), forks.library(stage())
        if early is None or library is None or "-r" not in args or self.version[:2] not in forks.VERSIONS:
            return None
        if early not in self._waiting:
            self._waiting[early] = forks.Forks([*self.command, self.program, *early, "-r", "forked"], self.environment, self.home, library)
        return self._waiting[early] if self._waiting[early].waits else None

    def _options(self, capture, args, two_pass=False, disable=(), prefs=None, filter=None):
        options = ["-n", "-r", self._readable(capture)]
        options += ["-2"] if two_pass else []
        options += itertools.chain.from_iterable(("--disable-protocol", name) for name in disable)
        options += itertools.chain.from_iterable(("-o", f"{k}:{_pref(v)}") for k, v in (prefs or {}).items())
        options += ["-Y", filter] if filter else []
        return tuple(str(option) for option in (*options, *args))

    def _read(self, capture, args, **how):
        return self.run(*self._options(capture, args, **how))

    def text(self, capture, *args, **how):
        """What tshark prints: text(capture, "-V")."""
        return self._read(capture, args, **how).stdout

    def lines(self, capture, *args, **how):
        return self.text(capture, *args, **how).splitlines()

    def measure(self, capture, *args, **how):
        """A Result that says what tshark used, too. Not kept. Under sanitizers the test is skipped."""
        if SANITIZED:
            pytest.skip("what sanitizers cost isn't what the plugin costs")
        return self._run(self._options(capture, args, **how), measured=True)

    def cost(self, capture, *args, runs=3, **how):
        """(seconds of CPU, peak KiB) of the cheapest of some runs. Not kept."""
        results = [self.measure(capture, *args, **how) for _ in range(runs)]
        return min(r.cpu for r in results), min(r.memory for r in results)

    def rows(self, capture, *fields, args=(), **how):
        """-T fields: for each packet {field: [value, ...]}, [] where it isn't there. Enums are numbers."""
        return [{f: v.split("\x1e") if v else [] for f, v in zip(fields, values, strict=True)}
                for values in self.columns(capture, *fields, args=args, **how)]

    def columns(self, capture, *fields, args=(), **how):
        """The same as tshark prints it, for many fields of many packets: a list of texts each, several values with \x1e between."""
        args = [*args, "-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e"]
        for field in fields:
            args += ["-e", field]
        return (line.split("\x1f") for line in self._lines_exactly(capture, args, how))

    def values(self, capture, field, **how):
        """All values of one field, packet after packet, as one list."""
        return [value for row in self.rows(capture, field, **how) for value in row[field]]

    def names(self, capture, *fields, args=(), **how):
        """Like rows, but values as Wireshark writes them for people: {"facetime.kind": "rtp"}. A field that
        occurs more than once in a packet comes as one string, with commas."""
        columns = ",".join(f'"{f}","%Cus:{f}:0:R"' for f in fields)
        args = [*args, "-T", "tabs", "-o", f"gui.column.format:{columns}"]
        lines = self._lines_exactly(capture, args, how)
        return [dict(zip(fields, line.split("\t"), strict=True)) for line in lines]

    def _lines_exactly(self, capture, args, how):
        """Lines that end in \\n alone: a value may hold what splitlines() takes for a line's end."""
        return self._read(capture, args, **how).stdout.split("\n")[:-1]

    def count(self, capture, filter, **how):
        """How many packets a display filter selects."""
        return len(self.values(capture, "frame.number", filter=filter, **how))

    def frames(self, capture, filter, **how):
        """The numbers of the packets that a display filter selects."""
        return [int(n) for n in self.values(capture, "frame.number", filter=filter, **how)]

    def pdml(self, capture, *args, **how):
        """The packets as XML elements. The fields, packet.iterfind(".//field[@name='snatmap.port']"), have
        the attributes name, showname, show, value, size, pos."""
        return list(xml.etree.ElementTree.fromstring(self.text(capture, "-T", "pdml", *args, **how)))

    @functools.lru_cache(maxsize=None)      # tshark and stock live as long as the session
    def glossary(self, kind):
        """tshark -G fields, protocols, plugins ...: a list of columns for each line."""
        return [line.split("\t") for line in self.run("-G", kind).stdout.splitlines()]

    @functools.cached_property
    def protocols(self):
        """Filter names of all protocols."""
        return {row[2] for row in self.glossary("protocols")}

    @functools.cached_property
    def field_types(self):
        """{filter name: type, FT_UINT16} of all fields."""
        return {row[2]: row[3] for row in self.glossary("fields") if row[0] == "F"}


def _wait(process):
    """The exit status, or None where it had to be ended. (Popen.wait() looks every 50 ms when there is a limit.)"""
    descriptor = os.pidfd_open(process.pid)
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        if not ended.poll(TIME_LIMIT * 1000):
            process.kill()
            process.wait()
            return None
        return process.wait()
    finally:
        os.close(descriptor)


def _pref(value):
    return str(value).upper() if isinstance(value, bool) else value


def _line_of(word, text):
    return next((line.strip() for line in text.splitlines() if word in line), None) if word in text else None
