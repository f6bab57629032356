# SPDX-License-Identifier: GPL-2.0-or-later
"""GameKit and Multipeer Connectivity share FaceTime's ICE and are no calls; iChat AV shares its SIP and is another
generation. To call a game a call, or a call a game, is the error that costs most: both are tested both ways."""

import ipaddress
import itertools
import json
import re
import struct

import pytest

import support
import simulate
import generate     # of test-captures/, by way of support
from support import Datagram
from wire import gamekit, stun

A, B = ("192.0.2.55", 16402), ("192.0.2.39", 16393)
IDS = 0x057244FB, 0x709400BD
EXPERTS = ("bad_crc", "bad_size", "unknown_type", "cut")


def path(name):
    return support.TEST_CAPTURES / generate.file_name(name)


def calls(tshark, capture, what="calls"):
    return json.loads(tshark.text(capture, "-q", "-z", f"facetime,{what},json") or "[]")


def check(a=A, b=B, number=1, answer=False):
    """A connectivity check of this ICE, as GameKit's (1010), or its answer."""
    txid = ipaddress.ip_address(a[0]).packed[:4] + struct.pack("!II", number, 0xE5F60718)
    own = int(ipaddress.ip_address(a[0])) & 0xFF        # two sessions have no id in common
    ids = stun.Candidate(stun.HOST, a, 0x6E922707 ^ own << 16), stun.Candidate(stun.HOST, b, 0x47CA5C4D ^ own << 16)
    if answer:
        return stun.binding_response(txid, *ids, a, 0x10000 + number, 6, version=1010)
    return stun.binding_request(txid, *ids, True, own, 0x10000 + number, version=1010)


def session(a=A, b=B, messages=(), time=0.0, checks=1):
    """Checks, answered, then these messages of a, as Datagrams."""
    out = []
    for i in range(checks):
        out += [Datagram(*a, *b, check(a, b, i + 1), time=time + i),
                Datagram(*b, *a, check(a, b, i + 1, True), time=time + i + 0.01)]
    return out + [Datagram(*a, *b, message, time=time + checks + 0.02 * i) for i, message in enumerate(messages)]


def play(count=3, a=IDS[0], b=IDS[1]):
    return [gamekit.hello(a, b), gamekit.database(a, b)] + [gamekit.data(a, b, bytes([i]) * 9) for i in range(count)]


def kinds(tshark, capture, **how):
    return [row["facetime.kind"] for row in tshark.names(capture, "facetime.kind", **how)]


# --- messages

@pytest.mark.parametrize("name", ["gamekit", "gamekit-relayed", "gamekit-then-call"])
def test_fields(tshark, name):
    truth = generate.build(name).truth
    fields = ["gamekit.type", "gamekit.size", "gamekit.channel", "gamekit.crc", "gamekit.from", "gamekit.to"]
    for row in tshark.rows(path(name), "frame.number", *fields):
        expected = truth[int(row["frame.number"][0])].get("fields", {})
        assert {f: [int(v, 0) for v in row[f]] for f in fields} == {f: expected.get(f, []) for f in fields}


def test_checksum(tshark):
    """Right, none (hello), and wrong; a message of which the capture has the start alone isn't judged."""
    whole = gamekit.data(*IDS, b"body")
    wrong = gamekit.data(*IDS, b"body", damage=1)
    capture = support.make_capture([*session(messages=[whole, wrong, gamekit.hello(*IDS)]),
                                    Datagram(*A, *B, whole)._replace(snap=18)])
    rows = tshark.rows(capture, "gamekit.crc.status", "gamekit.bad_crc", "gamekit.cut", "gamekit.body",
                       "facetime.call", filter="gamekit")
    assert [row["gamekit.crc.status"] for row in rows] == [["1"], ["0"], ["3"], ["2"]]
    assert [bool(row["gamekit.bad_crc"]) for row in rows] == [False, True, False, False]
    assert [bool(row["gamekit.cut"]) for row in rows] == [False, False, False, True]
    assert rows[0]["gamekit.body"] == [b"body".hex()] and rows[3]["gamekit.body"] == [b"bo".hex()]
    assert not calls(tshark, capture)


