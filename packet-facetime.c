/* packet-facetime.c
 * The front door of the FaceTime plugin: tells what a datagram is, decides whether it is FaceTime's, hands it to the
 * dissectors that know its parts, and puts one `facetime` line on it.
 *
 * One UDP port carries everything, so the first bytes decide (RFC 7983 extended to what FaceTime sends):
 *
 *              +-------------------------------------------------------------------+
 *    00 .. 3f  | 16 bytes beginning 0000000[12]           SNATMAP (in its flow:    |
 *              | 16 bytes beginning 000[12]000[12]        CommNAT  length or head) |
 *              | magic cookie or classic STUN length      STUN, TURN               |
 *              | 14 .. 19, version, length (in its flow)  DTLS: no call's          |
 *    40 .. 7f  | 60 00, length to the end                 ChannelData 0x6000 with  |
 *              |                                          the modern relay header  |
 *              | "INVITE ", "SIP/2.0 " ...                SIP                      |
 *              | channel, length to the end               ChannelData              |
 *              | 40 0f                                    modern control message   |
 *              | else                                     QUIC short header        |
 *    80 .. bf  | second byte 192 .. 223                   RTCP                     |
 *              | else                                     RTP                      |
 *    c0 .. ff  | de ad be ef                              baseband report          |
 *              | c1, a known type or the exact size       GameKit: no call         |
 *              | version 1                                QUIC long header         |
 *              +-------------------------------------------------------------------+
 *
 * A port is never enough: 16384-32767 is other vendors' media range. A 5-tuple is claimed when a message proves itself
 * (calls/evidence.h), or when an end of it is already known as a FaceTime device. The claim makes this dissector the
 * conversation's own, so that stock STUN, RTP and QUIC can't take the flow back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/call.h"
#include "calls/copies.h"
#include "calls/dialog.h"
#include "calls/evidence.h"
#include "calls/exchange.h"
#include "calls/export.h"
#include "calls/flow.h"
#include "calls/limits.h"
#include "calls/media.h"
#include "calls/packet.h"
#include "calls/quic.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "calls/reveal.h"
#include "calls/silence.h"
#include "calls/stun.h"
#include "calls/telephony.h"

#include <epan/dissectors/packet-tcp.h>
#include <epan/exceptions.h>
#include <epan/expert.h>
#include <epan/ipproto.h>
#include <epan/prefs.h>
#include <epan/tap.h>
#include <wsutil/ws_roundup.h>

void proto_register_facetime(void);
void proto_reg_handoff_facetime(void);

#define DEFAULT_PORTS "16384-16403"
#define MAX_SIP_METHOD 16 /* letters; the longest of the registered methods is SUBSCRIBE */

static int proto_facetime = -1;
static int proto_facetime_parts = -1;   /* in name only: the doors that are no layer of the packet */
static int proto_facetime_by_port = -1; /* the one of these that stands in the table of ports */
static int facetime_tap = -1;

static int hf_kind = -1;
static int hf_generation = -1;
static int hf_path = -1;
static int hf_call = -1;
static int hf_call_frame = -1;
static int hf_peer_ipv4 = -1;
static int hf_peer_ipv6 = -1;
static int hf_peer_port = -1;
static int hf_channel_setup_frame = -1;
static int hf_media_setup_frame = -1;
static int hf_seen_before = -1;
static int hf_event = -1;
static int hf_event_frame = -1;
static int hf_media_gap = -1;
static int hf_lost_before = -1;
static int hf_quic_media = -1;
static int hf_rtt = -1;
static int hf_freeze = -1;
static int hf_frame_incomplete = -1;

static int ett_facetime = -1;
static int ett_event = -1;

static expert_field ei_events[FT_EVENT_COUNT];
static expert_field ei_limit = EI_INIT;
static expert_field ei_nesting = EI_INIT;

static ws_bool show_peer = FALSE;

static dissector_handle_t by_port_handle, newcomer_handle;
static range_t *port_range;

/* ---- what it is ---- */

static bool
has_exact_length(tvbuff_t *tvb, unsigned padding)
{
    const unsigned total = tvb_reported_length(tvb);
    const unsigned told = tvb_get_ntohs(tvb, 2) + 4;

    return told <= total && total - told <= padding;
}

/* SNATMAP and CommNAT: by the first four bytes. */
static ft_shape
shape_of_nat_test(tvbuff_t *tvb)
{
    const uint32_t first = tvb_get_ntohl(tvb, 0);

    switch (first) {
    case 1: case 2:
        return FT_SHAPE_SNATMAP;
    case 0x00010001: case 0x00010002: case 0x00020001: case 0x00020002:
        return FT_SHAPE_COMMNAT;
    }
    return FT_SHAPE_NONE;
}

/* "SIP/2.0 ", or a method in capital letters, whichever it is, and a SIP URI: "SUBSCRIBE sip:". */
static bool
is_sip(tvbuff_t *tvb)
{
    const int most = MIN((int)tvb_captured_length(tvb), MAX_SIP_METHOD);
    int length = 0;

    while (length < most && g_ascii_isupper(tvb_get_uint8(tvb, length)))
        length++;
    return length > 0 && (tvb_strneql(tvb, length, " sip:", 5) == 0 || tvb_strneql(tvb, 0, "SIP/2.0 ", 8) == 0);
}

/* 0x40-0x7f. In a flow that is known, a length that lies is no reason to take it for something else. In modern flows
 * 40 0f is a control message (a legacy channel may have that number), and QUIC's short headers begin with 0x40-0x5f: some
 * of these have their own length in the next two bytes. */
static ft_shape
shape_of_channel(tvbuff_t *tvb, ft_generation known)
{
    const uint16_t channel = tvb_get_ntohs(tvb, 0);

    if (ft_is_relay_channel(channel) && (known == FT_MODERN || has_exact_length(tvb, 0)))
        return FT_SHAPE_QUICKRELAY;
    if (known == FT_MODERN)
        return channel == 0x400f ? FT_SHAPE_CONTROL : FT_SHAPE_QUIC;
    if (is_sip(tvb))
        return FT_SHAPE_SIP;
    if (has_exact_length(tvb, 3))
        return FT_SHAPE_CHANNELDATA;
    if (channel == 0x400f)
        return FT_SHAPE_CONTROL;
    return known == FT_LEGACY && channel < 0x5000 ? FT_SHAPE_CHANNELDATA : FT_SHAPE_NONE; /* RFC 8656: to 0x4fff */
}

/* C1, and a type that is known, or the exact size: 1, 2 and 5 are no QUIC version's first byte, nor is 0 a type. In an
 * unknown flow that is no proof. */
static bool
is_gamekit(tvbuff_t *tvb)
{
    const uint8_t type = tvb_get_uint8(tvb, 1);

    if (tvb_get_uint8(tvb, 0) != 0xc1 || type == 0)
        return false;
    return type == 1 || type == 2 || type == 5 || tvb_get_ntohs(tvb, 2) == tvb_reported_length(tvb);
}

/* One record at least, of a version there is (RFC 6347, 4.1): content type, FE FF or FE FD, epoch, number, length. */
static bool
is_dtls(tvbuff_t *tvb)
{
    const uint8_t content = tvb_get_uint8(tvb, 0);

    if (content < 20 || content > 25 || tvb_captured_length(tvb) < 13)
        return false;
    return (tvb_get_ntohs(tvb, 1) == 0xfeff || tvb_get_ntohs(tvb, 1) == 0xfefd) &&
           tvb_get_ntohs(tvb, 11) + 13U <= tvb_reported_length(tvb);
}

static bool
is_stun(tvbuff_t *tvb)
{
    if (tvb_captured_length(tvb) < 8)
        return false;
    return tvb_get_ntohl(tvb, 4) == 0x2112a442 || tvb_get_ntohs(tvb, 2) + 20U == tvb_reported_length(tvb);
}

