/* packet-baseband.c
 * Baseband reports: datagrams that the phone's own modem slips into a cellular FaceTime flow,
 * towards the device (docs/protocol.md, 21). They never were on a network: only captures made on
 * the phone have them (their TTL, IP id and DSCP differ from those of the relay whose address
 * they wear: all 400 in the cellular capture of July 2023).
 *
 *    0           4     6     8           12    13    14    16    17    18    20
 *   +-----------+-----+-----+-----------+-----+-----+-----+-----+-----+-----+
 *   | DEADBEEF  |CAFE | 2   | tag       |radio|first| 1   | 0   | 0   | 0   |   report, 36 bytes
 *   +-----------+-----+-----+-----------+-----+-----+-----+-----+-----+-----+
 *   | queued    | unknown   | sent      | clock, ms |                           all big-endian
 *   +-----------+-----------+-----------+-----------+
 *    20          24          28          32          36
 *
 *   | DEADBEEF  |CAFE | 2  | 0000006F  | unknown  |               short form, 16 bytes (unverified)
 *
 *   | DEADBEEF  |DEAD | 2  | tag   |transaction|status| dropped ...        drop report (unverified)
 *    0           4     6    8       12          14     16
 *     dropped: up to six times u8 payload type, u16 n, n * u16 RTP sequence number
 *
 * `queued` falls as `sent` grows: their sum never decreases in 399 steps, and grows by what the
 * phone sent (243,511 of 243,938 bytes). `clock` spans the capture's time. The other meanings
 * are inferred, or stand on a name that analyses of Apple's builds made public.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/relay.h"
#include "packet-rows.h"
#include <epan/expert.h>
#include <epan/unit_strings.h>

void proto_register_baseband(void);
void proto_reg_handoff_baseband(void);

#define MAGIC           0xdeadbeefU
#define FORM_REPORT     0xcafe
#define FORM_DROPPED    0xdead
#define VERSION         2       /* in each report known */
#define SHORT_TAG       0x6fU   /* where the short form has it, the report has its tag */
#define HEAD_LENGTH     8
#define REPORT_LENGTH   36
#define SHORT_LENGTH    16
#define DROPPED_LENGTH  16      /* up to the first list */
#define MAX_LISTS       6

static int proto_baseband = -1;

