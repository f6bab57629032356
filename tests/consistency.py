#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds in every FaceTime capture so far, counted again in another one.

The facts are those that the wire formats rest on (counted in the captures of 2023): a header that parses to
its body, a frame that has the packets it announces, a probe that repeats an audio timestamp. Each is computed
from the plain values of `tshark -T fields`, not from what the plugin says of itself, but for a few expert
infos that are named so. An exception in a new capture is either a fault of the plugin or news about FaceTime.

    consistency.py --arguments     prints the arguments that tshark needs, one a line
    tshark ... | consistency.py    prints a table; the exit status is 1 if a fact has an exception

tools/check-capture does both. Where packets are missing (loss, a capture that begins or ends within), a fact
that the missing ones could explain isn't judged: `of` counts the cases that are.
"""

import bisect
import collections
import itertools
import sys

FIELD, VALUE = "\x1f", "\x1e"       # separators of tshark's output

FIELDS = """
    frame.number ip.src ip.dst ipv6.src ipv6.dst udp.srcport udp.dstport udp.length icmp.type icmpv6.type
    _ws.malformed facetime.kind
    quickrelay.length quickrelay.flags1 quickrelay.flags2 quickrelay.attr quickrelay.stream quickrelay.link
    quickrelay.secondary_stream quickrelay.secondary_link quickrelay.session_version quickrelay.counter
    quickrelay.stats.echoed_counter quickrelay.stats.clock quickrelay.stats.received quickrelay.stats.sent
    quickrelay.bad_length quickrelay.unparsed_body quickrelay.unknown_bit quickrelay.unverified
    rtp.ssrc rtp.seq rtp.timestamp rtp.p_type rtp.marker
    facetime_rtp.ext.profile facetime_rtp.ext.version facetime_rtp.mki facetime_rtp.no_key_id
    facetime_rtp.field_missing facetime_rtp.bytes_left facetime_rtp.bad_extension_length
    facetime_rtp.unknown_extension facetime_rtp.fec_length_mismatch
    facetime_rtp.video.packets_in_frame facetime_rtp.video.frame_sequence facetime_rtp.video.probe
    facetime_rtp.fec.index facetime_rtp.fec.length facetime_rtp.fec.count facetime_rtp.fec.source_length
    facetime_link.command facetime_link.length facetime_link.tlv.type facetime_link.tlv.length
    facetime_link.interface.link_id facetime_link.bad_tlv_length facetime_link.trailing
    facetime_control.key_id facetime_control.counter facetime_control.ciphertext
    baseband.queued baseband.transmitted baseband.clock
""".split()

# Numbers of facetime.kind.
STUN, RTP, QUICKRELAY, CONTROL, LINK, HBH = 1, 4, 8, 9, 10, 11

VIDEO_TYPES = {34, 100, 123, 126}
HMAC_TLV = 9


def arguments():
    """What tshark needs besides the capture."""
    fields = itertools.chain.from_iterable(("-e", name) for name in FIELDS)
    return ["-n", "-T", "fields", "-E", f"separator={FIELD}", "-E", f"aggregator={VALUE}", *fields]


# Packets

class Packet:
    """One frame's values: packet["rtp.seq"] is a number or None, packet.all("rtp.seq") all of them."""

    def __init__(self, values):
        self.values = values
        self.frame = int(values["frame.number"][0])

    def __contains__(self, name):
        return bool(self.values.get(name))

    def all(self, name):
        return [int(value, 0) for value in self.values.get(name, ())]

    def __getitem__(self, name):
        value = self.values.get(name)
        return int(value[0], 0) if value else None

    def text(self, name):
        return self.values[name][0] if self.values.get(name) else None

    @property
    def way(self):
        """(source, destination), each (address, port)."""
        version = "ip" if "ip.src" in self else "ipv6"
        return ((self.text(f"{version}.src"), self["udp.srcport"]),
                (self.text(f"{version}.dst"), self["udp.dstport"]))

    @property
    def flow(self):
        return frozenset(self.way)

    @property
    def is_datagram(self):
        return "udp.srcport" in self and "icmp.type" not in self and "icmpv6.type" not in self

    @property
    def is_parity(self):
        return "facetime_rtp.fec.count" in self


