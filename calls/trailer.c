/* calls/trailer.c
 * How a modern RTP packet ends, and with which key, from its last bytes and what its sender used
 * before (the forms: calls/trailer.h):
 *
 *    ends in a word  -> the form with the long or the short key id, at once
 *    ends in a tag   -> the key id in front of it must be the sender's last, ratcheted on, rolled,
 *                    or of a fresh key
 *    several packets agree -> proof of a flow without signalling
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/trailer.h"
#include "calls/limits.h"

#define END_WORD_LENGTH   4
#define END_WORD_2026     0x00000020
#define ROLLOVER_LENGTH   4
#define ROLLOVER_INTERVAL 0x7f  /* mask of the sequence numbers that bring the roll-over counter */
#define NAMED_GAP         6     /* offset of the zero between the halves of a participant id */
#define NAMED_END         11    /* from here on an MKI of 2026 is zeros */
#define AGREEING_PACKETS  3

/* ---- what the bytes tell ---- */

static uint16_t
head_of(const uint8_t *mki)
{
    return (uint16_t)(mki[0] << 8 | mki[1]);
}

/* 5366 of 5366 in the captures of 2023: version 4, and the variant of RFC 4122. */
static bool
is_uuid(const uint8_t *mki)
{
    return (mki[6] & 0xf0) == 0x40 && (mki[8] & 0xc0) == 0x80;
}

bool
ft_key_id_is_named(const uint8_t *key_id)
{
    return head_of(key_id) >> 4 != 0 && key_id[NAMED_GAP] == 0;
}

/* A fresh key's roll and six zeros: random bytes have them once in 2^60. */
static bool
is_named(const uint8_t *mki)
{
    static const uint8_t zeros[FT_MKI_LENGTH - NAMED_END] = { 0 };

    return ft_mki_is_fresh(head_of(mki)) && mki[NAMED_GAP] == 0 &&
           memcmp(mki + NAMED_END, zeros, sizeof zeros) == 0 && memcmp(mki + 2, zeros, 4) != 0;
}

static ft_trailer
read_long(const uint8_t *mki, uint32_t end_word)
{
    const ft_trailer none = { FT_TRAILER_NONE, 0, 0, false, 0, 0 };
    const unsigned length = FT_MKI_LENGTH + END_WORD_LENGTH;

    if (end_word == 0 && is_uuid(mki))
        return (ft_trailer){ FT_TRAILER_UUID, length, 0, false, 0, 0 };
    if ((end_word == 0 || end_word == END_WORD_2026) && is_named(mki))
        return (ft_trailer){ FT_TRAILER_NAMED, length, head_of(mki), false, 0, 0 };
    return none;
}

ft_trailer
ft_trailer_read(const uint8_t *bytes, unsigned end, unsigned payload)
{
    ft_trailer trailer = { FT_TRAILER_NONE, 0, 0, false, 0, 0 };

    if (end < payload + FT_SHORT_MKI_LENGTH + END_WORD_LENGTH)
        return trailer;

    const uint8_t *word = bytes + end - END_WORD_LENGTH;
    const uint32_t end_word = ft_be32(word);
    if (end >= payload + FT_MKI_LENGTH + END_WORD_LENGTH)
        trailer = read_long(word - FT_MKI_LENGTH, end_word);
    if (trailer.form != FT_TRAILER_NONE || end_word != END_WORD_2026)
        return trailer;
    trailer.short_mki = ft_be16(word - FT_SHORT_MKI_LENGTH);
    if (trailer.short_mki >> 4 == 0) /* no key has rolled less than once */
        return trailer;
    trailer.form = FT_TRAILER_GROUP;
    trailer.length = FT_SHORT_MKI_LENGTH + END_WORD_LENGTH;
    return trailer;
}

/* The layout is published, no capture is known: the counter comes where the sequence number's low
 * 7 bits are zero. */
