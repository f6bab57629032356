/* packet-quickrelay.c
 * QuickRelay: the header that today's relays (2019 on) and devices put on everything but QUIC. On the wire it
 * stands in TURN ChannelData (RFC 8656) of one channel, number 0x6000.
 *
 *    0       2       4    5    6
 *   +-------+-------+----+----+------------------------------------+--------------------+
 *   | 60 00 | length| f1 | f2 | optional fields, as the bits of f1 | body: link, HBH,   |
 *   |       |       |    |    | and f2 and of `attr` say           | control, RTP, none |
 *   +-------+-------+----+----+------------------------------------+--------------------+
 *
 * The optional fields stand in one fixed order, that of the table relay_fields below:
 *
 *   attr 2 | stream 2 | n 1, n secondary streams 2 each | participant 8 | base layer stream 2 | priority 1 |
 *   probe group 2 | session version 1 | packet length 2 | counter 2 or stats 12 | link 2 |
 *   n 1, n secondary links 2 each | session state 1 | transition streams 2 each
 *
 *   stats:  echoed counter 2 | clock 2 | hold 2 | received 2 | sent 2 | bandwidth 2
 *
 * With the packet length, a datagram holds more packets (2026). Each has a head of its own, and a length where
 * yet another one follows:
 *
 *   full:     f1 f2 and optional fields, with the same participant | priority 1 or none | length 2 or none
 *   stream:   stream 2                                             | priority 1 or none | length 2 or none
 *   count:    n 1 (below 10 hex), n secondary streams 2 each       | priority 1 or none | length 2 or none
 *
 * Nothing in a head says which of these it has: what makes the rest of the datagram parse to its end, with
 * bodies that show themselves to be whole, decides.
 *
 * Evidence: all 5797 packets of three captures of 2023 parse to their body with this table. What has been
 * published of 2026 alone carries the expert info quickrelay.unverified; chains were checked on one real datagram.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/export.h"
#include "calls/limits.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "calls/trailer.h"
#include <epan/expert.h>
#include <epan/prefs.h>

void proto_register_quickrelay(void);
void proto_reg_handoff_quickrelay(void);

#define CHANNEL_HEADER 4  /* channel number, length */
#define FIXED_HEADER   6  /* and the two bytes of flags */
#define RTP_HEADER     12
#define LINK_HEADER    20 /* of a link message */
#define CONTROL_HEADER 11 /* of a control message */
#define HMAC_TLV       24 /* the last one of a link message */

/* clang-format off */
/* X(byte, mask, NAME, name, label, blurb): what the two bytes of flags say */
#define RELAY_FLAGS1(X) \
    X(1, 0x80, ATTR, attr, "Attributes", "Attribute bits follow") \
    X(1, 0x40, LINKS, secondary_links, "Secondary links", "Ids of further relay links follow; unverified") \
    X(1, 0x20, LINK, link, "Link", "The id of a relay link follows") \
    X(1, 0x10, UNKNOWN, unknown, "Unknown", "Never seen set") \
    X(1, 0x08, TRANSITION, transition, "Transition streams", \
      "Streams change over (name from others' clients); brings no field in the captures of 2023, ids of " \
      "streams in 2026 (published, unverified)") \
    X(1, 0x04, STATS, stats, "Stats", "The relay's report follows") \
    X(1, 0x02, COUNTER, counter, "Counter", "A packet counter follows, or stands first in the report") \
    X(1, 0x01, UNFILTERED, unfiltered, "Not filtered by priority", \
      "Opts out of the relay's priority filter (name from others' clients, inferred)")
#define RELAY_FLAGS2(X) \
    X(2, 0x80, LENGTH, length, "Packet length", \
      "The packet's length follows: more packets are chained behind") \
    X(2, 0x40, COUNTED, counted, "Counted", "Counts in the totals of the relay's reports") \
    X(2, 0x20, VERSION, version, "Session version", "The version of the session info follows") \
    X(2, 0x10, PROBE, probe, "Probe group", "A probe group id follows") \
    X(2, 0x08, PRIORITY, priority, "Priority", "A channel priority follows") \
    X(2, 0x04, PARTICIPANT, participant, "Participant", "A participant id follows") \
    X(2, 0x02, STREAMS, secondary_streams, "Secondary streams", "Ids of further streams follow") \
    X(2, 0x01, STREAM, stream, "Stream", "A stream id follows")

/* X(mask, name, label, blurb): the bits of `attr` that are known */
#define RELAY_ATTRS(X) \
    X(FT_RELAY_ATTR_HBH, hbh, "Hop-by-hop body", \
      "The body is a protobuf encrypted between device and relay") \
    X(FT_RELAY_ATTR_STATE, state, "Session state", "The header ends in a session state") \
    X(FT_RELAY_ATTR_RETRANSMITTED, retransmitted, "Retransmitted", \
      "The relay sends this packet again on request") \
    X(FT_RELAY_ATTR_NO_RETRANSMISSION, not_retransmittable, "Not retransmittable", \
      "The relay can't send this packet again (name from others' clients, unverified)") \
    X(FT_RELAY_ATTR_DOWNLINK, downlink, "Downlink or base layer", \
      "With the link bit: set on all link messages from the relay. Alone: a base layer stream id follows " \
      "(unverified)") \
    X(FT_RELAY_ATTR_LINK, link, "Link message", "The body is a link message")

#define FLAG_VALUE(byte, mask, NAME, name, label, blurb) FLAG_##NAME = (byte) == 1 ? (mask) << 8 : (mask),
enum { RELAY_FLAGS1(FLAG_VALUE) RELAY_FLAGS2(FLAG_VALUE) };

#define ATTR_MASK(mask, name, label, blurb) | (mask)
#define KNOWN_ATTRS (0U RELAY_ATTRS(ATTR_MASK))

static int proto_quickrelay = -1;

static int hf_quickrelay_channel = -1;
static int hf_quickrelay_length = -1;
static int hf_quickrelay_flags1 = -1;
static int hf_quickrelay_flags2 = -1;
static int hf_quickrelay_attr = -1;
static int hf_quickrelay_stream = -1;
static int hf_quickrelay_secondary_streams = -1;
static int hf_quickrelay_secondary_stream = -1;
static int hf_quickrelay_participant = -1;
static int hf_quickrelay_base_stream = -1;
static int hf_quickrelay_priority = -1;
static int hf_quickrelay_probe_group = -1;
static int hf_quickrelay_session_version = -1;
static int hf_quickrelay_packet_length = -1;
static int hf_quickrelay_counter = -1;
static int hf_quickrelay_stats = -1;
static int hf_quickrelay_stats_echoed_counter = -1;
static int hf_quickrelay_stats_clock = -1;
static int hf_quickrelay_stats_hold = -1;
static int hf_quickrelay_stats_received = -1;
static int hf_quickrelay_stats_sent = -1;
static int hf_quickrelay_stats_bandwidth = -1;
static int hf_quickrelay_stats_echo_of = -1;
static int hf_quickrelay_stats_rtt = -1;
static int hf_quickrelay_link = -1;
static int hf_quickrelay_link_frame = -1;
static int hf_quickrelay_secondary_links = -1;
static int hf_quickrelay_secondary_link = -1;
static int hf_quickrelay_state = -1;
static int hf_quickrelay_transition_count = -1;
static int hf_quickrelay_transition_stream = -1;
static int hf_quickrelay_chain = -1;
static int hf_quickrelay_chained = -1;
static int hf_quickrelay_undecided = -1;
static int hf_quickrelay_hbh = -1;
static int hf_quickrelay_hbh_iv = -1;
static int hf_quickrelay_hbh_ciphertext = -1;
static int hf_quickrelay_hbh_tag = -1;
static int hf_quickrelay_hbh_unknown = -1;
static int hf_quickrelay_body = -1;
static int hf_quickrelay_trailing = -1;

#define FLAG_HF(byte, mask, NAME, name, label, blurb) static int hf_quickrelay_flags##byte##_##name = -1;
RELAY_FLAGS1(FLAG_HF)
RELAY_FLAGS2(FLAG_HF)
#define ATTR_HF(mask, name, label, blurb) static int hf_quickrelay_attr_##name = -1;
RELAY_ATTRS(ATTR_HF)

static int ett_quickrelay = -1;
static int ett_quickrelay_flags1 = -1;
static int ett_quickrelay_flags2 = -1;
static int ett_quickrelay_attr = -1;
static int ett_quickrelay_list = -1;
static int ett_quickrelay_stats = -1;
static int ett_quickrelay_chained = -1;
static int ett_quickrelay_hbh = -1;