def parse(lines):
    """Packets from tshark's lines."""
    for line in lines:
        values = line.rstrip("\n").split(FIELD)
        yield Packet({name: value.split(VALUE) if value else []
                      for name, value in zip(FIELDS, values, strict=True)})


class Capture:
    def __init__(self, packets):
        self.packets = list(packets)
        self.datagrams = [p for p in self.packets if p.is_datagram]
        # A datagram may hold several RTP packets (chained ones): which value is whose isn't told then.
        self.rtp = [p for p in self.datagrams if len(p.all("rtp.ssrc")) == 1 and p["facetime.kind"] == RTP]
        self.relayed = [p for p in self.datagrams if "quickrelay.length" in p]
        self.streams = collections.defaultdict(list)
        for packet in self.rtp:
            self.streams[packet["rtp.ssrc"]].append(packet)

    def frames_of_video(self):
        """Each stream's video frames with frame information, in order: (Frame, Frame before it or None)."""
        for ssrc in self.streams:
            frames = video_frames(self.streams[ssrc])
            yield from zip(frames, [None, *frames[:-1]])


class VideoFrame:
    """The packets of one RTP timestamp."""

    def __init__(self, packets, is_edge, sequences):
        self.packets = packets
        self.frame = packets[0].frame
        self.announced = packets[0]["facetime_rtp.video.packets_in_frame"]
        self.number = packets[0]["facetime_rtp.video.frame_sequence"]
        own = sorted({p["rtp.seq"] for p in packets})
        if own[-1] - own[0] > 0x8000:           # wraps
            own = sorted((s + 0x8000) % 0x10000 for s in own)
            own = [(s - 0x8000) % 0x10000 for s in own]
        self.count = len(own)
        self.first, self.last = own[0], own[-1]
        self.markers = len({p["rtp.seq"] for p in packets if is_true(p, "rtp.marker")})
        # Packets may be missing where sequence numbers are (in it, beside it), and at the stream's ends.
        self.may_lack = (is_edge or (self.last - self.first) % 0x10000 + 1 != self.count or
                         (self.first - 1) % 0x10000 not in sequences or
                         (self.last + 1) % 0x10000 not in sequences)


def video_frames(packets):
    groups = collections.defaultdict(list)
    for packet in packets:
        if "facetime_rtp.video.packets_in_frame" in packet:
            groups[packet["rtp.timestamp"]].append(packet)
    sequences = {p["rtp.seq"] for p in packets}
    edges = (0, len(groups) - 1)
    return [VideoFrame(group, at in edges, sequences) for at, group in enumerate(groups.values())]


def is_true(packet, name):
    return packet.text(name) in ("1", "True")


def hexadecimal(packet, name):
    """The digits of bytes or of a UUID."""
    return packet.text(name).replace(":", "").replace("-", "")


