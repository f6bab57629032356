/* calls/resolve.c
 * Which call a packet is of, from its clues (Call-ID, tie-breaker, key ...), from the call that
 * its way was of, and from the calls that its ends are known of:
 *
 *    clues of the packet --+
 *    its way's call -------+--> the calls that may be meant --> the judge, one by one
 *    its ends' calls ------+                                  --> the strongest SAME, or a new call
 *
 * Addresses come last: as a rule a device has the same port in each of its calls (16402, later
 * 16393), all phones behind a NAT have one address, and 192.168.1.5 is an address in many homes.
 * The order of reasons is the judge's (calls/judge.c), what a clue means in a call is the inquiry's
 * (calls/inquiry.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/resolve.h"

#include "calls/guess.h"
#include "calls/inquiry.h"
#include "calls/key.h"
#include "calls/limits.h"
#include "calls/mark.h"
#include "calls/preparation.h"

/* ---- clues of the packet in hand ---- */

static inline bool
is_handed_in(const ft_packet *packet, ft_clue what, const void *bytes, size_t length)
{
    for (unsigned i = 0; i < packet->clue_count; i++) {
        const ft_packet_clue *clue = &packet->clues[i];
        if (clue->what == what && memcmp(clue->bytes, bytes, length) == 0)
            return true;
    }
    return false;
}

/* What all packets of a datagram have in common is one clue. Inline, as nearly all have eight
 * bytes. */
static inline void
hand_in(packet_info *pinfo, ft_clue what, const void *bytes, size_t length)
{
    static const uint8_t zeros[FT_CLUE_LENGTH] = { 0 };
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !ft_learning(pinfo) || memcmp(bytes, zeros, length) == 0 ||
        is_handed_in(packet, what, bytes, length))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_CLUES_OF_PACKET, packet->clue_count))
        return;

    ft_packet_clue *clue = &packet->clues[packet->clue_count++];
    memset(clue->bytes, 0, sizeof clue->bytes);
    memcpy(clue->bytes, bytes, length);
    clue->what = what;
    packet->is_judged = false;
}

void
ft_clue_number(packet_info *pinfo, ft_clue what, uint64_t value)
{
    hand_in(pinfo, what, &value, sizeof value);
}

void
ft_clue_bytes(packet_info *pinfo, ft_clue what, const void *bytes, unsigned length)
{
    if (length == sizeof(uint64_t))
        hand_in(pinfo, what, bytes, sizeof(uint64_t));
    else
        hand_in(pinfo, what, bytes, MIN(length, FT_CLUE_LENGTH));
}

void
ft_clue_call(packet_info *pinfo, ft_call *call)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !call || !ft_learning(pinfo))
        return;
    packet->told_call = (ft_call *)ft_call_as_of(call, packet->frame);
    packet->is_judged = false;
}

/* Whether a call that is known of this end was its own: the far end of a call is known, too. */
static bool
was_local(const ft_end_calls *known, const ft_endpoint *end)
{
    for (unsigned i = 0; known && i < FT_CALLS_OF_END && known->calls[i]; i++) {
        if (ft_endpoint_equal(&known->calls[i]->local, end) ||
            ft_endpoint_equal(&known->calls[i]->beyond_nat, end))
            return true;
    }
    return false;
}

/* How much an address is of one's own network: a carrier's NAT shows the peer by one of RFC 6598,
 * behind which the device has one of its own. */
static unsigned
privacy(const ft_endpoint *end)
{
    return ft_is_private(&end->addr) ? 1 + !ft_is_shared(&end->addr) : 0;
}

/* On the direct path the device is the end that has a call already, rather one of its own; else
 * the one with a private address, which a far end has only on the same network; else the sender.
 * A port tells nothing here: either end's NAT may have mapped its own. */
