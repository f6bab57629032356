/* plugin/rules.c
 *
 *    what calls/ and the streams' quality know at draw time     plugin/view.h
 *    what only all packets tell (cut ones, copies, directions)  calls/witness.h
 *    one row a finding: code, severity, rule                    plugin/rules.h
 *    the rules                                                  rules_media.c, rules_call.c
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


/* ---- a stream, second by second ---- */

stream_rows
view_rows(const view *v, const ft_stream *stream)
{
    wmem_array_t *rows = wmem_array_new(v->scope, sizeof(ft_second));
    const ft_quality *quality = stream->quality;

    ft_quality_series(quality, rows);
    return (stream_rows){ stream, quality, quality->medium == FT_MEDIUM_VIDEO ? "video" : "audio",
                          (const ft_second *)wmem_array_get_raw(rows), wmem_array_get_count(rows) };
}

/* ---- the table ---- */

#define CALL_ROW(code, severity, rule)   { code, severity, rule_##rule, NULL },
#define STREAM_ROW(code, severity, rule) { code, severity, NULL, rule_##rule },
static const rule rules[] = { FT_RULES(CALL_ROW, STREAM_ROW) };

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
        const stream_rows s = view_rows(v, stream);
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
