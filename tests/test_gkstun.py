# SPDX-License-Identifier: GPL-2.0-or-later
"""STUN, TURN and ChannelData of FaceTime: packet-gkstun.c.

The messages are written out in hex (legacy: built from the layouts by hand; modern: bytes of the captures of 2023), and
so are the values expected of them.
"""

import ipaddress
import struct

import pytest

from support import Datagram, shared_captures, truncations

COOKIE = 0x2112A442
DEVICE, PEER, RELAY = ("10.0.0.2", 16402), ("203.0.113.7", 16402), ("17.0.2.9", 16385)

BINDING_REQUEST = bytes.fromhex("""
    0001006c 2112a442 000127f1 0e4a55c3 31b2a07d
    00060014 12345678 00000000 0000 23456789 00000000 0000
    80010004 00000001   80030004 0000006d   80040004 a1b2c3d4   802a0008 00000000 3c4d5e6f
    8009002b 0001 20 0501a8c0 077100cb
        11 04030201 12345678 5a00 01 00 00 1240
        13 04030201 23456789 4600 01 00 01 1240   00""")
BINDING_RESPONSE = bytes.fromhex("""
    01010044 2112a442 000127f1 0e4a55c3 31b2a07d
    00060014 23456789 00000000 0000 12345678 00000000 0000
    00010008 0001 0da1 11000209   80010004 00000001   80030004 0000006d   80040004 a1b2c3d4   80050004 00000147""")
NOMINATION = bytes.fromhex("""
    00010048 2112a442 000127f1 0e4a55c3 31b2a07d
    00060014 12345678 00000000 0000 23456789 00000000 0000
    80010004 00000001   80030004 0000006d   80040004 a1b2d000   802a0008 00000000 3c4d5e6f   00250000
    80080004 00000201""")
ALLOCATE = bytes.fromhex("""
    00030040 2112a442 00031a2b 3c4d5e6f 10203040
    00190004 11000000   00220008 0011223344556677   00160008 0001 6113 3012a64b   000d0004 0000003c
    00080014 000102030405060708090a0b0c0d0e0f10111213""")
REFRESH_RELEASE = bytes.fromhex("00040008 2112a442 00041a2b 3c4d5e6f 10203040   000d0004 00000000")

# Frames 338, 658, 664 and 3550 of the cellular capture of 2023
MODERN_REQUEST = bytes.fromhex("""
    00010034 2112a442 8fb874c0 d04f2a1b 7211464f
    80080010 b483041d34904c6ba61d40c7375acd81   80070004 00000005
    00080014 7db23fcdd0e9ca7b23ec590c213a57c5c4c4f872""")
MODERN_REQUEST_WITHOUT_LINK = bytes.fromhex("""
    00010020 2112a442 28dd0a5e 63e0692d f2191c64   80070004 00000005
    00080014 6183fb209a89d2fb5b870a43778f8c932398fc0e""")
MODERN_RESPONSE = bytes.fromhex("""
    01010054 2112a442 28dd0a5e 63e0692d f2191c64
    00200014 0002 6118 07155fd2844e91b16bcc63214bc51d6a   80230004 00000001   80240004 00000001
    80080010 b28d27c074064495a3fa051a8999fb1d   00080014 741205ca531dff672dd1fdd8b54d69066d365396""")
LINK_INDICATION = bytes.fromhex("""
    00170040 2112a442 b98088f2 7560ad94 cfc4af50   000c0004 00000000
    00130032 0005001e 00000000000000000000000000000000 00010002 0001
             00090014 33f2417619003a73d478649913a033b9038230b6 fe38""")
# Built from the description of the one that was captured
RELAY_ERROR = bytes.fromhex("""
    08130038 2112a442 01020304 05060708 00000000   000c0004 60000000
    0009001e 0000 0601 556e61626c6520746f2046696e64205061727469636970616e74 0000   00200008 0001 2b1b 2b12a440""")

GOLDEN = {"request": BINDING_REQUEST, "response": BINDING_RESPONSE, "nomination": NOMINATION, "allocate": ALLOCATE,
          "refresh": REFRESH_RELEASE, "modern request": MODERN_REQUEST,
          "modern request without link": MODERN_REQUEST_WITHOUT_LINK, "modern response": MODERN_RESPONSE,
          "link indication": LINK_INDICATION, "relay error": RELAY_ERROR}

APPLE_NUMBERS = (*range(0x8001, 0x800B), 0x8023, 0x8024)
# What stock calls the numbers that are Apple's here
FOREIGN_NAMES = ("ADDRESS-ERROR-CODE", "PASSWORD-ALGORITHMS", "ALTERNATE-DOMAIN", "ICMP", "MS-TURN", "MS-VERSION",
                 "MS Version", "ALTERNATE-SERVER", "Unknown8006")


def up(payload, **changes):
    return Datagram(*DEVICE, *PEER, payload, **changes)


def down(payload, **changes):
    return Datagram(*PEER, *DEVICE, payload, **changes)


def to_relay(payload, **changes):
    return Datagram(*DEVICE, *RELAY, payload, **changes)


def attribute(number, value=b"", length=None):
    """length: what it says, where that is a lie."""
    told = len(value) if length is None else length
    return struct.pack("!HH", number, told) + value + bytes(-len(value) % 4)


def message(bits, *attributes, txid=bytes.fromhex("000127f10e4a55c331b2a07e"), length=None):
    body = b"".join(attributes)
    return struct.pack("!HHI", bits, len(body) if length is None else length, COOKIE) + txid + body


def check(*attributes, **how):
    """A legacy check, with these attributes behind USERNAME and 0x8001, so that it is FaceTime's whatever they are."""
    return message(1, attribute(6, bytes.fromhex("12345678000000000000" "23456789000000000000")),
                   attribute(0x8001, bytes(3) + b"\1"), attribute(0x8003, bytes(3) + b"\x6d"), *attributes, **how)


def channel_data(channel, payload, length=None, padding=b""):
    return struct.pack("!HH", channel, len(payload) if length is None else length) + payload + padding


def candidates(entries=b"", v4=(), v6=(), counts=None):
    """0x8009. counts: the byte of counts, where that is a lie."""
    counts = len(v4) << 4 | len(v6) if counts is None else counts
    return (struct.pack("!HB", 1, counts) + b"".join(ipaddress.ip_address(a).packed[::-1] for a in v4)
            + b"".join(ipaddress.ip_address(a).packed for a in v6) + entries)


def candidate(kind=1, word=0x12345678, where=0, port=16402):
    return struct.pack("<BI", 0x10 | kind, 0x01020304) + struct.pack("!I", word) + \
        struct.pack("<HBBBH", 90, 1, 0, where, port)


def one(tshark, make_capture, frames, *fields, frame=-1, **how):
    """The fields of one packet of a capture."""
    return tshark.rows(make_capture(frames), *fields, **how)[frame]


def expert_names(tshark, capture, names=("bad_length", "bad_value", "truncated", "cut", "trailing", "unpadded",
                                         "unknown_attribute", "candidates_bad")):
    """Each packet's expert infos of gkstun."""
    rows = tshark.rows(capture, *(f"gkstun.{name}" for name in names))
    return [{name for name in names if row[f"gkstun.{name}"]} for row in rows]


# ---- golden messages ----

