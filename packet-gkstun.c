/* packet-gkstun.c
 * GameKit STUN: FaceTime's STUN and TURN messages with Apple's attributes, and TURN ChannelData
 * (docs/protocol.md, 5, 6, 19 and 20).
 *
 * STUN message (RFC 8489)
 *
 *    0      2        4          8                20
 *   +------+--------+----------+----------------+------------
 *   | type | length | 2112A442 | transaction id | attributes
 *   +------+--------+----------+----------------+------------
 *
 *   legacy: the transaction id begins with the method (u16), the top bits of its bytes 0, 4 and 8
 *           are clear
 *
 *   attribute:  type u16 | length u16 | value, padded to 4
 *
 * Apple's attributes wear numbers that belong to others (IETF, Microsoft), so what they are
 * follows from number and length: the table in wire/stun_message.h; packet-gkstun-attributes.c
 * shows them. Legacy (2010-2016) sends 8001-800A, modern (2019 on) 8007, 8008 of 16 bytes, 8023,
 * 8024.
 *
 * ChannelData (RFC 8656): channel u16 | length u16 | payload, which passes the front door again
 *
 * Evidence: the 2015 report names what a legacy call sends (8001, 8002, 8003, 8004, 8005, 8009,
 * USERNAME of 20 bytes); layouts of legacy are derived from what is public of later builds; modern
 * ones are counted in 96 messages of 2023.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "packet-facetime.h"
#include "packet-gkstun.h"
#include "calls/evidence.h"
#include "calls/label.h"
#include "calls/limits.h"
#include "calls/record.h"
#include "calls/relay.h"
#include "calls/reveal.h"
#include "packet-rows.h"
#include "stock/stock_stun.h"
#include <epan/expert.h>
#include <epan/prefs.h>
#include <epan/tfs.h>
#include <wsutil/ws_roundup.h>

void proto_register_gkstun(void);
void proto_reg_handoff_gkstun(void);

#define MAX_RTT_S               60      /* an answer later than this is to some other request */

static int proto_gkstun = -1;
static int proto_stun = -1;             /* stock's: messages are shown under its name */

