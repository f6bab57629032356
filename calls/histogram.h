/* calls/histogram.h
 * How values are spread, in bounded memory: each of the first 128 has a bin of its own, above
 * there are 64 bins an octave, so what is read back is off by less than 0.4 %. Pure C, no
 * Wireshark in it; tests: test_clock.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_HISTOGRAM_H
#define FT_HISTOGRAM_H

#include "calls/sequence.h"

#include <stdint.h>
#include <string.h>

/* above the exact part; values from 2^22 on fall into the last bin */
#define FT_HISTOGRAM_OCTAVES 15
#define FT_HISTOGRAM_FEWEST  8
#define FT_HISTOGRAM_BINS    (128 + 64 * FT_HISTOGRAM_OCTAVES)

typedef struct {
    uint32_t count;
    uint16_t bin;
} ft_histogram_entry;

/* All zero: empty. What is seen clusters: an entry for each bin that has any. */
typedef struct {
    uint32_t total;
    uint32_t least;     /* exact; of no meaning while total is 0 */
    uint16_t used, room;
    ft_histogram_entry *entries;    /* in order of bins; of grow's (calls/sequence.h) */
} ft_histogram;

static inline unsigned
ft_histogram_bin(uint32_t value)
{
    unsigned octave = 0;

    if (value < 128)
        return value;
    while (octave < FT_HISTOGRAM_OCTAVES && value >> (octave + 1) >= 64)
        octave++;
    value >>= octave;
    return 64 * octave + (value < 128 ? value : 127);
}

/* The middle of a bin. */
static inline uint32_t
ft_histogram_value(unsigned bin)
{
    const unsigned octave = bin < 128 ? 0 : bin / 64 - 1;

    return octave ? ((bin - 64 * octave) << octave) + (1u << octave) / 2 : bin;
}

/* Where the entry of a bin is, or belongs. */
static inline unsigned
ft_histogram_place(const ft_histogram *histogram, unsigned bin)
{
    unsigned low = 0, high = histogram->used;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        if (histogram->entries[middle].bin < bin)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline void
ft_histogram_add(ft_histogram *histogram, uint32_t value, ft_grow grow)
{
    const unsigned bin = ft_histogram_bin(value), place = ft_histogram_place(histogram, bin);
    ft_histogram_entry *entry;

    if (histogram->total == 0 || value < histogram->least)
        histogram->least = value;
    histogram->total++;
    if (place == histogram->used || histogram->entries[place].bin != bin) {
        if (histogram->used == histogram->room) {
            histogram->room =
                (uint16_t)(histogram->room ? 2 * histogram->room : FT_HISTOGRAM_FEWEST);
            histogram->entries = (ft_histogram_entry *)grow(
                histogram->entries, histogram->room * sizeof *histogram->entries);
        }
        entry = &histogram->entries[place];
        memmove(entry + 1, entry, (histogram->used - place) * sizeof *entry);
        histogram->used++;
        *entry = (ft_histogram_entry){ 0, (uint16_t)bin };
    }
    histogram->entries[place].count++;
}

/* One of its own, with the same values. */
static inline ft_histogram
ft_histogram_copy(const ft_histogram *histogram, ft_grow grow)
{
    ft_histogram copy = *histogram;

    if (!histogram->used)
        return (ft_histogram){ 0 };
    copy.room = copy.used;
    copy.entries = (ft_histogram_entry *)grow(NULL, copy.used * sizeof *copy.entries);
    memcpy(copy.entries, histogram->entries, copy.used * sizeof *copy.entries);
    return copy;
}

/* The value that this share (0 to 1) of all values is not above; 0 of none. The median of an
 * even number is the lower. */
static inline uint32_t
ft_histogram_at(const ft_histogram *histogram, double share)
{
    double wanted = share * histogram->total, seen = 0;

    for (unsigned i = 0; i < histogram->used; i++) {
        seen += histogram->entries[i].count;
        if (seen >= wanted)
            return ft_histogram_value(histogram->entries[i].bin);
    }
    return 0;
}

#endif
