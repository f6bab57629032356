/* calls/relay.c
 * What today's relay and link messages tell, from numbers that come back later:
 *
 *    counter in a header     -> the packet that a report echoes
 *    link id announced       -> what the link is, where headers name it
 *    key id, participant id  -> flows of one call; the frame of a key's first packet
 *    which links media takes -> mode of the call, link switches
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/relay.h"
#include "calls/evidence.h"
#include "calls/limits.h"
#include "calls/resolve.h"
#include <epan/to_str.h>

/* counters that a report is looked for in: reports come 0-101 ms after theirs */
#define ECHO_WINDOW  1024
#define LINK_CHOICES 64   /* announcements of one link id that are looked through */
#define READING_WINDOW 64 /* changes of a 5-tuple that are looked through for one stream's */
#define LINKS_IN_USE 4    /* links that media of one direction may alternate between */
/* media back on a link after so long has moved again; before, it alternates */
#define LINK_IDLE_S  2

unsigned ft_relay_channel = 0x6000;

const value_string ft_radio_vals[] = {
    { 0, "Wi-Fi" }, { 5, "Cellular" }, { 9, "Wired (unverified)" }, { 0, NULL }
};

/* A relay's port is the better sign (3478-3497 by Apple's own list): a NAT maps the device's. */
ft_direction
ft_relay_direction(const packet_info *pinfo)
{
    const bool from_server = ft_is_server_port(pinfo->srcport),
               to_server = ft_is_server_port(pinfo->destport);
    const bool from_device = ft_is_device_port(pinfo->srcport),
               to_device = ft_is_device_port(pinfo->destport);

    if (from_server != to_server)
        return to_server ? FT_UPLINK : FT_DOWNLINK;
    if (from_device != to_device)
        return from_device ? FT_UPLINK : FT_DOWNLINK;
    return FT_DIRECTION_UNKNOWN;
}

/* ---- maps ---- */

/* 8 bytes and a number: keys (0) and control messages (the counter). */
typedef struct {
    uint8_t bytes[8];
    unsigned number;
} short_key;

/* A link that media of one direction uses, and when it last did. */
typedef struct {
    uint16_t id;
    uint32_t last_frame; /* 0: free */
    nstime_t last_time;
} used_link;

typedef enum { MODE_UNKNOWN, MODE_MULTIWAY, MODE_ONE_TO_ONE } call_mode;

/* As one device of the call has it. */
typedef struct {
    call_mode mode;
    call_mode of_direction[3]; /* by ft_direction */
} device_modes;

/* The call's device, and the other end where that is in the file, too. */
typedef struct { device_modes of_device[2]; } call_modes;

typedef struct {
    uint32_t frame;
    ft_direction direction;
    ft_relay_open open;
    unsigned reading;
} known_reading;

typedef struct {
    wmem_array_t *sent;               /* of ft_relay_sent, in frame order */
    wmem_array_t *readings;           /* of known_reading, in frame order: changes */
    used_link links[3][LINKS_IN_USE]; /* by ft_direction */
    used_link *current[3];
    const ft_call *links_of;
    const ft_call *call; /* whose modes these are: saves a lookup for each packet */
    call_modes *modes;
} relay_flow;

typedef struct {
    ft_relay_link link;
    const ft_flow *flow;
    const ft_call *call;
} known_link;

typedef struct control_message {
    uint32_t frame;
    unsigned hash;
    struct control_message *earlier; /* the message of an earlier round of the counter */
} control_message;

static wmem_map_t *relay_flows;    /* ft_flow -> relay_flow */
static struct {
    const ft_flow *flow;
    relay_flow *known;
} latest; /* of these: a packet asks several times */
static wmem_map_t *modes_of_calls; /* ft_call -> call_modes */
static wmem_map_t *links;          /* link id -> wmem_array_t of known_link, in frame order */
static wmem_map_t *controls;       /* short_key -> the newest control_message */
static wmem_map_t *mki_frames;     /* short_key -> the frame of its first RTP packet */
static unsigned sent_total, link_total, control_total, reading_total;

/* Keys of that map, the latest with their last byte: media says its key again and again. */
#define LATEST_MKIS 8
static short_key latest_mkis[LATEST_MKIS];

