/* calls/media.h
 * Media: what SDP promised (payload types, SSRCs) and what RTP does: streams, paths, gaps, losses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_MEDIA_H
#define FT_MEDIA_H

#include "calls/codec.h"
#include "calls/flow.h"
#include "calls/rtp.h"

struct ft_call;

/* An RTP packet of the packet in hand: streams, senders, path switches, copies on another path,
 * gaps, losses. Where ft_learning() is true only, which the caller has asked. */
void ft_rtp_learn(packet_info *pinfo, const ft_rtp *rtp);

/* The packet in hand is RTP, and the capture didn't keep its header: a gap around it is no loss.
 * First pass only. */
void ft_rtp_cut(packet_info *pinfo);

/* Where a packet's media is seen, and who sends it. The addresses point into the packet or what
 * the file keeps. */
typedef struct {
    ft_endpoint device;
    ft_endpoint sender;     /* AT_NONE where a relay doesn't name it */
    bool        outgoing;   /* the device sends it */
} ft_observation;

/* Media of the packet in hand that isn't seen as RTP (inside QUIC): path switches, gaps, the far
 * end. Opens its call where there is none. False without one. First pass only. */
bool ft_media_heard(packet_info *pinfo, ft_observation *seen);
/* True where the call's device sends the packet, which has a call. */
bool ft_media_is_outgoing(packet_info *pinfo, const ft_packet *packet);

/* The flow of this frame and the one that a sender used before it turn out to be two sides of a
 * NAT: media didn't move there. First pass only. */
void ft_media_same_way(struct ft_call *call, uint32_t frame);

/* An FEC parity packet, which repeats a source packet's sequence number: only tells the record
 * its stream. */
void ft_rtp_parity(packet_info *pinfo, const ft_rtp *rtp);

/* The capture's end ends silences, too, where one side went on. When all packets were seen;
 * again is harmless. */
void ft_media_hindsight(void);

/* Whether media that no signalling announced may be claimed on its own evidence; a preference
 * sets it. */
extern ws_bool ft_accept_bare_media;

/* Once, when the front door is registered. */
void ft_media_init(void);

#endif
