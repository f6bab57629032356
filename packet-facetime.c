/* packet-facetime.c
 * The front door of the FaceTime plugin: tells what a datagram is, decides whether it is
 * FaceTime's, hands it to the dissectors that know its parts, and puts one `facetime` line on
 * it.
 *
 * One UDP port carries everything, so the first bytes decide (RFC 7983 extended to what FaceTime
 * sends; docs/protocol.md, 2 and 12; wire/shape.c):
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
 * A port is never enough: 16384-32767 is other vendors' media range. A 5-tuple is claimed when a
 * message proves itself (calls/evidence.h), or when an end of it is already known as a FaceTime
 * device. The claim makes this dissector the conversation's own, so that stock STUN, RTP and
 * QUIC can't take the flow back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/call.h"
#include "calls/checks.h"
#include "calls/copies.h"
#include "calls/dialog.h"
#include "calls/evidence.h"
#include "calls/exchange.h"
#include "calls/export.h"
#include "calls/flow.h"
#include "calls/grow.h"
#include "calls/guess.h"
#include "calls/limits.h"
#include "calls/media.h"
#include "calls/nat_test.h"
#include "calls/network.h"
#include "calls/owners.h"
#include "calls/packet.h"
#include "calls/preparation.h"
#include "calls/quic.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "calls/reveal.h"
#include "calls/sample.h"
#include "calls/segments.h"
#include "calls/silence.h"
#include "calls/stun.h"
#include "calls/telephony.h"
#include "packet-facetime.h"
#include "wire/rtp_proof.h"
#include "wire/shape.h"
#include "wire/turn_stream.h"

#include <epan/dissectors/packet-tcp.h>
#include <epan/exceptions.h>
#include <epan/expert.h>
#include <epan/ipproto.h>
#include <epan/prefs.h>
#include <epan/tap.h>

void proto_register_facetime(void);
void proto_reg_handoff_facetime(void);

#ifndef DEFAULT_PORTS /* -DPORT_RANGE=OFF builds without any */
#define DEFAULT_PORTS "16384-16403"
#endif

static int proto_facetime = -1;
/* in name only: the doors that are no layer of the packet */
static int proto_facetime_parts = -1;
static int proto_facetime_by_port = -1; /* the one of these that stands in the table of ports */

static expert_field ei_nesting = EI_INIT;

static ws_bool show_peer = FALSE;

static dissector_handle_t by_port_handle, newcomer_handle;
static const heur_dtbl_entry_t *udp_switch;
static range_t *port_range;

/* What each shape presets, who takes it, and which stock dissector stands in where the user
 * disabled that part. */
static struct {
    const char        *handle_name, *stock_name;
    ft_kind            kind;
    ft_generation      generation;  /* that the shape alone tells */
    dissector_handle_t handle, stock;
} shapes[FT_SHAPE_COUNT] = {
    [FT_SHAPE_NONE] = { "data", "data", FT_KIND_DATA, FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_SNATMAP] = { "snatmap", "data", FT_KIND_SNATMAP, FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_COMMNAT] = { "commnat", "data", FT_KIND_COMMNAT, FT_LEGACY, NULL, NULL },
    [FT_SHAPE_STUN] = { "gkstun", "stun-udp", FT_KIND_STUN, FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_QUICKRELAY] = { "quickrelay", "data", FT_KIND_QUICKRELAY, FT_MODERN, NULL, NULL },
    [FT_SHAPE_CHANNELDATA] = { "gkstun", "stun-udp", FT_KIND_TURN, FT_LEGACY, NULL, NULL },
    [FT_SHAPE_SIP] = { "facetime_sip", "sip", FT_KIND_SIP, FT_LEGACY, NULL, NULL },
    [FT_SHAPE_CONTROL] = { "facetime_control", "data", FT_KIND_CONTROL, FT_MODERN, NULL, NULL },
    [FT_SHAPE_RTP] = { "facetime_rtp", "rtp", FT_KIND_RTP, FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_RTCP] = { "facetime_rtcp", "rtcp", FT_KIND_RTCP, FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_BASEBAND] = { "baseband", "data", FT_KIND_BASEBAND, FT_MODERN, NULL, NULL },
    [FT_SHAPE_QUIC] = { "quic", "data", FT_KIND_QUIC, FT_MODERN, NULL, NULL },
    [FT_SHAPE_GAMEKIT] = { "gamekit", "data", FT_KIND_GAMEKIT, FT_GENERATION_UNKNOWN, NULL, NULL },
    [FT_SHAPE_DTLS] = { "dtls", "data", FT_KIND_DATA, FT_GENERATION_UNKNOWN, NULL, NULL },
};

