/* calls/quic.c
 * Whether QUIC short headers carry media, from connection ids of the shape in calls/quic.h that
 * come back:
 *
 *    direction of a flow -> ids: seen once (unsettled) -> back before other bytes: settled, its
 *                           packets are media
 *
 *    way to a relay      -> the id of 8 bytes that the relay's connection has; another one that
 *                           comes back is another connection
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/quic.h"
#include "calls/judge.h"
#include "calls/limits.h"
#include "calls/mark.h"
#include "calls/media.h"
#include "calls/quality.h"
#include "calls/relay.h"

#define ID_OFFSET    1
#define ID_LENGTH    4
#define ID_BIT       0x00800000u
/* flags, id, one byte of packet number, 16 of the tag that ends each QUIC packet */
#define SHORTEST     22
#define TIMES        3  /* an id that came so often is a connection's */

/* A connection id of the right shape, in one direction of a flow. */
typedef struct {
    uint32_t id;
    uint32_t last_frame;
    nstime_t last_time;     /* of ft_steady() */
    uint32_t known_from;    /* the frame that settled it, 0 before */
    uint16_t times;
    uint8_t  next_byte;     /* behind the id, in its first packet */
    bool     is_head;       /* so far the same byte follows each time: a longer id */
} quic_id;

typedef struct {
    wmem_array_t *ids[2];   /* of quic_id, by ft_heading; NULL before the first */
} quic_flow;

/* The connection to a relay on a way, by the head of its connection id. */
typedef struct {
    const ft_leg *leg;      /* NULL: free */
    uint64_t id, before;    /* 0: none yet */
    uint64_t candidate;     /* came once so far */
} relay_connection;

#define RELAY_CONNECTIONS 256 /* by the flow's number: one that another takes is begun anew */

static wmem_map_t *quic_flows;  /* ft_flow -> quic_flow */
static relay_connection relay_connections[RELAY_CONNECTIONS];
static unsigned id_total;

static void
reset(void)
{
    id_total = 0;
    memset(relay_connections, 0, sizeof relay_connections);
}

void
ft_quic_init(void)
{
    quic_flows = ft_new_map(g_direct_hash, g_direct_equal);
    register_init_routine(reset);
}

/* ---- connection ids ---- */

static bool
has_shape(tvbuff_t *tvb, uint32_t *id)
{
    if (tvb_reported_length(tvb) < SHORTEST ||
        tvb_captured_length(tvb) < ID_OFFSET + ID_LENGTH + 1 || tvb_get_uint8(tvb, 0) >> 6 != 1)
        return false;
    *id = tvb_get_ntohl(tvb, ID_OFFSET);
    return *id >> 28 <= 1 && (*id & ID_BIT);
}

static quic_id *
find_id(const ft_flow *flow, ft_heading heading, uint32_t id)
{
    const quic_flow *known = (const quic_flow *)wmem_map_lookup(quic_flows, flow);
    wmem_array_t *ids = known && heading != FT_ASTRAY ? known->ids[heading] : NULL;

    for (unsigned i = ids ? wmem_array_get_count(ids) : 0; i-- > 0;) {
        quic_id *one = (quic_id *)wmem_array_index(ids, i);
        if (one->id == id)
            return one;
    }
    return NULL;
}

static wmem_array_t *
ids_of(const ft_flow *flow, ft_heading heading)
{
    quic_flow *known = (quic_flow *)wmem_map_lookup(quic_flows, flow);

    if (!known) {
        known = wmem_new0(wmem_file_scope(), quic_flow);
        wmem_map_insert(quic_flows, flow, known);
    }
    if (!known->ids[heading])
        known->ids[heading] = wmem_array_sized_new(wmem_file_scope(), sizeof(quic_id), FEW);
    return known->ids[heading];
}