static bool
is_device_at(const ft_end_calls *here, const ft_endpoint *end, const ft_end_calls *there,
             const ft_endpoint *other)
{
    const bool local = was_local(here, end);

    if ((here != NULL) != (there != NULL))
        return here != NULL;
    if (local != was_local(there, other))
        return local;
    return privacy(end) > privacy(other);
}

/* A relay's QUIC, before its own header shows there: what runs between one of its ports and
 * another one's. */
static bool
is_quic_relay(const ft_packet *packet, uint32_t port, uint32_t other_port)
{
    return packet->kind == FT_KIND_QUIC && packet->path == FT_PATH_SERVER &&
           ft_is_server_port(port) && !ft_is_server_port(other_port);
}

/* A capture without addresses of the link is made on the device as a rule (rvi, 2023): another
 * address that connects to the call's relay is the device's second interface. Elsewhere a relay
 * is many devices'. */
static bool
shows_one_device(const packet_info *pinfo)
{
    return pinfo->dl_src.type == AT_NONE;
}

/* The relay's end is known by what was said there, so the other one is the device's, whoever
 * sends first: a capture may begin with the relay's packet, or have the first two swapped. */
static void
find_ends(ft_inquiry *q)
{
    static const ft_calls_known nobodys;
    const packet_info *pinfo = q->pinfo;
    const ft_packet *packet = q->packet;
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const bool from_server = ft_flow_is_server(packet->flow, &source) ||
                             is_quic_relay(packet, pinfo->srcport, pinfo->destport),
               to_server = ft_flow_is_server(packet->flow, &destination) ||
                           (is_quic_relay(packet, pinfo->destport, pinfo->srcport) &&
                            !shows_one_device(pinfo));
    const ft_calls_known *of_source = from_server ? &nobodys : ft_calls_known_of(pinfo, &source),
                         *of_destination = to_server && !from_server
                                               ? &nobodys
                                               : ft_calls_known_of(pinfo, &destination);

    if (from_server || (!to_server && is_device_at(of_destination->device, &destination,
                                                   of_source->device, &source))) {
        q->ends = (ft_packet_ends){ destination, source, from_server };
        q->of_device = of_destination;
        q->of_other = of_source;
    } else {
        q->ends = (ft_packet_ends){ source, destination, to_server };
        q->of_device = of_source;
        q->of_other = of_destination;
    }
}

/* ---- the calls that may be meant ---- */

static void
add_candidate(ft_inquiry *q, ft_call *call)
{
    call = (ft_call *)ft_call_as_of(call, q->packet->frame);
    if (!call || q->count >= FT_MAX_CALLS_TRIED || ft_call_strange(q->packet, call))
        return;
    for (unsigned i = 0; i < q->count; i++) {
        if (q->candidates[i] == call)
            return;
    }
    q->candidates[q->count++] = call;
}

static void
add_calls(ft_inquiry *q, const ft_end_calls *known)
{
    for (unsigned i = 0; known && i < FT_CALLS_OF_END; i++)
        add_candidate(q, known->calls[i]);
}

/* In the order of what they say, as no more than FT_MAX_CALLS_TRIED are looked at. A modern call
 * has a socket for each interface and connection (16393, 16394 and 16396 in the captures of
 * 2023), so its device is asked for on any port; a legacy one has a single port for all. */
static void
find_candidates(ft_inquiry *q)
{
    const ft_endpoint host = ft_without_port(&q->ends.device);

    if (q->packet->generation == FT_MODERN)
        q->of_host = ft_calls_of_end(q->pinfo, FT_CLUE_HOST, &host);
    add_candidate(q, q->packet->told_call);
    add_candidate(q, q->of_leg);
    for (unsigned i = 0; i < q->packet->clue_count; i++) {
        const ft_value_owner *owner = ft_owner_of(&q->packet->clues[i]);
        add_candidate(q, owner ? owner->call : NULL);
    }
    add_calls(q, q->of_device->device);
    add_calls(q, q->of_other->device);
    add_calls(q, q->of_other->peer);
    add_calls(q, q->of_other->offer);
    add_calls(q, q->of_device->peer);
    add_calls(q, q->of_device->offer);
    add_calls(q, q->of_host);
}