static expert_field ei_quickrelay_bad_length = EI_INIT;
static expert_field ei_quickrelay_bad_hbh = EI_INIT;
static expert_field ei_quickrelay_unverified = EI_INIT;
static expert_field ei_quickrelay_unknown_bit = EI_INIT;
static expert_field ei_quickrelay_unparsed_body = EI_INIT;
static expert_field ei_quickrelay_broken_chain = EI_INIT;
static expert_field ei_quickrelay_long_chain = EI_INIT;

static dissector_handle_t link_handle;
static dissector_handle_t control_handle;
static dissector_handle_t facetime_rtp_handle;
static dissector_handle_t rtcp_handle;

#define FLAG_POINTER(byte, mask, NAME, name, label, blurb) &hf_quickrelay_flags##byte##_##name,
static int *const flags1_bits[] = { RELAY_FLAGS1(FLAG_POINTER) NULL };
static int *const flags2_bits[] = { RELAY_FLAGS2(FLAG_POINTER) NULL };
#define ATTR_POINTER(mask, name, label, blurb) &hf_quickrelay_attr_##name,
static int *const attr_bits[] = { RELAY_ATTRS(ATTR_POINTER) NULL };

/* clang-format on */

static const value_string bandwidth_vals[] = { { 65535, "no estimate" }, { 0, NULL } };

/* ---- the header: what is where ---- */

/* The optional fields in wire order. */
typedef enum {
    FIELD_ATTR,
    FIELD_STREAM,
    FIELD_STREAMS,
    FIELD_PARTICIPANT,
    FIELD_BASE_STREAM,
    FIELD_PRIORITY,
    FIELD_TRANSITION_COUNT,
    FIELD_PROBE,
    FIELD_VERSION,
    FIELD_LENGTH,
    FIELD_COUNTER,
    FIELD_STATS,
    FIELD_LINK,
    FIELD_LINKS,
    FIELD_STATE,
    FIELD_TRANSITION,
    FIELD_COUNT
} relay_field_id;

/* Where the bits leave open what they bring: as in 2023 (0), or as published of 2026. */
enum {
    READ_PRIORITY_OF_STREAM = 1, /* a priority only beside a stream id */
    READ_TRANSITION = 2,         /* ids of streams behind the header, their number in the priority's place */
};

/* A header taken apart: made of captured bytes alone, without tree or state, for evidence and dissection
 * alike. */
typedef struct {
    uint16_t flags; /* flags1 in the high byte, flags2 in the low one */
    uint16_t attributes;
    unsigned reading; /* READ_... */
    int offset[FIELD_COUNT]; /* 0: absent */
    int length[FIELD_COUNT];
    int end;     /* where the body begins, or where the header runs out of bytes */
    int missing; /* bytes of the field that runs out, 0 where the header is whole */
} relay_header;

typedef void (*field_decoder)(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header,
                              relay_field_id id);

static void show_number(tvbuff_t *, packet_info *, proto_tree *, const relay_header *, relay_field_id);
static void show_list(tvbuff_t *, packet_info *, proto_tree *, const relay_header *, relay_field_id);
static void show_attr(tvbuff_t *, packet_info *, proto_tree *, const relay_header *, relay_field_id);
static void show_stats(tvbuff_t *, packet_info *, proto_tree *, const relay_header *, relay_field_id);
static void show_link(tvbuff_t *, packet_info *, proto_tree *, const relay_header *, relay_field_id);
static void show_transition(tvbuff_t *, packet_info *, proto_tree *, const relay_header *, relay_field_id);

/* One row a field: the bits that bring it and those that keep it away, its bytes (of a list: of one
 * element, after a byte with their number), how it is shown, and its name where captures haven't shown it
 * yet. */
typedef struct {
    uint16_t flags_set, flags_clear, attr_set, attr_clear;
    int size;
    bool is_list;
    int *hf;
    field_decoder show;
    const char *unverified;
} relay_field;

/* clang-format off */
static const relay_field relay_fields[FIELD_COUNT] = {
    [FIELD_ATTR] = { FLAG_ATTR, 0, 0, 0, 2, false, &hf_quickrelay_attr, show_attr, NULL },
    [FIELD_STREAM] = { FLAG_STREAM, 0, 0, 0, 2, false, &hf_quickrelay_stream, show_number, NULL },
    [FIELD_STREAMS] = { FLAG_STREAMS, 0, 0, 0, 2, true, &hf_quickrelay_secondary_stream, show_list, NULL },
    [FIELD_PARTICIPANT] = { FLAG_PARTICIPANT, 0, 0, 0, 8, false,
                            &hf_quickrelay_participant, show_number, NULL },
    [FIELD_BASE_STREAM] = { FLAG_ATTR, 0, FT_RELAY_ATTR_DOWNLINK, FT_RELAY_ATTR_LINK, 2, false,
                            &hf_quickrelay_base_stream, show_number, NULL },
    [FIELD_PRIORITY] = { FLAG_PRIORITY, 0, 0, 0, 1, false, &hf_quickrelay_priority, show_number, NULL },
    [FIELD_TRANSITION_COUNT] = { FLAG_TRANSITION | FLAG_PRIORITY, 0, 0, 0, 1, false,
                                 &hf_quickrelay_transition_count, show_number, "count of transition streams" },
    [FIELD_PROBE] = { FLAG_PROBE, 0, 0, 0, 2, false, &hf_quickrelay_probe_group, show_number, NULL },
    [FIELD_VERSION] = { FLAG_VERSION, 0, 0, 0, 1, false, &hf_quickrelay_session_version, show_number, NULL },
    [FIELD_LENGTH] = { FLAG_LENGTH, 0, 0, 0, 2, false,
                       &hf_quickrelay_packet_length, show_number, NULL },
    [FIELD_COUNTER] = { FLAG_COUNTER, FLAG_STATS, 0, 0, 2, false, &hf_quickrelay_counter, show_number, NULL },
    [FIELD_STATS] = { FLAG_STATS, 0, 0, 0, 12, false, &hf_quickrelay_stats, show_stats, NULL },
    [FIELD_LINK] = { FLAG_LINK, 0, 0, 0, 2, false, &hf_quickrelay_link, show_link, NULL },
    [FIELD_LINKS] = { FLAG_LINKS, 0, 0, 0, 2, true,
                      &hf_quickrelay_secondary_link, show_list, "secondary links" },
    [FIELD_STATE] = { FLAG_ATTR, 0, FT_RELAY_ATTR_STATE, 0, 1, false,
                      &hf_quickrelay_state, show_number, NULL },
    [FIELD_TRANSITION] = { FLAG_TRANSITION, 0, 0, 0, 0, false,
                           &hf_quickrelay_transition_stream, show_transition, "transition streams" },
};
/* clang-format on */

static bool
has_field(const relay_header *header, relay_field_id id)
{
    const relay_field *row = &relay_fields[id];
    const bool has_transition = (header->reading & READ_TRANSITION) && (header->flags & FLAG_TRANSITION);

    if ((id == FIELD_TRANSITION || id == FIELD_TRANSITION_COUNT) && !has_transition)
        return false;
    if (id == FIELD_PRIORITY &&
        (has_transition || ((header->reading & READ_PRIORITY_OF_STREAM) && !(header->flags & FLAG_STREAM))))
        return false;
    return (header->flags & row->flags_set) == row->flags_set && !(header->flags & row->flags_clear) &&
           (header->attributes & row->attr_set) == row->attr_set && !(header->attributes & row->attr_clear);
}

#define TRANSITION_STREAMS 8 /* ids where no count is sent */

/* One id more than the count says. */
static int
transition_size(tvbuff_t *tvb, const relay_header *header)
{
    const int count = header->offset[FIELD_TRANSITION_COUNT];

    return 2 * (count ? tvb_get_uint8(tvb, count) + 1 : TRANSITION_STREAMS);
}

/* Takes the field up if it is there; false where the bytes run out. */
static bool
parse_field(tvbuff_t *tvb, relay_header *header, relay_field_id id)
{
    const relay_field *row = &relay_fields[id];
    const int left = tvb_captured_length_remaining(tvb, header->end);
    int size = row->size;

    if (!has_field(header, id))
        return true;
    if (row->is_list)
        size = left > 0 ? 1 + tvb_get_uint8(tvb, header->end) * row->size : 1;
    if (id == FIELD_TRANSITION)
        size = transition_size(tvb, header);
    if (size > left) {
        header->missing = size;
        return false;
    }
    header->offset[id] = header->end;
    header->length[id] = size;
    header->end += size;
    if (id == FIELD_ATTR)
        header->attributes = tvb_get_ntohs(tvb, header->offset[id]);
    return true;
}

/* The fields of `wanted` (a mask of 1 << relay_field_id) from header->end on, as header->flags bring them. */
static bool
parse_fields(tvbuff_t *tvb, relay_header *header, unsigned wanted)
{
    for (unsigned id = 0; id < FIELD_COUNT; id++) {
        if ((wanted & (1U << id)) && !parse_field(tvb, header, (relay_field_id)id))
            return false;
    }
    return true;
}

