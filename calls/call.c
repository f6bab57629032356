/* calls/call.c
 * Call objects: begun, put on packets and their ways, merged, ended, counted. Which call a
 * packet is of is decided elsewhere (calls/resolve.c).
 *
 *    begins   a packet that no call fits (ft_call_new); packets before it that belong to it are
 *             adopted
 *    grows    packets and legs are put into it; merged with another that is found to be the same:
 *             the elder stays
 *    ends     by a word of SIP, STUN or the relay, or by silence; what comes after may be its tail
 *    is none  GameKit's sessions and ICE alone keep their object, and aren't listed
 *
 *    NAT tests, HTTP check | allocation, checks, SIP, media       | BYE, release | late ones
 *    kept, 120 s at most   | first_time                           | closed       | its tail
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/call.h"
#include "calls/judge.h"
#include "calls/key.h"
#include "calls/limits.h"
#include "calls/mark.h"
#include "calls/silence.h"

/* The fifth call of 2015: its BYE is sent four times and never answered, and the next call begins
 * before the last copy. */
#define RESTART_WINDOW_S 30     /* a new call this soon after one that broke off is a restart */
#define RESTARTS_ASKED   4      /* latest calls of the device that it may be one of */

static wmem_array_t *calls;     /* of ft_call *, by number - 1 */
static unsigned span_total;     /* of all legs */

unsigned ft_call_changes;

static void
reset(void)
{
    calls = wmem_array_new(wmem_file_scope(), sizeof(ft_call *));
    span_total = 0;
    ft_call_changes++;
}

