/* plugin/filters.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_FILTERS_H
#define FT_FILTERS_H

#include "calls/call.h"

/* The call of a packet that is shown, as all packets tell it; NULL where it has none. */
const ft_call *call_of_shown(packet_info *pinfo);

#endif
