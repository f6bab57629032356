/* plugin/streams.c
 * tshark -q -z facetime,streams[,json][,filter]    how good each stream was: one row a stream
 *
 * A stream is one SSRC in one direction at one device, over all paths. It tells what
 * calls/quality.c gathered; docs/quality.md defines each value. A filter leaves the streams of
 * the packets that pass it.
 *
 * What may be told hangs on what was seen:
 *
 *    what is seen             RTP                                     media inside QUIC
 *    frame times              good                 batched            good          batched
 *    packets, bytes, paths    yes                  yes                yes           yes
 *    duration, bit rate       capture clock        media clock        capture       -
 *    losses, pictures         yes                  yes                -             -
 *    jitter                   yes                  -                  -             -
 *    round trip               stamps, RTCP, checks stamps             -             -
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/report.h"
#include "plugin/streams.h"
#include "plugin/words.h"

#include "calls/frame.h"
#include "calls/media.h"
#include "calls/quality.h"
#include "calls/reveal.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>

#define SECOND      1e6     /* microseconds */
#define STAMP_MS    (1000.0 / 1024)
#define INTERVAL_MS 0.1     /* the unit of histograms of the capture clock */
#define RATE_UNIT   100     /* bit/s, of the far end's bandwidth estimate (published) */

typedef struct {
    bool        json, filtered;
    /* of ft_quality, of the streams that packets which passed the filter belong to */
    GHashTable *wanted;
    wmem_allocator_t *scope; /* of texts, while it is drawn */
} streams_report;

static void
streams_reset(void *data)
{
    g_hash_table_remove_all(((streams_report *)data)->wanted);
}

/* Media inside QUIC: by path and direction. */
static void
want_quic_stream(const streams_report *report, packet_info *pinfo, const ft_packet *packet,
                 const ft_call *call)
{
    const ft_quic_stream *stream =
        ft_call_quic_stream(call, packet->path, ft_media_is_outgoing(pinfo, packet));

    if (stream)
        g_hash_table_add(report->wanted, stream->quality);
}

/* The packet's streams: by its SSRCs, in its call, in whose life it lies. */
static tap_packet_status
streams_report_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                      tap_flags_t flags _U_)
{
    streams_report *report = (streams_report *)data;
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = ft_call_as_of(packet->call, packet->frame);

    if (!report->filtered || !call)
        return TAP_PACKET_DONT_REDRAW;
    if (packet->quic == FT_QUIC_MEDIA)
        want_quic_stream(report, pinfo, packet, packet->call);
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        ft_stream *stream = *(ft_stream **)wmem_array_index(call->streams, i);
        for (unsigned j = 0; j < packet->ssrc_count; j++) {
            if (packet->ssrcs[j] == stream->ssrc && packet->frame >= stream->first_frame &&
                stream->quality)
                g_hash_table_add(report->wanted, stream->quality);
        }
    }
    return TAP_PACKET_REDRAW;
}

/* ---- what a stream is ---- */

/* Stamps first: no frame time is in them, so they hold in batched captures too (39 and 40 ms on
 * Wi-Fi, 160 and 179 ms on cellular in 2023). RTCP needs a good clock; checks are the last
 * choice, as they wait for the far end's set-up, and are the device's: of what comes in they tell
 * nothing. */
round_trips
round_trips_of(wmem_allocator_t *scope, const ft_call *call, const ft_quality *quality)
{
    const bool clock_is_good = ft_quality_clock(quality) == FT_CLOCK_GOOD;
    const ft_histogram *checks =
        quality->outgoing && clock_is_good ? ft_reveals_of(scope, call)->checks : NULL;

    if (quality->stamps)
        return (round_trips){ "stamps", quality->stamps, STAMP_MS };
    if (quality->rtcp && clock_is_good)
        return (round_trips){ "rtcp", quality->rtcp, INTERVAL_MS };
    if (checks)
        return (round_trips){ "stun", checks, INTERVAL_MS };
    return (round_trips){ NULL, NULL, 0 };
}

