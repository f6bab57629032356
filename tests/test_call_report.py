# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/call-report: a page of each session, hostile texts, nothing from elsewhere, the same bytes each time."""

import functools
import html
import html.parser
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

import report_page
import support
from browser import Browser
from test_report import ROWS
from wire import stun

TOOL = support.ROOT / "tools" / "call-report"
SESSIONS = ("facetime-caller", "facetime-callee", "facetime-dropmidcall", "facetime-samenet", "facetime-samenet-nop2p")
BROWSER = shutil.which("chromium")
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)", "{{ 7*7 }}",
           "\u202egnp.exe", "a" * 1_000_000, "\x1b[2J", "\ud800", "javascript:alert(1)", "]]><svg/onload=alert(1)>",
           "\u2028alert(1)//\u2029", "<!--<script>", "</style><script>alert(1)</script>", "&lt;script&gt;alert(1)", "';alert(1)//",
           "\u200f\u2066<b>\u2069", "</title><svg onload=alert(1)>", "</bdi></td><img src=x onerror=alert(1)>")
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


@pytest.fixture(scope="module")
def page_of(report):
    """page_of(name): a test capture's page, made once."""
    made = {}

    def page(name):
        if name not in made:
            made[name] = report(support.TEST_CAPTURES / f"{name}.pcapng")
            assert made[name].returncode == 0, made[name].stderr
        return made[name].stdout
    return page


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
def test_page_of_a_session(page_of, tshark, name):
    capture = support.TEST_CAPTURES / f"{name}.pcapng"
    page = Page(page_of(name))
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
    assert len(page_of(name)) < 1_500_000


def test_the_report_of_2015_unaided(page_of):
    lines = functools.lru_cache(maxsize=None)(lambda name: report_page.Lines(page_of(name)).lines)
    said, hidden = set(report_page.SAID), set(report_page.HIDDEN)
    assert {row.number for row in ROWS} == said | hidden and not said & hidden and len(said) >= report_page.LEAST
    assert [text for row in ROWS if row.number in said for text in report_page.unsaid(row, lines)] == []