/* known: the generation of the flow, unknown where the flow isn't claimed yet. */
static ft_shape
shape_of(tvbuff_t *tvb, ft_generation known)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (captured < 4)
        return FT_SHAPE_NONE;

    const uint8_t first = tvb_get_uint8(tvb, 0);
    if (first < 0x40) {
        if (tvb_reported_length(tvb) == 16)
            return shape_of_nat_test(tvb);
        if (is_dtls(tvb))
            return FT_SHAPE_DTLS;
        return is_stun(tvb) ? FT_SHAPE_STUN : FT_SHAPE_NONE;
    }
    if (first < 0x80)
        return shape_of_channel(tvb, known);
    if (first < 0xc0) {
        const uint8_t second = tvb_get_uint8(tvb, 1);
        return second >= 192 && second <= 223 ? FT_SHAPE_RTCP : FT_SHAPE_RTP;
    }
    if (tvb_get_ntohl(tvb, 0) == 0xdeadbeef)
        return FT_SHAPE_BASEBAND;
    return is_gamekit(tvb) ? FT_SHAPE_GAMEKIT : FT_SHAPE_QUIC;
}

/* Where a SNATMAP or CommNAT message claimed the flow, one that is damaged: the right length, or the right head. */
static ft_shape
shape_of_damaged(tvbuff_t *tvb, const ft_flow *flow)
{
    const unsigned captured = tvb_captured_length(tvb);

    if ((flow->shape != FT_SHAPE_SNATMAP && flow->shape != FT_SHAPE_COMMNAT) || captured == 0 ||
        tvb_get_uint8(tvb, 0) >= 0x40)
        return FT_SHAPE_NONE;
    if (tvb_reported_length(tvb) == 16)
        return flow->shape;
    return captured >= 4 ? shape_of_nat_test(tvb) : FT_SHAPE_NONE;
}

/* What each shape presets, who takes it, and which stock dissector stands in where the user disabled that part. */
static struct {
    const char        *handle_name, *stock_name;
    ft_kind            kind;
    ft_generation      generation;  /* that the shape alone tells */
    dissector_handle_t handle, stock;
} shapes[FT_SHAPE_COUNT] = {
    [FT_SHAPE_NONE]        = { "data",             "data",     FT_KIND_DATA,       FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_SNATMAP]     = { "snatmap",          "data",     FT_KIND_SNATMAP,    FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_COMMNAT]     = { "commnat",          "data",     FT_KIND_COMMNAT,    FT_LEGACY,             NULL, NULL },
    [FT_SHAPE_STUN]        = { "gkstun",           "stun-udp", FT_KIND_STUN,       FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_QUICKRELAY]  = { "quickrelay",       "data",     FT_KIND_QUICKRELAY, FT_MODERN,             NULL, NULL },
    [FT_SHAPE_CHANNELDATA] = { "gkstun",           "stun-udp", FT_KIND_TURN,       FT_LEGACY,             NULL, NULL },
    [FT_SHAPE_SIP]         = { "facetime_sip",     "sip",      FT_KIND_SIP,        FT_LEGACY,             NULL, NULL },
    [FT_SHAPE_CONTROL]     = { "facetime_control", "data",     FT_KIND_CONTROL,    FT_MODERN,             NULL, NULL },
    [FT_SHAPE_RTP]         = { "facetime_rtp",     "rtp",      FT_KIND_RTP,        FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_RTCP]        = { "facetime_rtcp",    "rtcp",     FT_KIND_RTCP,       FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_BASEBAND]    = { "baseband",         "data",     FT_KIND_BASEBAND,   FT_MODERN,             NULL, NULL },
    [FT_SHAPE_QUIC]        = { "quic",             "data",     FT_KIND_QUIC,       FT_MODERN,             NULL, NULL },
    [FT_SHAPE_GAMEKIT]     = { "gamekit",          "data",     FT_KIND_GAMEKIT,    FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_DTLS]        = { "dtls",             "data",     FT_KIND_DATA,       FT_GENERATION_UNKNOWN, NULL, NULL },
};

/* ---- whether it is FaceTime's ---- */

/* The QUIC connection to a relay (all 6 handshakes of the 2023 captures): version 1; the client's id has no bytes, the
 * server's has 8, the second of which is 80. Known by either end's handshake and the relay's port. */
#define QUIC_IDS 5 /* offset of the destination id's length */

static bool
is_relay_port(uint32_t port)
{
    return port >= 3478 && port <= 3497;
}

static bool
is_apples(const address *addr)
{
    return addr->type == AT_IPv4 && *(const uint8_t *)addr->data == 17; /* 17.0.0.0/8 is all Apple's */
}

/* The first one has a random destination id of 8 bytes, no token, and at least 1200 bytes: so begin others, too. Later
 * ones go to the server's id. */
static bool
quic_client_proof(tvbuff_t *tvb, const packet_info *pinfo)
{
    if (tvb_get_uint8(tvb, QUIC_IDS) != 8 || tvb_get_uint8(tvb, QUIC_IDS + 9) != 0)
        return false;
    if ((tvb_get_uint8(tvb, 0) & 0x30) == 0x20) /* Handshake */
        return tvb_get_uint8(tvb, QUIC_IDS + 2) == 0x80;
    return tvb_get_uint8(tvb, QUIC_IDS + 10) == 0 && tvb_reported_length(tvb) >= 1200 &&
           (ft_is_device_port(pinfo->srcport) || is_apples(&pinfo->dst));
}

static bool
quic_server_proof(tvbuff_t *tvb)
{
    return tvb_get_uint8(tvb, QUIC_IDS) == 0 && tvb_get_uint8(tvb, QUIC_IDS + 1) == 8 &&
           tvb_get_uint8(tvb, QUIC_IDS + 3) == 0x80;
}

static bool
quic_proof(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const bool to_relay = is_relay_port(pinfo->destport), from_relay = is_relay_port(pinfo->srcport);

    if (!(to_relay || from_relay) || tvb_captured_length(tvb) < QUIC_IDS + 11 || tvb_get_ntohl(tvb, 1) != 1 ||
        (tvb_get_uint8(tvb, 0) & 0xd0) != 0xc0) /* Initial or Handshake */
        return false;
    *generation = FT_MODERN;
    return (to_relay && quic_client_proof(tvb, pinfo)) || (from_relay && quic_server_proof(tvb));
}

/* An end already known as a FaceTime device vouches for what FaceTime sends between such ends; one that is only known to
 * have tested its NAT doesn't for what others send as well. */
static bool
device_vouches(ft_shape shape, const packet_info *pinfo)
{
    switch (shape) {
    case FT_SHAPE_SNATMAP: case FT_SHAPE_COMMNAT: case FT_SHAPE_STUN: case FT_SHAPE_SIP: case FT_SHAPE_CONTROL:
        return ft_device_of(pinfo) >= FT_DEVICE_TESTED_NAT;
    case FT_SHAPE_CHANNELDATA: case FT_SHAPE_RTP: case FT_SHAPE_RTCP:
        return ft_device_of(pinfo) == FT_DEVICE_IN_CALL;
    default:
        return false;
    }
}

static bool
is_ours(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    if (shape == FT_SHAPE_NONE)
        return false;
    if (!ft_evidence_proves(shape, tvb, pinfo, generation)) {
        *generation = FT_GENERATION_UNKNOWN;
        if (!device_vouches(shape, pinfo))
            return false;
    }
    if (*generation == FT_GENERATION_UNKNOWN)
        *generation = shapes[shape].generation;
    return true;
}

/* ---- one datagram ---- */

/* DTLS beside GameKit messages is GameKit's; alone it is nobody's that is known. */
static bool
is_game_flow(const ft_packet *packet)
{
    return packet->flow && packet->flow->gamekit_frame && packet->flow->gamekit_frame <= packet->frame;
}

/* A client's Initial packet begins a connection to the relay, and so perhaps a call. */
static void
note_connection(tvbuff_t *tvb, const packet_info *pinfo, ft_packet *packet)
{
    if ((tvb_get_uint8(tvb, 0) & 0xf0) != 0xc0 || ft_relay_direction(pinfo) != FT_UPLINK || !packet->leg)
        return;
    packet->starts = packet->renews = true;
    if (ft_learning(pinfo))
        packet->leg->renewed = true;
}

