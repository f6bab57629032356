/* fuzz/mutate_facetime.c
 * The mutator of fuzz_facetime: changes datagrams and their order, and half of the time mends
 * the lengths that a change broke, so that what lies behind a length check is reached as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz/input.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size, unsigned seed);

/* An input taken apart, each payload in a buffer that it may grow in. */
typedef struct {
    uint8_t  flags;
    unsigned count;
    struct {
        uint8_t  ends, how;
        unsigned length;
        uint8_t  payload[MAX_PAYLOAD];
    } datagrams[MAX_DATAGRAMS];
} fuzz_input;

static uint32_t state;

/* 0 to below - 1. libFuzzer's seed makes it repeatable. */
static unsigned
chance(unsigned below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

static void
take_apart(const uint8_t *data, size_t size, fuzz_input *input)
{
    fuzz_datagram datagrams[MAX_DATAGRAMS];

    input->flags = size ? data[0] : 0;
    input->count = size ? fuzz_parse(data, size, datagrams) : 0;
    for (unsigned i = 0; i < input->count; i++) {
        input->datagrams[i].ends = datagrams[i].ends;
        input->datagrams[i].how = datagrams[i].how;
        input->datagrams[i].length = datagrams[i].length;
        memcpy(input->datagrams[i].payload, datagrams[i].payload, datagrams[i].length);
    }
}

static size_t
put_together(const fuzz_input *input, uint8_t *data, size_t max_size)
{
    size_t at = 0;

    if (max_size == 0)
        return 0;
    data[at++] = input->flags;
    for (unsigned i = 0; i < input->count; i++) {
        const unsigned length = input->datagrams[i].length;
        if (at + RECORD_HEADER + length > max_size)
            break;
        data[at++] = input->datagrams[i].ends;
        data[at++] = input->datagrams[i].how;
        data[at++] = (uint8_t)(length >> 8);
        data[at++] = (uint8_t)length;
        memcpy(data + at, input->datagrams[i].payload, length);
        at += length;
    }
    return at;
}

/* ---- lengths ---- */

static unsigned
get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void
put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void mend(uint8_t *data, unsigned length, unsigned depth);

/* STUN attributes and link TLVs: type 2, length 2, value, padding of STUN to four bytes. What
 * sticks out is cut. */
static void
mend_values(uint8_t *data, unsigned length, bool padded, unsigned depth)
{
    for (unsigned at = 0; at + 4 <= length;) {
        unsigned value = get16(data + at + 2);
        if (value > length - at - 4)
            put16(data + at + 2, value = length - at - 4);
        if (padded && get16(data + at) == 0x0013) /* DATA */
            mend(data + at + 4, value, depth);
        at += 4 + (padded ? (value + 3) / 4 * 4 : value);
    }
}

/* Where the body of the relay's header begins. */
static unsigned
relay_body(const uint8_t *data, unsigned length, unsigned *attributes)
{
    static const struct { unsigned flag, size; bool list;
    } fields[] = {
        { 0x8000, 2, false }, { 0x0001, 2, false }, { 0x0002, 2, true },  { 0x0004, 8, false },
        { 0x0008, 1, false }, { 0x0010, 2, false }, { 0x0020, 1, false }, { 0x0080, 2, false },
        { 0x0200, 2, false }, { 0x2000, 2, false }, { 0x4000, 2, true },
    };
    const unsigned flags = length >= 6 ? get16(data + 4) : 0;
    unsigned at = 6;

    *attributes = 0;
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0] && at < length; i++) {
        if (!(flags & fields[i].flag))
            continue;
        if (i == 0 && at + 2 <= length)
            *attributes = get16(data + at);
        if (fields[i].flag == 0x0200 && (flags & 0x0400))
            at += 12; /* the report instead of the counter */
        else
            at += fields[i].list ? 1 + data[at] * fields[i].size : fields[i].size;
    }
    return at + ((*attributes & 2) != 0);
}

static void
mend_relay(uint8_t *data, unsigned length)
{
    unsigned attributes, body = relay_body(data, length, &attributes);

    put16(data + 2, length - 4);
    if (!(attributes & 0x20) || body + 20 > length)
        return;
    put16(data + body + 2, length - body - 20); /* a link message */
    mend_values(data + body + 20, length - body - 20, false, 0);
}

/* The Content-Length of SIP, in as many digits as it has. */
static void
mend_sip(uint8_t *data, unsigned length)
{
    static const char *const names[] = { "\nContent-Length:", "\nl:" };
    unsigned body = 0, digits = 0;

    for (unsigned at = 0; at + 4 <= length && !body; at++)
        body = memcmp(data + at, "\r\n\r\n", 4) == 0 ? at + 4 : 0;
    for (unsigned i = 0; i < 2 && !digits; i++) {
        const unsigned size = (unsigned)strlen(names[i]);
        for (unsigned at = 0; at + size < body && !digits; at++)
            digits = memcmp(data + at, names[i], size) == 0 ? at + size : 0;
    }
    while (digits && digits < body && data[digits] == ' ')
        digits++;
    if (!digits || !body)
        return;

    unsigned value = length - body, end = digits;
    while (end < body && data[end] >= '0' && data[end] <= '9')
        end++;
    for (; end > digits; value /= 10)
        data[--end] = (uint8_t)('0' + value % 10);
}

