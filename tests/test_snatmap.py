# SPDX-License-Identifier: GPL-2.0-or-later
"""SNATMAP and CommNAT: the 16-byte messages before a call."""

import random
import struct

import pytest

import support
from support import Datagram

# The exchange of the cellular capture of 2023.
DEVICE = ("10.127.22.118", 16402)
SERVER = ("17.188.181.8", 3480)
REQUEST = bytes.fromhex("00000001 2f317375 0a7f1676 4012 aaaa")
RESPONSE = bytes.fromhex("00000002 2f317375 5939e78d 4b4f aaaa")

# One CommNAT test: base token 3A1B2000, constructed from the layout (no capture of one is public).
PHONE = ("10.0.0.9", 16403)
MAIN0 = ("17.173.255.222", 16384)
MAIN1 = ("17.173.255.222", 16385)
COHORT = ("17.173.255.223", 16386)
MAPPED = ("203.0.113.7", 50001)
TEST_MAIN0 = bytes.fromhex("00010001 00201b3a ffffffff ffff ffff")
TEST_MAIN1 = bytes.fromhex("00010001 00704e6f ffffffff ffff ffff")
TEST_COHORT = bytes.fromhex("00010001 0080b190 ffffffff ffff ffff")
TEST_HAIRPIN = bytes.fromhex("00010001 00d0e4c5 ffffffff ffff ffff")
TEST_RESPONSE = bytes.fromhex("00010002 00201b3a 34ff8ef8 3cae ffff")
REPORT = bytes.fromhex("00020001 3412ed5e fffffeed ffff ffff")
REPORT_RESPONSE = bytes.fromhex("00020002 3412ed5e fffffeed ffff ffff")

FLAGS = {
    0x001: "server_silent", 0x002: "independent_mapping", 0x004: "symmetric", 0x008: "main_ports_differ",
    0x010: "port_preserved", 0x020: "ports_in_order", 0x040: "no_alternate_main",
    0x080: "no_alternate_cohort", 0x100: "hairpin",
}


def snatmap(payload=REQUEST, **changes):
    return Datagram(*DEVICE, *SERVER, payload)._replace(**changes)


def commnat(payload, server=MAIN0, **changes):
    return Datagram(*PHONE, *server, payload)._replace(**changes)


def rows(tshark, make_capture, datagrams, *fields, **how):
    return tshark.rows(make_capture(datagrams), *fields, **how)


def claimed(tshark, make_capture, datagrams):
    """Which of the named datagrams are taken for ours, each from a host of its own: no flow helps another."""
    apart = [d._replace(src=f"10.9.0.{n}") for n, d in enumerate(datagrams.values(), 1)]
    frames = tshark.frames(make_capture(apart), "facetime or snatmap or commnat")
    return [name for n, name in enumerate(datagrams, 1) if n in frames]


def experts(tshark, make_capture, protocol, datagrams):
    """The expert infos of the protocol at each datagram; the first one claims the flow."""
    names = [name for name, kind in tshark.field_types.items()
             if name.startswith(protocol + ".") and kind == "FT_NONE"]
    return [[name.split(".")[1] for name in names if row[name]]
            for row in tshark.rows(make_capture(datagrams), *names)]


# SNATMAP

@pytest.fixture(scope="module")
def exchange(make_capture):
    return make_capture([snatmap(), snatmap().reply(RESPONSE)])


def test_request_is_plain(exchange, tshark):
    row = tshark.rows(exchange, "snatmap.type", "snatmap.nonce", "snatmap.ipv4", "snatmap.port",
                      "snatmap.raw", "snatmap.unused")[0]
    assert row == {"snatmap.type": ["1"], "snatmap.nonce": ["0x2f317375"], "snatmap.ipv4": ["10.127.22.118"],
                   "snatmap.port": ["16402"], "snatmap.raw": ["0a7f16764012"], "snatmap.unused": ["aaaa"]}


def test_response_is_inverted(exchange, tshark):
    row = tshark.rows(exchange, "snatmap.type", "snatmap.nonce", "snatmap.ipv4", "snatmap.port",
                      "snatmap.raw", "snatmap.unused")[1]
    assert row == {"snatmap.type": ["2"], "snatmap.nonce": ["0x2f317375"], "snatmap.ipv4": ["166.198.24.114"],
                   "snatmap.port": ["46256"], "snatmap.raw": ["5939e78d4b4f"], "snatmap.unused": ["aaaa"]}


