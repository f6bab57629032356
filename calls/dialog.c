/* calls/dialog.c
 * What SIP says of a call, from each message of its dialog:
 *
 *    message -> dialog (Call-ID; else the way) -> verdict (calls/transaction.c) -> call: invited,
 *               ringing, answered, ended
 *                                             \-> BYE, last word: settled at the capture's end
 *                                                 (ft_dialog_hindsight)
 *
 * What ends a call, and when that is known:
 *
 *    BYE, or its 200         at once
 *    486, 603, other errors  at once; taken back where another INVITE of the dialog follows, or a
 *                            200 of another end. While other ends ring, at the capture's end:
 *                            6xx, which is of the person (RFC 3261 21.6), where no 200 followed;
 *                            else where none of them was heard for 3 minutes
 *    401, 407, 3xx, 491      at the capture's end, where no INVITE followed for 32 s
 *    CANCEL                  at the capture's end, where no 200 crossed it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/dialog.h"
#include "calls/call.h"
#include "calls/exchange.h"
#include "calls/hash.h"
#include "calls/key.h"
#include "calls/limits.h"
#include "calls/resolve.h"
#include "calls/reveal.h"
#include "calls/text.h"
#include "calls/witness.h"

#include <wsutil/strtoi.h>

#define RINGING_STATUS  180
#define FINAL_STATUS    200 /* and above */
#define INVITE_REPEAT_S 32  /* an INVITE is repeated within (RFC 3261 timer B) */
#define RINGING_S       180 /* an end rings no longer (RFC 3261 timer C) */

/* Where and when something was said that only later packets can settle. */
typedef struct {
    ft_frame *frame;    /* NULL: nothing was */
    nstime_t  time;
    ft_path   path;
} moment;

/* A BYE as seen on one 5-tuple. Both ends may hang up at once, each with a BYE of its own; and
 * where both sides of a relay are in the capture, one BYE is seen twice. */
typedef struct sip_bye {
    uint32_t  sender;           /* hash of the tag in From: a stranger's text isn't kept */
    uint32_t  cseq, via;
    bool      has_cseq;
    const ft_flow *flow;
    struct sip_bye *first;      /* where this BYE was seen first: itself, or on another 5-tuple */
    uint32_t  first_frame;
    moment    last;
    unsigned  copies;
    bool      answered;         /* of the first */
    bool      judged;           /* hindsight was here */
    struct sip_bye *next;
} sip_bye;

/* One SIP dialog: by its Call-ID, or, where no message of it has one, by the leg. */
typedef struct sip_dialog {
    ft_call *call;              /* as of first_frame: later merges are looked up */
    uint32_t first_frame;
    bool     has_call_id;
    /* of the answer that asks for the INVITE again, or of one end that refuses; 0: CANCEL */
    unsigned last_status;
    ft_transactions transactions;
    moment   last_word;         /* that message */
    sip_bye *byes;              /* in order of their first frames */
    struct sip_dialog *next;    /* made before this one */
} sip_dialog;

static wmem_map_t *dialogs;     /* Call-ID -> sip_dialog */
static wmem_map_t *latest_at;   /* ft_leg, or ft_flow -> its latest sip_dialog */
static sip_dialog *newest;      /* of all */
static unsigned dialog_total;

static void
reset(void)
{
    newest = NULL;
    dialog_total = 0;
}

static unsigned
call_id_hash(const void *call_id)
{
    return (unsigned)ft_hash_text(FT_HASH_BEGIN, (const char *)call_id);
}

static unsigned
way_hash(const void *way)
{
    return (unsigned)ft_hash_word(FT_HASH_BEGIN, (uintptr_t)way);
}

void
ft_dialog_init(void)
{
    dialogs = ft_new_map(call_id_hash, g_str_equal);
    latest_at = ft_new_map(way_hash, g_direct_equal);
    register_init_routine(reset);
    register_postseq_cleanup_routine(ft_dialog_hindsight);
}

/* Where the capture stops before that, nobody can know: a case's last frame is a BYE. */
static bool
goes_on_for(const nstime_t *since, int seconds)
{
    nstime_t first, latest;

    ft_frame_span(&first, &latest);
    return ft_seconds(since, &latest) >= seconds;
}

static moment
this_moment(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return (moment){ ft_frame_make(pinfo), ft_now(pinfo), packet->path };
}

