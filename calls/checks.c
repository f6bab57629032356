/* calls/checks.c
 * Connectivity checks: which got through, which were lost, whom they nominate.
 *
 *    check on a pair     into the pair's ring; a check sent again, or a nomination, is told
 *    its first answer    the pair is open: the path is proven, and what was lost before it makes a
 *                        punched hole
 *    a later answer      may show that checks before the first one were lost, not under way
 *    USE-CANDIDATE       the way that media will take
 *
 *    a -> b   1 ... 2 ... 3 <- answer      1 and 2 came first, in the same direction, and got no
 *                                          answer: b's NAT let nothing in before 3
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/checks.h"
#include "calls/guess.h"
#include "calls/limits.h"
#include "calls/resolve.h"

/* A check repeated meanwhile and unanswered for so long, and for twice the time of its repetition,
 * is lost, not under way. Chosen, above the round trips of 2023 (40 and 180 ms). */
#define CHECK_LOST_S  0.2
#define HOLE_WINDOW_S 30 /* a loss longer ago tells nothing of the NAT; chosen */
/* Who gets no answer checks again after 1 s (54 of 54 in 2023), or 0.25, 0.5 and 2.25 s (2015). One
 * that waits for longer has got it, and the capture hasn't. Chosen, above these. */
#define REPEATED_S    3

/* One transmission of a check. */
typedef struct {
    const ft_exchange *exchange;
    uint64_t link; /* the head of its link id; 0: it has none */
    bool from_a;   /* by the end that the flow calls a */
    bool nominates;
    bool answered;
    double repeated; /* seconds until its sender checked again, 0 before */
    uint32_t frame;
    nstime_t time;
} sent_check;

#define SENT_CHECKS 16

/* A pair's latest checks, either end's, of the call that has it: a ring. */
typedef struct {
    const ft_call *call;
    sent_check sent[SENT_CHECKS];
    unsigned count;
    bool open;   /* one got through */
    bool judged; /* others before it did not, or it had been open before */
    /* its first answer, and the check that it answers */
    ft_frame *opened;
    nstime_t opened_time;
    uint32_t opened_by; /* 0 where the capture doesn't have it */
} check_pair;

static wmem_map_t *pairs; /* ft_leg -> check_pair */

void
ft_checks_init(void)
{
    pairs = ft_new_map(g_direct_hash, g_direct_equal);
}

/* What was lost of the call before, and what got through, says nothing of this one's way. NULL for
 * a straggler of that call. */
static check_pair *
pair_of(const ft_packet *packet)
{
    check_pair *pair = (check_pair *)wmem_map_lookup(pairs, packet->leg);
    const ft_call *known = pair ? ft_call_as_of(pair->call, packet->frame) : NULL;

    if (!pair) {
        pair = wmem_new0(wmem_file_scope(), check_pair);
        wmem_map_insert(pairs, packet->leg, pair);
    }
    if (!packet->call || packet->call == known)
        return pair;
    if (known && known->first_frame > packet->call->first_frame)
        return NULL;
    if (known) {
        memset(pair, 0, sizeof *pair);
        packet->leg->told &= ~(UINT64_C(1) << FT_EVENT_HOLE_PUNCHED);
    }
    pair->call = packet->call;
    return pair;
}

/* Whatever this end checks next on the pair, under whatever transaction id, repeats all that it
 * sent there before. But what nominates follows a check that got through, captured answer or not:
 * which one isn't known, so none is lost. One that the capture cut may nominate. */
static void
remember_check(packet_info *pinfo, const ft_packet *packet, const ft_stun *stun,
               const ft_exchange *exchange)
{
    check_pair *pair = pair_of(packet);
    const bool nominates = stun->use_candidate;
    const bool may_nominate = nominates || (stun->is_cut && packet->generation == FT_LEGACY);
    const bool from_a = ft_flow_heading(packet->flow, pinfo) == FT_FORTH;
    const nstime_t now = ft_steady(pinfo);

    for (unsigned i = 0; pair && i < SENT_CHECKS; i++) {
        sent_check *check = &pair->sent[i];
        if (check->frame && check->from_a == from_a && check->repeated == 0)
            check->repeated = ft_seconds(&check->time, &now);
        if (check->frame && check->from_a == from_a && may_nominate && !check->nominates)
            check->answered = true;
    }
    if (!pair)
        return;
    sent_check *sent = &pair->sent[pair->count++ % SENT_CHECKS];
    *sent = (sent_check){ .exchange = exchange,
                          .from_a = from_a,
                          .nominates = nominates,
                          .frame = ft_frame_id(pinfo),
                          .time = now };
    if (stun->has_link_id)
        memcpy(&sent->link, stun->link_id, sizeof sent->link);
}

