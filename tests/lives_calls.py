# SPDX-License-Identifier: GPL-2.0-or-later
"""Lives, not packets: calls that happen to devices, as a capture would show them.

A `Life` comes from a seed: a place where the capture is taken, devices there, people they talk to, and one to six calls
that follow or overlap each other. Every packet is written with what is true of it (`Packet`): whose call it is, and which
of its bytes prove that. What a reader of the capture can know of that is judged in lives_truth.py.

Timing and order are those of the fact sheets: checks before the INVITE, sound every 20 ms, a repeat after half a second.
Identifiers (candidates, tie-breakers, SSRCs, MKIs, tokens, tags) are random for each call.
"""

import copy
import functools
import random
import socket
import struct

import support      # noqa: F401  (makes `wire` importable)
from wire import modern, packets, rtp, sip, snatmap, stun
from wire.stun import Attribute, Candidate

START = support.START_TIME
LEGACY_PORT, MODERN_PORT, TEST_PORT = 16402, 16393, 16403
LEGACY_RELAYS = [("17.155.5.10", 3489), ("17.155.5.11", 3489), ("17.155.5.12", 3478)]
MODERN_RELAYS = [("17.167.200.5", 3482), ("17.167.200.6", 3489), ("17.167.201.7", 3495), ("17.167.202.8", 3481)]
COMMNAT = [("17.173.255.222", 16384), ("17.173.255.222", 16385), ("17.173.255.223", 16386)]
SNATMAP = ("17.188.181.8", 3480)
ROCE = 4791
DAY = 86400.0
UP, DOWN = True, False


class Packet:
    """One frame. time: seconds since the capture's start; stamp: what the file says. keys: identifiers in its bytes that
    no other call has. leg: VLAN, both ends, channel. The rest is there where it applies: see where it is written."""

    kind = way = up = channel = link = device = generation = None
    turn = txid = binds = check = answers = quic = None             # of STUN: (transaction id, stamp)
    ssrc = seq = sender = copy = reports = None                     # of media; reports: the SSRC of RTCP
    bye = bye_ok = free = quoted = code = socket_closed = None      # free: of no call; quoted: in an ICMP error
    twin = None             # the same frame, seen before

    def __init__(self, time, vlan, src, dst, payload, call, keys=(), **about):
        self.time = self.stamp = time
        self.vlan, self.src, self.dst, self.payload, self.call, self.keys = vlan, src, dst, payload, call, keys
        self.__dict__.update(about)
        self.leg = vlan, frozenset((src, dst)), self.channel


def again(packet, late):
    """The same frame, so many seconds later."""
    twin = copy.copy(packet)
    twin.twin, twin.time, twin.stamp = packet, packet.time + late, packet.stamp + late
    return twin


class Device:
    """One on the capturing side. A capture outside its NAT shows the NAT's address and a mapped port."""

    def __init__(self, life, ip, vlan, public):
        self.life, self.ip, self.vlan, self.public_ip, self.ports = life, ip, vlan, public, {}

    def public(self, port):
        """Where the world sees this port: kept for the first device behind a NAT, mapped for the next."""
        if port not in self.ports:
            taken = {p for d in self.life.devices if d.public_ip == self.public_ip for p in d.ports.values()}
            self.ports[port] = port if port not in taken else self.life.rng.randrange(1024, 16000)
            self.ports[port] += self.ports[port] == ROCE    # stock takes that for its own
        return self.public_ip, self.ports[port]

    def seen(self, port):
        """Where the capture sees it."""
        return self.public(port) if self.life.place == "wan" else (self.ip, port)


class Person:
    """A far end: where the world sees it, and the address it has at home."""

    def __init__(self, life, public, home):
        self.ip, self.home = public, home
        self.ports = {port: port if life.rng.random() < 0.6 else life.rng.randrange(20000, 60000)
                      for port in (LEGACY_PORT, MODERN_PORT)}

    def public(self, port):
        return self.ip, self.ports[port]


class Way:
    """A road between the device and somebody: direct, or a relay's channel. delay: of what comes down, seconds."""

    def __init__(self, name, near, far, channel=None, delay=0.0):
        self.name, self.near, self.far, self.channel, self.delay = name, near, far, channel, delay


class Call:
    """What both generations have: a device, a person, a number, and the writing of packets."""

    def __init__(self, life, number, device, person, begin, **given):
        self.life, self.rng, self.number = life, life.rng, number
        self.device, self.person, self.begin, self.end = device, person, begin, begin
        self.given, self.story, self.broke_off = given, [], None
        self.media_from = begin

    def chance(self, share):
        return self.rng.random() < share

    def put(self, when, way, up, wire, keys=(), **about):
        payload = stun.channel_data(way.channel, wire) if way.channel and self.generation == "legacy" else wire
        src, dst = (way.near, way.far) if up else (way.far, way.near)
        kind = wire.truth.get("kind")
        packet = Packet(when, self.device.vlan, src, dst, payload, self.number, up=up, kind=kind, way=way.name,
                        channel=way.channel if self.generation == "legacy" else None, keys=keys,
                        device=(self.device.vlan, way.near[0]), generation=self.generation, **about)
        self.life.packets.append(packet)
        self.end = max(self.end, when)
        return packet

    def unreachable(self, when, quoted, by, code):
        """ICMP about `quoted`, to its sender. by: "device" (its own socket is closed), or an address."""
        own = by == "device"
        src = quoted.dst[0] if own else by
        packet = Packet(when, self.device.vlan, (src, 0), (quoted.src[0], 0), b"", self.number, quoted=quoted, code=code,
                        kind="icmp", socket_closed=own, device=quoted.device, generation=self.generation)
        self.life.packets.append(packet)
        return packet

    def ticks(self, start, end, step):
        when = start
        while when < end:
            yield when + self.rng.uniform(-0.002, 0.002)
            when += step


