/* packet-gkstun.h
 * For packet-gkstun.c alone: the attributes of a message, standard ones as stock shows them,
 * Apple's under Apple's names (packet-gkstun-attributes.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PACKET_GKSTUN_H
#define FT_PACKET_GKSTUN_H

#include "wire/stun_message.h"

#include <epan/expert.h>

/* What both files tell of a message: more is told than the datagram has, or than the capture
 * kept. */
extern expert_field ei_gkstun_truncated, ei_gkstun_cut;

/* apple_only: beside stock's tree, that has the others. */
void gkstun_show_attributes(const stun_message *message, proto_tree *tree, bool apple_only);

/* When gkstun is registered: fields and expert infos of the attributes. */
void gkstun_register_attributes(int proto, expert_module_t *experts);

#endif