#define ALL_FIELDS ((1U << FIELD_COUNT) - 1)

/* ---- the body: what it is ---- */

typedef enum { BODY_EMPTY, BODY_LINK, BODY_HBH, BODY_CONTROL, BODY_RTP, BODY_RTCP, BODY_UNKNOWN } relay_body;

/* What a body is of which the capture has no byte. Of those without attributes, what the relay counts is RTP: all 2,299
 * that it counts in two captures, and no control message of 102. */
static relay_body
classify_hidden(const relay_header *header)
{
    if (header->attributes & FT_RELAY_ATTR_LINK)
        return BODY_LINK;
    if (header->attributes & FT_RELAY_ATTR_HBH)
        return BODY_HBH;
    return header->flags & FLAG_COUNTED ? BODY_RTP : BODY_UNKNOWN;
}

/* In this order: the attributes come first, since an acknowledgement of a link message (80 06) looks like
 * RTP. */
static relay_body
classify_body(tvbuff_t *tvb, const relay_header *header, int length)
{
    const int captured = tvb_captured_length_remaining(tvb, header->end);

    if (header->attributes & FT_RELAY_ATTR_LINK)
        return BODY_LINK;
    if (header->attributes & FT_RELAY_ATTR_HBH)
        return BODY_HBH;
    if (length == 0)
        return BODY_EMPTY;
    if (captured <= 0 && length >= RTP_HEADER)
        return classify_hidden(header);
    if (length < 2 || captured <= 0)
        return BODY_UNKNOWN;

    const uint8_t first = tvb_get_uint8(tvb, header->end);
    const uint8_t second = captured > 1 ? tvb_get_uint8(tvb, header->end + 1) : first == 0x40 ? 0x0f : 0;
    if (first == 0x40 && second == 0x0f)
        return BODY_CONTROL;
    if (first >> 6 != 2)
        return BODY_UNKNOWN;
    if (second >= 192 && second <= 223)
        return BODY_RTCP;
    return length >= RTP_HEADER ? BODY_RTP : BODY_UNKNOWN;
}

/* ---- bodies that show themselves to be whole ---- */

static bool
proves_link(tvbuff_t *tvb, int offset, int length)
{
    static const uint8_t zeros[16] = { 0 };

    return length >= LINK_HEADER + HMAC_TLV && tvb_get_ntohs(tvb, offset + 2) == length - LINK_HEADER &&
           tvb_memeql(tvb, offset + 4, zeros, sizeof zeros) == 0 &&
           tvb_get_ntohl(tvb, offset + length - HMAC_TLV) == 0x00090014;
}

static bool
proves_hbh(tvbuff_t *tvb, int offset, int length)
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
typedef enum { GRADE_NONE, GRADE_UNKNOWN, GRADE_KNOWN, GRADE_SURE } body_grade;

/* The trailer shows where an RTP packet ends; a tag is no mark, so it takes the extension of such media too. */
static body_grade
grade_rtp(tvbuff_t *tvb, int offset, int length)
{
    ft_rtp_look look;

    if (!ft_rtp_look_at(tvb_new_subset_length(tvb, offset, length), &look) || !look.is_plain)
        return GRADE_UNKNOWN;
    if (look.trailer.length == 0 ||
        (look.trailer.form == FT_TRAILER_TAGGED && !(look.extension_fits && look.version == 2)))
        return GRADE_KNOWN;
    return GRADE_SURE;
}

static body_grade
grade_body(tvbuff_t *tvb, const relay_header *header, int length)
{
    const int offset = header->end;
    const bool is_whole = tvb_captured_length_remaining(tvb, offset) >= length;
    bool is_sure = false;

    switch (classify_body(tvb, header, length)) {
    case BODY_LINK:
        is_sure = is_whole && proves_link(tvb, offset, length);
        break;
    case BODY_HBH:
        is_sure = is_whole && proves_hbh(tvb, offset, length);
        break;
    case BODY_CONTROL:
        is_sure = length > CONTROL_HEADER;
        break;
    case BODY_RTCP:
        is_sure = is_whole && proves_rtcp(tvb, offset, length);
        break;
    case BODY_RTP:
        return grade_rtp(tvb, offset, length);
    case BODY_EMPTY: /* speaks for no reading but that of 2023 */
        return header->reading == 0 ? GRADE_KNOWN : GRADE_UNKNOWN;
    default:
        return GRADE_UNKNOWN;
    }
    return is_sure ? GRADE_SURE : GRADE_KNOWN;
}

/* ---- readings of a header ---- */

static uint16_t
value_of(tvbuff_t *tvb, const relay_header *header, relay_field_id id)
{
    return header->offset[id] ? tvb_get_ntohs(tvb, header->offset[id]) : 0;
}

#define READINGS (READ_PRIORITY_OF_STREAM | READ_TRANSITION)

/* Whether bits of this header can be read in this way. */
static bool
is_open_to(uint16_t flags, unsigned reading)
{
    if ((reading & READ_TRANSITION) && !(flags & FLAG_TRANSITION))
        return false;
    return !(reading & READ_PRIORITY_OF_STREAM) || ((flags & FLAG_PRIORITY) && !(flags & FLAG_STREAM));
}

/* The bytes of the body behind a whole header: as its packet length says, else to the end. */
static int
length_told(tvbuff_t *tvb, const relay_header *header, int end)
{
    return header->offset[FIELD_LENGTH] ? value_of(tvb, header, FIELD_LENGTH) : end - header->end;
}

static body_grade
grade_reading(tvbuff_t *tvb, const relay_header *header, int end)
{
    const int length = header->end <= end ? length_told(tvb, header, end) : 0;

    return header->end > end || length > end - header->end ? GRADE_NONE : grade_body(tvb, header, length);
}

/* A whole datagram's header, read as in 2023 unless another reading makes more of the body. It needs at least
 * FIXED_HEADER captured bytes. False where the header is cut. */
static bool
parse_header(tvbuff_t *tvb, int end, relay_header *header)
{
    const uint16_t flags = tvb_get_ntohs(tvb, CHANNEL_HEADER);
    body_grade best = GRADE_NONE;
    bool is_whole = false;

    for (unsigned reading = 0; reading <= READINGS && best < GRADE_SURE; reading++) {
        relay_header other = { .flags = flags, .reading = reading, .end = FIXED_HEADER };
        if (!is_open_to(flags, reading))
            continue;
        const bool fits = parse_fields(tvb, &other, ALL_FIELDS);
        if (reading == 0) {
            *header = other;
            is_whole = fits;
            if (!(flags & FLAG_TRANSITION) && !is_open_to(flags, READ_PRIORITY_OF_STREAM))
                break; /* nothing to choose */
        }
        const body_grade grade = fits ? grade_reading(tvb, &other, end) : GRADE_NONE;
        if (grade > best && (reading == 0 || grade > GRADE_UNKNOWN)) {
            best = grade;
            *header = other;
            is_whole = true;
        }
    }
    return is_whole;
}

/* Where the packet ends: where ChannelData says, or before, if the datagram is shorter. */
static int
packet_end(tvbuff_t *tvb)
{
    return MIN(CHANNEL_HEADER + (int)tvb_get_ntohs(tvb, 2), (int)tvb_reported_length(tvb));
}

/* ---- several packets in a datagram ---- */

typedef struct {
    relay_header header;
    int          start;
    int          length; /* of the body */
} chain_packet;

typedef struct {
    unsigned     count;
    int          rest; /* where the bytes begin that nothing was made of */
    chain_packet packets[FT_MAX_CHAIN];
} relay_chain;

#define MAX_CHAIN_TRIALS 512 /* heads that one datagram is tried with */

typedef struct {
    tvbuff_t    *tvb;
    int          end;
    unsigned     trials;
    relay_chain  tried;
    relay_chain *best; /* the longest that was found so far */
} chain_search;

/* What a head may have; a number counts through all of it. The bits come in the order of likelihood. */
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
        !is_open_to(header->flags, reading) || !parse_fields(tvb, header, ALL_FIELDS))
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
    return parse_field(search->tvb, header, is_count ? FIELD_STREAMS : FIELD_STREAM);
}

/* Adds a field that no bit announces. */
static bool
take_field(tvbuff_t *tvb, relay_header *header, relay_field_id id)
{
    const int size = relay_fields[id].size;

    if (tvb_captured_length_remaining(tvb, header->end) < size)
        return false;
    header->offset[id] = header->end;
    header->length[id] = size;
    header->end += size;
    return true;
}

#define MAX_PRIORITY 127

