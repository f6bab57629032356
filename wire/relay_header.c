/* wire/relay_header.c
 *
 *    flags of 16 bits    -> which optional fields follow, in the order of RELAY_FIELDS
 *    READ_...            -> where these leave it open: the reading that makes most of the body
 *    the body's bytes    -> what it is, and whether it shows itself to be whole (grade)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/relay_header.h"
#include "calls/trailer.h"
#include "wire/rtp_proof.h"
#include <wsutil/bits_ctz.h>

typedef struct {
    uint16_t flags_set, flags_clear, attr_set, attr_clear;
    int size;
    bool is_list;
} relay_field;

#define FIELD_ROW(id, flags_set, flags_clear, attr_set, attr_clear, size, is_list, ...) \
    { flags_set, flags_clear, attr_set, attr_clear, size, is_list },
static const relay_field relay_fields[FIELD_COUNT] = { RELAY_FIELDS(FIELD_ROW) };

int
relay_field_size(relay_field_id id)
{
    return relay_fields[id].size;
}

static bool
has_field(const relay_header *header, relay_field_id id)
{
    const relay_field *row = &relay_fields[id];

    if ((header->flags & row->flags_set) != row->flags_set || (header->flags & row->flags_clear))
        return false;
    const bool has_transition =
        (header->reading & READ_TRANSITION) && (header->flags & FLAG_TRANSITION);
    if ((id == FIELD_TRANSITION || id == FIELD_TRANSITION_COUNT) && !has_transition)
        return false;
    if (id == FIELD_PRIORITY && (has_transition || ((header->reading & READ_PRIORITY_OF_STREAM) &&
                                                    !(header->flags & FLAG_STREAM))))
        return false;
    return (header->attributes & row->attr_set) == row->attr_set &&
           !(header->attributes & row->attr_clear);
}

/* The fields that the flags may bring, a mask of 1 << relay_field_id: those that each of their two
 * bytes allows, looked up in a table that the first header makes. */
static unsigned
fields_of(uint16_t flags)
{
    static uint16_t allowed[256][2];
    static bool is_made;

    G_STATIC_ASSERT(FIELD_COUNT <= 16);
    for (unsigned byte = 0; byte < G_N_ELEMENTS(allowed) && !is_made; byte++) {
        for (unsigned id = 0; id < FIELD_COUNT; id++) {
            const relay_field *row = &relay_fields[id];
            for (unsigned i = 0; i < 2; i++) {
                const uint16_t set = row->flags_set >> 8 * i & 0xff;
                if ((byte & set) == set && !(byte & row->flags_clear >> 8 * i & 0xff))
                    allowed[byte][i] |= (uint16_t)(1U << id);
            }
        }
    }
    is_made = true;
    return allowed[flags & 0xff][0] & allowed[flags >> 8][1];
}

#define TRANSITION_STREAMS 8 /* ids where no count is sent */

/* One id more than the count says. */
static int
transition_size(tvbuff_t *tvb, const relay_header *header)
{
    const int count = header->offset[FIELD_TRANSITION_COUNT];

    return 2 * (count ? tvb_get_uint8(tvb, count) + 1 : TRANSITION_STREAMS);
}

void
relay_take_field(relay_header *header, relay_field_id id, int size)
{
    header->fields |= 1U << id;
    header->offset[id] = header->end;
    header->length[id] = size;
    header->end += size;
}

/* Takes the field up if it is there; false where the bytes run out. */
bool
relay_parse_field(tvbuff_t *tvb, relay_header *header, relay_field_id id)
{
    if (!has_field(header, id))
        return true;

    const relay_field *row = &relay_fields[id];
    const int left = tvb_captured_length_remaining(tvb, header->end);
    int size = row->size;
    if (row->is_list)
        size = left > 0 ? 1 + tvb_get_uint8(tvb, header->end) * row->size : 1;
    if (id == FIELD_TRANSITION)
        size = transition_size(tvb, header);
    if (size > left) {
        header->missing = size;
        return false;
    }
    relay_take_field(header, id, size);
    if (id == FIELD_ATTR)
        header->attributes = tvb_get_ntohs(tvb, header->offset[id]);
    return true;
}

/* The fields of `wanted` (a mask of 1 << relay_field_id) from header->end on, as header->flags
 * bring them. */
bool
relay_parse_fields(tvbuff_t *tvb, relay_header *header, unsigned wanted)
{
    for (unsigned left = wanted & fields_of(header->flags); left; left &= left - 1) {
        if (!relay_parse_field(tvb, header, (relay_field_id)ws_ctz(left)))
            return false;
    }
    return true;
}