def test_binding_request(tshark, make_capture):
    row = one(tshark, make_capture, [up(BINDING_REQUEST)],
              "stun.type", "stun.length", "stun.cookie", "stun.id", "gkstun.txid.method", "gkstun.att.type",
              "gkstun.att.length", "gkstun.username.destination", "gkstun.username.destination_tag",
              "gkstun.username.source", "gkstun.username.source_tag", "gkstun.protocol", "gkstun.derived",
              "gkstun.ice_version", "gkstun.timestamp", "stun.att.tie-breaker", "stun.att.type", "stun.att.length",
              "facetime.kind", "facetime.generation", "facetime.path")
    assert row == {
        "stun.type": ["0x0001"], "stun.length": ["108"], "stun.cookie": ["2112a442"],
        "stun.id": ["000127f10e4a55c331b2a07d"], "gkstun.txid.method": ["0x0001"],
        "gkstun.att.type": ["0x8001", "0x8003", "0x8004", "0x8009"], "gkstun.att.length": ["4", "4", "4", "43"],
        "gkstun.username.destination": ["0x1234567800000000"], "gkstun.username.destination_tag": ["0"],
        "gkstun.username.source": ["0x2345678900000000"], "gkstun.username.source_tag": ["0"],
        "gkstun.protocol": ["1"], "gkstun.derived": [row["gkstun.derived"][0]], "gkstun.ice_version": ["109"],
        "gkstun.timestamp": [str(0xA1B2C3D4)], "stun.att.tie-breaker": ["000000003c4d5e6f"],
        "stun.att.type": ["0x0006", "0x8001", "0x8003", "0x8004", "0x802a", "0x8009"],
        "stun.att.length": ["20", "4", "4", "4", "8", "43"],
        "facetime.kind": ["1"], "facetime.generation": ["1"], "facetime.path": ["2"],
    }
    assert row["gkstun.derived"][0] in ("0", "False")


def test_candidate_list(tshark, make_capture):
    row = one(tshark, make_capture, [up(BINDING_REQUEST)],
              "gkstun.candidates.version", "gkstun.candidates.ipv4", "gkstun.candidate.type",
              "gkstun.candidate.protocol", "gkstun.candidate.call_id", "gkstun.candidate.id",
              "gkstun.candidate.priority", "gkstun.candidate.rank", "gkstun.candidate.flags",
              "gkstun.candidate.ipv4", "gkstun.candidate.port")
    assert row == {
        "gkstun.candidates.version": ["1"], "gkstun.candidates.ipv4": ["192.168.1.5", "203.0.113.7"],
        "gkstun.candidate.type": ["1", "3"], "gkstun.candidate.protocol": ["1", "1"],
        "gkstun.candidate.call_id": ["0x01020304"] * 2, "gkstun.candidate.id": ["0x12345678", "0x23456789"],
        "gkstun.candidate.priority": ["90", "70"], "gkstun.candidate.rank": ["1", "1"],
        "gkstun.candidate.flags": ["0x00", "0x00"], "gkstun.candidate.ipv4": ["192.168.1.5", "203.0.113.7"],
        "gkstun.candidate.port": ["16402", "16402"],
    }


def test_candidate_types_have_names(tshark, make_capture):
    capture = make_capture([up(BINDING_REQUEST), up(NOMINATION)])
    assert tshark.frames(capture, 'gkstun.candidate.type == "server-reflexive"') == [1]
    assert tshark.frames(capture, 'gkstun.candidate.type == "relayed"') == []


def test_candidates_over_ipv6_and_cellular(tshark, make_capture):
    listed = candidates(candidate(where=0x10) + candidate(7, 1, where=0x51, port=1) + candidate(where=0x40),
                        v4=["10.0.0.2"], v6=["2001:db8::1", "2001:db8::2"])
    row = one(tshark, make_capture, [up(check(attribute(0x8009, listed)))],
              "gkstun.candidate.ipv4", "gkstun.candidate.ipv6", "gkstun.candidate.cellular",
              "gkstun.candidate.type", "gkstun.candidates_bad")
    assert row["gkstun.candidate.ipv6"] == ["2001:db8::1", "2001:db8::2"]
    assert row["gkstun.candidate.ipv4"] == ["10.0.0.2"]
    assert [value in ("1", "True") for value in row["gkstun.candidate.cellular"]] == [False, True, True]
    assert row["gkstun.candidate.type"] == ["1", "7", "1"]
    assert row["gkstun.candidates_bad"] == []


def test_binding_response(tshark, make_capture):
    frames = [up(BINDING_REQUEST, time=0), down(BINDING_RESPONSE, time=0.1)]
    row = one(tshark, make_capture, frames, "stun.type", "gkstun.username.destination", "gkstun.username.source",
              "stun.att.family", "stun.att.port", "stun.att.ipv4", "gkstun.timestamp", "gkstun.delay", "gkstun.rtt",
              "stun.response-to", "stun.time", "stun.reqduplicate")
    assert float(row.pop("gkstun.rtt")[0]) == pytest.approx(0.1 - 0x147 / 65536, abs=2e-6)
    assert float(row.pop("stun.time")[0]) == pytest.approx(0.1, abs=2e-6)
    assert row == {
        "stun.type": ["0x0101"], "gkstun.username.destination": ["0x2345678900000000"],
        "gkstun.username.source": ["0x1234567800000000"], "stun.att.family": ["0x01"], "stun.att.port": ["3489"],
        "stun.att.ipv4": ["17.0.2.9"], "gkstun.timestamp": [str(0xA1B2C3D4)], "gkstun.delay": [str(0x147)],
        "stun.response-to": ["1"], "stun.reqduplicate": [],
    }


def test_response_is_linked_forward_on_the_second_pass(tshark, make_capture):
    capture = make_capture([up(BINDING_REQUEST), down(BINDING_RESPONSE)])
    assert tshark.values(capture, "stun.response-in", two_pass=True) == ["2"]


def test_nomination(tshark, make_capture):
    flags = ("derived", "primary", "replace_only", "bit_11")
    row = one(tshark, make_capture, [up(NOMINATION)], "gkstun.nomination", "gkstun.nomination.count",
              *(f"gkstun.nomination.{flag}" for flag in flags), "gkstun.nomination.other", "gkstun.link_id",
              "stun.att.type")
    assert row["gkstun.nomination"] == ["0x00000201"]
    assert row["gkstun.nomination.count"] == ["1"]
    assert [row[f"gkstun.nomination.{flag}"][0] in ("1", "True") for flag in flags] == [False, True, False, False]
    assert int(row["gkstun.nomination.other"][0], 0) == 0
    assert row["gkstun.link_id"] == []
    assert "0x0025" in row["stun.att.type"]


def test_nomination_with_the_checks_transaction_id_is_no_retransmission(tshark, make_capture):
    capture = make_capture([up(BINDING_REQUEST), up(BINDING_REQUEST), down(BINDING_RESPONSE), up(NOMINATION),
                            up(NOMINATION)])
    assert [row["stun.reqduplicate"] for row in tshark.rows(capture, "stun.reqduplicate")] == \
        [[], ["1"], [], [], ["4"]]


def test_derived_bit(tshark, make_capture):
    changed = BINDING_RESPONSE.replace(bytes.fromhex("8001000400000001"), bytes.fromhex("8001000400000103"))
    row = one(tshark, make_capture, [down(changed)], "gkstun.protocol", "gkstun.derived")
    assert row["gkstun.protocol"] == ["3"]
    assert row["gkstun.derived"][0] in ("1", "True")