/* ---- what follows ---- */

/* A GameKit session is no call's part. Two whole calls are never one: each has a dialog, or two
 * agents, or both senders' keys of its own. */
static bool
may_be_one(const ft_call *one, const ft_call *other)
{
    return !one->no_call_from && !other->no_call_from && !(one->dialogs && other->dialogs) &&
           one->tie_breaker_count + other->tie_breaker_count <= FT_MAX_AGENTS &&
           !(ft_has_no_tie_breakers(one) && other->tie_breaker_count) &&
           !(ft_has_no_tie_breakers(other) && one->tie_breaker_count) &&
           (one->keys < 2 || other->keys < 2) &&
           (one->shown_generation == FT_GENERATION_UNKNOWN ||
            other->shown_generation == FT_GENERATION_UNKNOWN ||
            one->shown_generation == other->shown_generation);
}

/* Beyond the bound both stay, and the way goes where its last clue leads: the chain from a
 * merged call to the one that stays is walked for each packet. */
static ft_call *
merge(packet_info *pinfo, ft_call *one, ft_call *other)
{
    if (!may_be_one(one, other))
        return one;
    if (!ft_has_room(pinfo, FT_LIMIT_MERGES, MAX(one->merges, other->merges)))
        return one;
    return ft_call_merge(pinfo, one, other);
}

/* Requests to a relay, and its answers, share one way, whatever call they are of: it ties
 * nothing. */
static bool
is_common_way(const ft_packet *packet)
{
    return packet->generation == FT_LEGACY && packet->flow->server &&
           packet->leg == &packet->flow->direct;
}

/* A connection to another relay than the call's own was taken for that call's by its device
 * alone. */
static bool
is_to_another_relay(const ft_inquiry *q, const ft_call *call)
{
    const uint32_t relay = ft_modern_relay(q);

    return relay && call->relay && call->relay != relay;
}

/* The packet is of `call` for a strong reason; its way was another's that nothing speaks
 * against: they are one. Where one of both is over, a strong clue isn't enough: two calls one
 * after the other on one way are a redial. */
static ft_call *
reconcile(const ft_inquiry *q, ft_call *call, const ft_judgement *judged, unsigned best)
{
    for (unsigned i = 0; i < q->count; i++) {
        ft_call *met = q->candidates[i];
        if (i == best || met == call || judged[i].verdict != FT_SAME || judged[i].strength < FT_LEG)
            continue;
        if (judged[i].strength == FT_LEG &&
            (is_common_way(q->packet) || is_to_another_relay(q, met)))
            continue;
        if (judged[i].strength == FT_LEG && ft_is_left(q, met) && !ft_is_left(q, call))
            continue;
        if (judged[best].strength < FT_DECIDES &&
            (ft_call_is_over(q->pinfo, call) || ft_call_is_over(q->pinfo, met)))
            continue;
        call = merge(q->pinfo, call, met);
    }
    return call;
}

static void
keep_tie_breaker(const ft_inquiry *q, ft_call *call, const ft_packet_clue *clue, ft_endpoint sender)
{
    if (call->tie_breaker_count >= FT_MAX_AGENTS)
        return;

    ft_tie_breaker *agent = &call->tie_breakers[call->tie_breaker_count++];
    memcpy(&agent->value, clue->bytes, sizeof agent->value);
    agent->sender = ft_endpoint_keep(&sender);
    ft_key_tie_breakers(q->pinfo, call);
}

/* A key is said by media, or beside it: the way is in use. An SSRC goes on, on whatever
 * connection. */
