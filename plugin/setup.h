/* plugin/setup.h
 * What calls/reveal.h and calls/quality.h know of a call, as JSON: for the reports on calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SETUP_H
#define FT_SETUP_H

#include "plugin/report.h"

/* start_time, clock, capture_points, setup, pairs, addresses, sdp, findings: members of the
 * call's object. */
void json_call_quality(json_dumper *json, wmem_allocator_t *scope, const ft_call *call);

#endif
