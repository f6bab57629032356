/* sdp_inflate.c
 * Inflate the compressed body of a FaceTime SIP message, within bounds
 *
 * Copyright the FaceTime plugin authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "sdp_inflate.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

/* The SDP of a call has 1 to 2 KiB, so most bodies need one or two buffers. */
#define FIRST_CAPACITY 1024

static sdp_inflate_coding_t
detect_coding(const uint8_t *data, size_t length)
{
    if (length == 0)
        return SDP_INFLATE_NONE;
    if (data[0] == 0x1f && (length == 1 || data[1] == 0x8b))
        return SDP_INFLATE_GZIP;
    if ((data[0] & 0x0f) == 8 && (length == 1 || (data[0] * 256 + data[1]) % 31 == 0))
        return SDP_INFLATE_ZLIB;
    return SDP_INFLATE_RAW;
}

/* inflateInit2()'s way of saying which wrapper to expect. */
static int
window_bits(sdp_inflate_coding_t coding)
{
    switch (coding) {
    case SDP_INFLATE_GZIP:
        return MAX_WBITS + 16;
    case SDP_INFLATE_RAW:
        return -MAX_WBITS;
    default:
        return MAX_WBITS;
    }
}

/* Make room for more text, up to the cap; *capacity does not count the NUL. */
static bool
grow(sdp_inflate_result_t *result, size_t *capacity, size_t cap)
{
    size_t wanted = *capacity == 0 ? FIRST_CAPACITY : *capacity > cap / 2 ? cap : *capacity * 2;
    char *text;

    if (wanted > cap)
        wanted = cap;
    if (wanted == SIZE_MAX)
        return false;
    text = (char *)realloc(result->text, wanted + 1);
    if (text == NULL)
        return false;
    result->text = text;
    *capacity = wanted;
    return true;
}

/* What zlib's answer means, when it isn't that there is more to come. */
static sdp_inflate_end_t
end_from_zlib(int rc)
{
    switch (rc) {
    case Z_STREAM_END:
        return SDP_INFLATE_DONE;
    case Z_OK:
    case Z_BUF_ERROR:
        return SDP_INFLATE_TRUNCATED;
    case Z_MEM_ERROR:
        return SDP_INFLATE_NO_MEMORY;
    default: /* Z_DATA_ERROR, Z_NEED_DICT */
        return SDP_INFLATE_CORRUPT;
    }
}

/* Runs until zlib stops with room left in the buffer, which means it has nothing more to write. */
static sdp_inflate_end_t
inflate_text(z_stream *stream, size_t cap, sdp_inflate_result_t *result)
{
    size_t capacity = 0;
    int rc;

    if (!grow(result, &capacity, cap))
        return SDP_INFLATE_NO_MEMORY;
    for (;;) {
        /* At the cap, one byte beside the buffer tells a text of exactly that length from a
         * longer one. */
        Bytef beyond;
        bool at_cap = result->length == cap;
        size_t room = at_cap ? 1 : capacity - result->length;

        /* cppcheck-suppress uninitvar ; it is written, not read */
        stream->next_out = at_cap ? &beyond : (Bytef *)result->text + result->length;
        stream->avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        rc = inflate(stream, Z_SYNC_FLUSH);
        if (at_cap)
            return stream->avail_out == 0 ? SDP_INFLATE_CAP : end_from_zlib(rc);
        result->length = (size_t)((char *)stream->next_out - result->text);
        if (stream->avail_out > 0 || (rc != Z_OK && rc != Z_BUF_ERROR))
            return end_from_zlib(rc);
        if (result->length < cap && result->length == capacity && !grow(result, &capacity, cap))
            return SDP_INFLATE_NO_MEMORY;
    }
}

sdp_inflate_end_t
sdp_inflate(const uint8_t *data, size_t length, size_t cap, sdp_inflate_result_t *result)
{
    z_stream stream;

    memset(result, 0, sizeof *result);
    result->coding = detect_coding(data, length);
    if (result->coding == SDP_INFLATE_NONE) {
        result->text = (char *)calloc(1, 1);
        return result->end = result->text ? SDP_INFLATE_DONE : SDP_INFLATE_NO_MEMORY;
    }

    memset(&stream, 0, sizeof stream);
    stream.next_in = (z_const Bytef *)data;
    stream.avail_in = length > UINT_MAX ? UINT_MAX : (uInt)length;
    if (inflateInit2(&stream, window_bits(result->coding)) != Z_OK)
        return result->end = SDP_INFLATE_NO_MEMORY;
    result->end = inflate_text(&stream, cap, result);
    result->consumed = (size_t)(stream.next_in - (z_const Bytef *)data);
    inflateEnd(&stream);
    if (result->text != NULL)
        result->text[result->length] = '\0';
    return result->end;
}

void
sdp_inflate_free(sdp_inflate_result_t *result)
{
    free(result->text);
    memset(result, 0, sizeof *result);
}
