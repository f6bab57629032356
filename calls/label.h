/* calls/label.h
 * What stands over a packet's arrow in a flow graph, in words: "Allocate", "Check, nominated",
 * "First audio out".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_LABEL_H
#define FT_LABEL_H

#include "calls/event.h"

/* Of a STUN or TURN message: "Check answered"; NULL where it has no name here. */
const char *ft_label_of_stun(unsigned method, unsigned message_class);

/* The label of the packet's message, or what its events say better. Media's own label gives way
 * to more of them. Lives as long as pinfo->pool, or label. */
const char *ft_label_by_events(packet_info *pinfo, const ft_packet *packet, const char *label,
                               bool of_media);

/* What follows a beginning, or NULL where text begins otherwise. */
const char *ft_label_after(const char *text, const char *beginning);

#endif
