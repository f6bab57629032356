/* packet-facetime-link.c
 * What two devices say to each other about the ways between them in today's FaceTime (2019 on;
 * docs/protocol.md, 16).
 *
 * Link message: in the relay channel where the relay's header says so (packet-quickrelay.c), and
 * in the DATA attribute of a STUN Data indication on a direct path.
 *
 *    0         2         4                  20
 *   +---------+---------+------------------+------+--------+-------+-----
 *   | command | length  | 16 zero bytes    | type | length | value | ...  not padded; the last
 *   +---------+---------+------------------+------+--------+-------+-----  is an HMAC-SHA1
 *             of the TLVs                    2      2
 *
 *   An acknowledgement is the command with 0x8000 set, and repeats its counter (TLV 1). Each
 *   command and each side counts for itself.
 *
 *   Connection data (TLV 3):  | tag 3 | addresses 7 | candidates 6 |
 *     each address:           | v6 1 | active 1 | radio 4 | delegated 1 | 9 | 4 or 16 bytes |
 *     each candidate:         | type 4 | transport 7 | address 5 | port 16 |
 *   Interfaces (TLV 21):      | tag 3 | interfaces 13 |
 *     each interface:         | v6 1 | local type 4 | transport 4 | radio 4 | 3 | link id 16 |
 *                             | MTU 16 | flags 16 | data-SO mask 32 |      (sizes in bits)
 *
 * Evidence: 104 link messages parse to their last byte in the captures of 2023. TLVs that only
 * others' clients tell of are called unverified.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/exchange.h"
#include "calls/relay.h"
#include "calls/resolve.h"
#include "calls/trailer.h"
#include "calls/reveal.h"
#include "packet-rows.h"
#include <epan/expert.h>
#include <epan/to_str.h>

void proto_register_facetime_link(void);
void proto_reg_handoff_facetime_link(void);

#define LINK_HEADER    20
#define TLV_HEADER     4
#define ACK            0x8000
#define HMAC_LENGTH    20
#define INTERFACE_SIZE 12
#define CANDIDATE_SIZE 4
#define MAX_ADDRESSES  127 /* the count has 7 bits */

enum { TLV_COUNTER = 0x01, TLV_HMAC = 0x09 };
enum { COMMAND_RTT = 0x0003 };

static int proto_facetime_link = -1;

/* clang-format off */
/* One row a TLV: X(type, whether only others' clients tell of it, its length from, to (0: any),
 * decoder or NULL, its field). PLAIN: the same without a field; the last column is its name, and
 * without a decoder its value is shown as bytes. Where only others' clients tell of it, the name
 * is theirs, and it is unverified. */
#define LINK_TLVS(X, PLAIN) \
    X(TLV_COUNTER, false, 2, 2, decode_counter, \
      hf_link_counter, "Counter", "facetime_link.counter", FT_UINT16, BASE_DEC, NULL, 0, \
      "Counts the commands of a kind; an acknowledgement repeats it") \
    PLAIN(0x02, true, 0, 0, NULL, "Transport") \
    PLAIN(0x03, false, 2, 0, decode_connection, "Connection data") \
    PLAIN(0x04, true, 0, 0, NULL, "SKE") \
    PLAIN(0x05, true, 0, 0, NULL, "Radio") \
    PLAIN(0x06, true, 0, 0, NULL, "MTU") \
    X(0x07, false, 4, 4, NULL, \
      hf_link_accept_delay, "Accept delay", "facetime_link.accept_delay", \
      FT_UINT32, BASE_DEC, NULL, 0, "Delay of the call's acceptance (meaning and unit inferred)") \
    PLAIN(0x08, true, 0, 0, NULL, "Network") \
    X(TLV_HMAC, false, HMAC_LENGTH, HMAC_LENGTH, NULL, \
      hf_link_hmac, "HMAC-SHA1", "facetime_link.hmac", FT_BYTES, BASE_NONE, NULL, 0, \
      "Over all that comes before it; keyed with the session id, as others' clients tell") \
    PLAIN(0x0a, false, 12, 12, decode_rtt, "Round-trip time report") \
    PLAIN(0x0b, true, 0, 0, NULL, "Link UUID") \
    X(0x0c, false, 2, 2, NULL, \
      hf_link_capability, "Capability", "facetime_link.capability", FT_UINT16, BASE_HEX, NULL, 0, \
      "What the sender can do: 1 in every capture (meaning inferred)") \
    PLAIN(0x0d, true, 0, 0, NULL, "CB UUID 1") \
    PLAIN(0x0e, true, 0, 0, NULL, "CB UUID 2") \
    PLAIN(0x0f, true, 0, 0, NULL, "Generic") \
    PLAIN(0x11, true, 0, 0, NULL, "Error") \
    PLAIN(0x12, true, 0, 0, NULL, "Version") \
    X(0x13, true, 2, 2, NULL, \
      hf_link_flags, "Link flags", "facetime_link.flags", FT_UINT16, BASE_HEX, NULL, 0, \
      "Flags of the link; unverified") \
    X(0x14, true, 4, 4, NULL, \
      hf_link_data_so, "Data-SO mask", "facetime_link.data_so", FT_UINT32, BASE_HEX, NULL, 0, \
      "Service options of the radio (meaning inferred); unverified") \
    PLAIN(0x15, false, 2, 0, decode_interfaces, "Relay interfaces") \
    X(0x16, false, 0, 0, NULL, \
      hf_link_keys, "Key material", "facetime_link.keys", FT_BYTES, BASE_NONE, NULL, 0, \
      "Binary property list with the encrypted key material of the media")

