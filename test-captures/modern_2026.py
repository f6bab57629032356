# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of 2026, as it has been published: short trailers, several packets in a datagram, keys that step. All invented;
what no source tells of (how often which head comes, what becomes of SSRCs) is as in 2023."""

from modern_corners import (MY_LINK, PEER_LINK, Phone, announce_links, capture, find_direct_path, open_session, relay_error)
from wire import modern
from wire.modern import ATTR_10, ATTR_HBH, ATTR_LINK_MESSAGE, count_head, full_head, stream_head

SCENES = {}

# which of its packets, audio and video, brings the roll-over counter: on the relay, and on the direct path
ROLLOVER_AT = {"client": (18, 10), "peer": (22, 60)}


class Phone2026(Phone):
    """Its key id names it, and steps; media have its first two bytes, or in one packet all of it."""

    def __init__(self, cap, name):
        super().__init__(cap, name)
        self.identity = cap.random(8)       # what a key id names; the relay's headers have a pseudonym
        self.ratchet, self.whole, self.rolled = 0, False, {}
        self.mki = modern.new_named_mki(self.identity)
        self.audio_ssrc, self.video_ssrc = self.audio_ssrc | 0x1000, self.video_ssrc | 0x1000   # no count looks like that
        self.audio_seq, self.video_seq = ((seq & ~0x7F | 0x80) - at for seq, at in
                                          zip((self.audio_seq, self.video_seq), ROLLOVER_AT[name]))
        self.keys = {}                      # is it video: the key id of the last packet

    def step(self):
        self.ratchet += 1
        self.mki = modern.new_named_mki(self.identity, ratchet=self.ratchet)

    def trailer(self, is_video, one_to_one):
        if self.whole:
            return modern.named_trailer(self.mki)
        if not one_to_one:
            return modern.group_trailer(self.mki)
        seq = self.video_seq if is_video else self.audio_seq
        if seq & 0x7F == 0:
            self.rolled[is_video] = True
        return modern.tagged_trailer(self.mki, seq, 3, self.cap.random(modern.VIDEO_TAG if is_video else modern.AUDIO_TAG))

    def _told(self, wire, is_video):
        before, self.keys[is_video] = self.keys.get(is_video), self.mki
        return wire.knowing(ratchet_changed=True) if before not in (None, self.mki) else wire

    def audio(self, *args, **extension):
        return self._told(super().audio(*args, **extension), False)

    def video(self, *args, **extension):
        for wire in super().video(*args, **extension):
            yield self._told(wire, True)

    def picture(self, payload_type=modern.HEVC, **extension):
        """A frame of one packet, for a group."""
        return next(self.video(1, payload_type, one_to_one=False, **extension))


def group_media(stage):
    """A packet of each medium each way, alone: up with a stream id, down with the sender's participant too."""
    for phone, send, extra in ((stage.me, stage.up, {}), (stage.peer, stage.down, {"participant": stage.peer.participant})):
        send(phone.audio(), stream=phone.audio_ssrc & 0xFFFF, priority=127, count=True, **extra)
        send(phone.picture(), stream=phone.video_ssrc & 0xFFFF, streams=[0x69CD], priority=1, count=True, **extra)


def heads(who, video_stream):
    """What a further packet may have in front of it, each but for the body's own stream."""
    return {
        "flags, base layer": full_head(attr=ATTR_10, base_stream=0x202C, participant=who, opt_out=True),
        "flags, base layer, counted": full_head(1, attr=ATTR_10, base_stream=0x202C, participant=who, opt_out=True, count=True),
        "flags, streams": full_head(1, stream=video_stream, streams=[0xC6A0, 0xCB94], participant=who, count=True),
        "flags, a priority's bit": full_head(stream=video_stream, participant=who, priority=1, count=True),
        "flags, a priority's bit alone": full_head(no_priority=True, participant=who),
        "stream, priority": stream_head(video_stream, 1), "stream": stream_head(video_stream),
        "count, priority": count_head([0xCD62, 0xDE0D, 0x501F], 1),
        "count": count_head([0xE47C, 0x3C3A, 0x4256, 0x06B7, 0xE47D]), "count of none": count_head([], 127),
    }


