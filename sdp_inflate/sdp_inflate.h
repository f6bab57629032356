/* sdp_inflate.h
 * Inflate the compressed body of a FaceTime SIP message, within bounds
 *
 * Copyright the FaceTime plugin authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SDP_INFLATE_H
#define SDP_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * SIP's "deflate" names the zlib format (RFC 1950), but nobody has published which form
 * FaceTime's peers send, and implementations in general disagree. So the form is read from the
 * first bytes:
 *
 *   1f 8b                                      gzip (RFC 1952)
 *   low nibble 8, first two bytes % 31 == 0    zlib (RFC 1950)
 *   anything else                              raw deflate (RFC 1951)
 *
 * A single byte 1f counts as gzip, a single byte with the low nibble 8 as zlib: the second byte
 * was cut off.
 */
typedef enum {
    SDP_INFLATE_NONE, /* no input, so no coding */
    SDP_INFLATE_ZLIB,
    SDP_INFLATE_RAW,
    SDP_INFLATE_GZIP
} sdp_inflate_coding_t;

/* Why inflating ended. The text that came out before the end is kept in every case. */
typedef enum {
    /* the stream's end was reached and its checksum, if it has one, is right */
    SDP_INFLATE_DONE,
    SDP_INFLATE_CAP,       /* there is at least one byte more than the cap allows */
    /* the input ran out before the stream's end (a missing checksum included) */
    SDP_INFLATE_TRUNCATED,
    /* no deflate stream from here on, or a wrong checksum, or a preset dictionary */
    SDP_INFLATE_CORRUPT,
    SDP_INFLATE_NO_MEMORY  /* the system gave no memory */
} sdp_inflate_end_t;

typedef struct {
    char *text;      /* owned by the result; length bytes and a NUL. NULL only without memory */
    size_t length;   /* bytes of text, at most the cap; the text may hold NULs of its own */
    size_t consumed; /* bytes of input that were read, at most the input's length */
    sdp_inflate_coding_t coding;
    sdp_inflate_end_t end;
} sdp_inflate_result_t;

/*
 * Inflate at most cap bytes out of length bytes at data.
 *
 * data may be NULL when length is 0. Empty input is an empty text: coding NONE, end DONE. A cap
 * of 0 yields no text but still tells DONE (an empty stream) from CAP.
 * Bytes after the stream's end are not read: consumed < length. Of a gzip file only the first
 * member is read. Input beyond 4 GiB is not looked at.
 *
 * Cost: the text's buffer starts small, doubles with the output that is really there, and is
 * never larger than cap + 1 bytes; zlib's own state is about 40 KiB while this runs. Time grows
 * with the input read plus the output written, and reading stops at the cap.
 *
 * Fills in *result whatever the input is; hand it to sdp_inflate_free() afterwards. Returns
 * result->end. Reentrant, no state between calls.
 */
sdp_inflate_end_t sdp_inflate(const uint8_t *data, size_t length, size_t cap,
                              sdp_inflate_result_t *result);

/* Free the text and zero the result. Harmless on a zeroed one. */
void sdp_inflate_free(sdp_inflate_result_t *result);

#ifdef __cplusplus
}
#endif

#endif /* SDP_INFLATE_H */
