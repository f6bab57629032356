# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP and SDP: inflating, Apple's lines, key exchange, and what a hostile body may cost."""

import gzip
import itertools
import re
import zlib

import pytest

import support
from support import Datagram
from wire import rtp, sip as wire_sip

A, B, C = ("192.168.1.5", 16402), ("192.168.1.9", 16402), ("192.168.1.11", 16402)
SIP = "3"                                      # facetime.kind
NONE, ZLIB, RAW, GZIP = "0", "1", "2", "3"     # facetime_sip.coding
SEND, RECV = "1", "2"                          # facetime_sdp.imageattr.direction
AUDIO, VIDEO = 1911967383, 2853556652          # rtpIDs of the report's offer

OFFER = wire_sip.sdp(wire_sip.OFFER_2015, ("71.15.163.132", 16402), AUDIO, VIDEO)
ANSWER = wire_sip.sdp(wire_sip.ANSWER_2015, ("71.230.89.52", 16402), 3323451416, 3201069193)
OFFER_2010 = wire_sip.sdp(wire_sip.OFFER_2010, ("192.168.20.198", 16402), 1261706994, 1085110790)
SMALL = b"v=0\r\no=GKVoiceChatService 0 0 IN IP4 192.0.2.1\r\ns=mobile\r\nt=0 0\r\na=rtpID:7\r\na=DMBR\r\n"

ids = itertools.count(1)