DAMAGED = [
    (bytes.fromhex("c105004000000000") + bytes(20), "bad_size"),            # longer than the datagram
    (bytes.fromhex("c105001000000000") + bytes(20), "bad_size"),            # shorter
    (bytes.fromhex("c105000000000000") + bytes(8), "bad_size"),
    (bytes.fromhex("c1050006ffff"), "bad_size"),                            # no room for the header
    (bytes.fromhex("c1020004"), "bad_size"),
    (bytes.fromhex("c109001400000000") + bytes(12), "unknown_type"),
]


def test_damage(tshark):
    """Named, shown, and no proof that the session is a game."""
    frames = []
    for i, (payload, _) in enumerate(DAMAGED):
        frames += session((f"192.0.2.{i + 1}", 16402), (f"198.51.100.{i + 1}", 16402), [payload], time=10.0 * i)
    capture = support.make_capture(frames)
    rows = tshark.rows(capture, *(f"gamekit.{name}" for name in EXPERTS), "_ws.malformed", filter="gamekit")
    assert [[name for name in EXPERTS if row[f"gamekit.{name}"]] for row in rows] == [[named] for _, named in DAMAGED]
    assert not any(row["_ws.malformed"] for row in rows)
    assert [one["state"] for one in calls(tshark, capture, "timeline")] == ["ICE only"] * len(DAMAGED)


def test_several_in_a_datagram(tshark):
    """Each is taken apart and checked; where they don't fill the datagram, the last one says so."""
    hello, database, data, wrong = gamekit.hello(*IDS), gamekit.database(*IDS), gamekit.data(*IDS, b"body"), gamekit.data(*IDS, b"x", damage=1)
    said = [(hello + database, "1,2", []), (data + data + hello, "5,5,1", []), (hello + wrong, "1,5", ["bad_crc"]),
            (data + data[:-1], "5,5", ["bad_size"]), (data + b"xyz", "5", ["bad_size"]), (data + bytes(30), "5", ["bad_size"])]
    capture = support.make_capture(session(messages=[message for message, *_ in said]))
    for two_pass in (False, True):
        rows = tshark.rows(capture, "gamekit.type", *(f"gamekit.{name}" for name in EXPERTS), filter="gamekit", two_pass=two_pass)
        assert [(",".join(row["gamekit.type"]), [name for name in EXPERTS if row[f"gamekit.{name}"]]) for row in rows] == \
            [(types, named) for _, types, named in said]
    lines = tshark.lines(capture, filter="gamekit")
    assert lines[0].endswith("GameKit hello, channel 3, 057244FB to 709400BD | GameKit database, channel 0, 057244FB to 709400BD")
    alone = [data + data, data + hello, hello + data, data + data[:-1], data + b"xyz"]
    assert tshark.frames(support.make_capture([Datagram(*(f"192.0.2.{n + 1}", 16402), *B, message) for n, message in enumerate(alone)]),
                         "gamekit") == [1, 2]


@pytest.mark.parametrize("checks", [0, 1])
def test_pieces_of_a_message(tshark, checks):
    """What goes on in the next datagrams is nobody's media, message or call, whatever it looks like."""
    big = gamekit.data(*IDS, bytes(range(256)) * 12)
    looks = [struct.pack("!BBHII", 0x80, 104, n, 960 * n, 0x1234) + bytes(90) for n in range(8)]
    looks += [bytes.fromhex("90640001000000010000000240010000") + bytes(40), bytes.fromhex("80c80006") + bytes(24), b"\x81\xca\0\1" + bytes(4)]
    messages = [gamekit.data(*IDS, b"x"), big[:1400], big[1400:2800], big[2800:], *looks]
    frames = session(messages=messages) if checks else [Datagram(*A, *B, message) for message in messages]
    fields = "facetime.kind", "facetime.call", "facetime.generation"
    capture = support.make_capture(frames)
    rows = tshark.names(capture, *fields)
    assert rows == tshark.names(capture, *fields, two_pass=True)
    assert [tuple(row.values()) for row in rows[2 * checks:]] == [("gamekit", "", "")] * 2 + [("data", "", "")] * (len(messages) - 2)
    assert calls(tshark, capture) == [] and tshark.count(capture, "gamekit.bad_size") == 1


