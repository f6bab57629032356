/* calls/reveal.c
 * What else a call shows: steps of its set-up with their moments, candidate pairs with their
 * round trips, addresses and where each stood first, SDP bodies. Kept by call, for tables.
 *
 *    step       frame and time when it was reached first     Allocate, bind, check, INVITE, media
 *    pair       local, remote, checks sent and answered, nominated, least round trip, media
 *    address    what it is, who told whom, frame             mapped, relayed, a relay's peer, SDP
 *    SDP        role, text                                   inflated, cut at 16 KiB
 *
 * Nothing here is a judgement: what an examiner must be able to point at has its frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/reveal.h"
#include "calls/grow.h"
#include "calls/frame.h"
#include "calls/limits.h"
#include "calls/mark.h"
#include "calls/text.h"

#define MAX_SDP_TEXT 16384 /* bytes of a body that are kept */
#define OLDER_PAIRS  8     /* of a leg that are looked through for a call's */

#define SETUP_NAME(id, name, text) name,
const char *const ft_setup_names[FT_SETUP_COUNT] = { FT_SETUP_STEPS(SETUP_NAME) };

static wmem_map_t *pairs_of_legs;       /* ft_leg -> ft_pair, the newest call's */
static unsigned sdp_total;              /* bytes */

typedef struct {
    const ft_call *call;
    const char    *what;                /* a constant: told apart by where it stands */
    ft_endpoint    endpoint;
} address_key;

static wmem_map_t *addresses;           /* set of address_key */

static unsigned
address_key_hash(const void *key)
{
    const address_key *k = (const address_key *)key;

    return ft_endpoint_hash(&k->endpoint) ^ g_direct_hash(k->call) ^ g_direct_hash(k->what);
}

static gboolean
address_key_equal(const void *a, const void *b)
{
    const address_key *x = (const address_key *)a, *y = (const address_key *)b;

    return x->call == y->call && x->what == y->what &&
           ft_endpoint_equal(&x->endpoint, &y->endpoint);
}

static void
reset(void)
{
    sdp_total = 0;
}

void
ft_reveal_init(void)
{
    pairs_of_legs = ft_new_map(g_direct_hash, g_direct_equal);
    addresses = ft_new_map(address_key_hash, address_key_equal);
    register_init_routine(reset);
}

/* There are no more of them than of calls. Kept by the call that the packet had when it came: a
 * merge moves nothing here, the parts are put together when they are drawn (ft_reveals_of). */
static ft_reveals *
reveals(ft_call *call)
{
    if (!call->reveals)
        call->reveals = wmem_new0(wmem_file_scope(), ft_reveals);
    return call->reveals;
}

/* The record of the packet in hand where it may be learnt from, else NULL. A datagram that is
 * seen twice would count its check twice, and reach a step again. */
static ft_packet *
learnable(packet_info *pinfo)
{
    ft_packet *packet = ft_learning(pinfo) ? ft_packet_get(pinfo) : NULL;

    return packet && !packet->seen_before ? packet : NULL;
}

/* ---- set-up ---- */

void
ft_setup_reached(packet_info *pinfo, ft_setup_step step)
{
    ft_packet *packet = learnable(pinfo);

    if (packet)
        packet->setup |= (uint16_t)(1u << step);
}

/* Only an INVITE's: an answer to a MESSAGE is no answer to the call. */
void
ft_setup_sip(packet_info *pinfo, const char *method, unsigned status)
{
    if (strcmp(method, "INVITE") != 0)
        return;
    if (status == 0)
        ft_setup_reached(pinfo, FT_SETUP_INVITE);
    else if (status == 180)
        ft_setup_reached(pinfo, FT_SETUP_RINGING);
    else if (status >= 200 && status < 300)
        ft_setup_reached(pinfo, FT_SETUP_ANSWERED);
}

/* The first time stands: a re-INVITE rings nobody. */
static void
reach(packet_info *pinfo, ft_moment *moment)
{
    if (moment->frame)
        return;
    const int64_t now = ft_microseconds(pinfo);
    const nstime_t steady = ft_steady(pinfo);
    const int64_t ahead = (now - ft_in_microseconds(&steady)) / 1000;
    *moment = (ft_moment){ ft_frame_id(pinfo), (int32_t)CLAMP(ahead, INT32_MIN, INT32_MAX), now };
}