typedef struct {
    const ft_call     *call;
    const ft_stream   *stream;      /* NULL: media inside QUIC */
    const ft_endpoint *sender;      /* AT_NONE: nobody is named */
    uint32_t           first_frame;
    double             start;       /* seconds since the file's */
    const ft_quality  *quality;
    ft_sequence_counts numbers;
    bool               has_pictures;
    ft_picture_counts  pictures;
    wmem_array_t      *freezes; /* of ft_pause */
    /* microseconds, by the clock that can be believed */
    int64_t            duration;
    ft_by_clock        by;
    const ft_jitter   *jitter;      /* NULL: none can be told */
    round_trips        trips;
} stream_view;

static stream_view
view_stream(wmem_allocator_t *scope, const ft_call *call, const ft_stream *stream)
{
    const ft_quality *quality = stream->quality;
    stream_view view = { .call = call,
                         .stream = stream,
                         .sender = &stream->sender,
                         .first_frame = stream->first_frame,
                         .start = ft_since_start(&stream->first_time),
                         .quality = quality };

    view.numbers = ft_sequence_count(&quality->sequence);
    view.freezes = wmem_array_new(scope, sizeof(ft_pause));
    /* packets that the capture cut before their numbers are missing from pictures, too */
    view.has_pictures = quality->medium == FT_MEDIUM_VIDEO && !stream->is_cut;
    if (view.has_pictures)
        view.pictures = ft_pictures_count(quality, view.freezes);
    view.duration = ft_quality_duration(quality);
    view.by = ft_quality_by(quality);
    view.trips = round_trips_of(scope, call, quality);
    view.jitter = ft_quality_jitter(quality);
    return view;
}

/* Sizes and times are all that is seen: where frame times can't be believed, sizes. */
static stream_view
quic_view_of(const ft_call *call, const ft_quic_stream *stream)
{
    const int64_t least = stream->quality->least_capture;
    const nstime_t first = { (time_t)(least / 1000000), (int)(least % 1000000) * 1000 };
    stream_view view = { .call = call,
                         .sender = &stream->sender,
                         .first_frame = stream->first_frame,
                         .start = ft_since_start(&first),
                         .quality = stream->quality };

    view.by = ft_quality_by(view.quality);
    view.duration = ft_quality_duration(view.quality);
    return view;
}

/* NULL while no payload type told which. */
static const char *
medium_text(const ft_quality *quality)
{
    static const char *const names[] = { NULL, "audio", "video" };

    return names[quality->medium];
}

/* NULL where no clock can be believed. */
static const char *
clock_text(const stream_view *view)
{
    static const char *const names[] = {
        [FT_BY_NONE] = NULL, [FT_BY_MEDIA] = "media", [FT_BY_CAPTURE] = "capture"
    };

    return names[view->by];
}

/* bit/s of RTP, from its header to its trailer; 0 where no time passed, as of one packet. */
static double
bit_rate(const stream_view *view)
{
    return view->duration > 0 ? 8 * (double)view->quality->bytes * SECOND / (double)view->duration
                              : 0;
}

/* ---- as text ---- */

enum {
    CALL,
    DIRECTION,
    MEDIUM,
    CODEC,
    SSRC,
    PACKETS,
    LOST,
    COPIES,
    /* kbit/s, over the duration by the clock of the last column */
    RATE,
    /* pictures a second of media time, mean; then the least of whole seconds */
    FPS,
    LEAST,
    /* seen, or complete/incomplete/missing where packets say how many make one */
    FRAMES,
    FREEZES,
    /* ms, mean of J; "-" where frame times can't be believed */
    JITTER,
    /* ms, median, and what it is of; of stamps an upper bound */
    RTT,
    PATHS,
    CLOCK,
    COLUMNS
};

static const table_column columns[COLUMNS] = {
    [CALL] = { "Call", true },       [DIRECTION] = { "Dir", false },
    [MEDIUM] = { "Medium", false },  [CODEC] = { "Codec", false },
    [SSRC] = { "SSRC", false },      [PACKETS] = { "Packets", true },
    [LOST] = { "Lost", true },       [COPIES] = { "Copies", true },
    [RATE] = { "kbit/s", true },     [FPS] = { "fps", true },
    [LEAST] = { "least", true },     [FRAMES] = { "Frames", true },
    [FREEZES] = { "Freezes", true }, [JITTER] = { "Jitter", true },
    [RTT] = { "RTT", true },         [PATHS] = { "Paths", false },
    [CLOCK] = { "Clock", false },
};

