# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP dialogs: which call a message belongs to, and what it says of the call."""

import json
import pathlib
import random
import shutil

import pytest

from support import Datagram
from wire import sip, stun

A, B, C, D, E, F = ((f"10.0.0.{host}", 16402) for host in range(1, 7))
RELAY, RELAYED = ("17.0.2.9", 16385), ("17.0.2.9", 30000)   # the latter is what B sees of A
TICKET = bytes(20)
BYES = "bye_retransmitted", "bye_unanswered", "call_ended"

rng = random.Random(20101019)


def dialog(caller=A, callee=B, **changes):
    return sip.Dialog(rng, caller, callee, **changes)


def datagram(source, destination, message, **changes):
    return Datagram(*source, *destination, bytes(message), **changes)


def check(source, destination):
    """Of an ICE agent of its own."""
    ids = rng.sample(range(1, 1 << 31), 2)
    ends = [stun.Candidate(number, end, number) for number, end in zip(ids, (destination, source))]
    return datagram(source, destination, stun.binding_request(stun.legacy_txid(1, rng), *ends, True, rng.getrandbits(32),
                                                              0x10000))


def goes_on(frames, seconds=5):
    """The capture goes on so long after its last SIP message: check of other devices."""
    timed = [frame._replace(time=0.01 * n if frame.time is None else frame.time) for n, frame in enumerate(frames)]
    return [*timed, check(E, F)._replace(time=timed[-1].time + seconds)]


def allocate(client):
    txid = stun.legacy_txid(3, rng)
    return [datagram(client, RELAY, stun.allocate_request(txid, bytes(8), RELAYED, TICKET)),
            datagram(RELAY, client, stun.allocate_success(txid, client, TICKET))]


def bind(client, channel, peer):
    txid = stun.legacy_txid(9, rng)
    return [datagram(client, RELAY, stun.channel_bind_request(txid, channel, peer, TICKET)),
            datagram(RELAY, client, stun.channel_bind_success(txid))]


def answered(talk, caller=A, callee=B):
    return [datagram(caller, callee, talk.request("INVITE", "caller", 1)),
            datagram(callee, caller, talk.response(200, "INVITE", "callee", 1)),
            datagram(caller, callee, talk.request("ACK", "caller", 1))]


def events(tshark, capture, *names):
    """{frame: its events among these names}, on the second pass; the first has the same, but for hindsight."""
    def told(two_pass):
        rows = tshark.rows(capture, "frame.number", "facetime.event", two_pass=two_pass)
        return {int(row["frame.number"][0]): found for row in rows
                if (found := [e for e in row["facetime.event"] if e in names])}
    once, twice = told(False), told(True)
    foreseen = {frame: kept for frame, found in twice.items()
                if (kept := [event for event in found if event != "bye_unanswered"])}
    assert once == foreseen
    return twice


def calls(tshark, capture):
    """facetime.call of each packet, which is the same on both passes where no later frame tells more."""
    once, twice = (tshark.rows(capture, "facetime.call", two_pass=n) for n in (False, True))
    assert once == twice
    return [row["facetime.call"][0] for row in once]


# --- the call of a message -----------------------------------------------------------------------------------------

def checked_call(caller, callee, begin):
    """A check, and a call's SIP: 0.1 s between packets."""
    talk = dialog(caller, callee)
    packets = [check(caller, callee), *answered(talk, caller, callee),
               datagram(caller, callee, talk.request("BYE", "caller", 2)),
               datagram(callee, caller, talk.response(200, "BYE", "callee", 2))]
    return [packet._replace(time=begin + 0.1 * n) for n, packet in enumerate(packets)]


def snapped(packets, length):
    return [packet._replace(snap=min(len(packet.payload), length)) for packet in packets]


@pytest.mark.parametrize("snap", [86, 130, 160, 200, 220, 65535])
@pytest.mark.parametrize("second", [20, 0.05])
def test_two_calls_whatever_was_captured(tshark, make_capture, snap, second):
    """One after the other, and both at once, of devices that have nothing to do with each other. Call-ID is the fourth
    header; without it, or with a part of it, the flow tells the call."""
    packets = sorted(checked_call(A, B, 0) + checked_call(C, D, second), key=lambda packet: packet.time)
    of = ["1" if {packet.src, packet.dst} == {A[0], B[0]} else "2" for packet in packets]
    assert calls(tshark, make_capture(snapped(packets, snap))) == of


