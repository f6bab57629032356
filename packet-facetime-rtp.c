/* packet-facetime-rtp.c
 * What FaceTime adds to an RTP packet (RFC 3550). Stock RTP and RTCP show the standard part; they are set up
 * here for the addresses that media is really seen between, with FaceTime's codec names, marked as encrypted.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |            fixed header of 12 bytes, CSRC list                |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |Ver| flags: which fields follow    |      length in words      |  if X is set; "profile" is
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+  a set of flags, not an id
 *    |            fields in the order of the tables below, padding   |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |            encrypted payload ...                              |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |            key id of the sender (MKI), and what follows it    |  modern calls only: calls/trailer.h
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Audio and video number their flags differently; the payload type tells which of them it is. Extension
 * lengths add up in all 5094 packets of the captures of 2023, the key id is a v4 UUID in all 5366. Legacy
 * media has one form, profile 0x4400 of two words (all 6000 packets of the sample).
 *
 * FEC header of a video packet. Parity packets repeat the sequence number of the block's last source packet
 * (36 of 36):
 *
 *    | symbol index, 8 | 0x80 source, 0x00 parity, 8 | 0x13, 5 | length, 11 |
 *    parity only:      | number of source packets, 16 | their lengths, 16 each | padding |
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/call.h"
#include "calls/evidence.h"
#include "calls/flow.h"
#include "calls/limits.h"
#include "calls/media.h"
#include "calls/packet.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "calls/trailer.h"

#include <epan/conversation.h>
#include <epan/dissectors/packet-rtcp.h>
#include <epan/dissectors/packet-rtp.h>
#include <epan/exceptions.h>
#include <epan/expert.h>
#include <epan/proto_data.h>
#include <epan/show_exception.h>
#include <epan/to_str.h>

void proto_register_facetime_rtp(void);
void proto_reg_handoff_facetime_rtp(void);

#define FIXED_HEADER_LENGTH 12
#define DIGEST_LENGTH       16  /* bytes of a payload that tell copies from other packets */
#define BIT_RATE_UNIT       100 /* bit/s, of the words that tell one */
#define RTCP_SENDER_REPORT  200
#define RTCP_RECEIVER_REPORT 201
#define REPORT_BLOCK        24

static int proto_facetime_rtp = -1;
static int proto_facetime_rtcp = -1;
static int proto_stock_rtp = -1;

static int hf_codec = -1;
static int hf_version = -1;
static int hf_profile = -1;
static int hf_control_info = -1;
static int hf_unparsed = -1;
static int hf_mki = -1;
static int hf_mki_participant = -1;
static int hf_mki_end = -1;
static int hf_short_mki = -1;
static int hf_short_mki_roll = -1;
static int hf_short_mki_ratchet = -1;
static int hf_rollover = -1;
static int hf_auth_tag = -1;

static int hf_audio_timing = -1;
static int hf_audio_connection = -1;
static int hf_audio_video = -1;
static int hf_audio_ecn = -1;
static int hf_audio_bucket = -1;
static int hf_audio_echoed_timestamp = -1;
static int hf_audio_received_kbit = -1;
static int hf_audio_burst_loss = -1;
static int hf_audio_received_packets = -1;
static int hf_audio_queuing_delay = -1;
static int hf_audio_send_timestamp = -1;
static int hf_audio_one_way_delay = -1;
static int hf_audio_video_burst_loss = -1;
static int hf_audio_video_frame_size = -1;
static int hf_audio_video_loss = -1;
static int hf_audio_bandwidth = -1;
static int hf_audio_ect = -1;
static int hf_audio_ce = -1;
static int hf_audio_connection_index = -1;
static int hf_audio_connection_secondary = -1;
static int hf_audio_connection_primary = -1;
static int hf_audio_connection_total = -1;

static int hf_video_source = -1;
static int hf_video_back_camera = -1;
static int hf_video_mirrored = -1;
static int hf_video_orientation = -1;
static int hf_video_ltr = -1;
static int hf_video_has_probe = -1;
static int hf_video_has_fec = -1;
static int hf_video_has_ltr_timestamp = -1;
static int hf_video_has_frame_info = -1;
static int hf_video_ltr_timestamp = -1;
static int hf_video_packets_in_frame = -1;
static int hf_video_frame_sequence = -1;
static int hf_video_probe = -1;

static int hf_rctl_media_time = -1;
static int hf_rctl_idle = -1;
static int hf_rctl_clock = -1;
static int hf_rctl_received = -1;
static int hf_rctl_target = -1;
static int hf_ltr_timestamp = -1;

static int hf_fec_index = -1;
static int hf_fec_parity = -1;
static int hf_fec_tag = -1;
static int hf_fec_length = -1;
static int hf_fec_count = -1;
static int hf_fec_source_length = -1;

static int ett_facetime_rtp = -1;
static int ett_extension = -1;
static int ett_profile = -1;
static int ett_fec = -1;
static int ett_mki = -1;
static int ett_facetime_rtcp = -1;

static expert_field ei_short_header = EI_INIT;
static expert_field ei_bad_extension = EI_INIT;
static expert_field ei_field_missing = EI_INIT;
static expert_field ei_bytes_left = EI_INIT;
static expert_field ei_cut_short = EI_INIT;
static expert_field ei_unknown_version = EI_INIT;
static expert_field ei_no_key_id = EI_INIT;
static expert_field ei_frame_incomplete = EI_INIT;
static expert_field ei_frame_gap = EI_INIT;
static expert_field ei_fec_length = EI_INIT;
static expert_field ei_fec_list = EI_INIT;
static expert_field ei_stream_mismatch = EI_INIT;
static expert_field ei_retransmitted = EI_INIT;
static expert_field ei_ratchet_changed = EI_INIT;

static dissector_handle_t rtp_handle;
static dissector_handle_t rtcp_handle;

/* ---- payload types ---- */

enum { MEDIA_UNKNOWN = FT_MEDIUM_UNKNOWN, MEDIA_AUDIO = FT_MEDIUM_AUDIO, MEDIA_VIDEO = FT_MEDIUM_VIDEO };

/* What a payload type carries. */
static const uint8_t media_of[128] = {
    [0] = MEDIA_AUDIO,   [8] = MEDIA_AUDIO,   [9] = MEDIA_AUDIO,   [13] = MEDIA_AUDIO,  [20] = MEDIA_AUDIO,
    [34] = MEDIA_VIDEO,  [97] = MEDIA_AUDIO,  [98] = MEDIA_AUDIO,  [100] = MEDIA_VIDEO, [101] = MEDIA_AUDIO,
    [104] = MEDIA_AUDIO, [105] = MEDIA_AUDIO, [106] = MEDIA_AUDIO, [107] = MEDIA_AUDIO, [108] = MEDIA_AUDIO,
    [111] = MEDIA_AUDIO, [113] = MEDIA_AUDIO, [119] = MEDIA_AUDIO,
    [121] = MEDIA_AUDIO, [122] = MEDIA_AUDIO, [123] = MEDIA_VIDEO, [126] = MEDIA_VIDEO,
};

/* ---- the header extension's fields ---- */

/* What calls/quality.h learns from; the rest is only shown. */
typedef enum {
    PART_PLAIN, PART_PACKETS_IN_FRAME, PART_FRAME_SEQUENCE, PART_FEC,
    PART_ECHOED, PART_RECEIVED, PART_QUEUING, PART_SENT, PART_BANDWIDTH, PART_COUNT
} extension_part;

/* One field. It is there where all of its profile bits are set (none: always); version 0: in each. */
typedef struct {
    uint16_t       bits;
    uint8_t        version;
    uint8_t        length;
    bool           shares;  /* the next row reads other bits of the same bytes */
    extension_part part;
    int           *hf;
} extension_row;

static const extension_row audio_rows[] = {
    { 0,      0, 2, false, PART_ECHOED, &hf_audio_echoed_timestamp },
    { 0,      0, 2, false, PART_PLAIN, &hf_audio_received_kbit },
    { 0,      0, 2, true,  PART_PLAIN, &hf_audio_burst_loss },
    { 0,      0, 2, false, PART_RECEIVED, &hf_audio_received_packets },
    { 0x0100, 0, 2, false, PART_QUEUING, &hf_audio_queuing_delay },
    { 0x0100, 0, 2, false, PART_SENT, &hf_audio_send_timestamp },
    { 0x0100, 0, 2, false, PART_PLAIN, &hf_audio_one_way_delay },
    { 0x0400, 0, 2, true,  PART_PLAIN, &hf_audio_video_burst_loss },
    { 0x0400, 0, 2, true,  PART_PLAIN, &hf_audio_video_frame_size },
    { 0x0400, 0, 2, false, PART_PLAIN, &hf_audio_video_loss },
    { 0x0400, 0, 2, false, PART_BANDWIDTH, &hf_audio_bandwidth },
    { 0x0800, 0, 2, false, PART_PLAIN, &hf_audio_ect },
    { 0x0800, 0, 2, false, PART_PLAIN, &hf_audio_ce },
    { 0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_index },
    { 0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_secondary },
    { 0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_primary },
    { 0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_total },
};

static const extension_row video_rows[] = {
    { 0x0002, 0, 4, false, PART_PLAIN,            &hf_video_ltr_timestamp },
    { 0x0001, 2, 2, false, PART_PACKETS_IN_FRAME, &hf_video_packets_in_frame },
    { 0x0001, 2, 2, false, PART_FRAME_SEQUENCE,   &hf_video_frame_sequence },
    { 0x0004, 0, 4, false, PART_FEC,              NULL },
    { 0x0008, 0, 4, false, PART_PLAIN,            &hf_video_probe },
};

static int *const audio_profile_bits[] = {
    &hf_audio_ecn, &hf_audio_video, &hf_audio_connection, &hf_audio_timing, &hf_audio_bucket, NULL
};
static int *const video_profile_bits[] = {
    &hf_video_source, &hf_video_back_camera, &hf_video_mirrored, &hf_video_orientation, &hf_video_ltr,
    &hf_video_has_probe, &hf_video_has_fec, &hf_video_has_ltr_timestamp, &hf_video_has_frame_info, NULL
};

/* Audio information of legacy calls, on audio and video: all 6000 packets of the sample. */
#define LEGACY_PROFILE 0x4400
#define LEGACY_WORDS   2

/* ---- a packet taken apart ---- */

typedef enum {
    EXTENSION_NONE,
    EXTENSION_LEGACY,           /* one block, meaning unknown */
    EXTENSION_AUDIO,
    EXTENSION_VIDEO,
    EXTENSION_UNKNOWN           /* of a payload type or version that nothing is known of */
} extension_form;

/* How a packet's bytes fail its own lengths. */
typedef enum { SOUND, HEADER_SHORT, EXTENSION_BEYOND, FIELD_MISSING, BYTES_LEFT } damage;

typedef struct {
    const extension_row *row;
    unsigned             offset;
    unsigned             length;
} extension_field;

