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

/* A clue of the packet in hand: up to 16 bytes that nobody else has by chance. Zeros are
 * nobody's. */
void ft_clue_bytes(packet_info *pinfo, ft_clue what, const void *bytes, unsigned length);
void ft_clue_number(packet_info *pinfo, ft_clue what, uint64_t value);

/* The packet belongs to this call if to any: it answers a request of it, or its allocation is
 * that call's. */
void ft_clue_call(packet_info *pinfo, ft_call *call);

/* The same bytes are the call's from now on, whoever brings them: what SDP announces. */
void ft_clue_own(packet_info *pinfo, ft_call *call, ft_clue what, uint64_t value);

/* The call that has this value, as of the packet in hand; or NULL. First pass. */
const ft_call *ft_clue_owner(const packet_info *pinfo, ft_clue what, uint64_t value);

/* An end that the call will meet: the peer of a channel's bind, the target of a check
 * (FT_CLUE_PEER), or one that its signalling offers (FT_CLUE_OFFER). A private address names
 * nobody, so it is left out. */
void ft_clue_expect(packet_info *pinfo, ft_call *call, ft_clue what, const ft_endpoint *end);

/* The call of the packet in hand: judged anew where clues came since the last time. starts: the
 * packet is of the kind that a call begins with, and so it may begin one after the end of the
 * last; others begin one only where no call is known at all. NULL where nothing tells (several
 * calls may be meant), or over FT_MAX_CALLS. Later passes: what the first one found. */
ft_call *ft_call_resolve(packet_info *pinfo, bool starts);

/* The call of the packet's way, if it goes on, without judging: for media of a sender that is
 * known there. First pass. */
ft_call *ft_call_quick(packet_info *pinfo);

/* An address that means nothing outside of its network, and may be anybody's there. */
bool ft_is_private(const address *addr);

/* Once, when the front door is registered. */
void ft_resolve_init(void);

#endif