/* clang-format off */
#define BASEBAND_FIELDS(X) \
    X(hf_magic, "Magic", "baseband.magic", FT_UINT32, BASE_HEX, NULL, 0, "DEADBEEF") \
    X(hf_form, "Form", "baseband.form", FT_UINT16, BASE_HEX, VALS(forms), 0, \
      "CAFE: report of the modem's queue. DEAD: packets that the modem dropped (unverified)") \
    X(hf_version, "Version", "baseband.version", FT_UINT16, BASE_DEC, NULL, 0, \
      "2 in every report known; that it is a version is inferred") \
    X(hf_tag, "Cellular tag", "baseband.tag", FT_UINT32, BASE_HEX, NULL, 0, \
      "The same throughout a call; the name is inferred") \
    X(hf_radio, "Radio", "baseband.radio", FT_UINT8, BASE_DEC, VALS(ft_radio_vals), 0, \
      "Radio access technology; inferred from the same 5 in STUN's 0x8007") \
    X(hf_first, "First", "baseband.first", FT_UINT8, BASE_DEC, NULL, 0, \
      "1 in the first report of a burst, else 0 (inferred from two reports)") \
    X(hf_unknown_14, "Unknown, offset 14", "baseband.unknown_14", FT_BYTES, BASE_NONE, NULL, 0, \
      "Not known: 0001 in every report") \
    X(hf_unknown_16, "Unknown, offset 16", "baseband.unknown_16", FT_BYTES, BASE_NONE, NULL, 0, \
      "Not known: zero in every report") \
    X(hf_queued, "Queued", "baseband.queued", \
      FT_UINT32, BASE_DEC | BASE_UNIT_STRING, UNS(&units_byte_bytes), 0, \
      "Bytes of uplink that wait in the modem") \
    X(hf_unknown_24, "Unknown, offset 24", "baseband.unknown_24", FT_UINT32, BASE_DEC, NULL, 0, \
      "Not known: some number of bytes, 0 to 3304 seen (inferred)") \
    X(hf_transmitted, "Transmitted", "baseband.transmitted", \
      FT_UINT32, BASE_DEC | BASE_UNIT_STRING, UNS(&units_byte_bytes), 0, \
      "Bytes of uplink that the modem has sent, cumulative") \
    X(hf_clock, "Clock", "baseband.clock", \
      FT_UINT32, BASE_DEC | BASE_UNIT_STRING, UNS(&units_milliseconds), 0, \
      "The modem's clock in milliseconds") \
    X(hf_unknown_12, "Unknown, offset 12", "baseband.unknown_12", FT_BYTES, BASE_NONE, NULL, 0, \
      "Not known: the end of the short form") \
    X(hf_transaction, "Transaction", "baseband.transaction", FT_UINT16, BASE_HEX, NULL, 0, \
      "Names the drop report (unverified)") \
    X(hf_status, "Status", "baseband.status", FT_UINT16, BASE_HEX, NULL, 0, \
      "FFFF: failed (unverified)") \
    X(hf_dropped, "Dropped packets", "baseband.dropped", FT_NONE, BASE_NONE, NULL, 0, \
      "Packets of one payload type that the modem dropped (unverified)") \
    X(hf_dropped_payload_type, "Payload type", "baseband.dropped.payload_type", \
      FT_UINT8, BASE_DEC, NULL, 0, "RTP payload type of the dropped packets (unverified)") \
    X(hf_dropped_count, "Count", "baseband.dropped.count", FT_UINT16, BASE_DEC, NULL, 0, \
      "How many packets were dropped (unverified)") \
    X(hf_dropped_sequence, "Sequence number", "baseband.dropped.sequence", \
      FT_UINT16, BASE_DEC, NULL, 0, "RTP sequence number of a dropped packet (unverified)") \
    X(hf_rest, "Rest", "baseband.rest", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes that the form leaves unexplained")

#define BASEBAND_EXPERTS(X) \
    X(ei_injected, "baseband.injected", PI_PROTOCOL, PI_CHAT, \
      "The phone's modem put this into the capture: it never was on the network") \
    X(ei_unverified, "baseband.unverified", PI_UNDECODED, PI_NOTE, \
      "No capture has this form: its layout is unverified") \
    X(ei_length, "baseband.bad_length", PI_MALFORMED, PI_ERROR, "Length is not this form's") \
    X(ei_cut, "baseband.cut", PI_UNDECODED, PI_NOTE, \
      "The capture does not have the whole message") \
    X(ei_form, "baseband.bad_form", PI_UNDECODED, PI_WARN, "Unknown form") \
    X(ei_constant, "baseband.odd_constant", PI_PROTOCOL, PI_NOTE, \
      "Each report known has another value here, always the same") \
    X(ei_dropped, "baseband.bad_dropped", PI_MALFORMED, PI_ERROR, \
      "Lists of dropped packets don't end where the datagram does")

#define BASEBAND_TREES(X) X(ett_baseband) X(ett_dropped)

BASEBAND_FIELDS(DECLARE_FIELD)
BASEBAND_EXPERTS(DECLARE_EXPERT)
BASEBAND_TREES(DECLARE_TREE)
/* clang-format on */

static const value_string forms[] = {
    { FORM_REPORT, "report" },
    { FORM_DROPPED, "dropped packets" },
    { 0, NULL }
};

/* One field of a form: what it is and, where each known report has the same value, that value. */
typedef struct {
    int     *hf;
    uint8_t  offset, length;
    int32_t  constant;  /* -1 for none */
} baseband_field;

static const baseband_field report_fields[] = {
    { &hf_version,      6, 2, VERSION },
    { &hf_tag,          8, 4, -1 },
    { &hf_radio,       12, 1, -1 },
    { &hf_first,       13, 1, -1 },
    { &hf_unknown_14,  14, 2, 1 },
    { &hf_unknown_16,  16, 4, 0 },
    { &hf_queued,      20, 4, -1 },
    { &hf_unknown_24,  24, 4, -1 },
    { &hf_transmitted, 28, 4, -1 },
    { &hf_clock,       32, 4, -1 },
};

static const baseband_field short_fields[] = {
    { &hf_version,      6, 2, VERSION },
    { &hf_tag,          8, 4, SHORT_TAG },
    { &hf_unknown_12,  12, 4, -1 },
};

static const baseband_field dropped_fields[] = {
    { &hf_version,      6, 2, VERSION },
    { &hf_tag,          8, 4, -1 },
    { &hf_transaction, 12, 2, -1 },
    { &hf_status,      14, 2, -1 },
};

/* Those of the fields that are there. */
static void
dissect_fields(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const baseband_field *fields,
               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int offset = fields[i].offset, length = fields[i].length;

        if (!tvb_bytes_exist(tvb, offset, length))
            return;
        proto_item *item =
            proto_tree_add_item(tree, *fields[i].hf, tvb, offset, length, ENC_BIG_ENDIAN);
        if (fields[i].constant >= 0 &&
            tvb_get_bits64(tvb, offset * 8, length * 8, ENC_BIG_ENDIAN) !=
                (uint64_t)fields[i].constant)
            expert_add_info(pinfo, item, &ei_constant);
    }
}

