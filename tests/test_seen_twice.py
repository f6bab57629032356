# SPDX-License-Identifier: GPL-2.0-or-later
"""The same datagrams twice in one file: a mirror port, both sides of a NAT or of 464XLAT, both ends of the call, with clocks
that agree, or are seconds or an hour apart. One call, each stream once, and nothing told that only the copies show."""

import collections
import functools
import ipaddress
import itertools
import json
import random
import struct
import subprocess

import pytest

import support
from simulate import Call, Plan
from wire import packets, rtp

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
DEVICE, OUTSIDE = ipaddress.ip_address("192.168.1.10"), ipaddress.ip_address("203.0.113.7")
DEVICE6, PREFIX6 = ipaddress.ip_address("2001:db8::a"), int(ipaddress.ip_address("64:ff9b::"))
FALSE = {"media_on_both_paths", "handover", "media_gap", "path_flaps", "bye_retransmitted", "channel_bind_retransmitted",
         "allocate_retransmitted", "call_restarted", "mode_changed", "peer_unreachable", "released_channel_used", "hole_punched"}


@functools.cache
def call_of(mode):
    """mode: of the simulator's, perhaps in the format of 2026."""
    mode, trailer = (mode[:-6], 2026) if mode.endswith(", 2026") else (mode, 2023)
    return Call(Plan(seed=21, seconds=6, mode=mode, trailer=trailer, paths=((0, "relay"), (3, "direct"))))


def records(capture):
    """[(time, frame)] of a capture's bytes."""
    offset, out = len(HEADER), []
    while offset < len(capture):
        seconds, micros, length, _ = struct.unpack_from("<IIII", capture, offset)
        out.append((seconds + micros / 1e6, capture[offset + 16:offset + 16 + length]))
        offset += 16 + length
    return out


