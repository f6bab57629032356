/* plugin/tables.c
 * Telephony > FaceTime Calls, tshark -q -z facetime,calltable[,filter], sharkd's nstat:facetime,calltable: one row a call,
 * to be sorted, filtered, copied and saved.
 *
 * Wireshark shares a table between all its windows and keeps pointers into its rows after the file was closed. So texts are
 * the table's own, and a row that is no longer wanted is put aside until no second window is open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/words.h"

#include "calls/call.h"
#include "calls/media.h"

#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>
#include <epan/tap.h>

#define TITLE "FaceTime Calls"

/* X(enumerator, type, alignment, title, format). The first title is padded: the arrow that shows the order covers it. */
#define CALL_COLUMNS(X) \
    X(CALL_NUMBER,   TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Call   ", "%6u") \
    X(CALL_VERSION,  TABLE_ITEM_STRING, TAP_ALIGN_LEFT,  "Version", "%-7s") \
    X(CALL_START,    TABLE_ITEM_FLOAT,  TAP_ALIGN_RIGHT, "Start", "%11.3f") \
    X(CALL_DURATION, TABLE_ITEM_FLOAT,  TAP_ALIGN_RIGHT, "Duration", "%9.3f") \
    X(CALL_FIRST,    TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "First frame", "%8u") \
    X(CALL_LAST,     TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Last frame", "%8u") \
    X(CALL_PACKETS,  TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Packets", "%8u") \
    X(CALL_LOCAL,    TABLE_ITEM_STRING, TAP_ALIGN_LEFT,  "Local", "%-21s") \
    X(CALL_REMOTE,   TABLE_ITEM_STRING, TAP_ALIGN_LEFT,  "Remote", "%-21s") \
    X(CALL_OFFERER,  TABLE_ITEM_STRING, TAP_ALIGN_LEFT,  "Offer from", "%-21s") \
    X(CALL_STATE,    TABLE_ITEM_STRING, TAP_ALIGN_LEFT,  "State", "%-12s") \
    X(CALL_RELAYED,  TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Relayed media", "%8u") \
    X(CALL_DIRECT,   TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Direct media", "%8u") \
    X(CALL_STREAMS,  TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Streams", "%4u") \
    X(CALL_EVENTS,   TABLE_ITEM_UINT,   TAP_ALIGN_RIGHT, "Events", "%6u") \
    X(CALL_END,      TABLE_ITEM_STRING, TAP_ALIGN_LEFT,  "End", "%s")

#define COLUMN_ENUM(id, type, align, title, format) id,
enum { CALL_COLUMNS(COLUMN_ENUM) CALL_COLUMN_COUNT };

#define COLUMN_ITEM(id, type, align, title, format) { type, align, title, format },
static stat_tap_table_item call_columns[] = { CALL_COLUMNS(COLUMN_ITEM) };

#define COLUMN_EMPTY(id, type, align, title, format) { type, { 0 }, { 0 } },
static const stat_tap_table_item_type empty_row[] = { CALL_COLUMNS(COLUMN_EMPTY) };

static GHashTable *row_of_call; /* number -> row + 1 */
static GPtrArray *retired;      /* rows that windows may still point into */

/* ---- rows that come and go ---- */

static void
free_row(void *data)
{
    stat_tap_table_item_type *row = (stat_tap_table_item_type *)data;

    for (unsigned column = 0; column < CALL_COLUMN_COUNT; column++) {
        if (row[column].type == TABLE_ITEM_STRING)
            g_free((char *)row[column].value.string_value);
    }
    g_free(row);
}

static void
retire_rows(stat_tap_table *table)
{
    for (unsigned row = 0; row < table->num_elements; row++)
        g_ptr_array_add(retired, table->elements[row]);
    table->num_elements = 0;
    g_hash_table_remove_all(row_of_call);
}

/* A call that turned out to be part of another has no row of its own: the last row takes its place. */
static void
retire_row(stat_tap_table *table, unsigned row)
{
    g_ptr_array_add(retired, table->elements[row]);
    g_hash_table_remove(row_of_call, GUINT_TO_POINTER(table->elements[row][CALL_NUMBER].value.uint_value));
    table->elements[row] = table->elements[--table->num_elements];
    if (row < table->num_elements)
        g_hash_table_insert(row_of_call, GUINT_TO_POINTER(table->elements[row][CALL_NUMBER].value.uint_value),
                            GUINT_TO_POINTER(row + 1));
}

static void
retire_merged(stat_tap_table *table)
{
    for (unsigned row = table->num_elements; row-- > 0;) {
        if (ft_call_by_number(table->elements[row][CALL_NUMBER].value.uint_value)->merged_into)
            retire_row(table, row);
    }
}

