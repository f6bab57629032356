/* test_clock.c
 * Unit tests of calls/clock.c and calls/histogram.h: clocks of networks, of phones, of people
 * who set them.
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

#include "calls/clock.h"
#include "calls/histogram.h"

#define MS 1000
#define SECOND 1000000

static ft_clock clock_;
static ft_clock_run run, back;  /* of what is sent, of what comes */
static int64_t now;

static int
fresh(void **state)
{
    (void)state;
    memset(&clock_, 0, sizeof clock_);
    memset(&run, 0, sizeof run);
    memset(&back, 0, sizeof back);
    now = 0;
    return 0;
}

static void
learn(int64_t media, int64_t capture)
{
    now += capture;
    ft_clock_learn(&clock_, &run, &(ft_clock_pair){ true, media, capture, now });
}

/* The same moment, of what comes. */
static void
learn_back(int64_t media, int64_t capture)
{
    ft_clock_learn(&clock_, &back, &(ft_clock_pair){ false, media, capture, now });
}

static void
steady(unsigned packets, int64_t step)
{
    for (unsigned i = 0; i < packets; i++)
        learn(step, step);
}

static ft_clock_verdict
verdict(void)
{
    return ft_clock_judge(&clock_);
}

static void
test_nothing_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(verdict(), FT_CLOCK_UNKNOWN);
    steady(99, 20 * MS); /* 1.98 s */
    assert_int_equal(verdict(), FT_CLOCK_UNKNOWN);
    steady(1, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

static void
test_jitter_is_good(void **state)
{
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 1000; i++)
        learn(20 * MS, rand() % (40 * MS));
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

/* As the phones' captures of 2023: some 0.98 s of media in 8 ms, then the rest of the second. */
static void
batches(unsigned count, unsigned packets, int64_t step)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 1; j < packets; j++)
            learn(step, 160);
        learn(step, packets * step - (packets - 1) * 160);
    }
}

static void
test_batches(void **state)
{
    (void)state;
    batches(3, 50, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_BATCHED);
}

static void
test_batches_of_pictures(void **state)
{
    (void)state;
    batches(4, 30, 33333);
    assert_int_equal(verdict(), FT_CLOCK_BATCHED);
}

/* Where a batch is seen as soon as a verdict is given, no packet is believed before. */
static void
test_batches_are_known_from_the_first_verdict_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        learn(20 * MS, i % 50 == 49 ? SECOND - 49 * 100 : 100);
        assert_int_not_equal(verdict(), FT_CLOCK_GOOD);
    }
    assert_int_equal(verdict(), FT_CLOCK_BATCHED);
}

