/* calls/channel.c
 * Whether a relay's channel carries anything at a moment, from what was asked, answered and sent
 * on it: the state machine that calls/channel.h draws, one cell a transition.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/channel.h"

/* Downlink data proves a bind whose answer wasn't captured (or comes late). A refused channel
 * that the relay sends on was bound all the same, and one that it still sends on long after a
 * release wasn't what was released. A bind of a channel that is being released is a new life. */
static const ft_channel_state next_state[FT_CHANNEL_STATES][FT_CHANNEL_INPUTS] = {
#define U FT_CHANNEL_UNSEEN
#define A FT_CHANNEL_ASKED
#define B FT_CHANNEL_BOUND
#define F FT_CHANNEL_REFUSED
#define G FT_CHANNEL_RELEASING
#define R FT_CHANNEL_RELEASED
    /*                            bind asked, done, refused, data up, down, later,
     *                            release asked, done */
    [FT_CHANNEL_UNSEEN]    = { A, B, F, U, B, B, G, R },
    [FT_CHANNEL_ASKED]     = { A, B, F, A, B, B, G, R },
    [FT_CHANNEL_BOUND]     = { B, B, B, B, B, B, G, R },
    [FT_CHANNEL_REFUSED]   = { A, B, F, F, B, B, G, R },
    [FT_CHANNEL_RELEASING] = { A, G, G, G, G, G, G, R },
    [FT_CHANNEL_RELEASED]  = { A, R, R, R, R, B, R, R },
};

ft_channel_finding
ft_channel_step(ft_channel_state *state, ft_channel_input input)
{
    const ft_channel_state before = *state;

    *state = next_state[before][input];
    if (input != FT_CHANNEL_DATA_UP)
        return FT_CHANNEL_FINE;
    if (before == FT_CHANNEL_ASKED)
        return FT_CHANNEL_EARLY;
    return before == FT_CHANNEL_RELEASED ? FT_CHANNEL_USED_AFTER : FT_CHANNEL_FINE;
}
