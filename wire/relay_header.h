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
/* X(NAME, its field, as in packet-rows.h): what the two bytes of flags say */
#define RELAY_FLAGS1(X) \
    X(ATTR, hf_quickrelay_flags1_attr, "Attributes", "quickrelay.flags1.attr", \
      FT_BOOLEAN, 8, NULL, 0x80, "Attribute bits follow") \
    X(LINKS, \
      hf_quickrelay_flags1_secondary_links, "Secondary links", \
      "quickrelay.flags1.secondary_links", FT_BOOLEAN, 8, NULL, 0x40, \
      "Ids of further relay links follow; unverified") \
    X(LINK, hf_quickrelay_flags1_link, "Link", "quickrelay.flags1.link", \
      FT_BOOLEAN, 8, NULL, 0x20, "The id of a relay link follows") \
    X(UNKNOWN, hf_quickrelay_flags1_unknown, "Unknown", "quickrelay.flags1.unknown", \
      FT_BOOLEAN, 8, NULL, 0x10, "Never seen set") \
    X(TRANSITION, \
      hf_quickrelay_flags1_transition, "Transition streams", "quickrelay.flags1.transition", \
      FT_BOOLEAN, 8, NULL, 0x08, \
      "Streams change over (name from others' clients); brings no field in the captures of " \
      "2023, ids of streams in 2026 (published, unverified)") \
    X(STATS, hf_quickrelay_flags1_stats, "Stats", "quickrelay.flags1.stats", \
      FT_BOOLEAN, 8, NULL, 0x04, "The relay's report follows") \
    X(COUNTER, hf_quickrelay_flags1_counter, "Counter", "quickrelay.flags1.counter", \
      FT_BOOLEAN, 8, NULL, 0x02, "A packet counter follows, or stands first in the report") \
    X(UNFILTERED, \
      hf_quickrelay_flags1_unfiltered, "Not filtered by priority", "quickrelay.flags1.unfiltered", \
      FT_BOOLEAN, 8, NULL, 0x01, \
      "Opts out of the relay's priority filter (name from others' clients, inferred)")
#define RELAY_FLAGS2(X) \
    X(LENGTH, hf_quickrelay_flags2_length, "Packet length", "quickrelay.flags2.length", \
      FT_BOOLEAN, 8, NULL, 0x80, "The packet's length follows: more packets are chained behind") \
    X(COUNTED, hf_quickrelay_flags2_counted, "Counted", "quickrelay.flags2.counted", \
      FT_BOOLEAN, 8, NULL, 0x40, "Counts in the totals of the relay's reports") \
    X(VERSION, hf_quickrelay_flags2_version, "Session version", "quickrelay.flags2.version", \
      FT_BOOLEAN, 8, NULL, 0x20, "The version of the session info follows") \
    X(PROBE, hf_quickrelay_flags2_probe, "Probe group", "quickrelay.flags2.probe", \
      FT_BOOLEAN, 8, NULL, 0x10, "A probe group id follows") \
    X(PRIORITY, hf_quickrelay_flags2_priority, "Priority", "quickrelay.flags2.priority", \
      FT_BOOLEAN, 8, NULL, 0x08, "A channel priority follows") \
    X(PARTICIPANT, \
      hf_quickrelay_flags2_participant, "Participant", "quickrelay.flags2.participant", \
      FT_BOOLEAN, 8, NULL, 0x04, "A participant id follows") \
    X(STREAMS, \
      hf_quickrelay_flags2_secondary_streams, "Secondary streams", \
      "quickrelay.flags2.secondary_streams", FT_BOOLEAN, 8, NULL, 0x02, \
      "Ids of further streams follow") \
    X(STREAM, hf_quickrelay_flags2_stream, "Stream", "quickrelay.flags2.stream", \
      FT_BOOLEAN, 8, NULL, 0x01, "A stream id follows")