/* ---- whether it is FaceTime's ---- */

/* QUIC to or from a relay that is known from another flow: a device's second interface, whose
 * handshake came before the capture. */
static bool
relay_vouches(const packet_info *pinfo)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    return (is_quic_relay_port(pinfo->destport) && ft_relay_is_known(pinfo, &destination)) ||
           (is_quic_relay_port(pinfo->srcport) && ft_relay_is_known(pinfo, &source));
}

/* An end already known as a FaceTime device vouches for what FaceTime sends between such ends;
 * one that is only known to have tested its NAT doesn't for what others send as well. */
static bool
device_vouches(ft_shape shape, const packet_info *pinfo)
{
    switch (shape) {
    case FT_SHAPE_SNATMAP:
    case FT_SHAPE_COMMNAT:
    case FT_SHAPE_STUN:
    case FT_SHAPE_SIP:
    case FT_SHAPE_CONTROL:
        return ft_device_of(pinfo) >= FT_DEVICE_TESTED_NAT;
    case FT_SHAPE_CHANNELDATA: /* modern ones have the relay's header; QUIC may look like these */
        return ft_device_of(pinfo) == FT_DEVICE_IN_LEGACY_CALL;
    case FT_SHAPE_RTP:
    case FT_SHAPE_RTCP:
        return ft_device_of(pinfo) >= FT_DEVICE_IN_CALL;
    case FT_SHAPE_QUIC:
        return relay_vouches(pinfo);
    default:
        return false;
    }
}

/* Of a 5-tuple that isn't known. QUIC's short headers have nothing but their first two bits. */
ft_shape
facetime_shape_of_newcomer(const datagram *seen, const packet_info *pinfo)
{
    const ft_shape shape = shape_of_datagram(seen, FT_GENERATION_UNKNOWN);

    if (shape != FT_SHAPE_NONE || seen->captured < 4)
        return shape;
    return seen->bytes[0] >> 6 == 1 && relay_vouches(pinfo) ? FT_SHAPE_QUIC : FT_SHAPE_NONE;
}

/* Before the file has a call or a device: most of what comes to the doors, so it pays least. */
static inline bool
is_rtp_of_others(const datagram *seen, const packet_info *pinfo)
{
    return seen->captured >= 4 && rtp_is_unmarked(seen->bytes, seen->captured) &&
           ft_call_total() == 0 && ft_device_of(pinfo) < FT_DEVICE_IN_CALL;
}

bool
facetime_is_ours(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
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
    return packet->flow && packet->flow->gamekit_frame &&
           packet->flow->gamekit_frame <= packet->frame;
}

/* What of a game's flow looks like media by two bits alone is a piece of a game's message, or its
 * voice: nothing that a call sends says that it is a call's. A call that begins in this flow later
 * has its own media there, and so has one whose media was there before. */
static bool
is_games_own(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, const ft_packet *packet)
{
    ft_generation generation = FT_GENERATION_UNKNOWN;

    if ((shape != FT_SHAPE_RTP && shape != FT_SHAPE_RTCP) || !is_game_flow(packet))
        return false;

    const ft_call *call = ft_call_of_packet(pinfo);
    const bool is_calls = call && !ft_call_none(call, packet->frame) &&
                          (!packet->flow->gamekit_first ||
                           call->first_frame > packet->flow->gamekit_frame);
    return !is_calls && !ft_evidence_proves(shape, tvb, pinfo, &generation);
}

