/* plugin/view.h
 * What is known of a call when its findings are given, and how a rule says what it found. Before
 * anything is missed, one_direction, all.cut and begins_in_call are asked: what the capture hides
 * is no fault of the call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_VIEW_H
#define FT_VIEW_H

#include "calls/call.h"
#include "calls/event.h"
#include "calls/reveal.h"
#include "calls/witness.h"

#define SECOND          1e6     /* microseconds */
#define MAX_FRAMES      8

typedef struct {
    const char *text;
    uint32_t    frames[MAX_FRAMES]; /* ids */
    unsigned    frame_count;
} finding;

/* One direction's media. Seconds of the steady time (calls/steady.h), as all that follow: a clock
 * that was set has made no silence, and no late media. */
typedef struct {
    bool     any;
    double   first, last;
    uint32_t last_frame;
} direction;

typedef struct {
    wmem_allocator_t *scope;
    const ft_call    *call;
    const ft_reveals *known;
    ft_witnessed      all;
    direction         side[2];      /* by outgoing */
    double            file_last;
    double            media_first, media_last;  /* of both directions; 0: none */
    bool              ended;        /* something says so */
    bool              one_direction, begins_in_call, long_enough;
} view;

extern const char *const view_sides[2];     /* by outgoing: "the peer", "the device" */

/* The call as all packets showed it. Lives in scope. */
view view_call(wmem_allocator_t *scope, const ft_call *call);

/* The steady time, in seconds, at which a step of the set-up was reached; whether it was. */
double view_reached(const view *v, ft_setup_step step);
bool view_has_step(const view *v, ft_setup_step step);

/* The call's n-th event of this kind, or NULL. */
const ft_event *view_event(const ft_call *call, ft_event_id id, unsigned n);

/* A time between frames: where they come in batches of about a second, there are no tenths. */
const char *view_seconds_text(const view *v, double seconds);

/* Adds the id of a frame that has a number, once; MAX_FRAMES at most. */
void finding_add_frame(finding *out, uint32_t frame);

/* The finding's text. True: a rule's last word. */
bool finding_say(const view *v, finding *out, const char *format, ...) G_GNUC_PRINTF(3, 4);

#endif
