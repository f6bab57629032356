# SPDX-License-Identifier: GPL-2.0-or-later
"""The relay header: every field where its bits say, what it makes of the body, and what it remembers."""

import collections
import itertools
import os
import random
import re
import struct

import pytest

import support
import generate     # of test-captures/, by way of support
from support import Datagram

PHONE, CELLULAR = ("10.239.19.254", 16393), ("10.127.22.118", 16394)
RELAY = ("17.249.172.142", 3482)
MKI = bytes.fromhex("8223ac978cc7488da6ea86b60e6b56c5")         # of the Wi-Fi capture's caller
PEER_MKI = bytes.fromhex("988f5763f04b41cabbe93c28c7414192")    # and of the other side
PARTICIPANT = bytes.fromhex("959a7033b7526469")

EXPERTS = ("bad_length", "bad_hbh", "unverified", "unknown_bit", "unparsed_body", "broken_chain",
           "long_chain")
KINDS = {"rtp": "4", "rtcp": "5", "quickrelay": "8", "control": "9", "link": "10", "hbh": "11", "data": "14"}

# Mask of each bit, in the order of the header's description.
FLAGS1 = {"attr": 0x80, "secondary_links": 0x40, "link": 0x20, "unknown": 0x10, "transition": 0x08,
          "stats": 0x04, "counter": 0x02, "unfiltered": 0x01}
FLAGS2 = {"length": 0x80, "counted": 0x40, "version": 0x20, "probe": 0x10, "priority": 0x08,
          "participant": 0x04, "secondary_streams": 0x02, "stream": 0x01}
ATTRS = {"hbh": 0x01, "state": 0x02, "retransmitted": 0x04, "not_retransmittable": 0x08, "downlink": 0x10,
         "link": 0x20}
STATS = ("echoed_counter", "clock", "hold", "received", "sent", "bandwidth")
FIELDS = ("channel", "length", "flags1", "flags2", "attr", "stream", "secondary_stream", "participant",
          "base_stream", "priority", "probe_group", "session_version", "packet_length", "counter",
          *(f"stats.{name}" for name in STATS), "link", "secondary_link", "state")


def up(payload, phone=PHONE, **changes):
    return Datagram(*phone, *RELAY, payload)._replace(**changes)


def down(payload, phone=PHONE, **changes):
    return Datagram(*RELAY, *phone, payload)._replace(**changes)


def packet(header, body=b"", length=None):
    """ChannelData with these bytes of header, from flags 1 on."""
    content = bytes.fromhex(header) + body
    return struct.pack("!HH", 0x6000, len(content) if length is None else length) + content


def rtp(ssrc=0xADA4493F, sequence=1, payload_type=104, mki=MKI, payload=bytes(range(40)), timestamp=480):
    return struct.pack("!BBHII", 0x80, payload_type, sequence, timestamp, ssrc) + payload + mki + bytes(4)


def control(number, mki=MKI, ciphertext=bytes(range(60))):
    return b"\x40\x0f" + mki[:8] + bytes([number]) + ciphertext


LINK = bytes.fromhex("00030018") + bytes(16) + bytes.fromhex("00090014") + bytes(20)    # an HMAC alone
HBH = b"\x0a\x0c" + bytes(range(12)) + b"\x12\x10" + bytes(range(16)) + b"\x1a\x10" + bytes(range(16, 32))

# A device's counter on Apple's ports proves the flow; what follows on it may then be anything.
PROOF = up(packet("0241 e7a2 0000"))


def values(row):
    """The fields of a row that are there, as numbers or, of bytes, as hexadecimal digits."""
    return {name: [int(v, 0) if name != "participant" else v for v in row[f"quickrelay.{name}"]]
            for name in FIELDS if row[f"quickrelay.{name}"]}


def rows(tshark, capture, *more, **how):
    return tshark.rows(capture, *(f"quickrelay.{name}" for name in FIELDS), *more, **how)


def experts(tshark, capture, **how):
    """The names of the expert infos at each packet."""
    found = tshark.rows(capture, *(f"quickrelay.{name}" for name in EXPERTS), **how)
    return [{name for name in EXPERTS if row[f"quickrelay.{name}"]} for row in found]


def kinds(tshark, capture, **how):
    return [row["facetime.kind"] for row in tshark.rows(capture, "facetime.kind", **how)]


# ---- an independent reading of the header, straight from its description

def read(data):
    """(fields, body) of a whole packet."""
    found = {"channel": [int.from_bytes(data[:2], "big")], "length": [int.from_bytes(data[2:4], "big")],
             "flags1": [data[4]], "flags2": [data[5]]}
    at = 6

    def take(name, size, count=1):
        nonlocal at
        values = [data[at + i * size:at + (i + 1) * size] for i in range(count)]
        at += size * count
        if values:
            found[name] = [v.hex() if name == "participant" else int.from_bytes(v, "big") for v in values]
        return int.from_bytes(values[0], "big") if values and size < 8 else 0

    def take_list(name):
        nonlocal at
        at += 1
        take(name, 2, data[at - 1])

    one, two = data[4], data[5]
    attr = take("attr", 2) if one & 0x80 else 0
    if two & 0x01:
        take("stream", 2)
    if two & 0x02:
        take_list("secondary_stream")
    if two & 0x04:
        take("participant", 8)
    if attr & 0x10 and not attr & 0x20:
        take("base_stream", 2)
    if two & 0x08:
        take("priority", 1)
    if two & 0x10:
        take("probe_group", 2)
    if two & 0x20:
        take("session_version", 1)
    if two & 0x80:
        take("packet_length", 2)
    if one & 0x04:
        for name in STATS:
            take(f"stats.{name}", 2)
    elif one & 0x02:
        take("counter", 2)
    if one & 0x20:
        take("link", 2)
    if one & 0x40:
        take_list("secondary_link")
    if attr & 0x02:
        take("state", 1)
    return found, data[at:]


def kind_of(attr, body):
    if attr & 0x20:
        return "link"
    if attr & 0x01:
        return "hbh"
    if not body:
        return "quickrelay"
    if body[0] == 0x40:
        return "control"
    return "rtp" if body[0] >> 6 == 2 else "data"


# ---- real captures

REAL = {"facetime-2023-cellular.pcapng": {"rtp": 2501, "control": 51, "link": 67, "hbh": 1},
        "facetime-2023-wifi-caller.pcapng": {"rtp": 1488, "control": 51, "link": 19, "quickrelay": 164}}


@pytest.fixture(scope="module", params=REAL)
def call(request, real):
    return real(request.param)


def test_real_packets_by_kind(call, tshark):
    """The counts that the captures are known for: 2620 and 1722 packets."""
    found = collections.Counter(kinds(tshark, call, filter="quickrelay")[i][0]
                                for i in range(tshark.count(call, "quickrelay")))
    assert found == {KINDS[kind]: count for kind, count in REAL[call_name(call)].items()}


def call_name(path):
    return next(name for name in REAL if str(path).endswith(name))


def test_real_headers_parse_to_their_body(call, tshark):
    """Every field of every packet, against another reading of its bytes."""
    found = rows(tshark, call, "udp.payload", "facetime.kind", filter="quickrelay")
    assert len(found) == sum(REAL[call_name(call)].values())
    for row in found:
        data = bytes.fromhex(row["udp.payload"][0])
        fields, body = read(data)
        assert values(row) == fields
        assert row["facetime.kind"] == [KINDS[kind_of(fields.get("attr", [0])[0], body)]]


def test_real_packets_are_sound(call, tshark):
    assert set().union(*experts(tshark, call)) == set()


