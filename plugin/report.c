/* plugin/report.c
 * What the reports share: texts, tables that fit a line, the words of an option, bounds, JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/report.h"
#include "calls/key.h"
#include "calls/media.h"
#include "calls/preparation.h"
#include "calls/record.h"

/* ---- texts ---- */

/* tshark prints at once; the GUI's menu wants the same words as a text. */
static GString *collection; /* NULL: standard output */

void
put(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (collection)
        g_string_append_vprintf(collection, format, arguments);
    else
        vprintf(format, arguments);
    va_end(arguments);
}

void
collect(void)
{
    collection = g_string_new(NULL);
}

char *
collected(void)
{
    GString *all = collection;

    collection = NULL;
    return g_string_free(all, FALSE);
}

/* Parts of a text may be a stranger's: nothing that moves a terminal's cursor gets through. */
static const char *
cleaned(wmem_allocator_t *scope, const char *text, bool keeps_lines)
{
    wmem_strbuf_t *clean = wmem_strbuf_new(scope, "");
    char *valid = g_utf8_make_valid(text, -1);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        const gunichar c = g_utf8_get_char(at);
        const bool shown = c == ' ' || (g_unichar_isprint(c) && !g_unichar_isspace(c)) ||
                           (keeps_lines && (c == '\r' || c == '\n'));
        wmem_strbuf_append_unichar(clean, shown ? c : 0xfffd);
    }
    g_free(valid);
    return wmem_strbuf_get_str(clean);
}

const char *
printable(wmem_allocator_t *scope, const char *text)
{
    return cleaned(scope, text, false);
}

const char *
printable_lines(wmem_allocator_t *scope, const char *text)
{
    return cleaned(scope, text, true);
}

const ft_call *
call_shown(packet_info *pinfo, const ft_packet *packet)
{
    uint32_t known_from;
    const ft_call *call = packet->call;

    if (!call) {
        call = ft_call_prepared_by(pinfo, &known_from);
        if (call && known_from > packet->frame)
            call = NULL;
    }
    call = ft_call_as_of(call, packet->frame);
    return ft_call_none(call, packet->frame) ? NULL : call;
}

/* As the stream's last packet shows it. */
static const char *
codec_name(wmem_allocator_t *scope, const ft_call *call, const ft_stream *stream,
           uint8_t payload_type)
{
    const ft_codec *codec =
        ft_call_codec(call, call->generation, payload_type, stream->last_frame, NULL);

    return codec ? ft_codec_str(scope, codec) : "unknown";
}

bool
has_payload_type(const ft_stream *stream, unsigned payload_type)
{
    return payload_type < 128 &&
           (stream->payload_types[payload_type / 64] >> payload_type % 64 & 1) != 0;
}

/* Names of the codecs that a stream uses, each once. */
GPtrArray *
codecs_of(wmem_allocator_t *scope, const ft_call *call, const ft_stream *stream)
{
    GPtrArray *names = g_ptr_array_new();

    for (unsigned payload_type = 0; payload_type < 128; payload_type++) {
        if (!has_payload_type(stream, payload_type))
            continue;
        const char *name = codec_name(scope, call, stream, (uint8_t)payload_type);
        if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, (void *)name);
    }
    return names;
}

/* Widths in letters, not bytes: a name in UTF-8 must not shift the columns behind it. */
void
print_table(const table_column *columns, unsigned column_count, const char *const *cells,
            unsigned row_count)
{
    int width[MAX_COLUMNS] = { 0 };

    for (unsigned i = 0; i < row_count * column_count; i++)
        width[i % column_count] = MAX(width[i % column_count], (int)g_utf8_strlen(cells[i], -1));
    for (unsigned i = 0; i < row_count * column_count; i++) {
        const unsigned j = i % column_count;
        const int padding = width[j] - (int)g_utf8_strlen(cells[i], -1);
        const bool last = j == column_count - 1;
        printf("%*s%s%*s%s", columns[j].right ? padding : 0, "", cells[i],
               columns[j].right || last ? 0 : padding, "", last ? "\n" : "  ");
    }
}

/* A cell that was cut ends in `+`, so that nobody takes it for all of it. */
void
fit_column(wmem_allocator_t *scope, unsigned column_count, const char **cells, unsigned row_count,
           unsigned column, int least)
{
    int width[MAX_COLUMNS] = { 0 }, others = 2 * ((int)column_count - 1);

    for (unsigned i = 0; i < row_count * column_count; i++)
        width[i % column_count] = MAX(width[i % column_count], (int)g_utf8_strlen(cells[i], -1));
    for (unsigned j = 0; j < column_count; j++)
        others += j == column ? 0 : width[j];

    const int room = MAX(FT_LINE - others, least);
    for (unsigned i = column; i < row_count * column_count; i += column_count) {
        if (g_utf8_strlen(cells[i], -1) > room)
            cells[i] = wmem_strdup_printf(
                scope, "%.*s+", (int)(g_utf8_offset_to_pointer(cells[i], room - 1) - cells[i]),
                cells[i]);
    }
}