/* Offsets are those of the packet's tvb. */
typedef struct {
    ft_rtp          fixed;
    damage          damage;
    bool            cut;            /* by the capture, not by the sender */
    uint8_t         media;          /* MEDIA_... of the payload type */
    extension_form  form;
    uint16_t        profile;
    unsigned        extension;      /* its first word, 0 if there is none */
    unsigned        extension_end;  /* as its length says */
    unsigned        fields_end;     /* the same, or the end of the captured bytes */
    unsigned        known_end;      /* of the fields that were understood */
    unsigned        payload;
    unsigned        payload_end;
    ft_trailer      trailer;
    bool            has_frame_info;
    uint16_t        packets_in_frame;
    uint16_t        frame_sequence;
    unsigned        fec;            /* FEC header, 0 if there is none */
    bool            is_parity;
    uint16_t        fec_length;
    uint16_t        fec_count;      /* of the source lengths in a parity packet */
    uint16_t        values[PART_COUNT]; /* of audio: where the bit of `parts` is set */
    uint16_t        parts;
    unsigned        field_count;
    extension_field fields[G_N_ELEMENTS(audio_rows)];
} rtp_packet;

#define FEC_LENGTH_MASK 0x07ff
#define FEC_LIST        6           /* offset in a parity packet's FEC header */

/* Length of the FEC header at this offset with its padding; 0 if it doesn't fit. */
static unsigned
parse_fec(tvbuff_t *tvb, unsigned offset, rtp_packet *rtp)
{
    const unsigned room = rtp->fields_end - offset;

    if (room < 4)
        return 0;
    rtp->fec = offset;
    rtp->is_parity = !(tvb_get_uint8(tvb, offset + 1) & 0x80);
    rtp->fec_length = tvb_get_ntohs(tvb, offset + 2) & FEC_LENGTH_MASK;
    if (!rtp->is_parity)
        return 4;
    if (room < FEC_LIST)
        return 0;

    const uint16_t count = tvb_get_ntohs(tvb, offset + 4);
    const unsigned length = (FEC_LIST + 2u * count + 3) & ~3u;
    if (length > room)
        return 0;
    rtp->fec_count = count;
    return length;
}

/* What the checks need; the length of the field, 0 if it doesn't fit. */
static unsigned
parse_field(tvbuff_t *tvb, const extension_row *row, unsigned offset, rtp_packet *rtp)
{
    if (row->part == PART_FEC)
        return parse_fec(tvb, offset, rtp);
    if (offset + row->length > rtp->fields_end)
        return 0;
    if (row->part == PART_PACKETS_IN_FRAME)
        rtp->packets_in_frame = tvb_get_ntohs(tvb, offset);
    if (row->part == PART_FRAME_SEQUENCE) {
        rtp->frame_sequence = tvb_get_ntohs(tvb, offset);
        rtp->has_frame_info = true;
    }
    if (row->part >= PART_ECHOED) {
        rtp->values[row->part] = tvb_get_ntohs(tvb, offset);
        rtp->parts |= (uint16_t)(1u << row->part);
    }
    return row->length;
}

static void
parse_fields(tvbuff_t *tvb, const extension_row *rows, unsigned count, rtp_packet *rtp)
{
    unsigned offset = rtp->extension + 4;

    for (const extension_row *row = rows; row < rows + count; row++) {
        if ((rtp->profile & row->bits) != row->bits || (row->version && row->version != rtp->profile >> 14))
            continue;
        const unsigned length = parse_field(tvb, row, offset, rtp);
        if (length == 0) {
            rtp->damage = rtp->damage == SOUND ? FIELD_MISSING : rtp->damage;
            break;
        }
        rtp->fields[rtp->field_count++] = (extension_field){ row, offset, length };
        if (!row->shares)
            offset += length;
    }
    rtp->known_end = offset;
}

/* Fields are padded with zeros to a whole word; anything else behind them isn't known. */
static bool
is_padding(tvbuff_t *tvb, unsigned offset, unsigned end)
{
    if (end - offset >= 4)
        return false;
    while (offset < end) {
        if (tvb_get_uint8(tvb, offset++) != 0)
            return false;
    }
    return true;
}

static extension_form
form_of(const rtp_packet *rtp, ft_generation generation)
{
    const unsigned version = rtp->profile >> 14;

    if (rtp->profile == LEGACY_PROFILE && generation != FT_MODERN &&
        rtp->extension_end - rtp->extension == 4 + 4 * LEGACY_WORDS)
        return EXTENSION_LEGACY;
    if (generation == FT_LEGACY)
        return EXTENSION_UNKNOWN;
    if (rtp->media == MEDIA_VIDEO && (version == 1 || version == 2))
        return EXTENSION_VIDEO;
    if (rtp->media == MEDIA_AUDIO && version == 2)
        return EXTENSION_AUDIO;
    return EXTENSION_UNKNOWN;
}

static void
parse_extension(tvbuff_t *tvb, ft_generation generation, rtp_packet *rtp)
{
    rtp->known_end = rtp->extension + 4;
    rtp->form = form_of(rtp, generation);
    if (rtp->form == EXTENSION_AUDIO)
        parse_fields(tvb, audio_rows, G_N_ELEMENTS(audio_rows), rtp);
    else if (rtp->form == EXTENSION_VIDEO)
        parse_fields(tvb, video_rows, G_N_ELEMENTS(video_rows), rtp);
    else
        return;
    if (rtp->damage == SOUND && !is_padding(tvb, rtp->known_end, rtp->fields_end))
        rtp->damage = BYTES_LEFT;
}

/* Where `end` lies beyond the captured bytes: whose fault it is. */
static bool
fits(tvbuff_t *tvb, unsigned end, damage otherwise, rtp_packet *rtp)
{
    if (end <= tvb_captured_length(tvb))
        return true;
    rtp->damage = otherwise;
    rtp->cut = end <= tvb_reported_length(tvb);
    return false;
}

static void
take_trailer(rtp_packet *rtp, ft_trailer trailer)
{
    rtp->trailer = trailer;
    rtp->payload_end -= trailer.length;
}

/* Takes the packet apart as far as it goes; damage tells how far that was. */
static void
parse_rtp(tvbuff_t *tvb, ft_generation generation, rtp_packet *rtp)
{
    memset(rtp, 0, G_STRUCT_OFFSET(rtp_packet, fields));
    if (!fits(tvb, FIXED_HEADER_LENGTH, HEADER_SHORT, rtp))
        return;

    const uint8_t first = tvb_get_uint8(tvb, 0), second = tvb_get_uint8(tvb, 1);
    rtp->fixed.marker = second & 0x80;
    rtp->fixed.payload_type = second & 0x7f;
    rtp->fixed.sequence = tvb_get_ntohs(tvb, 2);
    rtp->fixed.timestamp = tvb_get_ntohl(tvb, 4);
    rtp->fixed.ssrc = tvb_get_ntohl(tvb, 8);
    rtp->media = media_of[rtp->fixed.payload_type];
    rtp->payload = FIXED_HEADER_LENGTH + 4 * (first & 0x0f);
    rtp->payload_end = tvb_reported_length(tvb);
    if (!fits(tvb, rtp->payload, HEADER_SHORT, rtp))
        return;

    if (first & 0x10) {
        if (!fits(tvb, rtp->payload + 4, HEADER_SHORT, rtp))
            return;
        rtp->extension = rtp->payload;
        rtp->profile = tvb_get_ntohs(tvb, rtp->extension);
        rtp->extension_end = rtp->extension + 4 + 4 * tvb_get_ntohs(tvb, rtp->extension + 2);
        rtp->fields_end = MIN(rtp->extension_end, tvb_captured_length(tvb));
        rtp->payload = rtp->extension_end;
        fits(tvb, rtp->extension_end, EXTENSION_BEYOND, rtp);
        parse_extension(tvb, generation, rtp);
    }
    if (rtp->damage != EXTENSION_BEYOND && generation != FT_LEGACY)
        take_trailer(rtp, ft_trailer_read(tvb, rtp->payload));
}

/* How long the authentication tag of such media is, where it has one. */
static unsigned
tag_length_of(const rtp_packet *rtp)
{
    static const uint8_t lengths[] = { 0, FT_AUDIO_TAG_LENGTH, FT_VIDEO_TAG_LENGTH };

    return lengths[rtp->media];
}

/* The trailer that only the sender's other packets tell. Media in a relay's stream is a group's: it has no tag. A
 * word that ends a packet is a mark; two bytes are none in a call of which nothing is known. */
static void
settle_trailer(packet_info *pinfo, tvbuff_t *tvb, ft_generation generation, const ft_relay_header *relay,
               rtp_packet *rtp)
{
    const bool may_be_tagged = generation == FT_MODERN && !(relay && relay->has_stream);

    if (rtp->damage == HEADER_SHORT || rtp->damage == EXTENSION_BEYOND || generation == FT_LEGACY)
        return;
    rtp->payload_end += rtp->trailer.length;
    take_trailer(rtp, ft_trailer_settle(pinfo, tvb, rtp->payload, &rtp->fixed, &rtp->trailer, may_be_tagged,
                                        tag_length_of(rtp)));
}

#define PROFILE_FEC 0x0004  /* of a video extension */

/* What a cut leaves open: without its FEC header, a packet may be a source or a parity packet. */
static bool
lacks_fec(const rtp_packet *rtp)
{
    return rtp->form == EXTENSION_VIDEO && (rtp->profile & PROFILE_FEC) && !rtp->fec;
}

/* ---- checks that need a stream's earlier packets (first pass) ---- */

#define FEC_KEPT 16     /* source packets and lengths remembered of an FEC block */

typedef struct {
    uint32_t timestamp;
    uint16_t sequence;
    uint16_t length;
} fec_source;

typedef struct {
    fec_source sources[FEC_KEPT];   /* a ring */
    unsigned   source_total;
    uint32_t   list_timestamp;
    uint16_t   last_sequence;       /* of the block: the parity packet's own */
    uint16_t   list_count;          /* 0: no list yet */
    uint16_t   list[FEC_KEPT];
} fec_memory;

typedef struct {
    uint64_t    window;             /* bit n: sequence number highest - n was seen */
    uint16_t    highest;
    uint16_t    counted;            /* distinct packets of the newest frame */
    uint16_t    frame_sequence;
    uint16_t    frames;             /* begun so far; stays at 2 */
    uint32_t    timestamp;          /* of the newest frame */
    fec_memory *fec;
} stream_check;

/* What a check found in one packet. Only such packets are remembered. */
typedef struct {
    bool     is_incomplete, is_gap, is_fec_mismatch;
    uint16_t counted;
    uint16_t previous_frame;
    uint16_t fec_sequence, fec_listed, fec_sent;
} finding;

typedef struct {
    const void *owner;              /* the call, or the flow while it has none */
    uint32_t    ssrc;
} stream_key;

static wmem_map_t *stream_checks;   /* stream_key -> stream_check */
static unsigned finding_total;

static unsigned
stream_key_hash(const void *key)
{
    const stream_key *stream = (const stream_key *)key;

    return g_direct_hash(stream->owner) ^ stream->ssrc;
}

static gboolean
stream_key_equal(const void *a, const void *b)
{
    const stream_key *x = (const stream_key *)a, *y = (const stream_key *)b;

    return x->owner == y->owner && x->ssrc == y->ssrc;
}

