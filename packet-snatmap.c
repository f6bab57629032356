/* packet-snatmap.c
 * SNATMAP: what a device asks Apple's servers about its NAT before a call, in 16 bytes over UDP
 * (docs/protocol.md, 3). CommNAT is its sibling (packet-commnat.c).
 *
 * SNATMAP, "what is my public address?" (legacy: UDP 16402 to 16384-16387, iChat AV to 5678;
 * modern: to 3480)
 *
 *    0       4       8               12      14      16
 *   +-------+-------+---------------+-------+-------+
 *   | type  | nonce | IPv4          | port  | unused|   big-endian
 *   +-------+-------+---------------+-------+-------+
 *    1 = request      the device's own, plain
 *    2 = response     the mapped one, every bit inverted
 *
 * libprotoident's rule attests length and types for 2011; the one exchange in the cellular
 * capture of July
 * 2023 shows the layout, and STUN confirms its mapped address there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/call.h"
#include "calls/evidence.h"
#include "calls/exchange.h"
#include "calls/flow.h"
#include "calls/limits.h"
#include "calls/nat_test.h"
#include "calls/preparation.h"
#include "packet-rows.h"
#include "wire/nat_message.h"
#include <epan/expert.h>

void proto_register_snatmap(void);
void proto_reg_handoff_snatmap(void);

#define PORT_ICHAT_SNATMAP  5678    /* in Apple's list of ports; FaceTime was not seen to use it */

enum { SNATMAP_REQUEST = 1, SNATMAP_RESPONSE = 2 };

static int proto_snatmap = -1;

/* clang-format off */
#define SNATMAP_FIELDS(X) \
    X(hf_snatmap_type, "Message type", "snatmap.type", \
      FT_UINT32, BASE_DEC, VALS(snatmap_types), 0, "1 asks for the public address, 2 tells it") \
    X(hf_snatmap_nonce, "Nonce", "snatmap.nonce", FT_UINT32, BASE_HEX, NULL, 0, \
      "Random and echoed by the response. Later builds clear one top bit of it") \
    X(hf_snatmap_ipv4, "IPv4 address", "snatmap.ipv4", FT_IPv4, BASE_NONE, NULL, 0, \
      "The device's own address in a request, its public one in a response (inversion undone)") \
    X(hf_snatmap_port, "Port", "snatmap.port", FT_UINT16, BASE_DEC, NULL, 0, \
      "The device's own UDP port in a request, its public one in a response (inversion undone)") \
    X(hf_snatmap_raw, "Address and port on the wire", "snatmap.raw", FT_BYTES, BASE_NONE, NULL, 0, \
      "Plain in a request; in a response every bit is inverted, presumably so that no NAT " \
      "rewrites it") \
    X(hf_snatmap_unused, "Unused", "snatmap.unused", FT_BYTES, BASE_NONE, NULL, 0, \
      "Whatever the sender's memory held, echoed by the server (inferred)") \
    X(hf_snatmap_response_in, "Response in", "snatmap.response_in", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_RESPONSE), 0, \
      "The response to this request is in this frame") \
    X(hf_snatmap_response_to, "Response to", "snatmap.response_to", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_REQUEST), 0, \
      "The first request that this answers is in this frame") \
    X(hf_snatmap_time, "Time", "snatmap.time", FT_RELATIVE_TIME, BASE_NONE, NULL, 0, \
      "Time from the first request to this response")

#define SNATMAP_EXPERTS(X) \
    X(ei_snatmap_length, "snatmap.bad_length", PI_MALFORMED, PI_ERROR, \
      "Message is not 16 bytes long") \
    X(ei_snatmap_cut, "snatmap.cut", PI_UNDECODED, PI_NOTE, \
      "The capture does not have the whole message") \
    X(ei_snatmap_type, "snatmap.bad_type", PI_PROTOCOL, PI_WARN, "Neither request nor response") \
    X(ei_snatmap_nonce, "snatmap.bad_nonce", PI_PROTOCOL, PI_NOTE, \
      "Nonce has its top bit set at both ends") \
    X(ei_snatmap_address, "snatmap.bad_address", PI_PROTOCOL, PI_NOTE, "No host has this address")

#define SNATMAP_TREES(X) X(ett_snatmap)

SNATMAP_FIELDS(DECLARE_FIELD)
SNATMAP_EXPERTS(DECLARE_EXPERT)
SNATMAP_TREES(DECLARE_TREE)
/* clang-format on */

