# SPDX-License-Identifier: GPL-2.0-or-later
"""Session 5, facetime-dropmidcall: the direct path is blocked in the middle of the call."""

from background import Background
from legacy import PORT, Check, Media, Signalling, direct

from .common import (CHANNEL, CLIENT, CLIENT_IP, OFFICE, PEER, PEER_HOST, SECOND_RELAY, SECOND_RELAYED,
                     RelayedEnds, before_the_call, connectivity, queue, session, set_up, tell)

# video packets of the client up to frame 6892, so that this frame has sequence number 51593
VIDEO_BEFORE_6892 = 3185


class DropMidCall(RelayedEnds):
    def __init__(self):
        cap = session("facetime-dropmidcall", "Session 5: the direct path is blocked in the middle of the call.",
                      (2015, 4, 7, 20, 2, 40))
        super().__init__(cap)
        cap.background = Background(cap, CLIENT_IP)
        before_the_call(cap, CLIENT_IP, 0.7)
        connectivity(cap, CLIENT_IP, 2.4)
        self.start_as_usual()
        self.go_direct()
        self.block()
        self.use_both_paths()
        self.give_up()

    def start_as_usual(self):
        """Relay, SIP, a moment of relayed media."""
        cap, relay = self.cap, self.allocation()
        tell(cap, (92, 3.000, relay.allocate, "allocate", "the allocation of the channel used later"))
        self.check_relay()
        cap.at(3.12, relay.allocated)
        self.queue_relay(3.60)
        self.sip = Signalling(cap, self.client, self.peer)
        cap.frame(117, set_up(cap, self.sip, self.up, self.down, 3.81))
        self.mine = Media(cap, self.client, self.up, self.peer, fps=25, pattern=(7,),
                          video_seq=51593 - VIDEO_BEFORE_6892)
        self.theirs = Media(cap, self.peer, self.down, self.client, fps=25, pattern=(5,))
        self.mine.start()
        self.theirs.start(0.008)
        self.mine.reports(2.6)
        self.theirs.reports(3.1)

    def go_direct(self):
        cap = self.cap
        self.check_direct()
        cap.run_to_frame(134)
        self.first.send()
        self.first.answer()
        self.nominated.send(nominate=1)
        cap.run_to_frame(148)
        self.nominated.answer(mapped=(OFFICE, PORT))
        cap.mark("direct path confirmed")
        self.mine.path, self.theirs.path = self.out, self.into
        tell(cap, (150, None, self.relay.release, "release", "the allocation is released"))
        cap.after(0.06, self.relay.released)

    def block(self):
        self.cap.run_to_frame(6217)
        self.theirs.stop()
        if self.cap.truth[6216]["sender"] != "peer":
            raise ValueError("frame 6216 must be the peer's last packet")
        self.cap.mark("last packet of the peer", 6216, "report: the last packet from the peer; path blocked")

    def use_both_paths(self):
        """Fewer packets, and most of them twice."""
        cap, mine, push = self.cap, self.mine, self.cap.background.push
        cap.run_to_frame(6892)
        mine.fps, mine.pattern = 20, (2, 2, 2, 3)
        mine.also, mine.copied = self.up, lambda kind, index: kind == "audio" or index % 5
        cap.run_to_frame(6894)
        cap.mark("sent directly", 6892, "report: RTP sequence number 51593, direct")
        cap.mark("sent over the relay too", 6893,
                 "report: the same packet in ChannelData, channel released in 150")
        tell(cap, (9252, None, lambda: push.tls("server", 145), "signalling",
                   "signalling, sixteen seconds after the block"))
        queue(cap, cap.clock, (0.04, lambda: push.ack("client")), (0.9, lambda: push.tls("client", 188)),
              (0.95, lambda: push.ack("server")))

    def give_up(self):
        """The end, and in the middle of it the restart."""
        cap, sip = self.cap, self.sip
        cap.run_to_frame(9598)
        self.mine.stop()
        sip.bye(self.up, reason='*;cause=291;text="Remote Hang Up"')
        cap.mark("bye 1", comment="report: SIP BYE via the TURN server, 18 s after the interruption")
        at = cap.clock
        again = Restart(cap)
        tell(cap, (9600, at + 0.06, again.allocation().allocate, "restart",
                   "the call is restarted: allocation with a token"))
        again.go_on(at + 0.06)
        tell(cap,
             (9605, at + 0.5, lambda: sip.bye(self.up), "bye 2", "BYE repeated"),
             (9623, at + 1.5, lambda: sip.bye(self.up), "bye 3", "BYE repeated"),
             (9633, at + 3.5, lambda: sip.bye(self.up), "bye 4", "BYE repeated; no response is ever received"))
        again.talk()


class Restart(RelayedEnds):
    """The second call: relay alone, because the direct path stays blocked."""

    def __init__(self, cap):
        super().__init__(cap, 2, (SECOND_RELAY, SECOND_RELAYED), CHANNEL + 1)
        cap.restarts.add(2)

    def go_on(self, start):
        """Queue relay and checks: 13 packets in just over three seconds."""
        cap, client, peer = self.cap, self.client, self.peer
        self.check_relay()
        local = Check(client, client.host, peer.host, *direct(cap, 2, CLIENT, PEER_HOST))
        public = Check(client, client.reflexive, peer.reflexive, *direct(cap, 2, CLIENT, PEER))
        queue(cap, start, (0.12, self.relay.allocated),
              (0.80, self.bind), (0.801, self.relayed.send), (0.86, self.bound),
              (0.862, local.send), (0.863, public.send),
              (0.92, lambda: self.relayed_answer(listed=peer.candidates)),
              (0.922, self.back.send), (0.924, lambda: self.back.answer(mapped=PEER)),
              (1.113, public.send), (1.613, public.send),
              (3.00, lambda: self.relayed.send(nominate=1)), (3.09, self.relayed_answer))

    def talk(self):
        """SIP and two seconds of media over the relay, then a proper end."""
        cap = self.cap
        sip = Signalling(cap, self.client, self.peer)
        cap.run_to(set_up(cap, sip, self.up, self.down, cap.clock + 0.1, prefix="second "))
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
        cap.tail(6, 2.0)   # the capture goes on for four seconds after the last copy of the first call's BYE
