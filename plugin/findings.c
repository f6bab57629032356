/* plugin/findings.c
 * The findings of a call (plugin/rules.h) as JSON and as lines of text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/findings.h"

#include "calls/frame.h"

char *
finding_sentence(const finding *found)
{
    char *copy = g_strdup(found->text);

    copy[0] = g_ascii_toupper(copy[0]);
    return copy;
}

static void
finding_json(const rule *kind, const finding *found, void *user)
{
    json_dumper *json = (json_dumper *)user;
    char *text = finding_sentence(found);

    json_dumper_begin_object(json);
    json_string(json, "code", kind->code);
    json_string(json, "severity", kind->severity);
    json_string(json, "text", text);
    json_dumper_set_member_name(json, "frames");
    json_dumper_begin_array(json);
    for (unsigned i = 0; i < found->frame_count; i++)
        json_dumper_value_anyf(json, "%u", ft_frame_number(found->frames[i]));
    json_dumper_end_array(json);
    json_dumper_end_object(json);
    g_free(text);
}

void
json_findings(json_dumper *json, wmem_allocator_t *scope, const ft_call *call)
{
    json_dumper_set_member_name(json, "findings");
    json_dumper_begin_array(json);
    judge(scope, call, finding_json, json);
    json_dumper_end_array(json);
}

static void
write_text(const rule *kind, const finding *found, void *user _U_)
{
    char *text = finding_sentence(found);

    put("  %-7s %-21s  %s (frame", kind->severity, kind->code, text);
    for (unsigned i = 0; i < found->frame_count; i++)
        put("%s%u",
            i                        ? ", "
            : found->frame_count > 1 ? "s "
                                     : " ",
            ft_frame_number(found->frames[i]));
    put(")\n");
    g_free(text);
}

void
print_findings(wmem_allocator_t *scope, const ft_call *call)
{
    judge(scope, call, write_text, NULL);
}
