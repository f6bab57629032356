/* packet-facetime-late.c
 * The back door: called once a frame, after all others, for what stock dissectors own
 * (docs/protocol.md, 1, 2 and 6).
 *
 *    UDP   a conversation that stock STUN, QUIC, SIP or RTP had first  proofs are asked again,
 *                                                                      claimed from the next on
 *    TCP   a segment that begins with a message of TURN                the same
 *          Apple's HTTP check before a call                            shown alone
 *    ICMP  an error that quotes the IPv4 header and 8 bytes            shown alone
 *
 * Stock STUN, QUIC, SIP or RTP may have a conversation before FaceTime shows in it: by a lower
 * port (a relay on 3478), by a heuristic that had luck before, by somebody's SDP. All proofs are
 * asked here again, after them, and what they prove is claimed from the next frame on. Ports
 * below 1024 are no NAT's and no relay's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/call.h"
#include "calls/copies.h"
#include "calls/limits.h"
#include "calls/network.h"
#include "calls/preparation.h"
#include "calls/segments.h"
#include "packet-facetime.h"
#include "stock/transport.h"
#include "wire/shape.h"
#include "wire/turn_stream.h"

#include <epan/exceptions.h>
#include <epan/ipproto.h>

void proto_register_facetime_late(void);
void proto_reg_handoff_facetime_late(void);

#define HTTP_PORT   80
#define TURN_HEAD   4
#define LOWEST_PORT 1024

static int proto_facetime = -1;

/* The first request of a client, and in each network: the same private address may be two
 * devices'. */
typedef struct {
    uint32_t frame, elsewhere_from; /* 0 while no other network has this address */
} check_client;

static wmem_map_t *http_checks;  /* ft_device_key -> frame of the request */
static wmem_map_t *http_clients; /* ft_endpoint -> check_client */

static bool
has_text(tvbuff_t *tvb, const char *text)
{
    const unsigned length = tvb_captured_length(tvb);

    return ws_memmem(tvb_get_ptr(tvb, 0, (int)length), length, text, strlen(text)) != NULL;
}

static bool
is_http_check(tvbuff_t *tvb, const packet_info *pinfo)
{
    return pinfo->destport == HTTP_PORT &&
           tvb_strneql(tvb, 0, "GET /connectivity.txt HTTP/1", 28) == 0 &&
           has_text(tvb, "Host: static.ess.apple.com");
}

/* The frame of the request that this answers, or 0. */
static uint32_t
http_check_answered(tvbuff_t *tvb, const packet_info *pinfo)
{
    const ft_endpoint client = ft_destination(pinfo);

    if (pinfo->srcport != HTTP_PORT || wmem_map_size(http_checks) == 0)
        return 0;

    const ft_device_key key = { client, ft_network_shared(pinfo) };
    uint32_t request = GPOINTER_TO_UINT(wmem_map_lookup(http_checks, &key));
    const check_client *known =
        request ? NULL : (const check_client *)wmem_map_lookup(http_clients, &client);
    /* a direction may have a tag of its own */
    if (known && (!known->elsewhere_from || known->elsewhere_from > ft_frame_id(pinfo)))
        request = known->frame;
    return request && request < ft_frame_id(pinfo) && has_text(tvb, "AV was here!") ? request : 0;
}

static void
remember_http_check(packet_info *pinfo, const ft_endpoint *client)
{
    ft_device_key key = { *client, ft_network_shared(pinfo) };
    const uint32_t frame = ft_frame_id(pinfo);

    if (wmem_map_lookup(http_checks, &key) ||
        !ft_has_room(pinfo, FT_LIMIT_DEVICES, wmem_map_size(http_checks)))
        return;
    key.end = ft_endpoint_keep(client);
    wmem_map_insert(http_checks, wmem_memdup(wmem_file_scope(), &key, sizeof key),
                    GUINT_TO_POINTER(frame));

    check_client *known = (check_client *)wmem_map_lookup(http_clients, client);
    if (known) {
        known->elsewhere_from = known->elsewhere_from ? known->elsewhere_from : frame;
        return;
    }
    known = wmem_new0(wmem_file_scope(), check_client);
    known->frame = frame;
    wmem_map_insert(http_clients, ft_endpoint_key(client), known);
}

