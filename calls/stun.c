/* calls/stun.c
 * What STUN and TURN tell: allocations and channels (their life: calls/channel.h), the relay's
 * errors; checks are handed on to calls/checks.c.
 *
 *    Allocate, bind, Refresh 0  request -> asked, answer -> held or refused; a release closes a
 *                               call without direct path
 *    error of the relay         told once, starts no call
 *
 * An allocation is what a Refresh releases, a channel what media runs in; one 5-tuple may hold
 * several of each, of several calls:
 *
 *    5-tuple device <-> relay --- allocation 1 (token a) --- channel 0x4002 -> peer A     call 1
 *                             \-- allocation 2 (token b) --- channel 0x4003 -> peer B     call 2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/stun.h"
#include "calls/checks.h"
#include "calls/evidence.h"
#include "calls/guess.h"
#include "calls/limits.h"
#include "calls/relay.h"
#include "calls/resolve.h"

#define ALLOCATION_MISMATCH 437
#define PARTICIPANT_GONE    601
/* RFC 8489 6.2.1: a request that wasn't answered by then is given up */
#define RELEASE_TIMEOUT_S   39.5
/* A direct path with media so lately outlives the relay. Chosen, as FT_ALIVE_S: a release in
 * mid-call is the normal case, and must not end a call whose media pauses. */
#define DIRECT_ALIVE_S      10

/* ---- allocations ---- */

/* The newest, as a legacy device opens one for each call and says in no later message of it which
 * one it means. */
static ft_allocation *
newest_allocation(const ft_flow *flow, bool released)
{
    for (unsigned i = flow->allocations ? wmem_array_get_count(flow->allocations) : 0; i-- > 0;) {
        ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if (released || !allocation->released)
            return allocation;
    }
    return NULL;
}

/* It lives as long as it is kept alive: one whose call was silent for so long is gone. */
static bool
has_run_out(const packet_info *pinfo, const ft_allocation *allocation)
{
    const ft_call *call = ft_call_as_of(allocation->call, ft_frame_id(pinfo));

    return call && ft_call_is_silent(pinfo, call);
}

/* The one that a bind may be of: a device binds once the relay granted its allocation. That of
 * another ticket is another one, also where the answer that brought the bind's isn't captured. */
static ft_allocation *
granted_allocation(const packet_info *pinfo, const ft_flow *flow, uint64_t ticket)
{
    ft_allocation *newest = NULL;

    for (unsigned i = flow->allocations ? wmem_array_get_count(flow->allocations) : 0; i-- > 0;) {
        ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if ((ticket && allocation->ticket && allocation->ticket != ticket) ||
            has_run_out(pinfo, allocation))
            continue;
        if (!allocation->released && allocation->answered)
            return allocation;
        newest = newest ? newest : allocation;
    }
    return newest;
}

/* An Allocate's answer brings the ticket that its bind shows (derived; docs/protocol.md), 20 bytes
 * of which no two are alike. */
static ft_allocation *
allocation_of_ticket(const ft_flow *flow, uint64_t ticket)
{
    for (unsigned i = ticket && flow->allocations ? wmem_array_get_count(flow->allocations) : 0;
         i-- > 0;) {
        ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if (!allocation->released && allocation->ticket == ticket)
            return allocation;
    }
    return NULL;
}

static bool
is_same_allocation(const ft_allocation *allocation, const ft_stun *stun)
{
    return !allocation->released && allocation->has_token == stun->has_reservation_token &&
           memcmp(allocation->token, stun->token, sizeof allocation->token) == 0;
}

/* The allocation that this request asks for again (after a 401, say), or NULL: the newest, or
 * one with its token. The token is what signalling reserved for this call, so an equal one is the
 * same request; a new transaction id alone says nothing. */
static ft_allocation *
same_allocation(const ft_flow *flow, const ft_stun *stun)
{
    ft_allocation *newest = newest_allocation(flow, false);

    if (newest && is_same_allocation(newest, stun))
        return newest;
    if (!stun->has_reservation_token)
        return NULL;
    for (unsigned i = flow->allocations ? wmem_array_get_count(flow->allocations) : 0; i-- > 0;) {
        ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if (is_same_allocation(allocation, stun))
            return allocation;
    }
    return NULL;
}

/* Over the bound the newest stands for all that come later. */
static ft_allocation *
allocate(packet_info *pinfo, ft_flow *flow, const ft_stun *stun)
{
    ft_allocation *allocation = same_allocation(flow, stun);

    if (allocation)
        return allocation;
    if (!flow->allocations)
        flow->allocations = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_allocation *), FEW);
    if (!ft_has_room(pinfo, FT_LIMIT_LEGS_PER_FLOW, wmem_array_get_count(flow->allocations)))
        return newest_allocation(flow, true);
    allocation = wmem_new0(wmem_file_scope(), ft_allocation);
    allocation->flow = flow;
    allocation->asked_frame = ft_frame_id(pinfo);
    allocation->has_token = stun->has_reservation_token;
    memcpy(allocation->token, stun->token, sizeof allocation->token);
    wmem_array_append_one(flow->allocations, allocation);
    return allocation;
}

static ft_call *
call_of_leg(const ft_leg *leg, uint32_t frame)
{
    return (ft_call *)ft_call_as_of(ft_call_of_leg(leg, frame), frame);
}

