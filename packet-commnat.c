/* packet-commnat.c
 * CommNAT: a device's test of its NAT, with Apple's servers, before a call (docs/protocol.md,
 * 4). SNATMAP is its sibling (packet-snatmap.c).
 *
 * CommNAT, "what kind of NAT is this?" (UDP 16403 to 16384-16386)
 *
 *    0     2     4       8               12      14      16
 *   +-----+-----+-------+---------------+-------+-------+
 *   | op  | dir | token | ~IPv4         | ~port | ~0    |   big-endian, the token little-endian
 *   +-----+-----+-------+---------------+-------+-------+
 *    1 = test    request: zeros (on the wire FF); response: the mapped address
 *    2 = report  request: a word of flags where the address was
 *
 * A test asks three servers and itself. Its tokens are one random base, low 12 bits zero, XORed
 * with a constant for each of them: 0 first main port, 55555000 second main port, AAAAA000
 * cohort, FFFFF000 hairpin. The constants and 0 are closed under XOR, so any token of a test
 * names the other three. Servers may alter the low 12 bits, and may answer from another address
 * than was asked. libprotoident attests the first four bytes of test messages for 2011; the rest
 * is derived from what is public of later builds, and the report's response is inferred. The
 * eight bytes FF that end every probe are the "padding" that the 2015 report saw on port 16403.
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

void proto_register_commnat(void);
void proto_reg_handoff_commnat(void);

#define PORT_COMMNAT        16403
#define TOKEN_MASK          0xfffff000U

enum { COMMNAT_TEST = 1, COMMNAT_REPORT = 2 };
enum { COMMNAT_REQUEST = 1, COMMNAT_RESPONSE = 2 };

static int proto_commnat = -1;

/* clang-format off */
/* What a device reports of its NAT. The names are ours. */
#define COMMNAT_FLAGS(X) \
    X(hf_commnat_flags_server_silent, "server silent", "commnat.flags.server_silent", \
      FT_BOOLEAN, 32, NULL, 0x0001, "Some server never answered") \
    X(hf_commnat_flags_independent_mapping, "independent mapping", \
      "commnat.flags.independent_mapping", FT_BOOLEAN, 32, NULL, 0x0002, \
      "Mapping does not depend on the destination, and answers from other addresses arrive") \
    X(hf_commnat_flags_symmetric, "symmetric", "commnat.flags.symmetric", \
      FT_BOOLEAN, 32, NULL, 0x0004, "Mapped ports differ between servers") \
    X(hf_commnat_flags_main_ports_differ, "main ports differ", "commnat.flags.main_ports_differ", \
      FT_BOOLEAN, 32, NULL, 0x0008, "The main server's two ports see different mapped ports") \
    X(hf_commnat_flags_port_preserved, "port preserved", "commnat.flags.port_preserved", \
      FT_BOOLEAN, 32, NULL, 0x0010, "The mapped port is the device's own") \
    X(hf_commnat_flags_ports_in_order, "ports in order", "commnat.flags.ports_in_order", \
      FT_BOOLEAN, 32, NULL, 0x0020, "Mapped ports are handed out in order, one up each time") \
    X(hf_commnat_flags_no_alternate_main, "no alternate main", "commnat.flags.no_alternate_main", \
      FT_BOOLEAN, 32, NULL, 0x0040, "No answer came from the main server's other address") \
    X(hf_commnat_flags_no_alternate_cohort, "no alternate cohort", \
      "commnat.flags.no_alternate_cohort", FT_BOOLEAN, 32, NULL, 0x0080, \
      "No answer came from the cohort server's other address") \
    X(hf_commnat_flags_hairpin, "hairpin", "commnat.flags.hairpin", FT_BOOLEAN, 32, NULL, 0x0100, \
      "The NAT lets the device reach its own mapped address")

