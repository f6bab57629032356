/* calls/inquiry.c
 * What speaks for a call and against it, where a packet may be of it: what a clue means in a call.
 *
 *    equal       a clue or an address of the packet's is the call's         --+
 *    different   one contradicts: another Call-ID, tie-breaker, key ...       +--> calls/judge.h
 *    elsewhere, over, only ...                                              --+
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/inquiry.h"

#include <float.h>

#include "calls/guess.h"
#include "calls/mark.h"
#include "calls/witness.h"

/* Media of a way silent for so long: another key with another SSRC is another call's. Chosen, since
 * no capture shows either case: less would cut a call in two where keys change in a pause (in
 * 2026 they do every 605 s, as published), more would make one call of it and its redial. */
#define KEY_QUIET_S   20

#define MOST_CHANNELS 16 /* of a 5-tuple, the newest, that are looked through for a call's */

static bool
is_among(const ft_inquiry *q, const ft_end_calls *known, const ft_call *call)
{
    for (unsigned i = 0; known && i < FT_CALLS_OF_END && known->calls[i]; i++) {
        if (ft_call_as_of(known->calls[i], q->packet->frame) == call)
            return true;
    }
    return false;
}

/* Which of the packet's addresses are the call's. Either end may be the device: both devices of
 * a call on one network are in the file. */
uint32_t
ft_equal_ends(const ft_inquiry *q, const ft_call *call)
{
    uint32_t equal = 0;

    if (is_among(q, q->of_device->device, call) || is_among(q, q->of_other->device, call))
        equal |= FT_CLUE_BIT(FT_CLUE_DEVICE);
    if (is_among(q, q->of_device->peer, call) || is_among(q, q->of_other->peer, call))
        equal |= FT_CLUE_BIT(FT_CLUE_PEER);
    if (is_among(q, q->of_device->offer, call) || is_among(q, q->of_other->offer, call))
        equal |= FT_CLUE_BIT(FT_CLUE_OFFER);
    if (call->generation == FT_MODERN && is_among(q, q->of_host, call))
        equal |= FT_CLUE_BIT(FT_CLUE_HOST);
    return equal;
}

ft_endpoint
ft_who_sends(const ft_inquiry *q)
{
    const ft_endpoint source = ft_source(q->pinfo);

    return q->packet->leg && ft_flow_is_server(q->packet->flow, &source) ? q->packet->leg->peer
                                                                         : source;
}

/* Which of a call's two sides: the one that was seen first, or the other. */
typedef enum { SIDE_UNKNOWN, SIDE_NEAR, SIDE_FAR } call_side;

/* A far end that only a bind or an offer names may be its NAT, or its address at home, so it
 * says nothing of a side. */
static call_side
side_of(const ft_call *call, const ft_endpoint *end)
{
    if (end->addr.type == AT_NONE)
        return SIDE_UNKNOWN;
    if (ft_endpoint_equal(end, &call->local) || ft_endpoint_equal(end, &call->beyond_nat))
        return SIDE_NEAR;
    return call->remote_rank > FT_REMOTE_BOUND && ft_endpoint_equal(end, &call->remote)
               ? SIDE_FAR
               : SIDE_UNKNOWN;
}

/* Who sends to one side is of the other. */
static call_side
side_of_sender(const ft_inquiry *q, const ft_call *call)
{
    const ft_endpoint sender = ft_who_sends(q), receiver = ft_destination(q->pinfo);
    const call_side own = side_of(call, &sender), met = side_of(call, &receiver);

    if (own != SIDE_UNKNOWN || met == SIDE_UNKNOWN)
        return own;
    return met == SIDE_NEAR ? SIDE_FAR : SIDE_NEAR;
}

/* Checks of modern calls have none (96 of 96 in 2023): one that comes on such a call's sockets is
 * of another session, as of a game between the same two. */
bool
ft_has_no_tie_breakers(const ft_call *call)
{
    return call->generation == FT_MODERN && call->tie_breaker_count == 0 && call->dialogs == 0;
}