/* The word alone or before a comma: `facetime,calls,jsonfoo` is a filter, and a wrong one. */
static bool
is_word(const char *rest, const char *word)
{
    return rest &&
           (strcmp(rest, word) == 0 || (g_str_has_prefix(rest, word) && rest[strlen(word)] == ','));
}

const char *
report_filter(const char *option, bool *json)
{
    const char *rest = strchr(strchr(option, ',') + 1, ',');

    *json = false;
    while (is_word(rest, ",json") || is_word(rest, ",lean")) {
        if (is_word(rest, ",json"))
            *json = true;
        else
            ft_lean_ask();
        rest = strchr(rest + 1, ',');
    }
    return rest && rest[1] ? rest + 1 : NULL;
}

/* ---- bounds that were met ---- */

#define LIMIT_ROW(bound, text) { "FT_MAX_" #bound, FT_MAX_##bound, text },
static const struct {
    const char *name;
    unsigned    number;
    const char *text;
} limits[FT_LIMIT_COUNT] = { FT_LIMITS(LIMIT_ROW) };

/* A call that was over before a bound was met lacks nothing by it. One without a text takes
 * nothing from reports. */
static bool
is_told(unsigned limit, uint32_t last_frame)
{
    const uint32_t frame = ft_limit_frame((ft_limit)limit);

    return limits[limit].text && frame && frame <= last_frame;
}

void
print_limits(void)
{
    for (unsigned i = 0; i < FT_LIMIT_COUNT; i++) {
        if (is_told(i, UINT32_MAX))
            put("Incomplete from frame %u on (%s): more than %u %s\n",
                ft_frame_number(ft_limit_frame((ft_limit)i)), limits[i].name, limits[i].number,
                limits[i].text);
    }
}

void
json_limits(json_dumper *json, uint32_t last_frame)
{
    bool any = false;

    for (unsigned i = 0; i < FT_LIMIT_COUNT; i++) {
        if (!is_told(i, last_frame))
            continue;
        if (!any) {
            json_dumper_set_member_name(json, "limits");
            json_dumper_begin_array(json);
        }
        any = true;
        json_dumper_begin_object(json);
        json_string(json, "bound", limits[i].name);
        json_number(json, "most", limits[i].number);
        json_number(json, "frame", ft_frame_number(ft_limit_frame((ft_limit)i)));
        json_string(json, "text", limits[i].text);
        json_dumper_end_object(json);
    }
    if (any)
        json_dumper_end_array(json);
}

/* ---- JSON ---- */

void
json_string(json_dumper *json, const char *name, const char *value)
{
    json_dumper_set_member_name(json, name);
    json_dumper_value_string(json, value);
}

void
json_number(json_dumper *json, const char *name, uint32_t value)
{
    json_dumper_set_member_name(json, name);
    json_dumper_value_anyf(json, "%u", value);
}

/* With a point in every locale. */
void
json_seconds(json_dumper *json, const char *name, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    json_dumper_set_member_name(json, name);
    json_dumper_value_anyf(json, "%s", g_ascii_formatd(text, sizeof text, "%.6f", value));
}

/* By hand: dates before 1970, or after 9999, which a damaged file may have, have no form that
 * every reader takes. */
void
json_time(json_dumper *json, const char *name, int64_t microseconds)
{
    const time_t seconds = (time_t)(microseconds / 1000000);
    const struct tm *utc = gmtime(&seconds);
    char text[sizeof "YYYY-MM-DDTHH:MM:SS.uuuuuuZ" + 8];

    if (!utc || microseconds < 0 || utc->tm_year > 9999 - 1900) {
        json_null(json, name);
        return;
    }
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", utc);
    snprintf(text + length, sizeof text - length, ".%06dZ", (int)(microseconds % 1000000));
    json_string(json, name, text);
}

void
json_null(json_dumper *json, const char *name)
{
    json_dumper_set_member_name(json, name);
    json_dumper_value_anyf(json, "null");
}

/* The best of all that the file shows; a packet's is the best as of its frame. */
void
json_call_key(json_dumper *json, const ft_call *call)
{
    const char *key = ft_key_best((ft_call *)call, UINT32_MAX);

    if (key)
        json_string(json, "call_key", key);
    else
        json_null(json, "call_key");
}

void
json_decimal(json_dumper *json, const char *name, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    json_dumper_set_member_name(json, name);
    json_dumper_value_anyf(json, "%s", g_ascii_formatd(text, sizeof text, "%.3f", value));
}