/* X(field): the bits of `attr` that are known */
#define RELAY_ATTRS(X) \
    X(hf_quickrelay_attr_hbh, "Hop-by-hop body", "quickrelay.attr.hbh", \
      FT_BOOLEAN, 16, NULL, FT_RELAY_ATTR_HBH, \
      "The body is a protobuf encrypted between device and relay") \
    X(hf_quickrelay_attr_state, "Session state", "quickrelay.attr.state", \
      FT_BOOLEAN, 16, NULL, FT_RELAY_ATTR_STATE, "The header ends in a session state") \
    X(hf_quickrelay_attr_retransmitted, "Retransmitted", "quickrelay.attr.retransmitted", \
      FT_BOOLEAN, 16, NULL, FT_RELAY_ATTR_RETRANSMITTED, \
      "The relay sends this packet again on request") \
    X(hf_quickrelay_attr_not_retransmittable, "Not retransmittable", \
      "quickrelay.attr.not_retransmittable", FT_BOOLEAN, 16, NULL, \
      FT_RELAY_ATTR_NO_RETRANSMISSION, \
      "The relay can't send this packet again (name from others' clients, unverified)") \
    X(hf_quickrelay_attr_downlink, "Downlink or base layer", "quickrelay.attr.downlink", \
      FT_BOOLEAN, 16, NULL, FT_RELAY_ATTR_DOWNLINK, \
      "With the link bit: set on all link messages from the relay. Alone: a base layer stream " \
      "id follows (unverified)") \
    X(hf_quickrelay_attr_link, "Link message", "quickrelay.attr.link", \
      FT_BOOLEAN, 16, NULL, FT_RELAY_ATTR_LINK, "The body is a link message")

#define FLAG1_VALUE(NAME, hf, name, filter, type, display, values, mask, blurb) \
    FLAG_##NAME = (mask) << 8,
#define FLAG2_VALUE(NAME, hf, name, filter, type, display, values, mask, blurb) \
    FLAG_##NAME = (mask),
enum { RELAY_FLAGS1(FLAG1_VALUE) RELAY_FLAGS2(FLAG2_VALUE) };

#define ATTR_MASK(hf, name, filter, type, display, values, mask, blurb) | (mask)
#define KNOWN_ATTRS (0U RELAY_ATTRS(ATTR_MASK))

/* One row a field, in wire order: X(id, the flags that bring it and those that keep it away, the
 * same of attributes, its bytes (of a list: of one element, after a byte with their number),
 * whether it is a list, how it is shown, its name where captures haven't shown it yet, its field).
 * The header is read by the first ones (wire/relay_header.c), shown by the last ones
 * (packet-quickrelay.c). */