static void
learn_http_check(packet_info *pinfo, const ft_endpoint *client, uint32_t request)
{
    if (!ft_learning(pinfo))
        return;
    ft_call_prepare(pinfo, &client->addr);
    ft_event_add(pinfo, FT_EVENT_CONNECTIVITY_CHECK, request,
                 request ? "Apple answers: AV was here!"
                         : "%s asks static.ess.apple.com for /connectivity.txt, in clear",
                 ft_endpoint_str(pinfo->pool, client));
    if (!request)
        remember_http_check(pinfo, client);
}

/* The line of a packet that stock dissectors have shown, and the end of its record. */
static void
show_alone(tvbuff_t *tvb, int offset, int length, packet_info *pinfo, proto_tree *tree,
           const ft_packet *packet)
{
    TRY
    {
        facetime_finish_line(tvb, pinfo,
                             proto_tree_add_item(tree, proto_facetime, tvb, offset, length, ENC_NA),
                             packet);
    }
    FINALLY
    {
        ft_packet_end(packet);
    }
    ENDTRY;
}

/* numbers: sequence and acknowledgement of the segment. */
static int
dissect_http_check(tvbuff_t *tvb, uint64_t numbers, packet_info *pinfo, proto_tree *tree)
{
    const bool asks = is_http_check(tvb, pinfo);
    const uint32_t request = asks ? 0 : http_check_answered(tvb, pinfo);
    if (!asks && !request)
        return 0;

    const ft_endpoint client = asks ? ft_source(pinfo) : ft_destination(pinfo);
    ft_packet *packet = ft_packet_begin(pinfo);
    packet->path = FT_PATH_SERVER;
    packet->label = asks ? "HTTP check" : "HTTP check answered";
    ft_copies_judge_rare(pinfo, packet, numbers ^ (uint64_t)asks << 63);
    learn_http_check(pinfo, &client, request);
    show_alone(tvb, 0, 0, pinfo, tree, packet);
    return (int)tvb_captured_length(tvb);
}

/* An ICMP error that quotes the IPv4 header and 8 bytes (RFC 792): UDP has no payload to hand
 * on. Where the quote is, the error's own IP header tells: a trailer or FCS may follow, anything
 * stand before. What it says stands in pinfo while it is shown: ICMP leaves the quote's ports
 * there in 4.0, none in 4.4. */
#define SHORT_QUOTE 28
#define ICMP_ERROR  (20 + 8 + SHORT_QUOTE)

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
        facetime_note_icmp(tvb, start, NULL, pinfo, packet, &sender);
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

    return bytes[0] == 0x45 && bytes[9] == IP_PROTO_ICMP && (icmp[0] == 3 || icmp[0] == 11) &&
           quote[0] == 0x45 && quote[9] == IP_PROTO_UDP && length == ICMP_ERROR;
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
    return proto_is_frame_protocol(pinfo->layers, "icmp") ||
           proto_is_frame_protocol(pinfo->layers, "icmpv6");
}

/* Shown where stock has shown nothing of it, or something wrong; STUN and SIP it shows well,
 * QUIC keeps count of its packets, and what the user chose by Decode As is shown once. */
static int
admit_from_stock(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const newcomer *found)
{
    static const char *const shown_by[FT_SHAPE_COUNT] = {
        [FT_SHAPE_STUN] = "stun",       [FT_SHAPE_SIP] = "sip",
        [FT_SHAPE_QUIC] = "quic",       [FT_SHAPE_SNATMAP] = "snatmap",
        [FT_SHAPE_COMMNAT] = "commnat", [FT_SHAPE_BASEBAND] = "baseband",
    };
    const char *protocol = shown_by[found->shape];
    const bool shown = protocol && proto_is_frame_protocol(pinfo->layers, protocol);

    return facetime_dissect(found->shape, tvb, pinfo, tree,
                            ft_flow_claim(pinfo, found->shape, found->generation, false),
                            found->generation, FT_PATH_DIRECT, shown);
}