void
ft_call_init(void)
{
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

/* A merge holds from its frame on. What was shown before under the younger call's number is
 * shown so on later passes, too. */
const ft_call *
ft_call_as_of(const ft_call *call, uint32_t frame)
{
    while (call && call->merged_into && call->merged_frame <= frame)
        call = call->merged_into;
    return call;
}

/* A way goes from call to call, as redials use their ports anew: the last entry that begins at
 * this frame or before, on the first pass the last one. Else searched by halves, since a hostile
 * file may have FT_MAX_FLOW_MOVES of them on one way. */
ft_call *
ft_call_of_leg(const ft_leg *leg, uint32_t frame)
{
    const unsigned count = leg->calls ? wmem_array_get_count(leg->calls) : 0;
    unsigned low = 0, high = count;

    if (!count)
        return NULL;
    const ft_call_span *spans = (const ft_call_span *)wmem_array_get_raw(leg->calls);
    if (spans[count - 1].from_frame <= frame)
        return spans[count - 1].call;
    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        if (spans[middle].from_frame <= frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? spans[low - 1].call : NULL;
}

/* A call of the packet's own comes before its way's: the answer to a request of the last call
 * comes on a way that is the next one's by now. A copy is where the first one is. */
ft_call *
ft_call_of_packet(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_frame *frame = packet ? ft_frame_get(pinfo) : NULL;
    const bool is_copy = frame && frame->is_copy && frame->seen_before;
    const ft_frame *first = is_copy && frame->first ? frame->first : frame;
    ft_call *call = first ? first->call : NULL;

    if (!call && packet && packet->leg)
        call = ft_call_of_leg(packet->leg, !is_copy       ? packet->frame
                                           : frame->first ? first->id
                                                          : frame->seen_before);
    return packet ? (ft_call *)ft_call_as_of(call, packet->frame) : NULL;
}

ft_call *
ft_call_in_hand(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return NULL;
    ft_call *call = packet->call ? packet->call : ft_call_of_packet(pinfo);
    if (!ft_learning(pinfo))
        packet->call = call;
    return call;
}

/* Two minutes without a packet are an end, too: a call whose end wasn't captured must not take
 * in tomorrow's, which has the same addresses. */
bool
ft_call_is_silent(const packet_info *pinfo, const ft_call *call)
{
    const nstime_t now = ft_steady(pinfo);

    return ft_seconds(&call->last_time, &now) > FT_QUIET_END_S;
}

bool
ft_call_is_over(const packet_info *pinfo, const ft_call *call)
{
    return call->closed || ft_call_is_silent(pinfo, call);
}

bool
ft_call_seen_later(const packet_info *pinfo, const ft_call *call)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    wmem_array_t *spans = packet && packet->leg ? packet->leg->calls : NULL;
    const unsigned count = spans ? wmem_array_get_count(spans) : 0;
    const nstime_t now = ft_steady(pinfo);

    if (count == 0 || !call->end_frame || ft_seconds(&call->last_time, &now) > FT_QUIET_END_S)
        return false;
    const ft_call_span *span = (const ft_call_span *)wmem_array_index(spans, count - 1);
    return ft_call_as_of(span->call, packet->frame) == call && span->from_frame > call->end_frame;
}

/* ---- what it has ---- */

ft_stream *
ft_call_stream(const ft_call *call, uint32_t ssrc, bool outgoing)
{
    ft_stream **streams = (ft_stream **)wmem_array_get_raw(call->streams);

    for (unsigned i = wmem_array_get_count(call->streams); i-- > 0;) {
        if (streams[i]->ssrc == ssrc && streams[i]->outgoing == outgoing)
            return streams[i];
    }
    return NULL;
}

void
ft_call_streams(const ft_call *call, uint32_t ssrc, ft_stream *of[2])
{
    ft_stream **streams = (ft_stream **)wmem_array_get_raw(call->streams);

    of[false] = of[true] = NULL;
    for (unsigned i = 0, count = wmem_array_get_count(call->streams); i < count; i++) {
        if (streams[i]->ssrc == ssrc)
            of[streams[i]->outgoing] = streams[i];
    }
}

ft_stream *
ft_call_any_stream(const ft_call *call, uint32_t ssrc)
{
    ft_stream *stream = ft_call_stream(call, ssrc, true);

    return stream ? stream : ft_call_stream(call, ssrc, false);
}

bool
ft_call_talks_both_ways(const ft_call *call)
{
    ft_stream **streams = (ft_stream **)wmem_array_get_raw(call->streams);
    bool out = false, in = false;

    for (unsigned i = wmem_array_get_count(call->streams); i-- > 0;) {
        out |= streams[i]->outgoing;
        in |= !streams[i]->outgoing;
    }
    return out && in;
}

bool
ft_call_sends_from(const ft_call *call, const address *end)
{
    ft_sender **senders = (ft_sender **)wmem_array_get_raw(call->senders);

    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++) {
        if (addresses_equal(&senders[i]->device.addr, end))
            return true;
    }
    return false;
}

bool
ft_call_is_local(const ft_call *call, const address *end)
{
    return ft_address_equal(&call->local.addr, end) ||
           (call->beyond_nat.addr.type != AT_NONE && ft_address_equal(&call->beyond_nat.addr, end));
}

bool
ft_call_is_device(const ft_call *call, const address *end)
{
    return ft_call_is_local(call, end) || addresses_equal(&call->other_end.addr, end) ||
           ft_call_sends_from(call, end);
}

/* ---- a call begins ---- */

/* Only a call that was hung up without an answer may have broken off. One that was declined, and
 * tried again half a second later, broke nothing off. It was over with its first BYE: that is when
 * people redial, while copies of it go out for up to 32 s. A capture of one direction has no
 * answers. */
static bool
may_have_broken_off(const ft_call *last, const ft_call *call)
{
    return last->outcome == FT_OUTCOME_HUNG_UP && !last->bye_answer_frame &&
           (last->hears_both || last->packets < FT_PACKETS_ENOUGH) &&
           ft_seconds(&last->over_time, &call->begin_time) <= RESTART_WINDOW_S;
}

/* A BYE that has no answer is sent again, or was for long enough not answered; else its answer may
 * be among what wasn't captured. */
