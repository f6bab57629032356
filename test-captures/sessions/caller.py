# SPDX-License-Identifier: GPL-2.0-or-later
"""Session 1, facetime-caller: the local client calls; relay first, then direct."""

from background import Background, ConnectivityCheck
from legacy import PORT, Check, Media, Signalling, direct

from .common import (CLIENT, CLIENT_IP, OFFICE, PEER, PEER_HOST, RELAYED, RelayedEnds, before_the_call, session,
                     tell)


class Caller(RelayedEnds):
    def __init__(self):
        cap = session("facetime-caller", "Session 1: the local client calls.", (2015, 4, 7, 18, 56, 20))
        super().__init__(cap, mine=(1911967383, 2853556652), theirs=(3323451416, 3201069193))
        cap.background = Background(cap, CLIENT_IP)
        self.before()
        self.allocate()
        self.through_the_relay()
        self.sip_through_the_relay()
        self.media_through_the_relay()
        self.direct_path()
        self.end()

    def before(self):
        cap = self.cap
        before_the_call(cap, CLIENT_IP, 0.9)
        query, response = cap.background.lookup("static.ess.apple.com")
        cap.at(2.5, query)
        cap.at(2.52, response)
        self.http = ConnectivityCheck(cap, CLIENT_IP, call=1)
        self.http.open(2.56)

    def allocate(self):
        cap, relay = self.cap, self.allocation()
        tell(cap,
             (60, 2.950, relay.allocate, "allocate request",
              "TURN Allocate with XOR-RELAYED-ADDRESS, token, 60 s"),
             (64, 2.962, self.http.get, "http get", "the HTTP request of /connectivity.txt"))
        cap.at(3.000, self.http.answer)
        self.http.close(3.003)
        tell(cap, (82, 3.135, relay.allocated, "allocate response", "the TURN server responds"))
        cap.background.push_allowed = False
        tell(cap,
             (110, 3.900, lambda: cap.background.push.tls("server", 217), "signalling received",
              "signalling on TCP 5223"),
             (120, 3.990, lambda: cap.background.push.ack("client"), "signalling acked", "signalling acked"))
        cap.background.push_allowed = True

    def through_the_relay(self):
        """Channel and checks, ahead of the bind's answer."""
        cap = self.cap
        tell(cap, (121, 3.994, self.bind, "channel bind", "channel to the peer's public address, port 16402"))
        self.check_relay(first_form=True)
        local = Check(self.client, self.client.host, self.peer.host, *direct(cap, 1, CLIENT, PEER_HOST))
        unanswered = "Binding request in ChannelData, no answer to the bind yet"
        tell(cap,
             (122, 3.995, self.relayed.send, "early check", unanswered),
             (132, 4.245, self.relayed.send, "check again", unanswered),
             (142, 4.495, self.relayed.send, "check once more", unanswered),
             (156, 4.620, self.bind, "channel bind again", "ChannelBind retried"),
             (158, 4.672, self.bound, "channel bound", "its response"),
             (160, 4.704, lambda: self.relayed_answer(listed=self.peer.candidates), "check answered",
              "Binding response, MAPPED-ADDRESS of the TURN server, 3489"),
             (161, 4.706, local.send, "check of local address", "Binding request to the peer's local address"),
             (162, 4.709, self.back.send, "peer's check", "Binding request of the peer, ICE-CONTROLLED"),
             (163, 4.711, lambda: self.back.answer(mapped=PEER)))
        self.relayed.form = {}
        tell(cap,
             (164, 4.713, lambda: self.relayed.send(nominate=1), "nomination on the relay",
              "Binding request with USE-CANDIDATE, relayed"),
             (167, 4.806, lambda: self.relayed.answer(mapped=RELAYED)))

    def sip_through_the_relay(self):
        self.sip = sip = Signalling(self.cap, self.client, self.peer)
        tell(self.cap,
             (169, 4.820, lambda: sip.invite(self.up), "invite", "SIP INVITE, not encrypted, SDP deflated"),
             (170, 4.918, lambda: sip.trying(self.down), "trying", "100 Trying"),
             (171, 4.921, lambda: sip.ringing(self.down), "ringing", "180 Ringing"),
             (172, 5.002, lambda: sip.ok(self.down), "ok", "200 OK with the answer"),
             (173, 5.006, lambda: sip.ack(self.up), "ack", "ACK"))

    def media_through_the_relay(self):
        self.cap.frame(175, 5.020)
        self.mine = Media(self.cap, self.client, self.up, self.peer)
        self.theirs = Media(self.cap, self.peer, self.down, self.client)
        self.mine.start()
        self.theirs.start(0.009)
        self.cap.run_to_frame(176)
        self.cap.mark("first relayed media", 175, "report: from here to 279 RTP in ChannelData")
        self.theirs.reports(3.4)

    def direct_path(self):
        cap = self.cap
        cap.run_to_frame(280)
        cap.mark("last relayed media before the direct check", 279)
        self.check_direct()
        tell(cap,
             (280, None, self.first.send, "direct check of the peer",
              "Binding request from the peer's public address"),
             (281, None, lambda: self.first.answer(mapped=PEER), "direct check answered", "it responds"),
             (283, None, lambda: self.nominated.send(nominate=1), "nomination on the direct path",
              "Binding request with USE-CANDIDATE, direct"),
             (299, None, lambda: self.nominated.answer(mapped=(OFFICE, PORT)), "direct path confirmed",
              "the response; media moves to the direct path"))
        self.mine.path, self.theirs.path = self.out, self.into
        tell(cap, (777, None, lambda: self.mine.report("audio"), "sender report", "RTCP SR and SDES in one packet"))
        self.mine.reports(4.9)

    def end(self):
        cap = self.cap
        tell(cap, (5786, None, lambda: self.sip.bye(self.out), "bye", "SIP BYE"))
        self.mine.stop()
        cap.run_to_frame(5790)
        self.theirs.stop()
        tell(cap,
             (5790, None, lambda: self.sip.bye_ok(self.into), "bye answered", "the answer to the BYE"),
             (5791, None, self.relay.release, "release", "Refresh with lifetime 0 releases the channel"))
        cap.run(0.06)
        self.relay.released()
        cap.tail(9, 1.5)
