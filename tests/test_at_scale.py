# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/at-scale.md: documents for OpenSearch, and captures in parts. No engine is run: documents are held against the mapping."""

import json
import os
import re
import subprocess
import sys

import pytest

import simulate
import support

OWN = ("baseband", "commnat", "facetime", "facetime_control", "facetime_link", "facetime_rtcp", "facetime_rtp",
       "facetime_sdp", "facetime_sip", "gamekit", "gkstun", "quickrelay", "snatmap")
STOCK = ("frame", "ip", "udp")

# What an engine's parser takes from a JSON value, by type of the mapping
TAKES = {"long": r"-?\d{1,18}", "double": r"-?\d+(\.\d+)?", "ip": r"[0-9.]+|[0-9a-f:]*:[0-9a-f:.]*", "boolean": "true|false",
         "date": r"\d{12,13}|\d{4}-\d\d-\d\dT[\d:.]+Z", "short": r"-?\d{1,5}", "integer": r"-?\d{1,10}", "byte": r"-?\d{1,3}",
         "keyword": r"(?s).{0,8191}"}


@pytest.fixture(scope="module")
def mapping(tshark, tmp_path_factory):
    """As the page makes it."""
    folder = tmp_path_factory.mktemp("mapping")
    (folder / "mapping").write_text(
        tshark.run("-G", "elastic-mapping", "--elastic-mapping-filter", ",".join(STOCK + OWN)).stdout)
    (folder / "fields").write_text(tshark.run("-G", "fields").stdout)
    done = subprocess.run([sys.executable, support.ROOT / "tools" / "elastic-mapping", folder / "mapping", folder / "fields"],
                          capture_output=True, text=True, check=True)
    layers = json.loads(done.stdout)["mappings"]["properties"]["layers"]["properties"]
    return {key: value["type"] for layer in layers.values() for key, value in layer["properties"].items()}


def documents(tshark, name):
    """The pairs of lines of a bulk request, taken apart and checked."""
    text = tshark.text(support.TEST_CAPTURES / f"{name}.pcapng", "-T", "ek", "-J", " ".join(OWN), filter="facetime")
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) % 2 == 0 and lines
    for action, document in zip(lines[::2], lines[1::2]):
        assert set(action) == {"index"} and action["index"]["_index"].startswith("packets-")
        assert re.fullmatch(TAKES["date"], document["timestamp"])
        yield document["layers"]


def values(layer):
    """(key, value) of all that isn't a container."""
    for key, value in layer.items():
        if isinstance(value, dict):
            yield from values(value)
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from values(one)
            else:
                yield key, one


def test_every_field_has_a_mapping(own_fields, mapping):
    known = {key.split("_", 1)[-1] for key in mapping} | set(mapping)
    missing = [name for name in own_fields if not any(f"{p}_{name.replace('.', '_')}" in known for p in OWN)]
    assert not missing, missing


@pytest.mark.parametrize("name", ["facetime-samenet", "modern-call", "apple-attributes", "nat-tests", "modern-link-tlvs",
                                  "modern-baseband", "sip-key-exchange", "media-gap"])
def test_documents_are_taken(tshark, mapping, name):
    wrong, own = [], 0
    for layers in documents(tshark, name):
        for layer, content in layers.items():
            if layer not in OWN or not isinstance(content, (dict, list)):
                continue
            for part in content if isinstance(content, list) else [content]:
                for key, value in values(part):
                    if key in ("filtered", "text") or key.startswith("_ws_expert"):
                        continue        # labels and experts, not fields: no engine indexes them, _source has them
                    own += 1
                    text = json.dumps(value) if isinstance(value, bool) else str(value)
                    if key not in mapping:
                        wrong.append(f"{key}: no mapping")
                    elif value is not None and not re.fullmatch(TAKES[mapping[key]], text):
                        wrong.append(f"{key}: {mapping[key]} doesn't take {text}")
    assert own > 20 and not wrong, sorted(set(wrong))[:30]


# Parts

@pytest.fixture(scope="module")
def split(tshark, program):
    """split(capture, packets) -> the parts."""
    def run(capture, size, name):
        folder = support.stage() / f"parts-{name}-{size}"
        subprocess.run([support.ROOT / "tools" / "split-calls", tshark._readable(capture), folder, str(size)], check=True,
                       env={**os.environ, "TSHARK": str(program)}, capture_output=True)
        for part in folder.iterdir():
            part.chmod(0o644)
        folder.chmod(0o755)
        return sorted(folder.iterdir())
    return run


def calls(tshark, capture):
    """What the calls are, without what counts from the file's start: numbers, frames, times."""
    found = json.loads(tshark.text(capture, "-q", "-z", "facetime,calls,json"))
    keys = ("generation", "local", "remote", "offer_from", "state", "end", "packets")
    return [[call.get(key) for key in keys] + [round(call["duration"], 3), sum(s["packets"] for s in call["streams"])]
            for call in found]


def test_parts_have_the_calls_of_the_whole(tshark, split):
    capture = support.TEST_CAPTURES / "calls-in-sequence.pcapng"
    parts = split(capture, 1, "sequence")
    whole = calls(tshark, capture)
    assert len(whole) == 3
    assert [row for part in parts for row in calls(tshark, part)] == whole
    assert len([part for part in parts if calls(tshark, part)]) == 3