/* clang-format off */
#define GKSTUN_FIELDS(X) \
    X(hf_gkstun_rtt, "Round Trip Time", "gkstun.rtt", FT_RELATIVE_TIME, BASE_NONE, NULL, 0, \
      "From the request that carried the echoed timestamp (0x8004) to this answer, both by the " \
      "capture's clock, less the responder's delay (0x8005). It is the network's where the " \
      "capture was made at the requester") \
    X(hf_gkstun_txid_method, "Method in Transaction ID", "gkstun.txid.method", \
      FT_UINT16, BASE_HEX, VALS(gkstun_methods), 0, \
      "Legacy FaceTime's transaction ids begin with the method") \
    X(hf_gkstun_padding, "Padding", "gkstun.padding", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes behind ChannelData up to a multiple of 4, which UDP doesn't ask for") \
    X(hf_gkstun_trailing, "Trailing Bytes", "gkstun.trailing_bytes", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes behind the end that the message's header tells")

/* packet-gkstun-attributes.c tells them too. */
#define GKSTUN_SHARED_EXPERTS(X) \
    X(ei_gkstun_truncated, "gkstun.truncated", PI_PROTOCOL, PI_ERROR, \
      "Length beyond the end of the data") \
    X(ei_gkstun_cut, "gkstun.cut", PI_UNDECODED, PI_NOTE, \
      "The rest of the message was not captured")

#define GKSTUN_EXPERTS(X) \
    X(ei_gkstun_trailing, "gkstun.trailing", PI_PROTOCOL, PI_WARN, \
      "Bytes behind the end of the message") \
    X(ei_gkstun_unpadded, "gkstun.unpadded", PI_PROTOCOL, PI_NOTE, \
      "Message length is no multiple of 4")

#define GKSTUN_TREES(X) X(ett_gkstun) X(ett_gkstun_stun) X(ett_gkstun_attributes)

GKSTUN_FIELDS(DECLARE_FIELD)
GKSTUN_SHARED_EXPERTS(DEFINE_EXPERT)
GKSTUN_EXPERTS(DECLARE_EXPERT)
GKSTUN_TREES(DECLARE_TREE)
/* clang-format on */


static ws_bool gkstun_stock_display;

static dissector_handle_t stun_udp_handle;
static dissector_handle_t classicstun_handle;
static dissector_handle_t link_handle;

/* clang-format off */

static const value_string gkstun_methods[] = {
    { STUN_BINDING, "Binding" },
    { 2, "SharedSecret" },
    { STUN_ALLOCATE, "Allocate" },
    { STUN_REFRESH, "Refresh" },
    { 5, "SetActiveDestination" },
    { STUN_SEND, "Send" },
    { STUN_DATA, "Data" },
    { STUN_CREATE_PERMISSION, "CreatePermission" },
    { STUN_CHANNEL_BIND, "Channel-Bind" },
    { STUN_RELAY_ERROR, "Relay Error" },
    { 0, NULL }
};

static const value_string gkstun_classes[] = {
    { STUN_REQUEST, "Request" },
    { STUN_INDICATION, "Indication" },
    { STUN_SUCCESS, "Success Response" },
    { STUN_ERROR, "Error Response" },
    { 0, NULL }
};

/* clang-format on */

/* The numbers 4000-7FFF, and a length that fits: to the byte, or (not over UDP, but stock allows
 * it) padded to 4. */
static bool
is_channel_data(tvbuff_t *tvb)
{
    if (tvb_captured_length(tvb) < STUN_CHANNEL_HEADER || tvb_get_uint8(tvb, 0) >> 6 != 1)
        return false;

    const uint32_t end = STUN_CHANNEL_HEADER + tvb_get_ntohs(tvb, 2),
                   reported = tvb_reported_length(tvb);
    return end == reported || WS_ROUNDUP_4(end) == reported;
}

/* ChannelData has no mark of its own: what it carries must be proof. Of a legacy call: in modern
 * flows, whose relay has a channel of its own, a packet that begins so is QUIC's. */
static bool
proves_channel_data(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    if (!is_channel_data(tvb) || tvb_captured_length(tvb) < STUN_CHANNEL_HEADER + 4)
        return false;

    tvbuff_t *payload = tvb_new_subset_length(tvb, STUN_CHANNEL_HEADER, tvb_get_ntohs(tvb, 2));
    const bool is_media = tvb_get_uint8(payload, 0) >> 6 == 2;
    const bool proves = is_media ? ft_evidence_proves(FT_RELAYED_RTP, payload, pinfo, generation)
                                 : ft_evidence_proves(FT_SHAPE_STUN, payload, pinfo, generation) ||
                                       ft_evidence_proves(FT_SHAPE_SIP, payload, pinfo, generation);
    return proves && *generation != FT_MODERN;
}

/* ---- round trip times ---- */

/* When the transmission that is answered was sent: the stamp tells which, or there was only one.
 * NULL: not known. */
static const nstime_t *
sent_time(const stun_message *message, const ft_exchange *exchange)
{
    const uint32_t frame = ft_frame_id(message->pinfo);
    const ft_sent *sent =
        message->facts.has_timestamp ? ft_exchange_sent(exchange, message->facts.timestamp) : NULL;

    if (sent)
        return sent->frame < frame ? &sent->time : NULL;
    if (!exchange || exchange->response_frame != frame || exchange->repeated_frame ||
        (message->facts.has_timestamp && exchange->sent))
        return NULL;
    return &exchange->request_time;
}

/* Apple's client has RTT = now - 8004 - 8005, by its own NTP clock. The capture's clock is
 * another one (9 seconds apart in the cellular capture of 2023, though that was made on the
 * phone), so "now - 8004" is taken as the time between the frames of the answer and of the
 * request that carried the echoed 8004: exact where the capture was made at the requester. The
 * echoed timestamp tells which of several transmissions was answered. */
static bool
round_trip(const stun_message *message, const ft_exchange *exchange, nstime_t *rtt)
{
    if (message->facts.message_class != STUN_SUCCESS || message->facts.method != STUN_BINDING)
        return false;

    const nstime_t *sent = sent_time(message, exchange);
    if (!sent)
        return false;

    const nstime_t delay = { message->delay >> 16,
                             (int)((message->delay & 0xffff) * UINT64_C(1000000000) >> 16) };
    const nstime_t passed = ft_passed_since(sent, message->pinfo);
    *rtt = ft_passed(&delay, &passed);
    return rtt->secs >= 0 && rtt->nsecs >= 0 && rtt->secs < MAX_RTT_S;
}

/* For response times. A check's is its round trip; the relay's answers take what they take. */
static void
note_answer(const stun_message *message, const ft_exchange *exchange)
{
    nstime_t rtt;

    if (message->facts.message_class == STUN_REQUEST)
        return;
    if (message->facts.method != STUN_BINDING)
        ft_exchange_answered(message->pinfo, FT_EXCHANGE_STUN, message->facts.method, exchange);
    else if (round_trip(message, exchange, &rtt))
        ft_exchange_took(message->pinfo, FT_EXCHANGE_STUN, STUN_BINDING, &rtt);
}

/* For the report of signalling: what stands in its fields, without them. */
static void
note_said(const stun_message *message, const ft_exchange *exchange)
{
    ft_said *said = ft_said_get(message->pinfo);
    uint32_t offset = STUN_HEADER;
    stun_attribute attribute;

    if (!said)
        return;
    uint32_t number = tvb_get_ntohs(message->tvb, 0);
    wmem_array_append_one(said->types, number);
    while (stun_next_attribute(message, &offset, &attribute)) {
        number = attribute.type;
        wmem_array_append_one(said->attributes, number);
    }
    if (exchange && message->facts.message_class != STUN_REQUEST && !said->is_answer) {
        said->is_answer = true;
        said->took = ft_passed_since(&exchange->request_time, message->pinfo);
    }
}

/* ---- showing: the message ---- */

/* Lengths of header and datagram that don't agree. */
static void
check_message_length(const stun_message *message, proto_item *item)
{
    const uint32_t reported = tvb_reported_length(message->tvb);
    packet_info *pinfo = message->pinfo;

    if (message->claimed_end > reported)
        expert_add_info_format(pinfo, item, &ei_gkstun_truncated,
                               "Message of %u bytes, of which %u are there", message->claimed_end,
                               reported);
    else if (message->claimed_end > message->end)
        expert_add_info(pinfo, item, &ei_gkstun_cut);
    if (message->has_cookie && message->claimed_end % 4 != 0)
        expert_add_info(pinfo, item, &ei_gkstun_unpadded);
}

static const char *
method_text(const stun_message *message)
{
    return val_to_str_const(message->facts.method, gkstun_methods, "Unknown");
}

static const char *
class_text(const stun_message *message)
{
    return val_to_str_const(message->facts.message_class, gkstun_classes, "Unknown");
}

/* Nearly all are checks: a text of their own, which a column takes without a copy. */
static void
show_info(const stun_message *message)
{
    static const char *const of_checks[] = {
        [STUN_REQUEST] = "Binding Request",
        [STUN_INDICATION] = "Binding Indication",
        [STUN_SUCCESS] = "Binding Success Response",
        [STUN_ERROR] = "Binding Error Response",
    };
    column_info *columns = message->pinfo->cinfo;

    if (message->facts.method == STUN_BINDING)
        col_set_str(columns, COL_INFO, of_checks[message->facts.message_class]);
    else
        col_add_lstr(columns, COL_INFO, method_text(message), " ", class_text(message),
                     COL_ADD_LSTR_TERMINATOR);
}

static void
show_stun_header(const stun_message *message, proto_tree *tree)
{
    proto_item *length = NULL;

    show_info(message);
    if (tree)
        length = stock_show_header(message, tree, method_text(message), class_text(message));
    check_message_length(message, length);
}

static void
show_txid_method(const stun_message *message, proto_tree *tree)
{
    if (tree && stun_txid_tells_method(message))
        proto_item_set_generated(proto_tree_add_uint(tree, hf_gkstun_txid_method, message->tvb,
                                                     STUN_TXID_OFFSET, 2, message->facts.method));
}

static void
show_exchange(const stun_message *message, proto_tree *tree, const ft_exchange *exchange,
              bool is_repeat)
{
    const bool is_request = message->facts.message_class == STUN_REQUEST;

    if (!tree || !exchange)
        return;
    const uint32_t first = is_request ? exchange->request_frame : exchange->response_frame;
    if (is_repeat && first != ft_frame_id(message->pinfo))
        stock_add_frame(tree, STOCK(DUPLICATE), message->tvb, first);
    if (is_request) {
        if (exchange->response_frame)
            stock_add_frame(tree, STOCK(RESPONSE_IN), message->tvb, exchange->response_frame);
        return;
    }

    const nstime_t elapsed = ft_passed_since(&exchange->request_time, message->pinfo);
    stock_add_frame(tree, STOCK(RESPONSE_TO), message->tvb, exchange->request_frame);
    if (*STOCK(TIME) > 0)
        proto_item_set_generated(
            proto_tree_add_time(tree, *STOCK(TIME), message->tvb, 0, 0, &elapsed));
}

static void
show_round_trip(const stun_message *message, proto_tree *tree, const ft_exchange *exchange)
{
    nstime_t rtt;

    if (tree && round_trip(message, exchange, &rtt))
        proto_item_set_generated(
            proto_tree_add_time(tree, hf_gkstun_rtt, message->tvb, 0, 0, &rtt));
}

/* Bytes behind the message's end. */
static void
show_trailing(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, uint32_t end)
{
    const uint32_t reported = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);

    if (end >= reported)
        return;
    proto_item *item = captured > end ? proto_tree_add_item(tree, hf_gkstun_trailing, tvb, end,
                                                            captured - end, ENC_NA)
                                      : proto_tree_get_parent(tree);
    expert_add_info_format(pinfo, item, &ei_gkstun_trailing,
                           "%u bytes behind the end of the message", reported - end);
}