@pytest.mark.parametrize("call_id", [None, "", "  "])
def test_no_call_id_is_no_dialog(tshark, make_capture, call_id):
    def without(packet):
        lines = packet.payload.split(b"\r\n")
        keep = [line if not line.startswith(b"i: ") else b"i: " + call_id.encode() if call_id is not None else None
                for line in lines]
        return packet._replace(payload=b"\r\n".join(line for line in keep if line is not None))
    packets = [packet for call in zip(checked_call(A, B, 0), checked_call(C, D, 0.05)) for packet in map(without, call)]
    assert calls(tshark, make_capture(packets)) == ["1", "2"] * 6


def test_a_cseq_that_the_capture_ends_in_is_none(tshark, make_capture):
    """Cut between the digits of "CSeq: 12 BYE": its Via tells whether it was answered, half a number doesn't."""
    talk = dialog()
    bye = bytes(talk.request("BYE", "caller", 12))
    cut = bye.index(b"CSeq: 12") + len(b"CSeq: 1")
    capture = make_capture(goes_on([*answered(talk), datagram(A, B, bye, snap=cut),
                                    datagram(B, A, talk.response(200, "BYE", "callee", 12))]))
    assert events(tshark, capture, *BYES) == {4: ["call_ended"]}


def test_addresses_alone_make_no_two_calls_one(tshark, make_capture):
    """A reserves a relay, B invites C, then A checks B: private addresses, and both have a call of their own, so nothing tells
    that these are one. The dialog stays with its call."""
    talk = dialog(B, C)
    capture = make_capture([
        allocate(A)[0], datagram(B, C, talk.request("INVITE", "caller", 1)),
        datagram(C, B, talk.response(100, "INVITE", "callee", 1)), check(A, B),
        datagram(B, C, talk.request("MESSAGE", "caller", 2)), datagram(C, B, talk.response(200, "MESSAGE", "callee", 2))])
    for two_pass in (False, True):
        rows = tshark.rows(capture, "facetime.call", "facetime.call.frame", two_pass=two_pass)
        assert [row["facetime.call"] for row in rows] == [["1"], ["2"], ["2"], ["3"], ["2"], ["2"]]
        assert not any(row["facetime.call.frame"] for row in rows)


# --- BYE -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("callee_cseq", [1, 2])     # each end numbers its own requests (RFC 3261, 12.2.1.1)
@pytest.mark.parametrize("answers", ["", "caller", "callee", "caller callee"])
def test_both_hang_up_at_once(tshark, make_capture, callee_cseq, answers):
    """Two BYEs, neither of them sent again; each has an answer of its own."""
    talk = dialog()
    packets = [*answered(talk), datagram(A, B, talk.request("BYE", "caller", 2)),
               datagram(B, A, talk.request("BYE", "callee", callee_cseq))]
    if "callee" in answers:
        packets.append(datagram(B, A, talk.response(200, "BYE", "callee", 2)))
    if "caller" in answers:
        packets.append(datagram(A, B, talk.response(200, "BYE", "caller", callee_cseq)))
    expected = {4: ["call_ended"]}
    if "callee" not in answers:
        expected[4] = ["call_ended", "bye_unanswered"]
    if "caller" not in answers:
        expected[5] = ["bye_unanswered"]
    assert events(tshark, make_capture(goes_on(packets)), *BYES) == expected


def test_a_bye_sent_again(tshark, make_capture):
    """By one end and, in between, by the other."""
    talk = dialog()
    mine, theirs = datagram(A, B, talk.request("BYE", "caller", 2)), datagram(B, A, talk.request("BYE", "callee", 2))
    capture = make_capture(goes_on([*answered(talk), mine, theirs, mine, theirs, theirs]))
    assert events(tshark, capture, *BYES) == {4: ["call_ended"], 6: ["bye_retransmitted", "bye_unanswered"],
                                              7: ["bye_retransmitted"], 8: ["bye_retransmitted", "bye_unanswered"]}
    rows = tshark.rows(capture, "facetime.event.bye_retransmitted", "facetime.event.bye_unanswered", "_ws.expert.message",
                       two_pass=True)
    said = [[text for text in row["_ws.expert.message"] if "BYE" in text and "ends" not in text] for row in rows]
    assert said[5:8] == [["BYE of frame 4 sent again (copy 2)", "2 BYEs and no answer"],
                         ["BYE of frame 5 sent again (copy 2)"],
                         ["BYE of frame 5 sent again (copy 3)", "3 BYEs and no answer"]]


