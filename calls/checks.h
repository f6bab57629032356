/* calls/checks.h
 * What a connectivity check (STUN Binding of a FaceTime flow) and its answer tell. First pass
 * (ft_learning); of a record with a flow. exchange: NULL where nothing remembers the request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CHECKS_H
#define FT_CHECKS_H

#include "calls/stun_facts.h"

void ft_check_learn(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                    ft_exchange *exchange, bool is_retransmission);
void ft_check_answer_learn(packet_info *pinfo, ft_packet *packet, const ft_stun *stun,
                           const ft_exchange *exchange);

/* Once, when the front door is registered. */
void ft_checks_init(void);

#endif
