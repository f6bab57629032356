/* packet-facetime-sdp.c
 * The SDP of FaceTime's SIP: the lines that are Apple's, one row each (docs/protocol.md, 8).
 * Stock SDP shows the rest.
 *
 *   v=0
 *   o=GKVoiceChatService 0 0 IN IP4 198.51.100.7
 *   b=AS:2000:2000                                           answer's and largest bandwidth, kbit/s
 *   a=FLS;VRA:0;LTR;CABAC;AR:4/3,3/4;XR;                     features of payload type 126
 *   a=X_FLS:123 FLS;VRA:0;...                                the same of another one
 *   m=audio 16402 RTP/AVP 104 106                            numbers of Apple's, no a=rtpmap
 *   a=rtpID:1911967383                                       the SSRC
 *   a=fmtp:AAC SamplesPerBlock 480
 *   a=imageattr:123 send [x=640,y=480,fps=30] recv [x=320,y=240,fps=15,i=1]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "packet-facetime-sdp.h"

#include <string.h>

#include <epan/expert.h>
#include <epan/export_object.h>
#include <epan/packet.h>
#include <epan/tap.h>

#include "calls/event.h"
#include "calls/media.h"
#include "calls/reveal.h"
#include "calls/text.h"
#include "packet-rows.h"
#include "wire/piece.h"
#include "wire/sdp_text.h"

#define SDP_MAX_BAD_VALUES  32      /* values of one SDP that are called unreadable */

void proto_register_facetime_sdp(void);
void proto_reg_handoff_facetime_sdp(void);

static int proto_facetime_sdp = -1;
static int sdp_export_tap = -1;

/* clang-format off */
/* One row a line that is Apple's: X(how it begins, decoder, its field); LINE: decoder and up to
 * three fields, in the order of its values. Without ':' or '=' at its end the beginning is all
 * of the name. */
#define SDP_LINES(X, LINE) \
    X("s=", decode_string, \
      hf_facetime_sdp_user, "User", "facetime_sdp.user", FT_STRING, BASE_NONE, NULL, 0, \
      "s= has the first word of the user's name in the operating system; on iOS that is mobile") \
    LINE("b=AS:", decode_bandwidth, &hf_facetime_sdp_bandwidth_answer, \
      &hf_facetime_sdp_bandwidth_max) \
    LINE("a=FLS", decode_features, &hf_facetime_sdp_features_payload_type) \
    LINE("a=X_FLS:", decode_x_features, &hf_facetime_sdp_features_payload_type) \
    X("a=DMBR", decode_flag, \
      hf_facetime_sdp_dmbr, "Dynamic maximal bit rate", "facetime_sdp.dmbr", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, "a=DMBR: the sender allows the maximal bit rate to change") \
    X("a=CAP", decode_flag, \
      hf_facetime_sdp_cap, "Content may change, aspect is kept", "facetime_sdp.cap", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, \
      "a=CAP: the sender allows the content to change with its aspect ratio preserved") \
    LINE("a=hwi:", decode_numbers, &hf_facetime_sdp_hwi_cpu, \
      &hf_facetime_sdp_hwi_cores, &hf_facetime_sdp_hwi_mhz) \
    X("a=multipoint:", decode_yes_no, \
      hf_facetime_sdp_multipoint, "Multipoint", "facetime_sdp.multipoint", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, \
      "a=multipoint (iChat): the sender can take part in a call of more than two (inferred)") \
    X("a=iChatEncryption:", decode_yes_no, \
      hf_facetime_sdp_ichat_encryption, "iChat encryption", "facetime_sdp.ichat_encryption", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, "a=iChatEncryption (iChat): media is encrypted (inferred)") \
    X("a=bandwidthDetection:", decode_yes_no, \
      hf_facetime_sdp_bandwidth_detection, "Bandwidth detection", \
      "facetime_sdp.bandwidth_detection", FT_BOOLEAN, BASE_NONE, NULL, 0, \
      "a=bandwidthDetection (iChat): the sender measures bandwidth (inferred)") \
    LINE("a=BBCODEC:", decode_bbcodec, &hf_facetime_sdp_bbcodec_type, \
      &hf_facetime_sdp_bbcodec_rate) \
    X("a=allowrecording", decode_flag, \
      hf_facetime_sdp_allowrecording, "Recording allowed", "facetime_sdp.allowrecording", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, \
      "a=allowrecording: the sender allows the call to be recorded") \
    LINE("m=", decode_media, NULL) \
    LINE("a=RTCP:", decode_rtcp_ports, &hf_facetime_sdp_rtcp_audio_port, \
      &hf_facetime_sdp_rtcp_video_port) \
    X("a=rtpID:", decode_numbers, \
      hf_facetime_sdp_rtpid, "SSRC to come", "facetime_sdp.rtpid", \
      FT_UINT32, BASE_DEC_HEX, NULL, 0, \
      "a=rtpID: the SSRC that the sender of this SDP will use for the medium") \
    X("a=au:", decode_numbers, \
      hf_facetime_sdp_audio_unit, "Audio unit model", "facetime_sdp.audio_unit", \
      FT_UINT32, BASE_DEC_HEX, NULL, 0, "a=au: model or version of the audio unit") \
    LINE("a=fmtp:", decode_fmtp, &hf_facetime_sdp_fmtp_payload_type, &hf_facetime_sdp_fmtp_format) \
    X("a=imageattr:", decode_imageattr, \
      hf_facetime_sdp_imageattr_payload_type, "Image sizes of payload type", \
      "facetime_sdp.imageattr.payload_type", FT_UINT8, BASE_DEC, NULL, 0, \
      "Payload type that a=imageattr (RFC 6236) speaks of")

