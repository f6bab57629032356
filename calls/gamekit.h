/* calls/gamekit.h
 * GameKit and Multipeer Connectivity sessions: FaceTime's ICE, and no FaceTime call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_GAMEKIT_H
#define FT_GAMEKIT_H

#include "calls/call.h"

/* A GameKit message of exact size and known type in the packet in hand: its flow carries such a
 * session, and the session that the flow was taken for is no call from this frame on, unless
 * something that only calls have (SIP, media, link or control message) was seen in it before.
 * First pass. */
void ft_gamekit_learn(packet_info *pinfo);

#endif
