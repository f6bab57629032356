/* packet-facetime-sip.c
 * FaceTime's SIP (Apple's "Viceroy" stack): compressed bodies, key exchange messages
 * (docs/protocol.md, 7 and 9)
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
 *   v=0                                                      after inflating: packet-facetime-sdp.c
 *
 *   MESSAGE sip:user@192.0.2.1:16402 SIP/2.0                   key exchange
 *   SKESeq: 1;0                                                sequence ; fragment
 *   Content-Type: application/ske
 *
 * Stock SIP gets the header, stock SDP the text as inflated here, so a deflate bomb costs no
 * more than the cap. Both do the standard part.
 */

#include "ws-compat.h"

#include <string.h>

#include <epan/expert.h>
#include <epan/packet.h>
#include <epan/prefs.h>

#include "calls/call.h"
#include "calls/dialog.h"
#include "calls/event.h"
#include "calls/evidence.h"
#include "calls/record.h"
#include "calls/text.h"
#include "packet-facetime-sdp.h"
#include "packet-rows.h"
#include "sdp_inflate/sdp_inflate.h"
#include "wire/piece.h"
#include "wire/sdp_text.h"
#include "wire/sip_message.h"

/* clang-format off */
/* Bounds. An SDP of a call has 1 to 2 KiB in some 40 lines. */
#define INFLATE_CAP_DEFAULT 64      /* KiB of inflated body that are kept */
#define INFLATE_CAP_MAX     1024
/* bytes of SDP that may prove FaceTime: o= is the second line */
#define PROOF_LENGTH        512
/* clang-format on */

void proto_register_facetime_sip(void);
void proto_reg_handoff_facetime_sip(void);

static int proto_facetime_sip = -1;

