/* calls/copies.h
 * Seen more than once: a mirror port, both sides of a NAT, 464XLAT bring the same datagram again
 * within milliseconds. One of both is learnt from; the other one is shown and left at that
 * (ft_packet.seen_before): it is no retransmission, no second path, no second stream.
 *
 *    same ends, same bytes, at once         the later one is the copy, also with others of a
 *                                           mirrored flow in between
 *    same ends, same bytes, same IP id      the later one is the copy, however late: two captures,
 *                                           two clocks
 *    the same of all, both ways, as late    copies: a mirror's, from afar (up to 50 ms)
 *    one end (or family) other, same bytes  the flow that came first is the call's, the other one
 *                                           its twin
 *
 * A retransmission has another IP id, and comes after a retransmission's time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_COPIES_H
#define FT_COPIES_H

#include "calls/flow.h"

/* Judges the packet in hand, once its flow is known: sets seen_before, and flow to that of the
 * first copy. Later passes find what the first one found. */
void ft_copies_judge(tvbuff_t *tvb, packet_info *pinfo);

/* The same of what is no datagram of a flow (an ICMP error, a segment of TCP): `key` is what both
 * copies have, and nothing else within a moment. */
void ft_copies_judge_rare(packet_info *pinfo, ft_packet *packet, uint64_t key);

/* Once, when the front door is registered. */
void ft_copies_init(void);

#endif