static void
note_media(const ft_inquiry *q, ft_clue what, bool is_new, bool was_anybodys)
{
    if (what == FT_CLUE_KEY) {
        q->packet->leg->renewed = false;
        q->packet->leg->media_time = q->now;
    } else if (what == FT_CLUE_SSRC) {
        q->packet->ssrc_of_another = is_new && was_anybodys;
        if (!is_new)
            q->packet->leg->renewed = false;
    }
}

/* Of a packet whose clues are all the call's already. */
static void
note_media_of_clues(const ft_inquiry *q)
{
    for (unsigned i = 0; i < q->packet->clue_count; i++)
        note_media(q, (ft_clue)q->packet->clues[i].what, false, true);
}

/* What comes before the first sender on a way that was set up anew may be the next call's. */
static bool
waits_for_sender(const ft_packet *packet)
{
    return packet->leg->renewed && !ft_has_clue(packet, FT_CLUE_SSRC) &&
           !ft_has_clue(packet, FT_CLUE_KEY);
}

/* What the packet brought is the call's own from now on. */
static void
keep_clues(const ft_inquiry *q, ft_call *call)
{
    for (unsigned i = 0; i < q->packet->clue_count; i++) {
        const ft_packet_clue *clue = &q->packet->clues[i];
        const ft_value_owner *owner = ft_owner_of(clue);
        const bool is_new = !owner || ft_call_as_of(owner->call, q->packet->frame) != call;
        const bool was_anybodys = owner != NULL;
        if (clue->what == FT_CLUE_PARTICIPANT && waits_for_sender(q->packet))
            continue;
        ft_own(q->pinfo, clue, call);
        note_media(q, (ft_clue)clue->what, is_new, was_anybodys);
        if (!is_new || was_anybodys)
            continue;
        if (clue->what == FT_CLUE_TIE_BREAKER)
            keep_tie_breaker(q, call, clue, ft_who_sends(q));
        call->keys += clue->what == FT_CLUE_KEY;
        if (clue->what == FT_CLUE_KEY || clue->what == FT_CLUE_PARTICIPANT)
            ft_key_bytes(q->pinfo, call,
                         clue->what == FT_CLUE_KEY ? FT_KEY_MKI : FT_KEY_PARTICIPANT, clue->bytes);
        if (clue->what == FT_CLUE_RESERVATION && call->reservations < FT_MAX_AGENTS)
            call->reserved_by[call->reservations++] = ft_endpoint_keep(&q->ends.device);
        if (clue->what == FT_CLUE_CALL_ID) {
            call->dialogs++;
            call->invites_again = false;
        }
    }
}

/* What a connection to a modern relay carries before its first key is tied to its call by
 * addresses alone, unless it is what the call began with. */
static bool
is_open_guess(const ft_packet *packet, const ft_call *call)
{
    return call && call->packets && !ft_has_clue(packet, FT_CLUE_KEY) && ft_guess_is_open(packet);
}

/* Who sends here is here: both devices of a call on one network are known by their own
 * addresses. One that is only sent to may be anybody's namesake. */
static void
keep_ends(const ft_inquiry *q, ft_call *call)
{
    const ft_endpoint host = ft_without_port(&q->ends.device), source = ft_source(q->pinfo);

    ft_set_call_of_known(q->pinfo, q->of_device, FT_CLUE_DEVICE, &q->ends.device, call);
    ft_set_call_of_end(q->pinfo, FT_CLUE_HOST, &host, call);
    ft_call_adopt_preparations(q->pinfo, call, &q->ends.device.addr);
    const uint32_t relay = ft_modern_relay(q);

    if (relay && !is_open_guess(q->packet, call))
        call->relay = relay;
    if (q->ends.other_is_server)
        return;
    if (q->packet->clue_count && ft_endpoint_equal(&source, &q->ends.other))
        ft_set_call_of_known(q->pinfo, q->of_other, FT_CLUE_DEVICE, &q->ends.other, call);
    ft_clue_expect_known(q->pinfo, call, q->of_other, FT_CLUE_PEER, &q->ends.other);
}