def test_real_reports_echo_a_packet_of_the_device(real, tshark):
    capture = real("facetime-2023-wifi-caller.pcapng")
    found = tshark.rows(capture, "frame.number", "udp.srcport", "quickrelay.counter", "quickrelay.flags2",
                        "quickrelay.stats.echo_of", "quickrelay.stats.rtt",
                        *(f"quickrelay.stats.{name}" for name in STATS), filter="quickrelay")
    sent, counted, reports = {}, [], 0
    for row in found:
        frame = int(row["frame.number"][0])
        if row["udp.srcport"] == ["16393"]:
            if row["quickrelay.counter"]:
                sent[frame] = row["quickrelay.counter"][0]
            if int(row["quickrelay.flags2"][0], 0) & 0x40:
                counted.append(frame)
        if not row["quickrelay.stats.clock"]:
            continue
        reports += 1
        echo = int(row["quickrelay.stats.echo_of"][0])
        assert sent[echo] == row["quickrelay.stats.echoed_counter"][0]
        assert row["quickrelay.stats.rtt"] == []    # frame times come in batches
        # The relay's count is the device's own running total up to there, within 7 (modern.md 4.2).
        total = sum(1 for earlier in counted if earlier <= echo)
        assert abs(int(row["quickrelay.stats.received"][0]) - total) <= 7
    assert reports == 60


def test_real_links_are_named(real, tshark):
    """All media of the cellular call go to or come from the far end's Wi-Fi link, announced in frame 333;
    those of the other call from frame 1297 on."""
    for name, link, frame in (("facetime-2023-cellular.pcapng", "0x5812", "333"),
                              ("facetime-2023-wifi-caller.pcapng", "0x5813", "1297")):
        found = tshark.rows(real(name), "quickrelay.link", "quickrelay.link.frame", filter="quickrelay.link")
        assert {(r["quickrelay.link"][0], *r["quickrelay.link.frame"]) for r in found} == {(link, frame)}
    text = tshark.text(real("facetime-2023-wifi-caller.pcapng"), "-O", "quickrelay",
                       filter="frame.number == 1363")
    assert "Link: 0x5813 = participant 959a7033b7526469, Wi-Fi, IPv4" in text


def test_real_calls_are_one_each(call, tshark):
    """Relay, direct and QUIC flows, over Wi-Fi and cellular: all one call, whichever flow a packet takes.
    SNATMAP comes before it, and is only known to be its own later."""
    found = tshark.rows(call, "facetime.kind", "facetime.call", filter="facetime && !snatmap")
    assert {tuple(row["facetime.call"]) for row in found} == {("1",)}


def test_real_call_changes_its_mode_once(real, tshark):
    """The caller's call begins as multiway: the first media packet with a link and no stream is frame
    1355."""
    capture = real("facetime-2023-wifi-caller.pcapng")
    assert tshark.frames(capture, 'facetime.event == "mode_changed"') == [1355]
    assert tshark.frames(real("facetime-2023-cellular.pcapng"), 'facetime.event == "mode_changed"') == []
    text = tshark.text(capture, "-O", "facetime", filter="frame.number == 1355")
    assert "from multiway to one-to-one" in text


# ---- vectors, decoded by hand from the description

def filled(head, size, trailer=MKI + bytes(4)):
    """A body of this many bytes that begins with head and ends as RTP packets do."""
    return bytes.fromhex(head) + bytes(size - len(bytes.fromhex(head)) - len(trailer)) + trailer


def vector(header, head="", trailer=MKI + bytes(4)):
    """header: the bytes before the body, beginning with channel and length."""
    data = bytes.fromhex(header)
    size = int.from_bytes(data[2:4], "big") + 4 - len(data)
    return data + (filled(head, size, trailer) if size else b"")


VECTORS = [
    # (packet, uplink?, kind, fields beyond channel, length and flags)
    (vector("60000006 0241 e7a2 0000"), True, "quickrelay", {"stream": [0xE7A2], "counter": [0]}),
    (vector("6000000e 0600 0005 1eb8 0009 0004 0000 0000"), False, "quickrelay",
     {"stats.echoed_counter": [5], "stats.clock": [7864], "stats.hold": [9], "stats.received": [4],
      "stats.sent": [0], "stats.bandwidth": [0]}),
    (vector("60000032 8604 0002 959a7033b7526469 005b3dcc0054005200000000 00", "400f988f5763f04b41ca00", b""),
     False, "control",
     {"attr": [2], "participant": ["959a7033b7526469"], "stats.echoed_counter": [0x5B],
      "stats.clock": [0x3DCC], "stats.hold": [0x54], "stats.received": [0x52], "stats.sent": [0],
      "stats.bandwidth": [0], "state": [0]}),
    (vector("60000026 8004 0002 e2e484838139394e 00", "400f988f5763f04b41ca01", b""), False, "control",
     {"attr": [2], "participant": ["e2e484838139394e"], "state": [0]}),
    (vector("60000111 0249 493f 01 005e", "8068af16 00000000 ada4493f"), True, "rtp",
     {"stream": [0x493F], "priority": [1], "counter": [0x5E]}),
    (vector("60000073 034b fa12 03 194f fa13 1950 01 0061", "90fbd6b5 00000000 5bb2fa12 40040000"), True,
     "rtp",
     {"stream": [0xFA12], "secondary_stream": [0x194F, 0xFA13, 0x1950], "priority": [1], "counter": [0x61]}),
    (vector("600001f1 015f 365a 03 69cd 365b 69ce 959a7033b7526469 01 0001",
            "9064d1d4 0000eacd 04bd365a 42180001 00000000"), False, "rtp",
     {"stream": [0x365A], "secondary_stream": [0x69CD, 0x365B, 0x69CE], "participant": ["959a7033b7526469"],
      "priority": [1], "probe_group": [1]}),
    (vector("600003af 075f 69cd 01 69ce 959a7033b7526469 01 0009 006841cb000f0093002c2051",
            "9064cf4b 00000000 78ed69cd 42180001 00000000"), False, "rtp",
     {"stream": [0x69CD], "secondary_stream": [0x69CE], "participant": ["959a7033b7526469"], "priority": [1],
      "probe_group": [9], "stats.echoed_counter": [0x68], "stats.clock": [0x41CB], "stats.hold": [15],
      "stats.received": [0x93], "stats.sent": [0x2C], "stats.bandwidth": [8273]}),
    (vector("600002d8 214c 959a7033b7526469 01 5813", "90642082 00021deb 8cd623a8 82110001 00010001"), False,
     "rtp",
     {"participant": ["959a7033b7526469"], "priority": [1], "link": [0x5813]}),
    (vector("6000039f 217c 959a7033b7526469 01 0049 05 5813", "90e42088 00021deb 8cd623a8 82110001 00010001"),
     False, "rtp",
     {"participant": ["959a7033b7526469"], "priority": [1], "probe_group": [0x49], "session_version": [5],
      "link": [0x5813]}),
    (vector("6000040d 2148 01 5813", "90647c76 0005a1cf e459d6da 80110001 00048384"), True, "rtp",
     {"priority": [1], "link": [0x5813]}),
    (vector("6000009b 0f7f 4b1b 01 4b1c fd80e6522194949b 01 0002 02 000c41e50006003e002fffff",
            "906453cb 00000000 c5f54b1b 42180001 00000000"), False, "rtp",
     {"stream": [0x4B1B], "secondary_stream": [0x4B1C], "participant": ["fd80e6522194949b"], "priority": [1],
      "probe_group": [2], "session_version": [2], "stats.echoed_counter": [12], "stats.clock": [0x41E5],
      "stats.hold": [6], "stats.received": [0x3E], "stats.sent": [0x2F], "stats.bandwidth": [65535]}),
    (vector("6000011d 0040", "90144400 00032fa0 ce7b44bf 85000004" + "00" * 16), True, "rtp", {}),
    (vector("60000287 8020 0032 02 00", "0006026d" + "00" * 16 + "0015000e 2001 1900 5812 05a6 0000 00000001"
            "0016022b" + "00" * 555 + "0001 0002 0001 0007 0004 000298d5",
            bytes.fromhex("00090014") + bytes(20)),
     False, "link", {"attr": [0x32], "session_version": [2], "state": [0]}),
    (vector("60000038 a000 0001 5812", HBH.hex(), b""), True, "hbh", {"attr": [1], "link": [0x5812]}),
]


