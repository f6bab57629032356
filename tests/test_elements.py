# SPDX-License-Identifier: GPL-2.0-or-later
"""Every packet of every datagram of two captures, field by field against what the generator wrote: its place in the
datagram, its head, its RTP, trailer, control or link message. What it doesn't have must not be shown either."""

import collections

import pytest

import generate
import support
from scenario import elements_of

NAMES = ["modern-chained", "modern-2026"]

HEAD = ["quickrelay." + name for name in (
    "channel", "length", "chain", "flags1", "flags2", "attr", "stream", "secondary_stream", "participant", "base_stream",
    "priority", "transition_stream.count", "transition_stream", "probe_group", "session_version", "packet_length", "counter",
    "stats.echoed_counter", "stats.clock", "stats.hold", "stats.received", "stats.sent", "stats.bandwidth", "link",
    "secondary_link", "state", "body", "undecided", "trailing")]
BODY = ["facetime_rtp." + name for name in (
    "short_mki", "short_mki.roll", "short_mki.ratchet", "rollover", "auth_tag", "mki", "mki.participant", "mki.end",
    "ext.version", "audio.send_timestamp", "video.ltr_timestamp", "video.packets_in_frame", "video.frame_sequence",
    "video.probe")] + ["facetime_control.key_id", "facetime_control.counter", "facetime_link.command", "facetime_link.tlv.type"]
RTP = {"rtp.ssrc": "ssrc", "rtp.seq": "seq", "rtp.timestamp": "ts", "rtp.p_type": "pt", "rtp.marker": "marker"}
LAYERS = {"rtp": "rtp", "facetime_control": "control", "facetime_link": "link"}    # what begins with a layer of its own
PAYLOAD = ("rtp.payload", "srtp.enc_payload")
RATCHET = "facetime_rtp.ratchet_changed"
TOLD = {*HEAD, *BODY, *RTP, RATCHET}
BYTES = {"quickrelay.participant", "quickrelay.body", "quickrelay.undecided", "quickrelay.trailing", "facetime_rtp.auth_tag",
         "facetime_rtp.mki.participant", "facetime_control.key_id"}


def value_of(field):
    """As the generator writes it: a number, or text: of bytes, hexadecimal digits."""
    shown, name = field.get("show"), field.get("name")
    if name in BYTES:
        return shown.replace(":", "")
    if name == "facetime_rtp.mki":
        return shown
    return int(shown in ("1", "True")) if name == "rtp.marker" else int(shown, 0)


def fields_below(nodes, but=()):
    """{field: values} of these nodes of PDML and all below them, but for what is below some."""
    found = collections.defaultdict(list)
    for node in nodes:
        if node in but:
            continue
        name = node.get("name")
        if name in TOLD:
            found[name].append(True if name == RATCHET else value_of(node))
        elif name in PAYLOAD:
            found["payload"].append(int(node.get("size")))
        for more, values in fields_below(node, but).items():
            found[more] += values
    return dict(found)


def elements_told(packet):
    """[(kind, fields)] of a packet in PDML. Of a relay's datagram: heads are below its header's layer, bodies are layers
    behind it in the same order; a body without a layer of its own is the last one's, if any."""
    layers = [layer for layer in packet if layer.get("name") in (*LAYERS, "facetime_rtp", "quickrelay")]
    heads = []
    for layer in layers:
        if layer.get("name") == "quickrelay":
            others = layer.findall("field[@name='quickrelay.chained']")
            heads = [fields_below([layer], others)] + [fields_below([other]) for other in others]
    bodies = []
    for layer in layers:
        if layer.get("name") in LAYERS:
            bodies.append((LAYERS[layer.get("name")], fields_below([layer])))
        elif layer.get("name") == "facetime_rtp":
            bodies[-1][1].update(fields_below([layer]))
    if not heads:
        return bodies
    bodies += [(None, {})] * (len(heads) - len(bodies))
    assert len(bodies) == len(heads), packet
    return [(kind, {**head, **body}) for head, (kind, body) in zip(heads, bodies)]


def element_written(element):
    kind = element["kind"] if element["kind"] in LAYERS.values() else None
    fields = {name: values for name, values in element.get("fields", {}).items() if name in TOLD and values}
    for name, key in RTP.items():
        if "rtp" in element:
            fields[name] = [int(element["rtp"][key])]
    if "payload" in element:
        fields["payload"] = [element["payload"]]
    if element.get("ratchet_changed"):
        fields[RATCHET] = [True]
    return kind, fields


@pytest.fixture(scope="module")
def packets(tshark):
    """packets(name, two_pass): [(truth, [(kind, fields)])] of what a relay carries, or goes straight, of media and messages."""
    def read(name, two_pass):
        truth = generate.build(name).truth
        found = tshark.pdml(support.TEST_CAPTURES / generate.file_name(name), two_pass=two_pass)
        assert len(found) == len(truth)
        return [(frame, elements_told(packet)) for frame, packet in zip(truth.values(), found)
                if frame["kind"] in ("rtp", "control", "link", "hbh", "quickrelay") and "indication" not in frame]
    return read


@pytest.mark.parametrize("two_pass", [False, True], ids=["one pass", "two passes"])
@pytest.mark.parametrize("name", NAMES)
def test_every_element(packets, name, two_pass):
    checked = 0
    for frame, told in packets(name, two_pass):
        written = [element_written(element) for element in elements_of(frame)]
        assert told == written, f"frame {frame['number']}"
        checked += len(written)
    assert checked > len(elements_of(frame))


def test_the_call_of_2026_has_all_of_it():
    """Of what has been published: each trailer, each kind of head, a key that steps once in each of a sender's streams."""
    elements = [(frame, element) for frame in generate.build("modern-2026").truth.values() for element in elements_of(frame)]
    fields = collections.Counter(name for _, element in elements for name in element.get("fields", {}))
    assert all(fields[name] for name in ("facetime_rtp.auth_tag", "facetime_rtp.mki.participant", "quickrelay.base_stream",
                                         "quickrelay.transition_stream.count", "quickrelay.packet_length"))
    places = {(frame["path"], len(element["fields"]["facetime_rtp.auth_tag"][0]) // 2) for frame, element in elements
              if "facetime_rtp.rollover" in element.get("fields", {})}
    assert places == {("relay", 4), ("relay", 10), ("direct", 4), ("direct", 10)}
    assert sum("ratchet_changed" in element for _, element in elements) == 2
    assert {len(frame["elements"]) for frame, _ in elements if "elements" in frame} == {2, 3, 4}
