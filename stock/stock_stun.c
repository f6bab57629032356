/* stock/stock_stun.c
 * Stock STUN's display, for the messages that stock itself would show wrongly:
 *
 *    Session Traversal Utilities for NAT
 *      Message Type: 0x0001 (Binding Request)       stock_show_header()
 *      Attributes
 *        XOR-MAPPED-ADDRESS: 192.0.2.1:16402        stock_add_attribute(), stun_show_...()
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stock/stock_stun.h"

#include <epan/to_str.h>

static int ett_missing = -1;
static int ett_attribute = -1;
static int ett_att_type = -1;
static int ett_stun_type = -1;

#define STOCK_NAME(id, name, type) { name, type },
static const struct {
    const char *name;
    enum ftenum type;
} stock_names[] = { STOCK_FIELDS(STOCK_NAME) };

int stock_fields[STOCK_COUNT];

/* The ids of stock's fields that this Wireshark has. */
void
stock_find_fields(void)
{
    for (unsigned i = 0; i < STOCK_COUNT; i++) {
        const header_field_info *field = proto_registrar_get_byname(stock_names[i].name);
        stock_fields[i] = field && field->type == stock_names[i].type ? field->id : -1;
    }
}

/* As proto_tree_add_item(); text where this Wireshark's stock STUN lacks the field. */
proto_item *
stock_add_field(proto_tree *tree, const int *field, const stun_message *message, uint32_t offset,
                uint32_t length, unsigned encoding)
{
    proto_item *item;

    if (*field > 0)
        return proto_tree_add_item(tree, *field, message->tvb, offset, length, encoding);
    proto_tree_add_subtree_format(
        tree, message->tvb, offset, length, ett_missing, &item, "Value: %s",
        tvb_bytes_to_str(message->pinfo->pool, message->tvb, offset, length));
    return item;
}

/* As proto_tree_add_uint(). */
proto_item *
stock_add_uint(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t offset, uint32_t length,
               uint32_t value)
{
    proto_item *item;

    if (*field > 0)
        return proto_tree_add_uint(tree, *field, tvb, offset, length, value);
    proto_tree_add_subtree_format(tree, tvb, offset, length, ett_missing, &item, "Value: %u",
                                  value);
    return item;
}

void
stock_add_frame(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t frame)
{
    if (*field > 0)
        ft_show_frame(tree, *field, tvb, 0, 0, frame);
}

/* A number of Apple's under stock's name for any attribute's number: found by filters, and not
 * shown twice.
 * */
void
stock_add_hidden_uint(proto_tree *tree, const int *field, tvbuff_t *tvb, uint32_t offset,
                      uint32_t value)
{
    if (*field > 0)
        proto_item_set_hidden(proto_tree_add_uint(tree, *field, tvb, offset, 2, value));
}

proto_item *
stun_show_field(const attribute_view *view, const int *field, uint32_t skip, uint32_t length,
                unsigned encoding)
{
    return stock_add_field(view->tree, field, view->message, view->attribute->offset + skip, length,
                           encoding);
}

uint32_t
stun_value_of(const attribute_view *view)
{
    return tvb_get_ntohl(view->message->tvb, view->attribute->offset);
}

void
stun_show_bytes(const attribute_view *view)
{
    if (view->attribute->length > 0)
        stun_show_field(view, view->field, 0, view->attribute->length, ENC_NA);
}

void
stun_show_number(const attribute_view *view)
{
    stun_show_field(view, view->field, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": %u", stun_value_of(view));
}

void
stun_show_hex(const attribute_view *view)
{
    stun_show_field(view, view->field, 0, 4, ENC_BIG_ENDIAN);
    proto_item_append_text(view->tree, ": 0x%08x", stun_value_of(view));
}

/* A number in the first byte, the rest reserved. */
void
stun_show_octet(const attribute_view *view)
{
    stun_show_field(view, view->field, 0, 1, ENC_BIG_ENDIAN);
    if (view->attribute->length > 1)
        stun_show_field(view, STOCK(RESERVED), 1, view->attribute->length - 1, ENC_NA);
}

void
stun_show_text(const attribute_view *view)
{
    if (view->attribute->length > 0)
        stun_show_field(view, view->field, 0, view->attribute->length, ENC_UTF_8 | ENC_NA);
}

void
stun_show_nothing(const attribute_view *view)
{
    if (view->attribute->type == attribute_rows[ATT_USE_CANDIDATE].type)
        col_append_str(view->message->pinfo->cinfo, COL_INFO, " nomination");
}

void
stun_show_channel(const attribute_view *view)
{
    stun_show_field(view, STOCK(CHANNEL_NUMBER), 0, 2, ENC_BIG_ENDIAN);
    stun_show_field(view, STOCK(RESERVED), 2, 2, ENC_NA);
    proto_item_append_text(view->tree, ": 0x%04x",
                           tvb_get_ntohs(view->message->tvb, view->attribute->offset));
}

void
stun_show_change_request(const attribute_view *view)
{
    stun_show_field(view, STOCK(CHANGE_IP), 2, 2, ENC_BIG_ENDIAN);
    stun_show_field(view, STOCK(CHANGE_PORT), 2, 2, ENC_BIG_ENDIAN);
}

