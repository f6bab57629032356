/* calls/key.h
 * Keys of a call that are the same in every capture file in which a part of it is seen: of a
 * ring buffer's next file, of the other end's. Each is the hash of one clue that no two calls
 * share, so that a database of them holds no Call-ID, key or pseudonym. Files see different
 * clues of a call: two records are of one call where they have any key in common.
 *
 *    callid:       Call-ID
 *    mki:          key id of a media sender, its first 8 bytes (2026: without the ratchet)
 *    participant:  participant in a relay header
 *    tie:          tie-breakers of both ICE agents: one alone has 31 random bits
 *    ssrc:         SSRCs of a stream out and of a stream in: one alone has 32. That they are
 *                  chosen anew for each call is
 *                  inferred (RFC 3550)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_KEY_H
#define FT_KEY_H

#include "calls/model.h"

/* In order of strength: X(enumerator, name) */
#define FT_KEY_KINDS(X) \
    X(FT_KEY_CALL_ID,      "callid") \
    X(FT_KEY_MKI,          "mki") \
    X(FT_KEY_PARTICIPANT,  "participant") \
    X(FT_KEY_TIE_BREAKERS, "tie") \
    X(FT_KEY_SSRCS,        "ssrc")

#define FT_KEY_ENUM(id, name) id,
typedef enum { FT_KEY_KINDS(FT_KEY_ENUM) FT_KEY_KIND_COUNT } ft_key_kind;

/* The call's own from this frame on; again is harmless. First pass. Call-ID: the text lives as
 * long as the file. */
void ft_key_call_id(packet_info *pinfo, ft_call *call, const char *call_id);
void ft_key_bytes(packet_info *pinfo, ft_call *call, ft_key_kind kind, const uint8_t bytes[8]);
void ft_key_tie_breakers(packet_info *pinfo, ft_call *call); /* of both agents, if both are known */
void ft_key_stream(packet_info *pinfo, ft_call *call, const ft_stream *fresh);

/* The younger call's keys are the elder's from this frame on. First pass. */
void ft_key_merge(packet_info *pinfo, ft_call *elder, const ft_call *younger);

/* "callid:0123456789abcdef": the strongest as of this frame, among equals the one that sorts
 * first, so that files which see the same clues agree. NULL where there is none. Lives as long
 * as the file. */
const char *ft_key_best(ft_call *call, uint32_t frame);

/* All of them, the best first; the array is the caller's. */
GPtrArray *ft_keys(const ft_call *call);

#endif
