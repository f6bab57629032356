/* calls/test_steady.c
 * Clocks with faults, a stamp at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "calls/steady.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)
#define START  (INT64_C(1690000000) * SECOND)

/* Adds packets 20 ms apart; the last one's steady time. */
static int64_t
run(ft_steady_clock *clock, int64_t *stamp, unsigned packets)
{
    int64_t steady = 0;

    for (unsigned i = 0; i < packets; i++, *stamp += SECOND / 50)
        steady = ft_steady_add(clock, *stamp);
    return steady;
}

static void
a_good_clock_is_as_it_is(void **state)
{
    ft_steady_clock clock = { 0 };
    const int64_t steps[] = { 1, 20000, 0, -1900000, 1900000, 59 * SECOND, 300, 3 * DAY };
    int64_t stamp = START;

    (void)state;
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        stamp += steps[i];
        assert_int_equal(ft_steady_add(&clock, stamp), stamp);
    }
}

static void
strays_leave_no_trace(void **state)
{
    const int64_t strays[] = { 400 * DAY, -400 * DAY, 3600 * SECOND, -5 * SECOND };

    (void)state;
    for (unsigned i = 0; i < sizeof strays / sizeof *strays; i++) {
        ft_steady_clock clock = { 0 };
        int64_t stamp = START;

        run(&clock, &stamp, 100);
        ft_steady_add(&clock, stamp + strays[i]);
        assert_int_equal(ft_steady_add(&clock, stamp), stamp);
        ft_steady_add(&clock, stamp + strays[i]);
        ft_steady_add(&clock, stamp + 2 * strays[i]);
        const int64_t last = run(&clock, &stamp, 100);
        assert_int_equal(last, stamp - SECOND / 50);
        assert_false(clock.doubt);
    }
}

static void
back_is_no_time(void **state)
{
    ft_steady_clock clock = { 0 };
    int64_t stamp = START, before;

    (void)state;
    before = run(&clock, &stamp, 10);
    stamp -= 3600 * SECOND;
    assert_int_equal(ft_steady_add(&clock, stamp), before);
    assert_int_equal(ft_steady_add(&clock, stamp + 20000), before + 20000);
}

static void
ahead_is_believed_until_a_sender_goes_on(void **state)
{
    ft_steady_clock clock = { 0 };
    int64_t stamp = START, before;

    (void)state;
    before = run(&clock, &stamp, 10);
    stamp += DAY;
    assert_int_equal(ft_steady_add(&clock, stamp), stamp);
    assert_true(clock.doubt);
    ft_steady_add(&clock, stamp + 20000);
    assert_int_equal(ft_steady_follows(&clock, before - 40000), before + 20000);
    assert_false(clock.doubt);
    assert_int_equal(ft_steady_add(&clock, stamp + 40000), before + 40000);
}

/* A sender that fell silent long before the step, and one that goes on much later. */
static void
a_pause_stays_one(void **state)
{
    ft_steady_clock clock = { 0 };
    int64_t stamp = START, steady;

    (void)state;
    run(&clock, &stamp, 10);
    stamp += DAY;
    ft_steady_add(&clock, stamp);
    assert_int_equal(ft_steady_follows(&clock, START - 30 * SECOND), stamp);
    steady = run(&clock, &stamp, 2 * FT_STEADY_PACKETS);
    assert_false(clock.doubt);
    assert_int_equal(ft_steady_follows(&clock, START), steady);
}

/* Two capture points, an hour apart, a packet of each in turn. */
static void
two_clocks_are_two_lines(void **state)
{
    ft_steady_clock clock = { 0 };

    (void)state;
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(ft_steady_add(&clock, START + i * 20000), START + i * 20000);
        ft_steady_add(&clock, START + 3600 * SECOND + i * 20000);
        if (i == 0)
            ft_steady_follows(&clock, START);
    }
    assert_int_equal(ft_steady_add(&clock, START + 3602 * SECOND), START + 2 * SECOND);
}

static void
hostile_stamps_stay_numbers(void **state)
{
    ft_steady_clock clock = { 0 };

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        const int64_t odd = (int64_t)(i * UINT64_C(0x9E3779B97F4A7C15));
        const int64_t steady = ft_steady_add(&clock, odd);
        assert_true(steady >= -FT_STEADY_MOST_US && steady <= FT_STEADY_MOST_US);
        ft_steady_follows(&clock, -odd);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_clock_is_as_it_is),
        cmocka_unit_test(strays_leave_no_trace),
        cmocka_unit_test(back_is_no_time),
        cmocka_unit_test(ahead_is_believed_until_a_sender_goes_on),
        cmocka_unit_test(a_pause_stays_one),
        cmocka_unit_test(two_clocks_are_two_lines),
        cmocka_unit_test(hostile_stamps_stay_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
