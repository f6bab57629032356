/* fuzz/fuzz_facetime.c
 * libFuzzer target: the whole plugin in libwireshark. Each input is up to 16 datagrams
 * (input.h), dissected twice as the GUI does, in frames of their exact size.
 *
 * A file (its flows, calls, SSRCs ...) lasts for many inputs, since Wireshark takes 0.1 s to
 * begin one. Environment:
 *   FUZZ_INPUTS_PER_FILE  default 2000; 1 makes an input independent of what came before it
 *   FUZZ_LOG              where the inputs of the file in hand are written, each behind its length
 *                         (u32, big-endian):
 *                         replay_facetime reads it when a finding needs the inputs before it
 *   FUZZ_COMPARE  ends the program where the plugin's own fields on the second pass aren't those
 *                 of the first
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ws-compat.h"
#include "fuzz/input.h"

#include <epan/column-info.h>
#include <epan/column.h>
#include <epan/epan.h>
#include <epan/epan_dissect.h>
#include <epan/exceptions.h>
#include <epan/frame_data.h>
#include <epan/packet.h>
#include <epan/prefs.h>
#include <epan/proto.h>
#include <epan/tap.h>
#include <epan/tap-voip.h>
#include <epan/timestamp.h>
#include <wiretap/wtap.h>
#include <wsutil/buffer.h>
#include <wsutil/filesystem.h>
#include <wsutil/privileges.h>
#include <wsutil/wslog.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAME       (40 + 8 + 40 + 20 + MAX_PAYLOAD)
#define PROTO_ICMP      1
#define PROTO_TCP       6
#define PROTO_UDP       17
#define PORT_HTTP       80
#define SECONDS_APART   300 /* between inputs: no call of one is still running in the next */

void plugin_register(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Phones 1 and 2, a relay, a NAT test server, a NAT, a stranger, a web server. */
static const struct { uint8_t host; uint16_t port;
} ends[16] = {
    { 1, 16402 }, { 2, 16402 }, { 3, 16385 }, { 3, 16384 },     { 3, 3478 },  { 3, 3482 },
    { 1, 16393 }, { 2, 16393 }, { 1, 16394 }, { 1, 16403 },     { 2, 16403 }, { 4, 16386 },
    { 5, 40112 }, { 2, 16401 }, { 6, 5060 },  { 7, PORT_HTTP },
};

static epan_t *session;
static epan_dissect_t *without_tree, *with_tree, *with_visible_tree;
static column_info columns;
static frame_data reference;
static const frame_data *first_frame;   /* what relative times count from */
static frame_data before;
static uint32_t frames, inputs, inputs_per_file = 2000;
static nstime_t now, elapsed;
static uint32_t cumulated;
static nstime_t times[4 * MAX_DATAGRAMS];   /* of the latest frames, by number */
static FILE *log_file;
static bool compare;

/* ---- libwireshark ---- */

static const nstime_t *
time_of_frame(struct packet_provider_data *provider _U_, uint32_t frame)
{
    return frame == 1 ? &reference.abs_ts : &times[frame % G_N_ELEMENTS(times)];
}

static const struct packet_provider_funcs provider = { .get_frame_ts = time_of_frame };

static void
complain(const char *format, va_list arguments)
{
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

/* "Dissector bug" is a finding, but for the one that stock QUIC has without us: a packet that
 * became QUIC's only on the second pass fails its assertion "quic_packet". */
#if WS_AT_LEAST(4, 4)
static void
write_log(const char *domain _U_, enum ws_log_level level _U_, const char *file _U_, long line _U_,
          const char *func _U_, const char *fatal _U_, ws_log_manifest_t *when _U_,
          const char *format, va_list arguments, void *data _U_)
#else
static void
write_log(const char *domain _U_, enum ws_log_level level _U_, struct timespec when _U_,
          const char *file _U_, long line _U_, const char *func _U_, const char *format,
          va_list arguments, void *data _U_)
#endif
{
    char *text = g_strdup_vprintf(format, arguments);
    if (!text)
        return;

    const bool known =
        g_str_has_prefix(text, "Dissector bug, protocol QUIC") && strstr(text, "\"quic_packet\"");

    if (!known)
        fprintf(stderr, "%s\n", text);
    if (!known && g_str_has_prefix(text, "Dissector bug"))
        abort();
    g_free(text);
}

static tap_packet_status
use_tapped(void *data _U_, packet_info *pinfo _U_, epan_dissect_t *edt _U_, const void *tapped _U_,
           tap_flags_t flags _U_)
{
    return TAP_PACKET_DONT_REDRAW;
}

/* Each text of it must be one. */
static tap_packet_status
use_voip(void *data _U_, packet_info *pinfo _U_, epan_dissect_t *edt _U_, const void *tapped,
         tap_flags_t flags _U_)
{
    const voip_packet_info_t *told = (const voip_packet_info_t *)tapped;
    const char *const texts[] = { told->protocol_name, told->call_id,      told->from_identity,
                                  told->to_identity,   told->call_comment, told->frame_label,
                                  told->frame_comment };

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i] && strlen(texts[i]) > 100000)
            abort();
    }
    return TAP_PACKET_DONT_REDRAW;
}

