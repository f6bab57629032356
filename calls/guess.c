/* calls/guess.c
 * An allocation that only addresses tie to a call is a guess: where two calls are set up at once,
 * it may be the other one's, which its channel tells later.
 *
 *    Allocate, its answer, bind        first media, check or SIP in the channel
 *    guessed: call 1                   shows call 2: all of these frames are call 2's, their
 *                                      events with them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/guess.h"
#include "calls/call.h"
#include "calls/mark.h"
#include "calls/preparation.h"

/* The event's frame is another call's: so is its place in the story, and what may be told again,
 * unless the call has told it of another frame. */
static void
move_event(ft_call *to, ft_call *from, ft_event *event)
{
    const unsigned count = wmem_array_get_count(from->events);
    wmem_array_t *kept = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_event *), MAX(count, 1));

    from->told &= ~(UINT64_C(1) << event->id);
    for (unsigned i = 0; i < count; i++) {
        ft_event **told = (ft_event **)wmem_array_index(from->events, i);
        if (*told == event)
            continue;
        wmem_array_append(kept, told, 1);
        if ((*told)->id == event->id)
            from->told |= UINT64_C(1) << event->id;
    }
    wmem_destroy_array(from->events); /* a hostile call has thousands */
    from->events = kept;
    event->call = to;
    to->told |= UINT64_C(1) << event->id;
    wmem_array_append_one(to->events, event);
}

/* What a bind and the redial of a call that broke off have told. */
static void
move_remote(ft_call *to, ft_call *from)
{
    if (from->remote_rank == FT_REMOTE_BOUND) {
        ft_call_remote(to, &from->remote, FT_REMOTE_BOUND);
        from->remote_rank = FT_REMOTE_UNKNOWN;
        from->remote = (ft_endpoint){ ADDRESS_INIT_NONE, 0 };
    }
    if (from->may_restart && !to->may_restart) {
        to->may_restart = true;
        to->before = from->before == to ? to->before : from->before;
    }
    if (from->told & UINT64_C(1) << FT_EVENT_CALL_RESTARTED)
        return;
    to->restart_of = from->restart_of;
    from->restart_of = NULL;
}

void
ft_call_take_over(packet_info *pinfo, ft_call *to, ft_call *from, wmem_array_t *guesses,
                  bool was_its_set_up)
{
    for (unsigned i = 0; i < wmem_array_get_count(guesses); i++) {
        const ft_guess *guess = (const ft_guess *)wmem_array_index(guesses, i);
        if (!ft_prepared_tie(pinfo, guess->frame, to))
            return;
        for (ft_event *event = guess->frame->events; event; event = event->next) {
            if (event->id != FT_EVENT_CALL_STARTED)
                move_event(to, from, event);
        }
        from->packets -= MIN(1, from->packets);
        to->packets++;
        if (nstime_cmp(&guess->time, &to->first_time) < 0)
            to->first_time = guess->time;
        if (nstime_cmp(&guess->steady, &to->begin_time) < 0)
            to->begin_time = guess->steady;
    }
    move_remote(to, from);
    if (was_its_set_up)
        from->seen &= ~(unsigned)FT_SEEN_SETUP;
    to->seen |= FT_SEEN_SETUP;
    ft_call_changes++;
}