/* A client's Initial packet begins a connection to the relay, and so perhaps a call. One whose
 * Initial wasn't captured shows by its id alone. */
static void
note_connection(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet)
{
    if (ft_relay_direction(pinfo) != FT_UPLINK || !packet->leg)
        return;
    const bool begins = (tvb_get_uint8(tvb, 0) & 0xf0) == 0xc0;
    if (begins)
        packet->starts = packet->renews = true;
    if (!ft_learning(pinfo))
        return;
    if (begins)
        ft_quic_relay_begins(packet->leg);
    if (begins || ft_quic_relay_is_another(pinfo, packet->leg, tvb))
        packet->renews = packet->leg->renewed = true;
}

static void
dissect_shape(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
              ft_packet *packet, bool shown)
{
    if (shown)
        tree = NULL;
    if ((shape == FT_SHAPE_QUIC && packet->generation != FT_MODERN) ||
        is_games_own(shape, tvb, pinfo, packet))
        shape = FT_SHAPE_NONE;
    packet->kind =
        shape == FT_SHAPE_DTLS && is_game_flow(packet) ? FT_KIND_GAMEKIT : shapes[shape].kind;
    if (shapes[shape].generation != FT_GENERATION_UNKNOWN) {
        packet->generation = shapes[shape].generation;
        if (shape != FT_SHAPE_COMMNAT) /* today's builds have it, too */
            packet->shown_generation = packet->generation;
    }
    if (shape == FT_SHAPE_QUIC) {
        note_connection(tvb, pinfo, packet);
        if (ft_relay_direction(pinfo) != FT_DIRECTION_UNKNOWN)
            packet->path = FT_PATH_SERVER;
        ft_quic_media_learn(pinfo, tvb);
    }
    if (shape == FT_SHAPE_QUIC && shown)
        return;
    /* RTP has a guard of its own around stock's part, and nearly all packets are RTP */
    const int used = shape == FT_SHAPE_RTP
                         ? call_dissector_only(shapes[shape].handle, tvb, pinfo, tree, NULL)
                         : ft_call_dissector(shapes[shape].handle, tvb, pinfo, tree);
    if (used == 0 && ft_call_dissector(shapes[shape].stock, tvb, pinfo, tree) == 0) {
        packet->kind = FT_KIND_DATA;
        call_data_dissector(tvb, pinfo, tree);
    }
}

/* The source address of the ICMP error itself; tvb: the payload of the UDP datagram that it
 * quotes, found in the frame behind the quote's IP header, ICMP's eight bytes and the error's
 * own IP header without options. AT_NONE elsewhere. */
static address
icmp_sender(tvbuff_t *tvb, const packet_info *pinfo)
{
    tvbuff_t *frame = tvb_get_ds_tvb(tvb);
    const int ip = pinfo->src.type == AT_IPv6 ? 40 : 20;
    const int start = tvb_raw_offset(tvb) - 8 - ip - 8 - ip;
    address sender = ADDRESS_INIT_NONE;

    if (start < 0 || tvb_captured_length_remaining(frame, start) < ip)
        return sender;
    if (ip == 20 && tvb_get_uint8(frame, start) == 0x45 &&
        tvb_get_uint8(frame, start + 9) == IP_PROTO_ICMP)
        set_address_tvb(&sender, AT_IPv4, 4, frame, start + 12);
    else if (ip == 40 && tvb_get_uint8(frame, start) >> 4 == 6 &&
             tvb_get_uint8(frame, start + 6) == IP_PROTO_ICMPV6)
        set_address_tvb(&sender, AT_IPv6, 16, frame, start + 8);
    return sender;
}

/* The device itself says that its port is closed: the error comes from the address that the
 * quoted packet went to, and that end is the call's device. */