static void
mend(uint8_t *data, unsigned length, unsigned depth)
{
    if (length < 4 || depth > 4)
        return;
    if (data[0] < 0x40 && length >= 20) {
        put16(data + 2, length - 20);
        mend_values(data + 20, length - 20, true, depth + 1);
    } else if (data[0] == 0x60 && data[1] == 0) {
        mend_relay(data, length);
    } else if (data[0] == 'S' || data[0] == 'I' || data[0] == 'B' || data[0] == 'A' ||
               data[0] == 'M') {
        mend_sip(data, length);
    } else if (data[0] >= 0x40 && data[0] < 0x80 && get16(data) != 0x400f) {
        put16(data + 2, length - 4);
        mend(data + 4, length - 4, depth + 1);
    }
}

/* ---- changes ---- */

static void
change_payload(fuzz_input *input, unsigned i)
{
    unsigned *length = &input->datagrams[i].length;

    *length = (unsigned)LLVMFuzzerMutate(input->datagrams[i].payload, *length, MAX_PAYLOAD);
}

static void
change_header(fuzz_input *input, unsigned i)
{
    uint8_t *byte = chance(2) ? &input->datagrams[i].ends : &input->datagrams[i].how;

    if (chance(4) == 0)
        input->flags ^= (uint8_t)(1 << chance(5));
    else
        *byte ^= (uint8_t)(1 << chance(8));
}

/* Once more, further on; turned round, it's an answer. */
static void
repeat(fuzz_input *input, unsigned i)
{
    const unsigned at = input->count < MAX_DATAGRAMS ? input->count++ : chance(MAX_DATAGRAMS);

    input->datagrams[at] = input->datagrams[i];
    if (chance(2))
        input->datagrams[at].ends =
            (uint8_t)(input->datagrams[i].ends << 4 | input->datagrams[i].ends >> 4);
}

static void
drop(fuzz_input *input, unsigned i)
{
    input->count--;
    memmove(&input->datagrams[i], &input->datagrams[i + 1],
            (input->count - i) * sizeof input->datagrams[0]);
}

static void
swap(fuzz_input *input, unsigned i)
{
    static fuzz_input kept;
    const unsigned j = chance(input->count);

    kept.datagrams[0] = input->datagrams[i];
    input->datagrams[i] = input->datagrams[j];
    input->datagrams[j] = kept.datagrams[0];
}

static void
cut(fuzz_input *input, unsigned i)
{
    input->datagrams[i].length = chance(input->datagrams[i].length + 1);
}

/* Into a TURN channel. */
static void
wrap(fuzz_input *input, unsigned i)
{
    const unsigned length = input->datagrams[i].length;
    uint8_t *payload = input->datagrams[i].payload;

    if (length + 4 > MAX_PAYLOAD)
        return;
    memmove(payload + 4, payload, length);
    put16(payload, chance(4) ? 0x4000 + chance(3) : 0x6000);
    put16(payload + 2, length);
    input->datagrams[i].length = length + 4;
}

/* The first bytes of another datagram: a transaction id, a header. */
static void
borrow(fuzz_input *input, unsigned i)
{
    const unsigned j = chance(input->count), length = chance(32);

    if (length <= input->datagrams[i].length && length <= input->datagrams[j].length)
        memmove(input->datagrams[i].payload, input->datagrams[j].payload, length);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static fuzz_input input;
    static void (*const changes[])(fuzz_input *, unsigned) = { change_payload,
                                                               change_payload,
                                                               change_payload,
                                                               change_payload,
                                                               change_payload,
                                                               change_payload,
                                                               change_header,
                                                               repeat,
                                                               drop,
                                                               swap,
                                                               cut,
                                                               wrap,
                                                               borrow };

    state = seed | 1;
    take_apart(data, size, &input);
    if (input.count == 0 || chance(16) == 0)
        return LLVMFuzzerMutate(data, size, max_size);

    const bool mended = chance(2);
    for (unsigned n = 1 + chance(2); n > 0 && input.count > 0; n--) {
        const unsigned i = chance(input.count);
        changes[chance(sizeof changes / sizeof changes[0])](&input, i);
        if (mended && i < input.count)
            mend(input.datagrams[i].payload, input.datagrams[i].length, 0);
    }
    return put_together(&input, data, max_size);
}

/* Some datagrams of one, then some of the other. */
size_t
LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                          size_t other_size, uint8_t *out, size_t max_size, unsigned seed)
{
    static fuzz_input first, second;

    state = seed | 1;
    take_apart(one, one_size, &first);
    take_apart(other, other_size, &second);
    first.count = chance(first.count + 1);
    for (unsigned i = chance(second.count + 1); i < second.count && first.count < MAX_DATAGRAMS;
         i++)
        first.datagrams[first.count++] = second.datagrams[i];
    return put_together(&first, out, max_size);
}
