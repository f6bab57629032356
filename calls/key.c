/* calls/key.c
 * What tells a call in other files, from its clues: each becomes a text that says nothing of the
 * clue itself, so that a database of keys holds no Call-ID, key or pseudonym.
 *
 *    Call-ID                                    --+
 *    key or participant: 8 bytes, then zeros    --+--> SHA-256, 16 digits: "mki:0123456789abcdef"
 *    tie-breakers, SSRCs: two of 8 bytes each   --+
 *
 * A pair is of what one alone isn't rare enough for: a tie-breaker has 31 random bits, an SSRC 32.
 * Among millions of calls some share one of them by chance, hardly any both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/key.h"

#include "calls/limits.h"

#define PAIRED_STREAMS 4    /* of each direction: the first ones; a legacy call has two */
#define HASH_DIGITS    16   /* of SHA-256 */

/* Hashed when it is first asked for: most captures are only looked at. */
typedef struct {
    const char *text;       /* NULL until then */
    const char *call_id;    /* of FT_KEY_CALL_ID; else NULL */
    uint8_t     bytes[16];  /* of any other */
    uint32_t    from_frame;
    ft_key_kind kind;
} call_key;

#define KEY_NAME(id, name) name,
static const char *const key_names[FT_KEY_KIND_COUNT] = { FT_KEY_KINDS(KEY_NAME) };

static unsigned
count_of(const ft_call *call)
{
    return call->key_list ? wmem_array_get_count(call->key_list) : 0;
}

static call_key *
key_at(const ft_call *call, unsigned i)
{
    return (call_key *)wmem_array_index(call->key_list, i);
}

/* Unused bytes are zeros, so all 16 are compared. */
static bool
is_same(const call_key *one, const call_key *other)
{
    return one->kind == other->kind && memcmp(one->bytes, other->bytes, sizeof one->bytes) == 0 &&
           g_strcmp0(one->call_id, other->call_id) == 0;
}

static void
add_key(const packet_info *pinfo, ft_call *call, const call_key *fresh)
{
    for (unsigned i = 0; i < count_of(call); i++) {
        if (is_same(key_at(call, i), fresh))
            return;
    }
    if (!ft_limit_allows(FT_LIMIT_KEYS_PER_CALL, count_of(call))) {
        ft_limit_note(pinfo, FT_LIMIT_KEYS_PER_CALL);
        return;
    }
    if (!call->key_list)
        call->key_list = wmem_array_sized_new(wmem_file_scope(), sizeof(call_key), FEW);
    wmem_array_append(call->key_list, fresh, 1);
}

void
ft_key_call_id(packet_info *pinfo, ft_call *call, const char *call_id)
{
    const call_key fresh = { .call_id = call_id,
                             .from_frame = ft_frame_id(pinfo),
                             .kind = FT_KEY_CALL_ID };

    if (ft_learning(pinfo))
        add_key(pinfo, call, &fresh);
}

void
ft_key_bytes(packet_info *pinfo, ft_call *call, ft_key_kind kind, const uint8_t bytes[8])
{
    call_key fresh = { .from_frame = ft_frame_id(pinfo), .kind = kind };

    memcpy(fresh.bytes, bytes, 8);
    if (ft_learning(pinfo))
        add_key(pinfo, call, &fresh);
}

/* Whichever way round they are seen: what goes out at one end comes in at the other, and both
 * ends' files must find the same key. Big-endian, so that it is the same on every machine. A
 * pair of one value with itself has half its bits, and is none. */
static void
add_pair(packet_info *pinfo, ft_call *call, ft_key_kind kind, uint64_t one, uint64_t other)
{
    const uint64_t pair[2] = { GUINT64_TO_BE(MIN(one, other)), GUINT64_TO_BE(MAX(one, other)) };
    call_key fresh = { .from_frame = ft_frame_id(pinfo), .kind = kind };

    memcpy(fresh.bytes, pair, sizeof fresh.bytes);
    if (one != other && ft_learning(pinfo))
        add_key(pinfo, call, &fresh);
}

