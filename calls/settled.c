/* calls/settled.c
 * The quick way to a packet's call: nearly all packets are media of a call that goes on, and what
 * the judge said of the last one in this direction holds.
 *
 *    no clue:  nothing that decides about calls has changed since (ft_call_changes)
 *    clues:    each of them is known of this way, and its owner and the ends are as they were
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/settled.h"

#include "calls/mark.h"
#include "calls/owners.h"
#include "calls/preparation.h"

/* Where a packet brings no clue, what the judge said of the last one in this direction holds
 * while ft_call_changes stands still, and no candidate is looked for. */
static ft_call *
settled_call(const packet_info *pinfo, const ft_packet *packet)
{
    const ft_heading heading = ft_flow_heading(packet->flow, pinfo);

    if (heading == FT_ASTRAY || packet->flow->settled[heading].leg != packet->leg ||
        packet->flow->settled[heading].as_of != ft_call_changes)
        return NULL;
    return packet->flow->settled[heading].call;
}

/* Where a bound was met, each packet must meet it itself: it carries the note (facetime.limit). */
static void
settle_packet(const packet_info *pinfo, const ft_packet *packet)
{
    const ft_heading heading = ft_flow_heading(packet->flow, pinfo);

    if (heading == FT_ASTRAY || packet->limit_hit)
        return;
    packet->flow->settled[heading].leg = packet->leg;
    packet->flow->settled[heading].call = packet->call;
    packet->flow->settled[heading].as_of = ft_call_changes;
}

/* Media says its key, its SSRC and its participant again and again. Where all of them are the
 * call's whose way it is, the judge would say the same again: no other call can have more than
 * the addresses. Nor is anything new to be kept, where the call is the latest one at its ends.
 *
 *    clue -> who owns it -> the way's call?     ends, host -> the same call first in each list?
 *
 * Asked where they were found, not looked up again: in a capture of many calls at a time something
 * changes with each packet, but not here. */
#define SETTLED_CLUES 8 /* of a way; further ones push out the oldest */
#define SETTLED_ENDS  4

typedef struct {
    const ft_leg      *leg;
    const ft_value_owner *owner;
    ft_packet_clue     clue;
} settled_clue;

struct ft_settled_clues {
    settled_clue       clues[SETTLED_CLUES];
    unsigned           next; /* the oldest one */
    const ft_call     *call; /* that the rest was found of */
    const ft_endpoint *server;
    uint32_t           network[2];
    const ft_end_calls   *ends[SETTLED_ENDS]; /* what keep_ends() would set; NULL after the last */
    /* of two ends without a server, what tells which of them is the device; and as it was */
    const ft_end_calls   *sides[2];
    ft_end_calls          sides_then[2];
    const ft_host     *host;
};

static bool
is_of_media(const ft_packet_clue *clue)
{
    return clue->what == FT_CLUE_KEY || clue->what == FT_CLUE_SSRC ||
           clue->what == FT_CLUE_PARTICIPANT;
}

static const settled_clue *
find_settled(const struct ft_settled_clues *known, const ft_leg *leg, const ft_packet_clue *clue)
{
    for (unsigned i = 0; i < SETTLED_CLUES; i++) {
        const settled_clue *settled = &known->clues[i];
        if (settled->leg == leg && settled->clue.what == clue->what &&
            memcmp(settled->clue.bytes, clue->bytes, sizeof clue->bytes) == 0)
            return settled;
    }
    return NULL;
}

static bool
has_settled_ends(const struct ft_settled_clues *known, const ft_flow *flow)
{
    for (unsigned i = 0; i < SETTLED_ENDS && known->ends[i]; i++) {
        if (known->ends[i]->calls[0] != known->call)
            return false;
    }
    for (unsigned i = 0; i < 2 && known->sides[i]; i++) {
        if (memcmp(known->sides[i], &known->sides_then[i], sizeof(ft_end_calls)) != 0)
            return false;
    }
    return known->server == flow->server && known->network[0] == flow->network[0] &&
           known->network[1] == flow->network[1] && ft_call_has_adopted(known->host, known->call);
}

/* The call that all of the packet's clues settled for; or NULL. */
static ft_call *
call_of_settled_clues(const packet_info *pinfo, const ft_packet *packet)
{
    const ft_flow *flow = packet->flow;
    const ft_heading heading = ft_flow_heading(flow, pinfo);

    if (heading == FT_ASTRAY || !flow->settled_clues[heading] || packet->leg->renewed)
        return NULL;

    const struct ft_settled_clues *known = flow->settled_clues[heading];
    ft_call *call = ft_call_of_leg(packet->leg, packet->frame);
    if (!call || call != known->call || call->merged_into ||
        (packet->call && packet->call != call) || !has_settled_ends(known, flow))
        return NULL;
    for (unsigned i = 0; i < packet->clue_count; i++) {
        const settled_clue *settled = find_settled(known, packet->leg, &packet->clues[i]);
        if (!settled || settled->owner->call != call)
            return NULL;
    }
    return call;
}

