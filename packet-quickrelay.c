/* packet-quickrelay.c
 * QuickRelay: the header that today's relays (2019 on) and devices put on everything but QUIC.
 * On the wire it stands in TURN ChannelData (RFC 8656) of one channel, number 0x6000
 * (docs/protocol.md, 14, 15, 22.2 and 22.3).
 *
 *    0       2       4    5    6
 *   +-------+-------+----+----+------------------------------------+--------------------+
 *   | 60 00 | length| f1 | f2 | optional fields, as the bits of f1 | body: link, HBH,   |
 *   |       |       |    |    | and f2 and of `attr` say           | control, RTP, none |
 *   +-------+-------+----+----+------------------------------------+--------------------+
 *
 * The optional fields stand in one fixed order, that of RELAY_FIELDS in wire/relay_header.h:
 *
 *   attr 2 | stream 2 | n 1, n secondary streams 2 each | participant 8 | base layer stream 2 |
 *   priority 1 | probe group 2 | session version 1 | packet length 2 | counter 2 or stats 12 |
 *   link 2 |
 *   n 1, n secondary links 2 each | session state 1 | transition streams 2 each
 *
 *   stats:  echoed counter 2 | clock 2 | hold 2 | received 2 | sent 2 | bandwidth 2
 *
 * With the packet length, a datagram holds more packets (2026). Each has a head of its own, and
 * a length where yet another one follows:
 *
 *   full:    f1 f2 and optional fields, with the same participant | priority 1 | length 2
 *   stream:  stream 2                                             |  or none   | or none
 *   count:   n 1 (below 10 hex), n secondary streams 2 each       |            |
 *
 * Nothing in a head says which of these it has: what makes the rest of the datagram parse to its
 * end, with bodies that show themselves to be whole, decides.
 *
 * Evidence: all 5797 packets of three captures of 2023 parse to their body with this table. What
 * has been published of 2026 alone carries the expert info quickrelay.unverified; chains were
 * checked on one real datagram.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/export.h"
#include "calls/limits.h"
#include "calls/quality.h"
#include "calls/record.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "packet-rows.h"
#include "wire/relay_chain.h"
#include "wire/relay_proof.h"
#include <epan/expert.h>
#include <epan/prefs.h>
#include <wsutil/bits_ctz.h>

void proto_register_quickrelay(void);
void proto_reg_handoff_quickrelay(void);

static int proto_quickrelay = -1;

/* clang-format off */
/* The report: X(offset, length, encoding, its field) */
#define QUICKRELAY_STATS(X) \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_quickrelay_stats_echoed_counter, "Echoed counter", "quickrelay.stats.echoed_counter", \
      FT_UINT16, BASE_DEC, NULL, 0, "Counter of the device's packet that this reports on") \
    X(2, 2, ENC_BIG_ENDIAN, \
      hf_quickrelay_stats_clock, "Relay clock", "quickrelay.stats.clock", \
      FT_UINT16, BASE_DEC, NULL, 0, "The relay's clock in milliseconds, modulo 65536") \
    X(4, 2, ENC_BIG_ENDIAN, \
      hf_quickrelay_stats_hold, "Hold time", "quickrelay.stats.hold", \
      FT_UINT16, BASE_DEC, NULL, 0, "Milliseconds between the counter's arrival and this report") \
    X(6, 2, ENC_BIG_ENDIAN, \
      hf_quickrelay_stats_received, "Received", "quickrelay.stats.received", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Counted packets that the relay had from this device, modulo 65536") \
    X(8, 2, ENC_BIG_ENDIAN, \
      hf_quickrelay_stats_sent, "Sent", "quickrelay.stats.sent", FT_UINT16, BASE_DEC, NULL, 0, \
      "Counted packets that the relay sent to this device, modulo 65536") \
    X(10, 2, ENC_BIG_ENDIAN, \
      hf_quickrelay_stats_bandwidth, "Bandwidth", "quickrelay.stats.bandwidth", \
      FT_UINT16, BASE_DEC | BASE_SPECIAL_VALS, VALS(bandwidth_vals), 0, \
      "The relay's estimate of the uplink's bandwidth; 65535 is none (meaning and unit inferred)")

#define QUICKRELAY_FIELDS(X) \
    X(hf_quickrelay_channel, "Channel", "quickrelay.channel", FT_UINT16, BASE_HEX, NULL, 0, \
      "TURN channel number that the relay gave this session; 0x6000 in every capture") \
    X(hf_quickrelay_length, "Length", "quickrelay.length", FT_UINT16, BASE_DEC, NULL, 0, \
      "Bytes behind this field: header and body") \
    X(hf_quickrelay_flags1, "Flags 1", "quickrelay.flags1", FT_UINT8, BASE_HEX, NULL, 0, \
      "What the header holds and how the relay treats the packet, first byte") \
    X(hf_quickrelay_flags2, "Flags 2", "quickrelay.flags2", FT_UINT8, BASE_HEX, NULL, 0, \
      "What the header holds and how the relay treats the packet, second byte") \
    X(hf_quickrelay_secondary_streams, "Secondary streams", "quickrelay.secondary_stream.count", \
      FT_UINT8, BASE_DEC, NULL, 0, "How many ids of further streams follow") \
    X(hf_quickrelay_stats_echo_of, "Echo of", "quickrelay.stats.echo_of", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_REQUEST), 0, \
      "The device's packet whose counter this report echoes") \
    X(hf_quickrelay_stats_rtt, "Round trip", "quickrelay.stats.rtt", \
      FT_RELATIVE_TIME, BASE_NONE, NULL, 0, \
      "From the packet echoed to this report, less the relay's hold time. Only where frame " \
      "times can be believed, by the media so far: captures made on a phone stamp packets in " \
      "batches") \
    X(hf_quickrelay_link_frame, "Link announced in", "quickrelay.link.frame", \
      FT_FRAMENUM, BASE_NONE, NULL, 0, "The link message that announced this link id") \
    X(hf_quickrelay_secondary_links, "Secondary links", "quickrelay.secondary_link.count", \
      FT_UINT8, BASE_DEC, NULL, 0, "How many ids of further links follow; unverified") \
    X(hf_quickrelay_chained, "Chained packet", "quickrelay.chained", FT_NONE, BASE_NONE, NULL, 0, \
      "A further packet in the same datagram (published; checked on one datagram)") \
    X(hf_quickrelay_chain, "Packet of the datagram", "quickrelay.chain", \
      FT_UINT8, BASE_DEC, NULL, 0, \
      "Number of this packet in its datagram, from 0; where a datagram has several") \
    X(hf_quickrelay_undecided, "Not taken apart", "quickrelay.undecided", \
      FT_BYTES, BASE_NONE, NULL, 0, "What of a datagram of several packets can't be told apart") \
    X(hf_quickrelay_hbh, "Hop-by-hop message", "quickrelay.hbh", FT_NONE, BASE_NONE, NULL, 0, \
      "Protobuf encrypted between device and relay: as long as one RTCP generic NACK, each " \
      "precedes a relay's retransmission") \
    X(hf_quickrelay_hbh_iv, "IV", "quickrelay.hbh.iv", FT_BYTES, BASE_NONE, NULL, 0, \
      "Initialization vector, protobuf field 1") \
    X(hf_quickrelay_hbh_ciphertext, "Ciphertext", "quickrelay.hbh.ciphertext", \
      FT_BYTES, BASE_NONE, NULL, 0, "Encrypted message, protobuf field 2") \
    X(hf_quickrelay_hbh_tag, "Tag", "quickrelay.hbh.tag", FT_BYTES, BASE_NONE, NULL, 0, \
      "Authentication tag, protobuf field 3") \
    X(hf_quickrelay_hbh_unknown, "Unknown bytes", "quickrelay.hbh.unknown", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "What of the hop-by-hop message is not the protobuf that is known") \
    X(hf_quickrelay_body, "Unparsed body", "quickrelay.body", FT_BYTES, BASE_NONE, NULL, 0, \
      "A body of no kind that is known") \
    X(hf_quickrelay_trailing, "Trailing bytes", "quickrelay.trailing", \
      FT_BYTES, BASE_NONE, NULL, 0, "Bytes that the header or its length leave over")

