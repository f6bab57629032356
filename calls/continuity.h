/* calls/continuity.h
 * Whether a media packet goes on with a stream that is known. All of it: first pass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CONTINUITY_H
#define FT_CONTINUITY_H

#include "calls/frame.h"
#include "calls/rtp.h"

/* An SSRC as a clue. Above it is a number: an SSRC of 0 is one, too. */
static inline uint64_t
ft_clue_of_ssrc(uint32_t ssrc)
{
    return UINT64_C(1) << 32 | ssrc;
}

/* Whether media of a 5-tuple that isn't known goes on with a stream of a running call that has an
 * end of it: the other one has moved. */
bool ft_media_goes_on(packet_info *pinfo, const ft_rtp *rtp, ft_generation *generation);

/* A sender report of the packet in hand: where the capture's clock leapt ahead, its RTP
 * timestamp may show that no time passed. Before its call is resolved. */
void ft_media_report(packet_info *pinfo, uint32_t ssrc, uint32_t timestamp);

/* The same of a media packet: its number and timestamp follow the latest. */
void ft_continuity_mend_clock(packet_info *pinfo, const ft_rtp *rtp);

#endif
