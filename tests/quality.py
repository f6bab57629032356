# SPDX-License-Identifier: GPL-2.0-or-later
"""What is true of the streams of a simulated capture, and how `-z facetime,streams,json` differs from it.

    truths = [Truth(capture, stream, records) for stream, records in capture.streams()]
    differences(truth, record)      of one stream: sentences, [] where all is right

The definitions are the project's (docs: "How good was the call"): counts of distinct packets, RFC 3550 A.1 and
A.3 for losses and order, A.8 for jitter, media clock for rates. Here they follow from what was made: a lost
packet is one that the simulator took away, not a gap that was found.
"""

import collections
import statistics

FREEZE_RATIO, FREEZE_MORE = 3, .150         # an interval of max(3 x median, median + 150 ms)
SET = .100                                  # seconds: a leap of the capture's clock
UNSURE = .010                               # seconds: so near to the threshold, either verdict will do

# How far figures may be off
BITRATE, DURATION, JITTER = .01, .005, .02  # shares
FRAME_RATE = 1.0                            # frames a second
SHARE_OF_SECONDS = .99                      # that must have the right frame rate
RTT = 2.0                                   # ms beyond the bound: stamps are 1/1024 s
NTP_RTT = 15.0                              # ms: RTCP and checks wait a little at the far end

REPORTED = {"queuing_delay": 2, "one_way_delay": 18, "bandwidth": 800000}       # as the simulator writes them

Counts = collections.namedtuple("Counts", "seen complete incomplete missing")
Freeze = collections.namedtuple("Freeze", "at length frames")       # frames: numbers of those of the next picture


