# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/call-report: a page of each session, hostile texts, nothing from elsewhere, the same bytes each time."""

import html.parser
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import support

TOOL = support.ROOT / "tools" / "call-report"
SESSIONS = ("facetime-caller", "facetime-callee", "facetime-dropmidcall", "facetime-samenet", "facetime-samenet-nop2p")
BROWSER = shutil.which("chromium")
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)", "{{ 7*7 }}",
           "\u202egnp.exe", "a" * 1_000_000, "\x1b[2J", "\ud800", "javascript:alert(1)", "]]><svg/onload=alert(1)>")
VOID = {"meta", "link", "br", "img", "input", "hr"}


@pytest.fixture(scope="module")
def tool():
    loader = importlib.machinery.SourceFileLoader("call_report", str(TOOL))
    spec = importlib.util.spec_from_loader("call_report", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report(program):
    """report(capture, options ...): the finished process, the page on its standard output."""
    def run(capture, *options):
        return subprocess.run([TOOL, capture, "-o", "-", *options], env={**os.environ, "TSHARK": str(program)},
                              capture_output=True, text=True, check=False)
    return run


class Page(html.parser.HTMLParser):
    """Elements and their attributes, and whether each is closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.texts.append(data)

    def count(self, tag, **attributes):
        return sum(t == tag and attributes.items() <= a.items() for t, a in self.elements)


def harmless(page):
    """Refers to nothing but itself, and runs nothing but its own two scripts."""
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "object", "embed", "link", "base", "form", "img"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "action", "formaction", "xlink:href"), (tag, name)
            assert name != "href" or value.startswith("#"), value
    assert 2 <= page.count("script") <= 3 and page.count("script", type="application/json") == 1


@pytest.mark.parametrize("name", [*SESSIONS, "modern-call"])
def test_page_of_a_session(report, tshark, name):
    capture = support.TEST_CAPTURES / f"{name}.pcapng"
    made = report(capture)
    assert made.returncode == 0, made.stderr
    page = Page(made.stdout)
    harmless(page)
    calls = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    headings = [text for text in page.texts if re.fullmatch(r"Call \d+", text)]
    assert {f"Call {c['call']}" for c in calls} == set(headings)
    whole = "".join(page.texts)
    for call in calls:
        assert page.count("section", id=f"call-{call['call']}") == 1
        for finding in call["findings"]:
            assert finding["text"] in whole
        for pair in call["pairs"]:
            assert pair["local"] in whole and pair["remote"] in whole
        for address in call["addresses"]:
            assert address["address"] in whole
    assert page.count("svg") >= 2
    assert len(made.stdout) < 1_500_000


def test_deterministic(report):
    capture = support.TEST_CAPTURES / "facetime-caller.pcapng"
    assert report(capture).stdout == report(capture).stdout


def test_one_call(report):
    capture = support.TEST_CAPTURES / "facetime-dropmidcall.pcapng"
    page = Page(report(capture, "--call", "2").stdout)
    assert page.count("section", id="call-2") == 1 and page.count("section", id="call-1") == 0


def hostile_call(text):
    """A call's object with this text wherever a stranger's may stand."""
    return {"schema": 1, "call": 1, "generation": "legacy", "start": 0.0, "duration": 1.0, "first_frame": 1, "last_frame": 9,
            "packets": 9, "local": text, "remote": text, "state": text, "start_time": None, "end": text,
            "paths": [{"path": "relay", "packets": 3, "first_frame": 1, "last_frame": 9}],
            "streams": [{"direction": "out", "codecs": [text], "sender": text}],
            "pairs": [{"local": text, "remote": text, "sent": 1, "answered": 0, "first_frame": 1, "last_frame": 2,
                       "rtt": None, "nominated": False, "media_packets": 0}],
            "addresses": [{"address": text, "what": text, "frame": 2}], "setup": {"invite": {"seconds": 0.0, "frame": 1}},
            "sdp": [{"frame": 1, "role": role, "text": f"o={text}\r\n{text}{role}"} for role in ("offer", "answer")],
            "findings": [{"code": "hung_up", "severity": "note", "text": text, "frames": [1]}],
            "events": [{"frame": 1, "time": 0.0, "event": "invite", "text": text}]}


def hostile_stream(text):
    return {"call": 1, "ssrc": 7, "direction": "out", "medium": "video", "codecs": [text], "packets": 1, "lost": 0,
            "loss_bursts": {"count": 0, "longest": 0}, "copies": 0, "bitrate": 1.0, "frame_rate": None, "freezes": [],
            "jitter": None, "rtt": None, "clock": "media", "first_frame": 1, "last_frame": 2,
            "series": [{"t": 0, "packets": 1, "bytes": 9, "lost": 0, "frames": 1, "rtt": None, "path": "relay"}]}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts(tool, tmp_path, text):
    capture = tmp_path / "<b>x.pcap"
    capture.write_bytes(b"")
    row = {name: "" for name in tool.FIELDS}
    row |= {"frame.number": "1", "frame.time_epoch": "1.0", "ip.src": "192.0.2.1", "facetime.kind": "3",
            "facetime.path": "1", "facetime.call": "1", "_ws.col.Info": text}
    signalling = tool.Signalling()
    signalling.take(row)
    made = tool.page(str(capture), [hostile_call(text)], [hostile_stream(text)], signalling)
    page = Page(made)
    harmless(page)
    assert page.count("b") == 0 and len(made) < 400_000
    for hidden in ("\u202e", "\x1b", "\ud800"):
        assert hidden not in made
    made.encode("utf-8")


@pytest.mark.parametrize("capture, says", [("nowhere.pcap", "cannot read"), (os.fspath(support.TEST_CAPTURES), "cannot read")])
def test_errors_name_what_is_missing(report, capture, says):
    made = report(capture)
    assert made.returncode == 1 and says in made.stderr and "Traceback" not in made.stderr


def test_no_call(report, make_capture):
    made = report(make_capture([support.Datagram("192.0.2.1", 5353, "192.0.2.2", 53, b"no call")]))
    assert made.returncode == 1 and "no FaceTime call" in made.stderr


@pytest.mark.skipif(not BROWSER, reason="no chromium here")
@pytest.mark.parametrize("name", ["facetime-caller", "modern-call"])
def test_in_a_browser(report, tmp_path, name):
    page = tmp_path / "page.html"
    page.write_text(report(support.TEST_CAPTURES / f"{name}.pcapng").stdout, encoding="utf-8")
    run = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
                          f"--user-data-dir={tmp_path / 'home'}", "--dump-dom", page.as_uri()],
                         capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in run.stderr, run.stderr
    drawn = Page(run.stdout)
    assert drawn.count("svg") >= 2
    if pathlib.Path("/usr/share/javascript/dygraphs").is_dir():
        assert drawn.count("canvas") > 0
