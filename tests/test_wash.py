# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/wash-capture: a washed capture decodes as before, holds no original address, and stays as it is when washed again."""

import functools
import ipaddress
import re
import struct
import subprocess
import sys
import zlib

import pytest

import support
from support import Datagram
from wire import modern, packets, sip, snatmap, stun

TOOL = support.ROOT / "tools" / "wash-capture"

# Values that are replaced: addresses, contents, and random numbers that outlive a call.
REPLACED = re.compile(
    r"ipv[46]|address|link_id|mki|key_id|participant|ske|hmac|uuid|encrypted|ciphertext|auth_tag|payload|username|token"
    r"|unknown|\.iv|\.tag|keys|candidates\.rest|snatmap\.unused|baseband\.tag|network|data$|value|raw|origin|undecoded|bytes"
    r"|quickrelay\.body|gamekit\.(body|crc|from|to)$|trailing|facetime_sip\.text|facetime_sdp\.(line|user)$")
# Kept in place: no user's host has them, or all the world has (docs/washing.md).
KEPT = [ipaddress.ip_network(n) for n in (
    "0.0.0.0/8", "127.0.0.0/8", "192.0.0.0/24", "224.0.0.0/3", "17.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",
    "198.18.0.0/15", "10.9.0.0/16", "10.198.0.0/16", "192.168.198.0/24", "100.127.0.0/16", "::/127", "ff00::/8",
    "2001:db8::/32", "2620:149::/32", "2403:300::/32", "2a01:b740::/32")]
STOCK_ADDRESSES = ["eth.src", "eth.dst", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "stun.att.ipv4", "stun.att.ipv6",
                   "stun.att.ipv4-xord", "sdp.connection_info.address", "sdp.owner.address", "sip.r-uri.host",
                   "sip.from.host", "sip.to.host", "sip.contact.host"]

captures = support.some(support.own_captures(), 3) + support.shared_captures("real")