static ft_call *
call_as_of(const sip_dialog *dialog, uint32_t frame)
{
    return (ft_call *)ft_call_as_of(dialog->call, frame);
}

/* ---- which dialog, which call ---- */

/* 0 for no text. */
static uint32_t
text_hash(const char *text)
{
    return *text ? MAX((uint32_t)ft_hash_text(FT_HASH_BEGIN, text), 1) : 0;
}

/* The dialog's call, with the packet and its flow in it; NULL over a bound. This alone decides
 * which call it is. */
static ft_call *
call_of_dialog(packet_info *pinfo, sip_dialog *dialog, bool is_invite)
{
    ft_clue_number(pinfo, FT_CLUE_CALL_ID, (uintptr_t)dialog);
    ft_call *call = ft_call_resolve(pinfo, is_invite);
    if (!dialog->call)
        dialog->call = call;
    return dialog->call ? call_as_of(dialog, ft_frame_id(pinfo)) : NULL;
}

/* What a message without Call-ID has to do with: its channel, or its direct path. NULL where
 * there is no memory of it. In a capture of 200 bytes a packet the Call-ID is cut off while BYE
 * and 200 are there. */
static const void *
sip_way(const ft_packet *packet)
{
    return packet->leg ? (const void *)packet->leg : (const void *)packet->flow;
}

static sip_dialog *
latest_dialog_at(const void *way)
{
    return way ? (sip_dialog *)wmem_map_lookup(latest_at, way) : NULL;
}

/* Also of the call: where its Call-ID was cut off, a message on another way of the call's is of the
 * dialog that the call has. */
static void
note_latest(packet_info *pinfo, const void *way, sip_dialog *dialog)
{
    ft_call *call = call_as_of(dialog, ft_frame_id(pinfo));

    if (call)
        call->dialog = dialog;
    if (way && latest_dialog_at(way) != dialog)
        wmem_map_insert(latest_at, way, dialog);
}

static bool
begins_dialog(const ft_sip *sip)
{
    return strcmp(sip->method, "INVITE") == 0 && sip->status == 0 && !*sip->to_tag;
}

static sip_dialog *
new_dialog(packet_info *pinfo, const ft_sip *sip)
{
    if (!ft_has_room(pinfo, FT_LIMIT_CALLS, dialog_total))
        return NULL;
    sip_dialog *dialog = wmem_new0(wmem_file_scope(), sip_dialog);
    if (!call_of_dialog(pinfo, dialog, begins_dialog(sip)))
        return NULL;
    dialog_total++;
    dialog->first_frame = ft_frame_id(pinfo);
    dialog->next = newest;
    newest = dialog;
    return dialog;
}

/* The latest dialog on the way, while it is of the call that the way is in. Once its call is
 * over, an INVITE is of another. A way may have another call by now (call waiting, the next call
 * in the tail of the last one). */
static sip_dialog *
dialog_of_way(packet_info *pinfo, const ft_sip *sip, const ft_sip_message *message)
{
    sip_dialog *dialog = latest_dialog_at(sip_way(ft_packet_get(pinfo)));

    if (!dialog || call_as_of(dialog, ft_frame_id(pinfo)) != ft_call_of_packet(pinfo))
        return NULL;
    if (*sip->call_id && dialog->has_call_id)
        return NULL;
    if (call_as_of(dialog, ft_frame_id(pinfo))->state == FT_CALL_ENDED &&
        (*sip->call_id || (message->method == FT_SIP_INVITE && !message->status)))
        return NULL;
    return dialog;
}

/* Of a message whose Call-ID was cut off: its way and its ends tell the call, and that has had a
 * dialog on another way. An INVITE after its end is another call's. */
static sip_dialog *
dialog_of_call(packet_info *pinfo, const ft_sip *sip)
{
    if (*sip->call_id)
        return NULL;
    const ft_call *call = ft_call_resolve(pinfo, begins_dialog(sip));
    if (!call || (call->state == FT_CALL_ENDED && begins_dialog(sip) &&
                  !ft_call_seen_later(pinfo, call)))
        return NULL;
    return call->dialog;
}

