# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/fields.md is what tools/make-fields-doc writes, and marks what isn't sure."""

import importlib.machinery
import importlib.util
import re

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