/* The allocation that a channel was bound in. Where what came in the channel turned out to be of
 * another call than the allocation's, its own one isn't known: its Allocate wasn't captured. */
static const ft_allocation *
allocation_of(const ft_leg *leg, uint32_t frame)
{
    const ft_call *own = call_of_leg(leg, frame);
    const ft_call *holder = leg->allocation ? ft_call_as_of(leg->allocation->call, frame) : NULL;

    return own && holder && own != holder ? NULL : leg->allocation;
}

/* Where no Allocate was captured: the call of the newest channel, one that ended first; none that
 * fell silent long ago. */
static ft_call *
call_of_channels(const packet_info *pinfo, const ft_flow *flow)
{
    const uint32_t frame = ft_frame_id(pinfo);
    ft_call *newest = NULL;

    for (unsigned i = flow->legs ? wmem_array_get_count(flow->legs) : 0; i-- > 0;) {
        const ft_leg *leg = *(const ft_leg **)wmem_array_index(flow->legs, i);
        ft_call *call = call_of_leg(leg, frame);
        if (!call || ft_call_is_silent(pinfo, call))
            continue;
        if (call->state == FT_CALL_ENDED && leg->state != FT_CHANNEL_RELEASED)
            return call;
        newest = newest ? newest : call;
    }
    return newest;
}

/* Whether the call ended, and was heard of so lately that what comes now may be its end. */
static bool
just_ended(const ft_call *call, const nstime_t *now)
{
    return call->state == FT_CALL_ENDED && ft_seconds(&call->last_time, now) <= FT_TAIL_S;
}

/* The call of a channel whose Allocate came before the capture, while it goes on or has just
 * ended: there is one allocation more than is known. Any but this one, which may be NULL. */
static const ft_call *
call_of_unseen_allocation(const packet_info *pinfo, const ft_flow *flow, const ft_call *but)
{
    const nstime_t now = ft_steady(pinfo);
    const uint32_t frame = ft_frame_id(pinfo);

    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (!leg->channel || allocation_of(leg, frame) || leg->state == FT_CHANNEL_RELEASED)
            continue;
        const ft_call *call = call_of_leg(leg, frame);
        if (call && call != but && (!ft_call_is_over(pinfo, call) || just_ended(call, &now)))
            return call;
    }
    return NULL;
}

/* Of those calls the one that ended last, just now: the release that follows is its. */
static ft_call *
ended_of_unseen_allocations(const packet_info *pinfo, const ft_flow *flow)
{
    const nstime_t now = ft_steady(pinfo);
    const uint32_t frame = ft_frame_id(pinfo);
    ft_call *ended = NULL;

    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (!leg->channel || allocation_of(leg, frame) || leg->state == FT_CHANNEL_RELEASED)
            continue;
        ft_call *call = call_of_leg(leg, frame);
        if (call && just_ended(call, &now) &&
            (!ended || nstime_cmp(&call->over_time, &ended->over_time) > 0))
            ended = call;
    }
    return ended;
}

/* One without a token is none of the call's reservations. */
static bool
has_allocation(const ft_flow *flow, const ft_call *call, uint32_t frame)
{
    for (unsigned i = 0; flow->allocations && i < wmem_array_get_count(flow->allocations); i++) {
        const ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if (ft_call_as_of(allocation->call, frame) == call)
            return true;
    }
    return false;
}

/* Whether what the call had there was released, its Allocate not captured. */
static bool
has_released_channel(const ft_flow *flow, const ft_call *call, uint32_t frame)
{
    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->state == FT_CHANNEL_RELEASED && call_of_leg(leg, frame) == call)
            return true;
    }
    return false;
}

/* The capture met the call on its way: what it had allocated, nobody knows. */
static bool
is_met_halfway(const packet_info *pinfo, const ft_flow *flow, const ft_call *call)
{
    return call && call->generation == FT_LEGACY && !call->invite_frame && !call->reservations &&
           !ft_call_is_over(pinfo, call) && !has_allocation(flow, call, ft_frame_id(pinfo)) &&
           !has_released_channel(flow, call, ft_frame_id(pinfo));
}

/* As many as are known to be, each of another call; those of one call aren't told apart. */
static unsigned
count_unseen_allocations(const packet_info *pinfo, const ft_flow *flow)
{
    const ft_call *talks = call_of_unseen_allocation(pinfo, flow, NULL);
    const ft_endpoint *client = ft_flow_client(flow);
    const ft_end_calls *known = client ? ft_calls_of_end(pinfo, FT_CLUE_DEVICE, client) : NULL;
    unsigned count = talks ? 1 + (call_of_unseen_allocation(pinfo, flow, talks) != NULL) : 0;

    for (unsigned i = 0; known && i < FT_CALLS_OF_END; i++) {
        const ft_call *call = ft_call_as_of(known->calls[i], ft_frame_id(pinfo));
        count += call != talks && is_met_halfway(pinfo, flow, call);
    }
    return count;
}

/* A Refresh names none. It releases what the call that just ended had, else the only one there
 * is. Of several, that of the call which has been silent for longest is the likeliest, but that
 * is no certainty: *certain says so. What a call had that ended long ago, its release not
 * captured, comes last. A wrong guess would close the channels of a call that goes on (two calls
 * of one device on one 5-tuple, one of them released). NULL where the call that just ended had one
 * whose Allocate wasn't captured, or there is none. */