static void
dissect_content(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, ft_packet *packet, bool shown)
{
    if (shown)
        tree = NULL;
    if (shape == FT_SHAPE_QUIC && packet->generation != FT_MODERN)
        shape = FT_SHAPE_NONE;
    packet->kind = shape == FT_SHAPE_DTLS && is_game_flow(packet) ? FT_KIND_GAMEKIT : shapes[shape].kind;
    if (shapes[shape].generation != FT_GENERATION_UNKNOWN)
        packet->generation = shapes[shape].generation;
    if (shape == FT_SHAPE_QUIC) {
        note_connection(tvb, pinfo, packet);
        if (ft_relay_direction(pinfo) != FT_DIRECTION_UNKNOWN)
            packet->path = FT_PATH_SERVER;
        ft_quic_media_learn(pinfo, tvb);
    }
    if (shape == FT_SHAPE_QUIC && shown)
        return;
    if (ft_call_dissector(shapes[shape].handle, tvb, pinfo, tree) == 0 &&
        ft_call_dissector(shapes[shape].stock, tvb, pinfo, tree) == 0) {
        packet->kind = FT_KIND_DATA;
        call_data_dissector(tvb, pinfo, tree);
    }
}

/* Who is behind the relay, or NULL. */
static const ft_endpoint *
peer_of(const ft_packet *packet)
{
    if (packet->path != FT_PATH_RELAY)
        return NULL;
    return packet->peer.addr.type != AT_NONE || !packet->leg ? &packet->peer : &packet->leg->peer;
}

static void
show_peer_item(proto_tree *tree, tvbuff_t *tvb, const ft_endpoint *peer)
{
    proto_item *item = NULL;

    if (peer->addr.type == AT_IPv4)
        item = proto_tree_add_ipv4(tree, hf_peer_ipv4, tvb, 0, 0, *(const ws_in4_addr *)peer->addr.data);
    else if (peer->addr.type == AT_IPv6)
        item = proto_tree_add_ipv6(tree, hf_peer_ipv6, tvb, 0, 0, (const ws_in6_addr *)peer->addr.data);
    if (item) {
        proto_item_set_generated(item);
        proto_item_set_generated(proto_tree_add_uint(tree, hf_peer_port, tvb, 0, 0, peer->port));
    }
}

static void
show_call(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo, const ft_packet *packet)
{
    uint32_t known_from;
    const ft_call *prepared = ft_call_prepared_by(pinfo, &known_from);
    const ft_call *call = packet->call;

    if (!call && prepared && known_from <= packet->frame)
        call = prepared;
    call = ft_call_as_of(call, packet->frame);
    if (ft_call_none(call, packet->frame))
        call = NULL;
    const ft_call *later = ft_call_as_of(call ? call : prepared, UINT32_MAX);
    if (later && later->no_call_from)
        later = NULL;

    if (call) {
        proto_item_append_text(line, ", call %u", call->number);
        proto_item_set_generated(proto_tree_add_uint(tree, hf_call, tvb, 0, 0, call->number));
    }
    /* What only later frames tell is a link forward, so one pass doesn't have it. */
    if (later && later != call && pinfo->fd->visited) {
        const uint32_t frame = call ? call->merged_frame : MAX(known_from, later->first_frame);
        proto_item_set_generated(proto_tree_add_uint_format_value(tree, hf_call, tvb, 0, 0, later->number,
            later->first_frame < packet->frame ? "%u (known from frame %u)" : "%u (begins in frame %u)",
            later->number, ft_frame_number(frame)));
        ft_show_frame(tree, hf_call_frame, tvb, 0, 0, frame);
    }
}

static void
show_events(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo, const ft_packet *packet)
{
    for (const ft_event *event = ft_event_first(pinfo, packet); event; event = ft_event_next(event)) {
        if (event->hindsight && !pinfo->fd->visited)
            continue;
        if (!event->hindsight)
            proto_item_append_text(line, " [%s]", ft_event_name(event->id));
        proto_item *item = proto_tree_add_string(tree, hf_event, tvb, 0, 0, ft_event_name(event->id));
        proto_item_set_generated(item);
        expert_add_info_format(pinfo, item, &ei_events[event->id], "%s", event->text);
        proto_tree *tree_of_event = proto_item_add_subtree(item, ett_event);
        ft_show_frame(tree_of_event, hf_event_frame, tvb, 0, 0, event->other_frame);
        if (event->id == FT_EVENT_MEDIA_GAP)
            proto_item_set_generated(proto_tree_add_time(tree_of_event, hf_media_gap, tvb, 0, 0, &event->length));
    }
}

/* Bounds are met on the first pass, where things are remembered; the packet says so on every pass. In a flood that goes
 * for most packets: a bit for each frame, in blocks. */
#define FRAMES_PER_BLOCK 4096

static wmem_map_t *limit_frames; /* number of the block -> its bits */

static bool
limit_was_met(const packet_info *pinfo)
{
    const uint8_t *bits = (const uint8_t *)wmem_map_lookup(limit_frames, GUINT_TO_POINTER(ft_frame_id(pinfo) / FRAMES_PER_BLOCK));
    const unsigned frame = ft_frame_id(pinfo) % FRAMES_PER_BLOCK;

    return bits && (bits[frame / 8] & 1 << frame % 8);
}

static void
remember_limit(const packet_info *pinfo)
{
    const unsigned number = ft_frame_id(pinfo) / FRAMES_PER_BLOCK, frame = ft_frame_id(pinfo) % FRAMES_PER_BLOCK;
    uint8_t *bits = (uint8_t *)wmem_map_lookup(limit_frames, GUINT_TO_POINTER(number));

    if (!bits) {
        bits = (uint8_t *)wmem_alloc0(wmem_file_scope(), FRAMES_PER_BLOCK / 8);
        wmem_map_insert(limit_frames, GUINT_TO_POINTER(number), bits);
    }
    bits[frame / 8] |= (uint8_t)(1 << frame % 8);
}

static void
show_microseconds(proto_tree *tree, int hf, tvbuff_t *tvb, int32_t value)
{
    const nstime_t time = { value / 1000000, value % 1000000 * 1000 };

    proto_item_set_generated(proto_tree_add_time(tree, hf, tvb, 0, 0, &time));
}

static void
show_quality(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo)
{
    const ft_mark *mark = ft_mark_get(pinfo);

    if (mark && mark->rtt >= 0)
        show_microseconds(tree, hf_rtt, tvb, mark->rtt);
    if (mark && mark->freeze >= 0)
        show_microseconds(tree, hf_freeze, tvb, mark->freeze);
    if (mark && mark->is_incomplete)
        proto_item_set_generated(proto_tree_add_boolean(tree, hf_frame_incomplete, tvb, 0, 0, true));
}

static void
show_summary(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo, const ft_packet *packet)
{
    const ft_frame *frame = ft_frame_get(pinfo);

    if (packet->kind != FT_KIND_UNKNOWN) {
        proto_item_append_text(line, ": %s", val_to_str_const(packet->kind, ft_kind_vals, "?"));
        proto_item_set_generated(proto_tree_add_uint(tree, hf_kind, tvb, 0, 0, packet->kind));
    }
    if (packet->generation != FT_GENERATION_UNKNOWN)
        proto_item_set_generated(proto_tree_add_uint(tree, hf_generation, tvb, 0, 0, packet->generation));
    if (packet->path != FT_PATH_UNKNOWN) {
        proto_item_append_text(line, ", %s", val_to_str_const(packet->path, ft_path_vals, "?"));
        proto_item_set_generated(proto_tree_add_uint(tree, hf_path, tvb, 0, 0, packet->path));
    }
    show_call(tree, line, tvb, pinfo, packet);
    const ft_endpoint *peer = peer_of(packet);
    if (peer)
        show_peer_item(tree, tvb, peer);
    if (packet->leg && packet->path == FT_PATH_RELAY) {
        ft_show_frame(tree, hf_channel_setup_frame, tvb, 0, 0, packet->leg->setup_frame);
    }
    if (frame)
        ft_show_frame(tree, hf_seen_before, tvb, 0, 0, frame->seen_before);
    ft_show_frame(tree, hf_media_setup_frame, tvb, 0, 0, packet->media_setup_frame);
    const ft_frame *known = ft_frame_get(pinfo);
    if (packet->kind == FT_KIND_RTP && known && known->lost_before)
        proto_item_set_generated(proto_tree_add_uint(tree, hf_lost_before, tvb, 0, 0, known->lost_before));
    if (packet->quic != FT_QUIC_UNKNOWN) {
        const bool is_media = packet->quic == FT_QUIC_MEDIA;
        proto_item_append_text(line, ", %s inside QUIC", is_media ? "media" : "link messages");
        proto_item_set_generated(proto_tree_add_boolean(tree, hf_quic_media, tvb, 0, 0, is_media));
    }
    show_quality(tree, tvb, pinfo);
}