/* clang-format off */
#define SIP_FIELDS(X) \
    X(hf_facetime_sip_viceroy, "Viceroy version", "facetime_sip.viceroy", \
      FT_STRING, BASE_NONE, NULL, 0, \
      "Version of Apple's SIP stack, from User-Agent; /GK is the GameKit flavour of iOS and " \
      "FaceTime, without it 1.x is iChat AV's") \
    X(hf_facetime_sip_coding, "Body coding", "facetime_sip.coding", \
      FT_UINT8, BASE_DEC, VALS(coding_vals), 0, \
      "How the body is compressed, told by its first bytes") \
    X(hf_facetime_sip_inflated_length, "Inflated length", "facetime_sip.inflated_length", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "Bytes that came out of the compressed body, at most the cap of facetime_sip.inflate_cap") \
    X(hf_facetime_sip_ske_sequence, "SKE sequence", "facetime_sip.ske.sequence", \
      FT_UINT64, BASE_DEC, NULL, 0, \
      "Key exchange (SimpleKeyExchange): number of the message, the first value of SKESeq") \
    X(hf_facetime_sip_ske_fragment, "SKE fragment", "facetime_sip.ske.fragment", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "Key exchange (SimpleKeyExchange): fragment of the message, the second value of SKESeq") \
    X(hf_facetime_sip_ske_data, "SKE data", "facetime_sip.ske.data", FT_BYTES, BASE_NONE, NULL, 0, \
      "Key exchange (SimpleKeyExchange): one fragment of a message in ASN.1") \
    X(hf_facetime_sip_text, "Text message", "facetime_sip.text", FT_STRING, BASE_NONE, NULL, 0, \
      "Body of a text MESSAGE: PING is a heartbeat, key:value a notice") \
    X(hf_facetime_sip_notice, "Notice", "facetime_sip.notice", FT_STRING, BASE_NONE, NULL, 0, \
      "Key of a notice, what stands before ':' in a text MESSAGE") \
    X(hf_facetime_sip_reason, "Reason", "facetime_sip.reason", FT_STRING, BASE_NONE, NULL, 0, \
      "Why the call was ended (header Reason of a BYE)") \
    X(hf_facetime_sip_reason_code, "Reason code", "facetime_sip.reason.code", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "Apple's detailed error code, 291 is a timeout; that it stands after cause= is inferred") \
    X(hf_facetime_sip_trailing_bytes, "Trailing bytes", "facetime_sip.trailing_bytes", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes that follow the body as long as Content-Length says it is")

#define SIP_EXPERTS(X) \
    X(ei_facetime_sip_inflate_limit, "facetime_sip.inflate_limit", PI_UNDECODED, PI_WARN, \
      "The body inflates to more than the cap") \
    X(ei_facetime_sip_inflate_corrupt, "facetime_sip.inflate_corrupt", PI_MALFORMED, PI_ERROR, \
      "The compressed body is damaged") \
    X(ei_facetime_sip_inflate_truncated, "facetime_sip.inflate_truncated", PI_UNDECODED, PI_WARN, \
      "The compressed body ends before its end") \
    X(ei_facetime_sip_inflate_trailing, "facetime_sip.inflate_trailing", PI_UNDECODED, PI_NOTE, \
      "Bytes follow the end of the compressed body") \
    X(ei_facetime_sip_not_compressed, "facetime_sip.not_compressed", PI_PROTOCOL, PI_NOTE, \
      "Content-Encoding says compressed, but the body is plain text") \
    X(ei_facetime_sip_unlabelled_compression, "facetime_sip.unlabelled_compression", PI_PROTOCOL, \
      PI_NOTE, "The body is compressed, but no Content-Encoding says so") \
    X(ei_facetime_sip_content_length, "facetime_sip.content_length", PI_PROTOCOL, PI_WARN, \
      "Content-Length is more than the datagram has") \
    X(ei_facetime_sip_no_header_end, "facetime_sip.no_header_end", PI_PROTOCOL, PI_WARN, \
      "The header doesn't end with an empty line") \
    X(ei_facetime_sip_cut, "facetime_sip.cut", PI_UNDECODED, PI_NOTE, \
      "Not all of the message was captured") \
    X(ei_facetime_sip_trailing, "facetime_sip.trailing", PI_PROTOCOL, PI_NOTE, \
      "Bytes follow the body as long as Content-Length says it is") \
    X(ei_facetime_sip_bad_skeseq, "facetime_sip.bad_skeseq", PI_PROTOCOL, PI_WARN, \
      "SKESeq isn't sequence;fragment")

#define SIP_TREES(X) X(ett_facetime_sip)

SIP_FIELDS(DECLARE_FIELD)
SIP_EXPERTS(DECLARE_EXPERT)
SIP_TREES(DECLARE_TREE)
/* clang-format on */

static dissector_handle_t sip_handle;

static unsigned pref_inflate_cap = INFLATE_CAP_DEFAULT;

/* clang-format off */
static const value_string coding_vals[] = {
    { SDP_INFLATE_NONE, "none" },
    { SDP_INFLATE_ZLIB, "zlib" },
    { SDP_INFLATE_RAW,  "raw" },
    { SDP_INFLATE_GZIP, "gzip" },
    { 0, NULL }
};

/* clang-format on */

/* By its user agent, its key exchange, or the name that SDP's o= has. */
static bool
is_facetimes(tvbuff_t *tvb, const sip_message_t *sip)
{
    static const char origin[] = "\no=GKVoiceChatService ";
    const char *agent = sip->header[SIP_USER_AGENT].value;
    sdp_inflate_result_t inflated;

    if (sip->header[SIP_SKE_SEQ].value || sip->body_kind == BODY_SKE ||
        (agent && strstr(agent, "Viceroy ")))
        return true;
    if (sip->body_kind != BODY_SDP)
        return false;
    if (!sip->compressed) {
        const int length = MIN(sip->body_length, PROOF_LENGTH);

        return g_strstr_len((const char *)tvb_get_ptr(tvb, sip->body_offset, length), length,
                            origin) != NULL;
    }
    sdp_inflate(tvb_get_ptr(tvb, sip->body_offset, sip->body_length), (size_t)sip->body_length,
                PROOF_LENGTH, &inflated);
    const bool found =
        inflated.text && g_strstr_len(inflated.text, (gssize)inflated.length, origin) != NULL;
    sdp_inflate_free(&inflated);
    return found;
}

/* A message that was taken apart for its proof isn't taken apart again. Taken once, in its frame:
 * what it points to lives as long as the packet. */
static struct {
    const tvbuff_t *tvb; /* NULL: none is */
    uint32_t        number;
    int64_t         offset; /* of the frame in the file */
    sip_message_t   sip;
} proven;

static void
reset(void)
{
    proven.tvb = NULL;
}

/* The proof that a SIP message is FaceTime's. Other messages of the same dialog are known by
 * their flow. */
static bool
prove_facetime_sip(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    proven.tvb = NULL;
    if (!parse_sip(pinfo->pool, tvb, &proven.sip))
        return false;
    *generation = FT_LEGACY;
    if (!is_facetimes(tvb, &proven.sip))
        return false;
    proven.tvb = tvb;
    proven.number = pinfo->num;
    proven.offset = pinfo->fd->file_off;
    return true;
}

static bool
read_message(tvbuff_t *tvb, packet_info *pinfo, sip_message_t *sip)
{
    const bool is_proven = proven.tvb == tvb && proven.number == pinfo->num &&
                           proven.offset == pinfo->fd->file_off && !pinfo->fd->visited;

    proven.tvb = NULL;
    if (!is_proven)
        return parse_sip(pinfo->pool, tvb, sip);
    *sip = proven.sip;
    return true;
}

/* ---- SIP bodies ---- */

typedef struct {
    tvbuff_t *tvb; /* NULL where nothing came out */
    bool whole;
    bool trusted;
} body_t;

static void
add_coding(tvbuff_t *tvb, packet_info *pinfo, const sip_message_t *sip, proto_tree *tree,
           sdp_inflate_coding_t coding)
{
    proto_item *item = proto_tree_add_uint(tree, hf_facetime_sip_coding, tvb, sip->body_offset,
                                           sip->body_length, coding);
    ft_said *said = ft_said_get(pinfo);

    proto_item_set_generated(item);
    if (said)
        said->coding = val_to_str_const(coding, coding_vals, "?");
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
        expert_add_info_format(pinfo, item, &ei_facetime_sip_inflate_limit,
                               "No memory to inflate the body");
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
    return (body_t){ tvb_new_subset_length(tvb, sip->body_offset, sip->body_length), !sip->body_cut,
                     true };
}

/* True where nothing came out of what the header calls compressed because it's text. */
static bool
is_plain_text(const sdp_inflate_result_t *result, const uint8_t *data, const sip_message_t *sip)
{
    if (result->end != SDP_INFLATE_CORRUPT || result->coding != SDP_INFLATE_RAW ||
        result->length > 0)
        return false;
    if (sip->body_kind == BODY_SDP)
        return sip->body_length > 2 && memcmp(data, "v=", 2) == 0;
    return g_ascii_isprint(data[0]);
}

/* The body inflated. A body that isn't compressed although the header says so is taken as it
 * stands. */
static body_t
inflate_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_item *item,
             const sip_message_t *sip)
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
        add_coding(tvb, pinfo, sip, tree, SDP_INFLATE_NONE);
        expert_add_info(pinfo, item, &ei_facetime_sip_not_compressed);
        return plain_body(tvb, sip);
    }
    add_coding(tvb, pinfo, sip, tree, result.coding);
    length_item = proto_tree_add_uint(tree, hf_facetime_sip_inflated_length, tvb, sip->body_offset,
                                      sip->body_length, (uint32_t)result.length);
    proto_item_set_generated(length_item);
    add_inflate_experts(pinfo, item, &result, sip);
    if (result.length > 0) {
        text = (uint8_t *)wmem_memdup(pinfo->pool, result.text, result.length);
        body.tvb = tvb_new_child_real_data(tvb, text, (unsigned)result.length, (int)result.length);
        add_new_data_source(pinfo, body.tvb,
                            sip->body_kind == BODY_SDP ? "Inflated SDP" : "Inflated body");
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
        proto_tree_add_expert(tree, pinfo, &ei_facetime_sip_bad_skeseq, tvb, header->offset,
                              header->length);
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
    proto_tree_add_string(tree, hf_facetime_sip_reason, tvb, header->offset, header->length,
                          header->value);
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
    const uint8_t *bytes = tvb_get_ptr(body, 0, length);
    const char *text = ft_text_keep(pinfo->pool, bytes, (size_t)length, SDP_MAX_LENGTH);

    return proto_tree_add_string(tree, hf, body, 0, length, text);
}