#define QUICKRELAY_EXPERTS(X) \
    X(ei_quickrelay_bad_length, "quickrelay.bad_length", PI_PROTOCOL, PI_ERROR, \
      "A length or count doesn't fit the packet") \
    X(ei_quickrelay_bad_hbh, "quickrelay.bad_hbh", PI_MALFORMED, PI_ERROR, \
      "Not the protobuf that hop-by-hop messages are") \
    X(ei_quickrelay_unverified, "quickrelay.unverified", PI_UNDECODED, PI_NOTE, \
      "Unverified form: no capture has shown it yet") \
    X(ei_quickrelay_unknown_bit, "quickrelay.unknown_bit", PI_UNDECODED, PI_NOTE, "Unknown bit") \
    X(ei_quickrelay_unparsed_body, "quickrelay.unparsed_body", PI_UNDECODED, PI_NOTE, \
      "Unparsed body: of no kind that is known") \
    X(ei_quickrelay_broken_chain, "quickrelay.broken_chain", PI_PROTOCOL, PI_WARN, \
      "The datagram's further packets can't be taken apart") \
    X(ei_quickrelay_long_chain, "quickrelay.long_chain", PI_UNDECODED, PI_NOTE, \
      "More packets in a datagram than are taken apart")

#define QUICKRELAY_TREES(X) \
    X(ett_quickrelay) X(ett_quickrelay_flags1) X(ett_quickrelay_flags2) X(ett_quickrelay_attr) \
    X(ett_quickrelay_list) X(ett_quickrelay_stats) X(ett_quickrelay_chained) X(ett_quickrelay_hbh)

