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

/* The latest pairs of calls that had a packet in common: few are under way at once. */
#define PAIRS   16

typedef struct {
    ft_call *one, *other;
    uint16_t sequence;
} pair;

static slot *slots; /* NULL before the first */
static pair  pairs[PAIRS];
static unsigned next_pair;

static void
reset(void)
{
    slots = NULL;
    memset(pairs, 0, sizeof pairs);
    next_pair = 0;
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

bool
ft_sample_agrees(const packet_info *pinfo, ft_call *one, ft_call *other, uint16_t sequence)
{
    const uint32_t frame = ft_frame_id(pinfo);

    if (one == other)
        return false;
    for (unsigned i = 0; i < PAIRS; i++) {
        if (ft_call_as_of(pairs[i].one, frame) == one &&
            ft_call_as_of(pairs[i].other, frame) == other)
            return pairs[i].sequence != sequence;
    }
    pairs[next_pair++ % PAIRS] = (pair){ one, other, sequence };
    return false;
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
