/* plugin/rules_media.c
 * Findings about media: which path it took, where there was none, how good its streams were.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/rules.h"
#include "plugin/streams.h"
#include "plugin/words.h"


/* a direction without media for so long, while the other one has some, is silent */
#define SILENT_S        4.0
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

/* ---- rules: which path ---- */

/* A relayed pair says nothing of why media stayed on the relay. */
static bool
tries_pair(const ft_pair *pair)
{
    return !pair->relayed && ft_pair_sent(pair);
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
        silent += ft_pair_answered(pair) == 0;
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
bool
rule_relay_only(const view *v, finding *out)
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
        const stream_rows s = view_rows(v, stream);
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
bool
rule_direct_after(const view *v, finding *out)
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
                       by_media < 0 ? view_seconds_text(v, MAX(after, 0.0))
                                    : wmem_strdup_printf(v->scope, "about %d s", by_media));
}

/* ---- rules: media that isn't there ---- */

/* Where the other direction is there at all, peer_silent has it, and no call has both. */
bool
rule_one_way_media(const view *v, finding *out)
{
    for (unsigned outgoing = 0; outgoing < 2; outgoing++) {
        const direction *side = &v->side[outgoing];
        if (v->one_direction || !side->any || v->side[!outgoing].any ||
            side->last - side->first < SILENT_S)
            continue;
        finding_add_frame(out, side->last_frame);
        return finding_say(v, out, "Media from %s only: %s of it, and none from %s",
                           view_sides[outgoing], view_seconds_text(v, side->last - side->first),
                           view_sides[!outgoing]);
    }
    return false;
}

/* A silence that ends again is an event (media_gap); this is one that doesn't. */
bool
rule_peer_silent(const view *v, finding *out)
{
    for (unsigned outgoing = 0; outgoing < 2; outgoing++) {
        const direction *side = &v->side[outgoing], *other = &v->side[!outgoing];
        if (v->one_direction || !side->any || !other->any || other->last - side->last < SILENT_S)
            continue;
        finding_add_frame(out, side->last_frame);
        finding_add_frame(out, other->last_frame);
        return finding_say(v, out, "No media from %s in the last %s in which %s still sent",
                           view_sides[outgoing], view_seconds_text(v, other->last - side->last),
                           view_sides[!outgoing]);
    }
    return false;
}

bool
rule_no_media(const view *v, finding *out)
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
bool
rule_path_flaps(const view *v, finding *out)
{
    const ft_event *event;
    unsigned moves = 0;

    for (unsigned i = 0; i < wmem_array_get_count(v->call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(v->call->streams, i);
        if (!stream->quality)
            continue;
        const stream_rows s = view_rows(v, stream);
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
bool
rule_network_loss(const view *v, const stream_rows *s, finding *out)
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
bool
rule_bursty_loss(const view *v, const stream_rows *s, finding *out)
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
bool
rule_freezes(const view *v, const stream_rows *s, finding *out)
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

bool
rule_low_frame_rate(const view *v, const stream_rows *s, finding *out)
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
bool
rule_bitrate_drop(const view *v, const stream_rows *s, finding *out)
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
bool
rule_long_round_trip(const view *v, const stream_rows *s, finding *out)
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