void
ft_key_tie_breakers(packet_info *pinfo, ft_call *call)
{
    if (call->tie_breaker_count == FT_MAX_AGENTS)
        add_pair(pinfo, call, FT_KEY_TIE_BREAKERS, call->tie_breakers[0].value,
                 call->tie_breakers[1].value);
}

/* A new stream is paired with the first ones of the other direction. Each end sees the same few
 * SSRCs, so both make the same pairs; of a group with ever new SSRCs all pairs would be their
 * square. */
void
ft_key_stream(packet_info *pinfo, ft_call *call, const ft_stream *fresh)
{
    unsigned same = 0, others = 0;

    for (unsigned i = 0; i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        same += stream->outgoing == fresh->outgoing;
    }
    for (unsigned i = 0; same <= PAIRED_STREAMS && i < wmem_array_get_count(call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(call->streams, i);
        if (stream->outgoing != fresh->outgoing && others++ < PAIRED_STREAMS)
            add_pair(pinfo, call, FT_KEY_SSRCS, stream->ssrc, fresh->ssrc);
    }
}

/* The elder has them from this frame on; two tie-breakers that were one in each call are a pair
 * now. */
void
ft_key_merge(packet_info *pinfo, ft_call *elder, const ft_call *younger)
{
    for (unsigned i = 0; i < count_of(younger); i++) {
        call_key moved = *key_at(younger, i);
        moved.from_frame = ft_frame_id(pinfo);
        add_key(pinfo, elder, &moved);
    }
    ft_key_tie_breakers(pinfo, elder);
}

/* Made once, and only for a key that is shown or compared with another of its kind. */
static const char *
key_text(call_key *key)
{
    if (!key->text) {
        const uint8_t *data = key->call_id ? (const uint8_t *)key->call_id : key->bytes;
        char *hash = g_compute_checksum_for_data(
            G_CHECKSUM_SHA256, data, key->call_id ? strlen(key->call_id) : sizeof key->bytes);
        key->text = wmem_strdup_printf(wmem_file_scope(), "%s:%.*s", key_names[key->kind],
                                       HASH_DIGITS, hash);
        g_free(hash);
    }
    return key->text;
}

static int
compare(call_key *one, call_key *other)
{
    return one->kind != other->kind ? (int)one->kind - (int)other->kind
                                    : strcmp(key_text(one), key_text(other));
}

/* The strongest kind first, then the text that sorts first: not the one that came first, since
 * files that see the same clues may see them in another order. */
static const char *
best_of(const ft_call *call, unsigned count)
{
    call_key *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        call_key *key = key_at(call, i);
        if (!best || compare(key, best) < 0)
            best = key;
    }
    return best ? key_text(best) : NULL;
}

/* As of a frame, so that packets show the same on each pass. Keys stand in the order of frames,
 * so those known by then are the first ones, and their number tells whether the last answer
 * still holds. */
const char *
ft_key_best(ft_call *call, uint32_t frame)
{
    unsigned known = count_of(call);

    while (known > 0 && key_at(call, known - 1)->from_frame > frame)
        known--;
    if (call->keys_compared != known) {
        call->keys_compared = known;
        call->best_key = best_of(call, known);
    }
    return call->best_key;
}

static int
by_strength(const void *one, const void *other)
{
    return compare(*(call_key *const *)one, *(call_key *const *)other);
}

GPtrArray *
ft_keys(const ft_call *call)
{
    GPtrArray *keys = g_ptr_array_new();

    for (unsigned i = 0; i < count_of(call); i++)
        g_ptr_array_add(keys, key_at(call, i));
    g_ptr_array_sort(keys, by_strength);
    for (unsigned i = 0; i < keys->len; i++)
        keys->pdata[i] = (void *)key_text((call_key *)keys->pdata[i]);
    return keys;
}