static bool
broke_off_before(const ft_call *last, const ft_call *call)
{
    return may_have_broken_off(last, call) &&
           (last->bye_again ||
            ft_seconds(&last->over_time, &call->begin_time) >= FT_BYE_ANSWER_S);
}

/* The call that the device began before this one, or NULL. */
static ft_call *
former_call(const ft_call *call, uint32_t frame)
{
    return (ft_call *)ft_call_as_of(call->before, frame);
}

static void
tell_start(packet_info *pinfo, ft_packet *packet, ft_call *call)
{
    ft_event_add(pinfo, FT_EVENT_CALL_STARTED, 0, "Call %u starts with this %s packet of %s",
                 call->number, val_to_str_const(packet->kind, ft_kind_vals, "packet"),
                 ft_endpoint_str(pinfo->pool, &call->local));
    const ft_call *last = former_call(call, packet->frame);
    for (unsigned i = 0; last && i < RESTARTS_ASKED; i++, last = former_call(last, packet->frame))
        call->may_restart |= may_have_broken_off(last, call);
}

/* Told by the first packet that shows it; a plain STUN message or RTP may be of either. */
static void
learn_generation(ft_call *call, const ft_packet *packet)
{
    if (call->generation != FT_GENERATION_UNKNOWN || packet->generation == FT_GENERATION_UNKNOWN)
        return;
    call->generation = packet->generation;
    call->generation_frame = packet->frame;
}

ft_call *
ft_call_new(packet_info *pinfo, const ft_endpoint *device, ft_call *last)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !ft_has_room(pinfo, FT_LIMIT_CALLS, wmem_array_get_count(calls)))
        return NULL;
    ft_call *call = wmem_new0(wmem_file_scope(), ft_call);
    wmem_array_append_one(calls, call);
    call->number = wmem_array_get_count(calls);
    learn_generation(call, packet);
    call->first_frame = packet->frame;
    call->first_time = ft_now(pinfo);
    call->begin_time = call->last_time = call->heard_time = ft_steady(pinfo);
    call->local = ft_endpoint_keep(device);
    call->streams = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_stream *), FEW);
    call->senders = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_sender *), FEW);
    call->sdps = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_known_sdp), FEW);
    call->events = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_event *), FEW);
    call->before = last;
    packet->call = call;
    tell_start(pinfo, packet, call);
    return call;
}

/* ---- on packets and their ways ---- */

void
ft_call_put_leg(packet_info *pinfo, ft_leg *leg, ft_call *call)
{
    const ft_call_span span = { ft_frame_id(pinfo), call };

    if (!ft_has_room(pinfo, FT_LIMIT_FLOW_MOVES, span_total))
        return;
    span_total++;
    ft_call_changes++;
    if (!leg->calls)
        leg->calls = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_call_span), FEW);
    wmem_array_append_one(leg->calls, span);
}

/* Of which call a packet is stands once with its way, so that a packet of media keeps nothing of
 * its own; only one that is of another call than its way bears that on its frame:
 *
 *    its way is of this call      nothing to keep
 *    the way is taken along       a new entry from this frame on (or over the bound, as before)
 *    else                         the frame has it */
void
ft_call_put(packet_info *pinfo, ft_call *call, bool with_leg)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !packet->leg || !ft_learning(pinfo))
        return;

    const ft_call *of_leg =
        ft_call_as_of(ft_call_of_leg(packet->leg, packet->frame), packet->frame);
    ft_frame *frame = ft_frame_get(pinfo);
    packet->call = call;
    if (of_leg == call) {
        if (frame)
            frame->call = NULL;
        return;
    }
    if (with_leg || !of_leg) {
        ft_call_put_leg(pinfo, packet->leg, call);
        if (frame)
            frame->call = NULL;
        packet->call =
            (ft_call *)ft_call_as_of(ft_call_of_leg(packet->leg, packet->frame), packet->frame);
    } else {
        ft_frame_make(pinfo)->call = call;
    }
}

