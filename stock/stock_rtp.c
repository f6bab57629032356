/* stock/stock_rtp.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stock/stock_rtp.h"
#include "calls/limits.h"
#include "calls/media.h"

#include <epan/conversation.h>
#include <epan/dissectors/packet-rtcp.h>
#include <epan/dissectors/packet-rtp.h>
#include <epan/exceptions.h>
#include <epan/proto_data.h>
#include <epan/show_exception.h>
#include <epan/to_str.h>

static int proto = -1;              /* facetime_rtp */
static int proto_stock_rtp = -1;

dissector_handle_t stock_rtp_handle, stock_rtcp_handle;

/* What follows the header is ciphertext: no stock codec shall read it. Key id and tag are not
 * stock's to show. */
static struct srtp_info encrypted = { .encryption_algorithm = SRTP_ENC_ALG_AES_CM };

static void
add_codec(const ft_codec *codec, void *user)
{
    ws_rtp_dyn_payload_insert((rtp_dyn_payload_t *)user, codec->payload_type, codec->name,
                              (int)codec->clock_rate);
}

/* Stock RTP and RTCP keep what they know of media in a conversation that they look up by network
 * address and ports, with a wildcard for the far end. For UDP such a conversation would take in
 * other 5-tuples too: its stream numbers would differ between passes, and stock SDP's entries
 * (addresses behind NAT, other channels) would get in the way. So media of each way has names of
 * its own in the place of addresses: a text that stock RTCP shows to people (RTP shows none),
 * then what tells ways apart. */
typedef struct {
    address address;
    char    text[WS_INET6_ADDRSTRLEN + sizeof(uint16_t) + 2 * sizeof(ws_in6_addr)];
} end_name;

static char *
append_bytes(char *to, const void *bytes, int length)
{
    const size_t size = (size_t)CLAMP(length, 0, 16);

    return size ? (char *)memcpy(to, bytes, size) + size : to;
}

/* The end `host` of the way to `other` over this channel. */
static void
name_end(end_name *name, const address *host, const address *other, uint16_t channel, bool readable)
{
    name->text[0] = '\0';
    if (readable)
        address_to_str_buf(host, name->text, WS_INET6_ADDRSTRLEN);
    char *end = name->text + strlen(name->text) + 1;
    end = append_bytes(end, &channel, sizeof channel);
    end = append_bytes(end, host->data, host->len);
    end = append_bytes(end, other->data, other->len);
    set_address(&name->address, AT_STRINGZ, (int)(end - name->text), name->text);
}

/* Both ends' names of a packet. Those of the latest ways between IPv4 addresses are kept: they are
 * what their key says, in any file. */
typedef struct {
    uint32_t source, destination;
    uint16_t channel;
    bool     readable, is_made;
} way_key;

typedef struct {
    way_key  key;
    end_name of_source, of_destination;
} way_names;

#define LATEST_WAYS 8

static const way_names *
names_of(const packet_info *pinfo, uint16_t channel, bool readable)
{
    static way_names latest[LATEST_WAYS], other;
    const address *source = &pinfo->net_src, *destination = &pinfo->net_dst;
    const bool is_kept = source->type == AT_IPv4 && destination->type == AT_IPv4;
    way_key key = { .channel = channel, .readable = readable, .is_made = true };

    if (is_kept) {
        memcpy(&key.source, source->data, sizeof key.source);
        memcpy(&key.destination, destination->data, sizeof key.destination);
    }
    const uint32_t slot = (key.source + 3 * key.destination + channel + readable) % LATEST_WAYS;
    way_names *names = is_kept ? &latest[slot] : &other;
    if (is_kept && memcmp(&names->key, &key, sizeof key) == 0)
        return names;
    names->key = key;
    name_end(&names->of_source, source, destination, channel, readable);
    name_end(&names->of_destination, destination, source, channel, readable);
    return names;
}

static uint16_t
channel_of(const ft_packet *packet)
{
    return packet->leg ? packet->leg->channel : 0;
}

