# SPDX-License-Identifier: GPL-2.0-or-later
"""What a capture has that the plugin's tables don't know (novelty.py, tools/check-capture --novelty): each of many planted
news is named, with its frame and bytes; captures without news have none."""

import io
import os
import re
import struct
import subprocess

import pytest

import novelty
import support
from support import Datagram
from wire import gamekit

PHONE, RELAY = ("10.239.19.254", 16393), ("17.249.172.142", 3482)
HOME, PEER, SERVER = ("192.168.1.10", 16402), ("198.51.100.20", 16402), ("17.173.255.222", 16384)
MKI = bytes.fromhex("8223ac978cc7488da6ea86b60e6b56c5")
HMAC = struct.pack("!HH", 9, 20) + bytes(range(20))


def relayed(header, body=b""):
    content = bytes.fromhex(header) + body
    return Datagram(*PHONE, *RELAY, struct.pack("!HH", 0x6000, len(content)) + content)


def link(command, *tlvs):
    """In the relay's channel, with the link bit."""
    content = b"".join(struct.pack("!HH", kind, len(value)) + value for kind, value in tlvs) + HMAC
    return relayed("8000 0020", struct.pack("!HH", command, len(content)) + bytes(16) + content)


def rtp_bytes(payload_type, trailer=MKI + bytes(4), extension=b""):
    head = struct.pack("!BBHII", 0x80 | (0x10 if extension else 0), payload_type, 7, 480, 0xADA4493F)
    return head + extension + bytes(range(40)) + trailer


def rtp(payload_type, trailer=MKI + bytes(4), extension=b"", header="0041 493f"):
    return relayed(header, rtp_bytes(payload_type, trailer, extension))


def chain(first, rest):
    """Several packets in a datagram: what follows the first is told whole."""
    return relayed(f"00c9 493f 01 {len(first):04x}", first + rest)


def check(*attributes):
    """A legacy check with these attributes behind what proves it."""
    ids = bytes.fromhex("12345678000000000000" "23456789000000000000")
    parts = [(0x0006, ids), (0x8001, bytes.fromhex("00000001")), (0x8003, bytes.fromhex("0000006d")), *attributes]
    body = b"".join(struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in parts)
    head = struct.pack("!HHI", 1, len(body), 0x2112A442) + bytes.fromhex("000127f10e4a55c331b2a07d")
    return Datagram(*HOME, *PEER, head + body)


def stun(method):
    return struct.pack("!HHI", method, 0, 0x2112A442) + bytes.fromhex("000127f10e4a55c331b2a07d")


