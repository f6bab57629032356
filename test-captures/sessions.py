# SPDX-License-Identifier: GPL-2.0-or-later
"""The five sessions of the report "FaceTime Exposed" (2015), rebuilt from its text.

Frame numbers, addresses and ports are the report's; what it doesn't say is filled in (README.md).
A comment on a frame, `report: ...`, is kept in the file and shown by Wireshark with the packet.
"""

import calendar

from background import Background, ConnectivityCheck
from legacy import PORT, Allocation, Check, Device, Media, NatTest, Signalling, direct
from scenario import Capture

CLIENT_IP, SECOND_IP = "172.16.42.187", "172.16.42.185"
OFFICE = "71.15.163.132"                # public address of both local devices
CLIENT, SECOND = (CLIENT_IP, PORT), (SECOND_IP, PORT)
PEER, PEER_HOST = ("71.230.89.52", PORT), ("192.168.42.25", PORT)
# Relays: invented addresses; of their ports the report has 3489, where the relayed packets come from.
RELAY, RELAYED = ("17.155.5.251", 16385), ("17.155.5.251", 3489)
CHANNEL = 0x4002

LOUD = ("RECONSTRUCTION, NOT A CAPTURE: made from the text of the report \"FaceTime Exposed\" (2015) by "
        "test-captures/generate.py. Frame numbers, addresses and ports that the report names are the "
        "report's; everything else is invented. See test-captures/README.md. ")


def session(name, shows, year_to_second):
    return Capture(name, shows, calendar.timegm(year_to_second), comment=LOUD + shows)


def facetime_caller():
    """Session 1: the local client calls; relay first, then direct."""
    cap = session("facetime-caller", "Session 1: the local client calls.", (2015, 4, 7, 18, 56, 20))
    client = Device(cap, CLIENT, (OFFICE, PORT), audio=1911967383, video=2853556652, controlling=True)
    peer = Device(cap, PEER, host=PEER_HOST, audio=3323451416, video=3201069193)
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
    cap.frame(5800, cap.clock + 1.5)
    return cap


SESSIONS = {
    "facetime-caller": facetime_caller,
}