/* ---- pairs ---- */

/* The ends as the device sees them. On the relay's flow the client tells; on the direct path the
 * call's own end, where that is known. */
static bool
pair_is_outgoing(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const ft_endpoint *client = packet->flow->server ? ft_flow_client(packet->flow) : NULL;

    if (client)
        return ft_endpoint_equal(client, &source);
    return !(packet->call && ft_call_is_local(packet->call, &destination.addr));
}

/* No more of them than of legs, and of the calls that try one after another. */
static ft_pair *
new_pair(packet_info *pinfo, const ft_packet *packet)
{
    ft_reveals *known = reveals(packet->call);
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const bool outgoing = pair_is_outgoing(pinfo, packet);
    const ft_endpoint *near_end = outgoing ? &source : &destination,
                      *far_end = outgoing ? &destination : &source;

    if (!known->pairs)
        known->pairs = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_pair *), FEW);
    ft_pair *pair = wmem_new0(wmem_file_scope(), ft_pair);
    pair->leg = packet->leg;
    pair->call = packet->call;
    pair->older = (ft_pair *)wmem_map_lookup(pairs_of_legs, packet->leg);
    pair->relayed = packet->path == FT_PATH_RELAY;
    pair->local = ft_endpoint_keep(near_end);
    pair->remote = pair->relayed ? packet->leg->peer : ft_endpoint_keep(far_end);
    pair->first_frame = packet->frame;
    wmem_array_append_one(known->pairs, pair);
    wmem_map_insert(pairs_of_legs, packet->leg, pair);
    return pair;
}

/* Of the packet's call; a packet of none counts for the newest. *is_old: the call began before
 * those of all that were looked at. */
static ft_pair *
find_pair(const ft_packet *packet, bool *is_old)
{
    ft_pair *pair = (ft_pair *)wmem_map_lookup(pairs_of_legs, packet->leg);
    const ft_call *call = packet->call;
    unsigned seen = 0;

    *is_old = false;
    if (pair && call && pair->call != call) {
        call = ft_call_as_of(call, UINT32_MAX);
        const bool is_newest = call->number > pair->call->number;
        while (pair && seen++ < OLDER_PAIRS && ft_call_as_of(pair->call, UINT32_MAX) != call)
            pair = pair->older;
        *is_old = seen > OLDER_PAIRS && !is_newest;
        if (seen > OLDER_PAIRS)
            pair = NULL;
    }
    while (pair && pair->part_of)
        pair = pair->part_of;
    return pair;
}

/* make: a check makes a pair, and media on the direct path. Through the relay media makes none:
 * the way there is the channel, which the relay's table has. */
static ft_pair *
pair_in_hand(packet_info *pinfo, const ft_packet *packet, bool make)
{
    bool is_old = false;
    ft_pair *pair = packet->leg ? find_pair(packet, &is_old) : NULL;

    if (!pair && !is_old && make && packet->leg && packet->call && packet->flow)
        pair = new_pair(pinfo, packet);
    if (pair)
        pair->last_frame = packet->frame;
    return pair;
}

/* Checks are repeated under one transaction id; the stamp that legacy answers echo (0x8004) tells
 * which one is answered. The least is kept for the pair: checks wait for the far end's set-up, so
 * the others say little of the way. */
static void
learn_rtt(packet_info *pinfo, ft_pair *pair, const ft_exchange *exchange, const ft_stun *stun)
{
    const ft_sent *sent = stun->has_timestamp ? ft_exchange_sent(exchange, stun->timestamp) : NULL;
    const nstime_t *asked = sent ? &sent->time : &exchange->request_time;

    /* Sent again without a stamp: which of them is answered isn't known. */
    if (!sent && exchange->last_request_frame != exchange->request_frame)
        return;
    const nstime_t passed = ft_passed(asked, &exchange->response_time);
    const int64_t rtt = ft_in_microseconds(&passed);
    if (rtt < 0)
        return;
    ft_mark_rtt(pinfo, rtt);
    ft_reveals *known = reveals(ft_packet_get(pinfo)->call);
    if (!known->checks)
        known->checks = wmem_new0(wmem_file_scope(), ft_histogram);
    ft_histogram_add(known->checks, (uint32_t)MIN(rtt / 100, UINT32_MAX), ft_grow_of_file);
    if (!pair->has_rtt || rtt < pair->rtt)
        pair->rtt = rtt;
    pair->has_rtt = true;
}

