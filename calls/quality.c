/* calls/quality.c
 * What each RTP packet of a stream says of its quality, one packet after the other
 * (docs/quality.md):
 *
 *    timestamp                  -> media time; jitter, and the capture clock's run of it
 *                               (calls/clock.h)
 *    sequence number, digest    -> losses, copies, the same datagram seen twice (calls/sequence.h)
 *    picture's number, marker   -> pictures, freezes (calls/pictures.c)
 *    stamps of both ends, RTCP  -> round trips, what the far end received
 *    each second of media time  -> a row of the series, folded by two when there are FT_MAX_SERIES
 *                               of them
 *
 * Two clocks, and what each may say (docs/quality.md):
 *
 *    media     |--20 ms--|--20 ms--|--20 ms--|    the sender's, exact: rates, pictures, freezes
 *    capture   |--19.2-|---21.1---|--20.3---|     good: jitter, round trips of RTCP and checks
 *    capture   ||||--------------------||||       batched, as on an iPhone: none of these
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/quality.h"
#include "calls/grow.h"
#include "calls/call.h"
#include "calls/frame.h"
#include "calls/limits.h"
#include "calls/reveal.h"

#include <epan/ipproto.h>
#include <math.h>

/* of the stamps in modern audio: counted, facts in docs/protocol.md */
#define STAMP_HZ        1024
#define STAMPS_KEPT     128         /* of one direction: at 20 ms a packet, 2.5 s */
/* a round trip beyond is a stamp of another round of the counter */
#define STAMP_MOST      (30 * STAMP_HZ)
#define REPORTS_KEPT    32          /* sender reports that a receiver's block is looked for in */
/* media time that leaps so far off capture time: a new time base */
#define NEW_BASE_US     (60 * (int64_t)SECOND_US)
/* the same where sequence numbers began anew, too */
#define RESTART_OFF_US  (5 * (int64_t)SECOND_US)
/* the same packet again on its way: the same datagram, seen twice */
#define SEEN_TWICE_US   250000
#define STAMP_STALE     (STAMP_HZ / 2)  /* an echo repeated for longer: its sender hears nothing */
#define REPORT_MODULO   4096        /* the far end's count has 12 bits */

typedef struct {
    uint16_t sent, echoed;
    bool     used;
    uint16_t since;         /* stamp of the first packet in a row with this echo */
} stamp;

typedef struct {
    uint32_t ntp;
    int64_t  time;
} sender_report;

/* What the streams of a call share. By outgoing. */
typedef struct ft_call_media {
    stamp         stamps[2][STAMPS_KEPT];
    unsigned      stamp_count[2];
    ft_quality   *audio[2];     /* newest with stamps */
    sender_report reports[REPORTS_KEPT];
    unsigned      report_count;
} ft_call_media;

static wmem_map_t *media_of_calls;  /* ft_call -> ft_call_media */
static unsigned second_total;

/* Streams that may still see copies, the one looked at longest ago first. */
typedef struct awake {
    ft_stream *stream;
    struct awake *next;
} awake;

static awake *first_awake, *last_awake;

static void
reset(void)
{
    second_total = 0;
    first_awake = last_awake = NULL;
}

void
ft_quality_init(void)
{
    media_of_calls = ft_new_map(g_direct_hash, g_direct_equal);
    ft_measures_init();
    ft_mark_init();
    ft_pictures_init();
    register_init_routine(reset);
}

ft_clock_verdict
ft_quality_clock(const ft_quality *quality)
{
    return quality->clock ? ft_clock_judge(quality->clock) : FT_CLOCK_UNKNOWN;
}

ft_by_clock
ft_quality_by(const ft_quality *quality)
{
    const ft_clock_verdict clock = ft_quality_clock(quality);

    if (clock == FT_CLOCK_GOOD)
        return FT_BY_CAPTURE;
    if (quality->rate)
        return FT_BY_MEDIA;
    return clock == FT_CLOCK_UNKNOWN ? FT_BY_CAPTURE : FT_BY_NONE;
}

int64_t
ft_quality_duration(const ft_quality *quality)
{
    switch (ft_quality_by(quality)) {
    case FT_BY_CAPTURE:
        return quality->most_capture - quality->least_capture;
    case FT_BY_MEDIA:
        return quality->highest_media;
    default:
        return 0;
    }
}

