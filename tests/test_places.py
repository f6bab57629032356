# SPDX-License-Identifier: GPL-2.0-or-later
"""The same call, captured elsewhere: outside a NAT, one way, from its middle, cut. Variants of the real captures, made
here, must have as many packets named as the plain capture has, but the few that come before any proof."""

import itertools
import struct
import subprocess

import pytest

import support
from simulate import Call, Plan
from test_seen_twice import records, written

REAL = ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"]
NAMED = 0.98
ETHERNET = bytes.fromhex("020000000002020000000001")
DEVICE_PORTS, RELAY_PORTS = range(16393, 16404), (*range(3478, 3498), *range(16384, 16388))
DAY = 86400


class Packet:
    """A packet of IPv4 with UDP in it, or any other (its ports are 0)."""

    def __init__(self, number, time, data):
        self.number, self.time, self.data = number, time, bytearray(data)
        self.is_udp = data[0] == 0x45 and data[9] == 17 and not int.from_bytes(data[6:8], "big") & 0x1FFF
        self.source, self.destination = bytes(data[12:16]), bytes(data[16:20])
        self.ports = list(struct.unpack("!HH", data[20:24])) if self.is_udp else [0, 0]
        self.last = True        # of its fragments

    def copy(self):
        return Packet(self.number, self.time, self.data)

    def put(self, source=None, destination=None, ports=None):
        self.data[12:16] = self.source = source or self.source
        self.data[16:20] = self.destination = destination or self.destination
        if ports and self.is_udp:
            self.data[20:24] = struct.pack("!HH", *ports)
            self.ports = list(ports)

    @property
    def payload(self):
        return bytes(self.data[28:])

    def flow(self):
        return frozenset([(self.source, self.ports[0]), (self.destination, self.ports[1])])

    def of_relay(self):
        return any(port in RELAY_PORTS for port in self.ports)


def read(path):
    """The packets of a capture of raw IP; others than IPv4 stay out."""
    pcap = subprocess.run(["editcap", "-F", "pcap", path, "-"], capture_output=True, check=True).stdout
    offset, number, packets = 24, 0, []
    while offset < len(pcap):
        seconds, micros, captured, _ = struct.unpack_from("<IIII", pcap, offset)
        data = pcap[offset + 16:offset + 16 + captured]
        offset, number = offset + 16 + captured, number + 1
        if data and data[0] >> 4 == 4 and len(data) >= 28:
            packets.append(Packet(number, seconds + micros / 1e6, data))
    return packets


# Variants: lists of packets in, lists of packets out.

def is_own(address):
    return address[0] == 10 or address[:2] == b"\xc0\xa8"


def plain(packets):
    return packets


def ports_mapped(packets):
    """Outside a NAT: another address of the device, other ports."""
    for packet in packets:
        ends = [packet.source, packet.destination]
        ports = list(packet.ports)
        for end in (0, 1):
            if is_own(ends[end]) and ports[end] in DEVICE_PORTS and not all(map(is_own, ends)):
                ports[end] += 20000 + ends[end][1]
                ends[end] = bytes([203, 0, 113, ends[end][1]])
        packet.put(*ends, ports)
    return packets


def downlink(packets):
    return [p for p in packets if is_own(p.destination)]


def uplink(packets):
    return [p for p in packets if is_own(p.source)]


def first_lost(packets):
    """The first packet of each flow to a relay, the client's Initial."""
    seen = set()
    return [p for p in packets if not p.of_relay() or p.flow() in seen or seen.add(p.flow())]


def first_swapped(packets):
    """The first two packets of each flow to a relay change places."""
    packets = list(packets)
    for flow in {p.flow() for p in packets if p.of_relay()}:
        first, *rest = [i for i, p in enumerate(packets) if p.flow() == flow]
        if rest:
            packets[first], packets[rest[0]] = packets[rest[0]], packets[first]
    return packets


def fragmented(packets):
    """QUIC's long packets to and from relays come in fragments of 512 bytes."""
    out = []
    for ident, packet in enumerate(packets):
        if not packet.of_relay() or packet.payload[0] < 0xC0 or packet.payload[:2] == b"\xde\xad":
            out.append(packet)
            continue
        header, body = packet.data[:20], packet.data[20:]
        for start in range(0, len(body), 512):
            part = packet.copy()
            part.last = start + 512 >= len(body)
            part.data = bytearray(header) + body[start:start + 512]
            part.data[2:8] = struct.pack("!HHH", len(part.data), ident & 0xFFFF,
                                         start // 8 | (0 if part.last else 0x2000))
            out.append(part)
    return out


def relay_on_3478(packets):
    for packet in packets:
        if packet.of_relay() and 3480 not in packet.ports:
            packet.put(ports=[3478 if port in RELAY_PORTS else port for port in packet.ports])
    return packets


def from_mid_call(packets):
    return packets[len(packets) * 2 // 5:]


VARIANTS = [ports_mapped, downlink, uplink, first_lost, first_swapped, fragmented, relay_on_3478, from_mid_call]
LAST = {ports_mapped: 1, fragmented: 2}     # hides what is own; takes whole datagrams apart
PAIRS = [sorted(pair, key=lambda make: LAST.get(make, 0)) for pair in itertools.combinations(VARIANTS, 2)
         if set(pair) != {downlink, uplink}]
PLACES = [[plain], *([make] for make in VARIANTS), *PAIRS]


def frames_of(packets, n):
    """Frames of Ethernet. Each variant has addresses, and a day, of its own."""
    for packet in packets:
        packet.put(*(bytes([a[0], a[1] ^ n, a[2] ^ (n >> 4), a[3]]) for a in (packet.source, packet.destination)))
        yield packet, packet.time + DAY * n, ETHERNET + b"\x08\x00" + packet.data


def write(variants, cut=None, frames_of=frames_of):
    """(path, [the packet of each frame, with its variant's number])"""
    out, index = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)], []
    for n, packets in enumerate(variants):
        for packet, time, frame in frames_of(packets, n):
            kept = min(len(frame), cut[n] or len(frame)) if cut else len(frame)
            out.append(struct.pack("<IIII", int(time), int(time % 1 * 1e6), kept, len(frame)) + frame[:kept])
            index.append((n, packet))
    return support.write_capture(b"".join(out)), index


