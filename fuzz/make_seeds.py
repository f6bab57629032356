#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeds for the fuzz targets, out of test-captures/: make_seeds.py FOLDER [CAPTURE...]

FOLDER/facetime gets runs of up to 16 datagrams (input.h has their form), one for each kind of message that a capture
holds and an earlier run doesn't; FOLDER/sdp_inflate gets compressed bodies.
"""

import gzip
import hashlib
import ipaddress
import logging
import pathlib
import struct
import sys
import zlib

from scapy.utils import RawPcapReader

logging.getLogger("scapy").setLevel(logging.ERROR)     # it doesn't know the comments of packets

ROOT = pathlib.Path(__file__).resolve().parent.parent

# fuzz_facetime.c, ends: (host, port)
ENDS = [(1, 16402), (2, 16402), (3, 16385), (3, 16384), (3, 3478), (3, 3482), (1, 16393), (2, 16393),
        (1, 16394), (1, 16403), (2, 16403), (4, 16386), (5, 40112), (2, 16401), (6, 5060), (7, 80)]
COOKIE = 0x2112A442
RUN, LARGEST = 16, 7000
IPV6 = 0x20


def datagrams(path):
    """(time, source, destination, payload) of each UDP datagram and TCP segment; an address is (text, port)."""
    for data, meta in RawPcapReader(str(path)):
        time = ((meta.tshigh << 32) + meta.tslow) / meta.tsresol if hasattr(meta, "tshigh") else meta.sec + meta.usec / 1e6
        if data[12:14] == b"\x81\x00":
            data = data[:12] + data[16:]
        ip = data[14:] if data[12:14] in (b"\x08\x00", b"\x86\xdd") else data
        if ip[0] >> 4 == 4:
            protocol, rest = ip[9], ip[(ip[0] & 15) * 4:struct.unpack("!H", ip[2:4])[0]]
            source, destination = ip[12:16], ip[16:20]
        elif ip[0] >> 4 == 6:
            protocol, rest, source, destination = ip[6], ip[40:], ip[8:24], ip[24:40]
        else:
            continue
        if protocol not in (6, 17) or len(rest) < 8:
            continue
        ports = struct.unpack("!HH", rest[:4])
        payload = rest[8:] if protocol == 17 else rest[(rest[12] >> 4) * 4:]
        if payload and (protocol == 17 or 80 in ports) and 53 not in ports:
            yield time, *((str(ipaddress.ip_address(a)), p) for a, p in zip((source, destination), ports)), payload


def kind(payload, source, destination):
    """What makes a message unlike another."""
    first = payload[0]
    if first < 0x40 and len(payload) >= 20 and len(payload) != 16:
        types, at = [], 20
        while at + 4 <= len(payload):
            number, length = struct.unpack("!HH", payload[at:at + 4])
            types.append((number, length if number >= 0x8000 else 0))
            at += 4 + (length + 3) // 4 * 4
        return ("stun", payload[:2], tuple(types))
    if payload[:2] == b"\x60\x00":
        is_chain = len(payload) > 5 and payload[5] & 0x80       # whose heads make the difference: so does its length
        return ("relay", payload[4:8], len(payload) if is_chain else payload[-6:-4])
    if b"sip:" in payload[:40] or payload[:4] == b"SIP/":
        return ("sip", payload.split(b"\r\n", 1)[0][:12], b"ncoding" in payload, len(payload) // 300)
    if payload[:2] == b"\x40\x0f":
        return ("control",)
    if first < 0x80 and first >= 0x40:
        return ("channel", *kind(payload[4:], source, destination)) if len(payload) > 4 else ("channel",)
    if first < 0xC0 and first >= 0x80:
        return ("rtp", payload[0], payload[1] & 0x7F, payload[12:14] if first & 0x10 else b"")
    return ("other", payload[:2], min(source[1], destination[1]) < 4000)


def role(address, port):
    if 3478 <= port <= 3497 or 16384 <= port <= 16385:
        return 3
    if 16386 <= port <= 16387:
        return 4
    return 7 if port == 80 else 0


class Hosts:
    """The capture's addresses -> hosts 1 to 7."""

    def __init__(self):
        self.hosts = {}

    def number(self, address, port):
        if address not in self.hosts:
            taken = set(self.hosts.values())
            self.hosts[address] = role(address, port) or next((n for n in (1, 2, 5) if n not in taken), 6)
        return self.hosts[address]

    def end(self, address, port):
        host = self.number(address, port)
        port = 3482 if 3479 <= port <= 3497 else port
        same = [i for i, e in enumerate(ENDS) if e == (host, port)] or [i for i, e in enumerate(ENDS) if e[1] == port] \
            or [i for i, e in enumerate(ENDS) if e[0] == host] or [14]
        return same[0]

    def relocated(self, payload):
        for address, host in self.hosts.items():
            packed = ipaddress.ip_address(address).packed
            if len(packed) == 4:
                written = bytes((10, 77, 0, host))
                mask = struct.pack("!I", COOKIE)
                payload = payload.replace(packed, written).replace(xor(packed, mask), xor(written, mask))
        return payload


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def seed(run, hosts):
    out, before = [b"\0"], run[0][0]
    ends = [(hosts.end(*source), hosts.end(*destination)) for _, source, destination, _ in run]
    for (time, source, _, payload), (sender, receiver) in zip(run, ends):
        step = min(int(max(0, time - before) * 1000) + 1, 2 ** 20).bit_length() - 1
        payload = hosts.relocated(payload)[:4096]
        out.append(bytes((sender << 4 | receiver, step | (IPV6 if ":" in source[0] else 0)))
                   + struct.pack("!H", len(payload)) + payload)
        before = time
    return b"".join(out)


def runs(path, seen):
    """Runs that begin a little before a kind of message that wasn't seen yet."""
    messages, hosts, end = list(datagrams(path)), Hosts(), 0
    for i, (_, source, destination, payload) in enumerate(messages):
        hosts.number(*source), hosts.number(*destination)
        this = kind(payload, source, destination)
        if this in seen:
            continue
        seen.add(this)
        if i < end:
            continue
        run, size = [], 0
        for message in messages[max(0, i - 4):]:
            size += len(message[3]) + 4
            if len(run) == RUN or size > LARGEST and run:
                break
            run.append(message)
        end = max(0, i - 4) + len(run)
        yield seed(run, hosts)


def streams():
    texts = [b"", b"v=0\r\no=GKVoiceChatService 0 0 IN IP4 192.0.2.1\r\ns=mobile\r\n" * 3, bytes(5000),
             bytes(range(256)) * 2]
    for text in texts:
        for bits in (15, -15, 31):
            coder = zlib.compressobj(9, zlib.DEFLATED, bits)
            stream = coder.compress(text) + coder.flush()
            yield from (stream, stream[:-1], stream[:len(stream) // 2], stream + b"\r\n")
    yield gzip.compress(texts[1]) * 2
    yield bytes.fromhex("1f8b081e00000000020305006162636465 6100 6200 0000 03000000000000000000".replace(" ", ""))
    yield zlib.compress(texts[1])[:2].replace(b"\x9c", b"\xbb") + bytes(8)


def write(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def main(folder, *captures):
    seen = set()
    paths = [pathlib.Path(c) for c in captures] or sorted((ROOT / "test-captures").glob("*.pcap*"))
    for path in sorted(paths, key=lambda p: p.stat().st_size):
        for data in runs(path, seen):
            write(pathlib.Path(folder) / "facetime", data)
    for stream in streams():
        for cap in (0, 100, 65535):
            write(pathlib.Path(folder) / "sdp_inflate", struct.pack("!H", cap) + stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