def test_another_bye_is_not_the_same_sent_again(tshark, make_capture):
    """The next request has the next number (RFC 3261, 12.2.1.1), and the answer to it is not the first one's."""
    talk = dialog()
    capture = make_capture(goes_on([*answered(talk), datagram(A, B, talk.request("BYE", "caller", 2)),
                                    datagram(A, B, talk.request("BYE", "caller", 3)),
                                    datagram(B, A, talk.response(200, "BYE", "callee", 3))]))
    assert events(tshark, capture, *BYES) == {4: ["call_ended", "bye_unanswered"]}


@pytest.mark.parametrize("status, is_answer", [(100, False), (200, True), (481, True)])
def test_what_answers_a_bye(tshark, make_capture, status, is_answer, monkeypatch):
    monkeypatch.setitem(sip.REASONS, 481, "Call/Transaction Does Not Exist")
    talk = dialog()
    capture = make_capture(goes_on([*answered(talk), datagram(A, B, talk.request("BYE", "caller", 2)),
                                    datagram(B, A, talk.response(status, "BYE", "callee", 2))]))
    assert events(tshark, capture, "bye_unanswered") == ({} if is_answer else {4: ["bye_unanswered"]})


@pytest.mark.parametrize("answer", [True, False])
def test_both_sides_of_a_relay(tshark, make_capture, answer):
    """What A sends into its channel, the relay sends on to B: the same BYE, further along. Then A sends it again."""
    talk = dialog()

    def forth(message):
        return [datagram(A, RELAY, stun.channel_data(0x4002, bytes(message))), datagram(RELAYED, B, message)]

    def back(message):
        return [datagram(B, RELAYED, message), datagram(RELAY, A, stun.channel_data(0x4002, bytes(message)))]
    packets = [*allocate(A), *bind(A, 0x4002, B), *forth(talk.request("INVITE", "caller", 1)),
               *back(talk.response(200, "INVITE", "callee", 1)), *forth(talk.request("ACK", "caller", 1))]
    assert len(packets) == 10
    bye = talk.request("BYE", "caller", 2)
    packets += forth(bye)
    if answer:
        capture = make_capture(packets + back(talk.response(200, "BYE", "callee", 2)))
        assert events(tshark, capture, *BYES) == {11: ["call_ended"]}
    else:
        capture = make_capture(goes_on(packets + forth(bye)))
        assert events(tshark, capture, *BYES) == {
            11: ["call_ended"], 13: ["bye_retransmitted", "bye_unanswered"], 14: ["bye_retransmitted"]}


# --- what ends a call ----------------------------------------------------------------------------------------------

STORY = "invite", "ringing", "call_started", "call_restarted", "call_answered", "call_ended"


def told(tshark, capture):
    """The story of SIP: {frame: events}, the same on both passes."""
    return events(tshark, capture, *STORY)


def the_call(tshark, capture):
    call, = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    return call


def exchange(talk, *messages, gap=0.1, begin=0):
    """Datagrams of (sender, method, cseq) or (sender, method, cseq, status); each end is where the dialog says."""
    def one(n, sender, method, cseq, status=None):
        sip.REASONS.setdefault(status, "Because")
        source, destination = talk.ends[sender], talk.ends[sip.OTHER[sender]]
        message = talk.response(status, method, sender, cseq) if status else talk.request(method, sender, cseq)
        return datagram(source, destination, message, time=begin + gap * n)
    return [one(n, *message) for n, message in enumerate(messages)]


def with_to_tag(talk, frame):
    """An INVITE within the dialog knows whom it talks to."""
    sender = "caller" if (frame.src, frame.sport) == talk.ends["caller"] else "callee"
    other = sip.OTHER[sender]
    party = talk._party(other, False).encode()
    return frame._replace(payload=frame.payload.replace(b"t: " + party, b"t: " + talk._party(other, True).encode(), 1))


