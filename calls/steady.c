/* calls/steady.c
 * How much time passed, where a capture's stamps can't be believed:
 *
 *    stamp -> the nearest line -+- goes on
 *                               +- none: a new line, behind or (in doubt) ahead of the latest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/steady.h"

/* A sender's packets that follow each other without a gap are no further apart than this. */
#define NO_GAP_US INT64_C(5000000)

static int64_t
apart(int64_t from, int64_t to)
{
    return to < from ? from - to : to - from;
}

static int64_t
bounded(int64_t time)
{
    return time > FT_STEADY_MOST_US    ? FT_STEADY_MOST_US
           : time < -FT_STEADY_MOST_US ? -FT_STEADY_MOST_US
                                       : time;
}

/* Whether a stamp may be the next one of this line. */
static bool
goes_on(const ft_steady_clock *clock, const ft_steady_line *line, int64_t stamp)
{
    return line->packet && clock->packets - line->packet <= FT_STEADY_PACKETS &&
           stamp - line->stamp <= FT_STEADY_AHEAD_US && line->stamp - stamp <= FT_STEADY_BACK_US;
}

/* FT_STEADY_LINES where there is none. */
static unsigned
nearest_line(const ft_steady_clock *clock, int64_t stamp)
{
    unsigned nearest = FT_STEADY_LINES;

    for (unsigned i = 0; i < FT_STEADY_LINES; i++) {
        const ft_steady_line *line = &clock->lines[i];
        if (goes_on(clock, line, stamp) &&
            (nearest == FT_STEADY_LINES ||
             apart(line->stamp, stamp) < apart(clock->lines[nearest].stamp, stamp)))
            nearest = i;
    }
    return nearest;
}

static unsigned
stalest_line(const ft_steady_clock *clock)
{
    unsigned stalest = 0;

    for (unsigned i = 1; i < FT_STEADY_LINES; i++) {
        if (clock->lines[i].packet < clock->lines[stalest].packet)
            stalest = i;
    }
    return stalest;
}

static void
begin_line(ft_steady_clock *clock, int64_t stamp)
{
    const ft_steady_line before = clock->lines[clock->line];
    const unsigned made = stalest_line(clock);
    const bool ahead = before.packet && stamp > before.stamp;

    clock->lines[made] = (ft_steady_line){ stamp, before.packet ? before.steady : stamp, 0 };
    if (ahead) {
        clock->lines[made].steady = bounded(before.steady + (stamp - before.stamp));
        clock->doubt = true;
        clock->from = clock->line;
        clock->to = made;
        clock->stepped = clock->packets;
        clock->begin = stamp;
        clock->before = before.steady;
    }
    clock->line = made;
}

int64_t
ft_steady_add(ft_steady_clock *clock, int64_t time)
{
    const int64_t stamp = bounded(time);
    const unsigned nearest = nearest_line(clock, stamp);

    clock->packets++;
    if (clock->doubt &&
        (nearest == clock->from || clock->packets - clock->stepped > FT_STEADY_PACKETS))
        clock->doubt = false;
    if (nearest == FT_STEADY_LINES) {
        begin_line(clock, stamp);
    } else {
        ft_steady_line *line = &clock->lines[nearest];
        line->steady = bounded(line->steady + (stamp - line->stamp));
        line->stamp = stamp;
        clock->line = nearest;
    }
    clock->lines[clock->line].packet = clock->packets;
    return clock->lines[clock->line].steady;
}

int64_t
ft_steady_follows(ft_steady_clock *clock, int64_t earlier)
{
    ft_steady_line *line = &clock->lines[clock->line];

    if (clock->doubt && clock->line == clock->to && apart(earlier, clock->before) <= NO_GAP_US) {
        line->steady = clock->before + line->stamp - clock->begin;
        clock->doubt = false;
    }
    return line->steady;
}
