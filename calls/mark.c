/* calls/mark.c
 * What a frame shows of its call's quality, and whether frame times may be believed where it was
 * captured.
 *
 *    address of a device -> its capture clock (calls/clock.h): what calls/quality.c taught it so
 *                           far
 *    a packet's two ends -> good where one of them has a clock, and no clock of theirs is bad
 *    the frame  -> what was so when it was first read: a clock's later verdict changes no earlier
 *               frame
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/mark.h"
#include "calls/limits.h"

#include <epan/proto_data.h>

#define MARK_KEY        1           /* of per-frame data; calls/frame.c has 0 */

static int proto = -1;
static wmem_map_t *clocks;          /* address -> ft_clock */
static unsigned mark_total;

static void
reset(void)
{
    mark_total = 0;
}

void
ft_mark_init(void)
{
    proto = proto_get_id_by_filter_name("facetime");
    clocks = ft_new_map(ft_address_hash, ft_address_match);
    register_init_routine(reset);
}

const ft_mark *
ft_mark_get(const packet_info *pinfo)
{
    return (const ft_mark *)p_get_proto_data(wmem_file_scope(), (packet_info *)pinfo, proto,
                                             MARK_KEY);
}

static ft_mark *
mark_of(packet_info *pinfo)
{
    ft_mark *mark = (ft_mark *)ft_mark_get(pinfo);

    if (mark)
        return mark;
    if (!ft_has_room(pinfo, FT_LIMIT_MARKS, mark_total))
        return NULL;
    mark_total++;
    mark = wmem_new0(wmem_file_scope(), ft_mark);
    mark->rtt = mark->freeze = -1;
    p_add_proto_data(wmem_file_scope(), pinfo, proto, MARK_KEY, mark);
    return mark;
}

void
ft_mark_told_rtt(packet_info *pinfo, int64_t microseconds)
{
    ft_mark *mark = mark_of(pinfo);

    if (mark && mark->rtt < 0)
        mark->rtt = (int32_t)CLAMP(microseconds, 0, INT32_MAX);
}

void
ft_mark_freeze(packet_info *pinfo, int64_t microseconds)
{
    ft_mark *mark = mark_of(pinfo);

    if (mark && mark->freeze < 0)
        mark->freeze = (int32_t)CLAMP(microseconds, 0, INT32_MAX);
}

void
ft_mark_incomplete(packet_info *pinfo)
{
    ft_mark *mark = mark_of(pinfo);

    if (mark)
        mark->is_incomplete = true;
}

/* ---- capture clocks: one for each device that media is seen at ---- */

ft_clock *
ft_clock_at(packet_info *pinfo, const address *device, bool make)
{
    ft_clock *known = (ft_clock *)wmem_map_lookup(clocks, device);

    if (known || !make)
        return known;
    if (!ft_has_room(pinfo, FT_LIMIT_DEVICES, wmem_map_size(clocks)))
        return NULL;
    address *key = wmem_new(wmem_file_scope(), address);
    copy_address_wmem(wmem_file_scope(), key, device);
    known = wmem_new0(wmem_file_scope(), ft_clock);
    wmem_map_insert(clocks, key, known);
    return known;
}

bool
ft_clock_is_batched_at(const address *device)
{
    const ft_clock *clock = ft_clock_at(NULL, device, false);

    return clock && ft_clock_has_batches(clock);
}

const char *
ft_seconds_text(wmem_allocator_t *scope, double seconds, bool is_rough)
{
    return wmem_strdup_printf(scope, is_rough ? "about %.0f s" : "%.1f s", seconds);
}

static bool
judged_good(packet_info *pinfo)
{
    const ft_clock *source = ft_clock_at(pinfo, &pinfo->net_src, false);
    const ft_clock *destination = ft_clock_at(pinfo, &pinfo->net_dst, false);

    return (source || destination) && (!source || ft_clock_judge(source) == FT_CLOCK_GOOD) &&
           (!destination || ft_clock_judge(destination) == FT_CLOCK_GOOD);
}

void
ft_mark_judge_clock(packet_info *pinfo)
{
    ft_mark *mark = ft_learning(pinfo) && judged_good(pinfo) ? mark_of(pinfo) : NULL;

    if (mark)
        mark->clock_is_good = true;
}

bool
ft_mark_clock_is_good(const packet_info *pinfo)
{
    const ft_mark *mark = ft_mark_get(pinfo);

    return mark && mark->clock_is_good;
}

void
ft_mark_rtt(packet_info *pinfo, int64_t microseconds)
{
    if (ft_learning(pinfo) && microseconds >= 0 && judged_good(pinfo))
        ft_mark_told_rtt(pinfo, microseconds);
}