#define COMMNAT_FIELDS(X) \
    X(hf_commnat_operation, "Operation", "commnat.operation", \
      FT_UINT16, BASE_DEC, VALS(commnat_operations), 0, \
      "1 tests the NAT, 2 reports what was found") \
    X(hf_commnat_direction, "Direction", "commnat.direction", \
      FT_UINT16, BASE_DEC, VALS(commnat_directions), 0, \
      "1 in requests, 2 in responses (of a report: inferred)") \
    X(hf_commnat_token, "Token", "commnat.token", FT_UINT32, BASE_HEX, NULL, 0, \
      "Names the test and the server, or the report; little-endian on the wire. Servers may " \
      "alter the low 12 bits of a test's") \
    X(hf_commnat_ipv4, "IPv4 address", "commnat.ipv4", FT_IPv4, BASE_NONE, NULL, 0, \
      "The device's mapped address in a test response, 0.0.0.0 in a request (inversion undone)") \
    X(hf_commnat_port, "Port", "commnat.port", FT_UINT16, BASE_DEC, NULL, 0, \
      "The device's mapped UDP port in a test response, 0 in requests (inversion undone)") \
    X(hf_commnat_flags, "Flags", "commnat.flags", FT_UINT32, BASE_HEX, NULL, 0, \
      "What the device reports of its NAT (inversion undone)") \
    X(hf_commnat_reserved, "Reserved", "commnat.reserved", FT_UINT16, BASE_HEX, NULL, 0, \
      "Zero once the inversion is undone") \
    X(hf_commnat_raw, "Last eight bytes on the wire", "commnat.raw", FT_BYTES, BASE_NONE, NULL, 0, \
      "Address or flags, port and reserved bits with every bit inverted; not known in a " \
      "report's response") \
    X(hf_commnat_test, "Test", "commnat.test", FT_UINT32, BASE_HEX, NULL, 0, \
      "Token of the first request of this test in the capture: the same for all its servers") \
    X(hf_commnat_server, "Server", "commnat.server", FT_UINT8, BASE_DEC, VALS(commnat_servers), 0, \
      "Whom this token is for, where the test's first request in the capture went to main0") \
    X(hf_commnat_test_start, "Test started in", "commnat.test_start", \
      FT_FRAMENUM, BASE_NONE, NULL, 0, "The first request of this test is in this frame") \
    X(hf_commnat_response_in, "Response in", "commnat.response_in", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_RESPONSE), 0, \
      "The first response to this request (for a hairpin probe: the probe come back) is in this " \
      "frame") \
    X(hf_commnat_response_to, "Response to", "commnat.response_to", \
      FT_FRAMENUM, BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_REQUEST), 0, \
      "The first request that this answers is in this frame") \
    X(hf_commnat_time, "Time", "commnat.time", FT_RELATIVE_TIME, BASE_NONE, NULL, 0, \
      "Time from the first request to this response")

#define COMMNAT_EXPERTS(X) \
    X(ei_commnat_length, "commnat.bad_length", PI_MALFORMED, PI_ERROR, \
      "Message is not 16 bytes long") \
    X(ei_commnat_cut, "commnat.cut", PI_UNDECODED, PI_NOTE, \
      "The capture does not have the whole message") \
    X(ei_commnat_operation, "commnat.bad_operation", PI_PROTOCOL, PI_WARN, \
      "Neither test nor report") \
    X(ei_commnat_direction, "commnat.bad_direction", PI_PROTOCOL, PI_WARN, \
      "Neither request nor response") \
    X(ei_commnat_token, "commnat.bad_token", PI_PROTOCOL, PI_NOTE, \
      "Low 12 bits of a test request's token are not zero") \
    X(ei_commnat_address, "commnat.bad_address", PI_PROTOCOL, PI_NOTE, \
      "Address or port in a request, or one that no host has in a response") \
    X(ei_commnat_reserved, "commnat.bad_reserved", PI_PROTOCOL, PI_NOTE, "Reserved bits are set") \
    X(ei_commnat_flags, "commnat.bad_flags", PI_PROTOCOL, PI_NOTE, "Unknown flags are set") \
    X(ei_commnat_other_address, "commnat.other_address", PI_SEQUENCE, PI_CHAT, \
      "Answer from another address than was asked")

#define COMMNAT_TREES(X) X(ett_commnat) X(ett_commnat_flags)

