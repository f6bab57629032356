# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures to measure with. Each load is a generator of (seconds, Ethernet frame); what stands before the measured
packets (the set-up of a call) comes with it and is measured with the empty load of the same name."""

import pathlib
import random
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test-captures"))

import generate  # noqa: E402
from modern_corners import PEER_LINK, PHONE, Phone, Stage, announce_links, open_session  # noqa: E402
from scenario import Capture  # noqa: E402
from wire import packets  # noqa: E402
from wire.modern import relay  # noqa: E402

CLIENT, PEER, RELAY = "172.16.42.187", "71.230.89.52", "17.155.5.251"
SETUP = "facetime-caller"
SETUP_FRAMES = 301              # to the first direct RTP of both sides
AUDIO = 1911967383              # SSRC of a=rtpID in the offer


def datagram(src, dst, payload, ident=0):
    ip = packets.ipv4(src[0], dst[0], packets.PROTO_UDP, packets.udp(src, dst, payload), ident)
    return packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ip)


def template(src, dst, length):
    """A frame to be filled in: its checksums are not verified by tshark, so they may go stale."""
    return bytearray(datagram(src, dst, bytes(length))), 42


def filled(frame, at, payload):
    frame[at:at + len(payload)] = payload
    return bytes(frame)


def call_setup():
    cap = generate.build(SETUP)
    start = cap.packets[0][0]
    return [((when - start) / 1e6, frame) for when, frame in cap.packets[:SETUP_FRAMES]]


def rtp_payload(number, noise):
    return struct.pack("!BBHII", 0x80, 104, number + 3000 & 0xFFFF, number * 480 & 0xFFFFFFFF, AUDIO) + noise


def rtp(count):
    """RTP of one sender on the direct path, after SDP."""
    yield from call_setup()
    noise = random.Random(1).randbytes(80)
    frame, at = template((CLIENT, 16402), (PEER, 16402), 92)
    for i in range(count):
        yield 6 + i / 50, filled(frame, at, rtp_payload(i, noise))


def channel(count):
    """RTP of one sender in ChannelData, after SDP."""
    yield from call_setup()
    noise = random.Random(1).randbytes(80)
    frame, at = template((CLIENT, 16402), (RELAY, 16385), 96)
    for i in range(count):
        yield 6 + i / 50, filled(frame, at, struct.pack("!HH", 0x4002, 92) + rtp_payload(i, noise))


def stun(count):
    """Connectivity checks with Apple's attributes, and their answers, on one direct pair."""
    from wire import stun as messages
    rng = random.Random(2)
    ends = (CLIENT, 16402), (PEER, 16402)
    near, far = (messages.Candidate(1, end, rng.getrandbits(31)) for end in ends)
    for i in range(count // 2):
        txid = messages.legacy_txid(1, rng)
        yield i / 25, datagram(*ends, bytes(messages.binding_request(txid, far, near, True, 5, i)))
        yield i / 25 + .02, datagram(*ends[::-1], bytes(messages.binding_response(txid, near, far, ends[0], i, 7)))


def unknown(count):
    """UDP of nobody's, in 200 flows: all heuristics run."""
    rng = random.Random(3)
    flows = [template((f"10.0.{i}.1", 20001 + i), (f"10.1.{i}.1", 30001 + i), 100) for i in range(200)]
    noise = [rng.randbytes(100) for _ in range(50)]
    for i in range(count):
        yield i / 1000, filled(*flows[i % 200], bytes([0x13]) + noise[i % 50][1:])


def dns(count):
    query = bytes.fromhex("000001000001000000000000") + b"\3www\7example\3com\0\0\1\0\1"
    frame, at = template(("10.0.0.1", 40000), ("10.0.0.2", 53), len(query))
    for i in range(count):
        yield i / 1000, filled(frame, at, struct.pack("!H", i & 0xFFFF) + query[2:])


def foreign(count):
    """Another vendor's RTP (G.711) on our ports, without signalling: both directions of eight calls."""
    noise = random.Random(5).randbytes(160)
    flows = []
    for i in range(8):
        near, far = (f"10.2.0.{i + 1}", 16384 + 2 * i), (f"10.3.0.{i + 1}", 16384 + 2 * i)
        flows += [template(near, far, 172), template(far, near, 172)]
    for i in range(count):
        turn, number = divmod(i, 16)
        header = struct.pack("!BBHII", 0x80, 0, turn + 100 * number & 0xFFFF, turn * 160, 0x51A0C300 + number)
        yield turn / 50 + number / 1000, filled(*flows[number], header + noise)


def tls(count):
    """TLS records of an established connection, both ways in turn."""
    ends, noise = (("10.0.0.1", 40001), ("10.0.0.2", 443)), random.Random(6).randbytes(400)
    record = b"\x17\x03\x03" + struct.pack("!H", len(noise)) + noise
    for i in range(count):
        (source, destination), turn = ends[::1 if i % 2 == 0 else -1], i // 2 * len(record) + 1
        header = struct.pack("!HHIIBBHHH", source[1], destination[1], turn & 0xFFFFFFFF,
                             turn + i % 2 * len(record) & 0xFFFFFFFF, 0x50, 0x18, 65535, 0, 0)
        yield i / 1000, packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02",
                                         packets.ipv4(source[0], destination[0], 6, header + record))