/* Where all places are taken: that of the id unsettled for longest, or NULL. */
static quic_id *
oldest_unsettled(wmem_array_t *ids)
{
    quic_id *oldest = NULL;

    for (unsigned i = 0; i < wmem_array_get_count(ids); i++) {
        quic_id *one = (quic_id *)wmem_array_index(ids, i);
        if (!one->known_from && (!oldest || one->last_frame < oldest->last_frame))
            oldest = one;
    }
    return oldest;
}

/* What a relay sends has no connection id at all (2023), so random bytes stand there and leave
 * ids that never come back: these give way first. */
static void
keep_id(packet_info *pinfo, const ft_flow *flow, ft_heading heading, const quic_id *new_one)
{
    wmem_array_t *ids = ids_of(flow, heading);

    if (ft_limit_allows(FT_LIMIT_QUIC_IDS_PER_FLOW, wmem_array_get_count(ids)) &&
        ft_limit_allows(FT_LIMIT_QUIC_IDS, id_total)) {
        id_total++;
        wmem_array_append(ids, new_one, 1);
        return;
    }
    quic_id *place = oldest_unsettled(ids);
    if (place)
        *place = *new_one;
    else
        ft_limit_met(pinfo, ft_limit_allows(FT_LIMIT_QUIC_IDS, id_total)
                                ? FT_LIMIT_QUIC_IDS_PER_FLOW
                                : FT_LIMIT_QUIC_IDS);
}

/* The relay's own connection ids have 8 bytes (289 of 289 packets to it in 2023), and their head
 * may have this shape: it comes back in every packet, but with the same byte behind it. */
static void
learn_id(packet_info *pinfo, const ft_flow *flow, tvbuff_t *tvb, uint32_t id)
{
    const ft_heading heading = ft_flow_heading(flow, pinfo);
    const uint8_t next_byte = tvb_get_uint8(tvb, ID_OFFSET + ID_LENGTH);

    if (heading == FT_ASTRAY)
        return;
    quic_id *known = find_id(flow, heading, id);
    if (!known) {
        const quic_id seen = { id, ft_frame_id(pinfo), ft_steady(pinfo), 0, 1, next_byte, true };
        keep_id(pinfo, flow, heading, &seen);
        return;
    }
    /* no connection outlives such a pause: the capture's clock leapt ahead */
    ft_steady_proven(pinfo, &known->last_time);
    known->last_frame = ft_frame_id(pinfo);
    known->last_time = ft_steady(pinfo);
    known->is_head &= known->next_byte == next_byte;
    if (known->times < TIMES)
        known->times++;
    if (known->times == TIMES && !known->is_head && !known->known_from)
        known->known_from = ft_frame_id(pinfo);
}

bool
ft_quic_known(const ft_flow *flow, const packet_info *pinfo, tvbuff_t *tvb)
{
    uint32_t id;

    if (wmem_map_size(quic_flows) == 0 || !has_shape(tvb, &id))
        return false;
    const quic_id *known = find_id(flow, ft_flow_heading(flow, pinfo), id);
    return known && known->known_from && known->known_from < ft_frame_id(pinfo);
}

/* ---- connections to a relay ---- */

#define RELAY_ID_LENGTH 8

static relay_connection *
connection_on(const ft_leg *leg)
{
    relay_connection *one = &relay_connections[leg->flow->number % RELAY_CONNECTIONS];

    if (one->leg != leg)
        *one = (relay_connection){ .leg = leg };
    return one;
}

void
ft_quic_relay_begins(const ft_leg *leg)
{
    *connection_on(leg) = (relay_connection){ .leg = leg };
}

/* As short a silence as the capture's clock can tell. */
static bool
is_silent(packet_info *pinfo, const ft_leg *leg)
{
    const nstime_t now = ft_steady(pinfo);

    return !nstime_is_zero(&leg->media_time) &&
           ft_seconds(&leg->media_time, &now) >
               ft_shortest_pause(ft_clock_is_batched_at(&pinfo->src));
}

