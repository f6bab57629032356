/* wire/piece.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/piece.h"

#include <glib.h>
#include <string.h>

bool
piece_starts(piece_t piece, const char *prefix)
{
    size_t length = strlen(prefix);

    return (size_t)piece.length >= length && memcmp(piece.text, prefix, length) == 0;
}

bool
piece_is(piece_t piece, const char *word)
{
    return (size_t)piece.length == strlen(word) && piece_starts(piece, word);
}

piece_t
piece_trim(piece_t piece)
{
    while (piece.length > 0 && g_ascii_isspace(piece.text[0]))
        piece = piece_skip(piece, 1);
    while (piece.length > 0 && g_ascii_isspace(piece.text[piece.length - 1]))
        piece.length--;
    return piece;
}

/* What stands before the separator; *rest becomes what stands after it, empty where there is
 * none. */
piece_t
piece_split(piece_t *rest, char separator)
{
    const char *found =
        rest->length > 0 ? (const char *)memchr(rest->text, separator, (size_t)rest->length) : NULL;
    piece_t head = found ? piece_head(*rest, (int)(found - rest->text)) : *rest;

    *rest = piece_skip(*rest, found ? head.length + 1 : head.length);
    return head;
}

/* True for digits alone that make a number of at most max. */
bool
piece_number(piece_t piece, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;

    if (piece.length <= 0)
        return false;
    for (int i = 0; i < piece.length; i++) {
        unsigned digit = (unsigned)(piece.text[i] - '0');

        if (digit > 9 || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

/* The next line without its end; *rest goes on behind it. */
piece_t
piece_line(piece_t *rest)
{
    piece_t line = piece_split(rest, '\n');

    if (line.length > 0 && line.text[line.length - 1] == '\r')
        line.length--;
    return line;
}
