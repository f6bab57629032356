/* packet-gkstun-attributes.c
 * Apple's attributes in STUN (docs/protocol.md, 5.3 to 5.5 and 19). Their rows stand in
 * wire/stun_message.h.
 *
 * USERNAME of legacy: 20 bytes, two halves; the answer has them swapped
 *
 *    0           4          8     10          14         18    20
 *   +-----------+----------+-----+-----------+----------+-----+
 *   | high word | low word | tag | high word | low word | tag |
 *   +-----------+----------+-----+-----------+----------+-----+
 *     destination candidate        source candidate
 *
 * 8009, candidate list
 *
 *    0         2            3               3+4*n4            3+4*n4+16*n6
 *   +---------+------------+---------------+-----------------+------------------------
 *   | version | n4:4, n6:4 | n4 IPv4, each | n6 IPv6         | candidates, 16 bytes each
 *   +---------+------------+ byte-reversed +-----------------+------------------------
 *
 *  0                 1         5               9          11     12      13                14    16
 * +-----------------+---------+---------------+----------+------+-------+-----------------+------+
 * |protocol:4 type:4| call id | candidate id  | priority | rank | flags | flags:4 index:4 | port |
 * +-----------------+---------+---------------+----------+------+-------+-----------------+------+
 *                    LE        as in USERNAME  LE                        index of address  LE
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "packet-gkstun.h"
#include "calls/relay.h"
#include "packet-rows.h"
#include "stock/stock_stun.h"

#include <epan/to_str.h>
#include <wsutil/str_util.h>

#define MAX_CANDIDATES          32      /* Apple's own bound */

static int proto_gkstun = -1;

/* clang-format off */
/* NOMINATION, its first three bytes */
#define NOMINATION_FLAGS(X) \
    X(hf_gkstun_nomination_derived, "Derived or Duplicate", "gkstun.nomination.derived", \
      FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000100, \
      "The nominated pair is of a derived candidate, or a duplicate") \
    X(hf_gkstun_nomination_primary, "Primary", "gkstun.nomination.primary", \
      FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000200, \
      "The pair is to be the primary connection (ICE version 1010 on)") \
    X(hf_gkstun_nomination_replace_only, "Replace Only", "gkstun.nomination.replace_only", \
      FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000400, \
      "The pair only replaces another one (ICE version 1010 on)") \
    X(hf_gkstun_nomination_bit_11, "Bit 11", "gkstun.nomination.bit_11", \
      FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000800, \
      "A flag of unknown meaning (ICE version 1010 on)") \
    X(hf_gkstun_nomination_other, "Other Bits", "gkstun.nomination.other", \
      FT_UINT32, BASE_HEX, NULL, 0xfffff000, "Bits 12 on, of unknown meaning")

