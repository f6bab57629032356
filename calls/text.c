/* calls/text.c
 * Text fit to be shown, from bytes off the wire: what is no UTF-8 or not printable becomes
 * U+FFFD, and what is too long is cut between characters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/text.h"

#include <epan/to_str.h>
#include <wsutil/bits_ctz.h>

#define REPLACEMENT 0xfffd

static gunichar
shown_as(gunichar character)
{
    return character == ' ' || (g_unichar_isprint(character) && !g_unichar_isspace(character))
               ? character
               : REPLACEMENT;
}

/* The character at these bytes, and how many it takes. Bytes that are none count one by one. */
static gunichar
next_character(const char *bytes, size_t length, size_t *taken)
{
    const gunichar character = bytes[0] ? g_utf8_get_char_validated(bytes, (gssize)length) : 0;
    const bool is_one = character != (gunichar)-1 && character != (gunichar)-2;

    *taken = is_one && character ? (size_t)g_unichar_to_utf8(character, NULL) : 1;
    return is_one ? shown_as(character) : REPLACEMENT;
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Eight bytes at once, the first one lowest: the highest bit of what has it set itself, of what a
 * subtraction of ' ' turns negative, and of DEL, which one more makes such. Carries go up, so that
 * the lowest of these bits is always right. */
static uint64_t
unplain(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    word = GUINT64_FROM_LE(word);
    return (word | (word - EACH_BYTE(' ')) | (word + EACH_BYTE(1))) & EACH_BYTE(0x80);
}

size_t
ft_text_plain_length(const char *bytes, size_t length)
{
    size_t run = 0;

    for (; run + sizeof(uint64_t) <= length; run += sizeof(uint64_t)) {
        const uint64_t found = unplain(bytes + run);
        if (found)
            return run + (size_t)ws_ctz(found) / 8;
    }
    while (run < length && bytes[run] >= ' ' && bytes[run] <= '~')
        run++;
    return run;
}

/* wmem_strndup() looks at each byte. */
char *
ft_text_copy(wmem_allocator_t *scope, const char *bytes, size_t length)
{
    char *text = (char *)wmem_alloc(scope, length + 1);

    memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}

char *
ft_text_keep(wmem_allocator_t *scope, const void *bytes, size_t length, size_t most)
{
    const char *at = (const char *)bytes;
    const size_t kept = MIN(length, most);
    size_t taken;

    if (ft_text_plain_length(at, kept) == kept)
        return ft_text_copy(scope, at, kept);

    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");
    for (; length > 0; at += taken, length -= taken) {
        taken = ft_text_plain_length(at, MIN(length, most - wmem_strbuf_get_len(text)));
        if (taken) {
            wmem_strbuf_append_len(text, at, taken);
            continue;
        }
        const gunichar character = next_character(at, length, &taken);
        if (wmem_strbuf_get_len(text) + (size_t)g_unichar_to_utf8(character, NULL) > most)
            break;
        wmem_strbuf_append_unichar(text, character);
    }
    return wmem_strbuf_finalize(text);
}

#define FORMAT_USUAL 256

/* Room for one more piece and the NUL; false where it doesn't fit. */
static bool
put(char **end, const char *limit, const char *piece, size_t length)
{
    if (length >= (size_t)(limit - *end))
        return false;
    memcpy(*end, piece, length);
    *end += length;
    return true;
}

/* False where the format has something else, or the text is long. */
static bool
format_plainly(char text[FORMAT_USUAL], const char *format, va_list arguments)
{
    char *end = text, number[sizeof "4294967295"];
    const char *const limit = text + FORMAT_USUAL;

    for (const char *next; (next = strchr(format, '%')) != NULL; format = next + 2) {
        const char *piece = NULL;
        if (next[1] == 's') {
            piece = va_arg(arguments, const char *);
        } else if (next[1] == 'u') {
            uint32_to_str_buf(va_arg(arguments, unsigned), number, sizeof number);
            piece = number;
        }
        if (!piece || !put(&end, limit, format, (size_t)(next - format)) ||
            !put(&end, limit, piece, strlen(piece)))
            return false;
    }
    if (!put(&end, limit, format, strlen(format)))
        return false;
    *end = '\0';
    return true;
}

char *
ft_text_format(wmem_allocator_t *scope, const char *format, va_list arguments)
{
    char text[FORMAT_USUAL];
    va_list again;

    va_copy(again, arguments);
    const bool is_done = format_plainly(text, format, again);
    va_end(again);
    return is_done ? ft_text_copy(scope, text, strlen(text))
                   : wmem_strdup_vprintf(scope, format, arguments);
}

address
ft_text_address(wmem_allocator_t *scope, const char *text, size_t length)
{
    char whole[WS_INET6_ADDRSTRLEN] = { 0 };
    ws_in4_addr ipv4;
    ws_in6_addr ipv6;
    address found = ADDRESS_INIT_NONE;

    memcpy(whole, text, MIN(length, sizeof whole - 1));
    if (ws_inet_pton4(whole, &ipv4))
        alloc_address_wmem(scope, &found, AT_IPv4, sizeof ipv4, &ipv4);
    else if (ws_inet_pton6(whole, &ipv6))
        alloc_address_wmem(scope, &found, AT_IPv6, sizeof ipv6, &ipv6);
    return found;
}
