/* calls/event.h
 * Events: what a person would underline in a capture. One row an event; the row is the only
 * place that knows it. An event is recorded on the first pass and shown on every pass by the
 * front door: its name in facetime.event, its text as the expert info facetime.event.<name>, its
 * frame link as facetime.event.frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_EVENT_H
#define FT_EVENT_H

#include "calls/packet.h"
#include <epan/expert.h>

/* How often it is told. */
typedef enum {
    FT_EACH,            /* at each packet that qualifies, each with its text */
    FT_COUNTED,         /* the same; from the second on in a call, with the row's text */
    FT_ONCE_A_LEG,      /* at the first on a way */
    FT_ONCE_A_CALL      /* at the first in a call */
} ft_frequency;

/* X(enumerator, name that users filter for, expert severity, how often, what it says) */
#define FT_EVENTS(X) \
    X(FT_EVENT_CONNECTIVITY_CHECK, "connectivity_check", PI_CHAT, FT_EACH, \
      "Apple's HTTP connectivity check, unencrypted") \
    X(FT_EVENT_RESERVED_ALLOCATION, "reserved_allocation", PI_CHAT, FT_EACH, \
      "Allocation of a relay address that signalling reserved") \
    X(FT_EVENT_ALLOCATION_MISMATCH, "allocation_mismatch", PI_WARN, FT_EACH, \
      "The relay knows no such allocation (437)") \
    X(FT_EVENT_CHANNEL_BIND_RETRANSMITTED, "channel_bind_retransmitted", PI_NOTE, FT_EACH, \
      "Channel bind sent again") \
    X(FT_EVENT_BINDING_RETRANSMITTED, "binding_retransmitted", PI_NOTE, FT_COUNTED, \
      "Connectivity check sent again") \
    X(FT_EVENT_EARLY_CHANNEL_DATA, "early_channel_data", PI_NOTE, FT_COUNTED, \
      "Channel used before its bind was answered") \
    X(FT_EVENT_RELAY_READY, "relay_ready", PI_CHAT, FT_EACH, \
      "The relay is ready to carry the call") \
    X(FT_EVENT_RELAY_RELEASED, "relay_released", PI_CHAT, FT_EACH, "Relay allocation released") \
    X(FT_EVENT_RELEASED_CHANNEL_USED, "released_channel_used", PI_WARN, FT_COUNTED, \
      "Channel used after its allocation was released") \
    X(FT_EVENT_LEGACY_USERNAME, "legacy_username", PI_CHAT, FT_ONCE_A_CALL, \
      "Binary USERNAME of two candidate ids") \
    X(FT_EVENT_NOMINATED, "nominated", PI_CHAT, FT_EACH, "Candidate pair nominated") \
    X(FT_EVENT_HOLE_PUNCHED, "hole_punched", PI_NOTE, FT_ONCE_A_LEG, \
      "Checks get through after earlier ones did not") \
    X(FT_EVENT_DIRECT_READY, "direct_ready", PI_CHAT, FT_ONCE_A_CALL, \
      "First direct check that is answered") \
    X(FT_EVENT_PEER_UNREACHABLE, "peer_unreachable", PI_WARN, FT_COUNTED, \
      "Network says the peer can't be reached") \
    X(FT_EVENT_SOCKET_CLOSED, "socket_closed", PI_CHAT, FT_COUNTED, \
      "The device, or an end that may be it, says that its port is closed") \
    X(FT_EVENT_PATH_SWITCH, "path_switch", PI_NOTE, FT_EACH, "Media moved to another path") \
    X(FT_EVENT_MEDIA_ON_BOTH_PATHS, "media_on_both_paths", PI_NOTE, FT_COUNTED, \
      "RTP packet sent on two paths") \
    X(FT_EVENT_FIRST_MEDIA, "first_media", PI_CHAT, FT_EACH, \
      "First media of its direction and medium") \
    X(FT_EVENT_ONE_WAY_MEDIA, "one_way_media", PI_WARN, FT_EACH, "Media in one direction only") \
    X(FT_EVENT_HANDOVER, "handover", PI_NOTE, FT_EACH, "Device goes on at another address") \
    X(FT_EVENT_MEDIA_GAP, "media_gap", PI_WARN, FT_EACH, "Silence in the media") \
    X(FT_EVENT_NONSTANDARD_SDP, "nonstandard_sdp", PI_CHAT, FT_EACH, \
      "SDP departs from RFC 8866 in Apple's way") \
    X(FT_EVENT_BYE_RETRANSMITTED, "bye_retransmitted", PI_NOTE, FT_EACH, "BYE sent again") \
    X(FT_EVENT_BYE_UNANSWERED, "bye_unanswered", PI_WARN, FT_EACH, "BYE never answered") \
    X(FT_EVENT_INVITE, "invite", PI_CHAT, FT_EACH, "SIP INVITE") \
    X(FT_EVENT_RINGING, "ringing", PI_CHAT, FT_ONCE_A_CALL, "The other end rings") \
    X(FT_EVENT_CALL_STARTED, "call_started", PI_CHAT, FT_ONCE_A_CALL, "Call started") \
    X(FT_EVENT_CALL_ANSWERED, "call_answered", PI_CHAT, FT_ONCE_A_CALL, "Call answered") \
    X(FT_EVENT_CALL_ENDED, "call_ended", PI_CHAT, FT_ONCE_A_CALL, "Call ended") \
    /* within 30 s of the BYE, its first copy, of one that broke off */ \
    X(FT_EVENT_CALL_RESTARTED, "call_restarted", PI_WARN, FT_ONCE_A_CALL, "Call started again") \
    X(FT_EVENT_MODE_CHANGED, "mode_changed", PI_CHAT, FT_EACH, \
      "Call changed between multiway and one-to-one") \
    X(FT_EVENT_RELAY_IDLE, "relay_idle", PI_NOTE, FT_EACH, "The relay ends an idle connection") \
    X(FT_EVENT_RELAY_ERROR, "relay_error", PI_NOTE, FT_EACH, "The relay reports an error") \
    X(FT_EVENT_PARTICIPANT_GONE, "participant_gone", PI_NOTE, FT_EACH, \
      "The relay can't find the participant")

