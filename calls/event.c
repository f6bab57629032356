/* calls/event.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/event.h"
#include "calls/call.h"
#include "calls/limits.h"

static const char *const event_names[] = {
#define EVENT_NAME(id, name, severity, text) name,
    FT_EVENTS(EVENT_NAME)
};

static wmem_map_t *events_by_frame; /* frame -> its first event */
static unsigned event_total;

static void
reset(void)
{
    event_total = 0;
}

void
ft_event_init(void)
{
    events_by_frame = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_direct_hash, g_direct_equal);
    register_init_routine(reset);
}

const char *
ft_event_name(ft_event_id id)
{
    return event_names[id];
}

const ft_event *
ft_events_of(uint32_t frame)
{
    return (const ft_event *)wmem_map_lookup(events_by_frame, GUINT_TO_POINTER(frame));
}

static ft_event *
record(uint32_t frame, const nstime_t *when, ft_call *call, ft_path path, ft_event_id id, uint32_t other_frame,
       const char *format, va_list arguments)
{
    if (event_total >= FT_MAX_EVENTS)
        return NULL;
    event_total++;

    ft_event *event = wmem_new0(wmem_file_scope(), ft_event);
    event->id = id;
    event->frame = frame;
    event->other_frame = other_frame;
    event->time = *when;
    event->path = path;
    event->call = call;
    event->text = wmem_strdup_vprintf(wmem_file_scope(), format, arguments);

    ft_event *first = (ft_event *)ft_events_of(frame);
    if (!first) {
        wmem_map_insert(events_by_frame, GUINT_TO_POINTER(frame), event);
    } else {
        while (first->next)
            first = first->next;
        first->next = event;
    }
    if (call)
        wmem_array_append_one(call->events, event);
    return event;
}

ft_event *
ft_event_add(packet_info *pinfo, ft_event_id id, uint32_t other_frame, const char *format, ...)
{
    ft_packet *packet = ft_packet_get(pinfo);
    va_list arguments;

    if (!packet || pinfo->fd->visited)
        return NULL;
    va_start(arguments, format);
    ft_event *event = record(pinfo->num, &pinfo->rel_ts, packet->call, packet->path, id, other_frame, format, arguments);
    va_end(arguments);
    packet->limit_hit |= event == NULL;
    return event;
}

ft_event *
ft_event_add_at(uint32_t frame, const nstime_t *when, struct ft_call *call, ft_path path,
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
