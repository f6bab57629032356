/* calls/dialog.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/dialog.h"
#include "calls/call.h"
#include "calls/limits.h"
#include "calls/resolve.h"
#include "calls/reveal.h"

/* A BYE as seen on one 5-tuple. Both ends may hang up at once, each with a BYE of its own; and where both sides of a
 * relay are in the capture, one BYE is seen twice. */
typedef struct sip_bye {
    unsigned  sender;           /* hash of the tag in From: a stranger's text isn't kept */
    uint32_t  cseq;
    const ft_flow *flow;
    struct sip_bye *first;      /* where this BYE was seen first: itself, or on another 5-tuple */
    uint32_t  first_frame;
    ft_frame *last;
    nstime_t  last_time;
    ft_path   last_path;
    unsigned  copies;
    bool      answered;         /* of the first */
    bool      judged;           /* hindsight was here */
    struct sip_bye *next;
} sip_bye;

/* One SIP dialog, by its Call-ID. */
typedef struct {
    ft_call *call;              /* as of first_frame: later merges are looked up */
    uint32_t first_frame;
    sip_bye *byes;              /* in order of their first frames */
} sip_dialog;

static wmem_map_t *dialogs; /* Call-ID -> sip_dialog */

void
ft_dialog_init(void)
{
    dialogs = wmem_map_new_autoreset(wmem_epan_scope(), wmem_file_scope(), g_str_hash, g_str_equal);
    register_postseq_cleanup_routine(ft_dialog_hindsight);
}

static ft_call *
call_as_of(const sip_dialog *dialog, uint32_t frame)
{
    return (ft_call *)ft_call_as_of(dialog->call, frame);
}

/* Without a CSeq nothing tells which answer is the BYE's. */
static void
judge(void *key _U_, void *value, void *user_data _U_)
{
    const sip_dialog *dialog = (const sip_dialog *)value;

    for (sip_bye *bye = dialog->byes; bye; bye = bye->next) {
        if (bye->judged || bye->answered || bye->first != bye || bye->cseq == 0)
            continue;
        bye->judged = true;
        ft_event_add_at(bye->last, &bye->last_time, call_as_of(dialog, UINT32_MAX), bye->last_path,
                        FT_EVENT_BYE_UNANSWERED, bye->first_frame, "%u BYE%s and no answer",
                        bye->copies, bye->copies == 1 ? "" : "s");
    }
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
    sip_dialog *dialog = wmem_new0(wmem_file_scope(), sip_dialog);
    ft_clue_number(pinfo, FT_CLUE_CALL_ID, (uintptr_t)dialog);
    ft_call *call = ft_call_resolve(pinfo, strcmp(sip->method, "INVITE") == 0 && sip->status == 0);
    if (!call)
        return NULL;

    dialog->first_frame = ft_frame_id(pinfo);
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
    call->invite_frame = ft_frame_id(pinfo);
    call->state = MAX(call->state, FT_CALL_RINGING);
    call->offerer = ft_endpoint_keep(&offerer);
}

/* The same BYE, on whatever 5-tuple; or an answer to it. */
static bool
is_of_bye(const ft_sip *sip, const sip_bye *bye)
{
    return sip->cseq == bye->cseq && g_str_hash(sip->from_tag) == bye->sender;
}

/* What is kept of the BYE in hand as seen on its 5-tuple. NULL over the bound. */
static sip_bye *
keep_bye(packet_info *pinfo, const ft_packet *packet, sip_dialog *dialog, const ft_sip *sip)
{
    sip_bye **end = &dialog->byes, *first = NULL;
    unsigned count = 0;

    for (; *end; end = &(*end)->next, count++) {
        if (!is_of_bye(sip, *end))
            continue;
        if ((*end)->flow == packet->flow)
            return *end;
        first = first ? first : *end;
    }
    if (count >= FT_MAX_BYES_PER_DIALOG) {
        ft_limit_met(pinfo);
        return NULL;
    }
    *end = wmem_new0(wmem_file_scope(), sip_bye);
    (*end)->sender = g_str_hash(sip->from_tag);
    (*end)->cseq = sip->cseq;
    (*end)->flow = packet->flow;
    (*end)->first = first ? first : *end;
    (*end)->first_frame = ft_frame_id(pinfo);
    return *end;
}

