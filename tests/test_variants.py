# SPDX-License-Identifier: GPL-2.0-or-later
"""Variants of what a capture with more than one call shows: calls told apart, SIP's transactions, channels, checks, ICMP,
silences. Each scene has the right value of each of its packets (variants.py); all scenes lie in one capture, one after the
other, so that they cost two starts of tshark. FACETIME_ALL reads each alone as well."""

import collections
import copy
import json
import os
import struct

import pytest

import support
from variants import DOWN, Modern, Scene, Sender, Talk, UP, WATCH, WHOLE
from wire import modern, packets, rtp, sip, snatmap, stun

SCENES = []
PAUSE = 400.0       # between two scenes


def scene(name, *variants, six=False):
    """Registers the scene; with variants, one for each: a tuple of its arguments. six: in IPv6 as well."""
    def register(build):
        for arguments in variants or [()]:
            for version in (False, True) if six else (False,):
                label = " ".join([name, *map(str, arguments), *(["IPv6"] if version else [])])
                s = Scene(label, len(SCENES) + 1, version)
                build(s, *arguments)
                SCENES.append(s.finish())
        return build
    return register


# --- which call is it: somebody else afterwards --------------------------------------------------------------------

@scene("nobody answers, then another is called (gap, released, same relay)",
       (1, True, True), (5, True, False), (20, False, True), (3600, False, False), six=True)
def _(s, gap, released, same):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0)
    a.invite(0.5).tell("invite")
    a.answer(0.6, 180).tell("ringing")
    if released:
        a.cancel(3)
        a.answer(3.04, 200, method="CANCEL", ack=None)
        a.answer(3.05, 487).tell("call_ended")
        a.release(3.2)
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0 if same else 1))
    b.relay_up(4 + gap)
    b.taken(4.5 + gap)
    b.both(5.3 + gap)
    b.hang_up(6 + gap)
    s.listed = {"A": {"state": "not answered"} if released else {}, "B": {"state": "answered", "remote": b.far, "end": "BYE"}}


@scene("never an answer, only an allocation, and then another (gap, same relay)", (2, True), (30, True), (2, False))
def _(s, gap, same):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.allocate(0), a.bind(0.1), a.check(0.2, way="relay", answered=None), a.check(0.7, way="relay", answered=None)
    a.release(2)
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0 if same else 1))
    b.relay_up(3 + gap), b.taken(3.5 + gap), b.both(4.3 + gap), b.hang_up(5 + gap)
    s.listed = {"B": {"state": "answered", "remote": b.far}}


@scene("BYE not captured, another's INVITE (gap, who invites, relayed)",
       (3, UP, False), (30, DOWN, False), (3, DOWN, True), (30, UP, True), (86400, UP, False), six=True)
def _(s, gap, who, relayed):
    relay = s.relay(0) if relayed else None
    a = Talk(s, "A", s.near(), s.far(1), relay)
    if relayed:
        a.relay_up(-1)
    a.taken(0), a.both(0.5, 20)
    b = Talk(s, "B", s.near(), s.far(2), relay, who=who)
    if relayed:
        b.allocate(0.9 + gap), b.bind(1 + gap)
    b.taken(1.1 + gap), b.both(1.6 + gap, 20), b.hang_up(3 + gap)
    s.listed = {"A": {"state": "answered", "remote": a.far, "end": None}, "B": {"state": "answered", "remote": b.far}}


@scene("the next call's INVITE wasn't captured: its 200 was (gap)", (4,), (60,))
def _(s, gap):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0), a.both(0.5), a.hang_up(1)
    b = Talk(s, "B", s.near(), s.far(2))
    b.answer(1.2 + gap).tell("call_answered")
    b.both(1.5 + gap), b.hang_up(2 + gap)


@scene("the same person again, the BYE not captured (gap, relayed, who begins)", (3, False, UP), (3, True, UP), (40, False, DOWN),
       (3600, True, UP), (8, False, DOWN), six=True)
def _(s, gap, relayed, who):
    relay = s.relay(0) if relayed else None
    a = Talk(s, "A", s.near(), s.far(1), relay)
    if relayed:
        a.relay_up(-1)
    else:
        a.check(-0.2), a.check(-0.19, DOWN)
    a.taken(0), a.both(0.5, 20)
    b = Talk(s, "B", s.near(), s.far(1), relay, who=who)
    if relayed:
        b.relay_up(0.9 + gap)
    b.check(1.3 + gap, who), b.check(1.31 + gap, not who)
    b.taken(1.5 + gap), b.both(2 + gap, 20), b.hang_up(3 + gap)
    s.listed = {"A": {"end": None}, "B": {"end": "BYE"}}


@scene("the same person again, no checks, only another Call-ID (gap, who)", (2, UP), (5, DOWN), (200, UP))
def _(s, gap, who):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0), a.both(0.5, 20)
    b = Talk(s, "B", s.near(), s.far(1), who=who)
    b.taken(1 + gap), b.both(1.5 + gap, 20), b.hang_up(2 + gap)


@scene("seconds after a BYE the next call begins (gap, how)", (0.5, "check"), (2, "allocate"), (1, "invite"), (1, "their invite"),
       (0.3, "their check"), six=True)
def _(s, gap, how):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.both(0.5), a.hang_up(1), a.release(1.1)
    far = s.far(2) if how == "their invite" else s.far(1)
    b = Talk(s, "B", s.near(), far, s.relay(0) if how == "allocate" else None, who="their" not in how)
    t = 1.2 + gap
    if how == "allocate":
        b.relay_up(t)
    elif "check" in how:
        b.check(t, b.who)
    b.taken(t + 0.4), b.both(t + 1), b.hang_up(t + 1.5)


@scene("late sound of the old call after the new one began")
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.2), a.taken(0), a.both(0.5, 20), a.hang_up(1)
    b = Talk(s, "B", s.near(), s.far(2))
    b.check(1.4)
    a.speak(1.5, DOWN, 3)
    b.taken(1.6), b.both(2, 10), b.hang_up(3)


@scene("transferred: a BYE, and at once a third party's INVITE (relayed)", (True,), (False,))
def _(s, relayed):
    relay = s.relay(0) if relayed else None
    a = Talk(s, "A", s.near(), s.far(1), relay)
    if relayed:
        a.relay_up(-1)
    a.taken(0), a.both(0.5, 20), a.hang_up(1.5, DOWN)
    b = Talk(s, "B", s.near(), s.far(2), None, who=DOWN)
    b.invite(1.58).tell("invite")
    b.answer(1.7, 200).tell("call_answered")
    b.both(1.9, 20), b.hang_up(3)
    s.listed = {"A": {"end": "BYE", "remote": a.far}, "B": {"end": "BYE", "remote": b.far}}


# --- several calls at once ----------------------------------------------------------------------------------------

@scene("three calls at one relay 5-tuple (first released)", (0,), (1,), (2,), six=True)
def _(s, gone):
    calls = [Talk(s, "ABC"[i], s.near(), s.far(i + 1), s.relay(0), channel=0x4002 + i) for i in range(3)]
    for i, c in enumerate(calls):
        c.relay_up(i), c.taken(i + 0.4)
    for c in calls:
        c.both(3.5, 10)
    c = calls[gone]
    c.hang_up(4), c.release(4.2)
    others = [x for x in calls if x is not c]
    for x in others:
        x.both(4.8, 10)
    for i, x in enumerate(others):
        x.hang_up(5.5 + i)
    s.listed = {x.call: {"remote": x.far, "end": "BYE", "state": "answered"} for x in calls}


@scene("two direct calls on one port at once", (), six=True)
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(2), who=DOWN)
    a.check(0), a.taken(0.2), a.both(0.7, 60)
    b.check(1, DOWN), b.taken(1.2), b.both(1.8, 60)
    a.both(1.92, 60), a.hang_up(3.3), b.both(3.02, 30), b.hang_up(4)
    s.listed = {"A": {"remote": a.far}, "B": {"remote": b.far}}


@scene("two devices at one place, one person", ())
def _(s):
    a, b = Talk(s, "A", s.near(2), s.far(1)), Talk(s, "B", s.near(3), s.far(1))
    a.check(0), b.check(0.1), a.taken(0.3), b.taken(0.8), a.both(1.5), b.both(1.55), a.hang_up(2), b.both(2.2), b.hang_up(3)


@scene("two devices behind one NAT, seen outside (mapped port)", (1025,), (61000,))
def _(s, port):
    a = Talk(s, "A", s.far(5), s.far(1), s.relay(0))
    b = Talk(s, "B", s.far(5, port), s.far(2), s.relay(0))
    a.relay_up(0), b.relay_up(0.5), a.taken(1), b.taken(1.5), a.both(2), b.both(2.2), a.hang_up(3), b.both(3.2), b.hang_up(4)


@scene("two devices, both peers at one private address (kind, VLANs)", ("checks", False), ("checks", True), ("modern", False))
def _(s, kind, vlans):
    home = ("192.168.1.5", 16393 if kind == "modern" else 16402)
    if kind == "modern":
        calls = [Modern(s, "AB"[i], s.near(2 + i, 16393), s.far(1 + i, 16393), s.relay(i, 3482)) for i in range(2)]
        for i, c in enumerate(calls):
            c.connect(i * 0.4), c.both(0.7 + i * 0.1, 130)
    else:
        calls = [Talk(s, "AB"[i], s.near(2 if vlans else 2 + i), s.far(1 + i), vlan=10 + i if vlans else None) for i in range(2)]
    for i, c in enumerate(calls):
        c.check(2 + 0.2 * i, far=home, answered=None)
        c.check(2.6 + 0.2 * i, far=home, answered=None)
    for i, c in enumerate(calls):
        if kind == "modern":
            c.both(3 + i, 5)
        else:
            c.check(3 + i), c.taken(3.3 + i), c.both(4 + i), c.hang_up(5 + i)


@scene("NAT tests before a call of the same private address (VLANs)", (10, 10), (10, 11))
def _(s, tests, call):
    near, server, outside = s.near(), s.far(7, 16384), s.far(8, 40001)
    whose = "A" if tests == call else None
    for n, own in enumerate((tests, call)):
        nonce = 0x51A70000 + n
        s.put(n, near, server, snatmap.snatmap(snatmap.REQUEST, nonce, near), "A" if own == call else None,
              vlan=own).may("call_started")
        s.put(n + 0.05, server, near, snatmap.snatmap(snatmap.RESPONSE, nonce, outside), "A" if n or whose else None, vlan=own)
    a = Talk(s, "A", near, s.far(1), vlan=call)
    a.check(3)[0].tell("call_started")
    a.taken(3.3), a.both(4), a.hang_up(5)


@scene("call waiting (what becomes of it)", ("busy",), ("declined",), ("cancelled",), ("ignored",), ("taken",), six=True)
def _(s, how):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0), a.taken(0.2), a.both(1, 150)
    b = Talk(s, "B", s.near(), s.far(2), who=DOWN)
    b.invite(2).tell("invite")
    if how in ("busy", "declined"):
        b.answer(2.2, 486 if how == "busy" else 603).tell("call_ended")
    elif how == "cancelled":
        b.answer(2.2, 180).tell("ringing")
        b.cancel(3), b.answer(3.03, 200, method="CANCEL", ack=None)
        b.answer(3.04, 487).tell("call_ended")
    elif how == "taken":
        b.answer(2.2, 180).tell("ringing")
        b.answer(3, 200).tell("call_answered")
        b.both(3.1, 80), b.hang_up(4.9)
    a.both(4.02, 50), a.hang_up(6)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}
    if how not in ("taken", "ignored"):
        s.listed["B"] = {"state": "not answered", "remote": b.far}


# --- nothing broke, so nothing is started again -----------------------------------------------------------------------

@scene("refused, then again (status, gap, who calls then)", (486, 0.5, UP), (603, 2, UP), (480, 10, DOWN), (600, 3, UP),
       (486, 29, DOWN), six=True)
def _(s, status, gap, who):
    a = Talk(s, "A", s.near(), s.far(1))
    a.invite(0).tell("invite")
    a.answer(0.3, status).tell("call_ended")
    b = Talk(s, "B", s.near(), s.far(1), who=who)
    b.taken(0.5 + gap), b.both(1 + gap), b.hang_up(2 + gap)
    s.listed = {"A": {"state": "not answered", "end": f"INVITE answered {status}"}, "B": {"state": "answered"}}


@scene("declined three times")
def _(s):
    for i, call in enumerate("ABC"):
        a = Talk(s, call, s.near(), s.far(1))
        a.invite(i).tell("invite")
        a.answer(i + 0.3, 603).tell("call_ended")


@scene("cancelled after it rang, then again, relayed (gap)", (1,), (20,))
def _(s, gap):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.invite(0.5).tell("invite")
    a.answer(0.6, 180).tell("ringing")
    a.cancel(5), a.answer(5.05, 200, method="CANCEL", ack=None), a.answer(5.06, 487).tell("call_ended")
    a.release(5.2)
    b = Talk(s, "B", s.near(), s.far(1), s.relay(0))
    b.relay_up(6 + gap), b.taken(6.5 + gap), b.both(7 + gap), b.hang_up(8 + gap)


@scene("a BYE never answered, then again (gap, told)", (6, True), (25, True), (70, False), six=True)
def _(s, gap, told):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0), a.taken(0.2), a.both(1, 10)
    byes = a.bye(2, answered=None, copies=4)
    byes[0].tell("call_ended")
    byes[-1].tell("bye_unanswered")
    b = Talk(s, "B", s.near(), s.far(1))
    first = b.check(3.5 + gap)[0]
    if told:
        first.tell("call_restarted")
    b.taken(3.8 + gap), b.both(4.5 + gap), b.hang_up(5 + gap)


@scene("a BYE never answered, then somebody else")
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0), a.taken(0.2), a.both(1, 10)
    byes = a.bye(2, answered=None, copies=3)
    byes[0].tell("call_ended")
    byes[-1].tell("bye_unanswered")
    b = Talk(s, "B", s.near(), s.far(2))
    b.check(9), b.taken(9.5), b.both(10), b.hang_up(11)


@scene("the peer missed the BYE and goes on (how)", ("checks",), ("media",), ("both",), ("answered checks",), six=True)
def _(s, how):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0), a.taken(0.2), a.both(1, 30), a.hang_up(1.7)
    for i in range(8):
        t = 2 + i * 2.5 if "check" in how else 2 + 0.02 * i
        if how != "media":
            a.check(t, DOWN, answered=0.03 if how == "answered checks" else None)
    if how in ("media", "both"):
        a.speak(1.78, DOWN, 30)


# --- modern calls, one after the other ------------------------------------------------------------------------------

@scene("modern, one after the other (gap, same relay, socket closed)", (2, False, True), (2, True, True), (40, False, False),
       (40, True, True), (125, True, False), (125, False, True), (86400, True, False), (86400, False, True), (2, False, False))
def _(s, gap, same, closed):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.control(0.3, UP), a.control(0.35, DOWN), a.both(0.5, 20)
    a.control(0.9, DOWN)
    if closed:
        late = a.speak(1.1, DOWN, 1)
        a.close(1.101, late[0]).may("call_ended")
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(0 if same else 1, 3482))
    b.connect(1.2 + gap), b.control(1.5 + gap, UP), b.control(1.55 + gap, DOWN), b.both(1.7 + gap, 20)


@scene("modern, the next one directly (gap)", (3,), (45,), (100000,))
def _(s, gap):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.5, 20)
    a.check(0.9), a.check(0.91, DOWN)
    for up in (UP, DOWN):
        a.speak(1 if up else 1.005, up, 20, way="direct")[0].tell("path_switch")
    late = a.speak(1.5, DOWN, 1, way="direct")
    a.close(1.501, late[0]).may("call_ended")
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(1, 3482))
    b.connect(1.6 + gap), b.both(2.2 + gap, 20)
    b.check(2.7 + gap), b.check(2.71 + gap, DOWN)
    for up in (UP, DOWN):
        b.speak((3 if up else 3.005) + gap, up, 20, way="direct")[0].tell("path_switch")


@scene("modern, from its middle on: no check was seen before it moved (who is heard directly)", (UP, DOWN), (DOWN,))
def _(s, *ways):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.both(0, 20)
    for up in ways:
        a.speak(0.6 if up else 0.605, up, 20, way="direct")[0].tell("path_switch")
    s.listed = {"A": {"remote": a.far}}


@scene("modern, two at once on one port", ())
def _(s):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(1, 3489))
    a.connect(0), a.both(0.5, 150)
    for p in b.connect(1):      # of the running call by all that is known so far; the keys tell, later
        p.may("call_started")
    b.both(1.5, 100)[0].tell("call_started")
    a.control(2, UP), b.control(2.1, UP), a.control(2.2, DOWN), b.control(2.3, DOWN)