/* "AAC-ELD/RED?": what is inferred has a question mark. */
static const char *
codecs_text(wmem_allocator_t *scope, const stream_view *view)
{
    GPtrArray *codecs = codecs_of(scope, view->call, view->stream);
    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");

    for (unsigned i = 0; i < codecs->len; i++) {
        const char *name = printable(scope, (const char *)codecs->pdata[i]);
        const char *inferred = strstr(name, " (inferred)");
        wmem_strbuf_append_printf(text, "%s%.*s%s", i ? "/" : "",
                                  inferred ? (int)(inferred - name) : (int)strlen(name), name,
                                  inferred ? "?" : "");
    }
    g_ptr_array_free(codecs, TRUE);
    return wmem_strbuf_get_str(text);
}

/* Without the sender's own count a lost packet and a small picture look alike: then only how
 * many. */
static const char *
stream_frames(wmem_allocator_t *scope, const stream_view *view)
{
    const ft_picture_counts *pictures = &view->pictures;

    if (!view->has_pictures)
        return "-";
    if (!pictures->has_info)
        return wmem_strdup_printf(scope, "%u", pictures->seen);
    return wmem_strdup_printf(scope, "%u/%u/%u", pictures->complete, pictures->incomplete,
                              pictures->missing);
}

static const char *
rtt_text(wmem_allocator_t *scope, const stream_view *view)
{
    const round_trips trips = view->trips;

    return trips.basis
               ? wmem_strdup_printf(scope, "%.0f %s",
                                    ft_histogram_at(trips.samples, 0.5) * trips.unit, trips.basis)
               : "-";
}

static const char *
stream_paths(wmem_allocator_t *scope, const ft_quality *quality)
{
    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");

    for (unsigned path = 0; path < G_N_ELEMENTS(quality->paths); path++) {
        if (quality->paths[path].packets)
            wmem_strbuf_append_printf(text, "%s%s", wmem_strbuf_get_len(text) ? "+" : "",
                                      val_to_str_const(path, ft_path_vals, "?"));
    }
    return wmem_strbuf_get_str(text);
}

static const char *
number_text(wmem_allocator_t *scope, bool known, double value)
{
    return known ? wmem_strdup_printf(scope, "%.1f", value) : "-";
}

/* Neither medium, codec nor SSRC is seen, nor anything that comes of numbers and timestamps. */
static void
fill_quic_row(wmem_allocator_t *scope, const stream_view *view, const char **cell)
{
    const ft_quality *quality = view->quality;

    for (unsigned i = 0; i < COLUMNS; i++)
        cell[i] = "-";
    cell[CALL] = wmem_strdup_printf(scope, "%u", view->call->number);
    cell[DIRECTION] = quality->outgoing ? "out" : "in";
    cell[CODEC] = "inside QUIC";
    cell[PACKETS] = wmem_strdup_printf(scope, "%u", quality->packets);
    cell[RATE] = number_text(scope, view->duration > 0, bit_rate(view) / 1000);
    cell[PATHS] = stream_paths(scope, quality);
    cell[CLOCK] = clock_text(view) ? clock_text(view) : "-";
}

/* "-" where the capture can't tell, never 0: a stream whose packets were cut has no losses to
 * count. */
