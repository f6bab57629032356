# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes part in a legacy call: devices, relay allocations, paths, checks, media, SIP.

A method writes one packet at the capture's present time (or queues packets, where it says so).
"""

from wire import rtp, sip, snatmap, stun
from wire.stun import Candidate

PORT = 16402
TEST_PORT = 16403
COMMNAT_MAIN, COMMNAT_COHORT = "17.173.255.222", "17.173.255.223"
TEST_SERVERS = {
    snatmap.MAIN0: (COMMNAT_MAIN, 16384),
    snatmap.MAIN1: (COMMNAT_MAIN, 16385),
    snatmap.COHORT: (COMMNAT_COHORT, 16386),
}


class Device:
    """One end of a call. addr: where its packets come from in the capture; public: outside its NAT."""

    def __init__(self, cap, name, addr, public=None, host=None, audio=None, video=None,
                 controlling=False):
        """host: its own address where that isn't addr (the far end); audio, video: its SSRCs."""
        def bits(count):
            return cap.rng.getrandbits(count)
        self.name, self.addr, self.public, self.controlling = name, addr, public or addr, controlling
        call_id = bits(31)
        self.host = Candidate(stun.HOST, host or addr, bits(31), call_id)
        self.reflexive = Candidate(stun.SERVER_REFLEXIVE, self.public, bits(31), call_id)
        self.relayed = None
        self.call_id = call_id
        self.tie_breaker = bits(31)
        self.audio, self.video = audio or bits(32), video or bits(32)
        self.relayed_word = bits(31)

    def with_relay(self, relayed):
        self.relayed = Candidate(stun.RELAYED, relayed, self.relayed_word, self.call_id)

    @property
    def named(self):
        """What its SIP and SDP say: the public address, and its own port whatever a NAT makes of that."""
        return self.public[0], self.host.addr[1]

    @property
    def candidates(self):
        return [c for c in (self.host, self.reflexive, self.relayed) if c]


class Path:
    """One direction between two ends, as it shows in the capture: direct, or through a channel."""

    def __init__(self, cap, call, src, dst, channel=None, peer=None, indication=None, padded=False):
        """With a channel (or indication: SEND or DATA), src and dst are client and server, peer is
        who is behind it."""
        self.cap, self.call, self.src, self.dst = cap, call, src, dst
        self.channel, self.peer, self.indication, self.padded = channel, peer, indication, padded

    @property
    def name(self):
        return "relay" if self.channel or self.indication else "direct"

    def wrap(self, wire):
        if self.channel:
            return stun.channel_data(self.channel, wire, self.padded)
        if self.indication:
            txid = stun.legacy_txid(self.indication, self.cap.rng)
            return stun.indication(self.indication, txid, self.peer, wire)
        return wire

    def send(self, wire, **truth):
        peer = {"peer": list(self.peer)} if self.peer else {}
        return self.cap.udp(self.src, self.dst, self.wrap(wire), path=self.name, call=self.call,
                            **{**peer, **truth})