class Sender:
    """Who sends media in a call: its SSRCs count on from packet to packet."""

    def __init__(self, rng, up):
        self.up = up
        self.ssrc = {"audio": rng.getrandbits(32), "video": rng.getrandbits(32)}
        self.seq = {"audio": rng.getrandbits(15), "video": rng.getrandbits(15)}
        self.ts = rng.getrandbits(30)
        self.mki, self.participant = modern.new_mki(rng), rng.randbytes(8)
        self.controls, self.frames, self.count = 0, 0, 0

    def next(self, kind):
        self.seq[kind] = self.seq[kind] + 1 & 0xFFFF
        self.count += 1
        return self.seq[kind]


# --- a call of 2010 to 2016 -----------------------------------------------------------------------

class Legacy(Call):
    """Allocation, bind, checks in the channel and directly, SIP, media relayed and then direct, BYE, release."""

    generation = "legacy"
    port = LEGACY_PORT
    COURSES = {"answered": 10, "challenged": 2, "declined": 2, "busy": 1, "cancelled": 2, "unanswered": 1, "set-up": 1}

    def __init__(self, *args, **given):
        super().__init__(*args, **given)
        rng = self.rng
        courses = {**self.COURSES, **({"rings": 3} if self.life.restless else {})}
        self.course = given.get("course") or rng.choices(list(courses), courses.values())[0]
        self.relayed = given.get("relayed", rng.random() < 0.75)
        self.directly = not self.relayed or rng.random() < 0.75
        self.controlling = rng.random() < 0.5
        self.ties = {UP: rng.getrandbits(31), DOWN: rng.getrandbits(31)}
        self.version = rng.choice([109, 109, 109, 1010, None])
        self.first_form = self.version == 109 and rng.random() < 0.15
        self.senders = {UP: Sender(rng, UP), DOWN: Sender(rng, DOWN)}
        self.video = rng.random() < 0.4
        near, far = self.device.seen(self.port), self.person.public(self.port)
        self.direct = Way("direct", near, far, delay=0.0)
        words = [rng.getrandbits(31) for _ in range(6)]
        call_id = rng.getrandbits(31)
        self.mine = {"host": Candidate(stun.HOST, (self.device.ip, self.port), words[0], call_id),
                     "public": Candidate(stun.SERVER_REFLEXIVE, self.device.public(self.port), words[1], call_id),
                     "relay": Candidate(stun.RELAYED, (f"17.155.5.{rng.randrange(60, 250)}", rng.randrange(20000, 60000)),
                                        words[2], call_id)}
        self.theirs = {"host": Candidate(stun.HOST, (self.person.home, self.port), words[3], call_id),
                       "public": Candidate(stun.SERVER_REFLEXIVE, far, words[4], call_id),
                       "relay": Candidate(stun.RELAYED, (f"17.155.6.{rng.randrange(60, 250)}", 3489), words[5], call_id)}
        if self.relayed:
            self.server = given.get("relay") or rng.choice(LEGACY_RELAYS)
            self.control = Way("server", near, self.server)
            self.through = Way("relay", near, self.server, given.get("channel", 0x4002), 0.045)
            self.token, self.ticket = rng.randbytes(8), rng.randbytes(20)

    # --- relay ---

    def allocate(self, when):
        rng, txid = self.rng, stun.legacy_txid(stun.ALLOCATE, self.rng)
        wire = stun.allocate_request(txid, self.token, self.mine["relay"].addr, self.ticket)
        keys = [("token", self.token), ("relayed", self.mine["relay"].addr)]
        self.put(when, self.control, UP, wire, keys, turn="allocate", txid=txid)
        if self.chance(0.15):
            self.put(when + 0.5, self.control, UP, wire, keys, turn="allocate", txid=txid)
            when += 0.5
        self.ticket = rng.randbytes(20)
        self.put(when + 0.04, self.control, DOWN, stun.allocate_success(txid, self.mine["public"].addr, self.ticket),
                 [("txid", txid)], turn="allocated", txid=txid)
        return when + 0.05

    def bind(self, when):
        txid = stun.legacy_txid(stun.CHANNEL_BIND, self.rng)
        wire = stun.channel_bind_request(txid, self.through.channel, self.theirs["public"].addr, self.ticket)
        self.put(when, self.control, UP, wire, [], turn="bind", txid=txid, binds=self.through.channel)
        if self.chance(0.15):
            self.put(when + 0.5, self.control, UP, wire, [], turn="bind", txid=txid, binds=self.through.channel)
            when += 0.5
        self.put(when + 0.04, self.control, DOWN, stun.channel_bind_success(txid), [("txid", txid)], turn="bound",
                 txid=txid)
        return when + 0.05

    def release(self, when, answered=True):
        txid = stun.legacy_txid(stun.REFRESH, self.rng)
        wire = stun.refresh_request(txid, 0)
        self.put(when, self.control, UP, wire, [], turn="release", txid=txid)
        if self.chance(0.2):
            self.put(when + 0.5, self.control, UP, wire, [], turn="release", txid=txid)
            when += 0.5
        if answered:
            self.put(when + 0.04, self.control, DOWN, stun.refresh_success(txid, 0), [("txid", txid)],
                     turn="released", txid=txid)
        return when + 0.05

    # --- checks ---

    def check(self, when, way, up, frm, to, nominate=0, txid=None):
        """Returns what answer() needs."""
        txid = txid or stun.legacy_txid(stun.BINDING, self.rng)
        stamp = rtp.ntp_short(round((START + when) * 1e6))
        controlling = self.controlling == up
        wire = stun.binding_request(txid, to, frm, controlling, self.ties[up], stamp, nominate,
                                    first_form=self.first_form, version=self.version)
        keys = [("tie", self.ties[up]), ("candidate", frm.id), ("candidate", to.id)]
        request = self.put(when, way, up, wire, keys, check=(txid, stamp if self.version else None))
        return request, way, up, frm, to, txid, stamp

    def answer(self, when, asked):
        request, way, up, frm, to, txid, stamp = asked
        wire = stun.binding_response(txid, frm, to, request.src, stamp, 130, version=self.version)
        self.put(when, way, not up, wire, [("candidate", frm.id), ("candidate", to.id)],
                 answers=(txid, stamp if self.version else None))

    def exchange(self, when, way, frm, to, tries=0, nominate=False):
        """Checks both ways, `tries` in vain first; crossing each other as they do. Returns the time after."""
        vain = []
        for _ in range(tries):
            up = self.chance(0.7)
            again = vain and vain[-1][2] == up and self.chance(0.3)
            vain.append(self.check(when, way, up, *((frm, to) if up else (to, frm)),
                                   txid=vain[-1][5] if again else None))
            when += self.rng.uniform(0.25, 0.6)
        mine, theirs = self.check(when, way, UP, frm, to), self.check(when + 0.01, way, DOWN, to, frm)
        self.answer(when + 0.014, theirs)
        self.answer(when + 0.03 + way.delay, mine)
        when += 0.1
        if nominate:
            up = self.controlling
            ends = (frm, to) if up else (to, frm)
            txid = (mine if up else theirs)[5]
            self.answer(when + 0.04 + way.delay, self.check(when, way, up, *ends, nominate=1, txid=txid))
            when += 0.1
        return when

    def private_checks(self, when):
        """To the other end's address at home, which leads nowhere; the gateway may say so."""
        if self.life.place == "wan":
            return
        way = Way("direct", self.direct.near, self.theirs["host"].addr)
        for i in range(self.rng.randrange(1, 4)):
            asked = self.check(when + 0.5 * i, way, UP, self.mine["host"], self.theirs["host"])
            if self.chance(0.2):
                self.unreachable(when + 0.5 * i + 0.003, asked[0], self.life.gateway, 1)

    # --- SIP ---

    def say(self, when, way, up, wire, *keys, **about):
        return self.put(when, way, up, wire, [("call-id", self.dialog.call_id), *keys], **about)

    def body(self, caller, template):
        sender = self.senders[caller]
        addr = (self.mine if caller else self.theirs)["public"].addr
        text = sip.sdp(template, addr, sender.ssrc["audio"], sender.ssrc["video"])
        return (sip.Body(text, "application/sdp", self.rng.choice(["zlib", "zlib", "none"])),
                [("ssrc", sender.ssrc["audio"]), ("ssrc", sender.ssrc["video"])])

    def invite(self, when, way):
        """From the INVITE on to what became of it. Returns (time, whether it was answered)."""
        self.inviting = self.given.get("inviting", self.rng.random() < 0.5)
        ends = [self.mine["public"].addr, self.theirs["public"].addr]
        self.dialog = sip.Dialog(self.rng, *(ends if self.inviting else reversed(ends)))
        up, d, cseq = self.inviting, self.dialog, 1
        offer, keys = self.body(up, sip.OFFER_2015)
        first = d.request("INVITE", "caller", 1, offer)
        self.say(when, way, up, first, *keys)
        if self.chance(0.15):
            self.say(when + 0.5, way, up, first, *keys)
            when += 0.5
        if self.course == "unanswered":
            return when + 1.0, False
        if self.course == "rings":
            return self.ring(when, way, cseq), False
        if self.course == "challenged":
            self.say(when + 0.06, way, not up, d.response(407, "INVITE", "callee", 1))
            self.say(when + 0.07, way, up, d.request("ACK", "caller", 1))
            when, cseq = when + self.rng.uniform(0.1, 1.2), 2
            self.say(when, way, up, d.request("INVITE", "caller", 2, offer), *keys)
        self.say(when + 0.05, way, not up, d.response(100, "INVITE", "callee", cseq))
        self.say(when + 0.09, way, not up, d.response(180, "INVITE", "callee", cseq))
        when += self.rng.uniform(0.8, 2.5)
        self.cseq = cseq
        if self.course == "cancelled":
            return self.cancel(when, way, up), False
        if self.course in ("declined", "busy"):
            status = 603 if self.course == "declined" else 486
            self.say(when, way, not up, d.response(status, "INVITE", "callee", cseq))
            self.say(when + 0.05, way, up, d.request("ACK", "caller", cseq))
            return when + 0.1, False
        answer, keys = self.body(not up, sip.ANSWER_2015)
        self.say(when, way, not up, d.response(200, "INVITE", "callee", cseq, answer), *keys)
        self.say(when + 0.05, way, up, d.request("ACK", "caller", cseq))
        return when + 0.1, True

    def ring(self, when, way, cseq):
        """Nobody answers, nobody cancels: it rings, and the caller goes on elsewhere."""
        self.say(when + 0.05, way, not self.inviting, self.dialog.response(100, "INVITE", "callee", cseq))
        for _ in range(self.rng.randrange(1, 5)):
            when += self.rng.uniform(0.1, 3)
            self.say(when, way, not self.inviting, self.dialog.response(180, "INVITE", "callee", cseq))
        return when + 0.5

    def cancel(self, when, way, up):
        d = self.dialog
        self.say(when, way, up, d.request("CANCEL", "caller", self.cseq))
        self.say(when + 0.05, way, not up, d.response(200, "CANCEL", "callee", self.cseq))
        self.say(when + 0.06, way, not up, d.response(487, "INVITE", "callee", self.cseq))
        self.say(when + 0.1, way, up, d.request("ACK", "caller", self.cseq))
        return when + 0.15

    def reinvite(self, when, way):
        d, up, cseq = self.dialog, self.inviting, self.cseq + 3
        offer, keys = self.body(up, sip.OFFER_2015)
        self.say(when, way, up, d.request("INVITE", "caller", cseq, offer, again=True), *keys)
        if self.chance(0.5):
            self.say(when + 0.06, way, not up, d.response(488, "INVITE", "callee", cseq))
        else:
            answer, keys = self.body(not up, sip.ANSWER_2015)
            self.say(when + 0.06, way, not up, d.response(200, "INVITE", "callee", cseq, answer), *keys)
        self.say(when + 0.1, way, up, d.request("ACK", "caller", cseq))

    def bye(self, when, way):
        """answered, unanswered (repeated), or lost: no trace of it. Returns the time after."""
        how = self.rng.choices(["answered", "unanswered", "lost"], [6, 2, 1.5])[0]
        self.story.append(f"BYE {how}")
        if how == "lost":
            return when
        who = self.rng.choice(["caller", "callee"])
        up, cseq = (who == "caller") == self.inviting, self.cseq + 9
        wire = self.dialog.request("BYE", who, cseq, reason='*;cause=0;text="Remote Hang Up"')
        if how == "unanswered":
            for pause in (0, 0.5, 1.5, 3.5):
                self.say(when + pause, way, up, wire, bye=True)
            self.broke_off = when + 3.5
            return when + 4.0
        if self.chance(0.25):
            self.say(when, way, up, wire, bye=True)
            when += 0.5
        self.say(when, way, up, wire, bye=True)
        self.say(when + 0.06, way, not up, self.dialog.response(200, "BYE", sip.OTHER[who], cseq), bye_ok=True)
        return when + 0.1

    # --- media ---

    def rtp(self, sender, kind):
        """The next packet: sound of 24 kHz, pictures of 90 kHz."""
        sender.next(kind)
        sender.ts += 480 if kind == "audio" else 0
        number, stamp = (rtp.AAC_ELD, sender.ts) if kind == "audio" else (rtp.H264, sender.ts * 15 // 4)
        return rtp.rtp(number, sender.seq[kind], stamp, sender.ssrc[kind],
                       self.rng.randbytes(self.rng.randrange(22, 60)), marker=kind == "video")

    def media(self, start, end, ways, quiet=()):
        """Sound (and pictures) both ways. ways: [(from when, Way)], the last one that began is used; each with the
        seconds for which copies go on over the way before. quiet: [(sender's side, from, to)]."""
        for up, sender in self.senders.items():
            for when in self.ticks(start, end, 0.02):
                if any(side == up and a <= when < b for side, a, b in quiet):
                    continue
                at = max(i for i, (since, *_) in enumerate(ways) if since <= max(when, ways[0][0]))
                self.speak(when, sender, "audio", ways, at)
                if self.video and sender.count % 2:
                    self.speak(when + 0.001, sender, "video", ways, at)
            for when in self.ticks(start + 0.4, end, 4.9):
                if not any(side == up and a - 0.1 <= when < b for side, a, b in quiet):
                    way = [w for since, w, *_ in ways if since <= max(when, ways[0][0])][-1]
                    self.report(when, sender, way)

    def speak(self, when, sender, kind, ways, at):
        since, way, copied = ways[at]
        wire = self.rtp(sender, kind)
        about = {"ssrc": sender.ssrc[kind], "seq": sender.seq[kind], "sender": (self.number, sender.up)}
        first = self.put(when + (0 if sender.up else way.delay), way, sender.up, wire, **about)
        if at and when < since + copied:
            before = ways[at - 1][1]
            self.put(when + 0.0004 + (0 if sender.up else before.delay), before, sender.up, wire, copy=first, **about)

    def report(self, when, sender, way):
        ssrc = sender.ssrc["audio"]
        wire = rtp.rtcp(rtp.sender_report(ssrc, round((START + when) * 1e6), sender.ts, sender.count, sender.count * 40),
                        rtp.source_description(ssrc, f"user@{ssrc:08x}"))
        self.put(when + (0 if sender.up else way.delay), way, sender.up, wire, reports=ssrc)

    # --- the whole of it ---

    def live(self):
        when = self.begin
        if self.chance(0.2):
            self.nat_test(when)
            when += 0.5
        if self.relayed:
            when = self.set_up_relay(when)
        if self.directly:
            self.private_checks(when + 0.05)
        way = self.through if self.relayed else self.direct
        if not self.relayed:
            when = self.exchange(when + 0.1, self.direct, self.mine["public"], self.theirs["public"],
                                 self.rng.choice([0, 0, 1, 2, 3]), nominate=True)
        if self.course == "set-up":
            return self.leave(when + 0.3)
        when, answered = self.invite(when + 0.1, way)
        if not answered:
            return self.leave(when + 0.2)
        self.talk(when, way)

    def nat_test(self, when):
        near = self.device.seen(LEGACY_PORT)
        nonce = self.rng.getrandbits(31)
        way = Way("server", near, COMMNAT[0])
        own, public = (self.device.ip, LEGACY_PORT), self.device.public(LEGACY_PORT)
        self.put(when, way, UP, snatmap.snatmap(snatmap.REQUEST, nonce, own), free=True)
        self.put(when + 0.04, way, DOWN, snatmap.snatmap(snatmap.RESPONSE, nonce, public), free=True)
        base = self.rng.getrandbits(20) << 12
        for server, mask in zip(COMMNAT, (snatmap.MAIN0, snatmap.MAIN1, snatmap.COHORT)):
            way = Way("server", self.device.seen(TEST_PORT), server)
            self.put(when + 0.1, way, UP, snatmap.commnat_test(snatmap.REQUEST, base ^ mask), free=True)
            self.put(when + 0.15, way, DOWN, snatmap.commnat_test(snatmap.RESPONSE, base ^ mask,
                                                                  self.device.public(TEST_PORT)), free=True)

    def set_up_relay(self, when):
        when = self.allocate(when)
        when = self.bind(when + 0.05)
        return self.exchange(when, self.through, self.mine["relay"], self.theirs["public"],
                             self.rng.choice([0, 0, 0, 1]), nominate=True)

    def talk(self, when, way):
        rng = self.rng
        self.media_from, length = when, rng.uniform(2.0, 5.0)
        ways = [(when, way, 0)]
        quiet = []
        if self.relayed and self.directly:
            switch = self.exchange(when + rng.uniform(0.2, 0.8), self.direct, self.mine["public"], self.theirs["public"],
                                   rng.choice([0, 0, 1, 2, 3]), nominate=True)
            ways.append((switch, self.direct, rng.choice([0, 0, 0.3])))
            length = max(length, switch - when + 1.0)
            self.story.append("relay, then direct")
            if self.chance(0.4):
                self.release(switch + rng.uniform(0.4, 0.8))
                self.story.append("released in mid-call")
                self.gone = True
        if self.chance(0.2):
            since = when + rng.uniform(0.3, 0.8)
            quiet.append((self.chance(0.5), since, since + rng.uniform(2.5, 4.5)))
            length = max(length, quiet[0][2] - when + 0.5)
            self.story.append("a silence")
        if self.life.restless and self.chance(0.3):
            length = self.hold(when, length, quiet)
        end = when + length
        self.media(when, end, ways, quiet)
        last = ways[-1][1]
        if self.chance(0.15):
            self.reinvite(when + length * 0.6, last)
        self.leave(self.bye(end + 0.05, last))

    def hold(self, when, length, quiet):
        """For a second call: neither side sends for some seconds."""
        since = when + length
        until = since + self.rng.uniform(1, 6)
        quiet += [(up, since, until) for up in (UP, DOWN)]
        self.story.append("on hold")
        return until + 1.5 - when

    def leave(self, when):
        self.end = max(self.end, when)
        if not self.relayed or self.given.get("gone") or getattr(self, "gone", False) or self.chance(0.15):
            return
        answered = self.chance(0.9)
        sent = [self.rng.uniform(-0.02, 0.03) for _ in range(2)]
        if self.senders[DOWN].count and self.through and self.chance(0.4):      # the peer's last words cross the release
            for at in sent:
                self.speak(when + at - 0.045, self.senders[DOWN], "audio", [(0, self.through, 0)], 0)
        self.end = max(self.end, self.release(when, answered))
        if self.senders[UP].count and answered and self.chance(0.15):
            self.story.append("sends on a released channel")
            for i in range(3):
                self.speak(self.end + 0.1 + 0.02 * i, self.senders[UP], "audio", [(0, self.through, 0)], 0)


# --- a call of 2019 on -------------------------------------------------------------------------------

class Modern(Call):
    """A relay over QUIC, media in channel 0x6000 with the relay's header, direct later, and at the end a closed socket."""

    generation = "modern"
    port = MODERN_PORT
    course = "modern"

    def __init__(self, *args, **given):
        super().__init__(*args, **given)
        rng = self.rng
        self.server = given.get("relay") or rng.choice(MODERN_RELAYS)
        near, far = self.device.seen(self.port), self.person.public(self.port)
        self.relay = Way("relay", near, self.server, delay=0.04)
        self.direct = Way("direct", near, far, delay=0.0)
        self.senders = {UP: Sender(rng, UP), DOWN: Sender(rng, DOWN)}
        self.links = {UP: rng.randrange(0x5000, 0x6000), DOWN: rng.randrange(0x5000, 0x6000)}
        self.directly, self.video = rng.random() < 0.6, rng.random() < 0.5
        self.step = rng.choice([0.02, 0.02, 0.06])
        self.uuids = {UP: modern.new_mki(rng), DOWN: modern.new_mki(rng)}
        self.counter = 0

    def sent(self, when, up, body, **header):
        """Through the relay; what comes down names who sent it."""
        keys = list(header.pop("keys", ()))
        about = {name: header.pop(name) for name in ("ssrc", "seq", "sender") if name in header}
        if not up and body:
            header.setdefault("participant", self.senders[DOWN].participant)
        if "participant" in header:
            keys.append(("participant", header["participant"]))
        about["link"] = header.get("link")
        return self.put(when + (0 if up else self.relay.delay), self.relay, up, modern.relay(body, **header), keys, **about)

    def handshake(self, when):
        near_cid = b"\x55\x80" + self.rng.randbytes(6)
        server = Way("server", self.relay.near, self.relay.far)
        self.put(when, server, UP, modern.quic_initial(self.rng.randbytes(8), self.rng.randbytes), quic="initial")
        self.put(when + 0.1, server, UP, modern.quic_short(near_cid, self.rng.randbytes(60)), quic="short")
        self.put(when + 0.14, server, DOWN, modern.quic_short(b"", self.rng.randbytes(60)), quic="short")
        return when + 0.2

    def count(self):
        self.counter += 1
        return self.counter

    def control(self, when, up, straight=False):
        sender = self.senders[up]
        sender.controls += 1
        body = modern.control(sender.mki, sender.controls & 0xFF, self.rng.randbytes(40))
        keys = [("mki", sender.mki[:8])]
        if straight:
            return self.put(when, self.direct, up, body, keys)
        return self.sent(when, up, body, attr=modern.ATTR_STATE, stream=2, state=0, keys=keys)

    def link_message(self, when, up):
        """One and its acknowledgement."""
        tlvs = [modern.interfaces([(self.links[up], modern.WIFI, 1446, 0, 1)]), modern.counter(self.count())]
        for way, command, values in ((up, modern.INTERFACE_INFO, tlvs),
                                     (not up, modern.INTERFACE_INFO | modern.ACK, tlvs[1:])):
            attr = modern.ATTR_LINK_MESSAGE | (0 if way else modern.ATTR_10)
            self.sent(when, way, modern.link_message(command, values, self.rng.randbytes(20)), attr=attr)
            when += 0.07

    def check(self, when, up, way=None, txid=None):
        txid = txid or self.rng.randbytes(12)
        wire = stun.message(stun.BINDING, stun.REQUEST, txid, [
            stun.link_id(self.uuids[up]), stun.radio(modern.WIFI),
            Attribute(stun.MESSAGE_INTEGRITY, self.rng.randbytes(20))], "modern")
        self.put(when, way or self.direct, up, wire, check=(txid, None))
        return txid

    def answer(self, when, up, txid):
        mapped = self.device.public(self.port) if not up else self.direct.far
        wire = stun.message(stun.BINDING, stun.SUCCESS, txid, [
            stun.address(stun.XOR_MAPPED_ADDRESS, mapped, txid), stun.link_id(self.uuids[up]),
            Attribute(stun.MESSAGE_INTEGRITY, self.rng.randbytes(20))], "modern")
        self.put(when, self.direct, up, wire, [("txid", txid)], answers=(txid, None))

    def punch(self, when):
        """Checks to the peer's home in vain, then of the direct pair, some in vain too. Returns the time after."""
        if self.life.place != "wan":
            home = Way("direct", self.direct.near, (self.person.home, self.port))
            txid = self.check(when, UP, home)
            self.check(when + 0.3, UP, home, txid)
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            self.check(when, self.chance(0.7))
            when += self.rng.uniform(0.25, 0.6)
        mine, theirs = self.check(when, UP), self.check(when + 0.01, DOWN)
        self.answer(when + 0.012, UP, theirs)
        self.answer(when + 0.04, DOWN, mine)
        return when + 0.1

    def voice(self, when, up, straight, multiway, link):
        s = self.senders[up]
        s.next("audio")
        s.ts += round(self.step * 24000)
        extension = None if multiway else modern.audio_extension(send_timestamp=round(when * 1024) & 0xFFFF)
        wire = modern.rtp(modern.EVS if self.step == 0.06 else modern.AAC_ELD, s.seq["audio"], s.ts, s.ssrc["audio"],
                          self.rng.randbytes(30), s.mki, extension=extension)
        self.medium(when, up, straight, multiway, link, wire, "audio")

    def picture(self, when, up, straight, multiway, link):
        s = self.senders[up]
        s.frames += 1
        for i in range(2):
            s.next("video")
            parts = modern.video_extension(frame=None if multiway else (2, s.frames & 0xFFFF), version=1 if multiway else 2)
            wire = modern.rtp(modern.HEVC, s.seq["video"], s.ts, s.ssrc["video"], self.rng.randbytes(50), s.mki,
                              marker=i == 1, extension=parts)
            self.medium(when + 0.0005 * i, up, straight, multiway, link, wire, "video")

    def medium(self, when, up, straight, multiway, link, wire, kind):
        s = self.senders[up]
        about = {"ssrc": s.ssrc[kind], "seq": s.seq[kind], "sender": (self.number, up), "keys": [("mki", s.mki[:8])]}
        if straight:
            self.put(when, self.direct, up, wire, **about)
        elif multiway:
            self.sent(when, up, wire, stream=s.ssrc[kind] & 0xFFFF, priority=1, count=True, opt_out=True, **about)
        else:
            self.sent(when, up, wire, link=link, priority=1, count=True, opt_out=True, **about)

    def live(self):
        rng = self.rng
        when = self.handshake(self.begin)
        self.sent(when, UP, b"", stream=self.senders[UP].ssrc["audio"] & 0xFFFF, counter=self.count(), count=True)
        self.sent(when + 0.05, DOWN, b"", stats=(1, rng.randrange(65536), 9, 4, 0, 0))
        self.media_from = when = when + 0.1
        self.control(when, UP), self.control(when + 0.05, DOWN)
        self.link_message(when + 0.2, UP), self.link_message(when + 0.4, DOWN)
        length = rng.uniform(2.5, 5.0)
        one_to_one = when + rng.uniform(0.4, 0.8)
        handover = one_to_one + rng.uniform(0.3, 0.8) if self.chance(0.25) else None
        direct = self.punch(one_to_one + rng.uniform(0.4, 1.0)) if self.directly else None
        quiet = None
        if self.chance(0.2):
            since = one_to_one + 0.3
            quiet = (self.chance(0.5), since, since + rng.uniform(2.5, 4.5))
            length = max(length, quiet[2] - when + 0.5)
            self.story.append("a silence")
        if direct:
            length = max(length, direct - when + 1.0)
            self.story.append("relay, then direct")
        end = when + length
        for up in (UP, DOWN):
            for t in self.ticks(when + 0.1, end, self.step):
                if quiet and quiet[0] == up and quiet[1] <= t < quiet[2]:
                    continue
                link = self.links[DOWN]     # up it names who shall get it, down who sent it
                if handover and t >= handover:
                    link ^= 1       # the peer's other interface
                self.link = link
                how = (direct is not None and t >= direct, t < one_to_one, link)
                self.voice(t, up, *how)
                if self.video and self.senders[up].count % 3 == 0:
                    self.picture(t + 0.002, up, *how)
        if direct:
            self.control(direct + 0.3, UP, True), self.control(direct + 0.35, DOWN, True)
        self.hang_up(end, direct is not None)

    def hang_up(self, end, straight):
        """The device closes its socket; what the peer still sends is answered by ICMP."""
        self.closed = self.chance(0.6)
        if not self.closed:
            self.story.append("end not seen")
            return
        self.story.append("socket closed")
        for i in range(self.rng.randrange(1, 5)):
            t = end + 0.05 + 0.06 * i
            before = len(self.life.packets)
            self.voice(t, DOWN, straight, False, self.link)
            late = self.life.packets[before]
            self.unreachable(late.time + 0.0005, late, "device", 3)
        self.end = max(p.time for p in self.life.packets if p.call == self.number)


# --- lives -------------------------------------------------------------------------------------------

RESTLESS_GAPS = {0.4: 2, 1.2: 2, 2.0: 2, 8.0: 1, 40.0: 1}
GAPS = {2.0: 3, 8.0: 2, 25.0: 2, 40.0: 4, 126.0: 3, 3700.0: 1, DAY + 5: 1.5}
AT_ONCE = 3


class Life:
    """All that is in one capture. faults: what the capture itself does to it."""

    def __init__(self, seed, restless=False):
        self.seed, self.restless = seed, restless
        self.rng = random.Random(f"restless life {seed}" if restless else f"life {seed}")
        rng = self.rng
        self.packets, self.calls, self.faults = [], [], []
        self.place = rng.choices(["phone", "home", "wan", "trunk"], [4, 4, 2, 2])[0]
        self.devices = []
        self.settle()
        for number in range(1, rng.choices(range(1, 7), [2, 4, 4, 3, 2, 2])[0] + 1):
            call = self.next_call(number)
            call.live()
            self.calls.append(call)
        self.keep_sockets()
        self.suffer()

    def settle(self):
        rng = self.rng
        net = rng.choice(["192.168.1", "172.16.42", "10.0.1"])
        self.gateway = f"{net}.1"
        count = {"phone": 1, "home": rng.randrange(1, 4), "wan": rng.randrange(1, 4), "trunk": 2}[self.place]
        for i in range(count):
            trunk = self.place == "trunk"
            own = f"71.15.{163 + i if trunk else 163}.{rng.randrange(2, 250)}"
            public = own if trunk or not i else self.devices[0].public_ip
            self.devices.append(Device(self, f"{net}.{20 if trunk else 20 + i}", 10 + i if trunk else None, public))
        shared = rng.random() < 0.6
        nat = rng.random() < 0.3
        ips = [f"{80 + i}.{rng.randrange(1, 250)}.{rng.randrange(1, 250)}.{rng.randrange(2, 250)}" for i in range(6)]
        self.people = [Person(self, ips[i], "192.168.1.5" if shared else f"192.168.{i}.{rng.randrange(2, 250)}")
                       for i in range(6)]
        if nat:         # two phones behind one NAT, far away
            self.people[1].ip = self.people[0].ip
            self.people[1].ports = {port: rng.randrange(1024, 16000) for port in self.people[1].ports}

    def next_call(self, number):
        rng = self.rng
        kind = rng.choice([Legacy, Modern])
        before = self.calls[-1] if self.calls else None
        device, person, given = rng.choice(self.devices), rng.choice(self.people), {}
        if before and rng.random() < 0.7:
            kind, device = type(before), before.device
            if rng.random() < (0.8 if self.restless else 0.4):
                person = before.person
        begin, how = 1.0, "first"
        if before and before.broke_off and rng.random() < 0.6:
            kind, device, person = type(before), before.device, before.person
            begin, how = before.broke_off + rng.uniform(4.5, 20), "redial after a broken call"
        elif before:
            during = before.media_from + rng.uniform(0.3, 1.5)
            if rng.random() < 0.35 and len(self.busy_people(during)) < AT_ONCE:
                begin, how = during, "during"
            else:
                gaps = RESTLESS_GAPS if self.restless else GAPS
                gap = rng.choices(list(gaps), gaps.values())[0]
                begin, how = max(call.end for call in self.calls) + gap + rng.uniform(0, 0.5), f"{gap:g} s after"
        given.update(self.room_for(kind, device, begin, rng))
        busy = self.busy_people(begin)
        if person in busy:
            person = next(p for p in self.people if p not in busy)
        call = kind(self, number, device, person, begin, **given)
        call.how = how
        return call

    def busy_people(self, begin):
        return [call.person for call in self.calls if call.begin - 1 <= begin <= call.end + 1]

    def room_for(self, kind, device, begin, rng):
        """Relay and channel for a call that begins then: what another live call of the port has is taken."""
        live = [c for c in self.calls if type(c) is kind and c.device is device and c.begin - 1 <= begin <= c.end + 1]
        if kind is Modern:
            taken = [c.server for c in live]
            free = [r for r in MODERN_RELAYS if r not in taken]
            before = [c.server for c in self.calls if type(c) is kind and c.device is device]
            if before and before[-1] in free and rng.random() < 0.5:
                return {"relay": before[-1]}        # the same 5-tuple again
            return {"relay": rng.choice(free)}
        if any(c.device is device and type(c) is kind for c in live) and rng.random() < 0.4:
            return {"relayed": False, "course": "busy", "inviting": False}          # call waiting
        channels = [c.through.channel for c in live if c.relayed]
        before = [c for c in self.calls if type(c) is kind and c.device is device and c.relayed]
        given = {"channel": next(n for n in range(0x4002, 0x4010) if n not in channels)}
        if before and rng.random() < 0.6:
            given["relay"] = before[-1].server      # the same relay 5-tuple
        return given

    def keep_sockets(self):
        """No socket is closed while another call of its port goes on."""
        def shared(p):
            mine = self.calls[p.call - 1]
            return any(c is not mine and type(c) is Modern and c.device is mine.device and c.begin <= p.time <= c.end
                       for c in self.calls)
        self.packets = [p for p in self.packets if not (p.socket_closed and shared(p))]

    # --- what the capture does ---

    def suffer(self):
        rng = self.rng
        self.packets.sort(key=lambda p: p.time)
        if rng.random() < 0.4:
            share = rng.choice([0.003, 0.01, 0.03])
            self.faults.append(f"{share:.1%} lost")
            self.packets = [p for p in self.packets if rng.random() >= share]
        if rng.random() < 0.15:
            first = self.calls[0]
            since = rng.uniform(first.begin, first.end)
            self.faults.append(f"begins at {since:.1f} s")
            self.packets = [p for p in self.packets if p.time >= since]
        if rng.random() < 0.15:
            last = self.calls[-1]
            until = rng.uniform(last.begin, last.end)
            self.faults.append(f"ends at {until:.1f} s")
            self.packets = [p for p in self.packets if p.time <= until]
        if rng.random() < 0.12:
            call = rng.choice(self.calls)
            a = rng.uniform(call.begin, call.end)
            b = a + rng.uniform(0.2, 1.2)
            self.faults.append(f"nothing captured from {a:.1f} to {b:.1f} s")
            self.packets = [p for p in self.packets if not a <= p.time <= b]
        kept = set(map(id, self.packets))
        self.packets = [p for p in self.packets if p.quoted is None or id(p.quoted) in kept or rng.random() < 0.5]
        self.clock(rng)

    def clock(self, rng):
        """One stamp too early, or a clock that steps."""
        for p in self.packets:
            p.stamp = p.time
        if len(self.packets) > 50 and rng.random() < 0.1:
            p = rng.choice(self.packets[10:])
            p.stamp -= 4.0
            self.faults.append("one early stamp")
        if len(self.packets) > 50 and rng.random() < 0.08:
            at = rng.randrange(20, len(self.packets))
            step = rng.choice([-8.0, -1.5, 1.5, 12.0])
            self.step_at = (self.packets[at].time, step)
            for p in self.packets[at:]:
                p.stamp += step
            self.faults.append(f"clock steps by {step:+g} s")

    def frames(self):
        idents, network, made = {}, {}, {}
        for p in self.packets:
            frame = made[id(p)] = made[id(p.twin)] if id(p.twin) in made else frame_of(p, idents, network)
            yield p.stamp, frame


@functools.lru_cache(maxsize=None)
def ip_bytes(ip):
    return socket.inet_aton(ip)


def ip_packet(src, dst, protocol, content, ident):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(content), ident & 0xFFFF, 0x4000, 64, protocol, 0,
                       ip_bytes(src), ip_bytes(dst))
    return head[:10] + struct.pack("!H", packets.checksum(head)) + head[12:] + content