COMMNAT_FIELDS(DECLARE_FIELD)
COMMNAT_FLAGS(DECLARE_FIELD)
COMMNAT_EXPERTS(DECLARE_EXPERT)
COMMNAT_TREES(DECLARE_TREE)

#define KNOWN_FLAGS (0U COMMNAT_FLAGS(FIELD_MASK))
static int *const commnat_flag_fields[] = { COMMNAT_FLAGS(FIELD_POINTER) NULL };
static const value_string commnat_flag_names[] = { COMMNAT_FLAGS(FIELD_BIT_NAME) { 0, NULL } };
/* clang-format on */

static const value_string commnat_operations[] = {
    { COMMNAT_TEST, "test" },
    { COMMNAT_REPORT, "report" },
    { 0, NULL }
};

static const value_string commnat_directions[] = {
    { COMMNAT_REQUEST, "request" },
    { COMMNAT_RESPONSE, "response" },
    { 0, NULL }
};


/* X(number, name, constant): whom a test asks */
#define COMMNAT_SERVERS(X) \
    X(0, "main0", 0x00000000U) \
    X(1, "main1", 0x55555000U) \
    X(2, "cohort", 0xaaaaa000U) \
    X(3, "hairpin", 0xfffff000U)

#define SERVER_NAME(number, name, constant) { number, name },
static const value_string commnat_servers[] = { COMMNAT_SERVERS(SERVER_NAME) { 0, NULL } };

#define SERVER_CONSTANT(number, name, constant) constant,
static const uint32_t commnat_constants[] = { COMMNAT_SERVERS(SERVER_CONSTANT) };

#define SERVER_COUNT array_length(commnat_constants)
/* main0's; main1 and cohort have the next two, a hairpin probe goes to the device's own */
#define COMMNAT_PORT 16384

static const nat_exchange_fields commnat_links = {
    &hf_commnat_response_in, &hf_commnat_response_to, &hf_commnat_time
};

/*
 * CommNAT: the tests of a file
 */

typedef struct {
    ft_endpoint device;
    /* the smallest of the test's four tokens: the same for each of them */
    uint32_t    family;
    uint32_t    base;           /* token of the first request that was seen, low 12 bits masked */
    uint32_t    first_frame;
    struct {
        ft_endpoint end;        /* where the first request went */
        uint32_t    frame;      /* of that request, 0 before */
    } asked[SERVER_COUNT];
} commnat_test;

static wmem_map_t *commnat_tests;   /* device and family of a commnat_test -> that commnat_test */

static unsigned
commnat_test_hash(const void *key)
{
    const commnat_test *test = (const commnat_test *)key;

    return add_address_to_hash(test->family ^ test->device.port, &test->device.addr);
}

static gboolean
commnat_test_equal(const void *a, const void *b)
{
    const commnat_test *x = (const commnat_test *)a, *y = (const commnat_test *)b;

    return x->family == y->family && ft_endpoint_equal(&x->device, &y->device);
}

static uint32_t
token_family(uint32_t token)
{
    uint32_t smallest = UINT32_MAX;

    for (unsigned i = 0; i < SERVER_COUNT; i++)
        smallest = MIN(smallest, (token & TOKEN_MASK) ^ commnat_constants[i]);
    return smallest;
}

/* The test as of this frame, or NULL. */
static commnat_test *
find_commnat_test(const packet_info *pinfo, const ft_endpoint *device, uint32_t token)
{
    commnat_test key;

    key.device = *device;
    key.family = token_family(token);
    commnat_test *test = (commnat_test *)wmem_map_lookup(commnat_tests, &key);

    return test && test->first_frame <= ft_frame_id(pinfo) ? test : NULL;
}

/* Whom a probe goes to, as the server's port tells; main0's probe may not have been captured. */
static unsigned
server_of_port(uint32_t port)
{
    if (port >= COMMNAT_PORT && port < COMMNAT_PORT + SERVER_COUNT - 1)
        return port - COMMNAT_PORT;
    return ft_is_server_port(port) ? 0 : SERVER_COUNT - 1;
}

