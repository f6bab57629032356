"""A call's signalling: who told whom what, repeats folded; and what was looked for in it and isn't there."""
# SPDX-License-Identifier: GPL-2.0-or-later

import datetime
import re

MAX_PACKETS = 20000     # of a call's signalling that its ladder is made of, and of what has no call
MAX_STEPS = 250         # of a ladder, repeats folded; and arrows of its picture
RECENT = 6              # steps back that a packet may repeat
SCREEN = 40             # arrows back that one may stand for more
MAX_NAMED = 8           # frames of a step that are named one by one
BEFORE = 10             # s: what a device does before its call begins (NAT tests, push) is shown with the call
TOGETHER = 1            # s between packets of push that are one step
QUIET = 10              # s without a connectivity check, up to the call's end, that are worth a word

# Rows are the objects of -z facetime,signalling,json (docs/signalling.schema.json)
KINDS = {"stun": "STUN", "turn": "TURN", "sip": "SIP", "rtp": "RTP", "rtcp": "RTCP", "snatmap": "SNATMAP", "commnat": "CommNAT",
         "quickrelay": "QuickRelay", "hbh": "HBH", "quic": "QUIC", "gamekit": "GameKit"}      # the others stand as they are
NAT_TESTS = {"snatmap", "commnat"}
RELAYS = {"stun", "turn", "quickrelay", "control", "link", "hbh", "quic", "baseband"}     # to a relay where the path is "server"
LANES = ("Device", "NAT tests", "Relay", "Peer", "Network", "Apple's servers")
ENCAPSULATIONS = {1: "Ethernet", 7: "raw IP", 15: "NULL/loopback", 25: "Linux cooked capture"}
CODINGS = {"raw": "deflate", "none": ""}
PUSHED = "Push (TLS)"
OPAQUE = "TLS with Apple's push service (TCP 5223), both ways: opaque"

# STUN
BINDING, CREATE_PERMISSION = 0x0001, 0x0008
USERNAME, REALM, NONCE = 0x0006, 0x0014, 0x0015
ROLES = {0x0025: "USE-CANDIDATE", 0x8029: "ICE-CONTROLLED", 0x802a: "ICE-CONTROLLING"}
APPLES = range(0x8000, 0x8029)
STATIC = {"0": "PCMU", "3": "GSM", "8": "PCMA", "9": "G722", "13": "CN"}      # RFC 3551


def host(address):
    return (address or "").rsplit(":", 1)[0].strip("[]")


def frame_of(row):
    return row["frame"]


def time_of(row):
    return row.get("epoch", 0)


def protocols(row):
    return row["protocols"].split(":")


class Signalling:
    """Packets as they come: of each call so many that memory stays flat."""

    def __init__(self):
        self.of_call, self.more, self.loose, self.link_types = {}, {}, [], set()

    def take(self, row):
        self.link_types.add(row["link_type"])
        calls = row.get("calls", ())
        for call in calls:
            rows = self.of_call.setdefault(call, [])
            if len(rows) < MAX_PACKETS:
                rows.append(row)
            else:
                self.more[call] = self.more.get(call, 0) + 1
        if not calls and len(self.loose) < MAX_PACKETS:
            self.loose.append(row)

    def names_of_links(self):
        return sorted(str(ENCAPSULATIONS.get(number, number)) for number in self.link_types)

    def rows_of(self, call):
        """Those of calls that turned out to be this one, too."""
        rows = [row for n in (call["call"], *call.get("merged", ())) for row in self.of_call.get(n, ())]
        return sorted({row["frame"]: row for row in rows}.values(), key=frame_of)

    def more_of(self, call):
        return sum(self.more.get(n, 0) for n in (call["call"], *call.get("merged", ())))


class Ends:
    """Whose a host is: the device's or its peer's, wherever they went; in one capture may be both."""

    def __init__(self, call, streams):
        senders = {way: {host(s.get("sender")) for s in call["streams"] if s["direction"] == way} for way in ("out", "in")}
        self.peers = {host(call.get("remote"))} | {host(p["remote"]) for p in call["pairs"]} | senders["in"]
        self.own = {host(call.get("local"))} | senders["out"] | ({host(p["local"]) for p in call["pairs"]} - self.peers)
        self.peers -= self.own
        self.relays = {host(p["server"]) for s in streams for p in s.get("paths", ()) if p.get("server")}

    def lane(self, address):
        return "Device" if address in self.own else "Peer" if address in self.peers else None

    def between(self, row):
        """(from, to): lanes of a packet."""
        hosts = [row.get(side, "") for side in ("source", "destination")]
        kind, path = row.get("kind"), row.get("path")
        ends = [self.lane(address) for address in hosts]
        if is_icmp(row):
            return self.of_error(*hosts)
        if path in ("relay", "direct"):
            source = ends[0] or ("Device" if ends[1] == "Peer" else "Peer")     # both may check one router's address
            return source, "Peer" if source == "Device" else "Device"
        far = ("NAT tests" if kind in NAT_TESTS else "Relay" if kind in RELAYS or hosts[bool(ends[0])] in self.relays else
               "Apple's servers")
        return (ends[0], far) if ends[0] else (far, ends[1] or "Device")

    def of_error(self, source, target):
        """An ICMP error is its sender's: the device itself says that its port is closed. At another's address may be a router."""
        if self.lane(source) == "Device" and self.lane(target) != "Device":
            return "Device", self.lane(target) or ("Relay" if target in self.relays else "Network")
        return "Network", self.lane(target) or "Device"


