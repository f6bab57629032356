/* wire/rtp_proof.h
 * The proof that media is FaceTime's (ft_proof, calls/evidence.h), and a look at what may be media.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RTP_PROOF_H
#define FT_RTP_PROOF_H

#include "calls/trailer.h"

/* What the bytes of an RTP packet show, without state. */
typedef struct {
    ft_rtp     fixed;
    /* that ends in a word; else the one with a tag, if its key is fresh */
    ft_trailer trailer;
    /* no padding, no CSRC, a payload type of FaceTime's: all 5366 packets of 2023 */
    bool       is_plain;
    /* it is there, of a known version, and its fields are as long as it says */
    bool       extension_fits;
    uint8_t    version;         /* of the extension, 0 where there is none */
    bool       is_cut;          /* by the capture: there is no trailer to see */
} ft_rtp_look;

/* False where there is no RTP header. */
bool rtp_look_at(tvbuff_t *tvb, ft_rtp_look *look);

/* By payload type, first byte and last one (captured > 1): whether there may be a mark that proves
 * it, or enough packets without one. Else nothing but a call, or a device, that is known does. */
bool rtp_may_prove(const uint8_t *bytes, unsigned captured);

/* On any path; in a relay's channel. */
bool rtp_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);
bool rtp_proves_relayed(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

/* Of a call that is known, from or to where its device, or its peer, is now: a whole RTP header.
 * Whether it does is known when it comes; later passes find what the first one found. */
bool rtp_continues_call(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

#endif
