/* wire/stun_message.h
 * A STUN message, read once: which attributes it has, and what they tell. One row an attribute:
 * the table is here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STUN_MESSAGE_H
#define FT_STUN_MESSAGE_H

#include "calls/stun.h"

#define STUN_HEADER         20
#define ATTRIBUTE_HEADER    4
#define STUN_CHANNEL_HEADER 4
#define STUN_COOKIE         0x2112a442U
#define STUN_TXID_OFFSET    8
#define STUN_TXID           12
#define STUN_USERNAME       20      /* bytes, of legacy: two halves */
#define UUID_LENGTH         16
#define CANDIDATE_LENGTH    16      /* of a candidate list */

typedef struct stun_message stun_message;
typedef struct stun_attribute stun_attribute;
typedef void attribute_learner(stun_message *message, const stun_attribute *attribute);

typedef enum { STANDARD, APPLE, APPLE_LEGACY, APPLE_MODERN } attribute_owner;

#define ANY 0xffff      /* length */

/* clang-format off */

/* One row an attribute: X(id, number, shortest and longest value, owner, name, decoder, learner,
 * stock's field or NULL). OWN: the same, with a field of the plugin's own, as in packet-rows.h. The
 * message is read by the first columns and the learner (wire/stun_message.c), shown by decoder
 * and field (packet-gkstun-attributes.c). Rows stand in order of numbers. A number with several
 * rows means what the length says; a length that no row has is never sent. Apple's names are ours
 * but for those that symbols or log lines of Apple made public. */
