/* stock/transport.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stock/transport.h"

unsigned transport_usual_offset = 14 + 20; /* Ethernet, IPv4 */

G_GNUC_NO_INLINE bool
transport_search_in(transport *place, const packet_info *pinfo)
{
    for (place->offset = 0; place->offset < MAX_HEADERS && place->offset < place->captured;
         place->offset++) {
        if (is_transport_at(place, pinfo, place->offset)) {
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
