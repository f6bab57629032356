/* calls/sequence.c
 * How many packets of a stream were sent, lost, late or doubled, from 16-bit numbers: the table
 * in calls/sequence.h.
 *
 * A run is one sequence of the sender; numbers in it are extended to 64 bits, so that a wrap is no
 * step back, and what is decided of them moves up with the highest:
 *
 *    base                              highest - 255                highest
 *     |--------------------------------------|--------------------------|
 *      settled: each is lost, or it came      a bit for each that came:  what comes next may be
 *      for good                               it may still come late     up to 2999 ahead
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/sequence.h"
#include <string.h>

#define NUMBERS 0x10000u    /* of 16 bits */
#define FEWEST_SLOTS 8

/* ---- one sequence ---- */

static bool
exists(const ft_sequence_run *run)
{
    return run->base != 0;
}

/* Signed distance of a number from the highest one, the way the wrap allows: -32768 to 32767.
 * Half the numbers are ahead and half behind: RFC 3550's A.1 can't tell more either. */
static int
distance(const ft_sequence_run *run, uint16_t sequence)
{
    return (int16_t)(sequence - (uint16_t)run->highest);
}

static bool
is_near(const ft_sequence_run *run, uint16_t sequence)
{
    const int step = distance(run, sequence);

    return exists(run) && step < FT_SEQUENCE_MAX_DROPOUT && step >= -FT_SEQUENCE_MAX_MISORDER;
}

static bool
in_window(const ft_sequence_run *run, uint64_t number)
{
    return number <= run->highest && number + FT_SEQUENCE_WINDOW > run->highest;
}

static bool
came(const ft_sequence_run *run, uint64_t number)
{
    const unsigned bit = number % FT_SEQUENCE_WINDOW;

    return in_window(run, number) && (run->seen[bit / 64] >> bit % 64 & 1);
}

static void
set_came(ft_sequence_run *run, uint64_t number, bool value)
{
    const unsigned bit = number % FT_SEQUENCE_WINDOW;
    const uint64_t mask = UINT64_C(1) << bit % 64;

    run->seen[bit / 64] = value ? run->seen[bit / 64] | mask : run->seen[bit / 64] & ~mask;
}

/* A burst ends with the first number after it that came, so it is counted only then. */
static void
close_burst(ft_sequence_run *run)
{
    run->bursts += run->open_burst > 0;
    run->longest = run->open_burst > run->longest ? run->open_burst : run->longest;
    run->open_burst = 0;
}

/* Numbers below `end`, which is at most highest + 1, are judged for good. Not before: a loss that
 * a late packet fills is none, and it may make two bursts of one. */
static void
settle_below(ft_sequence_run *run, uint64_t end)
{
    for (; run->settled < end; run->settled++) {
        if (came(run, run->settled))
            close_burst(run);
        else
            run->open_burst++;
    }
}

static void
begin_run(ft_sequence_run *run, uint64_t number)
{
    *run = (ft_sequence_run){ .base = number, .highest = number, .settled = number, .received = 1 };
    set_came(run, number, true);
}

/* What leaves the window is judged first. Returns how many numbers were skipped. Cheap for a leap
 * of thousands: the numbers in between are counted, not walked. */
static uint32_t
advance(ft_sequence_run *run, uint64_t number)
{
    const uint64_t skipped = number - run->highest - 1;
    const uint64_t left = number >= FT_SEQUENCE_WINDOW ? number - FT_SEQUENCE_WINDOW + 1 : 0;
    const uint64_t known = left < run->highest + 1 ? left : run->highest + 1;

    settle_below(run, known);
    if (run->settled < left) { /* skipped so far that even these are out of the window */
        run->open_burst += (uint32_t)(left - run->settled);
        run->settled = left;
    }
    if (skipped >= FT_SEQUENCE_WINDOW)
        memset(run->seen, 0, sizeof run->seen);
    else
        for (uint64_t n = run->highest + 1; n < number; n++)
            set_came(run, n, false);
    run->highest = number;
    run->received++;
    set_came(run, number, true);
    return (uint32_t)skipped;
}

/* Below the sequence's first number it fills no gap: it is counted apart, so that received and
 * lost still make up the span. */
static void
come_late(ft_sequence_run *run, uint64_t number)
{
    set_came(run, number, true);
    run->reordered++;
    if (number >= run->base)
        run->received++;
    else
        run->early++;
}

static uint64_t
extend(const ft_sequence_run *run, uint16_t sequence)
{
    return run->highest + (uint64_t)(int64_t)distance(run, sequence);
}

static uint32_t
missing_in(const ft_sequence_run *run)
{
    return exists(run) ? (uint32_t)(run->highest - run->base + 1) - run->received : 0;
}

