# SPDX-License-Identifier: GPL-2.0-or-later
"""Link messages and control messages: decoded to the last byte, tied to each other, and lies told."""

import collections
import re
import struct

import pytest

import support
from support import Datagram

PHONE, CELLULAR = ("10.239.19.254", 16393), ("10.127.22.118", 16394)
RELAY, PEER = ("17.249.172.142", 3482), ("172.58.223.197", 38489)
MKI = bytes.fromhex("8223ac978cc7488da6ea86b60e6b56c5")
KEY = MKI[:8]

COUNTER, CONNECTION, ACCEPT_DELAY, HMAC, RTT = 0x01, 0x03, 0x07, 0x09, 0x0A
CAPABILITY, LINK_FLAGS, DATA_SO, INTERFACES, KEYS = 0x0C, 0x13, 0x14, 0x15, 0x16
UNVERIFIED = (0x02, 0x04, 0x05, 0x06, 0x08, 0x0B, 0x0D, 0x0E, 0x0F, 0x11, 0x12, 0x13, 0x14)

EXPERTS = ("bad_length", "bad_tlv_length", "bad_count", "bad_index", "reserved_not_zero", "no_hmac",
           "unknown_tlv", "unknown_command", "unverified", "retransmission")
RELAY_INFO, CONNECTION_DATA, KEEPALIVE, ACK = 0x0006, 0x0004, 0x0003, 0x8000

# As two frames of the cellular capture have them (330 and 439): three addresses with a candidate each, two
# interfaces.
REAL_CONNECTION = bytes.fromhex("20c3 5400 a6c61872 5400 0a7f1676 d400 26000381ce1f105354310f13898a98bc"
                                "1020 b4b1 0021 400a 0022 400a")
REAL_INTERFACES = bytes.fromhex("2002 1900 5812 05a6 0000 00000001 1928 5813 04e8 0001 00000001")
ADDRESSES = ["166.198.24.114", "10.127.22.118", "2600:381:ce1f:1053:5431:f13:898a:98bc"]


def up(payload, phone=PHONE, **changes):
    return Datagram(*phone, *RELAY, payload)._replace(**changes)


def down(payload, phone=PHONE, **changes):
    return Datagram(*RELAY, *phone, payload)._replace(**changes)


def relayed(body, header="8000 0020"):
    """A body behind a relay header that calls it a link message."""
    content = bytes.fromhex(header) + body
    return struct.pack("!HH", 0x6000, len(content)) + content


def tlv(number, value, length=None):
    return struct.pack("!HH", number, len(value) if length is None else length) + value


def link(command, *tlvs, hmac=bytes(range(20)), length=None, zeros=bytes(16)):
    body = b"".join(tlvs) + (tlv(HMAC, hmac) if hmac else b"")
    return struct.pack("!HH", command, len(body) if length is None else length) + zeros + body


def counted(command, number, *tlvs, **how):
    """A message with its counter; its HMAC is its own."""
    hmac = struct.pack("!HH", command, number) + bytes(range(16))
    return link(command, *tlvs, tlv(COUNTER, struct.pack("!H", number)), hmac=hmac, **how)


def control(number, key=KEY, ciphertext=bytes(range(60))):
    return b"\x40\x0f" + key + bytes([number]) + ciphertext


def in_control(body):
    return relayed(body, "0000")


def rtp(sequence=1, mki=MKI, ssrc=0xADA4493F):
    return relayed(struct.pack("!BBHII", 0x80, 104, sequence, 480, ssrc) + bytes(40) + mki + bytes(4),
                   "2040 5813")


def stun_data(message):
    """A Data indication as it comes over the direct path: a zero where the channel number would be, then
    DATA."""
    attributes = tlv(0x000C, bytes(4)) + tlv(0x0013, message) + bytes(-len(message) % 4)
    return struct.pack("!HHI", 0x0017, len(attributes), 0x2112A442) + bytes(range(12)) + attributes


def experts(tshark, capture, protocol="facetime_link", names=EXPERTS, **how):
    found = tshark.rows(capture, *(f"{protocol}.{name}" for name in names), **how)
    return [{name for name in names if row[f"{protocol}.{name}"]} for row in found]


def numbers(values):
    return [int(v, 0) for v in values]


def is_true(value):
    assert value in ("0", "1", "True", "False")
    return value in ("1", "True")


# ---- real captures

REAL = {"facetime-2023-cellular.pcapng": (67, 3), "facetime-2023-wifi-caller.pcapng": (19, 1)}


@pytest.fixture(scope="module", params=REAL)
def call(request, real):
    return real(request.param)


@pytest.fixture(scope="module")
def cellular(real):
    return real("facetime-2023-cellular.pcapng")


