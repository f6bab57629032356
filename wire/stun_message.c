/* wire/stun_message.c
 * A STUN message, read once, and the proof that it is FaceTime's:
 *
 *    legacy  binding with two binary candidate ids, CANDIDATE-PROTOCOL and ICE-VERSION (or a
 *            transaction id that tells
 *             the method); an allocation that names the reserved address
 *    modern  binding with link id or radio, MESSAGE-INTEGRITY last, nothing else; a Data
 *            indication with a link message;
 *             the relay's error
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/stun_message.h"
#include "calls/evidence.h"
#include "calls/text.h"

#include <wsutil/ws_roundup.h>

#define MAX_RADIO               15      /* radio technologies are four bits wide in link messages */
#define RELAY_PARTICIPANT_GONE  601     /* "Unable to Find Participant" */

static attribute_learner learn_username, learn_mapped, learn_xor_mapped, learn_peer, learn_relayed,
    learn_channel, learn_lifetime, learn_error, learn_data, learn_timestamp, learn_delay,
    learn_radio, learn_link_id, learn_token, learn_ticket, learn_tie_breaker, learn_candidates,
    learn_unknown_8002;

#define ATTRIBUTE_ROW(id, number, shortest, longest, owner, name, show, learn, ...) \
    { number, shortest, longest, owner, name, learn },
const attribute_row attribute_rows[ATT_COUNT] = { ATTRIBUTES(ATTRIBUTE_ROW, ATTRIBUTE_ROW) };

bool
stun_seen(const stun_message *message, uint64_t attributes)
{
    return (message->seen & attributes) == attributes;
}

/* The first row of each number, filled in when registered: the numbers that rows have are below
 * 0x0040, and from 0x8000 to 0x803f. */
static const attribute_row *first_rows[0x80];

/* Where a number stands in first_rows; NULL for one that no row has. */
static const attribute_row **
first_row(uint16_t type)
{
    return type & 0x7fc0 ? NULL : &first_rows[(type >> 15) << 6 | (type & 0x3f)];
}

/* The row of number and length; where no length fits, the number's first; NULL where the number
 * has none. */
static const attribute_row *
find_row(uint16_t type, uint16_t length, bool *fits)
{
    const attribute_row **first = first_row(type);

    if (!first || !*first)
        return NULL;
    for (const attribute_row *row = *first; row < attribute_rows + ATT_COUNT && row->type == type;
         row++) {
        *fits = length >= row->shortest && length <= row->longest;
        if (*fits)
            return row;
    }
    return *first;
}

/* Reads the attribute at *offset and moves on, by 4 bytes at least. False where no whole
 * attribute header is left. */
bool
stun_next_attribute(const stun_message *message, uint32_t *offset, stun_attribute *attribute)
{
    if (message->end < *offset + ATTRIBUTE_HEADER)
        return false;

    const uint8_t *head = message->bytes + *offset;
    attribute->type = (uint16_t)(head[0] << 8 | head[1]);
    attribute->length = (uint16_t)(head[2] << 8 | head[3]);
    attribute->offset = *offset + ATTRIBUTE_HEADER;
    attribute->available = MIN(attribute->length, message->end - attribute->offset);
    attribute->padding = MIN(WS_ROUNDUP_4(attribute->length), message->end - attribute->offset) -
                         attribute->available;
    attribute->fits = false;
    attribute->row = find_row(attribute->type, attribute->length, &attribute->fits);
    *offset = attribute->offset + attribute->available + attribute->padding;
    return true;
}

bool
stun_is_apple(const stun_attribute *attribute)
{
    return attribute->row && attribute->row->owner != STANDARD;
}

static void
learn_attribute(stun_message *message, const stun_attribute *attribute)
{
    if (stun_is_apple(attribute)) {
        message->has_apple = true;
        message->apple_attributes |= FT_ATTRIBUTE_BIT(attribute->type);
    }
    message->damaged |= attribute->available < attribute->length;
    message->integrity_last = attribute->row == &attribute_rows[ATT_MESSAGE_INTEGRITY] &&
                              attribute->fits &&
                              attribute->offset + attribute->length == message->claimed_end;
    message->has_unknown |= attribute->row == NULL;
    message->has_misfit |= attribute->row && !attribute->fits;
    if (!attribute->fits)
        return;
    if (attribute->available < attribute->length && attribute->row != &attribute_rows[ATT_DATA])
        return;

    const attribute_row *row = attribute->row;
    message->seen |= UINT64_C(1) << (row - attribute_rows);
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
    message->claimed_end = STUN_HEADER + tvb_get_ntohs(message->tvb, 2);
    message->has_cookie = tvb_get_ntohl(message->tvb, 4) == STUN_COOKIE;
    tvb_memcpy(message->tvb, message->facts.txid, STUN_TXID_OFFSET, STUN_TXID);
}

