# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are in what a modern relay carries: headers, the packets of a datagram, the end of RTP. Nothing is washed here.

Some bits and heads leave open what they bring (docs/protocol.md, section 22): taken is what makes known bodies of the rest.
"""

import collections
import itertools

MOST_IN_LIST = 32       # of numbers that somebody lists; more are no such list
MOST_PACKETS = 16       # of a datagram
MOST_TRIALS = 512       # of heads

VIDEO = {34, 100, 123, 126}
PAYLOAD_TYPES = VIDEO | {0, 8, 9, 13, 20, 97, 98, 101, 104, 105, 106, 107, 108, 111, 113, 119, 121, 122, 124}


def u16(data, at):
    return int.from_bytes(data[at:at + 2], "big")


# the end of an RTP packet

def trailer(data):
    """(form, where it begins) of what stands behind the payload: uuid, named, group, tagged; (None, length) without one."""
    end = len(data)
    at = 12 + 4 * (data[0] & 15)
    extension = u16(data, at) if data[0] & 0x10 and end >= at + 4 else None
    payload = at if extension is None else at + 4 + 4 * u16(data, at + 2)
    mki, word = data[-20:-4], data[-4:]
    if end >= payload + 20:
        if not any(word) and mki[6] >> 4 == 4 and mki[8] >> 6 == 2:
            return "uuid", end - 20
        if word in (bytes(4), b"\0\0\0\x20") and is_named(mki) and mki[1] >> 4 == 1 and not any(mki[11:]):
            return "named", end - 20
    if end >= payload + 6 and word == b"\0\0\0\x20" and u16(data, end - 6) >> 4:
        return "group", end - 6
    if extension is not None and extension >> 14 == 2:
        key = end - 2 - (0 if u16(data, 2) & 0x7F else 4) - (10 if data[1] & 0x7F in VIDEO else 4)
        if key >= payload and is_short_key(data[key:key + 2]):
            return "tagged", key
    return None, end


def is_short_key(value):
    """Of a key that has rolled less than 16 times."""
    return value[0] == 0 and value[1] >= 0x10


def is_named(key):
    """A key id that begins as the short ones and names a participant; a UUID has its version in byte 6."""
    return is_short_key(key) and key[6] == 0 and any(key[2:6])


# the relay's header

Head = collections.namedtuple("Head", "start end whole attributes length participant")
Packet = collections.namedtuple("Packet", "head stop")      # whose body ends at stop

FIELDS = [      # bits that bring it, bits that don't, size (0: a list)
    ("attributes", 0x8000, 0, 2), ("stream", 0x0001, 0, 2), ("streams", 0x0002, 0, 0), ("participant", 0x0004, 0, 8),
    ("base stream", 0x8000, 0, 2), ("priority", 0x0008, 0, 1), ("probe", 0x0010, 0, 2), ("version", 0x0020, 0, 1),
    ("length", 0x0080, 0, 2), ("counter", 0x0200, 0x0400, 2), ("stats", 0x0400, 0, 12), ("link", 0x2000, 0, 2),
    ("links", 0x4000, 0, 0), ("state", 0x8000, 0, 1), ("transition streams", 0x0800, 0, None)]

# what is open: a priority only beside a stream id; ids behind the header for f1 08, their count in the priority's place
BESIDE_STREAM, TRANSITION = 1, 2


def read_fields(data, start, at, end, flags, reading=0):
    """The Head whose fields begin at `at`, as the bits bring them."""
    attributes, length, participant, count = 0, None, None, 8
    for name, bits, without, size in FIELDS:
        if flags & bits != bits or flags & without:
            continue
        if name == "base stream" and attributes & 0x30 != 0x10 or name == "state" and not attributes & 0x02:
            continue
        if name == "priority" and reading & TRANSITION and flags & 0x0800:
            count = data[at] + 1 if at < end else 0
        elif name == "priority" and reading & BESIDE_STREAM and not flags & 0x0001:
            continue
        if name == "transition streams":
            size = 2 * count if reading & TRANSITION else None
        if size is None:
            continue
        size = size or (1 + 2 * data[at] if at < end else 1)
        if at + size > end or name in ("streams", "links") and size > 1 + 2 * MOST_IN_LIST:
            return Head(start, at, False, attributes, length, participant)
        if name == "attributes":
            attributes = u16(data, at)
        elif name == "participant":
            participant = at
        elif name == "length":
            length = u16(data, at)
        at += size
    return Head(start, at, True, attributes, length, participant)


def readings(flags):
    """As in 2023 first."""
    return [reading for reading in range(4) if (not reading & TRANSITION or flags & 0x0800) and
            (not reading & BESIDE_STREAM or flags & 0x0009 == 0x0008)]


# bodies

def grade(body, attributes):
    """How much speaks for a body: 0 nothing, 1 its beginning, 2 its end, too."""
    if attributes & 0x20:
        return 2 if len(body) >= 44 and u16(body, 2) == len(body) - 20 and body[-24:-20] == b"\0\x09\0\x14" else 1
    if attributes & 0x01:
        return 2 if len(body) == 50 and body[:2] == b"\x0a\x0c" else 1
    if body[:2] == b"\x40\x0f":
        return 2 if len(body) > 11 else 1
    if len(body) < 12 or body[0] & 0xEF != 0x80 or body[1] & 0x7F not in PAYLOAD_TYPES:
        return 0
    return 2 if trailer(body)[0] else 1


# the packets of a datagram

def packets(data, end):
    """([Packet], where they end) of ChannelData: the first one's head may be cut, then there is only that."""
    flags = u16(data, 4)
    heads = [read_fields(data, 4, 6, end, flags, reading) for reading in readings(flags)]
    head = max(heads, key=lambda h: (h.whole, grade(data[h.end:_stop(h, end)], h.attributes) if h.whole else 0))
    first = Packet(head, _stop(head, end))
    if not head.whole or head.length is None:
        return [first], first.stop
    search = _Search(data, end, head)
    search.go(first.stop, [first])
    return search.best, search.best[-1].stop


