# SPDX-License-Identifier: GPL-2.0-or-later
"""profile/FaceTime: it loads without a word, and every expression in it is valid and finds something."""

import functools
import itertools
import math
import re
import shutil
import subprocess

import pytest

import simulate
import support

PROFILE = support.ROOT / "profile" / "FaceTime"
# Together, and with simulated(), they have what the profile asks for.
CAPTURES = [support.TEST_CAPTURES / f"{name}.pcapng" for name in (
    "facetime-dropmidcall", "facetime-samenet-nop2p", "modern-call", "modern-baseband", "modern-damaged")]

# What Statistics > I/O Graphs of 4.0, 4.4 and 4.6 all know.
STYLES = {"Line", "Impulse", "Bar", "Stacked Bar", "Dot", "Square", "Diamond", "Cross", "Circle", "Plus"}
PLAIN_AXES = {"Packets", "Bytes", "Bits"}
FIELD_AXES = {f"{what}(Y Field)" for what in (
    "SUM", "COUNT FRAMES", "COUNT FIELDS", "MAX", "MIN", "AVG", "LOAD")}


def rows(name):
    """The rows of a file that Wireshark keeps a table in, undone from its quoting."""
    lines = [line for line in (PROFILE / name).read_text().splitlines() if not line.startswith("#")]
    assert lines and all(re.fullmatch(r'"[^"]*"(,"[^"]*")*', line) for line in lines)
    return [[cell.replace(r"\x22", '"') for cell in line[1:-1].split('","')] for line in lines]


def colour_rules():
    """[(name, filter, background, foreground)]"""
    lines = [line for line in (PROFILE / "colorfilters").read_text().splitlines() if not line.startswith("#")]
    return [re.fullmatch(r"@([^@]+)@([^@]+)@\[([\d,]+)\]\[([\d,]+)\]", line).groups() for line in lines]


def columns():
    """[(title, format)]"""
    text = (PROFILE / "preferences").read_text()
    cells = re.findall(r'"([^"]*)"', text[text.index("gui.column.format"):])
    return list(zip(cells[::2], cells[1::2], strict=True))


BUTTONS, GRAPHS, RULES, COLUMNS = rows("dfilter_buttons"), rows("io_graphs"), colour_rules(), columns()
FILTERS = {**{f"button {label}": text for _, label, text, _ in BUTTONS},
           **{f"graph {row[1]}": row[2] for row in GRAPHS},
           **{f"colour {name}": text for name, text, _, _ in RULES}}


