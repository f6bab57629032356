/* wire/rtp_proof.c
 *
 *    SSRC, number, time of a call's stream  one packet proves, if an end of it is the same
 *    key id at the end, legacy's extension  one packet proves, on any port
 *    trailer of 2026                        several that agree
 *    cut before its end, version 2's        CUT_PACKETS of one SSRC, where a port is a device's
 *    extension
 *    no mark at all (audio of 2015)         BARE_PACKETS that follow each other in FaceTime's
 *                                           time, between its ports; MAPPED_PACKETS in a channel
 *                                           of a relay's port, if a NAT maps the device's
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/rtp_proof.h"
#include "calls/call.h"
#include "calls/continuity.h"
#include "calls/evidence.h"
#include "wire/rtp_packet.h"

/* Audio of 2015 without any mark: packets of one direction that follow each other as that clock
 * runs, 480 ticks in 20 ms. Others use these payload types with other clocks. */
#define BARE_CLOCK_HZ       24000
#define BARE_TIMESTAMP_STEP 480
#define BARE_MAX_STEP       (100 * BARE_TIMESTAMP_STEP)
#define BARE_PACKETS        4
#define MAPPED_PACKETS      6
#define BARE_PACKETS_APART  8   /* lost between two of them, or overtaken */
#define BARE_TOLERANCE      5   /* a fifth: 16, 32 and 48 kHz are farther off than that */
#define BARE_STEP_TOLERANCE 4   /* of most packets' own step: 32 kHz at 30 ms is a fourth off */
#define BARE_LONG_US        2000000
#define BARE_LONG_TOLERANCE 10  /* where each packet's time says little: a receiver's, batches */

/* The packet's timestamp, sequence number and SSRC go on from where the run is, some packets of
 * which may be lost. */
static bool
continues_run(const ft_witness *witness, tvbuff_t *tvb)
{
    const uint32_t step = tvb_get_ntohl(tvb, 4) - witness->run.timestamp;
    const uint16_t packets = (uint16_t)(tvb_get_ntohs(tvb, 2) - witness->run.sequence);

    return witness->run.packets && tvb_get_ntohl(tvb, 8) == witness->run.ssrc && packets != 0 &&
           packets <= BARE_PACKETS_APART && step >= (uint32_t)packets * BARE_TIMESTAMP_STEP &&
           step % BARE_TIMESTAMP_STEP == 0 && step <= BARE_MAX_STEP;
}

/* One of the run that others overtook says nothing, nor does its copy. */
static bool
is_late(const ft_witness *witness, tvbuff_t *tvb)
{
    const uint16_t back = (uint16_t)(witness->run.sequence - tvb_get_ntohs(tvb, 2));

    return witness->run.packets && tvb_get_ntohl(tvb, 8) == witness->run.ssrc &&
           back <= BARE_PACKETS_APART &&
           witness->run.timestamp - tvb_get_ntohl(tvb, 4) <= BARE_MAX_STEP;
}

/* The ticks since then against the time that they took in the capture. */
static bool
keeps_time(uint32_t ticks, const nstime_t *since, const packet_info *pinfo, unsigned tolerance)
{
    const int64_t due = (int64_t)ticks * 1000000 / BARE_CLOCK_HZ;
    const nstime_t taken = ft_passed_since(since, pinfo);
    const int64_t passed = ft_in_microseconds(&taken);

    return passed > due - due / tolerance && passed < due + due / tolerance;
}

/* Packet by packet 480 ticks: 32 kHz in packets of 30 ms has 960, whatever its time. */
static bool
is_usual_step(const ft_witness *witness, tvbuff_t *tvb)
{
    const uint16_t packets = (uint16_t)(tvb_get_ntohs(tvb, 2) - witness->run.sequence);

    return tvb_get_ntohl(tvb, 4) - witness->run.timestamp ==
           (uint32_t)packets * BARE_TIMESTAMP_STEP;
}