/* A call has two ICE agents, and each has one tie-breaker; so a third, or a second one of the
 * same side, is the next call's, even two seconds after a BYE on the same port.
 * Where the side isn't known, it may be the other agent's. */
static bool
has_another_tie_breaker(const ft_inquiry *q, const ft_call *call)
{
    const ft_endpoint sender = ft_who_sends(q);
    const call_side side = side_of_sender(q, call);

    if (call->tie_breaker_count >= FT_MAX_AGENTS || ft_has_no_tie_breakers(call))
        return true;
    for (unsigned i = 0; i < call->tie_breaker_count; i++) {
        const ft_endpoint *known = &call->tie_breakers[i].sender;
        if (sender.addr.type != AT_NONE && ft_endpoint_equal(known, &sender))
            return true;
        if (side != SIDE_UNKNOWN && side_of(call, known) == side)
            return true;
    }
    return false;
}

/* Another key where an SSRC goes on is a new key of the same call (keys are renewed about every
 * ten minutes, and where somebody joins or leaves), and so is that of one more participant. It
 * is another call's where it comes with another SSRC on another way, or on a way whose media
 * ended. In both calls of 2023 each sender keeps one key. */
static bool
has_another_key(const ft_inquiry *q, const ft_call *call, uint32_t equal)
{
    const ft_leg *leg = q->packet->leg;

    if (call->keys == 0 || (equal & FT_CLUE_BIT(FT_CLUE_SSRC)))
        return false;
    if (q->of_leg != call || leg->renewed)
        return true;
    if (nstime_is_zero(&leg->media_time)) /* another relay connection, that has shown no key yet */
        return call->media_leg && call->media_leg->flow != leg->flow && leg->flow->server;
    return ft_seconds(&leg->media_time, &q->now) > KEY_QUIET_S;
}

/* Answered in this file, or before it began: a capture from the middle of a call has media
 * alone. */
static bool
is_established(const ft_call *call)
{
    return call->answer_frame || call->was_answered || call->media_leg;
}

/* Whether the call was met in a channel of the packet's 5-tuple, another one than the packet's. A
 * call has one peer behind its relay, so it has one channel there (the reports of 2015). */
static bool
has_channel(const ft_inquiry *q, const ft_call *call)
{
    const ft_flow *flow = q->packet->flow;
    const unsigned end = flow->legs ? wmem_array_get_count(flow->legs) : 0;

    for (unsigned i = end; i-- > (end > MOST_CHANNELS ? end - MOST_CHANNELS : 0);) {
        const ft_leg *leg = *(ft_leg *const *)wmem_array_index(flow->legs, i);
        if (leg != q->packet->leg && leg->channel && leg->state != FT_CHANNEL_RELEASED &&
            ft_call_as_of(ft_call_of_leg(leg, q->packet->frame), q->packet->frame) == call)
            return true;
    }
    return false;
}

/* Nor has it one behind another relay. */
static bool
talks_at_another_relay(const ft_inquiry *q, const ft_call *call)
{
    const ft_leg *leg = call->media_leg;

    return leg && leg->channel && leg->flow != q->packet->flow && leg->flow->server &&
           q->packet->flow->server && ft_endpoint_equal(ft_flow_client(leg->flow), &q->ends.device);
}

/* A device has one allocation a call; the other end's is its own. A call that talks already got
 * along without one, and one that was met in a channel has its own: a new one is the next call's,
 * until a tie-breaker or Call-ID ties them. */
static bool
has_reservation(const ft_inquiry *q, const ft_call *call)
{
    if (is_established(call) || call->dialogs || has_channel(q, call))
        return true;
    for (unsigned i = 0; i < call->reservations; i++) {
        if (ft_endpoint_equal(&call->reserved_by[i], &q->ends.device))
            return true;
    }
    return call->reservations >= FT_MAX_AGENTS;
}

