/* calls/call.h
 * A call: both ends, flows, dialogs, media, how it began and ended, and its story (events).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CALL_H
#define FT_CALL_H

#include "calls/event.h"
#include "calls/flow.h"
#include "calls/sequence.h"

/* What names the far end, the better the later: a channel may lead to the peer's NAT, an offer to its home network. */
typedef enum { FT_REMOTE_UNKNOWN, FT_REMOTE_SENT_TO, FT_REMOTE_OFFERED, FT_REMOTE_BOUND, FT_REMOTE_SIGNALLED,
               FT_REMOTE_CHECKED, FT_REMOTE_MET } ft_remote_rank;

/* Two ends of a call, each with an ICE agent. */
#define FT_MAX_AGENTS 2

typedef struct {
    uint64_t    value;
    ft_endpoint sender;             /* as first seen: who is behind the channel, where it came through one */
} ft_tie_breaker;

typedef enum { FT_CALL_SETUP, FT_CALL_RINGING, FT_CALL_ANSWERED, FT_CALL_ENDED } ft_call_state;

/* How a call ended, where signalling says so. Only one that was hung up may have broken off. */
typedef enum {
    FT_OUTCOME_NONE, FT_OUTCOME_HUNG_UP, FT_OUTCOME_DECLINED, FT_OUTCOME_BUSY, FT_OUTCOME_CANCELLED, FT_OUTCOME_FAILED
} ft_call_outcome;

/* What was seen of a session beyond connectivity checks, which others set their ways up with, too. */
enum {
    FT_SEEN_SETUP = 1,  /* a relay: allocation, channel, QUIC connection */
    FT_SEEN_TALK = 2,   /* what only calls have: SIP, media, link and control messages */
};

#define FT_MAX_WAYS_PER_STREAM 8

/* A packet at the call's other end. */
typedef struct { uint32_t frame, ssrc; uint16_t sequence; } ft_sighting;

/* One SSRC in one direction, over all ways: its direction survives a change of the device's address or the peer's. */
typedef struct ft_stream {
    uint32_t    ssrc;
    uint64_t    payload_types[2];   /* a bit for each that was seen */
    bool        outgoing;           /* the device sends it */
    bool        cut_since;          /* since its last packet, the capture kept media packets without their header */
    bool        is_cut;             /* ... and numbers were missing then: how many were lost isn't known */
    ft_endpoint sender;             /* as first seen: the datagram's source, or the peer behind the channel */
    struct ft_sender *by;           /* NULL over FT_MAX_STREAMS_PER_CALL */
    uint32_t    first_frame, last_frame;
    nstime_t    first_time, last_time; /* of ft_now(): earliest and latest */
    uint32_t    packets;            /* distinct RTP packets */
    uint32_t    copies;             /* packets sent again, on any path */
    ft_leg     *ways[FT_MAX_WAYS_PER_STREAM]; /* in order of use; later ones count as the last */
    unsigned    way_count;
    ft_sequence sequence;           /* losses, reordering */
    struct ft_quality *quality;     /* how good it was (calls/quality.h), NULL before its first packet */
} ft_stream;

/* Who sends media: known by its key, and by the SSRCs that it sends, whatever addresses it has. */
typedef struct ft_sender {
    bool        outgoing;           /* the device itself sends */
    bool        has_key;
    uint8_t     key[8];             /* newest, the first bytes of the key id */
    ft_endpoint device;             /* the device's end of the way in use */
    ft_endpoint source;             /* where its packets come from, on the way in use */
    ft_leg     *leg;                /* the way in use */
    ft_leg     *other_leg;          /* the way before */
    nstime_t    leg_time, other_time; /* last media on each */
    nstime_t    first_time, last_time; /* of ft_now(): the first packet's, and the latest */
    uint32_t    last_frame;
} ft_sender;

/* A silence of one side that the other side's packets showed. */
typedef struct {
    struct ft_frame *frame;         /* the first of these */
    nstime_t         time;
    uint32_t         since_frame;
} ft_silence;

/* Media inside QUIC: one direction over one path. No SSRC is seen, nor what is lost. */
typedef struct {
    ft_path     path;
    bool        outgoing;           /* the device sends it */
    ft_endpoint sender;             /* as first seen; AT_NONE where the relay doesn't name it */
    uint32_t    first_frame, last_frame;
    uint32_t    packets;
    uint64_t    bytes;              /* of the datagrams */
} ft_quic_stream;

