/* packet-facetime-sip.c
 * FaceTime's SIP (Apple's "Viceroy" stack): compressed bodies, Apple's SDP lines, key exchange messages
 *
 * Copyright the FaceTime plugin authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * One SIP message in one datagram, on the port of everything else (16402), or in ChannelData:
 *
 *   INVITE sip:user@192.0.2.1:16402 SIP/2.0
 *   f: "1021" <sip:user@198.51.100.7:16402>;tag=527520767      compact names from about 2013 on
 *   i: 658685de-dcec-11df-b1e3-80c2c2c54012@198-51-100-7
 *   CSeq: 1 INVITE
 *   User-Agent: Viceroy 1.7.0/GK
 *   c: application/sdp
 *   e: deflate                                                 the body is compressed, zlib or raw
 *   l: 791                                                     length as compressed
 *
 *   v=0                                                        after inflating
 *   o=GKVoiceChatService 0 0 IN IP4 198.51.100.7
 *   b=AS:2000:2000                                             answer's and largest bandwidth, kbit/s
 *   a=FLS;VRA:0;LTR;CABAC;AR:4/3,3/4;XR;                       features of payload type 126
 *   a=X_FLS:123 FLS;VRA:0;...                                  the same of another one
 *   m=audio 16402 RTP/AVP 104 106                              numbers of Apple's, no a=rtpmap
 *   a=rtpID:1911967383                                         the SSRC
 *   a=fmtp:AAC SamplesPerBlock 480
 *   a=imageattr:123 send [x=640,y=480,fps=30] recv [x=320,y=240,fps=15,i=1]
 *
 *   MESSAGE sip:user@192.0.2.1:16402 SIP/2.0                   key exchange
 *   SKESeq: 1;0                                                sequence ; fragment
 *   Content-Type: application/ske
 *
 * Stock SIP gets the header, stock SDP the text as inflated here, so a deflate bomb costs no more than the
 * cap. Both do the standard part; this file adds the lines that are Apple's.
 */

#include "ws-compat.h"

#include <string.h>

#include <epan/expert.h>
#include <epan/export_object.h>
#include <epan/packet.h>
#include <epan/prefs.h>
#include <epan/tap.h>

#include "calls/call.h"
#include "calls/dialog.h"
#include "calls/event.h"
#include "calls/evidence.h"
#include "calls/media.h"
#include "calls/text.h"
#include "calls/reveal.h"
#include "sdp_inflate/sdp_inflate.h"

/* clang-format off */
/* Bounds. An SDP of a call has 1 to 2 KiB in some 40 lines; a header's value some 80 bytes. */
#define SIP_MAX_VALUE       512     /* bytes of a header's value that are looked at */
#define INFLATE_CAP_DEFAULT 64      /* KiB of inflated body that are kept */
#define INFLATE_CAP_MAX     1024
#define SDP_MAX_LENGTH      8192    /* bytes of SDP that are shown, by stock SDP too */
#define SDP_MAX_LINES       512     /* lines of them */
#define SDP_MAX_MEDIA       8       /* m= lines that are remembered */
#define SDP_MAX_FORMATS     32      /* payload types of each */
#define SDP_MAX_BAD_VALUES  32      /* values of one SDP that are called unreadable */
#define PROOF_LENGTH        512     /* bytes of SDP that may prove FaceTime: o= is the second line */
/* clang-format on */

void proto_register_facetime_sip(void);
void proto_reg_handoff_facetime_sip(void);

static int proto_facetime_sip = -1;
static int proto_facetime_sdp = -1;

static int hf_facetime_sip_viceroy = -1;
static int hf_facetime_sip_coding = -1;
static int hf_facetime_sip_inflated_length = -1;
static int hf_facetime_sip_ske_sequence = -1;
static int hf_facetime_sip_ske_fragment = -1;
static int hf_facetime_sip_ske_data = -1;
static int hf_facetime_sip_text = -1;
static int hf_facetime_sip_notice = -1;
static int hf_facetime_sip_reason = -1;
static int hf_facetime_sip_reason_code = -1;
static int hf_facetime_sip_trailing_bytes = -1;

static int hf_facetime_sdp_line = -1;
static int hf_facetime_sdp_user = -1;
static int hf_facetime_sdp_bandwidth_answer = -1;
static int hf_facetime_sdp_bandwidth_max = -1;
static int hf_facetime_sdp_rtpid = -1;
static int hf_facetime_sdp_audio_unit = -1;
static int hf_facetime_sdp_dmbr = -1;
static int hf_facetime_sdp_cap = -1;
static int hf_facetime_sdp_features_payload_type = -1;
static int hf_facetime_sdp_feature = -1;
static int hf_facetime_sdp_media_payload_type = -1;
static int hf_facetime_sdp_media_codec = -1;
static int hf_facetime_sdp_fmtp_payload_type = -1;
static int hf_facetime_sdp_fmtp_format = -1;
static int hf_facetime_sdp_block = -1;
static int hf_facetime_sdp_sbr = -1;
static int hf_facetime_sdp_secondary = -1;
static int hf_facetime_sdp_imagesize = -1;
static int hf_facetime_sdp_imagesize_send_fps = -1;
static int hf_facetime_sdp_imagesize_send_width = -1;
static int hf_facetime_sdp_imagesize_send_height = -1;
static int hf_facetime_sdp_imagesize_recv_width = -1;
static int hf_facetime_sdp_imagesize_recv_height = -1;
static int hf_facetime_sdp_imagesize_recv_fps = -1;
static int hf_facetime_sdp_imageattr_payload_type = -1;
static int hf_facetime_sdp_imageattr_direction = -1;
static int hf_facetime_sdp_imageattr_width = -1;
static int hf_facetime_sdp_imageattr_height = -1;
static int hf_facetime_sdp_imageattr_fps = -1;
static int hf_facetime_sdp_imageattr_interface = -1;
static int hf_facetime_sdp_imageattr_preference = -1;
static int hf_facetime_sdp_hwi_cpu = -1;
static int hf_facetime_sdp_hwi_cores = -1;
static int hf_facetime_sdp_hwi_mhz = -1;
static int hf_facetime_sdp_multipoint = -1;
static int hf_facetime_sdp_ichat_encryption = -1;
static int hf_facetime_sdp_bandwidth_detection = -1;
static int hf_facetime_sdp_rtcp_audio_port = -1;
static int hf_facetime_sdp_rtcp_video_port = -1;
static int hf_facetime_sdp_bbcodec_type = -1;
static int hf_facetime_sdp_bbcodec_rate = -1;
static int hf_facetime_sdp_allowrecording = -1;

static int sdp_export_tap = -1;

static int ett_facetime_sip = -1;
static int ett_facetime_sdp = -1;
static int ett_facetime_sdp_line = -1;
static int ett_facetime_sdp_imageattr = -1;

static expert_field ei_facetime_sip_inflate_limit = EI_INIT;
static expert_field ei_facetime_sip_inflate_corrupt = EI_INIT;
static expert_field ei_facetime_sip_inflate_truncated = EI_INIT;
static expert_field ei_facetime_sip_inflate_trailing = EI_INIT;
static expert_field ei_facetime_sip_not_compressed = EI_INIT;
static expert_field ei_facetime_sip_unlabelled_compression = EI_INIT;
static expert_field ei_facetime_sip_content_length = EI_INIT;
static expert_field ei_facetime_sip_no_header_end = EI_INIT;
static expert_field ei_facetime_sip_cut = EI_INIT;
static expert_field ei_facetime_sip_trailing = EI_INIT;
static expert_field ei_facetime_sip_bad_skeseq = EI_INIT;
static expert_field ei_facetime_sdp_apple_way = EI_INIT;
static expert_field ei_facetime_sdp_bad_value = EI_INIT;
static expert_field ei_facetime_sdp_too_long = EI_INIT;
static expert_field ei_facetime_sdp_cut_line = EI_INIT;

static dissector_handle_t sip_handle;
static dissector_handle_t sdp_handle;

static unsigned pref_inflate_cap = INFLATE_CAP_DEFAULT;

/* clang-format off */
static const value_string coding_vals[] = {
    { SDP_INFLATE_NONE, "none" },
    { SDP_INFLATE_ZLIB, "zlib" },
    { SDP_INFLATE_RAW,  "raw" },
    { SDP_INFLATE_GZIP, "gzip" },
    { 0, NULL }
};

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

/* ---- Pieces of text ---- */

/* length bytes at text, which lie at offset in their tvb. Not NUL-terminated. */
typedef struct {
    const char *text;
    int offset;
    int length;
} piece_t;

static piece_t
piece_skip(piece_t piece, int count)
{
    return (piece_t){ piece.text + count, piece.offset + count, piece.length - count };
}