static ft_allocation *
allocation_to_release(const packet_info *pinfo, const ft_flow *flow, bool *certain)
{
    const uint32_t frame = ft_frame_id(pinfo);
    const nstime_t now = ft_steady(pinfo);
    ft_allocation *quietest = NULL, *ended = NULL, *left = NULL;
    unsigned alive = 0;

    *certain = true;
    for (unsigned i = 0; flow->allocations && i < wmem_array_get_count(flow->allocations); i++) {
        ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        const ft_call *call = ft_call_as_of(allocation->call, frame);
        const ft_call *other = quietest ? ft_call_as_of(quietest->call, frame) : NULL;
        if (allocation->released || !call)
            continue;
        if (call->state == FT_CALL_ENDED) {
            left = allocation;
            if (just_ended(call, &now) &&
                (!ended ||
                 nstime_cmp(&call->over_time, &ft_call_as_of(ended->call, frame)->over_time) > 0))
                ended = allocation;
            continue;
        }
        alive++;
        if (!other || nstime_cmp(&call->last_time, &other->last_time) < 0)
            quietest = allocation;
    }
    const ft_call *unseen = ended_of_unseen_allocations(pinfo, flow);
    *certain = ended || unseen || alive + count_unseen_allocations(pinfo, flow) <= 1;
    if (unseen && (!ended || nstime_cmp(&unseen->over_time,
                                        &ft_call_as_of(ended->call, frame)->over_time) > 0))
        return NULL;
    return ended ? ended : quietest ? quietest : left;
}

static uint64_t
token_value(const uint8_t *token)
{
    uint64_t value;

    memcpy(&value, token, sizeof value);
    return value;
}

/* A call that is being set up may allocate when its checks are already answered (a session of the
 * report of 2015), and so may a second call of this device, just then; or the second call checks
 * once the first one has allocated: only what comes in the channel tells. What is kept for it is
 * the other call's if it comes to that. */
static void
begin_guess(ft_allocation *allocation, const ft_call *call, bool is_token_known)
{
    if (!call || allocation->call || !allocation->has_token || is_token_known)
        return;
    allocation->guesses = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_guess), 2);
    allocation->set_up_before = call->seen != 0;
}

/* The token tells more than the relayed address, which is a clue only where there is none. What
 * is asked for again begins no call: that is of the first request. */
static void
learn_allocate_request(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                       ft_exchange *exchange, bool is_retransmission)
{
    const ft_endpoint source = ft_source(pinfo), server = ft_destination(pinfo);

    ft_flow_set_server(pinfo, packet->flow, &server);
    ft_device_learn(pinfo, &source);
    ft_allocation *allocation = allocate(pinfo, packet->flow, stun);
    const bool is_token_known =
        ft_clue_owner(pinfo, FT_CLUE_RESERVATION, token_value(stun->token)) != NULL;
    if (stun->has_reservation_token)
        ft_clue_bytes(pinfo, FT_CLUE_RESERVATION, stun->token, sizeof stun->token);
    else if (stun->has_xor_relayed)
        ft_clue_number(pinfo, FT_CLUE_RELAYED, ft_endpoint_hash(&stun->relayed));
    if (allocation && allocation->call)
        ft_clue_call(pinfo, allocation->call);
    ft_call *call = ft_call_resolve(pinfo, !is_retransmission);
    if (allocation) {
        begin_guess(allocation, call, is_token_known);
        ft_guess_keep(pinfo, allocation, 0);
        allocation->call = call;
    }
    if (exchange) {
        exchange->call = call;
        exchange->allocation = allocation;
    }
    if (stun->has_reservation_token && stun->has_xor_relayed)
        ft_event_add(pinfo, FT_EVENT_RESERVED_ALLOCATION, 0,
                     "Allocates the relay address %s that signalling reserved%s",
                     ft_endpoint_str(pinfo->pool, &stun->relayed),
                     stun->has_lifetime
                         ? wmem_strdup_printf(pinfo->pool, ", for %u s", stun->lifetime)
                         : "");
}

/* ---- channels ---- */

static ft_leg *
newest_leg(const ft_flow *flow, uint16_t channel)
{
    for (unsigned i = flow->legs ? wmem_array_get_count(flow->legs) : 0; i-- > 0;) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->channel == channel)
            return leg;
    }
    return NULL;
}

/* A channel that is bound again to its peer stays what it is, unless it was released or refused,
 * or there is another allocation since. */
static bool
is_kept(const ft_leg *leg, const ft_endpoint *peer, const ft_allocation *allocation)
{
    return leg->setup_frame && leg->allocation == allocation &&
           ft_endpoint_equal(&leg->peer, peer) &&
           (leg->state == FT_CHANNEL_ASKED || leg->state == FT_CHANNEL_BOUND);
}

/* A call has one peer behind its relay: an allocation with a channel to another one isn't the
 * bind's. */
static bool
has_another_peer(const ft_flow *flow, const ft_allocation *allocation, const ft_stun *stun)
{
    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->allocation == allocation && leg->channel != stun->channel &&
            leg->state == FT_CHANNEL_BOUND && leg->peer.addr.type != AT_NONE &&
            !addresses_equal(&leg->peer.addr, &stun->peer.addr))
            return true;
    }
    return false;
}