static void
fill_row(wmem_allocator_t *scope, const stream_view *view, const char **cell)
{
    const ft_quality *quality = view->quality;

    if (!view->stream) {
        fill_quic_row(scope, view, cell);
        return;
    }
    cell[CALL] = wmem_strdup_printf(scope, "%u", view->call->number);
    cell[DIRECTION] = view->stream->outgoing ? "out" : "in";
    cell[MEDIUM] = medium_text(quality) ? medium_text(quality) : "-";
    cell[CODEC] = codecs_text(scope, view);
    cell[SSRC] = wmem_strdup_printf(scope, "0x%08x", view->stream->ssrc);
    cell[PACKETS] = wmem_strdup_printf(scope, "%u", quality->packets);
    cell[LOST] =
        view->stream->is_cut ? "-" : wmem_strdup_printf(scope, "%u", view->numbers.lost);
    cell[COPIES] = wmem_strdup_printf(scope, "%u", quality->copies);
    cell[RATE] = number_text(scope, view->duration > 0, bit_rate(view) / 1000);
    cell[FPS] = number_text(scope, view->pictures.has_rate, view->pictures.mean);
    cell[LEAST] = number_text(scope, view->pictures.has_rate, view->pictures.least);
    cell[FRAMES] = stream_frames(scope, view);
    cell[FREEZES] =
        view->has_pictures ? wmem_strdup_printf(scope, "%u", wmem_array_get_count(view->freezes))
                           : "-";
    cell[JITTER] = number_text(scope, view->jitter != NULL,
                               view->jitter ? view->jitter->sum / view->jitter->count : 0);
    cell[RTT] = rtt_text(scope, view);
    cell[PATHS] = stream_paths(scope, quality);
    cell[CLOCK] = clock_text(view) ? clock_text(view) : "-";
}

G_STATIC_ASSERT(COLUMNS == FT_STREAM_CELLS);

/* The GUI's table has the same cells, so that both say the same. */
void
ft_stream_cells(wmem_allocator_t *scope, const ft_call *call, const ft_stream *stream,
                const char **cells)
{
    const stream_view view = view_stream(scope, call, stream);

    fill_row(scope, &view, cells);
}

void
ft_quic_stream_cells(wmem_allocator_t *scope, const ft_call *call, const ft_quic_stream *stream,
                     const char **cells)
{
    const stream_view view = quic_view_of(call, stream);

    fill_row(scope, &view, cells);
}

/* ---- as JSON ---- */

/* The numbers beside the names: who doubts an inferred codec can judge by them. */
static void
json_names(json_dumper *json, wmem_allocator_t *scope, const stream_view *view)
{
    GPtrArray *codecs = view->stream ? codecs_of(scope, view->call, view->stream) : NULL;

    json_dumper_set_member_name(json, "codecs");
    json_dumper_begin_array(json);
    for (unsigned i = 0; codecs && i < codecs->len; i++)
        json_dumper_value_string(json, printable(scope, (const char *)codecs->pdata[i]));
    json_dumper_end_array(json);
    if (codecs)
        g_ptr_array_free(codecs, TRUE);
    json_dumper_set_member_name(json, "payload_types");
    json_dumper_begin_array(json);
    for (unsigned payload_type = 0; view->stream && payload_type < 128; payload_type++) {
        if (has_payload_type(view->stream, payload_type))
            json_dumper_value_anyf(json, "%u", payload_type);
    }
    json_dumper_end_array(json);
}

static void
json_text_or_null(json_dumper *json, const char *name, const char *text)
{
    if (text)
        json_string(json, name, text);
    else
        json_null(json, name);
}

/* Null for losses, never 0, where the capture cut the stream's packets: who adds up must not take
 * them for none. */
static void
json_counts(json_dumper *json, const stream_view *view)
{
    json_number(json, "packets", view->quality->packets);
    json_dumper_set_member_name(json, "bytes");
    json_dumper_value_anyf(json, "%" PRIu64, view->quality->bytes);
    json_number(json, "copies", view->quality->copies);
    json_number(json, "seen_twice", view->quality->seen_twice);
    if (view->stream->is_cut)
        json_null(json, "lost");
    else
        json_number(json, "lost", view->numbers.lost);
    if (view->stream->is_cut) {
        json_null(json, "reordered");
        json_null(json, "loss_bursts");
        return;
    }
    json_number(json, "reordered", view->numbers.reordered);
    json_dumper_set_member_name(json, "loss_bursts");
    json_dumper_begin_object(json);
    json_number(json, "count", view->numbers.bursts);
    json_number(json, "longest", view->numbers.longest);
    json_dumper_end_object(json);
}

