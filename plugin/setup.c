/* plugin/setup.c
 * tshark -q -z facetime,pairs[,json][,filter]  each call's set-up: steps, candidate pairs,
 *                                              addresses
 *
 * And the same as members of a call in -z facetime,calls,json. A filter leaves the calls of the
 * packets that pass it.
 *
 *    step       seconds since the call's first packet, frame      one row each that was reached
 *    pair       local, remote, checks, answered, round trip        those with something to tell
 *    address    what it is, where it stood first
 *    relay      server, channels, allocations (JSON alone)
 *
 * Steps and answers are told as they were seen. What hangs on the clock is left out where frame
 * times can't be believed: round trips unless it is good, seconds where it is batched (a call too
 * short for a verdict has seconds).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/findings.h"
#include "plugin/setup.h"
#include "plugin/words.h"

#include "calls/frame.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/reveal.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>
#include <epan/to_str.h>

#define SECOND 1e6

typedef struct {
    bool json, filtered;
    GHashTable *calls;       /* of ft_call, that packets which passed the filter belong to */
    wmem_allocator_t *scope; /* of texts, while it is drawn */
} setup_report;

static void
setup_reset(void *data)
{
    g_hash_table_remove_all(((setup_report *)data)->calls);
}

/* Only noted: of which call it turns out to be is known at the end. */
static tap_packet_status
setup_packet(void *data, packet_info *pinfo _U_, epan_dissect_t *edt _U_, const void *tapped,
             tap_flags_t flags _U_)
{
    setup_report *report = (setup_report *)data;
    const ft_packet *packet = (const ft_packet *)tapped;

    if (!report->filtered || !packet->call)
        return TAP_PACKET_DONT_REDRAW;
    g_hash_table_add(report->calls, packet->call);
    return TAP_PACKET_REDRAW;
}

/* ---- what a call is ---- */

/* The 5-tuples of the call's relays: those that its set-up, and its media, went through. Media's
 * own ways too: where the set-up wasn't captured, they are all that tells of a relay. */
static wmem_array_t *
relays_of(wmem_allocator_t *scope, const ft_call *call, const ft_reveals *known)
{
    wmem_array_t *ways = wmem_array_new(scope, sizeof(const ft_flow *));
    wmem_array_t *flows = wmem_array_new(scope, sizeof(const ft_flow *));

    for (unsigned i = 0; known->relays && i < wmem_array_get_count(known->relays); i++)
        wmem_array_append(ways, wmem_array_index(known->relays, i), 1);
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        for (unsigned j = 0; j < stream->way_count; j++)
            if (stream->ways[j])
                wmem_array_append_one(ways, stream->ways[j]->flow);
    }
    for (unsigned i = 0; i < wmem_array_get_count(ways); i++) {
        const ft_flow *flow = *(const ft_flow **)wmem_array_index(ways, i);
        bool is_new = flow->server != NULL;
        for (unsigned j = 0; is_new && j < wmem_array_get_count(flows); j++)
            is_new = *(const ft_flow **)wmem_array_index(flows, j) != flow;
        if (is_new)
            wmem_array_append_one(flows, flow);
    }
    return flows;
}

/* A channel may have been of several calls, one after the other. */
static bool
is_leg_of(const ft_leg *leg, const ft_call *call)
{
    for (unsigned i = 0; leg->calls && i < wmem_array_get_count(leg->calls); i++) {
        const ft_call_span *span = (const ft_call_span *)wmem_array_index(leg->calls, i);
        if (span->call && ft_call_as_of(span->call, UINT32_MAX) == call)
            return true;
    }
    return false;
}

/* Allocations that the device asked for there. */
static unsigned
allocations_of(const ft_flow *flow, const ft_call *call)
{
    unsigned count = 0;

    for (unsigned i = 0; flow->allocations && i < wmem_array_get_count(flow->allocations); i++) {
        const ft_allocation *allocation =
            *(const ft_allocation **)wmem_array_index(flow->allocations, i);
        count += allocation->call && ft_call_as_of(allocation->call, UINT32_MAX) == call;
    }
    return count;
}

