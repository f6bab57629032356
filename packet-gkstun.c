/* packet-gkstun.c
 * GameKit STUN: FaceTime's STUN and TURN messages with Apple's attributes, and TURN ChannelData.
 *
 * STUN message (RFC 8489)
 *
 *    0      2        4          8                20
 *   +------+--------+----------+----------------+------------
 *   | type | length | 2112A442 | transaction id | attributes
 *   +------+--------+----------+----------------+------------
 *
 *   legacy: the transaction id begins with the method (u16), the top bits of its bytes 0, 4 and 8 are clear
 *
 *   attribute:  type u16 | length u16 | value, padded to 4
 *
 * Apple's attributes wear numbers that belong to others (IETF, Microsoft), so what they are follows from
 * number and length: the table below. Legacy (2010-2016) sends 8001-800A, modern (2019 on) 8007, 8008 of 16
 * bytes, 8023, 8024.
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
 *    0                  1          5               9           11     12      13                 14     16
 *   +------------------+----------+---------------+-----------+------+-------+------------------+------+
 *   | protocol:4 type:4| call id  | candidate id  | priority  | rank | flags | flags:4 index:4  | port |
 *   +------------------+----------+---------------+-----------+------+-------+------------------+------+
 *                        LE         as in USERNAME  LE                         index of address   LE
 *
 * ChannelData (RFC 8656): channel u16 | length u16 | payload, which goes back through the front door
 *
 * Evidence: the 2015 report names what a legacy call sends (8001, 8002, 8003, 8004, 8005, 8009, USERNAME of
 * 20 bytes); layouts of legacy are derived from what is public of later builds; modern ones are counted in 96
 * messages of 2023.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/limits.h"
#include "calls/relay.h"
#include "calls/reveal.h"
#include "calls/stun.h"
#include <epan/expert.h>
#include <epan/prefs.h>
#include <epan/tfs.h>
#include <epan/to_str.h>
#include <wsutil/str_util.h>
#include <wsutil/ws_roundup.h>

void proto_register_gkstun(void);
void proto_reg_handoff_gkstun(void);

#define HEADER_LENGTH           20
#define ATTRIBUTE_HEADER_LENGTH 4
#define CHANNEL_HEADER_LENGTH   4
#define COOKIE                  0x2112a442U
#define TXID_OFFSET             8
#define TXID_LENGTH             12
#define USERNAME_LENGTH         20
#define UUID_LENGTH             16
#define CANDIDATE_LENGTH        16
#define MAX_CANDIDATES          32      /* Apple's own bound */
#define MAX_RADIO               15      /* radio technologies are four bits wide in link messages */
#define MAX_RTT_S               60      /* an answer later than this is to some other request */
#define RELAY_PARTICIPANT_GONE  601     /* "Unable to Find Participant" */

static int proto_gkstun = -1;
static int proto_stun = -1;             /* stock's: messages are shown under its name */

static int hf_gkstun_att_type = -1;
static int hf_gkstun_att_length = -1;
static int hf_gkstun_att_value = -1;
static int hf_gkstun_username_destination = -1;
static int hf_gkstun_username_destination_tag = -1;
static int hf_gkstun_username_source = -1;
static int hf_gkstun_username_source_tag = -1;
static int hf_gkstun_protocol = -1;
static int hf_gkstun_derived = -1;
static int hf_gkstun_unknown_8002 = -1;
static int hf_gkstun_ice_version = -1;
static int hf_gkstun_timestamp = -1;
static int hf_gkstun_delay = -1;
static int hf_gkstun_qos = -1;
static int hf_gkstun_radio = -1;
static int hf_gkstun_nomination = -1;
static int hf_gkstun_nomination_count = -1;
static int hf_gkstun_nomination_derived = -1;
static int hf_gkstun_nomination_primary = -1;
static int hf_gkstun_nomination_replace_only = -1;
static int hf_gkstun_nomination_bit_11 = -1;
static int hf_gkstun_nomination_other = -1;
static int hf_gkstun_link_id = -1;
static int hf_gkstun_candidates_version = -1;
static int hf_gkstun_candidates_ipv4_count = -1;
static int hf_gkstun_candidates_ipv6_count = -1;
static int hf_gkstun_candidates_ipv4 = -1;
static int hf_gkstun_candidates_ipv6 = -1;
static int hf_gkstun_candidate_type = -1;
static int hf_gkstun_candidate_protocol = -1;
static int hf_gkstun_candidate_call_id = -1;
static int hf_gkstun_candidate_id = -1;
static int hf_gkstun_candidate_priority = -1;
static int hf_gkstun_candidate_rank = -1;
static int hf_gkstun_candidate_flags = -1;
static int hf_gkstun_candidate_flag_80 = -1;
static int hf_gkstun_candidate_flag_20 = -1;
static int hf_gkstun_candidate_other_flags = -1;
static int hf_gkstun_candidate_cellular = -1;
static int hf_gkstun_candidate_is_ipv6 = -1;
static int hf_gkstun_candidate_index = -1;
static int hf_gkstun_candidate_ipv4 = -1;
static int hf_gkstun_candidate_ipv6 = -1;
static int hf_gkstun_candidate_port = -1;
static int hf_gkstun_ske = -1;
static int hf_gkstun_link_flags = -1;
static int hf_gkstun_data_so = -1;
static int hf_gkstun_rtt = -1;
static int hf_gkstun_txid_method = -1;
static int hf_gkstun_padding = -1;
static int hf_gkstun_trailing = -1;

static int ett_gkstun = -1;
static int ett_gkstun_stun = -1;
static int ett_gkstun_stun_type = -1;
static int ett_gkstun_attributes = -1;
static int ett_gkstun_attribute = -1;
static int ett_gkstun_att_type = -1;
static int ett_gkstun_username = -1;
static int ett_gkstun_candidate = -1;
static int ett_gkstun_missing = -1;

static expert_field ei_gkstun_bad_length = EI_INIT;
static expert_field ei_gkstun_bad_value = EI_INIT;
static expert_field ei_gkstun_truncated = EI_INIT;
static expert_field ei_gkstun_cut = EI_INIT;
static expert_field ei_gkstun_trailing = EI_INIT;
static expert_field ei_gkstun_unpadded = EI_INIT;
static expert_field ei_gkstun_unknown_attribute = EI_INIT;
static expert_field ei_gkstun_candidates_bad = EI_INIT;

static ws_bool gkstun_stock_display;

static dissector_handle_t stun_udp_handle;
static dissector_handle_t classicstun_handle;
static dissector_handle_t inner_handle;
static dissector_handle_t link_handle;

/* Stock STUN's fields that standard parts are shown with, so that its filters keep working. X(id, name,
 * type): one that a Wireshark doesn't have, or has with another type, is shown as text. */
/* clang-format off */
#define STOCK_FIELDS(X) \
    X(TYPE, "stun.type", FT_UINT16) \
    X(TYPE_CLASS, "stun.type.class", FT_UINT16) \
    X(TYPE_METHOD, "stun.type.method", FT_UINT16) \
    X(TYPE_ASSIGNMENT, "stun.type.method-assignment", FT_UINT16) \
    X(LENGTH, "stun.length", FT_UINT16) \
    X(COOKIE, "stun.cookie", FT_BYTES) \
    X(ID, "stun.id", FT_BYTES) \
    X(CHANNEL, "stun.channel", FT_UINT16) \
    X(RESPONSE_IN, "stun.response-in", FT_FRAMENUM) \
    X(RESPONSE_TO, "stun.response-to", FT_FRAMENUM) \
    X(TIME, "stun.time", FT_RELATIVE_TIME) \
    X(DUPLICATE, "stun.reqduplicate", FT_FRAMENUM) \
    X(ATTRIBUTES, "stun.attributes", FT_NONE) \
    X(ATTRIBUTE, "stun.attribute", FT_UINT16) \
    X(ATT_TYPE, "stun.att.type", FT_UINT16) \
    X(ATT_COMPREHENSION, "stun.att.type.comprehension", FT_UINT16) \
    X(ATT_ASSIGNMENT, "stun.att.type.assignment", FT_UINT16) \
    X(ATT_LENGTH, "stun.att.length", FT_UINT16) \
    X(FAMILY, "stun.att.family", FT_UINT8) \
    X(IPV4, "stun.att.ipv4", FT_IPv4) \
    X(IPV6, "stun.att.ipv6", FT_IPv6) \
    X(PORT, "stun.att.port", FT_UINT16) \
    X(XOR_IPV4, "stun.att.ipv4-xord", FT_BYTES) \
    X(XOR_IPV6, "stun.att.ipv6-xord", FT_BYTES) \
    X(XOR_PORT, "stun.att.port-xord", FT_BYTES) \
    X(USERNAME, "stun.att.username", FT_STRING) \
    X(USERNAME_OPAQUE, "stun.att.username.opaque", FT_BYTES) \
    X(PASSWORD, "stun.att.password", FT_BYTES) \
    X(PADDING, "stun.att.padding", FT_UINT16) \
    X(HMAC, "stun.att.hmac", FT_BYTES) \
    X(CRC32, "stun.att.crc32", FT_UINT32) \
    X(ERROR_CLASS, "stun.att.error.class", FT_UINT8) \
    X(ERROR, "stun.att.error", FT_UINT8) \
    X(ERROR_REASON, "stun.att.error.reason", FT_STRING) \
    X(REALM, "stun.att.realm", FT_STRING) \
    X(NONCE, "stun.att.nonce", FT_STRING) \
    X(UNKNOWN, "stun.att.unknown", FT_UINT16) \
    X(SOFTWARE, "stun.att.software", FT_STRING) \
    X(PRIORITY, "stun.att.priority", FT_UINT32) \
    X(TIE_BREAKER, "stun.att.tie-breaker", FT_BYTES) \
    X(LIFETIME, "stun.att.lifetime", FT_UINT32) \
    X(CHANGE_IP, "stun.att.change-ip", FT_BOOLEAN) \
    X(CHANGE_PORT, "stun.att.change-port", FT_BOOLEAN) \
    X(RESERVE_NEXT, "stun.att.even-port.reserve-next", FT_UINT8) \
    X(TOKEN, "stun.att.token", FT_BYTES) \
    X(VALUE, "stun.value", FT_BYTES) \
    X(RESERVED, "stun.att.reserved", FT_BYTES) \
    X(TRANSPORT, "stun.att.transp", FT_UINT8) \
    X(CHANNEL_NUMBER, "stun.att.channelnum", FT_UINT16) \
    X(MAGIC_COOKIE, "stun.att.magic_cookie", FT_UINT32) \
    X(BANDWIDTH, "stun.port.bandwidth", FT_UINT32)

#define STOCK_ENUM(id, name, type) STOCK_##id,
enum { STOCK_FIELDS(STOCK_ENUM) STOCK_COUNT };

#define STOCK_NAME(id, name, type) { name, type },
static const struct {
    const char *name;
    enum ftenum type;
} stock_names[] = { STOCK_FIELDS(STOCK_NAME) };

static int stock_fields[STOCK_COUNT];   /* ids, -1 where there is none; set in the hand-off */
#define STOCK(id) (&stock_fields[STOCK_##id])

/* clang-format on */

typedef struct stun_message stun_message;
typedef struct stun_attribute stun_attribute;
typedef struct attribute_view attribute_view;
typedef void attribute_learner(stun_message *message, const stun_attribute *attribute);
typedef void attribute_decoder(const attribute_view *view);

static attribute_learner learn_username, learn_mapped, learn_xor_mapped, learn_peer, learn_relayed,
    learn_channel, learn_lifetime, learn_error, learn_data, learn_timestamp, learn_delay, learn_radio,
    learn_link_id, learn_token, learn_tie_breaker, learn_candidates, learn_unknown_8002;
static attribute_decoder show_bytes, show_number, show_hex, show_octet, show_text, show_nothing,
    show_username, show_plain_address, show_xor_address, show_error, show_unknown_list, show_change_request,
    show_channel, show_protocol, show_seconds, show_qos, show_radio, show_nomination, show_link_id,
    show_candidates;

typedef enum { STANDARD, APPLE, APPLE_LEGACY, APPLE_MODERN } attribute_owner;

#define ANY 0xffff

/* clang-format off */

/* One row an attribute: X(id, number, shortest and longest value, owner, name, decoder, its field, learner).
 * Rows stand in order of numbers. A number with several rows means what the length says; a length that no row
 * has is never sent. Apple's names are ours but for those that symbols or log lines of Apple made public. */
