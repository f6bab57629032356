# SPDX-License-Identifier: GPL-2.0-or-later
"""GameKit's and Multipeer Connectivity's messages, and a DTLS record: what follows FaceTime's ICE and is no call.

    C1 | type | size of the whole, 2 | channel, 2 | CRC-16/ARC, 2 | from, 4 | to, 4 | body
"""

import struct

from . import Wire

HELLO, DATABASE, DATA = 1, 2, 5


def crc16_arc(data):
    """Polynomial 0x8005, reflected, from zero."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def message(kind, sender, addressee, body, channel=0, damage=0):
    """Only data has a checksum; damage: bits of it that are flipped."""
    size = 16 + len(body)
    ends = struct.pack("!II", sender, addressee)
    crc = 0
    if kind == DATA:
        crc = crc16_arc(struct.pack("!BBHHH", 0xC1, kind, size, channel, 0) + ends + body) ^ damage
    return Wire(struct.pack("!BBHHH", 0xC1, kind, size, channel, crc) + ends + body, kind="gamekit",
                fields={"gamekit.type": [kind], "gamekit.size": [size], "gamekit.channel": [channel],
                        "gamekit.crc": [crc], "gamekit.from": [sender], "gamekit.to": [addressee]})


def hello(sender, addressee):
    return message(HELLO, sender, addressee, bytes.fromhex("0546f80100100b0200000800000000000000"), channel=3)


def database(sender, addressee):
    return message(DATABASE, sender, addressee,
                   struct.pack("!HIHB8sHII", 1, sender, 1, 8, b"%08X" % sender, 1, addressee, 1))


def data(sender, addressee, body, damage=0):
    return message(DATA, sender, addressee, body, damage=damage)


def dtls(content, sequence, body, **truth):
    """A record of DTLS 1.0: of whom it is, is for the caller to say."""
    return Wire(struct.pack("!BHHIHH", content, 0xFEFF, 0, sequence >> 16, sequence & 0xFFFF, len(body)) + body,
                **{"kind": "data", "generation": "legacy", **truth})
