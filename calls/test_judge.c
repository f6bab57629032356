/* calls/test_judge.c
 * The judge, by the design's own words: each clue alone, each pair of clues against each other,
 * and the stories.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after what it needs */
#include <cmocka.h>

#define BIT(clue) FT_CLUE_BIT(FT_CLUE_##clue)

static void
expect(ft_trial trial, ft_verdict verdict, ft_strength strength)
{
    const ft_judgement judged = ft_judge(&trial);

    assert_int_equal(judged.verdict, verdict);
    assert_int_equal(judged.strength, strength);
}

/* What the design says of each clue: how strong, and whether another value means another call. */
static const struct {
    ft_clue     clue;
    ft_strength strength;
    bool        excludes;
} design[] = {
    { FT_CLUE_CALL_ID, FT_DECIDES, true },          { FT_CLUE_TIE_BREAKER, FT_DECIDES, true },
    { FT_CLUE_KEY, FT_DECIDES, true },              { FT_CLUE_LINK_MESSAGE, FT_DECIDES, false },
    { FT_CLUE_CANDIDATE_CALL, FT_STRONG, false },   { FT_CLUE_CANDIDATE, FT_STRONG, false },
    { FT_CLUE_RESERVATION, FT_STRONG, true },       { FT_CLUE_PARTICIPANT, FT_STRONG, false },
    { FT_CLUE_SSRC, FT_STRONG, false },             { FT_CLUE_DEVICE, FT_WEAK, false },
    { FT_CLUE_PEER, FT_WEAK, false },
};
#define CLUES (sizeof design / sizeof *design)

static void
test_each_clue_alone(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < CLUES; i++) {
        const uint32_t bit = FT_CLUE_BIT(design[i].clue);
        if (design[i].strength == FT_WEAK) {
            expect((ft_trial){ .equal = bit, .only = true }, FT_SAME, FT_WEAK);
            expect((ft_trial){ .equal = bit, .only = false }, FT_UNKNOWN, FT_NOTHING);
            continue;
        }
        expect((ft_trial){ .equal = bit }, FT_SAME, design[i].strength);
        if (design[i].excludes)
            expect((ft_trial){ .different = bit }, FT_OTHER, design[i].strength);
        else
            expect((ft_trial){ .different = bit }, FT_UNKNOWN, FT_NOTHING);
    }
}

/* Neither the leg nor addresses outweigh what tells; and no number of strong clues outweighs one
 * that decides. */
static void
test_what_contradicts_outweighs_the_way(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < CLUES; i++) {
        if (!design[i].excludes)
            continue;
        expect((ft_trial){ .different = FT_CLUE_BIT(design[i].clue),
                           .on_leg = true,
                           .equal = BIT(DEVICE) | BIT(PEER),
                           .only = true },
               FT_OTHER, design[i].strength);
    }
    expect((ft_trial){ .different = BIT(TIE_BREAKER),
                       .equal = BIT(CANDIDATE) | BIT(SSRC) | BIT(PARTICIPANT) },
           FT_OTHER, FT_DECIDES);
    expect((ft_trial){ .different = BIT(RESERVATION), .equal = BIT(TIE_BREAKER) }, FT_SAME,
           FT_DECIDES);
}

static void
test_each_pair_that_decides(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < FT_CLUE_COUNT; i++) {
        for (unsigned j = 0; j < FT_CLUE_COUNT; j++) {
            if (i == j || ft_clue_rows[i].strength != FT_DECIDES ||
                ft_clue_rows[j].strength != FT_DECIDES || !ft_clue_rows[j].excludes)
                continue;
            expect((ft_trial){ .equal = FT_CLUE_BIT(i), .different = FT_CLUE_BIT(j) },
                   i < j ? FT_SAME : FT_OTHER, FT_DECIDES);
        }
    }
}

