# SPDX-License-Identifier: GPL-2.0-or-later
"""Session 4, facetime-samenet-nop2p: direct packets are blocked, and how the devices get round it."""

from legacy import PORT, Allocation, Check, Device, Media, Signalling, direct

from .common import (CHANNEL, CLIENT, CLIENT_IP, OFFICE, RELAY, RELAYED, SECOND, SECOND_IP, SECOND_RELAY,
                     SECOND_RELAYED, before_the_call, connectivity, session, set_up, tell, two_backgrounds)

PUBLIC = (OFFICE, PORT)     # of both devices


class SameNetNoP2P:
    def __init__(self):
        self.cap = cap = session("facetime-samenet-nop2p",
                                 "Session 4: two devices in one network, direct packets blocked.",
                                 (2015, 4, 7, 19, 40, 5))
        self.calling = Device(cap, "calling", CLIENT, PUBLIC, controlling=True)
        self.called = Device(cap, "called", SECOND, PUBLIC)
        cap.background = two_backgrounds(cap)
        before_the_call(cap, CLIENT_IP, 0.6)
        before_the_call(cap, SECOND_IP, 2.1)
        connectivity(cap, CLIENT_IP, 3.2)
        connectivity(cap, SECOND_IP, 4.4)
        self.out, self.into = direct(cap, 1, CLIENT, SECOND)
        self.blocked()
        self.allocate()
        self.first_channel()
        self.second_channel()
        self.get_through()
        self.late_answer()
        self.talk()

    def blocked(self):
        """Direct checks: the local address (dropped), the public one (refused)."""
        cap, calling, called = self.cap, self.calling, self.called
        to_public = direct(cap, 1, CLIENT, PUBLIC)
        dropped = Check(calling, calling.host, called.host, self.out, self.into)
        tell(cap, (357, 6.000, dropped.send, "check of local address",
                   "to the peer's local address; dropped by iptables"))
        refused = Check(calling, calling.host, called.reflexive, *to_public)
        tell(cap,
             (364, 6.060, refused.send, "check of public address", "to the public address of the peer"),
             (366, 6.066, lambda: cap.unreachable(OFFICE, 364, call=1), "unreachable",
              "ICMP destination unreachable"))
        cap.at(6.250, dropped.send)
        cap.at(6.750, dropped.send)

    def allocate(self):
        self.relay = Allocation(self.cap, 1, self.calling, RELAY, RELAYED)
        self.second = Allocation(self.cap, 1, self.called, SECOND_RELAY, SECOND_RELAYED)
        tell(self.cap,
             (417, 6.800, self.relay.allocate, "first allocate", "TURN allocation of the first client"),
             (418, 6.915, self.relay.allocated, "first allocate response",
              "its response: XOR-MAPPED-ADDRESS is the public address and 16402"),
             (439, 7.100, self.second.allocate, "second allocate", "TURN allocation of the second client"),
             (448, 7.220, self.second.allocated, "second allocate response",
              "its response: XOR-MAPPED-ADDRESS is the same again"))

    def first_channel(self):
        cap = self.cap
        tell(cap, (475, 7.500, lambda: self.relay.bind(CHANNEL, PUBLIC), "first bind",
                   "channel to the server-reflexive candidate of the peer"))
        check = Check(self.calling, self.calling.relayed, self.called.reflexive,
                      *self.relay.paths(CHANNEL, PUBLIC), listed=self.calling.candidates)
        cap.at(7.502, check.send)
        cap.at(7.555, lambda: self.relay.bound(CHANNEL))
        cap.at(7.752, check.send)

    def second_channel(self):
        """The second client's bind gets lost; it uses the channel all the same."""
        cap = self.cap
        tell(cap, (508, 7.800, lambda: self.second.bind(CHANNEL, PUBLIC), "second bind",
                   "another channel binding; this one gets lost"))
        check = Check(self.called, self.called.relayed, self.calling.reflexive,
                      *self.second.paths(CHANNEL, PUBLIC), listed=self.called.candidates)
        for when in (7.802, 8.052, 8.302):
            cap.at(when, check.send)

    def get_through(self):
        """A check of each side makes the hole."""
        back = Check(self.called, self.called.host, self.calling.host, self.into, self.out)
        tell(self.cap, (549, 8.180, back.send, "hole", "a Binding request of the other client makes the hole"))
        through = Check(self.calling, self.calling.host, self.called.host, self.out, self.into)
        tell(self.cap,
             (556, 8.250, through.send, "check that gets through", "the Binding request that gets through"),
             (557, 8.253, through.answer, "its answer", "the other client responds"),
             (561, 8.280, back.send),
             (562, 8.283, back.answer),
             (571, 8.310, lambda: through.send(nominate=1)),
             (572, 8.313, through.answer))
        self.cap.mark("nomination", 571)

    def late_answer(self):
        second = self.second
        tell(self.cap,
             (578, 8.400, lambda: second.bind(CHANNEL, PUBLIC), "second bind again",
              "resent with the same transaction id"),
             (585, 8.560, second.release, "release", "lifetime 0 releases the channel"),
             (589, 8.600, lambda: second.bound(CHANNEL), "second bind response",
              "the response, 0.8 s after the first request"))
        self.cap.at(8.615, second.released)
        self.cap.at(8.700, self.relay.release)
        self.cap.at(8.755, self.relay.released)

    def talk(self):
        cap = self.cap
        sip = Signalling(cap, self.calling, self.called)
        cap.frame(625, set_up(cap, sip, self.out, self.into, 8.760, keys=2))
        mine = Media(cap, self.calling, self.out, self.called, fps=15, pattern=(2, 1))
        theirs = Media(cap, self.called, self.into, self.calling, fps=15, pattern=(2, 1))
        mine.start()
        theirs.start(0.006)
        mine.reports(2.5)
        theirs.reports(3.2)
        cap.run(20)
        mine.stop()
        sip.bye(self.out)
        cap.mark("bye")
        cap.run(0.003)
        theirs.stop()
        sip.bye_ok(self.into)
        cap.tail(10, 1.2)
