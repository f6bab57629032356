/* plugin/rules_call.c
 * Findings about a call's set-up and end, its networks, and what the capture itself can't tell.
 * How a call ended, and what is said of it:
 *
 *    INVITE declined or failed; busy; cancelled        refused; busy; cancelled
 *    BYE, answered; modern: the device's own ICMP      hung_up (and by whom, if that can be told)
 *    BYE that nobody answers, the capture goes on      unanswered_bye, broken_off
 *    media ends, the capture goes on for ENDED_S       broken_off, of a modern call where nothing
 *                                                      says that the far end hung up
 *    media in the file's last IN_CALL_S, no end        ends_in_call: nothing is known of the end
 *
 * What the capture hides is never the call's fault: each rule that needs both directions, whole
 * packets or a clock to believe asks the view (plugin/view.h) for them first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/rules.h"
#include "plugin/report.h"
#include "plugin/words.h"

#include "calls/nat_test.h"
#include "calls/resolve.h"

#include <math.h>

/* the capture goes on for so long without media: the media has ended */
#define ENDED_S         4.0
#define TOGETHER_S      1.0     /* both ends' media ends so close: they agreed on it */
#define TOGETHER_BATCHES_S 2.5  /* the same where frame times come in batches of about a second */
#define IN_CALL_S       2.0     /* media this close to the file's end: the call goes on */
#define MEDIA_LATE_S    3.0     /* after the answer */
#define RING_LATE_S     5.0     /* after the INVITE */
#define WAITED_MOST_S   120.0   /* for either: SIP has given up long before */

/* ---- rules: set-up and end ---- */

/* Nobody waits for hours: a clock that was set, or a capture that stood still, shows no packet
 * that could prove it before media runs. */
static double
waited(double seconds)
{
    return seconds <= WAITED_MOST_S ? seconds : 0;
}

/* A phone that rings long is its owner's affair: only the time to 180, and from the answer to the
 * first media, is measured. */
bool
rule_slow_setup(const view *v, finding *out)
{
    if (v->begins_in_call || call_clock_is_batched(v->call))
        return false;
    const double late = v->media_first > 0 && view_has_step(v, FT_SETUP_ANSWERED)
                            ? waited(v->media_first - view_reached(v, FT_SETUP_ANSWERED))
                            : 0;
    const double ring =
        view_has_step(v, FT_SETUP_INVITE) && view_has_step(v, FT_SETUP_RINGING)
            ? waited(view_reached(v, FT_SETUP_RINGING) - view_reached(v, FT_SETUP_INVITE))
            : 0;
    if (late <= MEDIA_LATE_S && ring <= RING_LATE_S)
        return false;
    finding_add_frame(out, v->known->setup[FT_SETUP_INVITE].frame);
    finding_add_frame(out, v->known->setup[FT_SETUP_RINGING].frame);
    finding_add_frame(out, v->known->setup[FT_SETUP_ANSWERED].frame);
    if (late <= MEDIA_LATE_S)
        return finding_say(v, out, "180 Ringing came %.1f s after the INVITE", ring);
    if (ring <= RING_LATE_S)
        return finding_say(v, out, "The first media came %.1f s after the answer", late);
    return finding_say(
        v, out,
        "180 Ringing came %.1f s after the INVITE, and the first media %.1f s after the answer",
        ring, late);
}

/* Media of the file's last seconds may go on after it: ends_in_call has that. */
static bool
ended_silently(const view *v)
{
    return v->media_first > 0 && !v->ended && v->file_last - v->media_last >= ENDED_S;
}

static void
add_last_media(const view *v, finding *out)
{
    for (unsigned outgoing = 0; outgoing < 2; outgoing++) {
        if (v->side[outgoing].any)
            finding_add_frame(out, v->side[outgoing].last_frame);
    }
}

/* A cut packet may have been the BYE. */
bool
rule_broken_off(const view *v, finding *out)
{
    const ft_event *unanswered = view_event(v->call, FT_EVENT_BYE_UNANSWERED, 0);

    if (v->call->generation == FT_MODERN || v->one_direction ||
        (!unanswered && (v->all.cut || !ended_silently(v))))
        return false;
    add_last_media(v, out);
    if (!unanswered)
        return finding_say(v, out, "Media ended without a BYE, %s before the capture did",
                           view_seconds_text(v, v->file_last - v->media_last));
    finding_add_frame(out, unanswered->frame);
    return finding_say(v, out, "The call broke off: its BYE was never answered");
}