static bool
is_own_port(const packet_info *pinfo, const ft_flow *flow, const ft_packet *packet,
            const address *sender)
{
    const ft_endpoint destination = ft_destination(pinfo);
    const ft_endpoint *client = ft_flow_client(flow);

    if (!addresses_equal(sender, &destination.addr))
        return false;
    return client ? ft_endpoint_equal(client, &destination)
                  : ft_call_is_device(packet->call, &destination.addr);
}

/* Where both ends are public and nothing but media between them is in the capture, who was met
 * first is taken for the device. Which one it is can't be told by an error; but a port that media
 * came from was open. */
static bool
is_port_of_either(const ft_call *call, const ft_endpoint *end, const address *sender)
{
    if (!addresses_equal(sender, &end->addr) || ft_is_private(&end->addr) ||
        ft_is_private(&call->local.addr) || (call->seen & FT_SEEN_SETUP) || call->relay_seen ||
        call->invite_frame)
        return false;
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        if (ft_endpoint_equal(&stream->sender, end))
            return true;
    }
    return false;
}

/* The same where the capture has no more than what went to that port: it took media for longer than
 * an error is under way, so it was open. Chosen, above the round trips of 2023 (40 and 180 ms). */
#define ERROR_COMES_S 0.2

static bool
is_port_that_took_media(packet_info *pinfo, const ft_packet *packet, const ft_endpoint *end,
                        const address *sender)
{
    const ft_call *call = packet->call;
    const nstime_t now = ft_now(pinfo);

    if (!packet->flow || !addresses_equal(sender, &end->addr) || call->generation != FT_MODERN ||
        call->relay_seen || call->media_leg != &packet->flow->direct ||
        !ft_flow_is_one_way(packet->flow))
        return false;
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        if (ft_seconds(&stream->first_time, &now) > ERROR_COMES_S)
            return true;
    }
    return false;
}

/* Who talks to somebody else meanwhile is the device, in both calls. */
static bool
is_device_elsewhere(packet_info *pinfo, const ft_packet *packet, const address *sender)
{
    const ft_endpoint host = { *sender, 0 }, destination = ft_destination(pinfo);
    const ft_end_calls *known = ft_calls_of_end(pinfo, FT_CLUE_HOST, &host);
    const ft_call *call = packet->call;

    if (!addresses_equal(sender, &destination.addr) || !addresses_equal(sender, &call->remote.addr))
        return false;
    for (unsigned i = 0; known && i < FT_CALLS_OF_END && known->calls[i]; i++) {
        const ft_call *other = ft_call_as_of(known->calls[i], packet->frame);
        if (other != call && !ft_call_is_over(pinfo, other) &&
            !addresses_equal(&other->remote.addr, &call->local.addr))
            return true;
    }
    return false;
}

/* How a modern call hangs up: the socket that its media ran through is closed. */
static void
note_closed_socket(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint destination = ft_destination(pinfo);
    ft_call *call = packet->call;
    const bool is_other_end = addresses_equal(&call->other_end.addr, &destination.addr);
    const bool had_media = is_other_end ? !nstime_is_zero(&packet->flow->direct.media_time)
                                        : call->media_leg == &packet->flow->direct;

    ft_event_add(pinfo, FT_EVENT_SOCKET_CLOSED, 0,
                 "ICMP of the device itself: its port %s is closed",
                 ft_endpoint_str(pinfo->pool, &destination));
    if (call->generation != FT_MODERN || !had_media || call->end_frame)
        return;
    call->other_end_closed = is_other_end;
    ft_call_end(pinfo, call,
                is_other_end ? "socket closed by the other device" : "socket closed by the device");
}

/* What tells one error from the next, on both sides of a NAT: the flow and the IP id of what it
 * quotes; without an id UDP's checksum. quote: its IP header. */