/* ---- the body: what it is ---- */

/* What a body is of which the capture has no byte. Of those without attributes, what the relay
 * counts is RTP: all 2,299 that it counts in two captures, and no control message of 102. */
relay_body
relay_classify_hidden(const relay_header *header)
{
    if (header->attributes & FT_RELAY_ATTR_LINK)
        return BODY_LINK;
    if (header->attributes & FT_RELAY_ATTR_HBH)
        return BODY_HBH;
    return header->flags & FLAG_COUNTED ? BODY_RTP : BODY_UNKNOWN;
}

/* In this order: the attributes come first, since an acknowledgement of a link message (80 06)
 * looks like RTP. */
relay_body
relay_classify_body(tvbuff_t *tvb, const relay_header *header, int length)
{
    const int captured = tvb_captured_length_remaining(tvb, header->end);

    if (header->attributes & FT_RELAY_ATTR_LINK)
        return BODY_LINK;
    if (header->attributes & FT_RELAY_ATTR_HBH)
        return BODY_HBH;
    if (length == 0)
        return BODY_EMPTY;
    if (captured <= 0 && length >= RTP_HEADER)
        return relay_classify_hidden(header);
    if (length < 2 || captured <= 0)
        return BODY_UNKNOWN;

    const uint8_t first = tvb_get_uint8(tvb, header->end);
    const uint8_t second = captured > 1    ? tvb_get_uint8(tvb, header->end + 1)
                           : first == 0x40 ? 0x0f
                                           : 0;
    if (first == 0x40 && second == 0x0f)
        return BODY_CONTROL;
    if (first >> 6 != 2)
        return BODY_UNKNOWN;
    if (second >= 192 && second <= 223)
        return BODY_RTCP;
    return length >= RTP_HEADER ? BODY_RTP : BODY_UNKNOWN;
}

/* ---- bodies that show themselves to be whole ---- */

bool
relay_proves_link(tvbuff_t *tvb, int offset, int length)
{
    static const uint8_t zeros[16] = { 0 };

    return length >= LINK_HEADER + HMAC_TLV &&
           tvb_get_ntohs(tvb, offset + 2) == length - LINK_HEADER &&
           tvb_memeql(tvb, offset + 4, zeros, sizeof zeros) == 0 &&
           tvb_get_ntohl(tvb, offset + length - HMAC_TLV) == 0x00090014;
}

bool
relay_proves_hbh(tvbuff_t *tvb, int offset, int length)
{
    return length == 50 && tvb_get_ntohs(tvb, offset) == 0x0a0c &&
           tvb_get_ntohs(tvb, offset + 14) == 0x1210 && tvb_get_ntohs(tvb, offset + 32) == 0x1a10;
}

static bool
proves_rtcp(tvbuff_t *tvb, int offset, int length)
{
    const int end = offset + length;

    while (end - offset >= 4) {
        const uint8_t type = tvb_get_uint8(tvb, offset + 1);
        if (tvb_get_uint8(tvb, offset) >> 6 != 2 || type < 192 || type > 223)
            return false;
        offset += 4 + 4 * tvb_get_ntohs(tvb, offset + 2);
    }
    return offset == end;
}

/* How much speaks for a body where the header's reading puts it. */

/* The trailer shows where an RTP packet ends; a tag is no mark, so it takes the extension of
 * such media too. */
static body_grade
grade_rtp(tvbuff_t *tvb, int offset, int length)
{
    const datagram body = datagram_within(tvb, offset, length);
    ft_rtp_look look;

    if (rtp_ends_in_word(&body))
        return GRADE_SURE;
    if (!rtp_look_at(&body, &look) || !look.is_plain)
        return GRADE_UNKNOWN;
    if (look.trailer.length == 0 ||
        (look.trailer.form == FT_TRAILER_TAGGED && !(look.extension_fits && look.version == 2)))
        return GRADE_KNOWN;
    return GRADE_SURE;
}

body_grade
relay_grade_body(tvbuff_t *tvb, const relay_header *header, int length)
{
    const int offset = header->end;
    const bool is_whole = tvb_captured_length_remaining(tvb, offset) >= length;
    bool is_sure = false;

    switch (relay_classify_body(tvb, header, length)) {
    case BODY_LINK:
        is_sure = is_whole && relay_proves_link(tvb, offset, length);
        break;
    case BODY_HBH:
        is_sure = is_whole && relay_proves_hbh(tvb, offset, length);
        break;
    case BODY_CONTROL:
        is_sure = length > CONTROL_HEADER;
        break;
    case BODY_RTCP:
        is_sure = is_whole && proves_rtcp(tvb, offset, length);
        break;
    case BODY_RTP:
        return grade_rtp(tvb, offset, length);
    case BODY_EMPTY: /* speaks for no reading but the usual one */
        return header->reading == header->usual ? GRADE_KNOWN : GRADE_UNKNOWN;
    default:
        return GRADE_UNKNOWN;
    }
    return is_sure ? GRADE_SURE : GRADE_KNOWN;
}

