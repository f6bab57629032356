/* calls/guess.c
 * An allocation that only addresses tie to a call is a guess: where two calls are set up at once,
 * it may be the other one's, which its channel tells later. So is a connection to a modern relay.
 *
 *    Allocate, its answer, bind        first media, check or SIP in the channel
 *    guessed: call 1                   shows call 2: all of these frames are call 2's, their
 *                                      events with them
 *
 *    QUIC to a relay                   first key there
 *    guessed: call 1                   of call 2: the same
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/guess.h"
#include "calls/call.h"
#include "calls/mark.h"
#include "calls/owners.h"
#include "calls/preparation.h"

/* The event's frame is another call's: so is its place in the story, and what may be told again,
 * unless the call has told it of another frame. */
static void
move_event(ft_call *to, ft_call *from, ft_event *event)
{
    ft_event_drop(from, event);
    event->call = to;
    to->told |= UINT64_C(1) << event->id;
    wmem_array_append_one(to->events, event);
}

/* What a bind and the redial of a call that broke off have told. */
static void
move_remote(ft_call *to, ft_call *from)
{
    if (from->remote_rank == FT_REMOTE_BOUND) {
        ft_call_remote(to, &from->remote, FT_REMOTE_BOUND);
        from->remote_rank = FT_REMOTE_UNKNOWN;
        from->remote = (ft_endpoint){ ADDRESS_INIT_NONE, 0 };
    }
    if (from->may_restart && !to->may_restart) {
        to->may_restart = true;
        to->before = from->before == to ? to->before : from->before;
    }
    if (from->told & UINT64_C(1) << FT_EVENT_CALL_RESTARTED)
        return;
    to->restart_of = from->restart_of;
    from->restart_of = NULL;
}

static void
take_packets(packet_info *pinfo, ft_call *to, ft_call *from, const ft_guess *guesses,
             unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const ft_guess *guess = &guesses[i];
        if (!ft_prepared_tie(pinfo, guess->frame, to))
            return;
        for (ft_event *event = guess->frame->events; event; event = event->next) {
            if (event->id != FT_EVENT_CALL_STARTED)
                move_event(to, from, event);
        }
        from->packets -= MIN(1, from->packets);
        to->packets++;
        if (nstime_cmp(&guess->time, &to->first_time) < 0)
            to->first_time = guess->time;
        if (nstime_cmp(&guess->steady, &to->begin_time) < 0)
            to->begin_time = guess->steady;
    }
    to->seen |= FT_SEEN_SETUP;
    ft_call_changes++;
}

void
ft_call_take_over(packet_info *pinfo, ft_call *to, ft_call *from, wmem_array_t *guesses,
                  bool was_its_set_up)
{
    take_packets(pinfo, to, from, (const ft_guess *)wmem_array_get_raw(guesses),
                 wmem_array_get_count(guesses));
    move_remote(to, from);
    if (was_its_set_up)
        from->seen &= ~(unsigned)FT_SEEN_SETUP;
}

#define MOST_GUESSES 16 /* packets of an allocation; further repeats stay where they are */

void
ft_guess_keep(packet_info *pinfo, const ft_allocation *allocation, uint64_t tie_breaker)
{
    if (!allocation || !allocation->guesses ||
        wmem_array_get_count(allocation->guesses) >= MOST_GUESSES)
        return;
    const ft_guess guess = { ft_frame_make(pinfo), ft_now(pinfo), ft_steady(pinfo), tie_breaker };
    wmem_array_append_one(allocation->guesses, guess);
}

/* ---- connections to a modern relay ---- */

/* A second call, or the next one, opens its connection where a call talks already: nothing but
 * addresses ties it to that one until the connection's first key tells whose it is. Few wait for
 * theirs at a time, so the newest are kept. */
#define CONNECTIONS        16
#define MOST_OF_CONNECTION 256 /* packets; further ones stay where they are. 180 in 8 s in 2023 */
#define FIRST_KEY_S        30  /* chosen: 0.1 to 8 s in the captures of 2023 */

typedef struct {
    ft_leg *leg;   /* NULL: free */
    ft_call *call; /* that it was taken for */
    bool beside;   /* the call talked already: the connection may be the next one's */
    ft_call *next; /* that began meanwhile, and whose the connection may be; or NULL */
    ft_endpoint device;
    uint32_t relay; /* hash of its address */
    uint32_t known; /* bits of what this call was known of that end before */
    unsigned count;
    ft_guess guesses[MOST_OF_CONNECTION];
} connection;

static connection connections[CONNECTIONS];
static unsigned oldest;

static void
reset(void)
{
    memset(connections, 0, sizeof connections);
}