/* Picture counts are of one-to-one calls alone: elsewhere no packet says how many make one. */
static void
json_pictures(json_dumper *json, const stream_view *view)
{
    const ft_picture_counts *pictures = &view->pictures;

    if (pictures->has_info) {
        json_dumper_set_member_name(json, "frames");
        json_dumper_begin_object(json);
        json_number(json, "seen", pictures->seen);
        json_number(json, "complete", pictures->complete);
        json_number(json, "incomplete", pictures->incomplete);
        json_number(json, "missing", pictures->missing);
        json_dumper_end_object(json);
    } else {
        json_null(json, "frames");
    }
    if (pictures->has_rate) {
        json_dumper_set_member_name(json, "frame_rate");
        json_dumper_begin_object(json);
        json_decimal(json, "mean", pictures->mean);
        json_decimal(json, "least", pictures->least);
        json_dumper_end_object(json);
    } else {
        json_null(json, "frame_rate");
    }
    if (view->stream->is_cut && view->quality->medium == FT_MEDIUM_VIDEO) {
        json_null(json, "freezes");
        return;
    }
    json_dumper_set_member_name(json, "freezes");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < wmem_array_get_count(view->freezes); i++) {
        const ft_pause *freeze = (const ft_pause *)wmem_array_index(view->freezes, i);
        json_dumper_begin_object(json);
        json_number(json, "frame", ft_frame_number(freeze->frame));
        json_seconds(json, "at", (double)freeze->at / SECOND);
        json_seconds(json, "length", (double)freeze->length / SECOND);
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
}

/* ms. Not stock's figure: that skips equal timestamps, and has 8 kHz for comfort noise. */
static void
json_jitter(json_dumper *json, const stream_view *view)
{
    if (!view->jitter) {
        json_null(json, "jitter");
        return;
    }
    json_dumper_set_member_name(json, "jitter");
    json_dumper_begin_object(json);
    json_decimal(json, "mean", view->jitter->sum / view->jitter->count);
    json_decimal(json, "max", view->jitter->most);
    json_dumper_end_object(json);
}

/* ms; median and percentile are off by 0.8 % at most (calls/histogram.h). */
static void
json_round_trip(json_dumper *json, const stream_view *view)
{
    const round_trips trips = view->trips;

    if (!trips.basis) {
        json_null(json, "rtt");
        return;
    }
    json_dumper_set_member_name(json, "rtt");
    json_dumper_begin_object(json);
    json_string(json, "basis", trips.basis);
    json_number(json, "samples", trips.samples->total);
    json_decimal(json, "min", trips.samples->least * trips.unit);
    json_decimal(json, "median", ft_histogram_at(trips.samples, 0.5) * trips.unit);
    json_decimal(json, "p95", ft_histogram_at(trips.samples, 0.95) * trips.unit);
    json_dumper_end_object(json);
}

/* Delays as they were reported: their unit isn't known. */
static void
json_peer_report(json_dumper *json, const stream_view *view)
{
    const ft_quality *quality = view->quality;

    if (!quality->has_report) {
        json_null(json, "peer_report");
        return;
    }
    json_dumper_set_member_name(json, "peer_report");
    json_dumper_begin_object(json);
    /* Its 12 bits go round: of a stream that began before the capture the rounds aren't known, and
     * more than came by can't have arrived. */
    if (quality->reported <= view->quality->packets + view->numbers.lost)
        json_number(json, "received", quality->reported);
    else
        json_null(json, "received");
    json_number(json, "burst_loss", quality->burst_loss);
    json_number(json, "queuing_delay", quality->queuing_delay);
    json_number(json, "one_way_delay", quality->one_way_delay);
    if (quality->has_bandwidth)
        json_number(json, "bandwidth", (uint32_t)quality->bandwidth * RATE_UNIT);
    else
        json_null(json, "bandwidth");
    json_dumper_end_object(json);
}

/* DSCP and TTL in order of appearance (uplink media of 2023 has DSCP 34 and 46 on Wi-Fi, 0 on
 * cellular). */
