/* calls/stun.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/stun.h"
#include "calls/call.h"
#include "calls/evidence.h"
#include "calls/limits.h"
#include "calls/relay.h"

#define ALLOCATION_MISMATCH 437
#define HOLE_PUNCH_WINDOW_S 30  /* checks unanswered for so long still count as "did not get through" */

/* Checks of one direct flow that nobody has answered yet. */
typedef struct {
    unsigned unanswered;        /* requests since the last answer, repeats included */
    uint32_t first_frame;
    nstime_t first_time;
    bool     open;              /* a check got through */
} check_state;

static wmem_map_t *checks_of; /* ft_leg -> check_state */

void
ft_stun_init(void)
{
    checks_of = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_direct_hash, g_direct_equal);
}

/* ---- TURN ---- */

static void
learn_allocate_request(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, bool is_retransmission)
{
    const ft_endpoint source = ft_source(pinfo), server = ft_destination(pinfo);

    ft_flow_set_server(packet->flow, &server);
    ft_device_learn(pinfo, &source);
    ft_call_open(pinfo, !is_retransmission);
    if (stun->has_reservation_token && stun->has_xor_relayed)
        ft_event_add(pinfo, FT_EVENT_RESERVED_ALLOCATION, 0,
                     "Allocates the relay address %s that signalling reserved%s",
                     ft_endpoint_str(pinfo->pool, &stun->relayed),
                     stun->has_lifetime ? wmem_strdup_printf(pinfo->pool, ", for %u s", stun->lifetime) : "");
}

/* A channel that is bound again to its peer stays what it is, unless the relay refused it or was to release it. */
static bool
is_kept(const ft_leg *leg, const ft_endpoint *peer)
{
    return leg->setup_frame && !leg->released_frame && (leg->bound_frame || !leg->refused_frame) &&
           ft_endpoint_equal(&leg->peer, peer);
}

static ft_leg *
newest_leg(const ft_flow *flow, uint16_t channel)
{
    for (unsigned i = flow->legs ? wmem_array_get_count(flow->legs) : 0; i-- > 0;) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->channel == channel)
            return leg;
    }
    return NULL;
}

/* channel 0: all of the allocation's. */
static void
release_legs(packet_info *pinfo, ft_packet *packet, uint16_t channel, const char *what)
{
    ft_flow *flow = packet->flow;

    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (!leg->released_frame && (channel == 0 || leg->channel == channel))
            leg->released_frame = pinfo->num;
    }
    ft_event_add(pinfo, FT_EVENT_RELAY_RELEASED, 0, "%s asks the relay to release the %s",
                 ft_endpoint_str(pinfo->pool, ft_flow_client(flow)), what);
}

/* The leg that the bind is for: a new one, where the channel's is for somebody else or no more. */
static void
bind_leg(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, ft_exchange *exchange)
{
    ft_leg *leg = newest_leg(packet->flow, stun->channel);

    if (!stun->channel || stun->peer.addr.type == AT_NONE)
        return;
    if (!leg || !is_kept(leg, &stun->peer))
        leg = ft_leg_new(pinfo, packet->flow, stun->channel, &stun->peer);
    packet->limit_hit |= leg == NULL;
    if (exchange)
        exchange->leg = leg;
}

static void
learn_channel_bind_request(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, const ft_exchange *exchange,
                           bool is_retransmission)
{
    const ft_endpoint source = ft_source(pinfo), server = ft_destination(pinfo);

    ft_flow_set_server(packet->flow, &server);
    ft_device_learn(pinfo, &source);
    ft_call *call = ft_call_open(pinfo, false);
    if (stun->has_lifetime && stun->lifetime == 0) {
        if (stun->channel)
            release_legs(pinfo, packet, stun->channel,
                         wmem_strdup_printf(pinfo->pool, "channel 0x%04x", stun->channel));
        return;
    }
    if (is_retransmission)
        ft_event_add(pinfo, FT_EVENT_CHANNEL_BIND_RETRANSMITTED, exchange ? exchange->request_frame : 0,
                     "Bind of channel 0x%04x to %s sent again", stun->channel,
                     ft_endpoint_str(pinfo->pool, &stun->peer));
    bind_leg(pinfo, packet, stun, (ft_exchange *)exchange);
    if (!call || stun->peer.addr.type == AT_NONE)
        return;
    ft_call_expect(pinfo, call, &stun->peer);
    if (call->remote.addr.type == AT_NONE)
        call->remote = ft_endpoint_keep(&stun->peer);
}

static void
learn_channel_bind_answer(const packet_info *pinfo, const ft_stun *stun, ft_leg *leg)
{
    if (stun->message_class == STUN_SUCCESS && !leg->bound_frame)
        leg->bound_frame = pinfo->num;
    else if (stun->message_class == STUN_ERROR && !leg->refused_frame)
        leg->refused_frame = pinfo->num;
}

