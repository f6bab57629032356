# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin as Wireshark sees it: what it registers, and that it loads without a word."""

import collections
import re

import pytest

import support
import generate     # of test-captures/, by way of support

# Meanings that no published text or count proves: each blurb says so.
INFERRED = [
    "gkstun.unknown_8002",
    "gkstun.link_flags",
    "gkstun.data_so",
    "quickrelay.stats.bandwidth",
    "baseband.radio",
    "facetime_rtp.video.ltr_timestamp",
]


def rows_of_plugin(tshark, own_protocols):
    """Lines of -G fields (F, label, name, type, parent, base, mask, blurb) whose protocol is ours."""
    return [row for row in tshark.glossary("fields") if row[0] == "F" and row[4] in own_protocols]


def test_listed_with_its_version(tshark):
    project = re.search(r"project\(facetime VERSION ([0-9.]+)", (support.ROOT / "CMakeLists.txt").read_text())
    rows = [[cell.strip() for cell in row] for row in tshark.glossary("plugins")]
    ours = [row for row in rows if row[0] == "facetime.so"]
    assert [row[1:3] for row in ours] == [[project[1], "dissector"]]


def test_stock_runs_without_it(stock):
    assert not [row for row in stock.glossary("plugins") if row[0].startswith("facetime")]
    assert not [name for name in stock.protocols if name.startswith("facetime")]


def test_protocols(own_protocols):
    assert {"facetime", "gkstun", "snatmap", "commnat", "facetime_sip", "facetime_sdp", "quickrelay",
            "facetime_link", "facetime_control", "facetime_rtp", "baseband"} <= set(own_protocols)


def test_every_field_belongs_to_a_protocol_of_ours(own_fields, own_protocols):
    strays = [name for name in own_fields if name.split(".")[0] not in own_protocols]
    assert not strays


def test_no_protocol_of_stock_gets_fields(tshark, stock, own_protocols):
    def of_stock(program):
        return {tuple(row) for row in program.glossary("fields")
                if row[0] == "F" and row[4] not in own_protocols}
    assert of_stock(tshark) == of_stock(stock)


def test_names_are_registered_once(tshark, own_protocols):
    names = collections.Counter(row[2] for row in rows_of_plugin(tshark, own_protocols))
    assert not [name for name, times in names.items() if times > 1]


def test_every_field_has_a_label_and_a_blurb(tshark, own_protocols):
    """Expert infos (FT_NONE) have no blurb: their label is all their text."""
    bare = [row[2] for row in rows_of_plugin(tshark, own_protocols)
            if not row[1].strip() or row[3] != "FT_NONE" and not row[7].strip()]
    assert not bare


def test_a_blurb_is_more_than_its_label(tshark, own_protocols):
    same = [row[2] for row in rows_of_plugin(tshark, own_protocols)
            if row[3] != "FT_NONE" and row[7].strip().lower() == row[1].strip().lower()]
    assert not same


@pytest.mark.parametrize("name", INFERRED)
def test_inferred_meanings_say_so(name, tshark, own_protocols):
    blurbs = {row[2]: row[7] for row in rows_of_plugin(tshark, own_protocols)}
    assert re.search(r"inferred|unknown|not known|guess|probably|presumably", blurbs[name], re.IGNORECASE)


@pytest.mark.ports
def test_port_range(tshark, make_capture):
    """Registered by default, and a preference that takes ranges."""
    decodes = tshark.glossary("decodes")
    ports = {int(row[1]) for row in decodes if (row[0], row[2]) == ("udp.port", "facetime.port")}
    assert ports == set(range(16384, 16404))
    request = bytes.fromhex("000000012f3173750a7f16764012aaaa")
    capture = make_capture([support.Datagram("10.127.22.118", 16402, "17.188.181.8", 3480, request)])
    assert tshark.count(capture, "snatmap") == 1
    assert tshark.count(capture, "udp", prefs={"facetime.udp.port": "16402,5000"}) == 1


