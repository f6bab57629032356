/* calls/media.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/media.h"
#include "calls/call.h"
#include "calls/limits.h"
#include "calls/resolve.h"

#define WINDOW          128     /* sequence numbers in which a copy is looked for */
#define MAX_CODEC_NAME  32      /* bytes of it that are kept */
#define WAY_IN_USE_MS   1000    /* a way with media this recently is still in use: alternating ways aren't switches */

unsigned ft_media_gap_ms = 2000;
ws_bool ft_accept_bare_media = TRUE;

/* Payload types that FaceTime uses without an rtpmap line. Static ones are those of RFC 3551; others' codecs stand in
 * SDP (a=rtpmap in some calls, a=fmtp), or are inferred: from later builds' tables, from clocks and timestamp steps. */
static const ft_codec known_codecs[] = {
    {   0, "PCMU",      8000, false },
    {   8, "PCMA",      8000, false },
    {   9, "G722",      8000, false },     /* 16 kHz sound on the 8 kHz clock of RFC 3551 */
    {  13, "CN",        8000, false },
    {  20, "RED",      24000, true },
    {  34, "H263",     90000, false },
    {  97, "AMR",       8000, true },
    {  98, "AMR-WB",   16000, true },
    { 100, "HEVC",     90000, false },
    { 101, "AAC-ELD",  48000, true },
    { 104, "AAC-ELD",  24000, false },
    { 105, "X-AAC_ELD", 22050, false },
    { 106, "AAC-ELD",  16000, false },
    { 107, "EVS",      16000, true },
    { 108, "EVS",      24000, true },
    { 111, "EVS",      16000, true },
    { 113, "AAC",      24000, true },
    { 119, "Opus",     24000, true },
    { 123, "H264",     90000, false },
    { 126, "X-H264",   90000, false },
};

/* In the modern generation picture and sound of one sender share a 24 kHz clock. */
static const ft_codec modern_codecs[] = {
    {  13, "CN",       24000, true },
    { 100, "HEVC",     24000, false },
    { 123, "H264",     24000, false },
};

/* What one SDP body said. */
typedef struct {
    uint32_t       frame;
    ft_sdp_medium *media;
    unsigned       count;
} ft_sdp_record;

/* The latest sequence numbers of a stream, and which way each took. */
typedef struct ft_window {
    struct { ft_leg *leg; uint32_t frame; uint16_t sequence; } slots[WINDOW];
} ft_window;

static unsigned stream_total, codec_total;

static void
reset(void)
{
    stream_total = codec_total = 0;
}

void
ft_media_init(void)
{
    register_init_routine(reset);
}

/* ---- codecs ---- */

static const ft_codec *
find_codec(const ft_codec *table, size_t count, uint8_t payload_type)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].payload_type == payload_type)
            return &table[i];
    }
    return NULL;
}

const ft_codec *
ft_codec_known(ft_generation generation, uint8_t payload_type)
{
    const ft_codec *codec = NULL;

    if (generation == FT_MODERN)
        codec = find_codec(modern_codecs, G_N_ELEMENTS(modern_codecs), payload_type);
    return codec ? codec : find_codec(known_codecs, G_N_ELEMENTS(known_codecs), payload_type);
}

const char *
ft_codec_str(wmem_allocator_t *scope, const ft_codec *codec)
{
    return codec->inferred ? wmem_strdup_printf(scope, "%s (inferred)", codec->name) : codec->name;
}

static unsigned
codecs_in(const ft_sdp_medium *media, unsigned count)
{
    unsigned codecs = 0;

    for (unsigned i = 0; i < count; i++)
        codecs += media[i].codec_count;
    return codecs;
}

