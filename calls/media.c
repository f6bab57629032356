/* calls/media.c
 * Who sends what over which way, from RTP: senders (SSRC, direction), their losses, copies, way.
 *
 *    RTP packet -> stream (call, SSRC, direction) -> sequence (calls/sequence.h): next, late,
 *                  copy, restart
 *               -> leg: first media, path switch, the same over both
 *               -> payload type: calls/codec.h
 *
 * Where packets of one call may be captured (each X), all in one file:
 *
 *    device --X-- NAT --X-- relay --X-- NAT --X-- other device    both ends, or a NAT's two sides
 *       \-------X---------- direct path ----------X----/
 *
 * A direction is told at the device that was seen first; what is seen at the other end is the same
 * stream again, and counts for nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/media.h"
#include "calls/call.h"
#include "calls/continuity.h"
#include "calls/grow.h"
#include "calls/key.h"
#include "calls/limits.h"
#include "calls/mark.h"
#include "calls/resolve.h"
#include "calls/sample.h"
#include "calls/silence.h"

/* A way with media this recently is still in use: alternating ways aren't switches. Chosen: many
 * times the 20 to 60 ms between two packets of sound, and about what lies between two batches of
 * frame times on an iPhone (35 in 34 s, 38 in 37 s, 2023). */
#define WAY_IN_USE_MS   1000
/* Two ways that are in use both show within so much of a sender's first packet: ten packets of
 * sound, chosen. */
#define MET_MS          200
#define ONE_WAY_MS      5000    /* media for so long, and none from the other side; chosen */

ws_bool ft_accept_bare_media = TRUE;

static unsigned stream_total;

static void
reset(void)
{
    stream_total = 0;
}

void
ft_media_init(void)
{
    ft_codec_init();
    register_init_routine(reset);
    register_postseq_cleanup_routine(ft_media_hindsight);
}

/* ---- times and addresses ---- */

static void
keep_endpoint(ft_endpoint *kept, const ft_endpoint *endpoint)
{
    if (!ft_endpoint_equal(kept, endpoint))
        *kept = ft_endpoint_keep(endpoint);
}

/* ---- streams ---- */

/* Whether the device sends this packet of the direct path. Its first address tells; where neither
 * end has that, the device moved or is seen from outside a NAT: a stream keeps its direction. A
 * wrong guess would make two senders of one, and with them a silence and a handover that nobody
 * had. */
static bool
is_outgoing(const packet_info *pinfo, const ft_call *call, uint32_t ssrc)
{
    const bool from_local = ft_call_is_local(call, &pinfo->src);
    const bool to_local = ft_call_is_local(call, &pinfo->dst);

    if (from_local != to_local)
        return from_local;
    if (from_local) /* both ends on one host */
        return pinfo->srcport == call->local.port || pinfo->destport != call->local.port;
    if (call->other_end.addr.type != AT_NONE) { /* as it sees it */
        const bool from_other_end = addresses_equal(&pinfo->src, &call->other_end.addr);
        if (from_other_end != addresses_equal(&pinfo->dst, &call->other_end.addr))
            return from_other_end;
    }

    const bool known_out = ft_call_stream(call, ssrc, true) != NULL;
    const bool known_in = ft_call_stream(call, ssrc, false) != NULL;
    if (known_out != known_in)
        return known_out;
    if (addresses_equal(&pinfo->src, &call->remote.addr) !=
        addresses_equal(&pinfo->dst, &call->remote.addr))
        return addresses_equal(&pinfo->dst, &call->remote.addr);
    return ft_call_sends_from(call, &pinfo->src) || !ft_call_sends_from(call, &pinfo->dst);
}

/* Of a relay's channel the far end is its peer, not the relay's address. */
static ft_observation
observe(packet_info *pinfo, const ft_packet *packet, uint32_t ssrc)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const ft_endpoint *client = packet->flow ? ft_flow_client(packet->flow) : NULL;

    if (packet->path == FT_PATH_RELAY && client) {
        const bool outgoing = ft_endpoint_equal(client, &source);
        ft_endpoint far_end = packet->leg ? packet->leg->peer : source;
        if (far_end.addr.type == AT_NONE) /* a modern relay doesn't name who is behind it */
            far_end = packet->call->remote;
        return (ft_observation){ *client, outgoing ? source : far_end, outgoing };
    }
    if (is_outgoing(pinfo, packet->call, ssrc))
        return (ft_observation){ source, source, true };
    return (ft_observation){ destination, source, false };
}

bool
ft_media_is_outgoing(packet_info *pinfo, const ft_packet *packet)
{
    return observe(pinfo, packet, 0).outgoing;
}

/* A relay's channel may lead to the peer's NAT: who is met directly is the far end. Until then
 * it is who media is sent to. */
static void
meet_remote(packet_info *pinfo, const ft_packet *packet, const ft_observation *seen)
{
    const ft_endpoint destination = ft_destination(pinfo);
    const bool is_direct = packet->path == FT_PATH_DIRECT;

    if (!seen->outgoing && (is_direct || !packet->leg || packet->leg->peer.addr.type != AT_NONE))
        ft_call_remote(packet->call, &seen->sender, is_direct ? FT_REMOTE_MET : FT_REMOTE_BOUND);
    else if (is_direct)
        ft_call_remote(packet->call, &destination, FT_REMOTE_SENT_TO);
}

