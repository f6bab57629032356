# SPDX-License-Identifier: GPL-2.0-or-later
"""Small legacy captures, one oddity each. All invented: addresses are of documentation ranges, but for
Apple's 17/8."""

import calendar
import struct
import zlib

from legacy import (COMMNAT_MAIN, PORT, TEST_PORT, TEST_SERVERS, Allocation, Check, Device, Media, Path,
                    Signalling, direct)
from scenario import Capture
from wire import packets, rtp, sip, snatmap, stun
from wire.stun import Attribute

HOME, HOME_PUBLIC = "192.168.1.10", "203.0.113.7"
CLIENT = (HOME, PORT)
PEER = ("198.51.100.20", PORT)
RELAY, RELAYED = ("17.155.5.251", 16385), ("17.155.5.251", 3489)
CHANNEL = 0x4002

CORNERS = {}


def capture(name, shows, **how):
    """Registers a builder `story(cap)` as the capture of that name; how: see Capture."""
    def register(story):
        def build():
            cap = Capture(name, shows, calendar.timegm((2015, 4, 8, 12, 0, 0)),
                          local=[HOME, "192.168.1.11", "192.168.1.12", "2001:db8:1::10"],
                          comment="INVENTED, NOT A CAPTURE: made by test-captures/generate.py. " + shows,
                          **how)
            story(cap)
            return cap
        CORNERS[name] = build
        return story
    return register


def steps(cap, start, *rows):
    """Queue actions: (delay, action)."""
    for delay, action in rows:
        cap.at(start + delay, action)


def ends(cap, client=CLIENT, peer=PEER, public=(HOME_PUBLIC, PORT), **peer_form):
    """Two devices: who captures, and the far end."""
    return (Device(cap, "client", client, public, controlling=True),
            Device(cap, "peer", peer, host=("192.0.2.20", PORT), **peer_form))


class SmallCall:
    """A whole call of a few dozen packets, queued at once. Options:

    relay      an Allocation: the call goes through it, on `channel`; or with indications=True through
               Send and Data; else it is direct
    signalled  with SIP; keys: SKE MESSAGEs a side
    talk       seconds of audio; video: packets of each video frame
    form       of the checks (stun.binding_request), style: of SIP (legacy.Signalling)
    """

    def __init__(self, cap, number, client, peer, relay=None, channel=CHANNEL, indications=False,
                 padded=False, form=None, style=None):
        self.cap, self.number, self.client, self.peer = cap, number, client, peer
        self.relay, self.channel = relay, channel if not indications else None
        if relay and indications:
            self.out, self.back = relay.indications(peer.addr)
        elif relay:
            self.out, self.back = relay.paths(channel, peer.addr, padded=padded)
        else:
            self.out, self.back = direct(cap, number, client.addr, peer.addr)
        self.form = form or {}
        self.sip = Signalling(cap, client, peer, **(style or {}))
        self.media = []

    def queue(self, start, talk=0.3, video=(), signalled=True, keys=0, **media):
        """Everything from the first packet to the last; returns the time of the end."""
        at = self.checks(self.relay_up(start))
        if signalled:
            at = self.invite(at, keys)
        at = self.talk(at, talk, video, **media)
        return self.end(at, signalled)

    def relay_up(self, start):
        if not self.relay:
            return start
        steps(self.cap, start, (0, self.relay.allocate), (0.05, self.relay.allocated))
        if self.channel:
            steps(self.cap, start, (0.1, lambda: self.relay.bind(self.channel, self.peer.addr)),
                  (0.14, lambda: self.relay.bound(self.channel)))
        return start + 0.2

    def checks(self, start):
        client, peer = self.client, self.peer
        mine = client.relayed if self.relay else client.host
        listed = {"listed": client.candidates} if self.relay else {}
        check = Check(client, mine, peer.reflexive, self.out, self.back, **self.form, **listed)
        other = Check(peer, peer.reflexive, mine, self.back, self.out, **self.form)
        mapped = self.relay.relayed if self.relay else client.public
        steps(self.cap, start,
              (0, check.send), (0.04, lambda: check.answer(mapped=mapped, derived=bool(self.relay))),
              (0.042, other.send), (0.044, lambda: other.answer(mapped=peer.addr)),
              (0.046, lambda: check.send(nominate=1)), (0.09, lambda: check.answer(mapped=mapped)))
        return start + 0.1

    def invite(self, start, keys=0):
        sip, out, back = self.sip, self.out, self.back
        steps(self.cap, start, (0, lambda: sip.invite(out)), (0.05, lambda: sip.trying(back)),
              (0.06, lambda: sip.ringing(back)), (0.1, lambda: sip.ok(back)), (0.105, lambda: sip.ack(out)))
        start += 0.12
        for fragment in range(keys):
            sip.key_message(start, "caller", out, back, fragment)
            sip.key_message(start + 0.05, "callee", back, out, fragment)
            start += 0.1
        return start

    def talk(self, start, seconds, video=(), **media):
        mine = Media(self.cap, self.client, self.out, self.peer, pattern=video, **media)
        theirs = Media(self.cap, self.peer, self.back, self.client, pattern=video, **media)
        steps(self.cap, start, (0, mine.start), (0.007, theirs.start),
              (seconds / 2, lambda: mine.report("audio")), (seconds / 2 + 0.01, lambda: theirs.report("audio")),
              (seconds, mine.stop), (seconds + 0.001, theirs.stop))
        self.media += [mine, theirs]
        return start + seconds + 0.002

    def end(self, start, signalled=True):
        if signalled:
            steps(self.cap, start, (0, lambda: self.sip.bye(self.out)), (0.05, lambda: self.sip.bye_ok(self.back)))
        if self.relay:
            steps(self.cap, start, (0.06, self.relay.release), (0.1, self.relay.released))
        return start + 0.12