/* The frame that stock names as the set-up. Telephony > VoIP Calls shows a stream with the call
 * that has this frame: an SDP, or the beginning of a call without one. 0 where neither is known. */
static uint32_t
setup_frame_of(const ft_packet *packet, uint32_t sdp_frame)
{
    if (sdp_frame)
        return sdp_frame;
    return packet->call ? packet->call->first_frame : 0;
}

/* What stock RTP and RTCP shall know of packets to `host`. */
static void
set_up_end(packet_info *pinfo, const ft_packet *packet, const address *host, uint32_t port,
           const address *other, uint32_t other_port, uint32_t sdp_frame, rtp_dyn_payload_t *codecs)
{
    const uint32_t known_frame = ft_frame_number(setup_frame_of(packet, sdp_frame));
    const uint32_t setup_frame = known_frame ? known_frame : pinfo->num;
    const char *method = sdp_frame ? "SDP" : "FaceTime";
    end_name name;

    name_end(&name, host, other, channel_of(packet), false);
    srtp_add_address(pinfo, PT_UDP, &name.address, (int)port, (int)other_port, method, setup_frame,
                     RTP_MEDIA_AUDIO | RTP_MEDIA_VIDEO, codecs, &encrypted, NULL);
    name_end(&name, host, other, channel_of(packet), true);
    rtcp_add_address(pinfo, &name.address, (int)port, (int)other_port, method, setup_frame);
}

/* True where stock RTP knows packets like this one. */
static bool
is_set_up(packet_info *pinfo, const ft_packet *packet)
{
    end_name name;

    name_end(&name, &pinfo->net_dst, &pinfo->net_src, channel_of(packet), false);
    return find_conversation(pinfo->num, &name.address, NULL, CONVERSATION_UDP, pinfo->destport,
                             pinfo->srcport, NO_ADDR_B) != NULL;
}

static unsigned set_up_total;
static wmem_map_t *codec_tables; /* newest SDP and generation -> rtp_dyn_payload_t */

/* The codecs that stock RTP is told of. Each packet that stock RTP has seen points to its table
 * without counting as a reference, so a table must live as long as the file: it does, since this
 * reference to it is never given back. */
static rtp_dyn_payload_t *
codecs_as_of(packet_info *pinfo, const ft_packet *packet, uint32_t sdp_frame)
{
    const void *key = GSIZE_TO_POINTER((size_t)sdp_frame << 2 | packet->generation);
    rtp_dyn_payload_t *codecs = (rtp_dyn_payload_t *)wmem_map_lookup(codec_tables, key);

    if (!codecs) {
        codecs = rtp_dyn_payload_new();
        ft_media_codecs(pinfo, add_codec, codecs);
        wmem_map_insert(codec_tables, key, codecs);
    }
    return codecs;
}

/* Sets up stock RTP and RTCP for both ends of the packet: once for each way and SDP. First pass.
 * sdp_frame: of the packet's payload type, 0 if no SDP named it. */
void
stock_set_up_media(packet_info *pinfo, ft_packet *packet, uint32_t sdp_frame)
{
    ft_leg *leg = packet->leg;

    if (!ft_learning(pinfo))
        return;
    if (leg ? leg->media_config != 0 && setup_frame_of(packet, sdp_frame) <= leg->media_config
            : is_set_up(pinfo, packet))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_MEDIA_SETUPS, set_up_total))
        return;
    set_up_total++;

    sdp_frame = ft_media_newest_sdp(pinfo);
    rtp_dyn_payload_t *codecs = codecs_as_of(pinfo, packet, sdp_frame);
    set_up_end(pinfo, packet, &pinfo->net_dst, pinfo->destport, &pinfo->net_src, pinfo->srcport,
               sdp_frame, codecs);
    set_up_end(pinfo, packet, &pinfo->net_src, pinfo->srcport, &pinfo->net_dst, pinfo->destport,
               sdp_frame, codecs);
    if (leg)
        leg->media_config = MAX(setup_frame_of(packet, sdp_frame), 1);
}

