/* calls/test_channel.c
 * Walks the life of a channel: each state with each input, and the stories that captures tell.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after what it needs */
#include <cmocka.h>

static void
story(const ft_channel_input *inputs, const ft_channel_finding *findings, unsigned count,
      ft_channel_state end)
{
    ft_channel_state state = FT_CHANNEL_UNSEEN;

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(ft_channel_step(&state, inputs[i]), findings[i]);
    assert_int_equal(state, end);
}

#define STORY(end, inputs, findings) \
    story(inputs, findings, sizeof inputs / sizeof *inputs, end)

static void
test_each_state_takes_each_input(void **unused)
{
    (void)unused;
    for (int state = 0; state < FT_CHANNEL_STATES; state++) {
        for (int input = 0; input < FT_CHANNEL_INPUTS; input++) {
            ft_channel_state now = (ft_channel_state)state;
            const ft_channel_finding found = ft_channel_step(&now, (ft_channel_input)input);
            assert_true((unsigned)now < FT_CHANNEL_STATES);
            if (input == FT_CHANNEL_RELEASE_DONE)
                assert_int_equal(now, FT_CHANNEL_RELEASED);
            if (input != FT_CHANNEL_DATA_UP)
                /* the relay's own packets are never a fault */
                assert_int_equal(found, FT_CHANNEL_FINE);
            else
                assert_int_equal(found, state == FT_CHANNEL_ASKED      ? FT_CHANNEL_EARLY
                                        : state == FT_CHANNEL_RELEASED ? FT_CHANNEL_USED_AFTER
                                                                       : FT_CHANNEL_FINE);
        }
    }
}

static void
test_used_before_the_answer(void **unused)
{
    const ft_channel_input inputs[] = { FT_CHANNEL_BIND_ASKED, FT_CHANNEL_DATA_UP,
                                        FT_CHANNEL_BIND_DONE, FT_CHANNEL_DATA_UP };
    const ft_channel_finding findings[] = { FT_CHANNEL_FINE, FT_CHANNEL_EARLY, FT_CHANNEL_FINE,
                                            FT_CHANNEL_FINE };

    (void)unused;
    STORY(FT_CHANNEL_BOUND, inputs, findings);
}

static void
test_downlink_proves_the_bind(void **unused)
{
    const ft_channel_input inputs[] = { FT_CHANNEL_BIND_ASKED, FT_CHANNEL_DATA_UP,
                                        FT_CHANNEL_DATA_DOWN, FT_CHANNEL_DATA_UP };
    const ft_channel_finding findings[] = { FT_CHANNEL_FINE, FT_CHANNEL_EARLY, FT_CHANNEL_FINE,
                                            FT_CHANNEL_FINE };

    (void)unused;
    STORY(FT_CHANNEL_BOUND, inputs, findings);
}

static void
test_release_holds_when_answered(void **unused)
{
    const ft_channel_input inputs[] = { FT_CHANNEL_BIND_ASKED,    FT_CHANNEL_BIND_DONE,
                                        FT_CHANNEL_RELEASE_ASKED, FT_CHANNEL_DATA_DOWN,
                                        FT_CHANNEL_DATA_UP,       FT_CHANNEL_RELEASE_ASKED,
                                        FT_CHANNEL_RELEASE_DONE,  FT_CHANNEL_DATA_DOWN,
                                        FT_CHANNEL_DATA_UP };
    const ft_channel_finding findings[] = {
        FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_FINE,      FT_CHANNEL_FINE,
        FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_USED_AFTER
    };

    (void)unused;
    STORY(FT_CHANNEL_RELEASED, inputs, findings);
}

static void
test_what_still_carries_was_not_released(void **unused)
{
    const ft_channel_input inputs[] = { FT_CHANNEL_DATA_DOWN,    FT_CHANNEL_RELEASE_ASKED,
                                        FT_CHANNEL_RELEASE_DONE, FT_CHANNEL_DATA_UP,
                                        FT_CHANNEL_DATA_LATER,   FT_CHANNEL_DATA_UP };
    const ft_channel_finding findings[] = { FT_CHANNEL_FINE,       FT_CHANNEL_FINE,
                                            FT_CHANNEL_FINE,       FT_CHANNEL_USED_AFTER,
                                            FT_CHANNEL_FINE,       FT_CHANNEL_FINE };

    (void)unused;
    STORY(FT_CHANNEL_BOUND, inputs, findings);
}

static void
test_refused_is_not_early(void **unused)
{
    const ft_channel_input inputs[] = { FT_CHANNEL_BIND_ASKED, FT_CHANNEL_BIND_REFUSED,
                                        FT_CHANNEL_DATA_UP };
    const ft_channel_finding findings[] = { FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_FINE };

    (void)unused;
    STORY(FT_CHANNEL_REFUSED, inputs, findings);
}

static void
test_bound_anew_after_release(void **unused)
{
    const ft_channel_input inputs[] = { FT_CHANNEL_BIND_ASKED,    FT_CHANNEL_BIND_DONE,
                                        FT_CHANNEL_RELEASE_ASKED, FT_CHANNEL_RELEASE_DONE,
                                        FT_CHANNEL_BIND_ASKED,    FT_CHANNEL_DATA_UP };
    const ft_channel_finding findings[] = { FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_FINE,
                                            FT_CHANNEL_FINE, FT_CHANNEL_FINE, FT_CHANNEL_EARLY };

    (void)unused;
    STORY(FT_CHANNEL_ASKED, inputs, findings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_state_takes_each_input),
        cmocka_unit_test(test_used_before_the_answer),
        cmocka_unit_test(test_downlink_proves_the_bind),
        cmocka_unit_test(test_release_holds_when_answered),
        cmocka_unit_test(test_what_still_carries_was_not_released),
        cmocka_unit_test(test_refused_is_not_early),
        cmocka_unit_test(test_bound_anew_after_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