def test_line_of_the_packet(exchange, tshark):
    names = tshark.names(exchange, "facetime.kind", "facetime.path", "facetime.generation")
    assert [list(row.values()) for row in names] == [["snatmap", "server", "modern"]] * 2


def test_columns(exchange, tshark):
    lines = tshark.lines(exchange, "-T", "tabs", "-o", 'gui.column.format:"P","%p","I","%i"')
    assert lines == ["SNATMAP\tRequest from 10.127.22.118:16402",
                     "SNATMAP\tResponse: mapped to 166.198.24.114:46256"]


def test_real_capture(real, tshark):
    capture = real("facetime-2023-cellular.pcapng")
    assert tshark.rows(capture, "frame.number", "snatmap.ipv4", "snatmap.port", "snatmap.response_to",
                       filter="snatmap") == [
        {"frame.number": ["28"], "snatmap.ipv4": ["10.127.22.118"], "snatmap.port": ["16402"],
         "snatmap.response_to": []},
        {"frame.number": ["67"], "snatmap.ipv4": ["166.198.24.114"], "snatmap.port": ["46256"],
         "snatmap.response_to": ["28"]}]
    assert tshark.values(capture, "snatmap.response_in", two_pass=True) == ["67"]


@pytest.mark.parametrize("server, generation", [
    (("17.188.181.8", 3478), "modern"), (("17.188.181.8", 3497), "modern"),
    (("17.173.255.222", 16384), "legacy"), (("17.173.255.222", 16387), "legacy"),
    (("17.151.0.1", 5678), "legacy"),
])
def test_generation_follows_the_port(server, generation, tshark, make_capture):
    capture = make_capture([Datagram(*DEVICE, *server, REQUEST), Datagram(*server, *DEVICE, RESPONSE)])
    assert tshark.names(capture, "facetime.generation") == [{"facetime.generation": generation}] * 2


def test_links_and_time(tshark, make_capture):
    """A retransmission belongs to the exchange of the first request; another nonce is another exchange."""
    other = REQUEST[:4] + bytes.fromhex("11223344") + REQUEST[8:]
    other_response = RESPONSE[:4] + bytes.fromhex("11223344") + RESPONSE[8:]
    capture = make_capture([snatmap(time=0), snatmap(other, time=1), snatmap(time=2),
                            snatmap().reply(other_response, time=2.5), snatmap().reply(RESPONSE, time=4)])
    fields = "snatmap.response_in", "snatmap.response_to", "snatmap.time"
    assert [[r[f] for f in fields] for r in tshark.rows(capture, *fields, two_pass=True)] == [
        [["5"], [], []], [["4"], [], []], [["5"], [], []],
        [[], ["2"], ["1.500000000"]], [[], ["1"], ["4.000000000"]]]


def test_response_without_request_has_no_link(tshark, make_capture):
    row, = rows(tshark, make_capture, [snatmap().reply(RESPONSE)], "snatmap.ipv4", "snatmap.response_to",
                "snatmap.time")
    assert row == {"snatmap.ipv4": ["166.198.24.114"], "snatmap.response_to": [], "snatmap.time": []}


def test_seen_outside_of_the_nat(tshark, make_capture):
    """There the device has its mapped address; the request still tells the one inside."""
    capture = make_capture([Datagram("166.198.24.114", 46256, *SERVER, REQUEST),
                            Datagram(*SERVER, "166.198.24.114", 46256, RESPONSE)])
    assert tshark.values(capture, "snatmap.response_to") == ["1"]


def test_response_alone_seen_outside_of_the_nat(tshark, make_capture):
    """What proves it is that it tells the address it goes to."""
    told = Datagram(*SERVER, "166.198.24.114", 46256, RESPONSE)
    assert tshark.count(make_capture([told]), "snatmap") == 1
    assert tshark.count(make_capture([told._replace(dport=46257)]), "snatmap or facetime") == 0