/* Stock RTP keeps what it found out about a packet with the frame, under its only key: it would
 * take a datagram's further packets for the first. Theirs is kept here, and put in the first
 * one's place while they are shown. */
#define STOCK_KEY     0
#define CHAINED_STOCK 0x80000000u /* of our own keys, with the packet's offset */

static void *
exchange_stock(packet_info *pinfo, void *data)
{
    void *before = p_get_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY);

    p_remove_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY);
    if (data)
        p_add_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY, data);
    return before;
}

/* The frame's first packet of media, nearly always its only one. */
static inline bool
is_first(const ft_packet *packet)
{
    return packet->part == 0 && packet->ssrc_count <= 1;
}

/* What is to be put back after stock has had this packet; NULL for the first one of a datagram.
 * Both are kept out of line: their variables are none of the guard's around stock. */
static G_GNUC_NO_INLINE void *
set_first_aside(packet_info *pinfo, tvbuff_t *tvb)
{
    const uint32_t key = CHAINED_STOCK | (uint32_t)tvb_raw_offset(tvb);
    void *own = p_get_proto_data(wmem_file_scope(), pinfo, proto, key);

    if (!own && !(ft_learning(pinfo) &&
                  p_get_proto_data(wmem_file_scope(), pinfo, proto_stock_rtp, STOCK_KEY)))
        return NULL;
    return exchange_stock(pinfo, own);
}

static G_GNUC_NO_INLINE void
put_first_back(packet_info *pinfo, tvbuff_t *tvb, void *first)
{
    const uint32_t key = CHAINED_STOCK | (uint32_t)tvb_raw_offset(tvb);
    void *own = exchange_stock(pinfo, first);

    if (own && ft_learning(pinfo))
        p_add_proto_data(wmem_file_scope(), pinfo, proto, key, own);
}

/* Stock's part of the packet, between the ends' names. What it throws ends its part only. FEC
 * parity packets aren't tapped: they repeat the sequence number of a source packet, and would
 * count in stock's streams as packets more than were sent. Stock taps nothing, and leaves the
 * columns alone, where an error report quotes a packet: that is what it is told here. */
void
stock_rtp_call(dissector_handle_t handle, tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
           const ft_packet *packet, bool tapped)
{
    const address source = pinfo->net_src, destination = pinfo->net_dst;
    const way_names *names = names_of(pinfo, channel_of(packet), handle == stock_rtcp_handle);

    pinfo->net_src = names->of_source.address;
    pinfo->net_dst = names->of_destination.address;
    pinfo->flags.in_error_pkt = !tapped;
    void *first =
        handle == stock_rtp_handle && !is_first(packet) ? set_first_aside(pinfo, tvb) : NULL;
    TRY {
        call_dissector_only(handle, tvb, pinfo, tree, NULL);
    }
    CATCH_BOUNDS_ERRORS {
        show_exception(tvb, pinfo, tree, EXCEPT_CODE, GET_MESSAGE);
    }
    FINALLY {
        if (first)
            put_first_back(pinfo, tvb, first);
        pinfo->flags.in_error_pkt = false;
        pinfo->net_src = source;
        pinfo->net_dst = destination;
    }
    ENDTRY;
}

static void
reset(void)
{
    set_up_total = 0;
}

void
stock_rtp_init(int proto_facetime_rtp)
{
    proto = proto_facetime_rtp;
    codec_tables = ft_new_map(g_direct_hash, g_direct_equal);
    register_init_routine(reset);
}

void
stock_rtp_handoff(void)
{
    stock_rtp_handle = find_dissector_add_dependency("rtp", proto);
    stock_rtcp_handle = find_dissector_add_dependency("rtcp", proto);
    proto_stock_rtp = proto_get_id_by_filter_name("rtp");
}
