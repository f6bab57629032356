/* plugin/filters.c
 * Analyze > Conversation Filter > FaceTime ..., the same on a right click, Colorize
 * Conversation; and Go > Next Packet in Conversation, which follows the call, whichever way its
 * packets take.
 *
 * Wireshark asks about the selected packet long after its dissection: its record hangs on it as
 * long as it is shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/filters.h"

#include "calls/call.h"
#include "calls/preparation.h"

#include <epan/conversation_filter.h>

/* Under the number that the call has in the end: a packet bears that one too, once all packets
 * were seen. */
const ft_call *
call_of_shown(packet_info *pinfo)
{
    uint32_t known_from;
    const ft_packet *packet = ft_frame_shown_packet(pinfo);
    const ft_call *call = ft_call_prepared_by(pinfo, &known_from);

    if (!call && packet)
        call = packet->call;
    call = ft_call_as_of(call, UINT32_MAX);
    return call && !call->no_call_from ? call : NULL;
}

static ws_bool
has_call(WS_FILTER_ARGUMENTS)
{
    return call_of_shown(pinfo) != NULL;
}

static char *
filter_for(packet_info *pinfo, const char *more)
{
    const ft_call *call = call_of_shown(pinfo);

    return call ? g_strdup_printf("facetime.call == %u%s", call->number, more) : NULL;
}

static char *
call_filter(WS_FILTER_ARGUMENTS)
{
    return filter_for(pinfo, "");
}

static char *
media_filter(WS_FILTER_ARGUMENTS)
{
    return filter_for(pinfo, " && (facetime.kind == \"rtp\" || facetime.quic_media == 1)");
}

static char *
events_filter(WS_FILTER_ARGUMENTS)
{
    return filter_for(pinfo, " && facetime.event");
}

void
register_facetime_filters(void)
{
    ws_register_conversation_filter("facetime", "FaceTime call", has_call, call_filter);
    ws_register_conversation_filter("facetime", "FaceTime media", has_call, media_filter);
    ws_register_conversation_filter("facetime", "FaceTime events", has_call, events_filter);
    add_conversation_filter_protocol("facetime");
}
