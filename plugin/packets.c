/* plugin/packets.c
 * tshark -q -z facetime,packets[,json][,filter]    a line a packet, while the file is read
 *
 * A row with tabs, or two lines for a search engine's bulk API: what to do, and the document. A
 * datagram that chains several packets has a line each. It tells what the packet's fields tell
 * (docs/packets.schema.json has which), without making the tree of fields. Nothing is kept.
 *
 *    wire -> record (calls/record.h) -> a line -> buffer of 64 KiB -> stdout, each 0.5 s
 *
 * A document leaves out what isn't known; a row has an empty cell.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/report.h"

#include "calls/key.h"
#include "calls/record.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>
#include <epan/to_str.h>

#define BUFFER_BYTES 65536
#define LINE_ROOM    8192       /* no line is longer: texts are bounded by MOST_TEXT */
#define MOST_TEXT    256
#define FLUSH_AFTER  500000     /* microseconds: who looks on live waits no longer for a line */
#define INDEX        "facetime-packets-"

/* In order: the title of the column, the key of the document. */
#define COLUMNS(X) \
    X(FRAME, "frame") \
    X(TIME, "timestamp") X(KIND, "kind") X(GENERATION, "generation") X(PATH, "path") \
        X(CALL, "call") X(CALL_KEY, "call_key") X(LEG, "leg") X(SOURCE, "source") \
            X(SOURCE_PORT, "source_port") X(DESTINATION, "destination") \
                X(DESTINATION_PORT, "destination_port") X(PEER, "peer") X(PEER_PORT, "peer_port") \
                    X(SSRC, "ssrc") X(SEQUENCE, "sequence") X(RTP_TIMESTAMP, "rtp_timestamp") \
                        X(PAYLOAD_TYPE, "payload_type") X(MARKER, "marker") X(CODEC, "codec") \
                            X(BYTES, "bytes") X(LOST_BEFORE, "lost_before") X(EVENTS, "events") \
                                X(LINK, "link") X(SEEN_BEFORE, "seen_before") X(PART, "part") \
                                    X(CHAIN, "chain")

#define COLUMN_ENUM(id, name) id,
#define COLUMN_NAME(id, name) name,
#define COLUMN_KEY(id, name) ",\"" name "\":",
enum { COLUMNS(COLUMN_ENUM) COLUMN_COUNT };
static const char *const column_names[] = { COLUMNS(COLUMN_NAME) };
static const char *const column_keys[] = { COLUMNS(COLUMN_KEY) };

typedef struct {
    bool        json;
    bool        titled;     /* the columns' titles were printed */
    unsigned    column;     /* of the line in hand: the next one without json */
    char       *buffer, *end;
    int64_t     flushed;    /* when, of the monotonic clock */
    time_t      second;     /* that these are of */
    char        second_text[sizeof "2147485547-12-31T23:59:59."];
    char        action[sizeof "{\"index\":{\"_index\":\"" INDEX "2147485547-12-31\"}}\n"];
    GHashTable *codecs;     /* ft_codec -> its name, as it is printed */
} packets_report;

/* Whole lines only: who reads from a pipe gets no half of a document. */
static void
flush(packets_report *report)
{
    fwrite(report->buffer, 1, (size_t)(report->end - report->buffer), stdout);
    fflush(stdout);
    report->end = report->buffer;
    report->flushed = g_get_monotonic_time();
}

/* The codecs are the last file's, and so are their pointers. */
static void
packets_reset(void *data)
{
    packets_report *report = (packets_report *)data;

    g_hash_table_remove_all(report->codecs);
    report->second = -1;
}

/* ---- values ---- */

static void
put_text(packets_report *report, const char *text)
{
    const size_t length = MIN(strlen(text), MOST_TEXT);

    memcpy(report->end, text, length);
    report->end += length;
}

/* By hand: a line may have a dozen of them, and a file millions of lines. */
static void
put_number(packets_report *report, uint32_t value)
{
    char digits[10];
    unsigned at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(report->end, digits + at, sizeof digits - at);
    report->end += sizeof digits - at;
}

/* All columns before this one that had nothing to tell are empty; a document leaves them out. */
static void
begin_column(packets_report *report, unsigned column)
{
    if (report->json) {
        put_text(report, column_keys[column]);
        return;
    }
    for (; report->column < column; report->column++)
        *report->end++ = '\t';
}

static void
tell_number(packets_report *report, unsigned column, uint32_t value)
{
    begin_column(report, column);
    put_number(report, value);
}

/* A text that is ours: there is nothing to be escaped in it. */
static void
tell_word(packets_report *report, unsigned column, const char *word)
{
    begin_column(report, column);
    if (report->json)
        *report->end++ = '"';
    put_text(report, word);
    if (report->json)
        *report->end++ = '"';
}

/* Others stay empty: the columns are of IP addresses. */
static bool
tell_address(packets_report *report, unsigned column, const address *addr)
{
    char text[WS_INET6_ADDRSTRLEN];

    if (addr->type != AT_IPv4 && addr->type != AT_IPv6)
        return false;
    address_to_str_buf(addr, text, sizeof text);
    tell_word(report, column, text);
    return true;
}

