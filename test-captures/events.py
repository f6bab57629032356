# SPDX-License-Identifier: GPL-2.0-or-later
"""Which events must stand on which frame, worked out from the truth about the frames.

An event is required (`events`) where the rule names one frame, and allowed (`may`) where the rule
leaves the frame open. The rules are an opinion of their own: they share nothing with the plugin.
"""

# How often an event is told. COUNTED: each packet that qualifies has its name, the story one record.
EACH, ONCE_A_LEG, ONCE_A_CALL, COUNTED = "each", "once a leg", "once a call", "counted"
CHAT = "chat"       # severity, where the design says one

EVENTS = {
    "connectivity_check": (EACH, CHAT),
    "reserved_allocation": (EACH, None),
    "allocation_mismatch": (EACH, None),
    "channel_bind_retransmitted": (EACH, None),
    "binding_retransmitted": (EACH, None),
    "relay_ready": (ONCE_A_LEG, None),          # the bind's answer; modern: first packet with the relay's header
    "early_channel_data": (COUNTED, None),      # by the device, before the answer or anything from the relay there
    "relay_released": (EACH, None),             # a repeated Refresh is the same one
    "released_channel_used": (COUNTED, None),   # by the device, after the answer
    "relay_idle": (EACH, None),
    "participant_gone": (EACH, None),
    "legacy_username": (ONCE_A_CALL, CHAT),
    "nominated": (EACH, None),
    "direct_ready": (ONCE_A_CALL, None),        # first answered direct check
    "hole_punched": (ONCE_A_LEG, None),         # first answer after a check of the pair that never got one
    "peer_unreachable": (EACH, None),
    "socket_closed": (EACH, CHAT),              # the device's own ICMP about its own port
    "handover": (EACH, None),
    "path_switch": (EACH, None),
    "first_media": (EACH, None),                # first RTP of each direction and medium
    "one_way_media": (ONCE_A_CALL, None),
    "media_on_both_paths": (COUNTED, None),
    "media_gap": (EACH, None),
    "nonstandard_sdp": (EACH, CHAT),
    "invite": (EACH, None),                     # each new INVITE transaction
    "ringing": (ONCE_A_CALL, None),
    "bye_retransmitted": (EACH, None),
    "bye_unanswered": (ONCE_A_CALL, None),
    "call_started": (ONCE_A_CALL, None),
    "call_answered": (ONCE_A_CALL, None),
    "call_ended": (ONCE_A_CALL, None),
    "call_restarted": (ONCE_A_CALL, None),
}

MEDIA_GAP = 2.0     # seconds without RTP of a sender; no capture has a silence between 1 and 3 seconds
ONE_WAY = 5.0       # of a sender alone
BYE_WAIT = 4.0      # an answer could have come so long after the last BYE
RELEASE_RETRY = 0.5
AGREEING = 10       # media without signalling is believed after a few packets: the first one told may be one of these
RELAY_HEADER = 0x6000
GONE = 601
VIDEO = {34, 100, 123, 126}     # payload types


class _Call:
    def __init__(self):
        self.username_seen = self.answered = self.ended = self.rang = self.direct_ready = self.one_way = False
        self.legs, self.heard, self.media = {}, {}, {}
        self.last_bye, self.bye_answered = None, False
        self.restarted, self.devices = False, {}
        self.invites, self.relays, self.own = set(), set(), set()


def _ends(frame):
    return frozenset((tuple(frame["src"]), tuple(frame["dst"])))


def tell(cap):
    """Fill in `events` and `may` of all frames of a Capture."""
    calls, legs, checks = {}, _Legs(), _Checks(cap)
    for frame in cap.truth.values():
        call = None
        if frame["call"] is not None:
            first = frame["call"] not in calls
            call = calls.setdefault(frame["call"], _Call())
            if first:
                _first_packet(cap, frame)
        for name in _by_itself(cap, frame):
            frame["events"].append(name)
        if "src" in frame and frame["generation"] == "legacy":
            legs.see(frame, frame["src"][0] in cap.local)
        if call:
            _in_call(cap, frame, call, checks)
    for number, call in calls.items():
        _at_the_end(cap, number, call)


def _first_packet(cap, frame):
    if frame["call"] not in cap.start_open:
        frame["events"].append("call_started")


def _by_itself(cap, frame):
    """Events that the packet alone shows."""
    stun, sip = frame.get("stun") or {}, frame.get("sip") or {}
    if "http" in frame:
        yield "connectivity_check"
    if frame.get("reserved"):
        yield "reserved_allocation"
    if frame.get("error") == 437:
        yield "allocation_mismatch"
    if frame.get("error") == GONE:
        yield "participant_gone"
    if frame.get("reason") == "Idle Client":
        yield "relay_idle"
    if frame.get("lifetime") == 0 and stun["class"] == "request" and "retransmission_of" not in frame:
        yield "relay_released"
    if frame.get("nominates"):
        yield "nominated"
    if "quotes" in frame:
        yield "socket_closed" if frame["reporter"] in cap.local else "peer_unreachable"
    if "retransmission_of" in frame:
        if stun.get("method") == "channel-bind":
            yield "channel_bind_retransmitted"
        elif stun.get("method") == "binding" and not frame.get("nominates"):
            yield "binding_retransmitted"
        elif sip.get("method") == "BYE":
            yield "bye_retransmitted"
    if sip.get("content_type") == "application/sdp":
        if sip["damage"]:
            frame["may"].append("nonstandard_sdp")
        else:
            yield "nonstandard_sdp"


