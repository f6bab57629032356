/* plugin/rules.c
 *
 *    what calls/ and the streams' quality know at draw time     plugin/view.h
 *    what only all packets tell (cut ones, copies, directions)  calls/witness.h
 *    one row a finding: code, severity, rule                    rules[]
 *
 * docs/findings.md says when each is given, and how often it is right. What the capture hides is
 * no fault of the call: view.one_direction, view.cut and view.begins_in_call are asked before
 * anything is missed.
 *
 * What a file may hide, and which rules keep silent then:
 *
 *    one_direction    half of the packets     one_way_media, peer_silent, no_media, broken_off,
 *                                             unanswered_bye; what pairs did in relay_only, what
 *                                             a handover lost
 *    cut packets      numbers, BYEs           network_loss, bursty_loss, broken_off without a BYE;
 *                                             what a handover lost
 *    begins_in_call   the set-up              slow_setup; that no pair was tried in relay_only
 *    batched clock    moments of frames       slow_setup; the silence that a handover cost
 *    shorter than 2 s rates, medians          all rules of streams, handover
 *
 * Each threshold was tried on calls with one fault made, and on clean ones, which may have no more
 * than the notes hung_up, cleartext, nat and direct_after (docs/findings.md). The real calls that
 * it was seen on are the two of 2023.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/rules.h"
#include "plugin/report.h"
#include "plugin/streams.h"
#include "plugin/words.h"

#include "calls/dialog.h"
#include "calls/frame.h"
#include "calls/media.h"
#include "calls/nat_test.h"
#include "calls/quality.h"
#include "calls/resolve.h"
#include "calls/reveal.h"
#include "calls/witness.h"

#include <math.h>

/* a direction without media for so long, while the other one has some, is silent */
#define SILENT_S        4.0
/* the capture goes on for so long without media: the media has ended */
#define ENDED_S         4.0
#define TOGETHER_S      1.0     /* both ends' media ends so close: they agreed on it */
#define TOGETHER_BATCHES_S 2.5  /* the same where frame times come in batches of about a second */
#define IN_CALL_S       2.0     /* media this close to the file's end: the call goes on */
#define MEDIA_ENOUGH_S  4.0     /* media that says which path a call takes */
#define ONE_PATH        0.9     /* of a second's packets: the second is of one path */
#define FLAPS           3       /* moves between relay and direct path */
#define LOSS_SHARE      0.01    /* of the packets of LOSS_S seconds */
#define LOSS_S          10
#define LOSS_LEAST      5       /* packets; fewer are no share of anything */
#define LOSS_BURST      5       /* packets in a row */
#define FREEZE_S        1.0     /* of one freeze */
/* a longer pause without a missing packet is the sender's: a camera that is off, a share that is
 * still */
#define PAUSED_S        4.0
/* a pause so close to a change of the device's address is that handover's, which tells its cost */
#define OF_HANDOVER_S   1.0
#define FROZEN_SHARE    0.05    /* of the time, for streams of FROZEN_OF_S at least */
#define FROZEN_OF_S     10.0
#define LOW_FRAME_RATE  10      /* pictures a second, over LOW_S seconds */
#define LOW_S           5
#define DROP_SHARE      0.25    /* of a stream's own median bit rate, for LOW_S seconds */
#define ROUND_TRIP_MS   300.0   /* twice ITU-T G.114's limit of 150 ms one way */
#define TRIPS_ENOUGH    3       /* round trips that a median is taken of */
#define MEDIA_LATE_S    3.0     /* after the answer */
#define RING_LATE_S     5.0     /* after the INVITE */
#define WAITED_MOST_S   120.0   /* for either: SIP has given up long before */

/* By frame times: those that come in batches of about a second have no tenths. */
static const char *
seconds_text(const view *v, double seconds)
{
    return call_clock_is_batched(v->call) ? wmem_strdup_printf(v->scope, "about %.0f s", seconds)
                                          : wmem_strdup_printf(v->scope, "%.1f s", seconds);
}

/* ---- a stream, second by second ---- */

/* Of a call's stream, and its series: rows without packets are not in it. */
struct stream_rows {
    const ft_stream  *stream;
    const ft_quality *quality;
    const char       *medium;
    const ft_second  *rows;
    unsigned          row_count;
};

static stream_rows
rows_of(const view *v, const ft_stream *stream)
{
    wmem_array_t *rows = wmem_array_new(v->scope, sizeof(ft_second));
    const ft_quality *quality = stream->quality;

    ft_quality_series(quality, rows);
    return (stream_rows){ stream, quality, quality->medium == FT_MEDIUM_VIDEO ? "video" : "audio",
                          (const ft_second *)wmem_array_get_raw(rows), wmem_array_get_count(rows) };
}

/* ---- rules: which path ---- */

/* A relayed pair says nothing of why media stayed on the relay. */
static bool
tries_pair(const ft_pair *pair)
{
    return !pair->relayed && pair->sent;
}

/* "of 3 direct pairs, 2 were never answered, 1 was answered but carried nothing". Answers go the
 * other way than checks: of a capture with one way alone, what isn't answered says nothing. Checks
 * of a set-up that was before the file are no checks that weren't sent. */
static const char *
pairs_text(const view *v, finding *out)
{
    unsigned tried = 0, silent = 0;

    for (unsigned i = 0; v->known->pairs && i < wmem_array_get_count(v->known->pairs); i++) {
        const ft_pair *pair = *(const ft_pair **)wmem_array_index(v->known->pairs, i);
        if (!tries_pair(pair))
            continue;
        tried++;
        silent += pair->answered == 0;
        finding_add_frame(out, pair->first_frame);
    }
    if (!tried)
        return v->begins_in_call || v->one_direction ? "no check of a direct pair is in the capture"
                                                     : "no direct pair was tried";
    if (v->one_direction)
        return wmem_strdup_printf(v->scope,
                                  "%u direct pairs were tried; what came of them can't be told",
                                  tried);
    return wmem_strdup_printf(
        v->scope,
        "of %u direct pairs that were tried, %u never answered and %u answered but carried "
        "no media",
        tried, silent, tried - silent);
}

