/* wire/relay_chain.c
 * Nothing in a chained packet's head says which form it has (packet-quickrelay.c has the
 * picture), so all are tried, the likeliest first, depth first: what makes the rest of the
 * datagram parse to its end, with bodies that show themselves to be whole and in place, is taken;
 * else the longest chain that was found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/relay_chain.h"
#include "wire/rtp_packet.h"
#include "wire/rtp_proof.h"

#define RTP_SSRC         8
#define MAX_CHAIN_TRIALS 512 /* heads that one datagram is tried with */

typedef struct {
    tvbuff_t *tvb;
    int end;
    unsigned trials;
    relay_chain tried;
    relay_chain *best; /* the longest that was found so far */
} chain_search;

/* What a head may have; a number counts through all of it. The bits come in the order of
 * likelihood. */
enum {
    WITHOUT_LENGTH = 1,
    WITHOUT_PRIORITY = 2,
    READING_SHIFT = 2, /* READ_... */
    COMPACT = 16,
    CHAIN_FORMS = COMPACT + (WITHOUT_LENGTH | WITHOUT_PRIORITY) + 1
};

/* A full header again: it names the participant of the first. */
static bool
parse_full_again(const chain_search *search, unsigned reading, relay_header *header)
{
    tvbuff_t *tvb = search->tvb;
    const relay_header *first = &search->tried.packets[0].header;

    if (!first->offset[FIELD_PARTICIPANT] || tvb_captured_length_remaining(tvb, header->end) < 2)
        return false;
    header->flags = tvb_get_ntohs(tvb, header->end);
    header->reading = reading;
    header->end += 2;
    if ((header->flags & FLAG_LENGTH) || !(header->flags & FLAG_PARTICIPANT) ||
        !relay_is_open_to(header->flags, reading) || !relay_parse_fields(tvb, header, ALL_FIELDS))
        return false;
    return tvb_memeql(tvb, header->offset[FIELD_PARTICIPANT],
                      tvb_get_ptr(tvb, first->offset[FIELD_PARTICIPANT], 8), 8) == 0;
}

#define COUNT_BELOW 0x10 /* a first byte that counts secondary streams; no stream id begins so */

/* Stream ids alone. */
static bool
parse_compact(const chain_search *search, unsigned reading, relay_header *header)
{
    if (reading != 0 || tvb_captured_length_remaining(search->tvb, header->end) < 2)
        return false;

    const bool is_count = tvb_get_uint8(search->tvb, header->end) < COUNT_BELOW;
    header->flags = is_count ? FLAG_STREAMS : FLAG_STREAM;
    return relay_parse_field(search->tvb, header, is_count ? FIELD_STREAMS : FIELD_STREAM);
}

/* Adds a field that no bit announces. */
static bool
take_field(tvbuff_t *tvb, relay_header *header, relay_field_id id)
{
    const int size = relay_field_size(id);

    if (tvb_captured_length_remaining(tvb, header->end) < size)
        return false;
    relay_take_field(header, id, size);
    return true;
}

#define MAX_PRIORITY 127

static bool
may_have_priority(const relay_header *header)
{
    const bool is_base_layer = (header->attributes & FT_RELAY_ATTR_DOWNLINK) &&
                               (header->flags & FLAG_UNFILTERED) && !(header->flags & FLAG_COUNTED);

    return !(header->flags & FLAG_PRIORITY) && !is_base_layer;
}

static bool
parse_own_priority(tvbuff_t *tvb, relay_header *header)
{
    if (!may_have_priority(header) || !take_field(tvb, header, FIELD_PRIORITY))
        return false;

    return tvb_get_uint8(tvb, header->offset[FIELD_PRIORITY]) - 1U < MAX_PRIORITY;
}

/* A length begins with two zero bits: RTP and control don't. */
static bool
parse_own_length(tvbuff_t *tvb, relay_header *header)
{
    return take_field(tvb, header, FIELD_LENGTH) &&
           relay_value_of(tvb, header, FIELD_LENGTH) >> 14 == 0;
}

/* The packet at this offset, if it can have this form. */
static bool
parse_chained(const chain_search *search, int offset, unsigned form, chain_packet *packet)
{
    relay_header *header = &packet->header;
    const unsigned reading = form >> READING_SHIFT & READINGS;

    *packet = (chain_packet){ .header = { .end = offset }, .start = offset };
    if (!(form & COMPACT ? parse_compact : parse_full_again)(search, reading, header))
        return false;
    if (!(form & WITHOUT_PRIORITY) && !parse_own_priority(search->tvb, header))
        return false;
    if (!(form & WITHOUT_LENGTH) && !parse_own_length(search->tvb, header))
        return false;
    packet->length = relay_length_told(search->tvb, header, search->end);
    return packet->length > 0 && packet->length <= search->end - header->end;
}

/* Whether media, or a control message, may begin here. */
static bool
may_be_body(tvbuff_t *tvb, int offset)
{
    if (tvb_captured_length_remaining(tvb, offset) < 2)
        return true;

    const uint8_t first = tvb_get_uint8(tvb, offset), second = tvb_get_uint8(tvb, offset + 1);
    return (first == 0x40 && second == 0x0f) ||
           ((first & 0xef) == 0x80 && rtp_media_of[second & 0x7f] != MEDIA_UNKNOWN);
}