/* The call of all ways of a flow, as of now; NULL where there are several, or none. */
static ft_call *
only_call_of(const packet_info *pinfo, const ft_flow *flow)
{
    const uint32_t frame = ft_frame_id(pinfo);
    const ft_call *only = ft_call_as_of(ft_call_of_leg(&flow->direct, frame), frame);

    for (unsigned i = flow->legs ? wmem_array_get_count(flow->legs) : 0; i-- > 0;) {
        const ft_leg *leg = *(ft_leg *const *)wmem_array_index(flow->legs, i);
        const ft_call *call = ft_call_as_of(ft_call_of_leg(leg, frame), frame);
        if (only && call && call != only)
            return NULL;
        only = only ? only : call;
    }
    return (ft_call *)only;
}

/* What each of the two flows began is one call, and the device has both addresses there. */
ft_call *
ft_call_tie(packet_info *pinfo, const ft_flow *flow, const ft_endpoint *device,
            const ft_flow *other, const ft_endpoint *other_device)
{
    ft_call *call = only_call_of(pinfo, flow), *other_call = only_call_of(pinfo, other);
    const ft_endpoint host = ft_without_port(other_device);

    if (!call)
        return NULL;
    if (!addresses_equal(&device->addr, &other_device->addr)) /* else it is no NAT's other side */
        ft_call_has_device(call, device);
    if (other_call && other_call != call)
        call = merge(pinfo, call, other_call);
    ft_set_call_of_end(pinfo, FT_CLUE_DEVICE, other_device, call);
    ft_set_call_of_end(pinfo, FT_CLUE_HOST, &host, call);
    ft_call_adopt_preparations(pinfo, call, &other_device->addr);
    if (call->beyond_nat.addr.type == AT_NONE &&
        addresses_equal(&call->local.addr, &device->addr) &&
        !addresses_equal(&device->addr, &other_device->addr))
        call->beyond_nat = ft_endpoint_keep(other_device);
    return call;
}

/* The latest call that this device had, for call_restarted. */
static ft_call *
latest_of_device(const ft_inquiry *q)
{
    const ft_end_calls *known = q->of_device->device;

    return known ? (ft_call *)ft_call_as_of(known->calls[0], q->packet->frame) : NULL;
}

/* A packet that is of a call that is over leaves its way to the running one. Answers, and what
 * goes by its allocation, say nothing of their way. */
static bool
takes_leg(const ft_inquiry *q, const ft_call *call, ft_judgement judged)
{
    if (!q->of_leg || q->of_leg == call)
        return true;
    if (q->packet->told_call == call && judged.strength == FT_DECIDES)
        return false;
    return !ft_call_is_over(q->pinfo, call) || ft_call_is_over(q->pinfo, q->of_leg);
}

/* Several running calls have the packet's addresses, so nothing tells. What begins a call begins
 * one all the same, and so does a clue that would have decided. Better no number than another
 * call's. */
static bool
is_ambiguous(const ft_inquiry *q)
{
    unsigned running = 0;

    for (unsigned i = 0; i < q->packet->clue_count; i++) {
        if (ft_clue_rows[q->packet->clues[i].what].strength == FT_DECIDES)
            return false;
    }

    for (unsigned i = 0; i < q->count; i++)
        running += !ft_call_is_over(q->pinfo, q->candidates[i]) &&
                   ft_equal_ends(q, q->candidates[i]) != 0 && !ft_is_left(q, q->candidates[i]) &&
                   !ft_call_other_generation(q->packet, q->candidates[i]);
    return running > 1 && !q->starts;
}

/* A 5-tuple that GameKit's messages came on before anything else: its checks are that session's,
 * which has no number. */
static bool
is_of_unseen_game(const ft_inquiry *q)
{
    return !q->of_leg && q->packet->flow->gamekit_frame && !ft_call_of_calls_alone(q->packet);
}

/* ---- an SSRC at many places ---- */