/* Wi-Fi that sleeps, a scheduler that gathers: five packets at once, each 100 ms. */
static void
test_short_bursts_are_a_network(void **state)
{
    (void)state;
    batches(200, 5, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

/* A tunnel: nothing for 1.5 s, then all of it. */
static void
test_a_stall_is_a_network(void **state)
{
    (void)state;
    steady(500, 20 * MS);
    learn(20 * MS, 1520 * MS);
    for (unsigned i = 0; i < 75; i++)
        learn(20 * MS, 100);
    steady(500, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

static void
test_a_clock_that_was_set(void **state)
{
    (void)state;
    steady(500, 20 * MS);
    learn(20 * MS, 4 * SECOND + 20 * MS);
    steady(50, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_GOOD); /* it might be a stall */
    steady(100, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_STEPPED);
}

static void
test_a_clock_that_was_set_back(void **state)
{
    (void)state;
    steady(500, 20 * MS);
    learn(20 * MS, -2480 * MS);
    steady(200, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_STEPPED);
}

static void
test_a_frame_out_of_order_is_no_step(void **state)
{
    (void)state;
    steady(500, 20 * MS);
    learn(20 * MS, -3 * SECOND);
    learn(20 * MS, 3 * SECOND + 40 * MS);
    steady(500, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

static void
test_a_silence_is_no_leap(void **state)
{
    (void)state;
    steady(500, 20 * MS);
    learn(5 * SECOND, 5 * SECOND);
    learn(5 * SECOND, 100);
    learn(0, 3 * SECOND);
    learn(-20 * MS, 3 * SECOND);
    steady(500, 20 * MS);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

static void
test_two_streams_one_clock(void **state)
{
    ft_clock_run other = { 0 };

    (void)state;
    for (unsigned i = 0; i < 200; i++) { /* in turn: each stream's run is its own */
        const int64_t capture = i % 50 == 49 ? SECOND : 0;
        learn(20 * MS, capture);
        ft_clock_learn(&clock_, &other, &(ft_clock_pair){ true, 20 * MS, capture, now });
    }
    assert_int_equal(verdict(), FT_CLOCK_BATCHED);
}

/* ---- both directions ---- */

/* Packets of 20 ms that come in batches: of what is sent, of what comes; 1: one by one. */
static void
both(unsigned packets, unsigned sent, unsigned came)
{
    for (unsigned i = 1; i <= packets; i++) {
        learn(20 * MS, i % sent ? 80 : 20 * MS * sent - 80 * (sent - 1));
        learn_back(20 * MS, i % came ? 80 : 20 * MS * came - 80 * (came - 1));
    }
}

static void
test_short_batches_of_both_directions(void **state)
{
    for (unsigned length = 4; length <= 50; length++) { /* 80 ms to a second */
        fresh(state);
        both(300, length, length);
        assert_int_equal(verdict(), FT_CLOCK_BATCHED);
    }
}

/* What the device sends comes evenly: the network gathers, however long. */
static void
test_batches_of_one_direction_are_a_network(void **state)
{
    for (unsigned length = 4; length <= 50; length++) {
        fresh(state);
        both(300, 1, length);
        assert_int_equal(verdict(), FT_CLOCK_GOOD);
    }
}

static void
test_a_clock_set_by_little(void **state)
{
    static const int64_t steps[] = { 100, 120, 300, 500, 999, -120, -300, -500, -999 };

    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        fresh(state);
        both(200, 1, 1);
        learn(20 * MS, (20 + steps[i]) * MS);
        learn_back(20 * MS, (20 + steps[i] + (i & 1 ? 15 : -15)) * MS);
        both(120, 1, 1);
        if (ft_distance(steps[i]) >= 120)
            assert_int_equal(verdict(), FT_CLOCK_STEPPED);
    }
}

/* Another path, a queue: one direction is slower or faster from now on; and both, but by
 * different times, or at different moments. */
static void
test_a_slower_network_is_no_clock_set(void **state)
{
    (void)state;
    both(200, 1, 1);
    learn_back(20 * MS, 320 * MS);
    both(120, 1, 1);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
    learn(20 * MS, 120 * MS);
    both(120, 1, 1);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
    learn(20 * MS, 320 * MS);
    both(50, 1, 1);
    learn_back(20 * MS, 320 * MS);
    both(120, 1, 1);
    assert_int_equal(verdict(), FT_CLOCK_GOOD);
}

/* ---- histogram ---- */

static ft_histogram values;

static void
empty(void)
{
    free(values.entries);
    memset(&values, 0, sizeof values);
}

static void
test_histogram_is_exact_below_128(void **state)
{
    (void)state;
    empty();
    for (uint32_t i = 1; i <= 101; i++)
        ft_histogram_add(&values, i, realloc);
    assert_int_equal(values.total, 101);
    assert_int_equal(values.least, 1);
    assert_int_equal(ft_histogram_at(&values, 0.5), 51);
    assert_int_equal(ft_histogram_at(&values, 0.95), 96);
    assert_int_equal(ft_histogram_at(&values, 1), 101);
}

static void
test_histogram_is_near_above(void **state)
{
    (void)state;
    for (uint32_t value = 1; value < 1u << 22; value += value / 7 + 1) {
        const double off = (double)ft_histogram_value(ft_histogram_bin(value)) - value;
        assert_true(off <= 0.008 * value && off >= -0.008 * value);
    }
}

static void
test_histogram_takes_any_value(void **state)
{
    (void)state;
    empty();
    ft_histogram_add(&values, UINT32_MAX, realloc);
    assert_true(ft_histogram_bin(UINT32_MAX) < FT_HISTOGRAM_BINS);
    assert_true(ft_histogram_at(&values, 0.5) >= 1u << 21);
}

static void
test_empty_histogram(void **state)
{
    (void)state;
    empty();
    assert_int_equal(ft_histogram_at(&values, 0.5), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_unknown),
        TEST(test_jitter_is_good),
        TEST(test_batches),
        TEST(test_batches_of_pictures),
        TEST(test_batches_are_known_from_the_first_verdict_on),
        TEST(test_short_bursts_are_a_network),
        TEST(test_a_stall_is_a_network),
        TEST(test_a_clock_that_was_set),
        TEST(test_a_clock_that_was_set_back),
        TEST(test_a_frame_out_of_order_is_no_step),
        TEST(test_a_silence_is_no_leap),
        TEST(test_two_streams_one_clock),
        TEST(test_short_batches_of_both_directions),
        TEST(test_batches_of_one_direction_are_a_network),
        TEST(test_a_clock_set_by_little),
        TEST(test_a_slower_network_is_no_clock_set),
        TEST(test_histogram_is_exact_below_128),
        TEST(test_histogram_is_near_above),
        TEST(test_histogram_takes_any_value),
        TEST(test_empty_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
