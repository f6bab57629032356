# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in whose place.

The same input has the same stand-in all over the file. A stand-in can be told from an original and is its own stand-in:
that makes washing twice the same as washing once.

    IPv4, IPv6    an address of a documentation range, or of a corner of the same private range (tables below), whose
                  text is as long
    MAC           02:12:c6 and three bytes
    bytes         up to 8 bytes of mark, then zeros
    UUID          a mark, version, zeros; variant, a mark

A mark is a keyed hash and a checksum of it. Without the checksum, "Jane" and zeros would pass for a stand-in.
    text          the letter x, then hexadecimal digits
"""

import hashlib
import ipaddress
import re

# Left alone: no host of the user's has them, or all the world has. 17/8 and the IPv6 networks below are Apple's
# servers: they say what a flow is. The last lines are our stand-ins.
KEPT_IPV4 = [ipaddress.ip_network(n) for n in (
    "0.0.0.0/8", "127.0.0.0/8", "192.0.0.0/24", "224.0.0.0/3", "17.0.0.0/8",
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15",
    "10.9.0.0/16", "10.198.0.0/16", "192.168.198.0/24", "100.127.0.0/16", "169.254.9.0/24", "169.254.198.0/24")]
KEPT_IPV6 = [ipaddress.ip_network(n) for n in (
    "::/127", "2620:149::/32", "2403:300::/32", "2a01:b740::/32",
    "2001:db8::/32", "3fff::/20", "fd00::/64", "fe80::/80")]

# (network, prefixes of stand-ins in order of preference: the first that has a free address with a text as long)
IPV4_CLASSES = [(ipaddress.ip_network(network), [bytes(p) for p in prefixes]) for network, prefixes in (
    ("10.0.0.0/8", [(10, 9), (10, 198), (192, 168, 198)]),
    ("172.16.0.0/12", [(10, 198), (10, 9), (192, 168, 198)]),
    ("192.168.0.0/16", [(10, 198), (10, 9), (192, 168, 198)]),
    ("100.64.0.0/10", [(100, 127), (10, 9)]),
    ("169.254.0.0/16", [(169, 254, 9), (169, 254, 198)]),
    ("0.0.0.0/0", [(198, 18), (198, 19), (192, 0, 2), (100, 127), (10, 9), (0,)]))]

TRIES = 5000        # draws for an address, of 28 each; a prefix whose addresses of that length are used up gives way
TAG = 8             # bytes of mark at the head of overwritten bytes
MAC_PREFIX = bytes.fromhex("0212c6")

_STAND_IN_TEXT = re.compile(rb"x+[0-9a-f]*")
_SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")
_MAPPED, _NAT64 = bytes(10) + b"\xff\xff", bytes.fromhex("0064ff9b") + bytes(8)


class Mask:
    """One file's stand-ins. key: bytes; salt: picks other stand-ins; taken: stand-ins that the file already has."""

    def __init__(self, key, salt=0, taken=()):
        self.key, self.salt = hashlib.blake2b(key).digest(), salt
        self.present = set()                        # stand-ins met in the input
        self._used = set(taken)
        self._known = {}
        self._used_up = set()                       # (prefix, length of text)

    def _hash(self, kind, data, length):
        return hashlib.blake2b(data, digest_size=length, key=self.key, person=kind).digest()

    def _keep(self, value):
        self.present.add(value)
        self._used.add(value)
        return value

    def _stand_in(self, kind, value, draw, tries=TRIES):
        """The first of draw(n), n = 0, 1 ..., that is one (not None) and free."""
        if value not in self._known:
            found = None
            for n in range(tries):
                found = draw(self._hash(kind, n.to_bytes(4, "big") + self.salt.to_bytes(4, "big") + value, 32))
                if found is not None and found not in self._used:
                    break
            else:
                return None
            self._known[value] = found
            self._used.add(found)
        return self._known[value]

    # addresses

    def ipv4(self, value):
        value = bytes(value)
        address = ipaddress.IPv4Address(value)
        if value in self._known:
            return self._known[value]
        if any(address in network for network in KEPT_IPV4):
            return self._keep(value)
        length = len(str(address))
        prefixes = next(p for network, p in IPV4_CLASSES if address in network)
        for prefix in prefixes:
            if (prefix, length) in self._used_up or not _has_length(prefix, length):
                continue
            found = self._stand_in(b"ipv4", value, lambda drawn: _ipv4_of(prefix, drawn, length, self._used))
            if found:
                return found
            self._used_up.add((prefix, length))
        found = self._stand_in(b"ipv4", value, lambda drawn: _ipv4_of(prefixes[0], drawn, None, self._used))
        if found:
            return found
        raise ValueError(f"more addresses like {address} than there are stand-ins")

    def ipv6(self, value):
        value = bytes(value)
        if value in self._known:
            return self._known[value]
        address = ipaddress.IPv6Address(value)
        if value[:12] in (_MAPPED, _NAT64):
            return value[:12] + self.ipv4(value[12:])
        if value.startswith(_SOLICITED_NODE):
            return _SOLICITED_NODE + bytes(3)       # the rest is the end of an address
        if value[0] == 0xFF or any(address in network for network in KEPT_IPV6):
            return self._keep(value)
        prefix, most = ("fe80::", 13) if value[0] == 0xFE else ("fd00::", 18) if value[0] >> 1 == 0x7E else \
            ("2001:db8::", 18) if len(str(address)) > 10 else ("3fff::", 18)    # a digit short: room for zeros
        for length in range(max(1, min(most, len(str(address)) - len(prefix))), most + 1):
            found = self._stand_in(b"ipv6", value, lambda drawn: _ipv6_of(prefix, drawn, length), tries=200)
            if found:
                return found
        raise ValueError(f"more addresses like {address} than there are stand-ins")

    def ipv4_text(self, text):
        octets = [int(part) for part in text.split(b".")]
        if max(octets) > 255:
            return text
        new = str(ipaddress.IPv4Address(self.ipv4(bytes(octets)))).encode()
        return new if len(new) == len(text) else re.sub(rb"\d", b"0", text)     # it had leading zeros

    def ipv6_text(self, text):
        """Zeros make up for a shorter stand-in."""
        old = ipaddress.IPv6Address(text.decode())
        new = ipaddress.IPv6Address(self.ipv6(old.packed))
        if new == old:
            return text
        return _ipv6_text(str(new), len(text)).encode()

    def mac(self, value):
        value = bytes(value)
        if value.startswith(b"\x33\x33\xff"):
            return b"\x33\x33\xff" + bytes(3)       # the rest is the end of an IPv6 address
        if value[0] & 1 or value == bytes(6):
            return value
        if value.startswith(MAC_PREFIX):
            return self._keep(value)
        return self._stand_in(b"mac", value, lambda drawn: MAC_PREFIX + drawn[:3])

    # everything else

    def _mark(self, kind, value, length):
        """length bytes, a good third of them a checksum of the others."""
        told = length - _checked(length)
        drawn = self._hash(kind, value, 8)[:told]
        return drawn + _checksum(drawn, length - told)

    def opaque(self, value):
        value = bytes(value)
        tag = min(TAG, len(value) // 2) if len(value) > 3 else 0    # too short for a mark: zeros
        if not any(value) or not any(value[tag:]) and _is_mark(value[:tag]):
            return value
        return self._mark(b"opaque", value, tag) + bytes(len(value) - tag)

    def key_id(self, value):
        """The first half of a UUID: a key id is that of an MKI. Version bits stay."""
        value = bytes(value)
        if len(value) != 8:
            return self.opaque(value)
        if not any(value) or _is_mark(value[:6]) and not value[6] & 0x0F and not value[7]:
            return value
        return self._mark(b"key id", value, 6) + bytes([value[6] & 0xF0, 0])

    def named_key(self, value):
        """A key id that names a participant, or the head of one: what tells keys of a participant apart stays."""
        value = bytes(value)
        named = value[2:6] if _is_mark(value[2:6]) else self._mark(b"named", value[2:6], 4)
        return value[:2] + named + bytes(len(value) - 6)

    def uuid(self, value):
        value = bytes(value)
        if len(value) != 16:
            return self.opaque(value)
        first, last = self.key_id(value[:8]), value[8:]
        if any(last) and not (_is_mark(last[2:]) and not last[0] & 0x3F and not last[1]):
            last = bytes([last[0] & 0xC0, 0]) + self._mark(b"uuid", value, 6)
        return first + last

    def uuid_text(self, text):
        digits = self.uuid(bytes.fromhex(text.replace(b"-", b"").decode())).hex().encode()
        digits = digits.upper() if text.upper() == text else digits
        return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def text(self, value):
        value = bytes(value)
        if not value or _STAND_IN_TEXT.fullmatch(value):
            return self._keep(value)
        length = len(value) - 1
        found = self._stand_in(b"text", value, lambda drawn: b"x" + drawn.hex().encode()[:length].ljust(length, b"0"),
                               tries=200)
        return found or b"x" * len(value)           # so short that all are used


def _checked(length):
    """How many bytes of a mark of that length are checksum."""
    return min(3, length // 2)


def _checksum(data, length):
    return hashlib.blake2b(data, person=b"mark").digest()[:length]


def _is_mark(value):
    told = len(value) - _checked(len(value))
    return len(value) > 1 and value[told:] == _checksum(value[:told], len(value) - told)


def _has_length(prefix, length):
    rest = length - 3 - sum(map(len, map(str, prefix)))
    return 4 - len(prefix) <= rest <= 3 * (4 - len(prefix))


def _ipv4_of(prefix, drawn, length, used):
    """An address from 32 drawn bytes, or None. The draw is read at 28 places."""
    rest = 4 - len(prefix)
    for i in range(28):
        found = prefix + drawn[i:i + rest]
        if found[3] not in (0, 255) and found not in used and length in (None, len(".".join(map(str, found)))):
            return found
    return None


def _ipv6_of(prefix, drawn, length):
    """An address whose text has `length` characters behind the prefix."""
    count = length // 5 + 1
    digits, groups = length - (count - 1), []
    for n in range(count):
        size = digits // (count - n)
        digits -= size
        text = drawn[n * 2:n * 2 + 2].hex()[:size]
        groups.append("1" + text[1:] if text[0] == "0" else text)
    return ipaddress.IPv6Address(prefix + ":".join(groups)).packed


def _ipv6_text(text, length):
    """The canonical text made longer: by zeros at the heads of groups and, for "::", groups of zeros."""
    before, _, after = text.partition("::")
    absent = 8 - sum(len(part.split(":")) for part in (before, after) if part)
    zeros = [["0"] * n for n in range(absent)] if "::" in text else []
    variants = [before.split(":") * bool(before) + ["" if before else ":"] + some + after.split(":") * bool(after)
                for some in zeros]
    variants.append(ipaddress.IPv6Address(text).exploded.split(":") if not zeros else
                    before.split(":") * bool(before) + ["0"] * absent + after.split(":") * bool(after))
    for groups in variants:
        for i, group in enumerate(groups):
            missing = length - len(":".join(groups))
            if group not in ("", ":") and missing > 0:
                groups[i] = group.rjust(min(4, len(group) + missing), "0")
        if len(":".join(groups)) == length:
            return ":".join(groups)
    return "x" * length