static void
learn_bye(packet_info *pinfo, const ft_packet *packet, sip_dialog *dialog, ft_call *call, const ft_sip *sip)
{
    sip_bye *bye = keep_bye(pinfo, packet, dialog, sip);

    ft_call_end(pinfo, call, wmem_strdup_printf(pinfo->pool, "BYE%s%s", sip->reason ? ", " : "",
                                                sip->reason ? sip->reason : ""));
    if (!bye)
        return;
    bye->copies++;
    bye->last = ft_frame_make(pinfo);
    bye->last_time = ft_now(pinfo);
    bye->last_path = packet->path;
    if (bye->first_frame != ft_frame_id(pinfo))
        ft_event_add(pinfo, FT_EVENT_BYE_RETRANSMITTED, bye->first_frame, "BYE of frame %u sent again (copy %u)",
                     bye->first_frame, bye->copies);
}

static void
learn_bye_answer(packet_info *pinfo, const sip_dialog *dialog, ft_call *call, const ft_sip *sip)
{
    if (!call->bye_answer_frame)
        call->bye_answer_frame = ft_frame_id(pinfo);
    for (sip_bye *bye = dialog->byes; bye; bye = bye->next) {
        if (is_of_bye(sip, bye))
            bye->answered = true;
    }
}

/* Once a call is answered, an INVITE is about changing it: that this is refused, or taken back, ends nothing. */
static void
learn_invite_answer(packet_info *pinfo, ft_call *call, const ft_sip *sip)
{
    if (call->answer_frame)
        return;
    if (sip->status >= 300) {
        ft_call_end(pinfo, call, wmem_strdup_printf(pinfo->pool, "INVITE answered %u", sip->status));
        return;
    }
    call->answer_frame = ft_frame_id(pinfo);
    call->state = MAX(call->state, FT_CALL_ANSWERED);
    ft_event_add(pinfo, FT_EVENT_CALL_ANSWERED, call->invite_frame, "Call %u answered", call->number);
}

static void
learn_answer(packet_info *pinfo, const sip_dialog *dialog, ft_call *call, const ft_sip *sip)
{
    if (sip->status < 200)
        return;
    if (strcmp(sip->method, "BYE") == 0)
        learn_bye_answer(pinfo, dialog, call, sip);
    else if (strcmp(sip->method, "INVITE") == 0)
        learn_invite_answer(pinfo, call, sip);
}

static void
learn_request(packet_info *pinfo, const ft_packet *packet, sip_dialog *dialog, ft_call *call, const ft_sip *sip)
{
    if (strcmp(sip->method, "INVITE") == 0)
        learn_invite(pinfo, packet, call);
    else if (strcmp(sip->method, "BYE") == 0)
        learn_bye(pinfo, packet, dialog, call, sip);
    else if (strcmp(sip->method, "CANCEL") == 0 && !call->answer_frame)
        ft_call_end(pinfo, call, "CANCEL");
}

void
ft_sip_learn(packet_info *pinfo, const ft_sip *sip)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || pinfo->flags.in_error_pkt)
        return;

    ft_setup_sip(pinfo, sip->method, sip->status);
    sip_dialog *dialog = (sip_dialog *)wmem_map_lookup(dialogs, sip->call_id);
    if (!ft_learning(pinfo)) {
        if (dialog && dialog->first_frame <= ft_frame_id(pinfo))
            packet->call = call_as_of(dialog, ft_frame_id(pinfo));
        return;
    }
    if (!dialog)
        dialog = new_dialog(pinfo, sip);
    if (!dialog)
        return;
    packet->call = call_as_of(dialog, ft_frame_id(pinfo));
    ft_clue_number(pinfo, FT_CLUE_CALL_ID, (uintptr_t)dialog);
    ft_call_resolve(pinfo, false);
    packet->call = call_as_of(dialog, ft_frame_id(pinfo));
    if (sip->status)
        learn_answer(pinfo, dialog, packet->call, sip);
    else
        learn_request(pinfo, packet, dialog, packet->call, sip);
}
