/* plugin/gather.c
 *
 *    each frame                        the file's first and last moment    gather_frame()
 *    each packet of a call             gathered, by call                   gather_packet()
 *    a call, with what merged into it  the sum                             gathered_in()
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/gather.h"

#include "calls/frame.h"
#include "calls/media.h"

static struct {
    bool        listening, has_time;
    nstime_t    first, last;    /* of the file */
    GHashTable *calls;          /* ft_call -> gathered */
} gather;

static void
forget(void *data)
{
    gathered *of_call = (gathered *)data;

    for (unsigned i = 0; i < of_call->end_count; i++)
        free_address(&of_call->ends[i].address);
    g_free(of_call);
}

static void
gather_reset(void *data _U_)
{
    gather.has_time = false;
    g_hash_table_remove_all(gather.calls);
}

static tap_packet_status
gather_frame(void *data _U_, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped _U_, tap_flags_t flags _U_)
{
    if (ft_has_time(pinfo)) {
        const nstime_t now = ft_now(pinfo);
        if (!gather.has_time || nstime_cmp(&now, &gather.first) < 0)
            gather.first = now;
        if (!gather.has_time || nstime_cmp(&now, &gather.last) > 0)
            gather.last = now;
        gather.has_time = true;
    }
    return TAP_PACKET_DONT_REDRAW;
}

static gathered *
gathered_of(const ft_call *call)
{
    gathered *known = (gathered *)g_hash_table_lookup(gather.calls, call);

    if (!known) {
        known = g_new0(gathered, 1);
        g_hash_table_insert(gather.calls, (void *)call, known);
    }
    return known;
}

static void
note_end(gathered *known, const address *end, bool sends)
{
    for (unsigned i = 0; i < known->end_count; i++) {
        end_seen *seen = &known->ends[i];
        if (!addresses_equal(&seen->address, end))
            continue;
        seen->sends |= sends;
        seen->receives |= !sends;
        known->both_directions |= seen->sends && seen->receives;
        return;
    }
    if (known->end_count == MAX_ENDS) {
        known->both_directions = true;
        return;
    }
    end_seen *seen = &known->ends[known->end_count++];
    copy_address(&seen->address, end);
    seen->sends = sends;
    seen->receives = !sends;
}

/* Of the device, whatever address it has moved to. */
static bool
is_own(const ft_call *call, const address *end)
{
    if (addresses_equal(end, &call->local.addr))
        return true;
    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++) {
        const ft_sender *sender = *(const ft_sender **)wmem_array_index(call->senders, i);
        if (sender->outgoing && addresses_equal(end, &sender->device.addr))
            return true;
    }
    return false;
}

static tap_packet_status
gather_packet(void *data _U_, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped, tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = packet->call;

    if (!call || pinfo->flags.in_error_pkt)
        return TAP_PACKET_DONT_REDRAW;

    gathered *known = gathered_of(call);
    const ft_frame *frame = ft_frame_get(pinfo);
    known->packets++;
    if (pinfo->fd->cap_len < pinfo->fd->pkt_len && known->cut++ == 0)
        known->first_cut = packet->frame;
    if (frame && (frame->seen_before || frame->at_other_end) && !known->first_twice)
        known->first_twice = packet->frame;
    if (!known->both_directions) {
        note_end(known, &pinfo->net_src, true);
        note_end(known, &pinfo->net_dst, false);
    }
    if (call->end_frame == packet->frame) {
        known->end_known = true;
        known->end_is_own = is_own(call, &pinfo->net_src) && !addresses_equal(&call->other_end.addr, &pinfo->net_src);
    }
    return TAP_PACKET_DONT_REDRAW;
}

GString *
findings_gather(void)
{
    static int listener, frames;

    if (gather.listening)
        return NULL;
    gather.calls = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, forget);
    GString *error = register_tap_listener("frame", &frames, NULL, TL_REQUIRES_NOTHING, gather_reset, gather_frame, NULL,
                                           NULL);
    if (!error)
        error = register_tap_listener("facetime", &listener, NULL, TL_REQUIRES_NOTHING, NULL, gather_packet, NULL, NULL);
    gather.listening = !error;
    return error;
}

/* What was gathered before the call was found to be part of another is that one's. */
gathered
gathered_in(const ft_call *call)
{
    gathered sum = { 0 };

    for (unsigned number = call->number; number <= ft_call_total(); number++) {
        const ft_call *part = ft_call_by_number(number);
        if (part != call && (!call->merges || !part->merged_into || ft_call_as_of(part, UINT32_MAX) != call))
            continue;
        const gathered *known = (const gathered *)g_hash_table_lookup(gather.calls, part);
        if (known) {
            sum.packets += known->packets;
            sum.first_cut = sum.cut ? sum.first_cut : known->first_cut;
            sum.cut += known->cut;
            sum.first_twice = sum.first_twice ? sum.first_twice : known->first_twice;
            sum.both_directions |= known->both_directions;
            sum.end_known |= known->end_known;
            sum.end_is_own |= known->end_is_own;
        }
        if (!call->merges)
            break;
    }
    return sum;
}

void
gathered_span(nstime_t *first, nstime_t *last)
{
    *first = gather.first;
    *last = gather.last;
}
