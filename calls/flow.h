/* calls/flow.h
 * Flows: the UDP 5-tuples that FaceTime owns, on what evidence and from which frame on. Legs:
 * the ways content takes inside a flow: the direct one, one for each TURN channel, one for each
 * peer of Send and Data indications. Devices: endpoints known as FaceTime's.
 *
 * Everything is made on the first pass and looked up "as of" a frame number, so a second pass
 * sees at frame N what the first pass saw there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_FLOW_H
#define FT_FLOW_H

#include "calls/channel.h"
#include "calls/evidence.h"
#include "calls/network.h"

/* A packet that is taken for a call's by addresses alone. */
typedef struct {
    struct ft_frame *frame;
    nstime_t         time, steady;  /* of ft_now(), of ft_steady() */
    uint64_t         tie_breaker;   /* of the other side's check in a channel; or 0 */
} ft_guess;

/* What a device holds at a relay: one Allocate request and its repeats. */
typedef struct ft_allocation {
    struct ft_flow *flow;
    struct ft_call *call;
    bool            has_token;
    uint8_t         token[8];
    uint64_t        ticket;         /* of the relay's answer, for the bind; 0 if none was seen */
    bool            answered;       /* the relay granted it */
    bool            released;       /* or retired by a later one */
    bool            set_up_before;  /* the call had shown more than checks before this guess */
    uint32_t        asked_frame;    /* of its first request */
    /* of ft_guess: what sets it up, while its call isn't certain; NULL where it is */
    wmem_array_t   *guesses;
} ft_allocation;

/* From this frame on a way is of this call. */
typedef struct { uint32_t from_frame; struct ft_call *call; } ft_call_span;

typedef struct ft_leg {
    struct ft_flow *flow;
    ft_allocation  *allocation;     /* that the channel was bound in, or NULL */
    wmem_array_t   *calls;          /* of ft_call_span, in frame order */
    ft_channel_state state;         /* of a channel; for the first pass alone */
    uint32_t        release_frame;  /* of the request that asks to release it, 0 before */
    nstime_t        release_time;
    nstime_t        media_time;     /* of its last RTP packet */
    /* a new connection to the relay began since then */
    bool            renewed;
    bool            ready;          /* relay_ready was told */
    /* 0 for the direct way, and for a peer reached by indications */
    uint16_t        channel;
    /* frame that stock RTP has as the set-up of this leg: an SDP, or the call's first */
    uint32_t        media_config;
    ft_endpoint     peer;           /* who is behind the channel; AT_NONE until a bind tells */
    uint32_t        first_frame;    /* valid from this frame on, until the channel's next leg */
    uint32_t        setup_frame;    /* of the ChannelBind request, 0 where it wasn't captured */
    uint64_t        told;           /* events by id, that a row tells once a way */
} ft_leg;

/* Datagrams, and how many of them came again at once: a mirror port's do. */
typedef struct {
    uint16_t all, again;
} ft_again;

typedef struct ft_flow {
    ft_endpoint   a, b;
    bool          is_tcp;
    bool          client_learnt;    /* the client is known as a device */
    /* whole datagrams came again long after: two captures in one file */
    bool          two_clocks;
    bool          gamekit_first;    /* there was no media before gamekit_frame */
    bool          carries_media;
    bool          server_moved;     /* before server_from the other end was taken for it */
    /* answered releases, each of one of its allocations; which ones isn't known */
    uint8_t       loose_releases;
    ft_again      again;
    uint32_t      claimed_from;     /* first frame that needs no evidence of its own */
    ft_generation generation;
    ft_shape      shape;            /* of the packet that claimed it */
    uint32_t      number;           /* from 1, in order of claiming */
    const ft_endpoint *server;      /* a or b: the relay's end, NULL while no relay is seen */
    uint32_t      server_from;      /* frame since which it is */
    ft_leg        direct;           /* leg of channel 0 */
    wmem_array_t *legs;             /* of ft_leg *, one per bind, in frame order */
    wmem_array_t *allocations;      /* of ft_allocation *, newest last; NULL if none was seen */
    /* by direction (calls/settled.c) */
    struct { const ft_leg *leg; struct ft_call *call; unsigned as_of; } settled[2];
    struct ft_settled_clues *settled_clues[2];  /* NULL before media has one */
    uint32_t      network[2];       /* of each heading (calls/network.h) */
    /* the same 5-tuple in another network: other devices, with the same private addresses */
    struct ft_flow *elsewhere;
    /* the same datagrams at the place that is learnt from, or NULL (calls/copies.h) */
    struct ft_flow *twin;
    struct ft_flow *twin_of_it;     /* the latest flow whose twin this is, or NULL */
    nstime_t      twin_time;        /* of the last copy */
    uint32_t      last_datagram;    /* id of its latest frame */
    uint32_t      alive_time;       /* seconds of ft_now() when ft_flow_is_alive() last counted */
    uint32_t      gamekit_frame;    /* the first GameKit message, 0 before */
    uint16_t      last_ip_id[2];    /* of each heading; 0 where it has none */
    /* its senders number their packets: the same number and bytes are the same packet */
    bool          ids_differ[2];
} ft_flow;

/* a to b, b to a; neither where the preference renames the relay. */
typedef enum { FT_FORTH, FT_BACK, FT_ASTRAY } ft_heading;
ft_heading ft_flow_heading(const ft_flow *flow, const packet_info *pinfo);