/* Our display: stock's layer and fields, Apple's attributes under Apple's names. */
static void
show_stun(const stun_message *message, proto_tree *root, const ft_exchange *exchange,
          bool is_repeat)
{
    proto_item *item =
        root ? proto_tree_add_item(root, proto_stun, message->tvb, 0, -1, ENC_NA) : NULL;
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_stun);

    col_set_str(message->pinfo->cinfo, COL_PROTOCOL, "STUN");
    show_exchange(message, tree, exchange, is_repeat);
    show_round_trip(message, tree, exchange);
    show_stun_header(message, tree);
    show_txid_method(message, tree);
    if (message->end > STUN_HEADER) {
        item = tree ? stock_add_field(tree, STOCK(ATTRIBUTES), message, STUN_HEADER,
                                      message->end - STUN_HEADER, ENC_NA)
                    : NULL;
        gkstun_show_attributes(message, proto_item_add_subtree(item, ett_gkstun_attributes), false);
    }
    show_trailing(message->tvb, message->pinfo, tree, message->claimed_end);
}

/* Beside stock's tree: what stock doesn't know. */
static void
show_beside_stock(const stun_message *message, proto_tree *root, const ft_exchange *exchange)
{
    if (!message->has_apple && !stun_txid_tells_method(message))
        return;

    proto_item *item = proto_tree_add_item(root, proto_gkstun, message->tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun);
    show_txid_method(message, tree);
    show_round_trip(message, tree, exchange);
    gkstun_show_attributes(message, tree, true);
}