static unsigned
short_key_hash(const void *key)
{
    const short_key *k = (const short_key *)key;

    return wmem_strong_hash(k->bytes, sizeof k->bytes) ^ k->number;
}

static gboolean
short_key_equal(const void *a, const void *b)
{
    const short_key *x = (const short_key *)a;
    const short_key *y = (const short_key *)b;

    return x->number == y->number && memcmp(x->bytes, y->bytes, sizeof x->bytes) == 0;
}

static short_key
make_short_key(const uint8_t *bytes, unsigned number)
{
    short_key key = { { 0 }, number };

    memcpy(key.bytes, bytes, sizeof key.bytes);
    return key;
}

static void
reset(void)
{
    sent_total = link_total = control_total = reading_total = 0;
    latest.flow = NULL;
    memset(latest_mkis, 0, sizeof latest_mkis);
}

void
ft_relay_init(void)
{
    relay_flows = ft_new_map(g_direct_hash, g_direct_equal);
    modes_of_calls = ft_new_map(g_direct_hash, g_direct_equal);
    links = ft_new_map(g_direct_hash, g_direct_equal);
    controls = ft_new_map(short_key_hash, short_key_equal);
    mki_frames = ft_new_map(short_key_hash, short_key_equal);
    register_init_routine(reset);
}

/* The relay's part of a flow's memory: made on the first pass, so there are no more of them than
 * FT_MAX_FLOWS. */
static relay_flow *
relay_flow_of(packet_info *pinfo)
{
    ft_flow *flow = ft_flow_in_hand(pinfo);

    if (!flow || flow == latest.flow)
        return flow ? latest.known : NULL;

    relay_flow *known = (relay_flow *)wmem_map_lookup(relay_flows, flow);
    if (!known && ft_learning(pinfo)) {
        known = wmem_new0(wmem_file_scope(), relay_flow);
        wmem_map_insert(relay_flows, flow, known);
    }
    if (known) {
        latest.flow = flow;
        latest.known = known;
    }
    return known;
}

static double
seconds_since(const packet_info *pinfo, const nstime_t *then)
{
    const nstime_t now = ft_steady(pinfo);

    return ft_seconds(then, &now);
}

/* How many elements of an array in frame order come before (or_at: or at) the frame. Elements
 * begin with the frame. */
static unsigned
count_before(wmem_array_t *array, uint32_t frame, bool or_at)
{
    unsigned low = 0, high = array ? wmem_array_get_count(array) : 0;

    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        const uint32_t at = *(const uint32_t *)wmem_array_index(array, middle);
        if (at < frame || (or_at && at == frame))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- packet counters ---- */

void
ft_relay_count(packet_info *pinfo, uint16_t counter)
{
    relay_flow *flow = relay_flow_of(pinfo);
    const ft_relay_sent sent = { ft_frame_id(pinfo), counter, ft_now(pinfo) };

    if (!flow || !ft_learning(pinfo))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_RELAY_COUNTERS, sent_total))
        return;
    sent_total++;
    if (!flow->sent)
        flow->sent = wmem_array_new(wmem_file_scope(), sizeof(ft_relay_sent));
    wmem_array_append_one(flow->sent, sent);
}

/* A counter has 16 bits and steps by 1 or 2, so it comes round in a long call: the newest before
 * the report is meant. */
const ft_relay_sent *
ft_relay_counted(packet_info *pinfo, uint16_t counter)
{
    const relay_flow *flow = relay_flow_of(pinfo);
    const unsigned end = flow ? count_before(flow->sent, ft_frame_id(pinfo), false) : 0;

    for (unsigned i = end; i-- > (end > ECHO_WINDOW ? end - ECHO_WINDOW : 0);) {
        const ft_relay_sent *sent = (const ft_relay_sent *)wmem_array_index(flow->sent, i);
        if (sent->counter == counter)
            return sent;
    }
    return NULL;
}

/* ---- what headers leave open ---- */

