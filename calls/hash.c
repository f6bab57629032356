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
    for (size_t left = strlen(text) + 1, taken; left > 0; text += taken, left -= taken) {
        uint64_t word = 0;
        taken = MIN(left, sizeof word);
        memcpy(&word, text, taken);
        hash = ft_hash_word(hash, word);
    }
    return hash;
}