/* A sequence that is over, and one that is looked at, are judged to their highest number. */
static void
add_run(ft_sequence_counts *counts, ft_sequence_run run)
{
    if (!exists(&run))
        return;
    settle_below(&run, run.highest + 1);
    close_burst(&run);
    counts->received += run.received + run.early;
    counts->lost += missing_in(&run);
    counts->reordered += run.reordered;
    counts->bursts += run.bursts;
    counts->longest = run.longest > counts->longest ? run.longest : counts->longest;
}

/* ---- the stream ---- */

static uint32_t
packets_of(const ft_sequence_run *run)
{
    return run->received + run->early;
}

static uint64_t
highest_of(const ft_sequence_run *one, const ft_sequence_run *other, uint64_t number)
{
    number = one->highest > number ? one->highest : number;
    return other->highest > number ? other->highest : number;
}

/* A sequence of its own, above all numbers so far. A packet may come late by less than a cycle.
 * The leap of two cycles keeps the numbers of different sequences apart even where one begins
 * below where the last one ended. */
static uint64_t
begin_candidate(ft_sequence *stream, uint16_t sequence)
{
    const uint64_t used = highest_of(&stream->run, &stream->candidate, stream->cycle);

    stream->done.strays += packets_of(&stream->candidate);
    stream->cycle = used / NUMBERS * NUMBERS + 2u * NUMBERS;
    begin_run(&stream->candidate, stream->cycle + sequence);
    return stream->candidate.highest;
}

uint16_t
ft_sequence_latest(const ft_sequence *stream)
{
    return (uint16_t)(stream->run.highest ? stream->run.highest : stream->candidate.highest);
}

/* What was lost in the old sequence stays lost: a restart forgets nothing. */
static ft_sequence_verdict
believe_candidate(ft_sequence *stream)
{
    const bool is_restart = exists(&stream->run);

    add_run(&stream->done, stream->run);
    stream->done.restarts += is_restart;
    stream->run = stream->candidate;
    memset(&stream->candidate, 0, sizeof stream->candidate);
    stream->before_leap.base = 0;
    return is_restart ? FT_SEQUENCE_RESTART : FT_SEQUENCE_NEXT;
}

/* A packet of a sequence that isn't believed yet. Two neighbours prove it, as RFC 3550's
 * MIN_SEQUENTIAL does, but in any order, for captures have them swapped too. One foreign packet
 * with this SSRC so never becomes thousands of losses. */
static void
try_candidate(ft_sequence *stream, uint16_t sequence, ft_sequence_packet *packet)
{
    ft_sequence_run *candidate = &stream->candidate;

    if (!is_near(candidate, sequence)) {
        packet->number = begin_candidate(stream, sequence);
        return;
    }
    packet->number = extend(candidate, sequence);
    if (came(candidate, packet->number)) {
        packet->verdict = FT_SEQUENCE_TWIN;
        stream->done.twins++;
        return;
    }
    if (packet->number > candidate->highest)
        advance(candidate, packet->number);
    else
        come_late(candidate, packet->number);
    if (came(candidate, packet->number - 1) || came(candidate, packet->number + 1)) {
        packet->missing = missing_in(candidate);
        packet->verdict = believe_candidate(stream);
    }
}

/* The last packet leapt far ahead, and this one goes on where the sequence was before: the leap
 * was a stray. Without this one damaged number would be up to 3000 losses and a restart. */
static bool
take_leap_back(ft_sequence *stream, uint16_t sequence)
{
    if (!is_near(&stream->before_leap, sequence))
        return false;
    stream->run = stream->before_leap;
    stream->done.strays++;
    return true;
}

/* A packet of the believed sequence. A step of more than 100 might be a stray: the state before
 * it is kept until the next packet tells. */
static void
follow_run(ft_sequence *stream, uint16_t sequence, ft_sequence_packet *packet)
{
    ft_sequence_run *run = &stream->run;

    packet->number = extend(run, sequence);
    if (came(run, packet->number)) {
        packet->verdict = FT_SEQUENCE_TWIN;
        stream->done.twins++;
        return;
    }
    if (packet->number > run->highest + FT_SEQUENCE_MAX_MISORDER)
        stream->before_leap = *run;
    else
        stream->before_leap.base = 0;
    if (packet->number > run->highest) {
        packet->missing = advance(run, packet->number);
        packet->verdict = FT_SEQUENCE_NEXT;
    } else {
        come_late(run, packet->number);
        packet->verdict = FT_SEQUENCE_LATE;
    }
}

/* A number's first packet has the place of its number, its newest twin the one half a window on:
 * a copy is either. FEC parity packets reuse the number of their last source packet (36 of 36 in
 * the Wi-Fi call of 2023), hence a place of its own for the twin. */