def rctl(subtype, size):
    """An APP packet of Apple's media stack, in another form than is known."""
    body = bytes.fromhex("85000004") + bytes(size - 4)
    return struct.pack("!BBHI4s", 0x80 | subtype, 204, 2 + size // 4, 1, b"RCTL") + body


def candidates(kind=1, flags=0):
    entry = struct.pack("<BI", 0x10 | kind, 1) + struct.pack("!I", 2) + struct.pack("<HBBBH", 90, 1, flags, 0, 16402)
    return 0x8009, struct.pack("!HB4s", 1, 0x10, bytes([5, 1, 168, 192])) + entry


def report(form=0xCAFE, radio=5, constant=1):
    return Datagram(*RELAY, *PHONE, struct.pack("!IHHIBBHBBHIIII", 0xDEADBEEF, form, 2, 7, radio, 0, constant, 0, 0, 0,
                                                10, 0, 20, 30))


# (what the frame has, kind of the news, what must be told)
PLANTED = [
    *((relayed(f"8000 {1 << bit:04x}"), "flag bit", f"0x{1 << bit:04x}") for bit in range(6, 16)),
    (relayed("1000"), "flag bit", "flag 0x10 of flags 1"),
    (Datagram(*RELAY, *PHONE, bytes.fromhex("deadbeef cafe 0002 0000006f 01020304")), "published, never captured",
     "baseband.unverified"),
    (relayed("0041 493f", b"\xff" * 30), "body", "unparsed_body"),
    (link(0x0007), "link command", "0x0007"),
    (link(0x0123), "link command", "0x0123"),
    (link(0x8003), "published, never captured", "0x8003"),
    (link(0x0006, (0x0020, b"news")), "TLV", "0x0020"),
    (link(0x0006, (0xFFFE, b"more news")), "TLV", "0xfffe"),
    (link(0x0006, (0x000B, bytes(16))), "published, never captured", "Link UUID"),
    (rtp(77), "payload type", "77"),
    (rtp(99), "payload type", "99"),
    (rtp(104, trailer=bytes.fromhex("0010cafe0020")), "trailer", "key id"),
    (rtp(104, trailer=MKI + bytes.fromhex("00000040")), "trailer", "key id"),
    (rtp(100, trailer=bytes.fromhex("001100000040")), "trailer", "key id"),
    (rtp(100, trailer=MKI + MKI), "trailer", "key id"),
    (chain(rtp_bytes(104), b"\x49\x3f\x01\xfa\xce" + bytes(30)), "body", "broken_chain"),
    (chain(rtp_bytes(104), b"\x49\x3f\x01" + rtp_bytes(104, trailer=bytes.fromhex("001000000040"))), "body", "broken_chain"),
    (relayed("8000 0001", bytes.fromhex("220a") + bytes(10)), "body", "bad_hbh"),
    (relayed("2040 5813", bytes.fromhex("face") + bytes(40)), "body", "unparsed_body"),
    (rtp(104, extension=struct.pack("!HHI", 0x1234, 1, 1)), "header extension", "unknown_extension"),
    (rtp(104, extension=struct.pack("!HHI", 0xC500, 1, 1)), "header extension", "unknown_extension"),
    (rtp(100, extension=struct.pack("!HHII", 0x8000, 2, 0x01020304, 5)), "header extension", "bytes_left"),
    (check((0x8031, b"news")), "attribute", "0x8031"),
    (check((0x0099, b"old?")), "attribute", "0x0099"),
    (check((0x8005, bytes(8))), "attribute", "0x8005"),
    (check((0x8007, bytes.fromhex("00000007"))), "number without a name", "gkstun.radio 7"),
    (check((0x0025, b""), (0x8008, bytes.fromhex("00100001"))), "flag bit", "gkstun.nomination.other"),
    (check(candidates(flags=0x01)), "flag bit", "gkstun.candidate.other_flags"),
    (check(candidates(kind=14)), "number without a name", "gkstun.candidate.type 14"),
    (report(form=0xBEEF), "modem's report", "bad_form"),
    (report(constant=2), "modem's report", "odd_constant"),
    (report(radio=77), "number without a name", "baseband.radio 77"),
    (Datagram(*HOME, *PEER, bytes.fromhex("c109001400000000") + bytes(12)), "GameKit message", "unknown_type"),
    (Datagram(*HOME, *PEER, bytes.fromhex("ffeeddcc0102030405060708")), "body", "no kind that is known"),
    (relayed("8000 0020", struct.pack("!HH", 6, 6) + bytes(16) + struct.pack("!HHH", 1, 2, 7)), "link message", "no_hmac"),
    (relayed("8000 0020", struct.pack("!HH", 6, 30) + bytes(15) + b"\1" + struct.pack("!HHH", 1, 2, 7) + HMAC), "link message",
     "reserved_not_zero"),
    (relayed("2040 5813", rctl(0, 28)), "RTCP packet", "unknown_form"),
    (relayed("2040 5813", rctl(1, 24)), "RTCP packet", "unknown_form"),
    (rtp(104, header="0041 4941"), "relay header", "stream_mismatch"),
    (relayed("0041 49"), "relay header", "bad_length"),
    (Datagram(*HOME, *PEER, stun(0x0155)), "number without a name", "stun.type.method"),
    (Datagram(*HOME, *PEER, stun(0x0001) + b"more"), "STUN message", "trailing"),
    (Datagram(*HOME, *PEER, bytes.fromhex("c105001800000000") + bytes(12)), "GameKit message", "bad_size"),
    (chain(rtp_bytes(104), bytes.fromhex("8504 4010") + bytes(10) + rtp_bytes(104)), "body", "broken_chain"),
]
# What the same flows have that is known: of these, nothing is told.
GROUP, ONE_TO_ONE = bytes.fromhex("001000000020"), bytes.fromhex("0010a0a1a2a3")
KNOWN = [relayed("0241 e7a2 0000"), link(0x0006, (1, bytes(2))), rtp(104), check(), check(candidates(flags=0xA0)),
         report(), Datagram(*HOME, *PEER, gamekit.hello(1, 2)), rtp(104, GROUP),
         rtp(104, ONE_TO_ONE, struct.pack("!HH12x", 0x8100, 3), header="2040 5813"),
         chain(rtp_bytes(104, GROUP), b"\x49\x3f\x01" + rtp_bytes(104, GROUP))]


def values_of(tshark):
    return tshark.run("-G", "values").stdout.splitlines()


def news_of(tshark, capture):
    known = novelty.parse_values(values_of(tshark))
    pdml = tshark.text(capture, "-T", "pdml", filter=novelty.display_filter(known))
    return novelty.read(io.BytesIO(pdml.encode()), known)


@pytest.fixture(scope="module")
def news(tshark):
    return news_of(tshark, support.make_capture([*KNOWN, *(frame for frame, _, _ in PLANTED)]))


def test_enough_is_planted():
    assert len(PLANTED) >= 30


@pytest.mark.parametrize("at", range(len(PLANTED)), ids=[f"{kind}: {what}" for _, kind, what in PLANTED])
def test_each_is_named(news, at):
    frame, kind, what = PLANTED[at]
    number = len(KNOWN) + 1 + at
    found = {row: digits for row, places in news.rows.items() for where, digits in places if where == number}
    assert [row for row in found if row.kind == kind and what in row.what], found
    # APP packets are stock's items, which have no bytes in PDML
    assert kind == "RTCP packet" or all(digits and (digits in frame.payload.hex() or ".." in digits) for digits in found.values()), found


def test_nothing_else(news):
    assert not [frame for frame in news.frames if frame <= len(KNOWN)]


@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
def test_none_in_2023(tshark, real, name):
    assert news_of(tshark, real(name)).rows == {}


def test_table(news):
    out = io.StringIO()
    news.print(out)
    lines = out.getvalue().splitlines()
    assert lines[-1] == f"{len(news.rows)} that the tables don't know, in {len(PLANTED)} frames"
    assert len(lines) == 1 + 2 * len(news.rows)
    assert all(re.search(r"frames \d+(, \d+)*( and \d+ more)?: ", line) for line in lines[1:-1:2])


def test_every_name_is_the_plugins(tshark):
    """Rules name expert infos and fields that there are; lists of names come from the plugin."""
    known = novelty.parse_values(values_of(tshark))
    names = {*novelty.KIND_OF, *novelty.REST_BITS, *known, *novelty.LIKE, *novelty.LIKE.values(), *novelty.NOT_LISTS}
    assert not names - set(tshark.field_types)
    assert known["gkstun.radio"] == {0, 5, 9}


BUILD = support.PLUGIN.parent


@pytest.mark.skipif(not (BUILD / "CMakeCache.txt").is_file(), reason="the plugin isn't in its build folder")
@pytest.mark.skipif("FACETIME_PRELOAD" in os.environ, reason="sanitizers need a preload")
def test_one_command_for_users(tmp_path, tshark):
    """The table, and on demand those frames alone, washed."""
    capture = support.make_capture([*KNOWN, PLANTED[0][0], *KNOWN, PLANTED[1][0]])
    washed = tmp_path / "washed.pcapng"
    done = subprocess.run([support.ROOT / "tools" / "check-capture", "--novelty", capture, washed],
                          env={**os.environ, "BUILD_DIR": str(BUILD)}, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "2 that the tables don't know, in 2 frames"
    assert len(tshark.rows(washed, "frame.number")) == 2
    assert set(tshark.values(washed, "ip.src")).isdisjoint({PHONE[0]})
