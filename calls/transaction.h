/* calls/transaction.h
 * SIP transactions of one dialog (RFC 3261): what a message says of the call. Pure C: no
 * Wireshark, no GLib.
 *
 * A transaction is told by CSeq's number, the method and who asks (the tag in From; an answer
 * repeats it); where the capture cuts CSeq off, by the branch in Via. The tag in To tells forks
 * apart, and an INVITE that would change a call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TRANSACTION_H
#define FT_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "calls/limits.h"

#define FT_SIP_GLOBAL 600 /* and above: the person refuses, not one end (RFC 3261 21.6) */

typedef enum { FT_SIP_OTHER, FT_SIP_INVITE, FT_SIP_ACK, FT_SIP_CANCEL, FT_SIP_BYE } ft_sip_method;

/* Whether a message has SDP. Unknown where the capture ends within its header. */
typedef enum { FT_SDP_NONE, FT_SDP_THERE, FT_SDP_UNKNOWN } ft_sdp_presence;

/* What stands in a message. Texts come as hashes: 0 where there is none, or where it wasn't
 * captured. */
typedef struct {
    ft_sip_method   method;     /* of the request line, or of CSeq in an answer */
    bool            has_method; /* else an answer whose CSeq wasn't captured */
    unsigned        status;     /* 0 for a request */
    uint32_t        cseq;
    bool            has_cseq;
    uint32_t        via;        /* branch of the topmost Via */
    uint32_t        from_tag, to_tag;
    ft_sdp_presence sdp;
    bool            in_call;    /* media of the call was seen before anything of this dialog */
} ft_sip_message;

/* What an answer to an INVITE means for it. */
typedef enum {
    FT_INVITE_PENDING,          /* no final answer, or none that can be read */
    FT_INVITE_ANSWERED,
    /* with credentials, to elsewhere, in a moment: in the same dialog */
    FT_INVITE_TO_BE_REPEATED,
    FT_INVITE_DECLINED,
    FT_INVITE_BUSY,
    FT_INVITE_CANCELLED,
    FT_INVITE_FAILED
} ft_invite_state;

/* The one table. Lookup by status code, from 0 to any. */
ft_invite_state ft_invite_meaning(unsigned status);

/* What a message says of the call. */
typedef enum {
    FT_SIP_SAYS_NOTHING,        /* or nothing new: sent again, seen again, about another matter */
    FT_SIP_SAYS_INVITE,         /* the INVITE that begins the call */
    FT_SIP_SAYS_INVITE_AGAIN,   /* the next one of the dialog before any was answered */
    FT_SIP_SAYS_REINVITE,       /* an INVITE that would change the call */
    FT_SIP_SAYS_RINGING,        /* the first 180 */
    FT_SIP_SAYS_ANSWERED,
    FT_SIP_SAYS_FORK_ANSWERED,  /* one more end of an INVITE that is answered already */
    FT_SIP_SAYS_CHANGED,        /* a re-INVITE is answered */
    FT_SIP_SAYS_NOT_CHANGED,    /* a re-INVITE is refused: all stays as it is */
    FT_SIP_SAYS_REPEAT,         /* the INVITE is to be repeated */
    FT_SIP_SAYS_CANCELLING,     /* a CANCEL: what the INVITE's own answer says decides */
    FT_SIP_SAYS_BRANCH_REFUSED, /* one end refuses, another one rings on */
    FT_SIP_SAYS_DECLINED,       /* these four end the call */
    FT_SIP_SAYS_BUSY,
    FT_SIP_SAYS_CANCELLED,
    FT_SIP_SAYS_FAILED,
    FT_SIP_SAYS_BRANCH_ENDED,   /* BYE of one of several ends */
    FT_SIP_SAYS_ENDED           /* BYE of the last one */
} ft_sip_verdict;

/* Private to transaction.c. */
typedef struct {
    uint32_t        from_tag, cseq, via;
    bool            has_cseq;
    bool            seen;       /* the INVITE itself, not only what answers or cancels it */
    bool            is_change : 1; /* of a call that was answered before */
    bool            cancelled : 1; /* a CANCEL was seen */
    unsigned        sdp : 2;    /* ft_sdp_presence of the INVITE, where it was seen */
    unsigned        state : 4;  /* ft_invite_state */
    unsigned        refusal : 4; /* the same, of the latest end that refused while others rang on */
} ft_invite;

/* Private to transaction.c: who talks to whom, in no order. */
typedef struct {
    uint32_t tags[2];
    bool     answered;
    bool     over;
    bool     refused;
} ft_sip_branch;

/* What is remembered of a dialog. All zero at first. */
typedef struct {
    ft_invite     invites[FT_MAX_INVITES_PER_DIALOG]; /* in the order seen */
    unsigned      invite_count;
    ft_sip_branch branches[FT_MAX_BRANCHES_PER_DIALOG];
    unsigned      branch_count;
    bool          rang;         /* a 180 was seen */
    /* an INVITE was, here, before the capture, or where it has a hole */
    bool          answered;
    bool          over;         /* the last BYE was seen */
    bool          full;         /* the message in hand met a bound: it isn't kept */
} ft_transactions;

/* The next message of the dialog. */
ft_sip_verdict ft_sip_judge(ft_transactions *dialog, const ft_sip_message *message);

/* Once no more messages come: CANCELLED where a CANCEL was the last word, FAILED where an INVITE
 * was to be repeated and wasn't, what the latest one said where ends refused and the last one that
 * rang was never heard again, else NOTHING. */
ft_sip_verdict ft_sip_last_word(const ft_transactions *dialog);

/* An answer without method: INVITE where its Via says so, and it isn't the CANCEL's. */
bool ft_sip_answers_invite(const ft_transactions *dialog, const ft_sip_message *message);

/* Whether the SDP of a message is an offer (RFC 3264) rather than an answer to one. Needs no
 * order: the same before and after ft_sip_judge(). Where the INVITE is unknown, what answers it
 * has the answer. */
bool ft_sip_offers(const ft_transactions *dialog, const ft_sip_message *message);

#endif
