/* wire/relay_proof.h
 * The proof that a TURN channel is a modern relay's: others number one 0x6000, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RELAY_PROOF_H
#define FT_RELAY_PROOF_H

#include "calls/types.h"

/* Only forms that captures have shown prove anything (ft_proof, calls/evidence.h). */
bool relay_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

#endif