/* The first message with a Call-ID names a dialog that began without one. */
static sip_dialog *
dialog_of(packet_info *pinfo, const ft_sip *sip, const ft_sip_message *message)
{
    const void *way = sip_way(ft_packet_get(pinfo));
    sip_dialog *dialog =
        *sip->call_id ? (sip_dialog *)wmem_map_lookup(dialogs, sip->call_id) : NULL;

    if (!dialog)
        dialog = dialog_of_way(pinfo, sip, message);
    if (!dialog)
        dialog = dialog_of_call(pinfo, sip);
    if (!dialog)
        dialog = new_dialog(pinfo, sip);
    if (!dialog)
        return NULL;
    if (*sip->call_id && !dialog->has_call_id) {
        dialog->has_call_id = true;
        char *call_id = wmem_strdup(wmem_file_scope(), sip->call_id);
        wmem_map_insert(dialogs, call_id, dialog);
        ft_key_call_id(pinfo, call_as_of(dialog, ft_frame_id(pinfo)), call_id);
    }
    note_latest(pinfo, way, dialog);
    return dialog;
}

/* ---- BYE ---- */

/* The same BYE, on whatever 5-tuple; or an answer to it. CSeq alone won't do: both ends count
 * their own requests, and may well hang up with one number. */
static bool
is_of_bye(const ft_sip_message *message, const sip_bye *bye)
{
    if (message->has_cseq && bye->has_cseq)
        return message->cseq == bye->cseq && message->from_tag == bye->sender;
    return message->via && message->via == bye->via;
}

/* What is kept of the BYE in hand as seen on its 5-tuple. NULL over the bound. Bound by dialog,
 * not by file: a flood of BYEs in one call silences no other. */
static sip_bye *
keep_bye(packet_info *pinfo, sip_dialog *dialog, const ft_sip_message *message)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    sip_bye **end = &dialog->byes, *first = NULL;
    unsigned count = 0;

    for (; *end; end = &(*end)->next, count++) {
        if (!is_of_bye(message, *end))
            continue;
        if ((*end)->flow == packet->flow)
            return *end;
        first = first ? first : *end;
    }
    if (!ft_has_room(pinfo, FT_LIMIT_BYES_PER_DIALOG, count))
        return NULL;
    *end = wmem_new0(wmem_file_scope(), sip_bye);
    (*end)->sender = message->from_tag;
    (*end)->cseq = message->cseq;
    (*end)->via = message->via;
    (*end)->has_cseq = message->has_cseq;
    (*end)->flow = packet->flow;
    (*end)->first = first ? first : *end;
    (*end)->first_frame = ft_frame_id(pinfo);
    return *end;
}

static void
learn_bye(packet_info *pinfo, sip_dialog *dialog, ft_call *call, const ft_sip_message *message)
{
    sip_bye *bye = keep_bye(pinfo, dialog, message);

    if (!bye)
        return;
    bye->copies++;
    bye->last = this_moment(pinfo);
    if (bye->first_frame == ft_frame_id(pinfo))
        return;
    call->bye_again = true;
    ft_event_add(pinfo, FT_EVENT_BYE_RETRANSMITTED, bye->first_frame,
                 "BYE of frame %u sent again (copy %u)", ft_frame_number(bye->first_frame),
                 bye->copies);
}

/* Where the method was cut off, CSeq or Via must tell what is answered. */
static void
learn_bye_answer(packet_info *pinfo, const sip_dialog *dialog, ft_call *call,
                 const ft_sip_message *message)
{
    bool is_answer = message->has_method && message->method == FT_SIP_BYE;

    if (message->status < 200 || (message->has_method && !is_answer))
        return;
    for (sip_bye *bye = dialog->byes; bye; bye = bye->next) {
        if (is_of_bye(message, bye))
            bye->answered = is_answer = true;
    }
    if (is_answer && !call->bye_answer_frame)
        call->bye_answer_frame = ft_frame_id(pinfo);
}

/* ---- what a verdict does ---- */

/* Out of a relay channel, the sender is who is behind it. */
static ft_endpoint
sip_sender(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_endpoint source = ft_source(pinfo);

    if (packet->flow && packet->flow->server && packet->leg &&
        ft_endpoint_equal(packet->flow->server, &source))
        return packet->leg->peer;
    return source;
}

#define SIP_PORT 5060 /* where a URI has none */

#define URI "<sip:user@"

