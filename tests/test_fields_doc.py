# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/fields.md is what tools/make-fields-doc writes, and marks what isn't sure."""

import importlib.machinery
import importlib.util
import re
import subprocess

import pytest

import support

TOOL = support.ROOT / "tools" / "make-fields-doc"
PAGE = support.ROOT / "docs" / "fields.md"

# By docs/protocol.md: published or counted, and the four grades of doubt.
MARKS = {
    "facetime.kind": "",
    "gkstun.ice_version": "",
    "gkstun.radio": "inferred",
    "gkstun.unknown_8002": "unknown",
    "facetime_sdp.hwi.cpu": "guess",
    "facetime_rtp.short_mki.roll": "unverified",
    "baseband.dropped.count": "unverified",
}


@pytest.fixture(scope="module")
def rows():
    """{filter name: cells of its row}"""
    lines = (re.split(r" *(?<!\\)\| *", line)[1:-1] for line in PAGE.read_text().splitlines() if line[:3] == "| `")
    return {cells[0].strip("`"): cells[1:] for cells in lines}


def test_it_is_of_this_plugin(tshark, stock):
    loader = importlib.machinery.SourceFileLoader("make_fields_doc", str(TOOL))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(tool)
    assert PAGE.read_text() == tool.page(tshark, stock), "run tools/make-fields-doc"


def test_each_field_and_finding_has_a_row(rows, own_fields):
    assert sorted(rows) == sorted(own_fields)


@pytest.mark.parametrize("field", MARKS)
def test_doubts_are_marked(field, rows):
    assert rows[field][1] == MARKS[field]


def test_rows_written_out_are_the_fields(own_fields, tmp_path):
    """Wireshark's checkers read what tools/expand-rows writes out: each field is there once, declared and registered."""
    sources = sorted(p for folder in ("", "stock", "wire", "calls", "plugin") for p in (support.ROOT / folder).glob("*.c"))
    subprocess.run([support.ROOT / "tools" / "expand-rows", tmp_path, *sources], check=True)
    declared, registered, names = [], [], []
    for source in sources:
        text = (tmp_path / source.relative_to(support.ROOT)).read_text()
        declared += re.findall(r"^ *(?:static )?(?:int|expert_field) ((?:hf|ei)_\w+) = (?:-1|EI_INIT);", text, re.MULTILINE)
        rows = re.findall(r'\{\s*&((?:hf|ei)_\w+),\s*\{ *(?:"[^"]*", )?"([a-z0-9_.]+)",', text)
        registered += [row[0] for row in rows]
        names += [row[1] for row in rows]
    assert sorted(declared) == sorted(registered)
    assert len(names) == len(set(names)) and set(names) <= own_fields.keys()
    # the events' findings are one array, by FT_EVENTS
    assert {name.rpartition(".")[0] for name in own_fields.keys() - set(names)} == {"facetime.event"}