CALLER, CALLEE = "caller", "callee"
ASKED, RANG = (CALLER, "INVITE", 1), (CALLEE, "INVITE", 1, 180)
TAKEN, DONE, THANKS = (CALLEE, "INVITE", 1, 200), (CALLER, "BYE", 9), (CALLEE, "BYE", 9, 200)


def test_a_call_rings_once(tshark, make_capture):
    capture = make_capture(exchange(dialog(), ASKED, (CALLEE, "INVITE", 1, 100), RANG, RANG, ASKED, TAKEN, TAKEN, DONE, THANKS))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 3: ["ringing"], 6: ["call_answered"], 8: ["call_ended"]}
    call = the_call(tshark, capture)
    assert (call["state"], call["remote"], call["end"], call["end_frame"]) == ("answered", "10.0.0.2:16402", "BYE", 8)


@pytest.mark.parametrize("status", [302, 401, 407, 415, 491])
def test_an_invite_to_be_repeated(tshark, make_capture, status):
    """RFC 3261 8.1.3: the INVITE comes again in the same dialog, with the next number. It's one call, and it lasts."""
    capture = make_capture(exchange(
        dialog(), ASKED, (CALLEE, "INVITE", 1, status), (CALLER, "ACK", 1), (CALLER, "INVITE", 2), (CALLEE, "INVITE", 2, 180),
        (CALLEE, "INVITE", 1, status), (CALLEE, "INVITE", 2, 200), DONE, THANKS))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 4: ["invite"], 5: ["ringing"], 7: ["call_answered"],
                                     8: ["call_ended"]}
    assert the_call(tshark, capture)["state"] == "answered"


@pytest.mark.parametrize("seconds", [5, 40])
def test_an_invite_that_was_not_repeated(tshark, make_capture, seconds):
    """Whether it will be, a capture that ends soon can't tell."""
    capture = make_capture(goes_on(exchange(dialog(), ASKED, (CALLEE, "INVITE", 1, 407), (CALLER, "ACK", 1)), seconds))
    call = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))[0]
    assert (call["state"], call.get("end"), call.get("end_frame")) == (
        ("not answered", "INVITE answered 407", 2) if seconds == 40 else ("ringing", None, None))


@pytest.mark.parametrize("status", [404, 480, 486, 487, 500, 600, 603])
def test_a_refusal_ends_the_call(tshark, make_capture, status):
    capture = make_capture(exchange(dialog(), ASKED, RANG, (CALLEE, "INVITE", 1, status), (CALLEE, "INVITE", 1, status),
                                    (CALLER, "ACK", 1)))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["ringing"], 3: ["call_ended"]}
    call = the_call(tshark, capture)
    assert (call["state"], call["end"], call["remote"]) == ("not answered", f"INVITE answered {status}", "10.0.0.2:16402")


@pytest.mark.parametrize("status", [486, 487, 500, 603])
@pytest.mark.parametrize("end", ["refused", "CANCEL"])
def test_nothing_broke_so_nothing_is_restarted(tshark, make_capture, status, end):
    """Declined, busy, cancelled, failed: who calls again a second later repeats nothing that broke off."""
    first, second = dialog(), dialog()
    how = [(CALLER, "CANCEL", 1), (CALLEE, "CANCEL", 1, 200)] if end == "CANCEL" else []
    packets = exchange(first, ASKED, *how, (CALLEE, "INVITE", 1, status), (CALLER, "ACK", 1))
    packets += exchange(second, ASKED, TAKEN, begin=1)
    names = told(tshark, make_capture(packets))
    assert names[len(packets) - 1] == ["call_started", "invite"]
    assert sum(found.count("call_restarted") for found in names.values()) == 0


def test_a_call_that_broke_off_is_restarted(tshark, make_capture):
    packets = exchange(dialog(), ASKED, TAKEN, DONE) + exchange(dialog(), ASKED, begin=6)
    assert sorted(told(tshark, make_capture(packets))[4]) == ["call_restarted", "call_started", "invite"]


