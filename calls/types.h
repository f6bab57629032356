/* calls/types.h
 * The words the plugin has for a packet: what it is, of which generation, over which path.
 * They are the values of facetime.kind, facetime.generation and facetime.path.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TYPES_H
#define FT_TYPES_H

#include "ws-compat.h"
#include <epan/address.h>
#include <epan/packet.h>

/* X(enumerator, number, name that users type) */
#define FT_KINDS(X) \
    X(FT_KIND_STUN,        1, "stun") \
    X(FT_KIND_TURN,        2, "turn") \
    X(FT_KIND_SIP,         3, "sip") \
    X(FT_KIND_RTP,         4, "rtp") \
    X(FT_KIND_RTCP,        5, "rtcp") \
    X(FT_KIND_SNATMAP,     6, "snatmap") \
    X(FT_KIND_COMMNAT,     7, "commnat") \
    X(FT_KIND_QUICKRELAY,  8, "quickrelay") \
    X(FT_KIND_CONTROL,     9, "control") \
    X(FT_KIND_LINK,       10, "link") \
    X(FT_KIND_HBH,        11, "hbh") \
    X(FT_KIND_QUIC,       12, "quic") \
    X(FT_KIND_BASEBAND,   13, "baseband") \
    X(FT_KIND_DATA,       14, "data") \
    X(FT_KIND_GAMEKIT,    15, "gamekit")

#define FT_GENERATIONS(X) \
    X(FT_LEGACY, 1, "legacy") \
    X(FT_MODERN, 2, "modern") \
    X(FT_ICHAT,  3, "ichat")

#define FT_PATHS(X) \
    X(FT_PATH_RELAY,  1, "relay") \
    X(FT_PATH_DIRECT, 2, "direct") \
    X(FT_PATH_SERVER, 3, "server")

/* NOLINTNEXTLINE(bugprone-macro-parentheses): an enumerator has none */
#define FT_ENUM(name, number, text) name = number,
typedef enum { FT_KIND_UNKNOWN = 0, FT_KINDS(FT_ENUM) } ft_kind;
typedef enum { FT_GENERATION_UNKNOWN = 0, FT_GENERATIONS(FT_ENUM) } ft_generation;
typedef enum { FT_PATH_UNKNOWN = 0, FT_PATHS(FT_ENUM) } ft_path;

/* What a QUIC packet carries, where its connection id tells (calls/quic.h). */
typedef enum { FT_QUIC_UNKNOWN = 0, FT_QUIC_MEDIA, FT_QUIC_LINK } ft_quic_content;

extern const value_string ft_kind_vals[];
extern const value_string ft_generation_vals[];
extern const value_string ft_path_vals[];

/* How many elements an array has room for at first: most stay that small, and there may be tens
 * of thousands of arrays. */
#define FEW 4

/* A transport address. addr.type is AT_NONE where it isn't known. */
typedef struct {
    address  addr;
    uint16_t port;
} ft_endpoint;

/* Numbers in network byte order, of bytes that are there. */
static inline uint16_t
ft_be16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t
ft_be32(const uint8_t *bytes)
{
    return (uint32_t)ft_be16(bytes) << 16 | ft_be16(bytes + 2);
}

/* False of the few frames that no file format gave a time; ft_now() is zero there. */
static inline bool
ft_has_time(const packet_info *pinfo)
{
    return pinfo->presence_flags & PINFO_HAS_TS;
}

/* From one time to another: below zero where the clock went back. Nothing else subtracts times. As
 * nstime_delta() does, without a call of the library. */
#define FT_NS_PER_S 1000000000

static inline nstime_t
ft_passed(const nstime_t *from, const nstime_t *to)
{
    nstime_t passed = { to->secs - from->secs, to->nsecs - from->nsecs };

    if (passed.secs > 0 && passed.nsecs < 0) {
        passed.secs--;
        passed.nsecs += FT_NS_PER_S;
    } else if (passed.secs < 0 && passed.nsecs > 0) {
        passed.secs++;
        passed.nsecs -= FT_NS_PER_S;
    }
    return passed;
}

/* The plugin's one clock: the frame's absolute time without the user's time shift. A time
 * reference doesn't touch it. */
static inline nstime_t
ft_now(const packet_info *pinfo)
{
    return ft_passed(&pinfo->fd->shift_offset, &pinfo->abs_ts);
}