def quic(count):
    """QUIC on port 443: a first packet with a long header, then short ones."""
    client, server, rng = ("10.0.0.1", 40002), ("10.0.0.2", 443), random.Random(7)
    first = b"\xc3\0\0\0\1\x08" + rng.randbytes(8) + b"\0\0" + struct.pack("!H", 0x4000 | 1180) + rng.randbytes(1180)
    yield 0, datagram(client, server, first)
    noise = rng.randbytes(300)
    flows = template(client, server, 301), template(server, client, 301)
    for i in range(count):
        yield 1 + i / 1000, filled(*flows[i % 2], bytes([0x40 | i & 0x3F]) + noise)


def webrtc(count):
    """A call of a browser: of 50 packets two are STUN's, two DTLS's, the rest SRTP, both ways in turn."""
    ends, rng = (("10.0.0.1", 50001), ("10.0.0.2", 50002)), random.Random(8)
    flows = [template(*ends, 112), template(*ends[::-1], 112)]
    noise, name = rng.randbytes(100), b"\0\x06\0\x09abcd:efgh\0\0\0"
    for i in range(count):
        way, turn = i % 2, i % 50
        source, destination = ends[::1 if way == 0 else -1]
        if turn < 2:
            body = name if way == 0 else b"\0\x20\0\x08\0\1" + rng.randbytes(6)
            body = struct.pack("!HHI", 0x0101 if way else 1, len(body), 0x2112A442) + rng.randbytes(12) + body
            yield i / 100, datagram(source, destination, body)
        elif turn < 4:
            record = b"\x17\xfe\xfd\0\1" + struct.pack("!HIH", 0, i, 100) + noise
            yield i / 100, datagram(source, destination, record)
        else:
            header = struct.pack("!BBHII", 0x80, 111, i // 2 & 0xFFFF, i // 2 * 960 & 0xFFFFFFFF, 0xB0A0C100 + way)
            yield i / 100, filled(*flows[way], header + noise)


def scanner(count):
    """One flow a packet."""
    noise = random.Random(9).randbytes(40)
    for i in range(count):
        far = f"10.{64 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", 1024 + i * 7 % 60000
        yield i / 1000, datagram(("10.0.0.1", 40003), far, noise)


def modern_media(stage):
    """A modern call's media, relayed between links, without end: of every 20 ms a packet of audio and a video frame of
    two, each way. Headers, sizes, forms and IP ids as most of 2023's have them."""
    ways = ((stage.me, (stage.near, stage.far), {}),
            (stage.peer, (stage.far, stage.near), {"participant": stage.peer.participant}))
    while True:
        for phone, ends, header in ways:
            audio = phone.audio(size=240, send_timestamp=phone.ts // 24 & 0xFFFF)
            yield ends, relay(audio, link=PEER_LINK, count=True, **header)
            for video in phone.video(size=700):
                yield ends, relay(video, link=PEER_LINK, priority=1, count=True, opt_out=True, **header)


def modern(count):
    """The media of a modern call that goes on, relayed."""
    cap = Capture("modern", "", 0, local=[PHONE[0]])
    stage = Stage(cap, Phone)
    open_session(stage)
    announce_links(stage)
    for when, frame in cap.packets:
        yield when / 1e6, frame
    for i, (ends, wire) in zip(range(count), modern_media(stage)):
        yield cap.clock + .02 + i / 300, datagram(*ends, bytes(wire), cap.rng.getrandbits(16))


def calls(count):
    """New calls: INVITE, BYE and their answers, of a new dialog in a flow of its own."""
    rng = random.Random(4)
    for i in range(count // 4):
        call_id = f"{i}-{rng.getrandbits(64)}@h"
        yield from sip_messages(i, lambda number: (call_id, number // 2))


def strays(count):
    """The same, but each message with a Call-ID and a branch of its own: four dialogs on one 5-tuple."""
    rng = random.Random(4)
    for i in range(count // 4):
        yield from sip_messages(i, lambda number: (f"{i}-{rng.getrandbits(64)}@h", number))


def sip_messages(i, identity):
    """The four messages of the i-th pair of ends; identity: of a message's number, its Call-ID and its branch's number."""
    near, far = (f"10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", 16402), (PEER, 16402)
    for number, start in enumerate(("INVITE sip:user@h SIP/2.0", "SIP/2.0 200 OK", "BYE sip:user@h SIP/2.0",
                                    "SIP/2.0 200 OK")):
        call_id, branch = identity(number)
        text = (f"{start}\r\nVia: SIP/2.0/UDP {near[0]}:16402;branch=z9hG4bK{i}-{branch}\r\nMax-Forwards: 70\r\n"
                f"To: <sip:user@h:16402>\r\nFrom: <sip:user@h:16402>;tag={i}\r\nCall-ID: {call_id}\r\n"
                f"CSeq: {1 + number // 2} {'BYE' if number > 1 else 'INVITE'}\r\nUser-Agent: Viceroy 1.5.0/GK\r\n"
                "Content-Length: 0\r\n\r\n")
        yield i / 10 + number / 100, datagram(*((near, far) if number % 2 == 0 else (far, near)), text.encode())


def repeated(path):
    """A load of the packets of a capture, again and again, each round five minutes after the one before."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as plain:
        subprocess.run(["editcap", "-F", "pcap", path, plain.name], check=True)
        data = plain.read()
    linktype, at, captured = struct.unpack_from("<I", data, 20)[0], 24, []
    while at < len(data):
        seconds, micros, length = struct.unpack_from("<III", data, at)
        captured.append((seconds + micros / 1e6, data[at + 16:at + 16 + length]))
        at += 16 + length
    start, length = captured[0][0], captured[-1][0] - captured[0][0] + 300

    def load(count):
        for i in range(count):
            turn, number = divmod(i, len(captured))
            yield captured[number][0] - start + turn * length, captured[number][1]

    load.linktype = linktype
    return load


LOADS = {load.__name__: load for load in (dns, tls, quic, webrtc, unknown, scanner, foreign, rtp, stun, channel, modern,
                                           calls, strays)}


def write(load, count, path):
    linktype = getattr(load, "linktype", packets.LINKTYPE_ETHERNET)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, linktype))
        for seconds, frame in load(count):
            micros = 1_700_000_000_000_000 + round(seconds * 1e6)
            out.write(struct.pack("<IIII", *divmod(micros, 1_000_000), len(frame), len(frame)) + frame)
