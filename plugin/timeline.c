/* plugin/timeline.c
 * tshark -q -z facetime,calls[,json][,filter]      a table, one call a line
 * tshark -q -z facetime,timeline[,json][,filter]   each call told event by event
 *
 * Both tell what calls/ remembers; a filter leaves the calls and events of the packets that pass
 * it.
 *
 *    each packet that passes -> its frame, its call --+
 *    the file's end          -> hindsight, merges ----+-> wanted calls and events -> text or JSON
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/report.h"
#include "plugin/timeline.h"

#include "calls/call.h"
#include "calls/dialog.h"
#include "calls/media.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>
#include <epan/to_str.h>

static void
report_reset(void *data)
{
    report *wanted = (report *)data;

    g_hash_table_remove_all(wanted->frames);
    g_hash_table_remove_all(wanted->calls);
}

static tap_packet_status
report_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
              tap_flags_t flags _U_)
{
    report *wanted = (report *)data;
    const ft_packet *packet = (const ft_packet *)tapped;

    if (!wanted->filtered)
        return TAP_PACKET_DONT_REDRAW;
    /* A BYE may get an event by hindsight. */
    if (packet->kind == FT_KIND_SIP || ft_event_first(pinfo, packet))
        g_hash_table_add(wanted->frames, GUINT_TO_POINTER(packet->frame));
    if (packet->call)
        g_hash_table_add(wanted->calls, packet->call);
    return TAP_PACKET_REDRAW;
}

bool
wants_event(const report *wanted, const ft_event *event)
{
    return !wanted->filtered ||
           g_hash_table_contains(wanted->frames, GUINT_TO_POINTER(event->frame));
}

/* A merged call is told by the one that it became part of. The timeline has sessions that are no
 * call, too (a game, checks alone), as they have a story; the table lists calls only. */
bool
wants_call(const report *wanted, const ft_call *call)
{
    if (call->merged_into || (!wanted->timeline && !ft_call_listed(call)))
        return false;
    if (wanted->only)
        return call == wanted->only;
    if (!wanted->filtered || g_hash_table_contains(wanted->calls, call))
        return true;
    for (unsigned i = 0; i < wmem_array_get_count(call->events); i++) {
        if (wants_event(wanted, *(const ft_event **)wmem_array_index(call->events, i)))
            return true;
    }
    return false;
}

/* Events stand in the order of recording, in which hindsight comes last. Several of one frame
 * are told in the order of their rows, the same in each run. */
static int
by_frame(const void *one, const void *other)
{
    const ft_event *x = *(const ft_event *const *)one, *y = *(const ft_event *const *)other;

    return x->frame != y->frame ? (x->frame > y->frame) - (x->frame < y->frame)
                                : (x->id > y->id) - (x->id < y->id);
}

/* The wanted events of a call in order of frames. */
GPtrArray *
story(const report *wanted, const ft_call *call)
{
    GPtrArray *events = g_ptr_array_new();

    for (unsigned i = 0; i < wmem_array_get_count(call->events); i++) {
        ft_event *event = *(ft_event **)wmem_array_index(call->events, i);
        if (wants_event(wanted, event))
            g_ptr_array_add(events, event);
    }
    g_ptr_array_sort(events, by_frame);
    return events;
}

/* What a modern call has in place of signalling. */
const char *
participant(const report *wanted, const ft_call *call, unsigned i)
{
    return bytes_to_str(wanted->scope, (const uint8_t *)wmem_array_index(call->participants, i), 8);
}

char *
timeline_text(const ft_call *only)
{
    report wanted = { .timeline = true, .only = only };

    wanted.scope = wmem_allocator_new(WMEM_ALLOCATOR_BLOCK);
    collect();
    print_timeline(&wanted);
    wmem_destroy_allocator(wanted.scope);
    return collected();
}

/* ---- the option -z ---- */

/* What was tapped of a call before it was found to be part of another counts for that one. */
static void
follow_merges(report *wanted)
{
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        ft_call *call = ft_call_by_number(number);
        if (call->merged_into && g_hash_table_contains(wanted->calls, call))
            g_hash_table_add(wanted->calls, (void *)ft_call_as_of(call, G_MAXUINT32));
    }
}

/* What is only known when nothing more comes (a BYE that nobody answered, a silence that never
 * ended) is judged before anything is told. */
static void
report_draw(void *data)
{
    report *wanted = (report *)data;

    ft_dialog_hindsight();
    ft_media_hindsight();
    follow_merges(wanted);
    wanted->scope = wmem_allocator_new(WMEM_ALLOCATOR_BLOCK);
    if (wanted->json)
        print_json(wanted);
    else if (wanted->timeline)
        print_timeline(wanted);
    else
        print_calls(wanted);
    wmem_destroy_allocator(wanted->scope);
}

/* option: "facetime,timeline", then ",json", then ",<filter>". */
static ws_stat_start
report_start(const char *option, void *user_data)
{
    report *wanted = g_new0(report, 1);
    const char *filter = report_filter(option, &wanted->json);

    wanted->timeline = user_data != NULL;
    wanted->frames = g_hash_table_new(g_direct_hash, g_direct_equal);
    wanted->calls = g_hash_table_new(g_direct_hash, g_direct_equal);
    wanted->filtered = filter != NULL;

    GString *error = register_tap_listener("facetime", wanted, filter, TL_REQUIRES_NOTHING,
                                           report_reset, report_packet, report_draw, NULL);
    if (error) {
        fprintf(stderr, "%s: %s\n", option, error->str);
        g_string_free(error, TRUE);
        WS_STAT_NOT_STARTED;
    }
    WS_STAT_STARTED;
}

static stat_tap_ui calls_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,calls", report_start, 0, NULL
};
static stat_tap_ui timeline_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,timeline", report_start, 0, NULL
};

void
register_tap_listener_facetime_reports(void)
{
    register_stat_tap_ui(&calls_ui, NULL);
    register_stat_tap_ui(&timeline_ui, &timeline_ui);
}
