# SPDX-License-Identifier: GPL-2.0-or-later
"""A tshark that goes on from where all begin (forks.py) shows what one does that is started for it."""

import pytest

import forks
import support

CAPTURE = support.TEST_CAPTURES / "modern-call.pcapng"
OPTIONS = [(), ("-x",), ("-V", "-x", "--disable-protocol", "gkstun", "--disable-heuristic", "facetime_udp"),
           ("-2", "-V", "-R", "udp.srcport > 17000"), ("-P", "-V", "--enable-heuristic", "rtp_udp", "-c", "30"),
           ("-T", "json", "-J", "facetime udp", "-Y", "facetime"), ("-T", "ek", "-j", "udp", "-d", "udp.port==16402,dns"),
           ("-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "facetime.kind"),
           ("-t", "e", "-o", "facetime.show_peer:TRUE", "-T", "tabs"),
           ("-q", "-z", "facetime,calls,json", "-z", "expert", "-z", "facetime,tree", "-z", "conv,udp")]


@pytest.fixture(scope="module")
def waits(tshark):
    if forks.library(support.stage()) is None or tshark.version[:2] not in forks.VERSIONS:
        pytest.skip("each run is started here")


def test_every_option_is_here():
    assert {word for options in OPTIONS for word in options if word.startswith("-")} | {"-r", "-n"} == (
        forks.PLAIN | forks.FLAGS | forks.VALUES)


def started(tshark, args):
    with open(support.stage() / "out", "w+b") as out, open(support.stage() / "err", "w+b") as err:
        assert tshark._start(args, out, err) == 0
        out.seek(0), err.seek(0)
        assert not err.read()
        return out.read().decode()


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_same_output(waits, tshark, options):
    args = tshark._options(CAPTURE, options)
    assert tshark._waiting_for(args) is not None
    assert tshark.run(*args).stdout == started(tshark, args)


def test_what_fails_is_told(waits, tshark):
    readable = tshark._readable(CAPTURE)
    for args, told in (((readable, "-Y", "no such field"), "no such field"), (("/nowhere",), "/nowhere")):
        with pytest.raises(AssertionError, match="exit status") as complaint:
            tshark.run("-n", "-r", *args)
        assert told in str(complaint.value)


def test_a_run_without_end_is_ended(waits, tshark, tmp_path):
    args = tshark._options(CAPTURE, ("-V", "-V"))
    waiting = tshark._waiting_for(args)
    with open(tmp_path / "out", "w+b") as out:
        assert waiting.run(args, out, out, 0) is None
        assert waiting.run(args, out, out, support.TIME_LIMIT) == 0