NEAR_MISSES = {
    "type 0": snatmap(bytes(4) + REQUEST[4:]),
    "type 3": snatmap(b"\0\0\0\3" + REQUEST[4:]),
    "15 bytes": snatmap(REQUEST[:15]),
    "17 bytes": snatmap(REQUEST + b"\0"),
    "no server's port": snatmap(dport=3498),
    "request from a server's port": snatmap().reply(REQUEST),
    "response to a server's port": snatmap(RESPONSE),
    "a port that no device of ours has": snatmap(REQUEST[:12] + b"\x27\x10" + REQUEST[14:]),
    "multicast": snatmap(REQUEST[:8] + bytes([224, 0, 0, 1]) + REQUEST[12:]),
    "no address": snatmap(REQUEST[:8] + bytes(4) + REQUEST[12:]),
}


def test_near_misses_are_not_claimed(tshark, make_capture):
    assert claimed(tshark, make_capture, {"the real one": snatmap(), **NEAR_MISSES}) == ["the real one"]


def test_random_datagrams_are_not_claimed(tshark, make_capture):
    """16 random bytes between our ports: fewer than 1 of 100,000."""
    rand = random.Random(16402)
    ports = list(range(16384, 16411)) + list(range(3478, 3498)) + [5678]
    capture = make_capture([
        Datagram("10.0.0.2", rand.choice(ports), "17.0.0.1", rand.choice(ports), rand.randbytes(16))
        for _ in range(100_000)])
    assert tshark.count(capture, "snatmap or commnat or baseband") == 0


def test_a_response_teaches_the_mapped_end(tshark, make_capture):
    """A capture of both ends: the far side sends to the mapped address, which is FaceTime's from then on."""
    binding = bytes.fromhex("00010000 2112a442 000102030405060708090a0b")
    peer = ("198.51.100.7", 16402)
    toward = Datagram(*peer, "166.198.24.114", 46256, binding)
    exchange = [snatmap(), snatmap().reply(RESPONSE)]
    capture = make_capture([toward] + exchange + [toward._replace(sport=16393)])
    assert tshark.frames(capture, "facetime") == [2, 3, 4]


# SNATMAP, damaged

def test_every_truncation_of_a_liar(tshark, make_capture):
    """Each length, sent to the dissector by hand: below 16 has a name, and what is there is shown."""
    for payload, address in ((REQUEST, "0a7f1676"), (RESPONSE, "5939e78d")):
        capture = make_capture(support.truncations(snatmap(payload)))
        lines = tshark.lines(capture, "-d", "udp.port==16402,snatmap", "-T", "fields",
                             "-e", "snatmap.bad_length", "-e", "snatmap.type", "-e", "snatmap.nonce",
                             "-e", "snatmap.raw")
        for length, line in enumerate(lines, 1):
            bad, kind, nonce, raw = line.split("\t")
            assert bool(bad) == (length < 16)
            assert bool(kind) == (length >= 4)
            assert bool(nonce) == (length >= 8)
            expected = (address + "40124b4f"[0 if payload is REQUEST else 4:][:4])[:2 * min(length, 14) - 16]
            assert raw.replace(":", "")[:12] == (expected if length > 8 else "")


def test_every_truncation_in_its_flow(tshark, make_capture):
    """In a flow that is FaceTime's, cut by the sender or by the capture."""
    cuts = [d for snapped in (False, True) for d in support.truncations(snatmap(), snapped)]
    capture = make_capture([snatmap(), snatmap().reply(RESPONSE)] + cuts)
    assert tshark.count(capture, "_ws.malformed && !snatmap.bad_length") == 0
    # cut by the sender, the type tells what it is; cut by the capture, the datagram's length
    assert tshark.frames(capture, "snatmap") == [1, 2, *range(6, 35)]
    assert tshark.frames(capture, "snatmap.bad_length") == [*range(6, 18)]
    assert tshark.frames(capture, "snatmap.cut") == [*range(19, 34)]
    assert tshark.frames(capture, 'facetime.path == "server"') == [1, 2, *range(6, 35)]


