# SPDX-License-Identifier: GPL-2.0-or-later
"""The same call over other links, and in tunnels: the same kinds, calls and events, packet by packet."""

import functools
import json
import struct
import subprocess

import pytest

import support
from simulate import Call, Plan
from variants import DOWN, Scene, Talk, UP
from wire import rtp

CAPTURES = ["facetime-caller.pcapng", "modern-call.pcapng"]
MOST = 700      # packets of each: set-up, key exchange, both paths
MACS = bytes.fromhex("020000000002020000000001")
ETHERNET, NULL, PPP, IEEE80211, RAW, SLL, PKTAP, SLL2 = 1, 0, 9, 105, 101, 113, 258, 276


def ethernet(packet, kind=b"\x08\x00"):
    return MACS + kind + packet


def ipv4(packet, protocol):
    return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(packet), 0, 0, 64, protocol, 0, 0xC6336401, 0xC6336402) + packet


def udp(packet, port):
    return ipv4(struct.pack("!HHHH", port, port, 8 + len(packet), 0) + packet, 17)


def pktap(packet):
    """108 bytes: length, type, the packet's own link type, the interface's name ..."""
    return struct.pack("<III24sIIIIi20sII", 108, 1, RAW, b"en0", 1, 2, 0, 14, 7, b"avconferenced", 0, 0).ljust(108, b"\0") \
        + packet


def checksum(packet, value):
    """Of UDP: one that is wrong, or zero."""
    if packet[9] != 17:
        return packet
    return packet[:26] + struct.pack("!H", value) + packet[28:]


# name: link type, function of an IPv4 packet
PLACES = {
    "raw": (RAW, lambda p: p),
    "ethernet": (ETHERNET, ethernet),
    "ethernet, with FCS": (ETHERNET, lambda p: ethernet(p).ljust(60, b"\0") + b"\x12\x34\x56\x78"),
    "loopback": (NULL, lambda p: struct.pack("<I", 2) + p),
    "PPP": (PPP, lambda p: b"\xff\x03\x00\x21" + p),
    "SLL": (SLL, lambda p: struct.pack("!HHH8sH", 0, 1, 6, MACS[:6], 0x0800) + p),
    "SLL2": (SLL2, lambda p: struct.pack("!HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, MACS[:6]) + p),
    "PKTAP": (PKTAP, pktap),
    "802.11": (IEEE80211, lambda p: b"\x08\x01\0\0" + MACS + MACS[:6] + b"\0\0" + b"\xaa\xaa\x03\0\0\0\x08\0" + p),
    "QinQ": (ETHERNET, lambda p: ethernet(b"\0\x64\x81\0\0\xc8\x08\0" + p, b"\x88\xa8")),
    "MPLS": (ETHERNET, lambda p: ethernet(b"\0\1\0\x40\0\2\1\x40" + p, b"\x88\x47")),
    "PPPoE": (ETHERNET, lambda p: ethernet(struct.pack("!BBHHH", 0x11, 0, 1, len(p) + 2, 0x21) + p, b"\x88\x64")),
    "GTP-U": (ETHERNET, lambda p: ethernet(udp(struct.pack("!BBHI", 0x30, 255, len(p), 77) + p, 2152))),
    "VXLAN": (ETHERNET, lambda p: ethernet(udp(b"\x08\0\0\0\0\0\x64\0" + ethernet(p), 4789))),
    "GRE": (ETHERNET, lambda p: ethernet(ipv4(b"\0\0\x08\0" + p, 47))),
    "ERSPAN": (ETHERNET, lambda p: ethernet(ipv4(b"\x10\0\x88\xbe\0\0\0\1\x10\x64\0\1\0\0\0\0" + ethernet(p), 47))),
    "IP in IP": (ETHERNET, lambda p: ethernet(ipv4(p, 4))),
    "wrong checksums": (ETHERNET, lambda p: ethernet(checksum(p, 0xBAD1))),
    "no checksums": (ETHERNET, lambda p: ethernet(checksum(p, 0))),
}
SHOWN = ("facetime.kind", "facetime.call", "facetime.path", "facetime.generation", "facetime.event")


def packets_of(name):
    """(seconds, microseconds, packet) of a test capture, which is Ethernet and IPv4."""
    pcap = subprocess.run(["editcap", "-F", "pcap", support.TEST_CAPTURES / name, "-"], capture_output=True,
                          check=True).stdout
    offset, out = 24, []
    while offset < len(pcap):
        seconds, micros, length, _ = struct.unpack_from("<IIII", pcap, offset)
        frame = pcap[offset + 16:offset + 16 + length]
        offset += 16 + length
        if frame[12:14] == b"\x08\x00":
            end = 14 + int.from_bytes(frame[16:18], "big")
            out.append((seconds, micros, frame[14:end]))
    return out[:MOST]


def write(link, frames):
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)]
    for seconds, micros, frame in frames:
        out.append(struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame)
    return support.write_capture(b"".join(out))


