/* calls/copies.c
 * Whether a datagram is one that the capture has already, from its bytes, its IP id and the time
 * between:
 *
 *    hash of the bytes -> the slot with the latest such datagram -> same way, or translated: a copy
 *
 * One slot a hash, so it costs the same whatever a file holds; what is pushed out is only not
 * told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/copies.h"

#include "calls/call.h"
#include "calls/limits.h"
#include "calls/resolve.h"
#include <epan/ipproto.h>

/* copies without an IP id; a batched clock brings retransmissions 8 ms apart (2023) */
#define AT_ONCE_S     0.002
#define COPY_S        0.05  /* copies with the same IP id */
/* a flow without a copy for so long is a flow of its own again: ports are used anew */
#define TWIN_S        60
#define SLOTS         4096  /* latest datagrams that are remembered, by their hash */
#define COMPARED      64    /* first bytes that are compared */

typedef struct {
    uint32_t frame;
    unsigned hash, length;
    ft_flow *flow;
    ft_endpoint source, destination;
    nstime_t time;
    uint16_t ip_id;         /* 0 where there is none */
    bool     is_media;
    uint8_t  bytes[COMPARED];
} datagram;

static datagram *slots[2];  /* media push out nothing but media; NULL before the first datagram */

static void
reset(void)
{
    slots[0] = slots[1] = NULL;
}

void
ft_copies_init(void)
{
    register_init_routine(reset);
}

static datagram *
datagram_slot_of(const datagram *now)
{
    datagram **table = &slots[now->is_media];

    if (!*table)
        *table = wmem_alloc0_array(wmem_file_scope(), datagram, SLOTS);
    return &(*table)[now->hash % SLOTS];
}

/* Of the IPv4 header without options in front of UDP's; 0 elsewhere (IPv6, fragments put
 * together). */
static uint16_t
ip_id_of(tvbuff_t *tvb, const packet_info *pinfo)
{
    tvbuff_t *frame = tvb_get_ds_tvb(tvb);
    const int ip = tvb_raw_offset(tvb) - 8 - 20;

    if (pinfo->src.type != AT_IPv4 || ip < 0 || tvb_get_uint8(frame, ip) != 0x45 ||
        tvb_get_uint8(frame, ip + 9) != IP_PROTO_UDP ||
        tvb_memeql(frame, ip + 12, (const uint8_t *)pinfo->src.data, 4))
        return 0;
    return tvb_get_ntohs(frame, ip + 4);
}

/* wmem's and GLib's strong hashes differ from run to run, and with them which datagrams share a
 * slot: what is told must not. */
static unsigned
hash_of(const uint8_t *bytes, unsigned length)
{
    uint64_t hash = length;

    for (unsigned i = 0; i < COMPARED; i += sizeof hash) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (unsigned)hash;
}

/* RTP by its first byte, or in ChannelData or a relay's header behind that; neither is exact,
 * nor need it be. */
static bool
is_media_bytes(const uint8_t *bytes)
{
    return bytes[0] >> 6 == 2 || (bytes[0] >> 6 == 1 && (bytes[0] == 0x60 || bytes[4] >> 6 == 2));
}

static void
read_datagram(tvbuff_t *tvb, packet_info *pinfo, ft_flow *flow, datagram *now)
{
    const unsigned compared = MIN(tvb_captured_length(tvb), COMPARED);

    now->frame = ft_frame_id(pinfo);
    now->length = tvb_reported_length(tvb);
    now->flow = flow;
    now->source = ft_source(pinfo);
    now->destination = ft_destination(pinfo);
    now->time = ft_now(pinfo);
    now->ip_id = ip_id_of(tvb, pinfo);
    memset(now->bytes, 0, sizeof now->bytes);
    tvb_memcpy(tvb, now->bytes, 0, compared);
    now->hash = hash_of(now->bytes, now->length);
    now->is_media = is_media_bytes(now->bytes);
}

static ft_heading
heading_of(const datagram *now)
{
    return ft_endpoint_equal(&now->source, &now->flow->a) ? FT_FORTH : FT_BACK;
}

static bool
is_same_way(const datagram *one, const datagram *other)
{
    return one->flow == other->flow && ft_endpoint_equal(&one->source, &other->source);
}

/* Inside and outside of a NAT; a device that sends the same over two networks has two addresses
 * of one kind. */
static bool
is_nat_pair(const ft_endpoint *one, const ft_endpoint *other)
{
    return ft_is_private(&one->addr) != ft_is_private(&other->addr);
}

