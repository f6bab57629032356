/* wire/sip_message.h
 * A SIP message, read once: its start line, the headers that are looked at, where its body lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SIP_MESSAGE_H
#define FT_SIP_MESSAGE_H

#include "ws-compat.h"
#include <epan/packet.h>

/* clang-format off */
enum {
    SIP_VIA, SIP_TO, SIP_FROM, SIP_CALL_ID, SIP_CSEQ, SIP_CONTENT_TYPE, SIP_CONTENT_ENCODING,
    SIP_CONTENT_LENGTH, SIP_SKE_SEQ, SIP_USER_AGENT, SIP_REASON, SIP_HEADER_COUNT
};
/* clang-format on */

typedef struct {
    /* unfolded, trimmed, cut at SIP_MAX_VALUE; NULL where the header is absent */
    const char *value;
    int offset, length; /* of the header's line or lines */
    bool cut;           /* the capture ends in it */
} sip_header_t;

typedef enum { BODY_NONE, BODY_SDP, BODY_SKE, BODY_TEXT, BODY_OTHER } body_kind_t;

typedef struct {
    const char *method; /* of the request line, or of CSeq in an answer; "" where neither tells */
    unsigned status;    /* 0 for a request */
    uint32_t cseq;
    bool has_cseq;
    sip_header_t header[SIP_HEADER_COUNT];
    int body_offset;     /* -1 where the header has no end */
    int body_length;     /* captured bytes, at most Content-Length */
    int trailing_length; /* captured bytes behind these */
    bool body_cut;       /* the capture, or the datagram, has less than was sent */
    body_kind_t body_kind;
    bool compressed; /* as Content-Encoding says, or as the first bytes look */
} sip_message_t;

/* False where the bytes don't begin like SIP. Strings live in pool. */
bool parse_sip(wmem_allocator_t *pool, tvbuff_t *tvb, sip_message_t *sip);

/* Whether the capture has less of the datagram than was sent. */
bool sip_is_cut(tvbuff_t *tvb);

const char *sip_whole_value(const sip_header_t *header);

#endif
