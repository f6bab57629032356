/* calls/sample.h
 * One media packet in many, kept by its bytes: the same packets at the other end of the call are of
 * that call, whatever the two captures' clocks say. Ciphertext, number, timestamp and SSRC together
 * come a second time nowhere else, but for a traffic generator's, whose thousands of phones send
 * one packet: so two calls have two in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SAMPLE_H
#define FT_SAMPLE_H

#include "calls/model.h"

typedef struct {
    uint32_t ssrc, timestamp, digest;   /* digest: of the payload */
    uint16_t sequence;
} ft_sample;

/* Of each stream every 64th number, so that both ends keep the same ones. */
static inline bool ft_sample_is_due(uint16_t sequence) { return sequence % 64 == 0; }

/* The other call than this one (NULL: none) that had the very same packet, as of the packet in
 * hand; NULL where none is known. First pass. */
ft_call *ft_sample_call(const packet_info *pinfo, const ft_sample *packet, const ft_call *call);

/* These two calls have the packet of this number in common. True where they had another one
 * before. First pass. */
bool ft_sample_agrees(const packet_info *pinfo, ft_call *one, ft_call *other, uint16_t sequence);

/* The packet is of that call: such as are due, and a stream's first ones. First pass. */
void ft_sample_keep(const ft_sample *packet, ft_call *call);

/* Once, when the front door is registered. */
void ft_sample_init(void);

#endif
