/* packet-facetime-sdp.h
 * For packet-facetime-sip.c alone: an SDP is the body of its message, and no layer of its own.
 * tvb, text: all of it, as inflated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PACKET_FACETIME_SDP_H
#define FT_PACKET_FACETIME_SDP_H

#include "ws-compat.h"
#include <epan/packet.h>

/* whole: tvb has all of the text; trusted: it is what the sender meant, so stock SDP may see it. */
void dissect_facetime_sdp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool whole,
                          bool trusted);

/* For File > Export Objects. role: "offer" or "answer". */
void facetime_sdp_export(tvbuff_t *text, packet_info *pinfo, const char *role);

/* For the reports. First pass (else a no-op). */
void facetime_sdp_reveal(tvbuff_t *text, packet_info *pinfo, const char *role);

#endif
