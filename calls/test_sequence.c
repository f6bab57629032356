/* test_sequence.c
 * Unit tests of calls/sequence.c. What is right is counted by hand, from RFC 3550 A.1 and A.3
 * and the contract in sequence.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calls/sequence.h"

static ft_sequence stream;

static int
fresh(void **state)
{
    (void)state;
    free(stream.slots);
    memset(&stream, 0, sizeof stream);
    return 0;
}

/* A packet whose content is its own, unless it is said to be a copy. */
static ft_sequence_packet
add(unsigned sequence)
{
    return ft_sequence_add(&stream, (uint16_t)sequence, sequence, realloc);
}

static void
add_range(unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        add(first + i);
}

static void
expect(uint32_t received, uint32_t lost, uint32_t reordered, uint32_t bursts, uint32_t longest)
{
    const ft_sequence_counts counts = ft_sequence_count(&stream);

    assert_int_equal(counts.received, received);
    assert_int_equal(counts.lost, lost);
    assert_int_equal(counts.reordered, reordered);
    assert_int_equal(counts.bursts, bursts);
    assert_int_equal(counts.longest, longest);
}

static void
test_nothing_yet(void **state)
{
    (void)state;
    expect(0, 0, 0, 0, 0);
    assert_int_equal(add(7).verdict, FT_SEQUENCE_UNPROVEN);
    expect(0, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).strays, 1);
}

static void
test_first_packet_counts_once_believed(void **state)
{
    (void)state;
    add(10);
    assert_int_equal(add(11).verdict, FT_SEQUENCE_NEXT);
    expect(2, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).strays, 0);
    assert_int_equal(ft_sequence_count(&stream).restarts, 0);
}

static void
test_loss_before_the_stream_is_believed(void **state)
{
    (void)state;
    add(10);
    assert_int_equal(add(12).missing, 0); /* one number alone may be a stray */
    assert_int_equal(add(13).missing, 1);
    expect(3, 1, 0, 1, 1);
}

/* Two packets that are far apart agree in nothing. */
static void
test_two_packets_alone(void **state)
{
    (void)state;
    add(10);
    add(16);
    expect(2, 5, 0, 1, 5);
    fresh(state);
    add(10);
    add(30000);
    expect(0, 0, 0, 0, 0);
}

static void
test_stray_ahead_of_the_stream(void **state)
{
    (void)state;
    add(30000);
    add_range(100, 5);
    expect(5, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).strays, 1);
    assert_int_equal(ft_sequence_count(&stream).restarts, 0);
}

static void
test_wrap(void **state)
{
    (void)state;
    const uint64_t before = add(65533).number;
    add(65534);
    add(65535);
    const ft_sequence_packet wrapped = add(0);
    assert_int_equal(wrapped.verdict, FT_SEQUENCE_NEXT);
    assert_int_equal(wrapped.missing, 0);
    assert_int_equal(wrapped.number - before, 3);
    expect(4, 0, 0, 0, 0);
}

static void
test_many_wraps(void **state)
{
    (void)state;
    const uint64_t first = add(5).number;
    for (unsigned i = 1; i < 200000; i++)
        add(5 + i);
    assert_int_equal(add(5 + 200000).number - first, 200000);
    expect(200001, 0, 0, 0, 0);
}

static void
test_gap_over_the_wrap(void **state)
{
    (void)state;
    add_range(65530, 3); /* to 65532 */
    assert_int_equal(add(2).missing, 5);
    add(3);
    expect(5, 5, 0, 1, 5);
}

static void
test_late_over_the_wrap(void **state)
{
    (void)state;
    add_range(65530, 4); /* to 65533 */
    add(0);
    assert_int_equal(add(65535).verdict, FT_SEQUENCE_LATE);
    expect(6, 1, 1, 1, 1);
}

static void
test_late_packets_fill(void **state)
{
    (void)state;
    add_range(100, 10);
    assert_int_equal(add(115).missing, 5); /* 110 to 114 */
    expect(11, 5, 0, 1, 5);
    assert_int_equal(add(112).missing, 0);
    expect(12, 4, 1, 2, 2);
    add(110);
    expect(13, 3, 2, 2, 2);
    add(111);
    add(113);
    add(114);
    expect(16, 0, 5, 0, 0);
}

static void
test_bursts(void **state)
{
    (void)state;
    add_range(0, 10);
    add_range(11, 10);   /* without 10 */
    add_range(28, 10);   /* without 21 to 27 */
    add_range(40, 1000); /* without 38 and 39, which leave the window */
    expect(10 + 10 + 10 + 1000, 1 + 7 + 2, 0, 3, 7);
}

static void
test_burst_longer_than_the_window(void **state)
{
    (void)state;
    add_range(0, 300);
    assert_int_equal(add(300 + 2000).missing, 2000);
    add_range(2301, 300);
    expect(601, 2000, 0, 1, 2000);
}

