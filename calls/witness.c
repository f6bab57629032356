/* calls/witness.c
 * What the capture itself can tell of a call, so that findings don't blame the call for what the
 * file hides: counted packet by packet, over all parts of a call that were merged.
 *
 *    cut below its length            losses aren't judged (capture_cut)
 *    seen before                     counted once (seen_twice)
 *    no address sends and receives   one direction was captured, so no silence (one_direction)
 *    who sent what ended it          who hung up (hung_up)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/witness.h"
#include "calls/call.h"

/* addresses of a call's packets that are told apart; with more, both directions are there */
#define MAX_ENDS 8

typedef struct end_seen {
    address address;
    bool    sends, receives;
    struct end_seen *next;
} end_seen;

struct ft_witness {
    ft_witnessed seen;
    end_seen    *ends;          /* newest first */
    unsigned     end_count;
    address      end_from;      /* who sent the packet that ended the call */
};

/* By addresses, not by 5-tuples: with the relay one way and the direct path the other, each
 * 5-tuple has one direction only. */
static void
note_end(struct ft_witness *witness, const address *end, bool sends)
{
    for (end_seen *seen = witness->ends; seen; seen = seen->next) {
        if (!addresses_equal(&seen->address, end))
            continue;
        seen->sends |= sends;
        seen->receives |= !sends;
        witness->seen.both_directions |= seen->sends && seen->receives;
        return;
    }
    if (witness->end_count == MAX_ENDS) {
        witness->seen.both_directions = true;
        return;
    }
    end_seen *seen = wmem_new(wmem_file_scope(), end_seen);
    *seen = (end_seen){ .sends = sends, .receives = !sends, .next = witness->ends };
    copy_address_wmem(wmem_file_scope(), &seen->address, end);
    witness->ends = seen;
    witness->end_count++;
}

/* Of the device, whatever address it has moved to. */
static bool
is_own(const ft_call *call, const address *end)
{
    if (addresses_equal(&call->other_end.addr, end))
        return false;
    if (ft_call_is_local(call, end))
        return true;
    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++) {
        const ft_sender *sender = *(const ft_sender **)wmem_array_index(call->senders, i);
        if (sender->outgoing && addresses_equal(end, &sender->device.addr))
            return true;
    }
    return false;
}

static void
note(packet_info *pinfo, const ft_packet *packet, struct ft_witness *witness)
{
    const ft_frame *frame = ft_frame_get(pinfo);
    ft_witnessed *seen = &witness->seen;

    seen->packets++;
    if (pinfo->fd->cap_len < pinfo->fd->pkt_len && seen->cut++ == 0)
        seen->first_cut = packet->frame;
    if (frame && (frame->seen_before || frame->at_other_end) && !seen->first_twice)
        seen->first_twice = packet->frame;
    if (!seen->both_directions) {
        note_end(witness, &pinfo->net_src, true);
        note_end(witness, &pinfo->net_dst, false);
        packet->call->hears_both = seen->both_directions;
    }
    if (packet->call->end_frame == packet->frame) {
        /* a BYE that wasn't captured came from where its answer goes */
        if (!seen->end_known)
            copy_address_wmem(wmem_file_scope(), &witness->end_from,
                              packet->call->bye_answer_frame == packet->frame ? &pinfo->net_dst
                                                                              : &pinfo->net_src);
        seen->end_known = true;
    }
}

/* A packet that an ICMP error quotes was counted when it was sent. */
void
ft_witness_note(packet_info *pinfo, const ft_packet *packet)
{
    ft_call *call = packet->call;

    if (!packet->is_first_pass || !call || pinfo->flags.in_error_pkt)
        return;
    if (!call->witness)
        call->witness = wmem_new0(wmem_file_scope(), struct ft_witness);
    note(pinfo, packet, call->witness);
}

bool
ft_witness_ended_by(const ft_call *call, const address *end)
{
    const struct ft_witness *witness = call->witness;

    if (!witness || !witness->seen.end_known)
        return false;
    return addresses_equal(&witness->end_from, end) ||
           (is_own(call, &witness->end_from) && addresses_equal(&call->beyond_nat.addr, end));
}

static void
add_witness(ft_witnessed *sum, const struct ft_witness *witness, const ft_call *call)
{
    const ft_witnessed *part = &witness->seen;

    sum->packets += part->packets;
    sum->first_cut = sum->cut ? sum->first_cut : part->first_cut;
    sum->cut += part->cut;
    sum->first_twice = sum->first_twice ? sum->first_twice : part->first_twice;
    sum->both_directions |= part->both_directions;
    sum->end_known |= part->end_known;
    if (part->end_known)
        sum->end_is_own |= is_own(call, &witness->end_from);
}

/* What was seen before the call was found to be part of another is that one's. Merged calls are
 * younger than the one that they became part of, so the search begins there. */
ft_witnessed
ft_witness_of(const ft_call *call)
{
    ft_witnessed sum = { 0 };

    for (unsigned number = call->number; number <= ft_call_total(); number++) {
        const ft_call *part = ft_call_by_number(number);
        if (part->witness && (part == call || (call->merges && part->merged_into &&
                                               ft_call_as_of(part, UINT32_MAX) == call)))
            add_witness(&sum, part->witness, part);
        if (!call->merges)
            break;
    }
    sum.one_direction = sum.packets >= FT_PACKETS_ENOUGH && !sum.both_directions;
    return sum;
}
