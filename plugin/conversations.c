/* plugin/conversations.c
 * Statistics > Conversations and Endpoints, tab FaceTime; tshark -q -z conv,facetime, -z
 * endpoints,facetime; sharkd's conv:FaceTime and endpt:FaceTime: who spoke to whom in a call,
 * with the far end in place of the relay before it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"

#include "calls/call.h"
#include "calls/network.h"

#include <epan/conversation_table.h>
#include <epan/tap.h>

/* By kind of filter, for IPv4 and IPv6; a port is the same in both. */
static const struct { conv_filter_type_e kind; const char *ipv4, *ipv6; } filters[] = {
    { CONV_FT_SRC_ADDRESS, "facetime.from.ipv4", "facetime.from.ipv6" },
    { CONV_FT_DST_ADDRESS, "facetime.to.ipv4",   "facetime.to.ipv6" },
    { CONV_FT_ANY_ADDRESS, "facetime.end.ipv4",  "facetime.end.ipv6" },
    { CONV_FT_SRC_PORT,    "facetime.from.port", "facetime.from.port" },
    { CONV_FT_DST_PORT,    "facetime.to.port",   "facetime.to.port" },
    { CONV_FT_ANY_PORT,    "facetime.end.port",  "facetime.end.port" },
};

static const char *
filter_of(const address *end, conv_filter_type_e kind)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(filters); i++) {
        if (filters[i].kind == kind)
            return end->type == AT_IPv6 ? filters[i].ipv6 : filters[i].ipv4;
    }
    return CONV_FILTER_INVALID;
}

static const char *
conversation_filter(conv_item_t *item, conv_filter_type_e kind)
{
    return filter_of(kind == CONV_FT_DST_ADDRESS ? &item->dst_address : &item->src_address, kind);
}

static const char *
endpoint_filter(endpoint_item_t *item, conv_filter_type_e kind)
{
    return filter_of(&item->myaddress, kind);
}

static ct_dissector_info_t conversation_info = { conversation_filter };
static et_dissector_info_t endpoint_info = { endpoint_filter };

/* The call of a packet that counts: an ICMP error comes from routers, and a frame counts once. */
static const ft_call *
counted_call(const packet_info *pinfo, const ft_packet *packet)
{
    return ft_network_is_quoted(pinfo) || packet->part ? NULL
                                                       : ft_call_as_of(packet->call, UINT32_MAX);
}

static tap_packet_status
conversation_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                    tap_flags_t flags)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = counted_call(pinfo, packet);
    conv_hash_t *table = (conv_hash_t *)data;
    ft_endpoint from, to;

    if (!call)
        return TAP_PACKET_DONT_REDRAW;
    table->flags = flags;
    ft_flow_ends(pinfo, packet, &from, &to);
    add_conversation_table_data_with_conv_id(
        table, &from.addr, &to.addr, from.port, to.port, call->number, 1, (int)pinfo->fd->pkt_len,
        &pinfo->rel_ts, &pinfo->abs_ts, &conversation_info, CONVERSATION_UDP);
    return TAP_PACKET_REDRAW;
}

static tap_packet_status
endpoint_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                tap_flags_t flags)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    conv_hash_t *table = (conv_hash_t *)data;
    ft_endpoint from, to;

    if (!counted_call(pinfo, packet))
        return TAP_PACKET_DONT_REDRAW;
    table->flags = flags;
    ft_flow_ends(pinfo, packet, &from, &to);
    add_endpoint_table_data(table, &from.addr, from.port, TRUE, 1, (int)pinfo->fd->pkt_len,
                            &endpoint_info, ENDPOINT_UDP);
    add_endpoint_table_data(table, &to.addr, to.port, FALSE, 1, (int)pinfo->fd->pkt_len,
                            &endpoint_info, ENDPOINT_UDP);
    return TAP_PACKET_REDRAW;
}

void
register_facetime_conversations(void)
{
    register_conversation_table(proto_get_id_by_filter_name("facetime"), FALSE, conversation_packet,
                                endpoint_packet);
}