def frame_of(p, idents, network):
    """Ethernet, perhaps a VLAN tag, IPv4; no UDP checksum, as IPv4 allows."""
    host = p.vlan, p.src[0]
    idents[host] = idents.get(host, ip_bytes(p.src[0])[3] * 251) + 1
    if p.quoted is None:
        udp = struct.pack("!HHHH", p.src[1], p.dst[1], 8 + len(p.payload), 0) + p.payload
        ip = ip_packet(p.src[0], p.dst[0], packets.PROTO_UDP, udp, idents[host])
        network[id(p)] = ip
    else:
        quoted = network.get(id(p.quoted)) or frame_of(p.quoted, {}, {})[14 if p.vlan is None else 18:]
        ip = ip_packet(p.src[0], p.dst[0], packets.PROTO_ICMP, packets.icmp(3, p.code, 0, quoted[:548]), idents[host])
    tag = b"" if p.vlan is None else struct.pack("!HH", packets.ETHERTYPE_VLAN, p.vlan)
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + tag + b"\x08\0" + ip


def capture(life):
    """The bytes of a pcap file."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, packets.LINKTYPE_ETHERNET)]
    for stamp, frame in life.frames():
        micros = round((START + stamp) * 1_000_000)
        out.append(struct.pack("<IIII", *divmod(micros, 1_000_000), len(frame), len(frame)) + frame)
    return b"".join(out)