static bool
may_have_priority(const relay_header *header)
{
    const bool is_base_layer = (header->attributes & FT_RELAY_ATTR_DOWNLINK) && (header->flags & FLAG_UNFILTERED) &&
                               !(header->flags & FLAG_COUNTED);

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
    return take_field(tvb, header, FIELD_LENGTH) && value_of(tvb, header, FIELD_LENGTH) >> 14 == 0;
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
    packet->length = length_told(search->tvb, header, search->end);
    return packet->length > 0 && packet->length <= search->end - header->end;
}

/* A body that the capture cut can't show that it is whole: then it is enough that it is one. */
static bool
is_credible(const chain_search *search, const chain_packet *packet)
{
    const body_grade grade = grade_body(search->tvb, &packet->header, packet->length);

    return grade == GRADE_SURE ||
           (grade == GRADE_KNOWN &&
            packet->header.end + packet->length > (int)tvb_captured_length(search->tvb));
}

static void
keep_best(chain_search *search, int rest)
{
    if (search->tried.count < search->best->count)
        return;
    *search->best = search->tried;
    search->best->rest = rest;
}

/* Whether what begins at this offset parses to the datagram's end, or as far as it is taken apart or captured. */
static bool
search_chain(chain_search *search, int offset) // NOLINT(misc-no-recursion): FT_MAX_CHAIN deep
{
    keep_best(search, offset);
    if (offset >= MIN(search->end, (int)tvb_captured_length(search->tvb)) || search->tried.count == FT_MAX_CHAIN)
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

/* Takes a datagram apart, from its whole first header on. What is broken from the first packet on has none. */
static void
parse_chain(tvbuff_t *tvb, const relay_header *first, int end, relay_chain *chain)
{
    chain_search search = { .tvb = tvb, .end = end, .best = chain };
    const int length = length_told(tvb, first, end);

    chain->count = 0;
    chain->rest = first->end;
    if (length == 0 || length > end - first->end)
        return;
    search.tried.packets[0] = (chain_packet){ .header = *first, .length = length };
    search.tried.count = 1;
    search_chain(&search, first->end + length);
}

/* ---- evidence: a TURN channel that others number 0x6000 must not pass ---- */

/* Headers that bring next to nothing, which random bytes hardly do. */
#define PLAIN_FLAGS (FLAG_LINK | FLAG_UNFILTERED | FLAG_COUNTED | FLAG_PRIORITY)

/* The key id's trailer, and besides it the stream id or FaceTime's extension. Audio of 2023 between links may have
 * neither: there ports and a plain header do. Else, or where no word ends the packet, several packets must agree. */
static bool
proves_rtp(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, int length, bool ports_agree)
{
    const uint16_t stream = value_of(tvb, header, FIELD_STREAM);
    ft_rtp_look look;

    if (!ft_rtp_look_at(tvb_new_subset_length(tvb, header->end, length), &look) || !look.is_plain ||
        !look.trailer.length)
        return false;
    if (look.trailer.form == FT_TRAILER_TAGGED)
        return look.extension_fits && look.version == 2 &&
               ft_trailer_agrees(pinfo, &look.fixed, look.trailer.short_mki, true);
    if (look.trailer.form == FT_TRAILER_GROUP && !ft_mki_is_fresh(look.trailer.short_mki))
        return false;

    const uint16_t low = (uint16_t)look.fixed.ssrc;
    if (header->offset[FIELD_STREAM] && (stream == low || stream == (uint16_t)(low + 1)))
        return true;
    if (look.extension_fits ||
        (look.trailer.form == FT_TRAILER_UUID && ports_agree && !(header->flags & ~PLAIN_FLAGS)))
        return true;
    return ft_trailer_agrees(pinfo, &look.fixed, look.trailer.short_mki, false);
}

static bool
proves_body(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, int length)
{
    const bool ports_agree = (ft_is_device_port(pinfo->srcport) && ft_is_server_port(pinfo->destport)) ||
                             (ft_is_server_port(pinfo->srcport) && ft_is_device_port(pinfo->destport));

    switch (classify_body(tvb, header, length)) {
    case BODY_LINK:
        return proves_link(tvb, header->end, length);
    case BODY_HBH:
        return proves_hbh(tvb, header->end, length);
    case BODY_RTP:
        return proves_rtp(tvb, pinfo, header, length, ports_agree);
    case BODY_EMPTY: /* 0241: a device's counter; 0600: a relay's report */
        return ports_agree && (header->flags == (FLAG_COUNTER | FLAG_COUNTED | FLAG_STREAM) ||
                               header->flags == (FLAG_STATS | FLAG_COUNTER));
    default:
        return false;
    }
}

/* Of several packets, all must be whole, and one of them prove the flow. A control message has too little to show
 * for a form that no capture of ours has. */
static bool
proves_chain(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header)
{
    const int end = (int)tvb_reported_length(tvb);
    relay_chain chain;

    parse_chain(tvb, header, end, &chain);
    if (chain.count < 2 || chain.rest != end || grade_reading(tvb, header, end) != GRADE_SURE)
        return false;
    for (unsigned i = 0; i < chain.count; i++) {
        const chain_packet *packet = &chain.packets[i];
        if (classify_body(tvb, &packet->header, packet->length) != BODY_CONTROL &&
            proves_body(tvb, pinfo, &packet->header, packet->length))
            return true;
    }
    return false;
}

/* What a sender says again and again, and others' packets of this look don't: the participant, the SSRC, the key id.
 * 0 where the packet has none of them, or its capture doesn't. */
#define TOKENS_NEEDED 3

static uint64_t
repeated_token(tvbuff_t *tvb, const relay_header *header, relay_body body)
{
    const int participant = header->offset[FIELD_PARTICIPANT];

    if (body == BODY_CONTROL && tvb_captured_length_remaining(tvb, header->end) >= CONTROL_HEADER)
        return tvb_get_ntoh64(tvb, header->end + 2);
    if (participant)
        return tvb_get_ntoh64(tvb, participant);
    if (body == BODY_RTP && tvb_captured_length_remaining(tvb, header->end) >= RTP_HEADER)
        return tvb_get_ntohl(tvb, header->end + 8);
    return 0;
}

/* A packet that the capture cut, or whose body doesn't prove: the header parses as far as it goes, on a relay's port,
 * and several of the direction have a token in common. */
static bool
proves_in_number(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, relay_body body)
{
    if (!ft_is_server_port(pinfo->srcport) && !ft_is_server_port(pinfo->destport))
        return false;

    const uint64_t token = repeated_token(tvb, header, body);
    return token != 0 && ft_evidence_agrees(pinfo, token, TOKENS_NEEDED);
}

static bool
is_seen_form(const relay_header *header)
{
    return !(header->flags & (FLAG_LINKS | FLAG_UNKNOWN)) && !(header->attributes & ~KNOWN_ATTRS);
}

/* Only forms that captures have shown prove anything. */
static bool
quickrelay_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const unsigned length = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);
    relay_header header;

    if (captured < FIXED_HEADER || !ft_is_relay_channel(tvb_get_ntohs(tvb, 0)) ||
        tvb_get_ntohs(tvb, 2) != length - CHANNEL_HEADER)
        return false;

    const bool whole = parse_header(tvb, (int)length, &header);
    if (!is_seen_form(&header) || (!whole && captured == length))
        return false;

    if (header.flags & FLAG_LENGTH) {
        *generation = FT_MODERN;
        return captured == length && proves_chain(tvb, pinfo, &header);
    }

    const int left = (int)length - header.end;
    const relay_body body =
        whole ? classify_body(tvb, &header, left) : BODY_UNKNOWN;
    if ((body == BODY_UNKNOWN || body == BODY_RTCP) && whole && (int)captured > header.end)
        return false;
    if (!(captured == length && proves_body(tvb, pinfo, &header, left)) && !proves_in_number(tvb, pinfo, &header, body))
        return false;
    *generation = FT_MODERN;
    return true;
}

/* ---- showing the header ---- */

static void
show_number(tvbuff_t *tvb, packet_info *pinfo _U_, proto_tree *tree, const relay_header *header,
            relay_field_id id)
{
    proto_tree_add_item(tree, *relay_fields[id].hf, tvb, header->offset[id], header->length[id],
                        ENC_BIG_ENDIAN);
}

static void
show_link_id(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int hf, int offset)
{
    const ft_relay_link *link = ft_relay_link_find(pinfo, tvb_get_ntohs(tvb, offset));
    proto_item *item = proto_tree_add_item(tree, hf, tvb, offset, 2, ENC_BIG_ENDIAN);

    if (!link)
        return;
    proto_item_append_text(item, " = %s", ft_relay_link_str(pinfo->pool, link));
    item = proto_tree_add_uint(tree, hf_quickrelay_link_frame, tvb, offset, 2, link->frame);
    proto_item_set_generated(item);
}