def test_filters_of_the_readme(tshark, make_capture):
    """Each is one that tshark takes; the profile's and the report's have tests of their own."""
    table = (support.ROOT / "README.md").read_text().split("## Filters to start from")[1].split("\nTables:")[0]
    filters = [text for row in table.splitlines() if row.startswith("|")
               for text in re.findall(r"`([^`]+)`", row.split("|")[2])]
    assert len(filters) >= 10
    capture = make_capture([support.Datagram("10.0.0.2", 9, "10.0.0.3", 9, b"discard")])
    assert tshark.count(capture, " || ".join(f"({text})" for text in filters)) == 0


HANDLES = ("facetime", "facetime_inner", "gkstun", "snatmap", "commnat", "facetime_sip", "quickrelay", "facetime_link",
           "facetime_control", "facetime_rtp", "facetime_rtcp", "baseband")
CALLER = """
local caller = Proto("caller", "Calls every dissector of the plugin")
local count = ProtoField.uint32("caller.count", "Count")
caller.fields = { count }
function caller.dissector(tvb, pinfo, tree)
    local called = 0
    for name in ("NAMES"):gmatch("%S+") do
        Dissector.get(name):call(tvb, pinfo, tree)
        called = called + 1
    end
    tree:add(count, called)
end
DissectorTable.get("udp.port"):add(9, caller)
"""


def test_dissectors_called_by_others(tshark, make_capture):
    """A script may call them by name, on a port that isn't the plugin's and with what is another protocol's: each
    ends, and the next one is called. (By a second pass the front door has the flows that it proved.)"""
    if "with Lua" not in tshark.run("--version").stdout:
        pytest.skip("tshark without Lua")
    script = support.stage() / "caller.lua"
    script.write_text(CALLER.replace("NAMES", " ".join(HANDLES)))
    script.chmod(0o644)
    messages = {}
    for name in ("modern-call", "two-calls-one-relay", "nat-tests", "modern-baseband", "modern-damaged"):
        scene = generate.build(name)
        for number, (_, frame) in enumerate(scene.packets, 1):
            if scene.truth[number]["kind"]:
                messages.setdefault(scene.truth[number]["kind"], frame[42:])
    assert len(messages) >= 10
    payloads = [message[:length] for message in messages.values() for length in (None, len(message) // 2, 3)]
    capture = make_capture(support.Datagram("10.0.0.2", 1000 + i, "10.0.0.3", 9, p) for i, p in enumerate(payloads))
    load = ["-X", f"lua_script:{script}"]
    assert tshark.values(capture, "caller.count", args=load) == [str(len(HANDLES))] * len(payloads)
    assert tshark.lines(capture, *load, two_pass=True)


@pytest.mark.parametrize("filter", ["facetime.call", "facetime.event", "stun.channel", "gkstun", "facetime_rtp", "_ws.expert"])
def test_a_filter_alone_finds_what_is_shown(tshark, filter):
    """Parts of the tree that nobody asks for aren't built: what a filter asks for must be."""
    capture = support.TEST_CAPTURES / "two-calls-one-relay.pcapng"
    shown = [int(number) for number in re.findall(r"^Frame (\d+):", tshark.text(capture, "-V", filter=filter), re.M)]
    assert shown
    assert tshark.frames(capture, filter) == shown


def sample(beginning):
    """The lines of README.md's block that begins so."""
    return ("\n```\n" + (support.ROOT / "README.md").read_text()).split("\n```\n" + beginning)[1].split("\n```")[0].splitlines()


def test_the_timeline_in_the_readme(tshark):
    """Whole, its long lines cut."""
    shown = tshark.text(support.TEST_CAPTURES / "facetime-caller.pcapng", "-q", "-z", "facetime,timeline").strip().splitlines()
    lines = sample("Call 1, legacy:")
    told = [line for line in shown if line][1:]
    assert len(lines) == len(told)
    for line, full in zip(["Call 1, legacy:" + lines[0], *lines[1:]], told):
        assert full.startswith(line[:-3]) if line.endswith("...") else full == line


def test_the_opened_packet_in_the_readme(tshark):
    """Its lines, in their order."""
    shown = iter(tshark.text(support.TEST_CAPTURES / "facetime-caller.pcapng", "-V", filter="frame.number == 122").splitlines())
    for line in sample("FaceTime: stun, relay, call 1")[1:]:
        assert line == "..." or line in shown, line