def test_columns(tshark):
    lines = tshark.lines(support.make_capture(session(messages=play(1))), filter="gamekit")
    assert all(" GameKit " in line for line in lines)
    assert lines[0].endswith("GameKit hello, channel 3, 057244FB to 709400BD")


# --- a game is no call

PORTS = [(16402, 16393), (16402, 16402), (40112, 51000), (16386, 3479), (9999, 16402)]
SAID = [play()[:1], play(), play(0), [gamekit.data(*IDS, b"x", damage=0x8000)], [gamekit.database(*IDS)]]


def test_no_call(tshark):
    """On any ports: a hello alone, all, no data, a wrong checksum alone, a database alone."""
    frames, expected = [], []
    for i, (ports, messages) in enumerate(itertools.product(PORTS, SAID)):
        frames += session((f"192.0.2.{i + 1}", ports[0]), (f"198.51.100.{i + 1}", ports[1]), messages, time=10.0 * i)
        expected += ["stun"] * 2 + ["gamekit"] * len(messages)
    capture = support.make_capture(frames)
    fields = "facetime.kind", "facetime.call", "facetime.generation"
    rows = tshark.names(capture, *fields)
    assert [row["facetime.kind"] for row in rows] == expected
    assert {(row["facetime.call"], row["facetime.generation"]) for row in rows
            if row["facetime.kind"] == "gamekit"} == {("", "")}
    assert rows == tshark.names(capture, *fields, two_pass=True)
    assert calls(tshark, capture) == []


def test_story(tshark):
    """The number that its checks had is explained."""
    capture = support.make_capture(session(messages=play()))
    one, = calls(tshark, capture, "timeline")
    assert (one["call"], one["generation"], one["state"]) == (1, "gamekit", "no call")
    assert "\nSession 1, gamekit: " in tshark.text(capture, "-q", "-z", "facetime,timeline")


def test_statistics(tshark):
    text = tshark.text(path("gamekit"), "-q", "-z", "facetime,tree")
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("  gamekit")] == [["gamekit", "12"]]


def test_several_sessions(tshark):
    """One after the other on one pair of sockets, and beside each other on others."""
    c, d = ("192.0.2.56", 16402), ("192.0.2.40", 16402)
    frames = [*session(messages=play(), checks=2), *session(c, d, play(), time=2.005),
              *session(messages=play(), time=20), *session(messages=play(), time=400)]
    capture = support.make_capture(sorted(frames, key=lambda frame: frame.time))
    assert kinds(tshark, capture).count("gamekit") == 20
    assert calls(tshark, capture) == []
    assert tshark.count(capture, "gamekit && facetime.call") == 0


def test_without_ice(tshark):
    """A capture that begins in mid-game: data proves itself by its checksum, a hello doesn't."""
    one_way = [Datagram(*A, *B, message) for message in play(2)]
    capture = support.make_capture([*one_way, Datagram(*B, *A, gamekit.hello(*IDS[::-1]))])
    assert kinds(tshark, capture) == ["", "", "gamekit", "gamekit", "gamekit"]
    assert calls(tshark, capture, "timeline") == []
    later = support.make_capture([*one_way, Datagram(*A, *B, check()), Datagram(*B, *A, check(answer=True))])
    assert calls(tshark, later, "timeline") == [] and kinds(tshark, later)[-2:] == ["stun", "stun"]


