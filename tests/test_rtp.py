# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP: FaceTime's header extensions, key ids and FEC, what a stream's packets say of each other, stock's
set-up for it, and the proof that media without signalling is FaceTime's."""

import itertools
import re
import struct
import subprocess
import uuid

import pytest

import support
from support import Datagram

PHONE, PEER, RELAY = ("10.239.19.254", 16393), ("172.58.223.197", 55878), ("17.249.172.142", 3482)
ONE, TWO = ("192.0.2.10", 16402), ("192.0.2.20", 16403)     # both on ports of a device
MKI = bytes.fromhex("8223ac978cc7488da6ea86b60e6b56c5")     # of a real call
SSRC = 0x7897DEA2
HEVC, H264, H263, AAC_ELD, EVS, RED, CN = 100, 123, 34, 104, 108, 20, 13

EXPERTS = ("short_header", "bad_extension_length", "field_missing", "bytes_left", "cut_short",
           "unknown_extension", "no_key_id", "frame_incomplete", "frame_gap", "fec_length_mismatch",
           "fec_list_mismatch", "stream_mismatch", "retransmitted")
VIDEO = ("ltr_timestamp", "packets_in_frame", "frame_sequence", "probe")


def rtp(payload_type=AAC_ELD, sequence=1, timestamp=480, ssrc=SSRC, payload=bytes(range(40)), mki=MKI,
        marker=False, profile=None, words=b"", csrcs=(), extension_words=None):
    """profile: of a header extension; extension_words: what it says of its length, if that is a lie."""
    first = 0x80 | (0x10 if profile is not None else 0) | len(csrcs)
    header = struct.pack(f"!BBHII{len(csrcs)}I", first, marker << 7 | payload_type, sequence & 0xFFFF,
                         timestamp, ssrc, *csrcs)
    if profile is not None:
        told = len(words) // 4 if extension_words is None else extension_words
        header += struct.pack("!HH", profile, told) + words
    return header + payload + (mki + bytes(4) if mki else b"")


def direct(payload, **changes):
    """A packet of a modern call on the direct path: its key id proves it."""
    return Datagram(*PHONE, *PEER, payload)._replace(**changes)


def legacy(payload, **changes):
    return Datagram(*ONE, *TWO, payload)._replace(**changes)


PROOF = direct(rtp(ssrc=1))     # claims the flow, so that anything may follow on it


def relayed(body, header="2040 5813"):
    content = bytes.fromhex(header) + body
    return Datagram(*PHONE, *RELAY, struct.pack("!HH", 0x6000, len(content)) + content)


def experts(tshark, capture, **how):
    """The names of the expert infos at each packet."""
    rows = tshark.rows(capture, *(f"facetime_rtp.{name}" for name in EXPERTS), **how)
    return [{name for name in EXPERTS if row[f"facetime_rtp.{name}"]} for row in rows]


def numbers(tshark, capture, prefix, names, **how):
    """For each packet {name: number} of the fields that are there."""
    rows = tshark.rows(capture, *(f"{prefix}.{name}" for name in names), **how)
    return [{name: int(row[f"{prefix}.{name}"][0], 0) for name in names if row[f"{prefix}.{name}"]}
            for row in rows]


# ---- codecs ----

MODERN = {100: "HEVC", 123: "H264", 104: "AAC-ELD", 108: "EVS", 20: "RED", 13: "CN"}
INFERRED = {EVS, RED, CN}


@pytest.fixture(scope="module")
def codecs(make_capture):
    return make_capture([direct(rtp(kind, ssrc=kind)) for kind in [*MODERN, 99]])


def test_codecs_have_names(tshark, codecs):
    assert [row["facetime_rtp.codec"] for row in tshark.rows(codecs, "facetime_rtp.codec")] == [
        *([name] for name in MODERN.values()), []]


def test_inferred_codecs_say_so(tshark, codecs):
    packets = tshark.pdml(codecs)[:len(MODERN)]
    shown = [packet.find(".//field[@name='facetime_rtp.codec']") for packet in packets]
    assert [kind for kind, field in zip(MODERN, shown) if "inferred" in field.get("showname")] == sorted(
        INFERRED, key=list(MODERN).index)


# Of docs/protocol.md's table (section 10): a=rtpmap or a=fmtp of some call says what it is, or RFC 3551 does.
CERTAIN = {0: "PCMU", 8: "PCMA", 9: "G722", 13: "CN", 34: "H263", 100: "HEVC", 104: "AAC-ELD", 105: "X-AAC_ELD",
           106: "AAC-ELD", 123: "H264", 126: "X-H264"}
# Only later builds' tables tell.
LATER = {20: "RED", 97: "AMR", 98: "AMR-WB", 101: "AAC-ELD", 107: "EVS", 108: "EVS", 111: "EVS", 113: "AAC",
         119: "Opus"}


def test_legacy_codecs_that_are_inferred_say_so(tshark, make_capture):
    kinds = sorted({**CERTAIN, **LATER})
    capture = make_capture([legacy(rtp(kind, ssrc=kind, profile=0x4400, words=bytes(8), mki=b"")) for kind in kinds])
    shown = [packet.find(".//field[@name='facetime_rtp.codec']") for packet in tshark.pdml(capture)]
    assert [field.get("show") for field in shown] == [{**CERTAIN, **LATER}[kind] for kind in kinds]
    assert [kind for kind, field in zip(kinds, shown) if "inferred" in field.get("showname")] == sorted(LATER)
    assert [kind for kind, line in zip(kinds, tshark.lines(capture)) if "inferred]" in line] == sorted(LATER)


def test_stock_rtp_has_the_names_and_reads_no_ciphertext(tshark, codecs):
    rows = tshark.rows(codecs, "rtp.p_type", "srtp.enc_payload", "frame.protocols", "rtp.payload")
    assert [row["rtp.p_type"] for row in rows] == [[str(kind)] for kind in [*MODERN, 99]]
    assert {row["srtp.enc_payload"][0] for row in rows} == {bytes(range(40)).hex()}, "without key id"
    assert {frozenset(row["frame.protocols"][0].split(":")) for row in rows} == {
        frozenset(["eth", "ethertype", "ip", "udp", "facetime", "rtp", "facetime_rtp"])}
    assert not any(row["rtp.payload"] for row in rows)
    info = [line.split("PT=")[1].split(",")[0] for line in tshark.lines(codecs)]
    assert [info[list(MODERN).index(kind)] for kind in (HEVC, H264, AAC_ELD, EVS)] == [
        "HEVC", "H264", "AAC-ELD", "EVS"]


# ---- the audio extension ----

AUDIO = ("echoed_timestamp", "received_kbit", "burst_loss", "received_packets", "queuing_delay",
         "send_timestamp", "one_way_delay", "video.burst_loss", "video.frame_size", "video.loss", "bandwidth",
         "ecn.ect", "ecn.ce", "connection.index", "connection.secondary", "connection.primary",
         "connection.total")
# Each part: its bit, its bytes, and what they are, decoded by hand.
ALWAYS = ("1234 0056 a789", {"echoed_timestamp": 0x1234, "received_kbit": 0x56, "burst_loss": 10,
                             "received_packets": 0x789})
PARTS = [
    (0x0100, "000b 5152 000d", {"queuing_delay": 11, "send_timestamp": 0x5152, "one_way_delay": 13}),
    # 1abc = 0001 101010 111100
    (0x0400, "1abc 2710", {"video.burst_loss": 1, "video.frame_size": 42, "video.loss": 60,
                           "bandwidth": 10000}),
    (0x0800, "0007 0008", {"ecn.ect": 7, "ecn.ce": 8}),
    (0x0200, "01 02 03 04", {"connection.index": 1, "connection.secondary": 2, "connection.primary": 3,
                             "connection.total": 4}),
]


