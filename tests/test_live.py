# SPDX-License-Identifier: GPL-2.0-or-later
"""While the call goes on: tcpreplay plays a call into a network namespace of its own; tshark captures there."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import threading
import time

import pytest

import support
from test_seen_twice import records, written

CAPTURE = "modern-call.pcapng"     # it lasts some seconds; played at its own pace
HELLO = support.Datagram("192.0.2.1", 40009, "192.0.2.2", 9, b"hello")      # somebody's
TOOLS = ["tcpreplay", "unshare", "setpriv", "dumpcap", "ip", "editcap"]
SET_UP = ("ip link add ft0 type veth peer name ft1 && ip link set ft0 mtu 9000 up && ip link set ft1 mtu 9000 up && "
          "ip link set lo up && sleep 0.2 && exec sleep 600")


def namespace():
    """A process that holds a network namespace with a pair of interfaces, ft0 and ft1."""
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not here")
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    holder = subprocess.Popen(["unshare", "--net", *own, "sh", "-c", SET_UP], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    for _ in range(50):
        time.sleep(0.1)
        if holder.poll() is not None:
            pytest.skip("network namespaces aren't allowed here")
        shown = subprocess.run(inside(holder, "ip", "-br", "link"), capture_output=True, text=True)
        if shown.stdout.count("LOWER_UP") >= 3:
            return holder
    holder.kill()
    pytest.skip("no pair of interfaces in a network namespace")


def inside(holder, *command, nobody=False):
    own = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    drop = []
    if nobody and os.geteuid() == 0:        # the plugin folder is none of root's
        caps = "+net_raw,+net_admin"
        drop = ["setpriv", f"--reuid={support.NOBODY}", f"--regid={support.NOBODY}", "--clear-groups",
                f"--inh-caps={caps}", f"--ambient-caps={caps}"]
    return ["nsenter", f"--target={holder.pid}", "--net", *own, *drop, *command]


def as_pcap(path):
    out = subprocess.run(["editcap", "-F", "pcap", path, "-"], capture_output=True, check=True).stdout
    return support.write_capture(out)


@pytest.fixture
def network():
    holder = namespace()
    yield holder
    holder.kill()
    holder.wait()


def play(holder, capture):
    subprocess.run(inside(holder, "tcpreplay", "-q", "-i", "ft0", str(capture)), check=True, capture_output=True,
                   timeout=120)


def with_a_stranger_last(capture):
    """tcpreplay 4.5 doesn't always send a file's last packet."""
    frames = records(capture.read_bytes())
    return written([*frames, (frames[-1][0] + 0.01, HELLO.frame())])


def told(calls):
    """What the statistics say of a call, without the times: those of the wire are others than the file's."""
    return [{"local": call["local"], "remote": call["remote"], "generation": call["generation"],
             "streams": [(stream["ssrc"], stream["packets"], stream["lost"]) for stream in call["streams"]]}
            for call in calls]


class Lines(threading.Thread):
    """What a program prints, and when it came."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.came = stream, []
        self.start()

    def run(self):
        for line in self.stream:
            self.came.append((time.time(), line))


def wait_until_it_shows(holder, lines):
    """Somebody's datagram, again and again, until it comes out at the other end."""
    hello = support.make_capture([HELLO] * 2)
    for _ in range(100):
        play(holder, hello)
        time.sleep(0.5)
        if lines.came:
            return
    raise AssertionError("nothing is captured")


SHOW = ["-n", "-l", "-T", "fields", "-e", "frame.time_epoch", "-e", "facetime.kind", "-Y", "facetime.kind || udp.port == 9",
        "-z", "facetime,calls,json"]


def watch(holder, way, tshark):
    """(the program that captures, tshark)"""
    pipe = {"env": tshark.environment, "cwd": tshark.home, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    if way == "tshark -i":
        process = subprocess.Popen(inside(holder, tshark.program, "-i", "ft1", *SHOW, nobody=True), text=True, **pipe)
        return process, process
    dumpcap = subprocess.Popen(inside(holder, "dumpcap", "-q", "-i", "ft1", "-w", "-", nobody=True),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return dumpcap, subprocess.Popen([*tshark.command, tshark.program, "-r", "-", *SHOW], stdin=dumpcap.stdout,
                                     text=True, **pipe)


@pytest.mark.parametrize("way", ["tshark -i", "dumpcap | tshark -r -"])
def test_lines_stream_and_statistics_are_the_files(way, network, tshark):
    capture = as_pcap(support.TEST_CAPTURES / CAPTURE)
    captures, shows = watch(network, way, tshark)
    lines = Lines(shows.stdout)
    wait_until_it_shows(network, lines)
    play(network, with_a_stranger_last(capture))
    time.sleep(2)
    streamed = list(lines.came)
    captures.send_signal(signal.SIGINT)
    shows.wait(60)
    lines.join(60)
    text = "".join(line for _, line in lines.came)
    rows = [(came, *line.split()) for came, line in streamed if len(line.split()) == 2]
    assert [row[2] for row in rows] == tshark.values(capture, "facetime.kind")
    assert statistics.median(came - float(sent) for came, sent, *_ in rows) < 1
    assert told(json.loads(text[text.index("["):])) == told(json.loads(tshark.text(capture, "-q", "-z",
                                                                                   "facetime,calls,json")))