def test_strangers(tshark):
    """What only begins like it, on ports of FaceTime's: nothing without a flow that is known."""
    wrong = gamekit.data(*IDS, b"x", damage=2)
    same_ends = gamekit.data(IDS[0], IDS[0], b"x")
    payloads = [wrong, same_ends, gamekit.hello(*IDS), wrong[:-1], b"\xc1" * 40, bytes(gamekit.data(*IDS, b"x")) + b"x"]
    capture = support.make_capture([Datagram(*A, *B, payload) for payload in payloads])
    assert tshark.count(capture, "facetime") == 0


def test_dtls(tshark, stock):
    """Stock DTLS shows it. Beside GameKit's messages it is GameKit's, alone it is nobody's."""
    record = gamekit.dtls(23, 1, bytes(range(40)))
    capture = support.make_capture(session(messages=[record, *play(), record]))
    assert kinds(tshark, capture) == ["stun", "stun", "data", *["gamekit"] * 6]
    assert kinds(tshark, capture, two_pass=True) == kinds(tshark, capture)
    assert tshark.frames(capture, "dtls.record") == [3, 9]
    assert tshark.values(capture, "dtls.record.length", filter="dtls") == ["40", "40"]


# --- a call is no game

def test_ice_only(tshark):
    """A number, events and a story; no place in the list of calls."""
    assert calls(tshark, path("ice-only")) == []
    one, = calls(tshark, path("ice-only"), "timeline")
    assert one["state"] == "ICE only" and one["call"] == 1
    assert "call_started" in [event["event"] for event in one["events"]]
    assert tshark.count(path("ice-only"), "facetime.call == 1") == 7


def test_call_after_game(tshark):
    """Another tie-breaker begins a call, though the same sockets played half a minute before."""
    truth = generate.build("gamekit-then-call")
    one, = calls(tshark, path("gamekit-then-call"))
    assert one["state"] == "answered" and one["first_frame"] == truth.landmarks["the call's first check"]
    assert len(one["streams"]) == 2


def test_game_within_call(tshark):
    """Somebody sends GameKit's messages into a call: it stays a call, and they aren't its."""
    frames = [data for _, data in generate.build("sip-raw-deflate").packets]
    last = generate.build("sip-raw-deflate").truth[len(frames)]
    ends = (*last["src"], *last["dst"])
    capture = support.make_capture([*frames, *(Datagram(*ends, message) for message in play())])
    one, = calls(tshark, capture)
    assert one["state"] == "answered" and one["packets"] == len(frames)
    assert tshark.count(capture, "gamekit") == 5 and tshark.count(capture, "gamekit && facetime.call") == 0


def test_other_socket(tshark):
    """A game on one socket, a call of the same device on another, at the same time."""
    call = generate.build("sip-raw-deflate")
    device = tuple(call.truth[1]["src"])
    game = session((device[0], 16393), ("198.51.100.77", 16393), play(20), checks=1)
    frames = [frame for frame in game]
    capture = support.make_capture([*[frame._replace(time=None) for frame in frames],
                                    *[data for _, data in call.packets],
                                    *[frame._replace(time=None) for frame in frames[-5:]]])
    one, = calls(tshark, capture)
    assert one["state"] == "answered" and one["packets"] == len(call.packets)


@pytest.mark.parametrize("name", ["facetime-caller", "modern-call", "modern-direct", "relay-3478", "no-signalling",
                                  "mid-call-direct", "mid-call-relay"])
def test_calls_stay(tshark, name):
    """The list of calls and the tree of kinds, of one start."""
    text = tshark.text(path(name), "-q", "-z", "facetime,calls,json", "-z", "facetime,tree")
    start = re.search(r"^\[", text, re.MULTILINE).start()
    assert len(json.JSONDecoder().raw_decode(text[start:])[0]) == 1
    kinds = [line.split()[0] for line in text.splitlines() if re.match(r"  \w", line)]
    assert kinds and "gamekit" not in kinds


# --- iChat AV

def sip_capture(agent, lines=""):
    """The call of 2010 with this user agent; lines: more of SDP."""
    frames = [bytes(data) for _, data in generate.build("sip-uncompressed").packets]
    frames = [frame.replace(b"Viceroy 1.4.1", agent) for frame in frames]
    return frames if lines is None else [frame.replace(b"a=iChatEncryption:YES", lines) for frame in frames]