/* The `facetime` line: it stands before what it sums up, so it is filled in when all of that is known. */
static void
show_line(proto_item *line, tvbuff_t *tvb, packet_info *pinfo, const ft_packet *packet)
{
    proto_tree *tree = proto_item_add_subtree(line, ett_facetime);

    if (tree)
        show_summary(tree, line, tvb, pinfo, packet);
    if (packet->limit_hit && ft_learning(pinfo))
        remember_limit(pinfo);
    if (packet->limit_hit || limit_was_met(pinfo))
        expert_add_info(pinfo, line, &ei_limit);
    show_events(tree, line, tvb, pinfo, packet);
}

/* The end of a packet's dissection: its line, and the tap. */
static void
finish_line(tvbuff_t *tvb, packet_info *pinfo, proto_item *line, const ft_packet *packet)
{
    show_line(line, tvb, pinfo, packet);
    if (have_tap_listener(facetime_tap))
        tap_queue_packet(facetime_tap, pinfo, packet);
    ft_telephony_tell(pinfo, packet);
    ft_export_whole(pinfo, packet, tvb);
}

/* The source address of the ICMP error itself; tvb: the payload of the UDP datagram that it quotes, found in the frame
 * behind the quote's IP header, ICMP's eight bytes and the error's own IP header without options. AT_NONE elsewhere. */
static address
icmp_sender(tvbuff_t *tvb, const packet_info *pinfo)
{
    tvbuff_t *frame = tvb_get_ds_tvb(tvb);
    const int ip = pinfo->src.type == AT_IPv6 ? 40 : 20;
    const int start = tvb_raw_offset(tvb) - 8 - ip - 8 - ip;
    address sender = ADDRESS_INIT_NONE;

    if (start < 0 || tvb_captured_length_remaining(frame, start) < ip)
        return sender;
    if (ip == 20 && tvb_get_uint8(frame, start) == 0x45 && tvb_get_uint8(frame, start + 9) == IP_PROTO_ICMP)
        set_address_tvb(&sender, AT_IPv4, 4, frame, start + 12);
    else if (ip == 40 && tvb_get_uint8(frame, start) >> 4 == 6 && tvb_get_uint8(frame, start + 6) == IP_PROTO_ICMPV6)
        set_address_tvb(&sender, AT_IPv6, 16, frame, start + 8);
    return sender;
}

/* The device itself says that its port is closed: the error comes from the address that the quoted packet went to, and
 * that end is the call's device. */
static bool
is_own_port(const packet_info *pinfo, const ft_packet *packet, const address *sender)
{
    const ft_endpoint destination = ft_destination(pinfo);
    const ft_endpoint *client = ft_flow_client(packet->flow);

    if (!addresses_equal(sender, &destination.addr))
        return false;
    return client ? ft_endpoint_equal(client, &destination) : ft_call_is_device(packet->call, &destination.addr);
}

/* How a modern call hangs up: the socket that its media ran through is closed. */
static void
note_closed_socket(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint destination = ft_destination(pinfo);

    ft_event_add(pinfo, FT_EVENT_SOCKET_CLOSED, 0, "ICMP of the device itself: its port %s is closed",
                 ft_endpoint_str(pinfo->pool, &destination));
    if (packet->call->generation == FT_MODERN && packet->call->media_leg == &packet->flow->direct)
        ft_call_end(pinfo, packet->call, "socket closed by the device");
}

/* A datagram that an ICMP error quotes: it was sent once already, so nothing is learnt from its bytes. */
static void
note_icmp(packet_info *pinfo, ft_packet *packet, const address *sender)
{
    const ft_endpoint destination = ft_destination(pinfo);

    packet->path = FT_PATH_UNKNOWN;
    packet->generation = FT_GENERATION_UNKNOWN;
    packet->leg = packet->flow ? &packet->flow->direct : NULL;
    packet->call = ft_call_of_packet(pinfo);
    if (ft_call_none(packet->call, packet->frame))
        packet->call = NULL;
    if (packet->call && is_own_port(pinfo, packet, sender))
        note_closed_socket(pinfo, packet);
    else if (packet->call)
        ft_event_add(pinfo, FT_EVENT_PEER_UNREACHABLE, 0, "ICMP: no way to %s",
                     ft_endpoint_str(pinfo->pool, &destination));
    ft_call_count(pinfo);
}

static void
finish_packet(packet_info *pinfo, ft_packet *packet)
{
    /* Apple's servers before a call, and the phone's own modem, don't make a call by themselves. */
    const bool own_call = packet->kind != FT_KIND_SNATMAP && packet->kind != FT_KIND_COMMNAT &&
                          packet->kind != FT_KIND_BASEBAND && packet->kind != FT_KIND_DATA &&
                          packet->kind != FT_KIND_GAMEKIT && !packet->begins_no_call;

    if (!packet->call && own_call)
        ft_call_resolve(pinfo, packet->starts);
    if (!packet->call)
        packet->call = ft_call_of_packet(pinfo);
    ft_channel_judge(pinfo);
    if (packet->kind == FT_KIND_GAMEKIT && !ft_call_none(packet->call, packet->frame))
        packet->call = NULL; /* a call's flow it may be, but not its packet */
    ft_call_count(pinfo);
    if (packet->kind == FT_KIND_GAMEKIT)
        packet->generation = FT_GENERATION_UNKNOWN; /* of FaceTime: none */
    if (packet->kind == FT_KIND_GAMEKIT || ft_call_none(packet->call, packet->frame))
        packet->call = NULL;
    else if (packet->generation != FT_MODERN && ft_call_ichat(packet->call, packet->frame))
        packet->generation = FT_ICHAT;
    ft_reveal_learn(pinfo);
}

static void
dissect_with_record(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, ft_packet *packet, bool shown)
{
    proto_item *line = tree ? proto_tree_add_item(tree, proto_facetime, tvb, 0, -1, ENC_NA) : NULL;

    if (tree)
        ft_frame_show_packet(pinfo, packet);
    if (pinfo->flags.in_error_pkt) {
        const address sender = icmp_sender(tvb, pinfo);
        note_icmp(pinfo, packet, &sender);
        call_data_dissector(tvb, pinfo, tree);
    } else {
        dissect_content(shape, tvb, pinfo, tree, packet, shown);
        finish_packet(pinfo, packet);
    }
    finish_line(tvb, pinfo, line, packet);
}

/* shown: stock has shown the content already, so it is only learnt from. */
static int
dissect_datagram(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, ft_flow *flow,
                 ft_generation generation, ft_path path, bool shown)
{
    /* Without a flow it was let in on the first pass because of the bound on flows, or not at all: stock STUN, say, got the
     * conversation from a later packet. */
    if (!flow && !ft_learning(pinfo) && !limit_was_met(pinfo))
        return 0;

    ft_packet *packet = ft_packet_begin(pinfo);

    packet->flow = flow;
    packet->datagram = tvb;
    packet->limit_hit = flow == NULL;
    packet->generation = generation;
    packet->path = path;
    packet->leg = flow && path == FT_PATH_DIRECT ? &flow->direct : NULL;
    ft_copies_judge(tvb, pinfo);
    TRY {
        dissect_with_record(shape, tvb, pinfo, tree, packet, shown);
    }
    FINALLY {
        ft_packet_end(packet);
    }
    ENDTRY;
    return (int)tvb_captured_length(tvb);
}

/* ---- the front door ---- */

/* The datagram that the front door was asked about in this frame: it isn't asked again. */
static struct {
    uint32_t frame, source_port, destination_port;
} asked;