/* Parts of fixed form: X(offset, length, encoding, its field) */
#define LINK_CONNECTION(X) \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_connection_tag, "Tag", "facetime_link.connection.tag", \
      FT_UINT16, BASE_DEC, NULL, 0xe000, "Form of the list: 1 in every capture") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_connection_addresses, "Addresses", "facetime_link.connection.addresses", \
      FT_UINT16, BASE_DEC, NULL, 0x1fc0, "How many addresses follow") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_connection_candidates, "Candidates", "facetime_link.connection.candidates", \
      FT_UINT16, BASE_DEC, NULL, 0x003f, "How many candidates follow the addresses")

#define LINK_ADDRESS(X) \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_address_is_ipv6, "IPv6", "facetime_link.address.is_ipv6", \
      FT_BOOLEAN, 16, NULL, 0x8000, "The address is an IPv6 one") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_address_active, "Active", "facetime_link.address.active", \
      FT_BOOLEAN, 16, NULL, 0x4000, "The address is in use (meaning inferred)") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_address_radio, "Radio", "facetime_link.address.radio", \
      FT_UINT16, BASE_DEC, VALS(ft_radio_vals), 0x3c00, "Radio access technology of the address") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_address_delegated, "Delegated", "facetime_link.address.delegated", \
      FT_BOOLEAN, 16, NULL, 0x0200, \
      "The address belongs to a VPN or to another device (meaning inferred)") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_address_spacing, "Unused", "facetime_link.address.unused", \
      FT_UINT16, BASE_HEX, NULL, 0x01ff, "Zero in every capture")

#define LINK_CANDIDATE(X) \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_candidate_type, "Type", "facetime_link.candidate.type", \
      FT_UINT16, BASE_DEC, VALS(candidate_types), 0xf000, \
      "Where the candidate's address comes from") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_candidate_transport, "Transport", "facetime_link.candidate.transport", \
      FT_UINT16, BASE_DEC, NULL, 0x0fe0, \
      "Transport protocol: 1 in every capture, all of which is UDP") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_candidate_index, "Address index", "facetime_link.candidate.address_index", \
      FT_UINT16, BASE_DEC, NULL, 0x001f, "Which of the addresses above, from 0")

#define LINK_INTERFACES(X) \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interfaces_tag, "Tag", "facetime_link.interfaces.tag", \
      FT_UINT16, BASE_DEC, NULL, 0xe000, "Form of the list: 1 in every capture") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interfaces_count, "Interfaces", "facetime_link.interfaces.count", \
      FT_UINT16, BASE_DEC, NULL, 0x1fff, "How many interfaces follow")

#define LINK_INTERFACE(X) \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_is_ipv6, "IPv6", "facetime_link.interface.is_ipv6", \
      FT_BOOLEAN, 16, NULL, 0x8000, "The link runs over IPv6") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_local_type, "Local type", "facetime_link.interface.local_type", \
      FT_UINT16, BASE_DEC, NULL, 0x7800, "Kind of the local end: 3 in every capture") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_transport, "Transport", "facetime_link.interface.transport", \
      FT_UINT16, BASE_DEC, NULL, 0x0780, "Transport of the link: 2 in every capture") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_radio, "Radio", "facetime_link.interface.radio", \
      FT_UINT16, BASE_DEC, VALS(ft_radio_vals), 0x0078, "Radio access technology of the link") \
    X(0, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_padding, "Unused", "facetime_link.interface.unused", \
      FT_UINT16, BASE_HEX, NULL, 0x0007, "Zero in every capture") \
    X(2, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_id, "Link id", "facetime_link.interface.link_id", \
      FT_UINT16, BASE_HEX, NULL, 0, "Names the link in relay headers (quickrelay.link)") \
    X(4, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_mtu, "MTU", "facetime_link.interface.mtu", FT_UINT16, BASE_DEC, NULL, 0, \
      "Largest packet on the link, bytes") \
    X(6, 2, ENC_BIG_ENDIAN, \
      hf_link_interface_flags, "Flags", "facetime_link.interface.flags", \
      FT_UINT16, BASE_HEX, NULL, 0, "Flags of the link: 1 on cellular links (meaning inferred)") \
    X(8, 4, ENC_BIG_ENDIAN, \
      hf_link_interface_data_so, "Data-SO mask", "facetime_link.interface.data_so", \
      FT_UINT32, BASE_HEX, NULL, 0, "Service options of the radio (meaning inferred)")

#define LINK_LAYOUTS(X) \
    LINK_CONNECTION(X) LINK_ADDRESS(X) LINK_CANDIDATE(X) LINK_INTERFACES(X) LINK_INTERFACE(X)