static void
json_stream_paths(json_dumper *json, wmem_allocator_t *scope, const ft_quality *quality)
{
    json_dumper_set_member_name(json, "paths");
    json_dumper_begin_array(json);
    for (unsigned path = 0; path < G_N_ELEMENTS(quality->paths); path++) {
        const ft_path_use *use = &quality->paths[path];
        if (use->packets == 0)
            continue;
        json_dumper_begin_object(json);
        json_string(json, "path", val_to_str_const(path, ft_path_vals, "unknown"));
        if (path == FT_PATH_RELAY && use->flow && use->flow->server)
            json_string(json, "server", ft_endpoint_str(scope, use->flow->server));
        json_number(json, "packets", use->packets);
        json_number(json, "first_frame", ft_frame_number(use->first_frame));
        json_number(json, "last_frame", ft_frame_number(use->last_frame));
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
    json_dumper_set_member_name(json, "dscp");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < quality->dscp_count; i++)
        json_dumper_value_anyf(json, "%u", quality->dscp[i]);
    json_dumper_end_array(json);
    json_dumper_set_member_name(json, "ttl");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < quality->ttl_count; i++)
        json_dumper_value_anyf(json, "%u", quality->ttl[i]);
    json_dumper_end_array(json);
}

/* Repairable is inferred: as many lost as there are parity packets. */
static void
json_fec(json_dumper *json, const stream_view *view)
{
    const ft_quality *quality = view->quality;

    if (quality->fec_sources + quality->fec_parity == 0) {
        json_null(json, "fec");
        return;
    }
    json_dumper_set_member_name(json, "fec");
    json_dumper_begin_object(json);
    json_number(json, "parity", quality->fec_parity);
    json_number(json, "sources", quality->fec_sources);
    if (view->has_pictures)
        json_number(json, "repairable", view->pictures.fec_repairable);
    else
        json_null(json, "repairable");
    json_dumper_end_object(json);
}

/* Where a row has packets on both paths, its path is that of most of them. */
static void
json_second(json_dumper *json, const ft_quality *quality, bool hides_losses, const ft_second *row)
{
    const unsigned path = row->on_path[1] > row->on_path[0] ? FT_PATH_DIRECT : FT_PATH_RELAY;

    json_dumper_begin_object(json);
    json_number(json, "t", row->number * quality->seconds_a_row);
    json_number(json, "packets", row->packets);
    json_number(json, "bytes", row->bytes);
    json_number(json, "copies", row->copies);
    if (hides_losses)
        json_null(json, "lost");
    else
        json_number(json, "lost", (uint32_t)MAX(row->lost, 0));
    if (quality->medium == FT_MEDIUM_VIDEO && !hides_losses)
        json_number(json, "frames", row->frames);
    else
        json_null(json, "frames");
    if (row->rtt)
        json_decimal(json, "rtt", row->rtt * STAMP_MS);
    else
        json_null(json, "rtt");
    json_text_or_null(json, "path",
                      row->on_path[0] + row->on_path[1] ? val_to_str_const(path, ft_path_vals, "?")
                                                        : NULL);
    json_dumper_end_object(json);
}

/* Rows without packets are written out, so that a plot needs no knowledge of gaps. */
static void
json_series(json_dumper *json, wmem_allocator_t *scope, const stream_view *view)
{
    const ft_quality *quality = view->quality;
    const bool hides_losses = !view->stream || view->stream->is_cut;
    wmem_array_t *rows = wmem_array_new(scope, sizeof(ft_second));
    uint32_t number = 0;

    if (view->by != FT_BY_NONE)
        ft_quality_series(quality, rows);
    json_dumper_set_member_name(json, "series");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < wmem_array_get_count(rows); i++) {
        const ft_second *row = (const ft_second *)wmem_array_index(rows, i);
        for (; number < row->number; number++) { /* nothing came */
            const ft_second empty = { .number = number };
            json_second(json, quality, hides_losses, &empty);
        }
        json_second(json, quality, hides_losses, row);
        number = row->number + 1;
    }
    json_dumper_end_array(json);
}

/* What only RTP's own numbers and timestamps tell. */
static void
json_quic_unknown(json_dumper *json)
{
    static const char *const unknown[] = { "frames", "frame_rate", "fec", "freezes" };

    for (unsigned i = 0; i < G_N_ELEMENTS(unknown); i++)
        json_null(json, unknown[i]);
}

