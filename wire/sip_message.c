/* wire/sip_message.c
 * A SIP message taken apart (RFC 3261, 7), as much of it as FaceTime's needs:
 *
 *    start line | header lines, unfolded, compact names | empty line | body of Content-Length
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/sip_message.h"

#include <string.h>

#include "calls/text.h"
#include "sdp_inflate/sdp_inflate.h"
#include "wire/piece.h"

/* Bounds: a header's value has some 80 bytes. */
#define SIP_MAX_VALUE  512 /* bytes of a header's value that are looked at */
#define SIP_USUAL_LINE 256 /* bytes of a line, with its end */

/* clang-format off */
/* The headers that are looked at, with their compact names (RFC 3261 7.3.3). */
#define HEADER(name, compact) { name, sizeof name - 1, compact }

static const struct {
    const char *name;
    int         length;
    char        compact;
} sip_headers[SIP_HEADER_COUNT] = {
    [SIP_VIA]              = HEADER("Via", 'v'),
    [SIP_TO]               = HEADER("To", 't'),
    [SIP_FROM]             = HEADER("From", 'f'),
    [SIP_CALL_ID]          = HEADER("Call-ID", 'i'),
    [SIP_CSEQ]             = HEADER("CSeq", 0),
    [SIP_CONTENT_TYPE]     = HEADER("Content-Type", 'c'),
    [SIP_CONTENT_ENCODING] = HEADER("Content-Encoding", 'e'),
    [SIP_CONTENT_LENGTH]   = HEADER("Content-Length", 'l'),
    [SIP_SKE_SEQ]          = HEADER("SKESeq", 0),
    [SIP_USER_AGENT]       = HEADER("User-Agent", 0),
    [SIP_REASON]           = HEADER("Reason", 0),
};
/* clang-format on */

bool
sip_is_cut(tvbuff_t *tvb)
{
    return tvb_captured_length(tvb) < tvb_reported_length(tvb);
}

/* A letter as a small one; nothing else becomes a letter. */
static inline char
small(char letter)
{
    return letter | 0x20;
}

static int
find_compact_header(char name)
{
    for (int i = 0; i < SIP_HEADER_COUNT; i++) {
        if (sip_headers[i].compact && small(name) == sip_headers[i].compact)
            return i;
    }
    return -1;
}

/* The headers that begin with a letter: the first of them, and how many. */
#define LETTER(letter) ((letter) - 'a')
static const struct { uint8_t first, count;
} headers_by_letter[LETTER('z') + 1] = {
    [LETTER('c')] = { SIP_CALL_ID, SIP_CONTENT_LENGTH - SIP_CALL_ID + 1 },
    [LETTER('f')] = { SIP_FROM, 1 },
    [LETTER('r')] = { SIP_REASON, 1 },
    [LETTER('s')] = { SIP_SKE_SEQ, 1 },
    [LETTER('t')] = { SIP_TO, 1 },
    [LETTER('u')] = { SIP_USER_AGENT, 1 },
    [LETTER('v')] = { SIP_VIA, 1 },
};

/* By its name as it is written, which nobody else writes as a rule: `text` ends with the colon
 * behind it, or later. */
static int
find_usual_header(const char *text, int length, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        const int name_length = sip_headers[i].length;
        if (name_length < length && text[name_length] == ':' &&
            memcmp(text, sip_headers[i].name, (size_t)name_length) == 0)
            return i;
    }
    return -1;
}

/* In other letters, or with white space before the colon, or compact. */
static int
find_unusual_header(const char *name, const char *colon, int first, int count)
{
    while (colon > name && g_ascii_isspace(colon[-1]))
        colon--;

    const int length = (int)(colon - name);
    if (length == 1)
        return find_compact_header(*name);
    for (int i = first; i < first + count; i++) {
        if (length == sip_headers[i].length &&
            g_ascii_strncasecmp(name, sip_headers[i].name, (size_t)length) == 0)
            return i;
    }
    return -1;
}

/* Whose line this is, and where its value begins; -1 for no header that is looked at. */
static int
find_header(piece_t line, int *value_at)
{
    const unsigned letter = (unsigned char)small(*line.text) - (unsigned)'a';
    const int first = letter <= LETTER('z') ? headers_by_letter[letter].first : 0,
              count = letter <= LETTER('z') ? headers_by_letter[letter].count : 0;

    const int usual = find_usual_header(line.text, line.length, first, count);
    if (usual >= 0) {
        *value_at = sip_headers[usual].length + 1;
        return usual;
    }
    const char *colon = (const char *)memchr(line.text, ':', (size_t)line.length);
    if (!colon)
        return -1;
    *value_at = (int)(colon - line.text) + 1;
    return find_unusual_header(line.text, colon, first, count);
}

/* A header's line, or lines where it is folded, with its end. */
typedef struct {
    piece_t text;
    int plain_length; /* of the printable ASCII that it begins with: nearly all, but for its end */
} header_line;