def test_calls_at_the_same_time_stay_together(tshark, split):
    capture = support.TEST_CAPTURES / "two-calls-one-relay.pcapng"
    parts = split(capture, 1, "two")
    with_calls = [calls(tshark, part) for part in parts]
    assert calls(tshark, capture) in with_calls and len(calls(tshark, capture)) == 2


def test_what_led_to_a_call_stays_with_it(tshark, split):
    """The NAT tests and the HTTP check come before the first packet that opens the call."""
    capture = support.TEST_CAPTURES / "facetime-caller.pcapng"
    calls_of = [row["facetime.call"] for row in tshark.rows(capture, "facetime.call", filter="facetime", two_pass=True)]
    parts = [part for part in split(capture, 1, "caller") if tshark.frames(part, "facetime")]
    assert calls_of and all(calls_of), "all of it is of the call"
    assert [len(tshark.frames(part, "facetime")) for part in parts] == [len(calls_of)]


@pytest.mark.skipif("FACETIME_PRELOAD" in os.environ, reason="a plugin with sanitizers needs their runtimes")
def test_parts_with_the_fresh_build(tshark):
    """Like its siblings: nothing is installed and no tshark named, the build folder has the plugin."""
    folder = support.stage() / "parts-fresh"
    environment = {key: value for key, value in os.environ.items() if key not in ("TSHARK", "WIRESHARK_PLUGIN_DIR")}
    subprocess.run([support.ROOT / "tools/split-calls", support.TEST_CAPTURES / "calls-in-sequence.pcapng", folder, "1"],
                   check=True, capture_output=True, env={**environment, "BUILD_DIR": str(support.PLUGIN.parent)})
    assert len([part for part in sorted(folder.iterdir()) if calls(tshark, part)]) == 3


@pytest.mark.parametrize("capture, size, words", [
    ("facetime-caller.pcapng", "many", "is no number of packets"),
    ("facetime-caller.pcapng", "0", "is no number of packets"),
    ("nonexistent.pcapng", "1", "Cannot read"),
])
def test_no_parts_are_no_success(capture, size, words, program, tmp_path):
    done = subprocess.run([support.ROOT / "tools/split-calls", support.TEST_CAPTURES / capture, tmp_path, size],
                          env={**os.environ, "TSHARK": str(program)}, capture_output=True, text=True)
    assert done.returncode != 0 and words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other, words", [("stock", "facetime.call"), ("nonexistent", "No such file")])
def test_a_tshark_that_does_not_know_calls_is_no_success(other, words, stock, tmp_path):
    which = stock.program if other == "stock" else "/nonexistent/tshark"
    done = subprocess.run([support.ROOT / "tools/split-calls", support.TEST_CAPTURES / "facetime-caller.pcapng", tmp_path],
                          env={**stock.environment, "TSHARK": which}, capture_output=True, text=True)
    assert done.returncode != 0 and words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_merged_parts_are_the_whole(tshark, split):
    capture = support.TEST_CAPTURES / "calls-in-sequence.pcapng"
    merged = support.stage() / "merged.pcapng"
    subprocess.run(["mergecap", "-w", merged, *split(capture, 1, "sequence")], check=True)
    merged.chmod(0o644)
    assert calls(tshark, merged) == calls(tshark, capture)
    assert tshark.values(merged, "facetime.kind") == tshark.values(capture, "facetime.kind")


@pytest.mark.parametrize("shown_by", ["10.1.0.71", "203.0.113.71"])
def test_a_file_that_begins_with_the_peers_check(tshark, monkeypatch, shown_by):
    """While the relay carries the media: its client is the device, whatever the addresses are, and no packet is its copy."""
    real = simulate.Place

    def place(end, port):
        made = real(end, port)
        made.host = (shown_by, port) if end == "A" else made.host
        made.public = ("100.65.0.71" if shown_by.startswith("10.") else "198.51.100.71", port) if end == "B" else made.public
        return made
    monkeypatch.setattr(simulate, "Place", place)
    call = simulate.Call(simulate.Plan(seed=71, seconds=3.6, media_at=.6, goes_on=.5, paths=((0, "relay"), (2, "direct"))))
    capture = simulate.Capture([call])
    whole = support.write_capture(capture.write())
    last = max(n for n, r in enumerate(capture.records) if r.packet and r.path == "relay")
    checks = [n for n, r in enumerate(capture.records[:last]) if r.src == call.places["B"].public and not r.packet]
    assert checks
    for first in checks[::max(1, len(checks) // 3)]:
        part = support.part_of(whole, first + 1, len(capture.records))
        one, = json.loads(tshark.text(part, "-q", "-z", "facetime,calls,json"))
        assert one["local"].startswith(shown_by) and {pair["local"] for pair in one["pairs"]} <= {one["local"]}
        media = {(r.packet, r.outgoing) for r in capture.records[first:] if r.packet}
        assert {way: sum(s["packets"] for s in one["streams"] if s["direction"] == way) for way in ("out", "in")} == {
            way: len([1 for _, outgoing in media if outgoing == (way == "out")]) for way in ("out", "in")}
