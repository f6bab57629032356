/* calls/owners.h
 * Whose a value is (a Call-ID, a key, an SSRC ...), and which calls an address had: what was
 * learnt of earlier packets, for calls/resolve.c to ask. All of it is of the first pass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_OWNERS_H
#define FT_OWNERS_H

#include "calls/call.h"
#include "calls/judge.h"

#define FT_CALLS_OF_END 4   /* latest calls that an address is known of */

typedef struct {
    ft_call *call;
    nstime_t moved_time;    /* of an SSRC: when a strange way was tied to it last */
    unsigned moves;         /* such ways, each soon after the one before */
} ft_value_owner;

/* An address's latest calls, newest first. */
typedef struct {
    ft_call *calls[FT_CALLS_OF_END];
} ft_end_calls;

/* Who has the clue's value, or NULL. */
ft_value_owner *ft_owner_of(const ft_packet_clue *clue);

/* The value is the call's, unless it is another's for good. */
void ft_own(packet_info *pinfo, const ft_packet_clue *clue, ft_call *call);

/* The same bytes are the call's from now on, whoever brings them: what SDP announces. */
void ft_clue_own(packet_info *pinfo, ft_call *call, ft_clue what, uint64_t value);

/* The call that has this value, as of the packet in hand; or NULL. First pass. */
const ft_call *ft_clue_owner(const packet_info *pinfo, ft_clue what, uint64_t value);

/* The calls of an end, by what it was to them; NULL: nothing. */
typedef struct {
    ft_end_calls *device, *peer, *offer, *host, *home;
} ft_calls_known;

/* Of an end of the packet in hand. Never NULL. */
const ft_calls_known *ft_calls_known_of(const packet_info *pinfo, const ft_endpoint *end);

/* The same of one alone: FT_CLUE_DEVICE, FT_CLUE_PEER, FT_CLUE_OFFER, FT_CLUE_HOST or
 * FT_CLUE_HOME. */
const ft_end_calls *ft_calls_of_end(const packet_info *pinfo, ft_clue what,
                                    const ft_endpoint *end);

void ft_set_call_of_end(packet_info *pinfo, ft_clue what, const ft_endpoint *end, ft_call *call);

/* The same, where what is known of the end was looked up before; known may be NULL. */
void ft_set_call_of_known(packet_info *pinfo, const ft_calls_known *known, ft_clue what,
                          const ft_endpoint *end, ft_call *call);

/* It was none of the call's. */
void ft_forget_call_of_end(const packet_info *pinfo, ft_clue what, const ft_endpoint *end,
                           const ft_call *call);

/* An end that the call will meet: the peer of a channel's bind, the target of a check
 * (FT_CLUE_PEER), or one that its signalling offers (FT_CLUE_OFFER). A private address names
 * nobody, so one that was met is left out, and one that was offered (FT_CLUE_HOME) only tells
 * apart calls that are known of the device. */
void ft_clue_expect(packet_info *pinfo, ft_call *call, ft_clue what, const ft_endpoint *end);

/* As ft_set_call_of_known(). */
void ft_clue_expect_known(packet_info *pinfo, ft_call *call, const ft_calls_known *known,
                          ft_clue what, const ft_endpoint *end);

/* A host, as FT_CLUE_HOST has it: the address, whatever the port. */
ft_endpoint ft_without_port(const ft_endpoint *device);

/* An address that means nothing outside of its network, and may be anybody's there. */
bool ft_is_private(const address *addr);

/* Of those, what a carrier gives to many (RFC 6598). */
bool ft_is_shared(const address *addr);

/* Once, when the front door is registered. */
void ft_owners_init(void);

#endif