static commnat_test *
new_commnat_test(packet_info *pinfo, const ft_endpoint *device, uint32_t token)
{
    if (!ft_learning(pinfo))
        return NULL;
    if (!ft_has_room(pinfo, FT_LIMIT_NAT_TESTS, wmem_map_size(commnat_tests)))
        return NULL;

    commnat_test *test = wmem_new0(wmem_file_scope(), commnat_test);
    test->device = ft_endpoint_keep(device);
    test->family = token_family(token);
    test->base = (token & TOKEN_MASK) ^ commnat_constants[server_of_port(pinfo->destport)];
    test->first_frame = ft_frame_id(pinfo);
    wmem_map_insert(commnat_tests, test, test);
    return test;
}

/* Which of commnat_servers a token of the test is for. */
static unsigned
commnat_server(const commnat_test *test, uint32_t token)
{
    unsigned server = 0;

    while (server + 1 < SERVER_COUNT &&
           (token & TOKEN_MASK) != (test->base ^ commnat_constants[server]))
        server++;
    return server;
}

/*
 * CommNAT: messages
 */

typedef struct {
    uint16_t      operation, direction;
    uint32_t      token;
    ft_endpoint   device;       /* points into pinfo */
    commnat_test *test;         /* NULL for a report, and where no request of the test was seen */
    unsigned      server;       /* in commnat_servers, where there is a test */
    /* a hairpin probe on its way back in: the answer to the one that went out */
    bool          returned;
} commnat_message;

/* The device's end is where a response goes and a request comes from; a hairpin probe comes back
 * from the device's own mapped address. */
static void
find_commnat_device(packet_info *pinfo, commnat_message *message)
{
    const ft_endpoint source = ft_source(pinfo), destination = ft_destination(pinfo);
    const bool is_request = message->direction == COMMNAT_REQUEST;

    message->device = is_request ? source : destination;
    if (message->operation != COMMNAT_TEST)
        return;
    message->test = find_commnat_test(pinfo, &message->device, message->token);
    if (!message->test && is_request) {
        message->test = find_commnat_test(pinfo, &destination, message->token);
        message->returned = message->test != NULL;
        if (message->returned)
            message->device = destination;
        else
            message->test = new_commnat_test(pinfo, &source, message->token);
    }
    if (message->test)
        message->server = commnat_server(message->test, message->token);
}

static void
learn_commnat(packet_info *pinfo, const commnat_message *message)
{
    const ft_endpoint destination = ft_destination(pinfo);
    const bool is_request = message->direction == COMMNAT_REQUEST;
    commnat_test *test = message->test;

    ft_call_prepare(pinfo, &message->device.addr);
    if (ft_learning(pinfo) && test && is_request && test->asked[message->server].frame == 0) {
        test->asked[message->server].end = ft_endpoint_keep(&destination);
        test->asked[message->server].frame = ft_frame_id(pinfo);
    }
}

/* The id of an exchange: operation, token as the servers leave it, the device's end. */
static unsigned
commnat_exchange_id(const commnat_message *message, uint8_t *id)
{
    const bool is_test = message->operation == COMMNAT_TEST;
    const uint32_t head[3] = { message->operation,
                               is_test ? message->token & TOKEN_MASK : message->token,
                               message->device.port };
    const int length = MIN(message->device.addr.len, 16);

    memcpy(id, head, sizeof head);
    if (length > 0)
        memcpy(id + sizeof head, message->device.addr.data, length);
    return (unsigned)sizeof head + length;
}

static void
link_commnat(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, const commnat_message *message)
{
    const bool is_request = message->direction == COMMNAT_REQUEST && !message->returned;
    uint8_t id[32];
    const unsigned id_length = commnat_exchange_id(message, id);
    const ft_exchange *exchange;
    bool repeated;

    if (is_request)
        exchange = ft_exchange_request(pinfo, FT_EXCHANGE_COMMNAT, id, id_length, false, &repeated);
    else
        exchange = ft_exchange_response(pinfo, FT_EXCHANGE_COMMNAT, id, id_length, &repeated);
    if (!is_request)
        ft_exchange_answered(pinfo, FT_EXCHANGE_COMMNAT, message->operation, exchange);
    nat_show_exchange(tree, tvb, pinfo, &commnat_links, exchange, is_request);
}