/* A public set of files, said to be FaceTime, has 6,000 5-tuples of one RTP packet each, with four
 * SSRCs in all: a traffic generator's. By its SSRCs it would be one call of thousands of phones,
 * or make ways of a real call its own. */
static bool
is_call_address(const ft_call *call, const address *addr)
{
    ft_stream **streams = (ft_stream **)wmem_array_get_raw(call->streams);

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        if (addresses_equal(&streams[i]->sender.addr, addr))
            return true;
    }
    return ft_call_is_device(call, addr) || addresses_equal(&call->remote.addr, addr);
}

/* It comes on a way that the call hasn't, and one of its ends is a stranger there. */
static bool
is_strange_way(const ft_inquiry *q, const ft_call *call)
{
    return q->of_leg != call && !q->packet->flow->server &&
           !(is_call_address(call, &q->pinfo->src) && is_call_address(call, &q->pinfo->dst));
}

/* Whether an SSRC ties such a way to its call, as the judge says. */
static bool
may_move(const ft_inquiry *q, ft_value_owner *owner, const ft_call *call, uint32_t ssrc)
{
    const ft_stream *stream = ft_call_any_stream(call, ssrc);
    ft_move move = { .beside = q->of_leg && ft_call_any_stream(q->of_leg, ssrc),
                     .heard = stream != NULL,
                     .moves = owner->moves,
                     .moved_age = ft_seconds(&owner->moved_time, &q->now) };

    if (stream) {
        move.packets = stream->packets + stream->copies;
        move.ways = stream->way_count;
        move.repeats =
            move.ways == 1 && ft_sequence_find(&stream->sequence, q->packet->rtp_sequence,
                                               q->packet->rtp_digest) != NULL;
    }
    if (!ft_judge_move(&move))
        return false;
    owner->moves = move.moved_age > FT_MOVES_ARE_NEAR_S ? 1 : owner->moves + 1;
    owner->moved_time = q->now;
    return true;
}

static bool
is_nobodys(const ft_inquiry *q, const ft_packet_clue *clue)
{
    ft_value_owner *owner = clue->what == FT_CLUE_SSRC ? ft_owner_of(clue) : NULL;
    const ft_call *call = owner ? ft_call_as_of(owner->call, q->packet->frame) : NULL;
    uint64_t value;

    if (!call || ft_seconds(&call->last_time, &q->now) > ft_clue_rows[FT_CLUE_SSRC].life ||
        !is_strange_way(q, call))
        return false;
    memcpy(&value, clue->bytes, sizeof value);
    return !may_move(q, owner, call, (uint32_t)value);
}

/* The SSRC stays who has it. */
static void
drop_clues_of_nobody(ft_inquiry *q)
{
    ft_packet *packet = q->packet;
    unsigned kept = 0;

    for (unsigned i = 0; i < packet->clue_count; i++) {
        if (is_nobodys(q, &packet->clues[i]))
            packet->ssrc_of_another = true;
        else
            packet->clues[kept++] = packet->clues[i];
    }
    packet->clue_count = (uint8_t)kept;
}

/* ---- a guess that was wrong ---- */

static void
move_reservation(const ft_inquiry *q, const ft_allocation *allocation, ft_call *from, ft_call *to)
{
    const ft_endpoint *client = ft_flow_client(allocation->flow);
    uint64_t token;

    memcpy(&token, allocation->token, sizeof token);
    ft_clue_own(q->pinfo, to, FT_CLUE_RESERVATION, token);
    for (unsigned i = 0; client && i < from->reservations; i++) {
        if (!ft_endpoint_equal(&from->reserved_by[i], client))
            continue;
        if (to->reservations < FT_MAX_AGENTS)
            to->reserved_by[to->reservations++] = from->reserved_by[i];
        from->reserved_by[i] = from->reserved_by[--from->reservations];
        return;
    }
}

/* What the other side said in the channel before that was settled is the call's as well. Where that
 * side began, its next check may come directly, with nothing else to tell it by. */
