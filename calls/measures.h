/* calls/measures.h
 * How good a stream was: the types, and what their values count in. docs/quality.md defines each
 * value.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_MEASURES_H
#define FT_MEASURES_H

#include "calls/clock.h"
#include "calls/histogram.h"
#include "calls/media.h"
#include "calls/packet.h"
#include "calls/sequence.h"

#define SECOND_US       1000000
#define INTERVAL_UNIT   100         /* microseconds, in histograms */

/* What packet-facetime-rtp.c reads in an RTP packet. */
typedef struct {
    ft_rtp    rtp;
    uint32_t  digest;           /* of all that makes two packets with one number the same */
    bool      is_parity;        /* FEC: it repeats a source packet's number */
    bool      has_fec;          /* of an FEC block: a source or a parity packet */
    uint16_t  fec_sources;      /* parity: how many source packets its block has */
    ft_medium medium;
    uint32_t  clock_rate;       /* of the payload type, 0 if nobody knows it */
    uint32_t  length;           /* bytes as sent, from the RTP header on, trailer included */
    bool      has_frame_info;
    uint16_t  packets_in_frame, frame_sequence;
    bool      has_stamps;       /* audio of one-to-one calls: 1/1024 s */
    uint16_t  sent_stamp, echoed_stamp;
    /* with the stamps: audio packets that the sender has received, modulo 4096 */
    uint16_t  received;
    uint8_t   burst_loss;
    uint16_t  queuing_delay, one_way_delay;     /* as reported, unit not known */
    bool      has_bandwidth;
    uint16_t  bandwidth;        /* 100 bit/s (published, not counted) */
} ft_media_facts;

/* One second of media time (more where the stream is longer than FT_MAX_SERIES rows). */
typedef struct {
    uint32_t number;            /* of the second, from 0 */
    uint32_t packets, bytes;
    int32_t  lost;
    uint32_t frames;
    uint32_t rtt;               /* median, 1/1024 s; 0: no sample */
    uint32_t on_path[2];        /* packets: relay, direct */
    uint32_t copies;            /* that came while this second was the newest */
} ft_second;

/* newest pictures that late packets may still complete: a relay sends again what was lost */
#define FT_OPEN_PICTURES 32
#define FT_SECOND_RTTS   64     /* round trips of the second in hand that its median is taken of */
#define FT_STREAM_VALUES 8      /* different DSCP values of a stream that are kept; of TTL, too */

/* A picture: the packets of one RTP timestamp. */
typedef struct {
    int64_t  ticks;             /* the timestamp, extended */
    int64_t  time;              /* media time of it, microseconds */
    uint32_t frame;             /* of its first packet */
    uint16_t counted, announced;
    uint16_t first_number, last_number; /* RTP's */
    bool     has_info, has_marker, is_first;
    /* its FEC block: source packets that came, that there are, and parity packets */
    uint16_t fec_came, fec_sources, fec_parity;
} ft_picture;

typedef struct {
    uint32_t frame;             /* of the first packet after it */
    /* media time of that packet, microseconds since the stream's first */
    int64_t  at;
    int64_t  length;
    bool     is_whole;          /* no packet is missing in it: the sender made no picture */
} ft_pause;

typedef struct {
    uint32_t packets, first_frame, last_frame;
    const struct ft_flow *flow;     /* of the first packet, NULL where flows are full */
} ft_path_use;

/* RFC 3550 A.8, milliseconds. */
typedef struct {
    double   now, sum, most;
    uint32_t count;
} ft_jitter;

struct ft_call_media;

/* All of a stream. Times are microseconds; media time counts from the stream's first packet. */
typedef struct ft_quality {
    const struct ft_call *call;
    struct ft_call_media *of_call;
    bool         outgoing;
    ft_medium    medium;
    ft_clock    *clock;             /* of the device that it is seen at, NULL over FT_MAX_DEVICES */
    ft_clock_run clock_run;
    ft_sequence  sequence;
    uint32_t     packets, copies, seen_twice;
    uint64_t     bytes;
    uint32_t     last_frame;
    ft_path_use  paths[4];          /* by ft_path */
    uint8_t      dscp[FT_STREAM_VALUES], ttl[FT_STREAM_VALUES];
    uint8_t      dscp_count, ttl_count;
    uint32_t     ip_before;         /* DSCP and TTL of the packet before, 0 of none */
    /* media time */
    ft_timestamps timestamps;
    uint32_t     rate;              /* ticks a second, 0 while none is known */
    int64_t      last_ticks;        /* of the newest packet */
    int64_t      base_ticks, base_time;     /* where the rate holds from */
    int64_t      media, highest_media;      /* of the newest packet, and the highest so far */
    int64_t      first_capture, last_capture, least_capture, most_capture;
    uint64_t     last_number;       /* extended sequence number of the newest packet in order */
    int64_t      ordered_media, ordered_capture; /* of that packet */
    ft_jitter    jitter;            /* without leaps of more than FT_SET_US */
    ft_jitter    leaping_jitter;    /* with them, from the first one on */
    bool         has_leaps;
    /* pictures */
    /* FT_OPEN_PICTURES of them, in order of timestamps; NULL before the first */
    ft_picture  *open;
    unsigned     open_count;
    uint32_t     pictures;          /* begun */
    uint32_t     with_info, complete; /* of those that are no more open */
    bool         first_is_part;     /* the first lacks packets, none between two that came */
    /* FEC: packets; losses that their block's parity packets are enough for, of those not open */
    uint32_t     fec_sources, fec_parity, fec_repairable;
    uint32_t     sequence_base, sequence_highest, sequence_seen, sequence_missing;
    /* shown: media time of the newest picture that could be shown, of those settled */
    bool         has_shown;
    int64_t      shown;
    uint16_t     shown_number;      /* of its last packet */
    int64_t      first_picture, last_picture;
    ft_histogram *intervals;        /* 0.1 ms; between pictures that could be shown */
    /* that may be freezes: final judgement is by the final median */
    ft_pause    *pauses;
    uint32_t     pause_count, pause_room;
    /* round trips that the sender of this stream sees */
    ft_histogram *stamps;           /* 1/1024 s */
    ft_histogram *rtcp;             /* 0.1 ms */
    /* what the far end reports of this stream */
    bool         has_report;
    uint32_t     reported;          /* packets received, extended */
    uint8_t      burst_loss;
    uint16_t     queuing_delay, one_way_delay, bandwidth;
    bool         has_bandwidth;
    /* series */
    ft_second   *seconds;
    uint32_t     second_count, second_room;
    uint32_t     seconds_a_row;     /* 1, or more after folding */
    uint16_t    *rtts;              /* FT_SECOND_RTTS of them; NULL before the first */
    unsigned     rtt_count;
    uint32_t     rtt_second;        /* row that these belong to */
} ft_quality;

/* Adds to a histogram, which is made with its first value; over FT_MAX_HISTOGRAMS none is.
 * pinfo: NULL for a copy that is only looked at, whose histograms are there. */
void ft_measure(packet_info *pinfo, ft_histogram **histogram, uint32_t value);

/* Once, when the front door is registered. */
void ft_measures_init(void);

#endif
