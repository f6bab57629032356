/* plugin/words.h
 * What a call is, in words that the reports and the tables share (timeline.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_WORDS_H
#define FT_WORDS_H

#include "calls/call.h"

/* "legacy", "modern", "ichat", "gamekit", "unknown" */
const char *ft_generation_text(const ft_call *call);

/* "answered", "ringing", "media", ... */
const char *ft_state_text(const ft_call *call);

/* How it ended, as signalling says it; "not in this file" */
const char *ft_end_text(const ft_call *call);

#endif