#define ATTRIBUTES(X) \
    X(MAPPED_ADDRESS, 0x0001, 8, 20, STANDARD, "MAPPED-ADDRESS", show_plain_address, NULL, learn_mapped) \
    X(RESPONSE_ADDRESS, 0x0002, 8, 20, STANDARD, "RESPONSE-ADDRESS", show_plain_address, NULL, NULL) \
    X(CHANGE_REQUEST, 0x0003, 4, 4, STANDARD, "CHANGE-REQUEST", show_change_request, NULL, NULL) \
    X(SOURCE_ADDRESS, 0x0004, 8, 20, STANDARD, "SOURCE-ADDRESS", show_plain_address, NULL, NULL) \
    X(CHANGED_ADDRESS, 0x0005, 8, 20, STANDARD, "CHANGED-ADDRESS", show_plain_address, NULL, NULL) \
    X(USERNAME, 0x0006, 0, ANY, STANDARD, "USERNAME", show_username, NULL, learn_username) \
    X(PASSWORD, 0x0007, 0, ANY, STANDARD, "PASSWORD", show_bytes, STOCK(PASSWORD), NULL) \
    X(MESSAGE_INTEGRITY, 0x0008, 20, 20, STANDARD, "MESSAGE-INTEGRITY", show_bytes, STOCK(HMAC), NULL) \
    X(ERROR_CODE, 0x0009, 4, ANY, STANDARD, "ERROR-CODE", show_error, NULL, learn_error) \
    X(UNKNOWN_ATTRIBUTES, 0x000a, 0, ANY, STANDARD, "UNKNOWN-ATTRIBUTES", show_unknown_list, NULL, NULL) \
    X(REFLECTED_FROM, 0x000b, 8, 20, STANDARD, "REFLECTED-FROM", show_plain_address, NULL, NULL) \
    X(CHANNEL_NUMBER, 0x000c, 4, 4, STANDARD, "CHANNEL-NUMBER", show_channel, NULL, learn_channel) \
    X(LIFETIME, 0x000d, 4, 4, STANDARD, "LIFETIME", show_number, STOCK(LIFETIME), learn_lifetime) \
    X(MAGIC_COOKIE, 0x000f, 4, 4, STANDARD, "MAGIC-COOKIE", show_hex, STOCK(MAGIC_COOKIE), NULL) \
    X(BANDWIDTH, 0x0010, 4, 4, STANDARD, "BANDWIDTH", show_number, STOCK(BANDWIDTH), NULL) \
    X(DESTINATION_ADDRESS, 0x0011, 8, 20, STANDARD, "DESTINATION-ADDRESS", show_plain_address, NULL, NULL) \
    X(XOR_PEER_ADDRESS, 0x0012, 8, 20, STANDARD, "XOR-PEER-ADDRESS", show_xor_address, NULL, learn_peer) \
    X(DATA, 0x0013, 0, ANY, STANDARD, "DATA", show_bytes, STOCK(VALUE), learn_data) \
    X(REALM, 0x0014, 0, ANY, STANDARD, "REALM", show_text, STOCK(REALM), NULL) \
    X(NONCE, 0x0015, 0, ANY, STANDARD, "NONCE", show_text, STOCK(NONCE), NULL) \
    X(XOR_RELAYED_ADDRESS, 0x0016, 8, 20, STANDARD, "XOR-RELAYED-ADDRESS", show_xor_address, NULL, \
      learn_relayed) \
    X(REQUESTED_FAMILY, 0x0017, 4, 4, STANDARD, "REQUESTED-ADDRESS-FAMILY", show_octet, STOCK(FAMILY), NULL) \
    X(EVEN_PORT, 0x0018, 1, 4, STANDARD, "EVEN-PORT", show_octet, STOCK(RESERVE_NEXT), NULL) \
    X(REQUESTED_TRANSPORT, 0x0019, 4, 4, STANDARD, "REQUESTED-TRANSPORT", show_octet, STOCK(TRANSPORT), \
      NULL) \
    X(DONT_FRAGMENT, 0x001a, 0, 0, STANDARD, "DONT-FRAGMENT", show_nothing, NULL, NULL) \
    X(XOR_MAPPED_ADDRESS, 0x0020, 8, 20, STANDARD, "XOR-MAPPED-ADDRESS", show_xor_address, NULL, \
      learn_xor_mapped) \
    X(RESERVATION_TOKEN, 0x0022, 8, 8, STANDARD, "RESERVATION-TOKEN", show_bytes, STOCK(TOKEN), \
      learn_token) \
    X(PRIORITY, 0x0024, 4, 4, STANDARD, "PRIORITY", show_number, STOCK(PRIORITY), NULL) \
    X(USE_CANDIDATE, 0x0025, 0, 0, STANDARD, "USE-CANDIDATE", show_nothing, NULL, NULL) \
    X(PROTOCOL, 0x8001, 4, 4, APPLE_LEGACY, "CANDIDATE-PROTOCOL", show_protocol, NULL, NULL) \
    X(UNKNOWN_8002, 0x8002, 0, ANY, APPLE_LEGACY, "UNKNOWN-8002", show_bytes, &hf_gkstun_unknown_8002, \
      learn_unknown_8002) \
    X(ICE_VERSION, 0x8003, 4, 4, APPLE_LEGACY, "ICE-VERSION", show_number, &hf_gkstun_ice_version, NULL) \
    X(TIMESTAMP, 0x8004, 4, 4, APPLE_LEGACY, "REQUEST-TIMESTAMP", show_seconds, &hf_gkstun_timestamp, \
      learn_timestamp) \
    X(DELAY, 0x8005, 4, 4, APPLE_LEGACY, "RESPONSE-DELAY", show_seconds, &hf_gkstun_delay, learn_delay) \
    X(QOS, 0x8006, 0, 0, APPLE_LEGACY, "CELLULAR-QOS", show_qos, NULL, NULL) \
    X(RADIO, 0x8007, 4, 4, APPLE, "RADIO-ACCESS-TECHNOLOGY", show_radio, NULL, learn_radio) \
    X(NOMINATION, 0x8008, 4, 4, APPLE_LEGACY, "NOMINATION", show_nomination, NULL, NULL) \
    X(LINK_ID, 0x8008, 16, 16, APPLE_MODERN, "LINK-ID", show_link_id, NULL, learn_link_id) \
    X(CANDIDATES, 0x8009, 3, ANY, APPLE_LEGACY, "CANDIDATE-LIST", show_candidates, NULL, learn_candidates) \
    X(SKE, 0x800a, 0, ANY, APPLE_LEGACY, "SIMPLE-KEY-EXCHANGE", show_bytes, &hf_gkstun_ske, NULL) \
    X(SOFTWARE, 0x8022, 0, ANY, STANDARD, "SOFTWARE", show_text, STOCK(SOFTWARE), NULL) \
    X(LINK_FLAGS, 0x8023, 4, 4, APPLE_MODERN, "LINK-FLAGS", show_hex, &hf_gkstun_link_flags, NULL) \
    X(ALTERNATE_SERVER, 0x8023, 8, 20, STANDARD, "ALTERNATE-SERVER", show_plain_address, NULL, NULL) \
    X(DATA_SO, 0x8024, 4, 4, APPLE_MODERN, "DATA-SO-MASK", show_hex, &hf_gkstun_data_so, NULL) \
    X(FINGERPRINT, 0x8028, 4, 4, STANDARD, "FINGERPRINT", show_hex, STOCK(CRC32), NULL) \
    X(ICE_CONTROLLED, 0x8029, 8, 8, STANDARD, "ICE-CONTROLLED", show_bytes, STOCK(TIE_BREAKER), \
      learn_tie_breaker) \
    X(ICE_CONTROLLING, 0x802a, 8, 8, STANDARD, "ICE-CONTROLLING", show_bytes, STOCK(TIE_BREAKER), \
      learn_tie_breaker)

#define ATTRIBUTE_ENUM(id, number, shortest, longest, owner, name, show, field, learn) ATT_##id,
enum { ATTRIBUTES(ATTRIBUTE_ENUM) ATT_COUNT };
G_STATIC_ASSERT(ATT_COUNT <= 64);       /* a bit each in stun_message.seen */

typedef struct {
    uint16_t           type, shortest, longest;
    attribute_owner    owner;
    const char        *name;
    attribute_decoder *show;
    const int         *field;
    attribute_learner *learn;
} attribute_row;

#define ATTRIBUTE_ROW(id, number, shortest, longest, owner, name, show, field, learn) \
    { number, shortest, longest, owner, name, show, field, learn },
static const attribute_row attribute_rows[] = { ATTRIBUTES(ATTRIBUTE_ROW) };

static value_string gkstun_att_type_vals[ATT_COUNT + 1];    /* Apple's rows; filled in when registered */

static const value_string gkstun_methods[] = {
    { STUN_BINDING, "Binding" },
    { 2, "SharedSecret" },
    { STUN_ALLOCATE, "Allocate" },
    { STUN_REFRESH, "Refresh" },
    { 5, "SetActiveDestination" },
    { STUN_SEND, "Send" },
    { STUN_DATA, "Data" },
    { STUN_CREATE_PERMISSION, "CreatePermission" },
    { STUN_CHANNEL_BIND, "Channel-Bind" },
    { STUN_RELAY_ERROR, "Relay Error" },
    { 0, NULL }
};

static const value_string gkstun_classes[] = {
    { STUN_REQUEST, "Request" },
    { STUN_INDICATION, "Indication" },
    { STUN_SUCCESS, "Success Response" },
    { STUN_ERROR, "Error Response" },
    { 0, NULL }
};

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

/* clang-format on */

/* ---- the message, parsed once ---- */

struct stun_message {
    tvbuff_t     *tvb;
    packet_info  *pinfo;
    uint32_t      claimed_end;      /* where the header says that the message ends */
    uint32_t      end;              /* where its attributes end that are there */
    bool          has_cookie;
    bool          is_cut;           /* the capture has only the message's beginning */
    bool          is_exact;         /* the header's length is the datagram's */
    bool          damaged;          /* some length doesn't fit, or bytes are missing */
    bool          has_apple;        /* some number of Apple's */
    uint64_t      apple_attributes; /* FT_ATTRIBUTE_BIT() of each */
    bool          has_unknown;      /* some number that has no row */
    bool          has_misfit;       /* some length that no row of its number has */
    bool          integrity_last;
    uint64_t      seen;             /* attributes by ATT_ id */
    ft_generation generation;       /* as the attributes tell */
    uint32_t      delay, radio;
    uint32_t      data_offset, data_length;
    uint8_t       mapped[16], peer[16], relayed[16];    /* what the addresses of ft_stun point to */
    ft_stun       facts;
};

struct stun_attribute {
    const attribute_row *row;       /* NULL: nobody knows the number */
    bool      fits;                 /* the length is one of the row's */
    uint16_t  type, length;
    uint32_t  offset;               /* of the value */
    uint32_t  available;            /* bytes of the value that are there */
    uint32_t  padding;              /* bytes of padding that are there */
};

#define BIT(id) (UINT64_C(1) << ATT_##id)

static bool
seen(const stun_message *message, uint64_t attributes)
{
    return (message->seen & attributes) == attributes;
}

/* The first row of each number, filled in when registered: the numbers that rows have are below 0x0040, and from 0x8000
 * to 0x803f. */
static const attribute_row *first_rows[0x80];

/* Where a number stands in first_rows; NULL for one that no row has. */
static const attribute_row **
first_row(uint16_t type)
{
    return type & 0x7fc0 ? NULL : &first_rows[(type >> 15) << 6 | (type & 0x3f)];
}

/* The row of number and length; where no length fits, the number's first; NULL where the number has none. */
static const attribute_row *
find_row(uint16_t type, uint16_t length, bool *fits)
{
    const attribute_row **first = first_row(type);

    if (!first || !*first)
        return NULL;
    for (const attribute_row *row = *first; row < attribute_rows + ATT_COUNT && row->type == type; row++) {
        *fits = length >= row->shortest && length <= row->longest;
        if (*fits)
            return row;
    }
    return *first;
}

/* Reads the attribute at *offset and moves on, by 4 bytes at least. False where no whole attribute header is
 * left. */