/* A candidate of the list, up to its address: X(offset, length, encoding, its field) */
#define CANDIDATE_FIELDS(X) \
    X(0, 1, ENC_NA, \
      hf_gkstun_candidate_protocol, "Protocol", "gkstun.candidate.protocol", \
      FT_UINT8, BASE_DEC, NULL, 0xf0, \
      "Protocol of the candidate. The numbering is not known; 6 was observed in GameKit") \
    X(0, 1, ENC_NA, \
      hf_gkstun_candidate_type, "Type", "gkstun.candidate.type", \
      FT_UINT8, BASE_DEC, VALS(gkstun_candidate_types), 0x0f, \
      "Type of the candidate; Apple's own ones beside those of RFC 8445") \
    X(1, 4, ENC_LITTLE_ENDIAN, \
      hf_gkstun_candidate_call_id, "Call ID", "gkstun.candidate.call_id", \
      FT_UINT32, BASE_HEX, NULL, 0, "Apple's number of the call, little-endian on the wire") \
    X(5, 4, ENC_BIG_ENDIAN, \
      hf_gkstun_candidate_id, "Candidate ID", "gkstun.candidate.id", FT_UINT32, BASE_HEX, NULL, 0, \
      "High word of the candidate's id in USERNAME") \
    X(9, 2, ENC_LITTLE_ENDIAN, \
      hf_gkstun_candidate_priority, "Priority", "gkstun.candidate.priority", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Defaults: 90 host on Wi-Fi, 70 server-reflexive, 50 cellular, 40 relayed, 10 IPv6") \
    X(11, 1, ENC_NA, \
      hf_gkstun_candidate_rank, "Rank", "gkstun.candidate.rank", FT_UINT8, BASE_DEC, NULL, 0, \
      "Apple's name; what it ranks is unknown") \
    X(12, 1, ENC_NA, \
      hf_gkstun_candidate_flags, "Flags", "gkstun.candidate.flags", FT_UINT8, BASE_HEX, NULL, 0, \
      "Flags of unknown meaning; 0x80 and 0x20 were observed in GameKit") \
    X(12, 1, ENC_NA, \
      hf_gkstun_candidate_flag_80, "Flag 80", "gkstun.candidate.flag_80", \
      FT_BOOLEAN, 8, TFS(&tfs_set_notset), 0x80, \
      "Of unknown meaning; observed in GameKit, in each candidate of a list") \
    X(12, 1, ENC_NA, \
      hf_gkstun_candidate_flag_20, "Flag 20", "gkstun.candidate.flag_20", \
      FT_BOOLEAN, 8, TFS(&tfs_set_notset), 0x20, "Of unknown meaning; observed in GameKit") \
    X(12, 1, ENC_NA, \
      hf_gkstun_candidate_other_flags, "Other Flags", "gkstun.candidate.other_flags", \
      FT_UINT8, BASE_HEX, NULL, 0x5f, "Never observed") \
    X(13, 1, ENC_NA, \
      hf_gkstun_candidate_cellular, "Cellular", "gkstun.candidate.cellular", \
      FT_BOOLEAN, 8, TFS(&tfs_yes_no), 0x40, "The address is of a cellular interface") \
    X(13, 1, ENC_NA, \
      hf_gkstun_candidate_is_ipv6, "IPv6", "gkstun.candidate.is_ipv6", \
      FT_BOOLEAN, 8, TFS(&tfs_yes_no), 0x10, "The index counts IPv6 addresses") \
    X(13, 1, ENC_NA, \
      hf_gkstun_candidate_index, "Address Index", "gkstun.candidate.index", \
      FT_UINT8, BASE_DEC, NULL, 0x0f, \
      "Which address of the list is the candidate's, from 0; within its family, as observed in " \
      "GameKit")

#define ATTRIBUTE_FIELDS(X) \
    X(hf_gkstun_att_type, "Attribute Type", "gkstun.att.type", \
      FT_UINT16, BASE_HEX, VALS(gkstun_att_type_vals), 0, \
      "Number of an attribute of Apple's. The names are this plugin's") \
    X(hf_gkstun_att_length, "Attribute Length", "gkstun.att.length", FT_UINT16, BASE_DEC, NULL, 0, \
      "Length of the value without padding") \
    X(hf_gkstun_att_value, "Undecoded", "gkstun.att.value", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes of an attribute of Apple's that could not be decoded") \
    X(hf_gkstun_username_destination, "Destination Candidate", "gkstun.username.destination", \
      FT_UINT64, BASE_HEX, NULL, 0, \
      "Candidate id of who is asked (in an answer: who asked): high word, then low word, which " \
      "is 0 for a plain candidate and the other side's high word for a derived (peer-reflexive) " \
      "one") \
    X(hf_gkstun_username_destination_tag, "Destination Tag", "gkstun.username.destination_tag", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Last two bytes of the destination's half; their meaning is unknown, they aren't compared") \
    X(hf_gkstun_username_source, "Source Candidate", "gkstun.username.source", \
      FT_UINT64, BASE_HEX, NULL, 0, "Candidate id of the sender: high word, then low word") \
    X(hf_gkstun_username_source_tag, "Source Tag", "gkstun.username.source_tag", \
      FT_UINT16, BASE_DEC, NULL, 0, \
      "Last two bytes of the source's half; their meaning is unknown") \
    X(hf_gkstun_derived, "Derived", "gkstun.derived", \
      FT_BOOLEAN, 32, TFS(&tfs_yes_no), 0x00000100, \
      "0x8001: the responder made a derived (peer-reflexive) remote candidate, so the requester " \
      "should make a derived local one") \
    X(hf_gkstun_nomination_count, "Nomination Count", "gkstun.nomination.count", \
      FT_UINT8, BASE_DEC, NULL, 0, \
      "How many times the controlling side has nominated (bits 0 to 7)") \
    NOMINATION_FLAGS(X) \
    X(hf_gkstun_candidates_version, "List Version", "gkstun.candidates.version", \
      FT_UINT16, BASE_DEC, NULL, 0, "Version of the candidate list (Apple's iLCVersion)") \
    X(hf_gkstun_candidates_ipv4_count, "IPv4 Addresses", "gkstun.candidates.ipv4_count", \
      FT_UINT8, BASE_DEC, NULL, 0xf0, "How many IPv4 addresses the list says it has") \
    X(hf_gkstun_candidates_ipv6_count, "IPv6 Addresses", "gkstun.candidates.ipv6_count", \
      FT_UINT8, BASE_DEC, NULL, 0x0f, "How many IPv6 addresses the list says it has") \
    X(hf_gkstun_candidates_ipv4, "IPv4 Address", "gkstun.candidates.ipv4", \
      FT_IPv4, BASE_NONE, NULL, 0, \
      "An address that candidates name by its index; byte-reversed on the wire") \
    X(hf_gkstun_candidates_ipv6, "IPv6 Address", "gkstun.candidates.ipv6", \
      FT_IPv6, BASE_NONE, NULL, 0, "An address that candidates name by its index") \
    X(hf_gkstun_candidate_ipv4, "IPv4 Address", "gkstun.candidate.ipv4", \
      FT_IPv4, BASE_NONE, NULL, 0, "The candidate's address, found by its index") \
    X(hf_gkstun_candidate_ipv6, "IPv6 Address", "gkstun.candidate.ipv6", \
      FT_IPv6, BASE_NONE, NULL, 0, "The candidate's address, found by its index") \
    X(hf_gkstun_candidate_port, "Port", "gkstun.candidate.port", FT_UINT16, BASE_DEC, NULL, 0, \
      "The candidate's UDP port, little-endian on the wire")

#define ATTRIBUTE_EXPERTS(X) \
    X(ei_gkstun_bad_length, "gkstun.bad_length", PI_PROTOCOL, PI_WARN, \
      "Attribute of a length that is never sent") \
    X(ei_gkstun_bad_value, "gkstun.bad_value", PI_PROTOCOL, PI_WARN, \
      "Attribute of a value that is never sent") \
    X(ei_gkstun_unknown_attribute, "gkstun.unknown_attribute", PI_UNDECODED, PI_NOTE, \
      "Attribute of unknown meaning") \
    X(ei_gkstun_candidates_bad, "gkstun.candidates_bad", PI_PROTOCOL, PI_WARN, \
      "Candidate list unlike its counts")

#define ATTRIBUTE_TREES(X) X(ett_gkstun_attribute) X(ett_gkstun_username) X(ett_gkstun_candidate)

#define DECLARE_OWN(id, number, shortest, longest, owner, name, show, learn, ...) \
    DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_OWN(id, number, shortest, longest, owner, name, show, learn, ...) \
    REGISTER_FIELD(__VA_ARGS__)

ATTRIBUTES(NO_FIELD, DECLARE_OWN)
CANDIDATE_FIELDS(DECLARE_LAYOUT)
ATTRIBUTE_FIELDS(DECLARE_FIELD)
ATTRIBUTE_EXPERTS(DECLARE_EXPERT)
ATTRIBUTE_TREES(DECLARE_TREE)

static const layout_row candidate_fields[] = { CANDIDATE_FIELDS(LAYOUT_ROW) };
/* clang-format on */

/* clang-format off */
static const value_string gkstun_candidate_types[] = {
    { 1, "host" },
    { 3, "server-reflexive" },
    { 5, "relayed" },
    { 6, "peer-reflexive" },
    { 7, "VPN" },
    { 8, "port-preserving NAT guess" },
    { 9, "in-order NAT guess" },
    { 10, "special interface 10" },
    { 11, "special interface 11" },
    { 0, NULL }
};

/* Apple's rows; filled in when registered */
static value_string gkstun_att_type_vals[ATT_COUNT + 1];

/* clang-format on */

static attribute_decoder show_username, show_plain_address, show_xor_address, show_protocol,
    show_seconds, show_qos, show_radio, show_nomination, show_link_uuid, show_candidates;

#define ATTRIBUTE_SHOWN(id, number, shortest, longest, owner, name, show, learn, field) \
    { show, field },
#define OWN_SHOWN(id, number, shortest, longest, owner, name, show, learn, ...) \
    { show, FIELD_POINTER(__VA_ARGS__) },
static const struct {
    attribute_decoder *show;
    const int         *field;
} shown[ATT_COUNT] = { ATTRIBUTES(ATTRIBUTE_SHOWN, OWN_SHOWN) };

/* What no decoder can read: the bytes, under a name of the protocol that they are in. */
static void
show_raw(const attribute_view *view)
{
    const stun_attribute *attribute = view->attribute;

    if (attribute->available > 0)
        stun_show_field(view, stun_is_apple(attribute) ? &hf_gkstun_att_value : STOCK(VALUE), 0,
                        attribute->available, ENC_NA);
}

static void
show_stun_address(const attribute_view *view, bool is_xored)
{
    const stun_message *message = view->message;
    ft_endpoint endpoint;
    uint8_t bytes[16];

    if (!stun_read_address(message, view->attribute, is_xored, bytes, &endpoint)) {
        expert_add_info_format(
            message->pinfo, view->tree, &ei_gkstun_bad_value, "Address family %u with %u bytes",
            tvb_get_uint8(message->tvb, view->attribute->offset + 1), view->attribute->length);
        show_raw(view);
        return;
    }

    const char *text = ft_endpoint_str(message->pinfo->pool, &endpoint);
    col_append_lstr(message->pinfo->cinfo, COL_INFO, " ", view->attribute->row->name, ": ", text,
                    COL_ADD_LSTR_TERMINATOR);
    if (!view->tree)
        return;
    stun_show_field(view, STOCK(RESERVED), 0, 1, ENC_NA);
    stun_show_field(view, STOCK(FAMILY), 1, 1, ENC_BIG_ENDIAN);
    if (is_xored)
        stun_show_field(view, STOCK(XOR_PORT), 2, 2, ENC_NA);
    proto_item *port = stock_add_uint(view->tree, STOCK(PORT), message->tvb,
                                      view->attribute->offset + 2, 2, endpoint.port);
    if (is_xored)
        proto_item_set_generated(port);
    stun_show_ip(view, is_xored, &endpoint);
    proto_item_append_text(view->tree, ": %s", text);
}

static void
show_plain_address(const attribute_view *view)
{
    show_stun_address(view, false);
}

static void
show_xor_address(const attribute_view *view)
{
    show_stun_address(view, true);
}

static char *
put_hex(char *to, const uint8_t *bytes)
{
    static const char digits[] = "0123456789ABCDEF";

    for (unsigned i = 0; i < sizeof(uint32_t); i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    return to;
}

/* High word, low word, tag. */
static char *
put_candidate_id(char *to, const uint8_t *bytes)
{
    enum { TAG_STRLEN = 6 };

    to = put_hex(to, bytes);
    *to++ = '.';
    to = put_hex(to, bytes + 4);
    *to++ = '.';
    uint32_to_str_buf((uint32_t)bytes[8] << 8 | bytes[9], to, TAG_STRLEN);
    return to + strlen(to);
}

#define USER " user: " /* as stock has it */

/* As Apple writes a pair of candidate ids: "00000000.4A5B6C7D.0-00000000.11223344.2". Behind USER,
 * as a column takes it in one go. */
static const char *
candidate_ids(const stun_message *message, uint32_t offset)
{
    char *text = (char *)wmem_alloc(message->pinfo->pool,
                                    sizeof USER + 2 * sizeof "FFFFFFFF.FFFFFFFF.65535-");

    memcpy(text, USER, strlen(USER));
    char *end = put_candidate_id(text + strlen(USER), message->bytes + offset);

    *end++ = '-';
    put_candidate_id(end, message->bytes + offset + STUN_USERNAME / 2);
    return text;
}

static void
show_username(const attribute_view *view)
{
    const stun_message *message = view->message;
    const uint32_t offset = view->attribute->offset;

    if (!stun_is_binary_username(message->tvb, view->attribute)) {
        if (view->attribute->length > 0)
            stun_show_field(view, STOCK(USERNAME), 0, view->attribute->length, ENC_UTF_8 | ENC_NA);
        return;
    }

    const char *text = candidate_ids(message, offset), *ids = text + strlen(USER);
    col_append_lstr(message->pinfo->cinfo, COL_INFO, text, COL_ADD_LSTR_TERMINATOR);
    if (!view->tree)
        return;
    stun_show_field(view, STOCK(USERNAME_OPAQUE), 0, STUN_USERNAME, ENC_NA);
    proto_item *item = proto_tree_add_protocol_format(
        view->tree, proto_gkstun, message->tvb, offset, STUN_USERNAME, "Candidate ids: %s", ids);
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_username);
    proto_tree_add_item(tree, hf_gkstun_username_destination, message->tvb, offset, 8,
                        ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_username_destination_tag, message->tvb, offset + 8, 2,
                        ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_username_source, message->tvb, offset + 10, 8,
                        ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_username_source_tag, message->tvb, offset + 18, 2,
                        ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %s", ids);
}

static void
show_protocol(const attribute_view *view)
{
    const uint32_t value = stun_value_of(view);

    stun_show_field(view, &hf_gkstun_protocol, 0, 4, ENC_BIG_ENDIAN);
    stun_show_field(view, &hf_gkstun_derived, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %u%s", value & ~0x100U, value & 0x100 ? ", derived" : "");
}

static void
show_seconds(const attribute_view *view)
{
    const uint32_t value = stun_value_of(view);

    proto_tree_add_uint_format_value(view->tree, *view->field, view->message->tvb,
                                     view->attribute->offset, 4, value, "%u (%.6f s)", value,
                                     value / 65536.0);
    proto_item_append_text(view->tree, ": %.6f s", value / 65536.0);
}

/* No value: the attribute itself says it. */
static void
show_qos(const attribute_view *view)
{
    proto_tree_add_boolean(view->tree, hf_gkstun_qos, view->message->tvb,
                           view->attribute->offset - ATTRIBUTE_HEADER, ATTRIBUTE_HEADER, true);
}

/* What the numbers mean is known from modern calls alone. */
static void
show_radio(const attribute_view *view)
{
    const uint32_t value = stun_value_of(view);

    if (view->message->generation == FT_LEGACY) {
        proto_tree_add_uint_format_value(view->tree, hf_gkstun_radio, view->message->tvb,
                                         view->attribute->offset, 4, value, "%u", value);
        proto_item_append_text(view->tree, ": %u", value);
        return;
    }
    stun_show_field(view, &hf_gkstun_radio, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %s (%u)",
                           val_to_str_const(value, ft_radio_vals, "unknown"), value);
}

static void
show_nomination(const attribute_view *view)
{
    static const int *const flags[] = { NOMINATION_FLAGS(FIELD_POINTER) };

    stun_show_field(view, &hf_gkstun_nomination, 0, 4, ENC_BIG_ENDIAN);
    stun_show_field(view, &hf_gkstun_nomination_count, 3, 1, ENC_BIG_ENDIAN);
    for (unsigned i = 0; i < array_length(flags); i++)
        stun_show_field(view, flags[i], 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": count %u, flags 0x%x", stun_value_of(view) & 0xff,
                           stun_value_of(view) & ~0xffU);
}

static void
show_link_uuid(const attribute_view *view)
{
    e_guid_t guid;

    tvb_get_ntohguid(view->message->tvb, view->attribute->offset, &guid);
    stun_show_field(view, &hf_gkstun_link_id, 0, UUID_LENGTH, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %s", guid_to_str(view->message->pinfo->pool, &guid));
}

/* ---- the candidate list ---- */

typedef struct {
    uint32_t ipv4, ipv6, entries, end;  /* offsets of the three parts, and where the list ends */
    unsigned ipv4_count, ipv6_count;    /* addresses that are really there */
    unsigned ipv6_index;                /* the index of the first IPv6 address */
} candidate_list;

static void
bad_candidates(const attribute_view *view, proto_item *item, const char *text)
{
    /* Of a list that is cut, not to be complete is no fault of its own. */
    if (view->attribute->available < view->attribute->length)
        return;
    expert_add_info_format(view->message->pinfo, item, &ei_gkstun_candidates_bad,
                           "Candidate list: %s", text);
}

static void
show_rest_of_list(const attribute_view *view, uint32_t offset, const candidate_list *list)
{
    if (offset < list->end)
        proto_tree_add_item(view->tree, hf_gkstun_att_value, view->message->tvb, offset,
                            list->end - offset, ENC_NA);
}

/* The two address lists. False where their counts promise more than there is. */
static bool
show_candidate_addresses(const attribute_view *view, candidate_list *list)
{
    tvbuff_t *tvb = view->message->tvb;
    const uint8_t counts = tvb_get_uint8(tvb, list->ipv4 - 1);
    const unsigned ipv4_count = counts >> 4, ipv6_count = counts & 15;

    list->ipv4_count = MIN(ipv4_count, (list->end - list->ipv4) / 4);
    list->ipv6 = list->ipv4 + 4 * list->ipv4_count;
    list->ipv6_count =
        list->ipv4_count == ipv4_count ? MIN(ipv6_count, (list->end - list->ipv6) / 16) : 0;
    list->entries = list->ipv6 + 16 * list->ipv6_count;
    for (unsigned i = 0; i < list->ipv4_count; i++)
        proto_tree_add_item(view->tree, hf_gkstun_candidates_ipv4, tvb, list->ipv4 + 4 * i, 4,
                            ENC_LITTLE_ENDIAN);
    for (unsigned i = 0; i < list->ipv6_count; i++)
        proto_tree_add_item(view->tree, hf_gkstun_candidates_ipv6, tvb, list->ipv6 + 16 * i, 16,
                            ENC_NA);
    return list->ipv4_count == ipv4_count && list->ipv6_count == ipv6_count;
}

/* Where the address stands that a candidate's index names; 0 where the list has none there. */
static uint32_t
candidate_address(tvbuff_t *tvb, uint32_t offset, const candidate_list *list, bool *is_ipv6)
{
    const uint8_t where = tvb_get_uint8(tvb, offset + 13);
    const unsigned number = where & 15;

    *is_ipv6 = where & 0x10;
    if (*is_ipv6)
        return number - list->ipv6_index < list->ipv6_count
                   ? list->ipv6 + 16 * (number - list->ipv6_index)
                   : 0;
    return number < list->ipv4_count ? list->ipv4 + 4 * number : 0;
}

/* Shows it, too. */
static const char *
show_candidate_address(const attribute_view *view, proto_tree *tree, uint32_t at, bool is_ipv6)
{
    wmem_allocator_t *pool = view->message->pinfo->pool;
    tvbuff_t *tvb = view->message->tvb;
    uint32_t ipv4;
    address host;

    if (at == 0)
        return "no address";
    if (is_ipv6) {
        proto_item_set_generated(
            proto_tree_add_item(tree, hf_gkstun_candidate_ipv6, tvb, at, 16, ENC_NA));
        return tvb_ip6_to_str(pool, tvb, at);
    }
    ipv4 = GUINT32_SWAP_LE_BE(tvb_get_ipv4(tvb, at));
    proto_item_set_generated(proto_tree_add_ipv4(tree, hf_gkstun_candidate_ipv4, tvb, at, 4, ipv4));
    set_address(&host, AT_IPv4, sizeof ipv4, &ipv4);
    return address_to_str(pool, &host);
}

static void
show_candidate(const attribute_view *view, uint32_t offset, const candidate_list *list)
{
    tvbuff_t *tvb = view->message->tvb;
    bool is_ipv6;
    const uint32_t at = candidate_address(tvb, offset, list, &is_ipv6);
    proto_tree *tree = proto_tree_add_subtree(view->tree, tvb, offset, CANDIDATE_LENGTH,
                                              ett_gkstun_candidate, NULL, "Candidate");

    if (at == 0)
        bad_candidates(view, tree, "no address has a candidate's index");
    if (!tree)
        return;
    SHOW_LAYOUT(tree, tvb, (int)offset, candidate_fields);
    const char *host = show_candidate_address(view, tree, at, is_ipv6);
    proto_tree_add_item(tree, hf_gkstun_candidate_port, tvb, offset + 14, 2, ENC_LITTLE_ENDIAN);
    proto_item_append_text(tree, " %08X: %s %s port %u, priority %u",
                           tvb_get_ntohl(tvb, offset + 5),
                           val_to_str_const(tvb_get_uint8(tvb, offset) & 15, gkstun_candidate_types,
                                            "of unknown type"),
                           host, tvb_get_letohs(tvb, offset + 14), tvb_get_letohs(tvb, offset + 9));
}

/* Indexes count within their family, as those of a GameKit session of 2022 do: 4 bits are too
 * few for 15 addresses of each. Where those of the IPv6 candidates only make sense as going on
 * from the IPv4 ones, they are taken so. */
static unsigned
first_ipv6_index(tvbuff_t *tvb, const candidate_list *list, unsigned count)
{
    bool is_beyond = false;

    for (unsigned i = 0; i < count; i++) {
        const uint8_t where = tvb_get_uint8(tvb, list->entries + i * CANDIDATE_LENGTH + 13);
        const unsigned number = where & 15;
        if ((where & 0x10) && number - list->ipv4_count >= list->ipv6_count)
            return 0;
        is_beyond |= (where & 0x10) && number >= list->ipv6_count;
    }
    return is_beyond ? list->ipv4_count : 0;
}

static void
show_candidates(const attribute_view *view)
{
    const uint32_t start = view->attribute->offset;
    candidate_list list = { .ipv4 = start + 3, .end = start + view->attribute->available };

    stun_show_field(view, &hf_gkstun_candidates_version, 0, 2, ENC_BIG_ENDIAN);
    stun_show_field(view, &hf_gkstun_candidates_ipv4_count, 2, 1, ENC_NA);
    stun_show_field(view, &hf_gkstun_candidates_ipv6_count, 2, 1, ENC_NA);
    if (!show_candidate_addresses(view, &list)) {
        bad_candidates(view, view->tree, "it promises more addresses than it has");
        show_rest_of_list(view, list.entries, &list);
        return;
    }

    const unsigned whole = (list.end - list.entries) / CANDIDATE_LENGTH,
                   count = MIN(whole, MAX_CANDIDATES);
    list.ipv6_index = first_ipv6_index(view->message->tvb, &list, count);
    for (unsigned i = 0; i < count; i++)
        show_candidate(view, list.entries + i * CANDIDATE_LENGTH, &list);
    proto_item_append_text(view->tree, ": %u candidate%s", count, plurality(count, "", "s"));
    if (whole > count)
        bad_candidates(view, view->tree, "it has more than 32 candidates");
    else if ((list.end - list.entries) % CANDIDATE_LENGTH != 0)
        bad_candidates(view, view->tree, "its last candidate is incomplete");
    show_rest_of_list(view, list.entries + count * CANDIDATE_LENGTH, &list);
}

/* ---- all attributes of a message ---- */

static const char *
attribute_name(const stun_message *message, const stun_attribute *attribute)
{
    if (!attribute->row)
        return wmem_strdup_printf(message->pinfo->pool, "Unknown (0x%04x)", attribute->type);
    if (stun_is_apple(attribute) && !attribute->fits)
        return val_to_str_const(attribute->type, gkstun_att_type_vals, "Unknown");
    return attribute->row->name;
}

/* The heading of an attribute of Apple's: a layer of `gkstun` inside of stock's. */
static proto_tree *
add_apple_attribute(const stun_message *message, const stun_attribute *attribute, proto_tree *tree,
                    const char *name)
{
    const uint32_t offset = attribute->offset - ATTRIBUTE_HEADER;
    const uint32_t length = ATTRIBUTE_HEADER + attribute->available + attribute->padding;
    proto_item *item = proto_tree_add_protocol_format(tree, proto_gkstun, message->tvb, offset,
                                                      length, "%s", name);
    proto_tree *subtree = proto_item_add_subtree(item, ett_gkstun_attribute);

    proto_tree_add_uint_format_value(subtree, hf_gkstun_att_type, message->tvb, offset, 2,
                                     attribute->type, "%s (0x%04x)", name, attribute->type);
    proto_tree_add_item(subtree, hf_gkstun_att_length, message->tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    stock_add_hidden_uint(subtree, STOCK(ATTRIBUTE), message->tvb, offset, attribute->type);
    stock_add_hidden_uint(subtree, STOCK(ATT_TYPE), message->tvb, offset, attribute->type);
    stock_add_hidden_uint(subtree, STOCK(ATT_LENGTH), message->tvb, offset + 2, attribute->length);
    return subtree;
}

/* True where the value can be decoded; else an expert info says why not. */
static bool
is_decodable(const attribute_view *view)
{
    const stun_message *message = view->message;
    const stun_attribute *attribute = view->attribute;

    if (attribute->available < attribute->length) {
        const bool is_lie =
            !message->is_cut || attribute->offset + attribute->length > message->claimed_end;
        expert_add_info_format(message->pinfo, view->tree,
                               is_lie ? &ei_gkstun_truncated : &ei_gkstun_cut,
                               "Attribute of %u bytes, of which %u are there", attribute->length,
                               attribute->available);
        return false;
    }
    if (!attribute->row) {
        expert_add_info(message->pinfo, view->tree, &ei_gkstun_unknown_attribute);
        return false;
    }
    if (!attribute->fits)
        expert_add_info_format(message->pinfo, view->tree, &ei_gkstun_bad_length,
                               "%s is never %u bytes long", attribute_name(message, attribute),
                               attribute->length);
    return attribute->fits;
}

/* A list that is cut, of which its head and some candidates are there. */
static bool
is_readable_candidate_list(const stun_attribute *attribute)
{
    return attribute->row == &attribute_rows[ATT_CANDIDATES] && attribute->fits &&
           attribute->available >= attribute->row->shortest;
}

static void
show_attribute(const stun_message *message, const stun_attribute *attribute, proto_tree *tree)
{
    const char *name = attribute_name(message, attribute);
    attribute_view view = { message, attribute,
                            attribute->row ? shown[attribute->row - attribute_rows].field : NULL,
                            NULL };

    if (tree)
        view.tree = stun_is_apple(attribute) ? add_apple_attribute(message, attribute, tree, name)
                                        : stock_add_attribute(message, attribute, tree, name);
    if (is_decodable(&view) || is_readable_candidate_list(attribute))
        shown[attribute->row - attribute_rows].show(&view);
    else
        show_raw(&view);
    if (attribute->padding > 0)
        stock_add_uint(view.tree, STOCK(PADDING), message->tvb,
                       attribute->offset + attribute->length, attribute->padding,
                       attribute->padding);
}

/* What the columns, or expert infos on sound messages, tell of: all else needs no work without a
 * tree. */
#define LOUD \
    (BIT(MAPPED_ADDRESS) | BIT(RESPONSE_ADDRESS) | BIT(SOURCE_ADDRESS) | BIT(CHANGED_ADDRESS) | \
     BIT(REFLECTED_FROM) | BIT(DESTINATION_ADDRESS) | BIT(ALTERNATE_SERVER) | \
     BIT(XOR_PEER_ADDRESS) | BIT(XOR_RELAYED_ADDRESS) | BIT(XOR_MAPPED_ADDRESS) | BIT(USERNAME) | \
     BIT(ERROR_CODE) | BIT(USE_CANDIDATE) | BIT(CANDIDATES))

static bool
is_quiet(const stun_attribute *attribute)
{
    return attribute->fits && attribute->available == attribute->length &&
           (UINT64_C(1) << (attribute->row - attribute_rows) & LOUD) == 0;
}

/* apple_only: beside stock's tree, that has the others. */
void
gkstun_show_attributes(const stun_message *message, proto_tree *tree, bool apple_only)
{
    uint32_t offset = STUN_HEADER;
    stun_attribute attribute;

    if (!tree && !message->damaged && !message->has_unknown && !message->has_misfit &&
        (message->seen & LOUD) == 0)
        return;
    while (stun_next_attribute(message, &offset, &attribute)) {
        if (!tree && is_quiet(&attribute))
            continue;
        if (!apple_only || stun_is_apple(&attribute) ||
            stun_is_binary_username(message->tvb, &attribute))
            show_attribute(message, &attribute, tree);
    }
    if (offset < message->end) {
        proto_item *item =
            stock_add_field(tree, STOCK(VALUE), message, offset, message->end - offset, ENC_NA);
        expert_add_info_format(
            message->pinfo, item, message->is_cut ? &ei_gkstun_cut : &ei_gkstun_truncated,
            "Attribute header of 4 bytes, of which %u are there", message->end - offset);
    }
}

/* ---- registration ---- */

/* The names of Apple's numbers, from the table. A number with two readings has both names. */
static void
name_attributes(void)
{
    value_string *last = NULL, *next = gkstun_att_type_vals;

    for (unsigned i = 0; i < ATT_COUNT; i++) {
        const attribute_row *row = &attribute_rows[i];
        if (row->owner == STANDARD)
            continue;
        if (last && last->value == row->type) {
            last->strptr =
                wmem_strdup_printf(wmem_epan_scope(), "%s / %s", last->strptr, row->name);
            continue;
        }
        last = next++;
        last->value = row->type;
        last->strptr = row->name;
    }
}

/* clang-format off */
static hf_register_info hf[] = {
    ATTRIBUTES(NO_FIELD, REGISTER_OWN) CANDIDATE_FIELDS(REGISTER_LAYOUT)
    ATTRIBUTE_FIELDS(REGISTER_FIELD)
};

static ei_register_info ei[] = { ATTRIBUTE_EXPERTS(REGISTER_EXPERT) };
/* clang-format on */

void
gkstun_register_attributes(int proto, expert_module_t *experts)
{
    static int *ett[] = { ATTRIBUTE_TREES(REGISTER_TREE) };

    proto_gkstun = proto;
    stun_index_attributes();
    name_attributes();
    proto_register_field_array(proto_gkstun, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(experts, ei, array_length(ei));
}