/* Stock STUN shows what it shows rightly: messages without damage and without attributes of
 * Apple's (where the user wants it so, with them). Data goes to the front door rather than to
 * stock's heuristics, and method numbers above FF are none of stock's. */
static bool
is_for_stock(const stun_message *message, const ft_exchange *exchange)
{
    if (message->facts.message_class != STUN_REQUEST && exchange && exchange->shown_by_us)
        return false;
    return !message->damaged && !message->has_misfit && !stun_carries_data(message) &&
           message->facts.method <= 0xff && (!message->has_apple || gkstun_stock_display);
}

/* False where stock refused. */
static bool
show_by_stock(const stun_message *message, proto_tree *root)
{
    return ft_call_dissector(message->has_cookie ? stun_udp_handle : classicstun_handle,
                             message->tvb, message->pinfo, root) > 0;
}

/* ---- dissecting ---- */

/* What ChannelData or DATA carries: link messages can't be told from RTP by their bytes alone,
 * so that a DATA attribute holds one must be found here. */
static void
dissect_carried(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, proto_tree *root,
                bool is_data_attribute)
{
    const bool is_link = is_data_attribute && stun_is_link_message(tvb);

    packet->kind = is_link ? FT_KIND_LINK : FT_KIND_DATA;
    const int used = is_link ? call_dissector_only(link_handle, tvb, pinfo, root, NULL)
                             : facetime_dissect_inner(tvb, pinfo, root);
    if (used == 0)
        call_data_dissector(tvb, pinfo, root);
}