#define DECLARE_FLAG(NAME, ...) DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_FLAG(NAME, ...) REGISTER_FIELD(__VA_ARGS__)
#define FLAG_POINTER(NAME, ...) FIELD_POINTER(__VA_ARGS__)
#define DECLARE_RELAY(id, flags_set, flags_clear, attr_set, attr_clear, size, is_list, show, \
                      unverified, ...) \
    DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_RELAY(id, flags_set, flags_clear, attr_set, attr_clear, size, is_list, show, \
                       unverified, ...) \
    REGISTER_FIELD(__VA_ARGS__)
#define FIELD_SHOWN(id, flags_set, flags_clear, attr_set, attr_clear, size, is_list, show, \
                    unverified, ...) \
    { FIELD_POINTER(__VA_ARGS__) show, unverified },

QUICKRELAY_FIELDS(DECLARE_FIELD)
QUICKRELAY_STATS(DECLARE_LAYOUT)
RELAY_FLAGS1(DECLARE_FLAG)
RELAY_FLAGS2(DECLARE_FLAG)
RELAY_ATTRS(DECLARE_FIELD)
RELAY_FIELDS(DECLARE_RELAY)
QUICKRELAY_EXPERTS(DECLARE_EXPERT)
QUICKRELAY_TREES(DECLARE_TREE)

static int *const flags1_bits[] = { RELAY_FLAGS1(FLAG_POINTER) NULL };
static int *const flags2_bits[] = { RELAY_FLAGS2(FLAG_POINTER) NULL };
static int *const attr_bits[] = { RELAY_ATTRS(FIELD_POINTER) NULL };
static const layout_row stats_fields[] = { QUICKRELAY_STATS(LAYOUT_ROW) };
/* clang-format on */

static dissector_handle_t link_handle;
static dissector_handle_t control_handle;
static dissector_handle_t facetime_rtp_handle;
static dissector_handle_t rtcp_handle;

