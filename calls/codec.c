/* calls/codec.c
 * Which codec a payload type is, from SDP and the tables below (grades in docs/protocol.md, 10).
 *
 *    packet of frame n, payload type 123
 *       -> the newest SDP body of its call before n that names 123     rtpmap, fmtp
 *       -> the generation's own number: modern_codecs                  24 kHz for picture, too
 *       -> known_codecs                                                else nobody knows: NULL
 *
 * Before n: what a frame shows must not hang on what comes after it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/codec.h"
#include "calls/call.h"
#include "calls/limits.h"

/* Payload types that FaceTime uses without an rtpmap line. Static ones are those of RFC 3551;
 * others' codecs stand in SDP (a=rtpmap in some calls, a=fmtp), or are inferred: from later
 * builds' tables, from clocks and timestamp steps. */
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
typedef struct ft_sdp_record {
    uint32_t       frame;
    ft_sdp_medium *media;
    unsigned       count;
} ft_sdp_record;

static unsigned codec_total;    /* of all SDP bodies */

static void
reset(void)
{
    codec_total = 0;
}

void
ft_codec_init(void)
{
    register_init_routine(reset);
}

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

/* Whoever reads a name must see that it rests on inference alone. */
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
    if (!ft_has_room_for(pinfo, FT_LIMIT_SDP_CODECS, codec_total, codecs_in(media, count)) ||
        !ft_has_room(pinfo, FT_LIMIT_SDPS_PER_CALL, wmem_array_get_count(packet->call->sdps)))
        return;
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
            medium->codecs[j].name = wmem_strdup(wmem_file_scope(), medium->codecs[j].name);
    }
    const ft_known_sdp known = { record, record->frame + 1 };
    wmem_array_append_one(packet->call->sdps, known);
}

/* The call's SDP bodies before this frame, newest first; NULL past the last. */
static const ft_sdp_record *
sdp_as_of(const ft_call *call, uint32_t frame, unsigned *left)
{
    while (*left > 0) {
        const ft_known_sdp *known = (const ft_known_sdp *)wmem_array_index(call->sdps, --*left);
        if (known->from_frame <= frame)
            return known->record;
    }
    return NULL;
}

static const ft_codec *
codec_in_sdp(const ft_sdp_record *record, uint8_t payload_type)
{
    for (unsigned i = 0; i < record->count; i++) {
        const ft_codec *codec =
            find_codec(record->media[i].codecs, record->media[i].codec_count, payload_type);
        if (codec)
            return codec;
    }
    return NULL;
}

/* Not simply the newest body: an answer repeats a part of the offer only (in the report of 2015
 * it drops X-H264 and most of the audio). */
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

    return ft_call_codec(ft_call_in_hand(pinfo),
                         packet ? packet->generation : FT_GENERATION_UNKNOWN, payload_type,
                         ft_frame_id(pinfo), setup_frame);
}

uint32_t
ft_media_newest_sdp(packet_info *pinfo)
{
    const ft_call *call = ft_call_in_hand(pinfo);
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
