/* plugin/gather.h
 * What only all packets tell of a call: which were cut, which seen twice, whether both directions are there, who
 * sent the packet that ended it; and when the file begins and ends. Gathered by tap listeners of its own, whatever
 * filter a report has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_GATHER_H
#define FT_GATHER_H

#include "calls/call.h"

#include <epan/tap.h>

#define MAX_ENDS        8       /* addresses of a call's packets that are told apart; with more, both directions are there */

typedef struct {
    address address;
    bool    sends, receives;
} end_seen;

typedef struct {
    uint32_t packets, cut, first_cut, first_twice;
    end_seen ends[MAX_ENDS];
    unsigned end_count;
    bool     both_directions;
    bool     end_known, end_is_own;     /* who sent the packet that ended the call */
} gathered;

/* Begins to gather (once, however many reports ask); an error's text, or NULL. */
GString *findings_gather(void);

/* What was gathered of the call, and of those that were found to be parts of it; but for its ends. */
gathered gathered_in(const ft_call *call);

/* Of the file: the times of its first and its last frame, by their times. */
void gathered_span(nstime_t *first, nstime_t *last);

#endif