static void
move_all(packet_info *pinfo, wmem_array_t *to, wmem_array_t *from, ft_limit limit)
{
    for (unsigned i = 0; i < wmem_array_get_count(from); i++) {
        if (!ft_has_room(pinfo, limit, wmem_array_get_count(to)))
            return;
        wmem_array_append(to, wmem_array_index(from, i), 1);
    }
}

/* What was the younger call's alone names no codec of the elder's earlier packets. */
static void
merge_sdps(packet_info *pinfo, ft_call *elder, const ft_call *younger)
{
    const unsigned before = wmem_array_get_count(elder->sdps);

    move_all(pinfo, elder->sdps, younger->sdps, FT_LIMIT_SDPS_PER_CALL);
    for (unsigned i = before; i < wmem_array_get_count(elder->sdps); i++) {
        ft_known_sdp *sdp = (ft_known_sdp *)wmem_array_index(elder->sdps, i);
        sdp->from_frame = MAX(sdp->from_frame, younger->merged_frame);
    }
}

ft_quic_stream *
ft_call_quic_stream(const ft_call *call, ft_path path, bool outgoing)
{
    for (unsigned i = call->quic_streams ? wmem_array_get_count(call->quic_streams) : 0; i-- > 0;) {
        ft_quic_stream *stream = (ft_quic_stream *)wmem_array_index(call->quic_streams, i);
        if (stream->path == path && stream->outgoing == outgoing)
            return stream;
    }
    return NULL;
}

/* At most one for each path and direction: no SSRC is seen inside of QUIC. */
void
ft_call_add_quic_stream(ft_call *call, const ft_quic_stream *stream)
{
    if (!call->quic_streams)
        call->quic_streams = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_quic_stream), FEW);
    wmem_array_append(call->quic_streams, stream, 1);
}

static void
merge_quic_streams(ft_call *elder, const ft_call *younger)
{
    for (unsigned i = 0; younger->quic_streams && i < wmem_array_get_count(younger->quic_streams);
         i++) {
        const ft_quic_stream *from =
            (const ft_quic_stream *)wmem_array_index(younger->quic_streams, i);
        ft_quic_stream *to = ft_call_quic_stream(elder, from->path, from->outgoing);
        if (!to) {
            ft_call_add_quic_stream(elder, from);
            continue;
        }
        to->packets += from->packets;
        to->bytes += from->bytes;
        to->first_frame = MIN(to->first_frame, from->first_frame);
        to->last_frame = MAX(to->last_frame, from->last_frame);
    }
}

static void
merge_media_counts(ft_call *elder, const ft_call *younger)
{
    elder->packets += younger->packets;
    elder->twice += younger->twice;
    elder->media_told |= younger->media_told;
    for (unsigned side = 0; side < G_N_ELEMENTS(elder->one_way_told); side++)
        elder->one_way_told[side] |= younger->one_way_told[side];
    elder->seen |= younger->seen;
    merge_quic_streams(elder, younger);
    for (unsigned path = 0; path < G_N_ELEMENTS(elder->media_packets); path++) {
        elder->media_packets[path] += younger->media_packets[path];
        if (younger->media_first[path] &&
            (!elder->media_first[path] || younger->media_first[path] < elder->media_first[path]))
            elder->media_first[path] = younger->media_first[path];
        elder->media_last[path] = MAX(elder->media_last[path], younger->media_last[path]);
    }
}

/* What the younger call knew is the elder's from the frame of the merge on, not from where the
 * younger learnt it: packets of the elder in between were shown without it. */