@pytest.fixture(scope="module")
def vectors(make_capture):
    return make_capture([(up if uplink else down)(data) for data, uplink, _, _ in VECTORS])


def test_vectors(vectors, tshark):
    found = rows(tshark, vectors, "facetime.kind", "facetime.path", "facetime.generation")
    for row, (data, _, kind, fields) in zip(found, VECTORS, strict=True):
        head = {"channel": [0x6000], "length": [len(data) - 4], "flags1": [data[4]], "flags2": [data[5]]}
        assert values(row) == {**head, **fields}
        assert row["facetime.kind"] == [KINDS[kind]]
        assert (row["facetime.path"], row["facetime.generation"]) == (["1"], ["2"])
    assert set().union(*experts(tshark, vectors)) == set()


def test_vectors_flags(vectors, tshark):
    """One field for each bit, true where the bit is set."""
    names = [f"quickrelay.flags1.{n}" for n in FLAGS1] + [f"quickrelay.flags2.{n}" for n in FLAGS2]
    masks = [m << 8 for m in FLAGS1.values()] + list(FLAGS2.values())
    for row, (data, *_) in zip(tshark.rows(vectors, *names), VECTORS, strict=True):
        flags = int.from_bytes(data[4:6], "big")
        assert [is_true(row[n]) for n in names] == [bool(flags & m) for m in masks]


def is_true(value):
    """A boolean of tshark 4.0 ("1") or later ("True")."""
    assert value and value[0] in ("0", "1", "True", "False")
    return value[0] in ("1", "True")


def test_vectors_same_on_both_passes(vectors, tshark):
    assert tshark.text(vectors, "-O", "quickrelay") == tshark.text(vectors, "-O", "quickrelay", two_pass=True)


def test_hop_by_hop_message(make_capture, tshark):
    capture = make_capture([up(packet("a000 0001 5812", HBH))])
    row = tshark.rows(capture, "quickrelay.hbh.iv", "quickrelay.hbh.ciphertext", "quickrelay.hbh.tag")[0]
    assert list(row.values()) == [[bytes(range(12)).hex()], [bytes(range(16)).hex()],
                                  [bytes(range(16, 32)).hex()]]


# ---- each bit alone and all together

VALUES = {  # name: (flags 1, flags 2, bytes, fields)
    "attr": (0x80, 0, "0008", {"attr": [8]}),
    "secondary_links": (0x40, 0, "02 5812 5813", {"secondary_link": [0x5812, 0x5813]}),
    "link": (0x20, 0, "5811", {"link": [0x5811]}),
    "unknown": (0x10, 0, "", {}),
    "transition": (0x08, 0, "", {}),
    "stats": (0x04, 0, "0001 0002 0003 0004 0005 0006", {f"stats.{n}": [i + 1] for i, n in enumerate(STATS)}),
    "counter": (0x02, 0, "1234", {"counter": [0x1234]}),
    "unfiltered": (0x01, 0, "", {}),
    "counted": (0, 0x40, "", {}),
    "version": (0, 0x20, "05", {"session_version": [5]}),
    "probe": (0, 0x10, "0203", {"probe_group": [0x203]}),
    "priority": (0, 0x08, "7f", {"priority": [127]}),
    "participant": (0, 0x04, "959a7033b7526469", {"participant": ["959a7033b7526469"]}),
    "secondary_streams": (0, 0x02, "03 0001 0002 ffff", {"secondary_stream": [1, 2, 0xFFFF]}),
    "stream": (0, 0x01, "493f", {"stream": [0x493F]}),
    "length": (0, 0x80, f"{len(rtp()):04x}", {"packet_length": [len(rtp())]}),
}
WIRE_ORDER = ("attr", "stream", "secondary_streams", "participant", "priority", "probe", "version", "length",
              "counter", "stats", "link", "secondary_links")


def test_each_bit_alone(make_capture, tshark):
    capture = make_capture([PROOF, *(up(packet(f"{one:02x}{two:02x} {value}", rtp()))
                                     for one, two, value, _ in VALUES.values())])
    names = [f"quickrelay.flags1.{n}" for n in FLAGS1] + [f"quickrelay.flags2.{n}" for n in FLAGS2]
    found = rows(tshark, capture, *names, "facetime.kind", "rtp.ssrc")[1:]
    for row, (name, (_, _, _, fields)) in zip(found, VALUES.items(), strict=True):
        shown = {k: v for k, v in values(row).items() if k not in ("channel", "length", "flags1", "flags2")}
        assert shown == fields
        assert [n.split(".")[2] for n in names if is_true(row[n])] == [name]
        assert row["facetime.kind"] == [KINDS["rtp"]] and row["rtp.ssrc"] == ["0xada4493f"]


def test_all_bits_together(make_capture, tshark):
    """All but the counter of its own, whose place the report takes; the state byte comes last."""
    order = [n for n in WIRE_ORDER if n not in ("counter", "attr")]
    header = "ffff 000a" + "".join(VALUES[n][2] for n in order) + "09"
    capture = make_capture([PROOF, down(packet(header, rtp()))])
    expected = {k: v for n in order for k, v in VALUES[n][3].items()}
    row = rows(tshark, capture, "rtp.ssrc")[1]
    shown = {k: v for k, v in values(row).items() if k not in ("channel", "length", "flags1", "flags2")}
    assert shown == {**expected, "attr": [0x0A], "state": [9]}
    assert row["rtp.ssrc"] == ["0xada4493f"]


def test_each_attribute_alone(make_capture, tshark):
    extra = {"state": "07", "downlink": "abcd"}
    body = {"hbh": HBH, "link": LINK}
    packets = [packet(f"8000 {mask:04x} {extra.get(name, '')}", body.get(name, rtp()))
               for name, mask in ATTRS.items()]
    capture = make_capture([PROOF, *map(down, packets)])
    names = [f"quickrelay.attr.{n}" for n in ATTRS]
    for row, name in zip(rows(tshark, capture, *names, "facetime.kind")[1:], ATTRS, strict=True):
        assert [n.split(".")[2] for n in names if is_true(row[n])] == [name]
        assert row["facetime.kind"] == [KINDS[name if name in body else "rtp"]]
        assert row["quickrelay.state"] == (["7"] if name == "state" else [])
        assert row["quickrelay.base_stream"] == (["0xabcd"] if name == "downlink" else [])


def test_forms_no_capture_has_shown_say_so(make_capture, tshark):
    unverified = ["4000 01 5812", "0808 01 12345678", "0800" + "1234" * 8]
    capture = make_capture([PROOF, *(up(packet(h, rtp())) for h in unverified)])
    assert experts(tshark, capture) == [set(), *({"unverified"} for _ in unverified)]