/* Of "... <sip:user@192.0.2.1:16402>;...", with or without the port, or [2001:db8::1]. */
static ft_endpoint
end_of_party(wmem_allocator_t *scope, const char *party)
{
    const char *uri = strstr(party, URI);
    const char *text =
        uri ? wmem_strndup(scope, uri + strlen(URI), strcspn(uri + strlen(URI), ">;")) : "";
    const bool is_bracketed = *text == '[';
    const char *host = text + is_bracketed;
    const size_t length = strcspn(host, is_bracketed ? "]" : ":");
    const char *port = strchr(host + length, ':');
    uint16_t number = SIP_PORT;

    if (port)
        ws_strtou16(port + 1, NULL, &number);
    return (ft_endpoint){ ft_text_address(scope, host, length), number };
}

/* Through a relay whose bind wasn't captured, the URIs alone name the far end: their hosts are the
 * ends' addresses (published, and in a message of 2010). A private one may be anybody's. */
static void
read_named_end(packet_info *pinfo, ft_packet *packet, const ft_sip *sip)
{
    if (packet->path != FT_PATH_RELAY)
        return;
    const bool from_device = ft_flow_is_uplink(packet->flow, pinfo);
    const bool is_request = sip->status == 0;
    const ft_endpoint far_end =
        end_of_party(pinfo->pool, from_device == is_request ? sip->to : sip->from);
    if (!ft_is_private(&far_end.addr))
        packet->named = far_end;
}

/* SIP that goes directly knows the far end: who isn't the device. */
static void
learn_remote(packet_info *pinfo, ft_call *call)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);

    ft_call_remote(call, &ft_packet_get(pinfo)->named, FT_REMOTE_NAMED);
    if (ft_packet_get(pinfo)->path != FT_PATH_DIRECT)
        return;
    if (ft_endpoint_equal(&source, &call->local))
        ft_call_remote(call, &destination, FT_REMOTE_SIGNALLED);
    else if (ft_endpoint_equal(&destination, &call->local))
        ft_call_remote(call, &source, FT_REMOTE_SIGNALLED);
}

/* Who offers media: the first INVITE that has SDP, or who answers one that has none. What would
 * change a call isn't asked: who began may be the other end. The report of 2015 has the same
 * device offering whichever side dialled, so an offer says nothing of who called whom; hence
 * "offer from" in the tables. */
static void
learn_offer(packet_info *pinfo, const sip_dialog *dialog, ft_call *call,
            const ft_sip_message *message)
{
    const bool is_answer = ft_sip_answers_invite(&dialog->transactions, message);

    if (call->offerer.addr.type != AT_NONE || call->answer_frame || message->sdp != FT_SDP_THERE)
        return;
    if ((message->method == FT_SIP_INVITE && !message->status && !message->to_tag) ||
        (is_answer && ft_sip_offers(&dialog->transactions, message))) {
        const ft_endpoint offerer = sip_sender(pinfo);
        call->offerer = ft_endpoint_keep(&offerer);
    }
}

/* A call goes on that ended when an INVITE was refused, or seemed to by a CANCEL or one end's
 * refusal: another INVITE of its dialog follows, or another of the ends that the INVITE reached
 * answers it. */
static void
reopen(ft_call *call)
{
    if (!call->closed || call->outcome == FT_OUTCOME_HUNG_UP)
        return;
    ft_call_reopen(call, FT_CALL_RINGING);
}

static void
tell_invite(packet_info *pinfo, ft_call *call, ft_sip_verdict verdict)
{
    if (verdict == FT_SIP_SAYS_REINVITE) {
        ft_event_add(pinfo, FT_EVENT_INVITE, 0, "INVITE that would change call %u", call->number);
        return;
    }
    reopen(call);
    if (call->invite_frame) {
        ft_event_add(pinfo, FT_EVENT_INVITE, call->invite_frame, "INVITE once more for call %u",
                     call->number);
        return;
    }
    call->invite_frame = ft_frame_id(pinfo);
    call->state = MAX(call->state, FT_CALL_RINGING);
    ft_event_add(pinfo, FT_EVENT_INVITE, 0, "INVITE of call %u", call->number);
}

static void
tell_answered(packet_info *pinfo, ft_call *call)
{
    if (call->answer_frame)
        return;
    reopen(call);
    call->answer_frame = ft_frame_id(pinfo);
    call->state = MAX(call->state, FT_CALL_ANSWERED);
    ft_event_add(pinfo, FT_EVENT_CALL_ANSWERED, call->invite_frame, "Call %u answered",
                 call->number);
}

/* Once a call is answered, only a BYE ends it. A CANCEL that crossed the 200 has lost: its 487
 * ends nothing. */