static stream_check *
stream_check_of(packet_info *pinfo, ft_packet *packet, uint32_t ssrc)
{
    const ft_call *call = packet->call ? packet->call : ft_call_of_packet(pinfo);
    const stream_key key = { call ? (const void *)call : (const void *)packet->flow, ssrc };
    stream_check *check = (stream_check *)wmem_map_lookup(stream_checks, &key);

    if (!key.owner || check)
        return check;
    if (wmem_map_size(stream_checks) >= FT_MAX_STREAMS) {
        packet->limit_hit = true;
        return NULL;
    }
    check = wmem_new0(wmem_file_scope(), stream_check);
    wmem_map_insert(stream_checks, wmem_memdup(wmem_file_scope(), &key, sizeof key), check);
    return check;
}

/* False for a copy of an earlier packet. A jump back beyond all reordering is a new start. */
static bool
is_new_sequence(stream_check *check, uint16_t sequence)
{
    const int16_t step = (int16_t)(sequence - check->highest);

    if (check->window == 0 || step >= 64 || step < -1024) {
        check->window = 1;
        check->highest = sequence;
        return true;
    }
    if (step > 0) {
        check->window = check->window << step | 1;
        check->highest = sequence;
        return true;
    }
    if (step <= -64)
        return false;

    const uint64_t bit = UINT64_C(1) << -step;
    const bool is_new = !(check->window & bit);
    check->window |= bit;
    return is_new;
}

/* A video packet whose frame the capture didn't keep: what is counted would lack it. The next frame counts as
 * the stream's first. */
static bool
hides_frame(const rtp_packet *rtp)
{
    return rtp->cut && rtp->media == MEDIA_VIDEO && (!rtp->has_frame_info || lacks_fec(rtp));
}

/* Counts a frame's packets up to its marker and compares with what the packets say; frames are numbered one
 * by one. The first frame of a stream may have begun before the capture: it isn't judged. */
static void
check_frame(stream_check *check, const rtp_packet *rtp, finding *found)
{
    if (!is_new_sequence(check, rtp->fixed.sequence))
        return;
    if (check->frames == 0 || rtp->fixed.timestamp != check->timestamp) {
        const int32_t step = (int32_t)(rtp->fixed.timestamp - check->timestamp);
        if (check->frames && step < 0 && step > -(1 << 20))
            return;     /* a straggler of an earlier frame */
        found->is_gap = check->frames && rtp->frame_sequence != (uint16_t)(check->frame_sequence + 1);
        found->previous_frame = check->frame_sequence;
        check->timestamp = rtp->fixed.timestamp;
        check->frame_sequence = rtp->frame_sequence;
        check->counted = 0;
        check->frames += check->frames < 2;
    }
    check->counted++;
    found->counted = check->counted;
    found->is_incomplete = rtp->fixed.marker && check->frames > 1 && check->counted != rtp->packets_in_frame;
}

/* Position of a source packet in the newest list of lengths, or -1. */
static int
position_in_list(const fec_memory *fec, const fec_source *source)
{
    const int position = fec->list_count - 1 - (uint16_t)(fec->last_sequence - source->sequence);

    return source->timestamp == fec->list_timestamp && position >= 0 ? position : -1;
}

static void
compare_with_list(const fec_memory *fec, const fec_source *source, finding *found)
{
    const int position = position_in_list(fec, source);

    if (position < 0 || fec->list[position] == source->length)
        return;
    found->is_fec_mismatch = true;
    found->fec_sequence = source->sequence;
    found->fec_listed = fec->list[position];
    found->fec_sent = source->length;
}

/* Source and parity packets of a block come in any order: each is compared with what came before it. */
static void
check_fec(stream_check *check, tvbuff_t *tvb, const rtp_packet *rtp, finding *found)
{
    if (!check->fec)
        check->fec = wmem_new0(wmem_file_scope(), fec_memory);

    fec_memory *fec = check->fec;
    if (!rtp->is_parity) {
        fec_source *source = &fec->sources[fec->source_total++ % FEC_KEPT];
        *source = (fec_source){ rtp->fixed.timestamp, rtp->fixed.sequence, rtp->fec_length };
        compare_with_list(fec, source, found);
        return;
    }
    fec->list_timestamp = rtp->fixed.timestamp;
    fec->last_sequence = rtp->fixed.sequence;
    fec->list_count = rtp->fec_count <= FEC_KEPT ? rtp->fec_count : 0;
    for (unsigned i = 0; i < fec->list_count; i++)
        fec->list[i] = tvb_get_ntohs(tvb, rtp->fec + FEC_LIST + 2 * i);
    for (unsigned i = 0; i < MIN(fec->source_total, FEC_KEPT); i++)
        compare_with_list(fec, &fec->sources[i], found);
}

/* Each RTP packet of a frame (chained ones share it) has its own findings. */
static uint32_t
finding_key(tvbuff_t *tvb)
{
    return (uint32_t)tvb_raw_offset(tvb);
}

/* First pass: what is wrong with this packet, judged by the stream so far. */
static void
check_stream(packet_info *pinfo, ft_packet *packet, tvbuff_t *tvb, const rtp_packet *rtp)
{
    stream_check *check = stream_check_of(pinfo, packet, rtp->fixed.ssrc);
    finding found = { 0 };

    if (!check)
        return;
    if (hides_frame(rtp))
        check->frames = 0;
    else if (rtp->has_frame_info && !rtp->is_parity)
        check_frame(check, rtp, &found);
    if (rtp->fec)
        check_fec(check, tvb, rtp, &found);
    if (!found.is_incomplete && !found.is_gap && !found.is_fec_mismatch)
        return;
    if (finding_total >= FT_MAX_EVENTS) {
        packet->limit_hit = true;
        return;
    }
    finding_total++;
    p_add_proto_data(wmem_file_scope(), pinfo, proto_facetime_rtp, finding_key(tvb),
                     wmem_memdup(wmem_file_scope(), &found, sizeof found));
}

/* ---- stock RTP and RTCP ---- */

/* What follows the header is ciphertext: no stock codec shall read it. Key id and tag are not stock's to
 * show. */
static struct srtp_info encrypted = { .encryption_algorithm = SRTP_ENC_ALG_AES_CM };

static void
add_codec(const ft_codec *codec, void *user)
{
    ws_rtp_dyn_payload_insert((rtp_dyn_payload_t *)user, codec->payload_type, codec->name,
                              (int)codec->clock_rate);
}

/* Stock RTP and RTCP keep what they know of media in a conversation that they look up by network address and
 * ports, with a wildcard for the far end. For UDP such a conversation would take in other 5-tuples too: its
 * stream numbers would differ between passes, and stock SDP's entries (addresses behind NAT, other channels)
 * would get in the way. So media of each way has names of its own in the place of addresses: a text that
 * stock RTCP shows to people (RTP shows none), then what tells ways apart. */
typedef struct {
    address address;
    char    text[WS_INET6_ADDRSTRLEN + sizeof(uint16_t) + 2 * sizeof(ws_in6_addr)];
} end_name;

static char *
append_bytes(char *to, const void *bytes, int length)
{
    const size_t size = (size_t)CLAMP(length, 0, 16);

    return size ? (char *)memcpy(to, bytes, size) + size : to;
}

/* The end `host` of the way to `other` over this channel. */
static void
name_end(end_name *name, const address *host, const address *other, uint16_t channel, bool readable)
{
    name->text[0] = '\0';
    if (readable)
        address_to_str_buf(host, name->text, WS_INET6_ADDRSTRLEN);
    char *end = name->text + strlen(name->text) + 1;
    end = append_bytes(end, &channel, sizeof channel);
    end = append_bytes(end, host->data, host->len);
    end = append_bytes(end, other->data, other->len);
    set_address(&name->address, AT_STRINGZ, (int)(end - name->text), name->text);
}

static uint16_t
channel_of(const ft_packet *packet)
{
    return packet->leg ? packet->leg->channel : 0;
}

/* The frame that stock names as the set-up. Telephony > VoIP Calls shows a stream with the call that has this frame:
 * an SDP, or the beginning of a call without one. 0 where neither is known. */
static uint32_t
setup_frame_of(const ft_packet *packet, uint32_t sdp_frame)
{
    if (sdp_frame)
        return sdp_frame;
    return packet->call ? packet->call->first_frame : 0;
}

/* What stock RTP and RTCP shall know of packets to `host`. */
static void
set_up_end(packet_info *pinfo, const ft_packet *packet, const address *host, uint32_t port,
           const address *other, uint32_t other_port, uint32_t sdp_frame, rtp_dyn_payload_t *codecs)
{
    const uint32_t known_frame = ft_frame_number(setup_frame_of(packet, sdp_frame));
    const uint32_t setup_frame = known_frame ? known_frame : pinfo->num;
    const char *method = sdp_frame ? "SDP" : "FaceTime";
    end_name name;

    name_end(&name, host, other, channel_of(packet), false);
    srtp_add_address(pinfo, PT_UDP, &name.address, (int)port, (int)other_port, method, setup_frame,
                     RTP_MEDIA_AUDIO | RTP_MEDIA_VIDEO, codecs, &encrypted, NULL);
    name_end(&name, host, other, channel_of(packet), true);
    rtcp_add_address(pinfo, &name.address, (int)port, (int)other_port, method, setup_frame);
}

/* True where stock RTP knows packets like this one. */
static bool
is_set_up(packet_info *pinfo, const ft_packet *packet)
{
    end_name name;

    name_end(&name, &pinfo->net_dst, &pinfo->net_src, channel_of(packet), false);
    return find_conversation(pinfo->num, &name.address, NULL, CONVERSATION_UDP, pinfo->destport,
                             pinfo->srcport, NO_ADDR_B) != NULL;
}

static unsigned set_up_total;
static wmem_map_t *codec_tables; /* newest SDP and generation -> rtp_dyn_payload_t */

/* The codecs that stock RTP is told of. Each packet that stock RTP has seen points to its table without counting as a
 * reference, so a table must live as long as the file: it does, since this reference to it is never given back. */
static rtp_dyn_payload_t *
codecs_as_of(packet_info *pinfo, const ft_packet *packet, uint32_t sdp_frame)
{
    const void *key = GSIZE_TO_POINTER((size_t)sdp_frame << 2 | packet->generation);
    rtp_dyn_payload_t *codecs = (rtp_dyn_payload_t *)wmem_map_lookup(codec_tables, key);

    if (!codecs) {
        codecs = rtp_dyn_payload_new();
        ft_media_codecs(pinfo, add_codec, codecs);
        wmem_map_insert(codec_tables, key, codecs);
    }
    return codecs;
}

/* Sets up stock RTP and RTCP for both ends of the packet: once for each way and SDP. First pass. sdp_frame:
 * of the packet's payload type, 0 if no SDP named it. */
