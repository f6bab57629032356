/* plugin/signalling.c
 * tshark -q -z facetime,signalling[,json][,filter]    who told whom what: a line a frame, while
 *                                                     the file is read
 *
 * All of FaceTime's but media; of media what begins, changes or stops; and the segments of Apple's
 * push service (TCP 5223), which is opaque. A row with tabs, or an object (its members:
 * docs/signalling.schema.json). It tells what the packets' fields tell, without making the tree of
 * fields; the columns are made, as Info says most. Nothing is kept but the frame in hand.
 *
 *    datagram, segment  -> what is told of the frame in hand
 *    the next frame's   -> the one in hand is printed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/report.h"

#include "calls/call.h"
#include "calls/label.h"
#include "calls/record.h"

#include <epan/column-utils.h>
#include <epan/dissectors/packet-tcp.h>
#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>
#include <epan/to_str.h>
#include <wiretap/wtap.h>

#define PUSH_PORT   5223
#define FLUSH_AFTER 500000 /* microseconds: who looks on live waits no longer for a line */

/* The frame in hand. Where several datagrams are in it, the last one says what it is. */
typedef struct {
    uint32_t number;    /* 0: none */
    bool     is_facetime, is_push;
    bool     has_media; /* RTP, and */
    bool     is_told;   /* an event of it that is worth a line */
    ft_kind  kind;
    ft_path  path;
    nstime_t time;
    bool     has_time;
    int      link_type;
    char     source[WS_INET6_ADDRSTRLEN], destination[WS_INET6_ADDRSTRLEN];
    GString *protocols, *label, *info;
    GArray  *calls;              /* these are of uint32_t */
    GArray  *types, *attributes; /* of STUN messages */
    bool     is_answer;
    nstime_t took;
    const char *coding;
} frame_in_hand;

typedef struct {
    bool          json, titled;
    frame_in_hand frame;
    int64_t       flushed; /* when, of the monotonic clock */
} signalling_report;

/* ---- a line ---- */

static void
json_numbers(json_dumper *json, const char *name, const GArray *numbers)
{
    if (numbers->len == 0)
        return;
    json_dumper_set_member_name(json, name);
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < numbers->len; i++)
        json_dumper_value_anyf(json, "%u", g_array_index(numbers, uint32_t, i));
    json_dumper_end_array(json);
}

static void
json_text(json_dumper *json, const char *name, const char *text)
{
    if (text && *text)
        json_string(json, name, text);
}

static void
json_nanoseconds(json_dumper *json, const char *name, const nstime_t *time)
{
    json_dumper_set_member_name(json, name);
    json_dumper_value_anyf(json, "%" G_GINT64_FORMAT ".%09d", (int64_t)time->secs, time->nsecs);
}

static void
print_object(const frame_in_hand *frame)
{
    json_dumper json = { .output_file = stdout };

    json_dumper_begin_object(&json);
    json_number(&json, "schema", FT_SCHEMA);
    json_number(&json, "frame", frame->number);
    if (frame->has_time)
        json_nanoseconds(&json, "epoch", &frame->time);
    json_number(&json, "link_type", (uint32_t)frame->link_type);
    json_string(&json, "protocols", frame->protocols->str);
    json_text(&json, "source", frame->source);
    json_text(&json, "destination", frame->destination);
    if (frame->is_push)
        json_string(&json, "service", "push");
    if (frame->kind)
        json_string(&json, "kind", val_to_str_const(frame->kind, ft_kind_vals, "?"));
    if (frame->path)
        json_string(&json, "path", val_to_str_const(frame->path, ft_path_vals, "?"));
    json_numbers(&json, "calls", frame->calls);
    json_numbers(&json, "stun_types", frame->types);
    json_numbers(&json, "stun_attributes", frame->attributes);
    if (frame->is_answer)
        json_nanoseconds(&json, "answered_after", &frame->took);
    json_text(&json, "coding", frame->coding);
    json_text(&json, "label", frame->label->str);
    json_text(&json, "info", frame->info->str);
    json_dumper_end_object(&json);
    json_dumper_finish(&json);
}

