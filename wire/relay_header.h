/* wire/relay_header.h
 * The header of a modern relay's packet, taken apart: made of captured bytes alone, without tree
 * or state, for evidence and dissection alike. Its picture stands in packet-quickrelay.c. One
 * row a flag, an attribute bit, an optional field.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RELAY_HEADER_H
#define FT_RELAY_HEADER_H

#include "calls/relay.h"

#define RELAY_CHANNEL_HEADER 4  /* channel number, length */
#define RELAY_FIXED_HEADER   6  /* and the two bytes of flags */
#define RTP_HEADER     12
#define LINK_HEADER    20 /* of a link message */
#define CONTROL_HEADER 11 /* of a control message */
#define HMAC_TLV       24 /* the last one of a link message */

/* clang-format off */
/* X(byte, mask, NAME, name, label, blurb): what the two bytes of flags say */
#define RELAY_FLAGS1(X) \
    X(1, 0x80, ATTR, attr, "Attributes", "Attribute bits follow") \
    X(1, 0x40, LINKS, secondary_links, "Secondary links", "Ids of further relay links follow; " \
                                                          "unverified") \
    X(1, 0x20, LINK, link, "Link", "The id of a relay link follows") \
    X(1, 0x10, UNKNOWN, unknown, "Unknown", "Never seen set") \
    X(1, 0x08, TRANSITION, transition, "Transition streams", \
      "Streams change over (name from others' clients); brings no field in the captures of " \
      "2023, ids of " \
      "streams in 2026 (published, unverified)") \
    X(1, 0x04, STATS, stats, "Stats", "The relay's report follows") \
    X(1, 0x02, COUNTER, counter, "Counter", "A packet counter follows, or stands first in the " \
                                            "report") \
    X(1, 0x01, UNFILTERED, unfiltered, "Not filtered by priority", \
      "Opts out of the relay's priority filter (name from others' clients, inferred)")
#define RELAY_FLAGS2(X) \
    X(2, 0x80, LENGTH, length, "Packet length", \
      "The packet's length follows: more packets are chained behind") \
    X(2, 0x40, COUNTED, counted, "Counted", "Counts in the totals of the relay's reports") \
    X(2, 0x20, VERSION, version, "Session version", "The version of the session info follows") \
    X(2, 0x10, PROBE, probe, "Probe group", "A probe group id follows") \
    X(2, 0x08, PRIORITY, priority, "Priority", "A channel priority follows") \
    X(2, 0x04, PARTICIPANT, participant, "Participant", "A participant id follows") \
    X(2, 0x02, STREAMS, secondary_streams, "Secondary streams", "Ids of further streams follow") \
    X(2, 0x01, STREAM, stream, "Stream", "A stream id follows")

/* X(mask, name, label, blurb): the bits of `attr` that are known */
#define RELAY_ATTRS(X) \
    X(FT_RELAY_ATTR_HBH, hbh, "Hop-by-hop body", \
      "The body is a protobuf encrypted between device and relay") \
    X(FT_RELAY_ATTR_STATE, state, "Session state", "The header ends in a session state") \
    X(FT_RELAY_ATTR_RETRANSMITTED, retransmitted, "Retransmitted", \
      "The relay sends this packet again on request") \
    X(FT_RELAY_ATTR_NO_RETRANSMISSION, not_retransmittable, "Not retransmittable", \
      "The relay can't send this packet again (name from others' clients, unverified)") \
    X(FT_RELAY_ATTR_DOWNLINK, downlink, "Downlink or base layer", \
      "With the link bit: set on all link messages from the relay. Alone: a base layer stream " \
      "id follows " \
      "(unverified)") \
    X(FT_RELAY_ATTR_LINK, link, "Link message", "The body is a link message")

#define FLAG_VALUE(byte, mask, NAME, name, label, blurb) FLAG_##NAME = (byte) == 1 ? (mask) << 8 \
    : (mask),
enum { RELAY_FLAGS1(FLAG_VALUE) RELAY_FLAGS2(FLAG_VALUE) };

#define ATTR_MASK(mask, name, label, blurb) | (mask)
#define KNOWN_ATTRS (0U RELAY_ATTRS(ATTR_MASK))

/* One row a field, in wire order: X(id, the flags that bring it and those that keep it away, the
 * same of attributes, its bytes (of a list: of one element, after a byte with their number),
 * whether it is a list, its field, how it is shown, and its name where captures haven't shown it
 * yet). The header is read by the first ones (wire/relay_header.c), shown by the last three
 * (packet-quickrelay.c). */