static void
set_up_media(packet_info *pinfo, ft_packet *packet, uint32_t sdp_frame)
{
    ft_leg *leg = packet->leg;

    if (!ft_learning(pinfo))
        return;
    if (leg ? leg->media_config != 0 && setup_frame_of(packet, sdp_frame) <= leg->media_config
            : is_set_up(pinfo, packet))
        return;
    if (set_up_total >= FT_MAX_MEDIA_SETUPS) {
        packet->limit_hit = true;
        return;
    }
    set_up_total++;

    sdp_frame = ft_media_newest_sdp(pinfo);
    rtp_dyn_payload_t *codecs = codecs_as_of(pinfo, packet, sdp_frame);
    set_up_end(pinfo, packet, &pinfo->net_dst, pinfo->destport, &pinfo->net_src, pinfo->srcport, sdp_frame,
               codecs);
    set_up_end(pinfo, packet, &pinfo->net_src, pinfo->srcport, &pinfo->net_dst, pinfo->destport, sdp_frame,
               codecs);
    if (leg)
        leg->media_config = MAX(setup_frame_of(packet, sdp_frame), 1);
}

/* Stock RTP keeps what it found out about a packet with the frame, under its only key: it would take a datagram's
 * further packets for the first. Theirs is kept here, and put in the first one's place while they are shown. */
#define STOCK_KEY     0
#define CHAINED_STOCK 0x80000000u /* of our own keys, with the packet's offset */

static void *
exchange_stock(packet_info *pinfo, void *data)
{
    void *before = p_get_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY);

    p_remove_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY);
    if (data)
        p_add_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY, data);
    return before;
}

/* What is to be put back after stock has had this packet; NULL for the first one of a datagram. Both are kept out of line:
 * their variables are none of the guard's around stock. */
static G_GNUC_NO_INLINE void *
set_first_aside(packet_info *pinfo, tvbuff_t *tvb)
{
    const uint32_t key = CHAINED_STOCK | (uint32_t)tvb_raw_offset(tvb);
    void *own = p_get_proto_data(wmem_file_scope(), pinfo, proto_facetime_rtp, key);

    if (!own && !(ft_learning(pinfo) &&
                  p_get_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY)))
        return NULL;
    return exchange_stock(pinfo, own);
}

static G_GNUC_NO_INLINE void
put_first_back(packet_info *pinfo, tvbuff_t *tvb, void *first)
{
    const uint32_t key = CHAINED_STOCK | (uint32_t)tvb_raw_offset(tvb);
    void *own = exchange_stock(pinfo, first);

    if (own && ft_learning(pinfo))
        p_add_proto_data(wmem_file_scope(), pinfo, proto_facetime_rtp, key, own);
}

/* Stock's part of the packet, between the ends' names. What it throws ends its part only. FEC parity packets
 * aren't tapped: they repeat the sequence number of a source packet, and would count in stock's streams as
 * packets more than were sent. Stock taps nothing, and leaves the columns alone, where an error report quotes
 * a packet: that is what it is told here. */
static void
call_stock(dissector_handle_t handle, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
           const ft_packet *packet, bool tapped)
{
    const address source = pinfo->net_src, destination = pinfo->net_dst;
    end_name source_name, destination_name;

    name_end(&source_name, &source, &destination, channel_of(packet), handle == rtcp_handle);
    name_end(&destination_name, &destination, &source, channel_of(packet), handle == rtcp_handle);
    copy_address_shallow(&pinfo->net_src, &source_name.address);
    copy_address_shallow(&pinfo->net_dst, &destination_name.address);
    pinfo->flags.in_error_pkt = !tapped;
    void *first = handle == rtp_handle ? set_first_aside(pinfo, tvb) : NULL;
    TRY {
        call_dissector_only(handle, tvb, pinfo, tree, NULL);
    }
    CATCH_BOUNDS_ERRORS {
        show_exception(tvb, pinfo, tree, EXCEPT_CODE, GET_MESSAGE);
    }
    FINALLY {
        if (first)
            put_first_back(pinfo, tvb, first);
        pinfo->flags.in_error_pkt = false;
        copy_address_shallow(&pinfo->net_src, &source);
        copy_address_shallow(&pinfo->net_dst, &destination);
    }
    ENDTRY;
}

static void
dissect_standard_part(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const ft_packet *packet,
                      const rtp_packet *rtp, const ft_codec *codec)
{
    const bool is_parity = rtp->fec && rtp->is_parity;

    if (rtp->trailer.length)
        tvb = tvb_new_subset_length(tvb, 0, (int)rtp->payload_end);
    call_stock(rtp_handle, tvb, pinfo, tree, packet, !is_parity && !packet->seen_before);
    if (is_parity) {
        col_set_str(pinfo->cinfo, COL_PROTOCOL, "SRTP");
        col_add_fstr(pinfo->cinfo, COL_INFO, "PT=%s, SSRC=0x%X, Seq=%u, Time=%u, FEC parity",
                     codec ? codec->name : "Unknown", rtp->fixed.ssrc, rtp->fixed.sequence,
                     rtp->fixed.timestamp);
    } else if (codec && codec->inferred) { /* stock names only dynamic payload types by what it was told */
        if (rtp->fixed.payload_type < 96)
            col_append_fstr(pinfo->cinfo, COL_INFO, " [%s, inferred]", codec->name);
        else
            col_append_str(pinfo->cinfo, COL_INFO, " [codec inferred]");
    }
}

/* ---- what is shown ---- */

static void
show_codec(proto_tree *tree, tvbuff_t *tvb, const ft_codec *codec)
{
    if (!codec)
        return;

    proto_item *item = proto_tree_add_string(tree, hf_codec, tvb, 1, 1, codec->name);
    if (codec->inferred)
        proto_item_append_text(item, " (inferred)");
}