void
stun_show_unknown_list(const attribute_view *view)
{
    for (unsigned i = 0; i + 2 <= view->attribute->length; i += 2)
        stun_show_field(view, STOCK(UNKNOWN), i, 2, ENC_BIG_ENDIAN);
}

void
stun_show_error(const attribute_view *view)
{
    packet_info *pinfo = view->message->pinfo;
    tvbuff_t *tvb = view->message->tvb;
    const unsigned code = stun_error_code(tvb, view->attribute),
                   length = view->attribute->length - 4;
    const char *reason =
        length > 0 ? (const char *)tvb_get_string_enc(pinfo->pool, tvb, view->attribute->offset + 4,
                                                      length, ENC_UTF_8 | ENC_NA)
                   : "";

    stun_show_field(view, STOCK(RESERVED), 0, 2, ENC_NA);
    stun_show_field(view, STOCK(ERROR_CLASS), 2, 1, ENC_BIG_ENDIAN);
    stun_show_field(view, STOCK(ERROR), 3, 1, ENC_BIG_ENDIAN);
    if (length > 0)
        stun_show_field(view, STOCK(ERROR_REASON), 4, length, ENC_UTF_8 | ENC_NA);
    proto_item_append_text(view->tree, ": %u %s", code, reason);
    col_append_fstr(pinfo->cinfo, COL_INFO, " error-code: %u %s", code, reason);
}

void
stun_show_ip(const attribute_view *view, bool is_xored, const ft_endpoint *endpoint)
{
    tvbuff_t *tvb = view->message->tvb;
    const uint32_t offset = view->attribute->offset + 4;
    const bool is_ipv6 = endpoint->addr.type == AT_IPv6;
    const int *field = is_ipv6 ? STOCK(IPV6) : STOCK(IPV4);
    proto_item *item;
    uint32_t ipv4;

    if (is_xored)
        stun_show_field(view, is_ipv6 ? STOCK(XOR_IPV6) : STOCK(XOR_IPV4), 4, endpoint->addr.len,
                        ENC_NA);
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

/* As stock STUN shows an attribute. */
proto_tree *
stock_add_attribute(const stun_message *message, const stun_attribute *attribute, proto_tree *tree,
                       const char *name)
{
    const uint32_t offset = attribute->offset - ATTRIBUTE_HEADER;
    const uint32_t length = ATTRIBUTE_HEADER + attribute->available + attribute->padding;
    proto_item *item =
        stock_add_uint(tree, STOCK(ATTRIBUTE), message->tvb, offset, length, attribute->type);
    proto_tree *subtree = proto_item_add_subtree(item, ett_attribute);

    proto_item_set_text(item, "%s", name);
    item = stock_add_uint(subtree, STOCK(ATT_TYPE), message->tvb, offset, 2, attribute->type);
    proto_item_append_text(item, " (%s)", name);
    proto_tree *type_tree = proto_item_add_subtree(item, ett_att_type);
    stock_add_uint(type_tree, STOCK(ATT_COMPREHENSION), message->tvb, offset, 2, attribute->type);
    stock_add_uint(type_tree, STOCK(ATT_ASSIGNMENT), message->tvb, offset, 2, attribute->type);
    stock_add_uint(subtree, STOCK(ATT_LENGTH), message->tvb, offset + 2, 2, attribute->length);
    return subtree;
}

static void
show_type(const stun_message *message, proto_tree *tree, const char *method,
          const char *message_class)
{
    const uint16_t type = tvb_get_ntohs(message->tvb, 0);
    proto_item *item = stock_add_uint(tree, STOCK(TYPE), message->tvb, 0, 2, type);
    proto_tree *subtree = proto_item_add_subtree(item, ett_stun_type);

    proto_item_append_text(item, " (%s %s)", method, message_class);
    item = stock_add_uint(subtree, STOCK(TYPE_CLASS), message->tvb, 0, 2, type);
    proto_item_append_text(item, " %s (%u)", message_class, message->facts.message_class);
    item = stock_add_uint(subtree, STOCK(TYPE_METHOD), message->tvb, 0, 2, type);
    proto_item_append_text(item, " %s (0x%03x)", method, message->facts.method);
    stock_add_uint(subtree, STOCK(TYPE_ASSIGNMENT), message->tvb, 0, 2, type);
}

/* The header's fields, as stock shows them. The item of the length. */
proto_item *
stock_show_header(const stun_message *message, proto_tree *tree, const char *method,
                  const char *message_class)
{
    /* Before RFC 5389 there was no cookie, and 16 bytes of transaction id. */
    const unsigned id = message->has_cookie ? STUN_TXID_OFFSET : 4;

    show_type(message, tree, method, message_class);
    proto_item *length = stock_add_field(tree, STOCK(LENGTH), message, 2, 2, ENC_BIG_ENDIAN);
    if (message->has_cookie)
        stock_add_field(tree, STOCK(COOKIE), message, 4, 4, ENC_NA);
    stock_add_field(tree, STOCK(ID), message, id, STUN_HEADER - id, ENC_NA);
    return length;
}

void
stock_stun_register(void)
{
    static int *ett[] = { &ett_missing, &ett_attribute, &ett_att_type, &ett_stun_type };

    proto_register_subtree_array(ett, array_length(ett));
}
