/* calls/packet.c
 * The record of the packet in hand: one at a time, begun and ended by the front door; a message
 * within a message finds the record of the datagram. Ends (address and port) as keys and as
 * text.
 *
 *    front door  ft_packet_begin()  | facts of the bytes: kind, path, clues ...   packet-*.c
 *                                   | what they mean: call, leg, peer, events     calls/
 *                ft_packet_end()    | the `facetime` line shows the record
 *
 * It holds one datagram's facts alone: what is to outlive it hangs on the frame (calls/frame.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/packet.h"

#include "calls/hash.h"
#include "calls/steady.h"

#include <epan/exceptions.h>
#include <epan/show_exception.h>
#include <epan/to_str.h>

#define FT_VALUE(name, number, text) { name, text },
const value_string ft_kind_vals[] = { FT_KINDS(FT_VALUE) { 0, NULL } };
const value_string ft_generation_vals[] = { FT_GENERATIONS(FT_VALUE) { 0, NULL } };
const value_string ft_path_vals[] = { FT_PATHS(FT_VALUE) { 0, NULL } };

ft_packet_hand ft_hand;

/* ---- the steady time ---- */

static ft_steady_clock clock_of_file;

static nstime_t
from_microseconds(int64_t time)
{
    const int64_t rest = time % 1000000;
    nstime_t out;

    out.secs = (time_t)(time / 1000000);
    out.nsecs = (int)(rest * 1000);
    return out;
}

/* A frame without a time comes right after the one before it. */
static nstime_t
steady_now(const packet_info *pinfo)
{
    const ft_steady_line *latest = &clock_of_file.lines[clock_of_file.line];

    if (pinfo->fd->visited)
        return ft_now(pinfo);
    return from_microseconds(ft_has_time(pinfo)
                                 ? ft_steady_add(&clock_of_file, ft_microseconds(pinfo))
                                 : latest->steady);
}

void
ft_steady_proven(packet_info *pinfo, const nstime_t *earlier)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !clock_of_file.doubt || pinfo->fd->visited)
        return;
    packet->steady =
        from_microseconds(ft_steady_follows(&clock_of_file, ft_in_microseconds(earlier)));
    ft_frame_keep_steady(pinfo, &packet->steady);
}

bool
ft_steady_doubted(void)
{
    return clock_of_file.doubt;
}

void
ft_steady_keep(nstime_t *latest, const nstime_t *now)
{
    const time_t ahead = FT_STEADY_AHEAD_US / 1000000;

    if (ft_is_later(now, latest) ||
        (latest->secs - now->secs > ahead && ft_passed(now, latest).secs > ahead))
        *latest = *now;
}

/* The one in hand before is kept in the new one, as each is begun and ended within the other:
 *
 *    datagram                  begin A    in hand: A
 *    one that is quoted in it  begin B    in hand: B, whose outer one is A
 *                              end B      in hand: A */
ft_packet *
ft_packet_begin(packet_info *pinfo)
{
    ft_packet *packet = wmem_new(pinfo->pool, ft_packet);

    memset(packet, 0, G_STRUCT_OFFSET(ft_packet, ssrcs));
    packet->frame = ft_frame_id(pinfo);
    packet->part = ft_frame_next_part(pinfo);
    packet->payload_type = FT_NO_PAYLOAD_TYPE;
    packet->is_first_pass = !pinfo->fd->visited;
    packet->steady = steady_now(pinfo);
    if (packet->is_first_pass)
        ft_frame_keep_steady(pinfo, &packet->steady);
    packet->outer = ft_hand;
    ft_hand = (ft_packet_hand){ pinfo, packet };
    return packet;
}

const uint8_t *
ft_ip_header(const packet_info *pinfo, tvbuff_t *datagram)
{
    enum { UDP_HEADER = 8, IPV4_HEADER = 20, IPV6_HEADER = 40 };
    const bool is_ipv6 = pinfo->net_src.type == AT_IPv6;
    const int header = is_ipv6 ? IPV6_HEADER : IPV4_HEADER;
    const int start = tvb_raw_offset(datagram) - UDP_HEADER - header;
    ft_endpoint source = { .addr = pinfo->net_src };

    if (start < 0 || (!is_ipv6 && pinfo->net_src.type != AT_IPv4))
        return NULL;
    const uint8_t *ip = tvb_get_ptr(tvb_get_ds_tvb(datagram), start, header);
    source.addr.data = ip + (is_ipv6 ? 8 : 12);
    return ip[0] >> 4 == (is_ipv6 ? 6 : 4) && ft_address_equal(&source.addr, &pinfo->net_src)
               ? ip
               : NULL;
}

void
ft_packet_end(const ft_packet *packet)
{
    ft_hand = packet->outer;
}

/* The frame in which each bound was first met in this file: reports say from where on they lack
 * something. 0: not met. */
static uint32_t limit_frames[FT_LIMIT_COUNT];