/* The flow of the packet's 5-tuple as known before this frame; NULL if it has no claim yet. */
ft_flow *ft_flow_find(const packet_info *pinfo);

/* Claims the 5-tuple for the front door (first pass; later passes find what it made), UDP's or
 * TCP's as pinfo->ptype says. shape: of the packet in hand. from_here: UDP itself gave us the
 * packet, so the claim holds from this frame on; where another dissector had it, from the next:
 * anything else differs between passes. Returns NULL where FT_MAX_FLOWS is reached: the packet
 * is decoded, and forgotten. */
ft_flow *ft_flow_claim(packet_info *pinfo, ft_shape shape, ft_generation generation,
                       bool from_here);

/* The network that an end of the flow sends in; FT_NETWORK_UNKNOWN while it hasn't, and the
 * other direction doesn't tell. */
uint32_t ft_flow_network(const ft_flow *flow, const ft_endpoint *end);

/* Whether that end of the flow has sent anything. */
bool ft_flow_heard(const ft_flow *flow, const ft_endpoint *end);

/* One end hasn't so far: what the other one sends may have its answers, or its questions, there. */
bool ft_flow_is_one_way(const ft_flow *flow);

/* Makes room for other 5-tuples (calls/limits.h). First pass. */
void ft_flow_carries_media(ft_flow *flow);

/* Marks the end of the flow that this packet goes to (or comes from) as the relay: what was taken
 * for it before may be corrected once. First pass. */
void ft_flow_set_server(const packet_info *pinfo, ft_flow *flow, const ft_endpoint *server);

/* The device's end of a relayed flow; NULL while the relay's end isn't known. */
const ft_endpoint *ft_flow_client(const ft_flow *flow);

static inline bool
ft_flow_is_server(const ft_flow *flow, const ft_endpoint *end)
{
    return flow->server && ft_endpoint_equal(flow->server, end);
}

/* True when the packet runs from the device to the relay (uplink). False too where the relay
 * isn't known. */
bool ft_flow_is_uplink(const ft_flow *flow, const packet_info *pinfo);

/* Between whom the packet in hand runs: the far end behind the relay in place of the relay,
 * where it is known. The addresses live as long as the packet, or the file. */
void ft_flow_ends(const packet_info *pinfo, const struct ft_packet *packet, ft_endpoint *from,
                  ft_endpoint *to);

/* The leg of a channel as of this frame. On the first pass it is made where there is none (no
 * bind seen: its peer is unknown). */
ft_leg *ft_leg_find(packet_info *pinfo, ft_flow *flow, uint16_t channel);

/* A new leg for a channel, from this frame on, or from the next where a bind (which has a peer)
 * makes it. First pass. NULL over FT_MAX_LEGS_PER_FLOW. */
ft_leg *ft_leg_new(packet_info *pinfo, ft_flow *flow, uint16_t channel, const ft_endpoint *peer);

/* The leg of what Send and Data indications carry to or from a peer, as of this frame: it has no
 * channel, and no set-up. On the first pass it is made where there is none. NULL over
 * FT_MAX_LEGS_PER_FLOW. */
ft_leg *ft_leg_of_peer(packet_info *pinfo, ft_flow *flow, const ft_endpoint *peer);

/* Who is behind the relay that the packet runs through; NULL elsewhere, AT_NONE where that isn't
 * known. */
const ft_endpoint *ft_peer_of(const ft_packet *packet);

/* Devices, and what they vouch for: one that is in a call (a check, an allocation, a relay's
 * packet) for all that FaceTime sends, one that only tested its NAT for what is FaceTime's by
 * its form. Either vouches for FT_DEVICE_VOUCHES_S after it was last heard of so: tomorrow its
 * port may be a browser's. First pass: a claim is remembered, not a device. */
#define FT_DEVICE_VOUCHES_S 300
typedef enum {
    FT_DEVICE_UNKNOWN,
    FT_DEVICE_TESTED_NAT,
    FT_DEVICE_IN_CALL,
    FT_DEVICE_IN_LEGACY_CALL
} ft_device_state;

/* A relay's socket, which its own headers proved. What comes from there or goes there within
 * FT_RELAY_VOUCHES_S is FaceTime's, whatever a device's other interface sends. True from the
 * next frame on. */
#define FT_RELAY_VOUCHES_S 3600
void ft_relay_learn(packet_info *pinfo, const ft_endpoint *relay);
bool ft_relay_is_known(const packet_info *pinfo, const ft_endpoint *relay);

void ft_device_learn(packet_info *pinfo, const ft_endpoint *endpoint); /* in a call */
void ft_device_tested_nat(packet_info *pinfo, const ft_endpoint *endpoint);
/* A packet of a call on this flow: what of its ends is known as a device or as a relay is heard of
 * anew, in a call of an hour, too. First pass. */
void ft_flow_is_alive(packet_info *pinfo, ft_flow *flow, const nstime_t *now);
/* What the packet's ends were known as before this frame: the better of the two. */
ft_device_state ft_device_of(const packet_info *pinfo);

/* The front door's handles, for the claims. */
void ft_flow_init(dissector_handle_t over_udp, dissector_handle_t over_tcp);

#endif
