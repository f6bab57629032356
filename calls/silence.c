/* calls/silence.c
 * A side of the call that has been silent for too long: the newest packet of any of its senders,
 * against now.
 *
 *    the other side goes on  where it began to be alone is kept (calls/media.c); told at the
 *                            capture's end
 *    the side comes back     media_gap on its first packet
 *    the call ends           media_gap on the packet that ended it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/silence.h"
#include "calls/event.h"
#include "calls/mark.h"

unsigned ft_media_gap_ms = 2000;

/* Of the senders in a direction the one that was heard last; NULL where none was. */
const ft_sender *
ft_newest_sender(const ft_call *call, bool outgoing)
{
    ft_sender **senders = (ft_sender **)wmem_array_get_raw(call->senders);
    const ft_sender *newest = NULL;

    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++) {
        if (senders[i]->outgoing == outgoing &&
            (!newest || ft_is_later(&senders[i]->last_time, &newest->last_time)))
            newest = senders[i];
    }
    return newest;
}

bool
ft_is_silent(const packet_info *pinfo, const ft_sender *sender)
{
    const nstime_t now = ft_steady(pinfo);

    return ft_is_past(&now, &sender->last_time, ft_media_gap_ms);
}

/* The side of the call that has been silent for too long, else NULL. */
static const ft_sender *
silent_side(const packet_info *pinfo, const ft_call *call, bool outgoing)
{
    const ft_sender *newest = ft_newest_sender(call, outgoing);

    return newest && ft_is_silent(pinfo, newest) ? newest : NULL;
}

/* Frame times that come in batches have no tenths to tell. */
static const char *
silent_for(wmem_allocator_t *scope, const ft_sender *silent, const nstime_t *now)
{
    return ft_seconds_text(scope, ft_seconds(&silent->last_time, now),
                           ft_clock_is_batched_at(&silent->device.addr));
}

const char *
ft_silence_text(packet_info *pinfo, const ft_call *call)
{
    const ft_sender *peer = silent_side(pinfo, call, false);
    const nstime_t now = ft_steady(pinfo);

    if (!peer || call->other_end_closed)
        return "";
    return wmem_strdup_printf(pinfo->pool, ", %s after the peer's last media (frame %u)",
                              silent_for(pinfo->pool, peer, &now),
                              ft_frame_number(peer->last_frame));
}

static void
set_length(ft_event *event, const ft_sender *silent, const nstime_t *to)
{
    if (!event)
        return;
    event->length = ft_passed(&silent->last_time, to);
    event->is_rough = ft_clock_is_batched_at(&silent->device.addr);
}

void
ft_silence_tell(packet_info *pinfo, const ft_sender *sender, const char *what)
{
    const nstime_t now = ft_steady(pinfo);

    set_length(ft_event_add(pinfo, FT_EVENT_MEDIA_GAP, sender->last_frame,
                            "%s for %s, since frame %u", what,
                            silent_for(pinfo->pool, sender, &now),
                            ft_frame_number(sender->last_frame)),
               sender, &now);
}

/* Where the other end's capture shows the end, it does so in that capture's time: its clock may be
 * seconds or days away from the one that media here is timed by, so no length can be told. */
void
ft_silence_ends(packet_info *pinfo, const ft_call *call)
{
    const ft_sender *peer = silent_side(pinfo, call, false),
                    *own = silent_side(pinfo, call, true);

    if (call->other_end_closed)
        return;
    if (peer)
        ft_silence_tell(pinfo, peer, "No media from the peer");
    else if (own)
        ft_silence_tell(pinfo, own, "No media from the device");
}

/* The capture ends, and one side has been silent while the other went on. */
void
ft_silence_judge(ft_call *call, bool outgoing)
{
    const ft_sender *silent = ft_newest_sender(call, outgoing),
                    *other = ft_newest_sender(call, !outgoing);
    const ft_silence *silence = &call->silence[outgoing];

    if (!silent || !other || !silence->frame || silence->since_frame != silent->last_frame)
        return;
    set_length(ft_event_add_at(silence->frame, &silence->time, call, FT_PATH_UNKNOWN,
                               FT_EVENT_MEDIA_GAP, silent->last_frame,
                               "No media from the %s for %s to the end, since frame %u",
                               outgoing ? "device" : "peer",
                               silent_for(wmem_file_scope(), silent, &other->last_time),
                               ft_frame_number(silent->last_frame)),
               silent, &other->last_time);
}
