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
