/* packet-facetime-line.c
 * The `facetime` line of a packet, of either generation (docs/protocol.md, 1 and 11):
 *
 *    FaceTime: rtp, modern, direct, call 1
 *      Kind, Generation, Path, Call, Peer      what the record says (calls/packet.h)
 *      Round trip, Freeze, Picture incomplete  what the frame shows of its call's quality
 *                                              (calls/mark.h)
 *      Event: path_switch: Media of ...        the events at it (calls/event.h)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/call.h"
#include "calls/export.h"
#include "calls/label.h"
#include "calls/media.h"
#include "calls/mark.h"
#include "calls/network.h"
#include "calls/preparation.h"
#include "calls/relay.h"
#include "calls/telephony.h"
#include "calls/witness.h"
#include "packet-facetime.h"
#include "packet-rows.h"

#include <epan/expert.h>
#include <epan/tap.h>

static int proto_facetime = -1;
static int facetime_tap = -1;

/* clang-format off */
#define BEHIND_RELAY \
    "; where it is known, the far end behind the relay in place of the relay"

#define LINE_FIELDS(X) \
    X(hf_kind, "Kind", "facetime.kind", FT_UINT8, BASE_DEC, VALS(ft_kind_vals), 0x0, \
      "What the innermost content is") \
    X(hf_generation, "Generation", "facetime.generation", \
      FT_UINT8, BASE_DEC, VALS(ft_generation_vals), 0x0, \
      "Legacy: FaceTime of 2010-2016; modern: of 2019 and later; ichat: iChat AV, which isn't " \
      "FaceTime") \
    X(hf_path, "Path", "facetime.path", FT_UINT8, BASE_DEC, VALS(ft_path_vals), 0x0, \
      "Through a relay, directly between the devices, or to one of Apple's servers") \
    X(hf_call, "Call", "facetime.call", FT_UINT32, BASE_DEC, NULL, 0x0, \
      "Number of the call in the file, from 1") \
    X(hf_call_frame, "Call known from frame", "facetime.call.frame", \
      FT_FRAMENUM, BASE_NONE, NULL, 0x0, \
      "The later frame that tells to which call this packet belongs") \
    X(hf_peer_ipv4, "Peer", "facetime.peer.ipv4", FT_IPv4, BASE_NONE, NULL, 0x0, \
      "Far end behind the relay channel, as the channel's bind named it") \
    X(hf_peer_ipv6, "Peer", "facetime.peer.ipv6", FT_IPv6, BASE_NONE, NULL, 0x0, \
      "Far end behind the relay channel, as the channel's bind named it") \
    X(hf_peer_port, "Peer port", "facetime.peer.port", FT_UINT16, BASE_DEC, NULL, 0x0, \
      "UDP port of the far end behind the relay channel") \
    X(hf_end_ipv4, "End", "facetime.end.ipv4", FT_IPv4, BASE_NONE, NULL, 0x0, \
      "Of a call's packet either end" BEHIND_RELAY) \
    X(hf_end_ipv6, "End", "facetime.end.ipv6", FT_IPv6, BASE_NONE, NULL, 0x0, \
      "Of a call's packet either end" BEHIND_RELAY) \
    X(hf_end_port, "End port", "facetime.end.port", FT_UINT16, BASE_DEC, NULL, 0x0, \
      "Of a call's packet either end" BEHIND_RELAY) \
    X(hf_from_ipv4, "From", "facetime.from.ipv4", FT_IPv4, BASE_NONE, NULL, 0x0, \
      "Of a call's packet the sender" BEHIND_RELAY) \
    X(hf_from_ipv6, "From", "facetime.from.ipv6", FT_IPv6, BASE_NONE, NULL, 0x0, \
      "Of a call's packet the sender" BEHIND_RELAY) \
    X(hf_from_port, "From port", "facetime.from.port", FT_UINT16, BASE_DEC, NULL, 0x0, \
      "Of a call's packet the sender" BEHIND_RELAY) \
    X(hf_to_ipv4, "To", "facetime.to.ipv4", FT_IPv4, BASE_NONE, NULL, 0x0, \
      "Of a call's packet the receiver" BEHIND_RELAY) \
    X(hf_to_ipv6, "To", "facetime.to.ipv6", FT_IPv6, BASE_NONE, NULL, 0x0, \
      "Of a call's packet the receiver" BEHIND_RELAY) \
    X(hf_to_port, "To port", "facetime.to.port", FT_UINT16, BASE_DEC, NULL, 0x0, \
      "Of a call's packet the receiver" BEHIND_RELAY) \
    X(hf_channel_setup_frame, "Channel bound in", "facetime.channel_setup_frame", \
      FT_FRAMENUM, BASE_NONE, NULL, 0x0, "The ChannelBind request of this channel") \
    X(hf_media_setup_frame, "Media set up in", "facetime.media_setup_frame", \
      FT_FRAMENUM, BASE_NONE, NULL, 0x0, "The SIP message whose SDP set this medium up") \
    X(hf_seen_before, "Seen before in", "facetime.seen_before", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_DUP_ACK), 0x0, \
      "The same datagram, seen earlier at another capture point or by a mirror port") \
    X(hf_label, "Label", "facetime.label", FT_STRING, BASE_NONE, NULL, 0x0, \
      "What stands over this packet's arrow in a flow graph or a ladder") \
    X(hf_event, "Event", "facetime.event", FT_STRING, BASE_NONE, NULL, 0x0, \
      "Name of an event at this packet") \
    X(hf_event_frame, "Other frame", "facetime.event.frame", FT_FRAMENUM, BASE_NONE, NULL, 0x0, \
      "The frame that the event's text speaks of") \
    X(hf_lost_before, "Lost before", "facetime.lost_before", FT_UINT32, BASE_DEC, NULL, 0x0, \
      "RTP packets of this stream missing before this one, as known at this packet; a late one " \
      "isn't taken back") \
    X(hf_media_gap, "Silence", "facetime.media_gap", FT_RELATIVE_TIME, BASE_NONE, NULL, 0x0, \
      "How long a sender's media was silent before this packet") \
    X(hf_quic_media, "Media inside QUIC", "facetime.quic_media", FT_BOOLEAN, BASE_NONE, NULL, 0x0, \
      "True: this QUIC packet carries audio or video, false: link messages; told by its " \
      "connection id of 4 bytes (published, no capture is known), once that came back") \
    X(hf_rtt, "Round trip", "facetime.rtt", FT_RELATIVE_TIME, BASE_NONE, NULL, 0x0, \
      "Round trip that this packet shows. Of the stamps in modern audio: an upper bound, which " \
      "holds up to one packet interval of waiting at each end; no capture time is in it. Of " \
      "RTCP or a check: by capture times, where these can be believed") \
    X(hf_freeze, "Freeze", "facetime.freeze", FT_RELATIVE_TIME, BASE_NONE, NULL, 0x0, \
      "No new picture for so long before this packet, by RTP timestamps: at least three usual " \
      "intervals, and 150 ms more than one, as known at this packet") \
    X(hf_frame_incomplete, "Picture incomplete", "facetime.frame_incomplete", \
      FT_BOOLEAN, BASE_NONE, NULL, 0x0, \
      "Last packet of a picture that lacks packets, as known at this packet; with the last one " \
      "missing, the next picture's first packet")