static void
show_link(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header, relay_field_id id)
{
    show_link_id(tvb, pinfo, tree, *relay_fields[id].hf, header->offset[id]);
}

static void
show_list(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header, relay_field_id id)
{
    const int offset = header->offset[id];
    const bool are_links = id == FIELD_LINKS;
    proto_item *item =
        proto_tree_add_item(tree, are_links ? hf_quickrelay_secondary_links : hf_quickrelay_secondary_streams,
                            tvb, offset, 1, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_list);

    proto_item_set_len(item, header->length[id]);
    for (int at = offset + 1; at < offset + header->length[id]; at += relay_fields[id].size) {
        if (are_links)
            show_link_id(tvb, pinfo, subtree, *relay_fields[id].hf, at);
        else
            proto_tree_add_item(subtree, *relay_fields[id].hf, tvb, at, 2, ENC_BIG_ENDIAN);
    }
}

static void
show_transition(tvbuff_t *tvb, packet_info *pinfo _U_, proto_tree *tree, const relay_header *header,
                relay_field_id id)
{
    for (int at = header->offset[id]; at < header->offset[id] + header->length[id]; at += 2)
        proto_tree_add_item(tree, *relay_fields[id].hf, tvb, at, 2, ENC_BIG_ENDIAN);
}

static void
show_attr(tvbuff_t *tvb, packet_info *pinfo _U_, proto_tree *tree, const relay_header *header,
          relay_field_id id)
{
    proto_tree_add_bitmask(tree, tvb, header->offset[id], hf_quickrelay_attr, ett_quickrelay_attr, attr_bits,
                           ENC_BIG_ENDIAN);
}

/* The report names the device's packet that it answers: from there to here, less what the relay held it
 * for, is the round trip; where frame times can be believed, as judged by the media up to here. */
static void
show_echo(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int offset)
{
    const ft_relay_sent *sent =
        ft_relay_direction(pinfo) == FT_UPLINK ? NULL : ft_relay_counted(pinfo, tvb_get_ntohs(tvb, offset));
    const unsigned hold = tvb_get_ntohs(tvb, offset + 4);
    const nstime_t held = { hold / 1000, (int)(hold % 1000) * 1000000 };
    nstime_t round_trip;

    if (!sent)
        return;
    proto_item_set_generated(
        proto_tree_add_uint(tree, hf_quickrelay_stats_echo_of, tvb, offset, 2, sent->frame));
    const nstime_t now = ft_now(pinfo);
    nstime_delta(&round_trip, &now, &sent->time);
    nstime_subtract(&round_trip, &held);
    if (round_trip.secs >= 0 && round_trip.nsecs >= 0 && ft_mark_clock_is_good(pinfo))
        proto_item_set_generated(
            proto_tree_add_time(tree, hf_quickrelay_stats_rtt, tvb, offset, 6, &round_trip));
}

static void
show_stats(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header, relay_field_id id)
{
    static int *const numbers[] = { &hf_quickrelay_stats_echoed_counter, &hf_quickrelay_stats_clock,
                                    &hf_quickrelay_stats_hold,           &hf_quickrelay_stats_received,
                                    &hf_quickrelay_stats_sent,           &hf_quickrelay_stats_bandwidth };
    const int offset = header->offset[id];
    proto_item *item =
        proto_tree_add_item(tree, hf_quickrelay_stats, tvb, offset, header->length[id], ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_stats);

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
        proto_tree_add_item(subtree, *numbers[i], tvb, offset + 2 * (int)i, 2, ENC_BIG_ENDIAN);
    show_echo(tvb, pinfo, subtree, offset);
}

static void
show_fields(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header)
{
    for (unsigned id = 0; id < FIELD_COUNT; id++) {
        const relay_field *row = &relay_fields[id];
        if (!header->offset[id])
            continue;
        if (tree)
            row->show(tvb, pinfo, tree, header, (relay_field_id)id);
        if (row->unverified)
            expert_add_info_format(pinfo, tree, &ei_quickrelay_unverified, "Unverified form: %s",
                                   row->unverified);
    }
}

static void
check_bits(packet_info *pinfo, proto_item *item, const relay_header *header)
{
    if (header->flags & FLAG_UNKNOWN)
        expert_add_info_format(pinfo, item, &ei_quickrelay_unknown_bit, "Unknown flag 0x10 of flags 1");
    if (header->attributes & ~KNOWN_ATTRS)
        expert_add_info_format(pinfo, item, &ei_quickrelay_unknown_bit, "Unknown attributes 0x%04x",
                               header->attributes & ~KNOWN_ATTRS);
}

static void
show_flags(proto_tree *tree, tvbuff_t *tvb, int offset)
{
    proto_tree_add_bitmask(tree, tvb, offset, hf_quickrelay_flags1, ett_quickrelay_flags1, flags1_bits,
                           ENC_BIG_ENDIAN);
    proto_tree_add_bitmask(tree, tvb, offset + 1, hf_quickrelay_flags2, ett_quickrelay_flags2, flags2_bits,
                           ENC_BIG_ENDIAN);
}

static proto_tree *
show_header(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, const relay_header *header)
{
    proto_item *item = proto_tree_add_item(root, proto_quickrelay, tvb, 0, header->end, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_quickrelay);

    if (tree) {
        proto_tree_add_item(tree, hf_quickrelay_channel, tvb, 0, 2, ENC_BIG_ENDIAN);
        proto_tree_add_item(tree, hf_quickrelay_length, tvb, 2, 2, ENC_BIG_ENDIAN);
        show_flags(tree, tvb, CHANNEL_HEADER);
    }
    show_fields(tvb, pinfo, tree, header);
    check_bits(pinfo, item, header);
    return tree;
}

/* ---- bodies ---- */

/* What the dissectors of bodies are told of the header. The participant of a datagram's first packet is that of the
 * others too. */
static ft_relay_header
told_of(tvbuff_t *tvb, const relay_header *header, const relay_header *first)
{
    const int participant = first->offset[FIELD_PARTICIPANT];
    ft_relay_header told = {
        .attributes = header->attributes,
        .has_stream = header->offset[FIELD_STREAM] != 0,
        .has_link = header->offset[FIELD_LINK] != 0,
        .stream = value_of(tvb, header, FIELD_STREAM),
        .link = value_of(tvb, header, FIELD_LINK),
        .has_participant = participant != 0,
    };

    if (told.has_participant)
        tvb_memcpy(tvb, told.participant, participant, sizeof told.participant);
    return told;
}

/* The fields of the protobuf by number, with the length that the cipher gives them (5 of 5). The ciphertext
 * has 16 bytes in all of these, but other messages may have others: 0 is any. */
static const struct {
    int *hf;
    int length;
} hbh_fields[] = {
    [1] = { &hf_quickrelay_hbh_iv, 12 },
    [2] = { &hf_quickrelay_hbh_ciphertext, 0 },
    [3] = { &hf_quickrelay_hbh_tag, 16 },
};

/* One field, which must not come twice. */
static void
show_hbh_field(tvbuff_t *body, packet_info *pinfo, proto_tree *tree, unsigned number, int offset, int length,
               unsigned *seen)
{
    proto_item *item = proto_tree_add_item(tree, *hbh_fields[number].hf, body, offset, length, ENC_NA);

    if (*seen & 1U << number)
        expert_add_info_format(pinfo, item, &ei_quickrelay_bad_hbh, "Field %u comes again", number);
    else if (hbh_fields[number].length && length != hbh_fields[number].length)
        expert_add_info_format(pinfo, item, &ei_quickrelay_bad_hbh, "Field %u of %d bytes: %d are expected",
                               number, length, hbh_fields[number].length);
    *seen |= 1U << number;
}

/* The relay's body for the link between device and relay alone: a protobuf of three byte strings. */
static void
dissect_hbh(tvbuff_t *body, packet_info *pinfo, proto_tree *tree)
{
    const int end = tvb_reported_length(body);
    proto_item *item = proto_tree_add_item(tree, hf_quickrelay_hbh, body, 0, end, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_hbh);
    unsigned seen = 0;
    int offset = 0;

    while (offset < end) {
        /* A key of one byte (field number << 3, wire type 2), a length of one byte, the string. */
        const unsigned key = tvb_get_uint8(body, offset);
        const int length = offset + 1 < end ? tvb_get_uint8(body, offset + 1) : end;
        if ((key & 7) != 2 || key >> 3 == 0 || key >> 3 >= G_N_ELEMENTS(hbh_fields) ||
            length > end - offset - 2) {
            proto_tree_add_item(subtree, hf_quickrelay_hbh_unknown, body, offset, end - offset, ENC_NA);
            expert_add_info(pinfo, item, &ei_quickrelay_bad_hbh);
            return;
        }
        show_hbh_field(body, pinfo, subtree, key >> 3, offset + 2, length, &seen);
        offset += 2 + length;
    }
    for (unsigned number = 1; number < G_N_ELEMENTS(hbh_fields); number++) {
        if (!(seen & 1U << number))
            expert_add_info_format(pinfo, item, &ei_quickrelay_bad_hbh, "Field %u is missing", number);
    }
}