static void
json_quic_counts(json_dumper *json, const stream_view *view)
{
    static const char *const unknown[] = { "copies", "seen_twice", "lost", "reordered",
                                           "loss_bursts" };

    json_number(json, "packets", view->quality->packets);
    json_dumper_set_member_name(json, "bytes");
    json_dumper_value_anyf(json, "%" PRIu64, view->quality->bytes);
    for (unsigned i = 0; i < G_N_ELEMENTS(unknown); i++)
        json_null(json, unknown[i]);
}

/* Of media inside QUIC, and of payload types whose clock nobody knows, only a capture clock could
 * tell: null where that comes in batches, or was set. */
static void
json_duration(json_dumper *json, const stream_view *view)
{
    if (view->by != FT_BY_NONE)
        json_seconds(json, "duration", (double)view->duration / SECOND);
    else
        json_null(json, "duration");
    json_text_or_null(json, "clock", clock_text(view));
    if (view->duration > 0)
        json_decimal(json, "bitrate", bit_rate(view));
    else
        json_null(json, "bitrate");
}

/* Its members are bound by docs/streams.schema.json, which every test capture's output is held
 * against. */
static void
json_stream(json_dumper *json, wmem_allocator_t *scope, const stream_view *view)
{
    const ft_quality *quality = view->quality;
    const bool has_sender = view->sender->addr.type != AT_NONE;

    json_dumper_begin_object(json);
    json_number(json, "schema", FT_SCHEMA);
    json_number(json, "call", view->call->number);
    json_call_key(json, view->call);
    if (view->stream)
        json_number(json, "ssrc", view->stream->ssrc);
    else
        json_null(json, "ssrc");
    json_dumper_set_member_name(json, "inside_quic");
    json_dumper_value_anyf(json, view->stream ? "false" : "true");
    json_string(json, "direction", quality->outgoing ? "out" : "in");
    json_text_or_null(json, "medium", medium_text(quality));
    json_names(json, scope, view);
    json_text_or_null(json, "sender", has_sender ? ft_endpoint_str(scope, view->sender) : NULL);
    json_number(json, "first_frame", ft_frame_number(view->first_frame));
    json_number(json, "last_frame", ft_frame_number(quality->last_frame));
    json_seconds(json, "start", view->start);
    (view->stream ? json_counts : json_quic_counts)(json, view);
    json_duration(json, view);
    if (view->stream) {
        json_pictures(json, view);
        json_fec(json, view);
    } else {
        json_quic_unknown(json);
    }
    json_jitter(json, view);
    json_round_trip(json, view);
    json_peer_report(json, view);
    json_stream_paths(json, scope, quality);
    json_series(json, scope, view);
    json_limits(json, quality->last_frame);
    json_dumper_end_object(json);
}

/* ---- the option -z ---- */

static bool
is_stream_wanted(const streams_report *report, const ft_quality *quality)
{
    return quality && (!report->filtered || g_hash_table_contains(report->wanted, quality));
}

static void
add_quic_view(const streams_report *report, wmem_array_t *found, const ft_call *call,
              const ft_quic_stream *stream)
{
    if (!is_stream_wanted(report, stream->quality))
        return;
    for (unsigned i = wmem_array_get_count(found); i-- > 0;) {
        stream_view *other = (stream_view *)wmem_array_index(found, i);
        if (other->call != call)
            break;
        if (other->quality == stream->quality) { /* the same direction on the other path */
            other->first_frame = MIN(other->first_frame, stream->first_frame);
            return;
        }
    }
    const stream_view view = quic_view_of(call, stream);
    wmem_array_append_one(found, view);
}

/* Those of calls that were found to be this one, too. */
static void
add_quic_views(const streams_report *report, wmem_array_t *found, const ft_call *call)
{
    for (unsigned number = call->number; number <= ft_call_total(); number++) {
        const ft_call *part = ft_call_by_number(number);
        if (!part->quic_streams || ft_call_as_of(part, UINT32_MAX) != call)
            continue;
        for (unsigned i = 0; i < wmem_array_get_count(part->quic_streams); i++)
            add_quic_view(report, found, call,
                          (const ft_quic_stream *)wmem_array_index(part->quic_streams, i));
    }
}

