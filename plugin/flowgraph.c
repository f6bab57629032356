/* plugin/flowgraph.c
 * Statistics > Flow Graph > flow type "FaceTime Flows", tshark -q -z flow,facetime,standard: a
 * call on one screen. Media is left out but for its first and last packets and those with
 * events; what repeats (checks, a flood) stands once; a relayed packet goes between the ends,
 * and only what is for the relay itself goes to the relay.
 *
 *    media    . . . F . . . . . . E . . . L       F first, E with an event, L last: arrows; . none
 *    check    C C C C C                           one arrow, "(repeated, to frame n)"
 *    relay    device --- relay --- peer           channel data: device -> peer; Allocate: -> relay
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"

#include "calls/call.h"
#include "calls/label.h"
#include "calls/media.h"

#include <epan/tap.h>

#ifdef WS_SEQUENCE_ANALYSIS

#define LABEL_LENGTH 28  /* characters over an arrow */
#define FOLD_WINDOW  40  /* items of a call that one like them may stand among: a screen */
#define FOLD_REACH   400 /* items of all calls that are looked through for it */
#define REPEATED     " (repeated, to frame "

/* Letters, not bytes: a name may be a stranger's UTF-8. */
static char *
cut(const char *text)
{
    if (g_utf8_strlen(text, -1) <= LABEL_LENGTH)
        return g_strdup(text);
    return g_strndup(text, (size_t)(g_utf8_offset_to_pointer(text, LABEL_LENGTH) - text));
}

/* ---- which packets ---- */

/* The stream whose last packet this is, which is known when all packets were seen; else NULL. In
 * one pass the last packet so far would be each one. */
static const ft_stream *
ended_by(const ft_packet *packet, const ft_call *call)
{
    if (packet->is_first_pass || packet->kind != FT_KIND_RTP)
        return NULL;
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        if (stream->last_frame == packet->frame)
            return stream;
    }
    return NULL;
}

/* The first packets of media have events. */
static bool
is_arrow(packet_info *pinfo, const ft_packet *packet, const ft_call *call)
{
    return !ft_label_is_media(packet) || ft_event_first(pinfo, packet) || ended_by(packet, call);
}

static char *
arrow_comment(packet_info *pinfo, const ft_packet *packet, const ft_call *call)
{
    const ft_stream *ended = ended_by(packet, call);
    GString *text = g_string_new("");

    g_string_printf(text, "Call %u", call->number);
    if (packet->path)
        g_string_append_printf(text, ", %s", val_to_str_const(packet->path, ft_path_vals, "?"));
    if (ended)
        g_string_append_printf(text, ", SSRC 0x%08x", ended->ssrc);
    for (const ft_event *event = ft_event_first(pinfo, packet); event; event = ft_event_next(event))
        g_string_append_printf(text, "%s%s", event == ft_event_first(pinfo, packet) ? ": " : "; ",
                               event->text);
    return g_string_free(text, FALSE);
}

/* ---- items ---- */

/* The address only: nodes are addresses. */
static void
set_end(address *shown, uint16_t *shown_port, const ft_endpoint *end)
{
    free_address(shown);
    copy_address(shown, &end->addr);
    *shown_port = end->port;
}

/* "Call 1, relay" of "Call 1, relay: Nominates the relayed pair" */
static size_t
path_length(const char *comment)
{
    size_t length = strcspn(comment, ":(");

    while (length > 0 && comment[length - 1] == ' ')
        length--;
    return length;
}

static bool
is_same_path(const char *comment, const char *other)
{
    const size_t length = path_length(comment);

    return length == path_length(other) && strncmp(comment, other, length) == 0;
}

/* By ends, path and label: an answer that goes back is another arrow. */
static bool
is_alike(const ws_sequence_item *one, const ws_sequence_item *other)
{
    return one->conv_num == other->conv_num && strcmp(one->frame_label, other->frame_label) == 0 &&
           is_same_path(one->comment, other->comment) &&
           addresses_equal(&one->src_addr, &other->src_addr) &&
           addresses_equal(&one->dst_addr, &other->dst_addr);
}