/* 0, 2, 4 ... without an end: bursts of one, judged while they leave the window. */
static void
test_each_second_packet_lost(void **state)
{
    (void)state;
    add_range(0, 2);
    for (unsigned i = 3; i < 2001; i += 2)
        assert_int_equal(add(i).missing, 1);
    expect(2 + 999, 999, 0, 999, 1);
}

static void
test_stray_amid_the_stream(void **state)
{
    (void)state;
    add_range(100, 50);
    const ft_sequence_packet stray = add(20000);
    assert_int_equal(stray.verdict, FT_SEQUENCE_UNPROVEN);
    assert_int_equal(stray.missing, 0);
    add_range(150, 50);
    expect(100, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).strays, 1);
}

/* Within what RFC 3550 lets drop out: a loss, unless the stream goes on where it was. */
static void
test_stray_a_little_ahead(void **state)
{
    (void)state;
    add_range(100, 50);
    assert_int_equal(add(2000).missing, 1850);
    add_range(150, 50);
    expect(100, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).strays, 1);
    assert_int_equal(ft_sequence_count(&stream).restarts, 0);
}

static void
test_long_dropout(void **state)
{
    (void)state;
    add_range(100, 50);
    assert_int_equal(add(150 + 2000).missing, 2000);
    add_range(2151, 49);
    expect(100, 2000, 0, 1, 2000);
}

static void
test_restart(void **state)
{
    (void)state;
    add_range(100, 50);
    const uint64_t last = add(151).number; /* without 150 */
    add(40000);
    const ft_sequence_packet proof = add(40001);
    assert_int_equal(proof.verdict, FT_SEQUENCE_RESTART);
    assert_int_equal(proof.missing, 0);
    assert_true(proof.number > last);
    assert_int_equal(proof.number & 0xffff, 40001);
    add_range(40003, 10); /* without 40002 */
    expect(51 + 12, 2, 0, 2, 1); /* the loss before isn't forgotten */
    assert_int_equal(ft_sequence_count(&stream).restarts, 1);
    assert_int_equal(ft_sequence_count(&stream).strays, 0);
}

static void
test_restart_behind(void **state)
{
    (void)state;
    add_range(50000, 20);
    add_range(1000, 20);
    expect(40, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).restarts, 1);
}

static void
test_loss_right_after_a_restart(void **state)
{
    (void)state;
    add_range(100, 10);
    add(40000);
    add(40002);
    assert_int_equal(add(40003).missing, 1);
    expect(13, 1, 0, 1, 1);
}

static void
test_two_strays_that_are_no_neighbours(void **state)
{
    (void)state;
    add_range(100, 10);
    add(20000);
    add(30000);
    add(110);
    add(40000);
    add(111);
    expect(12, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).strays, 3);
}

static void
test_copies_apart(void **state)
{
    (void)state;
    add_range(100, 10);
    add(105);
    const ft_sequence_packet copy = add(109);
    assert_int_equal(copy.verdict, FT_SEQUENCE_COPY);
    assert_int_equal(copy.missing, 0);
    add(110);
    expect(11, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).copies, 2);
}

/* A second path that lags: copies from further behind than a packet may be late. */
static void
test_copies_from_far_behind(void **state)
{
    (void)state;
    add_range(0, 1000);
    for (unsigned i = 1000; i < 2000; i++) {
        add(i);
        assert_int_equal(add(i - 200).verdict, FT_SEQUENCE_COPY);
    }
    expect(2000, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).copies, 1000);
    assert_int_equal(ft_sequence_count(&stream).restarts, 0);
}

static void
test_copy_of_the_first(void **state)
{
    (void)state;
    add(100);
    assert_int_equal(add(100).verdict, FT_SEQUENCE_COPY);
    add(101);
    expect(2, 0, 0, 0, 0);
}

static void
test_same_number_later(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 65536 + 10; i++)
        assert_int_not_equal(ft_sequence_add(&stream, (uint16_t)i, i, realloc).verdict,
                             FT_SEQUENCE_COPY);
    expect(65546, 0, 0, 0, 0);
}

static void
test_marks(void **state)
{
    (void)state;
    add(100);
    ft_sequence_packet first = add(101);
    assert_int_equal(first.mark->frame, 0);
    first.mark->frame = 42;
    first.mark->way = 3;
    ft_sequence_packet copy = add(101);
    assert_int_equal(copy.mark->frame, 42);
    assert_int_equal(copy.mark->way, 3);
}

/* A parity packet has the number of its block's last packet. */
static void
test_twins(void **state)
{
    (void)state;
    add_range(100, 10);
    const ft_sequence_packet twin = ft_sequence_add(&stream, 109, 0xfec, realloc);
    assert_int_equal(twin.verdict, FT_SEQUENCE_TWIN);
    twin.mark->frame = 7;
    assert_int_equal(ft_sequence_add(&stream, 109, 0xfec, realloc).verdict, FT_SEQUENCE_COPY);
    assert_int_equal(ft_sequence_add(&stream, 109, 0xfec, realloc).mark->frame, 7);
    assert_int_equal(add(109).verdict, FT_SEQUENCE_COPY);
    add(110);
    expect(11, 0, 0, 0, 0);
    assert_int_equal(ft_sequence_count(&stream).twins, 1);
    assert_int_equal(ft_sequence_count(&stream).copies, 3);
}

