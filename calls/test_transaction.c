/* calls/test_transaction.c
 * What a SIP message says of the call: the whole outcome table, and messages in every order that
 * life has. Each expectation is RFC 3261's, or the plugin's rule that a wrong conclusion is
 * worse than none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "calls/transaction.h"

/* clang-format off */
enum { NOBODY, ALICE, BOB, CAROL, DAVE };   /* tags */
#define INVITE FT_SIP_INVITE
#define ACK    FT_SIP_ACK
#define BYE    FT_SIP_BYE
#define CANCEL FT_SIP_CANCEL
#define OTHER  FT_SIP_OTHER

#define NOTHING    FT_SIP_SAYS_NOTHING
#define INVITED    FT_SIP_SAYS_INVITE
#define AGAIN      FT_SIP_SAYS_INVITE_AGAIN
#define REINVITE   FT_SIP_SAYS_REINVITE
#define RINGING    FT_SIP_SAYS_RINGING
#define ANSWERED   FT_SIP_SAYS_ANSWERED
#define FORK       FT_SIP_SAYS_FORK_ANSWERED
#define CHANGED    FT_SIP_SAYS_CHANGED
#define UNCHANGED  FT_SIP_SAYS_NOT_CHANGED
#define REPEAT     FT_SIP_SAYS_REPEAT
#define CANCELLING FT_SIP_SAYS_CANCELLING
#define DECLINED   FT_SIP_SAYS_DECLINED
#define BUSY       FT_SIP_SAYS_BUSY
#define CANCELLED  FT_SIP_SAYS_CANCELLED
#define FAILED     FT_SIP_SAYS_FAILED
#define BRANCH     FT_SIP_SAYS_BRANCH_ENDED
#define REFUSED    FT_SIP_SAYS_BRANCH_REFUSED
#define ENDED      FT_SIP_SAYS_ENDED
/* clang-format on */

#pragma GCC diagnostic ignored \
    "-Wmissing-field-initializers" /* a step says no more than it needs */

/* One message and its verdict. status 0: a request. A CSeq of 0 is one that wasn't captured;
 * then via tells. */
typedef struct {
    ft_sip_method method;
    unsigned status;
    uint32_t cseq, from, to;
    ft_sip_verdict says;
    ft_sdp_presence sdp;
    uint32_t via;
    bool in_call;
} step;

static ft_sip_message
message_of(const step *s)
{
    return (ft_sip_message){ .method = s->method,
                             .has_method = s->cseq || !s->status,
                             .status = s->status,
                             .cseq = s->cseq,
                             .has_cseq = s->cseq != 0,
                             .via = s->via,
                             .from_tag = s->from,
                             .to_tag = s->to,
                             .sdp = s->sdp,
                             .in_call = s->in_call };
}

#define PLAY(last_word, ...)                                                 \
    do {                                                                     \
        const step steps[] = { __VA_ARGS__ };                                \
        play(steps, sizeof steps / sizeof steps[0], false, last_word);       \
        play(steps, sizeof steps / sizeof steps[0], true, last_word);        \
    } while (0)

/* twice: each message comes once more at once, by retransmission or on another 5-tuple, and says
 * nothing then. */
static void
play(const step *steps, size_t count, bool twice, ft_sip_verdict last_word)
{
    ft_transactions dialog = { 0 };

    for (size_t i = 0; i < count; i++) {
        const ft_sip_message message = message_of(&steps[i]);
        const ft_sip_verdict says = ft_sip_judge(&dialog, &message);
        if (says != steps[i].says)
            fail_msg("step %zu says %d, not %d", i, (int)says, (int)steps[i].says);
        if (twice)
            assert_int_equal(ft_sip_judge(&dialog, &message), NOTHING);
    }
    assert_int_equal(ft_sip_last_word(&dialog), last_word);
    assert_false(dialog.full);
}

/* ---- the table ---- */