static const value_string bandwidth_vals[] = { { 65535, "no estimate" }, { 0, NULL } };

typedef void field_decoder(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                           const relay_header *header, relay_field_id id);

static field_decoder show_number, show_list, show_attr, show_stats, show_link, show_transition;

static const struct {
    int *hf;
    field_decoder *show;
    const char *unverified;
} relay_fields[FIELD_COUNT] = { RELAY_FIELDS(FIELD_SHOWN) };

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
show_link(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header,
          relay_field_id id)
{
    show_link_id(tvb, pinfo, tree, *relay_fields[id].hf, header->offset[id]);
}

static void
show_list(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header,
          relay_field_id id)
{
    const int offset = header->offset[id];
    const bool are_links = id == FIELD_LINKS;
    proto_item *item = proto_tree_add_item(
        tree, are_links ? hf_quickrelay_secondary_links : hf_quickrelay_secondary_streams, tvb,
        offset, 1, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_list);

    proto_item_set_len(item, header->length[id]);
    for (int at = offset + 1; at < offset + header->length[id]; at += relay_field_size(id)) {
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
    proto_tree_add_bitmask(tree, tvb, header->offset[id], hf_quickrelay_attr, ett_quickrelay_attr,
                           attr_bits, ENC_BIG_ENDIAN);
}

/* The report names the device's packet that it answers: from there to here, less what the relay
 * held it for, is the round trip; where frame times can be believed, as judged by the media up
 * to here. */
static void
show_echo(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int offset)
{
    const ft_relay_sent *sent = ft_relay_direction(pinfo) == FT_UPLINK
                                    ? NULL
                                    : ft_relay_counted(pinfo, tvb_get_ntohs(tvb, offset));
    const unsigned hold = tvb_get_ntohs(tvb, offset + 4);
    const nstime_t held = { hold / 1000, (int)(hold % 1000) * 1000000 };

    if (!sent)
        return;
    proto_item_set_generated(
        proto_tree_add_uint(tree, hf_quickrelay_stats_echo_of, tvb, offset, 2, sent->frame));
    const nstime_t passed = ft_passed_since(&sent->time, pinfo);
    const nstime_t round_trip = ft_passed(&held, &passed);
    if (round_trip.secs >= 0 && round_trip.nsecs >= 0 && ft_mark_clock_is_good(pinfo))
        proto_item_set_generated(
            proto_tree_add_time(tree, hf_quickrelay_stats_rtt, tvb, offset, 6, &round_trip));
}

static void
show_stats(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header,
           relay_field_id id)
{
    const int offset = header->offset[id];
    proto_item *item =
        proto_tree_add_item(tree, hf_quickrelay_stats, tvb, offset, header->length[id], ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_quickrelay_stats);

    SHOW_LAYOUT(subtree, tvb, offset, stats_fields);
    show_echo(tvb, pinfo, subtree, offset);
}

static void
show_fields(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_header *header)
{
    for (unsigned left = header->fields; left; left &= left - 1) {
        const unsigned id = (unsigned)ws_ctz(left);
        if (tree)
            relay_fields[id].show(tvb, pinfo, tree, header, (relay_field_id)id);
        if (relay_fields[id].unverified)
            expert_add_info_format(pinfo, tree, &ei_quickrelay_unverified, "Unverified form: %s",
                                   relay_fields[id].unverified);
    }
}

static void
check_bits(packet_info *pinfo, proto_item *item, const relay_header *header)
{
    if (header->flags & FLAG_UNKNOWN)
        expert_add_info_format(pinfo, item, &ei_quickrelay_unknown_bit,
                               "Unknown flag 0x10 of flags 1");
    if (header->attributes & ~KNOWN_ATTRS)
        expert_add_info_format(pinfo, item, &ei_quickrelay_unknown_bit, "Unknown attributes 0x%04x",
                               header->attributes & ~KNOWN_ATTRS);
}

static void
show_flags(proto_tree *tree, tvbuff_t *tvb, int offset)
{
    proto_tree_add_bitmask(tree, tvb, offset, hf_quickrelay_flags1, ett_quickrelay_flags1,
                           flags1_bits, ENC_BIG_ENDIAN);
    proto_tree_add_bitmask(tree, tvb, offset + 1, hf_quickrelay_flags2, ett_quickrelay_flags2,
                           flags2_bits, ENC_BIG_ENDIAN);
}

static proto_tree *
show_relay_header(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, const relay_header *header)
{
    proto_item *item =
        root ? proto_tree_add_item(root, proto_quickrelay, tvb, 0, header->end, ENC_NA) : NULL;
    proto_tree *tree = proto_item_add_subtree(item, ett_quickrelay);

    if (tree) {
        proto_tree_add_item(tree, hf_quickrelay_channel, tvb, 0, 2, ENC_BIG_ENDIAN);
        proto_tree_add_item(tree, hf_quickrelay_length, tvb, 2, 2, ENC_BIG_ENDIAN);
        show_flags(tree, tvb, RELAY_CHANNEL_HEADER);
    }
    show_fields(tvb, pinfo, tree, header);
    check_bits(pinfo, item, header);
    return tree;
}

/* ---- bodies ---- */

/* What the dissectors of bodies are told of the header. The participant of a datagram's first
 * packet is that of the others too. */
static ft_relay_header
told_of(tvbuff_t *tvb, const relay_header *header, const relay_header *first)
{
    const int participant = first->offset[FIELD_PARTICIPANT];
    ft_relay_header told = {
        .attributes = header->attributes,
        .has_stream = header->offset[FIELD_STREAM] != 0,
        .has_link = header->offset[FIELD_LINK] != 0,
        .stream = relay_value_of(tvb, header, FIELD_STREAM),
        .link = relay_value_of(tvb, header, FIELD_LINK),
        .has_participant = participant != 0,
    };

    if (told.has_participant)
        tvb_memcpy(tvb, told.participant, participant, sizeof told.participant);
    return told;
}

/* The fields of the protobuf by number, with the length that the cipher gives them (5 of 5). The
 * ciphertext has 16 bytes in all of these, but other messages may have others: 0 is any. */
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
show_hbh_field(tvbuff_t *body, packet_info *pinfo, proto_tree *tree, unsigned number, int offset,
               int length, unsigned *seen)
{
    proto_item *item =
        proto_tree_add_item(tree, *hbh_fields[number].hf, body, offset, length, ENC_NA);

    if (*seen & 1U << number)
        expert_add_info_format(pinfo, item, &ei_quickrelay_bad_hbh, "Field %u comes again", number);
    else if (hbh_fields[number].length && length != hbh_fields[number].length)
        expert_add_info_format(pinfo, item, &ei_quickrelay_bad_hbh,
                               "Field %u of %d bytes: %d are expected", number, length,
                               hbh_fields[number].length);
    *seen |= 1U << number;
}

/* The relay's body for the link between device and relay alone: a protobuf of three byte
 * strings. */
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
            proto_tree_add_item(subtree, hf_quickrelay_hbh_unknown, body, offset, end - offset,
                                ENC_NA);
            expert_add_info(pinfo, item, &ei_quickrelay_bad_hbh);
            return;
        }
        show_hbh_field(body, pinfo, subtree, key >> 3, offset + 2, length, &seen);
        offset += 2 + length;
    }
    for (unsigned number = 1; number < G_N_ELEMENTS(hbh_fields); number++) {
        if (!(seen & 1U << number))
            expert_add_info_format(pinfo, item, &ei_quickrelay_bad_hbh, "Field %u is missing",
                                   number);
    }
}

