/* stock/transport.h
 * Where the datagram or segment lies that stock UDP or TCP took: stock dissectors don't hand
 * that on, so its header is looked for, first where the last one was. Asked for each frame of
 * any file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_TRANSPORT_H
#define FT_TRANSPORT_H

#include "ws-compat.h"
#include <epan/packet.h>

/* of links, tunnels, IP before the header of UDP or TCP; macOS's PKTAP alone has 108 bytes */
#define MAX_HEADERS 400
#define UDP_HEADER  8
#define TCP_HEADER  20

/* Where the header of UDP or TCP lies, and how much of its source the file has. */
typedef struct {
    tvbuff_t *tvb;
    const uint8_t *bytes;
    unsigned captured, offset;
} transport;

extern G_GNUC_INTERNAL unsigned transport_usual_offset;

/* Anywhere in place->tvb; where it was found is usual from then on. */
bool transport_search_in(transport *place, const packet_info *pinfo);

/* In what was put together of fragments, or decrypted. */
bool transport_look_elsewhere(transport *place, const packet_info *pinfo, const tvbuff_t *frame);

static inline unsigned
udp_length(const uint8_t *header)
{
    return header[4] << 8 | header[5];
}

static inline uint32_t
big_endian_32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

/* type: of the packet's ports. */
static inline bool
is_transport_at(const transport *place, const packet_info *pinfo, port_type type)
{
    const uint8_t *header = place->bytes + place->offset;

    if (place->offset + (type == PT_TCP ? TCP_HEADER : UDP_HEADER) > place->captured ||
        big_endian_32(header) != (pinfo->srcport << 16 | pinfo->destport))
        return false;
    return type == PT_TCP ? header[12] >= 5 << 4 : udp_length(header) >= UDP_HEADER;
}

/* In the frame, the header where the last one was, if the packet's ports are there and `least`
 * bytes, 4 or more; else NULL. */
static inline const uint8_t *
transport_usual(tvbuff_t *frame, const packet_info *pinfo, int least)
{
    const int offset = (int)transport_usual_offset;

    if ((int)pinfo->fd->cap_len - offset < least)
        return NULL;

    const uint8_t *header = tvb_get_ptr(frame, offset, (int)pinfo->fd->cap_len - offset);
    return big_endian_32(header) == (pinfo->srcport << 16 | pinfo->destport) ? header : NULL;
}

static inline bool
look_in(transport *place, const packet_info *pinfo, tvbuff_t *tvb)
{
    const unsigned captured = tvb_captured_length(tvb);

    *place =
        (transport){ tvb, tvb_get_ptr(tvb, 0, (int)captured), captured, transport_usual_offset };
    return is_transport_at(place, pinfo, pinfo->ptype) || transport_search_in(place, pinfo);
}

/* In the frame, else in what was put together of fragments, or decrypted. */
static inline bool
find_transport(transport *place, const packet_info *pinfo, tvbuff_t *frame)
{
    return look_in(place, pinfo, frame) || transport_look_elsewhere(place, pinfo, frame);
}

/* Where the IP packet ends that the header at `offset` is in: a trailer or FCS may follow. */
unsigned transport_end_of_ip(const transport *place, unsigned offset);

/* TCP of this 5-tuple stops gathering segments for what another dissector took for the beginning
 * of something long: TLS does so with the rest of a message. First pass. */
void transport_stop_gathering(packet_info *pinfo);

/* The payload, as long as it was sent; NULL where there is none. */
tvbuff_t *transport_payload(const transport *place, unsigned start, unsigned end);

#endif
