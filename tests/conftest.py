# SPDX-License-Identifier: GPL-2.0-or-later
"""The fixtures. support.py says what they can do."""

import shlex
import shutil

import pytest

import forks
import support


def pytest_configure(config):
    config.addinivalue_line("markers", "ports: is about the registered ports themselves (-DPORT_RANGE=OFF has none)")


@pytest.fixture(scope="session")
def tshark():
    """tshark with the plugin."""
    if not support.PLUGIN.is_file():
        pytest.exit(f"{support.PLUGIN} isn't there: build it first, or set FACETIME_PLUGIN", returncode=2)
    return support.Tshark(support.PLUGIN)


@pytest.fixture(scope="session")
def stock():
    """The same tshark without the plugin."""
    return support.Tshark()


@pytest.fixture(scope="session")
def program(tshark):
    """A tshark with the plugin, as one file."""
    wrapper = support.stage() / "tshark-with-plugin"
    exports = " ".join(f"{k}={shlex.quote(v)}" for k, v in tshark.environment.items())
    wrapper.write_text(f"#!/bin/sh\nexec {' '.join(tshark.command)} env {exports} {tshark.program} \"$@\"\n")
    wrapper.chmod(0o755)
    return wrapper


@pytest.fixture(scope="session")
def own_protocols(tshark, stock):
    """Filter names of the protocols that the plugin adds, but the helpers of others: facetime-sdp and
    facetime.inner go with those, and tshark can't disable them alone (4.0 keeps quiet about that)."""
    return sorted(name for name in tshark.protocols - stock.protocols if name.isidentifier())


@pytest.fixture(scope="session")
def own_fields(tshark, stock):
    """{filter name: type} of the fields that the plugin adds."""
    return {name: kind for name, kind in tshark.field_types.items() if name not in stock.field_types}


@pytest.fixture(scope="session")
def make_capture():
    """support.make_capture: the path of a capture with these datagrams."""
    return support.make_capture


@pytest.fixture(scope="session")
def real():
    """support.real_capture: real("ixia-facetime-rtp.pcap") is its path, or skips the test."""
    return support.real_capture


@pytest.fixture(scope="session")
def negative():
    """support.negative_capture."""
    return support.negative_capture


@pytest.fixture(scope="session", autouse=True)
def _remove_stage():
    yield
    forks.end()
    shutil.rmtree(support.stage(), ignore_errors=True)