void
ft_media_sdp(packet_info *pinfo, const ft_sdp_medium *media, unsigned count)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->call || !ft_learning(pinfo) || codecs_in(media, count) == 0)
        return;
    if (wmem_array_get_count(packet->call->sdps) >= FT_MAX_SDPS_PER_CALL ||
        codec_total + codecs_in(media, count) > FT_MAX_SDP_CODECS) {
        packet->limit_hit = true;
        return;
    }
    codec_total += codecs_in(media, count);

    ft_sdp_record *record = wmem_new0(wmem_file_scope(), ft_sdp_record);
    record->frame = ft_frame_id(pinfo);
    record->count = count;
    record->media = (ft_sdp_medium *)wmem_memdup(wmem_file_scope(), media, count * sizeof *media);
    for (unsigned i = 0; i < count; i++) {
        ft_sdp_medium *medium = &record->media[i];
        medium->codecs = (ft_codec *)wmem_memdup(wmem_file_scope(), medium->codecs,
                                                 medium->codec_count * sizeof *medium->codecs);
        for (unsigned j = 0; j < medium->codec_count; j++)
            medium->codecs[j].name = wmem_strndup(wmem_file_scope(), medium->codecs[j].name, MAX_CODEC_NAME);
    }
    wmem_array_append_one(packet->call->sdps, record);
}

/* The call's SDP bodies before this frame, newest first; NULL past the last. */
static const ft_sdp_record *
sdp_as_of(const ft_call *call, uint32_t frame, unsigned *left)
{
    while (*left > 0) {
        const ft_sdp_record *record = *(const ft_sdp_record **)wmem_array_index(call->sdps, --*left);
        if (record->frame < frame)
            return record;
    }
    return NULL;
}

static const ft_codec *
codec_in_sdp(const ft_sdp_record *record, uint8_t payload_type)
{
    for (unsigned i = 0; i < record->count; i++) {
        const ft_codec *codec = find_codec(record->media[i].codecs, record->media[i].codec_count, payload_type);
        if (codec)
            return codec;
    }
    return NULL;
}

/* The call of the packet in hand, or NULL. */
static const ft_call *
call_of(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return NULL;
    return packet->call ? packet->call : ft_call_of_packet(pinfo);
}

const ft_codec *
ft_call_codec(const ft_call *call, ft_generation generation, uint8_t payload_type, uint32_t frame,
              uint32_t *setup_frame)
{
    unsigned left = call ? wmem_array_get_count(call->sdps) : 0;

    if (setup_frame)
        *setup_frame = 0;
    for (const ft_sdp_record *record; call && (record = sdp_as_of(call, frame, &left)) != NULL;) {
        const ft_codec *codec = codec_in_sdp(record, payload_type);
        if (codec) {
            if (setup_frame)
                *setup_frame = record->frame;
            return codec;
        }
    }
    return ft_codec_known(generation, payload_type);
}

const ft_codec *
ft_media_codec(packet_info *pinfo, uint8_t payload_type, uint32_t *setup_frame)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return ft_call_codec(call_of(pinfo), packet ? packet->generation : FT_GENERATION_UNKNOWN, payload_type, ft_frame_id(pinfo),
                         setup_frame);
}

uint32_t
ft_media_newest_sdp(packet_info *pinfo)
{
    const ft_call *call = call_of(pinfo);
    unsigned left = call ? wmem_array_get_count(call->sdps) : 0;
    const ft_sdp_record *record = call ? sdp_as_of(call, ft_frame_id(pinfo), &left) : NULL;

    return record ? record->frame : 0;
}

void
ft_media_codecs(packet_info *pinfo, ft_codec_visitor visit, void *user)
{
    for (unsigned payload_type = 0; payload_type < 128; payload_type++) {
        const ft_codec *codec = ft_media_codec(pinfo, (uint8_t)payload_type, NULL);
        if (codec)
            visit(codec, user);
    }
}

/* ---- streams ---- */

/* Where this packet's media is seen, and who sends it. */
typedef struct {
    ft_endpoint device;
    ft_endpoint sender;
    bool        outgoing;
} observation;