def shown(tshark, link, frames):
    return tshark.rows(write(link, frames), *SHOWN)


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("place", PLACES)
def test_link(place, name, tshark):
    packets = packets_of(name)
    link, wrap = PLACES[place]
    expected = shown(tshark, RAW, packets)
    assert sum(bool(row["facetime.kind"]) for row in expected) > 50
    assert shown(tshark, link, [(s, m, wrap(p)) for s, m, p in packets]) == expected


@pytest.mark.parametrize("name", CAPTURES)
def test_fragments(name, tshark):
    """Each datagram of more than 160 bytes in two fragments; the second one, of a few bytes more, has it all."""
    packets, frames, last = packets_of(name), [], []
    for ident, (seconds, micros, packet) in enumerate(packets):
        header, body = packet[:20], packet[20:]
        cuts = [(0, len(body))] if len(body) < 160 or packet[9] != 17 else [(0, 120), (120, len(body))]
        for start, end in cuts:
            more = 0x2000 if end < len(body) else 0
            part = body[start:end]
            head = header[:2] + struct.pack("!HHH", 20 + len(part), ident, start // 8 | more) + header[8:]
            frames.append((seconds, micros, head + part))
        last.append(len(frames) - 1)
    got = shown(tshark, RAW, frames)
    assert [got[i] for i in last] == shown(tshark, RAW, packets)


# What the errors of routers quote.

def quote(packet, reply_from, trailer=b""):
    """Port unreachable, with the header and 8 bytes of what it is about, sent back to its sender."""
    icmp = struct.pack("!BBHI", 3, 3, 0, 0) + packet[:28]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0) + reply_from + packet[12:16]
    return head + icmp + trailer


QUOTED = PLACES | {
    "FCS": (ETHERNET, lambda p: ethernet(p) + b"\1\2\3\4"),
    "trailer": (ETHERNET, lambda p: ethernet(p) + bytes(range(40))),
}


@pytest.mark.parametrize("mapped", [(), (40404,), (40404, 40405)], ids=["own ports", "port mapped", "both ports mapped"])
@pytest.mark.parametrize("place", QUOTED)
def test_short_quote(place, mapped, tshark):
    """A legacy call's check and the error about it, behind NATs that map its sender's port, or both: it belongs to the call."""
    link, wrap = QUOTED[place]
    packets = [p for _, _, p in packets_of("facetime-caller.pcapng")]
    check = next(p for p in packets if p[9] == 17 and p[32:36] == b"\x21\x12\xa4\x42" and p[28:30] == b"\0\1"
                 and b"\x80\x03\0\4" in p)
    at = 20 + 2 * len(mapped)
    check = check[:20] + struct.pack(f"!{len(mapped)}H", *mapped) + check[at:]
    frames = [(1_700_000_000, 0, wrap(check)), (1_700_000_000, 90, wrap(quote(check, check[16:20])))]
    rows = shown(tshark, link, frames)
    assert rows[0]["facetime.kind"] == ["1"]
    assert "peer_unreachable" in rows[1]["facetime.event"][0] and rows[1]["facetime.call"] == ["1"]
    assert not rows[1]["facetime.kind"]


def http_check(sequence=1):
    """Question and answer, packets of IPv4."""
    def tcp(source, sport, destination, dport, payload):
        head = struct.pack("!HHIIBBHHH", sport, dport, sequence, 1, 0x50, 0x18, 65535, 0, 0)
        return (struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(payload), 1, 0, 64, 6, 0) + bytes(source) + bytes(destination)
                + head + payload)
    client, server = (192, 168, 1, 10), (17, 253, 3, 205)
    ask = b"GET /connectivity.txt HTTP/1.1\r\nHost: static.ess.apple.com:80\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Type: text/plain\r\n\r\nAV was here!\n"
    return [tcp(client, 50000, server, 80, ask), tcp(server, 80, client, 50000, answer)]