def direct_call(cap, style=None, form=None, **queue):
    """The usual: one direct call, nothing else."""
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer, form=form, style=style)
    cap.run_to(call.queue(0.0, **queue))
    return call


def relay_call(cap, server=RELAY, **how):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer, Allocation(cap, 1, client, server, RELAYED), **how)
    cap.run_to(call.queue(0.0))


# --- SIP ----------------------------------------------------------------------------------------

@capture("sip-raw-deflate", "A direct call whose SDP is raw deflate, without zlib's wrapper.")
def sip_raw_deflate(cap):
    direct_call(cap, {"coding": "raw"})


@capture("sip-gzip", "A direct call whose SDP is gzip.")
def sip_gzip(cap):
    direct_call(cap, {"coding": "gzip"})


@capture("sip-uncompressed", "A direct call of iChat AV, 2010: plain SDP, long header names, old ICE.")
def sip_uncompressed(cap):
    direct_call(cap, {"coding": "none", "compact": False, "agent": sip.VICEROY_2010,
                      "template": (sip.OFFER_2010, sip.OFFER_2010), "names": ("1021", "1022")},
                {"version": None})
    first = next(number for number, frame in cap.truth.items() if frame.get("sip"))
    for number, frame in cap.truth.items():
        if number >= first and frame["generation"] == "legacy":
            frame["generation"] = "ichat"      # its user agent tells, from the INVITE on


@capture("sip-long-names", "A direct call with long header names and a deflated SDP.")
def sip_long_names(cap):
    direct_call(cap, {"compact": False})


@capture("sip-key-exchange", "SKE MESSAGEs after the ACK: three fragments a side, each answered.")
def sip_key_exchange(cap):
    direct_call(cap, keys=3, talk=0.2)


