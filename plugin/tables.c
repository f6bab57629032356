/* plugin/tables.c
 * Telephony > FaceTime Calls, Streams, Pairs, Findings; tshark -q -z
 * facetime,calltable[,filter], streamtable, pairtable, findingtable; sharkd's
 * nstat:facetime,calltable ...: rows to be sorted, filtered, copied and saved.
 *
 * Wireshark shares a table between all its windows and keeps pointers into its rows after the
 * file was closed. So texts are the table's own, and a row that is no longer wanted is put aside
 * until no second window is open.
 *
 *    file read (tshark)      each packet -> its call's rows written anew -> printed at the end
 *    file open (GUI)         each packet once more -> a row written at the first, then it is done
 *    call merged             its rows go to retired[], freed when one window alone is left
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/findings.h"
#include "plugin/setup.h"
#include "plugin/words.h"

#include "calls/call.h"
#include "calls/dialog.h"
#include "calls/media.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>
#include <stdlib.h>

#define NUMBER(title, format)  { TABLE_ITEM_UINT, TAP_ALIGN_RIGHT, title, format }
#define SECONDS(title, format) { TABLE_ITEM_FLOAT, TAP_ALIGN_RIGHT, title, format }
#define TEXT(title, format)    { TABLE_ITEM_STRING, TAP_ALIGN_LEFT, title, format }
#define FIGURE(title, format)  { TABLE_ITEM_STRING, TAP_ALIGN_RIGHT, title, format }
#define FIRST(title, format)   { TABLE_ITEM_UINT, TAP_ALIGN_LEFT, title, format }

/* The first title is padded, and on the left: the arrow that shows the order covers what is on
 * the right. Figures that may be unknown are texts, "-", on the right too. */
static stat_tap_table_item call_columns[] = {
    FIRST("Call   ", "%6u"),       TEXT("Version", "%-7s"),
    SECONDS("Start", "%11.3f"),    SECONDS("Duration", "%9.3f"),
    NUMBER("First frame", "%8u"),  NUMBER("Last frame", "%8u"),
    NUMBER("Packets", "%8u"),      TEXT("Local", "%-21s"),
    TEXT("Remote", "%-21s"),       TEXT("Offer from", "%-21s"),
    TEXT("State", "%-12s"),        NUMBER("Relayed media", "%8u"),
    NUMBER("Direct media", "%8u"), NUMBER("Streams", "%4u"),
    NUMBER("Events", "%6u"),       TEXT("End", "%s")
};
static stat_tap_table_item stream_columns[] = {
    FIRST("Call   ", "%6u"),     TEXT("Direction", "%-3s"),  TEXT("Medium", "%-5s"),
    TEXT("Codec", "%-12s"),      TEXT("SSRC", "%-10s"),      NUMBER("Packets", "%8u"),
    FIGURE("Lost", "%6s"),       FIGURE("Copies", "%6s"),    FIGURE("kbit/s", "%7s"),
    FIGURE("Pictures/s", "%5s"), FIGURE("Least", "%5s"),     FIGURE("Pictures", "%12s"),
    FIGURE("Freezes", "%4s"),    FIGURE("Jitter ms", "%6s"), FIGURE("Round trip ms", "%12s"),
    TEXT("Paths", "%-12s"),      TEXT("Clock", "%s")
};
static stat_tap_table_item pair_columns[] = {
    FIRST("Call   ", "%6u"),      TEXT("Local", "%-21s"),      TEXT("Remote", "%-21s"),
    TEXT("Way", "%-6s"),          NUMBER("Checks", "%6u"),     NUMBER("Answered", "%6u"),
    NUMBER("First frame", "%8u"), NUMBER("Last frame", "%8u"), FIGURE("Round trip ms", "%7s"),
    NUMBER("Media", "%8u"),       TEXT("Nominated", "%s")
};
static stat_tap_table_item finding_columns[] = {
    FIRST("Call   ", "%6u"), TEXT("Severity", "%-8s"), TEXT("Finding", "%-21s"),
    NUMBER("Frame", "%8u"),  TEXT("Frames", "%-16s"),  TEXT("What it says", "%s")
};
G_STATIC_ASSERT(G_N_ELEMENTS(stream_columns) == FT_STREAM_CELLS);
G_STATIC_ASSERT(G_N_ELEMENTS(pair_columns) == FT_PAIR_CELLS + 1);

