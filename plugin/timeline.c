/* plugin/timeline.c
 * tshark -q -z facetime,calls[,json][,filter]      a table, one call a line
 * tshark -q -z facetime,timeline[,json][,filter]   each call told event by event
 *
 * Both tell what calls/ remembers; a filter leaves the calls and events of the packets that pass it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/findings.h"
#include "plugin/report.h"
#include "plugin/setup.h"
#include "plugin/words.h"

#include "calls/call.h"
#include "calls/dialog.h"
#include "calls/media.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>
#include <epan/to_str.h>
#include <wsutil/json_dumper.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY 6 /* events of one name in one call: beyond, the first stands for all, with their number and the last frame */

typedef struct {
    bool        timeline;   /* else the table of calls */
    bool        json;
    bool        filtered;
    GHashTable *frames;     /* of the packets that passed the filter and may have events */
    GHashTable *calls;      /* of ft_call, that those packets belong to */
    wmem_allocator_t *scope; /* of texts, while it is drawn */
} report;

static void
report_reset(void *data)
{
    report *wanted = (report *)data;

    g_hash_table_remove_all(wanted->frames);
    g_hash_table_remove_all(wanted->calls);
}

static tap_packet_status
report_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped, tap_flags_t flags _U_)
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

static bool
wants_event(const report *wanted, const ft_event *event)
{
    return !wanted->filtered || g_hash_table_contains(wanted->frames, GUINT_TO_POINTER(event->frame));
}

static bool
wants_call(const report *wanted, const ft_call *call)
{
    if (call->merged_into || (!wanted->timeline && !ft_call_listed(call)))
        return false;
    if (!wanted->filtered || g_hash_table_contains(wanted->calls, call))
        return true;
    for (unsigned i = 0; i < wmem_array_get_count(call->events); i++) {
        if (wants_event(wanted, *(const ft_event **)wmem_array_index(call->events, i)))
            return true;
    }
    return false;
}

/* ---- what a call is, in words ---- */

const char *
ft_generation_text(const ft_call *call)
{
    return call->no_call_from ? "gamekit" : val_to_str_const(call->generation, ft_generation_vals, "unknown");
}

const char *
ft_state_text(const ft_call *call)
{
    if (call->no_call_from)
        return "no call";
    if (!call->seen)
        return "ICE only";
    if (call->was_answered)
        return "answered";
    if (call->invite_frame)
        return call->state == FT_CALL_ENDED ? "not answered" : "ringing";
    if (call->media_packets[FT_PATH_DIRECT] + call->media_packets[FT_PATH_RELAY])
        return "media";
    return call->state == FT_CALL_ENDED ? "ended" : "set-up only";
}

const char *
ft_end_text(const ft_call *call)
{
    return call->end_reason ? call->end_reason : "not in this file";
}

/* "relay+direct": the ways of media. */
static const char *
paths_text(wmem_allocator_t *scope, const ft_call *call)
{
    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");

    for (unsigned path = FT_PATH_RELAY; path <= FT_PATH_DIRECT; path++) {
        if (call->media_packets[path])
            wmem_strbuf_append_printf(text, "%s%s", wmem_strbuf_get_len(text) ? "+" : "",
                                      val_to_str_const(path, ft_path_vals, "?"));
    }
    return wmem_strbuf_get_len(text) ? wmem_strbuf_get_str(text) : "-";
}

static uint32_t
lost_packets(const ft_stream *stream)
{
    return ft_sequence_count(&stream->sequence).lost;
}

static uint32_t
lost_in_call(const ft_call *call)
{
    uint32_t lost = 0;

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++)
        lost += lost_packets(*(const ft_stream **)wmem_array_index(call->streams, i));
    return lost;
}

static unsigned
count_of(const wmem_array_t *list)
{
    return list ? wmem_array_get_count((wmem_array_t *)list) : 0;
}

/* Which end sent the INVITE. */
static const char *
offerer_text(wmem_allocator_t *scope, const ft_call *call)
{
    if (call->offerer.addr.type == AT_NONE)
        return "-";
    if (ft_endpoint_equal(&call->offerer, &call->local))
        return "local";
    return ft_endpoint_equal(&call->offerer, &call->remote) ? "remote" : ft_endpoint_str(scope, &call->offerer);
}

static double
duration(const ft_call *call)
{
    nstime_t length;

    nstime_delta(&length, ft_call_last_time(call), &call->first_time);
    return nstime_to_sec(&length);
}

/* ---- as text ---- */