static void
show_commnat_test(proto_tree *tree, tvbuff_t *tvb, const commnat_message *message)
{
    const commnat_test *test = message->test;

    if (!test)
        return;
    proto_item_set_generated(proto_tree_add_uint(tree, hf_commnat_test, tvb, 4, 4, test->base));
    proto_item_set_generated(
        proto_tree_add_uint(tree, hf_commnat_server, tvb, 4, 4, message->server));
    ft_show_frame(tree, hf_commnat_test_start, tvb, 0, 0, test->first_frame);
}

/* An answer from another address than was asked tells the device what its NAT lets in: the test
 * counts those.
 * */
static void
note_other_address(packet_info *pinfo, proto_item *item, const commnat_message *message)
{
    const ft_endpoint source = ft_source(pinfo);
    const commnat_test *test = message->test;

    if (test && message->direction == COMMNAT_RESPONSE && test->asked[message->server].frame != 0 &&
        test->asked[message->server].frame < ft_frame_id(pinfo) &&
        !ft_endpoint_equal(&source, &test->asked[message->server].end))
        expert_add_info(pinfo, item, &ei_commnat_other_address);
}

static void
dissect_commnat_reserved(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
    const uint16_t reserved = (uint16_t)~tvb_get_ntohs(tvb, 14);
    proto_item *item = proto_tree_add_uint(tree, hf_commnat_reserved, tvb, 14, 2, reserved);

    if (reserved != 0)
        expert_add_info(pinfo, item, &ei_commnat_reserved);
}

static ipv4_port
dissect_commnat_address(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, bool is_response)
{
    const ipv4_port clear = nat_read_address(tvb, 8, true);

    proto_item *item = proto_tree_add_ipv4(tree, hf_commnat_ipv4, tvb, 8, 4, clear.ipv4);
    proto_tree_add_uint(tree, hf_commnat_port, tvb, 12, 2, clear.port);
    if (is_response ? !nat_is_host_address(&clear) : clear.ipv4 != 0 || clear.port != 0)
        expert_add_info(pinfo, item, &ei_commnat_address);
    return clear;
}

static void
dissect_commnat_test(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                     const commnat_message *message)
{
    const bool is_response = message->direction == COMMNAT_RESPONSE;
    const ipv4_port clear = dissect_commnat_address(tvb, pinfo, tree, is_response);

    if (is_response && nat_is_host_address(&clear))
        ft_nat_test_learn(pinfo, (ft_nat_told){ .what = FT_NAT_COMMNAT,
                                                .device = message->device,
                                                .mapped = nat_endpoint(&clear) });
    show_commnat_test(tree, tvb, message);
    note_other_address(pinfo, tree, message);
    col_add_fstr(pinfo->cinfo, COL_INFO, "Test %s, token 0x%08x",
                 message->returned ? "request come back"
                 : is_response     ? "response"
                                   : "request",
                 message->token);
    if (message->test)
        col_append_fstr(pinfo->cinfo, COL_INFO, " (%s)",
                        val_to_str_const(message->server, commnat_servers, "?"));
    if (is_response)
        col_append_fstr(pinfo->cinfo, COL_INFO, ": mapped to %s", nat_str(pinfo, &clear));
}

static void
list_commnat_flags(packet_info *pinfo, uint32_t flags)
{
    const char *separator = ": ";

    for (const value_string *flag = commnat_flag_names; flag->strptr; flag++) {
        if (flags & flag->value) {
            col_append_sep_str(pinfo->cinfo, COL_INFO, separator, flag->strptr);
            separator = ", ";
        }
    }
}

static void
dissect_commnat_report(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                       const ft_endpoint *device)
{
    const uint32_t flags = ~tvb_get_ntohl(tvb, 8);
    const uint16_t port = (uint16_t)~tvb_get_ntohs(tvb, 12);
    proto_item *item = proto_tree_add_bitmask_value(tree, tvb, 8, hf_commnat_flags,
                                                    ett_commnat_flags, commnat_flag_fields, flags);

    if (flags & ~KNOWN_FLAGS)
        expert_add_info(pinfo, item, &ei_commnat_flags);
    if (port != 0)
        expert_add_info(pinfo, proto_tree_add_uint(tree, hf_commnat_port, tvb, 12, 2, port),
                        &ei_commnat_address);
    ft_nat_test_learn(pinfo, (ft_nat_told){
                                 .what = FT_NAT_REPORT, .device = *device, .flags = flags });
    col_set_str(pinfo->cinfo, COL_INFO, "Report");
    list_commnat_flags(pinfo, flags);
}

