/* wire/rtp_packet.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/rtp_packet.h"

/* What a payload type carries. */
const uint8_t rtp_media_of[128] = {
    [0] = MEDIA_AUDIO,   [8] = MEDIA_AUDIO,   [9] = MEDIA_AUDIO,   [13] = MEDIA_AUDIO,
    [20] = MEDIA_AUDIO,  [34] = MEDIA_VIDEO,  [97] = MEDIA_AUDIO,  [98] = MEDIA_AUDIO,
    [100] = MEDIA_VIDEO, [101] = MEDIA_AUDIO, [104] = MEDIA_AUDIO, [105] = MEDIA_AUDIO,
    [106] = MEDIA_AUDIO, [107] = MEDIA_AUDIO, [108] = MEDIA_AUDIO, [111] = MEDIA_AUDIO,
    [113] = MEDIA_AUDIO, [119] = MEDIA_AUDIO, [121] = MEDIA_AUDIO, [122] = MEDIA_AUDIO,
    [123] = MEDIA_VIDEO, [126] = MEDIA_VIDEO,
};

#define EXTENSION_ROW(bits, version, length, shares, part, ...) \
    { bits, version, length, shares, part },
const extension_row rtp_audio_rows[RTP_AUDIO_ROWS] = { RTP_AUDIO_FIELDS(EXTENSION_ROW) };
const extension_row rtp_video_rows[RTP_VIDEO_ROWS] = {
    RTP_VIDEO_FIELDS(EXTENSION_ROW, EXTENSION_ROW)
};

/* Length of the FEC header at this offset with its padding; 0 if it doesn't fit. */
static unsigned
parse_fec(const uint8_t *bytes, unsigned offset, rtp_packet *rtp)
{
    const unsigned room = rtp->fields_end - offset;

    if (room < 4)
        return 0;
    rtp->fec = offset;
    rtp->is_parity = !(bytes[offset + 1] & 0x80);
    rtp->fec_length = ft_be16(bytes + offset + 2) & FEC_LENGTH_MASK;
    if (!rtp->is_parity)
        return 4;
    if (room < FEC_LIST)
        return 0;

    const uint16_t count = ft_be16(bytes + offset + 4);
    const unsigned length = (FEC_LIST + 2u * count + 3) & ~3u;
    if (length > room)
        return 0;
    rtp->fec_count = count;
    return length;
}

/* What the checks need; the length of the field, 0 if it doesn't fit. */
static unsigned
parse_field(const uint8_t *bytes, const extension_row *row, unsigned offset, rtp_packet *rtp)
{
    if (row->part == PART_FEC)
        return parse_fec(bytes, offset, rtp);
    if (offset + row->length > rtp->fields_end)
        return 0;
    if (row->part == PART_PACKETS_IN_FRAME)
        rtp->packets_in_frame = ft_be16(bytes + offset);
    if (row->part == PART_FRAME_SEQUENCE) {
        rtp->frame_sequence = ft_be16(bytes + offset);
        rtp->has_frame_info = true;
    }
    if (row->part >= PART_ECHOED) {
        rtp->values[row->part] = ft_be16(bytes + offset);
        rtp->parts |= (uint16_t)(1u << row->part);
    }
    return row->length;
}

static void
parse_fields(const uint8_t *bytes, const extension_row *rows, unsigned count, rtp_packet *rtp)
{
    unsigned offset = rtp->extension + 4;

    for (const extension_row *row = rows; row < rows + count; row++) {
        if ((rtp->profile & row->bits) != row->bits ||
            (row->version && row->version != rtp->profile >> 14))
            continue;
        const unsigned length = parse_field(bytes, row, offset, rtp);
        if (length == 0) {
            rtp->damage = rtp->damage == SOUND ? FIELD_MISSING : rtp->damage;
            break;
        }
        rtp->fields[rtp->field_count++] = (extension_field){ row, offset, length };
        if (!row->shares)
            offset += length;
    }
    rtp->known_end = offset;
}

/* Fields are padded with zeros to a whole word; anything else behind them isn't known. */
static bool
is_padding(const uint8_t *bytes, unsigned offset, unsigned end)
{
    if (end - offset >= 4)
        return false;
    while (offset < end) {
        if (bytes[offset++] != 0)
            return false;
    }
    return true;
}

static extension_form
form_of(const rtp_packet *rtp, ft_generation generation)
{
    const unsigned version = rtp->profile >> 14;

    if (rtp->profile == LEGACY_PROFILE && generation != FT_MODERN &&
        rtp->extension_end - rtp->extension == 4 + 4 * LEGACY_WORDS)
        return EXTENSION_LEGACY;
    if (generation == FT_LEGACY)
        return EXTENSION_UNKNOWN;
    if (rtp->media == MEDIA_VIDEO && (version == 1 || version == 2))
        return EXTENSION_VIDEO;
    if (rtp->media == MEDIA_AUDIO && version == 2)
        return EXTENSION_AUDIO;
    return EXTENSION_UNKNOWN;
}

