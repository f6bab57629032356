# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/report.md, row by row: what each filter and tap finds, against the page, and the page against the generator.

The packets that a row must name are worked out below from what the generator knows it wrote (EXPECTED): from its
landmarks, and from the truth about its frames. So a number can't be pasted into the page from the plugin's output.
"""

import collections
import functools
import re
import shlex
import struct

import pytest

import generate
import support

PAGE = support.ROOT / "docs" / "report.md"
SESSIONS = ("facetime-caller", "facetime-callee", "facetime-samenet", "facetime-samenet-nop2p", "facetime-dropmidcall")
CLIENT, SECOND, PEER, PEER_HOST = "172.16.42.187", "172.16.42.185", "71.230.89.52", "192.168.42.25"
RELAY = "17.155.5.251"


# --- the page ------------------------------------------------------------------------------------------------------

Row = collections.namedtuple("Row", "number section captures says finder frames")


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_page():
    """The rows of all tables: a section's title names its capture, or the table has a column for it."""
    rows, section, columns = [], "", None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section, columns = line[3:], None
        elif not line.startswith("|"):
            columns = None
        elif columns is None:
            columns = cells(line)
        elif not line.startswith("|---") and "Filter or tap" in columns:
            row = dict(zip(columns, cells(line), strict=True))
            named = row.get("Capture", section)
            captures = SESSIONS if named == "all five" else re.findall(r"`(facetime-[a-z0-9-]+)`", named)
            rows.append(Row(row["#"], section, tuple(captures), row["The report says"],
                            row["Filter or tap"].strip("`"), row["Frames"]))
    return rows


ROWS = read_page()
each_row = pytest.mark.parametrize("row", [pytest.param(row, id=row.number) for row in ROWS])


MANY = 12


def shown(numbers):
    """As the page writes them: "60, 82", or "175-279 (105)" where they are many; "none"; a call's "9600-9972"."""
    if len(numbers) > MANY:
        return f"{numbers[0]}-{numbers[-1]} ({len(numbers)})"
    return ", ".join("-".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in numbers) or "none"


# --- what the generator wrote --------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def frames(name):
    """The truth about each frame, and its bytes."""
    cap = generate.build(name)
    return [{**frame, "bytes": cap.packets[number - 1][1]} for number, frame in cap.truth.items()]


def where(*tests):
    """The frames of which all tests are true."""
    return lambda name: [f["number"] for f in frames(name) if all(test(f) for test in tests)]


def marked(*landmarks):
    return lambda name: sorted(generate.build(name).landmarks[landmark] for landmark in landmarks)


def group(title):
    return lambda name: generate.build(name).groups[title]


def span_of_call(number):
    """First and last packet of a call, as a table of calls has them."""
    def span(name):
        numbers = where(call(number))(name)
        return [(numbers[0], numbers[-1])]
    return span


def stun(method, cls=None):
    def test(f):
        message = f.get("stun") or {}
        return message.get("method") == method and cls in (None, message["class"])
    return test


def attributes(*numbers):
    return lambda f: set(numbers) <= set((f.get("stun") or {}).get("attributes", ()))


def unanswered(*tests):
    """STUN requests that all tests are true of and that nobody answers."""
    def find(name):
        answered = {f["stun"]["txid"] for f in frames(name) if f.get("stun") and f["stun"]["class"] != "request"}
        return where(*tests, lambda f: f.get("stun") and f["stun"]["txid"] not in answered)(name)
    return find


def sip(method, status=None):
    return lambda f: (f.get("sip") or {}).get("method") == method and f["sip"]["status"] == status


def sdp(*lines):
    """An SDP with a line that begins so, for each."""
    def test(f):
        message = f.get("sip") or {}
        return message.get("content_type") == "application/sdp" and all(
            any(line.startswith(start) for line in message["body"].split("\r\n")) for start in lines)
    return test


def payload_type(number):
    return lambda f: (f.get("rtp") or {}).get("pt") == number


def rtcp(*types):
    return lambda f: set(types) <= set((f.get("rtcp") or {}).get("types", ()))