#define MOST_COLUMNS FT_STREAM_CELLS

/* What there is of a table beside Wireshark's. */
typedef struct {
    stat_tap_table_ui *ui;
    /* key (a call, a stream, a pair) -> row + 1; the keys alone for findings */
    GHashTable *rows;
    GPtrArray  *retired;        /* rows that windows may still point into */
    bool        draws_before;   /* it has a listener that draws before the table's own */
    /* of what decides which call a packet is of: as of then, no row was another's */
    unsigned    changes;
} table_keeper;

/* What hangs on a row, by column. */
enum { ROW_KEY, ROW_CALL, ROW_VERSION };

static tap_packet_status calls_table_packet(void *, packet_info *, epan_dissect_t *, const void *,
                                            tap_flags_t);
static tap_packet_status streams_table_packet(void *, packet_info *, epan_dissect_t *, const void *,
                                              tap_flags_t);
static tap_packet_status pairs_table_packet(void *, packet_info *, epan_dissect_t *, const void *,
                                            tap_flags_t);
static tap_packet_status findings_table_packet(void *, packet_info *, epan_dissect_t *,
                                               const void *, tap_flags_t);
static void init_table(stat_tap_table_ui *ui);
static void reset_table(stat_tap_table *table);
static void free_item(stat_tap_table *table, unsigned row, unsigned column,
                      stat_tap_table_item_type *item);

static tap_param params[] = { { PARAM_FILTER, "filter", "Filter", NULL, TRUE } };

#define TABLE(title, cli, packet, columns) \
    { \
        WS_GROUP_TELEPHONY, title, "facetime", cli, init_table, packet, reset_table, free_item, \
            NULL, G_N_ELEMENTS(columns), columns, G_N_ELEMENTS(params), params, NULL, 0 \
    }

static stat_tap_table_ui table_uis[] = {
    TABLE("FaceTime Calls", "facetime,calltable", calls_table_packet, call_columns),
    TABLE("FaceTime Streams", "facetime,streamtable", streams_table_packet, stream_columns),
    TABLE("FaceTime Pairs", "facetime,pairtable", pairs_table_packet, pair_columns),
    TABLE("FaceTime Findings", "facetime,findingtable", findings_table_packet, finding_columns),
};

static table_keeper keepers[G_N_ELEMENTS(table_uis)];

/* ---- rows that come and go ---- */

/* By title, which is all that a table has of its description. */
static table_keeper *
keeper_of(const stat_tap_table *table)
{
    unsigned i = 0;

    while (strcmp(keepers[i].ui->title, table->title) != 0)
        i++;
    return &keepers[i];
}

/* Wireshark calls it for rows that it drops; a text is the table's own. */
static void
free_item(stat_tap_table *table _U_, unsigned row _U_, unsigned column _U_,
          stat_tap_table_item_type *item)
{
    if (item->type == TABLE_ITEM_STRING) {
        g_free((char *)item->value.string_value);
        item->value.string_value = NULL;
    }
}

static void
free_retired(table_keeper *keeper)
{
    for (unsigned i = 0; i < keeper->retired->len; i++) {
        stat_tap_table_item_type *row = (stat_tap_table_item_type *)keeper->retired->pdata[i];
        for (unsigned column = 0; column < keeper->ui->nfields; column++)
            free_item(NULL, 0, column, &row[column]);
        g_free(row);
    }
    g_ptr_array_set_size(keeper->retired, 0);
}

static void
reset_table(stat_tap_table *table)
{
    table_keeper *keeper = keeper_of(table);

    for (unsigned row = 0; row < table->num_elements; row++)
        g_ptr_array_add(keeper->retired, table->elements[row]);
    table->num_elements = 0;
    g_hash_table_remove_all(keeper->rows);
}