static bool
next_attribute(const stun_message *message, uint32_t *offset, stun_attribute *attribute)
{
    if (message->end < *offset + ATTRIBUTE_HEADER_LENGTH)
        return false;

    const uint32_t head = tvb_get_ntohl(message->tvb, *offset);
    attribute->type = head >> 16;
    attribute->length = head & 0xffff;
    attribute->offset = *offset + ATTRIBUTE_HEADER_LENGTH;
    attribute->available = MIN(attribute->length, message->end - attribute->offset);
    attribute->padding =
        MIN(WS_ROUNDUP_4(attribute->length), message->end - attribute->offset) - attribute->available;
    attribute->fits = false;
    attribute->row = find_row(attribute->type, attribute->length, &attribute->fits);
    *offset = attribute->offset + attribute->available + attribute->padding;
    return true;
}

static bool
is_apple(const stun_attribute *attribute)
{
    return attribute->row && attribute->row->owner != STANDARD;
}

static void
learn_attribute(stun_message *message, const stun_attribute *attribute)
{
    if (is_apple(attribute)) {
        message->has_apple = true;
        message->apple_attributes |= FT_ATTRIBUTE_BIT(attribute->type);
    }
    message->damaged |= attribute->available < attribute->length;
    message->integrity_last = false;
    message->has_unknown |= attribute->row == NULL;
    message->has_misfit |= attribute->row && !attribute->fits;
    if (!attribute->fits)
        return;
    if (attribute->available < attribute->length && attribute->row != &attribute_rows[ATT_DATA])
        return;

    const attribute_row *row = attribute->row;
    message->seen |= UINT64_C(1) << (row - attribute_rows);
    message->integrity_last = row->type == attribute_rows[ATT_MESSAGE_INTEGRITY].type;
    if (message->generation == FT_GENERATION_UNKNOWN && row->owner > APPLE)
        message->generation = row->owner == APPLE_LEGACY ? FT_LEGACY : FT_MODERN;
    if (row->learn)
        row->learn(message, attribute);
}

static void
learn_header(stun_message *message)
{
    const uint16_t type = tvb_get_ntohs(message->tvb, 0);

    message->facts.method = (type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2;
    message->facts.message_class = (type & 0x0010) >> 4 | (type & 0x0100) >> 7;
    message->claimed_end = HEADER_LENGTH + tvb_get_ntohs(message->tvb, 2);
    message->has_cookie = tvb_get_ntohl(message->tvb, 4) == COOKIE;
    tvb_memcpy(message->tvb, message->facts.txid, TXID_OFFSET, TXID_LENGTH);
}

/* Reads a whole message. False where not even a header is there. */
static bool
parse_message(stun_message *message, tvbuff_t *tvb, packet_info *pinfo)
{
    const uint32_t captured = tvb_captured_length(tvb), reported = tvb_reported_length(tvb);
    uint32_t offset = HEADER_LENGTH;
    stun_attribute attribute;

    memset(message, 0, sizeof *message);
    if (captured < HEADER_LENGTH)
        return false;
    message->tvb = tvb;
    message->pinfo = pinfo;
    learn_header(message);
    message->end = MIN(message->claimed_end, captured);
    message->is_cut = captured < reported;
    message->is_exact = message->claimed_end == reported &&
                        (!message->has_cookie || message->claimed_end % 4 == 0);
    message->damaged = message->is_cut || !message->is_exact;
    while (next_attribute(message, &offset, &attribute))
        learn_attribute(message, &attribute);
    message->damaged |= offset < message->end;

    ft_stun *facts = &message->facts;
    facts->has_reservation_token = seen(message, BIT(RESERVATION_TOKEN));
    facts->has_xor_relayed = seen(message, BIT(XOR_RELAYED_ADDRESS));
    facts->has_lifetime = seen(message, BIT(LIFETIME));
    facts->has_timestamp |= seen(message, BIT(TIMESTAMP));
    facts->use_candidate = seen(message, BIT(USE_CANDIDATE));
    facts->controlling = seen(message, BIT(ICE_CONTROLLING));
    facts->controlled = seen(message, BIT(ICE_CONTROLLED));
    facts->has_link_id = seen(message, BIT(LINK_ID));
    facts->has_apple_attribute = message->has_apple;
    facts->is_cut = message->is_cut;
    return true;
}

/* Two binary candidate ids, rather than 20 characters: their tags, and the low words of plain candidates, are
 * small numbers, and no byte of a text is. */
static bool
is_binary_username(tvbuff_t *tvb, const stun_attribute *attribute)
{
    if (attribute->row != &attribute_rows[ATT_USERNAME] || attribute->length != USERNAME_LENGTH ||
        attribute->available != USERNAME_LENGTH)
        return false;
    for (unsigned i = 0; i < USERNAME_LENGTH; i++) {
        if (!g_ascii_isprint(tvb_get_uint8(tvb, attribute->offset + i)))
            return true;
    }
    return false;
}

static void
learn_username(stun_message *message, const stun_attribute *attribute)
{
    if (!is_binary_username(message->tvb, attribute))
        return;
    message->has_apple = true;
    message->generation = FT_LEGACY;
    message->facts.has_binary_username = true;
    tvb_memcpy(message->tvb, message->facts.username, attribute->offset, USERNAME_LENGTH);
}

/* An address attribute: zero, family, port, address. is_xored: port and address are XORed with what stands at
 * offset 4 of the message (cookie and transaction id). The address points into bytes. False where family and
 * length don't fit. */
static bool
read_address(const stun_message *message, const stun_attribute *attribute, bool is_xored, uint8_t bytes[16],
             ft_endpoint *endpoint)
{
    tvbuff_t *tvb = message->tvb;
    const bool is_ipv6 = tvb_get_uint8(tvb, attribute->offset + 1) == 2;
    const unsigned length = is_ipv6 ? 16 : 4;

    if ((!is_ipv6 && tvb_get_uint8(tvb, attribute->offset + 1) != 1) || attribute->length != 4 + length)
        return false;
    endpoint->port = tvb_get_ntohs(tvb, attribute->offset + 2) ^ (is_xored ? tvb_get_ntohs(tvb, 4) : 0);
    for (unsigned i = 0; i < length; i++)
        bytes[i] = tvb_get_uint8(tvb, attribute->offset + 4 + i) ^ (is_xored ? tvb_get_uint8(tvb, 4 + i) : 0);
    set_address(&endpoint->addr, is_ipv6 ? AT_IPv6 : AT_IPv4, length, bytes);
    return true;
}

static void
learn_mapped(stun_message *message, const stun_attribute *attribute)
{
    read_address(message, attribute, false, message->mapped, &message->facts.mapped);
}

static void
learn_xor_mapped(stun_message *message, const stun_attribute *attribute)
{
    read_address(message, attribute, true, message->mapped, &message->facts.mapped);
}

static void
learn_peer(stun_message *message, const stun_attribute *attribute)
{
    read_address(message, attribute, true, message->peer, &message->facts.peer);
}

static void
learn_relayed(stun_message *message, const stun_attribute *attribute)
{
    read_address(message, attribute, true, message->relayed, &message->facts.relayed);
}

static void
learn_channel(stun_message *message, const stun_attribute *attribute)
{
    message->facts.channel = tvb_get_ntohs(message->tvb, attribute->offset);
}

static void
learn_lifetime(stun_message *message, const stun_attribute *attribute)
{
    message->facts.lifetime = tvb_get_ntohl(message->tvb, attribute->offset);
}

static uint16_t
error_code(tvbuff_t *tvb, const stun_attribute *attribute)
{
    return (tvb_get_uint8(tvb, attribute->offset + 2) & 7) * 100 + tvb_get_uint8(tvb, attribute->offset + 3);
}

static void
learn_error(stun_message *message, const stun_attribute *attribute)
{
    message->facts.error_code = error_code(message->tvb, attribute);
    message->facts.error_reason =
        (const char *)tvb_get_string_enc(message->pinfo->pool, message->tvb, attribute->offset + 4,
                                         attribute->available - 4, ENC_UTF_8);
}

/* Also where the message, or what the capture has of it, ends within: the content is shown as far as it goes.
 * */
static void
learn_data(stun_message *message, const stun_attribute *attribute)
{
    message->data_offset = attribute->offset;
    message->data_length = attribute->available;
    if (message->is_cut)
        message->data_length = MIN(attribute->length, tvb_reported_length(message->tvb) - attribute->offset);
}

static void
learn_token(stun_message *message, const stun_attribute *attribute)
{
    tvb_memcpy(message->tvb, message->facts.token, attribute->offset, sizeof message->facts.token);
}

static void
learn_tie_breaker(stun_message *message, const stun_attribute *attribute)
{
    message->facts.tie_breaker = tvb_get_ntoh64(message->tvb, attribute->offset);
}

static void
learn_candidate_call(ft_stun *facts, uint32_t call_id)
{
    for (unsigned i = 0; i < facts->candidate_call_count; i++) {
        if (facts->candidate_calls[i] == call_id)
            return;
    }
    if (facts->candidate_call_count < G_N_ELEMENTS(facts->candidate_calls))
        facts->candidate_calls[facts->candidate_call_count++] = call_id;
}

/* The call ids: bytes 1 to 4, little-endian, of each entry behind the addresses. */
static void
learn_candidates(stun_message *message, const stun_attribute *attribute)
{
    const uint8_t counts = tvb_get_uint8(message->tvb, attribute->offset + 2);
    const uint32_t end = attribute->offset + attribute->available;
    uint32_t offset = attribute->offset + 3 + (counts >> 4) * 4 + (counts & 0xf) * 16;

    for (; offset + CANDIDATE_LENGTH <= end; offset += CANDIDATE_LENGTH)
        learn_candidate_call(&message->facts, tvb_get_letohl(message->tvb, offset + 1));
}

/* Where a request has no 0x8004, its answer's 0x8004 echoes this (H15's list of attributes; inferred). */
static void
learn_unknown_8002(stun_message *message, const stun_attribute *attribute)
{
    if (attribute->length != 4 || seen(message, BIT(TIMESTAMP)))
        return;
    message->facts.has_timestamp = true;
    message->facts.timestamp = tvb_get_ntohl(message->tvb, attribute->offset);
}

static void
learn_timestamp(stun_message *message, const stun_attribute *attribute)
{
    message->facts.timestamp = tvb_get_ntohl(message->tvb, attribute->offset);
}

static void
learn_delay(stun_message *message, const stun_attribute *attribute)
{
    message->delay = tvb_get_ntohl(message->tvb, attribute->offset);
}

static void
learn_radio(stun_message *message, const stun_attribute *attribute)
{
    message->radio = tvb_get_ntohl(message->tvb, attribute->offset);
}

static void
learn_link_id(stun_message *message, const stun_attribute *attribute)
{
    tvb_memcpy(message->tvb, message->facts.link_id, attribute->offset, UUID_LENGTH);
}

/* A message that carries a peer's data, with or (drafts) without the bits of an indication. */
static bool
carries_data(const stun_message *message)
{
    return message->facts.method == STUN_SEND || message->facts.method == STUN_DATA;
}

/* The method stands again at the head of the transaction id. The other two top bits are clear in legacy
 * messages, too: together they are hit by chance once in 262144 messages. */
static bool
txid_tells_method(const stun_message *message)
{
    const uint8_t *txid = message->facts.txid;

    return message->has_cookie && (txid[0] << 8 | txid[1]) == message->facts.method && txid[4] < 0x80 &&
           txid[8] < 0x80;
}

/* A link message (packet-facetime-link.c): command, length of what follows the 20 bytes of header, 16 zero
 * bytes. */
static bool
is_link_message(tvbuff_t *tvb)
{
    const uint32_t length = tvb_reported_length(tvb);

    if (tvb_captured_length(tvb) < 20 || length != 20U + tvb_get_ntohs(tvb, 2))
        return false;

    const uint16_t command = tvb_get_ntohs(tvb, 0) & 0x7fff;
    return command >= 3 && command <= 6 && tvb_get_ntoh64(tvb, 4) == 0 && tvb_get_ntoh64(tvb, 12) == 0;
}

static tvbuff_t *
data_of(const stun_message *message)
{
    return tvb_new_subset_length(message->tvb, message->data_offset, message->data_length);
}

/* ---- the proof that a message is FaceTime's ---- */

static bool
is_random_uuid(const uint8_t uuid[UUID_LENGTH])
{
    return uuid[6] >> 4 == 4 && uuid[8] >> 6 == 2;
}

#define MODERN_CHECK (BIT(LINK_ID) | BIT(RADIO) | BIT(XOR_MAPPED_ADDRESS) | BIT(LINK_FLAGS) | BIT(DATA_SO) | \
                      BIT(MESSAGE_INTEGRITY))

