/* calls/export.h
 * The export "FaceTime without relay" (File > Strip Headers, tshark -U): FaceTime's datagrams as
 * if there were no relay. What a relay carries goes directly between the ends, without the
 * relay's header; what is for the relay alone is left out. A far end that nobody names has a
 * documentation address (RFC 5737, RFC 3849), the same for the same far end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_EXPORT_H
#define FT_EXPORT_H

#include "calls/relay.h"

/* A datagram with all that it carries, when its record is complete. Nothing where its content
 * went out by itself. */
void ft_export_whole(packet_info *pinfo, const ft_packet *packet, tvbuff_t *tvb);

/* The content of a TURN channel or a DATA attribute. */
void ft_export_inner(packet_info *pinfo, const ft_packet *packet, tvbuff_t *tvb);

/* A body behind the modern relay's header. */
void ft_export_body(packet_info *pinfo, const ft_packet *packet, const ft_relay_header *header,
                    tvbuff_t *tvb);

/* Once, when the front door is registered: before the plugin's, Wireshark knows no export of
 * that name. */
void ft_export_init(void);

#endif
