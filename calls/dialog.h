/* calls/dialog.h
 * SIP dialogs: which call a SIP message belongs to, and what it says of the call. What a message
 * means is judged by calls/transaction.c; this is the way from the packet there, and from there
 * to the call and its events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_DIALOG_H
#define FT_DIALOG_H

#include "calls/packet.h"
#include "calls/transaction.h"

typedef struct {
    /* of the request line, or of CSeq in an answer: "INVITE", "BYE", ...; "" if unknown */
    const char     *method;
    unsigned        status;     /* 0 for a request */
    /* whole, "" where it wasn't captured: then the latest dialog of the leg is meant */
    const char     *call_id;
    const char     *from_tag;   /* who sent the request, in its answers too; "" if unknown */
    const char     *to_tag;     /* who answers; "" if none, or unknown */
    /* "1021" <sip:user@192.0.2.1:16402> ...: who sent the request, and whom to; "" if unknown */
    const char     *from, *to;
    const char     *via_branch; /* of the topmost Via; "" if unknown */
    uint32_t        cseq;
    bool            has_cseq;   /* else not captured whole */
    ft_sdp_presence sdp;
    /* of a BYE: the header's value, fit to be shown (calls/text.h); or NULL */
    const char     *reason;
} ft_sip;

/* Learns from the SIP message of the packet in hand: the packet's call, how the INVITEs end,
 * BYEs sent again. First pass only; else it but looks the packet's call up. The strings are
 * copied where kept. */
void ft_sip_learn(packet_info *pinfo, const ft_sip *sip);

/* Whether the message's SDP is an offer: of an INVITE, else of the answer to an INVITE that has
 * none. After ft_sip_learn(), on any pass. */
bool ft_sip_is_offer(packet_info *pinfo, const ft_sip *sip);

/* What only the whole file can tell: BYEs without answer, INVITEs that were cancelled, or not
 * repeated. Runs by itself between passes; a tap that draws after one pass calls it first. */
void ft_dialog_hindsight(void);

/* Once, when the front door is registered. */
void ft_dialog_init(void);

#endif
