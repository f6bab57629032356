/* plugin/about.c
 * tshark -q -z facetime,about[,json]  what a report says of itself: who wrote it (plugin and
 *                                     Wireshark), which time the file spans, which bounds it met
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/report.h"

#include "calls/frame.h"

#include <epan/epan.h>
#include <epan/stat_groups.h>
#include <epan/stat_tap_ui.h>

typedef struct { bool json; } about;

static void
write_about(void)
{
    json_dumper json = { .output_file = stdout, .flags = JSON_DUMPER_FLAGS_PRETTY_PRINT };
    nstime_t first, last;

    ft_frame_span(&first, &last);
    json_dumper_begin_array(&json);
    json_dumper_begin_object(&json);
    json_number(&json, "schema", FT_SCHEMA);
    json_string(&json, "plugin", PLUGIN_VERSION);
    json_string(&json, "wireshark", epan_get_version());
    json_time(&json, "first_time", ft_in_microseconds(&first));
    json_time(&json, "last_time", ft_in_microseconds(&last));
    json_limits(&json, UINT32_MAX);
    json_dumper_end_object(&json);
    json_dumper_end_array(&json);
    json_dumper_finish(&json);
}

static void
about_draw(void *data)
{
    nstime_t first, last;

    if (((const about *)data)->json) {
        write_about();
        return;
    }
    ft_frame_span(&first, &last);
    printf("FaceTime plugin %s, Wireshark %s\n", PLUGIN_VERSION, epan_get_version());
    printf("The file spans %.3f s\n", ft_seconds(&first, &last));
    print_limits();
}

static ws_stat_start
about_start(const char *option, void *user_data _U_)
{
    about *wanted = g_new0(about, 1);

    report_filter(option, &wanted->json);
    GString *error = register_tap_listener("facetime", wanted, NULL, TL_REQUIRES_NOTHING, NULL,
                                           NULL, about_draw, NULL);
    if (error) {
        fprintf(stderr, "%s: %s\n", option, error->str);
        g_string_free(error, TRUE);
        WS_STAT_NOT_STARTED;
    }
    WS_STAT_STARTED;
}

static stat_tap_ui about_ui = {
    REGISTER_PACKET_STAT_GROUP_UNSORTED, NULL, "facetime,about", about_start, 0, NULL
};

void
register_tap_listener_facetime_about(void)
{
    register_stat_tap_ui(&about_ui, NULL);
}
