/* fuzz_sdp_inflate.c
 * libFuzzer target: the contract of sdp_inflate.h holds for any input
 *
 * Copyright the FaceTime plugin authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Input: cap (u16, big-endian), then the stream. The stream is inflated three times: as it is,
 * with a cap no input of this size reaches in practice, and with the last quarter cut off.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdp_inflate.h"

#define WIDE_CAP (256 * 1024)

#define REQUIRE(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

/* The stream lies in a block of its exact size, so that a read beyond it is seen. */
static sdp_inflate_result_t
inflate_checked(const uint8_t *data, size_t length, size_t cap)
{
    sdp_inflate_result_t result;
    uint8_t *copy = malloc(length);

    REQUIRE(copy != NULL || length == 0);
    if (length > 0)
        memcpy(copy, data, length);
    REQUIRE(sdp_inflate(copy, length, cap, &result) == result.end);
    free(copy);

    REQUIRE(result.end != SDP_INFLATE_NO_MEMORY);
    REQUIRE(result.text != NULL && result.text[result.length] == '\0');
    REQUIRE(result.length <= cap);
    REQUIRE(result.consumed <= length);
    REQUIRE((result.coding == SDP_INFLATE_NONE) == (length == 0));
    if (result.end == SDP_INFLATE_CAP)
        REQUIRE(result.length == cap);
    if (result.end == SDP_INFLATE_TRUNCATED)
        REQUIRE(result.consumed == length);
    return result;
}

static void
require_prefix(const sdp_inflate_result_t *part, const sdp_inflate_result_t *whole)
{
    REQUIRE(part->length <= whole->length);
    REQUIRE(memcmp(part->text, whole->text, part->length) == 0);
}

/* A smaller cap changes nothing but where the text stops. */
static void
compare_caps(const sdp_inflate_result_t *result, const sdp_inflate_result_t *wide, size_t cap)
{
    REQUIRE(result->coding == wide->coding);
    require_prefix(result, wide);
    if (wide->length > cap) {
        REQUIRE(result->end == SDP_INFLATE_CAP);
    } else {
        REQUIRE(result->end == wide->end);
        REQUIRE(result->length == wide->length);
        REQUIRE(result->consumed == wide->consumed);
    }
}

/* A shorter input never gives other text; it is truncated unless the end came before the cut. */
static void
compare_cut(const sdp_inflate_result_t *cut, const sdp_inflate_result_t *wide, size_t cut_length)
{
    require_prefix(cut, wide);
    if (cut_length < 2)
        return; /* the coding may be told wrong by one byte */
    REQUIRE(cut->coding == wide->coding);
    if (cut->end != SDP_INFLATE_TRUNCATED)
        REQUIRE(cut->end == wide->end && cut->length == wide->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sdp_inflate_result_t result, wide, cut;
    size_t cap, cut_length;

    if (size < 2)
        return 0;
    cap = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;
    cut_length = size - size / 4;

    result = inflate_checked(data, size, cap);
    wide = inflate_checked(data, size, WIDE_CAP);
    cut = inflate_checked(data, cut_length, WIDE_CAP);
    compare_caps(&result, &wide, cap);
    compare_cut(&cut, &wide, cut_length);
    sdp_inflate_free(&result);
    sdp_inflate_free(&wide);
    sdp_inflate_free(&cut);
    return 0;
}