static void
print_row(const frame_in_hand *frame)
{
    printf("%u\t", frame->number);
    if (frame->has_time)
        printf("%" G_GINT64_FORMAT ".%09d", (int64_t)frame->time.secs, frame->time.nsecs);
    printf("\t%s\t%s\t", val_to_str_const(frame->kind, ft_kind_vals, frame->is_push ? "push" : ""),
           val_to_str_const(frame->path, ft_path_vals, ""));
    for (unsigned i = 0; i < frame->calls->len; i++)
        printf("%s%u", i ? "," : "", g_array_index(frame->calls, uint32_t, i));
    printf("\t%s\t%s\t%s\t", frame->source, frame->destination, frame->label->str);
    if (frame->is_answer)
        printf("%" G_GINT64_FORMAT ".%09d", (int64_t)frame->took.secs, frame->took.nsecs);
    printf("\t%s\n", frame->info->str);
}

static void
print_title(signalling_report *report)
{
    if (!report->json && !report->titled)
        puts("frame\tepoch\tkind\tpath\tcalls\tsource\tdestination\tlabel\tanswered_after\tinfo");
    report->titled = true;
}

/* What is in hand, if it is signalling: it is complete when the next frame's first is tapped. */
static void
print_frame(signalling_report *report)
{
    const frame_in_hand *frame = &report->frame;

    if (!frame->is_push && (!frame->is_facetime || (frame->has_media && !frame->is_told)))
        return;
    print_title(report);
    if (report->json)
        print_object(frame);
    else
        print_row(frame);
    if (g_get_monotonic_time() - report->flushed > FLUSH_AFTER) {
        fflush(stdout);
        report->flushed = g_get_monotonic_time();
    }
}

/* ---- what it tells ---- */

static void
clear(frame_in_hand *frame)
{
    const frame_in_hand kept = *frame;

    *frame = (frame_in_hand){ .protocols = kept.protocols,
                              .label = kept.label,
                              .info = kept.info,
                              .calls = kept.calls,
                              .types = kept.types,
                              .attributes = kept.attributes };
    g_string_truncate(frame->protocols, 0);
    g_string_truncate(frame->label, 0);
    g_string_truncate(frame->info, 0);
    g_array_set_size(frame->calls, 0);
    g_array_set_size(frame->types, 0);
    g_array_set_size(frame->attributes, 0);
}

static frame_in_hand *
frame_of(signalling_report *report, const packet_info *pinfo)
{
    frame_in_hand *frame = &report->frame;

    if (frame->number != pinfo->num) {
        print_frame(report);
        clear(frame);
        frame->number = pinfo->num;
    }
    return frame;
}

static void
keep_text(GString *kept, packet_info *pinfo, const char *text)
{
    g_string_assign(kept, text ? printable(pinfo->pool, text) : "");
}

/* Others than IP's stay empty. */
static void
keep_address(char kept[WS_INET6_ADDRSTRLEN], const address *addr)
{
    if (addr->type == AT_IPv4 || addr->type == AT_IPv6)
        address_to_str_buf(addr, kept, WS_INET6_ADDRSTRLEN);
}

/* As frame.protocols: all layers but the first, which is the frame itself. */
static void
keep_protocols(GString *names, const packet_info *pinfo)
{
    wmem_list_frame_t *layer = wmem_list_head(pinfo->layers);

    while ((layer = wmem_list_frame_next(layer)) != NULL) {
        const int protocol = GPOINTER_TO_INT(wmem_list_frame_data(layer));
        g_string_append_printf(names, "%s%s", names->len ? ":" : "",
                               proto_get_protocol_filter_name(protocol));
    }
}

/* What goes for any frame; told once. */
static void
keep_frame(frame_in_hand *frame, const packet_info *pinfo)
{
    if (frame->protocols->len > 0)
        return;
    keep_protocols(frame->protocols, pinfo);
    frame->has_time = ft_has_time(pinfo);
    frame->time = pinfo->abs_ts;
    frame->link_type = pinfo->rec->rec_header.packet_header.pkt_encap;
    keep_address(frame->source, &pinfo->src);
    keep_address(frame->destination, &pinfo->dst);
}

/* What media begins, changes, or that it stops. Hindsight is of the second pass. */
static bool
is_worth_a_line(packet_info *pinfo, const ft_packet *packet)
{
    for (const ft_event *event = ft_event_first(pinfo, packet); event;
         event = ft_event_next(event)) {
        if (event->hindsight && packet->is_first_pass)
            continue;
        switch (event->id) {
        case FT_EVENT_FIRST_MEDIA:
        case FT_EVENT_PATH_SWITCH:
        case FT_EVENT_MEDIA_GAP:
        case FT_EVENT_ONE_WAY_MEDIA:
        case FT_EVENT_HANDOVER:
        case FT_EVENT_MODE_CHANGED:
            return true;
        default:
            break;
        }
    }
    return false;
}

