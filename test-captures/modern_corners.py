# SPDX-License-Identifier: GPL-2.0-or-later
"""Small captures of FaceTime since 2019. All invented, but for the headers of `modern-vectors`.

The relay knows the ends by link ids: a header that goes up names the link of who shall get it, one
that comes down the link of who sent it.
"""

import calendar
import struct

from scenario import Capture
from wire import Wire, modern, snatmap, stun
from wire.modern import (ATTR_10, ATTR_HBH, ATTR_LINK_MESSAGE, ATTR_RETRANSMITTED, ATTR_STATE, CELLULAR, WIFI, relay)
from wire.stun import Attribute

PHONE, PHONE_CELLULAR = ("192.168.1.10", 16393), ("10.127.22.118", 16394)
SNATMAP_CLIENT, SNATMAP_SERVER = ("192.168.1.10", 16402), ("17.188.181.8", 3480)
PUBLIC = "203.0.113.7"
RELAY = ("17.167.200.5", 3482)
PEER = ("198.51.100.20", 16393)
MY_LINK, MY_CELLULAR_LINK, PEER_LINK, PEER_CELLULAR_LINK = 0x5811, 0x5812, 0x5813, 0x5814

CORNERS = {}


def capture(name, shows, day=(2023, 7, 12), phones=None, into=CORNERS):
    """Registers a builder `story(stage)` as the capture of that name. phones: the class of both, if not Phone."""
    def register(story):
        def build():
            cap = Capture(name, shows, calendar.timegm((*day, 12, 0, 0)),
                          local=[PHONE[0], PHONE_CELLULAR[0]],
                          comment="INVENTED, NOT A CAPTURE: made by test-captures/generate.py. " + shows)
            cap.start_open.add(1)
            story(Stage(cap, phones or Phone))
            return cap
        into[name] = build
        return story
    return register


class Phone:
    """One participant: MKI, SSRCs, and RTP that counts on. Audio and video share one 24 kHz clock."""

    def __init__(self, cap, name):
        self.cap, self.name, self.mki = cap, name, modern.new_mki(cap.rng)
        self.audio_ssrc, self.video_ssrc = cap.rng.getrandbits(32), cap.rng.getrandbits(32)
        self.participant = cap.random(8)
        self.audio_seq, self.video_seq = cap.rng.getrandbits(15), cap.rng.getrandbits(15)
        self.ts, self.frame, self.controls = cap.rng.getrandbits(30), cap.rng.getrandbits(14), 0

    def trailer(self, is_video, one_to_one):
        """What modern.rtp() puts at the end of the next packet."""
        return self.mki

    def audio(self, payload_type=modern.AAC_ELD, size=30, **extension):
        """The next audio packet; keywords of modern.audio_extension, none = no extension."""
        self.audio_seq += 1
        self.ts += 480
        parts = modern.audio_extension(**extension) if extension else None
        return modern.rtp(payload_type, self.audio_seq, self.ts, self.audio_ssrc, self.cap.random(size),
                          self.trailer(False, bool(extension)), extension=parts)

    def video(self, packets=2, payload_type=modern.HEVC, size=40, one_to_one=True, **extension):
        """The packets of the next video frame."""
        self.frame += 1
        for i in range(packets):
            self.video_seq += 1
            parts = modern.video_extension(frame=(packets, self.frame) if one_to_one else None,
                                           version=2 if one_to_one else 1, **extension)
            yield modern.rtp(payload_type, self.video_seq, self.ts, self.video_ssrc, self.cap.random(size),
                             self.trailer(True, one_to_one), marker=i == packets - 1, extension=parts)

    def control(self, size=40):
        self.controls += 1
        return modern.control(self.mki, self.controls, self.cap.random(size))


