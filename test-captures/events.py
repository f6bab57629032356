# SPDX-License-Identifier: GPL-2.0-or-later
"""Which events must stand on which frame, worked out from the truth about the frames.

An event is required (`events`) where the rule names one frame, and allowed (`may`) where the rule
leaves the frame open. The rules are an opinion of their own: they share nothing with the plugin.
"""

MEDIA_GAP = 2.0     # seconds without RTP of a sender; no capture has a silence between 1 and 3 seconds
BYE_ANSWER = 4.0    # seconds within which a BYE is answered: T2 of RFC 3261, by which it is sent again


class _Call:
    def __init__(self):
        self.username_seen = self.answered = self.ended = False
        self.legs, self.heard = {}, {}
        self.pairs_open, self.last_bye, self.bye_answered = set(), None, False
        self.invites, self.rang = set(), False


def _ends(frame):
    return frozenset((tuple(frame["src"]), tuple(frame["dst"])))


def tell(cap):
    """Fill in `events` and `may` of all frames of a Capture."""
    calls, channels, released = {}, {}, set()
    checks = {}     # direct pair: transaction ids of checks not answered so far
    for frame in cap.truth.values():
        call = None
        if frame["call"] is not None:
            first = frame["call"] not in calls
            call = calls.setdefault(frame["call"], _Call())
            if first:
                _first_packet(cap, frame)
        for name in _by_itself(frame):
            frame["events"].append(name)
        if "src" in frame:
            _relay(frame, channels, released)
        if call:
            _in_call(cap, frame, call, checks)
    for number, call in calls.items():
        _at_the_end(cap, number, call)


def _first_packet(cap, frame):
    if frame["call"] not in cap.start_open:
        frame["events"].append("call_started")
    if frame["call"] in cap.restarts:
        frame["events"].append("call_restarted")


def _by_itself(frame):
    """Events that the packet alone shows."""
    stun, sip = frame.get("stun") or {}, frame.get("sip") or {}
    if "http" in frame:
        yield "connectivity_check"
    if frame.get("reserved"):
        yield "reserved_allocation"
    if frame.get("error") == 437:
        yield "allocation_mismatch"
    if frame.get("lifetime") == 0:
        if stun["class"] == "request":
            yield "relay_released"
        else:
            frame["may"].append("relay_released")
    if frame.get("nominates"):
        yield "nominated"
    if "quotes" in frame:
        yield "peer_unreachable"
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


def _relay(frame, channels, released):
    """The state of channels and allocations on each client and server pair."""
    stun, ends = frame.get("stun") or {}, _ends(frame)
    if frame["kind"] == "turn":
        if stun["method"] == "allocate" and stun["class"] == "request" and "retransmission_of" not in frame:
            released.discard(ends)
            for key in [key for key in channels if key[0] == ends]:
                del channels[key]
        elif frame.get("lifetime") == 0 and stun["class"] == "request":
            released.add(ends)
        elif "binds" in frame:
            state = channels.setdefault((ends, frame["binds"]["channel"]), {"asked": set(), "answer": None})
            state["asked"].add(stun["txid"])
            if state["answer"] == "error" and "retransmission_of" not in frame:
                state["answer"] = None      # refused, and asked for anew
        elif stun["method"] == "channel-bind":
            for state in channels.values():
                if stun["txid"] in state["asked"] and state["answer"] != "success":
                    state["answer"] = stun["class"]
    elif frame.get("channel") and frame["generation"] == "legacy":
        state = channels.get((ends, frame["channel"]))
        if state and not state["answer"]:
            frame["events"].append("early_channel_data")
        if ends in released:
            frame["events"].append("released_channel_used")


def _in_call(cap, frame, call, checks):
    stun, sip = frame.get("stun") or {}, frame.get("sip") or {}
    if frame.get("legacy_username") and not call.username_seen:
        call.username_seen = True
        frame["events"].append("legacy_username")
    if sip:
        _dialog(frame, sip, call)
    if frame["kind"] == "rtp":
        _media(frame, call)
    if stun.get("method") == "binding" and frame["path"] == "direct":
        _hole(cap, frame, stun, checks)


def _dialog(frame, sip, call):
    asked = sip["method"] == "INVITE" and sip["status"] is None
    if asked and (sip["call_id"], sip["cseq"]) not in call.invites:
        call.invites.add((sip["call_id"], sip["cseq"]))
        frame["events"].append("invite")
    if sip["method"] == "INVITE" and sip["status"] == 180 and not call.rang:
        call.rang = True
        frame["events"].append("ringing")
    if sip["method"] == "INVITE" and sip["status"] == 200 and not call.answered:
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


def _media(frame, call):
    """Legs that a sender uses, copies, and silence."""
    sender, leg = frame["sender"], (frame["path"], frame.get("link"))
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


def _hole(cap, frame, stun, checks):
    """The first check answered on a direct pair where others had been sent in vain: the answer shows it."""
    pair = checks.setdefault(_ends(frame), {"vain": [], "open": True})
    if stun["class"] == "request" and stun["txid"] not in pair["vain"]:
        pair["vain"].append(stun["txid"])
    elif stun["class"] == "success" and pair["open"]:
        pair["open"] = False
        request = cap.truth[frame["response_to"]]
        if pair["vain"].index(stun["txid"]) > 0:
            frame["events"].append("hole_punched")
            request["may"].append("hole_punched")
        elif "retransmission_of" in request:
            request["may"].append("hole_punched")
            frame["may"].append("hole_punched")


def _goes_on(cap, number):
    """Whether the capture lasts until an answer to the BYE whose last copy this frame is would have come."""
    end, last = max(frame["time"] for frame in cap.truth.values()), cap.truth[number]
    first = cap.truth[last.get("retransmission_of", number)]
    return end - first["time"] >= BYE_ANSWER and end - last["time"] >= BYE_ANSWER / 2


def _at_the_end(cap, number, call):
    frames = [f for f in cap.truth.values() if f["call"] == number]
    if number in cap.start_open:
        for frame in frames:
            frame["may"].append("call_started")
    if call.last_bye and not call.bye_answered and _goes_on(cap, call.last_bye):
        cap.truth[call.last_bye]["events"].append("bye_unanswered")
        for frame in frames:
            if frame["number"] != call.last_bye and (frame.get("sip") or {}).get("method") == "BYE":
                frame["may"].append("bye_unanswered")
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
