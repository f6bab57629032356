/* plugin/response.c
 * Statistics > Service Response Time > FaceTime; tshark -q -z facetime,srt[,filter]; sharkd's
 * srt:facetime: how long answers took. A row is what was asked; its index is the value of the
 * table's filter, where it has one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/words.h"

#include "calls/call.h"
#include "calls/exchange.h"
#include "calls/stun.h"

#include <epan/srt_table.h>
#include <epan/tap.h>

#define MOST_ROWS 10

typedef struct {
    const char *title, *asked, *filter;
    const char *rows[MOST_ROWS]; /* NULL: not asked for */
} response_table;

/* By ft_exchange_kind. What has no name here isn't counted. */
static const response_table tables[] = {
    [FT_EXCHANGE_STUN] = { "FaceTime STUN and TURN",
                           "Method",
                           "stun.type.method",
                           { [STUN_BINDING] = "Connectivity check",
                             [STUN_ALLOCATE] = "Allocate",
                             [STUN_REFRESH] = "Refresh",
                             [STUN_CREATE_PERMISSION] = "CreatePermission",
                             [STUN_CHANNEL_BIND] = "ChannelBind" } },
    [FT_EXCHANGE_SNATMAP] = { "FaceTime SNATMAP", "Message", NULL, { "SNATMAP request" } },
    [FT_EXCHANGE_COMMNAT] = { "FaceTime CommNAT",
                              "Operation",
                              "commnat.operation",
                              { [1] = "Test", [2] = "Report" } },
    [FT_EXCHANGE_SIP] = { "FaceTime SIP",
                          "Request",
                          NULL,
                          { [FT_SIP_RINGS] = "INVITE to 180 Ringing",
                            [FT_SIP_ANSWERED] = "INVITE to its answer",
                            [FT_SIP_BYE_ANSWERED] = "BYE",
                            [FT_SIP_MESSAGE_ANSWERED] = "MESSAGE",
                            [FT_SIP_OTHER_ANSWERED] = "others" } },
};

static void
init_tables(struct register_srt *srt _U_, GArray *srt_array)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        srt_stat_table *table = init_srt_table(tables[i].title, NULL, srt_array, MOST_ROWS,
                                               tables[i].asked, tables[i].filter, NULL);
        for (int row = 0; row < MOST_ROWS; row++)
            init_srt_table_row(table, row, tables[i].rows[row] ? tables[i].rows[row] : "");
    }
}

/* Frame times that came in batches tell nothing of how long an answer took. In one pass that is
 * known from some of the call's media on. */
static bool
times_are_batched(const ft_packet *packet)
{
    const ft_call *call = ft_call_as_of(packet->call, UINT32_MAX);

    return call && call_clock_is_batched(call);
}

static tap_packet_status
response_packet(void *data, packet_info *pinfo, epan_dissect_t *edt _U_, const void *tapped,
                tap_flags_t flags _U_)
{
    const ft_packet *packet = (const ft_packet *)tapped;
    const ft_answer *answer = &packet->answer;

    if (!answer->is_answer || answer->protocol >= G_N_ELEMENTS(tables) ||
        answer->what >= MOST_ROWS || !tables[answer->protocol].rows[answer->what] ||
        times_are_batched(packet))
        return TAP_PACKET_DONT_REDRAW;
    const nstime_t asked = ft_passed(&answer->took, &pinfo->abs_ts);
    add_srt_table_data(
        g_array_index(((srt_data_t *)data)->srt_array, srt_stat_table *, answer->protocol),
        answer->what, &asked, pinfo);
    return TAP_PACKET_REDRAW;
}

void
register_facetime_response_times(void)
{
    register_srt_table(proto_get_id_by_filter_name("facetime"), "facetime",
                       (int)G_N_ELEMENTS(tables), response_packet, init_tables, NULL);
}
