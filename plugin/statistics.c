/* plugin/statistics.c
 * Statistics > FaceTime, tshark -q -z facetime,tree: packets by kind, path, generation, call, payload type and Apple
 * attribute, with rates and bursts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"

#include "calls/call.h"
#include "calls/media.h"

#include <epan/stats_tree.h>

#define ALL "FaceTime packets"

/* One branch a property of a packet. */
enum { BY_KIND, BY_PATH, BY_GENERATION, BY_CALL, BY_PAYLOAD_TYPE, BY_ATTRIBUTE, BY_EVENT, BRANCHES };

static const char *const branch_names[BRANCHES] = {
    "Kind", "Path", "Generation", "Call", "RTP payload type", "Apple STUN attribute", "Event"
};

static int all_node;
static int branch_nodes[BRANCHES];

static void
statistics_init(stats_tree *tree)
{
    all_node = stats_tree_create_node(tree, ALL, 0, STAT_DT_INT, TRUE);
    for (unsigned branch = 0; branch < BRANCHES; branch++)
        branch_nodes[branch] = stats_tree_create_pivot(tree, branch_names[branch], all_node);
}

static void
count_value(stats_tree *tree, unsigned branch, unsigned value, const value_string *names)
{
    if (value)
        stats_tree_tick_pivot(tree, branch_nodes[branch], val_to_str_const(value, names, "unknown"));
}

static void
count_number(stats_tree *tree, unsigned branch, const char *format, unsigned number)
{
    char text[64];

    snprintf(text, sizeof text, format, number);
    stats_tree_tick_pivot(tree, branch_nodes[branch], text);
}

static void
count_payload_type(stats_tree *tree, packet_info *pinfo, const ft_packet *packet)
{
    const ft_codec *codec =
        ft_call_codec(packet->call, packet->generation, packet->payload_type, packet->frame, NULL);
    char text[64];

    snprintf(text, sizeof text, "%u %s", packet->payload_type,
             codec ? ft_codec_str(pinfo->pool, codec) : "unknown");
    stats_tree_tick_pivot(tree, branch_nodes[BY_PAYLOAD_TYPE], text);
}

static void
count_attributes(stats_tree *tree, uint32_t attributes)
{
    static const uint16_t types[] = {
        0x8001, 0x8002, 0x8003, 0x8004, 0x8005, 0x8006, 0x8007, 0x8008, 0x8009, 0x800a, 0x8023, 0x8024
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        if (attributes & FT_ATTRIBUTE_BIT(types[i]))
            count_number(tree, BY_ATTRIBUTE, "0x%04x", types[i]);
    }
}

static tap_packet_status
statistics_packet(stats_tree *tree, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                  tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = ft_call_as_of(packet->call, packet->frame);

    tick_stat_node(tree, ALL, 0, TRUE);
    count_value(tree, BY_KIND, packet->kind, ft_kind_vals);
    count_value(tree, BY_PATH, packet->path, ft_path_vals);
    count_value(tree, BY_GENERATION, packet->generation, ft_generation_vals);
    if (call)
        count_number(tree, BY_CALL, "Call %u", call->number);
    if (packet->kind == FT_KIND_RTP && packet->payload_type != FT_NO_PAYLOAD_TYPE)
        count_payload_type(tree, pinfo, packet);
    count_attributes(tree, packet->apple_attributes);
    for (const ft_event *event = ft_events_of(pinfo); event; event = event->next)
        stats_tree_tick_pivot(tree, branch_nodes[BY_EVENT], ft_event_name(event->id));
    return TAP_PACKET_REDRAW;
}

void
register_tap_listener_facetime_statistics(void)
{
    stats_tree_register_plugin("facetime", "facetime", "FaceTime", 0, statistics_packet, statistics_init, NULL);
}