def padded(data):
    return data + bytes(-len(data) % 4)


def audio_cases():
    choices = (itertools.combinations(PARTS, n) for n in range(len(PARTS) + 1))
    for parts in itertools.chain.from_iterable(choices):
        profile = 0x8000 + sum(bit for bit, _, _ in parts)
        words = padded(bytes.fromhex(ALWAYS[0] + "".join(part for _, part, _ in parts)))
        fields = dict(ALWAYS[1])
        for _, _, part in parts:
            fields |= part
        yield profile, words, fields


def test_audio_extension_each_combination(tshark, make_capture):
    cases = list(audio_cases())
    capture = make_capture([direct(rtp(profile=profile | 7, words=words)) for profile, words, _ in cases])
    assert numbers(tshark, capture, "facetime_rtp.audio", AUDIO) == [fields for _, _, fields in cases]
    assert experts(tshark, capture) == [set()] * 16
    bits = ("has_ecn", "has_video", "has_connection", "has_timing")
    masks = (0x0800, 0x0400, 0x0200, 0x0100)
    rows = tshark.rows(capture, "facetime_rtp.ext.profile", "facetime_rtp.ext.version",
                       "facetime_rtp.audio.rate_bucket", *(f"facetime_rtp.audio.{bit}" for bit in bits))
    for (profile, _, _), row in zip(cases, rows):
        assert [int(row["facetime_rtp.ext.profile"][0], 0), row["facetime_rtp.ext.version"],
                row["facetime_rtp.audio.rate_bucket"]] == [profile | 7, ["2"], ["7"]]
        assert [row[f"facetime_rtp.audio.{bit}"][0] in ("1", "True") for bit in bits] == [
            bool(profile & mask) for mask in masks]


def test_audio_extension_of_a_real_packet(tshark, real):
    """The first packet of profile 0x8700 in the cellular capture: its bytes taken apart here."""
    capture = real("facetime-2023-cellular.pcapng")
    row = tshark.rows(capture, "udp.payload", *(f"facetime_rtp.audio.{name}" for name in AUDIO),
                      filter="facetime_rtp.ext.profile == 0x8700")[0]
    payload = bytes.fromhex(row["udp.payload"][0].replace(":", ""))
    start = payload.index(b"\x87\x00\x00\x05") + 4
    words = struct.unpack("!8H4B", payload[start:start + 20])
    kept = (words[0], words[1], words[2] >> 12, words[2] & 0xFFF, *words[3:6], words[6] >> 12,
            words[6] >> 6 & 0x3F, words[6] & 0x3F, words[7], *words[8:])
    told = [int(row[f"facetime_rtp.audio.{name}"][0], 0) for name in AUDIO if not name.startswith("ecn")]
    assert told == list(kept)


def test_extensions_of_unknown_form(tshark, make_capture):
    """Versions 0 and 3, audio of version 1, a payload type that nobody knows: bytes and a note, no guess."""
    words = bytes(range(12))
    cases = [(0x0500, AAC_ELD), (0xC500, AAC_ELD), (0x4500, AAC_ELD), (0x0009, HEVC), (0xC009, HEVC),
             (0x8009, 99)]
    capture = make_capture([direct(rtp(kind, profile=profile, words=words)) for profile, kind in cases])
    rows = tshark.rows(capture, "facetime_rtp.ext.unparsed", "facetime_rtp.video.probe",
                       "facetime_rtp.audio.send_timestamp", "facetime_rtp.ext.version")
    assert [row["facetime_rtp.ext.unparsed"] for row in rows] == [[words.hex()]] * len(cases)
    assert not any(row["facetime_rtp.video.probe"] or row["facetime_rtp.audio.send_timestamp"]
                   for row in rows)
    assert [row["facetime_rtp.ext.version"] for row in rows] == [[str(profile >> 14)] for profile, _ in cases]
    assert experts(tshark, capture) == [{"unknown_extension"}] * len(cases)


# ---- the video extension ----

def fec_source(index=0x0B, length=40):
    return struct.pack("!BBH", index, 0x80, 0x13 << 11 | length)


def fec_parity(lengths, index=0x08, longest=None, count=None):
    longest = max(lengths) if longest is None else longest
    count = len(lengths) if count is None else count
    return padded(struct.pack(f"!BBHH{len(lengths)}H", index, 0, 0x13 << 11 | longest, count, *lengths))


def video_words(bits, version, fec=b""):
    """The fields that the bits bring, in wire order, and what they must be shown as."""
    words, fields = b"", {}
    if bits & 2:
        words, fields = words + struct.pack("!I", 0x04BD365A), fields | {"ltr_timestamp": 0x04BD365A}
    if bits & 1 and version == 2:
        words += struct.pack("!HH", 3, 0x45DE)
        fields |= {"packets_in_frame": 3, "frame_sequence": 0x45DE}
    if bits & 4:
        words += fec
    if bits & 8:
        words, fields = words + struct.pack("!I", 142080), fields | {"probe": 142080}
    return words, fields


def test_video_extension_each_combination(tshark, make_capture):
    cases = [(version, bits) for version in (1, 2) for bits in range(16)]
    made = [video_words(bits, version, fec_source()) for version, bits in cases]
    capture = make_capture([direct(rtp(HEVC, ssrc=number, profile=version << 14 | bits, words=words))
                            for number, ((version, bits), (words, _)) in enumerate(zip(cases, made))])
    assert numbers(tshark, capture, "facetime_rtp.video", VIDEO) == [fields for _, fields in made]
    assert experts(tshark, capture) == [set()] * 32
    rows = tshark.rows(capture, "facetime_rtp.fec.index", "facetime_rtp.ext.version")
    assert [bool(row["facetime_rtp.fec.index"]) for row in rows] == [bool(bits & 4) for _, bits in cases]
    assert [row["facetime_rtp.ext.version"] for row in rows] == [[str(version)] for version, _ in cases]


def test_video_profile_bits(tshark, make_capture):
    """10 11 0 1 10 1001 0000: version 2, source 3, mirrored, orientation 2, LTR bits 9."""
    capture = make_capture([direct(rtp(HEVC, profile=0b10_11_0_1_10_1001_0000)),
                            direct(rtp(H264, profile=0b01_00_1_0_01_0001_0000))])
    names = ("source", "back_camera", "mirrored", "orientation", "ltr")
    rows = tshark.rows(capture, *(f"facetime_rtp.video.{name}" for name in names))
    words = {"True": "1", "False": "0"}     # Wireshark 4.4 writes so
    told = [[row[f"facetime_rtp.video.{name}"][0] for name in names] for row in rows]
    assert [[int(words.get(value, value), 0) for value in row] for row in told] == [
        [3, 0, 1, 2, 9], [0, 1, 0, 1, 1]]


