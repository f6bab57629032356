# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark -z facetime,packets: a line a packet, whose values are those of the packet's fields; and lean reading, which leaves
out what no report needs."""

import functools
import json
import re
import subprocess
import sys

import jsonschema
import pytest

import support

SCHEMA = json.loads((support.ROOT / "docs/packets.schema.json").read_text())
VALID = jsonschema.Draft7Validator(SCHEMA["items"], format_checker=jsonschema.FormatChecker())
COLUMNS = list(SCHEMA["items"]["properties"])[1:]
KINDS = dict(enumerate(SCHEMA["items"]["properties"]["kind"]["enum"], 1))
GENERATIONS, PATHS = {1: "legacy", 2: "modern", 3: "ichat"}, {1: "relay", 2: "direct", 3: "server"}
SMALL = [parameter for parameter in support.captures_together() if isinstance(parameter.values[0], tuple)]
# Both ways of a legacy call, a modern one, several packets a datagram, losses, indications, IPv6, ICMP
NAMES = ("facetime-samenet-nop2p", "modern-call", "modern-chained", "loss-reorder-duplicates", "ipv6",
         "send-data-indications", "peer-unreachable", "gamekit-then-call", "vlan")
FIELDS = ("frame.number", "frame.time_epoch", "facetime.kind", "facetime.generation", "facetime.path", "facetime.call",
          "ip.src", "ipv6.src", "udp.srcport", "tcp.srcport", "tcp.dstport", "ip.dst", "ipv6.dst", "udp.dstport", "facetime.peer.ipv4", "facetime.peer.ipv6",
          "facetime.peer.port", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker", "facetime_rtp.codec",
          "udp.length", "icmp.type", "icmpv6.type", "facetime.lost_before", "facetime.event", "quickrelay.link", "facetime.seen_before")


def told(lines):
    """The documents of a bulk request, each checked against the schema."""
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(documents) % 2 == 0
    for action, document in zip(documents[::2], documents[1::2]):
        VALID.validate(document)
        day = document["timestamp"][:10]
        assert action == {"index": {"_index": f"facetime-packets-{day}"}}
        yield document


def as_document(row):
    """A row of the table as the document that it must be."""
    document = {"schema": 1}
    for name, value in zip(COLUMNS, row.split("\t"), strict=True):
        if value:
            kind = SCHEMA["items"]["properties"][name].get("type", "string")
            document[name] = {"integer": int, "boolean": lambda v: v == "1", "array": lambda v: v.split(",")}.get(kind, str)(value)
    return document


@functools.lru_cache(maxsize=None)
def start(tshark, name, snap=None, two_pass=False):
    """(fields of each packet of FaceTime's, documents, rows) of one run that is asked for all of them."""
    capture = support.TEST_CAPTURES / f"{name}.pcapng"
    if snap:
        capture = support.cut_to(capture, snap)
    args = ["-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e"]
    args += [word for field in FIELDS for word in ("-e", field)]
    text = tshark.text(capture, "-z", "facetime,packets", "-z", "facetime,packets,json", *args, two_pass=two_pass)
    lines = text.split("\n")[:-1]
    fields = [dict(zip(FIELDS, ([v for v in value.split("\x1e") if v] for value in line.split("\x1f")), strict=True))
              for line in lines if "\x1f" in line]
    rows = [line for line in lines if line.count("\t") == len(COLUMNS) - 1]
    assert rows[0].split("\t") == COLUMNS
    return [row for row in fields if row["facetime.kind"] or row["facetime.path"] or row["facetime.event"]], \
        list(told(lines)), rows[1:]


def by_frame(documents):
    found = {}
    for document in documents:
        found.setdefault(document["frame"], []).append(document)
    return found


def values(documents, name):
    return [document[name] for document in documents if name in document]


def compare(fields, documents, is_whole):
    """What the fields of one frame and its lines say."""
    first = documents[0]

    def number(name):
        return [["False", "True"].index(v) if v in ("False", "True") else int(v, 0) for v in fields[name]]

    assert first["timestamp"].endswith(fields["frame.time_epoch"][0].split(".")[1] + "Z")
    assert first.get("kind") == (KINDS[number("facetime.kind")[0]] if fields["facetime.kind"] else None) or len(documents) > 1
    assert first.get("generation") == (GENERATIONS[number("facetime.generation")[0]] if fields["facetime.generation"] else None)
    assert first.get("path") == (PATHS[number("facetime.path")[0]] if fields["facetime.path"] else None)
    assert values(documents[:1], "call") == number("facetime.call")
    assert first["source"] in fields["ip.src"] + fields["ipv6.src"]
    assert first["destination"] in fields["ip.dst"] + fields["ipv6.dst"]
    if fields["icmp.type"] or fields["icmpv6.type"]:       # the ports are of what it quotes
        assert "source_port" not in first and "destination_port" not in first
    else:
        assert first["source_port"] in number("udp.srcport") + number("tcp.srcport")
        assert first["destination_port"] in number("udp.dstport") + number("tcp.dstport")
    assert values(documents[:1], "peer") == fields["facetime.peer.ipv4"] + fields["facetime.peer.ipv6"]
    assert values(documents[:1], "peer_port") == number("facetime.peer.port")
    assert values(documents, "codec") == fields["facetime_rtp.codec"]
    for name, field in (("ssrc", "rtp.ssrc"), ("sequence", "rtp.seq"), ("rtp_timestamp", "rtp.timestamp"),
                        ("payload_type", "rtp.p_type"), ("marker", "rtp.marker")):
        here, there = values(documents, name), number(field)
        assert here == there or (not is_whole and not there), name     # stock RTP gives up where the header is cut
    assert values(documents, "lost_before") == number("facetime.lost_before")
    assert [event for one in values(documents, "events") for event in one] == fields["facetime.event"]
    assert values(documents, "link") == number("quickrelay.link")
    assert set(values(documents, "seen_before")) == set(number("facetime.seen_before"))
    if len(documents) == 1:
        assert first.get("bytes", 0) + 8 in [*number("udp.length"), 8]      # none of an HTTP check
    else:
        assert sum(values(documents, "bytes")) + 8 <= max(number("udp.length"))
        assert values(documents, "chain") == (list(range(len(documents))) if len(documents) > 1 else [])


@pytest.mark.parametrize("name, snap", [*((name, None) for name in NAMES), ("modern-call", 96), ("facetime-samenet-nop2p", 60)])
def test_lines_say_what_fields_say(tshark, name, snap):
    fields, documents, rows = start(tshark, name, snap)
    lines = by_frame(documents)
    assert list(lines) == [int(row["frame.number"][0]) for row in fields] and lines
    for row in fields:
        compare(row, lines[int(row["frame.number"][0])], snap is None)
    assert [as_document(row) for row in rows] == documents


def test_call_keys_are_keys_of_the_call(tshark):
    capture = support.TEST_CAPTURES / "facetime-samenet-nop2p.pcapng"
    call, = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    keys = values(start(tshark, "facetime-samenet-nop2p")[1], "call_key")
    assert set(keys) <= set(call["keys"]) and keys[-1] == call["call_key"]


@pytest.mark.parametrize("name", ["facetime-samenet-nop2p", "modern-chained"])
def test_passes_agree(tshark, name):
    """But for what is known by hindsight."""
    def without(documents):
        return [{key: value for key, value in document.items() if key != "events"} for document in documents]
    assert without(start(tshark, name, two_pass=True)[1]) == without(start(tshark, name)[1])


def test_nothing_else_is_printed(tshark):
    """And a filter leaves its packets."""
    capture = support.TEST_CAPTURES / "facetime-samenet-nop2p.pcapng"
    _, documents, rows = start(tshark, "facetime-samenet-nop2p")
    assert tshark.lines(capture, "-q", "-z", "facetime,packets") == ["\t".join(COLUMNS), *rows]
    sip = list(told(tshark.lines(capture, "-q", "-z", "facetime,packets,json,sip")))
    assert sip == [document for document in documents if document.get("kind") == "sip"] and sip
    assert tshark.lines(capture, "-q", "-z", "facetime,packets,dns") == ["\t".join(COLUMNS)]


@pytest.mark.parametrize("captures", SMALL)
def test_documents_keep_to_the_schema(tshark, captures):
    capture = support.one_after_the_other(captures)
    documents = list(told(tshark.lines(capture, "-q", "-z", "facetime,packets,json")))
    assert documents
    frames = [document["frame"] for document in documents]
    assert frames == sorted(frames)


def test_search_engines_get_a_mapping_of_packets():
    done = subprocess.run([sys.executable, support.ROOT / "tools/elastic-mapping", "--records",
                           support.ROOT / "docs/packets.schema.json"], capture_output=True, text=True, check=True)
    properties = json.loads(done.stdout)["mappings"]["properties"]
    assert list(properties) == list(SCHEMA["items"]["properties"])
    assert properties["timestamp"] == {"type": "date"} and properties["source"] == {"type": "ip"}
    assert properties["ssrc"] == {"type": "long"} and properties["marker"] == {"type": "boolean"}
    assert properties["events"]["type"] == properties["call_key"]["type"] == properties["kind"]["type"] == "keyword"


# ---- lean ----

REPORTS = [f"facetime,{report}{json}" for report in ("calls", "streams", "pairs", "timeline") for json in ("", ",json")]


def blocks(text):
    """Reports draw in no order that is promised."""
    return sorted(re.split(r"\n(?=\n|\[)", text))


@pytest.mark.parametrize("captures", SMALL)
def test_lean_reports_are_the_same(tshark, captures):
    capture = support.one_after_the_other(captures)
    whole = tshark.text(capture, "-q", *(word for report in REPORTS for word in ("-z", report)))
    lean = tshark.text(capture, "-q", *(word for report in REPORTS for word in ("-z", f"{report},lean")))
    assert blocks(lean) == blocks(whole)


def test_lean_changes_nothing_that_is_seen(tshark):
    """Packets that are printed have stock's part, and so have stock's own statistics and a second pass."""
    capture = support.TEST_CAPTURES / "facetime-samenet-nop2p.pcapng"
    for args in (("-q", "-z", "rtp,streams"), ("-2", "-Y", "rtp.setup-frame")):
        lean, plain = (tshark.text(capture, *args, "-z", f"facetime,calls{word}") for word in (",lean", ""))
        assert blocks(lean) == blocks(plain)
        assert "RTP" in plain