/* The call that had this way ended: what comes there now is of the next one, or late. */
static bool
is_left(const packet_info *pinfo, const ft_leg *leg)
{
    const uint32_t frame = ft_frame_id(pinfo);
    const ft_call *call = ft_call_as_of(ft_call_of_leg(leg, frame), frame);

    return call && ft_call_is_over(pinfo, call);
}

/* Encrypted bytes, which stand there behind a shorter id, never come twice. */
bool
ft_quic_relay_is_another(packet_info *pinfo, const ft_leg *leg, tvbuff_t *tvb)
{
    relay_connection *one = connection_on(leg);

    if (tvb_get_uint8(tvb, 0) >> 6 != 1 || tvb_captured_length(tvb) < ID_OFFSET + RELAY_ID_LENGTH)
        return false;
    const uint64_t id = tvb_get_ntoh64(tvb, ID_OFFSET);
    if (id == one->id || id == one->before)
        return false;
    if (id != one->candidate) {
        one->candidate = id;
        return is_left(pinfo, leg) && is_silent(pinfo, leg);
    }
    one->before = one->id;
    one->id = id;
    return one->before && is_silent(pinfo, leg);
}

/* ---- media ---- */

/* What is known of the direction so far, by either path. A direction's figures go on where its
 * path changes: one row in the tables of streams. */
static ft_quality *
quality_of(const ft_call *call, bool outgoing)
{
    const ft_quic_stream *stream = ft_call_quic_stream(call, FT_PATH_RELAY, outgoing);

    if (!stream)
        stream = ft_call_quic_stream(call, FT_PATH_DIRECT, outgoing);
    return stream ? stream->quality : NULL;
}

static void
count_media(packet_info *pinfo, const ft_packet *packet, const ft_observation *seen,
            unsigned bytes)
{
    ft_quic_stream *stream = ft_call_quic_stream(packet->call, packet->path, seen->outgoing);
    ft_quality *quality = ft_quality_learn_hidden(pinfo, quality_of(packet->call, seen->outgoing),
                                                  seen->outgoing, bytes);

    if (stream) {
        stream->packets++;
        stream->bytes += bytes;
        stream->last_frame = packet->frame;
        return;
    }
    ft_call_add_quic_stream(packet->call,
                            &(ft_quic_stream){ packet->path, seen->outgoing,
                                               ft_endpoint_keep(&seen->sender), packet->frame,
                                               packet->frame, 1, bytes, quality });
}

static void
learn_quic_media(packet_info *pinfo, ft_packet *packet, unsigned bytes)
{
    ft_observation seen;

    if (!packet->flow->server && packet->path == FT_PATH_RELAY) {
        const bool is_uplink = ft_relay_direction(pinfo) == FT_UPLINK;
        const ft_endpoint relay = is_uplink ? ft_destination(pinfo) : ft_source(pinfo);
        ft_flow_set_server(pinfo, packet->flow, &relay);
    }
    if (ft_media_heard(pinfo, &seen))
        count_media(pinfo, packet, &seen, bytes);
}

void
ft_quic_media_learn(packet_info *pinfo, tvbuff_t *tvb)
{
    ft_packet *packet = ft_packet_get(pinfo);
    uint32_t id;

    if (!packet || !packet->flow || !has_shape(tvb, &id))
        return;
    if (ft_learning(pinfo))
        learn_id(pinfo, packet->flow, tvb, id);
    const quic_id *known = find_id(packet->flow, ft_flow_heading(packet->flow, pinfo), id);
    if (!known || !known->known_from || known->known_from > packet->frame)
        return;
    packet->quic = id >> 28 == 0 ? FT_QUIC_MEDIA : FT_QUIC_LINK;
    packet->path =
        ft_relay_direction(pinfo) == FT_DIRECTION_UNKNOWN ? FT_PATH_DIRECT : FT_PATH_RELAY;
    if (packet->quic == FT_QUIC_MEDIA && ft_learning(pinfo))
        learn_quic_media(pinfo, packet, tvb_reported_length(tvb));
}
