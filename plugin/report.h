/* plugin/report.h
 * What the reports (timeline.c, streams.c) share: texts, tables, JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_REPORT_H
#define FT_REPORT_H

#include "calls/call.h"

#include <wsutil/json_dumper.h>
#include <stdio.h>

#define MAX_COLUMNS 24
#define FT_LINE     160 /* columns of a table */
#define FT_SCHEMA   1   /* version of the JSON: docs/calls.schema.json, docs/streams.schema.json */

typedef struct { const char *title; bool right; } table_column;

/* What a report has to say: to standard output, or between collect() and collected() into a text,
 * which is the caller's. */
void put(const char *format, ...) G_GNUC_PRINTF(1, 2);
void collect(void);
char *collected(void);

/* Parts of a text may be a stranger's: nothing that moves a terminal's cursor gets through.
 * Lives in scope. */
const char *printable(wmem_allocator_t *scope, const char *text);
/* Its line ends are kept. */
const char *printable_lines(wmem_allocator_t *scope, const char *text);

/* The head of every table, below its title: which bound was met where, and what is missing from
 * there on. */
void print_limits(void);

/* "limits" of an object that tells of packets up to this frame: those met by then; no member
 * where there is none. */
void json_limits(json_dumper *json, uint32_t last_frame);

/* The call as known at this packet, as its fields show it, or NULL. What prepared a call (a NAT
 * test, the HTTP check) is of it only from where that became known. */
const ft_call *call_shown(packet_info *pinfo, const ft_packet *packet);

bool has_payload_type(const ft_stream *stream, unsigned payload_type);

/* Names of the codecs that a stream uses, each once. The names live in scope, the array is the
 * caller's. */
GPtrArray *codecs_of(wmem_allocator_t *scope, const ft_call *call, const ft_stream *stream);

/* Each column as wide as its widest cell, two spaces between them; the last one as it comes.
 * cells: row after row. */
void print_table(const table_column *columns, unsigned column_count, const char *const *cells,
                 unsigned row_count);

/* Cuts what is longest in a column, as far as the table then fits FT_LINE columns, but never
 * below `least`. */
void fit_column(wmem_allocator_t *scope, unsigned column_count, const char **cells,
                unsigned row_count, unsigned column, int least);

/* Of "facetime,<report>[,json][,lean][,<filter>]", these two in either order: the filter, or
 * NULL. Asks for lean reading. */
const char *report_filter(const char *option, bool *json);

/* Members of the object in hand. Numbers have a point in every locale: microseconds,
 * thousandths. */
void json_string(json_dumper *json, const char *name, const char *value);
void json_number(json_dumper *json, const char *name, uint32_t value);
void json_seconds(json_dumper *json, const char *name, double value);
void json_decimal(json_dumper *json, const char *name, double value);
/* UTC, ISO 8601; null before 1970 */
void json_time(json_dumper *json, const char *name, int64_t microseconds);
void json_call_key(json_dumper *json, const ft_call *call); /* null where it has none */
void json_null(json_dumper *json, const char *name);

#endif