/* Legacy checks: two binary candidate ids, and both of the attributes that are in each request and answer.
 * Before ICE version 106 there was only one; then the transaction id must tell the method. */
static bool
is_legacy_check(const stun_message *message)
{
    return message->facts.method == STUN_BINDING && message->facts.has_binary_username &&
           seen(message, BIT(PROTOCOL)) && (seen(message, BIT(ICE_VERSION)) || txid_tells_method(message));
}

/* Nobody else asks a relay for an address that the request itself names (RFC 8656 has that attribute in
 * answers only). */
static bool
is_reserved_allocation(const stun_message *message)
{
    return message->facts.method == STUN_ALLOCATE && message->facts.message_class == STUN_REQUEST &&
           seen(message, BIT(RESERVATION_TOKEN) | BIT(XOR_RELAYED_ADDRESS) | BIT(LIFETIME)) &&
           !seen(message, BIT(USERNAME));
}

/* Modern checks, as all 91 of 2023: these attributes, MESSAGE-INTEGRITY last, and neither USERNAME nor
 * PRIORITY, without which no ICE agent of RFC 8445 checks. Beside a link id, attributes that nobody knows may
 * stand. */
static bool
is_modern_check(const stun_message *message)
{
    if (message->facts.method != STUN_BINDING || (message->seen & ~MODERN_CHECK) != 0 ||
        !message->integrity_last || message->damaged)
        return false;
    if (message->facts.has_link_id)
        return is_random_uuid(message->facts.link_id);
    if (message->has_unknown || message->has_misfit)
        return false;
    if (message->facts.message_class == STUN_SUCCESS)
        return seen(message, BIT(LINK_FLAGS) | BIT(DATA_SO));
    return message->facts.message_class == STUN_REQUEST && message->radio <= MAX_RADIO &&
           message->seen == (BIT(RADIO) | BIT(MESSAGE_INTEGRITY));
}

/* Link messages on the direct path ride in Data indications without a peer's address. */
static bool
is_link_carrier(const stun_message *message)
{
    return message->facts.method == STUN_DATA && message->facts.message_class == STUN_INDICATION &&
           !message->has_unknown && !message->has_misfit && !message->damaged &&
           message->seen == (BIT(CHANNEL_NUMBER) | BIT(DATA)) && is_link_message(data_of(message));
}

static bool
is_relay_error(const stun_message *message)
{
    return message->facts.method == STUN_RELAY_ERROR && message->facts.message_class == STUN_INDICATION &&
           message->facts.error_code == RELAY_PARTICIPANT_GONE;
}

/* Others' messages are many: what a proof needs is looked for first, an attribute of Apple's (0x8001-0x800a, 0x8023,
 * 0x8024), a reservation, or a method that carries or says what others' don't. */
static bool
may_prove(tvbuff_t *tvb)
{
    const uint32_t end = MIN(tvb_captured_length(tvb), HEADER_LENGTH + (uint32_t)tvb_get_ntohs(tvb, 2));
    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)tvb_captured_length(tvb));
    const unsigned type = bytes[0] << 8 | bytes[1];

    if (type == 0x0017 || type == 0x0813)   /* Data indication, the modern relay's error */
        return true;
    for (uint32_t offset = HEADER_LENGTH; offset + 4 <= end;) {
        const unsigned attribute = bytes[offset] << 8 | bytes[offset + 1];
        if (attribute == 0x0022 || (attribute > 0x8000 && attribute <= 0x8024 && (attribute <= 0x800a || attribute > 0x8022)))
            return true;
        offset += 4 + WS_ROUNDUP_4(bytes[offset + 2] << 8 | bytes[offset + 3]);
    }
    return false;
}

/* A message that the capture cut may still be proof: by what is there of it. */
static bool
proves_stun(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    stun_message message;

    if (tvb_captured_length(tvb) < HEADER_LENGTH || tvb_get_ntohl(tvb, 4) != COOKIE || !may_prove(tvb) ||
        !parse_message(&message, tvb, pinfo) || !message.is_exact || (message.damaged && !message.is_cut))
        return false;
    if (is_legacy_check(&message) || is_reserved_allocation(&message))
        *generation = FT_LEGACY;
    else if (is_modern_check(&message) || is_link_carrier(&message) || is_relay_error(&message))
        *generation = FT_MODERN;
    else
        return false;
    return true;
}

/* The numbers 4000-7FFF, and a length that fits: to the byte, or (not over UDP, but stock allows it) padded
 * to 4. */
static bool
is_channel_data(tvbuff_t *tvb)
{
    if (tvb_captured_length(tvb) < CHANNEL_HEADER_LENGTH || tvb_get_uint8(tvb, 0) >> 6 != 1)
        return false;

    const uint32_t end = CHANNEL_HEADER_LENGTH + tvb_get_ntohs(tvb, 2), reported = tvb_reported_length(tvb);
    return end == reported || WS_ROUNDUP_4(end) == reported;
}

/* ChannelData has no mark of its own: what it carries must be proof. */
static bool
proves_channel_data(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    if (!is_channel_data(tvb) || tvb_captured_length(tvb) < CHANNEL_HEADER_LENGTH + 4)
        return false;

    tvbuff_t *payload = tvb_new_subset_length(tvb, CHANNEL_HEADER_LENGTH, tvb_get_ntohs(tvb, 2));
    if (tvb_get_uint8(payload, 0) >> 6 == 2)
        return ft_evidence_proves(FT_RELAYED_RTP, payload, pinfo, generation);
    return ft_evidence_proves(FT_SHAPE_STUN, payload, pinfo, generation) ||
           ft_evidence_proves(FT_SHAPE_SIP, payload, pinfo, generation);
}

/* ---- round trip times ---- */

/* When the transmission that is answered was sent: the stamp tells which, or there was only one. NULL: not known. */
static const nstime_t *
sent_time(const stun_message *message, const ft_exchange *exchange)
{
    const uint32_t frame = ft_frame_id(message->pinfo);
    const ft_sent *sent = message->facts.has_timestamp ? ft_exchange_sent(exchange, message->facts.timestamp) : NULL;

    if (sent)
        return sent->frame < frame ? &sent->time : NULL;
    if (!exchange || exchange->response_frame != frame || exchange->repeated_frame ||
        (message->facts.has_timestamp && exchange->sent))
        return NULL;
    return &exchange->request_time;
}

/* Apple's client has RTT = now - 8004 - 8005, by its own NTP clock. The capture's clock is another one (9
 * seconds apart in the cellular capture of 2023, though that was made on the phone), so "now - 8004" is taken
 * as the time between the frames of the answer and of the request that carried the echoed 8004: exact where
 * the capture was made at the requester. The echoed timestamp tells which of several transmissions was
 * answered. */
static bool
round_trip(const stun_message *message, const ft_exchange *exchange, nstime_t *rtt)
{
    if (message->facts.message_class != STUN_SUCCESS || message->facts.method != STUN_BINDING)
        return false;

    const nstime_t *sent = sent_time(message, exchange);
    if (!sent)
        return false;

    const nstime_t delay = { message->delay >> 16,
                             (int)((message->delay & 0xffff) * UINT64_C(1000000000) >> 16) };
    const nstime_t now = ft_now(message->pinfo);
    nstime_delta(rtt, &now, sent);
    nstime_subtract(rtt, &delay);
    return rtt->secs >= 0 && rtt->nsecs >= 0 && rtt->secs < MAX_RTT_S;
}

/* ---- showing: fields ---- */

/* As proto_tree_add_item(); text where this Wireshark's stock STUN lacks the field. */
static proto_item *
add_field(proto_tree *tree, const int *field, const stun_message *message, uint32_t offset, uint32_t length,
          unsigned encoding)
{
    proto_item *item;

    if (*field > 0)
        return proto_tree_add_item(tree, *field, message->tvb, offset, length, encoding);
    proto_tree_add_subtree_format(tree, message->tvb, offset, length, ett_gkstun_missing, &item, "Value: %s",
                                  tvb_bytes_to_str(message->pinfo->pool, message->tvb, offset, length));
    return item;
}

/* As proto_tree_add_uint(). */
static proto_item *
add_uint(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t offset, uint32_t length, uint32_t value)
{
    proto_item *item;

    if (*field > 0)
        return proto_tree_add_uint(tree, *field, tvb, offset, length, value);
    proto_tree_add_subtree_format(tree, tvb, offset, length, ett_gkstun_missing, &item, "Value: %u", value);
    return item;
}

static void
add_frame(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t frame)
{
    if (*field > 0)
        ft_show_frame(tree, *field, tvb, 0, 0, frame);
}

/* A number of Apple's under stock's name for any attribute's number: found by filters, and not shown twice.
 * */
static void
add_hidden_uint(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t offset, uint32_t value)
{
    if (*field > 0)
        proto_item_set_hidden(proto_tree_add_uint(tree, *field, tvb, offset, 2, value));
}

/* ---- showing: attributes ---- */

/* What a decoder works on: a whole value of a length that the row has (a candidate list may be cut). */
struct attribute_view {
    const stun_message   *message;
    const stun_attribute *attribute;
    proto_tree           *tree;     /* of the attribute; its heading is the tree's own item */
};

static proto_item *
show_field(const attribute_view *view, const int *field, uint32_t skip, uint32_t length, unsigned encoding)
{
    return add_field(view->tree, field, view->message, view->attribute->offset + skip, length, encoding);
}

static uint32_t
value_of(const attribute_view *view)
{
    return tvb_get_ntohl(view->message->tvb, view->attribute->offset);
}

static void
show_bytes(const attribute_view *view)
{
    if (view->attribute->length > 0)
        show_field(view, view->attribute->row->field, 0, view->attribute->length, ENC_NA);
}