@scene("modern, two at once on one port, both peers are 192.168.1.5 at home (both keys seen before)", (True,), (False,))
def _(s, both):
    home = "192.168.1.5", 16393
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(1, 3489))
    a.connect(0), a.both(0.4, 50), a.check(1.5, far=home, answered=None), a.check(1.6), a.check(1.7, DOWN)
    for p in b.connect(1.9):
        p.may("call_started")
    a.both(2, 200), b.speak(2.2, UP, 30)[0].may("call_started")
    if both:
        b.speak(2.205, DOWN, 30)
    for p in b.check(2.9, far=home, answered=None) + b.check(2.95) + b.check(3, DOWN):
        p.may("call_started")
    for up in (UP, DOWN):
        b.speak(3.1 if up else 3.105, up, 60, way="direct")[0].may("path_switch")
    a.both(6.01, 30)


class Socket:
    """What the call does meanwhile it does from another socket of the device's, to another port of its relay."""

    def __init__(self, talk, near, port):
        self.talk, self.ends = talk, (near, (talk.relay[0], port))

    def __enter__(self):
        self.kept = self.talk.near, self.talk.relay
        self.talk.near, self.talk.relay = self.ends

    def __exit__(self, *_):
        self.talk.near, self.talk.relay = self.kept


def offers(talk, t, up, *places):
    """A link message with the candidates of who sends it."""
    link = modern.link_message(modern.CONNECTION_DATA, [modern.counter(1), modern.connection_data(
        [(modern.HOST, place, modern.WIFI) for place in places])], talk.rng.randbytes(20))
    given = {} if up else {"participant": talk.senders[up].participant}
    return talk.put(t, up, modern.relay(link, attr=modern.ATTR_LINK_MESSAGE, priority=1, link=talk.links[DOWN], **given))


@scene("modern, two at once on one port, each with two connections to its relay (which begins with the second one)", ("A",),
       ("B",))
def _(s, early):
    """As both calls of 2023: a device's connections go to one address. The running call is no reason to begin a third one."""
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(1, 3482))
    a.connect(0), a.both(0.5, 200)
    for p in b.connect(1):
        p.may("call_started")
    b.both(1.5, 150)[0].tell("call_started")
    for n, talk in enumerate((a, b) if early == "A" else (b, a)):
        with Socket(talk, s.near(2, 16396), 3495 + n):
            talk.connect(2 + n, more=3)
            talk.control(2.4 + n, UP), talk.control(2.45 + n, DOWN)


@scene("modern, two at once on one port, each checks what its link messages named (home of B's peer)", (6,), (17,))
def _(s, net):
    """The peers' addresses at home differ; the calls' link messages say whose is which."""
    homes = ("192.168.5.7", 16393), (f"192.168.{net}.9", 16393)
    calls = [Modern(s, "AB"[i], s.near(2, 16393), s.far(1 + i, 16393), s.relay(i, 3482)) for i in (0, 1)]
    calls[0].connect(0), calls[0].both(0.5, 300)
    for p in calls[1].connect(1):
        p.may("call_started")
    calls[1].both(1.5, 250)[0].tell("call_started")
    for i, talk in enumerate(calls):
        offers(talk, 2 + i, DOWN, homes[i]), offers(talk, 2.05 + i, UP, talk.near)
    for i, talk in enumerate(calls[::-1]):
        talk.check(4 + i, far=homes[1 - i])
        talk.check(4.3 + i, DOWN, far=homes[1 - i])


@scene("modern: the next connection of a call comes while another one is set up (packets before its first key)", (5,), (150,))
def _(s, more):
    """B rings, at its first address. A sets up from B's second one, where B opens a connection then."""
    b = Modern(s, "B", s.near(3, 16393), s.far(2, 16393), s.relay(1, 3482))
    a = Modern(s, "A", s.near(2, 16394), s.far(1, 16393), s.relay(0, 3489))
    b.connect(0), b.control(0.3, UP), b.control(0.35, DOWN)
    a.connect(1)[0].tell("call_started")
    with Socket(b, s.near(2, 16394), 3482):
        for p in b.connect(2, more=more):
            p.may("call_started")
        b.control(6, UP), b.control(6.05, DOWN)
    a.both(7, 50), b.both(7.1, 50)


@scene("modern: the same peer again, and again its NAT lets through the second check only (gap)", (2,), (90000,))
def _(s, gap):
    """What a NAT let through in one call tells nothing of the next one: its pair is another one."""
    calls = [Modern(s, call, s.near(2, 16393), s.far(1, 16393), s.relay(i, 3482)) for i, call in enumerate("AB")]
    for call, t in zip(calls, (0, 3 + gap)):
        call.connect(t), call.both(t + 0.3, 40)
        call.check(t + 0.6, answered=None)
        call.check(t + 1.1, answered=None)
        call.check(t + 1.6)[1].tell("hole_punched")
        came = call.speak(t + 2, DOWN)[-1]
        call.close(t + 2.2, came).tell("call_ended")


@scene("modern, two devices at one access point", ())
def _(s):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    b = Modern(s, "B", s.near(3, 16393), s.far(2, 16393), s.relay(0, 3482))
    c = Modern(s, "C", s.near(4, 16393), s.far(3, 16393), s.relay(0, 3482))
    a.connect(0)
    b.connect(0.2)[0].tell("call_started")  # that two have a relay in common ties nothing
    a.both(0.5, 50), b.both(1.1, 50)
    c.connect(1.2)[0].tell("call_started")
    b.check(2.2)                # of the only call that this device has
    c.both(2.3, 50), c.check(3.2)


@scene("modern, again through the same relay, whose end wasn't seen (gap, initial seen)", (3, True), (8, True))
def _(s, gap, initial):
    calls = [Modern(s, call, s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482)) for call in "AB"]
    for n, c in enumerate(calls):
        for p in c.connect(n * gap, initial):
            p.may("call_started")
        c.control(n * gap + 0.3, UP).may("call_started"), c.control(n * gap + 0.35, DOWN), c.both(n * gap + 0.5, 50)


@scene("a group: somebody comes, goes, comes back (how)", ("comes",), ("goes",), ("back",), ("rekeyed",))
def _(s, how):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482), multiway=True)
    a.connect(0), a.both(0.5, 20)
    one, other = a.senders[DOWN], Sender(s.rng)
    if how == "comes":
        a.senders[DOWN] = other
        a.speak(1, DOWN, 20)
        a.senders[DOWN] = one
        a.both(0.92, 60)
    elif how == "goes":
        a.senders[DOWN] = other
        a.speak(1, DOWN, 100)
        a.speak(0.92, UP, 200)
    elif how == "back":
        a.speak(0.92, UP, 400)
        a.senders[DOWN] = other
        a.speak(1, DOWN, 300)
        back = Sender(s.rng)
        back.participant, back.mki = one.participant, back.mki
        a.senders[DOWN] = back
        a.speak(6, DOWN, 50).__getitem__(0).may("media_gap")
    else:
        for n in range(3):
            for up in (UP, DOWN):
                a.senders[up].mki = Sender(s.rng).mki
            a.both(0.92 + n * 0.4, 20)


@scene("modern, another relay in mid-call, keys go on", (0.05,), (1.5,))
def _(s, gap):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.5, 20)
    a.relay = s.relay(1, 3489)
    a.connect(0.6)
    out = a.both(0.9 + gap, 20)
    out[0].may("path_switch"), out[20].may("path_switch")


@scene("modern, a check is sent three times at once, one answer comes: nothing was lost (s between)", (0.001,), (0.02,))
def _(s, between):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    first = a.check(0, answered=None)[0]
    for i in (1, 2):
        a.check(i * between, answered=0.06 if i == 2 else None, txid=first.txid)[-1].link = ()
    a.check(0.5, DOWN)
    a.both(1, 20, way="direct")


@scene("modern, directly only", (True,), (False,))
def _(s, checked):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    if checked:
        a.check(0), a.check(0.01, DOWN)
    a.both(0.5, 20, way="direct")
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(0, 3482))
    if checked:
        b.check(50), b.check(50.01, DOWN)
    b.both(50.5, 20, way="direct")


@scene("modern, from many to one-to-one", (1,), (2,))
def _(s, times):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0)
    t = 0.5
    for n in range(times + 1):
        many = n % 2 == 0
        for up in (UP, DOWN):
            out = a.speak(t if up else t + 0.005, up, 20, multiway=many)
            if n:
                out[0].may("path_switch", "mode_changed")
        t += 0.4


@scene("modern, both ends here, from many to one-to-one, one end after the other (s)", (0.3,), (1.5,))
def _(s, later):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    b = Modern(s, "A", s.near(3, 16393), s.far(2, 16393), s.relay(1, 3489))
    a.both_ends(b, 0, 20, {a: True, b: True})[2].may("call_started")    # nothing ties it to the first, yet
    a.both_ends(b, 0.4, round(later / 0.02), {a: False, b: True})[0].tell("mode_changed")
    out = a.both_ends(b, 0.4 + later, 20, {a: False, b: False})
    min((p for p in out if b.near in (p.src, p.dst)), key=lambda p: p.time).tell("mode_changed")


# --- SIP's transactions -----------------------------------------------------------------------------------------------

@scene("challenged (status, times, acknowledged, relayed)", (401, 1, True, False), (407, 2, False, False), (407, 1, True, True),
       (302, 1, True, False), (491, 1, True, False), six=True)
def _(s, status, times, acked, relayed):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if relayed else None)
    if relayed:
        a.relay_up(-1)
    for n in range(times):
        a.invite(n, cseq=n + 1).tell("invite")
        a.answer(n + 0.1, status, cseq=n + 1, ack=0.02 if acked else None)
    a.invite(times, cseq=times + 1).tell("invite")
    a.answer(times + 0.1, 180, cseq=times + 1).tell("ringing")
    a.answer(times + 1, cseq=times + 1).tell("call_answered")
    a.both(times + 1.2, 10), a.hang_up(times + 2)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}


@scene("re-INVITE in mid-call (status, who)", (200, UP), (488, UP), (491, DOWN), (500, DOWN), (603, UP), six=True)
def _(s, status, who):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0), a.both(0.5, 50)
    a.invite(1, who, cseq=5, again=True).tell("invite")
    a.answer(1.1, status, cseq=5, up=not who)
    a.both(1.55, 50), a.hang_up(3)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("re-INVITEs of both ends cross (491), then one again", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0), a.both(0.5, 20)
    a.invite(1, UP, cseq=5, again=True).tell("invite")
    a.invite(1.01, DOWN, cseq=7, again=True).tell("invite")
    a.answer(1.05, 491, cseq=7, up=UP), a.answer(1.06, 491, cseq=5, up=DOWN)
    a.invite(2, UP, cseq=6, again=True).tell("invite")
    a.answer(2.1, 200, cseq=6, up=DOWN)
    a.both(2.2, 20), a.hang_up(3, DOWN)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}


@scene("begins in mid-call, a re-INVITE refused (status)", (488,), (491,), (500,), six=True)
def _(s, status):
    a = Talk(s, "A", s.near(), s.far(1))
    a.invite(0, cseq=5, again=True).tell("invite")
    a.answer(0.1, status, cseq=5)
    a.both(0.4, 50), a.hang_up(3)
    s.listed = {"A": {"end": "BYE"}}


@scene("CANCEL crosses the 200 (relayed, the BYE's end)", (False, UP), (True, UP), (False, DOWN))
def _(s, relayed, who):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if relayed else None)
    if relayed:
        a.relay_up(-1)
    a.invite(0).tell("invite")
    a.answer(0.1, 180).tell("ringing")
    a.cancel(1)
    a.answer(1.01, 200).tell("call_answered")
    a.answer(1.06, 200, method="CANCEL", ack=None)
    a.hang_up(1.2, who)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("cancelled (INVITE repeated, 487 repeated)", (1, 1), (3, 1), (2, 3))
def _(s, invites, refusals):
    a = Talk(s, "A", s.near(), s.far(1))
    wire = a.invite(0).tell("invite").payload
    for n in range(1, invites):
        s.put(0.5 * n, a.near, a.far, wire, "A")
    a.cancel(2), a.answer(2.03, 200, method="CANCEL", ack=None)
    p = a.answer(2.04, 487).tell("call_ended")
    for n in range(1, refusals):
        s.put(2.04 + 0.5 * n, a.far, a.near, p.payload, "A")
    s.listed = {"A": {"state": "not answered", "end": "CANCEL"}}


@scene("cancelled, its answers weren't captured, and again (gap, relayed)", (2, False), (20, False), (3, True), (40, True), six=True)
def _(s, gap, relayed):
    a, b = (Talk(s, call, s.near(), s.far(1), s.relay(0) if relayed else None) for call in "AB")
    if relayed:
        a.relay_up(-1)
    a.invite(0).tell("invite")
    a.answer(0.1, 180).tell("ringing")
    a.cancel(2).tell("call_ended")
    if relayed:
        b.relay_up(2 + gap)
    b.check(2.5 + gap), b.check(2.55 + gap, DOWN), b.taken(2.8 + gap), b.both(3.5 + gap, 30), b.hang_up(5 + gap)
    s.listed = {"A": {"state": "not answered", "end": "CANCEL"}, "B": {"state": "answered", "end": "BYE"}}


@scene("two answers of one INVITE (forked), one hangs up (first)", (0,), (1,))
def _(s, first):
    a = Talk(s, "A", s.near(), s.far(1))
    a.invite(0).tell("invite")
    tags = [a.dialog.tags["callee"], "77001122"]
    for n in (0, 1):
        a.dialog.tags["callee"] = tags[n]
        p = a.answer(0.5 + 0.3 * n)
        if n == 0:
            p.tell("call_answered")
    a.dialog.tags["callee"] = tags[first]
    a.bye(1, cseq=8)
    a.both(1.2, 30)
    a.dialog.tags["callee"] = tags[1 - first]
    a.hang_up(2)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("both ends hang up at once (answered by)", ("both",), ("callee",))
def _(s, who):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0), a.both(0.5, 10)
    a.bye(1, UP, cseq=9)[0].tell("call_ended")
    out = a.bye(1.01, DOWN, cseq=9, answered=0.06 if who == "both" else None)
    if who != "both":
        out[0].tell("bye_unanswered")
    s.put(6, s.far(9, 53), (a.near[0], 5353), b"\x12\x34\x81\x80" + bytes(20), None)    # the capture goes on
    s.listed = {"A": {"end": "BYE"}}


@scene("a BYE that is answered late or oddly (copies, status)", (3, 200), (1, 481), (2, 481), (4, 200), six=True)
def _(s, copies, status):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0), a.both(0.5, 10)
    a.bye(1, DOWN, copies=copies, status=status)[0].tell("call_ended")
    s.listed = {"A": {"end": "BYE", "state": "answered"}}


@scene("a long ring (seconds)", (50,), (150,))
def _(s, seconds):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.5)
    a.taken(0, ring=seconds), a.both(seconds + 0.2), a.hang_up(seconds + 1)
    s.listed = {"A": {"state": "answered"}}


@scene("delayed offer (relayed, who)", (True, UP), (False, DOWN), (True, DOWN), (False, UP))
def _(s, relayed, who):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if relayed else None, who=who)
    if relayed:
        a.relay_up(-1)
    a.invite(0, sdp=False).tell("invite")
    d = a.dialog
    a.say(0.3, not who, d.response(200, "INVITE", "callee", 1, a.body(not who, sip.OFFER_2015))).tell("call_answered")
    ack = d.request("ACK", "caller", 1)
    body = a.body(who, sip.ANSWER_2015)
    head = bytes(ack).replace(b"l: 0\r\n", b"c: application/sdp\r\ne: deflate\r\nl: %d\r\n" % len(body.coded))
    a.say(0.35, who, head + body.coded)
    a.both(0.5), a.hang_up(1)
    s.listed = {"A": {"remote": a.far, "offer_from": a.far if who else a.near}}


def far_side(s, packets, own, seen, late, offset):
    """The capture of the other end, `own` at home, which sees the device at `seen`."""
    for p in list(packets):
        up = p.src == s.near(2)
        ends = (seen, own) if up else (own, seen)
        again = s.put(p.time + offset + (late if up else -late), *ends, p.payload, p.call)
        again.may("call_started", *p.must)
        p.may("call_started", *p.must)
        p.must, p.link = set(), ()


@scene("both ends in one file, each behind its NAT (s of the other clock, bytes a packet)", (3, WHOLE), (3600, WHOLE), (-40, WHOLE),
       (3, 128), (3600, 128))
def _(s, offset, snap):
    a = Talk(s, "A", s.near(2), s.far(1))
    a.check(0), a.check(0.05, DOWN), a.taken(0.3), a.both(1, 150), a.hang_up(5)
    far_side(s, s.packets, ("192.168.77.5", 16402), ("203.0.113.77", 40100), 0.03, offset)
    s.snap = snap


@scene("two calls of others, minutes apart, with packets of media in common (how many)", (1,), (2,))
def _(s, common):
    """One may be chance, or somebody's replay; two are both ends of a call, by whatever clocks."""
    a, b = Talk(s, "A", s.near(2), s.far(1)), Talk(s, "A" if common > 1 else "B", s.near(3), s.far(2))
    shared = a.speak(0, UP, 12)[4:4 + common]
    a.speak(0.005, DOWN, 60), a.speak(0.24, UP, 50)
    b.speak(200, UP, 60), b.speak(200.005, DOWN, 60)
    for n, p in enumerate(shared):
        again = s.put(200.5 + 0.02 * n, b.near, b.far, p.payload, b.call)
        again.dontcare = common == 1
    for p in s.packets:
        p.may("call_started", "first_media", "media_gap")
        p.dontcare |= p.time < 0.2 or 200 <= p.time < 200.2