#define RELAY_FIELDS(X) \
    X(ATTR, FLAG_ATTR, 0, 0, 0, 2, false, show_attr, NULL, \
      hf_quickrelay_attr, "Attributes", "quickrelay.attr", FT_UINT16, BASE_HEX, NULL, 0, \
      "What the body is, and more of the header") \
    X(STREAM, FLAG_STREAM, 0, 0, 0, 2, false, show_number, NULL, \
      hf_quickrelay_stream, "Stream", "quickrelay.stream", FT_UINT16, BASE_HEX, NULL, 0, \
      "Stream id: the low half of the SSRC, one more on FEC parity packets") \
    X(STREAMS, FLAG_STREAMS, 0, 0, 0, 2, true, show_list, NULL, \
      hf_quickrelay_secondary_stream, "Secondary stream", "quickrelay.secondary_stream", \
      FT_UINT16, BASE_HEX, NULL, 0, \
      "Id of a further stream that this packet may serve (inferred)") \
    X(PARTICIPANT, FLAG_PARTICIPANT, 0, 0, 0, 8, false, show_number, NULL, \
      hf_quickrelay_participant, "Participant", "quickrelay.participant", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "Pseudonym of the other side on this session: addressee of an uplink packet, sender of a " \
      "downlink one") \
    X(BASE_STREAM, FLAG_ATTR, 0, FT_RELAY_ATTR_DOWNLINK, FT_RELAY_ATTR_LINK, 2, false, \
      show_number, NULL, \
      hf_quickrelay_base_stream, "Base layer stream", "quickrelay.base_stream", \
      FT_UINT16, BASE_HEX, NULL, 0, \
      "Stream id of the base layer (published; checked on one datagram)") \
    X(PRIORITY, FLAG_PRIORITY, 0, 0, 0, 1, false, show_number, NULL, \
      hf_quickrelay_priority, "Priority", "quickrelay.priority", FT_UINT8, BASE_DEC, NULL, 0, \
      "Priority of the channel: 1 or 127 in every capture (meaning inferred)") \
    X(TRANSITION_COUNT, FLAG_TRANSITION | FLAG_PRIORITY, 0, 0, 0, 1, false, \
      show_number, "count of transition streams", \
      hf_quickrelay_transition_count, "Transition streams", "quickrelay.transition_stream.count", \
      FT_UINT8, BASE_DEC, NULL, 0, \
      "One less than the ids of streams that follow the header; unverified") \
    X(PROBE, FLAG_PROBE, 0, 0, 0, 2, false, show_number, NULL, \
      hf_quickrelay_probe_group, "Probe group", "quickrelay.probe_group", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Group of packets that probe the bandwidth together (meaning inferred)") \
    X(VERSION, FLAG_VERSION, 0, 0, 0, 1, false, show_number, NULL, \
      hf_quickrelay_session_version, "Session version", "quickrelay.session_version", \
      FT_UINT8, BASE_DEC, NULL, 0, \
      "Version of the session info that the relay holds: it never falls within a session") \
    X(LENGTH, FLAG_LENGTH, 0, 0, 0, 2, false, show_number, NULL, \
      hf_quickrelay_packet_length, "Packet length", "quickrelay.packet_length", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Bytes of this packet's body, others being chained behind it (published; checked on one " \
      "datagram)") \
    X(COUNTER, FLAG_COUNTER, FLAG_STATS, 0, 0, 2, false, show_number, NULL, \
      hf_quickrelay_counter, "Counter", "quickrelay.counter", FT_UINT16, BASE_DEC, NULL, 0, \
      "Packet counter of the device, echoed in the relay's report") \
    X(STATS, FLAG_STATS, 0, 0, 0, 12, false, show_stats, NULL, \
      hf_quickrelay_stats, "Report", "quickrelay.stats", FT_NONE, BASE_NONE, NULL, 0, \
      "The relay's report to the device") \
    X(LINK, FLAG_LINK, 0, 0, 0, 2, false, show_link, NULL, \
      hf_quickrelay_link, "Link", "quickrelay.link", FT_UINT16, BASE_HEX, NULL, 0, \
      "Id of the relay link: where an uplink packet goes to, or a downlink packet comes from") \
    X(LINKS, FLAG_LINKS, 0, 0, 0, 2, true, show_list, "secondary links", \
      hf_quickrelay_secondary_link, "Secondary link", "quickrelay.secondary_link", \
      FT_UINT16, BASE_HEX, NULL, 0, "Id of a further relay link; unverified") \
    X(STATE, FLAG_ATTR, 0, FT_RELAY_ATTR_STATE, 0, 1, false, show_number, NULL, \
      hf_quickrelay_state, "Session state", "quickrelay.state", FT_UINT8, BASE_DEC, NULL, 0, \
      "State of the session at the relay: 0 in every capture") \
    X(TRANSITION, FLAG_TRANSITION, 0, 0, 0, 0, false, show_transition, "transition streams", \
      hf_quickrelay_transition_stream, "Transition stream", "quickrelay.transition_stream", \
      FT_UINT16, BASE_HEX, NULL, 0, "Id of a stream behind the header; unverified")
/* clang-format on */

#define FIELD_ENUM(id, ...) FIELD_##id,
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
    unsigned fields; /* that are there, a mask of 1 << relay_field_id */
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

/* The `size` bytes at header->end are this field. */
void relay_take_field(relay_header *header, relay_field_id id, int size);

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

/* Whether the header's stream id is that of the SSRC: its low half, one more on FEC parity. */
bool relay_names_ssrc(tvbuff_t *tvb, const relay_header *header, uint32_t ssrc);

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