static void
reset(void)
{
    memset(limit_frames, 0, sizeof limit_frames);
    memset(&clock_of_file, 0, sizeof clock_of_file);
}

void
ft_packet_init(void)
{
    register_init_routine(reset);
}

void
ft_limit_note(const packet_info *pinfo, ft_limit limit)
{
    if (!pinfo->fd->visited && !limit_frames[limit])
        limit_frames[limit] = ft_frame_id(pinfo);
}

uint32_t
ft_limit_frame(ft_limit limit)
{
    return limit_frames[limit];
}

void
ft_limit_met(packet_info *pinfo, ft_limit limit)
{
    ft_packet *packet = ft_packet_get(pinfo);

    ft_limit_note(pinfo, limit);
    if (packet)
        packet->limit_hit = true;
}

static const unsigned bounds[] = {
#define BOUND(bound, text) FT_MAX_##bound,
    FT_LIMITS(BOUND)
#undef BOUND
};

bool
ft_limit_allows(ft_limit limit, size_t count)
{
    return count < bounds[limit];
}

bool
ft_has_room_for(packet_info *pinfo, ft_limit limit, size_t count, size_t more)
{
    if (count + more <= bounds[limit])
        return true;
    ft_limit_met(pinfo, limit);
    return false;
}

bool
ft_has_room(packet_info *pinfo, ft_limit limit, size_t count)
{
    return ft_has_room_for(pinfo, limit, count, 1);
}

/* Packets that the snapshot length cut end in an exception as well. What stock shows until then
 * stays; the rest of the datagram counts as used, so that no other dissector is tried with it. */
int
ft_call_dissector(dissector_handle_t handle, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    volatile int used = 0;

    TRY {
        used = call_dissector_only(handle, tvb, pinfo, tree, NULL);
    }
    CATCH_BOUNDS_AND_DISSECTOR_ERRORS { /* packets cut by the snapshot length too */
        show_exception(tvb, pinfo, tree, EXCEPT_CODE, GET_MESSAGE);
        used = (int)tvb_captured_length(tvb);
    }
    ENDTRY;
    return used;
}

/* A map that is empty again with each file; its keys and values are in file scope. */
wmem_map_t *
ft_new_map(GHashFunc hash, GEqualFunc equal)
{
    return wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), hash, equal);
}

/* add_address_to_hash() takes a byte at a time. */
static inline unsigned
hash_with(uint32_t number, const address *addr)
{
    uint32_t ipv4;

    if (addr->type != AT_IPv4)
        return add_address_to_hash(number, addr);
    memcpy(&ipv4, addr->data, sizeof ipv4);
    return (unsigned)ft_hash_word(FT_HASH_BEGIN, (uint64_t)number << 32 | ipv4);
}

unsigned
ft_address_hash(const void *key)
{
    return hash_with(0, (const address *)key);
}

gboolean
ft_address_match(const void *a, const void *b)
{
    return addresses_equal((const address *)a, (const address *)b);
}

unsigned
ft_endpoint_hash(const void *key)
{
    const ft_endpoint *endpoint = (const ft_endpoint *)key;

    return hash_with(endpoint->port, &endpoint->addr);
}

gboolean
ft_endpoint_match(const void *a, const void *b)
{
    return ft_endpoint_equal((const ft_endpoint *)a, (const ft_endpoint *)b);
}

unsigned
ft_device_key_hash(const void *key)
{
    const ft_device_key *device = (const ft_device_key *)key;

    return ft_endpoint_hash(&device->end) ^ device->network << 8;
}

gboolean
ft_device_key_equal(const void *a, const void *b)
{
    const ft_device_key *x = (const ft_device_key *)a, *y = (const ft_device_key *)b;

    return x->network == y->network && ft_endpoint_equal(&x->end, &y->end);
}

/* "192.0.2.1:16402", "[2001:db8::1]:16402". Never a name: a report says the same with -n and
 * without. */
const char *
ft_endpoint_str(wmem_allocator_t *scope, const ft_endpoint *endpoint)
{
    enum { PORT_STRLEN = 6 };
    const bool is_ipv6 = endpoint->addr.type == AT_IPv6;

    if (endpoint->addr.type == AT_NONE)
        return "unknown";

    char *text = (char *)wmem_alloc(scope, 1 + WS_INET6_ADDRSTRLEN + 2 + PORT_STRLEN), *end = text;
    if (is_ipv6)
        *end++ = '[';
    address_to_str_buf(&endpoint->addr, end, WS_INET6_ADDRSTRLEN);
    end += strlen(end);
    if (is_ipv6)
        *end++ = ']';
    *end++ = ':';
    uint32_to_str_buf(endpoint->port, end, PORT_STRLEN);
    return text;
}

ft_endpoint *
ft_endpoint_key(const ft_endpoint *endpoint)
{
    const ft_endpoint kept = ft_endpoint_keep(endpoint);

    return (ft_endpoint *)wmem_memdup(wmem_file_scope(), &kept, sizeof kept);
}