def test_unknown_bits_say_so(make_capture, tshark):
    capture = make_capture([PROOF, up(packet("1000", rtp())), up(packet("8000 0100", rtp()))])
    assert experts(tshark, capture) == [set(), {"unknown_bit"}, {"unknown_bit"}]
    assert kinds(tshark, capture)[1:] == [[KINDS["rtp"]]] * 2


def test_chained_packets(make_capture, tshark):
    """A length, the body, then a shorter header for the next one: stream and priority, as the first has, and
    a length where yet another one follows."""
    bodies = [rtp(ssrc=0x11112222), rtp(ssrc=0x33334444, sequence=2), control(9)]
    second, third = bytes.fromhex(f"4444 02 {len(bodies[1]):04x}"), bytes.fromhex("6666 03")
    data = packet(f"0089 2222 01 {len(bodies[0]):04x}",
                  bodies[0] + second + bodies[1] + third + bodies[2])
    capture = make_capture([PROOF, up(data)])
    row = rows(tshark, capture, "rtp.ssrc", "facetime_control.counter")[1]
    assert row["rtp.ssrc"] == ["0x11112222", "0x33334444"] and row["facetime_control.counter"] == ["9"]
    assert values(row)["stream"] == [0x2222, 0x4444, 0x6666] and values(row)["priority"] == [1, 2, 3]
    assert values(row)["packet_length"] == [len(bodies[0]), len(bodies[1])]
    assert experts(tshark, capture)[1] == set()


def test_chains_that_lie(make_capture, tshark):
    body = rtp()
    lies = [(packet("0080 ffff", body), {"bad_length", "broken_chain"}),        # longer than the datagram
            # half a stream id
            (packet(f"0081 2222 {len(body):04x}", body + b"\x00"), {"broken_chain"}),
            (packet(f"0080 {len(body):04x}", body + b"\x00"), {"broken_chain"}),
            (packet("0080 0000", b"\x00" * 300), {"bad_length", "broken_chain"})]  # a long chain of nothing
    capture = make_capture([PROOF, *(up(data) for data, _ in lies)])
    assert experts(tshark, capture)[1:] == [expected for _, expected in lies]
    assert tshark.values(capture, "rtp.ssrc") == ["0xada4493f"] * 2


# ---- several packets in a datagram (2026)

WHO = "5ccd81a924fad363"


def group(ssrc, sequence, payload_type=100, mki=0x0010, payload=bytes(range(60, 120)), profile=0x4000):
    """RTP of a group: with the multiway extension, or none (profile None), and a short trailer."""
    extension = b"" if profile is None else struct.pack("!HH", profile, 0)
    return (struct.pack("!BBHII", 0x80 | (0x10 if extension else 0), payload_type, sequence, 480 * sequence, ssrc) +
            extension + payload + struct.pack("!HI", mki, 0x20))


def head(text, body, last=False):
    """A further packet: a head, its length unless it is the last, its body."""
    return bytes.fromhex(text) + (b"" if last else struct.pack("!H", len(body))) + body


AUDIO = group(0x06B19899, 7, payload_type=104, profile=None)
LOW, HIGH = group(0x12D37EA3, 8, payload_type=123), group(0x15CB819D, 9)
FIRST = f"00cd 9899 {WHO} 7f"
OTHERS = {
    "full, base layer, no priority": f"8104 0010 {WHO} 202c",
    "full, base layer, priority": f"8144 0010 {WHO} 202c 01",
    "full, stream and secondary streams": f"0047 819d 02 c6a0 cb94 {WHO} 01",
    "full, priority bit and stream": f"004d 819d {WHO} 01",
    "full, priority bit without a stream or byte": f"000c {WHO}",
    "stream, priority": "819d 01", "stream": "819d", "stream that looks like a length": "1f9d",
    "count, priority": "03 cd62 de0d 501f 01", "count": "05 e47c 3c3a 4256 06b7 e47d", "count of none": "00 01",
}


def test_chain_heads(make_capture, tshark):
    """Each head between others, with and without a length; each chain on a flow of its own, which it proves."""
    pairs = list(itertools.product(OTHERS, OTHERS))
    capture = make_capture([
        down(packet(f"{FIRST} {len(AUDIO):04x}", AUDIO + head(OTHERS[middle], HIGH) + head(OTHERS[last], LOW, last=True)),
             phone=(f"10.{n // 250}.{n % 250}.7", 16393), time=10 * n) for n, (middle, last) in enumerate(pairs)])
    fields = ("rtp.ssrc", "rtp.seq", "quickrelay.chain", "facetime_rtp.short_mki", "_ws.expert.message")
    found = tshark.rows(capture, *fields)
    for pair, row in zip(pairs, found, strict=True):
        assert row["rtp.ssrc"] == ["0x06b19899", "0x15cb819d", "0x12d37ea3"] and row["rtp.seq"] == ["7", "9", "8"], pair
        assert row["quickrelay.chain"] == ["0", "1", "2"] and row["facetime_rtp.short_mki"] == ["0x0010"] * 3, pair
    assert experts(tshark, capture) == [set()] * len(pairs) and found == tshark.rows(capture, *fields, two_pass=True)


@pytest.mark.parametrize("kind, first, body", [("control", "00c4 " + WHO, control(9)),
                                               ("link", f"8084 0030 {WHO}", LINK)])
def test_a_datagram_is_rtp_if_any_of_it_is(kind, first, body, make_capture, tshark):
    alone = packet(f"{first} {len(body):04x}", body + head("819d 01", body, last=True))
    mixed = packet(f"{first} {len(body):04x}", body + head("819d 01", HIGH, last=True))
    capture = make_capture([PROOF, down(mixed), down(alone)])
    assert kinds(tshark, capture)[1] == [KINDS["rtp"]]
    assert kinds(tshark, capture)[2] == [KINDS[kind]]
    info = tshark.rows(capture, "_ws.col.Info", "_ws.col.Protocol")[1]
    assert " | PT=" in info["_ws.col.Info"][0] and info["_ws.col.Protocol"] == ["SRTP"]


BROKEN = {"length beyond the end": head("819d 01 7000", HIGH, last=True),
          "length of nothing": head("819d 01 0000", HIGH, last=True),
          "cut in the RTP header": head("819d 01", HIGH, last=True)[:8],
          "cut in the list": bytes.fromhex("09 0102 03"), "cut in the body": head("819d 01", HIGH, last=True)[:-3],
          "another participant": head("8104 0010 0102030405060708 202c", HIGH, last=True),
          "no known body": head("819d 01", b"\xfa\xce" + bytes(40), last=True)}


@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN)
def test_broken_chain(rest, make_capture, tshark):
    """What precedes the break is shown; the rest is bytes."""
    middle = head("819d 01", HIGH)
    capture = make_capture([PROOF, down(packet(f"{FIRST} {len(AUDIO):04x}", AUDIO + middle + rest))])
    row = tshark.rows(capture, "rtp.ssrc", "quickrelay.undecided")[1]
    assert row["rtp.ssrc"] == ["0x06b19899", "0x15cb819d"] and row["quickrelay.undecided"] == [rest.hex()]
    assert experts(tshark, capture)[1] == {"broken_chain"}


def test_more_packets_than_are_taken_apart(make_capture, tshark):
    bodies = [group(0x15CB819D, n) for n in range(1, 30)]
    rest = b"".join(head("819d 01", body) for body in bodies[1:-1]) + head("819d 01", bodies[-1], last=True)
    capture = make_capture([PROOF, down(packet(f"00cd 819d {WHO} 01 {len(bodies[0]):04x}", bodies[0] + rest))])
    assert tshark.values(capture, "rtp.seq") == [str(n) for n in range(1, 17)]
    assert experts(tshark, capture) == [set(), {"long_chain"}]
    assert re.search(r"0x15CB819D\s+HEVC\s+16\b", tshark.text(capture, "-q", "-z", "rtp,streams"))