/* The message is read in a copy, in which values end with a NUL where they stand. */
typedef struct {
    wmem_allocator_t *pool;
    const char *spaces; /* the first two spaces in a row, or where nobody looked for more */
    int end;            /* of what was captured; INT_MAX where that is all */
} header_reader;

static bool
is_line_end(char letter)
{
    return letter == '\r' || letter == '\n';
}

/* The value with line folds and runs of white space made one space. */
static const char *
unfolded_value(wmem_allocator_t *pool, const char *bytes, size_t length)
{
    const size_t looked_at = MIN(length, SIP_MAX_VALUE);
    char text[SIP_MAX_VALUE], *out = text;

    for (const char *in = bytes; in < bytes + looked_at; in++) {
        if (!g_ascii_isspace(*in))
            *out++ = *in;
        else if (out > text && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out > text && out[-1] == ' ')
        out--;
    return ft_text_keep(pool, text, (size_t)(out - text), SIP_MAX_VALUE);
}

/* Nearly all are plain text as they stand. at: where the value begins in the line. */
static const char *
header_value(const header_reader *reader, const header_line *line, int at)
{
    char *bytes = (char *)line->text.text + at, *end = (char *)line->text.text + line->plain_length;
    const int unplain = line->text.length - line->plain_length; /* bytes, at its end */

    if (unplain > 2 || (unplain > 0 && !is_line_end(*end)) || end > reader->spaces ||
        line->text.length - at > SIP_MAX_VALUE)
        return unfolded_value(reader->pool, bytes, (size_t)(line->text.length - at));

    while (bytes < end && *bytes == ' ')
        bytes++;
    while (end > bytes && end[-1] == ' ')
        end--;
    *end = '\0';
    return bytes;
}

static void
take_header(const header_reader *reader, const header_line *line, sip_message_t *sip)
{
    int value_at;
    const int which = find_header(line->text, &value_at);

    if (which < 0 || sip->header[which].value)
        return;
    sip->header[which] =
        (sip_header_t){ .value = header_value(reader, line, value_at),
                        .offset = line->text.offset,
                        .length = line->text.length,
                        .cut = line->text.offset + line->text.length >= reader->end };
}

/* Half a Call-ID is another one, and half a number another number. */
const char *
sip_whole_value(const sip_header_t *header)
{
    return header->value && !header->cut ? header->value : "";
}

/* Where a line ends among these bytes; their length where it goes on. */
static int
end_of_line(const char *bytes, int length)
{
    const char *cr = (const char *)memchr(bytes, '\r', (size_t)length);
    const int before = cr ? (int)(cr - bytes) : length;
    const char *lf = (const char *)memchr(bytes, '\n', (size_t)before);

    return lf ? (int)(lf - bytes) : before;
}

/* The length of the line that these bytes begin with, its end (CR, LF or both) included; `plain` of
 * its first bytes can't end it. Looked for a piece at a time: else each line of a message without a
 * CR would look for one up to its end. */
static inline int
line_length(piece_t bytes, int plain)
{
    int at = plain;

    while (at < bytes.length && !is_line_end(bytes.text[at]))
        at += end_of_line(bytes.text + at, MIN(bytes.length - at, SIP_USUAL_LINE));
    if (at + 1 < bytes.length && bytes.text[at] == '\r' && bytes.text[at + 1] == '\n')
        at++;
    return MIN(at + 1, bytes.length);
}

/* Reads header lines up to the empty one. */
static void
parse_headers(const header_reader *reader, piece_t rest, sip_message_t *sip)
{
    while (rest.length > 0) {
        const int plain = (int)ft_text_plain_length(rest.text, (size_t)rest.length);
        int length = line_length(rest, plain);

        if (plain == 0 && is_line_end(*rest.text)) {
            sip->body_offset = rest.offset + length;
            return;
        }
        while (length < rest.length && (rest.text[length] == ' ' || rest.text[length] == '\t'))
            length += line_length(piece_skip(rest, length), 0); /* a folded line */
        take_header(reader, &(header_line){ piece_head(rest, length), plain }, sip);
        rest = piece_skip(rest, length);
    }
}

static const char *
method_name(wmem_allocator_t *pool, tvbuff_t *tvb, piece_t name)
{
    static const char *const usual[] = { "INVITE", "ACK", "BYE", "CANCEL", "MESSAGE" };

    for (unsigned i = 0; i < G_N_ELEMENTS(usual); i++) {
        if (piece_is(name, usual[i]))
            return usual[i];
    }
    return (const char *)tvb_get_string_enc(pool, tvb, 0, name.length, ENC_ASCII);
}

/* "INVITE sip:... SIP/2.0" or "SIP/2.0 200 OK"; false for neither. */
static bool
parse_start_line(wmem_allocator_t *pool, tvbuff_t *tvb, piece_t line, sip_message_t *sip)
{
    static const char version[] = "SIP/2.0";
    const int version_length = (int)sizeof version - 1;
    uint64_t status;

    if (line.length < version_length + 4)
        return false;
    if (piece_starts(line, version)) {
        const piece_t code = piece_head(piece_skip(line, version_length + 1), 3);
        if (line.text[version_length] != ' ' || !piece_number(code, 999, &status) || status < 100)
            return false;
        sip->status = (unsigned)status;
        return true;
    }
    const char *space = (const char *)memchr(line.text, ' ', (size_t)MIN(line.length, 32));
    if (!space || space == line.text ||
        !piece_starts(piece_skip(line, line.length - version_length), version))
        return false;
    sip->method = method_name(pool, tvb, piece_head(line, (int)(space - line.text)));
    return true;
}

/* "32349 INVITE" */
static void
parse_cseq(sip_message_t *sip)
{
    const char *value = sip_whole_value(&sip->header[SIP_CSEQ]);
    uint64_t number;
    piece_t rest, digits;

    rest = (piece_t){ value, 0, (int)strlen(value) };
    digits = piece_split(&rest, ' ');
    sip->has_cseq = piece_number(digits, UINT32_MAX, &number);
    if (sip->has_cseq)
        sip->cseq = (uint32_t)number;
    if (sip->status)
        sip->method = rest.text; /* up to the value's end */
}

static bool
media_type_is(const char *value, const char *type)
{
    size_t length = strlen(type);

    return g_ascii_strncasecmp(value, type, length) == 0 &&
           (value[length] == '\0' || strchr("; ", value[length]));
}

/* zlib's or gzip's first bytes, which no text has. */
static bool
looks_compressed(tvbuff_t *tvb, int offset, int length)
{
    unsigned start;

    if (length < 2)
        return false;
    start = tvb_get_ntohs(tvb, offset);
    return start == 0x1f8b || (start >> 8 == 0x78 && start % 31 == 0);
}

static body_kind_t
classify_body(const sip_message_t *sip, tvbuff_t *tvb)
{
    const char *type = sip->header[SIP_CONTENT_TYPE].value;

    if (sip->body_length <= 0)
        return BODY_NONE;
    if (!type && (tvb_strneql(tvb, sip->body_offset, "v=0", 3) == 0 ||
                  looks_compressed(tvb, sip->body_offset, sip->body_length)))
        return BODY_SDP;
    if (!type)
        return BODY_OTHER;
    if (media_type_is(type, "application/sdp"))
        return BODY_SDP;
    if (media_type_is(type, "application/ske"))
        return BODY_SKE;
    if (g_ascii_strncasecmp(type, "text/", 5) == 0)
        return BODY_TEXT;
    return BODY_OTHER;
}

static bool
encoding_is_deflate(const char *encoding)
{
    return encoding && (media_type_is(encoding, "deflate") || media_type_is(encoding, "gzip") ||
                        media_type_is(encoding, "x-gzip"));
}

static void
parse_body(tvbuff_t *tvb, sip_message_t *sip)
{
    const char *encoding = sip->header[SIP_CONTENT_ENCODING].value;
    const char *content_length = sip->header[SIP_CONTENT_LENGTH].value;
    uint64_t said;
    int sent;

    if (sip->body_offset < 0)
        return;
    sent = tvb_reported_length_remaining(tvb, sip->body_offset);
    sip->body_length = tvb_captured_length_remaining(tvb, sip->body_offset);
    if (content_length && piece_number((piece_t){ content_length, 0, (int)strlen(content_length) },
                                       INT32_MAX, &said)) {
        sip->trailing_length = MAX(sip->body_length - (int)said, 0);
        sip->body_length -= sip->trailing_length;
        sent = (int)said;
    }
    sip->body_cut = sip->body_length < sent;
    sip->body_kind = classify_body(sip, tvb);
    sip->compressed =
        encoding_is_deflate(encoding) ||
        (sip->body_kind == BODY_SDP && looks_compressed(tvb, sip->body_offset, sip->body_length));
}

bool
parse_sip(wmem_allocator_t *pool, tvbuff_t *tvb, sip_message_t *sip)
{
    const int captured = (int)tvb_captured_length(tvb);
    const char *bytes = captured ? (const char *)tvb_get_ptr(tvb, 0, captured) : "";
    piece_t start = { bytes, 0, captured };
    const int next = line_length(start, 0);

    memset(sip, 0, sizeof *sip);
    sip->method = "";
    sip->body_offset = -1;
    start.length = next;
    while (start.length > 0 && is_line_end(bytes[start.length - 1]))
        start.length--;
    if (!parse_start_line(pool, tvb, start, sip))
        return false;

    char *copy = ft_text_copy(pool, bytes, (size_t)captured);
    const char *spaces = strstr(copy + next, "  ");
    const header_reader reader = { pool, spaces ? spaces : copy + next + strlen(copy + next),
                                   sip_is_cut(tvb) ? captured : INT_MAX };
    parse_headers(&reader, (piece_t){ copy + next, next, captured - next }, sip);
    parse_cseq(sip);
    parse_body(tvb, sip);
    return true;
}
