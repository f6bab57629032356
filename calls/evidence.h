/* calls/evidence.h
 * The shapes that the front door tells apart by a datagram's bytes, and the proof that a shape is FaceTime's.
 * A port is never enough. Each packet-*.c that can prove its own messages says so here when it is handed off; the
 * front door asks only where the 5-tuple isn't known yet.
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
    FT_SHAPE_COUNT
} ft_shape;

/* True when these bytes alone (with the packet's ports) prove FaceTime. Must not change state nor add to a tree, reads
 * only what is captured, and gives the same answer on every pass. *generation is set where the proof tells it. */
typedef bool (*ft_proof)(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

void ft_evidence_register(ft_shape shape, ft_proof proof);
bool ft_evidence_proves(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

/* Ports FaceTime uses on a device: 16393-16403 (16402 for legacy signalling and media, 16403 for CommNAT). */
static inline bool ft_is_device_port(uint32_t port) { return port >= 16393 && port <= 16403; }
/* Ports of Apple's servers: 3478-3497 (relays, SNATMAP) and 16384-16387 (relays, SNATMAP, CommNAT). */
static inline bool ft_is_server_port(uint32_t port)
{
    return (port >= 3478 && port <= 3497) || (port >= 16384 && port <= 16387);
}

#endif
