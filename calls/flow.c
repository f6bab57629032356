/* calls/flow.c
 * Which 5-tuples are FaceTime's, which ways lead through them, which ends are devices: by whom a
 * proof was met, who was bound, who tested a NAT.
 *
 *    flow (5-tuple, VLAN) -+- leg 0: direct          claimed once, from a frame on
 *                          +- leg of a channel ...   each of one bind, from its frame on
 *    endpoint -> device: in a call, or has only tested its NAT; for some minutes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/flow.h"
#include "calls/limits.h"
#include <epan/conversation.h>

/* 5-tuples beyond FT_MAX_FLOWS, one for each that carries media: real calls have room that a flood
 * hasn't. 10,000 calls of 2023 have four each. */
#define FLOWS_BY_MEDIA 16384

static dissector_handle_t udp_door, tcp_door;
static wmem_map_t *flows;   /* 5-tuple, ends in either order -> ft_flow */
static wmem_map_t *devices; /* ft_device_key -> device */
static wmem_map_t *relays;  /* ft_endpoint -> relay_known */
static unsigned flow_total, media_flow_total, leg_total;

/* The latest flow for each sum of two ports, the first of those that have its 5-tuple: most packets
 * are of one that was just asked for. */
#define LATEST 64
static ft_flow *latest[LATEST];

/* A flow's key is the flow itself: its ends, in whatever order the packet has them, and is_tcp.
 * The sum is the same both ways. */
static unsigned
flow_hash(const void *key)
{
    const ft_flow *flow = (const ft_flow *)key;

    return ft_endpoint_hash(&flow->a) + ft_endpoint_hash(&flow->b);
}

static gboolean
flow_equal(const void *one, const void *other)
{
    const ft_flow *x = (const ft_flow *)one;
    const ft_flow *y = (const ft_flow *)other;

    return x->is_tcp == y->is_tcp &&
           ((ft_endpoint_equal(&x->a, &y->a) && ft_endpoint_equal(&x->b, &y->b)) ||
            (ft_endpoint_equal(&x->a, &y->b) && ft_endpoint_equal(&x->b, &y->a)));
}

static void
reset(void)
{
    flow_total = media_flow_total = leg_total = 0;
    memset(latest, 0, sizeof latest);
}

void
ft_flow_init(dissector_handle_t over_udp, dissector_handle_t over_tcp)
{
    register_init_routine(reset);
    udp_door = over_udp;
    tcp_door = over_tcp;
    ft_network_init();
    flows = ft_new_map(flow_hash, flow_equal);
    devices = ft_new_map(ft_device_key_hash, ft_device_key_equal);
    relays = ft_new_map(ft_endpoint_hash, ft_endpoint_match);
}

static bool
is_source(const packet_info *pinfo, const ft_endpoint *end)
{
    return end->port == pinfo->srcport && ft_address_equal(&end->addr, &pinfo->src);
}

static bool
is_destination(const packet_info *pinfo, const ft_endpoint *end)
{
    return end->port == pinfo->destport && ft_address_equal(&end->addr, &pinfo->dst);
}

ft_heading
ft_flow_heading(const ft_flow *flow, const packet_info *pinfo)
{
    if (is_source(pinfo, &flow->a) && is_destination(pinfo, &flow->b))
        return FT_FORTH;
    return is_source(pinfo, &flow->b) && is_destination(pinfo, &flow->a) ? FT_BACK : FT_ASTRAY;
}

/* The very network that the other direction is in, or one of its kind: a tunnel's both directions
 * are tunnelled as a rule, and what is mirrored in front of it and behind isn't. */
static unsigned
network_likeness(uint32_t network, uint32_t other)
{
    return (network == other) +
           (ft_network_is_symmetric(network) == ft_network_is_symmetric(other));
}

/* Of two flows whose one direction wasn't seen yet, who it is of: whose other direction is likest,
 * or who sent last, as an answer comes after its question. */
static bool
is_likelier(const ft_flow *flow, const ft_flow *than, ft_heading heading, uint32_t network)
{
    const unsigned like = network_likeness(network, flow->network[!heading]),
                   other_like = than ? network_likeness(network, than->network[!heading]) : 0;

    return !than ||
           (like != other_like ? like > other_like : flow->last_datagram > than->last_datagram);
}

/* Of the flows with one 5-tuple, the one in the packet's network. The two directions may have
 * tags of their own (or only one of them a tag), so a direction that hasn't been seen yet takes
 * one that comes. What ICMP quotes bears no number. */