ODDITIES = {
    "bad_type": b"\0\0\0\3" + REQUEST[4:],
    "bad_length": REQUEST + b"\0",
    "bad_nonce": REQUEST[:4] + bytes.fromhex("80000080") + REQUEST[8:],
    "bad_address": REQUEST[:8] + bytes(6) + REQUEST[14:],
}


def test_oddities_have_a_name(tshark, make_capture):
    datagrams = [snatmap()] + [snatmap(payload) for payload in ODDITIES.values()]
    assert experts(tshark, make_capture, "snatmap", datagrams) == [[]] + [[name] for name in ODDITIES]


def test_damaged_messages_in_their_flow(tshark, make_capture):
    """Shown as what they are damaged of; what has neither the length nor the head is data."""
    kinds = {"SNATMAP": "6", "CommNAT": "7", "data": "14"}
    good = [snatmap(), snatmap().reply(RESPONSE)]
    damaged = [(REQUEST[:15], "SNATMAP"), (REQUEST + b"\0", "SNATMAP"), (b"\0\0\0\3" + REQUEST[4:], "SNATMAP"),
               (REQUEST[:8], "SNATMAP"), (b"\x3f" * 16, "SNATMAP"), (b"\0", "data"), (b"\0\0\0\3" + bytes(20), "data"),
               (b"\0\3" + TEST_MAIN0[2:], "SNATMAP"), (TEST_MAIN0[:15], "CommNAT")]
    capture = make_capture(good + [snatmap(payload) for payload, _ in damaged])
    for two_pass in (False, True):
        rows = tshark.rows(capture, "facetime.kind", two_pass=two_pass)[2:]
        assert [row["facetime.kind"] for row in rows] == [[kinds[name]] for _, name in damaged]


def test_flows_of_others_have_no_damaged_messages(tshark, make_capture):
    """A flow that a connectivity check claimed: 15 bytes with SNATMAP's head are data there."""
    check = bytes.fromhex("""0001001c 2112a442 000127f1 0e4a55c3 31b2a07d
        00060014 12345678 00000000 0000 23456789 00000000 0000""")
    check = check[:2] + struct.pack("!H", len(check) - 20 + 8) + check[4:] + bytes.fromhex("8001000400000001")
    capture = make_capture([snatmap(check), snatmap(REQUEST[:15])])
    assert tshark.values(capture, "facetime.kind") == ["1", "14"]


def test_nonce_with_one_clear_end_is_legal(tshark, make_capture):
    nonces = [snatmap(REQUEST[:4] + bytes.fromhex(nonce) + REQUEST[8:])
              for nonce in ("80000000", "00000080", "7fffff7f")]
    assert experts(tshark, make_capture, "snatmap", nonces) == [[]] * 3


# CommNAT

@pytest.fixture(scope="module")
def whole_test(make_capture):
    """A test of three servers, each answered, then the hairpin probe out and in, then a report."""
    def answer(token, port=50001):
        mapped_port = struct.pack("!H", ~port & 0xFFFF)
        return TEST_RESPONSE[:4] + token + TEST_RESPONSE[8:12] + mapped_port + TEST_RESPONSE[14:]
    return make_capture([
        commnat(TEST_MAIN0, MAIN0, time=0), commnat(TEST_MAIN1, MAIN1, time=0.1),
        commnat(TEST_COHORT, COHORT, time=0.2),
        commnat(b"", MAIN0).reply(TEST_RESPONSE, time=0.5),
        commnat(b"", MAIN1).reply(answer(TEST_MAIN1[4:8], 50002), time=0.6),
        commnat(b"", COHORT).reply(answer(TEST_COHORT[4:8]), time=0.7),
        commnat(TEST_HAIRPIN, MAPPED, time=1), commnat(b"", MAPPED).reply(TEST_HAIRPIN, time=1.25),
        commnat(REPORT, MAIN0, time=2), commnat(REPORT, MAIN1, time=3),
        commnat(b"", MAIN1).reply(REPORT_RESPONSE, time=3.5),
    ])


