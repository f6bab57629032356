# SPDX-License-Identifier: GPL-2.0-or-later
"""The captures of test-captures/: made again byte for byte, and holding what the 2015 report says they hold.

What is in them is read back here in two ways that know nothing of the generator: by stock tshark, and by a few lines of
Python (blocks, udp_payload, unwrapped, attributes).
"""

import collections
import functools
import re
import struct
import subprocess
import sys

import pytest

import support
import generate
from wire import modern, rtp, snatmap, stun

NAMES = sorted(generate.CAPTURES)
SESSIONS = [name for name in NAMES if name.startswith("facetime-")]
CLIENT, SECOND, PEER, PEER_HOST = "172.16.42.187", "172.16.42.185", "71.230.89.52", "192.168.42.25"
OFFICE = "71.15.163.132"
each_capture = pytest.mark.parametrize("name", NAMES)


def path(name):
    return support.TEST_CAPTURES / generate.file_name(name)


# --- reading -------------------------------------------------------------------------------------------------------

Block = collections.namedtuple("Block", "micros data")


@functools.lru_cache(maxsize=None)
def blocks(name):
    """(link type, frames) of a little-endian pcapng."""
    data, at, found, linktype = path(name).read_bytes(), 0, [], None
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 1:
            linktype = struct.unpack_from("<H", data, at + 8)[0]
        elif kind == 6:
            high, low, kept, whole = struct.unpack_from("<IIII", data, at + 12)
            assert kept == whole
            found.append(Block(high << 32 | low, data[at + 28:at + 28 + kept]))
        at += length
    return linktype, found


def udp_payload(linktype, frame):
    """The payload of a UDP datagram, None for other packets."""
    if linktype == 1:
        frame = frame[18 if frame[12:14] == b"\x81\x00" else 14:]
    header, protocol = ((frame[0] & 15) * 4, frame[9]) if frame[0] >> 4 == 4 else (40, frame[6])
    return frame[header + 8:] if protocol == 17 else None


def unwrapped(data):
    """What is inside ChannelData, or a Send or Data indication."""
    if 0x40 <= data[0] < 0x50 and struct.unpack("!H", data[2:4])[0] in range(len(data) - 7, len(data) - 3):
        return data[4:4 + struct.unpack("!H", data[2:4])[0]]
    if data[:2] in (b"\x00\x16", b"\x00\x17"):
        at = 20
        while at < len(data):
            number, length = struct.unpack("!HH", data[at:at + 4])
            if number == 0x0013:
                return data[at + 4:at + 4 + length]
            at += 4 + length + -length % 4
    return data


STOCK_FIELDS = (
    "frame.time_relative", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport", "tcp.len",
    "icmp.type", "http.request.uri", "stun.type", "stun.id", "stun.channel", "stun.att.channelnum", "stun.att.type", "stun.att.lifetime",
    "stun.att.error", "stun.att.ipv4", "stun.att.port", "stun.att.ipv4-xord", "stun.att.port-xord", "sip.Method",
    "sip.Status-Code", "sip.CSeq.method", "rtp.seq", "rtp.p_type", "rtp.ssrc", "rtcp.pt")
HEURISTICS = ("rtp_stun", "stun_turn", "rtp_udp")    # off by default; with them stock looks into ChannelData
# From 4.4 on RTP, once SDP has announced it, keeps datagrams that begin with 'A' to 'O' (BYE) from SIP (RFC 7983)
PREFERENCES = {"rtp.version0_type": "invalid"}


@functools.lru_cache(maxsize=None)
def stock_rows(stock, name):
    """{frame number: {field: [values]}} as stock tshark has it."""
    args = ["-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e"]
    for heuristic in HEURISTICS:
        args += ["--enable-heuristic", heuristic]
    for field in STOCK_FIELDS:
        args += ["-e", field]
    rows = {}
    for number, line in enumerate(stock.text(path(name), *args, prefs=PREFERENCES).split("\n")[:-1], 1):
        rows[number] = {f: v.split("\x1e") if v else [] for f, v in zip(STOCK_FIELDS, line.split("\x1f"), strict=True)}
    return rows


# --- the files -----------------------------------------------------------------------------------------------------

def test_every_capture_is_made_again_byte_for_byte(tmp_path):
    subprocess.run([sys.executable, support.TEST_CAPTURES / "generate.py", "-o", tmp_path], check=True)
    made = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    kept = {p.name: p.read_bytes() for p in support.TEST_CAPTURES.glob("*.pcap*")}
    assert sorted(made) == sorted(kept)
    assert [name for name in made if made[name] != kept[name]] == []


