/* calls/limits.h
 * Every bound on what the plugin remembers, in one place. Beyond a bound the oldest or the
 * newest is forgotten (each line says which) and the packet carries the expert info
 * facetime.limit; nothing is ever dropped from view.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_LIMITS_H
#define FT_LIMITS_H

/* claimed 5-tuples in a file, and one more for each that carries media (calls/flow.c); later
 * ones are decoded without memory */
#define FT_MAX_FLOWS            32768
#define FT_MAX_CALLS            12288   /* calls in a file; later ones get no number */
/* BYEs of one dialog, times the 5-tuples they are seen on; later ones aren't followed */
#define FT_MAX_BYES_PER_DIALOG  8
#define FT_MAX_INVITES_PER_DIALOG 16    /* INVITEs of one dialog; later ones aren't followed */
/* ends that one INVITE reached; later ones aren't told apart */
#define FT_MAX_BRANCHES_PER_DIALOG 8
/* legs put into a call, or into another; beyond, they stay in their last */
#define FT_MAX_FLOW_MOVES       131072
#define FT_MAX_MERGES           16      /* calls into calls into one call; beyond, they stay two */
#define FT_MAX_LEGS             65536   /* channels (binds) in a file; later ones have no peer */
/* channels (binds) of one 5-tuple; later ones have no peer */
#define FT_MAX_LEGS_PER_FLOW    1024
/* requests waiting for or paired with an answer; later ones aren't paired */
#define FT_MAX_EXCHANGES        65536
/* requests with one transaction id; later ones aren't told apart */
#define FT_MAX_REPEATS          64
/* SSRCs followed in a file, 2 KiB each, and what their packets need while they go on; later ones
 * aren\'t */
#define FT_MAX_STREAMS          40960
/* ways of media that stock RTP is told of, 4 KiB each; later ones have no name there */
#define FT_MAX_MEDIA_SETUPS     8192
#define FT_MAX_STREAMS_PER_CALL 256     /* SSRCs of one call; later ones aren't followed */
/* SDP bodies of one call; later ones don't name its codecs */
#define FT_MAX_SDPS_PER_CALL    64
/* payload types of all SDP bodies in a file; later bodies don't name codecs */
#define FT_MAX_SDP_CODECS       262144
/* participants, and links, that a modern call's report names; later ones aren't */
#define FT_MAX_NAMES_PER_CALL   64
/* what tells a call in other files, too; of later ones no key is made */
#define FT_MAX_KEYS_PER_CALL    128
/* events of one call, and findings in the media of a file; later ones are not recorded */
#define FT_MAX_EVENTS           65536
/* of these, such as are only counted: the rest is kept for what is told once */
#define FT_MAX_COUNTED_EVENTS   61440
/* endpoints known as FaceTime's, and ends of calls (twice as many); later ones aren't learnt */
#define FT_MAX_DEVICES          32768
/* packets before a call (NAT tests, HTTP check) kept for it, per device: newest win */
#define FT_MAX_PREPARATIONS     64
/* such packets that are tied to a call in a file; later ones aren't */
#define FT_MAX_PREPARED_FRAMES  65536
/* CommNAT tests whose tokens are tied together; later ones aren't tied */
#define FT_MAX_NAT_TESTS        16384
/* packets with a relay counter; reports that echo later ones get no link */
#define FT_MAX_RELAY_COUNTERS   1048576
#define FT_MAX_RELAY_LINKS      32768   /* announced relay links; later ones stay a number */
/* changes of how a stream's relay headers are read; later ones aren't remembered */
#define FT_MAX_RELAY_READINGS   16384
/* distinct control messages; repeats of later ones aren't recognised */
#define FT_MAX_CONTROL_MESSAGES 262144
/* values of clues that tell which packets are one call; later ones tell nothing */
#define FT_MAX_TIES             131072
/* keys whose first RTP packet is remembered; messages with later ones get no link */
#define FT_MAX_MKIS             65536
/* key ids of 2 bytes that senders used, and their first frames; later ones aren't followed */
#define FT_MAX_SHORT_KEYS       32768
/* connection ids of QUIC that may carry media, in a file; later ones take older ones' places */
#define FT_MAX_QUIC_IDS         65536
/* of one direction of a 5-tuple; the one that came least recently gives way, if it is none so
 * far */