static void
show_unparsed_body(tvbuff_t *body, packet_info *pinfo, proto_tree *tree, const relay_header *header)
{
    proto_item *item =
        proto_tree_add_item(tree, hf_quickrelay_body, body, 0, tvb_reported_length(body), ENC_NA);

    expert_add_info(pinfo, item, &ei_quickrelay_unparsed_body);
    if (header->flags & FLAG_TRANSITION) /* newer builds are said to send more with it */
        expert_add_info_format(pinfo, item, &ei_quickrelay_unverified,
                               "Unverified form: data of transition streams");
}

/* clang-format off */
/* One row a kind of body: what it makes the packet, whose it is, and what the Info column says
 * where it's ours. */
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

/* root: where the body's own protocol goes; tree: ours. first: the header of the datagram's
 * first packet. */
static void
dissect_relay_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, proto_tree *tree,
                   const relay_header *header, const relay_header *first, int length)
{
    const relay_body what = relay_classify_body(tvb, header, length);
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
    const bool is_body_first = what == BODY_RTP && ft_relay_waits(pinfo);
    if (what == BODY_RTP && !is_body_first)
        ft_relay_media(pinfo, &told);
    if (what == BODY_RTP || what == BODY_RTCP || what == BODY_CONTROL)
        ft_export_body(pinfo, packet, &told, body);
    if (what == BODY_HBH)
        dissect_hbh(body, pinfo, tree);
    else if (!bodies[what].handle)
        show_unparsed_body(body, pinfo, tree, header);
    else if (!call_dissector_only(*bodies[what].handle, body, pinfo, root, &told))
        call_data_dissector(body, pinfo, root);
    if (is_body_first)
        ft_relay_media(pinfo, &told);
}

