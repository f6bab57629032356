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

/* A datagram: its bytes, as many as were captured (NULL where none were), and its length. */
typedef struct {
    const uint8_t *bytes;
    unsigned captured, length;
} datagram;

static inline datagram
datagram_of(tvbuff_t *tvb)
{
    const unsigned captured = tvb_captured_length(tvb);

    return (datagram){ captured > 0 ? tvb_get_ptr(tvb, 0, (int)captured) : NULL, captured,
                       tvb_reported_length(tvb) };
}

/* What stands in it: `length` bytes from this offset on. */
static inline datagram
datagram_within(tvbuff_t *tvb, int offset, int length)
{
    const int captured = MIN(tvb_captured_length_remaining(tvb, offset), length);

    return (datagram){ captured > 0 ? tvb_get_ptr(tvb, offset, captured) : NULL,
                       (unsigned)MAX(captured, 0), (unsigned)length };
}

/* known: the generation of the flow, unknown where the flow isn't claimed yet. */
ft_shape shape_of_datagram(const datagram *seen, ft_generation known);
ft_shape shape_of(tvbuff_t *tvb, ft_generation known);

/* Where a SNATMAP or CommNAT message claimed the flow, one that is damaged: the right length, or
 * the right head. */
ft_shape shape_of_damaged(tvbuff_t *tvb, const ft_flow *flow);

/* The proof that QUIC goes to one of FaceTime's relays (ft_proof), and the ports that these
 * have. */
bool quic_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);
static inline bool
is_quic_relay_port(uint32_t port)
{
    return port >= 3478 && port <= 3497;
}

#endif
