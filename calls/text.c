/* calls/text.c
 * Text fit to be shown, from bytes off the wire: what is no UTF-8 or not printable becomes
 * U+FFFD, and what is too long is cut between characters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/text.h"

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

/* Eight bytes at once: none with its highest bit, none that a subtraction of ' ' turns negative,
 * none that one more makes such, as DEL's. */
static bool
are_eight_plain(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return ((word | (word - EACH_BYTE(' ')) | (word + EACH_BYTE(1))) & EACH_BYTE(0x80)) == 0;
}

/* How many bytes from here on are printable ASCII: nearly all of any text. */
static size_t
plain_run(const char *bytes, size_t length)
{
    size_t run = 0;

    while (run + sizeof(uint64_t) <= length && are_eight_plain(bytes + run))
        run += sizeof(uint64_t);
    while (run < length && bytes[run] >= ' ' && bytes[run] <= '~')
        run++;
    return run;
}

bool
ft_text_is_plain(const char *bytes, size_t length)
{
    return plain_run(bytes, length) == length;
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

#define MOST_PRINTED 200

typedef struct {
    char   bytes[MOST_PRINTED];
    size_t length;
} printed_text;

static bool
print_bytes(printed_text *text, const char *bytes, size_t length)
{
    if (length > sizeof text->bytes - text->length)
        return false;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    return true;
}

static bool
print_number(printed_text *text, unsigned number)
{
    char digits[16], *first = digits + sizeof digits;

    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    return print_bytes(text, first, (size_t)(digits + sizeof digits - first));
}

/* False where it is too long, or has other conversions. */
static bool
print_quickly(printed_text *text, const char *format, va_list arguments)
{
    for (;;) {
        const size_t plain = strcspn(format, "%");
        if (!print_bytes(text, format, plain))
            return false;
        if (!format[plain])
            return true;
        if (format[plain + 1] == 's') {
            const char *argument = va_arg(arguments, const char *);
            if (!argument || !print_bytes(text, argument, strlen(argument)))
                return false;
        } else if (format[plain + 1] != 'u' || !print_number(text, va_arg(arguments, unsigned))) {
            return false;
        }
        format += plain + 2;
    }
}

char *
ft_text_print(wmem_allocator_t *scope, const char *format, va_list arguments)
{
    printed_text text = { .length = 0 };
    va_list again;

    va_copy(again, arguments);
    const bool is_printed = print_quickly(&text, format, again);
    va_end(again);
    return is_printed ? ft_text_copy(scope, text.bytes, text.length)
                      : wmem_strdup_vprintf(scope, format, arguments);
}

char *
ft_text_keep(wmem_allocator_t *scope, const void *bytes, size_t length, size_t most)
{
    const char *at = (const char *)bytes;
    const size_t kept = MIN(length, most);
    size_t taken;

    if (plain_run(at, kept) == kept)
        return ft_text_copy(scope, at, kept);

    wmem_strbuf_t *text = wmem_strbuf_new(scope, "");
    for (; length > 0; at += taken, length -= taken) {
        taken = plain_run(at, MIN(length, most - wmem_strbuf_get_len(text)));
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