/* A leap in a clock that stayed good is the network's; in one that was set it is the clock's. */
const ft_jitter *
ft_quality_jitter(const ft_quality *quality)
{
    const ft_clock_verdict clock = ft_quality_clock(quality);
    const bool leaps = quality->has_leaps && clock == FT_CLOCK_GOOD;
    const ft_jitter *jitter = leaps ? &quality->leaping_jitter : &quality->jitter;

    return jitter->count && (clock == FT_CLOCK_GOOD || clock == FT_CLOCK_STEPPED) ? jitter : NULL;
}

/* ---- media time ---- */

static int64_t
time_of(const ft_quality *quality, int64_t ticks)
{
    if (quality->rate == 0)
        return quality->media;
    return quality->base_time + (ticks - quality->base_ticks) * SECOND_US / quality->rate;
}

/* From this packet on: another rate, or other timestamps. */
static void
new_base(ft_quality *quality, int64_t ticks, int64_t time)
{
    quality->base_ticks = ticks;
    quality->base_time = time;
}

/* Media time of a packet; it goes on where the sender changes its rate, or begins with new
 * timestamps: these leap, and capture time doesn't with them. Where capture time alone leaps, it
 * was set. It is taken for a minute at most: a clock that was set by hours makes no hours of
 * media. */
static int64_t
pass_time(ft_quality *quality, const ft_media_facts *facts, bool restart, int64_t now)
{
    const int64_t passed = now - quality->last_capture;

    int64_t ticks = ft_timestamp_extend(&quality->timestamps, facts->rtp.timestamp);
    if (facts->clock_rate && facts->clock_rate != quality->rate) {
        new_base(quality, quality->packets ? quality->last_ticks : ticks, quality->media);
        quality->rate = facts->clock_rate;
    }
    quality->last_ticks = ticks;
    if (quality->rate == 0)
        return now - quality->first_capture;
    const int64_t time = time_of(quality, ticks), step = time - quality->media;
    const int64_t most = restart ? RESTART_OFF_US : NEW_BASE_US;
    if (ft_distance(step) > most && ft_distance(step - passed) > most) {
        new_base(quality, ticks, quality->highest_media + CLAMP(passed, 0, NEW_BASE_US));
        return quality->base_time;
    }
    return time;
}

/* ---- jitter and the capture clock ---- */

/* J of RFC 3550, A.8, in ms: 1/16 of each new difference, over every distinct packet (stock
 * leaves out those with the timestamp of the one before, as most of a picture's packets have). */
static void
add_jitter(ft_jitter *jitter, int64_t difference)
{
    jitter->now += ((double)ft_distance(difference) / 1000 - jitter->now) / 16;
    jitter->sum += jitter->now;
    jitter->most = MAX(jitter->most, jitter->now);
    jitter->count++;
}

/* A leap is in the one and not in the other: the clock was set, or all stood still, which the
 * clock's verdict tells later. */
static void
learn_jitter(ft_quality *quality, int64_t media, int64_t capture)
{
    const int64_t difference = capture - media;

    if (ft_distance(difference) <= FT_SET_US) {
        add_jitter(&quality->jitter, difference);
        if (!quality->has_leaps)
            return;
    } else if (!quality->has_leaps) {
        quality->has_leaps = true;
        quality->leaping_jitter = quality->jitter;
    }
    add_jitter(&quality->leaping_jitter, difference);
}

/* From the packet before, in order of arrival; the clock's verdict goes by neighbours in order of
 * sending. A packet that came late, or after a gap, is no neighbour: its distance would say more
 * of the network than of the clock. */
static void
compare_clocks(ft_quality *quality, const ft_sequence_packet *number, int64_t media, int64_t now)
{
    if (quality->rate && number->verdict != FT_SEQUENCE_RESTART)
        learn_jitter(quality, media - quality->media, now - quality->last_capture);
    if (number->verdict != FT_SEQUENCE_NEXT && number->verdict != FT_SEQUENCE_RESTART)
        return;
    if (quality->clock && quality->rate && number->number == quality->last_number + 1 &&
        media > quality->ordered_media)
        ft_clock_learn(quality->clock, &quality->clock_run,
                       &(ft_clock_pair){ .outgoing = quality->outgoing,
                                         .media = media - quality->ordered_media,
                                         .capture = now - quality->ordered_capture,
                                         .now = now });
    if (media != quality->ordered_media || number->number != quality->last_number + 1) {
        quality->ordered_media = media;
        quality->ordered_capture = now;
    }
    quality->last_number = number->number;
}