/* Whose media ended last: who still sends hasn't hung up. By order in the file, which frame times
 * that come in batches keep. */
static bool
ended_last(const view *v, bool outgoing)
{
    const direction *side = &v->side[outgoing], *other = &v->side[!outgoing];

    return side->any && (!other->any || side->last_frame > other->last_frame);
}

/* Both ends' media ended at once: a way that breaks is noticed by who still sends only later. */
static bool
ended_together(const view *v)
{
    const double most = call_clock_is_batched(v->call) ? TOGETHER_BATCHES_S : TOGETHER_S;

    return v->side[0].any && v->side[1].any && fabs(v->side[0].last - v->side[1].last) < most;
}

/* A modern call's signalling isn't seen. Where the peer's media ends and the device's at once
 * after it, the device was told: the far end hung up, which leaves no packet, and nothing broke. */
bool
rule_ended_unseen(const view *v, finding *out)
{
    if (v->call->generation != FT_MODERN || v->one_direction || !ended_silently(v) ||
        view_event(v->call, FT_EVENT_PEER_UNREACHABLE, 0) ||
        (ended_together(v) && ended_last(v, true)))
        return false;
    add_last_media(v, out);
    return finding_say(
        v, out,
        "Media ended %s before the capture did, and no packet says why: the device's "
        "port wasn't closed, and what the far end signals isn't seen",
        view_seconds_text(v, v->file_last - v->media_last));
}

/* Within 30 s of a call that broke off; which that is, is decided where calls are told apart. */
bool
rule_restarted(const view *v, finding *out)
{
    const ft_call *before = v->call->restart_of;

    if (!before)
        return false;
    finding_add_frame(out, v->call->first_frame);
    finding_add_frame(out, before->end_frame);
    return finding_say(v, out,
                       "This call starts %s after the end of call %u between the same two",
                       view_seconds_text(v, ft_seconds(&before->over_time, &v->call->begin_time)),
                       before->number);
}

static bool
has_outcome(const view *v, finding *out, ft_call_outcome outcome)
{
    if (v->call->state != FT_CALL_ENDED || v->call->outcome != outcome)
        return false;
    finding_add_frame(out, v->call->invite_frame);
    finding_add_frame(out, v->call->end_frame);
    return true;
}

static const char *
reason_of(const view *v)
{
    return v->call->end_reason ? printable(v->scope, v->call->end_reason) : "no reason given";
}

bool
rule_refused(const view *v, finding *out)
{
    return (has_outcome(v, out, FT_OUTCOME_DECLINED) || has_outcome(v, out, FT_OUTCOME_FAILED)) &&
           finding_say(v, out, "The call was refused: %s", reason_of(v));
}

bool
rule_cancelled(const view *v, finding *out)
{
    return has_outcome(v, out, FT_OUTCOME_CANCELLED) &&
           finding_say(v, out, "The caller gave up before an answer: %s", reason_of(v));
}

bool
rule_busy(const view *v, finding *out)
{
    return has_outcome(v, out, FT_OUTCOME_BUSY) &&
           finding_say(v, out, "The far end was busy: %s", reason_of(v));
}

/* The event knows that the capture went on for long enough (calls/dialog.c). */
bool
rule_unanswered_bye(const view *v, finding *out)
{
    const ft_event *event = view_event(v->call, FT_EVENT_BYE_UNANSWERED, 0);

    if (!event || v->one_direction)
        return false;
    finding_add_frame(out, v->call->end_frame);
    finding_add_frame(out, event->frame);
    return finding_say(v, out, "The BYE was never answered: %s", event->text);
}

/* Evidence is the device's own ICMP about its port. An app that is told of the far end's hanging
 * up closes its port just so (one of the two real calls of 2023): then the far end's media had
 * ended first. */
static bool
closed_socket(const view *v, const ft_event *closed, finding *out)
{
    const bool other_end = v->call->other_end_closed;
    const char *device = other_end ? "other device" : "device";

    finding_add_frame(out, v->call->end_frame ? v->call->end_frame : closed->frame);
    if (ended_last(v, other_end))
        return finding_say(v, out,
                           "The %s hung up: its own ICMP says that its port is closed, and %s "
                           "media ended after its own",
                           device, other_end ? "the device's" : "the peer's");
    if (!v->side[other_end].any)
        return finding_say(v, out,
                           "The call was ended: the %s's own ICMP says that its port is closed",
                           device);
    add_last_media(v, out);
    return finding_say(v, out,
                       "The call was ended: the %s's own ICMP says that its port is closed. %s "
                       "media had ended before its own, so which of the two hung up isn't seen",
                       device, other_end ? "The device's" : "The peer's");
}