/* A pair with something to tell. Through a relay's channel a check makes a pair; one that nothing
 * came of tells nothing. */
bool
ft_pair_listed(const ft_pair *pair)
{
    return ft_pair_sent(pair) || ft_pair_answered(pair) || pair->media_packets;
}

/* "192.0.2.1:16402", or the address alone. Who is named without a port is named so on the wire,
 * as in SDP's o= line. */
static const char *
address_text(wmem_allocator_t *scope, const ft_endpoint *endpoint)
{
    return endpoint->port ? ft_endpoint_str(scope, endpoint)
                          : address_to_str(scope, &endpoint->addr);
}

/* ---- as JSON ---- */

/* How long after the first packet, of another sender perhaps: not by batched frame times. */
static bool
has_seconds(const ft_call *call, unsigned step)
{
    return step == FT_SETUP_FIRST_PACKET || !call_clock_is_batched(call);
}

static double
seconds_after(const ft_reveals *known, unsigned step)
{
    return (double)(known->setup[step].time - known->setup[FT_SETUP_FIRST_PACKET].time) / SECOND;
}

/* All steps, null where one wasn't seen: who reads it needs no list of them. Modern calls have no
 * SIP. */
static void
json_setup(json_dumper *json, const ft_call *call, const ft_reveals *known)
{
    json_dumper_set_member_name(json, "setup");
    json_dumper_begin_object(json);
    for (unsigned step = 0; step < FT_SETUP_COUNT; step++) {
        if (!known->setup[step].frame) {
            json_null(json, ft_setup_names[step]);
            continue;
        }
        json_dumper_set_member_name(json, ft_setup_names[step]);
        json_dumper_begin_object(json);
        if (has_seconds(call, step))
            json_seconds(json, "seconds", seconds_after(known, step));
        else
            json_null(json, "seconds");
        json_number(json, "frame", ft_frame_number(known->setup[step].frame));
        json_dumper_end_object(json);
    }
    json_dumper_end_object(json);
}

static void
json_checks(json_dumper *json, const char *name, const ft_pair_checks *checks)
{
    json_dumper_set_member_name(json, name);
    json_dumper_begin_object(json);
    json_number(json, "sent", checks->sent);
    json_number(json, "answered", checks->answered);
    json_dumper_end_object(json);
}

/* Round trip in ms, the least of the local end's checks: the others wait for the far end's
 * set-up. */
static void
json_pair(json_dumper *json, wmem_allocator_t *scope, const ft_pair *pair, bool clock_is_good)
{
    json_dumper_begin_object(json);
    json_string(json, "local", ft_endpoint_str(scope, &pair->local));
    json_string(json, "remote", ft_endpoint_str(scope, &pair->remote));
    json_number(json, "sent", ft_pair_sent(pair));
    json_number(json, "answered", ft_pair_answered(pair));
    json_checks(json, "out", &pair->checks[true]);
    json_checks(json, "in", &pair->checks[false]);
    json_number(json, "first_frame", ft_frame_number(pair->first_frame));
    json_number(json, "last_frame", ft_frame_number(pair->last_frame));
    if (pair->has_rtt && clock_is_good)
        json_decimal(json, "rtt", (double)pair->rtt / 1000);
    else
        json_null(json, "rtt");
    json_dumper_set_member_name(json, "nominated");
    json_dumper_value_anyf(json, "%s", pair->nominated ? "true" : "false");
    json_number(json, "media_packets", pair->media_packets);
    json_dumper_end_object(json);
}

static void
json_pairs(json_dumper *json, wmem_allocator_t *scope, const ft_reveals *known, bool clock_is_good)
{
    json_dumper_set_member_name(json, "pairs");
    json_dumper_begin_array(json);
    for (unsigned i = 0; known->pairs && i < wmem_array_get_count(known->pairs); i++) {
        const ft_pair *pair = *(const ft_pair **)wmem_array_index(known->pairs, i);
        if (ft_pair_listed(pair))
            json_pair(json, scope, pair, clock_is_good);
    }
    json_dumper_end_array(json);
}

