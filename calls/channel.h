/* calls/channel.h
 * The life of a relay channel as a state machine. Pure: no Wireshark, no memory.
 *
 *              bind answered, or the relay itself sends on it
 *      ASKED ------------------------------------------------> BOUND <------+ bound again
 *        |  refused                                              |          |
 *        +---------> REFUSED                          asked to   |          |
 *                                                     release    v          |
 *    UNSEEN (no bind captured)  ---------------------------> RELEASING      |
 *                                                                |  answered, or retransmitted for
 *                                                                v  too long, or bound by another
 *                                                             RELEASED
 *                                     the relay sends on it long after: BOUND, it released another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_CHANNEL_H
#define FT_CHANNEL_H

typedef enum {
    FT_CHANNEL_UNSEEN,      /* used without a bind in the capture */
    FT_CHANNEL_ASKED,
    FT_CHANNEL_BOUND,
    FT_CHANNEL_REFUSED,
    FT_CHANNEL_RELEASING,   /* asked to be released; what is under way is no fault */
    FT_CHANNEL_RELEASED,
    FT_CHANNEL_STATES
} ft_channel_state;

typedef enum {
    FT_CHANNEL_BIND_ASKED,
    FT_CHANNEL_BIND_DONE,
    FT_CHANNEL_BIND_REFUSED,
    FT_CHANNEL_DATA_UP,         /* from the device */
    FT_CHANNEL_DATA_DOWN,       /* from the relay */
    FT_CHANNEL_DATA_LATER,      /* ... later than anything that can have been under way */
    FT_CHANNEL_RELEASE_ASKED,
    /* answered, or its retransmissions' time is over, or another allocation took the number */
    FT_CHANNEL_RELEASE_DONE,
    FT_CHANNEL_INPUTS
} ft_channel_input;

/* What a person would say of the packet. */
typedef enum {
    FT_CHANNEL_FINE,
    FT_CHANNEL_EARLY,       /* the device sends on it before it can know that it is bound */
    FT_CHANNEL_USED_AFTER   /* the device sends on it after its release */
} ft_channel_finding;

/* Moves *state on, and says what the input is worth telling. */
ft_channel_finding ft_channel_step(ft_channel_state *state, ft_channel_input input);

#endif