/* An item that says the same a little above, in this call: that one stands for both. Not only the
 * last item is looked at: checks on several pairs go in turn. */
static ws_sequence_item *
find_alike(const ws_sequence_info *info, const ws_sequence_item *item)
{
    unsigned seen = 0, of_all = 0;

    for (GList *link = g_queue_peek_tail_link(info->items);
         link && seen < FOLD_WINDOW && of_all < FOLD_REACH; link = link->prev, of_all++) {
        ws_sequence_item *earlier = (ws_sequence_item *)link->data;
        if (earlier->conv_num != item->conv_num)
            continue;
        seen++;
        if (is_alike(earlier, item))
            return earlier;
    }
    return NULL;
}

static void
fold(ws_sequence_item *earlier, uint32_t frame)
{
    const char *mark = g_strrstr(earlier->comment, REPEATED);
    char *comment =
        g_strdup_printf("%.*s" REPEATED "%u)",
                        (int)(mark ? (size_t)(mark - earlier->comment) : strlen(earlier->comment)),
                        earlier->comment, frame);

    g_free(earlier->comment);
    earlier->comment = comment;
}

static void
discard(ws_sequence_item *item)
{
    free_address(&item->src_addr);
    free_address(&item->dst_addr);
    g_free(item->frame_label);
    g_free(item->time_str);
    g_free(item->comment);
    g_free(item);
}

/* Stories are not folded, floods are: what is told at each packet, counted, or told by no event
 * at all. */
static bool
may_repeat(packet_info *pinfo, const ft_packet *packet, const ft_call *call)
{
    if (ended_by(packet, call))
        return false;
    for (const ft_event *event = ft_event_first(pinfo, packet); event;
         event = ft_event_next(event)) {
        if (ft_event_often(event->id) != FT_COUNTED)
            return false;
    }
    return true;
}

/* An ICMP error goes from who complains to who sent what it quotes. */
static void
item_ends(const packet_info *pinfo, const ft_packet *packet, ft_endpoint *from, ft_endpoint *to)
{
    if (ft_label_is_error(packet)) {
        *from = packet->error_from;
        *to = packet->error_to;
    } else {
        ft_flow_ends(pinfo, packet, from, to);
    }
}

static tap_packet_status
flow_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
            tap_flags_t flags _U_)
{
    ws_sequence_info *info = (ws_sequence_info *)data;
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = ft_call_as_of(packet->call, UINT32_MAX);

    if (!call || !ft_call_listed(call) || !is_arrow(pinfo, packet, call))
        return TAP_PACKET_DONT_REDRAW;

    ws_sequence_item *item = sequence_analysis_create_sai_with_addresses(pinfo, info);
    if (!item)
        return TAP_PACKET_DONT_REDRAW;
    ft_endpoint from, to;
    item_ends(pinfo, packet, &from, &to);
    set_end(&item->src_addr, &item->port_src, &from);
    set_end(&item->dst_addr, &item->port_dst, &to);
    item->frame_number = pinfo->num;
    item->frame_label = cut(ft_label(pinfo, packet, ended_by(packet, call)));
    item->comment = arrow_comment(pinfo, packet, call);
    item->conv_num = (uint16_t)call->number;
    item->display = TRUE;
    sequence_analysis_use_color_filter(pinfo, item);

    ws_sequence_item *earlier = may_repeat(pinfo, packet, call) ? find_alike(info, item) : NULL;
    if (earlier) {
        fold(earlier, pinfo->num);
        discard(item);
    } else {
        g_queue_push_tail(info->items, item);
    }
    return TAP_PACKET_REDRAW;
}

void
register_facetime_flowgraph(void)
{
    register_seq_analysis("facetime", "FaceTime Flows", proto_get_id_by_filter_name("facetime"),
                          "facetime", TL_REQUIRES_COLUMNS | TL_REQUIRES_ERROR_PACKETS, flow_packet);
}

#else

void
register_facetime_flowgraph(void)
{
}

#endif