class Stage:
    """The capture, both phones, and ways to send between them."""

    def __init__(self, cap, phones=Phone):
        self.cap = cap
        self.me, self.peer = phones(cap, "client"), phones(cap, "peer")
        self.near, self.far = PHONE, RELAY
        self.counter = 0

    def up(self, body=b"", sender=None, **header):
        self.cap.run(0.01)
        return self.cap.udp(self.near, RELAY, relay(body, **header), path="relay", call=1,
                            sender=sender or self.me.name)

    def down(self, body=b"", sender=None, **header):
        self.cap.run(0.01)
        return self.cap.udp(RELAY, self.near, relay(body, **header), path="relay", call=1,
                            sender=sender or self.peer.name)

    def straight(self, wire, incoming=False, **truth):
        """Directly to the peer, or from it."""
        self.cap.run(0.01)
        src, dst = (PEER, self.near) if incoming else (self.near, PEER)
        return self.cap.udp(src, dst, wire, path="direct", call=1,
                            **{"sender": (self.peer if incoming else self.me).name, **truth})

    def count(self):
        self.counter += 1
        return self.counter

    # --- what media looks like in each mode ---

    def multiway_audio(self):
        """Up with a stream id, down with the sender's participant id too."""
        for phone, send, extra in ((self.me, self.up, {}),
                                   (self.peer, self.down, {"participant": self.peer.participant})):
            send(phone.audio(), stream=phone.audio_ssrc & 0xFFFF, priority=1, count=True, opt_out=True, **extra)

    def one_to_one(self, link=PEER_LINK):
        """A round of audio and one video frame each way, between links."""
        for phone, send, extra in ((self.me, self.up, {}),
                                   (self.peer, self.down, {"participant": self.peer.participant})):
            for wire in (phone.audio(send_timestamp=self.cap.now * 1024 // 1_000_000 & 0xFFFF),
                         *phone.video()):
                send(wire, link=link, priority=1, count=True, opt_out=True, **extra)

    # --- checks between the phones ---

    def check(self, link, incoming=False, txid=None, again=None):
        txid = txid or self.cap.random(12)
        wire = stun.message(stun.BINDING, stun.REQUEST, txid,
                            [stun.link_id(link), stun.radio(WIFI),
                             Attribute(stun.MESSAGE_INTEGRITY, self.cap.random(20))], "modern")
        truth = {"retransmission_of": again} if again else {}
        return txid, self.straight(wire, incoming, **truth)

    def check_answer(self, link, txid, asked, incoming=False):
        mapped = (PUBLIC, PHONE[1]) if incoming else PEER
        wire = stun.message(stun.BINDING, stun.SUCCESS, txid,
                            [stun.address(stun.XOR_MAPPED_ADDRESS, mapped, txid), stun.link_flags(1),
                             stun.data_so(1), stun.link_id(link),
                             Attribute(stun.MESSAGE_INTEGRITY, self.cap.random(20))], "modern")
        return self.straight(wire, incoming, response_to=asked)

    def indication(self, link_message, incoming=False, **truth):
        """A link message in a STUN Data indication: channel 0, no MESSAGE-INTEGRITY."""
        outer = stun.message(stun.DATA, stun.INDICATION, self.cap.random(12),
                             [stun.u32(stun.CHANNEL_NUMBER, 0), Attribute(stun.DATA_ATTRIBUTE, link_message)])
        wire = Wire(outer, **{**link_message.truth, "indication": "data"})
        return self.straight(wire, incoming, **truth)


def rtt_report(asked, echoed, processing):
    return modern.TLV_RTT, struct.pack("!III", asked, echoed, processing)


LINK_PLACES = [(modern.HOST, PHONE, WIFI), (modern.REFLEXIVE, (PUBLIC, 16393), WIFI),
               (modern.HOST, PHONE_CELLULAR, CELLULAR)]
PEER_PLACES = [(modern.HOST, ("192.0.2.20", 16393), WIFI), (modern.REFLEXIVE, PEER, WIFI)]


def open_session(stage):
    """SNATMAP, QUIC to the relay, a counter and the relay's report on it: all that precedes media."""
    cap, me = stage.cap, stage.me
    nonce = cap.rng.getrandbits(31)
    asked = cap.udp(SNATMAP_CLIENT, SNATMAP_SERVER,
                    snatmap.snatmap(snatmap.REQUEST, nonce, SNATMAP_CLIENT, 0xAAAA), precedes=1)
    cap.run(0.04)
    cap.udp(SNATMAP_SERVER, SNATMAP_CLIENT, snatmap.snatmap(snatmap.RESPONSE, nonce, (PUBLIC, 16402), 0xAAAA),
            precedes=1, response_to=asked)

    # the relay session: QUIC beside the relay's own header, counters and statistics
    server_cid = b"\x55\x80" + cap.random(6)
    cap.run(0.1)
    cap.udp(PHONE, RELAY, modern.quic_initial(cap.random(8), cap.random), path="server", call=1)
    cap.mark("first packet to the relay")
    cap.run(0.05)
    cap.udp(PHONE, RELAY, modern.quic_short(server_cid, cap.random(60)), path="server", call=1)
    cap.run(0.05)
    cap.udp(RELAY, PHONE, modern.quic_short(b"", cap.random(60)), path="server", call=1)
    echoed = stage.up(stream=me.audio_ssrc & 0xFFFF, counter=stage.count(), count=True)
    stage.down(stats=(1, 7864, 9, 4, 0, 0), echo_of=None)
    cap.truth[cap.next_frame - 1]["fields"]["quickrelay.stats.echo_of"] = [echoed]


def announce_links(stage):
    """Links, and places to reach each other: each message and its acknowledgement."""
    cap = stage.cap
    for send, link, cellular, places in ((stage.up, MY_LINK, MY_CELLULAR_LINK, LINK_PLACES),
                                         (stage.down, PEER_LINK, PEER_CELLULAR_LINK, PEER_PLACES)):
        attr = ATTR_LINK_MESSAGE | (ATTR_10 if send == stage.down else 0)
        back = stage.down if send == stage.up else stage.up
        back_attr = ATTR_LINK_MESSAGE | (ATTR_10 if back == stage.down else 0)
        asked = send(modern.link_message(modern.INTERFACE_INFO, [
            modern.interfaces([(link, WIFI, 1446, 0, 1), (cellular, CELLULAR, 1256, 1, 1)]),
            (modern.TLV_KEYS, cap.random(64)), modern.counter(1), (modern.TLV_CAPABILITY, b"\0\1"),
            (modern.TLV_ACCEPT_DELAY, b"\0\2\x98\xd5")], cap.random(20)), attr=attr)
        cap.mark(f"links of {'client' if send == stage.up else 'peer'}")
        done = back(modern.link_message(modern.INTERFACE_INFO | modern.ACK, [modern.counter(1)], cap.random(20)),
                    attr=back_attr)
        cap.truth[done]["response_to"] = asked
        asked = send(modern.link_message(modern.CONNECTION_DATA, [
            modern.connection_data(places), modern.counter(2)], cap.random(20)), attr=attr)
        done = back(modern.link_message(modern.CONNECTION_DATA | modern.ACK, [modern.counter(2)], cap.random(20)),
                    attr=back_attr)
        cap.truth[done]["response_to"] = asked


def find_direct_path(stage, mine, theirs):
    """Checks of both, and link messages on the path found."""
    cap = stage.cap
    txid, asked = stage.check(theirs, incoming=True)
    stage.check_answer(mine, txid, asked)
    txid, asked = stage.check(mine)
    stage.check_answer(theirs, txid, asked, incoming=True)
    probe = modern.link_message(modern.LINK_PROBE, [modern.counter(3)], cap.random(20))
    asked = stage.indication(probe)
    stage.indication(modern.link_message(modern.LINK_PROBE | modern.ACK, [modern.counter(3)], cap.random(20)),
                     incoming=True, response_to=asked)
    stage.indication(modern.link_message(modern.LINK_KEEPALIVE, [
        modern.counter(4), rtt_report(0x937195D9, 0, 0)], cap.random(20)))


@capture("modern-call", "A one-to-one call: relay, links announced, checks, handover to another link, then direct.")
def modern_call(stage):
    cap, me, peer = stage.cap, stage.me, stage.peer
    open_session(stage)

    # multiway, as every call begins
    for _ in range(3):
        stage.multiway_audio()
    lost = me.audio()
    stage.down(peer.control(), attr=ATTR_STATE, stream=2, participant=peer.participant, state=0)
    stage.up(modern.hop_by_hop(cap.random(12), cap.random(16), cap.random(16)), attr=ATTR_HBH, link=MY_LINK)
    stage.down(peer.audio(), attr=ATTR_RETRANSMITTED)
    stage.up(lost, stream=me.audio_ssrc & 0xFFFF, priority=1, count=True, opt_out=True)

    announce_links(stage)

    # one to one between the first links
    stage.one_to_one()
    cap.mark("one to one", cap.next_frame - 6)
    stage.one_to_one()

    # checks of the direct path meanwhile
    mine, theirs = modern.new_mki(cap.rng), modern.new_mki(cap.rng)
    txid, asked = stage.check(mine)
    stage.one_to_one()
    stage.check(mine, txid=txid, again=asked)
    stage.one_to_one()

    # handover: the peer goes to its cellular link
    stage.one_to_one(PEER_CELLULAR_LINK)
    cap.mark("handover to another link", cap.next_frame - 6)
    stage.one_to_one(PEER_CELLULAR_LINK)

    find_direct_path(stage, mine, theirs)
    for _ in range(4):
        stage.straight(me.audio(send_timestamp=1))
        for wire in me.video():
            stage.straight(wire)
        stage.straight(peer.audio(send_timestamp=1), incoming=True)
        for wire in peer.video():
            stage.straight(wire, incoming=True)
    stage.straight(me.control())
    stage.straight(peer.control(), incoming=True)
    cap.run(0.2)
    relay_error(stage)


def relay_error(stage, number=601, reason="Unable to Find Participant"):
    """STUN-like, method 0x203, indication: what the relay has to say."""
    txid = stage.cap.random(8) + bytes(4)
    code = struct.pack("!HBB", 0, *divmod(number, 100)) + reason.encode()
    wire = stun.message(0x203, stun.INDICATION, txid,
                        [stun.u32(stun.CHANNEL_NUMBER, 0x6000 << 16), Attribute(stun.ERROR_CODE, code),
                         stun.address(stun.XOR_MAPPED_ADDRESS, (PUBLIC, 16393), txid)], "modern", kind="turn",
                        error=number, reason=reason)
    stage.cap.udp(RELAY, PHONE, wire, path="server", call=1)
    stage.cap.mark("relay error")


@capture("modern-relay-error", "The relay's error indication 0x0813 after a little relayed media.")
def modern_relay_error(stage):
    stage.one_to_one()
    relay_error(stage)


def sample(name):
    """A value for a field of the relay header."""
    return {"attr": 0x0000, "links": [PEER_LINK, PEER_CELLULAR_LINK], "link": PEER_LINK, "counter": 7,
            "stats": (6, 0x6841, 12, 100, 90, 0xFFFF), "version": 3, "probe": 0x49, "priority": 127,
            "participant": bytes.fromhex("959a7033b7526469"), "streams": [0x69CD, 0x365B, 0x69CE],
            "stream": 0x365A}.get(name, True)


@capture("modern-header-flags", "The relay header with each flag alone, each attribute bit, and all at once.")
def modern_header_flags(stage):
    me, cap = stage.me, stage.cap
    stage.up(me.audio())
    for name in modern.FLAGS:
        if name != "length":            # modern-chained
            stage.up(me.audio(), **{name: sample(name)})
            cap.mark(name)
    for name in ("streams", "links"):
        stage.up(me.audio(), **{name: []})
        stage.up(me.audio(), **{name: list(range(0x100, 0x10B))})
    bodies = {ATTR_HBH: modern.hop_by_hop(cap.random(12), cap.random(16), cap.random(16)),
              ATTR_LINK_MESSAGE: modern.link_message(modern.CONNECTION_DATA | modern.ACK, [modern.counter(9)])}
    for bit in range(16):
        extra = {"state": 0} if 1 << bit == ATTR_STATE else {"base_stream": 0x69CE} if bit == 4 else {}
        stage.up(bodies.get(1 << bit) or me.audio(), attr=1 << bit, **extra)
        cap.mark(f"attr {1 << bit:#06x}")
    stage.up(bodies[ATTR_LINK_MESSAGE], attr=ATTR_LINK_MESSAGE | 0x12, state=0)
    everything = {name: sample(name) for name in modern.FLAGS if name not in ("length", "counter")}
    stage.down(stage.peer.audio(), **{**everything, "attr": ATTR_STATE}, state=2)
    cap.mark("everything")
    for body, name in ((b"", "empty"), (me.control(), "control"), (modern.control(me.mki, 0, cap.random(14)), "control ack")):
        stage.up(body, count=True)
        cap.mark(name)


# header after the ChannelData length, start of the body (facts: vectors of the 2023 captures)
VECTORS = (
    ("C236", "up", 0x0006, "0241 e7a2 0000", "", {"stream": 0xE7A2, "counter": 0}),
    ("C264", "down", 0x000E, "0600 0005 1eb8 0009 0004 0000 0000", "", {"stats.echoed_counter": 5,
     "stats.clock": 7864, "stats.hold": 9, "stats.received": 4, "stats.sent": 0, "stats.bandwidth": 0}),
    ("C488", "down", 0x0032, "8604 0002 959a7033b7526469 005b 3dcc 0054 0052 0000 0000 00",
     "400f 988f5763f04b41ca 00", {"attr": 2, "participant": "959a7033b7526469", "stats.echoed_counter": 0x5B,
                                  "stats.clock": 0x3DCC, "state": 0}),
    ("C502", "down", 0x0026, "8004 0002 e2e484838139394e 00", "400f", {"attr": 2, "state": 0,
     "participant": "e2e484838139394e"}),
    ("C542", "up", 0x0111, "0249 493f 01 005e", "8068 af16 00000000 ada4493f", {"stream": 0x493F,
     "priority": 1, "counter": 0x5E}),
    ("C595", "up", 0x0073, "034b fa12 03 194f fa13 1950 01 0061", "90fb d6b5 00000000 5bb2fa12 4010 0000", {
        "stream": 0xFA12, "secondary_stream": [0x194F, 0xFA13, 0x1950], "priority": 1, "counter": 0x61}),
    ("C628", "down", 0x01F1, "015f 365a 03 69cd 365b 69ce 959a7033b7526469 01 0001",
     "9064 d1d4 0000eacd 04bd365a 4218 0001 00000000", {"stream": 0x365A, "priority": 1, "probe_group": 1,
      "secondary_stream": [0x69CD, 0x365B, 0x69CE], "participant": "959a7033b7526469"}),
    ("C736", "down", 0x03AF, "075f 69cd 01 69ce 959a7033b7526469 01 0009 0068 41cb 000f 0093 002c 2051",
     "9064 cf4b 00000000 000069cd 4010 0000", {"stream": 0x69CD, "secondary_stream": 0x69CE, "priority": 1,
      "probe_group": 9, "stats.echoed_counter": 0x68, "stats.bandwidth": 0x2051}),
    ("C1364", "down", 0x02D8, "214c 959a7033b7526469 01 5813", "9064 2082 00021deb 8cd623a8 8211 0001 00020001",
     {"participant": "959a7033b7526469", "priority": 1, "link": 0x5813}),
    ("C1373", "down", 0x039F, "217c 959a7033b7526469 01 0049 05 5813", "90e4 2088 00021deb 8cd623a8 8211 0001 00020001", {
        "priority": 1, "probe_group": 0x49, "session_version": 5, "link": 0x5813}),
    ("C1469", "up", 0x040D, "2148 01 5813", "9064 7c76 0005a1cf e459d6da 8011 0001 00048384", {
        "priority": 1, "link": 0x5813}),
    ("R423", "down", 0x009B, "0f7f 4b1b 01 4b1c fd80e6522194949b 01 0002 02 000c 41e5 0006 003e 002f ffff",
     "9064 53cb 00000000 00004b1b 4010 0000", {"stream": 0x4B1B, "secondary_stream": 0x4B1C, "priority": 1,
      "probe_group": 2, "session_version": 2, "stats.echoed_counter": 12, "stats.bandwidth": 0xFFFF}),
    ("R1811", "up", 0x011D, "0040", "9014 4400 00032fa0 ce7b44bf 8500 0004"
     "0001 0002 0003 0004 0005 0006 0007 0000", {}),
    ("I2949", "up", 0x0038, "a000 0001 5812", "0a0c 98228aae", {"attr": 1, "link": 0x5812}),
)


@capture("modern-vectors", "Relay headers as they were in captures of 2023, their bodies filled up with random bytes.")
def modern_vectors(stage):
    cap, mki = stage.cap, stage.me.mki
    for name, direction, length, header, start, fields in VECTORS:
        content = bytes.fromhex(header + start)
        rest = length - len(content)
        kind = {"": "quickrelay", "4": "control", "0": "hbh"}.get(start[:1], "rtp")
        if kind == "rtp":
            content += cap.random(rest - 20) + mki + bytes(4)
        elif kind == "hbh":     # two of the 12 bytes of field 1 are known; the rest keeps protobuf's shape
            content = bytes.fromhex(header) + modern.hop_by_hop(bytes.fromhex("98228aae") + cap.random(8),
                                                                cap.random(16), cap.random(16))
        else:
            content += cap.random(rest)
        truth = {f"quickrelay.{key}": value if isinstance(value, list) else [value]
                 for key, value in fields.items()}
        wire = Wire(struct.pack("!HH", modern.CHANNEL, length) + content, kind=kind, generation="modern",
                    channel=modern.CHANNEL, link=fields.get("link"),
                    fields={"quickrelay.length": [length], **truth})
        if kind == "rtp":
            _, bits, seq, ts, ssrc = struct.unpack("!BBHII", bytes.fromhex(start)[:12])
            wire = wire.knowing(sender=f"{ssrc:08x}", rtp={"ssrc": ssrc, "seq": seq, "ts": ts, "pt": bits & 0x7F,
                                                           "marker": bits > 0x7F})
        near, far = (PHONE, RELAY) if direction == "up" else (RELAY, PHONE)
        cap.run(0.02)
        cap.udp(near, far, wire, path="relay", call=1)
        cap.mark(name, comment=f"header of {name}")
        if len(content) != length:
            raise ValueError(f"{name}: {len(content)} bytes, not {length}")
    tlvs = [modern.interfaces([(PEER_LINK, WIFI, 1446, 0, 1)]), (modern.TLV_KEYS, cap.random(555)),
            modern.counter(1), (modern.TLV_CAPABILITY, b"\0\1"), (modern.TLV_ACCEPT_DELAY, b"\0\2\x98\xd5")]
    stage.down(modern.link_message(modern.INTERFACE_INFO, tlvs, cap.random(20)), attr=0x32, version=2, state=0)
    cap.mark("I333", comment="header of I333")


@capture("modern-damaged", "Relay headers that announce more than there is, wrong lengths, and bodies of no known kind.")
def modern_damaged(stage):
    cap, me = stage.cap, stage.me
    stage.one_to_one()

    def raw(content, note, length=None, **truth):
        cap.run(0.01)
        data = struct.pack("!HH", modern.CHANNEL, len(content) if length is None else length) + content
        cap.udp(PHONE, RELAY, data, note=note, **{"unproven": True, "path": "relay", **truth})
        cap.mark(note)
    whole = relay(me.audio(), stream=1, participant=me.participant, priority=1, link=PEER_LINK)[4:]
    raw(b"", "no header")
    raw(b"\x00", "half a header")
    raw(b"\xff\xff", "all announced, nothing there")
    raw(whole[:9], "cut in the participant")
    raw(b"\x00\x02\xff" + bytes(10), "255 secondary streams announced")
    raw(b"\x40\x00\xff" + bytes(10), "255 links announced")
    raw(whole, "ChannelData length one too much", length=len(whole) + 1)
    raw(whole, "ChannelData length one too little", length=len(whole) - 1)
    for body, note in ((b"\xfa\xce" + bytes(30), "body FACE"), (b"\x00" * 12, "body of zeros"),
                       (b"\x90\x68\x00", "RTP cut in the header")):
        raw(b"\x00\x40" + body, note, kind="data", generation="modern", call=1, unproven=False)
    raw(b"\x00\x40\x40\x0f\x01\x02", "control cut in the key id")
    raw(b"\x80\x00\x00\x20" + b"\x00\x04\x00\xff" + bytes(16), "link message with a lying length")
    raw(b"\x80\x00\x00\x20" + b"\x00\x04\x00\x08" + bytes(16) + b"\x00\x03\x00\x20abcd",
        "link message whose TLV is too long")


@capture("modern-chained", "Two packets in one datagram (length announced in the header), in the middle of media of 2023.")
def modern_chained(stage):
    first, second = stage.me.audio(), stage.me.audio()
    stage.one_to_one()
    stream = stage.me.audio_ssrc & 0xFFFF
    wire = modern.chain(first, (second, modern.stream_head(stream, own_priority=1)), stream=stream, priority=1, count=True)
    stage.cap.run(0.01)
    stage.cap.udp(PHONE, RELAY, wire, path="relay", call=1, sender="client")
    stage.cap.mark("chained")


@capture("modern-secondary-links", "Relay headers with secondary link ids, one to three.")
def modern_secondary_links(stage):
    stage.one_to_one()
    for links in ([MY_LINK], [MY_LINK, MY_CELLULAR_LINK], [MY_LINK, MY_CELLULAR_LINK, PEER_CELLULAR_LINK]):
        stage.up(stage.me.audio(send_timestamp=9), link=PEER_LINK, links=links, count=True, priority=1)


@capture("modern-link-tlvs", "Every link message and TLV, in the relay channel and in Data indications.")
def modern_link_tlvs(stage):
    cap = stage.cap

    def send(command, tlvs, **how):
        return stage.up(modern.link_message(command, tlvs, cap.random(20), **how), attr=ATTR_LINK_MESSAGE)
    number = 0
    for command in (0x0003, 0x0004, 0x0005, 0x0006, 0x0007):
        number += 1
        asked = send(command, [modern.counter(number)])
        answer = stage.down(modern.link_message(command | modern.ACK, [modern.counter(number)], cap.random(20)),
                            attr=ATTR_LINK_MESSAGE | ATTR_10)
        cap.truth[answer]["response_to"] = asked
    v6 = ("2001:db8:1::10", 16393)
    for tlv, what in ((modern.connection_data(LINK_PLACES), "three candidates"),
                      (modern.connection_data([(modern.HOST, v6, WIFI)] + PEER_PLACES), "an IPv6 candidate"),
                      (modern.connection_data([]), "no candidates"),
                      (modern.interfaces([(MY_LINK, WIFI, 1446, 0, 1)]), "one interface"),
                      (modern.interfaces([(MY_LINK, WIFI, 1446, 0, 1), (MY_CELLULAR_LINK, CELLULAR, 1256, 1, 1)]),
                       "two interfaces"),
                      (rtt_report(0x937195D9, 0x93719000, 0x100), "RTT report")):
        number += 1
        send(0x0004 if tlv[0] == modern.TLV_CONNECTION else 0x0006, [tlv, modern.counter(number)])
        cap.mark(what)
    for tlv in (0x02, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11, 0x12, 0x13, 0x14, 0x16,
                0x20, 0xFFFF):
        size = {0x0B: 16, 0x0D: 16, 0x0E: 16, 0x13: 2, 0x14: 4, 0x07: 4, 0x0C: 2}.get(tlv, 6)
        send(0x0006, [(tlv, cap.random(size))])
    send(0x0004, [(modern.TLV_CONNECTION, b"\x20")])
    cap.mark("connection data of one byte")
    send(0x0006, [(modern.TLV_INTERFACES, struct.pack("!H", 1 << 13 | 9) + bytes(12))])
    cap.mark("nine interfaces announced, one there")
    stage.indication(modern.link_message(modern.LINK_PROBE, [modern.counter(77)], cap.random(20)))
    cap.mark("in a Data indication")


@capture("modern-rtp-extensions", "RTP with each part of FaceTime's header extensions, FEC headers, and none.")
def modern_rtp_extensions(stage):
    me, cap = stage.me, stage.cap
    for parts in ({}, {"send_timestamp": 100}, {"send_timestamp": 120, "video_loss": (0x1010, 2000)},
                  {"send_timestamp": 140, "stats": (1, 2, 3, 4)}, {"send_timestamp": 160, "ecn": (5, 0)},
                  {"send_timestamp": 180, "video_loss": (1, 2), "stats": (1, 2, 3, 4), "ecn": (5, 1)},
                  {"video_loss": (1, 2)}, {"send_timestamp": 200, "version": 1}, {"feedback": 9, "rate": 7}):
        stage.up(me.audio(**parts), link=PEER_LINK, count=True)
    for payload_type in (modern.EVS, modern.RED, modern.COMFORT_NOISE):
        stage.up(me.audio(payload_type, send_timestamp=300), link=PEER_LINK, count=True)
    for parts in ({}, {"ltr": me.ts - 1600}, {"probe": me.ts}, {"ltr": me.ts - 800, "probe": me.ts},
                  {"camera": 2}, {"camera": 0x3F, "ltr_bits": 0xF}):
        for one_to_one in (True, False):
            for wire in me.video(1, one_to_one=one_to_one, **{**parts, **(
                    {"probe": 0} if "probe" in parts and not one_to_one else {})}):
                stage.up(wire, count=True, **({"link": PEER_LINK} if one_to_one else
                                              {"stream": me.video_ssrc & 0xFFFF}))
    # one frame of three source packets and two of parity
    sizes = [40, 44, 38]
    stream = me.video_ssrc & 0xFFFF
    me.frame += 1
    for i, size in enumerate(sizes):
        me.video_seq += 1
        parts = modern.video_extension(fec=modern.fec_source(0x0B + i, size), version=1)
        stage.up(modern.rtp(modern.HEVC, me.video_seq, me.ts, me.video_ssrc, cap.random(size), me.mki,
                            i == 2, parts), stream=stream, count=True)
        cap.mark(f"FEC source {i + 1}")
    for i in range(2):
        parts = modern.video_extension(fec=modern.fec_parity(0x08 + i, sizes), version=1)
        stage.up(modern.rtp(modern.HEVC, me.video_seq, me.ts, me.video_ssrc, cap.random(max(sizes)), me.mki,
                            True, parts), stream=stream + 1 & 0xFFFF, count=True)
        cap.mark(f"FEC parity {i + 1}")


@capture("modern-baseband", "The modem's reports on a relay's 5-tuple: the long form, the short one, and dropped packets.")
def modern_baseband(stage):
    cap = stage.cap
    stage.near = PHONE_CELLULAR
    stage.one_to_one()
    tag, sent, clock = 0x6DAAF59C, 0, 1_000_000

    def report(wire, **truth):
        cap.run(0.05)
        cap.udp(PHONE_CELLULAR, RELAY, wire, call=1, **truth)
    for queued in (0, 1200, 3304, 800, 0):
        sent, clock = sent + 1500, clock + 70
        report(modern.baseband(tag, CELLULAR, queued == 1200, queued, 0, sent, clock))
    report(modern.baseband_short())
    cap.mark("short form")
    report(modern.baseband_drop(tag, 7, 0, []))
    report(modern.baseband_drop(tag, 8, 0, [(modern.HEVC, [100, 101, 102]), (modern.AAC_ELD, [7])]))
    cap.mark("dropped packets")
    report(modern.baseband_drop(tag, 9, 0xFFFF, []))
    cap.mark("drop failed")
    report(Wire(bytes.fromhex("deadbeefcafe000200"), kind="baseband", generation="modern"),
           unproven=True, note="cut")


@capture("modern-direct", "Media and control messages straight between two phones, after their checks.")
def modern_direct(stage):
    me, peer, cap = stage.me, stage.peer, stage.cap
    mine, theirs = modern.new_mki(cap.rng), modern.new_mki(cap.rng)
    txid, asked = stage.check(mine)
    stage.check_answer(theirs, txid, asked, incoming=True)
    for _ in range(5):
        stage.straight(me.audio(send_timestamp=1))
        stage.straight(peer.audio(send_timestamp=1), incoming=True)
        for wire in me.video():
            stage.straight(wire)
    stage.straight(me.control())
    stage.straight(peer.control(16), incoming=True)


@capture("modern-snatmap", "SNATMAP alone, as in 2023: unused bytes AAAA.")
def modern_snatmap(stage):
    cap = stage.cap
    phone, server = ("10.127.22.118", 16402), SNATMAP_SERVER
    asked = cap.udp(phone, server, snatmap.snatmap(snatmap.REQUEST, 0x2F317375, phone, 0xAAAA))
    cap.run(0.06)
    cap.udp(server, phone, snatmap.snatmap(snatmap.RESPONSE, 0x2F317375, ("203.0.113.114", 46256), 0xAAAA),
            response_to=asked)