/* ---- the packet ---- */

/* Once a flow. The device's socket is FaceTime's on its other flows, too. */
static void
learn_ends(packet_info *pinfo, ft_flow *flow, ft_direction direction)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const ft_endpoint *relay = direction == FT_UPLINK ? &destination : &source;

    ft_flow_set_server(pinfo, flow, relay);
    if (!ft_is_private(&relay->addr)) /* those are several devices' */
        ft_relay_learn(pinfo, relay);
    ft_device_learn(pinfo, direction == FT_UPLINK ? &source : &destination);
}

static void
learn_relay_header(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header)
{
    const ft_direction direction = ft_relay_direction(pinfo);
    ft_packet *packet = ft_packet_get(pinfo);
    ft_record *record = ft_record_new(pinfo);

    if (record && header->offset[FIELD_LINK]) {
        record->has_link = true;
        record->link = relay_value_of(tvb, header, FIELD_LINK);
    }
    if (!packet)
        return;
    packet->path = FT_PATH_RELAY;
    packet->generation = packet->shown_generation = FT_MODERN;
    if (!packet->flow || !ft_learning(pinfo))
        return;
    if (!packet->flow->server && direction != FT_DIRECTION_UNKNOWN)
        learn_ends(pinfo, packet->flow, direction);
    if (header->offset[FIELD_COUNTER] && direction != FT_DOWNLINK)
        ft_relay_count(pinfo, relay_value_of(tvb, header, FIELD_COUNTER));
    if (header->offset[FIELD_STATS])
        ft_mark_judge_clock(pinfo);
    if (header->offset[FIELD_PARTICIPANT])
        ft_clue_bytes(pinfo, FT_CLUE_PARTICIPANT,
                      tvb_get_ptr(tvb, header->offset[FIELD_PARTICIPANT], 8), 8);
}

static void
summarize_relay(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header)
{
    const int stats = header->offset[FIELD_STATS];

    if (stats)
        col_add_fstr(pinfo->cinfo, COL_INFO,
                     "Report on counter %u: held %u ms, received %u, sent %u",
                     tvb_get_ntohs(tvb, stats), tvb_get_ntohs(tvb, stats + 4),
                     tvb_get_ntohs(tvb, stats + 6), tvb_get_ntohs(tvb, stats + 8));
    else if (header->offset[FIELD_COUNTER])
        col_add_fstr(pinfo->cinfo, COL_INFO, "Counter %u",
                     relay_value_of(tvb, header, FIELD_COUNTER));
    else
        col_set_str(pinfo->cinfo, COL_INFO, "Empty");
}

