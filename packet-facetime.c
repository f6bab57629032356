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
#include "calls/flow.h"
#include "calls/limits.h"
#include "calls/media.h"
#include "calls/packet.h"
#include "calls/quic.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "calls/reveal.h"
#include "calls/stun.h"
#include "calls/telephony.h"

#include <epan/exceptions.h>
#include <epan/expert.h>
#include <epan/ipproto.h>
#include <epan/prefs.h>
#include <epan/tap.h>

void proto_register_facetime(void);
void proto_reg_handoff_facetime(void);

#define DEFAULT_PORTS "16384-16403"
#define MAX_SIP_METHOD 16 /* letters; the longest of the registered methods is SUBSCRIBE */

static int proto_facetime = -1;
static int proto_facetime_parts = -1;   /* in name only: the doors that are no layer of the packet */
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

static dissector_handle_t facetime_handle;
static dissector_table_t udp_ports;

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
 * 40 0f is a control message (a legacy channel may have that number), and QUIC's short headers begin with 0x40-0x5f. */
static ft_shape
shape_of_channel(tvbuff_t *tvb, ft_generation known)
{
    const uint16_t channel = tvb_get_ntohs(tvb, 0);

    if (ft_is_relay_channel(channel) && (known == FT_MODERN || has_exact_length(tvb, 0)))
        return FT_SHAPE_QUICKRELAY;
    if (is_sip(tvb))
        return FT_SHAPE_SIP;
    if (channel == 0x400f && known == FT_MODERN)
        return FT_SHAPE_CONTROL;
    if (has_exact_length(tvb, 3))
        return FT_SHAPE_CHANNELDATA;
    if (known == FT_MODERN)
        return FT_SHAPE_QUIC;
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

/* The QUIC connection to a relay: version 1 Initial of at least 1200 bytes, 8 bytes of destination id, no source id, no
 * token, from a FaceTime port to a relay port (all 6 handshakes of the 2023 captures; a browser has neither port). */
static bool
quic_proof(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    static const uint8_t version_and_id_length[] = { 0x00, 0x00, 0x00, 0x01, 0x08 };

    if (!ft_is_device_port(pinfo->srcport) || pinfo->destport < 3478 || pinfo->destport > 3497 ||
        tvb_reported_length(tvb) < 1200 || tvb_captured_length(tvb) < 16 || (tvb_get_uint8(tvb, 0) & 0xf0) != 0xc0)
        return false;
    *generation = FT_MODERN;
    return tvb_memeql(tvb, 1, version_and_id_length, sizeof version_and_id_length) == 0 &&
           tvb_get_ntohs(tvb, 14) == 0; /* lengths of source id and token */
}

/* An end already known as a FaceTime device vouches for what FaceTime sends between such ends. */
static bool
device_vouches(ft_shape shape, packet_info *pinfo)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    if (shape == FT_SHAPE_NONE || shape == FT_SHAPE_QUIC || shape == FT_SHAPE_QUICKRELAY || shape == FT_SHAPE_BASEBAND ||
        shape == FT_SHAPE_GAMEKIT || shape == FT_SHAPE_DTLS)
        return false;
    return ft_device_known(pinfo, &source) || ft_device_known(pinfo, &destination);
}

/* The user said Decode As: FaceTime for one of the ports. */
static bool
user_vouches(const packet_info *pinfo)
{
    const uint32_t ports[] = { pinfo->srcport, pinfo->destport };

    for (unsigned i = 0; i < G_N_ELEMENTS(ports); i++) {
        if (dissector_get_uint_handle(udp_ports, ports[i]) == facetime_handle &&
            dissector_get_default_uint_handle("udp.port", ports[i]) != facetime_handle)
            return true;
    }
    return false;
}

/* ---- one datagram ---- */

/* DTLS beside GameKit messages is GameKit's; alone it is nobody's that is known. */
static bool
is_game_flow(const ft_packet *packet)
{
    return packet->flow && packet->flow->gamekit_frame && packet->flow->gamekit_frame <= packet->frame;
}

