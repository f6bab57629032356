/* packet-facetime-rtp.c
 * What FaceTime adds to an RTP packet (RFC 3550; docs/protocol.md, 10, 18 and 22.1). Stock RTP
 * shows the standard part, as stock/stock_rtp.c sets it up.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |            fixed header of 12 bytes, CSRC list                |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |Ver| flags: which fields follow    |      length in words      |  if X is set; "profile" is
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+  a set of flags, not an id
 *    |            fields in the order of the tables below, padding   |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |            encrypted payload ...                              |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |     key id of the sender (MKI), and what follows it    |  modern calls only: calls/trailer.h
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Audio and video number their flags differently; the payload type tells which of them it is.
 * Extension lengths add up in all 5094 packets of the captures of 2023, the key id is a v4 UUID
 * in all 5366. Legacy media has one form, profile 0x4400 of two words (all 6000 packets of the
 * sample).
 *
 * FEC header of a video packet. Parity packets repeat the sequence number of the block's last
 * source packet (36 of 36):
 *
 *    | symbol index, 8 | 0x80 source, 0x00 parity, 8 | 0x13, 5 | length, 11 |
 *    parity only:      | number of source packets, 16 | their lengths, 16 each | padding |
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/call.h"
#include "calls/evidence.h"
#include "calls/hash.h"
#include "calls/media.h"
#include "calls/packet.h"
#include "calls/quality.h"
#include "calls/relay.h"
#include "calls/trailer.h"
#include "calls/record.h"
#include "packet-rows.h"
#include "stock/stock_rtp.h"
#include "wire/rtp_checks.h"
#include "wire/rtp_packet.h"
#include "wire/rtp_proof.h"

#include <epan/expert.h>

void proto_register_facetime_rtp(void);
void proto_reg_handoff_facetime_rtp(void);

#define DIGEST_LENGTH       16  /* bytes of a payload that tell copies from other packets */

#define BIT_RATE_UNIT       100 /* bit/s, of the words that tell one */

static int proto_facetime_rtp = -1;

/* clang-format off */
/* The profile of audio, and of video */
#define RTP_AUDIO_BITS(X) \
    X(hf_audio_ecn, "ECN counts", "facetime_rtp.audio.has_ecn", FT_BOOLEAN, 16, NULL, 0x0800, \
      "Counts of ECN marks follow (not seen, unverified)") \
    X(hf_audio_video, "Video feedback", "facetime_rtp.audio.has_video", \
      FT_BOOLEAN, 16, NULL, 0x0400, "Feedback on the video received follows (inferred)") \
    X(hf_audio_connection, "Connection statistics", "facetime_rtp.audio.has_connection", \
      FT_BOOLEAN, 16, NULL, 0x0200, "Statistics of the links in use follow (inferred)") \
    X(hf_audio_timing, "Timing", "facetime_rtp.audio.has_timing", FT_BOOLEAN, 16, NULL, 0x0100, \
      "Queuing delay, send time and one-way delay follow") \
    X(hf_audio_bucket, "Rate bucket", "facetime_rtp.audio.rate_bucket", \
      FT_UINT16, BASE_DEC, NULL, 0x00ff, \
      "Step of the sender's rate control (inferred; 0 in every packet seen)")

