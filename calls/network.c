/* calls/network.c
 * Which network a packet's addresses are of, from the VLAN and from what stands in front of the
 * innermost IP header (the pictures: calls/network.h). Two phones with one private address in two
 * of them are two devices.
 *
 *    31      30       29 .. 0
 *    tunnel  one way  TEID, VNI, key, session or label, with a bit that makes 0 another number
 *                     than none; the VLAN is folded in, of several (QinQ) each
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/network.h"
#include "calls/packet.h"

#define PLAIN_LAYERS    5       /* frame, eth, ethertype, ip, udp: fewer have no tunnel */
#define TAG_LAYERS      2       /* vlan, ethertype: what a tag adds */
#define MAX_HEADERS     400     /* in front of the inner packet */

#define TUNNEL          0x80000000
#define ONE_WAY         0x40000000  /* the other direction has another number */

/* The number in front of the inner IP packet (bytes[ip]), whose length is given; 0 where there
 * is none. */
typedef uint32_t (*number_reader)(const uint8_t *bytes, unsigned ip, unsigned length);

/* The header has 8 bytes, 12 with a sequence number, and more with extensions, in words of 4
 * bytes. */
static uint32_t
gtp_number(const uint8_t *bytes, unsigned ip, unsigned length)
{
    for (unsigned size = 8; size <= 24 && size <= ip; size += 4) {
        const uint8_t *header = bytes + ip - size;
        if (header[0] >> 4 == 3 && header[1] == 0xff && ft_be16(header + 2) == size - 8 + length)
            return ft_be32(header + 4) | 1;
    }
    return 0;
}

/* The inner Ethernet header may bear a VLAN tag, and 4 bytes more then. */
static uint32_t
vxlan_number(const uint8_t *bytes, unsigned ip, unsigned length _U_)
{
    const unsigned size = 8 + 14;

    for (unsigned tag = 0; tag <= 4 && size + tag <= ip; tag += 4) {
        const uint8_t *header = bytes + ip - size - tag;
        if (header[0] == 0x08 && ft_be32(header) == 0x08000000 && header[7] == 0)
            return ft_be32(header + 4) >> 8 | 0x1000000;
    }
    return 0;
}

static uint32_t
gre_number(const uint8_t *bytes, unsigned ip, unsigned length _U_)
{
    return ip >= 8 && (ft_be16(bytes + ip - 8) & 0xefff) == 0x2000 ? ft_be32(bytes + ip - 4) | 1
                                                                   : 0;
}

static uint32_t
pppoe_number(const uint8_t *bytes, unsigned ip, unsigned length)
{
    return ip >= 8 && ft_be16(bytes + ip - 8) == 0x1100 && ft_be16(bytes + ip - 4) == length + 2
               ? ft_be16(bytes + ip - 6) | 0x10000
               : 0;
}

/* The label at the bottom of the stack: it alone tells the VPN, those above are the path. */
static uint32_t
mpls_number(const uint8_t *bytes, unsigned ip, unsigned length _U_)
{
    return ip >= 4 && bytes[ip - 2] & 1 ? ft_be32(bytes + ip - 4) >> 12 | 0x100000 : 0;
}

typedef struct {
    const char   *protocol;
    bool          one_way;
    number_reader read;
    int           id;
} tunnel;

static tunnel tunnels[] = {
    { "gtp", true, gtp_number, -1 },
    { "vxlan", false, vxlan_number, -1 },
    { "gre", false, gre_number, -1 },
    { "pppoes", false, pppoe_number, -1 },
    { "mpls", true, mpls_number, -1 },
};

/* Numbers of the two directions that were seen on one way: the newest, as few devices talk at once.
 * A number that was seen with two others is told of neither. */
#define PAIRS 64
static uint32_t pairs[PAIRS][2];
static unsigned pair_count;

/* By a protocol's id, 1 + its row; each packet's layers are looked up in it. */
static uint8_t *rows;
static int row_count;
static int proto_facetime = -1, proto_ethertype = -1, proto_ip = -1, proto_ipv6 = -1;

