/* test_sdp_inflate.c
 * Unit tests of sdp_inflate
 *
 * Copyright the FaceTime plugin authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The short streams below were written by Python's zlib and gzip modules or by hand (RFC 1951
 * stored and fixed blocks); the large ones are made here by zlib's deflate. realloc() is wrapped
 * by the linker, so that the tests see what the library asks for.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <zlib.h>

#include "sdp_inflate.h"

#define CAP (64 * 1024)

static const char sdp[] = "v=0\r\no=GKVoiceChatService 0 0 IN IP4 71.15.163.132\r\ns=mobile\r\n";
#define SDP_LENGTH (sizeof sdp - 1)

/* clang-format off */
static const uint8_t zlib_sdp[] = {
    0x78, 0xda, 0x2b, 0xb3, 0x35, 0xe0, 0xe5, 0xca, 0xb7, 0x75, 0xf7, 0x0e, 0xcb, 0xcf, 0x4c, 0x4e,
    0x75, 0xce, 0x48, 0x2c, 0x09, 0x4e, 0x2d, 0x2a, 0x03, 0x32, 0x15, 0x0c, 0x80, 0xd0, 0xd3, 0x4f,
    0xc1, 0x33, 0xc0, 0x44, 0xc1, 0xdc, 0x50, 0xcf, 0xd0, 0x54, 0xcf, 0xd0, 0xcc, 0x58, 0xcf, 0xd0,
    0xd8, 0x88, 0x97, 0xab, 0xd8, 0x36, 0x37, 0x3f, 0x29, 0x33, 0x27, 0x95, 0x97, 0x0b, 0x00,
    0x2d, 0xca, 0x10, 0xc2, /* Adler-32 */
};

static const uint8_t raw_sdp[] = {
    0x2b, 0xb3, 0x35, 0xe0, 0xe5, 0xca, 0xb7, 0x75, 0xf7, 0x0e, 0xcb, 0xcf, 0x4c, 0x4e, 0x75, 0xce,
    0x48, 0x2c, 0x09, 0x4e, 0x2d, 0x2a, 0x03, 0x32, 0x15, 0x0c, 0x80, 0xd0, 0xd3, 0x4f, 0xc1, 0x33,
    0xc0, 0x44, 0xc1, 0xdc, 0x50, 0xcf, 0xd0, 0x54, 0xcf, 0xd0, 0xcc, 0x58, 0xcf, 0xd0, 0xd8, 0x88,
    0x97, 0xab, 0xd8, 0x36, 0x37, 0x3f, 0x29, 0x33, 0x27, 0x95, 0x97, 0x0b, 0x00,
};

static const uint8_t gzip_sdp[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, /* no flags, no time */
    0x2b, 0xb3, 0x35, 0xe0, 0xe5, 0xca, 0xb7, 0x75, 0xf7, 0x0e, 0xcb, 0xcf, 0x4c, 0x4e, 0x75, 0xce,
    0x48, 0x2c, 0x09, 0x4e, 0x2d, 0x2a, 0x03, 0x32, 0x15, 0x0c, 0x80, 0xd0, 0xd3, 0x4f, 0xc1, 0x33,
    0xc0, 0x44, 0xc1, 0xdc, 0x50, 0xcf, 0xd0, 0x54, 0xcf, 0xd0, 0xcc, 0x58, 0xcf, 0xd0, 0xd8, 0x88,
    0x97, 0xab, 0xd8, 0x36, 0x37, 0x3f, 0x29, 0x33, 0x27, 0x95, 0x97, 0x0b, 0x00,
    0x69, 0x59, 0x5f, 0x3a, 0x3e, 0x00, 0x00, 0x00, /* CRC-32, length */
};