/* The length that a form must have; what a datagram has beyond it is shown as bytes. */
static void
check_form_length(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, unsigned length)
{
    const unsigned reported = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);

    if (reported != length)
        expert_add_info_format(pinfo, tree, &ei_length, "%u bytes, where this form has %u",
                               reported, length);
    if (captured > length)
        proto_tree_add_item(tree, hf_rest, tvb, length, captured - length, ENC_NA);
}

static void
dissect_report(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    dissect_fields(tvb, pinfo, tree, report_fields, array_length(report_fields));
    check_form_length(tvb, pinfo, tree, REPORT_LENGTH);
    if (tvb_bytes_exist(tvb, 0, REPORT_LENGTH))
        col_add_fstr(pinfo->cinfo, COL_INFO, "Modem report: %u bytes queued, %u transmitted",
                     tvb_get_ntohl(tvb, 20), tvb_get_ntohl(tvb, 28));
    else
        col_set_str(pinfo->cinfo, COL_INFO, "Modem report, incomplete");
}

static void
dissect_short_report(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    expert_add_info(pinfo, tree, &ei_unverified);
    dissect_fields(tvb, pinfo, tree, short_fields, array_length(short_fields));
    check_form_length(tvb, pinfo, tree, SHORT_LENGTH);
    col_set_str(pinfo->cinfo, COL_INFO, "Modem report, short form");
}

/* Where the list of lost packets at this offset ends; 0 if it doesn't end inside of the
 * datagram. */
static unsigned
end_of_list(tvbuff_t *tvb, unsigned offset)
{
    if (!tvb_bytes_exist(tvb, offset, 3))
        return 0;

    const unsigned end = offset + 3 + 2 * tvb_get_ntohs(tvb, offset + 1);
    return end <= tvb_captured_length(tvb) ? end : 0;
}

static void
dissect_dropped_list(tvbuff_t *tvb, proto_tree *tree, unsigned offset, unsigned end)
{
    proto_item *item = proto_tree_add_item(tree, hf_dropped, tvb, offset, end - offset, ENC_NA);
    proto_tree *list = proto_item_add_subtree(item, ett_dropped);

    proto_tree_add_item(list, hf_dropped_payload_type, tvb, offset, 1, ENC_BIG_ENDIAN);
    proto_tree_add_item(list, hf_dropped_count, tvb, offset + 1, 2, ENC_BIG_ENDIAN);
    for (unsigned at = offset + 3; at < end; at += 2)
        proto_tree_add_item(list, hf_dropped_sequence, tvb, at, 2, ENC_BIG_ENDIAN);
}

static void
dissect_dropped(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const unsigned length = tvb_captured_length(tvb);
    unsigned offset = DROPPED_LENGTH, lists = 0, end;

    expert_add_info(pinfo, tree, &ei_unverified);
    dissect_fields(tvb, pinfo, tree, dropped_fields, array_length(dropped_fields));
    for (; lists < MAX_LISTS && (end = end_of_list(tvb, offset)) != 0; lists++) {
        dissect_dropped_list(tvb, tree, offset, end);
        offset = end;
    }
    if (tvb_reported_length(tvb) < DROPPED_LENGTH) {
        check_form_length(tvb, pinfo, tree, DROPPED_LENGTH);
    } else if (offset < length) {
        proto_item *item = proto_tree_add_item(tree, hf_rest, tvb, offset, length - offset, ENC_NA);
        if (length == tvb_reported_length(tvb))
            expert_add_info(pinfo, item, &ei_dropped);
    }
    col_add_fstr(pinfo->cinfo, COL_INFO, "Modem dropped packets, lists: %u", lists);
}