ft_trailer
ft_trailer_read_tagged(const uint8_t *bytes, unsigned end, unsigned payload, uint16_t sequence,
                       unsigned tag_length)
{
    ft_trailer trailer = { FT_TRAILER_NONE, 0, 0, false, 0, 0 };
    const bool has_rollover = (sequence & ROLLOVER_INTERVAL) == 0;
    const unsigned length = FT_SHORT_MKI_LENGTH + (has_rollover ? ROLLOVER_LENGTH : 0) + tag_length;

    if (end < payload + length)
        return trailer;
    return (ft_trailer){ FT_TRAILER_TAGGED,   length, ft_be16(bytes + end - length), has_rollover,
                         (uint8_t)tag_length, 0 };
}

/* ---- what is remembered of a sender ---- */

typedef struct {
    const ft_flow *flow;
    ft_heading     heading;
    uint32_t       ssrc;
} sender_key;

/* What a packet brought that the ones before it hadn't. */
typedef struct {
    uint32_t frame;
    uint32_t offset;        /* of the packet in its frame: a datagram may hold several */
    uint16_t short_mki;
    uint16_t sequence;
    uint8_t  tag_length;
    /* false: one packet had this in the key id's place; a second one bears it out */
    bool     is_accepted;
} sender_key_id;

/* The participant is zeros where a header names none. */
typedef struct {
    const ft_flow *flow;
    ft_heading     heading;
    uint16_t       short_mki;
    uint8_t        participant[8];
} media_key;

typedef struct {
    ft_endpoint source, destination;
} ends_key;

typedef struct {
    unsigned key;
    uint32_t ssrc;
    unsigned agreeing;      /* packets */
    uint32_t last_frame;
    uint32_t proven_frame;  /* the packet that made them enough, 0 before */
} agreement;

static wmem_map_t *senders;      /* sender_key -> wmem_array_t of sender_key_id, in frame order */
static wmem_map_t *media_frames; /* media_key -> the first frame */
static wmem_map_t *agreements;   /* ends_key -> agreement */
static unsigned key_id_total;

static unsigned
sender_hash(const void *key)
{
    const sender_key *k = (const sender_key *)key;

    return g_direct_hash(k->flow) ^ k->ssrc ^ (unsigned)k->heading << 16;
}

static gboolean
sender_equal(const void *a, const void *b)
{
    const sender_key *x = (const sender_key *)a, *y = (const sender_key *)b;

    return x->flow == y->flow && x->heading == y->heading && x->ssrc == y->ssrc;
}

static unsigned
media_key_hash(const void *key)
{
    const media_key *k = (const media_key *)key;

    return g_direct_hash(k->flow) ^ wmem_strong_hash(k->participant, sizeof k->participant) ^
           k->short_mki;
}

static gboolean
media_key_equal(const void *a, const void *b)
{
    const media_key *x = (const media_key *)a, *y = (const media_key *)b;

    return x->flow == y->flow && x->heading == y->heading && x->short_mki == y->short_mki &&
           memcmp(x->participant, y->participant, sizeof x->participant) == 0;
}

static unsigned
ends_hash(const void *key)
{
    const ends_key *ends = (const ends_key *)key;

    return ft_endpoint_hash(&ends->source) + 31 * ft_endpoint_hash(&ends->destination);
}

static gboolean
ends_equal(const void *a, const void *b)
{
    const ends_key *x = (const ends_key *)a, *y = (const ends_key *)b;

    return ft_endpoint_equal(&x->source, &y->source) &&
           ft_endpoint_equal(&x->destination, &y->destination);
}

static void
reset(void)
{
    key_id_total = 0;
}

void
ft_trailer_init(void)
{
    senders = ft_new_map(sender_hash, sender_equal);
    media_frames = ft_new_map(media_key_hash, media_key_equal);
    agreements = ft_new_map(ends_hash, ends_equal);
    register_init_routine(reset);
}

/* The newest before this packet; NULL if there is none. */
static const sender_key_id *
key_id_before(wmem_array_t *known, uint32_t frame, uint32_t offset)
{
    unsigned low = 0, high = known ? wmem_array_get_count(known) : 0;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        const sender_key_id *at = (const sender_key_id *)wmem_array_index(known, middle);
        if (at->frame < frame || (at->frame == frame && at->offset < offset))
            low = middle + 1;
        else
            high = middle;
    }
    return low ? (const sender_key_id *)wmem_array_index(known, low - 1) : NULL;
}