@scene("SIP alone, nothing of media (who)", (UP,), (DOWN,), six=True)
def _(s, who):
    a = Talk(s, "A", s.near(), s.far(1), who=who)
    a.taken(0), a.hang_up(5)
    s.listed = {"A": {"remote": a.far, "local": a.near}}


@scene("the 200 comes again and again", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    p = a.taken(0)
    for n in range(3):
        s.put(0.8 + 0.5 * n, a.far, a.near, p.payload, "A")
        a.ack(0.82 + 0.5 * n)
    a.both(2.5), a.hang_up(3)


@scene("INVITE relayed, BYE directly", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.both(0.5, 10)
    a.check(0.8)
    for up in (UP, DOWN):
        a.speak(1 if up else 1.005, up, 10, way="direct")[0].tell("path_switch")
    a.hang_up(2, way="direct")
    a.release(2.2)


# --- channels ----------------------------------------------------------------------------------------------------------

@scene("the bind's answer wasn't captured (first data)", ("down",), ("up",), six=True)
def _(s, first):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.allocate(0), a.bind(0.1, answered=False)
    if first == "up":
        for p in a.check(0.2, answered=None, way="relay") + a.check(0.4, answered=None, way="relay"):
            p.tell("early_channel_data")
    a.check(0.7, DOWN, way="relay")
    a.taken(1), a.both(1.5, 30), a.hang_up(3), a.release(3.2)


@scene("the bind is sent again, and answered then (copies)", (2,), (3,))
def _(s, copies):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.allocate(0), a.bind(0.1, copies=copies)
    a.check(0.2, answered=None, way="relay")[0].tell("early_channel_data")
    t = 0.2 + 0.5 * copies
    a.check(t, DOWN, way="relay"), a.taken(t + 0.3), a.both(t + 1), a.hang_up(t + 2)


@scene("a new allocation binds the number anew (released, same peer)", (True, False), (False, False), (False, True))
def _(s, released, same):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.hang_up(2)
    if released:
        a.release(2.1)
    b = Talk(s, "B", s.near(), s.far(1 if same else 2), s.relay(0), who=DOWN)
    b.allocate(8)
    b.bind(8.2, copies=1)
    b.check(8.22, answered=None, way="relay")[0].tell("early_channel_data")
    b.check(8.4, DOWN, way="relay"), b.taken(8.6), b.both(9.2, 10), b.hang_up(10)
    s.listed = {"A": {"remote": a.far}, "B": {"remote": b.far}}


@scene("a channel bound again after minutes (a refresh)", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5)
    t = 1.0
    for n in range(3):
        a.both(t, 50, step=1.9)
        t += 94.9
        a.bind(t), a.speak(t + 0.02, UP, 1), a.speak(t + 0.03, DOWN, 1)
        t += 0.5
    a.hang_up(t)


@scene("a release in flight (copies of the Refresh)", (1,), (2,), (3,), six=True)
def _(s, copies):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.hang_up(2)
    a.release(2.1, copies=copies, after=0.1)
    a.speak(2.12, DOWN, 3), a.speak(2.15 + 0.5 * (copies - 1), DOWN, 2)
    a.speak(2.4 + 0.5 * (copies - 1), DOWN, 2)


@scene("a channel was released; another call has its number, whose bind wasn't captured (who is heard first)", (UP,), (DOWN,))
def _(s, first):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.bye(2, answered=None, copies=2)[0].tell("call_ended")
    s.packets[-1].tell("bye_unanswered")
    a.release(3)
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0), who=not first)
    b.check(15, far=("192.168.1.5", 16402), answered=None, way="direct")
    b.answer(16, 200).tell("call_answered")
    b.both(16.2, 40), b.hang_up(18, first)
    s.listed = {"A": {"remote": a.far}}


@scene("what the device sends around a release", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10)
    a.release(2, after=0.1)
    a.speak(2.03, UP, 2)
    for p in a.speak(2.2, UP, 3):
        p.tell("released_channel_used")


@scene("released in mid-call, media goes on directly", (), six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.check(1.1)
    for up in (UP, DOWN):
        a.speak(1.3 if up else 1.305, up, 10, way="direct")[0].tell("path_switch")
    a.release(1.6)
    a.both(1.7, 200, way="direct")
    a.hang_up(6, way="direct")
    s.listed = {"A": {"end": "BYE", "state": "answered"}}


@scene("the release wasn't captured, the relay's 5-tuple serves the next call (gap)", (3,), (100,))
def _(s, gap):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.hang_up(2)
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0))
    b.relay_up(3 + gap), b.taken(3.5 + gap), b.both(4.2 + gap), b.hang_up(5 + gap), b.release(5.2 + gap)


@scene("of two allocations the ended call's is released, its device sends on (order)", (0,), (1,))
def _(s, gone):
    pair = [Talk(s, "AB"[i], s.near(), s.far(i + 1), s.relay(0), channel=0x4002 + i) for i in (0, 1)]
    for i, c in enumerate(pair):
        c.relay_up(i * 0.5), c.taken(i * 0.5 + 0.4)
    pair[0].both(1.5), pair[1].both(1.55)
    over, on = pair[gone], pair[1 - gone]
    over.hang_up(2), over.release(2.1)
    on.both(2.4, 20)
    for p in over.speak(2.5, UP, 2):
        p.tell("released_channel_used")
    on.hang_up(4), on.release(4.2)


# --- checks ------------------------------------------------------------------------------------------------------------

@scene("checks cross (way, relayed media)", ("direct",), ("relay",), six=True)
def _(s, way):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.allocate(0), a.bind(0.1)
    a.check(0.3, UP, way, answered=0.08), a.check(0.31, DOWN, way, answered=0.03), a.check(0.5, UP, way, answered=0.2)
    a.check(0.55, DOWN, way, answered=0.05)


@scene("checks in vain, then one gets through (mine in vain, theirs, the one that does)", (3, 0, DOWN), (1, 2, UP), (2, 0, UP),
       (0, 2, DOWN), six=True)
def _(s, mine, theirs, up):
    a = Talk(s, "A", s.near(), s.far(1))
    for n in range(mine):
        a.check(0.5 * n, UP, answered=None)
    for n in range(theirs):
        a.check(0.25 + 0.5 * n, DOWN, answered=None)
    a.check(2.5, up)[1].tell("hole_punched")
    a.check(2.7, not up)
    a.check(3.2, up)


@scene("an answer to a check wasn't captured, and the same person calls again: no hole was punched (what, seconds after)",
       ("crossing", 0.3), ("crossing", 5), ("crossing", 20), ("one", 0.3), ("one", 5), ("next", 0.3), ("next", 5), six=True)
def _(s, what, gap):
    """The first call's answer, or the next one's, whose first check comes on a way that was just in use."""
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(1), who=DOWN)
    lost = a.check(-0.2)[1]
    if what == "crossing":
        a.check(-0.19, DOWN)
    a.taken(0), a.both(0.5, 20, step=0.05), a.hang_up(2)
    if what == "next":
        lost = b.check(2.2 + gap, DOWN)[1]
    b.check(2.4 + gap), b.check(2.45 + gap, DOWN), b.taken(2.6 + gap), b.both(3.2 + gap, 20), b.hang_up(4 + gap)
    s.packets.remove(lost)


@scene("the answer to a check wasn't captured, and media runs there: no hole was punched", six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    lost = a.check(-1)[1]
    a.taken(-0.8), a.both(0, 100), a.check(0.9), a.check(0.95, DOWN), a.check(1.4), a.hang_up(2.5)
    s.packets.remove(lost)


@scene("checks of another pair in vain (whose)", ("home",), ("relay",), ("another call",))
def _(s, whose):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    if whose == "relay":
        a.allocate(-1), a.bind(-0.9), a.check(-0.8, way="relay", answered=None)
    elif whose == "home":
        a.check(0, far=("192.168.1.9", 16402), answered=None), a.check(0.5, far=("192.168.1.9", 16402), answered=None)
    else:
        b = Talk(s, "B", s.near(), s.far(1))
        b.check(-60, answered=None), b.check(-59, answered=None)
    a.check(1.5), a.check(1.6, DOWN)


@scene("an answer arrives late, after the next check (seconds)", (0.7,), (1.8,))
def _(s, late):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0, answered=late), a.check(0.5, answered=late), a.check(0.6, DOWN)


@scene("a check refused for its role, then in the other one", (487,), six=True)
def _(s, status):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0, refused=status), a.check(0.1, role=False), a.check(0.15, DOWN, role=True)
    a.taken(0.5), a.both(1), a.hang_up(2)


@scene("nominated with the transaction id of before", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    first = a.check(0)
    a.check(0.3, nominate=1, txid=first[0].txid)
    a.taken(0.5), a.both(1), a.hang_up(2)


# --- ICMP ----------------------------------------------------------------------------------------------------------------

@scene("the device's port is closed after the end (way)", ("direct",), ("relay",), six=True)
def _(s, way):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if way == "relay" else None)
    if way == "relay":
        a.relay_up(-1)
    a.taken(0), a.both(0.5, 10), a.hang_up(1)
    for n in range(3):
        p = a.speak(1.2 + 0.1 * n, DOWN, 1)[0]
        s.unreachable(p.time + 0.001, p, a.near[0]).tell("socket_closed")


@scene("modern: the socket closes, the end (way, quoted bytes)", ("relay", 548), ("direct", 548), ("relay", 28))
def _(s, way, keep):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.5, 20)
    if way == "direct":
        a.check(1), a.check(1.01, DOWN)
        for up in (UP, DOWN):
            a.speak(1.1 if up else 1.105, up, 20, way="direct")[0].tell("path_switch")
    p = a.speak(1.6, DOWN, 1, way=way)[0]
    s.unreachable(1.601, p, a.near[0], keep=keep).tell("socket_closed").may("call_ended")
    s.listed = {"A": {"end": "socket closed by the device"}}


@scene("a router says that the peer can't be reached (code)", (1,), (10,), (13,), six=True)
def _(s, code):
    a = Talk(s, "A", s.near(), s.far(1))
    for n in range(2):
        p = a.check(0.5 * n, far=s.far(7), answered=None)[0]
        s.unreachable(p.time + 0.01, p, s.near(1)[0], code).tell("peer_unreachable")
    a.check(1.5), a.taken(2), a.both(2.5), a.hang_up(3)


@scene("the peer's own port is closed", (), six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0), a.taken(0.2), a.both(0.8, 10)
    for n in range(2):
        p = a.speak(1.2 + 0.1 * n, UP, 1)[0]
        s.unreachable(p.time + 0.03, p, a.far[0]).tell("peer_unreachable")


@scene("ICMP about another's port of the device", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0), a.taken(0.2), a.both(0.8, 10)
    p = s.put(1.2, s.far(9, 53), (a.near[0], 5353), b"\x12\x34\x81\x80" + bytes(20), None)
    s.unreachable(1.21, p, a.near[0])
    a.both(1.3, 10), a.hang_up(2)


# --- media -----------------------------------------------------------------------------------------------------------------

@scene("a silence (whose, seconds)", ("mine", 3), ("theirs", 2.5), ("both", 4), ("none", 1.8), six=True)
def _(s, whose, seconds):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.5), a.taken(0)
    for up, quiet in ((UP, whose in ("mine", "both")), (DOWN, whose in ("theirs", "both"))):
        a.speak(1, up, 10)
        if not quiet and whose != "none":
            a.speak(1.2, up, round(seconds * 50))
        p = a.speak(1.2 + seconds, up, 10)[0]
        if quiet:
            p.tell("media_gap")
    a.hang_up(2 + seconds)


@scene("modern: a silence (whose, way)", ("mine", "relay"), ("theirs", "direct"), ("theirs", "relay"))
def _(s, whose, way):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    if way == "relay":
        a.connect(0)
    else:
        a.check(0), a.check(0.01, DOWN)
    for up in (UP, DOWN):
        quiet = up == (whose == "mine")
        a.speak(1, up, 10, way=way)
        if not quiet:
            a.speak(1.2, up, 150, way=way)
        p = a.speak(4.2, up, 10, way=way, ticks=480 if not quiet else 72000)[0]
        if quiet:
            p.tell("media_gap")


@scene("another SSRC in mid-call (way)", ("legacy",), ("modern",))
def _(s, kind):
    if kind == "legacy":
        a = Talk(s, "A", s.near(), s.far(1))
        a.check(-0.5), a.taken(0)
    else:
        a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
        a.connect(0)
    a.both(0.5, 30)
    old = a.senders[DOWN]
    a.senders[DOWN] = Sender(s.rng)
    a.senders[DOWN].mki, a.senders[DOWN].participant = old.mki, old.participant
    a.both(1.1, 30)


@scene("sequence numbers (from, jump)", (65530, 1), (100, 20000), (30000, 5), (5, 65000))
def _(s, start, jump):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.5), a.taken(0)
    a.senders[UP].seq = start
    a.both(0.5, 15)
    a.speak(0.8, UP, 15, jump=jump), a.speak(0.805, DOWN, 15)
    a.hang_up(2)
    lost = {20000: 0, 1: 0, 5: 4, 65000: 0}[jump]
    s.listed = {"A": {"streams": lambda found: sum(x["lost"] for x in found if x["direction"] == "out") == lost}}


@scene("there and back: relay, direct, relay", (), six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.both(0.6, 20), a.check(0.8)
    for n, way in enumerate(("direct", "relay", "direct")):
        for up in (UP, DOWN):
            a.speak(1.1 + 1.5 * n + (0 if up else 0.005), up, 70, way=way)[0].tell("path_switch")
    a.hang_up(6)


@scene("media goes both ways at once, and the clock steps, or all of it pauses (seconds)", (1.2,), (1.9,), six=True)
def _(s, step):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.check(0.3, way="direct"), a.check(0.31, DOWN, way="direct")
    for up in (UP, DOWN):
        for i in range(200):
            first, = a.speak(1 + 0.02 * i + 0.005 * up, up, 1, way="direct")
            copy = a.put(first.time + 0.0004, up, stun.channel_data(a.channel, first.payload), way="server")
            for p in (first, copy):
                p.may("media_on_both_paths", "media_gap", *(["path_switch"] if i == 0 else []))
    s.clock(0.6, step)
    a.hang_up(6)


@scene("media goes both ways at once, copies late, and the clock steps, or all of it is silent (seconds)", (3,), (12,), six=True)
def _(s, step):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.check(0.3, way="direct"), a.check(0.31, DOWN, way="direct")
    for up in (UP, DOWN):
        a.speak(0.6 + 0.005 * up, up, 20)
        for i in range(200):
            first, = a.speak(1 + 0.02 * i + 0.005 * up, up, 1, way="direct")
            copy = a.put(first.time + 0.045, up, stun.channel_data(a.channel, first.payload), way="server")
            first.tell(*["path_switch"][i:])
            for p in (first, copy):
                p.may("media_on_both_paths", "media_gap")
    s.clock(0.6, step)
    a.hang_up(6)


@scene("moved, soon a silence, and back on the way before (who)", (UP,), (DOWN,))
def _(s, who):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.check(0.3, way="direct"), a.check(0.31, DOWN, way="direct")
    a.speak(0.6, who, 20)
    a.speak(1.1, who, 20, way="direct")[0].tell("path_switch")
    back = a.speak(5, who, 40)
    back[0].tell("path_switch", "media_gap")
    for p in back:
        p.may("one_way_media")
    a.hang_up(6)


@scene("only one direction (whose)", (UP,), (DOWN,))
def _(s, who):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.5), a.taken(0)
    for p in a.speak(1, who, 300):
        if p.time >= 6 - 0.0001:
            p.tell("one_way_media")
            break
    a.hang_up(7.5)


@scene("the peer's media ends long before ours", ())
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.5), a.taken(0), a.both(1, 20), a.speak(1.4, UP, 400)
    a.hang_up(9.6).__getitem__(0).may("media_gap")
    for p in s.packets:
        if p.time > 3.35:
            p.may("media_gap")


@scene("one SSRC between a dozen pairs at once, as traffic generators have it (packets of each)", (1,), (30,), six=True)
def _(s, each):
    """Packets of one template: each pair has a call of its own, and nobody moves."""
    template, calls = Sender(s.rng), []
    for n in range(14):
        a = Talk(s, chr(65 + n), s.near(20 + n, 16403), s.far(1 + n, 16403))
        a.senders[UP].ssrc, a.senders[UP].seq, a.senders[UP].ts = template.ssrc, template.seq + 3 * n, template.ts + 1440 * n
        calls.append(a)
    for i in range(each):
        for n, a in enumerate(calls):
            sender = a.senders[UP]
            sender.step()
            wire = rtp.rtp(rtp.AAC_ELD, sender.seq, sender.ts, sender.ssrc, s.rng.randbytes(40),
                           extension=(0x4400, bytes.fromhex("28f4dead00000000")))
            s.put(i * 0.02 + n * 0.0001, a.near, a.far, wire, a.call)

