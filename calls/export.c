/* calls/export.c
 *
 *      before:  IP relay        after:  IP far end
 *               UDP                     UDP
 *               ChannelData             content
 *                 content
 *
 * Wireshark writes what the tap tells as a packet: the IP and UDP headers made here, then the
 * content.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/export.h"

#include <epan/exported_pdu.h>
#include <epan/in_cksum.h>
#include <epan/ipproto.h>
#include <epan/tap.h>
#include <wiretap/wtap.h>

#define EXPORT_NAME "FaceTime without relay"

#define IPV4_LENGTH 20
#define IPV6_LENGTH 40
#define UDP_LENGTH  8
#define HOP_LIMIT   64
#define FAR_PORT    16402   /* that FaceTime's devices use */

/* without an address: as many as 192.0.2.0/24 has; the maps are of these and of 5-tuples */
#define MOST_FAR_ENDS 254

static int export_tap = -1;
/* who is behind the relay, as 8 bytes -> number of the documentation address */
static wmem_map_t *far_ends;
static wmem_map_t *flow_ends;   /* number of the 5-tuple -> that of its documentation address */
static wmem_map_t *flow_owners; /* number of the 5-tuple -> the first who was named on it */
static unsigned far_end_total;

/* ---- far ends without an address ---- */

/* 192.0.2.1 to .254, 2001:db8::1 to ::fe, in the order of their coming; .255 stands for all that
 * come later. */
static unsigned
new_number(void)
{
    far_end_total = MIN(far_end_total + 1, MOST_FAR_ENDS + 1);
    return far_end_total;
}

/* An empty map: another file was opened since. */
static unsigned
number_of_flow(const ft_flow *flow)
{
    void *key = GUINT_TO_POINTER(flow ? flow->number : 0);
    unsigned number = GPOINTER_TO_UINT(wmem_map_lookup(flow_ends, key));

    if (number)
        return number;
    if (wmem_map_size(flow_ends) == 0)
        far_end_total = 0;
    number = new_number();
    wmem_map_insert(flow_ends, key, GUINT_TO_POINTER(number));
    return number;
}

/* Who is named first on a 5-tuple is who its other packets are with, whether they name anybody
 * or not: a call of two. who 0: nobody is named. */
static unsigned
number_of(const ft_flow *flow, uint64_t who)
{
    void *flow_key = GUINT_TO_POINTER(flow ? flow->number : 0);
    const unsigned number_here = number_of_flow(flow),
                   known = GPOINTER_TO_UINT(wmem_map_lookup(far_ends, &who));

    if (!who || known)
        return who ? known : number_here;
    const bool is_first = !wmem_map_contains(flow_owners, flow_key);
    const unsigned number = is_first ? number_here : new_number();
    if (number > MOST_FAR_ENDS)
        return number;

    uint64_t *key = wmem_new(wmem_file_scope(), uint64_t);
    *key = who;
    wmem_map_insert(far_ends, key, GUINT_TO_POINTER(number));
    if (is_first)
        wmem_map_insert(flow_owners, flow_key, key);
    return number;
}

static ft_endpoint
documentation_end(packet_info *pinfo, address_type type, unsigned number)
{
    static const uint8_t prefix4[4] = { 192, 0, 2 }, prefix6[16] = { 0x20, 0x01, 0x0d, 0xb8 };
    const int length = type == AT_IPv6 ? 16 : 4;
    uint8_t *bytes =
        (uint8_t *)wmem_memdup(pinfo->pool, type == AT_IPv6 ? prefix6 : prefix4, (size_t)length);
    ft_endpoint end = { ADDRESS_INIT_NONE, FAR_PORT };

    bytes[length - 1] = (uint8_t)number;
    set_address(&end.addr, type, length, bytes);
    return end;
}

/* The participant whom the header names, or who announced the link that it names; else 0. */
static uint64_t
who_of(packet_info *pinfo, const ft_relay_header *header)
{
    const ft_relay_link *link = header->has_link ? ft_relay_link_find(pinfo, header->link) : NULL;
    uint64_t who = 0;

    if (header->has_participant)
        memcpy(&who, header->participant, sizeof who);
    else if (link && link->has_participant)
        memcpy(&who, link->participant, sizeof who);
    return who;
}

/* ---- headers ---- */

static void
put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void
put_ipv4(uint8_t *at, const address *source, const address *destination, unsigned udp_length)
{
    at[0] = 0x45;
    put16(at + 2, IPV4_LENGTH + udp_length);
    at[8] = HOP_LIMIT;
    at[9] = IP_PROTO_UDP;
    memcpy(at + 12, source->data, 4);
    memcpy(at + 16, destination->data, 4);
    const uint16_t sum = ip_checksum(at, IPV4_LENGTH);
    memcpy(at + 10, &sum, sizeof sum);
}

static void
put_ipv6(uint8_t *at, const address *source, const address *destination, unsigned udp_length)
{
    at[0] = 0x60;
    put16(at + 4, udp_length);
    at[6] = IP_PROTO_UDP;
    at[7] = HOP_LIMIT;
    memcpy(at + 8, source->data, 16);
    memcpy(at + 24, destination->data, 16);
}

