/* wire/shape.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/shape.h"
#include "calls/relay.h"

#define MAX_SIP_METHOD 16 /* letters; the longest of the registered methods is SUBSCRIBE */

static inline unsigned
big_endian_16(const uint8_t *bytes)
{
    return bytes[0] << 8 | bytes[1];
}

static inline uint32_t
big_endian_long(const uint8_t *bytes)
{
    return (uint32_t)big_endian_16(bytes) << 16 | big_endian_16(bytes + 2);
}

static inline bool
has_exact_length(const datagram *seen, unsigned padding)
{
    return seen->length - (big_endian_16(seen->bytes + 2) + 4) <=
           padding; /* beyond the end: huge */
}

/* SNATMAP and CommNAT: by the first four bytes. */
static inline ft_shape
shape_of_nat_test(const uint8_t *bytes)
{
    switch (big_endian_long(bytes)) {
    case 1:
    case 2:
        return FT_SHAPE_SNATMAP;
    case 0x00010001:
    case 0x00010002:
    case 0x00020001:
    case 0x00020002:
        return FT_SHAPE_COMMNAT;
    }
    return FT_SHAPE_NONE;
}

static inline bool
stands_at(const datagram *seen, unsigned offset, const char *text, unsigned length)
{
    return offset + length <= seen->captured && memcmp(seen->bytes + offset, text, length) == 0;
}

/* "SIP/2.0 ", or a method in capital letters, whichever it is, and a SIP URI: "SUBSCRIBE sip:". */
static bool
is_sip(const datagram *seen)
{
    const unsigned most = MIN(seen->captured, MAX_SIP_METHOD);
    unsigned length = 0;

    while (length < most && g_ascii_isupper(seen->bytes[length]))
        length++;
    return length > 0 && (stands_at(seen, length, " sip:", 5) || stands_at(seen, 0, "SIP/2.0 ", 8));
}

/* 0x40-0x7f. In a flow that is known, a length that lies is no reason to take it for something
 * else. In modern flows
 * 40 0f is a control message (a legacy channel may have that number), and QUIC's short headers
 *     begin with 0x40-0x5f: some
 * of these have their own length in the next two bytes. */
static ft_shape
shape_of_channel(const datagram *seen, ft_generation known)
{
    const unsigned channel = big_endian_16(seen->bytes);

    if (ft_is_relay_channel((uint16_t)channel) && (known == FT_MODERN || has_exact_length(seen, 0)))
        return FT_SHAPE_QUICKRELAY;
    if (known == FT_MODERN)
        return channel == 0x400f ? FT_SHAPE_CONTROL : FT_SHAPE_QUIC;
    if (is_sip(seen))
        return FT_SHAPE_SIP;
    if (has_exact_length(seen, 3))
        return FT_SHAPE_CHANNELDATA;
    if (channel == 0x400f)
        return FT_SHAPE_CONTROL;
    /* RFC 8656: to 0x4fff */
    return known == FT_LEGACY && channel < 0x5000 ? FT_SHAPE_CHANNELDATA : FT_SHAPE_NONE;
}

/* C1, and a type that is known, or the exact size: 1, 2 and 5 are no QUIC version's first byte,
 * nor is 0 a type. In an unknown flow that is no proof. */
static inline bool
is_gamekit(const datagram *seen)
{
    const uint8_t type = seen->bytes[1];

    if (seen->bytes[0] != 0xc1 || type == 0)
        return false;
    return type == 1 || type == 2 || type == 5 || big_endian_16(seen->bytes + 2) == seen->length;
}

/* One record at least, of a version there is (RFC 6347, 4.1): content type, FE FF or FE FD,
 * epoch, number, length. */
static inline bool
is_dtls(const datagram *seen)
{
    const uint8_t *bytes = seen->bytes;

    return bytes[0] >= 20 && bytes[0] <= 25 && seen->captured >= 13 && bytes[1] == 0xfe &&
           (bytes[2] == 0xff || bytes[2] == 0xfd) && big_endian_16(bytes + 11) + 13 <= seen->length;
}

static inline bool
is_stun(const datagram *seen)
{
    return seen->captured >= 8 && (big_endian_long(seen->bytes + 4) == 0x2112a442 ||
                                   big_endian_16(seen->bytes + 2) + 20 == seen->length);
}

static inline ft_shape
shape_of_low(const datagram *seen)
{
    if (seen->length == 16)
        return shape_of_nat_test(seen->bytes);
    if (is_dtls(seen))
        return FT_SHAPE_DTLS;
    return is_stun(seen) ? FT_SHAPE_STUN : FT_SHAPE_NONE;
}

ft_shape
shape_of_datagram(const datagram *seen, ft_generation known)
{
    if (seen->captured < 4)
        return FT_SHAPE_NONE;
    switch (seen->bytes[0] >> 6) {
    case 0:
        return shape_of_low(seen);
    case 1:
        return shape_of_channel(seen, known);
    case 2:
        return (seen->bytes[1] & 0xe0) == 192 ? FT_SHAPE_RTCP : FT_SHAPE_RTP;
    }
    if (big_endian_long(seen->bytes) == 0xdeadbeef)
        return FT_SHAPE_BASEBAND;
    return is_gamekit(seen) ? FT_SHAPE_GAMEKIT : FT_SHAPE_QUIC;
}

ft_shape
shape_of(tvbuff_t *tvb, ft_generation known)
{
    const datagram seen = datagram_of(tvb);

    return shape_of_datagram(&seen, known);
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
    return captured >= 4 ? shape_of_nat_test(tvb_get_ptr(tvb, 0, 4)) : FT_SHAPE_NONE;
}

/* The QUIC connection to a relay (all 6 handshakes of the 2023 captures): version 1; the
 * client's id has no bytes, the server's has 8, the second of which is 80. Known by either end's
 * handshake and the relay's port. */
#define QUIC_IDS 5 /* offset of the destination id's length */

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