def test_later_legacy_attributes(tshark, make_capture):
    extra = [attribute(0x8002, b"\xa1\xb2"), attribute(0x8006), attribute(0x8007, bytes(3) + b"\5"),
             attribute(0x800A, b"\x30\x03\x02\x01\x07")]
    row = one(tshark, make_capture, [up(check(*extra))], "gkstun.unknown_8002", "gkstun.qos", "gkstun.radio", "gkstun.ske",
              "stun.att.padding", "facetime.generation")
    assert row["gkstun.qos"][0] in ("1", "True")
    del row["gkstun.qos"]
    assert row == {"gkstun.unknown_8002": ["a1b2"], "gkstun.radio": ["5"], "gkstun.ske": ["3003020107"],
                   "stun.att.padding": ["2", "3"], "facetime.generation": ["1"]}


def test_modern_request(tshark, make_capture):
    row = one(tshark, make_capture, [up(MODERN_REQUEST)], "gkstun.link_id", "gkstun.radio", "gkstun.nomination",
              "stun.att.hmac", "stun.att.type", "gkstun.txid.method", "facetime.kind", "facetime.generation",
              "facetime.path")
    assert row == {
        "gkstun.link_id": ["b483041d-3490-4c6b-a61d-40c7375acd81"], "gkstun.radio": ["5"], "gkstun.nomination": [],
        "stun.att.hmac": ["7db23fcdd0e9ca7b23ec590c213a57c5c4c4f872"],
        "stun.att.type": ["0x8008", "0x8007", "0x0008"], "gkstun.txid.method": [], "facetime.kind": ["1"],
        "facetime.generation": ["2"], "facetime.path": ["2"],
    }


def test_modern_request_without_link_id_is_proof_too(tshark, make_capture):
    row = one(tshark, make_capture, [up(MODERN_REQUEST_WITHOUT_LINK)], "gkstun.radio", "facetime.generation")
    assert row == {"gkstun.radio": ["5"], "facetime.generation": ["2"]}


def test_modern_response(tshark, make_capture):
    row = one(tshark, make_capture, [down(MODERN_RESPONSE)], "stun.att.family", "stun.att.port", "stun.att.port-xord",
              "stun.att.ipv6", "stun.att.ipv6-xord", "gkstun.link_flags", "gkstun.data_so", "gkstun.link_id")
    assert row == {
        "stun.att.family": ["0x02"], "stun.att.port": ["16394"], "stun.att.port-xord": ["6118"],
        "stun.att.ipv6": ["2607:fb90:ac93:9bef:82c:a0c:b9dc:10e"],
        "stun.att.ipv6-xord": ["07155fd2844e91b16bcc63214bc51d6a"], "gkstun.link_flags": ["0x00000001"],
        "gkstun.data_so": ["0x00000001"], "gkstun.link_id": ["b28d27c0-7406-4495-a3fa-051a8999fb1d"],
    }


def test_relay_error(tshark, make_capture):
    row = one(tshark, make_capture, [Datagram("17.0.2.9", 3482, *DEVICE, RELAY_ERROR)], "stun.type", "stun.att.channelnum",
              "stun.att.error.class", "stun.att.error", "stun.att.error.reason", "facetime.kind", "facetime.path",
              "facetime.generation", "gkstun")
    assert row == {
        "stun.type": ["0x0813"], "stun.att.channelnum": ["0x6000"], "stun.att.error.class": ["6"],
        "stun.att.error": ["1"], "stun.att.error.reason": ["Unable to Find Participant"], "facetime.kind": ["2"],
        "facetime.path": ["3"], "facetime.generation": ["2"], "gkstun": [],
    }
    text = tshark.text(make_capture([Datagram("17.0.2.9", 3482, *DEVICE, RELAY_ERROR)]))
    assert "Relay Error Indication" in text and "601 Unable to Find Participant" in text


def test_link_message_stays_on_the_direct_path(tshark, make_capture):
    row = one(tshark, make_capture, [up(LINK_INDICATION)], "stun.type", "stun.att.channelnum", "stun.value",
              "facetime.kind", "facetime.path", "facetime.generation")
    assert row == {"stun.type": ["0x0017"], "stun.att.channelnum": ["0x0000"],
                   "stun.value": [LINK_INDICATION[32:82].hex()], "facetime.kind": ["10"], "facetime.path": ["2"],
                   "facetime.generation": ["2"]}


def test_data_indication_from_a_peer_is_relayed(tshark, make_capture):
    wrapped = message(0x0017, attribute(0x12, bytes.fromhex("0001 6113") + bytes(
        a ^ b for a, b in zip(bytes([17, 0, 2, 9]), COOKIE.to_bytes(4, "big")))), attribute(0x13, BINDING_REQUEST))
    frames = [to_relay(ALLOCATE), to_relay(b"").reply(wrapped)]
    row = one(tshark, make_capture, frames, "stun.type", "stun.att.ipv4", "stun.att.port", "gkstun.timestamp",
              "facetime.kind", "facetime.path", "facetime.peer.ipv4", "facetime.peer.port",
              "facetime.channel_setup_frame")
    assert row == {"stun.type": ["0x0017", "0x0001"], "stun.att.ipv4": ["17.0.2.9"], "stun.att.port": ["16385"],
                   "gkstun.timestamp": [str(0xA1B2C3D4)], "facetime.kind": ["1"], "facetime.path": ["1"],
                   "facetime.peer.ipv4": ["17.0.2.9"], "facetime.peer.port": ["16385"],
                   "facetime.channel_setup_frame": []}


def test_message_without_apples_attributes_is_stocks(tshark, stock, make_capture):
    capture = make_capture([to_relay(ALLOCATE), to_relay(REFRESH_RELEASE)])
    ours, theirs = (t.text(capture, "-O", "stun") for t in (tshark, stock))
    shown = theirs.split("Session Traversal Utilities for NAT")[1:]
    assert len(shown) == 2
    for tree in shown:
        assert tree.split("\nFrame ")[0].strip() in ours
    rows = tshark.rows(capture, "gkstun.txid.method", "facetime.kind", "facetime.path", "facetime.generation")
    assert [row["gkstun.txid.method"] for row in rows] == [["0x0003"], ["0x0004"]]
    assert [row["facetime.kind"] + row["facetime.path"] + row["facetime.generation"] for row in rows] == \
        [["2", "3", "1"]] * 2


def test_no_foreign_name_and_nothing_red(tshark, make_capture):
    capture = make_capture([up(m) for m in GOLDEN.values()])
    text = tshark.text(capture, "-O", "stun,gkstun")
    assert not [name for name in FOREIGN_NAMES if name in text]
    assert "Unknown attribute" not in text
    assert tshark.frames(capture, "_ws.malformed || stun.unknown_attribute || gkstun.unknown_attribute") == []
    assert expert_names(tshark, capture) == [set()] * len(GOLDEN)


def test_every_apple_number_has_a_name_of_apples(tshark, make_capture):
    lengths = {0x8002: 4, 0x8006: 0, 0x8009: 3, 0x800A: 4}
    capture = make_capture([up(check(*(attribute(n, bytes(lengths.get(n, 4))) for n in APPLE_NUMBERS)))])
    assert tshark.values(capture, "gkstun.att.type")[2:] == [f"{n:#06x}" for n in APPLE_NUMBERS]
    text = tshark.text(capture, "-O", "stun,gkstun")
    assert not [name for name in FOREIGN_NAMES if name in text]
    assert expert_names(tshark, capture) == [set()]