#define LINK_FIELDS(X) \
    X(hf_link_command, "Command", "facetime_link.command", \
      FT_UINT16, BASE_HEX, VALS(link_commands), 0, "What the message is; bit 0x8000 acknowledges") \
    X(hf_link_length, "Length", "facetime_link.length", FT_UINT16, BASE_DEC, NULL, 0, \
      "Bytes of all TLVs") \
    X(hf_link_reserved, "Reserved", "facetime_link.reserved", FT_BYTES, BASE_NONE, NULL, 0, \
      "Zero in every capture") \
    X(hf_link_response_in, "Acknowledged in", "facetime_link.response_in", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_RESPONSE), 0, \
      "The first acknowledgement of this command") \
    X(hf_link_response_to, "Acknowledgement of", "facetime_link.response_to", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_REQUEST), 0, \
      "The command that this acknowledges: as first sent since the acknowledgement before") \
    X(hf_link_time, "Time", "facetime_link.time", FT_RELATIVE_TIME, BASE_NONE, NULL, 0, \
      "From the command, as first sent since the acknowledgement before, to this acknowledgement") \
    X(hf_link_tlv, "TLV", "facetime_link.tlv", FT_NONE, BASE_NONE, NULL, 0, \
      "One type-length-value") \
    X(hf_link_tlv_type, "Type", "facetime_link.tlv.type", FT_UINT16, BASE_HEX, VALS(tlv_names), 0, \
      "What the value is") \
    X(hf_link_tlv_length, "Length", "facetime_link.tlv.length", FT_UINT16, BASE_DEC, NULL, 0, \
      "Bytes of the value") \
    X(hf_link_tlv_value, "Value", "facetime_link.tlv.value", FT_BYTES, BASE_NONE, NULL, 0, \
      "A value whose form is not known") \
    X(hf_link_rtt_timestamp, "Timestamp", "facetime_link.rtt.timestamp", \
      FT_UINT32, BASE_HEX, NULL, 0, \
      "The sender's clock when it sent this: NTP short format, 16.16 seconds") \
    X(hf_link_rtt_time, "Time", "facetime_link.rtt.time", \
      FT_ABSOLUTE_TIME, ABSOLUTE_TIME_UTC, NULL, 0, \
      "The timestamp as the time nearest the packet's own") \
    X(hf_link_rtt_echoed_timestamp, "Echoed timestamp", "facetime_link.rtt.echoed_timestamp", \
      FT_UINT32, BASE_HEX, NULL, 0, \
      "The timestamp that this answers, 0 for none: NTP short format") \
    X(hf_link_rtt_echoed_time, "Echoed time", "facetime_link.rtt.echoed_time", \
      FT_ABSOLUTE_TIME, ABSOLUTE_TIME_UTC, NULL, 0, \
      "The echoed timestamp as the time nearest the packet's own") \
    X(hf_link_rtt_processing_delay, "Processing delay", "facetime_link.rtt.processing_delay", \
      FT_RELATIVE_TIME, BASE_NONE, NULL, 0, \
      "Between the arrival of the echoed timestamp and this message: 16.16 seconds") \
    X(hf_link_address, "Address", "facetime_link.address", FT_NONE, BASE_NONE, NULL, 0, \
      "One address of the sender") \
    X(hf_link_address_ipv4, "IPv4 address", "facetime_link.address.ipv4", \
      FT_IPv4, BASE_NONE, NULL, 0, "Where the sender can be met") \
    X(hf_link_address_ipv6, "IPv6 address", "facetime_link.address.ipv6", \
      FT_IPv6, BASE_NONE, NULL, 0, "Where the sender can be met") \
    X(hf_link_candidate, "Candidate", "facetime_link.candidate", FT_NONE, BASE_NONE, NULL, 0, \
      "One candidate for the direct path") \
    X(hf_link_candidate_ipv4, "IPv4 address", "facetime_link.candidate.ipv4", \
      FT_IPv4, BASE_NONE, NULL, 0, "The address that the index names") \
    X(hf_link_candidate_ipv6, "IPv6 address", "facetime_link.candidate.ipv6", \
      FT_IPv6, BASE_NONE, NULL, 0, "The address that the index names") \
    X(hf_link_candidate_port, "Port", "facetime_link.candidate.port", \
      FT_UINT16, BASE_DEC, NULL, 0, "UDP port of the candidate") \
    X(hf_link_interface, "Interface", "facetime_link.interface", FT_NONE, BASE_NONE, NULL, 0, \
      "One way of the sender to the relay") \
    X(hf_link_trailing, "Trailing bytes", "facetime_link.trailing", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes that lengths and counts leave over")

#define LINK_EXPERTS(X) \
    X(ei_link_bad_length, "facetime_link.bad_length", PI_MALFORMED, PI_ERROR, \
      "The length is not that of the TLVs") \
    X(ei_link_bad_tlv_length, "facetime_link.bad_tlv_length", PI_MALFORMED, PI_ERROR, \
      "A TLV's length doesn't fit") \
    X(ei_link_bad_count, "facetime_link.bad_count", PI_MALFORMED, PI_ERROR, \
      "A count doesn't fit its list") \
    X(ei_link_bad_index, "facetime_link.bad_index", PI_MALFORMED, PI_ERROR, \
      "The index names no address of the list") \
    X(ei_link_reserved, "facetime_link.reserved_not_zero", PI_PROTOCOL, PI_NOTE, \
      "Reserved bytes are not zero") \
    X(ei_link_no_hmac, "facetime_link.no_hmac", PI_PROTOCOL, PI_WARN, "No HMAC at the end") \
    X(ei_link_unknown_command, "facetime_link.unknown_command", PI_UNDECODED, PI_NOTE, \
      "Unknown command") \
    X(ei_link_unknown, "facetime_link.unknown_tlv", PI_UNDECODED, PI_NOTE, "Unknown TLV") \
    X(ei_link_unverified, "facetime_link.unverified", PI_UNDECODED, PI_NOTE, \
      "Unverified: no capture has shown it yet") \
    X(ei_link_retransmission, "facetime_link.retransmission", PI_SEQUENCE, PI_NOTE, "Sent again")

#define LINK_TREES(X) \
    X(ett_link) X(ett_link_tlv) X(ett_link_address) X(ett_link_candidate) X(ett_link_interface)

#define DECLARE_TLV(type, unverified, min, max, decode, ...) DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_TLV(type, unverified, min, max, decode, ...) REGISTER_FIELD(__VA_ARGS__)
#define TLV_ROW(type, unverified, min, max, decode, hf, name, ...) \
    { type, name, unverified, min, max, &hf, decode },
#define PLAIN_ROW(type, unverified, min, max, decode, name) \
    { type, name, unverified, min, max, NULL, decode },

LINK_TLVS(DECLARE_TLV, NO_FIELD)
LINK_LAYOUTS(DECLARE_LAYOUT)
LINK_FIELDS(DECLARE_FIELD)
LINK_EXPERTS(DECLARE_EXPERT)
LINK_TREES(DECLARE_TREE)

static const layout_row connection_head[] = { LINK_CONNECTION(LAYOUT_ROW) };
static const layout_row address_head[] = { LINK_ADDRESS(LAYOUT_ROW) };
static const layout_row candidate_head[] = { LINK_CANDIDATE(LAYOUT_ROW) };
static const layout_row interfaces_head[] = { LINK_INTERFACES(LAYOUT_ROW) };
static const layout_row interface_rows[] = { LINK_INTERFACE(LAYOUT_ROW) };
/* clang-format on */

/* clang-format off */
/* X(command, name): each has an acknowledgement. The captures show all but 0x8003, which others'
 * clients tell of. */
#define LINK_COMMANDS(X) \
    X(COMMAND_RTT, "Round-trip time") \
    X(0x0004, "Connection data") \
    X(0x0005, "Direct path 0x0005") /* counter alone, seen on direct paths; meaning unknown */ \
    X(0x0006, "Relay interfaces")

#define COMMAND_NAME(command, name) { command, name },
#define ACK_NAME(command, name) { ACK | (command), name " ack" },
static const value_string link_commands[] = {
    LINK_COMMANDS(COMMAND_NAME) LINK_COMMANDS(ACK_NAME) { 0, NULL }
};

/* clang-format on */

static const value_string candidate_types[] = { { 0, "host" },
                                                { 1, "server-reflexive" },
                                                { 0, NULL } };

/* ---- TLVs ---- */

/* The message in hand. */
typedef struct {
    tvbuff_t *tvb;
    packet_info *pinfo;
    bool has_counter;
    uint16_t counter;
    const ft_relay_header *relay; /* NULL outside the relay channel */
} link_message;

/* Shows a value and learns from it. Where it fills the value, its length is as the row says. */
typedef void tlv_decoder(link_message *message, proto_tree *tree, proto_item *item, int offset,
                         int length);

static tlv_decoder decode_counter, decode_connection, decode_rtt, decode_interfaces;

/* clang-format off */
static const struct link_tlv {
    uint16_t    type;
    const char *name;
    bool        unverified;
    int         min, max;
    int        *hf;
    tlv_decoder *decode;
} link_tlvs[] = { LINK_TLVS(TLV_ROW, PLAIN_ROW) };

#define TLV_ROWS (sizeof link_tlvs / sizeof link_tlvs[0])

static value_string tlv_names[TLV_ROWS + 1]; /* made of the rows */

static const struct link_tlv *
tlv_row(uint16_t type)
{
    for (unsigned i = 0; i < TLV_ROWS; i++) {
        if (link_tlvs[i].type == type)
            return &link_tlvs[i];
    }
    return NULL;
}

static void
decode_counter(link_message *message, proto_tree *tree _U_, proto_item *item _U_, int offset,
               int length _U_)
{
    message->has_counter = true;
    message->counter = tvb_get_ntohs(message->tvb, offset);
}

/* NTP's short format, 16.16 seconds of which the low 16 are kept: the time nearest the packet's
 * own that ends so. */
static nstime_t
resolve_ntp_short(const nstime_t *near, uint32_t value)
{
    const int64_t era = 0x10000, ntp_epoch = 2208988800; /* 1900 to 1970 */
    const int64_t now = (int64_t)near->secs + ntp_epoch;
    int64_t seconds = (now & ~(era - 1)) | (value >> 16);

    if (seconds - now > era / 2)
        seconds -= era;
    else if (now - seconds > era / 2)
        seconds += era;
    return (nstime_t){ (time_t)(seconds - ntp_epoch),
                       (int)((uint64_t)(value & 0xffff) * 1000000000 >> 16) };
}

static void
show_ntp_short(const link_message *message, proto_tree *tree, int hf_raw, int hf_time, int offset)
{
    const uint32_t value = tvb_get_ntohl(message->tvb, offset);
    const nstime_t when = resolve_ntp_short(&message->pinfo->abs_ts, value);
    proto_item *item = proto_tree_add_item(tree, hf_raw, message->tvb, offset, 4, ENC_BIG_ENDIAN);

    if (value == 0)
        proto_item_append_text(item, " (none)");
    else
        proto_item_set_generated(
            proto_tree_add_time(tree, hf_time, message->tvb, offset, 4, &when));
}

static void
decode_rtt(link_message *message, proto_tree *tree, proto_item *item _U_, int offset,
           int length _U_)
{
    const uint32_t delay = tvb_get_ntohl(message->tvb, offset + 8);
    const nstime_t delayed = { delay >> 16, (int)((uint64_t)(delay & 0xffff) * 1000000000 >> 16) };

    show_ntp_short(message, tree, hf_link_rtt_timestamp, hf_link_rtt_time, offset);
    show_ntp_short(message, tree, hf_link_rtt_echoed_timestamp, hf_link_rtt_echoed_time,
                   offset + 4);
    proto_tree_add_time(tree, hf_link_rtt_processing_delay, message->tvb, offset + 8, 4, &delayed);
}

/* What a list leaves over, where its counts are right: nothing. */
static void
show_list_rest(const link_message *message, proto_tree *tree, proto_item *item, int offset, int end)
{
    if (offset >= end)
        return;
    proto_tree_add_item(tree, hf_link_trailing, message->tvb, offset, end - offset, ENC_NA);
    expert_add_info_format(message->pinfo, item, &ei_link_bad_count,
                           "%d bytes more than the counts tell of", end - offset);
}

/* ---- connection data ---- */

typedef struct {
    int offset;
    bool is_ipv6;
} offered_address;

static address
address_at(tvbuff_t *tvb, const offered_address *offered)
{
    address found;

    set_address_tvb(&found, offered->is_ipv6 ? AT_IPv6 : AT_IPv4, offered->is_ipv6 ? 16 : 4, tvb,
                    offered->offset);
    return found;
}

static void
show_offered_address(const link_message *message, proto_tree *tree, int offset,
             const offered_address *offered)
{
    tvbuff_t *tvb = message->tvb;
    const address where = address_at(tvb, offered);
    const int size = offered->is_ipv6 ? 16 : 4;
    const unsigned radio = tvb_get_ntohs(tvb, offset) >> 10 & 0xf;
    proto_item *item = proto_tree_add_item(tree, hf_link_address, tvb, offset, 2 + size, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_link_address);

    proto_item_append_text(item, ": %s, %s", address_to_str(message->pinfo->pool, &where),
                           val_to_str_const(radio, ft_radio_vals, "unknown radio"));
    SHOW_LAYOUT(subtree, tvb, offset, address_head);
    /* NOLINTNEXTLINE(bugprone-branch-clone): the two encodings are one number */
    const unsigned encoding = offered->is_ipv6 ? ENC_NA : ENC_BIG_ENDIAN;
    proto_tree_add_item(subtree, offered->is_ipv6 ? hf_link_address_ipv6 : hf_link_address_ipv4,
                        tvb, offered->offset, size, encoding);
}

/* Shows `count` addresses from *offset on, and notes where they are. How many are there whole. */
static unsigned
decode_addresses(link_message *message, proto_tree *tree, unsigned count, offered_address *offered,
                 int *offset, int end)
{
    for (unsigned i = 0; i < count; i++) {
        if (end - *offset < 2)
            return i;
        offered[i] =
            (offered_address){ *offset + 2, (tvb_get_ntohs(message->tvb, *offset) & 0x8000) != 0 };
        const int size = 2 + (offered[i].is_ipv6 ? 16 : 4);
        if (end - *offset < size)
            return i;
        show_offered_address(message, tree, *offset, &offered[i]);
        *offset += size;
    }
    return count;
}

/* The candidate's address, which its index names, and its port. */
static void
show_candidate_endpoint(link_message *message, proto_tree *tree, proto_item *item, int offset,
                        const offered_address *offered)
{
    const ft_endpoint endpoint = { address_at(message->tvb, offered),
                                   tvb_get_ntohs(message->tvb, offset + 2) };
    const int size = offered->is_ipv6 ? 16 : 4;
    const int hf = offered->is_ipv6 ? hf_link_candidate_ipv6 : hf_link_candidate_ipv4;

    proto_item_append_text(item, " %s", ft_endpoint_str(message->pinfo->pool, &endpoint));
    /* NOLINTNEXTLINE(bugprone-branch-clone): the two encodings are one number */
    const unsigned encoding = offered->is_ipv6 ? ENC_NA : ENC_BIG_ENDIAN;
    proto_item_set_generated(
        proto_tree_add_item(tree, hf, message->tvb, offered->offset, size, encoding));
    ft_clue_expect(message->pinfo, ft_call_resolve(message->pinfo, false), FT_CLUE_OFFER,
                   &endpoint);
    ft_reveal_address(message->pinfo, &endpoint, "candidate");
}

static void
decode_candidate(link_message *message, proto_tree *tree, int offset,
                 const offered_address *offered, unsigned address_count)
{
    const uint16_t word = tvb_get_ntohs(message->tvb, offset);
    const unsigned which = word & 0x1f;
    proto_item *item =
        proto_tree_add_item(tree, hf_link_candidate, message->tvb, offset, CANDIDATE_SIZE, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_link_candidate);

    proto_item_append_text(item, ": %s",
                           val_to_str_const(word >> 12, candidate_types, "unknown type"));
    SHOW_LAYOUT(subtree, message->tvb, offset, candidate_head);
    if (which < address_count)
        show_candidate_endpoint(message, subtree, item, offset, &offered[which]);
    else
        expert_add_info_format(message->pinfo, item, &ei_link_bad_index, "Address %u of %u", which,
                               address_count);
    proto_tree_add_item(subtree, hf_link_candidate_port, message->tvb, offset + 2, 2,
                        ENC_BIG_ENDIAN);
}

static void
decode_connection(link_message *message, proto_tree *tree, proto_item *item, int offset, int length)
{
    tvbuff_t *tvb = message->tvb;
    const int end = offset + length;
    const uint16_t word = tvb_get_ntohs(tvb, offset);
    const unsigned addresses = word >> 6 & 0x7f, candidates = word & 0x3f;
    offered_address offered[MAX_ADDRESSES];

    SHOW_LAYOUT(tree, tvb, offset, connection_head);
    offset += 2;

    const unsigned whole = decode_addresses(message, tree, addresses, offered, &offset, end);
    unsigned shown = 0;
    for (; whole == addresses && shown < candidates && end - offset >= CANDIDATE_SIZE; shown++) {
        decode_candidate(message, tree, offset, offered, whole);
        offset += CANDIDATE_SIZE;
    }
    if (whole < addresses || shown < candidates)
        expert_add_info_format(message->pinfo, item, &ei_link_bad_count,
                               "%u addresses and %u candidates announced, %u and %u are there",
                               addresses, candidates, whole, shown);
    show_list_rest(message, tree, item, offset, end);
}

/* ---- relay interfaces ---- */

/* Whoever sends the list owns the links in it. */
static ft_relay_link
announced_link(const link_message *message, int offset)
{
    const uint16_t word = tvb_get_ntohs(message->tvb, offset);
    const bool is_own = ft_relay_direction(message->pinfo) == FT_UPLINK;
    ft_relay_link link = {
        .id = tvb_get_ntohs(message->tvb, offset + 2),
        .mtu = tvb_get_ntohs(message->tvb, offset + 4),
        .radio = word >> 3 & 0xf,
        .is_ipv6 = word >> 15,
        .is_own = is_own,
        .has_participant = !is_own && message->relay && message->relay->has_participant,
    };

    if (link.has_participant)
        memcpy(link.participant, message->relay->participant, sizeof link.participant);
    return link;
}

static void
decode_interface(link_message *message, proto_tree *tree, int offset)
{
    tvbuff_t *tvb = message->tvb;
    const ft_relay_link link = announced_link(message, offset);
    proto_item *item =
        proto_tree_add_item(tree, hf_link_interface, tvb, offset, INTERFACE_SIZE, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_link_interface);

    proto_item_append_text(item, ": link 0x%04x, %s, %s, MTU %u", link.id,
                           val_to_str_const(link.radio, ft_radio_vals, "unknown radio"),
                           link.is_ipv6 ? "IPv6" : "IPv4", link.mtu);
    SHOW_LAYOUT(subtree, tvb, offset, interface_rows);
    ft_relay_link_announce(message->pinfo, &link);
}

static void
decode_interfaces(link_message *message, proto_tree *tree, proto_item *item, int offset, int length)
{
    const int end = offset + length;
    const unsigned count = tvb_get_ntohs(message->tvb, offset) & 0x1fff;
    unsigned shown = 0;

    SHOW_LAYOUT(tree, message->tvb, offset, interfaces_head);
    for (offset += 2; shown < count && end - offset >= INTERFACE_SIZE; shown++) {
        decode_interface(message, tree, offset);
        offset += INTERFACE_SIZE;
    }
    if (shown < count)
        expert_add_info_format(message->pinfo, item, &ei_link_bad_count,
                               "%u interfaces announced, %u are there", count, shown);
    show_list_rest(message, tree, item, offset, end);
}

/* ---- the message ---- */

static void
dissect_value(link_message *message, proto_tree *tree, proto_item *item, const struct link_tlv *row,
              int offset, int length)
{
    const bool fits = row && length >= row->min && (!row->max || length <= row->max);

    if (!row)
        expert_add_info_format(message->pinfo, item, &ei_link_unknown, "Unknown TLV");
    else if (!fits)
        expert_add_info_format(message->pinfo, item, &ei_link_bad_tlv_length,
                               "%d bytes are not what a %s has", length, row->name);
    if (row && row->unverified)
        expert_add_info_format(message->pinfo, item, &ei_link_unverified, "Unverified TLV: %s",
                               row->name);

    if (fits && row->hf)
        proto_tree_add_item(tree, *row->hf, message->tvb, offset, length, ENC_BIG_ENDIAN);
    if (fits && row->decode)
        row->decode(message, tree, item, offset, length);
    if (!fits || (!row->hf && !row->decode))
        proto_tree_add_item(tree, hf_link_tlv_value, message->tvb, offset, length, ENC_NA);
}

/* The TLV at the offset. Returns where the next one begins. */
static int
dissect_tlv(link_message *message, proto_tree *tree, int offset, int end)
{
    tvbuff_t *tvb = message->tvb;
    const uint16_t type = tvb_get_ntohs(tvb, offset);
    const int told = tvb_get_ntohs(tvb, offset + 2);
    const int length = MIN(told, end - offset - TLV_HEADER);
    const struct link_tlv *row = tlv_row(type);
    proto_item *item =
        proto_tree_add_item(tree, hf_link_tlv, tvb, offset, TLV_HEADER + length, ENC_NA);
    proto_tree *subtree = proto_item_add_subtree(item, ett_link_tlv);

    proto_item_append_text(item, ": %s%s", row ? row->name : "unknown",
                           row && row->unverified ? " (unverified)" : "");
    proto_tree_add_item(subtree, hf_link_tlv_type, tvb, offset, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(subtree, hf_link_tlv_length, tvb, offset + 2, 2, ENC_BIG_ENDIAN);
    if (told > length)
        expert_add_info_format(message->pinfo, item, &ei_link_bad_tlv_length,
                               "Length %d, but %d bytes are left", told, length);
    dissect_value(message, subtree, item, row, offset + TLV_HEADER, length);
    return offset + TLV_HEADER + length;
}

static void
dissect_tlvs(link_message *message, proto_tree *tree, int end)
{
    int offset = LINK_HEADER;

    while (end - offset >= TLV_HEADER)
        offset = dissect_tlv(message, tree, offset, end);
    if (offset < end) {
        proto_item *item =
            proto_tree_add_item(tree, hf_link_trailing, message->tvb, offset, end - offset, ENC_NA);
        expert_add_info_format(message->pinfo, item, &ei_link_bad_tlv_length, "No room for a TLV");
    }
}

/* The HMAC stands last: 99 of 99. -1 without one. */
static int
hmac_offset(tvbuff_t *tvb)
{
    const int at = (int)tvb_reported_length(tvb) - TLV_HEADER - HMAC_LENGTH;

    if (at < LINK_HEADER || tvb_captured_length_remaining(tvb, at) < TLV_HEADER + HMAC_LENGTH ||
        tvb_get_ntohl(tvb, at) != (TLV_HMAC << 16 | HMAC_LENGTH))
        return -1;
    return at + TLV_HEADER;
}

/* The same message, with the same HMAC, is sent over each of a device's links: they are one
 * call's. */
static void
tie_call(link_message *message, proto_tree *tree)
{
    const int hmac = hmac_offset(message->tvb);

    if (hmac >= 0)
        ft_clue_bytes(message->pinfo, FT_CLUE_LINK_MESSAGE,
                      tvb_get_ptr(message->tvb, hmac, HMAC_LENGTH), 8);
    else if (tvb_captured_length(message->tvb) == tvb_reported_length(message->tvb))
        expert_add_info(message->pinfo, tree, &ei_link_no_hmac);
    ft_call_resolve(message->pinfo, false);
}

static void
put_u16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

/* What ties a command and its acknowledgements: the command, its counter, and who asked. At most
 * 24 bytes. */
static unsigned
exchange_id(const link_message *message, uint16_t command, uint8_t *id)
{
    const bool is_ack = (command & ACK) != 0;
    const ft_endpoint asker = is_ack ? ft_destination(message->pinfo) : ft_source(message->pinfo);
    const unsigned length = MIN((unsigned)asker.addr.len, 16);

    put_u16(id, command & ~ACK);
    put_u16(id + 2, message->counter);
    put_u16(id + 4, asker.port);
    if (length)
        memcpy(id + 6, asker.addr.data, length);
    return 6 + length;
}

static void
show_ack_links(const link_message *message, proto_tree *tree, const ft_exchange *exchange,
               bool is_repeat)
{
    if (!exchange)
        return;
    ft_show_frame(tree, hf_link_response_to, message->tvb, 0, 0, exchange->request_frame);
    if (is_repeat)
        return;
    const nstime_t passed = ft_passed_since(&exchange->request_time, message->pinfo);
    proto_item_set_generated(proto_tree_add_time(tree, hf_link_time, message->tvb, 0, 0, &passed));
}

/* Ties commands and acknowledgements together, by the counter that both bring. */
static void
dissect_exchange(const link_message *message, proto_tree *tree, uint16_t command)
{
    const ft_packet *packet = ft_packet_get(message->pinfo);
    const bool is_ack = (command & ACK) != 0;
    uint8_t id[24];
    bool is_repeat;

    if (!packet || !packet->flow || !message->has_counter)
        return;

    const unsigned length = exchange_id(message, command, id);
    const ft_exchange *exchange =
        is_ack
            ? ft_exchange_response(message->pinfo, FT_EXCHANGE_LINK, id, length, &is_repeat)
            : ft_exchange_request(message->pinfo, FT_EXCHANGE_LINK, id, length, false, &is_repeat);
    if (is_ack)
        show_ack_links(message, tree, exchange, is_repeat);
    else if (exchange)
        ft_show_frame(tree, hf_link_response_in, message->tvb, 0, 0, exchange->response_frame);
    if (is_repeat)
        expert_add_info_format(message->pinfo, tree, &ei_link_retransmission, "%s sent again",
                               is_ack ? "Acknowledgement" : "Command");
}

static void
check_command(packet_info *pinfo, proto_item *item, uint16_t command)
{
    if (!try_val_to_str(command, link_commands))
        expert_add_info_format(pinfo, item, &ei_link_unknown_command, "Unknown command 0x%04x",
                               command);
    else if (command == (ACK | COMMAND_RTT))
        expert_add_info_format(pinfo, item, &ei_link_unverified,
                               "Unverified command 0x%04x: no capture has shown it yet", command);
}

static bool
has_zeros(tvbuff_t *tvb)
{
    static const uint8_t zeros[16] = { 0 };

    return tvb_captured_length(tvb) >= LINK_HEADER && tvb_memeql(tvb, 4, zeros, sizeof zeros) == 0;
}

static void
dissect_link_header(link_message *message, proto_tree *tree, proto_item *item)
{
    tvbuff_t *tvb = message->tvb;
    const int told = tvb_get_ntohs(tvb, 2), there = (int)tvb_reported_length(tvb) - LINK_HEADER;

    proto_tree_add_item(tree, hf_link_command, tvb, 0, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_link_length, tvb, 2, 2, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_link_reserved, tvb, 4, 16, ENC_NA);
    if (told != there)
        expert_add_info_format(message->pinfo, item, &ei_link_bad_length,
                               "Length %d, but %d bytes are there", told, there);
    if (!has_zeros(tvb))
        expert_add_info(message->pinfo, item, &ei_link_reserved);
}

static void
show_cut_message(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_item *item)
{
    if (tvb_captured_length(tvb) >= 2)
        proto_tree_add_item(tree, hf_link_command, tvb, 0, 2, ENC_BIG_ENDIAN);
    if (tvb_captured_length(tvb) > 2)
        proto_tree_add_item(tree, hf_link_trailing, tvb, 2, -1, ENC_NA);
    expert_add_info_format(pinfo, item, &ei_link_bad_length,
                           "Shorter than a link message's header");
}

/* data: the relay's header, which says that this is a link message; NULL where its bytes must
 * say so. */
static int
dissect_facetime_link(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, void *data)
{
    link_message message = { tvb, pinfo, false, 0, (const ft_relay_header *)data };
    const bool is_cut = tvb_reported_length(tvb) < LINK_HEADER;

    if (!data && (is_cut || !has_zeros(tvb)))
        return 0;

    proto_item *item = proto_tree_add_item(root, proto_facetime_link, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_link);
    col_set_str(pinfo->cinfo, COL_PROTOCOL, "FT Link");
    col_set_str(pinfo->cinfo, COL_INFO, "Link message");
    if (is_cut) {
        show_cut_message(tvb, pinfo, tree, item);
        return tvb_captured_length(tvb);
    }

    const uint16_t command = tvb_get_ntohs(tvb, 0);
    const char *name = val_to_str_const(command, link_commands, "Unknown command");
    col_set_str(pinfo->cinfo, COL_INFO, name);
    if (ft_packet_get(pinfo))
        ft_packet_get(pinfo)->label = name;
    proto_item_append_text(item, ": %s", name);
    check_command(pinfo, item, command);
    dissect_link_header(&message, tree, item);
    tie_call(&message, tree);
    dissect_tlvs(&message, tree, tvb_reported_length(tvb));
    if (message.has_counter)
        col_append_fstr(pinfo->cinfo, COL_INFO, ", counter %u", message.counter);
    dissect_exchange(&message, tree, command);
    return tvb_captured_length(tvb);
}

static void
name_tlvs(void)
{
    for (unsigned i = 0; i < TLV_ROWS; i++)
        tlv_names[i] = (value_string){ link_tlvs[i].type, link_tlvs[i].name };
}

/* clang-format off */
void
proto_register_facetime_link(void)
{
    static hf_register_info hf[] = {
        LINK_TLVS(REGISTER_TLV, NO_FIELD) LINK_LAYOUTS(REGISTER_LAYOUT)
        LINK_FIELDS(REGISTER_FIELD)
    };
    static int *ett[] = { LINK_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { LINK_EXPERTS(REGISTER_EXPERT) };

    name_tlvs();
    proto_facetime_link = proto_register_protocol("FaceTime Link Message", "FT Link",
        "facetime_link");
    proto_register_field_array(proto_facetime_link, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_facetime_link), ei,
        array_length(ei));
    register_dissector("facetime_link", dissect_facetime_link, proto_facetime_link);
}

/* clang-format on */

/* Nothing to hand off: it is called by name. */
void
proto_reg_handoff_facetime_link(void)
{
}
