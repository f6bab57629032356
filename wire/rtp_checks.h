/* wire/rtp_checks.h
 * What of an RTP packet is wrong only beside its stream's earlier ones: pictures whose packets
 * don't add up, FEC blocks whose lengths don't.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RTP_CHECKS_H
#define FT_RTP_CHECKS_H

#include "wire/rtp_packet.h"

/* What a check found in one packet. Only such packets are remembered. */
typedef struct {
    bool     is_incomplete, is_gap, is_fec_mismatch;
    uint16_t counted;
    uint16_t previous_frame;
    uint16_t fec_sequence, fec_listed, fec_sent;
} rtp_finding;

/* A video packet whose frame the capture didn't keep: what is counted would lack it. */
bool rtp_hides_frame(const rtp_packet *rtp);

/* First pass: what is wrong with this packet, judged by the stream so far, is kept with the
 * frame. */
void rtp_check_stream(packet_info *pinfo, ft_packet *packet, tvbuff_t *tvb, const rtp_packet *rtp);

/* What was found, or NULL. */
const rtp_finding *rtp_found(packet_info *pinfo, tvbuff_t *tvb);

/* Once, when facetime_rtp is registered. */
void rtp_checks_init(int proto_facetime_rtp);

#endif