/* The wanted streams, call after call. Streams of merged calls stand in the call that they became
 * part of. */
static wmem_array_t *
views(const streams_report *report)
{
    wmem_array_t *found = wmem_array_new(report->scope, sizeof(stream_view));

    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (call->merged_into)
            continue;
        for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
            const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
            if (!is_stream_wanted(report, stream->quality))
                continue;
            const stream_view view = view_stream(report->scope, call, stream);
            wmem_array_append_one(found, view);
        }
        if (call->quic_streams)
            add_quic_views(report, found, call);
    }
    return found;
}

/* Media inside QUIC by path, below the table. With a filter it isn't looked at. */
static void
print_quic_streams(void)
{
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        for (unsigned i = 0; call->quic_streams && !call->merged_into &&
                             i < wmem_array_get_count(call->quic_streams);
             i++) {
            const ft_quic_stream *stream =
                (const ft_quic_stream *)wmem_array_index(call->quic_streams, i);
            printf("Call %u: media inside QUIC, %s, %s: %u packets, frames %u-%u\n", call->number,
                   stream->outgoing ? "out" : "in",
                   val_to_str_const(stream->path, ft_path_vals, "?"), stream->packets,
                   ft_frame_number(stream->first_frame), ft_frame_number(stream->last_frame));
        }
    }
}

static void
print_streams(const streams_report *report, wmem_array_t *found)
{
    const unsigned rows = wmem_array_get_count(found) + 1;
    const char **cells = wmem_alloc_array(report->scope, const char *, (size_t)rows * COLUMNS);

    for (unsigned j = 0; j < COLUMNS; j++)
        cells[j] = columns[j].title;
    for (unsigned i = 1; i < rows; i++)
        fill_row(report->scope, (const stream_view *)wmem_array_index(found, i - 1),
                 cells + (size_t)i * COLUMNS);
    fit_column(report->scope, COLUMNS, cells, rows, CODEC, 5);
    printf("\nFaceTime streams (frames as complete/incomplete/missing where packets say; fps by "
           "the media clock, least of whole "
           "seconds;\njitter (mean) and round trip (median) in ms: of stamps an upper bound; ? is "
           "inferred; - is not known)\n");
    print_limits();
    print_table(columns, COLUMNS, cells, rows);
}

static void
streams_draw(void *data)
{
    streams_report *report = (streams_report *)data;

    report->scope = wmem_allocator_new(WMEM_ALLOCATOR_BLOCK);
    wmem_array_t *found = views(report);
    if (report->json) {
        json_dumper json = { .output_file = stdout, .flags = JSON_DUMPER_FLAGS_PRETTY_PRINT };
        json_dumper_begin_array(&json);
        for (unsigned i = 0; i < wmem_array_get_count(found); i++)
            json_stream(&json, report->scope, (const stream_view *)wmem_array_index(found, i));
        json_dumper_end_array(&json);
        json_dumper_finish(&json);
    } else {
        print_streams(report, found);
        if (!report->filtered)
            print_quic_streams();
    }
    wmem_destroy_allocator(report->scope);
}

/* option: "facetime,streams", then ",json", then ",<filter>". All was gathered as packets were
 * dissected; the tap is asked only which streams passed a filter. */
static ws_stat_start
streams_start(const char *option, void *user_data _U_)
{
    streams_report *report = g_new0(streams_report, 1);
    const char *filter = report_filter(option, &report->json);

    report->wanted = g_hash_table_new(g_direct_hash, g_direct_equal);
    report->filtered = filter != NULL;

    GString *error =
        register_tap_listener("facetime", report, filter, TL_REQUIRES_NOTHING, streams_reset,
                              streams_report_packet, streams_draw, NULL);
    if (error) {
        fprintf(stderr, "%s: %s\n", option, error->str);
        g_string_free(error, TRUE);
        WS_STAT_NOT_STARTED;
    }
    WS_STAT_STARTED;
}

static stat_tap_ui streams_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,streams", streams_start, 0, NULL
};

void
register_tap_listener_facetime_streams(void)
{
    register_stat_tap_ui(&streams_ui, NULL);
}