def with_profile(name="FaceTime"):
    """A tshark of a user that has the profile."""
    program = support.Tshark(support.PLUGIN)
    profile = program.home / ".config" / "wireshark" / "profiles" / name
    shutil.copytree(PROFILE, profile)
    for path in (program.home, *program.home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return program, profile


@pytest.fixture(scope="module")
def profiled():
    return with_profile()[0]


def colours(program, capture, profile="FaceTime"):
    """[(whether the packet is FaceTime's, name of its rule)]"""
    lines = program.text(capture, "-C", profile, "--color", "-T", "fields", "-E", "separator=|",
                         "-e", "facetime", "-e", "frame.coloring_rule.name").splitlines()
    return [(bool(ours), rule) for ours, rule in (line.split("|") for line in lines)]


def test_loads_without_a_word(profiled):
    """Columns, buttons and colours: Tshark.run fails on any complaint."""
    assert profiled.text(CAPTURES[0], "-C", "FaceTime")
    assert colours(profiled, CAPTURES[0])


@pytest.mark.parametrize("name, line", {
    "colorfilters": "@wrong@facetime.no_such_field@[0,0,0][0,0,0]\n",
    "dfilter_buttons": '"PERHAPS","wrong","facetime",""\n',
    "preferences": "gui.column.format: \"odd\n",
}.items())
def test_a_broken_profile_would_be_noticed(name, line):
    program, profile = with_profile("Broken")
    with (profile / name).open("a") as file:
        file.write(line)
    with pytest.raises(AssertionError, match="complains"):
        colours(program, CAPTURES[2], "Broken")


@functools.cache
def simulated():
    """A modern call whose capture has a clock that can be believed: without one there is no round trip."""
    return support.write_capture(simulate.Call(simulate.Plan(seconds=6.0)).capture("A").write())


@functools.cache
def merged():
    """All of them, one after the other."""
    path = support.stage() / "profile.pcapng"
    subprocess.run(["mergecap", "-a", "-w", path, *CAPTURES, simulated()], check=True)
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_finds_something(name, tshark):
    assert tshark.count(merged(), FILTERS[name])


# Columns

def test_columns_of_the_call():
    assert [title for title, _ in COLUMNS] == [
        "No.", "Time", "Call", "Path", "Source", "Destination", "Behind the relay", "Protocol", "Length", "Event", "Info"]


def test_columns_ask_for_fields_that_exist(own_fields):
    asked = [text.split(":")[1] for _, text in COLUMNS if text.startswith("%Cus:")]
    assert len(asked) == 4
    assert all(name in own_fields for text in asked for name in text.split(" or "))


def test_columns_show_what_the_packets_have(profiled, tshark):
    """Each packet's columns against its fields."""
    fields = ("facetime.call", "facetime.path", "facetime.peer.ipv4", "facetime.event")
    for capture in (CAPTURES[0], CAPTURES[2]):
        lines = profiled.text(capture, "-C", "FaceTime", "-T", "tabs").split("\n")[:-1]
        told = tshark.names(capture, *fields)
        cells = [line.split("\t") for line in lines]
        # between source and destination stands an arrow
        assert [[row[2], row[3], row[7], row[10]] for row in cells] == [list(row.values()) for row in told]
        assert all(any(row[field] for row in told) for field in fields if field != "facetime.peer.ipv4")


def test_each_column_has_a_width():
    """In `recent`, which only the GUI reads: a field's column goes by its fields alone there."""
    widths = re.findall(r'"([^"]*)", (\d+)', (PROFILE / "recent").read_text())
    assert [name for name, _ in widths] == [re.sub(r":0:R$", "", text) for _, text in COLUMNS]
    sizes = {name: int(width) for name, width in widths}
    assert all(30 <= width <= 700 for width in sizes.values())
    assert sizes["%m"] >= 70                        # six digits
    assert sizes["%i"] > sum(sizes.values()) / 2.5  # Info has the room


def test_conversations_have_their_tab():
    text = (PROFILE / "recent").read_text()
    assert {kind: re.search(f'gui.{kind}_tabs: (.*)', text)[1] for kind in ("conversation", "endpoint")} == {
        "conversation": '"FaceTime", "UDP"', "endpoint": '"FaceTime", "UDP"'}


def test_the_profile_comes_by_itself(profiled, tshark):
    """From 4.4 on, by one filter that finds something in each capture; 4.0 leaves the file alone without a word."""
    settings = dict(line.split(": ", 1) for line in (PROFILE / "profile_settings").read_text().splitlines())
    assert list(settings) == ["auto_switch_filter"]
    assert all(tshark.count(capture, settings["auto_switch_filter"]) for capture in CAPTURES[2:4])


# Colours

def test_every_rule_colours_something_and_every_packet_has_one(profiled):
    seen = set()
    for capture in CAPTURES:
        for ours, rule in colours(profiled, capture):
            assert bool(rule) == ours
            seen.add(rule)
    # "other" stands for what no capture needs: a packet without path
    assert {name for name, _, _, _ in RULES} - seen <= {"FaceTime: other"}


def test_yellow_is_for_what_decides_a_call(profiled):
    """A call of 9,978 packets: start, answer, nomination, switch, end."""
    told = [rule for _, rule in colours(profiled, CAPTURES[0])]
    assert 0 < told.count("FaceTime: start, answer, nomination, switch, end") <= 30


def test_colours_can_be_read():
    """Text and ground differ enough (WCAG's contrast of 4.5)."""
    def light(colour):
        channels = [int(c) / 65535 for c in colour.split(",")]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    for name, _, background, foreground in RULES:
        low, high = sorted((light(background), light(foreground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


# What eyes see that lack the red cones, or the green ones, of linear RGB (Machado, Oliveira, Fernandes 2009, severity 1).
EYES = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
TOLD_APART = 20     # CIE 1976 (L*a*b*); 2.3 is just noticed


def lab(colour, eyes):
    channels = [int(c) / 65535 for c in colour.split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    r, g, b = (min(1, max(0, sum(m * c for m, c in zip(row, linear, strict=True)))) for row in eyes)
    xyz = ((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047, 0.2126 * r + 0.7152 * g + 0.0722 * b,
           (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883)
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distances(eyes):
    """{(name, name): distance}, of the grounds that mean something, and of white."""
    grounds = {name.removeprefix("FaceTime: "): ground for name, _, ground, _ in RULES if name != "FaceTime: other"}
    grounds["plain"] = "65535,65535,65535"
    return {(one, other): math.dist(lab(grounds[one], eyes), lab(grounds[other], eyes))
            for one, other in itertools.combinations(grounds, 2)}


@pytest.mark.parametrize("eyes", EYES)
def test_colours_are_told_apart_without_red_or_green(eyes):
    for pair, distance in distances(EYES[eyes]).items():
        assert distance >= TOLD_APART, pair


def test_the_docs_have_the_distances():
    text = (support.ROOT / "docs" / "in-the-gui.md").read_text()
    for pair in (("relay", "direct"), ("relay", "Apple's servers"), ("direct", "Apple's servers")):
        cells = " | ".join(str(round(distances(eyes)[pair])) for eyes in EYES.values())
        assert f"| {pair[0]} and {pair[1]} | {cells} |" in text


# Buttons and graphs

def test_buttons():
    assert all(enabled == "TRUE" and comment for enabled, _, _, comment in BUTTONS)
    labels = [label for _, label, _, _ in BUTTONS]
    assert len(set(labels)) == len(labels)
    assert {label.split("//")[0] for label in labels} == {"Call", "Path", "Checks", "Trouble"}


def test_graphs(own_fields):
    numbers = {"FT_UINT8", "FT_UINT16", "FT_UINT32", "FT_RELATIVE_TIME"}
    for enabled, name, _, colour, style, axis, field, smoothing, factor in GRAPHS:
        assert enabled in ("Enabled", "Disabled") and name and style in STYLES, name
        assert re.fullmatch("#[0-9a-f]{6}", colour), name
        assert smoothing == "None" and int(factor) >= 1, name
        if axis in PLAIN_AXES:
            assert not field, name
        else:
            assert axis in FIELD_AXES and field in own_fields, name
            assert axis.startswith("COUNT") or own_fields[field] in numbers, name


def test_graphs_of_the_questions():
    graphs = {name: (text, field) for _, name, text, _, _, _, field, _, _ in GRAPHS}
    assert ("baseband", "baseband.queued") in graphs.values()
    assert ("facetime.event.media_gap", "") in graphs.values()