/* Allocations and binds, which the relays of today don't have (none in 6787 packets of 2023). */
static bool
is_of_classic_turn(const stun_message *message)
{
    const unsigned method = message->facts.method;

    return method == STUN_ALLOCATE || method == STUN_REFRESH || method == STUN_CHANNEL_BIND;
}

/* A Data indication without a peer's address stays on the direct path: only link messages are
 * sent so. */
static void
note_packet(const stun_message *message, ft_packet *packet)
{
    if (message->generation != FT_GENERATION_UNKNOWN)
        packet->generation = packet->shown_generation = message->generation;
    else if (packet->generation == FT_GENERATION_UNKNOWN && is_of_classic_turn(message))
        packet->generation = packet->shown_generation = FT_LEGACY;
    packet->kind = message->facts.method == STUN_BINDING ? FT_KIND_STUN : FT_KIND_TURN;
    packet->apple_attributes |= message->apple_attributes; /* an outer message may have some too */
    packet->label = ft_label_of_stun(message->facts.method, message->facts.message_class);
    if (message->facts.method == STUN_BINDING)
        return;
    if (!stun_carries_data(message)) {
        packet->path = FT_PATH_SERVER;
    } else if (message->facts.peer.addr.type != AT_NONE) {
        packet->path = FT_PATH_RELAY;
        packet->leg = NULL;
        if (packet->flow)
            packet->leg = ft_leg_of_peer(message->pinfo, packet->flow, &message->facts.peer);
        ft_channel_used(message->pinfo, packet->leg);
    }
}

/* The exchange of a request or an answer. USE-CANDIDATE comes with the transaction id of an
 * earlier check: such a request is no retransmission, and the timestamp that an answer echoes
 * tells which of both it answers. */
