/* calls/preparation.h
 * Packets of Apple's servers around a call (NAT tests, HTTP check), tied to it by the device's
 * address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PREPARATION_H
#define FT_PREPARATION_H

#include "calls/model.h"

/* A packet of Apple's servers around a call (NAT tests, HTTP check): tied to the device's
 * running call, else to its next one. Later passes find what the first one made. Call it before
 * events are added. */
void ft_call_prepare(packet_info *pinfo, const address *device);

/* A call has begun, or goes on, at this device: what was kept for it is its own now. First pass. */
void ft_call_adopt_preparations(packet_info *pinfo, ft_call *call, const address *device);

/* The same for who asks at each packet of media: what is kept for the device (or NULL), and
 * whether all of it is the call's already. */
typedef struct ft_host ft_host;
const ft_host *ft_call_host(const packet_info *pinfo, const address *device);
bool ft_call_has_adopted(const ft_host *known, const ft_call *call);

/* The call that ft_call_prepare() tied the packet to, or NULL. *known_from: the frame that told
 * it; where that comes later, this is a link forward, so only later passes have it. */
const ft_call *ft_call_prepared_by(packet_info *pinfo, uint32_t *known_from);

/* Ties a frame that was seen before to the call, from the packet in hand on. False over
 * FT_MAX_PREPARED_FRAMES: later passes wouldn't know, so this one doesn't say either. First
 * pass. */
bool ft_prepared_tie(packet_info *pinfo, ft_frame *frame, ft_call *call);

/* Once, when the front door is registered. */
void ft_preparation_init(void);

/* The packet in hand was learnt from, and its call is known: where a copy of it came ahead from
 * another place, and has another number or none, that one is of this call, too. */
void ft_call_prepare_ahead(packet_info *pinfo);

#endif
