/* calls/call.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/call.h"
#include "calls/limits.h"
#include "calls/media.h"

#define RESTART_WINDOW_S 30     /* a new call this soon after one that broke (no answer to its BYE) is a restart */
#define QUIET_END_S      120    /* a call without a packet for so long is over for whoever starts afresh */
#define TAIL_S           5      /* checks and media this soon after a call's end still belong to it */
#define PREPARATION_S    120    /* NAT tests and HTTP checks this long before a call are tied to it */

/* Packets of Apple's servers seen before a device's call: a ring, the newest win. */
typedef struct {
    uint32_t frame;
    int32_t second; /* since the first frame: a flood may have two million of these */
} preparation;

typedef struct {
    unsigned count;      /* since the last call */
    wmem_array_t *ring;  /* of preparation; grows to FT_MAX_PREPARATIONS */
} preparations;

/* What call such a packet turned out to be of, and by which frame. */
typedef struct {
    ft_call *call;
    uint32_t known_from;
} prepared_frame;

static wmem_array_t *calls;             /* of ft_call *, by number - 1 */
static wmem_map_t *calls_by_device;     /* ft_endpoint that sent -> its latest ft_call */
static wmem_map_t *calls_by_target;     /* ft_endpoint that was only sent to -> its latest ft_call */
static wmem_map_t *calls_by_address;    /* address of a device -> its latest ft_call */
static wmem_map_t *preparations_of;     /* address of a device -> preparations */
static wmem_map_t *prepared_frames;     /* frame -> prepared_frame */
static unsigned span_total;             /* of all flows */

/* Goes up with each change in the tables above and in the calls that they name. A packet that changed nothing settles
 * its flow in its direction: until the next change, each other one like it is of the same call, and needs no lookup. */
static unsigned changes;

static unsigned
address_hash(const void *key)
{
    return add_address_to_hash(0, (const address *)key);
}

static gboolean
address_equal(const void *a, const void *b)
{
    return addresses_equal((const address *)a, (const address *)b);
}

static void
reset(void)
{
    calls = wmem_array_new(wmem_file_scope(), sizeof(ft_call *));
    span_total = 0;
}

void
ft_call_init(void)
{
    calls_by_device = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), ft_endpoint_hash, ft_endpoint_match);
    calls_by_target = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), ft_endpoint_hash, ft_endpoint_match);
    calls_by_address = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), address_hash, address_equal);
    preparations_of = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), address_hash, address_equal);
    prepared_frames = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_direct_hash, g_direct_equal);
    register_init_routine(reset);
}

unsigned
ft_call_total(void)
{
    return wmem_array_get_count(calls);
}

ft_call *
ft_call_by_number(unsigned number)
{
    return *(ft_call **)wmem_array_index(calls, number - 1);
}

const ft_call *
ft_call_as_of(const ft_call *call, uint32_t frame)
{
    while (call && call->merged_into && call->merged_frame <= frame)
        call = call->merged_into;
    return call;
}

static ft_call *
call_as_of(ft_call *call, uint32_t frame)
{
    return (ft_call *)ft_call_as_of(call, frame);
}

ft_call *
ft_call_of_flow(const ft_flow *flow, uint32_t frame)
{
    unsigned low = 0, high = flow->calls ? wmem_array_get_count(flow->calls) : 0;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        if (((const ft_call_span *)wmem_array_index(flow->calls, middle))->from_frame <= frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? ((const ft_call_span *)wmem_array_index(flow->calls, low - 1))->call : NULL;
}

ft_call *
ft_call_of_packet(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !packet->flow->calls)
        return NULL;
    return call_as_of(ft_call_of_flow(packet->flow, pinfo->num), pinfo->num);
}

static double
seconds_since(const packet_info *pinfo, const nstime_t *then)
{
    nstime_t passed;

    nstime_delta(&passed, &pinfo->rel_ts, then);
    return nstime_to_sec(&passed);
}

static bool
is_old(const packet_info *pinfo, const preparation *kept)
{
    return pinfo->rel_ts.secs - kept->second > PREPARATION_S;
}

/* ---- devices ---- */

