/* calls/trailer.h
 * The end of a modern RTP packet: which key encrypts it, and what follows the key id. Of two
 * generations:
 *
 *   2023:          | MKI 16: a v4 UUID                | 00 00 00 00 |
 *   2026, group:   | MKI 2 |                          | 00 00 00 20 |
 *   2026, 1-to-1:  | MKI 2 | roll-over counter 4, every 128th packet | tag: 4 audio, 10 video |
 *
 *   MKI of 2026:   | roll:12 ratchet:4 | participant id: first 4 | 00 | last 4 | 00 five times |
 *                    the two bytes of a short MKI are its head
 *
 * The forms that end in a word tell themselves. A tag doesn't: there the key id must be one of a
 * fresh key, or be what the sender was seen to use. What is remembered is kept by sender
 * (5-tuple, direction, SSRC), from the frame on in which it was seen. 2023's form: all 5366
 * packets of the captures; 2026's: published, the group's checked on 5 real datagrams.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TRAILER_H
#define FT_TRAILER_H

#include "calls/flow.h"
#include "calls/media.h"

#define FT_MKI_LENGTH       16
#define FT_SHORT_MKI_LENGTH 2
#define FT_AUDIO_TAG_LENGTH 4
#define FT_VIDEO_TAG_LENGTH 10

typedef enum {
    FT_TRAILER_NONE,
    FT_TRAILER_UUID,        /* 16 bytes, random */
    FT_TRAILER_NAMED,       /* 16 bytes that name the participant */
    FT_TRAILER_GROUP,       /* 2 bytes and a word */
    FT_TRAILER_TAGGED       /* 2 bytes, a counter now and then, an authentication tag */
} ft_trailer_form;

typedef struct {
    ft_trailer_form form;
    unsigned        length;         /* of all of it, 0 where there is none */
    uint16_t        short_mki;      /* roll and ratchet, of all forms but the random one */
    bool            has_rollover;
    uint8_t         tag_length;
    /* the sender's key id before this packet, 0 where it has not changed */
    uint16_t        previous;
} ft_trailer;

static inline bool ft_trailer_is_short(const ft_trailer *t)
{
    return t->form == FT_TRAILER_GROUP || t->form == FT_TRAILER_TAGGED;
}

/* A key that has rolled once, however often it was ratcheted: 00 1x. */
static inline bool ft_mki_is_fresh(uint16_t short_mki) { return short_mki >> 4 == 1; }

/* A control message's key id (8 bytes, the head of an MKI) of 2026's form: where a UUID has its
 * version, this has a zero. */
bool ft_key_id_is_named(const uint8_t *key_id);

/* The trailer that ends in a word, of a packet of `end` bytes, behind a payload that begins at
 * that offset. All bytes must have been captured. */
ft_trailer ft_trailer_read(const uint8_t *bytes, unsigned end, unsigned payload);

/* The trailer with a tag of that length of a packet of which all `end` bytes were captured, if
 * there is room for one: short_mki is what stands in its place. */
ft_trailer ft_trailer_read_tagged(const uint8_t *bytes, unsigned end, unsigned payload,
                                  uint16_t sequence, unsigned tag_length);

/* The trailer of a packet of the flow in hand: `read` where that told, else the one with a tag
 * where the sender's packets bear it out. tag_length: of this kind of media, 0 where that isn't
 * known; then both are tried. */
ft_trailer ft_trailer_settle(packet_info *pinfo, tvbuff_t *tvb, unsigned payload, const ft_rtp *rtp,
                             const ft_trailer *read, bool may_be_tagged, unsigned tag_length);

/* An RTP packet with a short MKI, of this participant (the relay's pseudonym, 8 bytes; NULL
 * where the header names none): kept for the control messages that begin with the same two
 * bytes. First pass. */
void ft_short_mki_seen(packet_info *pinfo, uint16_t short_mki, const uint8_t *participant);

/* The first RTP packet of that sender and key before this frame, or 0. */
uint32_t ft_short_mki_frame(packet_info *pinfo, uint16_t short_mki, const uint8_t *participant);

/* Proof that takes several packets of a 5-tuple with one key id. stands_alone: this packet has
 * more to show than its trailer; else only its own SSRC's count. True from the packet on that
 * made them enough, on every pass. */
bool ft_trailer_agrees(packet_info *pinfo, const ft_rtp *rtp, unsigned key, bool stands_alone);

/* Once, when the protocol is registered. */
void ft_trailer_init(void);

#endif
