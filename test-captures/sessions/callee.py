# SPDX-License-Identifier: GPL-2.0-or-later
"""Session 2, facetime-callee: the local client is called, and yet sends the offer and controls ICE.

The report numbers no packet of this session.
"""

from background import Background
from legacy import PORT, Check, Media, Signalling, direct

from .common import (CLIENT, CLIENT_IP, OFFICE, PEER_HOST, RelayedEnds, before_the_call, connectivity, session,
                     set_up)


class Callee(RelayedEnds):
    def __init__(self):
        cap = session("facetime-callee", "Session 2: the local client is called.", (2015, 4, 7, 19, 4, 10))
        super().__init__(cap)
        cap.background = Background(cap, CLIENT_IP)
        before_the_call(cap, CLIENT_IP, 0.4)
        connectivity(cap, CLIENT_IP, 2.0)
        self.relay_and_sip()
        self.local_checks = cap.groups["checks of the local address"] = []
        self.to_host = direct(cap, 1, CLIENT, PEER_HOST)
        cap.after(0.02, self.try_local, self.local_checks)
        self.direct_path()
        cap.run(22)
        self.end()

    def relay_and_sip(self):
        cap, relay = self.cap, self.allocation()
        self.check_relay()
        cap.at(2.20, relay.allocate)
        cap.at(2.33, relay.allocated)
        self.queue_relay(2.90)
        self.sip = Signalling(cap, self.client, self.peer)
        cap.frame(110, set_up(cap, self.sip, self.up, self.down, 3.12, keys=2))
        cap.mark("first relayed media", 110)
        self.mine = Media(cap, self.client, self.up, self.peer, fps=15, pattern=(2, 1))
        self.theirs = Media(cap, self.peer, self.down, self.client, fps=15, pattern=(2, 1))
        self.mine.start()
        self.theirs.start(0.009)
        self.mine.reports(2.6)
        self.theirs.reports(3.1)

    def try_local(self):
        """The client goes on checking the caller's local address, all through the call."""
        cap, sent = self.cap, self.local_checks
        check = Check(self.client, self.client.host, self.peer.host, *self.to_host)
        sent.append(check.send())
        for delay in (0.25, 0.75):
            cap.after(delay, lambda: sent.append(check.send()), sent)
        cap.after(3.0, self.try_local, sent)

    def direct_path(self):
        cap = self.cap
        self.check_direct()
        cap.run(0.55)
        self.first.send()
        cap.run(0.001)
        self.first.answer()
        cap.run(0.004)
        self.nominated.send(nominate=1)
        cap.run(0.08)
        self.nominated.answer(mapped=(OFFICE, PORT))
        cap.mark("direct path confirmed")
        self.mine.path, self.theirs.path = self.out, self.into

    def end(self):
        cap = self.cap
        cap.cancel(self.local_checks)
        self.theirs.stop()
        self.sip.bye(self.into, "callee")
        cap.mark("bye", comment="the caller hangs up")
        cap.run(0.002)
        self.mine.stop()
        self.sip.bye_ok(self.out)
        self.relay.release()
        cap.mark("release")
        cap.run(0.06)
        self.relay.released()
        cap.tail(8, 1.2)