@pytest.mark.parametrize("place", PLACES)
def test_http_check(place, tshark):
    link, wrap = PLACES[place]
    rows = shown(tshark, link, [(1_700_000_000, n, wrap(frame)) for n, frame in enumerate(http_check())])
    assert [row["facetime.event"] for row in rows] == [["connectivity_check"]] * 2


def test_http_checks_of_two_devices_with_one_address(tshark):
    """In two VLANs: each answer is to its own question; in a third there was none."""
    def in_vlan(number, packet):
        return ethernet(struct.pack("!HH", number, 0x0800) + packet, b"\x81\0")
    first, second = http_check(1), http_check(1000)
    frames = [in_vlan(10, first[0]), in_vlan(20, second[0]), in_vlan(20, second[1]), in_vlan(10, first[1]), in_vlan(30, http_check(2000)[1])]
    capture = support.make_capture(frames)
    for two_pass in (False, True):
        rows = tshark.rows(capture, "facetime.event", "facetime.event.frame", two_pass=two_pass)
        assert [row["facetime.event.frame"] for row in rows] == [[], [], ["2"], ["1"], []]
        assert [bool(row["facetime.event"]) for row in rows] == [True] * 4 + [False]


# Two devices with one private address, each in a network of its own: two calls at once over the same 5-tuple.

# name: function of an IPv4 packet, the network's number (0 or 1) and whether the device sends it
NETWORKS = {
    "VLAN": lambda p, n, out: ethernet(struct.pack("!HH", 100 + n, 0x0800) + p, b"\x81\0"),
    "VLAN each way": lambda p, n, out: ethernet(struct.pack("!HH", 100 + n + 20 * out, 0x0800) + p, b"\x81\0"),
    "MPLS": lambda p, n, out: ethernet(struct.pack("!I", (1000 + n + 70 * out) << 12 | 0x140) + p, b"\x88\x47"),
    "PPPoE": lambda p, n, out: ethernet(struct.pack("!BBHHH", 0x11, 0, 5 + n, len(p) + 2, 0x21) + p, b"\x88\x64"),
    "GTP-U": lambda p, n, out: ethernet(udp(struct.pack("!BBHI", 0x30, 255, len(p), 0x7000 + 2 * n + 900 * out) + p, 2152)),
    "GTP-U with extension": lambda p, n, out: ethernet(udp(struct.pack(
        "!BBHIHBBI", 0x34, 255, len(p) + 8, 0x7000 + 2 * n + 900 * out, 0, 0, 0x85, 0x01100900) + p, 2152)),
    "VXLAN": lambda p, n, out: ethernet(udp(struct.pack("!II", 0x08000000, (300 + n) << 8) + ethernet(p), 4789)),
    "GRE": lambda p, n, out: ethernet(ipv4(struct.pack("!HHI", 0x2000, 0x0800, 40 + 2 * n) + p, 47)),
}


@functools.cache
def two_calls(mode):
    """(call, [(time, IPv4 packet, whether the device sends it)]) of each: the same addresses and ports, overlapping."""
    out = []
    for n in (0, 1):
        call = Call(Plan(seed=50 + n, seconds=4, mode=mode, paths=((0, "relay"), (2, "direct"))))
        records = call.capture("A").records
        out.append((call, [(r.stamp / 1e6 + .7 * n, bytes(r.ip()), r.outgoing) for r in records]))
    return out


@pytest.mark.parametrize("mode", ["legacy", "one-to-one"])
@pytest.mark.parametrize("network", NETWORKS)
def test_same_address_in_two_networks(network, mode, tshark):
    calls = two_calls(mode)
    frames = sorted(((time, NETWORKS[network](packet, n, out)) for n, (_, packets) in enumerate(calls)
                     for time, packet, out in packets), key=lambda frame: frame[0])
    capture = write(ETHERNET, [(*divmod(round(time * 1e6), 10**6), frame) for time, frame in frames])
    told = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    expected = [{s.ssrc: sum(1 for r in records if not r.packet.parity) for s, records in call.capture("A").streams()}
                for call, _ in calls]
    assert [{s["ssrc"]: s["packets"] for s in call["streams"]} for call in told] == expected
    assert [call["capture_points"] for call in told] == [1, 1]


