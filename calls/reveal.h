/* calls/reveal.h
 * What a call's packets reveal besides media: when each step of its set-up was reached, the
 * candidate pairs that were tried, addresses and where they stand, SDP bodies. Gathered on the
 * first pass, for whoever draws a table later.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_REVEAL_H
#define FT_REVEAL_H

#include "calls/call.h"
#include "calls/histogram.h"
#include "calls/stun.h"

/* X(enumerator, name in JSON, what it is) */
#define FT_SETUP_STEPS(X) \
    X(FT_SETUP_FIRST_PACKET, "first_packet", "first packet of the call") \
    X(FT_SETUP_ALLOCATION, "allocation", "the relay is asked for an allocation") \
    X(FT_SETUP_CHECK_ANSWERED, "check_answered", "first answered connectivity check") \
    X(FT_SETUP_INVITE, "invite", "INVITE") \
    X(FT_SETUP_RINGING, "ringing", "180 Ringing") \
    X(FT_SETUP_ANSWERED, "answered", "200 to the INVITE") \
    X(FT_SETUP_RELAY_READY, "relay_ready", \
      "channel bind answered; modern: first packet through the relay") \
    X(FT_SETUP_FIRST_AUDIO_OUT, "first_audio_out", "first audio that the device sends") \
    X(FT_SETUP_FIRST_AUDIO_IN, "first_audio_in", "first audio that comes") \
    X(FT_SETUP_FIRST_VIDEO_OUT, "first_video_out", "first video that the device sends") \
    X(FT_SETUP_FIRST_VIDEO_IN, "first_video_in", "first video that comes") \
    X(FT_SETUP_DIRECT_READY, "direct_ready", "first answered check on a direct pair") \
    X(FT_SETUP_FIRST_DIRECT_MEDIA, "first_direct_media", "first media on the direct path")

#define FT_SETUP_ENUM(id, name, text) id,
typedef enum { FT_SETUP_STEPS(FT_SETUP_ENUM) FT_SETUP_COUNT } ft_setup_step;

extern const char *const ft_setup_names[FT_SETUP_COUNT];

typedef struct {
    uint32_t frame;         /* 0: not reached */
    int32_t  ahead;         /* of the steady time (calls/steady.h), milliseconds */
    int64_t  time;          /* microseconds since 1970 */
} ft_moment;

/* Checks of one direction: asked there, answered the other way. */
typedef struct {
    uint32_t sent, answered;
} ft_pair_checks;

/* A pair that checks were sent on, or media went directly on. */
typedef struct ft_pair {
    const ft_leg *leg;
    const struct ft_call *call;         /* one call after another may try the same pair */
    struct ft_pair *older;              /* the leg's, of the call before it; or NULL */
    struct ft_pair *part_of;            /* the calls of both turned out to be one */
    ft_endpoint   local, remote;
    bool          relayed;
    ft_pair_checks checks[2];           /* by outgoing */
    uint32_t      first_frame, last_frame;
    bool          has_rtt;
    /* least of the local end's checks, by the capture clock; microseconds */
    int64_t       rtt;
    bool          nominated;
    uint32_t      media_packets;        /* of both directions */
} ft_pair;

/* Of both directions. */
static inline uint32_t
ft_pair_sent(const ft_pair *pair)
{
    return pair->checks[false].sent + pair->checks[true].sent;
}

static inline uint32_t
ft_pair_answered(const ft_pair *pair)
{
    return pair->checks[false].answered + pair->checks[true].answered;
}

typedef struct {
    ft_endpoint address;    /* port 0: none */
    const char *what;
    uint32_t    frame;
    /* whom the packet told it: the address may be its own, as seen from outside */
    ft_endpoint told;
    bool        relayed;    /* through the relay, where the far end sees the relay's address */
} ft_revealed;

typedef struct {
    uint32_t    frame;
    const char *role;       /* "offer" or "answer" */
    const char *text;
} ft_sdp_text;

/* Lists may be NULL. */
typedef struct ft_reveals {
    ft_moment     setup[FT_SETUP_COUNT];
    wmem_array_t *pairs;        /* of ft_pair * */
    wmem_array_t *addresses;    /* of ft_revealed */
    wmem_array_t *sdps;         /* of ft_sdp_text */
    wmem_array_t *relays;       /* of ft_flow *: between device and relay; each may come twice */
    /* round trips of the device's own checks, 0.1 ms, by the capture clock */
    ft_histogram *checks;
} ft_reveals;

/* The packet in hand reaches this step, in the call that it turns out to belong to. First pass. */
void ft_setup_reached(packet_info *pinfo, ft_setup_step step);

/* A SIP message: which step it is. */
void ft_setup_sip(packet_info *pinfo, const char *method, unsigned status);

/* A STUN message, once its call is known. exchange: may be NULL. */
void ft_reveal_stun(packet_info *pinfo, const ft_stun *stun, const ft_exchange *exchange);

/* An address that the packet in hand names. what: a constant. */
void ft_reveal_address(packet_info *pinfo, const ft_endpoint *endpoint, const char *what);

/* An SDP body; its text is copied. role: a constant. */
void ft_reveal_sdp(packet_info *pinfo, const char *role, const char *text, size_t length);

/* The packet's call is known now: the front door's last step on the first pass. */
void ft_reveal_learn(packet_info *pinfo);

/* All that the call revealed, merged calls included: a copy in scope. */
ft_reveals *ft_reveals_of(wmem_allocator_t *scope, const ft_call *call);

/* Once, when the front door is registered. */
void ft_reveal_init(void);

#endif