/* A call of a second or two has had no time to move: it would always have this finding. */
static bool
relay_only(const view *v, finding *out)
{
    const ft_call *call = v->call;

    if (!call->media_packets[FT_PATH_RELAY] || call->media_packets[FT_PATH_DIRECT] ||
        v->media_last - v->media_first < MEDIA_ENOUGH_S)
        return false;
    finding_add_frame(out, call->media_first[FT_PATH_RELAY]);
    const char *pairs = pairs_text(v, out);
    return finding_say(v, out, "All %u media packets went through the relay: %s",
                       call->media_packets[FT_PATH_RELAY], pairs);
}

/* By the media clock, in whole seconds: of the earliest stream that began on the relay and has
 * direct packets. -1: none. */
static int
second_of_move(const view *v)
{
    uint32_t earliest = UINT32_MAX;
    int found = -1;

    for (unsigned i = 0; i < wmem_array_get_count(v->call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(v->call->streams, i);
        if (!stream->quality || stream->first_frame >= earliest)
            continue;
        const stream_rows s = rows_of(v, stream);
        unsigned at = 0;
        while (at < s.row_count && !s.rows[at].on_path[1])
            at++;
        if (at == s.row_count || !s.rows[0].on_path[0])
            continue;
        earliest = stream->first_frame;
        found = (int)(s.rows[at].number * s.quality->seconds_a_row);
    }
    return found;
}

/* Both frames are given: what lies between them went through Apple's relay. */
static bool
direct_after(const view *v, finding *out)
{
    const ft_call *call = v->call;

    if (!call->media_packets[FT_PATH_RELAY] || !view_has_step(v, FT_SETUP_FIRST_DIRECT_MEDIA) ||
        v->media_first <= 0 || call->media_first[FT_PATH_RELAY] > call->media_first[FT_PATH_DIRECT])
        return false;
    finding_add_frame(out, call->media_first[FT_PATH_RELAY]);
    finding_add_frame(out, call->media_first[FT_PATH_DIRECT]);
    const double after = view_reached(v, FT_SETUP_FIRST_DIRECT_MEDIA) - v->media_first;
    const int by_media = call_clock_is_good(call) ? -1 : second_of_move(v);
    return finding_say(v, out, "Media moved from the relay to the direct path %s after it began",
                       by_media < 0 ? seconds_text(v, MAX(after, 0.0))
                                    : wmem_strdup_printf(v->scope, "about %d s", by_media));
}

/* ---- rules: media that isn't there ---- */

/* Where the other direction is there at all, peer_silent has it, and no call has both. */
static bool
one_way_media(const view *v, finding *out)
{
    for (unsigned outgoing = 0; outgoing < 2; outgoing++) {
        const direction *side = &v->side[outgoing];
        if (v->one_direction || !side->any || v->side[!outgoing].any ||
            side->last - side->first < SILENT_S)
            continue;
        finding_add_frame(out, side->last_frame);
        return finding_say(v, out, "Media from %s only: %s of it, and none from %s",
                           view_sides[outgoing], seconds_text(v, side->last - side->first),
                           view_sides[!outgoing]);
    }
    return false;
}

/* A silence that ends again is an event (media_gap); this is one that doesn't. */
static bool
peer_silent(const view *v, finding *out)
{
    for (unsigned outgoing = 0; outgoing < 2; outgoing++) {
        const direction *side = &v->side[outgoing], *other = &v->side[!outgoing];
        if (v->one_direction || !side->any || !other->any || other->last - side->last < SILENT_S)
            continue;
        finding_add_frame(out, side->last_frame);
        finding_add_frame(out, other->last_frame);
        return finding_say(v, out, "No media from %s in the last %s in which %s still sent",
                           view_sides[outgoing], seconds_text(v, other->last - side->last),
                           view_sides[!outgoing]);
    }
    return false;
}

static bool
no_media(const view *v, finding *out)
{
    const ft_call *call = v->call;
    const double end = call->end_frame ? nstime_to_sec(&call->over_time) : v->file_last;

    if (v->one_direction || v->media_first > 0 || !view_has_step(v, FT_SETUP_ANSWERED) ||
        wmem_array_get_count(call->streams) || end - view_reached(v, FT_SETUP_ANSWERED) < SILENT_S)
        return false;
    finding_add_frame(out, v->known->setup[FT_SETUP_ANSWERED].frame);
    finding_add_frame(out, call->end_frame);
    return finding_say(v, out, "No media at all in %.1f s after the answer",
                       end - view_reached(v, FT_SETUP_ANSWERED));
}

/* ---- rules: a stream's quality ---- */

static void
add_stream_frames(finding *out, const stream_rows *s)
{
    finding_add_frame(out, s->stream->first_frame);
    finding_add_frame(out, s->stream->last_frame);
}

static const char *
path_of_rows(const ft_second *rows, unsigned count)
{
    uint32_t relay = 0, direct = 0;

    for (unsigned i = 0; i < count; i++) {
        relay += rows[i].on_path[0];
        direct += rows[i].on_path[1];
    }
    return !direct ? "the relay" : !relay ? "the direct path" : "both paths";
}

/* How often a stream's seconds went from one path to the other. A second with both counts for
 * none: packets that are sent on both paths don't move. */
static unsigned
moves_of(const stream_rows *s)
{
    ft_path path = FT_PATH_UNKNOWN;
    unsigned moves = 0;

    for (unsigned i = 0; i < s->row_count; i++) {
        const double direct = s->rows[i].on_path[1], all = direct + s->rows[i].on_path[0];
        const ft_path now = direct >= ONE_PATH * all ? FT_PATH_DIRECT :
                            direct <= (1 - ONE_PATH) * all ? FT_PATH_RELAY : path;
        moves += path != FT_PATH_UNKNOWN && now != path;
        path = all > 0 ? now : path;
    }
    return moves;
}

/* Of the worst stream, not of all: each stream of a call moves for itself, and their sum would
 * say three times what happened once. */
static bool
path_flaps(const view *v, finding *out)
{
    const ft_event *event;
    unsigned moves = 0;

    for (unsigned i = 0; i < wmem_array_get_count(v->call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(v->call->streams, i);
        if (!stream->quality)
            continue;
        const stream_rows s = rows_of(v, stream);
        moves = MAX(moves, moves_of(&s));
    }
    for (unsigned i = 0; (event = view_event(v->call, FT_EVENT_PATH_SWITCH, i)) != NULL; i++)
        finding_add_frame(out, event->frame);
    return moves >= FLAPS &&
           finding_say(v, out, "Media moved %u times between the relay and the direct path", moves);
}

/* What was lost in seconds in a row. */
typedef struct {
    unsigned at, length;        /* rows */
    double   lost, share;
} lossy;

/* The seconds that end with the last one at the latest: a window that the stream's end cuts short
 * has a share of nothing. */
static lossy
loss_from(const stream_rows *s, unsigned at, uint32_t span)
{
    const uint32_t seconds = s->rows[s->row_count - 1].number + 1;
    const uint32_t start = MIN(s->rows[at].number, seconds > span ? seconds - span : 0);
    double lost = 0, packets = 0;
    unsigned end;

    while (at > 0 && s->rows[at - 1].number >= start)
        at--;
    for (end = at; end < s->row_count && s->rows[end].number < start + span; end++) {
        lost += s->rows[end].lost;
        packets += s->rows[end].packets;
    }
    return (lossy){ at, end - at, lost, lost >= LOSS_LEAST ? lost / (lost + packets) : 0 };
}

/* The worst span, not the whole stream: 1 % of a call may be a second in which nothing came. */
static bool
network_loss(const view *v, const stream_rows *s, finding *out)
{
    const uint32_t span = MAX(LOSS_S / s->quality->seconds_a_row, 1);
    lossy worst = { 0 };

    if (v->all.cut || s->stream->is_cut)
        return false;
    for (unsigned i = 0; i < s->row_count; i++) {
        const lossy now = loss_from(s, i, span);
        worst = now.share > worst.share ? now : worst;
    }
    if (worst.share < LOSS_SHARE)
        return false;
    add_stream_frames(out, s);
    const uint32_t seconds = MIN(span, s->rows[s->row_count - 1].number + 1);
    return finding_say(
        v, out,
        "%.1f %% of %s's %s was lost in the worst %u s (%.0f packets, from %u s on, over "
        "%s); %u packets in all",
        worst.share * 100, view_sides[s->stream->outgoing], s->medium,
        seconds * s->quality->seconds_a_row, worst.lost,
        s->rows[worst.at].number * s->quality->seconds_a_row,
        path_of_rows(s->rows + worst.at, worst.length),
        ft_sequence_count(&s->quality->sequence).lost);
}

/* Counted by sequence numbers (calls/sequence.h), so that it may span seconds of the series. */
static bool
bursty_loss(const view *v, const stream_rows *s, finding *out)
{
    const ft_sequence_counts counts = ft_sequence_count(&s->quality->sequence);

    if (v->all.cut || s->stream->is_cut || counts.longest < LOSS_BURST)
        return false;
    add_stream_frames(out, s);
    return finding_say(v, out,
                       "%u packets in a row of %s's %s were lost (%u losses in %u bursts, over %s)",
                       counts.longest, view_sides[s->stream->outgoing], s->medium, counts.lost,
                       counts.bursts, path_of_rows(s->rows, s->row_count));
}

/* The device moved to another network while this video stood still. The handover's own finding
 * tells what it cost: two findings would be two faults. */
static bool
is_of_handover(const view *v, const stream_rows *s, const ft_pause *pause)
{
    const double end = (double)pause->at / SECOND;
    const double begin = end - (double)pause->length / SECOND;
    const ft_event *event;

    for (unsigned i = 0; (event = view_event(v->call, FT_EVENT_HANDOVER, i)) != NULL; i++) {
        const double moved = ft_seconds(&s->stream->first_time, &event->time);
        const double left = moved - nstime_to_sec(&event->length);
        if (begin <= moved + OF_HANDOVER_S && end >= left - OF_HANDOVER_S)
            return true;
    }
    return false;
}

/* The pauses are judged by their length against the stream's own median interval
 * (calls/pictures.c); here only those that a person would have noticed. */
static bool
freezes(const view *v, const stream_rows *s, finding *out)
{
    wmem_array_t *all = wmem_array_new(v->scope, sizeof(ft_pause));
    double total = 0, longest = 0;
    unsigned count = 0, whole = 0;

    if (s->quality->medium != FT_MEDIUM_VIDEO || s->stream->is_cut)
        return false;
    ft_pictures_count(s->quality, all);
    for (unsigned i = 0; i < wmem_array_get_count(all); i++) {
        const ft_pause *pause = (const ft_pause *)wmem_array_index(all, i);
        const double seconds = (double)pause->length / SECOND;
        if ((pause->is_whole && seconds >= PAUSED_S) || is_of_handover(v, s, pause))
            continue;
        count++;
        whole += pause->is_whole;
        total += seconds;
        longest = MAX(longest, seconds);
        finding_add_frame(out, pause->frame);
    }
    const double length = (double)ft_quality_duration(s->quality) / SECOND;
    if (longest < FREEZE_S && (length < FROZEN_OF_S || total < FROZEN_SHARE * length))
        return false;
    const char *reason =
        !whole ? ""
               : wmem_strdup_printf(
                     v->scope, "; in %u no packet is missing: their sender made no picture", whole);
    return finding_say(
        v, out, "%s's video stood still for %.1f s of %.1f s, %.1f s the longest (%u of them%s)",
        view_sides[s->stream->outgoing], total, length, longest, count, reason);
}

/* The least mean of `value` over LOW_S whole seconds in a row, each with packets; negative where
 * there aren't so many. The last second isn't whole. A second in which the camera was off has no
 * pictures, and is no low rate: such spans are left out. */
static double
least_over(const stream_rows *s, bool pictures, uint32_t *from)
{
    const uint32_t span = MAX(LOW_S / s->quality->seconds_a_row, 1);
    double least = -1;

    for (unsigned i = 0; i + span < s->row_count; i++) {
        double sum = 0;
        bool whole = s->rows[i + span - 1].number == s->rows[i].number + span - 1;
        for (unsigned j = i; j < i + span; j++) {
            sum += pictures ? s->rows[j].frames : s->rows[j].bytes;
            whole = whole && s->rows[j].frames;
        }
        sum /= (double)span * s->quality->seconds_a_row;
        if (whole && (least < 0 || sum < least)) {
            least = sum;
            *from = s->rows[i].number * s->quality->seconds_a_row;
        }
    }
    return least;
}

/* Packets that the capture cut before their numbers are no pictures that weren't sent. */
static bool
is_whole_video(const stream_rows *s)
{
    return s->quality->medium == FT_MEDIUM_VIDEO && !s->stream->is_cut;
}

static bool
low_frame_rate(const view *v, const stream_rows *s, finding *out)
{
    uint32_t from = 0;
    const double least = is_whole_video(s) ? least_over(s, true, &from) : -1;

    if (least < 0 || least >= LOW_FRAME_RATE)
        return false;
    add_stream_frames(out, s);
    return finding_say(v, out, "%s's video had %.1f pictures a second over %u s (from %u s on)",
                       view_sides[s->stream->outgoing], least, (unsigned)LOW_S, from);
}

static int
by_size(const void *one, const void *other)
{
    const uint32_t x = *(const uint32_t *)one, y = *(const uint32_t *)other;

    return (x > y) - (x < y);
}

/* The stream's own, as nothing tells what rate one should have. */
static double
median_rate(const view *v, const stream_rows *s)
{
    uint32_t *bytes = wmem_alloc_array(v->scope, uint32_t, MAX(s->row_count, 1));

    for (unsigned i = 0; i < s->row_count; i++)
        bytes[i] = s->rows[i].bytes;
    qsort(bytes, s->row_count, sizeof *bytes, by_size);
    return s->row_count ? (double)bytes[s->row_count / 2] / s->quality->seconds_a_row : 0;
}

/* Audio's rate falls with each pause of the speaker (comfort noise each 160 ms). */
static bool
bitrate_drop(const view *v, const stream_rows *s, finding *out)
{
    const double median = median_rate(v, s);
    uint32_t from = 0;
    const double least = is_whole_video(s) ? least_over(s, false, &from) : -1;

    if (least < 0 || least >= DROP_SHARE * median)
        return false;
    add_stream_frames(out, s);
    return finding_say(
        v, out,
        "%s's video fell to %.0f kbit/s over %u s (from %u s on), %.0f %% of its median of "
        "%.0f kbit/s",
        view_sides[s->stream->outgoing], least * 8 / 1000, (unsigned)LOW_S, from,
        100 * least / median, median * 8 / 1000);
}

/* Stamps hold up to one packet interval of waiting at each end. Of generated calls they are 540
 * ms for a true 439 at 60 ms a packet. Two intervals are taken off, so what is called long is
 * long at best; the text gives the bound itself. */
static bool
long_round_trip(const view *v, const stream_rows *s, finding *out)
{
    const round_trips trips = round_trips_of(v->scope, v->call, s->quality);

    if (!trips.basis || strcmp(trips.basis, "stun") == 0 || trips.samples->total < TRIPS_ENOUGH)
        return false; /* checks wait for the far end's set-up */
    const bool is_bound = strcmp(trips.basis, "stamps") == 0;
    const double interval =
        is_bound && s->quality->packets > 1
            ? (double)s->quality->highest_media / 1000 / (s->quality->packets - 1)
            : 0;
    const double median = ft_histogram_at(trips.samples, 0.5) * trips.unit;
    if (median - 2 * interval < ROUND_TRIP_MS)
        return false;
    add_stream_frames(out, s);
    return finding_say(
        v, out, "The median round trip that %s saw is %s%.0f ms (%u samples of %s)",
        view_sides[s->stream->outgoing], is_bound ? "at most " : "", median, trips.samples->total,
        is_bound ? "the stamps in its audio; two packet intervals of waiting may be in it"
                 : trips.basis);
}

/* ---- rules: set-up and end ---- */

/* Nobody waits for hours: a clock that was set, or a capture that stood still, shows no packet
 * that could prove it before media runs. */
static double
waited(double seconds)
{
    return seconds <= WAITED_MOST_S ? seconds : 0;
}

/* A phone that rings long is its owner's affair: only the time to 180, and from the answer to the
 * first media, is measured. */
static bool
slow_setup(const view *v, finding *out)
{
    if (v->begins_in_call || call_clock_is_batched(v->call))
        return false;
    const double late = v->media_first > 0 && view_has_step(v, FT_SETUP_ANSWERED)
                            ? waited(v->media_first - view_reached(v, FT_SETUP_ANSWERED))
                            : 0;
    const double ring =
        view_has_step(v, FT_SETUP_INVITE) && view_has_step(v, FT_SETUP_RINGING)
            ? waited(view_reached(v, FT_SETUP_RINGING) - view_reached(v, FT_SETUP_INVITE))
            : 0;
    if (late <= MEDIA_LATE_S && ring <= RING_LATE_S)
        return false;
    finding_add_frame(out, v->known->setup[FT_SETUP_INVITE].frame);
    finding_add_frame(out, v->known->setup[FT_SETUP_RINGING].frame);
    finding_add_frame(out, v->known->setup[FT_SETUP_ANSWERED].frame);
    if (late <= MEDIA_LATE_S)
        return finding_say(v, out, "180 Ringing came %.1f s after the INVITE", ring);
    if (ring <= RING_LATE_S)
        return finding_say(v, out, "The first media came %.1f s after the answer", late);
    return finding_say(
        v, out,
        "180 Ringing came %.1f s after the INVITE, and the first media %.1f s after the answer",
        ring, late);
}

/* Media of the file's last seconds may go on after it: ends_in_call has that. */
static bool
ended_silently(const view *v)
{
    return v->media_first > 0 && !v->ended && v->file_last - v->media_last >= ENDED_S;
}

static void
add_last_media(const view *v, finding *out)
{
    for (unsigned outgoing = 0; outgoing < 2; outgoing++) {
        if (v->side[outgoing].any)
            finding_add_frame(out, v->side[outgoing].last_frame);
    }
}

/* A cut packet may have been the BYE. */
static bool
broken_off(const view *v, finding *out)
{
    const ft_event *unanswered = view_event(v->call, FT_EVENT_BYE_UNANSWERED, 0);

    if (v->call->generation == FT_MODERN || v->one_direction ||
        (!unanswered && (v->all.cut || !ended_silently(v))))
        return false;
    add_last_media(v, out);
    if (!unanswered)
        return finding_say(v, out, "Media ended without a BYE, %s before the capture did",
                           seconds_text(v, v->file_last - v->media_last));
    finding_add_frame(out, unanswered->frame);
    return finding_say(v, out, "The call broke off: its BYE was never answered");
}

/* Whose media ended last: who still sends hasn't hung up. By order in the file, which frame times
 * that come in batches keep. */
static bool
ended_last(const view *v, bool outgoing)
{
    const direction *side = &v->side[outgoing], *other = &v->side[!outgoing];

    return side->any && (!other->any || side->last_frame > other->last_frame);
}

/* Both ends' media ended at once: a way that breaks is noticed by who still sends only later. */
static bool
ended_together(const view *v)
{
    const double most = call_clock_is_batched(v->call) ? TOGETHER_BATCHES_S : TOGETHER_S;

    return v->side[0].any && v->side[1].any && fabs(v->side[0].last - v->side[1].last) < most;
}

/* A modern call's signalling isn't seen. Where the peer's media ends and the device's at once
 * after it, the device was told: the far end hung up, which leaves no packet, and nothing broke. */
static bool
ended_unseen(const view *v, finding *out)
{
    if (v->call->generation != FT_MODERN || v->one_direction || !ended_silently(v) ||
        view_event(v->call, FT_EVENT_PEER_UNREACHABLE, 0) ||
        (ended_together(v) && ended_last(v, true)))
        return false;
    add_last_media(v, out);
    return finding_say(
        v, out,
        "Media ended %s before the capture did, and no packet says why: the device's "
        "port wasn't closed, and what the far end signals isn't seen",
        seconds_text(v, v->file_last - v->media_last));
}

/* Within 30 s of a call that broke off; which that is, is decided where calls are told apart. */
static bool
restarted(const view *v, finding *out)
{
    const ft_call *before = v->call->restart_of;

    if (!before)
        return false;
    finding_add_frame(out, v->call->first_frame);
    finding_add_frame(out, before->end_frame);
    return finding_say(v, out,
                       "This call starts %s after the end of call %u between the same two",
                       seconds_text(v, ft_seconds(&before->over_time, &v->call->begin_time)),
                       before->number);
}

static bool
has_outcome(const view *v, finding *out, ft_call_outcome outcome)
{
    if (v->call->state != FT_CALL_ENDED || v->call->outcome != outcome)
        return false;
    finding_add_frame(out, v->call->invite_frame);
    finding_add_frame(out, v->call->end_frame);
    return true;
}

static const char *
reason_of(const view *v)
{
    return v->call->end_reason ? printable(v->scope, v->call->end_reason) : "no reason given";
}

static bool
refused(const view *v, finding *out)
{
    return (has_outcome(v, out, FT_OUTCOME_DECLINED) || has_outcome(v, out, FT_OUTCOME_FAILED)) &&
           finding_say(v, out, "The call was refused: %s", reason_of(v));
}

static bool
cancelled(const view *v, finding *out)
{
    return has_outcome(v, out, FT_OUTCOME_CANCELLED) &&
           finding_say(v, out, "The caller gave up before an answer: %s", reason_of(v));
}

static bool
busy(const view *v, finding *out)
{
    return has_outcome(v, out, FT_OUTCOME_BUSY) &&
           finding_say(v, out, "The far end was busy: %s", reason_of(v));
}

/* The event knows that the capture went on for long enough (calls/dialog.c). */
static bool
unanswered_bye(const view *v, finding *out)
{
    const ft_event *event = view_event(v->call, FT_EVENT_BYE_UNANSWERED, 0);

    if (!event || v->one_direction)
        return false;
    finding_add_frame(out, v->call->end_frame);
    finding_add_frame(out, event->frame);
    return finding_say(v, out, "The BYE was never answered: %s", event->text);
}

/* Evidence is the device's own ICMP about its port. An app that is told of the far end's hanging
 * up closes its port just so (one of the two real calls of 2023): then the far end's media had
 * ended first. */
static bool
closed_socket(const view *v, const ft_event *closed, finding *out)
{
    const bool other_end = v->call->other_end_closed;
    const char *device = other_end ? "other device" : "device";

    finding_add_frame(out, v->call->end_frame ? v->call->end_frame : closed->frame);
    if (ended_last(v, other_end))
        return finding_say(v, out,
                           "The %s hung up: its own ICMP says that its port is closed, and %s "
                           "media ended after its own",
                           device, other_end ? "the device's" : "the peer's");
    if (!v->side[other_end].any)
        return finding_say(v, out,
                           "The call was ended: the %s's own ICMP says that its port is closed",
                           device);
    add_last_media(v, out);
    return finding_say(v, out,
                       "The call was ended: the %s's own ICMP says that its port is closed. %s "
                       "media had ended before its own, so which of the two hung up isn't seen",
                       device, other_end ? "The device's" : "The peer's");
}

/* A BYE that nobody answered is unanswered_bye, no hanging up. */
static bool
hung_up(const view *v, finding *out)
{
    const ft_call *call = v->call;
    const ft_event *closed = view_event(call, FT_EVENT_SOCKET_CLOSED, 0);

    if (call->state == FT_CALL_ENDED && call->outcome == FT_OUTCOME_HUNG_UP &&
        call->bye_answer_frame) {
        finding_add_frame(out, call->end_frame);
        finding_add_frame(out, call->bye_answer_frame);
        return finding_say(v, out, "%s hung up: its BYE was answered",
                           !v->all.end_known   ? "One side"
                           : v->all.end_is_own ? "The device"
                                               : "The peer");
    }
    return call->generation == FT_MODERN && closed && call->state == FT_CALL_ENDED &&
           closed_socket(v, closed, out);
}

/* ---- rules: networks ---- */

/* What was lost of the peer's media in the second of a moment and the two after it. By seconds of
 * each stream's series, which is all that is kept of when a packet was lost: hence the one before
 * and two after. */
static uint32_t
lost_around(const view *v, const nstime_t *moment)
{
    int64_t lost = 0;

    for (unsigned i = 0; i < wmem_array_get_count(v->call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(v->call->streams, i);
        if (stream->outgoing || !stream->quality)
            continue;
        const stream_rows s = rows_of(v, stream);
        const double at = ft_seconds(&stream->first_time, moment) / s.quality->seconds_a_row;
        for (unsigned j = 0; j < s.row_count; j++) {
            if (s.rows[j].number + 1 >= at && s.rows[j].number <= at + 2)
                lost += s.rows[j].lost;
        }
    }
    return (uint32_t)MAX(lost, 0);
}

/* Silence is measured by frame times, losses are of packets that are whole, and there to see:
 * "0 packets" of what the file hides would be a good word for nothing. */
static const char *
cost_text(const view *v, const ft_event *event)
{
    const bool is_timed = !call_clock_is_batched(v->call);
    const bool is_counted = !v->all.cut && !v->one_direction;
    const char *silence = wmem_strdup_printf(v->scope, "it cost %.1f s without its media",
                                             nstime_to_sec(&event->length));

    if (!is_counted)
        return is_timed ? wmem_strdup_printf(v->scope, "%s; what was lost can't be told", silence)
                        : "what it cost can't be told";
    return wmem_strdup_printf(v->scope, "%s%u packets of the peer's",
                              is_timed ? wmem_strdup_printf(v->scope, "%s, ", silence) : "it cost ",
                              lost_around(v, &event->time));
}

static bool
handover(const view *v, finding *out)
{
    const ft_event *event = view_event(v->call, FT_EVENT_HANDOVER, 0);

    if (!event || !v->long_enough)
        return false;
    finding_add_frame(out, event->other_frame);
    for (unsigned i = 0; view_event(v->call, FT_EVENT_HANDOVER, i); i++)
        finding_add_frame(out, view_event(v->call, FT_EVENT_HANDOVER, i)->frame);
    return finding_say(v, out, "%s: %s", event->text, cost_text(v, event));
}

/* How others see one socket of the device. */
typedef struct {
    const ft_endpoint *first;   /* the first mapping that isn't the socket itself, or NULL */
    bool     changed;           /* another port than the socket's */
    bool     several;           /* another mapping, too */
    bool     unmapped;          /* to some: in the same network, or everywhere */
    unsigned count;
} mapping;

static void
add_mapping(mapping *seen, const ft_endpoint *socket, const ft_endpoint *mapped)
{
    seen->count++;
    if (ft_endpoint_equal(socket, mapped)) {
        seen->unmapped = true;
        return;
    }
    seen->changed |= mapped->port != socket->port;
    seen->several |= seen->first && !ft_endpoint_equal(seen->first, mapped);
    seen->first = seen->first ? seen->first : mapped;
}

static const char *
mapping_text(const view *v, const mapping *seen, const ft_endpoint *socket)
{
    const char *own = ft_endpoint_str(v->scope, socket);

    if (!seen->first)
        return wmem_strdup_printf(
            v->scope,
            ft_is_private(&socket->addr)
                ? "To all that told it, the device's address is its own, %s: none of them is "
                  "beyond a NAT, and what one makes of it isn't seen"
                : "No NAT is seen: %s is the device's address to all that told it",
            own);
    return wmem_strdup_printf(v->scope, "NAT: %s is %s outside; the port is %s, and %s", own,
                              ft_endpoint_str(v->scope, seen->first),
                              seen->changed ? "changed" : "kept",
                              seen->several
                                  ? "other mappings are seen, too: they depend on the destination"
                                  : "no other mapping is seen");
}

/* Modern calls have another port than the one that SNATMAP asks from (16393 and 16402 in 2023). */
static const char *
snatmap_text(const view *v, const ft_nat_told *told)
{
    return wmem_strdup_printf(v->scope, "; SNATMAP: %s is %s outside",
                              ft_endpoint_str(v->scope, &told->device),
                              ft_endpoint_str(v->scope, &told->mapped));
}

/* CommNAT has a socket of its own (port 16403). Each of its servers is another destination, so
 * what they see tells whether the mapping depends on it. */
static const char *
commnat_text(const view *v, const mapping *seen, const ft_endpoint *socket)
{
    const char *ports = seen->changed ? "the port is changed" : "the port is kept";

    if (seen->count == 0)
        return "";
    if (!seen->first)
        return wmem_strdup_printf(v->scope, "; CommNAT's servers see its test's own address, %s",
                                  ft_endpoint_str(v->scope, socket));
    if (seen->count == 1)
        return wmem_strdup_printf(v->scope, "; CommNAT: one answer, in which %s", ports);
    return wmem_strdup_printf(v->scope, "; CommNAT: in %u answers the mapping is %s, and %s",
                              seen->count, seen->several ? "not the same" : "the same", ports);
}

/* The device's own verdict. What the flags mean is derived, not seen in captures. */
static const char *
report_text(const view *v, uint32_t flags)
{
    return wmem_strdup_printf(
        v->scope, "; the device's report (0x%03x) says: %s, port %s%s%s", flags,
        flags & FT_NAT_SYMMETRIC     ? "mapped ports differ between servers"
        : flags & FT_NAT_INDEPENDENT ? "one mapping for all servers, and answers from elsewhere "
                                       "come in"
                                     : "no difference between servers",
        flags & FT_NAT_PORT_PRESERVED ? "kept" : "not kept",
        flags & FT_NAT_HAIRPIN ? ", its own outside address reaches it" : "",
        flags & FT_NAT_SERVER_SILENT ? "; some server never answered" : "");
}

/* What servers and the peer say that the device's address is. What the peer is told through the
 * relay, and what the relay itself maps, is no NAT's: answers in a channel are left out. Who knows
 * the device by a private address has no NAT in between, as the peer of the Wi-Fi call of 2023:
 * that device's own candidates name two addresses outside, so a NAT it has. */
static mapping
mapping_of_call(const view *v, const wmem_array_t *tests, finding *out)
{
    mapping seen = { 0 };

    for (unsigned i = 0; v->known->addresses && i < wmem_array_get_count(v->known->addresses);
         i++) {
        const ft_revealed *revealed = (const ft_revealed *)wmem_array_index(v->known->addresses, i);
        if (strcmp(revealed->what, "mapped address") != 0 || revealed->relayed ||
            !ft_endpoint_equal(&revealed->told, &v->call->local))
            continue;
        finding_add_frame(out, revealed->frame);
        add_mapping(&seen, &v->call->local, &revealed->address);
    }
    for (unsigned i = 0; i < ft_count_of(tests); i++) {
        const ft_nat_told *told = (const ft_nat_told *)wmem_array_index((wmem_array_t *)tests, i);
        if (told->what != FT_NAT_SNATMAP || !ft_endpoint_equal(&told->device, &v->call->local))
            continue;
        finding_add_frame(out, told->frame->id);
        add_mapping(&seen, &v->call->local, &told->mapped);
    }
    return seen;
}

static bool
nat(const view *v, finding *out)
{
    wmem_array_t *tests = ft_nat_tests_of(v->scope, v->call);
    const mapping seen = mapping_of_call(v, tests, out);
    const ft_nat_told *report = NULL, *tested = NULL, *other = NULL;
    mapping test = { 0 };

    for (unsigned i = 0; i < wmem_array_get_count(tests); i++) {
        const ft_nat_told *told = (const ft_nat_told *)wmem_array_index(tests, i);
        if (told->what == FT_NAT_REPORT)
            report = told;
        if (told->what == FT_NAT_SNATMAP && !ft_endpoint_equal(&told->device, &v->call->local))
            other = told;
        if (told->what != FT_NAT_COMMNAT ||
            (tested && !ft_endpoint_equal(&tested->device, &told->device)))
            continue;
        tested = tested ? tested : told;
        finding_add_frame(out, told->frame->id);
        add_mapping(&test, &told->device, &told->mapped);
    }
    if (other)
        finding_add_frame(out, other->frame->id);
    if (report)
        finding_add_frame(out, report->frame->id);
    if (!seen.count && !tested && !report && !other)
        return false;
    return finding_say(
        v, out, "%s%s%s%s",
        seen.count ? mapping_text(v, &seen, &v->call->local) : "The device tested its NAT",
        other ? snatmap_text(v, other) : "",
        tested ? commnat_text(v, &test, &tested->device) : "",
        report ? report_text(v, report->flags) : "");
}

/* For an examiner: what anybody on the way could read, with a frame to look at. */
static bool
cleartext(const view *v, finding *out)
{
    const ft_event *check = view_event(v->call, FT_EVENT_CONNECTIVITY_CHECK, 0);
    const unsigned sdps = v->known->sdps ? wmem_array_get_count(v->known->sdps) : 0;
    const unsigned addresses = v->known->addresses ? wmem_array_get_count(v->known->addresses) : 0;
    wmem_strbuf_t *text = wmem_strbuf_new(v->scope, "");

    if (check) {
        finding_add_frame(out, check->frame);
        wmem_strbuf_append(text, ", Apple's HTTP check");
    }
    if (v->call->dialogs) {
        finding_add_frame(out, v->call->invite_frame ? v->call->invite_frame : v->call->end_frame);
        wmem_strbuf_append(text, ", SIP with both ends' names for each other");
    }
    if (sdps) {
        finding_add_frame(out, ((const ft_sdp_text *)wmem_array_index(v->known->sdps, 0))->frame);
        wmem_strbuf_append_printf(text, ", %u SDP %s", sdps, sdps == 1 ? "body" : "bodies");
    }
    if (addresses) {
        finding_add_frame(out,
                          ((const ft_revealed *)wmem_array_index(v->known->addresses, 0))->frame);
        wmem_strbuf_append_printf(text, ", %u addresses", addresses);
    }
    return wmem_strbuf_get_len(text) &&
           finding_say(v, out, "In clear: %s", wmem_strbuf_get_str(text) + 2);
}

/* ---- rules: what the capture itself can't tell ---- */

static bool
capture_clock_batched(const view *v, finding *out)
{
    if (!call_clock_is_batched(v->call))
        return false;
    add_last_media(v, out);
    return finding_say(
        v, out,
        "Frame times come in batches: no jitter, and no time between different senders, can "
        "be told");
}

static bool
capture_cut(const view *v, finding *out)
{
    finding_add_frame(out, v->all.first_cut);
    return v->all.cut &&
           finding_say(v, out,
                       "%u packets of the call are cut short: what is lost, and what stands "
                       "in them, can't be "
                       "told",
                       v->all.cut);
}

static bool
begins_in_call(const view *v, finding *out)
{
    finding_add_frame(out, v->call->first_frame);
    return v->begins_in_call &&
           finding_say(v, out, "The capture begins in the call: it has no set-up");
}

/* The BYE itself may have gone the way that isn't in the file: its answer ends the call as well. */
static bool
ends_in_call(const view *v, finding *out)
{
    if (v->media_first <= 0 || v->ended || v->call->bye_answer_frame ||
        v->file_last - v->media_last > IN_CALL_S)
        return false;
    add_last_media(v, out);
    return finding_say(v, out,
                       "The capture ends in the call: the last media comes %s before its end",
                       seconds_text(v, v->file_last - v->media_last));
}

static bool
seen_twice(const view *v, finding *out)
{
    finding_add_frame(out, v->all.first_twice);
    return ft_call_points(v->call) > 1 &&
           finding_say(v, out,
                       "%u packets of the call are in the capture twice: as at a mirror "
                       "port, or at two places on their way",
                       v->call->twice);
}

static bool
one_direction(const view *v, finding *out)
{
    finding_add_frame(out, v->call->first_frame);
    return v->one_direction &&
           finding_say(
               v, out,
               "All %u packets of the call go one way: what the other way had can't be told",
               v->all.packets);
}

/* ---- the table ---- */

static const rule rules[] = {
    { "relay_only",            "note",    relay_only, NULL },
    { "direct_after",          "note",    direct_after, NULL },
    { "path_flaps",            "warning", path_flaps, NULL },
    { "one_way_media",         "warning", one_way_media, NULL },
    { "peer_silent",           "warning", peer_silent, NULL },
    { "no_media",              "warning", no_media, NULL },
    { "network_loss",          "warning", NULL, network_loss },
    { "bursty_loss",           "warning", NULL, bursty_loss },
    { "freezes",               "warning", NULL, freezes },
    { "low_frame_rate",        "warning", NULL, low_frame_rate },
    { "bitrate_drop",          "warning", NULL, bitrate_drop },
    { "long_round_trip",       "warning", NULL, long_round_trip },
    { "slow_setup",            "warning", slow_setup, NULL },
    { "broken_off",            "warning", broken_off, NULL },
    { "broken_off",            "note",    ended_unseen, NULL },
    { "restarted",             "warning", restarted, NULL },
    { "refused",               "note",    refused, NULL },
    { "cancelled",             "note",    cancelled, NULL },
    { "busy",                  "note",    busy, NULL },
    { "unanswered_bye",        "warning", unanswered_bye, NULL },
    { "hung_up",               "note",    hung_up, NULL },
    { "handover",              "note",    handover, NULL },
    { "nat",                   "note",    nat, NULL },
    { "cleartext",             "note",    cleartext, NULL },
    { "capture_clock_batched", "note",    capture_clock_batched, NULL },
    { "capture_cut",           "note",    capture_cut, NULL },
    { "begins_in_call",        "note",    begins_in_call, NULL },
    { "ends_in_call",          "note",    ends_in_call, NULL },
    { "seen_twice",            "note",    seen_twice, NULL },
    { "one_direction",         "note",    one_direction, NULL },
};

/* Each finding has a frame at least, which a click can lead to. */
static void
hand_over(const view *v, const rule *kind, finding *found, finding_writer write, void *user)
{
    if (!found->frame_count)
        finding_add_frame(found, v->call->first_frame);
    write(kind, found, user);
}

static void
judge_streams(const view *v, const rule *kind, finding_writer write, void *user)
{
    for (unsigned i = 0; i < wmem_array_get_count(v->call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(v->call->streams, i);
        finding found = { 0 };
        if (!v->long_enough || !stream->quality || stream->quality->packets == 0)
            continue;
        const stream_rows s = rows_of(v, stream);
        if (kind->of_stream(v, &s, &found))
            hand_over(v, kind, &found, write, user);
    }
}

void
judge(wmem_allocator_t *scope, const ft_call *call, finding_writer write, void *user)
{
    const view v = view_call(scope, call);

    for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
        finding found = { 0 };
        if (rules[i].of_stream)
            judge_streams(&v, &rules[i], write, user);
        else if (rules[i].of_call(&v, &found))
            hand_over(&v, &rules[i], &found, write, user);
    }
}
