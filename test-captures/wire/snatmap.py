# SPDX-License-Identifier: GPL-2.0-or-later
"""The two 16-byte protocols with Apple's servers before a call: SNATMAP and CommNAT.

    SNATMAP   type(4) nonce(4) IPv4(4) port(2) unused(2)      a response's address and port are inverted
    CommNAT   operation(2) direction(2) token(4, little-endian) ~IPv4(4) ~port(2) ~0(2)
              of a report, the inverted word is a set of flags instead of the address
"""

import struct

from . import Wire
from .packets import ip_bytes

REQUEST, RESPONSE = 1, 2
TEST, REPORT = 1, 2

# what a test request's token is XORed with, by where it goes
MAIN0, MAIN1, COHORT, HAIRPIN = 0, 0x55555000, 0xAAAAA000, 0xFFFFF000


def inverted(data):
    return bytes(b ^ 0xFF for b in data)


def snatmap(message_type, nonce, addr, unused=0):
    place = ip_bytes(addr[0]) + struct.pack("!H", addr[1])
    if message_type == RESPONSE:
        place = inverted(place)
    return Wire(struct.pack("!II", message_type, nonce) + place + struct.pack("!H", unused),
                kind="snatmap", path="server",
                fields={"snatmap.type": [message_type], "snatmap.nonce": [nonce],
                        "snatmap.ipv4": [addr[0]], "snatmap.port": [addr[1]]})


def _commnat(operation, direction, token, plain, fields):
    return Wire(struct.pack("!HH", operation, direction) + struct.pack("<I", token) + inverted(plain),
                kind="commnat", path="server", generation="legacy",
                fields={"commnat.operation": [operation], "commnat.direction": [direction],
                        "commnat.token": [token], **fields})


def commnat_test(direction, token, addr=("0.0.0.0", 0)):
    plain = ip_bytes(addr[0]) + struct.pack("!HH", addr[1], 0)
    return _commnat(TEST, direction, token, plain,
                    {"commnat.ipv4": [addr[0]], "commnat.port": [addr[1]]})


def commnat_report(direction, token, flags):
    return _commnat(REPORT, direction, token, struct.pack("!II", flags, 0), {"commnat.flags": [flags]})
