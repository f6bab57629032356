# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark without its start: what it does before it looks at its settings is done once, and a child of that tshark goes
on for each run (forks.c says how). Off with FACETIME_FORKS=0; where the library can't be built, too."""

import functools
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

# What tshark reads before its settings: a tshark of its own for each of these that occurs, or no fork at all.
FLAGS = {"-V", "-x", "-P"}
PLAIN = {"-n", "-2", "-q"}
VALUES = set("-r -Y -R -T -E -e -z -o -d -t -c -J -j --disable-protocol --disable-heuristic --enable-heuristic".split())
START_LIMIT = 60    # seconds
VERSIONS = {(4, 0)}  # whose tshark is known to read its options in that order


@functools.lru_cache(maxsize=None)
def library(folder):
    """The path of what is preloaded, or None."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler or os.environ.get("FACETIME_FORKS") == "0" or "LLVM_PROFILE_FILE" in os.environ:
        return None
    path = folder / "forks.so"
    done = subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-w", "-o", path, pathlib.Path(__file__).with_suffix(".c"), "-ldl"],
                          capture_output=True)
    if done.returncode != 0:
        return None
    path.chmod(0o755)
    return path


def early(args):
    """Those of the arguments that tshark reads before its settings; None where it has to be started for them."""
    found, args = [], iter(args)
    for arg in args:
        if arg in FLAGS:
            found.append(arg)
        elif arg in VALUES:
            next(args, None)
        elif arg not in PLAIN:
            return None     # test_forks.py has the others
    return tuple(sorted(set(found)))


ALL = []    # that were started


def end():
    """At the end of the session."""
    while ALL:
        waiting = ALL.pop()
        waiting.socket.close()
        waiting.process.wait()


class Forks:
    """A tshark that waits for requests."""

    def __init__(self, command, environment, folder, preload):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {key: value for key, value in environment.items() if key != "GLIBC_TUNABLES"}     # large pages are copied
        preload = f"{environment.get('LD_PRELOAD', '')} {preload}".strip()
        self.complaints = tempfile.TemporaryFile()
        with theirs:
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=self.complaints, pass_fds=[theirs.fileno()],
                                            env={**environment, "LD_PRELOAD": preload, "FACETIME_FORKS": str(theirs.fileno())})
        self.socket = ours
        ALL.append(self)
        self.waits = self._answer(START_LIMIT) == 0
        self.complaints.seek(0)
        self.waits = self.waits and not self.complaints.read()      # a start says what is wrong

    def _answer(self, seconds):
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None
        data = self.socket.recv(4)
        return struct.unpack("i", data)[0] if len(data) == 4 else None

    def run(self, args, out, err, seconds):
        """The exit status, or None where it had to be ended."""
        with open(os.devnull) as nothing:
            socket.send_fds(self.socket, [b"".join(arg.encode() + b"\0" for arg in args)],
                            [nothing.fileno(), out.fileno(), err.fileno()])
        child = self._answer(START_LIMIT)
        status = self._answer(seconds)
        if status is None:
            os.kill(child, signal.SIGKILL)
            self._answer(START_LIMIT)
            return None
        return os.waitstatus_to_exitcode(status)
