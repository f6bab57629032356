/* plugin/timeline_json.c
 * -z facetime,calls,json and -z facetime,timeline,json: docs/calls.schema.json.
 *
 * What a capture can't tell is null or left out, as the schema says of each; 0 is a figure. Frames
 * are the numbers that a user sees, 0 where a read filter dropped the packet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/report.h"
#include "plugin/setup.h"
#include "plugin/timeline.h"
#include "plugin/words.h"
#include "calls/key.h"

static void
json_end(json_dumper *json, const report *wanted, const char *name, const ft_endpoint *end)
{
    if (end->addr.type != AT_NONE)
        json_string(json, name, ft_endpoint_str(wanted->scope, end));
}

/* Payload types and codecs are two lists: several types may be one codec, and what a type is may
 * not be known. */
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

/* null where the capture's cut packets hide how many: a snapshot length may end before the RTP
 * header does. */
static void
json_losses(json_dumper *json, const ft_stream *stream)
{
    json_dumper_set_member_name(json, "lost");
    if (stream->is_cut)
        json_dumper_value_anyf(json, "null");
    else
        json_dumper_value_anyf(json, "%u", ft_lost_packets(stream));
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
    for (unsigned i = 0; i < ft_count_of(call->quic_streams); i++)
        json_quic_stream(json, wanted,
                         (const ft_quic_stream *)wmem_array_index(call->quic_streams, i));
    json_dumper_end_array(json);
}

/* Only modern calls have a mode; their participants are the pseudonyms that the relay uses. */
static void
json_far_end(json_dumper *json, const report *wanted, const ft_call *call)
{
    if (!call->mode)
        return;
    json_string(json, "mode", call->mode);
    json_dumper_set_member_name(json, "participants");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < ft_count_of(call->participants); i++)
        json_dumper_value_string(json, participant(wanted, call, i));
    json_dumper_end_array(json);
    json_dumper_set_member_name(json, "links");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < ft_count_of(call->links); i++)
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

/* Each of them, also those that the text folds. */
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

/* What tells the call in other files, too. */
static void
json_keys(json_dumper *json, const ft_call *call)
{
    GPtrArray *keys = ft_keys(call);

    json_call_key(json, call);
    json_dumper_set_member_name(json, "keys");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < keys->len; i++)
        json_dumper_value_string(json, (const char *)keys->pdata[i]);
    json_dumper_end_array(json);
    g_ptr_array_free(keys, TRUE);
}

/* Calls that were found to be this one: packets before that bear their numbers. */
static void
json_merged(json_dumper *json, const ft_call *call)
{
    json_dumper_set_member_name(json, "merged");
    json_dumper_begin_array(json);
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *other = ft_call_by_number(number);
        if (other->merged_into && ft_call_as_of(other, G_MAXUINT32) == call)
            json_dumper_value_anyf(json, "%u", number);
    }
    json_dumper_end_array(json);
}

static void
json_call(json_dumper *json, const report *wanted, const ft_call *call)
{
    json_dumper_begin_object(json);
    json_number(json, "schema", FT_SCHEMA);
    json_number(json, "call", call->number);
    json_keys(json, call);
    json_string(json, "generation", ft_generation_text(call));
    json_seconds(json, "start", ft_since_start(&call->first_time));
    json_seconds(json, "duration", ft_call_duration(call));
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
    if (call->merges)
        json_merged(json, call);
    json_far_end(json, wanted, call);
    json_paths(json, call);
    json_streams(json, wanted, call);
    json_call_quality(json, wanted->scope, call);
    json_limits(json, call->last_frame);
    if (wanted->timeline)
        json_events(json, wanted, call);
    json_dumper_end_object(json);
}

void
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