def expected_counts(path):
    return next(counts for name, counts in REAL.items() if str(path).endswith(name))


def test_real_messages_are_all_there(call, tshark):
    """In the relay channel, and in STUN Data indications on the direct path."""
    found = tshark.rows(call, "facetime.kind", "facetime.path", filter="facetime_link")
    paths = collections.Counter((*row["facetime.kind"], *row["facetime.path"]) for row in found)
    relay, direct = expected_counts(call)
    assert paths == {("10", "1"): relay, ("10", "2"): direct}


def test_real_messages_are_sound(call, tshark):
    """TLVs that end where the message does, known ones, an HMAC last."""
    assert set().union(*experts(tshark, call)) <= {"retransmission"}


def body_of(data):
    """The link message of a whole datagram: behind its relay header, or in its DATA attribute, the last
    one."""
    if data[:2] == b"\x60\x00":
        return data[data.index(bytes(16)) - 4:]
    return data[32:32 + int.from_bytes(data[30:32], "big")]


def tlvs_of(body):
    at, found = 20, []
    while at < len(body):
        number, length = struct.unpack_from("!HH", body, at)
        found.append((number, body[at + 4:at + 4 + length]))
        at += 4 + length
    assert at == len(body)
    return found


def test_real_tlvs(call, tshark):
    """Types, lengths and plain values, against another reading of the bytes."""
    plain = {COUNTER: "counter", ACCEPT_DELAY: "accept_delay", CAPABILITY: "capability", HMAC: "hmac",
             KEYS: "keys"}
    found = tshark.rows(call, "udp.payload", "facetime_link.command", "facetime_link.tlv.type",
                        "facetime_link.tlv.length", *(f"facetime_link.{n}" for n in plain.values()),
                        filter="facetime_link")
    for row in found:
        body = body_of(bytes.fromhex(row["udp.payload"][0]))
        tlvs = tlvs_of(body)
        assert numbers(row["facetime_link.command"]) == [int.from_bytes(body[:2], "big")]
        assert numbers(row["facetime_link.tlv.type"]) == [number for number, _ in tlvs]
        assert numbers(row["facetime_link.tlv.length"]) == [len(value) for _, value in tlvs]
        for number, name in plain.items():
            values = [value for n, value in tlvs if n == number]
            shown = row[f"facetime_link.{name}"]
            assert [v if number in (HMAC, KEYS) else int(v, 0) for v in shown] == \
                [v.hex() if number in (HMAC, KEYS) else int.from_bytes(v, "big") for v in values]


def test_real_connection_data(cellular, tshark):
    """Frame 330, decoded by hand."""
    names = ("connection.addresses", "connection.candidates", "address.ipv4", "address.ipv6", "address.radio",
             "candidate.type", "candidate.ipv4", "candidate.ipv6", "candidate.port")
    row = tshark.rows(cellular, *(f"facetime_link.{n}" for n in names), filter="frame.number == 330")[0]
    assert list(row.values()) == [["3"], ["3"], ADDRESSES[:2], ADDRESSES[2:], ["5", "5", "5"],
                                  ["1", "0", "0"],
                                  ADDRESSES[:2], ADDRESSES[2:], ["46257", "16394", "16394"]]


def test_real_interfaces(cellular, tshark):
    """Frame 439, decoded by hand: the far end's Wi-Fi and cellular links."""
    row = tshark.rows(cellular, *(f"facetime_link.interface.{n}" for n in
                                  ("link_id", "radio", "mtu", "flags", "data_so", "local_type", "transport")),
                      filter="frame.number == 439")[0]
    assert [numbers(v) for v in row.values()] == [[0x5812, 0x5813], [0, 5], [1446, 1256], [0, 1], [1, 1],
                                                  [3, 3], [2, 2]]


def test_real_round_trip_report(cellular, tshark):
    """Frame 3607: 0x9371.95d9 of NTP's seconds is 18:35:29.585 that day, 9 s ahead of the capture's clock."""
    row = tshark.rows(cellular, "facetime_link.rtt.timestamp", "facetime_link.rtt.time",
                      "facetime_link.rtt.echoed_time",
                      "facetime_link.rtt.processing_delay", filter="frame.number == 3607")[0]
    assert row["facetime_link.rtt.timestamp"] == ["0x937195d9"]
    assert "18:35:29.585342" in row["facetime_link.rtt.time"][0]
    assert row["facetime_link.rtt.echoed_time"] == []
    assert float(row["facetime_link.rtt.processing_delay"][0]) == 0


