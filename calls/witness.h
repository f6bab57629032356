/* calls/witness.h
 * What a capture can tell of a call at all: which of its packets were cut, which seen twice,
 * whether both directions are there, who sent the packet that ended it; and when the file begins
 * and ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_WITNESS_H
#define FT_WITNESS_H

#include "calls/packet.h"

typedef struct {
    uint32_t packets, cut, first_cut, first_twice;  /* the firsts are ids of frames, 0 if none */
    bool     both_directions;
    bool     one_direction;             /* of so many packets that the capture has no other */
    bool     end_known, end_is_own;     /* who sent the packet that ended the call */
} ft_witnessed;

/* The packet in hand, when all is known of it: the front door's last step. First pass (else a
 * no-op). */
void ft_witness_note(packet_info *pinfo, const ft_packet *packet);

/* Whether this address sent the packet that ended the call. */
bool ft_witness_ended_by(const struct ft_call *call, const address *end);

/* What was seen of the call, and of those that were found to be parts of it. */
ft_witnessed ft_witness_of(const struct ft_call *call);

#endif