/* The transmission that got through: its stamp tells it from its repeats. A nomination has the
 * transaction id of the check before it (legacy), so the id alone may lead to another packet. */
static uint32_t
answered_frame(const ft_stun *stun, const ft_exchange *exchange)
{
    const ft_sent *sent = stun->has_timestamp ? ft_exchange_sent(exchange, stun->timestamp) : NULL;

    if (sent)
        return sent->frame;
    return exchange ? exchange->last_request_frame : 0;
}

/* A check that never got an answer, as far as can be known now: its sender repeated it and waits
 * for longer than answers take, or one that was sent later is the one that is answered. Of the
 * same direction order is enough: the answered one came later and got through. Of the other
 * direction, or where the answered one wasn't captured, a check may just be under way, as where
 * both ends check at once; hence the wait. An end checks a pair under one link id (8 of 8 in 2023):
 * another one is another session's. */
static bool
is_lost(const packet_info *pinfo, const sent_check *check, const sent_check *answered)
{
    const nstime_t now = ft_steady(pinfo);
    const double age = ft_seconds(&check->time, &now);

    if (!check->frame || check->answered || check == answered || age > HOLE_WINDOW_S ||
        check->repeated > REPEATED_S)
        return false;
    if (answered && check->from_a == answered->from_a)
        return check->frame < answered->frame && check->link == answered->link;
    return check->repeated > 0 && age >= MAX(CHECK_LOST_S, 2 * check->repeated);
}

/* A check that got through, after others that did not. */
static const char *
hole_text(packet_info *pinfo, const check_pair *pair, unsigned lost, uint32_t first)
{
    const char *check = "A check that wasn't captured";

    if (pair->opened_by)
        check = wmem_strdup_printf(pinfo->pool, "The check in frame %u",
                                   ft_frame_number(pair->opened_by));
    return wmem_strdup_printf(pinfo->pool, "%s gets through after %u that did not since frame %u",
                              check, lost, ft_frame_number(first));
}

/* How many checks before `until` this answer shows to be lost; *first: the frame of the first. In a
 * capture of one direction each seems lost. */
static unsigned
count_lost(const packet_info *pinfo, const check_pair *pair, const sent_check *answered,
           uint32_t until, uint32_t *first)
{
    unsigned lost = 0;

    *first = UINT32_MAX;
    for (unsigned i = 0; i < SENT_CHECKS && !ft_flow_is_one_way(ft_packet_get(pinfo)->flow); i++) {
        if (pair->sent[i].frame < until && is_lost(pinfo, &pair->sent[i], answered)) {
            lost++;
            *first = MIN(*first, pair->sent[i].frame);
        }
    }
    return lost;
}

/* Media ran here lately, of this call or the one before: the way is open, so an earlier answer
 * wasn't captured. */
static bool
has_carried_media(packet_info *pinfo)
{
    const ft_leg *leg = ft_packet_get(pinfo)->leg;
    const nstime_t now = ft_steady(pinfo);

    return !nstime_is_zero(&leg->media_time) && ft_seconds(&leg->media_time, &now) <= HOLE_WINDOW_S;
}

/* The pair's first answer. What a person calls a punched hole: checks of either end that a NAT
 * dropped, until one opened the way. A pair without losses needed none. */
static void
open_pair(packet_info *pinfo, check_pair *pair, const sent_check *answered)
{
    uint32_t first;
    const bool was_open = has_carried_media(pinfo);
    const unsigned lost = was_open ? 0 : count_lost(pinfo, pair, answered, UINT32_MAX, &first);

    pair->opened = ft_frame_make(pinfo);
    pair->opened_time = ft_now(pinfo);
    pair->opened_by = answered ? answered->frame : 0;
    pair->judged = was_open || lost > 0;
    if (lost)
        ft_event_add(pinfo, FT_EVENT_HOLE_PUNCHED, pair->opened_by, "%s",
                     hole_text(pinfo, pair, lost, first));
}

/* A later answer shows that checks before the first one were lost, not under way. Told at the
 * first answer's frame, in hindsight, because that is where the hole was there; only a second
 * pass shows it. */
static void
judge_hole_again(packet_info *pinfo, const ft_packet *packet, check_pair *pair,
                 const sent_check *answered)
{
    const nstime_t now = ft_now(pinfo);
    uint32_t first;

    if (pair->judged || !pair->opened || ft_seconds(&pair->opened_time, &now) > HOLE_WINDOW_S)
        return;
    const unsigned lost = count_lost(pinfo, pair, answered, pair->opened->id, &first);
    pair->judged = lost > 0;
    if (lost)
        ft_event_add_at(pair->opened, &pair->opened_time, packet->call, packet->path,
                        FT_EVENT_HOLE_PUNCHED, pair->opened_by, "%s",
                        hole_text(pinfo, pair, lost, first));
}

