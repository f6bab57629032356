/* calls/dialog.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/dialog.h"
#include "calls/call.h"
#include "calls/limits.h"

/* One SIP dialog, by its Call-ID. */
typedef struct {
    ft_call *call;
    uint32_t first_frame;
    uint32_t bye_frame;         /* the first BYE */
    uint32_t last_bye_frame;
    nstime_t last_bye_time;
    ft_path  last_bye_path;
    unsigned byes;
    uint32_t bye_answer_frame;
    bool     judged;            /* hindsight was here */
} sip_dialog;

static wmem_map_t *dialogs; /* Call-ID -> sip_dialog */

void
ft_dialog_init(void)
{
    dialogs = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_str_hash, g_str_equal);
    register_postseq_cleanup_routine(ft_dialog_hindsight);
}

static void
judge(void *key _U_, void *value, void *user_data _U_)
{
    sip_dialog *dialog = (sip_dialog *)value;

    if (dialog->judged || !dialog->byes || dialog->bye_answer_frame)
        return;
    dialog->judged = true;
    ft_event_add_at(dialog->last_bye_frame, &dialog->last_bye_time, dialog->call, dialog->last_bye_path,
                    FT_EVENT_BYE_UNANSWERED, dialog->bye_frame, "%u BYE%s and no answer", dialog->byes,
                    dialog->byes == 1 ? "" : "s");
}

void
ft_dialog_hindsight(void)
{
    wmem_map_foreach(dialogs, judge, NULL);
}

static sip_dialog *
new_dialog(packet_info *pinfo, const ft_sip *sip)
{
    if (wmem_map_size(dialogs) >= FT_MAX_CALLS) {
        ft_limit_met(pinfo);
        return NULL;
    }
    /* An INVITE of another dialog while the last call runs is a call of its own; any other first sight of a dialog
     * belongs to what goes on. */
    ft_call *call = ft_call_open(pinfo, strcmp(sip->method, "INVITE") == 0 && sip->status == 0);
    if (!call)
        return NULL;

    sip_dialog *dialog = wmem_new0(wmem_file_scope(), sip_dialog);
    dialog->first_frame = pinfo->num;
    dialog->call = call;
    wmem_map_insert(dialogs, wmem_strdup(wmem_file_scope(), sip->call_id), dialog);
    return dialog;
}

static void
learn_invite(packet_info *pinfo, const ft_packet *packet, ft_call *call)
{
    ft_endpoint offerer = ft_source(pinfo);

    if (call->invite_frame)
        return;
    /* Out of a relay channel, the sender is who is behind it. */
    if (packet->flow && packet->flow->server && packet->leg && ft_endpoint_equal(packet->flow->server, &offerer))
        offerer = packet->leg->peer;
    call->invite_frame = pinfo->num;
    call->state = MAX(call->state, FT_CALL_RINGING);
    call->offerer = ft_endpoint_keep(&offerer);
}

static void
learn_bye(packet_info *pinfo, const ft_packet *packet, sip_dialog *dialog, const ft_sip *sip)
{
    dialog->byes++;
    dialog->last_bye_frame = pinfo->num;
    dialog->last_bye_time = pinfo->rel_ts;
    dialog->last_bye_path = packet->path;
    if (dialog->bye_frame) {
        ft_event_add(pinfo, FT_EVENT_BYE_RETRANSMITTED, dialog->bye_frame, "BYE of frame %u sent again (copy %u)",
                     dialog->bye_frame, dialog->byes);
        return;
    }
    dialog->bye_frame = pinfo->num;
    dialog->call->bye_frame = pinfo->num;
    ft_call_end(pinfo, dialog->call, wmem_strdup_printf(pinfo->pool, "BYE%s%s", sip->reason ? ", " : "",
                                                        sip->reason ? sip->reason : ""));
}

static void
learn_answer(packet_info *pinfo, sip_dialog *dialog, const ft_sip *sip)
{
    ft_call *call = dialog->call;

    if (strcmp(sip->method, "BYE") == 0) {
        if (!dialog->bye_answer_frame)
            dialog->bye_answer_frame = call->bye_answer_frame = pinfo->num;
    } else if (strcmp(sip->method, "INVITE") != 0 || sip->status < 200) {
        return;
    } else if (sip->status < 300) {
        if (call->answer_frame)
            return;
        call->answer_frame = pinfo->num;
        call->state = MAX(call->state, FT_CALL_ANSWERED);
        ft_event_add(pinfo, FT_EVENT_CALL_ANSWERED, call->invite_frame, "Call %u answered", call->number);
    } else {
        ft_call_end(pinfo, call, wmem_strdup_printf(pinfo->pool, "INVITE answered %u", sip->status));
    }
}

static void
learn_request(packet_info *pinfo, const ft_packet *packet, sip_dialog *dialog, const ft_sip *sip)
{
    if (strcmp(sip->method, "INVITE") == 0)
        learn_invite(pinfo, packet, dialog->call);
    else if (strcmp(sip->method, "BYE") == 0)
        learn_bye(pinfo, packet, dialog, sip);
    else if (strcmp(sip->method, "CANCEL") == 0)
        ft_call_end(pinfo, dialog->call, "CANCEL");
}

void
ft_sip_learn(packet_info *pinfo, const ft_sip *sip)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || pinfo->flags.in_error_pkt)
        return;

    sip_dialog *dialog = (sip_dialog *)wmem_map_lookup(dialogs, sip->call_id);
    if (!ft_learning(pinfo)) {
        if (dialog && dialog->first_frame <= pinfo->num)
            packet->call = (ft_call *)ft_call_as_of(dialog->call, pinfo->num);
        return;
    }
    if (!dialog)
        dialog = new_dialog(pinfo, sip);
    if (!dialog)
        return;
    dialog->call = (ft_call *)ft_call_as_of(dialog->call, pinfo->num);
    packet->call = dialog->call;
    if (dialog->call->state != FT_CALL_ENDED)
        ft_call_join(pinfo, dialog->call); /* the other end's flow, where both devices are in the capture */
    dialog->call = packet->call = (ft_call *)ft_call_as_of(dialog->call, pinfo->num);
    if (sip->status)
        learn_answer(pinfo, dialog, sip);
    else
        learn_request(pinfo, packet, dialog, sip);
}