/* ---- series ---- */

/* Memory for an hour of rows at most; longer streams have coarser ones, from the beginning on. */
static void
fold_series(ft_quality *quality)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < quality->second_count; i++) {
        ft_second *row = &quality->seconds[i];
        row->number /= 2;
        if (kept == 0 || quality->seconds[kept - 1].number != row->number) {
            quality->seconds[kept++] = *row;
            continue;
        }
        ft_second *into = &quality->seconds[kept - 1];
        into->packets += row->packets;
        into->bytes += row->bytes;
        into->lost += row->lost;
        into->frames += row->frames;
        into->rtt = into->rtt && row->rtt ? (into->rtt + row->rtt) / 2 : MAX(into->rtt, row->rtt);
        into->on_path[0] += row->on_path[0];
        into->on_path[1] += row->on_path[1];
        into->copies += row->copies;
    }
    quality->second_count = kept;
    quality->seconds_a_row *= 2;
    quality->rtt_second /= 2;
}

static int
compare_rtts(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static uint32_t
median_rtt(const ft_quality *quality)
{
    uint16_t sorted[FT_SECOND_RTTS];

    if (quality->rtt_count == 0)
        return 0;
    memcpy(sorted, quality->rtts, quality->rtt_count * sizeof *sorted);
    qsort(sorted, quality->rtt_count, sizeof *sorted, compare_rtts);
    return sorted[(quality->rtt_count - 1) / 2];
}

static void
close_rtts(ft_quality *quality)
{
    for (uint32_t i = quality->second_count; quality->rtt_count && i-- > 0;) {
        if (quality->seconds[i].number == quality->rtt_second) {
            quality->seconds[i].rtt = median_rtt(quality);
            break;
        }
    }
    quality->rtt_count = 0;
}

/* The row of this number: mostly the newest. NULL over FT_MAX_SECONDS. Late packets of an earlier
 * second are put into theirs. */
static ft_second *
series_row(packet_info *pinfo, ft_quality *quality, uint32_t number)
{
    uint32_t at = quality->second_count;

    while (at > 0 && quality->seconds[at - 1].number > number)
        at--;
    if (at > 0 && quality->seconds[at - 1].number == number)
        return &quality->seconds[at - 1];
    if (!ft_has_room(pinfo, FT_LIMIT_SECONDS, second_total))
        return NULL;
    second_total++;
    if (quality->second_count == quality->second_room) {
        quality->second_room = quality->second_room ? quality->second_room * 2 : FEW;
        quality->seconds = (ft_second *)wmem_realloc(
            wmem_file_scope(), quality->seconds, quality->second_room * sizeof *quality->seconds);
    }
    memmove(&quality->seconds[at + 1], &quality->seconds[at],
            (quality->second_count - at) * sizeof *quality->seconds);
    quality->second_count++;
    quality->seconds[at] = (ft_second){ .number = number };
    return &quality->seconds[at];
}

static ft_second *
second_of(packet_info *pinfo, ft_quality *quality, int64_t media)
{
    const int64_t time = MAX(media, 0) / SECOND_US;

    while (time / quality->seconds_a_row >= FT_MAX_SERIES)
        fold_series(quality);
    return series_row(pinfo, quality, (uint32_t)(time / quality->seconds_a_row));
}

/* A late packet takes back a loss where one was counted. In which second isn't kept: the newest
 * with a loss gives one back. */
static void
take_back_loss(ft_quality *quality)
{
    for (uint32_t i = quality->second_count; i-- > 0;) {
        if (quality->seconds[i].lost > 0) {
            quality->seconds[i].lost--;
            return;
        }
    }
}

static void
count_second(ft_second *row, uint32_t length, ft_path path)
{
    row->packets++;
    row->bytes += length;
    if (path == FT_PATH_RELAY || path == FT_PATH_DIRECT)
        row->on_path[path - FT_PATH_RELAY]++;
}

static void
count_losses(ft_quality *quality, ft_second *row, const ft_sequence_packet *number)
{
    row->lost += (int32_t)number->missing;
    if (number->verdict == FT_SEQUENCE_LATE)
        take_back_loss(quality);
}

/* ---- stamps, and what the far end reports ---- */

/* The newest first: 16 bits of 1/1024 s come round each 64 s. */
static const stamp *
find_stamp(const ft_call_media *media, bool outgoing, uint16_t sent)
{
    const unsigned count = media->stamp_count[outgoing];

    for (unsigned i = 0; i < MIN(count, STAMPS_KEPT); i++) {
        const stamp *candidate = &media->stamps[outgoing][(count - 1 - i) % STAMPS_KEPT];
        if (candidate->sent == sent)
            return candidate;
    }
    return NULL;
}

static void
keep_rtt(packet_info *pinfo, ft_quality *quality, uint16_t ticks, uint32_t row)
{
    ft_measure(pinfo, &quality->stamps, ticks);
    if (quality->rtt_second != row)
        close_rtts(quality);
    quality->rtt_second = row;
    if (!quality->rtts)
        quality->rtts = wmem_alloc_array(wmem_file_scope(), uint16_t, FT_SECOND_RTTS);
    if (quality->rtt_count < FT_SECOND_RTTS)
        quality->rtts[quality->rtt_count++] = ticks;
}

static uint16_t
echoed_since(const ft_call_media *media, bool outgoing, const ft_media_facts *facts)
{
    const unsigned count = media->stamp_count[outgoing];
    const stamp *before = &media->stamps[outgoing][(count + STAMPS_KEPT - 1) % STAMPS_KEPT];

    return count && before->echoed == facts->echoed_stamp ? before->since : facts->sent_stamp;
}

/* This end has heard nothing new for so long that its echo tells how long it waited. */
static bool
is_stale(uint16_t sent, uint16_t since)
{
    return (uint16_t)(sent - since) > STAMP_STALE;
}

/* X sends (stamp s, echo e); what Y stamped e has echo e': X sees a round trip of s - e', in
 * which both ends wait for their next packet. Who hears nothing new, as from one who is muted,
 * echoes the same for seconds. An echo of 0 says that nothing came yet.
 *
 *    X   s1 ------.                       .------> (s2, echo y1)     X's round trip: s2 - s1
 *    Y             '-----> (y1, echo s1) -' */
static void
learn_stamps(packet_info *pinfo, ft_quality *quality, const ft_media_facts *facts, uint32_t row)
{
    ft_call_media *media = quality->of_call;
    const stamp *peer =
        facts->echoed_stamp ? find_stamp(media, !quality->outgoing, facts->echoed_stamp) : NULL;

    const uint16_t since = echoed_since(media, quality->outgoing, facts);

    if (peer && peer->echoed && !is_stale(facts->sent_stamp, since) &&
        !is_stale(peer->sent, peer->since)) {
        const uint16_t ticks = (uint16_t)(facts->sent_stamp - peer->echoed);
        if (ticks < STAMP_MOST) {
            keep_rtt(pinfo, quality, ticks, row);
            ft_mark_told_rtt(pinfo, (int64_t)ticks * SECOND_US / STAMP_HZ);
        }
    }
    media->stamps[quality->outgoing][media->stamp_count[quality->outgoing]++ % STAMPS_KEPT] =
        (stamp){ facts->sent_stamp, facts->echoed_stamp, true, since };
    media->audio[quality->outgoing] = quality;
}

/* A report of 0 before any other: the far end has heard nothing yet. Its 12 bits come round after
 * 4096 packets, so steps are added up; one of more than half a round is an older report. Of the
 * real streams of 2023 it said 231 of 233, 393 of 394, 150 of 150 and 91 of 98 packets, the rest
 * on their way. */
static void
learn_report(const ft_quality *quality, const ft_media_facts *facts)
{
    ft_quality *about = quality->of_call->audio[!quality->outgoing];

    if (!about || (facts->received == 0 && !about->has_report))
        return;
    const int step = (int)((facts->received - about->reported) & (REPORT_MODULO - 1));
    if (!about->has_report)
        about->reported = facts->received;
    else if (step < REPORT_MODULO / 2)
        about->reported += (uint32_t)step;
    about->has_report = true;
    about->burst_loss = MAX(about->burst_loss, facts->burst_loss);
    about->queuing_delay = facts->queuing_delay;
    about->one_way_delay = facts->one_way_delay;
    if (facts->has_bandwidth) {
        about->has_bandwidth = true;
        about->bandwidth = facts->bandwidth;
    }
}

/* ---- RTCP ---- */

static ft_call_media *
media_of(const ft_call *call)
{
    ft_call_media *media = (ft_call_media *)wmem_map_lookup(media_of_calls, call);

    if (!media) { /* no more of them than of calls */
        media = wmem_new0(wmem_file_scope(), ft_call_media);
        wmem_map_insert(media_of_calls, call, media);
    }
    return media;
}

/* The stream that the device itself sends, of the call of the packet in hand; NULL if it isn't
 * known. Of a round trip of the far end's only a part lies before this place. */
static ft_quality *
own_stream(packet_info *pinfo, uint32_t ssrc, bool sent)
{
    const ft_call *call = ft_learning(pinfo) ? ft_call_in_hand(pinfo) : NULL;

    for (unsigned i = call ? wmem_array_get_count(call->streams) : 0; i-- > 0;) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        const uint16_t port = (uint16_t)(sent ? pinfo->srcport : pinfo->destport);
        const address *device = sent ? &pinfo->net_src : &pinfo->net_dst;
        if (stream->ssrc == ssrc && stream->outgoing && stream->quality &&
            stream->sender.port == port && addresses_equal(&stream->sender.addr, device))
            return stream->quality;
    }
    return NULL;
}

