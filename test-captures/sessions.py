# SPDX-License-Identifier: GPL-2.0-or-later
"""The five sessions of the report "FaceTime Exposed" (2015), rebuilt from its text.

Frame numbers, addresses and ports are the report's; what it doesn't say is filled in (README.md).
A comment on a frame, `report: ...`, is kept in the file and shown by Wireshark with the packet.
"""

import calendar
import itertools

from background import Background, ConnectivityCheck
from legacy import PORT, Allocation, Check, Device, Media, NatTest, Signalling, direct
from scenario import Capture

CLIENT_IP, SECOND_IP = "172.16.42.187", "172.16.42.185"
OFFICE = "71.15.163.132"                # public address of both local devices
CLIENT, SECOND = (CLIENT_IP, PORT), (SECOND_IP, PORT)
PEER, PEER_HOST = ("71.230.89.52", PORT), ("192.168.42.25", PORT)
# Relays: invented addresses; of their ports the report has 3489, where the relayed packets come from.
RELAY, RELAYED = ("17.155.5.251", 16385), ("17.155.5.251", 3489)
SECOND_RELAY, SECOND_RELAYED = ("17.155.5.252", 16384), ("17.155.5.252", 3490)
CHANNEL = 0x4002

LOUD = ("RECONSTRUCTION, NOT A CAPTURE: made from the text of the report \"FaceTime Exposed\" (2015) by "
        "test-captures/generate.py. Frame numbers, addresses and ports that the report names are the "
        "report's; everything else is invented. See test-captures/README.md. ")


def session(name, shows, year_to_second):
    return Capture(name, shows, calendar.timegm(year_to_second), comment=LOUD + shows)


def in_turns(*actions):
    """An action that does one of these after the other, over and over."""
    turn = itertools.cycle(actions)
    return lambda: next(turn)()


def before_the_call(cap, ip, start):
    """CommNAT and SNATMAP of one device: 11 packets."""
    nat = NatTest(cap, ip, OFFICE, call=1)
    nat.commnat(start)
    nat.snatmap(start + 0.3)


def connectivity(cap, ip, start):
    """The whole HTTP check: 9 packets."""
    http = ConnectivityCheck(cap, ip, call=1)
    http.open(start)
    cap.at(start + 0.035, http.get)
    cap.at(start + 0.070, http.answer)
    http.close(start + 0.073)


def set_up(cap, sip, out, back, start, keys=0, prefix=""):
    """Queue INVITE to ACK, then so many SKE MESSAGEs of each side; returns when that is done.

    out and back: the Paths of who sends the INVITE. 5 packets, and 4 for each of `keys`.
    """
    steps = [(0.0, sip.invite, out), (0.094, sip.trying, back), (0.097, sip.ringing, back),
             (0.171, sip.ok, back), (0.175, sip.ack, out)]
    for delay, step, path in steps:
        cap.at(start + delay, lambda step=step, path=path: cap.mark(prefix + step.__name__, step(path)))
    at = start + 0.18
    for fragment in range(keys):
        for sender, path, reply_path in (("caller", out, back), ("callee", back, out)):
            sip.key_message(at, sender, path, reply_path, fragment)
            at += 0.05
    return at