/* What a value that this call doesn't have says against it. A Call-ID more is of another call,
 * unless it is of the INVITE that was sent again after a challenge or a redirection; the rest of
 * the clues tell nothing by being new. */
static bool
contradicts(const ft_inquiry *q, const ft_call *call, ft_clue what, uint32_t equal)
{
    switch (what) {
    case FT_CLUE_CALL_ID:
        return call->dialogs > 0 && !call->invites_again;
    case FT_CLUE_TIE_BREAKER:
        return has_another_tie_breaker(q, call);
    case FT_CLUE_KEY:
        return has_another_key(q, call, equal);
    case FT_CLUE_RESERVATION:
        return has_reservation(q, call);
    default:
        return false;
    }
}

/* Near the other one, on a circle of so many numbers. */
static bool
is_about(uint32_t one, uint32_t other, uint32_t most, uint32_t mask)
{
    return ((one - other + most) & mask) <= 2 * most;
}

/* while an SSRC is its sender's: of the fastest clock, that of pictures */
#define MOST_TICKS (30 * 90000)

/* Media comes late after a call's end, but its numbers go on; the next call's sender may have the
 * same SSRC, with numbers of its own. */
static bool
is_of_next_call(const ft_inquiry *q, const ft_call *call, const ft_packet_clue *clue)
{
    uint64_t value;

    if (clue->what != FT_CLUE_SSRC || !ft_call_is_over(q->pinfo, call))
        return false;
    memcpy(&value, clue->bytes, sizeof value);
    const ft_stream *stream = ft_call_any_stream(call, (uint32_t)value);
    return stream &&
           !(is_about(q->packet->rtp_sequence, ft_sequence_latest(&stream->sequence),
                      FT_SEQUENCE_MAX_DROPOUT, UINT16_MAX) &&
             is_about(q->packet->rtp_timestamp, stream->timestamp, MOST_TICKS, UINT32_MAX));
}

static void
compare_clues(const ft_inquiry *q, const ft_call *call, ft_trial *trial)
{
    const ft_packet *packet = q->packet;

    if (packet->told_call == call)
        trial->equal |= FT_CLUE_BIT(FT_CLUE_REQUEST);
    for (unsigned i = 0; i < packet->clue_count; i++) {
        const ft_value_owner *owner = ft_owner_of(&packet->clues[i]);
        if (owner && ft_call_as_of(owner->call, packet->frame) == call &&
            !is_of_next_call(q, call, &packet->clues[i]))
            trial->equal |= FT_CLUE_BIT(packet->clues[i].what);
    }
    for (unsigned i = 0; i < packet->clue_count; i++) {
        const ft_clue what = (ft_clue)packet->clues[i].what;
        if (!(trial->equal & FT_CLUE_BIT(what)) && contradicts(q, call, what, trial->equal))
            trial->different |= FT_CLUE_BIT(what);
    }
}

/* The hash of the modern relay's address that the packet goes to or comes from; or 0. */
uint32_t
ft_modern_relay(const ft_inquiry *q)
{
    const ft_packet *packet = q->packet;

    return packet->generation == FT_MODERN &&
                   (packet->path == FT_PATH_SERVER || packet->path == FT_PATH_RELAY)
               ? ft_address_hash(&q->ends.other.addr)
               : 0;
}

/* Which of the addresses tell more than that it is the same device: a far end that the call met, on
 * whatever port, or whose link messages named it, be it a private address, which joins nothing by
 * itself; and a modern call's relay (each device of 2023 went to one address, on several ports of
 * it). */
static unsigned
nearness(const ft_inquiry *q, const ft_call *call, uint32_t equal)
{
    const uint32_t far_ends = FT_CLUE_BIT(FT_CLUE_PEER) | FT_CLUE_BIT(FT_CLUE_OFFER);
    const uint32_t relay = ft_modern_relay(q);

    if (relay)
        return call->relay == relay;
    return (equal & far_ends) || is_among(q, q->of_other->home, call) ||
           (!ft_is_private(&q->ends.other.addr) &&
            addresses_equal(&q->ends.other.addr, &call->remote.addr));
}