static void
show_fec(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp, unsigned length)
{
    const unsigned offset = rtp->fec;
    proto_tree *fec = proto_tree_add_subtree(tree, tvb, offset, (int)length, ett_fec, NULL,
                                             rtp->is_parity ? "FEC: parity packet" : "FEC: source packet");

    proto_tree_add_item(fec, hf_fec_index, tvb, offset, 1, ENC_BIG_ENDIAN);
    proto_tree_add_boolean(fec, hf_fec_parity, tvb, offset + 1, 1, rtp->is_parity);
    proto_tree_add_item(fec, hf_fec_tag, tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(fec, hf_fec_length, tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    if (!rtp->is_parity)
        return;
    proto_tree_add_item(fec, hf_fec_count, tvb, offset + 4, 2, ENC_BIG_ENDIAN);
    for (unsigned i = 0; i < rtp->fec_count; i++)
        proto_tree_add_item(fec, hf_fec_source_length, tvb, offset + FEC_LIST + 2 * i, 2, ENC_BIG_ENDIAN);
}

static void
show_profile(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const unsigned offset = rtp->extension;
    proto_item *item = proto_tree_add_item(tree, hf_profile, tvb, offset, 2, ENC_BIG_ENDIAN);
    proto_tree *flags = proto_item_add_subtree(item, ett_profile);

    proto_tree_add_item(flags, hf_version, tvb, offset, 1, ENC_BIG_ENDIAN);
    if (rtp->form == EXTENSION_AUDIO)
        proto_tree_add_bitmask_list(flags, tvb, offset, 2, audio_profile_bits, ENC_BIG_ENDIAN);
    if (rtp->form == EXTENSION_VIDEO)
        proto_tree_add_bitmask_list(flags, tvb, offset, 2, video_profile_bits, ENC_BIG_ENDIAN);
}

static void
show_unparsed(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const bool is_legacy = rtp->form == EXTENSION_LEGACY;

    if (rtp->known_end < rtp->fields_end &&
        (rtp->damage != SOUND || rtp->form == EXTENSION_UNKNOWN || is_legacy))
        proto_tree_add_item(tree, is_legacy ? hf_control_info : hf_unparsed, tvb, rtp->known_end,
                            (int)(rtp->fields_end - rtp->known_end), ENC_NA);
}

static void
show_extension(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    static const char *const names[] = { "none", "legacy audio information", "audio", "video",
                                         "unknown form" };
    proto_tree *extension = proto_tree_add_subtree_format(
        tree, tvb, rtp->extension, (int)(rtp->fields_end - rtp->extension), ett_extension, NULL,
        "Header extension: %s, version %u", names[rtp->form], rtp->profile >> 14);

    show_profile(extension, tvb, rtp);
    for (const extension_field *field = rtp->fields; field < rtp->fields + rtp->field_count; field++) {
        if (field->row->part == PART_FEC)
            show_fec(extension, tvb, rtp, field->length);
        else
            proto_tree_add_item(extension, *field->row->hf, tvb, field->offset, field->length,
                                ENC_BIG_ENDIAN);
    }
    show_unparsed(extension, tvb, rtp);
}

/* Where the packet isn't as its own lengths or its generation would have it. */
static void
show_damage(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const rtp_packet *rtp,
            ft_generation generation)
{
    static expert_field *const experts[] = {
        [HEADER_SHORT] = &ei_short_header, [EXTENSION_BEYOND] = &ei_bad_extension,
        [FIELD_MISSING] = &ei_field_missing, [BYTES_LEFT] = &ei_bytes_left,
    };

    if (rtp->form == EXTENSION_UNKNOWN)
        expert_add_info_format(pinfo, item, &ei_unknown_version,
                               "Extension 0x%04x of payload type %u: form not known", rtp->profile,
                               rtp->fixed.payload_type);
    if (rtp->cut)
        expert_add_info(pinfo, item, &ei_cut_short);
    else if (rtp->damage != SOUND)
        expert_add_info(pinfo, item, experts[rtp->damage]);
    else if (generation == FT_MODERN && !rtp->trailer.length &&
             tvb_captured_length(tvb) == tvb_reported_length(tvb))
        expert_add_info(pinfo, item, &ei_no_key_id);
}

/* What the packet itself shows to be wrong. */
static void
show_own_checks(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const rtp_packet *rtp,
                const ft_relay_header *relay)
{
    const unsigned payload_length = rtp->payload_end - rtp->payload;
    const uint16_t stream = (uint16_t)(rtp->fixed.ssrc + (rtp->fec && rtp->is_parity));
    uint16_t longest = 0;

    if (relay && relay->has_stream && relay->stream != stream && rtp->damage != HEADER_SHORT &&
        !lacks_fec(rtp))
        expert_add_info_format(pinfo, item, &ei_stream_mismatch, "Stream id 0x%04x is not the SSRC's 0x%04x",
                               relay->stream, stream);
    if (relay && (relay->attributes & FT_RELAY_ATTR_RETRANSMITTED))
        expert_add_info(pinfo, item, &ei_retransmitted);
    if (rtp->trailer.previous)
        expert_add_info_format(pinfo, item, &ei_ratchet_changed, "The sender's key id was 0x%04x, and is 0x%04x",
                               rtp->trailer.previous, rtp->trailer.short_mki);
    if (!rtp->fec || (rtp->damage != SOUND && rtp->damage != BYTES_LEFT))
        return;
    for (unsigned i = 0; i < rtp->fec_count; i++)
        longest = MAX(longest, tvb_get_ntohs(tvb, rtp->fec + FEC_LIST + 2 * i));
    if (rtp->is_parity && rtp->fec_length != longest)
        expert_add_info_format(pinfo, item, &ei_fec_length,
                               "FEC length %u is not the longest of its list, %u", rtp->fec_length, longest);
    if (!rtp->is_parity && rtp->trailer.length && rtp->fec_length != payload_length)
        expert_add_info_format(pinfo, item, &ei_fec_length, "FEC length %u is not the payload's, %u",
                               rtp->fec_length, payload_length);
}

/* What the stream's earlier packets showed to be wrong. */
static void
show_findings(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const finding *found = (const finding *)p_get_proto_data(wmem_file_scope(), pinfo, proto_facetime_rtp,
                                                             finding_key(tvb));
    if (!found)
        return;
    if (found->is_gap)
        expert_add_info_format(pinfo, item, &ei_frame_gap, "Frame %u follows frame %u", rtp->frame_sequence,
                               found->previous_frame);
    if (found->is_incomplete)
        expert_add_info_format(pinfo, item, &ei_frame_incomplete,
                               "%u packets of the frame up to its marker, %u announced", found->counted,
                               rtp->packets_in_frame);
    if (found->is_fec_mismatch)
        expert_add_info_format(pinfo, item, &ei_fec_list,
                               "Packet %u has %u bytes, the parity packet's list says %u",
                               found->fec_sequence, found->fec_sent, found->fec_listed);
}

/* A UUID, or the participant in two halves. */
static void
show_long_trailer(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const int mki = (int)rtp->payload_end;
    proto_item *item = proto_tree_add_item(tree, hf_mki, tvb, mki, FT_MKI_LENGTH, ENC_BIG_ENDIAN);
    uint8_t participant[8];

    if (rtp->trailer.form == FT_TRAILER_NAMED) {
        proto_tree *subtree = proto_item_add_subtree(item, ett_mki);
        tvb_memcpy(tvb, participant, mki + 2, 4);
        tvb_memcpy(tvb, participant + 4, mki + 7, 4);
        proto_tree_add_bytes_with_length(subtree, hf_mki_participant, tvb, mki + 2, 9, participant,
                                         sizeof participant);
    }
    proto_tree_add_item(tree, hf_mki_end, tvb, mki + FT_MKI_LENGTH, 4, ENC_BIG_ENDIAN);
}

static void
show_short_trailer(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    int offset = (int)rtp->payload_end;
    proto_tree *mki = proto_item_add_subtree(
        proto_tree_add_item(tree, hf_short_mki, tvb, offset, FT_SHORT_MKI_LENGTH, ENC_BIG_ENDIAN), ett_mki);

    proto_tree_add_item(mki, hf_short_mki_roll, tvb, offset, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(mki, hf_short_mki_ratchet, tvb, offset + 1, 1, ENC_BIG_ENDIAN);
    offset += FT_SHORT_MKI_LENGTH;
    if (rtp->trailer.form == FT_TRAILER_GROUP) {
        proto_tree_add_item(tree, hf_mki_end, tvb, offset, 4, ENC_BIG_ENDIAN);
        return;
    }
    if (rtp->trailer.has_rollover) {
        proto_tree_add_item(tree, hf_rollover, tvb, offset, 4, ENC_BIG_ENDIAN);
        offset += 4;
    }
    proto_tree_add_item(tree, hf_auth_tag, tvb, offset, rtp->trailer.tag_length, ENC_NA);
}

static proto_item *
show_own_part(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp, const ft_codec *codec)
{
    proto_item *item = proto_tree_add_item(tree, proto_facetime_rtp, tvb, 0, -1, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_facetime_rtp);

    show_codec(subtree, tvb, codec);
    if (rtp->extension)
        show_extension(subtree, tvb, rtp);
    if (ft_trailer_is_short(&rtp->trailer))
        show_short_trailer(subtree, tvb, rtp);
    else if (rtp->trailer.length)
        show_long_trailer(subtree, tvb, rtp);
    return item;
}

/* ---- the dissectors ---- */

/* What makes two packets with one number the same. The payload is encrypted: its first bytes tell as much as all. */
static uint32_t
digest(tvbuff_t *tvb, const rtp_packet *rtp)
{
    const unsigned captured = tvb_captured_length(tvb), payload = MIN(rtp->payload, captured);
    const unsigned end = MIN(rtp->payload_end, captured);
    const unsigned length = end > payload ? MIN(end - payload, DIGEST_LENGTH) : 0;
    const uint8_t *bytes = length ? tvb_get_ptr(tvb, (int)payload, (int)length) : NULL;
    uint32_t hash = (rtp->fixed.timestamp ^ (rtp->payload_end - rtp->payload)) * 0x9e3779b1u;

    for (unsigned i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x01000193u; /* FNV-1a */
    return hash;
}

static void
learn_media(tvbuff_t *tvb, packet_info *pinfo, const rtp_packet *rtp)
{
    ft_rtp seen = rtp->fixed;

    seen.medium = (ft_medium)rtp->media;
    seen.digest = digest(tvb, rtp);
    if (rtp->trailer.length && !ft_trailer_is_short(&rtp->trailer))
        seen.key = tvb_get_ptr(tvb, (int)rtp->payload_end, FT_MKI_LENGTH);
    ft_rtp_learn(pinfo, &seen);
}

static void
learn(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, const rtp_packet *rtp, const ft_relay_header *relay)
{
    ft_quality_seen_twice(pinfo, rtp->fixed.ssrc);
    if (!ft_learning(pinfo))
        return;
    if (ft_trailer_is_short(&rtp->trailer))
        ft_short_mki_seen(pinfo, rtp->trailer.short_mki,
                          relay && relay->has_participant ? relay->participant : NULL);
    else if (rtp->trailer.length)
        ft_relay_mki_seen(pinfo, tvb_get_ptr(tvb, (int)rtp->payload_end, FT_MKI_LENGTH));
    packet->stream = NULL;
    if (!(rtp->fec && rtp->is_parity))
        learn_media(tvb, pinfo, rtp);
    else
        ft_rtp_parity(pinfo, &rtp->fixed);
    if (rtp->has_frame_info || rtp->fec || hides_frame(rtp))
        check_stream(pinfo, packet, tvb, rtp);
}

static bool
has_part(const rtp_packet *rtp, extension_part part)
{
    return (rtp->parts >> part & 1) != 0;
}

/* Tells packets with one sequence number apart: a copy, or FEC parity, which repeats a source packet's number. */
static uint32_t
digest_of(tvbuff_t *tvb, const rtp_packet *rtp)
{
    const unsigned length = tvb_reported_length(tvb);
    const uint32_t first = rtp->payload + 4 <= tvb_captured_length(tvb) ? tvb_get_ntohl(tvb, (int)rtp->payload) : 0;

    return rtp->fixed.timestamp ^ first ^ length << 16 ^ (uint32_t)(rtp->fec && rtp->is_parity);
}

/* What the packet tells of its stream's quality. */
static void
learn_quality(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, const rtp_packet *rtp, const ft_codec *codec)
{
    if (packet->ssrc_count < FT_PACKET_SSRCS)
        packet->ssrcs[packet->ssrc_count++] = rtp->fixed.ssrc;
    if (!ft_learning(pinfo))
        return;

    const ft_media_facts facts = {
        .rtp = rtp->fixed,
        .digest = digest_of(tvb, rtp),
        .is_parity = rtp->fec && rtp->is_parity,
        .medium = (ft_medium)rtp->media,
        .clock_rate = codec ? codec->clock_rate : 0,
        .length = tvb_reported_length(tvb),
        .has_frame_info = rtp->has_frame_info,
        .packets_in_frame = rtp->packets_in_frame,
        .frame_sequence = rtp->frame_sequence,
        .has_stamps = has_part(rtp, PART_SENT),
        .sent_stamp = rtp->values[PART_SENT],
        .echoed_stamp = rtp->values[PART_ECHOED],
        .received = rtp->values[PART_RECEIVED] & 0x0fff,
        .burst_loss = (uint8_t)(rtp->values[PART_RECEIVED] >> 12),
        .queuing_delay = rtp->values[PART_QUEUING],
        .has_bandwidth = has_part(rtp, PART_BANDWIDTH),
        .bandwidth = rtp->values[PART_BANDWIDTH],
    };
    ft_quality_learn(pinfo, &facts);
}

/* One RTP packet from its first byte. data: the relay's header (ft_relay_header), or NULL. */
static int
dissect_facetime_rtp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data)
{
    const ft_relay_header *relay = (const ft_relay_header *)data;
    ft_packet *packet = ft_packet_get(pinfo);
    const ft_codec *codec = NULL;
    uint32_t sdp_frame = 0;
    rtp_packet rtp;

    if (!packet)
        return (int)tvb_captured_length(tvb);

    parse_rtp(tvb, packet->generation, &rtp);
    settle_trailer(pinfo, tvb, packet->generation, relay, &rtp);
    if (rtp.trailer.length)
        packet->generation = FT_MODERN;
    if (rtp.damage == HEADER_SHORT && tvb_captured_length(tvb) < FIXED_HEADER_LENGTH) {
        col_set_str(pinfo->cinfo, COL_PROTOCOL, "RTP");
        col_set_str(pinfo->cinfo, COL_INFO, "RTP header cut short");
        ft_rtp_cut(pinfo);
    } else {
        learn(tvb, pinfo, packet, &rtp, relay);
        packet->payload_type = rtp.fixed.payload_type;
        codec = ft_media_codec(pinfo, rtp.fixed.payload_type, &sdp_frame);
        packet->media_setup_frame = sdp_frame;
        learn_quality(tvb, pinfo, packet, &rtp, codec);
        set_up_media(pinfo, packet, sdp_frame);
        dissect_standard_part(tvb, pinfo, tree, packet, &rtp, codec);
    }
    proto_item *item = tree ? show_own_part(tree, tvb, &rtp, codec) : NULL;
    show_damage(pinfo, item, tvb, &rtp, packet->generation);
    show_own_checks(pinfo, item, tvb, &rtp, relay);
    if (rtp.has_frame_info || rtp.fec)
        show_findings(pinfo, item, tvb, &rtp);
    return (int)tvb_captured_length(tvb);
}

/* ---- RTCP: APP packets of Apple's media stack ----
 *
 *   | 2, subtype 0 | 204 | length | SSRC | name 4 | body |
 *
 *   RCTL:         85 00 00 04 | media time 2 | 0 4 | idle ms 2 | clock 2 | 0 2 | received 2 | target 2, in 100 bit/s
 *   00 00 00 05:  RTP timestamp 4 of the long-term reference frame that is acknowledged
 *
 * Published; the first one's words are those of the audio extension with profile 0x8500. */

#define RTCP_APP         204
#define APP_HEADER       12
#define APP_NAME         8      /* offset */
#define NAME_RCTL        0x5243544c
#define NAME_LTR         0x00000005
#define RCTL_HEAD        0x85000004
#define RCTL_LENGTH      (APP_HEADER + 20)

/* The APP packet at this offset of the names that are known: its name, else 0. Whole packets only. */
static uint32_t
known_app(tvbuff_t *tvb, int offset, int length)
{
    if (tvb_captured_length_remaining(tvb, offset) < length || length < APP_HEADER ||
        tvb_get_uint8(tvb, offset + 1) != RTCP_APP)
        return 0;

    const uint32_t name = tvb_get_ntohl(tvb, offset + APP_NAME);
    if (name == NAME_RCTL && length == RCTL_LENGTH && tvb_get_ntohl(tvb, offset + APP_HEADER) == RCTL_HEAD)
        return name;
    return name == NAME_LTR && length == APP_HEADER + 4 ? name : 0;
}

static void
show_rctl(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo, int offset)
{
    const unsigned target = tvb_get_ntohs(tvb, offset + 30) * BIT_RATE_UNIT;

    proto_tree_add_item(tree, hf_rctl_media_time, tvb, offset + 16, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_rctl_idle, tvb, offset + 22, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_rctl_clock, tvb, offset + 24, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_rctl_received, tvb, offset + 28, 2, ENC_BIG_ENDIAN);
    proto_tree_add_uint(tree, hf_rctl_target, tvb, offset + 30, 2, target);
    col_append_fstr(pinfo->cinfo, COL_INFO, ", rate control: target %u bit/s", target);
}

static void
show_app(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo, int offset, int length, uint32_t name)
{
    proto_item *item = proto_tree_add_item(tree, proto_facetime_rtcp, tvb, offset, length, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_facetime_rtcp);

    if (name == NAME_RCTL) {
        proto_item_append_text(item, ": rate control");
        show_rctl(subtree, tvb, pinfo, offset);
        return;
    }
    proto_item_append_text(item, ": long-term reference acknowledged");
    proto_tree_add_item(subtree, hf_ltr_timestamp, tvb, offset + APP_HEADER, 4, ENC_BIG_ENDIAN);
    col_append_fstr(pinfo->cinfo, COL_INFO, ", long-term reference %u acknowledged",
                    tvb_get_ntohl(tvb, offset + APP_HEADER));
}

/* The header of an APP packet, in stock's fields. Stock shows its name as a text, and calls one that isn't an error. */
static void
show_app_header(proto_tree *tree, tvbuff_t *tvb, int offset, int length)
{
    static const struct {
        const char *field;
        int         offset, length;
    } fields[] = {
        { "rtcp.version", 0, 1 },    { "rtcp.padding", 0, 1 }, { "rtcp.app.subtype", 0, 1 }, { "rtcp.pt", 1, 1 },
        { "rtcp.length", 2, 2 },     { "rtcp.senderssrc", 4, 4 },
    };
    proto_item *item =
        proto_tree_add_item(tree, proto_get_id_by_filter_name("rtcp"), tvb, offset, length, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_facetime_rtcp);

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        const int hf = proto_registrar_get_id_byname(fields[i].field);
        if (hf > 0)
            proto_tree_add_item(subtree, hf, tvb, offset + fields[i].offset, fields[i].length, ENC_BIG_ENDIAN);
    }
}

/* How long the RTCP packet at this offset is: to the end where its length doesn't fit. */
static int
rtcp_length(tvbuff_t *tvb, int offset, int end)
{
    const int left = end - offset;
    const int length =
        tvb_captured_length_remaining(tvb, offset) >= 4 ? 4 + 4 * tvb_get_ntohs(tvb, offset + 2) : left;

    return length > left ? left : length;
}

/* Report blocks of 24 bytes: SSRC, losses, highest sequence number, jitter, LSR, DLSR (RFC 3550, 6.4.1). */
static void
learn_report_blocks(tvbuff_t *tvb, packet_info *pinfo, unsigned offset, unsigned end, unsigned count)
{
    for (; count > 0 && offset + REPORT_BLOCK <= end; count--, offset += REPORT_BLOCK)
        ft_quality_report_block(pinfo, tvb_get_ntohl(tvb, (int)offset), tvb_get_ntohl(tvb, (int)offset + 16),
                                tvb_get_ntohl(tvb, (int)offset + 20));
}

/* What sender and receiver reports tell of round trips; of a compound packet, each part by its length in words. */
static void
learn_rtcp(tvbuff_t *tvb, packet_info *pinfo)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (!ft_learning(pinfo))
        return;
    for (unsigned offset = 0; offset + 8 <= captured;) {
        const uint8_t first = tvb_get_uint8(tvb, (int)offset), type = tvb_get_uint8(tvb, (int)offset + 1);
        const unsigned end = MIN(offset + 4 + 4u * tvb_get_ntohs(tvb, (int)offset + 2), captured);
        if (first >> 6 != 2)
            return;
        if (type == RTCP_SENDER_REPORT && offset + 28 <= end) {
            ft_quality_sender_report(pinfo, tvb_get_ntohl(tvb, (int)offset + 4), tvb_get_ntohl(tvb, (int)offset + 10));
            learn_report_blocks(tvb, pinfo, offset + 28, end, first & 0x1f);
        } else if (type == RTCP_RECEIVER_REPORT) {
            learn_report_blocks(tvb, pinfo, offset + 8, end, first & 0x1f);
        }
        offset = end;
    }
}

/* One RTCP packet, in the clear. It may come before the first RTP packet, so it sets up the media too. Stock gets it
 * in the pieces between packets with a name that it takes for an error. */
static int
dissect_facetime_rtcp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    const int end = (int)tvb_reported_length(tvb);
    ft_packet *packet = ft_packet_get(pinfo);
    int piece = 0;

    if (!packet)
        return (int)tvb_captured_length(tvb);
    ft_call_resolve(pinfo, false);
    packet->media_setup_frame = ft_media_newest_sdp(pinfo);
    learn_rtcp(tvb, pinfo);
    set_up_media(pinfo, packet, packet->media_setup_frame);
    for (int offset = 0; offset < end;) {
        const int length = rtcp_length(tvb, offset, end);
        const bool is_ltr = known_app(tvb, offset, length) == NAME_LTR;
        const bool is_last = offset + length >= end;
        const int piece_end = is_ltr ? offset : offset + length;
        if ((is_ltr || is_last) && piece_end > piece)
            call_stock(rtcp_handle, tvb_new_subset_length(tvb, piece, piece_end - piece), pinfo, tree, packet,
                       true);
        if (is_ltr) {
            if (offset == 0) {
                col_set_str(pinfo->cinfo, COL_PROTOCOL, "RTCP");
                col_set_str(pinfo->cinfo, COL_INFO, "Application specific");
            }
            show_app_header(tree, tvb, offset, length);
            piece = offset + length;
        }
        offset += length;
    }
    for (int offset = 0; offset < end;) {
        const int length = rtcp_length(tvb, offset, end);
        const uint32_t name = known_app(tvb, offset, length);
        if (name)
            show_app(tree, tvb, pinfo, offset, length, name);
        offset += length;
    }
    return (int)tvb_captured_length(tvb);
}