def test_deterministic(page_of, report, monkeypatch, tmp_path):
    """Wherever, whenever, in whichever language."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("TZ", "Asia/Kathmandu"), ("LC_ALL", "C"), ("PYTHONHASHSEED", "7")):
        monkeypatch.setenv(name, value)
    assert page_of("facetime-caller") == report(support.TEST_CAPTURES / "facetime-caller.pcapng").stdout


def test_templates_are_compiled_once(page_of, report, monkeypatch, tmp_path):
    """The user's cache has their byte code; a page needs none, and where there is none to be had it is the same."""
    (tmp_path / "file").touch()
    found = []
    for cache in (tmp_path / "new", tmp_path / "new", tmp_path / "file", "/proc/none"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        assert page_of("facetime-caller") == report(support.TEST_CAPTURES / "facetime-caller.pcapng").stdout
        found.append({(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.cache")})
    assert found[0] and all(some == found[0] for some in found)


def test_the_readers_columns_dont_matter(page_of, tmp_path, program):
    """Neither which of them are hidden nor that there is no Info among them."""
    script = tmp_path / "tshark"
    script.write_text(f'#!/bin/sh\nexec {program} -o gui.column.hidden:%i -o \'gui.column.format:"No.","%m"\' "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    made = subprocess.run([TOOL, support.TEST_CAPTURES / "facetime-caller.pcapng", "-o", "-"], capture_output=True, text=True, check=True,
                          env={**os.environ, "TSHARK": str(script)})
    assert made.stdout == page_of("facetime-caller")


def test_one_call(report):
    capture = support.TEST_CAPTURES / "facetime-dropmidcall.pcapng"
    page = Page(report(capture, "--call", "2").stdout)
    assert page.count("section", id="call-2") == 1 and page.count("section", id="call-1") == 0


def test_errors_are_their_senders(tool):
    """The device itself says by ICMP that its port is closed; what comes from others' addresses may be a router's."""
    call = {"streams": [], "remote": "198.51.100.20:16402", "local": "192.168.1.10:16402", "pairs": []}
    ends = importlib.import_module(tool.ladders.__module__).Ends(call, [{"paths": [{"server": "17.155.5.251:16385"}]}])
    def between(source, target):
        return ends.between({"source": source, "destination": target, "protocols": "raw:ip:icmp:ip:udp:data"})
    assert between("192.168.1.10", "17.155.5.251") == ("Device", "Relay")
    assert between("192.168.1.10", "198.51.100.20") == ("Device", "Peer")
    assert between("198.51.100.20", "192.168.1.10") == ("Network", "Device")
    assert between("203.0.113.1", "192.168.1.10") == ("Network", "Device")


def arrows(page):
    """[(label, times, first frame, last frame)] of the ladders' pictures."""
    told = [re.sub("<.*?>", "", text) for picture in re.findall('<svg class="wide".*?</svg>', page, re.S)
            for text in re.findall('<text class="over".*?>(.*?)</text>', picture)]
    found = [re.fullmatch(r"(.*?)(?: × (\d+))? +· -?\d+\.\d{3} s · (\d+)(?:–(\d+))?", text) for text in told]
    assert all(found), told
    return [(m[1], int(m[2] or 1), int(m[3]), int(m[4] or m[3])) for m in found]


def test_ladder_is_a_screen_in_words(page_of):
    """Frames as docs/report.md has them (1.1 to 1.57); media by what begins and moves; each message by its name."""
    found = arrows(page_of("facetime-caller"))
    assert len(found) <= 40
    wanted = [("NAT report", 1, 39, 39), ("Allocate", 1, 60, 60), ("HTTP check", 1, 64, 64), ("HTTP check answered", 1, 68, 68),
              ("Allocated", 1, 82, 82), ("Bind channel", 2, 121, 156), ("Check", 3, 122, 142), ("Channel bound", 1, 158, 158),
              ("Check, nominated", 1, 164, 164), ("INVITE", 1, 169, 169), ("100 Trying", 1, 170, 170),
              ("180 Ringing", 1, 171, 171), ("200 OK (INVITE)", 1, 172, 172), ("ACK", 1, 173, 173),
              ("Check, nominated", 1, 283, 283), ("Media changes path", 1, 300, 300), ("Media changes path", 1, 301, 301),
              ("BYE", 1, 5786, 5786), ("200 OK (BYE)", 1, 5790, 5790), ("Refresh", 1, 5791, 5791)]
    assert [arrow for arrow in found if arrow in wanted] == wanted
    begins = [label for label, *_ in found if label.startswith("First ")]
    assert sorted(begins) == ["First audio in", "First audio out", "First video in", "First video out"]
    modern = {label for label, *_ in arrows(page_of("modern-call"))}
    assert {"Relay ready", "Connection data", "Check", "Check answered", "Direct path 0x0005", "Round-trip time"} <= modern
    assert not any(re.search(r"[=|]|\d\.\d+\.\d", label) for label in modern | {label for label, *_ in found})


def test_ladder_folds(tool):
    """Checks on pairs in turn are an arrow each way; another way, or a word of media's, is an arrow of its own."""
    module = importlib.import_module(tool.ladders.__module__)
    ladder = module.Ladder(module.Ends({"streams": [], "remote": "198.51.100.20:1", "local": "192.0.2.1:1", "pairs": []}, []))
    packets = [("stun", "direct", "Check")] * 3 + [
        ("stun", "relay", "Check"), ("sip", "relay", "INVITE"), ("rtp", "relay", "Media changes path"),
        ("rtp", "relay", "Media changes path"), ("stun", "direct", "Check, nominated"), ("stun", "direct", "Check")]
    for number, (kind, path, label) in enumerate(packets, 1):
        ladder.add({"frame": number, "epoch": number, "link_type": 1, "protocols": "ip:udp", "source": "192.0.2.1",
                    "destination": "198.51.100.20", "kind": kind, "path": path, "label": label})
    assert [(a["label"], a["relayed"], a["count"], a["frame"], a["last"]) for a in ladder.arrows] == [
        ("Check", False, 4, 1, 9), ("Check", True, 1, 4, 4), ("INVITE", True, 1, 5, 5), ("Media changes path", True, 1, 6, 6),
        ("Media changes path", True, 1, 7, 7), ("Check, nominated", False, 1, 8, 8)]
    assert all(step["kind"] != "RTP" for step in ladder.steps)


def hostile_call(text):
    """A call's object with this text wherever a stranger's may stand."""
    return {"schema": 1, "call": 1, "generation": "legacy", "start": 0.0, "duration": 1.0, "first_frame": 1, "last_frame": 9,
            "packets": 9, "local": text, "remote": text, "state": text, "start_time": None, "end": text,
            "paths": [{"path": "relay", "packets": 3, "first_frame": 1, "last_frame": 9}],
            "streams": [{"direction": "out", "codecs": [text], "payload_types": [text], "sender": text}],
            "pairs": [{"local": text, "remote": text, "sent": 1, "answered": 0, "first_frame": 1, "last_frame": 2,
                       "rtt": None, "nominated": False, "media_packets": 0}],
            "addresses": [{"address": text, "what": text, "frame": 2}], "setup": {"invite": {"seconds": 0.0, "frame": 1}},
            "sdp": [{"frame": 1, "role": role, "text": f"o={text}\r\n{text}{role}"} for role in ("offer", "answer")],
            "findings": [{"code": "hung_up", "severity": "note", "text": text, "frames": [1]}],
            "clock": "media",
            "events": [{"frame": 1, "time": 0.0, "event": name, "text": text} for name in ("invite", "handover")]}


def hostile_stream(text):
    return {"call": 1, "payload_types": [text], "ssrc": 7, "direction": "out", "medium": "video", "codecs": [text], "packets": 1, "lost": 0,
            "loss_bursts": {"count": 0, "longest": 0}, "copies": 0, "bitrate": 1.0, "frame_rate": None, "freezes": [],
            "jitter": None, "rtt": None, "clock": "media", "first_frame": 1, "last_frame": 2, "start": 0.0, "duration": 1.0,
            "paths": [{"path": "relay", "server": text}],
            "series": [{"t": 0, "packets": 1, "bytes": 9, "copies": 0, "lost": 0, "frames": 1, "rtt": None, "path": "relay"}]}


def hostile_page(tool, tmp_path, text):
    capture = tmp_path / "<b>x.pcap"
    capture.write_bytes(b"")
    signalling = tool.Signalling()
    signalling.take({"frame": 1, "epoch": 1.0, "link_type": 1, "protocols": "eth:ip:udp", "source": "192.0.2.1", "kind": "sip",
                     "path": "relay", "calls": [1], "label": text, "info": text})
    about = {"plugin": "0", "wireshark": text, "first_time": None, "last_time": None,
             "limits": [{"bound": text, "most": 1, "frame": 1, "text": text}]}
    return tool.page(str(capture), about, [hostile_call(text)], [hostile_stream(text)], signalling)


FORGED = "x\n{\"frame\": 99, \"link_type\": 1, \"protocols\": \"\"}\n[\n  {\"plugin\": \"666\"}\n]\r\t</bdi>\n"


def test_a_text_makes_no_row_of_its_own(report, make_capture, tshark):
    """A user's name in a check that has lines in it: 4.0's Info has them as they came, which the border makes U+FFFD; later ones'
    have them escaped."""
    rng, end, far = random.Random(5), ("192.168.1.5", 16402), ("192.0.2.7", 16402)
    wires = [stun.message(stun.BINDING, stun.REQUEST, stun.legacy_txid(stun.BINDING, rng), attributes, legacy_username=named)
             for attributes, named in (([stun.username(1, 2), stun.protocol(1)], True),
                                       ([stun.Attribute(stun.USERNAME, b"honest")], False),
                                       ([stun.Attribute(stun.USERNAME, FORGED.encode())], False))]
    page = report(make_capture([support.Datagram(*end, *far, wire) for wire in wires]))
    assert page.returncode == 0, page.stderr
    rows = [html.unescape(info) for info in re.findall("<bdi>(Binding Request user: .*?)</bdi>", page.stdout, re.DOTALL)][1:]
    escaped = FORGED.translate({ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"})
    told = ["Binding Request user: " + text for text in (re.sub("[\n\r\t]", "\ufffd", FORGED), escaped)]
    assert rows[0] == "Binding Request user: honest" and len(rows) == 2
    assert rows[1] == told[tshark.version[:2] > (4, 0)]
    assert "99" not in re.findall(r'data-frames="(\d+)"', page.stdout)
    assert "666" not in html.unescape(page.stdout).replace(rows[1], "")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts(tool, tmp_path, text):
    made = hostile_page(tool, tmp_path, text)
    page = Page(made)
    harmless(page)
    assert page.count("b") == 0 and len(made) < 400_000
    for hidden in ("\u202e", "\x1b", "\ud800", "\u2028", "\u200f", "\u2066"):
        assert hidden not in made
    made.encode("utf-8")


def test_a_capture_of_many_calls(tool, tmp_path):
    """The page stays one that a browser can open, has the greatest calls, and says of the others that they are left out; what all of
    them can't tell is said once."""
    capture = tmp_path / "many.pcap"
    capture.write_bytes(b"")
    cut = {"code": "capture_cut", "severity": "note", "text": "Packets are cut", "frames": [1]}
    count = tool.MAX_CALLS + 50
    calls = [{**hostile_call("x"), "call": n, "packets": 1 + n % count, "findings": [cut]} for n in range(1, count + 1)]
    about = {"plugin": "0", "wireshark": "0", "first_time": None, "last_time": None}
    made = tool.page(str(capture), about, calls, [], tool.Signalling())
    page = Page(made)
    shown = [a["id"] for tag, a in page.elements if tag == "section" and a.get("id", "").startswith("call-")]
    assert shown == [f"call-{n}" for n in range(50, count)]
    whole = re.sub(r"\s+", " ", "".join(page.texts))
    assert "50 more calls, those of fewest packets," in whole
    assert f"and {tool.MAX_CALLS - 20} more: Packets are cut." in whole


def test_an_hour_is_small(tool, tmp_path):
    """Four streams of a row a second, and as much signalling as a ladder takes."""
    capture = tmp_path / "hour.pcap"
    capture.write_bytes(b"")
    signalling, hour = tool.Signalling(), 3600
    for n in range(2 * tool.MAX_STEPS):
        signalling.take({"frame": n + 1, "epoch": n, "link_type": 1, "protocols": "eth:ip:udp", "source": "192.0.2.1", "kind": "sip",
                         "path": "relay", "calls": [1], "label": f"{n}", "info": "word " * (n % 97)})
    rows = [{"t": t, "packets": 90, "bytes": 90_000 + t, "copies": 0, "lost": t % 7, "frames": t % 31, "rtt": 100 + t % 50, "path": "relay"}
            for t in range(hour)]
    about = {"plugin": "0", "wireshark": "0", "first_time": None, "last_time": None}
    streams = [{**hostile_stream("x"), "ssrc": n, "series": rows, "duration": hour} for n in range(4)]
    made = tool.page(str(capture), about, [{**hostile_call("x"), "duration": hour}], streams, signalling)
    assert 500_000 < len(made) < 1_500_000


@pytest.mark.parametrize("capture, says", [("nowhere.pcap", "cannot read"), (os.fspath(support.TEST_CAPTURES), "cannot read")])
def test_errors_name_what_is_missing(report, capture, says):
    made = report(capture)
    assert made.returncode == 1 and says in made.stderr and "Traceback" not in made.stderr


def test_no_packets(report):
    """Empty, a head without packets, no capture at all: said apart; what a broken file has is told, and that it is broken."""
    whole, file = (support.TEST_CAPTURES / "modern-call.pcapng").read_bytes(), support.stage() / "x.pcap"
    for content, says in ((b"", "which is empty"), (b"hello\n", "is it a capture?"), (whole[:100], "no packets in"),
                          (b"\xd4\xc3\xb2\xa1\2\0\4\0" + 10 * b"\0" + b"\4\0\1\0\0\0", "no packets in")):
        file.write_bytes(content)
        file.chmod(0o644)
        made = report(file)
        assert made.returncode == 1 and says in made.stderr and "Traceback" not in made.stderr, (says, made.stderr)
    file.write_bytes(whole[:len(whole) * 3 // 4 - 5])
    assert 'The file &#34;x.pcap&#34; appears to have been cut short' in report(file).stdout


def test_no_call(report, make_capture):
    made = report(make_capture([support.Datagram("192.0.2.1", 5353, "192.0.2.2", 53, b"no call")]))
    assert made.returncode == 1 and "no FaceTime call" in made.stderr


# In a browser: one start for all of it

@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not BROWSER:
        pytest.skip("no chromium here")
    with Browser(BROWSER, tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(params=["facetime-caller", "modern-call"])
def opened(request, browser, page_of, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_of(request.param), encoding="utf-8")
    browser.media()
    browser.width(1280)
    browser.open(page.as_uri())
    return browser


PLOT = "document.querySelector('.live:not([hidden])')"
needs_dygraphs = pytest.mark.skipif(not pathlib.Path("/usr/share/javascript/dygraphs").is_dir(), reason="no libjs-dygraphs here")


def shown(browser):
    """The label of each plot's x axis: what part of the call it shows."""
    return browser.ask(f"[...document.querySelectorAll('.live:not([hidden])')].map(p => [...p.querySelectorAll("
                       "'.dygraph-axis-label-x')].map(l => l.textContent).join(' '))")


def test_browser_draws_all_and_loads_nothing(opened):
    assert opened.console == [] and len(opened.requests) == 1 and opened.requests[0].startswith("file:")
    wide, ladder = opened.ask("[document.querySelectorAll('svg.wide .arrow').length, document.querySelectorAll('svg.wide').length]")
    assert ladder == 1 and wide >= 5
    plots, lines = opened.ask("[document.querySelectorAll('.live').length, document.querySelectorAll('svg.still .line').length]")
    assert plots == lines > 0
    assert opened.ask("[...document.querySelectorAll('svg.still .line')].every(l => l.getTotalLength() > 0)")


def test_browser_numbers_of_marks_lie_apart(opened):
    opened.ask("document.querySelectorAll('details').forEach(d => d.open = true)")
    lines = opened.ask("[...document.querySelectorAll('svg')].map(s => s.querySelectorAll('line.mark').length)")
    assert max(lines) >= 3
    assert opened.ask("""[...document.querySelectorAll('svg')].filter(s => s.querySelector('line.mark')).every(s => {
        const boxes = [...s.querySelectorAll('line.mark + text')].map(t => t.getBBox());
        return boxes.length && boxes.every((a, i) => boxes.slice(i + 1).every(b => a.x + a.width <= b.x));
    })""")


@needs_dygraphs
def test_browser_hover_and_zoom(opened):
    opened.ask("document.querySelectorAll('details').forEach(d => d.open = true)")
    opened.ask("new Promise(done => setTimeout(done, 50))")
    assert opened.ask("[...document.querySelectorAll('.live')].every(p => p.querySelector('canvas'))"), "drawn when unfolded"
    opened.ask(f"{PLOT}.scrollIntoView({{block: 'center'}})")
    left, top, width, height = opened.ask(f"(r => [r.x, r.y, r.width, r.height])({PLOT}.getBoundingClientRect())")
    across = lambda part: left + width * part          # noqa: E731
    middle = top + height / 2
    opened.mouse("mouseMoved", across(.5), middle)
    assert "bit rate" in opened.ask(f"{PLOT}.querySelector('.dygraph-legend').textContent"), "hovering says the value"
    whole = shown(opened)
    opened.mouse("mousePressed", across(.3), middle, button="left", clickCount=1, buttons=1)
    for part in (.4, .5, .6):
        opened.mouse("mouseMoved", across(part), middle, button="left", buttons=1)
    opened.mouse("mouseReleased", across(.6), middle, button="left", clickCount=1)
    zoomed = shown(opened)
    assert all(a != b for a, b in zip(whole, zoomed)), "dragging zooms all plots of the call"
    opened.ask(f"{PLOT}.focus()")
    opened.key("Escape")
    assert shown(opened) == whole
    opened.key("+")
    assert all(a != b for a, b in zip(whole, shown(opened))), "so does a key"


def test_browser_dark_narrow_and_printed(opened):
    colours = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    light = opened.ask(colours)
    opened.media(scheme="dark")
    assert opened.ask(colours) == ["rgb(232, 232, 238)", "rgb(23, 23, 27)"] != light
    opened.width(400)
    opened.ask("new Promise(done => setTimeout(done, 300))")       # plots are drawn anew
    assert opened.ask("document.documentElement.scrollWidth") <= 400, "wide things scroll in a box of their own"
    opened.media(kind="print", scheme="light")
    assert opened.ask("getComputedStyle(document.querySelector('svg.still')).display") == "block"
    assert opened.ask("[...document.querySelectorAll('.live')].every(p => getComputedStyle(p).display === 'none')")
    opened.media()
    printed = opened.pdf()
    assert printed.startswith(b"%PDF") and len(printed) > 30_000
    assert opened.ask("[...document.querySelectorAll('details')].every(d => d.open)"), "paper has no folds"
    assert opened.console == []


def test_frame_numbers_are_filters(opened):
    opened.ask("document.querySelector('button.f').click()")
    assert re.search(r"frame\.number in \{\d+(\.\.\d+)?\}$", opened.ask("document.getElementById('copied').textContent"))


def test_hostile_page_runs_nothing(browser, tool, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(hostile_page(tool, tmp_path, "".join(text for text in HOSTILE if len(text) < 100)), encoding="utf-8")
    browser.open(page.as_uri())
    assert browser.console == [] and len(browser.requests) == 1
    assert browser.ask("document.querySelectorAll('img, [onmouseover], [onload], [onerror]').length") == 0