/* Which allocation a bind is of, its ticket says, where the answer that brought it was captured;
 * else it is that of the channel to this peer, or the newest. NULL where that can't be: its
 * Allocate wasn't captured. */
static ft_allocation *
allocation_of_bind(const packet_info *pinfo, const ft_flow *flow, const ft_stun *stun)
{
    const ft_leg *leg = newest_leg(flow, stun->channel);
    ft_allocation *newest = granted_allocation(pinfo, flow, stun->ticket);
    ft_allocation *own = allocation_of_ticket(flow, stun->ticket);

    if (own)
        return own;
    if (newest && has_another_peer(flow, newest, stun))
        return NULL;
    if (leg && leg->allocation && !leg->allocation->released &&
        ft_endpoint_equal(&leg->peer, &stun->peer) && newest &&
        ft_call_as_of(newest->call, UINT32_MAX) !=
            ft_call_as_of(leg->allocation->call, UINT32_MAX) &&
        leg->state == FT_CHANNEL_BOUND)
        return newest->released ? leg->allocation : newest;
    return newest;
}

/* A channel number that is bound anew is a leg of its own from here on: what came before stays
 * with the peer, and in the call, that it had then. */
static void
bind_leg(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, ft_exchange *exchange,
         ft_allocation *allocation)
{
    ft_leg *leg = newest_leg(packet->flow, stun->channel);

    if (!stun->channel || stun->peer.addr.type == AT_NONE)
        return;
    if (!leg || !is_kept(leg, &stun->peer, allocation)) {
        leg = ft_leg_new(pinfo, packet->flow, stun->channel, &stun->peer);
        if (leg)
            leg->allocation = allocation;
    }
    packet->limit_hit |= leg == NULL;
    if (exchange) {
        exchange->leg = leg;
        exchange->releases = false;
    }
    if (leg)
        ft_channel_step(&leg->state, FT_CHANNEL_BIND_ASKED);
}

/* frame: of the request; of several the first one's, so that what is shown of the packets between
 * them is the same in any pass. */
static void
ask_release(packet_info *pinfo, ft_leg *leg, uint32_t frame)
{
    ft_channel_step(&leg->state, FT_CHANNEL_RELEASE_ASKED);
    if (leg->release_frame)
        return;
    leg->release_frame = frame;
    leg->release_time = ft_steady(pinfo);
}

/* Nothing more comes of a call whose relay was released while it had no direct path. A release
 * while media goes directly is the normal course of a legacy call (reports of 2015) and ends
 * nothing. */
static void
close_without_path(const packet_info *pinfo, ft_call *call)
{
    const nstime_t now = ft_steady(pinfo);

    if (call && !call->closed &&
        (nstime_is_zero(&call->direct_time) ||
         ft_seconds(&call->direct_time, &now) > DIRECT_ALIVE_S))
        ft_call_close(call);
}

/* A channel whose Allocate wasn't captured may be of any release that its own call makes, and of
 * no other one. call: whose release it is. */
static bool
is_of_allocation(const ft_leg *leg, const ft_allocation *allocation, const ft_call *call,
                 uint32_t frame)
{
    const ft_allocation *own = allocation_of(leg, frame);

    if (!leg->channel || own)
        return leg->channel && own == allocation;
    return call_of_leg(leg, frame) == ft_call_as_of(allocation ? allocation->call : call, frame);
}

static void
ask_release_of(packet_info *pinfo, const ft_flow *flow, const ft_allocation *allocation,
               const ft_call *call, uint32_t frame)
{
    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (is_of_allocation(leg, allocation, call, frame) && leg->state != FT_CHANNEL_RELEASED)
            ask_release(pinfo, leg, frame);
    }
}

/* Only asked for so far: packets that cross the Refresh on their way are no misuse, so channels
 * are closed by the answer, or by its timeout. */
static void
release_allocation(packet_info *pinfo, ft_packet *packet, ft_allocation *allocation)
{
    ask_release_of(pinfo, packet->flow, allocation, packet->call, packet->frame);
    if (allocation)
        allocation->released = true;
    close_without_path(pinfo, packet->call);
}

static void
tell_release(packet_info *pinfo, const ft_packet *packet, const char *what)
{
    ft_event_add(pinfo, FT_EVENT_RELAY_RELEASED, 0, "%s asks the relay to release the %s",
                 ft_endpoint_str(pinfo->pool, ft_flow_client(packet->flow)), what);
}

static void
release_channel(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, ft_exchange *exchange)
{
    ft_leg *leg = newest_leg(packet->flow, stun->channel);

    if (leg)
        ask_release(pinfo, leg, packet->frame);
    if (exchange) {
        exchange->leg = leg;
        exchange->releases = true;
    }
    tell_release(pinfo, packet, wmem_strdup_printf(pinfo->pool, "channel 0x%04x", stun->channel));
}

/* A bind with lifetime 0 is a release of that channel alone. One that is sent again keeps the
 * call of the first. The peer is expected to turn up on the direct path, too: checks to it are of
 * this call before they bear a clue. */