static void
merge_identity(ft_call *elder, const ft_call *younger)
{
    for (unsigned i = 0; i < younger->tie_breaker_count && elder->tie_breaker_count < FT_MAX_AGENTS;
         i++)
        elder->tie_breakers[elder->tie_breaker_count++] = younger->tie_breakers[i];
    elder->dialogs += younger->dialogs;
    elder->keys += younger->keys;
    for (unsigned i = 0; i < younger->reservations && elder->reservations < FT_MAX_AGENTS; i++)
        elder->reserved_by[elder->reservations++] = younger->reserved_by[i];
    elder->invites_again |= younger->invites_again;
    if (younger->generation_frame && !elder->generation_frame) {
        elder->generation = younger->generation;
        elder->generation_frame = younger->merged_frame;
    }
    if (elder->shown_generation == FT_GENERATION_UNKNOWN)
        elder->shown_generation = younger->shown_generation;
    if (younger->ichat_frame && !elder->ichat_frame) {
        elder->ichat_frame = younger->merged_frame;
        elder->generation = FT_ICHAT;
    }
}

static ft_event **
told_once(const ft_call *call, ft_event_id id)
{
    ft_event **events = (ft_event **)wmem_array_get_raw(call->events);

    for (unsigned i = 0; i < wmem_array_get_count(call->events); i++) {
        if (events[i]->id == id)
            return &events[i];
    }
    return NULL;
}

/* What a call tells once, and both have told, is told by the earlier one: the story has it once,
 * though each packet shows what was known when it came. */
static void
merge_events(packet_info *pinfo, ft_call *elder, const ft_call *younger)
{
    for (unsigned i = 0; i < wmem_array_get_count(younger->events); i++) {
        ft_event *event = *(ft_event **)wmem_array_index(younger->events, i);
        ft_event **known =
            ft_event_often(event->id) == FT_ONCE_A_CALL ? told_once(elder, event->id) : NULL;
        if (known) {
            *known = (*known)->frame <= event->frame ? *known : event;
            continue;
        }
        if (!ft_has_room(pinfo, FT_LIMIT_EVENTS, wmem_array_get_count(elder->events)))
            return;
        wmem_array_append_one(elder->events, event);
    }
    elder->told |= younger->told;
}

/* The elder stays: its number was shown first. What both have may only be known of the younger:
 * a modern call's mode, the INVITE, who named the far end. The bound on merges is of the longest
 * way to the elder, not of their number: each packet of the youngest call walks it. */
ft_call *
ft_call_merge(packet_info *pinfo, ft_call *one, ft_call *other)
{
    ft_call *elder = one->number < other->number ? one : other;
    ft_call *younger = elder == one ? other : one;

    ft_call_changes++;
    younger->merged_into = elder;
    younger->merged_frame = ft_frame_id(pinfo);
    elder->merges = MAX(elder->merges, younger->merges + 1);
    merge_events(pinfo, elder, younger);
    if (younger->media_first[FT_PATH_RELAY])
        ft_call_has_client(elder, &younger->local);
    move_all(pinfo, elder->streams, younger->streams, FT_LIMIT_STREAMS_PER_CALL);
    move_all(pinfo, elder->senders, younger->senders, FT_LIMIT_STREAMS_PER_CALL);
    merge_sdps(pinfo, elder, younger);
    merge_media_counts(elder, younger);
    merge_identity(elder, younger);
    ft_key_merge(pinfo, elder, younger);
    if (younger->mode) {
        elder->mode = younger->mode;
        elder->participants = elder->participants ? elder->participants : younger->participants;
        elder->links = elder->links ? elder->links : younger->links;
    }
    if (!elder->invite_frame) {
        elder->invite_frame = younger->invite_frame;
        elder->answer_frame = younger->answer_frame;
        elder->was_answered |= younger->was_answered;
        elder->offerer = younger->offerer;
        elder->state = MAX(elder->state, younger->state);
    }
    if (younger->remote_rank > elder->remote_rank) {
        elder->remote = younger->remote;
        elder->remote_rank = younger->remote_rank;
    }
    if (nstime_cmp(&younger->last_time, &elder->last_time) > 0)
        elder->last_time = younger->last_time;
    return elder;
}

