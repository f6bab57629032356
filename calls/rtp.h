/* calls/rtp.h
 * What conclusions are drawn from of an RTP packet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RTP_H
#define FT_RTP_H

#include "calls/types.h"

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

#endif