def masked(text):
    """What repeats may differ in its numbers."""
    return re.sub(r"[0-9a-f]{4,}|\d+", "#", text)


def is_icmp(row):
    return "icmp" in protocols(row) or "icmpv6" in protocols(row)


def kind_of(row):
    kind, names = row.get("kind"), protocols(row)
    return (KINDS.get(kind, kind) if kind else "ICMP" if is_icmp(row) else "HTTP" if "http" in names else
            "push" if "tcp" in names else "")


def attributes_of(row):
    """What tells a check from another: its role, and Apple's attributes by number."""
    return [ROLES.get(n, f"0x{n:04x}") for n in row.get("stun_attributes", ()) if n in ROLES or n in APPLES]


def label_of(row, kind):
    """What stands over the packet's arrow: calls/label.c says it; of the last datagram in the frame."""
    return PUSHED if kind == "push" else row.get("label") or kind


class Ladder:
    """Signalling and ICE of a call: steps tell all of a message, arrows its name; what repeats is one."""

    def __init__(self, ends):
        self.ends, self.begin, self.rows, self.steps, self.more, self.arrows, self.undrawn = ends, 0, [], [], 0, [], 0

    def add(self, row):
        source, target = self.ends.between(row)
        self.add_arrow(row, source, target)
        if not is_of(row, "rtp"):
            self.add_step(row, source, target)

    def add_arrow(self, row, source, target):
        """By ends, way and name, as the flow graph folds (plugin/flowgraph.c); what media's events say stands alone."""
        kind = kind_of(row)
        relayed, label = row.get("path") == "relay" and not is_icmp(row), label_of(row, kind)
        key = (label, *(sorted((source, target)) if kind == "push" else (source, target)), relayed)
        frame, time = row["frame"], time_of(row)
        for arrow in () if is_of(row, "rtp") else reversed(self.arrows[-(RECENT if is_of(row, "sip") else SCREEN):]):
            if arrow["key"] == key:
                arrow.update(count=arrow["count"] + 1, last=frame)
                return
        if len(self.arrows) >= MAX_STEPS:
            self.undrawn += 1
            return
        self.arrows.append({"key": key, "from": source, "to": target, "relayed": relayed, "frame": frame, "last": frame, "time": time,
                            "count": 1, "label": label, "text": OPAQUE if kind == "push" else row.get("info", "")})

    def add_step(self, row, source, target):
        kind, path, info = kind_of(row), row.get("path"), row.get("info", "")
        attributes = attributes_of(row)
        frame, time = row["frame"], time_of(row)
        if kind == "push":      # both ways are one step
            key, info, near = (kind, ({source, target} - {"Apple's servers"}).pop()), OPAQUE, time - TOGETHER
        else:
            key, near = (kind, path, source, target, attributes, masked(info[:80])), 0
        for step in self.steps[-RECENT:]:
            if step["key"] == key and step["last_time"] >= near:
                step.update(count=step["count"] + 1, last=frame, last_time=time, named=step["named"] + [frame][:MAX_NAMED -
                                                                                                  len(step["named"])])
                return
        if len(self.steps) >= MAX_STEPS:
            self.more += 1
            return
        self.steps.append({"key": key, "from": source, "to": target, "relayed": path == "relay" and not is_icmp(row), "frame": frame,
                           "last": frame, "named": [frame], "time": time, "last_time": time, "count": 1, "kind": kind, "text": info,
                           "attributes": attributes, "after": row.get("answered_after", 0)})

    def lanes(self):
        used = {arrow[end] for arrow in self.arrows for end in ("from", "to")}
        return [lane for lane in LANES if lane in used]


def begin_of(call, rows):
    """The call's first packet, in the packets' time."""
    if call["start_time"]:
        return datetime.datetime.fromisoformat(call["start_time"].replace("Z", "+00:00")).timestamp()
    return time_of(rows[0]) if rows else 0


def with_loose(signalling, spans, own):
    """{call: packets of no call that its device had to do with}: while the call was, or shortly before."""
    out = {call: [] for call in spans}
    for row in signalling.loose:
        time, hosts = time_of(row), {row.get("source"), row.get("destination")}
        of_device = [call for call in spans if hosts & own[call]]
        during = [call for call in of_device if spans[call][0] <= time <= spans[call][1]]
        soon = [call for call in of_device if 0 < spans[call][0] - time <= BEFORE]
        for call in during or soon[:1]:
            out[call].append(row)
    return out


