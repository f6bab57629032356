# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that never were: two ends, a relay between them, what is sent, lost, late and copied, and captures of it.

    plan = Plan(seed=7, mode="one-to-one", losses={"B:down": Loss(rate=0.02)})
    call = Call(plan)                    the whole call, packet by packet, in true time
    capture = call.capture("A")          what a capture at end A has
    capture.write()                      bytes of a file
    capture.streams()                    each stream's sightings; quality.py makes the figures of them

    python3 simulate.py SEED FILE        the call of that seed of test_quality.py, to look at

Independent of the plugin: wire formats are those of test-captures/wire (from captures and published notes),
and what is true is known because it was made, never read back from bytes.

Times are seconds of true time from the call's start. A sender's clock may be off (ppm); RTP counts in it.

    hops of what A sends   A:up -> relay -> B:down      through the relay
                           A:direct                     directly
"""

import dataclasses
import heapq
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "test-captures"))
import legacy                                                   # noqa: E402
import scenario                                                 # noqa: E402
from wire import modern, packets, rtp, sip, snatmap, stun      # noqa: E402

START = 1_700_000_000           # of true time, seconds since 1970
ENDS = ("A", "B")
OTHER = {"A": "B", "B": "A"}
STAMPS = 1024                   # per second, of the audio extension
EF, AF41 = 46, 34
MODERN_CLOCK, LEGACY_VIDEO_CLOCK = 24000, 90000
SAFE = 4                        # packets at a sequence's beginning that arrive in order: RFC 3550's probation
RESTART_JUMP = 20000            # between RFC 3550's MAX_DROPOUT and 2^16 - MAX_MISORDER
QUIET = 80                      # packets on either side of a restart that nothing befalls


# Plans

@dataclasses.dataclass
class Loss:
    """rate: share of packets lost one by one; bursts: (chance that one begins at a packet, its length);
    windows: (from, to) in which all are lost; only: the media that it befalls."""
    rate: float = 0.0
    bursts: tuple = (0.0, 0)
    windows: tuple = ()
    only: tuple = ("audio", "video")


@dataclasses.dataclass
class Plan:
    """One call. Windows are (from, to) in seconds of media, which begins at media_at."""
    seed: int = 0
    mode: str = "one-to-one"            # or "multiway" (both modern), "legacy"
    seconds: float = 30.0
    media_at: float = 2.0
    audio: str = "AAC-ELD"              # or "RED", "EVS"; legacy: AAC-ELD
    trailer: int = 2023                 # or 2026: short key ids, authentication tags one-to-one
    fps: float = 30.0
    slow: tuple = ()                    # (from, to, frames per second)
    pauses: tuple = ()                  # the camera stands still: (from, to, ends)
    thin: tuple = ()                    # (from, to, factor): smaller pictures
    dtx: tuple = ()                     # (from, to): comfort noise
    mute: tuple = ()                    # (from, to, ends, media): nothing is sent
    restart: float = None               # sequence numbers of A's and B's audio and video start anew
    paths: tuple = ((0, "relay"),)      # (from, path)
    doubled: tuple = ()                 # (from, to): each packet on both paths
    delay: dict = dataclasses.field(default_factory=lambda: {"up": .012, "down": .016, "direct": .02})
    wobble: float = .003                # of each hop: up to so much more
    losses: dict = dataclasses.field(default_factory=dict)      # hop: Loss
    overtaken: float = 0.0              # share of packets that a hop holds up
    stalls: dict = dataclasses.field(default_factory=dict)      # hop: (from, to): it holds all up
    ppm: dict = dataclasses.field(default_factory=lambda: {"A": 20.0, "B": -30.0})
    video: bool = True
    # signalling
    answers: bool = True                # the direct checks are answered
    rings_after: float = .08            # INVITE to 180
    ending: str = "A"                   # who hangs up; "none"; "unanswered" (BYE; legacy)
    outcome: str = "answered"           # legacy: or "busy", "declined", "cancelled"
    moves_at: float = None              # A's own address changes (seconds of media), after so much silence:
    moves_for: float = .4
    goes_on: float = 6.0                # true time that the capture goes on after the end


class Hop:
    """A way that packets pass in order, but for those that it holds up."""

    def __init__(self, rng, delay, wobble, loss=None, overtaken=0.0, stall=(0, 0)):
        self.rng, self.delay, self.wobble, self.loss, self.stall = rng, delay, wobble, loss or Loss(), stall
        self.overtaken, self.last, self.burst = overtaken, 0.0, 0

    def carry(self, when, packet=None, offset=0.0, ordered=False):
        """When it arrives, or None. Without a packet, or a protected one: always."""
        arrival = when + self.delay + self.rng.random() * self.wobble
        if packet is None and not ordered:
            return arrival
        if packet and self.stall[0] <= when - offset < self.stall[1]:
            arrival = offset + self.stall[1] + self.delay
        if packet and not packet.protected:
            if self._loses(when - offset, packet.stream.medium):
                return None
            if self.rng.random() < self.overtaken:
                return arrival + .015 + .04 * self.rng.random()
        self.last = max(arrival, self.last + 20e-6)
        return self.last

    def _loses(self, when, medium):
        if medium not in self.loss.only:
            return False
        if self.burst == 0 and self.rng.random() < self.loss.bursts[0]:
            self.burst = self.loss.bursts[1]
        if self.burst:
            self.burst -= 1
            return True
        return self.rng.random() < self.loss.rate or within(when, self.loss.windows)


def within(when, windows):
    for begin, end, *_ in windows:  # any() takes three times as long, and this is asked of each packet at each hop
        if begin <= when < end:
            return True
    return False


# What is sent

@dataclasses.dataclass(eq=False)
class Packet:
    """An RTP packet. index counts within its epoch: a restart of the numbers begins an epoch."""
    stream: object
    index: int
    epoch: int
    ticks: int                  # media clock since the stream's first packet was due
    payload_type: int
    sent: float
    frame: int = None           # video: number of the picture
    of_frame: int = 1           # and how many packets it has
    parity: bool = False
    protected: bool = False
    stamp: int = None           # audio extension: 1/1024 s, not wrapped
    echoed: object = None       # the other end's packet whose stamp it echoes
    reported: int = None        # audio packets that its sender says it has received
    wire: bytes = b""
    lost_at: dict = dataclasses.field(default_factory=dict)     # path: the hop that lost it, None if it came
    arrivals: dict = dataclasses.field(default_factory=dict)    # path: when

    @property
    def seconds(self):
        return self.ticks / self.stream.clock


class Stream:
    """What one end sends under one SSRC."""

    def __init__(self, call, end, medium):
        rng = call.rng
        self.call, self.end, self.medium = call, end, medium
        self.ssrc = rng.getrandbits(31) | 1 << 30
        self.first_seq, self.first_ts = rng.getrandbits(16), rng.getrandbits(32)
        legacy_video = call.plan.mode == "legacy" and medium == "video"
        self.clock = LEGACY_VIDEO_CLOCK if legacy_video else MODERN_CLOCK
        self.count, self.epoch, self.octets = 0, 0, 0
        self.packets = []

    def seq(self, index, epoch):
        return self.first_seq + index + epoch * RESTART_JUMP & 0xFFFF

    def ts(self, ticks):
        return self.first_ts + ticks & 0xFFFFFFFF


@dataclasses.dataclass
class Record:
    """A datagram at a capture point."""
    time: float
    src: tuple
    dst: tuple
    payload: bytes
    tos: int = 0
    ident: int = 0
    outgoing: bool = True
    packet: Packet = None       # the RTP in it
    path: str = None
    mirrored: bool = False      # the same datagram, seen again
    raw: bytes = None           # whole IP packet where it isn't UDP
    number: int = 0             # frame
    stamp: int = 0              # what the capture's clock says, microseconds since 1970

    def again(self, **changes):
        """Another one, as dataclasses.replace() makes it; that and copy.copy() take many times as long."""
        other = object.__new__(Record)
        other.__dict__.update(self.__dict__, **changes)
        return other

    def ip(self):
        if self.raw:
            return self.raw
        udp = packets.udp(self.src, self.dst, self.payload)
        return packets.ipv4(self.src[0], self.dst[0], packets.PROTO_UDP, udp, self.ident,
                            64 if self.outgoing else 50, self.tos)


class Place:
    """Where an end is: address at home and outside, its relay, what its capture calls them."""

    def __init__(self, end, port):
        hosts = {"A": ("192.168.1.10", "203.0.113.7"), "B": ("192.168.77.20", "198.51.100.20")}[end]
        self.end, self.port = end, port
        self.host, self.public = (hosts[0], port), (hosts[1], port)
        self.moved = ("10.127.22.118" if end == "A" else "10.99.3.4", port)


class Call:
    """Everything that happens, made in the order of time."""

    def __init__(self, plan, start=0.0):
        self.plan, self.start = plan, start
        self.rng = random.Random(f"{plan.seed} {plan.mode}")
        self.modern = plan.mode != "legacy"
        self.places = {e: Place(e, 16393 if self.modern else 16402) for e in ENDS}
        self.relays = {"A": ("17.167.200.5", 3482), "B": ("17.110.8.44", 3489)}
        self.mki = {e: modern.new_mki(self.rng) for e in ENDS}
        self.participants = {e: self.rng.randbytes(8) for e in ENDS}
        self.links = {"A": 0x5811, "B": 0x5813}
        media = ("audio", "video") if plan.video else ("audio",)
        self.streams = [Stream(self, e, m) for e in ENDS for m in media]
        if self.modern:         # both media of an end are on one timeline
            for stream in self.streams:
                stream.first_ts = self.streams[0 if stream.end == "A" else len(media)].first_ts
        self.hops = {}
        for e in ENDS:
            for name, delay in ((f"{e}:up", plan.delay["up"]), (f"{e}:relay", .0005),
                                (f"{e}:down", plan.delay["down"]), (f"{e}:direct", plan.delay["direct"])):
                self.hops[name] = Hop(self.rng, delay, plan.wobble if "relay" not in name else 0,
                                      plan.losses.get(name), plan.overtaken if "relay" not in name else 0,
                                      plan.stalls.get(name, (0, 0)))
        self.records = {e: [] for e in ENDS}
        self.under_way, self.order = [], 0
        self.heard = {e: None for e in ENDS}            # last stamped packet of the other
        self.heard_audio = dict.fromkeys(ENDS, 0)
        self.heard_bits = dict.fromkeys(ENDS, 0)
        self.relayed_in, self.relayed_out = dict.fromkeys(ENDS, 0), dict.fromkeys(ENDS, 0)
        self.counter, self.counted_at = dict.fromkeys(ENDS, 0), dict.fromkeys(ENDS, -1.0)
        self.reports, self.allocations = {}, {}        # RTCP: (sent as NTP, arrived) by end and medium
        self._signalling()
        if plan.outcome == "answered":
            self._media()

    # --- media ----------------------------------------------------------------------------------

    def _media(self):
        slots = [slot for stream in self.streams for slot in self._slots(stream)]
        slots += [(self.plan.media_at + at, None, end) for end in ENDS if not self.modern
                  for at in range(2, int(self.plan.seconds), 5)]
        slots.sort(key=lambda slot: slot[0])
        for when, stream, what in slots:
            self._deliver(when)
            if stream is None:
                self._rtcp(when, what)
            else:
                self._send(when, stream, **what)
        self._deliver(1e9)

    def _due(self, stream, ticks):
        return self.plan.media_at + ticks / stream.clock * (1 + self.plan.ppm[stream.end] * 1e-6)

    def _silent(self, stream, second):
        mutes = [m for m in self.plan.mute if stream.end in m[2] and stream.medium in m[3]]
        moved = self.plan.moves_at
        return within(second, mutes) or (moved is not None and stream.end == "A"
                                         and moved <= second < moved + self.plan.moves_for)

    def _ends_at(self, end):
        """Who didn't hang up goes on for a moment."""
        return self.plan.seconds + (.35 if self.plan.ending in ENDS and end != self.plan.ending else 0)

    def _slots(self, stream):
        return (self._audio_slots if stream.medium == "audio" else self._video_slots)(stream)

    def _audio_slots(self, stream):
        kinds = {"AAC-ELD": (modern.AAC_ELD, .02), "RED": (modern.RED, .02), "EVS": (modern.EVS, .06)}
        payload_type, step = kinds[self.plan.audio]
        second = 0.0
        while second < self._ends_at(stream.end):
            quiet = self.modern and within(second, self.plan.dtx)
            ticks = round(second * stream.clock)
            if not self._silent(stream, second):
                yield self._due(stream, ticks) + .004 + self.rng.random() * .001, stream, {
                    "ticks": ticks, "payload_type": modern.COMFORT_NOISE if quiet else payload_type,
                    "size": 10 if quiet else self.rng.randrange(40, 90)}
            second = round(second + (.16 if quiet else step), 6)

    def _video_slots(self, stream):
        plan, second, frame = self.plan, .1, self.rng.getrandbits(14)
        key = 0
        while second < self._ends_at(stream.end):
            still = any(p[0] <= second < p[1] and stream.end in p[2] for p in plan.pauses)
            if not still and not self._silent(stream, second):
                yield from self._picture(stream, second, frame, key)
                frame, key = frame + 1, key + 1
            fps = next((s[2] for s in plan.slow if s[0] <= second < s[1]), plan.fps)
            second += 1 / fps

    def _picture(self, stream, second, frame, key):
        thin = next((t[2] for t in self.plan.thin if t[0] <= second < t[1]), 1)
        count = self.rng.randrange(4, 7) if key % 60 == 0 else self.rng.randrange(1, 4)
        count = max(1, round(count / thin))
        ticks = round(second * stream.clock)
        sizes = [max(20, int(self.rng.randrange(200, 700) / thin)) for _ in range(count)]
        due = self._due(stream, ticks) + .015 + self.rng.random() * .002
        payload_type = (modern.HEVC if self.plan.mode == "one-to-one" else modern.H264)
        parity = self.plan.mode == "multiway" and 2 <= count <= 5 and key % 4 == 0
        for i, size in enumerate(sizes):
            yield due + i * .0003, stream, {
                "ticks": ticks, "payload_type": payload_type, "size": size, "frame": frame,
                "place": (i, count), "sources": sizes if parity else None, "safe": parity and i == count - 1}
        if parity:
            yield due + count * .0003, stream, {
                "ticks": ticks, "payload_type": payload_type, "size": max(sizes) + 8, "frame": frame,
                "place": (count - 1, count), "sources": sizes, "parity": True, "safe": True}

    def _send(self, when, stream, ticks, payload_type, size, frame=None, place=(0, 1), sources=None,
              parity=False, safe=False):
        plan = self.plan
        if plan.restart is not None and not stream.epoch and ticks / stream.clock >= plan.restart and not parity \
                and place[0] == 0:
            stream.epoch, stream.count = 1, 0
        index = stream.count - 1 if parity else stream.count
        stream.count += not parity
        packet = Packet(stream, index, stream.epoch, ticks, payload_type, when, frame, place[1], parity,
                        safe or index < SAFE or self._near_restart(stream, ticks, index))
        stream.packets.append(packet)
        self._write_rtp(packet, size, place, sources)
        stream.octets += size
        second = ticks / stream.clock
        path = [p for since, p in plan.paths if since <= second][-1]
        self._carry(packet, path)
        if within(second, plan.doubled):
            self._carry(packet, {"relay": "direct", "direct": "relay"}[path])

    def _near_restart(self, stream, ticks, index):
        restart = self.plan.restart
        if restart is None:
            return False
        per_second = 50 if stream.medium == "audio" else 70
        return abs(ticks / stream.clock - restart) < QUIET / per_second

    def _write_rtp(self, packet, size, place, sources):
        stream, plan = packet.stream, self.plan
        seq, ts = stream.seq(packet.index, packet.epoch), stream.ts(packet.ticks)
        payload, marker = self.rng.randbytes(size), stream.medium == "video" and place[0] == place[1] - 1
        if not self.modern:
            packet.wire = bytes(rtp.rtp(packet.payload_type, seq, ts, stream.ssrc, payload, marker))
            return
        extension = None
        if plan.mode == "one-to-one":
            if stream.medium == "audio":
                extension = self._audio_extension(packet)
            else:
                probe = stream.ts(packet.ticks // 480 * 480) if packet.frame % 30 == 0 else None
                extension = modern.video_extension(frame=(place[1], packet.frame & 0xFFFF), probe=probe)
        elif stream.medium == "video":
            fec = None
            if sources:
                fec = (modern.fec_parity(8, sources) if packet.parity
                       else modern.fec_source(0x0B + place[0], size))
            extension = modern.video_extension(fec=fec, version=1)
        packet.wire = bytes(rtp.rtp(packet.payload_type, seq, ts, stream.ssrc, payload + self._trailer(stream, seq),
                                    marker, extension and extension[:2]))

    def _trailer(self, stream, seq):
        """2023: MKI, u32 0. 2026: head of the MKI, then u32 0x20, or one-to-one: roll-over counter at times, tag."""
        plan = self.plan
        if plan.trailer == 2023:
            return self.mki[stream.end] + bytes(4)
        if plan.mode == "multiway":
            return b"\x00\x10\x00\x00\x00\x20"
        rollover = bytes(4) if seq & 0x7F == 0 else b""
        return b"\x00\x10" + rollover + self.rng.randbytes(4 if stream.medium == "audio" else 10)

    def _audio_extension(self, packet):
        """0x8500: feedback, received kbit, bursts and count; queuing, stamp, one way; video loss, bandwidth."""
        end = packet.stream.end
        own_clock = packet.sent / (1 + self.plan.ppm[end] * 1e-6) + (17 if end == "A" else 4711)
        packet.stamp = int(own_clock * STAMPS)
        packet.echoed = self.heard[end]
        packet.reported = self.heard_audio[end]
        echo = packet.echoed.stamp & 0xFFFF if packet.echoed else 0
        words = struct.pack("!8H", echo, self.heard_bits[end] // 1000 & 0xFFFF, packet.reported & 0xFFF,
                            2, packet.stamp & 0xFFFF, 18, 0, 8000)
        return 0x8500, words, {}

    # --- the ways -------------------------------------------------------------------------------

    def _carry(self, packet, path):
        """Send it on this path now: it is seen at the sender's, and under way."""
        end, when = packet.stream.end, packet.sent
        marks = self._counter(end, when) if path == "relay" and self.modern else {}
        self._seen(end, when, packet, path, **marks)
        if path == "direct":
            self._pass(f"{end}:direct", when, packet, path, self._arrive)
        else:
            self._pass(f"{end}:up", when, packet, path, self._relay, marks)

    def _pass(self, hop, when, packet, path, action, *more):
        """The packet enters a hop; `action` is what happens where it leaves it."""
        at = self.hops[hop].carry(when, packet, self.plan.media_at)
        packet.lost_at[path] = hop if at is None else None
        if at is not None:
            self._later(at, action, packet, path, *more)

    def _later(self, when, action, *more):
        self.order += 1
        heapq.heappush(self.under_way, (when, self.order, action, more))

    def _deliver(self, until):
        while self.under_way and self.under_way[0][0] <= until:
            when, _, action, more = heapq.heappop(self.under_way)
            action(when, *more)

    def _counter(self, end, when):
        """Twice a second a packet bears a counter, and the relay reports."""
        if when - self.counted_at[end] < .5:
            return {}
        self.counted_at[end] = when
        self.counter[end] += 1
        return {"counter": self.counter[end]}

    def _relay(self, when, packet, path, marks):
        """It has come to the relay, which counts it, reports where asked to, and sends it on."""
        end = packet.stream.end
        if marks:
            hold = self.rng.randrange(0, 60)
            self._later(when + hold / 1000, self._report, end, marks["counter"], hold, self.relayed_in[end])
        self.relayed_in[end] += 1
        self._pass(f"{end}:relay", when, packet, path, self._leave)

    def _leave(self, when, packet, path):
        end = OTHER[packet.stream.end]
        self.relayed_out[end] += 1
        self._pass(f"{end}:down", when, packet, path, self._arrive)

    def _report(self, when, end, counter, hold, received):
        """The relay's statistics: counter, clock, hold, packets received from this client before it, and sent."""
        stats = (counter, int(when * 1000) & 0xFFFF, hold, received & 0xFFFF, self.relayed_out[end] & 0xFFFF, 0xFFFF)
        arrived = self.hops[f"{end}:down"].carry(when, ordered=True)
        self._record(end, arrived, self.relays[end], self._home(end, when), modern.relay(b"", stats=stats),
                     incoming=True)

    def _arrive(self, when, packet, path):
        end = OTHER[packet.stream.end]
        packet.arrivals[path] = when
        self._seen(end, when, packet, path)
        self.heard_bits[end] += 8 * len(packet.wire)
        if min(packet.arrivals.values()) == when and packet.stream.medium == "audio":
            self.heard_audio[end] += 1
            if self.heard[end] is None or packet.stamp is None or packet.stamp > self.heard[end].stamp:
                self.heard[end] = packet

    def _home(self, end, when):
        place = self.places[end]
        moved = self.plan.moves_at
        return place.moved if moved is not None and end == "A" and when - self.plan.media_at >= moved \
            else place.host

    def _ends(self, at, when, path, outgoing):
        """(source, destination) as a capture at end `at` has them."""
        near = self._home(at, when)
        far = self.relays[at] if path == "relay" else self.places[OTHER[at]].public
        return (near, far) if outgoing else (far, near)

    def _seen(self, at, when, packet, path, **marks):
        outgoing = packet.stream.end == at
        src, dst = self._ends(at, when, path, outgoing)
        dscp = (EF if packet.stream.medium == "audio" else AF41) if outgoing else 0
        self.records[at].append(Record(when, src, dst, self._wrapped(at, packet, path, marks), dscp << 2,
                                       self.rng.getrandbits(16), outgoing, packet, path))

    def _wrapped(self, at, packet, path, marks):
        if path == "direct":
            return packet.wire
        if not self.modern:
            return bytes(stun.channel_data(0x4002, packet.wire))
        outgoing = packet.stream.end == at
        header = dict(priority=1, count=True, opt_out=True, **marks)
        if self.plan.mode == "multiway":
            header["stream"] = (packet.stream.ssrc + packet.parity) & 0xFFFF
        else:
            header["link"] = self.links["B" if at == "A" else "A"]
        if not outgoing:
            header["participant"] = self.participants[packet.stream.end]
        return bytes(modern.relay(packet.wire, **header))

    def _record(self, at, when, src, dst, payload, incoming=False, path=None):
        record = Record(when, src, dst, bytes(payload), 0, self.rng.getrandbits(16), not incoming, path=path)
        self.records[at].append(record)
        return record

    def _both(self, end, when, payload, path):
        """A message from `end` to the other on this path, seen at both ends; when it arrives."""
        hops = (f"{end}:direct",) if path == "direct" else (f"{end}:up", f"{OTHER[end]}:down")
        now = when
        for hop in hops:
            now = self.hops[hop].carry(now)
        for at, seen in ((end, when), (OTHER[end], now)):
            if self.modern and path == "relay":
                header = {"link": self.links["B" if at == "A" else "A"], "count": True}
                if at != end:
                    header["participant"] = self.participants[end]
                wrapped = modern.relay(payload, **header)
                self.relayed_in[end] += at == end       # it asks to be counted, too
                self.relayed_out[at] += at != end
            elif path == "relay":
                wrapped = stun.channel_data(0x4002, payload)
            else:
                wrapped = payload
            self._record(at, seen, *self._ends(at, seen, path, at == end), wrapped, at != end, path)
        return now

    # --- RTCP (legacy) --------------------------------------------------------------------------

    def _rtcp(self, when, end):
        """SR and SDES of each medium, with a block about the other's."""
        path = [p for since, p in self.plan.paths if since <= when - self.plan.media_at][-1]
        for stream in self.streams:
            if stream.end != end or not stream.packets:
                continue
            about = next(s for s in self.streams if s.end != end and s.medium == stream.medium)
            came = [r for r in self.reports.get((OTHER[end], stream.medium), ()) if r[1] < when]
            ntp = rtp.ntp(round((START + when) * 1e6))
            block = b""
            if came:
                last = came[-1]
                delay = int((when - last[1]) * 65536)
                block = struct.pack("!IIIIII", about.ssrc, 0, about.seq(about.count, about.epoch), 3,
                                    last[0] >> 16 & 0xFFFFFFFF, delay)
            ts = stream.ts(int((when - self.plan.media_at) * stream.clock))
            body = struct.pack("!IQIII", stream.ssrc, ntp, ts, len(stream.packets), stream.octets) + block
            report = struct.pack("!BBH", 0x80 | bool(block), rtp.SR, len(body) // 4) + body
            name = rtp.source_description(stream.ssrc, f"user@{self.places[end].host[0]}")
            arrived = self._both(end, when, report + name, path)
            self.reports.setdefault((end, stream.medium), []).append((ntp, arrived))
            when += .004

    # --- signalling -----------------------------------------------------------------------------

    def _signalling(self):
        for end in ENDS:
            self._snatmap(end)
        (self._modern_signalling if self.modern else self._legacy_signalling)()

    def _snatmap(self, end):
        place, server, nonce = self.places[end], ("17.188.181.8", 3480), self.rng.getrandbits(31)
        home, mapped = (place.host[0], 16402), (place.public[0], 16402)
        self._record(end, .05, home, server, snatmap.snatmap(snatmap.REQUEST, nonce, home))
        self._record(end, .09, server, home, snatmap.snatmap(snatmap.RESPONSE, nonce, mapped), incoming=True)

    def round_trip(self, path):
        """The least that it takes there and back, s."""
        delay = self.plan.delay
        return 2 * (delay["direct"] if path == "direct" else delay["up"] + delay["down"])

    def switch(self):
        """When media first goes directly (true time), or None."""
        direct = [since for since, path in self.plan.paths if path == "direct"]
        direct += [since for since, _ in self.plan.doubled]
        return self.plan.media_at + min(direct) if direct else None

    def _modern_signalling(self):
        for end in ENDS:
            place = self.places[end]
            self._record(end, .3, place.host, self.relays[end],
                         modern.quic_initial(self.rng.randbytes(8), self.rng.randbytes))
            self._interface_info(end, .5)
        for number, end in enumerate(ENDS):
            places = [(modern.HOST, self.places[end].host, modern.WIFI),
                      (modern.REFLEXIVE, self.places[end].public, modern.WIFI)]
            self._both(end, .8 + .05 * number, modern.link_message(
                modern.CONNECTION_DATA, [modern.counter(1), modern.connection_data(places)],
                self.rng.randbytes(20)), "relay")
        self._modern_checks()

    def _interface_info(self, end, when):
        items = [(self.links[e], modern.WIFI, 1446, 0, 1) for e in ENDS]
        down = modern.link_message(modern.INTERFACE_INFO, [modern.counter(1), modern.interfaces(items)],
                                   self.rng.randbytes(20))
        ack = modern.link_message(modern.INTERFACE_INFO | modern.ACK, [modern.counter(1)], self.rng.randbytes(20))
        self._record(end, when, self.relays[end], self.places[end].host,
                     modern.relay(down, attr=modern.ATTR_LINK_MESSAGE | modern.ATTR_10), incoming=True)
        self._record(end, when + .01, self.places[end].host, self.relays[end],
                     modern.relay(ack, attr=modern.ATTR_LINK_MESSAGE))

    def _modern_checks(self):
        """To the other's address at home, never answered, and to its public one, answered before the switch."""
        switch = self.switch()
        answered_at = switch - .3 if switch else self.plan.media_at + 1
        uuids = {e: modern.new_mki(self.rng) for e in ENDS}
        for end in ENDS:
            place, other = self.places[end], self.places[OTHER[end]]
            txids = [self.rng.randbytes(12) for _ in range(2)]
            for attempt in range(3):
                self._record(end, .95 + .5 * attempt, place.host, other.host,
                             self._check(uuids[end], txids[0]))
            if not (switch or self.plan.answers):
                for attempt in range(4):
                    self._record(end, .96 + .5 * attempt, place.host, other.public,
                                 self._check(uuids[end], txids[1]))
                continue
            arrived = self._both(end, answered_at + (.02 if end == "B" else 0), self._check(uuids[end], txids[1]),
                                 "direct")
            answer = stun.message(stun.BINDING, stun.SUCCESS, txids[1],
                                  [stun.address(stun.XOR_MAPPED_ADDRESS, place.public, txids[1]),
                                   stun.link_id(uuids[OTHER[end]]),
                                   stun.Attribute(stun.MESSAGE_INTEGRITY, self.rng.randbytes(20))], "modern")
            self._both(OTHER[end], arrived + .001, answer, "direct")

    def _check(self, uuid, txid):
        return stun.message(stun.BINDING, stun.REQUEST, txid,
                            [stun.link_id(uuid), stun.radio(modern.WIFI),
                             stun.Attribute(stun.MESSAGE_INTEGRITY, self.rng.randbytes(20))], "modern")

    def closed_socket(self, at, records):
        """Who hangs up closes its socket: what still comes is answered by ICMP."""
        if not self.modern or self.plan.ending != at:
            return
        closed = self.plan.media_at + self.plan.seconds + .03
        late = [r for r in records if r.packet and not r.outgoing and r.time > closed][:3]
        for record in late:
            raw = packets.icmp(3, 3, 0, record.ip()[:28 + 40])
            raw = packets.ipv4(record.dst[0], record.src[0], packets.PROTO_ICMP, raw, self.rng.getrandbits(16))
            records.append(Record(record.time + .0002, record.dst, record.src, b"", raw=raw))

    # legacy: each end's allocation, then SIP through the relay, checks, SIP's end

    def _legacy_signalling(self):
        plan = self.plan
        devices = {e: legacy.Device(self._scribe(e), e, self.places[e].host, self.places[e].public,
                                    controlling=e == "A",
                                    **{s.medium: s.ssrc for s in self.streams if s.end == e}) for e in ENDS}
        invite_at = min(1.2, plan.media_at - .3)
        for end in ENDS:
            self._allocation(end, devices)
        dialog = sip.Dialog(self.rng, self.places["A"].public, self.places["B"].public)
        offer = self._sdp(sip.OFFER_2015, devices["A"])
        answer = self._sdp(sip.ANSWER_2015, devices["B"])
        arrived = self._both("A", invite_at, dialog.request("INVITE", "caller", 1, offer), "relay")
        self._both("B", arrived + .01, dialog.response(100, "INVITE", "callee", 1), "relay")
        if plan.outcome == "busy":
            self._refused(dialog, arrived + .1, 486, "Busy Here")
            return
        rings = arrived + plan.rings_after
        self._both("B", rings, dialog.response(180, "INVITE", "callee", 1), "relay")
        if plan.outcome == "declined":
            self._refused(dialog, rings + 2, 603, "Decline")
        elif plan.outcome == "cancelled":
            self._cancelled(dialog, rings + 3)
        else:
            got = self._both("B", max(rings + .1, invite_at + .3),
                             dialog.response(200, "INVITE", "callee", 1, answer), "relay")
            self._both("A", got + .004, dialog.request("ACK", "caller", 1), "relay")
            self._direct_checks(devices)
            self._bye(dialog)

    def _scribe(self, end):
        """What legacy.py writes with: a capture that hands each datagram to this call."""
        call = self

        class Scribe(scenario.Capture):
            def udp(self, src, dst, payload, tos=0, **truth):
                near = call.places[end].host
                call._record(end, self.clock, src, dst, payload, incoming=src != near)
                self.packets.append(None)
                return len(self.packets)
        return Scribe(f"{self.plan.seed} {end}", "", START)

    def _sdp(self, template, device):
        return sip.Body(sip.sdp(template, device.named, device.audio, device.video), "application/sdp", "zlib")

    def _allocation(self, end, devices):
        near, far = devices[end], devices[OTHER[end]]
        cap = self._scribe(end)
        relayed = (self.relays[end][0], 16385)
        allocation = legacy.Allocation(cap, 1, near, self.relays[end], relayed)
        far.relayed = far.relayed or stun.Candidate(stun.RELAYED, (self.relays[OTHER[end]][0], 16385), far.relayed_word)
        up, down = allocation.paths(0x4002, far.public)
        mine = legacy.Check(near, near.relayed, far.relayed, up, down)
        theirs = legacy.Check(far, far.relayed, near.relayed, down, up)
        trip = self.round_trip("relay")
        first = mine if near.controlling else theirs
        nominated, answered = .38 + trip, .38 + trip + (trip if near.controlling else .002)
        steps = [(.2, allocation.allocate), (.24, allocation.allocated), (.3, lambda: allocation.bind(0x4002, far.public)),
                 (.34, lambda: allocation.bound(0x4002)), (.36, mine.send), (.36 + trip, mine.answer),
                 (.361, theirs.send), (.363, theirs.answer),
                 (nominated, lambda: first.send(nominate=1)), (answered, first.answer)]
        for when, action in sorted(steps, key=lambda step: step[0]):
            cap.run_to(when)
            action()
        self.allocations[end] = (cap, allocation)

    def _direct_checks(self, devices):
        """A check of the other's address at home in vain; of its public one before the switch, answered if at all."""
        switch = self.switch()
        when = (switch - .1 - 2 * self.round_trip("direct")) if switch else self.plan.media_at + .5
        for end in ENDS:
            near, far = devices[end], devices[OTHER[end]]
            cap = self._scribe(end)
            out, back = legacy.direct(cap, 1, near.addr, far.public)
            home = legacy.Check(near, near.host, far.host, *legacy.direct(cap, 1, near.addr, far.host.addr))
            mine = legacy.Check(near, near.host, far.reflexive, out, back)
            theirs = legacy.Check(far, far.host, near.host, back, out)
            cap.run_to(.5)
            home.send()
            cap.run_to(when)
            mine.send()
            if not (switch or self.plan.answers):
                continue
            trip = self.round_trip("direct")
            cap.run_to(when + trip)
            mine.answer()
            theirs.send()
            theirs.answer()
            nominating = mine if mine.device.controlling else theirs
            if switch:
                cap.run_to(when + trip + .05)
                nominating.send(nominate=1)
                cap.run_to(when + trip + .05 + (trip if nominating is mine else .002))
                nominating.answer()

    def _bye(self, dialog):
        plan = self.plan
        if plan.ending == "none":
            return
        by = plan.ending if plan.ending in ENDS else "A"
        who = {"A": "caller", "B": "callee"}
        when = plan.media_at + plan.seconds + .02
        path = plan.paths[-1][1]
        bye = dialog.request("BYE", who[by], 2, reason='*;cause=0;text="Normal Call Termination"')
        if plan.ending == "unanswered":
            for copy_at in (0, .5, 1.5, 3.5):
                self._record("A", when + copy_at, *self._ends("A", when, path, True),
                             stun.channel_data(0x4002, bye) if path == "relay" else bye)
            return
        arrived = self._both(by, when, bye, path)
        self._both(OTHER[by], arrived + .002, dialog.response(200, "BYE", who[OTHER[by]], 2), path)
        for end in ENDS:
            cap, allocation = self.allocations[end]
            cap.run_to(when + .6)
            allocation.release()
            cap.run_to(when + .64)
            allocation.released()

    def _refused(self, dialog, when, status, reason):
        sip.REASONS.setdefault(status, reason)
        got = self._both("B", when, dialog.response(status, "INVITE", "callee", 1), "relay")
        self._both("A", got + .004, dialog.request("ACK", "caller", 1), "relay")

    def _cancelled(self, dialog, when):
        sip.REASONS.setdefault(487, "Request Terminated")
        got = self._both("A", when, dialog.request("CANCEL", "caller", 1), "relay")
        self._both("B", got + .002, dialog.response(200, "CANCEL", "callee", 1), "relay")
        back = self._both("B", got + .004, dialog.response(487, "INVITE", "callee", 1), "relay")
        self._both("A", back + .004, dialog.request("ACK", "caller", 1), "relay")

    # --- captures -------------------------------------------------------------------------------

    def capture(self, at="A", **how):
        return Capture([self], at, **how)


# Capture points

class Clock:
    """What a capture writes for a true time, microseconds; asked in the order of frames."""

    def __init__(self, rng, kind="exact", offset=0.0, ppm=0.0, step=None, batch=1.0):
        """step: (at, seconds) for "stepped". "batched": about once in so many seconds, all at once, as iPhones' rvi does."""
        self.rng, self.kind, self.offset, self.ppm, self.step = rng, kind, offset, ppm, step
        self.length = batch
        self.batch, self.now = 0.0, 0.0

    def __call__(self, when):
        now = when
        if self.kind == "batched":
            if when > self.batch:
                while self.batch < when:
                    self.batch += self.length * (.85 + .3 * self.rng.random())
                self.now = self.batch
            self.now += 60e-6 + 30e-6 * self.rng.random()
            now = self.now
        elif self.kind == "stepped" and when >= self.step[0]:
            now += self.step[1]
        return round((START + now * (1 + self.ppm * 1e-6) + self.offset) * 1e6)


class Capture:
    """Calls as a capture point at one end has them.

    clock, offset, ppm, step, batch   see Clock
    mirrored                   share of datagrams that a mirror port repeats
    directions                 "both", "in" or "out"
    window                     (from, to): only this part of true time
    snap                       bytes that are kept of each frame
    background                 seconds between two DNS questions of the same device; None: there are none
    """

    def __init__(self, calls, at="A", clock="exact", offset=0.0, ppm=0.0, step=None, mirrored=0.0,
                 directions="both", window=None, snap=None, background=None, batch=1.0):
        plan = calls[0].plan
        self.calls, self.at, self.batched, self.snap = calls, at, clock == "batched", snap
        self.clock_kind = clock
        self.linktype = packets.LINKTYPE_RAW if self.batched else packets.LINKTYPE_ETHERNET
        rng = random.Random(f"capture {plan.seed} {at}")
        records = []
        for call in calls:
            own = [r.again() for r in call.records[at]]
            call.closed_socket(at, own)
            for record in own:
                record.time += call.start
            end = call.start + plan.media_at + plan.seconds + plan.goes_on
            records += [r for r in own if r.time <= end or call.plan.outcome != "answered"]
        if background:
            records += self._background(records[-1:] and max(r.time for r in records), background)
        records += [r.again(time=r.time + 50e-6 + 300e-6 * rng.random(), mirrored=True)
                    for r in records if mirrored and rng.random() < mirrored]
        if directions != "both":
            records = [r for r in records if r.outgoing == (directions == "out")]
        if window:
            records = [r for r in records if window[0] <= r.time < window[1]]
        records.sort(key=lambda r: r.time)
        stamp = Clock(rng, clock, offset, ppm, step, batch)
        for number, record in enumerate(records, 1):
            record.number, record.stamp = number, stamp(record.time)
        self.records = records

    def _background(self, end, step):
        """What shows that the capture goes on: 10 s beyond the call."""
        src, dst = (self.calls[0].places[self.at].host[0], 50123), ("192.168.1.1", 53)
        name = b"\7example\3com\0"
        for i in range(int((end + 10) / step)):
            yield Record(i * step, src, dst, struct.pack("!6H", i, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1")

    def write(self):
        out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, self.snap or 262144, self.linktype)]
        for record in self.records:
            data = record.ip()
            if self.linktype == packets.LINKTYPE_ETHERNET:
                macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
                data = packets.ethernet(*(macs if record.outgoing else macs[::-1]), data)
            kept = data[:self.snap] if self.snap else data
            out.append(struct.pack("<IIII", *divmod(record.stamp, 1_000_000), len(kept), len(data)) + kept)
        return b"".join(out)

    def streams(self):
        """(Stream, its records in the capture's order) of each that was seen."""
        for call in self.calls:
            for stream in call.streams:
                seen = [r for r in self.records if r.packet and r.packet.stream is stream]
                if seen:
                    yield stream, seen


def main():
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit("Usage: simulate.py SEED FILE")
    import test_quality         # which imports this module
    pathlib.Path(sys.argv[2]).write_bytes(test_quality.simulated(int(sys.argv[1])).write())


if __name__ == "__main__":
    main()