static bool
has_relay_port(const packet_info *pinfo)
{
    return is_quic_relay_port(pinfo->srcport) || is_quic_relay_port(pinfo->destport);
}

/* What can't be FaceTime's by its first bytes and ports. header: of UDP; captured: behind it. */
static inline bool
may_be_ours(const uint8_t *header, unsigned captured, const packet_info *pinfo)
{
    const uint8_t *bytes = header + UDP_HEADER;

    if (captured < 4)
        return false;
    if (bytes[0] >= 0x80)
        return bytes[0] >= 0xc0
                   ? has_relay_port(pinfo) || (bytes[2] == 0xbe && bytes[3] == 0xef)
                   : captured >= 12 && (bytes[1] < 192 || bytes[1] > 223);
    if (bytes[0] >= 0x40 &&
        ((bytes[0] <= 'Z' && g_ascii_isupper(bytes[1])) || has_relay_port(pinfo)))
        return true;

    const unsigned length = udp_length(header) - UDP_HEADER;
    if (bytes[0] < 0x40 && length == 16)
        return bytes[0] == 0 && bytes[1] <= 2;
    if (bytes[2] > header[4]) /* ends beyond the datagram */
        return false;

    const unsigned second_word = bytes[2] << 8 | bytes[3];
    return bytes[0] < 0x40 ? captured >= 20 && second_word + 20 == length
                           : second_word + 4 - length + 3 <= 3;
}

/* Frame, Ethernet, its type, IP, UDP, a tunnel, IP, ICMP, IP: fewer are no error in a tunnel. */
#define LAYERS_OF_TUNNELED_ERROR 9

/* From 4.4 on the ports left behind are the tunnel's own UDP's, not the quoted ones. */
static bool
is_tunneled_error(const packet_info *pinfo)
{
    return wmem_list_count(pinfo->layers) >= LAYERS_OF_TUNNELED_ERROR &&
           proto_is_frame_protocol(pinfo->layers, "icmp");
}

static G_GNUC_NO_INLINE int
dissect_udp_late(tvbuff_t *frame, packet_info *pinfo, proto_tree *tree)
{
    transport place;

    if (!find_transport(&place, pinfo, frame))
        return 0;

    if (place.offset >= ICMP_ERROR - UDP_HEADER &&
        is_short_quote(place.bytes + place.offset + UDP_HEADER - ICMP_ERROR))
        return show_short_quote(place.tvb, (int)place.offset + UDP_HEADER - SHORT_QUOTE, pinfo,
                                tree);
    if (is_tunneled_error(pinfo))
        return dissect_short_quote(frame, pinfo, tree);

    const uint8_t *header = place.bytes + place.offset;
    const unsigned start = place.offset + UDP_HEADER;
    if (place.captured <= start || !may_be_ours(header, place.captured - start, pinfo))
        return 0;

    const unsigned length = udp_length(header) - UDP_HEADER;
    tvbuff_t *tvb =
        transport_payload(&place, start, MIN(start + length, tvb_reported_length(place.tvb)));
    if (!tvb)
        return 0;

    const datagram seen = datagram_of(tvb);
    newcomer found = { facetime_shape_of_newcomer(&seen, pinfo), FT_GENERATION_UNKNOWN };
    if (!facetime_is_ours(found.shape, tvb, pinfo, &found.generation) || is_icmp(pinfo))
        return 0;
    return admit_from_stock(tvb, pinfo, tree, &found);
}

/* The end of a whole message of TURN at `offset`; 0 where there is none. */
static unsigned
end_of_turn(ft_bytes data, unsigned offset)
{
    const uint8_t *bytes = data.bytes + offset;
    const unsigned left = data.length - offset;

    return left >= TURN_HEAD && turn_may_begin(bytes, left) && turn_length(bytes) <= left
               ? offset + turn_length(bytes)
               : 0;
}