/* Streams that moved from the relay to the direct path, while the checks weren't captured: the
 * capture begins between them and the move. */
static void
meet_unchecked_remote(packet_info *pinfo, const ft_packet *packet, const ft_observation *seen)
{
    if (packet->path == FT_PATH_DIRECT && packet->call->remote_rank <= FT_REMOTE_SENT_TO)
        meet_remote(pinfo, packet, seen);
}

static void
set_first_packet(ft_stream *stream, const ft_rtp *rtp)
{
    stream->first_sequence = rtp->sequence;
    stream->first_digest = rtp->digest;
    stream->timestamp = rtp->timestamp;
}

static ft_stream *
new_stream(packet_info *pinfo, const ft_packet *packet, const ft_rtp *rtp,
           const ft_observation *seen)
{
    wmem_array_t *streams = packet->call->streams;

    if (!ft_has_room(pinfo, FT_LIMIT_STREAMS, stream_total) ||
        !ft_has_room(pinfo, FT_LIMIT_STREAMS_PER_CALL, wmem_array_get_count(streams)))
        return NULL;
    stream_total++;

    ft_stream *stream = wmem_new0(wmem_file_scope(), ft_stream);
    stream->ssrc = rtp->ssrc;
    stream->outgoing = seen->outgoing;
    set_first_packet(stream, rtp);
    stream->sender = ft_endpoint_keep(&seen->sender);
    stream->first_frame = ft_frame_id(pinfo);
    stream->first_time = stream->last_time = ft_now(pinfo);
    stream->heard_time = ft_steady(pinfo);
    wmem_array_append_one(streams, stream);
    if (!packet->ssrc_of_another)
        ft_key_stream(pinfo, packet->call, stream);
    meet_remote(pinfo, packet, seen);
    return stream;
}

static bool
is_relayed(const ft_leg *leg)
{
    return leg && (leg != &leg->flow->direct || leg->flow->server);
}

/* The number of a way among the stream's; those beyond the last that is told apart share its
 * number. A copy on another way is a second path, one on the same way tells nothing: hence the
 * ways of each stream, and not only the last. */
static uint8_t
way_of(ft_stream *stream, ft_leg *leg)
{
    unsigned way = 0;

    while (way < stream->way_count && stream->ways[way] != leg)
        way++;
    if (way == stream->way_count && way < FT_MAX_WAYS_PER_STREAM) {
        stream->ways[stream->way_count++] = leg;
        if (leg)
            ft_flow_carries_media(leg->flow);
    }
    return (uint8_t)MIN(way, FT_MAX_WAYS_PER_STREAM - 1);
}

/* Who sends a packet directly twice sends it from one place, or to one. The same bytes between
 * two others are no second path of this sender. */
static bool
share_an_end(const ft_leg *one, const ft_leg *other)
{
    const ft_flow *x = one ? one->flow : NULL, *y = other ? other->flow : NULL;

    return !x || !y || is_relayed(one) || is_relayed(other) ||
           addresses_equal(&x->a.addr, &y->a.addr) || addresses_equal(&x->a.addr, &y->b.addr) ||
           addresses_equal(&x->b.addr, &y->a.addr) || addresses_equal(&x->b.addr, &y->b.addr);
}

/* A copy that took another way than the packet it repeats; the same way twice tells nothing. */
static void
watch_copy(packet_info *pinfo, const ft_stream *stream, uint16_t sequence, uint8_t way,
           ft_sequence_mark *mark)
{
    if ((mark->way == way && !mark->on_several) ||
        !share_an_end(stream->ways[mark->way], stream->ways[way]))
        return;
    ft_event_add(pinfo, FT_EVENT_MEDIA_ON_BOTH_PATHS, mark->frame,
                 "RTP sequence number %u was already sent %s in frame %u", sequence,
                 is_relayed(stream->ways[mark->way]) ? "over the relay" : "directly",
                 ft_frame_number(mark->frame));
    *mark = (ft_sequence_mark){ ft_frame_id(pinfo), way, true };
}

/* A gap in which the capture kept packets without their numbers isn't known to be a loss. So with
 * captures of 54, 64 or 200 bytes a packet, where some headers are missing: what isn't there isn't
 * lost. A group's parity packets are shorter and come behind those that they protect, with their
 * numbers again, so a gap may show some packets later than what it lacks (3 in 2023). */
#define CUT_REACH 16

static void
tell_loss(packet_info *pinfo, ft_stream *stream, const ft_sequence_packet *told)
{
    /* two numbers that prove no sequence are no neighbours: there is a gap between them */
    const bool is_apart = told->verdict == FT_SEQUENCE_UNPROVEN && stream->packets > 1;

    if (stream->cut_since && (told->missing || is_apart))
        stream->is_cut = true;
    else if (told->missing)
        ft_frame_make(pinfo)->lost_before += told->missing;
    if (told->verdict != FT_SEQUENCE_UNPROVEN && stream->cut_since)
        stream->cut_since--;
}

/* Of a stream that has sent before, proven or not: a capture may begin while two ways are in use,
 * and the slower one brings what the other had before. */
static bool
is_overtaken(const ft_stream *stream, uint16_t sequence)
{
    const uint16_t behind = (uint16_t)(ft_sequence_latest(&stream->sequence) - sequence);

    return stream->packets > 0 && behind > 0 && behind <= FT_SEQUENCE_MAX_MISORDER;
}