#define RELAY_FIELDS(X) \
    X(ATTR, FLAG_ATTR, 0, 0, 0, 2, false, &hf_quickrelay_attr, show_attr, NULL) \
    X(STREAM, FLAG_STREAM, 0, 0, 0, 2, false, &hf_quickrelay_stream, show_number, NULL) \
    X(STREAMS, FLAG_STREAMS, 0, 0, 0, 2, true, &hf_quickrelay_secondary_stream, show_list, NULL) \
    X(PARTICIPANT, FLAG_PARTICIPANT, 0, 0, 0, 8, false, \
      &hf_quickrelay_participant, show_number, NULL) \
    X(BASE_STREAM, FLAG_ATTR, 0, FT_RELAY_ATTR_DOWNLINK, FT_RELAY_ATTR_LINK, 2, false, \
      &hf_quickrelay_base_stream, show_number, NULL) \
    X(PRIORITY, FLAG_PRIORITY, 0, 0, 0, 1, false, &hf_quickrelay_priority, show_number, NULL) \
    X(TRANSITION_COUNT, FLAG_TRANSITION | FLAG_PRIORITY, 0, 0, 0, 1, false, \
      &hf_quickrelay_transition_count, show_number, "count of transition streams") \
    X(PROBE, FLAG_PROBE, 0, 0, 0, 2, false, &hf_quickrelay_probe_group, show_number, NULL) \
    X(VERSION, FLAG_VERSION, 0, 0, 0, 1, false, &hf_quickrelay_session_version, show_number, NULL) \
    X(LENGTH, FLAG_LENGTH, 0, 0, 0, 2, false, &hf_quickrelay_packet_length, show_number, NULL) \
    X(COUNTER, FLAG_COUNTER, FLAG_STATS, 0, 0, 2, false, \
      &hf_quickrelay_counter, show_number, NULL) \
    X(STATS, FLAG_STATS, 0, 0, 0, 12, false, &hf_quickrelay_stats, show_stats, NULL) \
    X(LINK, FLAG_LINK, 0, 0, 0, 2, false, &hf_quickrelay_link, show_link, NULL) \
    X(LINKS, FLAG_LINKS, 0, 0, 0, 2, true, \
      &hf_quickrelay_secondary_link, show_list, "secondary links") \
    X(STATE, FLAG_ATTR, 0, FT_RELAY_ATTR_STATE, 0, 1, false, \
      &hf_quickrelay_state, show_number, NULL) \
    X(TRANSITION, FLAG_TRANSITION, 0, 0, 0, 0, false, \
      &hf_quickrelay_transition_stream, show_transition, "transition streams")
/* clang-format on */

#define FIELD_ENUM(id, flags_set, flags_clear, attr_set, attr_clear, size, is_list, hf, show, \
                   unverified) \
    FIELD_##id,
typedef enum { RELAY_FIELDS(FIELD_ENUM) FIELD_COUNT } relay_field_id;

#define ALL_FIELDS ((1U << FIELD_COUNT) - 1)

/* Where the bits leave open what they bring: as in 2023 (0), or as published of 2026. */
enum {
    READ_PRIORITY_OF_STREAM = 1, /* a priority only beside a stream id */
    /* ids of streams behind the header, their number in the priority's place */
    READ_TRANSITION = 2,
};

#define READINGS (READ_PRIORITY_OF_STREAM | READ_TRANSITION)

typedef struct {
    uint16_t flags; /* flags1 in the high byte, flags2 in the low one */
    uint16_t attributes;
    unsigned reading; /* READ_... */
    unsigned usual;   /* that of the stream's packets before */
    bool is_borne_out; /* the reading, by the body behind */
    int offset[FIELD_COUNT]; /* 0: absent */
    int length[FIELD_COUNT];
    int end;     /* where the body begins, or where the header runs out of bytes */
    int missing; /* bytes of the field that runs out, 0 where the header is whole */
} relay_header;

/* What a body is; and how sure it is that there is one. */
typedef enum {
    BODY_EMPTY,
    BODY_LINK,
    BODY_HBH,
    BODY_CONTROL,
    BODY_RTP,
    BODY_RTCP,
    BODY_UNKNOWN
} relay_body;
typedef enum { GRADE_NONE, GRADE_UNKNOWN, GRADE_KNOWN, GRADE_SURE } body_grade;

/* The bytes of one element of a list, else of the field; 0 where something else tells. */
int relay_field_size(relay_field_id id);

/* Takes the field up if it is there; false where the bytes run out. And the fields of `wanted`,
 * a mask of
 * 1 << relay_field_id, from header->end on, as header->flags bring them. */
bool relay_parse_field(tvbuff_t *tvb, relay_header *header, relay_field_id id);
bool relay_parse_fields(tvbuff_t *tvb, relay_header *header, unsigned wanted);

/* What the `length` bytes behind the header are. */
relay_body relay_classify_body(tvbuff_t *tvb, const relay_header *header, int length);

/* What a body is of which the capture has no byte. */
relay_body relay_classify_hidden(const relay_header *header);

/* How sure it is that these bytes are a body. */
body_grade relay_grade_body(tvbuff_t *tvb, const relay_header *header, int length);

/* A link message, and a body encrypted hop by hop, that show themselves to be whole. */
bool relay_proves_link(tvbuff_t *tvb, int offset, int length);
bool relay_proves_hbh(tvbuff_t *tvb, int offset, int length);

/* The first two bytes of a field; 0 where it is absent. */
uint16_t relay_value_of(tvbuff_t *tvb, const relay_header *header, relay_field_id id);

/* Whether bits of this header can be read in this way (READ_...). */
bool relay_is_open_to(uint16_t flags, unsigned reading);

/* The bytes of the body behind a whole header: as its packet length says, else to the end. */
int relay_length_told(tvbuff_t *tvb, const relay_header *header, int end);

/* The grade of the body behind a whole header. */
body_grade relay_grade_reading(tvbuff_t *tvb, const relay_header *header, int end);

/* What is known of the stream of a datagram's header, where bits of it leave something open. It
 * needs at least RELAY_FIXED_HEADER captured bytes, as relay_parse_header() does. */
ft_relay_open relay_open_part(tvbuff_t *tvb);

/* A whole datagram's header, read as `usual` (READ_..., that are open; 0: as in 2023) unless
 * another reading makes more of the body. False where the header is cut. */
bool relay_parse_header(tvbuff_t *tvb, int end, unsigned usual, relay_header *header);

/* Where the packet ends: where ChannelData says, or before, if the datagram is shorter. */
int relay_packet_end(tvbuff_t *tvb);

#endif