# Commands without an answer in the capture: those on a path's last breath, and interfaces that came over
# both links but were acknowledged on one (frames 1297 and 1332 of the Wi-Fi capture).
UNANSWERED = {70: [3607], 20: [1297, 2206]}


def test_real_acknowledgements(call, tshark):
    """Every acknowledgement names an earlier command of its kind with its counter, from the other side."""
    names = ("frame.number", "udp.srcport", "facetime_link.command", "facetime_link.counter",
             "facetime_link.response_to", "facetime_link.response_in", "facetime_link.time")
    found = {int(row["frame.number"][0]): {n.split(".")[-1]: v for n, v in row.items()}
             for row in tshark.rows(call, *names, filter="facetime_link", two_pass=True)}
    silent = []
    for frame, row in found.items():
        command = int(row["command"][0], 0)
        if not command & ACK:
            silent += [] if row["response_in"] else [frame]
            continue
        asked = found[int(row["response_to"][0])]
        assert int(row["response_to"][0]) < frame and asked["srcport"] != row["srcport"]
        assert int(asked["command"][0], 0) == command & ~ACK and asked["counter"] == row["counter"]
        assert bool(row["time"]) == (asked["response_in"] == [str(frame)])
    assert silent == UNANSWERED[len(found)]


def test_real_controls(call, tshark):
    """Keys are those of the senders' media; a repeat is byte by byte the first message of its key and
    counter."""
    media = tshark.rows(call, "frame.number", "facetime_rtp.mki", filter="facetime_rtp.mki")
    first_media = {}
    for row in media:
        first_media.setdefault(row["facetime_rtp.mki"][0].replace("-", "")[:16], int(row["frame.number"][0]))
    found = tshark.rows(call, "frame.number", *(f"facetime_control.{n}" for n in (
        "key_id", "counter", "ciphertext", "mki_frame", "retransmission_of")), filter="facetime_control")
    assert len(found) == 51
    first = {}
    for row in found:
        frame, key, count, text = (row[n][0] for n in ("frame.number", "facetime_control.key_id",
                                                       "facetime_control.counter",
                                                       "facetime_control.ciphertext"))
        heard = first_media[key]                    # every key is a sender's
        assert row["facetime_control.mki_frame"] == ([str(heard)] if heard < int(frame) else [])
        earlier = first.setdefault((key, count), (frame, text))
        assert text == earlier[1]
        assert row["facetime_control.retransmission_of"] == ([] if earlier[0] == frame else [earlier[0]])
    assert len({key for key, _ in first}) == 2


# ---- made by hand: TLVs

def test_each_tlv(make_capture, tshark):
    """A message of each known TLV, and one of all."""
    uuid = bytes(range(16))
    tlvs = {COUNTER: b"\x00\x07", 0x02: b"\x01", CONNECTION: REAL_CONNECTION, 0x04: b"ske", 0x05: b"\x05",
            0x06: b"\x05\xa6", ACCEPT_DELAY: bytes.fromhex("000298d5"), 0x08: b"net", RTT: bytes(12),
            0x0B: uuid, CAPABILITY: b"\x00\x01", 0x0D: uuid, 0x0E: uuid, 0x0F: b"any", 0x11: b"\x00\x01",
            0x12: b"\x00\x02", LINK_FLAGS: b"\x12\x34",
            DATA_SO: bytes.fromhex("89abcdef"), INTERFACES: REAL_INTERFACES, KEYS: b"bplist00"}
    encoded = [tlv(number, value) for number, value in tlvs.items()]
    capture = make_capture([*(up(relayed(link(RELAY_INFO, one))) for one in encoded),
                            up(relayed(link(RELAY_INFO, *encoded)))])
    names = ("tlv.type", "tlv.value", "flags", "data_so", "keys")
    found = tshark.rows(capture, *(f"facetime_link.{n}" for n in names))
    types = [numbers(row["facetime_link.tlv.type"]) for row in found]
    assert types == [*([n, HMAC] for n in tlvs), [*tlvs, HMAC]]
    assert found[-1]["facetime_link.flags"] == ["0x1234"]
    assert found[-1]["facetime_link.data_so"] == ["0x89abcdef"]
    assert found[-1]["facetime_link.keys"] == [b"bplist00".hex()]
    plain = [n for n in UNVERIFIED if n not in (LINK_FLAGS, DATA_SO)]
    assert found[-1]["facetime_link.tlv.value"] == [tlvs[n].hex() for n in plain]
    told = experts(tshark, capture)
    assert told[:-1] == [{"unverified"} & ({"unverified"} if n in UNVERIFIED else set()) for n in tlvs]
    assert told[-1] - {"retransmission"} == {"unverified"}