/* Compared without a call of the library: each packet asks a dozen times. */
static inline bool
ft_is_later(const nstime_t *time, const nstime_t *than)
{
    return time->secs > than->secs || (time->secs == than->secs && time->nsecs > than->nsecs);
}

/* The same, to the packet in hand. */
static inline nstime_t
ft_passed_since(const nstime_t *from, const packet_info *pinfo)
{
    const nstime_t now = ft_now(pinfo);

    return ft_passed(from, &now);
}

/* Seconds from one time to a later one; 0 where the clock went back. */
static inline double
ft_seconds(const nstime_t *from, const nstime_t *to)
{
    const nstime_t passed = ft_passed(from, to);

    return MAX((double)passed.secs + (double)passed.nsecs / FT_NS_PER_S, 0.0);
}

/* Of a time, or of a span. */
static inline int64_t
ft_in_microseconds(const nstime_t *time)
{
    return (int64_t)time->secs * 1000000 + time->nsecs / 1000;
}

/* Microseconds since 1970, by the same clock. */
static inline int64_t
ft_microseconds(const packet_info *pinfo)
{
    const nstime_t now = ft_now(pinfo);

    return ft_in_microseconds(&now);
}

static inline bool
ft_is_no_time(const nstime_t *time)
{
    return time->secs == 0 && time->nsecs == 0;
}

/* Milliseconds, likewise; 0 also where either is no time. Note the order: from the later one
 * back. */
static inline double
ft_milliseconds(const nstime_t *later, const nstime_t *earlier)
{
    if (ft_is_no_time(later) || ft_is_no_time(earlier))
        return 0;
    const nstime_t passed = ft_passed(earlier, later);
    return MAX((double)passed.secs * 1000 + (double)passed.nsecs / 1000000, 0.0);
}

/* Whether more than so many milliseconds lie between two of ft_steady(): mostly told by the
 * seconds. */
static inline bool
ft_is_past(const nstime_t *later, const nstime_t *earlier, int64_t milliseconds)
{
    return ((int64_t)later->secs - earlier->secs + 1) * 1000 > milliseconds &&
           ft_milliseconds(later, earlier) > (double)milliseconds;
}

/* Without a call of the library for IPv4: each packet asks a dozen times. */
static inline bool
ft_address_equal(const address *a, const address *b)
{
    uint32_t one, other;

    if (a->type != AT_IPv4 || b->type != AT_IPv4)
        return addresses_equal(a, b);
    memcpy(&one, a->data, sizeof one);
    memcpy(&other, b->data, sizeof other);
    return one == other;
}

static inline bool
ft_endpoint_equal(const ft_endpoint *a, const ft_endpoint *b)
{
    return a->port == b->port && ft_address_equal(&a->addr, &b->addr);
}

/* A map that lasts as long as a capture file, and is there before the first one. */
wmem_map_t *ft_new_map(GHashFunc hash, GEqualFunc equal);

/* For wmem maps keyed by an address. */
unsigned ft_address_hash(const void *key);
gboolean ft_address_match(const void *a, const void *b);

/* For wmem maps keyed by an ft_endpoint. */
unsigned ft_endpoint_hash(const void *key);
gboolean ft_endpoint_match(const void *a, const void *b);

/* An end in its network (calls/network.h): the same private address in another one is another
 * device. Also as keys of maps. */
typedef struct {
    ft_endpoint end;
    uint32_t    network;
} ft_device_key;
unsigned ft_device_key_hash(const void *key);
gboolean ft_device_key_equal(const void *a, const void *b);

/* "71.230.89.52:16402", "[2001:db8::1]:16402"; "unknown" without an address. Lives in scope. */
const char *ft_endpoint_str(wmem_allocator_t *scope, const ft_endpoint *endpoint);

/* The packet's ends. The addresses point into pinfo: what outlives the packet is made by
 * ft_endpoint_keep(). */
static inline ft_endpoint
ft_source(const packet_info *pinfo)
{
    return (ft_endpoint){ pinfo->src, (uint16_t)pinfo->srcport };
}

static inline ft_endpoint
ft_destination(const packet_info *pinfo)
{
    return (ft_endpoint){ pinfo->dst, (uint16_t)pinfo->destport };
}

/* A copy whose address lives as long as the capture file. */
ft_endpoint ft_endpoint_keep(const ft_endpoint *endpoint);

/* The same, as a key of its own for a map of the file's. */
ft_endpoint *ft_endpoint_key(const ft_endpoint *endpoint);

#endif