/* An answer that is sent again is counted once. Only the device's own checks have a round trip:
 * of the far end's, the capture sees the answer leave, not arrive. */
static void
pair_learns_check(packet_info *pinfo, const ft_packet *packet, const ft_stun *stun,
                  const ft_exchange *exchange)
{
    ft_pair *pair = pair_in_hand(pinfo, packet, true);
    const ft_endpoint source = ft_source(pinfo);

    if (!pair || !packet->call)
        return;
    const bool outgoing = ft_endpoint_equal(&source, &pair->local);
    if (stun->message_class == STUN_REQUEST) {
        pair->checks[outgoing].sent++;
        pair->nominated |= stun->use_candidate;
        return;
    }
    if (stun->message_class != STUN_SUCCESS ||
        (exchange && exchange->response_frame != packet->frame))
        return;
    pair->checks[!outgoing].answered++;
    ft_setup_reached(pinfo, FT_SETUP_CHECK_ANSWERED);
    if (!pair->relayed)
        ft_setup_reached(pinfo, FT_SETUP_DIRECT_READY);
    if (exchange && !pair_is_outgoing(pinfo, packet)) /* the answer comes in: measured whole */
        learn_rtt(pinfo, pair, exchange, stun);
}

void
ft_reveal_stun(packet_info *pinfo, const ft_stun *stun, const ft_exchange *exchange)
{
    const ft_packet *packet = learnable(pinfo);

    if (!packet || !packet->flow)
        return;
    if (stun->method == STUN_BINDING && stun->message_class != STUN_INDICATION)
        pair_learns_check(pinfo, packet, stun, exchange);
    if (stun->method == STUN_ALLOCATE && stun->message_class == STUN_REQUEST)
        ft_setup_reached(pinfo, FT_SETUP_ALLOCATION);
    if (stun->method == STUN_CHANNEL_BIND && stun->message_class == STUN_SUCCESS)
        ft_setup_reached(pinfo, FT_SETUP_RELAY_READY);
    ft_reveal_address(pinfo, &stun->mapped, "mapped address");
    ft_reveal_address(pinfo, &stun->relayed, "relayed address");
    ft_reveal_address(pinfo, &stun->peer, "peer of the relay");
}

/* ---- addresses and SDP ---- */

static void
reveal_address(packet_info *pinfo, const ft_endpoint *endpoint, const char *what)
{
    const ft_packet *packet = learnable(pinfo);
    ft_reveals *known = packet && packet->call ? reveals(packet->call) : NULL;

    if (!known)
        return;
    address_key key = { packet->call, what, *endpoint };
    if (wmem_map_contains(addresses, &key))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_ADDRESSES, wmem_map_size(addresses)))
        return;
    key.endpoint = ft_endpoint_keep(endpoint);
    wmem_map_insert(addresses, wmem_memdup(wmem_file_scope(), &key, sizeof key),
                    GUINT_TO_POINTER(1));
    if (!known->addresses)
        known->addresses = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_revealed), 2);
    const ft_endpoint told = ft_destination(pinfo);
    const ft_revealed revealed = { key.endpoint, what, packet->frame, ft_endpoint_keep(&told),
                                   packet->path == FT_PATH_RELAY };
    wmem_array_append_one(known->addresses, revealed);
}

/* Who was told is kept with it: what a server says to the device shows a NAT, what the peer is
 * told through the relay doesn't. */
void
ft_reveal_address(packet_info *pinfo, const ft_endpoint *endpoint, const char *what)
{
    if (endpoint->addr.type != AT_NONE)
        reveal_address(pinfo, endpoint, what);
}