/* A file that begins in a call, with a check of the direct path, doesn't show which of the two ends
 * is the device. With the wrong one each packet in the relay's channel would be the other end's
 * view of what the direct path has, and count for nothing. Streams go the way that they were
 * shown, so with the first of them it is settled. */
void
ft_call_has_client(ft_call *call, const ft_endpoint *client)
{
    if (wmem_array_get_count(call->streams) || call->invite_frame ||
        ft_call_is_local(call, &client->addr))
        return;
    if (call->remote.addr.type != AT_NONE && !addresses_equal(&call->remote.addr, &client->addr))
        return;
    call->remote = call->local;
    call->local = ft_endpoint_keep(client);
}

/* Between two public addresses who sends first is taken for the device. */
void
ft_call_has_device(ft_call *call, const ft_endpoint *device)
{
    if (wmem_array_get_count(call->streams) || !ft_endpoint_equal(&call->remote, device))
        return;
    const ft_endpoint other = call->local;
    call->local = call->remote;
    call->remote = other;
}

/* By rank alone, so the order in which packets name it doesn't matter: who was met directly
 * stays the far end, whatever a later bind or offer says. */
void
ft_call_remote(ft_call *call, const ft_endpoint *end, ft_remote_rank rank)
{
    if (end->addr.type == AT_NONE || rank <= call->remote_rank)
        return;
    call->remote = ft_endpoint_keep(end);
    call->remote_rank = rank;
}

/* ---- what is no call, or not FaceTime's ---- */

/* From this frame on only: that it is a game shows in its first message behind ICE, and the
 * checks before it looked like a call's. */
void
ft_call_is_none(packet_info *pinfo, ft_call *call)
{
    ft_call_changes++;
    call->no_call_from = ft_frame_id(pinfo);
}

/* iChat AV shows itself in SIP (a User-Agent without /GK, its own SDP lines), so packets before
 * that were taken for a legacy call's. */
ft_generation
ft_call_generation(const ft_call *call, uint32_t frame)
{
    if (ft_call_ichat(call, frame))
        return FT_ICHAT;
    if (!call || !call->generation_frame || call->generation_frame > frame)
        return FT_GENERATION_UNKNOWN;
    return call->generation == FT_ICHAT ? FT_LEGACY : call->generation;
}

void
ft_call_is_ichat(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->call || packet->call->ichat_frame || !ft_learning(pinfo))
        return;
    packet->call->ichat_frame = packet->frame;
    packet->call->generation = FT_ICHAT;
}

/* Media is no such mark: a game may have some. */
bool
ft_call_of_calls_alone(const ft_packet *packet)
{
    return packet->kind == FT_KIND_SIP || packet->kind == FT_KIND_LINK ||
           packet->kind == FT_KIND_CONTROL || packet->kind == FT_KIND_QUICKRELAY ||
           packet->kind == FT_KIND_HBH || packet->kind == FT_KIND_QUIC;
}

/* A game and a call may share a socket, since they share ICE. Once the session is known as a
 * game's, SIP, a link message or the relay begin a call beside it. */
bool
ft_call_strange(const ft_packet *packet, const ft_call *session)
{
    if (!session->no_call_from)
        return false;
    return ft_call_of_calls_alone(packet) ||
           ((packet->kind == FT_KIND_RTP || packet->kind == FT_KIND_RTCP) &&
            !packet->flow->gamekit_frame);
}

/* Direct checks alone say nothing: GameKit and Multipeer Connectivity check with the same
 * attributes on the same ports. A relay is more, media and signalling are proof. */
