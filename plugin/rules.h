/* plugin/rules.h
 * The findings: one row each, with its code, its severity and the rule that gives it
 * (docs/findings.md).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RULES_H
#define FT_RULES_H

#include "plugin/view.h"

typedef struct stream_rows stream_rows;

/* Each rule is asked of a call, or of each of its streams: true when it has something to say. */
typedef struct {
    const char *code, *severity;
    bool (*of_call)(const view *v, finding *out);
    bool (*of_stream)(const view *v, const stream_rows *s, finding *out);
} rule;

typedef void (*finding_writer)(const rule *kind, const finding *found, void *user);

/* Hands the call's findings to the writer, in the order of the table. Texts live in scope. */
void judge(wmem_allocator_t *scope, const ft_call *call, finding_writer write, void *user);

#endif