#define RTP_VIDEO_BITS(X) \
    X(hf_video_source, "Picture source", "facetime_rtp.video.source", \
      FT_UINT16, BASE_DEC, NULL, 0x3000, \
      "Camera, screen or other source of the picture (inferred)") \
    X(hf_video_back_camera, "Back camera", "facetime_rtp.video.back_camera", \
      FT_BOOLEAN, 16, NULL, 0x0800, \
      "The picture is of the camera on the device's back (inferred)") \
    X(hf_video_mirrored, "Mirrored", "facetime_rtp.video.mirrored", FT_BOOLEAN, 16, NULL, 0x0400, \
      "The picture is mirrored (inferred)") \
    X(hf_video_orientation, "Orientation", "facetime_rtp.video.orientation", \
      FT_UINT16, BASE_DEC, NULL, 0x0300, \
      "Orientation of the device (name from others' clients, inferred); what its values mean is " \
      "not known") \
    X(hf_video_ltr, "LTR bits", "facetime_rtp.video.ltr", FT_UINT16, BASE_HEX, NULL, 0x00f0, \
      "Bits about long-term reference frames (inferred)") \
    X(hf_video_has_probe, "Probe", "facetime_rtp.video.has_probe", FT_BOOLEAN, 16, NULL, 0x0008, \
      "A probe follows") \
    X(hf_video_has_fec, "FEC", "facetime_rtp.video.has_fec", FT_BOOLEAN, 16, NULL, 0x0004, \
      "An FEC header follows") \
    X(hf_video_has_ltr_timestamp, "LTR timestamp", "facetime_rtp.video.has_ltr_timestamp", \
      FT_BOOLEAN, 16, NULL, 0x0002, \
      "The timestamp of a long-term reference frame follows (inferred)") \
    X(hf_video_has_frame_info, "Frame information", "facetime_rtp.video.has_frame_info", \
      FT_BOOLEAN, 16, NULL, 0x0001, "Packets in frame and frame sequence follow (in version 2)")