static tvbuff_t *
turn_message(tvbuff_t *tvb, unsigned start, unsigned end)
{
    return turn_without_padding(tvb_new_subset_length(tvb, (int)start, (int)(end - start)));
}

/* Where the first message that proves begins; *rest: where none begins that is whole. */
static bool
find_proof(ft_bytes data, tvbuff_t *tvb, packet_info *pinfo, unsigned *start, unsigned *rest)
{
    unsigned end;

    for (*start = 0; (end = end_of_turn(data, *start)) != 0; *start = end) {
        tvbuff_t *message = turn_message(tvb, *start, end);
        newcomer found = { shape_of(message, FT_GENERATION_UNKNOWN), FT_GENERATION_UNKNOWN };
        if (facetime_is_ours(found.shape, message, pinfo, &found.generation))
            return true;
    }
    *rest = *start;
    return false;
}

/* The message that proves, and all behind it. */
static int
admit_messages(ft_bytes data, unsigned start, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    unsigned end;
    int taken = 0;

    for (; (end = end_of_turn(data, start)) != 0; start = end) {
        tvbuff_t *message = turn_message(tvb, start, end);
        newcomer found = { shape_of(message, FT_GENERATION_UNKNOWN), FT_GENERATION_UNKNOWN };
        if (!facetime_is_ours(found.shape, message, pinfo, &found.generation) && taken == 0)
            break;
        taken += admit_from_stock(message, pinfo, tree, &found);
    }
    return taken;
}

/* A segment that begins with a message of TURN, or ends one. tvb: of the segment, as far as it
 * was captured; is_whole: all of it was. */
static int
admit_segment(tvbuff_t *tvb, uint32_t sequence, bool is_whole, packet_info *pinfo, proto_tree *tree)
{
    const unsigned length = tvb_captured_length(tvb);
    const ft_bytes segment = { tvb_get_ptr(tvb, 0, (int)length), length, 0 };
    const ft_bytes data = ft_segments_joined(pinfo, sequence, segment);
    unsigned start, rest = 0;

    if (data.length == 0)
        return 0;
    if (data.before > 0)
        tvb = tvb_new_child_real_data(tvb, data.bytes, data.length, (int)data.length);
    if (!find_proof(data, tvb, pinfo, &start, &rest)) {
        const ft_bytes piece = { data.bytes + rest, data.length - rest, 0 };
        if (!pinfo->fd->visited && is_whole && turn_may_begin(piece.bytes, piece.length))
            ft_segments_keep(pinfo, sequence + length, piece);
        return 0;
    }
    if (data.before > 0)
        add_new_data_source(pinfo, tvb, "Message of several segments");
    if (!pinfo->fd->visited) {
        ft_segments_prove(pinfo, data, length);
        if (!proto_is_frame_protocol(pinfo->layers, "stun"))
            transport_stop_gathering(pinfo);
    }
    return admit_messages(data, start, tvb, pinfo, tree);
}

static inline bool
has_http_port(const packet_info *pinfo)
{
    return pinfo->srcport == HTTP_PORT || pinfo->destport == HTTP_PORT;
}

static G_GNUC_NO_INLINE int
dissect_segment_late(const transport *place, unsigned start, bool is_turn, packet_info *pinfo,
                     proto_tree *tree)
{
    const unsigned end = transport_end_of_ip(place, place->offset);
    tvbuff_t *tvb = transport_payload(place, start, end);

    if (!tvb)
        return 0;

    const uint32_t sequence = big_endian_32(place->bytes + place->offset + 4);
    if (has_http_port(pinfo)) {
        const uint32_t acknowledged = big_endian_32(place->bytes + place->offset + 8);
        const int used =
            dissect_http_check(tvb, (uint64_t)sequence << 32 | acknowledged, pinfo, tree);
        if (used)
            return used;
    }
    return is_turn && !ft_flow_find(pinfo) && !is_icmp(pinfo)
               ? admit_segment(tvb, sequence, end <= place->captured, pinfo, tree)
               : 0;
}