/* The whole run, and most of its steps: a single stall brings 48 kHz, or 16 kHz in packets of
 * 30 ms, to the time of 24 kHz for a packet or two, and changes no other step. */
static bool
run_keeps_time(const ft_witness *witness, const packet_info *pinfo)
{
    const uint32_t ticks = witness->run.timestamp - witness->run.first_timestamp;

    if (2 * witness->run.usual < witness->run.packets - 1)
        return false;
    if (2 * witness->run.in_time >= witness->run.packets)
        return keeps_time(ticks, &witness->run.first_time, pinfo, BARE_TOLERANCE);
    return (int64_t)ticks * 1000000 / BARE_CLOCK_HZ > BARE_LONG_US &&
           keeps_time(ticks, &witness->run.first_time, pinfo, BARE_LONG_TOLERANCE);
}

static void
begin_bare_run(ft_witness *witness, const packet_info *pinfo, tvbuff_t *tvb)
{
    witness->run.first_time = ft_now(pinfo);
    witness->run.first_timestamp = tvb_get_ntohl(tvb, 4);
    witness->run.packets = witness->run.in_time = witness->run.usual = 0;
}

static void
extend_run(ft_witness *witness, const packet_info *pinfo, tvbuff_t *tvb, unsigned needed)
{
    const bool goes_on = continues_run(witness, tvb);

    witness->last_frame = ft_frame_id(pinfo);
    if (!goes_on && is_late(witness, tvb))
        return;
    witness->run.usual += goes_on && is_usual_step(witness, tvb);
    if (!goes_on)
        begin_bare_run(witness, pinfo, tvb);
    else if (keeps_time(tvb_get_ntohl(tvb, 4) - witness->run.timestamp, &witness->run.last_time,
                        pinfo, BARE_STEP_TOLERANCE))
        witness->run.in_time++;
    witness->run.sequence = tvb_get_ntohs(tvb, 2);
    witness->run.timestamp = tvb_get_ntohl(tvb, 4);
    witness->run.ssrc = tvb_get_ntohl(tvb, 8);
    witness->run.last_time = ft_now(pinfo);
    witness->run.packets++;
    if (witness->run.packets >= needed && !witness->proven_frame &&
        run_keeps_time(witness, pinfo))
        witness->proven_frame = ft_frame_id(pinfo);
}

static bool
agrees_with_earlier(packet_info *pinfo, tvbuff_t *tvb, unsigned needed)
{
    ft_witness *witness = ft_evidence_witness(pinfo);

    if (!witness)
        return false;
    if (ft_learning(pinfo) && witness->last_frame != ft_frame_id(pinfo))
        extend_run(witness, pinfo, tvb, needed);
    return witness->proven_frame && witness->proven_frame <= ft_frame_id(pinfo);
}

/* FaceTime's own extension: audio information, whose second word is zero in all 6000 packets of
 * the sample. */
static bool
has_legacy_extension(tvbuff_t *tvb)
{
    const int offset = RTP_FIXED_HEADER + 4 * (tvb_get_uint8(tvb, 0) & 0x0f);

    return tvb_captured_length(tvb) >= (unsigned)offset + 4 + 4 * LEGACY_WORDS &&
           tvb_get_ntohl(tvb, offset) == (LEGACY_PROFILE << 16 | LEGACY_WORDS) &&
           tvb_get_ntohl(tvb, offset + 8) == 0;
}

/* No padding and no CSRC, and a payload type of FaceTime's: as in all packets of the captures. */
static bool
is_plain(const datagram *seen, const rtp_packet *rtp)
{
    return rtp->damage != HEADER_SHORT && rtp->damage != EXTENSION_BEYOND &&
           rtp->media != MEDIA_UNKNOWN && (seen->bytes[0] & 0xef) == 0x80;
}