/* The rules of imagesize, in order. */
#define SDP_IMAGESIZE(X) \
    X(hf_facetime_sdp_imagesize_send_fps, "Frames a second to send", \
      "facetime_sdp.imagesize.send_fps", FT_UINT32, BASE_DEC, NULL, 0, \
      "First value of the imagesize rules; the order of the values is inferred") \
    X(hf_facetime_sdp_imagesize_send_width, "Width to send", "facetime_sdp.imagesize.send_width", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "Second value of the imagesize rules; the order of the values is inferred") \
    X(hf_facetime_sdp_imagesize_send_height, "Height to send", \
      "facetime_sdp.imagesize.send_height", FT_UINT32, BASE_DEC, NULL, 0, \
      "Third value of the imagesize rules; the order of the values is inferred") \
    X(hf_facetime_sdp_imagesize_recv_width, "Width to receive", \
      "facetime_sdp.imagesize.recv_width", FT_UINT32, BASE_DEC, NULL, 0, \
      "Fourth value of the imagesize rules; the order of the values is inferred") \
    X(hf_facetime_sdp_imagesize_recv_height, "Height to receive", \
      "facetime_sdp.imagesize.recv_height", FT_UINT32, BASE_DEC, NULL, 0, \
      "Fifth value of the imagesize rules; the order of the values is inferred") \
    X(hf_facetime_sdp_imagesize_recv_fps, "Frames a second to receive", \
      "facetime_sdp.imagesize.recv_fps", FT_UINT32, BASE_DEC, NULL, 0, \
      "Last value of the imagesize rules; the order of the values is inferred")

