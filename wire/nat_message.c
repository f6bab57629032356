/* wire/nat_message.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/nat_message.h"
#include "calls/evidence.h"

ipv4_port
nat_read_address(tvbuff_t *tvb, unsigned offset, bool inverted)
{
    ipv4_port clear = { tvb_get_ipv4(tvb, offset), tvb_get_ntohs(tvb, offset + 4) };

    if (inverted) {
        clear.ipv4 = ~clear.ipv4;
        clear.port = (uint16_t)~clear.port;
    }
    return clear;
}

/* An address that a host can have: not 0/8, 127/8, multicast or above. */
bool
nat_is_host_address(const ipv4_port *clear)
{
    const unsigned first = g_ntohl(clear->ipv4) >> 24;

    return first != 0 && first != 127 && first < 224 && clear->port != 0;
}

/* The address points into *clear. */
ft_endpoint
nat_endpoint(const ipv4_port *clear)
{
    ft_endpoint endpoint = { ADDRESS_INIT_NONE, clear->port };

    set_address(&endpoint.addr, AT_IPv4, sizeof clear->ipv4, &clear->ipv4);
    return endpoint;
}

const char *
nat_str(packet_info *pinfo, const ipv4_port *clear)
{
    const ft_endpoint endpoint = nat_endpoint(clear);

    return ft_endpoint_str(pinfo->pool, &endpoint);
}

bool
nat_has(tvbuff_t *tvb, int offset, int length)
{
    return tvb_bytes_exist(tvb, offset, length);
}

/* Ports on a device: libprotoident saw up to 16410 in 2011. */
bool
nat_is_local_port(uint32_t port)
{
    return ft_is_device_port(port) || (port > 16403 && port <= 16410);
}

/* What a sender got wrong is told apart from what the capture didn't keep. */
void
nat_check_length(tvbuff_t *tvb, packet_info *pinfo, proto_item *item, expert_field *ei_length,
             expert_field *ei_cut)
{
    const unsigned length = tvb_reported_length(tvb);

    if (length != NAT_MESSAGE_LENGTH)
        expert_add_info_format(pinfo, item, ei_length, "%u bytes, where a message has %u", length,
                               NAT_MESSAGE_LENGTH);
    if (tvb_captured_length(tvb) < MIN(length, NAT_MESSAGE_LENGTH))
        expert_add_info(pinfo, item, ei_cut);
}

/* What is left of a message that can't be read as one. */
void
nat_show_rest(tvbuff_t *tvb, proto_tree *tree, int hf_raw)
{
    const unsigned end = MIN(tvb_captured_length(tvb), NAT_MESSAGE_LENGTH);

    if (end > 8)
        proto_tree_add_item(tree, hf_raw, tvb, 8, end - 8, ENC_NA);
}

void
nat_show_exchange(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo,
                  const nat_exchange_fields *fields, const ft_exchange *exchange, bool is_request)
{
    if (!exchange)
        return;
    if (is_request) {
        if (exchange->response_frame)
            ft_show_frame(tree, *fields->response_in, tvb, 0, 0, exchange->response_frame);
        return;
    }

    const nstime_t elapsed = ft_passed_since(&exchange->request_time, pinfo);
    ft_show_frame(tree, *fields->response_to, tvb, 0, 0, exchange->request_frame);
    proto_item_set_generated(proto_tree_add_time(tree, *fields->time, tvb, 0, 0, &elapsed));
}