# --- what ties ----------------------------------------------------------------------------------------------------------------

@scene("an allocation, then direct checks, then the channel: one call (order)", ("channel first",), ("direct first",))
def _(s, order):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.allocate(0), a.bind(0.1)
    ways = ("relay", "direct") if order == "channel first" else ("direct", "relay")
    a.check(0.3, way=ways[0]), a.check(0.8, way=ways[1])
    a.taken(1, way="relay"), a.both(1.5, 10), a.hang_up(2)


@scene("the device's address changes in mid-call, legacy (how)", ("direct",), ("relay",))
def _(s, how):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if how == "relay" else None)
    if how == "relay":
        a.relay_up(-1)
    a.taken(0), a.check(0.3, way=how), a.both(0.6, 30)
    a.near = ("100.64.%d.%d" % (s.net // 200, s.net % 200), 16402)
    if how == "relay":
        a.relay, a.token = s.relay(1), s.rng.randbytes(8)
        a.allocate(1.3)[0].may("call_started", "handover")
        a.bind(1.4)
    p = a.check(1.6, way=how)
    for q in p:
        q.may("handover", "call_started")
    out = a.both(2, 30)
    out[0].may("handover", "path_switch"), out[30].may("path_switch", "handover")
    a.hang_up(3.5)


@scene("in mid-call without any beginning (relayed)", (False,), (True,))
def _(s, relayed):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if relayed else None)
    a.check(0, way="relay" if relayed else "direct"), a.both(0.5, 50), a.hang_up(2)
    b = Talk(s, "B", s.near(), s.far(1), s.relay(0) if relayed else None)
    b.check(130, way="relay" if relayed else "direct"), b.both(130.5, 50), b.hang_up(132)


@scene("relay errors start no call", ())
def _(s):
    for n, code in enumerate((601, 500)):
        value = struct.pack("!HBB", 0, code // 100, code % 100) + (b"Unable to Find Participant" if code == 601 else b"Idle Client")
        wire = struct.pack("!HHI", 0x0813, 0, 0x2112A442) + bytes(12)
        body = struct.pack("!HHI", 0x000C, 4, 0x60000000) + struct.pack("!HH", 9, len(value)) + value + bytes(-len(value) % 4)
        wire = wire[:2] + struct.pack("!H", len(body)) + wire[4:] + body
        s.put(n, s.relay(0, 3482), s.near(2, 16393), wire, None).tell("participant_gone" if code == 601 else "relay_idle")


# --- more lives ------------------------------------------------------------------------------------------------------

@scene("captured in batches: a connection to another relay while the call goes on (s)", (1,), (2,))
def _(s, seconds):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.both(0.01, 150)
    first, a.relay = a.relay, s.relay(1, 3489)
    for p in a.connect(4.001):
        p.may("relay_ready")
    a.relay = first
    a.both(4.15, 150)
    s.batched(seconds)
    for p in s.packets:
        p.may("media_gap")


@scene("redials all round: nobody answers, somebody else calls, the first one calls back", six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.invite(0).tell("invite")
    a.answer(0.1, 180).tell("ringing")
    a.cancel(4), a.answer(4.03, 200, method="CANCEL", ack=None), a.answer(4.05, 487).tell("call_ended")
    b = Talk(s, "B", s.near(), s.far(2), who=DOWN)
    b.taken(4.5), b.both(5, 20), b.hang_up(6, DOWN)
    c = Talk(s, "C", s.near(), s.far(1), who=DOWN)
    c.taken(6.4), c.both(7, 20), c.hang_up(8)
    s.listed = {"A": {"state": "not answered"}, "B": {"remote": b.far, "end": "BYE"}, "C": {"remote": c.far, "end": "BYE"}}


@scene("two phones behind one NAT, two calls each, seen outside")
def _(s):
    calls = []
    for n, letter in enumerate("ABCD"):
        c = Talk(s, letter, s.far(5, (1025, 61000)[n // 2]), s.far(1 + n), s.relay(0), channel=0x4002 + n % 2)
        calls.append(c)
        c.relay_up(n), c.taken(n + 0.4)
    for n, c in enumerate(calls):
        c.both(4.5 + 0.001 * n, 50)
    for n, c in enumerate(calls):
        c.hang_up(5.6 + 0.3 * n)
    s.listed = {c.call: {"remote": c.far, "end": "BYE", "state": "answered"} for c in calls}


@scene("both call each other at once (what becomes of the other INVITE)", (486,), (491,), (603,), six=True)
def _(s, status):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(1), who=DOWN)
    a.invite(0).tell("invite")
    b.invite(0.02).tell("invite")
    p = b.answer(0.05, status)
    p.tell("call_ended") if status != 491 else p.may("call_ended")
    a.answer(0.1, 180).tell("ringing")
    a.answer(1).tell("call_answered")
    a.both(1.2, 20), a.hang_up(2)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}


@scene("the other branch of a fork answers late, and is hung up at once (s)", (2,), (20,))
def _(s, late):
    a = Talk(s, "A", s.near(), s.far(1))
    a.invite(0).tell("invite")
    first = a.dialog.tags["callee"]
    a.answer(0.5).tell("call_answered")
    a.both(0.7, round(late * 50))
    a.dialog.tags["callee"] = "99887766"
    a.answer(0.8 + late), a.bye(0.9 + late, cseq=8)
    a.dialog.tags["callee"] = first
    a.both(1 + late, 20), a.hang_up(2 + late)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


def forked(a, status, rings=True):
    """An INVITE reaches two; one refuses it, the other one is who talks from then on."""
    refuses, other = a.dialog.tags["callee"], "99887766"
    a.invite(0).tell("invite")
    if rings:
        a.answer(0.1, 180).tell("ringing")
        a.dialog.tags["callee"] = other
        a.answer(0.2, 180)
    a.dialog.tags["callee"] = refuses
    a.answer(2, status)
    a.dialog.tags["callee"] = other


@scene("one branch of a fork refuses, the other one answers (status, relayed, another calls meanwhile)", (603, False, False),
       (486, True, False), (480, False, True), six=True)
def _(s, status, relayed, another):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if relayed else None)
    if relayed:
        a.relay_up(-1)
    a.check(-0.5, way="direct"), a.check(-0.45, DOWN, way="direct")
    forked(a, status)
    if another:
        b = Talk(s, "B", s.near(), s.far(2), who=DOWN)
        b.invite(2.5).tell("invite")
        b.answer(2.6, 486).tell("call_ended")
    a.check(3, way="direct"), a.check(3.2, DOWN, way="direct")
    a.answer(4).tell("call_answered")
    a.both(4.2, 40), a.hang_up(6)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("nobody rang, one branch of a fork refuses, the other one answers (status)", (603,), (480,))
def _(s, status):
    a = Talk(s, "A", s.near(), s.far(1))
    forked(a, status, rings=False)
    a.answer(4).tell("call_answered")
    a.both(4.2, 40), a.hang_up(6)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("both branches of a fork refuse, and then again (status of each)", (603, 486), (480, 603))
def _(s, first, second):
    a = Talk(s, "A", s.near(), s.far(1))
    forked(a, first)
    a.answer(4, second).tell("call_ended")
    b = Talk(s, "B", s.near(), s.far(1))
    b.check(6), b.check(6.1, DOWN), b.taken(6.5), b.both(7), b.hang_up(8)
    s.listed = {"A": {"state": "not answered", "end": f"INVITE answered {second}"}, "B": {"state": "answered"}}


@scene("one branch of a fork refuses, the other one isn't heard again, and then once more (status)", (603,), (480,))
def _(s, status):
    a = Talk(s, "A", s.near(), s.far(1))
    forked(a, status)
    next(p for p in s.packets if p.time == 2).tell("call_ended")
    b = Talk(s, "B", s.near(), s.far(1))
    b.check(9), b.check(9.1, DOWN), b.taken(9.5), b.both(10), b.hang_up(12)
    s.put(190, s.far(9, 53), (s.near()[0], 5353), b"\x12\x34\x81\x80" + bytes(20), None)    # the capture goes on
    s.listed = {"A": {"state": "not answered", "end": f"INVITE answered {status}"}, "B": {"state": "answered"}}


@scene("from its middle, no answer to the BYE: the other side goes on checking (who hung up, relayed, it checks)",
       (UP, False, "direct"), (DOWN, False, "direct"), (UP, True, "relay"), (DOWN, True, "relay"), (UP, True, "direct"), six=True)
def _(s, who, relayed, way):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if relayed else None)
    byes = a.bye(2, who, answered=None, copies=4)
    byes[0].tell("call_ended")
    byes[-1].may("bye_unanswered")
    for i in range(20):
        a.check(5 + i, not who, way, answered=None)
    s.listed = {"A": {"end": "BYE"}}


@scene("the answer to a check wasn't captured, but what follows nominates", six=True)
def _(s):
    """Who nominates had an answer: no hole was punched."""
    a = Talk(s, "A", s.near(), s.far(1))
    first, answer = a.check(0)
    s.packets.remove(answer)
    a.check(0.05, DOWN), a.check(0.06, txid=first.txid, nominate=1), a.check(1, DOWN)
    a.taken(1.5), a.both(2, 50), a.hang_up(4)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("the relay's direction alone was captured, a second call in another channel (the first one talks, who checks there first)",
       (True, UP), (True, DOWN), (False, UP), (False, DOWN), six=True)
def _(s, talks, first):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.relay_up(0)
    b.allocate(1.5), b.bind(1.6)
    for p in s.packets:
        p.dontcare |= len(p.payload) > 1 and p.payload[0] == 1      # the relay's answers name no call
    b.check(1.8, first, way="relay"), b.check(1.9, not first, way="relay")
    for call, at in ((a, 0.4 if talks else 2.6), (b, 2.5)):
        call.answer(at, 180).tell("ringing"), call.answer(at + 0.2).tell("call_answered"), call.both(at + 0.5, 120)
    a.bye(6)[1].tell("call_ended"), b.both(6.5, 20), b.bye(7.5)[1].tell("call_ended")
    for p in s.packets:
        p.may("one_way_media", "media_gap", "call_started")
    s.packets = [p for p in s.packets if p.src == a.relay]
    for p in s.packets:
        p.link = ()
    s.listed = {"A": {"end": "BYE"}, "B": {"end": "BYE"}}


@scene("one direction was captured: checks, a BYE, and the same two again 14 s later (which direction, who hangs up)",
       (UP, UP), (DOWN, DOWN), six=True)
def _(s, captured, who):
    """Nothing tells what was answered: no hole was punched, no BYE was in vain, nothing broke off."""
    for letter, t in ("A", 0), ("B", 20):
        a = Talk(s, letter, s.near(), s.far(1))
        for i in range(3):
            a.check(t + 0.3 * i), a.check(t + 0.1 + 0.3 * i, DOWN)
        a.invite(t + 1), a.answer(t + 1.4), a.both(t + 2, 200), a.bye(t + 6.1, who)
    s.packets = [p for p in s.packets if (p.src == s.near()) == captured]
    for p in s.packets:
        p.link = ()
        p.may("call_answered", "call_ended", "invite", "ringing")


@scene("from its middle: one of two calls talks directly and releases what it had, the other one in a channel goes on", six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0), who=DOWN)
    for p in a.both(0, 60, way="direct"):       # some come before any proof
        p.dontcare = True
        p.may("call_started")
    b.answer(1.3, sdp=False).tell("call_answered")
    for p in a.release(1.35):                   # nothing tells whose
        p.dontcare = True
    a.both(1.5, 30, way="direct"), b.both(1.5, 60), b.hang_up(2.8), a.both(3, 20, way="direct"), a.hang_up(4, way="direct")
    s.listed = {"A": {"end": "BYE"}, "B": {"state": "answered", "end": "BYE"}}


@scene("a CANCEL after the 200, answered 481: the call goes on")
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.taken(0)
    a.cancel(0.5), a.answer(0.53, 481, method="CANCEL", ack=None)
    a.both(0.7, 50), a.hang_up(2)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("INVITE in the channel, its answers directly (and back)", (False,), (True,), six=True)
def _(s, back):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.check(-0.3)
    there, here = ("direct", "relay") if back else ("relay", "direct")
    a.invite(0, way=there).tell("invite")
    a.answer(0.1, 180, way=here).tell("ringing")
    a.answer(0.5, way=here, ack=None).tell("call_answered")
    a.ack(0.52, way=there)
    a.both(0.7, 30, way=here)
    out = a.bye(2, way=there, answered=None)
    out[0].tell("call_ended")
    a.answer(2.05, 200, cseq=9, way=here, method="BYE", ack=None)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}


@scene("somebody leaves a group: the relay says so (601), the others go on")
def _(s):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482), multiway=True)
    a.connect(0), a.both(0.5, 30)
    gone, a.senders[DOWN] = a.senders[DOWN], Sender(s.rng)
    a.speak(1.15, DOWN, 100), a.speak(1.1, UP, 100)
    value = struct.pack("!HBB", 0, 6, 1) + b"Unable to Find Participant"
    body = struct.pack("!HHI", 0x000C, 4, 0x60000000) + struct.pack("!HH", 9, len(value)) + value + bytes(-len(value) % 4)
    s.put(1.9, a.relay, a.near, struct.pack("!HHI", 0x0813, len(body), 0x2112A442) + bytes(12) + body, "A").tell("participant_gone")


@scene("answered, then moved to another device of the same person (same Call-ID)", (UP,), (DOWN,))
def _(s, who):
    a = Talk(s, "A", s.near(2), s.far(1), who=who)
    a.taken(0), a.both(0.5, 50)
    a.near = s.near(3)
    for up in (UP, DOWN):
        a.senders[up] = a.senders[up] if up == DOWN else Sender(s.rng)
    a.invite(1.7, UP, cseq=7, again=True).tell("invite")
    a.answer(1.8, 200, cseq=7, up=DOWN)
    for p in a.both(2, 50):
        p.may("path_switch", "handover")
    a.hang_up(4)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}


@scene("held for a second call, then taken up again")
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(2), who=DOWN)
    a.check(0), a.taken(0.2), a.both(0.8, 60)
    b.check(1.9, DOWN)
    a.invite(2.1, UP, cseq=5, again=True).tell("invite")
    a.answer(2.15, 200, cseq=5, up=DOWN)
    b.taken(2.2), b.both(2.8, 50), b.hang_up(4)
    a.invite(4.3, UP, cseq=6, again=True).tell("invite")
    a.answer(4.35, 200, cseq=6, up=DOWN)
    for p in a.both(4.5, 20):
        p.may("media_gap")
    a.hang_up(5.5)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}, "B": {"state": "answered", "end": "BYE", "remote": b.far}}


def unproven(s, until):
    """Bare media proves itself in number."""
    for p in s.packets:
        p.may("call_started", "first_media")
        p.dontcare |= p.time < until


@scene("a second call allocates while the first one is set up (its checks, copies)", ("answered", 1), ("in vain", 2), six=True)
def _(s, checks, copies):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(2), s.relay(0))
    a.check(0, answered=0.03 if checks == "answered" else None)
    if checks == "answered":
        a.check(0.01, DOWN)
    for p in b.allocate(0.1)[:1]:
        p.may("call_started")       # told where it is known
    b.bind(0.2, copies=copies)
    b.check(0.9, way="relay", answered=0.06)[0].may("call_started")
    b.check(0.97, DOWN, way="relay"), b.taken(1.1)
    a.check(1.2)[1].may("hole_punched")
    a.check(1.25, DOWN), a.taken(1.3)
    a.both(2, 20), b.both(2.01, 20), b.hang_up(3), b.release(3.2), a.both(3, 30), a.hang_up(4)
    s.listed = {"A": {"remote": a.far, "end": "BYE"}, "B": {"remote": b.far, "end": "BYE"}}


@scene("a second call checks while the first one has but allocated (its checks)", ("answered",), ("in vain",), six=True)
def _(s, checks):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2))
    a.allocate(0), a.bind(0.1)
    b.check(0.2, answered=0.03 if checks == "answered" else None)[0].may("call_started")
    a.check(0.3, way="relay", answered=0.06)[0].may("call_started")
    a.check(0.31, DOWN, way="relay"), a.taken(0.5)
    b.check(1.2)[1].may("hole_punched")
    b.check(1.25, DOWN), b.taken(1.3)
    a.both(2, 20), b.both(2.01, 20), a.hang_up(3), a.release(3.2), b.both(3, 30), b.hang_up(4)
    s.listed = {"A": {"remote": a.far, "end": "BYE"}, "B": {"remote": b.far, "end": "BYE"}}


@scene("two calls are set up at once, the other side's check is the first in the channel (which allocates, its answer)",
       ("second", "before"), ("second", "after"), ("second", None), ("first", "before"), ("first", None), six=True)
