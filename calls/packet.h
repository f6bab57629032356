/* calls/packet.h
 * What is known about the packet in hand. The front door makes one record a frame, the
 * dissectors it calls fill it in, the front door shows it as the `facetime` line. It lives as
 * long as the packet's dissection, on every pass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PACKET_H
#define FT_PACKET_H

#include "calls/frame.h"
#include "calls/limits.h"

struct ft_flow;
struct ft_leg;
struct ft_call;
struct ft_packet;
struct ft_stream;

/* Which frame's record is in hand. Asked for many times a packet, so it doesn't go through
 * pinfo's lists. */
typedef struct {
    const packet_info *pinfo;
    struct ft_packet  *packet;
} ft_packet_hand;

extern ft_packet_hand ft_hand;

#define FT_NO_PAYLOAD_TYPE 0xff
/* RTP packets of a datagram: no more are taken apart (FT_MAX_CHAIN) */
#define FT_PACKET_SSRCS    16

#define FT_CLUE_LENGTH 16
#define FT_MAX_CLUES_OF_PACKET 24

/* What a packet brings that may tell its call (calls/resolve.h). */
typedef struct {
    uint8_t bytes[FT_CLUE_LENGTH];
    uint8_t what;   /* ft_clue */
} ft_packet_clue;

/* What a packet answers, for who counts response times. */
typedef struct {
    bool     is_answer;
    uint8_t  protocol;                  /* ft_exchange_kind */
    uint16_t what;                      /* STUN's method, CommNAT's operation, ft_sip_wait */
    nstime_t took;
} ft_answer;

typedef struct ft_packet {
    uint32_t        frame;              /* id (calls/frame.h) */
    unsigned        part;               /* how many datagrams of the frame came before this one */
    /* ft_network_of(), once somebody asked */
    bool            has_network;
    uint32_t        network;
    /* of the innermost content: the last dissector to set it wins */
    ft_kind         kind;
    ft_generation   generation;
    ft_generation   shown_generation;   /* that its own bytes show, whatever 5-tuple it came on */
    ft_path         path;
    /* the 5-tuple; NULL where its memory is full (FT_MAX_FLOWS) or in an ICMP error */
    struct ft_flow *flow;
    /* the way the innermost content takes: a relay channel or the direct path; or NULL */
    struct ft_leg  *leg;
    /* behind the relay, as this message itself names it; else the leg's is shown */
    ft_endpoint     peer;
    /* the far end, public, that SIP's URIs in a relay's channel name; else AT_NONE. First pass. */
    ft_endpoint     named;
    struct ft_call *call;               /* or NULL */
    /* of an ICMP error that quotes the datagram; else AT_NONE */
    ft_endpoint     error_from, error_to;
    uint32_t        media_setup_frame;  /* the SDP that named this medium, 0 if none */
    /* STUN: FT_ATTRIBUTE_BIT() of each Apple attribute in the message */
    uint64_t        apple_attributes;
    /* RTP's, for kind rtp; FT_NO_PAYLOAD_TYPE where the header is cut */
    uint8_t         payload_type;
    ft_quic_content quic;               /* for kind quic */
    /* of the RTP packet in hand; first pass only, NULL where it isn't followed */
    struct ft_stream *stream;
    uint8_t         ssrc_count;         /* RTP packets; 0 also where the only one's header is cut */
    struct ft_record *records, *last_record; /* calls/record.h; NULL where nobody wants them */
    struct ft_said *said;               /* calls/record.h; NULL where nobody wants it */
    uint16_t        setup;              /* a bit for each ft_setup_step that the packet reaches */
    ft_answer       answer;
    const char     *label;              /* the message's name (calls/label.h), or NULL */
    /* the UDP payload; NULL for what stock dissectors show alone */
    tvbuff_t       *datagram;
    const uint8_t  *ip;                 /* of that, on the first pass (ft_ip_header()) */
    uint8_t         depth;              /* ChannelData nesting */
    bool            is_judged;          /* its call was resolved since the last clue */
    uint8_t         clue_count;
    /* the call that its request, or its allocation, is of; or NULL */
    struct ft_call *told_call;
    bool            starts;             /* of the kind that a call begins with */
    bool            renews;             /* a new connection to the relay */
    bool            begins_no_call;     /* like the relay's errors */
    /* for taps: they are called when pinfo->fd->visited is set already */
    bool            is_first_pass;
    /* the same datagram was seen at another place: nothing is learnt from it */
    bool            seen_before;
    ft_frame       *ahead;              /* first pass: of its copy that came ahead, or NULL */
    bool            ssrc_of_another;    /* RTP's SSRC was another call's before */
    nstime_t        steady;             /* ft_steady() */
    /* of the RTP packet in hand, as calls/media.h has them; first pass only */
    uint16_t        rtp_sequence;
    uint32_t        rtp_timestamp;
    uint32_t        rtp_digest;
    bool            limit_hit;          /* some bound of calls/limits.h was met in this packet */
    /* what was in hand before: a frame may have datagrams within datagrams */
    ft_packet_hand  outer;
    /* as many as are counted above; the rest is never read */
    uint32_t        ssrcs[FT_PACKET_SSRCS]; /* of the RTP packets in the datagram */
    uint8_t         payload_types[FT_PACKET_SSRCS];
    ft_packet_clue  clues[FT_MAX_CLUES_OF_PACKET];
} ft_packet;

