/* calls/telephony.h
 * Calls in Telephony > VoIP Calls. Wireshark's call list listens to a tap named "voip"
 * (epan/tap-voip.h) that stock leaves to others; a call is told there by its packets, media left
 * to stock's own RTP tap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TELEPHONY_H
#define FT_TELEPHONY_H

#include "calls/packet.h"

/* Tells the call list of the packet in hand, if it belongs to a call, isn't media or SIP (stock
 * tells of these), and somebody listens. */
void ft_telephony_tell(packet_info *pinfo, const ft_packet *packet);

/* Once, in the front door's hand-off: after stock's, so that no stock protocol takes up the tap. */
void ft_telephony_init(void);

#endif