/* No more than that is looked at: of the extension, where it ends. */
bool
rtp_ends_in_word(const datagram *seen)
{
    const uint8_t *bytes = seen->bytes;
    unsigned payload = RTP_FIXED_HEADER;

    if (seen->captured < seen->length || seen->captured < RTP_FIXED_HEADER + 4 ||
        (bytes[0] & 0xef) != 0x80 || rtp_media_of[bytes[1] & 0x7f] == MEDIA_UNKNOWN)
        return false;
    if (bytes[0] & 0x10)
        payload += 4 + 4u * ft_be16(bytes + RTP_FIXED_HEADER + 2);
    return payload <= seen->length && ft_trailer_read(bytes, seen->length, payload).length != 0;
}

/* For the relay's header: is this media? */
bool
rtp_look_at(const datagram *seen, ft_rtp_look *look)
{
    rtp_packet rtp;

    rtp_parse(seen, FT_GENERATION_UNKNOWN, &rtp);
    *look = (ft_rtp_look){ .fixed = rtp.fixed,
                           .trailer = rtp.trailer,
                           .is_plain = is_plain(seen, &rtp),
                           .version = rtp.extension ? rtp.profile >> 14 : 0,
                           .is_cut = seen->captured < seen->length };
    look->extension_fits =
        rtp.damage == SOUND && (rtp.form == EXTENSION_AUDIO || rtp.form == EXTENSION_VIDEO);
    if (look->is_plain && !rtp.trailer.length && !look->is_cut) {
        const ft_trailer tagged = ft_trailer_read_tagged(
            seen->bytes, seen->length, rtp.payload, rtp.fixed.sequence, rtp_tag_length(&rtp));
        if (tagged.length && ft_mki_is_fresh(tagged.short_mki))
            look->trailer = tagged;
    }
    return rtp.damage != HEADER_SHORT;
}

/* 192.0.2.0/24 and 2001:db8::/32 are nobody's (RFC 5737, 3849): the export "FaceTime without
 * relay" puts them in a relay's place (calls/export.c), with this port. */
#define EXPORT_PORT 16402

static bool
is_of_export(const address *addr, uint32_t port)
{
    static const uint8_t prefix4[3] = { 192, 0, 2 }, prefix6[4] = { 0x20, 0x01, 0x0d, 0xb8 };

    return port == EXPORT_PORT &&
           ((addr->type == AT_IPv4 && memcmp(addr->data, prefix4, sizeof prefix4) == 0) ||
            (addr->type == AT_IPv6 && memcmp(addr->data, prefix6, sizeof prefix6) == 0));
}

/* Today's media without a relay's header: a UUID and the word behind it prove it; the trailers
 * of 2026 by several packets that agree, or one of the export. */
static bool
proves_modern(tvbuff_t *tvb, packet_info *pinfo)
{
    const datagram seen = datagram_of(tvb);
    ft_rtp_look look;

    if (!rtp_look_at(&seen, &look) || !look.is_plain || !look.trailer.length)
        return false;
    if (look.trailer.form == FT_TRAILER_UUID)
        return true;
    if (look.trailer.form == FT_TRAILER_TAGGED && !(look.extension_fits && look.version == 2))
        return false;
    if (look.trailer.form == FT_TRAILER_GROUP && !ft_mki_is_fresh(look.trailer.short_mki))
        return false;
    return (ft_mki_is_fresh(look.trailer.short_mki) &&
            (is_of_export(&pinfo->src, pinfo->srcport) ||
             is_of_export(&pinfo->dst, pinfo->destport))) ||
           ft_trailer_agrees(pinfo, &look.fixed, look.trailer.short_mki, look.extension_fits);
}

/* A packet that the capture cut has no trailer to show. Its extension of version 2 stays, whose
 * fields end where it does: nothing of its kind but RFC 8285's BEDE is common, so several do. */
#define ONE_BYTE_EXTENSION 0xbede
#define CUT_PACKETS 3

