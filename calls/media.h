/* calls/media.h
 * Media: what SDP promised (payload types, SSRCs) and what RTP does: streams, paths, gaps, losses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_MEDIA_H
#define FT_MEDIA_H

#include "calls/codec.h"
#include "calls/flow.h"

struct ft_call;

typedef enum { FT_MEDIUM_UNKNOWN, FT_MEDIUM_AUDIO, FT_MEDIUM_VIDEO } ft_medium;

#define FT_KEY_LENGTH 8     /* bytes of a 16-byte key id that tell senders apart */

typedef struct {
    uint32_t       ssrc;
    uint32_t       timestamp;
    uint16_t       sequence;
    uint8_t        payload_type;
    bool           marker;
    ft_medium      medium;      /* of the payload type */
    /* of timestamp and payload: two packets of one number with one digest are copies */
    uint32_t       digest;
    /* the first FT_KEY_LENGTH bytes of the sender's key id, NULL where it shows none */
    const uint8_t *key;
} ft_rtp;

/* An RTP packet of the packet in hand: streams, senders, path switches, copies on another path,
 * gaps, losses. First pass only. */
void ft_rtp_learn(packet_info *pinfo, const ft_rtp *rtp);

/* Whether media of a 5-tuple that isn't known goes on with a stream of a running call that has an
 * end of it: the other one has moved. First pass. */
bool ft_media_goes_on(packet_info *pinfo, const ft_rtp *rtp, ft_generation *generation);

/* The packet in hand is RTP, and the capture didn't keep its header: a gap around it is no loss.
 * First pass only. */
void ft_rtp_cut(packet_info *pinfo);

/* A sender report of the packet in hand: where the capture's clock leapt ahead, its RTP
 * timestamp may show that no time passed. Before its call is resolved. */
void ft_media_report(packet_info *pinfo, uint32_t ssrc, uint32_t timestamp);

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