def test_extension_longer_or_shorter_than_its_fields(tshark, make_capture):
    probe = struct.pack("!I", 7)
    capture = make_capture([
        direct(rtp(HEVC, profile=0x8008, words=probe + bytes(4))),              # a word more
        direct(rtp(HEVC, profile=0x8009, words=probe)),                         # no room for the probe
        direct(rtp(AAC_ELD, profile=0x8100, words=bytes(8))),                   # 12 bytes announced
        direct(rtp(AAC_ELD, profile=0x8000, words=bytes(6) + b"\0\1")),         # padding that isn't zero
        direct(rtp(HEVC, profile=0x8008, words=b"", extension_words=0)),
    ])
    assert experts(tshark, capture) == [{"bytes_left"}, {"field_missing"}, {"field_missing"}, {"bytes_left"},
                                        {"field_missing"}]
    assert numbers(tshark, capture, "facetime_rtp.video", VIDEO)[:2] == [
        {"probe": 7}, {"packets_in_frame": 0, "frame_sequence": 7}]
    assert numbers(tshark, capture, "facetime_rtp.audio", AUDIO)[2] == {
        "echoed_timestamp": 0, "received_kbit": 0, "burst_loss": 0, "received_packets": 0, "queuing_delay": 0}
    unparsed = [row["facetime_rtp.ext.unparsed"] for row in tshark.rows(capture, "facetime_rtp.ext.unparsed")]
    assert unparsed == [["00000000"], [], [], ["0001"], []]


# ---- FEC ----

FEC = ("index", "tag", "length", "count")


def test_fec_fields(tshark, make_capture):
    lengths = [83, 880, 882, 40]    # an even number: two bytes of padding
    capture = make_capture([
        direct(rtp(HEVC, profile=0x4004, words=fec_source(0x0F, 40))),
        direct(rtp(HEVC, profile=0x400C, words=fec_parity(lengths, 0x0A) + struct.pack("!I", 5))),
    ])
    assert numbers(tshark, capture, "facetime_rtp.fec", FEC) == [
        {"index": 0x0F, "tag": 0x13, "length": 40}, {"index": 0x0A, "tag": 0x13, "length": 882, "count": 4}]
    rows = tshark.rows(capture, "facetime_rtp.fec.source_length", "facetime_rtp.fec.parity",
                       "facetime_rtp.video.probe")
    assert rows[1]["facetime_rtp.fec.source_length"] == [str(n) for n in lengths]
    assert [row["facetime_rtp.fec.parity"][0] in ("1", "True") for row in rows] == [False, True]
    assert rows[1]["facetime_rtp.video.probe"] == ["5"], "behind the padding"
    assert experts(tshark, capture) == [set(), set()]


def test_fec_lies(tshark, make_capture):
    capture = make_capture([
        direct(rtp(HEVC, ssrc=1, profile=0x4004, words=fec_source(length=41))),
        direct(rtp(HEVC, ssrc=2, profile=0x4004, words=fec_parity([10, 20], longest=21))),
        direct(rtp(HEVC, ssrc=3, profile=0x4004, words=fec_parity([10, 20], count=0xFFFF))),
        direct(rtp(HEVC, ssrc=4, profile=0x4004, words=fec_parity([10, 20], count=4))),
        direct(rtp(HEVC, ssrc=5, profile=0x4004, words=fec_parity([], longest=0))),
        direct(rtp(HEVC, ssrc=6, profile=0x4004, words=struct.pack("!I", 0x08009B72))),
        direct(rtp(HEVC, ssrc=7, profile=0x4004, words=b"")),
    ])
    assert experts(tshark, capture) == [{"fec_length_mismatch"}, {"fec_length_mismatch"}, {"field_missing"},
                                        {"field_missing"}, set(), {"field_missing"}, {"field_missing"}]


def block(lengths, parity=2, told=None, first=100, timestamp=9000, ssrc=SSRC):
    """Source packets and parity packets of one FEC block."""
    last = len(lengths) - 1
    sources = [direct(rtp(HEVC, first + n, timestamp, ssrc, bytes(length), marker=n == last, profile=0x4004,
                          words=fec_source(0x0B + n, length))) for n, length in enumerate(lengths)]
    parities = [direct(rtp(HEVC, first + last, timestamp, ssrc, bytes(max(lengths)), profile=0x4004,
                           words=fec_parity(told or lengths, 8 + n))) for n in range(parity)]
    return sources, parities


@pytest.mark.parametrize("two_pass", [False, True])
def test_fec_lists_are_compared_with_the_source_packets(tshark, make_capture, two_pass):
    right, right_parity = block([30, 41, 33], first=65535, ssrc=1)                  # numbers wrap
    wrong, wrong_parity = block([30, 41, 33], told=[30, 41, 34], ssrc=2)
    late, late_parity = block([30, 41, 33], told=[31, 41, 33], ssrc=3)              # parity came first
    other, _ = block([7, 8, 9], first=200, timestamp=9800, ssrc=2)                  # of the next block
    packets = [*right, *right_parity, *wrong, *other, *wrong_parity, *late_parity, *late]
    said = experts(tshark, make_capture(packets), two_pass=two_pass)
    mismatch = {"fec_list_mismatch"}
    assert said == [set()] * (5 + 6) + [mismatch] * 2 + [set()] * 2 + [mismatch, set(), set()]


def test_an_fec_block_is_compared_up_to_16_packets(tshark, make_capture):
    packets, said = [], []
    for count in (16, 17):
        sources, parities = block([30] * count, told=[29] + [30] * (count - 1), parity=1, ssrc=count)
        packets += [*sources, *parities]
        said += [set()] * count + [{"fec_list_mismatch"} if count == 16 else set()]
    assert experts(tshark, make_capture(packets)) == said


def test_parity_packets_are_no_packets_of_the_stream(tshark, make_capture):
    """They repeat a sequence number: stock's streams would have more packets than were sent."""
    frames = [block([30, 41, 33], first=100 + 3 * n, timestamp=800 * n, parity=2) for n in range(4)]
    capture = make_capture([packet for sources, parities in frames for packet in sources + parities])
    streams = [line for line in tshark.lines(capture, "-q", "-z", "rtp,streams") if f"0x{SSRC:08X}" in line]
    assert len(streams) == 1
    assert re.search(r"HEVC\s+12\s+0 \(0\.0%\)", streams[0])
    parity = [f["rtp.seq"] for f in tshark.rows(capture, "rtp.seq", filter="facetime_rtp.fec.parity == 1")]
    assert parity == [[str(102 + 3 * n)] for n in range(4) for _ in range(2)], "shown all the same"
    lines = tshark.lines(capture)
    assert ["FEC parity" in line for line in lines] == ([False] * 3 + [True] * 2) * 4
    assert all(" SRTP " in line for line in lines)


# ---- frames of a stream ----

class Video:
    """A sender of one-to-one video."""

    def __init__(self, ssrc=SSRC):
        self.ssrc, self.sequence, self.timestamp, self.number = ssrc, 65530, 0xFFFFFF00, 0xFFFE

    def frame(self, count, told=None, skip_numbers=0):
        """The packets of the next frame; told: how many it says they are."""
        self.timestamp = (self.timestamp + 800) & 0xFFFFFFFF
        self.number = (self.number + 1 + skip_numbers) & 0xFFFF
        words = struct.pack("!HH", count if told is None else told, self.number)
        packets = []
        for n in range(count):
            packets.append(direct(rtp(HEVC, self.sequence, self.timestamp, self.ssrc, marker=n == count - 1,
                                      profile=0x8001, words=words)))
            self.sequence = (self.sequence + 1) & 0xFFFF
        return packets


