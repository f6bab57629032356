/* calls/transaction.c
 * What a SIP message says of its call, from the transactions and branches of its dialog:
 *
 *    INVITE   begins, or changes, or asks again  CANCEL  ends what has no answer yet
 *    1xx      one end rings                      2xx     answered: that branch is the call
 *    3xx-6xx  refused, unless a branch lives     BYE     ends its branch; the last one ends the
 *             or rings on                                call
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/transaction.h"

#include <stddef.h>

/* What a final answer to an INVITE means; the first row that fits. */
static const struct {
    unsigned        from, to;
    ft_invite_state means;
} answers[] = {
    { 200, 299, FT_INVITE_ANSWERED },
    { 300, 399, FT_INVITE_TO_BE_REPEATED }, /* elsewhere (RFC 3261 8.1.3.4) */
    { 401, 401, FT_INVITE_TO_BE_REPEATED }, /* with credentials (22.2) */
    { 407, 407, FT_INVITE_TO_BE_REPEATED }, /* the same, for a proxy (22.3) */
    { 413, 413, FT_INVITE_TO_BE_REPEATED }, /* 413 to 420: mended (8.1.3.5) */
    { 415, 416, FT_INVITE_TO_BE_REPEATED },
    { 420, 420, FT_INVITE_TO_BE_REPEATED },
    { 422, 422, FT_INVITE_TO_BE_REPEATED }, /* with a longer session (RFC 4028) */
    { 491, 491, FT_INVITE_TO_BE_REPEATED }, /* both asked at once: after a while (14.1) */
    { 486, 486, FT_INVITE_BUSY },
    { 600, 600, FT_INVITE_BUSY },           /* everywhere */
    { 603, 603, FT_INVITE_DECLINED },
    { 487, 487, FT_INVITE_CANCELLED },
    { 400, 699, FT_INVITE_FAILED },
};

/* What the end of the INVITE that would begin a call says of the call. */
static const ft_sip_verdict ends[] = {
    [FT_INVITE_PENDING]        = FT_SIP_SAYS_NOTHING,
    [FT_INVITE_ANSWERED]       = FT_SIP_SAYS_ANSWERED,
    [FT_INVITE_TO_BE_REPEATED] = FT_SIP_SAYS_REPEAT,
    [FT_INVITE_DECLINED]       = FT_SIP_SAYS_DECLINED,
    [FT_INVITE_BUSY]           = FT_SIP_SAYS_BUSY,
    [FT_INVITE_CANCELLED]      = FT_SIP_SAYS_CANCELLED,
    [FT_INVITE_FAILED]         = FT_SIP_SAYS_FAILED,
};

ft_invite_state
ft_invite_meaning(unsigned status)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (status >= answers[i].from && status <= answers[i].to)
            return answers[i].means;
    }
    return FT_INVITE_PENDING;
}

/* ---- INVITEs ---- */

/* What isn't known contradicts nothing. */
static bool
tags_agree(uint32_t one, uint32_t other)
{
    return one == other || one == 0 || other == 0;
}

/* The INVITE that a message is, answers or cancels, by what tells it for sure; or NULL. */
static ft_invite *
known_invite(const ft_transactions *dialog, const ft_sip_message *message)
{
    for (unsigned i = dialog->invite_count; i-- > 0;) {
        const ft_invite *invite = &dialog->invites[i];
        const bool same =
            invite->has_cseq && message->has_cseq
                ? invite->cseq == message->cseq && tags_agree(invite->from_tag, message->from_tag)
                : invite->via && invite->via == message->via;
        if (same)
            return (ft_invite *)invite;
    }
    return NULL;
}

/* Where neither CSeq nor Via was captured: the latest INVITE, while it has no answer. */
static ft_invite *
find_invite(ft_transactions *dialog, const ft_sip_message *message)
{
    ft_invite *latest = dialog->invite_count ? &dialog->invites[dialog->invite_count - 1] : NULL;
    ft_invite *known = known_invite(dialog, message);

    if (known || message->has_cseq || message->via)
        return known;
    return latest && latest->state == FT_INVITE_PENDING ? latest : NULL;
}

/* NULL over the bound. */
static ft_invite *
add_invite(ft_transactions *dialog, const ft_sip_message *message)
{
    if (dialog->invite_count >= FT_MAX_INVITES_PER_DIALOG) {
        dialog->full = true;
        return NULL;
    }
    ft_invite *invite = &dialog->invites[dialog->invite_count++];
    *invite = (ft_invite){ .from_tag = message->from_tag,
                           .cseq = message->cseq,
                           .via = message->via,
                           .has_cseq = message->has_cseq,
                           .is_change = dialog->answered || message->in_call };
    return invite;
}

