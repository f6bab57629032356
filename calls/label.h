/* calls/label.h
 * What stands over a packet's arrow in a flow graph or a ladder, in words: "Allocate", "Check,
 * nominated", "First audio out".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_LABEL_H
#define FT_LABEL_H

#include "calls/event.h"

/* Of a STUN or TURN message: "Check answered"; NULL where it has no name here. */
const char *ft_label_of_stun(unsigned method, unsigned message_class);

/* Of any packet; `ended` is the stream whose last packet it is, or NULL. Asks for Info, where the
 * message's name is nowhere else. Lives as long as pinfo->pool. */
const char *ft_label(packet_info *pinfo, const ft_packet *packet, const struct ft_stream *ended);

/* Of a step of a list that has its own SIP and RTP: the message, or its kind. */
const char *ft_label_of_step(packet_info *pinfo, const ft_packet *packet);

/* Media, and what goes along with it: told by its first and last packet and by events only. */
bool ft_label_is_media(const ft_packet *packet);

/* An ICMP error, which quotes a packet. */
bool ft_label_is_error(const ft_packet *packet);

#endif
