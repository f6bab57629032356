# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of 2026 as a whole: captures that begin in their middle, key ids of control messages and media, two senders in one
datagram, and what headers leave open. What each packet shows is test_elements.py's."""

import collections
import os
import random
import re
import struct

import pytest

import generate
import support
from scenario import elements_of, media_of
from support import Datagram
from wire import modern

PHONE, RELAY = ("192.168.1.10", 16393), ("17.167.200.5", 3482)
PASSES = pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
CAPTURE = support.TEST_CAPTURES / generate.file_name("modern-2026")
LOST_AT_MOST = 10       # packets of a capture that begins in mid-call

WHO, IDENTITY = bytes.fromhex("5ccd81a924fad363"), bytes.fromhex("6eeaba8a8cbed8c9")
AUDIO, VIDEO = 0x06B19899, 0x15CB819D
PROOF = bytes(modern.relay(b"", stream=0xE7A2, counter=0, count=True))


def up(payload):
    return Datagram(*PHONE, *RELAY, bytes(payload))


def down(payload):
    return Datagram(*RELAY, *PHONE, bytes(payload))


def rtp(ssrc, seq, payload_type=modern.HEVC, ratchet=0, one_to_one=False):
    mki, is_video = modern.new_named_mki(IDENTITY, ratchet=ratchet), payload_type in (modern.HEVC, modern.H264)
    if one_to_one:
        trailer = modern.tagged_trailer(mki, seq, 3, bytes(range(modern.VIDEO_TAG if is_video else modern.AUDIO_TAG)))
    else:
        trailer = modern.group_trailer(mki)
    make = modern.video_extension if is_video else modern.audio_extension
    return modern.rtp(payload_type, seq, 480 * seq, ssrc, bytes(range(60, 100)), trailer, extension=make(version=2 if one_to_one else 1))


# ---- what a header leaves open

# Of no known kind, at whatever byte it begins.
STRANGE = bytes(range(0x21, 0x31))
OTHER = bytes.fromhex("81150d4bc52c6404")
IDS = [0xCCEE, 0x62BB, 0x9DCF]


def media(seq, **header):
    return down(modern.relay(rtp(VIDEO, seq), count=True, **header))


def strange(**header):
    """A body that tells nothing of its header."""
    return down(modern.relay(STRANGE, count=True, **header))


HEADER = ("quickrelay.priority", "quickrelay.counter", "quickrelay.transition_stream", "quickrelay.body", "quickrelay.bad_length")


def headers(tshark, capture, **how):
    return [tuple(",".join(row[name]).replace(":", "") for name in HEADER) for row in tshark.rows(capture, *HEADER, **how)]


@PASSES
def test_open_bits_are_read_as_the_streams_last(tshark, make_capture, two_pass):
    """A priority's bit without a stream id brings a byte, or none; the stream's media tells which. Where nothing has told
    so far, it is read as in 2023. Each participant and direction has its own."""
    body, later = STRANGE.hex(), STRANGE[1:].hex()
    without, ours = {"no_priority": True, "participant": WHO}, {"priority": 5, "participant": OTHER}
    frames = [
        (up(PROOF), None), (strange(**without), ("33", "", "", later, "")),         # 33 is 21 in hexadecimal
        (media(1, **without), ("", "", "", "", "")), (strange(**without), ("", "", "", body, "")),
        (media(2, **ours), ("5", "", "", "", "")), (strange(**ours), ("5", "", "", body, "")),
        (strange(**without), ("", "", "", body, "")),
        (up(modern.relay(STRANGE, count=True, **without)), ("33", "", "", later, "")),
        (down(modern.relay(b"", counter=7, count=True, **without)), ("", "7", "", "", "")),
        (media(3, priority=9, participant=WHO), ("9", "", "", "", "")), (strange(**without), ("33", "", "", later, "")),
    ]
    found = headers(tshark, make_capture([frame for frame, _ in frames]), two_pass=two_pass)
    assert found[1:] == [expected for _, expected in frames[1:]]


@PASSES
def test_transition_streams_are_read_as_the_streams_last(tshark, make_capture, two_pass):
    stream, other = {"stream": VIDEO & 0xFFFF, "participant": WHO}, {"stream": 0x4321, "participant": WHO}
    ids, shown = {"transition_count": 2, "transition_streams": IDS}, ",".join(f"0x{number:04x}" for number in IDS)
    raw = b"".join(number.to_bytes(2, "big") for number in IDS)
    frames = [
        (up(PROOF), None), (strange(**stream, **ids), ("2", "", "", (raw + STRANGE).hex(), "")),
        (media(1, **stream, **ids), ("", "", shown, "", "")), (strange(**stream, **ids), ("", "", shown, STRANGE.hex(), "")),
        (strange(**other, transition=True, priority=2), ("2", "", "", STRANGE.hex(), "")),
    ]
    found = headers(tshark, make_capture([frame for frame, _ in frames]), two_pass=two_pass)
    assert found[1:] == [expected for _, expected in frames[1:]]


# ---- captures that begin in mid-call