def test_readme_lists_every_capture_once():
    text = (support.TEST_CAPTURES / "README.md").read_text()
    assert sorted(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)) == NAMES


@each_capture
def test_says_that_it_is_no_capture(name):
    head = path(name).read_bytes()[:600]
    assert (b"RECONSTRUCTION, NOT A CAPTURE" if name in SESSIONS else b"INVENTED, NOT A CAPTURE") in head


@pytest.mark.parametrize("name", [*SESSIONS, "ipv6", "vlan", "raw-ip", "peer-unreachable"])
def test_checksums_are_right(stock, name):
    prefs = {f"{protocol}.check_checksum": True for protocol in ("ip", "udp", "tcp")}
    fields = ("ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmp.checksum.status",
              "icmpv6.checksum.status")
    good, unverified = "1", "2"     # unverified: what an ICMP error quotes, if it is cut
    truth = generate.build(name).truth
    for number, row in enumerate(stock.rows(path(name), *fields, prefs=prefs), 1):
        allowed = {good, unverified} if "quotes" in truth[number] else {good}
        for field, values in row.items():
            assert set(values) <= allowed, (number, field)
        assert row["udp.checksum.status"] or row["tcp.checksum.status"] or "quotes" in truth[number]


@each_capture
def test_truth_is_what_the_bytes_say(name):
    """Kind, addresses and RTP, STUN and SIP values of the truth, against the bytes."""
    cap = generate.build(name)
    linktype, frames = blocks(name)
    assert list(cap.truth) == list(range(1, len(frames) + 1))
    for (number, truth), frame in zip(cap.truth.items(), frames, strict=True):
        assert truth["time"] == pytest.approx((frame.micros - frames[0].micros) / 1e6, abs=1e-6)
        data = udp_payload(linktype, frame.data)
        if truth.get("generation") != "legacy" or truth["kind"] is None:
            continue
        data = unwrapped(data)
        if truth["kind"] == "rtp":
            first, bits, seq, ts, ssrc = struct.unpack("!BBHII", data[:12])
            assert first >> 6 == 2, number
            assert truth["rtp"] == {"ssrc": ssrc, "seq": seq, "ts": ts, "pt": bits & 127, "marker": bits > 127}, number
        elif truth["kind"] in ("stun", "turn"):
            assert data[4:8] == b"\x21\x12\xa4\x42" and data[8:20].hex() == truth["stun"]["txid"], number
            assert struct.unpack("!H", data[2:4])[0] == len(data) - 20, number
        elif truth["kind"] == "rtcp":
            assert data[0] >> 6 == 2 and data[1] == truth["rtcp"]["types"][0], number
        elif truth["kind"] == "sip":
            status = truth["sip"]["status"]
            assert data.startswith(f"SIP/2.0 {status} ".encode() if status else f"{truth['sip']['method']} ".encode())
            assert truth["sip"]["call_id"].encode() in data, number
        elif truth["kind"] == "data":   # DTLS: handshake, change cipher spec, alert, application data
            assert 20 <= data[0] <= 23 and data[1:3] == b"\xfe\xff", number
        else:
            assert truth["kind"] in ("commnat",) and len(data) == 16, number


@each_capture
def test_frame_links_of_the_truth_point_at_their_like(name):
    truth = generate.build(name).truth
    for number, frame in truth.items():
        if "response_to" in frame:
            request = truth[frame["response_to"]]
            assert request["number"] < number
            for key in ("txid", "method"):
                assert (frame.get("stun") or {}).get(key) == (request.get("stun") or {}).get(key)
        if "retransmission_of" in frame:
            first = truth[frame["retransmission_of"]]
            assert first["number"] < number and first["src"] == frame["src"]
            assert (frame.get("stun") or {}).get("txid") == (first.get("stun") or {}).get("txid")
        if "copy_of" in frame:
            assert truth[frame["copy_of"]]["rtp"] == frame["rtp"] and truth[frame["copy_of"]]["path"] != frame["path"]


# --- what the report says of numbered packets ----------------------------------------------------------------------

BINDING, BINDING_OK, ALLOCATE, ALLOCATE_OK = "0x0001", "0x0101", "0x0003", "0x0103"
BIND, BIND_OK, BIND_ERROR, REFRESH = "0x0009", "0x0109", "0x0119", "0x0004"
RELAY_CHANNEL = "0x4002"