void
ft_quality_sender_report(packet_info *pinfo, uint32_t ssrc, uint32_t ntp)
{
    const ft_quality *quality = own_stream(pinfo, ssrc, true);

    if (!quality)
        return;
    ft_call_media *media = quality->of_call;
    media->reports[media->report_count++ % REPORTS_KEPT] =
        (sender_report){ ntp, ft_microseconds(pinfo) };
}

/* RFC 3550, 6.4.1: measured whole only where the device that is seen sent the report. A report
 * that isn't among the last ones, or an answer that comes before it by a bad clock, gives no
 * round trip. */
void
ft_quality_report_block(packet_info *pinfo, uint32_t ssrc, uint32_t lsr, uint32_t dlsr)
{
    ft_quality *quality = lsr ? own_stream(pinfo, ssrc, false) : NULL;
    const ft_call_media *media = quality ? quality->of_call : NULL;

    for (unsigned i = 0; media && i < MIN(media->report_count, REPORTS_KEPT); i++) {
        const sender_report *report = &media->reports[(media->report_count - 1 - i) % REPORTS_KEPT];
        if (report->ntp != lsr)
            continue;
        const int64_t rtt =
            ft_microseconds(pinfo) - report->time - (int64_t)dlsr * SECOND_US / 65536;
        if (rtt >= 0 && rtt < NEW_BASE_US) {
            ft_measure(pinfo, &quality->rtcp, (uint32_t)(rtt / INTERVAL_UNIT));
            ft_mark_rtt(pinfo, rtt);
        }
        return;
    }
}