static const ft_exchange *
find_exchange(const stun_message *message, const ft_packet *packet, bool *is_repeat)
{
    const ft_stun *facts = &message->facts;

    *is_repeat = false;
    if (facts->message_class == STUN_INDICATION || stun_carries_data(message))
        return NULL;
    if (facts->message_class != STUN_REQUEST)
        return facts->has_timestamp
                   ? ft_exchange_echo(message->pinfo, FT_EXCHANGE_STUN, facts->txid, STUN_TXID,
                                      facts->timestamp, is_repeat)
                   : ft_exchange_response(message->pinfo, FT_EXCHANGE_STUN, facts->txid, STUN_TXID,
                                          is_repeat);

    const ft_exchange *exchange = ft_exchange_request(message->pinfo, FT_EXCHANGE_STUN, facts->txid,
                                                      STUN_TXID, facts->use_candidate, is_repeat);
    if (facts->has_timestamp)
        ft_exchange_stamp(message->pinfo, exchange, facts->timestamp);
    if (packet->seen_before)
        *is_repeat = false;
    return exchange;
}

/* Not even a whole header. */
static int
dissect_gkstun_fragment(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root)
{
    const stun_message message = { .tvb = tvb, .pinfo = pinfo };
    const uint32_t captured = tvb_captured_length(tvb), reported = tvb_reported_length(tvb);
    proto_item *item = proto_tree_add_item(root, proto_stun, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_stun);

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "STUN");
    col_set_str(pinfo->cinfo, COL_INFO, "Incomplete message");
    expert_add_info_format(pinfo, item, captured < reported ? &ei_gkstun_cut : &ei_gkstun_truncated,
                           "Message header of %u bytes, of which %u are there", STUN_HEADER,
                           captured);
    stock_add_uint(tree, STOCK(TYPE), tvb, 0, 2, tvb_get_ntohs(tvb, 0));
    stock_add_uint(tree, STOCK(LENGTH), tvb, 2, 2, tvb_get_ntohs(tvb, 2));
    if (captured > 4)
        stock_add_field(tree, STOCK(VALUE), &message, 4, captured - 4, ENC_NA);
    return (int)captured;
}

static int
dissect_gkstun_message(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, proto_tree *root)
{
    stun_message message;
    bool is_repeat;

    if (!stun_parse_message(&message, tvb, pinfo))
        return dissect_gkstun_fragment(tvb, pinfo, root);
    note_packet(&message, packet);
    const ft_exchange *exchange = find_exchange(&message, packet, &is_repeat);
    ft_stun_learn(pinfo, &message.facts, exchange, is_repeat);
    ft_reveal_stun(pinfo, &message.facts, exchange);
    note_answer(&message, exchange);
    note_said(&message, exchange);

    if (exchange && ft_learning(pinfo) && message.facts.message_class == STUN_REQUEST)
        ((ft_exchange *)exchange)->shown_by_us = !is_for_stock(&message, exchange);
    if (is_for_stock(&message, exchange) && show_by_stock(&message, root))
        show_beside_stock(&message, root, exchange);
    else
        show_stun(&message, root, exchange, is_repeat);
    if (stun_carries_data(&message) && message.data_length > 0)
        dissect_carried(stun_data_of(&message), pinfo, packet, root, true);
    return tvb_captured_length(tvb);
}

/* The header's tree, as stock shows it, and what follows the payload: nothing (legacy), or
 * padding to 4. */
static void
show_channel_data(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, uint32_t end)
{
    const uint32_t reported = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);
    proto_item *item =
        root ? proto_tree_add_item(root, proto_stun, tvb, 0, STUN_CHANNEL_HEADER, ENC_NA) : NULL;
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_stun);

    if (ft_is_wanted(tree, proto_stun)) {
        proto_item_append_text(item, ", TURN ChannelData Message");
        stock_add_uint(tree, STOCK(CHANNEL), tvb, 0, 2, tvb_get_ntohs(tvb, 0));
        item = stock_add_uint(tree, STOCK(LENGTH), tvb, 2, 2, tvb_get_ntohs(tvb, 2));
    }
    if (end > reported)
        expert_add_info_format(pinfo, item, &ei_gkstun_truncated,
                               "Payload of %u bytes, of which %u are there",
                               end - STUN_CHANNEL_HEADER, reported - STUN_CHANNEL_HEADER);
    else if (end > captured)
        expert_add_info(pinfo, item, &ei_gkstun_cut);
    else if (reported > end && reported <= WS_ROUNDUP_4(end) && captured > end)
        proto_tree_add_item(tree, hf_gkstun_padding, tvb, end, captured - end, ENC_NA);
    else if (reported > end)
        show_trailing(tvb, pinfo, tree, end);
}

