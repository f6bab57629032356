/* calls/copies.c
 * Whether a datagram is one that the capture has already, from its bytes, its IP id and the time
 * between:
 *
 *    hash of the bytes -> the slot with the latest such datagram -> same way, or translated: a copy
 *
 * A few slots a hash, so it costs the same whatever a file holds; what is pushed out is only not
 * told.
 *
 *    after the first           up to 6 ms                    up to 50 ms          later
 *    same ends, same IP id     copy                          copy                 copy, where ids
 *                                                                                 differ at all
 *    same ends, no IP id       copy: right behind, or of a   copy: as late as a   sent again
 *                              flow that is mirrored         mirror's latest, or
 *                                                            as all of its flow
 *    NAT, same IP id           copy                          copy                 another
 *    NAT, other id or none     copy (other id: other TTL)    another              another
 *    464XLAT                   copy                          copy, by address     another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/copies.h"

#include "calls/call.h"
#include "calls/limits.h"
#include "calls/media.h"
#include "calls/resolve.h"
#include <epan/ipproto.h>
#include <math.h>

/* copies without an IP id; a batched clock brings retransmissions 8 ms apart (2023) */
#define AT_ONCE_S     0.006
#define COPY_S        0.05 /* copies with the same IP id, or told by their addresses */
/* a flow without a copy for so long is a flow of its own again: ports are used anew */
#define TWIN_S        60
#define SLOTS         4096 /* latest datagrams that are remembered, media's and others' */
#define SLOTS_PER_SET 4    /* for one hash: a phone's own capture brings 300 packets at once */
#define COMPARED      64   /* first bytes that are compared */
#define LAST          8    /* and last ones: where only a tag differs it is another message */
/* Datagrams that came again so often, and one in so many, are mirrored: each comes twice, and by
 * a way of much the same length. Nobody sends a tenth of what he sends again within 6 ms; less
 * than half, since a batch of hundreds may come before the first of its copies. */
#define MIRRORED      3
#define MIRRORED_OF   10
#define LATEST        1024 /* of them count */
#define DELAYS        4    /* latest ways of mirrored datagrams, as times */
#define SAME_DELAY_S  0.001

typedef struct {
    uint32_t frame;
    unsigned hash, length;
    ft_flow *flow;
    ft_endpoint source, destination;
    nstime_t time;
    uint16_t ip_id; /* 0 where there is none */
    uint8_t ttl;
    bool is_media;
    ft_heading heading; /* in its flow */
    unsigned captured;
    uint32_t order; /* among those of its flow's heading */
    /* last: of one without an IP id, whose bytes alone tell it, a hash of the others */
    uint8_t bytes[COMPARED], last[LAST];
} datagram;

/* What came again of all datagrams, and how long after the first. */
static ft_again again;
static double delays[DELAYS];
static unsigned next_delay;

/* A flow whose datagrams come again later than at once, each by the same time: a mirror's, from
 * afar. Who sends a message again, or answers one that came again, leaves others out. */
#define LATE_FLOWS 16
#define LATE_RUN   12 /* datagrams each way, one after the other */
#define LATE_LOST  8  /* that one weighs which doesn't come again: a mirror may lose some */
#define LATE_MOST  64 /* that count */
typedef struct {
    uint32_t sent, last; /* orders: of the latest datagram, of the latest that came again */
    unsigned run;
    double delay;
} late_way;
static struct {
    const ft_flow *flow;
    late_way ways[2]; /* of each heading */
} late[LATE_FLOWS];

static datagram *slots[2]; /* media push out nothing but media; NULL before the first datagram */

/* What isn't a datagram of a flow: the latest ones, by their keys. */
#define RARE_SLOTS 64
static struct {
    uint64_t key;
    uint32_t frame;
    nstime_t time;
} rare[RARE_SLOTS];

static void
reset(void)
{
    slots[0] = slots[1] = NULL;
    memset(rare, 0, sizeof rare);
    memset(late, 0, sizeof late);
    again = (ft_again){ 0 };
    next_delay = 0;
}

void
ft_copies_init(void)
{
    register_init_routine(reset);
}

