/* calls/dialog.h
 * SIP dialogs: which call a SIP message belongs to, and what it says of the call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_DIALOG_H
#define FT_DIALOG_H

#include "calls/packet.h"

typedef struct {
    const char *method;         /* of the request line, or of CSeq in an answer: "INVITE", "BYE", ...; never NULL */
    unsigned    status;         /* 0 for a request */
    const char *call_id;        /* whole, never NULL nor "": where it isn't there, only the flow tells the call */
    const char *from_tag;       /* who sent the request, in its answers too; never NULL, "" if unknown */
    uint32_t    cseq;           /* 0 if unknown */
    const char *reason;         /* of a BYE: the header's value, or NULL */
} ft_sip;

/* Learns from the SIP message of the packet in hand: the packet's call, call_started/answered/ended, BYEs sent again.
 * First pass only; else a no-op. The strings are copied where kept. */
void ft_sip_learn(packet_info *pinfo, const ft_sip *sip);

/* What only the whole file can tell (bye_unanswered). Runs by itself between passes; a tap that draws after one pass
 * calls it first. */
void ft_dialog_hindsight(void);

/* Once, when the front door is registered. */
void ft_dialog_init(void);

#endif
