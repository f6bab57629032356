# SPDX-License-Identifier: GPL-2.0-or-later
"""FaceTime since about 2019: relay header, link and control messages, RTP as it is there, baseband reports.

    ChannelData  6000 length(2) flags1 flags2 [fields that the flags announce, in the order of ORDER] body
    link         command(2) length of TLVs(2) zero(16) { type(2) length(2) value } ..., last an HMAC
    control      40 0f key-id(8) counter(1) ciphertext
    RTP          header [extension] payload MKI(16) 00000000

and of 2026 (published, seen in five datagrams):

    chain        ChannelData with a relay header, its body, { head [priority(1)] [length(2)] body } ...; the head of
                 another packet is a relay header again, stream(2), or count(1) and as many secondary streams
    RTP          in a group: ... MKI(2) 00000020; one-to-one: ... MKI(2) [roll-over counter(4)] tag(4 audio, 10 video)
    MKI          roll and ratchet(2) participant(4) 00 participant(4) 0000000000, its first two bytes, or as a control
                 message's key id its first eight
"""

import struct
import uuid

from . import Wire, truth_of
from .packets import ip_bytes, is_ipv6
from .rtp import rtp as plain_rtp

CHANNEL = 0x6000

# --- relay header -------------------------------------------------------------------------------

# attributes of the packet, in the u16 that flags1 0x80 announces
ATTR_HBH, ATTR_STATE, ATTR_RETRANSMITTED, ATTR_10, ATTR_LINK_MESSAGE = 0x01, 0x02, 0x04, 0x10, 0x20

# keyword: (flags byte, bit, struct format or None for a bare bit)
FLAGS = {
    "attr": (1, 0x80, "H"), "links": (1, 0x40, "list"), "link": (1, 0x20, "H"), "bit10": (1, 0x10, None),
    "transition": (1, 0x08, None), "stats": (1, 0x04, "6H"), "counter": (1, 0x02, "H"),
    "opt_out": (1, 0x01, None),
    "length": (2, 0x80, "H"), "count": (2, 0x40, None), "version": (2, 0x20, "B"), "probe": (2, 0x10, "H"),
    "priority": (2, 0x08, "B"), "participant": (2, 0x04, "8s"), "streams": (2, 0x02, "list"),
    "stream": (2, 0x01, "H"),
}
ORDER = ("attr", "stream", "streams", "participant", "base_stream", "priority", "transition_count", "probe", "version",
         "length", "counter", "stats", "link", "links", "state", "transition_streams")
NAMES = {"attr": "attr", "stream": "stream", "streams": "secondary_stream", "participant": "participant",
         "base_stream": "base_stream", "priority": "priority", "transition_count": "transition_stream.count",
         "probe": "probe_group", "version": "session_version", "length": "packet_length", "counter": "counter",
         "link": "link", "links": "secondary_link", "state": "state", "transition_streams": "transition_stream"}
# what 2026 makes of bits that mean otherwise in 2023: a priority's bit without its byte (where there is no stream), a
# count of the streams behind the header in the priority's place
BITS_2026 = {"no_priority": (2, 0x08), "transition_count": (2, 0x08), "transition_streams": (1, 0x08)}
STATS = ("echoed_counter", "clock", "hold", "received", "sent", "bandwidth")


def _encode(name, value):
    if name in ("links", "streams"):
        return struct.pack(f"!B{len(value)}H", len(value), *value)
    if name == "stats":
        return struct.pack("!6H", *value)
    if name == "transition_streams":
        return struct.pack(f"!{len(value)}H", *value)
    kind = {"base_stream": "H", "state": "B", "transition_count": "B"}.get(name) or FLAGS[name][2]
    return struct.pack("!" + kind, value)


def _shown(name, value):
    """{display-filter name: values} of a field of the header."""
    if name == "stats":
        return {f"quickrelay.stats.{key}": [v] for key, v in zip(STATS, value)}
    value = value.hex() if isinstance(value, bytes) else value
    return {"quickrelay." + NAMES[name]: value if isinstance(value, list) else [value]}