#define RTP_FIELDS(X) \
    X(hf_codec, "Codec", "facetime_rtp.codec", FT_STRING, BASE_NONE, NULL, 0, \
      "Codec: from a=rtpmap of the call's SDP, else FaceTime's use of the payload type (of 20, " \
      "97, 98, 101, 107, 108, 111, 113, 119, and 13 in modern calls, inferred)") \
    X(hf_profile, "Profile", "facetime_rtp.ext.profile", FT_UINT16, BASE_HEX, NULL, 0, \
      "Flags that tell which fields the extension has: not an id of RFC 8285") \
    X(hf_version, "Version", "facetime_rtp.ext.version", FT_UINT8, BASE_DEC, NULL, 0xc0, \
      "Version of the extension: 1 in legacy and multiway calls, 2 in one-to-one calls") \
    RTP_AUDIO_BITS(X) \
    RTP_VIDEO_BITS(X) \
    X(hf_control_info, "Audio information", "facetime_rtp.ext.control_info", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "Two words of a legacy call: a running clock and zero in all samples, meaning unknown") \
    X(hf_unparsed, "Not parsed", "facetime_rtp.ext.unparsed", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes of the extension that no known field accounts for") \
    X(hf_mki, "Key id (MKI)", "facetime_rtp.mki", FT_GUID, BASE_NONE, NULL, 0, \
      "Which key encrypts the payload: one random UUID for each sender and call") \
    X(hf_mki_participant, "Participant", "facetime_rtp.mki.participant", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "Participant id that a key id of 2026 names (published, unverified)") \
    X(hf_mki_end, "End", "facetime_rtp.mki.end", FT_UINT32, BASE_HEX, NULL, 0, \
      "Word behind the key id: zero in every packet of 2023, 0x20 behind a short one; meaning " \
      "unknown") \
    X(hf_short_mki, "Key id (short MKI)", "facetime_rtp.short_mki", FT_UINT16, BASE_HEX, NULL, 0, \
      "Which key encrypts the payload, in calls of 2026: the first two bytes of the 16-byte key " \
      "id (published; checked on five datagrams)") \
    X(hf_short_mki_roll, "Roll", "facetime_rtp.short_mki.roll", FT_UINT16, BASE_DEC, NULL, 0xfff0, \
      "Number of the sender's key: 1 when fresh (published, unverified)") \
    X(hf_short_mki_ratchet, "Ratchet", "facetime_rtp.short_mki.ratchet", \
      FT_UINT8, BASE_DEC, NULL, 0x0f, \
      "How often the key was ratcheted on (published, unverified)") \
    X(hf_rollover, "Roll-over counter", "facetime_rtp.rollover", FT_UINT32, BASE_DEC, NULL, 0, \
      "How often the sequence number has wrapped: in one packet of 128 of a one-to-one call of " \
      "2026 (published, unverified)") \
    X(hf_auth_tag, "Authentication tag", "facetime_rtp.auth_tag", FT_BYTES, BASE_NONE, NULL, 0, \
      "In one-to-one calls of 2026: 4 bytes on audio, 10 on video (published, unverified)") \
    X(hf_fec_index, "Symbol index", "facetime_rtp.fec.index", FT_UINT8, BASE_HEX, NULL, 0, \
      "Which symbol of the block this is: 0x08-0x0a parity, 0x0b-0x0f source in those seen") \
    X(hf_fec_parity, "Parity", "facetime_rtp.fec.parity", FT_BOOLEAN, BASE_NONE, NULL, 0, \
      "The packet repairs others; else it is a source packet") \
    X(hf_fec_tag, "Tag", "facetime_rtp.fec.tag", FT_UINT16, BASE_HEX, NULL, 0xf800, \
      "0x13 in every packet seen, meaning unknown") \
    X(hf_fec_length, "Length", "facetime_rtp.fec.length", \
      FT_UINT16, BASE_DEC, NULL, FEC_LENGTH_MASK, \
      "Payload length of a source packet; in a parity packet the longest of its list") \
    X(hf_fec_count, "Source packets", "facetime_rtp.fec.count", FT_UINT16, BASE_DEC, NULL, 0, \
      "How many source packets the parity packet covers") \
    X(hf_fec_source_length, "Source length", "facetime_rtp.fec.source_length", \
      FT_UINT16, BASE_DEC, NULL, 0, "Payload length of one source packet, in their order")

#define RTP_EXPERTS(X) \
    X(ei_short_header, "facetime_rtp.short_header", PI_MALFORMED, PI_ERROR, \
      "Packet ends in its RTP header") \
    X(ei_bad_extension, "facetime_rtp.bad_extension_length", PI_MALFORMED, PI_ERROR, \
      "Header extension is longer than the packet") \
    X(ei_field_missing, "facetime_rtp.field_missing", PI_MALFORMED, PI_WARN, \
      "Header extension is too short for the fields it announces") \
    X(ei_bytes_left, "facetime_rtp.bytes_left", PI_PROTOCOL, PI_NOTE, \
      "Header extension is longer than the fields it announces") \
    X(ei_cut_short, "facetime_rtp.cut_short", PI_UNDECODED, PI_NOTE, \
      "Header cut short by the capture") \
    X(ei_unknown_version, "facetime_rtp.unknown_extension", PI_UNDECODED, PI_NOTE, \
      "Extension of unknown form") \
    X(ei_no_key_id, "facetime_rtp.no_key_id", PI_UNDECODED, PI_COMMENT, \
      "No key id at the end of a form that is known") \
    X(ei_frame_incomplete, "facetime_rtp.frame_incomplete", PI_SEQUENCE, PI_NOTE, \
      "Packets of the frame don't add up at its marker") \
    X(ei_frame_gap, "facetime_rtp.frame_gap", PI_SEQUENCE, PI_NOTE, "Frame sequence jumps") \
    X(ei_fec_length, "facetime_rtp.fec_length_mismatch", PI_PROTOCOL, PI_WARN, \
      "FEC length doesn't match the packet") \
    X(ei_fec_list, "facetime_rtp.fec_list_mismatch", PI_PROTOCOL, PI_WARN, \
      "FEC source lengths don't match the source packets") \
    X(ei_stream_mismatch, "facetime_rtp.stream_mismatch", PI_PROTOCOL, PI_WARN, \
      "Stream id doesn't match the SSRC") \
    X(ei_retransmitted, "facetime_rtp.retransmitted", PI_SEQUENCE, PI_NOTE, \
      "Sent again by the relay") \
    X(ei_ratchet_changed, "facetime_rtp.ratchet_changed", PI_SEQUENCE, PI_CHAT, \
      "The sender goes on with another key")

#define RTP_TREES(X) X(ett_facetime_rtp) X(ett_extension) X(ett_profile) X(ett_fec) X(ett_mki)

#define DECLARE_EXTENSION(bits, version, length, shares, part, ...) DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_EXTENSION(bits, version, length, shares, part, ...) REGISTER_FIELD(__VA_ARGS__)
#define EXTENSION_SHOWN(bits, version, length, shares, part, ...) FIELD_POINTER(__VA_ARGS__)
#define NOT_SHOWN(...) NULL,

RTP_FIELDS(DECLARE_FIELD)
RTP_AUDIO_FIELDS(DECLARE_EXTENSION)
RTP_VIDEO_FIELDS(DECLARE_EXTENSION, NO_FIELD)
RTP_EXPERTS(DECLARE_EXPERT)
RTP_TREES(DECLARE_TREE)

static int *const audio_profile_bits[] = { RTP_AUDIO_BITS(FIELD_POINTER) NULL };
static int *const video_profile_bits[] = { RTP_VIDEO_BITS(FIELD_POINTER) NULL };
static const int *const audio_fields[] = { RTP_AUDIO_FIELDS(EXTENSION_SHOWN) };
static const int *const video_fields[] = { RTP_VIDEO_FIELDS(EXTENSION_SHOWN, NOT_SHOWN) };
/* clang-format on */

static void
dissect_standard_part(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const ft_packet *packet,
                      const rtp_packet *rtp, const ft_codec *codec)
{
    const bool is_parity = rtp->fec && rtp->is_parity;

    if (rtp->trailer.length)
        tvb = tvb_new_subset_length(tvb, 0, (int)rtp->payload_end);
    stock_rtp_call(stock_rtp_handle, tvb, pinfo, tree, packet, !is_parity && !packet->seen_before);
    if (is_parity) {
        col_set_str(pinfo->cinfo, COL_PROTOCOL, "SRTP");
        col_add_fstr(pinfo->cinfo, COL_INFO, "PT=%s, SSRC=0x%X, Seq=%u, Time=%u, FEC parity",
                     codec ? codec->name : "Unknown", rtp->fixed.ssrc, rtp->fixed.sequence,
                     rtp->fixed.timestamp);
    } else if (codec &&
               codec->inferred) { /* stock names only dynamic payload types by what it was told */
        if (rtp->fixed.payload_type < 96)
            col_append_fstr(pinfo->cinfo, COL_INFO, " [%s, inferred]", codec->name);
        else
            col_append_str(pinfo->cinfo, COL_INFO, " [codec inferred]");
    }
}

/* ---- what is shown ---- */

static void
show_codec(proto_tree *tree, tvbuff_t *tvb, const ft_codec *codec)
{
    if (!codec)
        return;

    proto_item *item = proto_tree_add_string(tree, hf_codec, tvb, 1, 1, codec->name);
    if (codec->inferred)
        proto_item_append_text(item, " (inferred)");
}

static void
show_fec(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp, unsigned length)
{
    const unsigned offset = rtp->fec;
    proto_tree *fec =
        proto_tree_add_subtree(tree, tvb, offset, (int)length, ett_fec, NULL,
                               rtp->is_parity ? "FEC: parity packet" : "FEC: source packet");

    proto_tree_add_item(fec, hf_fec_index, tvb, offset, 1, ENC_BIG_ENDIAN);
    proto_tree_add_boolean(fec, hf_fec_parity, tvb, offset + 1, 1, rtp->is_parity);
    proto_tree_add_item(fec, hf_fec_tag, tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(fec, hf_fec_length, tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    if (!rtp->is_parity)
        return;
    proto_tree_add_item(fec, hf_fec_count, tvb, offset + 4, 2, ENC_BIG_ENDIAN);
    for (unsigned i = 0; i < rtp->fec_count; i++)
        proto_tree_add_item(fec, hf_fec_source_length, tvb, offset + FEC_LIST + 2 * i, 2,
                            ENC_BIG_ENDIAN);
}

static void
show_profile(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const unsigned offset = rtp->extension;
    proto_item *item = proto_tree_add_item(tree, hf_profile, tvb, offset, 2, ENC_BIG_ENDIAN);
    proto_tree *flags = proto_item_add_subtree(item, ett_profile);

    proto_tree_add_item(flags, hf_version, tvb, offset, 1, ENC_BIG_ENDIAN);
    if (rtp->form == EXTENSION_AUDIO)
        proto_tree_add_bitmask_list(flags, tvb, offset, 2, audio_profile_bits, ENC_BIG_ENDIAN);
    if (rtp->form == EXTENSION_VIDEO)
        proto_tree_add_bitmask_list(flags, tvb, offset, 2, video_profile_bits, ENC_BIG_ENDIAN);
}

static void
show_unparsed(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const bool is_legacy = rtp->form == EXTENSION_LEGACY;

    if (rtp->known_end < rtp->fields_end &&
        (rtp->damage != SOUND || rtp->form == EXTENSION_UNKNOWN || is_legacy))
        proto_tree_add_item(tree, is_legacy ? hf_control_info : hf_unparsed, tvb, rtp->known_end,
                            (int)(rtp->fields_end - rtp->known_end), ENC_NA);
}

static const int *
field_of(const rtp_packet *rtp, const extension_field *field)
{
    return rtp->form == EXTENSION_AUDIO ? audio_fields[field->row - rtp_audio_rows]
                                        : video_fields[field->row - rtp_video_rows];
}

static void
show_extension(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    static const char *const names[] = { "none", "legacy audio information", "audio", "video",
                                         "unknown form" };
    proto_tree *extension = proto_tree_add_subtree_format(
        tree, tvb, rtp->extension, (int)(rtp->fields_end - rtp->extension), ett_extension, NULL,
        "Header extension: %s, version %u", names[rtp->form], rtp->profile >> 14);

    show_profile(extension, tvb, rtp);
    for (const extension_field *field = rtp->fields; field < rtp->fields + rtp->field_count;
         field++) {
        if (field->row->part == PART_FEC)
            show_fec(extension, tvb, rtp, field->length);
        else
            proto_tree_add_item(extension, *field_of(rtp, field), tvb, field->offset, field->length,
                                ENC_BIG_ENDIAN);
    }
    show_unparsed(extension, tvb, rtp);
}

/* Where the packet isn't as its own lengths or its generation would have it. */
static void
show_damage(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const rtp_packet *rtp,
            ft_generation generation)
{
    static expert_field *const experts[] = {
        [HEADER_SHORT] = &ei_short_header, [EXTENSION_BEYOND] = &ei_bad_extension,
        [FIELD_MISSING] = &ei_field_missing, [BYTES_LEFT] = &ei_bytes_left,
    };

    if (rtp->form == EXTENSION_UNKNOWN)
        expert_add_info_format(pinfo, item, &ei_unknown_version,
                               "Extension 0x%04x of payload type %u: form not known", rtp->profile,
                               rtp->fixed.payload_type);
    if (rtp->cut)
        expert_add_info(pinfo, item, &ei_cut_short);
    else if (rtp->damage != SOUND)
        expert_add_info(pinfo, item, experts[rtp->damage]);
    else if (generation == FT_MODERN && !rtp->trailer.length &&
             tvb_captured_length(tvb) == tvb_reported_length(tvb))
        expert_add_info(pinfo, item, &ei_no_key_id);
}

/* What the packet itself shows to be wrong. */
static void
show_own_checks(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const rtp_packet *rtp,
                const ft_relay_header *relay)
{
    const unsigned payload_length = rtp->payload_end - rtp->payload;
    const uint16_t stream = (uint16_t)(rtp->fixed.ssrc + (rtp->fec && rtp->is_parity));
    uint16_t longest = 0;

    if (relay && relay->has_stream && relay->stream != stream && rtp->damage != HEADER_SHORT &&
        !rtp_lacks_fec(rtp))
        expert_add_info_format(pinfo, item, &ei_stream_mismatch,
                               "Stream id 0x%04x is not the SSRC's 0x%04x", relay->stream, stream);
    if (relay && (relay->attributes & FT_RELAY_ATTR_RETRANSMITTED))
        expert_add_info(pinfo, item, &ei_retransmitted);
    if (rtp->trailer.previous)
        expert_add_info_format(pinfo, item, &ei_ratchet_changed,
                               "The sender's key id was 0x%04x, and is 0x%04x",
                               rtp->trailer.previous, rtp->trailer.short_mki);
    if (!rtp->fec || (rtp->damage != SOUND && rtp->damage != BYTES_LEFT))
        return;
    for (unsigned i = 0; i < rtp->fec_count; i++)
        longest = MAX(longest, tvb_get_ntohs(tvb, rtp->fec + FEC_LIST + 2 * i));
    if (rtp->is_parity && rtp->fec_length != longest)
        expert_add_info_format(pinfo, item, &ei_fec_length,
                               "FEC length %u is not the longest of its list, %u", rtp->fec_length,
                               longest);
    if (!rtp->is_parity && rtp->trailer.length && rtp->fec_length != payload_length)
        expert_add_info_format(pinfo, item, &ei_fec_length,
                               "FEC length %u is not the payload's, %u", rtp->fec_length,
                               payload_length);
}

/* What the stream's earlier packets showed to be wrong. */
static void
show_findings(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const rtp_finding *found = rtp_found(pinfo, tvb);

    if (!found)
        return;
    if (found->is_gap)
        expert_add_info_format(pinfo, item, &ei_frame_gap, "Frame %u follows frame %u",
                               rtp->frame_sequence, found->previous_frame);
    if (found->is_incomplete)
        expert_add_info_format(pinfo, item, &ei_frame_incomplete,
                               "%u packets of the frame up to its marker, %u announced",
                               found->counted, rtp->packets_in_frame);
    if (found->is_fec_mismatch)
        expert_add_info_format(pinfo, item, &ei_fec_list,
                               "Packet %u has %u bytes, the parity packet's list says %u",
                               found->fec_sequence, found->fec_sent, found->fec_listed);
}

/* A UUID, or the participant in two halves. */
static void
show_long_trailer(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    const int mki = (int)rtp->payload_end;
    proto_item *item = proto_tree_add_item(tree, hf_mki, tvb, mki, FT_MKI_LENGTH, ENC_BIG_ENDIAN);
    uint8_t participant[8];

    if (rtp->trailer.form == FT_TRAILER_NAMED) {
        proto_tree *subtree = proto_item_add_subtree(item, ett_mki);
        tvb_memcpy(tvb, participant, mki + 2, 4);
        tvb_memcpy(tvb, participant + 4, mki + 7, 4);
        proto_tree_add_bytes_with_length(subtree, hf_mki_participant, tvb, mki + 2, 9, participant,
                                         sizeof participant);
    }
    proto_tree_add_item(tree, hf_mki_end, tvb, mki + FT_MKI_LENGTH, 4, ENC_BIG_ENDIAN);
}

static void
show_short_trailer(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp)
{
    int offset = (int)rtp->payload_end;
    proto_tree *mki = proto_item_add_subtree(
        proto_tree_add_item(tree, hf_short_mki, tvb, offset, FT_SHORT_MKI_LENGTH, ENC_BIG_ENDIAN),
        ett_mki);

    proto_tree_add_item(mki, hf_short_mki_roll, tvb, offset, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(mki, hf_short_mki_ratchet, tvb, offset + 1, 1, ENC_BIG_ENDIAN);
    offset += FT_SHORT_MKI_LENGTH;
    if (rtp->trailer.form == FT_TRAILER_GROUP) {
        proto_tree_add_item(tree, hf_mki_end, tvb, offset, 4, ENC_BIG_ENDIAN);
        return;
    }
    if (rtp->trailer.has_rollover) {
        proto_tree_add_item(tree, hf_rollover, tvb, offset, 4, ENC_BIG_ENDIAN);
        offset += 4;
    }
    proto_tree_add_item(tree, hf_auth_tag, tvb, offset, rtp->trailer.tag_length, ENC_NA);
}

static proto_item *
show_own_part(proto_tree *tree, tvbuff_t *tvb, const rtp_packet *rtp, const ft_codec *codec)
{
    proto_item *item = proto_tree_add_item(tree, proto_facetime_rtp, tvb, 0, -1, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_facetime_rtp);

    if (!ft_is_wanted(subtree, proto_facetime_rtp))
        return item;
    show_codec(subtree, tvb, codec);
    if (rtp->extension)
        show_extension(subtree, tvb, rtp);
    if (ft_trailer_is_short(&rtp->trailer))
        show_short_trailer(subtree, tvb, rtp);
    else if (rtp->trailer.length)
        show_long_trailer(subtree, tvb, rtp);
    return item;
}

/* ---- the dissectors ---- */

/* What makes two packets with one number the same. The payload is encrypted: its first bytes
 * tell as much as all. */
static uint32_t
digest(const datagram *seen, const rtp_packet *rtp)
{
    const unsigned payload = MIN(rtp->payload, seen->captured);
    const unsigned end = MIN(rtp->payload_end, seen->captured);
    unsigned length = end > payload ? MIN(end - payload, DIGEST_LENGTH) : 0;
    const uint8_t *bytes = length ? seen->bytes + payload : NULL;
    uint64_t hash = ft_hash_word(FT_HASH_BEGIN, (uint64_t)rtp->fixed.timestamp << 32 |
                                                    (rtp->payload_end - rtp->payload));
    uint64_t word;

    for (; length >= sizeof word; length -= (unsigned)sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = ft_hash_word(hash, word);
    }
    for (; length; length--)
        hash = ft_hash_word(hash, *bytes++);
    return (uint32_t)hash;
}

static void
learn_numbers(const datagram *seen, packet_info *pinfo, const rtp_packet *rtp)
{
    ft_rtp fixed = rtp->fixed;

    fixed.medium = (ft_medium)rtp->media;
    fixed.digest = digest(seen, rtp);
    if (rtp->trailer.length && !ft_trailer_is_short(&rtp->trailer))
        fixed.key = seen->bytes + rtp->payload_end;
    ft_rtp_learn(pinfo, &fixed);
}

static void
learn_rtp(tvbuff_t *tvb, const datagram *seen, packet_info *pinfo, ft_packet *packet,
          const rtp_packet *rtp, const ft_relay_header *relay)
{
    ft_quality_seen_twice(pinfo, rtp->fixed.ssrc);
    if (!ft_learning(pinfo))
        return;
    if (ft_trailer_is_short(&rtp->trailer))
        ft_short_mki_seen(pinfo, rtp->trailer.short_mki,
                          relay && relay->has_participant ? relay->participant : NULL);
    else if (rtp->trailer.length)
        ft_relay_mki_seen(pinfo, seen->bytes + rtp->payload_end);
    packet->stream = NULL;
    if (!(rtp->fec && rtp->is_parity))
        learn_numbers(seen, pinfo, rtp);
    else
        ft_rtp_parity(pinfo, &rtp->fixed);
    if (rtp->has_frame_info || rtp->fec || rtp_hides_frame(rtp))
        rtp_check_stream(pinfo, packet, tvb, rtp);
}

static bool
has_part(const rtp_packet *rtp, extension_part part)
{
    return (rtp->parts >> part & 1) != 0;
}

/* Tells packets with one sequence number apart: a copy, or FEC parity, which repeats a source
 * packet's number. */
static uint32_t
digest_of(const datagram *seen, const rtp_packet *rtp)
{
    const uint32_t first =
        rtp->payload + 4 <= seen->captured ? ft_be32(seen->bytes + rtp->payload) : 0;

    return rtp->fixed.timestamp ^ first ^ seen->length << 16 ^
           (uint32_t)(rtp->fec && rtp->is_parity);
}

/* What the packet tells of its stream's quality. */
static void
learn_quality(const datagram *seen, packet_info *pinfo, ft_packet *packet, const rtp_packet *rtp,
              const ft_codec *codec)
{
    if (packet->ssrc_count < FT_PACKET_SSRCS) {
        packet->payload_types[packet->ssrc_count] = rtp->fixed.payload_type;
        packet->ssrcs[packet->ssrc_count++] = rtp->fixed.ssrc;
    }
    if (!ft_learning(pinfo))
        return;

    const ft_media_facts facts = {
        .rtp = rtp->fixed,
        .digest = digest_of(seen, rtp),
        .is_parity = rtp->fec && rtp->is_parity,
        .has_fec = rtp->fec != 0,
        .fec_sources = rtp->fec_count,
        .medium = (ft_medium)rtp->media,
        .clock_rate = codec ? codec->clock_rate : 0,
        .length = seen->length,
        .has_frame_info = rtp->has_frame_info,
        .packets_in_frame = rtp->packets_in_frame,
        .frame_sequence = rtp->frame_sequence,
        .has_stamps = has_part(rtp, PART_SENT),
        .sent_stamp = rtp->values[PART_SENT],
        .echoed_stamp = rtp->values[PART_ECHOED],
        .received = rtp->values[PART_RECEIVED] & 0x0fff,
        .burst_loss = (uint8_t)(rtp->values[PART_RECEIVED] >> 12),
        .queuing_delay = rtp->values[PART_QUEUING],
        .one_way_delay = rtp->values[PART_ONE_WAY],
        .has_bandwidth = has_part(rtp, PART_BANDWIDTH),
        .bandwidth = rtp->values[PART_BANDWIDTH],
    };
    ft_quality_learn(pinfo, &facts);
}

/* One RTP packet from its first byte. data: the relay's header (ft_relay_header), or NULL. */
static int
dissect_facetime_rtp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data)
{
    const ft_relay_header *relay = (const ft_relay_header *)data;
    ft_packet *packet = ft_packet_get(pinfo);
    const ft_codec *codec = NULL;
    uint32_t sdp_frame = 0;
    const datagram seen = datagram_of(tvb);
    rtp_packet rtp;

    if (!packet)
        return (int)seen.captured;

    rtp_parse(&seen, packet->generation, &rtp);
    rtp_settle_trailer(pinfo, tvb, packet->generation, relay, &rtp);
    if (rtp.trailer.length)
        packet->generation = packet->shown_generation = FT_MODERN;
    if (rtp.damage == HEADER_SHORT && seen.captured < RTP_FIXED_HEADER) {
        col_set_str(pinfo->cinfo, COL_PROTOCOL, "RTP");
        col_set_str(pinfo->cinfo, COL_INFO, "RTP header cut short");
        ft_rtp_cut(pinfo);
    } else {
        learn_rtp(tvb, &seen, pinfo, packet, &rtp, relay);
        packet->payload_type = rtp.fixed.payload_type;
        codec = ft_media_codec(pinfo, rtp.fixed.payload_type, &sdp_frame);
        packet->media_setup_frame = sdp_frame;
        learn_quality(&seen, pinfo, packet, &rtp, codec);
        ft_record_media(pinfo, &rtp.fixed, codec);
        if (!ft_is_lean(pinfo, tree)) {
            stock_set_up_media(pinfo, packet, sdp_frame);
            dissect_standard_part(tvb, pinfo, tree, packet, &rtp, codec);
        }
    }
    proto_item *item = tree ? show_own_part(tree, tvb, &rtp, codec) : NULL;
    show_damage(pinfo, item, tvb, &rtp, packet->generation);
    show_own_checks(pinfo, item, tvb, &rtp, relay);
    if (rtp.has_frame_info || rtp.fec)
        show_findings(pinfo, item, tvb, &rtp);
    return (int)seen.captured;
}

/* ---- registration ---- */

/* Bandwidth, in the unit that it is sent in. */
static void
format_bit_rate(char *text, uint32_t value)
{
    snprintf(text, ITEM_LABEL_LENGTH, "%u (%u bit/s)", value, value * BIT_RATE_UNIT);
}

void
proto_register_facetime_rtp(void)
{
    static hf_register_info hf[] = {
        RTP_FIELDS(REGISTER_FIELD) RTP_AUDIO_FIELDS(REGISTER_EXTENSION)
        RTP_VIDEO_FIELDS(REGISTER_EXTENSION, NO_FIELD)
    };
    static int *ett[] = { RTP_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { RTP_EXPERTS(REGISTER_EXPERT) };

    proto_facetime_rtp = proto_register_protocol("FaceTime RTP", "FaceTime RTP", "facetime_rtp");
    proto_register_field_array(proto_facetime_rtp, hf, G_N_ELEMENTS(hf));
    proto_register_subtree_array(ett, G_N_ELEMENTS(ett));
    expert_register_field_array(expert_register_protocol(proto_facetime_rtp), ei, G_N_ELEMENTS(ei));
    register_dissector("facetime_rtp", dissect_facetime_rtp, proto_facetime_rtp);

    rtp_checks_init(proto_facetime_rtp);
    stock_rtp_init(proto_facetime_rtp);
    ft_trailer_init();
}

void
proto_reg_handoff_facetime_rtp(void)
{
    stock_rtp_handoff();
    ft_evidence_register(FT_SHAPE_RTP, rtp_proves);
    ft_evidence_register(FT_RELAYED_RTP, rtp_proves_relayed);
}
