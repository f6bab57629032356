/* calls/model.h
 * What is remembered of a call: the types. Who writes what stands with each; calls/call.h has
 * what is done with them.
 *
 *    ft_call ---> streams ---> ft_stream   one SSRC in one direction       by, ways
 *            ---> senders ---> ft_sender   who sends, over all its SSRCs   leg: the way in use
 *            ---> quic_streams, events, participants, links
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_MODEL_H
#define FT_MODEL_H

#include "calls/flow.h"
#include "calls/sequence.h"

/* What names the far end, the better the later: a channel may lead to the peer's NAT, an offer
 * to its home network. */
typedef enum {
    FT_REMOTE_UNKNOWN,
    FT_REMOTE_NAMED,                /* by SIP's URIs, through a relay */
    FT_REMOTE_SENT_TO,
    FT_REMOTE_OFFERED,
    FT_REMOTE_BOUND,
    FT_REMOTE_SIGNALLED,
    FT_REMOTE_CHECKED,
    FT_REMOTE_MET
} ft_remote_rank;

/* Two ends of a call, each with an ICE agent. */
#define FT_MAX_AGENTS 2

typedef struct {
    uint64_t    value;
    /* as first seen: who is behind the channel, where it came through one */
    ft_endpoint sender;
} ft_tie_breaker;

typedef enum { FT_CALL_SETUP, FT_CALL_RINGING, FT_CALL_ANSWERED, FT_CALL_ENDED } ft_call_state;

/* How a call ended, where signalling says so. Only one that was hung up may have broken off. */
typedef enum {
    FT_OUTCOME_NONE,
    FT_OUTCOME_HUNG_UP,
    FT_OUTCOME_DECLINED,
    FT_OUTCOME_BUSY,
    FT_OUTCOME_CANCELLED,
    FT_OUTCOME_FAILED
} ft_call_outcome;

/* What was seen of a session beyond connectivity checks, which others set their ways up with,
 * too. */
enum {
    FT_SEEN_SETUP = 1,  /* a relay: allocation, channel, QUIC connection */
    FT_SEEN_TALK = 2,   /* what only calls have: SIP, media, link and control messages */
};

#define FT_MAX_WAYS_PER_STREAM 8

/* A packet at the call's other end. */
typedef struct { uint32_t frame, ssrc; uint16_t sequence; } ft_sighting;

/* One SSRC in one direction, over all ways: its direction survives a change of the device's
 * address or the peer's. */
typedef struct ft_stream {
    uint32_t    ssrc;
    uint64_t    payload_types[2];   /* a bit for each that was seen */
    bool        outgoing;           /* the device sends it */
    /* the capture kept media packets without their header, so many of its packets ago that they
     * may still be what a gap lacks; 0: none of late (CUT_REACH less those since) */
    uint8_t     cut_since;
    /* ... and numbers were missing then: how many were lost isn't known */
    bool        is_cut;
    /* as first seen: the datagram's source, or the peer behind the channel */
    ft_endpoint sender;
    struct ft_sender *by;           /* NULL over FT_MAX_STREAMS_PER_CALL */
    uint32_t    first_frame, last_frame;
    nstime_t    first_time, last_time; /* of ft_now(): earliest and latest */
    nstime_t    heard_time;         /* the latest, of ft_steady() */
    uint16_t    first_sequence;
    uint32_t    first_digest;       /* of that packet; see ft_rtp */
    uint32_t    timestamp;          /* the newest */
    /* its first packet came again, long after: another capture of the same way */
    bool        is_repeated;
    uint32_t    packets;            /* distinct RTP packets */
    uint32_t    copies;             /* packets sent again, on any path */
    ft_leg     *ways[FT_MAX_WAYS_PER_STREAM]; /* in order of use; later ones count as the last */
    unsigned    way_count;
    ft_sequence sequence;           /* losses, reordering */
    /* how good it was (calls/quality.h), NULL before its first packet */
    struct ft_quality *quality;
} ft_stream;

/* Who sends media: known by its key, and by the SSRCs that it sends, whatever addresses it has. */
typedef struct ft_sender {
    bool        outgoing;           /* the device itself sends */
    bool        has_key;
    bool        is_beside;          /* the way in use was begun by copies, beside the one before */
    bool        has_copies;         /* the way before goes on with copies, beside the one in use */
    bool        was_met;            /* its call was met by media: when that began isn't known */
    uint8_t     key[8];             /* newest, the first bytes of the key id */
    ft_endpoint device;             /* the device's end of the way in use */
    ft_endpoint source;             /* where its packets come from, on the way in use */
    ft_leg     *leg;                /* the way in use */
    ft_leg     *other_leg;          /* the way before */
    nstime_t    leg_time, other_time; /* last media on each */
    /* of ft_steady(), as the two above: the first packet's, and the latest */
    nstime_t    first_time, last_time;
    uint32_t    last_frame;
} ft_sender;

/* A silence of one side that the other side's packets showed. */
typedef struct {
    struct ft_frame *frame;         /* the first of these */
    nstime_t         time;
    uint32_t         since_frame;
} ft_silence;

/* An SDP body that names codecs. */
typedef struct {
    const struct ft_sdp_record *record; /* private to calls/codec.c */
    uint32_t from_frame;            /* the call's from this frame on: that of a merge, maybe */
} ft_known_sdp;

