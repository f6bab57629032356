/* wire/nat_message.h
 * What SNATMAP and CommNAT have in common: 16 bytes, an address at offset 8 that may be inverted
 * bit by bit, a request and its answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_NAT_MESSAGE_H
#define FT_NAT_MESSAGE_H

#include "calls/exchange.h"

#include <epan/expert.h>

#define NAT_MESSAGE_LENGTH  16

/* An address of the message, in the clear. */
typedef struct {
    uint32_t ipv4;      /* in network byte order */
    uint16_t port;
} ipv4_port;

ipv4_port nat_read_address(tvbuff_t *tvb, unsigned offset, bool inverted);

/* An address that a host can have: not 0/8, 127/8, multicast or above, and a port. */
bool nat_is_host_address(const ipv4_port *clear);

/* The address points into *clear. */
ft_endpoint nat_endpoint(const ipv4_port *clear);

/* Lives in pinfo->pool. */
const char *nat_str(packet_info *pinfo, const ipv4_port *clear);

/* Whether the capture kept these bytes. */
bool nat_has(tvbuff_t *tvb, int offset, int length);

/* Ports on a device: libprotoident saw up to 16410 in 2011. */
bool nat_is_local_port(uint32_t port);

/* What a sender got wrong is told apart from what the capture didn't keep. */
void nat_check_length(tvbuff_t *tvb, packet_info *pinfo, proto_item *item, expert_field *ei_length,
                      expert_field *ei_cut);

/* What is left of a message that can't be read as one. */
void nat_show_rest(tvbuff_t *tvb, proto_tree *tree, int hf_raw);

/* Links between a request and its answer. The names of the fields are all that differs between
 * the protocols. */
typedef struct {
    const int *response_in, *response_to, *time;
} nat_exchange_fields;

void nat_show_exchange(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo,
                       const nat_exchange_fields *fields, const ft_exchange *exchange,
                       bool is_request);

#endif