static void
remember_key_id(packet_info *pinfo, wmem_array_t *known, const sender_key *key,
                const sender_key_id *id)
{
    if (!ft_learning(pinfo))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_SHORT_KEYS, key_id_total))
        return;
    key_id_total++;
    if (!known) {
        known = wmem_array_new(wmem_file_scope(), sizeof(sender_key_id));
        wmem_map_insert(senders, wmem_memdup(wmem_file_scope(), key, sizeof *key), known);
    }
    wmem_array_append(known, id, 1);
}

/* Whether a key id that nothing marks as one follows from what the sender used: the same again,
 * ratcheted on, or rolled. A ratchet may be reached over any number of lost packets, a roll comes
 * one at a time. */
static bool
follows_key(const sender_key_id *last, uint16_t short_mki)
{
    if (!last)
        return false;
    if (last->short_mki == short_mki)
        return true;
    return last->is_accepted &&
           (last->short_mki >> 4 == short_mki >> 4 || (last->short_mki >> 4) + 1 == short_mki >> 4);
}

/* The form with a tag that this packet has, if any. `wanted` is what to look for where the media
 * tells no length. */
static ft_trailer
choose_tagged(tvbuff_t *tvb, unsigned payload, uint16_t sequence, unsigned tag_length,
              const sender_key_id *last)
{
    static const uint8_t lengths[] = { FT_AUDIO_TAG_LENGTH, FT_VIDEO_TAG_LENGTH };
    ft_trailer found = { FT_TRAILER_NONE, 0, 0, false, 0, 0 };

    const unsigned end = tvb_reported_length(tvb);

    if (tvb_captured_length(tvb) < end)
        return found;

    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)end);
    if (tag_length == 0 && last)
        tag_length = last->tag_length;
    if (tag_length)
        return ft_trailer_read_tagged(bytes, end, payload, sequence, tag_length);
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        const ft_trailer other = ft_trailer_read_tagged(bytes, end, payload, sequence, lengths[i]);
        if (other.form != FT_TRAILER_NONE && ft_mki_is_fresh(other.short_mki)) {
            if (found.form != FT_TRAILER_NONE) /* both could be: say nothing */
                return (ft_trailer){ FT_TRAILER_NONE, 0, 0, false, 0, 0 };
            found = other;
        }
    }
    return found;
}

/* A fresh key's two bytes are believed at once (ciphertext has them once in 4096), others where
 * they follow what the sender used, or come a second time. */
ft_trailer
ft_trailer_settle(packet_info *pinfo, tvbuff_t *tvb, unsigned payload, const ft_rtp *rtp,
                  const ft_trailer *read, bool may_be_tagged, unsigned tag_length)
{
    const ft_trailer none = { FT_TRAILER_NONE, 0, 0, false, 0, 0 };
    const ft_flow *flow = ft_flow_in_hand(pinfo);
    ft_trailer trailer = *read;

    if (trailer.form == FT_TRAILER_UUID || (trailer.form == FT_TRAILER_NONE && !may_be_tagged))
        return trailer;

    const uint32_t offset = (uint32_t)tvb_raw_offset(tvb);
    const sender_key key = { flow, flow ? ft_flow_heading(flow, pinfo) : FT_ASTRAY, rtp->ssrc };
    wmem_array_t *known = flow ? (wmem_array_t *)wmem_map_lookup(senders, &key) : NULL;
    const sender_key_id *last = key_id_before(known, ft_frame_id(pinfo), offset);
    if (trailer.form == FT_TRAILER_NONE)
        trailer = choose_tagged(tvb, payload, rtp->sequence, tag_length, last);
    if (trailer.form == FT_TRAILER_NONE)
        return none;

    const bool accepted = read->form != FT_TRAILER_NONE || ft_mki_is_fresh(trailer.short_mki) ||
                          follows_key(last, trailer.short_mki);
    const bool is_new =
        !last || last->short_mki != trailer.short_mki || last->is_accepted != accepted;
    /* A packet that was overtaken still has the key of before. */
    const bool is_late = last && last->is_accepted && (int16_t)(rtp->sequence - last->sequence) < 0;
    if (!accepted && last && last->is_accepted)
        return none; /* bytes in the key id's place of a sender whose key ids are known */
    if (accepted && is_new && !is_late && last && last->is_accepted)
        trailer.previous = last->short_mki;
    /* This may move the array that `last` is in. */
    if (flow && is_new && !is_late)
        remember_key_id(pinfo, known, &key,
                        &(sender_key_id){ ft_frame_id(pinfo), offset, trailer.short_mki,
                                          rtp->sequence, trailer.tag_length, accepted });
    return accepted ? trailer : none;
}