/* One address may be here as several things, each with the frame that said so first. */
static void
json_addresses(json_dumper *json, wmem_allocator_t *scope, const ft_reveals *known)
{
    json_dumper_set_member_name(json, "addresses");
    json_dumper_begin_array(json);
    for (unsigned i = 0; known->addresses && i < wmem_array_get_count(known->addresses); i++) {
        const ft_revealed *revealed = (const ft_revealed *)wmem_array_index(known->addresses, i);
        json_dumper_begin_object(json);
        json_string(json, "address", address_text(scope, &revealed->address));
        json_string(json, "what", revealed->what);
        json_number(json, "frame", ft_frame_number(revealed->frame));
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
}

/* Modern media are in one channel, which nobody binds. */
static bool
has_modern_media(const ft_flow *flow, const ft_call *call)
{
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        for (unsigned j = 0; j < stream->way_count; j++) {
            if (stream->ways[j] == &flow->direct && flow->generation == FT_MODERN)
                return true;
        }
    }
    return false;
}

/* A channel number once, however often it was bound. */
static void
json_channels(json_dumper *json, const ft_flow *flow, const ft_call *call)
{
    json_dumper_set_member_name(json, "channels");
    json_dumper_begin_array(json);
    if (has_modern_media(flow, call))
        json_dumper_value_anyf(json, "%u", ft_relay_channel);
    for (unsigned i = 0; flow->legs && i < wmem_array_get_count(flow->legs); i++) {
        const ft_leg *leg = *(const ft_leg **)wmem_array_index(flow->legs, i);
        bool is_new = leg->channel && is_leg_of(leg, call);
        for (unsigned j = 0; is_new && j < i; j++) {
            const ft_leg *before = *(const ft_leg **)wmem_array_index(flow->legs, j);
            is_new = before->channel != leg->channel || !is_leg_of(before, call);
        }
        if (is_new)
            json_dumper_value_anyf(json, "%u", leg->channel);
    }
    json_dumper_end_array(json);
}

/* A modern relay is asked inside QUIC: it has channels, and no allocation in sight. */
static void
json_relays(json_dumper *json, wmem_allocator_t *scope, const ft_call *call,
            const ft_reveals *known)
{
    wmem_array_t *flows = relays_of(scope, call, known);

    json_dumper_set_member_name(json, "relay");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < wmem_array_get_count(flows); i++) {
        const ft_flow *flow = *(const ft_flow **)wmem_array_index(flows, i);
        json_dumper_begin_object(json);
        json_string(json, "server", ft_endpoint_str(scope, flow->server));
        json_channels(json, flow, call);
        json_number(json, "allocations", allocations_of(flow, call));
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
}

/* A body is a stranger's: fit to be shown, its line ends kept. */
static void
json_sdps(json_dumper *json, wmem_allocator_t *scope, const ft_reveals *known)
{
    json_dumper_set_member_name(json, "sdp");
    json_dumper_begin_array(json);
    for (unsigned i = 0; known->sdps && i < wmem_array_get_count(known->sdps); i++) {
        const ft_sdp_text *sdp = (const ft_sdp_text *)wmem_array_index(known->sdps, i);
        json_dumper_begin_object(json);
        json_number(json, "frame", ft_frame_number(sdp->frame));
        json_string(json, "role", sdp->role);
        json_string(json, "text", printable_lines(scope, sdp->text));
        json_dumper_end_object(json);
    }
    json_dumper_end_array(json);
}