/* "IP4 192.0.2.1" or "IP6 2001:db8::1", up to the line's end or a slash. */
static void
reveal_sdp_address(packet_info *pinfo, const char *line)
{
    const char *text = line + 4;
    const ft_endpoint found = { ft_text_address(pinfo->pool, text, strcspn(text, " /\r\n")), 0 };

    ft_reveal_address(pinfo, &found, "SDP");
}

/* o= and c= lines: "c=IN IP4 192.0.2.1". The lines in which SDP bears addresses
 * (o=GKVoiceChatService 0 0 IN IP4 ..., reports of 2015): they are the ends' own, public or not. */
static void
reveal_sdp_addresses(packet_info *pinfo, const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '\0' || (strncmp(line, "o=", 2) != 0 && strncmp(line, "c=", 2) != 0))
            continue;
        const char *end = line + strcspn(line, "\r\n");
        const char *address = g_strstr_len(line, end - line, "IN IP");
        if (address && end - address > 7)
            reveal_sdp_address(pinfo, address + 3);
    }
}

void
ft_reveal_sdp(packet_info *pinfo, const char *role, const char *text, size_t length)
{
    const ft_packet *packet = learnable(pinfo);
    ft_reveals *known = packet && packet->call ? reveals(packet->call) : NULL;

    if (!known)
        return;
    if (!known->sdps)
        known->sdps = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_sdp_text), FEW);
    length = MIN(length, MAX_SDP_TEXT);
    if (!ft_has_room_for(pinfo, FT_LIMIT_SDP_BYTES, sdp_total, length) ||
        !ft_has_room(pinfo, FT_LIMIT_SDPS_PER_CALL, wmem_array_get_count(known->sdps)))
        return;
    sdp_total += (unsigned)length;
    const ft_sdp_text sdp = { packet->frame, role, wmem_strndup(wmem_file_scope(), text, length) };
    wmem_array_append_one(known->sdps, sdp);
    reveal_sdp_addresses(pinfo, sdp.text);
}

/* ---- the end of a packet ---- */

/* The same flow again and again is one; two in turn are kept twice and drawn once. */
static void
keep_relay(ft_reveals *known, ft_flow *flow)
{
    const unsigned count = known->relays ? wmem_array_get_count(known->relays) : 0;

    if (!flow || !ft_limit_allows(FT_LIMIT_NAMES_PER_CALL, count) ||
        (count && *(ft_flow **)wmem_array_index(known->relays, count - 1) == flow))
        return;
    if (!known->relays)
        known->relays = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_flow *), FEW);
    wmem_array_append_one(known->relays, flow);
}

/* A modern relay has no bind whose answer could say that it is ready: its first packet does. */
void
ft_reveal_learn(packet_info *pinfo)
{
    ft_packet *packet = learnable(pinfo);

    if (!packet || !packet->call)
        return;
    if (packet->kind == FT_KIND_RTP || packet->quic == FT_QUIC_MEDIA) {
        ft_pair *pair = pair_in_hand(pinfo, packet, packet->path == FT_PATH_DIRECT);
        if (pair)
            pair->media_packets += ft_packet_media_count(packet);
    }
    const uint32_t first = packet->call->first_frame;
    if (packet->generation == FT_MODERN && packet->path == FT_PATH_RELAY &&
        !packet->call->relay_seen) {
        packet->call->relay_seen = true;
        ft_setup_reached(pinfo, FT_SETUP_RELAY_READY);
    }
    if (first == packet->frame)
        ft_setup_reached(pinfo, FT_SETUP_FIRST_PACKET);
    if (!packet->setup)
        return;
    ft_reveals *known = reveals(packet->call);
    if (packet->setup & (1u << FT_SETUP_ALLOCATION | 1u << FT_SETUP_RELAY_READY))
        keep_relay(known, packet->flow);
    for (unsigned step = 0; step < FT_SETUP_COUNT; step++) {
        if (packet->setup >> step & 1)
            reach(pinfo, &known->setup[step]);
    }
}

/* ---- for tables ---- */

