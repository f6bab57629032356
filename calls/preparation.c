/* calls/preparation.c
 * What goes before a call: packets of Apple's servers (NAT tests, HTTP check) come from ports of
 * their own, or over TCP, so only the device's address ties them to the call that it makes next.
 *
 *    NAT test, HTTP check          first packet of the call        NAT test in mid-call
 *    kept with the host, the       adopts what the host has kept   of the running call at once
 *    newest FT_MAX_PREPARATIONS    of the last 120 s
 *
 * Later passes find the tie on the frame, and from which frame on it was known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/preparation.h"
#include "calls/call.h"
#include "calls/limits.h"
#include "calls/mark.h"

/* NAT tests and HTTP checks this long before a call are tied to it; chosen, as FT_QUIET_END_S */
#define PREPARATION_S 120

/* Packets of Apple's servers seen before a device's call: a ring, the newest win. */
typedef struct {
    ft_frame *frame;
    int64_t second; /* of ft_now() */
} preparation;

struct ft_host {
    unsigned count;      /* since the last call */
    wmem_array_t *ring;  /* of preparation; grows to FT_MAX_PREPARATIONS */
    ft_call *latest;     /* the device's latest call, or NULL */
};

static wmem_map_t *hosts;       /* host_key -> ft_host */
static unsigned prepared_total; /* packets tied to a call */

/* A device's address, in its network. */
typedef struct {
    address  device;
    uint32_t network;
} host_key;

static unsigned
host_hash(const void *key)
{
    const host_key *k = (const host_key *)key;

    return ft_address_hash(&k->device) ^ k->network << 8;
}

static gboolean
host_equal(const void *one, const void *other)
{
    const host_key *x = (const host_key *)one;
    const host_key *y = (const host_key *)other;

    return x->network == y->network && addresses_equal(&x->device, &y->device);
}

static void
reset(void)
{
    prepared_total = 0;
}

void
ft_preparation_init(void)
{
    hosts = ft_new_map(host_hash, host_equal);
    register_init_routine(reset);
}

static ft_host *
host_of(packet_info *pinfo, const address *device)
{
    const host_key key = { *device, ft_network_shared(pinfo) };
    ft_host *known = (ft_host *)wmem_map_lookup(hosts, &key);

    if (known)
        return known;
    if (!ft_has_room(pinfo, FT_LIMIT_DEVICES, wmem_map_size(hosts)))
        return NULL;
    host_key *kept = wmem_new0(wmem_file_scope(), host_key);
    copy_address_wmem(wmem_file_scope(), &kept->device, device);
    kept->network = key.network;
    known = wmem_new0(wmem_file_scope(), ft_host);
    known->ring = wmem_array_sized_new(wmem_file_scope(), sizeof(preparation), FEW);
    wmem_map_insert(hosts, kept, known);
    return known;
}

bool
ft_prepared_tie(packet_info *pinfo, ft_frame *frame, ft_call *call)
{
    if (!ft_has_room(pinfo, FT_LIMIT_PREPARED_FRAMES, prepared_total))
        return false;
    prepared_total++;
    frame->prepared = call;
    frame->prepared_from = ft_frame_id(pinfo);
    return true;
}

static bool
is_old(const packet_info *pinfo, const preparation *kept)
{
    return ft_now(pinfo).secs - kept->second > PREPARATION_S;
}

/* The tests go before the call and come from a port of their own (16403), or over TCP: the
 * device's address alone ties them, so they are kept for two minutes at most. */
void
ft_call_adopt_preparations(packet_info *pinfo, ft_call *call, const address *device)
{
    ft_host *known = host_of(pinfo, device);

    if (!known)
        return;
    if (known->latest != call) {
        known->latest = call;
        ft_call_changes++;
    }
    for (unsigned i = 0; i < MIN(known->count, FT_MAX_PREPARATIONS); i++) {
        const preparation *kept = (const preparation *)wmem_array_index(known->ring, i);
        if (is_old(pinfo, kept) || !ft_prepared_tie(pinfo, kept->frame, call))
            continue;
        for (ft_event *event = kept->frame->events; event; event = event->next)
            wmem_array_append_one(call->events, event);
    }
    known->count = 0;
}

const ft_host *
ft_call_host(const packet_info *pinfo, const address *device)
{
    const host_key key = { *device, ft_network_shared(pinfo) };

    return (const ft_host *)wmem_map_lookup(hosts, &key);
}

bool
ft_call_has_adopted(const ft_host *known, const ft_call *call)
{
    return known->latest == call && known->count == 0;
}

static void
remember_preparation(packet_info *pinfo, ft_host *known)
{
    const preparation new_one = { ft_frame_make(pinfo), ft_now(pinfo).secs };
    const unsigned slot = known->count++ % FT_MAX_PREPARATIONS;

    if (slot >= wmem_array_get_count(known->ring)) {
        wmem_array_append_one(known->ring, new_one);
        return;
    }
    preparation *oldest = (preparation *)wmem_array_index(known->ring, slot);
    if (known->count > FT_MAX_PREPARATIONS && !is_old(pinfo, oldest))
        ft_limit_met(pinfo, FT_LIMIT_PREPARATIONS); /* a call that comes now would have wanted it */
    *oldest = new_one;
}

void
ft_call_prepare(packet_info *pinfo, const address *device)
{
    ft_packet *packet = ft_packet_get(pinfo);
    uint32_t known_from;

    if (!packet)
        return;
    if (!ft_learning(pinfo)) {
        const ft_call *call = ft_call_prepared_by(pinfo, &known_from);
        packet->call = call && known_from <= packet->frame ? (ft_call *)call : NULL;
        return;
    }
    ft_host *known = host_of(pinfo, device);
    ft_call *running = known ? (ft_call *)ft_call_as_of(known->latest, packet->frame) : NULL;
    packet->call =
        running && !running->no_call_from && !ft_call_is_over(pinfo, running) ? running : NULL;
    if (packet->call) {
        if (!ft_prepared_tie(pinfo, ft_frame_make(pinfo), packet->call))
            packet->call = NULL;
    } else if (known) {
        ft_call_changes++;
        remember_preparation(pinfo, known);
    }
}

const ft_call *
ft_call_prepared_by(packet_info *pinfo, uint32_t *known_from)
{
    const ft_frame *frame = ft_frame_get(pinfo);

    if (frame && frame->first && (frame->first->prepared || !frame->prepared))
        frame = frame->first;
    *known_from = frame ? frame->prepared_from : 0;
    return frame ? frame->prepared : NULL;
}

/* Nothing was learnt from the copy that came ahead, so it has the number that its way had till
 * then: the last call's, where the next one begins here. */
void
ft_call_prepare_ahead(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->ahead || !packet->call || !ft_learning(pinfo))
        return;
    ft_frame *ahead = packet->ahead;
    const ft_call *shown = ahead->call || !packet->leg ? ahead->call
                                                       : ft_call_of_leg(packet->leg, ahead->id);
    if (!ahead->prepared && ft_call_as_of(shown, packet->frame) != packet->call)
        ft_prepared_tie(pinfo, ahead, packet->call);
}
