/* calls/measures.c
 * One value more in a histogram, while there is room for histograms. The median, percentiles and
 * their like come out of the bins (calls/histogram.h), so no single value is kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/measures.h"
#include "calls/grow.h"
#include "calls/limits.h"

static unsigned histogram_total;

static void
reset(void)
{
    histogram_total = 0;
}

void
ft_measures_init(void)
{
    register_init_routine(reset);
}

void
ft_measure(packet_info *pinfo, ft_histogram **histogram, uint32_t value)
{
    if (!*histogram) {
        if (!ft_has_room(pinfo, FT_LIMIT_HISTOGRAMS, histogram_total))
            return;
        histogram_total++;
        *histogram = wmem_new0(wmem_file_scope(), ft_histogram);
    }
    ft_histogram_add(*histogram, value, ft_grow_of_file);
}
