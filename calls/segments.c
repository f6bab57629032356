/* calls/segments.c
 * The beginnings of messages whose rest hasn't come (first pass), and the messages of several
 * segments that proved a flow, by their last frame.
 *
 *    hash of the direction -> waiting: sequence number of what comes next, bytes so far
 *
 * Two directions in one place push each other out: then the next message must prove, as where a
 * segment is missing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/segments.h"
#include "calls/network.h"

#define WAITING_SLOTS 64
#define WINDOW        65535 /* farther back is no repeat */

typedef struct {
    uint32_t direction, next;   /* hash, sequence number */
    unsigned length;            /* 0: nothing */
    uint8_t  bytes[MAX_PIECE];
} waiting_piece;

static waiting_piece waiting[WAITING_SLOTS];

unsigned ft_segments_total;

/* known: bytes of the frame's own segment that are in it. */
typedef struct {
    const uint8_t *bytes;
    unsigned       length, known;
} proven_piece;

static wmem_map_t *proven; /* frame -> proven_piece */

static void
forget_all(void)
{
    for (unsigned i = 0; i < WAITING_SLOTS; i++)
        waiting[i].length = 0;
    ft_segments_total = 0;
}

void
ft_segments_init(void)
{
    register_init_routine(forget_all);
    proven = ft_new_map(g_direct_hash, g_direct_equal);
}

static uint32_t
direction_of(const packet_info *pinfo)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    return (ft_endpoint_hash(&source) * 31 + ft_endpoint_hash(&destination)) * 31 +
           ft_network_of(pinfo);
}

static waiting_piece *
slot_of(uint32_t direction)
{
    return &waiting[(direction ^ direction >> 16) % WAITING_SLOTS];
}

static void
forget(waiting_piece *piece)
{
    ft_segments_total -= piece->length > 0;
    piece->length = 0;
}

/* Of the segment, what came before is left out. */
static ft_bytes
join(packet_info *pinfo, const uint8_t *piece, unsigned length, unsigned known, ft_bytes segment)
{
    const ft_bytes joined = { NULL, length + segment.length - known, length };
    uint8_t *bytes = (uint8_t *)wmem_alloc(pinfo->pool, joined.length);

    memcpy(bytes, piece, length);
    memcpy(bytes + length, segment.bytes + known, segment.length - known);
    return (ft_bytes){ bytes, joined.length, length };
}

/* A segment that is missing ends the waiting, and so does another connection with these ends. */
static ft_bytes
join_waiting(packet_info *pinfo, waiting_piece *piece, uint32_t sequence, ft_bytes segment)
{
    const uint32_t known = piece->next - sequence;

    if (known > WINDOW) {
        forget(piece);
        return segment;
    }
    if (known >= segment.length)
        return (ft_bytes){ NULL, 0, 0 };

    const ft_bytes joined = join(pinfo, piece->bytes, piece->length, known, segment);
    forget(piece);
    return joined;
}

ft_bytes
ft_segments_joined(packet_info *pinfo, uint32_t sequence, ft_bytes segment)
{
    if (!ft_segments_wait())
        return segment;
    if (pinfo->fd->visited) {
        const proven_piece *piece = (const proven_piece *)wmem_map_lookup(
            proven, GUINT_TO_POINTER(ft_frame_id(pinfo)));
        return piece ? join(pinfo, piece->bytes, piece->length, piece->known, segment) : segment;
    }

    const uint32_t direction = direction_of(pinfo);
    waiting_piece *piece = slot_of(direction);
    return piece->length > 0 && piece->direction == direction
               ? join_waiting(pinfo, piece, sequence, segment)
               : segment;
}

void
ft_segments_keep(const packet_info *pinfo, uint32_t next_sequence, ft_bytes piece)
{
    const uint32_t direction = direction_of(pinfo);
    waiting_piece *kept = slot_of(direction);

    forget(kept);
    if (piece.length == 0 || piece.length > MAX_PIECE)
        return;
    kept->direction = direction;
    kept->next = next_sequence;
    kept->length = piece.length;
    memcpy(kept->bytes, piece.bytes, piece.length);
    ft_segments_total++;
}

void
ft_segments_prove(const packet_info *pinfo, ft_bytes joined, unsigned segment_length)
{
    if (joined.before == 0)
        return;

    proven_piece *kept = wmem_new(wmem_file_scope(), proven_piece);
    kept->bytes = (const uint8_t *)wmem_memdup(wmem_file_scope(), joined.bytes, joined.before);
    kept->length = joined.before;
    kept->known = joined.before + segment_length - joined.length;
    wmem_map_insert(proven, GUINT_TO_POINTER(ft_frame_id(pinfo)), kept);
    ft_segments_total++;
}