static void
tell_end(packets_report *report, unsigned column, const address *addr, uint16_t port)
{
    if (tell_address(report, column, addr))
        tell_number(report, column + 1, port);
}

/* Once a second of the capture's time, as packets mostly share theirs. A file's time may be any,
 * so there is room for the greatest year that an int holds. */
static void
set_second(packets_report *report, time_t second)
{
    const struct tm *utc = gmtime(&second);

    report->second = second;
    *report->second_text = 0;
    if (!utc)
        return;
    strftime(report->second_text, sizeof report->second_text, "%Y-%m-%dT%H:%M:%S.", utc);
    snprintf(report->action, sizeof report->action, "{\"index\":{\"_index\":\"" INDEX "%.*s\"}}\n",
             (int)(strchr(report->second_text, 'T') - report->second_text), report->second_text);
}

/* Nothing where the file has no times: a made-up one would be sorted among real ones. */
static void
tell_time(packets_report *report, const packet_info *pinfo)
{
    char fraction[] = "000000000Z";

    if (!ft_has_time(pinfo) || !*report->second_text)
        return;
    for (uint32_t rest = (uint32_t)pinfo->abs_ts.nsecs, at = 9; at-- > 0; rest /= 10)
        fraction[at] = (char)('0' + rest % 10);
    begin_column(report, TIME);
    if (report->json)
        *report->end++ = '"';
    put_text(report, report->second_text);
    put_text(report, fraction);
    if (report->json)
        *report->end++ = '"';
}

/* "3": the direct way of the third 5-tuple that was claimed; "3/0x4001": a channel of it;
 * "3/peer": who is reached by indications. */
static void
tell_leg(packets_report *report, const ft_packet *packet)
{
    if (!packet->flow)
        return;
    begin_column(report, LEG);
    if (report->json)
        *report->end++ = '"';
    put_number(report, packet->flow->number);
    if (packet->leg && packet->leg->channel) {
        static const char digits[] = "0123456789abcdef";
        put_text(report, "/0x");
        for (int shift = 12; shift >= 0; shift -= 4)
            *report->end++ = digits[packet->leg->channel >> shift & 15];
    } else if (packet->leg && packet->leg != &packet->flow->direct) {
        put_text(report, "/peer");
    }
    if (report->json)
        *report->end++ = '"';
}

/* A codec's name may be a stranger's. Made once a codec. */
static const char *
codec_text(const packets_report *report, const ft_codec *codec)
{
    char *text = (char *)g_hash_table_lookup(report->codecs, codec);

    if (text)
        return text;
    wmem_allocator_t *scope = wmem_allocator_new(WMEM_ALLOCATOR_SIMPLE);
    if (report->json) {
        json_dumper json = { .output_string = g_string_new(NULL) };
        json_dumper_value_string(&json, printable(scope, codec->name));
        text = g_string_free(json.output_string, FALSE);
    } else {
        text = g_strdup(printable(scope, codec->name));
    }
    wmem_destroy_allocator(scope);
    g_hash_table_insert(report->codecs, (void *)codec, text);
    return text;
}

/* What hindsight tells of a packet stands on it from the second pass on, as in its fields; here
 * it is in the timeline. A flood of them in one packet is cut where the room for a line ends. */
static void
tell_events(packets_report *report, packet_info *pinfo, const ft_packet *packet)
{
    bool first = true;

    for (const ft_event *event = ft_event_first(pinfo, packet); event;
         event = ft_event_next(event)) {
        if ((event->hindsight && packet->is_first_pass) ||
            report->end - report->buffer > BUFFER_BYTES + LINE_ROOM - 4 * MOST_TEXT)
            continue;
        if (first)
            begin_column(report, EVENTS);
        put_text(report, report->json ? first ? "[\"" : "\",\"" : first ? "" : ",");
        put_text(report, ft_event_name(event->id));
        first = false;
    }
    if (report->json && !first)
        put_text(report, "\"]");
}

/* ---- a line ---- */

static void
tell_name(packets_report *report, unsigned column, const value_string *names, uint32_t value)
{
    if (value)
        tell_word(report, column, val_to_str_const(value, names, "?"));
}

static void
tell_place(packets_report *report, packet_info *pinfo, const ft_packet *packet)
{
    const ft_call *call = call_shown(pinfo, packet);
    const char *key = call ? ft_key_best((ft_call *)call, packet->frame) : NULL;
    const ft_endpoint *peer = ft_peer_of(packet);

    tell_name(report, GENERATION, ft_generation_vals, packet->generation);
    tell_name(report, PATH, ft_path_vals, packet->path);
    if (call)
        tell_number(report, CALL, call->number);
    if (key)
        tell_word(report, CALL_KEY, key);
    tell_leg(report, packet);
    if (packet->kind || packet->path) {
        tell_end(report, SOURCE, &pinfo->src, (uint16_t)pinfo->srcport);
        tell_end(report, DESTINATION, &pinfo->dst, (uint16_t)pinfo->destport);
    } else { /* an ICMP error: the ports that Wireshark 4.0 still has are the quote's */
        tell_address(report, SOURCE, &pinfo->src);
        tell_address(report, DESTINATION, &pinfo->dst);
    }
    if (peer)
        tell_end(report, PEER, &peer->addr, peer->port);
}

