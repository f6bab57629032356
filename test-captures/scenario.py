# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture in the making: a clock, a queue of things to come, the frames and the truth about them.

Truth of a frame is a dict. Every frame has

    number, time       1.., and seconds since the first frame
    kind, generation   as facetime.kind / facetime.generation must read; None = not FaceTime's
    path               relay, direct, server or None
    call               number of the call; None for traffic of no call
    precedes           number of the call that this server traffic leads to, else None
    events             names of the events that must stand on the frame (events.py)
    may                events that may stand there as well: their rules leave the frame open

and, where they apply:

    src, dst           [address, port] of the datagram
    channel            ChannelData's number; indication: send or data
    peer               [address, port] behind the channel
    stun               {method, class, txid, attributes}, and beside it nominates, reserved, lifetime,
                       error, binds {channel, peer}
    sip                {method, status (None = request), cseq, call_id, content_type, body}
    rtp                {ssrc, seq, ts, pt, marker}; sender: name of the device; link: modern link id
    elements           [truth] of each packet of a relay's datagram of several, which has the kind of the first, or
                       where one is RTP, kind and rtp of the first that is
    ratchet_changed    the RTP packet is its sender's first with another key id
    rtcp               {types}
    response_to        frame of the request (its last copy)
    retransmission_of  frame of the first copy
    copy_of            frame of the same RTP packet on another path
    quotes             frame in an ICMP error; reporter: whose error it is
    http               request or response of the connectivity check
    fields             {display-filter name: [values written]}
