/* calls/text.h
 * The border for text that came off the wire: a codec's name, a reason, a line of SDP. It is
 * made fit to be shown once, where it is kept; from there on nobody asks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TEXT_H
#define FT_TEXT_H

#include "ws-compat.h"
#include <epan/packet.h>

/* length bytes as valid UTF-8 of at most `most` bytes, cut between characters. What isn't UTF-8,
 * and what doesn't print (NULs, control characters, what turns the order of a line, any space
 * but ' '), is U+FFFD. Lives in scope. */
char *ft_text_keep(wmem_allocator_t *scope, const void *bytes, size_t length, size_t most);

/* length bytes as they stand. Lives in scope. */
char *ft_text_copy(wmem_allocator_t *scope, const char *bytes, size_t length);

/* As vsnprintf(), which takes a thousand instructions for what nearly all formats have: %s and
 * %u. */
char *ft_text_format(wmem_allocator_t *scope, const char *format, va_list arguments)
    G_GNUC_PRINTF(2, 0);

/* How many bytes from the first one on are printable ASCII, and so are kept as they stand: nearly
 * all of any text. */
size_t ft_text_plain_length(const char *bytes, size_t length);

/* The IPv4 or IPv6 address that these bytes are, alone; else AT_NONE. Lives in scope. */
address ft_text_address(wmem_allocator_t *scope, const char *text, size_t length);

#endif