static void
listen_to(const char *tap, tap_packet_cb use)
{
    static int listener[2];
    static unsigned count;
    GString *error = register_tap_listener(tap, &listener[count++], NULL, TL_REQUIRES_NOTHING, NULL,
                                           use, NULL, NULL);

    if (error) {
        fprintf(stderr, "%s: %s\n", tap, error->str);
        exit(1);
    }
}

static void
set_preference(const char *setting)
{
    char *copy = g_strdup(setting), *error = NULL;

    if (prefs_set_pref(copy, &error) != PREFS_SET_OK) {
        fprintf(stderr, "%s: %s\n", setting, error ? error : "not accepted");
        exit(1);
    }
    g_free(error);
    g_free(copy);
    prefs_apply_all();
}

/* A heuristic that matches moves to the front of its list, and on the second pass stock STUN has
 * packets from before it knew their flow: which of a list's dissectors gets a packet then is no
 * matter of ours. */
static void
leave_the_list_to_us(void)
{
    static const char *const others[] = { "turnchannel_stun", "tftp_stun", "sip_stun",
                                          "rtcp_stun" };

    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        heur_dtbl_entry_t *heuristic = find_heur_dissector_by_unique_short_name(others[i]);
        if (heuristic)
            heuristic->enabled = false;
    }
}

static void
begin_file(void)
{
    if (session) {
        epan_dissect_free(without_tree);
        epan_dissect_free(with_tree);
        epan_dissect_free(with_visible_tree);
        epan_free(session);
    }
    session = epan_new(NULL, &provider);
    without_tree = epan_dissect_new(session, false, false);
    with_tree = epan_dissect_new(session, true, false);
    with_visible_tree = epan_dissect_new(session, true, true);
    first_frame = NULL;
    frames = inputs = cumulated = 0;
    memset(&before, 0, sizeof before);
    nstime_set_zero(&elapsed);
    if (log_file)
        log_file = freopen(NULL, "wb", log_file);
}

int
LLVMFuzzerInitialize(int *argc _U_, char ***argv)
{
    const char *number = getenv("FUZZ_INPUTS_PER_FILE"), *log_name = getenv("FUZZ_LOG");

    g_setenv("XDG_CONFIG_HOME", "/nonexistent", true); /* no setting of the user's */
    g_setenv("HOME", "/nonexistent", true);
    g_setenv("WIRESHARK_DEBUG_WMEM_OVERRIDE", "simple", false);
    g_setenv("G_SLICE", "always-malloc", true);
    g_setenv("WIRESHARK_ABORT_ON_TOO_MANY_ITEMS", "1", true);
    if (number)
        inputs_per_file = (uint32_t)MAX(1, atoi(number));
    compare = getenv("FUZZ_COMPARE") != NULL;
    log_file = log_name ? fopen(log_name, "wb") : NULL;

    init_process_policies();
#if WS_AT_LEAST(4, 6)
    ws_log_init_with_writer(write_log, complain);
    g_free(configuration_init((*argv)[0]));
#else
    ws_log_init_with_writer("fuzz_facetime", write_log, complain);
    g_free(configuration_init((*argv)[0], NULL));
#endif
    timestamp_set_type(TS_RELATIVE);
    timestamp_set_precision(TS_PREC_FIXED_USEC);
    timestamp_set_seconds_type(TS_SECONDS_DEFAULT);
    wtap_init(false);
    plugin_register();
    if (!epan_init(NULL, NULL, false))
        exit(1);
    build_column_format_array(&columns, epan_load_settings()->num_cols, true);
    listen_to("facetime", use_tapped);
    listen_to("voip", use_voip);
    set_preference("ip.defragment:FALSE");
    if (compare)
        leave_the_list_to_us();
    nstime_set_zero(&now);
    now.secs = 1700000000;
    begin_file();
    return 0;
}