def facetime_caller():
    """Session 1: the local client calls; relay first, then direct."""
    cap = session("facetime-caller", "Session 1: the local client calls.", (2015, 4, 7, 18, 56, 20))
    client = Device(cap, "client", CLIENT, (OFFICE, PORT), audio=1911967383, video=2853556652, controlling=True)
    peer = Device(cap, "peer", PEER, host=PEER_HOST, audio=3323451416, video=3201069193)
    cap.background = Background(cap, CLIENT_IP)

    # before the call
    nat = NatTest(cap, CLIENT_IP, OFFICE, call=1)
    nat.commnat(0.9)
    nat.snatmap(1.2)
    for step in cap.background.lookup("static.ess.apple.com"):
        cap.after(2.5 + 0.02 * (step.__name__ == "response"), step)
    http = ConnectivityCheck(cap, CLIENT_IP, call=1)
    http.open(2.56)

    # the relay
    relay = Allocation(cap, 1, client, RELAY, RELAYED)
    cap.frame(60, 2.950)
    relay.allocate()
    cap.mark("allocate request", comment="report: TURN Allocate with XOR-RELAYED-ADDRESS, token, 60 s")
    cap.frame(64, 2.962)
    http.get()
    cap.mark("http get", comment="report: the HTTP request of /connectivity.txt")
    cap.at(3.000, http.answer)
    http.close(3.003)
    cap.frame(82, 3.135)
    relay.allocated()
    cap.mark("allocate response", comment="report: the TURN server responds")
    cap.background.push_allowed = False
    cap.frame(110, 3.900)
    cap.background.push.tls("server", 217)
    cap.mark("signalling received", comment="report: signalling on TCP 5223")
    cap.frame(120, 3.990)
    cap.background.push.ack("client")
    cap.mark("signalling acked", comment="report: signalling acked")
    cap.background.push_allowed = True
    cap.frame(121, 3.994)
    relay.bind(CHANNEL, PEER)
    cap.mark("channel bind", comment="report: channel to the peer's public address, port 16402")
    up, down = relay.paths(CHANNEL, PEER)

    # checks through the relay, ahead of the bind's answer
    relayed = Check(client, client.relayed, peer.reflexive, up, down, listed=client.candidates,
                    first_form=True)
    for number, when, name in ((122, 3.995, "early check"), (132, 4.245, "check again"),
                               (142, 4.495, "check once more")):
        cap.frame(number, when)
        relayed.send()
        cap.mark(name, comment="report: Binding request in ChannelData, no answer to the bind yet")
    cap.frame(156, 4.620)
    relay.bind(CHANNEL, PEER)
    cap.mark("channel bind again", comment="report: ChannelBind retried")
    cap.frame(158, 4.672)
    relay.bound(CHANNEL)
    cap.mark("channel bound", comment="report: its response")
    cap.frame(160, 4.704)
    relayed.answer(mapped=RELAYED, listed=peer.candidates)
    cap.mark("check answered", comment="report: Binding response, MAPPED-ADDRESS of the TURN server, 3489")
    cap.frame(161, 4.706)
    to_host, from_host = direct(cap, 1, CLIENT, PEER_HOST)
    Check(client, client.host, peer.host, to_host, from_host).send()
    cap.mark("check of local address", comment="report: Binding request to the peer's local address")
    cap.frame(162, 4.709)
    back = Check(peer, peer.reflexive, client.relayed, down, up)
    back.send()
    cap.mark("peer's check", comment="report: Binding request of the peer, ICE-CONTROLLED")
    cap.frame(163, 4.711)
    back.answer(mapped=PEER)
    cap.frame(164, 4.713)
    relayed.form = {}
    relayed.send(nominate=1)
    cap.mark("nomination on the relay", comment="report: Binding request with USE-CANDIDATE, relayed")
    cap.frame(167, 4.806)
    relayed.answer(mapped=RELAYED)

    # SIP through the relay
    sip = Signalling(cap, client, peer)
    for number, when, action, name, text in (
            (169, 4.820, lambda: sip.invite(up), "invite", "SIP INVITE, not encrypted, SDP deflated"),
            (170, 4.918, lambda: sip.trying(down), "trying", "100 Trying"),
            (171, 4.921, lambda: sip.ringing(down), "ringing", "180 Ringing"),
            (172, 5.002, lambda: sip.ok(down), "ok", "200 OK with the answer"),
            (173, 5.006, lambda: sip.ack(up), "ack", "ACK")):
        cap.frame(number, when)
        action()
        cap.mark(name, comment="report: " + text)

    # media through the relay
    cap.frame(175, 5.020)
    mine = Media(cap, client, up, peer)
    theirs = Media(cap, peer, down, client)
    mine.start()
    theirs.start(0.009)
    cap.run_to_frame(176)
    cap.mark("first relayed media", 175, "report: from here to 279 RTP in ChannelData")
    theirs.reports(3.4)

    # the direct path
    cap.run_to_frame(280)
    cap.mark("last relayed media before the direct check", 279)
    out, into = direct(cap, 1, CLIENT, PEER)
    first = Check(peer, peer.reflexive, client.reflexive, into, out)
    first.send()
    cap.mark("direct check of the peer", comment="report: Binding request from the peer's public address")
    first.answer(mapped=PEER)
    cap.mark("direct check answered")
    cap.run_to_frame(283)
    nominated = Check(client, client.reflexive, peer.reflexive, out, into)
    nominated.send(nominate=1)
    cap.mark("nomination on the direct path", comment="report: Binding request with USE-CANDIDATE, direct")
    cap.run_to_frame(299)
    nominated.answer(mapped=(OFFICE, PORT))
    cap.mark("direct path confirmed", comment="report: the response; media moves to the direct path")
    mine.path, theirs.path = out, into
    cap.run_to_frame(777)
    mine.report("audio")
    cap.mark("sender report", comment="report: RTCP SR and SDES in one packet")
    mine.reports(4.9)

    # the end
    cap.run_to_frame(5786)
    sip.bye(out)
    mine.stop()
    cap.mark("bye", comment="report: SIP BYE")
    cap.run_to_frame(5790)
    theirs.stop()
    sip.bye_ok(into)
    cap.mark("bye answered", comment="report: the answer to the BYE")
    relay.release()
    cap.mark("release", comment="report: Refresh with lifetime 0 releases the channel")
    cap.run(0.06)
    relay.released()
    cap.tail(9, 1.5)
    return cap