static void
judge_quote(tvbuff_t *frame, int quote, packet_info *pinfo, ft_packet *packet)
{
    const bool is_ipv4 = pinfo->src.type == AT_IPv4;
    const int udp = quote + (is_ipv4 ? 20 : 40);

    if (!packet->flow || quote < 0 || tvb_captured_length_remaining(frame, udp) < 8)
        return;
    if (packet->flow->twin)
        packet->flow = packet->flow->twin;

    const unsigned id = is_ipv4 ? tvb_get_ntohs(frame, quote + 4) : 0;
    const uint64_t what =
        id ? id | 1U << 16 : tvb_get_ntohs(frame, udp + 6) | (uint64_t)2 << 16;
    ft_copies_judge_rare(pinfo, packet, (uint64_t)packet->flow->number << 32 | what);
}

#define STUN_ID_AT     8 /* of a transaction, in the message */
#define STUN_ID_LENGTH 12

/* A check that reached nobody is of the call that sent it, whichever has its way by now: the far
 * ends of two calls may both be 192.168.1.5 at home. NULL where the quote tells nothing. */
static ft_call *
call_of_quoted_request(tvbuff_t *content, packet_info *pinfo, const ft_packet *packet)
{
    bool is_repeat;
    uint8_t id[STUN_ID_LENGTH];

    if (!content || !packet->flow || tvb_captured_length(content) < STUN_ID_AT + STUN_ID_LENGTH)
        return NULL;
    tvb_memcpy(content, id, STUN_ID_AT, STUN_ID_LENGTH);
    const ft_exchange *exchange =
        ft_exchange_request(pinfo, FT_EXCHANGE_STUN, id, STUN_ID_LENGTH, false, &is_repeat);
    return exchange ? (ft_call *)ft_call_as_of(exchange->call, packet->frame) : NULL;
}

/* A datagram that an ICMP error quotes: it was sent once already, so nothing is learnt from its
 * bytes. content: its payload; NULL where the quote has too little of it. */
void
facetime_note_icmp(tvbuff_t *frame, int quote, tvbuff_t *content, packet_info *pinfo,
                   ft_packet *packet, const address *sender)
{
    const ft_endpoint destination = ft_destination(pinfo);
    const ft_flow *flow = packet->flow; /* as it is named here: it may be another's twin */

    judge_quote(frame, quote, pinfo, packet);

    packet->error_from = addresses_equal(sender, &destination.addr)
                             ? destination
                             : (ft_endpoint){ .addr = *sender };
    packet->error_to = ft_source(pinfo);
    packet->path = FT_PATH_UNKNOWN;
    packet->generation = FT_GENERATION_UNKNOWN;
    packet->leg = packet->flow ? &packet->flow->direct : NULL;
    packet->call = call_of_quoted_request(content, pinfo, packet);
    if (!packet->call)
        packet->call = ft_call_of_packet(pinfo);
    if (ft_call_none(packet->call, packet->frame))
        packet->call = NULL;
    if (packet->call) /* an error comes right after what it quotes */
        ft_steady_proven(pinfo, &packet->call->last_time);
    if (packet->call && is_own_port(pinfo, flow, packet, sender))
        note_closed_socket(pinfo, packet);
    else if (packet->call && is_port_of_either(packet->call, &destination, sender))
        ft_event_add(pinfo, FT_EVENT_SOCKET_CLOSED, 0, "ICMP: %s, which media came from, is closed",
                     ft_endpoint_str(pinfo->pool, &destination));
    else if (packet->call && (is_port_that_took_media(pinfo, packet, &destination, sender) ||
                              is_device_elsewhere(pinfo, packet, sender)))
        ft_event_add(pinfo, FT_EVENT_SOCKET_CLOSED, 0, "ICMP: %s, which media went to, is closed",
                     ft_endpoint_str(pinfo->pool, &destination));
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
        packet->call = ft_call_of_way(pinfo);
    ft_channel_judge(pinfo);
    const bool is_games = packet->kind == FT_KIND_GAMEKIT ||
                          (packet->kind == FT_KIND_DATA && is_game_flow(packet));
    if (is_games && !ft_call_none(packet->call, packet->frame))
        packet->call = NULL; /* a call's flow it may be, but not its packet */
    ft_call_count(pinfo);
    ft_call_prepare_ahead(pinfo);
    if (is_games)
        packet->generation = FT_GENERATION_UNKNOWN; /* of FaceTime: none */
    if (is_games || ft_call_none(packet->call, packet->frame))
        packet->call = NULL;
    else if (packet->generation != FT_MODERN && ft_call_ichat(packet->call, packet->frame))
        packet->generation = FT_ICHAT;
    else if (packet->generation == FT_GENERATION_UNKNOWN) /* bare media at another address */
        packet->generation = ft_call_generation(packet->call, packet->frame);
    ft_reveal_learn(pinfo);
}

