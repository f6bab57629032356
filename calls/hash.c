/* calls/hash.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/hash.h"

#include <glib.h>
#include <string.h>

uint32_t ft_hash_secret[FT_HASH_MOST / sizeof(uint32_t)];

void
ft_hash_init(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ft_hash_secret); i++)
        ft_hash_secret[i] = g_random_int();
}

uint64_t
ft_hash_text(uint64_t hash, const char *text)
{
    const size_t length = strlen(text);
    uint64_t word = 0;

    hash ^= length;
    if (length < sizeof word) {
        for (size_t i = 0; i < length; i++)
            word = word << 8 | (uint8_t)text[i];
        return ft_hash_word(hash, word);
    }
    for (size_t at = 0; at + sizeof word <= length; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        hash = ft_hash_word(hash, word);
    }
    memcpy(&word, text + length - sizeof word, sizeof word); /* the rest, with some once more */
    return ft_hash_word(hash, word);
}