/* ---- one packet ---- */

/* DSCP and TTL of the IP header before the datagram in hand, with a bit that tells that there is
 * one; 0 where it can't be found (other lower layers). */
#define IP_KNOWN (1u << 16)

static uint32_t
ip_of(const ft_packet *packet)
{
    const uint8_t *ip = packet->ip;

    if (!ip)
        return 0;
    if (ip[0] >> 4 == 6)
        return IP_KNOWN | ((unsigned)(ip[0] << 8 | ip[1]) >> 6 & 0x3f) << 8 | ip[7];
    return IP_KNOWN | (unsigned)(ip[1] >> 2) << 8 | ip[8];
}

/* In order of appearance. */
static void
keep_value(uint8_t *values, uint8_t *count, uint8_t value)
{
    if (*count < FT_STREAM_VALUES && (!*count || !memchr(values, value, *count)))
        values[(*count)++] = value;
}

static void
learn_ip(ft_quality *quality, const ft_packet *packet)
{
    const uint32_t ip = ip_of(packet);

    if (ip == quality->ip_before || ip == 0)
        return;
    quality->ip_before = ip;
    keep_value(quality->dscp, &quality->dscp_count, (uint8_t)(ip >> 8));
    keep_value(quality->ttl, &quality->ttl_count, (uint8_t)ip);
}

/* What knows copies is given back once a stream was silent so long that none can come; where it
 * knows them for the call's other end in the same file, whose clock may be another, later. As
 * streams come, a few of those that came before are looked at in turn. */
