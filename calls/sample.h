/* calls/sample.h
 * One media packet in many, kept by its bytes: the same packet at the other end of the call is of
 * that call, whatever the two captures' clocks say. Ciphertext, number, timestamp and SSRC together
 * come a second time nowhere else.
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

/* The packet is of that call: such as are due, and a stream's first ones. First pass. */
void ft_sample_keep(const ft_sample *packet, ft_call *call);

/* Once, when the front door is registered. */
void ft_sample_init(void);

#endif
