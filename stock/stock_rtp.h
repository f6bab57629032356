/* stock/stock_rtp.h
 * Stock RTP and RTCP: set up for the addresses that media is really seen between, with
 * FaceTime's codec names, marked as encrypted; and called.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STOCK_RTP_H
#define FT_STOCK_RTP_H

#include "calls/call.h"

extern dissector_handle_t stock_rtp_handle, stock_rtcp_handle;

/* Sets up stock RTP and RTCP for both ends of the packet: once for each way and SDP. First pass.
 * sdp_frame: of the packet's payload type, 0 if no SDP named it. */
void stock_set_up_media(packet_info *pinfo, ft_packet *packet, uint32_t sdp_frame);

/* Stock's part of the packet. What it throws ends its part only. tapped: whether it counts in
 * stock's statistics. */
void stock_rtp_call(dissector_handle_t handle, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                    const ft_packet *packet, bool tapped);

/* Once, when facetime_rtp is registered; when it is handed off. */
void stock_rtp_init(int proto_facetime_rtp);
void stock_rtp_handoff(void);

#endif
