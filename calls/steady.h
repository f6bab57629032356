/* calls/steady.h
 * The time that conclusions are drawn by: the capture's clock without its faults. A clock that
 * is set, a stamp that is wrong, or two capture points whose clocks are apart, make a frame's
 * time say nothing of how long ago the frame before it was. Pure C, no Wireshark in it; tests:
 * test_steady.c.
 *
 *    stamp close to a line's latest        goes on on that line, as the stamps do
 *    behind all lines                      a new line that begins now: nothing is older than now
 *    ahead of all lines                    a new line; believed, for a capture may pause for days,
 *                                          but in doubt until ...
 *    ... a sender goes on without a gap    no time has passed: the line is set back
 *    ... the stamps return to the old line was a stray
 *
 *    stamps  10.0 10.1 9999.0 10.2 10.3 | 3610.4 3610.5     (a stray, then a clock that was set)
 *    steady  10.0 10.1 9999.0 10.2 10.3 |   10.3   10.4     (once RTP's numbers prove it)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STEADY_H
#define FT_STEADY_H

#include <stdbool.h>
#include <stdint.h>

/* A step ahead that is shorter is a pause as any: senders fall silent. */
#define FT_STEADY_AHEAD_US INT64_C(60000000)
/* Packets of two capture points, or of a batch, come so far out of order. */
#define FT_STEADY_BACK_US  INT64_C(2000000)
/* A line that so many packets didn't come back to is forgotten; a step is in doubt as long. */
#define FT_STEADY_PACKETS  64
#define FT_STEADY_LINES    4
/* Whatever a file's stamps are, times stay within this, so that differences are numbers, too. */
#define FT_STEADY_MOST_US  (INT64_C(1) << 60)

/* Stamps that are close to each other, and the steady time of the latest. */
typedef struct {
    int64_t  stamp, steady;
    uint64_t packet;            /* its latest; 0: there is no line */
} ft_steady_line;

/* All zero: before the first packet. Private but for doubt. */
typedef struct {
    ft_steady_line lines[FT_STEADY_LINES];
    unsigned       line;        /* of the latest packet */
    unsigned       from, to;    /* the lines of a step ahead */
    uint64_t       packets;
    uint64_t       stepped;     /* the packet that stepped ahead */
    int64_t        begin;       /* its stamp */
    int64_t        before;      /* steady time of the packet before */
    bool           doubt;       /* nothing proved yet whether that time did pass */
} ft_steady_clock;

/* The steady time of the next packet, in microseconds, from its stamp. */
int64_t ft_steady_add(ft_steady_clock *clock, int64_t stamp);

/* The packet in hand follows one of that steady time without a gap, as its sender's numbers
 * prove. Returns its steady time, set back where the step ahead was none. */
int64_t ft_steady_follows(ft_steady_clock *clock, int64_t earlier);

#endif
