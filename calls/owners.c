/* calls/owners.c
 * Whose a value is, and which calls an address had:
 *
 *    what (Call-ID, key, SSRC ...) + its bytes    ->  one call: the first one's for good where the
 *                                                    judge's table says "decides", else the newest
 *    address, port + its network    ->  by what it was to them, the latest calls, newest first
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/owners.h"

#include "calls/hash.h"
#include "calls/limits.h"
#include "calls/mark.h"

/* ---- what is known of each value ---- */

typedef struct {
    uint8_t bytes[FT_CLUE_LENGTH];
    ft_clue what;
} value_key;

/* The same private address in another network is somebody else's. */
typedef struct {
    ft_endpoint end;
    uint32_t network;
} end_key;

static wmem_map_t *values; /* value_key -> ft_value_owner */
static wmem_map_t *ends;   /* end_key -> ft_calls_known */
static unsigned end_total; /* ft_end_calls of all ends */

static unsigned
value_hash(const void *key)
{
    const value_key *value = (const value_key *)key;

    return ft_hash_value(value->bytes, sizeof value->bytes) ^ value->what;
}

static gboolean
value_equal(const void *one, const void *other)
{
    const value_key *x = (const value_key *)one, *y = (const value_key *)other;

    return x->what == y->what && memcmp(x->bytes, y->bytes, sizeof x->bytes) == 0;
}

static unsigned
end_hash(const void *key)
{
    const end_key *end = (const end_key *)key;

    return ft_endpoint_hash(&end->end) ^ end->network << 8;
}

static gboolean
end_equal(const void *one, const void *other)
{
    const end_key *x = (const end_key *)one, *y = (const end_key *)other;

    return x->network == y->network && ft_endpoint_equal(&x->end, &y->end);
}

static void
reset(void)
{
    end_total = 0;
}

void
ft_owners_init(void)
{
    register_init_routine(reset);
    ft_hash_init();
    values = ft_new_map(value_hash, value_equal);
    ends = ft_new_map(end_hash, end_equal);
}

/* ---- whose it is ---- */

static value_key
key_of(const ft_packet_clue *clue)
{
    value_key key = { { 0 }, (ft_clue)clue->what };

    memcpy(key.bytes, clue->bytes, sizeof key.bytes);
    return key;
}

ft_value_owner *
ft_owner_of(const ft_packet_clue *clue)
{
    const value_key key = key_of(clue);

    return (ft_value_owner *)wmem_map_lookup(values, &key);
}

/* Where one value can have one call only, the first one keeps it: a Call-ID or a key stays with
 * the call that brought it, whatever call a packet with it was put into. Else the newest takes
 * it over: an SSRC or a relayed address may come up again in a later call. */
void
ft_own(packet_info *pinfo, const ft_packet_clue *clue, ft_call *call)
{
    ft_value_owner *owner = ft_owner_of(clue);

    if (!owner) {
        if (!ft_has_room(pinfo, FT_LIMIT_TIES, wmem_map_size(values)))
            return;
        const value_key key = key_of(clue);
        owner = wmem_new0(wmem_file_scope(), ft_value_owner);
        wmem_map_insert(values, wmem_memdup(wmem_file_scope(), &key, sizeof key), owner);
        owner->call = call;
    } else if (ft_clue_rows[clue->what].strength < FT_DECIDES) {
        owner->call = call;
    }
}

void
ft_clue_own(packet_info *pinfo, ft_call *call, ft_clue what, uint64_t value)
{
    ft_packet_clue clue = { { 0 }, (uint8_t)what };

    memcpy(clue.bytes, &value, sizeof value);
    if (ft_learning(pinfo) && value)
        ft_own(pinfo, &clue, call);
}

const ft_call *
ft_clue_owner(const packet_info *pinfo, ft_clue what, uint64_t value)
{
    ft_packet_clue clue = { { 0 }, (uint8_t)what };

    memcpy(clue.bytes, &value, sizeof value);
    const ft_value_owner *owner = ft_owner_of(&clue);
    return owner ? ft_call_as_of(owner->call, ft_frame_id(pinfo)) : NULL;
}

/* ---- ends ---- */

bool
ft_is_shared(const address *addr)
{
    const uint8_t *b = (const uint8_t *)addr->data;

    return addr->type == AT_IPv4 && b[0] == 100 && (b[1] & 0xc0) == 64;
}

/* RFC 1918, RFC 6598, link-local; RFC 4193. */
bool
ft_is_private(const address *addr)
{
    if (addr->type == AT_IPv4) {
        const uint8_t *b = (const uint8_t *)addr->data;
        return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
               (b[0] == 169 && b[1] == 254) || ft_is_shared(addr);
    }
    if (addr->type == AT_IPv6) {
        const uint8_t *b = (const uint8_t *)addr->data;
        return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
    }
    return false;
}

/* Where the address counts: a private one in the network that its end of the packet's 5-tuple sends
 * in. A public one is the same everywhere: an end that hasn't sent yet, or that a message names,
 * may send with another tag, and in a tunnel's other direction it does. */