static void
dissect_with_record(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                    ft_packet *packet, bool shown)
{
    proto_item *line = tree ? proto_tree_add_item(tree, proto_facetime, tvb, 0, -1, ENC_NA) : NULL;

    if (tree && PTREE_DATA(tree)->visible) /* not one of a filter's */
        ft_frame_show_packet(pinfo, packet);
    if (pinfo->flags.in_error_pkt) {
        const address sender = icmp_sender(tvb, pinfo);
        const int quote = tvb_raw_offset(tvb) - 8 - (pinfo->src.type == AT_IPv6 ? 40 : 20);
        facetime_note_icmp(tvb_get_ds_tvb(tvb), quote, tvb, pinfo, packet, &sender);
        call_data_dissector(tvb, pinfo, tree);
    } else {
        dissect_shape(shape, tvb, pinfo, tree, packet, shown);
        finish_packet(pinfo, packet);
    }
    facetime_finish_line(tvb, pinfo, line, packet);
}

/* shown: stock has shown the content already, so it is only learnt from. */
int
facetime_dissect(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, ft_flow *flow,
                 ft_generation generation, ft_path path, bool shown)
{
    /* Without a flow it was let in on the first pass because of the bound on flows, or not at
     * all: stock STUN, say, got the conversation from a later packet. */
    if (!flow && !ft_learning(pinfo) && !facetime_limit_was_met(pinfo))
        return 0;

    ft_packet *packet = ft_packet_begin(pinfo);

    if (shape == FT_SHAPE_STUN || shape == FT_SHAPE_SIP)
        (void)ft_network_of(pinfo); /* these ask for it, when more layers are to be looked at */
    packet->flow = flow;
    packet->datagram = tvb;
    if (packet->is_first_pass)
        packet->ip = ft_ip_header(pinfo, tvb);
    if (!flow)
        ft_limit_met(pinfo, FT_LIMIT_FLOWS);
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

facetime_question facetime_asked;

static void
reset(void)
{
    facetime_asked.frame = 0;
}

static inline void
note_asked(const packet_info *pinfo)
{
    facetime_asked = (facetime_question){ pinfo->srcport, pinfo->destport, pinfo->num };
}

static int
admit(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const newcomer *found)
{
    return facetime_dissect(found->shape, tvb, pinfo, tree,
                            ft_flow_claim(pinfo, found->shape, found->generation, true),
                            found->generation, FT_PATH_DIRECT, false);
}

static int
dissect_newcomer(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data)
{
    return admit(tvb, pinfo, tree, (const newcomer *)data);
}

/* The heuristic isn't under FaceTime, so it asks itself whether the user left that on. */
static G_GNUC_NO_INLINE int
admit_if_proven(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    note_asked(pinfo);
    if (pinfo->flags.in_error_pkt)
        return 0;

    const datagram seen = datagram_of(tvb);
    if (is_rtp_of_others(&seen, pinfo))
        return 0;

    newcomer found = { facetime_shape_of_newcomer(&seen, pinfo), FT_GENERATION_UNKNOWN };
    return found.shape != FT_SHAPE_NONE && proto_is_protocol_enabled(udp_switch->protocol) &&
                   facetime_is_ours(found.shape, tvb, pinfo, &found.generation)
               ? call_dissector_only(newcomer_handle, tvb, pinfo, tree, &found)
               : 0;
}

/* By port: this door is no layer of the packet until it opens. Asked twice where both ports are
 * in the table. */
static int
dissect_facetime_by_port(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return facetime_was_asked(pinfo) ? 0 : admit_if_proven(tvb, pinfo, tree);
}

/* Stands in UDP's list under no protocol: Wireshark notes a layer for each other heuristic, and
 * takes it off again where that refuses, which is most of what asking costs (480 instructions).
 * It is switched by its namesake below. */
static ws_bool
dissect_facetime_heur_udp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return !facetime_was_asked(pinfo) && udp_switch->enabled &&
           admit_if_proven(tvb, pinfo, tree) != 0;
}

