# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that are none of our business: nothing is claimed, and they read as they do without the plugin."""

import itertools
import random
import struct
import subprocess

import pytest

import floods
import support
import variants
from support import Datagram

COOKIE = 0x2112A442
PHONE, OTHER = "192.0.2.10", "198.51.100.20"


def assert_left_alone(capture, tshark, stock):
    """Byte for byte stock's: no line of ours anywhere."""
    for two_pass in (False, True):
        same = tshark.text(capture, "-V", two_pass=two_pass) == stock.text(capture, "-V", two_pass=two_pass)
        assert same     # not the texts: pytest would explain their difference for minutes


@pytest.mark.parametrize("capture", support.shared_captures("negative"))
def test_real_innocents(capture, tshark, stock):
    assert_left_alone(capture, tshark, stock)


# Innocents made here, most of them on FaceTime's own ports.

def stun(message_type, *attributes, rng):
    body = b"".join(struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
                    for kind, value in attributes)
    return struct.pack("!HHI", message_type, len(body), COOKIE) + rng.randbytes(12) + body


def rtp(payload_type, sequence, ssrc, payload, extension=b""):
    header = struct.pack("!BBHII", 0x90 if extension else 0x80, payload_type, sequence, sequence * 160, ssrc)
    return header + extension + payload


def xor_address(address, port):
    host = bytes(int(part) for part in address.split("."))
    return struct.pack("!HHI", 1, port ^ 0x2112, int.from_bytes(host, "big") ^ COOKIE)


def conversation(one, two, payloads):
    """Datagrams of two ends (address, port) that speak by turns."""
    ends = (one, two)
    return [Datagram(*ends[n % 2], *ends[1 - n % 2], payload) for n, payload in enumerate(payloads)]


def microsoft_turn(rng):
    """[MS-TURN] and [MS-ICE2]: 0x8008 of four bytes is MS-VERSION, and the cookie is an attribute."""
    for server_port in (3478, 3480, 16384, 443):
        version = (0x8008, struct.pack("!I", rng.randrange(1, 7)))
        cookie = (0x000F, bytes.fromhex("72c64bc6"))
        user = (0x0006, rng.randbytes(20))
        yield from conversation((PHONE, 16402), (OTHER, server_port), [
            stun(0x0003, cookie, version, (0x8006, bytes(4)), rng=rng),
            stun(0x0113, cookie, version, (0x0009, b"\0\0\4\1Unauthorized"), (0x0015, rng.randbytes(16)),
                 (0x8050, rng.randbytes(24)), rng=rng),
            stun(0x0003, cookie, version, user, (0x0008, rng.randbytes(20)), rng=rng),
            stun(0x0103, cookie, user, (0x8020, xor_address(PHONE, 16402)), (0x000D, b"\0\0\2\x58"), version,
                 rng=rng),
        ])
    for port in (16393, 16402):
        common = [(0x0006, b"abcd:efgh"), (0x0024, rng.randbytes(4)), (0x8054, b"1\0\0\0"),
                  (0x8070, b"\0\0\0\3"), (0x8008, b"\0\0\0\6")]
        integrity = [(0x0008, rng.randbytes(20)), (0x8028, rng.randbytes(4))]
        yield from conversation((PHONE, port), (OTHER, 16402), [
            stun(0x0001, *common, (0x802A, rng.randbytes(8)), *integrity, rng=rng),
            stun(0x0101, (0x0020, xor_address(PHONE, port)), (0x8008, b"\0\0\0\6"), *integrity, rng=rng),
        ])


