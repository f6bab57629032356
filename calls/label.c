/* calls/label.c
 * What stands over an arrow of flow graph and ladder, from the message and its events:
 *
 *    Binding request       "Check"         with nominated: "Check, nominated"
 *    RTP, first_media      "First audio out"
 *    RTP, media_gap        "Media, silence 3.2 s"
 *    SIP                   "INVITE", "200 OK (INVITE)"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/label.h"
#include "calls/mark.h"
#include "calls/model.h"
#include "calls/quality.h"
#include "calls/stun.h"

#include <epan/column-utils.h>

/* clang-format off */
static const struct { uint16_t method; const char *asked, *granted, *refused; } messages[] = {
    { STUN_BINDING,           "Check",             "Check answered",    "Check refused" },
    { STUN_ALLOCATE,          "Allocate",          "Allocated",         "Allocate refused" },
    { STUN_REFRESH,           "Refresh",           "Refreshed",         "Refresh refused" },
    { STUN_CREATE_PERMISSION, "Create permission", "Permission given",  "Permission refused" },
    { STUN_CHANNEL_BIND,      "Bind channel",      "Channel bound",     "Bind refused" },
};
/* clang-format on */

/* What of an event stands over the arrow; NULL: the packet's own label does. */
static const char *const event_labels[FT_EVENT_COUNT] = {
    [FT_EVENT_PEER_UNREACHABLE] = "Peer unreachable",
    [FT_EVENT_SOCKET_CLOSED] = "Socket closed",
    [FT_EVENT_MEDIA_ON_BOTH_PATHS] = "Media on both paths",
    [FT_EVENT_RELEASED_CHANNEL_USED] = "Released channel used",
    [FT_EVENT_PATH_SWITCH] = "Media changes path",
    [FT_EVENT_HANDOVER] = "Handover",
    [FT_EVENT_MODE_CHANGED] = "Mode changes",
    [FT_EVENT_ONE_WAY_MEDIA] = "One-way media",
    [FT_EVENT_RELAY_READY] = "Relay ready",
};

const char *
ft_label_of_stun(unsigned method, unsigned message_class)
{
    if (method == STUN_RELAY_ERROR)
        return "Relay error";
    for (unsigned i = 0; i < G_N_ELEMENTS(messages); i++) {
        if (messages[i].method != method)
            continue;
        return message_class == STUN_REQUEST   ? messages[i].asked
               : message_class == STUN_SUCCESS ? messages[i].granted
               : message_class == STUN_ERROR   ? messages[i].refused
                                               : NULL;
    }
    return NULL;
}

/* What follows a beginning, or NULL where text begins otherwise. */
static const char *
after(const char *text, const char *beginning)
{
    const size_t length = strlen(beginning);

    return strncmp(text, beginning, length) == 0 ? text + length : NULL;
}

/* "First audio from the device" is "First audio out". */
static const char *
first_media_label(packet_info *pinfo, const char *text)
{
    const char *from = strstr(text, " from the ");

    if (!from)
        return text;
    return wmem_strdup_printf(pinfo->pool, "%.*s %s", (int)(from - text), text,
                              after(from, " from the device") ? "out" : "in");
}

/* What an event says better than its packet does: "First audio out", "Check, nominated"; else
 * NULL. */
static const char *
label_of_event(packet_info *pinfo, const ft_event *event, const char *label, bool of_media)
{
    if (event->id == FT_EVENT_NOMINATED)
        return wmem_strdup_printf(pinfo->pool, "%s, nominated", label);
    if (event->id == FT_EVENT_MEDIA_GAP)
        return wmem_strdup_printf(
            pinfo->pool, "%s, silence %s", label,
            ft_seconds_text(pinfo->pool, nstime_to_sec(&event->length), event->is_rough));
    if (!of_media)
        return NULL;
    return event->id == FT_EVENT_FIRST_MEDIA ? first_media_label(pinfo, event->text)
                                             : event_labels[event->id];
}

/* What happens once before what a flood repeats. A packet may have several, and there is room
 * for one. */