/* What a packet is to the ways that its sender uses. */
typedef enum { IS_NEWER, IS_OVERTAKEN, IS_COPY } packet_news;

/* A packet whose stamp is early by mistake (one of them is 4 s early in a case) moves the first
 * time back, but never the last. */
static packet_news
count_packet(packet_info *pinfo, ft_stream *stream, const ft_packet *packet, const ft_rtp *rtp)
{
    const bool is_late = is_overtaken(stream, rtp->sequence);
    const ft_sequence_packet told =
        ft_sequence_add(&stream->sequence, rtp->sequence, rtp->digest, ft_grow_of_file);
    const uint8_t way = way_of(stream, packet->leg);
    const nstime_t now = ft_now(pinfo);

    stream->payload_types[rtp->payload_type >> 6 & 1] |= UINT64_C(1) << (rtp->payload_type & 63);
    stream->last_frame = packet->frame;
    if (ft_is_later(&now, &stream->last_time))
        stream->last_time = now;
    ft_steady_keep(&stream->heard_time, &packet->steady);
    if (ft_has_time(pinfo) && ft_is_later(&stream->first_time, &now))
        stream->first_time = now;
    if (told.verdict == FT_SEQUENCE_COPY) {
        stream->copies++;
        watch_copy(pinfo, stream, rtp->sequence, way, told.mark);
        return IS_COPY;
    }
    *told.mark = (ft_sequence_mark){ packet->frame, way, false };
    if ((int32_t)(rtp->timestamp - stream->timestamp) > 0)
        stream->timestamp = rtp->timestamp;
    stream->packets++;
    tell_loss(pinfo, stream, &told);
    return is_late ? IS_OVERTAKEN : IS_NEWER;
}

/* ---- the other end ---- */

#define SIGHTINGS 2048  /* media packets that are remembered of the other end: seconds of it */

/* Both ends of a call in one file: what one device sends, the other one gets, and each stream
 * goes both ways. The device that was seen first is the call's; what the other one sends and gets
 * is seen there again, and teaches nothing. Without it each packet would be a copy, the loss of
 * the way a loss twice, and each direction its own opposite. */
static bool
is_at_other_end(ft_call *call, const ft_stream *view, const ft_observation *seen)
{
    const address *here = &seen->device.addr;

    if (call->other_end.addr.type != AT_NONE)
        return ft_address_equal(here, &call->other_end.addr);
    if (!view || !view->by || ft_address_equal(&view->by->device.addr, here))
        return false;
    call->other_end = ft_endpoint_keep(addresses_equal(here, &call->local.addr) ? &view->by->device
                                                                                : &seen->device);
    return addresses_equal(here, &call->other_end.addr);
}

/* A slot that another packet has taken costs a link between two frames, no count. */
static ft_sighting *
sighting_of(const ft_call *call, uint32_t ssrc, uint16_t sequence)
{
    return &call->sightings[(ssrc * 509u + sequence) % SIGHTINGS];
}

static void
remember_sighting(ft_call *call, uint32_t ssrc, uint16_t sequence, uint32_t frame)
{
    if (!call->sightings)
        call->sightings = wmem_alloc0_array(wmem_file_scope(), ft_sighting, SIGHTINGS);
    *sighting_of(call, ssrc, sequence) = (ft_sighting){ frame, ssrc, sequence };
}

/* Of a packet at the other end: its frame at the call's device, where that came first and not
 * long ago. */
static void
note_other_end(packet_info *pinfo, ft_packet *packet, const ft_stream *stream, const ft_rtp *rtp)
{
    ft_frame *frame = ft_frame_make(pinfo);
    const ft_sequence_mark *first =
        stream ? ft_sequence_find(&stream->sequence, rtp->sequence, rtp->digest) : NULL;

    if (first)
        frame->seen_before = first->frame;
    else
        remember_sighting(packet->call, rtp->ssrc, rtp->sequence, packet->frame);
    frame->at_other_end = packet->seen_before = true;
    if (packet->leg)
        packet->leg->media_time = ft_steady(pinfo);
}

/* Of a packet at the call's device: its frame at the other end, where that came first. */
static void
find_sighting(packet_info *pinfo, const ft_call *call, const ft_rtp *rtp)
{
    const ft_sighting *sighting =
        call->sightings ? sighting_of(call, rtp->ssrc, rtp->sequence) : NULL;

    if (sighting && sighting->frame && sighting->ssrc == rtp->ssrc &&
        sighting->sequence == rtp->sequence)
        ft_frame_make(pinfo)->seen_before = sighting->frame;
}

typedef struct { ft_call *call; uint32_t ssrc; } sighted;

static void
take_for_sighting(uint16_t sequence, const ft_sequence_mark *mark, void *user)
{
    const sighted *stream = (const sighted *)user;

    remember_sighting(stream->call, stream->ssrc, sequence, mark->frame);
}

/* A stream that was seen at the other end alone so far: from now on it is what the call's device
 * sees of it. What was learnt so far becomes sightings, so that the links between the frames
 * stay. */
