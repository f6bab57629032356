/* calls/segments.h
 * TURN over TCP that nobody has a claim to yet: messages that are cut into several segments.
 *
 *    segment       |....message....|....mes|
 *    the next one                          |sage....|....        the rest is kept until it comes
 *
 * A direction is known by its ends and the sequence number that must come next; there are a few
 * at a time, and what is kept of one is at most a message as long as an IP packet. A message that
 * proves its flow is kept for later passes, once a flow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SEGMENTS_H
#define FT_SEGMENTS_H

#include "calls/packet.h"

#define MAX_PIECE 1536 /* bytes of a message that are kept until the rest comes */

/* before: how many of the bytes are of earlier segments. */
typedef struct {
    const uint8_t *bytes;
    unsigned       length, before;
} ft_bytes;

/* The segment with what its direction has kept before it, and so on later passes where these
 * proved the flow; as it is where there is nothing. None where it came before. */
ft_bytes ft_segments_joined(packet_info *pinfo, uint32_t sequence, ft_bytes segment);

/* First pass: the end of the segment, a message's beginning. */
void ft_segments_keep(const packet_info *pinfo, uint32_t next_sequence, ft_bytes piece);

/* First pass: this frame's bytes, which aren't the segment's alone, proved the flow. */
void ft_segments_prove(const packet_info *pinfo, ft_bytes joined, unsigned segment_length);

extern G_GNUC_INTERNAL unsigned ft_segments_total; /* pieces that wait, or proved a flow */

/* Whether a segment that begins with anything may have to do with the above. Cheap. */
static inline bool
ft_segments_wait(void)
{
    return ft_segments_total > 0;
}

void ft_segments_init(void);

#endif