static void
tell_media(packets_report *report, const ft_record *record)
{
    tell_number(report, SSRC, record->rtp.ssrc);
    tell_number(report, SEQUENCE, record->rtp.sequence);
    tell_number(report, RTP_TIMESTAMP, record->rtp.timestamp);
    tell_number(report, PAYLOAD_TYPE, record->rtp.payload_type);
    begin_column(report, MARKER);
    put_text(report, report->json         ? record->rtp.marker ? "true" : "false"
                     : record->rtp.marker ? "1"
                                          : "0");
    if (record->codec) {
        begin_column(report, CODEC);
        put_text(report, codec_text(report, record->codec));
    }
}

/* record: what the datagram holds; or NULL. What is the datagram's stands on its first line. A
 * loss, an event are the datagram's, not of each packet chained in it: they would be counted
 * twice. */
static void
print_line(packets_report *report, packet_info *pinfo, const ft_packet *packet,
           const ft_record *record)
{
    const ft_record *chained = record && record->is_chained ? record : NULL;
    const bool is_first = !chained || chained->index == 0;
    const ft_frame *frame = ft_frame_get(pinfo);

    report->column = 0;
    if (report->json) {
        put_text(report, report->action);
        put_text(report, "{\"schema\":");
        put_number(report, FT_SCHEMA);
    }
    tell_number(report, FRAME, ft_frame_number(packet->frame));
    tell_time(report, pinfo);
    tell_name(report, KIND, ft_kind_vals, chained ? chained->kind : packet->kind);
    tell_place(report, pinfo, packet);
    if (record && record->has_media)
        tell_media(report, record);
    if (chained)
        tell_number(report, BYTES, chained->bytes);
    else if (packet->datagram)
        tell_number(report, BYTES, tvb_reported_length(packet->datagram));
    if (is_first && packet->kind == FT_KIND_RTP && frame && frame->lost_before)
        tell_number(report, LOST_BEFORE, frame->lost_before);
    if (is_first)
        tell_events(report, pinfo, packet);
    if (record && record->has_link)
        tell_number(report, LINK, record->link);
    if (frame && frame->seen_before)
        tell_number(report, SEEN_BEFORE, ft_frame_number(frame->seen_before));
    if (packet->part)
        tell_number(report, PART, packet->part);
    if (chained)
        tell_number(report, CHAIN, chained->index);
    if (report->json)
        *report->end++ = '}';
    else
        for (; report->column < COLUMN_COUNT - 1; report->column++)
            *report->end++ = '\t';
    *report->end++ = '\n';
    if (report->end - report->buffer > BUFFER_BYTES)
        flush(report);
}

static void
print_titles(packets_report *report)
{
    report->titled = true;
    if (report->json)
        return;
    for (unsigned i = 0; i < COLUMN_COUNT; i++) {
        put_text(report, column_names[i]);
        *report->end++ = i == COLUMN_COUNT - 1 ? '\n' : '\t';
    }
}

/* What holds neither relay packet nor RTP has a line, too. */
static tap_packet_status
packets_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
               tap_flags_t flags _U_)
{
    packets_report *report = (packets_report *)data;
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_record *record = packet->records;

    if (!report->titled)
        print_titles(report);
    if (report->second != pinfo->abs_ts.secs)
        set_second(report, pinfo->abs_ts.secs);
    do {
        print_line(report, pinfo, packet, record);
        record = record ? record->next : NULL;
    } while (record);
    if (report->end > report->buffer && g_get_monotonic_time() - report->flushed > FLUSH_AFTER)
        flush(report);
    return TAP_PACKET_DONT_REDRAW;
}

static void
packets_draw(void *data)
{
    packets_report *report = (packets_report *)data;

    if (!report->titled)
        print_titles(report);
    flush(report);
}

/* option: "facetime,packets", then ",json", then ",<filter>". ICMP errors that quote FaceTime's
 * packets have a line, hence TL_REQUIRES_ERROR_PACKETS. Records are made only where somebody
 * wants them. */
static ws_stat_start
packets_start(const char *option, void *user_data _U_)
{
    packets_report *report = g_new0(packets_report, 1);
    const char *filter = report_filter(option, &report->json);

    report->buffer = report->end = (char *)g_malloc(BUFFER_BYTES + LINE_ROOM);
    report->codecs = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    report->flushed = g_get_monotonic_time();
    ft_records_wanted = true;
    ft_lean_ask();

    GString *error = register_tap_listener("facetime", report, filter, TL_REQUIRES_ERROR_PACKETS,
                                           packets_reset, packets_packet, packets_draw, NULL);
    if (error) {
        fprintf(stderr, "%s: %s\n", option, error->str);
        g_string_free(error, TRUE);
        WS_STAT_NOT_STARTED;
    }
    WS_STAT_STARTED;
}

static stat_tap_ui packets_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,packets", packets_start, 0, NULL
};

void
register_tap_listener_facetime_packets(void)
{
    register_stat_tap_ui(&packets_ui, NULL);
}