def kinds(tshark, capture, index):
    """For each variant {number of the packet: its kind, or None}."""
    found = {}
    for (n, packet), row in zip(index, tshark.rows(capture, "facetime.kind"), strict=True):
        if packet.last:
            found.setdefault(n, {})[packet.number] = row["facetime.kind"][-1] if row["facetime.kind"] else None
    return found


def short_ones(found, names, same_kind, unproven=0):
    """Variants in which fewer packets than NAMED are named as in the plain one, of those that they have, and more than some
    that come before any proof."""
    for n in range(1, len(names)):
        expected = {number: kind for number, kind in found[0].items() if kind and number in found[n]}
        good = sum(found[n][number] == kind if same_kind else found[n][number] is not None
                   for number, kind in expected.items())
        if good < min(NAMED * len(expected), len(expected) - unproven):
            yield f"{names[n]}: {good} of {len(expected)}"


@pytest.mark.parametrize("name", REAL)
def test_anywhere(name, tshark, real):
    path = real(name)
    variants = []
    for makes in PLACES:
        packets = read(path) if not variants else [p.copy() for p in original]
        if not variants:
            original = [p.copy() for p in packets]
        for make in makes:
            packets = make(packets)
        variants.append(packets)
    capture, index = write(variants)
    names = [" + ".join(make.__name__ for make in makes) for makes in PLACES]
    assert not list(short_ones(kinds(tshark, capture, index), names, same_kind=False))


@pytest.mark.parametrize("rest, of, directions", [(0, 3, (uplink, downlink)), (1, 2, (uplink, downlink)), (0, 7, (uplink, downlink)),
                                                  (0, 3, (uplink,)), (1, 2, (downlink,))])
@pytest.mark.parametrize("name", REAL)
def test_many_lost(name, rest, of, directions, tshark, real):
    """One packet of so many is lost, whatever it is: the call stays one, with the events that it had."""
    kept = [p for make in directions for i, p in enumerate(make(read(real(name)))) if i % of != rest]
    capture, _ = write([sorted(kept, key=lambda p: p.number)], frames_of=as_they_are)
    rows = tshark.rows(capture, "facetime.call", filter="facetime.kind", two_pass=True)
    assert {row["facetime.call"][-1] for row in rows} == {"1"}
    told = tshark.values(capture, "facetime.event", two_pass=True)
    assert not {"path_switch", "media_on_both_paths", "call_restarted", "handover", "peer_unreachable"} & set(told)


def as_they_are(packets, n):
    for packet in packets:
        yield packet, packet.time, ETHERNET + b"\x08\x00" + packet.data


def read_ethernet(path):
    pcap = subprocess.run(["editcap", "-F", "pcap", path, "-"], capture_output=True, check=True).stdout
    return [Packet(number, time, frame[14:]) for number, (time, frame) in enumerate(records(pcap), 1)
            if frame[12:14] == b"\x08\0" and len(frame) >= 42]


def made(name):
    """Of 2015 and of 2019, six seconds on the relay and the direct path; of 2026."""
    if name == "2026":
        return support.TEST_CAPTURES / "modern-2026.pcapng"
    plan = Plan(seed=21, seconds=6, mode=name, paths=((0, "relay"), (4, "direct")))
    return support.write_capture(Call(plan).capture("A").write())


@pytest.mark.parametrize("name", ["legacy", "2026"])
def test_anywhere_made(name, tshark):
    """Their messages name addresses, so each variant is a capture of its own."""
    original, found = read_ethernet(made(name)), {}
    for n, makes in enumerate(PLACES):
        packets = [p.copy() for p in original]
        for make in makes:
            packets = make(packets)
        capture, index = write([packets], frames_of=as_they_are)
        found[n] = kinds(tshark, capture, index)[0]
    names = [" + ".join(make.__name__ for make in makes) for makes in PLACES]
    assert not list(short_ones(found, names, same_kind=False, unproven=24 if name == "legacy" else 6))