static void
learn_refresh_request(packet_info *pinfo, ft_packet *packet, const ft_stun *stun)
{
    const ft_endpoint server = ft_destination(pinfo);

    ft_flow_set_server(packet->flow, &server);
    ft_call_open(pinfo, false);
    if (stun->has_lifetime && stun->lifetime == 0)
        release_legs(pinfo, packet, 0, "allocation (Refresh with lifetime 0)");
}

static void
learn_turn_answer(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, const ft_exchange *exchange)
{
    const ft_endpoint server = ft_source(pinfo);

    ft_flow_set_server(packet->flow, &server);
    ft_call_open(pinfo, false);
    if (stun->mapped.addr.type != AT_NONE)
        ft_device_learn(pinfo, &stun->mapped);
    if (stun->method == STUN_CHANNEL_BIND && exchange && exchange->leg)
        learn_channel_bind_answer(pinfo, stun, exchange->leg);
    if (stun->message_class == STUN_ERROR && stun->error_code == ALLOCATION_MISMATCH)
        ft_event_add(pinfo, FT_EVENT_ALLOCATION_MISMATCH, exchange ? exchange->request_frame : 0,
                     "The relay %s has no such allocation (437)", ft_endpoint_str(pinfo->pool, &server));
}

static void
learn_turn(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, const ft_exchange *exchange,
           bool is_retransmission)
{
    if (stun->message_class != STUN_REQUEST) {
        if (stun->message_class != STUN_INDICATION)
            learn_turn_answer(pinfo, packet, stun, exchange);
        return;
    }
    switch (stun->method) {
    case STUN_ALLOCATE:
        learn_allocate_request(pinfo, packet, stun, is_retransmission);
        break;
    case STUN_CHANNEL_BIND:
        learn_channel_bind_request(pinfo, packet, stun, exchange, is_retransmission);
        break;
    case STUN_REFRESH:
        learn_refresh_request(pinfo, packet, stun);
        break;
    }
}

/* Neither end of this flow asked for an allocation in the capture: the relay is the end with a server's port, or the
 * one without a device's. */
static void
guess_server(packet_info *pinfo, ft_flow *flow)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    if (flow->server)
        return;
    if (ft_is_server_port(source.port) != ft_is_server_port(destination.port))
        ft_flow_set_server(flow, ft_is_server_port(source.port) ? &source : &destination);
    else
        ft_flow_set_server(flow, ft_is_device_port(source.port) ? &destination : &source);
}

void
ft_channel_used(packet_info *pinfo, const ft_leg *leg)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !ft_learning(pinfo))
        return;
    guess_server(pinfo, packet->flow);
    if (!leg)
        return;
    if (!packet->flow->client_learnt) {
        ft_device_learn(pinfo, ft_flow_client(packet->flow));
        packet->flow->client_learnt = true;
    }
    ft_call_open(pinfo, false);
}

void
ft_channel_judge(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_leg *leg = packet ? packet->leg : NULL;

    if (!leg || !leg->channel || !ft_learning(pinfo))
        return;
    if (leg->released_frame)
        ft_event_add(pinfo, FT_EVENT_RELEASED_CHANNEL_USED, leg->released_frame,
                     "Channel 0x%04x is used though frame %u released it", leg->channel, leg->released_frame);
    else if (leg->setup_frame && !leg->bound_frame && !leg->refused_frame)
        ft_event_add(pinfo, FT_EVENT_EARLY_CHANNEL_DATA, leg->setup_frame,
                     "Channel 0x%04x is used before the answer to its bind in frame %u", leg->channel, leg->setup_frame);
}

/* ---- connectivity checks ---- */

static check_state *
checks(const ft_leg *leg)
{
    check_state *state = (check_state *)wmem_map_lookup(checks_of, leg);

    if (!state) {
        state = wmem_new0(wmem_file_scope(), check_state);
        wmem_map_insert(checks_of, leg, state);
    }
    return state;
}

static void
tell_username(packet_info *pinfo, ft_call *call, const ft_stun *stun)
{
    if (!stun->has_binary_username || !call || call->username_told)
        return;
    call->username_told = true;
    ft_event_add(pinfo, FT_EVENT_LEGACY_USERNAME, 0,
                 "USERNAME is two binary candidate ids (%02X%02X%02X%02X for %02X%02X%02X%02X), as before RFC 5245",
                 stun->username[10], stun->username[11], stun->username[12], stun->username[13],
                 stun->username[0], stun->username[1], stun->username[2], stun->username[3]);
}

