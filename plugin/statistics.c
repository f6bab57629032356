/* plugin/statistics.c
 * Statistics > FaceTime, tshark -q -z facetime,tree: packets by kind, path, generation, call,
 * payload type and Apple attribute, with rates and bursts; sizes of frames and lost packets with
 * their averages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"

#include "calls/call.h"
#include "calls/media.h"

#include <epan/stats_tree.h>

#define ALL   "FaceTime packets"
#define SIZES "Bytes of frames"
#define LOST  "RTP packets lost in a row"

/* One branch a property of a packet. */
enum {
    BY_KIND,
    BY_PATH,
    BY_GENERATION,
    BY_CALL,
    BY_PAYLOAD_TYPE,
    BY_ATTRIBUTE,
    BY_EVENT,
    BRANCHES
};

static const char *const branch_names[BRANCHES] = {
    "Kind", "Path", "Generation", "Call", "RTP payload type", "Apple STUN attribute", "Event"
};

static int all_node;
static int sizes_node;
static int branch_nodes[BRANCHES];

static void
statistics_init(stats_tree *tree)
{
    all_node = stats_tree_create_node(tree, ALL, 0, STAT_DT_INT, TRUE);
    for (unsigned branch = 0; branch < BRANCHES; branch++)
        branch_nodes[branch] = stats_tree_create_pivot(tree, branch_names[branch], all_node);
    sizes_node = stats_tree_create_node(tree, SIZES, 0, STAT_DT_INT, TRUE);
    stats_tree_create_node(tree, LOST, 0, STAT_DT_INT, FALSE);
}

static void
count_value(stats_tree *tree, unsigned branch, unsigned value, const value_string *names)
{
    if (value)
        stats_tree_tick_pivot(tree, branch_nodes[branch],
                              val_to_str_const(value, names, "unknown"));
}

static void
tick_number(stats_tree *tree, unsigned branch, const char *format, unsigned number)
{
    char text[64];

    snprintf(text, sizeof text, format, number);
    stats_tree_tick_pivot(tree, branch_nodes[branch], text);
}

static void
count_payload_type(stats_tree *tree, packet_info *pinfo, const ft_packet *packet,
                   uint8_t payload_type)
{
    const ft_codec *codec =
        ft_call_codec(packet->call, packet->generation, payload_type, packet->frame, NULL);
    char text[64];

    snprintf(text, sizeof text, "%u %s", payload_type,
             codec ? ft_codec_str(pinfo->pool, codec) : "unknown");
    stats_tree_tick_pivot(tree, branch_nodes[BY_PAYLOAD_TYPE], text);
}

/* Of gkstun's table. One number was given away twice. */
static const struct {
    uint16_t      type;
    ft_generation generation; /* of the packets that mean this; unknown: of all */
    const char   *name;
} attributes[] = {
    { 0x8001, FT_GENERATION_UNKNOWN, "CANDIDATE-PROTOCOL" },
    { 0x8002, FT_GENERATION_UNKNOWN, "UNKNOWN-8002" },
    { 0x8003, FT_GENERATION_UNKNOWN, "ICE-VERSION" },
    { 0x8004, FT_GENERATION_UNKNOWN, "REQUEST-TIMESTAMP" },
    { 0x8005, FT_GENERATION_UNKNOWN, "RESPONSE-DELAY" },
    { 0x8006, FT_GENERATION_UNKNOWN, "CELLULAR-QOS" },
    { 0x8007, FT_GENERATION_UNKNOWN, "RADIO-ACCESS-TECHNOLOGY" },
    { 0x8008, FT_MODERN,             "LINK-ID" },
    { 0x8008, FT_GENERATION_UNKNOWN, "NOMINATION" },
    { 0x8009, FT_GENERATION_UNKNOWN, "CANDIDATE-LIST" },
    { 0x800a, FT_GENERATION_UNKNOWN, "SIMPLE-KEY-EXCHANGE" },
    { 0x8023, FT_GENERATION_UNKNOWN, "LINK-FLAGS" },
    { 0x8024, FT_GENERATION_UNKNOWN, "DATA-SO-MASK" },
};

static void
count_attributes(stats_tree *tree, const ft_packet *packet)
{
    uint64_t left = packet->apple_attributes;

    for (unsigned i = 0; i < G_N_ELEMENTS(attributes) && left; i++) {
        const uint64_t bit = FT_ATTRIBUTE_BIT(attributes[i].type);
        if (!(left & bit) ||
            (attributes[i].generation && attributes[i].generation != packet->generation))
            continue;
        stats_tree_tick_pivot(tree, branch_nodes[BY_ATTRIBUTE], attributes[i].name);
        left &= ~bit;
    }
}

/* As facetime.kind has it, but for the abbreviation. */
static const char *
kind_name(ft_kind kind)
{
    return kind == FT_KIND_HBH ? "hop-by-hop" : val_to_str_const(kind, ft_kind_vals, "unknown");
}

static void
count_kind(stats_tree *tree, const packet_info *pinfo, ft_kind kind)
{
    if (!kind)
        return;
    stats_tree_tick_pivot(tree, branch_nodes[BY_KIND], kind_name(kind));
    avg_stat_node_add_value_int(tree, SIZES, 0, TRUE, (int)pinfo->fd->pkt_len);
    avg_stat_node_add_value_int(tree, kind_name(kind), sizes_node, FALSE, (int)pinfo->fd->pkt_len);
}

static void
tick_losses(stats_tree *tree, packet_info *pinfo, const ft_packet *packet)
{
    const ft_frame *frame = packet->kind == FT_KIND_RTP ? ft_frame_get(pinfo) : NULL;

    if (frame && frame->lost_before)
        avg_stat_node_add_value_int(tree, LOST, 0, FALSE, (int)frame->lost_before);
}

static tap_packet_status
statistics_packet(stats_tree *tree, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                  tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = ft_call_as_of(packet->call, packet->frame);

    tick_stat_node(tree, ALL, 0, TRUE);
    count_kind(tree, pinfo, packet->kind);
    count_value(tree, BY_PATH, packet->path, ft_path_vals);
    count_value(tree, BY_GENERATION, packet->generation, ft_generation_vals);
    if (call)
        tick_number(tree, BY_CALL, "Call %u", call->number);
    if (packet->kind == FT_KIND_RTP) /* each RTP packet of the datagram */
        for (unsigned i = 0; i < packet->ssrc_count; i++)
            count_payload_type(tree, pinfo, packet, packet->payload_types[i]);
    count_attributes(tree, packet);
    tick_losses(tree, pinfo, packet);
    for (const ft_event *event = ft_event_first(pinfo, packet); event; event = ft_event_next(event))
        stats_tree_tick_pivot(tree, branch_nodes[BY_EVENT], ft_event_name(event->id));
    return TAP_PACKET_REDRAW;
}

void
register_facetime_statistics(void)
{
    stats_tree_register_plugin("facetime", "facetime", "FaceTime", 0, statistics_packet,
                               statistics_init, NULL);
}