/* The check that this answer is to, or NULL. */
static sent_check *
check_answered(check_pair *pair, const ft_stun *stun, const ft_exchange *exchange)
{
    const uint32_t frame = answered_frame(stun, exchange);

    for (unsigned i = 0; i < SENT_CHECKS; i++) {
        if (frame && pair->sent[i].frame == frame)
            return &pair->sent[i];
    }
    return NULL;
}

/* An answer without a stamp may be to any transmission of its check that was under way: none of
 * them is lost. */
static void
answer_all_under_way(const packet_info *pinfo, check_pair *pair, const ft_stun *stun,
                     const ft_exchange *exchange)
{
    const nstime_t now = ft_steady(pinfo);

    if (!exchange || (stun->has_timestamp && ft_exchange_sent(exchange, stun->timestamp)))
        return;
    for (unsigned i = 0; i < SENT_CHECKS; i++) {
        sent_check *check = &pair->sent[i];
        if (check->frame && check->exchange == exchange &&
            ft_seconds(&check->time, &now) <= CHECK_LOST_S)
            check->answered = true;
    }
}

/* A refusal is an answer, too: nothing was lost. */
static void
learn_refused_check(const ft_packet *packet, const ft_stun *stun, const ft_exchange *exchange)
{
    check_pair *pair = pair_of(packet);
    sent_check *refused = pair ? check_answered(pair, stun, exchange) : NULL;

    if (refused)
        refused->answered = true;
}

static void
learn_open_pair(packet_info *pinfo, const ft_packet *packet, const ft_stun *stun,
                const ft_exchange *exchange)
{
    check_pair *pair = pair_of(packet);
    sent_check *answered = pair ? check_answered(pair, stun, exchange) : NULL;

    if (!pair)
        return;
    if (answered)
        answered->answered = true;
    answer_all_under_way(pinfo, pair, stun, exchange);
    if (!pair->open)
        open_pair(pinfo, pair, answered);
    else if (answered)
        judge_hole_again(pinfo, packet, pair, answered);
    pair->open = true;
}

/* Seen by the report of 2015: STUN of today has text there, and stock would show binary bytes as
 * such. */
static void
tell_username(packet_info *pinfo, const ft_stun *stun)
{
    if (stun->has_binary_username)
        ft_event_add(pinfo, FT_EVENT_LEGACY_USERNAME, 0,
                     "USERNAME is two binary candidate ids (%02X%02X%02X%02X for "
                     "%02X%02X%02X%02X), as before RFC 5245",
                     stun->username[10], stun->username[11], stun->username[12], stun->username[13],
                     stun->username[0], stun->username[1], stun->username[2], stun->username[3]);
}

static const char *
way_text(wmem_allocator_t *scope, const ft_packet *packet, packet_info *pinfo)
{
    const ft_endpoint destination = ft_destination(pinfo);

    if (packet->path != FT_PATH_RELAY)
        return wmem_strdup_printf(scope, "direct to %s", ft_endpoint_str(scope, &destination));
    return wmem_strdup_printf(scope, "relayed to %s",
                              packet->leg ? ft_endpoint_str(scope, &packet->leg->peer) : "unknown");
}

/* Both halves of USERNAME: each end's own candidate, and the one that it means; the answer has
 * them the other way round. */
static void
hand_in_clues(packet_info *pinfo, const ft_stun *stun)
{
    if (stun->controlling || stun->controlled)
        ft_clue_number(pinfo, FT_CLUE_TIE_BREAKER, stun->tie_breaker);
    if (stun->has_binary_username) {
        ft_clue_bytes(pinfo, FT_CLUE_CANDIDATE, stun->username, 8);
        ft_clue_bytes(pinfo, FT_CLUE_CANDIDATE, stun->username + 10, 8);
    }
    for (unsigned i = 0; i < stun->candidate_call_count; i++)
        ft_clue_number(pinfo, FT_CLUE_CANDIDATE_CALL, stun->candidate_calls[i]);
    if (stun->has_link_id)
        ft_clue_bytes(pinfo, FT_CLUE_LINK_ID, stun->link_id, sizeof stun->link_id);
}

static bool
is_known_candidate(const packet_info *pinfo, const uint8_t *id)
{
    uint64_t value;

    memcpy(&value, id, sizeof value);
    return ft_clue_owner(pinfo, FT_CLUE_CANDIDATE, value) != NULL;
}

/* In a channel whose allocation may yet turn out to be another call's, only the device's own check
 * tells whose it is. What the other side says there before goes with it, and so do the answers:
 * nothing of it is the call's own so far. */