def test_tags_of_2026_behind_two_nats(tshark):
    """The direct path from its middle, both ends' ports mapped: the tags' key ids agree, on whatever ports."""
    frames = subprocess.run(["editcap", "-F", "pcap", support.TEST_CAPTURES / "modern-2026.pcapng", "-"], capture_output=True,
                            check=True).stdout
    offset, out = 24, []
    while offset < len(frames):
        length = int.from_bytes(frames[offset + 8:offset + 12], "little")
        frame = bytearray(frames[offset + 16:offset + 16 + length])
        offset += 16 + length
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[42] >> 6 == 2:
            frame[34:38] = struct.pack("!HH", *(port + 20000 for port in struct.unpack("!HH", frame[34:38])))
            out.append(bytes(frame))
    kinds_of = tshark.values(support.make_capture(out), "facetime.kind")
    assert len(out) > 30 and len(kinds_of) >= len(out) - 6 and set(kinds_of) == {"4"}


@pytest.mark.parametrize("share", [.6, .7, .9])
def test_second_interface_from_late_in_the_call(share, tshark, real):
    """QUIC on the cellular interface, its handshake long past: it runs to the relay that Wi-Fi's packets prove."""
    packets = read(real("facetime-2023-wifi-caller.pcapng"))
    whole, late = (write([part]) for part in (packets, packets[int(len(packets) * share):]))
    assert not list(short_ones({0: kinds(tshark, *whole)[0], 1: kinds(tshark, *late)[0]}, ["whole", f"{share}"], same_kind=True))


def test_a_known_relay_vouches_for_itself_alone(tshark):
    """From the next frame on, to its address and port, for an hour."""
    packets = read_ethernet(made("2026"))
    relay = next(p for p in packets if p.of_relay() and p.payload[:1] == b"\x60")
    own, other = (relay.source, relay.destination) if is_own(relay.source) else (relay.destination, relay.source)
    port = relay.ports[0] if relay.ports[0] in RELAY_PORTS else relay.ports[1]
    short = bytes([0x45, 0x11, 0x80]) + bytes(range(7, 40))
    last = packets[-1].time - support.START_TIME

    def to(address, number, time):
        return support.Datagram("10.1.2.3", 50123, ".".join(map(str, address)), number, short, time)
    at = [to(other, port, -1), to(other, port, last + 60), to(other, port + 1, last + 61), to(own, port, last + 62),
          to(bytes([17, 1, 2, 3]), port, last + 63), to(other, port, last + 7300)._replace(sport=50124)]
    frames = [(p.time, ETHERNET + b"\x08\0" + bytes(p.data)) for p in packets]
    frames += [(support.START_TIME + d.time, d.frame()) for d in at]
    capture = written(frames)
    expected = sorted(at, key=lambda d: d.time)
    rows = tshark.rows(capture, "facetime.kind", "udp.srcport", filter="udp.srcport in {50123, 50124}")
    assert [row["facetime.kind"] for row in rows] == [["12"] if d is at[1] else [] for d in expected]


@pytest.mark.parametrize("minutes", [4, 20, 150])
def test_a_device_vouches_as_long_as_its_call_lasts(tshark, minutes):
    """64 bytes a packet: checks and media of a new way have no more than the device's word, however long the call."""
    packets = read_ethernet(made("modern"))
    begin, span = packets[0].time, packets[-1].time - packets[0].time

    def later(packets, n):
        for packet, time, frame in as_they_are(packets, n):
            yield packet, begin + (time - begin) * minutes * 60 / span, frame
    found = {n: kinds(tshark, *write([packets], [64], frames_of=times))[0] for n, times in enumerate((as_they_are, later))}
    assert sum(kind is not None for kind in found[0].values()) > 50
    assert not list(short_ones(found, ["as it was", f"in {minutes} minutes"], same_kind=True))


CUTS = [None, 58, 64, 96, 128, 200]


@pytest.mark.parametrize("name", REAL)
def test_cut_from_mid_call(name, tshark, real):
    """Bytes of a frame of Ethernet; raw IP has 14 more of the datagram."""
    packets = from_mid_call(read(real(name)))
    capture, index = write([[p.copy() for p in packets] for _ in CUTS], CUTS)
    assert not list(short_ones(kinds(tshark, capture, index), [f"{cut} bytes" for cut in CUTS], same_kind=True))


@pytest.mark.parametrize("name", ["facetime-caller", "facetime-dropmidcall"])
def test_the_downlink_alone_has_its_generation(name, tshark):
    """Of a legacy call: a relay's answers come before any mark of its generation."""
    packets = [p for p in read_ethernet(support.TEST_CAPTURES / f"{name}.pcapng") if p.source[:2] != b"\xac\x10"]
    capture, _ = write([packets], frames_of=as_they_are)
    assert tshark.count(capture, "facetime.call && facetime.generation == 1") > 500
    assert tshark.count(capture, "facetime.call && facetime.kind && facetime.generation != 1") == 0
    assert tshark.count(capture, "facetime.call && facetime.kind && !facetime.generation") == 0