static observation
observe(packet_info *pinfo, const ft_packet *packet)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const ft_endpoint *client = packet->flow ? ft_flow_client(packet->flow) : NULL;

    if (packet->path == FT_PATH_RELAY && client) {
        const bool outgoing = ft_endpoint_equal(client, &source);
        ft_endpoint far_end = packet->leg ? packet->leg->peer : source;
        if (far_end.addr.type == AT_NONE && packet->call) /* a modern relay doesn't name who is behind it */
            far_end = packet->call->remote;
        return (observation){ *client, outgoing ? source : far_end, outgoing };
    }
    if (packet->call && addresses_equal(&destination.addr, &packet->call->local.addr))
        return (observation){ destination, source, false };
    return (observation){ source, source, true };
}

/* A relay's channel may lead to the peer's NAT: who is met directly is the far end. Until then it is who media is sent
 * to. */
static void
meet_remote(packet_info *pinfo, const ft_packet *packet, const ft_stream *stream)
{
    ft_call *call = packet->call;
    const bool is_known = call->remote.addr.type != AT_NONE;

    if (!stream->outgoing && (packet->path == FT_PATH_DIRECT || (!is_known && packet->leg))) {
        ft_call_remote(call, &stream->sender, FT_REMOTE_MET);
    } else if (!is_known && packet->path == FT_PATH_DIRECT &&
               addresses_equal(&stream->sender.addr, &call->local.addr)) {
        const ft_endpoint destination = ft_destination(pinfo);
        ft_call_remote(call, &destination, FT_REMOTE_SENT_TO);
    }
}

static ft_stream *
stream_of(packet_info *pinfo, ft_packet *packet, const ft_rtp *rtp, const observation *seen)
{
    wmem_array_t *streams = packet->call->streams;

    for (unsigned i = wmem_array_get_count(streams); i-- > 0;) {
        ft_stream *stream = *(ft_stream **)wmem_array_index(streams, i);
        if (stream->ssrc == rtp->ssrc && stream->outgoing == seen->outgoing)
            return stream;
    }
    if (wmem_array_get_count(streams) >= FT_MAX_STREAMS_PER_CALL || stream_total >= FT_MAX_STREAMS) {
        packet->limit_hit = true;
        return NULL;
    }
    stream_total++;

    ft_stream *stream = wmem_new0(wmem_file_scope(), ft_stream);
    stream->ssrc = rtp->ssrc;
    stream->outgoing = seen->outgoing;
    stream->sender = ft_endpoint_keep(&seen->sender);
    stream->first_frame = ft_frame_id(pinfo);
    stream->base_sequence = stream->highest_sequence = rtp->sequence;
    stream->window = wmem_new0(wmem_file_scope(), ft_window);
    wmem_array_append_one(streams, stream);
    meet_remote(pinfo, packet, stream);
    return stream;
}

/* Extends the sequence number by the wraps so far, as RFC 3550 A.1 does. */
static void
count_sequence(ft_stream *stream, uint16_t sequence)
{
    const int16_t step = (int16_t)(sequence - (uint16_t)stream->highest_sequence);

    if (step > 0)
        stream->highest_sequence += (uint32_t)step;
}

static bool
is_relayed(const ft_leg *leg)
{
    return leg && (leg != &leg->flow->direct || leg->flow->server);
}

/* True for a packet that was seen before; the event says where, when that was another way. */
static bool
is_copy(packet_info *pinfo, ft_stream *stream, const ft_packet *packet, const ft_rtp *rtp)
{
    ft_window *window = stream->window;
    const unsigned slot = rtp->sequence % WINDOW;

    if (window->slots[slot].frame && window->slots[slot].sequence == rtp->sequence) {
        if (window->slots[slot].leg != packet->leg)
            ft_event_add(pinfo, FT_EVENT_MEDIA_ON_BOTH_PATHS, window->slots[slot].frame,
                         "RTP sequence number %u was already sent %s in frame %u", rtp->sequence,
                         is_relayed(window->slots[slot].leg) ? "over the relay" : "directly",
                         window->slots[slot].frame);
        return true;
    }
    window->slots[slot].frame = ft_frame_id(pinfo);
    window->slots[slot].sequence = rtp->sequence;
    window->slots[slot].leg = packet->leg;
    return false;
}