static void
show_number(const attribute_view *view)
{
    show_field(view, view->attribute->row->field, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %u", value_of(view));
}

static void
show_hex(const attribute_view *view)
{
    show_field(view, view->attribute->row->field, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": 0x%08x", value_of(view));
}

/* A number in the first byte, the rest reserved. */
static void
show_octet(const attribute_view *view)
{
    show_field(view, view->attribute->row->field, 0, 1, ENC_BIG_ENDIAN);
    if (view->attribute->length > 1)
        show_field(view, STOCK(RESERVED), 1, view->attribute->length - 1, ENC_NA);
}

static void
show_text(const attribute_view *view)
{
    if (view->attribute->length > 0)
        show_field(view, view->attribute->row->field, 0, view->attribute->length, ENC_UTF_8 | ENC_NA);
}

static void
show_nothing(const attribute_view *view)
{
    if (view->attribute->type == attribute_rows[ATT_USE_CANDIDATE].type)
        col_append_str(view->message->pinfo->cinfo, COL_INFO, " nomination");
}

static void
show_channel(const attribute_view *view)
{
    show_field(view, STOCK(CHANNEL_NUMBER), 0, 2, ENC_BIG_ENDIAN);
    show_field(view, STOCK(RESERVED), 2, 2, ENC_NA);
    proto_item_append_text(view->tree, ": 0x%04x",
                           tvb_get_ntohs(view->message->tvb, view->attribute->offset));
}

static void
show_change_request(const attribute_view *view)
{
    show_field(view, STOCK(CHANGE_IP), 2, 2, ENC_BIG_ENDIAN);
    show_field(view, STOCK(CHANGE_PORT), 2, 2, ENC_BIG_ENDIAN);
}

static void
show_unknown_list(const attribute_view *view)
{
    for (unsigned i = 0; i + 2 <= view->attribute->length; i += 2)
        show_field(view, STOCK(UNKNOWN), i, 2, ENC_BIG_ENDIAN);
}

static void
show_error(const attribute_view *view)
{
    packet_info *pinfo = view->message->pinfo;
    tvbuff_t *tvb = view->message->tvb;
    const unsigned code = error_code(tvb, view->attribute), length = view->attribute->length - 4;
    const char *reason = length > 0
                             ? (const char *)tvb_get_string_enc(pinfo->pool, tvb, view->attribute->offset + 4,
                                                                length, ENC_UTF_8 | ENC_NA)
                             : "";

    show_field(view, STOCK(RESERVED), 0, 2, ENC_NA);
    show_field(view, STOCK(ERROR_CLASS), 2, 1, ENC_BIG_ENDIAN);
    show_field(view, STOCK(ERROR), 3, 1, ENC_BIG_ENDIAN);
    if (length > 0)
        show_field(view, STOCK(ERROR_REASON), 4, length, ENC_UTF_8 | ENC_NA);
    proto_item_append_text(view->tree, ": %u %s", code, reason);
    col_append_fstr(pinfo->cinfo, COL_INFO, " error-code: %u %s", code, reason);
}

/* What no decoder can read: the bytes, under a name of the protocol that they are in. */
static void
show_raw(const attribute_view *view)
{
    const stun_attribute *attribute = view->attribute;

    if (attribute->available > 0)
        show_field(view, is_apple(attribute) ? &hf_gkstun_att_value : STOCK(VALUE), 0, attribute->available,
                   ENC_NA);
}

static void
show_ip(const attribute_view *view, bool is_xored, const ft_endpoint *endpoint)
{
    tvbuff_t *tvb = view->message->tvb;
    const uint32_t offset = view->attribute->offset + 4;
    const bool is_ipv6 = endpoint->addr.type == AT_IPv6;
    const int *field = is_ipv6 ? STOCK(IPV6) : STOCK(IPV4);
    proto_item *item;
    uint32_t ipv4;

    if (is_xored)
        show_field(view, is_ipv6 ? STOCK(XOR_IPV6) : STOCK(XOR_IPV4), 4, endpoint->addr.len, ENC_NA);
    if (*field <= 0)
        return;
    if (is_ipv6) {
        item = proto_tree_add_ipv6(view->tree, *field, tvb, offset, 16,
                                   (const ws_in6_addr *)endpoint->addr.data);
    } else {
        memcpy(&ipv4, endpoint->addr.data, sizeof ipv4);
        item = proto_tree_add_ipv4(view->tree, *field, tvb, offset, 4, ipv4);
    }
    if (is_xored)
        proto_item_set_generated(item);
}

static void
show_address(const attribute_view *view, bool is_xored)
{
    const stun_message *message = view->message;
    ft_endpoint endpoint;
    uint8_t bytes[16];

    if (!read_address(message, view->attribute, is_xored, bytes, &endpoint)) {
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
    show_field(view, STOCK(RESERVED), 0, 1, ENC_NA);
    show_field(view, STOCK(FAMILY), 1, 1, ENC_BIG_ENDIAN);
    if (is_xored)
        show_field(view, STOCK(XOR_PORT), 2, 2, ENC_NA);
    proto_item *port =
        add_uint(view->tree, STOCK(PORT), message->tvb, view->attribute->offset + 2, 2, endpoint.port);
    if (is_xored)
        proto_item_set_generated(port);
    show_ip(view, is_xored, &endpoint);
    proto_item_append_text(view->tree, ": %s", text);
}

static void
show_plain_address(const attribute_view *view)
{
    show_address(view, false);
}

static void
show_xor_address(const attribute_view *view)
{
    show_address(view, true);
}

static char *
put_hex(char *to, uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        *to++ = "0123456789ABCDEF"[value >> shift & 15];
    return to;
}

/* High word, low word, tag. */
static char *
put_candidate_id(char *to, tvbuff_t *tvb, uint32_t offset)
{
    enum { TAG_STRLEN = 6 };

    to = put_hex(to, tvb_get_ntohl(tvb, offset));
    *to++ = '.';
    to = put_hex(to, tvb_get_ntohl(tvb, offset + 4));
    *to++ = '.';
    uint32_to_str_buf(tvb_get_ntohs(tvb, offset + 8), to, TAG_STRLEN);
    return to + strlen(to);
}

/* As Apple writes a pair of candidate ids: "00000000.4A5B6C7D.0-00000000.11223344.2". */
static const char *
candidate_ids(const stun_message *message, uint32_t offset)
{
    char *text = (char *)wmem_alloc(message->pinfo->pool, 2 * sizeof "FFFFFFFF.FFFFFFFF.65535-");
    char *end = put_candidate_id(text, message->tvb, offset);

    *end++ = '-';
    put_candidate_id(end, message->tvb, offset + USERNAME_LENGTH / 2);
    return text;
}

static void
show_username(const attribute_view *view)
{
    const stun_message *message = view->message;
    const uint32_t offset = view->attribute->offset;

    if (!is_binary_username(message->tvb, view->attribute)) {
        if (view->attribute->length > 0)
            show_field(view, STOCK(USERNAME), 0, view->attribute->length, ENC_UTF_8 | ENC_NA);
        return;
    }

    const char *ids = candidate_ids(message, offset);
    col_append_lstr(message->pinfo->cinfo, COL_INFO, " user: ", ids, COL_ADD_LSTR_TERMINATOR);
    if (!view->tree)
        return;
    show_field(view, STOCK(USERNAME_OPAQUE), 0, USERNAME_LENGTH, ENC_NA);
    proto_item *item = proto_tree_add_protocol_format(view->tree, proto_gkstun, message->tvb, offset,
                                                      USERNAME_LENGTH, "Candidate ids: %s", ids);
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_username);
    proto_tree_add_item(tree, hf_gkstun_username_destination, message->tvb, offset, 8, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_username_destination_tag, message->tvb, offset + 8, 2,
                        ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_username_source, message->tvb, offset + 10, 8, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_username_source_tag, message->tvb, offset + 18, 2, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %s", ids);
}

static void
show_protocol(const attribute_view *view)
{
    const uint32_t value = value_of(view);

    show_field(view, &hf_gkstun_protocol, 0, 4, ENC_BIG_ENDIAN);
    show_field(view, &hf_gkstun_derived, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %u%s", value & ~0x100U, value & 0x100 ? ", derived" : "");
}

static void
show_seconds(const attribute_view *view)
{
    const uint32_t value = value_of(view);

    proto_tree_add_uint_format_value(view->tree, *view->attribute->row->field, view->message->tvb,
                                     view->attribute->offset, 4, value, "%u (%.6f s)", value,
                                     value / 65536.0);
    proto_item_append_text(view->tree, ": %.6f s", value / 65536.0);
}

/* No value: the attribute itself says it. */
static void
show_qos(const attribute_view *view)
{
    proto_tree_add_boolean(view->tree, hf_gkstun_qos, view->message->tvb,
                           view->attribute->offset - ATTRIBUTE_HEADER_LENGTH, ATTRIBUTE_HEADER_LENGTH, true);
}

/* What the numbers mean is known from modern calls alone. */
static void
show_radio(const attribute_view *view)
{
    const uint32_t value = value_of(view);

    if (view->message->generation == FT_LEGACY) {
        proto_tree_add_uint_format_value(view->tree, hf_gkstun_radio, view->message->tvb, view->attribute->offset, 4,
                                         value, "%u", value);
        proto_item_append_text(view->tree, ": %u", value);
        return;
    }
    show_field(view, &hf_gkstun_radio, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %s (%u)", val_to_str_const(value, ft_radio_vals, "unknown"), value);
}

static void
show_nomination(const attribute_view *view)
{
    static const int *const flags[] = { &hf_gkstun_nomination_derived, &hf_gkstun_nomination_primary,
                                        &hf_gkstun_nomination_replace_only, &hf_gkstun_nomination_bit_11,
                                        &hf_gkstun_nomination_other };

    show_field(view, &hf_gkstun_nomination, 0, 4, ENC_BIG_ENDIAN);
    show_field(view, &hf_gkstun_nomination_count, 3, 1, ENC_BIG_ENDIAN);
    for (unsigned i = 0; i < array_length(flags); i++)
        show_field(view, flags[i], 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": count %u, flags 0x%x", value_of(view) & 0xff,
                           value_of(view) & ~0xffU);
}

static void
show_link_id(const attribute_view *view)
{
    e_guid_t guid;

    tvb_get_ntohguid(view->message->tvb, view->attribute->offset, &guid);
    show_field(view, &hf_gkstun_link_id, 0, UUID_LENGTH, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %s", guid_to_str(view->message->pinfo->pool, &guid));
}

/* ---- showing: the candidate list ---- */

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
    expert_add_info_format(view->message->pinfo, item, &ei_gkstun_candidates_bad, "Candidate list: %s", text);
}

static void
show_rest_of_list(const attribute_view *view, uint32_t offset, const candidate_list *list)
{
    if (offset < list->end)
        proto_tree_add_item(view->tree, hf_gkstun_att_value, view->message->tvb, offset, list->end - offset,
                            ENC_NA);
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
    list->ipv6_count = list->ipv4_count == ipv4_count ? MIN(ipv6_count, (list->end - list->ipv6) / 16) : 0;
    list->entries = list->ipv6 + 16 * list->ipv6_count;
    for (unsigned i = 0; i < list->ipv4_count; i++)
        proto_tree_add_item(view->tree, hf_gkstun_candidates_ipv4, tvb, list->ipv4 + 4 * i, 4,
                            ENC_LITTLE_ENDIAN);
    for (unsigned i = 0; i < list->ipv6_count; i++)
        proto_tree_add_item(view->tree, hf_gkstun_candidates_ipv6, tvb, list->ipv6 + 16 * i, 16, ENC_NA);
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
        return number - list->ipv6_index < list->ipv6_count ? list->ipv6 + 16 * (number - list->ipv6_index) : 0;
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
        proto_item_set_generated(proto_tree_add_item(tree, hf_gkstun_candidate_ipv6, tvb, at, 16, ENC_NA));
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
    proto_tree *tree = proto_tree_add_subtree(view->tree, tvb, offset, CANDIDATE_LENGTH, ett_gkstun_candidate,
                                              NULL, "Candidate");

    if (at == 0)
        bad_candidates(view, tree, "no address has a candidate's index");
    if (!tree)
        return;
    proto_tree_add_item(tree, hf_gkstun_candidate_protocol, tvb, offset, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_type, tvb, offset, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_call_id, tvb, offset + 1, 4, ENC_LITTLE_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_candidate_id, tvb, offset + 5, 4, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_candidate_priority, tvb, offset + 9, 2, ENC_LITTLE_ENDIAN);
    proto_tree_add_item(tree, hf_gkstun_candidate_rank, tvb, offset + 11, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_flags, tvb, offset + 12, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_flag_80, tvb, offset + 12, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_flag_20, tvb, offset + 12, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_other_flags, tvb, offset + 12, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_cellular, tvb, offset + 13, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_is_ipv6, tvb, offset + 13, 1, ENC_NA);
    proto_tree_add_item(tree, hf_gkstun_candidate_index, tvb, offset + 13, 1, ENC_NA);
    const char *host = show_candidate_address(view, tree, at, is_ipv6);
    proto_tree_add_item(tree, hf_gkstun_candidate_port, tvb, offset + 14, 2, ENC_LITTLE_ENDIAN);
    proto_item_append_text(tree, " %08X: %s %s port %u, priority %u", tvb_get_ntohl(tvb, offset + 5),
                           val_to_str_const(tvb_get_uint8(tvb, offset) & 15, gkstun_candidate_types,
                                            "of unknown type"),
                           host, tvb_get_letohs(tvb, offset + 14), tvb_get_letohs(tvb, offset + 9));
}

/* Indexes count within their family, as those of a GameKit session of 2022 do: 4 bits are too few for 15 addresses of
 * each. Where those of the IPv6 candidates only make sense as going on from the IPv4 ones, they are taken so. */
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

    show_field(view, &hf_gkstun_candidates_version, 0, 2, ENC_BIG_ENDIAN);
    show_field(view, &hf_gkstun_candidates_ipv4_count, 2, 1, ENC_NA);
    show_field(view, &hf_gkstun_candidates_ipv6_count, 2, 1, ENC_NA);
    if (!show_candidate_addresses(view, &list)) {
        bad_candidates(view, view->tree, "it promises more addresses than it has");
        show_rest_of_list(view, list.entries, &list);
        return;
    }

    const unsigned whole = (list.end - list.entries) / CANDIDATE_LENGTH, count = MIN(whole, MAX_CANDIDATES);
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

/* ---- showing: the message ---- */

static const char *
attribute_name(const stun_message *message, const stun_attribute *attribute)
{
    if (!attribute->row)
        return wmem_strdup_printf(message->pinfo->pool, "Unknown (0x%04x)", attribute->type);
    if (is_apple(attribute) && !attribute->fits)
        return val_to_str_const(attribute->type, gkstun_att_type_vals, "Unknown");
    return attribute->row->name;
}

/* The heading of an attribute of Apple's: a layer of `gkstun` inside of stock's. */
static proto_tree *
add_apple_attribute(const stun_message *message, const stun_attribute *attribute, proto_tree *tree,
                    const char *name)
{
    const uint32_t offset = attribute->offset - ATTRIBUTE_HEADER_LENGTH;
    const uint32_t length = ATTRIBUTE_HEADER_LENGTH + attribute->available + attribute->padding;
    proto_item *item =
        proto_tree_add_protocol_format(tree, proto_gkstun, message->tvb, offset, length, "%s", name);
    proto_tree *subtree = proto_item_add_subtree(item, ett_gkstun_attribute);

    proto_tree_add_uint_format_value(subtree, hf_gkstun_att_type, message->tvb, offset, 2, attribute->type,
                                     "%s (0x%04x)", name, attribute->type);
    proto_tree_add_item(subtree, hf_gkstun_att_length, message->tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    add_hidden_uint(subtree, STOCK(ATTRIBUTE), message->tvb, offset, attribute->type);
    add_hidden_uint(subtree, STOCK(ATT_TYPE), message->tvb, offset, attribute->type);
    add_hidden_uint(subtree, STOCK(ATT_LENGTH), message->tvb, offset + 2, attribute->length);
    return subtree;
}

/* As stock STUN shows an attribute. */
static proto_tree *
add_standard_attribute(const stun_message *message, const stun_attribute *attribute, proto_tree *tree,
                       const char *name)
{
    const uint32_t offset = attribute->offset - ATTRIBUTE_HEADER_LENGTH;
    const uint32_t length = ATTRIBUTE_HEADER_LENGTH + attribute->available + attribute->padding;
    proto_item *item = add_uint(tree, STOCK(ATTRIBUTE), message->tvb, offset, length, attribute->type);
    proto_tree *subtree = proto_item_add_subtree(item, ett_gkstun_attribute);

    proto_item_set_text(item, "%s", name);
    item = add_uint(subtree, STOCK(ATT_TYPE), message->tvb, offset, 2, attribute->type);
    proto_item_append_text(item, " (%s)", name);
    proto_tree *type_tree = proto_item_add_subtree(item, ett_gkstun_att_type);
    add_uint(type_tree, STOCK(ATT_COMPREHENSION), message->tvb, offset, 2, attribute->type);
    add_uint(type_tree, STOCK(ATT_ASSIGNMENT), message->tvb, offset, 2, attribute->type);
    add_uint(subtree, STOCK(ATT_LENGTH), message->tvb, offset + 2, 2, attribute->length);
    return subtree;
}

/* True where the value can be decoded; else an expert info says why not. */
static bool
is_decodable(const attribute_view *view)
{
    const stun_message *message = view->message;
    const stun_attribute *attribute = view->attribute;

    if (attribute->available < attribute->length) {
        const bool is_lie = !message->is_cut || attribute->offset + attribute->length > message->claimed_end;
        expert_add_info_format(message->pinfo, view->tree, is_lie ? &ei_gkstun_truncated : &ei_gkstun_cut,
                               "Attribute of %u bytes, of which %u are there", attribute->length,
                               attribute->available);
        return false;
    }
    if (!attribute->row) {
        expert_add_info(message->pinfo, view->tree, &ei_gkstun_unknown_attribute);
        return false;
    }
    if (!attribute->fits)
        expert_add_info_format(message->pinfo, view->tree, &ei_gkstun_bad_length, "%s is never %u bytes long",
                               attribute_name(message, attribute), attribute->length);
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
    attribute_view view = { message, attribute, NULL };

    if (tree)
        view.tree = is_apple(attribute) ? add_apple_attribute(message, attribute, tree, name)
                                        : add_standard_attribute(message, attribute, tree, name);
    if (is_decodable(&view) || is_readable_candidate_list(attribute))
        attribute->row->show(&view);
    else
        show_raw(&view);
    if (attribute->padding > 0)
        add_uint(view.tree, STOCK(PADDING), message->tvb, attribute->offset + attribute->length,
                 attribute->padding, attribute->padding);
}

/* What the columns, or expert infos on sound messages, tell of: all else needs no work without a tree. */
#define LOUD (BIT(MAPPED_ADDRESS) | BIT(RESPONSE_ADDRESS) | BIT(SOURCE_ADDRESS) | BIT(CHANGED_ADDRESS) | \
              BIT(REFLECTED_FROM) | BIT(DESTINATION_ADDRESS) | BIT(ALTERNATE_SERVER) | BIT(XOR_PEER_ADDRESS) | \
              BIT(XOR_RELAYED_ADDRESS) | BIT(XOR_MAPPED_ADDRESS) | BIT(USERNAME) | BIT(ERROR_CODE) | \
              BIT(USE_CANDIDATE) | BIT(CANDIDATES))

static bool
is_quiet(const stun_attribute *attribute)
{
    return attribute->fits && attribute->available == attribute->length &&
           (UINT64_C(1) << (attribute->row - attribute_rows) & LOUD) == 0;
}

/* apple_only: beside stock's tree, that has the others. */
static void
show_attributes(const stun_message *message, proto_tree *tree, bool apple_only)
{
    uint32_t offset = HEADER_LENGTH;
    stun_attribute attribute;

    if (!tree && !message->damaged && !message->has_unknown && !message->has_misfit && (message->seen & LOUD) == 0)
        return;
    while (next_attribute(message, &offset, &attribute)) {
        if (!tree && is_quiet(&attribute))
            continue;
        if (!apple_only || is_apple(&attribute) || is_binary_username(message->tvb, &attribute))
            show_attribute(message, &attribute, tree);
    }
    if (offset < message->end) {
        proto_item *item = add_field(tree, STOCK(VALUE), message, offset, message->end - offset, ENC_NA);
        expert_add_info_format(message->pinfo, item, message->is_cut ? &ei_gkstun_cut : &ei_gkstun_truncated,
                               "Attribute header of 4 bytes, of which %u are there", message->end - offset);
    }
}

static void
show_type(const stun_message *message, proto_tree *tree, const char *method, const char *message_class)
{
    const uint16_t type = tvb_get_ntohs(message->tvb, 0);
    proto_item *item = add_uint(tree, STOCK(TYPE), message->tvb, 0, 2, type);
    proto_tree *subtree = proto_item_add_subtree(item, ett_gkstun_stun_type);

    proto_item_append_text(item, " (%s %s)", method, message_class);
    item = add_uint(subtree, STOCK(TYPE_CLASS), message->tvb, 0, 2, type);
    proto_item_append_text(item, " %s (%u)", message_class, message->facts.message_class);
    item = add_uint(subtree, STOCK(TYPE_METHOD), message->tvb, 0, 2, type);
    proto_item_append_text(item, " %s (0x%03x)", method, message->facts.method);
    add_uint(subtree, STOCK(TYPE_ASSIGNMENT), message->tvb, 0, 2, type);
}

/* Lengths of header and datagram that don't agree. */
static void
check_message_length(const stun_message *message, proto_item *item)
{
    const uint32_t reported = tvb_reported_length(message->tvb);
    packet_info *pinfo = message->pinfo;

    if (message->claimed_end > reported)
        expert_add_info_format(pinfo, item, &ei_gkstun_truncated,
                               "Message of %u bytes, of which %u are there", message->claimed_end, reported);
    else if (message->claimed_end > message->end)
        expert_add_info(pinfo, item, &ei_gkstun_cut);
    if (message->has_cookie && message->claimed_end % 4 != 0)
        expert_add_info(pinfo, item, &ei_gkstun_unpadded);
}

/* The header's fields, as stock shows them. The item of the length. */
static proto_item *
show_header_fields(const stun_message *message, proto_tree *tree, const char *method, const char *message_class)
{
    /* Before RFC 5389 there was no cookie, and 16 bytes of transaction id. */
    const unsigned id = message->has_cookie ? TXID_OFFSET : 4;

    show_type(message, tree, method, message_class);
    proto_item *length = add_field(tree, STOCK(LENGTH), message, 2, 2, ENC_BIG_ENDIAN);
    if (message->has_cookie)
        add_field(tree, STOCK(COOKIE), message, 4, 4, ENC_NA);
    add_field(tree, STOCK(ID), message, id, HEADER_LENGTH - id, ENC_NA);
    return length;
}

static void
show_header(const stun_message *message, proto_tree *tree)
{
    const char *method = val_to_str_const(message->facts.method, gkstun_methods, "Unknown");
    const char *message_class = val_to_str_const(message->facts.message_class, gkstun_classes, "Unknown");

    col_add_lstr(message->pinfo->cinfo, COL_INFO, method, " ", message_class, COL_ADD_LSTR_TERMINATOR);
    check_message_length(message, tree ? show_header_fields(message, tree, method, message_class) : NULL);
}

static void
show_txid_method(const stun_message *message, proto_tree *tree)
{
    if (tree && txid_tells_method(message))
        proto_item_set_generated(proto_tree_add_uint(tree, hf_gkstun_txid_method, message->tvb, TXID_OFFSET,
                                                     2, message->facts.method));
}

static void
show_exchange(const stun_message *message, proto_tree *tree, const ft_exchange *exchange, bool is_repeat)
{
    const bool is_request = message->facts.message_class == STUN_REQUEST;

    if (!tree || !exchange)
        return;
    const uint32_t first = is_request ? exchange->request_frame : exchange->response_frame;
    if (is_repeat && first != ft_frame_id(message->pinfo))
        add_frame(tree, STOCK(DUPLICATE), message->tvb, first);
    if (is_request) {
        if (exchange->response_frame)
            add_frame(tree, STOCK(RESPONSE_IN), message->tvb, exchange->response_frame);
        return;
    }

    nstime_t elapsed;
    const nstime_t now = ft_now(message->pinfo);
    nstime_delta(&elapsed, &now, &exchange->request_time);
    add_frame(tree, STOCK(RESPONSE_TO), message->tvb, exchange->request_frame);
    if (*STOCK(TIME) > 0)
        proto_item_set_generated(proto_tree_add_time(tree, *STOCK(TIME), message->tvb, 0, 0, &elapsed));
}

static void
show_round_trip(const stun_message *message, proto_tree *tree, const ft_exchange *exchange)
{
    nstime_t rtt;

    if (tree && round_trip(message, exchange, &rtt))
        proto_item_set_generated(proto_tree_add_time(tree, hf_gkstun_rtt, message->tvb, 0, 0, &rtt));
}

/* Bytes behind the message's end. */
static void
show_trailing(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, uint32_t end)
{
    const uint32_t reported = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);

    if (end >= reported)
        return;
    proto_item *item = captured > end
                           ? proto_tree_add_item(tree, hf_gkstun_trailing, tvb, end, captured - end, ENC_NA)
                           : proto_tree_get_parent(tree);
    expert_add_info_format(pinfo, item, &ei_gkstun_trailing, "%u bytes behind the end of the message",
                           reported - end);
}

/* Our display: stock's layer and fields, Apple's attributes under Apple's names. */
static void
show_message(const stun_message *message, proto_tree *root, const ft_exchange *exchange, bool is_repeat)
{
    proto_item *item = root ? proto_tree_add_item(root, proto_stun, message->tvb, 0, -1, ENC_NA) : NULL;
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_stun);

    col_set_str(message->pinfo->cinfo, COL_PROTOCOL, "STUN");
    show_exchange(message, tree, exchange, is_repeat);
    show_round_trip(message, tree, exchange);
    show_header(message, tree);
    show_txid_method(message, tree);
    if (message->end > HEADER_LENGTH) {
        item = tree ? add_field(tree, STOCK(ATTRIBUTES), message, HEADER_LENGTH, message->end - HEADER_LENGTH, ENC_NA)
                    : NULL;
        show_attributes(message, proto_item_add_subtree(item, ett_gkstun_attributes), false);
    }
    show_trailing(message->tvb, message->pinfo, tree, message->claimed_end);
}

/* Beside stock's tree: what stock doesn't know. */
static void
show_beside_stock(const stun_message *message, proto_tree *root, const ft_exchange *exchange)
{
    if (!message->has_apple && !txid_tells_method(message))
        return;

    proto_item *item = proto_tree_add_item(root, proto_gkstun, message->tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun);
    show_txid_method(message, tree);
    show_round_trip(message, tree, exchange);
    show_attributes(message, tree, true);
}

/* Stock STUN shows what it shows rightly: messages without damage and without attributes of Apple's (where
 * the user wants it so, with them). Data goes to the front door rather than to stock's heuristics, and method
 * numbers above FF are none of stock's. */
static bool
is_for_stock(const stun_message *message, const ft_exchange *exchange)
{
    if (message->facts.message_class != STUN_REQUEST && exchange && exchange->shown_by_us)
        return false;
    return !message->damaged && !message->has_misfit && !carries_data(message) &&
           message->facts.method <= 0xff && (!message->has_apple || gkstun_stock_display);
}

/* False where stock refused. */
static bool
show_by_stock(const stun_message *message, proto_tree *root)
{
    return ft_call_dissector(message->has_cookie ? stun_udp_handle : classicstun_handle, message->tvb, message->pinfo,
                             root) > 0;
}

/* ---- dissecting ---- */

/* What ChannelData or DATA carries: link messages can't be told from RTP by their bytes alone, so that a DATA
 * attribute holds one must be found here. */
static void
dissect_content(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, proto_tree *root, bool is_data_attribute)
{
    const bool is_link = is_data_attribute && is_link_message(tvb);

    packet->kind = is_link ? FT_KIND_LINK : FT_KIND_DATA;
    if (call_dissector_only(is_link ? link_handle : inner_handle, tvb, pinfo, root, NULL) == 0)
        call_data_dissector(tvb, pinfo, root);
}

/* A Data indication without a peer's address stays on the direct path: only link messages are sent so. */
static void
note_packet(const stun_message *message, ft_packet *packet)
{
    if (message->generation != FT_GENERATION_UNKNOWN)
        packet->generation = message->generation;
    packet->kind = message->facts.method == STUN_BINDING ? FT_KIND_STUN : FT_KIND_TURN;
    packet->apple_attributes |= message->apple_attributes; /* an outer message may have some too */
    if (message->facts.method == STUN_BINDING)
        return;
    if (!carries_data(message)) {
        packet->path = FT_PATH_SERVER;
    } else if (message->facts.peer.addr.type != AT_NONE) {
        packet->path = FT_PATH_RELAY;
        packet->leg = NULL;
        if (packet->flow)
            packet->leg = ft_leg_of_peer(message->pinfo, packet->flow, &message->facts.peer);
        ft_channel_used(message->pinfo, packet->leg);
    }
}

/* The exchange of a request or an answer. USE-CANDIDATE comes with the transaction id of an earlier check:
 * such a request is no retransmission, and the timestamp that an answer echoes tells which of both it answers. */
static const ft_exchange *
find_exchange(const stun_message *message, const ft_packet *packet, bool *is_repeat)
{
    const ft_stun *facts = &message->facts;

    *is_repeat = false;
    if (facts->message_class == STUN_INDICATION || carries_data(message))
        return NULL;
    if (facts->message_class != STUN_REQUEST)
        return facts->has_timestamp
                   ? ft_exchange_echo(message->pinfo, FT_EXCHANGE_STUN, facts->txid, TXID_LENGTH, facts->timestamp,
                                      is_repeat)
                   : ft_exchange_response(message->pinfo, FT_EXCHANGE_STUN, facts->txid, TXID_LENGTH, is_repeat);

    const ft_exchange *exchange = ft_exchange_request(message->pinfo, FT_EXCHANGE_STUN, facts->txid, TXID_LENGTH,
                                                      facts->use_candidate, is_repeat);
    if (facts->has_timestamp)
        ft_exchange_stamp(message->pinfo, exchange, facts->timestamp);
    if (packet->seen_before)
        *is_repeat = false;
    return exchange;
}

/* Not even a whole header. */
static int
dissect_gkstun_fragment(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root)
{
    const stun_message message = { .tvb = tvb, .pinfo = pinfo };
    const uint32_t captured = tvb_captured_length(tvb), reported = tvb_reported_length(tvb);
    proto_item *item = proto_tree_add_item(root, proto_stun, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_stun);

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "STUN");
    col_set_str(pinfo->cinfo, COL_INFO, "Incomplete message");
    expert_add_info_format(pinfo, item, captured < reported ? &ei_gkstun_cut : &ei_gkstun_truncated,
                           "Message header of %u bytes, of which %u are there", HEADER_LENGTH, captured);
    add_uint(tree, STOCK(TYPE), tvb, 0, 2, tvb_get_ntohs(tvb, 0));
    add_uint(tree, STOCK(LENGTH), tvb, 2, 2, tvb_get_ntohs(tvb, 2));
    if (captured > 4)
        add_field(tree, STOCK(VALUE), &message, 4, captured - 4, ENC_NA);
    return (int)captured;
}

static int
dissect_gkstun_message(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, proto_tree *root)
{
    stun_message message;
    bool is_repeat;

    if (!parse_message(&message, tvb, pinfo))
        return dissect_gkstun_fragment(tvb, pinfo, root);
    note_packet(&message, packet);
    const ft_exchange *exchange = find_exchange(&message, packet, &is_repeat);
    ft_stun_learn(pinfo, &message.facts, exchange, is_repeat);
    ft_reveal_stun(pinfo, &message.facts, exchange);

    if (exchange && ft_learning(pinfo) && message.facts.message_class == STUN_REQUEST)
        ((ft_exchange *)exchange)->shown_by_us = !is_for_stock(&message, exchange);
    if (is_for_stock(&message, exchange) && show_by_stock(&message, root))
        show_beside_stock(&message, root, exchange);
    else
        show_message(&message, root, exchange, is_repeat);
    if (carries_data(&message) && message.data_length > 0)
        dissect_content(data_of(&message), pinfo, packet, root, true);
    return tvb_captured_length(tvb);
}

/* The header's tree, as stock shows it, and what follows the payload: nothing (legacy), or padding to 4. */
static void
show_channel_data(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, uint32_t end)
{
    const uint32_t reported = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);
    proto_item *item = root ? proto_tree_add_item(root, proto_stun, tvb, 0, CHANNEL_HEADER_LENGTH, ENC_NA) : NULL;
    proto_tree *tree = proto_item_add_subtree(item, ett_gkstun_stun);

    proto_item_append_text(item, ", TURN ChannelData Message");
    add_uint(tree, STOCK(CHANNEL), tvb, 0, 2, tvb_get_ntohs(tvb, 0));
    item = add_uint(tree, STOCK(LENGTH), tvb, 2, 2, tvb_get_ntohs(tvb, 2));
    if (end > reported)
        expert_add_info_format(pinfo, item, &ei_gkstun_truncated,
                               "Payload of %u bytes, of which %u are there", end - CHANNEL_HEADER_LENGTH,
                               reported - CHANNEL_HEADER_LENGTH);
    else if (end > captured)
        expert_add_info(pinfo, item, &ei_gkstun_cut);
    else if (reported > end && reported <= WS_ROUNDUP_4(end) && captured > end)
        proto_tree_add_item(tree, hf_gkstun_padding, tvb, end, captured - end, ENC_NA);
    else if (reported > end)
        show_trailing(tvb, pinfo, tree, end);
}