def written(frames):
    """Stable: of two frames at one time the first one given comes first."""
    out = [HEADER]
    for time, frame in sorted(frames, key=lambda record: record[0]):
        micros = round(time * 1e6)
        out.append(struct.pack("<IIII", micros // 10**6, micros % 10**6, len(frame), len(frame)) + frame)
    return support.write_capture(b"".join(out))


def at_a(mode):
    return records(call_of(mode).capture("A").write())


def mirrored(frames, delay):
    return frames + [(time + delay, frame) for time, frame in frames]


def ends(frame):
    return ipaddress.ip_address(frame[26:30]), ipaddress.ip_address(frame[30:34])


def beyond_nat(frame):
    """Outside of the device's NAT, which keeps ports, at the same IP id; None for what stays inside."""
    source, destination = ends(frame)
    if DEVICE not in (source, destination) or (source.is_private and destination.is_private and OUTSIDE not in (source, destination)):
        return None
    return frame[:26] + b"".join((OUTSIDE if end == DEVICE else end).packed for end in (source, destination)) + frame[34:]


def as_ipv6(frame):
    """What 464XLAT makes of a datagram between the device and others; it leaves no IP id."""
    source, destination = ends(frame)
    if frame[14] != 0x45 or frame[23] != 17 or DEVICE not in (source, destination):
        return None
    new = [(DEVICE6 if end == DEVICE else ipaddress.IPv6Address(PREFIX6 | int(end))).packed for end in (source, destination)]
    return frame[:12] + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, len(frame) - 34, 17, 64) + b"".join(new) + frame[34:]


def both_sides(frames, other, delay):
    """Out: first inside, then outside; in: the other way round."""
    out = []
    for time, frame in frames:
        copy, is_sent = other(frame), ends(frame)[0] == DEVICE
        out += [(time, frame)] + ([(time + (delay if is_sent else -delay), copy)] if copy else [])
    return out


def both_ends(mode, offset):
    return at_a(mode) + records(call_of(mode).capture("B", offset=offset).write())


PLACES = {
    "mirror, at once": lambda mode: mirrored(at_a(mode), 0),
    "mirror, 0.5 ms": lambda mode: mirrored(at_a(mode), .0005),
    "NAT": lambda mode: both_sides(at_a(mode), beyond_nat, .0004),
    "464XLAT": lambda mode: both_sides(at_a(mode), as_ipv6, .0004),
    "both ends": lambda mode: both_ends(mode, 0),
    "both ends, 3 s": lambda mode: both_ends(mode, 3),
    "both ends, 1 h": lambda mode: both_ends(mode, 3600),
    "both ends, 37 s behind": lambda mode: both_ends(mode, -37),
    "both ends, a day behind": lambda mode: both_ends(mode, -86400),
}


def told(tshark, capture):
    """(calls, {event: how often})"""
    calls = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    events = collections.Counter(name for names in tshark.names(capture, "facetime.event", filter="facetime.event")
                                 for name in names["facetime.event"].split(","))
    return calls, events


def truth(mode, end):
    """{SSRC: (direction, distinct packets)} as the simulator has it at one end."""
    seen = collections.defaultdict(set)
    for record in call_of(mode).capture(end).records:
        if record.packet and not record.packet.parity:
            seen[record.packet.stream].add(record.packet)
    return {stream.ssrc: ("out" if stream.end == end else "in", len(packets)) for stream, packets in seen.items()}


@pytest.mark.parametrize("place, mode", [
    *((place, mode) for place in PLACES for mode in ("legacy", "one-to-one")), ("NAT", "multiway"), ("both ends, 3 s", "multiway"),
    *((place, mode) for place in PLACES if "both ends" in place for mode in ("one-to-one, 2026", "multiway, 2026"))])
def test_once(place, mode, tshark):
    calls, events = told(tshark, written(PLACES[place](mode)))
    assert len(calls) == 1
    call, = calls
    assert call["capture_points"] == 2
    home = "A" if call["local"].split(":")[0] in (str(DEVICE), str(OUTSIDE)) or "2001" in call["local"] else "B"
    streams = {stream["ssrc"]: (stream["direction"], stream["packets"]) for stream in call["streams"]}
    assert len(call["streams"]) == 4 and streams == truth(mode, home)
    assert not [stream for stream in call["streams"] if stream["lost"] or stream["copies"]]
    assert call["duration"] < 12
    assert not FALSE & set(events)
    assert events["path_switch"] == 2   # of each sender, once


@pytest.mark.parametrize("mode", ["legacy", "one-to-one", "multiway", "one-to-one, 2026", "multiway, 2026"])
@pytest.mark.parametrize("offset", [3, 3600, -86400])
def test_both_ends_from_the_middle(mode, offset, tshark):
    """No key, no check, no SIP ties them, as neither end's was captured: what they have in common is media."""
    whole = Call(Plan(seed=21, seconds=6, mode="legacy" if mode == "legacy" else mode.split(",")[0],
                      trailer=2026 if "2026" in mode else 2023))
    a, b = (records(whole.capture(end, offset=by, window=(4, 7)).write()) for end, by in (("A", 0), ("B", offset)))
    calls, events = told(tshark, written(a + b))
    assert len(calls) == 1 and calls[0]["capture_points"] == 2
    assert len(calls[0]["streams"]) == 4 and not FALSE & set(events)


@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
def test_each_side_of_a_nat_mirrored(mode, tshark):
    """What comes in is outside first, twice, and is learnt from inside, where it comes twice as well."""
    (call,), events = told(tshark, written(mirrored(both_sides(at_a(mode), beyond_nat, .0004), .0001)))
    assert {stream["ssrc"]: (stream["direction"], stream["packets"]) for stream in call["streams"]} == truth(mode, "A")
    assert not [stream for stream in call["streams"] if stream["lost"] or stream["copies"]]
    assert not FALSE & set(events)


def test_alone(tshark):
    """What the other tests rest on: at one place nothing was seen before."""
    capture = written(at_a("one-to-one"))
    (call,), events = told(tshark, capture)
    assert call["capture_points"] == 1 and events["path_switch"] == 2
    assert tshark.count(capture, "facetime.seen_before") == 0


def test_links(tshark):
    """The later of two frames with one packet of media in them points at the earlier one."""
    capture = written(both_ends("one-to-one", 0))
    rows = tshark.rows(capture, "facetime.seen_before", "rtp.ssrc", "rtp.seq", "facetime.call", filter="rtp", two_pass=True)
    numbers = [int(value) for value in tshark.values(capture, "frame.number", filter="rtp")]
    first, linked = {}, 0
    for number, row in zip(numbers, rows, strict=True):
        packet = row["rtp.ssrc"][0], row["rtp.seq"][0]
        if packet in first:
            assert row["facetime.seen_before"] == [str(first[packet])], number
            linked += 1
        else:
            assert not row["facetime.seen_before"], number
        first.setdefault(packet, number)
    assert linked > 1000


@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
@pytest.mark.parametrize("delay", [.08, 3, 3600])
def test_no_nat_between_two_captures(delay, mode, tshark):
    """The direct way has the same addresses at both ends: only the clock tells the second capture."""
    peer, frames = ipaddress.ip_address("198.51.100.20"), at_a(mode)
    (alone,), before = told(tshark, written(frames))
    (call,), events = told(tshark, written(frames + [(time + delay, f) for time, f in frames if peer in ends(f) and f[23] == 17]))
    assert call["capture_points"] == 2 and events == before
    assert [(s["ssrc"], s["packets"], s["copies"], s["lost"]) for s in call["streams"]] == \
        [(s["ssrc"], s["packets"], 0, 0) for s in alone["streams"]]


def without_ids_in_batches(frames):
    """As a clock of batches has them from 3 s on, packets 20 us apart; and no IP ids."""
    out, at, start = [], 0, frames[0][0] + 3
    for time, frame in frames:
        at = time if time < start else max(at + 20e-6, int(time) + 1)
        out.append((at, frame[:18] + b"\0\0" + frame[20:] if frame[12:14] == b"\x08\0" else frame))
    return out


def as_at_one_place(tshark, alone, twice):
    """Same calls, streams and events, and nearly all of what is FaceTime's is known to have come before."""
    before, events = told(tshark, alone)
    calls, again = told(tshark, twice)
    assert again == events
    assert [[(s["ssrc"], s["direction"], s["packets"], s["copies"], s["lost"]) for s in call["streams"]] for call in calls] == \
        [[(s["ssrc"], s["direction"], s["packets"], s["copies"], s["lost"]) for s in call["streams"]] for call in before]
    assert [call["capture_points"] for call in calls] == [2]
    assert tshark.count(twice, "facetime.kind && facetime.seen_before") >= .99 * tshark.count(alone, "facetime.kind")


@pytest.mark.parametrize("delay", [.0005, .005])
@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
def test_mirrored_batches_without_ids(mode, delay, tshark):
    frames = without_ids_in_batches(at_a(mode))
    as_at_one_place(tshark, written(frames), written(mirrored(frames, delay)))


@pytest.mark.parametrize("delay", [.0005, .005])
@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
def test_mirrored_real_call(name, delay, tshark, real):
    """Raw IP; the clock's batches bring hundreds of packets between the first and its copy, some without an IP id."""
    pcap = subprocess.run(["editcap", "-F", "pcap", real(name), "-"], capture_output=True, check=True).stdout
    frames = [(time, support.packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", frame)) for time, frame in records(pcap)]
    as_at_one_place(tshark, written(frames), written(mirrored(frames, delay)))


def without_ids(frames):
    return [(time, frame[:18] + b"\0\0" + frame[20:] if frame[12:14] == b"\x08\0" else frame) for time, frame in frames]


@pytest.mark.parametrize("mode, delay", [("legacy", .01), ("legacy", .03), ("one-to-one", .03), ("multiway, 2026", .045)])
def test_slow_mirror_without_ids(mode, delay, tshark):
    """As over a tunnel from afar: once each datagram came again as late both ways, what comes as late is a copy."""
    frames = without_ids(at_a(mode))
    (alone,), _ = told(tshark, written(frames))
    capture = written(mirrored(frames, delay))
    (call,), events = told(tshark, capture)
    assert call["capture_points"] == 2
    assert [(s["ssrc"], s["packets"], s["lost"]) for s in call["streams"]] == [(s["ssrc"], s["packets"], 0) for s in alone["streams"]]
    assert all(s["copies"] <= 16 for s in call["streams"])
    assert tshark.count(capture, "facetime.kind && facetime.seen_before") >= .97 * tshark.count(written(frames), "facetime.kind")
    assert not {"media_on_both_paths", "handover", "media_gap", "call_restarted", "mode_changed"} & set(events)


def sent_again(frames, which):
    return frames + [(time + .02, frame) for time, frame in frames if frame[12:14] == b"\x08\0" and frame[23] == 17 and which(frame)]


@pytest.mark.parametrize("which", ["what the device sends", "every other datagram", "two of three"])
def test_what_is_sent_again_evenly_is_no_mirrors(which, tshark):
    frames = without_ids(at_a("one-to-one"))
    number = itertools.count()
    again = {"what the device sends": lambda f: f[26:30] == DEVICE.packed, "every other datagram": lambda f: next(number) % 2,
             "two of three": lambda f: next(number) % 3}[which]
    assert tshark.count(written(sent_again(frames, again)), "facetime.seen_before") == 0


def test_equal_beginnings_and_ends_are_no_copies(tshark):
    """Two messages one after the other that differ in their middle alone."""
    frames = without_ids(at_a("one-to-one"))
    at = next(i for i, (_, f) in enumerate(frames) if len(f) > 300 and f[26:30] == DEVICE.packed and f[23] == 17)
    time, frame = frames[at]
    other = frame[:150] + bytes([frame[150] ^ 1]) + frame[151:]
    counts = [tshark.count(written(frames + [(time + .0001, f)]), "facetime.seen_before") for f in (frame, other)]
    assert counts == [1, 0]


def real_beyond_nat(packet, shift):
    """The copy of a real packet outside of the NAT: the device's address, and its ports by so many, are others, also in what ICMP
    quotes. None for what stays inside."""
    public = {bytes([10, 239, 19, 254]): bytes([203, 0, 113, 1]), bytes([10, 127, 22, 118]): bytes([203, 0, 113, 2])}
    out, quote = bytearray(packet), packet[28:] if packet[9] == 1 else b""
    if all(end[0] in (10, 169, 192) for end in (packet[12:16], packet[16:20])) or not {packet[12:16], packet[16:20]} & set(public):
        return None
    for start, ip in ((0, packet), (28, quote)):
        for at, port in ((12, 20), (16, 22)):
            if len(ip) >= 24 and ip[at:at + 4] in public:
                out[start + at:start + at + 4] = public[ip[at:at + 4]]
                if ip[9] == 17:
                    number = int.from_bytes(ip[port:port + 2], "big") + shift
                    out[start + port:start + port + 2] = number.to_bytes(2, "big")
    return bytes(out)


@pytest.mark.parametrize("shift, order", [(0, "identical"), (1000, "before"), (0, "5 ms"), (1000, "0.4 ms"), (1000, "5 ms")])
@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
def test_both_sides_of_the_nat_of_a_real_call(name, shift, order, tshark, real):
    """The clock comes in batches, and two interfaces send and get the same. One call, with the streams and events of the device's
    side; only where it begins is told for what each side saw first."""
    pcap = subprocess.run(["editcap", "-F", "pcap", real(name), "-"], capture_output=True, check=True).stdout
    packets = [(time, packet) for time, packet in records(pcap) if packet[:1] == b"\x45" and len(packet) >= 28]
    delay = {"5 ms": .005, "0.4 ms": .0004}.get(order, 0)
    frames = []
    for time, packet in packets:
        copy, is_sent = real_beyond_nat(packet, shift), packet[12] == 10
        both = [(time, packet)] + ([(time + (delay if is_sent else -delay), copy)] if copy else [])
        frames += both[::-1] if order == "before" else both
    ethernet = support.packets.ethernet
    alone, both = (written([(time, ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", packet)) for time, packet in those])
                   for those in (packets, frames))
    (before,), events = told(tshark, alone)
    (call,), again = told(tshark, both)
    assert call["capture_points"] == 2
    rows = [sorted((s["ssrc"], s["direction"], s["packets"], s["copies"], s["lost"]) for s in c["streams"]) for c in (before, call)]
    assert rows[0] == rows[1]
    for counted in (events, again):
        del counted["call_started"]
    assert again == events


@pytest.mark.parametrize("name", ["facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng"])
def test_outside_of_a_nat_without_the_first_packet(name, tshark, real):
    """The relay's QUIC comes first: the device is the other end."""
    pcap = subprocess.run(["editcap", "-F", "pcap", real(name), "-"], capture_output=True, check=True).stdout
    outside = [(time, real_beyond_nat(packet, 1000)) for time, packet in records(pcap) if packet[:1] == b"\x45" and len(packet) >= 28]
    outside = [(time, packet) for time, packet in outside if packet and packet[9] == 17]
    first = next(i for i, (_, packet) in enumerate(outside) if packet[12] == 17 and packet[28] >> 4 == 12)
    frames = [(time, support.packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", packet)) for time, packet in outside[first:]]
    (call,), _ = told(tshark, written(frames))
    assert call["local"].startswith("203.0.113.")


def with_constant_ids(frames):
    """Each sender gives all of its packets one IP id: it doesn't number them."""
    return [(time, f[:18] + (b"\x11\x11" if ends(f)[0] == DEVICE else b"\x22\x22") + f[20:]) for time, f in frames]


def test_a_number_that_never_changes_tells_nothing(tshark):
    """A check that is sent again, long after both ends were heard, is no copy of the first."""
    frames, peer = with_constant_ids(at_a("one-to-one")), ipaddress.ip_address("198.51.100.20")
    checks = [(time, f) for time, f in frames if ends(f) == (DEVICE, peer) and f[23] == 17 and f[42:44] == b"\x00\x01"]
    again = (checks[-1][0] + .9, checks[-1][1])
    before, after = (tshark.count(written(part), 'facetime.event == "binding_retransmitted"') for part in (frames, frames + [again]))
    assert after == before + 1
    assert tshark.count(written(frames + [again]), "facetime.seen_before") == 0


def routed(frame, ip_id=None):
    """A router farther, and perhaps with a number of the router's own."""
    ip_id = frame[18:20] if ip_id is None else struct.pack("!H", ip_id)
    return frame[:18] + ip_id + frame[20:22] + bytes([frame[22] - 1]) + frame[23:]


def beyond_numbering_nat(frame):
    copy = beyond_nat(frame)
    return copy and routed(copy, sum(frame[40:46]) & 0xFFFF | 0x8000)


def beyond_private_nat(frame):
    """Two NATs, one behind the other: between them the addresses are private, too."""
    copy = beyond_nat(frame)
    return copy and routed(copy.replace(OUTSIDE.packed, bytes([10, 0, 0, 7])))


ODD_PLACES = {
    "mirror, three times": lambda f: f + [(t + n * .0002, x) for t, x in f for n in (1, 2)],
    "mirror, in a VLAN": lambda f: f + [(t + .00002, x[:12] + b"\x81\0\0\x64" + x[12:]) for t, x in f],
    "NAT that numbers anew": lambda f: both_sides(f, beyond_numbering_nat, .0004),
    "NAT behind NAT": lambda f: both_sides(f, beyond_private_nat, .0004),
    "464XLAT, 3 ms": lambda f: both_sides(f, as_ipv6, .003),
}


@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
@pytest.mark.parametrize("place", ODD_PLACES)
def test_odd_places(place, mode, tshark):
    """Streams are as at one place, and at mirror ports the events are, ICMP errors' included."""
    frames = at_a(mode)
    (alone,), before = told(tshark, written(frames))
    (call,), events = told(tshark, written(ODD_PLACES[place](frames)))
    assert call["capture_points"] == (3 if "three" in place else 2)
    assert [(s["ssrc"], s["packets"], s["copies"], s["lost"]) for s in call["streams"]] == \
        [(s["ssrc"], s["packets"], 0, 0) for s in alone["streams"]]
    assert events == before if "mirror" in place else not FALSE & set(events)


def beyond_mapping_nat(frame):
    """Its NAT maps the device's port, too."""
    copy, at = beyond_nat(frame), 34 if ends(frame)[0] == DEVICE else 36
    return copy and copy[:at] + struct.pack("!H", struct.unpack_from("!H", copy, at)[0] + 1000) + copy[at + 2:]


def bare_media():
    """Direct audio of both, without signalling: 52 bytes each, 20 ms apart."""
    rng, peer, device = random.Random(5), ("71.230.89.52", 16402), (str(DEVICE), 16402)
    frames = []
    for n in range(300):
        for ssrc, (source, destination), late in ((0x1111, (device, peer), 0), (0x3333, (peer, device), .01)):
            payload = rtp.rtp(104, n, 480 * n, ssrc, rng.randbytes(40))
            ip = packets.ipv4(source[0], destination[0], packets.PROTO_UDP, packets.udp(source, destination, payload))
            frames.append((1700000000 + n * .02 + late, packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", ip)))
    return frames


@pytest.mark.parametrize("delay", [.0004, .001, .003])
def test_no_switch_between_sides_that_are_known_one_after_the_other(delay, tshark):
    """From the middle of direct media: its ports prove the inner side, and later the outer side is known by the call."""
    capture = written(both_sides(bare_media(), beyond_mapping_nat, delay))
    call, = json.loads(tshark.text(capture, "-2", "-q", "-z", "facetime,calls,json"))
    assert call["capture_points"] == 2
    told_last = {name for names in tshark.names(capture, "facetime.event", filter="facetime.event", two_pass=True)
                 for name in names["facetime.event"].split(",")}
    assert not told_last & (FALSE | {"path_switch"})


@functools.cache
def http_check():
    def segment(source, destination, ports, payload):
        tcp = struct.pack("!HHIIBBHHH", *ports, 1, 1, 0x50, 0x18, 65535, 0, 0) + payload
        return bytes(12) + b"\x08\0" + struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0, source, destination) + tcp
    client, server = DEVICE.packed, bytes([17, 253, 3, 205])
    return [(0, segment(client, server, (50000, 80), b"GET /connectivity.txt HTTP/1.1\r\nHost: static.ess.apple.com:80\r\n\r\n")),
            (.1, segment(server, client, (80, 50000), b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nAV was here!\n"))]


def test_http_check_once(tshark):
    frames = [(1_700_000_000 + t, f) for t, f in http_check()]
    assert tshark.count(written(mirrored(frames, .0005)), 'facetime.event == "connectivity_check"') == 2


def test_no_handover_from_one_side_of_a_nat_to_the_other(tshark):
    """The peer is heard first on the direct path, and so outside; the relay was met inside."""
    pcap = subprocess.run(["editcap", "-F", "pcap", support.TEST_CAPTURES / "modern-2026.pcapng", "-"], capture_output=True,
                          check=True).stdout
    frames = [(time, frame) for time, frame in records(pcap) if frame[12:14] == b"\x08\0"]
    calls, events = told(tshark, written(both_sides(frames, beyond_nat, .0004)))
    assert len(calls) == 1 and not events["handover"] and events["path_switch"]


NEW_ADDRESSES = {"NAT, another port": lambda end, port: (end, port ^ 0x1000), "Wi-Fi to cellular": lambda end, port: (ipaddress.ip_address("10.127.3.4"), port)}


def moved(frame, new):
    """The device goes on at another address or port, or both: its UDP, and what its ICMP errors quote."""
    head, rest = bytearray(frame[:42]), frame[42:]
    if head[12:14] == b"\x08\0" and head[23] == 1:
        host, quoted = new(DEVICE, 0)[0].packed, moved(frame[:14] + rest, new)
        return frame[:26] + frame[26:34].replace(DEVICE.packed, host) + frame[34:42] + quoted[14:]
    if head[12:14] != b"\x08\0" or head[23] != 17:
        return frame
    for address, port in ((26, 34), (30, 36)):
        end, number = ipaddress.ip_address(bytes(head[address:address + 4])), int.from_bytes(head[port:port + 2], "big")
        if end == DEVICE:
            end, number = new(end, number)
            head[address:address + 4], head[port:port + 2] = end.packed, number.to_bytes(2, "big")
    return bytes(head) + rest


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
@pytest.mark.parametrize("where", NEW_ADDRESSES)
def test_moves(where, mode, back, tshark):
    """Media go on directly, 5 s into the call, from elsewhere, and perhaps 2 s later from where they were: one call, a handover
    each, directions and numbers as before, and each datagram of the call has its generation: legacy audio without any mark,
    too."""
    frames = at_a(mode)
    start = frames[0][0]
    at = [(t, moved(f, NEW_ADDRESSES[where]) if t >= start + 6 and not (back and t >= start + 7) else f) for t, f in frames]
    (before,), _ = told(tshark, written(frames))
    capture = written(at)
    (call,), events = told(tshark, capture)
    assert events["handover"] == 1 + back and events["call_started"] == 1
    for one, other in zip(before["streams"], call["streams"], strict=True):
        assert (one["ssrc"], one["direction"]) == (other["ssrc"], other["direction"])
        assert one["packets"] - 8 <= other["packets"] <= one["packets"] and not other["copies"]
    assert not tshark.count(capture, "facetime.call && facetime.kind && !facetime.generation")
    rows = [tshark.values(capture, "facetime.generation", two_pass=two) for two in (False, True)]
    assert rows[0] == rows[1]


MOVES = [("legacy", 3.5, .05, "both"), ("legacy", 6, 0, "out"), ("legacy", 3.5, 0, "in"), ("one-to-one", 3.5, .05, "in"),
         ("one-to-one", 6, .05, "out"), ("multiway", 6, 0, "in"), ("one-to-one, 2026", 3.5, .05, "both"),
         ("one-to-one, 2026", 6, .05, "in"), ("multiway, 2026", 3.5, 0, "out"), ("multiway, 2026", 6, .05, "both")]


@pytest.mark.parametrize("where", NEW_ADDRESSES)
@pytest.mark.parametrize("mode, second, lost, directions", MOVES)
def test_moves_that_are_hard_to_see(mode, second, lost, directions, where, tshark):
    """On the relay and directly, with losses, of one direction: a handover at the first media from or to the new address, and
    nothing else that there wouldn't be without."""
    rng, frames = random.Random(5), at_a(mode)
    start = frames[0][0]
    frames = [(t, f) for t, f in frames if rng.random() >= lost and not (
        f[12:14] == b"\x08\0" and {"out": f[30:34], "in": f[26:30]}.get(directions) == DEVICE.packed)]
    (before,), was = told(tshark, written(frames))
    at = [(t, moved(f, NEW_ADDRESSES[where]) if t >= start + second else f) for t, f in frames]
    capture = written(at)
    (call,), events = told(tshark, capture)
    for name in ("path_switch", "relay_ready", "relay_released", "early_channel_data"):
        del events[name], was[name]
    assert events == was | {"handover": 1}
    number, = tshark.values(capture, "frame.number", filter='facetime.event == "handover"')
    assert 0 <= at[int(number) - 1][0] - start - second < .15
    for one, other in zip(before["streams"], call["streams"], strict=True):
        assert (one["ssrc"], one["direction"]) == (other["ssrc"], other["direction"])
        assert other["packets"] == one["packets"] and not other["copies"]
    counts = [tshark.count(c, "facetime.kind") for c in (written(frames), capture)]
    assert counts[1] >= counts[0] - (mode == "legacy")     # its Refresh proves nothing alone
    rows = [tshark.values(capture, "facetime.generation", two_pass=two) for two in (False, True)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
@pytest.mark.parametrize("directions", ["out", "in"])
def test_one_direction_shows_no_silence_of_the_other(mode, directions, tshark):
    frames = [(t, f) for t, f in at_a(mode) if {"out": f[30:34], "in": f[26:30]}[directions] != DEVICE.packed]
    _, events = told(tshark, written(frames))
    assert not events["one_way_media"] and not events["early_channel_data"] and events["first_media"] == 2