class Allocation:
    """A device's allocation on a relay, made with a reservation token."""

    def __init__(self, cap, call, device, server, relayed):
        self.cap, self.call, self.device, self.server = cap, call, device, server
        self.relayed = relayed
        self.token, self.ticket = cap.random(8), cap.random(20)
        self.requests = {}
        device.with_relay(relayed)

    def _up(self, wire, **truth):
        return self.cap.udp(self.device.addr, self.server, wire, path="server", call=self.call, **truth)

    def _down(self, wire, **truth):
        return self.cap.udp(self.server, self.device.addr, wire, path="server", call=self.call, **truth)

    def _ask(self, key, wire):
        """Send a request, or send it again unchanged if it was sent before."""
        if key in self.requests:
            wire, first = self.requests[key]
            return self._up(wire, retransmission_of=first)
        number = self._up(wire)
        self.requests[key] = (wire, number)
        return number

    def _asked(self, key):
        wire, first = self.requests[key]
        return bytes.fromhex(wire.truth["stun"]["txid"]), first

    def _txid(self, method):
        return stun.legacy_txid(method, self.cap.rng)

    def allocate(self):
        return self._ask("allocate", stun.allocate_request(
            self._txid(stun.ALLOCATE), self.token, self.relayed, self.ticket))

    def allocated(self, mapped=None):
        txid, first = self._asked("allocate")
        self.ticket = self.cap.random(20)
        return self._down(stun.allocate_success(txid, mapped or self.device.public, self.ticket),
                          response_to=first)

    def bind(self, channel, peer):
        return self._ask(("bind", channel), stun.channel_bind_request(
            self._txid(stun.CHANNEL_BIND), channel, peer, self.ticket))

    def bound(self, channel):
        txid, first = self._asked(("bind", channel))
        return self._down(stun.channel_bind_success(txid), response_to=first)

    def bind_refused(self, channel):
        txid, first = self._asked(("bind", channel))
        return self._down(stun.error(stun.CHANNEL_BIND, txid, 437, "Allocation Mismatch"),
                          response_to=first)

    def release(self):
        return self._ask("release", stun.refresh_request(self._txid(stun.REFRESH), 0))

    def released(self):
        txid, first = self._asked("release")
        return self._down(stun.refresh_success(txid, 0), response_to=first)

    def release_refused(self):
        txid, first = self._asked("release")
        return self._down(stun.error(stun.REFRESH, txid, 437, "Allocation Mismatch"), response_to=first)

    def paths(self, channel, peer, **how):
        """(to the peer, from the peer) through the channel."""
        up = Path(self.cap, self.call, self.device.addr, self.server, channel, peer, **how)
        down = Path(self.cap, self.call, self.server, self.device.addr, channel, peer, **how)
        return up, down

    def indications(self, peer):
        """The same without a channel: Send and Data indications."""
        up = Path(self.cap, self.call, self.device.addr, self.server, None, peer, stun.SEND)
        down = Path(self.cap, self.call, self.server, self.device.addr, None, peer, stun.DATA)
        return up, down


def direct(cap, call, near, far):
    """(near to far, far to near) between two (address, port)."""
    return Path(cap, call, near, far), Path(cap, call, far, near)


class Check:
    """A connectivity check of one candidate pair: the request, its repeats, its nomination, its answer."""

    def __init__(self, device, frm, to, out, back, **form):
        """From candidate frm of `device` to candidate `to`; out and back are the Paths."""
        self.device, self.frm, self.to, self.out, self.back = device, frm, to, out, back
        self.form = form
        self.txid = stun.legacy_txid(stun.BINDING, out.cap.rng)
        self.stamp, self.frames, self.plain = 0, [], None

    def send(self, nominate=0):
        """Sent again with the same transaction id if called again; the time stamp is a new one."""
        cap = self.out.cap
        self.stamp = rtp.ntp_short(cap.now)
        wire = stun.binding_request(self.txid, self.to, self.frm, self.device.controlling,
                                    self.device.tie_breaker, self.stamp, nominate, **self.form)
        truth = {} if nominate or not self.plain else {"retransmission_of": self.plain}
        number = self.out.send(wire, **truth)
        self.frames.append(number)
        if not nominate:
            self.plain = self.plain or number
        return number

    def answer(self, mapped=None, processing=0.002, listed=None, derived=False):
        """mapped: the request's source as the responder saw it."""
        wire = stun.binding_response(self.txid, self.frm, self.to, mapped or self.out.src, self.stamp,
                                     rtp.seconds_16_16(round(processing * 1e6)), listed, derived,
                                     self.form.get("version", 109))
        return self.back.send(wire, response_to=self.frames[-1], requests=list(self.frames))