/* The newest of the stream before (or_here: or in) this frame. */
static const known_reading *
find_reading(packet_info *pinfo, const relay_flow *flow, const ft_relay_open *open, bool or_here)
{
    const unsigned end = flow ? count_before(flow->readings, ft_frame_id(pinfo), or_here) : 0;
    const ft_direction direction = ft_relay_direction(pinfo);

    for (unsigned i = end; i-- > (end > READING_WINDOW ? end - READING_WINDOW : 0);) {
        const known_reading *known = (const known_reading *)wmem_array_index(flow->readings, i);
        if (known->direction == direction && known->open.bits == open->bits &&
            known->open.stream == open->stream && known->open.participant == open->participant)
            return known;
    }
    return NULL;
}

/* Only changes are kept: a stream's packets are all alike in this. */
void
ft_relay_reading_seen(packet_info *pinfo, const ft_relay_open *open, unsigned reading)
{
    relay_flow *flow = ft_learning(pinfo) ? relay_flow_of(pinfo) : NULL;
    const known_reading *known = find_reading(pinfo, flow, open, true);

    if (!flow || (known ? known->reading == reading : reading == 0))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_RELAY_READINGS, reading_total))
        return;
    reading_total++;
    if (!flow->readings)
        flow->readings = wmem_array_sized_new(wmem_file_scope(), sizeof(known_reading), FEW);
    wmem_array_append_one(
        flow->readings,
        ((known_reading){ ft_frame_id(pinfo), ft_relay_direction(pinfo), *open, reading }));
}

unsigned
ft_relay_reading(packet_info *pinfo, const ft_relay_open *open)
{
    const known_reading *known = find_reading(pinfo, relay_flow_of(pinfo), open, false);

    return known ? known->reading : 0;
}

/* ---- link ids ---- */

/* The call that the packet's flow was in before this frame: what the frame itself tells comes
 * too late for its header. */
static const ft_call *
call_before(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!packet || !packet->leg)
        return NULL;
    return ft_call_as_of(ft_call_of_leg(packet->leg, packet->frame - 1), packet->frame - 1);
}

/* The newest announcement of the id before (or_here: or in) this frame: of this flow, else of
 * another flow in the call. */
static const known_link *
find_link(packet_info *pinfo, uint16_t id, bool or_here)
{
    wmem_array_t *known = (wmem_array_t *)wmem_map_lookup(links, GUINT_TO_POINTER((unsigned)id));
    const unsigned end = count_before(known, ft_frame_id(pinfo), or_here);
    const ft_flow *flow = ft_flow_in_hand(pinfo);
    const ft_call *call = call_before(pinfo);
    const known_link *of_call = NULL;

    for (unsigned i = end; flow && i-- > (end > LINK_CHOICES ? end - LINK_CHOICES : 0);) {
        const known_link *candidate = (const known_link *)wmem_array_index(known, i);
        if (candidate->flow == flow)
            return candidate;
        if (!of_call && call && ft_call_as_of(candidate->call, ft_frame_id(pinfo) - 1) == call)
            of_call = candidate;
    }
    return of_call;
}

static bool
link_equal(const ft_relay_link *a, const ft_relay_link *b)
{
    return a->id == b->id && a->mtu == b->mtu && a->radio == b->radio && a->is_ipv6 == b->is_ipv6 &&
           a->is_own == b->is_own && a->has_participant == b->has_participant &&
           memcmp(a->participant, b->participant, sizeof a->participant) == 0;
}

static wmem_array_t *
announcements_of(uint16_t id)
{
    wmem_array_t *known = (wmem_array_t *)wmem_map_lookup(links, GUINT_TO_POINTER((unsigned)id));

    if (!known) {
        known = wmem_array_sized_new(wmem_file_scope(), sizeof(known_link), FEW);
        wmem_map_insert(links, GUINT_TO_POINTER((unsigned)id), known);
    }
    return known;
}

void
ft_relay_link_announce(packet_info *pinfo, const ft_relay_link *link)
{
    known_link record = { *link, ft_flow_in_hand(pinfo), NULL };

    if (!record.flow || !ft_learning(pinfo))
        return;

    const known_link *known = find_link(pinfo, link->id, true);
    if (known && known->flow == record.flow && link_equal(&known->link, link))
        return;
    if (!ft_has_room(pinfo, FT_LIMIT_RELAY_LINKS, link_total))
        return;
    link_total++;
    record.link.frame = ft_frame_id(pinfo);
    record.call = ft_call_of_packet(pinfo);
    wmem_array_append_one(announcements_of(link->id), record);
}