static void
begin_anew(packet_info *pinfo, ft_call *call, ft_stream *stream, const ft_rtp *rtp,
           const ft_observation *seen)
{
    sighted what = { call, stream->ssrc };

    ft_sequence_marks(&stream->sequence, take_for_sighting, &what);
    ft_give_back(stream->sequence.slots, stream->sequence.room * sizeof *stream->sequence.slots);
    *stream = (ft_stream){
        .ssrc = stream->ssrc,
        .outgoing = seen->outgoing,
        .sender = ft_endpoint_keep(&seen->sender),
        .first_frame = ft_frame_id(pinfo),
        .first_time = ft_now(pinfo),
        .last_time = ft_now(pinfo),
        .heard_time = ft_steady(pinfo),
    };
    set_first_packet(stream, rtp);
}

static bool
is_other_view(const ft_call *call, const ft_stream *stream)
{
    const ft_stream *own = ft_call_stream(call, stream->ssrc, !stream->outgoing);

    return own && own->by && stream->by && ft_call_is_local(call, &own->by->device.addr) &&
           !ft_call_is_local(call, &stream->by->device.addr);
}

/* What was a call of its own turned out to be this one, as its other end saw it: each stream that
 * this end has, too, was counted twice. */
static void
drop_other_views(ft_call *call)
{
    wmem_array_t *kept = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_stream *), FEW);

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        ft_stream *stream = *(ft_stream **)wmem_array_index(call->streams, i);
        sighted what = { call, stream->ssrc };
        if (is_other_view(call, stream))
            ft_sequence_marks(&stream->sequence, take_for_sighting, &what);
        else
            wmem_array_append_one(kept, stream);
    }
    call->streams = kept;
}

/* Two captures of one way, with clocks apart: what was sent is sent again; where they are far
 * apart, the stream begins anew. */
static bool
is_repeat(const ft_packet *packet, ft_stream *stream, const ft_rtp *rtp)
{
    if (!stream)
        return false;

    const bool is_first =
        rtp->sequence == stream->first_sequence && rtp->digest == stream->first_digest;
    const bool two_clocks = packet->flow && packet->flow->two_clocks;
    if (!is_first && !two_clocks && !stream->is_repeated) /* nearly always */
        return false;

    const ft_sequence_mark *first =
        ft_sequence_find(&stream->sequence, rtp->sequence, rtp->digest);
    if (first)
        return two_clocks && stream->ways[first->way] == packet->leg;
    stream->is_repeated |= is_first;
    return stream->is_repeated && (int32_t)(rtp->timestamp - stream->timestamp) < 0;
}

/* True for media as the call's other end sees it; else of[seen->outgoing] is its stream here, if
 * there is one yet. of: the call's streams with its SSRC. */
static bool
watch_other_end(packet_info *pinfo, ft_packet *packet, const ft_rtp *rtp,
                const ft_observation *seen, ft_stream *of[2])
{
    ft_stream *view = of[!seen->outgoing];

    if (is_at_other_end(packet->call, view, seen)) {
        note_other_end(pinfo, packet, view, rtp);
        return true;
    }
    if (view && view->by &&
        addresses_equal(&view->by->device.addr, &packet->call->other_end.addr)) {
        begin_anew(pinfo, packet->call, view, rtp, seen);
        ft_call_streams(packet->call, rtp->ssrc, of);
    }
    if (!is_repeat(packet, of[seen->outgoing], rtp))
        return false;
    note_other_end(pinfo, packet, of[seen->outgoing], rtp);
    return true;
}

/* ---- senders: who they are ---- */

/* The sender that is known by its key, or, while it shows none, by where its packets come from;
 * in a legacy call, which has one sender at each end, by the device's socket too. Groups rekey,
 * and a sender may move: either of the two alone would make a new sender of each key, or of each
 * network. */
static bool
is_sender(const ft_sender *sender, const ft_packet *packet, const ft_rtp *rtp,
          const ft_observation *seen)
{
    if (sender->outgoing != seen->outgoing)
        return false;
    if (rtp->key && sender->has_key)
        return memcmp(rtp->key, sender->key, FT_KEY_LENGTH) == 0;
    return ft_endpoint_equal(&sender->source, &seen->sender) ||
           (packet->generation == FT_LEGACY && ft_endpoint_equal(&sender->device, &seen->device));
}

static ft_sender *
find_sender(const ft_packet *packet, const ft_rtp *rtp, const ft_observation *seen)
{
    ft_sender **senders = (ft_sender **)wmem_array_get_raw(packet->call->senders);

    for (unsigned i = wmem_array_get_count(packet->call->senders); i-- > 0;) {
        if (is_sender(senders[i], packet, rtp, seen))
            return senders[i];
    }
    return NULL;
}

static ft_sender *
new_sender(packet_info *pinfo, const ft_packet *packet, const ft_observation *seen)
{
    if (!ft_has_room(pinfo, FT_LIMIT_STREAMS_PER_CALL, wmem_array_get_count(packet->call->senders)))
        return NULL;

    const ft_sender *first = wmem_array_get_count(packet->call->senders)
                                 ? *(ft_sender **)wmem_array_index(packet->call->senders, 0)
                                 : NULL;
    ft_sender *sender = wmem_new0(wmem_file_scope(), ft_sender);
    sender->outgoing = seen->outgoing;
    sender->was_met = first ? first->was_met : packet->call->seen == 0;
    sender->device = ft_endpoint_keep(&seen->device);
    sender->source = ft_endpoint_keep(&seen->sender);
    sender->leg = packet->leg;
    /* one early stamp makes no silence */
    sender->first_time = ft_steady(pinfo);
    ft_steady_keep(&sender->first_time, &packet->call->last_time);
    sender->last_time = sender->leg_time = sender->first_time;
    wmem_array_append_one(packet->call->senders, sender);
    return sender;
}