#define LINE_EXPERTS(X) \
    X(ei_limit, "facetime.limit", PI_PROTOCOL, PI_NOTE, \
      "A bound on what the plugin remembers is reached: this packet is decoded, but not followed")

#define LINE_TREES(X) X(ett_facetime) X(ett_event)

LINE_FIELDS(DECLARE_FIELD)
LINE_EXPERTS(DECLARE_EXPERT)
LINE_TREES(DECLARE_TREE)
/* clang-format on */

static expert_field ei_events[FT_EVENT_COUNT];

static void
show_peer_item(proto_tree *tree, tvbuff_t *tvb, const ft_endpoint *peer)
{
    proto_item *item = NULL;

    if (peer->addr.type == AT_IPv4)
        item = proto_tree_add_ipv4(tree, hf_peer_ipv4, tvb, 0, 0,
                                   *(const ws_in4_addr *)peer->addr.data);
    else if (peer->addr.type == AT_IPv6)
        item = proto_tree_add_ipv6(tree, hf_peer_ipv6, tvb, 0, 0,
                                   (const ws_in6_addr *)peer->addr.data);
    if (item) {
        proto_item_set_generated(item);
        proto_item_set_generated(proto_tree_add_uint(tree, hf_peer_port, tvb, 0, 0, peer->port));
    }
}

static void
hide(proto_item *item)
{
    proto_item_set_generated(item);
    proto_item_set_hidden(item);
}

/* The fields of one end. */
typedef struct {
    const int *ipv4, *ipv6, *port;
} end_fields;

static const end_fields either_end = { &hf_end_ipv4, &hf_end_ipv6, &hf_end_port },
                        sender_end = { &hf_from_ipv4, &hf_from_ipv6, &hf_from_port },
                        receiver_end = { &hf_to_ipv4, &hf_to_ipv6, &hf_to_port };

static void
show_end(proto_tree *tree, const end_fields *hf, tvbuff_t *tvb, const ft_endpoint *end)
{
    ws_in4_addr ipv4; /* addresses point into packets, anywhere */
    ws_in6_addr ipv6;

    if (end->addr.type == AT_IPv4) {
        memcpy(&ipv4, end->addr.data, sizeof ipv4);
        hide(proto_tree_add_ipv4(tree, *hf->ipv4, tvb, 0, 0, ipv4));
    } else if (end->addr.type == AT_IPv6) {
        memcpy(&ipv6, end->addr.data, sizeof ipv6);
        hide(proto_tree_add_ipv6(tree, *hf->ipv6, tvb, 0, 0, &ipv6));
    }
    hide(proto_tree_add_uint(tree, *hf->port, tvb, 0, 0, end->port));
}

