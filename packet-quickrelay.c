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
 *   n 1, n secondary links 2 each | session state 1
 *
 *   stats:  echoed counter 2 | clock 2 | hold 2 | received 2 | sent 2 | bandwidth 2
 *
 * Evidence: all 5797 packets of three captures of 2023 parse to their body with this table. What no capture
 * shows is told by others' clients of 2026 alone; such forms carry the expert info quickrelay.unverified.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include <epan/expert.h>
#include <epan/prefs.h>

void proto_register_quickrelay(void);
void proto_reg_handoff_quickrelay(void);

#define CHANNEL_HEADER 4  /* channel number, length */
#define FIXED_HEADER   6  /* and the two bytes of flags */
#define MAX_CHAIN      64 /* packets that one datagram is taken apart into */
#define RTP_HEADER     12
#define MKI_TRAILER    20 /* of an RTP packet: a 16-byte MKI, a version 4 UUID, and a zero word */
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
      "Streams change over (name from others' clients); brings no field in the captures of 2023") \
    X(1, 0x04, STATS, stats, "Stats", "The relay's report follows") \
    X(1, 0x02, COUNTER, counter, "Counter", "A packet counter follows, or stands first in the report") \
    X(1, 0x01, UNFILTERED, unfiltered, "Not filtered by priority", \
      "Opts out of the relay's priority filter (name from others' clients, inferred)")
#define RELAY_FLAGS2(X) \
    X(2, 0x80, LENGTH, length, "Packet length", \
      "The packet's length follows: more packets are chained behind; unverified") \
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
static int hf_quickrelay_chained = -1;
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
    FIELD_PROBE,
    FIELD_VERSION,
    FIELD_LENGTH,
    FIELD_COUNTER,
    FIELD_STATS,
    FIELD_LINK,
    FIELD_LINKS,
    FIELD_STATE,
    FIELD_COUNT
} relay_field_id;

/* A header taken apart: made of captured bytes alone, without tree or state, for evidence and dissection
 * alike. */
typedef struct {
    uint16_t flags; /* flags1 in the high byte, flags2 in the low one */
    uint16_t attributes;
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
                            &hf_quickrelay_base_stream, show_number, "base layer stream id" },
    [FIELD_PRIORITY] = { FLAG_PRIORITY, 0, 0, 0, 1, false, &hf_quickrelay_priority, show_number, NULL },
    [FIELD_PROBE] = { FLAG_PROBE, 0, 0, 0, 2, false, &hf_quickrelay_probe_group, show_number, NULL },
    [FIELD_VERSION] = { FLAG_VERSION, 0, 0, 0, 1, false, &hf_quickrelay_session_version, show_number, NULL },
    [FIELD_LENGTH] = { FLAG_LENGTH, 0, 0, 0, 2, false,
                       &hf_quickrelay_packet_length, show_number, "packet length" },
    [FIELD_COUNTER] = { FLAG_COUNTER, FLAG_STATS, 0, 0, 2, false, &hf_quickrelay_counter, show_number, NULL },
    [FIELD_STATS] = { FLAG_STATS, 0, 0, 0, 12, false, &hf_quickrelay_stats, show_stats, NULL },
    [FIELD_LINK] = { FLAG_LINK, 0, 0, 0, 2, false, &hf_quickrelay_link, show_link, NULL },
    [FIELD_LINKS] = { FLAG_LINKS, 0, 0, 0, 2, true,
                      &hf_quickrelay_secondary_link, show_list, "secondary links" },
    [FIELD_STATE] = { FLAG_ATTR, 0, FT_RELAY_ATTR_STATE, 0, 1, false,
                      &hf_quickrelay_state, show_number, NULL },
};
/* clang-format on */