static void
keep_held_back(const ft_inquiry *q, ft_call *call, wmem_array_t *guesses)
{
    const ft_guess *held = (const ft_guess *)wmem_array_get_raw(guesses);

    for (unsigned i = 0; i < wmem_array_get_count(guesses); i++) {
        ft_packet_clue clue = { .what = FT_CLUE_TIE_BREAKER };
        memcpy(clue.bytes, &held[i].tie_breaker, sizeof held[i].tie_breaker);
        if (!held[i].tie_breaker || ft_owner_of(&clue))
            continue;
        ft_own(q->pinfo, &clue, call);
        keep_tie_breaker(q, call, &clue, q->packet->leg->peer);
    }
}

/* Two calls are set up at a time; one of them allocates, and the addresses are both's. The first
 * check of the device in the channel, or SIP there, says whose the allocation was:
 *
 *    direct   check c1, answered
 *    relay               Allocate, bind (of c1, it seems)   channel: check c2
 *             from here on, and back to the Allocate: c2's  ---------^ */
static void
judge_guess(const ft_inquiry *q, ft_call *call)
{
    ft_allocation *allocation = q->packet->leg->allocation;

    if (!call || !allocation || !allocation->guesses ||
        !(ft_has_clue(q->packet, FT_CLUE_TIE_BREAKER) || ft_has_clue(q->packet, FT_CLUE_CALL_ID)))
        return;

    ft_call *guessed = (ft_call *)ft_call_as_of(allocation->call, q->packet->frame);
    if (guessed == call && !ft_flow_is_uplink(q->packet->flow, q->pinfo))
        return; /* a second tie-breaker of the other side may be anybody's */
    if (guessed && guessed != call) {
        ft_call_take_over(q->pinfo, call, guessed, allocation->guesses, !allocation->set_up_before);
        move_reservation(q, allocation, guessed, call);
        allocation->call = call;
    }
    keep_held_back(q, call, allocation->guesses);
    allocation->guesses = NULL;
}

/* A call may begin beside one that was left, while that one's connection waits. */
static void
note_next(const ft_inquiry *q, ft_call *fresh)
{
    for (unsigned i = 0; i < q->count; i++) {
        if (ft_is_left(q, q->candidates[i]))
            ft_guess_next(q->pinfo, q->candidates[i], fresh);
    }
}

/* ---- all of it ---- */

/* Each message of a call says its Call-ID, each check its tie-breaker, and each answer goes with
 * its request. Where that decides for the call that the way was of, and whatever else the packet
 * brings is the same call's, the judge would say so without a look at any other: those can have no
 * more than addresses in common with it. */
static bool
is_of_its_way(const ft_inquiry *q)
{
    const ft_packet *packet = q->packet;
    bool decides = packet->told_call != NULL;

    if (!q->of_leg || (packet->told_call && packet->told_call != q->of_leg) ||
        ft_call_strange(packet, q->of_leg) || is_open_guess(packet, q->of_leg))
        return false;
    for (unsigned i = 0; i < packet->clue_count; i++) {
        const ft_value_owner *owner = ft_owner_of(&packet->clues[i]);
        if (!owner || ft_call_as_of(owner->call, packet->frame) != q->of_leg)
            return false;
        decides |= ft_clue_rows[packet->clues[i].what].strength == FT_DECIDES;
    }
    return decides;
}