def test_columns(tshark, make_capture):
    lines = tshark.lines(make_capture([up(NOMINATION), down(BINDING_RESPONSE), up(MODERN_REQUEST)]))
    assert lines[0].split(" STUN ")[1].endswith("Binding Request user: 12345678.00000000.0-23456789.00000000.0 nomination")
    assert lines[1].endswith("Binding Success Response user: 23456789.00000000.0-12345678.00000000.0 "
                             "MAPPED-ADDRESS: 17.0.2.9:3489")
    assert lines[2].split(" STUN ")[1].endswith("Binding Request")


def test_stun_filters_find_apples_attributes(tshark, make_capture):
    capture = make_capture([up(BINDING_REQUEST), down(BINDING_RESPONSE), up(NOMINATION)])
    assert tshark.frames(capture, "stun.att.type == 0x8009") == [1]
    assert tshark.frames(capture, "stun.attribute == 0x8005") == [2]
    assert tshark.frames(capture, "gkstun.att.type == 0x8008") == [3]
    assert tshark.frames(capture, 'gkstun.att.type == "CANDIDATE-LIST"') == [1]
    assert tshark.frames(capture, "gkstun && stun && ip.dst_host == 203.0.113.7") == [1, 3]


def test_one_pass_equals_two(tshark, make_capture):
    frames = [up(BINDING_REQUEST), up(BINDING_REQUEST), down(BINDING_RESPONSE), up(NOMINATION), up(MODERN_REQUEST),
              to_relay(ALLOCATE), to_relay(channel_data(0x4002, BINDING_REQUEST)),
              to_relay(b"").reply(channel_data(0x4002, BINDING_RESPONSE))]
    capture = make_capture(frames)

    def shown(**how):
        return [line for line in tshark.lines(capture, "-V", **how) if "Response In" not in line and "nown from frame" not in line]
    assert shown() == shown(two_pass=True)


def test_stock_display(tshark, make_capture):
    capture = make_capture([up(BINDING_REQUEST)])
    text = tshark.text(capture, "-V", prefs={"gkstun.stock_display": True})
    assert "ADDRESS-ERROR-CODE" in text     # stock's name for 0x8001
    row = tshark.rows(capture, "gkstun.att.type", "gkstun.username.source", "gkstun.candidate.port", "stun.id",
                      prefs={"gkstun.stock_display": True})[0]
    assert row == {"gkstun.att.type": ["0x8001", "0x8003", "0x8004", "0x8009"],
                   "gkstun.username.source": ["0x2345678900000000"], "gkstun.candidate.port": ["16402", "16402"],
                   "stun.id": ["000127f10e4a55c331b2a07d"]}


def test_proof_by_a_link_id_beside_unknown_attributes(tshark, make_capture):
    newer = message(1, attribute(0x8008, bytes.fromhex("b483041d34904c6ba61d40c7375acd81")), attribute(0xDABA, bytes(4)),
                    attribute(8, bytes(20)))
    assert tshark.values(make_capture([up(newer)]), "facetime.generation") == ["2"]


def test_check_of_2010_is_proof(tshark, make_capture):
    """Without 0x8003 and what came with it; the transaction id tells the method."""
    old = message(1, attribute(6, BINDING_REQUEST[24:44]), attribute(0x8001, b"\0\0\0\1"), attribute(0x802A, bytes(8)))
    assert tshark.values(make_capture([up(old)]), "facetime.generation") == ["1"]


# ---- round trip times ----

def test_round_trip_of_the_transmission_that_was_answered(tshark, make_capture):
    again = BINDING_REQUEST.replace(bytes.fromhex("a1b2c3d4"), bytes.fromhex("a1b343d4"))    # half a second later
    answer = BINDING_RESPONSE.replace(bytes.fromhex("a1b2c3d4"), bytes.fromhex("a1b343d4"))
    frames = [up(BINDING_REQUEST, time=0), up(again, time=0.5), down(answer, time=0.54)]
    row = one(tshark, make_capture, frames, "gkstun.rtt", "stun.time")
    assert float(row["gkstun.rtt"][0]) == pytest.approx(0.04 - 0x147 / 65536, abs=2e-6)
    assert float(row["stun.time"][0]) == pytest.approx(0.54, abs=2e-6)


def stamped(golden, stamp):
    """A message of the check's transaction id with another timestamp of the same length."""
    old = golden[golden.index(bytes.fromhex("80040004")):][:8]
    return golden.replace(old, bytes.fromhex("80040004") + struct.pack("!I", stamp))


def test_an_answer_goes_to_the_request_whose_timestamp_it_echoes(tshark, make_capture):
    """A check, its repeat, an answer, the nomination with their transaction id; then the late answer to the repeat, and
    the nomination's own."""
    frames = [up(stamped(BINDING_REQUEST, 0x10000), time=0), up(stamped(BINDING_REQUEST, 0x11000), time=0.1),
              down(stamped(BINDING_RESPONSE, 0x10000), time=0.15), up(stamped(NOMINATION, 0x12000), time=0.16),
              down(stamped(BINDING_RESPONSE, 0x11000), time=0.25), down(stamped(BINDING_RESPONSE, 0x12000), time=0.31)]
    capture = make_capture(frames)
    fields = "stun.response-to", "stun.time", "gkstun.rtt", "stun.reqduplicate"
    delay = 0x147 / 65536
    for two_pass in (False, True):
        rows = tshark.rows(capture, *fields, two_pass=two_pass)
        assert [row["stun.response-to"] for row in rows] == [[], [], ["1"], [], ["1"], ["4"]]
        for row, time, rtt in ((rows[2], 0.15, 0.15), (rows[4], 0.25, 0.15), (rows[5], 0.15, 0.15)):
            assert float(row["stun.time"][0]) == pytest.approx(time, abs=2e-6)
            assert float(row["gkstun.rtt"][0]) == pytest.approx(rtt - delay, abs=2e-6)
        assert [row["stun.reqduplicate"] for row in rows] == [[], ["1"], [], [], ["3"], []]
    assert tshark.values(capture, "stun.response-in", two_pass=True) == ["3", "3", "6"]
    nominated = tshark.rows(capture, "facetime.event", "facetime.event.frame", two_pass=True)[3]
    assert nominated == {"facetime.event": ["nominated"], "facetime.event.frame": ["6"]}


def test_hole_punched_by_a_repeat(tshark, make_capture):
    """The answer's timestamp is the third transmission's: two had been lost. Where it is the first's, none had."""
    stamps = 0x10000, 0x18000, 0x20000
    for answered, told in ((0x20000, [("hole_punched", "3")]), (0x10000, [])):
        frames = [up(stamped(BINDING_REQUEST, stamp), time=n / 2) for n, stamp in enumerate(stamps)]
        capture = make_capture([*frames, down(stamped(BINDING_RESPONSE, answered), time=1.05)])
        row = tshark.rows(capture, "facetime.event", "facetime.event.frame")[-1]
        events = zip(row["facetime.event"], row["facetime.event.frame"], strict=True)
        assert [event for event in events if event[0] != "direct_ready"] == told


def test_a_copy_of_a_request_after_its_answer_is_answered_too(tshark, make_capture):
    """Sent again with the same timestamp: a copy that the network made."""
    capture = make_capture([up(BINDING_REQUEST), down(BINDING_RESPONSE), up(BINDING_REQUEST), down(BINDING_RESPONSE),
                            down(BINDING_RESPONSE)])
    for two_pass in (False, True):
        assert [row["stun.response-to"] for row in tshark.rows(capture, "stun.response-to", two_pass=two_pass)] == \
            [[], ["1"], [], ["3"], ["3"]]