static bool
knows_ssrc(const ft_call *call, uint32_t ssrc)
{
    for (unsigned i = wmem_array_get_count(call->streams); i-- > 0;) {
        if ((*(const ft_stream **)wmem_array_index(call->streams, i))->ssrc == ssrc)
            return true;
    }
    return false;
}

/* ---- senders: switches and gaps ---- */

static double
milliseconds(const nstime_t *later, const nstime_t *earlier)
{
    nstime_t passed;

    nstime_delta(&passed, later, earlier);
    return nstime_to_msec(&passed);
}

static ft_sender *
sender_of(packet_info *pinfo, const ft_packet *packet, const observation *seen)
{
    wmem_array_t *senders = packet->call->senders;

    for (unsigned i = 0; i < wmem_array_get_count(senders); i++) {
        ft_sender *sender = *(ft_sender **)wmem_array_index(senders, i);
        if (sender->outgoing == seen->outgoing && ft_endpoint_equal(&sender->device, &seen->device))
            return sender;
    }
    if (wmem_array_get_count(senders) >= FT_MAX_STREAMS_PER_CALL) {
        ft_limit_met(pinfo);
        return NULL;
    }

    ft_sender *sender = wmem_new0(wmem_file_scope(), ft_sender);
    sender->device = ft_endpoint_keep(&seen->device);
    sender->outgoing = seen->outgoing;
    sender->leg = packet->leg;
    sender->last_time = sender->leg_time = ft_now(pinfo);
    wmem_array_append_one(senders, sender);
    return sender;
}

static const char *
way_name(wmem_allocator_t *scope, const ft_leg *leg)
{
    if (!leg)
        return "an unknown way";
    if (leg->channel)
        return wmem_strdup_printf(scope, "the relay (channel 0x%04x)", leg->channel);
    return is_relayed(leg) ? "the relay" : "the direct path";
}

/* The far end, as seen at the device that packet->call calls local, when it has been silent for long; else NULL. */
static const ft_sender *
silent_peer(packet_info *pinfo, const ft_call *call)
{
    const nstime_t now = ft_now(pinfo);
    for (unsigned i = 0; i < wmem_array_get_count(call->senders); i++) {
        const ft_sender *sender = *(const ft_sender **)wmem_array_index(call->senders, i);
        if (!sender->outgoing && milliseconds(&now, &sender->last_time) > ft_media_gap_ms)
            return sender;
    }
    return NULL;
}

const char *
ft_silence_text(packet_info *pinfo, const ft_call *call)
{
    const nstime_t now = ft_now(pinfo);
    const ft_sender *peer = silent_peer(pinfo, call);

    if (!peer)
        return "";
    return wmem_strdup_printf(pinfo->pool, ", %.1f s after the peer's last media (frame %u)",
                              milliseconds(&now, &peer->last_time) / 1000, peer->last_frame);
}

static void
tell_gap(packet_info *pinfo, const ft_sender *sender, const char *what)
{
    const nstime_t now = ft_now(pinfo);
    nstime_t silence;

    nstime_delta(&silence, &now, &sender->last_time);
    ft_event *event = ft_event_add(pinfo, FT_EVENT_MEDIA_GAP, sender->last_frame, "%s for %.1f s, since frame %u", what,
                                   nstime_to_sec(&silence), sender->last_frame);
    if (event)
        event->length = silence;
}

void
ft_media_ended(packet_info *pinfo, const ft_call *call)
{
    const ft_sender *peer = silent_peer(pinfo, call);

    if (peer)
        tell_gap(pinfo, peer, "No media from the peer");
}