/* ---- readings of a header ---- */

uint16_t
relay_value_of(tvbuff_t *tvb, const relay_header *header, relay_field_id id)
{
    return header->offset[id] ? tvb_get_ntohs(tvb, header->offset[id]) : 0;
}

bool
relay_names_ssrc(tvbuff_t *tvb, const relay_header *header, uint32_t ssrc)
{
    const uint16_t stream = relay_value_of(tvb, header, FIELD_STREAM);

    return header->offset[FIELD_STREAM] &&
           (stream == (uint16_t)ssrc || stream == (uint16_t)(ssrc + 1));
}

/* Whether bits of this header can be read in this way. */
bool
relay_is_open_to(uint16_t flags, unsigned reading)
{
    if ((reading & READ_TRANSITION) && !(flags & FLAG_TRANSITION))
        return false;
    return !(reading & READ_PRIORITY_OF_STREAM) ||
           ((flags & FLAG_PRIORITY) && !(flags & FLAG_STREAM));
}

/* The bytes of the body behind a whole header: as its packet length says, else to the end. */
int
relay_length_told(tvbuff_t *tvb, const relay_header *header, int end)
{
    return header->offset[FIELD_LENGTH] ? relay_value_of(tvb, header, FIELD_LENGTH)
                                        : end - header->end;
}

body_grade
relay_grade_reading(tvbuff_t *tvb, const relay_header *header, int end)
{
    const int length = header->end <= end ? relay_length_told(tvb, header, end) : 0;

    return header->end > end || length > end - header->end ? GRADE_NONE
                                                           : relay_grade_body(tvb, header, length);
}

#define BEFORE_OPEN_FIELDS ((1U << FIELD_PRIORITY) - 1)

ft_relay_open
relay_open_part(tvbuff_t *tvb)
{
    relay_header header = { .flags = tvb_get_ntohs(tvb, RELAY_CHANNEL_HEADER),
                            .end = RELAY_FIXED_HEADER };
    ft_relay_open open = { 0 };

    for (unsigned reading = READ_PRIORITY_OF_STREAM; reading <= READ_TRANSITION; reading <<= 1) {
        if (relay_is_open_to(header.flags, reading))
            open.bits |= reading;
    }
    if (open.bits) {
        relay_parse_fields(tvb, &header, BEFORE_OPEN_FIELDS);
        open.stream = relay_value_of(tvb, &header, FIELD_STREAM);
        open.participant = header.offset[FIELD_PARTICIPANT]
                               ? tvb_get_ntoh64(tvb, header.offset[FIELD_PARTICIPANT])
                               : 0;
    }
    return open;
}

bool
relay_parse_header(tvbuff_t *tvb, int end, unsigned usual, relay_header *header)
{
    const uint16_t flags = tvb_get_ntohs(tvb, RELAY_CHANNEL_HEADER);
    body_grade best = GRADE_NONE;
    bool is_whole = false;

    for (unsigned i = 0; i <= READINGS && best < GRADE_SURE; i++) {
        relay_header other = {
            .flags = flags, .reading = i ^ usual, .usual = usual, .end = RELAY_FIXED_HEADER
        };
        if (!relay_is_open_to(flags, other.reading))
            continue;
        const bool fits = relay_parse_fields(tvb, &other, ALL_FIELDS);
        if (i == 0) {
            *header = other;
            is_whole = fits;
            if (!(flags & FLAG_TRANSITION) && !relay_is_open_to(flags, READ_PRIORITY_OF_STREAM))
                break; /* nothing to choose */
        }
        const body_grade grade = fits ? relay_grade_reading(tvb, &other, end) : GRADE_NONE;
        if (grade > best && (i == 0 || grade > GRADE_UNKNOWN)) {
            best = grade;
            if (i > 0)
                *header = other;
            is_whole = true;
        }
    }
    header->is_borne_out = best == GRADE_SURE;
    return is_whole;
}

/* Where the packet ends: where ChannelData says, or before, if the datagram is shorter. */
int
relay_packet_end(tvbuff_t *tvb)
{
    return MIN(RELAY_CHANNEL_HEADER + (int)tvb_get_ntohs(tvb, 2), (int)tvb_reported_length(tvb));
}