const ft_relay_link *
ft_relay_link_find(packet_info *pinfo, uint16_t id)
{
    const known_link *known = find_link(pinfo, id, false);

    return known ? &known->link : NULL;
}

const char *
ft_relay_link_str(wmem_allocator_t *scope, const ft_relay_link *link)
{
    const char *owner = "the far end";

    if (link->is_own)
        owner = "this device";
    else if (link->has_participant)
        owner =
            wmem_strdup_printf(scope, "participant %s",
                               bytes_to_str(scope, link->participant, sizeof link->participant));
    return wmem_strdup_printf(scope, "%s, %s, %s", owner,
                              val_to_str_const(link->radio, ft_radio_vals, "unknown radio"),
                              link->is_ipv6 ? "IPv6" : "IPv4");
}

/* ---- control messages ---- */

static void
remember_control(packet_info *pinfo, const short_key *key, control_message *newest, unsigned hash)
{
    unsigned rounds = 0;

    for (const control_message *m = newest; m; m = m->earlier)
        rounds++;
    if (!ft_has_room(pinfo, FT_LIMIT_CONTROL_MESSAGES, control_total) ||
        !ft_has_room(pinfo, FT_LIMIT_REPEATS, rounds))
        return;
    control_total++;

    control_message *message = wmem_new(wmem_file_scope(), control_message);
    *message = (control_message){ ft_frame_id(pinfo), hash, newest };
    wmem_map_insert(controls,
                    newest ? (const void *)key : wmem_memdup(wmem_file_scope(), key, sizeof *key),
                    message);
}

/* A counter of one byte comes round after 256 messages, so the ciphertext must be the same, too:
 * in the captures of 2023 repetitions are byte-identical, and each value is one ciphertext. */
uint32_t
ft_relay_control(packet_info *pinfo, const uint8_t *key_id, uint8_t counter, unsigned hash)
{
    const short_key key = make_short_key(key_id, counter);
    control_message *newest = (control_message *)wmem_map_lookup(controls, &key);
    const control_message *known = newest;

    while (known && known->frame > ft_frame_id(pinfo))
        known = known->earlier;
    if (known && known->hash == hash)
        return known->frame < ft_frame_id(pinfo) ? known->frame : 0;
    if (ft_learning(pinfo) && ft_flow_in_hand(pinfo))
        remember_control(pinfo, &key, newest, hash);
    return 0;
}

/* ---- keys ---- */

/* A key id of 2026 begins with roll and ratchet, and names its sender's participant id; a
 * ratchet is no other key (published only). One of 2023 is the head of a random UUID, whose byte
 * 6 is never zero. */
static short_key
identity_of(const uint8_t *key_id)
{
    short_key key = make_short_key(key_id, 0);

    if (key.bytes[0] == 0 && key.bytes[6] == 0)
        key.bytes[1] = 0;
    return key;
}

void
ft_relay_key(packet_info *pinfo, const uint8_t *key_id)
{
    const short_key key = identity_of(key_id);

    ft_clue_bytes(pinfo, FT_CLUE_KEY, key.bytes, sizeof key.bytes);
}

void
ft_relay_mki_seen(packet_info *pinfo, const uint8_t *mki)
{
    const short_key key = make_short_key(mki, 0);
    short_key *known = &latest_mkis[mki[sizeof key.bytes - 1] % LATEST_MKIS];

    ft_relay_key(pinfo, mki);
    if (!ft_learning(pinfo) || !ft_flow_in_hand(pinfo) || short_key_equal(known, &key))
        return;
    if (wmem_map_contains(mki_frames, &key)) {
        *known = key;
        return;
    }
    if (!ft_has_room(pinfo, FT_LIMIT_MKIS, wmem_map_size(mki_frames)))
        return;
    wmem_map_insert(mki_frames, wmem_memdup(wmem_file_scope(), &key, sizeof key),
                    GUINT_TO_POINTER(ft_frame_id(pinfo)));
}