/* ---- frames ---- */

typedef struct {
    uint8_t *bytes; /* malloced */
    unsigned captured, reported;
    frame_data data;
} fuzz_frame;

/* This input's own network: 10.x.y instead of 10.77.0. */
static void
own_network(uint8_t *prefix)
{
    prefix[0] = 10;
    prefix[1] = (uint8_t)(inputs >> 8);
    prefix[2] = (uint8_t)inputs;
}

static void
relocate(uint8_t *payload, unsigned length)
{
    static const uint8_t cookie[3] = { 0x21, 0x12, 0xa4 };
    static const uint8_t written[3] = { 10, 77, 0 };
    uint8_t network[3];

    own_network(network);
    for (unsigned at = 0; at + 4 <= length; at++) {
        if (memcmp(payload + at, written, 3) == 0) {
            memcpy(payload + at, network, 3);
        } else if (payload[at] == (10 ^ 0x21) && payload[at + 1] == (77 ^ 0x12) &&
                   payload[at + 2] == 0xa4) {
            for (unsigned i = 0; i < 3; i++)
                payload[at + i] = network[i] ^ cookie[i];
        }
    }
}

static uint8_t *
put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *
put_address(uint8_t *at, uint8_t host, bool ipv6)
{
    uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8 };

    if (ipv6) {
        own_network(address + 12);
        address[15] = host;
        memcpy(at, address, 16);
        return at + 16;
    }
    own_network(at);
    at[3] = host;
    return at + 4;
}

static uint8_t *
put_ip(uint8_t *at, uint8_t from, uint8_t to, unsigned protocol, unsigned length, bool ipv6)
{
    if (ipv6) {
        const uint8_t head[8] = {
            0x60, 0, 0, 0, (uint8_t)(length >> 8), (uint8_t)length, (uint8_t)protocol, 64
        };
        memcpy(at, head, 8);
        at += 8;
    } else {
        const uint8_t head[12] = { 0x45,
                                   0,
                                   (uint8_t)((length + 20) >> 8),
                                   (uint8_t)(length + 20),
                                   0,
                                   0,
                                   0,
                                   0,
                                   64,
                                   (uint8_t)protocol };
        memcpy(at, head, 12);
        at += 12;
    }
    return put_address(put_address(at, from, ipv6), to, ipv6);
}

static uint8_t *
put_transport(uint8_t *at, const fuzz_datagram *datagram, uint16_t sport, uint16_t dport, bool tcp)
{
    at = put16(put16(at, sport), dport);
    if (!tcp)
        return put16(put16(at, 8U + datagram->length), 0);
    memset(at, 0, 16);
    at[8] = 5 << 4;
    at[9] = 0x18; /* PSH, ACK */
    at[10] = 0xff;
    return at + 16;
}