static const table_column columns[] = {
    { "Call", true }, { "Version", false }, { "Start", true }, { "Duration", true }, { "Frames", false },
    { "Local", false }, { "Remote", false }, { "Offer", false }, { "State", false }, { "Paths", false },
    { "Streams", true }, { "Lost", true }, { "End", false },
};
enum { LOCAL = 5, REMOTE, OFFER, LAST = G_N_ELEMENTS(columns) - 1 };
#define COLUMNS G_N_ELEMENTS(columns)

typedef struct { const char *cell[COLUMNS]; } table_row;

static table_row
call_row(const report *wanted, const ft_call *call)
{
    wmem_allocator_t *scope = wanted->scope;

    return (table_row){ {
        wmem_strdup_printf(scope, "%u", call->number),
        ft_generation_text(call),
        wmem_strdup_printf(scope, "%.3f", ft_since_start(&call->first_time)),
        wmem_strdup_printf(scope, "%.3f", duration(call)),
        wmem_strdup_printf(scope, "%u-%u", ft_frame_number(call->first_frame),
                           ft_frame_number(call->last_frame)),
        ft_endpoint_str(scope, &call->local),
        ft_endpoint_str(scope, &call->remote),
        offerer_text(scope, call),
        ft_state_text(call),
        paths_text(scope, call),
        wmem_strdup_printf(scope, "%u", wmem_array_get_count(call->streams) + count_of(call->quic_streams)),
        wmem_strdup_printf(scope, "%u", lost_in_call(call)),
        ft_end_text(call),
    } };
}

/* What only the whole file tells: how its frame times are, and where it was made. */
static void
print_remarks(const report *wanted)
{
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants_call(wanted, call))
            continue;
        if (call_clock_is_batched(call))
            printf("Call %u: capture clock batched: don't trust frame times, nor what Wireshark's RTP streams make of them\n",
                   number);
        if (ft_call_points(call) > 1)
            printf("Call %u: seen at %u points: what was seen before counts once (%u datagrams)\n", number,
                   ft_call_points(call), call->twice);
    }
}

static void
print_calls(const report *wanted)
{
    wmem_array_t *rows = wmem_array_new(wanted->scope, sizeof(table_row));
    table_row row;

    for (unsigned j = 0; j < COLUMNS; j++)
        row.cell[j] = columns[j].title;
    wmem_array_append_one(rows, row);
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants_call(wanted, call))
            continue;
        row = call_row(wanted, call);
        wmem_array_append_one(rows, row);
    }
    const char **cells = (const char **)wmem_array_get_raw(rows);
    fit_column(wanted->scope, COLUMNS, cells, wmem_array_get_count(rows), LAST, 12);
    for (unsigned column = OFFER; column >= LOCAL; column--)
        fit_column(wanted->scope, COLUMNS, cells, wmem_array_get_count(rows), column, column == OFFER ? 6 : 20);
    printf("\nFaceTime calls (seconds since the first frame; more of each: -z facetime,streams and facetime,pairs)\n");
    print_table(columns, COLUMNS, cells, wmem_array_get_count(rows));
    print_remarks(wanted);
}

static int
by_frame(const void *one, const void *other)
{
    const ft_event *x = *(const ft_event *const *)one, *y = *(const ft_event *const *)other;

    return x->frame != y->frame ? (x->frame > y->frame) - (x->frame < y->frame) : (x->id > y->id) - (x->id < y->id);
}

/* The wanted events of a call in order of frames. */
static GPtrArray *
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

static void
print_event(const ft_event *event, unsigned more, uint32_t last)
{
    printf("%8u %11.3f  %-7s %-27s %s", ft_frame_number(event->frame), ft_since_start(&event->time),
           val_to_str_const(event->path, ft_path_vals, "-"), ft_event_name(event->id), event->text);
    if (more)
        printf(" (and %u more, to frame %u)", more, last);
    printf("\n");
}

static void
print_story(GPtrArray *events)
{
    unsigned count[FT_EVENT_COUNT] = { 0 }, told[FT_EVENT_COUNT] = { 0 };
    uint32_t last[FT_EVENT_COUNT] = { 0 };

    for (unsigned i = 0; i < events->len; i++) {
        const ft_event *event = (const ft_event *)events->pdata[i];
        count[event->id]++;
        last[event->id] = ft_frame_number(event->frame);
    }
    for (unsigned i = 0; i < events->len; i++) {
        const ft_event *event = (const ft_event *)events->pdata[i];
        if (count[event->id] <= MANY)
            print_event(event, 0, 0);
        else if (told[event->id]++ == 0)
            print_event(event, count[event->id] - 1, last[event->id]);
    }
}

/* What a modern call has in place of signalling. */
static const char *
participant(const report *wanted, const ft_call *call, unsigned i)
{
    return bytes_to_str(wanted->scope, (const uint8_t *)wmem_array_index(call->participants, i), 8);
}

