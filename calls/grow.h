/* calls/grow.h
 * Blocks of the file's memory that double as more is to be kept, and are given back. wmem's own
 * allocator hardly finds freed blocks again; here each size has a list of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_GROW_H
#define FT_GROW_H

#include <stddef.h>

/* A block of so many bytes, an even number; what was in the block of half as many is its first
 * half. NULL: a new one. */
void *ft_grow_of_file(void *block, size_t bytes);

/* The block has so many bytes. It may be NULL. */
void ft_give_back(void *block, size_t bytes);

/* Once, when the front door is registered. */
void ft_grow_init(void);

#endif
