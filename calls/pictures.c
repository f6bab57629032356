/* calls/pictures.c
 * Video as pictures: the packets of one RTP timestamp are one. The newest FT_OPEN_PICTURES stay
 * open for late packets:
 *
 *    packet -> its picture, opened in order of timestamps -> settled when it is the oldest of too
 *              many
 *
 *    settled and could be shown (all announced packets came, or nobody announced any):
 *        the interval from the picture shown before goes into a histogram; a long one is a pause,
 *        that may be a freeze
 *
 * Which pauses are freezes follows from the median interval, so it is judged last, for tables,
 * and once as of now for the packet that ends it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/pictures.h"
#include "calls/frame.h"
#include "calls/grow.h"
#include "calls/limits.h"
#include "calls/mark.h"

#define FREEZE_LEAST_US 150000      /* no freeze is shorter: median + 150 ms */
/* picture numbers this far off are a new start, as for sequence numbers */
#define PICTURE_LEAP    3000
/* media so close to the file's beginning, or end, may have begun before it, or go on; frame times
 * in batches are off by a second */
#define EDGE_S          2

static unsigned pause_total;

static void
reset(void)
{
    pause_total = 0;
}

void
ft_pictures_init(void)
{
    register_init_routine(reset);
}

/* After the W3C's freezeCount: three intervals, and 150 ms more than one. */
static int64_t
freeze_threshold(int64_t median)
{
    return MAX(3 * median, median + FREEZE_LEAST_US);
}

/* Checked on the captures of 2023: packets-in-frame holds for 1,402 of 1,402 pictures. Multiway
 * and legacy packets announce nothing, so there each picture counts that has a packet. */
static bool
could_be_shown(const ft_picture *picture)
{
    return !picture->has_info || picture->counted >= picture->announced;
}

/* Picture numbers: how many there were, and how many never came. In the captures of 2023 they
 * rise by one from picture to picture (1,545 of 1,545 steps). */
static void
count_picture(ft_quality *quality, uint16_t number)
{
    const int16_t step = (int16_t)(number - (uint16_t)quality->sequence_highest);

    if (quality->sequence_seen == 0 || step >= PICTURE_LEAP || step <= -PICTURE_LEAP) {
        if (quality->sequence_seen)
            quality->sequence_missing +=
                quality->sequence_highest - quality->sequence_base + 1 - quality->sequence_seen;
        quality->sequence_base = quality->sequence_highest = 0x10000u + number;
        quality->sequence_seen = 1;
        return;
    }
    const uint32_t extended = quality->sequence_highest + (uint32_t)(int32_t)step;
    quality->sequence_highest = MAX(quality->sequence_highest, extended);
    quality->sequence_base = MIN(quality->sequence_base, extended);
    quality->sequence_seen++;
}

static void
keep_pause(packet_info *pinfo, ft_quality *quality, const ft_picture *picture, int64_t length,
           bool is_whole)
{
    if (pinfo && !ft_has_room(pinfo, FT_LIMIT_PAUSES, pause_total))
        return;
    pause_total += pinfo != NULL;
    if (quality->pause_count == quality->pause_room) {
        quality->pause_room = quality->pause_room ? quality->pause_room * 2 : FEW;
        quality->pauses = (ft_pause *)wmem_realloc(wmem_file_scope(), quality->pauses,
                                                   quality->pause_room * sizeof *quality->pauses);
    }
    quality->pauses[quality->pause_count++] =
        (ft_pause){ picture->frame, picture->time, length, is_whole };
}

/* As many lost source packets of a block as it has parity packets can be made of these
 * (inferred from how such codes work). */
static uint32_t
repairable(const ft_picture *picture)
{
    const int lost = picture->fec_sources - picture->fec_came;

    return lost > 0 && lost <= picture->fec_parity ? (uint32_t)lost : 0;
}

/* Packets are missing at its beginning or end alone: there the capture may have begun or ended
 * within it. */
static bool
is_part(const ft_picture *picture)
{
    return !could_be_shown(picture) &&
           (uint16_t)(picture->last_number - picture->first_number + 1) == picture->counted;
}

/* A picture that no more packet changes. A pause is whole where the numbers of its two pictures'
 * packets are neighbours: nothing is missing in between, so the sender made no picture. */
static void
settle_picture(packet_info *pinfo, ft_quality *quality, const ft_picture *picture)
{
    quality->fec_repairable += repairable(picture);
    quality->with_info += picture->has_info;
    quality->complete += picture->has_info && could_be_shown(picture);
    quality->first_is_part |= picture->is_first && is_part(picture);
    if (!could_be_shown(picture))
        return;
    const int64_t interval = picture->time - quality->shown;
    if (quality->has_shown && interval > 0) {
        ft_measure(pinfo, &quality->intervals, (uint32_t)MIN(interval / INTERVAL_UNIT, UINT32_MAX));
        if (interval >= FREEZE_LEAST_US)
            keep_pause(pinfo, quality, picture, interval,
                       (uint16_t)(quality->shown_number + 1) == picture->first_number);
    }
    quality->has_shown = true;
    quality->shown = picture->time;
    quality->shown_number = picture->last_number;
}

