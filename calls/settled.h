/* calls/settled.h
 * What was judged before and would be judged the same again: the quick way to a packet's call.
 * First pass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SETTLED_H
#define FT_SETTLED_H

#include "calls/call.h"

/* A packet's ends: the device whose packet it is, and the other one. The relay is nobody's far
 * end. */
typedef struct {
    ft_endpoint device, other;
    bool        other_is_server;
} ft_packet_ends;

/* A packet that the judge has put into its call (packet->call). */
typedef struct {
    packet_info          *pinfo;
    const ft_packet      *packet;
    const ft_packet_ends *ends;
} ft_judged;

/* The call that the judge would find; or NULL where he has to be asked. */
ft_call *ft_settled_call(packet_info *pinfo, const ft_packet *packet);

/* So was it judged. clue_count: of all that were handed in; changed: judging it changed what may
 * decide about others. */
void ft_settle(const ft_judged *judged, unsigned clue_count, bool changed);

#endif