#define FT_MAX_QUIC_IDS_PER_FLOW 64
/* packets that show a round trip, a freeze, an incomplete picture; later ones don't */
#define FT_MAX_MARKS            786432
/* rows of a stream's series; then a row is two seconds, four ... */
#define FT_MAX_SERIES           3600
/* rows of all series in a file; later seconds aren't in them */
#define FT_MAX_SECONDS          524288
/* pauses of 150 ms and more between pictures in a file; later ones are no freezes */
#define FT_MAX_PAUSES           262144
/* of intervals and round trips in a file, 8 bytes a value; later streams have none */
#define FT_MAX_HISTOGRAMS       122880
/* addresses that calls reveal, in a file; later ones aren't listed */
#define FT_MAX_ADDRESSES        131072
/* text of all SDP bodies in a file; later bodies aren't listed */
#define FT_MAX_SDP_BYTES        67108864
/* directions watched for what proves in number only; later ones are not claimed on it */
#define FT_MAX_BARE_MEDIA       4096
/* relay packets that one datagram is taken apart into; the rest is bytes */
#define FT_MAX_CHAIN            16
#define FT_MAX_NESTING          4       /* ChannelData inside ChannelData */

/* What reports lack from the frame on in which a bound was first met: X(bound, text); NULL where
 * they lack nothing. */
#define FT_LIMITS(X) \
    X(FLOWS, "5-tuples followed: packets of later ones are in no call") \
    X(CALLS, "calls: packets of later ones are in no call") \
    X(BYES_PER_DIALOG, "BYEs of a SIP dialog: whether later ones are answered isn't told") \
    X(INVITES_PER_DIALOG, "INVITEs of a SIP dialog: what becomes of later ones isn't told") \
    X(FLOW_MOVES, "ways put into calls: later ones stay in the call that they were in") \
    X(MERGES, "calls found to be one, one after the other: later ones stay several") \
    X(LEGS, "relay channels: later ones have no peer, and may be in no call") \
    X(LEGS_PER_FLOW, \
      "relay channels of a 5-tuple: later ones have no peer, and may be in no call") \
    X(EXCHANGES, "requests: later ones have no round trip") \
    X(REPEATS, "requests with one id: later ones have no round trip") \
    X(STREAMS, \
      "media streams: later ones are in no report; their losses, pauses and paths aren't known") \
    X(MEDIA_SETUPS, NULL) \
    X(STREAMS_PER_CALL, "media streams, or senders, of a call: later ones are in no report") \
    X(SDPS_PER_CALL, "SDP bodies of a call: later ones aren't listed, and don't name codecs") \
    X(SDP_CODECS, "payload types in SDP bodies: later bodies don't name codecs") \
    X(NAMES_PER_CALL, "participants, or links, of a call: later ones aren't listed") \
    X(KEYS_PER_CALL, "keys of a call: later ones aren't listed") \
    X(EVENTS, "events of a call, or findings in media: later ones aren't told") \
    X(COUNTED_EVENTS, "events of a call: later ones that are only counted aren't") \
    X(DEVICES, "devices: what belongs to later ones may be in no call") \
    X(PREPARATIONS, "packets before a device's call: the oldest are left out") \
    X(PREPARED_FRAMES, "packets before calls: later ones are in no call") \
    X(NAT_TESTS, NULL) \
    X(RELAY_COUNTERS, NULL) \
    X(RELAY_READINGS, "ways to read relay headers: packets behind later ones may be missing") \
    X(RELAY_LINKS, "announced links: the radio of later ones isn't known") \
    X(CONTROL_MESSAGES, NULL) \
    X(TIES, "values that tie packets to calls: later calls may be told as several, or with " \
            "another's packets") \
    X(CLUES_OF_PACKET, NULL) \
    X(MKIS, NULL) \
    X(SHORT_KEYS, NULL) \
    X(QUIC_IDS, "connection ids of QUIC: media inside of later ones may not be told") \
    X(QUIC_IDS_PER_FLOW, \
      "connection ids of QUIC on a 5-tuple: media inside of later ones may not be told") \
    X(MARKS, NULL) \
    X(SECONDS, "rows of series: later seconds aren't in them") \
    X(PAUSES, "pauses between pictures: later ones are no freezes") \
    X(HISTOGRAMS, \
      "histograms of streams: later ones have no median of intervals, nor round trips") \
    X(ADDRESSES, "addresses that calls reveal: later ones aren't listed") \
    X(BARE_MEDIA, \
      "directions watched for media that nothing announced: media in later ones is in no report") \
    X(SDP_BYTES, "bytes of SDP: later bodies aren't listed")

#define FT_LIMIT_ENUM(bound, text) FT_LIMIT_##bound,
typedef enum { FT_LIMITS(FT_LIMIT_ENUM) FT_LIMIT_COUNT } ft_limit;

#endif