def test_commnat_fields(whole_test, tshark):
    fields = "commnat.operation", "commnat.direction", "commnat.token", "commnat.ipv4", "commnat.port"
    got = [[r[f] for f in fields] for r in tshark.rows(whole_test, *fields)]
    empty = [["0.0.0.0"], ["0"]]
    assert got == [
        [["1"], ["1"], ["0x3a1b2000"], *empty], [["1"], ["1"], ["0x6f4e7000"], *empty],
        [["1"], ["1"], ["0x90b18000"], *empty],
        [["1"], ["2"], ["0x3a1b2000"], ["203.0.113.7"], ["50001"]],
        [["1"], ["2"], ["0x6f4e7000"], ["203.0.113.7"], ["50002"]],
        [["1"], ["2"], ["0x90b18000"], ["203.0.113.7"], ["50001"]],
        [["1"], ["1"], ["0xc5e4d000"], *empty], [["1"], ["1"], ["0xc5e4d000"], *empty],
        [["2"], ["1"], ["0x5eed1234"], [], []], [["2"], ["1"], ["0x5eed1234"], [], []],
        [["2"], ["2"], ["0x5eed1234"], [], []]]


def test_commnat_line_of_the_packet(whole_test, tshark):
    names = tshark.names(whole_test, "facetime.kind", "facetime.path", "facetime.generation")
    assert [list(row.values()) for row in names] == [["commnat", "server", "legacy"]] * 11


def test_tokens_of_one_test_are_tied(whole_test, tshark):
    fields = "commnat.test", "commnat.server", "commnat.test_start"
    got = [[r[f] for f in fields] for r in tshark.rows(whole_test, *fields)]
    assert got == [[["0x3a1b2000"], [server], ["1"]] for server in "01201233"] + [[[], [], []]] * 3


def test_servers_have_names(whole_test, tshark):
    assert tshark.frames(whole_test, 'commnat.server == "cohort"') == [3, 6]
    assert tshark.frames(whole_test, 'commnat.server == "hairpin"') == [7, 8]


def test_commnat_links_and_times(whole_test, tshark):
    fields = "commnat.response_in", "commnat.response_to", "commnat.time"
    got = [[r[f] for f in fields] for r in tshark.rows(whole_test, *fields, two_pass=True)]
    assert got == [
        [["4"], [], []], [["5"], [], []], [["6"], [], []],
        [[], ["1"], ["0.500000000"]], [[], ["2"], ["0.500000000"]], [[], ["3"], ["0.500000000"]],
        [["8"], [], []], [[], ["7"], ["0.250000000"]],
        [["11"], [], []], [["11"], [], []], [[], ["9"], ["1.500000000"]]]


def test_commnat_columns(whole_test, tshark):
    lines = tshark.lines(whole_test, "-T", "tabs", "-o", 'gui.column.format:"P","%p","I","%i"')
    assert lines[0] == "CommNAT\tTest request, token 0x3a1b2000 (main0)"
    assert lines[3] == "CommNAT\tTest response, token 0x3a1b2000 (main0): mapped to 203.0.113.7:50001"
    assert lines[7] == "CommNAT\tTest request come back, token 0xc5e4d000 (hairpin)"
    assert lines[8] == "CommNAT\tReport: independent mapping, port preserved, hairpin"


def test_both_passes_say_the_same(whole_test, tshark):
    def told(two_pass):
        text = tshark.text(whole_test, "-V", "-O", "facetime,snatmap,commnat", two_pass=two_pass)
        return [line for line in text.splitlines() if "Response in" not in line]
    assert told(False) == told(True)


def test_nothing_odd_in_a_good_test(whole_test, tshark):
    assert tshark.count(whole_test, "_ws.expert.severity >= note and commnat") == 0


def test_answer_from_another_address(tshark, make_capture):
    """Apple's servers answer from a second address as well; token and device tie it to its request."""
    other = ("17.173.255.230", 16390)
    capture = make_capture([commnat(TEST_MAIN0), commnat(b"", other).reply(TEST_RESPONSE),
                            commnat(b"").reply(TEST_RESPONSE)])
    fields = "commnat.test", "commnat.response_to", "commnat.ipv4"
    assert [[r[f] for f in fields] for r in tshark.rows(capture, *fields)[1:]] == [
        [["0x3a1b2000"], ["1"], ["203.0.113.7"]]] * 2
    assert tshark.frames(capture, "commnat.other_address") == [2]


