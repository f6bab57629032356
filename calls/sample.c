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
    ft_call  *call;
    ft_sample packet;
    uint16_t  places;   /* where it was met so far */
} slot;

static slot *slots; /* NULL before the first */

static void
reset(void)
{
    slots = NULL;
}

void
ft_sample_init(void)
{
    register_init_routine(reset);
}

static slot *
sample_slot(const ft_sample *packet)
{
    return &slots[((packet->ssrc ^ packet->digest) * 0x9e3779b1u >> 16) % SLOTS];
}

static bool
has_sample(const slot *known, const ft_sample *packet)
{
    return known->call && known->packet.ssrc == packet->ssrc &&
           known->packet.sequence == packet->sequence &&
           known->packet.timestamp == packet->timestamp && known->packet.digest == packet->digest;
}

ft_call *
ft_sample_call(const packet_info *pinfo, const ft_sample *packet, const ft_call *call)
{
    slot *known = slots ? sample_slot(packet) : NULL;

    if (!known || !has_sample(known, packet))
        return NULL;
    ft_call *had = (ft_call *)ft_call_as_of(known->call, ft_frame_id(pinfo));
    return had && had != call && ++known->places < PLACES ? had : NULL;
}

void
ft_sample_keep(const ft_sample *packet, ft_call *call)
{
    if (!slots)
        slots = wmem_alloc0_array(wmem_file_scope(), slot, SLOTS);

    slot *at = sample_slot(packet);
    if (!has_sample(at, packet))
        *at = (slot){ call, *packet, 0 };
}