@pytest.mark.parametrize("frames", [
    pytest.param([down(BINDING_RESPONSE)], id="no request"),
    pytest.param([up(BINDING_REQUEST.replace(bytes.fromhex("a1b2c3d4"), bytes(4))), down(BINDING_RESPONSE)],
                 id="another timestamp"),
    pytest.param([up(BINDING_REQUEST, time=0), down(BINDING_RESPONSE, time=0.001)], id="less than the delay"),
    pytest.param([up(BINDING_REQUEST, time=0), down(BINDING_RESPONSE, time=61)], id="over a minute"),
])
def test_no_round_trip(tshark, make_capture, frames):
    capture = make_capture(frames)
    assert tshark.values(capture, "gkstun.delay") == [str(0x147)]
    assert tshark.values(capture, "gkstun.rtt") == []


# ---- ChannelData ----

CHANNEL_BIND = message(9, attribute(0xC, bytes.fromhex("40020000")),
                       attribute(0x12, bytes.fromhex("0001 6100 ea12d545")), attribute(8, bytes(20)),
                       txid=bytes.fromhex("000927f10e4a55c331b2a07d"))      # peer 203.0.113.7:16402


def test_channel_data(tshark, make_capture):
    frames = [to_relay(ALLOCATE), to_relay(CHANNEL_BIND), to_relay(channel_data(0x4002, BINDING_REQUEST)),
              to_relay(b"").reply(channel_data(0x4002, BINDING_RESPONSE))]
    rows = tshark.rows(make_capture(frames), "stun.channel", "stun.length", "facetime.path", "facetime.kind",
                       "facetime.peer.ipv4", "facetime.peer.port", "facetime.channel_setup_frame", "stun.response-to",
                       "gkstun.timestamp")
    assert rows[2:] == [
        {"stun.channel": ["0x4002"], "stun.length": ["128", "108"], "facetime.path": ["1"], "facetime.kind": ["1"],
         "facetime.peer.ipv4": ["203.0.113.7"], "facetime.peer.port": ["16402"], "facetime.channel_setup_frame": ["2"],
         "stun.response-to": [], "gkstun.timestamp": [str(0xA1B2C3D4)]},
        {"stun.channel": ["0x4002"], "stun.length": ["88", "68"], "facetime.path": ["1"], "facetime.kind": ["1"],
         "facetime.peer.ipv4": ["203.0.113.7"], "facetime.peer.port": ["16402"], "facetime.channel_setup_frame": ["2"],
         "stun.response-to": ["3"], "gkstun.timestamp": [str(0xA1B2C3D4)]}]


def bind(number, channel=0x4002, lifetime=None):
    """A ChannelBind to 203.0.113.7:16402 with a transaction id of its own."""
    told = [] if lifetime is None else [attribute(0xD, struct.pack("!I", lifetime))]
    return to_relay(message(9, attribute(0xC, struct.pack("!HH", channel, 0)),
                            attribute(0x12, bytes.fromhex("0001 6100 ea12d545")), *told, attribute(8, bytes(20)),
                            txid=bind_id(number)))


def bind_id(number):
    return bytes.fromhex("00090000 00000000") + struct.pack("!I", number)


def bound(number):
    return to_relay(b"").reply(message(0x109, txid=bind_id(number)))


def refused(number, code=437):
    return to_relay(b"").reply(message(0x119, attribute(9, struct.pack("!HBB", 0, *divmod(code, 100)) + b"Mismatch"),
                                       txid=bind_id(number)))


USE = to_relay(channel_data(0x4002, BINDING_REQUEST))
CHANNEL_EVENTS = ("early_channel_data", "released_channel_used", "relay_released", "allocation_mismatch",
                  "channel_bind_retransmitted")


ALLOCATED = to_relay(b"").reply(message(0x103, attribute(0x20, bytes.fromhex("0001 6113 ea12d545")), txid=ALLOCATE[8:20]))


def test_nothing_is_early_where_answers_are_not_captured(tshark, make_capture):
    """Of the relay nothing was heard: its answer to the bind may have come."""
    capture = make_capture([to_relay(ALLOCATE), bind(1), USE, USE])
    assert not [e for e in tshark.values(capture, "facetime.event") if "early" in e]


@pytest.mark.parametrize("frames, told", [
    pytest.param([bind(1), USE, bound(1), USE], {2: "early_channel_data"}, id="bound"),
    pytest.param([bind(1), refused(1), USE], {2: "allocation_mismatch"}, id="refused"),
    pytest.param([bind(1), refused(1), bind(2), USE, bound(2), USE, USE],
                 {2: "allocation_mismatch", 4: "early_channel_data"}, id="refused, then bound"),
    pytest.param([bind(1), USE, bind(2), USE, bound(2), USE],
                 {2: "early_channel_data", 4: "early_channel_data"}, id="never answered, then bound"),
    pytest.param([bind(1), bind(2), bound(1), USE, bound(2), USE], {}, id="two under way, the first answered first"),
    pytest.param([bind(1), bound(1), bind(2), USE, refused(2), USE], {5: "allocation_mismatch"},
                 id="bound, and refused when asked again"),
    pytest.param([bind(1), bind(1), USE, bound(1), USE], {2: "channel_bind_retransmitted", 3: "early_channel_data"},
                 id="sent again"),
    pytest.param([bind(1), bound(1), bind(2, 0x4003), bound(2), bind(3, lifetime=0), USE, bound(3), USE,
                  to_relay(channel_data(0x4003, BINDING_RESPONSE))],
                 {5: "relay_released", 8: "released_channel_used"}, id="one of two channels released, when answered"),
    pytest.param([bind(1), bound(1), bind(2, lifetime=0), bind(3), bound(2), USE, bound(3), USE],
                 {3: "relay_released", 6: "early_channel_data"},
                 id="bound again before the release is answered"),
])
def test_channel_used_as_its_binds_are_answered(tshark, make_capture, frames, told):
    """Early is what a channel carries before any answer to its bind; told: frame to event, behind an allocation."""
    capture = make_capture([to_relay(ALLOCATE), ALLOCATED] + frames)
    for two_pass in (False, True):
        rows = tshark.rows(capture, "facetime.event", two_pass=two_pass)[2:]
        assert {number: name for number, row in enumerate(rows, 1) for name in row["facetime.event"]
                if name in CHANNEL_EVENTS} == told


def test_channel_is_set_up_by_the_bind_that_was_not_refused(tshark, make_capture):
    capture = make_capture([to_relay(ALLOCATE), bind(1), refused(1), USE, bind(2), bound(2), USE])
    for two_pass in (False, True):
        assert [row["facetime.channel_setup_frame"] for row in
                tshark.rows(capture, "facetime.channel_setup_frame", two_pass=two_pass)] == \
            [[], [], [], ["2"], [], [], ["5"]]


def test_reserved_allocation_without_a_lifetime(tshark, make_capture):
    lifetime = bytes.fromhex("000d0004 0000003c")
    without = ALLOCATE.replace(lifetime, b"").replace(bytes.fromhex("00030040"), bytes.fromhex("00030038"))
    rows = tshark.rows(make_capture([to_relay(ALLOCATE), to_relay(without)]), "_ws.expert.message")
    for row, end in zip(rows, ("that signalling reserved, for 60 s", "that signalling reserved"), strict=True):
        assert any(text.endswith(end) for text in row["_ws.expert.message"])


def test_channel_data_is_proof_by_what_it_carries(tshark, make_capture):
    capture = make_capture([to_relay(channel_data(0x4002, BINDING_REQUEST)), to_relay(channel_data(0x4002, b"whatever")),
                            Datagram("10.0.0.3", 16402, *RELAY, channel_data(0x4002, b"whatever"))])
    assert tshark.frames(capture, 'facetime.path == "relay"') == [1, 2]
    assert tshark.frames(capture, "gkstun.username.source") == [1]