void
ft_guess_init(void)
{
    register_init_routine(reset);
}

static connection *
connection_of(const ft_leg *leg)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (connections[i].leg == leg)
            return &connections[i];
    }
    return NULL;
}

static bool
is_abandoned(const connection *one, const packet_info *pinfo)
{
    const nstime_t now = ft_steady(pinfo);

    return ft_seconds(&one->guesses[one->count - 1].steady, &now) > FIRST_KEY_S;
}

bool
ft_guess_is_open(const ft_packet *packet)
{
    return packet->generation == FT_MODERN &&
           (packet->path == FT_PATH_SERVER || packet->path == FT_PATH_RELAY) &&
           (packet->leg->renewed || nstime_is_zero(&packet->leg->media_time)) &&
           packet->kind != FT_KIND_RTP && packet->quic == FT_QUIC_UNKNOWN;
}

void
ft_guess_connection(packet_info *pinfo, ft_call *call, const ft_endpoint *device, uint32_t known)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    connection *one = connection_of(packet->leg);

    if (!one || ft_call_as_of(one->call, packet->frame) != call || is_abandoned(one, pinfo)) {
        if (!device)
            return;
        if (!one) {
            one = &connections[oldest];
            oldest = (oldest + 1) % CONNECTIONS;
        }
        *one = (connection){ .leg = packet->leg,
                             .call = call,
                             .beside = call->keys || call->media_leg,
                             .known = known };
        one->device = ft_endpoint_keep(device);
        one->relay = ft_address_hash(addresses_equal(&device->addr, &pinfo->src) ? &pinfo->dst
                                                                                 : &pinfo->src);
    }
    if (one->count < MOST_OF_CONNECTION)
        one->guesses[one->count++] =
            (ft_guess){ ft_frame_make(pinfo), ft_now(pinfo), ft_steady(pinfo), 0 };
}

bool
ft_guess_waits(const packet_info *pinfo, const ft_call *call)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        const connection *one = &connections[i];
        if (one->leg && one->beside && ft_call_as_of(one->call, ft_frame_id(pinfo)) == call &&
            !is_abandoned(one, pinfo))
            return true;
    }
    return false;
}

/* The end is another device's, or was until now. */
static void
forget_device(const packet_info *pinfo, const connection *one, const ft_call *call)
{
    const ft_endpoint host = ft_without_port(&one->device);

    if (one->device.addr.type == AT_NONE)
        return;
    if (!(one->known & FT_CLUE_BIT(FT_CLUE_DEVICE)))
        ft_forget_call_of_end(pinfo, FT_CLUE_DEVICE, &one->device, call);
    if (!(one->known & FT_CLUE_BIT(FT_CLUE_HOST)))
        ft_forget_call_of_end(pinfo, FT_CLUE_HOST, &host, call);
}

void
ft_guess_next(const packet_info *pinfo, const ft_call *call, ft_call *next)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (connections[i].leg && connections[i].beside &&
            ft_call_as_of(connections[i].call, ft_frame_id(pinfo)) == call)
            connections[i].next = next;
    }
}

static void
take_connection(packet_info *pinfo, connection *one, ft_call *to, ft_call *guessed)
{
    take_packets(pinfo, to, guessed, one->guesses, one->count);
    forget_device(pinfo, one, guessed);
}

/* A call's connections go to one relay's address: those of the same device that wait go along,
 * unless that is the address that the other call's own go to. */
static void
take_mates(packet_info *pinfo, const connection *one, ft_call *to, ft_call *guessed)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        connection *mate = &connections[i];
        if (mate == one || !mate->leg || mate->relay != one->relay ||
            guessed->relay == one->relay || is_abandoned(mate, pinfo) ||
            !addresses_equal(&mate->device.addr, &one->device.addr) ||
            ft_call_as_of(mate->call, ft_frame_id(pinfo)) != guessed)
            continue;
        take_connection(pinfo, mate, to, guessed);
        ft_call_put_leg(pinfo, mate->leg, to);
        mate->leg = NULL;
    }
}

ft_call *
ft_guess_judged(packet_info *pinfo, ft_call *call)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    connection *one = connection_of(packet->leg);

    if (!one)
        return NULL;
    ft_call *guessed = (ft_call *)ft_call_as_of(one->call, packet->frame),
            *next = (ft_call *)ft_call_as_of(one->next, packet->frame);
    if (guessed != call && !is_abandoned(one, pinfo)) {
        take_connection(pinfo, one, call, guessed);
        take_mates(pinfo, one, call, guessed);
    }
    one->leg = NULL;
    return guessed == call && next && !next->media_leg && !next->keys ? next : NULL;
}