def _header(given):
    """(bytes, fields) from the flags on, of what relay() is given."""
    flags = [0, 0]
    for name in given:
        which, bit, *_ = FLAGS.get(name) or BITS_2026.get(name) or (1, 0)
        flags[which - 1] |= bit
    if "stats" in given:
        flags[0] |= FLAGS["counter"][1]
    header, fields = bytes(flags), {"quickrelay.flags1": [flags[0]], "quickrelay.flags2": [flags[1]]}
    for name in ORDER:
        if name in given:
            header += _encode(name, given[name])
            fields.update(_shown(name, given[name]))
    return header, fields


def relay(body, channel=CHANNEL, generation="modern", **given):
    """ChannelData with a relay header before `body`. Keywords: FLAGS, BITS_2026, base_stream, state.

    A bare bit is given as True. Statistics set the counter's bit too, as all real ones do.
    """
    header, fields = _header(given)
    content = header + body
    inner = truth_of(body)
    return Wire(struct.pack("!HH", channel, len(content)) + content,
                **{"kind": "quickrelay", **inner, "generation": generation, "channel": channel,
                   "fields": {"quickrelay.channel": [channel], "quickrelay.length": [len(content)], **fields,
                              **inner.get("fields", {})}, "link": given.get("link")})


# --- several packets in a datagram ----------------------------------------------------------------

def full_head(own_priority=None, **given):
    """A further packet's head with flags again; own_priority: the byte that no bit of it announces."""
    return *_header(given), own_priority


def stream_head(stream, own_priority=None):
    return struct.pack("!H", stream), _shown("stream", stream), own_priority


def count_head(streams, own_priority=None):
    """Secondary streams alone, fewer than 16."""
    return _encode("streams", streams), _shown("streams", streams), own_priority


def _element(body, fields, index):
    inner = truth_of(body)
    return {**inner, "fields": {"quickrelay.chain": [index], **fields, **inner.get("fields", {})}}


def chain(body, *others, channel=CHANNEL, **given):
    """A datagram of several packets: `body` behind the header that is given, then `others`, each a body and its head.

    The truth has `elements`, one a packet; the datagram is RTP if one of them is, else what the first is.
    """
    header, fields = _header({**given, "length": len(body)})
    content, elements = header + body, [_element(body, fields, 0)]
    for index, (other, (head, fields, priority)) in enumerate(others, 1):
        if priority is not None:
            head, fields = head + bytes([priority]), {**fields, **_shown("priority", priority)}
        if index < len(others):
            head, fields = head + struct.pack("!H", len(other)), {**fields, **_shown("length", len(other))}
        content += head + other
        elements.append(_element(other, fields, index))
    elements[0]["fields"].update({"quickrelay.channel": [channel], "quickrelay.length": [len(content)]})
    media = [element for element in elements if element["kind"] == "rtp"]
    told = (media or elements)[0]
    return Wire(struct.pack("!HH", channel, len(content)) + content, generation="modern", channel=channel,
                kind=told["kind"], elements=elements, **({"rtp": told["rtp"]} if media else {}))


# --- link messages ------------------------------------------------------------------------------

CONNECTION_DATA, INTERFACE_INFO, LINK_PROBE, LINK_KEEPALIVE = 0x0004, 0x0006, 0x0005, 0x0003
ACK = 0x8000
TLV_COUNTER, TLV_CONNECTION, TLV_ACCEPT_DELAY, TLV_HMAC, TLV_RTT = 0x01, 0x03, 0x07, 0x09, 0x0A
TLV_CAPABILITY, TLV_INTERFACES, TLV_KEYS = 0x0C, 0x15, 0x16
WIFI, CELLULAR = 0, 5
HOST, REFLEXIVE = 0, 1


def connection_data(places):
    """TLV 0x03. places: (kind, (address, port), radio)."""
    ips = list(dict.fromkeys((addr[0], radio) for _, addr, radio in places))
    out = struct.pack("!H", 1 << 13 | len(ips) << 6 | len(places))
    for ip, radio in ips:
        out += struct.pack("!H", is_ipv6(ip) << 15 | 1 << 14 | radio << 10) + ip_bytes(ip)
    for kind, addr, radio in places:
        out += struct.pack("!HH", kind << 12 | 1 << 5 | ips.index((addr[0], radio)), addr[1])
    return TLV_CONNECTION, out


def interfaces(items):
    """TLV 0x15. items: (link id, radio, MTU, flags, data-SO mask)."""
    out = struct.pack("!H", 1 << 13 | len(items))
    for link, radio, mtu, flags, mask in items:
        out += struct.pack("!HHHHI", 3 << 11 | 2 << 7 | radio << 3, link, mtu, flags, mask)
    return TLV_INTERFACES, out


