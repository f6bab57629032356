/* calls/evidence.c
 * Whether bytes prove FaceTime: each protocol's proof by shape, and witnesses for what proves in
 * number only:
 *
 *    direction -> witness -> tokens seen of late; the same one often enough, without a long
 *                 silence between: agreed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/frame.h"
#include "calls/limits.h"

static ft_proof proofs[FT_PROOF_COUNT];

/* A direction: its source and destination. */
typedef struct {
    ft_endpoint source, destination;
} direction_key;

static wmem_map_t *witnesses; /* direction_key -> ft_witness */

static unsigned
direction_hash(const void *key)
{
    const direction_key *ends = (const direction_key *)key;

    return ft_endpoint_hash(&ends->source) + 31 * ft_endpoint_hash(&ends->destination);
}

static gboolean
direction_equal(const void *a, const void *b)
{
    const direction_key *x = (const direction_key *)a, *y = (const direction_key *)b;

    return ft_endpoint_equal(&x->source, &y->source) &&
           ft_endpoint_equal(&x->destination, &y->destination);
}

void
ft_evidence_init(void)
{
    witnesses = ft_new_map(direction_hash, direction_equal);
}

void
ft_evidence_register(ft_shape shape, ft_proof proof)
{
    proofs[shape] = proof;
}

bool
ft_evidence_proves(ft_shape shape, tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    return proofs[shape] && proofs[shape](tvb, pinfo, generation);
}

ft_witness *
ft_evidence_witness(packet_info *pinfo)
{
    direction_key key = { ft_source(pinfo), ft_destination(pinfo) };
    ft_witness *witness = (ft_witness *)wmem_map_lookup(witnesses, &key);

    if (witness || !ft_learning(pinfo))
        return witness;
    if (!ft_limit_allows(FT_LIMIT_BARE_MEDIA, wmem_map_size(witnesses))) {
        ft_limit_note(pinfo, FT_LIMIT_BARE_MEDIA);
        return NULL;
    }
    key = (direction_key){ ft_endpoint_keep(&key.source), ft_endpoint_keep(&key.destination) };
    witness = wmem_new0(wmem_file_scope(), ft_witness);
    wmem_map_insert(witnesses, wmem_memdup(wmem_file_scope(), &key, sizeof key), witness);
    return witness;
}

/* How often the token was seen, this packet included. */
static unsigned
count_token(ft_witness *witness, uint64_t token)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(witness->tokens); i++) {
        if (witness->tokens[i].count && witness->tokens[i].token == token)
            return ++witness->tokens[i].count;
    }
    witness->newest = (witness->newest + 1) % G_N_ELEMENTS(witness->tokens);
    witness->tokens[witness->newest].token = token;
    return witness->tokens[witness->newest].count = 1;
}

static void
forget_after_silence(ft_witness *witness, const packet_info *pinfo)
{
    const nstime_t silence = ft_passed_since(&witness->last_time, pinfo);

    if (silence.secs > FT_EVIDENCE_WAIT_S || silence.secs < -FT_EVIDENCE_WAIT_S)
        memset(witness->tokens, 0, sizeof witness->tokens);
    witness->last_time = ft_now(pinfo);
}

bool
ft_evidence_agrees(packet_info *pinfo, uint64_t token, unsigned needed)
{
    ft_witness *witness = ft_evidence_witness(pinfo);

    if (!witness)
        return false;
    if (ft_learning(pinfo) && witness->last_frame != ft_frame_id(pinfo) && !witness->proven_frame) {
        forget_after_silence(witness, pinfo);
        witness->last_frame = ft_frame_id(pinfo);
        if (count_token(witness, token) >= needed)
            witness->proven_frame = ft_frame_id(pinfo);
    }
    return witness->proven_frame && witness->proven_frame <= ft_frame_id(pinfo);
}