def src(address):
    return lambda f: f.get("src", [None])[0] == address


def dst(address):
    return lambda f: f.get("dst", [None])[0] == address


def port(number):
    return lambda f: number in (f.get("src", [0, 0])[1], f.get("dst", [0, 0])[1])


def is_one_of(key, *values):
    return lambda f: f.get(key) in values


def kind(name):
    return is_one_of("kind", name)


def path(name):
    return is_one_of("path", name)


def call(number):
    return is_one_of("call", number)


def event(*names):
    """events.py has the rule for each."""
    return lambda f: bool(set(names) & set(f["events"]))


def after(number):
    return lambda f: f["number"] > number


def before(number):
    return lambda f: f["number"] < number


def contains(data):
    return lambda f: data in f["bytes"]


def negate(test):
    return lambda f: not test(f)


def in_channel(f):
    return bool(f.get("channel"))


def to_apple(f):
    return f.get("dst", [""])[0].startswith("17.")


def tcp(number=None):
    """From the bytes: a TCP segment, of that port."""
    def test(f):
        return f["bytes"][23] == 6 and number in (None, *struct.unpack_from("!HH", f["bytes"], 34))
    return test


def dtls(f):
    """From the bytes: a datagram, or what is in ChannelData, that begins like a DTLS record (RFC 7983)."""
    data = f["bytes"][42:] if f["bytes"][23] == 17 else b""
    data = data[4:] if data[:1] and 0x40 <= data[0] < 0x50 else data
    return data[:1] != b"" and 20 <= data[0] <= 63 and data[1:2] == b"\xfe"


def both(*finders):
    """The frames that any of these finds."""
    return lambda name: sorted(number for find in finders for number in find(name))


def first_direct_media(name):
    """Of each end."""
    return sorted(where(kind("rtp"), path("direct"), is_one_of("sender", sender))(name)[0]
                  for sender in ("client", "peer"))