/* Whether no other running call has an address of the packet's, or it has less of them. Else
 * addresses don't tell: one phone may have two calls through one relay on one port. */
static bool
is_only(const ft_inquiry *q, const ft_call *call, uint32_t equal_ends)
{
    for (unsigned i = 0; i < q->count; i++) {
        const ft_call *other = q->candidates[i];
        if (other == call || ft_call_is_over(q->pinfo, other) || ft_is_left(q, other) ||
            ft_call_other_generation(q->packet, other))
            continue;
        const uint32_t equal = ft_equal_ends(q, other);
        if (equal && nearness(q, other, equal) >= nearness(q, call, equal_ends))
            return false;
    }
    return true;
}

bool
ft_has_clue(const ft_packet *packet, ft_clue what)
{
    for (unsigned i = 0; i < packet->clue_count; i++) {
        if (packet->clues[i].what == what)
            return true;
    }
    return false;
}

/* Media that no signalling announced, of a new SSRC, is of the two that it runs between. */
static bool
is_of_others(const ft_inquiry *q, const ft_call *call)
{
    return !addresses_equal(&q->ends.other.addr, &call->remote.addr) ||
           !ft_call_is_device(call, &q->ends.device.addr);
}

/* A call takes so long at least from its first packet to its first media: it is set up, rings, and
 * somebody answers. Chosen, far below any of 2015 and 2023. */
#define FIRST_MEDIA_S 1

/* Media needs a pair that was checked, or a relay, and somebody who answered: a call of which
 * nothing but unanswered checks was seen, or that just began with an allocation, has none yet, so
 * what runs on another way began before the capture. */
static bool
has_no_media_yet(const ft_inquiry *q, const ft_call *call)
{
    if (call->generation == FT_MODERN || (call->seen & FT_SEEN_TALK))
        return false;
    if (call->seen & FT_SEEN_SETUP)
        return call->reservations && ft_seconds(&call->begin_time, &q->now) < FIRST_MEDIA_S;
    return call->tie_breaker_count > 0 && !(call->told & UINT64_C(1) << FT_EVENT_DIRECT_READY);
}

static bool
has_public_remote(const ft_call *call)
{
    return call->remote.addr.type != AT_NONE && !ft_is_private(&call->remote.addr);
}

/* Each ICE agent is met at one public address as a rule, so checks with another one are of another
 * call that is being set up. Where they are this one's after all, the tie-breakers tell. */
static bool
is_checked_elsewhere(const ft_inquiry *q, const ft_call *call)
{
    return q->packet->kind == FT_KIND_STUN && q->packet->generation == FT_LEGACY &&
           q->packet->path == FT_PATH_DIRECT && (call->was_met || has_public_remote(call)) &&
           !ft_is_private(&q->ends.other.addr) && !is_among(q, q->of_other->peer, call) &&
           !addresses_equal(&q->ends.other.addr, &call->remote.addr);
}

/* Through a relay the far end is known by SIP's URIs or by the bind: what goes directly to somebody
 * else, and says nothing that the call has, isn't its own. */
static bool
is_with_another(const ft_inquiry *q, const ft_call *call)
{
    return call->generation != FT_MODERN && has_public_remote(call) &&
           !ft_is_private(&q->ends.other.addr) &&
           !addresses_equal(&q->ends.other.addr, &call->remote.addr) &&
           !is_among(q, q->of_other->peer, call) && !is_among(q, q->of_other->offer, call);
}

/* SIP goes the way that media goes. Of a call met in a relay's channel, whose far end nothing named
 * and of which nothing went directly so far, it doesn't come directly. */