def test_channel_data_of_unknown_content_is_data(tshark, make_capture):
    frames = [to_relay(ALLOCATE), to_relay(channel_data(0x4002, b"\0\0\0\7seven!!"))]
    row = one(tshark, make_capture, frames, "facetime.kind", "facetime.path", "data.data", "stun.channel")
    assert row == {"facetime.kind": ["14"], "facetime.path": ["1"], "data.data": [b"\0\0\0\7seven!!".hex()],
                   "stun.channel": ["0x4002"]}


def test_channel_data_may_be_padded_or_empty(tshark, make_capture):
    capture = make_capture([to_relay(ALLOCATE), to_relay(channel_data(0x4002, BINDING_REQUEST[:-1], padding=b"\0")),
                            to_relay(channel_data(0x4002, check() + b"", padding=b"")),
                            to_relay(channel_data(0x4002, b"12345", padding=b"abc")), to_relay(channel_data(0x4002, b""))])
    rows = tshark.rows(capture, "gkstun.padding", "gkstun.trailing", "facetime.kind", "facetime.path")
    assert rows[3] == {"gkstun.padding": [b"abc".hex()], "gkstun.trailing": [], "facetime.kind": ["14"],
                       "facetime.path": ["1"]}
    assert rows[4] == {"gkstun.padding": [], "gkstun.trailing": [], "facetime.kind": ["2"], "facetime.path": ["1"]}
    assert rows[1]["gkstun.padding"] == ["00"]


def test_indexes_of_ipv6_candidates_may_go_on_from_the_ipv4_ones(tshark, make_capture):
    """Which of both the index does is inferred, so neither is called bad; one that fits neither is."""
    both = ["2001:db8::1", "2001:db8::2"]
    for numbers, expected, bad in (((0, 1), both, False), ((1, 2), both, False), ((0, 2), both[:1], True),
                                   ((1, 3), both[1:], True)):
        listed = candidates(b"".join(candidate(where=0x10 | number) for number in numbers),
                            v4=["10.0.0.2"], v6=both)
        row = one(tshark, make_capture, [up(check(attribute(0x8009, listed)))], "gkstun.candidate.ipv6",
                  "gkstun.candidates_bad")
        assert (row["gkstun.candidate.ipv6"], bool(row["gkstun.candidates_bad"])) == (expected, bad)


def test_only_modern_radios_have_names(tshark, make_capture):
    capture = make_capture([up(check(attribute(0x8007, bytes(3) + b"\5"))),
                            Datagram("10.0.0.3", 16402, *PEER, MODERN_REQUEST)])
    legacy, modern = (tshark.text(capture, "-V", filter=f"facetime.generation == {name}") for name in (1, 2))
    assert "Radio Access Technology: 5\n" in legacy and "RADIO-ACCESS-TECHNOLOGY: 5\n" in legacy
    assert "cellular (5)" in modern.lower()


# ---- bad input ----

def claimed(frames):
    """The flow is claimed first, so that what follows needs no proof of its own."""
    return [up(check())] + frames


@pytest.mark.parametrize("number,lengths", [
    (0x8001, (0, 1, 3, 5, 8)), (0x8003, (0, 3, 5)), (0x8004, (0, 2, 8)), (0x8005, (0, 3, 8)), (0x8006, (1, 4)),
    (0x8007, (0, 3, 5)), (0x8008, (0, 3, 5, 15, 17, 20)), (0x8009, (0, 1, 2)), (0x8023, (0, 3, 5)), (0x8024, (0, 8))])
def test_apple_attribute_of_a_wrong_length(tshark, make_capture, number, lengths):
    values = [bytes(range(1, length + 1)) for length in lengths]
    tail = attribute(0x802A, bytes.fromhex("000000003c4d5e6f"))
    capture = make_capture(claimed([up(check(attribute(number, v), tail)) for v in values]))
    rows = tshark.rows(capture, "gkstun.bad_length", "gkstun.att.value", "gkstun.att.type", "stun.att.tie-breaker",
                       "_ws.malformed")[1:]
    for row, value in zip(rows, values, strict=True):
        assert len(row["gkstun.bad_length"]) == 1
        assert row["gkstun.att.value"] == ([value.hex()] if value else [])
        assert row["gkstun.att.type"] == ["0x8001", "0x8003", f"{number:#06x}"]
        assert row["stun.att.tie-breaker"] == ["000000003c4d5e6f"]
        assert row["_ws.malformed"] == []


def test_standard_attribute_of_a_wrong_length(tshark, make_capture):
    wrong = [(1, 7), (1, 21), (8, 19), (9, 3), (0xC, 2), (0xD, 5), (0x12, 4), (0x20, 21), (0x22, 7), (0x25, 1),
             (0x8029, 4), (0x802A, 9), (0x8028, 3)]
    capture = make_capture(claimed([up(check(attribute(n, b"\1" * length))) for n, length in wrong]))
    rows = tshark.rows(capture, "stun.value", "gkstun.protocol")[1:]
    assert rows == [{"stun.value": ["01" * length], "gkstun.protocol": ["1"]} for _, length in wrong]
    assert expert_names(tshark, capture)[1:] == [{"bad_length"}] * len(wrong)


def test_address_of_a_wrong_family(tshark, make_capture):
    values = [bytes.fromhex(v) for v in ("0002 0da1 11000209", "0003 0da1 11000209", "0001 0da1 1100020911000209",
                                         "0001 0da1" + "00" * 16)]
    capture = make_capture(claimed([up(check(attribute(1, v), attribute(0x20, v))) for v in values]))
    rows = tshark.rows(capture, "stun.value", "gkstun.bad_value", "gkstun.bad_length", "stun.att.port")[1:]
    for row, value in zip(rows, values, strict=True):
        assert row["stun.value"] == [value.hex()] * 2
        assert len(row["gkstun.bad_value"] + row["gkstun.bad_length"]) == 2
        assert row["stun.att.port"] == []


def test_unknown_attribute_is_shown_by_its_number(tshark, make_capture):
    row = one(tshark, make_capture, [up(check(attribute(0xDABA, b"\1\2\3\4"), attribute(0x0101, b"\5")))],
              "stun.att.type", "stun.value", "gkstun.unknown_attribute")
    assert row["stun.att.type"][-2:] == ["0xdaba", "0x0101"]
    assert row["stun.value"] == ["01020304", "05"]
    assert len(row["gkstun.unknown_attribute"]) == 2


@pytest.mark.parametrize("list_bytes,shown,why", [
    pytest.param(candidates(candidate(), v4=["10.0.0.2"], counts=0xF0), 0, "more addresses", id="IPv4 count"),
    pytest.param(candidates(candidate(), v4=["10.0.0.2"], counts=0x1F), 0, "more addresses", id="IPv6 count"),
    pytest.param(candidates(candidate(where=1), v4=["10.0.0.2"]), 1, "index", id="index"),
    pytest.param(candidates(candidate(where=0x10), v4=["10.0.0.2"]), 1, "index", id="no IPv6 address"),
    pytest.param(candidates(candidate() + candidate()[:-1], v4=["10.0.0.2"]), 1, "incomplete", id="incomplete"),
    pytest.param(candidates(candidate() * 33, v4=["10.0.0.2"]), 32, "more than 32", id="33 candidates"),
    pytest.param(candidates(candidate() * 85, v4=["10.0.0.2"]), 32, "more than 32", id="85 candidates"),
])
def test_bad_candidate_list(tshark, make_capture, list_bytes, shown, why):
    tail = attribute(0x8007, bytes(3) + b"\5")
    capture = make_capture([up(check(attribute(0x8009, list_bytes), tail))])
    row = tshark.rows(capture, "gkstun.candidate.id", "gkstun.candidates.version", "gkstun.radio", "_ws.malformed")[0]
    assert row == {"gkstun.candidate.id": ["0x12345678"] * shown, "gkstun.candidates.version": ["1"],
                   "gkstun.radio": ["5"], "_ws.malformed": []}
    text = tshark.text(capture, "-V", filter="gkstun.candidates_bad")
    assert why in text


