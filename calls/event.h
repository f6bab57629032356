/* calls/event.h
 * Events: what a person would underline in a capture. One row an event; the row is the only place that knows it.
 * An event is recorded on the first pass and shown on every pass by the front door: its name in facetime.event, its
 * text as the expert info facetime.event.<name>, its frame link as facetime.event.frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_EVENT_H
#define FT_EVENT_H

#include "calls/packet.h"
#include <epan/expert.h>

/* X(enumerator, name that users filter for, expert severity, what it says) */
#define FT_EVENTS(X) \
    X(FT_EVENT_CONNECTIVITY_CHECK, "connectivity_check", PI_COMMENT, "Apple's HTTP connectivity check, unencrypted") \
    X(FT_EVENT_RESERVED_ALLOCATION, "reserved_allocation", PI_CHAT, "Allocation of a relay address that signalling reserved") \
    X(FT_EVENT_ALLOCATION_MISMATCH, "allocation_mismatch", PI_WARN, "The relay knows no such allocation (437)") \
    X(FT_EVENT_CHANNEL_BIND_RETRANSMITTED, "channel_bind_retransmitted", PI_NOTE, "Channel bind sent again") \
    X(FT_EVENT_BINDING_RETRANSMITTED, "binding_retransmitted", PI_NOTE, "Connectivity check sent again") \
    X(FT_EVENT_EARLY_CHANNEL_DATA, "early_channel_data", PI_NOTE, "Channel used before its bind was answered") \
    X(FT_EVENT_RELAY_RELEASED, "relay_released", PI_CHAT, "Relay allocation released") \
    X(FT_EVENT_RELEASED_CHANNEL_USED, "released_channel_used", PI_WARN, "Channel used after its allocation was released") \
    X(FT_EVENT_LEGACY_USERNAME, "legacy_username", PI_COMMENT, "Binary USERNAME of two candidate ids") \
    X(FT_EVENT_NOMINATED, "nominated", PI_CHAT, "Candidate pair nominated") \
    X(FT_EVENT_HOLE_PUNCHED, "hole_punched", PI_NOTE, "Checks get through after earlier ones did not") \
    X(FT_EVENT_PEER_UNREACHABLE, "peer_unreachable", PI_WARN, "Network says the peer can't be reached") \
    X(FT_EVENT_PATH_SWITCH, "path_switch", PI_NOTE, "Media moved to another path") \
    X(FT_EVENT_MEDIA_ON_BOTH_PATHS, "media_on_both_paths", PI_NOTE, "RTP packet sent on two paths") \
    X(FT_EVENT_MEDIA_GAP, "media_gap", PI_WARN, "Silence in the media") \
    X(FT_EVENT_NONSTANDARD_SDP, "nonstandard_sdp", PI_COMMENT, "SDP departs from RFC 8866 in Apple's way") \
    X(FT_EVENT_BYE_RETRANSMITTED, "bye_retransmitted", PI_NOTE, "BYE sent again") \
    X(FT_EVENT_BYE_UNANSWERED, "bye_unanswered", PI_WARN, "BYE never answered") \
    X(FT_EVENT_CALL_STARTED, "call_started", PI_CHAT, "Call started") \
    X(FT_EVENT_CALL_ANSWERED, "call_answered", PI_CHAT, "Call answered") \
    X(FT_EVENT_CALL_ENDED, "call_ended", PI_CHAT, "Call ended") \
    X(FT_EVENT_CALL_RESTARTED, "call_restarted", PI_WARN, "Call started again") \
    X(FT_EVENT_MODE_CHANGED, "mode_changed", PI_CHAT, "Call changed between multiway and one-to-one") \
    X(FT_EVENT_PARTICIPANT_GONE, "participant_gone", PI_NOTE, "The relay can't find the participant")

#define FT_EVENT_ENUM(id, name, severity, text) id,
typedef enum { FT_EVENTS(FT_EVENT_ENUM) FT_EVENT_COUNT } ft_event_id;

typedef struct ft_event {
    ft_event_id      id;
    uint32_t         frame;
    uint32_t         other_frame;   /* the frame that the text speaks of, 0 if none; may be set later (a link forward) */
    nstime_t         time;          /* since the first frame */
    ft_path          path;
    struct ft_call  *call;          /* may be NULL */
    const char      *text;
    nstime_t         length;        /* of the silence that media_gap tells of */
    bool             hindsight;     /* known only from later frames: shown from the second pass on */
    struct ft_event *next;          /* of the same frame */
} ft_event;

/* Names and texts by id. */
const char *ft_event_name(ft_event_id id);

/* Records an event at the packet in hand and in its call's story. First pass only (a no-op else). other_frame 0: none.
 * Returns NULL when nothing was recorded (not learning, no packet record, or FT_MAX_EVENTS). */
ft_event *ft_event_add(packet_info *pinfo, ft_event_id id, uint32_t other_frame, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* An event that hindsight adds to an earlier frame. First pass only. */
ft_event *ft_event_add_at(uint32_t frame, const nstime_t *when, struct ft_call *call, ft_path path,
                          ft_event_id id, uint32_t other_frame, const char *format, ...) G_GNUC_PRINTF(7, 8);

/* Once, when the front door is registered. */
void ft_event_init(void);

/* The events of a frame, in the order of recording; NULL if none. */
const ft_event *ft_events_of(uint32_t frame);

#endif