@pytest.mark.parametrize("agent, sdp, generation", [
    (b"Viceroy 1.4.1", None, "ichat"), (b"Viceroy 1.3.9", None, "ichat"), (b"Viceroy 1.0.0", None, "ichat"),
    (b"Viceroy 1./GK", None, "legacy"), (b"Viceroy 1.4.1", b"a=iNoughtEncryptio:YES", "ichat"),
    (b"Viceroy 2.4.1", None, "ichat"),                          # by its SDP
    (b"Viceroy 2.4.1", b"a=iNoughtEncryptio:YES", "legacy"),
])
def test_ichat(tshark, agent, sdp, generation):
    frames = sip_capture(agent, sdp)
    capture = support.make_capture(frames)
    one, = calls(tshark, capture)
    assert one["generation"] == generation and one["state"] == "answered"
    fields = ("frame.number", "facetime.generation", "facetime.call", "facetime", "sip")
    rows = tshark.names(capture, *fields)
    first = next(n for n, row in enumerate(rows) if row["sip"])
    assert {row["facetime.generation"] for row in rows[first:] if row["facetime"]} == {generation}
    assert rows == tshark.names(capture, *fields, two_pass=True)


def calls_and_generations(tshark, frames, snap=None):
    """The only call's generation, and (kind, generation) of each packet of FaceTime's."""
    capture = support.make_capture(frames if snap is None else [(frame, min(snap, len(frame))) for frame in frames])
    one, = calls(tshark, capture)
    return one["generation"], [(row["facetime.kind"], row["facetime.generation"]) for row in
                               tshark.names(capture, "facetime.kind", "facetime.generation", filter="facetime")]


@pytest.mark.parametrize("first", [3, 7, 8, 12, 30, 45])
def test_ichat_from_the_middle(tshark, first):
    """Whatever of it says who it is makes it iChat's from there on: a BYE, too, as the last but one packet."""
    generation, told = calls_and_generations(tshark, sip_capture(b"Viceroy 1.4.1", None)[first - 1:])
    begins = next(n for n, (kind, _) in enumerate(told) if kind == "sip")
    assert generation == "ichat"
    assert {name for _, name in told[:begins]} <= {"legacy"} and {name for _, name in told[begins:]} == {"ichat"}


def test_ichat_whose_user_agent_was_not_captured(tshark):
    """Nothing that was captured says iChat: nobody claims it."""
    generation, told = calls_and_generations(tshark, sip_capture(b"Viceroy 1.4.1", None), snap=96)
    assert generation == "legacy" and {name for _, name in told} == {"legacy"}


def test_what_was_known_as_ichat_stays(tshark):
    """An INVITE that was captured whole; of all that follows no user agent is left."""
    frames = sip_capture(b"Viceroy 1.4.1", None)
    generation, told = calls_and_generations(tshark, [*frames[:7], *((frame, min(96, len(frame))) for frame in frames[7:])])
    assert generation == "ichat" and {name for _, name in told[6:]} == {"ichat"}


# --- a game between the ends of a call, on its own sockets

def game_in(call, a, b, at):
    """Checks and messages of a game, as records of A's capture."""
    for i in range(2):
        call._record("A", at + i / 10, a, b, check(a, b, i + 1))
        call._record("A", at + i / 10 + .02, b, a, check(a, b, i + 1, True), incoming=True)
    for i, message in enumerate(play(8)):
        call._record("A", at + .5 + .03 * i, a, b, message)