static ft_flow *
in_network(ft_flow *first, const packet_info *pinfo, bool may_adopt)
{
    const uint32_t network = ft_network_of(pinfo);
    ft_flow *open = NULL;

    for (ft_flow *flow = first; flow; flow = flow->elsewhere) {
        const ft_heading heading = ft_flow_heading(flow, pinfo);
        if (heading == FT_ASTRAY || flow->network[heading] == network)
            return flow;
        if (flow->network[heading] == FT_NETWORK_UNKNOWN &&
            is_likelier(flow, open, heading, network))
            open = flow;
    }
    if (open && may_adopt) {
        open->network[ft_flow_heading(open, pinfo)] = network;
        ft_network_pair(open->network[FT_FORTH], open->network[FT_BACK]);
    }
    return open || !ft_network_is_quoted(pinfo) ? open : first;
}

static ft_flow *
lookup(const packet_info *pinfo)
{
    const bool is_tcp = pinfo->ptype == PT_TCP;
    ft_flow **newest = &latest[(pinfo->srcport + pinfo->destport) % LATEST];
    const ft_heading heading =
        *newest && (*newest)->is_tcp == is_tcp ? ft_flow_heading(*newest, pinfo) : FT_ASTRAY;

    if (heading != FT_ASTRAY && (*newest)->network[heading] == ft_network_of(pinfo))
        return *newest;
    if (wmem_map_size(flows) == 0) /* nearly all files are none of ours */
        return NULL;

    ft_flow key; /* of it, no more is read */
    key.a = ft_source(pinfo);
    key.b = ft_destination(pinfo);
    key.is_tcp = is_tcp;
    ft_flow *first = (ft_flow *)wmem_map_lookup(flows, &key);
    if (!first)
        return NULL;
    *newest = first;
    return in_network(first, pinfo, ft_learning(pinfo));
}

/* The ends of the flow in hand have their addresses already: most of what is kept is one of
 * these. */
ft_endpoint
ft_endpoint_keep(const ft_endpoint *endpoint)
{
    const ft_flow *flow = ft_hand.packet ? ft_hand.packet->flow : NULL;
    ft_endpoint kept = { ADDRESS_INIT_NONE, endpoint->port };

    if (flow && ft_address_equal(&flow->a.addr, &endpoint->addr))
        kept.addr = flow->a.addr;
    else if (flow && ft_address_equal(&flow->b.addr, &endpoint->addr))
        kept.addr = flow->b.addr;
    else
        copy_address_wmem(wmem_file_scope(), &kept.addr, &endpoint->addr);
    return kept;
}

/* A flow that was claimed from the next frame on is none yet for the packet that claimed it,
 * nor, on later passes, for those before. */
ft_flow *
ft_flow_find(const packet_info *pinfo)
{
    ft_flow *flow = lookup(pinfo);

    if (!flow || flow->claimed_from <= pinfo->num) /* an id is no less than its number */
        return flow;
    return flow->claimed_from <= ft_frame_id(pinfo) ? flow : NULL;
}

/* From this frame on, UDP (or TCP) asks the front door first for this exact 5-tuple. A frame
 * number above zero outranks what stock STUN, RTP or QUIC set on the same conversation. */
static void
set_conversation_dissector(packet_info *pinfo, uint32_t from)
{
    const bool is_tcp = pinfo->ptype == PT_TCP;
    const conversation_type type = is_tcp ? CONVERSATION_TCP : CONVERSATION_UDP;
    conversation_t *conversation = find_conversation(pinfo->num, &pinfo->src, &pinfo->dst, type,
                                                     pinfo->srcport, pinfo->destport, 0);

    if (!conversation || (conversation->options & (NO_ADDR2 | NO_PORT2)))
        conversation = conversation_new(pinfo->num, &pinfo->src, &pinfo->dst, type, pinfo->srcport,
                                        pinfo->destport, 0);
    conversation_set_dissector_from_frame_number(conversation, from, is_tcp ? tcp_door : udp_door);
}

static ft_flow *
new_flow(packet_info *pinfo, ft_shape shape, ft_generation generation, uint32_t from)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    ft_flow *flow = wmem_new0(wmem_file_scope(), ft_flow);

    flow->a = ft_endpoint_keep(&source);
    flow->b = ft_endpoint_keep(&destination);
    flow->is_tcp = pinfo->ptype == PT_TCP;
    flow->claimed_from = from;
    flow->shape = shape;
    flow->generation = generation;
    flow->number = flow_total + 1;
    flow->direct.flow = flow;
    flow->direct.first_frame = ft_frame_id(pinfo);
    flow->network[FT_FORTH] = ft_network_of(pinfo);
    flow->network[FT_BACK] = FT_NETWORK_UNKNOWN;

    ft_flow *first = (ft_flow *)wmem_map_lookup(flows, flow);
    flow_total++;
    if (!first) {
        wmem_map_insert(flows, flow, flow);
        return flow;
    }
    while (first->elsewhere)
        first = first->elsewhere;
    first->elsewhere = flow;
    return flow;
}

