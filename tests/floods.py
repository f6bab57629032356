# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures made to fill the memory: for each bound of calls/limits.h, packets that go beyond it.

test_limits.py reads each, until just beyond. To see what any number of packets costs, stock and with the plugin:

    python3 tests/floods.py                     names
    python3 tests/floods.py legs 1000000        a flood of a million packets
"""

import argparse
import itertools
import shutil
import struct

import limits
import support
from wire import modern, rtp, sip, snatmap, stun

LIMITS = limits.remembered()

# A transport address is a number and a port here.
CLIENT, DEVICE, THIRD = (0x0A000001, 16402), (0x0A400001, 16402), (0x0A800001, 16402)
RELAY, RELAYED, PEER = (0x119B05FB, 16385), ("17.155.5.251", 3489), ("71.230.89.52", 16402)
MODERN_PHONE, MODERN_RELAY = (0x0AEF13FE, 16393), (0x11F9AC8E, 3482)
NAT_SERVER, COMMNAT_SERVER, WEB_SERVER = (0x11BCB508, 3480), (0x11ADFFDF, 16386), (0x11FD1219, 80)
TICKET, ID, MKI = bytes(20), bytes(12), bytes.fromhex("8223ac978cc7488da6ea86b60e6b56c5")
ETHERNET = bytes.fromhex("020000000002 020000000001 0800")
HTTP_CHECK = b"GET /connectivity.txt HTTP/1.1\r\nHost: static.ess.apple.com\r\n\r\n"
ORIGIN = "v=0\r\no=GKVoiceChatService 0 0 IN IP4 10.0.0.1\r\ns=mobile\r\nt=0 0\r\n"
CHAIN = 16      # bodies in a datagram


def ip(protocol, source, destination, transport):
    """One frame. Checksums are left out: nobody asks, and here they would cost most of the time."""
    return ETHERNET + struct.pack("!BxHIBBHII", 0x45, 20 + len(transport), 0, 64, protocol, 0, source[0],
                                  destination[0]) + transport


def udp(source, destination, payload):
    header = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0)
    return ip(17, source, destination, header + payload)


def tcp(source, destination, payload):
    """Sequence numbers are each connection's own: the same ones at once are one segment, seen twice."""
    header = struct.pack("!HHIIBBHI", source[1], destination[1], source[0], destination[0], 5 << 4, 0x18, 8192, 0)
    return ip(6, source, destination, header + payload)


def name(address):
    return ".".join(map(str, address[0].to_bytes(4, "big"))), address[1]


def at(address, number):
    """The same port of another host."""
    return address[0] + number, address[1]


def numbered(message, number):
    """A STUN message with a transaction id of its own."""
    return message[:8] + number.to_bytes(12, "big") + message[20:]


ALLOCATE = bytes(stun.allocate_request(ID, bytes(8), RELAYED, TICKET))
BIND = bytes(stun.channel_bind_request(ID, 0x4001, PEER, TICKET))
NAMES = stun.Candidate(stun.HOST, name(DEVICE), 1), stun.Candidate(stun.HOST, name(CLIENT), 2)
CHECK = bytes(stun.binding_request(ID, *NAMES, True, 7, 0, first_form=True))     # without a timestamp


def stamped(names):
    return bytes(stun.message(stun.BINDING, stun.REQUEST, ID, [
        stun.username(*(candidate.id for candidate in names)), stun.protocol(1), stun.ice_version(109),
        stun.timestamp(0)]))


STAMPED = stamped(NAMES)
ANSWER = bytes(stun.binding_response(ID, *NAMES, name(CLIENT), 0, 0, version=None))


def allocate(client):
    return udp(client, RELAY, numbered(ALLOCATE, client[0]))


def in_channel(client, number, payload):
    return udp(client, RELAY, struct.pack("!HH", 0x4100 + number, len(payload)) + payload)


def media(number, ssrc):
    return bytes(rtp.rtp(104, number & 0xFFFF, 480 * number & 0xFFFFFFFF, ssrc, bytes(20)))