@pytest.mark.parametrize("at", (1.3, 8.0), ids=("before media", "in mid-call"))
@pytest.mark.parametrize("paths", (((0, "relay"),), ((0, "relay"), (4, "direct"))), ids=("relay", "direct"))
@pytest.mark.parametrize("to", ("peer", "another port", "a third one"))
def test_game_on_a_modern_calls_sockets(tshark, paths, at, to):
    """Its checks have tie-breakers, which modern calls' don't (facts: 96 of 96): they join no call, and turn none legacy."""
    plan = simulate.Plan(seed="game", mode="one-to-one", seconds=12.0, video=False, paths=paths, goes_on=3.0)
    alone, call = simulate.Call(plan), simulate.Call(plan)
    peer = call.places["B"].public
    game_in(call, call.places["A"].host, {"peer": peer, "another port": (peer[0], 16405), "a third one": ("198.51.100.99", 16402)}[to], at)
    before, after = (calls(tshark, support.write_capture(c.capture("A").write())) for c in (alone, call))
    assert len(before) == len(after) == 1
    for key in ("packets", "generation", "state", "remote"):
        assert after[0].get(key) == before[0].get(key), key
    assert {f["code"] for f in after[0]["findings"]} == {f["code"] for f in before[0]["findings"]}


def test_a_user_agent_that_is_cut_is_not_ichats(tshark):
    """Viceroy 1.4.1/GK is FaceTime's: where the capture ends before the /GK, nobody can know that it isn't there."""
    frames = sip_capture(b"Viceroy 1.4.1/GK", None)
    for kept in (b"Viceroy 1.", b"Viceroy 1.4", b"Viceroy 1.4.1"):
        capture = support.make_capture(frames)
        data = bytearray(capture.read_bytes())
        out, at = data[:24], 24
        while at < len(data):
            head, length = data[at:at + 16], int.from_bytes(data[at + 8:at + 12], "little")
            body = data[at + 16:at + 16 + length]
            end = body.find(b"Viceroy 1.4.1/GK")
            body = body[:end + len(kept)] if end >= 0 else body
            out += head[:8] + len(body).to_bytes(4, "little") + head[12:] + body
            at += 16 + length
        cut = support.write_capture(bytes(out))
        assert set(tshark.values(cut, "facetime.generation")) == {"1"}
        assert tshark.count(cut, "sip && frame.cap_len < frame.len") > 0


def test_values_of_this_ice(tshark):
    """0x8001 = 6, 0x8003 = 1010, candidate protocol 6, flags 0x80 and 0x20, indexes per family with the bit of IPv6 (facts,
    modern-2026 5): all have names, none is damage, and none makes a call."""
    listed = [stun.Candidate(stun.HOST, address, 0x11110000 + n, protocol_number=6, flags=flags)
              for n, (address, flags) in enumerate(((A, 0xA0), (B, 0x80), (("2001:db8::1", 16402), 0x80), (("2001:db8::2", 16402), 0x80)))]
    number = stun.Candidate(stun.HOST, A, 1), stun.Candidate(stun.HOST, B, 2)
    wire = bytes(stun.binding_request(bytes(12), *number, True, 7, 99, version=1010, listed=listed))
    wire = wire.replace(bytes.fromhex("8001000400000001"), bytes.fromhex("8001000400000006"))
    fields = ("protocol", "ice_version", "candidate.protocol", "candidate.flags", "candidate.flag_80", "candidate.flag_20",
              "candidate.index", "candidate.is_ipv6", "candidate.ipv4", "candidate.ipv6")
    capture = support.make_capture([Datagram(*A, *B, wire)])
    row, = tshark.names(capture, *(f"gkstun.{name}" for name in fields), "_ws.malformed", "_ws.expert.severity")
    assert [row[f"gkstun.{name}"] for name in fields[:4]] == ["6", "1010", "6,6,6,6", "0xa0,0x80,0x80,0x80"]
    assert [row[f"gkstun.{name}"].split(",").count("Set") for name in fields[4:6]] == [4, 1]
    assert row["gkstun.candidate.index"] == "0,1,0,1" and not row["_ws.malformed"]
    assert row["gkstun.candidate.ipv4"] == f"{A[0]},{B[0]}" and row["gkstun.candidate.ipv6"] == "2001:db8::1,2001:db8::2"
    assert calls(tshark, capture) == []