/* ---- proof that media is FaceTime's ---- */

/* Audio of 2015 without any mark: packets of one direction that follow each other as that clock runs, 480 ticks in 20 ms.
 * Others use these payload types with other clocks. */
#define BARE_CLOCK_HZ       24000
#define BARE_TIMESTAMP_STEP 480
#define BARE_MAX_STEP       (100 * BARE_TIMESTAMP_STEP)
#define BARE_PACKETS        4
#define BARE_TOLERANCE      5   /* a fifth: 16, 32 and 48 kHz are farther off than that */

static bool
is_bare_payload_type(uint8_t payload_type)
{
    return payload_type == 104 || payload_type == 119;
}

/* The packet's timestamp, sequence number and SSRC go on from where the run is. */
static bool
follows(const ft_witness *witness, tvbuff_t *tvb)
{
    const uint32_t step = tvb_get_ntohl(tvb, 4) - witness->run.timestamp;

    return witness->run.packets && tvb_get_ntohl(tvb, 8) == witness->run.ssrc &&
           tvb_get_ntohs(tvb, 2) == (uint16_t)(witness->run.sequence + 1) && step != 0 &&
           step % BARE_TIMESTAMP_STEP == 0 && step <= BARE_MAX_STEP;
}

/* The run's ticks against the time that it took in the capture. */
static bool
keeps_time(const ft_witness *witness, const packet_info *pinfo)
{
    const int64_t due = (int64_t)(witness->run.timestamp - witness->run.first_timestamp) * 1000000 / BARE_CLOCK_HZ;
    nstime_t taken;

    const nstime_t now = ft_now(pinfo);
    nstime_delta(&taken, &now, &witness->run.first_time);
    const int64_t passed = taken.secs * (int64_t)1000000 + taken.nsecs / 1000;
    return passed > due - due / BARE_TOLERANCE && passed < due + due / BARE_TOLERANCE;
}

static void
extend_run(ft_witness *witness, const packet_info *pinfo, tvbuff_t *tvb)
{
    const bool goes_on = follows(witness, tvb);

    witness->last_frame = ft_frame_id(pinfo);
    witness->run.sequence = tvb_get_ntohs(tvb, 2);
    witness->run.timestamp = tvb_get_ntohl(tvb, 4);
    witness->run.ssrc = tvb_get_ntohl(tvb, 8);
    witness->run.packets = goes_on ? (uint16_t)MIN(witness->run.packets + 1, UINT16_MAX) : 1;
    if (!goes_on) {
        witness->run.first_time = ft_now(pinfo);
        witness->run.first_timestamp = witness->run.timestamp;
    }
    if (witness->run.packets >= BARE_PACKETS && !witness->proven_frame && keeps_time(witness, pinfo))
        witness->proven_frame = ft_frame_id(pinfo);
}

static bool
agrees_with_earlier(packet_info *pinfo, tvbuff_t *tvb)
{
    ft_witness *witness = ft_evidence_witness(pinfo);

    if (!witness)
        return false;
    if (ft_learning(pinfo) && witness->last_frame != ft_frame_id(pinfo))
        extend_run(witness, pinfo, tvb);
    return witness->proven_frame && witness->proven_frame <= ft_frame_id(pinfo);
}

/* FaceTime's own extension: audio information, whose second word is zero in all 6000 packets of the sample. */
static bool
has_legacy_extension(tvbuff_t *tvb)
{
    const int offset = FIXED_HEADER_LENGTH + 4 * (tvb_get_uint8(tvb, 0) & 0x0f);

    return tvb_captured_length(tvb) >= (unsigned)offset + 4 + 4 * LEGACY_WORDS &&
           tvb_get_ntohl(tvb, offset) == (LEGACY_PROFILE << 16 | LEGACY_WORDS) && tvb_get_ntohl(tvb, offset + 8) == 0;
}

/* No padding and no CSRC, and a payload type of FaceTime's: as in all packets of the captures. */
static bool
is_plain(tvbuff_t *tvb, const rtp_packet *rtp)
{
    return rtp->damage != HEADER_SHORT && rtp->damage != EXTENSION_BEYOND && rtp->media != MEDIA_UNKNOWN &&
           (tvb_get_uint8(tvb, 0) & 0xef) == 0x80;
}

/* For the relay's header: is this media? */
static bool
look_at_rtp(tvbuff_t *tvb, ft_rtp_look *look)
{
    rtp_packet rtp;

    parse_rtp(tvb, FT_GENERATION_UNKNOWN, &rtp);
    *look = (ft_rtp_look){ .fixed = rtp.fixed, .trailer = rtp.trailer, .is_plain = is_plain(tvb, &rtp),
                           .version = rtp.extension ? rtp.profile >> 14 : 0,
                           .is_cut = tvb_captured_length(tvb) < tvb_reported_length(tvb) };
    look->extension_fits =
        rtp.damage == SOUND && (rtp.form == EXTENSION_AUDIO || rtp.form == EXTENSION_VIDEO);
    if (look->is_plain && !rtp.trailer.length && rtp.media != MEDIA_UNKNOWN) {
        const ft_trailer tagged =
            ft_trailer_read_tagged(tvb, rtp.payload, rtp.fixed.sequence, tag_length_of(&rtp));
        if (tagged.length && ft_mki_is_fresh(tagged.short_mki))
            look->trailer = tagged;
    }
    return rtp.damage != HEADER_SHORT;
}

