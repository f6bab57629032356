/* calls/quality.h
 * How good a stream was: what its packets say, gathered on the first pass, one packet after the other, for whoever draws a
 * table later. docs/quality.md defines each value. And what a packet by itself shows of it: round trip, freeze, a picture
 * that lacks packets; kept with the frame, so that each pass shows what the first one knew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_QUALITY_H
#define FT_QUALITY_H

#include "calls/clock.h"
#include "calls/histogram.h"
#include "calls/media.h"
#include "calls/packet.h"
#include "calls/sequence.h"

/* What packet-facetime-rtp.c read in an RTP packet. */
typedef struct {
    ft_rtp    rtp;
    uint32_t  digest;           /* of all that makes two packets with one number the same */
    bool      is_parity;        /* FEC: it repeats a source packet's number */
    ft_medium medium;
    uint32_t  clock_rate;       /* of the payload type, 0 if nobody knows it */
    uint32_t  length;           /* bytes as sent, from the RTP header on, trailer included */
    bool      has_frame_info;
    uint16_t  packets_in_frame, frame_sequence;
    bool      has_stamps;       /* audio of one-to-one calls: 1/1024 s */
    uint16_t  sent_stamp, echoed_stamp;
    uint16_t  received;         /* with the stamps: audio packets that the sender has received, modulo 4096 */
    uint8_t   burst_loss;
    uint16_t  queuing_delay;    /* as reported, unit not known */
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
} ft_second;

#define FT_OPEN_PICTURES 32     /* newest pictures that late packets may still complete: a relay sends again what was lost */
#define FT_SECOND_RTTS   64     /* round trips of the second in hand that its median is taken of */
#define FT_STREAM_DSCPS  8      /* different DSCP values of a stream that are kept */

/* A picture: the packets of one RTP timestamp. */
typedef struct {
    int64_t  ticks;             /* the timestamp, extended */
    int64_t  time;              /* media time of it, microseconds */
    uint32_t frame;             /* of its first packet */
    uint16_t counted, announced, sequence;
    bool     has_info, has_marker, is_first;
} ft_picture;

typedef struct {
    uint32_t frame;             /* of the first packet after it */
    int64_t  at;                /* media time of that packet, microseconds since the stream's first */
    int64_t  length;
} ft_pause;

typedef struct {
    uint32_t packets, first_frame, last_frame;
} ft_path_use;

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
    int8_t       dscp[FT_STREAM_DSCPS];
    uint8_t      dscp_count;
    /* media time */
    ft_timestamps timestamps;
    uint32_t     rate;              /* ticks a second, 0 while none is known */
    int64_t      last_ticks;        /* of the newest packet */
    int64_t      base_ticks, base_time;     /* where the rate holds from */
    int64_t      media, highest_media;      /* of the newest packet, and the highest so far */
    int64_t      first_capture, last_capture, least_capture, most_capture;
    uint64_t     last_number;       /* extended sequence number of the newest packet in order */
    int64_t      ordered_media, ordered_capture; /* of that packet */
    /* jitter, RFC 3550 A.8, milliseconds */
    double       jitter, jitter_sum, jitter_most;
    uint32_t     jitters;
    /* pictures */
    ft_picture  *open;              /* FT_OPEN_PICTURES of them, in order of timestamps; NULL before the first */
    unsigned     open_count;
    uint32_t     pictures;          /* begun */
    uint32_t     with_info, complete; /* of those that are no more open */
    uint32_t     sequence_base, sequence_highest, sequence_seen, sequence_missing;
    bool         has_shown;         /* shown: media time of the newest picture that could be shown, of those settled */
    int64_t      shown;
    int64_t      first_picture, last_picture;
    ft_histogram *intervals;        /* 0.1 ms; between pictures that could be shown */
    ft_pause    *pauses;            /* that may be freezes: final judgement is by the final median */
    uint32_t     pause_count, pause_room;
    /* round trips that the sender of this stream sees */
    ft_histogram *stamps;           /* 1/1024 s */
    ft_histogram *rtcp;             /* 0.1 ms */
    /* what the far end reports of this stream */
    bool         has_report;
    uint32_t     reported;          /* packets received, extended */
    uint8_t      burst_loss;
    uint16_t     queuing_delay, bandwidth;
    bool         has_bandwidth;
    /* series */
    ft_second   *seconds;
    uint32_t     second_count, second_room;
    uint32_t     seconds_a_row;     /* 1, or more after folding */
    uint16_t     rtts[FT_SECOND_RTTS];
    unsigned     rtt_count;
    uint32_t     rtt_second;        /* row that these belong to */
} ft_quality;

/* What a frame shows of its call's quality. Microseconds, -1 where there is none. */
typedef struct {
    int32_t rtt, freeze;
    bool    is_incomplete;
    bool    clock_is_good;      /* the capture clock could be believed, as judged up to here */
} ft_mark;

/* The packet in hand is RTP that was seen before (packet->seen_before; nothing is done elsewhere): its stream counts it.
 * First pass. */
void ft_quality_seen_twice(packet_info *pinfo, uint32_t ssrc);

/* Learns from one RTP packet of the packet in hand. First pass; call it once a packet, after ft_rtp_learn(). */
void ft_quality_learn(packet_info *pinfo, const ft_media_facts *facts);

/* A round trip measured by the capture clock: of a check (its answer is in hand), of RTCP. Kept with the frame where the
 * clock can be believed so far. First pass. */
void ft_quality_rtt(packet_info *pinfo, int64_t microseconds);

/* A sender report of the stream with this SSRC: its middle 32 bits of NTP time; and a report block about a stream. */
void ft_quality_sender_report(packet_info *pinfo, uint32_t ssrc, uint32_t ntp);
void ft_quality_report_block(packet_info *pinfo, uint32_t ssrc, uint32_t lsr, uint32_t dlsr);

/* What the frame in hand shows, or NULL. */
const ft_mark *ft_quality_mark(const packet_info *pinfo);

/* Whether frame times may be compared at this packet, by the media up to here: judged on the first pass, once the packet's
 * addresses are known; then asked for on every pass. */
void ft_quality_judge_clock(packet_info *pinfo);
bool ft_quality_clock_is_good(const packet_info *pinfo);

/* A judgement on the whole file, for tables: of the stream's capture point. */
ft_clock_verdict ft_quality_clock(const ft_quality *quality);

/* Microseconds from the stream's first packet to its last, by the clock that can be believed. */
int64_t ft_quality_duration(const ft_quality *quality, bool *by_capture);

typedef struct {
    uint32_t seen, complete, incomplete, missing;
    bool     has_info;
    double   mean, least;       /* a second */
    bool     has_rate;
    int64_t  median;            /* interval, microseconds, 0 of none */
} ft_picture_counts;

/* All pictures, open ones included. freezes: of ft_pause, filled with those that count. */
ft_picture_counts ft_quality_pictures(const ft_quality *quality, wmem_array_t *freezes);

/* The series with its last second's median; of ft_second, rows without packets left out. */
void ft_quality_series(const ft_quality *quality, wmem_array_t *rows);

/* Microseconds since 1970 by the capture clock, the user's time shift taken off. */
int64_t ft_quality_now(const packet_info *pinfo);

/* Once, when the front door is registered. */
void ft_quality_init(void);

#endif
