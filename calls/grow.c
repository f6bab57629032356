/* calls/grow.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/grow.h"

#include "ws-compat.h"
#include <epan/packet.h>

#define SIZES 32 /* powers of two */

typedef struct free_block {
    struct free_block *next;
} free_block;

static free_block *free_blocks[SIZES];

static void
reset(void)
{
    memset(free_blocks, 0, sizeof free_blocks);
}

void
ft_grow_init(void)
{
    register_init_routine(reset);
}

/* The power of two that has room for them, and for a link. */
static unsigned
block_size(size_t bytes)
{
    unsigned size = 4;

    while ((size_t)1 << size < bytes)
        size++;
    return size;
}

static void *
take(size_t bytes)
{
    const unsigned size = block_size(bytes);
    free_block *block = free_blocks[size];

    if (!block)
        return wmem_alloc(wmem_file_scope(), (size_t)1 << size);
    free_blocks[size] = block->next;
    return block;
}

void
ft_give_back(void *block, size_t bytes)
{
    free_block *given = (free_block *)block;

    if (!given)
        return;
    given->next = free_blocks[block_size(bytes)];
    free_blocks[block_size(bytes)] = given;
}

void *
ft_grow_of_file(void *block, size_t bytes)
{
    void *larger = take(bytes);

    if (block) {
        memcpy(larger, block, bytes / 2);
        ft_give_back(block, bytes / 2);
    }
    return larger;
}