static unsigned
seen_in(const ft_packet *packet)
{
    switch (packet->kind) {
    case FT_KIND_SIP: case FT_KIND_RTP: case FT_KIND_RTCP: case FT_KIND_LINK: case FT_KIND_CONTROL:
    case FT_KIND_HBH: case FT_KIND_QUICKRELAY:
        return FT_SEEN_TALK;
    case FT_KIND_QUIC:
        return packet->quic != FT_QUIC_UNKNOWN ? FT_SEEN_TALK : FT_SEEN_SETUP;
    case FT_KIND_TURN:
        return FT_SEEN_SETUP;
    case FT_KIND_STUN:
        return packet->path == FT_PATH_RELAY ? FT_SEEN_SETUP : 0;
    default:
        return 0;
    }
}

/* ---- end and book-keeping ---- */

void
ft_call_close(ft_call *call)
{
    ft_call_changes++;
    call->closed = true;
}

void
ft_call_end(packet_info *pinfo, ft_call *call, const char *reason)
{
    if (pinfo->fd->visited || call->state == FT_CALL_ENDED)
        return;
    ft_call_close(call);
    call->state = FT_CALL_ENDED;
    call->end_frame = ft_frame_id(pinfo);
    call->end_time = ft_now(pinfo);
    call->over_time = ft_steady(pinfo);
    call->end_reason = wmem_strdup(wmem_file_scope(), reason);
    ft_event_add(pinfo, FT_EVENT_CALL_ENDED, 0, "Call %u ends: %s%s", call->number, reason,
                 ft_silence_text(pinfo, call));
    ft_silence_ends(pinfo, call);
}

void
ft_call_reopen(ft_call *call, ft_call_state state)
{
    ft_call_changes++;
    call->closed = false;
    if (call->state != FT_CALL_ENDED)
        return;
    call->state = state;
    call->outcome = FT_OUTCOME_NONE;
    call->end_frame = 0;
    call->end_reason = NULL;
    ft_event_take_back(call, FT_EVENT_CALL_ENDED);
}

/* A modern call ends where the device closes the socket that its media ran through; but it may
 * have been taken to another device or network, which sends on. */
void
ft_call_goes_on(packet_info *pinfo, ft_call *call)
{
    const nstime_t now = ft_steady(pinfo);
    const bool by_socket = call->state == FT_CALL_ENDED && call->outcome == FT_OUTCOME_NONE;
    const int sent_before = ft_clock_is_batched_at(&call->local.addr) ? FT_ALIVE_S : FT_PAUSE_S;

    if (by_socket && !call->other_end_closed && ft_seconds(&call->over_time, &now) > sent_before)
        ft_call_reopen(call, call->answer_frame ? FT_CALL_ANSWERED : FT_CALL_SETUP);
}

/* Whether the packet in hand runs between these two, either way. */
static bool
runs_between(const packet_info *pinfo, const ft_endpoint *one, const ft_endpoint *other)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    return (ft_endpoint_equal(&source, one) && ft_endpoint_equal(&destination, other)) ||
           (ft_endpoint_equal(&source, other) && ft_endpoint_equal(&destination, one));
}

/* Who media is sent to, or who an offer names, may be a home's address; SIP's URIs name a public
 * one alone. */
static bool
has_same_ends(const packet_info *pinfo, const ft_call *call, const ft_call *last)
{
    const bool is_far_end_known =
        call->remote_rank >= FT_REMOTE_BOUND || call->remote_rank == FT_REMOTE_NAMED;

    return runs_between(pinfo, &last->local, &last->remote) ||
           (is_far_end_known && addresses_equal(&last->remote.addr, &call->remote.addr));
}

/* The call that this one repeats, of the device's latest ones; or NULL. The same two may have
 * tried before in vain (busy, say), and others may have called meanwhile; but once they talked
 * again, the call that had broken off is done with. */
static ft_call *
broken_off_between_same_ends(const packet_info *pinfo, const ft_call *call)
{
    const uint32_t frame = call->last_frame;
    ft_call *last = former_call(call, frame);

    for (unsigned i = 0; last && i < RESTARTS_ASKED; i++, last = former_call(last, frame)) {
        if (last == call || !has_same_ends(pinfo, call, last))
            continue;
        if (broke_off_before(last, call))
            return last;
        if (last->was_answered)
            break;
    }
    return NULL;
}