static void
test_the_way(void **unused)
{
    (void)unused;
    expect((ft_trial){ .on_leg = true }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .starts = true }, FT_SAME, FT_LEG);
    /* its tail */
    expect((ft_trial){ .on_leg = true, .over = true, .age = 2 }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .over = true, .starts = true, .age = 2 }, FT_UNKNOWN,
           FT_NOTHING);
    expect((ft_trial){ .on_leg = true, .over = true, .age = 121 }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .on_leg = true, .over = true, .starts = true, .missed_bye = true,
                       .age = 4 }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .over = true, .starts = true, .missed_bye = true,
                       .age = 4, .different = BIT(TIE_BREAKER) }, FT_OTHER, FT_DECIDES);
    expect((ft_trial){ .on_leg = true, .over = true, .starts = true, .missed_bye = true,
                       .age = 6 }, FT_UNKNOWN, FT_NOTHING);
    /* ... that of a modern call whose socket the device closed is short */
    expect((ft_trial){ .on_leg = true, .over = true, .shut = true, .age = 5 }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .over = true, .shut = true, .age = 6 }, FT_UNKNOWN,
           FT_NOTHING);
    /* a connection that was set up anew, and media of a sender that nobody knows there */
    expect((ft_trial){ .on_leg = true, .new_sender = true, .talked = true, .media_age = 0.9 },
           FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .new_sender = true, .talked = true, .media_age = 1.1 },
           FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .on_leg = true, .new_sender = true, .talked = true, .media_age = 9,
                       .batched = true }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .new_sender = true, .media_age = 60 }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .new_sender = true, .talked = true, .media_age = 5,
                       .equal = BIT(PARTICIPANT) }, FT_SAME, FT_STRONG);
    /* a call that was left, and a sender or a link that nobody has */
    expect((ft_trial){ .on_leg = true, .fresh = true, .left = true }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .on_leg = true, .left = true }, FT_SAME, FT_LEG);
    expect((ft_trial){ .on_leg = true, .fresh = true }, FT_SAME, FT_LEG);
    expect((ft_trial){ .fresh = true, .left = true, .equal = BIT(DEVICE), .only = true },
           FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .fresh = true, .left = true, .equal = BIT(PARTICIPANT) }, FT_SAME,
           FT_STRONG);
    /* a new key after the end; one that the call has, or a participant of it, is its own */
    expect((ft_trial){ .on_leg = true, .next_key = true }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .next_key = true, .equal = BIT(DEVICE), .only = true }, FT_UNKNOWN,
           FT_NOTHING);
    expect((ft_trial){ .on_leg = true, .next_key = true, .equal = BIT(PARTICIPANT) }, FT_SAME,
           FT_STRONG);
    /* nobody answered: somebody tries again */
    expect((ft_trial){ .on_leg = true, .starts = true, .again = true }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .on_leg = true, .again = true, .equal = BIT(TIE_BREAKER) }, FT_SAME,
           FT_DECIDES);
    /* no call has messages of both generations, unless a clue says so */
    expect((ft_trial){ .on_leg = true, .other_generation = true }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .other_generation = true, .equal = BIT(DEVICE), .only = true }, FT_UNKNOWN,
           FT_NOTHING);
    expect((ft_trial){ .other_generation = true, .equal = BIT(SSRC) }, FT_SAME, FT_STRONG);
    /* checks of two calls to one private address */
    expect((ft_trial){ .on_leg = true, .may_be_others = true }, FT_UNKNOWN, FT_NOTHING);
}

