/* calls/evidence.h
 * The shapes that the front door tells apart by a datagram's bytes, and the proof that a shape
 * is FaceTime's. A port is never enough. Each packet-*.c that can prove its own messages says so
 * here when it is handed off; the doors ask only where the 5-tuple isn't known yet.
 *
 * Proofs have a strength. Most bytes prove alone, on any port: a trailer that others have once
 * in 2^38 packets, an attribute of Apple's. What others' packets may look like by chance (a
 * header that parses, a cut packet, media without a mark) proves in number only:
 * ft_evidence_agrees().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_EVIDENCE_H
#define FT_EVIDENCE_H

#include "calls/packet.h"

typedef enum {
    FT_SHAPE_NONE,
    FT_SHAPE_SNATMAP,
    FT_SHAPE_COMMNAT,
    FT_SHAPE_STUN,
    FT_SHAPE_QUICKRELAY,
    FT_SHAPE_CHANNELDATA,
    FT_SHAPE_SIP,
    FT_SHAPE_CONTROL,
    FT_SHAPE_RTP,
    FT_SHAPE_RTCP,
    FT_SHAPE_BASEBAND,
    FT_SHAPE_QUIC,
    FT_SHAPE_GAMEKIT,
    FT_SHAPE_DTLS,
    FT_SHAPE_COUNT,
    /* not a shape: RTP in ChannelData, which has a proof of its own */
    FT_RELAYED_RTP = FT_SHAPE_COUNT,
    FT_PROOF_COUNT
} ft_shape;

/* True when these bytes (with the packet's ports) prove FaceTime. Must not add to a tree, reads
 * only what is captured, and gives the same answer on every pass: what it remembers goes through
 * ft_evidence_agrees(). It is asked about others' packets, so the cheapest test stands first.
 * *generation is set where the proof tells it. */
typedef bool (*ft_proof)(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

void ft_evidence_register(ft_shape shape, ft_proof proof);
bool ft_evidence_proves(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo,
                        ft_generation *generation);

/* Proof in number: true from the packet on with which `needed` packets of this direction, at
 * most FT_EVIDENCE_WAIT_S apart, had the same token: something that one sender repeats, and
 * others' packets of the same look don't. A direction has a few tokens at a time. First pass: it
 * is counted, once a frame. */
#define FT_EVIDENCE_WAIT_S 30
bool ft_evidence_agrees(packet_info *pinfo, uint64_t token, unsigned needed);

/* What is remembered of a direction that nothing proved yet, zeros at first. */
typedef struct {
    uint32_t last_frame;
    uint32_t proven_frame;      /* the packet with which there was enough, 0 before */
    nstime_t last_time;
    struct { uint64_t token; unsigned count; } tokens[4];   /* the oldest is given up first */
    unsigned newest;
    struct {                    /* media whose packets follow each other (wire/rtp_proof.c) */
        nstime_t first_time, last_time;
        uint32_t first_timestamp, timestamp, ssrc, packets;
        uint32_t in_time;       /* those whose own step was as long as its ticks */
        uint32_t usual;         /* ... and those with as many ticks as a packet has */
        uint16_t sequence;
    } run;
} ft_witness;

/* For proofs that need more than tokens. Made on the first pass; NULL over FT_MAX_BARE_MEDIA. */
ft_witness *ft_evidence_witness(packet_info *pinfo);

void ft_evidence_init(void);

/* Ports FaceTime uses on a device: 16393-16403 (16402 for legacy signalling and media, 16403 for
 * CommNAT). */
static inline bool ft_is_device_port(uint32_t port) { return port >= 16393 && port <= 16403; }
/* Ports of Apple's servers: 3478-3497 (relays, SNATMAP) and 16384-16387 (relays, SNATMAP,
 * CommNAT). */
static inline bool ft_is_server_port(uint32_t port)
{
    return (port >= 3478 && port <= 3497) || (port >= 16384 && port <= 16387);
}

#endif
