/* calls/resolve.h
 * From clues to calls. What learners read out of a packet that may tell its call they hand in
 * here, a clue at a time; ft_call_resolve() then puts the packet (and its way) into a call, as
 * the judge decides (calls/judge.h). All of this is first pass only; later passes find what it
 * made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RESOLVE_H
#define FT_RESOLVE_H

#include "calls/call.h"
#include "calls/judge.h"
#include "calls/owners.h"

/* A clue of the packet in hand: up to 16 bytes that nobody else has by chance. Zeros are
 * nobody's. */
void ft_clue_bytes(packet_info *pinfo, ft_clue what, const void *bytes, unsigned length);
void ft_clue_number(packet_info *pinfo, ft_clue what, uint64_t value);

/* The packet belongs to this call if to any: it answers a request of it, or its allocation is
 * that call's. */
void ft_clue_call(packet_info *pinfo, ft_call *call);

/* The call of the packet in hand: judged anew where clues came since the last time. starts: the
 * packet is of the kind that a call begins with, and so it may begin one after the end of the
 * last; others begin one only where no call is known at all. NULL where nothing tells (several
 * calls may be meant), or over FT_MAX_CALLS. Later passes: what the first one found. */
ft_call *ft_call_resolve(packet_info *pinfo, bool starts);

/* What tells no call and begins none is of its way's, but not of one that fell silent long ago, or
 * of the other generation: then the way is nobody's from here on, and this is NULL. */
ft_call *ft_call_of_way(packet_info *pinfo);

/* The call of the packet's way, if it goes on, without judging: for media of a sender that is
 * known there. First pass. */
ft_call *ft_call_quick(packet_info *pinfo);

/* The datagrams of one flow come again in the other, at another place: as copies.c has found for
 * the first time. device: the device's end of each. The call, or NULL. First pass. */
ft_call *ft_call_tie(packet_info *pinfo, const ft_flow *flow, const ft_endpoint *device,
                     const ft_flow *other, const ft_endpoint *other_device);

#endif
