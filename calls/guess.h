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

#endif
