/* calls/stun.h
 * The conclusions that are drawn from a STUN or TURN message (calls/stun_facts.h): allocations,
 * channels, connectivity checks, nominations, events, calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STUN_H
#define FT_STUN_H

#include "calls/flow.h"
#include "calls/stun_facts.h"

/* Learns from the message of the packet in hand (first pass only; else a no-op). exchange: of
 * this message, may be NULL. is_retransmission: as ft_exchange_request() told. Call it after the
 * exchange was looked up, once per message. */
void ft_stun_learn(packet_info *pinfo, const ft_stun *stun, const ft_exchange *exchange,
                   bool is_retransmission);

/* The leg of a channel of the packet in hand, as ft_leg_find() has it; a new one where the number
 * was surely bound anew since. NULL over FT_MAX_LEGS_PER_FLOW. */
ft_leg *ft_channel_leg(packet_info *pinfo, ft_flow *flow, uint16_t channel);

/* ChannelData on a leg, before its content is looked at: whose flow it is. First pass only. */
void ft_channel_used(packet_info *pinfo, ft_leg *leg);

/* Once the content told which call the packet is of: early_channel_data, released_channel_used.
 * The front door's, first pass. */
void ft_channel_judge(packet_info *pinfo);

#endif
