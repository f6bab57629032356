# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reader of a capture can know of a Life: whose call each frame is, and where the severe events stand.

Expectations come from the design of calls alone. A frame *counts* where the evidence in the capture says whose call it
is; the rest is left out, since a wrong demand is worse than none:

    an identifier of the call in its bytes (DECIDES), or one seen before in a packet that counts
    no identifier, but a leg (5-tuple and channel) that the call owns: its last packet that counts was this call's,
        less than 120 s ago, and the call isn't over
    a Refresh that gives an allocation back, or its answer, names none: where two of different calls are held on the
        5-tuple, nothing says which one it is, nor which one is left for the next Refresh
    no identifier, the first on a leg that turns out to be this call's, while no other call of the device or of the
        person is alive

As long as nothing on a 5-tuple has proven it FaceTime's, a frame may also be nobody's; so may the first few after that
where the 5-tuple began with packets that prove nothing.

An allocation in whose channel nothing was captured says nothing of its call: where another call of the device follows it
at once, and has none, it may be that one's, and doesn't count.

What ties the parts of a call together must be in the capture, too: of a call whose parts nothing joins, the largest counts.
"""

import collections

ALIVE = 120         # seconds for which an address or a leg speaks for a call
SLACK = 6
SAME_SENDER = 30    # for which an SSRC does
ALONE = 10          # for which an allocation is the only thing that is known of a call
SET_UP = {"allocate", "allocated", "bind", "bound"}
DECIDES = {"tie", "call-id", "token", "relayed", "mki", "participant"}

MEDIA_GAP = 2.0
LOOSE, SURE = 1.95, 2.2         # a silence that may, that must be told
RESTART, RESTART_LOOSE = 28, 45
UNDER_WAY = 0.6                 # of a check: longer than any round trip here
LATE = 1.0                      # packets of the old path may come so long after the first of the new one
CROSSING = 0.3                  # and another stream's last ones
RELEASE_TIMEOUT = 0.4

GRACE = 3           # packets until a 5-tuple that began with unproven ones is surely FaceTime's

SEVERE = ("call_restarted", "hole_punched", "released_channel_used", "peer_unreachable", "media_gap", "path_switch")


class Joined:
    """Union-find."""

    def __init__(self):
        self.parent = {}

    def find(self, item):
        self.parent.setdefault(item, item)
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, *items):
        roots = [self.find(item) for item in items]
        for root in roots[1:]:
            self.parent[root] = roots[0]


class Truth:
    """counts: {index: call}, index 0.. of life.packets. optional: of these, what may be nobody's.
    must, may: {event: set of indexes}; may has what must has. wanted: {event: [indexes, one of which must have it]}"""

    def __init__(self, life):
        self.life, self.packets = life, [p for p in life.packets if not p.twin]
        self.counts, self.optional = {}, set()
        self.must = {name: set() for name in SEVERE}
        self.may = {name: set() for name in SEVERE}
        self.wanted = collections.defaultdict(list)
        self.captured = {id(p) for p in self.packets}
        self._calls()
        self._connect()
        self._icmp()
        self._holes()
        self._released()
        self._media()
        self._restarts()
        for name in SEVERE:
            self.may[name] |= self.must[name]
            if name != "peer_unreachable":
                self.must[name] &= set(self.counts) - self.optional
        self._twins(life.packets)

    def _twins(self, packets):
        """What was seen before is its first one's call's, and tells nothing."""
        at, i = {}, 0
        for here, p in enumerate(packets):
            if not p.twin:
                at[i] = here
                i += 1
        whose = {id(self.packets[i]): i for i in self.counts}
        counts, optional = self.counts, self.optional
        self.counts, self.optional = {at[i]: call for i, call in counts.items()}, {at[i] for i in optional}
        for here, p in enumerate(packets):
            if p.twin and id(p.twin) in whose:
                self.counts[here] = p.call
                if whose[id(p.twin)] in optional:
                    self.optional.add(here)
        for events in (self.must, self.may):
            for name in events:
                events[name] = {at[i] for i in events[name]}
        for name in self.wanted:
            self.wanted[name] = [[at[i] for i in frames] for frames in self.wanted[name]]

    # --- whose call ---

    def _calls(self):
        self.calls = {call.number: call for call in self.life.calls}
        self.owner, self.known, self.last = {}, {}, {}
        self.over, self.perhaps_over = {}, {}
        self.held = collections.defaultdict(set)    # 5-tuple: calls with an allocation that wasn't given back
        self.gave_back = collections.defaultdict(set)
        self.muddled = collections.defaultdict(set)     # those of which one was, and nothing says which
        self.directly, self.proven, self.begun, self.grace = set(), set(), set(), collections.Counter()
        unknowable = self._unknowable()
        following = self._following()
        shared = collections.Counter((p.call, key) for p in self.packets for key in p.keys)
        for i, p in enumerate(self.packets):
            if p.free or p.kind == "icmp" or p.call in unknowable:
                self._ends(p)
                if not p.free:
                    self.last[p.call] = p.time
                continue
            if p.turn in ("allocate", "allocated", "bind") or p.channel and p.call not in self.gave_back[p.leg[:2]]:
                self.held[p.leg[:2]].add(p.call)
            verdict = self._evidence(p, shared) or self._leg(p)
            if p.turn in ("release", "released") and self.held[p.leg[:2]] - {p.call}:
                self.muddled[p.leg[:2]] |= self.held[p.leg[:2]]
            if p.turn == "released":
                self.held[p.leg[:2]].discard(p.call)
                self.gave_back[p.leg[:2]].add(p.call)
            if not verdict and self._fresh(p, following[i]):
                verdict = True
                self.optional.add(i)
            if verdict:
                self.counts[i] = p.call
                self._learn(p)
                if self._unproven(p):
                    self.optional.add(i)
            self.begun.add(p.leg[:2])
            self.last[p.call] = p.time
            self._ends(p)

    def _unproven(self, p):
        """Nothing proved the 5-tuple yet, or it did so only now, when others might own the 5-tuple already."""
        there = p.leg[:2]
        if there not in self.proven or self.grace[there] > 0:
            self.grace[there] -= 1
            return True
        return False

    def _following(self):
        """For each packet, whose the next packet with an identifier on its leg is."""
        after, out = {}, []
        for p in reversed(self.packets):
            if any(name in DECIDES for name, _ in p.keys):
                after[p.leg] = p.call
            out.append(after.get(p.leg))
        return out[::-1]

    def _unknowable(self):
        """Modern calls on a relay's 5-tuple where the one before wasn't seen to end, nor the new one's connection seen
        to begin: that may be new keys and new people in one call."""
        seen, bad = {}, set()
        over, greeted, elsewhere = set(), set(), collections.defaultdict(set)
        for p in self.packets:
            if p.generation != "modern":
                continue
            if p.socket_closed:
                over.add(p.call)
            if p.kind == "icmp":
                continue
            if p.quic == "initial":
                greeted.add(p.call)
            before = seen.get(p.leg)
            if before and before[0] != p.call and p.time - before[1] < ALIVE + SLACK and before[0] not in over:
                if p.call not in greeted and not elsewhere[p.call] - {p.leg}:
                    bad.add(p.call)
            elsewhere[p.call].add(p.leg)
            seen[p.leg] = p.call, p.time
        return bad

    def _evidence(self, p, shared):
        for key in p.keys:
            if key[0] in DECIDES or self.known.get(key, (None,))[0] == p.call:
                return True
            if key[0] == "candidate" and shared[p.call, key] > 1 and (p.call, "tie") in self.tied:
                return True
        for ssrc in (p.ssrc, p.reports):
            who, when = self.known.get(("ssrc", ssrc), (None, 0))
            if who == p.call and p.time - when <= SAME_SENDER and (ssrc == p.ssrc or not self._is_over(p)):
                return True
        return False

    @property
    def tied(self):
        if not hasattr(self, "_tied"):
            self._tied = {(p.call, name) for p in self.packets for name, _ in p.keys}
        return self._tied

    def _is_over(self, p):
        return p.call in self.over or p.call in self.perhaps_over

    def _leg(self, p):
        who, when = self.owner.get(p.leg, (None, 0))
        if who != p.call or p.time - when > ALIVE:
            return False
        if p.turn in ("release", "released") and (self.held[p.leg[:2]] - {p.call} or p.call in self.muddled[p.leg[:2]]):
            return False
        if p.turn == "release":         # of the call that just ended
            return not self._is_over(p) or p.time - self.last[p.call] < SLACK
        return not self._is_over(p)

    def _fresh(self, p, following):
        if self._is_over(p) or following not in (None, p.call) or following is None and not p.ssrc:
            return False
        mine = self.calls[p.call]
        for number, when in self.last.items():
            other = self.calls[number]
            if number == p.call or p.time - when > ALIVE + SLACK or self.over.get(number, p.time) < p.time:
                continue
            if other.device is mine.device or other.device.public_ip == mine.device.public_ip \
                    or other.person.ip == mine.person.ip:
                return False
        return True

    def _learn(self, p):
        self.owner[p.leg] = p.call, p.time
        for key in (*p.keys, ("ssrc", p.ssrc), ("ssrc", p.reports), ("txid", p.txid)):
            if key[1] is not None:
                self.known[key] = p.call, p.time
        if p.leg[:2] not in self.proven and any(name in DECIDES for name, _ in p.keys):
            self.proven.add(p.leg[:2])
            self.grace[p.leg[:2]] = GRACE if p.leg[:2] in self.begun else 0
        if p.way == "direct":
            self.directly.add(p.call)

    def _ends(self, p):
        if p.socket_closed:
            self.over.setdefault(p.call, p.time)
        if p.bye_ok:
            certain = any(q.bye and q.call == p.call and q.time < p.time for q in self.packets)
            (self.over if certain else self.perhaps_over).setdefault(p.call, p.time)
        if p.turn == "released":
            (self.perhaps_over if p.call in self.directly else self.over).setdefault(p.call, p.time)

    def _connect(self):
        """Leave out what nothing in the capture ties to the rest of its call."""
        joined, users = Joined(), collections.defaultdict(set)
        for p in self.packets:
            if p.kind != "icmp" and not p.free:
                users[p.leg[:2]].add(p.call)
        for i in self.counts:
            p = self.packets[i]
            nodes = [("leg", p.call, p.leg)] + [(p.call, key) for key in p.keys if key[0] != "txid"]
            nodes += [(p.call, ("ssrc", ssrc)) for ssrc in (p.ssrc, p.reports) if ssrc]
            if p.binds:
                nodes.append(("leg", p.call, (*p.leg[:2], p.binds)))
            if p.channel and len(users[p.leg[:2]]) == 1:
                nodes.append(("leg", p.call, (*p.leg[:2], None)))
            joined.join(*nodes)
        size = collections.Counter((c, joined.find(("leg", c, self.packets[i].leg))) for i, c in self.counts.items())
        main = {}
        for (call, root), count in size.most_common():
            main.setdefault(call, root)
        for i, call in list(self.counts.items()):
            if joined.find(("leg", call, self.packets[i].leg)) != main[call]:
                del self.counts[i]
                self.optional.discard(i)
        self._bare_allocations()

    def _bare_allocations(self):
        frames = collections.defaultdict(list)
        for i, call in self.counts.items():
            if self.packets[i].kind != "icmp":
                frames[call].append(self.packets[i])
        bare = {call for call, mine in frames.items() if all(p.turn in SET_UP for p in mine)}
        holds = {p.call for p in self.packets if p.turn in SET_UP}
        for call in bare:
            since, device = frames[call][-1].time, self.calls[call].device
            if any(0 <= mine[0].time - since < ALONE and self.calls[other].device is device and other not in holds
                   for other, mine in frames.items()):
                for i in [i for i, c in self.counts.items() if c == call]:
                    del self.counts[i]
                    self.optional.discard(i)

    # --- events ---

    def _icmp(self):
        index = {id(p): i for i, p in enumerate(self.packets)}
        for i, p in enumerate(self.packets):
            if p.kind == "icmp" and not p.socket_closed:
                quoted = index.get(id(p.quoted))
                sure = quoted in self.counts and quoted not in self.optional
                (self.must if sure else self.may)["peer_unreachable"].add(i)
                if quoted in self.counts and quoted < i:        # else it overtook that
                    self.counts[i] = p.call
                    self.optional.add(i)

    def _holes(self):
        answered = {p.answers[0]: p for p in self.packets if p.answers}
        stamps = {p.answers for p in self.packets if p.answers}
        pairs, told = collections.defaultdict(list), set()
        for i, p in enumerate(self.packets):
            pair = p.leg
            if p.check:
                pairs[pair].append(p)
            elif p.answers:
                vain = [q for q in pairs[pair] if q.check[0] not in answered]
                again = [q for q in pairs[pair] if q.check[0] in answered and
                         (q.check not in stamps or q.check[1] is None and self._copies(pairs[pair], q) > 1)]
                if vain or again:
                    self.may["hole_punched"].add(i)
                sure = [q for q in vain if q.call == p.call and p.time - q.time > UNDER_WAY]
                if sure and pair not in told and p.way == "direct":
                    self.must["hole_punched"].add(i)
                told.add(pair)

    @staticmethod
    def _copies(checks, check):
        return sum(q.check[0] == check.check[0] for q in checks)

    def _released(self):
        """A release holds once it is answered; what the device itself sends afterwards uses a released channel."""
        state = collections.defaultdict(dict)       # (vlan, ends): {call: (when asked, when answered)}
        crowd = collections.defaultdict(set)        # calls with an allocation there
        for i, p in enumerate(self.packets):
            if p.generation != "legacy" or p.kind == "icmp":
                continue
            there = p.leg[:2]
            if p.turn in ("allocate", "allocated", "bind"):
                crowd[there].add(p.call)
            elif p.turn == "release":
                state[there].setdefault(p.call, [p.time, None])
            elif p.turn == "released":
                state[there].setdefault(p.call, [p.time, None])[1] = p.time
            elif p.channel and p.up:
                asked, done = state[there].get(p.call, (None, None))
                if done is not None and asked is not None:
                    # of two releases nothing says which one was this call's, until both are answered
                    alone = all(c == p.call or state[there].get(c, (None, None))[1] is not None for c in crowd[there])
                    (self.must if alone and crowd[there] else self.may)["released_channel_used"].add(i)
                elif asked is not None and p.time - asked > RELEASE_TIMEOUT:
                    self.may["released_channel_used"].add(i)
                elif any(c != p.call for c in state[there]) and len(crowd[there]) > 1:
                    self._other_release(i, p, state[there])

    def _other_release(self, i, p, releases):
        """Two allocations on one 5-tuple, and the other one was released: which one that was, only a call that had
        ended by then tells."""
        for call, (asked, _) in releases.items():
            if call != p.call and p.time > asked and not any(q.bye_ok and q.call == call and q.time <= asked
                                                             for q in self.packets):
                self.may["released_channel_used"].add(i)

    def _media(self):
        senders = collections.defaultdict(list)
        for i, p in enumerate(self.packets):
            if p.sender:
                senders[p.sender].append(i)
        for sender, indexes in senders.items():
            shown = [(i, p.time) for i, p in enumerate(self.packets) if p.quoted is not None and p.quoted.sender == sender
                     and id(p.quoted) not in self.captured]
            self._silences(sender[0], indexes, shown)
            self._switches(indexes)

    def _silences(self, call, indexes, shown):
        """shown: (index, time) of errors about media of this sender that wasn't captured: he wasn't silent any more."""
        before = time = stamp = None
        heard = {}
        byes = [p.time for p in self.packets if p.bye and p.call == call]
        for i in indexes:
            p = self.packets[i]
            if before is not None:
                gaps = p.time - time, p.stamp - stamp
                sure = min(gaps) > SURE and i in self.counts and self._is_surely_met(before)
                hung_up = any(time <= when <= p.time for when in byes)      # who hung up may be silent
                earlier = [j for j, when in shown if time + LOOSE < when <= p.time]
                self.may["media_gap"].update(earlier)
                if sure and p.ssrc in heard and not hung_up and not earlier:
                    self.must["media_gap"].add(i)
            since = heard.get(p.ssrc)
            if since and max(p.time - since[0], p.stamp - since[1]) > LOOSE:
                self.may["media_gap"].add(i)
            if before is not None and max(gaps) > LOOSE:
                self.may["media_gap"].add(i)
            before, time, stamp = i, p.time, max(p.stamp, stamp if stamp is not None and p.stamp + 5 > stamp else p.stamp)
            heard[p.ssrc] = time, max(p.stamp, since[1]) if since and p.stamp + 5 > since[1] else p.stamp
        for i, p in enumerate(self.packets):        # a silence that nothing ended
            if p.call == call and p.time > time and max(p.time - time, p.stamp - stamp) > LOOSE:
                self.may["media_gap"].add(i)

    def _is_surely_met(self, i):
        """What came before anything proved the 5-tuple may be nobody's: then nobody knows that its sender spoke."""
        return i in self.counts and i not in self.optional

    def _switches(self, indexes):
        now, since, old, copied, first, met, stray = None, None, None, set(), set(), False, False
        newest = {}
        for i in indexes:
            p = self.packets[i]
            way = p.way, p.link
            is_copy = id(p.copy) in self.captured     # else it was overtaken, as far as the capture goes
            older = p.ssrc in newest and (newest[p.ssrc] - p.seq & 0xFFFF) < 0x8000 and not is_copy
            if is_copy:
                if way != now and way not in copied:
                    self.may["path_switch"].add(i)
                    copied.add(way)
                continue
            if not older:
                newest[p.ssrc] = p.seq
            known, met = met, met or self._is_surely_met(i)
            if now is None:
                now, since = way, p.time
            elif way != now and (older or way == old) and p.time - since < (LATE if older else CROSSING):
                self.may["path_switch"].add(i)
            elif way != now:
                # a copy whose first one was lost looks like a switch there, and so does what goes on as back again
                unsure = not known or way in copied or way[0] == now[0] and None in (way[1], now[1]) \
                    or stray and way == old
                (self.may if unsure else self.must)["path_switch"].add(i)
                stray = way in copied
                now, since, old, copied, first = way, p.time, now, set(), {p.ssrc}
            elif p.ssrc not in first and first:     # the switch of its own SSRC
                self.may["path_switch"].add(i)
                first.add(p.ssrc)

    def _restarts(self):
        firsts, ends, byes = {}, {}, {}
        answered = {p.call for p in self.packets if p.bye_ok}
        for i, p in enumerate(self.packets):
            if p.kind != "icmp" and not p.free:
                firsts.setdefault(p.call, i)
            if p.bye:
                byes[p.call] = p.time
                ends.setdefault(p.call, p.time)
        for call, i in firsts.items():
            start = self.packets[i].time
            for before, when in byes.items():
                a, b = self.calls[before], self.calls[call]
                if before == call or before in answered or a.device is not b.device or a.person.ip != b.person.ip:
                    continue
                frames = [j for j, p in enumerate(self.packets) if p.call == call]
                if 0 < start - when < RESTART_LOOSE:
                    self.may["call_restarted"].update(frames)
                # its first BYE ended it
                if start - when > 4 and start - ends[before] < RESTART and a.person is b.person and type(a) is type(b) \
                        and not self._talked(a, firsts, ends[before], start) and self._names_far_end(b, frames):
                    self.wanted["call_restarted"].append(frames)

    def _names_far_end(self, call, frames):
        """Of a call that a relay carries, the allocation and the checks don't say who is at the other end."""
        return any(p.kind == "sip" or p.turn == "bind" or call.person.ip in (p.src[0], p.dst[0])
                   for p in (self.packets[i] for i in frames))

    def _talked(self, like, firsts, since, until):
        """Whether the same two talked in a call that began in between: what had broken off before is done with."""
        return any(c.device is like.device and c.person is like.person and c.course in ("answered", "challenged")
                   and since < self.packets[firsts[c.number]].time < until
                   for c in self.life.calls if c.number in firsts)