class Media:
    """What one device sends: audio every 20 ms, video frames, and RTCP about every five seconds."""

    def __init__(self, cap, device, path, about=None, fps=30, pattern=(2, 1, 1), audio_seq=None,
                 video_seq=None, extension=None, audio_payload=(22, 15)):
        """about: the other Device. pattern: packets in each video frame, over and over; () = no video.
        extension: RTP header extension for audio."""
        def bits(count):
            return cap.rng.getrandbits(count)
        self.cap, self.device, self.path, self.about = cap, device, path, about
        self.also, self.copied = None, lambda kind, index: True
        self.fps, self.pattern = fps, pattern
        self.seq = {"audio": bits(15) if audio_seq is None else audio_seq,
                    "video": bits(15) if video_seq is None else video_seq}
        self.ts = {"audio": bits(31), "video": bits(31)}
        self.count = {"audio": 0, "video": 0}
        self.octets = {"audio": 0, "video": 0}
        self.frames = 0
        self.extension, self.audio_payload = extension, audio_payload

    def start(self, delay=0.0):
        """Queues itself until stop()."""
        self.cap.after(delay, self._audio, self)
        if self.pattern:
            self.cap.after(delay + 0.007, self._video, self)

    def stop(self):
        self.cap.cancel(self)

    def reports(self, delay):
        """Queue RTCP: first after `delay`, then every five seconds."""
        def tick():
            self.report("audio")
            if self.pattern:
                self.cap.after(0.004, lambda: self.report("video"), self)
            self.cap.after(4.7 + self.cap.rng.getrandbits(9) / 1000, tick, self)
        self.cap.after(delay, tick, self)

    def report(self, kind):
        """Audio's report names its source (SR + SDES), video's is a bare SR."""
        ssrc = getattr(self.device, kind)
        about = getattr(self.about, kind) if self.about else None
        compound = [rtp.sender_report(ssrc, self.cap.now, self.ts[kind], self.count[kind],
                                      self.octets[kind], about)]
        if kind == "audio":
            compound.append(rtp.source_description(ssrc, f"user@{self.device.host.addr[0]}"))
        return self.path.send(rtp.rtcp(*compound))

    def _jitter(self):
        return (self.cap.rng.getrandbits(10) - 512) / 1_000_000

    def _audio(self):
        self.packet("audio")
        self.cap.after(0.02 + self._jitter(), self._audio, self)

    def _video(self):
        size = self.pattern[self.frames % len(self.pattern)]
        self.frames += 1
        self.ts["video"] += 90000 // self.fps
        for i in range(size):
            self.cap.after(i * 0.0012, lambda last=i == size - 1: self.packet("video", last), self)
        self.cap.after(1 / self.fps + self._jitter(), self._video, self)

    def packet(self, kind, marker=False):
        """One RTP packet on the path in use, and its copy on `also`."""
        index = self.count[kind]
        if kind == "audio":
            self.ts["audio"] += 480
            low, spread = self.audio_payload
            size = low + self.cap.rng.getrandbits(8) % spread
            payload_type = rtp.SECONDARY_AUDIO if index % 250 < 10 else rtp.AAC_ELD
        else:
            size = 30 + self.cap.rng.getrandbits(8) % 30
            payload_type = rtp.H264
        self.seq[kind] = (self.seq[kind] + 1) & 0xFFFF
        self.count[kind] += 1
        self.octets[kind] += size
        wire = rtp.rtp(payload_type, self.seq[kind], self.ts[kind], getattr(self.device, kind),
                       self.cap.random(size), marker, self.extension if kind == "audio" else None)
        number = self.path.send(wire, sender=self.device.name)
        if self.also and self.copied(kind, index):
            self.cap.after(0.0002, lambda: self.also.send(wire, copy_of=number, sender=self.device.name), self)
        return number


