/* packet-facetime-control.c
 * What two devices say to each other about the call in today's FaceTime (2019 on;
 * docs/protocol.md, 17).
 *
 * Control message: in the relay channel, and bare on a direct path. Encrypted end to end.
 *
 *    0       2               10        11
 *   +-------+---------------+---------+------------
 *   | 40 0f | key id        | counter | ciphertext
 *   +-------+---------------+---------+------------
 *            first half of the sender's MKI in RTP
 *
 * Evidence: 139 control messages agree with their senders' MKI in the captures of 2023.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/relay.h"
#include "calls/trailer.h"
#include "packet-rows.h"
#include <epan/expert.h>

void proto_register_facetime_control(void);
void proto_reg_handoff_facetime_control(void);

#define CONTROL_TYPE   0x400f
#define CONTROL_HEADER 11
#define KEY_ID_LENGTH  8

static int proto_facetime_control = -1;

/* clang-format off */
#define CONTROL_FIELDS(X) \
    X(hf_control_type, "Type", "facetime_control.type", FT_UINT16, BASE_HEX, NULL, 0, \
      "400f in every capture") \
    X(hf_control_key_id, "Key id", "facetime_control.key_id", FT_BYTES, BASE_NONE, NULL, 0, \
      "Names the sender's key: the first half of the MKI of its RTP packets") \
    X(hf_control_counter, "Counter", "facetime_control.counter", FT_UINT8, BASE_DEC, NULL, 0, \
      "Counts the messages of this key") \
    X(hf_control_ciphertext, "Ciphertext", "facetime_control.ciphertext", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "Encrypted message and its tag (SFrame, as others' clients tell)") \
    X(hf_control_participant, "Participant", "facetime_control.participant", \
      FT_BYTES, BASE_NONE, NULL, 0, \
      "The first five bytes of the sender's participant id, which key ids of 2026 name " \
      "(published, unverified)") \
    X(hf_control_mki_frame, "First RTP of this key", "facetime_control.mki_frame", \
      FT_FRAMENUM, BASE_NONE, NULL, 0, \
      "The first RTP packet of the sender: its MKI begins with the key id") \
    X(hf_control_retransmission_of, "Retransmission of", "facetime_control.retransmission_of", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_RETRANS_PREV), 0, \
      "The first copy of this message, on this way or another")

#define CONTROL_EXPERTS(X) \
    X(ei_control_bad_length, "facetime_control.bad_length", PI_MALFORMED, PI_ERROR, \
      "Shorter than a control message") \
    X(ei_control_retransmission, "facetime_control.retransmission", PI_SEQUENCE, PI_NOTE, \
      "Control message sent again")

#define CONTROL_TREES(X) X(ett_control)

CONTROL_FIELDS(DECLARE_FIELD)
CONTROL_EXPERTS(DECLARE_EXPERT)
CONTROL_TREES(DECLARE_TREE)
/* clang-format on */

/* The first RTP packet of the key: of 2026 that one begins with the key id's two bytes alone, so
 * the same sender's must be meant. */
static uint32_t
media_of_key(packet_info *pinfo, const uint8_t *key_id, const ft_relay_header *relay)
{
    const uint32_t frame = ft_relay_mki_frame(pinfo, key_id);

    if (frame || !ft_key_id_is_named(key_id))
        return frame;
    return ft_short_mki_frame(pinfo, (uint16_t)(key_id[0] << 8 | key_id[1]),
                              relay && relay->has_participant ? relay->participant : NULL);
}

/* A key id of 2026 names its sender: four bytes of the participant id, and the first of the
 * other four. */
static void
show_named(tvbuff_t *tvb, proto_tree *tree, const uint8_t *key_id)
{
    uint8_t participant[5];

    if (!ft_key_id_is_named(key_id))
        return;
    memcpy(participant, key_id + 2, 4);
    participant[4] = key_id[7];
    proto_tree_add_bytes_with_length(tree, hf_control_participant, tvb, 4, 6, participant,
                                     sizeof participant);
}

static void
learn_control(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_item *item,
              const ft_relay_header *relay)
{
    const uint8_t *key_id = tvb_get_ptr(tvb, 2, KEY_ID_LENGTH);
    const int length = tvb_captured_length_remaining(tvb, CONTROL_HEADER);
    const uint8_t *ciphertext = tvb_get_ptr(tvb, CONTROL_HEADER, length);
    const uint32_t mki_frame = media_of_key(pinfo, key_id, relay);
    const uint32_t first = ft_relay_control(pinfo, key_id, tvb_get_uint8(tvb, 10),
                                            wmem_strong_hash(ciphertext, length));

    ft_relay_key(pinfo, key_id);
    show_named(tvb, tree, key_id);
    ft_show_frame(tree, hf_control_mki_frame, tvb, 0, 0, mki_frame);
    ft_show_frame(tree, hf_control_retransmission_of, tvb, 0, 0, first);
    if (first)
        expert_add_info_format(pinfo, item, &ei_control_retransmission, "Sent before, in frame %u",
                               ft_frame_number(first));
}

static int
dissect_facetime_control(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, void *data)
{
    const int length = tvb_reported_length(tvb);

    if (length < 2 || tvb_get_ntohs(tvb, 0) != CONTROL_TYPE)
        return 0;

    proto_item *item = proto_tree_add_item(root, proto_facetime_control, tvb, 0, -1, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_control);
    col_set_str(pinfo->cinfo, COL_PROTOCOL, "FT Control");
    col_set_str(pinfo->cinfo, COL_INFO, "Control message");
    proto_tree_add_item(tree, hf_control_type, tvb, 0, 2, ENC_BIG_ENDIAN);
    if (length <= CONTROL_HEADER) {
        expert_add_info(pinfo, item, &ei_control_bad_length);
        if (length > 2)
            proto_tree_add_item(tree, hf_control_ciphertext, tvb, 2, -1, ENC_NA);
        return tvb_captured_length(tvb);
    }

    proto_tree_add_item(tree, hf_control_key_id, tvb, 2, KEY_ID_LENGTH, ENC_NA);
    proto_tree_add_item(tree, hf_control_counter, tvb, 10, 1, ENC_NA);
    col_append_fstr(pinfo->cinfo, COL_INFO, " %u", tvb_get_uint8(tvb, 10));
    ft_packet *packet = ft_packet_get(pinfo);
    if (packet)
        packet->label = "Control message";
    learn_control(tvb, pinfo, tree, item, (const ft_relay_header *)data);
    proto_tree_add_item(tree, hf_control_ciphertext, tvb, CONTROL_HEADER, -1, ENC_NA);
    return tvb_captured_length(tvb);
}

/* clang-format off */
void
proto_register_facetime_control(void)
{
    static hf_register_info hf[] = { CONTROL_FIELDS(REGISTER_FIELD) };
    static int *ett[] = { CONTROL_TREES(REGISTER_TREE) };
    static ei_register_info ei[] = { CONTROL_EXPERTS(REGISTER_EXPERT) };

    proto_facetime_control =
        proto_register_protocol("FaceTime Control Message", "FT Control", "facetime_control");
    proto_register_field_array(proto_facetime_control, hf, array_length(hf));
    proto_register_subtree_array(ett, array_length(ett));
    expert_register_field_array(expert_register_protocol(proto_facetime_control), ei,
        array_length(ei));
    register_dissector("facetime_control", dissect_facetime_control, proto_facetime_control);
}

/* clang-format on */

/* Nothing to hand off: it is called by name. */
void
proto_reg_handoff_facetime_control(void)
{
}