static ft_invite_state
meant(unsigned status)
{
    switch (status) {
    case 401: case 407: case 413: case 415: case 416: case 420: case 422: case 491:
        return FT_INVITE_TO_BE_REPEATED;
    case 486: case 600:
        return FT_INVITE_BUSY;
    case 487:
        return FT_INVITE_CANCELLED;
    case 603:
        return FT_INVITE_DECLINED;
    default:
        if (status / 100 == 2)
            return FT_INVITE_ANSWERED;
        if (status / 100 == 3)
            return FT_INVITE_TO_BE_REPEATED;
        return status >= 400 && status < 700 ? FT_INVITE_FAILED : FT_INVITE_PENDING;
    }
}

static const ft_sip_verdict verdict_of[] = {
    [FT_INVITE_PENDING] = NOTHING,
    [FT_INVITE_ANSWERED] = ANSWERED,
    [FT_INVITE_TO_BE_REPEATED] = REPEAT,
    [FT_INVITE_DECLINED] = DECLINED,
    [FT_INVITE_BUSY] = BUSY,
    [FT_INVITE_CANCELLED] = CANCELLED,
    [FT_INVITE_FAILED] = FAILED,
};

static void
test_each_status(void **state)
{
    (void)state;
    for (unsigned status = 0; status < 1100; status++)
        assert_int_equal(ft_invite_meaning(status), meant(status));
    assert_int_equal(ft_invite_meaning(UINT32_MAX), FT_INVITE_PENDING);
}

/* Each status in each situation: first, in an answered call, after the capture's begin in
 * mid-call. */
static void
test_each_status_in_each_situation(void **state)
{
    (void)state;
    for (unsigned status = 100; status < 1000; status++) {
        const ft_invite_state means = meant(status);
        const ft_sip_verdict first = status == 180 ? RINGING : verdict_of[means];
        const ft_sip_verdict change = means == FT_INVITE_PENDING    ? NOTHING
                                      : means == FT_INVITE_ANSWERED ? CHANGED
                                                                    : UNCHANGED;

        PLAY(means == FT_INVITE_TO_BE_REPEATED ? FAILED : NOTHING,
             { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, status, 1, ALICE, BOB, first });
        PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
             { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { INVITE, 0, 7, BOB, ALICE, REINVITE },
             { INVITE, status, 7, BOB, ALICE, change }, { BYE, 0, 8, BOB, ALICE, ENDED });
        PLAY(NOTHING, { INVITE, 0, 7, BOB, ALICE, REINVITE },
             { INVITE, status, 7, BOB, ALICE, change }, { BYE, 0, 2, ALICE, BOB, ENDED });
    }
}

/* ---- lives ---- */

static void
test_plain_call(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 100, 1, ALICE, NOBODY, NOTHING }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { ACK, 0, 1, ALICE, BOB, NOTHING },
         { OTHER, 0, 2, ALICE, BOB, NOTHING }, { OTHER, 200, 2, ALICE, BOB, NOTHING },
         { OTHER, 603, 3, ALICE, BOB, NOTHING }, { BYE, 0, 4, ALICE, BOB, ENDED },
         { BYE, 200, 4, ALICE, BOB, NOTHING });
}

/* The BYE wasn't captured: what answers it ends the call, or the branch. A BYE that is refused, or
 * is answered in a dialog of which nothing was seen, ends nothing. */
static void
test_only_the_answer_to_a_bye(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { BYE, 481, 2, ALICE, BOB, NOTHING },
         { BYE, 200, 3, BOB, ALICE, ENDED }, { BYE, 0, 4, ALICE, BOB, NOTHING },
         { BYE, 200, 4, ALICE, BOB, NOTHING });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { INVITE, 200, 1, ALICE, CAROL, FORK },
         { BYE, 200, 2, ALICE, CAROL, BRANCH }, { BYE, 200, 0, NOBODY, NOBODY, NOTHING },
         { BYE, 200, 3, BOB, ALICE, ENDED });
    PLAY(NOTHING, { BYE, 200, 3, BOB, ALICE, NOTHING });
    PLAY(NOTHING, { BYE, 200, 3, BOB, ALICE, ENDED, .in_call = true });
}