def sip_message(method, call_id, number, body=""):
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (f"{method} sip:user@10.64.0.1:16402 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 10.0.0.1:16402;branch=z9hG4bK{call_id}.{number}\r\nMax-Forwards: 70\r\n"
            f"To: <sip:user@10.64.0.1:16402>\r\nFrom: <sip:user@10.0.0.1:16402>;tag=1\r\n"
            f"Call-ID: {call_id}@10-0-0-1\r\nCSeq: {number} {method}\r\nUser-Agent: Viceroy 1.4.1\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}").encode()


def relayed(body, **header):
    return udp(MODERN_PHONE, MODERN_RELAY, modern.relay(body, **header))


STREAM = 0x1001     # a first byte below 10 would count streams


def chained(bodies):
    """One datagram with all of them: each but the last says how long its body is."""
    *first, last = bodies
    content = b"".join(struct.pack("!HH", STREAM, len(body)) + body for body in first)
    return relayed(content[4:] + struct.pack("!H", STREAM) + last, stream=STREAM, length=len(first[0]))


def in_chains(bodies, most):
    """Bodies without end, as many in a datagram as are taken apart; beyond is what has more than `most` can hold.
    First a packet that proves the flow: no chain does."""
    yield relayed(b"", stream=1, counter=1, count=True), False
    for n in itertools.count(1):
        yield chained(itertools.islice(bodies, CHAIN)), n * CHAIN > most


def control(key, counter, content):
    return bytes(modern.control(key.to_bytes(8, "big") + bytes(8), counter, content.to_bytes(40, "big")))


# ---- the floods: each yields (frame, whether it is beyond the bound), without end