static void
keep_call(frame_in_hand *frame, packet_info *pinfo, const ft_packet *packet)
{
    const ft_call *call = call_shown(pinfo, packet);

    for (unsigned i = 0; call && i < frame->calls->len; i++) {
        if (g_array_index(frame->calls, uint32_t, i) == call->number)
            return;
    }
    if (call)
        g_array_append_val(frame->calls, call->number);
}

static void
append(GArray *numbers, wmem_array_t *some)
{
    g_array_append_vals(numbers, wmem_array_get_raw(some), wmem_array_get_count(some));
}

static void
keep_said(frame_in_hand *frame, const ft_said *said)
{
    if (!said)
        return;
    append(frame->types, said->types);
    append(frame->attributes, said->attributes);
    if (said->is_answer && !frame->is_answer) {
        frame->is_answer = true;
        frame->took = said->took;
    }
    if (said->coding && !frame->coding)
        frame->coding = said->coding;
}

static tap_packet_status
signalling_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                  tap_flags_t flags _U_)
{
    frame_in_hand *frame = frame_of((signalling_report *)data, pinfo);
    const ft_packet *packet = (const ft_packet *)tapped;

    frame->is_facetime = true;
    if (packet->kind == FT_KIND_RTP) {
        frame->has_media = true;
        if (!is_worth_a_line(pinfo, packet))
            return TAP_PACKET_DONT_REDRAW;
        frame->is_told = true;
    }
    keep_frame(frame, pinfo);
    if (packet->kind)
        frame->kind = packet->kind;
    if (packet->path)
        frame->path = packet->path;
    keep_call(frame, pinfo, packet);
    keep_said(frame, packet->said);
    keep_text(frame->label, pinfo, ft_label(pinfo, packet, NULL));
    keep_text(frame->info, pinfo, col_get_text(pinfo->cinfo, COL_INFO));
    return TAP_PACKET_DONT_REDRAW;
}

static tap_packet_status
signalling_segment(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                   tap_flags_t flags _U_)
{
    const struct tcpheader *tcp = (const struct tcpheader *)tapped;

    if (tcp->th_sport != PUSH_PORT && tcp->th_dport != PUSH_PORT)
        return TAP_PACKET_DONT_REDRAW;

    frame_in_hand *frame = frame_of((signalling_report *)data, pinfo);
    frame->is_push = true;
    keep_frame(frame, pinfo);
    return TAP_PACKET_DONT_REDRAW;
}

static void
signalling_reset(void *data)
{
    signalling_report *report = (signalling_report *)data;

    clear(&report->frame);
}

static void
signalling_draw(void *data)
{
    signalling_report *report = (signalling_report *)data;

    print_frame(report);
    clear(&report->frame);
    print_title(report);
    fflush(stdout);
}

/* ---- the option -z ---- */

static bool
listen(const char *option, const char *tap, signalling_report *report, const char *filter,
       unsigned flags, tap_reset_cb reset, tap_packet_cb packet, tap_draw_cb draw)
{
    GString *error = register_tap_listener(tap, report, filter, TL_REQUIRES_ERROR_PACKETS | flags,
                                           reset, packet, draw, NULL);

    if (!error)
        return true;
    fprintf(stderr, "%s: %s\n", option, error->str);
    g_string_free(error, TRUE);
    return false;
}

/* option: "facetime,signalling", then ",json", then ",<filter>". Both listeners share the report;
 * one of them draws it. */
static ws_stat_start
signalling_start(const char *option, void *user_data _U_)
{
    signalling_report *report = g_new0(signalling_report, 1);
    const char *filter = report_filter(option, &report->json);

    report->frame.protocols = g_string_new("");
    report->frame.label = g_string_new("");
    report->frame.info = g_string_new("");
    report->frame.calls = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    report->frame.types = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    report->frame.attributes = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    report->flushed = g_get_monotonic_time();
    ft_said_wanted = true;
    if (!listen(option, "facetime", report, filter, TL_REQUIRES_COLUMNS, signalling_reset,
                signalling_packet, signalling_draw) ||
        !listen(option, "tcp", report, filter, 0, NULL, signalling_segment, NULL))
        WS_STAT_NOT_STARTED;
    WS_STAT_STARTED;
}

static stat_tap_ui signalling_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,signalling", signalling_start, 0, NULL
};

void
register_tap_listener_facetime_signalling(void)
{
    register_stat_tap_ui(&signalling_ui, NULL);
}
