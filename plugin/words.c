/* plugin/words.c
 * A call in words and in a few numbers, as tables, texts and JSON have it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/words.h"

#include "calls/quality.h"
#include "calls/witness.h"

const char *
ft_generation_text(const ft_call *call)
{
    return call->no_call_from ? "gamekit"
                              : val_to_str_const(call->generation, ft_generation_vals, "unknown");
}

/* The packet that said so may be one that the capture cut. */
static bool
may_be_answered(const ft_call *call)
{
    return (call->outcome == FT_OUTCOME_NONE || call->outcome == FT_OUTCOME_HUNG_UP) &&
           ft_witness_of(call).cut;
}

const char *
ft_state_text(const ft_call *call)
{
    const bool has_media =
        call->media_packets[FT_PATH_DIRECT] + call->media_packets[FT_PATH_RELAY] > 0;

    if (call->no_call_from)
        return "no call";
    if (!call->seen)
        return "ICE only";
    if (call->was_answered)
        return "answered";
    /* An answer that the capture cut before its Call-ID is nobody's: media both ways tells. */
    if (call->invite_frame && !ft_call_talks_both_ways(call) && !may_be_answered(call))
        return call->state == FT_CALL_ENDED ? "not answered" : "ringing";
    if (has_media)
        return "media";
    if (call->invite_frame && call->state != FT_CALL_ENDED)
        return "ringing";
    return call->state == FT_CALL_ENDED ? "ended" : "set-up only";
}

const char *
ft_end_text(const ft_call *call)
{
    return call->end_reason ? call->end_reason : "not in this file";
}

/* "relay+direct": the ways of media. */
const char *
ft_paths_text(wmem_allocator_t *scope, const ft_call *call)
{
    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");

    for (unsigned path = FT_PATH_RELAY; path <= FT_PATH_DIRECT; path++) {
        if (call->media_packets[path])
            wmem_strbuf_append_printf(text, "%s%s", wmem_strbuf_get_len(text) ? "+" : "",
                                      val_to_str_const(path, ft_path_vals, "?"));
    }
    return wmem_strbuf_get_len(text) ? wmem_strbuf_get_str(text) : "-";
}

uint32_t
ft_lost_packets(const ft_stream *stream)
{
    return ft_sequence_count(&stream->sequence).lost;
}

const char *
ft_lost_text(wmem_allocator_t *scope, const ft_call *call)
{
    unsigned lost = 0, untold = ft_count_of(call->quic_streams), told = 0;

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        untold += stream->is_cut;
        told += !stream->is_cut;
        lost += stream->is_cut ? 0 : ft_lost_packets(stream);
    }
    return untold && !told ? "-" : wmem_strdup_printf(scope, "%u", lost);
}

unsigned
ft_count_of(const wmem_array_t *list)
{
    return list ? wmem_array_get_count((wmem_array_t *)list) : 0;
}

/* Which end sent the INVITE. */
const char *
ft_offerer_text(wmem_allocator_t *scope, const ft_call *call)
{
    if (call->offerer.addr.type == AT_NONE)
        return "-";
    if (ft_endpoint_equal(&call->offerer, &call->local))
        return "local";
    return ft_endpoint_equal(&call->offerer, &call->remote)
               ? "remote"
               : ft_endpoint_str(scope, &call->offerer);
}

double
ft_call_duration(const ft_call *call)
{
    const nstime_t length = ft_passed(&call->begin_time, ft_call_last_time(call));

    return nstime_to_sec(&length);
}

/* Whether any, or each, of the call's streams with a verdict has this one. */
static bool
clock_has(const ft_call *call, ft_clock_verdict wanted, bool each)
{
    unsigned have = 0, judged = 0;

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        const ft_clock_verdict verdict =
            stream->quality ? ft_quality_clock(stream->quality) : FT_CLOCK_UNKNOWN;
        judged += verdict != FT_CLOCK_UNKNOWN;
        have += verdict == wanted;
    }
    return have && (!each || have == judged);
}

bool
call_clock_is_good(const ft_call *call)
{
    return clock_has(call, FT_CLOCK_GOOD, true);
}

bool
call_clock_is_batched(const ft_call *call)
{
    return clock_has(call, FT_CLOCK_BATCHED, false);
}