#define FT_EVENT_ENUM(id, name, severity, often, text) id,
typedef enum { FT_EVENTS(FT_EVENT_ENUM) FT_EVENT_COUNT } ft_event_id;
G_STATIC_ASSERT(FT_EVENT_COUNT <= 64); /* a bit each in ft_leg.told and ft_call.told */

typedef struct ft_event {
    ft_event_id      id;
    uint32_t         frame;         /* id, as other_frame */
    /* the frame that the event speaks of, 0 if none; may be set later (a link forward) */
    uint32_t         other_frame;
    ft_path          path;
    unsigned         part;          /* of the frame: the datagram that it is told at */
    bool             is_rough;      /* the length, where frame times come in batches */
    /* known only from later frames: shown from the second pass on */
    bool             hindsight;
    bool             taken_back;    /* later frames showed that it wasn't so: told no more */
    nstime_t         time;          /* of ft_now() */
    nstime_t         length;        /* of the silence that media_gap and handover tell of */
    struct ft_call  *call;          /* may be NULL */
    const char      *text;
    struct ft_event *next;          /* of the same frame, any part */
} ft_event;

/* Name by id, and how often it is told. */
const char *ft_event_name(ft_event_id id);
ft_frequency ft_event_often(ft_event_id id);

/* Whether it would be recorded, but for a budget: for who makes its text at some cost. */
bool ft_event_is_due(const packet_info *pinfo, ft_event_id id);

/* Records an event at the packet in hand and in its call's story. First pass only (a no-op
 * else). other_frame 0: none. Returns NULL when nothing was recorded: not learning, no packet
 * record, told already (as often as its row says), or over the call's budget. */
ft_event *ft_event_add(packet_info *pinfo, ft_event_id id, uint32_t other_frame, const char *format,
                       ...) G_GNUC_PRINTF(4, 5);

/* An event that hindsight adds to an earlier frame. First pass only. */
ft_event *ft_event_add_at(ft_frame *frame, const nstime_t *when, struct ft_call *call, ft_path path,
                          ft_event_id id, uint32_t other_frame, const char *format, ...)
    G_GNUC_PRINTF(7, 8);

/* The event leaves the call's story; by taking it back, its frame too, from the second pass on.
 * What the call has no more of may be told again. First pass only. */
void ft_event_drop(struct ft_call *call, const ft_event *event);
void ft_event_take_back(struct ft_call *call, ft_event_id id);
/* Only what stands on this frame. */
void ft_event_take_back_at(struct ft_call *call, ft_event_id id, uint32_t frame);

/* The first event of this packet, and the one after an event, in the order of recording; NULL if
 * there is none. */
const ft_event *ft_event_first(packet_info *pinfo, const ft_packet *packet);
const ft_event *ft_event_next(const ft_event *event);

#endif