/* A second claim finds the first one's flow. Where another dissector had the packet, the claim
 * holds from the next frame: Wireshark gave this one away already, and would give it to the
 * front door on the second pass. */
ft_flow *
ft_flow_claim(packet_info *pinfo, ft_shape shape, ft_generation generation, bool from_here)
{
    ft_flow *flow = lookup(pinfo);

    if (flow || !ft_learning(pinfo)) /* a later packet's claim isn't this one's */
        return flow && flow->direct.first_frame <= ft_frame_id(pinfo) ? flow : NULL;
    const unsigned more = MIN(media_flow_total, FLOWS_BY_MEDIA);
    if (!ft_limit_allows(FT_LIMIT_FLOWS, flow_total - more)) /* the front door tells */
        return NULL;

    set_conversation_dissector(pinfo, from_here ? pinfo->num : pinfo->num + 1);
    return new_flow(pinfo, shape, generation, ft_frame_id(pinfo) + !from_here);
}

void
ft_flow_carries_media(ft_flow *flow)
{
    media_flow_total += !flow->carries_media;
    flow->carries_media = true;
}

bool
ft_flow_heard(const ft_flow *flow, const ft_endpoint *end)
{
    return flow->network[ft_endpoint_equal(end, &flow->b) ? FT_BACK : FT_FORTH] !=
           FT_NETWORK_UNKNOWN;
}

bool
ft_flow_is_one_way(const ft_flow *flow)
{
    return !ft_flow_heard(flow, &flow->a) || !ft_flow_heard(flow, &flow->b);
}

/* An end that has not sent anything is in the network of the other one. Where each direction has
 * numbers of its own, as those of GTP tunnels and MPLS paths have, another way may have shown
 * which. */
uint32_t
ft_flow_network(const ft_flow *flow, const ft_endpoint *end)
{
    const ft_heading from = ft_endpoint_equal(end, &flow->b) ? FT_BACK : FT_FORTH;
    const uint32_t sent = flow->network[from], other = flow->network[!from];

    if (sent != FT_NETWORK_UNKNOWN)
        return sent;
    return ft_network_is_symmetric(other) ? other : ft_network_partner(other);
}

static const ft_endpoint *
other_end(const ft_flow *flow, const ft_endpoint *end)
{
    return end == &flow->a ? &flow->b : &flow->a;
}

/* Who is the device was told without the relay until now, so what was settled on is judged anew. */
void
ft_flow_set_server(const packet_info *pinfo, ft_flow *flow, const ft_endpoint *server)
{
    const ft_endpoint *end = ft_endpoint_equal(server, &flow->a) ? &flow->a : &flow->b;

    if (flow->server == end || flow->server_moved)
        return;
    flow->server_moved = flow->server != NULL;
    flow->server_from = ft_frame_id(pinfo);
    flow->server = end;
    flow->client_learnt = false;
    memset(flow->settled, 0, sizeof flow->settled);
}

const ft_endpoint *
ft_flow_client(const ft_flow *flow)
{
    if (flow->server)
        return other_end(flow, flow->server);
    if (!flow->twin || !flow->twin->server) /* a twin is never learnt from */
        return NULL;
    if (ft_endpoint_equal(flow->twin->server, &flow->a))
        return &flow->b;
    return ft_endpoint_equal(flow->twin->server, &flow->b) ? &flow->a : NULL;
}

/* As of that frame, so that later passes say what the first one said. */
static const ft_endpoint *
server_at(const ft_flow *flow, uint32_t frame)
{
    if (!flow->server || frame >= flow->server_from)
        return flow->server;
    return flow->server_moved ? other_end(flow, flow->server) : NULL;
}

bool
ft_flow_is_uplink(const ft_flow *flow, const packet_info *pinfo)
{
    const ft_endpoint *server = server_at(flow, ft_frame_id(pinfo));

    return server && is_destination(pinfo, server);
}

/* By the addresses that the network layer had (net_src, net_dst): the preference that shows the
 * far end in place of the relay has changed the other ones by now. */