/* A BYE that nobody answered is unanswered_bye, no hanging up. */
bool
rule_hung_up(const view *v, finding *out)
{
    const ft_call *call = v->call;
    const ft_event *closed = view_event(call, FT_EVENT_SOCKET_CLOSED, 0);

    if (call->state == FT_CALL_ENDED && call->outcome == FT_OUTCOME_HUNG_UP &&
        call->bye_answer_frame) {
        finding_add_frame(out, call->end_frame);
        finding_add_frame(out, call->bye_answer_frame);
        return finding_say(v, out, "%s hung up: its BYE was answered",
                           !v->all.end_known   ? "One side"
                           : v->all.end_is_own ? "The device"
                                               : "The peer");
    }
    return call->generation == FT_MODERN && closed && call->state == FT_CALL_ENDED &&
           closed_socket(v, closed, out);
}

/* ---- rules: networks ---- */

/* What was lost of the peer's media in the second of a moment and the two after it. By seconds of
 * each stream's series, which is all that is kept of when a packet was lost: hence the one before
 * and two after. */
static uint32_t
lost_around(const view *v, const nstime_t *moment)
{
    int64_t lost = 0;

    for (unsigned i = 0; i < wmem_array_get_count(v->call->streams); i++) {
        const ft_stream *stream = *(const ft_stream **)wmem_array_index(v->call->streams, i);
        if (stream->outgoing || !stream->quality)
            continue;
        const stream_rows s = view_rows(v, stream);
        const double at = ft_seconds(&stream->first_time, moment) / s.quality->seconds_a_row;
        for (unsigned j = 0; j < s.row_count; j++) {
            if (s.rows[j].number + 1 >= at && s.rows[j].number <= at + 2)
                lost += s.rows[j].lost;
        }
    }
    return (uint32_t)MAX(lost, 0);
}

/* Silence is measured by frame times, losses are of packets that are whole, and there to see:
 * "0 packets" of what the file hides would be a good word for nothing. */
static const char *
cost_text(const view *v, const ft_event *event)
{
    const bool is_timed = !call_clock_is_batched(v->call);
    const bool is_counted = !v->all.cut && !v->one_direction;
    const char *silence = wmem_strdup_printf(v->scope, "it cost %.1f s without its media",
                                             nstime_to_sec(&event->length));

    if (!is_counted)
        return is_timed ? wmem_strdup_printf(v->scope, "%s; what was lost can't be told", silence)
                        : "what it cost can't be told";
    return wmem_strdup_printf(v->scope, "%s%u packets of the peer's",
                              is_timed ? wmem_strdup_printf(v->scope, "%s, ", silence) : "it cost ",
                              lost_around(v, &event->time));
}

bool
rule_handover(const view *v, finding *out)
{
    const ft_event *event = view_event(v->call, FT_EVENT_HANDOVER, 0);

    if (!event || !v->long_enough)
        return false;
    finding_add_frame(out, event->other_frame);
    for (unsigned i = 0; view_event(v->call, FT_EVENT_HANDOVER, i); i++)
        finding_add_frame(out, view_event(v->call, FT_EVENT_HANDOVER, i)->frame);
    return finding_say(v, out, "%s: %s", event->text, cost_text(v, event));
}

/* How others see one socket of the device. */
typedef struct {
    const ft_endpoint *first;   /* the first mapping that isn't the socket itself, or NULL */
    bool     changed;           /* another port than the socket's */
    bool     several;           /* another mapping, too */
    bool     unmapped;          /* to some: in the same network, or everywhere */
    unsigned count;
} mapping;

static void
add_mapping(mapping *seen, const ft_endpoint *socket, const ft_endpoint *mapped)
{
    seen->count++;
    if (ft_endpoint_equal(socket, mapped)) {
        seen->unmapped = true;
        return;
    }
    seen->changed |= mapped->port != socket->port;
    seen->several |= seen->first && !ft_endpoint_equal(seen->first, mapped);
    seen->first = seen->first ? seen->first : mapped;
}

