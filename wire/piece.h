/* wire/piece.h
 * Pieces of a message's text: taken apart without copying it, each piece still knows where it lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PIECE_H
#define FT_PIECE_H

#include "ws-compat.h"

#include <stdint.h>

/* length bytes at text, which lie at offset in their tvb. Not NUL-terminated. */
typedef struct {
    const char *text;
    int offset;
    int length;
} piece_t;

/* Without its first bytes, which it must have; and the first ones alone. */
static inline piece_t
piece_skip(piece_t piece, int count)
{
    return (piece_t){ piece.text + count, piece.offset + count, piece.length - count };
}

static inline piece_t
piece_head(piece_t piece, int length)
{
    piece.length = length;
    return piece;
}

/* Case matters. */
bool piece_starts(piece_t piece, const char *prefix);
bool piece_is(piece_t piece, const char *word);

piece_t piece_trim(piece_t piece);

/* What stands before the separator; *rest becomes what stands after it, empty where there is
 * none. */
piece_t piece_split(piece_t *rest, char separator);

/* The next line without its end; *rest goes on behind it. */
piece_t piece_line(piece_t *rest);

/* True for digits alone that make a number of at most max. */
bool piece_number(piece_t piece, uint64_t max, uint64_t *number);

#endif