static void
set_call_of(packet_info *pinfo, wmem_map_t *map, const ft_endpoint *endpoint, ft_call *call)
{
    void *before = NULL;
    const bool known = wmem_map_lookup_extended(map, endpoint, NULL, &before);

    if (known && before == call)
        return;
    if (!known && wmem_map_size(map) >= FT_MAX_DEVICES) {
        ft_limit_met(pinfo);
        return;
    }
    changes++;
    if (known) {
        wmem_map_insert(map, endpoint, call); /* keeps the old key */
        return;
    }
    wmem_map_insert(map, ft_endpoint_key(endpoint), call);
}

static address *
keep_address(const address *from)
{
    address *kept = wmem_new0(wmem_file_scope(), address);

    copy_address_wmem(wmem_file_scope(), kept, from);
    return kept;
}

static void
set_call_of_address(packet_info *pinfo, const address *device, ft_call *call)
{
    const ft_call *before = (const ft_call *)wmem_map_lookup(calls_by_address, device);

    if (before == call)
        return;
    if (!before && wmem_map_size(calls_by_address) >= FT_MAX_DEVICES) {
        ft_limit_met(pinfo);
        return;
    }
    changes++;
    wmem_map_insert(calls_by_address, before ? device : keep_address(device), call); /* an old key is kept */
}

/* The running call of a device by address alone, or NULL. */
static ft_call *
running_call_at(packet_info *pinfo, const address *device)
{
    ft_call *call = call_as_of((ft_call *)wmem_map_lookup(calls_by_address, device), pinfo->num);

    return call && call->state != FT_CALL_ENDED && seconds_since(pinfo, &call->last_time) <= QUIET_END_S ? call : NULL;
}

static ft_call *
call_of(wmem_map_t *map, const ft_endpoint *endpoint, uint32_t frame)
{
    return call_as_of((ft_call *)wmem_map_lookup(map, endpoint), frame);
}

static bool
is_server(const ft_flow *flow, const ft_endpoint *endpoint)
{
    return flow->server && ft_endpoint_equal(flow->server, endpoint);
}

/* The device of this packet: its sender, or the client that a relay sends to. */
static ft_endpoint
device_of(packet_info *pinfo, const ft_flow *flow)
{
    const ft_endpoint source = ft_source(pinfo);

    return is_server(flow, &source) ? ft_destination(pinfo) : source;
}

/* ---- opening, joining, merging ---- */

static ft_call *
new_call(packet_info *pinfo, const ft_packet *packet)
{
    if (wmem_array_get_count(calls) >= FT_MAX_CALLS) {
        ft_limit_met(pinfo);
        return NULL;
    }

    const ft_endpoint device = device_of(pinfo, packet->flow);
    ft_call *call = wmem_new0(wmem_file_scope(), ft_call);

    wmem_array_append_one(calls, call);
    call->number = wmem_array_get_count(calls);
    call->generation = packet->generation;
    call->first_frame = pinfo->num;
    call->first_time = call->last_time = pinfo->rel_ts;
    call->local = ft_endpoint_keep(&device);
    call->streams = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_stream *), FEW);
    call->senders = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_sender *), FEW);
    call->sdps = wmem_array_sized_new(wmem_file_scope(), sizeof(void *), FEW);
    call->events = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_event *), FEW);
    return call;
}

/* False over FT_MAX_PREPARED_FRAMES: later passes wouldn't know, so this one doesn't say either. */
static bool
tie_preparation(packet_info *pinfo, uint32_t frame, ft_call *call)
{
    if (wmem_map_size(prepared_frames) >= FT_MAX_PREPARED_FRAMES) {
        ft_limit_met(pinfo);
        return false;
    }
    prepared_frame *tie = wmem_new(wmem_file_scope(), prepared_frame);
    tie->call = call;
    tie->known_from = pinfo->num;
    wmem_map_insert(prepared_frames, GUINT_TO_POINTER(frame), tie);
    return true;
}

static const prepared_frame *
tie_of(uint32_t frame)
{
    return (const prepared_frame *)wmem_map_lookup(prepared_frames, GUINT_TO_POINTER(frame));
}