static int
dissect_gkstun_channel_data(tvbuff_t *tvb, packet_info *pinfo, ft_packet *packet, proto_tree *root)
{
    const uint16_t channel = tvb_get_ntohs(tvb, 0);
    const uint32_t end = CHANNEL_HEADER_LENGTH + tvb_get_ntohs(tvb, 2);
    const uint32_t length = MIN(end, tvb_reported_length(tvb)) - CHANNEL_HEADER_LENGTH;

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "STUN");
    col_set_str(pinfo->cinfo, COL_INFO, "ChannelData TURN Message");
    show_channel_data(tvb, pinfo, root, end);

    packet->kind = FT_KIND_TURN;
    packet->path = FT_PATH_RELAY;
    packet->leg = packet->flow ? ft_leg_find(pinfo, packet->flow, channel) : NULL;
    ft_channel_used(pinfo, packet->leg);
    if (length > 0)
        dissect_content(tvb_new_subset_length(tvb, CHANNEL_HEADER_LENGTH, length), pinfo, packet, root, false);
    return tvb_captured_length(tvb);
}

/* For the front door: one STUN message or one ChannelData message, its first 4 bytes at least. */
static int
dissect_gkstun(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, void *data _U_)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || tvb_captured_length(tvb) < CHANNEL_HEADER_LENGTH)
        return 0;
    if (tvb_get_uint8(tvb, 0) >> 6 == 0)
        return dissect_gkstun_message(tvb, pinfo, packet, tree);
    return dissect_gkstun_channel_data(tvb, pinfo, packet, tree);
}