# (session, frame): what stock tshark must see there; a set is contained in the values, anything else is all of them
REPORT = {
    ("facetime-caller", 60): {"ip.src": CLIENT, "stun.type": ALLOCATE, "stun.att.lifetime": "60",
                              "stun.att.type": {"0x0016", "0x0022"}},
    ("facetime-caller", 64): {"http.request.uri": "/connectivity.txt"},
    ("facetime-caller", 82): {"ip.dst": CLIENT, "stun.type": ALLOCATE_OK},
    ("facetime-caller", 110): {"ip.dst": CLIENT, "tcp.srcport": "5223"},
    ("facetime-caller", 120): {"ip.src": CLIENT, "tcp.dstport": "5223", "tcp.len": "0"},
    ("facetime-caller", 121): {"stun.type": BIND, "stun.att.channelnum": RELAY_CHANNEL, "stun.att.ipv4": PEER,
                               "stun.att.port": "16402"},
    ("facetime-caller", 122): {"stun.channel": RELAY_CHANNEL, "stun.type": BINDING, "ip.src": CLIENT},
    ("facetime-caller", 132): {"stun.channel": RELAY_CHANNEL, "stun.type": BINDING, "ip.src": CLIENT},
    ("facetime-caller", 142): {"stun.channel": RELAY_CHANNEL, "stun.type": BINDING, "ip.src": CLIENT},
    ("facetime-caller", 156): {"stun.type": BIND, "stun.att.channelnum": RELAY_CHANNEL, "ip.src": CLIENT},
    ("facetime-caller", 158): {"stun.type": BIND_OK, "ip.dst": CLIENT},
    ("facetime-caller", 160): {"stun.channel": RELAY_CHANNEL, "stun.type": BINDING_OK, "ip.dst": CLIENT,
                               "stun.att.ipv4": "17.155.5.251", "stun.att.port": "3489"},
    ("facetime-caller", 161): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": PEER_HOST},
    ("facetime-caller", 162): {"stun.channel": RELAY_CHANNEL, "stun.type": BINDING, "ip.dst": CLIENT,
                               "stun.att.type": {"0x8029"}},
    ("facetime-caller", 164): {"stun.channel": RELAY_CHANNEL, "stun.type": BINDING, "stun.att.type": {"0x0025"}},
    ("facetime-caller", 169): {"stun.channel": RELAY_CHANNEL, "sip.Method": "INVITE", "ip.src": CLIENT},
    ("facetime-caller", 170): {"stun.channel": RELAY_CHANNEL, "sip.Status-Code": "100"},
    ("facetime-caller", 171): {"stun.channel": RELAY_CHANNEL, "sip.Status-Code": "180"},
    ("facetime-caller", 172): {"stun.channel": RELAY_CHANNEL, "sip.Status-Code": "200"},
    ("facetime-caller", 173): {"stun.channel": RELAY_CHANNEL, "sip.Method": "ACK", "ip.src": CLIENT},
    ("facetime-caller", 280): {"stun.type": BINDING, "ip.src": PEER, "ip.dst": CLIENT},
    ("facetime-caller", 283): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": PEER, "stun.att.type": {"0x0025"}},
    ("facetime-caller", 299): {"stun.type": BINDING_OK, "ip.src": PEER},
    ("facetime-caller", 5786): {"sip.Method": "BYE"},
    ("facetime-caller", 5790): {"sip.Status-Code": "200", "sip.CSeq.method": "BYE"},
    ("facetime-caller", 5791): {"stun.type": REFRESH, "stun.att.lifetime": "0", "ip.src": CLIENT},
    ("facetime-samenet", 71): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": OFFICE, "udp.dstport": "16402",
                               "stun.att.type": {"0x8029"}},
    ("facetime-samenet", 82): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": SECOND},
    ("facetime-samenet", 101): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": SECOND},
    ("facetime-samenet", 135): {"stun.type": ALLOCATE, "ip.src": CLIENT},
    ("facetime-samenet", 138): {"stun.type": ALLOCATE_OK, "ip.dst": CLIENT},
    ("facetime-samenet", 169): {"stun.type": BINDING_OK, "ip.src": SECOND},
    ("facetime-samenet", 171): {"stun.type": BINDING_OK, "ip.src": SECOND},
    ("facetime-samenet", 178): {"stun.type": ALLOCATE, "ip.src": SECOND},
    ("facetime-samenet", 182): {"stun.type": BINDING, "stun.att.type": {"0x0025"}},
    ("facetime-samenet", 192): {"sip.Method": "INVITE"},
    ("facetime-samenet", 229): {"stun.type": REFRESH, "stun.att.lifetime": "0", "ip.src": CLIENT},
    ("facetime-samenet", 252): {"stun.type": BIND, "ip.src": SECOND, "stun.att.ipv4": OFFICE, "stun.att.port": "1024"},
    ("facetime-samenet-nop2p", 357): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": SECOND},
    ("facetime-samenet-nop2p", 364): {"stun.type": BINDING, "ip.dst": OFFICE, "udp.dstport": "16402"},
    ("facetime-samenet-nop2p", 366): {"icmp.type": "3"},
    ("facetime-samenet-nop2p", 417): {"stun.type": ALLOCATE, "ip.src": CLIENT},
    ("facetime-samenet-nop2p", 418): {"stun.type": ALLOCATE_OK, "ip.dst": CLIENT, "stun.att.ipv4": OFFICE,
                                      "stun.att.port": "16402"},
    ("facetime-samenet-nop2p", 439): {"stun.type": ALLOCATE, "ip.src": SECOND},
    ("facetime-samenet-nop2p", 448): {"stun.type": ALLOCATE_OK, "ip.dst": SECOND, "stun.att.ipv4": OFFICE,
                                      "stun.att.port": "16402"},
    ("facetime-samenet-nop2p", 475): {"stun.type": BIND, "stun.att.ipv4": OFFICE, "stun.att.port": "16402"},
    ("facetime-samenet-nop2p", 508): {"stun.type": BIND, "stun.att.ipv4": OFFICE, "stun.att.port": "16402"},
    ("facetime-samenet-nop2p", 556): {"stun.type": BINDING, "ip.src": CLIENT, "ip.dst": SECOND},
    ("facetime-samenet-nop2p", 557): {"stun.type": BINDING_OK, "ip.src": SECOND, "ip.dst": CLIENT},
    ("facetime-samenet-nop2p", 578): {"stun.type": BIND, "ip.src": SECOND},
    ("facetime-samenet-nop2p", 585): {"stun.type": REFRESH, "stun.att.lifetime": "0", "ip.src": SECOND},
    ("facetime-samenet-nop2p", 589): {"stun.type": BIND_OK, "ip.dst": SECOND},
    ("facetime-dropmidcall", 92): {"stun.type": ALLOCATE, "ip.src": CLIENT, "stun.att.type": {"0x0016", "0x0022"}},
    ("facetime-dropmidcall", 150): {"stun.type": REFRESH, "stun.att.lifetime": "0"},
    ("facetime-dropmidcall", 6216): {"ip.src": PEER, "ip.dst": CLIENT},
    ("facetime-dropmidcall", 6892): {"ip.src": CLIENT, "ip.dst": PEER},
    ("facetime-dropmidcall", 6893): {"stun.channel": RELAY_CHANNEL, "rtp.seq": "51593", "ip.src": CLIENT},
    ("facetime-dropmidcall", 9252): {"tcp.srcport": "5223"},
    ("facetime-dropmidcall", 9598): {"sip.Method": "BYE", "stun.channel": RELAY_CHANNEL},
    ("facetime-dropmidcall", 9600): {"stun.type": ALLOCATE, "stun.att.type": {"0x0022"}},
    ("facetime-dropmidcall", 9605): {"sip.Method": "BYE", "stun.channel": RELAY_CHANNEL},
    ("facetime-dropmidcall", 9623): {"sip.Method": "BYE", "stun.channel": RELAY_CHANNEL},
    ("facetime-dropmidcall", 9633): {"sip.Method": "BYE", "stun.channel": RELAY_CHANNEL},
}