static void
end_call(packet_info *pinfo, ft_call *call, ft_call_outcome outcome, const char *reason)
{
    if (call->state == FT_CALL_ENDED || (call->answer_frame && outcome != FT_OUTCOME_HUNG_UP))
        return;
    call->outcome = outcome;
    ft_call_end(pinfo, call, reason);
}

static const char *
refusal_text(wmem_allocator_t *scope, unsigned status)
{
    return wmem_strdup_printf(scope, "INVITE answered %u", status);
}

static const char *
bye_text(wmem_allocator_t *scope, const ft_sip *sip)
{
    if (sip->status)
        return wmem_strdup_printf(scope, "BYE answered %u", sip->status);
    return sip->reason ? wmem_strdup_printf(scope, "BYE, %s", sip->reason) : "BYE";
}

static void
remember_last_word(packet_info *pinfo, sip_dialog *dialog, unsigned status)
{
    dialog->last_word = this_moment(pinfo);
    dialog->last_status = status;
}

/* Until a 200 that crossed it, or comes from another end, opens it again. */
static void
close_unanswered(ft_call *call)
{
    if (!call->answer_frame && !call->was_answered)
        ft_call_close(call);
}

static ft_call_outcome
outcome_of(ft_sip_verdict verdict)
{
    switch (verdict) {
    case FT_SIP_SAYS_DECLINED:
        return FT_OUTCOME_DECLINED;
    case FT_SIP_SAYS_BUSY:
        return FT_OUTCOME_BUSY;
    case FT_SIP_SAYS_CANCELLED:
        return FT_OUTCOME_CANCELLED;
    case FT_SIP_SAYS_FAILED:
        return FT_OUTCOME_FAILED;
    default:
        return FT_OUTCOME_HUNG_UP;
    }
}

/* A CANCEL tells more than the answer that it brings. */
static const char *
end_text(wmem_allocator_t *scope, const sip_dialog *dialog, ft_sip_verdict verdict, unsigned status)
{
    if (verdict == FT_SIP_SAYS_CANCELLED && dialog->last_word.frame && !dialog->last_status)
        return "CANCEL";
    return refusal_text(scope, status);
}

static void
act(packet_info *pinfo, sip_dialog *dialog, ft_call *call, const ft_sip *sip,
    ft_sip_verdict verdict)
{
    switch (verdict) {
    case FT_SIP_SAYS_INVITE:
    case FT_SIP_SAYS_INVITE_AGAIN:
    case FT_SIP_SAYS_REINVITE:
        tell_invite(pinfo, call, verdict);
        break;
    case FT_SIP_SAYS_RINGING:
        ft_event_add(pinfo, FT_EVENT_RINGING, call->invite_frame, "Call %u rings", call->number);
        break;
    case FT_SIP_SAYS_ANSWERED:
        tell_answered(pinfo, call);
        break;
    case FT_SIP_SAYS_REPEAT:
        call->invites_again = true;
        remember_last_word(pinfo, dialog, sip->status);
        break;
    case FT_SIP_SAYS_CANCELLING:
    case FT_SIP_SAYS_BRANCH_REFUSED:
        remember_last_word(pinfo, dialog, sip->status);
        close_unanswered(call);
        break;
    case FT_SIP_SAYS_DECLINED:
    case FT_SIP_SAYS_BUSY:
    case FT_SIP_SAYS_CANCELLED:
    case FT_SIP_SAYS_FAILED:
        end_call(pinfo, call, outcome_of(verdict),
                 end_text(pinfo->pool, dialog, verdict, sip->status));
        break;
    case FT_SIP_SAYS_ENDED:
        end_call(pinfo, call, FT_OUTCOME_HUNG_UP, bye_text(pinfo->pool, sip));
        break;
    default: /* says nothing of the call as a whole */
        break;
    }
}

/* ---- hindsight ---- */

/* A BYE of which neither CSeq nor Via was captured: nothing tells which answer is its. Nor does a
 * capture of one direction, which has no answers. Its last copy counts: the 2015 report's BYE was
 * sent four times. */