/* Both ends of what goes without a server have to be known: one that comes to be known may turn
 * the packet around. */
static bool
settle_sides(const ft_judged *judged, struct ft_settled_clues *known)
{
    memset(known->sides, 0, sizeof known->sides);
    if (judged->ends->other_is_server)
        return true;
    known->sides[0] = ft_calls_of_end(judged->pinfo, FT_CLUE_DEVICE, &judged->ends->device);
    known->sides[1] = ft_calls_of_end(judged->pinfo, FT_CLUE_DEVICE, &judged->ends->other);
    for (unsigned i = 0; i < 2; i++) {
        if (!known->sides[i])
            return false;
        known->sides_then[i] = *known->sides[i];
    }
    return true;
}

/* Where keep_ends() has just been: the same ends. */
static bool
settle_ends(const ft_judged *judged, struct ft_settled_clues *known)
{
    const ft_endpoint host = ft_without_port(&judged->ends->device),
                      source = ft_source(judged->pinfo);
    unsigned count = 0;

    memset(known->ends, 0, sizeof known->ends);
    known->ends[count++] = ft_calls_of_end(judged->pinfo, FT_CLUE_DEVICE, &judged->ends->device);
    known->ends[count++] = ft_calls_of_end(judged->pinfo, FT_CLUE_HOST, &host);
    if (!judged->ends->other_is_server && ft_endpoint_equal(&source, &judged->ends->other))
        known->ends[count++] = ft_calls_of_end(judged->pinfo, FT_CLUE_DEVICE, &judged->ends->other);
    if (!judged->ends->other_is_server && !ft_is_private(&judged->ends->other.addr))
        known->ends[count++] = ft_calls_of_end(judged->pinfo, FT_CLUE_PEER, &judged->ends->other);
    for (unsigned i = 0; i < count; i++) {
        if (!known->ends[i])
            return false;
    }
    known->host = ft_call_host(judged->pinfo, &judged->ends->device.addr);
    return known->host && settle_sides(judged, known);
}

/* The flow's and the heading's; NULL where not all of it is known. */
static struct ft_settled_clues *
settled_ends(const ft_judged *judged, ft_heading heading)
{
    ft_flow *flow = judged->packet->flow;
    struct ft_settled_clues *known = flow->settled_clues[heading];

    if (!known)
        known = flow->settled_clues[heading] =
            wmem_new0(wmem_file_scope(), struct ft_settled_clues);
    known->call = NULL;
    if (!settle_ends(judged, known))
        return NULL;
    known->call = judged->packet->call;
    known->server = flow->server;
    memcpy(known->network, flow->network, sizeof known->network);
    return known;
}

static void
settle_clues(const ft_judged *judged)
{
    const ft_packet *packet = judged->packet;

    if (packet->limit_hit || !is_of_media(&packet->clues[0]))
        return;

    const ft_heading heading = ft_flow_heading(packet->flow, judged->pinfo);
    if (heading == FT_ASTRAY || ft_call_of_leg(packet->leg, packet->frame) != packet->call)
        return;
    for (unsigned i = 0; i < packet->clue_count; i++) {
        const ft_value_owner *owner = ft_owner_of(&packet->clues[i]);
        if (!is_of_media(&packet->clues[i]) || !owner || owner->call != packet->call)
            return;
    }
    struct ft_settled_clues *known = settled_ends(judged, heading);
    for (unsigned i = 0; known && i < packet->clue_count; i++) {
        if (find_settled(known, packet->leg, &packet->clues[i]))
            continue;
        known->clues[known->next] = (settled_clue){ packet->leg, ft_owner_of(&packet->clues[i]),
                                                    packet->clues[i] };
        known->next = (known->next + 1) % SETTLED_CLUES;
    }
}

/* What judging the packet would have left behind: its way's media goes on. */
static void
note_media_of_key(packet_info *pinfo, const ft_packet *packet)
{
    for (unsigned i = 0; i < packet->clue_count; i++) {
        if (packet->clues[i].what == FT_CLUE_KEY)
            packet->leg->media_time = ft_steady(pinfo);
    }
}

ft_call *
ft_settled_call(packet_info *pinfo, const ft_packet *packet)
{
    if (packet->told_call || packet->leg->renewed)
        return NULL;

    if (packet->clue_count && !is_of_media(&packet->clues[0]))
        return NULL;
    ft_call *call = packet->clue_count ? call_of_settled_clues(pinfo, packet)
                                       : settled_call(pinfo, packet);
    if (!call || ft_call_is_over(pinfo, call) || ft_call_strange(packet, call) ||
        ft_call_other_generation(packet, call))
        return NULL;
    note_media_of_key(pinfo, packet);
    return call;
}

void
ft_settle(const ft_judged *judged, unsigned clue_count, bool changed)
{
    if (judged->packet->told_call || judged->packet->clue_count != clue_count)
        return;
    if (clue_count)
        settle_clues(judged);
    else if (!changed)
        settle_packet(judged->pinfo, judged->packet);
}