static const char *
by_events(packet_info *pinfo, const ft_packet *packet, const char *label, bool of_media)
{
    const char *counted = NULL;

    for (const ft_event *event = ft_event_first(pinfo, packet); event;
         event = ft_event_next(event)) {
        const char *better = label_of_event(pinfo, event, label, of_media);
        if (better && ft_event_often(event->id) != FT_COUNTED)
            return better;
        counted = better && !counted ? better : counted;
    }
    return counted ? counted : label;
}

bool
ft_label_is_error(const ft_packet *packet)
{
    return packet->error_to.addr.type != AT_NONE;
}

bool
ft_label_is_media(const ft_packet *packet)
{
    return packet->kind == FT_KIND_RTP || packet->kind == FT_KIND_RTCP ||
           packet->kind == FT_KIND_QUIC || packet->kind == FT_KIND_HBH ||
           packet->kind == FT_KIND_QUICKRELAY || packet->kind == FT_KIND_DATA;
}

static const char *
info_of(const packet_info *pinfo)
{
    const char *info = pinfo->cinfo ? col_get_text(pinfo->cinfo, COL_INFO) : NULL;

    return info ? info : "";
}

/* "Request: INVITE sip:user@..." is INVITE, "Status: 200 OK (INVITE) | " is 200 OK (INVITE). */
static char *
sip_label(packet_info *pinfo)
{
    const char *info = info_of(pinfo), *request = after(info, "Request: "),
               *status = after(info, "Status: ");

    if (request)
        return wmem_strndup(pinfo->pool, request, strcspn(request, " "));
    return status ? g_strchomp(wmem_strndup(pinfo->pool, status, strcspn(status, "|")))
                  : wmem_strdup(pinfo->pool, "SIP");
}

/* The message's own name; else Info up to the first thing that isn't one. */
static const char *
message_label(packet_info *pinfo, const ft_packet *packet)
{
    const char *info = info_of(pinfo);
    const char *label =
        packet->label ? packet->label : wmem_strndup(pinfo->pool, info, strcspn(info, ",:=|"));

    return *label ? label : val_to_str_const(packet->kind, ft_kind_vals, "FaceTime");
}

static const char *
last_media_label(packet_info *pinfo, const ft_stream *ended)
{
    static const char *const names[] = { "media", "audio", "video" };
    const ft_medium medium = ended->quality ? ended->quality->medium : FT_MEDIUM_UNKNOWN;

    return wmem_strdup_printf(pinfo->pool, "Last %s %s", names[medium],
                              ended->outgoing ? "out" : "in");
}

static const char *
media_label(packet_info *pinfo, const ft_packet *packet, const ft_stream *ended)
{
    if (ended)
        return last_media_label(pinfo, ended);
    switch (packet->kind) {
    case FT_KIND_RTP:
        return "Media";
    case FT_KIND_RTCP:
        return "RTCP";
    case FT_KIND_QUIC:
        return "QUIC";
    case FT_KIND_QUICKRELAY:
        return "Relay counter";
    case FT_KIND_HBH:
        return "Hop-by-hop";
    case FT_KIND_DATA:
        return "Data";
    default:
        return val_to_str_const(packet->kind, ft_kind_vals, "Media");
    }
}

/* "Destination unreachable (Port unreachable)" is Port unreachable. */
static const char *
error_label(packet_info *pinfo)
{
    const char *info = info_of(pinfo), *reason = strchr(info, '(');

    return reason ? wmem_strndup(pinfo->pool, reason + 1, strcspn(reason + 1, ")")) : info;
}

const char *
ft_label(packet_info *pinfo, const ft_packet *packet, const ft_stream *ended)
{
    const bool is_error = ft_label_is_error(packet),
               of_media = ft_label_is_media(packet) || is_error;
    const char *label = is_error                      ? error_label(pinfo)
                        : of_media                    ? media_label(pinfo, packet, ended)
                        : packet->kind == FT_KIND_SIP ? sip_label(pinfo)
                                                      : message_label(pinfo, packet);

    return by_events(pinfo, packet, label, of_media);
}

const char *
ft_label_of_step(packet_info *pinfo, const ft_packet *packet)
{
    const char *label =
        packet->label ? packet->label : val_to_str_const(packet->kind, ft_kind_vals, "FaceTime");

    return by_events(pinfo, packet, label, false);
}
