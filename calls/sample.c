/* calls/sample.c
 * Which call had this very packet of media: a table of sets, in each of which the latest ones stay.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/sample.h"

#include "calls/call.h"

/* Some a second: an hour of a call, or a minute of fifty at once. */
#define SETS    4096
#define SLOTS   4   /* of a set: few packets with one sum never drive each other out */

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

static slot *slots; /* SETS times SLOTS, in each set the latest first; NULL before the first */
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
set_of(const ft_sample *packet)
{
    const uint32_t sum = (packet->ssrc ^ packet->digest) * 0x9e3779b1u;

    return &slots[(sum >> 16) % SETS * SLOTS];
}

static slot *
find(const ft_sample *packet)
{
    slot *set = slots ? set_of(packet) : NULL;

    for (unsigned i = 0; set && i < SLOTS; i++) {
        const ft_sample *known = &set[i].packet;
        if (set[i].call && known->ssrc == packet->ssrc && known->sequence == packet->sequence &&
            known->timestamp == packet->timestamp && known->digest == packet->digest)
            return &set[i];
    }
    return NULL;
}

ft_call *
ft_sample_call(const packet_info *pinfo, const ft_sample *packet, const ft_call *call)
{
    slot *known = find(packet);

    if (!known)
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
        slots = wmem_alloc0_array(wmem_file_scope(), slot, SETS * SLOTS);
    if (find(packet))
        return;

    slot *set = set_of(packet);
    memmove(set + 1, set, (SLOTS - 1) * sizeof *set);
    *set = (slot){ call, *packet, 0 };
}