static const char *
mapping_text(const view *v, const mapping *seen, const ft_endpoint *socket)
{
    const char *own = ft_endpoint_str(v->scope, socket);

    if (!seen->first)
        return wmem_strdup_printf(
            v->scope,
            ft_is_private(&socket->addr)
                ? "To all that told it, the device's address is its own, %s: none of them is "
                  "beyond a NAT, and what one makes of it isn't seen"
                : "No NAT is seen: %s is the device's address to all that told it",
            own);
    return wmem_strdup_printf(v->scope, "NAT: %s is %s outside; the port is %s, and %s", own,
                              ft_endpoint_str(v->scope, seen->first),
                              seen->changed ? "changed" : "kept",
                              seen->several
                                  ? "other mappings are seen, too: they depend on the destination"
                                  : "no other mapping is seen");
}

/* Modern calls have another port than the one that SNATMAP asks from (16393 and 16402 in 2023). */
static const char *
snatmap_text(const view *v, const ft_nat_told *told)
{
    return wmem_strdup_printf(v->scope, "; SNATMAP: %s is %s outside",
                              ft_endpoint_str(v->scope, &told->device),
                              ft_endpoint_str(v->scope, &told->mapped));
}

/* CommNAT has a socket of its own (port 16403). Each of its servers is another destination, so
 * what they see tells whether the mapping depends on it. */
static const char *
commnat_text(const view *v, const mapping *seen, const ft_endpoint *socket)
{
    const char *ports = seen->changed ? "the port is changed" : "the port is kept";

    if (seen->count == 0)
        return "";
    if (!seen->first)
        return wmem_strdup_printf(v->scope, "; CommNAT's servers see its test's own address, %s",
                                  ft_endpoint_str(v->scope, socket));
    if (seen->count == 1)
        return wmem_strdup_printf(v->scope, "; CommNAT: one answer, in which %s", ports);
    return wmem_strdup_printf(v->scope, "; CommNAT: in %u answers the mapping is %s, and %s",
                              seen->count, seen->several ? "not the same" : "the same", ports);
}

/* The device's own verdict. What the flags mean is derived, not seen in captures. */
static const char *
report_text(const view *v, uint32_t flags)
{
    return wmem_strdup_printf(
        v->scope, "; the device's report (0x%03x) says: %s, port %s%s%s", flags,
        flags & FT_NAT_SYMMETRIC     ? "mapped ports differ between servers"
        : flags & FT_NAT_INDEPENDENT ? "one mapping for all servers, and answers from elsewhere "
                                       "come in"
                                     : "no difference between servers",
        flags & FT_NAT_PORT_PRESERVED ? "kept" : "not kept",
        flags & FT_NAT_HAIRPIN ? ", its own outside address reaches it" : "",
        flags & FT_NAT_SERVER_SILENT ? "; some server never answered" : "");
}

/* What servers and the peer say that the device's address is. What the peer is told through the
 * relay, and what the relay itself maps, is no NAT's: answers in a channel are left out. Who knows
 * the device by a private address has no NAT in between, as the peer of the Wi-Fi call of 2023:
 * that device's own candidates name two addresses outside, so a NAT it has. */
static mapping
mapping_of_call(const view *v, const wmem_array_t *tests, finding *out)
{
    mapping seen = { 0 };

    for (unsigned i = 0; v->known->addresses && i < wmem_array_get_count(v->known->addresses);
         i++) {
        const ft_revealed *revealed = (const ft_revealed *)wmem_array_index(v->known->addresses, i);
        if (strcmp(revealed->what, "mapped address") != 0 || revealed->relayed ||
            !ft_endpoint_equal(&revealed->told, &v->call->local))
            continue;
        finding_add_frame(out, revealed->frame);
        add_mapping(&seen, &v->call->local, &revealed->address);
    }
    for (unsigned i = 0; i < ft_count_of(tests); i++) {
        const ft_nat_told *told = (const ft_nat_told *)wmem_array_index((wmem_array_t *)tests, i);
        if (told->what != FT_NAT_SNATMAP || !ft_endpoint_equal(&told->device, &v->call->local))
            continue;
        finding_add_frame(out, told->frame->id);
        add_mapping(&seen, &v->call->local, &told->mapped);
    }
    return seen;
}