static void
adopt_preparations(packet_info *pinfo, ft_call *call, const address *device)
{
    preparations *before = (preparations *)wmem_map_lookup(preparations_of, device);

    if (!before || before->count == 0)
        return;
    changes++;
    for (unsigned i = 0; i < MIN(before->count, FT_MAX_PREPARATIONS); i++) {
        const preparation *kept = (const preparation *)wmem_array_index(before->ring, i);
        if (is_old(pinfo, kept) || !tie_preparation(pinfo, kept->frame, call))
            continue;
        for (const ft_event *event = ft_events_of(kept->frame); event; event = event->next)
            wmem_array_append_one(call->events, event);
    }
    before->count = 0;
}

static const char *
what_started(const ft_packet *packet)
{
    return val_to_str_const(packet->kind, ft_kind_vals, "packet");
}

static void
tell_start(packet_info *pinfo, ft_packet *packet, ft_call *call, ft_call *last)
{
    packet->call = call;
    ft_event_add(pinfo, FT_EVENT_CALL_STARTED, 0, "Call %u starts with this %s packet of %s", call->number,
                 what_started(packet), ft_endpoint_str(pinfo->pool, &call->local));
    if (last && last->end_frame && !last->bye_answer_frame &&
        seconds_since(pinfo, &last->end_time) <= RESTART_WINDOW_S) {
        call->restart_of = last;
        ft_event_add(pinfo, FT_EVENT_CALL_RESTARTED, last->end_frame,
                     "Call %u starts %.1f s after the end of call %u (frame %u)", call->number,
                     seconds_since(pinfo, &last->end_time), last->number, last->end_frame);
    }
}

/* A call that ended, or fell silent long ago, doesn't take in what starts afresh. */
static bool
is_over(const packet_info *pinfo, const ft_call *call, ft_kind kind)
{
    if (call->state == FT_CALL_ENDED)
        return kind == FT_KIND_TURN || kind == FT_KIND_SIP || seconds_since(pinfo, &call->end_time) > TAIL_S;
    return seconds_since(pinfo, &call->last_time) > QUIET_END_S;
}

/* The call that the packet's flow or its ends are in, over or not: what the flow itself says first, unless its sender
 * went on to a later call. */
static ft_call *
last_call(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint device = device_of(pinfo, packet->flow), target = ft_destination(pinfo);
    ft_call *of_flow = ft_call_of_packet(pinfo);
    ft_call *of_device = call_of(calls_by_device, &device, pinfo->num);

    if (of_flow && of_device)
        return of_flow->first_frame > of_device->first_frame ? of_flow : of_device;
    if (of_flow || of_device)
        return of_flow ? of_flow : of_device;

    ft_call *met = call_of(calls_by_device, &target, pinfo->num);
    if (!met)
        met = call_of(calls_by_target, &device, pinfo->num);
    /* A modern phone opens a socket for each relay connection and interface. */
    if (!met && packet->generation == FT_MODERN)
        met = running_call_at(pinfo, &device.addr);
    return met;
}

/* The call of the flow in the packet's direction, where nothing has changed since a packet like this one; else NULL. */
static ft_call *
settled_call(const packet_info *pinfo, const ft_packet *packet)
{
    const ft_heading heading = ft_flow_heading(packet->flow, pinfo);

    if (heading == FT_ASTRAY || packet->flow->settled[heading].as_of != changes)
        return NULL;
    return packet->flow->settled[heading].call;
}

static void
settle(const packet_info *pinfo, const ft_packet *packet)
{
    const ft_heading heading = ft_flow_heading(packet->flow, pinfo);

    if (heading == FT_ASTRAY || packet->limit_hit)
        return;
    packet->flow->settled[heading].call = packet->call;
    packet->flow->settled[heading].as_of = changes;
}

ft_call *
ft_call_open(packet_info *pinfo, bool fresh)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow)
        return NULL;
    if (!ft_learning(pinfo))
        return packet->call ? packet->call : ft_call_of_packet(pinfo);

    ft_call *settled = settled_call(pinfo, packet);
    if (settled && !(fresh && is_over(pinfo, settled, packet->kind))) {
        packet->call = settled;
        return settled;
    }

    ft_call *last = last_call(pinfo, packet);
    ft_call *call = last && !(fresh && is_over(pinfo, last, packet->kind)) ? last : NULL;
    if (!call) {
        call = new_call(pinfo, packet);
        if (!call)
            return NULL;
        tell_start(pinfo, packet, call, last);
    }
    ft_call_join(pinfo, call);
    return packet->call;
}