static void
note_asked(const packet_info *pinfo)
{
    asked.frame = pinfo->num;
    asked.source_port = pinfo->srcport;
    asked.destination_port = pinfo->destport;
}

static bool
was_asked(const packet_info *pinfo)
{
    return asked.frame == pinfo->num && asked.source_port == pinfo->srcport &&
           asked.destination_port == pinfo->destport;
}

/* What is known of a datagram that UDP handed over and nobody has a claim to, when it turns out as FaceTime's. */
typedef struct {
    ft_shape      shape;
    ft_generation generation;
} newcomer;

static int
admit(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const newcomer *found)
{
    return dissect_datagram(found->shape, tvb, pinfo, tree,
                            ft_flow_claim(pinfo, found->shape, found->generation, true), found->generation,
                            FT_PATH_DIRECT, false);
}

static bool
proves_itself(tvbuff_t *tvb, packet_info *pinfo, newcomer *found)
{
    note_asked(pinfo);
    if (pinfo->flags.in_error_pkt)
        return false;
    *found = (newcomer){ shape_of(tvb, FT_GENERATION_UNKNOWN), FT_GENERATION_UNKNOWN };
    return is_ours(found->shape, tvb, pinfo, &found->generation);
}

/* By port: this door is no layer of the packet until it opens. */
static int
dissect_facetime_by_port(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    newcomer found;

    if (was_asked(pinfo)) /* both ports are in the table */
        return 0;
    return proves_itself(tvb, pinfo, &found) ? call_dissector_only(newcomer_handle, tvb, pinfo, tree, &found) : 0;
}

static int
dissect_newcomer(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data)
{
    return admit(tvb, pinfo, tree, (const newcomer *)data);
}

static G_GNUC_NO_INLINE bool
admit_if_proven(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    newcomer found;

    return proves_itself(tvb, pinfo, &found) && admit(tvb, pinfo, tree, &found) != 0;
}

static ws_bool
dissect_facetime_heur_udp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return !was_asked(pinfo) && admit_if_proven(tvb, pinfo, tree);
}

/* A 5-tuple that is claimed; any other one comes here because the user said Decode As. */
static int
dissect_facetime(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_flow *flow = ft_flow_find(pinfo);
    newcomer found = { shape_of(tvb, flow ? flow->generation : FT_GENERATION_UNKNOWN), FT_GENERATION_UNKNOWN };

    note_asked(pinfo);
    if (flow) {
        if (found.shape == FT_SHAPE_NONE)
            found.shape = shape_of_damaged(tvb, flow);
        if ((found.shape == FT_SHAPE_CHANNELDATA || found.shape == FT_SHAPE_CONTROL) && ft_quic_known(flow, pinfo, tvb))
            found.shape = FT_SHAPE_QUIC;
        return dissect_datagram(found.shape, tvb, pinfo, tree, flow, flow->generation, FT_PATH_DIRECT, false);
    }
    if (found.shape == FT_SHAPE_NONE || pinfo->flags.in_error_pkt)
        return 0;
    if (!is_ours(found.shape, tvb, pinfo, &found.generation))
        found.generation = shapes[found.shape].generation;
    return admit(tvb, pinfo, tree, &found);
}

/* The preference "show the peer's address": what follows, and the columns, see who is behind the channel. */
static void
rename_relay(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint *peer = peer_of(packet);

    if (!peer || peer->addr.type == AT_NONE || !packet->flow)
        return;
    if (ft_flow_is_uplink(packet->flow, pinfo)) {
        copy_address_shallow(&pinfo->dst, &peer->addr);
        pinfo->destport = peer->port;
    } else {
        copy_address_shallow(&pinfo->src, &peer->addr);
        pinfo->srcport = peer->port;
    }
}

/* The payload of ChannelData or a DATA attribute. Here a record is in hand already: the outer message's. */
static int
dissect_facetime_inner(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_packet *packet = ft_packet_get(pinfo);
    const ft_shape shape = shape_of(tvb, packet ? packet->generation : FT_GENERATION_UNKNOWN);

    if (!packet || shape == FT_SHAPE_NONE)
        return 0;
    if (packet->depth >= FT_MAX_NESTING) {
        proto_tree_add_expert(tree, pinfo, &ei_nesting, tvb, 0, -1);
        return 0;
    }
    packet->depth++;
    if (shape != FT_SHAPE_CHANNELDATA && shape != FT_SHAPE_QUICKRELAY)
        ft_export_inner(pinfo, packet, tvb);
    if (show_peer)
        rename_relay(pinfo, packet);
    dissect_content(shape, tvb, pinfo, tree, packet, false);
    return (int)tvb_captured_length(tvb);
}

/* What stock STUN finds in a channel or a DATA attribute while the front door has the message in hand. */
static ws_bool
dissect_facetime_heur_stun(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return ft_packet_get(pinfo) && dissect_facetime_inner(tvb, pinfo, tree, NULL) != 0;
}

/* TURN over TCP, once it is claimed (RFC 8656, 12.5: ChannelData is padded to 4 bytes). */
static unsigned
turn_length(packet_info *pinfo _U_, tvbuff_t *tvb, int offset, void *data _U_)
{
    const uint8_t first = tvb_get_uint8(tvb, offset);
    const unsigned length = tvb_get_ntohs(tvb, offset + 2);

    if (first < 0x40)
        return 20 + length;
    return first < 0x80 ? 4 + WS_ROUNDUP_4(length) : (unsigned)tvb_reported_length_remaining(tvb, offset);
}

/* The modern relay's packets tell their length to the byte. */
static tvbuff_t *
without_padding(tvbuff_t *tvb)
{
    const unsigned length = tvb_reported_length(tvb);

    if (tvb_captured_length(tvb) < 4 || !ft_is_relay_channel(tvb_get_ntohs(tvb, 0)))
        return tvb;
    return tvb_new_subset_length(tvb, 0, (int)MIN(length, 4U + tvb_get_ntohs(tvb, 2)));
}

static int
dissect_turn(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_flow *flow = ft_flow_find(pinfo);
    const ft_generation generation = flow ? flow->generation : FT_GENERATION_UNKNOWN;

    tvb = without_padding(tvb);
    return dissect_datagram(shape_of(tvb, generation), tvb, pinfo, tree, flow, generation, FT_PATH_DIRECT, false);
}

static int
dissect_facetime_tcp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data)
{
    note_asked(pinfo);
    tcp_dissect_pdus(tvb, pinfo, tree, true, 4, turn_length, dissect_turn, data);
    return (int)tvb_captured_length(tvb);
}

/* ---- the back door: what stock dissectors own ---- */

/* Stock STUN, QUIC, SIP or RTP may have a conversation before FaceTime shows in it: by a lower port (a relay on 3478), by
 * a heuristic that had luck before, by somebody's SDP. All proofs are asked here again, after them, and what they prove is
 * claimed from the next frame on. Stock dissectors don't hand on where a datagram lies, so its header is looked for, first
 * where the last one was. Ports below 1024 are no NAT's and no relay's. */
#define HTTP_PORT     80
#define LOWEST_PORT   1024
#define MAX_HEADERS   400 /* of links, tunnels, IP before the header of UDP or TCP; macOS's PKTAP alone has 108 bytes */
#define UDP_HEADER    8
#define TCP_HEADER    20

/* Where the header of UDP or TCP lies, and how much of its source the file has. */
typedef struct {
    tvbuff_t      *tvb;
    const uint8_t *bytes;
    unsigned       captured, offset;
} transport;

static unsigned usual_offset = 14 + 20; /* Ethernet, IPv4 */

static inline uint32_t
big_endian_32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static inline bool
is_transport_at(const transport *place, const packet_info *pinfo, unsigned offset)
{
    const uint8_t *header = place->bytes + offset;
    const bool is_tcp = pinfo->ptype == PT_TCP;

    if (offset + (is_tcp ? TCP_HEADER : UDP_HEADER) > place->captured ||
        big_endian_32(header) != (pinfo->srcport << 16 | pinfo->destport))
        return false;
    return is_tcp ? header[12] >= 5 << 4 : (header[4] << 8 | header[5]) >= UDP_HEADER;
}