@pytest.mark.parametrize("network", NETWORKS)
def test_somebody_else_calls_who_talks(network, tshark):
    """Another device of the same network: it and who it calls, who talks, make a call of their own."""
    scene = Scene("somebody else calls who talks", 1)
    talk = Talk(scene, "A", scene.near(), scene.far())
    talk.taken(0), talk.both(0.5, 50)
    third = Talk(scene, "B", scene.near(3), scene.far())
    third.check(1), third.invite(1.2), third.answer(1.3, 486)
    scene.finish()
    wrapped = [(p.time, NETWORKS[network](p.network(), 0, p.src[0].startswith("10."))) for p in scene.packets]
    capture = write(ETHERNET, [(*divmod(round((support.START_TIME + time) * 1e6), 10**6), frame) for time, frame in wrapped])
    for two_pass in (False, True):
        calls = [row["facetime.call"] for row in tshark.rows(capture, "facetime.call", two_pass=two_pass)]
        assert calls == [[{"A": "1", "B": "2"}[p.call]] for p in scene.packets]


@pytest.mark.parametrize("network", NETWORKS)
def test_an_address_that_was_named(network, tshark):
    """A bind names the peer's public address; what comes from there directly is of that call."""
    scene = Scene("an address that was named", 1, six=True)
    talk = Talk(scene, "A", ("10.9.9.2", 16402), ("81.9.9.1", 16402), ("17.155.5.251", 16385))
    talk.relay_up(0), talk.taken(0.5), talk.both(1, 20)
    talk.ids[DOWN], talk.ids[UP] = talk.ids[UP], talk.ids[DOWN]
    talk.near = ("10.9.9.2", 16410)             # a socket that the capture knows nothing of
    for i in range(3):
        talk.put(1.6 + 0.02 * i, DOWN, rtp.rtp(rtp.AAC_ELD, 7 + i, 480 * i, 0x77777777, bytes(40)), "direct")
    scene.finish()
    wrapped = [(p.time, NETWORKS[network](p.network(), 0, p.src[0].startswith("10."))) for p in scene.packets]
    capture = write(ETHERNET, [(*divmod(round((support.START_TIME + time) * 1e6), 10**6), frame) for time, frame in wrapped])
    assert {number for row in tshark.rows(capture, "facetime.call") for number in row["facetime.call"]} == {"1"}


@pytest.mark.parametrize("network", sorted(NETWORKS.keys() - {"VLAN each way"}))     # a tag may be both directions'
@pytest.mark.parametrize("others", [0, 1])
def test_checks_on_a_way_that_the_device_never_used(others, network, tshark):
    """From mid-call: the peer missed the BYE, and goes on checking directly. The device's other direction was seen at the
    relay. Another device with the same private address, in a network of its own, has no part in it."""
    scene = Scene("the other side goes on checking", 1)
    packets = []
    for n in range(1 + others):
        talk = Talk(scene, "AB"[n], ("10.9.9.2", 16402), ("81.9.9.1", 16402), ("17.155.5.251", 16385))
        packets += [(n, p) for p in talk.bye(2 + 3 * n, UP, answered=None, copies=4)]
        for i in range(10):
            packets += [(n, p) for p in talk.check(4 + 3 * n + i, DOWN, "direct", answered=None)]
        packets += [(n, talk.ack(1.4 + 3 * n)), (n, talk.ack(1.5 + 3 * n, up=DOWN))]
    packets.sort(key=lambda each: each[1].time)
    wrapped = [(p.time, NETWORKS[network](p.network(), n, p.src[0].startswith("10."))) for n, p in packets]
    capture = write(ETHERNET, [(*divmod(round((support.START_TIME + time) * 1e6), 10**6), frame) for time, frame in wrapped])
    for two_pass in (False, True):
        calls = [row["facetime.call"] for row in tshark.rows(capture, "facetime.call", two_pass=two_pass)]
        assert calls == [[str(1 + n)] for n, _ in packets]