static void
show_unparsed(tvbuff_t *body, packet_info *pinfo, proto_tree *tree, const relay_header *header)
{
    proto_item *item =
        proto_tree_add_item(tree, hf_quickrelay_body, body, 0, tvb_reported_length(body), ENC_NA);

    expert_add_info(pinfo, item, &ei_quickrelay_unparsed_body);
    if (header->flags & FLAG_TRANSITION) /* newer builds are said to send more with it */
        expert_add_info_format(pinfo, item, &ei_quickrelay_unverified,
                               "Unverified form: data of transition streams");
}

/* clang-format off */
/* One row a kind of body: what it makes the packet, whose it is, and what the Info column says where it's
 * ours. */
static const struct {
    ft_kind             kind;
    dissector_handle_t *handle;
    const char         *info;
} bodies[] = {
    [BODY_LINK] = { FT_KIND_LINK, &link_handle, NULL },
    [BODY_HBH] = { FT_KIND_HBH, NULL, "Hop-by-hop encrypted message" },
    [BODY_CONTROL] = { FT_KIND_CONTROL, &control_handle, NULL },
    [BODY_RTP] = { FT_KIND_RTP, &facetime_rtp_handle, NULL },
    [BODY_RTCP] = { FT_KIND_RTCP, &rtcp_handle, NULL },
    [BODY_UNKNOWN] = { FT_KIND_DATA, NULL, "Unparsed body" },
};
/* clang-format on */

/* root: where the body's own protocol goes; tree: ours. first: the header of the datagram's first packet. */
static void
dissect_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, proto_tree *tree,
             const relay_header *header, const relay_header *first, int length)
{
    const relay_body what = classify_body(tvb, header, length);
    ft_relay_header told = told_of(tvb, header, first);
    ft_packet *packet = ft_packet_get(pinfo);

    if (length == 0) {
        if (what != BODY_EMPTY)
            expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                                   "The body that the attributes tell of is missing");
        return;
    }
    if (packet)
        packet->kind = bodies[what].kind;
    if (bodies[what].info)
        col_set_str(pinfo->cinfo, COL_INFO, bodies[what].info);

    tvbuff_t *body = tvb_new_subset_length(tvb, header->end, length);
    if (what == BODY_RTP)
        ft_relay_media(pinfo, &told);
    if (what == BODY_RTP || what == BODY_RTCP || what == BODY_CONTROL)
        ft_export_body(pinfo, packet, &told, body);
    if (what == BODY_HBH)
        dissect_hbh(body, pinfo, tree);
    else if (!bodies[what].handle)
        show_unparsed(body, pinfo, tree, header);
    else if (!call_dissector_only(*bodies[what].handle, body, pinfo, root, &told))
        call_data_dissector(body, pinfo, root);
}

/* ---- the packet ---- */

/* Once a flow. The device's socket is FaceTime's on its other flows, too. */
static void
learn_ends(packet_info *pinfo, ft_flow *flow, ft_direction direction)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    ft_flow_set_server(flow, direction == FT_UPLINK ? &destination : &source);
    ft_device_learn(pinfo, direction == FT_UPLINK ? &source : &destination);
}

static void
learn(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header)
{
    const ft_direction direction = ft_relay_direction(pinfo);
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return;
    packet->path = FT_PATH_RELAY;
    packet->generation = FT_MODERN;
    if (!packet->flow || !ft_learning(pinfo))
        return;
    if (!packet->flow->server && direction != FT_DIRECTION_UNKNOWN)
        learn_ends(pinfo, packet->flow, direction);
    if (header->offset[FIELD_COUNTER] && direction != FT_DOWNLINK)
        ft_relay_count(pinfo, value_of(tvb, header, FIELD_COUNTER));
    if (header->offset[FIELD_STATS])
        ft_mark_judge_clock(pinfo);
    if (header->offset[FIELD_PARTICIPANT])
        ft_clue_bytes(pinfo, FT_CLUE_PARTICIPANT, tvb_get_ptr(tvb, header->offset[FIELD_PARTICIPANT], 8), 8);
}

static void
summarize(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header)
{
    const int stats = header->offset[FIELD_STATS];

    if (stats)
        col_add_fstr(pinfo->cinfo, COL_INFO, "Report on counter %u: held %u ms, received %u, sent %u",
                     tvb_get_ntohs(tvb, stats), tvb_get_ntohs(tvb, stats + 4), tvb_get_ntohs(tvb, stats + 6),
                     tvb_get_ntohs(tvb, stats + 8));
    else if (header->offset[FIELD_COUNTER])
        col_add_fstr(pinfo->cinfo, COL_INFO, "Counter %u", value_of(tvb, header, FIELD_COUNTER));
    else
        col_set_str(pinfo->cinfo, COL_INFO, "Empty");
}

/* ---- the packets of a datagram ---- */

/* What comes of a datagram as a whole: RTP if any of its packets is, else what the first is. */
typedef struct {
    ft_kind     kind;
    uint8_t     payload_type;
    uint32_t    media_setup_frame;
    const char *protocol; /* of the column */
} chain_summary;

static void
summarize_packet(packet_info *pinfo, unsigned index, chain_summary *summary)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const char *protocol = col_get_text(pinfo->cinfo, COL_PROTOCOL);

    if (!packet || (index > 0 && (summary->kind == FT_KIND_RTP || packet->kind != FT_KIND_RTP)))
        return;
    *summary = (chain_summary){ packet->kind, packet->payload_type, packet->media_setup_frame,
                                protocol ? wmem_strdup(pinfo->pool, protocol) : NULL };
}

static void
set_summary(packet_info *pinfo, const chain_summary *summary)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return;
    packet->kind = summary->kind;
    packet->payload_type = summary->payload_type;
    packet->media_setup_frame = summary->media_setup_frame;
    if (summary->protocol)
        col_add_str(pinfo->cinfo, COL_PROTOCOL, summary->protocol);
}

static void
show_index(proto_tree *tree, tvbuff_t *tvb, const chain_packet *packet, unsigned index)
{
    proto_item_set_generated(proto_tree_add_uint(tree, hf_quickrelay_chain, tvb, packet->start,
                                                 packet->header.end - packet->start, index));
}

/* The head of a further packet. */
static proto_tree *
show_chained(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const chain_packet *packet, unsigned index)
{
    const relay_header *header = &packet->header;
    proto_item *item = proto_tree_add_item(tree, hf_quickrelay_chained, tvb, packet->start,
                                           header->end + packet->length - packet->start, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_chained);

    show_index(subtree, tvb, packet, index);
    if (header->offset[FIELD_PARTICIPANT]) { /* a full header again */
        show_flags(subtree, tvb, packet->start);
        check_bits(pinfo, item, header);
    }
    show_fields(tvb, pinfo, subtree, header);
    return subtree;
}

/* Bytes that no head and no body can be made of, or that are too many packets to take apart. */
static void
show_rest(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_chain *chain, int end)
{
    if (chain->rest >= end)
        return;

    const bool is_long = chain->count == FT_MAX_CHAIN;
    proto_item *item =
        proto_tree_add_item(tree, hf_quickrelay_undecided, tvb, chain->rest, end - chain->rest, ENC_NA);
    if (is_long)
        expert_add_info_format(pinfo, item, &ei_quickrelay_long_chain,
                               "More than %u packets in a datagram: the rest is not taken apart", FT_MAX_CHAIN);
    else
        expert_add_info(pinfo, item, &ei_quickrelay_broken_chain);
}

/* A datagram whose first header tells the length of its packet. Whatever stock does with Info, what a packet says
 * there stays. */
static void
dissect_chain(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, proto_tree *tree, const relay_header *first,
              int end)
{
    const ft_packet *known = ft_packet_get(pinfo);
    chain_summary summary = { .kind = known ? known->kind : FT_KIND_DATA };
    relay_chain chain;

    parse_chain(tvb, first, end, &chain);
    if (chain.count == 0) {
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length, "Packet length %d, but %d bytes are left",
                               length_told(tvb, first, end), end - first->end);
        col_set_str(pinfo->cinfo, COL_INFO, "Broken chain");
    }
    for (unsigned i = 0; i < chain.count; i++) {
        const chain_packet *packet = &chain.packets[i];
        proto_tree *own = i == 0 ? tree : show_chained(tvb, pinfo, tree, packet, i);
        if (i == 0 && chain.count > 1)
            show_index(tree, tvb, packet, i);
        if (i > 0) {
            col_append_str(pinfo->cinfo, COL_INFO, " | ");
            col_set_fence(pinfo->cinfo, COL_INFO);
            learn(tvb, pinfo, &packet->header);
        }
        dissect_body(tvb, pinfo, root, own, &packet->header, first, packet->length);
        summarize_packet(pinfo, i, &summary);
    }
    if (chain.count > 0)
        set_summary(pinfo, &summary);
    show_rest(tvb, pinfo, tree, &chain, end);
}