def _(s, which, answer):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2))
    begin = 0.3 if which == "second" else 0
    out = a.allocate(begin) + a.bind(begin + 0.1)
    out += a.check(begin + 0.2, DOWN, way="relay", answered={"before": 0.02, "after": 0.75, None: None}[answer])
    out += a.check(0.95, way="relay", answered=0.06)
    for n, at in enumerate((0.15, 0.55)):
        out += b.check(at, answered=0.03 if n else None)
    out[-1].may("hole_punched")
    out += b.check(0.6, DOWN)
    for p in out:       # told where it is known
        p.may("call_started")
    a.check(1, DOWN, way="relay"), a.taken(1.2), b.taken(1.3)
    a.both(2, 20), b.both(2.01, 20), a.hang_up(3), a.release(3.2), b.both(3, 30), b.hang_up(4)
    s.listed = {"A": {"remote": a.far, "end": "BYE"}, "B": {"remote": b.far, "end": "BYE"}}


@scene("checks are answered, and the same call allocates (the relay is used)", (True,), (False,))
def _(s, used):
    """As on one network in the report of 2015."""
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.check(0), a.check(0.01, DOWN), a.allocate(0.1)
    if used:
        a.bind(0.2), a.check(0.3, way="relay", answered=0.06), a.check(0.31, DOWN, way="relay")
    a.taken(0.5, way="direct"), a.both(1, 20, way="direct"), a.hang_up(2, way="direct"), a.release(2.2)
    s.listed = {"A": {"remote": a.far, "end": "BYE"}}


@scene("checks in vain, and the other end's check that gets through wasn't captured", (), six=True)
def _(s):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(0, answered=None), a.check(0.4, answered=None), a.check(0.8, answered=None)
    lost, answer = a.check(1.2, DOWN)
    s.packets.remove(lost)
    answer.link = ()
    a.check(1.21, UP)
    answer.tell("hole_punched")
    a.taken(1.5), a.both(2, 5), a.hang_up(3)


@scene("a capture begins while media goes both ways at once (s)", (0.3,), (2,))
def _(s, seconds):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    for up in (UP, DOWN):
        for i in range(round(seconds / 0.02)):
            first, = a.speak(0.02 * i + 0.003 * up, up, 1, way="direct")
            if i > 2:       # the relay is 45 ms late; what it brings first was never captured directly
                copy = a.put(first.time + 0.045, up, b"", way="relay")
                copy.payload = stun.channel_data(a.channel, first.payload)
                copy.may("path_switch", "media_on_both_paths")
        a.speak(seconds, up, 150, way="direct")
    unproven(s, 0.2)


@scene("a relayed call breaks off, its bind not captured, and is set up again (s)", (5,), (25,))
def _(s, gap):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.both(0, 40)
    unproven(s, 0.2)
    a.bye(1, DOWN, answered=None, copies=3)[0].tell("call_ended")
    s.packets[-1].tell("bye_unanswered")
    b = Talk(s, "B", s.near(), s.far(1), s.relay(1))
    b.relay_up(2 + gap), b.taken(2.6 + gap), b.both(3 + gap, 10), b.hang_up(4 + gap)
    s.packets.sort(key=lambda p: p.time)
    next(p for p in s.packets if p.call == "B" and p.time > 2.05 + gap).tell("call_restarted")
    s.listed = {"A": {"remote": a.far}, "B": {"remote": b.far}}


@scene("media between two public addresses, and an end closes its socket (who is met first)", (UP,), (DOWN,))
def _(s, first):
    a = Modern(s, "A", s.far(3, 16393), s.far(1, 28301), s.relay(0, 3482))
    for up in (first, not first):
        a.speak(0.004 * (up != first), up, 50, way="direct")
    late, = a.speak(1.1, DOWN, 1, way="direct")
    a.close(1.101, late).may("call_ended")


@scene("the next call through the same relay has links of its own, and its first media is over one", ())
def _(s):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.3, 30), a.close(1, s.packets[-1]).tell("call_ended")
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(0, 3482))
    b.links = {UP: 0x5303, DOWN: 0x5404}
    b.connect(9), b.both(9.3, 30)


@scene("a relay's control message is the first of its 5-tuple, while another call goes on", ())
def _(s):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    b = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(1, 3495))
    a.both(0, 50)
    b.control(0.5, DOWN), b.both(0.52, 50)


CUT = [(way, begin, snap) for way in ("relayed", "direct", "both") for begin, snap in
       ((0, 64), (0, 96), (0, 200), (1.15, 128), (3.5, 64), (3.5, 200))]


@scene("each packet is cut (way, begins at, snap length)", *CUT, six=True)
def _(s, way, begin, snap):
    """Tie-breakers and Call-IDs are cut off: the way and the ends are left."""
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0) if way != "direct" else None)
    if way != "direct":
        a.relay_up(0)
    if way != "relayed":
        a.check(0.5), a.check(0.6, DOWN), a.check(0.7, nominate=1)
    a.taken(1.2), a.both(1.6, 80), a.report(2, UP), a.report(2.1, DOWN)
    last = "direct" if way == "both" else None
    a.both(3.2, 80, way=last)
    a.invite(3.6, UP, cseq=7, again=True, way=last), a.answer(3.7, 200, cseq=7, up=DOWN, way=last)
    a.hang_up(5, way=last)
    if way != "direct":
        a.release(5.2)
    s.packets, s.snap = [p for p in s.packets if p.time >= begin], snap
    for p in s.packets:
        p.may("call_started", "path_switch", "invite", *p.must)
        p.must.clear()


@scene("each packet is cut, and a second call comes after the first one's BYE (way, snap length)",
       *[(way, snap) for way in ("relayed", "direct") for snap in (96, 200)])
def _(s, way, snap):
    for i, letter in enumerate("AB"):
        a = Talk(s, letter, s.near(), s.far(1 + i), s.relay(i) if way == "relayed" else None)
        t = 10 * i
        if way == "relayed":
            a.relay_up(t)
        else:
            a.check(t), a.check(t + 0.1, DOWN)
        a.taken(t + 0.5), a.both(t + 1, 80), a.hang_up(t + 3)
    s.snap = snap
    for p in s.packets:
        p.may("call_started", *p.must)
        p.must.clear()


# --- which call is it: several dialogs, ways and devices --------------------------------------------------------------

@scene("a second dialog on one way, declined, while they talk (who, relayed)", (DOWN, False), (DOWN, True), (UP, False))
def _(s, who, relayed):
    relay = s.relay(0) if relayed else None
    a = Talk(s, "A", s.near(), s.far(1), relay)
    if relayed:
        a.relay_up(-1)
    a.taken(0), a.both(0.5, 150)
    b = Talk(s, "B", s.near(), s.far(1), relay, who=who)
    b.invite(1.5).tell("invite")
    b.answer(1.55, 180).tell("ringing")
    b.answer(2.5, 603).tell("call_ended")
    a.both(3.5, 20), a.hang_up(4.5)
    s.listed = {"A": {"state": "answered", "end": "BYE"}, "B": {"end": "INVITE answered 603"}}


@scene("two phones behind one NAT call one person in the same minute (gap)", (0.7,), (15,))
def _(s, gap):
    nat = s.far(5)[0]
    a = Talk(s, "A", (nat, 16402), s.far(1))
    a.check(-0.2), a.check(-0.19, DOWN), a.taken(0), a.both(0.5, 150)
    b = Talk(s, "B", (nat, 5021), s.far(1))
    b.check(gap), b.check(gap + 0.01, DOWN)
    b.invite(gap + 0.2).tell("invite")
    b.answer(gap + 0.25, 180).tell("ringing")
    b.answer(gap + 1, 486).tell("call_ended")
    for p in a.both(20, 20)[::20]:
        p.tell("media_gap")
    a.hang_up(21)
    s.listed = {"A": {"state": "answered", "end": "BYE"}, "B": {"end": "INVITE answered 486"}}


@scene("both call each other at the same moment: one is refused, one answered")
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(1), who=DOWN)
    a.check(0), a.check(0.01, DOWN)
    a.invite(0.5).tell("invite"), b.invite(0.52).tell("invite")
    a.answer(0.56, 486).tell("call_ended")
    b.answer(0.6, 180).tell("ringing"), b.answer(1).tell("call_answered"), b.both(1.3, 30), b.hang_up(3)


@scene("the old call's BYE comes after the next call's INVITE, in one channel (who)", (UP,), (DOWN,))
def _(s, who):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.both(0.5, 30)
    b = Talk(s, "B", s.near(), s.far(1), s.relay(0), who=DOWN)
    b.invite(1.5).tell("invite")
    a.bye(1.6, who)[0].tell("call_ended")
    b.answer(1.7, 180).tell("ringing"), b.answer(2).tell("call_answered"), b.both(2.3, 30), b.hang_up(4)


@scene("a modern call, then a legacy one from the same port (gap, closed)", (3, True), (40, False), (130, False))
def _(s, gap, closed):
    m = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    m.connect(0), m.both(0.5, 50)
    if closed:
        m.check(1.6)
        for p in m.both(1.8, 20, way="direct")[::20]:
            p.tell("path_switch")
        m.close(3, s.packets[-1]).tell("call_ended")
    a = Talk(s, "B", s.near(2, 16393), s.far(2, 16393))
    a.check(3 + gap), a.check(3.01 + gap, DOWN), a.taken(3.5 + gap), a.both(4 + gap, 20), a.hang_up(5 + gap)


@scene("a legacy call, then a modern one from the same port (gap)", (0.5,), (40,))
def _(s, gap):
    a = Talk(s, "A", s.near(2, 16393), s.far(1, 16393))
    a.check(0), a.check(0.01, DOWN), a.taken(0.5), a.both(1, 20), a.hang_up(2)
    m = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(0, 3482))
    m.connect(2 + gap), m.both(2.5 + gap, 50)


@scene("calls of both generations at once on one port (whose is first, relayed)", (True, True), (True, False), (False, True), (False, False))
def _(s, legacy_first, relayed):
    a = Talk(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0) if relayed else None)
    m = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(1, 3482))
    begin, other = (0, 1.1) if legacy_first else (1.1, 0)
    if relayed:
        a.relay_up(begin)
    else:
        a.check(begin), a.check(begin + 0.01, DOWN)
    a.taken(begin + 0.4), a.both(begin + 0.8, 200), a.hang_up(begin + 5)
    m.connect(other), m.both(other + 0.3, 100), m.control(other + 1, UP), m.both(other + 2.5, 100)
    s.listed = {"A": {"generation": "legacy", "end": "BYE"}, "B": {"generation": "modern", "end": None}}


@scene("a bind whose Allocate wasn't captured, long after a call on that 5-tuple (gap, released)", (130, False), (86400, True))
def _(s, gap, released):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1), a.hang_up(2)
    if released:
        a.release(2.1)
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0))
    b.bind(2 + gap), b.check(2.2 + gap, way="relay"), b.taken(2.5 + gap), b.both(3 + gap), b.hang_up(4 + gap)
    s.listed = {"A": {"remote": a.far}, "B": {"remote": b.far}}


@scene("another SSRC from another port of the far end, the first one goes on (it ends first)", (False,), (True,))
def _(s, first):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.2), a.check(-0.19, DOWN), a.taken(0), a.both(0.5, 150)
    beside = Talk(s, "A", s.near(), s.far(1, 40112))
    beside.both(1.5, 250 if first else 50)
    a.hang_up(7 if first else 4)


@scene("the modem's reports on a connection that waits for its first key (gap)", (0.6,), (2,))
def _(s, gap):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.3, 100)
    t = 2.3 + gap
    b = Modern(s, "B", s.near(2, 16394), s.far(2, 16393), s.relay(1, 3483))
    b.connect(t)[0].may("call_started")
    for i in range(3):
        b.put(t + 0.2 + i / 10, UP, modern.baseband_short(0x6F + i))
    b.both(t + 0.6, 50)[0].may("call_started")


@scene("an unanswered check under another link id on the pair")
def _(s):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.3, 20)
    for p in Modern(s, "A", a.near, a.far, a.relay).check(1, answered=None):
        p.dontcare = True
    a.check(1.5)
    for p in a.both(2, 50, way="direct")[::50]:
        p.tell("path_switch")


@scene("media from another port of the far end while a call of the other generation goes on")
def _(s):
    m = Modern(s, "B", s.near(2, 16393), s.far(2, 16393), s.relay(0, 3482))
    m.connect(0), m.both(0.3, 250)
    a = Talk(s, "A", s.near(2, 16393), s.far(1))
    a.check(1), a.check(1.01, DOWN), a.taken(1.3), a.both(2, 20)
    a.far = s.far(1, 41000)
    a.report(2.5, UP)
    for p in a.both(2.6, 50):
        p.may("path_switch")
    a.far = s.far(1)
    a.hang_up(4)


@scene("a re-INVITE in mid-call, media goes on from another port (whose)", (UP,), (DOWN,))
def _(s, whose):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.2), a.check(-0.19, DOWN), a.taken(0), a.both(0.5, 80)
    before = a.near, a.far
    after = (s.near(2, 16410), a.far) if whose else (a.near, s.far(1, 16410))
    a.near, a.far = after
    offer, taken = a.body(UP, sip.OFFER_2015), a.body(DOWN, sip.ANSWER_2015)
    a.near, a.far = before
    a.say(2.2, UP, a.dialog.request("INVITE", "caller", 4, offer, again=True)).tell("invite")
    a.say(2.25, DOWN, a.dialog.response(200, "INVITE", "callee", 4, taken)), a.ack(2.3, 4)
    a.near, a.far = after
    for p in a.both(2.4, 80):
        p.may("path_switch", "handover")
    a.near, a.far = before
    a.hang_up(4.5)
    s.listed = {"A": {"state": "answered", "end": "BYE"}}


@scene("the relay again in mid-call: another allocation, another channel, the same agents")
def _(s):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.both(0.5, 50), a.check(1.6, way="direct"), a.check(1.61, DOWN, way="direct")
    for p in a.both(1.8, 50, way="direct")[::50]:
        p.tell("path_switch")
    a.release(2.2)
    a.token, a.channel = s.rng.randbytes(8), 0x4003
    for p in a.allocate(3) + a.bind(3.06):      # whose it is only the check in its channel says
        p.dontcare = True
        p.may("call_started")
    a.both(2.8, 40, way="direct"), a.check(3.2, way="relay", answered=0.06)
    for p in a.both(3.7, 50, way="relay")[::50]:
        p.tell("path_switch")
    a.hang_up(5)


@scene("the next call's far end has the SSRC of the one before, its numbers are its own (gap, ends)",
       (8, True), (40, True), (40, False), (100, False))
def _(s, gap, ends):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-1), a.check(-0.99, DOWN), a.taken(-0.8), a.both(-0.3, 10)
    if ends:
        a.hang_up(0)
    b = Talk(s, "B", s.near(), s.far(2))
    b.senders[DOWN].ssrc = a.senders[DOWN].ssrc
    b.senders[DOWN].ts = a.senders[DOWN].ts + 0x40000000
    b.check(gap), b.check(gap + 0.01, DOWN), b.taken(gap + 0.2), b.both(gap + 1, 10), b.hang_up(gap + 2)


@scene("two calls check one private address; an ICMP error about the first one's check")
def _(s):
    home = "192.168.1.5", 16402
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.check(0.6, answered=None, far=home, way="direct"), a.release(0.7)
    b = Talk(s, "B", s.near(), s.far(2))
    b.check(0.9, answered=None, far=home), b.check(0.95, DOWN)
    late = a.check(1.2, answered=None, far=home, way="direct")[0]
    s.unreachable(1.21, late, "10.0.0.1", 1).tell("peer_unreachable")
    b.check(1.4), b.taken(1.6), b.both(2, 20), b.hang_up(3)


@scene("the capture begins while two calls are set up, one of them by SIP in a channel (its SIP first)", (True,), (False,))
def _(s, first):
    after = 0 if first else 1
    b = Talk(s, "B", s.near(), s.far(2))
    b.check(0, answered=None), b.check(0.3, DOWN)[1].may("hole_punched"), b.check(0.35)
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0), who=DOWN)
    a.answer(0.2 + after, 603).tell("call_ended")
    a.release(0.5 + after)
    b.taken(3), b.both(3.5, 20), b.hang_up(5)
    s.listed = {"A": {"remote": a.far}, "B": {"state": "answered", "remote": b.far}}


@scene("the capture begins in a call's media; another one's checks are the first that prove themselves")
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(2), s.relay(0))
    a.both(0, 120)
    unproven(s, 0.2)
    b.check(0.03, far=("192.168.1.5", 16402), answered=None, way="direct"), b.check(0.5, answered=None, way="direct")
    b.check(1, way="relay", answered=0.06), b.check(1.05, DOWN, way="relay"), b.taken(1.2), b.both(1.6, 50)
    b.check(1.9, DOWN, way="direct").__getitem__(1).may("hole_punched")
    for p in b.both(2.7, 50, way="direct")[::50]:
        p.tell("path_switch")
    a.both(2.41, 80), a.hang_up(4.1), b.hang_up(4.5)
    s.listed = {"A": {"remote": a.far}, "B": {"remote": b.far}}