#define SDP_FIELDS(X) \
    X(hf_facetime_sdp_line, "Line", "facetime_sdp.line", FT_STRING, BASE_NONE, NULL, 0, \
      "A line of the SDP that is Apple's, or any line where stock SDP shows none") \
    X(hf_facetime_sdp_bandwidth_answer, "Answer bandwidth", "facetime_sdp.bandwidth.answer", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "First value of b=AS:answer:max, kbit/s; only answers have it") \
    X(hf_facetime_sdp_bandwidth_max, "Largest bandwidth", "facetime_sdp.bandwidth.max", \
      FT_UINT32, BASE_DEC, NULL, 0, "Last value of b=AS, kbit/s") \
    X(hf_facetime_sdp_features_payload_type, "Features of payload type", \
      "facetime_sdp.features.payload_type", FT_UINT8, BASE_DEC, NULL, 0, \
      "Payload type that a feature list speaks of: a=FLS of 126 (X-H264), a=X_FLS of the one it " \
      "names") \
    X(hf_facetime_sdp_feature, "Feature", "facetime_sdp.feature", FT_STRING, BASE_NONE, NULL, 0, \
      "One token of a feature list (FLS), key or key:value; many meanings are inferred or " \
      "unknown") \
    X(hf_facetime_sdp_media_payload_type, "Payload type", "facetime_sdp.media.payload_type", \
      FT_UINT8, BASE_DEC, NULL, 0, "Payload type of an m= line") \
    X(hf_facetime_sdp_media_codec, "Codec", "facetime_sdp.media.codec", \
      FT_STRING, BASE_NONE, NULL, 0, \
      "Codec of the payload type, from a=rtpmap, or FaceTime's use of the number where that " \
      "line is missing (of 20, 97, 98, 101, 107, 108, 111, 113 and 119 inferred)") \
    X(hf_facetime_sdp_fmtp_payload_type, "Format of payload type", \
      "facetime_sdp.fmtp.payload_type", FT_UINT8, BASE_DEC, NULL, 0, \
      "Payload type that a=fmtp speaks of") \
    X(hf_facetime_sdp_fmtp_format, "Format of codec", "facetime_sdp.fmtp.format", \
      FT_STRING, BASE_NONE, NULL, 0, "Name of a codec where a=fmtp should have a payload type") \
    X(hf_facetime_sdp_block, "Samples per block", "facetime_sdp.block", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "SamplesPerBlock or block of a=fmtp: audio samples in one frame of AAC") \
    X(hf_facetime_sdp_sbr, "Spectral band replication", "facetime_sdp.sbr", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, "sbr of a=fmtp: the codec uses spectral band replication") \
    X(hf_facetime_sdp_secondary, "Secondary payload", "facetime_sdp.secondary", \
      FT_BOOLEAN, BASE_NONE, NULL, 0, \
      "sec of a=fmtp: a redundant or alternative audio payload only") \
    X(hf_facetime_sdp_imagesize, "Image size", "facetime_sdp.imagesize", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "imagesize of a=fmtp: number of the rule for video that falls back; 0 in all samples") \
    SDP_IMAGESIZE(X) \
    X(hf_facetime_sdp_imageattr_direction, "Direction", "facetime_sdp.imageattr.direction", \
      FT_UINT8, BASE_DEC, VALS(direction_vals), 0, \
      "Whether the sender of the SDP would send or receive this size") \
    X(hf_facetime_sdp_imageattr_width, "Width", "facetime_sdp.imageattr.width", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "x of a set of a=imageattr, in pixels; the smallest and the largest where it's a range") \
    X(hf_facetime_sdp_imageattr_height, "Height", "facetime_sdp.imageattr.height", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "y of a set of a=imageattr, in pixels; the smallest and the largest where it's a range") \
    X(hf_facetime_sdp_imageattr_fps, "Frames a second", "facetime_sdp.imageattr.fps", \
      FT_UINT32, BASE_DEC, NULL, 0, "fps of a set of a=imageattr, without decimals") \
    X(hf_facetime_sdp_imageattr_interface, "Interface", "facetime_sdp.imageattr.interface", \
      FT_UINT32, BASE_DEC, VALS(interface_vals), 0, \
      "i of a set of a=imageattr: the network that the size is meant for; Wi-Fi where it's " \
      "absent") \
    X(hf_facetime_sdp_imageattr_preference, "Preference", "facetime_sdp.imageattr.preference", \
      FT_FLOAT, BASE_NONE, NULL, 0, "q of a set of a=imageattr, 0 to 1; 0.5 where it's absent") \
    X(hf_facetime_sdp_hwi_cpu, "CPU", "facetime_sdp.hwi.cpu", FT_UINT32, BASE_DEC_HEX, NULL, 0, \
      "First value of a=hwi (iChat): an identifier of the CPU, a guess") \
    X(hf_facetime_sdp_hwi_cores, "CPU cores", "facetime_sdp.hwi.cores", \
      FT_UINT32, BASE_DEC, NULL, 0, "Second value of a=hwi (iChat): number of cores, a guess") \
    X(hf_facetime_sdp_hwi_mhz, "CPU clock", "facetime_sdp.hwi.mhz", FT_UINT32, BASE_DEC, NULL, 0, \
      "Third value of a=hwi (iChat): clock in MHz, a guess") \
    X(hf_facetime_sdp_rtcp_audio_port, "RTCP port of audio", "facetime_sdp.rtcp.audio_port", \
      FT_UINT32, BASE_DEC, NULL, 0, "a=RTCP:AUDIO (iChat): port of audio's RTCP") \
    X(hf_facetime_sdp_rtcp_video_port, "RTCP port of video", "facetime_sdp.rtcp.video_port", \
      FT_UINT32, BASE_DEC, NULL, 0, "VIDEO of a=RTCP (iChat): port of video's RTCP") \
    X(hf_facetime_sdp_bbcodec_type, "Baseband codec type", "facetime_sdp.bbcodec.type", \
      FT_STRING, BASE_NONE, NULL, 0, \
      "a=BBCODEC: codec of the phone's baseband; no sample is known") \
    X(hf_facetime_sdp_bbcodec_rate, "Baseband codec rate", "facetime_sdp.bbcodec.rate", \
      FT_STRING, BASE_NONE, NULL, 0, "Second value of a=BBCODEC; no sample is known")

#define SDP_EXPERTS(X) \
    X(ei_facetime_sdp_apple_way, "facetime_sdp.apple_way", PI_PROTOCOL, PI_CHAT, \
      "Not as RFC 8866 has it, but Apple's way") \
    X(ei_facetime_sdp_bad_value, "facetime_sdp.bad_value", PI_PROTOCOL, PI_WARN, \
      "A value that can't be read") \
    X(ei_facetime_sdp_too_long, "facetime_sdp.too_long", PI_UNDECODED, PI_WARN, \
      "SDP is too long to be shown to its end") \
    X(ei_facetime_sdp_cut_line, "facetime_sdp.cut_line", PI_UNDECODED, PI_NOTE, \
      "The text ends in this line")

#define SDP_TREES(X) X(ett_facetime_sdp) X(ett_facetime_sdp_line) X(ett_facetime_sdp_imageattr)

#define DECLARE_LINE(prefix, decode, ...) DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_LINE(prefix, decode, ...) REGISTER_FIELD(__VA_ARGS__)
#define LINE_OF_FIELD(prefix, decode, ...) { prefix, decode, { FIELD_POINTER(__VA_ARGS__) } },
#define LINE_OF_FIELDS(prefix, decode, ...) { prefix, decode, { __VA_ARGS__ } },

SDP_LINES(DECLARE_LINE, NO_FIELD)
SDP_FIELDS(DECLARE_FIELD)
SDP_EXPERTS(DECLARE_EXPERT)
SDP_TREES(DECLARE_TREE)
/* clang-format on */

static dissector_handle_t sdp_handle;