void
ft_flow_ends(const packet_info *pinfo, const ft_packet *packet, ft_endpoint *from, ft_endpoint *to)
{
    const ft_endpoint *peer =
        packet->peer.addr.type != AT_NONE || !packet->leg ? &packet->peer : &packet->leg->peer;
    const ft_endpoint *server = packet->flow ? server_at(packet->flow, packet->frame) : NULL;

    *from = ft_source(pinfo);
    *to = ft_destination(pinfo);
    if (packet->path != FT_PATH_RELAY || peer->addr.type == AT_NONE || !server)
        return;
    if (addresses_equal(&pinfo->net_dst, &server->addr))
        *to = *peer;
    else if (addresses_equal(&pinfo->net_src, &server->addr))
        *from = *peer;
}

/* Legs of all channels stand in one array in frame order; there are few, and the newest is
 * wanted most. A later allocation on the same 5-tuple may bind the same number anew, so
 * the last one before this frame is meant. */
ft_leg *
ft_leg_find(packet_info *pinfo, ft_flow *flow, uint16_t channel)
{
    for (unsigned i = flow->legs ? wmem_array_get_count(flow->legs) : 0; i-- > 0;) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->channel == channel && leg->first_frame <= ft_frame_id(pinfo))
            return leg;
    }
    return ft_learning(pinfo) ? ft_leg_new(pinfo, flow, channel, NULL) : NULL;
}

static ft_leg *
add_leg(packet_info *pinfo, ft_flow *flow, uint16_t channel, const ft_endpoint *peer)
{
    if (!flow->legs)
        flow->legs = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_leg *), FEW);
    if (!ft_has_room(pinfo, FT_LIMIT_LEGS, leg_total) ||
        !ft_has_room(pinfo, FT_LIMIT_LEGS_PER_FLOW, wmem_array_get_count(flow->legs)))
        return NULL;
    leg_total++;

    ft_leg *leg = wmem_new0(wmem_file_scope(), ft_leg);
    leg->flow = flow;
    leg->channel = channel;
    leg->first_frame = ft_frame_id(pinfo);
    if (peer)
        leg->peer = ft_endpoint_keep(peer);
    wmem_array_append_one(flow->legs, leg);
    return leg;
}

ft_leg *
ft_leg_new(packet_info *pinfo, ft_flow *flow, uint16_t channel, const ft_endpoint *peer)
{
    ft_leg *leg = add_leg(pinfo, flow, channel, peer);

    if (leg && peer) {
        leg->setup_frame = ft_frame_id(pinfo);
        /* A bind that comes inside of that very channel belongs to the leg before. */
        leg->first_frame = leg->setup_frame + 1;
    }
    return leg;
}

/* Send and Data indications name their peer in each message and need no bind: channel 0 within
 * the relay's flow, told apart by the peer. */
ft_leg *
ft_leg_of_peer(packet_info *pinfo, ft_flow *flow, const ft_endpoint *peer)
{
    for (unsigned i = flow->legs ? wmem_array_get_count(flow->legs) : 0; i-- > 0;) {
        ft_leg *leg = *(ft_leg **)wmem_array_index(flow->legs, i);
        if (leg->channel == 0 && leg->first_frame <= ft_frame_id(pinfo) &&
            ft_endpoint_equal(&leg->peer, peer))
            return leg;
    }
    return ft_learning(pinfo) ? add_leg(pinfo, flow, 0, peer) : NULL;
}

typedef struct {
    uint32_t tested_frame, call_frame; /* the first ones that taught it, 0 before */
    uint32_t legacy_frame;             /* of a call_frame's packets the first legacy one */
    nstime_t tested_time, call_time;   /* the last ones */
} device;

static device *
device_at(packet_info *pinfo, const ft_endpoint *endpoint)
{
    ft_device_key key = { *endpoint, ft_network_shared(pinfo) };
    device *known = (device *)wmem_map_lookup(devices, &key);

    if (known)
        return known;
    if (!ft_has_room(pinfo, FT_LIMIT_DEVICES, wmem_map_size(devices)))
        return NULL;
    known = wmem_new0(wmem_file_scope(), device);
    key.end = ft_endpoint_keep(endpoint);
    wmem_map_insert(devices, wmem_memdup(wmem_file_scope(), &key, sizeof key), known);
    return known;
}

/* Both times are kept: who only tested its NAT vouches for less than who is in a call, and
 * either ends some minutes later: an hour after a NAT test its public port may be a browser's. */