@scene("two allocations on one 5-tuple, both released, a channel used afterwards (how many answers)", (2,), (1,))
def _(s, answers):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.relay_up(-1), a.taken(0), a.both(0.5, 10), b.relay_up(0.6), a.both(0.9, 10)
    for p in b.release(1.5, answered=answers == 2) + a.release(2.2):    # neither says which one it means
        p.dontcare = True
    for p in a.speak(2.5, UP, 3):
        if answers == 2:
            p.tell("released_channel_used")


@scene("the capture begins in a relayed call, another allocates on its 5-tuple; whose is released (whose)", ("A",), ("B",))
def _(s, whose):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.check(-0.1, way="relay", answered=0.06), a.both(0, 100), b.relay_up(0.5), b.taken(1), b.both(1.5, 100)
    if whose == "A":
        for p in a.release(2.2):        # it names none, and that there is another one only its channel shows
            p.dontcare = True
        b.both(4, 20), b.hang_up(5)
    else:
        b.hang_up(4), b.release(4.2)
        for p in a.both(4.5, 20):
            p.may("media_gap")


@scene("a call broke off; who called in between (who, seconds after the first BYE)",
       ("busy", 20), ("another", 20), ("answered", 20), ("busy", 32), ("another broke off", 15))
def _(s, who, after):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-1), a.check(-0.99, DOWN), a.taken(-0.8), a.both(-0.3, 10)
    byes = a.bye(0, answered=None, copies=4)
    byes[0].tell("call_ended"), byes[-1].may("bye_unanswered")
    other = who.startswith("another")
    b = Talk(s, "B", s.near(), s.far(2 if other else 1))
    first = b.check(8)[0]
    b.check(8.01, DOWN)
    if not other:
        first.tell("call_restarted")
    if who == "busy":
        b.invite(8.2).tell("invite"), b.answer(8.3, 180).tell("ringing"), b.answer(9, 486).tell("call_ended")
    elif who == "another broke off":
        b.taken(8.2), b.both(9, 10)
        byes = b.bye(9.5, answered=None, copies=2)
        byes[0].tell("call_ended"), byes[-1].may("bye_unanswered")
    else:
        b.taken(8.2), b.both(9, 10), b.hang_up(9.5)
    c = Talk(s, "C", s.near(), s.far(1))
    first = c.check(after)[0]
    c.check(after + 0.01, DOWN)
    if who != "answered" and after < 30:
        first.tell("call_restarted")
    c.taken(after + 0.3), c.both(after + 1, 10), c.hang_up(after + 2)


@scene("the capture begins after two calls allocated on one 5-tuple; one hangs up and releases (whose, channels bound in it)",
       ("A", ""), ("B", ""), ("A", "A"), ("B", "A"), ("A", "B"), ("A", "AB"), ("B", "AB"))
def _(s, whose, bound):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003, who=DOWN)
    for i, x in enumerate((a, b)):
        x.taken(0.2 + i)
        if x.call in bound:
            for p in x.bind(0.27 + i):
                p.may("relay_ready")
    a.both(2, 40), b.both(2, 40)
    gone, other = (a, b) if whose == "A" else (b, a)
    gone.hang_up(3), gone.release(3.2)
    other.both(3.5, 40), other.hang_up(5)
    other.release(5.2)
    for p in other.speak(5.5, UP, 3):       # this one was released
        p.tell("released_channel_used")
    s.listed = {"A": {"state": "answered", "end": "BYE"}, "B": {"state": "answered", "end": "BYE"}}


@scene("the capture begins after two calls bound channels on one 5-tuple: both talk, one was seen answered")
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    b.invite(0).tell("invite"), b.answer(0.3).tell("call_answered")
    a.both(0.4, 40), b.both(0.41, 100), a.hang_up(1.5), b.hang_up(3)


@scene("two calls set up in two channels of one 5-tuple, the capture begins after the first one's Allocate (what it begins with)",
       ("first check",), ("first answer",), ("second check",), ("second answer",), ("second INVITE",), ("media",), six=True)
def _(s, begin):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.allocate(0), a.bind(0.1)
    starts = {}
    starts["first check"], starts["first answer"] = a.check(0.2, way="relay", answered=0.05)
    b.allocate(0.3), b.bind(0.4)
    starts["second check"], starts["second answer"] = b.check(0.5, way="relay", answered=0.05)
    invited = a.invite(0.6)
    a.answer(0.65).tell("call_answered")
    starts["second INVITE"] = b.invite(0.7)
    b.answer(0.75).tell("call_answered")
    media = b.both(1, 50), a.both(1.01, 50)
    starts["media"] = media[0][0]
    first = starts[begin].time
    for p in [p for p in s.packets if p.time < first]:
        s.packets.remove(p)
    for p in (invited, starts["second INVITE"]):
        if p in s.packets:
            p.tell("invite")
    for p in s.packets:
        p.link = [asked for asked in p.link if asked in s.packets]
        p.dontcare = begin == "media"       # nothing proves whose it is so far
    a.hang_up(3), a.release(3.2), b.both(3.5, 40), b.hang_up(5), b.release(5.2)
    for p in b.speak(5.5, UP, 3):
        p.tell("released_channel_used")
    for p in s.packets:
        p.may(*["call_started"] * (begin == "media"))
    s.listed = {"A": {"end": "BYE"}, "B": {"end": "BYE"}}


@scene("two calls allocate at once on one 5-tuple, then bind: the tickets tell (whose bind is first, an answer lost)", ("A", False),
       ("B", False), ("B", True), six=True)
def _(s, first, lost):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    calls = [a, b] if first == "A" else [b, a]
    for n, c in enumerate((a, b)):
        c.ticket = s.rng.randbytes(20)
        out = c.allocate(0.02 * n)
        if lost and c is calls[1]:      # its ticket isn't known; the other one's is
            for p in s.packets[s.packets.index(out[-1]):]:
                s.packets.remove(p)
            out += c.allocate(0.5)[1:]
    for n, c in enumerate(calls):
        c.bind((0.6 if lost else 0.1) + 0.05 * n)
    for n, c in enumerate((a, b)):
        c.check(0.8 + 0.01 * n, way="relay", answered=0.06), c.check(0.85 + 0.01 * n, DOWN, way="relay")
        c.taken(1 + n), c.both(1.6 + n, 10), c.hang_up(3 + n)
    s.listed = {"A": {"remote": a.far, "end": "BYE"}, "B": {"remote": b.far, "end": "BYE"}}


@scene("a release whose request wasn't captured: its answer tells, where the 5-tuple has one allocation (allocations, answers)",
       (1, 1), (1, 2), (2, 1), (2, 2), six=True)
def _(s, allocations, answers):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10)
    if allocations == 2:
        b = Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
        b.relay_up(1.2), b.taken(1.6), b.both(2.2, 10)
    a.hang_up(3)
    request, answer = a.release(3.2)
    s.packets.remove(request)
    for i in range(1, answers):
        s.put(answer.time + 0.3 * i, answer.src, answer.dst, answer.payload, "A")
    for p in a.speak(4, UP, 3):
        if allocations == 1:
            p.tell("released_channel_used")
    if allocations == 2:        # whose release it was, nothing tells
        for p in s.packets:
            p.dontcare |= p.call == "A" and p.time > 3.2
        b.both(4.1, 10, step=0.02)[0].may("media_gap"), b.hang_up(5)


@scene("an allocation without a token, its call met before any INVITE: released, and used afterwards")
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0))
    b.relay_up(-60), b.taken(-59), b.both(-58, 10), b.hang_up(-57), b.release(-56.9)
    txid = stun.legacy_txid(stun.ALLOCATE, s.rng)
    a.put(0, UP, stun.turn(stun.ALLOCATE, stun.REQUEST, txid, [
        stun.Attribute(stun.REQUESTED_TRANSPORT, bytes([17, 0, 0, 0])), stun.address(stun.XOR_RELAYED_ADDRESS, a.relayed, txid),
        stun.u32(stun.LIFETIME, 60), stun.Attribute(stun.MESSAGE_INTEGRITY, bytes(20))], reserved=False), "server")
    a.put(0.04, DOWN, stun.allocate_success(txid, a.far, bytes(20)), "server")
    a.bind(0.1), a.check(0.2, way="relay", answered=0.06), a.both(1, 50), a.release(2.5)
    for p in a.speak(3, UP, 3):
        p.tell("released_channel_used")


@scene("a call broke off, and is tried again through a relay whose bind wasn't captured: SIP names the far end (same person)",
       (True,), (False,), six=True)
def _(s, same):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-1), a.check(-0.99, DOWN), a.taken(-0.8), a.both(-0.3, 10)
    byes = a.bye(0, DOWN, answered=None, copies=4)
    byes[0].tell("call_ended"), byes[-1].may("bye_unanswered")
    b = Talk(s, "B", s.near(), s.far(1 if same else 2), s.relay(0), who=DOWN)
    b.allocate(18), b.check(18.2, way="relay", answered=0.06)
    b.check(18.3, far=("192.168.2.72", 16402), answered=None, way="direct")
    first = b.invite(18.5)
    first.tell("invite", *["call_restarted"] * same)
    b.answer(18.6, 180).tell("ringing"), b.cancel(20), b.answer(20.05, 200, method="CANCEL", ack=None)
    b.answer(20.06, 487).tell("call_ended")


# --- clocks ------------------------------------------------------------------------------------------------------------

DAY, HOUR = 86400, 3600
CLOCKS = [("a day ahead", 0.5, DAY, None), ("an hour ahead", 0.3, HOUR, None), ("an hour back", 0.5, -HOUR, None),
          ("a day back, early", 0.02, -DAY, None), ("a day ahead, early", 0.02, DAY, None),
          ("one stamp 400 days late", 0.4, 400 * DAY, 1), ("one stamp 400 days early", 0.6, -400 * DAY, 1),
          ("three stamps an hour late", 0.4, HOUR, 3), ("three stamps an hour early", 0.4, -HOUR, 3),
          ("the first stamp 400 days early", 0, -400 * DAY, 1), ("the first stamp 400 days late", 0, 400 * DAY, 1),
          ("the last stamp 400 days late", 1, 400 * DAY, 1)]


def off(s, at, by, packets):
    """The clock is off, and all else as it would be; who is called again is, a little later, somebody new."""
    s.clock(at, by, packets)
    for call in s.listed.values():
        call["duration"] = lambda seconds: seconds < 60


@scene("the clock of a legacy call, relayed, is off (how, in which part, seconds, packets)", *CLOCKS, six=True)
def _(s, _, *fault):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(-1), a.taken(0), a.both(0.6, 60), a.report(1, UP), a.report(1.1, DOWN), a.hang_up(2), a.release(2.3)
    s.listed = {"A": {"state": "answered", "end": "BYE", "remote": a.far}}
    off(s, *fault)


@scene("the clock of a legacy call, direct, in mid-call, is off (how, in which part, seconds, packets)", *CLOCKS)
def _(s, _, *fault):
    a = Talk(s, "A", s.near(), s.far(1))
    a.check(-0.1), a.both(0, 60), a.report(0.5, UP), a.check(0.7), a.hang_up(2)
    s.listed = {"A": {"end": "BYE", "remote": a.far}}
    off(s, *fault)
    s.packets[3].may("call_started")    # of a sender that is new: only the other one's next packet shows that no day passed


def opened_long_before(fault):
    """Nothing denies that a connection was opened so long before its media."""
    return fault[0] < 0.1 and fault[1] > 0 or fault[:2] == (0, -400 * DAY)


@scene("the clock of a modern call is off (how, in which part, seconds, packets)", *CLOCKS)
def _(s, _, *fault):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.5, 40), a.control(0.9, UP), a.check(1.4)
    for up in (UP, DOWN):
        a.speak(1.7, up, 40, way="direct")[0].tell("path_switch")
    a.close(3, s.packets[-1]).may("call_ended")
    s.listed = {"A": {}}
    off(s, *fault)
    if opened_long_before(fault):
        for p in s.packets[:4]:
            p.dontcare = True


class Chained(Modern):
    """Of 2026: down the relay come two packets in a datagram."""

    pictures = 5

    def relayed_media(self, wire, up, sender, multiway, link=None):
        if up:
            return super().relayed_media(wire, up, sender, True, link)
        self.pictures += 1
        ssrc = sender.ssrc ^ 0x5555
        other = modern.rtp(modern.HEVC, self.pictures, self.pictures * 1500, ssrc, self.rng.randbytes(40), sender.mki,
                           extension=modern.video_extension(version=1))
        return modern.chain(wire, (other, modern.stream_head(ssrc & 0xFFFF, 1)), stream=sender.ssrc & 0xFFFF,
                            participant=sender.participant, priority=1, count=True)


@scene("modern: taken from the phone to another device of the same person (the phone's socket closes, s until it goes on)",
       (True, 0.2), (True, 3), (False, 0.2), (False, 3), six=True)
def _(s, closes, gap):
    phone, other = (Modern(s, "A", s.near(n, 16393), s.far(1, 16393), s.relay(n, 3482)) for n in (2, 3))
    other.senders[DOWN] = phone.senders[DOWN]
    phone.connect(0), phone.control(0.3, UP), phone.control(0.35, DOWN), phone.both(0.5, 100)
    out = other.connect(2.2)        # whose it is, its first key tells
    if closes:
        phone.close(2.6, phone.speak(2.52, DOWN, 3)[-1])
    out += other.both(2.6 + gap, 150) + [other.control(2.7 + gap, up) for up in (UP, DOWN)]
    for p in s.packets:
        p.may(*["call_started"] * (p in out), "path_switch", "handover", "media_gap", "one_way_media")
    s.listed = {"A": {"state": "media", "end": None}}


class Short(Modern):
    """Of 2026: media says two bytes of its key, a control message whose it is."""

    def __init__(self, *args, **more):
        super().__init__(*args, multiway=True, **more)
        for sender in self.senders.values():
            sender.mki = modern.new_named_mki(sender.participant)

    def speak(self, t, up, n=5, way="relay", step=0.02, **_):
        out = []
        for i in range(n):
            s = self.senders[up]
            s.step()
            out.append(self.put(t + i * step, up, self.media(s, t + i * step, up, way), way))
        return out

    def media(self, s, at, up, way):
        wire = modern.rtp(modern.AAC_ELD, s.seq, s.ts, s.ssrc, self.rng.randbytes(40), modern.group_trailer(s.mki))
        return self.relayed_media(wire, up, s, True)


@scene("of 2026, again through the same relay, media before any control message (gap, control message)",
       (3, True), (8, True), (3, False), (8, False), six=True)
def _(s, gap, control):
    for n, call in enumerate("AB"):
        a = Short(s, call, s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
        begin = n * (gap + 2)
        for p in a.connect(begin) + a.both(begin + 0.5, 75)[:76]:
            p.may("call_started")       # told where it is known
        if control or n == 0:
            a.control(begin + 0.9, UP), a.control(begin + 0.95, DOWN)


class Tagged(Short):
    """Of 2026, one-to-one: two bytes of the key, and a tag."""

    def __init__(self, *args, links=0, **more):
        super().__init__(*args, **more)
        self.multiway = False
        self.links = {UP: 0x5101 + links, DOWN: 0x5202 + links}

    def media(self, s, at, up, way):
        trailer = modern.tagged_trailer(s.mki, s.seq, 0, self.rng.randbytes(4))
        wire = modern.rtp(modern.AAC_ELD, s.seq, s.ts, s.ssrc, self.rng.randbytes(40), trailer,
                          extension=modern.audio_extension(send_timestamp=round(at * 1024) & 0xFFFF))
        return self.relayed_media(wire, up, s, False, self.links[not up]) if way == "relay" else wire


KINDS = {"group": Short, "one-to-one": Tagged, "of 2023": Modern}


def again(s, kind, gap, initial=True, before=None, more=0):
    """Two calls through one relay, from one port. (the second one, its media)"""
    for n, call in enumerate("AB"):
        a = KINDS[kind](s, call, s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482), **{"links": 7 * n} if kind == "one-to-one" else {})
        begin = n * (gap + 2)
        head = a.connect(begin, initial or n == 0, more)
        if n and before:
            head += before(a, begin + 0.2)
        media = sorted(a.both(begin + 0.5, 75), key=lambda p: p.time)
    for p in head + media[:4]:
        p.may("call_started")       # told where it is known
    return a, media


def change_order(packets, order):
    for p, t in zip([packets[i] for i in order], [p.time for p in packets]):
        p.time = t


# of the second call's packets: how they come, by their places in the order in which they were sent (up, down, up, ...)
ORDERS = {"the first two swapped": (1, 0), "down, down, up, up": (1, 3, 0, 2), "backwards": (3, 2, 1, 0), "one side is late": (1, 3, 5, 7, 0, 2, 4, 6)}


@scene("of 2026, again through the same relay: the order of its first packets (kind, how)",
       *((kind, how) for kind in ("group", "one-to-one") for how in
         [*ORDERS, "the first one lost", "the first three lost", "the first one twice", "the peer's alone for 0.2 s"]))
