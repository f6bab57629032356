/* calls/call.h
 * A call: both ends, flows, dialogs, media, how it began and ended, and its story (events).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CALL_H
#define FT_CALL_H

#include "calls/event.h"
#include "calls/model.h"

/* an answer to a BYE comes within; BYEs are sent again every 4 s at most (RFC 3261 T2) */
#define FT_BYE_ANSWER_S 4

/* The call that the packet in hand belongs to as of now, or NULL. Follows merges up to this
 * frame. */
ft_call *ft_call_of_packet(packet_info *pinfo);

/* The same where it was judged already; after the first pass it is looked up once a packet. */
ft_call *ft_call_in_hand(packet_info *pinfo);

/* The call that a way of packets was put into by this frame, or NULL. Doesn't follow merges. */
ft_call *ft_call_of_leg(const ft_leg *leg, uint32_t frame);

/* A call found to be part of another as of this frame is shown under the other's number. */
const ft_call *ft_call_as_of(const ft_call *call, uint32_t frame);

/* True where nothing joins the call any more without a clue of its own: it was closed, or fell
 * silent. */
bool ft_call_is_over(const packet_info *pinfo, const ft_call *call);

/* True where no packet of the call was seen for so long. */
bool ft_call_is_silent(const packet_info *pinfo, const ft_call *call);

/* True where the way of the packet in hand was put into the call after its end, by what tells
 * decisively: the other end's capture, its clock behind. First pass. */
bool ft_call_seen_later(const packet_info *pinfo, const ft_call *call);

/* A new call that begins with the packet in hand; last: the one before on this device, or NULL.
 * First pass. NULL over FT_MAX_CALLS. */
ft_call *ft_call_new(packet_info *pinfo, const ft_endpoint *device, ft_call *last);

/* Puts the packet in hand into the call, and where `with_leg` its way too, from this frame on.
 * First pass. */
void ft_call_put(packet_info *pinfo, ft_call *call, bool with_leg);

/* The same of a way alone. Over the bound it stays where it is. First pass. */
void ft_call_put_leg(packet_info *pinfo, ft_leg *leg, ft_call *call);

/* Two calls are one: the younger goes up into the elder, which is returned. First pass. */
ft_call *ft_call_merge(packet_info *pinfo, ft_call *one, ft_call *other);

/* Nothing more belongs to the call without a clue of its own. First pass. */
void ft_call_close(ft_call *call);

/* The end (first pass). reason is copied. */
void ft_call_end(packet_info *pinfo, ft_call *call, const char *reason);

/* It wasn't the end: what it told is taken back, and the call is in this state again. First
 * pass. */
void ft_call_reopen(ft_call *call, ft_call_state state);

/* The packet in hand is media that the call's device sends: it has not hung up. First pass. */
void ft_call_goes_on(packet_info *pinfo, ft_call *call);

/* The call's far end, if nothing better named it before. First pass. */
void ft_call_remote(ft_call *call, const ft_endpoint *end, ft_remote_rank rank);

/* A relay's client is a device of the call: before there are streams, the one that was taken for
 * the far end is the call's own. First pass. */
void ft_call_has_client(ft_call *call, const ft_endpoint *client);

/* Behind a NAT, as its other side shows: of the two ends it is the device's. */
void ft_call_has_device(ft_call *call, const ft_endpoint *device);

/* The call's newest stream with this SSRC, in one direction or in either; or NULL. */
ft_stream *ft_call_stream(const ft_call *call, uint32_t ssrc, bool outgoing);
ft_stream *ft_call_any_stream(const ft_call *call, uint32_t ssrc);

/* Both of them at once: of[outgoing]. */
void ft_call_streams(const ft_call *call, uint32_t ssrc, ft_stream *of[2]);

/* Media both ways. */
bool ft_call_talks_both_ways(const ft_call *call);

/* True where any sender of the call was last seen at this end as the device's. */
bool ft_call_sends_from(const ft_call *call, const address *end);

/* The device's address as it was first seen, on whichever side of its NAT. */
bool ft_call_is_local(const ft_call *call, const address *end);

/* True for an address at which the call's device is, or was: it may have moved. */
bool ft_call_is_device(const ft_call *call, const address *end);

/* Media inside QUIC of one path and direction, or NULL; and a new one, at most one of each.
 * First pass. */
ft_quic_stream *ft_call_quic_stream(const ft_call *call, ft_path path, bool outgoing);
void ft_call_add_quic_stream(ft_call *call, const ft_quic_stream *stream);

/* Counts the packet in its call and closes its book-keeping: the front door's last step on the
 * first pass. */
void ft_call_count(packet_info *pinfo);

/* The session of this number turns out to be no call (a GameKit session): its packets have no
 * number from this frame on. First pass. */
void ft_call_is_none(packet_info *pinfo, ft_call *call);

/* The call's latest time, as its device has it: the other end's clock, if that is in the file
 * too, may be another. */
const nstime_t *ft_call_last_time(const ft_call *call);

/* How many places of its way the call was seen at: 2 where more of its datagrams were seen twice
 * than chance repeats. */
unsigned ft_call_points(const ft_call *call);

/* The SIP message in hand is iChat AV's, and so is its call from this frame on. First pass (else
 * a no-op). */
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

/* Its generation, as it was known at this frame. call may be NULL. */
ft_generation ft_call_generation(const ft_call *call, uint32_t frame);

/* Neither generation's calls have the other's messages: none of the captures has a mixed one. */
static inline bool
ft_call_other_generation(const ft_packet *packet, const ft_call *call)
{
    return packet->shown_generation != FT_GENERATION_UNKNOWN &&
           call->shown_generation != FT_GENERATION_UNKNOWN &&
           packet->shown_generation != call->shown_generation;
}

/* Whether a list of calls has it: neither where only connectivity checks were seen, nor where it
 * is known to be none. */
static inline bool
ft_call_listed(const ft_call *call)
{
    return call->seen && !call->no_call_from;
}

/* What only calls have (SIP, link and control messages, the modern relay), whatever its 5-tuple
 * carried before. */
bool ft_call_of_calls_alone(const ft_packet *packet);

/* True for a packet that a GameKit session doesn't take in, though it comes from the same
 * socket: what only calls have, and media on a 5-tuple without GameKit messages. False for a
 * session that may be a call. */
bool ft_call_strange(const ft_packet *packet, const ft_call *session);

/* Goes up with each change of what decides which call a packet is of. */
extern unsigned ft_call_changes;

/* Once, when the front door is registered. */
void ft_call_init(void);

/* All calls of the file, in order, merged ones included. */
unsigned ft_call_total(void);
ft_call *ft_call_by_number(unsigned number);

#endif
