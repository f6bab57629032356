/* packet-rows.h
 * A field is one row, at the top of its protocol's file; so are a finding and a subtree. Lists of
 * rows both declare and register:
 *
 *   #define BASEBAND_FIELDS(X) \
 *       X(hf_magic, "Magic", "baseband.magic", FT_UINT32, BASE_HEX, NULL, 0, "DEADBEEF") \
 *       X(variable, name, filter, type, display, values, mask, blurb)
 *   #define BASEBAND_EXPERTS(X) \
 *       X(ei_form, "baseband.unknown_form", PI_UNDECODED, PI_NOTE, "Form of message ...") \
 *       X(variable, filter, group, severity, summary)
 *   #define BASEBAND_TREES(X) X(ett_baseband) X(variable)
 *
 *   BASEBAND_FIELDS(DECLARE_FIELD)                                        at the top
 *   static hf_register_info hf[] = { BASEBAND_FIELDS(REGISTER_FIELD) };   where it is registered
 *
 * Columns of a field are those of Wireshark's header_field_info, in its order. Bits that are shown
 * together, and fields that stand one behind the other, are a list of their own inside of that of
 * all fields; their masks and pointers are made of the same rows. A table that knows more of a
 * field than Wireshark does has its own columns first, then these.
 *
 * Wireshark's checkers see the rows as tools/expand-rows writes them out (tools/check-static).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PACKET_ROWS_H
#define FT_PACKET_ROWS_H

#include <epan/expert.h>
#include <epan/packet.h>

/* clang-format off */
#define DECLARE_FIELD(hf, ...) static int hf = -1;
#define REGISTER_FIELD(hf, name, filter, type, display, values, mask, blurb) \
    { &hf, { name, filter, type, display, values, mask, blurb, HFILL } },
#define NO_FIELD(...)
#define FIELD_POINTER(hf, ...) &hf,
#define FIELD_MASK(hf, name, filter, type, display, values, mask, blurb) | (mask)
#define FIELD_BIT_NAME(hf, name, filter, type, display, values, mask, blurb) { mask, name },

/* A part of fixed form, shown by one call: X(offset, length, encoding, the field's columns) */
#define DECLARE_LAYOUT(at, length, encoding, ...) DECLARE_FIELD(__VA_ARGS__)
#define REGISTER_LAYOUT(at, length, encoding, ...) REGISTER_FIELD(__VA_ARGS__)
#define LAYOUT_ROW(at, length, encoding, ...) { FIELD_POINTER(__VA_ARGS__) at, length, encoding },

typedef struct {
    const int *hf;
    int        offset, length;
    unsigned   encoding;
} layout_row;

#define SHOW_LAYOUT(tree, tvb, offset, rows) \
    show_layout(tree, tvb, offset, rows, array_length(rows))

static inline void
show_layout(proto_tree *tree, tvbuff_t *tvb, int offset, const layout_row *rows, size_t count)
{
    for (const layout_row *row = rows; row < rows + count; row++)
        proto_tree_add_item(tree, *row->hf, tvb, offset + row->offset, row->length, row->encoding);
}

#define DECLARE_EXPERT(ei, ...) static expert_field ei = EI_INIT;
#define REGISTER_EXPERT(ei, filter, group, severity, summary) \
    { &ei, { filter, group, severity, summary, EXPFILL } },

/* one that a header of the protocol declares for others */
#define DEFINE_EXPERT(ei, ...) expert_field ei = EI_INIT;

#define DECLARE_TREE(ett) static int ett = -1;
#define REGISTER_TREE(ett) &ett,
/* clang-format on */

#endif
