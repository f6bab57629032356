/* wire/turn_stream.c
 * Where the messages of TURN over TCP begin: each ends where the next one begins, so one length
 * that lies, or a segment that the capture missed, would take the rest of the direction with it.
 * A head is believed where it is STUN with its cookie, or names a channel of the flow, unless a
 * message shows itself before its end. What is no head is passed over up to where one does:
 *
 *    STUN        its cookie                            not what a channel, or an indication, holds
 *    a channel   that the flow has met so far, and     the data end, or another head stands, or
 *                where it ends                         the STUN in it ends
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/turn_stream.h"
#include "calls/relay.h"

#include <wsutil/ws_roundup.h>

#define HEAD             4
#define STUN_HEAD        8      /* with the cookie */
/* What a relay passes on are a call's datagrams: 1500 bytes, and SDP in fragments of them. */
#define MAX_TURN_MESSAGE 4096

static const uint8_t cookie[] = { 0x21, 0x12, 0xa4, 0x42 };

static inline unsigned
word(const uint8_t *bytes)
{
    return bytes[0] << 8 | bytes[1];
}

static inline bool
is_stun_head(const uint8_t *bytes)
{
    return bytes[0] < 0x40;
}

unsigned
turn_length(const uint8_t *bytes)
{
    return is_stun_head(bytes) ? 20 + word(bytes + 2) : 4 + WS_ROUNDUP_4(word(bytes + 2));
}

bool
turn_may_begin(const uint8_t *bytes, unsigned captured)
{
    if (captured == 0 || bytes[0] >= 0x80)
        return false;
    if (captured < HEAD)
        return true;
    if (turn_length(bytes) > MAX_TURN_MESSAGE)
        return false;
    if (!is_stun_head(bytes))
        return true;
    return (bytes[3] & 3) == 0 &&
           memcmp(bytes + HEAD, cookie, MIN(captured, STUN_HEAD) - HEAD) == 0;
}

/* A flow that is claimed, and the frame in which is looked. */
typedef struct {
    const ft_flow *flow;
    uint32_t       frame;
} place;

/* One that the flow has met in frames before: what this one tells, the first pass doesn't know yet.
 * The modern relay's comes on no legacy flow. */
static bool
is_known_channel(const place *here, unsigned channel)
{
    const unsigned count =
        here->flow && here->flow->legs ? wmem_array_get_count(here->flow->legs) : 0;

    if (ft_is_relay_channel((uint16_t)channel))
        return !here->flow || here->flow->generation != FT_LEGACY;
    for (unsigned i = 0; i < count; i++) {
        const ft_leg *leg = *(ft_leg *const *)wmem_array_index(here->flow->legs, i);
        if (leg->channel == channel && leg->first_frame < here->frame)
            return true;
    }
    return false;
}

/* Whether STUN or a channel of the flow begins here for all that is to be seen. */
static bool
is_head(const place *here, const uint8_t *bytes, unsigned length)
{
    if (length < HEAD || !turn_may_begin(bytes, length))
        return false;
    return is_stun_head(bytes) ? length >= STUN_HEAD : is_known_channel(here, word(bytes));
}

static bool
holds_whole_stun(const uint8_t *bytes, unsigned length)
{
    return length >= HEAD + STUN_HEAD && is_stun_head(bytes + HEAD) &&
           turn_may_begin(bytes + HEAD, length - HEAD) &&
           turn_length(bytes + HEAD) == word(bytes + 2);
}

static bool
shows_itself(const place *here, const uint8_t *bytes, unsigned length, bool must_be_whole)
{
    if (!is_head(here, bytes, length) || (must_be_whole && turn_length(bytes) > length))
        return false;
    if (is_stun_head(bytes) || holds_whole_stun(bytes, length))
        return true;

    const unsigned end = turn_length(bytes);
    return end == length || (end < length && is_head(here, bytes + end, length - end));
}

/* Send and Data indications (RFC 8656, 18.1) hold a datagram, as channels do. */
static bool
is_indication(const uint8_t *bytes)
{
    return word(bytes) == 0x0016 || word(bytes) == 0x0017;
}

/* How far it is to the next message; `most` where none shows itself before. Behind a head whose
 * length may lie, one that is whole: of one that begins a segment, and goes on in the next, TCP
 * would show the first message on the first pass only. */
static unsigned
distance_to_next(const place *here, const uint8_t *bytes, unsigned length, unsigned most,
                 bool must_be_whole)
{
    const bool is_channel = !is_stun_head(bytes);

    for (unsigned at = HEAD; at < most && at + HEAD <= length; at++) {
        const bool is_within = is_stun_head(bytes + at) &&
                               (is_channel ? at == HEAD : is_indication(bytes));
        if (!is_within && shows_itself(here, bytes + at, length - at, must_be_whole))
            return at;
    }
    return most;
}

/* A head whose message ends within the data: where another one begins, or what follows is none
 * while one shows itself before, its length lied. */
static unsigned
length_within(const place *here, const uint8_t *bytes, unsigned length)
{
    const unsigned told = turn_length(bytes);

    if (told == length || turn_may_begin(bytes + told, length - told))
        return told;
    return distance_to_next(here, bytes, length, told, true);
}

unsigned
turn_message_length(packet_info *pinfo, tvbuff_t *tvb, int offset, void *data _U_)
{
    const unsigned length = (unsigned)tvb_captured_length_remaining(tvb, offset);
    const unsigned all = (unsigned)tvb_reported_length_remaining(tvb, offset);
    const unsigned more = pinfo->can_desegment ? 0 : all; /* what is asked for */
    const uint8_t *bytes = tvb_get_ptr(tvb, offset, (int)length);
    const place here = { ft_flow_find(pinfo), ft_frame_id(pinfo) };
    const bool may_begin = turn_may_begin(bytes, length);

    if (length < HEAD || (may_begin && is_stun_head(bytes) && length < STUN_HEAD))
        return may_begin ? more : all;

    const bool begins = may_begin && (is_head(&here, bytes, length) || !here.flow ||
                                      !here.flow->legs || turn_length(bytes) == length ||
                                      holds_whole_stun(bytes, length));
    if (begins && turn_length(bytes) <= length)
        return length_within(&here, bytes, length);

    const unsigned most = MIN(length, MAX_TURN_MESSAGE);
    const unsigned next = distance_to_next(&here, bytes, length, most, begins);
    if (next < most)
        return next;
    if (begins)
        return more;
    return length > most ? most : all;
}

tvbuff_t *
turn_without_padding(tvbuff_t *tvb)
{
    const unsigned length = tvb_reported_length(tvb);

    if (tvb_captured_length(tvb) < 4 || !ft_is_relay_channel(tvb_get_ntohs(tvb, 0)))
        return tvb;
    return tvb_new_subset_length(tvb, 0, (int)MIN(length, 4U + tvb_get_ntohs(tvb, 2)));
}
