/* calls/quality.h
 * How good a stream was: what its packets say, gathered on the first pass, one packet after the
 * other, for whoever draws a table later. docs/quality.md defines each value.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_QUALITY_H
#define FT_QUALITY_H

#include "calls/mark.h"
#include "calls/pictures.h"

/* The packet in hand is RTP that was seen before (packet->seen_before; nothing is done
 * elsewhere): its stream counts it. First pass. */
void ft_quality_seen_twice(packet_info *pinfo, uint32_t ssrc);

/* Learns from one RTP packet of the packet in hand: once a packet, after ft_rtp_learn(), and where
 * ft_learning() is still true, which the caller has asked. */
void ft_quality_learn(packet_info *pinfo, const ft_media_facts *facts);

/* Learns from a packet of media inside QUIC, of the call of the packet in hand: sizes and times
 * alone. quality: what it gave for the direction's packets before, NULL for the first. First
 * pass. */
ft_quality *ft_quality_learn_hidden(packet_info *pinfo, ft_quality *quality, bool outgoing,
                                    uint32_t length);

/* A sender report of the stream with this SSRC: its middle 32 bits of NTP time; and a report
 * block about a stream. */
void ft_quality_sender_report(packet_info *pinfo, uint32_t ssrc, uint32_t ntp);
void ft_quality_report_block(packet_info *pinfo, uint32_t ssrc, uint32_t lsr, uint32_t dlsr);

/* A judgement on the whole file, for tables: of the stream's capture point. */
ft_clock_verdict ft_quality_clock(const ft_quality *quality);

/* NULL where the clock's verdict doesn't allow one. What leaps 0.1 s off the media clock counts
 * where the clock is good: the network did it. */
const ft_jitter *ft_quality_jitter(const ft_quality *quality);

/* Which clock the stream's duration, rates and series go by: the capture's where it is good, else
 * the media clock. Where no payload type told a media clock, and for media inside QUIC, the
 * capture's where nothing speaks against it, else none. */
typedef enum { FT_BY_NONE, FT_BY_MEDIA, FT_BY_CAPTURE } ft_by_clock;

ft_by_clock ft_quality_by(const ft_quality *quality);

/* Microseconds from the stream's first packet to its last, by that clock; 0 by none. */
int64_t ft_quality_duration(const ft_quality *quality);

/* The series with its last second's median; of ft_second, rows without packets left out. */
void ft_quality_series(const ft_quality *quality, wmem_array_t *rows);

/* Once, when the front door is registered. */
void ft_quality_init(void);

#endif