/* "hello" in one final stored block: BFINAL 1, BTYPE 00, LEN 5, NLEN ~5. */
static const uint8_t raw_hello[] = {0x01, 0x05, 0x00, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'};
/* The same in zlib's wrapper; Adler-32 of "hello" is 062c0215. */
static const uint8_t zlib_hello[] = {0x78, 0x01, 0x01, 0x05, 0x00, 0xfa, 0xff, 'h',
                                     'e',  'l',  'l',  'o',  0x06, 0x2c, 0x02, 0x15};
/* clang-format on */

static size_t largest_request;
static bool no_memory;

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *
__wrap_realloc(void *block, size_t size)
{
    if (size > largest_request)
        largest_request = size;
    return no_memory ? NULL : __real_realloc(block, size);
}

/* What holds for every result, whatever the input was. The input lies in a block of its exact
 * size. */
static sdp_inflate_result_t
inflate_checked(const uint8_t *data, size_t length, size_t cap)
{
    sdp_inflate_result_t result;
    sdp_inflate_end_t end;
    uint8_t *copy = malloc(length ? length : 1);

    memcpy(copy, data, length);
    largest_request = 0;
    end = sdp_inflate(copy, length, cap, &result);
    assert_int_equal(end, result.end);
    free(copy);
    assert_non_null(result.text);
    assert_true(result.length <= cap);
    assert_int_equal(result.text[result.length], '\0');
    assert_true(result.consumed <= length);
    assert_true(largest_request > 0 && largest_request - 1 <= cap);
    assert_true(largest_request <= 2 * (result.length + 1024) + 1);
    return result;
}

static void
expect(const uint8_t *data, size_t length, size_t cap, sdp_inflate_coding_t coding,
       sdp_inflate_end_t end, const char *text, size_t text_length, size_t consumed)
{
    sdp_inflate_result_t result = inflate_checked(data, length, cap);

    assert_int_equal(result.coding, coding);
    assert_int_equal(result.end, end);
    assert_int_equal(result.length, text_length);
    assert_memory_equal(result.text, text, text_length);
    assert_int_equal(result.consumed, consumed);
    sdp_inflate_free(&result);
    assert_null(result.text);
    assert_int_equal(result.length, 0);
}

#define EXPECT_DONE(stream, coding, text) \
    expect(stream, sizeof stream, CAP, coding, SDP_INFLATE_DONE, text, strlen(text), sizeof stream)

static void
test_three_codings(void **state)
{
    (void)state;
    EXPECT_DONE(zlib_sdp, SDP_INFLATE_ZLIB, sdp);
    EXPECT_DONE(raw_sdp, SDP_INFLATE_RAW, sdp);
    EXPECT_DONE(gzip_sdp, SDP_INFLATE_GZIP, sdp);
    EXPECT_DONE(raw_hello, SDP_INFLATE_RAW, "hello");
    EXPECT_DONE(zlib_hello, SDP_INFLATE_ZLIB, "hello");
}

static void
test_gzip_with_every_optional_header_field(void **state)
{
    /* FHCRC, FEXTRA, FNAME and FCOMMENT; the header's CRC-16 is added below */
    static const uint8_t head[] = { 0x1f, 0x8b, 0x08, 0x1e, 1,   2,   3,   4, 0,   3,
                                    2,    0,    'e',  'x',  's', 'd', 'p', 0, 'c', 0 };
    /* CRC-32 of "hello", length */
    static const uint8_t tail[] = { 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0 };
    uint8_t stream[sizeof head + 2 + sizeof raw_hello + sizeof tail];
    uLong crc = crc32(0, head, sizeof head);

    (void)state;
    memcpy(stream, head, sizeof head);
    stream[sizeof head] = (uint8_t)crc;
    stream[sizeof head + 1] = (uint8_t)(crc >> 8);
    memcpy(stream + sizeof head + 2, raw_hello, sizeof raw_hello);
    memcpy(stream + sizeof head + 2 + sizeof raw_hello, tail, sizeof tail);
    EXPECT_DONE(stream, SDP_INFLATE_GZIP, "hello");
}

static void
test_empty_input_and_empty_streams(void **state)
{
    static const uint8_t raw_empty[] = { 0x03, 0x00 };
    static const uint8_t zlib_empty[] = { 0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01 };
    sdp_inflate_result_t result;

    (void)state;
    assert_int_equal(sdp_inflate(NULL, 0, CAP, &result), SDP_INFLATE_DONE);
    assert_int_equal(result.coding, SDP_INFLATE_NONE);
    assert_string_equal(result.text, "");
    assert_int_equal(result.length, 0);
    assert_int_equal(result.consumed, 0);
    sdp_inflate_free(&result);
    EXPECT_DONE(raw_empty, SDP_INFLATE_RAW, "");
    EXPECT_DONE(zlib_empty, SDP_INFLATE_ZLIB, "");
    expect(zlib_empty, sizeof zlib_empty, 0, SDP_INFLATE_ZLIB, SDP_INFLATE_DONE, "", 0,
           sizeof zlib_empty);
}

static void
test_nul_bytes_are_text(void **state)
{
    static const uint8_t stream[] = { 0x01, 0x03, 0x00, 0xfc, 0xff, 'a', 0, 'b' };

    (void)state;
    expect(stream, sizeof stream, CAP, SDP_INFLATE_RAW, SDP_INFLATE_DONE, "a\0b", 3, sizeof stream);
}

static void
test_one_byte(void **state)
{
    static const uint8_t gzip = 0x1f, zlib = 0x78, raw = 0x4b, bad = 0x07 /* BTYPE 11 */;

    (void)state;
    expect(&gzip, 1, CAP, SDP_INFLATE_GZIP, SDP_INFLATE_TRUNCATED, "", 0, 1);
    expect(&zlib, 1, CAP, SDP_INFLATE_ZLIB, SDP_INFLATE_TRUNCATED, "", 0, 1);
    expect(&raw, 1, CAP, SDP_INFLATE_RAW, SDP_INFLATE_TRUNCATED, "", 0, 1);
    expect(&bad, 1, CAP, SDP_INFLATE_RAW, SDP_INFLATE_CORRUPT, "", 0, 1);
}

/* Each prefix of a stream is "truncated" and gives a prefix of the text, never less than a
 * shorter one. */
static void
check_truncations(const uint8_t *stream, size_t length, sdp_inflate_coding_t coding, size_t trailer)
{
    size_t cut, before = 0;

    for (cut = 1; cut < length; cut++) {
        sdp_inflate_result_t result = inflate_checked(stream, cut, CAP);

        assert_int_equal(result.coding, coding);
        assert_int_equal(result.end, SDP_INFLATE_TRUNCATED);
        assert_int_equal(result.consumed, cut);
        assert_true(result.length >= before && result.length <= SDP_LENGTH);
        assert_memory_equal(result.text, sdp, result.length);
        if (cut >= length - trailer)
            assert_int_equal(result.length, SDP_LENGTH); /* only the checksum is missing */
        before = result.length;
        sdp_inflate_free(&result);
    }
}

static void
test_every_truncation(void **state)
{
    (void)state;
    check_truncations(zlib_sdp, sizeof zlib_sdp, SDP_INFLATE_ZLIB, 4);
    check_truncations(raw_sdp, sizeof raw_sdp, SDP_INFLATE_RAW, 0);
    check_truncations(gzip_sdp, sizeof gzip_sdp, SDP_INFLATE_GZIP, 8);
}

/* With a checksum, a stream with one wrong bit either gives the right text or is not "done". */
static void
check_bit_flips(const uint8_t *stream, size_t length)
{
    uint8_t *copy = malloc(length);
    size_t bit, not_done = 0;

    for (bit = 0; bit < 8 * length; bit++) {
        sdp_inflate_result_t result;

        memcpy(copy, stream, length);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        result = inflate_checked(copy, length, CAP);
        if (result.end == SDP_INFLATE_DONE) {
            assert_int_equal(result.length, SDP_LENGTH);
            assert_memory_equal(result.text, sdp, SDP_LENGTH);
        } else {
            not_done++;
        }
        sdp_inflate_free(&result);
    }
    free(copy);
    /* gzip's time, extra flags and system bytes may change freely */
    assert_true(not_done > 6 * length);
}

static void
test_every_bit_flip(void **state)
{
    (void)state;
    check_bit_flips(zlib_sdp, sizeof zlib_sdp);
    check_bit_flips(gzip_sdp, sizeof gzip_sdp);
}

static void
test_wrong_checksum_keeps_the_text(void **state)
{
    uint8_t stream[sizeof zlib_sdp], gzip[sizeof gzip_sdp];

    (void)state;
    memcpy(stream, zlib_sdp, sizeof stream);
    stream[sizeof stream - 1] ^= 1;
    expect(stream, sizeof stream, CAP, SDP_INFLATE_ZLIB, SDP_INFLATE_CORRUPT, sdp, SDP_LENGTH,
           sizeof stream);
    memcpy(gzip, gzip_sdp, sizeof gzip);
    gzip[sizeof gzip - 1] ^= 1; /* the length; the CRC is right */
    expect(gzip, sizeof gzip, CAP, SDP_INFLATE_GZIP, SDP_INFLATE_CORRUPT, sdp, SDP_LENGTH,
           sizeof gzip);
}

static void
test_corrupt_middle_keeps_what_came_before(void **state)
{
    /* a stored block "hello", not final, then a block of the reserved type 11 */
    static const uint8_t stream[] = {
        0x00, 0x05, 0x00, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o', 0x07, 0x55, 0x55
    };

    (void)state;
    expect(stream, sizeof stream, CAP, SDP_INFLATE_RAW, SDP_INFLATE_CORRUPT, "hello", 5, 11);
}

static void
test_not_deflate(void **state)
{
    static const char plain[] = "v=0\r\no=GKVoiceChatService 0 0 IN IP4 192.0.2.1\r\n";
    static const uint8_t ff[] = { 0xff, 0xff, 0xff, 0xff };
    static const uint8_t stored_lie[] = { 0x01, 0x05, 0x00, 0xfa, 0xfe, 'h', 'e', 'l', 'l', 'o' };
    /* zlib header, window of 64 KiB */
    static const uint8_t far_window[] = { 0x88, 0x1c, 0x03, 0x00 };
    static const uint8_t dictionary[] = {
        0x78, 0xbb, 0x06, 0x2c, 0x02, 0x15, 0x03, 0x00, 0, 0, 0, 1
    };
    static const uint8_t gzip_method[] = { 0x1f, 0x8b, 0x07, 0, 0, 0, 0, 0, 0, 3, 3, 0 };

    (void)state;
    /* 'v' is 76: block type 11, which doesn't exist */
    expect((const uint8_t *)plain, sizeof plain - 1, CAP, SDP_INFLATE_RAW, SDP_INFLATE_CORRUPT, "",
           0, 1);
    expect(ff, sizeof ff, CAP, SDP_INFLATE_RAW, SDP_INFLATE_CORRUPT, "", 0, 1);
    expect(stored_lie, sizeof stored_lie, CAP, SDP_INFLATE_RAW, SDP_INFLATE_CORRUPT, "", 0, 5);
    expect(far_window, sizeof far_window, CAP, SDP_INFLATE_ZLIB, SDP_INFLATE_CORRUPT, "", 0, 2);
    expect(dictionary, sizeof dictionary, CAP, SDP_INFLATE_ZLIB, SDP_INFLATE_CORRUPT, "", 0, 6);
    /* method and flags are read together */
    expect(gzip_method, sizeof gzip_method, CAP, SDP_INFLATE_GZIP, SDP_INFLATE_CORRUPT, "", 0, 4);
}

static void
test_bytes_after_the_stream_are_not_read(void **state)
{
    uint8_t stream[sizeof zlib_hello + 3], members[2 * sizeof gzip_sdp];

    (void)state;
    memcpy(stream, zlib_hello, sizeof zlib_hello);
    memcpy(stream + sizeof zlib_hello, "\r\n!", 3);
    expect(stream, sizeof stream, CAP, SDP_INFLATE_ZLIB, SDP_INFLATE_DONE, "hello", 5,
           sizeof zlib_hello);
    memcpy(members, gzip_sdp, sizeof gzip_sdp);
    memcpy(members + sizeof gzip_sdp, gzip_sdp, sizeof gzip_sdp);
    expect(members, sizeof members, CAP, SDP_INFLATE_GZIP, SDP_INFLATE_DONE, sdp, SDP_LENGTH,
           sizeof gzip_sdp);
}

/* A cap below the text's length stops there; the length itself and more is enough. */
static void
test_every_cap(void **state)
{
    size_t cap;

    (void)state;
    for (cap = 0; cap <= SDP_LENGTH + 2; cap++) {
        sdp_inflate_result_t result = inflate_checked(zlib_sdp, sizeof zlib_sdp, cap);

        assert_int_equal(result.end, cap < SDP_LENGTH ? SDP_INFLATE_CAP : SDP_INFLATE_DONE);
        assert_int_equal(result.length, cap < SDP_LENGTH ? cap : SDP_LENGTH);
        assert_memory_equal(result.text, sdp, result.length);
        sdp_inflate_free(&result);
    }
}

/* At a cap of exactly the text's length the checksum still counts. */
static void
test_exact_cap_sees_the_end(void **state)
{
    uint8_t wrong[sizeof zlib_hello];

    (void)state;
    memcpy(wrong, zlib_hello, sizeof wrong);
    wrong[sizeof wrong - 1] ^= 1;
    expect(wrong, sizeof wrong, 5, SDP_INFLATE_ZLIB, SDP_INFLATE_CORRUPT, "hello", 5, sizeof wrong);
    expect(zlib_hello, sizeof zlib_hello - 1, 5, SDP_INFLATE_ZLIB, SDP_INFLATE_TRUNCATED, "hello",
           5, sizeof zlib_hello - 1);
}

/* Deflate with zlib itself, into a fresh block. */
static uint8_t *
deflate_all(const uint8_t *text, size_t length, int window_bits, size_t *deflated)
{
    z_stream stream;
    uint8_t *out;

    memset(&stream, 0, sizeof stream);
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    out = malloc(deflateBound(&stream, length));
    stream.next_in = (Bytef *)text;
    stream.avail_in = (uInt)length;
    stream.next_out = out;
    stream.avail_out = (uInt)deflateBound(&stream, length);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *deflated = stream.total_out;
    deflateEnd(&stream);
    return out;
}

/* Texts around the sizes at which the buffer grows, in all three codings. */
static void
test_growing(void **state)
{
    static const size_t sizes[] = { 1, 1023, 1024, 1025, 2047, 2048, 2049, 65535, 65536, 100000 };
    static const int bits[] = { 15, -15, 31 };
    uint8_t *text = malloc(100000), *stream;
    uint32_t noise = 1;
    size_t i, j, deflated;

    (void)state;
    for (i = 0; i < 100000; i++) {
        noise = noise * 1664525 + 1013904223;
        text[i] = (uint8_t)(noise >> 28); /* 4 of 8 bits: some compression, no repeats */
    }
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (j = 0; j < 3; j++) {
            stream = deflate_all(text, sizes[i], bits[j], &deflated);
            expect(stream, deflated, sizes[i], (sdp_inflate_coding_t)(SDP_INFLATE_ZLIB + j),
                   SDP_INFLATE_DONE, (char *)text, sizes[i], deflated);
            expect(stream, deflated, 1 << 20, (sdp_inflate_coding_t)(SDP_INFLATE_ZLIB + j),
                   SDP_INFLATE_DONE, (char *)text, sizes[i], deflated);
            free(stream);
        }
    }
    free(text);
}

