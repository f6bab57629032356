/* calls/exchange.h
 * Requests and the answers to them: STUN transactions, SNATMAP nonces, CommNAT tokens, link
 * commands. Retransmissions of a request fall into one exchange; a request after the answer, or
 * one that says it is new, opens the next.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_EXCHANGE_H
#define FT_EXCHANGE_H

#include "calls/packet.h"

/* One transmission of a request that says when it was sent. */
typedef struct ft_sent {
    uint32_t stamp;     /* as the request has it */
    uint32_t frame;
    nstime_t time;
    struct ft_sent *earlier;
} ft_sent;

typedef struct ft_exchange {
    uint32_t request_frame;         /* the first request */
    /* the last retransmission (as of the whole file on later passes) */
    uint32_t last_request_frame;
    uint32_t repeated_frame;        /* the first retransmission, before the answer; 0 if none */
    uint32_t response_frame;        /* the first answer, 0 if none (yet) */
    nstime_t request_time;
    nstime_t request_steady;        /* the same, of ft_steady() */
    nstime_t response_time;
    bool     shown_by_us;           /* the request was, so that stock knows nothing of it */
    bool     nomination;            /* opened by a request that nominates */
    bool     releases;              /* a bind without a lifetime: it releases `leg` */
    /* it releases an allocation that nothing names (calls/stun.c) */
    bool     is_loose_release;
    /* of the request; gets the answer's frame as its link, or NULL */
    struct ft_event *event;
    struct ft_call *call;           /* of the request, or NULL */
    struct ft_allocation *allocation; /* that the request is of, or NULL (calls/stun.c) */
    struct ft_leg *leg;             /* that the request binds, or NULL (calls/stun.c) */
    ft_sent *sent;                  /* newest first */
    struct ft_exchange *first, *next; /* with the same key */
} ft_exchange;

/* The protocols that keep exchanges; part of the key. */
typedef enum { FT_EXCHANGE_STUN, FT_EXCHANGE_SNATMAP, FT_EXCHANGE_COMMNAT, FT_EXCHANGE_SIP,
               FT_EXCHANGE_LINK } ft_exchange_kind;

/* What SIP requests wait for. */
typedef enum {
    FT_SIP_RINGS,
    FT_SIP_ANSWERED,
    FT_SIP_BYE_ANSWERED,
    FT_SIP_MESSAGE_ANSWERED,
    FT_SIP_OTHER_ANSWERED,
    FT_SIP_WAITS
} ft_sip_wait;

/* Finds or (first pass) makes the exchange of the request or answer in hand. The key is the
 * protocol, the packet's leg or flow (of ft_packet_get) and the given id bytes (at most 32).
 * CommNAT is keyed by the id bytes alone, which bring the client's end: its answers may come
 * from another address than the one that was probed; and so is SIP, which may change its way.
 * request: is_retransmission tells whether an earlier frame already asked the same. fresh: never
 * joins an earlier exchange that isn't a fresh one too (a nomination reuses the transaction id
 * of the check before it). NULL: nothing known (answer without request: NULL too) or
 * FT_MAX_EXCHANGES reached. */
const ft_exchange *ft_exchange_request(packet_info *pinfo, ft_exchange_kind kind, const uint8_t *id,
                                       unsigned id_length, bool fresh, bool *is_retransmission);
const ft_exchange *ft_exchange_response(packet_info *pinfo, ft_exchange_kind kind,
                                        const uint8_t *id, unsigned id_length, bool *is_repeat);

/* The same for an answer that echoes the stamp of a request: where one with that stamp is known,
 * the exchange of that one is meant, whichever else are open. */
const ft_exchange *ft_exchange_echo(packet_info *pinfo, ft_exchange_kind kind, const uint8_t *id,
                                    unsigned id_length, uint32_t stamp, bool *is_repeat);

/* Keeps when a request with this stamp went out (first pass; the first frame of a stamp counts).
 * NULL is no exchange. */
void ft_exchange_stamp(packet_info *pinfo, const ft_exchange *exchange, uint32_t stamp);

/* The request of this exchange that had this stamp, or NULL. It may be later than the frame in
 * hand. */
const ft_sent *ft_exchange_sent(const ft_exchange *exchange, uint32_t stamp);

/* Once, when the front door is registered. */
void ft_exchange_init(void);

/* The packet in hand answers a request after that time. On any pass; a no-op outside the front
 * door. */
void ft_exchange_took(const packet_info *pinfo, ft_exchange_kind kind, unsigned what,
                      const nstime_t *took);

/* The same, of an exchange's first answer since its first request; exchange may be NULL. */
void ft_exchange_answered(const packet_info *pinfo, ft_exchange_kind kind, unsigned what,
                          const ft_exchange *exchange);

#endif
