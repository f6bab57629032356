/* calls/exchange.c
 * Which request an answer belongs to, and how long it took, from ids that both carry:
 *
 *    kind, id (and ends) -> exchange -> exchange ...  a request joins the open one or opens the
 *                                                     next; an answer goes to the first without
 *                                                     one, or to the one whose stamp it echoes
 *
 *    device                                    peer
 *      | check       id 7, stamp a ------------> |     opens exchange 1
 *      | sent again  id 7, stamp b ------------> |     joins it: no answer yet
 *      | <------------- answer id 7, echoes b    |     answers 1, and its second stamp
 *      | nomination  id 7, stamp c ------------> |     opens 2: this ICE uses the check's id again
 *      | <------------- answer id 7, echoes c    |     answers 2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/exchange.h"
#include "calls/hash.h"
#include "calls/limits.h"

#define MAX_ID 32
G_STATIC_ASSERT(MAX_ID <= FT_HASH_MOST);

typedef struct {
    /* the leg or flow: pointers are one to one with them; NULL for CommNAT and SIP */
    const void      *scope;
    ft_exchange_kind kind;
    unsigned         id_length;
    uint8_t          id[MAX_ID];        /* id_length are kept */
} exchange_key;

/* The first of a chain has the key behind it, in one piece of memory. */
typedef struct {
    ft_exchange exchange;
    exchange_key key;
} first_exchange;

static wmem_map_t *exchanges; /* exchange_key -> the first ft_exchange of its chain */
static unsigned exchange_total, sent_total;

static unsigned
key_hash(const void *key)
{
    const exchange_key *k = (const exchange_key *)key;

    return ft_hash_value(k->id, k->id_length) ^ g_direct_hash(k->scope) ^ k->kind;
}

static gboolean
key_equal(const void *one, const void *other)
{
    const exchange_key *x = (const exchange_key *)one;
    const exchange_key *y = (const exchange_key *)other;

    return x->scope == y->scope && x->kind == y->kind && x->id_length == y->id_length &&
           memcmp(x->id, y->id, x->id_length) == 0;
}

static void
reset(void)
{
    exchange_total = sent_total = 0;
}

void
ft_exchange_init(void)
{
    exchanges = ft_new_map(key_hash, key_equal);
    register_init_routine(reset);
}

/* CommNAT's answers may come from another address than the one that was probed (that is what it
 * tests), and SIP may go on over another way; so neither is tied to one. */
static exchange_key
make_exchange_key(packet_info *pinfo, ft_exchange_kind kind, const uint8_t *id, unsigned id_length)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    exchange_key key = { NULL, kind, MIN(id_length, MAX_ID), { 0 } };

    if (packet && kind != FT_EXCHANGE_COMMNAT && kind != FT_EXCHANGE_SIP)
        key.scope = packet->leg ? (const void *)packet->leg : (const void *)packet->flow;
    memcpy(key.id, id, key.id_length);
    return key;
}

/* The key is kept as long as its id is, not as MAX_ID: a flood of requests fills memory with
 * keys. */
static ft_exchange *
begin_chain(const exchange_key *key)
{
    const size_t length = offsetof(exchange_key, id) + key->id_length;
    first_exchange *first =
        (first_exchange *)wmem_alloc0(wmem_file_scope(), offsetof(first_exchange, key) + length);

    memcpy(&first->key, key, length);
    wmem_map_insert(exchanges, &first->key, first);
    return &first->exchange;
}

static ft_exchange *
open_exchange(packet_info *pinfo, const exchange_key *key, ft_exchange *last, bool fresh)
{
    if (!ft_has_room(pinfo, FT_LIMIT_EXCHANGES, exchange_total))
        return NULL;
    exchange_total++;

    ft_exchange *exchange = last ? wmem_new0(wmem_file_scope(), ft_exchange) : begin_chain(key);
    exchange->request_frame = exchange->last_request_frame = ft_frame_id(pinfo);
    exchange->request_time = ft_now(pinfo);
    exchange->request_steady = ft_steady(pinfo);
    exchange->nomination = fresh;
    exchange->first = last ? last->first : exchange;
    if (last)
        last->next = exchange;
    return exchange;
}

