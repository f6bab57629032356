/* plugin/setup.h
 * What calls/reveal.h and calls/quality.h know of a call, as JSON: for the reports on calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SETUP_H
#define FT_SETUP_H

#include "plugin/report.h"

/* True where the frame times of the call's media can be believed. */
bool call_clock_is_good(const ft_call *call);

/* True where they are batched, which makes them of no use. */
bool call_clock_is_batched(const ft_call *call);

/* start_time, clock, capture_points, setup, pairs, addresses, sdp, findings: members of the call's object. */
void json_call_quality(json_dumper *json, wmem_allocator_t *scope, const ft_call *call);

#endif