/* bytes: the packet's, captured up to the fields' end. */
static void
parse_extension(const uint8_t *bytes, ft_generation generation, rtp_packet *rtp)
{
    rtp->known_end = rtp->extension + 4;
    rtp->form = form_of(rtp, generation);
    if (rtp->form == EXTENSION_AUDIO)
        parse_fields(bytes, rtp_audio_rows, G_N_ELEMENTS(rtp_audio_rows), rtp);
    else if (rtp->form == EXTENSION_VIDEO)
        parse_fields(bytes, rtp_video_rows, G_N_ELEMENTS(rtp_video_rows), rtp);
    else
        return;
    if (rtp->damage == SOUND && !is_padding(bytes, rtp->known_end, rtp->fields_end))
        rtp->damage = BYTES_LEFT;
}

/* Where `end` lies beyond the captured bytes: whose fault it is. */
static bool
is_captured(const datagram *seen, unsigned end, damage otherwise, rtp_packet *rtp)
{
    if (end <= seen->captured)
        return true;
    rtp->damage = otherwise;
    rtp->cut = end <= seen->length;
    return false;
}

static void
take_trailer(rtp_packet *rtp, ft_trailer trailer)
{
    rtp->trailer = trailer;
    rtp->payload_end -= trailer.length;
}

static inline ft_rtp
fixed_of(const uint8_t *header)
{
    return (ft_rtp){ .marker = header[1] & 0x80,
                     .payload_type = header[1] & 0x7f,
                     .sequence = ft_be16(header + 2),
                     .timestamp = ft_be32(header + 4),
                     .ssrc = ft_be32(header + 8) };
}

ft_rtp
rtp_read_fixed(tvbuff_t *tvb)
{
    return fixed_of(tvb_get_ptr(tvb, 0, RTP_FIXED_HEADER));
}

/* Takes the packet apart as far as it goes; damage tells how far that was. */
void
rtp_parse(const datagram *seen, ft_generation generation, rtp_packet *rtp)
{
    const uint8_t *bytes = seen->bytes;

    memset(rtp, 0, G_STRUCT_OFFSET(rtp_packet, fields));
    if (!is_captured(seen, RTP_FIXED_HEADER, HEADER_SHORT, rtp))
        return;

    rtp->fixed = fixed_of(bytes);
    rtp->media = rtp_media_of[rtp->fixed.payload_type];
    rtp->payload = RTP_FIXED_HEADER + 4 * (bytes[0] & 0x0f);
    rtp->payload_end = seen->length;
    if (!is_captured(seen, rtp->payload, HEADER_SHORT, rtp))
        return;

    if (bytes[0] & 0x10) {
        if (!is_captured(seen, rtp->payload + 4, HEADER_SHORT, rtp))
            return;
        rtp->extension = rtp->payload;
        rtp->profile = ft_be16(bytes + rtp->extension);
        rtp->extension_end = rtp->extension + 4 + 4 * ft_be16(bytes + rtp->extension + 2);
        rtp->fields_end = MIN(rtp->extension_end, seen->captured);
        rtp->payload = rtp->extension_end;
        is_captured(seen, rtp->extension_end, EXTENSION_BEYOND, rtp);
        parse_extension(bytes, generation, rtp);
    }
    if (rtp->damage != EXTENSION_BEYOND && generation != FT_LEGACY &&
        seen->captured >= seen->length)
        take_trailer(rtp, ft_trailer_read(bytes, seen->length, rtp->payload));
}

/* How long the authentication tag of such media is, where it has one. */
unsigned
rtp_tag_length(const rtp_packet *rtp)
{
    static const uint8_t lengths[] = { 0, FT_AUDIO_TAG_LENGTH, FT_VIDEO_TAG_LENGTH };

    return lengths[rtp->media];
}

/* The trailer that only the sender's other packets tell. Media in a relay's stream is a group's:
 * it has no tag. A word that ends a packet is a mark; two bytes are none in a call of which
 * nothing is known. */
void
rtp_settle_trailer(packet_info *pinfo, tvbuff_t *tvb, ft_generation generation,
                   const ft_relay_header *relay, rtp_packet *rtp)
{
    const bool may_be_tagged = generation == FT_MODERN && !(relay && relay->has_stream);

    if (rtp->damage == HEADER_SHORT || rtp->damage == EXTENSION_BEYOND || generation == FT_LEGACY)
        return;
    rtp->payload_end += rtp->trailer.length;
    take_trailer(rtp, ft_trailer_settle(pinfo, tvb, rtp->payload, &rtp->fixed, &rtp->trailer,
                                        may_be_tagged, rtp_tag_length(rtp)));
}

#define PROFILE_FEC 0x0004  /* of a video extension */

/* What a cut leaves open: without its FEC header, a packet may be a source or a parity packet. */
bool
rtp_lacks_fec(const rtp_packet *rtp)
{
    return rtp->form == EXTENSION_VIDEO && (rtp->profile & PROFILE_FEC) && !rtp->fec;
}
