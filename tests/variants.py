# SPDX-License-Identifier: GPL-2.0-or-later
"""What the variants of test_variants.py are written with: a scene of a few packets, and what is right of each.

    s = Scene("redial", 7)                  its addresses are its own: many scenes fit into one capture
    a = Talk(s, "A", s.near(), s.far(1))    a call: candidates, tie-breakers, a dialog, two senders
    a.invite(0, UP).tell("invite")
    a.answer(1).tell("call_answered")

Each packet is of the call whose letter it has, or of none; `tell` names all events of WATCH that must stand on it,
`may` those that may. The first packet of a letter starts its call. Right values come from the design of calls.
"""

import math
import random
import struct

from support import START_TIME
from wire import modern, packets, rtp, sip, stun
from wire.stun import Attribute

UP, DOWN = True, False
OTHER_REASONS = {401: "Unauthorized", 302: "Moved Temporarily", 480: "Temporarily Unavailable", 481: "No Such Call",
                 491: "Request Pending", 500: "Server Error", 600: "Busy Everywhere"}
for code, reason in OTHER_REASONS.items():
    sip.REASONS.setdefault(code, reason)

WATCH = {"call_started", "call_answered", "call_ended", "call_restarted", "invite", "ringing", "bye_retransmitted",
         "bye_unanswered", "hole_punched", "released_channel_used", "early_channel_data", "relay_released",
         "peer_unreachable", "socket_closed", "media_gap", "path_switch", "handover", "one_way_media",
         "media_on_both_paths", "participant_gone", "relay_idle", "mode_changed"}


class Packet:
    def __init__(self, scene, time, src, dst, payload, call, frame=None, vlan=None):
        self.scene, self.time, self.src, self.dst, self.payload, self.call = scene, time, src, dst, payload, call
        self.made, self.vlan, self.must, self.open, self.link = frame, vlan, set(), set(), ()
        self.twin = None            # the same datagram, seen at another place
        self.skew = 0.0             # of the capture's clock: seconds ahead
        self.dontcare = False       # nothing in the capture tells whose it is
        scene.packets.append(self)

    def tell(self, *names):
        self.must |= set(names)
        return self

    def may(self, *names):
        self.open |= set(names)
        return self

    def to(self, *others):
        """The packet names these as what it answers."""
        self.link = others
        return self

    def network(self):
        six = packets.is_ipv6(self.src[0])
        udp = packets.udp(self.src, self.dst, self.payload)
        if six:
            return packets.ipv6(self.src[0], self.dst[0], packets.PROTO_UDP, udp)
        self.scene.ident += 1
        return packets.ipv4(self.src[0], self.dst[0], packets.PROTO_UDP, udp, self.scene.ident & 0xFFFF)

    def frame(self):
        if self.made is None:
            self.made = packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", self.network(), self.vlan)
        return self.made


WHOLE = 65535


class Scene:
    """listed: {letter: what the list of calls says of it}, checked where it is given. snap: how many bytes of each frame
    the capture kept."""

    def __init__(self, name, net, six=False):
        self.name, self.net, self.six, self.rng = name, net, six, random.Random(name)
        self.octets = f"{20 + net // 200}.{net % 200}"
        self.packets, self.listed, self.ident, self.snap = [], {}, 0, WHOLE

    def near(self, n=2, port=16402):
        return (f"fd00:{self.net:x}::{n}" if self.six else f"10.{self.octets}.{n}"), port

    def far(self, n=1, port=16402):
        return (f"2a02:{self.net:x}:{n}::1" if self.six else f"{80 + n}.{self.octets}.9"), port

    def relay(self, n=0, port=3489):
        return (f"2a01:b740:{self.net:x}::{n + 1}" if self.six else f"17.{100 + n}.{self.net // 200}.{self.net % 200}"), port

    def put(self, time, src, dst, payload, call, **more):
        return Packet(self, time, src, dst, bytes(payload), call, **more)

    def unreachable(self, time, quoted, by, code=3, call="-", keep=548):
        """ICMP about `quoted` to its sender, by a host. Its call, if any, is the quoted packet's."""
        content = quoted.frame()[14 if quoted.vlan is None else 18:][:keep]
        to = quoted.src[0]
        if packets.is_ipv6(to):
            ip = packets.ipv6(by, to, packets.PROTO_ICMPV6, packets.icmpv6(by, to, 1, 4, 0, content))
        else:
            ip = packets.ipv4(by, to, packets.PROTO_ICMP, packets.icmp(3, code, 0, content), 77)
        frame = packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ip, quoted.vlan)
        return Packet(self, time, (by, 0), (to, 0), b"", quoted.call if call == "-" else call, frame=frame)

    def batched(self, seconds):
        """As a phone's capture has it: what came in so many seconds is handed over at once."""
        self.packets.sort(key=lambda p: p.time)
        for i, p in enumerate(self.packets):
            p.time = math.ceil(p.time / seconds) * seconds + i * 1e-5

    def clock(self, at, by, packets=None):
        """From this share of the packets on the clock is off by so many seconds; for so many packets, or for good."""
        self.packets.sort(key=lambda p: p.time)
        first = round(at * (len(self.packets) - 1))
        for p in self.packets[first:][:packets]:
            p.skew += by

    def finish(self):
        """In the order of time; the first of each call starts it."""
        self.packets.sort(key=lambda p: p.time)
        begun = set()
        for p in self.packets:
            if p.call and p.call not in begun:
                begun.add(p.call)
                if "call_started" not in p.open:
                    p.must.add("call_started")
        return self