/* A NAT leaves one end as it is, 464XLAT changes the family of both, a router between VLANs
 * neither end. */
static bool
is_translated(const datagram *one, const datagram *other)
{
    const bool same_source = ft_endpoint_equal(&one->source, &other->source);
    const bool same_destination = ft_endpoint_equal(&one->destination, &other->destination);

    if (one->flow == other->flow)
        return false;
    if (same_source && same_destination)
        return true;
    return (same_source && is_nat_pair(&one->destination, &other->destination)) ||
           (same_destination && is_nat_pair(&one->source, &other->source)) ||
           one->source.addr.type != other->source.addr.type;
}

static bool
is_copy(const datagram *now, const datagram *before)
{
    const double passed = ft_seconds(&before->time, &now->time);
    const bool has_ids = now->ip_id && before->ip_id;

    if (!before->frame || before->hash != now->hash || before->length != now->length ||
        memcmp(before->bytes, now->bytes, sizeof now->bytes) != 0)
        return false;
    if ((now->ip_id || before->ip_id) && now->source.addr.type == before->source.addr.type &&
        now->ip_id != before->ip_id)
        return false;
    if (is_same_way(
            now,
            before)) /* without an IP id,
                only where nothing of the flow came between: clocks may be batched */
        return has_ids ? passed <= COPY_S || now->flow->ids_differ[heading_of(now)]
                       : passed <= AT_ONCE_S && before->frame == now->flow->last_datagram;
    return passed <= (has_ids ? COPY_S : AT_ONCE_S) && is_translated(now, before);
}

static void
remember(const datagram *now)
{
    datagram *slot = datagram_slot_of(now);

    *slot = *now;
    slot->source = ft_endpoint_equal(&now->source, &now->flow->a) ? now->flow->a : now->flow->b;
    slot->destination =
        ft_endpoint_equal(&now->destination, &now->flow->b) ? now->flow->b : now->flow->a;
}

static void
note_copy(packet_info *pinfo, ft_packet *packet, uint32_t first)
{
    ft_frame *frame = ft_frame_make(pinfo);

    frame->seen_before = first;
    frame->flow = packet->flow;
    frame->is_copy = packet->seen_before;
}

/* The flow of the packet is another's twin: that one is learnt from, whichever copy comes first. */
static void
follow_twin(ft_packet *packet, const datagram *now)
{
    ft_flow *flow = packet->flow;

    if (!flow->twin || ft_seconds(&flow->twin_time, &now->time) > TWIN_S)
        return;
    packet->flow = flow->twin;
    packet->seen_before = true;
}

static void
note_ip_id(ft_flow *flow, const datagram *now)
{
    const ft_heading heading = heading_of(now);
    const uint16_t last = flow->last_ip_id[heading];

    flow->ids_differ[heading] |= last && now->ip_id && last != now->ip_id;
    flow->last_ip_id[heading] = now->ip_id;
}

static void
learn_copy(packet_info *pinfo, ft_packet *packet, const datagram *now)
{
    datagram *before = datagram_slot_of(now);
    const bool copy = is_copy(now, before);
    ft_flow *flow = packet->flow;

    if (copy && is_translated(now, before) && !flow->twin && before->flow->twin != flow) {
        flow->twin = before->flow;
        ft_call_changes++;
    }
    if (copy && flow->twin)
        flow->twin_time = now->time;
    if (copy && before->flow->twin == flow)
        before->flow->twin_time = now->time;
    follow_twin(packet, now);
    if (copy && before->flow == flow) {
        packet->seen_before = true;
        flow->two_clocks |= ft_seconds(&before->time, &now->time) > COPY_S;
    }
    if (copy || packet->seen_before)
        note_copy(pinfo, packet, copy ? before->frame : 0);
    if (!copy)
        remember(now);
    note_ip_id(flow, now);
    flow->last_datagram = now->frame;
}

void
ft_copies_judge(tvbuff_t *tvb, packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);
    datagram now;

    if (!packet || !packet->flow || pinfo->flags.in_error_pkt)
        return;
    if (pinfo->fd->visited) {
        const ft_frame *frame = ft_frame_get(pinfo);
        packet->seen_before = frame && (frame->is_copy || frame->at_other_end);
        if (frame && frame->is_copy)
            packet->flow = frame->flow;
        if (frame && frame->at_other_end)
            return;
    } else {
        read_datagram(tvb, pinfo, packet->flow, &now);
        learn_copy(pinfo, packet, &now);
    }
    if (packet->seen_before && packet->leg)
        packet->leg = &packet->flow->direct;
}