/* The last row takes the place of one that is gone. */
static void
retire_row(table_keeper *keeper, stat_tap_table *table, unsigned row)
{
    g_ptr_array_add(keeper->retired, table->elements[row]);
    g_hash_table_remove(keeper->rows, table->elements[row][ROW_KEY].user_data.ptr_value);
    table->elements[row] = table->elements[--table->num_elements];
    if (row < table->num_elements)
        g_hash_table_insert(keeper->rows, table->elements[row][ROW_KEY].user_data.ptr_value,
                            GUINT_TO_POINTER(row + 1));
}

/* A call that turned out to be part of another has no rows of its own. True if there were any.
 * ft_call_changes stands still in a second pass, so there this costs a comparison for each
 * packet. */
static bool
retire_merged(stat_tap_table *table)
{
    table_keeper *keeper = keeper_of(table);
    bool any = false;

    if (keeper->changes == ft_call_changes)
        return false;
    keeper->changes = ft_call_changes;
    for (unsigned row = table->num_elements; row-- > 0;) {
        if (((const ft_call *)table->elements[row][ROW_CALL].user_data.ptr_value)->merged_into) {
            retire_row(keeper, table, row);
            any = true;
        }
    }
    return any;
}

/* NULL while no window has it open. */
static stat_tap_table *
table_kept(const table_keeper *keeper)
{
    stat_tap_table_ui *ui = keeper->ui;

    return ui->tables && ui->tables->len ? stat_tap_find_table(ui, ui->title) : NULL;
}

static void
stop_drawing_before(table_keeper *keeper)
{
    if (keeper->draws_before)
        remove_tap_listener(keeper);
    keeper->draws_before = false;
}

static void
file_begins(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(keepers); i++)
        stop_drawing_before(&keepers[i]);
}

/* Called for each window, and all of them show one table: it begins anew for all. */
static void
init_table(stat_tap_table_ui *ui)
{
    table_keeper *keeper = &keepers[ui - table_uis];
    stat_tap_table *table = table_kept(keeper);

    stop_drawing_before(keeper);
    if (table)
        reset_table(table);
    g_hash_table_remove_all(keeper->rows);
    if (ui->refcount <= 1)
        free_retired(keeper);
    if (!table)
        stat_tap_add_table(ui, stat_tap_init_table(ui->title, (int)ui->nfields, 0, NULL));
}

static stat_tap_table_item_type *
append_row(stat_tap_table *table)
{
    const stat_tap_table_ui *ui = keeper_of(table)->ui;
    stat_tap_table_item_type fresh[MOST_COLUMNS] = { { .type = TABLE_ITEM_NONE } };

    for (unsigned column = 0; column < ui->nfields; column++)
        fresh[column].type = ui->fields[column].type;
    stat_tap_init_table_row(table, table->num_elements, table->num_fields, fresh);
    return table->elements[table->num_elements - 1];
}

/* The row of this key, of this call now; *is_new where there was none. */
static stat_tap_table_item_type *
row_for(stat_tap_table *table, const void *key, const ft_call *call, bool *is_new)
{
    table_keeper *keeper = keeper_of(table);
    const unsigned known = GPOINTER_TO_UINT(g_hash_table_lookup(keeper->rows, key));
    stat_tap_table_item_type *row = known ? table->elements[known - 1] : append_row(table);

    *is_new = known == 0;
    if (*is_new)
        g_hash_table_insert(keeper->rows, (void *)key, GUINT_TO_POINTER(table->num_elements));
    row[ROW_KEY].user_data.ptr_value = (void *)key;
    row[ROW_CALL].user_data.ptr_value = (void *)call;
    return row;
}

/* ---- what a row says ---- */

/* Texts are fit to be shown as calls/ keeps them; CSV has no way to write a double quote. */
static void
set_text(stat_tap_table_item_type *item, const char *text)
{
    char *own = g_strdup(text);

    g_strdelimit(own, "\"", '\'');
    g_free((char *)item->value.string_value);
    item->value.string_value = own;
}

/* Wireshark sorts texts as such, so that 9.1 would come after 16.4 and 117: whole numbers are
 * given one width. */
#define FIGURE_DIGITS 6