def test_server_may_alter_the_low_bits(tshark, make_capture):
    altered = TEST_RESPONSE[:4] + bytes.fromhex("bc2a1b3a") + TEST_RESPONSE[8:]
    capture = make_capture([commnat(TEST_MAIN0), commnat(b"").reply(altered)])
    fields = "commnat.token", "commnat.test", "commnat.server", "commnat.response_to"
    assert list(tshark.rows(capture, *fields)[1].values()) == [["0x3a1b2abc"], ["0x3a1b2000"], ["0"], ["1"]]


def test_tests_are_kept_apart(tshark, make_capture):
    """By device, where the base is the same, and by base: one bit more than the four relations is another test."""
    second = ("10.0.0.10", 16403)
    other = TEST_MAIN0[:4] + bytes.fromhex("00301b3a") + TEST_MAIN0[8:]
    capture = make_capture([commnat(TEST_MAIN0), Datagram(*second, *MAIN1, TEST_MAIN1), commnat(other),
                            commnat(TEST_COHORT, COHORT)])
    assert tshark.values(capture, "commnat.test") == ["0x3a1b2000", "0x3a1b2000", "0x3a1b3000", "0x3a1b2000"]
    assert tshark.values(capture, "commnat.test_start") == ["1", "2", "3", "1"]


def test_servers_are_told_from_the_first_request_on(tshark, make_capture):
    """A capture that begins inside of a test: the port says which server it is, so the base follows."""
    capture = make_capture([commnat(TEST_COHORT, COHORT), commnat(TEST_MAIN0), commnat(TEST_MAIN1, MAIN1)])
    assert tshark.values(capture, "commnat.test") == ["0x3a1b2000"] * 3
    assert tshark.values(capture, "commnat.server") == ["2", "0", "1"]


def test_response_without_request(tshark, make_capture):
    row, = rows(tshark, make_capture, [commnat(b"").reply(TEST_RESPONSE)], "commnat.port", "commnat.test",
                "commnat.response_to")
    assert row == {"commnat.port": ["50001"], "commnat.test": [], "commnat.response_to": []}


def report(flags):
    return REPORT[:8] + struct.pack("!I", ~flags & 0xFFFFFFFF) + REPORT[12:]


def test_flags_of_the_report(tshark, make_capture):
    """Frame n has the n-th flag alone, the last one all that 8.2's sample has: 0x112."""
    values = list(FLAGS) + [0x112]
    capture = make_capture([commnat(report(f)) for f in values])
    names = [f"commnat.flags.{name}" for name in FLAGS.values()]
    for value, row in zip(values, tshark.rows(capture, "commnat.flags", *names), strict=True):
        assert int(row["commnat.flags"][0], 16) == value
        told = {name for name in names if row[name] in (["1"], ["True"])}
        assert told == {f"commnat.flags.{name}" for bit, name in FLAGS.items() if value & bit}
    assert tshark.count(capture, "commnat.bad_flags") == 0


def test_response_of_a_report_is_bytes(tshark, make_capture):
    """What stands behind its token is not known: nothing is read into it."""
    odd = REPORT_RESPONSE[:8] + bytes.fromhex("34ff8ef83cae1234")
    capture = make_capture([commnat(REPORT), commnat(b"").reply(REPORT_RESPONSE), commnat(b"").reply(odd)])
    names = ["commnat.flags", "commnat.port", "commnat.ipv4", "commnat.reserved", "commnat.raw", "_ws.expert",
             *(f"commnat.flags.{name}" for name in FLAGS.values())]
    for row, raw in zip(tshark.rows(capture, *names)[1:], ("fffffeedffffffff", "34ff8ef83cae1234"), strict=True):
        assert {name: value for name, value in row.items() if value} == {"commnat.raw": [raw]}
    assert tshark.values(capture, "commnat.response_to") == ["1", "1"]