static void
move_all(packet_info *pinfo, wmem_array_t *to, wmem_array_t *from, unsigned most)
{
    for (unsigned i = 0; i < wmem_array_get_count(from); i++) {
        if (wmem_array_get_count(to) >= most) {
            ft_limit_met(pinfo);
            return;
        }
        wmem_array_append(to, wmem_array_index(from, i), 1);
    }
}

/* Two calls are one: the younger goes up into the elder. */
static ft_call *
merge(packet_info *pinfo, ft_call *one, ft_call *other)
{
    ft_call *elder = one->number < other->number ? one : other;
    ft_call *younger = elder == one ? other : one;

    changes++;
    younger->merged_into = elder;
    younger->merged_frame = pinfo->num;
    elder->merges = MAX(elder->merges, younger->merges + 1);
    move_all(pinfo, elder->events, younger->events, FT_MAX_EVENTS);
    move_all(pinfo, elder->streams, younger->streams, FT_MAX_STREAMS_PER_CALL);
    move_all(pinfo, elder->senders, younger->senders, FT_MAX_STREAMS_PER_CALL);
    move_all(pinfo, elder->sdps, younger->sdps, FT_MAX_SDPS_PER_CALL);
    elder->packets += younger->packets;
    for (unsigned path = 0; path < G_N_ELEMENTS(elder->media_packets); path++) {
        elder->media_packets[path] += younger->media_packets[path];
        if (younger->media_first[path] && (!elder->media_first[path] || younger->media_first[path] < elder->media_first[path]))
            elder->media_first[path] = younger->media_first[path];
        elder->media_last[path] = MAX(elder->media_last[path], younger->media_last[path]);
    }
    if (younger->mode) {
        elder->mode = younger->mode;
        elder->participants = elder->participants ? elder->participants : younger->participants;
        elder->links = elder->links ? elder->links : younger->links;
    }
    if (!elder->invite_frame) {
        elder->invite_frame = younger->invite_frame;
        elder->answer_frame = younger->answer_frame;
        elder->offerer = younger->offerer;
        elder->state = MAX(elder->state, younger->state);
    }
    if (elder->remote.addr.type == AT_NONE)
        elder->remote = younger->remote;
    return elder;
}

/* Two running calls that meet are one, unless each has a dialog of its own. A call that fell silent long ago doesn't
 * run. */
static ft_call *
reconcile(packet_info *pinfo, ft_call *call, ft_call *met)
{
    if (!met || met == call || met->state == FT_CALL_ENDED || call->state == FT_CALL_ENDED ||
        (met->invite_frame && call->invite_frame) || seconds_since(pinfo, &met->last_time) > QUIET_END_S)
        return call;
    if (MAX(call->merges, met->merges) >= FT_MAX_MERGES) {
        ft_limit_met(pinfo);
        return call;
    }
    return merge(pinfo, call, met);
}

/* Over the bound the flow stays where it is. */
static void
put_flow_into(packet_info *pinfo, ft_flow *flow, ft_call *call)
{
    const ft_call_span span = { pinfo->num, call };

    if (ft_call_of_packet(pinfo) == call)
        return;
    if (span_total >= FT_MAX_FLOW_MOVES) {
        ft_limit_met(pinfo);
        return;
    }
    span_total++;
    changes++;
    if (!flow->calls)
        flow->calls = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_call_span), FEW);
    wmem_array_append_one(flow->calls, span);
}

void
ft_call_join(packet_info *pinfo, ft_call *call)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !ft_learning(pinfo))
        return;

    const unsigned changes_before = changes;
    const ft_endpoint device = device_of(pinfo, packet->flow), target = ft_destination(pinfo);
    call = reconcile(pinfo, call, ft_call_of_packet(pinfo));
    call = reconcile(pinfo, call, call_of(calls_by_device, &device, pinfo->num));
    ft_call *other = call_of(calls_by_device, &target, pinfo->num);
    call = reconcile(pinfo, call, other);
    put_flow_into(pinfo, packet->flow, call);
    set_call_of(pinfo, calls_by_device, &device, call);
    set_call_of_address(pinfo, &device.addr, call);
    adopt_preparations(pinfo, call, &device.addr);
    if (!is_server(packet->flow, &target) && !ft_endpoint_equal(&target, &device))
        ft_call_expect(pinfo, call, &target);
    packet->call = ft_call_of_packet(pinfo);
    if (packet->call == call && (!other || other == call) && changes == changes_before)
        settle(pinfo, packet);
}