class _Legs:
    """Allocations and channels: asked, bound, refused, releasing, released."""

    def __init__(self):
        self.allocations, self.channels = {}, {}    # (ends, call): allocation; (ends, channel): leg
        self.asked = {}                             # transaction id of a bind: leg

    def see(self, frame, from_device):
        stun, ends = frame.get("stun") or {}, _ends(frame)
        if frame["kind"] == "turn":
            key = ends, frame["call"]
            if stun["method"] == "allocate" and stun["class"] == "request" and "retransmission_of" not in frame:
                self.allocations[key] = {"released": None, "asked": None}
            elif stun["method"] == "refresh":
                self._refresh(frame, stun, self.allocations.get(key))
            elif "binds" in frame:
                self._bind(frame, stun, ends, self.allocations.get(key))
            elif stun["method"] == "channel-bind":
                self._bind_answer(frame, stun)
        elif frame.get("channel"):
            leg = self.channels.get((ends, frame["channel"]))
            if leg:
                self._data(frame, leg, from_device, self.allocations.get((ends, frame["call"])))

    def _refresh(self, frame, stun, allocation):
        if allocation is None:
            return
        if stun["class"] == "request" and frame.get("lifetime") == 0:
            allocation["asked"] = allocation["asked"] or frame["time"]
        elif allocation["asked"] is not None and stun["class"] == "success":
            allocation["released"] = frame["time"]

    def _bind(self, frame, stun, ends, allocation):
        key = ends, frame["binds"]["channel"]
        leg = self.channels.get(key)
        if leg is None or leg["allocation"] is not allocation:
            leg = self.channels[key] = {"allocation": allocation, "state": "asked", "told": False}
        if leg["state"] == "refused" and "retransmission_of" not in frame:
            leg["state"] = "asked"
        self.asked[stun["txid"]] = leg

    def _bind_answer(self, frame, stun):
        leg = self.asked.get(stun["txid"])
        if leg is None:
            return
        if stun["class"] == "error":
            leg["state"] = "refused" if leg["state"] == "asked" else leg["state"]
            return
        leg["state"] = "bound"
        frame["may" if leg["told"] else "events"].append("relay_ready")
        leg["told"] = True

    def _data(self, frame, leg, from_device, newest):
        allocation = leg["allocation"]
        if not from_device:
            if leg["state"] == "asked":
                leg["state"] = "bound"      # the relay itself sends there
            return
        if leg["state"] == "asked":
            frame["events"].append("early_channel_data")
        if allocation is None or allocation["asked"] is None:
            return
        if newest is not None and newest is not allocation:
            frame["may"] += ["released_channel_used", "early_channel_data"]     # allocated anew, not bound anew yet
        elif allocation["released"] is not None:
            frame["events"].append("released_channel_used")
        elif frame["time"] - allocation["asked"] > RELEASE_RETRY:
            frame["may"].append("released_channel_used")


def _in_call(cap, frame, call, checks):
    stun, sip = frame.get("stun") or {}, frame.get("sip") or {}
    if frame["call"] in cap.restarts and "binds" in frame and not call.restarted:
        call.restarted = True                   # an allocation names no far end, so this is the first that does
        frame["events"].append("call_restarted")
    _second_device(cap, frame, call)
    if frame.get("legacy_username") and not call.username_seen:
        call.username_seen = True
        frame["events"].append("legacy_username")
    if frame["generation"] == "modern" and (frame.get("channel") or 0) >> 8 == RELAY_HEADER >> 8:
        _relay_header(frame, call)
    if sip:
        _dialog(frame, sip, call)
    if frame["kind"] == "rtp":
        _media(cap, frame, call)
    if stun.get("method") == "binding" and frame["path"] == "direct":
        checks.see(frame, stun, call)
    _own_address(cap, frame, call)


def _second_device(cap, frame, call):
    """Where both devices are seen, nothing ties the second one's allocation to the call before it checks the first one: it may
    begin a session of its own until then."""
    if "src" not in frame or frame["src"][0] not in cap.local:
        return
    known = call.devices.setdefault(frame["src"][0], set())
    if len(call.devices) > 1 and not known:
        frame["may"].append("call_started")
    if len(call.devices) > 1 and frame.get("legacy_username") and "username" not in known:
        frame["may"].append("legacy_username")
    known |= {"seen"} | ({"username"} if frame.get("legacy_username") else set())


def _relay_header(frame, call):
    if _ends(frame) not in call.relays:
        frame["may" if call.relays else "events"].append("relay_ready")
        call.relays.add(_ends(frame))