static void
build_frame(const fuzz_datagram *datagram, fuzz_frame *frame)
{
    const unsigned sender = datagram->ends >> 4, receiver = datagram->ends & 15;
    const bool quoted = datagram->how & HOW_QUOTED, ipv6 = (datagram->how & HOW_IPV6) && !quoted;
    const bool tcp = ends[sender].port == PORT_HTTP || ends[receiver].port == PORT_HTTP;
    const unsigned transport = (tcp ? 20 : 8) + datagram->length;
    uint8_t whole[MAX_FRAME], *at = whole;

    if (quoted) {
        at = put_ip(at, 6, ends[sender].host, PROTO_ICMP, 8 + 20 + transport, false);
        memset(at, 0, 8);
        at[0] = at[1] = 3; /* port unreachable */
        at += 8;
    }
    at = put_ip(at, ends[sender].host, ends[receiver].host, tcp ? PROTO_TCP : PROTO_UDP, transport,
                ipv6);
    at = put_transport(at, datagram, ends[sender].port, ends[receiver].port, tcp);
    if (datagram->length) {
        memcpy(at, datagram->payload, datagram->length);
        relocate(at, datagram->length);
    }
    frame->reported = frame->captured = (unsigned)(at - whole) + datagram->length;
    if (datagram->how & HOW_SNAPPED)
        frame->captured -= datagram->length / 2;
    frame->bytes = (uint8_t *)malloc(frame->captured);
    memcpy(frame->bytes, whole, frame->captured);
}

/* ---- dissecting ---- */

static void
set_up_record(wtap_rec *record, const fuzz_frame *frame)
{
#if WS_AT_LEAST(4, 6)
    wtap_rec_init(record, frame->captured);
    wtap_setup_packet_rec(record, WTAP_ENCAP_RAW_IP);
    ws_buffer_append(&record->data, frame->bytes, frame->captured);
#else
    memset(record, 0, sizeof *record);
    record->rec_type = REC_TYPE_PACKET;
    record->rec_header.packet_header.pkt_encap = WTAP_ENCAP_RAW_IP;
#endif
    record->presence_flags = WTAP_HAS_TS | WTAP_HAS_CAP_LEN;
    record->ts = now;
    record->rec_header.packet_header.caplen = frame->captured;
    record->rec_header.packet_header.len = frame->reported;
}

static wtap_rec record; /* the packet in hand points at it */

static void
run(epan_dissect_t *edt, fuzz_frame *frame, column_info *cinfo)
{
    set_up_record(&record, frame);
    record.ts = times[frame->data.num % G_N_ELEMENTS(times)];
#if WS_AT_LEAST(4, 6)
    epan_dissect_run_with_taps(edt, WTAP_FILE_TYPE_SUBTYPE_UNKNOWN, &record, &frame->data, cinfo);
#else
    epan_dissect_run_with_taps(
        edt, WTAP_FILE_TYPE_SUBTYPE_UNKNOWN, &record,
        tvb_new_real_data(frame->bytes, frame->captured, (int)frame->reported), &frame->data,
        cinfo);
#endif
    if (cinfo)
        epan_dissect_fill_in_columns(edt, false, true);
}

static void
end_run(epan_dissect_t *edt)
{
    epan_dissect_reset(edt);
#if WS_AT_LEAST(4, 6)
    wtap_rec_cleanup(&record);
#endif
}

static void
begin_frame(fuzz_frame *frame, const fuzz_datagram *datagram)
{
    const unsigned step = MIN(datagram->how & HOW_STEP, 20);
    const nstime_t passed = { ((1 << step) - 1) / 1000, (((1 << step) - 1) % 1000) * 1000000 };

    nstime_add(&now, &passed);
    set_up_record(&record, frame);
    frame_data_init(&frame->data, ++frames, &record, 0, cumulated);
    times[frames % G_N_ELEMENTS(times)] = now;
    frame_data_set_before_dissect(&frame->data, &elapsed, &first_frame, &before);
    if (frames == 1) {
        reference = frame->data;
        first_frame = &reference;
    }
    before = frame->data;
#if WS_AT_LEAST(4, 6)
    wtap_rec_cleanup(&record);
#endif
}

/* ---- the passes agree ---- */

static bool
is_own_field(const header_field_info *info)
{
    static const char *const prefixes[] = {
        "facetime", "gkstun", "snatmap", "commnat", "quickrelay", "baseband"
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (g_str_has_prefix(info->abbrev, prefixes[i]))
            return true;
    }
    return false;
}