/* The newest picture that could be shown, as known now: its time, or -1. */
static int64_t
newest_shown(const ft_quality *quality)
{
    for (unsigned i = quality->open_count; i-- > 0;) {
        if (could_be_shown(&quality->open[i]))
            return quality->open[i].time;
    }
    return quality->has_shown ? quality->shown : -1;
}

/* Of the intervals known now, in microseconds; 0 of none. */
static int64_t
median_interval(const ft_quality *quality)
{
    ft_histogram known = { 0 };

    if (quality->intervals)
        known = ft_histogram_copy(quality->intervals, g_realloc);
    for (unsigned i = 1; i < quality->open_count; i++)
        ft_histogram_add(
            &known, (uint32_t)((quality->open[i].time - quality->open[i - 1].time) / INTERVAL_UNIT),
            g_realloc);
    const uint32_t median = ft_histogram_at(&known, 0.5);
    g_free(known.entries);
    return (int64_t)median * INTERVAL_UNIT;
}

static void
judge_freeze(packet_info *pinfo, ft_quality *quality, int64_t media)
{
    const int64_t shown = newest_shown(quality), length = media - shown;

    if (shown < 0 || length < FREEZE_LEAST_US)
        return;
    const int64_t median = median_interval(quality);
    if (median && length >= freeze_threshold(median))
        ft_mark_freeze(pinfo, length);
}

/* They are in the order of timestamps. */
static ft_picture *
find_picture(ft_quality *quality, int64_t ticks)
{
    unsigned i = quality->open_count;

    while (i > 0 && quality->open[i - 1].ticks > ticks)
        i--;
    return i > 0 && quality->open[i - 1].ticks == ticks ? &quality->open[i - 1] : NULL;
}

/* A place for a new picture in the order of timestamps; NULL for one older than all that are
 * open. Such a one may have been settled already: it would be counted twice. */
static ft_picture *
place_picture(packet_info *pinfo, ft_quality *quality, int64_t ticks)
{
    unsigned at = quality->open_count;

    if (!quality->open)
        quality->open = wmem_alloc_array(wmem_file_scope(), ft_picture, FT_OPEN_PICTURES);
    while (at > 0 && quality->open[at - 1].ticks > ticks)
        at--;
    if (quality->open_count == FT_OPEN_PICTURES) {
        if (at == 0)
            return NULL;
        settle_picture(pinfo, quality, &quality->open[0]);
        memmove(&quality->open[0], &quality->open[1],
                (FT_OPEN_PICTURES - 1) * sizeof quality->open[0]);
        quality->open_count--;
        at--;
    }
    memmove(&quality->open[at + 1], &quality->open[at],
            (quality->open_count - at) * sizeof quality->open[0]);
    quality->open_count++;
    return &quality->open[at];
}

/* The picture before lacks packets, and its last one too: nothing said so yet. A capture may
 * begin within a picture, so the first one isn't called incomplete. */
static void
judge_picture_before(packet_info *pinfo, const ft_quality *quality)
{
    const ft_picture *newest = quality->open_count ? &quality->open[quality->open_count - 1] : NULL;

    if (newest && newest->has_info && !newest->has_marker && !newest->is_first &&
        newest->counted < newest->announced)
        ft_mark_incomplete(pinfo);
}

static ft_picture *
begin_picture(packet_info *pinfo, ft_quality *quality, const ft_media_facts *facts, int64_t ticks,
              int64_t media)
{
    const bool newest =
        quality->open_count == 0 || ticks > quality->open[quality->open_count - 1].ticks;
    const bool is_first = quality->pictures == 0;

    if (newest) {
        judge_picture_before(pinfo, quality);
        judge_freeze(pinfo, quality, media);
    }
    ft_picture *picture = place_picture(pinfo, quality, ticks);
    if (!picture)
        return NULL;
    *picture = (ft_picture){
        .ticks = ticks, .time = media, .frame = ft_frame_id(pinfo), .is_first = is_first,
        .first_number = facts->rtp.sequence, .last_number = facts->rtp.sequence
    };
    if (quality->pictures++ == 0)
        quality->first_picture = quality->last_picture = media;
    quality->first_picture = MIN(quality->first_picture, media);
    quality->last_picture = MAX(quality->last_picture, media);
    if (facts->has_frame_info)
        count_picture(quality, facts->frame_sequence);
    return picture;
}

static void
note_number(ft_picture *picture, uint16_t number)
{
    if ((int16_t)(number - picture->first_number) < 0)
        picture->first_number = number;
    if ((int16_t)(number - picture->last_number) > 0)
        picture->last_number = number;
}

static void
count_fec(ft_quality *quality, ft_picture *picture, const ft_media_facts *facts)
{
    if (facts->is_parity) {
        quality->fec_parity++;
        picture->fec_parity++;
        picture->fec_sources = MAX(picture->fec_sources, facts->fec_sources);
    } else {
        quality->fec_sources++;
        picture->fec_came++;
    }
}