bool
rule_nat(const view *v, finding *out)
{
    wmem_array_t *tests = ft_nat_tests_of(v->scope, v->call);
    const mapping seen = mapping_of_call(v, tests, out);
    const ft_nat_told *report = NULL, *tested = NULL, *other = NULL;
    mapping test = { 0 };

    for (unsigned i = 0; i < wmem_array_get_count(tests); i++) {
        const ft_nat_told *told = (const ft_nat_told *)wmem_array_index(tests, i);
        if (told->what == FT_NAT_REPORT)
            report = told;
        if (told->what == FT_NAT_SNATMAP && !ft_endpoint_equal(&told->device, &v->call->local))
            other = told;
        if (told->what != FT_NAT_COMMNAT ||
            (tested && !ft_endpoint_equal(&tested->device, &told->device)))
            continue;
        tested = tested ? tested : told;
        finding_add_frame(out, told->frame->id);
        add_mapping(&test, &told->device, &told->mapped);
    }
    if (other)
        finding_add_frame(out, other->frame->id);
    if (report)
        finding_add_frame(out, report->frame->id);
    if (!seen.count && !tested && !report && !other)
        return false;
    return finding_say(
        v, out, "%s%s%s%s",
        seen.count ? mapping_text(v, &seen, &v->call->local) : "The device tested its NAT",
        other ? snatmap_text(v, other) : "",
        tested ? commnat_text(v, &test, &tested->device) : "",
        report ? report_text(v, report->flags) : "");
}

/* For an examiner: what anybody on the way could read, with a frame to look at. */
bool
rule_cleartext(const view *v, finding *out)
{
    const ft_event *check = view_event(v->call, FT_EVENT_CONNECTIVITY_CHECK, 0);
    const unsigned sdps = v->known->sdps ? wmem_array_get_count(v->known->sdps) : 0;
    const unsigned addresses = v->known->addresses ? wmem_array_get_count(v->known->addresses) : 0;
    wmem_strbuf_t *text = wmem_strbuf_new(v->scope, "");

    if (check) {
        finding_add_frame(out, check->frame);
        wmem_strbuf_append(text, ", Apple's HTTP check");
    }
    if (v->call->dialogs) {
        finding_add_frame(out, v->call->invite_frame ? v->call->invite_frame : v->call->end_frame);
        wmem_strbuf_append(text, ", SIP with both ends' names for each other");
    }
    if (sdps) {
        finding_add_frame(out, ((const ft_sdp_text *)wmem_array_index(v->known->sdps, 0))->frame);
        wmem_strbuf_append_printf(text, ", %u SDP %s", sdps, sdps == 1 ? "body" : "bodies");
    }
    if (addresses) {
        finding_add_frame(out,
                          ((const ft_revealed *)wmem_array_index(v->known->addresses, 0))->frame);
        wmem_strbuf_append_printf(text, ", %u addresses", addresses);
    }
    return wmem_strbuf_get_len(text) &&
           finding_say(v, out, "In clear: %s", wmem_strbuf_get_str(text) + 2);
}

/* ---- rules: what the capture itself can't tell ---- */

bool
rule_capture_clock_batched(const view *v, finding *out)
{
    if (!call_clock_is_batched(v->call))
        return false;
    add_last_media(v, out);
    return finding_say(
        v, out,
        "Frame times come in batches: no jitter, and no time between different senders, can "
        "be told");
}

bool
rule_capture_cut(const view *v, finding *out)
{
    finding_add_frame(out, v->all.first_cut);
    return v->all.cut &&
           finding_say(v, out,
                       "%u packets of the call are cut short: what is lost, and what stands "
                       "in them, can't be "
                       "told",
                       v->all.cut);
}

bool
rule_begins_in_call(const view *v, finding *out)
{
    finding_add_frame(out, v->call->first_frame);
    return v->begins_in_call &&
           finding_say(v, out, "The capture begins in the call: it has no set-up");
}

/* The BYE itself may have gone the way that isn't in the file: its answer ends the call as well. */
bool
rule_ends_in_call(const view *v, finding *out)
{
    if (v->media_first <= 0 || v->ended || v->call->bye_answer_frame ||
        v->file_last - v->media_last > IN_CALL_S)
        return false;
    add_last_media(v, out);
    return finding_say(v, out,
                       "The capture ends in the call: the last media comes %s before its end",
                       view_seconds_text(v, v->file_last - v->media_last));
}

bool
rule_seen_twice(const view *v, finding *out)
{
    finding_add_frame(out, v->all.first_twice);
    return ft_call_points(v->call) > 1 &&
           finding_say(v, out,
                       "%u packets of the call are in the capture twice: as at a mirror "
                       "port, or at two places on their way",
                       v->call->twice);
}

bool
rule_one_direction(const view *v, finding *out)
{
    finding_add_frame(out, v->call->first_frame);
    return v->one_direction &&
           finding_say(
               v, out,
               "All %u packets of the call go one way: what the other way had can't be told",
               v->all.packets);
}