@pytest.mark.parametrize("byes, told_again", [(1, False), (2, True)])
def test_a_redial_at_once_after_a_bye(tshark, make_capture, byes, told_again):
    """Who gets no answer says BYE again (RFC 3261 17.1.2.2, after 0.5 s); else the answer may not have been captured."""
    packets = exchange(dialog(), ASKED, TAKEN, *[DONE] * byes, gap=0.5) + exchange(dialog(), ASKED, begin=3)
    assert ("call_restarted" in told(tshark, make_capture(packets))[3 + byes]) == told_again


def test_the_answer_to_a_bye_ends_the_call(tshark, make_capture):
    """RFC 3261 15.1.2: who answers 200 has ended the session. The BYE wasn't captured; the redial repeats nothing."""
    capture = make_capture(exchange(dialog(), ASKED, TAKEN, THANKS) + exchange(dialog(), ASKED, begin=6))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["call_answered"], 3: ["call_ended"],
                                     4: ["call_started", "invite"]}
    first, _ = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    assert (first["state"], first["end"], first["end_frame"]) == ("answered", "BYE answered 200", 3)


def test_a_refused_bye_ends_nothing(tshark, make_capture):
    capture = make_capture(exchange(dialog(), ASKED, TAKEN, (CALLEE, "BYE", 9, 481)))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["call_answered"]}


@pytest.mark.parametrize("messages, answered, ended", [
    ([(CALLER, "CANCEL", 1), TAKEN, (CALLEE, "CANCEL", 1, 200)], 3, 6),     # they cross
    ([(CALLER, "CANCEL", 1), (CALLEE, "CANCEL", 1, 200), TAKEN], 4, 6),
    ([TAKEN, (CALLER, "CANCEL", 1), (CALLEE, "CANCEL", 1, 481)], 2, 6),     # too late
])
def test_a_cancel_that_crosses_the_answer_loses(tshark, make_capture, messages, answered, ended):
    capture = make_capture(exchange(dialog(), ASKED, *messages, (CALLER, "ACK", 1), DONE, THANKS))
    assert told(tshark, capture) == {1: ["call_started", "invite"], answered: ["call_answered"], ended: ["call_ended"]}
    call = the_call(tshark, capture)
    assert (call["state"], call["end"]) == ("answered", "BYE")


def test_a_cancel_ends_the_call(tshark, make_capture):
    capture = make_capture(exchange(dialog(), ASKED, RANG, (CALLER, "CANCEL", 1), (CALLEE, "CANCEL", 1, 200),
                                    (CALLEE, "INVITE", 1, 487), (CALLER, "ACK", 1)))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["ringing"], 5: ["call_ended"]}
    assert the_call(tshark, capture)["end"] == "CANCEL"


@pytest.mark.parametrize("status", [408, 481, 486, 487, 488, 491, 500, 603])
def test_a_change_refused_in_mid_call(tshark, make_capture, status):
    """The capture begins in mid-call, with an INVITE that knows its other end."""
    talk = dialog()
    invite, *rest = exchange(talk, (CALLEE, "INVITE", 7), (CALLER, "INVITE", 7, status), (CALLEE, "ACK", 7), DONE, THANKS)
    capture = make_capture([with_to_tag(talk, invite), *rest])
    assert told(tshark, capture) == {1: ["call_started", "invite"], 4: ["call_ended"]}
    call = the_call(tshark, capture)
    assert (call["state"], call["end"], call["remote"], call.get("offer_from")) == ("answered", "BYE", "10.0.0.1:16402", None)


def test_both_change_the_call_at_once(tshark, make_capture):
    capture = make_capture(exchange(
        dialog(), ASKED, TAKEN, (CALLER, "INVITE", 2), (CALLEE, "INVITE", 2), (CALLER, "INVITE", 2, 491),
        (CALLEE, "INVITE", 2, 491), (CALLEE, "INVITE", 3), (CALLER, "INVITE", 3, 200), DONE, THANKS))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["call_answered"], 3: ["invite"], 4: ["invite"],
                                     7: ["invite"], 9: ["call_ended"]}


def two_ends():
    """The dialogs of one INVITE with two ends that it reached."""
    one, other = dialog(), dialog()
    other.call_id, other.tags, other.branches = one.call_id, {**other.tags, CALLER: one.tags[CALLER]}, one.branches
    return one, other


