/* calls/nat_test.h
 * What Apple's servers, and the device itself, said of its NAT before a call: SNATMAP's answer
 * (packet-snatmap.c), CommNAT's answers and report (packet-commnat.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_NAT_TEST_H
#define FT_NAT_TEST_H

#include "calls/call.h"
#include "calls/frame.h"

/* Flags of CommNAT's report (derived from public analyses of later builds; docs/protocol.md, 4). */
#define FT_NAT_SERVER_SILENT    0x001
#define FT_NAT_INDEPENDENT      0x002
#define FT_NAT_SYMMETRIC        0x004
#define FT_NAT_PORT_PRESERVED   0x010
#define FT_NAT_HAIRPIN          0x100

typedef enum { FT_NAT_SNATMAP, FT_NAT_COMMNAT, FT_NAT_REPORT } ft_nat_what;

typedef struct {
    ft_nat_what what;
    ft_frame   *frame;
    ft_endpoint device;         /* the socket that was told, or that reports */
    ft_endpoint mapped;         /* of an answer: what the server saw it as */
    uint32_t    flags;          /* of a report */
} ft_nat_told;

/* The packet in hand says this; told->frame is filled in here. First pass, after
 * ft_call_prepare(), which ties the packet to its call. */
void ft_nat_test_learn(packet_info *pinfo, ft_nat_told told);

/* What was told to the device of this call and tied to it: a list of ft_nat_told in scope. When
 * all packets were seen. */
wmem_array_t *ft_nat_tests_of(wmem_allocator_t *scope, const ft_call *call);

/* Once, when the front door is registered. */
void ft_nat_test_init(void);

#endif