/* clang-format off */
enum { DIRECTION_SEND = 1, DIRECTION_RECV = 2 };

static const value_string direction_vals[] = {
    { DIRECTION_SEND, "send" },
    { DIRECTION_RECV, "recv" },
    { 0, NULL }
};

static const value_string interface_vals[] = {
    { 1, "cellular" },
    { 2, "Wi-Fi" },
    { 0, NULL }
};
/* clang-format on */

/* What isn't as RFC 8866 has it, and has a meaning with Apple. */
enum { ODD_BANDWIDTH, ODD_FEATURES, ODD_FORMAT, ODD_REPEATED_FMTP, ODD_NO_RTPMAP, ODD_COUNT };

/* clang-format off */
static const char *const odd_texts[ODD_COUNT] = {
    [ODD_BANDWIDTH]     = "two values in b=AS, the answer's and the largest",
    [ODD_FEATURES]      = "an attribute's name (a=FLS) that runs on with ';'",
    [ODD_FORMAT]        = "a=fmtp with a codec's name where the payload type stands",
    [ODD_REPEATED_FMTP] = "more than one a=fmtp of a payload type",
    [ODD_NO_RTPMAP]     = "dynamic payload types without a=rtpmap",
};
/* clang-format on */

typedef struct sdp_line sdp_line_t;
struct sdp_line {
    /* the line begins with it; without ':' or '=' at its end it is all of the name */
    const char *prefix;
    void (*decode)(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line);
    int *hf[3]; /* fields of the values, in order */
};

/* Stock SDP shows the text, and feeds the taps of VoIP Calls, but must not set RTP up: it would
 * do so for the address of the c= line, which lies behind NAT or relay, without the names of
 * Apple's payload types, and as not encrypted. It sets up on a frame's first visit only, so it
 * is told that this is a later one. Real media is set up when it's seen. */
static void
call_stock_sdp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const unsigned visited = pinfo->fd->visited;

    pinfo->fd->visited = 1;
    ft_call_dissector(sdp_handle, tvb, pinfo, tree);
    pinfo->fd->visited = visited & 1;
}

static void
add_odd(sdp_t *sdp, unsigned odd)
{
    sdp->odd |= 1u << odd;
    expert_add_info_format(sdp->pinfo, sdp->line_item, &ei_facetime_sdp_apple_way,
                           "Apple's way: %s", odd_texts[odd]);
}

static void
add_bad_value(sdp_t *sdp, proto_tree *tree, piece_t value)
{
    if (sdp->bad_values++ < SDP_MAX_BAD_VALUES)
        proto_tree_add_expert(tree, sdp->pinfo, &ei_facetime_sdp_bad_value, sdp->tvb, value.offset,
                              value.length);
}

static proto_item *
add_number(sdp_t *sdp, proto_tree *tree, int hf, piece_t value)
{
    uint64_t number;

    if (!piece_number(value, UINT32_MAX, &number)) {
        add_bad_value(sdp, tree, value);
        return NULL;
    }
    return proto_tree_add_uint(tree, hf, sdp->tvb, value.offset, value.length, (uint32_t)number);
}

static void
add_payload_type(sdp_t *sdp, proto_tree *tree, int hf, piece_t value)
{
    uint64_t number;

    if (piece_number(value, 127, &number))
        proto_tree_add_uint(tree, hf, sdp->tvb, value.offset, value.length, (uint32_t)number);
    else
        add_bad_value(sdp, tree, value);
}

static proto_item *
add_text(sdp_t *sdp, proto_tree *tree, int hf, piece_t value)
{
    return proto_tree_add_string(
        tree, hf, sdp->tvb, value.offset, value.length,
        ft_text_keep(sdp->pinfo->pool, value.text, (size_t)value.length, SDP_MAX_LENGTH));
}

static void
decode_flag(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    const int length = (int)strlen(line->prefix);

    proto_tree_add_boolean(tree, *line->hf[0], sdp->tvb, value.offset - length, length, 1);
}

static void
decode_yes_no(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    const bool yes = piece_is(value, "YES") || piece_is(value, "1");

    if (!yes && !piece_is(value, "NO") && !piece_is(value, "0"))
        add_bad_value(sdp, tree, value);
    else
        proto_tree_add_boolean(tree, *line->hf[0], sdp->tvb, value.offset, value.length, yes);
}

static void
decode_string(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    add_text(sdp, tree, *line->hf[0], value);
}

/* Numbers, with ':' between. */
static void
decode_numbers(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(line->hf) && line->hf[i]; i++)
        add_number(sdp, tree, *line->hf[i], piece_split(&value, ':'));
}

/* "<type>:<rate>"; no sample is known, so the values are shown as they are. */
static void
decode_bbcodec(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    add_text(sdp, tree, *line->hf[0], piece_split(&value, ':'));
    if (value.length > 0)
        add_text(sdp, tree, *line->hf[1], value);
}

/* An offer has the largest bandwidth alone, an answer "answer:largest". */
static void
decode_bandwidth(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    if (value.length > 0 && memchr(value.text, ':', (size_t)value.length)) {
        add_odd(sdp, ODD_BANDWIDTH);
        add_number(sdp, tree, *line->hf[0], piece_split(&value, ':'));
    }
    add_number(sdp, tree, *line->hf[1], value);
}