/* Reads a whole message. False where not even a header is there. */
bool
stun_parse_message(stun_message *message, tvbuff_t *tvb, packet_info *pinfo)
{
    const uint32_t captured = tvb_captured_length(tvb), reported = tvb_reported_length(tvb);
    uint32_t offset = STUN_HEADER;
    stun_attribute attribute;

    memset(message, 0, sizeof *message);
    if (captured < STUN_HEADER)
        return false;
    message->tvb = tvb;
    message->pinfo = pinfo;
    learn_header(message);
    message->end = MIN(message->claimed_end, captured);
    message->bytes = tvb_get_ptr(tvb, 0, (int)captured);
    message->is_cut = captured < reported;
    message->is_exact = message->claimed_end == reported &&
                        (!message->has_cookie || message->claimed_end % 4 == 0);
    message->damaged = message->is_cut || !message->is_exact;
    while (stun_next_attribute(message, &offset, &attribute))
        learn_attribute(message, &attribute);
    message->damaged |= offset < message->end;

    ft_stun *facts = &message->facts;
    facts->has_reservation_token = stun_seen(message, BIT(RESERVATION_TOKEN));
    facts->has_xor_relayed = stun_seen(message, BIT(XOR_RELAYED_ADDRESS));
    facts->has_lifetime = stun_seen(message, BIT(LIFETIME));
    facts->has_timestamp |= stun_seen(message, BIT(TIMESTAMP));
    facts->use_candidate = stun_seen(message, BIT(USE_CANDIDATE));
    facts->controlling = stun_seen(message, BIT(ICE_CONTROLLING));
    facts->controlled = stun_seen(message, BIT(ICE_CONTROLLED));
    facts->has_link_id = stun_seen(message, BIT(LINK_ID));
    facts->has_apple_attribute = message->has_apple;
    facts->is_cut = message->is_cut;
    return true;
}

/* Two binary candidate ids, rather than 20 characters: their tags, and the low words of plain
 * candidates, are small numbers, and no byte of a text is. */
bool
stun_is_binary_username(tvbuff_t *tvb, const stun_attribute *attribute)
{
    if (attribute->row != &attribute_rows[ATT_USERNAME] || attribute->length != STUN_USERNAME ||
        attribute->available != STUN_USERNAME)
        return false;
    return ft_text_plain_length((const char *)tvb_get_ptr(tvb, attribute->offset, STUN_USERNAME),
                                STUN_USERNAME) < STUN_USERNAME;
}

static void
learn_username(stun_message *message, const stun_attribute *attribute)
{
    if (!stun_is_binary_username(message->tvb, attribute))
        return;
    message->has_apple = true;
    message->generation = FT_LEGACY;
    message->facts.has_binary_username = true;
    tvb_memcpy(message->tvb, message->facts.username, attribute->offset, STUN_USERNAME);
}

/* An address attribute: zero, family, port, address. is_xored: port and address are XORed with
 * what stands at offset 4 of the message (cookie and transaction id). The address points into
 * bytes. False where family and length don't fit. */
bool
stun_read_address(const stun_message *message, const stun_attribute *attribute, bool is_xored,
                  uint8_t bytes[16], ft_endpoint *endpoint)
{
    tvbuff_t *tvb = message->tvb;
    const bool is_ipv6 = tvb_get_uint8(tvb, attribute->offset + 1) == 2;
    const unsigned length = is_ipv6 ? 16 : 4;

    if ((!is_ipv6 && tvb_get_uint8(tvb, attribute->offset + 1) != 1) ||
        attribute->length != 4 + length)
        return false;
    endpoint->port =
        tvb_get_ntohs(tvb, attribute->offset + 2) ^ (is_xored ? tvb_get_ntohs(tvb, 4) : 0);
    for (unsigned i = 0; i < length; i++)
        bytes[i] = tvb_get_uint8(tvb, attribute->offset + 4 + i) ^
                   (is_xored ? tvb_get_uint8(tvb, 4 + i) : 0);
    set_address(&endpoint->addr, is_ipv6 ? AT_IPv6 : AT_IPv4, length, bytes);
    return true;
}