def _(s, kind, how):
    _, media = again(s, kind, 3)
    if how in ORDERS:
        change_order(media, ORDERS[how])
    elif how == "the first one twice":
        change_order(media, (1, 0))
        s.put(media[1].time + 0.0005, media[1].src, media[1].dst, media[1].payload, "B", frame=media[1].frame())
    else:
        gone = {"the first one lost": media[:1], "the first three lost": media[:3]}.get(how, media[0:20:2])
        s.packets = [p for p in s.packets if p not in gone]


def report_of_participant(a, t):
    return [a.put(t, DOWN, modern.relay(b"", stats=(5, 7864, 9, 4, 0, 0), participant=a.senders[DOWN].participant))]


def crossing_checks(a, t):
    return a.check(t) + a.check(t + 0.01, DOWN)


@scene("again through the same relay: what comes before its media (kind, gap, what, the peer's media first)",
       *((kind, gap, what, swapped) for kind in KINDS for gap in (3, 8) for what in ("report", "checks") for swapped in (False, True)))
def _(s, kind, gap, what, swapped):
    _, media = again(s, kind, gap, before={"report": report_of_participant, "checks": crossing_checks}[what])
    if swapped:
        change_order(media, (1, 0))


@scene("again through the same relay, and both calls go over to the direct path (kind, gap, checks of the second one)",
       *((kind, gap, when) for kind in KINDS for gap in (1.5, 12) for when in ("before its media", "after it", "not captured")), six=True)
def _(s, kind, gap, when):
    for n, call in enumerate("AB"):
        a = KINDS[kind](s, call, s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482), **{"links": 7 * n} if kind == "one-to-one" else {})
        begin = n * (gap + 3.2)
        head = a.connect(begin)
        if when == "before its media" or n == 0:
            head += crossing_checks(a, begin + 0.35)
        head += sorted(a.both(begin + 0.5, 50), key=lambda p: p.time)[:4]
        if when == "after it":
            head += crossing_checks(a, begin + 1)
        for p in head:
            p.may("call_started")
        for p in sorted(a.both(begin + 1.6, 75, way="direct"), key=lambda p: p.time)[:2]:
            p.tell("path_switch")


@scene("the relay is set up anew in mid-call after a silence: one call (kind, silence, checks, of which links)",
       *((kind, gap, when, links) for kind in KINDS for gap in (1.5, 4) for when in ("before its media", "after it") for links in ("the same", "new")))
def _(s, kind, gap, when, links):
    a = KINDS[kind](s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), crossing_checks(a, 0.3), a.both(0.5, 75)
    if links == "new":
        a.uuids = {up: modern.new_mki(s.rng) for up in (UP, DOWN)}
    for p in a.connect(1.8 + gap) + crossing_checks(a, 1.95 + gap if when == "before its media" else 2.2 + gap) + a.both(2 + gap, 50):
        p.may("call_started", "media_gap")


@scene("again through the same relay, its Initial not captured: the relay's id tells (kind, gap, the peer's media first)",
       *((kind, gap, swapped) for kind in KINDS for gap in (3, 15) for swapped in (False, True)))
def _(s, kind, gap, swapped):
    a, media = again(s, kind, gap, initial=False, more=2)
    next(p for p in s.packets if p.call == "B").dontcare = True     # another id, once: it may be a shorter one before other bytes
    if swapped:
        change_order(media, (1, 0))


@scene("of 2026, again through the same relay, its connection not captured: nothing tells, so it is one call, of which no more is said "
       "(kind, gap, the peer's media first)", *((kind, gap, swapped) for kind in ("group", "one-to-one") for gap in (3, 15) for swapped in (False, True)))
def _(s, kind, gap, swapped):
    _, media = again(s, kind, gap, initial=False)
    if swapped:
        change_order(media, (1, 0))
    for p in s.packets:
        p.call = "A"


@scene("the relay has another id for the device in mid-call: one call (kind, after, who is heard first)",
       *((kind, gap, first) for kind in KINDS for gap in (0.1, 4) for first in ("known", "new")))
def _(s, kind, gap, first):
    a = KINDS[kind](s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0, more=2), a.both(0.5, 75)
    out = a.connect(1.8 + gap, initial=False, more=2)
    if first == "new":
        known, a.senders[DOWN] = a.senders[DOWN], Sender(s.rng)
        a.senders[DOWN].mki = modern.new_mki(s.rng) if kind == "of 2023" else modern.new_named_mki(a.senders[DOWN].participant)
        out += a.speak(1.95 + gap, DOWN, 5)
        a.senders[DOWN] = known
    for p in out + a.both(2 + gap, 50):
        p.may("media_gap", "call_started")


@scene("of 2026, the connection to the relay is set up anew in mid-call (after, who is heard first)", (1.5, "known"), (4, "known"),
       (4, "new"), (0.3, "new"))
def _(s, after, first):
    a = Short(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.both(0.5, 75), a.control(0.9, UP), a.control(0.95, DOWN)
    out = a.connect(2 + after - 0.2)
    if first == "new":      # somebody joins just then
        known, a.senders[DOWN] = a.senders[DOWN], Sender(s.rng)
        a.senders[DOWN].mki = modern.new_named_mki(a.senders[DOWN].participant)
        out += a.speak(2 + after - 0.05, DOWN, 5)
        a.senders[DOWN] = known
    for p in out + a.both(2 + after, 50):
        p.may("media_gap", "call_started")
    a.control(2.5 + after, UP)


@scene("the clock of a call of 2026 is off (how, in which part, seconds, packets)", *CLOCKS)
def _(s, _, *fault):
    a = Chained(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482), multiway=True)
    a.connect(0), a.both(0.5, 60), a.control(1, UP), a.control(1.05, DOWN), a.both(1.8, 60)
    s.listed = {"A": {}}
    off(s, *fault)
    if opened_long_before(fault):
        for p in s.packets[:4]:
            p.dontcare = True


@scene("the clock of a call whose media is inside QUIC is off (how, in which part, seconds, packets)", *CLOCKS)
def _(s, _, *fault):
    a = Modern(s, "A", s.near(2, 16393), s.far(1, 16393), s.relay(0, 3482))
    a.connect(0), a.control(0.3, UP), a.control(0.35, DOWN)
    for i in range(120):
        for up, connection in (UP, 0x0A8B1C2D), (DOWN, 0x0B8B1C2D):
            head = struct.pack("!BI", 0x40 | s.rng.getrandbits(5), connection)
            a.put(0.5 + 0.02 * i + (0 if up else 0.005), up, head + s.rng.randbytes(60))
    s.listed = {"A": {}}
    off(s, *fault)
    if opened_long_before(fault):
        for p in s.packets[:5]:
            p.dontcare = True
        s.packets[5].may("call_started")


# --- much of a capture is missing ---------------------------------------------------------------------------------

@scene("a second call's Allocate wasn't captured, its answer and bind were; the first one hangs up and releases", six=True)
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.relay_up(0), a.taken(0.5), a.both(1, 10)
    s.packets.remove(b.allocate(1.3)[0])
    for p in (s.packets[-1], *b.bind(1.4)):         # they name nobody
        p.dontcare = True
    b.check(1.5, way="relay", answered=0.06)[0].may("call_started")
    b.invite(2).tell("invite"), b.answer(2.05, 180).tell("ringing")
    a.hang_up(2.5), a.release(2.6)
    b.answer(3).tell("call_answered")
    b.both(3.2, 30), b.hang_up(4.5)
    s.listed = {"A": {"end": "BYE"}, "B": {"end": "BYE", "remote": b.far}}


@scene("a released channel, and the next call in it, whose allocation and bind weren't captured (gap)", (3,), (8,), six=True)
def _(s, gap):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.hang_up(1.5), a.release(1.6)
    b.taken(1.6 + gap), b.both(2.5 + gap, 10), b.hang_up(3 + gap)
    s.listed = {"B": {"state": "answered", "end": "BYE"}}


@scene("a second call allocates, the answer wasn't captured: its bind's ticket isn't the first one's", six=True)
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.ticket, b.ticket = s.rng.randbytes(20), s.rng.randbytes(20)
    a.relay_up(0), a.taken(0.5), a.both(1, 10)
    b.allocate(1.3, answered=False), b.bind(1.4, answered=False), b.check(1.5, way="relay", answered=0.06)
    for p in s.packets[-2:]:
        p.may("early_channel_data")
    b.invite(2).tell("invite"), b.answer(2.05, 486).tell("call_ended")
    a.hang_up(3)


@scene("a capture begins while media goes both ways at once: no way is left for the other (the relay's is first)", (False,), (True,))
def _(s, relayed):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    ways = ("relay", "direct") if relayed else ("direct", "relay")
    for i in range(40):
        for up in (UP, DOWN):
            first, = a.speak(0.02 * i + 0.003 * up, up, 1, way=ways[0])
            wire = first.payload[4:] if relayed else first.payload
            copy = a.put(first.time + 0.001, up, wire, way=ways[1])
            copy.may("media_on_both_paths")
    a.both(0.9, 150, way="direct")
    unproven(s, 0.2)


@scene("modern: its socket closed, and again through the same relay, the Initial not captured (gap)", (12,), (40,))
def _(s, gap):
    a, b = (Modern(s, c, s.near(port=16393), s.far(1), s.relay(0)) for c in "AB")
    a.connect(0), a.control(0.3, UP), a.control(0.35, DOWN), a.both(0.5, 30)
    a.close(1.2, s.packets[-1]).tell("call_ended")
    b.connect(1.2 + gap, initial=False), b.control(1.5 + gap, UP), b.control(1.55 + gap, DOWN), b.both(1.7 + gap, 30)
    s.listed = {"A": {"end": "socket closed"}}


@scene("modern: its socket closed, and again through the same relay, the connection not captured: the keys are new (who speaks)",
       ("both",), ("the peer",))
def _(s, who):
    a, b = (Modern(s, c, s.near(port=16393), s.far(n), s.relay(0)) for n, c in enumerate("AB", 1))
    a.connect(0), a.control(0.3, UP), a.control(0.35, DOWN), a.both(0.5, 30)
    a.close(1.2, s.packets[-1]).tell("call_ended")
    if who == "both":
        b.control(3.7, UP)
    b.control(3.75, DOWN), b.speak(4, DOWN, 30)
    if who == "both":
        b.speak(4.005, UP, 30)


@scene("modern: silent, then another call through another relay goes over to the same direct path (captured of it)", ("both",), ("the device",))
def _(s, captured):
    a, b = (Modern(s, c, s.near(port=16393), s.far(1), s.relay(n)) for n, c in enumerate("AB"))
    for t, c in ((0, a), (8, b)):
        c.connect(t), c.control(t + 0.3, UP), c.control(t + 0.35, DOWN), c.both(t + 0.5, 30)
        c.check(t + 1.2)
        for p in c.both(t + 1.4, 30, way="direct")[::30]:
            p.tell("path_switch")
    if captured == "the device":
        s.packets = [p for p in s.packets if p.src[0] == a.near[0]]


@scene("a call's end and all of the next one's set-up weren't captured: of media in its channel no more is said (silence)", (11,), (40,))
def _(s, silence):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10)
    a.check(1.3, way="direct")
    for p in a.both(1.4, 10, way="direct")[::10]:
        p.tell("path_switch")
    a.senders = Talk(s, "A", s.near(), s.far(1), s.relay(0)).senders
    a.both(1.6 + silence, 10)


@scene("a call met on its way gave its channel back; of the next two on its 5-tuple each release is its own", six=True)
def _(s):
    a, b, c = (Talk(s, call, s.near(), s.far(n), s.relay(0)) for n, call in enumerate("ABC", 1))
    c.channel = 0x4003
    a.answer(0).tell("call_answered"), a.both(0.1, 20)
    a.check(0.5, way="direct")[0].may("call_started"), a.check(0.51, DOWN, way="direct")
    for p in a.both(0.8, 20, way="direct")[::20]:
        p.tell("path_switch")
    a.release(1.3)
    b.relay_up(6), b.release(6.6)
    c.relay_up(7.2), c.taken(7.8), c.both(8.3, 20), c.release(9)
    for p in c.speak(9.2, UP, 3):
        p.tell("released_channel_used")


@scene("two calls are set up directly, to two far ends; of each the capture has little (of the first one)",
       ("their nomination",), ("its own check, in vain",), ("its own checks, in vain, and their answered one",), six=True)
def _(s, what):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(2))
    a.controlling = DOWN
    if what == "their nomination":
        a.check(0, DOWN, nominate=1)
    else:
        a.check(0, answered=None)
    b.check(0.3, DOWN), b.check(0.31)
    if what.endswith("answered one"):
        a.check(0.4, answered=None), a.check(0.9)[1].tell("hole_punched"), a.check(0.91, DOWN)
    b.invite(0.6).tell("invite"), b.answer(0.65, 180).tell("ringing"), b.answer(2, 486).tell("call_ended")
    if what.endswith("answered one"):
        a.taken(1.1), a.both(1.6), a.hang_up(3)


@scene("another far end's answer is the first of a second call: its request wasn't captured (the first call's way)", ("relay",), ("direct",),
       six=True)
def _(s, way):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2))
    a.relay_up(0), a.taken(0.5), a.both(1, 20)
    if way == "direct":
        a.check(1.1, way="direct"), a.check(1.11, DOWN, way="direct")
    b.check(1.6)
    s.packets.pop(-2)
    s.packets[-1].link = ()
    b.check(1.7, nominate=1), b.taken(1.9), a.both(2.2, 20), b.hang_up(3)


@scene("the capture begins in bare media, directly; SIP of another call is what proves itself (what, its way)",
       ("200", "relay"), ("486", "direct"), ("486", "relay"))
def _(s, what, way):
    a = Talk(s, "A", s.near(), s.far(1))
    b = Talk(s, "B", s.near(), s.far(2), s.relay(0) if way == "relay" else None, who=DOWN)
    a.both(0, 120)
    unproven(s, 0.3)
    b.answer(0.05, int(what)).tell("call_answered" if what == "200" else "call_ended")
    if what == "200":
        b.both(0.2, 100)
    a.hang_up(3)


@scene("the capture begins in a relayed call's media; SIP that comes directly is another call's (what)", ("486",), ("an INVITE",), six=True)
def _(s, what):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), who=DOWN)
    a.both(0, 120)
    unproven(s, 0.4)
    if what == "an INVITE":
        b.invite(0.5).tell("invite"), b.answer(0.6, 180).tell("ringing")
    b.answer(1, 486).tell("call_ended")
    a.hang_up(3)


@scene("the capture begins in bare media, directly; another call of the device allocates before that has proven itself", six=True)
def _(s):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(2), s.relay(0), who=DOWN)
    a.both(0, 150)
    unproven(s, 0.3)
    b.relay_up(0.02)
    b.invite(0.5).tell("invite"), b.answer(0.6, 180).tell("ringing"), b.answer(2, 603).tell("call_ended")
    a.hang_up(3.2)


@scene("the next call in a channel that was given up: its Allocate was captured, not its bind; an answer comes first (released)",
       (True,), (False,), six=True)
def _(s, released):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0))
    a.relay_up(0), a.taken(0.5), a.both(1, 10), a.hang_up(1.5)
    if released:
        a.release(1.6)
    b.allocate(4, answered=False)
    b.check(4.6, DOWN, way="relay")
    s.packets.pop(-2)
    s.packets[-1].link = ()
    b.taken(5), b.both(5.5, 10), b.hang_up(6)


@scene("a call is refused, and another comes from the same far end: of its checks the answers alone were captured (gap)", (8,), (41,), six=True)
def _(s, gap):
    a, b = (Talk(s, c, s.near(), s.far(1), who=DOWN) for c in "AB")
    a.check(0), a.check(0.1, DOWN)
    a.invite(0.5).tell("invite"), a.answer(0.6, 180).tell("ringing"), a.answer(1, 486).tell("call_ended")
    b.check(1 + gap), b.check(1.1 + gap, DOWN)
    for p in s.packets[-4::2]:
        s.packets.remove(p)
    for p in s.packets[-2:]:
        p.link = ()
    b.taken(1.5 + gap), b.both(2 + gap), b.hang_up(3 + gap)


@scene("modern: its socket closed, and again through the same relay, all before the media not captured (gap, who speaks first)",
       *((gap, up) for gap in (1.4, 1.9, 3) for up in (UP, DOWN)))
def _(s, gap, up):
    a, b = (Modern(s, c, s.near(port=16393), s.far(n), s.relay(0)) for n, c in enumerate("AB", 1))
    a.connect(0), a.control(0.3, UP), a.control(0.35, DOWN), a.both(0.5, 30)
    a.close(1.2, s.packets[-1]).tell("call_ended")
    b.speak(1.2 + gap, up, 30, multiway=True), b.speak(1.205 + gap, not up, 30, multiway=True)


