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
    size_t      length;
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

static int
find_header(const char *name, size_t length)
{
    if (length == 1)
        return find_compact_header(*name);

    const unsigned letter = length ? (unsigned char)small(*name) - (unsigned)'a' : UINT_MAX;
    const int first = letter <= LETTER('z') ? headers_by_letter[letter].first : 0,
              count = letter <= LETTER('z') ? headers_by_letter[letter].count : 0;
    for (int i = first; i < first + count; i++) {
        if (length == sip_headers[i].length &&
            (memcmp(name, sip_headers[i].name, length) == 0 ||
             g_ascii_strncasecmp(name, sip_headers[i].name, length) == 0))
            return i;
    }
    return -1;
}

/* Two spaces in a row, which become one. */
static bool
has_double_space(piece_t text)
{
    for (int at = 0; at + 1 < text.length; at++) {
        const char *space = (const char *)memchr(text.text + at, ' ', (size_t)(text.length - at));
        if (!space)
            return false;
        at = (int)(space - text.text);
        if (at + 1 < text.length && space[1] == ' ')
            return true;
    }
    return false;
}

/* A header's line, or lines where it is folded, with its end. */
typedef struct {
    piece_t text;
    int plain_length; /* of the printable ASCII that it begins with: nearly all, but for its end */
} header_line;

/* What of the header is read, and where its values are written one after another: they have room
 * there, since each takes less than its line. */
typedef struct {
    wmem_allocator_t *pool;
    char *room;
    int end; /* of what was captured; INT_MAX where that is all */
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
header_value(header_reader *reader, const header_line *line, int at)
{
    const char *bytes = line->text.text + at, *end = line->text.text + line->plain_length;
    const bool is_plain = line->plain_length == line->text.length ||
                          (line->plain_length + 2 >= line->text.length && is_line_end(*end));

    while (bytes < end && *bytes == ' ')
        bytes++;
    while (end > bytes && end[-1] == ' ')
        end--;

    const piece_t plain = { bytes, 0, (int)(end - bytes) };
    if (!is_plain || line->text.length - at > SIP_MAX_VALUE || has_double_space(plain))
        return unfolded_value(reader->pool, line->text.text + at, (size_t)(line->text.length - at));

    char *value = reader->room;
    memcpy(value, bytes, (size_t)plain.length);
    value[plain.length] = '\0';
    reader->room += plain.length + 1;
    return value;
}

static void
take_header(header_reader *reader, const header_line *line, sip_message_t *sip)
{
    const piece_t text = line->text;
    const char *colon = (const char *)memchr(text.text, ':', (size_t)text.length);
    const char *name_end = colon;

    if (!colon)
        return;
    while (name_end > text.text && g_ascii_isspace(name_end[-1]))
        name_end--;
    const int which = find_header(text.text, (size_t)(name_end - text.text));
    if (which < 0 || sip->header[which].value)
        return;

    sip->header[which].value = header_value(reader, line, (int)(colon - text.text) + 1);
    sip->header[which].offset = text.offset;
    sip->header[which].length = text.length;
    sip->header[which].cut = text.offset + text.length >= reader->end;
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
parse_headers(wmem_allocator_t *pool, tvbuff_t *tvb, int offset, sip_message_t *sip)
{
    const int captured = tvb_captured_length_remaining(tvb, offset);
    piece_t rest = { captured > 0 ? (const char *)tvb_get_ptr(tvb, offset, captured) : "", offset,
                     MAX(captured, 0) };
    header_reader reader = { pool, (char *)wmem_alloc(pool, (size_t)rest.length + 1),
                             sip_is_cut(tvb) ? rest.offset + rest.length : INT_MAX };

    sip->body_offset = -1;
    while (rest.length > 0) {
        const int plain = (int)ft_text_plain_length(rest.text, (size_t)rest.length);
        int length = line_length(rest, plain);

        if (is_line_end(*rest.text)) {
            sip->body_offset = rest.offset + length;
            return;
        }
        while (length < rest.length && (rest.text[length] == ' ' || rest.text[length] == '\t'))
            length += line_length(piece_skip(rest, length), 0); /* a folded line */
        take_header(&reader, &(header_line){ piece_head(rest, length), plain }, sip);
        rest = piece_skip(rest, length);
    }
}

static const char *
method_name(wmem_allocator_t *pool, tvbuff_t *tvb, int length)
{
    static const char *const usual[] = { "INVITE", "ACK", "BYE", "CANCEL", "MESSAGE" };
    const piece_t name = { (const char *)tvb_get_ptr(tvb, 0, length), 0, length };

    for (unsigned i = 0; i < G_N_ELEMENTS(usual); i++) {
        if (piece_is(name, usual[i]))
            return usual[i];
    }
    return (const char *)tvb_get_string_enc(pool, tvb, 0, length, ENC_ASCII);
}

/* "INVITE sip:... SIP/2.0" or "SIP/2.0 200 OK". Returns where the headers begin, 0 if it's
 * neither. */
static int
parse_start_line(wmem_allocator_t *pool, tvbuff_t *tvb, sip_message_t *sip)
{
    static const char version[] = "SIP/2.0";
    const int version_length = (int)sizeof version - 1;
    int next, length = ws_find_line_end(tvb, 0, &next), space;
    uint64_t status;
    piece_t code;

    if (length < version_length + 4)
        return 0;
    if (tvb_strneql(tvb, 0, version, version_length) == 0) {
        code = (piece_t){ (const char *)tvb_get_ptr(tvb, version_length + 1, 3), 0, 3 };
        if (tvb_get_uint8(tvb, version_length) != ' ' || !piece_number(code, 999, &status) ||
            status < 100)
            return 0;
        sip->status = (unsigned)status;
        return next;
    }
    space = ws_find_uint8(tvb, 0, MIN(length, 32), ' ');
    if (space <= 0 || tvb_strneql(tvb, length - version_length, version, version_length) != 0)
        return 0;
    sip->method = method_name(pool, tvb, space);
    return next;
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
    int offset;

    memset(sip, 0, sizeof *sip);
    sip->method = "";
    sip->body_offset = -1;
    offset = parse_start_line(pool, tvb, sip);
    if (offset == 0)
        return false;
    parse_headers(pool, tvb, offset, sip);
    parse_cseq(sip);
    parse_body(tvb, sip);
    return true;
}
