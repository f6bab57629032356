/* packet-facetime-rtcp.c
 * RTCP: APP packets of Apple's media stack (docs/protocol.md, 22.4). Stock RTCP shows the rest.
 *
 *   | 2, subtype 0 | 204 | length | SSRC | name 4 | body |
 *
 *   RCTL:         85 00 00 04 | media time 2 | 0 4 | idle ms 2 | clock 2 | 0 2 | received 2 |
 *                 | target 2, in 100 bit/s
 *   00 00 00 05:  RTP timestamp 4 of the long-term reference frame that is acknowledged
 *
 * Published; the first one's words are those of the audio extension with profile 0x8500.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"

#include "calls/continuity.h"
#include "calls/quality.h"
#include "calls/resolve.h"
#include "calls/record.h"
#include "packet-rows.h"
#include "stock/stock_rtp.h"
#include <epan/expert.h>

void proto_register_facetime_rtcp(void);
void proto_reg_handoff_facetime_rtcp(void);

#define RTCP_SENDER_REPORT  200
#define RTCP_RECEIVER_REPORT 201
#define REPORT_BLOCK        24
#define BIT_RATE_UNIT       100 /* bit/s, of the words that tell one */

static int proto_facetime_rtcp = -1;

/* clang-format off */
/* Rate control: X(offset, length, encoding, its field) */
#define RCTL_FIELDS(X) \
    X(16, 2, ENC_BIG_ENDIAN, \
      hf_rctl_media_time, "Media time", "facetime_rtcp.rctl.media_time", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Media time that the sender of this report last received (published, unverified)") \
    X(22, 2, ENC_BIG_ENDIAN, \
      hf_rctl_idle, "Idle time", "facetime_rtcp.rctl.idle", FT_UINT16, BASE_DEC, NULL, 0, \
      "Milliseconds since then (published, unverified)") \
    X(24, 2, ENC_BIG_ENDIAN, \
      hf_rctl_clock, "Clock", "facetime_rtcp.rctl.clock", FT_UINT16, BASE_DEC, NULL, 0, \
      "Clock of the sender of this report (published, unverified)") \
    X(28, 2, ENC_BIG_ENDIAN, \
      hf_rctl_received, "Packets received", "facetime_rtcp.rctl.received", \
      FT_UINT16, BASE_DEC, NULL, 0, "Published, unverified")

#define RTCP_FIELDS(X) \
    X(hf_rctl_target, "Target bit rate", "facetime_rtcp.rctl.target", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "Bit rate asked for, in bit/s; on the wire in units of 100 bit/s (published, unverified)") \
    X(hf_ltr_timestamp, "Long-term reference", "facetime_rtcp.ltr.timestamp", \
      FT_UINT32, BASE_DEC, NULL, 0, \
      "RTP timestamp of the long-term reference frame that is acknowledged (published, " \
      "unverified)")

#define RTCP_EXPERTS(X) \
    X(ei_form, "facetime_rtcp.unknown_form", PI_UNDECODED, PI_NOTE, \
      "APP packet of another length or form than its name is known for")

#define RTCP_TREES(X) X(ett_facetime_rtcp)

RCTL_FIELDS(DECLARE_LAYOUT)
RTCP_FIELDS(DECLARE_FIELD)
RTCP_EXPERTS(DECLARE_EXPERT)
RTCP_TREES(DECLARE_TREE)

static const layout_row rctl_fields[] = { RCTL_FIELDS(LAYOUT_ROW) };
/* clang-format on */

#define RTCP_APP         204
#define APP_HEADER       12
#define APP_NAME         8      /* offset */
#define SUBTYPE          0x1f   /* of the first byte */
#define NAME_RCTL        0x5243544c
#define NAME_LTR         0x00000005
#define RCTL_HEAD        0x85000004
#define RCTL_LENGTH      (APP_HEADER + 20)

/* The name of the APP packet at this offset, if it is one that is known; else 0. */
static uint32_t
known_name(tvbuff_t *tvb, int offset, int length)
{
    if (tvb_captured_length_remaining(tvb, offset) < APP_HEADER || length < APP_HEADER ||
        tvb_get_uint8(tvb, offset + 1) != RTCP_APP)
        return 0;

    const uint32_t name = tvb_get_ntohl(tvb, offset + APP_NAME);
    return name == NAME_RCTL || name == NAME_LTR ? name : 0;
}

static bool
is_cut_off(tvbuff_t *tvb, int offset, int length)
{
    return tvb_captured_length_remaining(tvb, offset) < length;
}

/* Whether it is whole, and all that is known of its name fits it. */
static bool
has_known_form(tvbuff_t *tvb, int offset, int length, uint32_t name)
{
    if (is_cut_off(tvb, offset, length) ||
        length != 4 + 4 * tvb_get_ntohs(tvb, offset + 2))
        return false;
    if (name == NAME_LTR)
        return length == APP_HEADER + 4;
    return length == RCTL_LENGTH && (tvb_get_uint8(tvb, offset) & SUBTYPE) == 0 &&
           tvb_get_ntohl(tvb, offset + APP_HEADER) == RCTL_HEAD;
}

static void
show_rctl(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo, int offset)
{
    const unsigned target = tvb_get_ntohs(tvb, offset + 30) * BIT_RATE_UNIT;

    SHOW_LAYOUT(tree, tvb, offset, rctl_fields);
    proto_tree_add_uint(tree, hf_rctl_target, tvb, offset + 30, 2, target);
    col_append_fstr(pinfo->cinfo, COL_INFO, ", rate control: target %u bit/s", target);
}

static void
show_app(proto_tree *tree, tvbuff_t *tvb, packet_info *pinfo, int offset, int length, uint32_t name)
{
    proto_item *item = proto_tree_add_item(tree, proto_facetime_rtcp, tvb, offset, length, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_facetime_rtcp);

    if (!has_known_form(tvb, offset, length, name)) {
        if (is_cut_off(tvb, offset, length))
            expert_add_info_format(pinfo, item, &ei_form, "APP packet cut short by the capture");
        else
            expert_add_info(pinfo, item, &ei_form);
        return;
    }
    if (name == NAME_RCTL) {
        proto_item_append_text(item, ": rate control");
        show_rctl(subtree, tvb, pinfo, offset);
        return;
    }
    proto_item_append_text(item, ": long-term reference acknowledged");
    proto_tree_add_item(subtree, hf_ltr_timestamp, tvb, offset + APP_HEADER, 4, ENC_BIG_ENDIAN);
    col_append_fstr(pinfo->cinfo, COL_INFO, ", long-term reference %u acknowledged",
                    tvb_get_ntohl(tvb, offset + APP_HEADER));
}

static void
show_stock_field(proto_tree *tree, tvbuff_t *tvb, const char *field, int offset, int length)
{
    const int hf = proto_registrar_get_id_byname(field);

    if (hf > 0)
        proto_tree_add_item(tree, hf, tvb, offset, length, ENC_BIG_ENDIAN);
}

/* An APP packet in stock's fields. Stock shows its name as a text, and calls one
 * that isn't an error. */
static void
show_app_as_stock(proto_tree *tree, tvbuff_t *tvb, int offset, int length)
{
    static const struct {
        const char *field;
        int         offset, length;
    } fields[] = {
        { "rtcp.version", 0, 1 }, { "rtcp.padding", 0, 1 }, { "rtcp.app.subtype", 0, 1 },
        { "rtcp.pt", 1, 1 },      { "rtcp.length", 2, 2 },  { "rtcp.senderssrc", 4, 4 },
    };
    proto_item *item =
        proto_tree_add_item(tree, proto_get_id_by_filter_name("rtcp"), tvb, offset, length, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_facetime_rtcp);

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++)
        show_stock_field(subtree, tvb, fields[i].field, offset + fields[i].offset,
                         fields[i].length);
    const int body = MIN(length, tvb_captured_length_remaining(tvb, offset)) - APP_HEADER;
    if (body > 0)
        show_stock_field(subtree, tvb, "rtcp.app.data", offset + APP_HEADER, body);
}