#define COPY_KNOWN_S      120
#define OTHER_END_KNOWN_S 3600
#define LOOKED_AT         4

static void
stay_awake(awake *one)
{
    one->next = NULL;
    if (last_awake)
        last_awake->next = one;
    else
        first_awake = one;
    last_awake = one;
}

static awake *
take_first(void)
{
    awake *one = first_awake;

    first_awake = one->next;
    if (!first_awake)
        last_awake = NULL;
    return one;
}

static void
forget_copies(ft_sequence *sequence)
{
    ft_give_back(sequence->slots, sequence->room * sizeof *sequence->slots);
    sequence->slots = NULL;
    sequence->room = 0;
}

static void
let_streams_rest(const packet_info *pinfo)
{
    const nstime_t now = ft_steady(pinfo);

    for (unsigned i = 0; i < LOOKED_AT && first_awake; i++) {
        awake *one = take_first();
        const double silent = ft_seconds(&one->stream->heard_time, &now);
        if (silent > COPY_KNOWN_S && one->stream->quality)
            forget_copies(&one->stream->quality->sequence);
        if (silent > OTHER_END_KNOWN_S)
            forget_copies(&one->stream->sequence);
        else
            stay_awake(one);
    }
}

static void
watch_copies(const packet_info *pinfo, ft_stream *stream)
{
    awake *one = wmem_new(wmem_file_scope(), awake);

    one->stream = stream;
    let_streams_rest(pinfo);
    stay_awake(one);
}

static ft_quality *
new_quality(packet_info *pinfo, bool outgoing, int64_t now)
{
    ft_quality *quality = wmem_new0(wmem_file_scope(), ft_quality);

    quality->outgoing = outgoing;
    quality->clock = ft_clock_at(pinfo, outgoing ? &pinfo->net_src : &pinfo->net_dst, true);
    quality->seconds_a_row = 1;
    quality->first_capture = quality->last_capture = quality->least_capture =
        quality->most_capture = now;
    return quality;
}

static void
learn_path(const ft_packet *packet, ft_quality *quality)
{
    ft_path_use *use = &quality->paths[packet->path & 3];

    if (use->packets++ == 0) {
        use->first_frame = packet->frame;
        use->flow = packet->flow;
    }
    use->last_frame = packet->frame;
}

static void
count_bytes(ft_quality *quality, uint32_t length, int64_t now)
{
    quality->bytes += length;
    quality->last_capture = now;
    quality->least_capture = MIN(quality->least_capture, now);
    quality->most_capture = MAX(quality->most_capture, now);
}

/* A distinct packet. */
static void
learn_packet(packet_info *pinfo, ft_quality *quality, const ft_packet *packet,
             const ft_media_facts *facts, const ft_sequence_packet *number, int64_t now)
{
    const int64_t media = pass_time(quality, facts, number->verdict == FT_SEQUENCE_RESTART, now);

    if (quality->packets++)
        compare_clocks(quality, number, media, now);
    else
        quality->ordered_capture = now, quality->last_number = number->number;
    quality->media = media;
    quality->highest_media = MAX(quality->highest_media, media);
    count_bytes(quality, facts->length, now);
    if (facts->medium != FT_MEDIUM_UNKNOWN)
        quality->medium = facts->medium;

    ft_second *second = second_of(pinfo, quality, media);
    if (second) {
        count_second(second, facts->length, packet->path);
        count_losses(quality, second, number);
    }
    if (facts->medium == FT_MEDIUM_VIDEO &&
        ft_picture_learn(
            pinfo, quality, facts,
            quality->timestamps.highest +
                (int32_t)(facts->rtp.timestamp - (uint32_t)quality->timestamps.highest),
            media) &&
        second)
        second->frames++;
    if (facts->has_stamps) {
        learn_report(quality, facts);
        learn_stamps(pinfo, quality, facts, second ? second->number : 0);
    }
}

/* A mark's frame is the time in milliseconds here, its way a bit for each path. A copy on another
 * path is the sender's; one where the packet was already is, at once, the same datagram seen
 * twice. */
static bool
is_seen_twice(const ft_sequence_packet *number, ft_path path, int64_t now)
{
    ft_sequence_mark *first = number->mark;
    const uint8_t way = (uint8_t)(1u << path);
    const bool was_here = (first->way & way) != 0;

    if (number->verdict != FT_SEQUENCE_COPY)
        return false;
    first->way |= way;
    return was_here && (uint32_t)(now / 1000) - first->frame <= SEEN_TWICE_US / 1000;
}

