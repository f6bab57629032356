/* calls/codec.h
 * Which codec a payload type is: what the call's SDP says, else FaceTime's own numbers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CODEC_H
#define FT_CODEC_H

#include "calls/types.h"

/* One payload type as SDP gives it; name and rate from a=rtpmap, or from Apple's own table where
 * the line is missing. */
typedef struct {
    uint8_t     payload_type;
    /* fit to be shown (calls/text.h), at most FT_MAX_CODEC_NAME bytes */
    const char *name;
    uint32_t    clock_rate;
    /* of the table, where nothing in FaceTime's traffic ties the codec to the number */
    bool        inferred;
} ft_codec;

#define FT_MAX_CODEC_NAME 32    /* bytes */

struct ft_call;

/* FaceTime's own payload type table (facts: legacy 7.4, modern 5.1): NULL where nobody knows the
 * number. */
const ft_codec *ft_codec_known(ft_generation generation, uint8_t payload_type);

/* "H264", "Opus (inferred)". Lives in scope, or as long as the codec. */
const char *ft_codec_str(wmem_allocator_t *scope, const ft_codec *codec);

/* One m= line. */
typedef struct {
    bool      is_video;
    uint16_t  port;
    uint32_t  ssrc;             /* a=rtpID, 0 if absent */
    ft_codec *codecs;           /* in the order of the m= line */
    unsigned  codec_count;
} ft_sdp_medium;

/* The SDP of the SIP message in hand: remembered in the packet's call and leg (first pass only;
 * copies what it keeps). Call it after ft_sip_learn(). Stock RTP and RTCP are set up later, by
 * stock/stock_rtp.c, for the addresses that media is really seen between: SDP's own addresses
 * lie behind NAT and relay. */
void ft_media_sdp(packet_info *pinfo, const ft_sdp_medium *media, unsigned count);

/* The codec of a payload type for the packet in hand: from its call's SDP, else the known table,
 * else NULL. *setup_frame (may be NULL): the SDP's frame, 0 where the table answered. */
const ft_codec *ft_media_codec(packet_info *pinfo, uint8_t payload_type, uint32_t *setup_frame);

/* The same for any packet: of this call (may be NULL), generation and frame. */
const ft_codec *ft_call_codec(const struct ft_call *call, ft_generation generation,
                              uint8_t payload_type, uint32_t frame, uint32_t *setup_frame);

/* The frame of the newest SDP before this one that names any codec of the packet's call, 0 if
 * none does. */
uint32_t ft_media_newest_sdp(packet_info *pinfo);

/* All codecs that the packet's call knows (SDP first, then the table's rest), for stock RTP's
 * dynamic payload types. */
typedef void (*ft_codec_visitor)(const ft_codec *codec, void *user);
void ft_media_codecs(packet_info *pinfo, ft_codec_visitor visit, void *user);

/* Once, with ft_media_init(). */
void ft_codec_init(void);

#endif
