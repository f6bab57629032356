# SPDX-License-Identifier: GPL-2.0-or-later
"""The five sessions of the report "FaceTime Exposed" (2015), rebuilt from its text, one module each.

Frame numbers, addresses and ports are the report's; what it doesn't say is filled in (README.md). The
rows of `tell()` are the report's own packets: their comment, `report: ...`, is kept in the file and
shown by Wireshark with the packet.
"""

import calendar
import itertools

from background import Background, ConnectivityCheck
from legacy import PORT, Allocation, Check, Device, NatTest, direct
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


def tell(cap, *rows):
    """Pinned packets. Row: frame number, seconds (None = let media run up to it), action, and for the
    report's own: landmark, what the report says."""
    for number, seconds, action, *named in rows:
        if seconds is None:
            cap.run_to_frame(number)
        else:
            cap.frame(number, seconds)
        action()
        if named:
            cap.mark(named[0], number, "report: " + named[1])


def queue(cap, start, *rows):
    """Packets that may fall on any frame. Row: delay, action."""
    for delay, action in rows:
        cap.at(start + delay, action)


def in_turns(*actions):
    """An action that does one of these after the other, over and over."""
    turn = itertools.cycle(actions)
    return lambda: next(turn)()


def two_backgrounds(cap):
    return in_turns(Background(cap, CLIENT_IP), Background(cap, SECOND_IP))


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


class RelayedEnds:
    """The local client and the far peer, with an allocation of the client's: sessions 1, 2 and 5."""

    def __init__(self, cap, call=1, relay=(RELAY, RELAYED), channel=CHANNEL, mine=None, theirs=None):
        """mine, theirs: (audio SSRC, video SSRC) where the report has them."""
        self.cap, self.channel = cap, channel
        self.client = Device(cap, "client", CLIENT, (OFFICE, PORT), *[None] + list(mine or ()),
                             controlling=True)
        self.peer = Device(cap, "peer", PEER, None, PEER_HOST, *theirs or ())
        self.relay_addresses, self.call = relay, call

    def allocation(self):
        """Made when the story gets there: it draws its token."""
        self.relay = Allocation(self.cap, self.call, self.client, *self.relay_addresses)
        self.up, self.down = self.relay.paths(self.channel, PEER)
        return self.relay

    def bind(self):
        return self.relay.bind(self.channel, PEER)

    def bound(self):
        return self.relay.bound(self.channel)

    def check_relay(self, **form):
        """Checks through the relay: the client's, which lists its candidates, and the peer's."""
        self.relayed = Check(self.client, self.client.relayed, self.peer.reflexive, self.up, self.down,
                             listed=self.client.candidates, **form)
        self.back = Check(self.peer, self.peer.reflexive, self.client.relayed, self.down, self.up)

    def relayed_answer(self, **listed):
        return self.relayed.answer(mapped=self.relay.relayed, **listed)

    def queue_relay(self, start):
        """Bind, checks and nomination: 9 packets in 0.21 s, on any frames."""
        queue(self.cap, start,
              (0, lambda: self.cap.mark("bind", self.bind())), (0.001, self.relayed.send), (0.06, self.bound),
              (0.11, lambda: self.relayed_answer(listed=self.peer.candidates)), (0.112, self.back.send),
              (0.114, lambda: self.back.answer(mapped=PEER)),
              (0.116, lambda: self.relayed.send(nominate=1)), (0.21, self.relayed_answer))

    def check_direct(self):
        """Checks of the public addresses: the peer's first, then the client's, which nominates."""
        self.out, self.into = direct(self.cap, self.call, CLIENT, PEER)
        self.first = Check(self.peer, self.peer.reflexive, self.client.reflexive, self.into, self.out)
        self.nominated = Check(self.client, self.client.reflexive, self.peer.reflexive, self.out, self.into)


def set_up(cap, sip, out, back, start, keys=0, prefix=""):
    """Queue INVITE to ACK, then so many SKE MESSAGEs of each side; returns when that is done.

    out and back: the Paths of who sends the INVITE. 5 packets, and 4 for each of `keys`.
    """
    for delay, step, path in ((0.0, sip.invite, out), (0.094, sip.trying, back), (0.097, sip.ringing, back),
                              (0.171, sip.ok, back), (0.175, sip.ack, out)):
        cap.at(start + delay, lambda step=step, path=path: cap.mark(prefix + step.__name__, step(path)))
    at = start + 0.18
    for fragment in range(keys):
        for sender, path, reply_path in (("caller", out, back), ("callee", back, out)):
            sip.key_message(at, sender, path, reply_path, fragment)
            at += 0.05
    return at