def test_rest_of_a_bad_candidate_list_is_shown(tshark, make_capture):
    listed = candidates(candidate() + b"\1\2\3", v4=["10.0.0.2"])
    assert one(tshark, make_capture, [up(check(attribute(0x8009, listed)))], "gkstun.att.value") == \
        {"gkstun.att.value": ["010203"]}


def test_attribute_longer_than_the_message(tshark, make_capture):
    lies = [attribute(0x8004, b"\1\2\3\4", length=n) for n in (5, 8, 9, 1000, 0xFFFF)]
    capture = make_capture(claimed([up(check(lie)) for lie in lies]))
    rows = tshark.rows(capture, "gkstun.truncated", "gkstun.att.value", "gkstun.username.source", "gkstun.ice_version",
                       "_ws.malformed")[1:]
    for row in rows:
        assert len(row["gkstun.truncated"]) == 1
        assert row["gkstun.att.value"] == ["01020304"]
        assert row["gkstun.username.source"] == ["0x2345678900000000"] and row["gkstun.ice_version"] == ["109"]
        assert row["_ws.malformed"] == []


def test_message_length_that_lies(tshark, make_capture):
    long, short, odd = (check(length=n) for n in (len(check()) - 20 + 4, len(check()) - 20 - 8, len(check()) - 20 - 3))
    capture = make_capture(claimed([up(long), up(short), up(odd)]))
    assert expert_names(tshark, capture) == [set(), {"truncated"}, {"trailing"}, {"truncated", "trailing", "unpadded"}]
    rows = tshark.rows(capture, "gkstun.trailing_bytes", "gkstun.username.source")[1:]
    assert rows[1]["gkstun.trailing_bytes"] == [check()[-8:].hex()]
    assert all(row["gkstun.username.source"] == ["0x2345678900000000"] for row in rows)


def test_messages_without_attributes(tshark, make_capture):
    capture = make_capture(claimed([up(message(bits)) for bits in (1, 0x101, 0x111, 0x11, 3, 0x813, 0x0EE0, 0x0FE1, 0x17)]))
    rows = tshark.rows(capture, "stun.type", "stun.length", "_ws.malformed")[1:]
    assert [int(row["stun.type"][0], 16) for row in rows] == [1, 0x101, 0x111, 0x11, 3, 0x813, 0x0EE0, 0x0FE1, 0x17]
    assert all(row["stun.length"] == ["0"] and not row["_ws.malformed"] for row in rows)


def test_thousands_of_empty_attributes(tshark, make_capture):
    capture = make_capture([up(check(attribute(0x8006) * 300 + attribute(0) * 300))])
    row = tshark.rows(capture, "gkstun.qos", "gkstun.unknown_attribute")[0]
    assert len(row["gkstun.qos"]) == 300 and len(row["gkstun.unknown_attribute"]) == 300


def test_channel_data_that_lies(tshark, make_capture):
    capture = make_capture([to_relay(ALLOCATE), to_relay(channel_data(0x4002, BINDING_REQUEST, padding=b"12")),
                            to_relay(channel_data(0x4002, BINDING_REQUEST), snap=100)])
    rows = tshark.rows(capture, "gkstun.trailing_bytes", "gkstun.username.source")
    assert expert_names(tshark, capture) == [set(), {"trailing"}, {"cut"}]
    assert rows[1:] == [{"gkstun.trailing_bytes": [b"12".hex()], "gkstun.username.source": ["0x2345678900000000"]},
                        {"gkstun.trailing_bytes": [], "gkstun.username.source": ["0x2345678900000000"]}]


def header_ends(golden):
    """Where the header of each attribute ends."""
    at = 20
    while at < len(golden):
        yield at + 4
        at += 4 + (struct.unpack_from("!H", golden, at + 2)[0] + 3) // 4 * 4


def all_cuts():
    """(golden message, how many of its bytes), for each length of each."""
    return [(golden, n) for golden in GOLDEN.values() for n in range(1, len(golden) + 1)]


@pytest.mark.parametrize("wrap", [bytes, lambda cut: channel_data(0x4002, cut)], ids=["direct", "in a channel"])
def test_every_truncation_of_a_sender(tshark, make_capture, wrap):
    capture = make_capture(claimed([up(wrap(golden[:n])) for golden, n in all_cuts()]))
    rows = tshark.rows(capture, "facetime", "stun.att.type", "_ws.malformed", "gkstun.truncated", "data.data")[1:]
    for row, (golden, n) in zip(rows, all_cuts(), strict=True):
        where = f"{n} bytes of {golden[:20].hex()}"
        assert row["facetime"] and not row["_ws.malformed"], where
        if n < 8 or n == 16:    # too short to tell what it is; the length of other protocols
            assert row["data.data"] == [golden[:n].hex()], where
            continue
        assert len(row["gkstun.truncated"]) >= 1 if n < len(golden) else not row["gkstun.truncated"], where
        if n >= 20:
            assert row["stun.att.type"] == [f"0x{golden[end - 4:end - 2].hex()}"
                                            for end in header_ends(golden) if end <= n], where


def test_every_length_that_a_capture_may_keep(tshark, make_capture):
    frames = [cut for golden in GOLDEN.values() for cut in truncations(up(golden), snapped=True)]
    capture = make_capture(claimed(frames))
    rows = tshark.rows(capture, "stun.type", "gkstun.cut", "gkstun.truncated", "_ws.malformed")[1:]
    for row, (golden, n) in zip(rows, all_cuts(), strict=True):
        where = f"{n} bytes of {golden[:20].hex()}"
        assert not row["gkstun.truncated"] and not row["_ws.malformed"], where
        if n >= 8:
            assert row["stun.type"][0] == f"0x{golden[:2].hex()}", where
            assert bool(row["gkstun.cut"]) == (n < len(golden)), where


def test_candidates_before_the_cut_are_shown(tshark, make_capture):
    """The value stands at offset 84 of the request: 11 bytes of head and addresses, then 16 a candidate."""
    capture = make_capture(claimed([up(BINDING_REQUEST[:84 + 11 + 16 * n + 3]) for n in (0, 1)]
                                   + [up(BINDING_REQUEST, snap=84 + 11 + 16 + 3)]))
    rows = tshark.rows(capture, "gkstun.candidates.ipv4", "gkstun.candidate.id", "gkstun.att.value")[1:]
    assert [row["gkstun.candidates.ipv4"] for row in rows] == [["192.168.1.5", "203.0.113.7"]] * 3
    assert [row["gkstun.candidate.id"] for row in rows] == [[], ["0x12345678"], ["0x12345678"]]
    assert [row["gkstun.att.value"] for row in rows] == [["110403"], ["130403"], ["130403"]]
    assert expert_names(tshark, capture) == [set(), {"truncated"}, {"truncated"}, {"cut"}]