static piece_t
piece_head(piece_t piece, int length)
{
    piece.length = length;
    return piece;
}

static bool
piece_starts(piece_t piece, const char *prefix)
{
    size_t length = strlen(prefix);

    return (size_t)piece.length >= length && memcmp(piece.text, prefix, length) == 0;
}

static bool
piece_is(piece_t piece, const char *word)
{
    return (size_t)piece.length == strlen(word) && piece_starts(piece, word);
}

static piece_t
piece_trim(piece_t piece)
{
    while (piece.length > 0 && g_ascii_isspace(piece.text[0]))
        piece = piece_skip(piece, 1);
    while (piece.length > 0 && g_ascii_isspace(piece.text[piece.length - 1]))
        piece.length--;
    return piece;
}

/* What stands before the separator; *rest becomes what stands after it, empty where there is none. */
static piece_t
piece_split(piece_t *rest, char separator)
{
    const char *found =
        rest->length > 0 ? (const char *)memchr(rest->text, separator, (size_t)rest->length) : NULL;
    piece_t head = found ? piece_head(*rest, (int)(found - rest->text)) : *rest;

    *rest = piece_skip(*rest, found ? head.length + 1 : head.length);
    return head;
}

/* True for digits alone that make a number of at most max. */
static bool
piece_number(piece_t piece, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;

    if (piece.length <= 0)
        return false;
    for (int i = 0; i < piece.length; i++) {
        unsigned digit = (unsigned)(piece.text[i] - '0');

        if (digit > 9 || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

/* ---- SIP message ---- */

/* clang-format off */
enum {
    VIA, TO, FROM, CALL_ID, CSEQ, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH, SKE_SEQ, USER_AGENT, REASON, HEADER_COUNT
};

/* The headers that are looked at, with their compact names (RFC 3261 7.3.3). */
static const struct {
    const char *name;
    char        compact;
} sip_headers[HEADER_COUNT] = {
    [VIA]              = { "Via", 'v' },
    [TO]               = { "To", 't' },
    [FROM]             = { "From", 'f' },
    [CALL_ID]          = { "Call-ID", 'i' },
    [CSEQ]             = { "CSeq", 0 },
    [CONTENT_TYPE]     = { "Content-Type", 'c' },
    [CONTENT_ENCODING] = { "Content-Encoding", 'e' },
    [CONTENT_LENGTH]   = { "Content-Length", 'l' },
    [SKE_SEQ]          = { "SKESeq", 0 },
    [USER_AGENT]       = { "User-Agent", 0 },
    [REASON]           = { "Reason", 0 },
};
/* clang-format on */

typedef struct {
    const char *value;  /* unfolded, trimmed, cut at SIP_MAX_VALUE; NULL where the header is absent */
    int offset, length; /* of the header's line or lines */
    bool cut;           /* the capture ends in it */
} sip_header_t;

typedef enum { BODY_NONE, BODY_SDP, BODY_SKE, BODY_TEXT, BODY_OTHER } body_kind_t;

typedef struct {
    const char *method; /* of the request line, or of CSeq in an answer; "" where neither tells */
    unsigned status;    /* 0 for a request */
    uint32_t cseq;
    bool has_cseq;
    sip_header_t header[HEADER_COUNT];
    int body_offset;     /* -1 where the header has no end */
    int body_length;     /* captured bytes, at most Content-Length */
    int trailing_length; /* captured bytes behind these */
    bool body_cut;       /* the capture, or the datagram, has less than was sent */
    body_kind_t body_kind;
    bool compressed;     /* as Content-Encoding says, or as the first bytes look */
} sip_message_t;

static bool
is_cut(tvbuff_t *tvb)
{
    return tvb_captured_length(tvb) < tvb_reported_length(tvb);
}

static int
find_header(tvbuff_t *tvb, int offset, int name_length)
{
    for (int i = 0; i < HEADER_COUNT; i++) {
        if (name_length == 1 && sip_headers[i].compact &&
            g_ascii_tolower((char)tvb_get_uint8(tvb, offset)) == sip_headers[i].compact)
            return i;
        if (name_length == (int)strlen(sip_headers[i].name) &&
            tvb_strncaseeql(tvb, offset, sip_headers[i].name, (size_t)name_length) == 0)
            return i;
    }
    return -1;
}

/* The value with line folds and runs of white space made one space. */
static const char *
header_value(wmem_allocator_t *pool, tvbuff_t *tvb, int offset, int length)
{
    const int looked_at = MIN(length, SIP_MAX_VALUE);
    char *text = (char *)tvb_memdup(pool, tvb, offset, (size_t)looked_at), *out = text;

    for (const char *in = text; in < text + looked_at; in++) {
        if (!g_ascii_isspace(*in))
            *out++ = *in;
        else if (out > text && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out > text && out[-1] == ' ')
        out--;
    return ft_text_keep(pool, text, (size_t)(out - text), SIP_MAX_VALUE);
}

static void
take_header(wmem_allocator_t *pool, tvbuff_t *tvb, int offset, int length, sip_message_t *sip)
{
    int colon = tvb_find_uint8(tvb, offset, length, ':');
    int name_end = colon, which;

    if (colon < 0)
        return;
    while (name_end > offset && g_ascii_isspace(tvb_get_uint8(tvb, name_end - 1)))
        name_end--;
    which = find_header(tvb, offset, name_end - offset);
    if (which < 0 || sip->header[which].value)
        return;
    sip->header[which].value = header_value(pool, tvb, colon + 1, offset + length - (colon + 1));
    sip->header[which].offset = offset;
    sip->header[which].length = length;
    sip->header[which].cut = is_cut(tvb) && !tvb_offset_exists(tvb, offset + length);
}

/* Half a Call-ID is another one, and half a number another number. */
static const char *
whole_value(const sip_header_t *header)
{
    return header->value && !header->cut ? header->value : "";
}

/* Reads header lines up to the empty one. */
static void
parse_headers(wmem_allocator_t *pool, tvbuff_t *tvb, int offset, sip_message_t *sip)
{
    sip->body_offset = -1;
    while (tvb_captured_length_remaining(tvb, offset) > 0) {
        int next, length = tvb_find_line_end(tvb, offset, -1, &next, FALSE);

        if (length == 0) {
            sip->body_offset = next;
            return;
        }
        while (tvb_captured_length_remaining(tvb, next) > 0 &&
               (tvb_get_uint8(tvb, next) == ' ' || tvb_get_uint8(tvb, next) == '\t'))
            tvb_find_line_end(tvb, next, -1, &next, FALSE); /* a folded line */
        length = next - offset;
        take_header(pool, tvb, offset, length, sip);
        offset = next;
    }
}

/* "INVITE sip:... SIP/2.0" or "SIP/2.0 200 OK". Returns where the headers begin, 0 if it's neither. */
static int
parse_start_line(wmem_allocator_t *pool, tvbuff_t *tvb, sip_message_t *sip)
{
    static const char version[] = "SIP/2.0";
    const int version_length = (int)sizeof version - 1;
    int next, length = tvb_find_line_end(tvb, 0, -1, &next, FALSE), space;
    uint64_t status;
    piece_t code;

    if (length < version_length + 4)
        return 0;
    if (tvb_strneql(tvb, 0, version, version_length) == 0) {
        code = (piece_t){ (const char *)tvb_get_ptr(tvb, version_length + 1, 3), 0, 3 };
        if (tvb_get_uint8(tvb, version_length) != ' ' || !piece_number(code, 999, &status) || status < 100)
            return 0;
        sip->status = (unsigned)status;
        return next;
    }
    space = tvb_find_uint8(tvb, 0, MIN(length, 32), ' ');
    if (space <= 0 || tvb_strneql(tvb, length - version_length, version, version_length) != 0)
        return 0;
    sip->method = (const char *)tvb_get_string_enc(pool, tvb, 0, space, ENC_ASCII);
    return next;
}

/* "32349 INVITE" */
static void
parse_cseq(wmem_allocator_t *pool, sip_message_t *sip)
{
    const char *value = whole_value(&sip->header[CSEQ]);
    uint64_t number;
    piece_t rest, digits;

    rest = (piece_t){ value, 0, (int)strlen(value) };
    digits = piece_split(&rest, ' ');
    sip->has_cseq = piece_number(digits, UINT32_MAX, &number);
    if (sip->has_cseq)
        sip->cseq = (uint32_t)number;
    if (sip->status)
        sip->method = wmem_strndup(pool, rest.text, (size_t)rest.length);
}

static bool
media_type_is(const char *value, const char *type)
{
    size_t length = strlen(type);

    return g_ascii_strncasecmp(value, type, length) == 0 &&
           (value[length] == '\0' || strchr("; ", value[length]));
}

/* zlib's or gzip's first bytes, which no text has. */
static bool
looks_compressed(tvbuff_t *tvb, int offset, int length)
{
    unsigned start;

    if (length < 2)
        return false;
    start = tvb_get_ntohs(tvb, offset);
    return start == 0x1f8b || (start >> 8 == 0x78 && start % 31 == 0);
}

static body_kind_t
classify_body(const sip_message_t *sip, tvbuff_t *tvb)
{
    const char *type = sip->header[CONTENT_TYPE].value;

    if (sip->body_length <= 0)
        return BODY_NONE;
    if (!type && (tvb_strneql(tvb, sip->body_offset, "v=0", 3) == 0 ||
                  looks_compressed(tvb, sip->body_offset, sip->body_length)))
        return BODY_SDP;
    if (!type)
        return BODY_OTHER;
    if (media_type_is(type, "application/sdp"))
        return BODY_SDP;
    if (media_type_is(type, "application/ske"))
        return BODY_SKE;
    if (g_ascii_strncasecmp(type, "text/", 5) == 0)
        return BODY_TEXT;
    return BODY_OTHER;
}

static bool
encoding_is_deflate(const char *encoding)
{
    return encoding && (media_type_is(encoding, "deflate") || media_type_is(encoding, "gzip") ||
                        media_type_is(encoding, "x-gzip"));
}

static void
parse_body(tvbuff_t *tvb, sip_message_t *sip)
{
    const char *encoding = sip->header[CONTENT_ENCODING].value;
    const char *content_length = sip->header[CONTENT_LENGTH].value;
    uint64_t said;
    int sent;

    if (sip->body_offset < 0)
        return;
    sent = tvb_reported_length_remaining(tvb, sip->body_offset);
    sip->body_length = tvb_captured_length_remaining(tvb, sip->body_offset);
    if (content_length &&
        piece_number((piece_t){ content_length, 0, (int)strlen(content_length) }, INT32_MAX, &said)) {
        sip->trailing_length = MAX(sip->body_length - (int)said, 0);
        sip->body_length -= sip->trailing_length;
        sent = (int)said;
    }
    sip->body_cut = sip->body_length < sent;
    sip->body_kind = classify_body(sip, tvb);
    sip->compressed =
        encoding_is_deflate(encoding) ||
        (sip->body_kind == BODY_SDP && looks_compressed(tvb, sip->body_offset, sip->body_length));
}

/* False where the bytes don't begin like SIP. Strings live in pool. */
static bool
parse_sip(wmem_allocator_t *pool, tvbuff_t *tvb, sip_message_t *sip)
{
    int offset;

    memset(sip, 0, sizeof *sip);
    sip->method = "";
    sip->body_offset = -1;
    offset = parse_start_line(pool, tvb, sip);
    if (offset == 0)
        return false;
    parse_headers(pool, tvb, offset, sip);
    parse_cseq(pool, sip);
    parse_body(tvb, sip);
    return true;
}

/* The proof that a SIP message is FaceTime's: its user agent, its key exchange, or the name that SDP's o=
 * has. Other messages of the same dialog are known by their flow. */
static bool
prove_facetime_sip(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    static const char origin[] = "\no=GKVoiceChatService ";
    sip_message_t sip;
    sdp_inflate_result_t inflated;
    bool proved;

    if (!parse_sip(pinfo->pool, tvb, &sip))
        return false;
    *generation = FT_LEGACY;
    if (sip.header[SKE_SEQ].value || sip.body_kind == BODY_SKE ||
        (sip.header[USER_AGENT].value && strstr(sip.header[USER_AGENT].value, "Viceroy ")))
        return true;
    if (sip.body_kind != BODY_SDP)
        return false;
    if (!sip.compressed) {
        const int length = MIN(sip.body_length, PROOF_LENGTH);

        return g_strstr_len((const char *)tvb_get_ptr(tvb, sip.body_offset, length), length, origin) != NULL;
    }
    sdp_inflate(tvb_get_ptr(tvb, sip.body_offset, sip.body_length), (size_t)sip.body_length, PROOF_LENGTH,
                &inflated);
    proved = inflated.text && g_strstr_len(inflated.text, (gssize)inflated.length, origin) != NULL;
    sdp_inflate_free(&inflated);
    return proved;
}

/* ---- Stock dissectors ---- */

/* Stock SDP shows the text, and feeds the taps of VoIP Calls, but must not set RTP up: it would do so for
 * the address of the c= line, which lies behind NAT or relay, without the names of Apple's payload types,
 * and as not encrypted. It sets up on a frame's first visit only, so it is told that this is a later one.
 * Real media is set up when it's seen. */
static void
call_stock_sdp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const unsigned visited = pinfo->fd->visited;

    pinfo->fd->visited = 1;
    ft_call_dissector(sdp_handle, tvb, pinfo, tree);
    pinfo->fd->visited = visited & 1;
}

/* ---- SDP ---- */

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

/* One m= line with what belongs to it. */
typedef struct {
    ft_sdp_medium medium;
    uint8_t formats[SDP_MAX_FORMATS];
    unsigned format_count;
    ft_codec rtpmap[128]; /* name NULL where there is no a=rtpmap */
} sdp_media_t;

typedef struct {
    packet_info *pinfo;
    tvbuff_t *tvb;    /* of the text */
    proto_tree *tree; /* of FaceTime SDP */
    proto_item *line_item;
    piece_t text; /* as far as it is looked at: at most SDP_MAX_LENGTH */
    bool cut;     /* the last line may not be whole */
    sdp_media_t *media[SDP_MAX_MEDIA];
    unsigned media_count;
    unsigned media_shown;  /* m= lines shown so far */
    uint64_t fmtp_seen[2]; /* payload types with a=fmtp since the last m= line */
    unsigned odd;          /* bits of ODD_... */
    unsigned bad_values;
} sdp_t;

typedef struct sdp_line sdp_line_t;
struct sdp_line {
    const char *prefix; /* the line begins with it; without ':' or '=' at its end it is all of the name */
    void (*decode)(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line);
    int *hf[3]; /* fields of the values, in order */
};

static void
add_odd(sdp_t *sdp, unsigned odd)
{
    sdp->odd |= 1u << odd;
    expert_add_info_format(sdp->pinfo, sdp->line_item, &ei_facetime_sdp_apple_way, "Apple's way: %s",
                           odd_texts[odd]);
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
    return proto_tree_add_string(tree, hf, sdp->tvb, value.offset, value.length,
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
/* Feature lists: "key" or "key:value", with ';' between. What a key means is known from names in later
 * builds or inferred; AS, MS, CR, PR and CF are open. */
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

/* "15:320:240:320:240:15": frames a second, width and height to send, then width, height and frames a second
 * to receive (order inferred). */
static void
add_imagesize_rules(sdp_t *sdp, proto_tree *tree, piece_t rules)
{
    static int *const fields[] = {
        &hf_facetime_sdp_imagesize_send_fps,    &hf_facetime_sdp_imagesize_send_width,
        &hf_facetime_sdp_imagesize_send_height, &hf_facetime_sdp_imagesize_recv_width,
        &hf_facetime_sdp_imagesize_recv_height, &hf_facetime_sdp_imagesize_recv_fps
    };

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
        proto_tree_add_boolean(tree, hf_facetime_sdp_secondary, sdp->tvb, name.offset, name.length, 1);
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
        proto_tree_add_uint(tree, *line->hf[0], sdp->tvb, format.offset, format.length, (uint32_t)number);
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

/* RFC 6236: a number, or "[smallest:step:largest]", "[smallest:largest]", "[one,another]". A frame rate may
 * have decimals, which are left to the text. */
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
        proto_tree_add_float(tree, hf_facetime_sdp_imageattr_preference, sdp->tvb, value.offset, value.length,
                             (float)number);
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
        proto_item_set_generated(proto_tree_add_uint(set_tree, hf_facetime_sdp_imageattr_direction, sdp->tvb,
                                                     set.offset, 0, direction));
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

/* The name of a payload type of an m= line: from its a=rtpmap, else from FaceTime's own table; or NULL. */
static const ft_codec *
media_codec(const sdp_media_t *media, uint8_t payload_type)
{
    if (media && media->rtpmap[payload_type].name)
        return &media->rtpmap[payload_type];
    return ft_codec_known(FT_LEGACY, payload_type);
}

/* One payload type of an m= line. True if it's a dynamic one that only FaceTime's table can name. */
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
    codec = media_codec(media, (uint8_t)number);
    mapped = media && media->rtpmap[number].name;
    proto_tree_add_uint(tree, hf_facetime_sdp_media_payload_type, sdp->tvb, format.offset, format.length,
                        (uint32_t)number);
    if (codec) {
        item = proto_tree_add_string_format_value(tree, hf_facetime_sdp_media_codec, sdp->tvb, format.offset,
                                                  format.length, codec->name, "%s, %u Hz", codec->name,
                                                  codec->clock_rate);
        proto_item_set_generated(item);
        proto_item_append_text(item, "%s", mapped ? " (a=rtpmap)"
                               : codec->inferred  ? " (FaceTime's use of the number, inferred; no a=rtpmap)"
                               : number >= 96     ? " (FaceTime's use of the number; no a=rtpmap)"
                                                  : " (static payload type)");
    }
    return number >= 96 && !mapped;
}

/* m=audio 16402 RTP/AVP 104 106 */
static void
decode_media(sdp_t *sdp, proto_tree *tree, piece_t value, const sdp_line_t *line _U_)
{
    const sdp_media_t *media = sdp->media_shown < sdp->media_count ? sdp->media[sdp->media_shown] : NULL;
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

/* clang-format off */
/* The lines that are Apple's. */
static const sdp_line_t sdp_lines[] = {
    { "s=",                    decode_string,     { &hf_facetime_sdp_user } },
    { "b=AS:",                 decode_bandwidth,  { &hf_facetime_sdp_bandwidth_answer,
                                                    &hf_facetime_sdp_bandwidth_max } },
    { "a=FLS",                 decode_features,   { &hf_facetime_sdp_features_payload_type } },
    { "a=X_FLS:",              decode_x_features, { &hf_facetime_sdp_features_payload_type } },
    { "a=DMBR",                decode_flag,       { &hf_facetime_sdp_dmbr } },
    { "a=CAP",                 decode_flag,       { &hf_facetime_sdp_cap } },
    { "a=hwi:",                decode_numbers,    { &hf_facetime_sdp_hwi_cpu, &hf_facetime_sdp_hwi_cores,
                                                    &hf_facetime_sdp_hwi_mhz } },
    { "a=multipoint:",         decode_yes_no,     { &hf_facetime_sdp_multipoint } },
    { "a=iChatEncryption:",    decode_yes_no,     { &hf_facetime_sdp_ichat_encryption } },
    { "a=bandwidthDetection:", decode_yes_no,     { &hf_facetime_sdp_bandwidth_detection } },
    { "a=BBCODEC:",            decode_bbcodec,    { &hf_facetime_sdp_bbcodec_type,
                                                    &hf_facetime_sdp_bbcodec_rate } },
    { "a=allowrecording",      decode_flag,       { &hf_facetime_sdp_allowrecording } },
    { "m=",                    decode_media,      { NULL } },
    { "a=RTCP:",               decode_rtcp_ports, { &hf_facetime_sdp_rtcp_audio_port,
                                                    &hf_facetime_sdp_rtcp_video_port } },
    { "a=rtpID:",              decode_numbers,    { &hf_facetime_sdp_rtpid } },
    { "a=au:",                 decode_numbers,    { &hf_facetime_sdp_audio_unit } },
    { "a=fmtp:",               decode_fmtp,       { &hf_facetime_sdp_fmtp_payload_type,
                                                    &hf_facetime_sdp_fmtp_format } },
    { "a=imageattr:",          decode_imageattr,  { &hf_facetime_sdp_imageattr_payload_type } },
};
/* clang-format on */

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

/* The next line without its end; *rest goes on behind it. */
static piece_t
next_line(piece_t *rest)
{
    piece_t line = piece_split(rest, '\n');

    if (line.length > 0 && line.text[line.length - 1] == '\r')
        line.length--;
    return line;
}

/* m=video 16402 RTP/AVP 126 123 100 */
static sdp_media_t *
collect_media_line(sdp_t *sdp, piece_t value)
{
    piece_t kind = piece_split(&value, ' '), port = piece_split(&value, ' ');
    sdp_media_t *media;
    uint64_t number;

    if (sdp->media_count == SDP_MAX_MEDIA)
        return NULL;
    media = wmem_new0(sdp->pinfo->pool, sdp_media_t);
    sdp->media[sdp->media_count++] = media;
    media->medium.is_video = piece_is(kind, "video");
    if (piece_number(port, UINT16_MAX, &number))
        media->medium.port = (uint16_t)number;
    piece_split(&value, ' '); /* RTP/AVP */
    while (value.length > 0 && media->format_count < SDP_MAX_FORMATS) {
        if (piece_number(piece_split(&value, ' '), 127, &number))
            media->formats[media->format_count++] = (uint8_t)number;
    }
    return media;
}

/* a=rtpmap:123 H264/90000 */
static void
collect_rtpmap(sdp_t *sdp, sdp_media_t *media, piece_t value)
{
    piece_t number = piece_split(&value, ' '), name = piece_split(&value, '/'),
            rate = piece_split(&value, '/');
    uint64_t payload_type, hertz;

    if (!piece_number(number, 127, &payload_type) || name.length == 0)
        return;
    media->rtpmap[payload_type].payload_type = (uint8_t)payload_type;
    media->rtpmap[payload_type].name =
        ft_text_keep(sdp->pinfo->pool, name.text, (size_t)name.length, FT_MAX_CODEC_NAME);
    media->rtpmap[payload_type].clock_rate = piece_number(rate, UINT32_MAX, &hertz) ? (uint32_t)hertz : 0;
}

/* Reads what the lines of each m= say, before any line is shown: a=rtpmap stands behind the m= line that it
 * names. */
static void
collect_media(sdp_t *sdp)
{
    piece_t rest = sdp->text;
    sdp_media_t *media = NULL;
    uint64_t number;

    while (rest.length > 0) {
        piece_t line = next_line(&rest);

        if (piece_starts(line, "m="))
            media = collect_media_line(sdp, piece_skip(line, 2));
        else if (media && piece_starts(line, "a=rtpmap:"))
            collect_rtpmap(sdp, media, piece_skip(line, 9));
        else if (media && piece_starts(line, "a=rtpID:") &&
                 piece_number(piece_skip(line, 8), UINT32_MAX, &number))
            media->medium.ssrc = (uint32_t)number;
    }
}

/* Hands to the memory what the SDP promises. */
static void
learn_media(sdp_t *sdp)
{
    ft_sdp_medium media[SDP_MAX_MEDIA];

    for (unsigned i = 0; i < sdp->media_count; i++) {
        sdp_media_t *from = sdp->media[i];
        ft_codec *codecs = wmem_alloc_array(sdp->pinfo->pool, ft_codec, SDP_MAX_FORMATS);

        media[i] = from->medium;
        media[i].codecs = codecs;
        for (unsigned j = 0; j < from->format_count; j++) {
            const ft_codec *codec = media_codec(from, from->formats[j]);

            if (codec)
                codecs[media[i].codec_count++] = *codec;
        }
    }
    ft_media_sdp(sdp->pinfo, media, sdp->media_count);
}

/* Shows Apple's lines; all lines where stock SDP shows none. */
static void
show_lines(sdp_t *sdp, bool all)
{
    piece_t rest = sdp->text;

    while (rest.length > 0) {
        piece_t text = next_line(&rest);
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

/* Where the text is longer than what is looked at: the end of the last line within. */
static int
bounded_length(const char *text, int length)
{
    int at = 0;

    for (int lines = 0; at < length && lines < SDP_MAX_LINES; lines++) {
        const char *end = (const char *)memchr(text + at, '\n', (size_t)(length - at));
        int next = end ? (int)(end - text) + 1 : length;

        if (next > SDP_MAX_LENGTH)
            return at > 0 ? at : SDP_MAX_LENGTH;
        at = next;
    }
    return at;
}

/* Stock SDP calls a=fmtp an error where it has a codec's name for a payload type. */
static bool
stock_objects(piece_t line)
{
    return piece_starts(line, "a=fmtp:") && line.length > 7 && g_ascii_isalpha(line.text[7]);
}

/* The text as stock SDP gets it: whole lines, without those that it objects to. NULL if none is left. */
static tvbuff_t *
text_for_stock(const sdp_t *sdp)
{
    piece_t rest = sdp->text;
    char *kept = (char *)wmem_alloc(sdp->pinfo->pool, (size_t)sdp->text.length);
    int length = 0, looked_at = 0;
    tvbuff_t *tvb;

    while (rest.length > 0) {
        piece_t start = rest, line = next_line(&rest);
        int with_end = start.length - rest.length;

        if (sdp->cut && rest.length == 0)
            break;
        looked_at += with_end;
        if (stock_objects(line))
            continue;
        memcpy(kept + length, start.text, (size_t)with_end);
        length += with_end;
    }
    if (length == 0)
        return NULL;
    if (length == looked_at)
        return tvb_new_subset_length(sdp->tvb, 0, length);
    tvb = tvb_new_child_real_data(sdp->tvb, (const uint8_t *)kept, (unsigned)length, length);
    add_new_data_source(sdp->pinfo, tvb, "SDP without a=fmtp by codec name");
    return tvb;
}

/* whole: tvb has all of the text; trusted: it is what the sender meant, so stock SDP may see it. */
static void
dissect_sdp_text(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool whole, bool trusted)
{
    const int length = (int)tvb_captured_length(tvb);
    const char *text = (const char *)tvb_get_ptr(tvb, 0, length);
    sdp_t sdp = { .pinfo = pinfo, .tvb = tvb, .text = { text, 0, bounded_length(text, length) } };
    proto_item *item;

    sdp.cut = text[sdp.text.length - 1] != '\n' && (!whole || sdp.text.length < length);
    collect_media(&sdp);
    learn_media(&sdp);
    if (trusted) {
        tvbuff_t *stock_tvb = text_for_stock(&sdp);

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
export_sdp(void *tap_data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped, tap_flags_t flags _U_)
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

static void
tap_sdp(tvbuff_t *text, packet_info *pinfo, const char *method)
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

static void
reveal_sdp(tvbuff_t *text, packet_info *pinfo, const char *role)
{
    const unsigned length = tvb_captured_length(text);

    if (length && ft_learning(pinfo))
        ft_reveal_sdp(pinfo, role, (const char *)tvb_get_ptr(text, 0, (int)length), length);
}

/* ---- SIP bodies ---- */

typedef struct {
    tvbuff_t *tvb; /* NULL where nothing came out */
    bool whole;
    bool trusted;
} body_t;

static void
add_coding(tvbuff_t *tvb, const sip_message_t *sip, proto_tree *tree, sdp_inflate_coding_t coding)
{
    proto_item *item =
        proto_tree_add_uint(tree, hf_facetime_sip_coding, tvb, sip->body_offset, sip->body_length, coding);

    proto_item_set_generated(item);
}

/* Says why inflating ended where it shouldn't. */
static void
add_inflate_experts(packet_info *pinfo, proto_item *item, const sdp_inflate_result_t *result,
                    const sip_message_t *sip)
{
    const int length = (int)result->length;

    switch (result->end) {
    case SDP_INFLATE_CAP:
        expert_add_info_format(
            pinfo, item, &ei_facetime_sip_inflate_limit,
            "The body inflates to more than %d bytes (preference facetime_sip.inflate_cap); "
            "the rest is not read",
            length);
        break;
    case SDP_INFLATE_TRUNCATED:
        expert_add_info_format(pinfo, item, &ei_facetime_sip_inflate_truncated,
                               "The compressed body ends before its end%s; %d bytes came out",
                               sip->body_cut ? ", as not all of it was captured" : "", length);
        break;
    case SDP_INFLATE_CORRUPT:
        expert_add_info_format(
            pinfo, item, &ei_facetime_sip_inflate_corrupt,
            "The compressed body is damaged after %zu of its %d bytes; %d bytes came out before",
            result->consumed, sip->body_length, length);
        break;
    case SDP_INFLATE_NO_MEMORY:
        expert_add_info_format(pinfo, item, &ei_facetime_sip_inflate_limit, "No memory to inflate the body");
        break;
    case SDP_INFLATE_DONE:
        if (result->consumed < (size_t)sip->body_length)
            expert_add_info(pinfo, item, &ei_facetime_sip_inflate_trailing);
        break;
    }
}

/* The body as it stands. */
static body_t
plain_body(tvbuff_t *tvb, const sip_message_t *sip)
{
    return (body_t){ tvb_new_subset_length(tvb, sip->body_offset, sip->body_length), !sip->body_cut, true };
}

/* True where nothing came out of what the header calls compressed because it's text. */
static bool
is_plain_text(const sdp_inflate_result_t *result, const uint8_t *data, const sip_message_t *sip)
{
    if (result->end != SDP_INFLATE_CORRUPT || result->coding != SDP_INFLATE_RAW || result->length > 0)
        return false;
    if (sip->body_kind == BODY_SDP)
        return sip->body_length > 2 && memcmp(data, "v=", 2) == 0;
    return g_ascii_isprint(data[0]);
}

/* The body inflated. A body that isn't compressed although the header says so is taken as it stands. */
static body_t
inflate_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_item *item, const sip_message_t *sip)
{
    const uint8_t *data = tvb_get_ptr(tvb, sip->body_offset, sip->body_length);
    const size_t cap = (size_t)CLAMP(pref_inflate_cap, 1, INFLATE_CAP_MAX) * 1024;
    sdp_inflate_result_t result;
    body_t body = { NULL, false, false };
    proto_item *length_item;
    uint8_t *text;

    sdp_inflate(data, (size_t)sip->body_length, cap, &result);
    if (is_plain_text(&result, data, sip)) {
        sdp_inflate_free(&result);
        add_coding(tvb, sip, tree, SDP_INFLATE_NONE);
        expert_add_info(pinfo, item, &ei_facetime_sip_not_compressed);
        return plain_body(tvb, sip);
    }
    add_coding(tvb, sip, tree, result.coding);
    length_item = proto_tree_add_uint(tree, hf_facetime_sip_inflated_length, tvb, sip->body_offset,
                                      sip->body_length, (uint32_t)result.length);
    proto_item_set_generated(length_item);
    add_inflate_experts(pinfo, item, &result, sip);
    if (result.length > 0) {
        text = (uint8_t *)wmem_memdup(pinfo->pool, result.text, result.length);
        body.tvb = tvb_new_child_real_data(tvb, text, (unsigned)result.length, (int)result.length);
        add_new_data_source(pinfo, body.tvb, sip->body_kind == BODY_SDP ? "Inflated SDP" : "Inflated body");
        body.whole = result.end == SDP_INFLATE_DONE;
        body.trusted = body.whole || result.end == SDP_INFLATE_TRUNCATED;
    }
    sdp_inflate_free(&result);
    return body;
}

/* SKESeq: 18446744073709551615;4294967295 */
static void
add_ske_sequence(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const sip_header_t *header)
{
    piece_t fragment, sequence;
    uint64_t sequence_number, fragment_number;

    if (!header->value)
        return;
    fragment = (piece_t){ header->value, 0, (int)strlen(header->value) };
    sequence = piece_trim(piece_split(&fragment, ';'));
    fragment = piece_trim(fragment);
    if (!piece_number(sequence, UINT64_MAX, &sequence_number) ||
        !piece_number(fragment, UINT32_MAX, &fragment_number)) {
        proto_tree_add_expert(tree, pinfo, &ei_facetime_sip_bad_skeseq, tvb, header->offset, header->length);
        return;
    }
    proto_tree_add_uint64(tree, hf_facetime_sip_ske_sequence, tvb, header->offset, header->length,
                          sequence_number);
    proto_tree_add_uint(tree, hf_facetime_sip_ske_fragment, tvb, header->offset, header->length,
                        (uint32_t)fragment_number);
}

/* Reason: *;cause=291;text="Remote Hang Up" */
static void
add_reason(tvbuff_t *tvb, proto_tree *tree, const sip_header_t *header)
{
    const char *cause;
    unsigned length = 0;
    uint64_t code;

    if (!header->value)
        return;
    proto_tree_add_string(tree, hf_facetime_sip_reason, tvb, header->offset, header->length, header->value);
    cause = strstr(header->value, "cause=");
    if (!cause)
        return;
    cause += strlen("cause=");
    while (g_ascii_isdigit(cause[length]))
        length++;
    if (piece_number((piece_t){ cause, 0, (int)length }, UINT32_MAX, &code))
        proto_tree_add_uint(tree, hf_facetime_sip_reason_code, tvb, header->offset, header->length,
                            (uint32_t)code);
}

/* "Viceroy 1.7.0/GK" */
static void
add_viceroy(tvbuff_t *tvb, proto_tree *tree, const sip_header_t *header)
{
    const char *name = header->value ? strstr(header->value, "Viceroy ") : NULL;

    if (name)
        proto_tree_add_string(tree, hf_facetime_sip_viceroy, tvb, header->offset, header->length,
                              name + strlen("Viceroy "));
}

static proto_item *
add_body_text(packet_info *pinfo, tvbuff_t *body, proto_tree *tree, int hf, int length)
{
    return proto_tree_add_string(tree, hf, body, 0, length,
                          ft_text_keep(pinfo->pool, tvb_get_ptr(body, 0, length), (size_t)length, SDP_MAX_LENGTH));
}

/* iChat AV (to 2012), FaceTime's ancestor: Viceroy 1.x that isn't of the GameKit flavour. Published, and so in the INVITE of
 * 2010. */
static bool
is_ichat_agent(const sip_header_t *agent)
{
    const char *name = agent->value ? strstr(agent->value, "Viceroy 1.") : NULL;

    return name && !strstr(name, "/GK");
}

/* SDP tells the same, where the user agent doesn't say otherwise. */
static bool
is_ichat_sdp(tvbuff_t *text, const sip_header_t *agent)
{
    const int length = (int)tvb_captured_length(text);

    if (agent->value && strstr(agent->value, "/GK"))
        return false;
    return length > 0 && g_strstr_len((const char *)tvb_get_ptr(text, 0, length), length, "\na=iChatEncryption:");
}

static void
note_ichat(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (packet)
        packet->generation = FT_ICHAT;
    ft_call_is_ichat(pinfo);
}

/* "PING", or "key:value" */
static void
add_text_message(tvbuff_t *body, packet_info *pinfo, proto_tree *tree)
{
    const int length = (int)tvb_captured_length(body);
    int colon = tvb_find_uint8(body, 0, length, ':');
    proto_item *item = add_body_text(pinfo, body, tree, hf_facetime_sip_text, length);

    if (length == 4 && tvb_strneql(body, 0, "PING", 4) == 0)
        proto_item_append_text(item, " (heartbeat)");
    else if (colon > 0)
        add_body_text(pinfo, body, tree, hf_facetime_sip_notice, colon);
}

/* What stands behind name in a header's value, up to one of ends; "" where it doesn't. */
static const char *
parameter(wmem_allocator_t *pool, const char *value, const char *name, const char *ends)
{
    const char *found = strstr(value, name);

    return found ? wmem_strndup(pool, found + strlen(name), strcspn(found + strlen(name), ends)) : "";
}

/* "1021" <sip:user@192.0.2.1:16402>;tag=527520767: "527520767" */
static const char *
tag_of(wmem_allocator_t *pool, const sip_header_t *party)
{
    const char *value = whole_value(party), *uri_end = strrchr(value, '>');

    return parameter(pool, uri_end ? uri_end : value, ";tag=", "; ");
}

static ft_sdp_presence
sdp_presence(const sip_message_t *sip)
{
    if (sip->body_offset < 0)
        return FT_SDP_UNKNOWN;
    return sip->body_kind == BODY_SDP ? FT_SDP_THERE : FT_SDP_NONE;
}

/* What memory is told. Many messages were captured only as far as some header before Call-ID. */
static ft_sip
message_to_learn(packet_info *pinfo, const sip_message_t *sip)
{
    return (ft_sip){ .method = sip->method,
                     .status = sip->status,
                     .call_id = whole_value(&sip->header[CALL_ID]),
                     .from_tag = tag_of(pinfo->pool, &sip->header[FROM]),
                     .to_tag = tag_of(pinfo->pool, &sip->header[TO]),
                     .via_branch = parameter(pinfo->pool, whole_value(&sip->header[VIA]), ";branch=", "; ,"),
                     .cseq = sip->cseq,
                     .has_cseq = sip->has_cseq,
                     .sdp = sdp_presence(sip),
                     .reason = sip->header[REASON].value };
}

static void
add_header_experts(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const sip_message_t *sip)
{
    if (is_cut(tvb))
        expert_add_info_format(pinfo, item, &ei_facetime_sip_cut,
                               "Only the first %u of the message's %u bytes were captured",
                               tvb_captured_length(tvb), tvb_reported_length(tvb));
    else if (sip->body_offset < 0)
        expert_add_info(pinfo, item, &ei_facetime_sip_no_header_end);
    else if (sip->body_cut)
        expert_add_info_format(pinfo, item, &ei_facetime_sip_content_length,
                               "Content-Length says %s, but the datagram ends after %d bytes of body",
                               sip->header[CONTENT_LENGTH].value, sip->body_length);
    if (sip->compressed && !sip->header[CONTENT_ENCODING].value)
        expert_add_info(pinfo, item, &ei_facetime_sip_unlabelled_compression);
}

static void
add_trailing(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const sip_message_t *sip)
{
    proto_item *item;

    if (sip->trailing_length == 0)
        return;
    item = proto_tree_add_item(tree, hf_facetime_sip_trailing_bytes, tvb, sip->body_offset + sip->body_length,
                               sip->trailing_length, ENC_NA);
    expert_add_info_format(pinfo, item, &ei_facetime_sip_trailing, "Content-Length says %d; %d bytes follow",
                           sip->body_length, sip->trailing_length);
}

static void
dissect_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_tree *sip_tree, proto_item *item,
             const sip_message_t *sip, const ft_sip *learnt)
{
    body_t body;

    if (sip->body_kind == BODY_NONE)
        return;
    if (sip->compressed) {
        body = inflate_body(tvb, pinfo, sip_tree, item, sip);
    } else {
        add_coding(tvb, sip, sip_tree, SDP_INFLATE_NONE);
        body = plain_body(tvb, sip);
    }
    if (!body.tvb)
        return;
    if (sip->body_kind == BODY_SDP) {
        tap_sdp(body.tvb, pinfo, ft_sip_is_offer(pinfo, learnt) ? "offer" : "answer");
        if (is_ichat_sdp(body.tvb, &sip->header[USER_AGENT]))
            note_ichat(pinfo);
        reveal_sdp(body.tvb, pinfo, ft_sip_is_offer(pinfo, learnt) ? "offer" : "answer");
        dissect_sdp_text(body.tvb, pinfo, tree, body.whole, body.trusted);
    } else if (sip->body_kind == BODY_SKE)
        proto_tree_add_item(sip_tree, hf_facetime_sip_ske_data, body.tvb, 0, -1, ENC_NA);
    else if (sip->body_kind == BODY_TEXT)
        add_text_message(body.tvb, pinfo, sip_tree);
}

/* Stock SIP sees the body too only where it is neither compressed, nor SDP, nor a key exchange. */
static tvbuff_t *
message_for_stock(tvbuff_t *tvb, const sip_message_t *sip)
{
    const bool header_only = sip->compressed || sip->body_kind == BODY_SDP || sip->body_kind == BODY_SKE;

    return header_only ? tvb_new_subset_length(tvb, 0, sip->body_offset) : tvb;
}

static int
dissect_facetime_sip(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    sip_message_t sip;
    proto_item *item;
    proto_tree *sip_tree;

    if (!parse_sip(pinfo->pool, tvb, &sip))
        return 0;
    ft_call_dissector(sip_handle, message_for_stock(tvb, &sip), pinfo, tree);
    const ft_sip learnt = message_to_learn(pinfo, &sip);
    ft_sip_learn(pinfo, &learnt);
    if (is_ichat_agent(&sip.header[USER_AGENT]))
        note_ichat(pinfo);

    item = proto_tree_add_item(tree, proto_facetime_sip, tvb, 0, -1, ENC_NA);
    sip_tree = proto_item_add_subtree(item, ett_facetime_sip);
    add_header_experts(pinfo, item, tvb, &sip);
    add_viceroy(tvb, sip_tree, &sip.header[USER_AGENT]);
    add_ske_sequence(tvb, pinfo, sip_tree, &sip.header[SKE_SEQ]);
    add_reason(tvb, sip_tree, &sip.header[REASON]);
    dissect_body(tvb, pinfo, tree, sip_tree, item, &sip, &learnt);
    add_trailing(tvb, pinfo, sip_tree, &sip);
    return (int)tvb_captured_length(tvb);
}

/* ---- Registration ---- */

/* clang-format off */
static void
register_sip_fields(void)
{
    static hf_register_info hf[] = {
        { &hf_facetime_sip_viceroy,
          { "Viceroy version", "facetime_sip.viceroy", FT_STRING, BASE_NONE, NULL, 0,
            "Version of Apple's SIP stack, from User-Agent; /GK is the GameKit flavour of iOS and "
            "FaceTime, without it 1.x is iChat AV's", HFILL } },
        { &hf_facetime_sip_coding,
          { "Body coding", "facetime_sip.coding", FT_UINT8, BASE_DEC, VALS(coding_vals), 0,
            "How the body is compressed, told by its first bytes", HFILL } },
        { &hf_facetime_sip_inflated_length,
          { "Inflated length", "facetime_sip.inflated_length", FT_UINT32, BASE_DEC, NULL, 0,
            "Bytes that came out of the compressed body, at most the cap of "
            "facetime_sip.inflate_cap", HFILL } },
        { &hf_facetime_sip_ske_sequence,
          { "SKE sequence", "facetime_sip.ske.sequence", FT_UINT64, BASE_DEC, NULL, 0,
            "Key exchange (SimpleKeyExchange): number of the message, the first value of SKESeq", HFILL } },
        { &hf_facetime_sip_ske_fragment,
          { "SKE fragment", "facetime_sip.ske.fragment", FT_UINT32, BASE_DEC, NULL, 0,
            "Key exchange (SimpleKeyExchange): fragment of the message, the second value of "
            "SKESeq", HFILL } },
        { &hf_facetime_sip_ske_data,
          { "SKE data", "facetime_sip.ske.data", FT_BYTES, BASE_NONE, NULL, 0,
            "Key exchange (SimpleKeyExchange): one fragment of a message in ASN.1", HFILL } },
        { &hf_facetime_sip_text,
          { "Text message", "facetime_sip.text", FT_STRING, BASE_NONE, NULL, 0,
            "Body of a text MESSAGE: PING is a heartbeat, key:value a notice", HFILL } },
        { &hf_facetime_sip_notice,
          { "Notice", "facetime_sip.notice", FT_STRING, BASE_NONE, NULL, 0,
            "Key of a notice, what stands before ':' in a text MESSAGE", HFILL } },
        { &hf_facetime_sip_reason,
          { "Reason", "facetime_sip.reason", FT_STRING, BASE_NONE, NULL, 0,
            "Why the call was ended (header Reason of a BYE)", HFILL } },
        { &hf_facetime_sip_reason_code,
          { "Reason code", "facetime_sip.reason.code", FT_UINT32, BASE_DEC, NULL, 0,
            "Apple's detailed error code, 291 is a timeout; that it stands after cause= is "
            "inferred", HFILL } },
        { &hf_facetime_sip_trailing_bytes,
          { "Trailing bytes", "facetime_sip.trailing_bytes", FT_BYTES, BASE_NONE, NULL, 0,
            "Bytes that follow the body as long as Content-Length says it is", HFILL } },
    };
    proto_register_field_array(proto_facetime_sip, hf, array_length(hf));
}

static void
register_sdp_fields(void)
{
    static hf_register_info hf[] = {
        { &hf_facetime_sdp_line,
          { "Line", "facetime_sdp.line", FT_STRING, BASE_NONE, NULL, 0,
            "A line of the SDP that is Apple's, or any line where stock SDP shows none", HFILL } },
        { &hf_facetime_sdp_user,
          { "User", "facetime_sdp.user", FT_STRING, BASE_NONE, NULL, 0,
            "s= has the first word of the user's name in the operating system; on iOS that is "
            "mobile", HFILL } },
        { &hf_facetime_sdp_bandwidth_answer,
          { "Answer bandwidth", "facetime_sdp.bandwidth.answer", FT_UINT32, BASE_DEC, NULL, 0,
            "First value of b=AS:answer:max, kbit/s; only answers have it", HFILL } },
        { &hf_facetime_sdp_bandwidth_max,
          { "Largest bandwidth", "facetime_sdp.bandwidth.max", FT_UINT32, BASE_DEC, NULL, 0,
            "Last value of b=AS, kbit/s", HFILL } },
        { &hf_facetime_sdp_rtpid,
          { "SSRC to come", "facetime_sdp.rtpid", FT_UINT32, BASE_DEC_HEX, NULL, 0,
            "a=rtpID: the SSRC that the sender of this SDP will use for the medium", HFILL } },
        { &hf_facetime_sdp_audio_unit,
          { "Audio unit model", "facetime_sdp.audio_unit", FT_UINT32, BASE_DEC_HEX, NULL, 0,
            "a=au: model or version of the audio unit", HFILL } },
        { &hf_facetime_sdp_dmbr,
          { "Dynamic maximal bit rate", "facetime_sdp.dmbr", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "a=DMBR: the sender allows the maximal bit rate to change", HFILL } },
        { &hf_facetime_sdp_cap,
          { "Content may change, aspect is kept", "facetime_sdp.cap", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "a=CAP: the sender allows the content to change with its aspect ratio preserved", HFILL } },
        { &hf_facetime_sdp_features_payload_type,
          { "Features of payload type", "facetime_sdp.features.payload_type", FT_UINT8, BASE_DEC, NULL, 0,
            "Payload type that a feature list speaks of: a=FLS of 126 (X-H264), a=X_FLS of the one it "
            "names", HFILL } },
        { &hf_facetime_sdp_feature,
          { "Feature", "facetime_sdp.feature", FT_STRING, BASE_NONE, NULL, 0,
            "One token of a feature list (FLS), key or key:value; many meanings are inferred or "
            "unknown", HFILL } },
        { &hf_facetime_sdp_media_payload_type,
          { "Payload type", "facetime_sdp.media.payload_type", FT_UINT8, BASE_DEC, NULL, 0,
            "Payload type of an m= line", HFILL } },
        { &hf_facetime_sdp_media_codec,
          { "Codec", "facetime_sdp.media.codec", FT_STRING, BASE_NONE, NULL, 0,
            "Codec of the payload type, from a=rtpmap, or FaceTime's use of the number where that line is "
            "missing (of 20, 97, 98, 101, 107, 108, 111, 113 and 119 inferred)", HFILL } },
        { &hf_facetime_sdp_fmtp_payload_type,
          { "Format of payload type", "facetime_sdp.fmtp.payload_type", FT_UINT8, BASE_DEC, NULL, 0,
            "Payload type that a=fmtp speaks of", HFILL } },
        { &hf_facetime_sdp_fmtp_format,
          { "Format of codec", "facetime_sdp.fmtp.format", FT_STRING, BASE_NONE, NULL, 0,
            "Name of a codec where a=fmtp should have a payload type", HFILL } },
        { &hf_facetime_sdp_block,
          { "Samples per block", "facetime_sdp.block", FT_UINT32, BASE_DEC, NULL, 0,
            "SamplesPerBlock or block of a=fmtp: audio samples in one frame of AAC", HFILL } },
        { &hf_facetime_sdp_sbr,
          { "Spectral band replication", "facetime_sdp.sbr", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "sbr of a=fmtp: the codec uses spectral band replication", HFILL } },
        { &hf_facetime_sdp_secondary,
          { "Secondary payload", "facetime_sdp.secondary", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "sec of a=fmtp: a redundant or alternative audio payload only", HFILL } },
        { &hf_facetime_sdp_imagesize,
          { "Image size", "facetime_sdp.imagesize", FT_UINT32, BASE_DEC, NULL, 0,
            "imagesize of a=fmtp: number of the rule for video that falls back; 0 in all samples", HFILL } },
        { &hf_facetime_sdp_imagesize_send_fps,
          { "Frames a second to send", "facetime_sdp.imagesize.send_fps", FT_UINT32, BASE_DEC, NULL, 0,
            "First value of the imagesize rules; the order of the values is inferred", HFILL } },
        { &hf_facetime_sdp_imagesize_send_width,
          { "Width to send", "facetime_sdp.imagesize.send_width", FT_UINT32, BASE_DEC, NULL, 0,
            "Second value of the imagesize rules; the order of the values is inferred", HFILL } },
        { &hf_facetime_sdp_imagesize_send_height,
          { "Height to send", "facetime_sdp.imagesize.send_height", FT_UINT32, BASE_DEC, NULL, 0,
            "Third value of the imagesize rules; the order of the values is inferred", HFILL } },
        { &hf_facetime_sdp_imagesize_recv_width,
          { "Width to receive", "facetime_sdp.imagesize.recv_width", FT_UINT32, BASE_DEC, NULL, 0,
            "Fourth value of the imagesize rules; the order of the values is inferred", HFILL } },
        { &hf_facetime_sdp_imagesize_recv_height,
          { "Height to receive", "facetime_sdp.imagesize.recv_height", FT_UINT32, BASE_DEC, NULL, 0,
            "Fifth value of the imagesize rules; the order of the values is inferred", HFILL } },
        { &hf_facetime_sdp_imagesize_recv_fps,
          { "Frames a second to receive", "facetime_sdp.imagesize.recv_fps", FT_UINT32, BASE_DEC, NULL, 0,
            "Last value of the imagesize rules; the order of the values is inferred", HFILL } },
        { &hf_facetime_sdp_imageattr_payload_type,
          { "Image sizes of payload type", "facetime_sdp.imageattr.payload_type", FT_UINT8, BASE_DEC, NULL, 0,
            "Payload type that a=imageattr (RFC 6236) speaks of", HFILL } },
        { &hf_facetime_sdp_imageattr_direction,
          { "Direction", "facetime_sdp.imageattr.direction", FT_UINT8, BASE_DEC, VALS(direction_vals), 0,
            "Whether the sender of the SDP would send or receive this size", HFILL } },
        { &hf_facetime_sdp_imageattr_width,
          { "Width", "facetime_sdp.imageattr.width", FT_UINT32, BASE_DEC, NULL, 0,
            "x of a set of a=imageattr, in pixels; the smallest and the largest where it's a "
            "range", HFILL } },
        { &hf_facetime_sdp_imageattr_height,
          { "Height", "facetime_sdp.imageattr.height", FT_UINT32, BASE_DEC, NULL, 0,
            "y of a set of a=imageattr, in pixels; the smallest and the largest where it's a "
            "range", HFILL } },
        { &hf_facetime_sdp_imageattr_fps,
          { "Frames a second", "facetime_sdp.imageattr.fps", FT_UINT32, BASE_DEC, NULL, 0,
            "fps of a set of a=imageattr, without decimals", HFILL } },
        { &hf_facetime_sdp_imageattr_interface,
          { "Interface", "facetime_sdp.imageattr.interface", FT_UINT32, BASE_DEC, VALS(interface_vals), 0,
            "i of a set of a=imageattr: the network that the size is meant for; Wi-Fi where it's "
            "absent", HFILL } },
        { &hf_facetime_sdp_imageattr_preference,
          { "Preference", "facetime_sdp.imageattr.preference", FT_FLOAT, BASE_NONE, NULL, 0,
            "q of a set of a=imageattr, 0 to 1; 0.5 where it's absent", HFILL } },
        { &hf_facetime_sdp_hwi_cpu,
          { "CPU", "facetime_sdp.hwi.cpu", FT_UINT32, BASE_DEC_HEX, NULL, 0,
            "First value of a=hwi (iChat): an identifier of the CPU, a guess", HFILL } },
        { &hf_facetime_sdp_hwi_cores,
          { "CPU cores", "facetime_sdp.hwi.cores", FT_UINT32, BASE_DEC, NULL, 0,
            "Second value of a=hwi (iChat): number of cores, a guess", HFILL } },
        { &hf_facetime_sdp_hwi_mhz,
          { "CPU clock", "facetime_sdp.hwi.mhz", FT_UINT32, BASE_DEC, NULL, 0,
            "Third value of a=hwi (iChat): clock in MHz, a guess", HFILL } },
        { &hf_facetime_sdp_multipoint,
          { "Multipoint", "facetime_sdp.multipoint", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "a=multipoint (iChat): the sender can take part in a call of more than two (inferred)", HFILL } },
        { &hf_facetime_sdp_ichat_encryption,
          { "iChat encryption", "facetime_sdp.ichat_encryption", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "a=iChatEncryption (iChat): media is encrypted (inferred)", HFILL } },
        { &hf_facetime_sdp_bandwidth_detection,
          { "Bandwidth detection", "facetime_sdp.bandwidth_detection", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "a=bandwidthDetection (iChat): the sender measures bandwidth (inferred)", HFILL } },
        { &hf_facetime_sdp_rtcp_audio_port,
          { "RTCP port of audio", "facetime_sdp.rtcp.audio_port", FT_UINT32, BASE_DEC, NULL, 0,
            "a=RTCP:AUDIO (iChat): port of audio's RTCP", HFILL } },
        { &hf_facetime_sdp_rtcp_video_port,
          { "RTCP port of video", "facetime_sdp.rtcp.video_port", FT_UINT32, BASE_DEC, NULL, 0,
            "VIDEO of a=RTCP (iChat): port of video's RTCP", HFILL } },
        { &hf_facetime_sdp_bbcodec_type,
          { "Baseband codec type", "facetime_sdp.bbcodec.type", FT_STRING, BASE_NONE, NULL, 0,
            "a=BBCODEC: codec of the phone's baseband; no sample is known", HFILL } },
        { &hf_facetime_sdp_bbcodec_rate,
          { "Baseband codec rate", "facetime_sdp.bbcodec.rate", FT_STRING, BASE_NONE, NULL, 0,
            "Second value of a=BBCODEC; no sample is known", HFILL } },
        { &hf_facetime_sdp_allowrecording,
          { "Recording allowed", "facetime_sdp.allowrecording", FT_BOOLEAN, BASE_NONE, NULL, 0,
            "a=allowrecording: the sender allows the call to be recorded", HFILL } },
    };
    proto_register_field_array(proto_facetime_sdp, hf, array_length(hf));
}

static void
register_experts(void)
{
    static ei_register_info sip_ei[] = {
        { &ei_facetime_sip_inflate_limit,
          { "facetime_sip.inflate_limit", PI_UNDECODED, PI_WARN,
            "The body inflates to more than the cap", EXPFILL } },
        { &ei_facetime_sip_inflate_corrupt,
          { "facetime_sip.inflate_corrupt", PI_MALFORMED, PI_ERROR,
            "The compressed body is damaged", EXPFILL } },
        { &ei_facetime_sip_inflate_truncated,
          { "facetime_sip.inflate_truncated", PI_UNDECODED, PI_WARN,
            "The compressed body ends before its end", EXPFILL } },
        { &ei_facetime_sip_inflate_trailing,
          { "facetime_sip.inflate_trailing", PI_UNDECODED, PI_NOTE,
            "Bytes follow the end of the compressed body", EXPFILL } },
        { &ei_facetime_sip_not_compressed,
          { "facetime_sip.not_compressed", PI_PROTOCOL, PI_NOTE,
            "Content-Encoding says compressed, but the body is plain text", EXPFILL } },
        { &ei_facetime_sip_unlabelled_compression,
          { "facetime_sip.unlabelled_compression", PI_PROTOCOL, PI_NOTE,
            "The body is compressed, but no Content-Encoding says so", EXPFILL } },
        { &ei_facetime_sip_content_length,
          { "facetime_sip.content_length", PI_PROTOCOL, PI_WARN,
            "Content-Length is more than the datagram has", EXPFILL } },
        { &ei_facetime_sip_no_header_end,
          { "facetime_sip.no_header_end", PI_PROTOCOL, PI_WARN,
            "The header doesn't end with an empty line", EXPFILL } },
        { &ei_facetime_sip_cut,
          { "facetime_sip.cut", PI_UNDECODED, PI_NOTE, "Not all of the message was captured", EXPFILL } },
        { &ei_facetime_sip_trailing,
          { "facetime_sip.trailing", PI_PROTOCOL, PI_NOTE,
            "Bytes follow the body as long as Content-Length says it is", EXPFILL } },
        { &ei_facetime_sip_bad_skeseq,
          { "facetime_sip.bad_skeseq", PI_PROTOCOL, PI_WARN, "SKESeq isn't sequence;fragment", EXPFILL } },
    };
    static ei_register_info sdp_ei[] = {
        { &ei_facetime_sdp_apple_way,
          { "facetime_sdp.apple_way", PI_PROTOCOL, PI_CHAT,
            "Not as RFC 8866 has it, but Apple's way", EXPFILL } },
        { &ei_facetime_sdp_bad_value,
          { "facetime_sdp.bad_value", PI_PROTOCOL, PI_WARN, "A value that can't be read", EXPFILL } },
        { &ei_facetime_sdp_too_long,
          { "facetime_sdp.too_long", PI_UNDECODED, PI_WARN,
            "SDP is too long to be shown to its end", EXPFILL } },
        { &ei_facetime_sdp_cut_line,
          { "facetime_sdp.cut_line", PI_UNDECODED, PI_NOTE, "The text ends in this line", EXPFILL } },
    };
    expert_register_field_array(expert_register_protocol(proto_facetime_sip), sip_ei, array_length(sip_ei));
    expert_register_field_array(expert_register_protocol(proto_facetime_sdp), sdp_ei, array_length(sdp_ei));
}

/* clang-format on */

void
proto_register_facetime_sip(void)
{
    static int *ett[] = {
        &ett_facetime_sip,
        &ett_facetime_sdp,
        &ett_facetime_sdp_line,
        &ett_facetime_sdp_imageattr,
    };
    module_t *module;

    proto_facetime_sip = proto_register_protocol("FaceTime SIP (Viceroy)", "FaceTime SIP", "facetime_sip");
    proto_facetime_sdp = proto_register_protocol("FaceTime SDP", "FaceTime SDP", "facetime_sdp");
    /* Export Objects names its menu entry and its option after a protocol: facetime-sdp. */
    sdp_export_tap = register_export_object(
        proto_register_protocol_in_name_only("FaceTime SDP (export)", "FaceTime SDP", "facetime-sdp",
                                             proto_facetime_sdp, FT_PROTOCOL), export_sdp, NULL);
    register_sip_fields();
    register_sdp_fields();
    register_experts();
    proto_register_subtree_array(ett, array_length(ett));
    register_dissector("facetime_sip", dissect_facetime_sip, proto_facetime_sip);

    module = prefs_register_protocol(proto_facetime_sip, NULL);
    prefs_register_uint_preference(module, "inflate_cap", "Inflate at most (KiB)",
                                   "A compressed SIP body is inflated up to this many KiB, from 1 to 1024",
                                   10, &pref_inflate_cap);
}

void
proto_reg_handoff_facetime_sip(void)
{
    sip_handle = find_dissector_add_dependency("sip", proto_facetime_sip);
    sdp_handle = find_dissector_add_dependency("sdp", proto_facetime_sip);
    ft_evidence_register(FT_SHAPE_SIP, prove_facetime_sip);
}