static void
set_figure(stat_tap_table_item_type *item, const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    const int missing = digits < FIGURE_DIGITS ? (int)(FIGURE_DIGITS - digits) : 0;
    char *padded = g_strdup_printf("%*s%s", missing, "", text);

    set_text(item, padded);
    g_free(padded);
}

static void
write_row(stat_tap_table_item_type *row, const stat_tap_table_item *columns,
          const char *const *cells, unsigned count)
{
    for (unsigned column = 0; column < count; column++) {
        if (row[column].type == TABLE_ITEM_UINT)
            row[column].value.uint_value = (unsigned)strtoul(cells[column], NULL, 10);
        else if (row[column].type == TABLE_ITEM_FLOAT)
            row[column].value.float_value = g_ascii_strtod(cells[column], NULL);
        else if (columns[column].align == TAP_ALIGN_RIGHT)
            set_figure(&row[column], cells[column]);
        else
            set_text(&row[column], cells[column]);
    }
}

static const char *
number(wmem_allocator_t *scope, unsigned value)
{
    return wmem_strdup_printf(scope, "%u", value);
}

/* By frame times, as all of Wireshark's own tables; streams are RTP's and those inside QUIC. */
static void
write_call(wmem_allocator_t *scope, stat_tap_table_item_type *row, const ft_call *call)
{
    const unsigned in_quic = call->quic_streams ? wmem_array_get_count(call->quic_streams) : 0;
    const char *const cells[G_N_ELEMENTS(call_columns)] = {
        number(scope, call->number),
        ft_generation_text(call),
        wmem_strdup_printf(scope, "%.6f", ft_since_start(&call->first_time)),
        wmem_strdup_printf(scope, "%.6f", ft_seconds(&call->begin_time, ft_call_last_time(call))),
        number(scope, ft_frame_number(call->first_frame)),
        number(scope, ft_frame_number(call->last_frame)),
        number(scope, call->packets),
        ft_endpoint_str(scope, &call->local),
        ft_endpoint_str(scope, &call->remote),
        ft_endpoint_str(scope, &call->offerer),
        ft_state_text(call),
        number(scope, call->media_packets[FT_PATH_RELAY]),
        number(scope, call->media_packets[FT_PATH_DIRECT]),
        number(scope, wmem_array_get_count(call->streams) + in_quic),
        number(scope, wmem_array_get_count(call->events)),
        ft_end_text(call),
    };

    write_row(row, call_columns, cells, G_N_ELEMENTS(cells));
}

/* ---- packets ---- */

/* Once in all where every packet was seen before; else at each that may bring news. */
static bool
is_news(const ft_packet *packet, bool is_new)
{
    return is_new || packet->is_first_pass;
}

static stat_tap_table *
table_of(void *data)
{
    stat_tap_table_ui *ui = ((const stat_data_t *)data)->stat_tap_data;

    return stat_tap_find_table(ui, ui->title);
}

/* The table, and the packet's call if it is listed; else NULL. Sessions that are no calls (checks
 * alone, GameKit) have no rows. */
static stat_tap_table *
table_for(void *data, const ft_packet *packet, const ft_call **call)
{
    *call = ft_call_as_of(packet->call, UINT32_MAX);
    return *call && ft_call_listed(*call) ? table_of(data) : NULL;
}

/* Written anew with each packet of a first pass: figures go on while a capture runs. */
static tap_packet_status
calls_table_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                   tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call;
    stat_tap_table *table = table_for(data, packet, &call);
    bool is_new;

    if (!table)
        return TAP_PACKET_DONT_REDRAW;
    retire_merged(table);
    stat_tap_table_item_type *row = row_for(table, call, call, &is_new);
    if (!is_news(packet, is_new))
        return TAP_PACKET_DONT_REDRAW;
    write_call(pinfo->pool, row, call);
    return TAP_PACKET_REDRAW;
}

