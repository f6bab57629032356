/* fuzz/input.h
 * The bytes that fuzz_facetime takes: a byte of flags, then up to 16 datagrams.
 *
 *   flags 1 | (ends 1 | how 1 | length 2 | payload) ...
 *
 *   ends    indices into the table of ends: sender in the high four bits, receiver in the low four
 *   how     0x1f: 2^n - 1 milliseconds after the datagram before; and the bits below
 *   length  big-endian; a length beyond the input's end means all that is left
 *
 * Addresses are 10.77.0.1 to 10.77.0.7; a payload may hold them, in clear or XORed with STUN's
 * magic cookie. The target gives each input a network of its own, so that one input's flows
 * aren't the next one's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

#define MAX_DATAGRAMS   16
#define MAX_PAYLOAD     4096
#define RECORD_HEADER   4

enum {                          /* the flags */
    FLAG_NO_TREE      = 0x01,   /* the first pass has no tree, as in a plain tshark -2 */
    FLAG_VISIBLE_TREE = 0x02,   /* trees with texts, which take twice the time */
    FLAG_COLUMNS      = 0x04,
    FLAG_SHOW_PEER    = 0x08,   /* facetime.show_peer */
    FLAG_NO_MEDIA     = 0x10,   /* facetime.media_without_signalling off */
};

enum {                          /* how */
    HOW_STEP    = 0x1f,
    HOW_IPV6    = 0x20,
    HOW_SNAPPED = 0x40,         /* the capture kept the first half of the payload */
    HOW_QUOTED  = 0x80,         /* an ICMP error quotes the datagram */
};

typedef struct {
    uint8_t        ends, how;
    uint16_t       length;
    const uint8_t *payload;
} fuzz_datagram;

/* Takes an input apart; returns the number of datagrams. */
static inline unsigned
fuzz_parse(const uint8_t *data, size_t size, fuzz_datagram datagrams[MAX_DATAGRAMS])
{
    unsigned count = 0;

    for (size_t at = 1; at + RECORD_HEADER <= size && count < MAX_DATAGRAMS; count++) {
        fuzz_datagram *datagram = &datagrams[count];
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3], left = size - at - RECORD_HEADER;

        length = length > MAX_PAYLOAD ? MAX_PAYLOAD : length;
        length = length > left ? left : length;
        *datagram =
            (fuzz_datagram){ data[at], data[at + 1], (uint16_t)length, data + at + RECORD_HEADER };
        at += RECORD_HEADER + length;
    }
    return count;
}

#endif