/* ---- the datagram ---- */

/* ChannelData's length, where it isn't the datagram's. */
static void
check_length(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const int told = CHANNEL_HEADER + tvb_get_ntohs(tvb, 2);
    const int there = tvb_reported_length(tvb);

    if (told != there)
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length, "Length %d, but %d bytes are there",
                               told - CHANNEL_HEADER, there - CHANNEL_HEADER);
    if (told < there)
        proto_tree_add_item(tree, hf_quickrelay_trailing, tvb, told, there - told, ENC_NA);
}

/* The header ran out of bytes: either the packet lies, or the capture kept too little of it (then
 * Wireshark says so). */
static void
tell_missing(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header)
{
    col_set_str(pinfo->cinfo, COL_INFO, "Header cut short");
    if (tvb_reported_length_remaining(tvb, header->end) >= header->missing)
        tvb_ensure_bytes_exist(tvb, header->end, header->missing);
    expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length, "The header runs past the packet's end");
    if (tvb_captured_length_remaining(tvb, header->end) > 0)
        proto_tree_add_item(tree, hf_quickrelay_trailing, tvb, header->end, -1, ENC_NA);
}

static int
dissect_without_flags(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root)
{
    proto_item *item = proto_tree_add_item(root, proto_quickrelay, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_quickrelay);
    ft_packet *packet = ft_packet_get(pinfo);

    if (packet)
        packet->path = FT_PATH_RELAY;
    col_set_str(pinfo->cinfo, COL_INFO, "Header cut short");
    proto_tree_add_item(tree, hf_quickrelay_channel, tvb, 0, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_quickrelay_length, tvb, 2, 2, ENC_BIG_ENDIAN);
    if (tvb_reported_length(tvb) >= FIXED_HEADER)
        tvb_ensure_bytes_exist(tvb, 0, FIXED_HEADER); /* not captured: Wireshark says so */
    expert_add_info_format(pinfo, item, &ei_quickrelay_bad_length, "No room for the flags");
    return tvb_reported_length(tvb);
}

static int
dissect_quickrelay(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, void *data _U_)
{
    relay_header header;

    if (tvb_reported_length(tvb) < CHANNEL_HEADER)
        return 0;
    col_set_str(pinfo->cinfo, COL_PROTOCOL, "QuickRelay");
    col_clear(pinfo->cinfo, COL_INFO);
    if (tvb_captured_length(tvb) < FIXED_HEADER)
        return dissect_without_flags(tvb, pinfo, root);

    const int end = packet_end(tvb);
    const bool is_whole = parse_header(tvb, end, &header);
    learn(tvb, pinfo, &header);
    proto_tree *tree = show_header(tvb, pinfo, root, &header);
    if (!is_whole) {
        ft_packet *packet = ft_packet_get(pinfo);
        const relay_body hidden = classify_hidden(&header);
        if (packet && hidden != BODY_UNKNOWN && tvb_captured_length(tvb) < tvb_reported_length(tvb))
            packet->kind = bodies[hidden].kind;
        tell_missing(tvb, pinfo, tree, &header);
        return tvb_reported_length(tvb);
    }

    check_length(tvb, pinfo, tree);
    if (header.end > end) {
        col_set_str(pinfo->cinfo, COL_INFO, "Header runs past the packet's length");
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                               "The header runs past the packet's length");
    } else if (header.flags & FLAG_LENGTH) {
        dissect_chain(tvb, pinfo, root, tree, &header, end);
    } else {
        if (header.end == end)
            summarize(tvb, pinfo, &header);
        dissect_body(tvb, pinfo, root, tree, &header, &header, end - header.end);
    }
    return tvb_reported_length(tvb);
}