static void
learn_device(packet_info *pinfo, const ft_endpoint *endpoint, bool in_call)
{
    if (!ft_learning(pinfo) || endpoint->addr.type == AT_NONE)
        return;

    device *known = device_at(pinfo, endpoint);
    if (!known)
        return;
    uint32_t *frame = in_call ? &known->call_frame : &known->tested_frame;
    if (*frame == 0)
        *frame = ft_frame_id(pinfo);
    if (in_call && known->legacy_frame == 0 && ft_packet_get(pinfo)->generation != FT_MODERN)
        known->legacy_frame = ft_frame_id(pinfo);
    *(in_call ? &known->call_time : &known->tested_time) = ft_now(pinfo);
}

void
ft_device_learn(packet_info *pinfo, const ft_endpoint *endpoint)
{
    learn_device(pinfo, endpoint, true);
}

void
ft_device_tested_nat(packet_info *pinfo, const ft_endpoint *endpoint)
{
    learn_device(pinfo, endpoint, false);
}

/* Known before this frame: what the frame itself teaches would make the passes differ. */
static bool
still_vouches(const packet_info *pinfo, uint32_t frame, const nstime_t *last, int seconds)
{
    if (frame == 0 || frame >= ft_frame_id(pinfo))
        return false;
    return ft_passed_since(last, pinfo).secs < seconds;
}

typedef struct {
    uint32_t frame;
    nstime_t time;
} relay_known;

void
ft_relay_learn(packet_info *pinfo, const ft_endpoint *relay)
{
    if (!ft_learning(pinfo))
        return;

    relay_known *known = (relay_known *)wmem_map_lookup(relays, relay);
    if (!known) {
        if (!ft_has_room(pinfo, FT_LIMIT_DEVICES, wmem_map_size(relays)))
            return;
        known = wmem_new0(wmem_file_scope(), relay_known);
        known->frame = ft_frame_id(pinfo);
        wmem_map_insert(relays, ft_endpoint_key(relay), known);
    }
    known->time = ft_now(pinfo);
}

bool
ft_relay_is_known(const packet_info *pinfo, const ft_endpoint *relay)
{
    const relay_known *known = wmem_map_size(relays) == 0
                                   ? NULL
                                   : (const relay_known *)wmem_map_lookup(relays, relay);

    return known && still_vouches(pinfo, known->frame, &known->time, FT_RELAY_VOUCHES_S);
}

/* Once in a while only: this runs for each packet. A clock that steps either way counts. */
void
ft_flow_is_alive(packet_info *pinfo, ft_flow *flow, const nstime_t *now)
{
    const ft_endpoint *ends[] = { &flow->a, &flow->b };

    if ((uint32_t)now->secs - flow->alive_time < FT_DEVICE_VOUCHES_S / 10)
        return;
    flow->alive_time = (uint32_t)now->secs;
    for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++) {
        const ft_device_key key = { *ends[i], ft_network_shared(pinfo) };
        device *known = (device *)wmem_map_lookup(devices, &key);
        relay_known *relay = (relay_known *)wmem_map_lookup(relays, ends[i]);
        if (known && known->call_frame)
            known->call_time = *now;
        if (relay)
            relay->time = *now;
    }
}

static ft_device_state
device_state(const packet_info *pinfo, const ft_endpoint *endpoint)
{
    const ft_device_key key = { *endpoint, ft_network_shared(pinfo) };
    const device *known = (const device *)wmem_map_lookup(devices, &key);

    if (!known)
        return FT_DEVICE_UNKNOWN;
    if (still_vouches(pinfo, known->legacy_frame, &known->call_time, FT_DEVICE_VOUCHES_S))
        return FT_DEVICE_IN_LEGACY_CALL;
    if (still_vouches(pinfo, known->call_frame, &known->call_time, FT_DEVICE_VOUCHES_S))
        return FT_DEVICE_IN_CALL;
    return still_vouches(pinfo, known->tested_frame, &known->tested_time, FT_DEVICE_VOUCHES_S)
               ? FT_DEVICE_TESTED_NAT
               : FT_DEVICE_UNKNOWN;
}

/* Either end may be the device; a file seldom has one that FaceTime was heard of, so an empty
 * table is asked first. */
ft_device_state
ft_device_of(const packet_info *pinfo)
{
    if (wmem_map_size(devices) == 0)
        return FT_DEVICE_UNKNOWN;

    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const ft_device_state from = device_state(pinfo, &source),
                          to = device_state(pinfo, &destination);
    return MAX(from, to);
}

const ft_endpoint *
ft_peer_of(const ft_packet *packet)
{
    if (packet->path != FT_PATH_RELAY)
        return NULL;
    return packet->peer.addr.type != AT_NONE || !packet->leg ? &packet->peer : &packet->leg->peer;
}