/* Today's media without a relay's header: a UUID and the word behind it prove it; the trailers of 2026 by several
 * packets that agree. */
static bool
proves_modern(tvbuff_t *tvb, packet_info *pinfo)
{
    ft_rtp_look look;

    if (!look_at_rtp(tvb, &look) || !look.is_plain || !look.trailer.length)
        return false;
    if (look.trailer.form == FT_TRAILER_UUID)
        return true;
    if (look.trailer.form == FT_TRAILER_TAGGED && !(look.extension_fits && look.version == 2))
        return false;
    return ft_trailer_agrees(pinfo, &look.fixed, look.trailer.short_mki, look.extension_fits);
}

/* The last byte of the long trailers and of a group's; tags may end in any, so there a port must say so, too. */
static bool
may_end_in_trailer(const packet_info *pinfo, uint8_t last)
{
    return last == 0 || last == 0x20 || ft_is_device_port(pinfo->srcport) || ft_is_device_port(pinfo->destport);
}

/* Marks of FaceTime's own prove on any port: the key id at the end, the legacy extension. */
static bool
has_own_mark(tvbuff_t *tvb, packet_info *pinfo, const uint8_t *bytes, ft_generation *generation)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (may_end_in_trailer(pinfo, bytes[captured - 1]) && proves_modern(tvb, pinfo)) {
        *generation = FT_MODERN;
        return true;
    }
    if (!(bytes[0] & 0x10) || !has_legacy_extension(tvb))
        return false;
    *generation = FT_LEGACY;
    return true;
}

static bool
prove_media(tvbuff_t *tvb, packet_info *pinfo, bool bare_ports, ft_generation *generation)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (!ft_accept_bare_media || captured < FIXED_HEADER_LENGTH)
        return false;

    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)captured);
    const uint8_t payload_type = bytes[1] & 0x7f;
    if (bytes[0] >> 6 != 2 || media_of[payload_type] == MEDIA_UNKNOWN)
        return false;
    if (has_own_mark(tvb, pinfo, bytes, generation))
        return true;
    if (!bare_ports || !is_bare_payload_type(payload_type) || !agrees_with_earlier(pinfo, tvb))
        return false;
    *generation = FT_LEGACY;
    return true;
}

/* Media needs more than a port, even without signalling: Cisco's phones use 16384 and up too. Without a mark it must run
 * between two devices' ports and keep FaceTime's time. */
static bool
prove_rtp(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    return prove_media(tvb, pinfo, ft_is_device_port(pinfo->srcport) && ft_is_device_port(pinfo->destport),
                       generation);
}

/* In a relay's channel: between a device's port and a server's. */
static bool
prove_relayed_rtp(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    return prove_media(tvb, pinfo,
                       (ft_is_device_port(pinfo->srcport) && ft_is_server_port(pinfo->destport)) ||
                       (ft_is_server_port(pinfo->srcport) && ft_is_device_port(pinfo->destport)), generation);
}

/* ---- registration ---- */

static void
reset_counts(void)
{
    finding_total = set_up_total = 0;
}

/* Bandwidth, in the unit that it is sent in. */
static void
format_bit_rate(char *text, uint32_t value)
{
    snprintf(text, ITEM_LABEL_LENGTH, "%u (%u bit/s)", value, value * BIT_RATE_UNIT);
}