static void
judge_byes(const sip_dialog *dialog)
{
    ft_call *call = call_as_of(dialog, UINT32_MAX);

    if (dialog->byes && call && ft_witness_of(call).one_direction)
        return;
    for (sip_bye *bye = dialog->byes; bye; bye = bye->next) {
        if (bye->judged || bye->answered || bye->first != bye || !(bye->has_cseq || bye->via) ||
            !goes_on_for(&bye->last.time, FT_BYE_ANSWER_S))
            continue;
        bye->judged = true;
        ft_event_add_at(bye->last.frame, &bye->last.time, call, bye->last.path,
                        FT_EVENT_BYE_UNANSWERED, bye->first_frame, "%u BYE%s and no answer",
                        bye->copies, bye->copies == 1 ? "" : "s");
    }
}

/* How long the capture must go on after the last word, so that it was the last. */
static int
last_word_holds_after(const sip_dialog *dialog)
{
    if (!dialog->last_status || dialog->last_status >= FT_SIP_GLOBAL)
        return 0;
    return ft_invite_meaning(dialog->last_status) == FT_INVITE_TO_BE_REPEATED ? INVITE_REPEAT_S
                                                                              : RINGING_S;
}

/* A CANCEL that nothing crossed has ended the call; so has an answer that asked for the INVITE
 * again, in vain, and one end's refusal, where the others only rang. */
static void
judge_last_word(const sip_dialog *dialog)
{
    const ft_sip_verdict verdict = ft_sip_last_word(&dialog->transactions);
    ft_call *call = call_as_of(dialog, UINT32_MAX);

    if (verdict == FT_SIP_SAYS_NOTHING || !dialog->last_word.frame ||
        call->state == FT_CALL_ENDED || call->was_answered)
        return;
    if (!goes_on_for(&dialog->last_word.time, last_word_holds_after(dialog)))
        return;
    call->state = FT_CALL_ENDED;
    call->outcome = outcome_of(verdict);
    call->end_frame = dialog->last_word.frame->id;
    call->end_time = call->over_time = dialog->last_word.time;
    call->end_reason = end_text(wmem_file_scope(), dialog, verdict, dialog->last_status);
    ft_event_add_at(dialog->last_word.frame, &call->end_time, call, dialog->last_word.path,
                    FT_EVENT_CALL_ENDED, 0, "Call %u ends: %s", call->number, call->end_reason);
}

void
ft_dialog_hindsight(void)
{
    for (const sip_dialog *dialog = newest; dialog; dialog = dialog->next) {
        judge_byes(dialog);
        judge_last_word(dialog);
    }
}

/* ---- response times ---- */

static const struct { const char *method; ft_sip_wait wait;
} waits[] = {
    { "INVITE", FT_SIP_ANSWERED },
    { "BYE", FT_SIP_BYE_ANSWERED },
    { "MESSAGE", FT_SIP_MESSAGE_ANSWERED },
};

static ft_sip_wait
wait_for(const char *method)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(waits); i++) {
        if (strcmp(method, waits[i].method) == 0)
            return waits[i].wait;
    }
    return FT_SIP_OTHER_ANSWERED;
}

/* Of the transaction: what its answers repeat of the request. Not a hash that withstands its
 * sender: nobody gains by a wrong response time. */
static uint64_t
transaction_id(const ft_sip *sip, const ft_sip_message *message)
{
    const uint64_t hash = ft_hash_text(ft_hash_text(FT_HASH_BEGIN, sip->method), sip->call_id);

    return ft_hash_word(hash, (uint64_t)message->from_tag << 32 | message->via) ^
           (uint64_t)sip->cseq << 8;
}

static void
begin_wait(packet_info *pinfo, uint64_t transaction, ft_sip_wait wait)
{
    const uint64_t id = transaction ^ wait;
    bool is_repeat;

    ft_exchange_request(pinfo, FT_EXCHANGE_SIP, (const uint8_t *)&id, sizeof id, false, &is_repeat);
}

static void
end_wait(packet_info *pinfo, uint64_t transaction, ft_sip_wait wait)
{
    const uint64_t id = transaction ^ wait;
    bool is_repeat;

    const ft_exchange *exchange =
        ft_exchange_response(pinfo, FT_EXCHANGE_SIP, (const uint8_t *)&id, sizeof id, &is_repeat);
    /* a request that is sent again after its answer is no new one */
    if (exchange && exchange == exchange->first)
        ft_exchange_answered(pinfo, FT_EXCHANGE_SIP, wait, exchange);
}