@scene("modern: its socket closed, and again through the same relay: before any key, what the device sends (seconds after)", (7,), (20,))
def _(s, gap):
    a, b = (Modern(s, c, s.near(port=16393), s.far(n), s.relay(0)) for n, c in enumerate("AB", 1))
    a.connect(0), a.control(0.3, UP), a.control(0.35, DOWN), a.both(0.5, 30)
    a.close(1.2, s.packets[-1]).tell("call_ended")
    t = 1.2 + gap
    b.put(t, UP, modern.relay(b"", stream=7, counter=1, count=True))
    b.put(t + 0.1, DOWN, modern.relay(b"", stats=(1, 77, 9, 4, 0, 0)))
    b.control(t + 0.2, UP), b.control(t + 0.25, DOWN), b.both(t + 0.4, 30)


@scene("a second call, through another relay's channel; both set-ups weren't captured (captured, what comes first)",
       *((captured, first) for captured in ("both", "what comes in") for first in ("check", "answer", "SIP")), six=True)
def _(s, captured, first):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(1), channel=0x4003, who=DOWN)
    a.answer(0).tell("call_answered")
    a.both(0.1, 60)
    if first == "check":
        b.check(0.5, DOWN, way="relay")
    elif first == "answer":
        b.check(0.5, way="relay")
        s.packets.pop(-2)
        s.packets[-1].link = ()
    b.invite(0.9).tell("invite"), b.answer(0.95, 180).tell("ringing"), b.answer(1.2).tell("call_answered")
    b.both(1.3, 40), b.hang_up(2.3), a.hang_up(3)
    if captured != "both":
        s.packets = [p for p in s.packets if p.dst == a.near]
        for p in s.packets:     # the one that asks may not be there
            p.must -= {"ringing", "call_answered", "call_ended"}
            p.may("call_answered", "call_ended", "one_way_media")


@scene("a channel is bound beside another one, its Allocate not captured: it is the next call's (the ticket of the first known)",
       (True,), (False,), six=True)
def _(s, ticket):
    a, b = Talk(s, "A", s.near(), s.far(1), s.relay(0)), Talk(s, "B", s.near(), s.far(2), s.relay(0), channel=0x4003)
    a.allocate(0, answered=ticket), a.bind(0.1)
    a.check(0.2, DOWN, way="relay")
    a.invite(0.5).tell("invite"), a.answer(0.6, 180).tell("ringing")
    for p in b.bind(1):         # it names nobody
        p.dontcare = True
    b.check(1.1, way="relay", answered=0.06)[0].may("call_started")
    b.invite(1.4).tell("invite"), b.answer(1.5, 180).tell("ringing"), b.answer(2, 603).tell("call_ended")
    a.answer(3).tell("call_answered"), a.both(3.1), a.hang_up(4)


@scene("modern, between public addresses, what comes in alone was captured: the host's own error says that its port is closed",
       ("it took media",), ("it took none",))
def _(s, what):
    a = Modern(s, "A", (f"71.{s.octets}.2", 16393), s.far(1, 26919), s.relay(0))
    took = a.speak(0, DOWN, 30 if what == "it took media" else 1, way="direct")
    s.unreachable(took[-1].time + 0.02, took[-1], a.near[0]).tell(
        "socket_closed" if what == "it took media" else "peer_unreachable").may("call_ended")


@scene("modern, between public addresses, the capture begins with what comes in from one call's end: whoever talks to somebody else is "
       "the device", (True,), (False,))
def _(s, talks):
    host = f"71.{s.octets}.2"
    if talks:
        Modern(s, "B", (host, 16394), s.far(2, 16393), s.relay(1)).both(0, 50, way="direct")
    a = Modern(s, "A", (host, 16393), s.far(1, 26919), s.relay(0))
    late = a.speak(0.5, DOWN, 1, way="direct")[0]
    s.unreachable(0.501, late, host).tell("socket_closed" if talks else "peer_unreachable").may("call_ended")


@scene("two calls on one 5-tuple, the capture begins after the first one's Allocate: what is released isn't what the relay still carries "
       "(when)", ("in mid-call",), ("before the bind",), six=True)
def _(s, when):
    a, b, c = (Talk(s, call, s.near(), s.far(n), s.relay(0), channel=0x4001 + n) for n, call in enumerate("ABC", 1))
    if when == "in mid-call":
        b.invite(0).tell("invite"), b.answer(0.1, 180).tell("ringing")
        released = a.release(0.4)
        b.answer(2).tell("call_answered"), b.both(2.1, 30)
    else:
        b.allocate(0)
        released = a.release(0.05)
        b.bind(0.15), b.check(0.25, way="relay", answered=0.06)[0].may("call_started"), b.check(0.26, DOWN, way="relay"), b.taken(0.5), b.both(1, 30)
        b.check(1.2, way="direct"), b.check(1.21, DOWN, way="direct")
        for p in b.both(1.8, 30, way="direct")[::30]:
            p.tell("path_switch")
        c.relay_up(2), c.invite(2.5).tell("invite"), c.answer(2.6, 180).tell("ringing")
        for p in b.release(2.7):        # it names none
            p.dontcare = True
        c.answer(3).tell("call_answered"), c.both(3.1, 10)
    for p in released:      # of a call of which nothing else was captured
        p.dontcare = True
        p.may("call_started", "call_ended")
    b.hang_up(4, way="direct" if when == "before the bind" else None)


@scene("nobody answers, and the same person is tried again: each side's checks were captured in part (gap, NAT tests in between)",
       (11, False), (25, False), (25, True), six=True)
def _(s, gap, tests):
    a, b = Talk(s, "A", s.near(), s.far(1)), Talk(s, "B", s.near(), s.far(1))
    for p in a.check(0), a.check(0.5):      # and whatever the other side asked
        p[0].may("call_started")
    a.invite(1).tell("invite")
    if tests and not s.six:
        for i, (up, kind) in enumerate(((UP, snatmap.REQUEST), (DOWN, snatmap.RESPONSE))):
            p = a.put(0.5 + gap + 0.05 * i, up, snatmap.snatmap(kind, 7, a.near), "server") if a.relay else s.put(
                0.5 + gap + 0.05 * i, *((a.near, ("17.173.255.222", 16384)) if up else (("17.173.255.222", 16384), a.near)),
                snatmap.snatmap(kind, 7, a.near), "A")
            p.dontcare = True
    b.check(1 + gap, DOWN), b.check(1.05 + gap), b.check(1.2 + gap, DOWN, nominate=1)
    b.taken(1.5 + gap), b.both(2 + gap), b.hang_up(3 + gap)


@scene("called: the other side's check is the first in the channel, later it checks directly (who else checks in the channel)",
       ("nobody",), ("the device",))
def _(s, who):
    a = Talk(s, "A", s.near(), s.far(1), s.relay(0), who=DOWN)
    a.allocate(0), a.bind(0.06), a.check(0.15, DOWN, way="relay", answered=0.06)
    if who == "the device":
        a.check(0.3, UP, way="relay", answered=0.06)
    a.taken(0.5), a.both(1, 10)
    a.check(1.1, DOWN)
    for p in a.both(1.4, 10, way="direct")[::10]:
        p.tell("path_switch")
    a.hang_up(2, DOWN, way="direct")
    s.listed = {"A": {"remote": a.far, "local": a.near}}


@scene("a check that the capture cut may nominate: it shows none before it to be lost (bytes kept)", (96,), (200,))
def _(s, kept):
    a = Talk(s, "A", s.near(), s.far(1))
    txid = stun.legacy_txid(stun.BINDING, s.rng)
    a.check(0, txid=txid, answered=None)
    a.check(0.5, txid=txid, nominate=1)[1].to()     # its stamp may be cut
    a.check(0.6, DOWN), a.both(1, 10)
    s.snap = kept


# --- judging --------------------------------------------------------------------------------------------------------------------

def together(scenes):
    """(frames, [(scene, first index)])"""
    rows, begin, where = [], 0.0, []
    for s in scenes:
        where.append((s, len(rows)))
        first = s.packets[0].time
        rows += [(begin + p.time + p.skew - first, p.frame(), s.snap) for p in s.packets]
        begin += s.packets[-1].time + s.packets[-1].skew - first + PAUSE
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, packets.LINKTYPE_ETHERNET)]
    for when, frame, snap in rows:
        micros = round((support.START_TIME + when) * 1_000_000)
        out.append(struct.pack("<IIII", *divmod(micros, 1_000_000), min(len(frame), snap), len(frame)) + frame[:snap])
    return support.write_capture(b"".join(out)), where


FIELDS = ("frame.number", "facetime.call", "facetime.event", "stun.response-to")


def faults_of(s, first, rows, calls):
    """What is wrong with a scene, in words."""
    numbers = collections.defaultdict(collections.Counter)
    for i, p in enumerate(s.packets):
        row = rows[first + i]
        if p.dontcare:
            continue
        number = int(row["facetime.call"][-1]) if row["facetime.call"] else None
        if number is None and s.snap < WHOLE:       # too little is left to prove it FaceTime's
            continue
        numbers[p.call][number] += 1
        told = set(row["facetime.event"]) & WATCH
        if p.twin:      # told of one of the two
            told |= set(rows[first + s.packets.index(p.twin)]["facetime.event"]) & WATCH
        if p.must - told:
            yield f"frame {i + 1} ({p.time:g} s, call {p.call}): no {', '.join(sorted(p.must - told))}"
        if told - p.must - p.open:
            yield f"frame {i + 1} ({p.time:g} s, call {p.call}): false {', '.join(sorted(told - p.must - p.open))}"
        for asked in p.link:
            at = s.packets.index(asked) + first + 1
            if row["stun.response-to"] != [str(at)]:
                yield f"frame {i + 1}: answers {[int(x) - first for x in row['stun.response-to']]}, not {at - first}"
    for call, found in numbers.items():
        if call is None and set(found) != {None}:
            yield f"numbers {dict(found)} for what is of no call"
        elif call is not None and (len(found) > 1 or None in found):
            yield f"call {call} has numbers {dict(found)}"
    whose = collections.defaultdict(set)
    for call, found in numbers.items():
        for number in found:
            whose[number].add(call)
    for number, found in whose.items():
        if number is not None and len(found) > 1:
            yield f"calls {', '.join(sorted(map(str, found)))} are one"
    for call in calls:
        told = collections.Counter(event["event"] for event in call["events"])
        if call["call"] in whose and told["call_started"] != 1:
            yield f"the story of call {call['call']} starts {told['call_started']} times"
    for call, wanted in s.listed.items():
        number = numbers[call].most_common(1)[0][0]
        listed = next((c for c in calls if c["call"] == number), None)
        if listed is None:
            yield f"call {call} isn't listed"
            continue
        for name, value in wanted.items():
            found = listed.get(name)
            value = shown(value) if isinstance(value, tuple) else value
            good = value(found) if callable(value) else (found in (None, "", "not in this file", "unknown") if value is None
                                                          else str(found or "").startswith(value))
            if not good:
                yield f"call {call}: {name} is {found!r}, not {value!r}"


def shown(end):
    ip, port = end
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def verdicts(tshark, scenes, two_pass=True):
    capture, where = together(scenes)
    rows = tshark.rows(capture, *FIELDS, two_pass=two_pass)
    calls = json.loads(tshark.text(capture, "-q", "-z", "facetime,timeline,json"))
    return {s.name: found for s, first in where if (found := list(faults_of(s, first, rows, calls)))}


def test_all_scenes(tshark):
    found = verdicts(tshark, SCENES)
    assert not found, "\n".join(f"{name}:\n    " + "\n    ".join(lines) for name, lines in found.items())


def test_who_is_behind_a_channel_that_was_given_up(tshark):
    """Its next call's first packet has the same addresses in one pass as in two: the former peer isn't behind it."""
    scenes = [s for s in SCENES if s.name.startswith("a released channel, and the next call in it")]
    capture, where = together(scenes)
    one, two = ([row["_ws.col.Destination"] for row in tshark.rows(capture, "_ws.col.Destination", two_pass=two_pass,
                                                                   args=("-o", "facetime.show_peer:TRUE"))]
                for two_pass in (False, True))
    assert one == two
    for s, first in where:
        i, invite = next((i, p) for i, p in enumerate(s.packets) if p.call == "B")
        assert one[first + i] == [invite.dst[0]] == [s.relay(0)[0]]


def mirrored(one, gap):
    """The scene as a mirror port shows it: each packet twice. A copy tells nothing, and is of its first one's call."""
    s = copy.copy(one)
    s.packets = []
    for p in one.packets:
        again = copy.copy(p)
        again.made, again.time, again.must, again.open, again.link = p.frame(), p.time + gap, set(), set(), ()
        s.packets += [p, again]
    s.packets.sort(key=lambda p: p.time)
    return s


def test_scenes_at_a_mirror_port(tshark):
    found = verdicts(tshark, [mirrored(s, 0.0005) for s in SCENES])
    assert not found, "\n".join(f"{name}:\n    " + "\n    ".join(lines) for name, lines in found.items())


def elsewhere(one, place):
    """The scene as it is seen here and beyond a NAT, or within a tunnel of GTP as well, or in another VLAN: what comes in is
    there first. Each of two datagrams is of the call, and either has its events."""
    s = copy.copy(one)
    s.packets = []
    for p in one.packets:
        frame, up = p.frame(), p.src[0].startswith("10.") or not p.dst[0].startswith("10.")
        if place == "NAT":
            there = frame[:26] + b"".join(bytes([203]) + end[1:] if end[0] == 10 else end for end in (frame[26:30], frame[30:34]))
            there += frame[34:40] + b"\0\0" + frame[42:]
        elif place == "VLAN":
            there = frame[:12] + struct.pack("!HH", 0x8100, 300) + frame[12:]
        else:
            gtp = struct.pack("!BBHI", 0x30, 0xFF, len(frame) - 14, 99 if up else 1234) + frame[14:]
            ends = ("172.30.1.1", 2152), ("172.30.1.2", 2152)
            src, dst = ends if up else ends[::-1]
            there = packets.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", packets.ipv4(
                src[0], dst[0], packets.PROTO_UDP, packets.udp(src, dst, gtp), 1))
        here, other = copy.copy(p), copy.copy(p)
        here.made, other.made, here.link, other.link = frame, there, (), ()
        here.twin, other.twin = other, here
        s.packets += [here, other]
        (other if up == (place != "GTP") else here).time += 0.0003
    s.packets.sort(key=lambda p: p.time)
    if place == "NAT" and not s.packets[0].src[0].startswith("10."):    # of the device's addresses the first one counts
        s.listed = {call: {name: ("203" + value[0][2:], value[1]) if isinstance(value, tuple) and value[0].startswith("10.")
                           else value for name, value in about.items()} for call, about in s.listed.items()}
    return s


def is_datagram(p):
    ip = 14 if p.vlan is None else 18
    return p.frame()[ip - 2:ip] == b"\x08\0" and p.frame()[ip + 9] == packets.PROTO_UDP


def can_be_elsewhere(s, place):
    """Datagrams of UDP, whole, by a clock that is none of a phone's own capture; beyond a NAT, of the device and one that has no
    private address. In a GTP tunnel a private
    address that was offered isn't known again: each direction is a network of its own."""
    if place == "GTP" and "link messages named" in s.name:
        return False
    return s.snap == WHOLE and not s.six and "captured in batches" not in s.name and all(
        is_datagram(p) and not p.skew and (p.vlan is None or place == "VLAN") for p in s.packets) and (
        place != "NAT" or "from another port" not in s.name and
        all(sum(end[0].startswith(("10.", "192.168.")) for end in (p.src, p.dst)) == 1 for p in s.packets))


@pytest.mark.parametrize("place", ["NAT", "GTP", "VLAN"])
def test_scenes_at_two_places(tshark, place):
    scenes = support.some([s for s in SCENES if can_be_elsewhere(s, place)], 2)
    assert len(scenes) > 100
    found = verdicts(tshark, [elsewhere(s, place) for s in scenes])
    assert not found, "\n".join(f"{name}:\n    " + "\n    ".join(lines) for name, lines in found.items())


def test_a_handover_is_one_at_two_places(tshark):
    """In another VLAN a flow has the addresses that it has here: that is no NAT's other side."""
    one = next(s for s in SCENES if s.name == "a re-INVITE in mid-call, media goes on from another port (whose) True")
    for s in (one, elsewhere(one, "VLAN")):
        told = tshark.values(together([s])[0], "facetime.event")
        assert told.count("handover") == 1, s


def test_a_second_way_is_none_left_at_two_places(tshark):
    """One sender, two streams on two ways at once, each seen on both sides of a NAT: it leaves neither. Until the NAT's far side is
    known, packets of the second way have no number there."""
    both = [s for s in SCENES if s.name.startswith("another SSRC from another port of the far end")]
    assert len(both) == 2
    for s in both:
        path = together([elsewhere(s, "NAT")])[0]
        assert "path_switch" not in tshark.values(path, "facetime.event", two_pass=True), s.name
        assert set(tshark.values(path, "facetime.call", two_pass=True)) == {"1"}, s.name


if "FACETIME_ALL" in os.environ:
    @pytest.mark.parametrize("one", SCENES, ids=lambda s: s.name)
    def test_each_scene(tshark, one):
        found = verdicts(tshark, [one])
        assert not found, "\n".join(next(iter(found.values())))