#define ATTRIBUTES(X, OWN) \
    X(MAPPED_ADDRESS, 0x0001, 8, 20, STANDARD, "MAPPED-ADDRESS", show_plain_address, \
      learn_mapped, NULL) \
    X(RESPONSE_ADDRESS, 0x0002, 8, 20, STANDARD, "RESPONSE-ADDRESS", show_plain_address, \
      NULL, NULL) \
    X(CHANGE_REQUEST, 0x0003, 4, 4, STANDARD, "CHANGE-REQUEST", stun_show_change_request, \
      NULL, NULL) \
    X(SOURCE_ADDRESS, 0x0004, 8, 20, STANDARD, "SOURCE-ADDRESS", show_plain_address, NULL, NULL) \
    X(CHANGED_ADDRESS, 0x0005, 8, 20, STANDARD, "CHANGED-ADDRESS", show_plain_address, NULL, NULL) \
    X(USERNAME, 0x0006, 0, ANY, STANDARD, "USERNAME", show_username, learn_username, NULL) \
    X(PASSWORD, 0x0007, 0, ANY, STANDARD, "PASSWORD", stun_show_bytes, NULL, STOCK(PASSWORD)) \
    X(MESSAGE_INTEGRITY, 0x0008, 20, 20, STANDARD, "MESSAGE-INTEGRITY", stun_show_bytes, \
      learn_ticket, STOCK(HMAC)) \
    X(ERROR_CODE, 0x0009, 4, ANY, STANDARD, "ERROR-CODE", stun_show_error, learn_error, NULL) \
    X(UNKNOWN_ATTRIBUTES, 0x000a, 0, ANY, STANDARD, "UNKNOWN-ATTRIBUTES", stun_show_unknown_list, \
      NULL, NULL) \
    X(REFLECTED_FROM, 0x000b, 8, 20, STANDARD, "REFLECTED-FROM", show_plain_address, NULL, NULL) \
    X(CHANNEL_NUMBER, 0x000c, 4, 4, STANDARD, "CHANNEL-NUMBER", stun_show_channel, \
      learn_channel, NULL) \
    X(LIFETIME, 0x000d, 4, 4, STANDARD, "LIFETIME", stun_show_number, \
      learn_lifetime, STOCK(LIFETIME)) \
    X(MAGIC_COOKIE, 0x000f, 4, 4, STANDARD, "MAGIC-COOKIE", stun_show_hex, \
      NULL, STOCK(MAGIC_COOKIE)) \
    X(BANDWIDTH, 0x0010, 4, 4, STANDARD, "BANDWIDTH", stun_show_number, NULL, STOCK(BANDWIDTH)) \
    X(DESTINATION_ADDRESS, 0x0011, 8, 20, STANDARD, "DESTINATION-ADDRESS", show_plain_address, \
      NULL, NULL) \
    X(XOR_PEER_ADDRESS, 0x0012, 8, 20, STANDARD, "XOR-PEER-ADDRESS", show_xor_address, \
      learn_peer, NULL) \
    X(DATA, 0x0013, 0, ANY, STANDARD, "DATA", stun_show_bytes, learn_data, STOCK(VALUE)) \
    X(REALM, 0x0014, 0, ANY, STANDARD, "REALM", stun_show_text, NULL, STOCK(REALM)) \
    X(NONCE, 0x0015, 0, ANY, STANDARD, "NONCE", stun_show_text, NULL, STOCK(NONCE)) \
    X(XOR_RELAYED_ADDRESS, 0x0016, 8, 20, STANDARD, "XOR-RELAYED-ADDRESS", show_xor_address, \
      learn_relayed, NULL) \
    X(REQUESTED_FAMILY, 0x0017, 4, 4, STANDARD, "REQUESTED-ADDRESS-FAMILY", stun_show_octet, \
      NULL, STOCK(FAMILY)) \
    X(EVEN_PORT, 0x0018, 1, 4, STANDARD, "EVEN-PORT", stun_show_octet, NULL, STOCK(RESERVE_NEXT)) \
    X(REQUESTED_TRANSPORT, 0x0019, 4, 4, STANDARD, "REQUESTED-TRANSPORT", stun_show_octet, \
      NULL, STOCK(TRANSPORT)) \
    X(DONT_FRAGMENT, 0x001a, 0, 0, STANDARD, "DONT-FRAGMENT", stun_show_nothing, NULL, NULL) \
    X(XOR_MAPPED_ADDRESS, 0x0020, 8, 20, STANDARD, "XOR-MAPPED-ADDRESS", show_xor_address, \
      learn_xor_mapped, NULL) \
    X(RESERVATION_TOKEN, 0x0022, 8, 8, STANDARD, "RESERVATION-TOKEN", stun_show_bytes, \
      learn_token, STOCK(TOKEN)) \
    X(PRIORITY, 0x0024, 4, 4, STANDARD, "PRIORITY", stun_show_number, NULL, STOCK(PRIORITY)) \
    X(USE_CANDIDATE, 0x0025, 0, 0, STANDARD, "USE-CANDIDATE", stun_show_nothing, NULL, NULL) \
    OWN(PROTOCOL, 0x8001, 4, 4, APPLE_LEGACY, "CANDIDATE-PROTOCOL", show_protocol, NULL, \
      hf_gkstun_protocol, "Candidate Protocol", "gkstun.protocol", \
      FT_UINT32, BASE_DEC, NULL, 0xfffffeff, \
      "0x8001 without its derived bit: protocol of the candidate. The numbering is not known; 6 " \
      "was observed in GameKit, so the value is no mark of FaceTime") \
    OWN(UNKNOWN_8002, 0x8002, 0, ANY, APPLE_LEGACY, "UNKNOWN-8002", \
      stun_show_bytes, learn_unknown_8002, \
      hf_gkstun_unknown_8002, "Unknown 8002", "gkstun.unknown_8002", FT_BYTES, BASE_NONE, NULL, 0, \
      "0x8002, which only the report of 2015 has seen; its meaning is unknown") \
    OWN(ICE_VERSION, 0x8003, 4, 4, APPLE_LEGACY, "ICE-VERSION", stun_show_number, NULL, \
      hf_gkstun_ice_version, "ICE Version", "gkstun.ice_version", FT_UINT32, BASE_DEC, NULL, 0, \
      "Version of Apple's ICE: 105 where absent, 106 on has 0x8003 to 0x8005, 109 nomination " \
      "counts, 1010 is the last known, observed in GameKit: no mark of FaceTime") \
    OWN(TIMESTAMP, 0x8004, 4, 4, APPLE_LEGACY, "REQUEST-TIMESTAMP", show_seconds, learn_timestamp, \
      hf_gkstun_timestamp, "Request Timestamp", "gkstun.timestamp", FT_UINT32, BASE_DEC, NULL, 0, \
      "Middle 32 bits of the requester's NTP clock, in 1/65536 s; the answer echoes it") \
    OWN(DELAY, 0x8005, 4, 4, APPLE_LEGACY, "RESPONSE-DELAY", show_seconds, learn_delay, \
      hf_gkstun_delay, "Processing Delay", "gkstun.delay", FT_UINT32, BASE_DEC, NULL, 0, \
      "How long the responder held the request, in 1/65536 s") \
    OWN(QOS, 0x8006, 0, 0, APPLE_LEGACY, "CELLULAR-QOS", show_qos, NULL, \
      hf_gkstun_qos, "Cellular QoS", "gkstun.qos", FT_BOOLEAN, BASE_NONE, TFS(&tfs_yes_no), 0, \
      "0x8006 is there: the sender's cellular interface supports QoS (after 2015)") \
    OWN(RADIO, 0x8007, 4, 4, APPLE, "RADIO-ACCESS-TECHNOLOGY", show_radio, learn_radio, \
      hf_gkstun_radio, "Radio Access Technology", "gkstun.radio", \
      FT_UINT32, BASE_DEC, VALS(ft_radio_vals), 0, \
      "Kind of the sender's interface. The names are of the modern generation, inferred from " \
      "calls over Wi-Fi (0) and cellular (5); what legacy devices mean by the numbers is not " \
      "known") \
    OWN(NOMINATION, 0x8008, 4, 4, APPLE_LEGACY, "NOMINATION", show_nomination, NULL, \
      hf_gkstun_nomination, "Nomination", "gkstun.nomination", FT_UINT32, BASE_HEX, NULL, 0, \
      "0x8008 of 4 bytes, beside USE-CANDIDATE: a count and flags") \
    OWN(LINK_ID, 0x8008, 16, 16, APPLE_MODERN, "LINK-ID", show_link_uuid, learn_link_id, \
      hf_gkstun_link_id, "Link ID", "gkstun.link_id", FT_GUID, BASE_NONE, NULL, 0, \
      "0x8008 of 16 bytes: random UUID of the sender's link, one for each interface or pair") \
    X(CANDIDATES, 0x8009, 3, ANY, APPLE_LEGACY, "CANDIDATE-LIST", show_candidates, \
      learn_candidates, NULL) \
    OWN(SKE, 0x800a, 0, ANY, APPLE_LEGACY, "SIMPLE-KEY-EXCHANGE", stun_show_bytes, NULL, \
      hf_gkstun_ske, "Key Exchange", "gkstun.ske", FT_BYTES, BASE_NONE, NULL, 0, \
      "A message of Apple's SimpleKeyExchange, in place of SIP MESSAGEs (later than 2015)") \
    X(SOFTWARE, 0x8022, 0, ANY, STANDARD, "SOFTWARE", stun_show_text, NULL, STOCK(SOFTWARE)) \
    OWN(LINK_FLAGS, 0x8023, 4, 4, APPLE_MODERN, "LINK-FLAGS", stun_show_hex, NULL, \
      hf_gkstun_link_flags, "Link Flags", "gkstun.link_flags", FT_UINT32, BASE_HEX, NULL, 0, \
      "0x8023 of 4 bytes; the name is inferred from link messages, 1 was seen on cellular") \
    X(ALTERNATE_SERVER, 0x8023, 8, 20, STANDARD, "ALTERNATE-SERVER", show_plain_address, \
      NULL, NULL) \
    OWN(DATA_SO, 0x8024, 4, 4, APPLE_MODERN, "DATA-SO-MASK", stun_show_hex, NULL, \
      hf_gkstun_data_so, "Data SO Mask", "gkstun.data_so", FT_UINT32, BASE_HEX, NULL, 0, \
      "0x8024 of 4 bytes; the name is inferred from link messages, 1 was seen on cellular") \
    X(FINGERPRINT, 0x8028, 4, 4, STANDARD, "FINGERPRINT", stun_show_hex, NULL, STOCK(CRC32)) \
    X(ICE_CONTROLLED, 0x8029, 8, 8, STANDARD, "ICE-CONTROLLED", stun_show_bytes, \
      learn_tie_breaker, STOCK(TIE_BREAKER)) \
    X(ICE_CONTROLLING, 0x802a, 8, 8, STANDARD, "ICE-CONTROLLING", stun_show_bytes, \
      learn_tie_breaker, STOCK(TIE_BREAKER))