/* What rang for an INVITE is done with where the next one follows. */
static void
stop_ringing(ft_transactions *dialog)
{
    for (unsigned i = 0; i < dialog->branch_count; i++)
        dialog->branches[i].refused |= !dialog->branches[i].answered;
}

static ft_sip_verdict
judge_invite(ft_transactions *dialog, const ft_sip_message *message)
{
    bool is_first = true;

    if (find_invite(dialog, message))
        return FT_SIP_SAYS_NOTHING;
    for (unsigned i = 0; i < dialog->invite_count; i++)
        is_first &= dialog->invites[i].is_change;
    if (message->to_tag) /* only an INVITE in an answered call knows whom it talks to */
        dialog->answered = true;

    ft_invite *invite = add_invite(dialog, message);
    if (!invite)
        return FT_SIP_SAYS_NOTHING;
    invite->seen = true;
    invite->sdp = message->sdp;
    if (invite->is_change)
        return FT_SIP_SAYS_REINVITE;
    stop_ringing(dialog);
    return is_first ? FT_SIP_SAYS_INVITE : FT_SIP_SAYS_INVITE_AGAIN;
}

/* A CANCEL that comes when the INVITE has its answer changes nothing; one that comes before may
 * still cross it. */
static ft_sip_verdict
judge_cancel(ft_transactions *dialog, const ft_sip_message *message)
{
    ft_invite *invite = find_invite(dialog, message);

    if (!invite)
        invite = add_invite(dialog, message);
    if (!invite || invite->cancelled || invite->state != FT_INVITE_PENDING)
        return FT_SIP_SAYS_NOTHING;
    invite->cancelled = true;
    return invite->is_change || dialog->over ? FT_SIP_SAYS_NOTHING : FT_SIP_SAYS_CANCELLING;
}

/* ---- branches ---- */

static bool
is_between(const ft_sip_branch *branch, uint32_t one, uint32_t other)
{
    return (branch->tags[0] == one && branch->tags[1] == other) ||
           (branch->tags[0] == other && branch->tags[1] == one);
}

static ft_sip_branch *
known_branch(ft_transactions *dialog, const ft_sip_message *message)
{
    for (unsigned i = 0; i < dialog->branch_count; i++) {
        if (is_between(&dialog->branches[i], message->from_tag, message->to_tag))
            return &dialog->branches[i];
    }
    return NULL;
}

/* Made where it isn't known. NULL without both tags, and over the bound. */
static ft_sip_branch *
branch_of(ft_transactions *dialog, const ft_sip_message *message)
{
    if (!message->from_tag || !message->to_tag)
        return NULL;
    ft_sip_branch *branch = known_branch(dialog, message);
    if (branch)
        return branch;
    if (dialog->branch_count >= FT_MAX_BRANCHES_PER_DIALOG) {
        dialog->full = true;
        return NULL;
    }
    branch = &dialog->branches[dialog->branch_count++];
    *branch = (ft_sip_branch){ .tags = { message->from_tag, message->to_tag } };
    return branch;
}

/* Those that refused don't count; nor, once one end has answered, those that only rang (RFC 3261
 * 13.2.2.4). *only: one of those that live. */
static unsigned
living_branches(ft_transactions *dialog, ft_sip_branch **only)
{
    bool any_answered = false;
    unsigned count = 0;

    for (unsigned i = 0; i < dialog->branch_count; i++)
        any_answered |= dialog->branches[i].answered;
    for (unsigned i = 0; i < dialog->branch_count; i++) {
        ft_sip_branch *branch = &dialog->branches[i];
        if (branch->over || (!branch->answered && (any_answered || branch->refused)))
            continue;
        count++;
        *only = branch;
    }
    return count;
}

static bool
invited(const ft_transactions *dialog, uint32_t from_tag)
{
    for (unsigned i = 0; i < dialog->invite_count; i++) {
        if (dialog->invites[i].from_tag == from_tag)
            return true;
    }
    return false;
}