def test_names(make_capture, tshark):
    messages = [link(command | ack) for command in (3, 4, 5, 6) for ack in (0, ACK)] + [link(0x0077)]
    capture = make_capture([up(relayed(m)) for m in messages])
    assert tshark.lines(capture, "-T", "fields", "-e", "_ws.col.Info") == [
        "Round-trip time", "Round-trip time ack", "Connection data", "Connection data ack",
        "Direct path 0x0005", "Direct path 0x0005 ack", "Relay interfaces", "Relay interfaces ack",
        "Unknown command"]


def test_address_bits(make_capture, tshark):
    """One address for each bit of its head, one for each candidate's."""
    heads = [0x8000, 0x4000, 0x2000, 0x0400, 0x0200, 0x0100, 0x0001]
    value = struct.pack("!H", 1 << 13 | len(heads) << 6 | 3)
    value += b"".join(struct.pack("!H", h) + bytes(range(16 if h & 0x8000 else 4)) for h in heads)
    value += bytes.fromhex("f000 0001 0fe1 0002 0026 ffff")
    capture = make_capture([up(relayed(link(CONNECTION_DATA, tlv(CONNECTION, value))))])
    names = ("is_ipv6", "active", "radio", "delegated", "unused")
    row = tshark.rows(capture, *(f"facetime_link.address.{n}" for n in names),
                      *(f"facetime_link.candidate.{n}"
                        for n in ("type", "transport", "address_index", "port")))[0]
    bits = {n: row[f"facetime_link.address.{n}"] for n in names}
    assert [is_true(v) for v in bits["is_ipv6"]] == [True] + [False] * 6
    assert [is_true(v) for v in bits["active"]] == [h == 0x4000 for h in heads]
    assert numbers(bits["radio"]) == [0, 0, 8, 1, 0, 0, 0]
    assert [is_true(v) for v in bits["delegated"]] == [h == 0x0200 for h in heads]
    assert numbers(bits["unused"]) == [0, 0, 0, 0, 0, 0x100, 1]
    assert [numbers(row[f"facetime_link.candidate.{n}"])
            for n in ("type", "transport", "address_index", "port")] == \
        [[15, 0, 0], [0, 0x7F, 1], [0, 1, 6], [1, 2, 65535]]
    assert experts(tshark, capture) == [set()]


def test_interface_bits(make_capture, tshark):
    heads = [0x8000, 0x7800, 0x0780, 0x0078, 0x0007]
    value = struct.pack("!H", 1 << 13 | len(heads)) + b"".join(
        struct.pack("!HHHHI", h, 0x5811 + i, 1446, 1, 2) for i, h in enumerate(heads))
    capture = make_capture([up(relayed(link(RELAY_INFO, tlv(INTERFACES, value))))])
    row = tshark.rows(capture, *(f"facetime_link.interface.{n}" for n in
                                 ("is_ipv6", "local_type", "transport", "radio", "unused", "link_id")))[0]
    shown = list(row.values())
    assert [is_true(v) for v in shown[0]] == [True] + [False] * 4
    assert [numbers(v) for v in shown[1:]] == [[0, 15, 0, 0, 0], [0, 0, 15, 0, 0], [0, 0, 0, 15, 0],
                                               [0, 0, 0, 0, 7],
                                               [0x5811, 0x5812, 0x5813, 0x5814, 0x5815]]


def moment(text):
    """Day and time. tshark writes Nov 15, 2023 07:19:27.500000000 UTC, from 4.6 on 2023-11-15T07:19:27.500000000+0000."""
    return re.search(r"(\d+)(?:, 2023 |T)(\d\d:\d\d:\d\d\.\d)", text).groups()


def test_round_trip_times_near_an_era_s_end(make_capture, tshark):
    """Sixteen bits of seconds wrap every 18 hours: the time nearest the packet's is meant. Captures begin at
    1700000000 here, which is 0x6f80 of NTP's seconds."""
    assert (support.START_TIME + 2208988800) & 0xFFFF == 0x6F80
    reports = [struct.pack("!III", low << 16 | 0x8000, low << 16, 0x00018000)
               for low in (0x6F80, 0x6F7F, 0xEF7F, 0xEF81)]
    capture = make_capture([up(relayed(link(KEEPALIVE, tlv(RTT, r))), time=0) for r in reports])
    rows = tshark.rows(capture, "facetime_link.rtt.time", "facetime_link.rtt.echoed_time",
                       "facetime_link.rtt.processing_delay")
    # 14 November 2023, 22:13:20; 0x7fff seconds are 9:06:07 hours.
    assert [moment(row["facetime_link.rtt.time"][0]) for row in rows] == [
        ("14", "22:13:20.5"), ("14", "22:13:19.5"), ("15", "07:19:27.5"), ("14", "13:07:13.5")]
    assert "22:13:20.0" in rows[0]["facetime_link.rtt.echoed_time"][0]
    assert float(rows[0]["facetime_link.rtt.processing_delay"][0]) == 1.5