@pytest.mark.parametrize("name, number", REPORT, ids=lambda v: str(v))
def test_numbered_packet_is_what_the_report_says(stock, name, number):
    row = stock_rows(stock, name)[number]
    for field, expected in REPORT[name, number].items():
        if isinstance(expected, set):
            assert expected <= set(row[field]), field
        else:
            assert row[field] == (expected if isinstance(expected, list) else [expected]), field


def attributes(data):
    """{number: value} of a STUN message, in its order."""
    at, found = 20, {}
    while at < len(data):
        number, length = struct.unpack("!HH", data[at:at + 4])
        found[number] = data[at + 4:at + 4 + length]
        at += 4 + length + -length % 4
    return found


def test_session_1_attributes_of_122_and_160_are_those_of_the_report():
    linktype, frames = blocks("facetime-caller")
    request, response = (attributes(unwrapped(udp_payload(linktype, frames[n - 1].data))) for n in (122, 160))
    assert list(request) == [0x0006, 0x8001, 0x8002, 0x8003, 0x802A, 0x8009]
    assert list(response) == [0x0006, 0x0001, 0x8001, 0x8003, 0x8004, 0x8005, 0x8009]
    assert len(request[6]) == 20 and response[6] == request[6][10:] + request[6][:10]


def test_session_1_packet_777_is_a_report_with_a_description(stock):
    """SR and SDES in one packet; stock has to be told that it is RTCP."""
    assert stock.text(path("facetime-caller"), "-d", "udp.port==16402,rtcp", "-T", "fields", "-e", "rtcp.pt",
                      filter="frame.number == 777").strip() == "200,202"