static const value_string snatmap_types[] = {
    { SNATMAP_REQUEST, "request" },
    { SNATMAP_RESPONSE, "response" },
    { 0, NULL }
};

static const nat_exchange_fields snatmap_links = {
    &hf_snatmap_response_in, &hf_snatmap_response_to, &hf_snatmap_time
};
/*
 * SNATMAP
 */

static bool
is_snatmap_server_port(uint32_t port)
{
    return ft_is_server_port(port) || port == PORT_ICHAT_SNATMAP;
}

/* Modern FaceTime asks on the relays' ports, 3478-3497. */
static ft_generation
snatmap_generation(uint32_t server_port)
{
    return server_port >= 3478 && server_port <= 3497 ? FT_MODERN : FT_LEGACY;
}

/* A request brings the device's own port, in clear. A response goes to such a port or, seen
 * outside of the NAT, to the very address that it tells. */
static bool
proves_snatmap(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    if (tvb_reported_length(tvb) != NAT_MESSAGE_LENGTH || !nat_has(tvb, 0, NAT_MESSAGE_LENGTH))
        return false;

    const uint32_t type = tvb_get_ntohl(tvb, 0);
    const bool is_request = type == SNATMAP_REQUEST;
    const uint32_t server_port = is_request ? pinfo->destport : pinfo->srcport;
    const ipv4_port clear = nat_read_address(tvb, 8, !is_request);

    const ft_endpoint destination = ft_destination(pinfo), told = nat_endpoint(&clear);

    if (!try_val_to_str(type, snatmap_types) || !is_snatmap_server_port(server_port) ||
        !nat_is_host_address(&clear))
        return false;
    *generation = snatmap_generation(server_port);
    if (is_request)
        return nat_is_local_port(clear.port);
    return nat_is_local_port(destination.port) || ft_endpoint_equal(&told, &destination);
}

static void
note_snatmap_packet(packet_info *pinfo, uint32_t type)
{
    const uint32_t server_port = type == SNATMAP_RESPONSE ? pinfo->srcport : pinfo->destport;
    ft_packet *packet = ft_packet_get(pinfo);

    if (!packet)
        return;
    packet->path = FT_PATH_SERVER;
    if (is_snatmap_server_port(server_port))
        packet->generation = snatmap_generation(server_port);
}

/* Both the device's own end and its mapped one are FaceTime's: a capture at the other end shows
 * the mapped one. */
static void
learn_snatmap(packet_info *pinfo, const ipv4_port *mapped)
{
    const ft_endpoint device = mapped ? ft_destination(pinfo) : ft_source(pinfo);

    ft_call_prepare(pinfo, &device.addr);
    ft_device_tested_nat(pinfo, &device);
    if (mapped && nat_is_host_address(mapped)) {
        const ft_endpoint outside = nat_endpoint(mapped);
        ft_device_tested_nat(pinfo, &outside);
        ft_nat_test_learn(
            pinfo, (ft_nat_told){ .what = FT_NAT_SNATMAP, .device = device, .mapped = outside });
    }
}

static void
link_snatmap(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool is_request)
{
    const uint32_t nonce = tvb_get_ntohl(tvb, 4);
    const uint8_t *id = (const uint8_t *)&nonce;
    const ft_exchange *exchange;
    bool repeated;

    if (is_request)
        exchange =
            ft_exchange_request(pinfo, FT_EXCHANGE_SNATMAP, id, sizeof nonce, false, &repeated);
    else
        exchange = ft_exchange_response(pinfo, FT_EXCHANGE_SNATMAP, id, sizeof nonce, &repeated);
    if (!is_request)
        ft_exchange_answered(pinfo, FT_EXCHANGE_SNATMAP, 0, exchange);
    nat_show_exchange(tree, tvb, pinfo, &snatmap_links, exchange, is_request);
}

/* The nonce was masked with 7FFFFFFF before it was written; in which byte order is not known. */
static void
dissect_snatmap_nonce(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    uint32_t nonce;
    proto_item *item =
        proto_tree_add_item_ret_uint(tree, hf_snatmap_nonce, tvb, 4, 4, ENC_BIG_ENDIAN, &nonce);

    if ((nonce & 0x80000000U) && (nonce & 0x80U))
        expert_add_info(pinfo, item, &ei_snatmap_nonce);
}