class Signalling:
    """A SIP dialog: each method writes one message on the path given.

    template: (offer, answer) of wire/sip.py; coding: of the SDP; style: see sip.Dialog.
    """

    def __init__(self, cap, inviter, invitee, template=(sip.OFFER_2015, sip.ANSWER_2015), coding="zlib",
                 **style):
        self.cap, self.coding = cap, coding
        self.dialog = sip.Dialog(cap.rng, inviter.named, invitee.named, **style)
        self.sdp = {"offer": (template[0], inviter), "answer": (template[1], invitee)}
        self.sequence = {"caller": 1, "callee": 1}
        self.first_bye = None
        self.ske_base = cap.rng.getrandbits(40)

    def body(self, which, **lies):
        """The offer or the answer."""
        template, device = self.sdp[which]
        text = sip.sdp(template, device.named, device.audio, device.video)
        return sip.Body(text, "application/sdp", self.coding, **lies)

    def invite(self, path):
        return path.send(self.dialog.request("INVITE", "caller", 1, self.body("offer")))

    def trying(self, path):
        return path.send(self.dialog.response(100, "INVITE", "callee", 1))

    def ringing(self, path):
        return path.send(self.dialog.response(180, "INVITE", "callee", 1))

    def ok(self, path):
        return path.send(self.dialog.response(200, "INVITE", "callee", 1, self.body("answer")))

    def ack(self, path):
        return path.send(self.dialog.request("ACK", "caller", 1))

    def message(self, path, sender, body, ske_seq=None):
        """A MESSAGE; returns what message_ok() needs to answer it."""
        self.sequence[sender] += 1
        cseq = self.sequence[sender]
        path.send(self.dialog.request("MESSAGE", sender, cseq, body, ske_seq))
        return sip.OTHER[sender], cseq, ske_seq

    def message_ok(self, path, asked):
        answerer, cseq, ske_seq = asked
        return path.send(self.dialog.response(200, "MESSAGE", answerer, cseq, ske_seq=ske_seq))

    def message_at(self, at, sender, path, reply_path, body, ske_seq=None):
        """Queue a MESSAGE and its 200, 45 ms later."""
        asked = []
        self.cap.at(at, lambda: asked.append(self.message(path, sender, body, ske_seq)))
        self.cap.at(at + 0.045, lambda: self.message_ok(reply_path, asked[0]))

    def key_message(self, at, sender, path, reply_path, fragment):
        """Queue one SKE MESSAGE (a fragment of a blob that looks like DER) and its 200."""
        blob = b"\x30\x82\x01\x18" + self.cap.random(280) if fragment == 0 else self.cap.random(180)
        self.message_at(at, sender, path, reply_path, sip.Body(blob, "application/ske"),
                        (self.ske_base, fragment))

    def bye(self, path, sender="caller", reason='*;cause=0;text="Normal Call Termination"'):
        """Called again, the same BYE again."""
        if self.first_bye:
            number, wire, _ = self.first_bye
            return path.send(wire, retransmission_of=number)
        self.sequence[sender] += 1
        wire = self.dialog.request("BYE", sender, self.sequence[sender], reason=reason)
        number = path.send(wire)
        self.first_bye = (number, wire, sender)
        return number

    def bye_ok(self, path):
        sender = self.first_bye[2]
        return path.send(self.dialog.response(200, "BYE", sip.OTHER[sender], self.sequence[sender]))


class NatTest:
    """The traffic with Apple's servers before a call: CommNAT on 16403 and SNATMAP on 16402."""

    def __init__(self, cap, device_ip, public_ip, call):
        self.cap, self.ip, self.public_ip, self.call = cap, device_ip, public_ip, call
        self.base = cap.rng.getrandbits(20) << 12

    def _both(self, start, rtt, near, far, request, response):
        """Queue a request and its answer."""
        sent = {}

        def ask():
            sent["number"] = self.cap.udp(near, far, request, precedes=self.call)

        def answer():
            self.cap.udp(far, near, response, precedes=self.call, response_to=sent["number"])
        self.cap.at(start, ask)
        self.cap.at(start + rtt, answer)

    def snatmap(self, start):
        near, mapped = (self.ip, PORT), (self.public_ip, PORT)
        nonce = self.cap.rng.getrandbits(31)
        self._both(start, 0.052, near, (COMMNAT_MAIN, 16384),
                   snatmap.snatmap(snatmap.REQUEST, nonce, near),
                   snatmap.snatmap(snatmap.RESPONSE, nonce, mapped))

    def commnat(self, start, flags=0x0D0):
        """Queue the three tests, the hairpin probe (never answered here) and the report: 9 packets."""
        near, mapped = (self.ip, TEST_PORT), (self.public_ip, TEST_PORT)
        for i, (mask, server) in enumerate(TEST_SERVERS.items()):
            token = self.base ^ mask
            self._both(start + 0.001 * i, 0.048 + 0.004 * i, near, server,
                       snatmap.commnat_test(snatmap.REQUEST, token),
                       snatmap.commnat_test(snatmap.RESPONSE, token, mapped))
        hairpin = snatmap.commnat_test(snatmap.REQUEST, self.base ^ snatmap.HAIRPIN)
        self.cap.at(start + 0.06, lambda: self.cap.udp(near, mapped, hairpin, precedes=self.call))
        token = self.cap.rng.getrandbits(32)
        self._both(start + 1.06, 0.05, near, TEST_SERVERS[snatmap.MAIN0],
                   snatmap.commnat_report(snatmap.REQUEST, token, flags),
                   snatmap.commnat_report(snatmap.RESPONSE, token, flags))
