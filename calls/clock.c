/* calls/clock.c
 * Whether frame times may be believed, from how far capture time follows a sender's media time
 * (RTP's timestamps): the table in calls/clock.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/clock.h"

/* Packets that came as if at once: from FT_BATCH_US on they are a batch, all of them. */
static void
learn_batch(ft_clock *clock, ft_clock_run *run, int64_t media, int64_t capture)
{
    if (ft_distance(capture) * FT_STILL_SHARE > media) {
        run->still = 0;
        return;
    }
    const int64_t before = run->still;
    run->still += media;
    if (run->still >= FT_BATCH_US)
        clock->batched += before >= FT_BATCH_US ? media : run->still;
}

/* A network's stall is made up for by packets that then come fast; a clock that was set stays
 * set. */
static void
learn_leap(ft_clock *clock, ft_clock_run *run, int64_t media, int64_t capture)
{
    const int64_t off = capture - media;

    if (run->leap == 0) {
        if (ft_distance(off) < FT_LEAP_US)
            return;
        run->leap = off;
        run->since_leap = 0;
        return;
    }
    run->leap += off;
    run->since_leap += media;
    if (ft_distance(run->leap) < FT_LEAP_US / 2)
        run->leap = 0;
    else if (run->since_leap > FT_LEAP_BACK_US) {
        clock->steps++;
        run->leap = 0;
    }
}

void
ft_clock_learn(ft_clock *clock, ft_clock_run *run, int64_t media, int64_t capture)
{
    if (media <= 0 || media > FT_PAUSE_US) {
        run->still = 0;
        return;
    }
    clock->media += media;
    learn_batch(clock, run, media, capture);
    learn_leap(clock, run, media, capture);
}

bool
ft_clock_has_batches(const ft_clock *clock)
{
    return clock->batched > 0 && clock->batched * 2 >= clock->media;
}

ft_clock_verdict
ft_clock_judge(const ft_clock *clock)
{
    if (clock->media < FT_CLOCK_ENOUGH_US)
        return FT_CLOCK_UNKNOWN;
    if (ft_clock_has_batches(clock))
        return FT_CLOCK_BATCHED;
    return clock->steps ? FT_CLOCK_STEPPED : FT_CLOCK_GOOD;
}
