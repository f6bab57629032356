/* plugin/rules.h
 * The findings: one row each, with its code, its severity and the rule that gives it
 * (docs/findings.md). The rules are asked in this order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RULES_H
#define FT_RULES_H

#include "calls/quality.h"
#include "plugin/view.h"

/* CALL rows are asked once a call, STREAM rows of each of its streams: X(code, severity, rule) */
#define FT_RULES(CALL, STREAM) \
    CALL("relay_only", "note", relay_only) \
    CALL("direct_after", "note", direct_after) \
    CALL("path_flaps", "warning", path_flaps) \
    CALL("one_way_media", "warning", one_way_media) \
    CALL("peer_silent", "warning", peer_silent) \
    CALL("no_media", "warning", no_media) \
    STREAM("network_loss", "warning", network_loss) \
    STREAM("bursty_loss", "warning", bursty_loss) \
    STREAM("freezes", "warning", freezes) \
    STREAM("low_frame_rate", "warning", low_frame_rate) \
    STREAM("bitrate_drop", "warning", bitrate_drop) \
    STREAM("long_round_trip", "warning", long_round_trip) \
    CALL("slow_setup", "warning", slow_setup) \
    CALL("broken_off", "warning", broken_off) \
    CALL("broken_off", "note", ended_unseen) \
    CALL("restarted", "warning", restarted) \
    CALL("refused", "note", refused) \
    CALL("cancelled", "note", cancelled) \
    CALL("busy", "note", busy) \
    CALL("unanswered_bye", "warning", unanswered_bye) \
    CALL("hung_up", "note", hung_up) \
    CALL("handover", "note", handover) \
    CALL("nat", "note", nat) \
    CALL("cleartext", "note", cleartext) \
    CALL("capture_clock_batched", "note", capture_clock_batched) \
    CALL("capture_cut", "note", capture_cut) \
    CALL("begins_in_call", "note", begins_in_call) \
    CALL("ends_in_call", "note", ends_in_call) \
    CALL("seen_twice", "note", seen_twice) \
    CALL("one_direction", "note", one_direction)

/* Of a call's stream, and its series: rows without packets are not in it. */
typedef struct {
    const ft_stream  *stream;
    const ft_quality *quality;
    const char       *medium;
    const ft_second  *rows;
    unsigned          row_count;
} stream_rows;

stream_rows view_rows(const view *v, const ft_stream *stream);

/* True: the rule has something to say. */
#define FT_CALL_RULE(code, severity, rule)   bool rule_##rule(const view *v, finding *out);
#define FT_STREAM_RULE(code, severity, rule) \
    bool rule_##rule(const view *v, const stream_rows *s, finding *out);
FT_RULES(FT_CALL_RULE, FT_STREAM_RULE)

typedef struct {
    const char *code, *severity;
    bool (*of_call)(const view *v, finding *out);
    bool (*of_stream)(const view *v, const stream_rows *s, finding *out);
} rule;

typedef void (*finding_writer)(const rule *kind, const finding *found, void *user);

/* Hands the call's findings to the writer, in the order of the table. Texts live in scope. */
void judge(wmem_allocator_t *scope, const ft_call *call, finding_writer write, void *user);

#endif