@capture("sip-text-messages", "MESSAGEs of text: PING, and a handover notice.")
def sip_text_messages(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer)
    at = call.invite(call.checks(0.0))
    notice = b"VCHandoverCandidateChange:VCHandoverNewCandidateBlob"
    for sender, out, back, text in (("caller", call.out, call.back, b"PING"),
                                    ("callee", call.back, call.out, b"PING"),
                                    ("caller", call.out, call.back, notice)):
        call.sip.message_at(at, sender, out, back, sip.Body(text, "text/plain"))
        at += 0.1
    cap.run_to(call.end(call.talk(at, 0.1)))


def damaged_bodies(call):
    """(what, Body): offers that are not as they say, or only just."""
    def offer(coding="zlib", **lies):
        text = sip.sdp(sip.OFFER_2015, call.client.named, call.client.audio, call.client.video)
        return sip.Body(text, "application/sdp", coding, **lies)
    whole, raw = offer().coded, offer("raw").coded
    middle = len(whole) // 2
    corrupt = whole[:middle] + bytes(b ^ 0xFF for b in whole[middle:middle + 16]) + whole[middle + 16:]
    wrong_sum = whole[:-4] + bytes(b ^ 0xFF for b in whole[-4:])
    garbage = b"\x78\x9c" + b"\xff" * 62
    return (
        ("name of the coding in capitals", offer(encoding="DEFLATE")),
        ("gzip called deflate", offer("gzip", encoding="deflate")),
        ("zlib called gzip", offer(encoding="gzip")),
        ("no Content-Encoding", offer(encoding="")),
        ("half of it", offer(coded=whole[:middle], damage="truncated")),
        ("half of it, raw", offer("raw", coded=raw[:len(raw) // 2], damage="truncated")),
        ("without the checksum", offer(coded=whole[:-4], damage="truncated")),
        ("wrong checksum", offer(coded=wrong_sum, damage="corrupt")),
        ("corrupt middle", offer(coded=corrupt, damage="corrupt")),
        ("garbage", offer(coded=garbage, damage="corrupt")),
        ("plain text called deflate", offer("none", encoding="deflate", damage="plain")),
        ("nothing", offer(coded=b"", damage="empty")),
        ("Content-Length 20 too much", offer(length=len(whole) + 20, damage="length")),
        ("Content-Length 20 too little", offer(length=len(whole) - 20, damage="length")),
    )


def salvage(body):
    """What zlib can still read of a damaged body: its text, as far as it goes."""
    coder = zlib.decompressobj(-15 if body.coding == "raw" else 15)
    text = b""
    try:
        for byte in body.coded:
            text += coder.decompress(bytes([byte]))
    except zlib.error:
        pass
    return text


@capture("sip-damaged-bodies", "INVITEs of one dialog whose SDP bodies are cut, corrupt or misnamed.")
def sip_damaged_bodies(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer)
    cap.run_to(call.invite(call.checks(0.0)))
    for cseq, (what, body) in enumerate(damaged_bodies(call), 2):
        cap.run(0.1)
        extra = {"salvaged": salvage(body).decode()} if body.damage in ("truncated", "corrupt") else {}
        call.out.send(call.sip.dialog.request("INVITE", "caller", cseq, body), note=what, **extra)
        cap.mark(what, comment=what)
    call.sip.sequence["caller"] = cseq
    cap.run_to(call.end(call.talk(cap.clock + 0.1, 0.1)))


def bomb(repeats):
    """An offer that goes on for megabytes; returns (first part, coded)."""
    first = b"v=0\r\no=GKVoiceChatService 0 0 IN IP4 203.0.113.7\r\ns=mobile\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\n"
    coder = zlib.compressobj(9)
    coded = coder.compress(first)
    line = b"a=DMBR\r\n" * 1024
    coded += b"".join(coder.compress(line) for _ in range(repeats)) + coder.flush()
    return first, coded


@capture("sip-deflate-bomb", "INVITEs whose SDP inflates to 1 MiB, and to 38 MiB.")
def sip_deflate_bomb(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer)
    cap.run_to(call.invite(call.checks(0.0)))
    for cseq, repeats in ((2, 128), (3, 4900)):
        cap.run(0.1)
        first, coded = bomb(repeats)
        body = sip.Body(first, "application/sdp", "zlib", coded=coded, damage="limit")
        call.out.send(call.sip.dialog.request("INVITE", "caller", cseq, body),
                      inflates_to=len(first) + repeats * 8192)
        cap.mark(f"bomb of {len(coded)} bytes", comment=f"inflates to {len(first) + repeats * 8192} bytes")
    call.sip.sequence["caller"] = 3
    cap.run_to(call.end(cap.clock + 0.1))


# --- links and addresses ------------------------------------------------------------------------

@capture("ipv6", "A call over IPv6, first through a relay, then direct.")
def ipv6(cap):
    client = Device(cap, "client", ("2001:db8:1::10", PORT), controlling=True)
    peer = Device(cap, "peer", ("2001:db8:2::20", PORT), host=("2001:db8:2:1::20", PORT))
    server = ("2620:149:a44:1::5", 16385)
    call = SmallCall(cap, 1, client, peer, Allocation(cap, 1, client, server, (server[0], 3489)))
    at = call.talk(call.invite(call.checks(call.relay_up(0.0))), 0.2)
    call.out, call.back = direct(cap, 1, client.addr, peer.addr)
    refused = []
    elsewhere = Check(client, client.host, peer.host, *direct(cap, 1, client.addr, peer.host.addr))
    check = Check(client, client.host, peer.reflexive, call.out, call.back)
    steps(cap, at, (0, lambda: refused.append(elsewhere.send())),
          (0.01, lambda: cap.unreachable(peer.host.addr[0], refused[0], call=1)),
          (0.02, lambda: check.send(nominate=1)), (0.05, check.answer))
    for media in call.media:
        path = call.out if media.device is client else call.back
        cap.at(at + 0.06, lambda media=media, path=path: setattr(media, "path", path))
        cap.at(at + 0.06, media.start)
        cap.at(at + 0.26, media.stop)
    cap.run_to(call.end(at + 0.27))


@capture("vlan", "A direct call inside VLAN 42.", vlan=42)
def vlan(cap):
    direct_call(cap, talk=0.1)


@capture("raw-ip", "A direct call captured without a link layer.", linktype=packets.LINKTYPE_RAW)
def raw_ip(cap):
    direct_call(cap, talk=0.1)


@capture("nat-ports", "A direct call with the peer behind a NAT that changes ports: SDP says 16402, packets 40112.")
def nat_ports(cap):
    client, peer = ends(cap)
    peer.addr = (PEER[0], 40112)
    call = SmallCall(cap, 1, client, peer)
    cap.run_to(call.queue(0.0, talk=0.2, video=(2,)))


@capture("relay-3478", "A relayed call whose relay is at STUN's own port, 3478.")
def relay_3478(cap):
    relay_call(cap, ("17.155.5.251", 3478))


@capture("send-data-indications", "A relayed call in Send and Data indications instead of a channel.")
def send_data_indications(cap):
    relay_call(cap, indications=True)


@capture("channeldata-padded", "A relayed call whose ChannelData is padded to 4 bytes, as over TCP.")
def channeldata_padded(cap):
    relay_call(cap, padded=True)


# --- several calls ------------------------------------------------------------------------------

def interleaved(cap, homes):
    """Calls of several devices at once on one relay, with the same channel number."""
    end = 0.0
    for number, (ip, port) in enumerate(homes, 1):
        client = Device(cap, f"client {number}", (ip, port), (HOME_PUBLIC, port), controlling=True)
        peer = Device(cap, f"peer {number}", (f"198.51.100.{20 + number}", PORT))
        relay = Allocation(cap, number, client, RELAY, (RELAYED[0], 3489 + number))
        call = SmallCall(cap, number, client, peer, relay)
        end = max(end, call.queue(0.013 * number))
    cap.run_to(end)


@capture("two-calls-one-relay", "Two devices, each in a call, at the same time through one relay.")
def two_calls(cap):
    interleaved(cap, [(HOME, PORT), ("192.168.1.11", PORT)])


@capture("three-calls-one-relay", "Three calls at once through one relay; the third on its device's next port.")
def three_calls(cap):
    interleaved(cap, [(HOME, PORT), ("192.168.1.11", PORT), (HOME, PORT - 1)])


@capture("calls-in-sequence", "Three calls of the same two devices one after the other.")
def calls_in_sequence(cap):
    at = 0.0
    for number in (1, 2, 3):
        client, peer = ends(cap)
        at = SmallCall(cap, number, client, peer).queue(at, talk=0.15) + 30.0
    cap.run_to(at)


@capture("no-signalling", "A relayed call of which SIP is nowhere to be seen.")
def no_signalling(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer, Allocation(cap, 1, client, RELAY, RELAYED))
    cap.run_to(call.queue(0.0, signalled=False))


def late(cap, call):
    """Media and the BYE of a call that was under way before the capture."""
    cap.start_open.add(1)
    cap.run_to(call.end(call.talk(0.0, 0.8)))


@capture("mid-call-direct", "The capture starts in the middle of a direct call.")
def mid_call_direct(cap):
    late(cap, SmallCall(cap, 1, *ends(cap)))
    for number in range(1, 41):     # evidence has to gather first
        cap.truth[number]["unproven"] = True


@capture("mid-call-relay", "The capture starts in the middle of a relayed call.")
def mid_call_relay(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer, Allocation(cap, 1, client, RELAY, RELAYED))
    late(cap, call)
    for frame in cap.truth.values():    # nothing but FaceTime's own SIP says what this ChannelData is
        if frame["kind"] == "sip":
            break
        frame["unproven"] = True


# --- relay oddities -----------------------------------------------------------------------------

@capture("early-channel-data", "ChannelData ahead of the bind's answer: a bind lost and repeated, and one refused.")
def early_channel_data(cap):
    client, peer = ends(cap)
    relay = Allocation(cap, 1, client, RELAY, RELAYED)
    other = Device(cap, "peer", ("198.51.100.21", 40000))
    up, down = relay.paths(CHANNEL, PEER)
    check = Check(client, client.relayed, peer.reflexive, up, down, listed=client.candidates)
    refused = Check(client, client.relayed, other.reflexive, relay.paths(CHANNEL + 1, other.addr)[0], None)
    unknown = Check(client, client.relayed, other.reflexive, relay.paths(CHANNEL + 7, None)[0], None)
    back = Check(peer, peer.reflexive, client.relayed, down, up)
    steps(cap, 0.0,
          (0.00, relay.allocate), (0.01, relay.allocate), (0.05, relay.allocated),
          (0.10, lambda: relay.bind(CHANNEL, PEER)), (0.11, check.send), (0.36, check.send),
          (0.60, lambda: relay.bind(CHANNEL, PEER)), (0.61, check.send), (0.63, back.send),
          (0.65, lambda: relay.bound(CHANNEL)), (0.66, lambda: check.answer(mapped=RELAYED)),
          (0.67, lambda: back.answer(mapped=PEER)),
          (0.70, lambda: relay.bind(CHANNEL + 1, other.addr)), (0.71, refused.send),
          (0.75, lambda: relay.bind_refused(CHANNEL + 1)),
          (0.80, unknown.send),
          (0.90, relay.release), (0.93, lambda: check.send(nominate=1)), (0.95, relay.released),
          (0.97, lambda: check.answer(mapped=RELAYED)))
    cap.run_to(1.0)


@capture("peer-unreachable", "ICMP errors that quote a check: whole, cut to 8 bytes of UDP, and ChannelData.")
def peer_unreachable(cap):
    client, peer = ends(cap)
    relay = Allocation(cap, 1, client, RELAY, RELAYED)
    up, down = relay.paths(CHANNEL, PEER)
    to_peer, from_peer = direct(cap, 1, CLIENT, PEER)
    check = Check(client, client.host, peer.reflexive, to_peer, from_peer)
    relayed = Check(client, client.relayed, peer.reflexive, up, down)
    for quoted, reporter, how in ((check.send(), PEER[0], {}), (check.send(), PEER[0], {"keep": 28}),
                                  (relay.allocate(), RELAY[0], {}), (relayed.send(), RELAY[0], {"code": 1})):
        cap.run(0.05)
        cap.unreachable(reporter, quoted, call=1, **how)


# --- media --------------------------------------------------------------------------------------

class Rough(Path):
    """A path that loses, repeats and swaps RTP packets, by their count from 0."""

    def __init__(self, path, lost=(), repeated=(), held=()):
        super().__init__(path.cap, path.call, path.src, path.dst)
        self.lost, self.repeated, self.held = lost, repeated, held
        self.count, self.waiting = -1, None
        self.lost_sequences = []

    def send(self, wire, **truth):
        if wire.truth["kind"] != "rtp":
            return super().send(wire, **truth)
        self.count += 1
        if self.count in self.lost:
            self.lost_sequences.append(wire.truth["rtp"]["seq"])
            return None
        if self.count in self.held:
            self.waiting = wire
            return None
        number = super().send(wire, **truth)
        if self.count in self.repeated:
            super().send(wire, duplicate_of=number, **truth)
        if self.waiting:
            held, self.waiting = self.waiting, None
            super().send(held, reordered=True, **truth)
        return number


@capture("loss-reorder-duplicates", "A direct call with RTP lost, out of order and repeated; sequence numbers wrap.")
def loss_reorder_duplicates(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer)
    at = call.invite(call.checks(0.0))
    sip_out, sip_back = call.out, call.back
    call.out = Rough(sip_out, lost={5, 6, 7, 20}, repeated={10, 30}, held={15})
    call.back = Rough(sip_back, lost={2}, repeated={8}, held={11, 13})
    at = call.talk(at, 0.8, audio_seq=65520)
    cap.run_to(call.end(at))
    cap.groups["lost sequence numbers of the client"] = call.out.lost_sequences
    cap.groups["lost sequence numbers of the peer"] = call.back.lost_sequences


@capture("media-gap", "A direct call in which the peer falls silent for four seconds.")
def media_gap(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer)
    at = call.invite(call.checks(0.0))
    mine = Media(cap, client, call.out, peer, pattern=())
    theirs = Media(cap, peer, call.back, client, pattern=())
    steps(cap, at, (0, mine.start), (0.007, theirs.start), (0.5, theirs.stop), (4.5, theirs.start),
          (4.8, theirs.stop), (4.8, mine.stop))
    cap.run_to(call.end(at + 4.81))


@capture("rtp-extension", "A direct call whose audio has the header extension 0x4400, two words.")
def rtp_extension(cap):
    direct_call(cap, extension=(0x4400, struct.pack("!HHHH", 0x1234, 0x0010, 0x0000, 0x0001)))


@capture("rtp-both-paths", "A call whose sender repeats each RTP packet on the relay, and leaves it again.")
def rtp_both_paths(cap):
    client, peer = ends(cap)
    relay = Allocation(cap, 1, client, RELAY, RELAYED)
    call = SmallCall(cap, 1, client, peer, relay)
    at = call.checks(call.relay_up(0.0))
    relayed = call.out
    call.out, call.back = direct(cap, 1, CLIENT, PEER)
    call.relay = None
    at = call.invite(call.checks(at))
    mine = Media(cap, client, call.out, peer, pattern=())
    steps(cap, at, (0, mine.start), (0.3, lambda: setattr(mine, "also", relayed)),
          (0.6, lambda: setattr(mine, "also", None)), (0.8, mine.stop))
    call.relay = relay
    cap.run_to(call.end(at + 0.81))


# --- attributes and NAT tests -------------------------------------------------------------------

# Truth of these frames: attribute, length, legal (True, False, None = not Apple's business).
LEGAL_LENGTHS = {   # None: any
    stun.USERNAME: (20,), stun.APPLE_PROTOCOL: (4,), stun.APPLE_8002: None, stun.APPLE_ICE_VERSION: (4,),
    stun.APPLE_TIMESTAMP: (4,), stun.APPLE_DELAY: (4,), stun.APPLE_QOS: (0,), stun.APPLE_RADIO: (4,),
    stun.APPLE_NOMINATION: (4, 16), stun.APPLE_SKE: None, stun.APPLE_LINK_FLAGS: (4,),
    stun.APPLE_DATA_SO: (4,),
}
LENGTHS_TRIED = (0, 1, 3, 4, 5, 8, 16, 19, 20, 21)


def legal_attributes(cap):
    """One well-formed example of each, by its own builder."""
    blob, uuid4 = cap.random(40), bytes.fromhex("0f1e2d3c4b5a4978a6b7c8d9eafb0c1d")
    return (stun.protocol(1), stun.protocol(2, derived=True), stun.unknown_8002(cap.random(4)),
            stun.ice_version(1010), stun.timestamp(0xA1B2C3D4), stun.delay(0x147), stun.qos(), stun.radio(5),
            stun.nomination(1, 0x200), stun.link_id(uuid4), stun.ske(blob), stun.link_flags(1), stun.data_so(1))


def candidate_lists(cap):
    """(what, value, legal)"""
    v4 = stun.Candidate(stun.HOST, CLIENT, 0x12345678)
    v6 = stun.Candidate(stun.HOST, ("2001:db8:1::10", PORT), 0x23456789, cellular=True)
    good = stun.candidates([v4, v6]).value
    many = stun.candidates([v4] * 32).value
    return (("two candidates", good, True), ("32 candidates", many, True),
            ("33 candidates, one more than Apple reads", stun.candidates([v4] * 33).value, None),
            ("version and no addresses", b"\x00\x01\x00", True),
            ("empty", b"", False), ("one byte", b"\x00", False), ("version alone", b"\x00\x01", False),
            ("cut in an entry", good[:-5], False), ("cut in the addresses", good[:9], False),
            ("fifteen addresses announced, two there", good[:2] + b"\xf0" + good[3:11], False),
            ("address index out of range", good[:-3] + b"\x07" + good[-2:], False))


@capture("apple-attributes", "Binding requests with every Apple attribute at legal and illegal lengths.")
def apple_attributes(cap):
    client, peer = ends(cap)
    out, _ = direct(cap, 1, CLIENT, PEER)
    usual = [stun.username(peer.reflexive.id, client.host.id), stun.protocol(1)]

    def send(attribute, **truth):
        cap.run(0.02)
        before = [] if attribute.number == stun.USERNAME else usual[:1]
        if attribute.number not in (stun.USERNAME, stun.APPLE_PROTOCOL):
            before = usual
        wire = stun.message(stun.BINDING, stun.REQUEST, stun.legacy_txid(stun.BINDING, cap.rng),
                            [*before, attribute], legacy_username=bool(before))
        out.send(wire, attribute=attribute.number, length=len(attribute.value), **truth)

    out.send(stun.message(stun.BINDING, stun.REQUEST, stun.legacy_txid(stun.BINDING, cap.rng), usual,
                          legacy_username=True))
    for attribute in legal_attributes(cap):
        send(attribute, legal=True)
    for number, legal in LEGAL_LENGTHS.items():
        for length in LENGTHS_TRIED:
            fits = legal is None or length in legal
            if number == stun.APPLE_LINK_FLAGS and length >= 8:
                continue                # RFC 8489's ALTERNATE-SERVER
            if number == stun.USERNAME and not fits:
                fits = None             # an ordinary USERNAME
            send(Attribute(number, cap.random(length)), legal=fits)
    for what, value, legal in candidate_lists(cap):
        send(Attribute(stun.APPLE_CANDIDATES, value), legal=legal, note=what)


@capture("nat-tests", "SNATMAP and CommNAT: answered, lost, repeated, altered tokens, each report flag, bad types.")
def nat_tests(cap):
    near, mapped = (HOME, TEST_PORT), (HOME_PUBLIC, 50001)
    base = 0x3A1B2000
    main0, main1, cohort = TEST_SERVERS.values()
    test, report = snatmap.commnat_test, snatmap.commnat_report

    def send(src, dst, wire, **truth):
        cap.run(0.05)
        return cap.udp(src, dst, wire, **truth)

    def ask(server, mask, **truth):
        return send(near, server, test(snatmap.REQUEST, base ^ mask), **truth)
    first = ask(main0, snatmap.MAIN0)
    ask(main1, snatmap.MAIN1)
    lost = ask(cohort, snatmap.COHORT)
    send(main0, near, test(snatmap.RESPONSE, base, mapped), response_to=first)
    send(main1, near, test(snatmap.RESPONSE, base ^ snatmap.MAIN1 ^ 0x123, mapped), note="low bits altered")
    cap.run_to(2.2)
    again = ask(cohort, snatmap.COHORT, retransmission_of=lost)
    send(("17.173.255.224", 16386), near, test(snatmap.RESPONSE, base ^ snatmap.COHORT, mapped),
         note="from another address")
    send(cohort, near, test(snatmap.RESPONSE, base ^ snatmap.COHORT, mapped), response_to=again)
    hairpin = send(near, mapped, test(snatmap.REQUEST, base ^ snatmap.HAIRPIN))
    send(mapped, near, test(snatmap.RESPONSE, base ^ snatmap.HAIRPIN, mapped), response_to=hairpin)
    for bit in range(9):
        token = cap.rng.getrandbits(32)
        asked = send(near, main0, report(snatmap.REQUEST, token, 1 << bit))
        send(main0, near, report(snatmap.RESPONSE, token, 1 << bit), response_to=asked)
    nonce = 0x2F317375
    asked = send((HOME, PORT), (COMMNAT_MAIN, 16384), snatmap.snatmap(snatmap.REQUEST, nonce, CLIENT, 0xAAAA))
    send((COMMNAT_MAIN, 16384), (HOME, PORT),
         snatmap.snatmap(snatmap.RESPONSE, nonce, (HOME_PUBLIC, 46256), 0xAAAA), response_to=asked)
    send((COMMNAT_MAIN, 16384), (HOME, PORT), snatmap.snatmap(snatmap.RESPONSE, nonce + 1, (HOME_PUBLIC, 46256)),
         note="nobody asked")


@capture("rtcp-kinds", "RTCP of a direct call: SR, RR, SDES, BYE, compound and alone.")
def rtcp_kinds(cap):
    client, peer = ends(cap)
    call = SmallCall(cap, 1, client, peer)
    at = call.invite(call.checks(0.0))
    call.talk(at, 0.1)
    cap.run_to(at + 0.11)
    for compound in ((rtp.sender_report(client.audio, cap.now, 480, 5, 200),),
                     (rtp.receiver_report(client.audio, peer.audio),),
                     (rtp.receiver_report(client.audio, peer.audio), rtp.source_description(client.audio, "user")),
                     (rtp.sender_report(client.video, cap.now, 3000, 5, 200, peer.video),
                      rtp.source_description(client.video, "user"), rtp.goodbye(client.video))):
        cap.run(0.02)
        call.out.send(rtp.rtcp(*compound))
    cap.run_to(call.end(cap.clock + 0.05))
