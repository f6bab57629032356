/* calls/inquiry.h
 * An inquiry: which of the calls that may be meant is the packet's? What speaks for one and
 * against it is gathered here, and handed to the judge (calls/judge.h). First pass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_INQUIRY_H
#define FT_INQUIRY_H

#include "calls/call.h"
#include "calls/judge.h"
#include "calls/owners.h"
#include "calls/settled.h"

#define FT_MAX_CALLS_TRIED 16   /* calls that one packet may be of; further ones aren't looked at */

typedef struct {
    packet_info       *pinfo;
    ft_packet         *packet;
    ft_packet_ends     ends;
    const ft_calls_known *of_device, *of_other; /* a server's are nobody's */
    const ft_end_calls *of_host;
    nstime_t           now;
    bool               starts;
    ft_call           *of_leg;
    ft_call           *candidates[FT_MAX_CALLS_TRIED];
    unsigned           count;
} ft_inquiry;

ft_judgement ft_try_call(const ft_inquiry *q, const ft_call *call);

/* Which of the packet's addresses are the call's, as bits of clues. */
uint32_t ft_equal_ends(const ft_inquiry *q, const ft_call *call);

/* Who sends, as the tie-breakers are kept: behind a relay, whom the channel was bound to. */
ft_endpoint ft_who_sends(const ft_inquiry *q);

/* The hash of the modern relay's address that the packet goes to or comes from; or 0. */
uint32_t ft_modern_relay(const ft_inquiry *q);

/* Whether the call is of a kind whose checks have no tie-breakers. */
bool ft_has_no_tie_breakers(const ft_call *call);

/* Whether the call was left behind, it seems: its way is the next one's. */
bool ft_is_left(const ft_inquiry *q, const ft_call *call);

bool ft_has_clue(const ft_packet *packet, ft_clue what);

#endif