/* Later passes: the last one that was open as of this frame. */
static ft_exchange *
request_as_of(ft_exchange *first, uint32_t frame, bool fresh)
{
    ft_exchange *found = NULL;

    for (ft_exchange *e = first; e && e->request_frame <= frame; e = e->next) {
        if (e->nomination == fresh)
            found = e;
    }
    return found;
}

/* First pass: a repeat joins the exchange that still waits for its answer, anything else opens
 * one (or, over a bound, is what the later passes take it for). The bound is on one id: who
 * sends the same id for ever makes each lookup walk its chain. */
static ft_exchange *
learn_request(packet_info *pinfo, const exchange_key *key, ft_exchange *first, bool fresh)
{
    ft_exchange *last = first;
    unsigned count = 0;

    for (ft_exchange *e = first; e; e = e->next, count++)
        last = e;
    if (last && last->response_frame == 0 && last->nomination == fresh) {
        last->last_request_frame = ft_frame_id(pinfo);
        if (!last->repeated_frame)
            last->repeated_frame = last->last_request_frame;
        return last;
    }

    ft_exchange *opened = NULL;
    if (ft_has_room(pinfo, FT_LIMIT_REPEATS, count))
        opened = open_exchange(pinfo, key, last, fresh);
    return opened ? opened : request_as_of(first, ft_frame_id(pinfo), fresh);
}

/* A repeat is what an earlier frame asked, answered or not: the peer may have answered, and the
 * answer been lost. */
const ft_exchange *
ft_exchange_request(packet_info *pinfo, ft_exchange_kind kind, const uint8_t *id,
                    unsigned id_length, bool fresh, bool *is_retransmission)
{
    const exchange_key key = make_exchange_key(pinfo, kind, id, id_length);
    ft_exchange *first = (ft_exchange *)wmem_map_lookup(exchanges, &key);

    *is_retransmission = false;
    for (const ft_exchange *e = first; e && e->request_frame < ft_frame_id(pinfo); e = e->next) {
        if (e->nomination == fresh)
            *is_retransmission = true;
    }
    return ft_learning(pinfo) ? learn_request(pinfo, &key, first, fresh)
                              : request_as_of(first, ft_frame_id(pinfo), fresh);
}

/* Whether a request of the exchange had the stamp by this frame; NULL is any. A stamp that comes
 * later in the file can't have been echoed. */
static bool
is_answered_by(const ft_exchange *exchange, const uint32_t *stamp, uint32_t frame)
{
    const ft_sent *sent = stamp ? ft_exchange_sent(exchange, *stamp) : NULL;

    return !stamp || (sent && sent->frame < frame);
}

/* NULL where no request had the stamp by this frame: it tells nothing (the request wasn't
 * captured, or the stamp isn't an echo), and the answers go by order. */
static const uint32_t *
known_stamp(const ft_exchange *first, const uint32_t *stamp, uint32_t frame)
{
    const ft_exchange *e = first;

    while (e && !is_answered_by(e, stamp, frame))
        e = e->next;
    return e ? stamp : NULL;
}

/* First pass: answers go to the requests in order, where no stamp tells. One more after that is
 * a repeat, of the last exchange that it could answer. */
static ft_exchange *
learn_response(packet_info *pinfo, ft_exchange *first, const uint32_t *stamp, bool *is_repeat)
{
    ft_exchange *last = NULL;

    for (ft_exchange *e = first; e; e = e->next) {
        if (!is_answered_by(e, stamp, ft_frame_id(pinfo)))
            continue;
        if (e->response_frame == 0) {
            e->response_frame = ft_frame_id(pinfo);
            e->response_time = ft_now(pinfo);
            ft_steady_proven(pinfo, &e->request_steady);
            return e;
        }
        last = e;
    }
    *is_repeat = last != NULL;
    return last;
}