def _stop(head, end):
    return end if head.length is None else min(end, head.end + head.length)


class _Search:
    def __init__(self, data, end, first):
        self.data, self.end, self.trials, self.best = data, end, 0, []
        self.who = data[first.participant:first.participant + 8] if first.participant else None

    def go(self, at, found):
        """Whether the rest from there on can be read to its end; best is the longest that could."""
        if len(found) >= len(self.best):
            self.best = list(found)
        if at >= self.end or len(found) == MOST_PACKETS:
            return True
        for head in self._heads(at):
            self.trials += 1
            if self.trials > MOST_TRIALS:
                return False
            stop = _stop(head, self.end)
            exact = head.length is None or head.length == stop - head.end
            if exact and stop > head.end and grade(self.data[head.end:stop], head.attributes) == 2 and \
                    self.go(stop, [*found, Packet(head, stop)]):
                return True
        return False

    def _heads(self, at):
        """What can stand there, in the order of likelihood."""
        for head, may_have_priority in itertools.chain(self._full(at), self._compact(at)):
            for priority in (1, 0) if may_have_priority else (0,):
                for length in (2, 0):
                    behind = head.end + priority + length
                    if behind > self.end or priority and not 1 <= self.data[head.end] <= 127:
                        continue
                    told = u16(self.data, head.end + priority)
                    if not length or told >> 14 == 0:
                        yield head._replace(end=behind, length=told if length else None)

    def _full(self, at):
        flags = u16(self.data, at)
        if self.who is None or flags & 0x0084 != 0x0004:
            return
        for reading in readings(flags):
            head = read_fields(self.data, at, at + 2, self.end, flags, reading)
            if head.whole and self.data[head.participant:head.participant + 8] == self.who:
                base_layer = head.attributes & 0x10 and flags & 0x0140 == 0x0100
                yield head, not flags & 0x0008 and not base_layer

    def _compact(self, at):
        flags = 0x0002 if self.data[at] < 0x10 else 0x0001
        head = read_fields(self.data, at, at, self.end, flags)
        if head.whole:
            yield head, True