def beginnings():
    """{what it begins with: frame} of the capture's parts."""
    marks, truth = generate.build("modern-2026").landmarks, generate.build("modern-2026").truth
    direct = [number for number, frame in truth.items() if frame["path"] == "direct" and frame["kind"] == "rtp"]
    return {"several packets in a datagram": marks["chain: stream"], "between links": marks["control message of the first key"],
            "after the key's step": marks["ratchet"], "direct": direct[3]}


@PASSES
@pytest.mark.parametrize("what", beginnings())
def test_from_the_middle(tshark, make_capture, what, two_pass):
    cap, first = generate.build("modern-2026"), beginnings()[what]
    capture = make_capture([frame for _, frame in cap.packets[first - 1:]])
    claimed = set(tshark.frames(capture, "facetime", two_pass=two_pass))
    lost = [number for number, frame in cap.truth.items() if number >= first and number - first + 1 not in claimed
            and frame["path"] != "server"]      # an error alone on its 5-tuple proves nothing
    assert len(lost) <= LOST_AT_MOST and all(number < first + LOST_AT_MOST + 10 for number in lost), lost
    assert max(claimed) >= len(cap.packets) - first


@pytest.mark.parametrize("snap", [200, 128, 96])
def test_from_the_middle_cut(tshark, make_capture, snap):
    """Frames cut to so many bytes, from each tenth of the capture on: media then has no trailer to show."""
    cap = generate.build("modern-2026")
    for first in range(1, len(cap.packets) - 12, len(cap.packets) // 10):
        capture = make_capture([(frame, min(snap, len(frame))) for _, frame in cap.packets[first - 1:]])
        claimed = set(tshark.frames(capture, "facetime"))
        lost = [number for number, frame in cap.truth.items() if number >= first and number - first + 1 not in claimed
                and frame["path"] != "server"]
        assert len(lost) <= LOST_AT_MOST, (first, lost)


def cut(payload, kept, way=up):
    payload = bytes(payload)
    return way(payload)._replace(snap=min(kept, len(payload)))


@PASSES
def test_what_a_cut_leaves_of_a_proof(tshark, make_capture, two_pass):
    """A link message's head alone; media's extension of version 2 in three packets; a check up to its MESSAGE-INTEGRITY. Not
    what is shorter, has one-byte extensions (RFC 8285) or runs between other ports."""
    link = modern.link_message(modern.INTERFACE_INFO, [modern.counter(8)], bytes(20))
    head = modern.relay(link, attr=0x20, link=0x12)
    medium = [modern.rtp(modern.HEVC, n, 480 * n, VIDEO, bytes(60), modern.named_trailer(modern.new_named_mki(IDENTITY)),
                         extension=modern.video_extension(frame=(1, n))) for n in range(1, 5)]
    bede = [bytes(packet[:12]) + b"\xbe\xde" + bytes(packet[14:]) for packet in medium]
    check = bytes.fromhex("00010034 2112a442 8fb874c0d04f2a1b7211464f 80080010 b483041d34904c6ba61d40c7375acd81 80070004 00000005"
                          "00080014") + bytes(20)
    direct = ("198.51.100.7", 16393)

    def between(packets, kept, port=16393):
        return [Datagram(PHONE[0], port, direct[0], port, bytes(packet))._replace(snap=kept) for packet in packets]
    extension_end = 16 + 4 * int.from_bytes(bytes(medium[0])[14:16], "big")
    for frames, expected in (([cut(head, 6 + 2 + 2 + 20)], [1]), ([cut(head, 6 + 2 + 2 + 19)], []),
                             (between(medium, extension_end), [3, 4]), (between(medium, extension_end - 1), []),
                             (between(bede, extension_end), []), (between(medium, extension_end, 20002), []),
                             (between([check], 52), [1]), (between([check], 51), []),
                             (between([check[:2] + b"\0\x38" + check[4:] + bytes(4)], 52), [])):
        assert tshark.frames(make_capture(frames), "facetime", two_pass=two_pass) == expected


# ---- nothing of it

RANDOM_DATAGRAMS = int(os.environ.get("FACETIME_RANDOM_DATAGRAMS", "100000")) // 5
ENDS = (b"\x00\x10\x00\x00\x00\x20", b"\x00\x11\x00\x00\x00\x20", b"\x00\x10\xa0\xa1\xa2\xa3", b"")


def shaped(count):
    """Random bytes behind what a header of several packets, or a further packet's head, looks like; many end as media does."""
    rng = random.Random("shapes of 2026")
    ports = (*range(16384, 16404), 3478, 3482)
    for n in range(count):
        body = rng.randbytes(rng.randint(12, 90)) + rng.choice(ENDS)
        more = rng.choice((b"", b"\x03", b"\x00", rng.randbytes(1))) + rng.randbytes(rng.randint(2, 90)) + rng.choice(ENDS)
        flags = rng.choice((b"\x00\xcd", b"\x00\x89", b"\x81\x84", bytes([rng.randrange(256), 0x80 | rng.randrange(128)])))
        length = struct.pack("!H", len(body))
        who = rng.randbytes(8)
        content = rng.choice((
            flags + rng.randbytes(2) + who + b"\x7f" + length + body + b"\x81\x04\x00\x10" + who + more,
            flags + rng.randbytes(2) + b"\x01" + length + body + more, flags + length + body + more))
        head = struct.pack("!HH", 0x6000, len(content)) if n % 4 else b""
        source, destination = rng.choice(ports), rng.choice(ports)
        yield Datagram("10.1.1.1", source, f"198.51.100.{n % 3 + 1}", destination, head + content if n % 8 else more)


def test_shapes_of_chains_alone_prove_nothing(tshark, make_capture):
    """On three pairs of hosts and FaceTime's ports. More: FACETIME_RANDOM_DATAGRAMS, of which a fifth."""
    assert tshark.frames(make_capture(list(shaped(RANDOM_DATAGRAMS))), "facetime") == []


# ---- key ids

@PASSES
def test_control_messages_tie_to_media_of_their_key(tshark, two_pass):
    """Each names the first RTP packet before it that has all of its key id, else the first of its sender's that has the two
    bytes, on the same path; also inside of a datagram of several."""
    cap = generate.build("modern-2026")
    rows = tshark.rows(CAPTURE, "frame.number", "facetime_control.key_id", "facetime_control.mki_frame",
                       "facetime_control.participant", two_pass=two_pass, filter="facetime_control")
    whole, short, expected = {}, {}, collections.defaultdict(list)
    for number, frame in cap.truth.items():
        for element in elements_of(frame):
            fields, way = element.get("fields", {}), (frame.get("sender"), frame["path"])
            for mki in fields.get("facetime_rtp.mki", ()):
                whole.setdefault(mki.replace("-", "")[:16], number)
            for mki in fields.get("facetime_rtp.short_mki", ()):
                short.setdefault((way, f"{mki:04x}"), number)
            for key in fields.get("facetime_control.key_id", ()):
                expected[number].append((key, whole.get(key) or short[way, key[:4]]))
    assert len(expected) > 5 and {key[:4] for found in expected.values() for key, _ in found} == {"0010", "0011"}
    for row in rows:
        wanted = expected.pop(int(row["frame.number"][0]))
        assert [key.replace(":", "") for key in row["facetime_control.key_id"]] == [key for key, _ in wanted]
        assert [int(value) for value in row["facetime_control.mki_frame"]] == [at for _, at in wanted]
        assert [value.replace(":", "") for value in row["facetime_control.participant"]] == \
            [key[4:12] + key[14:16] for key, _ in wanted]
    assert not expected


# ---- several senders in a datagram

@PASSES
def test_two_senders_in_a_datagram(tshark, make_capture, two_pass):
    """RTP Streams has all of both, whichever comes first in a datagram; so have the plugin's own reports and filters."""
    frames = [up(PROOF)]
    for n in range(1, 41):
        one, other = rtp(AUDIO, n, modern.AAC_ELD), rtp(VIDEO, 500 + n)
        ids = [AUDIO & 0xFFFF, VIDEO & 0xFFFF]
        if n % 2:
            one, other, ids = other, one, ids[::-1]
        frames.append(down(modern.chain(one, (other, modern.stream_head(ids[1], 1)), stream=ids[0], participant=WHO, priority=1)))
    capture = make_capture(frames)
    lines = [line for line in tshark.lines(capture, "-q", "-z", "rtp,streams", two_pass=two_pass) if "0x" in line]
    found = {int(re.search(r"0x([0-9A-F]{8})", line)[1], 16): re.search(r"0x[0-9A-F]{8}\s+\S.*?\s(\d+)\s+(-?\d+) \(", line).groups()
             for line in lines}
    assert found == {AUDIO: ("40", "0"), VIDEO: ("40", "0")}
    rows = tshark.rows(capture, "rtp.ssrc", "rtp.seq", "rtp.extseq", two_pass=two_pass)[1:]
    numbers = collections.defaultdict(list)
    for row in rows:
        for ssrc, seq, extended in zip(row["rtp.ssrc"], row["rtp.seq"], row["rtp.extseq"], strict=True):
            assert int(extended) - int(seq) == 65536        # as stock counts from the first cycle on
            numbers[int(ssrc, 16)].append(int(seq))
    assert numbers == {AUDIO: list(range(1, 41)), VIDEO: list(range(501, 541))}


def test_rtp_streams_of_the_call(tshark):
    """-z rtp,streams, once and in two passes, against all that was written."""
    written = collections.Counter((rtp["ssrc"], *frame["src"], *frame["dst"]) for frame in generate.build("modern-2026").truth.values()
                                  for rtp in media_of(frame))
    for two_pass in (False, True):
        found = {}
        for line in tshark.lines(CAPTURE, "-q", "-z", "rtp,streams", two_pass=two_pass):
            row = re.match(r"\s*\S+\s+\S+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+0x([0-9A-F]{8})\s+\S.*?\s(\d+)\s+-?\d+ \(", line)
            if row:
                found[int(row[5], 16), row[1], int(row[2]), row[3], int(row[4])] = int(row[6])
        assert found == written