static bool
has_field(const relay_header *header, relay_field_id id)
{
    const relay_field *row = &relay_fields[id];

    return (header->flags & row->flags_set) == row->flags_set && !(header->flags & row->flags_clear) &&
           (header->attributes & row->attr_set) == row->attr_set && !(header->attributes & row->attr_clear);
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

/* A whole datagram's header. It needs at least FIXED_HEADER captured bytes. */
static bool
parse_header(tvbuff_t *tvb, relay_header *header)
{
    *header = (relay_header){ .flags = tvb_get_ntohs(tvb, CHANNEL_HEADER), .end = FIXED_HEADER };
    return parse_fields(tvb, header, ALL_FIELDS);
}

/* ---- the body: what it is ---- */

typedef enum { BODY_EMPTY, BODY_LINK, BODY_HBH, BODY_CONTROL, BODY_RTP, BODY_RTCP, BODY_UNKNOWN } relay_body;

/* In this order: the attributes come first, since an acknowledgement of a link message (80 06) looks like
 * RTP. */
static relay_body
classify_body(tvbuff_t *tvb, int offset, int length, uint16_t attributes)
{
    if (attributes & FT_RELAY_ATTR_LINK)
        return BODY_LINK;
    if (attributes & FT_RELAY_ATTR_HBH)
        return BODY_HBH;
    if (length == 0)
        return BODY_EMPTY;
    if (length < 2 || tvb_captured_length_remaining(tvb, offset) < 2)
        return BODY_UNKNOWN;

    const uint8_t first = tvb_get_uint8(tvb, offset), second = tvb_get_uint8(tvb, offset + 1);
    if (first == 0x40 && second == 0x0f)
        return BODY_CONTROL;
    if (first >> 6 != 2)
        return BODY_UNKNOWN;
    if (second >= 192 && second <= 223)
        return BODY_RTCP;
    return length >= RTP_HEADER ? BODY_RTP : BODY_UNKNOWN;
}

/* ---- evidence: a TURN channel that others number 0x6000 must not pass ---- */

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

/* The MKI trailer: a version 4 UUID and a zero word at the end of every RTP packet of 2023 (5366 of 5366). */
static bool
proves_rtp(tvbuff_t *tvb, int offset, int length)
{
    const int mki = offset + length - MKI_TRAILER;

    return length >= RTP_HEADER + MKI_TRAILER && tvb_get_uint8(tvb, mki + 6) >> 4 == 4 &&
           tvb_get_uint8(tvb, mki + 8) >> 6 == 2 && tvb_get_ntohl(tvb, mki + 16) == 0;
}

static bool
proves_body(tvbuff_t *tvb, const relay_header *header, bool ports_agree)
{
    const int length = tvb_reported_length_remaining(tvb, header->end);

    switch (classify_body(tvb, header->end, length, header->attributes)) {
    case BODY_LINK:
        return proves_link(tvb, header->end, length);
    case BODY_HBH:
        return proves_hbh(tvb, header->end, length);
    case BODY_RTP:
        return proves_rtp(tvb, header->end, length);
    case BODY_CONTROL:
        return ports_agree && length > CONTROL_HEADER;
    case BODY_EMPTY: /* 0241: a device's counter; 0600: a relay's report */
        return ports_agree && (header->flags == (FLAG_COUNTER | FLAG_COUNTED | FLAG_STREAM) ||
                               header->flags == (FLAG_STATS | FLAG_COUNTER));
    default:
        return false;
    }
}

/* Only forms that captures have shown prove anything; they are whole, so all of the packet must have been
 * captured. */
static bool
quickrelay_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const unsigned length = tvb_reported_length(tvb);
    relay_header header;

    if (length < FIXED_HEADER || tvb_captured_length(tvb) < length ||
        !ft_is_relay_channel(tvb_get_ntohs(tvb, 0)) || tvb_get_ntohs(tvb, 2) != length - CHANNEL_HEADER ||
        !parse_header(tvb, &header))
        return false;
    if ((header.flags & (FLAG_LINKS | FLAG_UNKNOWN | FLAG_LENGTH)) || (header.attributes & ~KNOWN_ATTRS))
        return false;

    const bool ports_agree = (ft_is_device_port(pinfo->srcport) && ft_is_server_port(pinfo->destport)) ||
                             (ft_is_server_port(pinfo->srcport) && ft_is_device_port(pinfo->destport));
    if (!proves_body(tvb, &header, ports_agree))
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
    if (round_trip.secs >= 0 && round_trip.nsecs >= 0 && ft_quality_clock_is_good(pinfo))
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

static proto_tree *
show_header(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, const relay_header *header)
{
    proto_item *item = proto_tree_add_item(root, proto_quickrelay, tvb, 0, header->end, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_quickrelay);

    if (tree) {
        proto_tree_add_item(tree, hf_quickrelay_channel, tvb, 0, 2, ENC_BIG_ENDIAN);
        proto_tree_add_item(tree, hf_quickrelay_length, tvb, 2, 2, ENC_BIG_ENDIAN);
        proto_tree_add_bitmask(tree, tvb, CHANNEL_HEADER, hf_quickrelay_flags1, ett_quickrelay_flags1,
                               flags1_bits, ENC_BIG_ENDIAN);
        proto_tree_add_bitmask(tree, tvb, CHANNEL_HEADER + 1, hf_quickrelay_flags2, ett_quickrelay_flags2,
                               flags2_bits, ENC_BIG_ENDIAN);
    }
    show_fields(tvb, pinfo, tree, header);
    check_bits(pinfo, item, header);
    return tree;
}

/* ---- bodies ---- */

static uint16_t
value_of(tvbuff_t *tvb, const relay_header *header, relay_field_id id)
{
    return header->offset[id] ? tvb_get_ntohs(tvb, header->offset[id]) : 0;
}

/* What the dissectors of bodies are told of the header. */
static ft_relay_header
told_of(tvbuff_t *tvb, const relay_header *header)
{
    ft_relay_header told = {
        .attributes = header->attributes,
        .has_stream = header->offset[FIELD_STREAM] != 0,
        .has_link = header->offset[FIELD_LINK] != 0,
        .stream = value_of(tvb, header, FIELD_STREAM),
        .link = value_of(tvb, header, FIELD_LINK),
        .has_participant = header->offset[FIELD_PARTICIPANT] != 0,
    };

    if (told.has_participant)
        tvb_memcpy(tvb, told.participant, header->offset[FIELD_PARTICIPANT], sizeof told.participant);
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

/* root: where the body's own protocol goes; tree: ours. */
static void
dissect_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, proto_tree *tree,
             const relay_header *header, int length)
{
    const relay_body what = classify_body(tvb, header->end, length, header->attributes);
    ft_relay_header told = told_of(tvb, header);
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
    if (what == BODY_HBH)
        dissect_hbh(body, pinfo, tree);
    else if (!bodies[what].handle)
        show_unparsed(body, pinfo, tree, header);
    else if (!call_dissector_only(*bodies[what].handle, body, pinfo, root, &told))
        call_data_dissector(body, pinfo, root);
}

/* ---- chained packets [unverified] ---- */

#define CHAINED_FIELDS (1U << FIELD_STREAM | 1U << FIELD_STREAMS | 1U << FIELD_PRIORITY)

/* The length of the body that begins at header->end: as its packet length says, else to the end. */
static int
body_length(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header, int end)
{
    const int left = end - header->end;
    const int length = header->offset[FIELD_LENGTH] ? value_of(tvb, header, FIELD_LENGTH) : left;

    if (length > left)
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                               "Packet length %d, but %d bytes are left", length, left);
    return MIN(length, left);
}