static void
test_addresses(void **unused)
{
    (void)unused;
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .far_age = 60 }, FT_SAME, FT_WEAK);
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .far_age = 60, .starts = true },
           FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .far_age = 5, .starts = true }, FT_SAME,
           FT_WEAK);
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .age = 121, .far_age = 121 }, FT_UNKNOWN,
           FT_NOTHING);
    expect((ft_trial){ .equal = BIT(PEER), .only = true, .over = true, .starts = true }, FT_UNKNOWN,
           FT_NOTHING);
    /* it shows another far end, whether it may begin a call or not; but that is no contradiction */
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .elsewhere = true }, FT_UNKNOWN,
           FT_NOTHING);
    expect((ft_trial){ .equal = BIT(CANDIDATE), .elsewhere = true }, FT_SAME, FT_STRONG);
    /* a new connection to another relay: while media flows, and after it stopped */
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .starts = true, .renews = true,
                       .talked = true, .far_age = 0.5 }, FT_SAME, FT_WEAK);
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .starts = true, .renews = true,
                       .talked = true, .far_age = 2 }, FT_UNKNOWN, FT_NOTHING);
    /* ... as far as a clock tells that comes in batches */
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .starts = true, .renews = true,
                       .talked = true, .batched = true, .far_age = 2 }, FT_SAME, FT_WEAK);
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .starts = true, .renews = true,
                       .talked = true, .batched = true, .far_age = 11 }, FT_UNKNOWN, FT_NOTHING);
}

/* SIP in a channel, the capture beginning there, while another call's checks go elsewhere. */
static void
test_who_sip_names(void **unused)
{
    (void)unused;
    expect((ft_trial){ .equal = BIT(DEVICE), .only = true, .names_another = true }, FT_UNKNOWN,
           FT_NOTHING);
    /* but a name is no contradiction */
    expect((ft_trial){ .on_leg = true, .names_another = true }, FT_SAME, FT_LEG);
    expect((ft_trial){ .equal = BIT(CALL_ID), .names_another = true }, FT_SAME, FT_DECIDES);
}

static void
test_an_ssrc_holds_for_30_seconds(void **unused)
{
    (void)unused;
    expect((ft_trial){ .equal = BIT(SSRC), .age = 29 }, FT_SAME, FT_STRONG);
    expect((ft_trial){ .equal = BIT(SSRC), .age = 31 }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .equal = BIT(KEY), .age = 86400 }, FT_SAME, FT_DECIDES);
}

static void
test_an_ssrc_on_a_strange_way(void **unused)
{
    static const struct { ft_move move; bool ties; } cases[] = {
        { { .heard = false }, true },               /* no media of it so far */
        { { .heard = true, .packets = 1, .ways = 1 }, false },
        { { .heard = true, .packets = 1, .ways = 1, .repeats = true }, true },
        { { .heard = true, .packets = 2, .ways = 1 }, true },
        { { .heard = true, .packets = 3, .ways = 2, .repeats = true }, false },
        { { .heard = true, .packets = 4, .ways = 2 }, true },
        { { .heard = true, .packets = 100, .ways = 2, .beside = true }, false },
        { { .heard = true, .packets = 100, .ways = 3, .moves = 2, .moved_age = 1 }, true },
        { { .heard = true, .packets = 100, .ways = 4, .moves = 3, .moved_age = 1 }, false },
        { { .heard = true, .packets = 100, .ways = 4, .moves = 3, .moved_age = 30 }, false },
        { { .heard = true, .packets = 100, .ways = 4, .moves = 3, .moved_age = 31 }, true },
        { { .heard = false, .moves = 3, .moved_age = 1 }, false },
    };

    (void)unused;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ft_judge_move(&cases[i].move), cases[i].ties);
}

static void
test_nothing_tells_nothing(void **unused)
{
    (void)unused;
    expect((ft_trial){ .only = true }, FT_UNKNOWN, FT_NOTHING);
    expect((ft_trial){ .starts = true }, FT_UNKNOWN, FT_NOTHING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_clue_alone),
        cmocka_unit_test(test_what_contradicts_outweighs_the_way),
        cmocka_unit_test(test_each_pair_that_decides),
        cmocka_unit_test(test_the_way),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_who_sip_names),
        cmocka_unit_test(test_an_ssrc_holds_for_30_seconds),
        cmocka_unit_test(test_an_ssrc_on_a_strange_way),
        cmocka_unit_test(test_nothing_tells_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