static bool
is_sip_of_another(const ft_inquiry *q, const ft_call *call)
{
    return q->packet->kind == FT_KIND_SIP && !q->of_leg && call->remote.addr.type == AT_NONE &&
           call->media_leg && call->media_leg->channel && nstime_is_zero(&call->direct_time);
}

/* A modern call checks further candidates of its far end all the while (both of 2023); the next one
 * opens a connection to a relay before it checks anything. */
static bool
is_late_candidate(const ft_inquiry *q, const ft_call *call)
{
    return q->packet->generation == FT_MODERN && q->packet->kind == FT_KIND_STUN &&
           call->generation == FT_MODERN && (call->keys || call->media_leg) &&
           !ft_guess_waits(q->pinfo, call);
}

/* A call that goes on, with a far end that is known, doesn't set up ways to others: call waiting
 * does. Where neither its far end nor its agents are known (the capture begins in the middle),
 * nothing tells whose checks these are. A third party's INVITE and checks come to the port on
 * which the call's media runs. */
static bool
is_elsewhere(const ft_inquiry *q, const ft_call *call)
{
    if (q->packet->kind == FT_KIND_RTP && !q->ends.other_is_server && has_no_media_yet(q, call))
        return true;
    if (!q->of_leg && q->packet->leg->channel &&
        (has_channel(q, call) || talks_at_another_relay(q, call)))
        return true;
    if (q->ends.other_is_server)
        return false;
    if (!is_established(call))
        return is_checked_elsewhere(q, call);
    if (q->packet->kind == FT_KIND_RTP && call->dialogs == 0 && call->tie_breaker_count == 0 &&
        (call->remote_rank == FT_REMOTE_SENT_TO || call->remote_rank == FT_REMOTE_MET))
        return is_of_others(q, call);
    if (call->remote_rank <= FT_REMOTE_BOUND &&
        (is_with_another(q, call) || is_sip_of_another(q, call)))
        return true;
    if (call->remote_rank <= FT_REMOTE_BOUND)
        return call->tie_breaker_count == 0 && ft_has_clue(q->packet, FT_CLUE_TIE_BREAKER);
    if (is_late_candidate(q, call))
        return false;
    return !addresses_equal(&q->ends.other.addr, &call->remote.addr) &&
           !is_among(q, q->of_other->peer, call); /* it was checked before */
}

/* Of a legacy call not only what begins one tells where its far end is: a check's answer, or SIP,
 * whose request wasn't captured, says no less, nor does whatever is the first in a channel. */
static bool
shows_far_end(const ft_inquiry *q)
{
    const ft_packet *packet = q->packet;

    if (q->starts)
        return true;
    if (packet->told_call || packet->generation != FT_LEGACY)
        return false;
    if (packet->path == FT_PATH_DIRECT)
        return packet->kind == FT_KIND_STUN || packet->kind == FT_KIND_SIP;
    return packet->leg->channel && !q->of_leg;
}

/* SIP in a channel whose bind wasn't captured names its far end (calls/dialog.c). Two calls were
 * being set up when such a capture began: the other one's checks go to somebody else. */
static bool
names_another(const ft_inquiry *q, const ft_call *call)
{
    const ft_endpoint *named = &q->packet->named;

    return named->addr.type != AT_NONE && call->was_met &&
           !addresses_equal(&named->addr, &call->remote.addr) &&
           !is_among(q, ft_calls_of_end(q->pinfo, FT_CLUE_PEER, named), call) &&
           !is_among(q, ft_calls_of_end(q->pinfo, FT_CLUE_OFFER, named), call);
}

/* As the media says that was seen at this device so far. A capture made on an iPhone gets its
 * packets about once a second (2023: 38 bursts in 37 s), so shorter pauses can't be told. */
static bool
comes_in_batches(const ft_inquiry *q)
{
    return ft_clock_is_batched_at(&q->ends.device.addr);
}

