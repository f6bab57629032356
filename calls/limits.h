/* calls/limits.h
 * Every bound on what the plugin remembers, in one place. Beyond a bound the oldest or the newest is forgotten
 * (each line says which) and the packet carries the expert info facetime.limit; nothing is ever dropped from view.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_LIMITS_H
#define FT_LIMITS_H

#define FT_MAX_FLOWS            32768   /* claimed 5-tuples in a file; later ones are decoded without memory */
#define FT_MAX_CALLS            12288   /* calls in a file; later ones get no number */
#define FT_MAX_BYES_PER_DIALOG  8       /* BYEs of one dialog, times the 5-tuples they are seen on; later ones aren't followed */
#define FT_MAX_INVITES_PER_DIALOG 16    /* INVITEs of one dialog; later ones aren't followed */
#define FT_MAX_BRANCHES_PER_DIALOG 8    /* ends that one INVITE reached; later ones aren't told apart */
#define FT_MAX_FLOW_MOVES       131072  /* legs put into a call, or into another; beyond, they stay in their last */
#define FT_MAX_MERGES           16      /* calls into calls into one call; beyond, they stay two */
#define FT_MAX_LEGS             65536   /* channels (binds) in a file; later ones have no peer */
#define FT_MAX_LEGS_PER_FLOW    1024    /* channels (binds) of one 5-tuple; later ones have no peer */
#define FT_MAX_EXCHANGES        65536   /* requests waiting for or paired with an answer; later ones aren't paired */
#define FT_MAX_REPEATS          64      /* requests with one transaction id; later ones aren't told apart */
#define FT_MAX_STREAMS          6144    /* SSRCs followed in a file, 9.5 KiB each */
#define FT_MAX_MEDIA_SETUPS     8192    /* ways of media that stock RTP is told of, 4 KiB each; later ones have no name there */
#define FT_MAX_STREAMS_PER_CALL 256     /* SSRCs of one call; later ones aren't followed */
#define FT_MAX_SDPS_PER_CALL    64      /* SDP bodies of one call; later ones don't name its codecs */
#define FT_MAX_SDP_CODECS       65536   /* payload types of all SDP bodies in a file; later bodies don't name codecs */
#define FT_MAX_NAMES_PER_CALL   64      /* participants, and links, that a modern call's report names; later ones aren't */
#define FT_MAX_EVENTS           65536   /* events of one call, and findings in the media of a file; later ones are not recorded */
#define FT_MAX_COUNTED_EVENTS   61440   /* of these, such as are only counted: the rest is kept for what is told once */
#define FT_MAX_DEVICES          32768   /* endpoints known as FaceTime's, and ends of calls (twice as many); later ones aren't learnt */
#define FT_MAX_PREPARATIONS     64      /* packets before a call (NAT tests, HTTP check) kept for it, per device: newest win */
#define FT_MAX_PREPARED_FRAMES  65536   /* such packets that are tied to a call in a file; later ones aren't */
#define FT_MAX_NAT_TESTS        16384   /* CommNAT tests whose tokens are tied together; later ones aren't tied */
#define FT_MAX_RELAY_COUNTERS   1048576 /* packets with a relay counter; reports that echo later ones get no link */
#define FT_MAX_RELAY_LINKS      16384   /* announced relay links; later ones stay a number */
#define FT_MAX_RELAY_READINGS   16384   /* changes of how a stream's relay headers are read; later ones aren't remembered */
#define FT_MAX_CONTROL_MESSAGES 262144  /* distinct control messages; repeats of later ones aren't recognised */
#define FT_MAX_TIES             131072  /* values of clues that tell which packets are one call; later ones tell nothing */
#define FT_MAX_MKIS             65536   /* keys whose first RTP packet is remembered; messages with later ones get no link */
#define FT_MAX_SHORT_KEYS       32768   /* key ids of 2 bytes that senders used, and their first frames; later ones aren't followed */
#define FT_MAX_QUIC_IDS         65536   /* connection ids of QUIC that may carry media, in a file; later ones take older ones' places */
#define FT_MAX_QUIC_IDS_PER_FLOW 64     /* of one direction of a 5-tuple; the one that came least recently gives way, if it is none so far */
#define FT_MAX_MARKS            786432  /* packets that show a round trip, a freeze, an incomplete picture; later ones don't */
#define FT_MAX_SERIES           3600    /* rows of a stream's series; then a row is two seconds, four ... */
#define FT_MAX_SECONDS          524288  /* rows of all series in a file; later seconds aren't in them */
#define FT_MAX_PAUSES           262144  /* pauses of 150 ms and more between pictures in a file; later ones are no freezes */
#define FT_MAX_HISTOGRAMS       8192    /* of intervals and round trips in a file, 4.3 KiB each; later streams have none */
#define FT_MAX_ADDRESSES        131072  /* addresses that calls reveal, in a file; later ones aren't listed */
#define FT_MAX_SDP_BYTES        16777216 /* text of all SDP bodies in a file; later bodies aren't listed */
#define FT_MAX_BARE_MEDIA       4096    /* directions watched for what proves in number only; later ones are not claimed on it */
#define FT_MAX_CHAIN            16      /* relay packets that one datagram is taken apart into; the rest is bytes */
#define FT_MAX_NESTING          4       /* ChannelData inside ChannelData */

#endif