/* For the filters of the conversations (plugin/conversations.c). */
static void
show_ends(proto_tree *tree, tvbuff_t *tvb, const packet_info *pinfo, const ft_packet *packet)
{
    ft_endpoint from, to;

    if (ft_network_is_quoted(pinfo))
        return;
    ft_flow_ends(pinfo, packet, &from, &to);
    show_end(tree, &either_end, tvb, &from);
    show_end(tree, &either_end, tvb, &to);
    show_end(tree, &sender_end, tvb, &from);
    show_end(tree, &receiver_end, tvb, &to);
}

/* True for a packet of a call, as of this frame. */
static bool
show_call(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo,
          const ft_packet *packet)
{
    uint32_t known_from;
    const ft_call *prepared = ft_call_prepared_by(pinfo, &known_from);
    const ft_call *call = packet->call;

    if (!call && prepared && known_from <= packet->frame)
        call = prepared;
    const bool is_of_call = call != NULL;
    call = ft_call_as_of(call, packet->frame);
    if (ft_call_none(call, packet->frame))
        call = NULL;
    const bool is_corrected = call && prepared && known_from > packet->frame;
    const ft_call *later = ft_call_as_of(call && !is_corrected ? call : prepared, UINT32_MAX);
    if (later && later->no_call_from)
        later = NULL;

    if (call) {
        proto_item_append_text(line, ", call %u", call->number);
        proto_item_set_generated(proto_tree_add_uint(tree, hf_call, tvb, 0, 0, call->number));
    }
    /* What only later frames tell is a link forward, so one pass doesn't have it. */
    if (later && later != call && pinfo->fd->visited) {
        const uint32_t frame = call && !is_corrected ? call->merged_frame
                                                     : MAX(known_from, later->first_frame);
        proto_item_set_generated(proto_tree_add_uint_format_value(
            tree, hf_call, tvb, 0, 0, later->number,
            later->first_frame < packet->frame ? "%u (known from frame %u)"
                                               : "%u (begins in frame %u)",
            later->number, ft_frame_number(frame)));
        ft_show_frame(tree, hf_call_frame, tvb, 0, 0, frame);
    }
    return is_of_call;
}

#define EVENT_SEVERITY(id, name, severity, often, text) severity,
static const int severities[] = { FT_EVENTS(EVENT_SEVERITY) };

/* Where there is neither an item nor a list of such infos, what is left of one is a column that
 * hardly anybody has, and the highest severity of the file. */
static bool
is_expert_wanted(packet_info *pinfo, const proto_item *item, ft_event_id id)
{
    static int tap;

    if (!tap)
        tap = find_tap_id("expert");
    return item || have_tap_listener(tap) || severities[id] > expert_get_highest_severity() ||
           col_get_writable(pinfo->cinfo, COL_EXPERT);
}

static void
show_events(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo,
            const ft_packet *packet)
{
    for (const ft_event *event = ft_event_first(pinfo, packet); event;
         event = ft_event_next(event)) {
        if (event->hindsight && !pinfo->fd->visited)
            continue;
        if (!event->hindsight)
            proto_item_append_text(line, " [%s]", ft_event_name(event->id));
        proto_item *item = NULL;
        if (tree)
            item = proto_tree_add_string(tree, hf_event, tvb, 0, 0, ft_event_name(event->id));
        proto_item_set_generated(item);
        if (is_expert_wanted(pinfo, item, event->id))
            expert_add_info_format(pinfo, item, &ei_events[event->id], "%s", event->text);
        proto_tree *tree_of_event = proto_item_add_subtree(item, ett_event);
        ft_show_frame(tree_of_event, hf_event_frame, tvb, 0, 0, event->other_frame);
        if (event->id == FT_EVENT_MEDIA_GAP)
            proto_item_set_generated(
                proto_tree_add_time(tree_of_event, hf_media_gap, tvb, 0, 0, &event->length));
    }
}

/* Bounds are met on the first pass, where things are remembered; the packet says so on every
 * pass. In a flood that goes for most packets: a bit for each frame, in blocks. */
#define FRAMES_PER_BLOCK 4096

static wmem_map_t *limit_frames; /* number of the block -> its bits */

bool
facetime_limit_was_met(const packet_info *pinfo)
{
    if (wmem_map_size(limit_frames) == 0)
        return false;
    const uint8_t *bits = (const uint8_t *)wmem_map_lookup(
        limit_frames, GUINT_TO_POINTER(ft_frame_id(pinfo) / FRAMES_PER_BLOCK));
    const unsigned frame = ft_frame_id(pinfo) % FRAMES_PER_BLOCK;

    return bits && (bits[frame / 8] & 1 << frame % 8);
}