def raw_deflate(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


def message(body=b"", method="INVITE", headers=None, answer=False, **changes):
    """One SIP message. headers: in place of the usual ones; changes: by header name, "_" for "-", None for
    no such header."""
    number = next(ids)
    start = "SIP/2.0 200 OK" if answer else f"{method} sip:user@192.0.2.1:16402 SIP/2.0"
    if headers is None:
        headers = {"Via": f"SIP/2.0/UDP 192.0.2.2:16402;branch=z9hG4bK{number:016x}", "Max-Forwards": "70",
                   "To": "<sip:user@192.0.2.1:16402>", "From": "<sip:user@192.0.2.2:16402>;tag=1",
                   "Call-ID": f"{number}@192-0-2-2", "CSeq": f"1 {method}", "User-Agent": "Viceroy 1.7.0/GK",
                   "Content-Type": "application/sdp", "Content-Encoding": "deflate",
                   "Content-Length": str(len(body))}
    headers = headers | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [start] + [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def plain(body, **changes):
    return message(body, Content_Encoding=None, **changes)


def datagram(payload, source=A, destination=B):
    return Datagram(*source, *destination, payload)


class Cases:
    """Named packets in one capture."""

    def __init__(self, tshark, make_capture, payloads, fields, **how):
        self.names = list(payloads)
        self.path = make_capture([datagram(payload) for payload in payloads.values()])
        rows = tshark.rows(self.path, "frame.protocols", "_ws.expert.message", *fields, **how)
        assert len(rows) == len(payloads)
        self.rows = dict(zip(self.names, rows))

    def __getitem__(self, name):
        return self.rows[name]

    def frame(self, name):
        return self.names.index(name) + 1

    def layers(self, name):
        return self.rows[name]["frame.protocols"][0].split(":")


SDP_FIELDS = [
    "sip.Method", "sip.Call-ID", "sdp.version", "sdp.owner.username", "sdp.media.port",
    "facetime.kind", "facetime.event", "facetime_sip.coding", "facetime_sip.inflated_length",
    "facetime_sip.viceroy", "facetime_sdp.line", "facetime_sdp.user",
    "facetime_sdp.bandwidth.answer", "facetime_sdp.bandwidth.max", "facetime_sdp.rtpid",
    "facetime_sdp.audio_unit",
    "facetime_sdp.dmbr", "facetime_sdp.cap", "facetime_sdp.features.payload_type", "facetime_sdp.feature",
    "facetime_sdp.media.payload_type", "facetime_sdp.media.codec",
    "facetime_sdp.fmtp.payload_type", "facetime_sdp.fmtp.format", "facetime_sdp.block", "facetime_sdp.sbr",
    "facetime_sdp.secondary", "facetime_sdp.imagesize", "facetime_sdp.imagesize.send_fps",
    "facetime_sdp.imagesize.recv_width", "facetime_sdp.imageattr.payload_type",
    "facetime_sdp.imageattr.direction",
    "facetime_sdp.imageattr.width", "facetime_sdp.imageattr.height", "facetime_sdp.imageattr.fps",
    "facetime_sdp.imageattr.interface", "facetime_sdp.imageattr.preference",
]
EXPERTS = [
    "facetime_sip.inflate_limit", "facetime_sip.inflate_corrupt", "facetime_sip.inflate_truncated",
    "facetime_sip.inflate_trailing", "facetime_sip.not_compressed", "facetime_sip.unlabelled_compression",
    "facetime_sip.content_length", "facetime_sip.no_header_end", "facetime_sip.bad_skeseq",
    "facetime_sip.cut", "facetime_sip.trailing",
    "facetime_sdp.apple_way", "facetime_sdp.bad_value", "facetime_sdp.too_long", "facetime_sdp.cut_line",
]


def experts(row):
    return {name for name in EXPERTS if row[name]}


# The SDP bodies of the report

@pytest.fixture(scope="module")
def bodies(tshark, make_capture):
    return Cases(tshark, make_capture, {
        "offer": message(zlib.compress(OFFER)),
        "answer": message(zlib.compress(ANSWER), answer=True),
        "2010": plain(OFFER_2010, User_Agent="Viceroy 1.4.1"),
    }, SDP_FIELDS + EXPERTS)


FEATURES_123 = ["VRA:0", "MVRA:0", "RVRA1:1", "AS:2", "MS:-1", "LTR", "CABAC", "CR:3", "LF:-1", "PR",
                "AR:4/3,3/4", "XR"]
FEATURES_100 = ["RVRA1:0", "PR", "LF:-1", "CR:1", "CF:2", "AR:4/3,3/4", "XR"]
TRUE = "1", "True"


@pytest.mark.parametrize("field, values", [
    ("facetime_sip.coding", [ZLIB]),
    ("facetime_sip.inflated_length", [str(len(OFFER))]),
    ("facetime_sip.viceroy", ["1.7.0/GK"]),
    ("sdp.owner.username", ["GKVoiceChatService"]),
    ("sdp.media.port", ["16402", "16402"]),
    ("facetime_sdp.user", ["mobile"]),
    ("facetime_sdp.bandwidth.answer", []),
    ("facetime_sdp.bandwidth.max", ["2000"]),
    ("facetime_sdp.rtpid", ["1911967383", "2853556652"]),
    ("facetime_sdp.audio_unit", ["65792"]),
    ("facetime_sdp.features.payload_type", ["126", "123", "100"]),
    ("facetime_sdp.feature", FEATURES_123 + FEATURES_123 + FEATURES_100),
    ("facetime_sdp.media.payload_type",
     ["104", "105", "106", "9", "0", "124", "122", "121", "119", "126", "123", "100"]),
    ("facetime_sdp.media.codec",    # 124, 122 and 121 have no known name
     ["AAC-ELD", "X-AAC_ELD", "AAC-ELD", "G722", "PCMU", "Opus", "X-H264", "H264", "HEVC"]),
    ("facetime_sdp.fmtp.payload_type",
     ["104", "104", "105", "106", "122", "121", "119", "126", "123", "100"]),
    ("facetime_sdp.block", ["480"] * 4),
    ("facetime_sdp.imagesize", ["0"] * 3),
    ("facetime_sdp.imagesize.send_fps", ["15"] * 3),
    ("facetime_sdp.imagesize.recv_width", ["320"] * 3),
    ("facetime_sdp.imageattr.payload_type", ["126", "123", "100"]),
    ("facetime_sdp.imageattr.direction", [SEND] * 5 + [RECV] * 4 + [SEND] * 6 + [RECV] * 5 + [RECV]),
    ("facetime_sdp.imageattr.width",
     ["320", "480", "640", "1024", "1280", "320", "640", "1024", "1280",
      "320", "480", "640", "1024", "1280", "320", "320", "640", "1024", "1280", "320", "320"]),
    ("facetime_sdp.imageattr.height",
     ["240", "368", "480", "768", "720", "240", "480", "768", "720",
      "240", "368", "480", "768", "720", "240", "240", "480", "768", "720", "240", "240"]),
    ("facetime_sdp.imageattr.fps",
     ["30"] * 5 + ["15", "30", "30", "30"] + ["30"] * 5 + ["15"] + ["15", "30", "30", "30", "15"] + ["15"]),
    ("facetime_sdp.imageattr.interface", ["1", "1", "1"]),
    ("facetime_sdp.imageattr.preference", ["1", "1"]),
])
def test_offer(field, values, bodies):
    assert bodies["offer"][field] == values


def test_codecs_without_rtpmap_say_how_sure_they_are(tshark, bodies):
    """What 119 was in 2015 nobody knows; 104 and 105 are AAC by their a=fmtp."""
    def shown(name):
        packet = tshark.pdml(bodies.path)[bodies.frame(name) - 1]
        return {field.get("show"): field.get("showname")
                for field in packet.iterfind(".//field[@name='facetime_sdp.media.codec']")}
    offer, old = shown("offer"), shown("2010")
    assert {name for name, text in offer.items() if "inferred" in text} == {"Opus"}
    assert {name for name, text in offer.items() if "a=rtpmap)" in text and "no a=rtpmap)" not in text} == {
        "X-H264", "H264", "HEVC"}
    assert {name for name, text in offer.items() if "static" in text} == {"G722", "PCMU"}
    assert all("(a=rtpmap)" in text for text in old.values())


@pytest.mark.parametrize("field, count", [("dmbr", 1), ("cap", 1), ("sbr", 3), ("secondary", 4)])
def test_flags_of_the_offer(field, count, bodies):
    values = bodies["offer"][f"facetime_sdp.{field}"]
    assert len(values) == count and set(values) <= set(TRUE)


@pytest.mark.parametrize("field, values", [
    ("facetime_sip.inflated_length", [str(len(ANSWER))]),
    ("facetime_sdp.bandwidth.answer", ["2000"]),
    ("facetime_sdp.bandwidth.max", ["2000"]),
    ("facetime_sdp.rtpid", ["3323451416", "3201069193"]),
    ("facetime_sdp.features.payload_type", ["123", "100"]),
    ("facetime_sdp.media.payload_type", ["104", "106", "121", "122", "119", "123", "100"]),
    ("facetime_sdp.fmtp.format", ["AAC"]),
    ("facetime_sdp.imageattr.direction", [SEND, SEND, RECV, RECV]),
    ("facetime_sdp.imageattr.width", ["1024", "320", "1024", "320"]),
    ("facetime_sdp.imageattr.interface", ["1", "1"]),
    ("sdp.owner.username", ["GKVoiceChatService"]),
])
def test_answer(field, values, bodies):
    assert bodies["answer"][field] == values


@pytest.mark.parametrize("field, values", [
    ("facetime_sip.coding", [NONE]),
    ("facetime_sip.inflated_length", []),
    ("facetime_sip.viceroy", ["1.4.1"]),
    ("facetime_sdp.bandwidth.max", ["250"]),
    ("facetime_sdp.feature", ["VRA:0", "RVRA:1", "AS:2"]),
    ("facetime_sdp.features.payload_type", ["126"]),
    ("facetime_sdp.fmtp.format", ["AAC"]),
    ("facetime_sdp.fmtp.payload_type", ["34", "126", "123"]),
    ("facetime_sdp.imagesize", ["0", "0", "0"]),
    ("facetime_sdp.imagesize.send_fps", ["15", "15"]),
    ("facetime_sdp.media.codec", ["X-AAC_ELD", "PCMU", "H264", "X-H264", "H263"]),
    ("facetime_sdp.rtpid", ["1261706994", "1085110790"]),
])
def test_offer_of_2010(field, values, bodies):
    assert bodies["2010"][field] == values


@pytest.mark.parametrize("field, values", [
    ("facetime_sdp.hwi.cpu", ["17412"]),
    ("facetime_sdp.hwi.cores", ["2"]),
    ("facetime_sdp.hwi.mhz", ["2800"]),
    ("facetime_sdp.rtcp.audio_port", ["16402"]),
    ("facetime_sdp.rtcp.video_port", ["16402"]),
])
def test_ichat_lines(field, values, bodies, tshark):
    assert tshark.values(bodies.path, field) == values


@pytest.mark.parametrize("filter", ["facetime_sdp.multipoint == 1", "facetime_sdp.ichat_encryption == 1",
                                    "facetime_sdp.bandwidth_detection == 0"])
def test_ichat_flags(filter, bodies, tshark):
    assert tshark.frames(bodies.path, filter) == [bodies.frame("2010")]


@pytest.mark.parametrize("name, text", [("offer", OFFER), ("answer", ANSWER), ("2010", OFFER_2010)],
                         ids=["offer", "answer", "2010"])
def test_every_line_is_readable(name, text, bodies, tshark):
    """In stock SDP ("Media Attribute (a): ...") or in FaceTime's lines."""
    shown = tshark.text(bodies.path, "-V", filter=f"frame.number == {bodies.frame(name)}")
    values = {re.sub(r"^.*? \(\w\): ", "", line.strip()) for line in shown.splitlines()}
    for line in text.decode().split("\r\n")[:-1]:
        assert line in bodies[name]["facetime_sdp.line"] or line[2:] in values, line


def test_apples_way_is_not_red(bodies, tshark, stock):
    for name in bodies.names:
        shown = tshark.text(bodies.path, "-V", filter=f"frame.number == {bodies.frame(name)}")
        assert set(re.findall(r"Expert Info \((\w+)/", shown)) <= {"Chat", "Comment"}, name
        assert experts(bodies[name]) == {"facetime_sdp.apple_way"}
    assert not tshark.frames(bodies.path, "_ws.malformed || sdp.invalid_media_format")
    # what stock makes of the same
    red = [bodies.frame("answer"), bodies.frame("2010")]
    assert stock.frames(bodies.path, "sdp.invalid_media_format") == red


def test_departures_are_named(bodies):
    def named(name):
        return [text.removeprefix("Apple's way: ") for text in bodies[name]["_ws.expert.message"]
                if text.startswith("Apple's way: ")]
    assert [text.split()[-1] for text in named("offer")] == ["';'", "a=rtpmap", "type"]
    assert any("b=AS" in text for text in named("answer"))
    assert any("codec's name" in text for text in named("answer"))
    assert not any("a=rtpmap" in text for text in named("2010"))


def test_event_once_a_message(bodies):
    for name in bodies.names:
        assert bodies[name]["facetime.event"].count("nonstandard_sdp") == 1


def test_stock_follows_the_dialog(make_capture, tshark):
    invite = message(zlib.compress(OFFER), Call_ID="one", CSeq="1 INVITE")
    ok = message(zlib.compress(ANSWER), answer=True, Call_ID="one", CSeq="1 INVITE")
    capture = make_capture([datagram(invite), datagram(invite), datagram(ok, B, A)])
    assert tshark.values(capture, "sip.resend-original") == ["1"]
    assert len(tshark.values(capture, "sip.response-request")) == 1
    assert tshark.values(capture, "facetime.kind") == ["3"] * 3
    statistics = tshark.text(capture, "-q", "-z", "sip,stat")
    assert re.search(r"Number of SIP messages: 3\b", statistics)
    assert re.search(r"INVITE\s+: +2 Packets", statistics)


def test_stock_sets_no_media_up_for_the_address_in_sdp(make_capture, tshark, stock):
    """c= lies behind NAT or relay. Stock would take everything that goes there for RTP."""
    rtp = bytes.fromhex("8068000100000001deadbeef") + bytes(40)
    capture = make_capture([datagram(message(zlib.compress(OFFER))),
                            Datagram("203.0.113.5", 40000, "71.15.163.132", 16402, rtp)])
    assert stock.frames(capture, "rtp") == [2]
    assert not tshark.frames(capture, "rtp")


# Codings and headers

WRONG_ADLER = zlib.compress(SMALL)[:-1] + bytes([zlib.compress(SMALL)[-1] ^ 1])
# "v=0\r\n" stored and not final, then a block of type 3, which there isn't
DAMAGED = b"\x00\x05\x00\xfa\xff" + b"v=0\r\n" + b"\x07" + bytes(20)

CODINGS = {
    "none": (plain(SMALL), NONE, set()),
    "zlib": (message(zlib.compress(SMALL)), ZLIB, set()),
    "zlib, quickest": (message(zlib.compress(SMALL, 1)), ZLIB, set()),
    "raw": (message(raw_deflate(SMALL)), RAW, set()),
    "gzip": (message(gzip.compress(SMALL, mtime=0), Content_Encoding="gzip"), GZIP, set()),
    "gzip called deflate": (message(gzip.compress(SMALL, mtime=0)), GZIP, set()),
    "upper case": (message(zlib.compress(SMALL), Content_Encoding="DEFLATE"), ZLIB, set()),
    "with parameters": (message(zlib.compress(SMALL), Content_Type="application/sdp;charset=utf-8"), ZLIB,
                        set()),
    "no label": (plain(zlib.compress(SMALL)), ZLIB, {"facetime_sip.unlabelled_compression"}),
    "no label, gzip": (plain(gzip.compress(SMALL)), GZIP, {"facetime_sip.unlabelled_compression"}),
    "no type": (message(zlib.compress(SMALL), Content_Type=None), ZLIB, set()),
    "text called deflate": (message(SMALL), NONE, {"facetime_sip.not_compressed"}),
    "trailing bytes": (message(zlib.compress(SMALL) + b"\r\n"), ZLIB, {"facetime_sip.inflate_trailing"}),
    "no checksum": (message(zlib.compress(SMALL)[:-4]), ZLIB, {"facetime_sip.inflate_truncated"}),
    "length too large": (message(zlib.compress(SMALL), Content_Length="5000"), ZLIB,
                         {"facetime_sip.content_length"}),
    "length is no number": (message(zlib.compress(SMALL), Content_Length="-1"), ZLIB, set()),
    "compact": (message(zlib.compress(SMALL), headers={
        "v": "SIP/2.0/UDP 192.0.2.2:16402;branch=z9hG4bKc", "t": "<sip:user@192.0.2.1:16402>",
        "f": "<sip:user@192.0.2.2:16402>;tag=1", "i": "compact", "CSeq": "1 INVITE",
        "User-Agent": "Viceroy 1.7.0/GK", "c": "application/sdp", "e": "deflate"}), ZLIB, set()),
    "odd case, spaces": (message(zlib.compress(SMALL), headers={
        "VIA": "SIP/2.0/UDP 192.0.2.2:16402;branch=z9hG4bKd", "call-id": "spaces", "cseq": "1 INVITE",
        "USER-AGENT ": "Viceroy 1.7.0/GK", "content-TYPE": "   application/sdp", "E": "deflate"}), ZLIB,
        set()),
    "folded": (message(zlib.compress(SMALL), Content_Encoding="\r\n\tdeflate",
                       Content_Type="\r\n application/sdp"), ZLIB, set()),
}
# Stock SDP doesn't see these.
BROKEN = {
    "wrong checksum": (message(WRONG_ADLER), ZLIB, {"facetime_sip.inflate_corrupt"}),
    "damaged": (message(DAMAGED), RAW, {"facetime_sip.inflate_corrupt"}),
    "garbage": (message(b"\xff" * 50), RAW, {"facetime_sip.inflate_corrupt"}),
}


@pytest.fixture(scope="module")
def codings(tshark, make_capture):
    return Cases(tshark, make_capture, {name: case[0] for name, case in (CODINGS | BROKEN).items()},
                 SDP_FIELDS + EXPERTS)


@pytest.mark.parametrize("name", CODINGS)
def test_coding(name, codings):
    _, coding, complaints = CODINGS[name]
    row = codings[name]
    assert row["facetime_sip.coding"] == [coding]
    assert row["facetime_sip.inflated_length"] == ([] if coding == NONE else [str(len(SMALL))])
    assert experts(row) == complaints
    assert row["facetime_sip.viceroy"] == ["1.7.0/GK"]
    assert row["sdp.owner.username"] == ["GKVoiceChatService"]
    assert row["facetime_sdp.rtpid"] == ["7"]
    assert len(row["facetime_sdp.dmbr"]) == 1


@pytest.mark.parametrize("name", BROKEN)
def test_broken_body(name, codings):
    """SIP's header is there, stock SDP saw nothing, and the complaint has a name."""
    _, coding, complaints = BROKEN[name]
    row = codings[name]
    assert row["sip.Method"] == ["INVITE"] and row["sip.Call-ID"]
    assert row["facetime_sip.coding"] == [coding]
    assert experts(row) >= complaints
    assert not row["sdp.version"]
    assert "_ws.malformed" not in codings.layers(name)


def test_text_before_the_damage_is_kept(codings):
    assert codings["wrong checksum"]["facetime_sdp.rtpid"] == ["7"]
    assert codings["wrong checksum"]["facetime_sdp.line"] == [l.decode() for l in SMALL.split(b"\r\n")[:-1]]
    assert codings["damaged"]["facetime_sip.inflated_length"] == ["5"]
    assert codings["damaged"]["facetime_sdp.line"] == ["v=0"]
    assert codings["garbage"]["facetime_sip.inflated_length"] == ["0"]
    assert not codings["garbage"]["facetime_sdp.line"]


def test_inflated_text_is_a_data_source(codings, tshark):
    shown = tshark.text(codings.path, "-x", filter=f"frame.number == {codings.frame('zlib')}")
    assert re.search(rf"^Inflated SDP \({len(SMALL)} bytes\):", shown, re.MULTILINE)


def test_header_without_end(make_capture, tshark):
    capture = make_capture([datagram(message(b"")[:-2])])
    assert tshark.frames(capture, "facetime_sip.no_header_end && sip.Method == INVITE") == [1]


@pytest.mark.parametrize("end, also", [(-2, set()), (0, set()), (1, {"facetime_sip.inflate_truncated"}),
                                       (20, {"facetime_sip.inflate_truncated", "facetime_sdp.cut_line"})])
def test_what_the_capture_cut_is_no_fault_of_the_sender(end, also, make_capture, tshark):
    """In the header, at its end, in the body."""
    whole = message(zlib.compress(SMALL))
    kept = whole.index(b"\r\n\r\n") + 4 + end
    capture = make_capture([datagram(whole)._replace(snap=kept)])
    row, = tshark.rows(capture, "_ws.expert.message", "_ws.expert.severity", *EXPERTS)
    assert experts(row) == {"facetime_sip.cut"} | also
    assert f"Only the first {kept} of the message's {len(whole)} bytes were captured" in row["_ws.expert.message"]


TRAILING = {    # Content-Length is of the body alone
    "compressed": (zlib.compress(SMALL), {}),
    "plain SDP": (SMALL, {"Content_Encoding": None}),
    "text": (b"PING", {"method": "MESSAGE", "Content_Type": "text/plain", "Content_Encoding": None}),
    "key exchange": (b"\x30\x03\x02\x01\x01", {"method": "MESSAGE", "Content_Type": "application/ske",
                                               "Content_Encoding": None, "SKESeq": "1;0"}),
    "no body": (b"", {"method": "ACK", "Content_Type": None, "Content_Encoding": None}),
}


@pytest.mark.parametrize("name", TRAILING)
def test_bytes_behind_the_body(name, make_capture, tshark):
    """They are shown, all of them, and the body is what it is without them."""
    body, changes = TRAILING[name]
    alone = message(body, **changes)
    capture = make_capture([datagram(alone), datagram(alone + b"JUNK\x00\xff")])
    fields = ["facetime_sdp.rtpid", "facetime_sip.text", "facetime_sip.ske.data", "facetime_sip.coding"]
    one, other = tshark.rows(capture, "facetime_sip.trailing_bytes", *fields, *EXPERTS)
    assert one["facetime_sip.trailing_bytes"] == [] and not one["facetime_sip.trailing"]
    assert other["facetime_sip.trailing_bytes"] == [b"JUNK\x00\xff".hex()]
    assert experts(other) == experts(one) | {"facetime_sip.trailing"}
    assert [one[field] for field in fields] == [other[field] for field in fields]


@pytest.mark.parametrize("method", ["REGISTER", "PRACK", "SUBSCRIBE", "PUBLISH", "X"])
def test_any_method_is_sip(method, make_capture, tshark):
    """RFC 3261, 7.1: a method is a token. In a dialog that is known, and where the message proves itself."""
    def request(**changes):
        return message(method=method, Content_Type=None, Content_Encoding=None, **changes)
    capture = make_capture([datagram(request()), datagram(message(), C, B), datagram(request(User_Agent=None), C, B)])
    rows = tshark.rows(capture, "facetime.kind", "sip.Method", "facetime.call")
    assert [row["facetime.kind"] for row in rows] == [[SIP]] * 3
    assert [row["sip.Method"] for row in rows] == [[method], ["INVITE"], [method]]


def test_what_is_not_quite_sip(make_capture, tshark):
    """Of a known flow; a channel's number may be letters."""
    starts = [b"INVITE\0sip:a@b SIP/2.0\r\n", b"invite sip:a@b SIP/2.0\r\n", b"X" * 17 + b" sip:a@b SIP/2.0\r\n",
              b"INVITE tel:1 SIP/2.0\r\n", b"SIP/2.1 200 OK\r\n", b"INVITE sip:a@b\r\n", b"ABCD", b"SIP/2.0"]
    capture = make_capture([datagram(message())] + [datagram(start) for start in starts])
    assert tshark.frames(capture, "facetime.kind == \"sip\"") == [1]


# MESSAGEs and the end of a call

@pytest.fixture(scope="module")
def messages(tshark, make_capture):
    def note(body, content_type="text/plain", **changes):
        return plain(body, method="MESSAGE", Content_Type=content_type, **changes)
    return Cases(tshark, make_capture, {
        "ske": note(bytes(range(256)), "application/ske", SKESeq="18446744073709551615;4294967295"),
        "ske, first": note(b"\x30\x03\x02\x01\x01", "application/ske", SKESeq="1;0"),
        "ske, answer": message(b"", answer=True, method="MESSAGE", Content_Type=None, Content_Encoding=None,
                               SKESeq="1;0"),
        "ske, too large": note(b"x", "application/ske", SKESeq="18446744073709551616;0"),
        "ske, no fragment": note(b"x", "application/ske", SKESeq="5"),
        "ping": note(b"PING"),
        "notice": note(b"VCHandoverCandidateChange:VCHandoverNewCandidateBlob"),
        "bye": message(b"", method="BYE", Content_Type=None, Content_Encoding=None,
                       Reason='*;cause=291;text="Remote Hang Up"'),
    }, ["sip.Method", "facetime_sip.ske.sequence", "facetime_sip.ske.fragment", "facetime_sip.ske.data",
        "facetime_sip.text", "facetime_sip.notice", "facetime_sip.reason", "facetime_sip.reason.code",
        *EXPERTS])


@pytest.mark.parametrize("name, field, values", [
    ("ske", "ske.sequence", ["18446744073709551615"]),
    ("ske", "ske.fragment", ["4294967295"]),
    ("ske", "ske.data", [bytes(range(256)).hex()]),
    ("ske, first", "ske.sequence", ["1"]),
    ("ske, first", "ske.data", ["3003020101"]),
    ("ske, answer", "ske.sequence", ["1"]),
    ("ske, answer", "ske.fragment", ["0"]),
    ("ske, answer", "ske.data", []),
    ("ske, too large", "ske.sequence", []),
    ("ske, too large", "ske.data", ["78"]),
    ("ske, no fragment", "ske.fragment", []),
    ("ping", "text", ["PING"]),
    ("ping", "notice", []),
    ("notice", "text", ["VCHandoverCandidateChange:VCHandoverNewCandidateBlob"]),
    ("notice", "notice", ["VCHandoverCandidateChange"]),
    ("bye", "reason", ['*;cause=291;text="Remote Hang Up"']),
    ("bye", "reason.code", ["291"]),
])
def test_message(name, field, values, messages):
    assert messages[name][f"facetime_sip.{field}"] == values


def test_bad_sequences_are_named(messages):
    bad = {name for name in messages.names if messages[name]["facetime_sip.bad_skeseq"]}
    assert bad == {"ske, too large", "ske, no fragment"}


# Lines of SDP

def video(line):
    return b"m=video 16402 RTP/AVP 123\r\n" + line.encode() + b"\r\n"


LINES = {   # line: ({field without "facetime_sdp.": values}, is a value bad?)
    "a=imageattr:123 send [x=[320:16:640],y=240]":
        ({"imageattr.width": ["320", "640"], "imageattr.height": ["240"]}, False),
    "a=imageattr:123 recv [x=[320,480,640],y=[240:480]]":
        ({"imageattr.width": ["320", "480", "640"], "imageattr.height": ["240", "480"]}, False),
    "a=imageattr:123 send * recv [x=320,fps=29.97]":
        ({"imageattr.width": ["320"], "imageattr.fps": ["29"], "imageattr.direction": [RECV]}, False),
    "a=imageattr:123 send [x=320,sar=1.1,par=[1.2-1.3],q=0.25]":
        ({"imageattr.width": ["320"], "imageattr.preference": ["0.25"]}, False),
    "a=imageattr:* recv [x=320]": ({"imageattr.payload_type": [], "imageattr.width": ["320"]}, True),
    "a=imageattr:128 recv [x=320]": ({"imageattr.payload_type": [], "imageattr.width": ["320"]}, True),
    "a=imageattr:123 send [x=320": ({"imageattr.width": []}, True),
    "a=imageattr:123 send [x=4294967296,y=1]": ({"imageattr.width": [], "imageattr.height": ["1"]}, True),
    "a=imageattr:123 send [x=]": ({"imageattr.width": []}, True),
    "a=imageattr:123 send [x=[]]": ({"imageattr.width": []}, True),
    "a=imageattr:123 send [q=2]": ({"imageattr.preference": []}, True),
    "a=imageattr:123 send []": ({"imageattr.direction": [SEND]}, False),
    "a=imageattr:": ({"imageattr.payload_type": []}, True),
    "a=rtpID:4294967295": ({"rtpid": ["4294967295"]}, False),
    "a=rtpID:4294967296": ({"rtpid": []}, True),
    "a=rtpID:": ({"rtpid": []}, True),
    "a=rtpID:-1": ({"rtpid": []}, True),
    "a=au:1": ({"audio_unit": ["1"]}, False),
    "b=AS:100:200": ({"bandwidth.answer": ["100"], "bandwidth.max": ["200"]}, False),
    "b=AS:100:": ({"bandwidth.answer": ["100"], "bandwidth.max": []}, True),
    "b=AS:100:200:300": ({"bandwidth.answer": ["100"], "bandwidth.max": []}, True),
    "a=DMBR": ({"dmbr": ["1"]}, False),
    "a=DMBRX": ({"dmbr": []}, False),
    "a=CAP": ({"cap": ["1"]}, False),
    "a=allowrecording": ({"allowrecording": ["1"]}, False),
    "a=BBCODEC:1:23850": ({"bbcodec.type": ["1"], "bbcodec.rate": ["23850"]}, False),
    "a=FLS": ({"features.payload_type": ["126"], "feature": []}, False),
    "a=FLS;;LTR;;": ({"feature": ["LTR"]}, False),
    "a=FLSX;LTR": ({"feature": []}, False),
    "a=X_FLS:123 FLS;LTR;CABAC": ({"features.payload_type": ["123"], "feature": ["LTR", "CABAC"]}, False),
    "a=X_FLS:123": ({"features.payload_type": ["123"], "feature": []}, True),
    "a=X_FLS:300 FLS;LTR": ({"features.payload_type": [], "feature": ["LTR"]}, True),
    "a=fmtp:123 sec ; sbr;block 1024": ({"secondary": ["1"], "sbr": ["1"], "block": ["1024"]}, False),
    "a=fmtp:123 block": ({"block": []}, True),
    "a=fmtp:123 imagesize 0 rules 15:320:240": ({"imagesize": ["0"], "imagesize.send_height": ["240"],
                                                 "imagesize.recv_width": []}, True),
    "a=fmtp:123 imagesize 2 rule 1": ({"imagesize": ["2"]}, True),
    "a=fmtp:123 profile-level-id=42e01f": ({"fmtp.payload_type": ["123"]}, False),
    "a=fmtp:H264 imagesize 0": ({"fmtp.format": ["H264"], "imagesize": ["0"]}, False),
    "a=fmtp:200 sbr": ({"fmtp.payload_type": [], "sbr": ["1"]}, True),
    "a=hwi:17412:2": ({"hwi.cpu": ["17412"], "hwi.cores": ["2"], "hwi.mhz": []}, True),
    "a=multipoint:2": ({"multipoint": []}, True),
    "a=RTCP:AUDIO 16402 VIDEO": ({"rtcp.audio_port": ["16402"], "rtcp.video_port": []}, True),
    "m=audio 16402 RTP/AVP 104 x": ({"media.payload_type": ["123", "104"]}, True),
    "m=audio": ({"media.payload_type": ["123"]}, False),
}
LINE_FIELDS = sorted({f"facetime_sdp.{field}" for fields, _ in LINES.values() for field in fields})


@pytest.fixture(scope="module")
def lines(tshark, make_capture):
    return Cases(tshark, make_capture, {line: plain(video(line)) for line in LINES}, LINE_FIELDS + EXPERTS)


@pytest.mark.parametrize("line", LINES)
def test_line(line, lines):
    fields, bad = LINES[line]
    row = lines[line]
    for field, values in fields.items():
        shown = ["1" if value == "True" else value for value in row[f"facetime_sdp.{field}"]]
        assert shown == values, field
    assert bool(row["facetime_sdp.bad_value"]) == bad


def test_only_a_new_payload_type_is_the_first(tshark, make_capture):
    """a=fmtp of one payload type in two m= lines is not a repetition."""
    capture = make_capture([datagram(plain(video("a=fmtp:123 sbr") + video("a=fmtp:123 sbr"))),
                            datagram(plain(video("a=fmtp:123 sbr\r\na=fmtp:123 sec")))])
    repeated = [text for row in tshark.rows(capture, "frame.number", "_ws.expert.message")
                for text in row["_ws.expert.message"] if "more than one a=fmtp" in text]
    assert len(repeated) == 1 + 1   # the line, and the event
    assert tshark.frames(capture, 'facetime.event == "nonstandard_sdp"') == [1, 2]     # both lack a=rtpmap


# Hostile input

def bombs():
    size = 60 * 1000 * 1000
    yield "zeros", zlib.compress(bytes(size), 9)
    yield "empty lines", zlib.compress(b"\n" * size, 9)
    yield "lines of SDP", zlib.compress(b"a=DMBR\n" * (size // 10), 9)
    yield "lines without '='", zlib.compress(b"v=0\n" + b"a\n" * (size // 2), 9)
    yield "empty blocks", b"\x00\x00\x00\xff\xff" * 11000
    # small, but made for many items: as long as is looked at
    yield "parameters", zlib.compress(b"m=audio 1 RTP/AVP 1\na=fmtp:1 " + b";" * 8100)
    yield "features", zlib.compress(b"a=FLS" + b";a" * 4000)
    yield "sets", zlib.compress(b"a=imageattr:1 send " + b"[x=z]" * 1600)
    yield "open brackets", zlib.compress(b"a=imageattr:1 send " + b"[ " * 4000)
    yield "payload types", zlib.compress(b"m=audio 1 RTP/AVP" + b" 1" * 4000)
    yield "media", zlib.compress(b"m=audio 1 RTP/AVP 1\n" * 400)
    yield "keys", zlib.compress(b"m=audio 1 RTP/AVP 1\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " +
                                b"inline:AAAA;" * 660)


BOMBS = dict(bombs())


COPIES = 10


@pytest.fixture(scope="module")
def cost(tshark, make_capture):
    """cost(message): (seconds of ten of them, which is a steadier clock; peak KiB of one)"""
    def measure(data):
        seconds, _ = tshark.cost(make_capture([datagram(data)] * COPIES), "-V", runs=2)
        _, memory = tshark.cost(make_capture([datagram(data)]), "-V", runs=1)
        return seconds, memory
    return measure


@pytest.fixture(scope="module")
def cost_without_body(cost):
    return cost(message(b"", Content_Type=None, Content_Encoding=None))


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_cheap(name, cost, cost_without_body):
    """At most 50 ms and 8 MiB more than the same message without its body."""
    assert len(BOMBS[name]) < 65000
    seconds, memory = cost(message(BOMBS[name]))
    assert (seconds - cost_without_body[0]) / COPIES < 0.05
    assert memory - cost_without_body[1] < 8 * 1024


def test_bomb_stops_at_the_cap(tshark, make_capture):
    capture = make_capture([datagram(message(BOMBS["lines of SDP"]))])
    row, = tshark.rows(capture, "sip.Method", "sdp.version", *SDP_FIELDS[7:], *EXPERTS)
    assert row["facetime_sip.inflated_length"] == [str(64 * 1024)]
    assert experts(row) == {"facetime_sip.inflate_limit", "facetime_sdp.too_long"}
    assert row["sip.Method"] == ["INVITE"] and not row["sdp.version"]
    assert len(row["facetime_sdp.dmbr"]) == 512     # lines that are looked at


@pytest.mark.parametrize("cap, expected", [(1, 1024), (2, 2048), (1024, 1024 * 1024),
                                           (0, 1024), (5000, 1024 * 1024)])
def test_cap_is_a_preference(cap, expected, tshark, make_capture):
    capture = make_capture([datagram(message(BOMBS["zeros"]))])
    prefs = {"facetime_sip.inflate_cap": cap}
    assert tshark.values(capture, "facetime_sip.inflated_length", prefs=prefs) == [str(expected)]


@pytest.mark.parametrize("length", [8192, 8193])
def test_8192_bytes_of_sdp_are_shown(length, tshark, make_capture):
    lines = [b"a=AA:" + bytes([ord("a") + n]) * 1000 for n in range(7)]
    body = SMALL + b"".join(line + b"\r\n" for line in lines)
    last = b"a=AA:" + b"z" * (length - len(body) - len(b"a=AA:\r\n"))
    capture = make_capture([datagram(plain(body + last + b"\r\n"))])
    row, = tshark.rows(capture, "sdp.session_attr", *EXPERTS)
    assert experts(row) == ({"facetime_sdp.too_long"} if length > 8192 else set())
    assert row["sdp.session_attr"][-1][-1] == ("z" if length == 8192 else "g")


def test_8_media_are_remembered(tshark, make_capture):
    body = SMALL + b"".join(b"m=audio 16402 RTP/AVP %d\r\na=rtpmap:%d C%d/8000\r\n" % (100 + n, 100 + n, n)
                            for n in range(9))
    capture = make_capture([datagram(plain(body))])
    row, = tshark.rows(capture, "facetime_sdp.media.payload_type", "facetime_sdp.media.codec")
    assert row["facetime_sdp.media.payload_type"] == [str(100 + n) for n in range(9)]
    assert row["facetime_sdp.media.codec"][:8] == [f"C{n}" for n in range(8)]
    assert "C8" not in row["facetime_sdp.media.codec"]


def test_32_payload_types_of_a_medium_are_remembered(tshark, make_capture):
    """For the packets of media: the SDP's own lines show all."""
    types = range(95, 128)
    assert len(types) == 33
    body = SMALL + b"m=audio 16402 RTP/AVP " + b" ".join(b"%d" % t for t in types) + b"\r\n" + b"".join(
        b"a=rtpmap:%d C%d/8000\r\n" % (t, t) for t in types)
    capture = make_capture([datagram(plain(body)), *(datagram(rtp.rtp(t, t, 160 * t, 7, bytes(20))) for t in (126, 127))])
    assert tshark.values(capture, "facetime_sdp.media.codec", filter="sip") == [f"C{t}" for t in types]
    rows = tshark.rows(capture, "rtp.p_type", "facetime_rtp.codec", filter="facetime_rtp")
    assert [row["rtp.p_type"] for row in rows] == [["126"], ["127"]]
    assert rows[0]["facetime_rtp.codec"] == ["C126"] and "C127" not in rows[1]["facetime_rtp.codec"]


def test_32_unreadable_values_are_called_so(tshark, make_capture):
    capture = make_capture([datagram(plain(SMALL + b"a=rtpID:x\r\n" * count)) for count in (32, 33)])
    rows = tshark.rows(capture, "facetime_sdp.bad_value", "facetime_sdp.line")
    assert [len(row["facetime_sdp.bad_value"]) for row in rows] == [32, 32]
    assert [row["facetime_sdp.line"].count("a=rtpID:x") for row in rows] == [32, 33]


ORIGIN = b"\no=GKVoiceChatService "


@pytest.mark.parametrize("compressed", [False, True])
def test_512_bytes_of_sdp_may_prove_it(compressed, tshark, make_capture):
    """Without Viceroy's name: o= that ends at the last of them proves FaceTime, a byte later it doesn't."""
    payloads = []
    for end in (512, 513):
        body = b"v=0\r\ni=" + b"x" * (end - len(ORIGIN) - 8) + b"\r" + ORIGIN + b"0 0 IN IP4 192.0.2.1\r\ns=mobile\r\n"
        assert body.index(ORIGIN) + len(ORIGIN) == end
        payloads.append(message(zlib.compress(body), User_Agent=None) if compressed else plain(body, User_Agent=None))
    capture = make_capture([datagram(payload, (f"192.168.1.{20 + n}", 16402)) for n, payload in enumerate(payloads)])
    assert tshark.frames(capture, "facetime") == [1]


def test_512_bytes_of_a_header_are_looked_at(tshark, make_capture):
    """From the blank after the colon on: Viceroy's name with a digit within them is FaceTime's, a byte later it isn't."""
    agents = ["x" * (length - len(" Viceroy 1")) + "Viceroy 1.7.0/GK" for length in (512, 513)]
    capture = make_capture([
        datagram(message(User_Agent=agent, Content_Type=None, Content_Encoding=None), (f"192.168.1.{20 + n}", 16402))
        for n, agent in enumerate(agents)])
    assert tshark.frames(capture, "facetime") == [1]
    assert tshark.values(capture, "sip.User-Agent", filter="facetime") == agents[:1], "stock has all of it"


def test_a_low_cap_keeps_the_first_lines(tshark, make_capture):
    """The offer is longer than 1 KiB: its audio part is there, the line in the cut isn't read."""
    assert len(OFFER) > 1024
    capture = make_capture([datagram(message(zlib.compress(OFFER)))])
    how = {"prefs": {"facetime_sip.inflate_cap": 1}}
    row, = tshark.rows(capture, *SDP_FIELDS, *EXPERTS, **how)
    assert row["facetime_sdp.rtpid"][0] == str(AUDIO)
    assert row["facetime_sip.inflated_length"] == ["1024"]
    assert row["facetime_sdp.line"] == [l.decode() for l in OFFER[:1024].split(b"\r\n")]
    assert experts(row) == {"facetime_sip.inflate_limit", "facetime_sdp.cut_line", "facetime_sdp.apple_way"}


GOLDEN = {"zlib": message(zlib.compress(OFFER)), "gzip": message(gzip.compress(ANSWER), answer=True),
          "plain": plain(OFFER_2010),
          "ske": plain(bytes(range(40)), method="MESSAGE", Content_Type="application/ske", SKESeq="1;0")}


@pytest.mark.parametrize("snapped", [False, True], ids=["sent short", "captured short"])
@pytest.mark.parametrize("name", GOLDEN)
def test_every_truncation(name, snapped, tshark, make_capture):
    """Whole first, so that the rest is of a known flow. Nothing read before the cut is lost after it."""
    whole = datagram(GOLDEN[name])
    capture = make_capture([whole] + support.truncations(whole, snapped))
    fields = ["facetime.kind", "sip.Call-ID", "facetime_sip.ske.sequence", "facetime_sdp.rtpid",
              "sip.CSeq.seq"]
    rows = tshark.rows(capture, *fields)
    assert rows == tshark.rows(capture, *fields, two_pass=True)
    assert rows[0] == rows[-1]
    start = len(GOLDEN[name].split(b"\r\n")[0])
    for length, row in enumerate(rows[1:], 1):
        if length >= start + 2:
            assert row["facetime.kind"] == ["3"], length
    for field in fields[2:4]:
        counts = [len(row[field]) for row in rows[1:]]
        assert counts == sorted(counts), field


@pytest.mark.parametrize("name", ["zlib", "gzip", "plain"])
def test_every_flipped_byte_of_the_body(name, tshark, make_capture):
    """No complaint of Wireshark's, the same on both passes, and the header always there."""
    message_bytes = GOLDEN[name]
    start = message_bytes.index(b"\r\n\r\n") + 4
    damaged = []
    for i in range(start, len(message_bytes)):
        copy = bytearray(message_bytes)
        copy[i] ^= 0xFF
        damaged.append(datagram(bytes(copy)))
    capture = make_capture(damaged)
    fields = ["facetime.kind", "sip.Call-ID", "facetime_sip.inflated_length", "facetime_sdp.line"] + EXPERTS
    rows = tshark.rows(capture, *fields)
    assert rows == tshark.rows(capture, *fields, two_pass=True)
    assert all(row["facetime.kind"] == ["3"] and row["sip.Call-ID"] for row in rows)
    if name != "plain":    # damage never passes for whole, but in gzip's bytes of time, flags and system
        clean = [row for row in rows if not any(row[e] for e in EXPERTS[:5])]
        assert len(clean) <= (0 if name == "zlib" else 7)


def test_an_invite_after_long_silence_is_another_call(tshark, make_capture):
    """Nobody said that the first call ended; its messages, if more come, are still its own."""
    calls = [message(Call_ID="one"), message(Call_ID="two"), message(method="INFO", Call_ID="one"),
             message(method="INFO", Call_ID="two")]
    capture = make_capture([datagram(payload)._replace(time=time) for payload, time in zip(calls, (0, 121, 122, 123))])
    for two_pass in (False, True):
        assert tshark.values(capture, "facetime.call", two_pass=two_pass) == ["1", "2", "1", "2"]