/* "AUDIO 16402 VIDEO 16402" (iChat, 2010) */
static void
decode_rtcp_ports(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    while (value.length > 0) {
        piece_t name = piece_split(&value, ' ');

        if (piece_is(name, "AUDIO"))
            add_number(sdp, tree, *line->hf[0], piece_split(&value, ' '));
        else if (piece_is(name, "VIDEO"))
            add_number(sdp, tree, *line->hf[1], piece_split(&value, ' '));
        else
            add_bad_value(sdp, tree, name);
    }
}

/* clang-format off */
/* Feature lists: "key" or "key:value", with ';' between. What a key means is known from names in
 * later builds or inferred; AS, MS, CR, PR and CF are open. */
static const struct {
    const char *key;
    const char *meaning;
} feature_names[] = {
    { "VRA",   "variable resolution adaptation, own" },
    { "MVRA",  "variable resolution adaptation, largest? (a guess)" },
    { "RVRA",  "variable resolution adaptation, remote" },
    { "RVRA1", "variable resolution adaptation, remote, level 1" },
    { "RVRA2", "variable resolution adaptation, remote, level 2" },
    { "UEP",   "unequal error protection" },
    { "LTR",   "long-term reference frames" },
    { "CABAC", "H.264's CABAC entropy coding allowed (inferred)" },
    { "LF",    "large-frame or bandwidth estimate mode, -1 = none (inferred)" },
    { "AR",    "screen's aspect ratio, landscape and portrait" },
    { "XR",    "aspect ratios expected of the peer" },
};
/* clang-format on */

static const char *
feature_meaning(piece_t key)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(feature_names); i++) {
        if (piece_is(key, feature_names[i].key))
            return feature_names[i].meaning;
    }
    return NULL;
}

static void
add_features(sdp_t *sdp, proto_tree *tree, piece_t list)
{
    while (list.length > 0) {
        piece_t token = piece_trim(piece_split(&list, ';')), value = token;
        const char *meaning = feature_meaning(piece_split(&value, ':'));
        proto_item *item;

        if (token.length == 0)
            continue;
        item = add_text(sdp, tree, hf_facetime_sdp_feature, token);
        if (meaning)
            proto_item_append_text(item, " (%s)", meaning);
    }
}

/* a=FLS;... is of X-H264, whose payload type is always 126. */
static void
decode_features(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    proto_item *item = proto_tree_add_uint(tree, *line->hf[0], sdp->tvb, value.offset, 0, 126);

    proto_item_set_generated(item);
    add_odd(sdp, ODD_FEATURES);
    add_features(sdp, tree, value);
}

/* a=X_FLS:<payload type> FLS;... */
static void
decode_x_features(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    add_payload_type(sdp, tree, *line->hf[0], piece_split(&value, ' '));
    if (piece_starts(value, "FLS"))
        add_features(sdp, tree, piece_skip(value, 3));
    else
        add_bad_value(sdp, tree, value);
}

/* "15:320:240:320:240:15": frames a second, width and height to send, then width, height and
 * frames a second to receive (order inferred). */
static void
add_imagesize_rules(sdp_t *sdp, proto_tree *tree, piece_t rules)
{
    static int *const fields[] = { SDP_IMAGESIZE(FIELD_POINTER) };

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++)
        add_number(sdp, tree, *fields[i], piece_split(&rules, ':'));
}

static void
add_imagesize(sdp_t *sdp, proto_tree *tree, piece_t value)
{
    add_number(sdp, tree, hf_facetime_sdp_imagesize, piece_split(&value, ' '));
    if (piece_starts(value, "rules "))
        add_imagesize_rules(sdp, tree, piece_trim(piece_skip(value, 6)));
    else if (value.length > 0)
        add_bad_value(sdp, tree, value);
}

/* One of a=fmtp's parameters. Others than Apple's are left to stock SDP. */
static void
add_fmtp_parameter(sdp_t *sdp, proto_tree *tree, piece_t parameter)
{
    piece_t value = parameter, name = piece_split(&value, ' ');

    if (piece_is(name, "sbr"))
        proto_tree_add_boolean(tree, hf_facetime_sdp_sbr, sdp->tvb, name.offset, name.length, 1);
    else if (piece_is(name, "sec"))
        proto_tree_add_boolean(tree, hf_facetime_sdp_secondary, sdp->tvb, name.offset, name.length,
                               1);
    else if (piece_is(name, "block") || piece_is(name, "SamplesPerBlock"))
        add_number(sdp, tree, hf_facetime_sdp_block, piece_trim(value));
    else if (piece_is(name, "imagesize"))
        add_imagesize(sdp, tree, piece_trim(value));
}

