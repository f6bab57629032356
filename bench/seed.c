/* bench/seed.c
 * For measuring only (LD_PRELOAD): GLib's random numbers are constant, which the seed of
 * Wireshark's hash tables is made of at each start (wmem_init_hashing in 4.0, 4.4 and 4.6), so
 * that two runs walk the same chains.
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