class Truth:
    """One stream at one capture point."""

    def __init__(self, capture, stream, records):
        self.capture, self.stream = capture, stream
        self.ssrc, self.medium = stream.ssrc, stream.medium
        self.direction = "out" if stream.end == capture.at else "in"
        self.batched = capture.batched
        self._sort_out(records)
        self._losses()
        self._media_time()
        self._frames()
        self._fec()
        self._freezes()
        self._jitter()
        self._round_trip()
        self._series()

    def _sort_out(self, records):
        """Distinct packets by their first record; copies on another path; the same datagram seen again."""
        self.first, self.copies, self.seen_twice = {}, 0, 0
        for record in records:
            if record.packet not in self.first:
                self.first[record.packet] = record
            elif record.mirrored:
                self.seen_twice += 1
            else:
                self.copies += 1
        self.distinct = list(self.first)                # in the order of arrival
        self.packets, self.bytes = len(self.distinct), sum(len(p.wire) for p in self.distinct)
        self.payload_types = sorted({p.payload_type for p in self.distinct})
        self.first_frame, self.last_frames = records[0].number, [self.first[self.distinct[-1]].number,
                                                                 records[-1].number]
        self.paths = collections.Counter(self.first[p].path for p in self.distinct)
        self.dscp = sorted({r.tos >> 2 for r in records})
        self.ttl = sorted({64 if r.outgoing else 50 for r in records})

    def _losses(self):
        self.lost, self.reordered, runs = 0, 0, []
        self.lost_packets = []
        for epoch in sorted({p.epoch for p in self.distinct}):
            numbers = [p.index for p in self.distinct if p.epoch == epoch]
            highest = -1
            for number in numbers:
                self.reordered += number < highest
                highest = max(highest, number)
            missing = sorted(set(range(min(numbers), highest)) - set(numbers))
            self.lost += len(missing)
            self.lost_packets += [(epoch, number) for number in missing]
            for i, number in enumerate(missing):
                if i and number == missing[i - 1] + 1:
                    runs[-1] += 1
                else:
                    runs.append(1)
        self.bursts = (len(runs), max(runs, default=0))

    def _media_time(self):
        self.start = self.distinct[0].ticks
        ticks = [p.ticks for p in self.distinct]
        self.media_duration = (max(ticks) - min(ticks)) / self.stream.clock
        stamps = [r.stamp for r in self.first.values()]
        self.capture_duration = (max(stamps) - min(stamps)) / 1e6
        self.bitrate = 8 * self.bytes / self.media_duration if self.media_duration else None

    def at(self, packet):
        return (packet.ticks - self.start) / self.stream.clock

    def _frames(self):
        self.frames, self.pictures = None, {}
        if self.medium != "video":
            return
        for packet in self.distinct:
            self.pictures.setdefault(packet.frame, []).append(packet)
        self.known = self.stream.call.plan.mode == "one-to-one"
        if self.known:
            complete = sum(len(p) == p[0].of_frame for p in self.pictures.values())
            missing = max(self.pictures) - min(self.pictures) + 1 - len(self.pictures)
            self.frames = Counts(len(self.pictures), complete, len(self.pictures) - complete, missing)

    def _fec(self):
        """{parity, sources, repairable}: a block is a picture's, and its parity packets make up for as many lost packets."""
        self.fec, blocks = None, collections.defaultdict(list)
        for packet in self.stream.packets:
            blocks[packet.frame].append(packet)
        blocks = [block for block in blocks.values() if any(p.parity for p in block)]
        came = [[p for p in block if p in self.first] for block in blocks]
        if self.medium == "video" and any(came):
            counts = [(sum(p.parity for p in some), sum(not p.parity for p in some), sum(not p.parity for p in block))
                      for some, block in zip(came, blocks)]
            self.fec = {"parity": sum(parity for parity, _, _ in counts), "sources": sum(sources for _, sources, _ in counts),
                        "repairable": sum(sent - sources for parity, sources, sent in counts if sent - sources <= parity)}

    def _freezes(self):
        """Sure ones; and `unsure`, lengths that a rounding would decide."""
        self.freezes, self.unsure = [], []
        shown = [p for p in self.pictures.values() if not self.known or len(p) == p[0].of_frame]
        shown.sort(key=lambda p: p[0].ticks)
        times = [self.at(p[0]) for p in shown]
        gaps = [b - a for a, b in zip(times, times[1:])]
        if not gaps:
            return
        plan = self.stream.call.plan
        usual = {statistics.median(gaps), 1 / plan.fps, *(1 / fps for _, _, fps in plan.slow)}
        limits = [max(FREEZE_RATIO * m, m + FREEZE_MORE) for m in usual]
        for begin, gap, after in zip(times, gaps, shown[1:]):
            if gap > max(limits) + UNSURE:
                numbers = sorted(self.first[p].number for p in after)
                self.freezes.append(Freeze(begin, gap, numbers))
            elif gap > min(limits) - UNSURE:
                self.unsure.append(gap)

    def _jitter(self):
        """RFC 3550 A.8 on every distinct packet; ms: mean and maximum after each packet. Where the clock was set, by the
        true time, and without what is 0.1 s off (docs/quality.md)."""
        self.jitter = None
        if self.batched:
            return
        was_set = self.capture.clock_kind == "stepped"
        jitter, last, values = 0.0, None, []
        for packet, record in self.first.items():
            transit = (record.time if was_set else record.stamp / 1e6) - packet.ticks / self.stream.clock
            if last is not None and not (was_set and abs(transit - last) > SET):
                jitter += (abs(transit - last) - jitter) / 16
            last = transit
            values.append(1000 * jitter)
        self.jitter = (statistics.fmean(values), max(values))

    def _round_trip(self):
        """Of stamps: X's packet (s, e), Y's packet stamped e (e, e'): s - e'. And what the net alone took."""
        samples, net = [], []
        for packet in self.distinct:
            theirs = packet.echoed
            ours = theirs and theirs.echoed
            if not ours:
                continue
            samples.append((packet.stamp - ours.stamp) * 1000 / 1024)
            net.append(1000 * sum(min(p.arrivals.values()) - p.sent for p in (ours, theirs)))
        self.rtt = None
        if samples:
            step = {"EVS": 60}.get(self.stream.call.plan.audio, 20)
            self.rtt = (statistics.median(samples), statistics.median(net), 2 * step)
        call = self.stream.call
        trips = [1000 * call.round_trip(path) for path in ("relay", "direct")]
        self.trips = (min(trips), max(trips) + 4000 * call.plan.wobble)
        # RTCP measures what this side sent, by a clock that can be believed
        self.by_rtcp = (call.plan.mode, self.direction, self.capture.clock_kind) == ("legacy", "out", "exact")
        back = [p for s in self.stream.call.streams if s.end != self.stream.end and s.medium == "audio"
                for p in s.packets if p.reported is not None and self._captured(p)]
        self.reported = back[-1].reported if back and self.medium == "audio" else None

    def _captured(self, packet):
        return self.direction == "in" or bool(packet.arrivals)

    def _series(self):
        """For each second of media time: [packets, bytes, pictures, paths]."""
        rows = collections.defaultdict(lambda: [0, 0, set(), set()])
        for packet in self.distinct:
            row = rows[int(self.at(packet) + 1e-9)]
            row[0] += 1
            row[1] += len(packet.wire)
            row[2].add(packet.frame)
            row[3].add(self.first[packet].path)
        self.series = {second: (n, size, len(pictures) if self.medium == "video" else None, paths)
                       for second, (n, size, pictures, paths) in rows.items()}
        whole = range(int(self.media_duration))
        self.rates = [len(rows[second][2]) for second in whole] if self.medium == "video" else []
        self.mean_rate = len(self.pictures) / self.media_duration if self.pictures and self.media_duration else None