void
ft_call_expect(packet_info *pinfo, ft_call *call, const ft_endpoint *end)
{
    ft_call *other = call_of(calls_by_target, end, pinfo->num);

    if (!ft_learning(pinfo) || other == call || end->addr.type == AT_NONE)
        return;
    /* Private addresses recur: two running calls that expect the same end learn nothing from it. */
    set_call_of(pinfo, calls_by_target, end, other && !is_over(pinfo, other, FT_KIND_STUN) ? NULL : call);
}

/* ---- end and book-keeping ---- */

void
ft_call_end(packet_info *pinfo, ft_call *call, const char *reason)
{
    if (!ft_learning(pinfo) || call->state == FT_CALL_ENDED)
        return;
    changes++;
    call->state = FT_CALL_ENDED;
    call->end_frame = pinfo->num;
    call->end_time = pinfo->rel_ts;
    call->end_reason = wmem_strdup(wmem_file_scope(), reason);
    ft_event_add(pinfo, FT_EVENT_CALL_ENDED, 0, "Call %u ends: %s%s", call->number, reason,
                 ft_silence_text(pinfo, call));
    ft_media_ended(pinfo, call);
}

static void
remember_preparation(packet_info *pinfo, preparations *before)
{
    const preparation new_one = { pinfo->num, (int32_t)pinfo->rel_ts.secs };
    const unsigned slot = before->count++ % FT_MAX_PREPARATIONS;

    if (slot >= wmem_array_get_count(before->ring)) {
        wmem_array_append_one(before->ring, new_one);
        return;
    }
    preparation *oldest = (preparation *)wmem_array_index(before->ring, slot);
    if (before->count > FT_MAX_PREPARATIONS && !is_old(pinfo, oldest))
        ft_limit_met(pinfo); /* a call that comes now would have wanted it */
    *oldest = new_one;
}

void
ft_call_prepare(packet_info *pinfo, const address *device)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return;
    if (!ft_learning(pinfo)) {
        const prepared_frame *tie = tie_of(pinfo->num);
        packet->call = tie && tie->known_from <= pinfo->num ? tie->call : NULL;
        return;
    }
    packet->call = running_call_at(pinfo, device);
    if (packet->call) {
        if (!tie_preparation(pinfo, pinfo->num, packet->call))
            packet->call = NULL;
        return;
    }

    preparations *before = (preparations *)wmem_map_lookup(preparations_of, device);
    if (!before) {
        if (wmem_map_size(preparations_of) >= FT_MAX_DEVICES) {
            ft_limit_met(pinfo);
            return;
        }
        before = wmem_new0(wmem_file_scope(), preparations);
        before->ring = wmem_array_sized_new(wmem_file_scope(), sizeof(preparation), FEW);
        wmem_map_insert(preparations_of, keep_address(device), before);
    }
    changes++;
    remember_preparation(pinfo, before);
}

const ft_call *
ft_call_prepared_by(uint32_t frame, uint32_t *known_from)
{
    const prepared_frame *tie = tie_of(frame);

    *known_from = tie ? tie->known_from : 0;
    return tie ? tie->call : NULL;
}

void
ft_call_count(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->call || pinfo->fd->visited)
        return;

    ft_call *call = packet->call;
    call->packets++;
    call->last_frame = pinfo->num;
    call->last_time = pinfo->rel_ts;
    if (call->generation == FT_GENERATION_UNKNOWN)
        call->generation = packet->generation;
    if (packet->kind == FT_KIND_RTP) {
        call->media_packets[packet->path]++;
        if (!call->media_first[packet->path])
            call->media_first[packet->path] = pinfo->num;
        call->media_last[packet->path] = pinfo->num;
    }
}