/* An INVITE waits for ringing, and for its answer. */
static void
time_message(packet_info *pinfo, const ft_sip *sip, const ft_sip_message *message)
{
    const ft_sip_wait wait = wait_for(sip->method);

    if (!sip->has_cseq || !*sip->call_id || !*sip->method || strcmp(sip->method, "ACK") == 0)
        return;
    const uint64_t transaction = transaction_id(sip, message);
    if (sip->status == 0) {
        begin_wait(pinfo, transaction, wait);
        if (wait == FT_SIP_ANSWERED)
            begin_wait(pinfo, transaction, FT_SIP_RINGS);
    } else if (sip->status >= FINAL_STATUS) {
        end_wait(pinfo, transaction, wait);
    } else if (sip->status == RINGING_STATUS && wait == FT_SIP_ANSWERED) {
        end_wait(pinfo, transaction, FT_SIP_RINGS);
    }
}

/* ---- a message ---- */

static ft_sip_method
method_of(const char *name)
{
    static const struct { const char *name; ft_sip_method method;
    } methods[] = {
        { "INVITE", FT_SIP_INVITE },
        { "ACK", FT_SIP_ACK },
        { "CANCEL", FT_SIP_CANCEL },
        { "BYE", FT_SIP_BYE },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (strcmp(name, methods[i].name) == 0)
            return methods[i].method;
    }
    return FT_SIP_OTHER;
}

static ft_sip_message
message_of(const ft_sip *sip)
{
    return (ft_sip_message){
        .method = method_of(sip->method),
        .has_method = *sip->method != '\0',
        .status = sip->status,
        .cseq = sip->cseq,
        .has_cseq = sip->has_cseq,
        .via = text_hash(sip->via_branch),
        .from_tag = text_hash(sip->from_tag),
        .to_tag = text_hash(sip->to_tag),
        .sdp = sip->sdp,
    };
}

/* Where the dialog begins in this packet, media that came before was of a call that was answered
 * before. */
static bool
is_in_call(const packet_info *pinfo, const sip_dialog *dialog, const ft_call *call)
{
    return dialog->first_frame == ft_frame_id(pinfo) && !call->invite_frame &&
           call->media_packets[FT_PATH_RELAY] + call->media_packets[FT_PATH_DIRECT] > 0;
}

static void
learn_message(packet_info *pinfo, sip_dialog *dialog, const ft_sip *sip, ft_sip_message *message)
{
    ft_packet *packet = ft_packet_get(pinfo);
    ft_call *call = packet->call;

    message->in_call = is_in_call(pinfo, dialog, call);
    const ft_sip_verdict verdict = ft_sip_judge(&dialog->transactions, message);
    if (dialog->transactions.full)
        ft_limit_met(pinfo, FT_LIMIT_INVITES_PER_DIALOG);
    call->was_answered |= dialog->transactions.answered;
    learn_remote(pinfo, call);
    learn_offer(pinfo, dialog, call, message);
    act(pinfo, dialog, call, sip, verdict);
    if (message->method == FT_SIP_BYE && !message->status)
        learn_bye(pinfo, dialog, call, message);
    else if (message->status)
        learn_bye_answer(pinfo, dialog, call, message);
}

void
ft_sip_learn(packet_info *pinfo, const ft_sip *sip)
{
    ft_packet *packet = ft_packet_get(pinfo);
    ft_sip_message message = message_of(sip);

    if (!packet || pinfo->flags.in_error_pkt)
        return;
    ft_setup_sip(pinfo, sip->method, sip->status);
    time_message(pinfo, sip, &message);
    if (!ft_learning(pinfo)) {
        const sip_dialog *known = (const sip_dialog *)wmem_map_lookup(dialogs, sip->call_id);
        if (known && known->first_frame <= ft_frame_id(pinfo))
            packet->call = call_as_of(known, ft_frame_id(pinfo));
        return;
    }

    read_named_end(pinfo, packet, sip);
    sip_dialog *dialog = dialog_of(pinfo, sip, &message);
    if (!dialog)
        return;
    packet->call = call_of_dialog(pinfo, dialog, false);
    learn_message(pinfo, dialog, sip, &message);
}

bool
ft_sip_is_offer(packet_info *pinfo, const ft_sip *sip)
{
    static const ft_transactions none;
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_sip_message message = message_of(sip);
    const sip_dialog *dialog = (const sip_dialog *)wmem_map_lookup(dialogs, sip->call_id);

    if (!dialog && packet)
        dialog = latest_dialog_at(sip_way(packet));
    return ft_sip_offers(dialog ? &dialog->transactions : &none, &message);
}