/* The header of a chained packet: those fields that the first packet's flags bring, and a length where yet
 * another packet follows. The last one has none: what stands there instead is the body, whose first bytes
 * (RTP, control) are far more than any length that fits. */
static bool
parse_chained(tvbuff_t *tvb, relay_header *header, int end)
{
    if (header->flags & FLAG_STREAM) /* either one stream or a list of them */
        header->flags &= ~FLAG_STREAMS;
    if (!parse_fields(tvb, header, CHAINED_FIELDS) || header->end > end)
        return false;
    return end - header->end < 2 || tvb_get_ntohs(tvb, header->end) > end - header->end - 2 ||
           parse_field(tvb, header, FIELD_LENGTH);
}

/* What stands behind a packet with a length. Others' clients send so; no capture has shown it. */
static void
dissect_chain(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, proto_tree *tree,
              const relay_header *first, int offset, int end)
{
    for (unsigned i = 1; offset < end; i++) {
        relay_header header = { .flags = first->flags, .end = offset };
        proto_item *item =
            proto_tree_add_item(tree, hf_quickrelay_chained, tvb, offset, end - offset, ENC_NA);
        proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_chained);
        expert_add_info_format(pinfo, item, &ei_quickrelay_unverified, "Unverified form: chained packet");
        if (i >= MAX_CHAIN || !parse_chained(tvb, &header, end)) {
            expert_add_info_format(pinfo, item, &ei_quickrelay_bad_length,
                                   "Chained packets that can't be taken apart");
            return;
        }
        const int length = body_length(tvb, pinfo, subtree, &header, end);
        proto_item_set_len(item, header.end + length - offset);
        show_fields(tvb, pinfo, subtree, &header);
        dissect_body(tvb, pinfo, root, subtree, &header, length);
        offset = header.end + length;
    }
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
        ft_quality_judge_clock(pinfo);
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

/* Where the packet ends: where ChannelData says, or before, if the datagram is shorter. */
static int
packet_end(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const int told = CHANNEL_HEADER + tvb_get_ntohs(tvb, 2);
    const int there = tvb_reported_length(tvb);

    if (told != there)
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length, "Length %d, but %d bytes are there",
                               told - CHANNEL_HEADER, there - CHANNEL_HEADER);
    if (told < there)
        proto_tree_add_item(tree, hf_quickrelay_trailing, tvb, told, there - told, ENC_NA);
    return MIN(told, there);
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

    const bool is_whole = parse_header(tvb, &header);
    learn(tvb, pinfo, &header);
    proto_tree *tree = show_header(tvb, pinfo, root, &header);
    if (!is_whole) {
        tell_missing(tvb, pinfo, tree, &header);
        return tvb_reported_length(tvb);
    }

    const int end = packet_end(tvb, pinfo, tree);
    if (header.end > end) {
        col_set_str(pinfo->cinfo, COL_INFO, "Header runs past the packet's length");
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                               "The header runs past the packet's length");
        return tvb_reported_length(tvb);
    }
    const int length = body_length(tvb, pinfo, tree, &header, end);
    if (length == 0)
        summarize(tvb, pinfo, &header);
    dissect_body(tvb, pinfo, root, tree, &header, length);
    dissect_chain(tvb, pinfo, root, tree, &header, header.end + length, end);
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
            "Stream id of the base layer; unverified", HFILL } },
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
            "Bytes of this packet's body, others being chained behind it; unverified", HFILL } },
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
            "A further packet in the same datagram; unverified", HFILL } },
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
          { "quickrelay.bad_length", PI_MALFORMED, PI_ERROR, "A length or count doesn't fit the packet",
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