uint32_t
ft_relay_mki_frame(const packet_info *pinfo, const uint8_t *key_id)
{
    const short_key key = make_short_key(key_id, 0);
    const uint32_t frame = GPOINTER_TO_UINT(wmem_map_lookup(mki_frames, &key));

    return frame < ft_frame_id(pinfo) ? frame : 0;
}

/* ---- media: mode and links ---- */

static device_modes *
modes_of(relay_flow *flow, const ft_call *call, bool at_other_end)
{
    if (flow->call != call) {
        flow->call = call;
        flow->modes = (call_modes *)wmem_map_lookup(modes_of_calls, call);
        if (!flow->modes) {
            flow->modes = wmem_new0(wmem_file_scope(), call_modes);
            wmem_map_insert(modes_of_calls, call, flow->modes);
        }
    }
    return &flow->modes->of_device[at_other_end];
}

/* Both directions of a device change, one after the other: the first to change tells it, the
 * other one follows. The call's other end has its own word for it, at its own time. The call of
 * the Wi-Fi captures of 2023 went so, from multiway to one-to-one. */
static void
learn_mode(packet_info *pinfo, device_modes *modes, ft_direction direction, call_mode mode,
           const ft_endpoint *other_end)
{
    static const char *const names[] = { "", "multiway", "one-to-one" };
    const call_mode before = modes->of_direction[direction];

    modes->of_direction[direction] = mode;
    if (before == mode || (before == MODE_UNKNOWN && modes->mode != MODE_UNKNOWN) ||
        modes->mode == mode)
        return;
    if (modes->mode != MODE_UNKNOWN && other_end)
        ft_event_add(pinfo, FT_EVENT_MODE_CHANGED, 0,
                     "Call went from %s to %s at its other end, %s", names[modes->mode],
                     names[mode], ft_endpoint_str(pinfo->pool, other_end));
    else if (modes->mode != MODE_UNKNOWN)
        ft_event_add(pinfo, FT_EVENT_MODE_CHANGED, 0, "Call went from %s to %s", names[modes->mode],
                     names[mode]);
    modes->mode = mode;
}

static const char *
describe_link(packet_info *pinfo, uint16_t id)
{
    const ft_relay_link *link = ft_relay_link_find(pinfo, id);

    return link ? ft_relay_link_str(pinfo->pool, link) : "never announced";
}

static void
tell_link_switch(packet_info *pinfo, ft_direction direction, const used_link *old, uint16_t id)
{
    ft_event_add(pinfo, FT_EVENT_PATH_SWITCH, old->last_frame,
                 "Media %s moved from relay link 0x%04x (%s) to 0x%04x (%s)",
                 direction == FT_UPLINK ? "to the relay" : "from the relay", old->id,
                 describe_link(pinfo, old->id), id, describe_link(pinfo, id));
}

/* The entry of the link, or the one that was out of use for longest. */
static used_link *
entry_of(used_link *entries, uint16_t id)
{
    used_link *oldest = entries;

    for (unsigned i = 0; i < LINKS_IN_USE; i++) {
        if (entries[i].last_frame && entries[i].id == id)
            return &entries[i];
        if (entries[i].last_frame < oldest->last_frame)
            oldest = &entries[i];
    }
    return oldest;
}

/* Media of an SSRC that hasn't been heard here, after a pause, is nobody's that moved. */
static bool
may_have_moved(packet_info *pinfo, const used_link *from)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    return !packet || !packet->stream || packet->stream->first_frame != packet->frame ||
           seconds_since(pinfo, &from->last_time) <= LINK_IDLE_S;
}

static void
learn_link(packet_info *pinfo, relay_flow *flow, ft_direction direction, uint16_t id)
{
    used_link *entry = entry_of(flow->links[direction], id);
    const used_link *current = flow->current[direction];
    const bool alternates = entry->last_frame && entry->id == id &&
                            seconds_since(pinfo, &entry->last_time) < LINK_IDLE_S;

    if (current && current->id != id && !alternates && may_have_moved(pinfo, current))
        tell_link_switch(pinfo, direction, current, id);
    *entry = (used_link){ id, ft_frame_id(pinfo), ft_steady(pinfo) };
    flow->current[direction] = entry;
}

