/* plugin/view.c
 * What calls/ knows of a call when all packets were seen, as its findings ask for it.
 *
 *    senders            -> when each side's media began and ended
 *    the file's span    -> does the call begin, or go on, where the capture does?
 *    calls/witness.h    -> cut packets, copies, are both directions there?
 *    events, reveals    -> what ended it, the steps of its set-up
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/view.h"
#include "plugin/words.h"

#include "calls/frame.h"

/* media so soon after a modern call's first packet: its set-up isn't in the file */
#define SET_UP_S        0.1
/* a call that begins so long after the file did has its beginning in it */
#define FILE_BEGINS_S   5.0
/* a shorter call, by frame times, has neither quality nor handovers to judge */
#define CALL_ENOUGH_S   2.0

const char *const view_sides[2] = { "the peer", "the device" };

double
view_reached(const view *v, ft_setup_step step)
{
    const ft_moment *moment = &v->known->setup[step];

    return (double)moment->time / SECOND - (double)moment->ahead / 1000;
}

bool
view_has_step(const view *v, ft_setup_step step)
{
    return v->known->setup[step].frame != 0;
}

void
finding_add_frame(finding *out, uint32_t frame)
{
    for (unsigned i = 0; i < out->frame_count; i++) {
        if (out->frames[i] == frame)
            return;
    }
    if (ft_frame_number(frame) && out->frame_count < MAX_FRAMES)
        out->frames[out->frame_count++] = frame;
}

bool
finding_say(const view *v, finding *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    out->text = wmem_strdup_vprintf(v->scope, format, arguments);
    va_end(arguments);
    return true;
}

const ft_event *
view_event(const ft_call *call, ft_event_id id, unsigned n)
{
    for (unsigned i = 0; i < wmem_array_get_count(call->events); i++) {
        const ft_event *event = *(const ft_event **)wmem_array_index(call->events, i);
        if (event->id == id && n-- == 0)
            return event;
    }
    return NULL;
}

static void
note_sender(view *v, const ft_sender *sender)
{
    direction *side = &v->side[sender->outgoing];
    const double first = nstime_to_sec(&sender->first_time),
                 last = nstime_to_sec(&sender->last_time);

    if (!side->any || first < side->first)
        side->first = first;
    if (!side->any || last > side->last) {
        side->last = last;
        side->last_frame = sender->last_frame;
    }
    side->any = true;
    v->media_first = v->media_first > 0 ? MIN(v->media_first, first) : first;
    v->media_last = MAX(v->media_last, last);
}

static bool
begins_with_media(const view *v)
{
    const double begin = nstime_to_sec(&v->call->begin_time);

    if (v->media_first <= 0 || ft_since_start(&v->call->first_time) > FILE_BEGINS_S ||
        v->call->invite_frame)
        return false;
    return v->call->generation != FT_MODERN || v->media_first - begin <= SET_UP_S;
}

view
view_call(wmem_allocator_t *scope, const ft_call *call)
{
    view v = { .scope = scope,
               .call = call,
               .known = ft_reveals_of(scope, call),
               .all = ft_witness_of(call) };
    const nstime_t file_last = ft_frame_steady_end();

    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++)
        note_sender(&v, *(const ft_sender **)wmem_array_index(call->senders, i));
    v.file_last = nstime_to_sec(&file_last);
    v.ended = call->state == FT_CALL_ENDED || view_event(call, FT_EVENT_SOCKET_CLOSED, 0);
    v.long_enough = ft_seconds(&call->begin_time, ft_call_last_time(call)) >= CALL_ENOUGH_S;
    v.one_direction = v.all.one_direction;
    v.begins_in_call = !v.one_direction && begins_with_media(&v);
    return v;
}

const char *
view_seconds_text(const view *v, double seconds)
{
    return call_clock_is_batched(v->call) ? wmem_strdup_printf(v->scope, "about %.0f s", seconds)
                                          : wmem_strdup_printf(v->scope, "%.1f s", seconds);
}
