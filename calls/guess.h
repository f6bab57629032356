/* calls/guess.h
 * Packets that addresses alone put into a call, until something tells whose they are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_GUESS_H
#define FT_GUESS_H

#include "calls/model.h"

/* These packets (of ft_guess) were taken for the call `from` and turn out to be of `to`: later
 * passes show both numbers. was_its_set_up: nothing else set that call up. First pass. */
void ft_call_take_over(packet_info *pinfo, ft_call *to, ft_call *from, wmem_array_t *guesses,
                       bool was_its_set_up);

/* The packet in hand is one more of these, if the allocation is a guess. NULL is none.
 * tie_breaker: that it shows, and that is whose the allocation turns out to be; or 0. First
 * pass. */
void ft_guess_keep(packet_info *pinfo, const ft_allocation *allocation, uint64_t tie_breaker);

/* Whether the packet is of a connection to a modern relay that has shown no key so far. */
bool ft_guess_is_open(const ft_packet *packet);

/* Such a packet was put into a call that goes on elsewhere. device: where it is the connection's
 * first, its end, and known: bits of what the call was known of that before (FT_CLUE_DEVICE,
 * FT_CLUE_HOST); NULL else. First pass. */
void ft_guess_connection(packet_info *pinfo, ft_call *call, const ft_endpoint *device,
                         uint32_t known);

/* Whether such a connection, taken for this call's while that talked, waits for its key. First
 * pass. */
bool ft_guess_waits(const packet_info *pinfo, const ft_call *call);

/* `next` began while such a connection waits, and may be whose that is. First pass. */
void ft_guess_next(const packet_info *pinfo, const ft_call *call, ft_call *next);

/* The packet in hand has a key, or is the first media on its connection, and is of this call: so
 * is the connection. What began meanwhile, if it is this call's, too; or NULL. First pass. */
ft_call *ft_guess_judged(packet_info *pinfo, ft_call *call);

/* Once, when the front door is registered. */
void ft_guess_init(void);

#endif