/* Of IPv4 without options; zeros elsewhere. header: or NULL. */
static void
read_ip(const uint8_t *header, datagram *now)
{
    now->ip_id = 0;
    now->ttl = 0;
    if (!header || header[0] != 0x45 || header[9] != IP_PROTO_UDP)
        return;
    now->ip_id = (uint16_t)(header[4] << 8 | header[5]);
    now->ttl = header[8];
}

/* wmem's and GLib's strong hashes differ from run to run, and with them which datagrams share a
 * slot: what is told must not. */
static unsigned
bytes_hash(const uint8_t *bytes, unsigned length)
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

/* Compared alone: no bit of it chooses a slot, so none need be mixed with the others. */
static uint64_t
hash_of_rest(const uint8_t *bytes, unsigned length)
{
    uint64_t hash = length, words[4];

    for (; length >= sizeof words; bytes += sizeof words, length -= (unsigned)sizeof words) {
        memcpy(words, bytes, sizeof words);
        for (unsigned i = 0; i < G_N_ELEMENTS(words); i++)
            hash = (hash + words[i]) * UINT64_C(0x9e3779b97f4a7c15);
    }
    for (; length >= sizeof *words; bytes += sizeof *words, length -= (unsigned)sizeof *words) {
        memcpy(words, bytes, sizeof *words);
        hash = (hash + *words) * UINT64_C(0x9e3779b97f4a7c15);
    }
    for (; length; bytes++, length--)
        hash = (hash ^ *bytes) * UINT64_C(0x9e3779b97f4a7c15);
    return hash;
}

static void
read_bytes(datagram *now, const uint8_t *bytes)
{
    const unsigned compared = MIN(now->captured, COMPARED), rest = now->captured - compared;

    if (compared == COMPARED) { /* nearly always: no call of the library */
        memcpy(now->bytes, bytes, COMPARED);
    } else {
        memset(now->bytes, 0, COMPARED);
        memcpy(now->bytes, bytes, compared);
    }
    memset(now->last, 0, LAST);
    if (!now->ip_id) {
        const uint64_t hash = rest ? hash_of_rest(bytes + compared, rest) : 0;
        memcpy(now->last, &hash, LAST);
    } else if (now->captured >= LAST) {
        memcpy(now->last, bytes + now->captured - LAST, LAST);
    }
}