def run_tool(source, target, *options):
    done = subprocess.run([sys.executable, TOOL, *options, source, target], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@functools.lru_cache(maxsize=None)
def washed(capture):
    target = support.stage() / f"washed-{capture.name}"
    run_tool(capture, target, "--key", "test")
    target.chmod(0o644)
    return target


def how_many(values):
    return len(values.split("\x1e")) if values else 0


def without_direction(label):
    return re.sub(r"\b(in|out)\b", "", label)


@pytest.mark.parametrize("capture", captures)
def test_decodes_as_before(tshark, own_fields, capture):
    fields = sorted(own_fields) + ["frame.len", "frame.time_epoch"]
    damaged = "damaged" in capture.name or "bomb" in capture.name
    generated = capture.name.startswith("ixia")
    before, after = (tshark.columns(file, *fields) for file in (capture, washed(capture)))
    number, differences, replaced = 0, [], {field for field in fields if REPLACED.search(field)}
    for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
        assert len(old) == len(new) == len(fields)
        for field, was, is_now in zip(fields, old, new) if old != new else ():
            if was == is_now:
                continue
            if damaged and field.startswith(("facetime_sip.", "facetime_sdp.", "facetime.event")):
                continue                            # as much of a broken text as there is room for
            if generated and field == "facetime.label" and without_direction(was) == without_direction(is_now):
                continue                            # 6,000 pairs of one packet: nothing but addresses says which end is the device
            if field not in replaced or how_many(was) != how_many(is_now):
                differences.append(f"{number} {field}: {was} {is_now}")
    assert number > 0
    assert not differences, "\n".join(differences[:40])


# No original left

def forms(address):
    """The ways in which an address may be written."""
    raw = address.packed
    yield raw
    yield bytes(byte ^ 0xFF for byte in raw)
    yield raw[::-1]
    if len(raw) == 4:
        yield bytes(a ^ b for a, b in zip(raw, b"\x21\x12\xa4\x42"))
    for text in {str(address), address.exploded}:
        yield text.encode()
        yield text.replace(".", "-").replace(":", "-").encode()


def originals(tshark, own_fields, capture):
    fields = STOCK_ADDRESSES + sorted(f for f, kind in own_fields.items() if kind in ("FT_IPv4", "FT_IPv6"))
    fields = [f for f in fields if f in tshark.field_types]
    found = set()
    for row in tshark.rows(capture, *fields):
        found.update(value for values in row.values() for value in values)
    macs = {bytes.fromhex(value.replace(":", "")) for value in found if re.fullmatch("(..:){5}..", value)}
    addresses = set()
    for value in found:
        try:
            addresses.add(ipaddress.ip_address(value))
        except ValueError:
            pass
    return ({a for a in addresses if not any(a in network for network in KEPT if network.version == a.version)},
            {mac for mac in macs if not mac[0] & 1 and any(mac) and not mac.startswith(b"\x02\x12\xc6")})


def texts_in(data):
    """What comes out of deflated SIP bodies, found without the tool's help."""
    found = []
    for match in re.finditer(rb"\r\n\r\n", data):
        for window in (15, 31, -15):
            try:
                found.append(zlib.decompressobj(window).decompress(data[match.end():match.end() + 3000], 1 << 20))
            except zlib.error:
                pass
    return found


def leaks(secrets, data):
    """Which of these bytes are in the file or in what it holds compressed. Numbers of four bytes occur by chance in
    megabytes: too few files and addresses are searched for that here."""
    texts = texts_in(data)
    return [s for s in secrets if s in data or any(s in text for text in texts)]


@pytest.mark.parametrize("capture", captures)
def test_no_original_is_left(tshark, own_fields, capture):
    addresses, macs = originals(tshark, own_fields, capture)
    addresses.discard(ipaddress.ip_address("184.13.1.32"))      # a broken list read askew: the head of 2001:db8::
    chosen = sorted(addresses, key=str)[:60]        # the traffic generator's capture has thousands
    secrets = {form for address in chosen for form in forms(address)} | set(sorted(macs)[:60])
    before, after = capture.read_bytes(), washed(capture).read_bytes()
    assert all(any(form in before for form in forms(address)) for address in chosen)
    assert not leaks(secrets, after)


# Every place where an address, a name or a token may stand, with values that are surely not kept

LOCAL, PUBLIC, PEER = ("192.168.77.23", 16402), ("71.15.163.132", 16402), ("166.198.224.114", 40112)
LOCAL6, PEER6 = ("2600:1700:a1b2:c3d4:5e6f:7a8b:9cad:beef", 16402), ("fe80::1c2b:3d4e:5f60:7182", 16402)
SERVER = ("17.155.5.251", 16385)
NAME, PHONE, APPLE_ID, SESSION = "Jane Appleseed", "+15558675309", "jane.appleseed@example.org", "janes-phone"
UUID = "658685de-dcec-41df-b1e3-80c2c2c54012"
MACS = [bytes.fromhex("a483e7123456"), bytes.fromhex("f01898abcdef")]
TOKEN, TICKET, MKI = b"reservat", b"ticket-of-20-bytes!!", bytes.fromhex("8f5763f04b41ca00") + b"\x81secret!"
MKI = MKI[:6] + b"\x4a\x00" + MKI[8:16]
PARTICIPANT, LINK_ID = b"partici8", bytes.fromhex("d1d2d3d4d5d64ad8a9dadbdcdddedfe0")
SKE, QUIC_TOKEN, MEDIA, HMAC = b"key-exchange-blob" * 3, b"psk-token-" * 5, b"srtp-media" * 9, b"hmac-of-20-bytes!!!!"
SECRETS = [NAME.encode(), PHONE.encode(), PHONE[1:].encode(), APPLE_ID.encode(), SESSION.encode(), UUID.encode(),
           *MACS, TOKEN, TICKET, MKI, MKI[:8], PARTICIPANT, LINK_ID, SKE[:17],
           QUIC_TOKEN[:10], MEDIA[:10], HMAC, b"secret-host", b"www.secret.example", b"cookie-of-hers"]


def sdp(six=False):
    kind, host = ("IP6", LOCAL6[0]) if six else ("IP4", PUBLIC[0])
    return (f"v=0\r\no=jane 0 0 IN {kind} {host}\r\ns={SESSION}\r\nc=IN {kind} {host}\r\ne={APPLE_ID}\r\n"
            "b=AS:2000\r\nt=0 0\r\na=FLS;VRA:0;RVRA1:1;AS:2;MS:-1;LTR;CABAC;CR:3;LF:-1;PR;AR:4/3,3/4;XR;\r\na=DMBR\r\n"
            f"a=candidate:{PEER[0]} {NAME}\r\nm=audio 16402 RTP/AVP 104 106\r\na=rtcp:16402\r\na=rtpID:1911967383\r\n"
            "a=au:65792\r\na=fmtp:104 sbr;block 480\r\n").encode()


def invite(coding, six=False):
    name, coder = sip.CODINGS[coding]
    body = coder(sdp(six))
    encoding = f"e: {name}\r\n" if name else ""
    return (f"INVITE sip:user@{PEER[0]}:40112 SIP/2.0\r\nv: SIP/2.0/UDP {LOCAL[0]}:16402;branch=z9hG4bK15325fd03549ca85\r\n"
            f"Max-Forwards: 70\r\nt: \"{PHONE}\" <sip:user@{PEER[0]}:40112>\r\n"
            f"f: \"{NAME}\" <sip:{APPLE_ID}>;tag=527520767\r\ni: {UUID}@{LOCAL[0].replace('.', '-')}\r\n"
            f"CSeq: 1 INVITE\r\nm: <sip:user@secret-host:16402>\r\nX-Name: {NAME}\r\nUser-Agent: Viceroy 1.7.0/GK\r\n"
            f"c: application/sdp\r\n{encoding}l: {len(body)}\r\n\r\n").encode() + body


def everywhere():
    """Frames; the packets' own addresses are of the secret ones, too."""
    txid = bytes.fromhex("000127f10e4a55c331b2a07d")
    listed = [stun.Candidate(1, LOCAL, 1), stun.Candidate(3, PUBLIC, 2), stun.Candidate(1, LOCAL6, 3),
              stun.Candidate(1, PEER6, 4)]
    check = stun.binding_request(txid, listed[0], listed[1], True, 5, 6, listed=listed)
    places = [(0, LOCAL, 0), (1, PEER, 5), (0, LOCAL6, 0)]
    link = modern.link_message(0x0004, [modern.connection_data(places), (0x0B, LINK_ID), (0x08, NAME.encode())], HMAC)
    http = b"GET / HTTP/1.1\r\nHost: www.secret.example\r\nCookie: cookie-of-hers\r\n\r\n"
    out = [(LOCAL, SERVER, payload) for payload in (
        check, stun.binding_response(txid, listed[1], listed[0], PUBLIC, 6, 7),
        stun.channel_data(0x4002, check), stun.channel_data(0x4002, invite("zlib")),
        stun.allocate_request(txid, TOKEN, PEER, TICKET), stun.allocate_success(txid, PUBLIC, TICKET),
        stun.channel_bind_request(txid, 0x4002, PEER, TICKET),
        stun.message(1, 0, txid, [stun.address(0x0020, LOCAL6, txid), stun.link_id(LINK_ID), stun.ske(SKE)]),
        snatmap.snatmap(1, 5, LOCAL), snatmap.snatmap(2, 5, PUBLIC), snatmap.commnat_test(2, 0x3A1B2000, PUBLIC),
        modern.relay(link, attr=0x20, participant=PARTICIPANT), modern.relay(modern.control(MKI, 1, MEDIA)),
        modern.relay(modern.rtp(100, 1, 2, 3, MEDIA, MKI)), modern.quic_initial(b"8-byte-id", lambda n: QUIC_TOKEN.ljust(n)),
        bytes.fromhex("90680001000000010000000244000002") + bytes(8) + MEDIA)]
    out += [(PEER, LOCAL, invite(coding)) for coding in ("none", "zlib", "raw", "gzip")]
    out += [(LOCAL6, PEER6, invite(coding, six=True)) for coding in ("none", "zlib")]
    frames = []
    for src, dst, payload in out:
        frames.append(Datagram(*src, *dst, bytes(payload)).frame()[12:])
    quote = packets.ipv4(LOCAL[0], PEER[0], packets.PROTO_UDP, packets.udp(LOCAL, PEER, bytes(check)))
    frames.append(b"\x08\0" + packets.ipv4(PEER[0], LOCAL[0], packets.PROTO_ICMP, packets.icmp(3, 3, 0, quote)))
    frames.append(b"\x08\0" + packets.ipv4(LOCAL[0], PEER[0], packets.PROTO_TCP, packets.tcp(
        (LOCAL[0], 50000), (PEER[0], 80), 1, 1, packets.ACK, http)))
    frames.append(b"\x08\0" + packets.ipv4(LOCAL[0], PEER[0], packets.PROTO_UDP, packets.udp(
        (LOCAL[0], 50000), (PEER[0], 53), b"\0\1\1\0\0\1" + bytes(6) + b"www.secret.example")))
    frames.append(b"\x08\x06" + bytes.fromhex("0001080006040001") + MACS[0] + packets.ip_bytes(LOCAL[0]) + MACS[1]
                  + packets.ip_bytes("192.168.77.1"))
    return [MACS[0] + MACS[1] + frame for frame in frames]


def test_every_place(tshark, make_capture):
    capture = make_capture(everywhere())
    secrets = SECRETS + [form for address, _ in (LOCAL, PUBLIC, PEER, LOCAL6, PEER6)
                         for form in forms(ipaddress.ip_address(address))]
    found = leaks(secrets, capture.read_bytes())
    assert set(SECRETS) <= set(found), "the search finds what is there"
    assert not leaks(secrets, washed(capture).read_bytes())


def test_every_place_decodes_as_before(tshark, own_fields, make_capture):
    test_decodes_as_before(tshark, own_fields, make_capture(everywhere()))


def test_checksums_stay_right(tshark, make_capture):
    capture = washed(make_capture(everywhere()))
    checks = "ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmp.checksum.status"
    prefs = {f"{p}.check_checksum": True for p in ("ip", "udp", "tcp")}
    rows = tshark.rows(capture, *checks, prefs=prefs)
    states = [value for row in rows for field in checks for value in row[field]]
    assert len(states) >= 2 * len(rows) - 4 and set(states) <= {"1", "Good"}, states


def test_one_stand_in_for_one_original(tshark, make_capture):
    """The public address, as its owner's packets, SNATMAP, CommNAT, STUN and SDP tell it, is one address again."""
    capture = washed(make_capture(everywhere()))
    told = {field: set(tshark.values(capture, field)) for field in
            ("snatmap.ipv4", "commnat.ipv4", "stun.att.ipv4", "sdp.connection_info.address", "gkstun.candidate.ipv4")}
    (public,) = told["commnat.ipv4"]
    assert public in told["snatmap.ipv4"] & told["gkstun.candidate.ipv4"] & told["sdp.connection_info.address"], told
    assert len(public) == len(PUBLIC[0]) and ipaddress.ip_address(public) in ipaddress.ip_network("198.18.0.0/15")


# What isn't understood: a text where a message has numbers, or behind its end

TEXT = b"Jane Appleseed's phone, 1 Infinite Loop, room 4, behind the door to the left of it; ring twice"
WIDE = "J\u00e4ne Appleseed's own".encode()
REVERSED = b"".join(packets.ip_bytes(address)[::-1] for address in ("192.168.77.23", "71.15.163.132", "166.198.224.114",
                                                                     "24.55.66.77"))


def attribute(number, value):
    return bytes(stun.message(1, 0, bytes(range(12)), [stun.Attribute(number, value)]))


def tlv(number, value):
    return bytes(modern.relay(modern.link_message(0x0004, [(number, value)], bytes(20)), attr=0x20))


def rtcp(kind, count, body):
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def rtp(head, rest):
    return head + struct.pack("!HII", 1, 2, 3) + rest


# name: (datagram, what must be gone[, ports: 16402 on both sides unless told])
MISFITS = {
    "relay header of no length": (b"\x60\0\0\0" + TEXT, TEXT, (50000, 3478)),
    "relay header of one byte": (b"\x60\0\0\1" + TEXT, TEXT, (50000, 3478)),
    "text that begins as a channel": (b"`" + TEXT, TEXT, (50000, 3478)),
    "text to a relay": (b"J" + TEXT, TEXT, (50000, 3478)),
    "long list in a relay header": (bytes(modern.relay(b"\xff" + TEXT * 6, streams=[])).replace(b"\0\xffJ", b"\xff\xffJ"),
                                    TEXT),
    "connection id of QUIC": (b"\xc3\0\0\0\1" + bytes([len(TEXT)]) + TEXT + bytes(20), TEXT),
    "baseband report, longer": (bytes(modern.baseband(7, 5, 0, 1, 2, 3, 4)) + TEXT, TEXT),
    "baseband report, text": (b"\xde\xad\xbe\xef\xca\xfe\0\2" + TEXT, TEXT),
    "baseband, short form": (bytes(modern.baseband_short()) + TEXT, TEXT),
    "baseband, dropped packets": (bytes(modern.baseband_drop(1, 2, 3, [(100, [1, 2])])) + TEXT, TEXT),
    "baseband, numbers that are a text": (bytes(modern.baseband_drop(1, 2, 3, []) + b"\x64\0\x20" + TEXT), TEXT),
    "baseband, another form": (b"\xde\xad\xbe\xef" + TEXT, TEXT),
    "CommNAT report": (b"\0\2\0\1\1\2\3\4" + TEXT[:8], TEXT[:8]),
    "CommNAT report, answer": (b"\0\2\0\2\1\2\3\4" + TEXT[:8], TEXT[:8]),
    "CHANGE-REQUEST": (attribute(0x0003, TEXT), TEXT),
    "ERROR-CODE": (attribute(0x0009, b"\0\0\4\x25" + TEXT), TEXT),
    "UNKNOWN-ATTRIBUTES": (attribute(0x000A, TEXT), TEXT),
    "USERNAME, text": (attribute(0x0006, TEXT), TEXT),
    "USERNAME, UTF-8": (attribute(0x0006, WIDE[:20]), WIDE[:20]),
    "REALM": (attribute(0x0014, TEXT), TEXT),
    "NONCE": (attribute(0x0015, TEXT), TEXT),
    "SOFTWARE": (attribute(0x8022, TEXT), TEXT),
    "unknown attribute, short text": (attribute(0x8777, TEXT[:8] + bytes(24)), TEXT[:8]),
    "TLV of four letters": (tlv(0x08, b"Jane\0\0\0\0"), b"Jane"),
    "TLV that looks like a washed UUID": (tlv(0x0B, b"Jane\0\0\x40\0\x80leseed\0"), b"Jane"),
    "key id of four letters": (bytes(modern.relay(modern.control(b"Jane\0\0\x40\0", 1, MEDIA))), b"Jane"),
    "candidates without addresses": (attribute(0x8009, b"\0\1\0" + REVERSED), REVERSED),
    "candidates, text": (attribute(0x8009, b"\0\1\x10" + bytes(4) + TEXT[:64]), TEXT[:64]),
    "connection data without addresses": (tlv(0x03, b"\x20\5" + REVERSED + b"abcd"), REVERSED),
    "connection data, text": (tlv(0x03, b"\x20\x3f" + TEXT), TEXT),
    "interfaces": (tlv(0x15, b"\x20\7" + TEXT[:84]), TEXT[:84]),
    "interfaces, no form": (tlv(0x15, TEXT[:86]), TEXT[:86]),
    "property list": (tlv(0x16, b"bplist00" + TEXT), TEXT),
    "SDES, CNAME": (rtcp(202, 1, b"\0\0\0\1\1\x20" + TEXT[:32] + b"\0\0"), TEXT[:32]),
    "SDES of no chunks": (rtcp(202, 0, TEXT[:64]), TEXT[:64]),
    "BYE, reason": (rtcp(203, 1, b"\0\0\0\1\x20" + TEXT[:32] + b"\0\0\0"), TEXT[:32]),
    "BYE, behind the reason": (rtcp(203, 1, b"\0\0\0\1\1x\0\0" + TEXT[:64]), TEXT[:64]),
    "SR": (rtcp(200, 0, bytes(24) + TEXT[:64]), TEXT[:64]),
    "RR": (rtcp(201, 1, bytes(28) + TEXT[:64]), TEXT[:64]),
    "transport feedback": (rtcp(205, 1, bytes(8) + TEXT[:64]), TEXT[:64]),
    "payload feedback": (rtcp(206, 15, bytes(8) + TEXT[:64]), TEXT[:64]),
    "APP": (rtcp(204, 0, bytes(4) + TEXT[:64]), TEXT[:64]),
    "RTP on any port": (b"\x80" + TEXT, TEXT, (50000, 50001)),
    "RTCP on any port": (rtcp(201, 31, TEXT[:64]), TEXT[:64], (50000, 50001)),
    "RTP with CSRCs on any port": (rtp(b"\x8f\x68", TEXT), TEXT, (50000, 50001)),
    "RTP of no such payload type": (b"\x80\x2a" + TEXT, TEXT),
    "RTP with CSRCs in a channel": (bytes(stun.channel_data(0x4002, rtp(b"\x8f\x68", TEXT))), TEXT),
    "RTP, extension of others": (rtp(b"\x90\x68", b"\xbe\xde\0\x14" + TEXT[:80]), TEXT[:80]),
    "RTP, long extension": (rtp(b"\x90\x68", b"\x85\0\0\x18" + bytes(12) + TEXT[:80] + bytes(4)), TEXT[:80]),
    "RTP, extension that is a text": (rtp(b"\x90\x64", b"\x10\0\0\x14" + TEXT[:80]), TEXT[:80]),
}
GONE = 6        # so many bytes in a row are a leak


@functools.lru_cache(maxsize=None)
def washed_misfits():
    """{name: the datagram afterwards}"""
    frames = [Datagram(LOCAL[0], ports[0], PEER[0], ports[1], datagram).frame()
              for datagram, _, ports in ((*row, (16402, 16402))[:3] for row in MISFITS.values())]
    after, at, found = washed(support.write_capture(support.pcap_bytes(frames))).read_bytes(), 24, {}
    for name, frame in zip(MISFITS, frames):
        at += 16 + len(frame)
        found[name] = after[at - len(frame) + 42:at]
    assert at == len(after)
    return found


@pytest.mark.parametrize("name", MISFITS)
def test_what_is_not_understood_is_overwritten(name):
    before, secret, after = *MISFITS[name][:2], washed_misfits()[name]
    size = min(GONE, len(secret))
    assert secret in before and len(before) == len(after)
    left = [secret[i:i + size] for i in range(len(secret) - size + 1) if secret[i:i + size] in after]
    assert not left, after


def test_misfits_stay_when_washed_again():
    washed_misfits()
    frames = [Datagram(LOCAL[0], 50000, PEER[0], 3478, datagram).frame() for datagram, *_ in MISFITS.values()]
    once = washed(support.write_capture(support.pcap_bytes(frames)))
    assert run_tool(once, support.stage() / "misfits-twice", "--key", "another").read_bytes() == once.read_bytes()


def test_what_is_understood_stays():
    """Beside each of the misfits: the same place, rightly filled."""
    pair = stun.username(0x12345678 << 32, 0x23456789 << 32, 7, 8).value
    derived = stun.username(0x12345678 << 32 | 0x23456789, 0x23456789 << 32).value
    low = stun.username(1 << 32, 2 << 32).value
    stays = [attribute(0x0006, pair), attribute(0x0006, derived), attribute(0x0006, low), attribute(0x0009, b"\0\0\4\x25Allocation Mismatch"),
             attribute(0x000A, b"\0\x22\x80\x09"), attribute(0x0003, b"\0\0\0\6"),
             bytes(modern.baseband_drop(0, 8, 0, [(100, [65535, 0, 2]), (104, [7])])),
             bytes(snatmap.commnat_report(1, 0x1234, 0x112)),
             rtcp(200, 1, bytes(range(1, 49))), rtcp(201, 1, bytes(range(1, 29))), rtcp(205, 1, bytes(range(1, 9)))]
    frames = [Datagram("17.1.2.3", 16402, "17.1.2.4", 16402, datagram).frame() for datagram in stays]
    before = support.pcap_bytes([b"\x02\x12\xc6" * 4 + frame[12:] for frame in frames])
    assert washed(support.write_capture(before)).read_bytes() == before


# SIP and SDP: every place of a text that a user, an operating system or another program may have chosen

SIX = "2600:1700:a1b2:c3d4:5e6f:7a8b:9cad:beef"
PLACES = [      # a start line, a header or a line of SDP; what may not be left of it
    ("INVITE sip:user@17.1.1.1;device=janes-phone SIP/2.0", "janes"),
    ("INVITE sip:user@17.1.1.1?subject=Appleseed SIP/2.0", "Appleseed"),
    ("INVITE tel:5558675309 SIP/2.0", "5558675309"),
    ("SIP/2.0 486 Jane is out", "Jane"),
    (r'To: "Jane \"JJ\" Appleseed" <sip:user@17.1.1.1>', "Jane JJ Appleseed"),
    ('To: "Jane <3 Appleseed" <sip:user@17.1.1.1>', "Jane Appleseed"),
    ('To: Jane "x" <sip:user@17.1.1.1>', "Jane"),
    ('To: "Jane Appleseed <sip:user@17.1.1.1>', "Jane Appleseed"),
    ("To: 5558675309 <sip:user@17.1.1.1>", "5558675309"),
    ("From: Jane\r\n Appleseed <sip:user@17.1.1.1>;tag=7", "Jane Appleseed"),
    ("From: <sip:user@17.1.1.1>;tag=janes-phone", "janes"),
    ("From: <sip:user@17.1.1.1>;tag=7;jane=1", "jane"),
    ('Contact: <sip:user@17.1.1.1>, "Appleseed" <sip:jane@17.1.1.1>', "Appleseed jane"),
    ("Contact: <tel:5558675309>", "5558675309"),
    ("Contact: <SIP:jane@17.1.1.1>", "jane"),
    ("Contact: <sip:user:pass4jane@17.1.1.1>", "pass4jane"),
    ("Contact: <sip:user@17.1.1.1;device=janes-phone>;isfocus", "device janes phone"),
    (f"Contact: <sip:user@{SIX}>", "2600 1700 a1b2 beef"),
    (f"Contact: <sip:user@{SIX}:16402>", "2600 1700 a1b2 beef"),
    ("Contact: <sip:user@[2600:1700:12>", "2600 1700"),
    ("Via: SIP/2.0/UDP 17.1.1.1:16402;received=janes-mac.local", "janes"),
    ("Via: SIP/2.0/UDP janes-mac.local:16402;branch=z9hG4bK-jane", "jane"),
    ("Via: SIP/2.0/UDP 17.1.1.1:16402;branch=z9hG4bK12, SIP/2.0/UDP janes-mac.local", "janes"),
    ('Reason: *;cause=291;text="Jane Appleseed left"', "Jane Appleseed"),
    ("Reason: *;cause=291;text=lost 192.168.77.23.", "192.168.77"),
    (f"Reason: lost {SIX}.", "2600 1700 a1b2 beef"),
    ("User-Agent: Viceroy 1.7.0/GK (Jane's iPhone)", "Jane iPhone"),
    ("User-Agent: Viceroy 555.867.5309", "867"),
    ("Allow: INVITE, APPLESEED", "APPLESEED"),
    ("Event: jane;id=jane", "jane"),
    ("Appleseeds-Header: 1", "Appleseed"),
    ("Subject: Call Jane", "Jane"),
    ("Content-Type: application/sdp;name=janes-sdp", "janes"),
    ("Call-ID: janes-phone-" + UUID + "@17-1-1-1", "janes phone " + UUID),
    ("Call-ID: " + UUID + "@janes-mac", "janes " + UUID),
    ("o=Jane Appleseed 0 0 IN IP4 17.1.1.1", "Jane Appleseed"),
    ("o=- 5558675309 0 IN IP4 17.1.1.1", "5558675309"),
    ("o=jane 0 0 IN IP4 janes-mac.local", "jane"),
    ("c=IN IP4 janes-mac.local", "janes"),
    ("c=IN IP6 2600:1700:12", "2600 1700"),
    ("c=IN IP4 192.168.77", "192.168"),
    ("b=JANE:250", "JANE"),
    ("t=0 0 jane", "jane"),
    ("k=clear:jane", "jane"),
    ("m=audio 16402 RTP/AVP 104 appleseed", "appleseed"),
    ("a=rtcp:16402 IN IP4 janes-mac.local", "janes"),
    ("a=rtcp:16402 IN IP6 2600:1700", "2600 1700"),
    ("a=au:192.168.77.23.", "192.168.77"),
    ("a=au:5558675309", "5558675309"),
    ("a=fmtp:104 sbr;name=Appleseed", "name Appleseed"),
    ("a=rtpmap:104 Appleseed/24000", "Appleseed"),
    ("a=FLS;VRA:0;JANE:1;", "JANE"),
    ("a=CAP Jane", "Jane"),
    ("a=imageattr:126 send [x=320,y=240,name=Appleseed]", "name Appleseed"),
    ("a=Appleseed", "Appleseed"),
    ("a=janes-attribute:1", "janes"),
    ("Jane was here", "Jane"),
]


def sip_with(line, number):
    """An INVITE with that line. CSeq is the number; nothing else in it is a secret."""
    start = "INVITE sip:user@17.1.1.1:16402 SIP/2.0"
    headers = {"Via": "SIP/2.0/UDP 17.1.1.2:16402;branch=z9hG4bK1532", "To": "<sip:user@17.1.1.1:16402>",
               "From": "<sip:user@17.1.1.2:16402>;tag=52", "Call-ID": "addressid", "CSeq": f"{number} INVITE",
               "User-Agent": "Viceroy 1.7.0/GK", "Content-Type": "application/sdp"}
    session = {"v": "0", "o": "- 0 0 IN IP4 17.1.1.2", "s": "-", "c": "IN IP4 17.1.1.2", "b": "AS:2000", "t": "0 0"}
    media, extra = "audio 16402 RTP/AVP 104", ["a=rtcp:16402"]
    name, _, value = line.partition(":")
    if line.startswith(("INVITE ", "SIP/2.0 ")):
        start = line
    elif line[1] == "=" and line[0] in session:
        session[line[0]] = line[2:]
    elif line.startswith("m="):
        media = line[2:]
    elif line[1] == "=" or line == "Jane was here":
        extra.append(line)
    else:
        headers[name] = value.strip()
    body = "".join(f"{text}\r\n" for text in [*map("=".join, session.items()), "m=" + media, *extra])
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{start}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def relayed(payloads):
    return [Datagram("17.1.1.1", 16402, "17.1.1.2", 16385, stun.channel_data(0x4002, data)) for data in payloads]


def udp_payloads(tshark, capture):
    return [bytes.fromhex(value) for value in tshark.values(capture, "udp.payload")]


def test_sip_keeps_no_text(tshark, make_capture):
    capture = make_capture(relayed([sip_with(line, number) for number, (line, _) in enumerate(PLACES, 1)]))
    after = udp_payloads(tshark, washed(capture))
    for before, data, (line, secrets) in zip(udp_payloads(tshark, capture), after, PLACES, strict=True):
        for secret in secrets.encode().split():
            assert secret.lower() in before.lower() and secret.lower() not in data.lower(), (line, data)
    assert run_tool(washed(capture), support.stage() / "sip-twice").read_bytes() == washed(capture).read_bytes()


def test_washed_sip_still_parses(tshark, make_capture):
    lines = [line for line, _ in PLACES if "tel:5558675309 SIP" not in line]    # stock SIP asks for sip:
    capture = make_capture(relayed([sip_with(line, number) for number, line in enumerate(lines, 1)]))
    before, after = (tshark.rows(file, "sip.CSeq.seq", "sdp.media.port", "_ws.malformed")
                     for file in (capture, washed(capture)))
    assert before == after      # a line without "=" is malformed for stock SDP, before and after
    for number, (row, line) in enumerate(zip(after, lines, strict=True), 1):
        assert (row["sip.CSeq.seq"], row["sdp.media.port"]) == ([str(number)], ["16402"]), line


KNOWN = [       # lines that stay as they are (facts: the offers of 2010 and 2015, RFC 3261)
    "SIP/2.0 180 Ringing", "SIP/2.0 481 Call/Transaction Does Not Exist",
    "Via: SIP/2.0/UDP 17.1.1.2:16402;rport;branch=z9hG4bK15ab",
    "Contact: <sip:user@17.1.1.2:16402>;isfocus", "Contact: <sip:user@[2620:149::1]:16402;transport=udp>", "Max-Forwards: 70",
    "Reason: *;cause=291;text=\"Remote Hang Up\"", "Reason: *;cause=0;text=\"Normal Call Termination\"",
    "User-Agent: Viceroy 1.4.1",
    "SKESeq: 18446744073709551615;4294967295", "Allow: INVITE, ACK, BYE", "o=GKVoiceChatService 0 0 IN IP4 17.1.1.2", "s=mobile",
    "b=AS:2000:2000", "m=audio 16402 RTP/AVP 104 105 106 9 0 124 122 121 119", "a=hwi:17412:2:2800", "a=iChatEncryption:YES",
    "a=bandwidthDetection:NO", "a=rtpmap:105 X-AAC_ELD/22050", "a=fmtp:AAC SamplesPerBlock 480", "a=rtpID:2853556652",
    "a=fmtp:126 imagesize 0 rules 15:320:240:320:240:15", "a=RTCP:AUDIO 16402 VIDEO 16402", "a=framerate:15", "a=DMBR", "a=CAP",
    "a=X_FLS:123 FLS;VRA:0;MVRA:0;RVRA1:1;AS:2;MS:-1;LTR;CABAC;CR:3;LF:-1;PR;AR:4/3,3/4;XR;", "a=rtcp-fb:* rpsi nack",
    "a=imageattr:123 send [x=[320:16:640],y=240,fps=30] recv [x=1024,y=768,fps=30,q=1.00] [x=320,y=240,fps=15,i=1]"]


def test_sip_keeps_what_is_known(tshark, make_capture):
    capture = make_capture(relayed([sip_with(line, number) for number, line in enumerate(KNOWN, 1)]))
    for line, data in zip(KNOWN, udp_payloads(tshark, washed(capture)), strict=True):
        assert f"{line}\r\n".encode() in data, line


@pytest.mark.parametrize("text, kept", [
    ("PING", "PING"), ("Mom:call me", None), ("VCHandoverCandidateChange:Jane", "VCHandoverCandidateChange:")])
def test_text_messages(tshark, make_capture, text, kept):
    head = ("MESSAGE sip:user@17.1.1.1 SIP/2.0\r\nCall-ID: addressid\r\nCSeq: 1 MESSAGE\r\n"
            f"Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n")
    (data,) = udp_payloads(tshark, washed(make_capture(relayed([(head + text).encode()]))))
    body = data.partition(b"\r\n\r\n")[2]
    assert body.startswith((kept or "").encode()) and not re.search(rb"Mom|call|Jane", body)


def test_gzip_keeps_no_name_of_a_file(tshark, make_capture):
    """Also where the text has nothing to wash."""
    body = sip_with("a=DMBR", 1).partition(b"\r\n\r\n")[2]
    coded = zlib.compressobj(9, zlib.DEFLATED, -15)
    coded = (b"\x1f\x8b\x08\x08" + b"time" + b"\x02\x03" + b"janes-call.sdp\0" + coded.compress(body) + coded.flush()
             + struct.pack("<II", zlib.crc32(body), len(body)))
    head = ("INVITE sip:user@17.1.1.1 SIP/2.0\r\nCall-ID: addressid\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
            f"Content-Encoding: gzip\r\nContent-Length: {len(coded)}\r\n\r\n").encode()
    after = washed(make_capture(relayed([head + coded])))
    (data,) = udp_payloads(tshark, after)
    assert b"janes" not in data and b"time" not in data
    assert zlib.decompress(data.partition(b"\r\n\r\n")[2], 31) == body
    assert tshark.values(after, "sdp.media.port") == ["16402"]


# Files

@pytest.mark.parametrize("name", ["facetime-caller", "ipv6", "modern-call", "sip-damaged-bodies", "sip-gzip"])
def test_washing_twice_is_washing_once(name):
    once = washed(support.TEST_CAPTURES / f"{name}.pcapng")
    twice = run_tool(once, support.stage() / f"twice-{name}", "--key", "another")
    assert twice.read_bytes() == once.read_bytes()


def test_every_place_twice(make_capture):
    once = washed(make_capture(everywhere()))
    assert run_tool(once, support.stage() / "twice", "--key", "another").read_bytes() == once.read_bytes()


def test_another_key_gives_other_stand_ins(make_capture):
    capture = make_capture(everywhere())
    assert run_tool(capture, support.stage() / "other", "--key", "other").read_bytes() != washed(capture).read_bytes()


def test_comments_and_names_are_left_out():
    capture = support.TEST_CAPTURES / "facetime-caller.pcapng"
    assert b"reconstruction" in capture.read_bytes() and b"generate.py" in capture.read_bytes()
    assert b"reconstruction" not in washed(capture).read_bytes() and b"generate.py" not in washed(capture).read_bytes()


def block(number, body, size=None):
    size = size or 12 + len(body)
    return struct.pack("<II", number, size) + body + struct.pack("<I", size)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 0))


