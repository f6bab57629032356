# SPDX-License-Identifier: GPL-2.0-or-later
"""Session 3, facetime-samenet: both devices behind the access point; the called one is ICE-CONTROLLED."""

from legacy import PORT, Allocation, Check, Device, Media, Signalling, direct

from .common import (CHANNEL, CLIENT, CLIENT_IP, OFFICE, RELAY, RELAYED, SECOND, SECOND_IP, SECOND_RELAY,
                     SECOND_RELAYED, before_the_call, connectivity, session, set_up, tell, two_backgrounds)


class SameNet:
    def __init__(self):
        self.cap = cap = session("facetime-samenet", "Session 3: two devices in one network.",
                                 (2015, 4, 7, 19, 21, 30))
        self.called = Device(cap, "called", CLIENT, (OFFICE, 1024))
        self.calling = Device(cap, "calling", SECOND, (OFFICE, PORT), controlling=True)
        cap.background = two_backgrounds(cap)
        before_the_call(cap, SECOND_IP, 0.3)
        before_the_call(cap, CLIENT_IP, 0.9)
        connectivity(cap, SECOND_IP, 1.5)
        connectivity(cap, CLIENT_IP, 2.2)
        self.out, self.into = direct(cap, 1, CLIENT, SECOND)
        self.unanswered()
        self.answered()
        self.start_media()
        self.give_up_the_relays()
        self.go_on_checking()
        self.end()

    def unanswered(self):
        """The called device starts, and gets no answer for a while."""
        cap = self.cap
        self.to_public = direct(cap, 1, CLIENT, (OFFICE, PORT))
        public = Check(self.called, self.called.host, self.calling.reflexive, *self.to_public)
        self.local = [Check(self.called, self.called.host, self.calling.host, self.out, self.into)
                      for _ in range(2)]
        tell(cap,
             (71, 3.000, public.send, "check of public address",
              "to the peer's public address, ICE-CONTROLLED"),
             (82, 3.05, self.local[0].send, "check of local address 82", "to the peer's local address"),
             (101, 3.30, self.local[1].send, "check of local address 101", "to the peer's local address"))
        self.relay = Allocation(cap, 1, self.called, RELAY, RELAYED)
        tell(cap,
             (135, 3.800, self.relay.allocate, "first allocate", "relayed candidate, the checks being unanswered"),
             (138, 3.915, self.relay.allocated, "first allocate response", "its response"))

    def answered(self):
        """The calling device answers, checks, nominates; yet it allocates too."""
        cap = self.cap
        back = Check(self.calling, self.calling.host, self.called.host, self.into, self.out)
        tell(cap,
             (169, 4.500, self.local[0].answer, "first local answer", "the answer, after quite a while"),
             (170, 4.501, back.send),
             (171, 4.503, self.local[1].answer, "second local answer", "the other answer"),
             (172, 4.506, back.answer))
        self.second = Allocation(cap, 1, self.calling, SECOND_RELAY, SECOND_RELAYED)
        tell(cap,
             (178, 4.520, self.second.allocate, "second allocate", "yet the second client allocates"),
             (182, 4.540, lambda: back.send(nominate=1), "nomination", "USE-CANDIDATE"),
             (183, 4.543, back.answer))
        cap.at(4.62, self.second.allocated)

    def start_media(self):
        cap = self.cap
        self.sip = Signalling(cap, self.calling, self.called)
        cap.frame(192, 4.640)
        done = set_up(cap, self.sip, self.into, self.out, 4.640, keys=2)
        cap.run_to(4.640)
        cap.mark("invite", comment="report: SIP INVITE")
        cap.frame(211, done)
        self.mine = Media(cap, self.called, self.out, self.calling, fps=15, pattern=(2, 1))
        self.theirs = Media(cap, self.calling, self.into, self.called, fps=15, pattern=(2, 1))
        self.mine.start()
        self.theirs.start(0.006)
        self.mine.reports(2.7)
        self.theirs.reports(3.3)

    def give_up_the_relays(self):
        cap, second = self.cap, self.second
        tell(cap, (229, None, self.relay.release, "first release", "the first client releases its allocation"))
        cap.after(0.055, self.relay.released)
        tell(cap, (252, None, lambda: second.bind(CHANNEL, (OFFICE, 1024)), "second bind",
                   "ChannelBind for the NAT router's address, port 1024"))
        cap.run(0.055)
        second.bind_refused(CHANNEL)
        cap.mark("mismatch", comment="report: allocation mismatch")
        cap.run(0.11)
        second.release()
        cap.mark("second release", comment="report: gives up with a lifetime of 0")
        cap.run(0.055)
        second.release_refused()
        cap.mark("second mismatch")

    def go_on_checking(self):
        """Both check the public address all through the call."""
        cap, called, calling = self.cap, self.called, self.calling
        sent = cap.groups["checks of the public address"] = []

        def check(device, frm, to, paths):
            sent.append(Check(device, frm, to, *paths).send())
            cap.after(2.5, lambda: check(device, frm, to, paths), sent)
        to_public = direct(cap, 1, SECOND, (OFFICE, PORT))
        check(called, called.host, calling.reflexive, self.to_public)
        cap.run(0.4)
        check(calling, calling.host, called.reflexive, to_public)
        cap.run(20)
        cap.cancel(sent)

    def end(self):
        cap = self.cap
        self.mine.stop()
        self.sip.bye(self.out, "callee")
        cap.mark("bye")
        cap.run(0.003)
        self.theirs.stop()
        self.sip.bye_ok(self.into)
        cap.tail(10, 1.2)