# The comparison

def near(value, right, share=0.0, more=0.0):
    return value is not None and abs(value - right) <= share * abs(right) + more


class Comparison:
    """Collects what differs; `seconds`: (right, all) of the frame rate's seconds."""

    def __init__(self, truth, record):
        self.truth, self.record, self.found = truth, record, []
        self.seconds = (0, 0)
        for check in (self._counts, self._time, self._pictures, self._freezes, self._clocked, self._places,
                      self._series):
            check()

    def same(self, key, value, right, ok=None):
        if not (value == right if ok is None else ok):
            self.found.append(f"{self.truth.medium} {self.truth.direction} {key}: {value}, right is {right}")

    def _counts(self):
        truth, record = self.truth, self.record
        for key in ("direction", "medium", "packets", "bytes", "copies", "seen_twice", "lost", "reordered"):
            self.same(key, record[key], getattr(truth, key))
        self.same("payload_types", sorted(record["payload_types"]), truth.payload_types)
        bursts = record["loss_bursts"]
        self.same("loss_bursts", (bursts["count"], bursts["longest"]), truth.bursts)
        self.same("first_frame", record["first_frame"], truth.first_frame)
        self.same("last_frame", record["last_frame"], truth.last_frames, record["last_frame"] in truth.last_frames)

    def _time(self):
        truth, record = self.truth, self.record
        if truth.batched:
            self.same("clock", record["clock"], "media")
        right = truth.media_duration if record["clock"] == "media" else truth.capture_duration
        self.same("duration", record["duration"], right, near(record["duration"], right, DURATION, .001))
        if truth.bitrate:
            self.same("bitrate", record["bitrate"], truth.bitrate, near(record["bitrate"], truth.bitrate, BITRATE))

    def _pictures(self):
        truth, record = self.truth, self.record
        self.same("fec", record["fec"], truth.fec)
        if truth.medium != "video":
            self.same("frames", record["frames"], None)
            self.same("frame_rate", record["frame_rate"], None)
            return
        counts = record["frames"] or {}
        right = truth.frames._asdict() if truth.frames else \
            {"seen": len(truth.pictures), "complete": None, "incomplete": None, "missing": None}
        if truth.frames or counts:
            self.same("frames", counts, right)
        rate = record["frame_rate"] or {"mean": None, "least": None}
        self.same("frame_rate mean", rate["mean"], truth.mean_rate, near(rate["mean"], truth.mean_rate, 0, FRAME_RATE))
        if truth.rates:
            least = min(truth.rates)
            self.same("frame_rate least", rate["least"], least, near(rate["least"], least, 0, FRAME_RATE))

    def _freezes(self):
        truth, found = self.truth, list(self.record["freezes"] or [])
        picture = 1 / self.truth.stream.call.plan.fps
        for freeze in truth.freezes:
            matching = [f for f in found if f["frame"] in freeze.frames]
            self.same("freeze missing", [f["frame"] for f in found], freeze, bool(matching))
            for f in matching[:1]:
                found.remove(f)
                self.same("freeze's length", f["length"], freeze.length, near(f["length"], freeze.length, 0, picture))
                # the contract leaves open whether `at` is its beginning or its end
                self.same("freeze at", f["at"], freeze.at, near(f["at"], freeze.at, 0, picture)
                          or near(f["at"], freeze.at + freeze.length, 0, picture))
        unsure = list(truth.unsure)
        for f in found:
            like = [gap for gap in unsure if near(f["length"], gap, 0, UNSURE)]
            self.same("no freeze", f, "none", bool(like))
            if like:
                unsure.remove(like[0])

    def _clocked(self):
        truth, record = self.truth, self.record
        jitter = record["jitter"]
        if truth.batched:
            self.same("jitter", jitter, None)
        elif truth.jitter:
            jitter = jitter or {"mean": None, "max": None}
            for name, right in zip(("mean", "max"), truth.jitter):
                self.same(f"jitter {name}", jitter[name], right, near(jitter[name], right, JITTER, .1))
        self._round_trip()
        report = record["peer_report"]
        if truth.reported is not None and truth.reported < 4096:
            self.same("peer_report received", report and report["received"], truth.reported)
            self.same("peer_report", report, REPORTED, bool(report) and REPORTED.items() <= report.items())

    def _round_trip(self):
        truth, rtt = self.truth, self.record["rtt"]
        if truth.rtt and rtt and rtt["basis"] == "stamps":
            median, net, bound = truth.rtt
            self.same("rtt median", rtt["median"], f"{net:.1f} and at most {bound} more",
                      net - RTT <= rtt["median"] <= max(net + bound, median) + RTT)
            self.same("rtt median of samples", rtt["median"], median, near(rtt["median"], median, 0, bound / 2))
        elif truth.rtt and truth.medium == "audio":
            self.same("rtt", rtt, "of stamps", False)
        elif truth.by_rtcp and not rtt:
            self.same("rtt", rtt, "of RTCP", False)
        elif rtt:
            self.same("rtt's clock", rtt, None, not truth.batched)
            low, high = truth.trips
            self.same("rtt median", rtt["median"], truth.trips, low - RTT <= rtt["median"] <= high + NTP_RTT)

    def _places(self):
        truth, record = self.truth, self.record
        self.same("paths", sorted(p["path"] for p in record["paths"]), sorted(truth.paths),
                  {p["path"] for p in record["paths"]} >= set(truth.paths))
        if not truth.copies:
            self.same("packets by path", {p["path"]: p["packets"] for p in record["paths"]}, dict(truth.paths))
        self.same("dscp", sorted(record["dscp"]), truth.dscp)
        self.same("ttl", sorted(record["ttl"]), truth.ttl)

    def _series(self):
        truth = self.truth
        rows = {int(row["t"]): row for row in self.record["series"]}
        for key, place in (("packets", 0), ("bytes", 1)):
            total = sum(row[key] for row in rows.values())
            self.same(f"series {key}", total, getattr(truth, key))
            wrong = [t for t, row in truth.series.items() if rows.get(t, {key: 0})[key] != row[place]]
            self.same(f"series {key} in seconds", wrong, [], len(wrong) <= .01 * len(truth.series) + 1)
        self.same("series copies", sum(row["copies"] for row in rows.values()), self.record["copies"])
        self.same("series lost", sum(row["lost"] for row in rows.values()), truth.lost)
        if truth.medium == "video":
            right = [near(rows.get(t, {"frames": 0})["frames"], rate, 0, FRAME_RATE)
                     for t, rate in enumerate(truth.rates)]
            self.seconds = (sum(right), len(right))
        for t, row in truth.series.items():
            if t in rows and len(row[3]) == 1 and row[0]:
                self.same(f"path in second {t}", rows[t]["path"], row[3], rows[t]["path"] in row[3])