def flows(most):
    """NAT tests with ever new servers, and now and then of a new device: few of each."""
    for i in itertools.count():
        device = at(CLIENT, i // 32)
        yield udp(device, at(NAT_SERVER, i % 32), snatmap.snatmap(snatmap.REQUEST, i, name(device))), i >= most


def calls(most):
    """INVITEs with new Call-IDs, each of another caller."""
    for i in itertools.count():
        yield udp(at(CLIENT, i), at(DEVICE, i), sip_message("INVITE", i, 1)), i >= most


def dialogs(most):
    """New Call-IDs in one call."""
    for i in itertools.count():
        yield udp(CLIENT, DEVICE, sip_message("OPTIONS", i, 1)), i >= most


def byes_per_dialog(most):
    """BYEs with new numbers, all of them answered."""
    for i in itertools.count(1):
        bye = sip_message("BYE", 0, i)
        yield udp(CLIENT, DEVICE, bye), i > most
        yield udp(DEVICE, CLIENT, b"SIP/2.0 200 OK\r\n" + bye.partition(b"\r\n")[2]), False


def invites_per_dialog(most):
    """INVITEs with new numbers; what answers the first goes on being told."""
    for i in itertools.count(1):
        yield udp(CLIENT, DEVICE, sip_message("INVITE", 0, i)), i > most
        yield udp(DEVICE, CLIENT, b"SIP/2.0 100 Trying\r\n" + sip_message("INVITE", 0, 1).partition(b"\r\n")[2]), False


def branches_per_dialog(most):
    """One INVITE, and ever new ends that ring."""
    invite = sip_message("INVITE", 0, 1)
    yield udp(CLIENT, DEVICE, invite), False
    for i in itertools.count(1):
        ringing = b"SIP/2.0 180 Ringing\r\n" + invite.partition(b"\r\n")[2]
        yield udp(DEVICE, CLIENT, ringing.replace(b":16402>\r\nFrom", b":16402>;tag=b%d\r\nFrom" % i)), i > most


def flow_moves(most):
    """Two calls' messages by turns on one flow. The second began when the first had been silent for long, so the first
    message of the first one after that moves nothing."""
    yield udp(CLIENT, DEVICE, sip_message("INVITE", 0, 1)), False
    for i in itertools.count(1):
        payload = sip_message("ACK" if i > 1 else "INVITE", i % 2, i)     # nothing waits for its answer
        later = support.Datagram(*name(CLIENT), *name(DEVICE), payload, time=300)
        yield later if i == 1 else udp(CLIENT, DEVICE, payload), i >= most + 2 and (i - most) % 2 == 0


def linked(caller, number):
    """The same link message says that two callers are of one call."""
    body = modern.link_message(modern.INTERFACE_INFO, [modern.counter(1), modern.interfaces(
        [(number + 1, modern.WIFI, 1280, 0, 1)])], (number + 1).to_bytes(8, "big") + bytes(12))
    return udp(at(MODERN_PHONE, caller), MODERN_RELAY, modern.relay(body, attr=modern.ATTR_LINK_MESSAGE))


def merges(most):
    """Calls that turn out to be one, each with the one before it; then with one more, whose way the first caller takes
    and leaves again."""
    for i in range(most + 1):
        yield linked(i, i), False
    for i in range(most, 0, -1):
        yield linked(i - 1, i), False
    for i in itertools.count(most + 1):
        yield linked(i, i), False
        yield linked(0, i), True
        yield linked(0, 0), True


def legs(most):
    """Channels that no bind was seen of, as many of each client as may be."""
    each = LIMITS["LEGS_PER_FLOW"]
    for i in itertools.count():
        if i % each == 0:
            yield allocate(at(CLIENT, i // each)), False
        yield in_channel(at(CLIENT, i // each), i % each, b"\xff" * 20), i >= most


def legs_per_flow(most):
    """One client that binds each time another channel to another peer."""
    yield allocate(CLIENT), False
    for i in itertools.count():
        yield udp(CLIENT, RELAY, stun.channel_bind_request(i.to_bytes(12, "big"), 0x4002 + i % 0x3FF0,
                                                           (PEER[0], i & 0xFFFF), TICKET)), i >= most


def exchanges(most):
    """Checks that nobody answers."""
    for i in itertools.count():
        yield udp(CLIENT, DEVICE, numbered(CHECK, i)), i >= most


def stamps(most):
    """Checks that are sent again, each time with another timestamp, as often as may be; of some calls, since each tells
    no more than so many of them."""
    each = LIMITS["COUNTED_EVENTS"] // 2    # so many are told of a call
    for i in itertools.count():
        if i % each == 0:
            check = stamped([stun.Candidate(stun.HOST, name(end), 2 * i + n) for n, end in enumerate((DEVICE, CLIENT), 1)])
        check = numbered(check, i // LIMITS["REPEATS"])[:-4] + struct.pack("!I", i)
        yield udp(at(CLIENT, i // each), at(DEVICE, i // each), check), i >= most


def stamp_repeats(most):
    """One check again and again, each time with another timestamp."""
    for i in itertools.count():
        yield udp(CLIENT, DEVICE, STAMPED[:-4] + struct.pack("!I", i)), i >= most


def repeats(most):
    """One check, and one answer, again and again."""
    for i in itertools.count():
        yield udp(CLIENT, DEVICE, CHECK), i >= most
        yield udp(DEVICE, CLIENT, ANSWER), False


def control_repeats(most):
    """Control messages with one number and ever new content."""
    yield relayed(b"", stream=1, counter=1, count=True), False
    for i in itertools.count():
        yield relayed(control(1, 7, i)), i >= most


def streams(most):
    """New senders of media, as many in each call as may be."""
    each = LIMITS["STREAMS_PER_CALL"]
    for i in itertools.count():
        if i % each == 0:
            yield allocate(at(CLIENT, i // each)), False
        yield udp(at(CLIENT, i // each), RELAY, media(i, i + 1)), i >= most


def streams_per_call(most):
    yield allocate(CLIENT), False
    for i in itertools.count():
        yield udp(CLIENT, RELAY, media(i, i + 1)), i >= most


def media_setups(most):
    """One stream through ever new channels of some relays."""
    each = LIMITS["LEGS_PER_FLOW"]
    for i in itertools.count():
        if i % each == 0:
            yield allocate(at(CLIENT, i // each)), False
        yield in_channel(at(CLIENT, i // each), i % each, media(i, 1)), i >= most


def sdps_per_call(most):
    for i in itertools.count():
        body = ORIGIN + "m=audio 16402 RTP/AVP 104\r\na=rtpmap:104 AAC-ELD/24000\r\n"
        yield udp(CLIENT, DEVICE, sip_message("UPDATE" if i else "INVITE", 0, i + 1, body)), i >= most


def sdp_codecs(most):
    """Bodies with 256 payload types each, as many in each call as may be."""
    body = ORIGIN + ("m=audio 16402 RTP/AVP" + 32 * " 104" + "\r\na=rtpmap:104 AAC-ELD/24000\r\n") * 8
    for i in itertools.count():
        call, number = divmod(i, LIMITS["SDPS_PER_CALL"])
        message = sip_message("UPDATE" if number else "INVITE", call, number + 1, body)
        yield udp(at(CLIENT, call), at(DEVICE, call), message), (i + 1) * 256 > most


def names_per_call(most):
    """Media of ever new participants."""
    yield relayed(b"", stream=1, counter=1, count=True), False
    for i in itertools.count():
        body = modern.rtp(104, i & 0xFFFF, 480 * i, 1, bytes(40), MKI)
        yield relayed(body, participant=(i + 1).to_bytes(8, "big"), stream=1), i >= most


def events(most):
    """One bind again and again, an event each time; the allocation is two, the first bind none."""
    yield allocate(CLIENT), False
    for i in itertools.count():
        yield udp(CLIENT, RELAY, BIND), 2 + i > most


def counted_events(most):
    """One check again and again: each but the first is told."""
    for i in itertools.count():
        yield udp(CLIENT, DEVICE, CHECK), 2 + i > most


def findings(most):
    """Picture frames, each of which says that one before it is missing; the first says nothing."""
    def bodies():
        for i in itertools.count():
            extension = modern.video_extension(frame=(1, 2 * i & 0xFFFF))
            yield modern.rtp(123, i & 0xFFFF, 1000 * i & 0xFFFFFFFF, 1, bytes(8), MKI, extension=extension)
    return in_chains(bodies(), most + 1)


def devices(most):
    """Relays that tell a client ever new addresses of its own."""
    yield allocate(CLIENT), False
    for i in itertools.count():
        answer = stun.allocate_success(i.to_bytes(12, "big"), name((0x2C000001 + i, 16402)), TICKET)
        yield udp(RELAY, CLIENT, answer), 1 + i >= most


def http_checks(most):
    """Devices that ask Apple's web server whether they are connected."""
    for i in itertools.count():
        yield tcp(at(CLIENT, i), WEB_SERVER, HTTP_CHECK), i >= most


def offers(most):
    """Link messages with 63 candidates each, which stand in one table with the phone and its host."""
    for i in itertools.count():
        places = [(modern.HOST, (name(at((0x2C000001, 0), i))[0], 1024 + port), modern.WIFI) for port in range(63)]
        message = modern.link_message(modern.CONNECTION_DATA, [modern.counter(1), modern.connection_data(places)])
        yield relayed(message, attr=modern.ATTR_LINK_MESSAGE), 2 + (i + 1) * 63 > 2 * most


def preparations(most):
    """NAT tests of one device, and no call."""
    for i in itertools.count():
        yield udp(CLIENT, NAT_SERVER, snatmap.snatmap(snatmap.REQUEST, i, name(CLIENT))), i >= most


def prepared_frames(most):
    """NAT tests, answers alone, while a call runs."""
    yield allocate(CLIENT), False
    for i in itertools.count():
        yield udp(NAT_SERVER, CLIENT, snatmap.snatmap(snatmap.RESPONSE, i, name(CLIENT))), i >= most


def nat_tests(most):
    """CommNAT tests, each with its own token, while a call runs."""
    yield allocate(CLIENT), False
    for i in itertools.count():
        yield udp((CLIENT[0], 16403), COMMNAT_SERVER, snatmap.commnat_test(1, i << 12)), i >= most


def relay_counters(most):
    for i in itertools.count():
        yield relayed(b"", stream=1, counter=i & 0xFFFF, count=True), i >= most


def relay_links(most):
    """Link messages that announce 100 links each."""
    for i in itertools.count():
        items = [(100 * i + n, modern.WIFI, 1280, 0, 1) for n in range(100)]
        message = modern.link_message(modern.INTERFACE_INFO, [modern.counter(1), modern.interfaces(items)])
        yield relayed(message, attr=modern.ATTR_LINK_MESSAGE), (i + 1) * 100 > most


def relay_readings(most):
    """Media of one stream whose headers have by turns no byte for their priority's bit, and one. Beyond the bound the last
    change stays in force, so every other packet is one more."""
    for i in itertools.count():
        body = struct.pack("!BBHIIHHHI", 0x90, 100, i & 0xFFFF, 480 * i & 0xFFFFFFFF, STREAM, 0x4000, 0, 0x10, 0x20)
        yield relayed(body, **({"priority": 1} if i % 2 else {"no_priority": True})), i >= most and i % 2 == 0


def control_messages(most):
    """Of 1024 keys, so that only the messages are too many."""
    return in_chains((control(1 + i // 256 % 1024, i % 256, i) for i in itertools.count()), most)


def ties(most):
    """Control messages, each of another key."""
    return in_chains((control(1 + i, 7, i) for i in itertools.count()), most)


def mkis(most):
    """Media of one sender whose key changes with each packet."""
    def bodies():
        for i in itertools.count():
            key = i.to_bytes(4, "big") + MKI[4:]
            yield modern.rtp(104, i & 0xFFFF, 480 * i & 0xFFFFFFFF, STREAM, bytes(8), key)
    return in_chains(bodies(), most)


def short_keys(most):
    """One sender of 2026 whose key id changes with each packet."""
    return in_chains((struct.pack("!BBHIIHI", 0x80, 104, i & 0xFFFF, 480 * i, STREAM, 0x10 + i % 0xFFF0, 0x20)
                      for i in itertools.count()), most)


def pod(number, next_byte, phone=MODERN_PHONE):
    """A short-header packet of QUIC with a connection id of 4 bytes, of the shape that media has."""
    return udp(phone, MODERN_RELAY, struct.pack("!BIB", 0x40, 0x00800000 | number, next_byte) + bytes(40))


def counted(phone):
    """A counter proves the flow."""
    return udp(phone, MODERN_RELAY, bytes(modern.relay(b"", stream=1, counter=1, count=True)))


def quic_ids(most):
    """Of many flows, as many as one of them keeps, each seen once."""
    for i in itertools.count():
        phone = at(MODERN_PHONE, i // LIMITS["QUIC_IDS_PER_FLOW"])
        if i % LIMITS["QUIC_IDS_PER_FLOW"] == 0:
            yield counted(phone), False
        yield pod(i % LIMITS["QUIC_IDS_PER_FLOW"], 0, phone), i >= most


def quic_ids_per_flow(most):
    """Each seen three times: one that is settled gives no place away."""
    yield counted(MODERN_PHONE), False
    for i in itertools.count():
        for next_byte in range(3):
            yield pod(i, next_byte), i >= most


# What it is called -> (the bound, the flood, a display filter: what is shown of each packet, those beyond too)
FLOODS = {flood.__name__: (bound or flood.__name__.upper(), flood, shown) for bound, flood, shown in [
    (None, flows, "facetime.kind == \"snatmap\" && snatmap.nonce"),
    (None, calls, "facetime.kind == \"sip\" && sip.Call-ID"),
    ("CALLS", dialogs, "facetime.kind == \"sip\" && sip.Call-ID"),
    (None, byes_per_dialog, "facetime.kind == \"sip\" && sip.Call-ID"),
    (None, invites_per_dialog, "facetime.kind == \"sip\" && sip.Call-ID"),
    (None, branches_per_dialog, "facetime.kind == \"sip\" && sip.Call-ID"),
    (None, flow_moves, "facetime.kind == \"sip\" && facetime.call"),
    (None, merges, "facetime.call && facetime_link.interface"),
    (None, legs, "facetime.kind == \"turn\" && stun.id || stun.channel && data"),
    (None, legs_per_flow, "facetime.kind == \"turn\" && stun.id"),
    (None, exchanges, "facetime.kind == \"stun\" && gkstun.username.source"),
    ("EXCHANGES", stamps, "facetime.kind == \"stun\" && gkstun.timestamp"),
    ("REPEATS", stamp_repeats, "facetime.kind == \"stun\" && gkstun.timestamp"),
    (None, repeats, "facetime.kind == \"stun\" && gkstun.username.source"),
    ("REPEATS", control_repeats, "quickrelay.counter || facetime.kind == \"control\" && facetime_control.counter"),
    (None, streams, "facetime.kind == \"turn\" || facetime.kind == \"rtp\" && rtp.ssrc"),
    (None, streams_per_call, "facetime.kind == \"turn\" || facetime.kind == \"rtp\" && rtp.ssrc"),
    (None, media_setups, "facetime.kind == \"turn\" || facetime.kind == \"rtp\" && rtp.ssrc"),
    (None, sdps_per_call, "facetime.kind == \"sip\" && sdp.media"),
    (None, sdp_codecs, "facetime.kind == \"sip\" && sdp.media"),
    (None, names_per_call, "quickrelay.counter || facetime.kind == \"rtp\" && quickrelay.participant"),
    (None, events, "facetime.kind == \"turn\" && stun.id"),
    (None, counted_events, "facetime.kind == \"stun\" && gkstun.username.source"),
    ("EVENTS", findings, "quickrelay.counter || facetime.kind == \"rtp\" && facetime_rtp.video.frame_sequence"),
    (None, devices, "facetime.kind == \"turn\" && stun.id"),
    ("DEVICES", http_checks, "facetime && http.request.method"),
    ("DEVICES", offers, "facetime.kind == \"link\" && facetime_link.candidate.port"),
    (None, preparations, "facetime.kind == \"snatmap\" && snatmap.nonce"),
    (None, prepared_frames, "facetime.kind == \"turn\" || facetime.kind == \"snatmap\" && snatmap.nonce"),
    (None, nat_tests, "facetime.kind == \"turn\" || facetime.kind == \"commnat\" && commnat.token"),
    (None, relay_counters, "facetime.kind == \"quickrelay\" && quickrelay.counter"),
    (None, relay_links, "facetime.kind == \"link\" && facetime_link.interface"),
    (None, relay_readings, "facetime.kind == \"rtp\" && facetime_rtp.short_mki"),
    (None, control_messages, "quickrelay.counter || facetime.kind == \"control\" && facetime_control.counter"),
    (None, mkis, "quickrelay.counter || facetime.kind == \"rtp\" && facetime_rtp.mki"),
    (None, short_keys, "quickrelay.counter || facetime.kind == \"rtp\" && facetime_rtp.short_mki"),
    (None, quic_ids, "quickrelay.counter || facetime.kind == \"quic\" && quic"),
    (None, quic_ids_per_flow, "quickrelay.counter || facetime.kind == \"quic\" && quic"),
    (None, ties, "quickrelay.counter || facetime.kind == \"control\" && facetime_control.key_id"),
]}


def frames(name, count=None):
    """The frames of a flood: so many, or without end."""
    bound, flood, _ = FLOODS[name]
    return (frame for frame, _ in itertools.islice(flood(LIMITS[bound]), count))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flood", nargs="?", choices=FLOODS)
    parser.add_argument("packets", nargs="?", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if not arguments.flood:
        print(*FLOODS, sep="\n")
        return
    support.TIME_LIMIT = 24 * 3600
    try:
        capture = support.make_capture(frames(arguments.flood, arguments.packets))
        for which, program in (("stock", support.Tshark()), ("plugin", support.Tshark(support.PLUGIN))):
            seconds, memory = program.cost(capture, runs=1)
            print(f"{which:8}{seconds:8.1f} s {memory / 1024:8.0f} MiB")
    finally:
        shutil.rmtree(support.stage())


if __name__ == "__main__":
    main()