#define ATTRIBUTE_ENUM(id, ...) ATT_##id,
enum { ATTRIBUTES(ATTRIBUTE_ENUM, ATTRIBUTE_ENUM) ATT_COUNT };
G_STATIC_ASSERT(ATT_COUNT <= 64);       /* a bit each in stun_message.seen */

/* clang-format on */

typedef struct {
    uint16_t           type, shortest, longest;
    attribute_owner    owner;
    const char        *name;
    attribute_learner *learn;
} attribute_row;

extern const attribute_row attribute_rows[ATT_COUNT];

struct stun_message {
    tvbuff_t     *tvb;
    packet_info  *pinfo;
    const uint8_t *bytes;           /* all that were captured */
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

/* True where all of these attributes were read. */
bool stun_seen(const stun_message *message, uint64_t attributes);

/* Reads the attribute at *offset and moves on, by 4 bytes at least. False where no whole
 * attribute header is left. */
bool stun_next_attribute(const stun_message *message, uint32_t *offset, stun_attribute *attribute);

bool stun_is_apple(const stun_attribute *attribute);

/* Reads a whole message. False where not even a header is there. */
bool stun_parse_message(stun_message *message, tvbuff_t *tvb, packet_info *pinfo);

/* Two binary candidate ids, rather than 20 characters. */
bool stun_is_binary_username(tvbuff_t *tvb, const stun_attribute *attribute);

/* (XOR-)address; false where family and length don't agree. *endpoint points into bytes. */
bool stun_read_address(const stun_message *message, const stun_attribute *attribute, bool is_xored,
                       uint8_t bytes[16], ft_endpoint *endpoint);

uint16_t stun_error_code(tvbuff_t *tvb, const stun_attribute *attribute);

/* A message that carries a peer's data, and that data. */
bool stun_carries_data(const stun_message *message);
tvbuff_t *stun_data_of(const stun_message *message);

/* The transaction id begins with the method, as legacy's do. */
bool stun_txid_tells_method(const stun_message *message);

/* A link message (packet-facetime-link.c) by its form. */
bool stun_is_link_message(tvbuff_t *tvb);

/* The proof that a message is FaceTime's; one that the capture cut may still be: by what is
 * there of it. */
bool stun_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation);

/* Once, when gkstun is registered. */
void stun_index_attributes(void);

#endif