/* iChat AV (to 2012), FaceTime's ancestor: Viceroy 1.x that isn't of the GameKit flavour.
 * Published, and so in the INVITE of 2010. What the capture cut may have been the /GK. */
static bool
is_ichat_agent(const sip_header_t *agent)
{
    const char *name = agent->value && !agent->cut ? strstr(agent->value, "Viceroy 1.") : NULL;

    return name && !strstr(name, "/GK");
}

/* SDP tells the same, where the user agent doesn't say otherwise. */
static bool
is_ichat_sdp(tvbuff_t *text, const sip_header_t *agent)
{
    const int length = (int)tvb_captured_length(text);

    if (agent->value && strstr(agent->value, "/GK"))
        return false;
    return length > 0 &&
           g_strstr_len((const char *)tvb_get_ptr(text, 0, length), length, "\na=iChatEncryption:");
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
    int colon = ws_find_uint8(body, 0, length, ':');
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

    return found ? ft_text_copy(pool, found + strlen(name), strcspn(found + strlen(name), ends))
                 : "";
}

/* "1021" <sip:user@192.0.2.1:16402>;tag=527520767: "527520767" */
static const char *
tag_of(wmem_allocator_t *pool, const sip_header_t *party)
{
    const char *value = sip_whole_value(party), *uri_end = strrchr(value, '>');

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
                     .call_id = sip_whole_value(&sip->header[SIP_CALL_ID]),
                     .from_tag = tag_of(pinfo->pool, &sip->header[SIP_FROM]),
                     .to_tag = tag_of(pinfo->pool, &sip->header[SIP_TO]),
                     .from = sip_whole_value(&sip->header[SIP_FROM]),
                     .to = sip_whole_value(&sip->header[SIP_TO]),
                     .via_branch = parameter(pinfo->pool, sip_whole_value(&sip->header[SIP_VIA]),
                                             ";branch=", "; ,"),
                     .cseq = sip->cseq,
                     .has_cseq = sip->has_cseq,
                     .sdp = sdp_presence(sip),
                     .reason = sip->header[SIP_REASON].value };
}

