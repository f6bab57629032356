/* calls/gamekit.c
 * That a session is a game or a file transfer and no call, from its messages: what ICE alone
 * made a call is listed no more; one in which calls' own messages were seen stays
 * (docs/protocol.md, 22.7).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/gamekit.h"

void
ft_gamekit_learn(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->flow || !ft_learning(pinfo))
        return;
    if (!packet->flow->gamekit_frame) {
        packet->flow->gamekit_frame = packet->frame;
        packet->flow->gamekit_first = nstime_is_zero(&packet->flow->direct.media_time);
    }
    ft_call *call = ft_call_of_packet(pinfo);
    if (call && !(call->seen & FT_SEEN_TALK) && !call->no_call_from)
        ft_call_is_none(pinfo, call);
}