def webrtc_ice(rng):
    """Chrome's checks: GOOG-NETWORK-INFO, GOOG-MISC-INFO, GOOG-DELTA, then SRTP with RFC 8285 extensions."""
    one, two = (PHONE, 16402), (OTHER, 16400)
    integrity = [(0x0008, rng.randbytes(20)), (0x8028, rng.randbytes(4))]
    yield from conversation(one, two, [
        stun(0x0001, (0x0006, b"Zb1G:h5Qx"), (0xC057, b"\0\1\0\x32"), (0x802A, rng.randbytes(8)),
             (0x0025, b""), (0x0024, b"\x6e\x7f\x1e\xff"), *integrity, rng=rng),
        stun(0x0101, (0x0020, xor_address(*one)), *integrity, rng=rng),
        stun(0x0001, (0x0006, b"h5Qx:Zb1G"), (0xC057, b"\0\3\0\x0a"), (0xC05B, rng.randbytes(8)),
             (0x8029, rng.randbytes(8)), (0x0024, b"\x6e\x7f\x1e\xff"), *integrity, rng=rng),
        stun(0x0101, (0x0020, xor_address(*two)), (0xC058, rng.randbytes(4)), *integrity, rng=rng),
        b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x40" + rng.randbytes(0x40),
    ])
    extension = bytes.fromhex("bede0002") + rng.randbytes(8)
    yield from conversation(one, two, [rtp((111, 96)[n % 2], n, 0x1000 + n % 2, rng.randbytes(120), extension)
                                       for n in range(100)])


def rfc_stun_attributes(rng):
    """RFC 8489 and 8656 meanings of numbers that Apple uses otherwise, lengths alike where possible."""
    yield from conversation((PHONE, 16402), (OTHER, 3478), [
        stun(0x0001, (0x0006, b"user name of 20 byte"), (0x8002, b"\0\1\0\0"), (0x8022, b"client"), rng=rng),
        stun(0x0111, (0x0009, b"\0\0\3\0Try Alternate"), (0x8003, b"a.io"),
             (0x8023, b"\0\1\x0d\x96\xc0\0\2\1"), rng=rng),
        stun(0x0017, (0x0012, xor_address(OTHER, 5000)), (0x8004, b"\0\0\3\3\0\0\0\0"), rng=rng),
        stun(0x0101, (0x0001, b"\0\1" + struct.pack("!H", 16402) + b"\xc0\0\2\x0a"), (0x8001, b"\0\0\4\x14"),
             (0x8002, b"\0\2\0\0"), (0x8027, b"\0\0\0\x1e"), rng=rng),
    ])


