/* calls/frame.c
 * Ids of frames, from Wireshark's numbers and the packets that a read filter dropped:
 *
 *    number  1 2 3 3 3 4      (-R dropped two)
 *    id      1 2 3 4 5 6      drops: from number 4 on, ids are larger by 2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/frame.h"

#include <epan/proto_data.h>

#define RECORD_KEY 0

/* From this number on, ids are larger by `dropped`. */
typedef struct {
    uint32_t number, dropped;
} drop;

static wmem_array_t *drops; /* of drop, in order of numbers; empty without a read filter */
static uint32_t dropped;    /* packets so far */
static nstime_t start;      /* of the capture */
static nstime_t first_time; /* the earliest frame's; the latest one's: ft_frame_last.end */
static bool has_span;
static nstime_t steady_end; /* steady time of FaceTime's newest packet */
static nstime_t since;      /* that packet's time */
static nstime_t end_since;  /* the file's latest time then */
static nstime_t newest;     /* the latest time since, where that isn't the file's */
static int proto_frame;

/* The record that was made last: on the first pass the frame in hand has this one or none, which
 * is asked several times a packet. */
static struct {
    uint32_t  number; /* of its frame, and where that lies in the file */
    int64_t   offset;
    ft_frame *frame;
} made;

/* The latest records: a copy comes within 50 ms of the first one, which may be some hundred
 * frames. */
#define LATELY 1024
static ft_frame *lately[LATELY]; /* by id */

ft_frame_noted ft_frame_last;

static void
reset(void)
{
    made.number = 0;
    memset(lately, 0, sizeof lately);
    drops = wmem_array_new(wmem_file_scope(), sizeof(drop));
    dropped = 0;
    ft_frame_last = (ft_frame_noted){ .offset = -1 };
    nstime_set_zero(&start);
    nstime_set_zero(&first_time);
    has_span = false;
    nstime_set_zero(&steady_end);
    nstime_set_zero(&since);
    nstime_set_zero(&newest);
    nstime_set_zero(&end_since);
}

void
ft_frame_init(int proto)
{
    proto_frame = proto;
    register_init_routine(reset);
}

/* Several drops in a row under one number are one entry. */
static void
note_drop(uint32_t number)
{
    const unsigned count = wmem_array_get_count(drops);
    drop *last = count ? (drop *)wmem_array_index(drops, count - 1) : NULL;
    const drop next = { number, ++dropped };

    if (last && last->number == number)
        *last = next;
    else
        wmem_array_append_one(drops, next);
}

/* The first pass knows no time reference, so its relative time is since the first frame. */
static void
note_start(const packet_info *pinfo)
{
    start = ft_passed_since(&pinfo->rel_ts, pinfo);
}

double
ft_since_start(const nstime_t *time)
{
    const nstime_t passed = ft_passed(&start, time);

    return nstime_to_sec(&passed);
}

static void
note_time(const packet_info *pinfo)
{
    const nstime_t now = ft_now(pinfo);

    if (!ft_has_time(pinfo))
        return;
    if (!has_span || ft_is_later(&first_time, &now))
        first_time = now;
    if (!has_span || ft_is_later(&now, &ft_frame_last.end))
        ft_frame_last.end = now;
    if (ft_is_later(&now, &newest))
        newest = now;
    has_span = true;
}

void
ft_frame_span(nstime_t *first, nstime_t *last)
{
    *first = first_time;
    *last = ft_frame_last.end;
}

void
ft_frame_keep_steady(const packet_info *pinfo, const nstime_t *steady)
{
    steady_end = *steady;
    if (!ft_has_time(pinfo))
        return;
    since = newest = ft_now(pinfo);
    end_since = ft_frame_last.end;
}

nstime_t
ft_frame_steady_end(void)
{
    const nstime_t *latest =
        ft_is_later(&ft_frame_last.end, &end_since) ? &ft_frame_last.end : &newest;
    const nstime_t passed = ft_passed(&since, latest);
    nstime_t end;

    nstime_sum(&end, &steady_end, &passed);
    return end;
}

/* A packet with the number of the last one, at another place in the file, shows that the last
 * one was dropped. The same place again is the same packet: several doors ask. */