static bool
is_short_report(tvbuff_t *tvb)
{
    return tvb_reported_length(tvb) == SHORT_LENGTH && tvb_bytes_exist(tvb, 8, 4) &&
           tvb_get_ntohl(tvb, 8) == SHORT_TAG;
}

static void
dissect_form(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    uint32_t form;
    proto_item *item =
        proto_tree_add_item_ret_uint(tree, hf_form, tvb, 4, 2, ENC_BIG_ENDIAN, &form);

    switch (form) {
    case FORM_REPORT:
        if (is_short_report(tvb))
            dissect_short_report(tvb, pinfo, tree);
        else
            dissect_report(tvb, pinfo, tree);
        break;
    case FORM_DROPPED:
        dissect_dropped(tvb, pinfo, tree);
        break;
    default:
        expert_add_info(pinfo, item, &ei_form);
        if (tvb_captured_length(tvb) > 6)
            proto_tree_add_item(tree, hf_rest, tvb, 6, -1, ENC_NA);
    }
}

/* Any length. Returns the bytes used: all. */
static int
dissect_baseband(tvbuff_t *tvb, packet_info *pinfo, proto_tree *parent, void *data _U_)
{
    ft_packet *packet = ft_packet_get(pinfo);

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "Baseband");
    col_set_str(pinfo->cinfo, COL_INFO, "Modem message");
    if (packet) {
        packet->generation = FT_MODERN;
        packet->path = FT_PATH_UNKNOWN; /* it took none */
    }

    proto_item *item = proto_tree_add_item(parent, proto_baseband, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_baseband);
    proto_item_append_text(item, ", from the phone's own modem");
    expert_add_info(pinfo, item, &ei_injected);
    if (tvb_captured_length(tvb) < tvb_reported_length(tvb))
        expert_add_info(pinfo, item, &ei_cut);
    if (tvb_bytes_exist(tvb, 0, 4))
        proto_tree_add_item(tree, hf_magic, tvb, 0, 4, ENC_BIG_ENDIAN);
    if (tvb_bytes_exist(tvb, 4, 2))
        dissect_form(tvb, pinfo, tree);
    else if (tvb_reported_length(tvb) < HEAD_LENGTH)
        check_form_length(tvb, pinfo, tree, HEAD_LENGTH);
    return tvb_captured_length(tvb);
}

/* A report has a form we know and its length; lists of drops must end where the datagram does.
 * "DEADBEEF" alone, or twice, is anybody's test pattern. */
static bool
proves_baseband(tvbuff_t *tvb, packet_info *pinfo _U_, ft_generation *generation)
{
    const unsigned length = tvb_reported_length(tvb);
    unsigned offset = DROPPED_LENGTH;

    if (length < SHORT_LENGTH || tvb_captured_length(tvb) < length ||
        tvb_get_ntohl(tvb, 0) != MAGIC || tvb_get_ntohs(tvb, 6) != VERSION)
        return false;
    *generation = FT_MODERN;
    switch (tvb_get_ntohs(tvb, 4)) {
    case FORM_REPORT:
        return length == REPORT_LENGTH || is_short_report(tvb);
    case FORM_DROPPED:
        for (unsigned lists = 0; offset != 0 && offset < length && lists < MAX_LISTS; lists++)
            offset = end_of_list(tvb, offset);
        return offset == length;
    }
    return false;
}

void
proto_register_baseband(void)
{
    static hf_register_info hf[] = { BASEBAND_FIELDS(REGISTER_FIELD) };
    static int *ett[] = { BASEBAND_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { BASEBAND_EXPERTS(REGISTER_EXPERT) };

    proto_baseband = proto_register_protocol("FaceTime Baseband Report", "Baseband", "baseband");
    proto_register_field_array(proto_baseband, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_baseband), ei, array_length(ei));
    register_dissector("baseband", dissect_baseband, proto_baseband);
}

void
proto_reg_handoff_baseband(void)
{
    ft_evidence_register(FT_SHAPE_BASEBAND, proves_baseband);
    dissector_add_for_decode_as("udp.port", find_dissector("baseband"));
}