/* Each call of a device may check the peer's address at home, and many homes have the same one. */
static bool
may_be_others(const ft_inquiry *q, const ft_call *call)
{
    const ft_packet *packet = q->packet;

    if (packet->generation != FT_MODERN || packet->kind != FT_KIND_STUN ||
        packet->path != FT_PATH_DIRECT || !nstime_is_zero(&packet->leg->media_time))
        return false;
    for (unsigned i = 0; i < q->count; i++) {
        const ft_call *other = q->candidates[i];
        if (other != call && !ft_call_is_over(q->pinfo, other) &&
            ft_seconds(&other->last_time, &q->now) <= FT_ALIVE_S && ft_equal_ends(q, other) &&
            !ft_is_left(q, other))
            return true;
    }
    return false;
}

/* Media of an SSRC, or a check of a link, that nobody has. Since 2026 most media says no more of
 * its key than how often it has rolled (facts of 2026, in docs/protocol.md). */
static bool
is_fresh(const ft_inquiry *q)
{
    const ft_packet *packet = q->packet;
    const ft_clue what = packet->kind == FT_KIND_RTP ? FT_CLUE_SSRC : FT_CLUE_LINK_ID;

    if ((packet->kind != FT_KIND_RTP && packet->kind != FT_KIND_STUN) || packet->told_call ||
        packet->generation != FT_MODERN || !ft_has_clue(packet, what))
        return false;
    for (unsigned i = 0; i < packet->clue_count; i++) {
        if (packet->clues[i].what == FT_CLUE_KEY || ft_owner_of(&packet->clues[i]))
            return false;
    }
    return true;
}

/* On any way. */
static double
media_age(const ft_inquiry *q, const ft_call *call)
{
    const double age = call->media_leg ? ft_seconds(&call->media_leg->media_time, &q->now) : 0;

    return nstime_is_zero(&call->direct_time) ? age
                                              : MIN(age, ft_seconds(&call->direct_time, &q->now));
}

/* As short a pause as the capture's clock can tell. */
static bool
has_paused(const ft_inquiry *q, const ft_call *call)
{
    ft_stream **streams = (ft_stream **)wmem_array_get_raw(call->streams);
    double age = wmem_array_get_count(call->streams) ? DBL_MAX : media_age(q, call);

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++)
        age = MIN(age, ft_seconds(&streams[i]->heard_time, &q->now));
    return age > ft_shortest_pause(comes_in_batches(q));
}

/* The way to a relay that the sender used last, or NULL. */
static const ft_leg *
relay_way(const ft_stream *stream)
{
    for (unsigned i = stream->way_count; i-- > 0;) {
        if (stream->ways[i] && stream->ways[i]->flow->server)
            return stream->ways[i];
    }
    return NULL;
}

/* Whether a way to the relay that the call's media used is another's by now, or was set up anew. */
static bool
has_lost_relay(const ft_inquiry *q, const ft_call *call)
{
    const uint32_t frame = q->packet->frame;
    ft_stream **streams = (ft_stream **)wmem_array_get_raw(call->streams);

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_leg *leg = relay_way(streams[i]);
        if (leg && (leg->renewed || ft_call_as_of(ft_call_of_leg(leg, frame), frame) != call))
            return true;
    }
    return false;
}

/* Whether the device began another call, at a relay, when this one had fallen silent. */
static bool
has_successor(const ft_inquiry *q, const ft_call *call)
{
    for (unsigned i = 0; i < q->count; i++) {
        const ft_call *other = q->candidates[i];
        if (other != call && other->generation == FT_MODERN && other->relay_seen &&
            other->first_frame > call->last_frame && !ft_call_is_over(q->pinfo, other) &&
            ft_endpoint_equal(&other->local, &call->local))
            return true;
    }
    return false;
}

/* A device has one relay connection on a port. Where that is another call's by now, or was set up
 * anew and hasn't shown whose it is, and the call's media is silent, there may be a next call: a
 * call that goes on has its senders, and its links. */
