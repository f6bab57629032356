/* calls/call.h
 * A call: both ends, flows, dialogs, media, how it began and ended, and its story (events).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CALL_H
#define FT_CALL_H

#include "calls/event.h"
#include "calls/flow.h"

typedef enum { FT_CALL_SETUP, FT_CALL_RINGING, FT_CALL_ANSWERED, FT_CALL_ENDED } ft_call_state;

/* One SSRC as seen at one device. */
typedef struct ft_stream {
    uint32_t    ssrc;
    uint64_t    payload_types[2];   /* a bit for each that was seen */
    bool        outgoing;           /* the device sends it */
    ft_endpoint sender;             /* as first seen: the datagram's source, or the peer behind the channel */
    uint32_t    first_frame, last_frame;
    nstime_t    last_time;
    uint32_t    packets;            /* distinct RTP packets */
    uint32_t    copies;             /* packets seen again, on any path */
    uint32_t    base_sequence;
    uint32_t    highest_sequence;   /* extended by wraps (RFC 3550 A.1) */
    struct ft_window *window;       /* of the latest sequence numbers; private to media.c */
} ft_stream;

/* One end's media as seen at one device: where it goes, and when it was last heard. */
typedef struct ft_sender {
    ft_endpoint device;             /* where it is seen */
    bool        outgoing;           /* the device itself sends */
    ft_leg     *leg;                /* the way in use */
    ft_leg     *other_leg;          /* the way before */
    nstime_t    leg_time, other_time; /* last media on each */
    nstime_t    last_time;
    uint32_t    last_frame;
} ft_sender;

typedef struct ft_call {
    uint32_t      number;           /* from 1 in the file */
    ft_generation generation;
    ft_call_state state;
    uint32_t      first_frame, last_frame;
    nstime_t      first_time, last_time; /* since the first frame, as all times of a call */
    ft_endpoint   local, remote;    /* the device that was seen first, and the far end; AT_NONE if unknown */
    uint32_t      invite_frame, answer_frame, bye_answer_frame, end_frame;
    nstime_t      end_time;
    ft_endpoint   offerer;          /* who sent the INVITE: not the caller's mark */
    const char   *end_reason;       /* NULL while it runs */
    bool          username_told;    /* legacy_username was raised */
    uint32_t      packets;
    uint32_t      media_packets[4]; /* by ft_path */
    uint32_t      media_first[4], media_last[4]; /* frames, by ft_path */
    const char   *mode;             /* modern: "multiway" or "one-to-one", as last seen; else NULL */
    wmem_array_t *participants;     /* modern: of uint8_t[8], pseudonyms of who is at the far end; NULL if none */
    wmem_array_t *links;            /* modern: of uint16_t, relay links that carried media; NULL if none */
    wmem_array_t *streams;          /* of ft_stream * */
    wmem_array_t *senders;          /* of ft_sender * */
    wmem_array_t *sdps;             /* of ft_sdp_record *, private to media.c */
    wmem_array_t *events;           /* of ft_event *, in order of recording: hindsight comes late */
    struct ft_call *restart_of;     /* the call that this one repeats, or NULL */
    struct ft_call *merged_into;    /* found to be the same call as another one, at merged_frame */
    uint32_t      merged_frame;
    unsigned      merges;           /* of calls into calls into this one: how long the way to it may be */
} ft_call;

typedef struct { uint32_t from_frame; ft_call *call; } ft_call_span;

/* The call that a flow was put into by this frame, or NULL. Doesn't follow merges. */
ft_call *ft_call_of_flow(const ft_flow *flow, uint32_t frame);

/* The call that the packet in hand belongs to as of now, or NULL. Follows merges up to this frame. */
ft_call *ft_call_of_packet(packet_info *pinfo);

/* The packet's running call, else a new one; the packet and its flow join it. fresh: the packet can start a call by
 * itself (allocation, first check, INVITE of a new dialog), so after the end of the last call it opens the next one.
 * Later passes: ft_call_of_packet(). NULL over FT_MAX_CALLS; over FT_MAX_FLOW_MOVES the call that the flow was in. */
ft_call *ft_call_open(packet_info *pinfo, bool fresh);

/* Puts the packet's flow, and its device ends, into a call from this frame on; merges two calls that are found to be one. */
void ft_call_join(packet_info *pinfo, ft_call *call);

/* The call will meet this end: the peer of a channel bind, the target of a check. Once it sends, it belongs to the call,
 * unless two running calls expect it. First pass. */
void ft_call_expect(packet_info *pinfo, ft_call *call, const ft_endpoint *end);

/* The end (first pass). reason is copied. */
void ft_call_end(packet_info *pinfo, ft_call *call, const char *reason);

/* A packet of Apple's servers around a call (NAT tests, HTTP check): tied to the device's running call, else to its next
 * one. Later passes find what the first one made. Call it before events are added. */
void ft_call_prepare(packet_info *pinfo, const address *device);

/* The call that ft_call_prepare() tied this frame to, or NULL. *known_from: the frame that told it; where that comes
 * later, this is a link forward, so only later passes have it. */
const ft_call *ft_call_prepared_by(uint32_t frame, uint32_t *known_from);

/* Counts the packet in its call and closes its book-keeping: the front door's last step on the first pass. */
void ft_call_count(packet_info *pinfo);

/* A call found to be part of another as of this frame is shown under the other's number. */
const ft_call *ft_call_as_of(const ft_call *call, uint32_t frame);

/* Once, when the front door is registered. */
void ft_call_init(void);

/* All calls of the file, in order, merged ones included. */
unsigned ft_call_total(void);
ft_call *ft_call_by_number(unsigned number);

#endif