static G_GNUC_NO_INLINE bool
search_in(transport *place, const packet_info *pinfo)
{
    for (place->offset = 0; place->offset < MAX_HEADERS && place->offset < place->captured; place->offset++) {
        if (is_transport_at(place, pinfo, place->offset)) {
            usual_offset = place->offset;
            return true;
        }
    }
    return false;
}

static inline bool
look_in(transport *place, const packet_info *pinfo, tvbuff_t *tvb)
{
    place->tvb = tvb;
    place->captured = tvb_captured_length(tvb);
    place->bytes = tvb_get_ptr(tvb, 0, (int)place->captured);
    place->offset = usual_offset;
    return is_transport_at(place, pinfo, usual_offset) || search_in(place, pinfo);
}

static G_GNUC_NO_INLINE bool
look_elsewhere(transport *place, const packet_info *pinfo, const tvbuff_t *frame)
{
    for (const GSList *source = pinfo->data_src; source; source = source->next) {
        tvbuff_t *tvb = get_data_source_tvb((const struct data_source *)source->data);
        if (tvb && tvb != frame && look_in(place, pinfo, tvb))
            return true;
    }
    return false;
}

/* In the frame, else in what was put together of fragments, or decrypted. */
static inline bool
find_transport(transport *place, const packet_info *pinfo, tvbuff_t *frame)
{
    return look_in(place, pinfo, frame) || look_elsewhere(place, pinfo, frame);
}

/* Where the IP packet ends that the header at `offset` is in: a trailer or FCS may follow. */
static unsigned
end_of_ip(const transport *place, unsigned offset)
{
    const uint8_t *bytes = place->bytes;
    const unsigned end = tvb_reported_length(place->tvb);

    if (offset >= 20 && bytes[offset - 20] == 0x45)
        return MIN(end, offset - 20 + (bytes[offset - 18] << 8 | bytes[offset - 17]));
    if (offset >= 40 && bytes[offset - 40] >> 4 == 6)
        return MIN(end, offset + (bytes[offset - 36] << 8 | bytes[offset - 35]));
    return end;
}

/* The payload, as long as it was sent. */
static tvbuff_t *
payload_at(const transport *place, unsigned start, unsigned end)
{
    return start < end && start < place->captured ? tvb_new_subset_length(place->tvb, (int)start, (int)(end - start)) : NULL;
}

static wmem_map_t *http_checks; /* ft_endpoint of the client -> frame of its request */

static bool
has_text(tvbuff_t *tvb, const char *text)
{
    const unsigned length = tvb_captured_length(tvb);

    return ws_memmem(tvb_get_ptr(tvb, 0, (int)length), length, text, strlen(text)) != NULL;
}

static bool
is_http_check(tvbuff_t *tvb, const packet_info *pinfo)
{
    return pinfo->destport == HTTP_PORT && tvb_strneql(tvb, 0, "GET /connectivity.txt HTTP/1", 28) == 0 &&
           has_text(tvb, "Host: static.ess.apple.com");
}

/* The frame of the request that this answers, or 0. */
static uint32_t
http_check_answered(tvbuff_t *tvb, const packet_info *pinfo)
{
    const ft_endpoint client = ft_destination(pinfo);

    if (pinfo->srcport != HTTP_PORT || wmem_map_size(http_checks) == 0)
        return 0;

    const uint32_t request = GPOINTER_TO_UINT(wmem_map_lookup(http_checks, &client));
    return request && request < ft_frame_id(pinfo) && has_text(tvb, "AV was here!") ? request : 0;
}

static void
learn_http_check(packet_info *pinfo, const ft_endpoint *client, uint32_t request)
{
    if (!ft_learning(pinfo))
        return;
    ft_call_prepare(pinfo, &client->addr);
    ft_event_add(pinfo, FT_EVENT_CONNECTIVITY_CHECK, request,
                 request ? "Apple answers: AV was here!" : "%s asks static.ess.apple.com for /connectivity.txt, in clear",
                 ft_endpoint_str(pinfo->pool, client));
    if (request || wmem_map_lookup(http_checks, client))
        return;
    if (wmem_map_size(http_checks) >= FT_MAX_DEVICES) {
        ft_limit_met(pinfo);
        return;
    }
    wmem_map_insert(http_checks, ft_endpoint_key(client), GUINT_TO_POINTER(ft_frame_id(pinfo)));
}

/* The line of a packet that stock dissectors have shown, and the end of its record. */
static void
show_alone(tvbuff_t *tvb, int offset, int length, packet_info *pinfo, proto_tree *tree, const ft_packet *packet)
{
    TRY {
        finish_line(tvb, pinfo, proto_tree_add_item(tree, proto_facetime, tvb, offset, length, ENC_NA), packet);
    }
    FINALLY {
        ft_packet_end(packet);
    }
    ENDTRY;
}

static int
dissect_http_check(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const bool asks = is_http_check(tvb, pinfo);
    const uint32_t request = asks ? 0 : http_check_answered(tvb, pinfo);
    if (!asks && !request)
        return 0;

    const ft_endpoint client = asks ? ft_source(pinfo) : ft_destination(pinfo);
    ft_packet *packet = ft_packet_begin(pinfo);
    packet->path = FT_PATH_SERVER;
    learn_http_check(pinfo, &client, request);
    show_alone(tvb, 0, 0, pinfo, tree, packet);
    return (int)tvb_captured_length(tvb);
}

/* An ICMP error that quotes the IPv4 header and 8 bytes (RFC 792): UDP has no payload to hand on. Where the quote is, the
 * error's own IP header tells: a trailer or FCS may follow, anything stand before. What it says stands in pinfo while it is
 * shown: ICMP leaves the quote's ports there in 4.0, none in 4.4. */
#define SHORT_QUOTE      28
#define ICMP_ERROR       (20 + 8 + SHORT_QUOTE)

static int
show_short_quote(tvbuff_t *tvb, int start, packet_info *pinfo, proto_tree *tree)
{
    const port_type type = pinfo->ptype;
    const uint32_t source_port = pinfo->srcport, destination_port = pinfo->destport;
    const address source = pinfo->src, destination = pinfo->dst;
    address sender = ADDRESS_INIT_NONE;
    int used = 0;

    if (start >= 28)
        set_address_tvb(&sender, AT_IPv4, 4, tvb, start - 16);

    set_address_tvb(&pinfo->src, AT_IPv4, 4, tvb, start + 12);
    set_address_tvb(&pinfo->dst, AT_IPv4, 4, tvb, start + 16);
    pinfo->ptype = PT_UDP;
    pinfo->srcport = tvb_get_ntohs(tvb, start + 20);
    pinfo->destport = tvb_get_ntohs(tvb, start + 22);
    ft_flow *flow = ft_flow_find(pinfo);
    if (flow) {
        ft_packet *packet = ft_packet_begin(pinfo);
        packet->flow = flow;
        note_icmp(pinfo, packet, &sender);
        show_alone(tvb, start, SHORT_QUOTE, pinfo, tree, packet);
        used = (int)tvb_captured_length(tvb);
    }
    pinfo->ptype = type;
    pinfo->srcport = source_port;
    pinfo->destport = destination_port;
    pinfo->src = source;
    pinfo->dst = destination;
    return used;
}

/* IPv4 with ICMP in it: destination unreachable or time exceeded, about IPv4 with UDP in it. */
static inline bool
is_short_quote(const uint8_t *bytes)
{
    const unsigned length = bytes[2] << 8 | bytes[3];
    const uint8_t *icmp = bytes + 20, *quote = bytes + 28;

    return bytes[0] == 0x45 && bytes[9] == IP_PROTO_ICMP && (icmp[0] == 3 || icmp[0] == 11) && quote[0] == 0x45 &&
           quote[9] == IP_PROTO_UDP && length == ICMP_ERROR;
}

static int
dissect_short_quote(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (captured < ICMP_ERROR || !proto_is_frame_protocol(pinfo->layers, "icmp"))
        return 0;

    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)captured);
    for (unsigned start = 0; start < MAX_HEADERS && start + ICMP_ERROR <= captured; start++) {
        if (is_short_quote(bytes + start))
            return show_short_quote(tvb, (int)start + 28, pinfo, tree);
    }
    return 0;
}