static void
add_header_experts(packet_info *pinfo, proto_item *item, tvbuff_t *tvb, const sip_message_t *sip)
{
    if (sip_is_cut(tvb))
        expert_add_info_format(pinfo, item, &ei_facetime_sip_cut,
                               "Only the first %u of the message's %u bytes were captured",
                               tvb_captured_length(tvb), tvb_reported_length(tvb));
    else if (sip->body_offset < 0)
        expert_add_info(pinfo, item, &ei_facetime_sip_no_header_end);
    else if (sip->body_cut)
        expert_add_info_format(
            pinfo, item, &ei_facetime_sip_content_length,
            "Content-Length says %s, but the datagram ends after %d bytes of body",
            sip->header[SIP_CONTENT_LENGTH].value, sip->body_length);
    if (sip->compressed && !sip->header[SIP_CONTENT_ENCODING].value)
        expert_add_info(pinfo, item, &ei_facetime_sip_unlabelled_compression);
}

static void
add_trailing(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const sip_message_t *sip)
{
    proto_item *item;

    if (sip->trailing_length == 0)
        return;
    item = proto_tree_add_item(tree, hf_facetime_sip_trailing_bytes, tvb,
                               sip->body_offset + sip->body_length, sip->trailing_length, ENC_NA);
    expert_add_info_format(pinfo, item, &ei_facetime_sip_trailing,
                           "Content-Length says %d; %d bytes follow", sip->body_length,
                           sip->trailing_length);
}

