/* calls/silence.h
 * Silences of a call's two sides: media_gap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SILENCE_H
#define FT_SILENCE_H

#include "calls/model.h"

/* Of the senders in a direction the one that was heard last; NULL where none was. */
const ft_sender *ft_newest_sender(const ft_call *call, bool outgoing);

/* Whether it has been silent for too long at the packet in hand. */
bool ft_is_silent(const packet_info *pinfo, const ft_sender *sender);

/* ", 18.0 s after the peer's last media (frame 6216)" where the far end has been silent for
 * long, else "". Lives in pinfo->pool. */
const char *ft_silence_text(packet_info *pinfo, const ft_call *call);

/* media_gap on the packet in hand: "<what> for 3.2 s, since frame 17". First pass. */
void ft_silence_tell(packet_info *pinfo, const ft_sender *sender, const char *what);

/* The call's end also ends a silence: media_gap on this packet. First pass. */
void ft_silence_ends(packet_info *pinfo, const ft_call *call);

/* The capture's end, too, where the other side went on: media_gap in hindsight, once a call and
 * side. */
void ft_silence_judge(ft_call *call, bool outgoing);

/* Silence of a sender that makes media_gap, in milliseconds; a preference sets it. */
extern unsigned ft_media_gap_ms;

#endif
