/* calls/telephony.c
 * A call as Telephony > VoIP Calls lists it, from its packets:
 *
 *    ringing          RINGING                        ended, answered before (or modern)   COMPLETED
 *    answered, media  IN CALL                        ended otherwise                      REJECTED
 *    before that      CALL SETUP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/telephony.h"
#include "calls/call.h"
#include "calls/label.h"
#include "calls/media.h"

#include <epan/tap-voip.h>
#include <epan/tap.h>

static int voip_tap = -1;

void
ft_telephony_init(void)
{
    voip_tap = register_tap("voip");
}

/* What is no call, or only ICE so far, isn't told: the list is of calls. QUIC, the modem's
 * reports and the NAT tests of a call would drown its messages. */
static bool
is_message(ft_kind kind)
{
    return kind == FT_KIND_STUN || kind == FT_KIND_TURN || kind == FT_KIND_LINK ||
           kind == FT_KIND_CONTROL;
}

/* Of a modern call nobody sees whether it was answered (its signalling is encrypted, on Apple's
 * push channel), so its end is never called a refusal. One that talked both ways was answered,
 * whatever the capture cut. */
static voip_call_state
voip_state(const ft_call *call)
{
    switch (call->state) {
    case FT_CALL_ENDED:
        return call->was_answered || call->generation == FT_MODERN || ft_call_talks_both_ways(call)
                   ? VOIP_COMPLETED
                   : VOIP_REJECTED;
    case FT_CALL_ANSWERED:
        return VOIP_IN_CALL;
    case FT_CALL_RINGING:
        return VOIP_RINGING;
    default:
        return call->media_packets[FT_PATH_RELAY] + call->media_packets[FT_PATH_DIRECT]
                   ? VOIP_IN_CALL
                   : VOIP_CALL_SETUP;
    }
}

static char *
step_comment(packet_info *pinfo, const ft_packet *packet)
{
    wmem_strbuf_t *text =
        wmem_strbuf_new(pinfo->pool, val_to_str_const(packet->path, ft_path_vals, ""));

    for (const ft_event *event = ft_event_first(pinfo, packet); event; event = ft_event_next(event))
        wmem_strbuf_append_printf(
            text, "%s%s", event == ft_event_first(pinfo, packet) ? ": " : "; ", event->text);
    return wmem_strbuf_finalize(text);
}

/* ---- the call in a line ---- */

static const char *
call_paths(const ft_call *call)
{
    const bool relay = call->media_packets[FT_PATH_RELAY],
               direct = call->media_packets[FT_PATH_DIRECT];

    if (relay && direct)
        return call->media_first[FT_PATH_RELAY] < call->media_first[FT_PATH_DIRECT]
                   ? "relay, then direct"
                   : "direct, then relay";
    return relay ? "relay" : direct ? "direct" : "no media";
}

static void
add_codec_name(wmem_allocator_t *scope, GPtrArray *names, const ft_call *call,
               const ft_stream *stream, uint8_t payload_type)
{
    const ft_codec *codec =
        ft_call_codec(call, call->generation, payload_type, stream->last_frame, NULL);
    const char *name = codec ? ft_codec_str(scope, codec) : NULL;

    if (name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
        g_ptr_array_add(names, (void *)name);
}

/* All that were heard, in the order of their numbers: redundancy and comfort noise too. */
static GPtrArray *
codecs_of(wmem_allocator_t *scope, const ft_call *call)
{
    GPtrArray *names = g_ptr_array_new();

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        for (uint8_t payload_type = 0; payload_type < 128; payload_type++) {
            if (stream->payload_types[payload_type / 64] >> payload_type % 64 & 1)
                add_codec_name(scope, names, call, stream, payload_type);
        }
    }
    return names;
}

/* "; AAC-ELD, Opus and H264" */
static void
add_codecs(wmem_allocator_t *scope, wmem_strbuf_t *text, const ft_call *call)
{
    GPtrArray *names = codecs_of(scope, call);

    for (unsigned i = 0; i < names->len; i++)
        wmem_strbuf_append_printf(text, "%s%s", i == 0 ? "; " : i + 1 < names->len ? ", " : " and ",
                                  (const char *)names->pdata[i]);
    g_ptr_array_free(names, TRUE);
}

/* A reason is the far end's own words: only their first, "BYE" or "CANCEL", is told. */
static void
add_end(wmem_strbuf_t *text, const ft_call *call)
{
    if (call->state != FT_CALL_ENDED || !call->end_reason)
        wmem_strbuf_append(text, "; no end in this file");
    else if (call->generation == FT_MODERN)
        wmem_strbuf_append_printf(text, "; ended: %s", call->end_reason);
    else
        wmem_strbuf_append_printf(text, "; ended by %.*s", (int)strcspn(call->end_reason, ",;"),
                                  call->end_reason);
}

/* "relay, then direct; AAC-ELD and H264; ended by BYE" */
static char *
call_text(packet_info *pinfo, const ft_call *call)
{
    wmem_strbuf_t *text = wmem_strbuf_new(pinfo->pool, call_paths(call));

    add_codecs(pinfo->pool, text, call);
    add_end(text, call);
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
    told->call_state = voip_state(call);
    told->call_active_state = call->state == FT_CALL_ENDED ? VOIP_INACTIVE : VOIP_ACTIVE;
    told->from_identity = (char *)ft_endpoint_str(pinfo->pool, &call->local);
    told->to_identity = (char *)ft_endpoint_str(pinfo->pool, &call->remote);
    told->call_comment = call_text(pinfo, call);
    told->frame_label = (char *)ft_label_of_step(pinfo, packet);
    told->frame_comment = step_comment(pinfo, packet);
    tap_queue_packet(voip_tap, pinfo, told);
}
