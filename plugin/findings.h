/* plugin/findings.h
 * What a person would write under the capture: each finding a sentence with numbers and the
 * frames that it rests on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_FINDINGS_H
#define FT_FINDINGS_H

#include "plugin/report.h"
#include "plugin/rules.h"

/* The call's findings, as a JSON array and as lines of text. */
void json_findings(json_dumper *json, wmem_allocator_t *scope, const ft_call *call);
void print_findings(wmem_allocator_t *scope, const ft_call *call);

/* A finding's text begins with a capital, whoever it is about. To be freed by the caller. */
char *finding_sentence(const finding *found);

#endif