@pytest.mark.parametrize("two_pass", [False, True])
def test_frames_that_add_up_say_nothing(tshark, make_capture, two_pass):
    """Over the wraps of all numbers, with copies, reordering and a frame of 90 packets."""
    video = Video()
    frames = [video.frame(n) for n in (1, 3, 2, 1, 90, 4)]
    packets = [packet for frame in frames for packet in frame]
    copies = [packets[2], packets[0]]
    frames[5][0], frames[5][1] = frames[5][1], frames[5][0]
    packets = [p for frame in frames[:3] for p in frame] + copies + [p for frame in frames[3:] for p in frame]
    assert experts(tshark, make_capture(packets), two_pass=two_pass) == [set()] * len(packets)


def judged_frames():
    """Packets, what is said of each, and add(frame, *said): one more frame, with what is said of its last packets."""
    packets, expected = [], []

    def add(frame, *said):
        packets.extend(frame)
        expected.extend([set()] * (len(frame) - len(said)) + [set(s) for s in said])
    return packets, expected, add


@pytest.mark.parametrize("two_pass", [False, True])
def test_frames_that_do_not_add_up(tshark, make_capture, two_pass):
    video = Video()
    packets, expected, add = judged_frames()

    add(video.frame(2, told=5), [])                             # the first may have begun before the capture
    add(video.frame(3))
    add(video.frame(3)[:1])                                     # lost: its rest, the next one's start
    add(video.frame(2)[1:], ["frame_incomplete"])
    add(video.frame(2, told=3), ["frame_incomplete"])
    add(video.frame(4, told=3), ["frame_incomplete"])
    add(video.frame(1, skip_numbers=2), ["frame_gap"])
    add(video.frame(1))
    add(video.frame(2, told=3, skip_numbers=1), ["frame_gap"], ["frame_incomplete"])
    assert experts(tshark, make_capture(packets), two_pass=two_pass) == expected


# Bytes of a packet of Video's: 12 of header, 4 of the extension's head, 4 of frame information.
@pytest.mark.parametrize("snap", [12, 15, 16, 18, 19, 20, 24])
def test_frames_that_the_capture_cut(tshark, make_capture, snap):
    """A packet whose frame isn't told can't be counted, nor its frame missed: the next frame begins anew."""
    video = Video()
    packets, expected, add = judged_frames()

    def cut(packet):
        return packet._replace(snap=snap)

    add(video.frame(1))
    first, second, third = video.frame(3)
    add([first, cut(second), third])                        # a packet of a frame
    add(video.frame(2))
    add([cut(packet) for packet in video.frame(2)])         # a whole frame
    add(video.frame(2))
    add(video.frame(3))
    add(video.frame(2, told=3), ["frame_incomplete"])
    add(video.frame(1, skip_numbers=1), ["frame_gap"])
    said = experts(tshark, make_capture(packets))
    assert [names - {"cut_short"} for names in said] == expected
    assert sum("cut_short" in names for names in said) == (3 if snap < 20 else 0)


def test_what_the_finding_says(tshark, make_capture):
    video = Video()
    packets = [*video.frame(1), *video.frame(2, told=3), *video.frame(1, skip_numbers=6)]
    text = tshark.text(make_capture(packets), "-V")
    assert "2 packets of the frame up to its marker, 3 announced" in text
    assert "Frame 7 follows frame 0" in text


def test_streams_are_judged_apart(tshark, make_capture):
    one, two = Video(1), Video(2)
    two.number = 100
    frames = [sender.frame(2) for _ in range(3) for sender in (one, two)]
    pairs = [pair for both in zip(frames[0::2], frames[1::2]) for pair in zip(*both)]
    assert experts(tshark, make_capture([packet for pair in pairs for packet in pair])) == [set()] * 12


# ---- the relay's word on a packet ----

def test_stream_id_and_retransmission(tshark, make_capture):
    parity = rtp(HEVC, profile=0x4004, words=fec_parity([10, 12]))
    capture = make_capture([
        relayed(rtp(), "0041 dea2"), relayed(rtp(), "0041 dea3"), relayed(parity, "0041 dea3"),
        relayed(parity, "0041 dea2"), relayed(rtp(ssrc=0x1234FFFF, payload_type=HEVC, profile=0x4004,
                                                  words=fec_parity([1])), "0041 0000"),
        relayed(rtp(sequence=9), "8000 0004"), relayed(rtp(sequence=10)),
    ])
    assert experts(tshark, capture) == [set(), {"stream_mismatch"}, set(), {"stream_mismatch"}, set(),
                                        {"retransmitted"}, set()]


def test_a_cut_hides_which_stream_it_is(tshark, make_capture):
    """The SSRC ends at byte 12; that a packet is parity, and so goes on the next stream, at the FEC header's second
    byte of four."""
    source = rtp(HEVC, profile=0x4004, words=fec_source())
    parity = rtp(HEVC, profile=0x4004, words=fec_parity([10, 12]))
    for whole, stream in ((source, "dea2"), (parity, "dea3"), (rtp(), "dea2")):
        right, wrong = relayed(whole, f"0041 {stream}"), relayed(whole, "0041 1234")
        for datagram, said in ((right, False), (wrong, True)):
            snapped = support.truncations(datagram, snapped=True)[6:]   # behind ChannelData's head and the flags
            told = experts(tshark, make_capture([relayed(rtp()), *snapped]))[1:]
            known = 8 + (12 if whole[0] & 0x10 == 0 else 20)
            assert ["stream_mismatch" in names for names in told] == [said and d.snap >= known for d in snapped]


@pytest.mark.parametrize("length", [54, 66, 70, 78])
def test_real_captures_cut_short_accuse_nobody(tshark, real, length):
    capture = support.stage() / f"cut-{length}.pcapng"
    subprocess.run(["editcap", "-s", str(length), real("facetime-2023-wifi-caller.pcapng"), capture], check=True)
    capture.chmod(0o644)
    rows = experts(tshark, capture, filter="facetime_rtp")
    assert len(rows) > 1400 and "cut_short" in set().union(*rows) <= {"cut_short", "retransmitted"}


def test_a_silence_of_somebody_whom_the_relay_does_not_name(tshark, make_capture):
    heard = [relayed(rtp(sequence=n), "0041 dea2")._replace(time=0.1 * n) for n in range(3)]
    silent = [Datagram(*RELAY, *PHONE, relayed(rtp(sequence=n, ssrc=9), "0041 0009").payload, time=time)
              for n, time in enumerate((1, 7))]
    capture = make_capture([*heard, *silent])
    text = [line.strip() for line in tshark.lines(capture, "-V") if "No media" in line]
    assert text and all("No media from the peer for 6.0 s, since frame 4" in line for line in text)
    assert tshark.frames(capture, 'facetime.event == "media_gap"') == [5]


# ---- key ids ----

def test_key_id(tshark, make_capture):
    """A v4 UUID and a zero word, or nothing is cut from the payload."""
    version_1 = uuid.UUID("8223ac97-8cc7-188d-a6ea-86b60e6b56c5").bytes
    variant = uuid.UUID("8223ac97-8cc7-488d-26ea-86b60e6b78e7").bytes
    payload = bytes(range(30))
    ends = [MKI + bytes(4), version_1 + bytes(4), variant + bytes(4), MKI + b"\0\0\0\1",
            b"\0\x20" + bytes(4), b""]
    capture = make_capture([PROOF, *(direct(rtp(sequence=2 + n, payload=payload + end, mki=b""))
                                     for n, end in enumerate(ends))])
    rows = tshark.rows(capture, "facetime_rtp.mki", "srtp.enc_payload")[1:]
    assert [row["facetime_rtp.mki"] for row in rows] == [[str(uuid.UUID(bytes=MKI))], [], [], [], [], []]
    assert [row["srtp.enc_payload"][0] for row in rows] == [
        payload.hex(), *((payload + end).hex() for end in ends[1:])]
    assert experts(tshark, capture)[1:] == [set(), *[{"no_key_id"}] * 5]