def facetime_callee():
    """Session 2: the local client is called, and yet sends the offer and controls ICE."""
    cap = session("facetime-callee", "Session 2: the local client is called.", (2015, 4, 7, 19, 4, 10))
    client = Device(cap, "client", CLIENT, (OFFICE, PORT), controlling=True)
    peer = Device(cap, "peer", PEER, host=PEER_HOST)
    cap.background = Background(cap, CLIENT_IP)
    before_the_call(cap, CLIENT_IP, 0.4)
    connectivity(cap, CLIENT_IP, 2.0)

    relay = Allocation(cap, 1, client, RELAY, RELAYED)
    up, down = relay.paths(CHANNEL, PEER)
    relayed = Check(client, client.relayed, peer.reflexive, up, down, listed=client.candidates)
    back = Check(peer, peer.reflexive, client.relayed, down, up)
    cap.at(2.20, relay.allocate)
    cap.at(2.33, relay.allocated)
    cap.at(2.90, lambda: relay.bind(CHANNEL, PEER))
    cap.at(2.901, relayed.send)
    cap.at(2.96, lambda: relay.bound(CHANNEL))
    cap.at(3.01, lambda: relayed.answer(mapped=RELAYED, listed=peer.candidates))
    cap.at(3.012, back.send)
    cap.at(3.014, lambda: back.answer(mapped=PEER))
    cap.at(3.016, lambda: relayed.send(nominate=1))
    cap.at(3.11, lambda: relayed.answer(mapped=RELAYED))
    sip = Signalling(cap, client, peer)
    done = set_up(cap, sip, up, down, 3.12, keys=2)
    cap.frame(110, done)
    cap.mark("first relayed media", 110)
    mine = Media(cap, client, up, peer, fps=15, pattern=(2, 1))
    theirs = Media(cap, peer, down, client, fps=15, pattern=(2, 1))
    mine.start()
    theirs.start(0.009)
    mine.reports(2.6)
    theirs.reports(3.1)

    # the client goes on trying the caller's local address, all through the call
    to_host, from_host = direct(cap, 1, CLIENT, PEER_HOST)
    local_checks = []

    def try_local():
        check = Check(client, client.host, peer.host, to_host, from_host)
        local_checks.append(check.send())
        cap.mark("first check of the local address", local_checks[0])
        for delay in (0.25, 0.75):
            cap.after(delay, lambda: local_checks.append(check.send()), local_checks)
        cap.after(3.0, try_local, local_checks)
    cap.after(0.02, try_local, local_checks)

    out, into = direct(cap, 1, CLIENT, PEER)
    first = Check(peer, peer.reflexive, client.reflexive, into, out)
    nominated = Check(client, client.reflexive, peer.reflexive, out, into)
    cap.run(0.55)
    first.send()
    cap.run(0.001)
    first.answer()
    cap.run(0.004)
    nominated.send(nominate=1)
    cap.run(0.08)
    nominated.answer(mapped=(OFFICE, PORT))
    cap.mark("direct path confirmed")
    mine.path, theirs.path = out, into
    cap.run(22)
    cap.cancel(local_checks)
    theirs.stop()
    sip.bye(into, "callee")
    cap.mark("bye", comment="the caller hangs up")
    cap.run(0.002)
    mine.stop()
    sip.bye_ok(out)
    relay.release()
    cap.mark("release")
    cap.run(0.06)
    relay.released()
    cap.tail(8, 1.2)
    cap.groups["checks of the local address"] = local_checks
    return cap