static ft_call *
judge_all(ft_inquiry *q)
{
    ft_judgement judged[FT_MAX_CALLS_TRIED];
    unsigned best = FT_MAX_CALLS_TRIED;

    for (unsigned i = 0; i < q->count; i++) {
        judged[i] = ft_try_call(q, q->candidates[i]);
        if (judged[i].verdict == FT_SAME &&
            (best == FT_MAX_CALLS_TRIED || judged[i].strength > judged[best].strength))
            best = i;
    }
    if (best == FT_MAX_CALLS_TRIED) {
        if (is_ambiguous(q) || is_of_unseen_game(q))
            return NULL;
        ft_call *fresh = ft_call_new(q->pinfo, &q->ends.device, latest_of_device(q));
        if (fresh) {
            note_next(q, fresh);
            ft_call_put(q->pinfo, fresh, true);
        }
        return fresh;
    }
    const ft_judgement verdict = judged[best];
    ft_call *call = verdict.strength > FT_LEG ? reconcile(q, q->candidates[best], judged, best)
                                              : q->candidates[best];
    q->of_leg = (ft_call *)ft_call_as_of(q->of_leg, q->packet->frame);
    ft_call_put(q->pinfo, call, takes_leg(q, call, verdict));
    return call;
}

ft_call *
ft_call_of_way(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    ft_call *call = ft_call_of_packet(pinfo);

    if (!call || !ft_learning(pinfo))
        return call;
    if (ft_call_is_silent(pinfo, call) || ft_call_other_generation(packet, call)) {
        ft_call_put_leg(pinfo, packet->leg, NULL);
        return NULL;
    }
    ft_guess_connection(pinfo, call, NULL, 0); /* it goes where its connection goes */
    return call;
}

ft_call *
ft_call_quick(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    ft_call *call =
        packet && packet->leg
            ? (ft_call *)ft_call_as_of(ft_call_of_leg(packet->leg, packet->frame), packet->frame)
            : NULL;

    return call && !ft_call_is_over(pinfo, call) && !ft_call_strange(packet, call) &&
                   !ft_call_other_generation(packet, call)
               ? call
               : NULL;
}

ft_call *
ft_call_resolve(packet_info *pinfo, bool starts)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !packet->leg)
        return NULL;
    if (!ft_learning(pinfo))
        return ft_call_in_hand(pinfo);
    if (packet->is_judged)
        return packet->call;
    packet->is_judged = true;

    ft_call *settled = ft_settled_call(pinfo, packet);
    if (settled) {
        if (packet->clue_count == 0 && is_open_guess(packet, settled))
            ft_guess_connection(pinfo, settled, NULL, 0);
        return packet->call = settled;
    }

    const unsigned changes_before = ft_call_changes, clues_before = packet->clue_count;
    ft_call *of_leg = ft_call_of_leg(packet->leg, packet->frame);
    /* A channel that has carried nothing yet is of the call that asked for it. */
    if (!of_leg && packet->leg->allocation)
        of_leg = packet->leg->allocation->call;
    ft_inquiry q = { .pinfo = pinfo,
                     .packet = packet,
                     .now = ft_steady(pinfo),
                     .starts = starts,
                     .of_leg = (ft_call *)ft_call_as_of(of_leg, packet->frame) };
    const bool is_first_media = packet->kind == FT_KIND_RTP && packet->leg->renewed;
    find_ends(&q);
    drop_clues_of_nobody(&q);
    ft_call *call = q.of_leg;
    if (is_of_its_way(&q)) {
        ft_call_put(pinfo, call, true);
        note_media_of_clues(&q);
    } else {
        find_candidates(&q);
        call = judge_all(&q);
        if (is_open_guess(packet, call))
            ft_guess_connection(pinfo, call, packet->renews || !q.of_leg ? &q.ends.device : NULL,
                                ft_equal_ends(&q, call));
        if (call)
            keep_clues(&q, call);
    }
    if (call)
        keep_ends(&q, call);
    packet->call = call;
    judge_guess(&q, call);
    if (call && (ft_has_clue(packet, FT_CLUE_KEY) || is_first_media)) {
        ft_call *next = ft_guess_judged(pinfo, call);
        if (next)
            merge(pinfo, call, next);
    }
    if (call)
        ft_settle(&(ft_judged){ pinfo, packet, &q.ends }, clues_before,
                  ft_call_changes != changes_before);
    return call;
}
