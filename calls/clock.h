/* calls/clock.h
 * Can a capture's frame times be believed? Phones hand packets to the capture in batches: the
 * two captures of 2023 have 3,616 frames in 35 bursts that last 0.28 of 34.4 s, and 2,422 in 38
 * that last 0.14 of 37.1 s. RTP's timestamps tell: they belong to the sender and are exact. Pure
 * C, no Wireshark in it; tests: test_clock.c.
 *
 *    neighbouring packets of a stream: media time passes, capture time passes
 *    many of them with next to no capture time, FT_BATCH_US of media long      a batch
 *    batches cover half of the media time                                      FT_CLOCK_BATCHED
 *    capture time leaps FT_LEAP_US away from media time and doesn't come back  FT_CLOCK_STEPPED
 *     (the clock was set)
 *    neither, over FT_CLOCK_ENOUGH_US of media time                            FT_CLOCK_GOOD
 *
 * A network that holds packets back makes short runs, or a few long ones, of what batches are
 * made of; not half of all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CLOCK_H
#define FT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define FT_CLOCK_ENOUGH_US  2000000 /* media time that a verdict takes */
/* media time of a run of packets that came as if at once: a batch */
#define FT_BATCH_US         250000
/* "as if at once": in less than this part of their media time */
#define FT_STILL_SHARE      8
/* capture time that is this far off media time between two packets */
#define FT_LEAP_US          1000000
/* media time in which a leap is made up for where only the network held packets back */
#define FT_LEAP_BACK_US     2000000
#define FT_PAUSE_US         2000000 /* packets further apart than this are no neighbours */

typedef enum {
    FT_CLOCK_UNKNOWN,
    FT_CLOCK_GOOD,
    FT_CLOCK_BATCHED,
    FT_CLOCK_STEPPED
} ft_clock_verdict;

/* A capture point's clock: what all media streams seen there say. All zero to begin with. */
typedef struct {
    int64_t  media;     /* microseconds of media time between neighbouring packets */
    int64_t  batched;   /* of them, inside batches */
    uint32_t steps;
} ft_clock;

/* A stream's part: its newest packets. All zero to begin with. */
typedef struct {
    int64_t still;      /* media time of the run of packets that came as if at once */
    int64_t leap;       /* a leap that may yet be made up for, 0: none */
    int64_t since_leap; /* media time */
} ft_clock_run;

static inline int64_t
ft_distance(int64_t value)
{
    return value < 0 ? -value : value;
}

/* Two neighbouring packets of a stream: media and capture time from one to the next, in
 * microseconds. media > 0; what is further apart than FT_PAUSE_US only ends a run. */
void ft_clock_learn(ft_clock *clock, ft_clock_run *run, int64_t media, int64_t capture);

/* As known now. */
ft_clock_verdict ft_clock_judge(const ft_clock *clock);

/* Whether batches were seen that cover half of the media time, however short that is yet. */
bool ft_clock_has_batches(const ft_clock *clock);

#endif