static void
write_stream(wmem_allocator_t *scope, stat_tap_table *table, const ft_packet *packet,
             const ft_call *call, const ft_stream *stream)
{
    const char *cells[FT_STREAM_CELLS];
    bool is_new;
    stat_tap_table_item_type *row = row_for(table, stream, call, &is_new);

    if (!is_news(packet, is_new))
        return;
    ft_stream_cells(scope, call, stream, cells);
    write_row(row, stream_columns, cells, FT_STREAM_CELLS);
}

/* Those of a direction share a row, as they share what is measured: the path may change. */
static void
write_quic_streams(wmem_allocator_t *scope, stat_tap_table *table, const ft_packet *packet,
                   const ft_call *call, const ft_call *part)
{
    for (unsigned i = part->quic_streams ? wmem_array_get_count(part->quic_streams) : 0; i-- > 0;) {
        const ft_quic_stream *stream =
            (const ft_quic_stream *)wmem_array_index(part->quic_streams, i);
        const char *cells[FT_STREAM_CELLS];
        bool is_new;
        stat_tap_table_item_type *row = row_for(table, stream->quality, call, &is_new);
        if (!is_news(packet, is_new))
            continue;
        ft_quic_stream_cells(scope, call, stream, cells);
        write_row(row, stream_columns, cells, FT_STREAM_CELLS);
    }
}

/* Not of a stream that begins later with the same SSRC. */
static bool
is_of_stream(const ft_packet *packet, const ft_stream *stream)
{
    for (unsigned i = 0; i < packet->ssrc_count; i++) {
        if (packet->ssrcs[i] == stream->ssrc && packet->frame >= stream->first_frame)
            return true;
    }
    return false;
}

/* The packet's own streams; those of a call that it turned out to be part of, too, whose rows
 * are gone. */
static tap_packet_status
streams_table_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                     tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call;
    stat_tap_table *table = table_for(data, packet, &call);

    if (!table)
        return TAP_PACKET_DONT_REDRAW;
    const bool all = retire_merged(table);
    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        if (stream->quality && (all || is_of_stream(packet, stream)))
            write_stream(pinfo->pool, table, packet, call, stream);
    }
    if (packet->quic == FT_QUIC_MEDIA || all)
        write_quic_streams(pinfo->pool, table, packet, call, call);
    for (unsigned number = call->number + 1; all && number <= ft_call_total(); number++) {
        const ft_call *part = ft_call_by_number(number);
        if (part->quic_streams && ft_call_as_of(part, UINT32_MAX) == call)
            write_quic_streams(pinfo->pool, table, packet, call, part);
    }
    return TAP_PACKET_REDRAW;
}

/* A check that comes changes one pair of many: the version says whether this is the one. */
static void
write_pair(wmem_allocator_t *scope, stat_tap_table *table, const ft_call *call, const ft_pair *pair)
{
    const unsigned version =
        1 + ft_pair_sent(pair) + ft_pair_answered(pair) + pair->media_packets + pair->nominated;
    const char *cells[FT_PAIR_CELLS + 1] = { number(scope, call->number) };
    bool is_new;
    stat_tap_table_item_type *row = row_for(table, pair, call, &is_new);

    if (row[ROW_VERSION].user_data.uint_value == version)
        return;
    row[ROW_VERSION].user_data.uint_value = version;
    ft_pair_cells(scope, pair, call_clock_is_good(call), cells + 1);
    write_row(row, pair_columns, cells, FT_PAIR_CELLS + 1);
}

/* Checks and media make pairs' news. */
static tap_packet_status
pairs_table_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                   tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call;
    stat_tap_table *table = table_for(data, packet, &call);

    if (!table || (packet->kind != FT_KIND_STUN && packet->kind != FT_KIND_RTP))
        return TAP_PACKET_DONT_REDRAW;
    retire_merged(table);
    const ft_reveals *known = ft_reveals_of(pinfo->pool, call);
    for (unsigned i = 0; known->pairs && i < wmem_array_get_count(known->pairs); i++) {
        const ft_pair *pair = *(const ft_pair **)wmem_array_index(known->pairs, i);
        if (ft_pair_listed(pair))
            write_pair(pinfo->pool, table, call, pair);
    }
    return TAP_PACKET_REDRAW;
}

/* ---- findings ---- */

