/* calls/histogram.h
 * How values are spread, in bounded memory: each of the first 128 has a bin of its own, above there are 64 bins an octave, so
 * what is read back is off by less than 0.4 %. Pure C, no Wireshark in it; tests: test_clock.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_HISTOGRAM_H
#define FT_HISTOGRAM_H

#include <stdint.h>

#define FT_HISTOGRAM_OCTAVES 15                     /* above the exact part; values from 2^22 on fall into the last bin */
#define FT_HISTOGRAM_BINS    (128 + 64 * FT_HISTOGRAM_OCTAVES)

/* All zero: empty. About 4.3 KiB. */
typedef struct {
    uint32_t total;
    uint32_t least;     /* exact; of no meaning while total is 0 */
    uint32_t bins[FT_HISTOGRAM_BINS];
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

static inline void
ft_histogram_add(ft_histogram *histogram, uint32_t value)
{
    if (histogram->total == 0 || value < histogram->least)
        histogram->least = value;
    histogram->total++;
    histogram->bins[ft_histogram_bin(value)]++;
}

/* The value that this share (0 to 1) of all values is not above; 0 of none. The median of an even number is the lower. */
static inline uint32_t
ft_histogram_at(const ft_histogram *histogram, double share)
{
    double wanted = share * histogram->total, seen = 0;

    for (unsigned bin = 0; bin < FT_HISTOGRAM_BINS; bin++) {
        seen += histogram->bins[bin];
        if (seen > 0 && seen >= wanted)
            return ft_histogram_value(bin);
    }
    return 0;
}

#endif