def test_two_ends_answer(tshark, make_capture):
    """An INVITE that reached two phones: a BYE ends what it is between, the last one the call."""
    talk, other = two_ends()
    packets = exchange(talk, ASKED, RANG, TAKEN) + exchange(other, RANG, TAKEN, begin=1)
    packets += exchange(other, (CALLER, "BYE", 2), (CALLEE, "BYE", 2, 200), begin=2) + exchange(talk, DONE, THANKS, begin=3)
    capture = make_capture(packets)
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["ringing"], 3: ["call_answered"], 8: ["call_ended"]}


@pytest.mark.parametrize("status", [480, 486, 603])
def test_one_of_two_ends_refuses_and_the_other_answers(tshark, make_capture, status):
    """RFC 3261 16.7: while one end rings, another's refusal ends nothing."""
    one, other = two_ends()
    capture = make_capture(exchange(one, ASKED, RANG) + exchange(other, RANG, begin=1) + exchange(
        one, (CALLEE, "INVITE", 1, status), begin=2) + exchange(other, TAKEN, DONE, THANKS, begin=3))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["ringing"], 5: ["call_answered"], 6: ["call_ended"]}
    call = the_call(tshark, capture)
    assert (call["state"], call["end"], call["end_frame"]) == ("answered", "BYE", 6)


@pytest.mark.parametrize("two_pass", [False, True])
def test_an_end_that_was_taken_back(tshark, make_capture, two_pass):
    """Nobody was seen ringing when one end declined, so that seemed to be all; then another one answers."""
    one, other = two_ends()
    capture = make_capture(exchange(one, ASKED, (CALLEE, "INVITE", 1, 603)) + exchange(other, TAKEN, DONE, THANKS, begin=2))
    ends = [int(row["frame.number"][0]) for row in tshark.rows(
        capture, "frame.number", filter='facetime.event == "call_ended"', two_pass=two_pass)]
    assert ends == [4] if two_pass else [2, 4]
    call = the_call(tshark, capture)
    assert (call["state"], call["end"], call["end_frame"]) == ("answered", "BYE", 4)
    story = json.loads(tshark.text(capture, "-q", "-z", "facetime,timeline,json"))[0]["events"]
    assert [event["frame"] for event in story if event["event"] == "call_ended"] == [4]


@pytest.mark.parametrize("status, seconds, ended", [(486, 30, False), (486, 200, True), (603, 1, True)])
def test_one_of_two_ends_refuses_and_the_other_is_not_heard_again(tshark, make_capture, status, seconds, ended):
    """An end rings no longer than 3 minutes (RFC 3261 16.6, timer C), nor after the person declined (21.6)."""
    one, other = two_ends()
    capture = make_capture(goes_on(exchange(one, ASKED, RANG) + exchange(other, RANG, begin=1) + exchange(
        one, (CALLEE, "INVITE", 1, status), begin=2), seconds))
    call = the_call(tshark, capture)
    assert (call["state"], call.get("end"), call.get("end_frame")) == (
        ("not answered", f"INVITE answered {status}", 4) if ended else ("ringing", None, None))


def test_an_end_that_never_rang_declines_for_all(tshark, make_capture):
    """6xx is of the person, 4xx of one end (RFC 3261 21.6)."""
    for status, ended in ((486, False), (603, True)):
        one, other = two_ends()
        capture = make_capture(exchange(one, ASKED, RANG) + exchange(other, (CALLEE, "INVITE", 1, status), begin=1))
        assert told(tshark, capture).get(3) == (["call_ended"] if ended else None)


def test_a_bye_before_the_answer(tshark, make_capture):
    capture = make_capture(exchange(dialog(), ASKED, RANG, (CALLER, "BYE", 2), (CALLEE, "BYE", 2, 200), (CALLEE, "INVITE", 1, 487)))
    assert told(tshark, capture) == {1: ["call_started", "invite"], 2: ["ringing"], 3: ["call_ended"]}
    assert the_call(tshark, capture)["state"] == "not answered"