def test_more_packets_prove_their_flow(make_capture, tshark):
    """16 and 17 packets, each alone on its flow; what is taken apart of them is enough."""
    capture = make_capture([down(packet(f"00cd 819d {WHO} 01 {len(HIGH):04x}", HIGH + head("819d 01", HIGH) * (count - 2) +
                                        head("819d 01", HIGH, last=True)), phone=("10.0.1.7", count)) for count in (16, 17)])
    rows = tshark.rows(capture, "rtp.seq", "quickrelay.undecided")
    assert [(len(row["rtp.seq"]), row["quickrelay.undecided"]) for row in rows] == [
        (16, []), (16, [head("819d 01", HIGH, last=True).hex()])]
    assert experts(tshark, capture) == [set(), {"long_chain"}]


def test_cut_chains_prove_in_number(make_capture, tshark):
    """Cut by the capture: by the participant, from the third on. Others' media in such a channel, whose marker and payload
    type make a length of it: never."""
    chain = packet(f"{FIRST} {len(AUDIO):04x}", AUDIO + head("819d 01", HIGH, last=True))
    others = [packet("", struct.pack("!BBHII", 0x80 | 0x10 * (n % 2), 0x80 | (100 + n % 12), n % 0x38, 960 * n, 0xDEADBE00) + bytes(200))
              for n in range(200)]
    capture = make_capture([down(chain)._replace(snap=60 + n) for n in range(4)] +
                           [down(data, phone=("10.0.9.9", 16393))._replace(snap=40 + n % 60) for n, data in enumerate(others)])
    assert tshark.frames(capture, "facetime") == [3, 4]


@pytest.mark.parametrize("off", [-6, -1, 1, 2])
def test_the_first_length_is_off(off, make_capture, tshark):
    """However the rest may parse, the datagram's own words say that it can't be trusted; the first packet is shown."""
    capture = make_capture([PROOF, down(packet(f"{FIRST} {len(AUDIO) + off:04x}", AUDIO + head("819d 01", HIGH) +
                                               head("7ea3 01", LOW, last=True)))])
    assert tshark.rows(capture, "rtp.ssrc")[1]["rtp.ssrc"][0] == "0x06b19899"
    assert "broken_chain" in experts(tshark, capture)[1]


# What of a length may look like the first bytes of a body, or point anywhere.
LYING = (0, 1, 2, 0x3FFF, 0x400F, 0x4000, 0x7FFF, 0x8000, 0x8008, 0x8022, 0x8068, 0x80E8, 0x9000, 0x9064, 0x907B, 0xBFFF, 0xFFFF)


def lying_chains():
    """(head before the lie, SSRCs before it, all SSRCs, datagram): the lie in the second packet's length or the third's, behind
    each kind of head; audio without an extension, video and control are lied about and last; also a length into the next."""
    audio, high = ("0x06b19899", AUDIO), ("0x15cb819d", HIGH)
    message = (None, control(3))
    for (name, text), (ssrc, lied), (last_ssrc, last) in itertools.product(OTHERS.items(), (audio, high, message), (audio, high, message)):
        # nothing in a control message shows where it ends
        near = () if ssrc is None else (len(lied) - 1, len(lied) + 1, len(lied) + 20)
        for n, value in enumerate((*LYING, *near)):
            before = [high] * (n % 2)
            chained = b"".join(head("819d 01", body) for _, body in before) + bytes.fromhex(text) + struct.pack("!H", value) + lied
            chained += head("9899 01" if last is AUDIO else "819d 01", last, last=True)
            known = [audio[0], *(each for each, _ in before)]
            yield (name, known, [*known, *(each for each in (ssrc, last_ssrc) if each)],
                   packet(f"{FIRST} {len(AUDIO):04x}", AUDIO + chained))


def test_lengths_that_lie_within_a_chain(make_capture, tshark):
    """What precedes the lie is shown, and nothing that nobody sent: neither media nor control; there is a finding."""
    lies = [*lying_chains()][::3]
    capture = make_capture([PROOF, *(down(data) for *_, data in lies)])
    fields = ("rtp.ssrc", "facetime_control", "quickrelay.undecided")
    found = experts(tshark, capture)[1:]
    for (name, known, _, data), row, told in zip(lies, tshark.rows(capture, *fields)[1:], found, strict=True):
        assert row["rtp.ssrc"] == known and not row["facetime_control"], (name, data.hex())
        assert "broken_chain" in told and row["quickrelay.undecided"], (name, data.hex())


NEXT = {"stream, priority": ("819d 01", 1), "count, priority": ("03 cd62 de0d 501f 01", 5), "count, half a head": ("03 cd62 de0d 501f 01", 6)}


@pytest.mark.parametrize("text, off", NEXT.values(), ids=NEXT)
def test_a_control_message_whose_length_is_off(text, off, make_capture, tshark):
    """What is left of the next head is a head as well. Its media tells, since the stream isn't that of its SSRC: bytes, and a
    finding. Behind another control message nothing tells: it is shown, and has a finding too, as it has with the right length."""
    def chained(off, last):
        message = control(3)
        return down(packet(f"{FIRST} {len(AUDIO):04x}", AUDIO + bytes.fromhex("819d 01") + struct.pack("!H", len(message) + off) +
                           message + head(text, last, last=True)))
    capture = make_capture([PROOF, chained(off, HIGH), chained(off, control(4)), chained(0, control(4)), chained(0, HIGH)])
    off_media, *of_control, right = tshark.rows(capture, "rtp.ssrc", "quickrelay.undecided", "facetime_control.counter")[1:]
    assert off_media["rtp.ssrc"] == ["0x06b19899"] and off_media["quickrelay.undecided"]
    assert [row["facetime_control.counter"] for row in of_control] == [["3", "4"]] * 2
    assert right["rtp.ssrc"] == ["0x06b19899", "0x15cb819d"] and not right["quickrelay.undecided"]
    unsure = set() if text == "819d 01" else {"unverified"}
    assert experts(tshark, capture) == [set(), {"broken_chain"}, {"unverified"}, {"unverified"}, unsure]


def test_lengths_that_lie_in_a_cut_chain(make_capture, tshark):
    """There a length may seem right, but nothing is shown that nobody sent."""
    lies = [*lying_chains()][::23]
    capture = make_capture([PROOF, *(down(data)._replace(snap=len(data) - 30 - n % 90) for n, (*_, data) in enumerate(lies))])
    for (name, _, sent, data), row in zip(lies, tshark.rows(capture, "rtp.ssrc")[1:], strict=True):
        assert row["rtp.ssrc"] == sent[:len(row["rtp.ssrc"])], (name, data.hex())