static void
dissect_sip_body(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_tree *sip_tree,
                 proto_item *item, const sip_message_t *sip, const ft_sip *learnt)
{
    body_t body;

    if (sip->body_kind == BODY_NONE)
        return;
    if (sip->compressed) {
        body = inflate_body(tvb, pinfo, sip_tree, item, sip);
    } else {
        add_coding(tvb, pinfo, sip, sip_tree, SDP_INFLATE_NONE);
        body = plain_body(tvb, sip);
    }
    if (!body.tvb)
        return;
    if (sip->body_kind == BODY_SDP) {
        facetime_sdp_export(body.tvb, pinfo, ft_sip_is_offer(pinfo, learnt) ? "offer" : "answer");
        if (is_ichat_sdp(body.tvb, &sip->header[SIP_USER_AGENT]))
            note_ichat(pinfo);
        facetime_sdp_reveal(body.tvb, pinfo, ft_sip_is_offer(pinfo, learnt) ? "offer" : "answer");
        dissect_facetime_sdp(body.tvb, pinfo, tree, body.whole, body.trusted);
    } else if (sip->body_kind == BODY_SKE)
        proto_tree_add_item(sip_tree, hf_facetime_sip_ske_data, body.tvb, 0, -1, ENC_NA);
    else if (sip->body_kind == BODY_TEXT)
        add_text_message(body.tvb, pinfo, sip_tree);
}

/* Stock SIP sees the body too only where it is neither compressed, nor SDP, nor a key exchange. */
static tvbuff_t *
message_for_stock(tvbuff_t *tvb, const sip_message_t *sip)
{
    const bool header_only =
        sip->compressed || sip->body_kind == BODY_SDP || sip->body_kind == BODY_SKE;

    return header_only ? tvb_new_subset_length(tvb, 0, sip->body_offset) : tvb;
}

static int
dissect_facetime_sip(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    sip_message_t sip;
    proto_item *item;
    proto_tree *sip_tree;

    if (!read_message(tvb, pinfo, &sip))
        return 0;
    ft_call_dissector(sip_handle, message_for_stock(tvb, &sip), pinfo, tree);
    const ft_sip learnt = message_to_learn(pinfo, &sip);
    ft_sip_learn(pinfo, &learnt);
    if (is_ichat_agent(&sip.header[SIP_USER_AGENT]))
        note_ichat(pinfo);

    item = tree ? proto_tree_add_item(tree, proto_facetime_sip, tvb, 0, -1, ENC_NA) : NULL;
    sip_tree = proto_item_add_subtree(item, ett_facetime_sip);
    add_header_experts(pinfo, item, tvb, &sip);
    if (ft_is_wanted(sip_tree, proto_facetime_sip))
        add_viceroy(tvb, sip_tree, &sip.header[SIP_USER_AGENT]);
    add_ske_sequence(tvb, pinfo, sip_tree, &sip.header[SIP_SKE_SEQ]);
    add_reason(tvb, sip_tree, &sip.header[SIP_REASON]);
    dissect_sip_body(tvb, pinfo, tree, sip_tree, item, &sip, &learnt);
    add_trailing(tvb, pinfo, sip_tree, &sip);
    return (int)tvb_captured_length(tvb);
}

/* ---- Registration ---- */

/* clang-format off */
static void
register_sip_fields(void)
{
    static hf_register_info hf[] = { SIP_FIELDS(REGISTER_FIELD) };
    proto_register_field_array(proto_facetime_sip, hf, array_length(hf));
}

static void
register_experts(void)
{
    static ei_register_info sip_ei[] = { SIP_EXPERTS(REGISTER_EXPERT) };
    expert_register_field_array(expert_register_protocol(proto_facetime_sip), sip_ei,
        array_length(sip_ei));
}

/* clang-format on */

void
proto_register_facetime_sip(void)
{
    static int *ett[] = { SIP_TREES(REGISTER_TREE) };
    module_t *module;

    proto_facetime_sip =
        proto_register_protocol("FaceTime SIP (Viceroy)", "FaceTime SIP", "facetime_sip");
    register_sip_fields();
    register_experts();
    proto_register_subtree_array(ett, array_length(ett));
    register_dissector("facetime_sip", dissect_facetime_sip, proto_facetime_sip);
    register_init_routine(reset);

    module = prefs_register_protocol(proto_facetime_sip, NULL);
    prefs_register_uint_preference(
        module, "inflate_cap", "Inflate at most (KiB)",
        "A compressed SIP body is inflated up to this many KiB, from 1 to 1024", 10,
        &pref_inflate_cap);
}

void
proto_reg_handoff_facetime_sip(void)
{
    sip_handle = find_dissector_add_dependency("sip", proto_facetime_sip);
    ft_evidence_register(FT_SHAPE_SIP, prove_facetime_sip);
}