static void
test_challenged_and_repeated(void **state)
{
    (void)state;
    for (unsigned status = 300; status < 500; status++) {
        if (meant(status) != FT_INVITE_TO_BE_REPEATED)
            continue;
        PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
             { INVITE, status, 1, ALICE, BOB, REPEAT }, { ACK, 0, 1, ALICE, BOB, NOTHING },
             { INVITE, 0, 2, ALICE, NOBODY, AGAIN }, { INVITE, 180, 2, ALICE, CAROL, RINGING },
             { INVITE, status, 1, ALICE, BOB, NOTHING }, { INVITE, 200, 2, ALICE, CAROL, ANSWERED },
             { BYE, 0, 3, ALICE, CAROL, ENDED });
        PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
             { INVITE, status, 1, ALICE, BOB, REPEAT }, { INVITE, 0, 2, ALICE, NOBODY, AGAIN },
             { INVITE, 486, 2, ALICE, BOB, BUSY });
    }
}

/* The answer to an INVITE that another followed decides nothing, nor does a refusal that
 * outlives its INVITE. */
static void
test_late_refusals(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 0, 2, ALICE, NOBODY, AGAIN },
         { INVITE, 486, 1, ALICE, BOB, NOTHING }, { INVITE, 200, 2, ALICE, BOB, ANSWERED });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 486, 1, ALICE, BOB, BUSY },
         { INVITE, 0, 2, ALICE, NOBODY, AGAIN }, { INVITE, 200, 2, ALICE, BOB, ANSWERED },
         { BYE, 0, 3, BOB, ALICE, ENDED });
}

static void
test_cancel(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { CANCEL, 0, 1, ALICE, NOBODY, CANCELLING }, { CANCEL, 200, 1, ALICE, BOB, NOTHING },
         { INVITE, 487, 1, ALICE, BOB, CANCELLED }, { ACK, 0, 1, ALICE, BOB, NOTHING });
    PLAY(CANCELLED, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { CANCEL, 0, 1, ALICE, NOBODY, CANCELLING }, { CANCEL, 200, 1, ALICE, BOB, NOTHING });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { CANCEL, 0, 1, ALICE, NOBODY, CANCELLING }, { INVITE, 603, 1, ALICE, BOB, DECLINED });
    PLAY(CANCELLED, { CANCEL, 0, 1, ALICE, BOB, CANCELLING });
}

/* In any order of CANCEL, its 200, and the INVITE's 200: the call is answered, and a BYE ends
 * it. */
static void
test_cancel_crosses_answer(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { CANCEL, 0, 1, ALICE, BOB, CANCELLING }, { INVITE, 200, 1, ALICE, BOB, ANSWERED },
         { CANCEL, 200, 1, ALICE, BOB, NOTHING }, { BYE, 0, 2, ALICE, BOB, ENDED });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { CANCEL, 0, 1, ALICE, BOB, CANCELLING }, { CANCEL, 200, 1, ALICE, BOB, NOTHING },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { BYE, 0, 2, ALICE, BOB, ENDED });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { CANCEL, 0, 1, ALICE, BOB, NOTHING },
         { CANCEL, 481, 1, ALICE, BOB, NOTHING }, { BYE, 0, 2, ALICE, BOB, ENDED });
}

static void
test_forks(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { INVITE, 180, 1, ALICE, CAROL, NOTHING }, { INVITE, 200, 1, ALICE, BOB, ANSWERED },
         { INVITE, 200, 1, ALICE, CAROL, FORK }, { ACK, 0, 1, ALICE, CAROL, NOTHING },
         { BYE, 0, 2, ALICE, CAROL, BRANCH }, { INVITE, 200, 1, ALICE, CAROL, NOTHING },
         { BYE, 0, 9, BOB, ALICE, ENDED });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { INVITE, 200, 1, ALICE, CAROL, FORK },
         { INVITE, 200, 1, ALICE, DAVE, FORK }, { BYE, 0, 2, ALICE, BOB, BRANCH },
         { BYE, 0, 2, DAVE, ALICE, BRANCH }, { BYE, 0, 3, ALICE, CAROL, ENDED });
    /* who only rang holds no call */
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { INVITE, 180, 1, ALICE, CAROL, NOTHING }, { INVITE, 200, 1, ALICE, BOB, ANSWERED },
         { BYE, 0, 2, ALICE, BOB, ENDED });
    /* one end refuses what another then answers */
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 486, 1, ALICE, BOB, BUSY },
         { INVITE, 200, 1, ALICE, CAROL, ANSWERED }, { BYE, 0, 2, ALICE, CAROL, ENDED });
    /* the second 200 wasn't captured: its BYE isn't the first one's */
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { BYE, 0, 2, ALICE, CAROL, BRANCH },
         { BYE, 0, 3, ALICE, BOB, ENDED });
}

