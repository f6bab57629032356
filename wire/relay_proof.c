/* wire/relay_proof.c
 *
 *    a body that shows itself to be whole                        one packet proves
 *    media that goes on with a call's, elsewhere                 one
 *    a control message with its state, between FaceTime's ports  one
 *    a link message's head, where the capture cut the rest       one, on a relay's port
 *    a cut packet, or a body of none, with a token that repeats  TOKENS_NEEDED prove, on a relay's
 *                                                                port
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/relay_proof.h"
#include "calls/evidence.h"
#include "calls/trailer.h"
#include "wire/rtp_proof.h"
#include "wire/relay_chain.h"
#include "wire/stun_message.h"

#define SHORTEST_CONTROL 25

/* Headers that bring next to nothing, which random bytes hardly do. */
#define PLAIN_FLAGS (FLAG_LINK | FLAG_UNFILTERED | FLAG_COUNTED | FLAG_PRIORITY)

/* The key id's trailer, and besides it the stream id or FaceTime's extension. Audio of 2023
 * between links may have neither: there ports and a plain header do. Else, or where no word ends
 * the packet, several packets must agree. */
static bool
proves_rtp(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, int length,
           bool ports_agree)
{
    tvbuff_t *body = tvb_new_subset_length(tvb, header->end, length);
    const datagram seen = datagram_of(body);
    ft_generation generation = FT_MODERN;
    ft_rtp_look look;

    if (!rtp_look_at(&seen, &look) || !look.is_plain || !look.trailer.length)
        return false;
    if (rtp_continues_call(body, pinfo, &generation) && generation == FT_MODERN)
        return true;
    if (look.trailer.form == FT_TRAILER_TAGGED)
        return look.extension_fits && look.version == 2 &&
               ft_trailer_agrees(pinfo, &look.fixed, look.trailer.short_mki, true);
    if (look.trailer.form == FT_TRAILER_GROUP && !ft_mki_is_fresh(look.trailer.short_mki))
        return false;

    if (relay_names_ssrc(tvb, header, look.fixed.ssrc))
        return true;
    if (look.extension_fits ||
        (look.trailer.form == FT_TRAILER_UUID && ports_agree && !(header->flags & ~PLAIN_FLAGS)))
        return true;
    return ft_trailer_agrees(pinfo, &look.fixed, look.trailer.short_mki, false);
}

static bool
proves_body(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, int length)
{
    const bool ports_agree =
        (ft_is_device_port(pinfo->srcport) && ft_is_server_port(pinfo->destport)) ||
        (ft_is_server_port(pinfo->srcport) && ft_is_device_port(pinfo->destport));

    switch (relay_classify_body(tvb, header, length)) {
    case BODY_LINK:
        return relay_proves_link(tvb, header->end, length);
    case BODY_HBH:
        return relay_proves_hbh(tvb, header->end, length);
    case BODY_RTP:
        return proves_rtp(tvb, pinfo, header, length, ports_agree);
    case BODY_CONTROL: /* 25 bytes is the shortest of 139, an acknowledgement */
        return ports_agree && length >= SHORTEST_CONTROL &&
               (header->attributes & FT_RELAY_ATTR_STATE);
    case BODY_EMPTY: /* 0241: a device's counter; 0600: a relay's report */
        return ports_agree && (header->flags == (FLAG_COUNTER | FLAG_COUNTED | FLAG_STREAM) ||
                               header->flags == (FLAG_STATS | FLAG_COUNTER));
    default:
        return false;
    }
}

/* Of several packets, all must be whole (of more than are taken apart, those that are), and one of
 * them prove the flow. A control message has too little to show for a form that no capture of
 * ours has. */
static bool
proves_chain(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header)
{
    const int end = (int)tvb_reported_length(tvb);
    relay_chain chain;

    relay_parse_chain(tvb, header, end, &chain);
    if (chain.count < 2 || (chain.rest != end && chain.count < FT_MAX_CHAIN) ||
        relay_grade_reading(tvb, header, end) != GRADE_SURE)
        return false;
    for (unsigned i = 0; i < chain.count; i++) {
        const chain_packet *packet = &chain.packets[i];
        if (relay_classify_body(tvb, &packet->header, packet->length) != BODY_CONTROL &&
            proves_body(tvb, pinfo, &packet->header, packet->length))
            return true;
    }
    return false;
}