def test_data_before_the_cut_is_shown(tshark, make_capture):
    wrapped = message(0x17, attribute(0x12, bytes.fromhex("0001 6113 3012a64b")), attribute(0x13, BINDING_REQUEST))
    frames = [to_relay(ALLOCATE), to_relay(b"").reply(wrapped[:-60]), to_relay(b"").reply(wrapped, snap=len(wrapped) - 60)]
    rows = tshark.rows(make_capture(frames), "gkstun.ice_version", "facetime.kind", "facetime.path")[1:]
    assert rows == [{"gkstun.ice_version": ["109"], "facetime.kind": ["1"], "facetime.path": ["1"]}] * 2


def test_messages_without_cookie(tshark, make_capture):
    """RFC 3489 had none: Apple's are shown under their names, plain ones by the stock dissector for them."""
    apple = check()[:4] + bytes(4) + check()[8:]
    plain = message(1, attribute(3, bytes(4)))
    plain = plain[:4] + bytes(4) + plain[8:]
    capture = make_capture(claimed([up(apple), up(plain)]))
    rows = tshark.rows(capture, "stun.cookie", "stun.id", "gkstun.ice_version", "classicstun.type")[1:]
    assert rows == [{"stun.cookie": [], "stun.id": [apple[4:20].hex()], "gkstun.ice_version": ["109"],
                     "classicstun.type": []},
                    {"stun.cookie": [], "stun.id": [], "gkstun.ice_version": [], "classicstun.type": ["0x0001"]}]


def test_nested_channels_end(tshark, make_capture):
    nested = BINDING_REQUEST
    for _ in range(40):
        nested = channel_data(0x4002, nested)
    capture = make_capture([to_relay(ALLOCATE), to_relay(nested)])
    assert len(tshark.rows(capture, "stun.channel")[1]["stun.channel"]) in range(2, 10)
    assert tshark.frames(capture, "gkstun.truncated") == []


def test_snapped_check_is_still_proof(tshark, make_capture):
    assert tshark.values(make_capture([up(BINDING_REQUEST, snap=72)]), "gkstun.ice_version") == ["109"]


# ---- innocents ----

def text_username(text=b"abcd:efghijklmnopqrs"):
    return attribute(6, text)


TXID = bytes.fromhex("b7e7a701bc34d686fa87dfae")
INNOCENTS = {
    "WebRTC check": message(1, text_username(b"evtj:h6vY"), attribute(0xC057, bytes.fromhex("0001000a")),
                            attribute(0x802A, bytes(8)), attribute(0x25), attribute(0x24, b"\x6e\x7f\x1e\xff"),
                            attribute(8, bytes(20)), attribute(0x8028, bytes(4)), txid=TXID),
    "WebRTC answer": message(0x101, attribute(0x20, bytes.fromhex("0001a147e112a643")), attribute(8, bytes(20)),
                             attribute(0x8028, bytes(4)), txid=TXID),
    "USERNAME of 20 characters": message(1, text_username(), attribute(0x8001, bytes(4)), attribute(0x8003, bytes(4)),
                                         txid=TXID),
    "MS-ICE2": message(1, text_username(), attribute(0x8070, b"\0\0\0\2"), attribute(0x8008, b"\0\0\0\2"),
                       attribute(0x24, bytes(4)), attribute(0x802A, bytes(8)), attribute(0x8054, b"1" * 32),
                       attribute(8, bytes(20)), attribute(0x8028, bytes(4)), txid=TXID),
    "MS-TURN": message(3, attribute(0xF, bytes.fromhex("72c64bc6")), attribute(0x8008, b"\0\0\0\6"),
                       attribute(0x8006, bytes(4)), attribute(0x8055, b"\0\1\0\1"), txid=TXID),
    "16 random bytes as MS-VERSION": message(1, attribute(0x8008, bytes(16)), attribute(8, bytes(20)), txid=TXID),
    "UUID among other attributes": message(1, attribute(0x8008, bytes.fromhex("b483041d34904c6ba61d40c7375acd81")),
                                           text_username(), attribute(8, bytes(20)), txid=TXID),
    "only a radio technology": message(1, attribute(0x8007, bytes(4)), txid=TXID),
    "a large radio technology": message(1, attribute(0x8007, b"\1\0\0\0"), attribute(8, bytes(20)), txid=TXID),
    "ALTERNATE-SERVER": message(0x113, attribute(9, b"\0\0\3\0"), attribute(0x8023, bytes.fromhex("00010d9611000209")),
                                txid=TXID),
    "Allocate": message(3, attribute(0x19, b"\x11\0\0\0"), attribute(0xD, b"\0\0\2\x58"), txid=TXID),
    "Allocate with a token": message(3, attribute(0x19, b"\x11\0\0\0"), attribute(0x22, bytes(8)),
                                     attribute(0xD, b"\0\0\2\x58"), txid=TXID),
    "Allocate answer": message(0x103, attribute(0x16, bytes.fromhex("000161133012a64b")), attribute(0x22, bytes(8)),
                               attribute(0xD, b"\0\0\2\x58"), txid=TXID),
    "Data indication": message(0x17, attribute(0x12, bytes.fromhex("0001a147e112a643")), attribute(0x13, b"\0\5\0\0" + bytes(16)),
                               txid=TXID),
    "Data indication of a wrong length": message(0x17, attribute(0xC, bytes(4)), attribute(0x13, b"\0\5\0\1" + bytes(16)),
                                                 txid=TXID),
    "error 601 of another method": message(0x111, attribute(9, b"\0\0\6\1"), txid=TXID),
    "relay error 600": message(0x813, attribute(9, b"\0\0\6\0"), txid=TXID),
    "ChannelData": channel_data(0x4002, b"\x80\x68" + bytes(30)),
    "ChannelData with a WebRTC check": channel_data(0x4000, message(1, text_username(b"evtj:h6vY"), attribute(8, bytes(20)),
                                                                    txid=TXID)),
    "no cookie": BINDING_REQUEST[:4] + b"\x12\x34\x56\x78" + BINDING_REQUEST[8:],
    "a length that lies": BINDING_REQUEST + bytes(4),
}


def test_innocents(tshark, stock, make_capture):
    frames = [Datagram("10.0.0.2", 16402, "198.51.100.1", 3478 + i, m) for i, m in enumerate(INNOCENTS.values())]
    frames += [Datagram("10.0.0.2", 40000 + i, "198.51.100.1", 16402, m) for i, m in enumerate(INNOCENTS.values())]
    capture = make_capture(frames)
    names = list(INNOCENTS) * 2
    assert [names[n - 1] for n in tshark.frames(capture, "facetime || gkstun")] == []
    assert tshark.text(capture, "-V") == stock.text(capture, "-V")


@pytest.mark.parametrize("capture", shared_captures("negative"))
def test_other_peoples_captures(tshark, capture):
    assert tshark.frames(capture, "gkstun || facetime") == []


# ---- captures of 2023 ----

@pytest.mark.parametrize("name,checks,links", [("facetime-2023-cellular.pcapng", 67, 3),
                                               ("facetime-2023-wifi-caller.pcapng", 12, 1)])
def test_direct_path_of_2023(tshark, real, name, checks, links):
    capture = real(name)
    assert tshark.count(capture, 'facetime.kind == "stun" && facetime.path == "direct"') == checks
    assert tshark.count(capture, 'facetime.kind == "link" && stun.type == 0x0017 && facetime.path == "direct"') == links
    assert tshark.frames(capture, "stun && (_ws.malformed || _ws.expert.severity >= 0x600000)") == []