static ipv4_port
dissect_snatmap_address(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool is_response)
{
    const ipv4_port clear = nat_read_address(tvb, 8, is_response);

    proto_item *item = proto_tree_add_ipv4(tree, hf_snatmap_ipv4, tvb, 8, 4, clear.ipv4);
    proto_tree_add_uint(tree, hf_snatmap_port, tvb, 12, 2, clear.port);
    proto_tree_add_item(tree, hf_snatmap_raw, tvb, 8, 6, ENC_NA);
    if (!nat_is_host_address(&clear))
        expert_add_info(pinfo, item, &ei_snatmap_address);
    return clear;
}

/* A whole message of a known type. */
static void
dissect_snatmap_message(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, uint32_t type)
{
    const bool is_request = type == SNATMAP_REQUEST;
    const ipv4_port clear = dissect_snatmap_address(tvb, pinfo, tree, !is_request);
    const char *text = nat_str(pinfo, &clear);

    proto_tree_add_item(tree, hf_snatmap_unused, tvb, 14, 2, ENC_NA);
    learn_snatmap(pinfo, is_request ? NULL : &clear);
    link_snatmap(tvb, pinfo, tree, is_request);
    proto_item_append_text(tree, is_request ? ", request from %s" : ", response: mapped to %s",
                           text);
    if (ft_packet_get(pinfo))
        ft_packet_get(pinfo)->label = is_request ? "NAT test" : "NAT test answered";
    col_add_fstr(pinfo->cinfo, COL_INFO, is_request ? "Request from %s" : "Response: mapped to %s",
                 text);
}

/* Any length; the bytes after the 16th, if any, are not ours. Returns the bytes used. */
static int
dissect_snatmap(tvbuff_t *tvb, packet_info *pinfo, proto_tree *parent, void *data _U_)
{
    const unsigned used = MIN(tvb_captured_length(tvb), NAT_MESSAGE_LENGTH);
    uint32_t type = 0;

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "SNATMAP");
    col_clear(pinfo->cinfo, COL_INFO);

    proto_item *item = proto_tree_add_item(parent, proto_snatmap, tvb, 0, used, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_snatmap);
    nat_check_length(tvb, pinfo, item, &ei_snatmap_length, &ei_snatmap_cut);
    if (nat_has(tvb, 0, 4)) {
        item =
            proto_tree_add_item_ret_uint(tree, hf_snatmap_type, tvb, 0, 4, ENC_BIG_ENDIAN, &type);
        if (!try_val_to_str(type, snatmap_types))
            expert_add_info(pinfo, item, &ei_snatmap_type);
    }
    note_snatmap_packet(pinfo, type);
    if (nat_has(tvb, 4, 4))
        dissect_snatmap_nonce(tvb, pinfo, tree);
    if (used == NAT_MESSAGE_LENGTH && try_val_to_str(type, snatmap_types)) {
        dissect_snatmap_message(tvb, pinfo, tree, type);
    } else {
        col_set_str(pinfo->cinfo, COL_INFO,
                    used < NAT_MESSAGE_LENGTH ? "Incomplete message" : "Unknown message");
        nat_show_rest(tvb, tree, hf_snatmap_raw);
    }
    return used;
}

/*
 * Registration
 */

static void
register_snatmap(void)
{
    static hf_register_info hf[] = { SNATMAP_FIELDS(REGISTER_FIELD) };
    static ei_register_info ei[] = { SNATMAP_EXPERTS(REGISTER_EXPERT) };

    proto_snatmap = proto_register_protocol("Apple SNATMAP", "SNATMAP", "snatmap");
    proto_register_field_array(proto_snatmap, hf, array_length(hf));
    expert_register_field_array(expert_register_protocol(proto_snatmap), ei, array_length(ei));
    register_dissector("snatmap", dissect_snatmap, proto_snatmap);
}

void
proto_register_snatmap(void)
{
    static int *ett[] = { SNATMAP_TREES(REGISTER_TREE) };

    register_snatmap();
    proto_register_subtree_array(ett, array_length(ett));
}

void
proto_reg_handoff_snatmap(void)
{
    ft_evidence_register(FT_SHAPE_SNATMAP, proves_snatmap);
    dissector_add_for_decode_as("udp.port", find_dissector("snatmap"));
}