static void
learn_mapped(stun_message *message, const stun_attribute *attribute)
{
    stun_read_address(message, attribute, false, message->mapped, &message->facts.mapped);
}

static void
learn_xor_mapped(stun_message *message, const stun_attribute *attribute)
{
    stun_read_address(message, attribute, true, message->mapped, &message->facts.mapped);
}

static void
learn_peer(stun_message *message, const stun_attribute *attribute)
{
    stun_read_address(message, attribute, true, message->peer, &message->facts.peer);
}

static void
learn_relayed(stun_message *message, const stun_attribute *attribute)
{
    stun_read_address(message, attribute, true, message->relayed, &message->facts.relayed);
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

uint16_t
stun_error_code(tvbuff_t *tvb, const stun_attribute *attribute)
{
    return (tvb_get_uint8(tvb, attribute->offset + 2) & 7) * 100 +
           tvb_get_uint8(tvb, attribute->offset + 3);
}

static void
learn_error(stun_message *message, const stun_attribute *attribute)
{
    message->facts.error_code = stun_error_code(message->tvb, attribute);
    message->facts.error_reason =
        (const char *)tvb_get_string_enc(message->pinfo->pool, message->tvb, attribute->offset + 4,
                                         attribute->available - 4, ENC_UTF_8);
}

/* Also where the message, or what the capture has of it, ends within: the content is shown as
 * far as it goes.
 * */
static void
learn_data(stun_message *message, const stun_attribute *attribute)
{
    message->data_offset = attribute->offset;
    message->data_length = attribute->available;
    if (message->is_cut)
        message->data_length =
            MIN(attribute->length, tvb_reported_length(message->tvb) - attribute->offset);
}

static void
learn_token(stun_message *message, const stun_attribute *attribute)
{
    tvb_memcpy(message->tvb, message->facts.token, attribute->offset, sizeof message->facts.token);
}

static void
learn_ticket(stun_message *message, const stun_attribute *attribute)
{
    message->facts.ticket = tvb_get_ntoh64(message->tvb, attribute->offset);
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

/* Where a request has no 0x8004, its answer's 0x8004 echoes this (H15's list of attributes;
 * inferred). */
static void
learn_unknown_8002(stun_message *message, const stun_attribute *attribute)
{
    if (attribute->length != 4 || stun_seen(message, BIT(TIMESTAMP)))
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
bool
stun_carries_data(const stun_message *message)
{
    return message->facts.method == STUN_SEND || message->facts.method == STUN_DATA;
}

/* The method stands again at the head of the transaction id. The other two top bits are clear in
 * legacy messages, too: together they are hit by chance once in 262144 messages. */
bool
stun_txid_tells_method(const stun_message *message)
{
    const uint8_t *txid = message->facts.txid;

    return message->has_cookie && (txid[0] << 8 | txid[1]) == message->facts.method &&
           txid[4] < 0x80 && txid[8] < 0x80;
}

/* A link message (packet-facetime-link.c): command, length of what follows the 20 bytes of
 * header, 16 zero bytes. */
bool
stun_is_link_message(tvbuff_t *tvb)
{
    const uint32_t length = tvb_reported_length(tvb);

    if (tvb_captured_length(tvb) < 20 || length != 20U + tvb_get_ntohs(tvb, 2))
        return false;

    const uint16_t command = tvb_get_ntohs(tvb, 0) & 0x7fff;
    return command >= 3 && command <= 6 && tvb_get_ntoh64(tvb, 4) == 0 &&
           tvb_get_ntoh64(tvb, 12) == 0;
}

tvbuff_t *
stun_data_of(const stun_message *message)
{
    return tvb_new_subset_length(message->tvb, message->data_offset, message->data_length);
}

void
stun_index_attributes(void)
{
    for (unsigned i = ATT_COUNT; i-- > 0;) {
        const attribute_row **first = first_row(attribute_rows[i].type);
        if (first)
            *first = &attribute_rows[i];
    }
}

/* ---- the proof that a message is FaceTime's ---- */

static bool
is_random_uuid(const uint8_t uuid[UUID_LENGTH])
{
    return uuid[6] >> 4 == 4 && uuid[8] >> 6 == 2;
}

#define MODERN_CHECK \
    (BIT(LINK_ID) | BIT(RADIO) | BIT(XOR_MAPPED_ADDRESS) | BIT(LINK_FLAGS) | BIT(DATA_SO) | \
     BIT(MESSAGE_INTEGRITY))

/* Legacy checks: two binary candidate ids, and both of the attributes that are in each request
 * and answer. Before ICE version 106 there was only one; then the transaction id must tell the
 * method. */
static bool
is_legacy_check(const stun_message *message)
{
    return message->facts.method == STUN_BINDING && message->facts.has_binary_username &&
           stun_seen(message, BIT(PROTOCOL)) &&
           (stun_seen(message, BIT(ICE_VERSION)) || stun_txid_tells_method(message));
}

/* Nobody else asks a relay for an address that the request itself names (RFC 8656 has that
 * attribute in answers only). */
static bool
is_reserved_allocation(const stun_message *message)
{
    return message->facts.method == STUN_ALLOCATE && message->facts.message_class == STUN_REQUEST &&
           stun_seen(message, BIT(RESERVATION_TOKEN) | BIT(XOR_RELAYED_ADDRESS) | BIT(LIFETIME)) &&
           !stun_seen(message, BIT(USERNAME));
}

/* Modern checks, as all 91 of 2023: these attributes, MESSAGE-INTEGRITY last (the capture may have
 * cut its value), and neither USERNAME nor PRIORITY, without which no ICE agent of RFC 8445
 * checks. Beside a link id, attributes that nobody knows may stand. */
static bool
is_modern_check(const stun_message *message)
{
    if (message->facts.method != STUN_BINDING || (message->seen & ~MODERN_CHECK) != 0 ||
        !message->integrity_last)
        return false;
    if (message->facts.has_link_id)
        return is_random_uuid(message->facts.link_id);
    if (message->has_unknown || message->has_misfit)
        return false;
    if (message->facts.message_class == STUN_SUCCESS)
        return stun_seen(message, BIT(LINK_FLAGS) | BIT(DATA_SO));
    return message->facts.message_class == STUN_REQUEST && message->radio <= MAX_RADIO &&
           (message->seen | BIT(MESSAGE_INTEGRITY)) == (BIT(RADIO) | BIT(MESSAGE_INTEGRITY));
}

/* Link messages on the direct path ride in Data indications without a peer's address. */
static bool
is_link_carrier(const stun_message *message)
{
    return message->facts.method == STUN_DATA && message->facts.message_class == STUN_INDICATION &&
           !message->has_unknown && !message->has_misfit && !message->damaged &&
           message->seen == (BIT(CHANNEL_NUMBER) | BIT(DATA)) &&
           stun_is_link_message(stun_data_of(message));
}

static bool
is_relay_error(const stun_message *message)
{
    return message->facts.method == STUN_RELAY_ERROR &&
           message->facts.message_class == STUN_INDICATION &&
           message->facts.error_code == RELAY_PARTICIPANT_GONE;
}

/* Others' messages are many: what a proof needs is looked for first, an attribute of Apple's
 * (0x8001-0x800a, 0x8023, 0x8024), a reservation, or a method that carries or says what others'
 * don't. */
static bool
may_prove(tvbuff_t *tvb)
{
    const uint32_t end =
        MIN(tvb_captured_length(tvb), STUN_HEADER + (uint32_t)tvb_get_ntohs(tvb, 2));
    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)tvb_captured_length(tvb));
    const unsigned type = bytes[0] << 8 | bytes[1];

    if (type == 0x0017 || type == 0x0813)   /* Data indication, the modern relay's error */
        return true;
    for (uint32_t offset = STUN_HEADER; offset + 4 <= end;) {
        const unsigned attribute = bytes[offset] << 8 | bytes[offset + 1];
        if (attribute == 0x0022 || (attribute > 0x8000 && attribute <= 0x8024 &&
                                    (attribute <= 0x800a || attribute > 0x8022)))
            return true;
        offset += 4 + WS_ROUNDUP_4(bytes[offset + 2] << 8 | bytes[offset + 3]);
    }
    return false;
}

/* A message that the capture cut may still be proof: by what is there of it. */
bool
stun_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    stun_message message;

    if (tvb_captured_length(tvb) < STUN_HEADER || tvb_get_ntohl(tvb, 4) != STUN_COOKIE ||
        !may_prove(tvb) || !stun_parse_message(&message, tvb, pinfo) || !message.is_exact ||
        (message.damaged && !message.is_cut))
        return false;
    if (is_legacy_check(&message) || is_reserved_allocation(&message))
        *generation = FT_LEGACY;
    else if (is_modern_check(&message) || is_link_carrier(&message) || is_relay_error(&message))
        *generation = FT_MODERN;
    else
        return false;
    return true;
}
