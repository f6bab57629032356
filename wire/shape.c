/* wire/shape.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/shape.h"
#include "calls/relay.h"

#define MAX_SIP_METHOD 16 /* letters; the longest of the registered methods is SUBSCRIBE */

static bool
has_exact_length(tvbuff_t *tvb, unsigned padding)
{
    const unsigned total = tvb_reported_length(tvb);
    const unsigned told = tvb_get_ntohs(tvb, 2) + 4;

    return told <= total && total - told <= padding;
}

/* SNATMAP and CommNAT: by the first four bytes. */
static ft_shape
shape_of_nat_test(tvbuff_t *tvb)
{
    const uint32_t first = tvb_get_ntohl(tvb, 0);

    switch (first) {
    case 1: case 2:
        return FT_SHAPE_SNATMAP;
    case 0x00010001: case 0x00010002: case 0x00020001: case 0x00020002:
        return FT_SHAPE_COMMNAT;
    }
    return FT_SHAPE_NONE;
}

/* "SIP/2.0 ", or a method in capital letters, whichever it is, and a SIP URI: "SUBSCRIBE sip:". */
static bool
is_sip(tvbuff_t *tvb)
{
    const int most = MIN((int)tvb_captured_length(tvb), MAX_SIP_METHOD);
    int length = 0;

    while (length < most && g_ascii_isupper(tvb_get_uint8(tvb, length)))
        length++;
    return length > 0 &&
           (tvb_strneql(tvb, length, " sip:", 5) == 0 || tvb_strneql(tvb, 0, "SIP/2.0 ", 8) == 0);
}

/* 0x40-0x7f. In a flow that is known, a length that lies is no reason to take it for something
 * else. In modern flows
 * 40 0f is a control message (a legacy channel may have that number), and QUIC's short headers
 *     begin with 0x40-0x5f: some
 * of these have their own length in the next two bytes. */
static ft_shape
shape_of_channel(tvbuff_t *tvb, ft_generation known)
{
    const uint16_t channel = tvb_get_ntohs(tvb, 0);

    if (ft_is_relay_channel(channel) && (known == FT_MODERN || has_exact_length(tvb, 0)))
        return FT_SHAPE_QUICKRELAY;
    if (known == FT_MODERN)
        return channel == 0x400f ? FT_SHAPE_CONTROL : FT_SHAPE_QUIC;
    if (is_sip(tvb))
        return FT_SHAPE_SIP;
    if (has_exact_length(tvb, 3))
        return FT_SHAPE_CHANNELDATA;
    if (channel == 0x400f)
        return FT_SHAPE_CONTROL;
    /* RFC 8656: to 0x4fff */
    return known == FT_LEGACY && channel < 0x5000 ? FT_SHAPE_CHANNELDATA : FT_SHAPE_NONE;
}

/* C1, and a type that is known, or the exact size: 1, 2 and 5 are no QUIC version's first byte,
 * nor is 0 a type. In an unknown flow that is no proof. */
static bool
is_gamekit(tvbuff_t *tvb)
{
    const uint8_t type = tvb_get_uint8(tvb, 1);

    if (tvb_get_uint8(tvb, 0) != 0xc1 || type == 0)
        return false;
    return type == 1 || type == 2 || type == 5 || tvb_get_ntohs(tvb, 2) == tvb_reported_length(tvb);
}

/* One record at least, of a version there is (RFC 6347, 4.1): content type, FE FF or FE FD,
 * epoch, number, length. */
static bool
is_dtls(tvbuff_t *tvb)
{
    const uint8_t content = tvb_get_uint8(tvb, 0);

    if (content < 20 || content > 25 || tvb_captured_length(tvb) < 13)
        return false;
    return (tvb_get_ntohs(tvb, 1) == 0xfeff || tvb_get_ntohs(tvb, 1) == 0xfefd) &&
           tvb_get_ntohs(tvb, 11) + 13U <= tvb_reported_length(tvb);
}

static bool
is_stun(tvbuff_t *tvb)
{
    if (tvb_captured_length(tvb) < 8)
        return false;
    return tvb_get_ntohl(tvb, 4) == 0x2112a442 ||
           tvb_get_ntohs(tvb, 2) + 20U == tvb_reported_length(tvb);
}