/* A call's findings rest on all of its packets, and on the file's end. Where every packet was
 * seen before, the call's first one writes them. In one pass (tshark) packets only note their
 * calls, as keys without a row. */
typedef struct {
    wmem_allocator_t *scope;
    stat_tap_table   *table;
    const ft_call    *call;
} finding_writing;

static const char *
finding_frames(wmem_allocator_t *scope, const finding *found)
{
    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");

    for (unsigned i = 0; i < found->frame_count; i++)
        wmem_strbuf_append_printf(text, "%s%u", i ? ", " : "", ft_frame_number(found->frames[i]));
    return wmem_strbuf_get_str(text);
}

/* Of several frames the first has a column of its own, to be sorted by. */
static void
write_finding(const rule *kind, const finding *found, void *user)
{
    const finding_writing *writing = (const finding_writing *)user;
    char *text = finding_sentence(found);
    const char *const cells[G_N_ELEMENTS(finding_columns)] = {
        number(writing->scope, writing->call->number),
        kind->severity,
        kind->code,
        number(writing->scope, ft_frame_number(found->frames[0])),
        finding_frames(writing->scope, found),
        text,
    };

    write_row(append_row(writing->table), finding_columns, cells, G_N_ELEMENTS(cells));
    g_free(text);
}

/* tshark in one pass: the capture has ended, and the table is printed next. A call that was noted
 * may have become part of another since: that one is noted for it. */
static void
draw_findings(void *data)
{
    table_keeper *keeper = (table_keeper *)data;
    finding_writing writing = { .table = table_kept(keeper) };

    if (!writing.table)
        return;
    writing.scope = wmem_allocator_new(WMEM_ALLOCATOR_BLOCK);
    ft_dialog_hindsight();
    ft_media_hindsight();
    for (unsigned i = ft_call_total(); i > 0; i--) {
        const ft_call *call = ft_call_by_number(i);
        if (g_hash_table_contains(keeper->rows, call))
            g_hash_table_add(keeper->rows, (void *)ft_call_as_of(call, UINT32_MAX));
    }
    for (unsigned i = 1; i <= ft_call_total(); i++) {
        writing.call = ft_call_by_number(i);
        if (!writing.call->merged_into && ft_call_listed(writing.call) &&
            g_hash_table_contains(keeper->rows, writing.call))
            judge(writing.scope, writing.call, write_finding, &writing);
    }
    g_hash_table_remove_all(keeper->rows);
    wmem_destroy_allocator(writing.scope);
}

/* The listener that comes last draws first: this one comes after the table's own, which prints. It
 * goes with the file, or where the table is opened again (a live capture: the next one's windows
 * draw before it); a window that was closed before it leaves no table. */
static void
draw_before_table(table_keeper *keeper)
{
    if (keeper->draws_before)
        return;
    GString *error = register_tap_listener("facetime", keeper, NULL, TL_REQUIRES_NOTHING, NULL,
                                           NULL, draw_findings, NULL);
    keeper->draws_before = error == NULL;
    if (error)
        g_string_free(error, TRUE);
}

static tap_packet_status
findings_table_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                      tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = ft_call_as_of(packet->call, UINT32_MAX);
    stat_tap_table *table = table_of(data);

    /* in one pass a call of checks alone may still turn out to be one */
    if (!call || !(packet->is_first_pass || ft_call_listed(call)) ||
        !g_hash_table_add(keeper_of(table)->rows, (void *)call))
        return TAP_PACKET_DONT_REDRAW;
    if (packet->is_first_pass) {
        draw_before_table(keeper_of(table));
        return TAP_PACKET_DONT_REDRAW;
    }
    finding_writing writing = { pinfo->pool, table, call };
    judge(pinfo->pool, call, write_finding, &writing);
    return TAP_PACKET_REDRAW;
}

void
register_facetime_tables(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(table_uis); i++) {
        keepers[i] = (table_keeper){ &table_uis[i], g_hash_table_new(g_direct_hash, g_direct_equal),
                                     g_ptr_array_new(), false, 0 };
        register_stat_tap_table_ui(&table_uis[i]);
    }
    register_init_routine(file_begins);
}