static void
reset(void)
{
    pair_count = 0;
}

void
ft_network_init(void)
{
    int last = -1;

    register_init_routine(reset);
    proto_facetime = proto_get_id_by_filter_name("facetime");
    proto_ethertype = proto_get_id_by_filter_name("ethertype");
    proto_ip = proto_get_id_by_filter_name("ip");
    proto_ipv6 = proto_get_id_by_filter_name("ipv6");
    for (unsigned i = 0; i < G_N_ELEMENTS(tunnels); i++) {
        tunnels[i].id = proto_get_id_by_filter_name(tunnels[i].protocol);
        last = MAX(last, tunnels[i].id);
    }
    row_count = last + 1;
    rows = (uint8_t *)wmem_alloc0(wmem_epan_scope(), (size_t)row_count);
    for (unsigned i = 0; i < G_N_ELEMENTS(tunnels); i++) {
        if (tunnels[i].id >= 0)
            rows[tunnels[i].id] = (uint8_t)(i + 1);
    }
}

/* Where the packet with pinfo's addresses begins in the frame, and how long it is; false where
 * it isn't there in one piece. */
static bool
find_ip(const packet_info *pinfo, const uint8_t *bytes, unsigned captured, unsigned *ip,
        unsigned *length)
{
    const bool is_v6 = pinfo->src.type == AT_IPv6;
    const unsigned size = is_v6 ? 16 : 4, at = is_v6 ? 8 : 12;

    for (*ip = 0; *ip < MAX_HEADERS && *ip + at + 2 * size <= captured; ++*ip) {
        const uint8_t *header = bytes + *ip;
        if (header[0] >> 4 != (is_v6 ? 6 : 4) || memcmp(header + at, pinfo->src.data, size) != 0 ||
            memcmp(header + at + size, pinfo->dst.data, size) != 0)
            continue;
        *length = is_v6 ? 40 + ft_be16(header + 4) : ft_be16(header + 2);
        return true;
    }
    return false;
}

/* The tags in front of the IP header, from the inside out: a customer's within a provider's. */
static uint32_t
tags_number(const uint8_t *bytes, unsigned ip, unsigned length _U_)
{
    uint32_t number = 0;

    for (unsigned tag = 6, bits = 0; tag <= ip; tag += 4, bits += 12) {
        const uint16_t protocol = ft_be16(bytes + ip - tag);
        if (protocol != 0x8100 && protocol != 0x88a8 && protocol != 0x9100)
            break;
        number ^= (uint32_t)(ft_be16(bytes + ip - tag + 2) & 0xfff) << bits % 24;
    }
    return number;
}

static uint32_t
read_number(const packet_info *pinfo, number_reader read)
{
    tvbuff_t *frame = pinfo->data_src
                          ? get_data_source_tvb((const struct data_source *)pinfo->data_src->data)
                          : NULL;
    const unsigned captured = frame ? tvb_captured_length(frame) : 0;
    unsigned ip, length;

    if (captured == 0 || (pinfo->src.type != AT_IPv4 && pinfo->src.type != AT_IPv6) ||
        pinfo->dst.type != pinfo->src.type)
        return 0;
    const uint8_t *bytes = tvb_get_ptr(frame, 0, (int)captured);
    return find_ip(pinfo, bytes, captured, &ip, &length) ? read(bytes, ip, length) : 0;
}

/* The innermost tunnel's: layers come from the outside in. */
static G_GNUC_NO_INLINE uint32_t
tunnel_of(const packet_info *pinfo)
{
    for (wmem_list_frame_t *layer = wmem_list_tail(pinfo->layers); layer;
         layer = wmem_list_frame_prev(layer)) {
        const int id = GPOINTER_TO_INT(wmem_list_frame_data(layer));
        const unsigned row = id >= 0 && id < row_count ? rows[id] : 0;
        if (row == 0)
            continue;
        const tunnel *found = &tunnels[row - 1];
        const uint32_t number = read_number(pinfo, found->read);
        return number ? TUNNEL | (found->one_way ? ONE_WAY : 0) | (number & ~(TUNNEL | ONE_WAY))
                      : 0;
    }
    return 0;
}