/* 0 is none, which UDP over IPv6 doesn't allow: but of what the capture cut, nobody knows it. */
static uint16_t
udp_checksum(const uint8_t *ip, const uint8_t *udp, tvbuff_t *tvb)
{
    const unsigned length = tvb_reported_length(tvb), addresses = ip[0] == 0x45 ? 8 : 32;
    uint8_t rest[8] = { 0, 0, 0, 0, 0, 0, 0, IP_PROTO_UDP };
    vec_t parts[4] = {
        { ip + (ip[0] == 0x45 ? 12 : 8), (int)addresses },
        { rest, sizeof rest },
        { udp, UDP_LENGTH },
    };

    if (tvb_captured_length(tvb) < length)
        return 0;
    put16(rest + 2, UDP_LENGTH + length);
    if (length)
        SET_CKSUM_VEC_PTR(parts[3], tvb_get_ptr(tvb, 0, (int)length), (int)length);
    const int sum = in_cksum(parts, length ? 4 : 3);
    return sum ? (uint16_t)sum : 0xffff;
}

static void
tell(packet_info *pinfo, const ft_endpoint *source, const ft_endpoint *destination, tvbuff_t *tvb)
{
    const bool is_ipv6 = source->addr.type == AT_IPv6;
    const unsigned ip_length = is_ipv6 ? IPV6_LENGTH : IPV4_LENGTH;
    const unsigned udp_length = UDP_LENGTH + tvb_reported_length(tvb);

    if (source->addr.type != destination->addr.type || (!is_ipv6 && source->addr.type != AT_IPv4) ||
        ip_length + udp_length > G_MAXUINT16)
        return;

    exp_pdu_data_t *told = wmem_new0(pinfo->pool, exp_pdu_data_t);
    uint8_t *ip = (uint8_t *)wmem_alloc0(pinfo->pool, ip_length + UDP_LENGTH),
            *udp = ip + ip_length;
    if (is_ipv6)
        put_ipv6(ip, &source->addr, &destination->addr, udp_length);
    else
        put_ipv4(ip, &source->addr, &destination->addr, udp_length);
    put16(udp, source->port);
    put16(udp + 2, destination->port);
    put16(udp + 4, udp_length);
    const uint16_t sum = udp_checksum(ip, udp, tvb);
    memcpy(udp + 6, &sum, sizeof sum);

    told->tlv_buffer = ip;
    told->tlv_buffer_len = ip_length + UDP_LENGTH;
    told->tvb_captured_length = tvb_captured_length(tvb);
    told->tvb_reported_length = tvb_reported_length(tvb);
    told->pdu_tvb = tvb;
    tap_queue_packet(export_tap, pinfo, told);
}

/* ---- what is told ---- */

static bool
is_exported(const packet_info *pinfo, const ft_packet *packet)
{
    return have_tap_listener(export_tap) && packet && !pinfo->flags.in_error_pkt &&
           pinfo->ptype == PT_UDP;
}

static bool
is_uplink(const packet_info *pinfo, const ft_packet *packet)
{
    if (packet->flow && packet->flow->server)
        return ft_flow_is_uplink(packet->flow, pinfo);
    return ft_relay_direction(pinfo) != FT_DOWNLINK;
}

/* A peer of another IP version than the device's (the relay translates) can't stand in one
 * packet with it. */
static void
tell_relayed(packet_info *pinfo, const ft_packet *packet, const ft_endpoint *named, uint64_t who,
             tvbuff_t *tvb)
{
    const bool uplink = is_uplink(pinfo, packet);
    const ft_endpoint device = uplink ? ft_source(pinfo) : ft_destination(pinfo);
    const ft_endpoint far =
        named && named->addr.type == device.addr.type
            ? *named
            : documentation_end(pinfo, device.addr.type, number_of(packet->flow, who));

    tell(pinfo, uplink ? &device : &far, uplink ? &far : &device, tvb);
}

void
ft_export_inner(packet_info *pinfo, const ft_packet *packet, tvbuff_t *tvb)
{
    if (!is_exported(pinfo, packet) || packet->path != FT_PATH_RELAY)
        return;

    const ft_endpoint *named =
        packet->peer.addr.type != AT_NONE || !packet->leg ? &packet->peer : &packet->leg->peer;
    tell_relayed(pinfo, packet, named, 0, tvb);
}

void
ft_export_body(packet_info *pinfo, const ft_packet *packet, const ft_relay_header *header,
               tvbuff_t *tvb)
{
    if (is_exported(pinfo, packet))
        tell_relayed(pinfo, packet, NULL, who_of(pinfo, header), tvb);
}

/* TURN's own messages are for the relay alone. */
void
ft_export_whole(packet_info *pinfo, const ft_packet *packet, tvbuff_t *tvb)
{
    if (!is_exported(pinfo, packet) || packet->path == FT_PATH_RELAY ||
        (packet->path == FT_PATH_SERVER && packet->kind == FT_KIND_TURN))
        return;

    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    tell(pinfo, &source, &destination, tvb);
}

void
ft_export_init(void)
{
    export_tap = register_export_pdu_tap_with_encap(EXPORT_NAME, WTAP_ENCAP_RAW_IP);
    far_ends = ft_new_map(g_int64_hash, g_int64_equal);
    flow_ends = ft_new_map(g_direct_hash, g_direct_equal);
    flow_owners = ft_new_map(g_direct_hash, g_direct_equal);
}
