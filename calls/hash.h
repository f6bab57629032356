/* calls/hash.h
 * Hashes of what comes off the wire, a word at a time: each is asked for several times a packet,
 * and libraries' take a byte at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_HASH_H
#define FT_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FT_HASH_MOST 32

extern uint32_t ft_hash_secret[FT_HASH_MOST / sizeof(uint32_t)];

/* Of a value of FT_HASH_MOST bytes at most: sums of products with secret numbers (NH, as of UMAC,
 * RFC 4418) keep a sender from choosing values that meet. */
static inline unsigned
ft_hash_value(const void *bytes, size_t length)
{
    uint32_t words[FT_HASH_MOST / sizeof(uint32_t)] = { 0 };
    uint64_t sum = 0;

    memcpy(words, bytes, length);
    for (size_t i = 0; i * sizeof *words < length; i += 2)
        sum += (uint64_t)(words[i] + ft_hash_secret[i]) * (words[i + 1] + ft_hash_secret[i + 1]);
    return (unsigned)(sum ^ sum >> 32);
}

/* Of texts in a row, each with its length, so that two of them aren't one; begun with
 * FT_HASH_BEGIN. As FNV-1a, but eight bytes at once. A sender can choose texts that meet. */
#define FT_HASH_BEGIN UINT64_C(0xcbf29ce484222325)
uint64_t ft_hash_text(uint64_t hash, const char *text);

static inline uint64_t
ft_hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Once, by ft_owners_init(). */
void ft_hash_init(void);

#endif