class Sender:
    def __init__(self, rng):
        self.ssrc, self.seq, self.ts = rng.getrandbits(32) | 1, rng.getrandbits(14), rng.getrandbits(30)
        self.mki, self.participant = modern.new_mki(rng), rng.randbytes(8)
        self.count = 0

    def step(self, seq=1, ticks=480):
        self.seq, self.ts, self.count = self.seq + seq & 0xFFFF, self.ts + ticks & 0xFFFFFFFF, self.count + 1


class Talk:
    """One call of the old generation between a device and a far end."""

    def __init__(self, scene, call, near, far, relay=None, channel=0x4002, vlan=None, dialog=None, who=UP, like=None):
        self.scene, self.call, self.near, self.far, self.relay, self.channel = scene, call, near, far, relay, channel
        self.vlan, rng = vlan, scene.rng
        self.rng = rng
        self.ids = {up: [rng.getrandbits(31) for _ in range(3)] for up in (UP, DOWN)}
        self.ties = {up: rng.getrandbits(31) for up in (UP, DOWN)}
        self.controlling = UP
        self.token, self.relayed = rng.randbytes(8), (f"17.{155 + scene.net // 200}.{scene.net % 200}.{rng.randrange(60, 250)}", 20000 + rng.randrange(9999))
        self.who = who
        self.ticket = bytes(20)     # that the Allocate's answer brings, for the bind
        self.dialog = dialog or sip.Dialog(rng, *((near, far) if who else (far, near)))
        self.senders = like.senders if like else {UP: Sender(rng), DOWN: Sender(rng)}
        self.cseq = {UP: 1, DOWN: 1}

    # a datagram

    def put(self, t, up, wire, way=None, call=None):
        """way: "direct", "relay" (in the channel), "server"; by default the relay if there is one."""
        way = way or ("relay" if self.relay else "direct")
        other = self.far if way == "direct" else self.relay
        payload = stun.channel_data(self.channel, wire) if way == "relay" else wire
        src, dst = (self.near, other) if up else (other, self.near)
        return self.scene.put(t, src, dst, payload, self.call if call is None else call, vlan=self.vlan)

    # relay

    def allocate(self, t, answered=True, token=None):
        txid = stun.legacy_txid(stun.ALLOCATE, self.rng)
        out = [self.put(t, UP, stun.allocate_request(txid, token or self.token, self.relayed, bytes(20)), "server")]
        if answered:
            out.append(self.put(t + 0.04, DOWN, stun.allocate_success(txid, self.far, self.ticket), "server"))
        return out

    def bind(self, t, answered=True, peer=None, refused=False, copies=1):
        txid = stun.legacy_txid(stun.CHANNEL_BIND, self.rng)
        wire = stun.channel_bind_request(txid, self.channel, peer or self.far, self.ticket)
        out = [self.put(t + 0.5 * i, UP, wire, "server") for i in range(copies)]
        if answered:
            wire = stun.error(stun.CHANNEL_BIND, txid, 437, "Allocation Mismatch") if refused else stun.channel_bind_success(txid)
            out.append(self.put(t + 0.5 * (copies - 1) + 0.04, DOWN, wire, "server"))
        return out

    def release(self, t, answered=True, copies=1, refused=False, after=0.04):
        txid = stun.legacy_txid(stun.REFRESH, self.rng)
        wire = stun.refresh_request(txid, 0)
        out = [self.put(t + 0.5 * i, UP, wire, "server") for i in range(copies)]
        out[0].tell("relay_released")
        if answered:
            wire = (stun.error(stun.REFRESH, txid, 437, "Allocation Mismatch") if refused
                    else stun.refresh_success(txid, 0))
            out.append(self.put(t + 0.5 * (copies - 1) + after, DOWN, wire, "server"))
        return out

    # checks

    def check(self, t, up=UP, way="direct", answered=0.03, txid=None, nominate=0, pair=0, far=None, refused=None,
              role=None):
        """[request, answer]"""
        txid = txid or stun.legacy_txid(stun.BINDING, self.rng)
        stamp = rtp.ntp_short(round((START_TIME + t) * 1e6)) & 0xFFFFFFFF
        frm, to = (stun.Candidate(stun.HOST, self.near, self.ids[side][pair]) for side in (up, not up))
        controlling = (self.controlling == up) if role is None else role
        wire = stun.binding_request(txid, to, frm, controlling, self.ties[up], stamp, nominate)
        kept, self.far = self.far, far or self.far
        out = [self.put(t, up, wire, way)]
        out[0].txid = txid
        if answered is not None:
            src = self.near if up else self.far
            wire = (stun.message(stun.BINDING, stun.ERROR, txid, [
                stun.username(frm.id, to.id), Attribute(stun.ERROR_CODE, struct.pack("!HBB", 0, refused // 100, refused % 100)),
                stun.protocol(1), stun.ice_version(109), stun.timestamp(stamp)]) if refused else
                stun.binding_response(txid, frm, to, src, stamp, 130))
            out.append(self.put(t + answered, not up, wire, way).to(out[0]))
        self.far = kept
        return out

    # SIP

    def say(self, t, up, wire, way=None):
        return self.put(t, up, wire, way)

    def end(self, up):
        return "caller" if up == self.who else "callee"

    def body(self, up, template):
        s = self.senders[up]
        end = self.near if up else self.far
        return sip.Body(sip.sdp(template, end, s.ssrc, s.ssrc ^ 0x55), "application/sdp", "zlib")

    def invite(self, t, up=None, cseq=1, sdp=True, again=False, way=None):
        up = self.who if up is None else up
        return self.say(t, up, self.dialog.request("INVITE", self.end(up), cseq, sdp and self.body(up, sip.OFFER_2015),
                                                   again=again), way)

    def answer(self, t, status=200, cseq=1, up=None, sdp=True, ack=0.02, way=None, method="INVITE"):
        """To an INVITE of the other end. Final answers to it are acknowledged `ack` later, None: never."""
        up = (not self.who) if up is None else up
        body = self.body(up, sip.ANSWER_2015) if sdp and method == "INVITE" and status == 200 else None
        p = self.say(t, up, self.dialog.response(status, method, self.end(up), cseq, body), way)
        if ack is not None and status >= 200 and method == "INVITE":
            self.ack(t + ack, cseq, not up, way=way)
        return p

    def ack(self, t, cseq=1, up=None, way=None):
        up = self.who if up is None else up
        return self.say(t, up, self.dialog.request("ACK", self.end(up), cseq), way)

    def cancel(self, t, cseq=1, way=None):
        return self.say(t, self.who, self.dialog.request("CANCEL", self.end(self.who), cseq), way)

    def bye(self, t, up=UP, cseq=9, answered=0.06, status=200, copies=1, way=None):
        """[BYEs, answer]"""
        wire = self.dialog.request("BYE", self.end(up), cseq)
        out = [self.say(t + 0.5 * i, up, wire, way) for i in range(copies)]
        for p in out[1:]:
            p.tell("bye_retransmitted")
        if answered is not None:
            out.append(self.say(t + 0.5 * (copies - 1) + answered, not up,
                                self.dialog.response(status, "BYE", self.end(not up), cseq), way))
        return out

    # media

    def speak(self, t, up, n=5, way=None, step=0.02, jump=1, payload=40):
        """n packets of sound."""
        out = []
        for i in range(n):
            s = self.senders[up]
            s.step(jump if i == 0 else 1, 480)
            out.append(self.put(t + i * step, up, rtp.rtp(rtp.AAC_ELD, s.seq, s.ts, s.ssrc, self.rng.randbytes(payload)), way))
        return out

    def both(self, t, n=5, way=None, step=0.02):
        return self.speak(t, UP, n, way, step) + self.speak(t + 0.005, DOWN, n, way, step)

    def report(self, t, up, way=None):
        s = self.senders[up]
        return self.put(t, up, rtp.rtcp(rtp.sender_report(s.ssrc, round((START_TIME + t) * 1e6), s.ts, s.count, 40 * s.count),
                                        rtp.source_description(s.ssrc, f"user@{s.ssrc:08x}")), way)

    # pieces of a story

    def relay_up(self, t):
        """Allocation, bind and a check in the channel: 0.3 s."""
        return self.allocate(t) + self.bind(t + 0.06) + self.check(t + 0.15, way="relay", answered=0.06)

    def taken(self, t, ring=0.3, way=None):
        """INVITE, 180, 200, ACK."""
        self.invite(t, way=way).tell("invite")
        self.answer(t + 0.05, 180, way=way).tell("ringing")
        return self.answer(t + ring, way=way).tell("call_answered")

    def hang_up(self, t, up=UP, way=None):
        out = self.bye(t, up, way=way)
        out[0].tell("call_ended")
        return out


class Modern(Talk):
    """One of the new generation: media in the relay's channel 0x6000, later directly."""

    def __init__(self, scene, call, near, far, relay, multiway=False, **more):
        super().__init__(scene, call, near, far, relay, **more)
        self.multiway, self.links, self.uuids = multiway, {UP: 0x5101, DOWN: 0x5202}, {
            UP: modern.new_mki(self.rng), DOWN: modern.new_mki(self.rng)}
        self.counter = 0

    def put(self, t, up, wire, way="relay", call=None):
        other = self.far if way == "direct" else self.relay
        src, dst = (self.near, other) if up else (other, self.near)
        return self.scene.put(t, src, dst, wire, self.call if call is None else call, vlan=self.vlan)

    def connect(self, t, initial=True, more=0):
        out = []
        if initial:
            out.append(self.put(t, UP, modern.quic_initial(self.rng.randbytes(8), self.rng.randbytes)))
        relays_id = b"\x55\x80" + self.rng.randbytes(6)
        for i in range(1 + more):
            out.append(self.put(t + 0.05 + 0.02 * i, UP, modern.quic_short(relays_id, self.rng.randbytes(60))))
        out.append(self.put(t + 0.1, DOWN, modern.quic_short(b"", self.rng.randbytes(60))))
        return out

    def speak(self, t, up, n=5, way="relay", step=0.02, jump=1, payload=40, link=None, multiway=None, ticks=480):
        out = []
        multiway = self.multiway if multiway is None else multiway
        for i in range(n):
            s = self.senders[up]
            s.step(jump if i == 0 else 1, ticks)
            at = t + i * step
            ext = None if multiway else modern.audio_extension(send_timestamp=round(at * 1024) & 0xFFFF)
            wire = modern.rtp(modern.AAC_ELD, s.seq, s.ts, s.ssrc, self.rng.randbytes(payload), s.mki, extension=ext)
            if way == "relay":
                wire = self.relayed_media(wire, up, s, multiway, link)
            out.append(self.put(at, up, wire, way))
        return out

    def relayed_media(self, wire, up, sender, multiway, link=None):
        given = {} if up else {"participant": sender.participant}
        if multiway:
            given["stream"] = sender.ssrc & 0xFFFF
        else:
            given["link"] = self.links[DOWN] if link is None else link
        self.counter += 1
        return modern.relay(wire, counter=self.counter & 0xFFFF, priority=1, count=True, opt_out=True, **given)

    def both_ends(self, other, t, n, many, step=0.02):
        """The device and the call's other end, each at its relay. many: {end: multiway?}"""
        out = []
        for i in range(n):
            for at, frm, to in ((t + i * step, self, other), (t + i * step + 0.004, other, self)):
                s = frm.senders[UP]
                s.step()
                wire = modern.rtp(modern.AAC_ELD, s.seq, s.ts, s.ssrc, self.rng.randbytes(40), s.mki)
                out.append(frm.put(at, UP, frm.relayed_media(wire, UP, s, many[frm])))
                out.append(to.put(at + 0.007, DOWN, to.relayed_media(wire, DOWN, s, many[to])))
        return out

    def control(self, t, up, way="relay"):
        s = self.senders[up]
        body = modern.control(s.mki, s.count & 0xFF, self.rng.randbytes(40))
        if way == "relay":
            given = {} if up else {"participant": s.participant}
            body = modern.relay(body, attr=modern.ATTR_STATE, stream=2, state=0, **given)
        return self.put(t, up, body, way)

    def check(self, t, up=UP, way="direct", answered=0.03, txid=None, far=None):
        txid = txid or self.rng.randbytes(12)
        kept, self.far = self.far, far or self.far
        out = [self.put(t, up, stun.message(stun.BINDING, stun.REQUEST, txid, [
            stun.link_id(self.uuids[up]), stun.radio(modern.WIFI),
            Attribute(stun.MESSAGE_INTEGRITY, self.rng.randbytes(20))], "modern"), way)]
        out[0].txid = txid
        if answered is not None:
            out.append(self.put(t + answered, not up, stun.message(stun.BINDING, stun.SUCCESS, txid, [
                stun.address(stun.XOR_MAPPED_ADDRESS, self.far if up else self.near, txid), stun.link_id(self.uuids[not up]),
                Attribute(stun.MESSAGE_INTEGRITY, self.rng.randbytes(20))], "modern"), way).to(out[0]))
        self.far = kept
        return out

    def both(self, t, n=5, way="relay", step=0.02, **how):
        return self.speak(t, UP, n, way, step, **how) + self.speak(t + 0.005, DOWN, n, way, step, **how)

    def close(self, t, quoted):
        """The device's own ICMP about its port, quoting what came in."""
        return self.scene.unreachable(t, quoted, self.near[0]).tell("socket_closed")