#define INVITED_AND_BOTH_RING                                                                     \
    { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },           \
    {                                                                                            \
        INVITE, 180, 1, ALICE, CAROL, NOTHING                                                    \
    }

/* Final answers of other ends may still come (RFC 3261 16.7): who refuses ends its own branch, and
 * the last one the call. */
static void
test_one_end_refuses(void **state)
{
    (void)state;
    for (unsigned status = 400; status < 700; status++) {
        const ft_sip_verdict whole = verdict_of[meant(status)];
        if (meant(status) == FT_INVITE_TO_BE_REPEATED)
            continue;
        PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, status, 1, ALICE, BOB, REFUSED },
             { INVITE, 200, 1, ALICE, CAROL, ANSWERED }, { INVITE, status, 1, ALICE, BOB, NOTHING },
             { BYE, 0, 2, ALICE, CAROL, ENDED });
        PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, 603, 1, ALICE, CAROL, REFUSED },
             { INVITE, status, 1, ALICE, BOB, whole }, { INVITE, 603, 1, ALICE, CAROL, NOTHING });
        /* nothing more is heard of the one that rings */
        PLAY(whole, INVITED_AND_BOTH_RING, { INVITE, status, 1, ALICE, BOB, REFUSED });
        /* who refuses at once never rang, and speaks for itself or, with 6xx, for the person */
        PLAY(status < 600 ? whole : NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
             { INVITE, 180, 1, ALICE, BOB, RINGING },
             { INVITE, status, 1, ALICE, CAROL, status < 600 ? REFUSED : whole });
        /* whose refusal it is wasn't captured */
        PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, status, 1, ALICE, NOBODY, whole });
        /* nobody is known to ring: taken back by a 200 */
        PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
             { INVITE, 180, 1, ALICE, BOB, RINGING }, { INVITE, status, 1, ALICE, BOB, whole },
             { INVITE, 200, 1, ALICE, CAROL, ANSWERED }, { BYE, 0, 2, ALICE, CAROL, ENDED });
    }
    /* a CANCEL is of all ends */
    PLAY(NOTHING, INVITED_AND_BOTH_RING, { CANCEL, 0, 1, ALICE, NOBODY, CANCELLING },
         { INVITE, 487, 1, ALICE, BOB, CANCELLED }, { INVITE, 487, 1, ALICE, CAROL, NOTHING });
    PLAY(CANCELLED, INVITED_AND_BOTH_RING, { INVITE, 603, 1, ALICE, BOB, REFUSED },
         { CANCEL, 0, 1, ALICE, NOBODY, CANCELLING });
    PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, 603, 1, ALICE, BOB, REFUSED },
         { CANCEL, 0, 1, ALICE, NOBODY, CANCELLING }, { INVITE, 487, 1, ALICE, CAROL, CANCELLED });
    /* so is the caller's BYE of the last one that rings */
    PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, 603, 1, ALICE, BOB, REFUSED },
         { BYE, 0, 2, ALICE, CAROL, ENDED });
    /* who rang for the INVITE before doesn't ring any more */
    PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, 302, 1, ALICE, BOB, REPEAT },
         { INVITE, 0, 2, ALICE, NOBODY, AGAIN }, { INVITE, 180, 2, ALICE, DAVE, NOTHING },
         { INVITE, 603, 2, ALICE, DAVE, DECLINED });
    PLAY(NOTHING, INVITED_AND_BOTH_RING, { INVITE, 0, 2, ALICE, NOBODY, AGAIN },
         { INVITE, 486, 1, ALICE, BOB, NOTHING }, { INVITE, 603, 2, ALICE, DAVE, DECLINED });
}

/* A BYE of the caller's before the answer (RFC 3261 15) ends the branch that rang; a 200 that
 * crosses it makes no call. */