static int
dissect_gkstun_channel_data(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, proto_tree *root)
{
    const uint16_t channel = tvb_get_ntohs(tvb, 0);
    const uint32_t end = STUN_CHANNEL_HEADER + tvb_get_ntohs(tvb, 2);
    const uint32_t length = MIN(end, tvb_reported_length(tvb)) - STUN_CHANNEL_HEADER;

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "STUN");
    col_set_str(pinfo->cinfo, COL_INFO, "ChannelData TURN Message");
    show_channel_data(tvb, pinfo, root, end);

    packet->kind = FT_KIND_TURN;
    packet->path = FT_PATH_RELAY;
    packet->leg = packet->flow ? ft_channel_leg(pinfo, packet->flow, channel) : NULL;
    ft_channel_used(pinfo, packet->leg);
    if (length > 0)
        dissect_carried(tvb_new_subset_length(tvb, STUN_CHANNEL_HEADER, length), pinfo, packet,
                        root, false);
    return tvb_captured_length(tvb);
}

/* For the front door: one STUN message or one ChannelData message, its first 4 bytes at least. */
static int
dissect_gkstun(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || tvb_captured_length(tvb) < STUN_CHANNEL_HEADER)
        return 0;
    if (tvb_get_uint8(tvb, 0) >> 6 == 0)
        return dissect_gkstun_message(tvb, pinfo, packet, tree);
    return dissect_gkstun_channel_data(tvb, pinfo, packet, tree);
}

/* ---- registration ---- */

/* clang-format off */
static hf_register_info hf[] = { GKSTUN_FIELDS(REGISTER_FIELD) };

static ei_register_info ei[] = {
    GKSTUN_SHARED_EXPERTS(REGISTER_EXPERT) GKSTUN_EXPERTS(REGISTER_EXPERT)
};
/* clang-format on */

void
proto_register_gkstun(void)
{
    static int *ett[] = { GKSTUN_TREES(REGISTER_TREE) };

    proto_gkstun = proto_register_protocol("GameKit STUN", "GKSTUN", "gkstun");
    proto_register_field_array(proto_gkstun, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_module_t *experts = expert_register_protocol(proto_gkstun);
    expert_register_field_array(experts, ei, array_length(ei));
    gkstun_register_attributes(proto_gkstun, experts);
    stock_stun_register();
    register_dissector("gkstun", dissect_gkstun, proto_gkstun);

    module_t *module = prefs_register_protocol(proto_gkstun, NULL);
    prefs_register_bool_preference(
        module, "stock_display", "Show messages with Apple's attributes as stock STUN does",
        "Stock STUN knows Apple's attribute numbers as other vendors' attributes and shows "
        "them under those names; Apple's attributes follow in a tree of their own.",
        &gkstun_stock_display);
}

void
proto_reg_handoff_gkstun(void)
{
    proto_stun = proto_get_id_by_filter_name("stun");
    stock_find_fields();
    stun_udp_handle = find_dissector_add_dependency("stun-udp", proto_gkstun);
    classicstun_handle = find_dissector_add_dependency("classicstun", proto_gkstun);
    link_handle = find_dissector_add_dependency("facetime_link", proto_gkstun);
    ft_evidence_register(FT_SHAPE_STUN, stun_proves);
    ft_evidence_register(FT_SHAPE_CHANNELDATA, proves_channel_data);
}