typedef struct ft_call {
    uint32_t      number;           /* from 1 in the file */
    ft_generation generation;
    ft_call_state state;
    uint32_t      first_frame, last_frame;
    nstime_t      first_time, last_time; /* earliest and latest; of ft_now(), as all times of a call */
    ft_endpoint   local, remote;    /* the device that was seen first, and the far end; AT_NONE if unknown */
    ft_endpoint   other_end;        /* the other device, where both ends of the call are in the file; else AT_NONE */
    ft_sighting  *sightings;        /* the latest media packets there; NULL before the first */
    bool          other_end_closed; /* that device closed its socket, and so ended the call */
    nstime_t      device_time;      /* of the latest packet that the device sent, or media that it got */
    uint32_t      invite_frame, answer_frame, bye_answer_frame, end_frame;
    nstime_t      end_time;
    ft_endpoint   offerer;          /* who sent the SDP offer: not the caller's mark */
    bool          was_answered;     /* in this file, or before it began: an INVITE would have changed the call */
    ft_call_outcome outcome;
    const char   *end_reason;       /* NULL while it runs */
    unsigned      seen;             /* FT_SEEN_: 0 while there is only ICE */
    uint32_t      no_call_from;     /* a GameKit message: known to be no call from this frame on; 0 while it may be one */
    uint32_t      ichat_frame;      /* its SIP is iChat AV's, known from this frame on; else 0 */
    uint64_t      told;             /* events by id, that a row tells once or counts */
    const ft_leg *media_leg;        /* where its last RTP packet ran */
    uint32_t      packets;
    uint32_t      twice;            /* datagrams that were seen before, at another place */
    uint32_t      media_packets[4]; /* by ft_path */
    uint32_t      media_first[4], media_last[4]; /* frames, by ft_path */
    uint8_t       media_told;       /* first_media: a bit for each direction and medium */
    bool          one_way_told[2];  /* one_way_media of the far end, of the device */
    ft_silence    silence[2];       /* of the far end, of the device */
    bool          silence_judged;   /* at the capture's end */
    const char   *mode;             /* modern: "multiway" or "one-to-one", as last seen; else NULL */
    wmem_array_t *participants;     /* modern: of uint8_t[8], pseudonyms of who is at the far end; NULL if none */
    wmem_array_t *links;            /* modern: of uint16_t, relay links that carried media; NULL if none */
    wmem_array_t *streams;          /* of ft_stream * */
    wmem_array_t *quic_streams;     /* of ft_quic_stream; NULL if none */
    wmem_array_t *senders;          /* of ft_sender * */
    wmem_array_t *sdps;             /* of ft_sdp_record *, private to media.c */
    wmem_array_t *events;           /* of ft_event *, in order of recording: hindsight comes late */
    unsigned      dialogs;          /* SIP dialogs of this call */
    bool          invites_again;    /* the INVITE was challenged or redirected: the next one is the same call's */
    unsigned      tie_breaker_count;
    ft_tie_breaker tie_breakers[FT_MAX_AGENTS]; /* of the ICE agents that were seen */
    unsigned      keys;             /* key ids of media senders */
    unsigned      reservations;     /* devices that hold an allocation with a token, of the call's two */
    ft_endpoint   reserved_by[FT_MAX_AGENTS];
    ft_remote_rank remote_rank;     /* what named the far end */
    nstime_t      direct_time;      /* of the last media, or answered check, on the direct path; zero before */
    bool          closed;           /* nothing more belongs to it without a clue of its own */
    nstime_t      heard_time;       /* of the last packet that came from the other side */
    bool          relay_seen;       /* a packet through a modern relay */
    struct ft_call *may_restart;    /* broke off shortly before, on this device; between the same ends? not known yet */
    struct ft_call *restart_of;     /* the call that this one repeats, or NULL */
    struct ft_call *merged_into;    /* found to be the same call as another one, at merged_frame */
    uint32_t      merged_frame;
    unsigned      merges;           /* of calls into calls into this one: how long the way to it may be */
} ft_call;

/* The call that the packet in hand belongs to as of now, or NULL. Follows merges up to this frame. */
ft_call *ft_call_of_packet(packet_info *pinfo);