static void
decode_fmtp(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    piece_t format = piece_split(&value, ' ');
    uint64_t number;

    if (piece_number(format, 127, &number)) {
        proto_tree_add_uint(tree, *line->hf[0], sdp->tvb, format.offset, format.length,
                            (uint32_t)number);
        if (sdp->fmtp_seen[number / 64] >> number % 64 & 1)
            add_odd(sdp, ODD_REPEATED_FMTP);
        sdp->fmtp_seen[number / 64] |= UINT64_C(1) << number % 64;
    } else if (format.length > 0 && g_ascii_isalpha(format.text[0])) {
        add_text(sdp, tree, *line->hf[1], format);
        add_odd(sdp, ODD_FORMAT);
    } else {
        add_bad_value(sdp, tree, format);
    }
    while (value.length > 0)
        add_fmtp_parameter(sdp, tree, piece_trim(piece_split(&value, ';')));
}

/* RFC 6236: a number, or "[smallest:step:largest]", "[smallest:largest]", "[one,another]". A
 * frame rate may have decimals, which are left to the text. */
static void
add_image_value(sdp_t *sdp, proto_tree *tree, int hf, piece_t value)
{
    piece_t part, all = value;
    bool is_range;

    if (!piece_starts(value, "[")) {
        add_number(sdp, tree, hf, piece_split(&value, '.'));
        return;
    }
    value = piece_skip(value, 1);
    value = piece_split(&value, ']');
    is_range = value.length > 0 && memchr(value.text, ':', (size_t)value.length) != NULL;
    if (value.length == 0)
        add_bad_value(sdp, tree, all);
    for (unsigned i = 0; value.length > 0; i++) {
        proto_item *item;

        part = piece_split(&value, is_range ? ':' : ',');
        if (is_range && i == 1 && value.length > 0)
            continue; /* the step */
        item = add_number(sdp, tree, hf, piece_split(&part, '.'));
        if (is_range)
            proto_item_append_text(item, i == 0 ? " (smallest)" : " (largest)");
    }
}

static void
add_preference(sdp_t *sdp, proto_tree *tree, piece_t value)
{
    char *text = wmem_strndup(sdp->pinfo->pool, value.text, (size_t)value.length), *end;
    double number = g_ascii_strtod(text, &end);

    if (value.length == 0 || *end != '\0' || !(number >= 0 && number <= 1))
        add_bad_value(sdp, tree, value);
    else
        proto_tree_add_float(tree, hf_facetime_sdp_imageattr_preference, sdp->tvb, value.offset,
                             value.length, (float)number);
}

/* "x=320" of a set; keys that aren't known stand in the set's text. */
static void
add_image_key(sdp_t *sdp, proto_tree *tree, piece_t value)
{
    piece_t key = piece_trim(piece_split(&value, '='));

    value = piece_trim(value);
    if (piece_is(key, "x"))
        add_image_value(sdp, tree, hf_facetime_sdp_imageattr_width, value);
    else if (piece_is(key, "y"))
        add_image_value(sdp, tree, hf_facetime_sdp_imageattr_height, value);
    else if (piece_is(key, "fps"))
        add_image_value(sdp, tree, hf_facetime_sdp_imageattr_fps, value);
    else if (piece_is(key, "i"))
        add_number(sdp, tree, hf_facetime_sdp_imageattr_interface, value);
    else if (piece_is(key, "q"))
        add_preference(sdp, tree, value);
}

/* Splits at commas, but not at those between brackets. */
static piece_t
split_set(piece_t *rest)
{
    piece_t head = *rest;
    int depth = 0, i;

    for (i = 0; i < rest->length; i++) {
        depth += (rest->text[i] == '[') - (rest->text[i] == ']');
        if (rest->text[i] == ',' && depth <= 0)
            break;
    }
    head.length = i;
    *rest = piece_skip(*rest, MIN(i + 1, rest->length));
    return head;
}

/* The length of "[...]" at the beginning, inner brackets included; 0 where it isn't closed. */
static int
bracket_length(piece_t piece)
{
    int depth = 0;

    for (int i = 0; i < piece.length; i++) {
        depth += (piece.text[i] == '[') - (piece.text[i] == ']');
        if (depth == 0)
            return i + 1;
    }
    return 0;
}

static void
add_image_set(sdp_t *sdp, proto_tree *tree, piece_t set, unsigned direction)
{
    proto_tree *set_tree = proto_tree_add_subtree_format(
        tree, sdp->tvb, set.offset, set.length, ett_facetime_sdp_imageattr, NULL, "%s %s",
        val_to_str_const(direction, direction_vals, "(no direction)"),
        tvb_format_text(sdp->pinfo->pool, sdp->tvb, set.offset, set.length));
    piece_t inner = piece_head(piece_skip(set, 1), set.length - 2);

    if (direction)
        proto_item_set_generated(proto_tree_add_uint(set_tree, hf_facetime_sdp_imageattr_direction,
                                                     sdp->tvb, set.offset, 0, direction));
    while (inner.length > 0)
        add_image_key(sdp, set_tree, split_set(&inner));
}

/* One word of a=imageattr outside of a set. */
static void
add_image_word(sdp_t *sdp, proto_tree *tree, piece_t word, unsigned *direction)
{
    if (piece_is(word, "send"))
        *direction = DIRECTION_SEND;
    else if (piece_is(word, "recv"))
        *direction = DIRECTION_RECV;
    else if (!piece_is(word, "*"))
        add_bad_value(sdp, tree, word);
}

