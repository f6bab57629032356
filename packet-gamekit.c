/* packet-gamekit.c
 * GameKit and Multipeer Connectivity: games and file transfers set their way up with FaceTime's
 * own ICE, on the same ports, and then speak this. Such a session is no FaceTime call
 * (docs/protocol.md, 22.7).
 *
 *    0     1      2      4         6       8       12      16
 *   +-----+------+------+---------+-------+-------+-------+------
 *   | C1  | type | size | channel | CRC   | from  | to    | body      big-endian
 *   +-----+------+------+---------+-------+-------+-------+------
 *                 of the           CRC-16/ARC of the whole, computed with its own field zero
 *                 whole
 *
 * Type 1: hello, 2: description of the database, 5: data. Published, and seen in a Multipeer
 * Connectivity session of 2022: the checksum of 3 of 3 data messages fits. That hello and
 * database messages carry a zero there is seen in the same session; that zero means "none" is
 * inferred. A datagram may hold several, one behind the other, each as long as it says (no capture
 * of ours has that: it is taken so only where they fill the datagram, or up to what doesn't fit).
 * The same may travel inside of DTLS on the 5-tuple: that is stock's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/evidence.h"
#include "calls/gamekit.h"
#include "packet-rows.h"
#include <epan/expert.h>
#include <wsutil/crc16-plain.h>

void proto_register_gamekit(void);
void proto_reg_handoff_gamekit(void);

#define MARK          0xc1
#define HEADER_LENGTH 16
#define CRC_OFFSET    6

static int proto_gamekit = -1;

/* clang-format off */
#define GAMEKIT_FIELDS(X) \
    X(hf_mark, "Mark", "gamekit.mark", FT_UINT8, BASE_HEX, NULL, 0, "C1") \
    X(hf_type, "Type", "gamekit.type", FT_UINT8, BASE_DEC, VALS(types), 0, \
      "Hello, description of the database, or data; the names are published") \
    X(hf_size, "Size", "gamekit.size", FT_UINT16, BASE_DEC, NULL, 0, \
      "Of the whole message, in bytes") \
    X(hf_channel, "Channel", "gamekit.channel", FT_UINT16, BASE_DEC, NULL, 0, \
      "Channel of the session (published; 0 and 3 were seen)") \
    X(hf_crc, "CRC", "gamekit.crc", FT_UINT16, BASE_HEX, NULL, 0, \
      "CRC-16/ARC of the message, computed with this field zero; that zero means none is " \
      "inferred") \
    X(hf_crc_status, "CRC status", "gamekit.crc.status", \
      FT_UINT8, BASE_NONE, VALS(proto_checksum_vals), 0, "Whether the checksum fits") \
    X(hf_from, "From", "gamekit.from", FT_UINT32, BASE_HEX, NULL, 0, \
      "Id of the sender in its session") \
    X(hf_to, "To", "gamekit.to", FT_UINT32, BASE_HEX, NULL, 0, \
      "Id of the addressee in its session") \
    X(hf_body, "Body", "gamekit.body", FT_BYTES, BASE_NONE, NULL, 0, \
      "Behind the header, as far as the message's size goes") \
    X(hf_rest, "Rest", "gamekit.rest", FT_BYTES, BASE_NONE, NULL, 0, \
      "Bytes that the message's size leaves unexplained")

#define GAMEKIT_EXPERTS(X) \
    X(ei_no_call, "gamekit.no_call", PI_PROTOCOL, PI_CHAT, \
      "A game or a file transfer (GameKit, Multipeer Connectivity): no FaceTime call") \
    X(ei_type, "gamekit.unknown_type", PI_UNDECODED, PI_NOTE, "Type of message that nobody knows") \
    X(ei_size, "gamekit.bad_size", PI_PROTOCOL, PI_WARN, "The size isn't the datagram's") \
    X(ei_crc, "gamekit.bad_crc", PI_CHECKSUM, PI_WARN, "The checksum doesn't fit") \
    X(ei_cut, "gamekit.cut", PI_UNDECODED, PI_NOTE, \
      "The capture has only the start of this message")

#define GAMEKIT_TREES(X) X(ett_gamekit)

GAMEKIT_FIELDS(DECLARE_FIELD)
GAMEKIT_EXPERTS(DECLARE_EXPERT)
GAMEKIT_TREES(DECLARE_TREE)
/* clang-format on */

static const value_string types[] = {
    { 1, "hello" },
    { 2, "database" },
    { 5, "data" },
    { 0, NULL }
};

/* What of the message is there, by its own size and by the datagram's; at least a header, where
 * it is asked for. */
static unsigned
message_size(tvbuff_t *tvb)
{
    return tvb_get_ntohs(tvb, 2);
}