static uint8_t
place_of(uint16_t sequence, bool twin)
{
    return (uint8_t)((sequence + (twin ? FT_SEQUENCE_WINDOW / 2 : 0)) % FT_SEQUENCE_WINDOW);
}

/* Twice as many slots; what is in them goes where its place is now. A flood of streams with a
 * packet each so costs 8 slots a stream, not 256. */
static void
widen(ft_sequence *stream, ft_grow grow)
{
    const unsigned before = stream->room, room = before ? 2 * before : FEWEST_SLOTS;

    stream->slots = (ft_sequence_slot *)grow(stream->slots, room * sizeof *stream->slots);
    memset(stream->slots + before, 0, (room - before) * sizeof *stream->slots);
    stream->room = (uint16_t)room;
    for (unsigned i = 0; i < before; i++) {
        ft_sequence_slot *slot = &stream->slots[i], *there = &stream->slots[slot->place % room];
        if (slot->used && there != slot) {
            *there = *slot;
            slot->used = false;
        }
    }
}

/* Few slots serve as the whole window does as long as no two places meet. */
static ft_sequence_slot *
slot_for(ft_sequence *stream, uint8_t place, ft_grow grow)
{
    for (;;) {
        ft_sequence_slot *slot = stream->room ? &stream->slots[place % stream->room] : NULL;
        if (slot && (!slot->used || slot->place == place))
            return slot;
        widen(stream, grow);
    }
}

static bool
slot_holds(const ft_sequence_slot *slot, uint16_t sequence, uint32_t digest)
{
    return slot->used && slot->sequence == sequence && slot->digest == digest;
}

/* A copy moves nothing: its number was judged when it came first. */
static void
count_copy(ft_sequence *stream, uint16_t sequence, ft_sequence_packet *packet)
{
    const ft_sequence_run *run =
        is_near(&stream->run, sequence) ? &stream->run : &stream->candidate;

    packet->verdict = FT_SEQUENCE_COPY;
    packet->number = is_near(run, sequence) ? extend(run, sequence) : 0;
    stream->done.copies++;
}

/* A copy is looked for first, whatever sequence its number fits: it must not begin one. */
ft_sequence_packet
ft_sequence_add(ft_sequence *stream, uint16_t sequence, uint32_t digest, ft_grow grow)
{
    ft_sequence_packet packet = { .verdict = FT_SEQUENCE_UNPROVEN };

    for (int twin = 0; twin < 2 && stream->room; twin++) {
        ft_sequence_slot *slot = &stream->slots[place_of(sequence, twin) % stream->room];
        if (slot_holds(slot, sequence, digest)) {
            packet.mark = &slot->mark;
            count_copy(stream, sequence, &packet);
            return packet;
        }
    }
    if (is_near(&stream->run, sequence) || take_leap_back(stream, sequence))
        follow_run(stream, sequence, &packet);
    else
        try_candidate(stream, sequence, &packet);

    const uint8_t place = place_of(sequence, packet.verdict == FT_SEQUENCE_TWIN);
    ft_sequence_slot *slot = slot_for(stream, place, grow);
    *slot =
        (ft_sequence_slot){ .digest = digest, .sequence = sequence, .place = place, .used = true };
    packet.mark = &slot->mark;
    return packet;
}

const ft_sequence_mark *
ft_sequence_find(const ft_sequence *stream, uint16_t sequence, uint32_t digest)
{
    for (int twin = 0; twin < 2 && stream->room; twin++) {
        const ft_sequence_slot *slot = &stream->slots[place_of(sequence, twin) % stream->room];
        if (slot_holds(slot, sequence, digest))
            return &slot->mark;
    }
    return NULL;
}

void
ft_sequence_marks(const ft_sequence *stream, ft_sequence_visitor visit, void *user)
{
    for (unsigned i = 0; i < stream->room; i++) {
        if (stream->slots[i].used)
            visit(stream->slots[i].sequence, &stream->slots[i].mark, user);
    }
}

ft_sequence_counts
ft_sequence_count(const ft_sequence *stream)
{
    ft_sequence_counts counts = stream->done;

    add_run(&counts, stream->run);
    if (!exists(&stream->run) && packets_of(&stream->candidate) > 1)
        /* all that there is of the stream, and its numbers agree */
        add_run(&counts, stream->candidate);
    else
        counts.strays += packets_of(&stream->candidate);
    return counts;
}

/* Video's packets of several pictures may swap, so a step back is an earlier time, not a wrap. */
int64_t
ft_timestamp_extend(ft_timestamps *stream, uint32_t timestamp)
{
    const int32_t step = (int32_t)(timestamp - (uint32_t)stream->highest);
    const int64_t extended = stream->started ? stream->highest + step : timestamp;

    if (!stream->started || extended > stream->highest)
        stream->highest = extended;
    stream->started = true;
    return extended;
}
