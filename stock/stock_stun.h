/* stock/stock_stun.h
 * A STUN message as stock STUN shows it: under stock's fields, so that its filters keep working.
 * A field that a Wireshark doesn't have, or has with another type, is shown as text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_STOCK_STUN_H
#define FT_STOCK_STUN_H

#include "wire/stun_message.h"

/* Stock STUN's fields that standard parts are shown with, so that its filters keep working.
 * X(id, name, type): one that a Wireshark doesn't have, or has with another type, is shown as
 * text. */
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

extern int stock_fields[STOCK_COUNT];   /* ids, -1 where there is none; set in the hand-off */
#define STOCK(id) (&stock_fields[STOCK_##id])

/* clang-format on */

/* What a decoder works on: a whole value of a length that the row has (a candidate list may be
 * cut). */
typedef struct {
    const stun_message   *message;
    const stun_attribute *attribute;
    const int            *field;    /* of its row, or NULL */
    proto_tree           *tree;     /* of the attribute; its heading is the tree's own item */
} attribute_view;

typedef void attribute_decoder(const attribute_view *view);

/* As proto_tree_add_item(), proto_tree_add_uint(), ft_show_frame(); text where this Wireshark's
 * stock STUN lacks the field. */
proto_item *stock_add_field(proto_tree *tree, const int *field, const stun_message *message,
                            uint32_t offset, uint32_t length, unsigned encoding);
proto_item *stock_add_uint(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t offset,
                           uint32_t length, uint32_t value);
void stock_add_frame(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t frame);

/* A number of Apple's under stock's name for any attribute's number: found by filters, and not
 * shown twice. */
void stock_add_hidden_uint(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t offset,
                           uint32_t value);

/* The header's fields. The item of the length. */
proto_item *stock_show_header(const stun_message *message, proto_tree *tree, const char *method,
                              const char *message_class);

/* The tree of an attribute. */
proto_tree *stock_add_attribute(const stun_message *message, const stun_attribute *attribute,
                                proto_tree *tree, const char *name);

/* ---- values, for the table's rows ---- */

/* length bytes of the value behind its first `skip` */
proto_item *stun_show_field(const attribute_view *view, const int *field, uint32_t skip,
                            uint32_t length, unsigned encoding);

/* An IP address that was read, and its XORed bytes. */
void stun_show_ip(const attribute_view *view, bool is_xored, const ft_endpoint *endpoint);

/* The value's first four bytes. */
uint32_t stun_value_of(const attribute_view *view);

attribute_decoder stun_show_bytes, stun_show_number, stun_show_hex, stun_show_octet, stun_show_text,
    stun_show_nothing, stun_show_channel, stun_show_change_request, stun_show_unknown_list,
    stun_show_error;

/* When gkstun is registered; when it is handed off. */
void stock_stun_register(void);
void stock_find_fields(void);

#endif
