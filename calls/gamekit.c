/* calls/gamekit.c
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
    if (!packet->flow->gamekit_frame)
        packet->flow->gamekit_frame = packet->frame;
    ft_call *call = ft_call_of_packet(pinfo);
    if (call && !(call->seen & FT_SEEN_TALK) && !call->no_call_from)
        ft_call_is_none(pinfo, call);
}
