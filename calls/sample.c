/* calls/sample.c
 * Which call had this very packet of media: a table in which the latest of a place wins.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/sample.h"

#include "calls/call.h"

#define SLOTS   2048    /* some a second: ten minutes of a call */
/* A packet is at few places; one that comes at more is a traffic generator's. */
#define PLACES  4

typedef struct {
    ft_call *call;
    uint32_t ssrc, timestamp, digest;
    uint16_t sequence;
    uint16_t places;    /* where it was met so far */
} sample;

static sample *samples; /* NULL before the first */

static void
reset(void)
{
    samples = NULL;
}

void
ft_sample_init(void)
{
    register_init_routine(reset);
}

static sample *
slot_of(const ft_rtp *rtp)
{
    return &samples[((rtp->ssrc ^ rtp->digest) * 0x9e3779b1u >> 16) % SLOTS];
}

static bool
is_of(const sample *known, const ft_rtp *rtp)
{
    return known->call && known->ssrc == rtp->ssrc && known->sequence == rtp->sequence &&
           known->timestamp == rtp->timestamp && known->digest == rtp->digest;
}

ft_call *
ft_sample_call(const packet_info *pinfo, const ft_rtp *rtp, const ft_call *call)
{
    sample *known = samples ? slot_of(rtp) : NULL;

    if (!known || !is_of(known, rtp))
        return NULL;
    ft_call *had = (ft_call *)ft_call_as_of(known->call, ft_frame_id(pinfo));
    return had && had != call && ++known->places < PLACES ? had : NULL;
}

void
ft_sample_keep(const ft_rtp *rtp, ft_call *call)
{
    if (!samples)
        samples = wmem_alloc0_array(wmem_file_scope(), sample, SLOTS);

    sample *slot = slot_of(rtp);
    if (!is_of(slot, rtp))
        *slot = (sample){ call, rtp->ssrc, rtp->timestamp, rtp->digest, rtp->sequence, 0 };
}