def facetime_samenet():
    """Session 3: both devices behind the access point; the called one is ICE-CONTROLLED."""
    cap = session("facetime-samenet", "Session 3: two devices in one network.", (2015, 4, 7, 19, 21, 30))
    called = Device(cap, "called", CLIENT, (OFFICE, 1024))
    calling = Device(cap, "calling", SECOND, (OFFICE, PORT), controlling=True)
    cap.background = in_turns(Background(cap, CLIENT_IP), Background(cap, SECOND_IP))
    before_the_call(cap, SECOND_IP, 0.3)
    before_the_call(cap, CLIENT_IP, 0.9)
    connectivity(cap, SECOND_IP, 1.5)
    connectivity(cap, CLIENT_IP, 2.2)

    # the called device starts, and gets no answer for a while
    out, into = direct(cap, 1, CLIENT, SECOND)
    to_public, from_public = direct(cap, 1, CLIENT, (OFFICE, PORT))
    cap.frame(71, 3.000)
    public = Check(called, called.host, calling.reflexive, to_public, from_public)
    public.send()
    cap.mark("check of public address", comment="report: to the peer's public address, ICE-CONTROLLED")
    local = [Check(called, called.host, calling.host, out, into) for _ in range(2)]
    for number, when, check in ((82, 3.05, local[0]), (101, 3.30, local[1])):
        cap.frame(number, when)
        check.send()
        cap.mark(f"check of local address {number}", comment="report: to the peer's local address")
    relay = Allocation(cap, 1, called, RELAY, RELAYED)
    cap.frame(135, 3.800)
    relay.allocate()
    cap.mark("first allocate", comment="report: relayed candidate, the checks being unanswered")
    cap.frame(138, 3.915)
    relay.allocated()
    cap.mark("first allocate response", comment="report: its response")

    # the calling device answers, and checks
    cap.frame(169, 4.500)
    local[0].answer()
    cap.mark("first local answer", comment="report: the answer, after quite a while")
    back = Check(calling, calling.host, called.host, into, out)
    cap.frame(170, 4.501)
    back.send()
    cap.frame(171, 4.503)
    local[1].answer()
    cap.mark("second local answer", comment="report: the other answer")
    cap.frame(172, 4.506)
    back.answer()
    second = Allocation(cap, 1, calling, SECOND_RELAY, SECOND_RELAYED)
    cap.frame(178, 4.520)
    second.allocate()
    cap.mark("second allocate", comment="report: yet the second client allocates")
    cap.frame(182, 4.540)
    back.send(nominate=1)
    cap.mark("nomination", comment="report: USE-CANDIDATE")
    cap.frame(183, 4.543)
    back.answer()
    cap.at(4.62, second.allocated)
    sip = Signalling(cap, calling, called)
    cap.frame(192, 4.640)
    done = set_up(cap, sip, into, out, 4.640, keys=2)
    cap.run_to(4.640)
    cap.mark("invite", comment="report: SIP INVITE")

    # media, while the relays are given up
    cap.frame(211, done)
    mine = Media(cap, called, out, calling, fps=15, pattern=(2, 1))
    theirs = Media(cap, calling, into, called, fps=15, pattern=(2, 1))
    mine.start()
    theirs.start(0.006)
    mine.reports(2.7)
    theirs.reports(3.3)
    cap.run_to_frame(229)
    relay.release()
    cap.mark("first release", comment="report: the first client releases its allocation")
    cap.after(0.055, relay.released)
    cap.run_to_frame(252)
    second.bind(CHANNEL, (OFFICE, 1024))
    cap.mark("second bind", comment="report: ChannelBind for the NAT router's address, port 1024")
    cap.run(0.055)
    second.bind_refused(CHANNEL)
    cap.mark("mismatch", comment="report: allocation mismatch")
    cap.run(0.11)
    second.release()
    cap.mark("second release", comment="report: gives up with a lifetime of 0")
    cap.run(0.055)
    second.release_refused()
    cap.mark("second mismatch")

    # both go on checking the public address
    to_public2, from_public2 = direct(cap, 1, SECOND, (OFFICE, PORT))
    public_checks = []

    def try_public(device, frm, to, paths):
        public_checks.append(Check(device, frm, to, *paths).send())
        cap.after(2.5, lambda: try_public(device, frm, to, paths), public_checks)
    try_public(called, called.host, calling.reflexive, (to_public, from_public))
    cap.run(0.4)
    try_public(calling, calling.host, called.reflexive, (to_public2, from_public2))
    cap.run(20)
    cap.cancel(public_checks)
    mine.stop()
    sip.bye(out, "callee")
    cap.mark("bye")
    cap.run(0.003)
    theirs.stop()
    sip.bye_ok(into)
    cap.tail(10, 1.2)
    cap.groups["checks of the public address"] = public_checks
    return cap