/* What stands in Enabled Protocols: nobody asks the list that it is in. */
static ws_bool
dissect_nothing(tvbuff_t *tvb _U_, packet_info *pinfo _U_, proto_tree *tree _U_, void *data _U_)
{
    return FALSE;
}

/* A 5-tuple that is claimed; any other one comes here because the user said Decode As. */
static int
dissect_facetime(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_flow *flow = ft_flow_find(pinfo);
    newcomer found = { shape_of(tvb, flow ? flow->generation : FT_GENERATION_UNKNOWN),
                       FT_GENERATION_UNKNOWN };

    note_asked(pinfo);
    if (flow) {
        if (found.shape == FT_SHAPE_NONE)
            found.shape = shape_of_damaged(tvb, flow);
        if ((found.shape == FT_SHAPE_CHANNELDATA || found.shape == FT_SHAPE_CONTROL) &&
            ft_quic_known(flow, pinfo, tvb))
            found.shape = FT_SHAPE_QUIC;
        return facetime_dissect(found.shape, tvb, pinfo, tree, flow, flow->generation,
                                FT_PATH_DIRECT, false);
    }
    if (found.shape == FT_SHAPE_NONE || pinfo->flags.in_error_pkt)
        return 0;
    if (!facetime_is_ours(found.shape, tvb, pinfo, &found.generation))
        found.generation = shapes[found.shape].generation;
    return admit(tvb, pinfo, tree, &found);
}

/* The preference "show the peer's address": what follows, and the columns, see who is behind the
 * channel. Behind one that was given up somebody else may be by now. */
static void
rename_relay(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint *peer = ft_peer_of(packet);

    if (packet->leg && packet->leg->release_frame && packet->leg->release_frame < packet->frame)
        return;
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

/* The payload of ChannelData or a DATA attribute. Here a record is in hand already: the outer
 * message's. */
int
facetime_dissect_inner(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
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
    dissect_shape(shape, tvb, pinfo, tree, packet, false);
    return (int)tvb_captured_length(tvb);
}

static int
dissect_facetime_inner(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return facetime_dissect_inner(tvb, pinfo, tree);
}

/* What stock STUN finds in a channel or a DATA attribute while the front door has the message in
 * hand. */
static ws_bool
dissect_facetime_heur_stun(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    return ft_packet_get(pinfo) && facetime_dissect_inner(tvb, pinfo, tree) != 0;
}

static int
dissect_turn(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_flow *flow = ft_flow_find(pinfo);
    const ft_generation generation = flow ? flow->generation : FT_GENERATION_UNKNOWN;

    tvb = turn_without_padding(tvb);
    return facetime_dissect(shape_of(tvb, generation), tvb, pinfo, tree, flow, generation,
                            FT_PATH_DIRECT, false);
}

static int
dissect_facetime_tcp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data)
{
    note_asked(pinfo);
    tcp_dissect_pdus(tvb, pinfo, tree, true, 1, turn_message_length, dissect_turn, data);
    return (int)tvb_captured_length(tvb);
}

/* ---- registration ---- */