def test_session_1_media_runs_in_channeldata_until_279(stock):
    rows = stock_rows(stock, "facetime-caller")
    for number in range(175, 280):
        assert rows[number]["stun.channel"] == [RELAY_CHANNEL] and rows[number]["rtp.p_type"], number
    assert not any(row["stun.channel"] for number, row in rows.items() if number > 299)


def test_session_1_uses_the_payload_types_and_sources_of_its_sdp():
    media = [f["rtp"] for f in generate.build("facetime-caller").truth.values() if f["kind"] == "rtp"]
    assert {(r["ssrc"], r["pt"]) for r in media} == {
        (1911967383, 104), (1911967383, 119), (2853556652, 123),
        (3323451416, 104), (3323451416, 119), (3201069193, 123)}


def test_session_1_rtcp_comes_about_every_five_seconds():
    sent = collections.defaultdict(list)
    for frame in generate.build("facetime-caller").truth.values():
        if frame["kind"] == "rtcp" and frame["rtcp"]["types"] == [200, 202]:
            sent[frame["src"][0]].append(frame["time"])
    assert set(sent) == {CLIENT, PEER}
    for times in sent.values():
        assert len(times) > 3
        assert all(4.5 < b - a < 5.5 for a, b in zip(times, times[1:]))


def test_session_1_sdp_is_the_text_of_the_report():
    truth = generate.build("facetime-caller").truth
    offer, answer = truth[169]["sip"]["body"], truth[172]["sip"]["body"]
    for text, lines in ((offer, (
            "o=GKVoiceChatService 0 0 IN IP4 71.15.163.132", "b=AS:2000",
            "a=FLS;VRA:0;MVRA:0;RVRA1:1;AS:2;MS:-1;LTR;CABAC;CR:3;LF:-1;PR;AR:4/3,3/4;XR;",
            "m=audio 16402 RTP/AVP 104 105 106 9 0 124 122 121 119", "a=fmtp:104 SamplesPerBlock 480",
            "a=rtpID:1911967383", "m=video 16402 RTP/AVP 126 123 100", "a=rtpID:2853556652",
            "a=imageattr:123 send [x=320,y=240,fps=30] [x=480,y=368,fps=30] [x=640,y=480,fps=30] "
            "[x=1024,y=768,fps=30] [x=1280,y=720,fps=30] [x=320,y=240,fps=15,i=1] recv [x=320,y=240,fps=15] "
            "[x=640,y=480,fps=30] [x=1024,y=768,fps=30,q=1.00] [x=1280,y=720,fps=30] [x=320,y=240,fps=15,i=1]",
            "a=imageattr:100 recv [x=320,y=240,fps=15,i=1]")), (answer, (
            "o=GKVoiceChatService 0 0 IN IP4 71.230.89.52", "b=AS:2000:2000", "a=fmtp:AAC SamplesPerBlock 480",
            "a=X_FLS:100 FLS;RVRA1:0;PR;LF:-1;CR:1;CF:2;AR:4/3,3/4;XR;", "a=rtpID:3323451416",
            "m=audio 16402 RTP/AVP 104 106 121 122 119", "m=video 16402 RTP/AVP 123 100", "a=rtpID:3201069193"))):
        assert set(lines) <= set(text.split("\r\n"))
    assert len(offer.splitlines()) == 34 and len(answer.splitlines()) == 28     # as many as the report has, unfolded