/* Whoever sends media through a modern relay isn't named. */
static const char *
sender_name(packet_info *pinfo, const observation *seen)
{
    return seen->sender.addr.type == AT_NONE ? "the peer" : ft_endpoint_str(pinfo->pool, &seen->sender);
}

static void
watch_switch(packet_info *pinfo, ft_sender *sender, const ft_packet *packet, const observation *seen)
{
    const nstime_t now = ft_now(pinfo);
    if (packet->leg == sender->leg) {
        sender->leg_time = ft_now(pinfo);
        return;
    }
    const bool in_use = packet->leg == sender->other_leg &&
                        milliseconds(&now, &sender->other_time) <= WAY_IN_USE_MS;
    const bool left = milliseconds(&now, &sender->leg_time) > WAY_IN_USE_MS;
    if (in_use && !left) {
        sender->other_time = ft_now(pinfo);
        return;
    }
    const char *from = way_name(pinfo->pool, sender->leg), *to = way_name(pinfo->pool, packet->leg);
    const ft_endpoint destination = ft_destination(pinfo);
    if (strcmp(from, to) == 0) /* of several */
        to = wmem_strdup_printf(pinfo->pool, "another, to %s", ft_endpoint_str(pinfo->pool, &destination));
    ft_event_add(pinfo, FT_EVENT_PATH_SWITCH, sender->last_frame, "Media of %s moves from %s to %s%s",
                 sender_name(pinfo, seen), from, to,
                 sender->outgoing ? ft_silence_text(pinfo, packet->call) : "");
    sender->other_leg = sender->leg;
    sender->other_time = sender->leg_time;
    sender->leg = packet->leg;
    sender->leg_time = ft_now(pinfo);
}

static void
watch_return(packet_info *pinfo, ft_sender *sender, const observation *seen)
{
    const nstime_t now = ft_now(pinfo);
    if (sender->last_frame && milliseconds(&now, &sender->last_time) > ft_media_gap_ms)
        tell_gap(pinfo, sender, wmem_strdup_printf(pinfo->pool, "No media from %s", sender_name(pinfo, seen)));
    sender->last_time = ft_now(pinfo);
    sender->last_frame = ft_frame_id(pinfo);
}

/* Media of a sender that is known on its way needs no judging. */
static void
resolve(packet_info *pinfo, ft_packet *packet, const ft_rtp *rtp)
{
    ft_call *call = ft_call_quick(pinfo);

    if (call && call->media_leg == packet->leg && knows_ssrc(call, rtp->ssrc) && packet->clue_count == 0) {
        packet->call = call;
        return;
    }
    ft_clue_number(pinfo, FT_CLUE_SSRC, UINT64_C(1) << 32 | rtp->ssrc);
    ft_call_resolve(pinfo, true);
}

void
ft_rtp_learn(packet_info *pinfo, const ft_rtp *rtp)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !ft_learning(pinfo))
        return;
    resolve(pinfo, packet, rtp);
    if (!packet->call)
        return;

    const observation seen = observe(pinfo, packet);
    ft_stream *stream = stream_of(pinfo, packet, rtp, &seen);
    packet->stream = stream;
    if (stream) {
        const bool copy = is_copy(pinfo, stream, packet, rtp);
        stream->copies += copy;
        stream->packets += !copy;
        stream->payload_types[rtp->payload_type >> 6 & 1] |= UINT64_C(1) << (rtp->payload_type & 63);
        stream->last_frame = ft_frame_id(pinfo);
        stream->last_time = ft_now(pinfo);
        count_sequence(stream, rtp->sequence);
    }
    ft_sender *sender = sender_of(pinfo, packet, &seen);
    if (sender) {
        watch_switch(pinfo, sender, packet, &seen);
        watch_return(pinfo, sender, &seen);
    }
}

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
    const observation seen = observe(pinfo, packet);
    packet->stream = stream_of(pinfo, packet, rtp, &seen);
}