/* The time that conclusions are drawn by: ft_now() without the faults of the capture's clock
 * (calls/steady.h). First pass: what is kept of it is no frame's time, and is never shown. */
static inline nstime_t ft_steady(const packet_info *pinfo);

/* The packet in hand follows one of that steady time without a gap: what lies between them on
 * the capture's clock did not pass. */
void ft_steady_proven(packet_info *pinfo, const nstime_t *earlier);

/* Whether the clock just leapt ahead, and nothing proved yet that time did pass. */
bool ft_steady_doubted(void);

/* Keeps the later of two steady times; one that is far ahead of now was of a stray stamp. */
void ft_steady_keep(nstime_t *latest, const nstime_t *now);

/* A bit for each attribute number from 0x8000 to 0x803f, where all of Apple's are. */
#define FT_ATTRIBUTE_BIT(type) (UINT64_C(1) << ((type) & 0x3f))

/* The bytes of the IP header before a UDP datagram, without IPv4's options; NULL where it can't be
 * found (other lower layers, fragments put together). From the bytes: most packets have no tree to
 * read from. */
const uint8_t *ft_ip_header(const packet_info *pinfo, tvbuff_t *datagram);

/* The record of the frame in hand, or NULL outside the front door. */
static inline ft_packet *
ft_packet_get(const packet_info *pinfo)
{
    return ft_hand.pinfo == pinfo ? ft_hand.packet : NULL;
}

static inline nstime_t
ft_steady(const packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return packet ? packet->steady : ft_now(pinfo);
}

/* The frame's id. Asked for many times a packet. */
static inline uint32_t
ft_frame_id(const packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return packet ? packet->frame : ft_frame_find_id(pinfo);
}

/* The flow of the packet in hand, or NULL. */
static inline struct ft_flow *
ft_flow_in_hand(const packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return packet ? packet->flow : NULL;
}

/* True on the one pass that builds state; false on later passes, inside a packet that an ICMP
 * error quotes, and for a datagram that was seen before. */
static inline bool
ft_learning(const packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return !pinfo->fd->visited && !pinfo->flags.in_error_pkt && !(packet && packet->seen_before);
}

/* Of a datagram of kind rtp: how many packets of media it holds. */
static inline unsigned
ft_packet_media_count(const ft_packet *packet)
{
    return packet->ssrc_count ? packet->ssrc_count : 1;
}

/* Once, when the front door is registered. */
void ft_packet_init(void);

/* A fresh record for this frame, in pinfo->pool. For the front door alone, which ends it on
 * every way out (FINALLY). */
ft_packet *ft_packet_begin(packet_info *pinfo);

/* Ends the record: a later datagram in the same frame begins its own. */
void ft_packet_end(const ft_packet *packet);

/* A bound of calls/limits.h was met: the packet in hand, if it has a record, carries
 * facetime.limit. */
void ft_limit_met(packet_info *pinfo, ft_limit limit);

/* The same without a word at the packet: reports alone tell it. First pass. */
void ft_limit_note(const packet_info *pinfo, ft_limit limit);

/* Whether a bound allows one more of what there are `count` of. */
bool ft_limit_allows(ft_limit limit, size_t count);

/* The same of `more` of them, or of one, for a packet: where there is no room, the bound is met
 * (ft_limit_met()). */
bool ft_has_room_for(packet_info *pinfo, ft_limit limit, size_t count, size_t more);
bool ft_has_room(packet_info *pinfo, ft_limit limit, size_t count);

/* The frame in which the bound was first met in this file; 0 where it wasn't. */
uint32_t ft_limit_frame(ft_limit limit);

/* Whether anybody may look at the fields that the protocol adds to this tree: it is shown, or a
 * filter, a column or a list of fields names one of them. Else (-R icmp, say) they aren't made. Its
 * own item is always made: protocol hierarchies count it. */
static inline bool
ft_is_wanted(proto_tree *tree, int proto)
{
    return tree && proto_field_is_referenced(tree, proto);
}

/* Calls a dissector inside a guard: an exception in it (a stock dissector on a bad or cut
 * packet) is shown where it happened and costs no more than that dissector's own part. Returns
 * the bytes used, 0 where it refused. */
int ft_call_dissector(dissector_handle_t handle, tvbuff_t *tvb, packet_info *pinfo,
                      proto_tree *tree);

#endif