void
proto_register_facetime_rtp(void)
{
    static hf_register_info hf[] = {
        { &hf_codec,
          { "Codec", "facetime_rtp.codec", FT_STRING, BASE_NONE, NULL, 0,
            "Codec: from a=rtpmap of the call's SDP, else FaceTime's use of the payload type (of 20, 97, 98, "
            "101, 107, 108, 111, 113, 119, and 13 in modern calls, inferred)", HFILL } },
        { &hf_profile,
          { "Profile", "facetime_rtp.ext.profile", FT_UINT16, BASE_HEX, NULL, 0,
            "Flags that tell which fields the extension has: not an id of RFC 8285", HFILL } },
        { &hf_version,
          { "Version", "facetime_rtp.ext.version", FT_UINT8, BASE_DEC, NULL, 0xc0,
            "Version of the extension: 1 in legacy and multiway calls, 2 in one-to-one calls", HFILL } },
        { &hf_control_info,
          { "Audio information", "facetime_rtp.ext.control_info", FT_BYTES, BASE_NONE, NULL, 0,
            "Two words of a legacy call: a running clock and zero in all samples, meaning unknown", HFILL } },
        { &hf_unparsed,
          { "Not parsed", "facetime_rtp.ext.unparsed", FT_BYTES, BASE_NONE, NULL, 0,
            "Bytes of the extension that no known field accounts for", HFILL } },
        { &hf_mki,
          { "Key id (MKI)", "facetime_rtp.mki", FT_GUID, BASE_NONE, NULL, 0,
            "Which key encrypts the payload: one random UUID for each sender and call", HFILL } },
        { &hf_mki_participant,
          { "Participant", "facetime_rtp.mki.participant", FT_BYTES, BASE_NONE, NULL, 0,
            "Participant id that a key id of 2026 names (published, unverified)", HFILL } },
        { &hf_mki_end,
          { "End", "facetime_rtp.mki.end", FT_UINT32, BASE_HEX, NULL, 0,
            "Word behind the key id: zero in every packet of 2023, 0x20 behind a short one; meaning unknown",
            HFILL } },
        { &hf_short_mki,
          { "Key id (short MKI)", "facetime_rtp.short_mki", FT_UINT16, BASE_HEX, NULL, 0,
            "Which key encrypts the payload, in calls of 2026: the first two bytes of the 16-byte key id "
            "(published; checked on five datagrams)", HFILL } },
        { &hf_short_mki_roll,
          { "Roll", "facetime_rtp.short_mki.roll", FT_UINT16, BASE_DEC, NULL, 0xfff0,
            "Number of the sender's key: 1 when fresh (published, unverified)", HFILL } },
        { &hf_short_mki_ratchet,
          { "Ratchet", "facetime_rtp.short_mki.ratchet", FT_UINT8, BASE_DEC, NULL, 0x0f,
            "How often the key was ratcheted on (published, unverified)", HFILL } },
        { &hf_rollover,
          { "Roll-over counter", "facetime_rtp.rollover", FT_UINT32, BASE_DEC, NULL, 0,
            "How often the sequence number has wrapped: in one packet of 128 of a one-to-one call of 2026 "
            "(published, unverified)", HFILL } },
        { &hf_auth_tag,
          { "Authentication tag", "facetime_rtp.auth_tag", FT_BYTES, BASE_NONE, NULL, 0,
            "In one-to-one calls of 2026: 4 bytes on audio, 10 on video (published, unverified)", HFILL } },

        { &hf_audio_ecn,
          { "ECN counts", "facetime_rtp.audio.has_ecn", FT_BOOLEAN, 16, NULL, 0x0800,
            "Counts of ECN marks follow (not seen, unverified)", HFILL } },
        { &hf_audio_video,
          { "Video feedback", "facetime_rtp.audio.has_video", FT_BOOLEAN, 16, NULL, 0x0400,
            "Feedback on the video received follows (inferred)", HFILL } },
        { &hf_audio_connection,
          { "Connection statistics", "facetime_rtp.audio.has_connection", FT_BOOLEAN, 16, NULL, 0x0200,
            "Statistics of the links in use follow (inferred)", HFILL } },
        { &hf_audio_timing,
          { "Timing", "facetime_rtp.audio.has_timing", FT_BOOLEAN, 16, NULL, 0x0100,
            "Queuing delay, send time and one-way delay follow", HFILL } },
        { &hf_audio_bucket,
          { "Rate bucket", "facetime_rtp.audio.rate_bucket", FT_UINT16, BASE_DEC, NULL, 0x00ff,
            "Step of the sender's rate control (inferred; 0 in every packet seen)", HFILL } },
        { &hf_audio_echoed_timestamp,
          { "Echoed send time", "facetime_rtp.audio.echoed_timestamp", FT_UINT16, BASE_DEC, NULL, 0,
            "The peer's last send timestamp, sent back to it (inferred)", HFILL } },
        { &hf_audio_received_kbit,
          { "Received", "facetime_rtp.audio.received_kbit", FT_UINT16, BASE_DEC, NULL, 0,
            "Kilobits received so far, modulo 65536 (inferred)", HFILL } },
        { &hf_audio_burst_loss,
          { "Burst loss", "facetime_rtp.audio.burst_loss", FT_UINT16, BASE_DEC, NULL, 0xf000,
            "Audio packets lost in a row (inferred)", HFILL } },
        { &hf_audio_received_packets,
          { "Packets received", "facetime_rtp.audio.received_packets", FT_UINT16, BASE_DEC, NULL, 0x0fff,
            "Audio packets received so far, modulo 4096 (inferred)", HFILL } },
        { &hf_audio_queuing_delay,
          { "Queuing delay", "facetime_rtp.audio.queuing_delay", FT_UINT16, BASE_DEC, NULL, 0,
            "Delay in queues as the sender estimates it (inferred)", HFILL } },
        { &hf_audio_send_timestamp,
          { "Send timestamp", "facetime_rtp.audio.send_timestamp", FT_UINT16, BASE_DEC, NULL, 0,
            "When the packet was sent, in 1/1024 s, modulo 64 s", HFILL } },
        { &hf_audio_one_way_delay,
          { "One-way delay", "facetime_rtp.audio.one_way_delay", FT_UINT16, BASE_DEC, NULL, 0,
            "Delay of the other direction as its receiver estimates it (inferred)", HFILL } },
        { &hf_audio_video_burst_loss,
          { "Video burst loss", "facetime_rtp.audio.video.burst_loss", FT_UINT16, BASE_DEC, NULL, 0xf000,
            "Video packets lost in a row (inferred)", HFILL } },
        { &hf_audio_video_frame_size,
          { "Video frame size", "facetime_rtp.audio.video.frame_size", FT_UINT16, BASE_DEC, NULL, 0x0fc0,
            "Size of the video frame received, unit unknown (inferred)", HFILL } },
        { &hf_audio_video_loss,
          { "Video loss", "facetime_rtp.audio.video.loss", FT_UINT16, BASE_DEC, NULL, 0x003f,
            "Video packets lost (inferred)", HFILL } },
        { &hf_audio_bandwidth,
          { "Bandwidth estimate", "facetime_rtp.audio.bandwidth", FT_UINT16, BASE_CUSTOM,
            CF_FUNC(format_bit_rate), 0,
            "Bandwidth that the receiver estimates (inferred), in units of 100 bit/s (published, unverified)",
            HFILL } },
        { &hf_audio_ect,
          { "ECT packets", "facetime_rtp.audio.ecn.ect", FT_UINT16, BASE_DEC, NULL, 0,
            "Packets received with an ECN-capable mark (not seen, unverified)", HFILL } },
        { &hf_audio_ce,
          { "CE packets", "facetime_rtp.audio.ecn.ce", FT_UINT16, BASE_DEC, NULL, 0,
            "Packets received with a congestion mark (not seen, unverified)", HFILL } },
        { &hf_audio_connection_index,
          { "Connection", "facetime_rtp.audio.connection.index", FT_UINT8, BASE_DEC, NULL, 0,
            "Which connection the statistics are of (inferred)", HFILL } },
        { &hf_audio_connection_secondary,
          { "Secondary only", "facetime_rtp.audio.connection.secondary", FT_UINT8, BASE_DEC, NULL, 0,
            "Packets that came over the secondary connection only (inferred)", HFILL } },
        { &hf_audio_connection_primary,
          { "Primary", "facetime_rtp.audio.connection.primary", FT_UINT8, BASE_DEC, NULL, 0,
            "Packets that came over the primary connection (inferred)", HFILL } },
        { &hf_audio_connection_total,
          { "Total", "facetime_rtp.audio.connection.total", FT_UINT8, BASE_DEC, NULL, 0,
            "Packets that came over any connection (inferred)", HFILL } },

        { &hf_video_source,
          { "Picture source", "facetime_rtp.video.source", FT_UINT16, BASE_DEC, NULL, 0x3000,
            "Camera, screen or other source of the picture (inferred)", HFILL } },
        { &hf_video_back_camera,
          { "Back camera", "facetime_rtp.video.back_camera", FT_BOOLEAN, 16, NULL, 0x0800,
            "The picture is of the camera on the device's back (inferred)", HFILL } },
        { &hf_video_mirrored,
          { "Mirrored", "facetime_rtp.video.mirrored", FT_BOOLEAN, 16, NULL, 0x0400,
            "The picture is mirrored (inferred)", HFILL } },
        { &hf_video_orientation,
          { "Orientation", "facetime_rtp.video.orientation", FT_UINT16, BASE_DEC, NULL, 0x0300,
            "Orientation of the device (name from others' clients, inferred); what its values mean is not "
            "known", HFILL } },
        { &hf_video_ltr,
          { "LTR bits", "facetime_rtp.video.ltr", FT_UINT16, BASE_HEX, NULL, 0x00f0,
            "Bits about long-term reference frames (inferred)", HFILL } },
        { &hf_video_has_probe,
          { "Probe", "facetime_rtp.video.has_probe", FT_BOOLEAN, 16, NULL, 0x0008,
            "A probe follows", HFILL } },
        { &hf_video_has_fec,
          { "FEC", "facetime_rtp.video.has_fec", FT_BOOLEAN, 16, NULL, 0x0004,
            "An FEC header follows", HFILL } },
        { &hf_video_has_ltr_timestamp,
          { "LTR timestamp", "facetime_rtp.video.has_ltr_timestamp", FT_BOOLEAN, 16, NULL, 0x0002,
            "The timestamp of a long-term reference frame follows (inferred)", HFILL } },
        { &hf_video_has_frame_info,
          { "Frame information", "facetime_rtp.video.has_frame_info", FT_BOOLEAN, 16, NULL, 0x0001,
            "Packets in frame and frame sequence follow (in version 2)", HFILL } },
        { &hf_video_ltr_timestamp,
          { "LTR timestamp", "facetime_rtp.video.ltr_timestamp", FT_UINT32, BASE_DEC, NULL, 0,
            "RTP timestamp of the long-term reference frame in use (inferred)", HFILL } },
        { &hf_video_packets_in_frame,
          { "Packets in frame", "facetime_rtp.video.packets_in_frame", FT_UINT16, BASE_DEC, NULL, 0,
            "How many RTP packets have this timestamp", HFILL } },
        { &hf_video_frame_sequence,
          { "Frame sequence", "facetime_rtp.video.frame_sequence", FT_UINT16, BASE_DEC, NULL, 0,
            "Number of the video frame, one more for each frame", HFILL } },
        { &hf_video_probe,
          { "Probe", "facetime_rtp.video.probe", FT_UINT32, BASE_DEC, NULL, 0,
            "RTP timestamp of an audio packet of the same sender (one-to-one), or 0 (multiway)", HFILL } },

        { &hf_fec_index,
          { "Symbol index", "facetime_rtp.fec.index", FT_UINT8, BASE_HEX, NULL, 0,
            "Which symbol of the block this is: 0x08-0x0a parity, 0x0b-0x0f source in those seen", HFILL } },
        { &hf_fec_parity,
          { "Parity", "facetime_rtp.fec.parity", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "The packet repairs others; else it is a source packet", HFILL } },
        { &hf_fec_tag,
          { "Tag", "facetime_rtp.fec.tag", FT_UINT16, BASE_HEX, NULL, 0xf800,
            "0x13 in every packet seen, meaning unknown", HFILL } },
        { &hf_fec_length,
          { "Length", "facetime_rtp.fec.length", FT_UINT16, BASE_DEC, NULL, FEC_LENGTH_MASK,
            "Payload length of a source packet; in a parity packet the longest of its list", HFILL } },
        { &hf_fec_count,
          { "Source packets", "facetime_rtp.fec.count", FT_UINT16, BASE_DEC, NULL, 0,
            "How many source packets the parity packet covers", HFILL } },
        { &hf_fec_source_length,
          { "Source length", "facetime_rtp.fec.source_length", FT_UINT16, BASE_DEC, NULL, 0,
            "Payload length of one source packet, in their order", HFILL } },
    };
    static hf_register_info rtcp_hf[] = {
        { &hf_rctl_media_time,
          { "Media time", "facetime_rtcp.rctl.media_time", FT_UINT16, BASE_DEC, NULL, 0,
            "Media time that the sender of this report last received (published, unverified)", HFILL } },
        { &hf_rctl_idle,
          { "Idle time", "facetime_rtcp.rctl.idle", FT_UINT16, BASE_DEC, NULL, 0,
            "Milliseconds since then (published, unverified)", HFILL } },
        { &hf_rctl_clock,
          { "Clock", "facetime_rtcp.rctl.clock", FT_UINT16, BASE_DEC, NULL, 0,
            "Clock of the sender of this report (published, unverified)", HFILL } },
        { &hf_rctl_received,
          { "Packets received", "facetime_rtcp.rctl.received", FT_UINT16, BASE_DEC, NULL, 0,
            "Published, unverified", HFILL } },
        { &hf_rctl_target,
          { "Target bit rate", "facetime_rtcp.rctl.target", FT_UINT32, BASE_DEC, NULL, 0,
            "Bit rate asked for, in bit/s; on the wire in units of 100 bit/s (published, unverified)", HFILL } },
        { &hf_ltr_timestamp,
          { "Long-term reference", "facetime_rtcp.ltr.timestamp", FT_UINT32, BASE_DEC, NULL, 0,
            "RTP timestamp of the long-term reference frame that is acknowledged (published, unverified)",
            HFILL } },
    };
    static int *ett[] = { &ett_facetime_rtp, &ett_extension, &ett_profile, &ett_fec, &ett_mki, &ett_facetime_rtcp };
    static ei_register_info ei[] = {
        { &ei_short_header,
          { "facetime_rtp.short_header", PI_MALFORMED, PI_ERROR, "Packet ends in its RTP header", EXPFILL } },
        { &ei_bad_extension,
          { "facetime_rtp.bad_extension_length", PI_MALFORMED, PI_ERROR,
            "Header extension is longer than the packet", EXPFILL } },
        { &ei_field_missing,
          { "facetime_rtp.field_missing", PI_MALFORMED, PI_WARN,
            "Header extension is too short for the fields it announces", EXPFILL } },
        { &ei_bytes_left,
          { "facetime_rtp.bytes_left", PI_PROTOCOL, PI_NOTE,
            "Header extension is longer than the fields it announces", EXPFILL } },
        { &ei_cut_short,
          { "facetime_rtp.cut_short", PI_UNDECODED, PI_NOTE, "Header cut short by the capture", EXPFILL } },
        { &ei_unknown_version,
          { "facetime_rtp.unknown_extension", PI_UNDECODED, PI_NOTE, "Extension of unknown form", EXPFILL } },
        { &ei_no_key_id,
          { "facetime_rtp.no_key_id", PI_UNDECODED, PI_COMMENT,
            "No key id at the end of a form that is known", EXPFILL } },
        { &ei_frame_incomplete,
          { "facetime_rtp.frame_incomplete", PI_SEQUENCE, PI_NOTE,
            "Packets of the frame don't add up at its marker", EXPFILL } },
        { &ei_frame_gap,
          { "facetime_rtp.frame_gap", PI_SEQUENCE, PI_NOTE, "Frame sequence jumps", EXPFILL } },
        { &ei_fec_length,
          { "facetime_rtp.fec_length_mismatch", PI_PROTOCOL, PI_WARN,
            "FEC length doesn't match the packet", EXPFILL } },
        { &ei_fec_list,
          { "facetime_rtp.fec_list_mismatch", PI_PROTOCOL, PI_WARN,
            "FEC source lengths don't match the source packets", EXPFILL } },
        { &ei_stream_mismatch,
          { "facetime_rtp.stream_mismatch", PI_PROTOCOL, PI_WARN,
            "Stream id doesn't match the SSRC", EXPFILL } },
        { &ei_retransmitted,
          { "facetime_rtp.retransmitted", PI_SEQUENCE, PI_NOTE, "Sent again by the relay", EXPFILL } },
        { &ei_ratchet_changed,
          { "facetime_rtp.ratchet_changed", PI_SEQUENCE, PI_CHAT, "The sender goes on with another key",
            EXPFILL } },
    };

    proto_facetime_rtp = proto_register_protocol("FaceTime RTP", "FaceTime RTP", "facetime_rtp");
    proto_register_field_array(proto_facetime_rtp, hf, G_N_ELEMENTS(hf));
    proto_facetime_rtcp = proto_register_protocol("FaceTime RTCP", "FaceTime RTCP", "facetime_rtcp");
    proto_register_field_array(proto_facetime_rtcp, rtcp_hf, G_N_ELEMENTS(rtcp_hf));
    proto_register_subtree_array(ett, G_N_ELEMENTS(ett));
    expert_register_field_array(expert_register_protocol(proto_facetime_rtp), ei, G_N_ELEMENTS(ei));
    register_dissector("facetime_rtp", dissect_facetime_rtp, proto_facetime_rtp);
    register_dissector("facetime_rtcp", dissect_facetime_rtcp, proto_facetime_rtp);

    stream_checks =
        wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), stream_key_hash, stream_key_equal);
    codec_tables =
        wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_direct_hash, g_direct_equal);
    register_init_routine(reset_counts);
    ft_trailer_init();
    ft_rtp_look_register(look_at_rtp);
}

void
proto_reg_handoff_facetime_rtp(void)
{
    rtp_handle = find_dissector_add_dependency("rtp", proto_facetime_rtp);
    proto_stock_rtp = proto_get_id_by_filter_name("rtp");
    rtcp_handle = find_dissector_add_dependency("rtcp", proto_facetime_rtp);
    ft_evidence_register(FT_SHAPE_RTP, prove_rtp);
    ft_evidence_register(FT_RELAYED_RTP, prove_relayed_rtp);
}
