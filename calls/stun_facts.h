/* calls/stun_facts.h
 * What the memory needs to know of a STUN or TURN message: packet-gkstun.c fills it in for every
 * STUN message of a FaceTime flow, also for those that stock STUN shows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STUN_FACTS_H
#define FT_STUN_FACTS_H

#include "calls/exchange.h"
#include "calls/flow.h"

enum {
    STUN_BINDING = 1,
    STUN_ALLOCATE = 3,
    STUN_REFRESH = 4,
    STUN_SEND = 6,
    STUN_DATA = 7,
    STUN_CREATE_PERMISSION = 8,
    STUN_CHANNEL_BIND = 9,
    STUN_RELAY_ERROR = 0x203
};
enum { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };

typedef struct {
    uint16_t    method;
    uint8_t     message_class;
    uint8_t     txid[12];
    bool        has_apple_attribute;
    bool        has_reservation_token;
    bool        has_xor_relayed;
    bool        has_lifetime;
    bool        use_candidate;
    bool        has_binary_username;    /* 20 bytes: two candidate ids */
    uint8_t     username[20];
    bool        controlling, controlled;
    uint64_t    tie_breaker;            /* of either */
    uint8_t     token[8];               /* RESERVATION-TOKEN */
    uint64_t    ticket;                 /* the first of the bytes in MESSAGE-INTEGRITY's place */
    /* distinct call ids in a candidate list; further ones are left out */
    uint32_t    candidate_calls[4];
    unsigned    candidate_call_count;
    bool        is_cut;                 /* the capture lacks its end */
    const char *error_reason;           /* of ERROR-CODE, in pinfo->pool; or NULL */
    bool        has_link_id;            /* 0x8008 of 16 bytes */
    uint8_t     link_id[16];
    bool        has_timestamp;
    /* 0x8004: the sender's in a request, the request's in an answer */
    uint32_t    timestamp;
    uint32_t    lifetime;               /* seconds */
    uint16_t    channel;                /* CHANNEL-NUMBER, 0 if absent */
    uint16_t    error_code;             /* 0 if absent */
    ft_endpoint peer;                   /* XOR-PEER-ADDRESS; addr AT_NONE if absent */
    ft_endpoint mapped;                 /* (XOR-)MAPPED-ADDRESS */
    ft_endpoint relayed;                /* XOR-RELAYED-ADDRESS */
} ft_stun;

#endif