static G_GNUC_NO_INLINE void
note_any(const packet_info *pinfo)
{
    const uint32_t last = ft_frame_last.next ? ft_frame_last.next - 1 : ft_frame_last.number;
    const nstime_t *end = &ft_frame_last.end;

    if (pinfo->num == last && pinfo->fd->file_off == ft_frame_last.offset)
        return;
    if (pinfo->num == last)
        note_drop(pinfo->num);
    if (last == 0)
        note_start(pinfo);
    note_time(pinfo);
    ft_frame_last.number = pinfo->num;
    ft_frame_last.next = end->secs > 0 && end->nsecs >= 0 ? pinfo->num + 1 : 0;
    ft_frame_last.offset = pinfo->fd->file_off;
}

static inline void
note_frame(const packet_info *pinfo)
{
    if (!pinfo->fd->visited && !ft_frame_note_next(pinfo))
        note_any(pinfo);
}

/* The last entry whose key (number, or id) is at most this; NULL before the first. */
static const drop *
drop_before(uint32_t key, bool is_id)
{
    unsigned low = 0, high = wmem_array_get_count(drops);

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        const drop *entry = (const drop *)wmem_array_index(drops, middle);
        if (entry->number + (is_id ? entry->dropped : 0) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? (const drop *)wmem_array_index(drops, low - 1) : NULL;
}

uint32_t
ft_frame_find_id(const packet_info *pinfo)
{
    note_frame(pinfo);
    if (dropped == 0)
        return pinfo->num;
    if (!pinfo->fd->visited)
        return pinfo->num + dropped;

    const drop *before = drop_before(pinfo->num, false);
    return pinfo->num + (before ? before->dropped : 0);
}

/* An id whose number went on to a later packet is a dropped one's: the next entry's packets
 * begin above it. */
uint32_t
ft_frame_number(uint32_t id)
{
    if (dropped == 0 || id == 0)
        return id;

    const drop *before = drop_before(id, true);
    const uint32_t number = id - (before ? before->dropped : 0);
    const unsigned next =
        before ? (unsigned)(before - (const drop *)wmem_array_get_raw(drops)) + 1 : 0;
    const drop *after =
        next < wmem_array_get_count(drops) ? (const drop *)wmem_array_index(drops, next) : NULL;
    return after && number >= after->number ? 0 : number;
}

proto_item *
ft_show_frame(proto_tree *tree, int hf, tvbuff_t *tvb, int offset, int length, uint32_t id)
{
    const uint32_t number = ft_frame_number(id);
    proto_item *item = number ? proto_tree_add_uint(tree, hf, tvb, offset, length, number) : NULL;

    proto_item_set_generated(item);
    return item;
}

ft_frame *
ft_frame_get(packet_info *pinfo)
{
    if (!pinfo->fd->visited)
        return pinfo->num == made.number && pinfo->fd->file_off == made.offset ? made.frame : NULL;
    return (ft_frame *)p_get_proto_data(wmem_file_scope(), pinfo, proto_frame, RECORD_KEY);
}

void
ft_frame_show_packet(packet_info *pinfo, struct ft_packet *packet)
{
    p_add_proto_data(pinfo->pool, pinfo, proto_frame, RECORD_KEY, packet);
}

const struct ft_packet *
ft_frame_shown_packet(packet_info *pinfo)
{
    return (const struct ft_packet *)p_get_proto_data(pinfo->pool, pinfo, proto_frame, RECORD_KEY);
}

/* How many datagrams the frame in hand had so far. In the packet's own memory each would cost
 * 700 instructions. */
static struct {
    uint32_t number;
    unsigned count;
} parts;

unsigned
ft_frame_next_part(const packet_info *pinfo)
{
    if (parts.number != pinfo->num)
        parts.count = 0;
    parts.number = pinfo->num;
    return parts.count++;
}

void
ft_frame_end(const packet_info *pinfo)
{
    parts.count = 0;
    note_frame(pinfo);
}

ft_frame *
ft_frame_make(packet_info *pinfo)
{
    ft_frame *frame = ft_frame_get(pinfo);

    if (frame || pinfo->fd->visited)
        return frame;
    frame = wmem_new0(wmem_file_scope(), ft_frame);
    frame->id = ft_frame_find_id(pinfo);
    p_add_proto_data(wmem_file_scope(), pinfo, proto_frame, RECORD_KEY, frame);
    made.number = pinfo->num;
    made.offset = pinfo->fd->file_off;
    made.frame = frame;
    lately[frame->id % LATELY] = frame;
    return frame;
}

ft_frame *
ft_frame_lately(uint32_t id)
{
    ft_frame *frame = lately[id % LATELY];

    return id && frame && frame->id == id ? frame : NULL;
}