# ---- made by hand: what ties messages together

@pytest.mark.parametrize("path", ["relay", "direct"])
def test_acknowledgements(path, make_capture, tshark):
    """The counter ties: each side, and each command, counts for itself."""
    if path == "relay":
        here, there = (lambda m, t: up(relayed(m), time=t)), (lambda m, t: down(relayed(m), time=t))
    else:
        here = lambda m, t: Datagram(*CELLULAR, *PEER, stun_data(m), t)     # noqa: E731
        there = lambda m, t: Datagram(*PEER, *CELLULAR, stun_data(m), t)    # noqa: E731
    frames = [up(relayed(counted(RELAY_INFO, 9)), phone=CELLULAR)] + [
        here(counted(4, 1), 1.0), here(counted(6, 1), 1.1), there(counted(4, 1), 1.2),
        there(counted(4 | ACK, 1), 1.3),
        here(counted(4, 1), 1.4), here(counted(4 | ACK, 1), 1.5), there(counted(6 | ACK, 1), 1.6),
        there(counted(6 | ACK, 1), 1.7), there(counted(5 | ACK, 1), 1.8)]
    if path == "direct":    # a check that only FaceTime sends proves the flow
        frames[0] = check_from(CELLULAR, PEER)._replace(time=0)
    names = ("response_in", "response_to", "time")
    found = tshark.rows(make_capture(frames), *(f"facetime_link.{n}" for n in names), two_pass=True)
    links = [(r["facetime_link.response_in"], r["facetime_link.response_to"]) for r in found[1:]]
    assert links == [(["5"], []), (["8"], []), (["7"], []), ([], ["2"]), ([], []), ([], ["4"]), ([], ["3"]),
                     ([], ["3"]),
                     ([], [])]
    times = [r["facetime_link.time"] for r in found[1:]]
    assert [float(t[0]) for t in (times[3], times[5], times[6])] == pytest.approx([0.3, 0.3, 0.5])
    assert [bool(t) for t in times] == [False, False, False, True, False, True, True, False, False]
    again = [frame for frame, e in enumerate(experts(tshark, make_capture(frames)), 1)
             if "retransmission" in e]
    assert again == [6, 9]


def test_links_are_named_from_their_announcement_on(make_capture, tshark):
    """Whoever announces owns: the device its own links, the far end's participant theirs."""
    def announce(link_id, radio=0, v6=0):
        return tlv(INTERFACES, struct.pack("!HHHHHI", 0x2001, v6 << 15 | 3 << 11 | 2 << 7 | radio << 3,
                                           link_id, 1446, 0, 0))
    frames = [up(relayed(b"", "2040 5811")),                                            # 1 proves nothing yet
              up(relayed(counted(RELAY_INFO, 1, announce(0x5811, 5)))),                 # 2
              up(relayed(b"", "2040 5811")), down(relayed(b"", "2040 5813")),           # 3, 4
              down(relayed(counted(RELAY_INFO, 1, announce(0x5813)), "8004 0030 959a7033b7526469")),  # 5
              down(relayed(b"", "2040 5813")),                                          # 6
              down(relayed(counted(RELAY_INFO, 2, announce(0x5813)), "8004 0030 959a7033b7526469")),  # 7
              down(relayed(b"", "2040 5813")),                                          # 8
              down(relayed(counted(RELAY_INFO, 3, announce(0x5813, 9, 1)))),            # 9 another radio
              down(relayed(b"", "2040 5813")), down(relayed(b"", "6040 5811 01 5813"))]  # 10, 11
    capture = make_capture(frames)
    assert tshark.count(capture, "quickrelay && frame.number == 1") == 0
    for two_pass in (False, True):
        found = [row["quickrelay.link.frame"]
                 for row in tshark.rows(capture, "quickrelay.link.frame", two_pass=two_pass)]
        assert found == [[], [], ["2"], [], [], ["5"], [], ["5"], [], ["9"], ["2", "9"]]
    text = tshark.text(capture, "-O", "quickrelay")
    for line in ("Link: 0x5811 = this device, Cellular, IPv4",
                 "Link: 0x5813 = participant 959a7033b7526469, Wi-Fi, IPv4",
                 "Link: 0x5813 = the far end, Wired (unverified), IPv6"):
        assert line in text