@pytest.mark.parametrize("bad", [b"", b"no capture", block(0x0A0D0D0A, SECTION[8:12]), SECTION + block(1, b""),
                                 SECTION + INTERFACE + block(6, b""), SECTION + INTERFACE + block(6, bytes(8)),
                                 SECTION + INTERFACE + block(2, b""), SECTION + INTERFACE + block(3, b""),
                                 struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 105),
                                 support.pcap_bytes([b"\0" * 60])[:-1],
                                 support.pcap_bytes([bytes(12) + b"\x81\0\0\0" * 9000])],
                         ids=lambda bad: f"{len(bad)}-bytes")
def test_what_cannot_be_washed_gives_no_file(tmp_path, bad):
    (tmp_path / "in").write_bytes(bad)
    done = subprocess.run([sys.executable, TOOL, tmp_path / "in", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("wash-capture: ")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("output, told", [("absent/out", "absent"), (".", "is a folder"), ("in/out", "in")])
def test_where_nothing_can_be_written(tmp_path, output, told):
    (tmp_path / "in").write_bytes(support.pcap_bytes([bytes(60)]))
    done = subprocess.run([sys.executable, TOOL, tmp_path / "in", tmp_path / output], capture_output=True, text=True)
    assert done.returncode and told in done.stderr and "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_missing_input(tmp_path):
    done = subprocess.run([sys.executable, TOOL, tmp_path / "absent", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("wash-capture: ") and "absent" in done.stderr
    assert not list(tmp_path.iterdir())


def test_cut_packets(make_capture):
    """A capture with a snap length: no crash, no address, at any length."""
    frames = everywhere()
    whole = support.pcap_bytes(frames)
    for kept in (20, 33, 38, 47, 55, 70, 90, 130, 200, 400):
        data, at = bytearray(whole[:24]), 24
        while at < len(whole):
            seconds, micros, size, full = struct.unpack("<IIII", whole[at:at + 16])
            data += struct.pack("<IIII", seconds, micros, min(size, kept), full) + whole[at + 16:at + 16 + min(size, kept)]
            at += 16 + size
        secrets = SECRETS + [form for address, _ in (LOCAL, PUBLIC, PEER, LOCAL6, PEER6)
                             for form in forms(ipaddress.ip_address(address))]
        assert not leaks(secrets, washed(support.write_capture(bytes(data))).read_bytes()), kept