/* ---- the packets of a datagram ---- */

/* What comes of a datagram as a whole: RTP if any of its packets is, else what the first is. */
typedef struct {
    ft_kind kind;
    uint8_t payload_type;
    uint32_t media_setup_frame;
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
show_chained(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const chain_packet *packet,
             unsigned index)
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
    proto_item *item = proto_tree_add_item(tree, hf_quickrelay_undecided, tvb, chain->rest,
                                           end - chain->rest, ENC_NA);
    if (is_long)
        expert_add_info_format(pinfo, item, &ei_quickrelay_long_chain,
                               "More than %u packets in a datagram: the rest is not taken apart",
                               FT_MAX_CHAIN);
    else
        expert_add_info(pinfo, item, &ei_quickrelay_broken_chain);
}

/* Where the first packet ends is told by its header alone: if its body doesn't show itself to be
 * whole there, the others begin where nobody knows. */
static void
check_first(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_chain *chain)
{
    const chain_packet *first = &chain->packets[0];

    if (chain->count > 1 && first->header.end + first->length <= (int)tvb_captured_length(tvb) &&
        relay_grade_body(tvb, &first->header, first->length) != GRADE_SURE)
        expert_add_info_format(pinfo, tree, &ei_quickrelay_broken_chain,
                               "The first packet doesn't end as one: what follows is doubtful");
}

/* That a control message was as long as told, nothing here says but the length itself. */
static void
check_begin(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const relay_chain *chain,
            unsigned index)
{
    if (!relay_is_anchored(tvb, &chain->packets[index - 1], &chain->packets[index]))
        expert_add_info_format(pinfo, tree, &ei_quickrelay_unverified,
                               "Unverified form: nothing but its length tells where the control "
                               "message before this packet ends");
}

/* A datagram whose first header tells the length of its packet. Whatever stock does with Info,
 * what a packet says there stays. */
static void
dissect_chain(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, proto_tree *tree,
              const relay_header *first, int end)
{
    const ft_packet *known = ft_packet_get(pinfo);
    chain_summary summary = { .kind = known ? known->kind : FT_KIND_DATA };
    relay_chain chain;

    relay_parse_chain(tvb, first, end, &chain);
    if (chain.count == 0) {
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                               "Packet length %d, but %d bytes are left",
                               relay_length_told(tvb, first, end), end - first->end);
        col_set_str(pinfo->cinfo, COL_INFO, "Broken chain");
    }
    for (unsigned i = 0; i < chain.count; i++) {
        const chain_packet *packet = &chain.packets[i];
        proto_tree *own = i == 0 ? tree : show_chained(tvb, pinfo, tree, packet, i);
        if (i == 0 && (chain.count > 1 || chain.rest < end))
            show_index(tree, tvb, packet, i);
        if (i > 0) {
            check_begin(tvb, pinfo, own, &chain, i);
            col_append_str(pinfo->cinfo, COL_INFO, " | ");
            col_set_fence(pinfo->cinfo, COL_INFO);
            learn_relay_header(tvb, pinfo, &packet->header);
        }
        dissect_relay_body(tvb, pinfo, root, own, &packet->header, first, packet->length);
        if (chain.count > 1)
            ft_record_chained(pinfo, i,
                              (uint32_t)(packet->header.end + packet->length - packet->start));
        summarize_packet(pinfo, i, &summary);
    }
    if (chain.count > 0)
        set_summary(pinfo, &summary);
    check_first(tvb, pinfo, tree, &chain);
    show_rest(tvb, pinfo, tree, &chain, end);
}

/* ---- the datagram ---- */