def test_legacy_media_has_no_key_id(tshark, make_capture):
    capture = make_capture([legacy(rtp(profile=0x4400, words=bytes(8), mki=b"")),
                            legacy(rtp(sequence=2))])
    assert [row["facetime_rtp.mki"] for row in tshark.rows(capture, "facetime_rtp.mki")] == [[], []]
    assert experts(tshark, capture) == [set(), set()]


def test_legacy_extension(tshark, make_capture):
    words = bytes.fromhex("28f4dead00000000")
    capture = make_capture([
        legacy(rtp(profile=0x4400, words=words, mki=b"")),
        legacy(rtp(H263, profile=0x4400, words=words, mki=b"")),
        legacy(rtp(profile=0x4400, words=words + words, mki=b"")),
        legacy(rtp(profile=0x8100, words=bytes(12), mki=b"")),
    ])
    rows = tshark.rows(capture, "facetime_rtp.ext.control_info", "facetime_rtp.ext.unparsed",
                       "facetime.generation", "facetime_rtp.codec")
    assert [row["facetime_rtp.ext.control_info"] for row in rows] == [[words.hex()], [words.hex()], [], []]
    assert [row["facetime_rtp.ext.unparsed"] for row in rows] == [
        [], [], [(words + words).hex()], [bytes(12).hex()]]
    assert [row["facetime.generation"] for row in rows] == [["1"]] * 4
    assert [row["facetime_rtp.codec"] for row in rows] == [["AAC-ELD"], ["H263"], ["AAC-ELD"], ["AAC-ELD"]]
    assert experts(tshark, capture) == [set(), set(), {"unknown_extension"}, {"unknown_extension"}]


# ---- damage ----

# What holds most: CSRCs, and an extension with an FEC list; and an audio packet.
WHOLE = [
    rtp(HEVC, 7, profile=0x800F, csrcs=(1, 2),
        words=struct.pack("!IHH", 3, 1, 4) + fec_parity([9, 8, 7]) + bytes(4)),
    rtp(AAC_ELD, 7, profile=0x8700, words=bytes(20)),
]
EXTENSION = {0: (20, 20 + 4 + 24), 1: (12, 12 + 4 + 20)}    # where it begins and ends


@pytest.mark.parametrize("which", EXTENSION)
@pytest.mark.parametrize("snapped", [False, True], ids=["sent", "snapped"])
def test_each_truncation_is_told(tshark, make_capture, which, snapped):
    """By name, in front of the payload; nothing before the cut is lost. Less than four bytes aren't RTP."""
    cuts = [d for d in support.truncations(direct(WHOLE[which]), snapped)][3:]
    capture = make_capture([PROOF, *cuts])
    said = experts(tshark, capture)[1:]
    begin, end = EXTENSION[which]
    for length, names in enumerate(said, 4):
        if length >= end:
            cause = set() if snapped or length == len(WHOLE[which]) else {"no_key_id"}
        elif snapped:
            cause = {"cut_short"}
        else:
            cause = {"short_header"} if length < begin + 4 else {"bad_extension_length"}
        assert names == cause, f"{length} bytes"
    rows = tshark.rows(capture, "rtp.ssrc", "facetime_rtp.ext.version", "facetime_rtp.codec")[1:]
    for length, row in enumerate(rows, 4):
        assert bool(row["rtp.ssrc"]) == (length >= 12), f"{length} bytes"
        assert bool(row["facetime_rtp.codec"]) == (length >= 12), f"{length} bytes"
        assert bool(row["facetime_rtp.ext.version"]) == (length >= begin + 4), f"{length} bytes"


@pytest.mark.parametrize("snapped", [False, True], ids=["sent", "snapped"])
def test_fields_before_a_cut_are_shown(tshark, make_capture, snapped):
    cuts = support.truncations(direct(WHOLE[0]), snapped)[11:]
    told = numbers(tshark, make_capture([PROOF, *cuts]), "facetime_rtp.video", VIDEO)[1:]
    begin = EXTENSION[0][0] + 4
    for length, fields in enumerate(told, 12):
        room = length - begin
        ends = {"ltr_timestamp": 4, "packets_in_frame": 6, "frame_sequence": 8, "probe": 24}
        assert set(fields) == {name for name, end in ends.items() if room >= end}, f"{length} bytes"


def test_lengths_that_lie(tshark, make_capture):
    capture = make_capture([
        PROOF,
        direct(rtp(HEVC, profile=0x8008, words=bytes(4), extension_words=0xFFFF)),
        direct(rtp(HEVC, profile=0x8008, words=bytes(4), extension_words=17)),
        direct(b"\x9f\x64" + bytes(10) + bytes(8)),             # 15 CSRCs
        direct(b"\xbf\xff" + b"\xff" * 200),                    # all bits set
        direct(b"\xa0\x68" + bytes(10) + b"\0" * 4),            # padding of no bytes
        direct(b"\xa0\x68" + bytes(10) + b"\xff" * 4),          # padding of more than there is
    ])
    assert experts(tshark, capture)[1:] == [
        {"bad_extension_length"}, {"bad_extension_length"}, {"short_header"},
        {"bad_extension_length", "unknown_extension"}, {"no_key_id"}, {"no_key_id"}]
    assert tshark.count(capture, "rtp") == 7


def chained(*bodies):
    """Packets in one datagram, each behind a count of no streams, and but for the last its length."""
    middle = b"".join(b"\x00" + struct.pack("!H", len(body)) + body for body in bodies[1:-1])
    return relayed(bodies[0] + middle + b"\x00" + bodies[-1], f"0080 {len(bodies[0]):04x}")


@pytest.mark.parametrize("two_pass", [False, True])
def test_chained_packets_have_their_own_findings(tshark, make_capture, two_pass):
    """What is found in one packet of a datagram isn't shown at the other."""
    video = Video()
    frames = [video.frame(1), video.frame(2, told=3), video.frame(1, skip_numbers=4), video.frame(1)]
    bodies = [packet.payload for frame in frames for packet in frame]
    capture = make_capture([relayed(bodies[0]), chained(*bodies[1:3]), chained(*bodies[3:5])])
    found = [[{name for name in EXPERTS if layer.find(f".//field[@name='facetime_rtp.{name}']") is not None}
              for layer in packet.iterfind("proto[@name='facetime_rtp']")]
             for packet in tshark.pdml(capture, two_pass=two_pass)]
    assert found == [[set()], [set(), {"frame_incomplete"}], [{"frame_gap"}, set()]]


# ---- trailers of 2026 ----

NAMED = bytes.fromhex("0010 6eeaba8a 00 8cbed8c9 0000000000")


def tagged(sequence, mki=0x0010, payload_type=AAC_ELD, ssrc=SSRC, rollover=3, profile=0x8100, tag=None):
    """One-to-one RTP: a roll-over counter in one packet of 128, then the tag: 4 bytes, of video 10."""
    tag = bytes(range(0xA0, 0xA0 + (10 if payload_type == HEVC else 4))) if tag is None else tag
    words = bytes(12) if profile == 0x8100 else b""
    counter = struct.pack("!I", rollover) if sequence & 0x7F == 0 else b""
    return rtp(payload_type, sequence, 480 * sequence, ssrc, mki=b"", profile=profile, words=words) + \
        struct.pack("!H", mki) + counter + tag