COMMNAT_NEAR_MISSES = {
    "operation 0": commnat(b"\0\0" + TEST_MAIN0[2:]),
    "operation 3": commnat(b"\0\3" + TEST_MAIN0[2:]),
    "direction 3": commnat(b"\0\1\0\3" + TEST_MAIN0[4:]),
    "15 bytes": commnat(TEST_MAIN0[:15]),
    "17 bytes": commnat(TEST_MAIN0 + b"\xff"),
    "no port of ours": Datagram("10.0.0.9", 16500, "17.173.255.222", 16501, TEST_MAIN0),
    "low bits of the token": commnat(TEST_MAIN0[:4] + b"\1" + TEST_MAIN0[5:]),
    "address in a request": commnat(TEST_MAIN0[:11] + b"\0" + TEST_MAIN0[12:]),
    "reserved bits": commnat(b"").reply(TEST_RESPONSE[:15] + b"\xfe"),
    "unknown flags": commnat(report(0x200)),
    "no mapped address": commnat(b"").reply(TEST_RESPONSE[:8] + b"\xff" * 8),
    "report's response from elsewhere": Datagram("10.0.0.1", 1025, *PHONE, REPORT_RESPONSE),
}


def test_commnat_near_misses_are_not_claimed(tshark, make_capture):
    good = {"test": commnat(TEST_MAIN0), "its response": commnat(b"").reply(TEST_RESPONSE),
            "report": commnat(REPORT), "its response ": commnat(b"").reply(REPORT_RESPONSE)}
    assert claimed(tshark, make_capture, {**good, **COMMNAT_NEAR_MISSES}) == list(good)


def test_commnat_behind_a_nat(tshark, make_capture):
    """Seen outside, the device's port is any; the server's is enough."""
    outside = Datagram(*MAPPED, *MAIN0, TEST_MAIN0)
    capture = make_capture([outside, outside.reply(TEST_RESPONSE)])
    assert tshark.values(capture, "commnat.response_to") == ["1"]


# CommNAT, damaged

def test_commnat_every_truncation_of_a_liar(tshark, make_capture):
    capture = make_capture(support.truncations(commnat(TEST_MAIN0)))
    lines = tshark.lines(capture, "-d", "udp.port==16403,commnat", "-T", "fields", "-e", "commnat.bad_length",
                         "-e", "commnat.operation", "-e", "commnat.token", "-e", "commnat.raw")
    assert len(lines) == 16
    for length, line in enumerate(lines, 1):
        bad, operation, token, raw = line.split("\t")
        assert bool(bad) == (length < 16)
        assert (operation, token) == ("1" if length >= 4 else "", "0x3a1b2000" if length >= 8 else "")
        assert raw.replace(":", "") == "ff" * max(0, length - 8)


def test_commnat_every_truncation_in_its_flow(tshark, make_capture):
    cuts = [d for snapped in (False, True) for d in support.truncations(commnat(TEST_MAIN0), snapped)]
    capture = make_capture([commnat(TEST_MAIN0)] + cuts)
    assert tshark.count(capture, "_ws.malformed && !commnat.bad_length") == 0
    assert tshark.frames(capture, "commnat") == [1, *range(5, 34)]
    assert tshark.frames(capture, "commnat.bad_length") == [*range(5, 17)]
    assert tshark.frames(capture, "commnat.cut") == [*range(18, 33)]


COMMNAT_ODDITIES = {
    "bad_operation": b"\0\3" + TEST_MAIN0[2:],
    "bad_direction": b"\0\1\0\3" + TEST_MAIN0[4:],
    "bad_length": TEST_MAIN0 + b"\0",
    "bad_token": TEST_MAIN0[:4] + b"\1" + TEST_MAIN0[5:],
    "bad_address": TEST_MAIN0[:11] + b"\0" + TEST_MAIN0[12:],
    "bad_reserved": TEST_MAIN0[:15] + b"\0",
    "bad_flags": report(0x400),
}


def test_report_with_a_port(tshark, make_capture):
    odd = REPORT[:12] + bytes.fromhex("3caeffff")
    assert experts(tshark, make_capture, "commnat", [commnat(REPORT), commnat(odd)]) == [[], ["bad_address"]]


def test_commnat_oddities_have_a_name(tshark, make_capture):
    datagrams = [commnat(TEST_MAIN0)] + [commnat(payload) for payload in COMMNAT_ODDITIES.values()]
    assert experts(tshark, make_capture, "commnat", datagrams) == [[]] + [[name] for name in COMMNAT_ODDITIES]