static void
note_commnat_packet(packet_info *pinfo)
{
    ft_packet *packet = ft_packet_get(pinfo);

    if (packet) {
        packet->path = FT_PATH_SERVER;
        packet->generation = FT_LEGACY;
    }
}

/* What flow graph and ladder show. */
static void
name_commnat(packet_info *pinfo, const commnat_message *message)
{
    const bool answers = message->direction == COMMNAT_RESPONSE;
    ft_packet *packet = ft_packet_get(pinfo);

    if (packet)
        packet->label = message->operation == COMMNAT_TEST
                            ? answers ? "NAT test answered" : "NAT test"
                        : answers ? "NAT report answered"
                                  : "NAT report";
}

/* A whole message of a known operation and direction. What a report's answer carries behind the
 * token is not known, and the device doesn't look at it. */
static void
dissect_commnat_message(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
                        commnat_message *message)
{
    const bool is_report_response =
        message->operation == COMMNAT_REPORT && message->direction == COMMNAT_RESPONSE;

    find_commnat_device(pinfo, message);
    name_commnat(pinfo, message);
    learn_commnat(pinfo, message);
    if (message->operation == COMMNAT_TEST)
        dissect_commnat_test(tvb, pinfo, tree, message);
    else if (!is_report_response)
        dissect_commnat_report(tvb, pinfo, tree, &message->device);
    else
        col_set_str(pinfo->cinfo, COL_INFO, "Report response");
    if (!is_report_response)
        dissect_commnat_reserved(tvb, pinfo, tree);
    proto_tree_add_item(tree, hf_commnat_raw, tvb, 8, 8, ENC_NA);
    link_commnat(tvb, pinfo, tree, message);
}

static void
dissect_commnat_kind(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, commnat_message *message)
{
    uint32_t operation, direction;
    proto_item *item;

    item = proto_tree_add_item_ret_uint(tree, hf_commnat_operation, tvb, 0, 2, ENC_BIG_ENDIAN,
                                        &operation);
    if (!try_val_to_str(operation, commnat_operations))
        expert_add_info(pinfo, item, &ei_commnat_operation);
    item = proto_tree_add_item_ret_uint(tree, hf_commnat_direction, tvb, 2, 2, ENC_BIG_ENDIAN,
                                        &direction);
    if (!try_val_to_str(direction, commnat_directions))
        expert_add_info(pinfo, item, &ei_commnat_direction);
    message->operation = (uint16_t)operation;
    message->direction = (uint16_t)direction;
}

static void
dissect_commnat_token(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, commnat_message *message)
{
    proto_item *item = proto_tree_add_item_ret_uint(tree, hf_commnat_token, tvb, 4, 4,
                                                    ENC_LITTLE_ENDIAN, &message->token);

    if (message->operation == COMMNAT_TEST && message->direction == COMMNAT_REQUEST &&
        (message->token & ~TOKEN_MASK) != 0)
        expert_add_info(pinfo, item, &ei_commnat_token);
}