static const char *
way_text(wmem_allocator_t *scope, const ft_packet *packet, packet_info *pinfo)
{
    const ft_endpoint destination = ft_destination(pinfo);

    if (packet->path != FT_PATH_RELAY)
        return wmem_strdup_printf(scope, "direct to %s", ft_endpoint_str(scope, &destination));
    return wmem_strdup_printf(scope, "relayed to %s",
                              packet->leg ? ft_endpoint_str(scope, &packet->leg->peer) : "unknown");
}

static void
learn_check(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, const ft_exchange *exchange,
            bool is_retransmission)
{
    const ft_endpoint source = ft_source(pinfo);
    ft_call *call = ft_call_open(pinfo, !is_retransmission);

    if (packet->path == FT_PATH_DIRECT)
        ft_device_learn(pinfo, &source);
    tell_username(pinfo, call, stun);
    if (stun->use_candidate) {
        ft_event *event = ft_event_add(pinfo, FT_EVENT_NOMINATED, 0, "Nominates the %s pair%s",
                                       packet->path == FT_PATH_RELAY ? "relayed" : "direct",
                                       is_retransmission ? " again" : "");
        if (exchange && !exchange->response_frame)
            ((ft_exchange *)exchange)->event = event;
    } else if (is_retransmission) {
        ft_event_add(pinfo, FT_EVENT_BINDING_RETRANSMITTED, exchange ? exchange->request_frame : 0,
                     "Connectivity check sent again, %s", way_text(pinfo->pool, packet, pinfo));
    }
    if (packet->path == FT_PATH_DIRECT && packet->leg) {
        check_state *state = checks(packet->leg);
        if (state->unanswered++ == 0) {
            state->first_frame = pinfo->num;
            state->first_time = pinfo->abs_ts;
        }
    }
}

/* The transmission that got through: its timestamp tells it from its repeats. */
static uint32_t
answered_frame(const ft_stun *stun, const ft_exchange *exchange)
{
    const ft_sent *sent = stun->has_timestamp ? ft_exchange_sent(exchange, stun->timestamp) : NULL;

    if (sent)
        return sent->frame;
    return exchange ? exchange->request_frame : 0;
}

/* More than the check that is answered was waiting: earlier ones had been lost on the way. */
static void
judge_hole(packet_info *pinfo, check_state *state, uint32_t answered)
{
    nstime_t waited;

    nstime_delta(&waited, &pinfo->abs_ts, &state->first_time);
    if (!state->open && state->unanswered > 1 && answered && answered != state->first_frame &&
        nstime_to_sec(&waited) <= HOLE_PUNCH_WINDOW_S)
        ft_event_add(pinfo, FT_EVENT_HOLE_PUNCHED, answered,
                     "The check in frame %u gets through after %u that did not since frame %u", answered,
                     state->unanswered - 1, state->first_frame);
    state->open = true;
    state->unanswered = 0;
}

static void
learn_check_answer(packet_info *pinfo, ft_packet *packet, const ft_stun *stun, const ft_exchange *exchange)
{
    const ft_endpoint source = ft_source(pinfo);

    ft_call *call = ft_call_open(pinfo, false);
    if (exchange && exchange->event && exchange->response_frame == pinfo->num)
        exchange->event->other_frame = pinfo->num;
    if (packet->path != FT_PATH_DIRECT || !packet->leg)
        return;
    ft_device_learn(pinfo, &source);
    /* An answer that goes elsewhere may be the device's own, from another of its addresses. */
    if (call && call->remote.addr.type == AT_NONE && addresses_equal(&pinfo->dst, &call->local.addr) &&
        !ft_endpoint_equal(&source, &call->local))
        call->remote = ft_endpoint_keep(&source);
    judge_hole(pinfo, checks(packet->leg), answered_frame(stun, exchange));
}

void
ft_stun_learn(packet_info *pinfo, const ft_stun *stun, const ft_exchange *exchange, bool is_retransmission)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !ft_learning(pinfo))
        return;
    if (stun->method == STUN_BINDING && packet->path == FT_PATH_DIRECT)
        ft_relay_tie_address(pinfo);
    if (stun->method == STUN_RELAY_ERROR) {
        ft_call_open(pinfo, false);
        ft_event_add(pinfo, FT_EVENT_PARTICIPANT_GONE, 0, "The relay reports error %u", stun->error_code);
    } else if (stun->method != STUN_BINDING) {
        learn_turn(pinfo, packet, stun, exchange, is_retransmission);
    } else if (stun->message_class == STUN_REQUEST) {
        learn_check(pinfo, packet, stun, exchange, is_retransmission);
    } else if (stun->message_class == STUN_SUCCESS) {
        learn_check_answer(pinfo, packet, stun, exchange);
    }
}