/* The ports have a handle of their own: what is there by Decode As is the user's word, and needs
 * no proof. */
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
    prefs_register_range_preference(
        module, "udp.port", "UDP ports",
        "Ports to look at first; elsewhere FaceTime is found by its content", &port_range,
        UINT16_MAX);
    prefs_register_bool_preference(module, "media_without_signalling",
                                   "Accept media without signalling",
                                   "Claim RTP that no signalling announced (the capture started in "
                                   "mid-call) where both ends use ports 16393-16403 "
                                   "and the packets agree with each other",
                                   &ft_accept_bare_media);
    prefs_register_uint_preference(module, "media_gap", "Media gap (milliseconds)",
        "Silence of a sender that makes the event media_gap", 10, &ft_media_gap_ms);
    prefs_register_bool_preference(module, "show_peer",
                                   "Show the peer's address in relayed packets",
                                   "Columns, RTP streams and conversations of relayed packets show "
                                   "who is behind the relay's channel, where its "
                                   "bind was captured, instead of the relay",
                                   &show_peer);
}

void
proto_register_facetime(void)
{
    static ei_register_info ei[] = {
        { &ei_nesting,
          { "facetime.nesting", PI_MALFORMED, PI_WARN, "ChannelData nested too deeply", EXPFILL } },
    };

    proto_facetime = proto_register_protocol("FaceTime", "FaceTime", "facetime");
    proto_facetime_parts =
        proto_register_protocol_in_name_only("FaceTime in other protocols", "FaceTime (inner)",
                                             "facetime.inner", proto_facetime, FT_PROTOCOL);
    proto_facetime_by_port =
        proto_register_protocol_in_name_only("FaceTime, where it proves itself", "FaceTime (port)",
                                             "facetime.port", proto_facetime, FT_PROTOCOL);
    expert_module_t *experts = expert_register_protocol(proto_facetime);
    facetime_register_line(proto_facetime, experts);
    expert_register_field_array(experts, ei, array_length(ei));
    register_preferences();

    dissector_handle_t handle = register_dissector("facetime", dissect_facetime, proto_facetime);
    register_dissector("facetime_inner", dissect_facetime_inner, proto_facetime_parts);
    newcomer_handle = create_dissector_handle(dissect_newcomer, proto_facetime);
    by_port_handle = create_dissector_handle(dissect_facetime_by_port, proto_facetime_by_port);

    register_heur_dissector_list("facetime", proto_facetime);

    register_init_routine(reset);
    ft_frame_init(proto_facetime);
    ft_packet_init();
    ft_grow_init();
    ft_evidence_init();
    ft_flow_init(handle, create_dissector_handle(dissect_facetime_tcp, proto_facetime));
    ft_segments_init();
    ft_exchange_init();
    ft_export_init();
    ft_call_init();
    ft_preparation_init();
    ft_guess_init();
    ft_copies_init();
    ft_owners_init();
    ft_dialog_init();
    ft_checks_init();
    ft_media_init();
    ft_relay_init();
    ft_quic_init();
    ft_quality_init();
    ft_reveal_init();
    ft_sample_init();
    ft_nat_test_init();
}

void
proto_reg_handoff_facetime(void)
{
    for (unsigned shape = 0; shape < FT_SHAPE_COUNT; shape++) {
        shapes[shape].handle =
            find_dissector_add_dependency(shapes[shape].handle_name, proto_facetime);
        shapes[shape].stock = find_dissector(shapes[shape].stock_name);
    }
    ft_evidence_register(FT_SHAPE_QUIC, quic_proves);
    apply_ports();
    dissector_add_for_decode_as("udp.port", find_dissector("facetime"));

    ft_telephony_init();

    heur_dissector_add("facetime", dissect_nothing, "FaceTime over UDP", "facetime_udp",
                       proto_facetime, HEURISTIC_ENABLE);
    udp_switch = find_heur_dissector_by_unique_short_name("facetime_udp");
    heur_dissector_add("udp", dissect_facetime_heur_udp, "FaceTime over UDP (door)",
                       "facetime_udp_door", -1, HEURISTIC_ENABLE);
    heur_dissector_add("stun", dissect_facetime_heur_stun, "FaceTime in a TURN channel",
                       "facetime_stun", proto_facetime, HEURISTIC_ENABLE);
}