/* The same members as a record of facetime,pairs, and what hangs on the whole file. */
void
json_call_quality(json_dumper *json, wmem_allocator_t *scope, const ft_call *call)
{
    const ft_reveals *known = ft_reveals_of(scope, call);
    const bool clock_is_good = call_clock_is_good(call);

    json_time(json, "start_time",
              known->setup[FT_SETUP_FIRST_PACKET].frame ? known->setup[FT_SETUP_FIRST_PACKET].time
                                                        : -1);
    json_string(json, "clock", clock_is_good ? "capture" : "media");
    json_number(json, "capture_points", ft_call_points(call));
    json_setup(json, call, known);
    json_pairs(json, scope, known, clock_is_good);
    json_addresses(json, scope, known);
    json_relays(json, scope, call, known);
    json_sdps(json, scope, known);
    json_findings(json, scope, call);
}

/* By the functions of json_call_quality, so that both records say the same of a call. */
static void
json_report(json_dumper *json, const setup_report *report, const ft_call *call)
{
    const ft_reveals *known = ft_reveals_of(report->scope, call);

    json_dumper_begin_object(json);
    json_number(json, "schema", FT_SCHEMA);
    json_number(json, "call", call->number);
    json_setup(json, call, known);
    json_pairs(json, report->scope, known, call_clock_is_good(call));
    json_addresses(json, report->scope, known);
    json_relays(json, report->scope, call, known);
    json_limits(json, call->last_frame);
    json_dumper_end_object(json);
}

/* ---- as text ---- */

/* In the order of a call, not of time: what came out of order shows by its seconds. */
static void
print_setup(wmem_allocator_t *scope, const ft_call *call, const ft_reveals *known)
{
    printf("  %-20s %10s %9s\n", "Step", "Seconds", "Frame");
    for (unsigned step = 0; step < FT_SETUP_COUNT; step++) {
        if (known->setup[step].frame)
            printf("  %-20s %10s %9u\n", ft_setup_names[step],
                   has_seconds(call, step)
                       ? wmem_strdup_printf(scope, "%.3f", seconds_after(known, step))
                       : "-",
                   ft_frame_number(known->setup[step].frame));
    }
}

/* The GUI's table has the same cells, so that both say the same. */
void
ft_pair_cells(wmem_allocator_t *scope, const ft_pair *pair, bool clock_is_good, const char **cells)
{
    const char *const row[FT_PAIR_CELLS] = {
        ft_endpoint_str(scope, &pair->local),
        ft_endpoint_str(scope, &pair->remote),
        pair->relayed ? "relay" : "direct",
        wmem_strdup_printf(scope, "%u", ft_pair_sent(pair)),
        wmem_strdup_printf(scope, "%u", ft_pair_answered(pair)),
        wmem_strdup_printf(scope, "%u", ft_frame_number(pair->first_frame)),
        wmem_strdup_printf(scope, "%u", ft_frame_number(pair->last_frame)),
        pair->has_rtt && clock_is_good ? wmem_strdup_printf(scope, "%.1f", (double)pair->rtt / 1000)
                                       : "-",
        wmem_strdup_printf(scope, "%u", pair->media_packets),
        pair->nominated ? "yes" : "-",
    };

    memcpy(cells, row, sizeof row);
}

static void
print_pairs(wmem_allocator_t *scope, const ft_reveals *known, bool clock_is_good)
{
    static const table_column columns[] = {
        { "  Local", false }, { "Remote", false }, { "Way", false }, { "Checks", true },
        { "Answered", true }, { "First", true },   { "Last", true }, { "RTT ms", true },
        { "Media", true },    { "Nom.", false },
    };
    enum { COLUMNS = G_N_ELEMENTS(columns) };
    G_STATIC_ASSERT(COLUMNS == FT_PAIR_CELLS);
    wmem_array_t *cells = wmem_array_new(scope, sizeof(const char *));

    for (unsigned j = 0; j < COLUMNS; j++)
        wmem_array_append_one(cells, columns[j].title);
    for (unsigned i = 0; known->pairs && i < wmem_array_get_count(known->pairs); i++) {
        const ft_pair *pair = *(const ft_pair **)wmem_array_index(known->pairs, i);
        const char *row[COLUMNS];
        ft_pair_cells(scope, pair, clock_is_good, row);
        row[0] = wmem_strdup_printf(scope, "  %s", row[0]);
        if (ft_pair_listed(pair))
            wmem_array_append(cells, row, COLUMNS);
    }
    const char **raw = (const char **)wmem_array_get_raw(cells);
    const unsigned rows = wmem_array_get_count(cells) / COLUMNS;
    fit_column(scope, COLUMNS, raw, rows, 1, 21);
    fit_column(scope, COLUMNS, raw, rows, 0, 23);
    if (rows > 1)
        print_table(columns, COLUMNS, raw, rows);
}

