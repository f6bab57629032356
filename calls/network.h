/* calls/network.h
 * In which network a packet's addresses count: the same private address in another VLAN, tunnel
 * or VPN is somebody else's. Wireshark keeps the VLAN (pinfo->vlan_id); what tells tunnels apart
 * stands in front of the inner packet:
 *
 *    GTP-U    30 ff length(2) TEID(4)          | 4 bytes and extension headers |      inner IP
 *    VXLAN    08 ......       VNI(3) ..        | inner Ethernet                |      inner IP
 *    GRE      20 .. type(2)   key(4)                                                  inner IP
 *    PPPoE    11 00 session(2) length(2) protocol(2)                                  inner IP
 *    MPLS     label(20 bits) class(3) bottom(1) lifetime(8)                           inner IP
 *
 * Each direction of a GTP tunnel, and of a path of labels, has a number of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_NETWORK_H
#define FT_NETWORK_H

#include "ws-compat.h"
#include <epan/packet.h>

#define FT_NETWORK_UNKNOWN UINT32_MAX   /* not seen yet; 0 is a packet without tag or tunnel */

/* Of the packet in hand: the VLAN, with a tunnel's number folded in. */
uint32_t ft_network_of(const packet_info *pinfo);

/* The same where both directions have that number, 0 where each has its own. */
uint32_t ft_network_shared(const packet_info *pinfo);

/* True where an ICMP error quotes the addresses: what stands in front of them is ICMP. */
bool ft_network_is_quoted(const packet_info *pinfo);

/* True where the other direction of the same network has this number too. */
bool ft_network_is_symmetric(uint32_t network);

/* The two directions of one way between a device and somebody else: the networks in which they
 * were seen. First pass. */
void ft_network_pair(uint32_t one, uint32_t other);

/* The number that the other direction has, as a way showed it that both were seen on; else one of
 * its own, which no packet has. */
uint32_t ft_network_partner(uint32_t network);

/* Once, when the front door is registered. */
void ft_network_init(void);

#endif
