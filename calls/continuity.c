/* calls/continuity.c
 * Whether a media packet goes on with what is known of a stream: by its numbers and timestamp
 * (RFC 3550, 5.1), beside the latest.
 *
 *    latest of the stream     s, t
 *    this packet              s + few, t + little:  hardly any time passed, whatever the clock says
 *    on a new 5-tuple         the same, and one end as before: the other end has moved
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/continuity.h"

#include "calls/call.h"
#include "calls/owners.h"

/* What lies between two packets of a sender, where no more is missing and its own clock says
 * that hardly any time passed, is a fault of the capture's clock: FaceTime's run at 24 kHz for
 * sound, at 90 kHz for pictures. */
#define FOLLOWS_NUMBERS 50
#define FOLLOWS_TICKS   120000
/* What comes from elsewhere may have been overtaken, or come after a move of some seconds. */
#define GOES_ON_FROM    8       /* packets: one alone may be anybody's */
#define GOES_BACK       50
#define GOES_ON         1000
#define GOES_ON_TICKS   1000000

/* Its stream, where it was heard on this very way. */
static const ft_stream *
stream_of_way(packet_info *pinfo, uint32_t ssrc)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_call *call = ft_clue_owner(pinfo, FT_CLUE_SSRC, ft_clue_of_ssrc(ssrc));
    const ft_stream *stream = call ? ft_call_any_stream(call, ssrc) : NULL;

    for (unsigned i = 0; packet && stream && i < stream->way_count; i++) {
        if (stream->ways[i] == packet->leg)
            return stream;
    }
    return NULL;
}

void
ft_continuity_mend_clock(packet_info *pinfo, const ft_rtp *rtp)
{
    const ft_stream *stream = stream_of_way(pinfo, rtp->ssrc);

    if (stream &&
        (uint16_t)(rtp->sequence - ft_sequence_latest(&stream->sequence) - 1) < FOLLOWS_NUMBERS &&
        rtp->timestamp - stream->timestamp < FOLLOWS_TICKS)
        ft_steady_proven(pinfo, &stream->heard_time);
}

void
ft_media_report(packet_info *pinfo, uint32_t ssrc, uint32_t timestamp)
{
    const ft_stream *stream =
        ft_steady_doubted() && ft_learning(pinfo) ? stream_of_way(pinfo, ssrc) : NULL;

    if (stream && timestamp - stream->timestamp < FOLLOWS_TICKS)
        ft_steady_proven(pinfo, &stream->heard_time);
}

static bool
has_end(const ft_leg *leg, const packet_info *pinfo)
{
    const ft_flow *flow = leg ? leg->flow : NULL;

    return flow && (addresses_equal(&flow->a.addr, &pinfo->src) ||
                    addresses_equal(&flow->a.addr, &pinfo->dst) ||
                    addresses_equal(&flow->b.addr, &pinfo->src) ||
                    addresses_equal(&flow->b.addr, &pinfo->dst));
}

static const ft_leg *
way_with_end(const ft_stream *stream, const packet_info *pinfo)
{
    for (unsigned i = stream->way_count; i-- > 0;) {
        if (has_end(stream->ways[i], pinfo))
            return stream->ways[i];
    }
    return NULL;
}

/* The number and the timestamp are near the latest, and the other end is where it was: others'
 * media has that once in 2^45 packets. */
bool
ft_media_goes_on(packet_info *pinfo, const ft_rtp *rtp, ft_generation *generation)
{
    const ft_call *call = ft_clue_owner(pinfo, FT_CLUE_SSRC, ft_clue_of_ssrc(rtp->ssrc));
    const ft_stream *stream = call ? ft_call_any_stream(call, rtp->ssrc) : NULL;
    const ft_leg *way = stream ? way_with_end(stream, pinfo) : NULL;

    if (!way || stream->packets < GOES_ON_FROM ||
        !(stream->payload_types[rtp->payload_type >> 6 & 1] >> (rtp->payload_type & 63) & 1))
        return false;

    const nstime_t now = ft_now(pinfo);
    const uint16_t numbers = (uint16_t)(rtp->sequence - ft_sequence_latest(&stream->sequence));
    const uint32_t ticks = rtp->timestamp - stream->timestamp;
    if (ft_seconds(&stream->last_time, &now) > ft_clue_rows[FT_CLUE_SSRC].life ||
        numbers == 0 || (uint16_t)(numbers + GOES_BACK) > GOES_BACK + GOES_ON ||
        ticks + FOLLOWS_TICKS > GOES_ON_TICKS)
        return false;
    *generation = way->flow->generation;
    return true;
}
