/* calls/quic.h
 * Media inside QUIC ("pods", iOS 26; published, no capture is known): short-header packets on a
 * relay's 5-tuple or the direct one, whose destination connection id has 4 bytes:
 *
 *    0        1                                  5
 *   +--------+------+---------------------------+------------
 *   | 01.... | type | 28 bits, of which bit 23  | encrypted
 *   +--------+------+---------------------------+------------
 *              4 bits; 0: audio and video, 1: link messages
 *
 * Of random bytes one packet in 16 has that shape, so a single one is none. An id of that shape
 * that comes back in one direction of a known flow, before other bytes each time (else it is the
 * head of a longer id), is one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_QUIC_H
#define FT_QUIC_H

#include "calls/call.h"

/* What a short-header packet of the packet in hand carries, as known at this frame. On the first
 * pass its connection id is remembered, and media is counted: of its call, path and direction,
 * path switches, silences. Sets packet->quic. */
void ft_quic_media_learn(packet_info *pinfo, tvbuff_t *tvb);

/* True where the datagram begins as a packet of such a connection of this flow, as known before
 * this frame: whatever else its bytes look like. */
bool ft_quic_known(const ft_flow *flow, const packet_info *pinfo, tvbuff_t *tvb);

/* A connection to the relay begins on this way: its Initial was captured. First pass. */
void ft_quic_relay_begins(const ft_leg *leg);

/* Whether a short header to the relay is of another connection than those before it on this way,
 * whose media is silent. A connection keeps the relay's id of 8 bytes (204 of 204 packets of four
 * connections in the captures of 2023); another id counts when it comes again. First pass. */
bool ft_quic_relay_is_another(packet_info *pinfo, const ft_leg *leg, tvbuff_t *tvb);

/* Once, when the front door is registered. */
void ft_quic_init(void);

#endif