def test_links_of_another_flow_of_the_call(make_capture, tshark):
    """The phone's other flow carries media of a link that only the first one announced; a stranger's flow
    doesn't."""
    announce = tlv(INTERFACES, struct.pack("!HHHHHI", 0x2001, 0x1900, 0x5813, 1446, 0, 0))
    stranger = bytes.fromhex("0123456789ab4def8123456789abcdef")
    capture = make_capture([down(relayed(counted(RELAY_INFO, 1, announce))), up(rtp()),
                            up(rtp(2), phone=CELLULAR),
                            up(rtp(3), phone=CELLULAR), up(rtp(4, stranger, 7), phone=("10.9.9.9", 16393)),
                            up(rtp(5, stranger, 7), phone=("10.9.9.9", 16393))])
    for two_pass in (False, True):  # the key in the packet's own body ties the flow from the next packet on
        found = [row["quickrelay.link.frame"]
                 for row in tshark.rows(capture, "quickrelay.link.frame", two_pass=two_pass)]
        assert found == [[], ["1"], [], ["1"], [], []]


def test_one_message_over_two_links_ties_them(make_capture, tshark):
    message = relayed(counted(RELAY_INFO, 1, tlv(CAPABILITY, b"\x00\x01")))
    capture = make_capture([up(message), up(message, phone=CELLULAR),
                            up(relayed(link(RELAY_INFO, hmac=bytes(range(20, 40)))),
                               phone=("10.9.9.9", 16393))])
    assert [r["facetime.call"] for r in tshark.rows(capture, "facetime.call")] == [["1"], ["1"], ["2"]]


def check_from(source, destination):
    """A connectivity check as today's devices send it."""
    uuid = bytes(range(6)) + b"\x4f\xff\x8f" + bytes(range(7))
    attributes = tlv(0x8008, uuid) + tlv(0x8007, bytes(4)) + tlv(0x0008, bytes(20))
    header = struct.pack("!HHI", 1, len(attributes), 0x2112A442) + bytes(12)
    return Datagram(*source, *destination, header + attributes)


def test_offered_addresses_tie_direct_flows(make_capture, tshark):
    offer = up(relayed(counted(CONNECTION_DATA, 1, tlv(CONNECTION, REAL_CONNECTION))),
               phone=("10.127.22.118", 16394), time=0)
    own, far = (ADDRESSES[2], 16394), ("2607:fb90:ac93:9bef:82c:a0c:b9dc:10e", 16394)
    capture = make_capture([offer, check_from(own, far)._replace(time=1),
                            check_from(far, own)._replace(time=2),
                            check_from(("2001:db8::1", 16394), far)._replace(time=3)])
    found = [r["facetime.call"] for r in tshark.rows(capture, "facetime.call")]
    assert found[:3] == [["1"]] * 3


def test_old_offers_tie_nothing(make_capture, tshark):
    """Private addresses are anybody's: ten minutes after a call fell silent, another may have them."""
    offer = up(relayed(counted(CONNECTION_DATA, 1, tlv(CONNECTION, REAL_CONNECTION))), time=0)
    check = check_from(CELLULAR, ("10.0.0.7", 16394))
    capture = make_capture([offer, check._replace(time=600)])
    assert [r["facetime.call"] for r in tshark.rows(capture, "facetime.call")] == [["1"], ["2"]]


# ---- made by hand: lies