static void
add_all(wmem_allocator_t *scope, wmem_array_t **to, wmem_array_t *from, size_t size)
{
    if (!from)
        return;
    if (!*to)
        *to = wmem_array_new(scope, size);
    wmem_array_append(*to, wmem_array_get_raw(from), wmem_array_get_count(from));
}

/* A pair of a capture's first packets may have been kept while the peer was taken for the device
 * (ft_call_has_client): its ends as the call has them now. */
static void
turn_pairs(const ft_call *call, wmem_array_t *pairs)
{
    for (unsigned i = 0; pairs && i < wmem_array_get_count(pairs); i++) {
        ft_pair *pair = *(ft_pair **)wmem_array_index(pairs, i);
        const ft_endpoint local = pair->local;
        if (pair->relayed || !ft_endpoint_equal(&pair->remote, &call->local) ||
            !ft_endpoint_equal(&pair->local, &call->remote))
            continue;
        const ft_pair_checks outgoing = pair->checks[true];
        pair->checks[true] = pair->checks[false];
        pair->checks[false] = outgoing;
        pair->local = pair->remote;
        pair->remote = local;
    }
}

static void
join_pair(ft_pair *pair, ft_pair *part)
{
    const bool is_turned = !ft_endpoint_equal(&pair->local, &part->local);

    for (unsigned way = 0; way < G_N_ELEMENTS(pair->checks); way++) {
        pair->checks[way].sent += part->checks[way ^ is_turned].sent;
        pair->checks[way].answered += part->checks[way ^ is_turned].answered;
    }
    if (part->has_rtt && (!pair->has_rtt || part->rtt < pair->rtt))
        pair->rtt = part->rtt;
    pair->has_rtt |= part->has_rtt;
    pair->nominated |= part->nominated;
    pair->media_packets += part->media_packets;
    pair->first_frame = MIN(pair->first_frame, part->first_frame);
    pair->last_frame = MAX(pair->last_frame, part->last_frame);
    part->part_of = pair;
}

/* Pairs of one leg that were two calls' before these turned out to be one. */
static wmem_array_t *
joined_pairs(wmem_allocator_t *scope, const ft_call *call, wmem_array_t *pairs)
{
    wmem_array_t *joined = wmem_array_new(scope, sizeof(ft_pair *));

    for (unsigned i = 0; i < wmem_array_get_count(pairs); i++) {
        ft_pair *pair = *(ft_pair **)wmem_array_index(pairs, i), *older = pair->older;
        for (unsigned n = 0; !pair->part_of && older && n < OLDER_PAIRS; n++) {
            if (!older->part_of && ft_call_as_of(older->call, UINT32_MAX) == call)
                join_pair(older, pair);
            older = older->older;
        }
        if (!pair->part_of)
            wmem_array_append_one(joined, pair);
    }
    return joined;
}

/* Each step by its earliest frame in any part; round trips of checks from the first part that has
 * some. */
ft_reveals *
ft_reveals_of(wmem_allocator_t *scope, const ft_call *call)
{
    ft_reveals *all = wmem_new0(scope, ft_reveals);

    for (unsigned number = call->number; number <= ft_call_total(); number++) {
        const ft_call *part = ft_call_by_number(number);
        const ft_reveals *known = part->reveals;
        if (!known || ft_call_as_of(part, UINT32_MAX) != call)
            continue;
        for (unsigned step = 0; step < FT_SETUP_COUNT; step++) {
            if (known->setup[step].frame &&
                (!all->setup[step].frame || known->setup[step].frame < all->setup[step].frame))
                all->setup[step] = known->setup[step];
        }
        if (!all->checks)
            all->checks = known->checks;
        add_all(scope, &all->pairs, known->pairs, sizeof(ft_pair *));
        add_all(scope, &all->addresses, known->addresses, sizeof(ft_revealed));
        add_all(scope, &all->sdps, known->sdps, sizeof(ft_sdp_text));
        add_all(scope, &all->relays, known->relays, sizeof(ft_flow *));
    }
    turn_pairs(call, all->pairs);
    if (all->pairs)
        all->pairs = joined_pairs(scope, call, all->pairs);
    return all;
}