def facetime_samenet_nop2p():
    """Session 4: the same network with direct packets blocked, and how the devices get round it."""
    cap = session("facetime-samenet-nop2p", "Session 4: two devices in one network, direct packets blocked.",
                  (2015, 4, 7, 19, 40, 5))
    calling = Device(cap, "calling", CLIENT, (OFFICE, PORT), controlling=True)
    called = Device(cap, "called", SECOND, (OFFICE, PORT))
    cap.background = in_turns(Background(cap, CLIENT_IP), Background(cap, SECOND_IP))
    before_the_call(cap, CLIENT_IP, 0.6)
    before_the_call(cap, SECOND_IP, 2.1)
    connectivity(cap, CLIENT_IP, 3.2)
    connectivity(cap, SECOND_IP, 4.4)

    # direct checks: the local address (dropped), the public one (refused)
    out, into = direct(cap, 1, CLIENT, SECOND)
    to_public, from_public = direct(cap, 1, CLIENT, (OFFICE, PORT))
    cap.frame(357, 6.000)
    dropped = Check(calling, calling.host, called.host, out, into)
    dropped.send()
    cap.mark("check of local address", comment="report: to the peer's local address; dropped by iptables")
    cap.frame(364, 6.060)
    Check(calling, calling.host, called.reflexive, to_public, from_public).send()
    refused = cap.mark("check of public address", comment="report: to the public address of the peer")
    cap.frame(366, 6.066)
    cap.unreachable(OFFICE, refused, call=1)
    cap.mark("unreachable", comment="report: ICMP destination unreachable")
    cap.at(6.250, dropped.send)
    cap.at(6.750, dropped.send)

    # both allocate on their relays
    relays = Allocation(cap, 1, calling, RELAY, RELAYED), Allocation(cap, 1, called, SECOND_RELAY,
                                                                   SECOND_RELAYED)
    for number, when, action, name, text in (
            (417, 6.800, relays[0].allocate, "first allocate", "TURN allocation of the first client"),
            (418, 6.915, relays[0].allocated, "first allocate response",
             "its response: XOR-MAPPED-ADDRESS is the public address and 16402"),
            (439, 7.100, relays[1].allocate, "second allocate", "TURN allocation of the second client"),
            (448, 7.220, relays[1].allocated, "second allocate response",
             "its response: XOR-MAPPED-ADDRESS is the same again")):
        cap.frame(number, when)
        action()
        cap.mark(name, comment="report: " + text)
    cap.frame(475, 7.500)
    relays[0].bind(CHANNEL, (OFFICE, PORT))
    cap.mark("first bind", comment="report: channel to the server-reflexive candidate of the peer")
    up, down = relays[0].paths(CHANNEL, (OFFICE, PORT))
    relayed = Check(calling, calling.relayed, called.reflexive, up, down, listed=calling.candidates)
    cap.at(7.502, relayed.send)
    cap.at(7.555, lambda: relays[0].bound(CHANNEL))
    cap.at(7.752, relayed.send)

    # the second client's bind gets lost; it uses the channel all the same
    cap.frame(508, 7.800)
    relays[1].bind(CHANNEL, (OFFICE, PORT))
    cap.mark("second bind", comment="report: another channel binding; this one gets lost")
    up2, down2 = relays[1].paths(CHANNEL, (OFFICE, PORT))
    relayed2 = Check(called, called.relayed, calling.reflexive, up2, down2, listed=called.candidates)
    for when in (7.802, 8.052, 8.302):
        cap.at(when, relayed2.send)
    back = Check(called, called.host, calling.host, into, out)
    cap.frame(549, 8.180)
    back.send()
    cap.mark("hole", comment="report: a Binding request of the other client makes the hole")
    through = Check(calling, calling.host, called.host, out, into)
    cap.frame(556, 8.250)
    through.send()
    cap.mark("check that gets through", comment="report: the Binding request that gets through")
    cap.frame(557, 8.253)
    through.answer()
    cap.mark("its answer", comment="report: the other client responds")
    cap.frame(561, 8.280)
    back.send()
    cap.frame(562, 8.283)
    back.answer()
    cap.frame(571, 8.310)
    through.send(nominate=1)
    cap.mark("nomination")
    cap.frame(572, 8.313)
    through.answer()
    cap.frame(578, 8.400)
    relays[1].bind(CHANNEL, (OFFICE, PORT))
    cap.mark("second bind again", comment="report: resent with the same transaction id")
    cap.frame(585, 8.560)
    relays[1].release()
    cap.mark("release", comment="report: lifetime 0 releases the channel")
    cap.frame(589, 8.600)
    relays[1].bound(CHANNEL)
    cap.mark("second bind response", comment="report: the response, 0.8 s after the first request")
    cap.at(8.615, relays[1].released)
    cap.at(8.700, relays[0].release)
    cap.at(8.755, relays[0].released)

    sip = Signalling(cap, calling, called)
    done = set_up(cap, sip, out, into, 8.760, keys=2)
    cap.frame(625, done)
    mine = Media(cap, calling, out, called, fps=15, pattern=(2, 1))
    theirs = Media(cap, called, into, calling, fps=15, pattern=(2, 1))
    mine.start()
    theirs.start(0.006)
    mine.reports(2.5)
    theirs.reports(3.2)
    cap.run(20)
    mine.stop()
    sip.bye(out)
    cap.mark("bye")
    cap.run(0.003)
    theirs.stop()
    sip.bye_ok(into)
    cap.tail(10, 1.2)
    return cap