/* known: the generation of the flow, unknown where the flow isn't claimed yet. */
ft_shape
shape_of(tvbuff_t *tvb, ft_generation known)
{
    const unsigned captured = tvb_captured_length(tvb);

    if (captured < 4)
        return FT_SHAPE_NONE;

    const uint8_t first = tvb_get_uint8(tvb, 0);
    if (first < 0x40) {
        if (tvb_reported_length(tvb) == 16)
            return shape_of_nat_test(tvb);
        if (is_dtls(tvb))
            return FT_SHAPE_DTLS;
        return is_stun(tvb) ? FT_SHAPE_STUN : FT_SHAPE_NONE;
    }
    if (first < 0x80)
        return shape_of_channel(tvb, known);
    if (first < 0xc0) {
        const uint8_t second = tvb_get_uint8(tvb, 1);
        return second >= 192 && second <= 223 ? FT_SHAPE_RTCP : FT_SHAPE_RTP;
    }
    if (tvb_get_ntohl(tvb, 0) == 0xdeadbeef)
        return FT_SHAPE_BASEBAND;
    return is_gamekit(tvb) ? FT_SHAPE_GAMEKIT : FT_SHAPE_QUIC;
}

/* Where a SNATMAP or CommNAT message claimed the flow, one that is damaged: the right length, or
 * the right head. */
ft_shape
shape_of_damaged(tvbuff_t *tvb, const ft_flow *flow)
{
    const unsigned captured = tvb_captured_length(tvb);

    if ((flow->shape != FT_SHAPE_SNATMAP && flow->shape != FT_SHAPE_COMMNAT) || captured == 0 ||
        tvb_get_uint8(tvb, 0) >= 0x40)
        return FT_SHAPE_NONE;
    if (tvb_reported_length(tvb) == 16)
        return flow->shape;
    return captured >= 4 ? shape_of_nat_test(tvb) : FT_SHAPE_NONE;
}

/* The QUIC connection to a relay (all 6 handshakes of the 2023 captures): version 1; the
 * client's id has no bytes, the server's has 8, the second of which is 80. Known by either end's
 * handshake and the relay's port. */
#define QUIC_IDS 5 /* offset of the destination id's length */

bool
is_quic_relay_port(uint32_t port)
{
    return port >= 3478 && port <= 3497;
}

static bool
is_apples(const address *addr)
{
    /* 17.0.0.0/8 is all Apple's */
    return addr->type == AT_IPv4 && *(const uint8_t *)addr->data == 17;
}

/* The first one has a random destination id of 8 bytes, no token, and at least 1200 bytes: so
 * begin others, too. Later ones go to the server's id. */
static bool
quic_client_proof(tvbuff_t *tvb, const packet_info *pinfo)
{
    if (tvb_get_uint8(tvb, QUIC_IDS) != 8 || tvb_get_uint8(tvb, QUIC_IDS + 9) != 0)
        return false;
    if ((tvb_get_uint8(tvb, 0) & 0x30) == 0x20) /* Handshake */
        return tvb_get_uint8(tvb, QUIC_IDS + 2) == 0x80;
    return tvb_get_uint8(tvb, QUIC_IDS + 10) == 0 && tvb_reported_length(tvb) >= 1200 &&
           (ft_is_device_port(pinfo->srcport) || is_apples(&pinfo->dst));
}

static bool
quic_server_proof(tvbuff_t *tvb)
{
    return tvb_get_uint8(tvb, QUIC_IDS) == 0 && tvb_get_uint8(tvb, QUIC_IDS + 1) == 8 &&
           tvb_get_uint8(tvb, QUIC_IDS + 3) == 0x80;
}

bool
quic_proves(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    const bool to_relay = is_quic_relay_port(pinfo->destport),
               from_relay = is_quic_relay_port(pinfo->srcport);

    if (!(to_relay || from_relay) || tvb_captured_length(tvb) < QUIC_IDS + 11 ||
        tvb_get_ntohl(tvb, 1) != 1 ||
        (tvb_get_uint8(tvb, 0) & 0xd0) != 0xc0) /* Initial or Handshake */
        return false;
    *generation = FT_MODERN;
    return (to_relay && quic_client_proof(tvb, pinfo)) || (from_relay && quic_server_proof(tvb));
}