/* An address alone tells of nobody's return after a silence: the next call, whose set-up wasn't
 * captured, has it, too. Media of 2023 says its key, that of other years doesn't. */
static bool
is_known_by_address(const packet_info *pinfo, const ft_sender *sender, const ft_rtp *rtp)
{
    return rtp->key || !ft_is_silent(pinfo, sender);
}

/* Who sends the stream: as before, whatever address or key it has now. NULL over
 * FT_MAX_STREAMS_PER_CALL. */
static ft_sender *
sender_of(packet_info *pinfo, const ft_packet *packet, ft_stream *stream, const ft_rtp *rtp,
          const ft_observation *seen)
{
    if (!stream->by) {
        stream->by = find_sender(packet, rtp, seen);
        if (!stream->by || !is_known_by_address(pinfo, stream->by, rtp))
            stream->by = new_sender(pinfo, packet, seen);
        if (!stream->by)
            return NULL;
    }
    if (rtp->key &&
        !(stream->by->has_key && memcmp(stream->by->key, rtp->key, FT_KEY_LENGTH) == 0)) {
        stream->by->has_key = true;
        memcpy(stream->by->key, rtp->key, FT_KEY_LENGTH);
    }
    return stream->by;
}

/* Whoever sends media through a modern relay isn't named. */
static const char *
sender_name(packet_info *pinfo, const ft_observation *seen)
{
    return seen->sender.addr.type == AT_NONE ? "the peer"
                                             : ft_endpoint_str(pinfo->pool, &seen->sender);
}

/* ---- senders: silence ---- */

/* The first packet after a silence. What comes after the call's end ends none. */
static void
watch_return(packet_info *pinfo, const ft_packet *packet, ft_sender *sender,
             const ft_observation *seen)
{
    if (sender->last_frame && !packet->call->end_frame &&
        ft_is_past(&packet->steady, &sender->last_time, ft_media_gap_ms))
        ft_silence_tell(
            pinfo, sender,
            wmem_strdup_printf(pinfo->pool, "No media from %s", sender_name(pinfo, seen)));
    ft_steady_keep(&sender->last_time, &packet->steady);
    ft_steady_keep(&packet->call->device_time, &packet->steady);
    sender->last_frame = packet->frame;
}

/* The first packet of one side that shows the other side silent: where it is told, if the
 * silence lasts to the capture's end. */
static void
watch_other_side(packet_info *pinfo, ft_call *call, const ft_sender *other)
{
    ft_silence *silence = &call->silence[other->outgoing];

    if (call->end_frame || !ft_is_silent(pinfo, other) || silence->since_frame == other->last_frame)
        return;
    silence->frame = ft_frame_make(pinfo);
    silence->time = ft_now(pinfo);
    silence->since_frame = other->last_frame;
}

/* A side that is silent to the capture's end has no packet at which that could be told: the other
 * side's packet, kept by watch_other_side(), has it. */
void
ft_media_hindsight(void)
{
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        ft_call *call = ft_call_by_number(number);
        if (call->merged_into || call->end_frame || call->silence_judged)
            continue;
        call->silence_judged = true;
        ft_silence_judge(call, false);
        ft_silence_judge(call, true);
    }
}

/* ---- senders: ways ---- */

static const char *
way_name(wmem_allocator_t *scope, const ft_leg *leg)
{
    if (!leg)
        return "an unknown way";
    if (leg->channel)
        return wmem_strdup_printf(scope, "the relay (channel 0x%04x)", leg->channel);
    return is_relayed(leg) ? "the relay" : "the direct path";
}

static bool
has_end_at(const ft_flow *flow, const address *addr)
{
    return flow && (addresses_equal(&flow->a.addr, addr) || addresses_equal(&flow->b.addr, addr));
}

/* The flow was seen on a NAT's other side, too, where one end has this address; in another VLAN or
 * tunnel it has the addresses that it has here. */
static bool
has_other_side(const ft_flow *flow, const address *addr)
{
    return flow && has_end_at(flow->twin_of_it, addr) && !has_end_at(flow, addr);
}

/* A modern device has a socket for each way: another port is another socket there, another
 * address is another network. */
static bool
has_moved(const ft_sender *sender, const ft_packet *packet, const ft_observation *seen)
{
    if (has_other_side(packet->flow, &sender->device.addr) ||
        has_other_side(sender->leg->flow, &seen->device.addr))
        return false;
    return !addresses_equal(&sender->device.addr, &seen->device.addr) ||
           (sender->device.port != seen->device.port &&
            is_relayed(sender->leg) == is_relayed(packet->leg));
}

/* Its length: from the last media on the way before. */
static void
tell_handover(packet_info *pinfo, const ft_sender *sender, const ft_observation *seen)
{
    ft_event *event = ft_event_add(
        pinfo, FT_EVENT_HANDOVER, sender->last_frame, "The device goes on at %s, before at %s",
        ft_endpoint_str(pinfo->pool, &seen->device), ft_endpoint_str(pinfo->pool, &sender->device));

    const nstime_t now = ft_steady(pinfo);

    if (event)
        event->length = ft_passed(&sender->last_time, &now);
}