/* A 60 KB datagram that would become 60 MB: no more than the cap is written, and little more is
 * read. */
static void
test_bomb(void **state)
{
    size_t size = 60 * 1000 * 1000, deflated, i;
    uint8_t *zeros = calloc(size, 1), *stream;
    sdp_inflate_result_t result;
    clock_t start;

    (void)state;
    stream = deflate_all(zeros, size, 15, &deflated);
    free(zeros);
    assert_true(deflated > 55000 && deflated < 65000);
    start = clock();
    result = inflate_checked(stream, deflated, CAP);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 0.05);
    assert_int_equal(result.end, SDP_INFLATE_CAP);
    assert_int_equal(result.length, CAP);
    for (i = 0; i < result.length; i++)
        assert_int_equal(result.text[i], 0);
    assert_true(result.consumed < 1024);
    assert_true(largest_request <= CAP + 1);
    sdp_inflate_free(&result);
    free(stream);
}

/* A large cap costs nothing when the text is short. */
static void
test_cap_does_not_size_the_buffer(void **state)
{
    sdp_inflate_result_t result;

    (void)state;
    result = inflate_checked(zlib_hello, sizeof zlib_hello, SIZE_MAX);
    assert_int_equal(result.end, SDP_INFLATE_DONE);
    assert_true(largest_request <= 1025);
    sdp_inflate_free(&result);
}

static void
test_no_memory(void **state)
{
    sdp_inflate_result_t result;

    (void)state;
    no_memory = true;
    assert_int_equal(sdp_inflate(zlib_sdp, sizeof zlib_sdp, CAP, &result), SDP_INFLATE_NO_MEMORY);
    no_memory = false;
    assert_null(result.text);
    assert_int_equal(result.length, 0);
    sdp_inflate_free(&result);
    sdp_inflate_free(&result);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_codings),
        cmocka_unit_test(test_gzip_with_every_optional_header_field),
        cmocka_unit_test(test_empty_input_and_empty_streams),
        cmocka_unit_test(test_nul_bytes_are_text),
        cmocka_unit_test(test_one_byte),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_bit_flip),
        cmocka_unit_test(test_wrong_checksum_keeps_the_text),
        cmocka_unit_test(test_corrupt_middle_keeps_what_came_before),
        cmocka_unit_test(test_not_deflate),
        cmocka_unit_test(test_bytes_after_the_stream_are_not_read),
        cmocka_unit_test(test_every_cap),
        cmocka_unit_test(test_exact_cap_sees_the_end),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_cap_does_not_size_the_buffer),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("sdp_inflate", tests, NULL, NULL);
}