def facetime_dropmidcall():
    """Session 5: the direct path is blocked in the middle of the call."""
    cap = session("facetime-dropmidcall", "Session 5: the direct path is blocked in the middle of the call.",
                  (2015, 4, 7, 20, 2, 40))
    client = Device(cap, "client", CLIENT, (OFFICE, PORT), controlling=True)
    peer = Device(cap, "peer", PEER, host=PEER_HOST)
    cap.background = Background(cap, CLIENT_IP)
    before_the_call(cap, CLIENT_IP, 0.7)
    connectivity(cap, CLIENT_IP, 2.4)

    # the call starts as usual: relay, SIP, a moment of relayed media, direct path
    relay = Allocation(cap, 1, client, RELAY, RELAYED)
    cap.frame(92, 3.000)
    relay.allocate()
    cap.mark("allocate", comment="report: the allocation of the channel used later")
    up, down = relay.paths(CHANNEL, PEER)
    relayed = Check(client, client.relayed, peer.reflexive, up, down, listed=client.candidates)
    back = Check(peer, peer.reflexive, client.relayed, down, up)
    cap.at(3.12, relay.allocated)
    cap.at(3.60, lambda: cap.mark("bind", relay.bind(CHANNEL, PEER)))
    cap.at(3.601, relayed.send)
    cap.at(3.66, lambda: relay.bound(CHANNEL))
    cap.at(3.70, lambda: relayed.answer(mapped=RELAYED, listed=peer.candidates))
    cap.at(3.702, back.send)
    cap.at(3.704, lambda: back.answer(mapped=PEER))
    cap.at(3.706, lambda: relayed.send(nominate=1))
    cap.at(3.80, lambda: relayed.answer(mapped=RELAYED))
    sip = Signalling(cap, client, peer)
    cap.frame(117, set_up(cap, sip, up, down, 3.81))
    mine = Media(cap, client, up, peer, fps=25, pattern=(7,), video_seq=51593 - VIDEO_BEFORE_6892)
    theirs = Media(cap, peer, down, client, fps=25, pattern=(5,))
    mine.start()
    theirs.start(0.008)
    mine.reports(2.6)
    theirs.reports(3.1)
    out, into = direct(cap, 1, CLIENT, PEER)
    first = Check(peer, peer.reflexive, client.reflexive, into, out)
    nominated = Check(client, client.reflexive, peer.reflexive, out, into)
    cap.run_to_frame(134)
    first.send()
    first.answer()
    nominated.send(nominate=1)
    cap.run_to_frame(148)
    nominated.answer(mapped=(OFFICE, PORT))
    cap.mark("direct path confirmed")
    mine.path, theirs.path = out, into
    cap.run_to_frame(150)
    relay.release()
    cap.mark("release", comment="report: the allocation is released")
    cap.after(0.06, relay.released)

    # blocked
    cap.run_to_frame(6217)
    theirs.stop()
    if cap.truth[6216]["sender"] != "peer":
        raise ValueError("frame 6216 must be the peer's last packet")
    cap.mark("last packet of the peer", 6216, "report: the last packet from the peer; path blocked")
    blocked_at = cap.clock

    # both paths at once
    cap.run_to_frame(6892)
    mine.fps, mine.pattern = 20, (2, 2, 2, 3)
    mine.also, mine.copied = up, lambda kind, index: kind == "audio" or index % 5
    cap.run_to_frame(6894)
    cap.mark("sent directly", 6892, "report: RTP sequence number 51593, direct")
    cap.mark("sent over the relay too", 6893, "report: the same packet in ChannelData, channel released in 150")
    cap.run_to_frame(9252)
    cap.background.push.tls("server", 145)
    cap.mark("signalling", comment="report: signalling, sixteen seconds after the block")
    cap.after(0.04, lambda: cap.background.push.ack("client"))
    cap.after(0.9, lambda: cap.background.push.tls("client", 188))
    cap.after(0.95, lambda: cap.background.push.ack("server"))

    # the end, and the restart
    cap.run_to_frame(9598)
    mine.stop()
    sip.bye(up, reason='*;cause=291;text="Remote Hang Up"')
    cap.mark("bye 1", comment="report: SIP BYE via the TURN server, 18 s after the interruption")
    gave_up = cap.clock
    again = Restart(cap, peer)
    for number, delay, action, name, text in (
            (9600, 0.06, again.relay.allocate, "restart", "the call is restarted: allocation with a token"),
            (9605, 0.5, lambda: sip.bye(up), "bye 2", "BYE repeated"),
            (9623, 1.5, lambda: sip.bye(up), "bye 3", "BYE repeated"),
            (9633, 3.5, lambda: sip.bye(up), "bye 4", "BYE repeated; no response is ever received")):
        cap.frame(number, gave_up + delay)
        action()
        cap.mark(name, comment="report: " + text)
        if name == "restart":
            again.go_on(gave_up + delay)
    again.talk()
    cap.blocked_at = blocked_at
    return cap


