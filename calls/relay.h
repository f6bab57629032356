/* calls/relay.h
 * What is remembered of today's relays: packet counters that their reports echo, link ids and
 * who announced them, control messages, the keys and participants that tell which flows are one
 * call, and the call's mode.
 *
 * Everything is made on the first pass, by packets of a flow (of ft_packet_get), and looked up
 * as of a frame; without a flow, or over a bound of calls/limits.h, nothing is remembered. What
 * the fields mean was counted in the captures of 2023, except where a line says unverified.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_RELAY_H
#define FT_RELAY_H

#include "calls/call.h"

/* The TURN channel number that relays speak their own header in: quickrelay's preference sets
 * it. 0x6000 in all 5797 packets of the captures; the number is said to be handed out by the
 * relay [unverified]. */
extern unsigned ft_relay_channel;

static inline bool
ft_is_relay_channel(uint16_t channel)
{
    return channel == ft_relay_channel;
}

/* Which way a packet between device and relay goes, as its ports tell: relays answer on
 * 3478-3497, and on no port of a device. Nothing else of a packet tells before its flow is
 * known, and ports answer alike on every pass. */
typedef enum { FT_DIRECTION_UNKNOWN, FT_UPLINK, FT_DOWNLINK } ft_direction;

ft_direction ft_relay_direction(const packet_info *pinfo);

/* What the relay's header says of the body behind it: the data argument of calls to
 * facetime_link, facetime_control and facetime_rtp; NULL there for a body that came without such
 * a header. It lives as long as the call. */
typedef struct {
    uint16_t attributes;
    bool     has_stream;
    bool     has_link;
    uint16_t stream;
    uint16_t link;
    bool     has_participant;
    uint8_t  participant[8];    /* who is at the far end */
} ft_relay_header;

enum {
    FT_RELAY_ATTR_HBH = 0x0001,
    FT_RELAY_ATTR_STATE = 0x0002,
    FT_RELAY_ATTR_RETRANSMITTED = 0x0004,
    FT_RELAY_ATTR_NO_RETRANSMISSION = 0x0008,
    FT_RELAY_ATTR_DOWNLINK = 0x0010,
    FT_RELAY_ATTR_LINK = 0x0020,
};

/* Radio access technology, as link messages number it (0 and 5 are seen, 9 is unverified). */
extern const value_string ft_radio_vals[];

/* An uplink packet with a counter. */
typedef struct {
    uint32_t frame;
    uint16_t counter;
    nstime_t time;
} ft_relay_sent;

/* Remembers that the packet in hand carries this counter to the relay. */
void ft_relay_count(packet_info *pinfo, uint16_t counter);

/* The newest packet before this frame, of this flow, that carried the counter; NULL if none is
 * known. */
const ft_relay_sent *ft_relay_counted(packet_info *pinfo, uint16_t counter);

/* What tells a stream's headers apart before the bytes that their bits leave open. */
typedef struct {
    unsigned bits;              /* that are open (packet-quickrelay.c) */
    uint16_t stream;            /* 0: the header names none */
    uint64_t participant;       /* the same */
} ft_relay_open;

/* A body bore out how the open bits before it were read. First pass (else a no-op). */
void ft_relay_reading_seen(packet_info *pinfo, const ft_relay_open *open, unsigned reading);

/* How they were read last, before this frame, in this direction of the flow; 0 if that isn't
 * known. */
unsigned ft_relay_reading(packet_info *pinfo, const ft_relay_open *open);

/* A link as its owner announced it (link message, TLV 21). */
typedef struct ft_relay_link {
    uint32_t frame;             /* of the announcement; set here */
    uint16_t id;
    uint16_t mtu;
    uint8_t  radio;
    bool     is_ipv6;
    bool     is_own;            /* announced by the device to the relay: its own link */
    bool     has_participant;
    uint8_t  participant[8];
} ft_relay_link;

/* Repeats of what is already known make no new record. */
void ft_relay_link_announce(packet_info *pinfo, const ft_relay_link *link);

/* As announced before this frame on this flow, else on another flow of the packet's call; NULL
 * if unknown. */
const ft_relay_link *ft_relay_link_find(packet_info *pinfo, uint16_t id);

/* "participant 959a7033b7526469, Wi-Fi, IPv4". Lives in scope. */
const char *ft_relay_link_str(wmem_allocator_t *scope, const ft_relay_link *link);

/* A control message: key id (8 bytes), counter, and a hash of its ciphertext, which tells a
 * retransmission from the message of another round of the 8-bit counter. Returns the frame of
 * the first copy if that is earlier, else 0. */
uint32_t ft_relay_control(packet_info *pinfo, const uint8_t *key_id, uint8_t counter,
                          unsigned hash);

/* An RTP packet's MKI (16 bytes): remembers its first frame, and is a clue to the call. First
 * pass (else a no-op). Cheap enough for each packet. */
void ft_relay_mki_seen(packet_info *pinfo, const uint8_t *mki);

/* A sender's key id (8 bytes, the first half of its MKI) as a clue to the call. First pass. */
void ft_relay_key(packet_info *pinfo, const uint8_t *key_id);

/* The first RTP packet whose MKI begins with these 8 bytes; 0 if none came before this frame. */
uint32_t ft_relay_mki_frame(const packet_info *pinfo, const uint8_t *key_id);

/* Whether media's body is to be learnt before its header: on a way of no call yet, or one that was
 * set up anew, or whose call has ended, addresses and links alone would join it to the last call
 * there. So would a clock that just leapt ahead. After a pause, only a sender that was heard before
 * has moved. */
bool ft_relay_waits(packet_info *pinfo);

/* An RTP packet in the relay channel: raises mode_changed when the call goes from multiway
 * (media named by stream ids) to one-to-one (media named by link ids) or back, and path_switch
 * when one direction's media moves to another link. First pass. */
void ft_relay_media(packet_info *pinfo, const ft_relay_header *header);

/* Once, when the front door is registered. */
void ft_relay_init(void);

#endif