/* How long the RTCP packet at this offset is: to the end where its length doesn't fit. */
static int
rtcp_length(tvbuff_t *tvb, int offset, int end)
{
    const int left = end - offset;
    const int length = tvb_captured_length_remaining(tvb, offset) >= 4
                           ? 4 + 4 * tvb_get_ntohs(tvb, offset + 2)
                           : left;

    return length > left ? left : length;
}

/* Report blocks of 24 bytes: SSRC, losses, highest sequence number, jitter, LSR, DLSR (RFC 3550,
 * 6.4.1). */
static void
learn_report_blocks(tvbuff_t *tvb, packet_info *pinfo, unsigned offset, unsigned end,
                    unsigned count)
{
    for (; count > 0 && offset + REPORT_BLOCK <= end; count--, offset += REPORT_BLOCK)
        ft_quality_report_block(pinfo, tvb_get_ntohl(tvb, (int)offset),
                                tvb_get_ntohl(tvb, (int)offset + 16),
                                tvb_get_ntohl(tvb, (int)offset + 20));
}

/* What sender and receiver reports tell of round trips; of a compound packet, each part by its
 * length in words. */
static void
learn_rtcp(tvbuff_t *tvb, packet_info *pinfo)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (!ft_learning(pinfo))
        return;
    for (unsigned offset = 0; offset + 8 <= captured;) {
        const uint8_t first = tvb_get_uint8(tvb, (int)offset),
                      type = tvb_get_uint8(tvb, (int)offset + 1);
        const unsigned end = MIN(offset + 4 + 4u * tvb_get_ntohs(tvb, (int)offset + 2), captured);
        if (first >> 6 != 2)
            return;
        if (type == RTCP_SENDER_REPORT && offset + 28 <= end) {
            ft_quality_sender_report(pinfo, tvb_get_ntohl(tvb, (int)offset + 4),
                                     tvb_get_ntohl(tvb, (int)offset + 10));
            learn_report_blocks(tvb, pinfo, offset + 28, end, first & 0x1f);
        } else if (type == RTCP_RECEIVER_REPORT) {
            learn_report_blocks(tvb, pinfo, offset + 8, end, first & 0x1f);
        }
        offset = end;
    }
}