/* The call that a way of packets was put into by this frame, or NULL. Doesn't follow merges. */
ft_call *ft_call_of_leg(const ft_leg *leg, uint32_t frame);

/* A call found to be part of another as of this frame is shown under the other's number. */
const ft_call *ft_call_as_of(const ft_call *call, uint32_t frame);

/* True where nothing joins the call any more without a clue of its own: it was closed, or fell silent. */
bool ft_call_is_over(const packet_info *pinfo, const ft_call *call);

/* A new call that begins with the packet in hand; last: the one before on this device, or NULL. First pass.
 * NULL over FT_MAX_CALLS. */
ft_call *ft_call_new(packet_info *pinfo, const ft_endpoint *device, const ft_call *last);

/* Puts the packet in hand into the call, and where `with_leg` its way too, from this frame on. First pass. */
void ft_call_put(packet_info *pinfo, ft_call *call, bool with_leg);

/* Two calls are one: the younger goes up into the elder, which is returned. First pass. */
ft_call *ft_call_merge(packet_info *pinfo, ft_call *one, ft_call *other);

/* Nothing more belongs to the call without a clue of its own. First pass. */
void ft_call_close(ft_call *call);

/* The end (first pass). reason is copied. */
void ft_call_end(packet_info *pinfo, ft_call *call, const char *reason);

/* A packet of Apple's servers around a call (NAT tests, HTTP check): tied to the device's running call, else to its next
 * one. Later passes find what the first one made. Call it before events are added. */
void ft_call_prepare(packet_info *pinfo, const address *device);

/* A call has begun, or goes on, at this device: what was kept for it is its own now. First pass. */
void ft_call_adopt_preparations(packet_info *pinfo, ft_call *call, const address *device);

/* The call that ft_call_prepare() tied the packet to, or NULL. *known_from: the frame that told it; where that comes
 * later, this is a link forward, so only later passes have it. */
const ft_call *ft_call_prepared_by(packet_info *pinfo, uint32_t *known_from);

/* The call's far end, if nothing better named it before. First pass. */
void ft_call_remote(ft_call *call, const ft_endpoint *end, ft_remote_rank rank);

/* Counts the packet in its call and closes its book-keeping: the front door's last step on the first pass. */
void ft_call_count(packet_info *pinfo);

/* The session of this number turns out to be no call (a GameKit session): its packets have no number from this frame on.
 * First pass. */
void ft_call_is_none(packet_info *pinfo, ft_call *call);

/* The call's latest time, as its device has it: the other end's clock, if that is in the file too, may be another. */
const nstime_t *ft_call_last_time(const ft_call *call);

/* How many places of its way the call was seen at: 2 where more of its datagrams were seen twice than chance repeats. */
unsigned ft_call_points(const ft_call *call);

/* The SIP message in hand is iChat AV's, and so is its call from this frame on. First pass (else a no-op). */
void ft_call_is_ichat(packet_info *pinfo);

/* True where it is no call as of this frame. call may be NULL. */
static inline bool
ft_call_none(const ft_call *call, uint32_t frame)
{
    return call && call->no_call_from && call->no_call_from <= frame;
}

/* True where it is known as iChat AV's as of this frame. call may be NULL. */
static inline bool
ft_call_ichat(const ft_call *call, uint32_t frame)
{
    return call && call->ichat_frame && call->ichat_frame <= frame;
}

/* Whether a list of calls has it: neither where only connectivity checks were seen, nor where it is known to be none. */
static inline bool
ft_call_listed(const ft_call *call)
{
    return call->seen && !call->no_call_from;
}

/* What only calls have (SIP, link and control messages, the modern relay), whatever its 5-tuple carried before. */
bool ft_call_of_calls_alone(const ft_packet *packet);

/* True for a packet that a GameKit session doesn't take in, though it comes from the same socket: what only calls have,
 * and media on a 5-tuple without GameKit messages. False for a session that may be a call. */
bool ft_call_strange(const ft_packet *packet, const ft_call *session);

/* Goes up with each change of what decides which call a packet is of. */
extern unsigned ft_call_changes;

/* Once, when the front door is registered. */
void ft_call_init(void);

/* All calls of the file, in order, merged ones included. */
unsigned ft_call_total(void);
ft_call *ft_call_by_number(unsigned number);

#endif