def counter(value):
    return TLV_COUNTER, struct.pack("!H", value)


def link_message(command, tlvs, hmac=bytes(20), length=None):
    """tlvs: (type, value); the HMAC is put last, None leaves it out."""
    tlvs = list(tlvs) + ([(TLV_HMAC, hmac)] if hmac is not None else [])
    body = b"".join(struct.pack("!HH", number, len(value)) + value for number, value in tlvs)
    return Wire(struct.pack("!HH", command, len(body) if length is None else length) + bytes(16) + body,
                kind="link", generation="modern",
                fields={"facetime_link.command": [command],
                        "facetime_link.tlv.type": [number for number, _ in tlvs]})


def control(mki, number, ciphertext):
    """The key id is the first half of the sender's MKI."""
    return Wire(b"\x40\x0f" + mki[:8] + bytes([number]) + ciphertext, kind="control", generation="modern",
                fields={"facetime_control.key_id": [mki[:8].hex()], "facetime_control.counter": [number]})


def hop_by_hop(iv, ciphertext, tag):
    """The protobuf of a hop-by-hop message: three byte fields."""
    return Wire(b"\x0a\x0c" + iv + b"\x12\x10" + ciphertext + b"\x1a\x10" + tag,
                kind="hbh", generation="modern")


# --- RTP ----------------------------------------------------------------------------------------

HEVC, H264, AAC_ELD, EVS, RED, COMFORT_NOISE = 100, 123, 104, 108, 20, 13


def audio_extension(send_timestamp=None, video_loss=None, ecn=None, stats=None, version=2, rate=0,
                    feedback=0, received=0, bursts=0):
    """(profile, words): flags in the profile word say which parts are there."""
    profile, fields = version << 14 | rate, {"facetime_rtp.ext.version": [version]}
    out = struct.pack("!HHH", feedback, received, bursts)
    if send_timestamp is not None:
        profile |= 0x0100
        out += struct.pack("!HHH", 3, send_timestamp, 12)
        if version == 2:    # what version 1 has there is not known
            fields["facetime_rtp.audio.send_timestamp"] = [send_timestamp]
    if video_loss is not None:
        profile |= 0x0400
        out += struct.pack("!HH", *video_loss)
    if ecn is not None:
        profile |= 0x0800
        out += struct.pack("!HH", *ecn)
    if stats is not None:
        profile |= 0x0200
        out += bytes(stats)
    return profile, out + bytes(-len(out) % 4), fields


def fec_source(index, length):
    return struct.pack("!BBH", index, 0x80, 0x13 << 11 | length), {
        "facetime_rtp.fec.index": [index], "facetime_rtp.fec.parity": [0], "facetime_rtp.fec.length": [length]}


def fec_parity(index, lengths):
    out = struct.pack(f"!BBHH{len(lengths)}H", index, 0, 0x13 << 11 | max(lengths), len(lengths), *lengths)
    return out + bytes(-len(out) % 4), {
        "facetime_rtp.fec.index": [index], "facetime_rtp.fec.parity": [1],
        "facetime_rtp.fec.length": [max(lengths)]}


def video_extension(ltr=None, frame=None, fec=None, probe=None, version=2, camera=0, ltr_bits=1):
    """frame: (packets in frame, frame sequence), version 2 only; fec: what fec_source/fec_parity give."""
    profile = version << 14 | camera << 8 | ltr_bits << 4
    out, fields = b"", {"facetime_rtp.ext.version": [version]}
    if ltr is not None:
        profile |= 0x2
        out += struct.pack("!I", ltr)
        fields["facetime_rtp.video.ltr_timestamp"] = [ltr]
    if frame is not None:
        profile |= 0x1
        out += struct.pack("!HH", *frame)
        fields["facetime_rtp.video.packets_in_frame"] = [frame[0]]
        fields["facetime_rtp.video.frame_sequence"] = [frame[1]]
    if fec is not None:
        profile |= 0x4
        out += fec[0]
        fields.update(fec[1])
    if probe is not None:
        profile |= 0x8
        out += struct.pack("!I", probe)
        fields["facetime_rtp.video.probe"] = [probe]
    return profile, out, fields


