/* wire/rtp_proof.h
 * The proof that media is FaceTime's (ft_proof, calls/evidence.h), and a look at what may be media.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RTP_PROOF_H
#define FT_RTP_PROOF_H

#include "calls/trailer.h"
#include "wire/shape.h"

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

/* The same for what most packets are: plain, with a trailer that ends in a word. */
bool rtp_ends_in_word(const datagram *seen);

/* False where there is no RTP header. */
bool rtp_look_at(const datagram *seen, ft_rtp_look *look);

static inline bool
rtp_is_bare_type(uint8_t payload_type)
{
    return payload_type == 104 || payload_type == 119;
}

/* The last byte of the long trailers and of a group's. Tags may end in any: behind an extension
 * of version 2 only, which RFC 8285's BEDE would be by its first bits. */
static inline bool
rtp_ends_as_trailer(uint8_t last)
{
    return last == 0 || last == 0x20;
}

/* RTP (no RTCP) without a mark that may prove it, and of no payload type of which enough packets
 * do: nothing but a call, or a device, that is known does. captured: 2 at least. */
static inline bool
rtp_is_unmarked(const uint8_t *bytes, unsigned captured)
{
    return (bytes[0] & 0xd0) == 0x80 && (bytes[1] & 0xe0) != 192 &&
           !rtp_is_bare_type(bytes[1] & 0x7f) && !rtp_ends_as_trailer(bytes[captured - 1]);
}

/* On any path; in a relay's channel. */
bool rtp_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);
bool rtp_proves_relayed(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

/* Of a call that is known, from or to where its device, or its peer, is now: a whole RTP header.
 * Whether it does is known when it comes; later passes find what the first one found. */
bool rtp_continues_call(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

#endif