static void
dissect_content(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, ft_packet *packet)
{
    if (shape == FT_SHAPE_QUIC && packet->generation != FT_MODERN)
        shape = FT_SHAPE_NONE;
    packet->kind = shape == FT_SHAPE_DTLS && is_game_flow(packet) ? FT_KIND_GAMEKIT : shapes[shape].kind;
    if (shapes[shape].generation != FT_GENERATION_UNKNOWN)
        packet->generation = shapes[shape].generation;
    if (shape == FT_SHAPE_QUIC) {
        if (ft_relay_direction(pinfo) != FT_DIRECTION_UNKNOWN)
            packet->path = FT_PATH_SERVER;
        ft_quic_media_learn(pinfo, tvb);
    }
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
show_events(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo)
{
    for (const ft_event *event = ft_events_of(pinfo); event; event = event->next) {
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
    const ft_mark *mark = ft_quality_mark(pinfo);

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
    show_events(tree, line, tvb, pinfo);
}

/* The end of a packet's dissection: its line, and the tap. */
static void
finish_line(tvbuff_t *tvb, packet_info *pinfo, proto_item *line, const ft_packet *packet)
{
    show_line(line, tvb, pinfo, packet);
    if (have_tap_listener(facetime_tap))
        tap_queue_packet(facetime_tap, pinfo, packet);
    ft_telephony_tell(pinfo, packet);
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
    return client ? ft_endpoint_equal(client, &destination)
                  : addresses_equal(&destination.addr, &packet->call->local.addr);
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

    if (pinfo->flags.in_error_pkt) {
        const address sender = icmp_sender(tvb, pinfo);
        note_icmp(pinfo, packet, &sender);
        call_data_dissector(tvb, pinfo, tree);
    } else {
        dissect_content(shape, tvb, pinfo, shown ? NULL : tree, packet);
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

/* 0 where it isn't FaceTime's, and nothing is added anywhere. */
static int
enter(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool called_by_udp)
{
    ft_flow *flow = ft_flow_find(pinfo);
    ft_generation generation = flow ? flow->generation : FT_GENERATION_UNKNOWN;
    ft_shape shape = shape_of(tvb, generation);

    if (flow && shape == FT_SHAPE_NONE)
        shape = shape_of_damaged(tvb, flow);
    if (flow && (shape == FT_SHAPE_CHANNELDATA || shape == FT_SHAPE_CONTROL) && ft_quic_known(flow, pinfo, tvb))
        shape = FT_SHAPE_QUIC;
    if (!flow) {
        if (shape == FT_SHAPE_NONE || pinfo->flags.in_error_pkt ||
            !(ft_evidence_proves(shape, tvb, pinfo, &generation) || device_vouches(shape, pinfo) ||
              user_vouches(pinfo)))
            return 0;
        if (generation == FT_GENERATION_UNKNOWN)
            generation = shapes[shape].generation;
        flow = ft_flow_claim(pinfo, shape, generation, called_by_udp);
    }
    return dissect_datagram(shape, tvb, pinfo, tree, flow, generation, FT_PATH_DIRECT, false);
}

static int
dissect_facetime(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return enter(tvb, pinfo, tree, true);
}

static ws_bool
dissect_facetime_heur_udp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return enter(tvb, pinfo, tree, true) != 0;
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
    if (show_peer)
        rename_relay(pinfo, packet);
    dissect_content(shape, tvb, pinfo, tree, packet);
    return (int)tvb_captured_length(tvb);
}

/* Stock STUN has the outer message, on a relay port that it owns: the flow is claimed from the next frame on. */
static ws_bool
dissect_facetime_heur_stun(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_generation generation = FT_GENERATION_UNKNOWN;

    if (ft_packet_get(pinfo))
        return dissect_facetime_inner(tvb, pinfo, tree, NULL) != 0;

    const ft_shape shape = shape_of(tvb, FT_GENERATION_UNKNOWN);
    if (shape == FT_SHAPE_NONE || pinfo->flags.in_error_pkt || !ft_evidence_proves(shape, tvb, pinfo, &generation))
        return FALSE;
    return dissect_datagram(shape, tvb, pinfo, tree, ft_flow_claim(pinfo, shape, generation, false), generation,
                            FT_PATH_RELAY, false) != 0;
}

/* ---- the back door: what stock dissectors own ---- */

/* Before a call a legacy device asks http://static.ess.apple.com/connectivity.txt, in clear, and is told "AV was here!".
 * Stock HTTP owns that TCP connection. And a relay on port 3478 is stock STUN's, whose lower port wins: allocation and
 * channel bind are seen here, and what follows comes in at the front. Both are looked for at their ports alone. */
#define HTTP_PORT   80
#define STUN_PORT   3478
#define MAX_HEADERS 160 /* link, IP and transport headers before the payload */

static wmem_map_t *http_checks; /* ft_endpoint of the client -> frame of its request */

static const uint8_t *
find_in_frame(tvbuff_t *tvb, unsigned within, const void *bytes, size_t length)
{
    const unsigned searched = MIN(tvb_captured_length(tvb), within);

    return searched ? ws_memmem(tvb_get_ptr(tvb, 0, (int)searched), searched, bytes, length) : NULL;
}

static bool
frame_has(tvbuff_t *tvb, unsigned within, const char *text)
{
    return find_in_frame(tvb, within, text, strlen(text)) != NULL;
}

static bool
is_http_check(tvbuff_t *tvb, packet_info *pinfo)
{
    return pinfo->destport == HTTP_PORT && frame_has(tvb, MAX_HEADERS, "GET /connectivity.txt HTTP/1") &&
           frame_has(tvb, 2 * MAX_HEADERS, "Host: static.ess.apple.com");
}

/* The frame of the request that this answers, or 0. */
static uint32_t
http_check_answered(tvbuff_t *tvb, packet_info *pinfo)
{
    const ft_endpoint client = ft_destination(pinfo);

    if (pinfo->srcport != HTTP_PORT || wmem_map_size(http_checks) == 0)
        return 0;

    const uint32_t request = GPOINTER_TO_UINT(wmem_map_lookup(http_checks, &client));
    return request && request < ft_frame_id(pinfo) && frame_has(tvb, 1500, "AV was here!") ? request : 0;
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

/* The STUN message in this frame, found by its magic cookie; NULL if there is none. */
static tvbuff_t *
stun_in_frame(tvbuff_t *tvb)
{
    static const uint8_t cookie[] = { 0x21, 0x12, 0xa4, 0x42 };
    const uint8_t *found = find_in_frame(tvb, MAX_HEADERS, cookie, sizeof cookie);
    const int start = found ? (int)(found - tvb_get_ptr(tvb, 0, 1)) - 4 : -1;

    if (start < 0)
        return NULL;
    const int length = tvb_get_ntohs(tvb, start + 2) + 20;
    return tvb_captured_length_remaining(tvb, start) >= length ? tvb_new_subset_length(tvb, start, length) : NULL;
}

static int
dissect_relay_of_stock(tvbuff_t *frame, packet_info *pinfo, proto_tree *tree)
{
    ft_generation generation = FT_GENERATION_UNKNOWN;

    if (pinfo->flags.in_error_pkt || ft_flow_find(pinfo))
        return 0;

    tvbuff_t *tvb = stun_in_frame(frame);
    if (!tvb || !ft_evidence_proves(FT_SHAPE_STUN, tvb, pinfo, &generation))
        return 0;
    return dissect_datagram(FT_SHAPE_STUN, tvb, pinfo, tree, ft_flow_claim(pinfo, FT_SHAPE_STUN, generation, false),
                            generation, FT_PATH_DIRECT, true);
}

/* An ICMP error that quotes the IPv4 header and 8 bytes (RFC 792): UDP has no payload to hand on. The quote ends the
 * frame. What it says stands in pinfo while it is shown: ICMP leaves the quote's ports there in 4.0, none in 4.4. */
#define SHORT_QUOTE 28

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

static int
dissect_short_quote(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const int start = (int)tvb_captured_length(tvb) - SHORT_QUOTE;

    if (start < 0 || tvb_get_uint8(tvb, start) != 0x45 || tvb_get_uint8(tvb, start + 9) != IP_PROTO_UDP ||
        !(ft_is_device_port(tvb_get_ntohs(tvb, start + 20)) || ft_is_device_port(tvb_get_ntohs(tvb, start + 22))) ||
        !proto_is_frame_protocol(pinfo->layers, "icmp"))
        return 0;
    return show_short_quote(tvb, start, pinfo, tree);
}

static int
dissect_facetime_late(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_frame_note(pinfo);

    const bool device = ft_is_device_port(pinfo->srcport) || ft_is_device_port(pinfo->destport);

    ft_dialog_goes_on(pinfo);
    if (pinfo->ptype == PT_TCP && (pinfo->srcport == HTTP_PORT || pinfo->destport == HTTP_PORT))
        return dissect_http_check(tvb, pinfo, tree);
    if (pinfo->ptype == PT_UDP && device && (pinfo->srcport == STUN_PORT || pinfo->destport == STUN_PORT))
        return dissect_relay_of_stock(tvb, pinfo, tree);
    if ((pinfo->ptype == PT_NONE || (pinfo->ptype == PT_UDP && device)) && tvb_captured_length(tvb) < MAX_HEADERS)
        return dissect_short_quote(tvb, pinfo, tree);
    return 0;
}

/* ---- registration ---- */

static void
register_preferences(void)
{
    module_t *module = prefs_register_protocol(proto_facetime, NULL);

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
    proto_register_field_array(proto_facetime, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    register_experts();
    register_preferences();
    facetime_tap = register_tap("facetime");

    facetime_handle = register_dissector("facetime", dissect_facetime, proto_facetime);
    register_dissector("facetime_inner", dissect_facetime_inner, proto_facetime_parts);

    ft_frame_init(proto_facetime);
    ft_flow_init(facetime_handle);
    ft_exchange_init();
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

    ft_telephony_init();
    udp_ports = find_dissector_table("udp.port");

    register_postdissector(create_dissector_handle(dissect_facetime_late, proto_facetime_parts));
    dissector_add_uint_range_with_preference("udp.port", DEFAULT_PORTS, facetime_handle);
    heur_dissector_add("udp", dissect_facetime_heur_udp, "FaceTime over UDP", "facetime_udp", proto_facetime,
                       HEURISTIC_ENABLE);
    heur_dissector_add("stun", dissect_facetime_heur_stun, "FaceTime in a TURN channel", "facetime_stun",
                       proto_facetime, HEURISTIC_ENABLE);
}