static void
test_early_bye(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { BYE, 0, 2, ALICE, BOB, ENDED }, { INVITE, 487, 1, ALICE, BOB, NOTHING });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { BYE, 0, 2, ALICE, BOB, ENDED }, { INVITE, 200, 1, ALICE, BOB, NOTHING });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { INVITE, 180, 1, ALICE, CAROL, NOTHING }, { BYE, 0, 2, ALICE, BOB, BRANCH },
         { INVITE, 200, 1, ALICE, CAROL, ANSWERED }, { BYE, 0, 3, ALICE, CAROL, ENDED });
}

/* Both change the call at once: 491 for both (14.1), and both try again. */
static void
test_glare(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED },
         { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { INVITE, 0, 2, ALICE, BOB, REINVITE },
         { INVITE, 0, 2, BOB, ALICE, REINVITE }, { INVITE, 491, 2, BOB, ALICE, UNCHANGED },
         { INVITE, 491, 2, ALICE, BOB, UNCHANGED }, { INVITE, 0, 3, BOB, ALICE, REINVITE },
         { INVITE, 200, 3, BOB, ALICE, CHANGED }, { BYE, 0, 4, ALICE, BOB, ENDED },
         { BYE, 0, 4, BOB, ALICE, NOTHING });
    PLAY(NOTHING, { INVITE, 0, 2, ALICE, BOB, REINVITE }, { CANCEL, 0, 2, ALICE, BOB, NOTHING },
         { INVITE, 487, 2, ALICE, BOB, UNCHANGED });
}

static void
test_what_was_not_captured(void **state)
{
    (void)state;
    /* the INVITE */
    PLAY(NOTHING, { INVITE, 180, 1, ALICE, BOB, RINGING }, { INVITE, 500, 1, ALICE, BOB, FAILED });
    PLAY(NOTHING, { INVITE, 200, 1, ALICE, BOB, ANSWERED }, { BYE, 0, 2, ALICE, BOB, ENDED });
    PLAY(NOTHING, { INVITE, 603, 1, ALICE, BOB, DECLINED });
    /* may be a change refused */
    PLAY(NOTHING, { INVITE, 488, 7, BOB, ALICE, NOTHING }, { BYE, 0, 8, BOB, ALICE, ENDED });
    /* its answer */
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { ACK, 0, 1, ALICE, BOB, NOTHING },
         { INVITE, 0, 2, ALICE, BOB, REINVITE }, { INVITE, 488, 2, ALICE, BOB, UNCHANGED },
         { BYE, 0, 3, BOB, ALICE, ENDED });
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 180, 1, ALICE, BOB, RINGING },
         { INVITE, 180, 1, ALICE, CAROL, NOTHING }, { BYE, 0, 5, BOB, ALICE, ENDED });
    /* the challenge */
    PLAY(NOTHING, { INVITE, 0, 1, ALICE, NOBODY, INVITED }, { INVITE, 0, 2, ALICE, NOBODY, AGAIN },
         { INVITE, 200, 2, ALICE, BOB, ANSWERED });
    /* all but the end */
    PLAY(NOTHING, { BYE, 0, 9, ALICE, BOB, ENDED });
    /* all but media before */
    PLAY(NOTHING, { INVITE, 0, 7, BOB, NOBODY, REINVITE, .in_call = true },
         { INVITE, 488, 7, BOB, ALICE, UNCHANGED });
}

