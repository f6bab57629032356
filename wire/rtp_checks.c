/* wire/rtp_checks.c
 *
 *    SSRC in a call, or on a flow that has none yet -> the newest picture, the newest FEC block
 *                                                      (first pass)
 *    a packet that something is wrong with          -> rtp_finding, kept with its frame
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/rtp_checks.h"
#include "calls/call.h"
#include "calls/limits.h"

#include <epan/proto_data.h>

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

typedef struct {
    const void *owner;              /* the call, or the flow while it has none */
    uint32_t    ssrc;
} stream_key;

static wmem_map_t *stream_checks;   /* stream_key -> stream_check */
static unsigned finding_total;
static uint32_t newest_finding; /* its frame's number */
static int proto = -1;

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
    const ft_call *call = ft_call_in_hand(pinfo);
    const stream_key key = { call ? (const void *)call : (const void *)packet->flow, ssrc };
    stream_check *check = (stream_check *)wmem_map_lookup(stream_checks, &key);

    if (!key.owner || check)
        return check;
    if (!ft_has_room(pinfo, FT_LIMIT_STREAMS, wmem_map_size(stream_checks)))
        return NULL;
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

/* A video packet whose frame the capture didn't keep: what is counted would lack it. The next
 * frame counts as the stream's first. */
bool
rtp_hides_frame(const rtp_packet *rtp)
{
    return rtp->cut && rtp->media == MEDIA_VIDEO && (!rtp->has_frame_info || rtp_lacks_fec(rtp));
}

/* Counts a frame's packets up to its marker and compares with what the packets say; frames are
 * numbered one by one. The first frame of a stream may have begun before the capture: it isn't
 * judged. */
static void
check_frame(stream_check *check, const rtp_packet *rtp, rtp_finding *found)
{
    if (!is_new_sequence(check, rtp->fixed.sequence))
        return;
    if (check->frames == 0 || rtp->fixed.timestamp != check->timestamp) {
        const int32_t step = (int32_t)(rtp->fixed.timestamp - check->timestamp);
        if (check->frames && step < 0 && step > -(1 << 20))
            return;     /* a straggler of an earlier frame */
        found->is_gap =
            check->frames && rtp->frame_sequence != (uint16_t)(check->frame_sequence + 1);
        found->previous_frame = check->frame_sequence;
        check->timestamp = rtp->fixed.timestamp;
        check->frame_sequence = rtp->frame_sequence;
        check->counted = 0;
        check->frames += check->frames < 2;
    }
    check->counted++;
    found->counted = check->counted;
    found->is_incomplete =
        rtp->fixed.marker && check->frames > 1 && check->counted != rtp->packets_in_frame;
}

/* Position of a source packet in the newest list of lengths, or -1. */
static int
position_in_list(const fec_memory *fec, const fec_source *source)
{
    const int position = fec->list_count - 1 - (uint16_t)(fec->last_sequence - source->sequence);

    return source->timestamp == fec->list_timestamp && position >= 0 ? position : -1;
}

static void
compare_with_list(const fec_memory *fec, const fec_source *source, rtp_finding *found)
{
    const int position = position_in_list(fec, source);

    if (position < 0 || fec->list[position] == source->length)
        return;
    found->is_fec_mismatch = true;
    found->fec_sequence = source->sequence;
    found->fec_listed = fec->list[position];
    found->fec_sent = source->length;
}

/* Source and parity packets of a block come in any order: each is compared with what came before
 * it. */
static void
check_fec(stream_check *check, tvbuff_t *tvb, const rtp_packet *rtp, rtp_finding *found)
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
rtp_finding_key(tvbuff_t *tvb)
{
    return (uint32_t)tvb_raw_offset(tvb);
}

/* First pass: what is wrong with this packet, judged by the stream so far. */
void
rtp_check_stream(packet_info *pinfo, ft_packet *packet, tvbuff_t *tvb, const rtp_packet *rtp)
{
    stream_check *check = stream_check_of(pinfo, packet, rtp->fixed.ssrc);
    rtp_finding found = { 0 };

    if (!check)
        return;
    if (rtp_hides_frame(rtp))
        check->frames = 0;
    else if (rtp->has_frame_info && !rtp->is_parity)
        check_frame(check, rtp, &found);
    if (rtp->fec)
        check_fec(check, tvb, rtp, &found);
    if (!found.is_incomplete && !found.is_gap && !found.is_fec_mismatch)
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_EVENTS, finding_total))
        return;
    finding_total++;
    newest_finding = pinfo->num;
    p_add_proto_data(wmem_file_scope(), pinfo, proto, rtp_finding_key(tvb),
                     wmem_memdup(wmem_file_scope(), &found, sizeof found));
}

/* On the first pass it was made just before, if there is one. */
const rtp_finding *
rtp_found(packet_info *pinfo, tvbuff_t *tvb)
{
    if (!pinfo->fd->visited && newest_finding != pinfo->num)
        return NULL;
    return (const rtp_finding *)p_get_proto_data(wmem_file_scope(), pinfo, proto,
                                                 rtp_finding_key(tvb));
}

static void
reset(void)
{
    finding_total = newest_finding = 0;
}

void
rtp_checks_init(int proto_facetime_rtp)
{
    proto = proto_facetime_rtp;
    stream_checks = ft_new_map(stream_key_hash, stream_key_equal);
    register_init_routine(reset);
}