def rtp(payload_type, seq, timestamp, ssrc, payload, mki, marker=False, extension=None):
    """mki: 16 bytes, or what group_trailer/tagged_trailer/named_trailer give. extension: what audio_extension/
    video_extension give."""
    trailer, fields = mki if isinstance(mki, tuple) else uuid_trailer(mki)
    if extension:
        fields = {**fields, **extension[2]}
    wire = plain_rtp(payload_type, seq, timestamp, ssrc, payload + trailer, marker, extension and extension[:2])
    return wire.knowing(generation="modern", fields=fields, payload=len(payload))


# trailers: (bytes, fields)

def uuid_trailer(mki):
    return mki + bytes(4), {"facetime_rtp.mki": [str(uuid.UUID(bytes=mki))], "facetime_rtp.mki.end": [0]}


def named_trailer(mki):
    """The whole of what new_named_mki gives, in the place where 2023 has a UUID."""
    trailer, fields = uuid_trailer(mki)
    return trailer, {**fields, "facetime_rtp.mki.participant": [(mki[2:6] + mki[7:11]).hex()]}


def _short(mki):
    number = int.from_bytes(mki[:2], "big")
    return mki[:2], {"facetime_rtp.short_mki": [number], "facetime_rtp.short_mki.roll": [number >> 4],
                     "facetime_rtp.short_mki.ratchet": [number & 15]}


def group_trailer(mki):
    trailer, fields = _short(mki)
    return trailer + struct.pack("!I", 0x20), {**fields, "facetime_rtp.mki.end": [0x20]}


def tagged_trailer(mki, seq, rollover, tag):
    """The roll-over counter stands in one packet of 128."""
    trailer, fields = _short(mki)
    if seq & 0x7F == 0:
        trailer, fields = trailer + struct.pack("!I", rollover), {**fields, "facetime_rtp.rollover": [rollover]}
    return trailer + tag, {**fields, "facetime_rtp.auth_tag": [tag.hex()]}


AUDIO_TAG, VIDEO_TAG = 4, 10


def new_named_mki(participant, roll=1, ratchet=0):
    """16 bytes that name the participant (8 bytes)."""
    return struct.pack("!H4sB4s5x", roll << 4 | ratchet, participant[:4], 0, participant[4:])


def new_mki(rng):
    """16 bytes, an RFC 4122 version 4 UUID."""
    return uuid.UUID(int=rng.getrandbits(128), version=4).bytes


# --- beside the relay header --------------------------------------------------------------------

def baseband(tag, radio, first, queued, other, transmitted, clock):
    """The modem's report, 36 bytes."""
    return Wire(bytes.fromhex("deadbeefcafe0002") + struct.pack("!IBBHIIIII", tag, radio, first, 1, 0,
                                                                queued, other, transmitted, clock),
                kind="baseband", generation="modern",
                fields={"baseband.radio": [radio], "baseband.queued": [queued],
                        "baseband.transmitted": [transmitted], "baseband.clock": [clock]})


def baseband_short(tag=0x6F):
    return Wire(bytes.fromhex("deadbeefcafe0002") + struct.pack("!IBBH", tag, 5, 0, 1),
                kind="baseband", generation="modern")


def baseband_drop(tag, transaction, status, dropped):
    """The acknowledgement of dropped packets. dropped: (payload type, sequence numbers)."""
    out = bytes.fromhex("deadbeefdead0002") + struct.pack("!IHH", tag, transaction, status)
    for payload_type, numbers in dropped:
        out += struct.pack(f"!BH{len(numbers)}H", payload_type, len(numbers), *numbers)
    return Wire(out, kind="baseband", generation="modern")


def quic_initial(dcid, token):
    """The shape of the first packet to a relay: QUIC v1 Initial, 8-byte DCID, no SCID, no token.

    token: random bytes in the place of what a key would be needed for; 1200 bytes in all.
    """
    rest = 1200 - 7 - len(dcid) - 1 - 2
    return Wire(b"\xc3\x00\x00\x00\x01" + bytes([len(dcid)]) + dcid + b"\x00\x00"
                + struct.pack("!H", 0x4000 | rest) + token(rest), kind="quic", generation="modern")


def quic_short(dcid, payload):
    return Wire(b"\x44" + dcid + payload, kind="quic", generation="modern")