/* Later passes: the exchange that this very frame answered, else the repeat that the first pass
 * took it for. */
static ft_exchange *
response_as_of(ft_exchange *first, const uint32_t *stamp, uint32_t frame, bool *is_repeat)
{
    ft_exchange *last = NULL;

    for (ft_exchange *e = first; e && e->request_frame < frame; e = e->next) {
        if (e->response_frame == frame)
            return e;
        if (is_answered_by(e, stamp, frame))
            last = e;
    }
    *is_repeat = last != NULL;
    return last;
}

static const ft_exchange *
find_response(packet_info *pinfo, const exchange_key *key, const uint32_t *stamp, bool *is_repeat)
{
    ft_exchange *first = (ft_exchange *)wmem_map_lookup(exchanges, key);

    *is_repeat = false;
    stamp = known_stamp(first, stamp, ft_frame_id(pinfo));
    return ft_learning(pinfo) ? learn_response(pinfo, first, stamp, is_repeat)
                              : response_as_of(first, stamp, ft_frame_id(pinfo), is_repeat);
}

const ft_exchange *
ft_exchange_response(packet_info *pinfo, ft_exchange_kind kind, const uint8_t *id,
                     unsigned id_length, bool *is_repeat)
{
    const exchange_key key = make_exchange_key(pinfo, kind, id, id_length);

    return find_response(pinfo, &key, NULL, is_repeat);
}

const ft_exchange *
ft_exchange_echo(packet_info *pinfo, ft_exchange_kind kind, const uint8_t *id, unsigned id_length,
                 uint32_t stamp, bool *is_repeat)
{
    const exchange_key key = make_exchange_key(pinfo, kind, id, id_length);

    return find_response(pinfo, &key, &stamp, is_repeat);
}

const ft_sent *
ft_exchange_sent(const ft_exchange *exchange, uint32_t stamp)
{
    const ft_sent *sent = exchange ? exchange->sent : NULL;

    while (sent && sent->stamp != stamp)
        sent = sent->earlier;
    return sent;
}

/* Stamps of all exchanges under one id: their bound is the id's, too. */
static unsigned
count_stamps(const ft_exchange *first)
{
    unsigned count = 0;

    for (const ft_exchange *e = first; e; e = e->next) {
        for (const ft_sent *sent = e->sent; sent; sent = sent->earlier)
            count++;
    }
    return count;
}

void
ft_exchange_stamp(packet_info *pinfo, const ft_exchange *exchange, uint32_t stamp)
{
    if (!exchange || !ft_learning(pinfo) || ft_exchange_sent(exchange, stamp))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_EXCHANGES, sent_total) ||
        !ft_has_room(pinfo, FT_LIMIT_REPEATS, count_stamps(exchange->first)))
        return;
    sent_total++;

    ft_sent *sent = wmem_new(wmem_file_scope(), ft_sent);
    *sent = (ft_sent){ stamp, ft_frame_id(pinfo), ft_now(pinfo), exchange->sent };
    ((ft_exchange *)exchange)->sent = sent;
}

void
ft_exchange_took(const packet_info *pinfo, ft_exchange_kind kind, unsigned what,
                 const nstime_t *took)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (packet)
        packet->answer = (ft_answer){ true, (uint8_t)kind, (uint16_t)what, *took };
}

/* Only the first answer took so long, since the first request: another one says nothing of the
 * way. */
void
ft_exchange_answered(const packet_info *pinfo, ft_exchange_kind kind, unsigned what,
                     const ft_exchange *exchange)
{
    if (!exchange || exchange->response_frame != ft_frame_id(pinfo))
        return;

    const nstime_t took = ft_passed_since(&exchange->request_time, pinfo);
    ft_exchange_took(pinfo, kind, what, &took);
}