static ft_sip_verdict
judge_bye(ft_transactions *dialog, const ft_sip_message *message)
{
    const unsigned known = dialog->branch_count;
    ft_sip_branch *branch = branch_of(dialog, message), *only = NULL;

    /* Only the end that sent the INVITE may end a branch that merely rang (RFC 3261 15): the
     * other's BYE proves that there was an answer. Who wasn't heard of before didn't ring. */
    const bool by_invited = branch && !invited(dialog, message->from_tag);
    if (branch && (by_invited || dialog->branch_count > known))
        branch->answered = true;
    dialog->answered |= by_invited && dialog->invite_count > 0;
    if (!branch && living_branches(dialog, &only) == 1)
        branch = only;
    if (branch && branch->over)
        return FT_SIP_SAYS_NOTHING;
    if (branch)
        branch->over = true;
    if (dialog->over)
        return FT_SIP_SAYS_NOTHING;
    if (living_branches(dialog, &only) > 0)
        return FT_SIP_SAYS_BRANCH_ENDED;
    dialog->over = true;
    return FT_SIP_SAYS_ENDED;
}

/* ---- answers ---- */

static ft_sip_verdict
judge_ringing(ft_transactions *dialog, const ft_sip_message *message, const ft_invite *invite)
{
    if (!invite->is_change && message->status > 100)
        branch_of(dialog, message);
    if (message->status != 180 || dialog->rang || dialog->over || invite->is_change ||
        invite->state != FT_INVITE_PENDING)
        return FT_SIP_SAYS_NOTHING;
    dialog->rang = true;
    return FT_SIP_SAYS_RINGING;
}

/* 2xx of the INVITE that begins the call. It outranks a refusal, which then was another fork's.
 * An end that hung up before its answer came has no call. */
static ft_sip_verdict
judge_answered(ft_transactions *dialog, const ft_sip_message *message, ft_invite *invite)
{
    const bool was_answered = invite->state == FT_INVITE_ANSWERED || dialog->answered;
    ft_sip_branch *branch = branch_of(dialog, message);
    const bool is_new = branch && !branch->answered;

    invite->state = FT_INVITE_ANSWERED;
    if (dialog->over || (branch && branch->over))
        return FT_SIP_SAYS_NOTHING;
    dialog->answered = true;
    if (branch)
        branch->answered = true;
    if (!was_answered)
        return FT_SIP_SAYS_ANSWERED;
    return is_new ? FT_SIP_SAYS_FORK_ANSWERED : FT_SIP_SAYS_NOTHING;
}

/* Another INVITE of the dialog came after this one. */
static bool
is_superseded(const ft_transactions *dialog, const ft_invite *invite)
{
    for (unsigned i = (unsigned)(invite - dialog->invites) + 1; i < dialog->invite_count; i++) {
        if (dialog->invites[i].seen && tags_agree(dialog->invites[i].from_tag, invite->from_tag))
            return true;
    }
    return false;
}

/* Where the INVITE wasn't captured, it may have been one that would change a call: only what
 * nobody says to such a one is believed to end the call. */
static bool
is_doubtful(const ft_transactions *dialog, const ft_invite *invite)
{
    return !invite->seen && !invite->cancelled && !dialog->rang &&
           invite->state == FT_INVITE_FAILED;
}

static bool
any_rings(const ft_transactions *dialog)
{
    for (unsigned i = 0; i < dialog->branch_count; i++) {
        if (!dialog->branches[i].refused && !dialog->branches[i].over)
            return true;
    }
    return false;
}

/* Each end that an INVITE reached answers for itself (RFC 3261 16.7): while others ring, a refusal
 * is of its own branch. Not after a CANCEL, when nobody rings on, nor where the INVITE is to be
 * repeated, nor where one that never rang speaks for the person, not for itself (6xx, RFC 3261
 * 21.6). NULL: it is of the whole INVITE. */
static ft_sip_branch *
refusing_branch(ft_transactions *dialog, const ft_sip_message *message, const ft_invite *invite,
                ft_invite_state state)
{
    if (state == FT_INVITE_TO_BE_REPEATED || invite->cancelled || dialog->answered ||
        dialog->over || is_superseded(dialog, invite) || !any_rings(dialog) ||
        (message->status >= FT_SIP_GLOBAL && !known_branch(dialog, message)))
        return NULL;
    return branch_of(dialog, message);
}

static ft_sip_verdict
judge_refused(ft_transactions *dialog, const ft_sip_message *message, ft_invite *invite,
              ft_invite_state state)
{
    if (invite->state != FT_INVITE_PENDING)
        return FT_SIP_SAYS_NOTHING;

    ft_sip_branch *branch = refusing_branch(dialog, message, invite, state);
    const bool is_new = branch && !branch->refused;
    if (branch)
        branch->refused = true;
    if (branch && any_rings(dialog)) {
        invite->refusal = is_new ? state : invite->refusal;
        return is_new ? FT_SIP_SAYS_BRANCH_REFUSED : FT_SIP_SAYS_NOTHING;
    }
    invite->state = state;
    if (dialog->answered || dialog->over || is_superseded(dialog, invite) ||
        is_doubtful(dialog, invite))
        return FT_SIP_SAYS_NOTHING;
    return ends[state];
}