def test_session_2_keeps_checking_the_callers_local_address_as_controlling(stock):
    rows = stock_rows(stock, "facetime-callee")
    checks = {n: row for n, row in rows.items() if row["stun.type"] and row["ip.dst"] == [PEER_HOST]}
    assert list(checks) == generate.build("facetime-callee").groups["checks of the local address"]
    assert len(checks) > 12
    for number, row in checks.items():
        assert "0x802a" in row["stun.att.type"] and row["ip.src"] == [CLIENT], number
    media = [n for n, f in generate.build("facetime-callee").truth.items() if f["kind"] == "rtp"]
    assert max(checks) > media[len(media) * 9 // 10]
    assert next(r for r in rows.values() if r["sip.Method"] == ["INVITE"])["ip.src"] == [CLIENT]


def test_session_3_answers_come_late_and_the_mismatch_follows_the_bind(stock):
    rows = stock_rows(stock, "facetime-samenet")
    for asked, answered in ((82, 169), (101, 171)):
        assert rows[asked]["stun.id"] == rows[answered]["stun.id"]
        assert float(rows[answered]["frame.time_relative"][0]) - float(rows[asked]["frame.time_relative"][0]) > 1
    refused = [n for n, row in rows.items() if row["stun.type"] == [BIND_ERROR]]
    assert len(refused) == 1 and rows[refused[0]]["stun.id"] == rows[252]["stun.id"]
    released = [n for n, row in rows.items() if row["stun.type"] == [REFRESH] and row["ip.src"] == [SECOND]]
    assert len(released) == 1 and released[0] > refused[0]
    late = {tuple(row["ip.src"]) for n, row in rows.items()
            if n > released[0] and row["stun.type"] == [BINDING] and row["ip.dst"] == [OFFICE]}
    assert late == {(CLIENT,), (SECOND,)}


def test_session_4_the_lost_bind_and_the_hole(stock):
    rows = stock_rows(stock, "facetime-samenet-nop2p")
    assert rows[508]["stun.id"] == rows[578]["stun.id"] == rows[589]["stun.id"]
    assert not any(rows[n]["stun.id"] == rows[508]["stun.id"] for n in range(509, 578))
    assert float(rows[589]["frame.time_relative"][0]) - float(rows[508]["frame.time_relative"][0]) == pytest.approx(0.8)
    early = [n for n in range(509, 589) if rows[n]["stun.channel"] == [RELAY_CHANNEL] and rows[n]["ip.src"] == [SECOND]
             and rows[n]["stun.type"] != [BIND]]
    assert early
    between = {n: row for n, row in rows.items() if row["stun.type"] and {row["ip.src"][0], row["ip.dst"][0]} ==
               {CLIENT, SECOND}}
    before = [n for n in between if n < 556]
    assert {between[n]["ip.src"][0] for n in before} == {CLIENT, SECOND}
    assert all(between[n]["stun.type"] == [BINDING] for n in before)


def test_session_5_tells_the_time_of_the_report(stock):
    rows = stock_rows(stock, "facetime-dropmidcall")

    def at(number):
        return float(rows[number]["frame.time_relative"][0])
    assert at(6893) - at(6216) == pytest.approx(3, abs=0.1)
    assert at(9252) - at(6216) == pytest.approx(16, abs=0.3)
    assert at(9598) - at(6216) == pytest.approx(18, abs=0.3)
    assert not any(row["ip.src"] == [PEER] for n, row in rows.items() if n > 6216)
    assert not any("5223" in row["tcp.srcport"] + row["tcp.dstport"] for n, row in rows.items() if 6216 < n < 9252)
    assert not any(row["stun.channel"] for n, row in rows.items() if 150 < n < 6893)
    assert not any(row["sip.Status-Code"] for n, row in rows.items() if 9598 < n <= 9633)
    assert len({rows[n]["sip.CSeq.method"][0] for n in (9598, 9605, 9623, 9633)}) == 1


def test_session_5_packets_6892_and_6893_are_the_same_rtp():
    linktype, frames = blocks("facetime-dropmidcall")
    direct, relayed = (udp_payload(linktype, frames[n - 1].data) for n in (6892, 6893))
    assert relayed == b"\x40\x02" + struct.pack("!H", len(direct)) + direct
    assert struct.unpack("!H", direct[2:4])[0] == 51593


# --- the events that follow from it ------------------------------------------------------------------------

def numbered(*rows):
    """{frame: {events}} of rows ("event", frame, ...)."""
    found = collections.defaultdict(set)
    for name, *frames in rows:
        for number in frames:
            found[number].add(name)
    return found


# the report's own packets, and for the rest what stock tshark lists at these numbers, read by a person
EVENTS = {
    "facetime-caller": numbered(
        ("call_started", 60), ("reserved_allocation", 60), ("connectivity_check", 64, 68),
        ("early_channel_data", 122, 132, 142), ("legacy_username", 122), ("binding_retransmitted", 132, 142),
        ("channel_bind_retransmitted", 156), ("nominated", 164, 283), ("nonstandard_sdp", 169, 172),
        ("call_answered", 172), ("path_switch", 300, 301), ("call_ended", 5786), ("relay_released", 5791),
        ("relay_ready", 158), ("invite", 169), ("ringing", 171), ("first_media", 175, 176, 178, 179), ("direct_ready", 281)),
    "facetime-samenet": numbered(
        ("connectivity_check", 39, 41, 57, 59), ("call_started", 71), ("legacy_username", 71),
        ("reserved_allocation", 135, 178), ("nominated", 182), ("nonstandard_sdp", 192, 198), ("call_answered", 198),
        ("relay_released", 229, 280), ("allocation_mismatch", 262, 288), ("call_ended", 3282),
        ("direct_ready", 169), ("invite", 192), ("ringing", 195), ("first_media", 211, 212, 213, 215)),
    "facetime-samenet-nop2p": numbered(
        ("connectivity_check", 196, 199, 269, 272), ("call_started", 357), ("legacy_username", 357),
        ("peer_unreachable", 366), ("binding_retransmitted", 379, 413, 503, 536, 561, 568),
        ("reserved_allocation", 417, 439), ("early_channel_data", 476, 509, 536, 568), ("hole_punched", 557),
        ("nominated", 571), ("channel_bind_retransmitted", 578), ("relay_released", 585, 594),
        ("nonstandard_sdp", 598, 608), ("call_answered", 608), ("call_ended", 3541),
        ("relay_ready", 482, 589), ("direct_ready", 557), ("invite", 598), ("ringing", 604),
        ("first_media", 625, 626, 627, 629)),
    "facetime-dropmidcall": numbered(
        ("connectivity_check", 73, 75), ("call_started", 92, 9600), ("reserved_allocation", 92, 9600),
        ("early_channel_data", 101, 9609), ("legacy_username", 101, 9609), ("nominated", 107, 136, 9630),
        ("nonstandard_sdp", 110, 115, 9634, 9637), ("call_answered", 115, 9637), ("path_switch", 149, 151, 6893),
        ("relay_released", 150, 9971), ("call_ended", 9598, 9960), ("call_restarted", 9608),
        ("bye_retransmitted", 9605, 9623, 9633), ("bye_unanswered", 9633), ("binding_retransmitted", 9619, 9624),
        ("released_channel_used", 6893, 9598, 9605, 9623, 9633), ("media_on_both_paths", 6893),
        ("relay_ready", 103, 9611), ("invite", 110, 9634), ("ringing", 114, 9636), ("direct_ready", 135),
        ("first_media", 117, 118, 119, 126, 9639, 9640, 9642, 9643)),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_of_the_truth_are_the_expected_ones(name):
    """But for the many copies of session 5, which have a test of their own."""
    truth = generate.build(name).truth
    told = {n: set(f["events"]) for n, f in truth.items() if f["events"] and not (f.get("copy_of") and n != 6893)}
    assert told == EVENTS[name]
    assert all(len(f["events"]) == len(set(f["events"])) for f in truth.values())


def test_session_5_copies_are_told_one_by_one():
    """From the bytes: every RTP packet in ChannelData after 6893 is a copy of one sent directly."""
    truth = generate.build("facetime-dropmidcall").truth
    linktype, frames = blocks("facetime-dropmidcall")
    sent, copies = set(), set()
    for number in range(6217, 9598):
        data = udp_payload(linktype, frames[number - 1].data)
        if data is None or frames[number - 1].data[26:30] != bytes(map(int, CLIENT.split("."))):
            continue
        if data[:2] == b"\x40\x02":
            assert data[4:] in sent, number
            copies.add(number)
        sent.add(data)
    told = {n for n, f in truth.items() if "media_on_both_paths" in f["events"]}
    assert told == copies and len(copies) > 1000
    assert {n for n, f in truth.items() if "released_channel_used" in f["events"]} == copies | {9598, 9605, 9623, 9633}


# --- the builders, against bytes written down elsewhere ------------------------------------------------------------

class Fixed:
    """Candidates of the hand-made examples."""
    mine = stun.Candidate(stun.HOST, ("192.168.1.5", 16402), 0x12345678)
    other = stun.Candidate(stun.SERVER_REFLEXIVE, ("203.0.113.7", 16402), 0x23456789)


def test_binding_messages_match_the_hand_made_ones():
    """The examples of the fact sheet, 8.3, but for its relayed list's priorities written out by hand here too."""
    txid = bytes.fromhex("000127f10e4a55c331b2a07d")
    response = stun.binding_response(txid, Fixed.other, Fixed.mine, ("17.0.2.9", 3489), 0xA1B2C3D4, 0)
    response = response[:-4] + struct.pack("!I", 0x147)
    assert response.hex() == (
        "010100442112a442000127f10e4a55c331b2a07d" "0006001423456789000000000000" "12345678000000000000"
        "0001000800010da111000209" "8001000400000001" "800300040000006d" "80040004a1b2c3d4" "8005000400000147")
    request = stun.binding_request(txid, Fixed.mine, Fixed.other, True, 0x3C4D5E6F, 0xA1B2C3D4)
    assert request[20:].hex() == (
        "0006001412345678000000000000" "23456789000000000000" "8001000400000001" "800300040000006d"
        "80040004a1b2c3d4" "802a0008000000003c4d5e6f")


def test_turn_messages_match_the_hand_made_ones():
    txid, token = bytes.fromhex("00031a2b3c4d5e6f10203040"), bytes.fromhex("0011223344556677")
    request = stun.allocate_request(txid, token, ("17.0.2.9", 16385), bytes(range(20)))
    assert request.hex() == (
        "000300402112a44200031a2b3c4d5e6f10203040" "0019000411000000" "002200080011223344556677"
        "00160008000161133012a64b" "000d00040000003c" "00080014" + bytes(range(20)).hex())
    txid = bytes.fromhex("00041a2b3c4d5e6f10203040")
    assert stun.refresh_request(txid, 0).hex() == "000400082112a44200041a2b3c4d5e6f10203040" "000d000400000000"


def test_candidate_list_matches_the_hand_made_one():
    call_id = 0x01020304
    entries = [stun.Candidate(stun.HOST, ("192.168.1.5", 16402), 0x12345678, call_id),
               stun.Candidate(stun.SERVER_REFLEXIVE, ("203.0.113.7", 16402), 0x23456789, call_id)]
    value = stun.candidates(entries).value
    # 0 at the entry's rank here, 1 in the fact sheet; its ports are little-endian: 16402 = 1240
    assert value.hex() == ("0001" "20" "0501a8c0" "077100cb" "11" "04030201" "12345678" "5a00" "00" "00" "00" "1240"
                           "13" "04030201" "23456789" "4600" "00" "00" "01" "1240")


@pytest.mark.parametrize("wire, expected", [
    (snatmap.snatmap(1, 0x2F317375, ("10.127.22.118", 16402), 0xAAAA), "000000012f3173750a7f16764012aaaa"),
    (snatmap.snatmap(2, 0x2F317375, ("166.198.24.114", 46256), 0xAAAA), "000000022f3173755939e78d4b4faaaa"),
    (snatmap.commnat_test(1, 0x3A1B2000), "0001000100201b3affffffffffffffff"),
    (snatmap.commnat_test(1, 0x3A1B2000 ^ snatmap.MAIN1), "0001000100704e6fffffffffffffffff"),
    (snatmap.commnat_test(1, 0x3A1B2000 ^ snatmap.COHORT), "000100010080b190ffffffffffffffff"),
    (snatmap.commnat_test(1, 0x3A1B2000 ^ snatmap.HAIRPIN), "0001000100d0e4c5ffffffffffffffff"),
    (snatmap.commnat_test(2, 0x3A1B2000, ("203.0.113.7", 50001)), "0001000200201b3a34ff8ef83caeffff"),
    (snatmap.commnat_report(1, 0x5EED1234, 0x112), "000200013412ed5efffffeedffffffff"),
    (modern.relay(b"", stream=0xE7A2, counter=0, count=True), "600000060241e7a20000"),
    (modern.relay(b"", stats=(5, 7864, 9, 4, 0, 0)), "6000000e0600" "00051eb80009000400000000"),
    (modern.relay(b"", attr=2, participant=bytes.fromhex("e2e484838139394e"), state=0), "6000000d80040002e2e484838139394e00"),
    (modern.relay(b"", link=0x5813, priority=1, count=True, opt_out=True), "600000052148015813"),
    (modern.relay(b"", attr=1, link=0x5812), "60000006a00000015812"),
    (modern.relay(b"", stream=0xFA12, streams=[0x194F, 0xFA13, 0x1950], priority=1, counter=0x61, count=True,
                  opt_out=True), "6000000e034bfa1203194ffa13195001" "0061"),
    (modern.relay(b"", link=0x5813, priority=1, probe=0x49, version=5, count=True, opt_out=True,
                  participant=bytes.fromhex("959a7033b7526469")), "60000010217c959a7033b75264690100490" "55813"),
])
def test_sixteen_bytes_and_relay_headers_match_the_fact_sheets(wire, expected):
    assert wire.hex() == expected


def test_ntp_short_is_the_middle_of_ntp_time():
    """1970 is 2208988800 s after 1900; 0.5 s is 0x8000."""
    assert rtp.ntp_short(1_500_000) == (2208988801 & 0xFFFF) << 16 | 0x8000
