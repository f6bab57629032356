/* calls/mark.h
 * What a packet by itself shows of its call's quality: round trip, freeze, a picture that lacks
 * packets; kept with the frame, so that each pass shows what the first one knew. And the capture
 * clocks that decide which times are believed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_MARK_H
#define FT_MARK_H

#include "calls/clock.h"
#include "calls/packet.h"

/* What a frame shows of its call's quality. Microseconds, -1 where there is none. */
typedef struct {
    int32_t rtt, freeze;
    bool    is_incomplete;
    bool    clock_is_good;      /* the capture clock could be believed, as judged up to here */
} ft_mark;

/* A round trip measured by the capture clock: of a check (its answer is in hand), of RTCP. Kept
 * with the frame where the clock can be believed so far. First pass. */
void ft_mark_rtt(packet_info *pinfo, int64_t microseconds);

/* A round trip that the packet's own stamps tell: no capture clock is asked. First pass. */
void ft_mark_told_rtt(packet_info *pinfo, int64_t microseconds);

/* The packet in hand ends a freeze; it shows that a picture lacks packets. First pass. */
void ft_mark_freeze(packet_info *pinfo, int64_t microseconds);
void ft_mark_incomplete(packet_info *pinfo);

/* What the frame in hand shows, or NULL. */
const ft_mark *ft_mark_get(const packet_info *pinfo);

/* Whether frame times may be compared at this packet, by the media up to here: judged on the
 * first pass, once the packet's addresses are known; then asked for on every pass. */
void ft_mark_judge_clock(packet_info *pinfo);
bool ft_mark_clock_is_good(const packet_info *pinfo);

/* The capture clock of the device at this address; make: a new one where there is none. NULL
 * over FT_MAX_DEVICES. */
ft_clock *ft_clock_at(packet_info *pinfo, const address *device, bool make);

/* Whether frame times at this device come in batches of about a second, as far as is known now:
 * what lies between two of them has no tenths then. First pass. */
bool ft_clock_is_batched_at(const address *device);

/* "3.2 s", or "about 3 s" where frame times are rough. */
const char *ft_seconds_text(wmem_allocator_t *scope, double seconds, bool is_rough);

/* Once, when the front door is registered. */
void ft_mark_init(void);

#endif