static bool
is_whole(tvbuff_t *tvb)
{
    const unsigned size = message_size(tvb);

    return size >= HEADER_LENGTH && size <= tvb_captured_length(tvb);
}

/* Of a whole message. */
static uint16_t
crc_of(tvbuff_t *tvb)
{
    static const uint8_t zero[2];
    const unsigned size = message_size(tvb);
    const uint8_t *bytes = tvb_get_ptr(tvb, 0, (int)size);
    crc16_plain_t crc = crc16_plain_init();

    crc = crc16_plain_update(crc, bytes, CRC_OFFSET);
    crc = crc16_plain_update(crc, zero, sizeof zero);
    crc = crc16_plain_update(crc, bytes + CRC_OFFSET + 2, size - CRC_OFFSET - 2);
    return crc16_plain_finalize(crc);
}

static void
show_crc(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const bool is_there = tvb_get_ntohs(tvb, CRC_OFFSET) != 0;
    const unsigned flags = is_there ? PROTO_CHECKSUM_VERIFY : PROTO_CHECKSUM_NOT_PRESENT;

    if (is_whole(tvb) || !is_there)
        proto_tree_add_checksum(tree, tvb, CRC_OFFSET, hf_crc, hf_crc_status, &ei_crc, pinfo,
                                is_there ? crc_of(tvb) : 0, ENC_BIG_ENDIAN, flags);
    else
        proto_tree_add_checksum(tree, tvb, CRC_OFFSET, hf_crc, hf_crc_status, &ei_crc, pinfo, 0,
                                ENC_BIG_ENDIAN, PROTO_CHECKSUM_NO_FLAGS);
}

/* Behind the header: the body as far as the message says, and what the datagram has beyond. */
static void
show_body(tvbuff_t *tvb, proto_tree *tree)
{
    const unsigned captured = tvb_captured_length(tvb);
    const unsigned end = MAX(HEADER_LENGTH, MIN(message_size(tvb), captured));

    if (end > HEADER_LENGTH)
        proto_tree_add_item(tree, hf_body, tvb, HEADER_LENGTH, (int)(end - HEADER_LENGTH), ENC_NA);
    if (captured > end)
        proto_tree_add_item(tree, hf_rest, tvb, (int)end, (int)(captured - end), ENC_NA);
}

/* The numbers before the checksum: those that are there. */
static void
show_head(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const unsigned captured = tvb_captured_length(tvb), reported = tvb_reported_length(tvb);

    proto_tree_add_item(tree, hf_mark, tvb, 0, 1, ENC_BIG_ENDIAN);
    proto_item *item = proto_tree_add_item(tree, hf_type, tvb, 1, 1, ENC_BIG_ENDIAN);
    if (!try_val_to_str(tvb_get_uint8(tvb, 1), types))
        expert_add_info(pinfo, item, &ei_type);
    item = proto_tree_add_item(tree, hf_size, tvb, 2, 2, ENC_BIG_ENDIAN);
    if (message_size(tvb) != reported || reported < HEADER_LENGTH)
        expert_add_info_format(pinfo, item, &ei_size,
                               "Size %u, but the datagram has %u bytes for it, a header %u",
                               message_size(tvb), reported, HEADER_LENGTH);
    if (captured >= 6)
        proto_tree_add_item(tree, hf_channel, tvb, 4, 2, ENC_BIG_ENDIAN);
}

static void
show_gamekit(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    show_head(tvb, pinfo, tree);
    if (tvb_captured_length(tvb) < HEADER_LENGTH) {
        if (tvb_captured_length(tvb) > 6)
            proto_tree_add_item(tree, hf_rest, tvb, 6, -1, ENC_NA);
        return;
    }
    show_crc(tvb, pinfo, tree);
    proto_tree_add_item(tree, hf_from, tvb, 8, 4, ENC_BIG_ENDIAN);
    proto_tree_add_item(tree, hf_to, tvb, 12, 4, ENC_BIG_ENDIAN);
    show_body(tvb, tree);
}

static void
summarize_gamekit(tvbuff_t *tvb, packet_info *pinfo)
{
    const char *type = val_to_str_const(tvb_get_uint8(tvb, 1), types, "unknown type");

    if (tvb_captured_length(tvb) < HEADER_LENGTH)
        col_append_sep_fstr(pinfo->cinfo, COL_INFO, " | ", "GameKit %s, header cut short", type);
    else
        col_append_sep_fstr(pinfo->cinfo, COL_INFO, " | ", "GameKit %s, channel %u, %08X to %08X",
                            type, tvb_get_ntohs(tvb, 4), tvb_get_ntohl(tvb, 8),
                            tvb_get_ntohl(tvb, 12));
}