/* The capture began there, or a packet overtook the stream's first one: nothing says that more
 * is missing. */
static void
test_late_below_the_first(void **state)
{
    (void)state;
    add(105);
    add(106);
    assert_int_equal(add(104).verdict, FT_SEQUENCE_LATE);
    assert_int_equal(add(80).verdict, FT_SEQUENCE_LATE);
    add(107);
    expect(5, 0, 2, 0, 0);
}

static void
test_reordered_start(void **state)
{
    (void)state;
    add(101);
    assert_int_equal(add(100).verdict, FT_SEQUENCE_NEXT); /* neighbours in any order */
    add(102);
    expect(3, 0, 1, 0, 0);
}

static void
test_stream_without_neighbours(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(add(i * 2).verdict, FT_SEQUENCE_UNPROVEN);
    expect(500, 499, 0, 499, 1);
    assert_int_equal(ft_sequence_count(&stream).strays, 0);
}

/* Whatever comes, losses and what came add up, and nothing is negative. */
static void
test_noise(void **state)
{
    (void)state;
    uint32_t random = 12345, packets = 300000;

    for (unsigned i = 0; i < packets; i++) {
        random = random * 1664525 + 1013904223;
        ft_sequence_add(&stream, (uint16_t)(random >> 12 & (i & 0x1000 ? 0xff : 0xffff)),
                        random >> 30, realloc);
    }
    const ft_sequence_counts counts = ft_sequence_count(&stream);
    assert_int_equal(counts.received + counts.strays + counts.copies + counts.twins, packets);
    assert_true(counts.lost < 0x7fffffff);
    assert_true(counts.longest <= counts.lost);
    assert_true(counts.bursts <= counts.lost);
}

static void
test_timestamps(void **state)
{
    (void)state;
    ft_timestamps stamps = { 0 };

    assert_int_equal(ft_timestamp_extend(&stamps, 0xfffffff0), INT64_C(0xfffffff0));
    assert_int_equal(ft_timestamp_extend(&stamps, 0x10), INT64_C(0x100000010));
    assert_int_equal(ft_timestamp_extend(&stamps, 0xfffffff8), INT64_C(0xfffffff8)); /* late */
    assert_int_equal(ft_timestamp_extend(&stamps, 0x20), INT64_C(0x100000020));
}

static void
test_timestamps_of_a_start_at_zero(void **state)
{
    (void)state;
    ft_timestamps stamps = { 0 };

    assert_int_equal(ft_timestamp_extend(&stamps, 0), 0);
    assert_int_equal(ft_timestamp_extend(&stamps, 0xfffffff0), -16); /* overtaken by the first */
    assert_int_equal(ft_timestamp_extend(&stamps, 480), 480);
}

static void
test_stray_timestamps(void **state)
{
    (void)state;
    static const uint32_t strays[] = { 0x7fffff00, 0x80000100, 0xc0000000 };

    for (unsigned i = 0; i < sizeof strays / sizeof *strays; i++) {
        ft_timestamps stamps = { 0 };
        ft_timestamp_extend(&stamps, 1000);
        ft_timestamp_extend(&stamps, 1000 + strays[i]);
        assert_int_equal(ft_timestamp_extend(&stamps, 2000), 2000);
        assert_int_equal(ft_timestamp_extend(&stamps, 3000), 3000);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    static const struct CMUnitTest tests[] = {
        TEST(test_nothing_yet),
        TEST(test_first_packet_counts_once_believed),
        TEST(test_loss_before_the_stream_is_believed),
        TEST(test_two_packets_alone),
        TEST(test_stray_ahead_of_the_stream),
        TEST(test_wrap),
        TEST(test_many_wraps),
        TEST(test_gap_over_the_wrap),
        TEST(test_late_over_the_wrap),
        TEST(test_late_packets_fill),
        TEST(test_bursts),
        TEST(test_burst_longer_than_the_window),
        TEST(test_each_second_packet_lost),
        TEST(test_stray_amid_the_stream),
        TEST(test_stray_a_little_ahead),
        TEST(test_long_dropout),
        TEST(test_restart),
        TEST(test_restart_behind),
        TEST(test_loss_right_after_a_restart),
        TEST(test_two_strays_that_are_no_neighbours),
        TEST(test_copies_apart),
        TEST(test_copies_from_far_behind),
        TEST(test_copy_of_the_first),
        TEST(test_same_number_later),
        TEST(test_marks),
        TEST(test_twins),
        TEST(test_late_below_the_first),
        TEST(test_reordered_start),
        TEST(test_stream_without_neighbours),
        TEST(test_noise),
        TEST(test_timestamps),
        TEST(test_timestamps_of_a_start_at_zero),
        TEST(test_stray_timestamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