static bool
is_icmp(const packet_info *pinfo)
{
    return proto_is_frame_protocol(pinfo->layers, "icmp") || proto_is_frame_protocol(pinfo->layers, "icmpv6");
}

/* Shown where stock has shown nothing of it, or something wrong; STUN and SIP it shows well, QUIC keeps count of its
 * packets, and what the user chose by Decode As is shown once. */
static int
admit_from_stock(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const newcomer *found)
{
    static const char *const shown_by[FT_SHAPE_COUNT] = {
        [FT_SHAPE_STUN] = "stun",       [FT_SHAPE_SIP] = "sip",         [FT_SHAPE_QUIC] = "quic",
        [FT_SHAPE_SNATMAP] = "snatmap", [FT_SHAPE_COMMNAT] = "commnat", [FT_SHAPE_BASEBAND] = "baseband",
    };
    const char *protocol = shown_by[found->shape];
    const bool shown = protocol && proto_is_frame_protocol(pinfo->layers, protocol);

    return dissect_datagram(found->shape, tvb, pinfo, tree,
                            ft_flow_claim(pinfo, found->shape, found->generation, false), found->generation,
                            FT_PATH_DIRECT, shown);
}

/* What can't be FaceTime's by its first bytes and ports. length: of the whole datagram. */
static bool
may_be_ours(const uint8_t *bytes, unsigned captured, unsigned length, const packet_info *pinfo)
{
    if (captured < 4)
        return false;

    const unsigned second_word = bytes[2] << 8 | bytes[3];
    if (bytes[0] < 0x40)
        return length == 16 ? bytes[0] == 0 && bytes[1] <= 2 : captured >= 20 && second_word + 20 == length;
    if (bytes[0] < 0x80)
        return second_word + 4 - length + 3 <= 3 || (bytes[0] <= 'Z' && g_ascii_isupper(bytes[1]));
    if (bytes[0] < 0xc0)
        return captured >= 12 && (bytes[1] < 192 || bytes[1] > 223);
    return is_relay_port(pinfo->srcport) || is_relay_port(pinfo->destport) || second_word == 0xbeef;
}

static G_GNUC_NO_INLINE int
dissect_udp_late(tvbuff_t *frame, packet_info *pinfo, proto_tree *tree)
{
    transport place;

    if (!find_transport(&place, pinfo, frame))
        return 0;

    if (place.offset >= ICMP_ERROR - UDP_HEADER && is_short_quote(place.bytes + place.offset + UDP_HEADER - ICMP_ERROR))
        return show_short_quote(place.tvb, (int)place.offset + UDP_HEADER - SHORT_QUOTE, pinfo, tree);

    const unsigned start = place.offset + UDP_HEADER;
    const unsigned length = (place.bytes[place.offset + 4] << 8 | place.bytes[place.offset + 5]) - UDP_HEADER;
    if (place.captured <= start || !may_be_ours(place.bytes + start, place.captured - start, length, pinfo))
        return 0;

    tvbuff_t *tvb = payload_at(&place, start, MIN(start + length, tvb_reported_length(place.tvb)));
    newcomer found = { FT_SHAPE_NONE, FT_GENERATION_UNKNOWN };
    if (!tvb)
        return 0;
    found.shape = shape_of(tvb, FT_GENERATION_UNKNOWN);
    if (!is_ours(found.shape, tvb, pinfo, &found.generation) || is_icmp(pinfo))
        return 0;
    return admit_from_stock(tvb, pinfo, tree, &found);
}

/* A segment that begins with a message of TURN: the rest of it is taken apart as such once the first proves. */
static int
admit_segment(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    int offset = 0, taken = 0;

    while (tvb_captured_length_remaining(tvb, offset) >= 20) {
        const unsigned length = turn_length(pinfo, tvb, offset, NULL);
        if ((int)length > tvb_captured_length_remaining(tvb, offset))
            break;
        tvbuff_t *message = without_padding(tvb_new_subset_length(tvb, offset, (int)length));
        newcomer found = { shape_of(message, FT_GENERATION_UNKNOWN), FT_GENERATION_UNKNOWN };
        if (!is_ours(found.shape, message, pinfo, &found.generation) && taken == 0)
            break;
        taken += admit_from_stock(message, pinfo, tree, &found);
        offset += (int)length;
    }
    return taken;
}

/* bytes: at least 20, of `captured`. */
static inline bool
may_be_turn(const uint8_t *bytes, unsigned captured)
{
    if (bytes[0] < 0x40)
        return big_endian_32(bytes + 4) == 0x2112a442;
    return bytes[0] < 0x80 && 4U + (bytes[2] << 8 | bytes[3]) <= captured;
}

static G_GNUC_NO_INLINE int
dissect_segment_late(const transport *place, unsigned start, bool is_turn, packet_info *pinfo, proto_tree *tree)
{
    tvbuff_t *tvb = payload_at(place, start, end_of_ip(place, place->offset));

    if (!tvb)
        return 0;
    if (pinfo->srcport == HTTP_PORT || pinfo->destport == HTTP_PORT) {
        const int used = dissect_http_check(tvb, pinfo, tree);
        if (used)
            return used;
    }
    return is_turn && !ft_flow_find(pinfo) && !is_icmp(pinfo) ? admit_segment(tvb, pinfo, tree) : 0;
}

static G_GNUC_NO_INLINE int
dissect_tcp_late(tvbuff_t *frame, packet_info *pinfo, proto_tree *tree)
{
    transport place;

    if (!find_transport(&place, pinfo, frame))
        return 0;

    const unsigned start = place.offset + (place.bytes[place.offset + 12] >> 4) * 4;
    const bool is_turn = start + 20 <= place.captured && may_be_turn(place.bytes + start, place.captured - start);
    if (!is_turn && pinfo->srcport != HTTP_PORT && pinfo->destport != HTTP_PORT)
        return 0;
    return dissect_segment_late(&place, start, is_turn, pinfo, tree);
}

/* Called once a frame, after all others. */
static int
dissect_facetime_late(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_frame_note(pinfo);
    ft_dialog_goes_on(pinfo);
    if (was_asked(pinfo)) {
        asked.frame = 0;
        return 0;
    }
    asked.frame = 0;
    if (pinfo->ptype == PT_UDP)
        return pinfo->srcport < LOWEST_PORT || pinfo->destport < LOWEST_PORT ? 0 : dissect_udp_late(tvb, pinfo, tree);
    if (pinfo->ptype == PT_TCP)
        return dissect_tcp_late(tvb, pinfo, tree);
    return pinfo->ptype == PT_NONE ? dissect_short_quote(tvb, pinfo, tree) : 0;
}

/* ---- registration ---- */

/* The ports have a handle of their own: what is there by Decode As is the user's word, and needs no proof. */
static void
apply_ports(void)
{
    static range_t *applied;

    if (applied) {
        dissector_delete_uint_range("udp.port", applied, by_port_handle);
        wmem_free(wmem_epan_scope(), applied);
    }
    applied = range_copy(wmem_epan_scope(), port_range);
    dissector_add_uint_range("udp.port", applied, by_port_handle);
}

static void
register_preferences(void)
{
    module_t *module = prefs_register_protocol(proto_facetime, apply_ports);

    range_convert_str(wmem_epan_scope(), &port_range, DEFAULT_PORTS, UINT16_MAX);
    prefs_register_range_preference(module, "udp.port", "UDP ports",
        "Ports to look at first; elsewhere FaceTime is found by its content", &port_range, UINT16_MAX);
    prefs_register_bool_preference(module, "media_without_signalling", "Accept media without signalling",
        "Claim RTP that no signalling announced (the capture started in mid-call) where both ends use ports 16393-16403 "
        "and the packets agree with each other", &ft_accept_bare_media);
    prefs_register_uint_preference(module, "media_gap", "Media gap (milliseconds)",
        "Silence of a sender that makes the event media_gap", 10, &ft_media_gap_ms);
    prefs_register_bool_preference(module, "show_peer", "Show the peer's address in relayed packets",
        "Columns, RTP streams and conversations of relayed packets show who is behind the relay's channel, where its "
        "bind was captured, instead of the relay", &show_peer);
}

