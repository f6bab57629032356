# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP and RTCP as FaceTime's legacy calls carry them: plain RFC 3550 headers, encrypted payload."""

import struct

from . import Wire

AAC_ELD, SECONDARY_AUDIO, H264 = 104, 119, 123
SR, RR, SDES, BYE = 200, 201, 202, 203
CNAME = 1

NTP_EPOCH = 2208988800


def rtp(payload_type, seq, timestamp, ssrc, payload, marker=False, extension=None):
    """extension: (profile, bytes) or None."""
    first = 0x80 | (0x10 if extension else 0)
    header = struct.pack("!BBHII", first, marker << 7 | payload_type, seq & 0xFFFF,
                         timestamp & 0xFFFFFFFF, ssrc)
    if extension:
        profile, words = extension
        header += struct.pack("!HH", profile, len(words) // 4) + words
    return Wire(header + payload, kind="rtp", generation="legacy",
                rtp={"ssrc": ssrc, "seq": seq & 0xFFFF, "ts": timestamp & 0xFFFFFFFF,
                     "pt": payload_type, "marker": bool(marker)})


def ntp(micros):
    """64-bit NTP time of a time in microseconds since 1970."""
    seconds, rest = divmod(micros, 1_000_000)
    return (seconds + NTP_EPOCH) << 32 | (rest << 32) // 1_000_000


def ntp_short(micros):
    """The middle 32 bits: 16.16 seconds, as 0x8004 and 0x8005 carry them."""
    return ntp(micros) >> 16 & 0xFFFFFFFF


def seconds_16_16(micros):
    """A duration in the same unit."""
    return (micros << 16) // 1_000_000


def _packet(packet_type, count, body):
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def sender_report(ssrc, micros, timestamp, packets, octets, about=None):
    """SR with one report block on SSRC `about`, if given."""
    body = struct.pack("!IQIII", ssrc, ntp(micros), timestamp & 0xFFFFFFFF, packets, octets)
    if about is not None:
        body += struct.pack("!IIIIII", about, 0, 0, 3, 0, 0)
    return _packet(SR, about is not None, body)


def receiver_report(ssrc, about):
    return _packet(RR, 1, struct.pack("!IIIIIII", ssrc, about, 0, 0, 3, 0, 0))


def goodbye(ssrc):
    return _packet(BYE, 1, struct.pack("!I", ssrc))


def source_description(ssrc, cname):
    item = struct.pack("!BB", CNAME, len(cname)) + cname.encode()
    return _packet(SDES, 1, struct.pack("!I", ssrc) + item + bytes(4 - len(item) % 4))


def rtcp(*packets):
    """A compound packet."""
    return Wire(b"".join(packets), kind="rtcp", generation="legacy",
                rtcp={"types": [packet[1] for packet in packets]})