/* Links forward are the second pass's alone: frame numbers, and the calls and events that later
 * frames tell. */
static bool
may_be_forward(const header_field_info *info)
{
    return info->type == FT_FRAMENUM || g_str_has_prefix(info->abbrev, "facetime.call") ||
           g_str_has_prefix(info->abbrev, "facetime.event");
}

static void
write_field(proto_node *node, void *data)
{
    GString *text = (GString *)data;
    const field_info *field = PNODE_FINFO(node);

    if (field && is_own_field(field->hfinfo) && !may_be_forward(field->hfinfo)) {
        char *value = proto_item_get_display_repr(NULL, node);
        g_string_append_printf(text, "%s @%d+%d: %s\n", field->hfinfo->abbrev, field->start,
                               field->length, value ? value : "");
        wmem_free(NULL, value);
    }
    if (!field || !g_str_has_prefix(field->hfinfo->abbrev, "facetime.event"))
        proto_tree_children_foreach(node, write_field, text);
}

static GString *
own_fields(epan_dissect_t *edt)
{
    GString *text = g_string_new(NULL);

    if (edt->tree)
        proto_tree_children_foreach(edt->tree, write_field, text);
    return text;
}

static void
require_same(const GString *first, const GString *second, uint32_t frame)
{
    if (strcmp(first->str, second->str) == 0)
        return;
    fprintf(stderr,
            "Frame %u of the file differs between the passes.\nFirst pass:\n%s\nSecond pass:\n%s\n",
            frame, first->str, second->str);
    abort();
}

/* ---- one input ---- */

static void
apply_flags(uint8_t flags)
{
    static uint8_t applied;

    if ((flags ^ applied) & FLAG_SHOW_PEER)
        set_preference(flags & FLAG_SHOW_PEER ? "facetime.show_peer:TRUE"
                                              : "facetime.show_peer:FALSE");
    if ((flags ^ applied) & FLAG_NO_MEDIA)
        set_preference(flags & FLAG_NO_MEDIA ? "facetime.media_without_signalling:FALSE"
                                             : "facetime.media_without_signalling:TRUE");
    applied = flags;
}

static void
log_input(const uint8_t *data, size_t size)
{
    uint8_t length[4];

    if (!log_file)
        return;
    put16(put16(length, (unsigned)(size >> 16)), (unsigned)size);
    fwrite(length, 1, sizeof length, log_file);
    fwrite(data, 1, size, log_file);
    fflush(log_file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_datagram datagrams[MAX_DATAGRAMS];
    fuzz_frame built[MAX_DATAGRAMS];
    GString *shown[MAX_DATAGRAMS] = { NULL };
    const uint8_t flags = size ? data[0] : 0;
    const unsigned count = size ? fuzz_parse(data, size, datagrams) : 0;
    column_info *cinfo = flags & FLAG_COLUMNS ? &columns : NULL;

    if (inputs >= inputs_per_file)
        begin_file();
    epan_dissect_t *tree = (flags & FLAG_VISIBLE_TREE) || compare ? with_visible_tree : with_tree;
    epan_dissect_t *edt = (flags & FLAG_NO_TREE) && !compare ? without_tree : tree;
    inputs++;
    log_input(data, size);
    apply_flags(flags);
    now.secs += SECONDS_APART;

    for (unsigned i = 0; i < count; i++) {
        build_frame(&datagrams[i], &built[i]);
        begin_frame(&built[i], &datagrams[i]);
        run(edt, &built[i], cinfo);
        if (compare)
            shown[i] = own_fields(edt);
        frame_data_set_after_dissect(&built[i].data, &cumulated);
        end_run(edt);
    }
    postseq_cleanup_all_protocols();
    for (unsigned i = 0; i < count; i++) {
        run(tree, &built[i], cinfo);
        if (compare) {
            GString *again = own_fields(tree);
            require_same(shown[i], again, built[i].data.num);
            g_string_free(again, true);
            g_string_free(shown[i], true);
        }
        end_run(tree);
        frame_data_destroy(&built[i].data);
        free(built[i].bytes);
    }
    return 0;
}
