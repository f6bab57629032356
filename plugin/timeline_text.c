/* plugin/timeline_text.c
 * -z facetime,calls and -z facetime,timeline as text: a table with one call a line, and each
 * call's story.
 *
 *    Call Version ... Local Remote Offer ... End      these four are cut where a line is full: an
 *                                                     IPv6 address with a port may have 47 letters
 *    binding_retransmitted  ... (and 41 more, to frame 980)       an event that a call has often
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/findings.h"
#include "plugin/report.h"
#include "plugin/timeline.h"
#include "plugin/words.h"

static const table_column columns[] = {
    { "Call", true },    { "Version", false }, { "Start", true },   { "Duration", true },
    { "Frames", false }, { "Local", false },   { "Remote", false }, { "Offer", false },
    { "State", false },  { "Paths", false },   { "Streams", true }, { "Lost", true },
    { "End", false },
};
enum { LOCAL = 5, REMOTE, OFFER, LAST = G_N_ELEMENTS(columns) - 1 };
#define COLUMNS G_N_ELEMENTS(columns)

typedef struct { const char *cell[COLUMNS]; } table_row;

static table_row
call_row(const report *wanted, const ft_call *call)
{
    wmem_allocator_t *scope = wanted->scope;

    return (table_row){ {
        wmem_strdup_printf(scope, "%u", call->number),
        ft_generation_text(call),
        wmem_strdup_printf(scope, "%.3f", ft_since_start(&call->first_time)),
        wmem_strdup_printf(scope, "%.3f", ft_call_duration(call)),
        wmem_strdup_printf(scope, "%u-%u", ft_frame_number(call->first_frame),
                           ft_frame_number(call->last_frame)),
        ft_endpoint_str(scope, &call->local),
        ft_endpoint_str(scope, &call->remote),
        ft_offerer_text(scope, call),
        ft_state_text(call),
        ft_paths_text(scope, call),
        wmem_strdup_printf(scope, "%u",
                           wmem_array_get_count(call->streams) + ft_count_of(call->quic_streams)),
        ft_lost_text(scope, call),
        ft_end_text(call),
    } };
}

/* What only the whole file tells: how its frame times are, and where it was made. Stock's RTP
 * streams take such times for the network's: what they call jitter is the capture's. */
static void
print_remarks(const report *wanted)
{
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants_call(wanted, call))
            continue;
        if (call_clock_is_batched(call))
            printf("Call %u: capture clock batched: don't trust frame times, nor what Wireshark's "
                   "RTP streams make of them\n",
                   number);
        if (ft_call_points(call) > 1)
            printf("Call %u: seen at %u points: what was seen before counts once (%u datagrams)\n",
                   number, ft_call_points(call), call->twice);
    }
}

/* The last column gives way first, then the addresses from the right: the frames and numbers
 * that filters are made of stay whole. */
void
print_calls(const report *wanted)
{
    wmem_array_t *rows = wmem_array_new(wanted->scope, sizeof(table_row));
    table_row row;

    for (unsigned j = 0; j < COLUMNS; j++)
        row.cell[j] = columns[j].title;
    wmem_array_append_one(rows, row);
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants_call(wanted, call))
            continue;
        row = call_row(wanted, call);
        wmem_array_append_one(rows, row);
    }
    const char **cells = (const char **)wmem_array_get_raw(rows);
    fit_column(wanted->scope, COLUMNS, cells, wmem_array_get_count(rows), LAST, 12);
    for (unsigned column = OFFER; column >= LOCAL; column--)
        fit_column(wanted->scope, COLUMNS, cells, wmem_array_get_count(rows), column,
                   column == OFFER ? 6 : 20);
    printf("\nFaceTime calls (seconds since the first frame; more of each: -z facetime,streams and "
           "facetime,pairs)\n");
    print_limits();
    print_table(columns, COLUMNS, cells, wmem_array_get_count(rows));
    print_remarks(wanted);
}

/* events of one name in one call: beyond, the first stands for all, with their number and the
 * last frame */
#define MANY 6

static void
print_event(const ft_event *event, unsigned more, uint32_t last)
{
    put("%8u %11.3f  %-7s %-27s %s", ft_frame_number(event->frame), ft_since_start(&event->time),
        val_to_str_const(event->path, ft_path_vals, "-"), ft_event_name(event->id), event->text);
    if (more)
        put(" (and %u more, to frame %u)", more, last);
    put("\n");
}

/* Only the text folds: JSON and the packets have each event. A call on two paths has one at each
 * packet that came twice, and what happened once would be lost among them. */
static void
print_story(GPtrArray *events)
{
    unsigned count[FT_EVENT_COUNT] = { 0 }, told[FT_EVENT_COUNT] = { 0 };
    uint32_t last[FT_EVENT_COUNT] = { 0 };

    for (unsigned i = 0; i < events->len; i++) {
        const ft_event *event = (const ft_event *)events->pdata[i];
        count[event->id]++;
        last[event->id] = ft_frame_number(event->frame);
    }
    for (unsigned i = 0; i < events->len; i++) {
        const ft_event *event = (const ft_event *)events->pdata[i];
        if (count[event->id] <= MANY)
            print_event(event, 0, 0);
        else if (told[event->id]++ == 0)
            print_event(event, count[event->id] - 1, last[event->id]);
    }
}

/* "Modern: one-to-one; participants 959a7033b7526469; links 0x5813", less the list that is empty */
static void
print_far_end(const report *wanted, const ft_call *call)
{
    if (!call->mode)
        return;
    put("Modern: %s%s", call->mode, ft_count_of(call->participants) ? "; participants" : "");
    for (unsigned i = 0; i < ft_count_of(call->participants); i++)
        put(" %s", participant(wanted, call, i));
    put("%s", ft_count_of(call->links) ? "; links" : "");
    for (unsigned i = 0; i < ft_count_of(call->links); i++)
        put(" 0x%04x", *(const uint16_t *)wmem_array_index(call->links, i));
    put("\n");
}

/* A session that is no call has a number in its story, since packets before it was known show
 * one. */
void
print_timeline(const report *wanted)
{
    put("\nFaceTime timeline (seconds since the first frame)\n");
    print_limits();
    for (unsigned number = 1; number <= ft_call_total(); number++) {
        const ft_call *call = ft_call_by_number(number);
        if (!wants_call(wanted, call))
            continue;
        GPtrArray *events = story(wanted, call);
        put("\n%s %u, %s: %s <-> %s, frames %u-%u, %.3f s, %s; end: %s\n",
            call->no_call_from ? "Session" : "Call", call->number, ft_generation_text(call),
            ft_endpoint_str(wanted->scope, &call->local),
            ft_endpoint_str(wanted->scope, &call->remote), ft_frame_number(call->first_frame),
            ft_frame_number(call->last_frame), ft_call_duration(call), ft_state_text(call),
            ft_end_text(call));
        print_far_end(wanted, call);
        print_findings(wanted->scope, call);
        put("%8s %11s  %-7s %-27s %s\n", "Frame", "Seconds", "Path", "Event", "What");
        print_story(events);
        g_ptr_array_free(events, TRUE);
    }
}
