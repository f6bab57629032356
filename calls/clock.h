/* calls/clock.h
 * Can a capture's frame times be believed? Phones hand packets to the capture in batches: the
 * two captures of 2023 have 3,616 frames in 35 bursts that last 0.28 of 34.4 s, and 2,422 in 38
 * that last 0.14 of 37.1 s. RTP's timestamps tell: they belong to the sender and are exact. Pure
 * C, no Wireshark in it; tests: test_clock.c.
 *
 *    neighbouring packets of a stream: media time passes, capture time passes
 *    many of them with next to no capture time, FT_BATCH_US of media long      a batch
 *    batches cover a third of each direction's media time, or half of the
 *    only direction's                                                          FT_CLOCK_BATCHED
 *    capture time leaps FT_LEAP_US away from media time and doesn't come back  FT_CLOCK_STEPPED
 *    it leaps FT_SET_US away, the same in both directions and at once          (the clock was set)
 *    neither, over FT_CLOCK_ENOUGH_US of media time                            FT_CLOCK_GOOD
 *
 * A network that holds packets back makes runs of the same kind, but of one direction: what the
 * device sends comes evenly to a clock that is good. Where one direction alone is seen, its runs
 * must be longer than those of Wi-Fi that sleeps from beacon to beacon (FT_BATCH_ALONE_US). A
 * network may also become slower for good (another path, a queue): one direction leaps then, not
 * both by the same time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CLOCK_H
#define FT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define FT_CLOCK_ENOUGH_US  2000000 /* media time that a verdict takes */
#define FT_SIDE_ENOUGH_US   500000  /* of one direction, to be asked at all */
/* media time of a run of packets that came as if at once: a batch, where both directions have
 * such; and where one direction is all that there is */
#define FT_BATCH_US         60000
#define FT_BATCH_ALONE_US   100000
/* "as if at once": in less than this part of their media time */
#define FT_STILL_SHARE      8
/* capture time that is this far off media time between two packets */
#define FT_LEAP_US          1000000
/* the same, where both directions show it: FT_SAME_LEAP_US off each other, or a quarter of it,
 * and no further apart than FT_SAME_MOMENT_US */
#define FT_SET_US           100000
#define FT_SAME_LEAP_US     40000
#define FT_SAME_MOMENT_US   500000
/* media time in which a leap is made up for where only the network held packets back */
#define FT_LEAP_BACK_US     2000000
#define FT_PAUSE_US         2000000 /* packets further apart than this are no neighbours */

typedef enum {
    FT_CLOCK_UNKNOWN,
    FT_CLOCK_GOOD,
    FT_CLOCK_BATCHED,
    FT_CLOCK_STEPPED
} ft_clock_verdict;

/* Of one direction. */
typedef struct {
    int64_t media;      /* microseconds of media time between neighbouring packets */
    int64_t batched;    /* of them, inside runs of FT_BATCH_US */
    int64_t alone;      /* and of FT_BATCH_ALONE_US */
    /* the newest lasting leap of less than FT_LEAP_US, 0: none, and when it was */
    int64_t leap, leapt_at;
} ft_clock_side;

/* A capture point's clock: what all media streams seen there say. All zero to begin with. */
typedef struct {
    ft_clock_side side[2];  /* by outgoing */
    uint32_t      steps;
} ft_clock;

/* A stream's part: its newest packets. All zero to begin with. */
typedef struct {
    int64_t still;      /* media time of the run of packets that came as if at once */
    int64_t leap;       /* a leap that may yet be made up for, what is left of it; 0: none */
    int64_t whole_leap; /* as it began: another stall may come before it is judged */
    int64_t since_leap; /* media time */
    int64_t leapt_at;   /* capture time */
} ft_clock_run;

/* Two neighbouring packets of a stream. media > 0, microseconds; what is further apart than
 * FT_PAUSE_US only ends a run. now: the later one's capture time. */
typedef struct {
    bool    outgoing;
    int64_t media, capture, now;
} ft_clock_pair;

static inline int64_t
ft_distance(int64_t value)
{
    return value < 0 ? -value : value;
}

void ft_clock_learn(ft_clock *clock, ft_clock_run *run, const ft_clock_pair *pair);

/* As known now. */
ft_clock_verdict ft_clock_judge(const ft_clock *clock);

/* Whether batches were seen that cover so much of the media time, however short that is yet. */
bool ft_clock_has_batches(const ft_clock *clock);

#endif