/* A handover is told beside the switch, of the device's own media only (of the peer's address, the
 * relay says nothing), or by what it gets, where nothing that it sends was captured. */
static void
tell_switch(packet_info *pinfo, const ft_sender *sender, const ft_packet *packet,
            const ft_stream *stream, const ft_observation *seen)
{
    const char *from = way_name(pinfo->pool, sender->leg), *to = way_name(pinfo->pool, packet->leg);
    const ft_endpoint destination = ft_destination(pinfo);

    if (strcmp(from, to) == 0) /* of several */
        to = wmem_strdup_printf(pinfo->pool, "another, to %s",
                                ft_endpoint_str(pinfo->pool, &destination));
    ft_event_add(pinfo, FT_EVENT_PATH_SWITCH, sender->last_frame,
                 "Media of %s moves from %s to %s%s", sender_name(pinfo, seen), from, to,
                 sender->outgoing ? ft_silence_text(pinfo, packet->call) : "");
    if ((stream->way_count > 1 || sender->has_key) && has_moved(sender, packet, seen) &&
        (sender->outgoing || !packet->call->hears_both))
        tell_handover(pinfo, sender, seen);
}

/* A packet that was met on another way of the same kind first is the same datagram, seen again
 * (both sides of a NAT); what was overtaken is what the way before still delivers. */
static bool
moves_nothing(const ft_sender *sender, const ft_packet *packet, packet_news news)
{
    return news == IS_OVERTAKEN ||
           (news == IS_COPY && is_relayed(sender->leg) == is_relayed(packet->leg));
}

/* Who comes back elsewhere after a silence has moved. Not by a copy where there were copies before,
 * nor where it comes back to the one of two ways that had the packets first. */
static bool
comes_back(const ft_sender *sender, const ft_packet *packet, packet_news news)
{
    return sender->is_beside ||
           (sender->has_copies && (packet->leg == sender->leg || news == IS_COPY));
}

/* Where the sender pauses as a whole, or the capture's clock steps, none of its ways is left:
 * they are as they were at its latest packet. */
static void
pass_over_pause(ft_sender *sender, const ft_packet *packet, packet_news news, const nstime_t *now)
{
    if (!ft_is_past(now, &sender->last_time, WAY_IN_USE_MS) ||
        (ft_is_past(now, &sender->last_time, ft_media_gap_ms) &&
         !comes_back(sender, packet, news)))
        return;

    const nstime_t pause = ft_passed(&sender->last_time, now);
    nstime_add(&sender->leg_time, &pause);
    nstime_add(&sender->other_time, &pause);
}

/* The two are one way, on both sides of a NAT: what `flow` copies is learnt from in its twin. */
static bool
is_other_side(const ft_leg *leg, const ft_leg *learnt)
{
    return leg && learnt && leg->flow && leg->flow->twin && leg->flow->twin == learnt->flow &&
           leg->channel == learnt->channel;
}

/* Two channels of one 5-tuple may be of two calls, their binds not captured: there an SSRC that
 * goes on shows that the sender moved, a new one doesn't. */
static bool
may_be_two_calls(const ft_sender *sender, const ft_packet *packet, const ft_stream *stream)
{
    const ft_leg *from = sender->leg, *to = packet->leg;

    return stream->way_count <= 1 && from && from->flow == to->flow && from->channel &&
           to->channel && !from->setup_frame && !to->setup_frame;
}

/* An SSRC that goes on shows that its sender moved, and so does a key. A new one beside another
 * that goes on where that was may be a second call's: of it nobody knows that it moved. */
static bool
is_beside(const ft_sender *sender, const ft_stream *stream, const nstime_t *now)
{
    return !sender->has_key && stream->ssrc && stream->way_count <= 1 &&
           ft_milliseconds(now, &sender->leg_time) <= WAY_IN_USE_MS;
}

/* The capture began while media was under way: of a way that shows this soon nobody knows that it
 * wasn't in use before. */
static bool
is_just_met(const ft_sender *sender, const nstime_t *now)
{
    return sender->was_met && ft_milliseconds(now, &sender->first_time) <= MET_MS;
}

static void
follow_leg(ft_sender *sender, const ft_packet *packet, const ft_observation *seen,
           const nstime_t *now)
{
    sender->leg = packet->leg;
    sender->leg_time = *now;
    keep_endpoint(&sender->device, &seen->device);
    keep_endpoint(&sender->source, &seen->sender);
}

void
ft_media_same_way(ft_call *call, uint32_t frame)
{
    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++) {
        const ft_sender *sender = *(ft_sender **)wmem_array_index(call->senders, i);
        if (sender->last_frame < frame || !is_other_side(sender->other_leg, sender->leg))
            continue;
        ft_event_take_back_at(call, FT_EVENT_PATH_SWITCH, frame);
        ft_event_take_back_at(call, FT_EVENT_HANDOVER, frame);
    }
}

/* Two ways at once are no switch; one that goes silent for WAY_IN_USE_MS is left:
 *
 *    relay    m m m m m m m . m . m m m m m m
 *    direct   . . . . m m m m m m . . . . . .
 *                     ^ to direct           ^ 1 s without direct media: back to the relay
 *
 * In between both are in use, and no packet of the relay's is a switch. Nor is going on with the
 * way that was in use all along while the other one, begun by copies, came and went:
 *
 *    direct   m m m m m m m m m m m m m m m m
 *    relay    . . . c c c c c c . . . . . . .
 *                   ^ both                 ^ no switch
 *
 * Nor where the capture begins with both, or a new SSRC with the second one. */