REQUEST, SUCCESS = "request", "success"
EXPECTED = {
    # summary
    "0.1": where(port(16402)),
    "0.2": where(kind("sip")),
    "0.3": where(dtls),
    "0.4": where(sdp("a=rtpmap:123 H264", "a=rtpmap:100 HEVC")),
    "0.5": where(payload_type(100)),
    "0.6": where(payload_type(104)),
    "0.7": marked("http get", "connectivity answer"),

    # session 1: the local client calls
    "1.1": marked("allocate request"),
    "1.2": marked("allocate request", "allocate response"),
    "1.3": where(kind("turn"), attributes(0x0006)),
    "1.4": both(where(attributes(0x0014)), where(attributes(0x0015))),
    "1.5": marked("allocate response"),
    "1.6": marked("signalling received", "signalling acked"),
    "1.7": marked("channel bind", "channel bind again"),
    "1.8": marked("early check", "check again", "check once more"),
    "1.9": marked("early check"),
    "1.10": marked("early check", "check again", "check once more"),
    "1.11": marked("check again", "check once more"),
    "1.12": marked("channel bind again"),
    "1.13": marked("channel bound"),
    "1.14": marked("check answered"),
    "1.15": where(in_channel, src(RELAY), stun("binding", SUCCESS)),
    "1.16": where(attributes(0x8001, 0x8003, 0x8004, 0x8005, 0x8009)),
    "1.17": marked("check of local address"),
    "1.18": marked("check of local address"),
    "1.19": marked("peer's check"),
    "1.20": marked("nomination on the relay"),
    "1.21": marked("invite"),
    "1.22": where(kind("sip"), contains(b"\r\nv: SIP/2.0/UDP")),
    "1.23": marked("invite", "ok"),
    "1.24": where(sdp("o=GKVoiceChatService 0 0 IN IP4 71.15.163.132")),
    "1.25": where(sdp("a=X_FLS:123 FLS;", "a=DMBR", "a=CAP")),
    "1.26": where(sdp("a=rtpID:1911967383", "a=rtpID:2853556652")),
    "1.27": where(sdp("a=imageattr:123 send [x=")),
    "1.28": where(sdp("a=imageattr:100 recv [x=320,y=240,fps=15,i=1]")),
    "1.29": marked("trying", "ringing", "ok"),
    "1.30": marked("ack"),
    "1.31": where(sdp(), lambda f: "x=1280" in f["sip"]["body"]),
    "1.32": where(sdp("m=audio 16402 RTP/AVP 104 105 106 9 0 ", "a=rtpmap:126 X-H264")),
    "1.33": marked("invite", "ok"),
    "1.34": where(sdp("b=AS:2000:2000")),
    "1.35": where(sdp("a=fmtp:AAC ")),
    "1.36": where(kind("rtp"), in_channel, before(280)),
    "1.37": both(where(sdp("a=fingerprint")), where(sdp("a=crypto"))),
    "1.38": marked("direct check of the peer"),
    "1.39": marked("direct check answered"),
    "1.40": marked("nomination on the direct path"),
    "1.41": where(kind("rtp"), in_channel, after(279)),
    "1.42": marked("direct path confirmed"),
    "1.43": first_direct_media,
    "1.44": where(kind("sip"), after(173), before(5786)),
    "1.45": both(where(src(CLIENT), dst(PEER)), where(src(PEER), dst(CLIENT))),
    "1.46": where(stun("binding", REQUEST), after(299)),
    "1.47": where(payload_type(104)),
    "1.48": where(payload_type(119)),
    "1.49": where(payload_type(123)),
    "1.50": where(kind("rtcp")),
    "1.51": where(rtcp(200, 202)),
    "1.52": marked("bye", "bye answered"),
    "1.53": marked("release"),
    "1.54": where(port(16403)),
    "1.55": where(kind("commnat"), contains(b"\xff" * 4)),
    "1.56": marked("http get"),
    "1.57": marked("connectivity answer"),

    # session 2: the local client is called
    "2.1": where(sip("INVITE"), src(CLIENT)),
    "2.2": where(event("reserved_allocation", "nominated", "path_switch", "call_ended")),
    "2.3": group("checks of the local address"),
    "2.4": where(attributes(0x802A), dst(PEER_HOST)),

    # session 3: two devices in one network
    "3.1": marked("check of public address"),
    "3.2": marked("check of local address 82", "check of local address 101"),
    "3.3": marked("first local answer", "second local answer"),
    "3.4": marked("first allocate"),
    "3.5": marked("first allocate response"),
    "3.6": where(stun("binding", SUCCESS)),
    "3.7": marked("second allocate"),
    "3.8": marked("nomination"),
    "3.9": marked("first release"),
    "3.10": marked("second bind"),
    "3.11": marked("mismatch", "second mismatch"),
    "3.12": marked("second release"),
    "3.13": group("checks of the public address"),
    "3.14": marked("invite", "ack"),

    # session 4: the same, with direct packets blocked
    "4.1": unanswered(stun("binding", REQUEST), dst(SECOND)),
    "4.2": marked("check of public address"),
    "4.3": marked("unreachable"),
    "4.4": where(stun("binding"), to_apple, negate(in_channel)),
    "4.5": marked("first allocate", "first allocate response"),
    "4.6": marked("second allocate", "second allocate response"),
    "4.7": marked("first allocate response", "second allocate response"),
    "4.8": marked("first bind"),
    "4.9": where(stun("create-permission")),
    "4.10": marked("second bind"),
    "4.11": marked("second bind again"),
    "4.12": marked("second bind response"),
    "4.13": where(in_channel, src(SECOND), before(589)),
    "4.14": marked("release"),
    "4.15": marked("check that gets through", "its answer"),
    "4.16": both(where(src(CLIENT), dst(SECOND)), where(src(SECOND), dst(CLIENT))),
    "4.17": marked("hole"),
    "4.18": where(kind("rtp"), path("direct")),

    # session 5: the direct path is blocked in the middle of the call
    "5.1": first_direct_media,
    "5.2": where(src(PEER), after(6213)),
    "5.3": marked("sent over the relay too"),
    "5.4": where(is_one_of("channel", 0x4002), after(150), before(6900)),
    "5.5": marked("allocate"),
    "5.6": marked("release"),
    "5.7": where(in_channel, call(1), after(150)),
    "5.8": where(lambda f: (f.get("rtp") or {}).get("seq") == 51593),
    "5.9": where(lambda f: "copy_of" in f),
    "5.10": where(call(1), dst(CLIENT), after(6216)),
    "5.11": where(tcp(5223), after(6216), before(9598)),
    "5.12": marked("bye 1"),
    "5.13": marked("bye 1"),
    "5.14": marked("bye 2", "bye 3", "bye 4"),
    "5.15": marked("bye 4"),
    "5.16": marked("restart"),
    "5.17": where(call(2), lambda f: "binds" in f),
    "5.18": unanswered(call(2), path("direct")),
    "5.19": span_of_call(2),

    # conclusions
    "6.1": where(stun("binding", REQUEST), src(CLIENT)),
    "6.2": marked("check of public address", "check of local address 82", "check of local address 101"),
    "6.3": where(stun("binding"), to_apple, negate(in_channel)),
    "6.4": marked("allocate request", "allocate response"),
    "6.5": lambda name: [f["number"] for f in frames(name) if in_channel(f)
                         and f["number"] < where(stun("channel-bind", SUCCESS))(name)[0]],
    "6.6": marked("second bind again"),
    "6.7": both(where(dtls), where(tcp(), contains(b"\x21\x12\xa4\x42"))),
    "6.8": lambda name: [where(call(number), attributes(0x0006))(name)[0] for number in (1, 2)],
    "6.9": where(kind("sip"), lambda f: f["sip"]["status"] is None),
}