def rtp_phones(rng):
    """Other vendors' media from port 16384 up, with both ends in FaceTime's too; RTCP a port above."""
    for payload_type in (0, 8, 9, 18, 34, 96, 97, 101, 104):
        for ports in ((16384, 16386), (16394, 16396), (16402, 16402), (16400, 31000), (16403, 16393)):
            ssrcs = rng.randbytes(8)
            one, two = struct.unpack("!II", ssrcs)
            yield from conversation((PHONE, ports[0]), (OTHER, ports[1]), [
                rtp(payload_type, 1000 + n // 2, (one, two)[n % 2], rng.randbytes(160)) for n in range(40)])
            yield from conversation((PHONE, ports[0] + 1), (OTHER, ports[1] + 1), [
                struct.pack("!BBHI", 0x80, 200, 6, one) + rng.randbytes(20),
                struct.pack("!BBHI", 0x81, 201, 7, two) + rng.randbytes(24)])


def sip_phones(rng):
    """SIP over 16402, where FaceTime has its own; the second phone likes compact headers."""
    sdp = (f"v=0\r\no=root 1 1 IN IP4 {PHONE}\r\ns=call\r\nc=IN IP4 {PHONE}\r\nt=0 0\r\n"
           "m=audio 16400 RTP/AVP 0 104 101\r\na=rtpmap:104 SILK/16000\r\n"
           "a=rtpmap:101 telephone-event/8000\r\n")
    names = ("Via", "From", "To", "Call-ID", "Contact", "Content-Type", "Content-Length")
    for call, header in enumerate((names, tuple("vftimcl"))):
        def message(start, cseq, body="", header=header, call=call):
            values = (f"SIP/2.0/UDP {PHONE}:16402;branch=z9hG4bK{call}", f"<sip:bob@{PHONE}:16402>;tag=1",
                      f"<sip:alice@{OTHER}:16402>", f"{call}@{PHONE}", f"<sip:bob@{PHONE}:16402>",
                      "application/sdp", str(len(body)))
            lines = [f"{name}: {value}" for name, value in zip(header, values)]
            return "\r\n".join([start, *lines, f"CSeq: {cseq}", "Max-Forwards: 70",
                                "User-Agent: Grandstream GXP2130", "", body]).encode()
        invite = f"INVITE sip:alice@{OTHER}:16402 SIP/2.0"
        yield from conversation((PHONE, 16402), (OTHER, 16402), [
            message(invite, "1 INVITE", sdp), message("SIP/2.0 100 Trying", "1 INVITE"),
            message(f"ACK sip:alice@{OTHER}:16402 SIP/2.0", "1 ACK"),
            message("SIP/2.0 200 OK", "1 INVITE", sdp.replace("16400", "16396")),
            message(f"BYE sip:alice@{OTHER}:16402 SIP/2.0", "2 BYE"), message("SIP/2.0 200 OK", "2 BYE")])
    yield from conversation((PHONE, 16400), (OTHER, 16396),
                            [rtp(104, n, n % 2, rng.randbytes(60)) for n in range(40)])


def sixteen_bytes(rng):
    """As long as SNATMAP and CommNAT: random ones on their ports, others that begin alike elsewhere."""
    for port in (*range(16384, 16388), 3478, 3480, 5678, 16402):
        yield from conversation((PHONE, 16402), (OTHER, port), [rng.randbytes(16) for _ in range(200)])
        yield from conversation((PHONE, 16403), (OTHER, port), [rng.randbytes(16) for _ in range(200)])
    for start in ("00000001", "00000002", "00010001", "00010002", "00020001", "00020002"):
        yield from conversation((PHONE, 40000), (OTHER, 27015),
                                [bytes.fromhex(start) + rng.randbytes(12) for _ in range(4)])


def quic(rng):
    """Long headers first, then short headers whose first byte looks like the relay's 0x60. On FaceTime's pairs
    of ports the client has a connection id, as FaceTime's has not; elsewhere it has none, as Chrome's."""
    for ports in ((50000, 443), (16393, 443), (50000, 3478), (16402, 3478), (16393, 3485), (16393, 16402)):
        one, two = (PHONE, ports[0]), (OTHER, ports[1])
        source = b"\x08" + rng.randbytes(8) if ports[0] != 50000 and ports[1] != 443 else b"\0"
        initial = b"\xc3\0\0\0\1\x08" + rng.randbytes(8) + source + b"\0\x44\x9e" + rng.randbytes(1182)
        answer = b"\xc1\0\0\0\1\0\x08" + rng.randbytes(8) + b"\0" + rng.randbytes(90)
        short = [rng.choice((b"\x60", b"\x60\0", b"\x61", b"\x70")) + rng.randbytes(rng.randrange(30, 1200))
                 for _ in range(300)]
        yield from conversation(one, two, [initial, answer, *short])


def turn_channel_6000(rng):
    """A WebRTC client's TURN channel with the number of Apple's relay, and what WebRTC sends in it."""
    for port in (50000, 16393, 16402):
        client, server = (PHONE, port), (OTHER, 3478)
        credentials = [(0x0006, b"1700000000:alice"), (0x0014, b"example.org"), (0x0015, b"f00dfeed"),
                       (0x0008, rng.randbytes(20))]
        yield from conversation(client, server, [
            stun(0x0003, (0x0019, b"\x11\0\0\0"), rng=rng),
            stun(0x0113, (0x0009, b"\0\0\4\1Unauthorized"), *credentials[1:3], rng=rng),
            stun(0x0003, (0x0019, b"\x11\0\0\0"), *credentials, rng=rng),
            stun(0x0103, (0x0016, xor_address(OTHER, 50001)), (0x0020, xor_address(*client)),
                 (0x000D, b"\0\0\2\x58"), credentials[-1], rng=rng),
            stun(0x0009, (0x000C, b"\x60\0\0\0"), (0x0012, xor_address("203.0.113.9", 40000)), *credentials,
                 rng=rng),
            stun(0x0109, credentials[-1], rng=rng),
        ])
        extension = bytes.fromhex("bede0001") + rng.randbytes(4)
        inner = [stun(0x0001, (0x0006, b"Zb1G:h5Qx"), (0xC057, b"\0\1\0\x32"), (0x0008, rng.randbytes(20)),
                      (0x8028, rng.randbytes(4)), rng=rng),
                 b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x40" + rng.randbytes(0x40),
                 struct.pack("!BBHI", 0x81, 205, 2, 7) + rng.randbytes(4)]
        inner += [rtp((111, 96, 0x80 | 96, 63, 13)[n % 5], n, rng.getrandbits(32),
                      rng.randbytes(rng.randrange(10, 1100)), extension) for n in range(500)]
        yield from conversation(client, server, [struct.pack("!HH", 0x6000, len(i)) + i for i in inner])


def others_clocks(rng):
    """Payload types of FaceTime's audio at others' clocks, on FaceTime's ports, in time, and in TURN channels."""
    now = 0
    for payload_type, ticks in itertools.product((104, 119), (160, 320, 640, 960)):
        for ports in ((16393, 16394), (16384, 16394), (16402, 16402), (16403, 3478), (16396, 3480)):
            ssrc = rng.getrandbits(32)
            for n in range(60):
                header = struct.pack("!BBHII", 0x80, payload_type, 900 + n, 5000 + n * ticks, ssrc)
                payload = header + rng.randbytes(80)
                if ports[1] < 4000:
                    payload = struct.pack("!HH", 0x4001, len(payload)) + payload
                jitter = rng.uniform(-0.004, 0.004)
                yield Datagram(PHONE, ports[0], OTHER, ports[1], payload, now + n * 0.02 + jitter)
            now += 5


def others_packets_in_jitter(rng):
    """32 kHz in packets of 30 and 60 ms: steps of 960 and 1920 ticks, which jitter brings to FaceTime's time now and then."""
    now = 0
    for payload_type, milliseconds in itertools.product((104, 119), (30, 60)):
        for ports in ((16393, 16394), (16402, 16402), (16402, 3478), (16402, 16385)):
            for ssrc in range(3):
                arrival = 0
                for n in range(100):
                    payload = struct.pack("!BBHII", 0x80, payload_type, 900 + n, 5000 + n * milliseconds * 32, ssrc) + rng.randbytes(80)
                    if ports[1] in (3478, 16385):
                        payload = struct.pack("!HH", 0x4001, len(payload)) + payload
                    arrival = max(arrival + 1e-5, n * milliseconds / 1000 + rng.expovariate(100))
                    yield Datagram(PHONE, ports[0], OTHER, ports[1], payload, now + arrival)
                now += 10


def turn_channel_like_a_relay_header(rng):
    """Media in a TURN channel 0x6000 whose first packets read as the modern relay's header: small sequence numbers are
    attributes; behind them the timestamp has the mark of a control message, or of RTP of FaceTime's."""
    now = 0
    for mark, payload_type in itertools.product((b"\x40\x0f", b"\x80\x68", b"\x90\x64"), (0, 8, 0x40, 0x48, 100, 104)):
        ssrc = rng.getrandbits(32)
        for n in range(64):
            media = struct.pack("!BBH", 0x80, payload_type, n) + mark + struct.pack("!HI", n * 160, ssrc)
            media += rng.randbytes(160)
            yield Datagram(PHONE, 16402, OTHER, 3478, struct.pack("!HH", 0x6000, len(media)) + media, now + n / 50)
        now += 60


def browsers_in_channel_6000(rng):
    """WebRTC in a TURN channel 0x6000 at one server, on the relays' ports: RTP with extensions of one byte and two, RTCP,
    STUN, DTLS, of whatever sizes and numbers."""
    for n in range(600):
        kind = rng.choice(("rtp", "rtp", "rtp", "rtp", "rtcp", "stun", "dtls"))
        ssrc, sequence, time = rng.getrandbits(32), rng.choice((0, rng.randrange(300), rng.getrandbits(16))), rng.choice((0, rng.getrandbits(32)))
        payload_type, step = rng.choice((0, 8, 9, 96, 98, 100, 102, 104, 108, 111, 119, 122, 125)), rng.choice((160, 480, 960, 3000))
        profile, ident, size = rng.choice((None, 0xBEDE, 0x1000)), rng.randrange(1, 15), rng.randrange(20, 1100)
        ends = (f"100.{64 + n // 250}.{n % 250}.7", rng.randrange(16384, 65536)), (OTHER, rng.choice((3478, rng.randrange(3478, 3498))))
        for i in range(10):
            if kind == "rtp":
                inner = struct.pack("!BBHII", 0x90 if profile else 0x80, payload_type | rng.choice((0, 0x80)), sequence + i & 0xFFFF,
                                    time + i * step & 0xFFFFFFFF, ssrc)
                if profile:
                    inner += struct.pack("!HHBBH", profile, 1, *((ident, 2) if profile == 0x1000 else (ident << 4 | 2, 0)), i)
                inner += rng.randbytes(size)
            elif kind == "rtcp":
                inner = struct.pack("!BBHI", 0x81, rng.choice((200, 201, 205, 206)), 7, ssrc) + rng.randbytes(24)
            elif kind == "stun":
                inner = stun(rng.choice((1, 0x101)), (6, b"abcd:efgh"), (8, rng.randbytes(20)), rng=rng)
            else:
                inner = b"\x17\xfe\xfd" + struct.pack("!HHIH", 1, 0, i, size) + rng.randbytes(size)
            one, two = ends if n % 2 else ends[::-1]
            yield Datagram(*one, *two, struct.pack("!HH", 0x6000, len(inner)) + inner, n * .001 + i * .02)


def port_of_a_device(rng):
    """A browser has the port from which a FaceTime device tested its NAT an hour, and a day, ago. (The test itself is
    FaceTime's: here it isn't captured whole, so that nothing at all may be claimed.)"""
    for hours in (1, 24):
        for n in range(50):
            media = rtp((111, 96)[n % 2], n, 0x1000 + n % 2, rng.randbytes(120))
            yield Datagram(PHONE, 46256, OTHER, 19305, media, hours * 3600 + n / 50)


def quic_to_relay_ports(rng):
    """A browser's QUIC on the relays' ports, from any port, with no id of its own, as Chrome does; the server's ids
    are its own. Many short headers look like ChannelData: their second word is their length."""
    for ports in ((50000, 3478), (40404, 3485), (33000, 3497)):
        one, two = (PHONE, ports[0]), (OTHER, ports[1])
        initial = b"\xc3\0\0\0\1\x08" + rng.randbytes(8) + b"\0\0\x44\x9e" + rng.randbytes(1182)
        answer = b"\xc1\0\0\0\1\0\x08\x11\x22" + rng.randbytes(6) + b"\0" + rng.randbytes(90)
        short = []
        for n in range(100):
            body = rng.randbytes(rng.randrange(30, 900))
            short.append(rng.choice((b"\x40\x01", b"\x4f\x33", b"\x60\0")) + struct.pack("!H", len(body)) + body)
        yield from conversation(one, two, [initial, answer, *short])


INNOCENTS = [browsers_in_channel_6000, others_clocks, others_packets_in_jitter, turn_channel_like_a_relay_header, port_of_a_device, quic_to_relay_ports, microsoft_turn, webrtc_ice, rfc_stun_attributes, rtp_phones, sip_phones, sixteen_bytes, quic,
             turn_channel_6000]


@pytest.mark.parametrize("make", INNOCENTS, ids=lambda make: make.__name__)
def test_made_innocents(make, tshark, stock, make_capture):
    assert_left_alone(make_capture(list(make(random.Random(make.__name__)))), tshark, stock)


@pytest.mark.parametrize("cut", [64, 96, 128])
def test_browsers_in_channel_6000_cut(cut, tshark, make_capture):
    whole = make_capture(list(browsers_in_channel_6000(random.Random(cut))))
    capture = support.stage() / f"browsers-{cut}.pcap"
    subprocess.run(["editcap", "-s", str(cut), whole, capture], check=True)
    capture.chmod(0o644)
    assert tshark.frames(capture, "facetime") == []


SNATMAP = [bytes.fromhex("000000012f3173750a7f16764012aaaa"), bytes.fromhex("000000022f3173753f4d8cf5b14daaaa")]


def test_port_that_a_device_had(tshark, make_capture):
    """The same after a whole NAT test: that is claimed, and nothing of the browser's."""
    frames = [Datagram("10.127.22.118", 16402, "17.188.181.8", 3480, SNATMAP[0], 0),
              Datagram("17.188.181.8", 3480, "10.127.22.118", 16402, SNATMAP[1], 0.03)]
    for after in (20, 3600, 86400):     # 20 s on, no RTP either
        frames += [Datagram("10.127.22.118", 16402, OTHER, 19305, rtp(111, n, 7, bytes(120)), after + n / 50)
                   for n in range(40)]
    assert tshark.frames(make_capture(frames), "facetime") == [1, 2]


def test_quic_of_a_modern_phones_port(tshark):
    """A minute after a modern call that port sends QUIC to somebody's server, of which each short header looks like
    ChannelData: a modern phone's ChannelData has the relay's header, so nothing tells that these are a call's."""
    scene = variants.Scene("QUIC from the port of a modern call", 1)
    phone, server = scene.near(port=16393), ("142.250.10.9", 443)
    call = variants.Modern(scene, "A", phone, scene.far(), scene.relay(port=3482))
    call.connect(0), call.both(0.3, 30), call.check(1), call.both(1.2, 30, way="direct")
    own = len(scene.packets)
    for n in range(60):
        body = scene.rng.randbytes(scene.rng.randrange(30, 900))
        start = scene.rng.choice((b"\x40\x01", b"\x4f\x33"))
        scene.put(60 + n / 50, *((phone, server) if n % 2 else (server, phone)), start + struct.pack("!H", len(body)) + body, None)
    scene.packets.sort(key=lambda p: p.time)
    capture = support.make_capture([Datagram(*p.src, *p.dst, p.payload, p.time) for p in scene.packets])
    assert set(tshark.frames(capture, "facetime", two_pass=True)) == set(range(1, own + 1))


def random_datagrams(count):
    """On FaceTime's ports, each of its own flow; a third have a first byte that decides the shape."""
    rng = random.Random("any bytes")
    servers = (*range(3478, 3498), *range(16384, 16388))
    devices = (*range(16393, 16404), *range(16393, 16473))     # the first eleven are the ones that count
    firsts = bytes([0, 1, 0x40, 0x60, 0x60, 0x80, 0x90, 0xDE])
    for n in range(count):
        payload = rng.randbytes(rng.choice((16, rng.randint(1, 64), rng.randint(1, 400), rng.randint(1, 1400))))
        if n % 3 == 0:
            payload = bytes([rng.choice(firsts)]) + payload[1:]
        ends = [floods.at(floods.CLIENT, n), (0xC6336414, rng.choice(rng.choice((devices, servers))))]
        ends[0] = ends[0][0], rng.choice(devices)
        yield floods.udp(*(ends if rng.random() < 0.7 else ends[::-1]), payload)


def claims(tshark, count):
    return tshark.frames(support.make_capture(random_datagrams(count)), "facetime")


def test_random_datagrams(tshark):
    """Of a million random datagrams fewer than one in 100,000 may be claimed; here are 100,000."""
    claimed = claims(tshark, 100_000)
    assert len(claimed) <= 1, claimed