/* What a sender says again and again, and others' packets of this look don't: the participant,
 * the SSRC, the key id; of a packet that the capture cut before them, the stream or the link.
 * 0 where the packet has none of them, or its capture doesn't. */
#define TOKENS_NEEDED 3

/* Not with attributes: media in others' channels would have its first timestamps here. */
static uint64_t
token_of_header(tvbuff_t *tvb, const relay_header *header)
{
    if (tvb_captured_length(tvb) == tvb_reported_length(tvb) || (header->flags & FLAG_ATTR))
        return 0;
    if (header->offset[FIELD_STREAM])
        return (uint64_t)1 << 32 | relay_value_of(tvb, header, FIELD_STREAM);
    if (header->offset[FIELD_LINK])
        return (uint64_t)2 << 32 | relay_value_of(tvb, header, FIELD_LINK);
    return 0;
}

static uint64_t
repeated_token(tvbuff_t *tvb, const relay_header *header, relay_body body)
{
    const int participant = header->offset[FIELD_PARTICIPANT];

    if (body == BODY_CONTROL && tvb_captured_length_remaining(tvb, header->end) >= CONTROL_HEADER)
        return tvb_get_ntoh64(tvb, header->end + 2);
    if (participant)
        return tvb_get_ntoh64(tvb, participant);
    if (body == BODY_RTP && tvb_captured_length_remaining(tvb, header->end) >= RTP_HEADER)
        return tvb_get_ntohl(tvb, header->end + 8);
    return token_of_header(tvb, header);
}

/* A packet that the capture cut, or whose body doesn't prove: the header parses as far as it
 * goes, on a relay's port, and several of the direction have a token in common. */
static bool
proves_in_number(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, relay_body body)
{
    if (!ft_is_server_port(pinfo->srcport) && !ft_is_server_port(pinfo->destport))
        return false;

    const uint64_t token = repeated_token(tvb, header, body);
    return token != 0 && ft_evidence_agrees(pinfo, token, TOKENS_NEEDED);
}

/* Command, the length that the header leaves it, 16 zeros: as much as the capture kept. */
static bool
proves_cut_link(tvbuff_t *tvb, packet_info *pinfo, const relay_header *header, int length)
{
    return (ft_is_server_port(pinfo->srcport) || ft_is_server_port(pinfo->destport)) &&
           stun_is_link_message(tvb_new_subset_length(tvb, header->end, length));
}

static bool
is_seen_form(const relay_header *header)
{
    return !(header->flags & (FLAG_LINKS | FLAG_UNKNOWN)) && !(header->attributes & ~KNOWN_ATTRS);
}

/* Only forms that captures have shown prove anything. */
bool
relay_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const unsigned length = tvb_reported_length(tvb), captured = tvb_captured_length(tvb);
    relay_header header;

    if (captured < RELAY_FIXED_HEADER || !ft_is_relay_channel(tvb_get_ntohs(tvb, 0)) ||
        tvb_get_ntohs(tvb, 2) != length - RELAY_CHANNEL_HEADER)
        return false;

    const bool whole = relay_parse_header(tvb, (int)length, 0, &header);
    if (!is_seen_form(&header) || (!whole && captured == length))
        return false;

    const bool is_chain = (header.flags & FLAG_LENGTH) != 0;
    if (is_chain && captured == length) {
        *generation = FT_MODERN;
        return proves_chain(tvb, pinfo, &header);
    }

    const int left = (int)length - header.end;
    const int told = is_chain && whole ? relay_length_told(tvb, &header, (int)length) : left;
    if (told > left || (is_chain && told == 0))
        return false;
    const relay_body body = whole ? relay_classify_body(tvb, &header, told) : BODY_UNKNOWN;
    if ((body == BODY_UNKNOWN || body == BODY_RTCP) && whole && (int)captured > header.end)
        return false;
    if (!(captured == length && proves_body(tvb, pinfo, &header, left)) &&
        !(body == BODY_LINK && proves_cut_link(tvb, pinfo, &header, told)) &&
        !proves_in_number(tvb, pinfo, &header, body))
        return false;
    *generation = FT_MODERN;
    return true;
}