def grouped(sequence, mki=0x0010, ssrc=SSRC, payload_type=AAC_ELD):
    return rtp(payload_type, sequence, 480 * sequence, ssrc, mki=b"") + struct.pack("!HI", mki, 0x20)


TRAILER = tuple(f"facetime_rtp.{name}" for name in ("short_mki", "rollover", "auth_tag", "mki", "mki.participant"))


def trailers(tshark, capture, **how):
    return [tuple(",".join(row[name]) for name in TRAILER) for row in tshark.rows(capture, *TRAILER, **how)]


@pytest.mark.parametrize("two_pass", [False, True])
def test_trailers_of_both_generations(tshark, make_capture, two_pass):
    capture = make_capture([
        PROOF, direct(tagged(1)), direct(tagged(128)), direct(tagged(65408, rollover=0xFFFFFFFF)),
        direct(tagged(2, payload_type=HEVC, profile=0x8000)), direct(tagged(0, payload_type=HEVC, profile=0x8000)),
        relayed(grouped(5), f"0041 {SSRC & 0xFFFF:04x}"), direct(rtp(sequence=9, mki=NAMED))])
    audio, video = "a0a1a2a3", "a0a1a2a3a4a5a6a7a8a9"
    assert trailers(tshark, capture, two_pass=two_pass)[1:] == [
        ("0x0010", "", audio, "", ""), ("0x0010", "3", audio, "", ""), ("0x0010", "4294967295", audio, "", ""),
        ("0x0010", "", video, "", ""), ("0x0010", "3", video, "", ""), ("0x0010", "", "", "", ""),
        ("", "", "", "00106eea-ba8a-008c-bed8-c90000000000", "6eeaba8a8cbed8c9")]
    lengths = [len(row["srtp.enc_payload"][0]) // 2 for row in tshark.rows(capture, "srtp.enc_payload")]
    assert lengths == [40] * 8      # what stock takes for the payload ends before the trailer


@pytest.mark.parametrize("two_pass", [False, True])
def test_ratchets(tshark, make_capture, two_pass):
    """A sender goes on with another key: told once, and not of a packet that was overtaken."""
    bodies = [tagged(1), tagged(2), tagged(4, 0x0011), tagged(3, 0x0010), tagged(5, 0x0011), tagged(6, 0x0020),
              tagged(7, 0x0020), tagged(8, 0x0010, ssrc=5)]
    capture = make_capture([PROOF, *map(direct, bodies)])
    assert tshark.frames(capture, "facetime_rtp.ratchet_changed", two_pass=two_pass) == [4, 7]
    assert tshark.values(capture, "facetime_rtp.short_mki") == \
        ["0x0010", "0x0010", "0x0011", "0x0010", "0x0011", "0x0020", "0x0020", "0x0010"]
    fields = ("facetime_rtp.short_mki.roll", "facetime_rtp.short_mki.ratchet")
    assert [tshark.values(capture, name)[5] for name in fields] == ["2", "0"]


@pytest.mark.parametrize("two_pass", [False, True])
def test_what_only_a_second_packet_bears_out(tshark, make_capture, two_pass):
    """A key that has rolled often looks like nothing, until the sender shows it again."""
    bodies = [tagged(1, 0x7770), tagged(2, 0x7770), tagged(3, 0x1234), tagged(4, 0x7771), tagged(1, 0x4321, ssrc=7)]
    capture = make_capture([PROOF, *map(direct, bodies)])
    assert [mki for mki, *_ in trailers(tshark, capture, two_pass=two_pass)][1:] == \
        ["", "0x7770", "", "0x7771", ""]


def test_no_tag_in_a_stream_of_a_group(tshark, make_capture):
    capture = make_capture([PROOF, direct(tagged(1)), relayed(tagged(1), f"0041 {SSRC & 0xFFFF:04x}")])
    assert trailers(tshark, capture)[1][0] == "0x0010"
    assert experts(tshark, make_capture([relayed(grouped(n), f"0041 {SSRC & 0xFFFF:04x}") for n in (1, 2)] +
                                        [relayed(tagged(3), f"0041 {SSRC & 0xFFFF:04x}")])) == \
        [set(), set(), {"no_key_id"}]


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize("wrap", [direct, relayed], ids=["direct", "relay"])
def test_tagged_media_prove_a_flow_together(tshark, make_capture, wrap, two_pass):
    """From the third on, of whichever of the sender's streams; not where their key ids differ."""
    bodies = [tagged(1), tagged(9, payload_type=HEVC, ssrc=5, profile=0x8000), tagged(2), tagged(3)]
    assert tshark.frames(make_capture([wrap(b) for b in bodies]), "facetime_rtp", two_pass=two_pass) == [3, 4]
    differ = [tagged(n, 0x0010 + n % 2, ssrc=n) for n in range(1, 7)]
    assert tshark.frames(make_capture([wrap(b) for b in differ]), "facetime_rtp", two_pass=two_pass) == []


# ---- RTCP of Apple's media stack ----

def app(name, body, ssrc=SSRC):
    return struct.pack("!BBHI", 0x80, 204, 2 + len(body) // 4, ssrc) + name + body


RCTL = app(b"RCTL", struct.pack("!IHIHHHHH", 0x85000004, 291, 0, 7, 19035, 0, 345, 60000))
LTR = app(bytes.fromhex("00000005"), bytes.fromhex("12345678"))
GOODBYE = struct.pack("!BBHI", 0x81, 203, 1, SSRC)


@pytest.mark.parametrize("wire, expected", [(RCTL, (1, 0)), (LTR, (0, 1)), (LTR + RCTL + GOODBYE, (1, 1)),
                                            (GOODBYE + LTR, (0, 1)), (RCTL + LTR + LTR, (1, 2))])
def test_rtcp_of_apples_stack(tshark, make_capture, wire, expected):
    """Decoded, wherever in a compound packet, and no error is called where there is none."""
    capture = make_capture([PROOF, direct(wire)])
    row = tshark.rows(capture, "facetime_rtcp.rctl.target", "facetime_rtcp.ltr.timestamp",
                      "facetime_rtcp.rctl.media_time", "facetime_rtcp.rctl.received", "rtcp.pt")[1]
    assert row["facetime_rtcp.rctl.target"] == ["6000000"] * expected[0]
    assert row["facetime_rtcp.ltr.timestamp"] == [str(0x12345678)] * expected[1]
    assert row["facetime_rtcp.rctl.media_time"] == ["291"] * expected[0]
    assert row["facetime_rtcp.rctl.received"] == ["345"] * expected[0]
    assert len(row["rtcp.pt"]) == sum(expected) + wire.count(GOODBYE)
    assert tshark.count(capture, "frame.number == 2 && _ws.expert.severity >= 0x600000 && facetime_rtcp") == 0


def test_other_app_packets(tshark, make_capture):
    """Of another name: stock's alone. Of a known name, but another length, subtype or head, or cut: said, nothing is read of
    it, and its name is no error."""
    beyond = LTR[:3] + b"\x09" + LTR[4:]
    forms = [app(b"RCTL", bytes(20)), RCTL[:-4], b"\x83" + RCTL[1:], app(bytes.fromhex("00000005"), bytes(8)), beyond, LTR[:12]]
    capture = make_capture([PROOF, direct(app(b"QRST", bytes(20))), *map(direct, forms), direct(GOODBYE + LTR, snap=18),
                            direct(GOODBYE + LTR, snap=22)])
    assert tshark.frames(capture, "facetime_rtcp.unknown_form") == [3, 4, 5, 6, 7, 8, 10] == tshark.frames(capture, "facetime_rtcp")
    assert tshark.frames(capture, "facetime_rtcp.rctl.target || facetime_rtcp.ltr.timestamp") == []
    assert tshark.frames(capture, 'rtcp && frame.number != 4 && _ws.expert.severity >= 0x600000') == []   # 4 lies of its length
    assert tshark.count(capture, "rtcp") == 9


# ---- proof: media without signalling ----

def bare(payload_type=AAC_ELD, count=4, step=480, first=7, ssrc=SSRC, ends=(ONE, TWO), increment=1):
    """Packets of 20 ms, in time."""
    packets = [rtp(payload_type, first + n * increment, 1000 + n * step, ssrc, mki=b"") for n in range(count)]
    return [Datagram(*ends[0], *ends[1], packet, n / 50) for n, packet in enumerate(packets)]


def test_both_audio_codecs_agree_with_each_other(tshark, make_capture):
    """One SSRC changes between 104 and 119, as in 2015; where sound pauses, the step is of more frames."""
    packets = bare(count=3) + [Datagram(*ONE, *TWO, rtp(119, 10, 1000 + 5 * 480, mki=b""), 0.1)]
    assert tshark.frames(make_capture(packets), "facetime_rtp") == [4]
    assert tshark.frames(make_capture(bare(119)), "facetime_rtp") == [4]


@pytest.mark.parametrize("two_pass", [False, True])
def test_agreeing_packets_are_claimed_from_the_fourth_on(tshark, make_capture, two_pass):
    answer = bare(first=900, ssrc=5, ends=(TWO, ONE), count=1)
    capture = make_capture(bare(count=5) + answer)
    assert tshark.frames(capture, "facetime_rtp", two_pass=two_pass) == [4, 5, 6]
    assert tshark.frames(capture, 'facetime.generation == "legacy"', two_pass=two_pass) == [4, 5, 6]


@pytest.mark.parametrize("packets", [
    bare(count=3),
    bare(step=160, count=40),
    bare(step=960, count=40),
    bare(step=240, count=40),
    bare(step=0, count=40),
    bare(increment=2, count=40),
    bare(payload_type=0, count=40), bare(payload_type=101, count=40), bare(payload_type=18, count=40),
    bare(count=40, ends=(ONE, ("192.0.2.20", 16404))),
    bare(count=40, ends=(("192.0.2.10", 16384), ("192.0.2.20", 16386))),
    [packet for n in range(20) for packet in bare(count=1, first=n, ssrc=n)],
    [packet for n in range(20) for packet in bare(count=2, first=10 * n)],
], ids=["three", "step-160", "step-960", "step-240", "step-0", "gaps", "pcmu", "type-101", "g729", "port-16404",
        "ports-16384", "ssrcs", "pairs"])
def test_other_media_on_these_ports_is_left_alone(tshark, make_capture, packets):
    assert tshark.count(make_capture(packets), "facetime || facetime_rtp") == 0


def stalled(step, milliseconds, after, stall, ends=(ONE, TWO), wrap=lambda packet: packet):
    """Packets of another clock; those after a stall come at once, until the flow has caught up."""
    times = [n * milliseconds / 1000 for n in range(40)]
    times = [max(time, times[after] + stall) if n >= after else time for n, time in enumerate(times)]
    return [Datagram(*ends[0], *ends[1], wrap(rtp(AAC_ELD, 7 + n, 1000 + n * step, SSRC, mki=b"")), time)
            for n, time in enumerate(times)]


def test_no_stall_makes_another_clock_facetimes(tshark, make_capture):
    """48 kHz at 20 and 10 ms, 16 kHz at 30 ms, 32 kHz: a delay may bring one packet to the time of 24 kHz."""
    frames, channel = [], lambda packet: struct.pack("!HH", 0x4001, len(packet)) + packet
    cases = [(clock, after, stall) for clock in ((960, 20), (480, 10), (480, 30), (960, 30))
             for after in (0, 3, 5, 8) for stall in (0.03, 0.06, 0.1, 0.15, 0.2)]
    for n, (clock, after, stall) in enumerate(cases):
        here = (f"192.0.3.{n + 1}", 16402)
        frames += stalled(*clock, after, stall, (here, TWO))
        frames += stalled(*clock, after, stall, ((here[0], 40123), ("198.51.100.7", 3478)), channel)
    capture = make_capture(sorted(frames, key=lambda frame: frame.time))
    assert tshark.count(capture, "facetime || facetime_rtp || gkstun") == 0


def test_facetimes_clock_is_told_where_packets_come_unevenly(tshark, make_capture):
    """Each by up to 15 ms late: the time of many tells."""
    packets = [packet._replace(time=packet.time + (0, 0.015, 0.002, 0.013)[n * 7 % 4] * (n > 0))
               for n, packet in enumerate(bare(count=200))]
    named = tshark.frames(make_capture(packets), "facetime_rtp")
    assert 4 <= named[0] <= 110 and named == list(range(named[0], 201))


def test_flows_are_judged_apart(tshark, make_capture):
    """Packets of different 5-tuples don't agree with each other."""
    others = [("192.0.2.30", 16393 + n) for n in range(4)]
    packets = [bare(count=1, first=7 + n, ends=(ONE, other))[0] for n, other in enumerate(others)]
    assert tshark.count(make_capture(packets), "facetime") == 0


@pytest.mark.parametrize("two_pass", [False, True])
def test_one_packet_proves_itself(tshark, make_capture, two_pass):
    """By the legacy extension, or by a key id, on any port: a NAT may have mapped it."""
    words = bytes.fromhex("28f4dead00000000")
    mark = {"profile": 0x4400, "words": words, "mki": b""}
    somewhere, elsewhere = ("192.0.2.30", 40000), ("192.0.2.40", 5004)
    proven = [legacy(rtp(**mark)), Datagram(*PEER, "10.0.0.9", 16394, rtp(HEVC)), direct(rtp()),
              Datagram("192.0.2.16", 40001, *elsewhere, rtp(**mark)), Datagram(*somewhere, *elsewhere, rtp())]
    not_proven = [
        Datagram("192.0.2.11", 16402, *TWO, rtp(**mark | {"profile": 0x4401})),
        Datagram("192.0.2.12", 16402, *TWO, rtp(**mark | {"words": words + words})),
        Datagram("192.0.2.13", 16402, *TWO, rtp(payload_type=96, **mark)),      # no type of FaceTime's
        Datagram("192.0.2.17", 16402, *TWO, rtp(**mark | {"words": bytes(4) + words[:4]})),
        Datagram("192.0.2.14", 16402, *elsewhere, rtp(payload_type=96)),
        Datagram("192.0.2.15", 16402, *elsewhere, rtp(mki=bytes(16))),          # all zeros are no UUID
    ]
    capture = make_capture(proven + not_proven)
    assert tshark.frames(capture, "facetime", two_pass=two_pass) == [1, 2, 3, 4, 5]
    rows = tshark.rows(capture, "facetime.generation", "facetime.path", filter="facetime", two_pass=two_pass)
    assert [(row["facetime.generation"], row["facetime.path"]) for row in rows] == [
        (["1"], ["2"]), (["2"], ["2"]), (["2"], ["2"]), (["1"], ["2"]), (["2"], ["2"])]


def test_preference_turns_bare_media_off(tshark, make_capture):
    marked = legacy(rtp(profile=0x4400, words=bytes(8), mki=b""))
    capture = make_capture([*bare(count=9), marked, direct(rtp())])
    assert tshark.count(capture, "facetime", prefs={"facetime.media_without_signalling": False}) == 0
    assert tshark.count(capture, "facetime", prefs={"facetime.media_without_signalling": True}) == 8


# ---- stock's set-up ----

def test_media_is_set_up_at_its_sdp(tshark):
    """Relayed and direct, RTP and RTCP; the SDP's own addresses lie behind NATs."""
    capture = support.TEST_CAPTURES / "facetime-caller.pcapng"
    answer = tshark.frames(capture, "sdp && sip.Status-Code == 200")
    assert len(answer) == 1
    rows = tshark.rows(capture, "rtp.setup-frame", "rtp.setup-method", "facetime.media_setup_frame",
                       "facetime.path", filter="rtp")
    assert {(*row["rtp.setup-frame"], *row["rtp.setup-method"], *row["facetime.media_setup_frame"])
            for row in rows} == {(str(answer[0]), "SDP", str(answer[0]))}
    assert {row["facetime.path"][0] for row in rows} == {"1", "2"}
    reports = tshark.rows(capture, "rtcp.setup-frame", "facetime.media_setup_frame", filter="rtcp")
    assert reports
    assert {(*set(row["rtcp.setup-frame"]), *row["facetime.media_setup_frame"]) for row in reports} == {
        (str(answer[0]), str(answer[0]))}


def test_no_bare_packet_is_set_up_by_stock_alone(tshark, make_capture):
    """Proven by the fourth; Wireshark 4.0 would say "DECODE AS", and only on the second pass."""
    capture = make_capture([*bare(count=6), direct(rtp()), direct(rtp(sequence=2))])
    for two_pass in (False, True):
        rows = tshark.rows(capture, "rtp.setup-frame", "rtp.setup-method", filter="rtp", two_pass=two_pass)
        assert [(*row["rtp.setup-frame"], *row["rtp.setup-method"]) for row in rows] == [
            ("4", "FaceTime")] * 5


@pytest.mark.parametrize("two_pass", [False, True])
def test_rtcp_before_rtp_is_set_up_too(tshark, make_capture, two_pass):
    one, two = (struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, 1 << 32, 0, 1, 40) for ssrc in (SSRC, 2))
    capture = make_capture([legacy(rtp(profile=0x4400, words=bytes(8), mki=b"")), legacy(one),
                            Datagram(*PEER, *PHONE, rtp(ssrc=2)), Datagram(*PHONE, *PEER, two)])
    rows = tshark.rows(capture, "rtcp.setup-frame", "rtcp.pt", "facetime.kind", filter="rtcp",
                       two_pass=two_pass)
    assert [(row["rtcp.pt"], row["facetime.kind"], row["rtcp.setup-frame"]) for row in rows] == [
        (["200"], ["5"], ["1"]), (["200"], ["5"], ["3"])]


def test_stream_numbers_of_udp_are_stocks(tshark, stock, make_capture):
    """Many flows to one end with the same ports: each stays a stream of its own, on both passes."""
    packets = [Datagram(f"192.0.2.{n}", 16403, "192.0.2.200", 16403,
                        rtp(profile=0x4400, words=bytes(8), mki=b"", ssrc=n)) for n in range(1, 30)]
    capture = make_capture(packets)
    expected = stock.values(capture, "udp.stream")
    assert tshark.values(capture, "udp.stream") == expected == [str(n) for n in range(29)]
    assert tshark.values(capture, "udp.stream", two_pass=True) == expected


# ---- the real captures ----

def test_real_packets_in_frame_add_up(tshark, real):
    """1402 frames; the one that the relay sent the missing packet of again is told at its marker."""
    found = {name: tshark.frames(real(f"facetime-2023-{name}.pcapng"), "facetime_rtp.frame_incomplete")
             for name in ("cellular", "wifi-caller")}
    assert found == {"cellular": [2948], "wifi-caller": []}
    again = real("facetime-2023-cellular.pcapng")
    assert tshark.frames(again, "facetime_rtp.retransmitted") == [2979]
    assert tshark.values(again, "rtp.seq", filter="frame.number == 2979") == ["56814"]


@pytest.mark.parametrize("name", ["cellular", "wifi-caller"])
def test_real_packets_have_no_other_complaint(tshark, real, name):
    said = experts(tshark, real(f"facetime-2023-{name}.pcapng"), filter="facetime_rtp")
    assert set().union(*said) <= {"frame_incomplete", "retransmitted"}


def test_real_counts(tshark, real):
    kinds = {name: tshark.values(real(name), "rtp.p_type", filter="rtp") for name in
             ("facetime-2023-cellular.pcapng", "facetime-2023-wifi-caller.pcapng", "ixia-facetime-rtp.pcap")}
    assert [len(values) for values in kinds.values()] == [2501, 1488, 6000]
    assert kinds["ixia-facetime-rtp.pcap"].count("104") == 5697
    assert kinds["ixia-facetime-rtp.pcap"].count("34") == 303


def test_a_generators_ssrc_is_nobodys(tshark, real):
    """6,000 pairs of hosts, a packet each, few SSRCs: nobody has moved."""
    told = tshark.values(real("ixia-facetime-rtp.pcap"), "facetime.event")
    assert {name for names in told for name in names.split(",")} == {"call_started", "first_media"}


def test_real_key_ids(tshark, real):
    for name, count in (("cellular", 2501), ("wifi-caller", 1488)):
        values = tshark.values(real(f"facetime-2023-{name}.pcapng"), "facetime_rtp.mki")
        ids = [uuid.UUID(value) for value in values]
        assert len(ids) == count
        assert {value.version for value in ids} == {4}
        assert len(set(ids)) == 2, "two senders"


# SSRC: packets, lost, of the Wi-Fi capture. Counted apart from the plugin: distinct sequence numbers, and
# what is missing between the first and the last.
WIFI_STREAMS = {
    0xE459D6DA: (354, 0), 0x20E86062: (98, 0), 0x8CD623A8: (256, 0), 0xCE7B44BF: (150, 0),
    0x7897DEA2: (25, 0), 0xC5F54B1B: (145, 0), 0x78ED69CD: (214, 0), 0x04BD365A: (13, 0),
    0x84B74CF9: (67, 0), 0x176BABD0: (6, 2),
    0x8F272F4F: (16, 0), 0x5BB2FA12: (57, 0), 0xADA4493F: (66, 0),
}


def test_real_rtp_streams(tshark, real):
    text = tshark.text(real("facetime-2023-wifi-caller.pcapng"), "-q", "-z", "rtp,streams")
    streams = {}
    for line in text.splitlines():
        found = re.search(r"(0x[0-9A-F]{8})\s+\S.*?\s(\d+)\s+(-?\d+) \(", line)
        if found:
            assert int(found[1], 16) not in streams, "one stream for each SSRC"
            streams[int(found[1], 16)] = int(found[2]), int(found[3])
    assert streams == WIFI_STREAMS


def test_bandwidth_has_its_unit(make_capture, tshark):
    """100 bit/s (published, modern-2026 4): 10,000 of them are a million, in the item's text."""
    words = padded(bytes.fromhex(ALWAYS[0] + PARTS[1][1]))
    text = tshark.text(make_capture([direct(rtp(profile=0x8407, words=words))]), "-V")
    assert "10000 (1000000 bit/s)" in text
