/* wire/relay_chain.h
 * Several packets in one datagram of a modern relay (2026).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RELAY_CHAIN_H
#define FT_RELAY_CHAIN_H

#include "calls/limits.h"
#include "wire/relay_header.h"

typedef struct {
    relay_header header;
    int start;
    int length; /* of the body */
} chain_packet;

typedef struct {
    unsigned count;
    int rest; /* where the bytes begin that nothing was made of */
    chain_packet packets[FT_MAX_CHAIN];
} relay_chain;

/* Whether it shows that this packet begins where the one before is said to end: always, but
 * behind a control message by the participant or the media's stream alone. */
bool relay_is_anchored(tvbuff_t *tvb, const chain_packet *before, const chain_packet *packet);

/* Takes a datagram apart, from its whole first header on. What is broken from the first packet
 * on has none. */
void relay_parse_chain(tvbuff_t *tvb, const relay_header *first, int end, relay_chain *chain);

#endif
