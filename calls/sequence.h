/* calls/sequence.h
 * What an RTP stream's sequence numbers tell: wraps, losses, reordering, copies, restarts (RFC
 * 3550 A.1 and A.3), and timestamps that don't wrap. Pure C, no Wireshark in it: test_sequence.c
 * walks it without a capture.
 *
 *    number fits the believed sequence   NEXT, LATE, or the number again: COPY, TWIN
 *    it fits none, or there is none yet  UNPROVEN: a candidate, until two numbers of it are
 *                                        neighbours
 *    ... and they are                    NEXT (the stream's first sequence) or RESTART; all of its
 *                                        packets count
 *    ... and never are                   strays: packets, but no loss comes of them
 *
 * "Fits" is RFC 3550's: less than 3000 ahead of the highest number, at most 100 behind it. A
 * restart isn't a loss and forgets none. A leap ahead that the next packets don't follow was a
 * stray: it is taken back, and so are its losses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SEQUENCE_H
#define FT_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* numbers in which a copy is known; more than RFC 3550 lets a packet be late */
#define FT_SEQUENCE_WINDOW      256
#define FT_SEQUENCE_MAX_DROPOUT 3000    /* RFC 3550 A.1 */
#define FT_SEQUENCE_MAX_MISORDER 100    /* RFC 3550 A.1 */

typedef enum {
    FT_SEQUENCE_UNPROVEN,
    FT_SEQUENCE_NEXT,       /* a new highest number, perhaps behind a gap */
    FT_SEQUENCE_LATE,       /* below the highest number, not seen before */
    FT_SEQUENCE_COPY,       /* the same packet again: number and digest */
    /* the number again with other content: FaceTime's FEC parity packets are like this */
    FT_SEQUENCE_TWIN,
    FT_SEQUENCE_RESTART     /* proves that the sender began another sequence */
} ft_sequence_verdict;

/* What the caller remembers of a number's first packet; its own words, not read here. */
typedef struct {
    uint32_t frame;
    uint8_t  way;
    bool     on_several;
} ft_sequence_mark;

typedef struct {
    ft_sequence_verdict verdict;
    /* extended: low 16 bits as sent; rises over wraps and over restarts */
    uint64_t            number;
    uint32_t
        missing; /* numbers known to be missing right before this one; with the packet that proves a
                                     * sequence, those inside it. Never taken back: late packets
                                     *     don't change it */
    ft_sequence_mark
        *mark; /* COPY: of the packet that it is a copy of. Else fresh, to be filled in. Never NULL;
                                     * valid until the next call */
} ft_sequence_packet;

/* As known now. Each value only of believed sequences but strays. A stream that has had no
 * neighbours so far is counted by its candidate, once that has two packets. */
typedef struct {
    uint32_t received;      /* distinct numbers */
    /* distinct numbers between a sequence's first and highest that never came */
    uint32_t lost;
    uint32_t reordered;     /* distinct numbers that came below the highest number so far */
    uint32_t bursts;        /* runs of lost numbers */
    uint32_t longest;       /* of these */
    uint32_t restarts;
    uint32_t copies;
    uint32_t twins;
    /* packets of sequences that nothing proved, the candidate of now included */
    uint32_t strays;
} ft_sequence_counts;

/* One sequence, believed or not. Private. */
typedef struct {
    uint64_t base, highest;             /* first and highest number; 0: there is no sequence */
    /* the fate of numbers below it is final: no late packet reaches them */
    uint64_t settled;
    uint64_t seen[FT_SEQUENCE_WINDOW / 64]; /* ring of bits: the latest numbers that came */
    uint32_t received;                  /* from base on */
    /* numbers below base: they came late, and nothing says what lies between */
    uint32_t early;
    uint32_t reordered;
    uint32_t bursts, longest;           /* among settled numbers, the open one not included */
    uint32_t open_burst;                /* that ends right below settled */
} ft_sequence_run;

/* Private. */
typedef struct {
    uint32_t         digest;
    uint16_t         sequence;
    uint8_t          place;     /* among FT_SEQUENCE_WINDOW */
    bool             used;
    ft_sequence_mark mark;
} ft_sequence_slot;

/* A block of memory, made larger: NULL makes a new one. */
typedef void *(*ft_grow)(void *block, size_t bytes);

/* All zero: a stream before its first packet. 0.3 KiB, and up to 4 KiB of slots, as its packets
 * need them. */
typedef struct {
    ft_sequence_run    run;             /* the believed one */
    ft_sequence_run    candidate;
    /* the believed one, before its last packet leapt ahead; base 0: it didn't */
    ft_sequence_run    before_leap;
    ft_sequence_counts done;            /* of sequences that ended, and what belongs to none */
    uint64_t           cycle;           /* of the newest sequence: numbers above this are unused */
    uint16_t           room;            /* slots that there are: 0, 8, 16 ... FT_SEQUENCE_WINDOW */
    /* of grow's; whoever frees them sets both to zero: no copy is known any more */
    ft_sequence_slot  *slots;
} ft_sequence;

/* The stream's next packet, in order of capture. digest: of all that makes two packets the same
 * besides the number (timestamp, payload); the caller's hash, or 0 throughout where number and
 * stream are enough. */
ft_sequence_packet ft_sequence_add(ft_sequence *stream, uint16_t sequence, uint32_t digest,
                                   ft_grow grow);

/* The mark of the packet with this number and digest, among the latest; NULL where there is
 * none. */
const ft_sequence_mark *ft_sequence_find(const ft_sequence *stream, uint16_t sequence,
                                         uint32_t digest);

/* All marks that are remembered. */
typedef void (*ft_sequence_visitor)(uint16_t sequence, const ft_sequence_mark *mark, void *user);
void ft_sequence_marks(const ft_sequence *stream, ft_sequence_visitor visit, void *user);

/* The highest number so far of the sequence that goes on, believed or not. */
uint16_t ft_sequence_latest(const ft_sequence *stream);

ft_sequence_counts ft_sequence_count(const ft_sequence *stream);

/* RTP timestamps that go on over wraps: ticks, congruent to what was sent modulo 2^32; the first
 * is as sent. A timestamp up to 2^31 ticks behind the highest one so far is taken for an earlier
 * one. All zero: before the first. After a RESTART the sender may have chosen any: take a fresh
 * one. */
typedef struct {
    int64_t highest;
    bool    started;
} ft_timestamps;

int64_t ft_timestamp_extend(ft_timestamps *stream, uint32_t timestamp);

#endif