/* One RTCP packet, in the clear. It may come before the first RTP packet, so it sets up the
 * media too. Stock gets it in the pieces between packets with a name that it takes for an error. */
static int
dissect_facetime_rtcp(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    const int end = (int)tvb_reported_length(tvb);
    ft_packet *packet = ft_packet_get(pinfo);
    int piece = 0;

    if (!packet)
        return (int)tvb_captured_length(tvb);
    if (tvb_captured_length(tvb) >= 20 && tvb_get_uint8(tvb, 1) == RTCP_SENDER_REPORT)
        ft_media_report(pinfo, tvb_get_ntohl(tvb, 4), tvb_get_ntohl(tvb, 16));
    ft_call_resolve(pinfo, false);
    packet->media_setup_frame = ft_media_newest_sdp(pinfo);
    learn_rtcp(tvb, pinfo);
    if (ft_is_lean(pinfo, tree))
        return (int)tvb_captured_length(tvb);
    stock_set_up_media(pinfo, packet, packet->media_setup_frame);
    for (int offset = 0; offset < end;) {
        const int length = rtcp_length(tvb, offset, end);
        const bool is_ltr = known_name(tvb, offset, length) == NAME_LTR;
        const bool is_last = offset + length >= end;
        const int piece_end = is_ltr ? offset : offset + length;
        if ((is_ltr || is_last) && piece_end > piece)
            stock_rtp_call(stock_rtcp_handle, tvb_new_subset_length(tvb, piece, piece_end - piece),
                           pinfo, tree, packet, true);
        if (is_ltr) {
            if (offset == 0) {
                col_set_str(pinfo->cinfo, COL_PROTOCOL, "RTCP");
                col_set_str(pinfo->cinfo, COL_INFO, "Application specific");
            }
            show_app_as_stock(tree, tvb, offset, length);
            piece = offset + length;
        }
        offset += length;
    }
    for (int offset = 0; offset < end;) {
        const int length = rtcp_length(tvb, offset, end);
        const uint32_t name = known_name(tvb, offset, length);
        if (name)
            show_app(tree, tvb, pinfo, offset, length, name);
        offset += length;
    }
    return (int)tvb_captured_length(tvb);
}

void
proto_register_facetime_rtcp(void)
{
    static hf_register_info hf[] = {
        RCTL_FIELDS(REGISTER_LAYOUT) RTCP_FIELDS(REGISTER_FIELD)
    };
    static int *ett[] = { RTCP_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { RTCP_EXPERTS(REGISTER_EXPERT) };

    proto_facetime_rtcp =
        proto_register_protocol("FaceTime RTCP", "FaceTime RTCP", "facetime_rtcp");
    proto_register_field_array(proto_facetime_rtcp, hf, G_N_ELEMENTS(hf));
    proto_register_subtree_array(ett, G_N_ELEMENTS(ett));
    expert_register_field_array(expert_register_protocol(proto_facetime_rtcp), ei,
                                G_N_ELEMENTS(ei));
    /* RTCP is a layer of FaceTime's RTP; only its APP packets are of a protocol of their own. */
    register_dissector("facetime_rtcp", dissect_facetime_rtcp,
                       proto_get_id_by_filter_name("facetime_rtp"));
}

void
proto_reg_handoff_facetime_rtcp(void)
{
}