static bool
is_guess(packet_info *pinfo, const ft_packet *packet, const ft_stun *stun)
{
    const ft_allocation *allocation = packet->leg ? packet->leg->allocation : NULL;

    if (!allocation || !allocation->guesses || !ft_learning(pinfo) || !stun->has_binary_username ||
        (stun->message_class == STUN_REQUEST && ft_flow_is_uplink(packet->flow, pinfo)))
        return false;
    return !is_known_candidate(pinfo, stun->username) &&
           !is_known_candidate(pinfo, stun->username + 10) &&
           !ft_clue_owner(pinfo, FT_CLUE_TIE_BREAKER, stun->tie_breaker);
}

static void
tell_check(packet_info *pinfo, const ft_packet *packet, const ft_stun *stun, ft_exchange *exchange,
           bool is_retransmission)
{
    if (stun->use_candidate) {
        ft_event *event = ft_event_add(pinfo, FT_EVENT_NOMINATED, 0, "Nominates the %s pair%s",
                                       packet->path == FT_PATH_RELAY ? "relayed" : "direct",
                                       is_retransmission ? " again" : "");
        if (exchange && !exchange->response_frame)
            exchange->event = event;
    } else if (is_retransmission && !stun->is_cut) {
        ft_event_add(pinfo, FT_EVENT_BINDING_RETRANSMITTED, exchange ? exchange->request_frame : 0,
                     "Connectivity check sent again, %s", way_text(pinfo->pool, packet, pinfo));
    }
}

/* A repetition begins no call: in the middle of a capture it may be of one that is over. Through
 * a relay's channel source and destination are the relay's, so neither a device nor a pair is
 * learnt there. */
void
ft_check_learn(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, ft_exchange *exchange,
               bool is_retransmission)
{
    const ft_endpoint source = ft_source(pinfo);
    const bool guessed = is_guess(pinfo, packet, stun);

    if (!guessed)
        hand_in_clues(pinfo, stun);
    ft_call *call = ft_call_resolve(pinfo, !is_retransmission);
    if (guessed)
        ft_guess_keep(pinfo, packet->leg->allocation, stun->tie_breaker);
    else if (exchange)
        exchange->call = call;
    if (packet->path == FT_PATH_DIRECT)
        ft_device_learn(pinfo, &source);
    tell_username(pinfo, stun);
    tell_check(pinfo, packet, stun, exchange, is_retransmission);
    if (packet->path == FT_PATH_DIRECT && packet->leg)
        remember_check(pinfo, packet, stun, exchange);
}

/* Where one direction was captured, an answer stands for its check, with which the next call may
 * begin: directly, or in a channel that nothing was heard in. */
static bool
stands_for_check(const ft_packet *packet)
{
    return ft_flow_is_one_way(packet->flow) &&
           (packet->path == FT_PATH_DIRECT ||
            (packet->leg && packet->leg->channel && !packet->leg->calls));
}

/* An answer that came directly proves the path, and that the call can outlive its relay. */
void
ft_check_answer_learn(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                      const ft_exchange *exchange)
{
    const ft_endpoint source = ft_source(pinfo);

    const bool guessed = is_guess(pinfo, packet, stun);

    if (exchange)
        ft_clue_call(pinfo, exchange->call);
    if (!guessed)
        hand_in_clues(pinfo, stun);
    ft_call *call = ft_call_resolve(pinfo, !exchange && stands_for_check(packet));
    if (guessed)
        ft_guess_keep(pinfo, packet->leg->allocation, stun->tie_breaker);
    if (exchange && exchange->event && exchange->response_frame == packet->frame)
        exchange->event->other_frame = packet->frame;
    if (packet->path != FT_PATH_DIRECT || !packet->leg)
        return;
    if (stun->message_class != STUN_SUCCESS) {
        learn_refused_check(packet, stun, exchange);
        return;
    }
    ft_device_learn(pinfo, &source);
    if (call)
        call->direct_time = ft_steady(pinfo);
    /* An answer that goes elsewhere may be the device's own, from another of its addresses. */
    if (call && ft_call_is_local(call, &pinfo->dst) && !ft_endpoint_equal(&source, &call->local))
        ft_call_remote(call, &source, FT_REMOTE_CHECKED);
    if (ft_event_is_due(pinfo, FT_EVENT_DIRECT_READY))
        ft_event_add(pinfo, FT_EVENT_DIRECT_READY, exchange ? exchange->request_frame : 0,
                     "First direct check that is answered, %s",
                     way_text(pinfo->pool, packet, pinfo));
    learn_open_pair(pinfo, packet, stun, exchange);
}