/* ---- control messages ---- */

static media_key
make_media_key(const ft_flow *flow, const packet_info *pinfo, uint16_t short_mki,
               const uint8_t *participant)
{
    media_key key = { flow, ft_flow_heading(flow, pinfo), short_mki, { 0 } };

    if (participant)
        memcpy(key.participant, participant, sizeof key.participant);
    return key;
}

void
ft_short_mki_seen(packet_info *pinfo, uint16_t short_mki, const uint8_t *participant)
{
    const ft_flow *flow = ft_flow_in_hand(pinfo);

    if (!flow || !ft_learning(pinfo))
        return;

    const media_key key = make_media_key(flow, pinfo, short_mki, participant);
    if (wmem_map_contains(media_frames, &key))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_SHORT_KEYS, wmem_map_size(media_frames)))
        return;
    wmem_map_insert(media_frames, wmem_memdup(wmem_file_scope(), &key, sizeof key),
                    GUINT_TO_POINTER(ft_frame_id(pinfo)));
}

static uint32_t
media_frame_before(const packet_info *pinfo, const media_key *key)
{
    const uint32_t frame = GPOINTER_TO_UINT(wmem_map_lookup(media_frames, key));

    return frame < ft_frame_id(pinfo) ? frame : 0;
}

/* Of the participant that the header names, else of a sender whose headers name none. */
uint32_t
ft_short_mki_frame(packet_info *pinfo, uint16_t short_mki, const uint8_t *participant)
{
    const ft_flow *flow = ft_flow_in_hand(pinfo);

    if (!flow)
        return 0;

    media_key key = make_media_key(flow, pinfo, short_mki, participant);
    const uint32_t frame = media_frame_before(pinfo, &key);
    if (frame || !participant)
        return frame;
    key = make_media_key(flow, pinfo, short_mki, NULL);
    return media_frame_before(pinfo, &key);
}

/* ---- proof by several packets ---- */

/* By both ends, as there is no flow yet: the packets are to prove that it is one. */
static agreement *
agreement_of(packet_info *pinfo)
{
    ends_key key = { ft_source(pinfo), ft_destination(pinfo) };
    agreement *known = (agreement *)wmem_map_lookup(agreements, &key);

    if (known || !ft_learning(pinfo))
        return known;
    if (!ft_limit_allows(FT_LIMIT_BARE_MEDIA, wmem_map_size(agreements))) {
        ft_limit_note(pinfo, FT_LIMIT_BARE_MEDIA);
        return NULL;
    }
    key = (ends_key){ ft_endpoint_keep(&key.source), ft_endpoint_keep(&key.destination) };
    known = wmem_new0(wmem_file_scope(), agreement);
    wmem_map_insert(agreements, wmem_memdup(wmem_file_scope(), &key, sizeof key), known);
    return known;
}

/* Random bytes pass one packet now and then, not three in a row with one key id. */
bool
ft_trailer_agrees(packet_info *pinfo, const ft_rtp *rtp, unsigned key, bool stands_alone)
{
    agreement *known = agreement_of(pinfo);

    if (!known)
        return false;
    if (ft_learning(pinfo) && known->last_frame != ft_frame_id(pinfo)) {
        const bool agrees =
            known->agreeing && known->key == key && (stands_alone || known->ssrc == rtp->ssrc);
        known->agreeing = agrees ? known->agreeing + 1 : 1;
        known->key = key;
        known->ssrc = rtp->ssrc;
        known->last_frame = ft_frame_id(pinfo);
        if (known->agreeing >= AGREEING_PACKETS && !known->proven_frame)
            known->proven_frame = ft_frame_id(pinfo);
    }
    return known->proven_frame && known->proven_frame <= ft_frame_id(pinfo);
}