/* "Modern: one-to-one; participants 959a7033b7526469; links 0x5813", less the list that is empty */
static void
print_far_end(const report *wanted, const ft_call *call)
{
    if (!call->mode)
        return;
    printf("Modern: %s%s", call->mode, count_of(call->participants) ? "; participants" : "");
    for (unsigned i = 0; i < count_of(call->participants); i++)
        printf(" %s", participant(wanted, call, i));
    printf("%s", count_of(call->links) ? "; links" : "");
    for (unsigned i = 0; i < count_of(call->links); i++)
        printf(" 0x%04x", *(const uint16_t *)wmem_array_index(call->links, i));
    printf("\n");
}

static void
print_timeline(const report *wanted)
{
    printf("\nFaceTime timeline (seconds since the first frame)\n");
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants_call(wanted, call))
            continue;
        GPtrArray *events = story(wanted, call);
        printf("\n%s %u, %s: %s <-> %s, frames %u-%u, %.3f s, %s; end: %s\n", call->no_call_from ? "Session" : "Call",
               call->number,
               ft_generation_text(call),
               ft_endpoint_str(wanted->scope, &call->local), ft_endpoint_str(wanted->scope, &call->remote),
               ft_frame_number(call->first_frame), ft_frame_number(call->last_frame), duration(call), ft_state_text(call),
               ft_end_text(call));
        print_far_end(wanted, call);
        print_findings(wanted->scope, call);
        printf("%8s %11s  %-7s %-27s %s\n", "Frame", "Seconds", "Path", "Event", "What");
        print_story(events);
        g_ptr_array_free(events, TRUE);
    }
}

/* ---- as JSON ---- */

static void
json_end(json_dumper *json, const report *wanted, const char *name, const ft_endpoint *end)
{
    if (end->addr.type != AT_NONE)
        json_string(json, name, ft_endpoint_str(wanted->scope, end));
}

static void
json_codecs(json_dumper *json, const report *wanted, const ft_call *call, const ft_stream *stream)
{
    GPtrArray *codecs = codecs_of(wanted->scope, call, stream);

    json_dumper_set_member_name(json, "payload_types");
    json_dumper_begin_array(json);
    for (unsigned payload_type = 0; payload_type < 128; payload_type++) {
        if (has_payload_type(stream, payload_type))
            json_dumper_value_anyf(json, "%u", payload_type);
    }
    json_dumper_end_array(json);
    json_dumper_set_member_name(json, "codecs");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < codecs->len; i++)
        json_dumper_value_string(json, (const char *)codecs->pdata[i]);
    json_dumper_end_array(json);
    g_ptr_array_free(codecs, TRUE);
}

/* null where the capture's cut packets hide how many. */
static void
json_losses(json_dumper *json, const ft_stream *stream)
{
    json_dumper_set_member_name(json, "lost");
    if (stream->is_cut)
        json_dumper_value_anyf(json, "null");
    else
        json_dumper_value_anyf(json, "%u", lost_packets(stream));
}

/* Inside QUIC neither SSRC nor payload types nor losses are seen. */
static void
json_quic_stream(json_dumper *json, const report *wanted, const ft_quic_stream *stream)
{
    json_dumper_begin_object(json);
    json_dumper_set_member_name(json, "ssrc");
    json_dumper_value_anyf(json, "null");
    json_dumper_set_member_name(json, "inside_quic");
    json_dumper_value_anyf(json, "true");
    json_string(json, "direction", stream->outgoing ? "out" : "in");
    json_string(json, "path", val_to_str_const(stream->path, ft_path_vals, "?"));
    json_dumper_set_member_name(json, "payload_types");
    json_dumper_begin_array(json);
    json_dumper_end_array(json);
    json_dumper_set_member_name(json, "codecs");
    json_dumper_begin_array(json);
    json_dumper_end_array(json);
    json_end(json, wanted, "sender", &stream->sender);
    json_number(json, "first_frame", ft_frame_number(stream->first_frame));
    json_number(json, "last_frame", ft_frame_number(stream->last_frame));
    json_number(json, "packets", stream->packets);
    json_dumper_set_member_name(json, "bytes");
    json_dumper_value_anyf(json, "%" G_GUINT64_FORMAT, stream->bytes);
    json_dumper_end_object(json);
}