/* frame, eth, ethertype, ip, udp, and FaceTime's own. By their names: from 4.4 on MPLS leaves ip
 * out, so their number tells nothing. */
static bool
is_own_on_ethernet(wmem_list_t *layers)
{
    wmem_list_frame_t *third =
        wmem_list_frame_next(wmem_list_frame_next(wmem_list_head(layers)));
    const int fourth = GPOINTER_TO_INT(wmem_list_frame_data(wmem_list_frame_next(third)));

    return GPOINTER_TO_INT(wmem_list_frame_data(third)) == proto_ethertype &&
           (fourth == proto_ip || fourth == proto_ipv6) &&
           GPOINTER_TO_INT(wmem_list_frame_data(wmem_list_tail(layers))) == proto_facetime;
}

/* Nearly all packets have no tunnel, and their few layers tell that. */
static bool
has_plain_layers(wmem_list_t *layers)
{
    const unsigned count = wmem_list_count(layers);

    return count <= PLAIN_LAYERS || (count == PLAIN_LAYERS + 1 && is_own_on_ethernet(layers));
}

/* Wireshark keeps one tag's number, of several the outermost's. */
static uint32_t
vlans_of(const packet_info *pinfo)
{
    const uint32_t number =
        pinfo->vlan_id && wmem_list_count(pinfo->layers) >= PLAIN_LAYERS + 2 * TAG_LAYERS
            ? read_number(pinfo, tags_number)
            : 0;

    return number ? number : pinfo->vlan_id;
}

static G_GNUC_NO_INLINE uint32_t
find_network(const packet_info *pinfo, ft_packet *packet)
{
    const uint32_t number = has_plain_layers(pinfo->layers) ? 0 : tunnel_of(pinfo);
    const uint32_t network = number ^ vlans_of(pinfo);
    if (packet) {
        packet->has_network = true;
        packet->network = network;
    }
    return network;
}

/* Asked for several times a packet. */
uint32_t
ft_network_of(const packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    return packet && packet->has_network ? packet->network : find_network(pinfo, packet);
}

bool
ft_network_is_quoted(const packet_info *pinfo)
{
    return pinfo->flags.in_error_pkt || proto_is_frame_protocol(pinfo->layers, "icmp") ||
           proto_is_frame_protocol(pinfo->layers, "icmpv6");
}

bool
ft_network_is_symmetric(uint32_t network)
{
    return !(network & ONE_WAY) || !(network & TUNNEL);
}

/* For tables of devices, in which both directions look: where each has a number of its own (GTP,
 * MPLS), the address alone counts. */
uint32_t
ft_network_shared(const packet_info *pinfo)
{
    const uint32_t network = ft_network_of(pinfo);

    return ft_network_is_symmetric(network) ? network : 0;
}

void
ft_network_pair(uint32_t one, uint32_t other)
{
    if (one == FT_NETWORK_UNKNOWN || other == FT_NETWORK_UNKNOWN || ft_network_is_symmetric(one) ||
        ft_network_is_symmetric(other))
        return;
    for (unsigned i = 0; i < MIN(pair_count, PAIRS); i++) {
        if ((pairs[i][0] == one && pairs[i][1] == other) ||
            (pairs[i][0] == other && pairs[i][1] == one))
            return;
    }
    pairs[pair_count % PAIRS][0] = one;
    pairs[pair_count++ % PAIRS][1] = other;
}

uint32_t
ft_network_partner(uint32_t network)
{
    const uint32_t nobodys = network & ~TUNNEL;
    uint32_t partner = nobodys;

    for (unsigned i = 0; i < MIN(pair_count, PAIRS); i++) {
        if (pairs[i][0] != network && pairs[i][1] != network)
            continue;
        if (partner != nobodys)
            return nobodys;
        partner = pairs[i][pairs[i][0] == network];
    }
    return partner;
}
