/* plugin/streams.h
 * What the reports on calls take from the report on streams.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STREAMS_H
#define FT_STREAMS_H

#include "calls/quality.h"

/* What round trips rest on, in order of what they are worth; unit: milliseconds. basis NULL:
 * none are known. */
typedef struct {
    const char         *basis;
    const ft_histogram *samples;
    double              unit;
} round_trips;

round_trips round_trips_of(wmem_allocator_t *scope, const ft_call *call, const ft_quality *quality);

#endif