# video packets of the client up to frame 6892, so that this frame has sequence number 51593
VIDEO_BEFORE_6892 = 3185


class Restart:
    """Session 5's second call: relay alone, because the direct path stays blocked."""

    def __init__(self, cap, peer):
        self.cap = cap
        cap.restarts.add(2)
        self.client = Device(cap, "client", CLIENT, (OFFICE, PORT), controlling=True)
        self.peer = Device(cap, "peer", PEER, host=PEER_HOST)
        self.relay = Allocation(cap, 2, self.client, SECOND_RELAY, SECOND_RELAYED)
        self.up, self.down = self.relay.paths(CHANNEL + 1, PEER)

    def go_on(self, start):
        """Queue relay and checks: 10 packets within three seconds."""
        cap, client, peer, relay = self.cap, self.client, self.peer, self.relay
        relayed = Check(client, client.relayed, peer.reflexive, self.up, self.down,
                        listed=client.candidates)
        back = Check(peer, peer.reflexive, client.relayed, self.down, self.up)
        local = Check(client, client.host, peer.host, *direct(cap, 2, CLIENT, PEER_HOST))
        public = Check(client, client.reflexive, peer.reflexive, *direct(cap, 2, CLIENT, PEER))
        cap.at(start + 0.12, relay.allocated)
        for delay, action in (
                (0.80, lambda: relay.bind(CHANNEL + 1, PEER)), (0.801, relayed.send),
                (0.86, lambda: relay.bound(CHANNEL + 1)), (0.862, local.send), (0.863, public.send),
                (0.92, lambda: relayed.answer(mapped=SECOND_RELAYED, listed=peer.candidates)),
                (0.922, back.send), (0.924, lambda: back.answer(mapped=PEER)),
                (1.113, public.send), (1.613, public.send),
                (3.00, lambda: relayed.send(nominate=1)),
                (3.09, lambda: relayed.answer(mapped=SECOND_RELAYED))):
            cap.at(start + delay, action)

    def talk(self):
        """SIP and two seconds of media over the relay, then a proper end."""
        cap = self.cap
        sip = Signalling(cap, self.client, self.peer)
        done = set_up(cap, sip, self.up, self.down, cap.clock + 0.1, prefix="second ")
        cap.run_to(done)
        mine = Media(cap, self.client, self.up, self.peer, fps=15, pattern=(2,))
        theirs = Media(cap, self.peer, self.down, self.client, fps=15, pattern=(2,))
        mine.start()
        theirs.start(0.009)
        cap.run(2.0)
        mine.stop()
        sip.bye(self.up)
        cap.mark("bye of the restarted call")
        cap.run(0.09)
        theirs.stop()
        sip.bye_ok(self.down)
        self.relay.release()
        cap.run(0.06)
        self.relay.released()


SESSIONS = {
    "facetime-caller": facetime_caller,
    "facetime-callee": facetime_callee,
    "facetime-samenet": facetime_samenet,
    "facetime-samenet-nop2p": facetime_samenet_nop2p,
    "facetime-dropmidcall": facetime_dropmidcall,
}