/* The next call on the same 5-tuple has links of its own: the last one's are no way that its media
 * moves from. */
static void
keep_links_of(relay_flow *flow, const ft_call *call, uint32_t frame)
{
    if (!call)
        return;
    if (flow->links_of && ft_call_as_of(flow->links_of, frame) != call) {
        memset(flow->links, 0, sizeof flow->links);
        memset(flow->current, 0, sizeof flow->current);
    }
    flow->links_of = call;
}

/* Adds what isn't in the list yet. */
static void
add_name(packet_info *pinfo, wmem_array_t **list, const void *name, size_t size)
{
    if (!*list)
        *list = wmem_array_sized_new(wmem_file_scope(), size, FEW);
    for (unsigned i = wmem_array_get_count(*list); i-- > 0;) {
        if (memcmp(wmem_array_index(*list, i), name, size) == 0)
            return;
    }
    if (ft_has_room(pinfo, FT_LIMIT_NAMES_PER_CALL, wmem_array_get_count(*list)))
        wmem_array_append(*list, name, 1);
}

/* For the reports: who is at the far end, and over which links. */
static void
name_far_end(packet_info *pinfo, ft_call *call, const ft_relay_header *header)
{
    if (header->has_participant)
        add_name(pinfo, &call->participants, header->participant, sizeof header->participant);
    if (header->has_link)
        add_name(pinfo, &call->links, &header->link, sizeof header->link);
}

/* A device is known by its address, once media on its way was learnt: until then it may be the
 * call's other end. */
static void
watch_mode(packet_info *pinfo, relay_flow *flow, ft_call *call, const ft_relay_header *header)
{
    const ft_packet *packet = ft_packet_get(pinfo);
    const ft_leg *leg = packet ? packet->leg : NULL;
    const ft_endpoint *client = ft_flow_client(ft_flow_in_hand(pinfo));
    const bool at_other_end =
        client && addresses_equal(&client->addr, &call->other_end.addr);

    if (client && !at_other_end && leg && nstime_is_zero(&leg->media_time) &&
        !ft_call_is_device(call, &client->addr))
        return;

    device_modes *modes = modes_of(flow, call, at_other_end);
    learn_mode(pinfo, modes, ft_relay_direction(pinfo),
               header->has_link ? MODE_ONE_TO_ONE : MODE_MULTIWAY, at_other_end ? client : NULL);
    if (!at_other_end || !call->mode)
        call->mode = modes->mode == MODE_ONE_TO_ONE ? "one-to-one" : "multiway";
}

/* Whether its direction begins again after a pause, perhaps on another link. */
static bool
has_link_paused(packet_info *pinfo)
{
    const relay_flow *flow = relay_flow_of(pinfo);
    const used_link *current = flow ? flow->current[ft_relay_direction(pinfo)] : NULL;

    return current && seconds_since(pinfo, &current->last_time) > LINK_IDLE_S;
}

bool
ft_relay_waits(packet_info *pinfo)
{
    const ft_packet *packet = ft_packet_get(pinfo);

    if (!ft_learning(pinfo) || !packet || !packet->leg)
        return false;
    const ft_call *call = ft_call_of_packet(pinfo);
    return packet->leg->renewed || ft_steady_doubted() || !call || call->end_frame ||
           has_link_paused(pinfo);
}

void
ft_relay_media(packet_info *pinfo, const ft_relay_header *header)
{
    relay_flow *flow = ft_learning(pinfo) ? relay_flow_of(pinfo) : NULL;
    const ft_direction direction = ft_relay_direction(pinfo);

    if (!flow || header->has_link == header->has_stream)
        return;

    ft_call *call = ft_call_resolve(pinfo, false);
    if (call) {
        watch_mode(pinfo, flow, call, header);
        name_far_end(pinfo, call, header);
    }
    keep_links_of(flow, call, ft_frame_id(pinfo));
    if (header->has_link)
        learn_link(pinfo, flow, direction, header->link);
}