static void
learn_bind_request(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                   ft_exchange *exchange, bool is_retransmission)
{
    const ft_endpoint source = ft_source(pinfo), server = ft_destination(pinfo);
    ft_allocation *allocation = exchange && exchange->allocation
                                    ? exchange->allocation
                                    : allocation_of_bind(pinfo, packet->flow, stun);
    const bool releases = stun->has_lifetime && stun->lifetime == 0;

    ft_flow_set_server(pinfo, packet->flow, &server);
    ft_device_learn(pinfo, &source);
    if (exchange && exchange->call && !exchange->allocation)
        ft_clue_call(pinfo, exchange->call);
    else
        ft_clue_call(pinfo, allocation ? allocation->call : call_of_channels(pinfo, packet->flow));
    ft_call *call = ft_call_resolve(pinfo, false);
    ft_guess_keep(pinfo, allocation, 0);
    if (exchange) {
        exchange->call = call;
        exchange->allocation = allocation;
    }
    if (is_retransmission)
        ft_event_add(pinfo, FT_EVENT_CHANNEL_BIND_RETRANSMITTED,
                     exchange ? exchange->request_frame : 0,
                     "Bind of channel 0x%04x to %s sent again", stun->channel,
                     ft_endpoint_str(pinfo->pool, &stun->peer));
    else if (releases && stun->channel)
        release_channel(pinfo, packet, stun, exchange);
    if (releases)
        return;
    if (!is_retransmission || (exchange && (exchange->releases || !exchange->leg)))
        bind_leg(pinfo, packet, stun, exchange, allocation);
    if (!call || stun->peer.addr.type == AT_NONE)
        return;
    ft_clue_expect(pinfo, call, FT_CLUE_PEER, &stun->peer);
    ft_call_remote(call, &stun->peer, FT_REMOTE_BOUND);
}

/* The relay grants and delivers nothing without an allocation: another one was released. */
static void
keep_allocation(const ft_leg *leg)
{
    if (leg->allocation)
        leg->allocation->released = false;
}

/* By the request it answers, not by the channel's newest bind: a late answer would else make
 * another peer's channel ready. */
static void
learn_bind_answer(packet_info *pinfo, const ft_stun *stun, const ft_exchange *exchange)
{
    const bool success = stun->message_class == STUN_SUCCESS;
    ft_leg *leg = exchange->leg;

    if (exchange->releases) {
        if (success && leg->state == FT_CHANNEL_RELEASING) /* not bound again meanwhile */
            ft_channel_step(&leg->state, FT_CHANNEL_RELEASE_DONE);
        return;
    }
    ft_channel_step(&leg->state, success ? FT_CHANNEL_BIND_DONE : FT_CHANNEL_BIND_REFUSED);
    if (success && leg->state == FT_CHANNEL_BOUND)
        keep_allocation(leg);
    if (!success || leg->ready)
        return;
    leg->ready = true;
    ft_event_add(pinfo, FT_EVENT_RELAY_READY, leg->setup_frame, "Channel 0x%04x to %s is bound",
                 leg->channel, ft_endpoint_str(pinfo->pool, &leg->peer));
}

/* A lifetime above 0 keeps alive: what it names is the newest that isn't released. Only where the
 * allocation is certain does a release change anything; it is told all the same. */
static void
learn_refresh_request(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                      ft_exchange *exchange, bool is_retransmission)
{
    const ft_endpoint server = ft_destination(pinfo);
    const bool releases = stun->has_lifetime && stun->lifetime == 0;
    bool certain = true;
    ft_flow_set_server(pinfo, packet->flow, &server);
    ft_allocation *allocation = exchange && exchange->allocation ? exchange->allocation
                                : releases ? allocation_to_release(pinfo, packet->flow, &certain)
                                           : newest_allocation(packet->flow, false);

    ft_call *unseen =
        allocation || !releases ? NULL : ended_of_unseen_allocations(pinfo, packet->flow);
    ft_clue_call(pinfo, allocation ? allocation->call
                        : unseen   ? unseen
                                   : call_of_channels(pinfo, packet->flow));
    ft_call *call = ft_call_resolve(pinfo, false);
    if (exchange) {
        exchange->call = call;
        exchange->allocation = allocation;
    }
    if (releases && !is_retransmission) {
        if (certain)
            release_allocation(pinfo, packet, allocation);
        else if (exchange)
            exchange->is_loose_release = true;
        tell_release(pinfo, packet, "allocation (Refresh with lifetime 0)");
    }
}

/* The relay has released what was asked for. */
static void
finish_release(const ft_flow *flow, const ft_allocation *allocation, const ft_call *call,
               uint32_t frame)
{
    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (is_of_allocation(leg, allocation, call, frame) && leg->state == FT_CHANNEL_RELEASING)
            ft_channel_step(&leg->state, FT_CHANNEL_RELEASE_DONE);
    }
}

/* How many allocations the flow has; 0 where a channel is of one whose Allocate wasn't captured and
 * that wasn't released, so that nobody knows. */
static unsigned
count_held(const ft_flow *flow, uint32_t frame)
{
    unsigned held = 0;

    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->channel && leg->state != FT_CHANNEL_RELEASED && !allocation_of(leg, frame))
            return 0;
    }
    for (unsigned i = 0; flow->allocations && i < wmem_array_get_count(flow->allocations); i++)
        held += !(*(ft_allocation **)wmem_array_index(flow->allocations, i))->released;
    return held;
}

