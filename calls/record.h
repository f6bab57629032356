/* calls/record.h
 * What -z facetime,packets tells of the contents of a datagram: an RTP packet, a packet of the
 * modern relay; and what -z facetime,signalling tells of a message. Only made while somebody wants
 * it. Also whether stock's part of media may be left out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RECORD_H
#define FT_RECORD_H

#include "calls/media.h"
#include "calls/packet.h"

/* Lives as long as the packet's dissection; those of a datagram are a list. */
typedef struct ft_record {
    struct ft_record *next;
    ft_kind         kind;       /* of one in a chain; else the datagram's */
    bool            is_chained; /* several relay packets in the datagram */
    unsigned        index;      /* in the chain, from 0 */
    uint32_t        bytes;      /* of one in a chain */
    bool            has_link;
    uint16_t        link;
    bool            has_media;
    ft_rtp          rtp;
    const ft_codec *codec;      /* or NULL */
} ft_record;

/* Set by the report that prints them. */
extern bool ft_records_wanted;

/* A packet of the modern relay begins; or NULL where nobody wants it. */
ft_record *ft_record_new(packet_info *pinfo);

/* An RTP packet: of the relay's packet in hand, or by itself. */
void ft_record_media(packet_info *pinfo, const ft_rtp *rtp, const ft_codec *codec);

/* The latest of the datagram in hand is one of several. */
void ft_record_chained(packet_info *pinfo, unsigned index, uint32_t bytes);

/* ---- signalling ---- */

/* What the messages of a datagram say that -z facetime,signalling tells: STUN's in order, one may
 * carry another; SIP's body. Lives as long as the packet's dissection. */
typedef struct ft_said {
    wmem_array_t *types, *attributes;   /* numbers: of uint32_t */
    bool          is_answer;            /* the first of them that is one */
    nstime_t      took;                 /* since its request */
    const char   *coding;               /* of a body in SIP; or NULL */
} ft_said;

/* Set by the report that prints it. */
extern bool ft_said_wanted;

/* Of the datagram in hand; NULL where nobody wants it. */
ft_said *ft_said_get(packet_info *pinfo);

/* ---- reading lean: without stock RTP and RTCP ---- */

/* Somebody wants no more than reports. Stock has its part all the same where it is seen: in a
 * tree of fields (packets printed, display filters), in columns, by listeners (RTP streams,
 * expert infos); and where a second pass may follow, which would show what stock learnt on the
 * first. Before a file is read. */
void ft_lean_ask(void);

extern bool ft_lean_on;

static inline bool
ft_is_lean(const packet_info *pinfo, const proto_tree *tree)
{
    return ft_lean_on && !tree && !pinfo->cinfo;
}

#endif