/* Any length; the bytes after the 16th, if any, are not ours. Returns the bytes used. */
static int
dissect_commnat(tvbuff_t *tvb, packet_info *pinfo, proto_tree *parent, void *data _U_)
{
    const unsigned used = MIN(tvb_captured_length(tvb), NAT_MESSAGE_LENGTH);
    commnat_message message = { 0 };

    col_set_str(pinfo->cinfo, COL_PROTOCOL, "CommNAT");
    col_clear(pinfo->cinfo, COL_INFO);

    proto_item *item = proto_tree_add_item(parent, proto_commnat, tvb, 0, used, ENC_NA);
    proto_tree *tree = proto_item_add_subtree(item, ett_commnat);
    nat_check_length(tvb, pinfo, item, &ei_commnat_length, &ei_commnat_cut);
    note_commnat_packet(pinfo);
    if (nat_has(tvb, 0, 4))
        dissect_commnat_kind(tvb, pinfo, tree, &message);
    if (nat_has(tvb, 4, 4))
        dissect_commnat_token(tvb, pinfo, tree, &message);
    if (used == NAT_MESSAGE_LENGTH && try_val_to_str(message.operation, commnat_operations) &&
        try_val_to_str(message.direction, commnat_directions)) {
        dissect_commnat_message(tvb, pinfo, tree, &message);
    } else {
        col_set_str(pinfo->cinfo, COL_INFO,
                    used < NAT_MESSAGE_LENGTH ? "Incomplete message" : "Unknown message");
        nat_show_rest(tvb, tree, hf_commnat_raw);
    }
    return used;
}

/* The server's end is asked and answers; the device's own port is fixed, and a hairpin probe has
 * nothing but that. */
static bool
has_commnat_ports(const packet_info *pinfo, bool is_request)
{
    const uint32_t server_port = is_request ? pinfo->destport : pinfo->srcport;

    return (server_port >= 16384 && server_port <= 16387) || pinfo->srcport == PORT_COMMNAT ||
           pinfo->destport == PORT_COMMNAT;
}

/* First four bytes, ports, and what the rest must be: zeros (inverted) in a test request, an
 * address and the reserved word in its response, known flags and zeros in a report. Of a
 * report's response only the head is known, so it has to run between the very ports. */
static bool
proves_commnat(tvbuff_t *tvb, packet_info *pinfo, ft_generation *generation)
{
    if (tvb_reported_length(tvb) != NAT_MESSAGE_LENGTH || !nat_has(tvb, 0, NAT_MESSAGE_LENGTH))
        return false;

    const unsigned operation = tvb_get_ntohs(tvb, 0), direction = tvb_get_ntohs(tvb, 2);
    const bool is_request = direction == COMMNAT_REQUEST;
    const bool is_test = operation == COMMNAT_TEST;
    const ipv4_port clear = nat_read_address(tvb, 8, true);
    const bool reserved_is_zero = tvb_get_ntohs(tvb, 14) == 0xffff;

    if (!try_val_to_str(operation, commnat_operations) ||
        !try_val_to_str(direction, commnat_directions) || !has_commnat_ports(pinfo, is_request))
        return false;
    *generation = FT_LEGACY;
    if (is_test && is_request)
        return reserved_is_zero && clear.ipv4 == 0 && clear.port == 0 &&
               (tvb_get_letohl(tvb, 4) & ~TOKEN_MASK) == 0;
    if (is_test)
        return reserved_is_zero && nat_is_host_address(&clear);
    if (is_request)
        return reserved_is_zero && clear.port == 0 && (g_ntohl(clear.ipv4) & ~KNOWN_FLAGS) == 0;
    return ft_is_server_port(pinfo->srcport) && pinfo->destport == PORT_COMMNAT;
}

/*
 * Registration
 */

void
proto_register_commnat(void)
{
    static int *ett[] = { COMMNAT_TREES(REGISTER_TREE) };
    static hf_register_info hf[] = { COMMNAT_FIELDS(REGISTER_FIELD) COMMNAT_FLAGS(REGISTER_FIELD) };
    static ei_register_info ei[] = { COMMNAT_EXPERTS(REGISTER_EXPERT) };

    proto_commnat = proto_register_protocol("Apple CommNAT", "CommNAT", "commnat");
    proto_register_field_array(proto_commnat, hf, array_length(hf));
    expert_register_field_array(expert_register_protocol(proto_commnat), ei, array_length(ei));
    register_dissector("commnat", dissect_commnat, proto_commnat);
    proto_register_subtree_array(ett, array_length(ett));
    commnat_tests = ft_new_map(commnat_test_hash, commnat_test_equal);
}

void
proto_reg_handoff_commnat(void)
{
    ft_evidence_register(FT_SHAPE_COMMNAT, proves_commnat);
    dissector_add_for_decode_as("udp.port", find_dissector("commnat"));
}