void
ft_quality_seen_twice(packet_info *pinfo, uint32_t ssrc)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_call *call =
        packet && packet->seen_before && !pinfo->fd->visited ? ft_call_of_packet(pinfo) : NULL;
    const ft_stream *stream = call ? ft_call_any_stream(call, ssrc) : NULL;

    if (stream && stream->quality)
        stream->quality->seen_twice++;
}

/* First media: once a stream, and once a stream's first packet on the direct path. */
static void
tell_setup(packet_info *pinfo, const ft_quality *quality, ft_medium medium, ft_path path)
{
    if (path == FT_PATH_DIRECT && quality->paths[FT_PATH_DIRECT].packets == 0)
        ft_setup_reached(pinfo, FT_SETUP_FIRST_DIRECT_MEDIA);
    if (quality->packets > 0)
        return;
    if (medium == FT_MEDIUM_AUDIO)
        ft_setup_reached(pinfo,
                         quality->outgoing ? FT_SETUP_FIRST_AUDIO_OUT : FT_SETUP_FIRST_AUDIO_IN);
    else if (medium == FT_MEDIUM_VIDEO)
        ft_setup_reached(pinfo,
                         quality->outgoing ? FT_SETUP_FIRST_VIDEO_OUT : FT_SETUP_FIRST_VIDEO_IN);
}

void
ft_quality_learn(packet_info *pinfo, const ft_media_facts *facts)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    ft_stream *stream = packet ? packet->stream : NULL;

    if (!stream)
        return;
    const int64_t now = ft_microseconds(pinfo);
    if (!stream->quality) {
        watch_copies(pinfo, stream);
        stream->quality = new_quality(pinfo, stream->outgoing, now);
    }
    ft_quality *quality = stream->quality;
    if (quality->call != packet->call) {
        quality->call = packet->call;
        quality->of_call = media_of(packet->call);
    }
    quality->last_frame = packet->frame;
    ft_sequence_packet number =
        ft_sequence_add(&quality->sequence, facts->rtp.sequence, facts->digest, ft_grow_of_file);
    if (is_seen_twice(&number, packet->path, now)) {
        quality->seen_twice++;
        return;
    }
    tell_setup(pinfo, quality, facts->medium, packet->path);
    learn_path(packet, quality);
    learn_ip(quality, packet);
    if (number.verdict == FT_SEQUENCE_COPY) {
        quality->copies++;
        if (quality->second_count)
            quality->seconds[quality->second_count - 1].copies++;
        return;
    }
    if (number.verdict != FT_SEQUENCE_TWIN)
        *number.mark = (ft_sequence_mark){ .frame = (uint32_t)(now / 1000),
                                           .way = (uint8_t)(1u << packet->path) };
    learn_packet(pinfo, quality, packet, facts, &number, now);
}

/* ---- media that shows neither numbers nor timestamps ---- */

/* Sizes and frame times alone: a media packet inside QUIC has neither number nor timestamp to
 * read. */
ft_quality *
ft_quality_learn_hidden(packet_info *pinfo, ft_quality *quality, bool outgoing, uint32_t length)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const int64_t now = ft_microseconds(pinfo);

    if (!packet)
        return quality;
    if (!quality)
        quality = new_quality(pinfo, outgoing, now);
    quality->call = packet->call;
    quality->last_frame = packet->frame;
    tell_setup(pinfo, quality, FT_MEDIUM_UNKNOWN, packet->path);
    learn_path(packet, quality);
    learn_ip(quality, packet);
    quality->packets++;
    count_bytes(quality, length, now);
    ft_second *second = second_of(pinfo, quality, now - quality->first_capture);
    if (second)
        count_second(second, length, packet->path);
    return quality;
}

/* ---- for tables ---- */

void
ft_quality_series(const ft_quality *quality, wmem_array_t *rows)
{
    for (uint32_t i = 0; i < quality->second_count; i++) {
        ft_second row = quality->seconds[i];
        if (quality->rtt_count && row.number == quality->rtt_second)
            row.rtt = median_rtt(quality);
        wmem_array_append_one(rows, row);
    }
}