/* ChannelData's length, where it isn't the datagram's. */
static void
check_channel_length(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const int told = RELAY_CHANNEL_HEADER + tvb_get_ntohs(tvb, 2);
    const int there = tvb_reported_length(tvb);

    if (told != there)
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                               "Length %d, but %d bytes are there", told - RELAY_CHANNEL_HEADER,
                               there - RELAY_CHANNEL_HEADER);
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
    expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                           "The header runs past the packet's end");
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
    if (tvb_reported_length(tvb) >= RELAY_FIXED_HEADER)
        tvb_ensure_bytes_exist(tvb, 0, RELAY_FIXED_HEADER); /* not captured: Wireshark says so */
    expert_add_info_format(pinfo, item, &ei_quickrelay_bad_length, "No room for the flags");
    return tvb_reported_length(tvb);
}

static int
dissect_quickrelay(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, void *data _U_)
{
    relay_header header;

    if (tvb_reported_length(tvb) < RELAY_CHANNEL_HEADER)
        return 0;
    col_set_str(pinfo->cinfo, COL_PROTOCOL, "QuickRelay");
    col_clear(pinfo->cinfo, COL_INFO);
    if (tvb_captured_length(tvb) < RELAY_FIXED_HEADER)
        return dissect_without_flags(tvb, pinfo, root);

    const int end = relay_packet_end(tvb);
    const ft_relay_open open = relay_open_part(tvb);
    const bool is_whole =
        relay_parse_header(tvb, end, open.bits ? ft_relay_reading(pinfo, &open) : 0, &header);
    if (open.bits && header.is_borne_out)
        ft_relay_reading_seen(pinfo, &open, header.reading);
    learn_relay_header(tvb, pinfo, &header);
    proto_tree *tree = show_relay_header(tvb, pinfo, root, &header);
    if (!is_whole) {
        ft_packet *packet = ft_packet_get(pinfo);
        const relay_body hidden = relay_classify_hidden(&header);
        if (packet && hidden != BODY_UNKNOWN && tvb_captured_length(tvb) < tvb_reported_length(tvb))
            packet->kind = bodies[hidden].kind;
        tell_missing(tvb, pinfo, tree, &header);
        return tvb_reported_length(tvb);
    }

    check_channel_length(tvb, pinfo, tree);
    if (header.end > end) {
        col_set_str(pinfo->cinfo, COL_INFO, "Header runs past the packet's length");
        expert_add_info_format(pinfo, tree, &ei_quickrelay_bad_length,
                               "The header runs past the packet's length");
    } else if (header.flags & FLAG_LENGTH) {
        dissect_chain(tvb, pinfo, root, tree, &header, end);
    } else {
        if (header.end == end)
            summarize_relay(tvb, pinfo, &header);
        dissect_relay_body(tvb, pinfo, root, tree, &header, &header, end - header.end);
    }
    return tvb_reported_length(tvb);
}

/* clang-format off */
void
proto_register_quickrelay(void)
{
    static hf_register_info hf[] = {
        QUICKRELAY_FIELDS(REGISTER_FIELD) RELAY_FLAGS1(REGISTER_FLAG) RELAY_FLAGS2(REGISTER_FLAG)
        RELAY_ATTRS(REGISTER_FIELD) RELAY_FIELDS(REGISTER_RELAY) QUICKRELAY_STATS(REGISTER_LAYOUT)
    };
    static int *ett[] = { QUICKRELAY_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { QUICKRELAY_EXPERTS(REGISTER_EXPERT) };

    proto_quickrelay = proto_register_protocol("FaceTime QuickRelay Header", "QuickRelay",
        "quickrelay");
    proto_register_field_array(proto_quickrelay, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_quickrelay), ei, array_length(ei));
    register_dissector("quickrelay", dissect_quickrelay, proto_quickrelay);

    module_t *module = prefs_register_protocol(proto_quickrelay, NULL);
    prefs_register_uint_preference(module, "channel", "Relay channel number (hex)",
                                   "TURN channel that carries the QuickRelay header. The relay "
                                   "gives the "
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
    ft_evidence_register(FT_SHAPE_QUICKRELAY, relay_proves);
}