/* ---- registration ---- */

static void
index_attributes(void)
{
    for (unsigned i = ATT_COUNT; i-- > 0;) {
        const attribute_row **first = first_row(attribute_rows[i].type);
        if (first)
            *first = &attribute_rows[i];
    }
}

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
            last->strptr = wmem_strdup_printf(wmem_epan_scope(), "%s / %s", last->strptr, row->name);
            continue;
        }
        last = next++;
        last->value = row->type;
        last->strptr = row->name;
    }
}

/* clang-format off */
static hf_register_info hf[] = {
    { &hf_gkstun_att_type,
      { "Attribute Type", "gkstun.att.type", FT_UINT16, BASE_HEX, VALS(gkstun_att_type_vals), 0,
        "Number of an attribute of Apple's. The names are this plugin's", HFILL } },
    { &hf_gkstun_att_length,
      { "Attribute Length", "gkstun.att.length", FT_UINT16, BASE_DEC, NULL, 0,
        "Length of the value without padding", HFILL } },
    { &hf_gkstun_att_value,
      { "Undecoded", "gkstun.att.value", FT_BYTES, BASE_NONE, NULL, 0,
        "Bytes of an attribute of Apple's that could not be decoded", HFILL } },
    { &hf_gkstun_username_destination,
      { "Destination Candidate", "gkstun.username.destination", FT_UINT64, BASE_HEX, NULL, 0,
        "Candidate id of who is asked (in an answer: who asked): high word, then low word, which is 0 for a "
        "plain candidate and the other side's high word for a derived (peer-reflexive) one", HFILL } },
    { &hf_gkstun_username_destination_tag,
      { "Destination Tag", "gkstun.username.destination_tag", FT_UINT16, BASE_DEC, NULL, 0,
        "Last two bytes of the destination's half; their meaning is unknown, they aren't compared", HFILL } },
    { &hf_gkstun_username_source,
      { "Source Candidate", "gkstun.username.source", FT_UINT64, BASE_HEX, NULL, 0,
        "Candidate id of the sender: high word, then low word", HFILL } },
    { &hf_gkstun_username_source_tag,
      { "Source Tag", "gkstun.username.source_tag", FT_UINT16, BASE_DEC, NULL, 0,
        "Last two bytes of the source's half; their meaning is unknown", HFILL } },
    { &hf_gkstun_protocol,
      { "Candidate Protocol", "gkstun.protocol", FT_UINT32, BASE_DEC, NULL, 0xfffffeff,
        "0x8001 without its derived bit: protocol of the candidate. The numbering is not known; 6 was observed in GameKit, so "
        "the value is no mark of FaceTime", HFILL } },
    { &hf_gkstun_derived,
      { "Derived", "gkstun.derived", FT_BOOLEAN, 32, TFS(&tfs_yes_no), 0x00000100,
        "0x8001: the responder made a derived (peer-reflexive) remote candidate, so the requester should "
        "make a derived local one", HFILL } },
    { &hf_gkstun_unknown_8002,
      { "Unknown 8002", "gkstun.unknown_8002", FT_BYTES, BASE_NONE, NULL, 0,
        "0x8002, which only the report of 2015 has seen; its meaning is unknown", HFILL } },
    { &hf_gkstun_ice_version,
      { "ICE Version", "gkstun.ice_version", FT_UINT32, BASE_DEC, NULL, 0,
        "Version of Apple's ICE: 105 where absent, 106 on has 0x8003 to 0x8005, 109 nomination counts, 1010 "
        "is the last known, observed in GameKit: no mark of FaceTime", HFILL } },
    { &hf_gkstun_timestamp,
      { "Request Timestamp", "gkstun.timestamp", FT_UINT32, BASE_DEC, NULL, 0,
        "Middle 32 bits of the requester's NTP clock, in 1/65536 s; the answer echoes it", HFILL } },
    { &hf_gkstun_delay,
      { "Processing Delay", "gkstun.delay", FT_UINT32, BASE_DEC, NULL, 0,
        "How long the responder held the request, in 1/65536 s", HFILL } },
    { &hf_gkstun_qos,
      { "Cellular QoS", "gkstun.qos", FT_BOOLEAN, BASE_NONE, TFS(&tfs_yes_no), 0,
        "0x8006 is there: the sender's cellular interface supports QoS (after 2015)", HFILL } },
    { &hf_gkstun_radio,
      { "Radio Access Technology", "gkstun.radio", FT_UINT32, BASE_DEC, VALS(ft_radio_vals), 0,
        "Kind of the sender's interface. The names are of the modern generation, inferred from calls over Wi-Fi (0) "
        "and cellular (5); what legacy devices mean by the numbers is not known", HFILL } },
    { &hf_gkstun_nomination,
      { "Nomination", "gkstun.nomination", FT_UINT32, BASE_HEX, NULL, 0,
        "0x8008 of 4 bytes, beside USE-CANDIDATE: a count and flags", HFILL } },
    { &hf_gkstun_nomination_count,
      { "Nomination Count", "gkstun.nomination.count", FT_UINT8, BASE_DEC, NULL, 0,
        "How many times the controlling side has nominated (bits 0 to 7)", HFILL } },
    { &hf_gkstun_nomination_derived,
      { "Derived or Duplicate", "gkstun.nomination.derived", FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000100,
        "The nominated pair is of a derived candidate, or a duplicate", HFILL } },
    { &hf_gkstun_nomination_primary,
      { "Primary", "gkstun.nomination.primary", FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000200,
        "The pair is to be the primary connection (ICE version 1010 on)", HFILL } },
    { &hf_gkstun_nomination_replace_only,
      { "Replace Only", "gkstun.nomination.replace_only", FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000400,
        "The pair only replaces another one (ICE version 1010 on)", HFILL } },
    { &hf_gkstun_nomination_bit_11,
      { "Bit 11", "gkstun.nomination.bit_11", FT_BOOLEAN, 32, TFS(&tfs_set_notset), 0x00000800,
        "A flag of unknown meaning (ICE version 1010 on)", HFILL } },
    { &hf_gkstun_nomination_other,
      { "Other Bits", "gkstun.nomination.other", FT_UINT32, BASE_HEX, NULL, 0xfffff000,
        "Bits 12 on, of unknown meaning", HFILL } },
    { &hf_gkstun_link_id,
      { "Link ID", "gkstun.link_id", FT_GUID, BASE_NONE, NULL, 0,
        "0x8008 of 16 bytes: random UUID of the sender's link, one for each interface or pair", HFILL } },
    { &hf_gkstun_candidates_version,
      { "List Version", "gkstun.candidates.version", FT_UINT16, BASE_DEC, NULL, 0,
        "Version of the candidate list (Apple's iLCVersion)", HFILL } },
    { &hf_gkstun_candidates_ipv4_count,
      { "IPv4 Addresses", "gkstun.candidates.ipv4_count", FT_UINT8, BASE_DEC, NULL, 0xf0,
        "How many IPv4 addresses the list says it has", HFILL } },
    { &hf_gkstun_candidates_ipv6_count,
      { "IPv6 Addresses", "gkstun.candidates.ipv6_count", FT_UINT8, BASE_DEC, NULL, 0x0f,
        "How many IPv6 addresses the list says it has", HFILL } },
    { &hf_gkstun_candidates_ipv4,
      { "IPv4 Address", "gkstun.candidates.ipv4", FT_IPv4, BASE_NONE, NULL, 0,
        "An address that candidates name by its index; byte-reversed on the wire", HFILL } },
    { &hf_gkstun_candidates_ipv6,
      { "IPv6 Address", "gkstun.candidates.ipv6", FT_IPv6, BASE_NONE, NULL, 0,
        "An address that candidates name by its index", HFILL } },
    { &hf_gkstun_candidate_type,
      { "Type", "gkstun.candidate.type", FT_UINT8, BASE_DEC, VALS(gkstun_candidate_types), 0x0f,
        "Type of the candidate; Apple's own ones beside those of RFC 8445", HFILL } },
    { &hf_gkstun_candidate_protocol,
      { "Protocol", "gkstun.candidate.protocol", FT_UINT8, BASE_DEC, NULL, 0xf0,
        "Protocol of the candidate. The numbering is not known; 6 was observed in GameKit", HFILL } },
    { &hf_gkstun_candidate_call_id,
      { "Call ID", "gkstun.candidate.call_id", FT_UINT32, BASE_HEX, NULL, 0,
        "Apple's number of the call, little-endian on the wire", HFILL } },
    { &hf_gkstun_candidate_id,
      { "Candidate ID", "gkstun.candidate.id", FT_UINT32, BASE_HEX, NULL, 0,
        "High word of the candidate's id in USERNAME", HFILL } },
    { &hf_gkstun_candidate_priority,
      { "Priority", "gkstun.candidate.priority", FT_UINT16, BASE_DEC, NULL, 0,
        "Defaults: 90 host on Wi-Fi, 70 server-reflexive, 50 cellular, 40 relayed, 10 IPv6", HFILL } },
    { &hf_gkstun_candidate_rank,
      { "Rank", "gkstun.candidate.rank", FT_UINT8, BASE_DEC, NULL, 0,
        "Apple's name; what it ranks is unknown", HFILL } },
    { &hf_gkstun_candidate_flags,
      { "Flags", "gkstun.candidate.flags", FT_UINT8, BASE_HEX, NULL, 0,
        "Flags of unknown meaning; 0x80 and 0x20 were observed in GameKit", HFILL } },
    { &hf_gkstun_candidate_flag_80,
      { "Flag 80", "gkstun.candidate.flag_80", FT_BOOLEAN, 8, TFS(&tfs_set_notset), 0x80,
        "Of unknown meaning; observed in GameKit, in each candidate of a list", HFILL } },
    { &hf_gkstun_candidate_flag_20,
      { "Flag 20", "gkstun.candidate.flag_20", FT_BOOLEAN, 8, TFS(&tfs_set_notset), 0x20,
        "Of unknown meaning; observed in GameKit", HFILL } },
    { &hf_gkstun_candidate_other_flags,
      { "Other Flags", "gkstun.candidate.other_flags", FT_UINT8, BASE_HEX, NULL, 0x5f,
        "Never observed", HFILL } },
    { &hf_gkstun_candidate_cellular,
      { "Cellular", "gkstun.candidate.cellular", FT_BOOLEAN, 8, TFS(&tfs_yes_no), 0x40,
        "The address is of a cellular interface", HFILL } },
    { &hf_gkstun_candidate_is_ipv6,
      { "IPv6", "gkstun.candidate.is_ipv6", FT_BOOLEAN, 8, TFS(&tfs_yes_no), 0x10,
        "The index counts IPv6 addresses", HFILL } },
    { &hf_gkstun_candidate_index,
      { "Address Index", "gkstun.candidate.index", FT_UINT8, BASE_DEC, NULL, 0x0f,
        "Which address of the list is the candidate's, from 0; within its family, as observed in GameKit", HFILL } },
    { &hf_gkstun_candidate_ipv4,
      { "IPv4 Address", "gkstun.candidate.ipv4", FT_IPv4, BASE_NONE, NULL, 0,
        "The candidate's address, found by its index", HFILL } },
    { &hf_gkstun_candidate_ipv6,
      { "IPv6 Address", "gkstun.candidate.ipv6", FT_IPv6, BASE_NONE, NULL, 0,
        "The candidate's address, found by its index", HFILL } },
    { &hf_gkstun_candidate_port,
      { "Port", "gkstun.candidate.port", FT_UINT16, BASE_DEC, NULL, 0,
        "The candidate's UDP port, little-endian on the wire", HFILL } },
    { &hf_gkstun_ske,
      { "Key Exchange", "gkstun.ske", FT_BYTES, BASE_NONE, NULL, 0,
        "A message of Apple's SimpleKeyExchange, in place of SIP MESSAGEs (later than 2015)", HFILL } },
    { &hf_gkstun_link_flags,
      { "Link Flags", "gkstun.link_flags", FT_UINT32, BASE_HEX, NULL, 0,
        "0x8023 of 4 bytes; the name is inferred from link messages, 1 was seen on cellular", HFILL } },
    { &hf_gkstun_data_so,
      { "Data SO Mask", "gkstun.data_so", FT_UINT32, BASE_HEX, NULL, 0,
        "0x8024 of 4 bytes; the name is inferred from link messages, 1 was seen on cellular", HFILL } },
    { &hf_gkstun_rtt,
      { "Round Trip Time", "gkstun.rtt", FT_RELATIVE_TIME, BASE_NONE, NULL, 0,
        "From the request that carried the echoed timestamp (0x8004) to this answer, both by the capture's "
        "clock, less the responder's delay (0x8005). It is the network's where the capture was made at the "
        "requester", HFILL } },
    { &hf_gkstun_txid_method,
      { "Method in Transaction ID", "gkstun.txid.method", FT_UINT16, BASE_HEX, VALS(gkstun_methods), 0,
        "Legacy FaceTime's transaction ids begin with the method", HFILL } },
    { &hf_gkstun_padding,
      { "Padding", "gkstun.padding", FT_BYTES, BASE_NONE, NULL, 0,
        "Bytes behind ChannelData up to a multiple of 4, which UDP doesn't ask for", HFILL } },
    { &hf_gkstun_trailing,
      { "Trailing Bytes", "gkstun.trailing_bytes", FT_BYTES, BASE_NONE, NULL, 0,
        "Bytes behind the end that the message's header tells", HFILL } },
};