def _own_address(cap, frame, call):
    """A device that goes on with another address. Where both ends are local, no address is a new one."""
    if "src" not in frame or frame["src"][0] not in cap.local or frame["dst"][0] in cap.local:
        return
    if call.own and frame["src"][0] not in call.own:
        frame["may"].append("handover")
    call.own.add(frame["src"][0])


def _dialog(frame, sip, call):
    if sip["method"] == "INVITE":
        transaction = sip["call_id"], sip["cseq"]
        if sip["status"] is None and transaction not in call.invites:
            call.invites.add(transaction)
            frame["events"].append("invite")
        if sip["status"] == 180 and not call.rang:
            call.rang = True
            frame["events"].append("ringing")
        if sip["status"] == 200 and not call.answered:
            call.answered = True
            frame["events"].append("call_answered")
    if sip["method"] == "BYE":
        if sip["status"] is None:
            call.last_bye = frame["number"]
            if not call.ended:
                call.ended = True
                frame["events"].append("call_ended")
        else:
            call.bye_answered = True
            frame["may"].append("call_ended")


def _media(cap, frame, call):
    """Legs that a sender uses, copies, and silence."""
    sender, leg = frame["sender"], (frame["path"], frame.get("link"))
    _beginnings(cap, frame, call, sender)
    used = call.legs.setdefault(sender, set())
    if "copy_of" in frame:
        frame["events"].append("media_on_both_paths")
    if used and leg not in used:
        # from no link id to one is the change from multiway to one-to-one, not surely another way
        known = leg[1] is not None and all(link is not None for _, link in used)
        frame["events" if known or leg[0] not in [path for path, _ in used] else "may"].append("path_switch")
    if leg not in used:
        if "copy_of" not in frame:
            used.clear()
        used.add(leg)
    before = call.heard.get(sender)
    if before is not None and frame["time"] - before > MEDIA_GAP:
        frame["events"].append("media_gap")
    call.heard[sender] = frame["time"]


def _beginnings(cap, frame, call, sender):
    """The first RTP of each direction and medium, and a sender that stays alone."""
    medium = "video" if frame["rtp"]["pt"] in VIDEO else "audio"
    if frame["generation"] == "modern":     # many a sender, two directions
        sender = frame["src"][0] in cap.local
    first, count = call.media.get((sender, medium), (frame["time"], 0))
    call.media[sender, medium] = first, count + 1
    unsure = frame["call"] in cap.start_open and frame["generation"] == "legacy"
    if count == 0 and not unsure:
        frame["events"].append("first_media")
    elif count < AGREEING and unsure:
        frame["may"].append("first_media")
    began = min(t for (who, _), (t, _) in call.media.items() if who == sender)
    alone = all(who == sender for who, _ in call.media)
    if alone and frame["time"] - began >= ONE_WAY and not call.one_way:
        call.one_way = True
        frame["may" if unsure else "events"].append("one_way_media")


class _Checks:
    """Checks of direct pairs. A check is lost where the capture has no answer to it at all; one that is merely
    under way isn't."""

    def __init__(self, cap):
        self.answered = {frame["stun"]["txid"] for frame in cap.truth.values()
                         if (frame.get("stun") or {}).get("method") == "binding"
                         and frame["stun"]["class"] in ("success", "error")}
        self.pairs = {}

    def see(self, frame, stun, call):
        pair = self.pairs.setdefault((frame["call"], _ends(frame)), {"sent": [], "punched": False})
        if stun["class"] == "request":
            pair["sent"].append(stun["txid"])
            return
        if stun["class"] != "success":
            return
        if not call.direct_ready:
            call.direct_ready = True
            frame["events"].append("direct_ready")
        if not pair["punched"] and set(pair["sent"]) - self.answered:
            pair["punched"] = True
            frame["events"].append("hole_punched")
        elif not pair["punched"] and any(pair["sent"].count(txid) > 1 for txid in pair["sent"]):
            frame["may"].append("hole_punched")     # a copy with a stamp of its own was lost


def _at_the_end(cap, number, call):
    frames = [f for f in cap.truth.values() if f["call"] == number]
    last = max(f["time"] for f in cap.truth.values())
    if number in cap.start_open:
        for frame in frames:
            frame["may"].append("call_started")
    if call.last_bye and not call.bye_answered:
        last_bye = cap.truth[call.last_bye]
        if last - last_bye["time"] >= BYE_WAIT:
            last_bye["events"].append("bye_unanswered")
    end = max((f["time"] for f in frames if f["kind"] == "rtp"), default=0)
    for sender, heard in call.heard.items():
        if end - heard > MEDIA_GAP:     # a silence that nothing ended
            for frame in frames:
                if frame["time"] > heard and "media_gap" not in frame["events"]:
                    frame["may"].append("media_gap")
    if not call.ended:
        for frame in frames:
            frame["may"].append("call_ended")
    if not call.answered:
        for frame in frames:
            frame["may"].append("call_answered")
