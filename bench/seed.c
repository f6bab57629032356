/* bench/seed.c
 * For measuring only (LD_PRELOAD): GLib's random numbers are constant, which Wireshark seeds its
 * hash tables from at each start (4.0's library imports the two of integers), so that two runs
 * walk the same chains.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdint.h>

uint32_t g_random_int(void);
int32_t g_random_int_range(int32_t begin, int32_t end);
double g_random_double(void);

uint32_t
g_random_int(void)
{
    return 0x9e3779b9;
}

int32_t
g_random_int_range(int32_t begin, int32_t end)
{
    return begin + (end - begin) / 2;
}

double
g_random_double(void)
{
    return 0.5;
}
