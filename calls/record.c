/* calls/record.c
 * A line a packet for -z facetime,packets, and whether anybody sees what stock RTP and RTCP would
 * show.
 *
 *    datagram -> record -> record ...    one for each packet of the relay's, or RTP packet
 *    lean     a report is asked for, nothing else listens, no tree, no columns: stock is left out
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/record.h"

#include <epan/tap.h>

bool ft_records_wanted, ft_said_wanted, ft_lean_on;

ft_record *
ft_record_new(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!ft_records_wanted || !packet)
        return NULL;
    ft_record *record = wmem_new0(pinfo->pool, ft_record);
    if (packet->last_record)
        packet->last_record->next = record;
    else
        packet->records = record;
    packet->last_record = record;
    return record;
}

/* The header of the relay came first and began the record; RTP without one, or a second RTP
 * packet, begins its own. */
void
ft_record_media(packet_info *pinfo, const ft_rtp *rtp, const ft_codec *codec)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!ft_records_wanted || !packet)
        return;
    ft_record *record = packet->last_record;
    if (!record || record->has_media)
        record = ft_record_new(pinfo);
    record->has_media = true;
    record->rtp = *rtp;
    record->codec = codec;
}

void
ft_record_chained(packet_info *pinfo, unsigned index, uint32_t bytes)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!ft_records_wanted || !packet || !packet->last_record)
        return;
    packet->last_record->is_chained = true;
    packet->last_record->index = index;
    packet->last_record->kind = packet->kind;
    packet->last_record->bytes = bytes;
}

/* ---- signalling ---- */

ft_said *
ft_said_get(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!ft_said_wanted || !packet)
        return NULL;
    if (!packet->said) {
        packet->said = wmem_new0(pinfo->pool, ft_said);
        packet->said->types = wmem_array_new(pinfo->pool, sizeof(uint32_t));
        packet->said->attributes = wmem_array_new(pinfo->pool, sizeof(uint32_t));
    }
    return packet->said;
}

/* ---- reading lean ---- */

/* Those to what stock RTP and RTCP tell. */
static bool
has_other_listeners(void)
{
    static const char *const taps[] = { "rtp", "rtcp", "rtpevent", "expert" };

    for (unsigned i = 0; i < G_N_ELEMENTS(taps); i++) {
        const int tap = find_tap_id(taps[i]);
        if (tap > 0 && have_tap_listener(tap))
            return true;
    }
    return false;
}

static void
lean_reset(void *data)
{
    *(bool *)data = ft_lean_on = false;
}

/* The first of two passes taps nothing: what is tapped is shown for the last time. So lean is
 * never on in the first of two, and stock learns there what the second one shows. */
static tap_packet_status
lean_packet(void *data, packet_info *pinfo _U_, epan_dissect_t *edt _U_, const void *tapped _U_,
            tap_flags_t flags _U_)
{
    bool *seen = (bool *)data;

    if (!*seen)
        ft_lean_on = !has_other_listeners();
    *seen = true;
    return TAP_PACKET_DONT_REDRAW;
}

void
ft_lean_ask(void)
{
    static bool asked, seen;

    if (!asked)
        asked = !register_tap_listener("facetime", &seen, NULL, TL_REQUIRES_NOTHING, lean_reset,
                                       lean_packet, NULL, NULL);
}
