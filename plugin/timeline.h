/* plugin/timeline.h
 * -z facetime,calls and -z facetime,timeline: what is told (timeline.c), and how
 * (timeline_text.c, timeline_json.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TIMELINE_H
#define FT_TIMELINE_H

#include "calls/call.h"

typedef struct {
    bool        timeline;   /* else the table of calls */
    bool        json;
    bool        filtered;
    const ft_call *only;    /* NULL: all */
    GHashTable *frames;     /* of the packets that passed the filter and may have events */
    GHashTable *calls;      /* of ft_call, that those packets belong to */
    wmem_allocator_t *scope; /* of texts, while it is drawn */
} report;

/* True where the report is to have it: no filter, or a packet of it passed the filter. */
bool wants_event(const report *wanted, const ft_event *event);
bool wants_call(const report *wanted, const ft_call *call);

/* The wanted events of a call in order of frames. The array is the caller's. */
GPtrArray *story(const report *wanted, const ft_call *call);

/* The i-th participant of a modern call: what it has in place of signalling. */
const char *participant(const report *wanted, const ft_call *call, unsigned i);

/* All wanted calls, to standard output. */
void print_calls(const report *wanted);
void print_timeline(const report *wanted);
void print_json(const report *wanted);

/* The timeline of a call, or of all (NULL), as print_timeline() has it. To be freed. */
char *timeline_text(const ft_call *only);

#endif
