/* calls/event.c
 * What is told of a packet, and in which call's story:
 *
 *    ft_event_add -> due by its row, room in the call? -> on the frame (shown there), in the
 *                    call's list (reports)
 *
 *    often (calls/event.h)    told at                     text
 *    FT_EACH                  each packet                 its own
 *    FT_COUNTED               each packet                 its own first, then the row's
 *    FT_ONCE_A_LEG, _A_CALL   the first, by a bit of      its own
 *                             the way's or call's `told`
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/event.h"
#include "calls/model.h"
#include "calls/limits.h"
#include "calls/text.h"

static const struct {
    const char  *name;
    ft_frequency often;
    const char  *text;
} rows[] = {
#define EVENT_ROW(id, name, severity, often, text) { name, often, text },
    FT_EVENTS(EVENT_ROW)
};

const char *
ft_event_name(ft_event_id id)
{
    return rows[id].name;
}

ft_frequency
ft_event_often(ft_event_id id)
{
    return rows[id].often;
}

/* A frame may hold several datagrams (TCP segments, tunnels), each with events of its own. */
static const ft_event *
of_part(const ft_event *event, unsigned part)
{
    while (event && (event->part != part || event->taken_back))
        event = event->next;
    return event;
}

const ft_event *
ft_event_first(packet_info *pinfo, const ft_packet *packet)
{
    const ft_frame *frame = ft_frame_get(pinfo);

    return frame ? of_part(frame->events, packet->part) : NULL;
}

const ft_event *
ft_event_next(const ft_event *event)
{
    return of_part(event->next, event->part);
}

/* Where an event that is told once has its bit; NULL for the others, and where there is no way or
 * call to remember it: there it is told. */
static uint64_t *
told_by(const ft_packet *packet, ft_event_id id)
{
    if (rows[id].often == FT_ONCE_A_LEG)
        return packet->leg ? &packet->leg->told : NULL;
    if (rows[id].often == FT_ONCE_A_CALL)
        return packet->call ? &packet->call->told : NULL;
    return NULL;
}

/* A datagram that was seen before tells nothing: the first copy has told it. */
bool
ft_event_is_due(const packet_info *pinfo, ft_event_id id)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || pinfo->fd->visited || packet->seen_before)
        return false;
    const uint64_t *told = told_by(packet, id);
    return !told || (*told & UINT64_C(1) << id) == 0;
}

/* A flood of one counted event leaves room for whatever else a call has to tell: the bound is of
 * the call, so it silences no other one either. */
static ft_limit
bound_of(ft_event_id id)
{
    return rows[id].often == FT_COUNTED ? FT_LIMIT_COUNTED_EVENTS : FT_LIMIT_EVENTS;
}

/* Checks sent again and media on both paths come by thousands: from the second on in a call they
 * share the row's text, and cost none of their own. */
static const char *
event_text(ft_call *call, ft_event_id id, const char *format, va_list arguments)
{
    const uint64_t bit = UINT64_C(1) << id;

    if (rows[id].often == FT_COUNTED && call && (call->told & bit))
        return rows[id].text;
    if (call)
        call->told |= bit;
    return ft_text_format(wmem_file_scope(), format, arguments);
}

static ft_event *
record(ft_frame *frame, const nstime_t *when, ft_call *call, ft_path path, ft_event_id id,
       uint32_t other_frame, const char *format, va_list arguments)
{
    if (call && !ft_limit_allows(bound_of(id), wmem_array_get_count(call->events)))
        return NULL;

    ft_event *event = wmem_new0(wmem_file_scope(), ft_event);
    event->id = id;
    event->frame = frame->id;
    event->other_frame = other_frame;
    event->time = *when;
    event->path = path;
    event->call = call;
    event->text = event_text(call, id, format, arguments);

    ft_event **end = &frame->events;
    while (*end)
        end = &(*end)->next;
    *end = event;
    if (call)
        wmem_array_append_one(call->events, event);
    return event;
}

ft_event *
ft_event_add(packet_info *pinfo, ft_event_id id, uint32_t other_frame, const char *format, ...)
{
    ft_packet *packet = ft_packet_get(pinfo);
    const nstime_t now = ft_now(pinfo);
    va_list arguments;

    if (!ft_event_is_due(pinfo, id))
        return NULL;
    uint64_t *told = told_by(packet, id);
    if (told)
        *told |= UINT64_C(1) << id;
    va_start(arguments, format);
    ft_event *event = record(ft_frame_make(pinfo), &now, packet->call, packet->path, id,
                             other_frame, format, arguments);
    va_end(arguments);
    if (!event)
        ft_limit_met(pinfo, bound_of(id));
    if (event)
        event->part = packet->part;
    return event;
}

/* By hindsight: the frame is an earlier one, which was shown without it on the first pass. No
 * bound is told, as no packet is in hand. */
ft_event *
ft_event_add_at(ft_frame *frame, const nstime_t *when, struct ft_call *call, ft_path path,
                ft_event_id id, uint32_t other_frame, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    ft_event *event = record(frame, when, call, path, id, other_frame, format, arguments);
    va_end(arguments);
    if (event)
        event->hindsight = true;
    return event;
}

void
ft_event_drop(ft_call *call, const ft_event *event)
{
    const unsigned count = wmem_array_get_count(call->events);
    wmem_array_t *kept = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_event *), MAX(count, 1));

    call->told &= ~(UINT64_C(1) << event->id);
    for (unsigned i = 0; i < count; i++) {
        ft_event **told = (ft_event **)wmem_array_index(call->events, i);
        if (*told == event)
            continue;
        wmem_array_append(kept, told, 1);
        if ((*told)->id == event->id)
            call->told |= UINT64_C(1) << event->id;
    }
    wmem_destroy_array(call->events); /* a hostile call has thousands */
    call->events = kept;
}

static void
take_back(ft_call *call, ft_event_id id, uint32_t frame)
{
    for (unsigned i = wmem_array_get_count(call->events); i-- > 0;) {
        ft_event *event = *(ft_event **)wmem_array_index(call->events, i);
        if (event->id != id || (frame && event->frame != frame))
            continue;
        event->taken_back = true;
        ft_event_drop(call, event);
    }
}

void
ft_event_take_back(ft_call *call, ft_event_id id)
{
    take_back(call, id, 0);
}

void
ft_event_take_back_at(ft_call *call, ft_event_id id, uint32_t frame)
{
    take_back(call, id, frame);
}