static ft_sip_verdict
judge_change(ft_invite *invite, ft_invite_state state)
{
    if (invite->state != FT_INVITE_PENDING)
        return FT_SIP_SAYS_NOTHING;
    invite->state = state;
    return state == FT_INVITE_ANSWERED ? FT_SIP_SAYS_CHANGED : FT_SIP_SAYS_NOT_CHANGED;
}

static ft_sip_verdict
judge_invite_answer(ft_transactions *dialog, const ft_sip_message *message)
{
    const ft_invite_state state = ft_invite_meaning(message->status);
    ft_invite *invite = find_invite(dialog, message);

    if (!invite)
        invite = add_invite(dialog, message);
    if (!invite)
        return FT_SIP_SAYS_NOTHING;
    if (state == FT_INVITE_PENDING)
        return judge_ringing(dialog, message, invite);
    if (invite->is_change)
        return judge_change(invite, state);
    if (state == FT_INVITE_ANSWERED)
        return judge_answered(dialog, message, invite);
    return judge_refused(dialog, message, invite, state);
}

/* Who answers a BYE with 2xx has ended its part (RFC 3261 15.1.2): where the BYE wasn't captured,
 * that tells. Not of a dialog of which nothing was known, nor without the tags that say whose BYE
 * it was. */
static ft_sip_verdict
judge_bye_answer(ft_transactions *dialog, const ft_sip_message *message)
{
    const bool is_known = dialog->invite_count > 0 || dialog->branch_count > 0 || message->in_call;

    if (!is_known || !message->from_tag || !message->to_tag ||
        ft_invite_meaning(message->status) != FT_INVITE_ANSWERED)
        return FT_SIP_SAYS_NOTHING;
    return judge_bye(dialog, message);
}

static ft_sip_verdict
judge_answer(ft_transactions *dialog, const ft_sip_message *message)
{
    if (ft_sip_answers_invite(dialog, message))
        return judge_invite_answer(dialog, message);
    return message->has_method && message->method == FT_SIP_BYE ? judge_bye_answer(dialog, message)
                                                                : FT_SIP_SAYS_NOTHING;
}

/* ---- for all messages ---- */

bool
ft_sip_answers_invite(const ft_transactions *dialog, const ft_sip_message *message)
{
    if (message->status == 0)
        return false;
    if (message->has_method)
        return message->method == FT_SIP_INVITE;

    /* CANCEL has the Via of the INVITE that it cancels (RFC 3261 9.1): its 200 and the INVITE's
     * look alike. */
    const ft_invite *invite = known_invite(dialog, message);
    return invite &&
           !(invite->cancelled && ft_invite_meaning(message->status) == FT_INVITE_ANSWERED);
}

ft_sip_verdict
ft_sip_judge(ft_transactions *dialog, const ft_sip_message *message)
{
    dialog->full = false;
    if (message->status)
        return judge_answer(dialog, message);
    switch (message->method) {
    case FT_SIP_INVITE:
        return judge_invite(dialog, message);
    case FT_SIP_CANCEL:
        return judge_cancel(dialog, message);
    case FT_SIP_BYE:
        return judge_bye(dialog, message);
    default:
        return FT_SIP_SAYS_NOTHING;
    }
}

ft_sip_verdict
ft_sip_last_word(const ft_transactions *dialog)
{
    const ft_invite *latest =
        dialog->invite_count ? &dialog->invites[dialog->invite_count - 1] : NULL;

    if (!latest || latest->is_change || dialog->answered || dialog->over)
        return FT_SIP_SAYS_NOTHING;
    if (latest->state == FT_INVITE_PENDING)
        return latest->cancelled ? FT_SIP_SAYS_CANCELLED : ends[latest->refusal];
    return latest->state == FT_INVITE_TO_BE_REPEATED ? FT_SIP_SAYS_FAILED : FT_SIP_SAYS_NOTHING;
}

bool
ft_sip_offers(const ft_transactions *dialog, const ft_sip_message *message)
{
    if (!message->status)
        return message->method != FT_SIP_ACK;
    if (!ft_sip_answers_invite(dialog, message))
        return false;

    const ft_invite *invite = known_invite(dialog, message);
    return invite && invite->seen && invite->sdp == FT_SDP_NONE;
}
