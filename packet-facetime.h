/* packet-facetime.h
 * For packet-facetime.c (the front door), packet-facetime-late.c (the back door),
 * packet-facetime-line.c (the line that either puts on a packet) and who has a payload for the
 * front door.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PACKET_FACETIME_H
#define FT_PACKET_FACETIME_H

#include "calls/evidence.h"
#include "calls/flow.h"
#include "wire/shape.h"

#include <epan/expert.h>

/* ---- packet-facetime.c ---- */

/* What is known of a datagram that nobody has a claim to, when it turns out as FaceTime's. */
typedef struct {
    ft_shape      shape;
    ft_generation generation;
} newcomer;

/* Whether a datagram of this shape is FaceTime's: it proves itself, or a device vouches. */
ft_shape facetime_shape_of_newcomer(const datagram *seen, const packet_info *pinfo);
bool facetime_is_ours(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

/* One datagram with its record and its line. shown: stock has shown the content already, so it
 * is only learnt from. */
int facetime_dissect(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                     ft_flow *flow, ft_generation generation, ft_path path, bool shown);

/* The payload of ChannelData or a DATA attribute, which is no layer of the packet by itself; 0
 * where it is of no shape. */
int facetime_dissect_inner(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree);

/* A datagram that an ICMP error of this sender quotes (quote: where its IP header stands in the
 * frame; content: its payload, or NULL): it was sent once already, so nothing is learnt from its
 * bytes. */
void facetime_note_icmp(tvbuff_t *frame, int quote, tvbuff_t *content, packet_info *pinfo,
                        ft_packet *packet, const address *sender);

/* The datagram that the front door was asked about in this frame: it isn't asked again. Forgotten
 * with the frame. */
typedef struct {
    uint32_t source_port, destination_port, frame;
} facetime_question;

extern G_GNUC_INTERNAL facetime_question facetime_asked;

static inline bool
facetime_was_asked(const packet_info *pinfo)
{
    return facetime_asked.frame == pinfo->num && facetime_asked.source_port == pinfo->srcport &&
           facetime_asked.destination_port == pinfo->destport;
}

/* At the end of each frame. */
static inline bool
facetime_forget_question(const packet_info *pinfo)
{
    const bool was_asked = facetime_was_asked(pinfo);

    if (facetime_asked.frame == pinfo->num)
        facetime_asked.frame = 0;
    return was_asked;
}

/* ---- packet-facetime-line.c ---- */

/* A packet of the first pass met a bound: what is shown then is shown on each pass. */
bool facetime_limit_was_met(const packet_info *pinfo);

/* The end of a packet's dissection: its line, and the tap. */
void facetime_finish_line(tvbuff_t *tvb, packet_info *pinfo, proto_item *line,
                          const ft_packet *packet);

/* When facetime is registered: fields, events, the tap. */
void facetime_register_line(int proto, expert_module_t *experts);

#endif
