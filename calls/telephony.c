/* calls/telephony.c
 * A call as Telephony > VoIP Calls lists it, from its packets:
 *
 *    ringing          RINGING                                   ended, answered before (or modern)   COMPLETED
 *    answered, media  IN CALL                                   ended otherwise                      REJECTED
 *    before that      CALL SETUP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/telephony.h"
#include "calls/call.h"

#include <epan/tap-voip.h>
#include <epan/tap.h>

static int voip_tap = -1;

void
ft_telephony_init(void)
{
    voip_tap = register_tap("voip");
}

/* What is no call, or only ICE so far, isn't told: the list is of calls. QUIC, the modem's reports and the NAT tests of a call would drown its messages. */
static bool
is_message(ft_kind kind)
{
    return kind == FT_KIND_STUN || kind == FT_KIND_TURN || kind == FT_KIND_LINK || kind == FT_KIND_CONTROL;
}

static voip_call_state
state_of(const ft_call *call)
{
    switch (call->state) {
    case FT_CALL_ENDED:
        return call->was_answered || call->generation == FT_MODERN ? VOIP_COMPLETED : VOIP_REJECTED;
    case FT_CALL_ANSWERED:
        return VOIP_IN_CALL;
    case FT_CALL_RINGING:
        return VOIP_RINGING;
    default:
        return call->media_packets[FT_PATH_RELAY] + call->media_packets[FT_PATH_DIRECT] ? VOIP_IN_CALL : VOIP_CALL_SETUP;
    }
}

static char *
comment_of(packet_info *pinfo, const ft_packet *packet)
{
    wmem_strbuf_t *text = wmem_strbuf_new(pinfo->pool, val_to_str_const(packet->path, ft_path_vals, ""));

    for (const ft_event *event = ft_event_first(pinfo, packet); event; event = ft_event_next(event))
        wmem_strbuf_append_printf(text, ", %s", ft_event_name(event->id));
    return wmem_strbuf_finalize(text);
}

void
ft_telephony_tell(packet_info *pinfo, const ft_packet *packet)
{
    /* the list shows the call as the whole file tells it */
    const ft_call *call = ft_call_as_of(packet->call, UINT32_MAX);

    if (!call || !ft_call_listed(call) || !have_tap_listener(voip_tap) ||
        !(is_message(packet->kind) || ft_frame_id(pinfo) == packet->call->first_frame))
        return;

    voip_packet_info_t *told = wmem_new0(pinfo->pool, voip_packet_info_t);
    told->protocol_name = (char *)"FaceTime";
    told->call_id = wmem_strdup_printf(pinfo->pool, "FaceTime call %u", call->number);
    told->call_state = state_of(call);
    told->call_active_state = call->state == FT_CALL_ENDED ? VOIP_INACTIVE : VOIP_ACTIVE;
    told->from_identity = (char *)ft_endpoint_str(pinfo->pool, &call->local);
    told->to_identity = (char *)ft_endpoint_str(pinfo->pool, &call->remote);
    told->call_comment = (char *)val_to_str_const(call->generation, ft_generation_vals, "");
    told->frame_label = (char *)val_to_str_const(packet->kind, ft_kind_vals, "FaceTime");
    told->frame_comment = comment_of(pinfo, packet);
    tap_queue_packet(voip_tap, pinfo, told);
}