static uint32_t
network_of(const packet_info *pinfo, const ft_endpoint *end)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!ft_is_private(&end->addr))
        return 0;
    return packet && packet->flow ? ft_flow_network(packet->flow, end) : ft_network_of(pinfo);
}

const ft_calls_known *
ft_calls_known_of(const packet_info *pinfo, const ft_endpoint *end)
{
    static const ft_calls_known nothing;
    const end_key key = { *end, network_of(pinfo, end) };
    const ft_calls_known *known = (const ft_calls_known *)wmem_map_lookup(ends, &key);

    return known ? known : &nothing;
}

static ft_end_calls *const *
list_of(const ft_calls_known *known, ft_clue what)
{
    switch (what) {
    case FT_CLUE_DEVICE:
        return &known->device;
    case FT_CLUE_PEER:
        return &known->peer;
    case FT_CLUE_OFFER:
        return &known->offer;
    case FT_CLUE_HOME:
        return &known->home;
    default:
        return &known->host;
    }
}

const ft_end_calls *
ft_calls_of_end(const packet_info *pinfo, ft_clue what, const ft_endpoint *end)
{
    return *list_of(ft_calls_known_of(pinfo, end), what);
}

/* NULL where there is no room: packets at that end are found by their clues and ways alone. */
static ft_end_calls *
find_or_make_list(packet_info *pinfo, ft_clue what, const ft_endpoint *end)
{
    end_key key = { *end, network_of(pinfo, end) };
    ft_calls_known *known = (ft_calls_known *)wmem_map_lookup(ends, &key);

    if (known && *list_of(known, what))
        return *list_of(known, what);
    if (!ft_has_room(pinfo, FT_LIMIT_DEVICES, end_total / 2)) /* a call has two */
        return NULL;
    end_total++;
    if (!known) {
        key.end = ft_endpoint_keep(end);
        known = wmem_new0(wmem_file_scope(), ft_calls_known);
        wmem_map_insert(ends, wmem_memdup(wmem_file_scope(), &key, sizeof key), known);
    }
    ft_end_calls **list = (ft_end_calls **)list_of(known, what);
    *list = wmem_new0(wmem_file_scope(), ft_end_calls);
    return *list;
}

/* The call becomes the end's latest. An end has few at a time: several calls on one port, and
 * the last one's tail beside the next. One that is pushed out is still found by clues and ways.
 * What flows have settled on may be wrong from here on, so the change counts. */
void
ft_set_call_of_known(packet_info *pinfo, const ft_calls_known *known, ft_clue what,
                     const ft_endpoint *end, ft_call *call)
{
    ft_end_calls *list = known ? *list_of(known, what) : NULL;
    unsigned at = 0;

    if (end->addr.type == AT_NONE)
        return;
    if (!list) /* it may have come to be known since */
        list = find_or_make_list(pinfo, what, end);
    if (!list || list->calls[0] == call)
        return;
    ft_call_changes++;
    while (at < FT_CALLS_OF_END - 1 && list->calls[at] && list->calls[at] != call)
        at++;
    for (; at > 0; at--)
        list->calls[at] = list->calls[at - 1];
    list->calls[0] = call;
}

void
ft_set_call_of_end(packet_info *pinfo, ft_clue what, const ft_endpoint *end, ft_call *call)
{
    ft_set_call_of_known(pinfo, NULL, what, end, call);
}

void
ft_forget_call_of_end(const packet_info *pinfo, ft_clue what, const ft_endpoint *end,
                      const ft_call *call)
{
    ft_end_calls *known = (ft_end_calls *)ft_calls_of_end(pinfo, what, end);
    unsigned kept = 0;

    for (unsigned i = 0; known && i < FT_CALLS_OF_END; i++) {
        ft_call *one = known->calls[i];
        known->calls[i] = NULL;
        if (one && ft_call_as_of(one, ft_frame_id(pinfo)) != call)
            known->calls[kept++] = one;
    }
    ft_call_changes++;
}

/* A private address is left out: both peers of two calls may be 192.168.1.5:16393 at home, and
 * joining by that would make one call of two. */
void
ft_clue_expect(packet_info *pinfo, ft_call *call, ft_clue what, const ft_endpoint *end)
{
    ft_clue_expect_known(pinfo, call, NULL, what, end);
}

void
ft_clue_expect_known(packet_info *pinfo, ft_call *call, const ft_calls_known *known, ft_clue what,
                     const ft_endpoint *end)
{
    if (!ft_learning(pinfo) || !call)
        return;
    if (ft_is_private(&end->addr)) {
        if (what == FT_CLUE_OFFER)
            ft_set_call_of_end(pinfo, FT_CLUE_HOME, end, call);
        return;
    }
    ft_set_call_of_known(pinfo, known, what, end, call);
    call->was_met |= what == FT_CLUE_PEER;
}

ft_endpoint
ft_without_port(const ft_endpoint *device)
{
    return (ft_endpoint){ device->addr, 0 };
}
