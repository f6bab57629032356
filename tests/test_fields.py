# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter names that fields.txt promises: registered, of the right kind, usable without a filter."""

import collections
import pathlib
import re
import xml.parsers.expat

import pytest

import support

CONTRACT = pathlib.Path(__file__).with_name("fields.txt")
ORIGINAL = support.SHARED_CAPTURES.parent / "fields.txt"

UNSIGNED = {"u8": "FT_UINT8", "u16": "FT_UINT16", "u32": "FT_UINT32", "u64": "FT_UINT64"}
TYPES = {
    **{kind: {name} for kind, name in UNSIGNED.items()},
    "enum": set(UNSIGNED.values()),
    "bool": {"FT_BOOLEAN"},
    "ipv4": {"FT_IPv4"},
    "ipv6": {"FT_IPv6"},
    "bytes": {"FT_BYTES"},
    "guid": {"FT_GUID"},
    "str": {"FT_STRING", "FT_STRINGZ"},
    "frame": {"FT_FRAMENUM"},
    "time": {"FT_RELATIVE_TIME"},
}
# The words that facetime.kind and its neighbours take in a filter.
WORDS = {
    "facetime.kind": ["stun", "turn", "sip", "rtp", "rtcp", "snatmap", "commnat", "quickrelay", "control",
                      "link", "hbh", "quic", "baseband", "data", "gamekit"],
    "facetime.generation": ["legacy", "modern", "ichat"],
    "facetime.path": ["relay", "direct", "server"],
    "facetime_sip.coding": ["none", "zlib", "raw", "gzip"],
    "facetime_sdp.imageattr.direction": ["send", "recv"],
}
FIELD = re.compile(r'<field name="([^"]*)"')
# Which bits of a set have a name: all of the two bytes of flags, the known six of the attributes.
BITS = {"quickrelay.flags1": 0xFF, "quickrelay.flags2": 0xFF, "quickrelay.attr": 0x3F}


def read(path):
    """{name: kind}"""
    rows = (line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {row[0]: row[1].split()[0] for row in rows}


@pytest.fixture(scope="module")
def contract():
    return read(CONTRACT)


def test_the_copy_is_true(contract):
    if not ORIGINAL.is_file():
        pytest.skip("the original list isn't here")
    first, second = read(ORIGINAL), read(ORIGINAL.with_name("fields-2.txt"))
    assert first.items() <= contract.items() <= {**first, **second}.items()


def test_every_name_is_registered(contract, own_fields):
    missing = sorted(set(contract) - set(own_fields))
    assert not missing, f"{len(missing)} of {len(contract)} names are missing: {' '.join(missing)}"


def test_every_name_has_its_kind(contract, own_fields):
    wrong = {name: (kind, own_fields[name]) for name, kind in contract.items()
             if name in own_fields and own_fields[name] not in TYPES[kind]}
    assert not wrong


def test_enums_have_names(contract, own_fields, tshark):
    named = {row[1] for row in tshark.glossary("values") if row[0] == "V"}
    assert not {n for n, kind in contract.items() if kind == "enum" and n in own_fields} - named


@pytest.mark.parametrize("field", WORDS)
def test_words_of_an_enum(field, tshark):
    words = [row[3] for row in tshark.glossary("values") if row[:2] == ["V", field]]
    assert sorted(words) == sorted(WORDS[field])


@pytest.mark.parametrize("field", BITS)
def test_each_bit_has_a_field(field, tshark, own_fields):
    masks = [int(row[6], 16) for row in tshark.glossary("fields")
             if row[0] == "F" and row[2].startswith(field + ".") and row[3] == "FT_BOOLEAN"]
    assert all(mask & (mask - 1) == 0 and mask for mask in masks), "one bit each"
    assert len(set(masks)) == len(masks)
    assert sum(masks) & BITS[field] == BITS[field]


@pytest.mark.parametrize("captures", support.captures_together())
def test_fields_without_a_display_filter(captures, tshark, own_protocols, own_fields):
    """-T fields -e NAME shows in each packet what PDML shows, for which every tree is built whole."""
    names = sorted(own_fields)
    capture, some = support.one_after_the_other(captures), ("-c", "2000")
    rows = [dict((n, v.count("\x1e") + 1) for n, v in zip(names, values, strict=True) if v)
            for values in tshark.columns(capture, *names, args=some)]
    around = ["stun", "icmp", "icmpv6"]     # layers that ours may stand in
    text = tshark.text(capture, "-T", "pdml", "-J", " ".join([*own_protocols, *around]), *some)
    xml.parsers.expat.ParserCreate().Parse(text, True)      # it is XML; of its elements only names are asked for
    trees = text.split("<packet>")[1:]
    assert len(rows) == len(trees) > 0
    for number, (row, tree) in enumerate(zip(rows, trees), 1):
        shown = collections.Counter(name for name in FIELD.findall(tree) if name in own_fields)
        assert row == shown, f"packet {number}"