static bool
proves_cut(tvbuff_t *tvb, packet_info *pinfo)
{
    const datagram seen = datagram_of(tvb);
    rtp_packet rtp;

    if (seen.captured == seen.length ||
        !(ft_is_device_port(pinfo->srcport) || ft_is_device_port(pinfo->destport)))
        return false;
    rtp_parse(&seen, FT_GENERATION_UNKNOWN, &rtp);
    return is_plain(&seen, &rtp) && rtp.damage == SOUND && rtp.extension &&
           rtp.profile >> 14 == 2 && rtp.profile != ONE_BYTE_EXTENSION && rtp.field_count > 0 &&
           ft_evidence_agrees(pinfo, (uint64_t)rtp.fixed.payload_type << 32 | rtp.fixed.ssrc,
                              CUT_PACKETS);
}

static bool
may_have_trailer(const uint8_t *bytes, unsigned captured)
{
    return rtp_ends_as_trailer(bytes[captured - 1]) ||
           ((bytes[0] & 0x1f) == 0x10 && captured > RTP_FIXED_HEADER + 4 &&
            bytes[RTP_FIXED_HEADER] >> 6 == 2 && bytes[RTP_FIXED_HEADER] != 0xbe);
}

/* Marks of FaceTime's own prove on any port: the key id at the end, the legacy extension. */
static bool
has_own_mark(tvbuff_t *tvb, packet_info *pinfo, const uint8_t *bytes, ft_generation *generation)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (may_have_trailer(bytes, captured) && proves_modern(tvb, pinfo)) {
        *generation = FT_MODERN;
        return true;
    }
    if ((bytes[0] & 0x1f) == 0x10 && proves_cut(tvb, pinfo)) {
        *generation = FT_MODERN;
        return true;
    }
    if (!(bytes[0] & 0x10) || !has_legacy_extension(tvb))
        return false;
    *generation = FT_LEGACY;
    return true;
}

bool
rtp_continues_call(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    if (ft_call_total() == 0) /* as in others' captures: they pay no more than this */
        return false;

    const ft_rtp fixed = rtp_read_fixed(tvb);
    ft_witness *witness = NULL;

    if (!ft_learning(pinfo) || ft_media_goes_on(pinfo, &fixed, generation))
        witness = ft_evidence_witness(pinfo);
    if (witness && ft_learning(pinfo) && !witness->proven_frame)
        witness->proven_frame = ft_frame_id(pinfo);
    return witness && witness->proven_frame && witness->proven_frame <= ft_frame_id(pinfo);
}

/* needed: packets without a mark that prove between these ports; 0: no number does. */
static bool
prove_media(tvbuff_t *tvb, packet_info *pinfo, unsigned needed, ft_generation *generation)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (!ft_accept_bare_media || captured < RTP_FIXED_HEADER)
        return false;

    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)captured);
    const uint8_t payload_type = bytes[1] & 0x7f;
    if (bytes[0] >> 6 != 2 || rtp_media_of[payload_type] == MEDIA_UNKNOWN)
        return false;
    if (has_own_mark(tvb, pinfo, bytes, generation) || rtp_continues_call(tvb, pinfo, generation))
        return true;
    if (!needed || !rtp_is_bare_type(payload_type) ||
        !agrees_with_earlier(pinfo, tvb, needed))
        return false;
    *generation = FT_LEGACY;
    return true;
}

/* Media needs more than a port, even without signalling: Cisco's phones use 16384 and up too.
 * Without a mark it must run between two devices' ports and keep FaceTime's time. */
bool
rtp_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const bool between_devices =
        ft_is_device_port(pinfo->srcport) && ft_is_device_port(pinfo->destport);

    return prove_media(tvb, pinfo, between_devices ? BARE_PACKETS : 0, generation);
}

static unsigned
needed_in_channel(uint32_t port, uint32_t other)
{
    return !ft_is_server_port(port) ? 0 : ft_is_device_port(other) ? BARE_PACKETS : MAPPED_PACKETS;
}

/* In a relay's channel: from or to a server's port. */
bool
rtp_proves_relayed(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const unsigned needed = MAX(needed_in_channel(pinfo->srcport, pinfo->destport),
                                needed_in_channel(pinfo->destport, pinfo->srcport));

    return prove_media(tvb, pinfo, needed, generation);
}