/* As many releases were answered as there are allocations: none is left, whichever each one was. */
static void
finish_loose_releases(packet_info *pinfo, ft_flow *flow, const ft_exchange *exchange)
{
    const bool is_certain = exchange->allocation && exchange->allocation->released;

    if (!exchange->is_loose_release && !is_certain) /* it keeps alive */
        return;
    if (exchange->is_loose_release && exchange->response_frame == ft_frame_id(pinfo) &&
        flow->loose_releases < UINT8_MAX)
        flow->loose_releases++;
    const unsigned held = count_held(flow, ft_frame_id(pinfo));
    if (held == 0 || flow->loose_releases < held)
        return;
    flow->loose_releases = 0;
    for (unsigned i = 0; i < wmem_array_get_count(flow->allocations); i++) {
        ft_allocation *allocation = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if (allocation->released)
            continue;
        allocation->released = true;
        ask_release_of(pinfo, flow, allocation, NULL, exchange->request_frame);
        finish_release(flow, allocation, NULL, ft_frame_id(pinfo));
    }
}

/* Whose the answer is: by its request; that of a Refresh which wasn't captured by what it can
 * only have meant. */
static ft_call *
call_of_answer(const packet_info *pinfo, const ft_packet *packet, const ft_stun *stun,
               const ft_exchange *exchange)
{
    bool certain;

    if (exchange)
        return exchange->allocation ? exchange->allocation->call : exchange->call;
    if (stun->method != STUN_REFRESH)
        return NULL;
    const ft_allocation *allocation = allocation_to_release(pinfo, packet->flow, &certain);
    if (!allocation)
        return ended_of_unseen_allocations(pinfo, packet->flow);
    return certain ? allocation->call : NULL;
}

/* The answer alone says that something was released: where the 5-tuple has one allocation, that. */
static void
release_by_answer(packet_info *pinfo, ft_packet *packet, const ft_stun *stun)
{
    bool certain = true;
    ft_allocation *allocation =
        stun->has_lifetime && stun->lifetime == 0 && count_held(packet->flow, packet->frame) == 1
            ? allocation_to_release(pinfo, packet->flow, &certain)
            : NULL;

    if (!allocation || allocation->released || !certain)
        return;
    release_allocation(pinfo, packet, allocation);
    finish_release(packet->flow, allocation, packet->call, packet->frame);
}

/* 437 to a bind or a Refresh is a relay that has forgotten the allocation: one of the reports of
 * 2015 has both. */
static void
learn_turn_answer(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                  const ft_exchange *exchange)
{
    const ft_endpoint server = ft_source(pinfo);

    ft_flow_set_server(pinfo, packet->flow, &server);
    ft_clue_call(pinfo, call_of_answer(pinfo, packet, stun, exchange));
    ft_call_resolve(pinfo, false);
    ft_guess_keep(pinfo, exchange ? exchange->allocation : NULL, 0);
    if (stun->mapped.addr.type != AT_NONE)
        ft_device_learn(pinfo, &stun->mapped);
    if (stun->method == STUN_ALLOCATE && stun->message_class == STUN_SUCCESS && exchange &&
        exchange->allocation) {
        exchange->allocation->answered = true;
        exchange->allocation->ticket = stun->ticket;
    }
    if (stun->method == STUN_CHANNEL_BIND && exchange && exchange->leg)
        learn_bind_answer(pinfo, stun, exchange);
    if (stun->method == STUN_REFRESH && stun->message_class == STUN_SUCCESS && exchange) {
        finish_release(packet->flow, exchange->allocation, exchange->call, packet->frame);
        finish_loose_releases(pinfo, packet->flow, exchange);
    } else if (stun->method == STUN_REFRESH && stun->message_class == STUN_SUCCESS) {
        release_by_answer(pinfo, packet, stun);
    }
    if (stun->message_class == STUN_ERROR && stun->error_code == ALLOCATION_MISMATCH)
        ft_event_add(pinfo, FT_EVENT_ALLOCATION_MISMATCH, exchange ? exchange->request_frame : 0,
                     "The relay %s has no such allocation (437)",
                     ft_endpoint_str(pinfo->pool, &server));
}

static void
learn_turn(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, ft_exchange *exchange,
           bool is_retransmission)
{
    if (stun->message_class != STUN_REQUEST) {
        if (stun->message_class != STUN_INDICATION)
            learn_turn_answer(pinfo, packet, stun, exchange);
        return;
    }
    switch (stun->method) {
    case STUN_ALLOCATE:
        learn_allocate_request(pinfo, packet, stun, exchange, is_retransmission);
        break;
    case STUN_CHANNEL_BIND:
        learn_bind_request(pinfo, packet, stun, exchange, is_retransmission);
        break;
    case STUN_REFRESH:
        learn_refresh_request(pinfo, packet, stun, exchange, is_retransmission);
        break;
    }
}

/* Neither end of this flow asked for an allocation in the capture: the relay is the end with a
 * server's port, or the one without a device's. */