/* A length that lies (8000, 9068, 400f) looks like the first bytes of a body. So media must show
 * that it begins where it is taken to begin: by the stream that its head names, or by its
 * extension. Else, and in a control message, no other body may begin behind these two bytes. */
static bool
begins_here(tvbuff_t *tvb, const chain_packet *packet)
{
    const relay_header *header = &packet->header;
    const relay_body body = relay_classify_body(tvb, header, packet->length);
    const datagram seen = datagram_within(tvb, header->end, packet->length);
    ft_rtp_look look;

    if (body == BODY_RTP && rtp_look_at(&seen, &look)) {
        if (look.extension_fits || relay_names_ssrc(tvb, header, look.fixed.ssrc))
            return true;
        if (header->offset[FIELD_STREAM])
            return false;
    } else if (body != BODY_CONTROL) {
        return true;
    }
    return header->offset[FIELD_LENGTH] || !may_be_body(tvb, header->end + 2);
}

/* Media whose SSRC was captured. */
static bool
shows_ssrc(tvbuff_t *tvb, const chain_packet *packet, uint32_t *ssrc)
{
    const int offset = packet->header.end;

    if (relay_classify_body(tvb, &packet->header, packet->length) != BODY_RTP ||
        tvb_captured_length_remaining(tvb, offset) < RTP_HEADER)
        return false;
    *ssrc = tvb_get_ntohl(tvb, offset + RTP_SSRC);
    return true;
}

static bool
is_behind_control(tvbuff_t *tvb, const chain_packet *before)
{
    return relay_classify_body(tvb, &before->header, before->length) == BODY_CONTROL;
}

bool
relay_is_anchored(tvbuff_t *tvb, const chain_packet *before, const chain_packet *packet)
{
    uint32_t ssrc;

    return !is_behind_control(tvb, before) || packet->header.offset[FIELD_PARTICIPANT] ||
           (shows_ssrc(tvb, packet, &ssrc) && relay_names_ssrc(tvb, &packet->header, ssrc));
}

/* Nothing in a control message shows where it ends. If its length is off, what is left of the next
 * head may be one as well (of 819d 01, stream 9d01), but then its stream isn't the media's. */
static bool
is_misplaced(tvbuff_t *tvb, const chain_packet *before, const chain_packet *packet)
{
    uint32_t ssrc;

    return packet->header.offset[FIELD_STREAM] && is_behind_control(tvb, before) &&
           shows_ssrc(tvb, packet, &ssrc) && !relay_names_ssrc(tvb, &packet->header, ssrc);
}

/* A body that the capture cut can't show that it is whole: then it is enough that it is one. */
static bool
is_credible(const chain_search *search, const chain_packet *packet)
{
    const body_grade grade = relay_grade_body(search->tvb, &packet->header, packet->length);
    const bool is_cut = packet->header.end + packet->length > (int)tvb_captured_length(search->tvb);

    return (grade == GRADE_SURE || (grade == GRADE_KNOWN && is_cut)) &&
           begins_here(search->tvb, packet) &&
           !is_misplaced(search->tvb, &search->tried.packets[search->tried.count - 1], packet);
}

static void
keep_best(chain_search *search, int rest)
{
    if (search->tried.count < search->best->count)
        return;
    *search->best = search->tried;
    search->best->rest = rest;
}

/* Whether what begins at this offset parses to the datagram's end, or as far as it is taken
 * apart or captured. */
static bool
search_chain(chain_search *search, int offset) // NOLINT(misc-no-recursion): FT_MAX_CHAIN deep
{
    keep_best(search, offset);
    if (offset >= MIN(search->end, (int)tvb_captured_length(search->tvb)) ||
        search->tried.count == FT_MAX_CHAIN)
        return true;
    for (unsigned form = 0; form < CHAIN_FORMS; form++) {
        chain_packet *packet = &search->tried.packets[search->tried.count];
        if (!parse_chained(search, offset, form, packet))
            continue;
        if (++search->trials > MAX_CHAIN_TRIALS)
            return false;
        if (!is_credible(search, packet))
            continue;
        search->tried.count++;
        if (search_chain(search, packet->header.end + packet->length))
            return true;
        search->tried.count--;
    }
    return false;
}

/* Takes a datagram apart, from its whole first header on. What is broken from the first packet
 * on has none. */
void
relay_parse_chain(tvbuff_t *tvb, const relay_header *first, int end, relay_chain *chain)
{
    chain_search search = { .tvb = tvb, .end = end, .best = chain };
    const int length = relay_length_told(tvb, first, end);

    chain->count = 0;
    chain->rest = first->end;
    if (length == 0 || length > end - first->end)
        return;
    search.tried.packets[0] = (chain_packet){ .header = *first, .length = length };
    search.tried.count = 1;
    search_chain(&search, first->end + length);
}