static void
read_datagram(tvbuff_t *tvb, packet_info *pinfo, ft_flow *flow, const uint8_t *ip, datagram *now)
{
    now->frame = ft_frame_id(pinfo);
    now->length = tvb_reported_length(tvb);
    now->flow = flow;
    now->source = ft_source(pinfo);
    now->destination = ft_destination(pinfo);
    now->heading = ft_endpoint_equal(&now->source, &flow->a) ? FT_FORTH : FT_BACK;
    now->time = ft_now(pinfo);
    read_ip(ip, now);
    now->captured = tvb_captured_length(tvb);
    read_bytes(now, tvb_get_ptr(tvb, 0, (int)now->captured));
    now->hash = bytes_hash(now->bytes, now->length);
    now->is_media = is_media_bytes(now->bytes);
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

/* The same packet a router farther: also between two private networks. */
static bool
is_routed(const datagram *one, const datagram *other)
{
    return one->ip_id && one->ip_id == other->ip_id && one->ttl != other->ttl;
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
    if (is_routed(one, other) && (same_source || same_destination))
        return true;
    return (same_source && is_nat_pair(&one->destination, &other->destination)) ||
           (same_destination && is_nat_pair(&one->source, &other->source)) ||
           one->source.addr.type != other->source.addr.type;
}

/* RFC 6052: an IPv6 address that stands for an IPv4 one ends in it (prefixes of 96 bits). */
static bool
embeds(const address *six, const address *four)
{
    return six->type == AT_IPv6 && four->type == AT_IPv4 &&
           memcmp((const uint8_t *)six->data + 12, four->data, 4) == 0;
}

/* 464XLAT leaves the far end's address in the new one. */
static bool
is_464(const datagram *one, const datagram *other)
{
    const datagram *six = one->source.addr.type == AT_IPv6 ? one : other;
    const datagram *four = six == one ? other : one;

    return embeds(&six->source.addr, &four->source.addr) ||
           embeds(&six->destination.addr, &four->destination.addr);
}

/* The last bytes only where both places kept as much of it. */
static bool
is_same_datagram(const datagram *now, const datagram *before)
{
    return before->frame && before->hash == now->hash && before->length == now->length &&
           memcmp(before->bytes, now->bytes, sizeof now->bytes) == 0 &&
           (before->captured != now->captured || !before->ip_id != !now->ip_id ||
            memcmp(before->last, now->last, sizeof now->last) == 0);
}

/* The place that is learnt from, of what a flow's datagrams are copies of. */
static const ft_flow *
learnt_place_of(const ft_flow *flow)
{
    return flow->twin ? flow->twin : flow;
}

static bool
was_twin_lately(const ft_flow *flow, const datagram *now)
{
    return flow && flow->twin && ft_seconds(&flow->twin_time, &now->time) <= TWIN_S;
}

/* Either as the copy, or as what is copied. */
static bool
has_twin(const datagram *now)
{
    return was_twin_lately(now->flow, now) || was_twin_lately(now->flow->twin_of_it, now);
}

/* A device that sends or gets the same over two networks, each seen on both sides of a NAT: a flow
 * that has its twin has no other. */
static bool
has_another_twin(const datagram *now, const datagram *before)
{
    return has_twin(now) && learnt_place_of(now->flow) != learnt_place_of(before->flow);
}

/* At another place, where nobody sends it again. Some NATs give packets numbers of their own; who
 * sends the same over two networks has passed no router in between. */
static bool
is_translated_copy(const datagram *now, const datagram *before, double passed)
{
    const bool has_ids = now->ip_id && before->ip_id;

    if (!is_translated(now, before) || has_another_twin(now, before))
        return false;
    if (now->source.addr.type != before->source.addr.type)
        return passed <= (is_464(now, before) ? COPY_S : AT_ONCE_S);
    if (now->ip_id != before->ip_id)
        return passed <= AT_ONCE_S && now->ttl != before->ttl;
    return passed <= (has_ids ? COPY_S : AT_ONCE_S);
}

static bool
is_mirrored(const ft_again *of)
{
    return of->again >= MIRRORED && of->again * MIRRORED_OF >= of->all;
}

/* As long after the first as the latest of the mirror's copies were: a slow mirror's come later
 * than some retransmissions. */
static bool
is_mirrors_delay(double passed)
{
    for (unsigned i = 0; i < MIN(next_delay, DELAYS); i++) {
        if (fabs(passed - delays[i]) <= SAME_DELAY_S)
            return true;
    }
    return false;
}

static late_way *
late_ways_of(const ft_flow *flow)
{
    const unsigned at = flow->number % LATE_FLOWS;

    if (late[at].flow != flow) {
        memset(&late[at], 0, sizeof late[at]);
        late[at].flow = flow;
    }
    return late[at].ways;
}

static bool
is_late_mirrors(const datagram *now, double passed)
{
    const late_way *ways = late_ways_of(now->flow);

    return ways[0].run >= LATE_RUN && ways[1].run >= LATE_RUN &&
           fabs(ways[0].delay - ways[1].delay) <= SAME_DELAY_S &&
           fabs(ways[now->heading].delay - passed) <= SAME_DELAY_S;
}

/* Of each datagram, whether it is the next one to come again, or a new one. */
static void
note_late(datagram *now, const datagram *before, bool comes_again, double passed)
{
    late_way *way = &late_ways_of(now->flow)[now->heading];

    if (!comes_again) {
        now->order = ++way->sent;
        return;
    }
    now->order = before->order;
    if (passed <= AT_ONCE_S || passed > COPY_S) {
        way->run = 0;
        return;
    }
    const uint64_t lost = (uint64_t)LATE_LOST * (uint32_t)(before->order - way->last - 1);
    if (lost > way->run || fabs(passed - way->delay) > SAME_DELAY_S)
        way->run = 0;
    else
        way->run = MIN(way->run - (unsigned)lost + 1, LATE_MOST);
    way->last = before->order;
    way->delay = passed;
}

/* The same number, none, says nothing: a copy is what nothing of the flow came before (clocks may
 * be batched), or what comes from a mirror. */
static bool
is_copy_without_id(const datagram *now, const datagram *before, double passed)
{
    if (passed <= AT_ONCE_S && before->frame == now->flow->last_datagram)
        return true;
    if (passed <= AT_ONCE_S && is_mirrored(&now->flow->again))
        return true;
    return passed <= COPY_S &&
           ((is_mirrored(&again) && is_mirrors_delay(passed)) || is_late_mirrors(now, passed));
}

static bool
is_copy(const datagram *now, const datagram *before)
{
    if (!is_same_datagram(now, before))
        return false;

    const double passed = ft_seconds(&before->time, &now->time);
    if (!is_same_way(now, before))
        return is_translated_copy(now, before, passed);
    if (now->ip_id != before->ip_id)
        return false;
    if (now->ip_id)
        return passed <= COPY_S || now->flow->ids_differ[now->heading];
    return is_copy_without_id(now, before, passed);
}

static bool
is_sent_again(const datagram *now, const datagram *before)
{
    return is_same_datagram(now, before) && is_same_way(now, before) && now->ip_id == before->ip_id;
}

/* Without a frame nothing else of a slot is looked at. */
static datagram *
empty_table(void)
{
    datagram *table = wmem_alloc_array(wmem_file_scope(), datagram, SLOTS);

    for (datagram *slot = table; slot < table + SLOTS; slot++)
        slot->frame = 0;
    return table;
}

/* Where several may be what this is a copy of: the same way, the flow's twin, ports that a NAT has
 * kept, a flow that nobody is the twin of. */
static unsigned
likeness(const datagram *now, const datagram *before)
{
    if (is_same_way(now, before))
        return 5;
    if (has_twin(now) && learnt_place_of(now->flow) == learnt_place_of(before->flow))
        return 4;
    if (now->source.port == before->source.port &&
        now->destination.port == before->destination.port)
        return 3;
    return before->flow->twin_of_it ? 1 : 2;
}

/* The slot with what this is a copy of, or repeats; else the one that gives way, the oldest.
 * Messages that are sent again within a batch of the clock have a slot each, by their IP ids. */
static datagram *
datagram_slot_of(const datagram *now)
{
    datagram **table = &slots[now->is_media];

    if (!*table)
        *table = empty_table();
    datagram *set = &(*table)[now->hash % (SLOTS / SLOTS_PER_SET) * SLOTS_PER_SET];
    datagram *oldest = set, *same = NULL, *first = NULL;

    for (datagram *slot = set; slot < set + SLOTS_PER_SET; slot++) {
        if (slot->frame < oldest->frame)
            oldest = slot;
        if (!is_same_datagram(now, slot))
            continue;
        if (is_copy(now, slot) && (!first || likeness(now, slot) > likeness(now, first)))
            first = slot;
        if (is_sent_again(now, slot))
            same = slot;
    }
    if (first)
        return first;
    return same ? same : oldest;
}

/* Halved now and then, so that the latest hundreds count. */
static void
count_again(ft_again *of, bool comes_again)
{
    if (comes_again && of->again < LATEST)
        of->again++;
    else if (!comes_again)
        of->all++;
    if (of->all == LATEST) {
        of->all /= 2;
        of->again /= 2;
    }
}

/* Whatever came at once on the same way counts for it, known as a copy or not, and other
 * datagrams against it. */
static void
note_mirror(ft_flow *flow, bool is_again, double passed, bool copy)
{
    const bool comes_again = is_again && passed <= (copy ? COPY_S : AT_ONCE_S);

    count_again(&flow->again, comes_again);
    count_again(&again, comes_again);
    if (comes_again)
        delays[next_delay++ % DELAYS] = passed;
}

static void
remember_datagram(datagram *slot, const datagram *now)
{
    *slot = *now;
    slot->source = now->heading == FT_FORTH ? now->flow->a : now->flow->b;
    slot->destination = now->heading == FT_FORTH ? now->flow->b : now->flow->a;
}

/* Of a flow with a twin the later copy is learnt from where the twin's packet came ahead: what is
 * found out of it is the earlier one's, too. */
static void
note_copy(packet_info *pinfo, ft_packet *packet, uint32_t first)
{
    ft_frame *frame = ft_frame_make(pinfo), *before = ft_frame_lately(first);

    frame->seen_before = first;
    frame->flow = packet->flow;
    frame->is_copy = packet->seen_before;
    if (frame->is_copy) {
        frame->first = before && before->is_copy && before->first ? before->first : before;
    } else if (before && before->is_copy) {
        before->first = frame;
        packet->ahead = before;
    }
}

/* The flow of the packet is another's twin: that one is learnt from, whichever copy comes first. */
static void
follow_twin(ft_packet *packet, const datagram *now)
{
    ft_flow *flow = packet->flow;

    if (!was_twin_lately(flow, now))
        return;
    packet->flow = flow->twin;
    packet->seen_before = true;
}

static void
note_ip_id(ft_flow *flow, const datagram *now)
{
    const uint16_t last = flow->last_ip_id[now->heading];

    flow->ids_differ[now->heading] |= last && now->ip_id && last != now->ip_id;
    flow->last_ip_id[now->heading] = now->ip_id;
}

/* The device's end is the one that the NAT changed, or whose other end is the relay. */
static bool
is_device_source(const datagram *now, const datagram *before)
{
    const ft_endpoint *client = ft_flow_client(before->flow);

    if (client)
        return ft_endpoint_equal(client, &before->source);
    return !ft_endpoint_equal(&now->source, &before->source);
}

static void
tie_twins(packet_info *pinfo, ft_flow *flow, const datagram *now, const datagram *before)
{
    const bool is_sent = is_device_source(now, before);

    flow->twin = before->flow;
    before->flow->twin_of_it = flow;
    ft_call_changes++;
    ft_call *call =
        ft_call_tie(pinfo, before->flow, is_sent ? &before->source : &before->destination, flow,
                    is_sent ? &now->source : &now->destination);
    if (call)
        ft_media_same_way(call, before->frame);
}

static void
learn_copy(packet_info *pinfo, ft_packet *packet, datagram *now)
{
    datagram *before = datagram_slot_of(now);
    const bool copy = is_copy(now, before), is_again = is_sent_again(now, before);
    const double passed = is_again ? ft_seconds(&before->time, &now->time) : 0;
    ft_flow *flow = packet->flow;

    if (copy && is_translated(now, before) && !flow->twin && before->flow->twin != flow)
        tie_twins(pinfo, flow, now, before);
    if (copy && flow->twin)
        flow->twin_time = now->time;
    if (copy && before->flow->twin == flow)
        before->flow->twin_time = now->time;
    follow_twin(packet, now);
    if (copy && before->flow == flow) {
        packet->seen_before = true;
        flow->two_clocks |= ft_seconds(&before->time, &now->time) > COPY_S;
    }
    note_mirror(flow, is_again, passed, copy);
    note_late(now, before, is_again, passed);
    if (copy || packet->seen_before)
        note_copy(pinfo, packet, copy ? before->frame : 0);
    if (!copy || !packet->seen_before) /* what is learnt from, so that it may come again, too */
        remember_datagram(before, now);
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
        read_datagram(tvb, pinfo, packet->flow, packet->ip, &now);
        learn_copy(pinfo, packet, &now);
    }
    if (packet->seen_before && packet->leg)
        packet->leg = &packet->flow->direct;
}

void
ft_copies_judge_rare(packet_info *pinfo, ft_packet *packet, uint64_t key)
{
    const uint64_t mixed = (key ^ key >> 29) * UINT64_C(0x9e3779b97f4a7c15);
    const unsigned slot = (unsigned)(mixed >> 32) % RARE_SLOTS;
    const nstime_t now = ft_now(pinfo);

    if (pinfo->fd->visited) {
        const ft_frame *frame = ft_frame_get(pinfo);
        packet->seen_before = frame && frame->is_copy;
    } else if (rare[slot].frame && rare[slot].key == key &&
               ft_seconds(&rare[slot].time, &now) <= COPY_S) {
        packet->seen_before = true;
        note_copy(pinfo, packet, rare[slot].frame);
    } else {
        rare[slot].key = key;
        rare[slot].frame = packet->frame;
        rare[slot].time = now;
    }
}