def chains(stage):
    """Each head in a datagram's middle and at its end; then two, four packets, messages among them, and one upward."""
    cap, me, peer = stage.cap, stage.me, stage.peer
    who, audio_stream = peer.participant, peer.audio_ssrc & 0xFFFF
    kinds = heads(who, peer.video_ssrc & 0xFFFF)

    def chain(first, *others, mark, **given):
        cap.run(0.01)
        cap.udp(stage.far, stage.near, modern.chain(first, *others, **given), path="relay", call=1, sender=peer.name)
        cap.mark(f"chain: {mark}")
    audio = {"stream": audio_stream, "participant": who, "priority": 127, "count": True}
    for (middle, head), last in zip(kinds.items(), [*list(kinds)[1:], "flags, base layer"]):
        chain(peer.audio(), (peer.picture(modern.H264), head), (peer.picture(), kinds[last]), mark=middle, **audio)
    chain(peer.audio(), (peer.picture(), stream_head(peer.video_ssrc & 0xFFFF, 1)), mark="two", **audio)
    chain(peer.audio(), (peer.picture(), kinds["stream"]), (peer.picture(), kinds["count"]), (peer.audio(), stream_head(audio_stream)),
          mark="four", **audio)
    chain(peer.audio(), (peer.control(), count_head([])), (peer.picture(), kinds["stream, priority"]), mark="control within", **audio)
    chain(peer.control(), (peer.control(14), count_head([])), mark="control alone", participant=who)
    asked = modern.link_message(modern.INTERFACE_INFO, [modern.counter(8)], cap.random(20))
    chain(asked, (peer.picture(), kinds["stream"]), mark="link message first", attr=ATTR_LINK_MESSAGE | ATTR_10, participant=who)
    cap.run(0.01)
    mine = me.audio_ssrc & 0xFFFF
    cap.udp(stage.near, stage.far, modern.chain(me.audio(), (me.picture(), stream_head(me.video_ssrc & 0xFFFF, 1)), (
        me.control(), stream_head(mine)), stream=mine, priority=127, count=True), path="relay", call=1, sender=me.name)
    cap.mark("chain: upward")


def one_to_one(stage, priority):
    """Audio and a frame each way, between links. priority: what header brings it."""
    for phone, send, extra in ((stage.me, stage.up, {}), (stage.peer, stage.down, {"participant": stage.peer.participant})):
        for wire in (phone.audio(send_timestamp=stage.cap.now * 1024 // 1_000_000 & 0xFFFF), *phone.video()):
            send(wire, link=PEER_LINK, count=True, opt_out=True, **priority, **extra)


def straight(stage):
    for phone, incoming in ((stage.me, False), (stage.peer, True)):
        for wire in (phone.audio(send_timestamp=stage.cap.now * 1024 // 1_000_000 & 0xFFFF), *phone.video()):
            stage.straight(wire, incoming)


@capture("modern-2026", "A one-to-one call of 2026: group media with several packets in a datagram, links, one-to-one media, "
         "a key that steps, then direct.", day=(2026, 8, 3), phones=Phone2026, into=SCENES)
def modern_call_of_2026(stage):
    cap, me, peer = stage.cap, stage.me, stage.peer
    open_session(stage)
    for _ in range(2):
        group_media(stage)
    stage.up(me.control(), count=True)
    stage.down(peer.control(), participant=peer.participant)
    chains(stage)

    # one packet after the other again: streams behind the header, and all of the key id
    ids = [0xCCEE, 0x62BB, 0x9DCF, 0xC69A, 0xC69B, 0xC69C, 0xC69D, 0xC69E]
    stream = {"stream": peer.video_ssrc & 0xFFFF, "participant": peer.participant, "count": True}
    stage.down(peer.picture(), **stream, transition_count=2, transition_streams=ids[:3])
    cap.mark("transition streams, counted")
    stage.down(peer.picture(), **stream, transition_streams=ids)
    cap.mark("transition streams, eight")
    me.whole = True
    stage.up(me.audio(), stream=me.audio_ssrc & 0xFFFF, priority=127, count=True)
    cap.mark("whole key id")
    me.whole = False
    stage.up(modern.hop_by_hop(cap.random(12), cap.random(16), cap.random(16)), attr=ATTR_HBH, link=MY_LINK)
    announce_links(stage)

    for _ in range(4):
        one_to_one(stage, {"priority": 1})
    for _ in range(2):
        one_to_one(stage, {"no_priority": True})
    stage.down(peer.control(), link=PEER_LINK, priority=1, participant=peer.participant)
    cap.mark("control message of the first key")
    peer.step()
    cap.mark("ratchet", cap.next_frame + 3)     # the peer's first packet of the next round
    for _ in range(4):
        one_to_one(stage, {"priority": 1})
    stage.down(peer.control(), link=PEER_LINK, priority=1, participant=peer.participant)
    cap.mark("control message of the second key")

    mine, theirs = modern.new_mki(cap.rng), modern.new_mki(cap.rng)     # ids of links are random as those keys were
    find_direct_path(stage, mine, theirs)
    for _ in range(6):
        straight(stage)
    stage.straight(me.control())
    stage.straight(peer.control(), incoming=True)
    if any(phone.rolled != {False: True, True: True} for phone in (me, peer)):
        raise ValueError("no roll-over counter in one of the streams")
    cap.run(0.2)
    relay_error(stage, 600, "Idle Client")
