/* calls/clock.c
 * Whether frame times may be believed, from how far capture time follows a sender's media time
 * (RTP's timestamps): the table in calls/clock.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/clock.h"

/* Media time that a run adds to the batches: all of it, once it is long enough. */
static int64_t
batch_grown(int64_t before, int64_t now, int64_t least)
{
    return now < least ? 0 : before < least ? now : now - before;
}

/* Packets that came as if at once. */
static void
learn_batch(ft_clock_side *side, ft_clock_run *run, const ft_clock_pair *pair)
{
    if (ft_distance(pair->capture) * FT_STILL_SHARE > pair->media) {
        run->still = 0;
        return;
    }
    const int64_t before = run->still;
    run->still += pair->media;
    side->batched += batch_grown(before, run->still, FT_BATCH_US);
    side->alone += batch_grown(before, run->still, FT_BATCH_ALONE_US);
}

static bool
is_large(int64_t leap)
{
    return ft_distance(leap) >= FT_LEAP_US;
}

static bool
is_same_leap(const ft_clock_side *one, const ft_clock_side *other)
{
    const int64_t most = ft_distance(one->leap) / 4;

    return one->leap && other->leap &&
           ft_distance(one->leap - other->leap) <=
               (most > FT_SAME_LEAP_US ? most : FT_SAME_LEAP_US) &&
           ft_distance(one->leapt_at - other->leapt_at) <= FT_SAME_MOMENT_US;
}

/* A leap that wasn't made up for. A small one may be the network's: it is the clock's where the
 * other direction, whose packets go another way, has the same. */
static void
judge_leap(ft_clock *clock, const ft_clock_run *run, bool outgoing)
{
    ft_clock_side *side = &clock->side[outgoing], *other = &clock->side[!outgoing];

    if (is_large(run->whole_leap) && ft_distance(run->leap) >= FT_LEAP_US / 2) {
        clock->steps++;
        return;
    }
    side->leap = run->whole_leap;
    side->leapt_at = run->leapt_at;
    if (is_same_leap(side, other)) {
        clock->steps++;
        side->leap = other->leap = 0;
    }
}

/* A network's stall is made up for by packets that then come fast; a clock that was set stays
 * set. */
static void
learn_leap(ft_clock *clock, ft_clock_run *run, const ft_clock_pair *pair)
{
    const int64_t off = pair->capture - pair->media;

    if (run->leap == 0 || (is_large(off) && !is_large(run->whole_leap))) {
        if (ft_distance(off) < FT_SET_US)
            return;
        run->leap = run->whole_leap = off;
        run->since_leap = 0;
        run->leapt_at = pair->now;
        return;
    }
    run->leap += off;
    run->since_leap += pair->media;
    if (ft_distance(run->leap) < FT_SET_US / 2) {
        run->leap = 0;
    } else if (run->since_leap > FT_LEAP_BACK_US) {
        judge_leap(clock, run, pair->outgoing);
        run->leap = 0;
    }
}

void
ft_clock_learn(ft_clock *clock, ft_clock_run *run, const ft_clock_pair *pair)
{
    ft_clock_side *side = &clock->side[pair->outgoing];

    if (pair->media <= 0 || pair->media > FT_PAUSE_US) {
        run->still = 0;
        return;
    }
    side->media += pair->media;
    learn_batch(side, run, pair);
    learn_leap(clock, run, pair);
}

/* What a clock does it does to both directions; one that has hardly any media isn't asked. */
bool
ft_clock_has_batches(const ft_clock *clock)
{
    const ft_clock_side *in = &clock->side[0], *out = &clock->side[1];
    const bool both = in->media >= FT_SIDE_ENOUGH_US && out->media >= FT_SIDE_ENOUGH_US;

    if (both)
        return in->batched * 3 >= in->media && out->batched * 3 >= out->media;
    const int64_t alone = in->alone + out->alone;
    return alone > 0 && alone * 2 >= in->media + out->media;
}

ft_clock_verdict
ft_clock_judge(const ft_clock *clock)
{
    if (clock->side[0].media + clock->side[1].media < FT_CLOCK_ENOUGH_US)
        return FT_CLOCK_UNKNOWN;
    if (ft_clock_has_batches(clock))
        return FT_CLOCK_BATCHED;
    return clock->steps ? FT_CLOCK_STEPPED : FT_CLOCK_GOOD;
}