/* 47: the longest IPv6 address in brackets, with its port; 17: "peer of the relay". */
static void
print_addresses(wmem_allocator_t *scope, const ft_reveals *known)
{
    for (unsigned i = 0; known->addresses && i < wmem_array_get_count(known->addresses); i++) {
        const ft_revealed *revealed = (const ft_revealed *)wmem_array_index(known->addresses, i);
        printf("  %-47s  %-17s  frame %u\n", address_text(scope, &revealed->address),
               revealed->what, ft_frame_number(revealed->frame));
    }
}

static void
print_call(wmem_allocator_t *scope, const ft_call *call)
{
    const ft_reveals *known = ft_reveals_of(scope, call);

    printf("\nCall %u, %s: %s <-> %s\n", call->number,
           val_to_str_const(call->generation, ft_generation_vals, "unknown"),
           ft_endpoint_str(scope, &call->local), ft_endpoint_str(scope, &call->remote));
    print_setup(scope, call, known);
    print_pairs(scope, known, call_clock_is_good(call));
    print_addresses(scope, known);
}

/* ---- the option -z ---- */

/* A call that was found to be this one later may be what the packet that passed was in. */
static bool
wants(const setup_report *report, const ft_call *call)
{
    if (call->merged_into)
        return false;
    if (!report->filtered || g_hash_table_contains(report->calls, call))
        return true;
    for (unsigned number = call->number; number <= ft_call_total(); number++) {
        const ft_call *part = ft_call_by_number(number);
        if (g_hash_table_contains(report->calls, part) && ft_call_as_of(part, UINT32_MAX) == call)
            return true;
    }
    return false;
}

/* Each call when all packets were seen, so that each has what hindsight and merges brought. */
static void
setup_draw(void *data)
{
    setup_report *report = (setup_report *)data;
    json_dumper json = { .output_file = stdout, .flags = JSON_DUMPER_FLAGS_PRETTY_PRINT };

    report->scope = wmem_allocator_new(WMEM_ALLOCATOR_BLOCK);
    if (report->json) {
        json_dumper_begin_array(&json);
    } else {
        printf("\nFaceTime set-up (seconds since the call's first packet; checks of both "
               "directions; round trip: the least)\n");
        print_limits();
    }
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants(report, call))
            continue;
        if (report->json)
            json_report(&json, report, call);
        else
            print_call(report->scope, call);
    }
    if (report->json) {
        json_dumper_end_array(&json);
        json_dumper_finish(&json);
    }
    wmem_destroy_allocator(report->scope);
}

static ws_stat_start
setup_start(const char *option, void *user_data _U_)
{
    setup_report *report = g_new0(setup_report, 1);
    const char *filter = report_filter(option, &report->json);

    report->calls = g_hash_table_new(g_direct_hash, g_direct_equal);
    report->filtered = filter != NULL;

    GString *error = register_tap_listener("facetime", report, filter, TL_REQUIRES_NOTHING,
                                           setup_reset, setup_packet, setup_draw, NULL);
    if (error) {
        fprintf(stderr, "%s: %s\n", option, error->str);
        g_string_free(error, TRUE);
        WS_STAT_NOT_STARTED;
    }
    WS_STAT_STARTED;
}

static stat_tap_ui pairs_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,pairs", setup_start, 0, NULL
};

void
register_tap_listener_facetime_setup(void)
{
    register_stat_tap_ui(&pairs_ui, NULL);
}