static void
guess_server(packet_info *pinfo, ft_flow *flow)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    if (flow->server)
        return;
    if (ft_is_server_port(source.port) != ft_is_server_port(destination.port))
        ft_flow_set_server(pinfo, flow, ft_is_server_port(source.port) ? &source : &destination);
    else
        ft_flow_set_server(pinfo, flow, ft_is_device_port(source.port) ? &destination : &source);
}

/* Whether this flow's only allocation in use has no channel but this one. */
static bool
is_only_channel(const ft_flow *flow, const ft_leg *leg, const ft_allocation *allocation)
{
    for (unsigned i = 0; i < wmem_array_get_count(flow->allocations); i++) {
        const ft_allocation *other = *(ft_allocation **)wmem_array_index(flow->allocations, i);
        if (other != allocation && !other->released)
            return false;
    }
    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *other = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (other != leg && other->allocation == allocation)
            return false;
    }
    return true;
}

/* A channel whose bind wasn't captured is of the allocation that there is: a relay carries
 * nothing without one. */
static void
adopt_channel(const ft_packet *packet, ft_leg *leg)
{
    if (leg->allocation || leg->calls || !leg->channel || !packet->flow->allocations)
        return;

    ft_allocation *allocation = newest_allocation(packet->flow, false);
    if (allocation && is_only_channel(packet->flow, leg, allocation))
        leg->allocation = allocation;
}

/* What comes in a channel so long after its release, its call being over, shows that the number was
 * bound anew, and that the capture missed it; and so where the call was silent for as long as ends
 * it. (In a call that goes on, the device may fall back to the channel that it gave up: the fifth
 * one of 2015.) Chosen: what was under way takes a second, a device that didn't hear of the end
 * stops within some. */
#define ANEW_AFTER_S  10
/* ... or so soon, where the device has allocated since and shown no channel of that: chosen, above
 * what is under way. */
#define UNDER_WAY_S   1

/* Whether this flow has an allocation that is younger than the end of the channel, and no channel
 * of it was seen. */
static bool
has_next_allocation(const ft_leg *leg, uint32_t end_frame)
{
    const ft_flow *flow = leg->flow;
    const ft_allocation *newest = newest_allocation(flow, false);

    if (!newest || newest->asked_frame <= end_frame)
        return false;
    for (unsigned i = wmem_array_get_count(flow->legs); i-- > 0;) {
        const ft_leg *later = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (later->allocation == newest)
            return false;
        if (later->first_frame < newest->asked_frame)
            break;
    }
    return true;
}

/* The channel was released, or its call has ended or long been silent, and the device has allocated
 * since. */
static bool
is_given_up(const packet_info *pinfo, const ft_leg *leg, const ft_call *call)
{
    const nstime_t now = ft_steady(pinfo);

    if (!ft_call_is_over(pinfo, call))
        return ft_seconds(&call->last_time, &now) > ANEW_AFTER_S &&
               has_next_allocation(leg, call->last_frame);
    if (leg->state == FT_CHANNEL_RELEASED && leg->release_frame)
        return ft_seconds(&leg->release_time, &now) > UNDER_WAY_S &&
               has_next_allocation(leg, leg->release_frame);
    return call->end_frame && ft_seconds(&call->over_time, &now) > UNDER_WAY_S &&
           has_next_allocation(leg, call->end_frame);
}

static bool
is_bound_anew(const packet_info *pinfo, const ft_leg *leg)
{
    const nstime_t now = ft_steady(pinfo);
    const uint32_t frame = ft_frame_id(pinfo);

    if (!ft_learning(pinfo) || ft_seconds(&leg->media_time, &now) <= UNDER_WAY_S)
        return false;
    const ft_call *call = ft_call_as_of(ft_call_of_leg(leg, frame), frame);
    if (!call)
        return false;
    if (is_given_up(pinfo, leg, call))
        return true;
    if (!ft_call_is_over(pinfo, call) || ft_seconds(&leg->media_time, &now) <= ANEW_AFTER_S)
        return false;
    return (ft_seconds(&call->last_time, &now) > FT_QUIET_END_S && !ft_steady_doubted()) ||
           (leg->state == FT_CHANNEL_RELEASED && leg->release_frame &&
            ft_seconds(&leg->release_time, &now) > ANEW_AFTER_S);
}

ft_leg *
ft_channel_leg(packet_info *pinfo, ft_flow *flow, uint16_t channel)
{
    ft_leg *leg = ft_leg_find(pinfo, flow, channel);
    ft_leg *anew = leg && is_bound_anew(pinfo, leg) ? ft_leg_new(pinfo, flow, channel, NULL) : NULL;

    return anew ? anew : leg;
}

/* The client is learnt once a flow: this runs for each packet of media. */
void
ft_channel_used(packet_info *pinfo, ft_leg *leg)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !ft_learning(pinfo))
        return;
    guess_server(pinfo, packet->flow);
    if (leg)
        adopt_channel(packet, leg);
    if (!leg || packet->flow->client_learnt)
        return;
    ft_device_learn(pinfo, ft_flow_client(packet->flow));
    packet->flow->client_learnt = true;
}

/* The relay never answered the release; by now the device has given it up. Without this a release
 * whose answer wasn't captured would let a channel be used for ever. */
