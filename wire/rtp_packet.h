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
#include "wire/shape.h"

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
    PART_ECHOED, PART_RECEIVED, PART_QUEUING, PART_SENT, PART_ONE_WAY, PART_BANDWIDTH, PART_COUNT
} extension_part;

/* clang-format off */
/* X(profile bits, version, length, whether the next row reads other bits of the same bytes,
 * part, its field, as in packet-rows.h); PLAIN: what is shown as more than one field */
#define RTP_AUDIO_FIELDS(X) \
    X(0, 0, 2, false, PART_ECHOED, \
      hf_audio_echoed_timestamp, "Echoed send time", "facetime_rtp.audio.echoed_timestamp", \
      FT_UINT16, BASE_DEC, NULL, 0, "The peer's last send timestamp, sent back to it (inferred)") \
    X(0, 0, 2, false, PART_PLAIN, \
      hf_audio_received_kbit, "Received", "facetime_rtp.audio.received_kbit", \
      FT_UINT16, BASE_DEC, NULL, 0, "Kilobits received so far, modulo 65536 (inferred)") \
    X(0, 0, 2, true, PART_PLAIN, \
      hf_audio_burst_loss, "Burst loss", "facetime_rtp.audio.burst_loss", \
      FT_UINT16, BASE_DEC, NULL, 0xf000, "Audio packets lost in a row (inferred)") \
    X(0, 0, 2, false, PART_RECEIVED, \
      hf_audio_received_packets, "Packets received", "facetime_rtp.audio.received_packets", \
      FT_UINT16, BASE_DEC, NULL, 0x0fff, "Audio packets received so far, modulo 4096 (inferred)") \
    X(0x0100, 0, 2, false, PART_QUEUING, \
      hf_audio_queuing_delay, "Queuing delay", "facetime_rtp.audio.queuing_delay", \
      FT_UINT16, BASE_DEC, NULL, 0, "Delay in queues as the sender estimates it (inferred)") \
    X(0x0100, 0, 2, false, PART_SENT, \
      hf_audio_send_timestamp, "Send timestamp", "facetime_rtp.audio.send_timestamp", \
      FT_UINT16, BASE_DEC, NULL, 0, "When the packet was sent, in 1/1024 s, modulo 64 s") \
    X(0x0100, 0, 2, false, PART_ONE_WAY, \
      hf_audio_one_way_delay, "One-way delay", "facetime_rtp.audio.one_way_delay", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Delay of the other direction as its receiver estimates it (inferred)") \
    X(0x0400, 0, 2, true, PART_PLAIN, \
      hf_audio_video_burst_loss, "Video burst loss", "facetime_rtp.audio.video.burst_loss", \
      FT_UINT16, BASE_DEC, NULL, 0xf000, "Video packets lost in a row (inferred)") \
    X(0x0400, 0, 2, true, PART_PLAIN, \
      hf_audio_video_frame_size, "Video frame size", "facetime_rtp.audio.video.frame_size", \
      FT_UINT16, BASE_DEC, NULL, 0x0fc0, \
      "Size of the video frame received, unit unknown (inferred)") \
    X(0x0400, 0, 2, false, PART_PLAIN, \
      hf_audio_video_loss, "Video loss", "facetime_rtp.audio.video.loss", \
      FT_UINT16, BASE_DEC, NULL, 0x003f, "Video packets lost (inferred)") \
    X(0x0400, 0, 2, false, PART_BANDWIDTH, \
      hf_audio_bandwidth, "Bandwidth estimate", "facetime_rtp.audio.bandwidth", \
      FT_UINT16, BASE_CUSTOM, CF_FUNC(format_bit_rate), 0, \
      "Bandwidth that the receiver estimates (inferred), in units of 100 bit/s (published, " \
      "unverified)") \
    X(0x0800, 0, 2, false, PART_PLAIN, \
      hf_audio_ect, "ECT packets", "facetime_rtp.audio.ecn.ect", FT_UINT16, BASE_DEC, NULL, 0, \
      "Packets received with an ECN-capable mark (not seen, unverified)") \
    X(0x0800, 0, 2, false, PART_PLAIN, \
      hf_audio_ce, "CE packets", "facetime_rtp.audio.ecn.ce", FT_UINT16, BASE_DEC, NULL, 0, \
      "Packets received with a congestion mark (not seen, unverified)") \
    X(0x0200, 0, 1, false, PART_PLAIN, \
      hf_audio_connection_index, "Connection", "facetime_rtp.audio.connection.index", \
      FT_UINT8, BASE_DEC, NULL, 0, "Which connection the statistics are of (inferred)") \
    X(0x0200, 0, 1, false, PART_PLAIN, \
      hf_audio_connection_secondary, "Secondary only", "facetime_rtp.audio.connection.secondary", \
      FT_UINT8, BASE_DEC, NULL, 0, \
      "Packets that came over the secondary connection only (inferred)") \
    X(0x0200, 0, 1, false, PART_PLAIN, \
      hf_audio_connection_primary, "Primary", "facetime_rtp.audio.connection.primary", \
      FT_UINT8, BASE_DEC, NULL, 0, "Packets that came over the primary connection (inferred)") \
    X(0x0200, 0, 1, false, PART_PLAIN, \
      hf_audio_connection_total, "Total", "facetime_rtp.audio.connection.total", \
      FT_UINT8, BASE_DEC, NULL, 0, "Packets that came over any connection (inferred)")

#define RTP_VIDEO_FIELDS(X, PLAIN) \
    X(0x0002, 0, 4, false, PART_PLAIN, \
      hf_video_ltr_timestamp, "LTR timestamp", "facetime_rtp.video.ltr_timestamp", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "RTP timestamp of the long-term reference frame in use (inferred)") \
    X(0x0001, 2, 2, false, PART_PACKETS_IN_FRAME, \
      hf_video_packets_in_frame, "Packets in frame", "facetime_rtp.video.packets_in_frame", \
      FT_UINT16, BASE_DEC, NULL, 0, "How many RTP packets have this timestamp") \
    X(0x0001, 2, 2, false, PART_FRAME_SEQUENCE, \
      hf_video_frame_sequence, "Frame sequence", "facetime_rtp.video.frame_sequence", \
      FT_UINT16, BASE_DEC, NULL, 0, "Number of the video frame, one more for each frame") \
    PLAIN(0x0004, 0, 4, false, PART_FEC) \
    X(0x0008, 0, 4, false, PART_PLAIN, \
      hf_video_probe, "Probe", "facetime_rtp.video.probe", FT_UINT32, BASE_DEC, NULL, 0, \
      "RTP timestamp of an audio packet of the same sender (one-to-one), or 0 (multiway)")

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

#define EXTENSION_ENUM(...) +1
enum {
    RTP_AUDIO_ROWS = RTP_AUDIO_FIELDS(EXTENSION_ENUM),
    RTP_VIDEO_ROWS = RTP_VIDEO_FIELDS(EXTENSION_ENUM, EXTENSION_ENUM)
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

/* The header's first RTP_FIXED_HEADER bytes, which are there. */
ft_rtp rtp_read_fixed(tvbuff_t *tvb);

/* Takes the packet apart as far as it goes; damage tells how far that was. */
void rtp_parse(const datagram *seen, ft_generation generation, rtp_packet *rtp);

/* The trailer that only the sender's other packets tell. relay: the header before it, or NULL. */
void rtp_settle_trailer(packet_info *pinfo, tvbuff_t *tvb, ft_generation generation,
                        const ft_relay_header *relay, rtp_packet *rtp);

/* How long the authentication tag of such media is, where it has one. */
unsigned rtp_tag_length(const rtp_packet *rtp);

/* What a cut leaves open: without its FEC header, a packet may be a source or a parity packet. */
bool rtp_lacks_fec(const rtp_packet *rtp);

#endif
