/* wire/turn_stream.h
 * TURN over TCP (RFC 8656, 12.5): messages one behind the other, ChannelData padded to 4 bytes.
 *
 *    |type|length|21 12 a4 42| ... |channel|length| data ... |pad|type|length|21 12 a4 42| ...
 *     20 + length                   4 + length, rounded up
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TURN_STREAM_H
#define FT_TURN_STREAM_H

#include "calls/flow.h"

/* What a message takes of the stream; bytes: 4 at least. */
unsigned turn_length(const uint8_t *bytes);

/* Whether a message may begin so, as far as the bytes go: cookie, channel, a length that a
 * datagram of a call may have. */
bool turn_may_begin(const uint8_t *bytes, unsigned captured);

/* What is no beginning by its first bytes alone: TLS, for one. */
#define TURN_LOOK 8
static inline bool
turn_is_refused(const uint8_t *bytes)
{
    return bytes[0] >= 0x80 || (bytes[0] < 0x40 && (bytes[4] != 0x21 || bytes[5] != 0x12));
}

/* In a flow that is claimed, for tcp_dissect_pdus(): the length of the message at this offset,
 * 0 where more must be seen. Where none begins, a length that lies among them, that is how far
 * it is to the next one that the bytes prove, or to the end of what is there. */
unsigned turn_message_length(packet_info *pinfo, tvbuff_t *tvb, int offset, void *data);

/* A message without what pads it, since the modern relay's packets tell their length to the
 * byte. */
tvbuff_t *turn_without_padding(tvbuff_t *tvb);

#endif