# --- the tests -----------------------------------------------------------------------------------------------------

def test_page_has_the_rows():
    numbers = [row.number for row in ROWS]
    assert len(numbers) >= 60
    assert numbers == list(EXPECTED)
    for row in ROWS:
        assert row.captures and set(row.captures) <= set(SESSIONS), row.number


@each_row
def test_page_says_what_the_generator_wrote(row):
    for name in row.captures:
        assert row.frames == shown(EXPECTED[row.number](name)), name


@each_row
def test_filter_finds_it(row, tshark):
    for name in row.captures:
        capture = support.TEST_CAPTURES / generate.file_name(name)
        if row.finder.startswith("-z "):
            found = reported(tshark.text(capture, "-q", *shlex.split(row.finder), two_pass=True))
        else:
            found = tshark.frames(capture, row.finder, two_pass=True)
        assert found == EXPECTED[row.number](name), name


def reported(text):
    """The packets in a timeline, or first and last packet of each call in a table of calls."""
    if text.lstrip().startswith("FaceTime timeline"):
        return sorted({int(n) for n in re.findall(r"^ *(\d+) +\d+\.\d+  ", text, re.MULTILINE)})
    return [(int(a), int(b)) for a, b in re.findall(r"^ *\d+ +\w+ +[\d.]+ +[\d.]+ +(\d+)-(\d+) ", text, re.MULTILINE)]


@pytest.mark.parametrize("name", SESSIONS)
def test_every_packet_that_the_report_numbers_is_on_the_page(name):
    """The generator marks them with a comment, `report: ...`."""
    numbered = {n for n, comment in generate.build(name).comments.items() if comment.startswith("report:")}
    on_page = set()
    for row in ROWS:
        if name in row.captures:
            on_page |= {int(n) for n in re.findall(r"\d+", re.sub(r"\(.*", "", row.frames))}
    assert numbered <= on_page
    assert numbered or name == "facetime-callee"     # of session 2 the report gives no numbers


def test_candidate_ids_in_the_filters_are_those_of_the_check():
    """1.14 and 1.18 spell out the halves of packet 122's USERNAME."""
    fields = generate.build("facetime-caller").truth[122]["fields"]
    client, peer = (f"{fields['gkstun.username.' + half][0]:#018x}" for half in ("source", "destination"))
    finders = {row.number: row.finder for row in ROWS}
    assert peer in finders["1.14"]
    assert finders["1.18"].count(client) == 2
