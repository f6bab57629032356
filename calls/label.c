/* calls/label.c
 * What stands over an arrow of the flow graph, from the message and its events:
 *
 *    Binding request       "Check"         with nominated: "Check, nominated"
 *    RTP, first_media      "First audio out"
 *    RTP, media_gap        "Media, silence 3.2 s"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/label.h"
#include "calls/mark.h"
#include "calls/stun.h"

static const struct { uint16_t method; const char *asked, *granted, *refused; } messages[] = {
    { STUN_BINDING,           "Check",             "Check answered",    "Check refused" },
    { STUN_ALLOCATE,          "Allocate",          "Allocated",         "Allocate refused" },
    { STUN_REFRESH,           "Refresh",           "Refreshed",         "Refresh refused" },
    { STUN_CREATE_PERMISSION, "Create permission", "Permission given",  "Permission refused" },
    { STUN_CHANNEL_BIND,      "Bind channel",      "Channel bound",     "Bind refused" },
};

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

const char *
ft_label_after(const char *text, const char *beginning)
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
                              ft_label_after(from, " from the device") ? "out" : "in");
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
const char *
ft_label_by_events(packet_info *pinfo, const ft_packet *packet, const char *label, bool of_media)
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