def test_hostile_chain(make_capture, tshark):
    """Whatever could be a head in many ways costs no more than so many trials."""
    capture = make_capture([PROOF] + [down(packet(f"{FIRST} {len(AUDIO):04x}", AUDIO + filling * (1400 // len(filling))))
                            for filling in (b"\x00", b"\x01", b"\x10\x01\x00\x01", b"\x00\x01\x00\x02@\x0f",
                                            head("00 01", control(1)))])
    assert tshark.values(capture, "rtp.ssrc") == ["0x06b19899"] * 5


def test_transition_streams(make_capture, tshark):
    """As in 2023 nothing behind them; as published, a count in the priority's place, or eight."""
    headers = [f"084d 819d {WHO} 01", f"084d 819d {WHO} 02 ccee 62bb 9dcf",
               f"0845 819d {WHO} " + "c69a " * 8]
    capture = make_capture([down(packet(h, HIGH)) for h in headers])
    assert tshark.values(capture, "rtp.seq") == ["9"] * 3
    assert [len(row["quickrelay.transition_stream"]) for row in
            tshark.rows(capture, "quickrelay.transition_stream")] == [0, 3, 8]


def test_priority_without_a_stream(make_capture, tshark):
    """A byte in 2023, none as published of 2026."""
    capture = make_capture([PROOF, down(packet("0048 01", HIGH)), down(packet("0048", HIGH))])
    assert tshark.values(capture, "rtp.seq") == ["9"] * 2 and tshark.values(capture, "quickrelay.priority") == ["1"]


def test_group_media_proves_itself(make_capture, tshark):
    """With the stream id of its SSRC or an extension that fits; else several packets must agree."""
    def alone(header, body):
        return tshark.frames(make_capture([down(packet(header, body))]), "facetime")
    assert alone("0041 9899", AUDIO) == [1] and alone("0041 989a", AUDIO) == [1] and alone("0040", HIGH) == [1]
    assert alone("0041 1234", AUDIO) == [] and alone("0040", AUDIO) == []
    assert alone("0041 9899", AUDIO[:-6] + bytes.fromhex("002000000020")) == []
    several = make_capture([down(packet("0040", group(5, n, payload_type=104, profile=None))) for n in range(5)])
    for two_pass in (False, True):
        assert tshark.frames(several, "facetime", two_pass=two_pass) == [3, 4, 5]


RANDOM_DATAGRAMS = int(os.environ.get("FACETIME_RANDOM_DATAGRAMS", "100000"))


def with_trailers(count):
    """Random bytes on Apple's ports that end as media of 2026 does; half are ChannelData of the relay's channel."""
    rng = random.Random("trailers")
    for n in range(count):
        body = rng.randbytes(rng.randint(1, 200))
        body += rng.choice((bytes.fromhex("001000000020"), bytes.fromhex("001100000020"),
                            b"\x00\x10" + rng.randbytes(4), b"\x00\x10" + rng.randbytes(10)))
        if n % 4:
            body = struct.pack("!HH", 0x6000, len(body)) + body
        phone = ("10.1.1.1", 16393 + n % 3)
        yield up(body, phone) if n & 8 else down(body, phone)


def test_random_bytes_with_a_trailer_prove_nothing(make_capture, tshark):
    """All on three 5-tuples, which together prove nothing either. A million:
    FACETIME_RANDOM_DATAGRAMS=1000000."""
    assert tshark.frames(make_capture(list(with_trailers(RANDOM_DATAGRAMS))), "quickrelay || facetime_rtp") == []


# ---- bodies

def test_bodies_in_their_order(make_capture, tshark):
    """The attributes come first: an acknowledgement of a link message begins like RTP."""
    ack = bytes.fromhex("80060018") + bytes(16) + bytes.fromhex("00090014") + bytes(20)
    bodies = [("8000 0020", ack, "link"), ("8000 0001", HBH, "hbh"), ("0040", b"", "quickrelay"),
              ("0000", control(0), "control"), ("0000", rtp(), "rtp"),
              ("0000", b"\xfa\xce" + bytes(30), "data"), ("0000", b"\x80", "data"),
              ("0000", b"\x80\x68" + bytes(9), "data"), ("0000", b"\x40\x10ab", "data"),
              ("0000", bytes.fromhex("80c80006 12345678") + bytes(20), "rtcp")]
    capture = make_capture([PROOF, *(up(packet(h, b)) for h, b, _ in bodies)])
    assert kinds(tshark, capture)[1:] == [[KINDS[kind]] for _, _, kind in bodies]
    unparsed = [bool(e & {"unparsed_body"}) for e in experts(tshark, capture)[1:]]
    assert unparsed == [kind == "data" for _, _, kind in bodies]


def test_unparsed_body_is_shown(make_capture, tshark):
    capture = make_capture([PROOF, up(packet("0800", b"\xfa\xce\x01\x02"))])
    assert tshark.values(capture, "quickrelay.body") == ["face0102"]
    # Newer builds are said to bring data with the transition bit: a hint at what it may be.
    assert experts(tshark, capture)[1] == {"unparsed_body", "unverified"}


def test_bodies_that_are_missing(make_capture, tshark):
    capture = make_capture([PROOF, up(packet("8000 0020")), up(packet("8000 0001"))])
    assert experts(tshark, capture)[1:] == [{"bad_length"}] * 2


def test_hop_by_hop_lies(make_capture, tshark):
    iv, ciphertext, tag = HBH[:14], HBH[14:32], HBH[32:]
    lies = [HBH[:-1], HBH + b"\x00", b"\x0a\xff" + HBH, b"\x08\x01" + HBH, b"\x22\x01a", b"\x0a",
            iv, tag, iv + ciphertext, iv + tag, ciphertext + tag,               # a field is missing
            iv + iv + ciphertext + tag, HBH + tag, HBH + ciphertext,            # or comes twice
            b"\x0a\x0b" + bytes(11) + ciphertext + tag, iv + ciphertext + b"\x1a\x11" + bytes(17)]
    capture = make_capture([PROOF, *(up(packet("8000 0001", body)) for body in lies)])
    assert experts(tshark, capture)[1:] == [{"bad_hbh"}] * len(lies)
    assert kinds(tshark, capture)[1:] == [[KINDS["hbh"]]] * len(lies)
    # What comes before the lie is shown, the rest as bytes.
    assert tshark.rows(capture, "quickrelay.hbh.iv", "quickrelay.hbh.unknown")[1:3] == [
        {"quickrelay.hbh.iv": [HBH[2:14].hex()], "quickrelay.hbh.unknown": [HBH[32:-1].hex()]},
        {"quickrelay.hbh.iv": [HBH[2:14].hex()], "quickrelay.hbh.unknown": ["00"]}]


def test_hop_by_hop_messages_that_are_sound(make_capture, tshark):
    """Fields of a protobuf come in any order; only of IV and tag the cipher says how long they are."""
    iv, ciphertext, tag = HBH[:14], HBH[14:32], HBH[32:]
    sound = [HBH, tag + ciphertext + iv, iv + b"\x12\x18" + bytes(24) + tag]
    capture = make_capture([PROOF, *(up(packet("8000 0001", body)) for body in sound)])
    assert experts(tshark, capture) == [set()] * (1 + len(sound))


# ---- lies and cuts

def header_size(data):
    return len(data) - len(read(data)[1])


def test_truncations(make_capture, tshark):
    """Cut at each byte of the header and a little of the body, ChannelData's length telling the truth: what
    comes before the cut is shown, and a header that lacks something says so."""
    cuts = [(data, data[:2] + struct.pack("!H", n - 4) + data[4:n])
            for data, *_ in VECTORS for n in range(4, min(len(data), header_size(data) + 30))]
    capture = make_capture([PROOF, *(down(cut) for _, cut in cuts)])
    found, told = rows(tshark, capture), experts(tshark, capture)
    # Nothing but media is ever left to an exception: stock RTP's, of what is cut there.
    assert tshark.count(capture, "_ws.malformed.expert && !rtp") == 0
    for (data, cut), row, names in zip(cuts, found[1:], told[1:], strict=True):
        whole, shown = read(data)[0], values(row)
        assert ("bad_length" in names) == (len(cut) < header_size(data) or lacks_body(data, cut))
        assert shown["channel"] == [0x6000] and shown["length"] == [len(cut) - 4]
        for name in shown.keys() - {"length"}:
            assert shown[name] == whole[name]
        if len(cut) >= header_size(data):
            assert shown.keys() == whole.keys()


def lacks_body(data, cut):
    """Only link and hop-by-hop messages are told of by the header."""
    return len(cut) == header_size(data) and read(data)[0].get("attr", [0])[0] & 0x21 != 0


def test_snapped(make_capture, tshark):
    """What the capture didn't keep is no lie of the packet's."""
    snapped = [d for data, *_ in VECTORS for d in support.truncations(down(data[:120]), snapped=True)]
    honest = [d._replace(payload=d.payload[:2] + struct.pack("!H", len(d.payload) - 4) + d.payload[4:])
              for d in snapped]
    capture = make_capture([PROOF, *honest])
    assert not any("bad_length" in names for names in experts(tshark, capture))
    # From the first four bytes on, it is seen to be a relay's.
    assert tshark.count(capture, "quickrelay") == 1 + sum(d.snap >= 4 for d in honest)


@pytest.mark.parametrize("header, body", [("0040", b""), ("0000", rtp()), ("8000 0001", HBH), ("8000 0020", LINK)],
                         ids=["empty", "rtp", "hbh", "link"])
def test_length_is_the_datagrams(make_capture, tshark, header, body):
    """It says all that follows it, and nothing more does (5797 of 5797): neither less nor more is sound."""
    length = len(packet(header, body)) - 4
    capture = make_capture([PROOF, *(up(packet(header, body, length=length + by)) for by in (-1, 0, 1)),
                            up(packet(header, body, length=length) + b"ab")])
    assert ["bad_length" in names for names in experts(tshark, capture)[1:]] == [True, False, True, True]
    trailing = [row["quickrelay.trailing"] for row in tshark.rows(capture, "quickrelay.trailing")[1:]]
    assert trailing[3] == [b"ab".hex()] and trailing[1] == trailing[2] == []


def test_damaged_lengths_of_the_generator(tshark):
    cap = generate.build("modern-damaged")
    frames = tshark.frames(support.TEST_CAPTURES / generate.file_name(cap.name), "quickrelay.bad_length")
    assert {cap.landmarks[f"ChannelData length one too {how}"] for how in ("much", "little")} <= set(frames)


def test_what_runs_out_says_so_in_the_list(make_capture, tshark):
    """The Info column is never empty."""
    cuts = [up(packet(header)) for header in ("", "00", "ffff", "0004 0102", "0002 ff 0001", "0040")]
    lying = up(packet("0241 e7a2 0000", length=2))
    for datagrams in ([PROOF, *cuts, lying], [PROOF, *(d for d in support.truncations(PROOF, snapped=True)[3:])]):
        rows = tshark.rows(make_capture(datagrams), "_ws.col.Info", filter="quickrelay")
        info = [row["_ws.col.Info"] for row in rows]
        assert len(info) == len(datagrams) and all(text and text[0].strip() for text in info)


def test_counts_that_lie(make_capture, tshark):
    lies = ["0002 ff" + "0001" * 20, "4000 ff" + "5812" * 20, "0003 1234 05 0001", "4020 05 ff 0001"]
    capture = make_capture([PROOF, *(up(packet(lie)) for lie in lies)])
    assert tshark.count(capture, "_ws.malformed.expert") == 0
    assert ["bad_length" in names for names in experts(tshark, capture)[1:]] == [True] * len(lies)
    found = rows(tshark, capture)[1:]
    assert values(found[2])["stream"] == [0x1234] and values(found[3])["session_version"] == [5]


def test_count_of_zero(make_capture, tshark):
    capture = make_capture([PROOF, up(packet("4002 00 00", rtp()))])
    row = tshark.rows(capture, "quickrelay.secondary_stream.count", "quickrelay.secondary_link.count",
                      "rtp.ssrc")[1]
    assert list(row.values()) == [["0"], ["0"], ["0xada4493f"]]


# ---- evidence

def webrtc(payload):
    """What others send through a TURN channel that their client numbered 0x6000."""
    return struct.pack("!HH", 0x6000, len(payload)) + payload


STRANGERS = [
    webrtc(b"\x80\x6f\x00\x01" + bytes(range(8)) + bytes(range(100))),              # RTP
    webrtc(b"\x90\xef\x00\x01" + bytes(range(8)) + b"\xbe\xde\x00\x01" + bytes(120)),
    webrtc(b"\x16\xfe\xfd" + bytes(8) + b"\x00\x40\x01" + bytes(63)),               # DTLS
    webrtc(bytes.fromhex("000100002112a442") + bytes(12)),                          # STUN
    webrtc(bytes.fromhex("80c80006") + bytes(24)),                                  # RTCP
    webrtc(b"\x00\x00" + bytes(40)),
]


def test_others_channels_are_not_claimed(make_capture, tshark, stock):
    capture = make_capture([Datagram("192.0.2.1", port, "192.0.2.2", server, data)
                            for port, server in ((50000, 3478), (16393, 3478), (16393, 3482), (50000, 50001))
                            for data in STRANGERS])
    assert tshark.count(capture, "facetime || quickrelay") == 0
    assert tshark.text(capture, "-V") == stock.text(capture, "-V")


# Whole messages with a mark that nobody else has, and such as need Apple's ports besides.
MARKED = [packet("2041 493f 5812", rtp()), packet("a000 0001 5812", HBH), packet("8000 0020", LINK)]
UNMARKED = [packet("2040 5812", rtp()), packet("0241 e7a2 0000"), packet("0600 0005 1eb8 0009 0004 0000 0000")]


def each_alone(make_capture, packets, port=16393):
    """Each packet on a flow of its own, so that it must prove itself."""
    return make_capture([up(data, phone=(f"10.1.1.{i}", port)) for i, data in enumerate(packets, 1)])


def test_messages_prove_themselves(make_capture, tshark):
    assert tshark.count(each_alone(make_capture, MARKED + UNMARKED), "quickrelay") == 6


def test_unmarked_messages_need_apples_ports(make_capture, tshark):
    """Behind a NAT the device's port is another one."""
    assert tshark.frames(each_alone(make_capture, MARKED + UNMARKED, port=40000), "facetime") == [1, 2, 3]


def test_spoilt_messages_prove_nothing(make_capture, tshark):
    media = MARKED[0]
    spoilt = [media[:-1] + b"\x01",                                 # no zero word behind the MKI
              media[:-14] + bytes([media[-14] ^ 0x10]) + media[-13:],    # not a version 4 UUID
              media[:-12] + bytes([media[-12] ^ 0xC0]) + media[-11:],    # nor one of RFC 4122
              media[:3] + bytes([media[3] + 1]) + media[4:],        # ChannelData's length is another one
              packet("8000 0020", LINK[:4] + b"\x01" + LINK[5:]), packet("8000 0020", LINK[:-1]),
              packet("a000 0001 5812", HBH[:-1]), packet("0241 e7a2 0000 00"), packet("0240 0000"),
              packet("0000", control(3)), packet("0000", control(3)[:11])]
    assert tshark.frames(each_alone(make_capture, spoilt), "facetime") == []


def test_unseen_forms_prove_nothing(make_capture, tshark):
    """Secondary links, the unknown flag, a chain, unknown attributes: not on a flow that nothing else has
    proven."""
    headers = ("6040 5812 01 5813", "3040 5812", "20c0 0040 5812", "a040 8000 5812")
    assert tshark.frames(each_alone(make_capture, [packet(h, rtp()) for h in headers]), "facetime") == []


def test_channel_number_is_a_preference(make_capture, tshark):
    other = b"\x60\x01" + packet("0241 e7a2 0000")[2:]
    capture = make_capture([up(other), up(packet("0241 e7a2 0001"), phone=CELLULAR)])
    assert tshark.frames(capture, "quickrelay") == [2]
    assert tshark.frames(capture, "quickrelay", prefs={"quickrelay.channel": "6001"}) == [1]


# ---- reports

def report(echo, hold=30, clock=1000):
    return packet(f"0600 {echo:04x} {clock:04x} {hold:04x} 0004 0002 ffff")


def counter(number):
    return packet(f"0241 e7a2 {number:04x}")


def steady_audio(seconds, batch=0):
    """Audio of 20 ms that a capture saw when it was sent; or all of a batch (in seconds) at its end."""
    times = [n / 50 for n in range(round(50 * seconds))]
    return [up(packet("0040", rtp(sequence=n, timestamp=480 * n)),
               time=time if not batch else (time // batch + 1) * batch + n * 1e-5) for n, time in enumerate(times)]


def echoes(seconds, batch=0):
    """Media, then a counter and the report on it 150 ms later: of these frames the last two."""
    return [*steady_audio(seconds, batch), up(counter(1), time=seconds + 1), down(report(1), time=seconds + 1.150)]


@pytest.mark.parametrize("two_pass", [False, True])
def test_round_trip(two_pass, make_capture, tshark):
    """From the counter to its report, less what the relay held it for: 0.150 s less 30 ms."""
    capture = make_capture(echoes(3))
    row = tshark.rows(capture, "quickrelay.stats.echo_of", "quickrelay.stats.rtt", two_pass=two_pass)[-1]
    assert row["quickrelay.stats.echo_of"] == ["151"]
    assert float(row["quickrelay.stats.rtt"][0]) == pytest.approx(0.120)


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize("frames", [echoes(0), echoes(1), echoes(5, batch=1)], ids=["no media", "too little", "batches"])
def test_no_round_trip_without_a_clock_to_believe(frames, two_pass, make_capture, tshark):
    capture = make_capture(frames)
    assert tshark.values(capture, "quickrelay.stats.rtt", two_pass=two_pass) == []
    assert len(tshark.values(capture, "quickrelay.stats.echo_of", two_pass=two_pass)) == 1


@pytest.mark.parametrize("two_pass", [False, True])
def test_no_round_trip_below_zero(two_pass, make_capture, tshark):
    """The relay says that it held it for longer than it took."""
    capture = make_capture([*steady_audio(3), up(counter(1), time=4), down(report(1, hold=500), time=4.150)])
    assert tshark.values(capture, "quickrelay.stats.rtt", two_pass=two_pass) == []


@pytest.mark.parametrize("two_pass", [False, True])
def test_a_counter_is_echoed_as_of_its_report(two_pass, make_capture, tshark):
    """Counters wrap: a report means the newest packet before it. Another flow's counters are not meant."""
    capture = make_capture([up(counter(7)), down(report(7)), up(counter(7)), down(report(7)), down(report(8)),
                            up(counter(8), phone=CELLULAR), down(report(8))])
    assert [row["quickrelay.stats.echo_of"] for row in
            tshark.rows(capture, "quickrelay.stats.echo_of", two_pass=two_pass)] == \
        [[], ["1"], [], ["3"], [], [], []]


# ---- what ties flows together, and what media does

def calls(tshark, capture, **how):
    return [row["facetime.call"] for row in tshark.rows(capture, "facetime.call", **how)]


OTHER_MKI = bytes.fromhex("0123456789ab4def8123456789abcdef")


@pytest.mark.parametrize("name, first, second", [
    ("participant", packet("0045 493f 959a7033b7526469", rtp()),
     packet("0045 493f 959a7033b7526469", rtp(mki=OTHER_MKI))),
    ("key of media", packet("0040", rtp()), packet("0040", rtp())),
])
def test_flows_of_one_call(name, first, second, make_capture, tshark):
    capture = make_capture([up(first), up(second, phone=CELLULAR), up(counter(1), phone=CELLULAR)])
    assert calls(tshark, capture) == [["1"]] * 3
    assert calls(tshark, capture, two_pass=True) == [["1"]] * 3


def test_flows_of_different_calls(make_capture, tshark):
    capture = make_capture([up(packet("0045 493f 959a7033b7526469", rtp())),
                            up(packet("0045 0007 0102030405060708", rtp(ssrc=7, mki=OTHER_MKI)),
                               phone=("10.9.9.9", 16393))])
    assert calls(tshark, capture) == [["1"], ["2"]]


def test_flows_found_to_be_one_call_later(make_capture, tshark):
    """Until the key shows up on both, nobody can know."""
    capture = make_capture([up(packet("0040", rtp())), up(counter(1), phone=CELLULAR),
                            up(packet("0040", rtp(sequence=2)), phone=CELLULAR),
                            up(counter(2), phone=CELLULAR)])
    assert calls(tshark, capture) == [["1"], ["2"], ["1"], ["1"]]


def test_control_message_ties_by_its_key(make_capture, tshark):
    """A control message alone proves no relay, so its flow must be one already."""
    capture = make_capture([up(packet("0040", rtp(mki=PEER_MKI))), up(counter(1), phone=CELLULAR),
                            up(packet("0040", control(1, mki=PEER_MKI)), phone=CELLULAR), up(counter(2), phone=CELLULAR)])
    assert calls(tshark, capture) == [["1"], ["2"], ["1"], ["1"]]


def test_keys_of_zeros_tie_nothing(make_capture, tshark):
    zeros = packet("0044 0000000000000000", control(1, mki=bytes(16)))
    other = ("10.9.9.9", 16393)
    capture = make_capture([up(counter(1)), up(zeros), up(counter(1), phone=other), up(zeros, phone=other)])
    assert calls(tshark, capture) == [["1"], ["1"], ["2"], ["2"]]


def media(header, sequence):
    return packet(header, rtp(sequence=sequence))


def test_mode_changes(make_capture, tshark):
    """Each direction changes when it gets the word: the first to change tells, and back again."""
    stream, link = "0041 493f", "2040 5813"
    frames = [up(media(stream, 1)), down(media(stream, 2)), down(media(link, 3)), up(media(stream, 4)),
              up(media(link, 5)), down(media(link, 6)), up(media("0040", 7)), up(media(stream, 8)),
              up(media(stream, 9))]
    capture = make_capture(frames)
    assert tshark.frames(capture, 'facetime.event == "mode_changed"') == [3, 8]
    text = tshark.text(capture, "-O", "facetime", filter="frame.number == 8")
    assert "from one-to-one to multiway" in text


def switches(tshark, capture):
    return tshark.frames(capture, 'facetime.event == "path_switch"')


def test_media_moves_to_another_link(make_capture, tshark):
    frames = [up(media("2040 5812", 1), time=0), up(media("2040 5812", 2), time=0.02),
              up(media("2040 5813", 3), time=0.04), up(media("2040 5813", 4), time=0.06),
              down(media("2040 5812", 5), time=0.08), up(media("2040 5812", 6), time=9)]
    capture = make_capture(frames)
    assert switches(tshark, capture) == [3, 6]
    assert "from relay link 0x5812 (never announced) to 0x5813" in \
        tshark.text(capture, "-O", "facetime", filter="frame.number == 3")


def test_media_that_alternates_moves_once(make_capture, tshark):
    """Copies over two links at a time are no switches."""
    frames = [up(media(f"2040 581{2 + i % 2}", i), time=i / 100) for i in range(40)]
    assert switches(tshark, make_capture(frames)) == [2]