/* A message that is what it says: known type, exact size. Its checksum may be damaged. */
static bool
is_sound(tvbuff_t *tvb)
{
    return tvb_captured_length(tvb) >= HEADER_LENGTH &&
           message_size(tvb) == tvb_reported_length(tvb) && tvb_get_uint8(tvb, 0) == MARK &&
           try_val_to_str(tvb_get_uint8(tvb, 1), types);
}

static bool
has_checksum_that_fits(tvbuff_t *tvb)
{
    return is_whole(tvb) && tvb_get_ntohs(tvb, CRC_OFFSET) != 0 &&
           tvb_get_ntohs(tvb, CRC_OFFSET) == crc_of(tvb);
}

/* ---- the messages of a datagram ---- */

/* The size of a message of known type whose head is here, 0 where there is none. */
static unsigned
size_at(tvbuff_t *tvb, unsigned offset)
{
    if (tvb_captured_length(tvb) < offset + 4 || tvb_get_uint8(tvb, (int)offset) != MARK ||
        !try_val_to_str(tvb_get_uint8(tvb, (int)offset + 1), types))
        return 0;

    const unsigned size = tvb_get_ntohs(tvb, (int)offset + 2);
    return size >= HEADER_LENGTH ? size : 0;
}

/* The message here: as long as it says where another one follows, else all that is left. */
static tvbuff_t *
message_at(tvbuff_t *tvb, unsigned offset)
{
    const unsigned size = size_at(tvb, offset);

    if (size && size_at(tvb, offset + size))
        return tvb_new_subset_length(tvb, (int)offset, (int)size);
    return tvb_new_subset_remaining(tvb, (int)offset);
}

static void
dissect_message(tvbuff_t *tvb, packet_info *pinfo, proto_tree *parent)
{
    proto_item *item = proto_tree_add_item(parent, proto_gamekit, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_gamekit);

    if (is_sound(tvb) || has_checksum_that_fits(tvb))
        ft_gamekit_learn(pinfo);
    expert_add_info(pinfo, item, &ei_no_call);
    if (tvb_captured_length(tvb) < tvb_reported_length(tvb))
        expert_add_info(pinfo, item, &ei_cut);
    summarize_gamekit(tvb, pinfo);
    show_gamekit(tvb, pinfo, tree);
}

/* At least 4 bytes, the first of them C1. Returns the bytes used: all. */
static int
dissect_gamekit(tvbuff_t *tvb, packet_info *pinfo, proto_tree *parent, void *data _U_)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (captured < 4 || tvb_get_uint8(tvb, 0) != MARK)
        return 0;
    col_set_str(pinfo->cinfo, COL_PROTOCOL, "GameKit");
    col_clear(pinfo->cinfo, COL_INFO);
    for (unsigned offset = 0; offset < captured;) { /* by HEADER_LENGTH at least */
        tvbuff_t *message = message_at(tvb, offset);
        dissect_message(message, pinfo, parent);
        offset += tvb_reported_length(message);
    }
    return (int)captured;
}

static bool
names_two_ends(tvbuff_t *tvb)
{
    return tvb_get_ntohl(tvb, 8) != 0 && tvb_get_ntohl(tvb, 12) != 0 &&
           tvb_get_ntohl(tvb, 8) != tvb_get_ntohl(tvb, 12);
}

/* Where no ICE was captured: a checksum that fits, in a message of exact size between two ends
 * that differ; of several in a datagram the first, if they fill it. One datagram of random bytes
 * in 2^46 does; a hello, which has none, proves nothing. */
static bool
proves_gamekit(tvbuff_t *tvb, packet_info *pinfo _U_, ft_generation *generation _U_)
{
    tvbuff_t *first = message_at(tvb, 0);

    if (!is_sound(first) || !has_checksum_that_fits(first) || !names_two_ends(first))
        return false;
    for (unsigned offset = 0; offset < tvb_captured_length(tvb);) { /* by HEADER_LENGTH at least */
        tvbuff_t *message = message_at(tvb, offset);
        if (!is_sound(message))
            return false;
        offset += tvb_reported_length(message);
    }
    return true;
}

void
proto_register_gamekit(void)
{
    static hf_register_info hf[] = { GAMEKIT_FIELDS(REGISTER_FIELD) };
    static int *ett[] = { GAMEKIT_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { GAMEKIT_EXPERTS(REGISTER_EXPERT) };

    proto_gamekit = proto_register_protocol("GameKit", "GameKit", "gamekit");
    proto_register_field_array(proto_gamekit, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_gamekit), ei, array_length(ei));
    register_dissector("gamekit", dissect_gamekit, proto_gamekit);
}

void
proto_reg_handoff_gamekit(void)
{
    ft_evidence_register(FT_SHAPE_GAMEKIT, proves_gamekit);
}