def ladders(calls, streams, signalling):
    """{call: Ladder}; each step's time counts from the call's first packet."""
    rows = {c["call"]: signalling.rows_of(c) for c in calls}
    ends = {c["call"]: Ends(c, [s for s in streams if s["call"] == c["call"]]) for c in calls}
    begins = {c["call"]: begin_of(c, rows[c["call"]]) for c in calls}
    loose = with_loose(signalling, {c["call"]: (begins[c["call"]], begins[c["call"]] + c["duration"]) for c in calls},
                       {n: (e.own | e.peers) - {""} for n, e in ends.items()})
    out = {}
    for call in calls:
        n = call["call"]
        ladder = out[n] = Ladder(ends[n])
        ladder.begin, ladder.rows = begins[n], sorted(rows[n] + loose[n], key=frame_of)
        for row in ladder.rows:
            ladder.add(row)
        ladder.more += signalling.more_of(call)
        ladder.undrawn += signalling.more_of(call)
        for arrow in ladder.arrows:
            arrow["seconds"] = arrow["time"] - begins[n]
        for step in ladder.steps:
            step["seconds"] = step["time"] - begins[n]
            step["every"] = (step["last_time"] - step["time"]) / (step["count"] - 1) if step["count"] > 1 else None
    return out


# What isn't there

HIDES = {"capture_cut", "begins_in_call", "one_direction"}      # findings: what isn't seen may have been


def is_of(row, *kinds):
    return row.get("kind") in kinds


def missing_of_relay(rows):
    turn = [row for row in rows if is_of(row, "turn")]
    said = {n for row in turn for n in row.get("stun_attributes", ())}
    if turn and USERNAME not in said:
        yield "no message to or from the relay has a USERNAME"
    if turn and not {REALM, NONCE} & said:
        yield "the relay challenges nobody with realm and nonce, so that an allocation takes one round trip"
    if turn and not any(n & ~0x0110 == CREATE_PERMISSION for row in turn for n in row.get("stun_types", ())):
        yield "no TURN permission is created (CreatePermission)"


def missing_of_ways(rows):
    stun = [row for row in rows if is_of(row, "stun", "turn")]
    if stun and not any(is_of(row, "stun") and row.get("path") == "server" for row in stun):
        yield "no STUN server is asked for an address"
    if stun and not any("tcp" in protocols(row) for row in stun):
        yield "neither STUN nor TURN over TCP"
    if not any("dtls" in protocols(row) for row in rows):
        yield "no DTLS handshake, neither directly nor through the relay"


def missing_of_sip(call, ladder):
    checks = [row for row in ladder.rows if BINDING in row.get("stun_types", ())]
    rest = ladder.begin + call["duration"] - time_of(checks[-1]) if checks else 0
    if rest >= QUIET:
        yield f"no connectivity check after frame {checks[-1]['frame']}, in the {rest:.1f} s to the call's end"
    sip = [row for row in ladder.rows if is_of(row, "sip")]
    for before, after in zip(sip, sip[1:]):
        if "ACK" in before.get("info", "")[:20] and "BYE" in after.get("info", "")[:20]:
            yield f"no SIP between the ACK in frame {before['frame']} and the BYE in frame {after['frame']}"


def payload_types(text):
    """{payload type: name or ""} of an SDP's m= lines."""
    names = {**STATIC, **dict(re.findall(r"^a=rtpmap:(\d+) ([^/\s]+)", text, re.MULTILINE))}
    return {n: names.get(n, "") for line in re.findall(r"^m=\S+ \d+ RTP/\S+ (.*)$", text, re.MULTILINE) for n in line.split()}


def missing_of_sdp(call):
    texts = {s["role"]: s["text"] for s in reversed(call["sdp"])}
    if texts and not any(re.search(r"^a=(fingerprint|crypto):", text, re.MULTILINE) for text in texts.values()):
        yield "the SDP has neither a=fingerprint nor a=crypto: media's keys aren't agreed on there"
    if "offer" not in texts or "answer" not in texts:
        return
    offer, answer = payload_types(texts["offer"]), payload_types(texts["answer"])
    used = {str(n) for s in call["streams"] for n in s["payload_types"]}
    called = lambda some: ", ".join(f"{n} ({name})" if name else n for n, name in some)        # noqa: E731
    if dropped := [(n, name) for n, name in offer.items() if n not in answer]:
        yield f"payload types that only the offer has: {called(dropped)}"
    if unused := [(n, offer[n]) for n in offer if n in answer and n not in used]:
        yield f"payload types of offer and answer that no packet bears: {called(unused)}"


def missing(call, ladder):
    """Sentences on what a legacy call could have and hasn't; only where all of it would be in the file."""
    if call["generation"] != "legacy" or HIDES & {f["code"] for f in call["findings"]} or ladder.more:
        return []
    found = [*missing_of_relay(ladder.rows), *missing_of_ways(ladder.rows), *missing_of_sip(call, ladder), *missing_of_sdp(call)]
    return [f"{text[0].upper()}{text[1:]}." for text in found]


def codings(ladder):
    """{frame: how its SDP is packed}"""
    return {row["frame"]: CODINGS.get(row["coding"], row["coding"]) for row in ladder.rows if "coding" in row}