/* Cut before CSeq, with Via; and before Via. */
static void
test_cut_messages(void **state)
{
    (void)state;
    PLAY(NOTHING, { INVITE, 0, 0, NOBODY, NOBODY, INVITED, .via = 1 },
         { OTHER, 100, 0, NOBODY, NOBODY, NOTHING, .via = 1 },
         { OTHER, 180, 0, NOBODY, BOB, RINGING, .via = 1 },
         { OTHER, 200, 0, NOBODY, BOB, ANSWERED, .via = 1 },
         { ACK, 0, 0, NOBODY, NOBODY, NOTHING, .via = 2 },
         { BYE, 0, 0, NOBODY, NOBODY, ENDED, .via = 3 },
         { OTHER, 200, 0, NOBODY, BOB, NOTHING, .via = 3 });
    PLAY(CANCELLED, { INVITE, 0, 0, NOBODY, NOBODY, INVITED, .via = 1 },
         { CANCEL, 0, 0, NOBODY, NOBODY, CANCELLING, .via = 1 },
         { OTHER, 200, 0, NOBODY, BOB, NOTHING, .via = 1 }); /* whose 200 is it? */
    PLAY(NOTHING, { INVITE, 0, 0, NOBODY, NOBODY, INVITED, .via = 1 },
         { CANCEL, 0, 0, NOBODY, NOBODY, CANCELLING, .via = 1 },
         { OTHER, 487, 0, NOBODY, BOB, CANCELLED, .via = 1 });
    PLAY(NOTHING, { INVITE, 0, 0, NOBODY, NOBODY, INVITED },
         { OTHER, 200, 0, NOBODY, NOBODY, NOTHING }, { BYE, 0, 0, NOBODY, NOBODY, ENDED });
}

/* ---- who offers ---- */

static bool
offers(ft_sdp_presence invite, step s)
{
    ft_transactions dialog = { 0 };
    const step begin = { INVITE, 0, 1, ALICE, NOBODY, INVITED, .sdp = invite };
    const ft_sip_message first = message_of(&begin), message = message_of(&s);

    ft_sip_judge(&dialog, &first);
    const bool before = ft_sip_offers(&dialog, &message);
    ft_sip_judge(&dialog, &message);
    assert_int_equal(ft_sip_offers(&dialog, &message), before);
    return before;
}

static void
test_offers(void **state)
{
    (void)state;
    assert_true(offers(FT_SDP_THERE, (step){ INVITE, 0, 1, ALICE, NOBODY, NOTHING }));
    assert_false(offers(FT_SDP_THERE, (step){ INVITE, 200, 1, ALICE, BOB, NOTHING }));
    assert_true(offers(FT_SDP_NONE, (step){ INVITE, 200, 1, ALICE, BOB, NOTHING }));
    assert_true(offers(FT_SDP_NONE, (step){ INVITE, 183, 1, ALICE, BOB, NOTHING }));
    assert_false(offers(FT_SDP_NONE, (step){ ACK, 0, 1, ALICE, BOB, NOTHING }));
    assert_false(offers(FT_SDP_UNKNOWN, (step){ INVITE, 200, 1, ALICE, BOB, NOTHING }));
    /* an INVITE that wasn't captured */
    assert_false(offers(FT_SDP_NONE, (step){ INVITE, 200, 9, ALICE, BOB, NOTHING }));
    assert_true(offers(FT_SDP_THERE, (step){ INVITE, 0, 2, BOB, ALICE, NOTHING }));
    assert_false(offers(FT_SDP_NONE, (step){ OTHER, 200, 1, ALICE, BOB, NOTHING }));
}

/* ---- bounds ---- */

static void
test_floods(void **state)
{
    ft_transactions dialog = { 0 };

    (void)state;
    for (uint32_t i = 1; i < 1000; i++) {
        const step steps[] = { { INVITE, 0, i, ALICE, NOBODY, NOTHING },
                               { INVITE, 200, i, ALICE, i + 1000, NOTHING },
                               { CANCEL, 0, i + 5000, ALICE, i, NOTHING } };
        for (size_t j = 0; j < 3; j++) {
            const ft_sip_message message = message_of(&steps[j]);
            ft_sip_judge(&dialog, &message);
        }
        assert_true(dialog.invite_count <= FT_MAX_INVITES_PER_DIALOG);
        assert_true(dialog.branch_count <= FT_MAX_BRANCHES_PER_DIALOG);
    }
    assert_true(dialog.full);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_status),
        cmocka_unit_test(test_each_status_in_each_situation),
        cmocka_unit_test(test_plain_call),
        cmocka_unit_test(test_only_the_answer_to_a_bye),
        cmocka_unit_test(test_challenged_and_repeated),
        cmocka_unit_test(test_late_refusals),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_crosses_answer),
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_one_end_refuses),
        cmocka_unit_test(test_early_bye),
        cmocka_unit_test(test_glare),
        cmocka_unit_test(test_what_was_not_captured),
        cmocka_unit_test(test_cut_messages),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_floods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
