/* calls/nat_test.c
 * NAT tests come before a call and name none:
 *
 *    answer, report -> kept by the device's address, with its frame
 *    the frame      -> the call that ft_call_prepare() ties it to, then or when the call begins
 *    at draw time   -> those of the call's device whose frame is the call's
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/nat_test.h"
#include "calls/grow.h"
#include "calls/limits.h"

static wmem_map_t *told_devices;    /* address -> wmem_array_t of ft_nat_told */
static unsigned told_total;

static void
reset(void)
{
    told_total = 0;
}

void
ft_nat_test_init(void)
{
    told_devices = ft_new_map(ft_address_hash, ft_address_match);
    register_init_routine(reset);
}

static wmem_array_t *
told_to(const address *device)
{
    wmem_array_t *known = (wmem_array_t *)wmem_map_lookup(told_devices, device);

    if (known)
        return known;
    address *key = wmem_new(wmem_file_scope(), address);
    copy_address_wmem(wmem_file_scope(), key, device);
    known = wmem_array_sized_new(wmem_file_scope(), sizeof(ft_nat_told), FEW);
    wmem_map_insert(told_devices, key, known);
    return known;
}

void
ft_nat_test_learn(packet_info *pinfo, ft_nat_told told)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || packet->seen_before || !ft_learning(pinfo) ||
        !ft_limit_allows(FT_LIMIT_NAT_TESTS, told_total))
        return;
    told_total++;
    told.frame = ft_frame_make(pinfo);
    told.device = ft_endpoint_keep(&told.device);
    if (told.mapped.addr.type != AT_NONE)
        told.mapped = ft_endpoint_keep(&told.mapped);
    wmem_array_append_one(told_to(&told.device.addr), told);
}

wmem_array_t *
ft_nat_tests_of(wmem_allocator_t *scope, const ft_call *call)
{
    wmem_array_t *found = wmem_array_new(scope, sizeof(ft_nat_told));
    wmem_array_t *known = (wmem_array_t *)wmem_map_lookup(told_devices, &call->local.addr);

    for (unsigned i = 0; known && i < wmem_array_get_count(known); i++) {
        const ft_nat_told *told = (const ft_nat_told *)wmem_array_index(known, i);
        if (ft_call_as_of(told->frame->prepared, UINT32_MAX) == call)
            wmem_array_append(found, told, 1);
    }
    return found;
}
