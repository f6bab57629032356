/* stock/transport.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stock/transport.h"

#include <epan/conversation.h>
#include <epan/dissectors/packet-tcp.h>

unsigned transport_usual_offset = 14 + 20; /* Ethernet, IPv4 */

G_GNUC_NO_INLINE bool
transport_search_in(transport *place, const packet_info *pinfo)
{
    for (place->offset = 0; place->offset < MAX_HEADERS && place->offset < place->captured;
         place->offset++) {
        if (is_transport_at(place, pinfo, pinfo->ptype)) {
            transport_usual_offset = place->offset;
            return true;
        }
    }
    return false;
}

G_GNUC_NO_INLINE bool
transport_look_elsewhere(transport *place, const packet_info *pinfo, const tvbuff_t *frame)
{
    for (const GSList *source = pinfo->data_src; source; source = source->next) {
        tvbuff_t *tvb = get_data_source_tvb((const struct data_source *)source->data);
        if (tvb && tvb != frame && look_in(place, pinfo, tvb))
            return true;
    }
    return false;
}

/* Where the IP packet ends that the header at `offset` is in: a trailer or FCS may follow. */
unsigned
transport_end_of_ip(const transport *place, unsigned offset)
{
    const uint8_t *bytes = place->bytes;
    const unsigned end = tvb_reported_length(place->tvb);

    if (offset >= 20 && bytes[offset - 20] == 0x45)
        return MIN(end, offset - 20 + (bytes[offset - 18] << 8 | bytes[offset - 17]));
    if (offset >= 40 && bytes[offset - 40] >> 4 == 6)
        return MIN(end, offset + (bytes[offset - 36] << 8 | bytes[offset - 35]));
    return end;
}

/* The payload, as long as it was sent. */
tvbuff_t *
transport_payload(const transport *place, unsigned start, unsigned end)
{
    return start < end && start < place->captured
               ? tvb_new_subset_length(place->tvb, (int)start, (int)(end - start))
               : NULL;
}

/* Ends the last one that was begun with what came of it so far. Its numbers may be relative: they
 * are where the end, made relative, still is behind its beginning. */
static void
stop_gathering(const tcp_flow_t *flow)
{
    struct tcp_multisegment_pdu *gathered =
        (struct tcp_multisegment_pdu *)wmem_tree_lookup32_le(flow->multisegment_pdus, UINT32_MAX);

    if (!gathered || !flow->tcp_analyze_seq_info)
        return;

    const uint32_t seen = flow->tcp_analyze_seq_info->nextseq, relative = seen - flow->base_seq;
    const uint32_t end = relative - gathered->seq <= INT32_MAX ? relative : seen;
    if (gathered->nxtpdu - end <= INT32_MAX)
        gathered->nxtpdu = end;
}

void
transport_stop_gathering(packet_info *pinfo)
{
    conversation_t *conversation = find_conversation_pinfo(pinfo, 0);
    const struct tcp_analysis *tcp =
        conversation ? get_tcp_conversation_data(conversation, pinfo) : NULL;

    if (!tcp)
        return;
    stop_gathering(&tcp->flow1);
    stop_gathering(&tcp->flow2);
}
