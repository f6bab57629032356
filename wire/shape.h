/* wire/shape.h
 * What a datagram is, by its first bytes (the chart in packet-facetime.c): no state is needed
 * for that, so both passes agree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SHAPE_H
#define FT_SHAPE_H

#include "calls/evidence.h"
#include "calls/flow.h"

/* known: the generation of the flow, unknown where the flow isn't claimed yet. */
ft_shape shape_of(tvbuff_t *tvb, ft_generation known);

/* Where a SNATMAP or CommNAT message claimed the flow, one that is damaged: the right length, or
 * the right head. */
ft_shape shape_of_damaged(tvbuff_t *tvb, const ft_flow *flow);

/* The proof that QUIC goes to one of FaceTime's relays (ft_proof), and the ports that these
 * have. */
bool quic_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);
bool is_quic_relay_port(uint32_t port);

#endif