static void
json_streams(json_dumper *json, const report *wanted, const ft_call *call)
{
    json_dumper_set_member_name(json, "streams");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        json_dumper_begin_object(json);
        json_number(json, "ssrc", stream->ssrc);
        json_string(json, "direction", stream->outgoing ? "out" : "in");
        json_codecs(json, wanted, call, stream);
        json_end(json, wanted, "sender", &stream->sender);
        json_number(json, "first_frame", ft_frame_number(stream->first_frame));
        json_number(json, "last_frame", ft_frame_number(stream->last_frame));
        json_number(json, "packets", stream->packets);
        json_number(json, "copies", stream->copies);
        json_losses(json, stream);
        json_dumper_end_object(json);
    }
    for (unsigned i = 0; i < count_of(call->quic_streams); i++)
        json_quic_stream(json, wanted, (const ft_quic_stream *)wmem_array_index(call->quic_streams, i));
    json_dumper_end_array(json);
}

static void
json_far_end(json_dumper *json, const report *wanted, const ft_call *call)
{
    if (!call->mode)
        return;
    json_string(json, "mode", call->mode);
    json_dumper_set_member_name(json, "participants");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < count_of(call->participants); i++)
        json_dumper_value_string(json, participant(wanted, call, i));
    json_dumper_end_array(json);
    json_dumper_set_member_name(json, "links");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < count_of(call->links); i++)
        json_dumper_value_anyf(json, "%u", *(const uint16_t *)wmem_array_index(call->links, i));
    json_dumper_end_array(json);
}

static void
json_paths(json_dumper *json, const ft_call *call)
{
    json_dumper_set_member_name(json, "paths");
    json_dumper_begin_array(json);
    for (unsigned path = FT_PATH_RELAY; path <= FT_PATH_DIRECT; path++) {
        if (!call->media_packets[path])
            continue;
        json_dumper_begin_object(json);
        json_string(json, "path", val_to_str_const(path, ft_path_vals, "?"));
        json_number(json, "packets", call->media_packets[path]);
        json_number(json, "first_frame", ft_frame_number(call->media_first[path]));
        json_number(json, "last_frame", ft_frame_number(call->media_last[path]));
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
}

static void
json_events(json_dumper *json, const report *wanted, const ft_call *call)
{
    GPtrArray *events = story(wanted, call);

    json_dumper_set_member_name(json, "events");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < events->len; i++) {
        const ft_event *event = (const ft_event *)events->pdata[i];
        json_dumper_begin_object(json);
        json_number(json, "frame", ft_frame_number(event->frame));
        json_seconds(json, "time", ft_since_start(&event->time));
        if (event->path != FT_PATH_UNKNOWN)
            json_string(json, "path", val_to_str_const(event->path, ft_path_vals, "?"));
        json_string(json, "event", ft_event_name(event->id));
        json_string(json, "text", event->text);
        if (event->other_frame)
            json_number(json, "other_frame", ft_frame_number(event->other_frame));
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
    g_ptr_array_free(events, TRUE);
}

static void
json_call(json_dumper *json, const report *wanted, const ft_call *call)
{
    json_dumper_begin_object(json);
    json_number(json, "schema", FT_SCHEMA);
    json_number(json, "call", call->number);
    json_string(json, "generation", ft_generation_text(call));
    json_seconds(json, "start", ft_since_start(&call->first_time));
    json_seconds(json, "duration", duration(call));
    json_number(json, "first_frame", ft_frame_number(call->first_frame));
    json_number(json, "last_frame", ft_frame_number(call->last_frame));
    json_number(json, "packets", call->packets);
    json_end(json, wanted, "local", &call->local);
    json_end(json, wanted, "remote", &call->remote);
    json_end(json, wanted, "offer_from", &call->offerer);
    json_string(json, "state", ft_state_text(call));
    if (call->end_reason) {
        json_number(json, "end_frame", ft_frame_number(call->end_frame));
        json_string(json, "end", call->end_reason);
    }
    if (call->restart_of)
        json_number(json, "restart_of", call->restart_of->number);
    json_far_end(json, wanted, call);
    json_paths(json, call);
    json_streams(json, wanted, call);
    json_call_quality(json, wanted->scope, call);
    if (wanted->timeline)
        json_events(json, wanted, call);
    json_dumper_end_object(json);
}

static void
print_json(const report *wanted)
{
    json_dumper json = { .output_file = stdout, .flags = JSON_DUMPER_FLAGS_PRETTY_PRINT };

    json_dumper_begin_array(&json);
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (wants_call(wanted, call))
            json_call(&json, wanted, call);
    }
    json_dumper_end_array(&json);
    json_dumper_finish(&json);
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

    GString *error = register_tap_listener("facetime", wanted, filter, TL_REQUIRES_NOTHING, report_reset, report_packet,
                                           report_draw, NULL);
    if (!error)
        error = findings_gather();
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