static void
watch_switch(packet_info *pinfo, const ft_packet *packet, const ft_stream *stream,
             const ft_observation *seen, packet_news news)
{
    ft_sender *sender = stream->by;
    const nstime_t now = ft_steady(pinfo);

    pass_over_pause(sender, packet, news, &now);
    if (packet->leg == sender->leg) {
        ft_steady_keep(&sender->leg_time, &now);
        return;
    }
    if (is_other_side(sender->leg, packet->leg)) {
        follow_leg(sender, packet, seen, &now);
        return;
    }
    if (moves_nothing(sender, packet, news))
        return;
    if (is_other_side(sender->other_leg, packet->leg))
        sender->other_leg = packet->leg;

    const bool in_use = (packet->leg == sender->other_leg &&
                         ft_milliseconds(&now, &sender->other_time) <= WAY_IN_USE_MS) ||
                        is_just_met(sender, &now) || is_beside(sender, stream, &now);
    const bool left = ft_milliseconds(&now, &sender->leg_time) > WAY_IN_USE_MS;
    if (in_use && !left) {
        ft_steady_keep(&sender->other_time, &now);
        sender->has_copies = news == IS_COPY;
        if (is_just_met(sender, &now) || is_beside(sender, stream, &now)) {
            sender->other_leg = packet->leg;
            sender->is_beside = true;
        }
        return;
    }
    if (!(in_use && sender->is_beside) && !may_be_two_calls(sender, packet, stream))
        tell_switch(pinfo, sender, packet, stream, seen);
    sender->is_beside = news == IS_COPY;
    sender->has_copies = false;
    sender->other_leg = sender->leg;
    sender->other_time = sender->leg_time;
    follow_leg(sender, packet, seen, &now);
}

/* ---- what a call's first media tells ---- */

/* Audio and video, in and out: four times in a call at most. */
static void
tell_first_media(packet_info *pinfo, ft_call *call, const ft_rtp *rtp, const ft_observation *seen)
{
    const unsigned bit = 1u << (2 * seen->outgoing + (rtp->medium == FT_MEDIUM_VIDEO));

    if (rtp->medium == FT_MEDIUM_UNKNOWN || (call->media_told & bit))
        return;
    call->media_told |= (uint8_t)bit;
    ft_event_add(pinfo, FT_EVENT_FIRST_MEDIA, 0, "First %s from the %s",
                 rtp->medium == FT_MEDIUM_VIDEO ? "video" : "audio",
                 seen->outgoing ? "device" : "peer");
}

/* The capture must have shown that it sees the other side's packets at all. Where a capture sees
 * one direction only (the downlink alone, say), silence of the other means nothing. */
static void
watch_one_way(packet_info *pinfo, ft_call *call, const ft_sender *sender)
{
    const nstime_t now = ft_steady(pinfo);

    if (call->one_way_told[sender->outgoing] ||
        ft_milliseconds(&now, &sender->first_time) < ONE_WAY_MS || !call->hears_both)
        return;
    call->one_way_told[sender->outgoing] = true;
    ft_event_add(
        pinfo, FT_EVENT_ONE_WAY_MEDIA, 0, "Media from the %s for %s, none from the %s so far",
        sender->outgoing ? "device" : "peer",
        ft_seconds_text(pinfo->pool, ft_seconds(&sender->first_time, &now),
                        ft_clock_is_batched_at(&sender->device.addr)),
        sender->outgoing ? "peer" : "device");
}

static void
watch_both_sides(packet_info *pinfo, const ft_packet *packet, ft_sender *sender,
                 const ft_observation *seen)
{
    watch_return(pinfo, packet, sender, seen);
    const ft_sender *other = ft_newest_sender(packet->call, !sender->outgoing);
    if (other)
        watch_other_side(pinfo, packet->call, other);
    else
        watch_one_way(pinfo, packet->call, sender);
}

/* Of a stream, so that the other end's capture is known by its first packets. */
#define YOUNG_STREAM 16

static bool
is_sampled(const ft_rtp *rtp, const ft_stream *stream)
{
    return ft_sample_is_due(rtp->sequence) || stream->packets < YOUNG_STREAM;
}

static ft_call *
other_call_with(const packet_info *pinfo, const ft_rtp *rtp, const ft_call *call)
{
    const ft_sample sample = { rtp->ssrc, rtp->timestamp, rtp->digest, rtp->sequence };

    return ft_sample_call(pinfo, &sample, call);
}

static void
keep_sample(const ft_rtp *rtp, ft_call *call)
{
    const ft_sample sample = { rtp->ssrc, rtp->timestamp, rtp->digest, rtp->sequence };

    ft_sample_keep(&sample, call);
}

/* Media of a sender that is known on its way needs no judging. Nearly all packets of a call take
 * this way out: what stands here is paid by each. of: the call's streams with the SSRC, found on
 * the way. */