@pytest.mark.parametrize("seconds, is_known", [(3.9, False), (4.1, True)])
def test_a_bye_is_unanswered_where_an_answer_could_have_come(tshark, make_capture, seconds, is_known):
    capture = make_capture(goes_on(exchange(dialog(), ASKED, TAKEN, DONE), seconds))
    assert events(tshark, capture, "bye_unanswered") == ({3: ["bye_unanswered"]} if is_known else {})


@pytest.mark.parametrize("offer", ["INVITE", "200"])
def test_who_offers(tshark, make_capture, tmp_path, offer):
    """RFC 3261 13.2.1: the offer is in the INVITE, or in the answer to one without; then ACK has the answer."""
    talk = dialog()
    first, second = (sip.Body(sip.sdp(sip.OFFER_2015, end, 1, 2), "application/sdp", "zlib") for end in (A, B))
    bodies = (first, second, None) if offer == "INVITE" else (None, first, second)
    capture = make_capture([datagram(A, B, talk.request("INVITE", CALLER, 1, bodies[0])),
                            datagram(B, A, talk.response(200, "INVITE", CALLEE, 1, bodies[1])),
                            datagram(A, B, talk.request("ACK", CALLER, 1, bodies[2]))])
    call = the_call(tshark, capture)
    assert (call["offer_from"], call["remote"]) == ("10.0.0.1:16402" if offer == "INVITE" else "10.0.0.2:16402", "10.0.0.2:16402")
    folder = pathlib.Path(tshark.home) / f"offer-{offer}"
    for two_pass in (False, True):
        tshark.text(capture, "-q", "--export-objects", f"facetime-sdp,{folder}", two_pass=two_pass)
        assert sorted(file.name for file in folder.iterdir()) == (
            ["frame-1-offer.sdp", "frame-2-answer.sdp"] if offer == "INVITE" else ["frame-2-offer.sdp", "frame-3-answer.sdp"])
        shutil.rmtree(folder)


@pytest.mark.parametrize("snap", [120, 200, 230])
@pytest.mark.parametrize("end", ["BYE", 603])
def test_calls_end_where_the_headers_are_cut(tshark, make_capture, snap, end):
    """Of the headers To, From, Call-ID, CSeq some or all are missing; the start line and Via are there. That it's FaceTime,
    a check has proved before."""
    last = [TAKEN, (CALLER, "ACK", 1), DONE, DONE, THANKS] if end == "BYE" else [(CALLEE, "INVITE", 1, 603), (CALLER, "ACK", 1)]
    messages = snapped(exchange(dialog(), ASKED, RANG, *last, begin=0.1), snap)
    capture = make_capture(goes_on([check(A, B)._replace(time=0), *messages]))
    names = events(tshark, capture, *STORY, "bye_retransmitted", "bye_unanswered")
    assert names.pop(len(messages) + 2) == ["call_started"]
    begin = {1: ["call_started"], 2: ["invite"], 3: ["ringing"]}
    assert names == {**begin, **({4: ["call_answered"], 6: ["call_ended"], 7: ["bye_retransmitted"]} if end == "BYE" else
                                 {4: ["call_ended"]})}


@pytest.mark.parametrize("refused", ["another", "same dialog", "CANCEL"])
def test_an_answered_call_is_not_ended_by_a_change_refused(tshark, make_capture, refused):
    """An INVITE in an answered call would change it (RFC 3261, 14.1): where it's refused, all stays as it is."""
    talk = dialog()
    other = dialog() if refused == "another" else talk
    packets = [*answered(talk), datagram(A, B, other.request("INVITE", "caller", 2))]
    if refused == "CANCEL":
        packets.append(datagram(A, B, other.request("CANCEL", "caller", 2)))
    else:
        packets.append(datagram(B, A, other.response(603, "INVITE", "callee", 2)))
    packets.append(datagram(A, B, talk.request("BYE", "caller", 3)))
    capture = make_capture(packets)
    is_other = refused == "another"     # call waiting: another dialog is another call
    assert calls(tshark, capture) == ["1", "1", "1", *(["2", "2"] if is_other else ["1", "1"]), "1"]
    assert events(tshark, capture, "call_started", "call_answered", "call_ended") == {
        1: ["call_started"], 2: ["call_answered"], 6: ["call_ended"],
        **({4: ["call_started"], 5: ["call_ended"]} if is_other else {})}