def test_lies(make_capture, tshark):
    """Each lie has its name, and what stands beside it is shown."""
    good = tlv(COUNTER, b"\x00\x07")
    lies = [
        (link(6, good, length=5), {"bad_length"}), (link(6, good, length=0xFFFF), {"bad_length"}),
        (link(6, good, zeros=bytes(15) + b"\x01"), {"reserved_not_zero"}),
        (link(6, good, hmac=b""), {"no_hmac"}),
        (link(6, good, hmac=bytes(19)), {"no_hmac", "bad_tlv_length"}),
        (link(6, tlv(0x0A77, b"abc"), good), {"unknown_tlv"}),
        (link(6, tlv(COUNTER, b"\x07")), {"bad_tlv_length"}),
        (link(6, tlv(RTT, bytes(11)), good), {"bad_tlv_length"}),
        (link(6, good, tlv(KEYS, b"abc", length=0xFFFF), hmac=b""), {"bad_tlv_length", "no_hmac"}),
        (link(6, good, b"\x00\x01\x00", hmac=b""), {"bad_tlv_length", "no_hmac"}),
        (link(6, good, tlv(CONNECTION, b"\x20")), {"bad_tlv_length"}),
        (link(6, good, tlv(CONNECTION, b"")), {"bad_tlv_length"}),
        # 127 addresses, 63 candidates
        (link(6, good, tlv(CONNECTION, b"\x3f\xff")), {"bad_count"}),
        (link(6, good, tlv(CONNECTION, b"\x3f\xc0" + REAL_CONNECTION[2:])), {"bad_count"}),
        (link(6, good, tlv(CONNECTION, b"\x20\xc4" + REAL_CONNECTION[2:])), {"bad_count"}),
        (link(6, good, tlv(CONNECTION, b"\x20\xc2" + REAL_CONNECTION[2:])), {"bad_count"}),
        (link(6, good, tlv(CONNECTION, b"\x20\x00")), set()),
        (link(6, good, tlv(CONNECTION, b"\x20\x01\x00\x20\x40\x09")), {"bad_index"}),
        (link(6, good, tlv(INTERFACES, b"\x3f\xff")), {"bad_count"}),
        (link(6, good, tlv(INTERFACES, b"\x20\x00")), set()),
        (link(6, good, tlv(INTERFACES, b"\x20\x03" + REAL_INTERFACES[2:])), {"bad_count"}),
        (link(6, good, tlv(INTERFACES, b"\x20\x01" + REAL_INTERFACES[2:])), {"bad_count"}),
        (link(6, good, tlv(INTERFACES, REAL_INTERFACES + b"\x00")), {"bad_count"}),
        (link(6, good, *[tlv(COUNTER, b"")] * 300), {"bad_tlv_length"}),
    ]
    capture = make_capture([up(relayed(link(RELAY_INFO))), *(up(relayed(m), phone=PHONE) for m, _ in lies)])
    told = experts(tshark, capture)[1:]
    assert tshark.count(capture, "_ws.malformed.expert") == 0
    for (message, expected), names in zip(lies, told, strict=True):
        assert names - {"retransmission"} == expected, message.hex()
    counters = [r["facetime_link.counter"] for r in tshark.rows(capture, "facetime_link.counter")][1:]
    assert [c == ["7"] for c in counters] == [good in m for m, _ in lies]
    # Where a count promises more than there is, what is there is shown.
    ports = tshark.rows(capture, "facetime_link.candidate.port", "facetime_link.interface.link_id")[1:]
    assert ports[14]["facetime_link.candidate.port"] == ["46257", "16394", "16394"]
    assert ports[20]["facetime_link.interface.link_id"] == ["0x5812", "0x5813"]
    assert tshark.count(capture, "facetime.kind == 10") == 1 + len(lies)


def test_commands(make_capture, tshark):
    """Seen: 3 to 6 and their acknowledgements, but for 8003, which others' clients alone tell of (modern.md 5.3)."""
    commands = [0, 1, 2, 3, 4, 5, 6, 7, 0x100, 0x4003]
    commands += [command | ACK for command in commands]
    seen = {3, 4, 5, 6, 0x8004, 0x8005, 0x8006}
    capture = make_capture([up(relayed(link(RELAY_INFO))), *(up(relayed(link(command))) for command in commands)])
    assert experts(tshark, capture)[1:] == [
        set() if command in seen else {"unverified"} if command == 0x8003 else {"unknown_command"}
        for command in commands]


WHOLE = [counted(CONNECTION_DATA, 1, tlv(CONNECTION, REAL_CONNECTION)),
         counted(RELAY_INFO, 1, tlv(CAPABILITY, b"\x00\x01"), tlv(INTERFACES, REAL_INTERFACES),
                 tlv(ACCEPT_DELAY, bytes(4))),
         counted(KEEPALIVE, 1, tlv(RTT, bytes.fromhex("937195d90000000000000000")), tlv(KEYS, b"bplist00"))]


def test_truncations(make_capture, tshark):
    """Cut at every byte, the relay's lengths telling the truth: the TLVs before the cut are all there, the
    cut has a name."""
    cuts = [(whole, n) for whole in WHOLE for n in range(1, len(whole))]
    capture = make_capture([up(relayed(link(RELAY_INFO))), *(up(relayed(whole[:n])) for whole, n in cuts)])
    types = tshark.rows(capture, "facetime_link.tlv.type", "facetime.kind")[1:]
    assert tshark.count(capture, "_ws.malformed.expert") == 0
    for (whole, n), row, names in zip(cuts, types, experts(tshark, capture)[1:], strict=True):
        assert row["facetime.kind"] == ["10"]
        assert "bad_length" in names
        at, whole_types = 20, []
        while at + 4 <= n:
            number, length = struct.unpack_from("!HH", whole, at)
            whole_types.append(number)
            at += 4 + length
        assert numbers(row["facetime_link.tlv.type"]) == whole_types
        assert n < 20 or ("bad_tlv_length" in names) == (at != n)