def differences(truth, record):
    comparison = Comparison(truth, record)
    right, seconds = comparison.seconds
    if right < SHARE_OF_SECONDS * seconds:
        comparison.found.append(f"{truth.medium} {truth.direction} frames: {right} of {seconds} seconds are right")
    return comparison.found


def sample(truth, call=1):
    """The JSON that the contract asks for, made from the truth: to check the comparison with."""
    media = truth.batched
    rtt = truth.rtt[0] if truth.rtt and truth.medium == "audio" else truth.trips[0] if truth.by_rtcp else None
    return {
        "schema": 1, "call": call, "call_key": None, "ssrc": truth.ssrc, "inside_quic": False, "direction": truth.direction,
        "medium": truth.medium, "codecs": [], "payload_types": truth.payload_types, "sender": "",
        "first_frame": truth.first_frame, "last_frame": truth.last_frames[-1], "packets": truth.packets,
        "bytes": truth.bytes, "copies": truth.copies, "seen_twice": truth.seen_twice, "lost": truth.lost,
        "reordered": truth.reordered, "loss_bursts": {"count": truth.bursts[0], "longest": truth.bursts[1]},
        "duration": truth.media_duration if media else truth.capture_duration,
        "clock": "media" if media else "capture", "bitrate": truth.bitrate,
        "frames": truth.frames and truth.frames._asdict(),
        "fec": truth.fec,
        "frame_rate": {"mean": truth.mean_rate, "least": min(truth.rates)} if truth.rates else None,
        "freezes": [{"frame": f.frames[0], "at": f.at, "length": f.length} for f in truth.freezes],
        "jitter": truth.jitter and dict(zip(("mean", "max"), truth.jitter)),
        "rtt": rtt and {"basis": "rtcp" if truth.by_rtcp else "stamps", "samples": 9, "min": rtt, "median": rtt, "p95": rtt},
        "peer_report": {"received": truth.reported, **REPORTED} if truth.reported is not None else None,
        "paths": [{"path": p, "packets": n} for p, n in truth.paths.items()], "dscp": truth.dscp, "ttl": truth.ttl,
        "series": [{"t": t, "packets": n, "bytes": size, "copies": truth.copies if t == min(truth.series) else 0,
                    "lost": truth.lost if t == min(truth.series) else 0,
                    "frames": frames, "rtt": None, "path": min(paths)}
                   for t, (n, size, frames, paths) in sorted(truth.series.items())],
    }