#define EVENT_EXPERT(id, name, severity, often, text) \
    { &ei_events[id], { "facetime.event." name, PI_SEQUENCE, severity, text, EXPFILL } },

static void
register_experts(void)
{
    static ei_register_info ei[] = {
        FT_EVENTS(EVENT_EXPERT)
        { &ei_limit, { "facetime.limit", PI_PROTOCOL, PI_NOTE,
            "A bound on what the plugin remembers is reached: this packet is decoded, but not followed", EXPFILL } },
        { &ei_nesting, { "facetime.nesting", PI_MALFORMED, PI_WARN, "ChannelData nested too deeply", EXPFILL } },
    };

    for (unsigned i = 0; i < FT_EVENT_COUNT; i++)
        ei_events[i] = (expert_field)EI_INIT;
    expert_register_field_array(expert_register_protocol(proto_facetime), ei, array_length(ei));
}

void
proto_register_facetime(void)
{
    static hf_register_info hf[] = {
        { &hf_kind, { "Kind", "facetime.kind", FT_UINT8, BASE_DEC, VALS(ft_kind_vals), 0x0,
            "What the innermost content is", HFILL } },
        { &hf_generation, { "Generation", "facetime.generation", FT_UINT8, BASE_DEC, VALS(ft_generation_vals), 0x0,
            "Legacy: FaceTime of 2010-2016; modern: of 2019 and later; ichat: iChat AV, which isn't FaceTime", HFILL } },
        { &hf_path, { "Path", "facetime.path", FT_UINT8, BASE_DEC, VALS(ft_path_vals), 0x0,
            "Through a relay, directly between the devices, or to one of Apple's servers", HFILL } },
        { &hf_call, { "Call", "facetime.call", FT_UINT32, BASE_DEC, NULL, 0x0,
            "Number of the call in the file, from 1", HFILL } },
        { &hf_call_frame, { "Call known from frame", "facetime.call.frame", FT_FRAMENUM, BASE_NONE, NULL, 0x0,
            "The later frame that tells to which call this packet belongs", HFILL } },
        { &hf_peer_ipv4, { "Peer", "facetime.peer.ipv4", FT_IPv4, BASE_NONE, NULL, 0x0,
            "Far end behind the relay channel, as the channel's bind named it", HFILL } },
        { &hf_peer_ipv6, { "Peer", "facetime.peer.ipv6", FT_IPv6, BASE_NONE, NULL, 0x0,
            "Far end behind the relay channel, as the channel's bind named it", HFILL } },
        { &hf_peer_port, { "Peer port", "facetime.peer.port", FT_UINT16, BASE_DEC, NULL, 0x0,
            "UDP port of the far end behind the relay channel", HFILL } },
        { &hf_channel_setup_frame, { "Channel bound in", "facetime.channel_setup_frame", FT_FRAMENUM, BASE_NONE,
            NULL, 0x0, "The ChannelBind request of this channel", HFILL } },
        { &hf_media_setup_frame, { "Media set up in", "facetime.media_setup_frame", FT_FRAMENUM, BASE_NONE,
            NULL, 0x0, "The SIP message whose SDP set this medium up", HFILL } },
        { &hf_seen_before, { "Seen before in", "facetime.seen_before", FT_FRAMENUM, BASE_NONE,
            FRAMENUM_TYPE(FT_FRAMENUM_DUP_ACK), 0x0,
            "The same datagram, seen earlier at another capture point or by a mirror port", HFILL } },
        { &hf_event, { "Event", "facetime.event", FT_STRING, BASE_NONE, NULL, 0x0,
            "Name of an event at this packet", HFILL } },
        { &hf_event_frame, { "Other frame", "facetime.event.frame", FT_FRAMENUM, BASE_NONE, NULL, 0x0,
            "The frame that the event's text speaks of", HFILL } },
        { &hf_lost_before, { "Lost before", "facetime.lost_before", FT_UINT32, BASE_DEC, NULL, 0x0,
            "RTP packets of this stream missing before this one, as known at this packet; a late one isn't taken back",
            HFILL } },
        { &hf_media_gap, { "Silence", "facetime.media_gap", FT_RELATIVE_TIME, BASE_NONE, NULL, 0x0,
            "How long a sender's media was silent before this packet", HFILL } },
        { &hf_quic_media, { "Media inside QUIC", "facetime.quic_media", FT_BOOLEAN, BASE_NONE, NULL, 0x0,
            "True: this QUIC packet carries audio or video, false: link messages; told by its connection id of 4 bytes "
            "(published, no capture is known), once that came back", HFILL } },
        { &hf_rtt, { "Round trip", "facetime.rtt", FT_RELATIVE_TIME, BASE_NONE, NULL, 0x0,
            "Round trip that this packet shows. Of the stamps in modern audio: an upper bound, which holds up to one packet "
            "interval of waiting at each end; no capture time is in it. Of RTCP or a check: by capture times, where these "
            "can be believed", HFILL } },
        { &hf_freeze, { "Freeze", "facetime.freeze", FT_RELATIVE_TIME, BASE_NONE, NULL, 0x0,
            "No new picture for so long before this packet, by RTP timestamps: at least three usual intervals, and 150 ms "
            "more than one, as known at this packet", HFILL } },
        { &hf_frame_incomplete, { "Picture incomplete", "facetime.frame_incomplete", FT_BOOLEAN, BASE_NONE, NULL, 0x0,
            "Last packet of a picture that lacks packets, as known at this packet; with the last one missing, the next "
            "picture's first packet", HFILL } },
    };
    static int *ett[] = { &ett_facetime, &ett_event };

    proto_facetime = proto_register_protocol("FaceTime", "FaceTime", "facetime");
    proto_facetime_parts = proto_register_protocol_in_name_only("FaceTime in other protocols", "FaceTime (inner)",
                                                                "facetime.inner", proto_facetime, FT_PROTOCOL);
    proto_facetime_by_port = proto_register_protocol_in_name_only("FaceTime, where it proves itself", "FaceTime (port)",
                                                                  "facetime.port", proto_facetime, FT_PROTOCOL);
    proto_register_field_array(proto_facetime, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    register_experts();
    register_preferences();
    facetime_tap = register_tap("facetime");

    dissector_handle_t handle = register_dissector("facetime", dissect_facetime, proto_facetime);
    register_dissector("facetime_inner", dissect_facetime_inner, proto_facetime_parts);
    newcomer_handle = create_dissector_handle(dissect_newcomer, proto_facetime);
    by_port_handle = create_dissector_handle(dissect_facetime_by_port, proto_facetime_by_port);

    ft_frame_init(proto_facetime);
    ft_evidence_init();
    ft_flow_init(handle, create_dissector_handle(dissect_facetime_tcp, proto_facetime));
    ft_exchange_init();
    ft_export_init();
    ft_call_init();
    ft_copies_init();
    ft_resolve_init();
    ft_dialog_init();
    ft_stun_init();
    ft_media_init();
    ft_relay_init();
    ft_quic_init();
    ft_quality_init();
    ft_reveal_init();
    limit_frames = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_direct_hash, g_direct_equal);
    http_checks = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), ft_endpoint_hash, ft_endpoint_match);
}

void
proto_reg_handoff_facetime(void)
{
    for (unsigned shape = 0; shape < FT_SHAPE_COUNT; shape++) {
        shapes[shape].handle = find_dissector_add_dependency(shapes[shape].handle_name, proto_facetime);
        shapes[shape].stock = find_dissector(shapes[shape].stock_name);
    }
    ft_evidence_register(FT_SHAPE_QUIC, quic_proof);
    apply_ports();
    dissector_add_for_decode_as("udp.port", find_dissector("facetime"));

    ft_telephony_init();

    register_postdissector(create_dissector_handle(dissect_facetime_late, proto_facetime_parts));
    heur_dissector_add("udp", dissect_facetime_heur_udp, "FaceTime over UDP", "facetime_udp", proto_facetime,
                       HEURISTIC_ENABLE);
    heur_dissector_add("stun", dissect_facetime_heur_stun, "FaceTime in a TURN channel", "facetime_stun",
                       proto_facetime, HEURISTIC_ENABLE);
}