/* a=imageattr:<payload type> send [set] [set] recv [set] */
static void
decode_imageattr(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line)
{
    unsigned direction = 0;

    add_payload_type(sdp, tree, *line->hf[0], piece_split(&value, ' '));
    for (value = piece_trim(value); value.length > 0; value = piece_trim(value)) {
        if (!piece_starts(value, "[")) {
            add_image_word(sdp, tree, piece_split(&value, ' '), &direction);
            continue;
        }
        int length = bracket_length(value);
        if (length == 0) {
            add_bad_value(sdp, tree, value);
            break;
        }
        add_image_set(sdp, tree, piece_head(value, length), direction);
        value = piece_skip(value, length);
    }
}

/* One payload type of an m= line. True if it's a dynamic one that only FaceTime's table can
 * name. */
static bool
add_format(sdp_t *sdp, proto_tree *tree, piece_t format, const sdp_media_t *media)
{
    const ft_codec *codec;
    proto_item *item;
    uint64_t number;
    bool mapped;

    if (!piece_number(format, 127, &number)) {
        add_bad_value(sdp, tree, format);
        return false;
    }
    codec = sdp_media_codec(media, (uint8_t)number);
    mapped = media && media->rtpmap[number].name;
    proto_tree_add_uint(tree, hf_facetime_sdp_media_payload_type, sdp->tvb, format.offset,
                        format.length, (uint32_t)number);
    if (codec) {
        item = proto_tree_add_string_format_value(tree, hf_facetime_sdp_media_codec, sdp->tvb,
                                                  format.offset, format.length, codec->name,
                                                  "%s, %u Hz", codec->name, codec->clock_rate);
        proto_item_set_generated(item);
        proto_item_append_text(item, "%s",
                               mapped ? " (a=rtpmap)"
                               : codec->inferred
                                   ? " (FaceTime's use of the number, inferred; no a=rtpmap)"
                               : number >= 96 ? " (FaceTime's use of the number; no a=rtpmap)"
                                              : " (static payload type)");
    }
    return number >= 96 && !mapped;
}

/* m=audio 16402 RTP/AVP 104 106 */
static void
decode_media(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line _U_)
{
    const sdp_media_t *media =
        sdp->media_shown < sdp->media_count ? sdp->media[sdp->media_shown] : NULL;
    bool unmapped = false;

    sdp->media_shown++;
    memset(sdp->fmtp_seen, 0, sizeof sdp->fmtp_seen);
    for (int i = 0; i < 3; i++)
        piece_split(&value, ' '); /* kind, port and transport are stock SDP's */
    while (value.length > 0) {
        piece_t format = piece_split(&value, ' ');

        if (format.length > 0 && add_format(sdp, tree, format, media))
            unmapped = true;
    }
    if (unmapped)
        add_odd(sdp, ODD_NO_RTPMAP);
}

static const sdp_line_t sdp_lines[] = { SDP_LINES(LINE_OF_FIELD, LINE_OF_FIELDS) };

static const sdp_line_t *
find_sdp_line(piece_t text)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(sdp_lines); i++) {
        const char *prefix = sdp_lines[i].prefix;
        const int length = (int)strlen(prefix);

        if (!piece_starts(text, prefix))
            continue;
        if (prefix[length - 1] == ':' || prefix[length - 1] == '=' || text.length == length ||
            text.text[length] == ';')
            return &sdp_lines[i];
    }
    return NULL;
}

/* Shows Apple's lines; all lines where stock SDP shows none. */
static void
show_lines(sdp_t *sdp, bool all)
{
    piece_t rest = sdp->text;

    while (rest.length > 0) {
        piece_t text = piece_line(&rest);
        const sdp_line_t *line = find_sdp_line(text);
        const bool is_cut = sdp->cut && rest.length == 0;

        if (text.length == 0 || (!line && !all && !is_cut))
            continue;
        sdp->line_item = add_text(sdp, sdp->tree, hf_facetime_sdp_line, text);
        proto_item_set_text(sdp->line_item, "%s",
                            tvb_format_text(sdp->pinfo->pool, sdp->tvb, text.offset, text.length));
        if (is_cut)
            expert_add_info(sdp->pinfo, sdp->line_item, &ei_facetime_sdp_cut_line);
        else if (line)
            line->decode(sdp, proto_item_add_subtree(sdp->line_item, ett_facetime_sdp_line),
                         piece_skip(text, (int)strlen(line->prefix)), line);
    }
}

/* "nonstandard_sdp", once a message. */
static void
add_odd_event(sdp_t *sdp)
{
    wmem_strbuf_t *text = wmem_strbuf_new(sdp->pinfo->pool, "");

    for (unsigned odd = 0; odd < ODD_COUNT; odd++) {
        if (sdp->odd >> odd & 1)
            wmem_strbuf_append_printf(text, "%s%s", wmem_strbuf_get_len(text) > 0 ? "; " : "",
                                      odd_texts[odd]);
    }
    if (sdp->odd)
        ft_event_add(sdp->pinfo, FT_EVENT_NONSTANDARD_SDP, 0, "SDP in Apple's way: %s",
                     wmem_strbuf_get_str(text));
}