/* clang-format off */
void
proto_register_quickrelay(void)
{
#define FLAG_INFO(byte, mask, NAME, name, label, blurb) \
        { &hf_quickrelay_flags##byte##_##name, \
          { label, "quickrelay.flags" #byte "." #name, FT_BOOLEAN, 8, NULL, mask, blurb, HFILL } },
#define ATTR_INFO(mask, name, label, blurb) \
        { &hf_quickrelay_attr_##name, \
          { label, "quickrelay.attr." #name, FT_BOOLEAN, 16, NULL, mask, blurb, HFILL } },
    static hf_register_info hf[] = {
        RELAY_FLAGS1(FLAG_INFO)
        RELAY_FLAGS2(FLAG_INFO)
        RELAY_ATTRS(ATTR_INFO)
        { &hf_quickrelay_channel,
          { "Channel", "quickrelay.channel", FT_UINT16, BASE_HEX, NULL, 0,
            "TURN channel number that the relay gave this session; 0x6000 in every capture", HFILL } },
        { &hf_quickrelay_length,
          { "Length", "quickrelay.length", FT_UINT16, BASE_DEC, NULL, 0,
            "Bytes behind this field: header and body", HFILL } },
        { &hf_quickrelay_flags1,
          { "Flags 1", "quickrelay.flags1", FT_UINT8, BASE_HEX, NULL, 0,
            "What the header holds and how the relay treats the packet, first byte", HFILL } },
        { &hf_quickrelay_flags2,
          { "Flags 2", "quickrelay.flags2", FT_UINT8, BASE_HEX, NULL, 0,
            "What the header holds and how the relay treats the packet, second byte", HFILL } },
        { &hf_quickrelay_attr,
          { "Attributes", "quickrelay.attr", FT_UINT16, BASE_HEX, NULL, 0,
            "What the body is, and more of the header", HFILL } },
        { &hf_quickrelay_stream,
          { "Stream", "quickrelay.stream", FT_UINT16, BASE_HEX, NULL, 0,
            "Stream id: the low half of the SSRC, one more on FEC parity packets", HFILL } },
        { &hf_quickrelay_secondary_streams,
          { "Secondary streams", "quickrelay.secondary_stream.count", FT_UINT8, BASE_DEC, NULL, 0,
            "How many ids of further streams follow", HFILL } },
        { &hf_quickrelay_secondary_stream,
          { "Secondary stream", "quickrelay.secondary_stream", FT_UINT16, BASE_HEX, NULL, 0,
            "Id of a further stream that this packet may serve (inferred)", HFILL } },
        { &hf_quickrelay_participant,
          { "Participant", "quickrelay.participant", FT_BYTES, BASE_NONE, NULL, 0,
            "Pseudonym of the other side on this session: addressee of an uplink packet, sender of a "
            "downlink one", HFILL } },
        { &hf_quickrelay_base_stream,
          { "Base layer stream", "quickrelay.base_stream", FT_UINT16, BASE_HEX, NULL, 0,
            "Stream id of the base layer (published; checked on one datagram)", HFILL } },
        { &hf_quickrelay_priority,
          { "Priority", "quickrelay.priority", FT_UINT8, BASE_DEC, NULL, 0,
            "Priority of the channel: 1 or 127 in every capture (meaning inferred)", HFILL } },
        { &hf_quickrelay_probe_group,
          { "Probe group", "quickrelay.probe_group", FT_UINT16, BASE_DEC, NULL, 0,
            "Group of packets that probe the bandwidth together (meaning inferred)", HFILL } },
        { &hf_quickrelay_session_version,
          { "Session version", "quickrelay.session_version", FT_UINT8, BASE_DEC, NULL, 0,
            "Version of the session info that the relay holds: it never falls within a session", HFILL } },
        { &hf_quickrelay_packet_length,
          { "Packet length", "quickrelay.packet_length", FT_UINT16, BASE_DEC, NULL, 0,
            "Bytes of this packet's body, others being chained behind it (published; checked on one datagram)",
            HFILL } },
        { &hf_quickrelay_counter,
          { "Counter", "quickrelay.counter", FT_UINT16, BASE_DEC, NULL, 0,
            "Packet counter of the device, echoed in the relay's report", HFILL } },
        { &hf_quickrelay_stats,
          { "Report", "quickrelay.stats", FT_NONE, BASE_NONE, NULL, 0,
            "The relay's report to the device", HFILL } },
        { &hf_quickrelay_stats_echoed_counter,
          { "Echoed counter", "quickrelay.stats.echoed_counter", FT_UINT16, BASE_DEC, NULL, 0,
            "Counter of the device's packet that this reports on", HFILL } },
        { &hf_quickrelay_stats_clock,
          { "Relay clock", "quickrelay.stats.clock", FT_UINT16, BASE_DEC, NULL, 0,
            "The relay's clock in milliseconds, modulo 65536", HFILL } },
        { &hf_quickrelay_stats_hold,
          { "Hold time", "quickrelay.stats.hold", FT_UINT16, BASE_DEC, NULL, 0,
            "Milliseconds between the counter's arrival and this report", HFILL } },
        { &hf_quickrelay_stats_received,
          { "Received", "quickrelay.stats.received", FT_UINT16, BASE_DEC, NULL, 0,
            "Counted packets that the relay had from this device, modulo 65536", HFILL } },
        { &hf_quickrelay_stats_sent,
          { "Sent", "quickrelay.stats.sent", FT_UINT16, BASE_DEC, NULL, 0,
            "Counted packets that the relay sent to this device, modulo 65536", HFILL } },
        { &hf_quickrelay_stats_bandwidth,
          { "Bandwidth", "quickrelay.stats.bandwidth", FT_UINT16, BASE_DEC | BASE_SPECIAL_VALS,
            VALS(bandwidth_vals), 0,
            "The relay's estimate of the uplink's bandwidth; 65535 is none (meaning and unit "
            "inferred)", HFILL } },
        { &hf_quickrelay_stats_echo_of,
          { "Echo of", "quickrelay.stats.echo_of", FT_FRAMENUM, BASE_NONE,
            FRAMENUM_TYPE(FT_FRAMENUM_REQUEST), 0,
            "The device's packet whose counter this report echoes", HFILL } },
        { &hf_quickrelay_stats_rtt,
          { "Round trip", "quickrelay.stats.rtt", FT_RELATIVE_TIME, BASE_NONE, NULL, 0,
            "From the packet echoed to this report, less the relay's hold time. Only where frame times can be "
            "believed, by the media so far: captures made on a phone stamp packets in batches", HFILL } },
        { &hf_quickrelay_link,
          { "Link", "quickrelay.link", FT_UINT16, BASE_HEX, NULL, 0,
            "Id of the relay link: where an uplink packet goes to, or a downlink packet comes "
            "from", HFILL } },
        { &hf_quickrelay_link_frame,
          { "Link announced in", "quickrelay.link.frame", FT_FRAMENUM, BASE_NONE, NULL, 0,
            "The link message that announced this link id", HFILL } },
        { &hf_quickrelay_secondary_links,
          { "Secondary links", "quickrelay.secondary_link.count", FT_UINT8, BASE_DEC, NULL, 0,
            "How many ids of further links follow; unverified", HFILL } },
        { &hf_quickrelay_secondary_link,
          { "Secondary link", "quickrelay.secondary_link", FT_UINT16, BASE_HEX, NULL, 0,
            "Id of a further relay link; unverified", HFILL } },
        { &hf_quickrelay_state,
          { "Session state", "quickrelay.state", FT_UINT8, BASE_DEC, NULL, 0,
            "State of the session at the relay: 0 in every capture", HFILL } },
        { &hf_quickrelay_chained,
          { "Chained packet", "quickrelay.chained", FT_NONE, BASE_NONE, NULL, 0,
            "A further packet in the same datagram (published; checked on one datagram)", HFILL } },
        { &hf_quickrelay_chain,
          { "Packet of the datagram", "quickrelay.chain", FT_UINT8, BASE_DEC, NULL, 0,
            "Number of this packet in its datagram, from 0; where a datagram has several", HFILL } },
        { &hf_quickrelay_undecided,
          { "Not taken apart", "quickrelay.undecided", FT_BYTES, BASE_NONE, NULL, 0,
            "What of a datagram of several packets can't be told apart", HFILL } },
        { &hf_quickrelay_transition_count,
          { "Transition streams", "quickrelay.transition_stream.count", FT_UINT8, BASE_DEC, NULL, 0,
            "One less than the ids of streams that follow the header; unverified", HFILL } },
        { &hf_quickrelay_transition_stream,
          { "Transition stream", "quickrelay.transition_stream", FT_UINT16, BASE_HEX, NULL, 0,
            "Id of a stream behind the header; unverified", HFILL } },
        { &hf_quickrelay_hbh,
          { "Hop-by-hop message", "quickrelay.hbh", FT_NONE, BASE_NONE, NULL, 0,
            "Protobuf encrypted between device and relay: as long as one RTCP generic NACK, each precedes "
            "a relay's retransmission", HFILL } },
        { &hf_quickrelay_hbh_iv,
          { "IV", "quickrelay.hbh.iv", FT_BYTES, BASE_NONE, NULL, 0,
            "Initialization vector, protobuf field 1", HFILL } },
        { &hf_quickrelay_hbh_ciphertext,
          { "Ciphertext", "quickrelay.hbh.ciphertext", FT_BYTES, BASE_NONE, NULL, 0,
            "Encrypted message, protobuf field 2", HFILL } },
        { &hf_quickrelay_hbh_tag,
          { "Tag", "quickrelay.hbh.tag", FT_BYTES, BASE_NONE, NULL, 0,
            "Authentication tag, protobuf field 3", HFILL } },
        { &hf_quickrelay_hbh_unknown,
          { "Unknown bytes", "quickrelay.hbh.unknown", FT_BYTES, BASE_NONE, NULL, 0,
            "What of the hop-by-hop message is not the protobuf that is known", HFILL } },
        { &hf_quickrelay_body,
          { "Unparsed body", "quickrelay.body", FT_BYTES, BASE_NONE, NULL, 0,
            "A body of no kind that is known", HFILL } },
        { &hf_quickrelay_trailing,
          { "Trailing bytes", "quickrelay.trailing", FT_BYTES, BASE_NONE, NULL, 0,
            "Bytes that the header or its length leave over", HFILL } },
    };
    static int *ett[] = {
        &ett_quickrelay, &ett_quickrelay_flags1, &ett_quickrelay_flags2, &ett_quickrelay_attr,
        &ett_quickrelay_list, &ett_quickrelay_stats, &ett_quickrelay_chained, &ett_quickrelay_hbh
    };
    static ei_register_info ei[] = {
        { &ei_quickrelay_bad_length,
          { "quickrelay.bad_length", PI_PROTOCOL, PI_ERROR, "A length or count doesn't fit the packet",
            EXPFILL } },
        { &ei_quickrelay_bad_hbh,
          { "quickrelay.bad_hbh", PI_MALFORMED, PI_ERROR, "Not the protobuf that hop-by-hop messages are",
            EXPFILL } },
        { &ei_quickrelay_unverified,
          { "quickrelay.unverified", PI_UNDECODED, PI_NOTE, "Unverified form: no capture has shown it yet",
            EXPFILL } },
        { &ei_quickrelay_unknown_bit,
          { "quickrelay.unknown_bit", PI_UNDECODED, PI_NOTE, "Unknown bit", EXPFILL } },
        { &ei_quickrelay_unparsed_body,
          { "quickrelay.unparsed_body", PI_UNDECODED, PI_NOTE, "Unparsed body: of no kind that is known",
            EXPFILL } },
        { &ei_quickrelay_broken_chain,
          { "quickrelay.broken_chain", PI_PROTOCOL, PI_WARN,
            "The datagram's further packets can't be taken apart", EXPFILL } },
        { &ei_quickrelay_long_chain,
          { "quickrelay.long_chain", PI_UNDECODED, PI_NOTE, "More packets in a datagram than are taken apart",
            EXPFILL } },
    };

    proto_quickrelay = proto_register_protocol("FaceTime QuickRelay Header", "QuickRelay", "quickrelay");
    proto_register_field_array(proto_quickrelay, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_quickrelay), ei, array_length(ei));
    register_dissector("quickrelay", dissect_quickrelay, proto_quickrelay);

    module_t *module = prefs_register_protocol(proto_quickrelay, NULL);
    prefs_register_uint_preference(module, "channel", "Relay channel number (hex)",
                                   "TURN channel that carries the QuickRelay header. The relay gives the "
                                   "number; only 6000 has been seen",
                                   16, &ft_relay_channel);
}

/* clang-format on */
void
proto_reg_handoff_quickrelay(void)
{
    link_handle = find_dissector_add_dependency("facetime_link", proto_quickrelay);
    control_handle = find_dissector_add_dependency("facetime_control", proto_quickrelay);
    facetime_rtp_handle = find_dissector_add_dependency("facetime_rtp", proto_quickrelay);
    rtcp_handle = find_dissector_add_dependency("facetime_rtcp", proto_quickrelay);
    ft_evidence_register(FT_SHAPE_QUICKRELAY, quickrelay_proves);
}
