/* calls/evidence.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"

static ft_proof proofs[FT_SHAPE_COUNT];

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