/* A call between the same ends begins again, as soon as it is known that they are the same. The
 * far end's name may come late (a bind, SIP, a check): until then the question stays open,
 * unless the packet runs between those two itself. */
static void
tell_restart(packet_info *pinfo, ft_call *call)
{
    if (!call->may_restart)
        return;
    ft_call *last = broken_off_between_same_ends(pinfo, call);
    call->may_restart = !last && call->remote_rank < FT_REMOTE_BOUND;
    if (!last)
        return;
    call->restart_of = last;
    ft_event_add(pinfo, FT_EVENT_CALL_RESTARTED, last->end_frame,
                 "Call %u starts %s after the end of call %u (frame %u)", call->number,
                 ft_seconds_text(pinfo->pool, ft_seconds(&last->over_time, &call->begin_time),
                                 ft_clock_is_batched_at(&call->local.addr)),
                 last->number, ft_frame_number(last->end_frame));
}

/* What comes from any other end than the device's shows that the other side is alive, but for the
 * servers that test its NAT. The judge asks for that before addresses alone join a packet. The
 * device's own time counts where the other end's capture is in the file too, with another clock. */
static void
hear(const packet_info *pinfo, ft_call *call, const nstime_t *now)
{
    const ft_kind kind = ft_packet_get(pinfo)->kind;

    if (kind == FT_KIND_SNATMAP || kind == FT_KIND_COMMNAT)
        return;
    if (!ft_call_is_local(call, &pinfo->src))
        call->heard_time = *now;
    else
        ft_steady_keep(&call->device_time, now);
}

const nstime_t *
ft_call_last_time(const ft_call *call)
{
    return call->other_end.addr.type == AT_NONE ? &call->last_time : &call->device_time;
}

/* The copies of a mirror port are as many as the packets, those of two more points twice as many.
 * A point that saw one direction, or the call's end alone, is one as well. */
/* One datagram in so many is repeated by chance: chosen, between the hardly any of a call that was
 * seen once and the every one of a call that was seen twice. */
#define CHANCE 50

unsigned
ft_call_points(const ft_call *call)
{
    if (call->twice <= call->packets / CHANCE)
        return 1;
    return 1 + MAX(1, (call->twice + call->packets / 2) / MAX(call->packets, 1));
}

void
ft_call_count(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->call || pinfo->fd->visited)
        return;

    ft_call *call = packet->call;
    const nstime_t now = packet->steady, stamp = ft_now(pinfo);
    if (packet->seen_before) {
        call->twice++;
        return;
    }
    if (packet->flow)
        ft_flow_is_alive(pinfo, packet->flow, &stamp);
    call->packets++;
    call->last_frame = packet->frame;
    /* Frames don't stand in the order of their times where clocks step or files were merged: a
     * call lasts from its earliest time to its latest, and nothing is negative. */
    ft_steady_keep(&call->last_time, &now);
    if (ft_is_later(&call->begin_time, &now))
        call->begin_time = now;
    if (ft_is_later(&call->first_time, &stamp))
        call->first_time = stamp;
    hear(pinfo, call, &now);
    tell_restart(pinfo, call);
    learn_generation(call, packet);
    if (call->shown_generation == FT_GENERATION_UNKNOWN)
        call->shown_generation = packet->shown_generation;
    call->seen |= seen_in(packet);
    if (packet->kind == FT_KIND_RTP || packet->quic == FT_QUIC_MEDIA) {
        call->media_packets[packet->path] += ft_packet_media_count(packet);
        if (!call->media_first[packet->path])
            call->media_first[packet->path] = packet->frame;
        call->media_last[packet->path] = packet->frame;
        call->media_leg = packet->leg;
        packet->leg->media_time = now;
        packet->leg->renewed = false;
        if (packet->path == FT_PATH_DIRECT)
            call->direct_time = now;
    }
}