static void
remember_limit(const packet_info *pinfo)
{
    const unsigned number = ft_frame_id(pinfo) / FRAMES_PER_BLOCK,
                   frame = ft_frame_id(pinfo) % FRAMES_PER_BLOCK;
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
        proto_item_set_generated(
            proto_tree_add_boolean(tree, hf_frame_incomplete, tvb, 0, 0, true));
}

static void
show_summary(proto_tree *tree, proto_item *line, tvbuff_t *tvb, packet_info *pinfo,
             const ft_packet *packet)
{
    const ft_frame *frame = ft_frame_get(pinfo);

    if (packet->kind != FT_KIND_UNKNOWN) {
        proto_item_append_text(line, ": %s", val_to_str_const(packet->kind, ft_kind_vals, "?"));
        proto_item_set_generated(proto_tree_add_uint(tree, hf_kind, tvb, 0, 0, packet->kind));
    }
    if (packet->generation != FT_GENERATION_UNKNOWN)
        proto_item_set_generated(
            proto_tree_add_uint(tree, hf_generation, tvb, 0, 0, packet->generation));
    if (packet->path != FT_PATH_UNKNOWN) {
        proto_item_append_text(line, ", %s", val_to_str_const(packet->path, ft_path_vals, "?"));
        proto_item_set_generated(proto_tree_add_uint(tree, hf_path, tvb, 0, 0, packet->path));
    }
    if (show_call(tree, line, tvb, pinfo, packet))
        show_ends(tree, tvb, pinfo, packet);
    const ft_endpoint *peer = ft_peer_of(packet);
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
        proto_item_set_generated(
            proto_tree_add_uint(tree, hf_lost_before, tvb, 0, 0, known->lost_before));
    if (packet->quic != FT_QUIC_UNKNOWN) {
        const bool is_media = packet->quic == FT_QUIC_MEDIA;
        proto_item_append_text(line, ", %s inside QUIC", is_media ? "media" : "link messages");
        proto_item_set_generated(proto_tree_add_boolean(tree, hf_quic_media, tvb, 0, 0, is_media));
    }
    show_quality(tree, tvb, pinfo);
}

/* The `facetime` line: it stands before what it sums up, so it is filled in when all of that is
 * known. */
static void
show_line(proto_item *line, tvbuff_t *tvb, packet_info *pinfo, const ft_packet *packet)
{
    proto_tree *tree = proto_item_add_subtree(line, ett_facetime);

    if (tree && proto_field_is_referenced(tree, hf_label))
        hide(proto_tree_add_string(tree, hf_label, tvb, 0, 0, ft_label(pinfo, packet, NULL)));
    if (ft_is_wanted(tree, proto_facetime))
        show_summary(tree, line, tvb, pinfo, packet);
    if (packet->limit_hit && ft_learning(pinfo))
        remember_limit(pinfo);
    if (packet->limit_hit || facetime_limit_was_met(pinfo))
        expert_add_info(pinfo, line, &ei_limit);
    if (ft_frame_get(pinfo)) /* events hang on it */
        show_events(tree, line, tvb, pinfo, packet);
}

/* The end of a packet's dissection: its line, and the tap. */
void
facetime_finish_line(tvbuff_t *tvb, packet_info *pinfo, proto_item *line, const ft_packet *packet)
{
    show_line(line, tvb, pinfo, packet);
    ft_witness_note(pinfo, packet);
    if (have_tap_listener(facetime_tap))
        tap_queue_packet(facetime_tap, pinfo, packet);
    ft_telephony_tell(pinfo, packet);
    ft_export_whole(pinfo, packet, tvb);
}

/* ---- registration ---- */

#define EVENT_EXPERT(id, name, severity, often, text) \
    { &ei_events[id], { "facetime.event." name, PI_SEQUENCE, severity, text, EXPFILL } },

void
facetime_register_line(int proto, expert_module_t *experts)
{
    static hf_register_info hf[] = { LINE_FIELDS(REGISTER_FIELD) };
    static ei_register_info ei[] = { LINE_EXPERTS(REGISTER_EXPERT) FT_EVENTS(EVENT_EXPERT) };
    static int *ett[] = { LINE_TREES(REGISTER_TREE) };

    proto_facetime = proto;
    for (unsigned i = 0; i < FT_EVENT_COUNT; i++)
        ei_events[i] = (expert_field)EI_INIT;
    proto_register_field_array(proto, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(experts, ei, array_length(ei));
    facetime_tap = register_tap("facetime");
    limit_frames = ft_new_map(g_direct_hash, g_direct_equal);
}