/* whole: tvb has all of the text; trusted: it is what the sender meant, so stock SDP may see it. */
void
dissect_facetime_sdp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool whole, bool trusted)
{
    const int length = (int)tvb_captured_length(tvb);
    const char *text = (const char *)tvb_get_ptr(tvb, 0, length);
    sdp_t sdp = { .pinfo = pinfo,
                  .tvb = tvb,
                  .text = { text, 0, sdp_bounded_length(text, length) } };
    proto_item *item;

    sdp.cut = text[sdp.text.length - 1] != '\n' && (!whole || sdp.text.length < length);
    sdp_collect_media(&sdp);
    sdp_learn_media(&sdp);
    if (trusted) {
        tvbuff_t *stock_tvb = sdp_text_for_stock(&sdp);

        if (stock_tvb)
            call_stock_sdp(stock_tvb, pinfo, tree);
    }
    if (!proto_is_protocol_enabled(find_protocol_by_id(proto_facetime_sdp)))
        return;
    item = proto_tree_add_item(tree, proto_facetime_sdp, tvb, 0, sdp.text.length, ENC_NA);
    sdp.tree = proto_item_add_subtree(item, ett_facetime_sdp);
    if (sdp.text.length < length)
        expert_add_info_format(pinfo, item, &ei_facetime_sdp_too_long,
                               "SDP has %d bytes; only the first %d of them are shown", length,
                               sdp.text.length);
    show_lines(&sdp, !trusted);
    add_odd_event(&sdp);
}

/* ---- File > Export Objects > FaceTime SDP ---- */

/* One body for the tap; it lives as long as the packet. */
typedef struct {
    const char    *file_name;
    const char    *sender;
    const uint8_t *text;
    size_t         length;
} sdp_object_t;

static tap_packet_status
export_sdp(void *tap_data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
           tap_flags_t flags _U_)
{
    export_object_list_t *list = (export_object_list_t *)tap_data;
    const sdp_object_t *object = (const sdp_object_t *)tapped;
    export_object_entry_t *entry = g_new0(export_object_entry_t, 1);

    entry->pkt_num = pinfo->num;
    entry->hostname = g_strdup(object->sender);
    entry->content_type = g_strdup("application/sdp");
    entry->filename = g_strdup(object->file_name);
    entry->payload_len = object->length;
    entry->payload_data = (uint8_t *)g_memdup2(object->text, object->length);
    list->add_entry(list->gui_data, entry);
    return TAP_PACKET_REDRAW;
}

void
facetime_sdp_export(tvbuff_t *text, packet_info *pinfo, const char *method)
{
    if (!have_tap_listener(sdp_export_tap))
        return;

    const ft_endpoint source = ft_source(pinfo);
    sdp_object_t *object = wmem_new(pinfo->pool, sdp_object_t);
    object->length = tvb_captured_length(text);
    object->text = (const uint8_t *)tvb_memdup(pinfo->pool, text, 0, object->length);
    object->sender = ft_endpoint_str(pinfo->pool, &source);
    object->file_name = wmem_strdup_printf(pinfo->pool, "frame-%u-%s.sdp", pinfo->num, method);
    tap_queue_packet(sdp_export_tap, pinfo, object);
}

void
facetime_sdp_reveal(tvbuff_t *text, packet_info *pinfo, const char *role)
{
    const unsigned length = tvb_captured_length(text);

    if (length && ft_learning(pinfo))
        ft_reveal_sdp(pinfo, role, (const char *)tvb_get_ptr(text, 0, (int)length), length);
}

/* ---- Registration ---- */

/* clang-format off */
void
proto_register_facetime_sdp(void)
{
    static hf_register_info hf[] = {
        SDP_LINES(REGISTER_LINE, NO_FIELD) SDP_FIELDS(REGISTER_FIELD)
    };
    static ei_register_info sdp_ei[] = { SDP_EXPERTS(REGISTER_EXPERT) };
    static int *ett[] = { SDP_TREES(REGISTER_TREE) };

    proto_facetime_sdp = proto_register_protocol("FaceTime SDP", "FaceTime SDP", "facetime_sdp");
    /* Export Objects names its menu entry and its option after a protocol: facetime-sdp. */
    sdp_export_tap = register_export_object(
        proto_register_protocol_in_name_only("FaceTime SDP (export)", "FaceTime SDP",
            "facetime-sdp",
                                             proto_facetime_sdp, FT_PROTOCOL), export_sdp, NULL);
    proto_register_field_array(proto_facetime_sdp, hf, array_length(hf));
    expert_register_field_array(expert_register_protocol(proto_facetime_sdp), sdp_ei,
        array_length(sdp_ei));
    proto_register_subtree_array(ett, array_length(ett));
}

/* clang-format on */

void
proto_reg_handoff_facetime_sdp(void)
{
    sdp_handle = find_dissector_add_dependency("sdp", proto_facetime_sdp);
}