def test_snapped(make_capture, tshark):
    """What the capture didn't keep is no lie of the message's."""
    datagrams = [d for whole in WHOLE for d in support.truncations(up(relayed(whole)), snapped=True)]
    capture = make_capture([up(relayed(link(RELAY_INFO))), *datagrams])
    assert set().union(*experts(tshark, capture)) <= {"retransmission"}
    assert tshark.count(capture, "facetime_link") == 1 + sum(d.snap >= 8 for d in datagrams)


def test_truncated_in_a_data_indication(make_capture, tshark):
    """Here nothing but its own bytes makes it a link message, so only a whole one is."""
    whole = WHOLE[1]
    cuts = [Datagram(*PEER, *CELLULAR, stun_data(whole[:n])) for n in range(1, len(whole) + 1)]
    capture = make_capture([check_from(CELLULAR, PEER), *cuts])
    assert tshark.frames(capture, "facetime_link") == [1 + len(whole)]
    assert tshark.count(capture, "facetime && stun") == 1 + len(whole)


# ---- control messages

CONTROL_EXPERTS = ("bad_length", "retransmission")

# What makes the flow a relay's: a control message alone has too little to show.
PROOF = up(relayed(counted(RELAY_INFO, 1)))
PROOF_ON_CELLULAR = up(relayed(counted(RELAY_INFO, 1)), phone=CELLULAR)


def test_control_message(make_capture, tshark):
    capture = make_capture([PROOF, up(in_control(control(0xCA, ciphertext=b"secret")))])
    row = tshark.rows(capture, "facetime.kind",
                      *(f"facetime_control.{n}" for n in ("key_id", "counter", "ciphertext")))[1]
    assert list(row.values()) == [["9"], [KEY.hex()], ["202"], [b"secret".hex()]]


@pytest.mark.parametrize("two_pass", [False, True])
def test_control_repeats(two_pass, make_capture, tshark):
    """The same bytes again, on whatever way; a counter that came round again is a new message."""
    other = bytes(range(8))
    messages = [PROOF, up(in_control(control(1))), up(in_control(control(1))), up(in_control(control(2))),
                PROOF_ON_CELLULAR, up(in_control(control(1)), phone=CELLULAR),
                up(in_control(control(1, ciphertext=b"round two"))),
                up(in_control(control(1, ciphertext=b"round two"))), up(in_control(control(1, key=other)))]
    capture = make_capture(messages)
    found = [r["facetime_control.retransmission_of"] for r in
             tshark.rows(capture, "facetime_control.retransmission_of", two_pass=two_pass)]
    assert found == [[], [], ["2"], [], [], ["2"], [], ["7"], []]
    told = experts(tshark, capture, "facetime_control", CONTROL_EXPERTS)
    assert [bool(e) for e in told] == [bool(f) for f in found]


@pytest.mark.parametrize("two_pass", [False, True])
def test_control_key_is_its_senders(two_pass, make_capture, tshark):
    """A link back to the first media packet of the key: none before it."""
    capture = make_capture([up(in_control(control(1))), up(rtp(1)), up(rtp(2)), up(in_control(control(2))),
                            up(in_control(control(3, key=bytes(range(8)))))])
    found = [row["facetime_control.mki_frame"]
             for row in tshark.rows(capture, "facetime_control.mki_frame", two_pass=two_pass)]
    assert found == [[], [], [], ["2"], []]


def test_control_truncations(make_capture, tshark):
    whole = control(5)
    cuts = range(2, 14)
    capture = make_capture([PROOF, up(in_control(whole)), *(up(in_control(whole[:n])) for n in cuts)])
    told = experts(tshark, capture, "facetime_control", CONTROL_EXPERTS)[2:]
    assert tshark.count(capture, "_ws.malformed.expert") == 0
    assert ["bad_length" in e for e in told] == [n <= 11 for n in cuts]
    snapped = support.truncations(up(in_control(whole)), snapped=True)
    capture = make_capture([PROOF, up(in_control(whole)), *snapped])
    assert not any("bad_length" in e for e in experts(tshark, capture, "facetime_control", CONTROL_EXPERTS))


def test_bare_control_needs_a_known_flow(make_capture, tshark, stock):
    """Direct media of newer builds: the bytes prove nothing, a flow that a check has proven does."""
    bare = Datagram(*CELLULAR, *PEER, control(1))
    alone = make_capture([bare])
    assert tshark.text(alone, "-V") == stock.text(alone, "-V")
    known = make_capture([check_from(CELLULAR, PEER), bare])
    row = tshark.rows(known, "facetime.kind", "facetime.path", "facetime_control.counter")[1]
    assert list(row.values()) == [["9"], ["2"], ["1"]]