static inline unsigned
start_of_segment(const transport *place)
{
    return place->offset + (place->bytes[place->offset + 12] >> 4) * 4;
}

static G_GNUC_NO_INLINE int
dissect_tcp_late(tvbuff_t *frame, packet_info *pinfo, proto_tree *tree)
{
    transport place;

    if (!find_transport(&place, pinfo, frame))
        return 0;

    const unsigned start = start_of_segment(&place);
    if (start >= place.captured)
        return 0;
    const bool is_turn =
        turn_may_begin(place.bytes + start, place.captured - start) || ft_segments_wait();
    if (!is_turn && !has_http_port(pinfo))
        return 0;
    return dissect_segment_late(&place, start, is_turn, pinfo, tree);
}

static G_GNUC_NO_INLINE int
dissect_late(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    int used;

    if (pinfo->ptype == PT_NONE)
        used = dissect_short_quote(tvb, pinfo, tree);
    else
        used = pinfo->ptype == PT_UDP ? dissect_udp_late(tvb, pinfo, tree)
                                      : dissect_tcp_late(tvb, pinfo, tree);
    ft_frame_end(pinfo);
    return used;
}

/* TLS and most others, by a look at where the last frame had its header. */
static FT_INLINE bool
is_refused_segment(tvbuff_t *frame, const packet_info *pinfo)
{
    const uint8_t *header = transport_usual(frame, pinfo, TCP_HEADER);

    if (!header || header[12] < 5 << 4 || has_http_port(pinfo))
        return false;

    const unsigned length = (header[12] & 0xf0) >> 2;
    return transport_usual_offset + length + TURN_LOOK <= pinfo->fd->cap_len &&
           turn_is_refused(header + length) && !ft_segments_wait();
}

/* The same of UDP that a stock dissector took, and that no error quotes. */
#define UDP_LOOK 20
static FT_INLINE bool
is_refused_datagram(tvbuff_t *frame, const packet_info *pinfo)
{
    const uint8_t *header = transport_usual(frame, pinfo, UDP_HEADER + UDP_LOOK);

    return header && transport_usual_offset < ICMP_ERROR - UDP_HEADER &&
           !may_be_ours(header, UDP_LOOK, pinfo) && !is_tunneled_error(pinfo);
}

/* What needs no more than a look: by far the most, so it costs least. */
static FT_INLINE bool
is_refused(tvbuff_t *frame, const packet_info *pinfo)
{
    if (facetime_forget_question(pinfo))
        return true;
    if (pinfo->ptype == PT_UDP)
        return pinfo->srcport < LOWEST_PORT || pinfo->destport < LOWEST_PORT ||
               is_refused_datagram(frame, pinfo);
    return pinfo->ptype == PT_TCP ? is_refused_segment(frame, pinfo) : pinfo->ptype != PT_NONE;
}

/* On a later pass, or where something was noted of the frame. */
static G_GNUC_NO_INLINE int
dissect_any(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    if (!is_refused(tvb, pinfo))
        return dissect_late(tvb, pinfo, tree);
    ft_frame_end(pinfo);
    return 0;
}

/* Called once a frame, after all others. */
static int
dissect_facetime_late(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    if (!ft_frame_note_next(pinfo))
        return dissect_any(tvb, pinfo, tree);
    return is_refused(tvb, pinfo) ? 0 : dissect_late(tvb, pinfo, tree);
}

void
proto_register_facetime_late(void)
{
    proto_facetime = proto_get_id_by_filter_name("facetime");
    http_checks = ft_new_map(ft_device_key_hash, ft_device_key_equal);
    http_clients = ft_new_map(ft_endpoint_hash, ft_endpoint_match);
}

void
proto_reg_handoff_facetime_late(void)
{
    /* that goes with FaceTime where it is disabled; names don't find it. Not under no protocol,
     * which would cost less: Wireshark asks no post-dissector where none that is enabled has one */
    const int inner = dissector_handle_get_protocol_index(find_dissector("facetime_inner"));

    register_postdissector(create_dissector_handle(dissect_facetime_late, inner));
}