static void
time_out_release(const packet_info *pinfo, ft_leg *leg)
{
    const nstime_t now = ft_steady(pinfo);

    if (leg->state == FT_CHANNEL_RELEASING &&
        ft_seconds(&leg->release_time, &now) > RELEASE_TIMEOUT_S)
        ft_channel_step(&leg->state, FT_CHANNEL_RELEASE_DONE);
}

/* A relay of today has no bind: its first packet shows that it is there. */
static void
judge_modern_relay(packet_info *pinfo, const ft_packet *packet)
{
    if (packet->generation == FT_MODERN && packet->path == FT_PATH_RELAY && packet->call &&
        !packet->leg->ready) {
        packet->leg->ready = true;
        ft_event_add(pinfo, FT_EVENT_RELAY_READY, 0, "First packet in the relay's channel");
    }
}

/* Another call than the one that gave the channel up is in it: the number was bound anew, and the
 * capture missed that. */
static bool
rebind(packet_info *pinfo, ft_packet *packet)
{
    const ft_leg *leg = packet->leg;

    if (leg->state != FT_CHANNEL_RELEASED || !packet->call)
        return false;
    const ft_call *before = ft_call_as_of(ft_call_of_leg(leg, leg->release_frame), packet->frame);
    if (!before || packet->call == before)
        return false;
    ft_leg *anew = ft_leg_new(pinfo, packet->flow, leg->channel, NULL);
    if (anew) {
        packet->leg = anew;
        ft_call_put(pinfo, packet->call, true);
    }
    return true;
}

/* Where the relay delivers so long after a release, that was of another allocation. */
static ft_channel_input
input_of_data(packet_info *pinfo, const ft_packet *packet)
{
    const nstime_t now = ft_steady(pinfo);

    if (ft_flow_is_uplink(packet->flow, pinfo))
        return FT_CHANNEL_DATA_UP;
    return packet->leg->release_frame && ft_seconds(&packet->leg->release_time, &now) > UNDER_WAY_S
               ? FT_CHANNEL_DATA_LATER
               : FT_CHANNEL_DATA_DOWN;
}

void
ft_channel_judge(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);
    ft_leg *leg = packet ? packet->leg : NULL;

    if (!leg || !ft_learning(pinfo) || packet->seen_before)
        return;
    if (!leg->channel) {
        judge_modern_relay(pinfo, packet);
        return;
    }
    time_out_release(pinfo, leg);
    if (rebind(pinfo, packet))
        return;
    const ft_channel_input input = input_of_data(pinfo, packet);
    if (input == FT_CHANNEL_DATA_LATER && leg->state == FT_CHANNEL_RELEASED)
        keep_allocation(leg);
    switch (ft_channel_step(&leg->state, input)) {
    case FT_CHANNEL_EARLY: /* the answer may be among what wasn't captured */
        if (!ft_flow_heard(packet->flow, packet->flow->server))
            break;
        ft_event_add(pinfo, FT_EVENT_EARLY_CHANNEL_DATA, leg->setup_frame,
                     "Channel 0x%04x is used before the answer to its bind in frame %u",
                     leg->channel, ft_frame_number(leg->setup_frame));
        break;
    case FT_CHANNEL_USED_AFTER:
        ft_event_add(pinfo, FT_EVENT_RELEASED_CHANNEL_USED, leg->release_frame,
                     "Channel 0x%04x is used though frame %u released it", leg->channel,
                     ft_frame_number(leg->release_frame));
        break;
    case FT_CHANNEL_FINE:
        break;
    }
}

/* ---- the relay's own words ---- */

/* They start no call. What the capture has cut off isn't told. The cellular capture of 2023 has
 * one (601); that of an idle client is published, and known by its reason alone. Told apart by
 * code and reason: 500 isn't a participant who is gone. */
static void
learn_relay_error(packet_info *pinfo, ft_packet *packet, const ft_stun *stun)
{
    const char *reason = stun->error_reason ? stun->error_reason : "";

    packet->begins_no_call = true;
    packet->call = ft_call_of_way(pinfo);
    if (stun->error_code == 0)
        return;
    if (strcmp(reason, "Idle Client") == 0)
        ft_event_add(pinfo, FT_EVENT_RELAY_IDLE, 0, "The relay reports error %u: %s",
                     stun->error_code, reason);
    else if (stun->error_code == PARTICIPANT_GONE)
        ft_event_add(pinfo, FT_EVENT_PARTICIPANT_GONE, 0,
                     "The relay can't find the participant (%u)", stun->error_code);
    else
        ft_event_add(pinfo, FT_EVENT_RELAY_ERROR, 0, "The relay reports error %u%s%s",
                     stun->error_code, *reason ? ": " : "", reason);
}

void
ft_stun_learn(packet_info *pinfo, const ft_stun *stun, const ft_exchange *exchange,
              bool is_retransmission)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !ft_learning(pinfo))
        return;
    if (stun->method == STUN_RELAY_ERROR)
        learn_relay_error(pinfo, packet, stun);
    else if (stun->method != STUN_BINDING)
        learn_turn(pinfo, packet, stun, (ft_exchange *)exchange, is_retransmission);
    else if (stun->message_class == STUN_REQUEST)
        ft_check_learn(pinfo, packet, stun, (ft_exchange *)exchange, is_retransmission);
    else if (stun->message_class != STUN_INDICATION)
        ft_check_answer_learn(pinfo, packet, stun, exchange);
}
