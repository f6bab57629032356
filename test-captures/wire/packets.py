# SPDX-License-Identifier: GPL-2.0-or-later
"""Link, network and transport headers with right checksums, and the pcapng file around them."""

import functools
import ipaddress
import struct

ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN = 0x0800, 0x86DD, 0x8100
PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_ICMPV6 = 1, 6, 17, 58
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101

FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10


@functools.lru_cache(maxsize=4096)
def ip_bytes(address):
    return ipaddress.ip_address(address).packed


def is_ipv6(address):
    return ":" in address


def checksum(data):
    """Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    number = int.from_bytes(data, "big")    # a sum of words with its carries added is the rest of a division by 0xffff
    return ~(number % 0xFFFF or 0xFFFF if number else 0) & 0xFFFF


def pseudo_header(src, dst, protocol, length):
    if is_ipv6(src):
        return ip_bytes(src) + ip_bytes(dst) + struct.pack("!IxxxB", length, protocol)
    return ip_bytes(src) + ip_bytes(dst) + struct.pack("!xBH", protocol, length)


def udp(src, dst, payload):
    """src, dst: (address, port)."""
    length = 8 + len(payload)
    header = struct.pack("!HHHH", src[1], dst[1], length, 0)
    total = checksum(pseudo_header(src[0], dst[0], PROTO_UDP, length) + header + payload)
    return header[:6] + struct.pack("!H", total or 0xFFFF) + payload


def tcp(src, dst, seq, ack, flags, payload=b"", window=8192):
    header = struct.pack("!HHIIBBHHH", src[1], dst[1], seq, ack, 5 << 4, flags, window, 0, 0)
    total = checksum(pseudo_header(src[0], dst[0], PROTO_TCP, 20 + len(payload)) + header + payload)
    return header[:16] + struct.pack("!H", total) + header[18:] + payload


def icmp(icmp_type, code, rest, payload):
    """`rest` is the second word of the header."""
    header = struct.pack("!BBHI", icmp_type, code, 0, rest)
    return header[:2] + struct.pack("!H", checksum(header + payload)) + header[4:] + payload


def icmpv6(src, dst, icmp_type, code, rest, payload):
    header = struct.pack("!BBHI", icmp_type, code, 0, rest)
    pseudo = pseudo_header(src, dst, PROTO_ICMPV6, len(header + payload))
    return header[:2] + struct.pack("!H", checksum(pseudo + header + payload)) + header[4:] + payload


def ipv4(src, dst, protocol, payload, ident=0, ttl=64, tos=0, dont_fragment=True):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), ident,
                         0x4000 if dont_fragment else 0, ttl, protocol, 0, ip_bytes(src), ip_bytes(dst))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(src, dst, protocol, payload, hop_limit=64, traffic_class=0):
    return struct.pack("!IHBB16s16s", 6 << 28 | traffic_class << 20, len(payload), protocol, hop_limit,
                       ip_bytes(src), ip_bytes(dst)) + payload


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(src_mac, dst_mac, ip_packet, vlan=None):
    ethertype = ETHERTYPE_IPV6 if ip_packet[0] >> 4 == 6 else ETHERTYPE_IPV4
    tag = struct.pack("!HH", ETHERTYPE_VLAN, vlan) if vlan is not None else b""
    return mac_bytes(dst_mac) + mac_bytes(src_mac) + tag + struct.pack("!H", ethertype) + ip_packet


# pcapng: section header (with the comment that Wireshark shows under Capture File Properties), one
# interface, then an enhanced packet block a frame. Microseconds, little-endian.

OPT_END, OPT_COMMENT, SHB_USERAPPL, IF_NAME, IF_TSRESOL = 0, 1, 4, 2, 9


def _option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(block_type, body):
    length = 12 + len(body)
    return struct.pack("<II", block_type, length) + body + struct.pack("<I", length)


def pcapng(linktype, comment, packets):
    """packets: (microseconds since 1970, frame bytes, comment or None)."""
    end = _option(OPT_END, b"")
    out = [
        _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
               + _option(OPT_COMMENT, comment.encode())
               + _option(SHB_USERAPPL, b"test-captures/generate.py") + end),
        _block(1, struct.pack("<HHI", linktype, 0, 0)
               + _option(IF_NAME, b"reconstruction") + _option(IF_TSRESOL, b"\x06") + end),
    ]
    for micros, frame, note in packets:
        body = struct.pack("<IIIII", 0, micros >> 32, micros & 0xFFFFFFFF, len(frame), len(frame))
        body += frame + bytes(-len(frame) % 4)
        if note:
            body += _option(OPT_COMMENT, note.encode()) + end
        out.append(_block(6, body))
    return b"".join(out)
