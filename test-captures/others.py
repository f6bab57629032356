# SPDX-License-Identifier: GPL-2.0-or-later
"""Small captures of what shares FaceTime's ICE, or its wires, and of media inside QUIC. All invented: they follow what is
published of GameKit, Multipeer Connectivity and iOS 26 (docs/protocol.md, section 22)."""

import struct

import legacy_corners
import modern_corners
from legacy import Allocation, Check, direct
from wire import Wire, gamekit, modern

CLIENT, PEER = legacy_corners.CLIENT, legacy_corners.PEER


class Game:
    """A session of two devices: checks both ways, then GameKit's messages."""

    def __init__(self, cap, client=CLIENT, peer=PEER, call=1, relay=None, channel=0x4000):
        self.cap = cap
        self.near, self.far = legacy_corners.ends(cap, client, peer)
        self.out, self.back = (direct(cap, call, client, peer) if relay is None
                               else relay.paths(channel, peer))
        self.ids = [cap.rng.getrandbits(31) | 1, cap.rng.getrandbits(31) | 2]

    def set_up(self):
        """Three checks, answered; the second one nominates."""
        for device, other, out, back, nominate in ((self.near, self.far, self.out, self.back, 0),
                                                   (self.near, self.far, self.out, self.back, 1),
                                                   (self.far, self.near, self.back, self.out, 0)):
            self.check(device, other, out, back, nominate)

    def check(self, device, other, out, back, nominate=0):
        one = Check(device, device.host, other.host, out, back, version=1010)
        self.cap.run(0.02)
        one.send(nominate)
        self.cap.run(0.02)
        one.answer()

    def say(self, build, *body, incoming=False, **how):
        """One message; the session is no call from its first one on."""
        self.cap.run(0.03)
        self.out.call = self.back.call = None
        mine, theirs = self.ids
        wire = build(*((theirs, mine) if incoming else (mine, theirs)), *body, **how)
        return (self.back if incoming else self.out).send(wire)

    def greet(self):
        for build in (gamekit.hello, gamekit.database):
            self.say(build)
            self.say(build, incoming=True)

    def play(self, rounds):
        for i in range(rounds):
            self.say(gamekit.data, self.cap.random(20 + i))
            self.say(gamekit.data, self.cap.random(60 + i), incoming=True)


@legacy_corners.capture("gamekit", "A game: FaceTime's ICE, GameKit's messages, one with a wrong checksum, and no call.")
def a_game(cap):
    game = Game(cap)
    game.set_up()
    game.greet()
    cap.mark("greeted")
    game.play(3)
    game.say(gamekit.data, b"damaged", damage=0x0100)
    cap.mark("wrong checksum")
    game.check(game.near, game.far, game.out, game.back)
    cap.mark("a check while it is played")
    cap.run(0.02)
    game.out.send(gamekit.dtls(23, 1, cap.random(40), kind="gamekit", generation=None))
    cap.mark("DTLS beside it")


@legacy_corners.capture("gamekit-relayed", "A game through a relay's channel: an allocation, and yet no call.")
def a_relayed_game(cap):
    near, _ = legacy_corners.ends(cap)
    relay = Allocation(cap, 1, near, legacy_corners.RELAY, legacy_corners.RELAYED)
    for step in (relay.allocate, relay.allocated, lambda: relay.bind(0x4000, PEER), lambda: relay.bound(0x4000)):
        cap.run(0.02)
        step()
    game = Game(cap, relay=relay)
    game.set_up()
    game.greet()
    game.play(2)


@legacy_corners.capture("gamekit-then-call", "A game, and half a minute later a FaceTime call of the same two sockets.")
def a_game_then_a_call(cap):
    game = Game(cap)
    game.set_up()
    game.greet()
    game.play(2)
    near, far = legacy_corners.ends(cap)
    call = legacy_corners.SmallCall(cap, 2, near, far)
    start = cap.clock + 30
    cap.run_to(call.queue(start))
    cap.mark("the call's first check", next(n for n, frame in cap.truth.items() if frame["call"] == 2))


@legacy_corners.capture("ice-only", "Connectivity checks and nothing else: what they are for stays open.")
def ice_only(cap):
    game = Game(cap)
    game.set_up()
    cap.run(0.02)
    game.out.send(gamekit.dtls(22, 0, cap.random(60)))
    cap.mark("DTLS, of nobody known")


def pod(cap, connection, size=60):
    """A short-header packet of QUIC: what follows the connection id is protected."""
    first = 0x40 | cap.rng.getrandbits(5)
    return Wire(struct.pack("!BI", first, connection) + cap.random(size), kind="quic", generation="modern")


@modern_corners.capture("modern-quic-media", "Media inside QUIC: on a relay's 5-tuple, then straight, and what only looks so.")
def modern_quic_media(stage):
    cap = stage.cap
    mine, theirs, links, other = 0x0A8B1C2D, 0x05E91122, 0x1083F00F, 0x03C00001
    seen = {}

    def send(connection, up, relayed=True, path=None):
        """Media from the third packet of its connection id in one direction on."""
        cap.run(0.02)
        ends = (stage.near, modern_corners.RELAY if relayed else modern_corners.PEER)
        key = connection, up, relayed
        seen[key] = seen.get(key, 0) + 1
        known = seen[key] >= 3
        path = ("relay" if relayed else "direct") if known else ("server" if relayed else "direct")
        wire = pod(cap, connection).knowing(fields={
            "facetime.quic_media": [int(connection >> 28 == 0)] if known else []})
        number = cap.udp(*(ends if up else ends[::-1]), wire, path=path, call=1)
        if seen[key] == 3 and not relayed and up:
            # the device's media was on the relay until now; whose came down from there, nothing in clear says
            cap.truth[number]["events"].append("path_switch")
        return number

    stage.one_to_one()
    cap.mark("RTP")
    for _ in range(8):
        send(mine, True)
        send(theirs, False)
    for _ in range(4):
        send(links, True)
    cap.mark("link messages")
    send(other, True)
    cap.mark("one packet is none")
    txid, asked = stage.check(modern.new_mki(cap.rng))
    stage.check_answer(modern.new_mki(cap.rng), txid, asked, incoming=True)
    for _ in range(8):
        send(mine, True, False)
        send(theirs, False, False)
    cap.mark("straight")


NAMES = ("gamekit", "gamekit-relayed", "gamekit-then-call", "ice-only", "modern-quic-media")
OTHERS = {name: ({**legacy_corners.CORNERS, **modern_corners.CORNERS})[name] for name in NAMES}