/* True where the packet begins a picture. */
bool
ft_picture_learn(packet_info *pinfo, ft_quality *quality, const ft_media_facts *facts,
                 int64_t ticks, int64_t media)
{
    ft_picture *picture = find_picture(quality, ticks);
    const bool begins = picture == NULL;

    if (begins)
        picture = begin_picture(pinfo, quality, facts, ticks, media);
    if (!picture)
        return false;
    picture->counted += !facts->is_parity;
    note_number(picture, facts->rtp.sequence);
    picture->has_marker |= facts->rtp.marker;
    if (facts->has_fec)
        count_fec(quality, picture, facts);
    if (facts->has_frame_info) {
        picture->has_info = true;
        picture->announced = facts->packets_in_frame;
        if (facts->rtp.marker && !picture->is_first && picture->counted < picture->announced)
            ft_mark_incomplete(pinfo);
    }
    return begins;
}

/* ---- for tables ---- */

static int
compare_pauses(const void *a, const void *b)
{
    const ft_pause *x = (const ft_pause *)a, *y = (const ft_pause *)b;

    return (x->at > y->at) - (x->at < y->at);
}

/* The first and the last picture, where the capture began or ended within them: nobody knows
 * whether what they lack was lost. */
static uint32_t
parts(const ft_quality *whole)
{
    const ft_picture *last = whole->open_count ? &whole->open[whole->open_count - 1] : NULL;
    const nstime_t first_time = { (time_t)(whole->first_capture / SECOND_US), 0 };
    nstime_t begin, end;

    ft_frame_span(&begin, &end);
    const bool at_begin = ft_since_start(&first_time) < EDGE_S;
    const bool at_end =
        (int64_t)end.secs - whole->last_capture / SECOND_US < EDGE_S && last && last->has_info;
    return (at_begin && whole->first_is_part) +
           (at_end && !last->is_first && !last->has_marker && is_part(last));
}

/* What is still open is settled on a copy: drawing must change nothing that packets to come are
 * judged by. */
ft_picture_counts
ft_pictures_count(const ft_quality *quality, wmem_array_t *freezes)
{
    ft_quality *whole = g_new(ft_quality, 1);   /* a copy in which all is settled */
    ft_histogram intervals = { 0 };
    ft_picture_counts counts = { .seen = quality->pictures };

    *whole = *quality;
    if (quality->intervals)
        intervals = ft_histogram_copy(quality->intervals, ft_grow_of_file);
    whole->intervals = &intervals;
    if (quality->pauses)
        whole->pauses = (ft_pause *)wmem_memdup(wmem_file_scope(), quality->pauses,
                                                quality->pause_count * sizeof *quality->pauses);
    whole->pause_room = whole->pause_count;
    for (unsigned i = 0; i < whole->open_count; i++)
        settle_picture(NULL, whole, &quality->open[i]);
    /* where one doesn't say it, as behind a snapshot length, its number looks like a missing one */
    counts.has_info = whole->with_info > 0 && whole->with_info == counts.seen;
    counts.complete = whole->complete;
    counts.fec_repairable = whole->fec_repairable;
    counts.incomplete = counts.has_info ? whole->with_info - whole->complete - parts(whole) : 0;
    counts.missing = whole->sequence_missing +
                     (whole->sequence_seen ? whole->sequence_highest - whole->sequence_base + 1 -
                                                 whole->sequence_seen
                                           : 0);
    counts.median = (int64_t)ft_histogram_at(&intervals, 0.5) * INTERVAL_UNIT;
    for (uint32_t i = 0; i < whole->pause_count; i++) {
        if (whole->pauses[i].length >= freeze_threshold(counts.median))
            wmem_array_append(freezes, &whole->pauses[i], 1);
    }
    if (wmem_array_get_count(freezes))
        wmem_array_sort(freezes, compare_pauses);
    if (whole->pauses)
        wmem_free(wmem_file_scope(), whole->pauses);
    ft_give_back(intervals.entries, intervals.room * sizeof *intervals.entries);
    g_free(whole);

    const int64_t length = quality->last_picture - quality->first_picture;
    counts.has_rate = quality->pictures > 1 && length > 0 && quality->rate;
    if (!counts.has_rate)
        return counts;
    counts.mean = (double)(quality->pictures - 1) * SECOND_US / (double)length;
    /* Whole seconds: the last one isn't; seconds without a row had no picture. */
    const uint32_t whole_rows =
        (uint32_t)(quality->highest_media / SECOND_US / quality->seconds_a_row);
    uint32_t rows = 0, least = UINT32_MAX;
    for (uint32_t i = 0; i < quality->second_count && quality->seconds[i].number < whole_rows;
         i++, rows++)
        least = MIN(least, quality->seconds[i].frames);
    counts.least = whole_rows == 0     ? counts.mean
                   : rows < whole_rows ? 0
                                       : (double)least / quality->seconds_a_row;
    return counts;
}