def steps(numbers, modulus):
    """The step from each number to the next, in -modulus/2 .. modulus/2 - 1."""
    for before, after in itertools.pairwise(numbers):
        yield (after - before + modulus // 2) % modulus - modulus // 2


# Facts: each yields (holds, frame, what) for every case that can be judged.

FACTS = []


def fact(name):
    def add(function):
        FACTS.append((name, function))
        return function
    return add


@fact("datagrams of FaceTime's flows have a kind")
def _kinds(capture):
    claimed = set()
    for packet in capture.datagrams:
        if "facetime.kind" in packet:
            claimed.add(packet.flow)
        if packet.flow in claimed:
            yield "facetime.kind" in packet, packet.frame, "no facetime.kind"


@fact("FaceTime packets are not malformed")
def _malformed(capture):
    for packet in capture.datagrams:
        if "facetime.kind" in packet:
            yield "_ws.malformed" not in packet, packet.frame, "malformed"


# The relay's header (ChannelData 0x6000)

@fact("relay header: length is the datagram's")
def _relay_length(capture):
    for packet in capture.relayed:
        told, there = packet["quickrelay.length"] + 4, (packet["udp.length"] or 0) - 8
        yield told == there, packet.frame, f"{told} told, {there} there"


@fact("relay header: parses to a known body")
def _relay_body(capture):
    kinds = {RTP, QUICKRELAY, CONTROL, LINK, HBH}
    complaints = [f"quickrelay.{name}" for name in
                  ("bad_length", "unparsed_body", "unknown_bit", "unverified")]
    for packet in capture.relayed:
        wrong = [name for name in complaints if name in packet]
        yield packet["facetime.kind"] in kinds and not wrong, packet.frame, ", ".join(wrong) or "unknown body"


def header_length(packet):
    """By flags, attributes and list counts alone."""
    f1, f2, attr = (packet[f"quickrelay.{name}"] or 0 for name in ("flags1", "flags2", "attr"))
    streams, links = (len(packet.all(f"quickrelay.secondary_{name}")) for name in ("stream", "link"))
    lengths = [(f1 & 0x80, 2), (f2 & 0x01, 2), (f2 & 0x02, 1 + 2 * streams), (f2 & 0x04, 8),
               (attr & 0x10 and not attr & 0x20, 2), (f2 & 0x08, 1), (f2 & 0x10, 2), (f2 & 0x20, 1),
               (f2 & 0x80, 2), (f1 & 0x04, 12), (f1 & 0x02 and not f1 & 0x04, 2), (f1 & 0x20, 2),
               (f1 & 0x40, 1 + 2 * links), (attr & 0x02, 1)]
    return 2 + sum(length for there, length in lengths if there)


@fact("relay header: flags give its length (empty, link, HBH, control)")
def _relay_flags(capture):
    for packet in capture.relayed:
        kind = packet["facetime.kind"]
        body = {QUICKRELAY: 0, HBH: 50}.get(kind)
        if kind == LINK and "facetime_link.length" in packet:
            body = 20 + packet["facetime_link.length"]
        if kind == CONTROL and "facetime_control.ciphertext" in packet:
            body = 2 + 8 + 1 + len(hexadecimal(packet, "facetime_control.ciphertext")) // 2
        if body is not None:
            expected = packet["quickrelay.length"] - body
            length = header_length(packet)
            yield length == expected, packet.frame, f"{length}, {expected} bytes are there"


@fact("relay header: link bit on link messages alone")
def _relay_link_bit(capture):
    for packet in capture.relayed:
        is_link = bool((packet["quickrelay.attr"] or 0) & 0x20)
        if is_link or packet["facetime.kind"] == LINK:
            yield is_link == (packet["facetime.kind"] == LINK), packet.frame, "link bit and body differ"


@fact("relay header: stream id is the SSRC's low half, +1 on FEC parity")
def _stream_id(capture):
    for packet in capture.rtp:
        if "quickrelay.stream" in packet:
            expected = packet["rtp.ssrc"] + packet.is_parity & 0xFFFF
            yield packet["quickrelay.stream"] == expected, packet.frame, \
                f"stream {packet['quickrelay.stream']:#06x}, SSRC {packet['rtp.ssrc']:#010x}"


@fact("relay header: link ids were announced")
def _links(capture):
    announced = {n for p in capture.datagrams for n in p.all("facetime_link.interface.link_id")}
    for packet in capture.relayed:
        if announced and "quickrelay.link" in packet:
            link = packet["quickrelay.link"]
            yield link in announced, packet.frame, f"link {link:#06x}"


@fact("relay header: session version never falls")
def _version(capture):
    before = {}
    for packet in capture.relayed:
        if "quickrelay.session_version" in packet:
            version = packet["quickrelay.session_version"]
            if packet.way in before:
                yield version >= before[packet.way], packet.frame, f"{version} after {before[packet.way]}"
            before[packet.way] = version


@fact("relay counter: steps by 1 or 2")
def _counter(capture):
    before = {}
    for packet in capture.relayed:
        if "quickrelay.counter" in packet:
            counter = packet["quickrelay.counter"]
            if packet.way in before:
                step = (counter - before[packet.way]) % 0x10000
                yield step in (1, 2), packet.frame, f"{counter} after {before[packet.way]}"
            before[packet.way] = counter


@fact("relay report: echoes a counter sent before")
def _echo(capture):
    sent = collections.defaultdict(set)
    for packet in capture.relayed:
        source, destination = packet.way
        if "quickrelay.counter" in packet:
            sent[packet.way].add(packet["quickrelay.counter"])
        echoed = packet["quickrelay.stats.echoed_counter"]
        if echoed is not None and sent[destination, source]:
            yield echoed in sent[destination, source], packet.frame, f"counter {echoed} was not sent"


@fact("relay report: clock never falls")
def _relay_clock(capture):
    reports = collections.defaultdict(list)
    for packet in capture.relayed:
        if "quickrelay.stats.clock" in packet:
            reports[packet.way].append(packet)
    for packets in reports.values():
        for packet, step in zip(packets[1:], steps([p["quickrelay.stats.clock"] for p in packets], 0x10000)):
            yield step >= 0, packet.frame, f"falls by {-step}"


def is_counted(packet):
    return bool((packet["quickrelay.flags2"] or 0) & 0x40)


@fact("relay report: received since the last one is what was sent, within 7")
def _received(capture):
    sent, at_counter, before = collections.Counter(), {}, {}
    for packet in capture.relayed:
        source, destination = packet.way
        sent[packet.way] += is_counted(packet)
        if "quickrelay.counter" in packet:
            at_counter[packet.way, packet["quickrelay.counter"]] = sent[packet.way]
        if "quickrelay.stats.received" in packet:
            own = at_counter.get(((destination, source), packet["quickrelay.stats.echoed_counter"]))
            told = packet["quickrelay.stats.received"]
            if own is not None and packet.way in before:
                own_before, told_before = before[packet.way]
                off = (told - told_before) % 0x10000 - (own - own_before)
                yield abs(off) <= 7, packet.frame, f"off by {off}"
            if own is not None:
                before[packet.way] = own, told


@fact("relay report: sent since the last one is what came, within 1")
def _sent(capture):
    came, before = collections.Counter(), {}
    for packet in capture.relayed:
        came[packet.way] += is_counted(packet)
        if "quickrelay.stats.sent" in packet:
            told = packet["quickrelay.stats.sent"]
            if packet.way in before:
                came_before, told_before = before[packet.way]
                off = (told - told_before) % 0x10000 - (came[packet.way] - came_before)
                yield abs(off) <= 1, packet.frame, f"off by {off}"
            before[packet.way] = came[packet.way], told


# RTP

@fact("RTP: key id (MKI) is a v4 UUID")
def _mki(capture):
    for packet in capture.rtp:
        if "facetime_rtp.mki" in packet or "facetime_rtp.no_key_id" in packet:
            mki = packet.text("facetime_rtp.mki") or "none"
            yield len(mki) == 36 and mki[14] == "4" and mki[19] in "89ab", packet.frame, f"key id {mki}"


@fact("RTP: one key id for each stream")
def _one_mki(capture):
    for packets in capture.streams.values():
        for packet in packets[1:]:
            if "facetime_rtp.mki" in packet:
                mki, first = packet.text("facetime_rtp.mki"), packets[0].text("facetime_rtp.mki")
                yield mki == first, packet.frame, f"key id {mki}, before {first}"


@fact("RTP: header extension is as long as its fields")
def _extension(capture):
    complaints = [f"facetime_rtp.{name}" for name in
                  ("field_missing", "bytes_left", "bad_extension_length", "unknown_extension")]
    for packet in capture.rtp:
        if "facetime_rtp.ext.profile" in packet:
            wrong = [name for name in complaints if name in packet]
            profile = packet["facetime_rtp.ext.profile"]
            yield not wrong, packet.frame, f"profile {profile:#06x}: {', '.join(wrong)}"


@fact("RTP: retransmissions fill a gap")
def _retransmission(capture):
    seen = set()
    for packet in capture.rtp:
        key = packet["rtp.ssrc"], packet["rtp.seq"]
        if (packet["quickrelay.attr"] or 0) & 0x04:
            yield key not in seen, packet.frame, f"sequence number {key[1]} had come already"
        seen.add(key)


@fact("video: packets in frame are as many as announced")
def _packets_in_frame(capture):
    for frame, _ in capture.frames_of_video():
        if frame.count == frame.announced or not (frame.may_lack and frame.count < frame.announced):
            yield frame.count == frame.announced, frame.frame, f"{frame.count}, {frame.announced} announced"


@fact("video: packets of a frame agree on its number and size")
def _frame_agreement(capture):
    for frame, _ in capture.frames_of_video():
        told = {(p["facetime_rtp.video.packets_in_frame"], p["facetime_rtp.video.frame_sequence"])
                for p in frame.packets}
        yield len(told) == 1, frame.frame, f"{sorted(told)}"


@fact("video: one marker for each frame")
def _marker(capture):
    for frame, _ in capture.frames_of_video():
        if frame.markers == 1 or not (frame.may_lack and frame.markers == 0):
            yield frame.markers == 1, frame.frame, f"{frame.markers} markers"


@fact("video: frame sequence steps by 1")
def _frame_sequence(capture):
    for frame, before in capture.frames_of_video():
        if before and (before.last + 1) % 0x10000 == frame.first:
            step = (frame.number - before.number) % 0x10000
            yield step == 1, frame.frame, f"{frame.number} after {before.number}"


@fact("video: probe is an audio timestamp of the same sender (one-to-one)")
def _probe(capture):
    audio = collections.defaultdict(set)
    for packet in capture.rtp:
        if packet["rtp.p_type"] not in VIDEO_TYPES:
            audio[packet.text("facetime_rtp.mki")].add(packet["rtp.timestamp"])
    ordered = {mki: sorted(times) for mki, times in audio.items()}
    for packet in capture.rtp:
        probe, mki = packet["facetime_rtp.video.probe"], packet.text("facetime_rtp.mki")
        if probe is None or packet["facetime_rtp.ext.version"] != 2 or mki not in ordered:
            continue
        # Before the first audio packet and after the last, the one it means wasn't captured.
        if 0 < bisect.bisect_right(ordered[mki], probe) and probe <= ordered[mki][-1]:
            yield probe in audio[mki], packet.frame, f"probe {probe}"


@fact("video: probe is 0 (multiway)")
def _probe_multiway(capture):
    for packet in capture.rtp:
        probe = packet["facetime_rtp.video.probe"]
        if probe is not None and packet["facetime_rtp.ext.version"] == 1:
            yield probe == 0, packet.frame, f"probe {probe}"


@fact("FEC: source length is the payload's")
def _fec_source(capture):
    for packet in capture.rtp:
        if "facetime_rtp.fec.index" in packet and not packet.is_parity:
            yield "facetime_rtp.fec_length_mismatch" not in packet, packet.frame, \
                f"length {packet['facetime_rtp.fec.length']}"


@fact("FEC: parity length is the longest of its list")
def _fec_parity(capture):
    for packet in capture.rtp:
        if packet.is_parity:
            longest = max(packet.all("facetime_rtp.fec.source_length"), default=0)
            yield packet["facetime_rtp.fec.length"] == longest, packet.frame, \
                f"{packet['facetime_rtp.fec.length']}, longest {longest}"


@fact("FEC: parity lists the lengths of its source packets")
def _fec_list(capture):
    sources = {(p["rtp.ssrc"], p["rtp.timestamp"], p["rtp.seq"]): p["facetime_rtp.fec.length"]
               for p in capture.rtp if "facetime_rtp.fec.index" in p and not p.is_parity}
    for packet in capture.rtp:
        if not packet.is_parity:
            continue
        listed = packet.all("facetime_rtp.fec.source_length")
        first = packet["rtp.seq"] - len(listed) + 1
        sent = [sources.get((packet["rtp.ssrc"], packet["rtp.timestamp"], (first + i) % 0x10000))
                for i in range(len(listed))]
        if None not in sent:
            yield listed == sent, packet.frame, f"{listed}, sent {sent}"


@fact("FEC: parity repeats the last source packet's sequence number")
def _fec_sequence(capture):
    last = {}
    for packet in capture.rtp:
        if "facetime_rtp.fec.index" in packet and not packet.is_parity and is_true(packet, "rtp.marker"):
            last[packet["rtp.ssrc"], packet["rtp.timestamp"]] = packet["rtp.seq"]
    for packet in capture.rtp:
        key = packet["rtp.ssrc"], packet["rtp.timestamp"]
        if packet.is_parity and key in last:
            sequence = packet["rtp.seq"]
            yield sequence == last[key], packet.frame, f"{sequence}, last source {last[key]}"


# Link and control messages

@fact("link message: TLVs fill its length")
def _tlvs(capture):
    for packet in capture.datagrams:
        if "facetime_link.length" in packet:
            used = sum(4 + length for length in packet.all("facetime_link.tlv.length"))
            told = packet["facetime_link.length"]
            complaints = ("facetime_link.bad_tlv_length", "facetime_link.trailing")
            wrong = [name for name in complaints if name in packet]
            yield used == told and not wrong, packet.frame, ", ".join([f"{used} of {told} bytes", *wrong])


@fact("link message: last TLV is its HMAC of 20 bytes")
def _hmac(capture):
    for packet in capture.datagrams:
        types = packet.all("facetime_link.tlv.type")
        lengths = packet.all("facetime_link.tlv.length")
        if types and lengths:
            yield (types[-1], lengths[-1]) == (HMAC_TLV, 20), packet.frame, \
                f"last TLV {types[-1]:#06x} of {lengths[-1]} bytes"


@fact("control message: key id begins a key id of RTP")
def _control_key(capture):
    keys = {hexadecimal(p, "facetime_rtp.mki")[:16] for p in capture.rtp if "facetime_rtp.mki" in p}
    for packet in capture.datagrams:
        if keys and "facetime_control.key_id" in packet:
            key = hexadecimal(packet, "facetime_control.key_id")
            yield key in keys, packet.frame, f"key id {key}"


@fact("control message: one ciphertext for each counter of a key")
def _control_counter(capture):
    texts = {}
    for packet in capture.datagrams:
        if "facetime_control.counter" in packet and "facetime_control.key_id" in packet:
            key = packet.text("facetime_control.key_id"), packet["facetime_control.counter"]
            text = packet.text("facetime_control.ciphertext")
            yield texts.setdefault(key, text) == text, packet.frame, f"counter {key[1]} again, other bytes"


# Reports of the phone's modem

def _reports(capture, value):
    flows = collections.defaultdict(list)
    for packet in capture.datagrams:
        if all(f"baseband.{name}" in packet for name in ("queued", "transmitted", "clock")):
            flows[packet.flow].append(packet)
    for packets in flows.values():
        for before, packet in itertools.pairwise(packets):
            yield value(packet) >= value(before), packet.frame, f"{value(packet)} after {value(before)}"


@fact("baseband: clock never falls")
def _baseband_clock(capture):
    yield from _reports(capture, lambda packet: packet["baseband.clock"])


@fact("baseband: transmitted bytes never fall")
def _baseband_transmitted(capture):
    yield from _reports(capture, lambda packet: packet["baseband.transmitted"])


@fact("baseband: queued and transmitted bytes never fall")
def _baseband_sum(capture):
    yield from _reports(capture, lambda packet: packet["baseband.queued"] + packet["baseband.transmitted"])


# The table

# frame, what: of the first exception, or None
Row = collections.namedtuple("Row", "name holds of frame what")


def judge(packets):
    """A Row for each fact."""
    capture = Capture(packets)
    rows = []
    for name, function in FACTS:
        cases = list(function(capture))
        exception = next((case for case in cases if not case[0]), (None, None, None))
        rows.append(Row(name, sum(case[0] for case in cases), len(cases), exception[1], exception[2]))
    return rows


def table(rows):
    width = max(len(row.name) for row in rows)
    yield f"{'fact':{width}}  {'holds':>7}  {'of':>7}  first exception"
    for row in rows:
        if row.of == 0:
            yield f"{row.name:{width}}  {'-':>7}  {'-':>7}  (nothing to judge)"
        else:
            exception = "" if row.frame is None else f"frame {row.frame}: {row.what}"
            yield f"{row.name:{width}}  {row.holds:7}  {row.of:7}  {exception}".rstrip()


def main():
    if sys.argv[1:] == ["--arguments"]:
        print("\n".join(arguments()))
        return 0
    if sys.argv[1:]:
        print(__doc__)
        return 2
    rows = judge(parse(sys.stdin))
    print("\n".join(table(rows)))
    if not any(row.of for row in rows):
        print("Nothing here that any fact is about: is there FaceTime in this capture?")
    return int(any(row.holds != row.of for row in rows))


if __name__ == "__main__":
    sys.exit(main())