static void
calls_init(stat_tap_table_ui *ui)
{
    stat_tap_table *table = ui->tables && ui->tables->len ? stat_tap_find_table(ui, TITLE) : NULL;

    if (!retired) {
        retired = g_ptr_array_new_with_free_func(free_row);
        row_of_call = g_hash_table_new(g_direct_hash, g_direct_equal);
    }
    if (table)
        retire_rows(table);
    else
        g_hash_table_remove_all(row_of_call);
    if (ui->refcount <= 1)
        g_ptr_array_set_size(retired, 0);
    if (!table)
        stat_tap_add_table(ui, stat_tap_init_table(TITLE, CALL_COLUMN_COUNT, 0, NULL));
}

/* Texts of rows in use, when Wireshark frees the table. */
static void
calls_free_item(stat_tap_table *table _U_, unsigned row _U_, unsigned column _U_, stat_tap_table_item_type *item)
{
    if (item->type == TABLE_ITEM_STRING) {
        g_free((char *)item->value.string_value);
        item->value.string_value = NULL;
    }
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

static void
write_row(packet_info *pinfo, stat_tap_table_item_type *row, const ft_call *call)
{
    row[CALL_NUMBER].value.uint_value = call->number;
    set_text(&row[CALL_VERSION], ft_generation_text(call));
    row[CALL_START].value.float_value = ft_since_start(&call->first_time);
    row[CALL_DURATION].value.float_value = ft_seconds(&call->first_time, &call->last_time);
    row[CALL_FIRST].value.uint_value = ft_frame_number(call->first_frame);
    row[CALL_LAST].value.uint_value = ft_frame_number(call->last_frame);
    row[CALL_PACKETS].value.uint_value = call->packets;
    set_text(&row[CALL_LOCAL], ft_endpoint_str(pinfo->pool, &call->local));
    set_text(&row[CALL_REMOTE], ft_endpoint_str(pinfo->pool, &call->remote));
    set_text(&row[CALL_OFFERER], ft_endpoint_str(pinfo->pool, &call->offerer));
    set_text(&row[CALL_STATE], ft_state_text(call));
    row[CALL_RELAYED].value.uint_value = call->media_packets[FT_PATH_RELAY];
    row[CALL_DIRECT].value.uint_value = call->media_packets[FT_PATH_DIRECT];
    row[CALL_STREAMS].value.uint_value =
        wmem_array_get_count(call->streams) + (call->quic_streams ? wmem_array_get_count(call->quic_streams) : 0);
    row[CALL_EVENTS].value.uint_value = wmem_array_get_count(call->events);
    set_text(&row[CALL_END], ft_end_text(call));
}

static stat_tap_table_item_type *
row_for(stat_tap_table *table, const ft_call *call)
{
    const unsigned known = GPOINTER_TO_UINT(g_hash_table_lookup(row_of_call, GUINT_TO_POINTER(call->number)));

    if (known)
        return table->elements[known - 1];
    stat_tap_init_table_row(table, table->num_elements, CALL_COLUMN_COUNT, empty_row);
    g_hash_table_insert(row_of_call, GUINT_TO_POINTER(call->number), GUINT_TO_POINTER(table->num_elements));
    return table->elements[table->num_elements - 1];
}

/* A packet writes its own call's row, where there is news: once in all, when the whole file was read before. */
static tap_packet_status
calls_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped, tap_flags_t flags _U_)
{
    const stat_data_t *stat = (const stat_data_t *)data;
    stat_tap_table *table = stat_tap_find_table(stat->stat_tap_data, TITLE);
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_call *call = ft_call_as_of(packet->call, UINT32_MAX);

    if (!table || !call || !ft_call_listed(call))
        return TAP_PACKET_DONT_REDRAW;

    stat_tap_table_item_type *row = row_for(table, call);
    if (row[CALL_NUMBER].value.uint_value == call->number && !packet->is_first_pass)
        return TAP_PACKET_DONT_REDRAW;
    write_row(pinfo, row, call);
    if (call->merges)
        retire_merged(table);
    return TAP_PACKET_REDRAW;
}

static tap_param call_params[] = { { PARAM_FILTER, "filter", "Filter", NULL, TRUE } };

static stat_tap_table_ui calls_ui = {
    WS_GROUP_TELEPHONY, TITLE, "facetime", "facetime,calltable", calls_init, calls_packet, retire_rows, calls_free_item,
    NULL, CALL_COLUMN_COUNT, call_columns, G_N_ELEMENTS(call_params), call_params, NULL, 0
};

void
register_facetime_tables(void)
{
    register_stat_tap_table_ui(&calls_ui);
}