static void
resolve(packet_info *pinfo, ft_packet *packet, const ft_rtp *rtp, ft_stream *of[2])
{
    if (ft_steady_doubted())
        ft_continuity_mend_clock(pinfo, rtp);

    ft_call *call = ft_call_quick(pinfo);
    if (call)
        ft_call_streams(call, rtp->ssrc, of);
    const ft_stream *stream = of[true] ? of[true] : of[false];
    const bool is_known = stream && call->media_leg == packet->leg && packet->clue_count == 0;
    ft_call *met = !is_known || is_sampled(rtp, stream) ? other_call_with(pinfo, rtp, call) : NULL;
    const bool is_other_end = met && call && ft_sample_agrees(pinfo, call, met, rtp->sequence);
    if (is_other_end) {
        ft_clue_call(pinfo, met);
    } else if (is_known) {
        packet->call = call;
        return;
    }
    packet->rtp_sequence = rtp->sequence;
    packet->rtp_timestamp = rtp->timestamp;
    packet->rtp_digest = rtp->digest;
    ft_clue_number(pinfo, FT_CLUE_SSRC, ft_clue_of_ssrc(rtp->ssrc));
    ft_call_resolve(pinfo, true);
    if (is_other_end && packet->call)
        drop_other_views(packet->call);
    else if (met && !call && packet->call)
        ft_sample_agrees(pinfo, packet->call, met, rtp->sequence);
    if (packet->call)
        ft_call_streams(packet->call, rtp->ssrc, of);
}

/* All streams of that direction may be meant: which one it is stood in what was cut. */
void
ft_rtp_cut(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !ft_learning(pinfo))
        return;
    ft_call_resolve(pinfo, true);
    if (!packet->call)
        return;

    const bool outgoing = observe(pinfo, packet, 0).outgoing;
    for (unsigned i = 0; i < wmem_array_get_count(packet->call->streams); i++) {
        ft_stream *stream = *(ft_stream **)wmem_array_index(packet->call->streams, i);
        if (stream->outgoing == outgoing)
            stream->cut_since = CUT_REACH;
    }
}

/* Only before its first stream: looked at once a call, or for as long as there is no room. */
static void
meet_client(const ft_packet *packet)
{
    const ft_endpoint *client = packet->flow ? ft_flow_client(packet->flow) : NULL;

    if (packet->path == FT_PATH_RELAY && client)
        ft_call_has_client(packet->call, client);
}

void
ft_rtp_learn(packet_info *pinfo, const ft_rtp *rtp)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return;
    ft_stream *of[2] = { NULL, NULL }; /* the call's with this SSRC: of[outgoing] */
    resolve(pinfo, packet, rtp, of);
    if (!packet->call)
        return;

    if (!wmem_array_get_count(packet->call->streams))
        meet_client(packet);
    const ft_observation seen = observe(pinfo, packet, rtp->ssrc);
    if (watch_other_end(pinfo, packet, rtp, &seen, of))
        return;
    ft_stream *stream = of[seen.outgoing];
    if (!stream)
        stream = new_stream(pinfo, packet, rtp, &seen);
    packet->stream = stream;
    if (!stream)
        return;
    meet_unchecked_remote(pinfo, packet, &seen);
    if (is_sampled(rtp, stream))
        keep_sample(rtp, packet->call);
    find_sighting(pinfo, packet->call, rtp);
    if (packet->call->end_frame && seen.outgoing && !packet->seen_before)
        ft_call_goes_on(pinfo, packet->call);
    tell_first_media(pinfo, packet->call, rtp, &seen);
    const packet_news news = count_packet(pinfo, stream, packet, rtp);
    ft_sender *sender = sender_of(pinfo, packet, stream, rtp, &seen);
    if (sender) {
        watch_switch(pinfo, packet, stream, &seen, news);
        watch_both_sides(pinfo, packet, sender, &seen);
    }
}

/* Counted as a packet it would be a twin of its source packet, with its number. */
void
ft_rtp_parity(packet_info *pinfo, const ft_rtp *rtp)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !ft_learning(pinfo))
        return;
    if (!packet->call)
        packet->call = ft_call_of_packet(pinfo);
    if (!packet->call)
        return;
    const ft_observation seen = observe(pinfo, packet, rtp->ssrc);
    ft_stream *of[2];
    ft_call_streams(packet->call, rtp->ssrc, of);
    if (!watch_other_end(pinfo, packet, rtp, &seen, of))
        packet->stream =
            of[seen.outgoing] ? of[seen.outgoing] : new_stream(pinfo, packet, rtp, &seen);
}

/* No SSRC is seen: a direction has one sender, known by where its packets come from. */
bool
ft_media_heard(packet_info *pinfo, ft_observation *seen)
{
    static const ft_rtp no_rtp = { .medium = FT_MEDIUM_UNKNOWN };
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !ft_learning(pinfo))
        return false;
    ft_call_resolve(pinfo, true);
    if (!packet->call)
        return false;
    *seen = observe(pinfo, packet, 0);
    if (is_at_other_end(packet->call, NULL, seen)) {
        ft_frame_make(pinfo)->at_other_end = packet->seen_before = true;
        return false;
    }

    ft_sender *sender = find_sender(packet, &no_rtp, seen);
    if (!sender)
        sender = new_sender(pinfo, packet, seen);
    if (!sender)
        return true;
    const ft_stream stream = { .outgoing = seen->outgoing, .sender = seen->sender, .by = sender };
    meet_remote(pinfo, packet, seen);
    watch_switch(pinfo, packet, &stream, seen, IS_NEWER);
    watch_both_sides(pinfo, packet, sender, seen);
    return true;
}