bool
ft_is_left(const ft_inquiry *q, const ft_call *call)
{
    return call->generation == FT_MODERN && call->media_leg && has_paused(q, call) &&
           (ft_guess_waits(q->pinfo, call) || has_lost_relay(q, call) || has_successor(q, call));
}

/* A modern call that was hung up sends nothing under new keys. (One that gave its direct path up
 * for the relay may, as a group that somebody joins has new ones, but without a pause.) */
static bool
has_next_key(const ft_inquiry *q, const ft_call *call)
{
    const ft_packet *packet = q->packet;
    bool is_new = false;

    if (call->generation != FT_MODERN || !call->end_frame || !call->media_leg)
        return false;
    for (unsigned i = 0; i < packet->clue_count; i++)
        is_new |= packet->clues[i].what == FT_CLUE_KEY && !ft_owner_of(&packet->clues[i]);
    return is_new && has_paused(q, call);
}

/* A BYE that wasn't answered may not have arrived: the other side goes on checking. */
static bool
has_missed_bye(const ft_inquiry *q, const ft_call *call)
{
    return ft_has_clue(q->packet, FT_CLUE_TIE_BREAKER) && call->outcome == FT_OUTCOME_HUNG_UP &&
           !call->bye_answer_frame && ft_witness_ended_by(call, &q->pinfo->net_dst);
}

/* Nothing comes from a socket that was closed, and no answer to what was asked before a legacy
 * call's end. (Its candidates would be the call's.) */
static bool
has_short_tail(const ft_inquiry *q, const ft_call *call)
{
    return call->end_frame &&
           (call->generation == FT_MODERN ||
            (ft_has_clue(q->packet, FT_CLUE_CANDIDATE) && !q->packet->told_call));
}

/* A tie-breaker that nobody has, where nobody answered so far and nothing was said for longer than
 * a call's set-up pauses (checks: 2.25 s at most, 2015): somebody tries again. */
static bool
is_tried_again(const ft_inquiry *q, const ft_call *call)
{
    return ft_has_clue(q->packet, FT_CLUE_TIE_BREAKER) && !is_established(call) &&
           ft_seconds(&call->heard_time, &q->now) > FT_ALIVE_S &&
           ft_seconds(&call->device_time, &q->now) > FT_ALIVE_S;
}

/* Most calls that are tried differ by a clue, so how they stand is looked at last. */
ft_judgement
ft_try_call(const ft_inquiry *q, const ft_call *call)
{
    ft_trial trial = { .equal = ft_equal_ends(q, call),
                       .age = ft_seconds(&call->last_time, &q->now) };
    ft_judgement told;

    compare_clues(q, call, &trial);
    if (ft_judge_clues(&trial, &told))
        return told;
    trial.on_leg = q->of_leg == call;
    trial.starts = q->starts;
    trial.may_be_others = trial.on_leg && may_be_others(q, call);
    trial.renews = q->packet->renews;
    trial.other_generation = ft_call_other_generation(q->packet, call);
    trial.next_key = has_next_key(q, call);
    trial.talked = call->media_leg != NULL;
    trial.fresh = is_fresh(q);
    trial.new_sender = trial.fresh && q->packet->kind == FT_KIND_RTP && q->packet->leg->renewed;
    trial.left = trial.fresh && ft_is_left(q, call);
    trial.media_age = media_age(q, call);
    trial.batched = q->packet->leg->renewed && comes_in_batches(q);
    trial.elsewhere = shows_far_end(q) && is_elsewhere(q, call);
    trial.shut = has_short_tail(q, call);
    trial.names_another = names_another(q, call);
    trial.over = ft_call_is_over(q->pinfo, call) &&
                 !(q->packet->clue_count == 0 && ft_call_seen_later(q->pinfo, call));
    trial.missed_bye = has_missed_bye(q, call);
    trial.again = is_tried_again(q, call);
    trial.far_age = ft_seconds(&call->heard_time, &q->now);
    trial.only = trial.equal && is_only(q, call, trial.equal);
    return ft_judge(&trial);
}
