/* wire/rtp_packet.h
 * An RTP packet of FaceTime taken apart. One row a field of the header extension; the pictures
 * stand in packet-facetime-rtp.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RTP_PACKET_H
#define FT_RTP_PACKET_H

#include "calls/media.h"
#include "calls/relay.h"
#include "calls/trailer.h"

#define RTP_FIXED_HEADER 12
#define FEC_LENGTH_MASK 0x07ff
#define FEC_LIST        6           /* offset in a parity packet's FEC header */

enum {
    MEDIA_UNKNOWN = FT_MEDIUM_UNKNOWN,
    MEDIA_AUDIO = FT_MEDIUM_AUDIO,
    MEDIA_VIDEO = FT_MEDIUM_VIDEO
};

/* What a payload type carries. */
extern const uint8_t rtp_media_of[128];

/* Audio information of legacy calls, on audio and video: all 6000 packets of the sample. */
#define LEGACY_PROFILE 0x4400
#define LEGACY_WORDS   2

/* What calls/quality.h learns from; the rest is only shown. */
typedef enum {
    PART_PLAIN, PART_PACKETS_IN_FRAME, PART_FRAME_SEQUENCE, PART_FEC,
    PART_ECHOED, PART_RECEIVED, PART_QUEUING, PART_SENT, PART_BANDWIDTH, PART_COUNT
} extension_part;

/* clang-format off */
/* X(profile bits, version, length, whether the next row reads other bits of the same bytes,
 * part, its field) */
#define RTP_AUDIO_FIELDS(X) \
    X(0, 0, 2, false, PART_ECHOED, &hf_audio_echoed_timestamp) \
    X(0, 0, 2, false, PART_PLAIN, &hf_audio_received_kbit) \
    X(0, 0, 2, true, PART_PLAIN, &hf_audio_burst_loss) \
    X(0, 0, 2, false, PART_RECEIVED, &hf_audio_received_packets) \
    X(0x0100, 0, 2, false, PART_QUEUING, &hf_audio_queuing_delay) \
    X(0x0100, 0, 2, false, PART_SENT, &hf_audio_send_timestamp) \
    X(0x0100, 0, 2, false, PART_PLAIN, &hf_audio_one_way_delay) \
    X(0x0400, 0, 2, true, PART_PLAIN, &hf_audio_video_burst_loss) \
    X(0x0400, 0, 2, true, PART_PLAIN, &hf_audio_video_frame_size) \
    X(0x0400, 0, 2, false, PART_PLAIN, &hf_audio_video_loss) \
    X(0x0400, 0, 2, false, PART_BANDWIDTH, &hf_audio_bandwidth) \
    X(0x0800, 0, 2, false, PART_PLAIN, &hf_audio_ect) \
    X(0x0800, 0, 2, false, PART_PLAIN, &hf_audio_ce) \
    X(0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_index) \
    X(0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_secondary) \
    X(0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_primary) \
    X(0x0200, 0, 1, false, PART_PLAIN, &hf_audio_connection_total)

#define RTP_VIDEO_FIELDS(X) \
    X(0x0002, 0, 4, false, PART_PLAIN, &hf_video_ltr_timestamp) \
    X(0x0001, 2, 2, false, PART_PACKETS_IN_FRAME, &hf_video_packets_in_frame) \
    X(0x0001, 2, 2, false, PART_FRAME_SEQUENCE, &hf_video_frame_sequence) \
    X(0x0004, 0, 4, false, PART_FEC, NULL) \
    X(0x0008, 0, 4, false, PART_PLAIN, &hf_video_probe)

/* clang-format on */

/* One field. It is there where all of its profile bits are set (none: always); version 0: in
 * each. */
typedef struct {
    uint16_t       bits;
    uint8_t        version;
    uint8_t        length;
    bool           shares;  /* the next row reads other bits of the same bytes */
    extension_part part;
} extension_row;

#define EXTENSION_ENUM(bits, version, length, shares, part, hf) +1
enum {
    RTP_AUDIO_ROWS = RTP_AUDIO_FIELDS(EXTENSION_ENUM),
    RTP_VIDEO_ROWS = RTP_VIDEO_FIELDS(EXTENSION_ENUM)
};
extern const extension_row rtp_audio_rows[RTP_AUDIO_ROWS], rtp_video_rows[RTP_VIDEO_ROWS];

typedef enum {
    EXTENSION_NONE,
    EXTENSION_LEGACY,           /* one block, meaning unknown */
    EXTENSION_AUDIO,
    EXTENSION_VIDEO,
    EXTENSION_UNKNOWN           /* of a payload type or version that nothing is known of */
} extension_form;

/* How a packet's bytes fail its own lengths. */
typedef enum { SOUND, HEADER_SHORT, EXTENSION_BEYOND, FIELD_MISSING, BYTES_LEFT } damage;

typedef struct {
    const extension_row *row;
    unsigned             offset;
    unsigned             length;
} extension_field;

/* Offsets are those of the packet's tvb. */
typedef struct {
    ft_rtp          fixed;
    damage          damage;
    bool            cut;            /* by the capture, not by the sender */
    uint8_t         media;          /* MEDIA_... of the payload type */
    extension_form  form;
    uint16_t        profile;
    unsigned        extension;      /* its first word, 0 if there is none */
    unsigned        extension_end;  /* as its length says */
    unsigned        fields_end;     /* the same, or the end of the captured bytes */
    unsigned        known_end;      /* of the fields that were understood */
    unsigned        payload;
    unsigned        payload_end;
    ft_trailer      trailer;
    bool            has_frame_info;
    uint16_t        packets_in_frame;
    uint16_t        frame_sequence;
    unsigned        fec;            /* FEC header, 0 if there is none */
    bool            is_parity;
    uint16_t        fec_length;
    uint16_t        fec_count;      /* of the source lengths in a parity packet */
    uint16_t        values[PART_COUNT]; /* of audio: where the bit of `parts` is set */
    uint16_t        parts;
    unsigned        field_count;
    extension_field fields[RTP_AUDIO_ROWS];
} rtp_packet;

/* Takes the packet apart as far as it goes; damage tells how far that was. */
void rtp_parse(tvbuff_t *tvb, ft_generation generation, rtp_packet *rtp);

/* The trailer that only the sender's other packets tell. relay: the header before it, or NULL. */
void rtp_settle_trailer(packet_info *pinfo, tvbuff_t *tvb, ft_generation generation,
                        const ft_relay_header *relay, rtp_packet *rtp);

/* How long the authentication tag of such media is, where it has one. */
unsigned rtp_tag_length(const rtp_packet *rtp);

/* What a cut leaves open: without its FEC header, a packet may be a source or a parity packet. */
bool rtp_lacks_fec(const rtp_packet *rtp);

#endif
