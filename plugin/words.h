/* plugin/words.h
 * Calls, streams and pairs in words: what the reports (timeline_text.c, timeline_json.c,
 * streams.c, setup.c) and the tables (tables.c) share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_WORDS_H
#define FT_WORDS_H

#include "calls/call.h"
#include "calls/reveal.h"

/* "legacy", "modern", "ichat", "gamekit", "unknown" */
const char *ft_generation_text(const ft_call *call);

/* "answered", "ringing", "media", ... */
const char *ft_state_text(const ft_call *call);

/* How it ended, as signalling says it; "not in this file" */
const char *ft_end_text(const ft_call *call);

/* "relay+direct": the ways of media; "-" */
const char *ft_paths_text(wmem_allocator_t *scope, const ft_call *call);

/* Which end sent the INVITE: "local", "remote", its address; "-" */
const char *ft_offerer_text(wmem_allocator_t *scope, const ft_call *call);

/* Packets of RTP */
uint32_t ft_lost_packets(const ft_stream *stream);
/* ... that the call lost; "-" where none of its streams tells: inside QUIC, cut by the capture */
const char *ft_lost_text(wmem_allocator_t *scope, const ft_call *call);

/* Seconds, from the call's first packet to its last. */
double ft_call_duration(const ft_call *call);

/* True where the frame times of the call's media can be believed. */
bool call_clock_is_good(const ft_call *call);

/* True where they are batched, which makes them of no use. */
bool call_clock_is_batched(const ft_call *call);

/* 0 for a list that is not there. */
unsigned ft_count_of(const wmem_array_t *list);

/* The cells of a stream's row, "-" where nothing is known: the columns of -z facetime,streams.
 * It must have quality. */
#define FT_STREAM_CELLS 17
void ft_stream_cells(wmem_allocator_t *scope, const ft_call *call, const ft_stream *stream,
                     const char **cells);
void ft_quic_stream_cells(wmem_allocator_t *scope, const ft_call *call,
                          const ft_quic_stream *stream, const char **cells);

/* The same of a pair: the columns of -z facetime,pairs. */
#define FT_PAIR_CELLS 10
bool ft_pair_listed(const ft_pair *pair);
void ft_pair_cells(wmem_allocator_t *scope, const ft_pair *pair, bool clock_is_good,
                   const char **cells);

#endif