/* Media inside QUIC: one direction over one path. No SSRC is seen, nor what is lost. */
typedef struct {
    ft_path     path;
    bool        outgoing;           /* the device sends it */
    ft_endpoint sender;             /* as first seen; AT_NONE where the relay doesn't name it */
    uint32_t    first_frame, last_frame;
    uint32_t    packets;
    uint64_t    bytes;              /* of the datagrams */
    struct ft_quality *quality;     /* of its direction, over both paths */
} ft_quic_stream;

/* So many packets of a call show whether the capture has both directions. */
#define FT_PACKETS_ENOUGH 20

typedef struct ft_call {
    uint32_t      number;           /* from 1 in the file */
    ft_generation generation;
    uint32_t      generation_frame; /* the first packet that told it; 0 before */
    ft_generation shown_generation; /* the first that a packet's own bytes showed */
    ft_call_state state;
    uint32_t      first_frame, last_frame;
    nstime_t      first_time;       /* the earliest stamp, of ft_now() */
    /* its first packet's and its latest one's; of ft_steady(), as all that follow but end_time */
    nstime_t      begin_time, last_time;
    /* the device that was seen first, and the far end; AT_NONE if unknown */
    ft_endpoint   local, remote;
    /* the device on the other side of a NAT, where its packets come again; else AT_NONE */
    ft_endpoint   beyond_nat;
    /* the other device, where both ends of the call are in the file; else AT_NONE */
    ft_endpoint   other_end;
    ft_sighting  *sightings;        /* the latest media packets there; NULL before the first */
    bool          other_end_closed; /* that device closed its socket, and so ended the call */
    /* of the latest packet that the device sent, or media that it got */
    nstime_t      device_time;
    uint32_t      invite_frame, answer_frame, bye_answer_frame, end_frame;
    nstime_t      end_time;         /* of ft_now(): the packet's that ended it */
    nstime_t      over_time;        /* the same, of ft_steady() */
    ft_endpoint   offerer;          /* who sent the SDP offer: not the caller's mark */
    /* in this file, or before it began: an INVITE would have changed the call */
    bool          was_answered;
    ft_call_outcome outcome;
    const char   *end_reason;       /* NULL while it runs */
    unsigned      seen;             /* FT_SEEN_: 0 while there is only ICE */
    /* a GameKit message: known to be no call from this frame on; 0 while it may be one */
    uint32_t      no_call_from;
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
    /* modern: "multiway" or "one-to-one", as last seen; else NULL */
    const char   *mode;
    /* modern: of uint8_t[8], pseudonyms of who is at the far end; NULL if none */
    wmem_array_t *participants;
    /* modern: of uint16_t, relay links that carried media; NULL if none */
    wmem_array_t *links;
    wmem_array_t *streams;          /* of ft_stream * */
    wmem_array_t *quic_streams;     /* of ft_quic_stream; NULL if none */
    wmem_array_t *senders;          /* of ft_sender * */
    wmem_array_t *sdps;             /* of ft_known_sdp */
    wmem_array_t *events;           /* of ft_event *, in order of recording: hindsight comes late */
    unsigned      dialogs;          /* SIP dialogs of this call */
    /* the INVITE was challenged or redirected: the next one is the same call's */
    bool          invites_again;
    unsigned      tie_breaker_count;
    ft_tie_breaker tie_breakers[FT_MAX_AGENTS]; /* of the ICE agents that were seen */
    unsigned      keys;             /* key ids of media senders */
    wmem_array_t *key_list;         /* private to calls/key.c, as the next two; NULL if none */
    unsigned      keys_compared;    /* how many of them best_key is the best of */
    const char   *best_key;
    /* devices that hold an allocation with a token, of the call's two */
    unsigned      reservations;
    ft_endpoint   reserved_by[FT_MAX_AGENTS];
    ft_remote_rank remote_rank;     /* what named the far end */
    /* of the last media, or answered check, on the direct path; zero before */
    nstime_t      direct_time;
    /* packets of both directions were captured so far, of this part alone (calls/witness.h) */
    bool          hears_both;
    bool          bye_again;        /* its BYE was sent again: nobody had answered */
    bool          was_met;          /* at a public address, by what went directly or was to */
    bool          closed;           /* nothing more belongs to it without a clue of its own */
    /* one of `before` broke off shortly before; between the same ends? not known yet */
    bool          may_restart;
    nstime_t      heard_time;       /* of the last packet that came from the other side */
    bool          relay_seen;       /* a packet through a modern relay */
    uint32_t      relay;            /* hash of its latest one's address; 0: none, or legacy's */
    /* what the capture can tell of it (calls/witness.h), NULL before its first packet */
    struct ft_witness *witness;
    struct ft_reveals *reveals;     /* calls/reveal.h; NULL before the first */
    struct sip_dialog *dialog;      /* its latest, private to calls/dialog.c; NULL if none */
    struct ft_call *before;         /* the call that this device began before it, or NULL */
    struct ft_call *restart_of;     /* the call that this one repeats, or NULL */
    struct ft_call *merged_into;    /* found to be the same call as another one, at merged_frame */
    uint32_t      merged_frame;
    /* of calls into calls into this one: how long the way to it may be */
    unsigned      merges;
} ft_call;

#endif