"""

import heapq
import random

from wire import truth_of
from wire import packets
from wire.packets import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, is_ipv6

GATEWAY_MAC = "00:13:37:a5:2b:01"
MACS = {
    "172.16.42.187": "f0:db:e2:31:5c:87",
    "172.16.42.185": "54:e4:3a:0d:77:85",
}
LOCAL_TTL, FAR_TTL = 64, 50


def elements_of(frame):
    """The packets of a datagram: each a truth of its own."""
    return frame.get("elements") or [frame]


def media_of(frame):
    """The RTP of a frame, by packet."""
    return [element["rtp"] for element in elements_of(frame) if "rtp" in element]


def micros(seconds):
    return round(seconds * 1_000_000)


class Capture:
    """Frames in the order of time. Seconds in calls count from the start of the capture."""

    def __init__(self, name, shows, start, linktype=packets.LINKTYPE_ETHERNET, vlan=None, comment=None,
                 local=None):
        """start: seconds since 1970. local: addresses on the capturing side besides those of MACS."""
        self.name, self.shows, self.start = name, shows, micros(start)
        self.linktype, self.vlan, self.comment = linktype, vlan, comment or shows
        self.local = set(MACS) | set(local or ())
        self.rng = random.Random(name)
        self.now = self.start
        self.packets, self.truth, self.comments = [], {}, {}
        self.landmarks, self.groups = {}, {}            # name: frame number; name: frame numbers
        self.idents = {}
        self.queue, self.order = [], 0
        self.background = None
        # numbers of calls: that repeat the one before; of which it is open what packet shows the start
        self.restarts, self.start_open = set(), set()

    # --- time -----------------------------------------------------------------------------------

    @property
    def next_frame(self):
        return len(self.packets) + 1

    @property
    def clock(self):
        """Seconds since the start."""
        return (self.now - self.start) / 1_000_000

    def at(self, seconds, action, owner=None):
        """Run `action()` at this time of the capture, or at once if it is past."""
        self.order += 1
        when = max(self.start + micros(seconds), self.now)
        heapq.heappush(self.queue, (when, self.order, action, owner))

    def after(self, delay, action, owner=None):
        self.at(self.clock + delay, action, owner)

    def cancel(self, owner):
        """Forget what this owner has queued."""
        self.queue = [entry for entry in self.queue if entry[3] is not owner]
        heapq.heapify(self.queue)

    def _step(self):
        when, _, action, _ = heapq.heappop(self.queue)
        self.now = max(self.now, when)
        action()

    def run_to(self, seconds):
        """Let time pass to this second."""
        end = self.start + micros(seconds)
        while self.queue and self.queue[0][0] <= end:
            self._step()
        self.now = max(self.now, end)

    def run(self, seconds):
        """Let so many seconds pass."""
        self.run_to(self.clock + seconds)

    def run_to_frame(self, number):
        """Let what is under way go on until the next packet will be frame `number`."""
        while self.next_frame < number:
            self._step()
        if self.next_frame != number:
            raise ValueError(f"{self.name}: frame {number} was passed, next is {self.next_frame}")

    def frame(self, number, seconds):
        """Make the next packet frame `number` at this time: background packets fill the gap.

        What is queued for the time between must be of one packet an entry.
        """
        end = self.start + micros(seconds)
        queued = sum(when <= end for when, *_ in self.queue)
        missing = number - self.next_frame - queued
        if missing < 0:
            raise ValueError(f"{self.name}: {-missing} packets too many before frame {number}")
        span = (seconds - self.clock) / (missing + 1)
        begin = self.clock
        for i in range(missing):
            jitter = (self.rng.getrandbits(10) / 1024 - 0.5) * 0.8
            self.at(begin + span * (i + 1 + jitter), self.background)
        self.run_to(seconds)
        if self.next_frame != number:
            raise ValueError(f"{self.name}: next is {self.next_frame}, not {number}")

    def tail(self, count, seconds):
        """So many background packets in so many seconds."""
        self.frame(self.next_frame + count, self.clock + seconds)

    # --- packets --------------------------------------------------------------------------------

    def _mac(self, address):
        if address in MACS:
            return MACS[address]
        if address in self.local:
            return f"02:00:00:00:00:{packets.ip_bytes(address)[-1]:02x}"
        return GATEWAY_MAC

    def _network(self, src, dst, protocol, payload, tos):
        if is_ipv6(src):
            return packets.ipv6(src, dst, protocol, payload, traffic_class=tos)
        ident = self.idents[src] = (self.idents.get(src, 0x1000) + 1) & 0xFFFF
        ttl = LOCAL_TTL if src in self.local else FAR_TTL
        return packets.ipv4(src, dst, protocol, payload, ident, ttl, tos)

    def ip(self, src, dst, protocol, payload, tos=0, /, **truth):
        """Write one frame now; returns its number."""
        self.now = max(self.now, self.packets[-1][0] + 30 if self.packets else self.now)
        packet = self._network(src, dst, protocol, payload, tos)
        if self.linktype == packets.LINKTYPE_ETHERNET:
            packet = packets.ethernet(self._mac(src), self._mac(dst), packet, self.vlan)
        number = self.next_frame
        self.packets.append((self.now, packet))
        self.truth[number] = {
            "number": number, "time": (self.now - self.packets[0][0]) / 1_000_000, "kind": None,
            "generation": None, "path": None, "call": None, "precedes": None, "events": [], "may": [],
            **{key: value for key, value in truth.items() if value is not None}}
        return number

    def udp(self, src, dst, payload, tos=0, **truth):
        """A datagram; src and dst are (address, port). A Wire's own truth is kept."""
        return self.ip(src[0], dst[0], PROTO_UDP, packets.udp(src, dst, payload), tos,
                       **{"src": list(src), "dst": list(dst), **truth_of(payload), **truth})

    def tcp(self, src, dst, seq, ack, flags, payload=b"", **truth):
        return self.ip(src[0], dst[0], PROTO_TCP, packets.tcp(src, dst, seq, ack, flags, payload), **truth)

    def unreachable(self, reporter, quoted, code=3, keep=548, **truth):
        """ICMP destination unreachable from `reporter` to the sender of frame `quoted`, of which the
        first `keep` bytes of IP are quoted."""
        frame = self.packets[quoted - 1][1]
        if self.linktype == packets.LINKTYPE_ETHERNET:
            frame = frame[18 if self.vlan is not None else 14:]
        sender = self.truth[quoted]["src"][0]
        if is_ipv6(sender):
            return self.ip(reporter, sender, PROTO_ICMPV6,
                           packets.icmpv6(reporter, sender, 1, 4, 0, frame[:keep]),
                           quotes=quoted, reporter=reporter, **truth)
        return self.ip(reporter, sender, PROTO_ICMP, packets.icmp(3, code, 0, frame[:keep]),
                       quotes=quoted, reporter=reporter, **truth)

    # --- what tests and readers find by name ----------------------------------------------------

    def mark(self, name, number=None, comment=None):
        """Name a frame (the last one by default); a comment is shown by Wireshark with the packet."""
        number = number or len(self.packets)
        self.landmarks[name] = number
        if comment:
            self.comments[number] = comment
        return number

    def random(self, count):
        return self.rng.getrandbits(8 * count).to_bytes(count, "big") if count else b""

    def file_bytes(self):
        rows = ((when, frame, self.comments.get(number))
                for number, (when, frame) in enumerate(self.packets, 1))
        return packets.pcapng(self.linktype, self.comment, rows)