static ei_register_info ei[] = {
    { &ei_gkstun_bad_length,
      { "gkstun.bad_length", PI_PROTOCOL, PI_WARN, "Attribute of a length that is never sent", EXPFILL } },
    { &ei_gkstun_bad_value,
      { "gkstun.bad_value", PI_PROTOCOL, PI_WARN, "Attribute of a value that is never sent", EXPFILL } },
    { &ei_gkstun_truncated,
      { "gkstun.truncated", PI_PROTOCOL, PI_ERROR, "Length beyond the end of the data", EXPFILL } },
    { &ei_gkstun_cut,
      { "gkstun.cut", PI_UNDECODED, PI_NOTE, "The rest of the message was not captured", EXPFILL } },
    { &ei_gkstun_trailing,
      { "gkstun.trailing", PI_PROTOCOL, PI_WARN, "Bytes behind the end of the message", EXPFILL } },
    { &ei_gkstun_unpadded,
      { "gkstun.unpadded", PI_PROTOCOL, PI_NOTE, "Message length is no multiple of 4", EXPFILL } },
    { &ei_gkstun_unknown_attribute,
      { "gkstun.unknown_attribute", PI_UNDECODED, PI_NOTE, "Attribute of unknown meaning", EXPFILL } },
    { &ei_gkstun_candidates_bad,
      { "gkstun.candidates_bad", PI_PROTOCOL, PI_WARN, "Candidate list unlike its counts", EXPFILL } },
};
/* clang-format on */

void
proto_register_gkstun(void)
{
    static int *ett[] = { &ett_gkstun,           &ett_gkstun_stun,
                          &ett_gkstun_stun_type, &ett_gkstun_attributes,
                          &ett_gkstun_attribute, &ett_gkstun_att_type,
                          &ett_gkstun_username,  &ett_gkstun_candidate,
                          &ett_gkstun_missing };

    proto_gkstun = proto_register_protocol("GameKit STUN", "GKSTUN", "gkstun");
    index_attributes();
    name_attributes();
    proto_register_field_array(proto_gkstun, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_gkstun), ei, array_length(ei));
    register_dissector("gkstun", dissect_gkstun, proto_gkstun);

    module_t *module = prefs_register_protocol(proto_gkstun, NULL);
    prefs_register_bool_preference(
        module, "stock_display", "Show messages with Apple's attributes as stock STUN does",
        "Stock STUN knows Apple's attribute numbers as other vendors' attributes and shows "
        "them under those names; Apple's attributes follow in a tree of their own.",
        &gkstun_stock_display);

}

/* The ids of stock's fields that this Wireshark has. */
static void
find_stock_fields(void)
{
    for (unsigned i = 0; i < STOCK_COUNT; i++) {
        const header_field_info *field = proto_registrar_get_byname(stock_names[i].name);
        stock_fields[i] = field && field->type == stock_names[i].type ? field->id : -1;
    }
}

void
proto_reg_handoff_gkstun(void)
{
    proto_stun = proto_get_id_by_filter_name("stun");
    find_stock_fields();
    stun_udp_handle = find_dissector_add_dependency("stun-udp", proto_gkstun);
    classicstun_handle = find_dissector_add_dependency("classicstun", proto_gkstun);
    inner_handle = find_dissector_add_dependency("facetime_inner", proto_gkstun);
    link_handle = find_dissector_add_dependency("facetime_link", proto_gkstun);
    ft_evidence_register(FT_SHAPE_STUN, proves_stun);
    ft_evidence_register(FT_SHAPE_CHANNELDATA, proves_channel_data);
}
