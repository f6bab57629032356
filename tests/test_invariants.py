# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for any capture whatever is in it."""

import functools
import itertools
import re

import pytest

import support
import generate     # of test-captures/, by way of support

FRAME = re.compile(r"\nFrame (\d+):")
COMMENTED = re.compile(r"\n(?:Packet comments\n(?: .*\n)*)?Frame (\d+):")     # ten times as slow
DISPLAYED = "\n    [Time delta from previous displayed frame: "   # 4.6 has it not everywhere
# A generated line that names a frame: [Response In: 12], [Bound in frame: 12], [Call: 1 (begins in frame 12)]
LINK = re.compile(r"^ *\[.*\b(?:in|frame|by)\b:? *(\d+)\)?\]$", re.IGNORECASE)


@functools.lru_cache(maxsize=4)     # three tests ask for the same text
def packets(text):
    """{frame number: the text of -V}, but for the line that depends on what else is displayed. (Texts: of most packets
    nothing more is asked than whether two are equal.)"""
    first, *others = ("\n" + text).split(DISPLAYED)
    text = first + "".join(other[other.index("\n"):] for other in others)
    starts = [(int(m[1]), m.start() + 1) for m in (COMMENTED if "\nPacket comments\n" in text else FRAME).finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {number: text[start:end] for (number, start), end in zip(starts, ends)}


def links_forward(number, text):
    """Generated lines that name a later frame: only a second pass can know them."""
    ending = (piece for piece in text.split("]\n")[:-1] if piece[-1:].isdigit() or piece[-1:] == ")")
    lines = (piece[piece.rfind("\n") + 1:] + "]" for piece in ending)
    return [line for line in lines if (link := LINK.match(line)) and int(link[1]) > number]


HINDSIGHT = ("[Event: bye_unanswered]", "[Event: media_gap]")


def without_hindsight(lines, first):
    """That no answer comes to a BYE, or no more media of one side, is known at the capture's end: only a second pass has
    these events. first: the first pass's lines."""
    kept, inside = [], None
    for line, text in itertools.zip_longest(lines, lines[1:]):
        indent = len(line) - len(line.lstrip())
        inside = inside if inside is not None and indent > inside else None
        if line.strip() in HINDSIGHT and text not in first:     # what happened stands in the line below the name
            inside = indent
        if inside is None:
            kept.append(line)
    return kept


@pytest.fixture(scope="module", params=support.captures_together())
def capture(request):
    return support.one_after_the_other(request.param)


def assert_same(one, other):
    """Two texts. The first lines that differ are worth a word: of long texts, pytest's own explanation takes minutes."""
    if one != other:
        one, other = one.split("\n"), other.split("\n")
        pairs = itertools.zip_longest(one, other)
        pytest.fail("{}\n{}\nis not\n{}".format(one[0], *next(pair for pair in pairs if pair[0] != pair[1])))


def without_cut_quic(lines, first):
    """Stock QUIC gives a short packet up where its bytes end, but on the first pass alone: what it shows on the second one
    is left out."""
    if "[Packet size limited during capture: QUIC truncated]" not in first or "QUIC IETF" not in lines:
        return lines
    return lines[:lines.index("QUIC IETF")] + first[first.index("QUIC IETF"):]


def assert_passes_agree(capture, tshark, stock):
    once, twice = (packets(tshark.text(capture, "-V", two_pass=n)) for n in (False, True))
    assert once.keys() == twice.keys()
    differing = {}
    for number in once:
        assert not links_forward(number, once[number])
        if once[number] == twice[number]:
            continue
        links = links_forward(number, twice[number])
        first = once[number].splitlines()
        shown = without_cut_quic(without_hindsight(twice[number].splitlines(), first), first)
        lines = [line for line in shown if line not in links]
        if first != lines:
            differing[number] = lines
    if differing:
        # stock's two passes differ as well, a TCP conversation's completeness say: its lines don't count
        stock_once, stock_twice = (packets(stock.text(capture, "-V", two_pass=n)) for n in (False, True))
    for number, lines in differing.items():
        ignored = set(stock_once[number].splitlines()) ^ set(stock_twice[number].splitlines())
        assert_same(*("\n".join(line for line in which if line not in ignored) for which in (once[number].splitlines(), lines)))


def test_two_passes_show_what_one_does(capture, tshark, stock):
    assert_passes_agree(capture, tshark, stock)


ENDS = [f"facetime.{end}.{part}" for end in ("end", "from", "to") for part in ("ipv4", "ipv6", "port")]


def test_two_passes_have_the_ends_that_one_has(capture, tshark):
    """They are hidden: -V doesn't show them, but Conversations filter by them."""
    once, twice = (tshark.rows(capture, "frame.number", *ENDS, two_pass=n) for n in (False, True))
    for one, other in zip(once, twice, strict=True):
        assert one == other


def spare_stock(capture):
    """Stock inflates a bomb without bound: a GiB and a complaint, which is why sdp_inflate/ exists."""
    if "bomb" in capture.name:
        pytest.skip("too much for stock")


def test_disabled_is_stock(capture, tshark, stock, own_protocols):
    spare_stock(capture)
    assert_same(tshark.text(capture, "-V", disable=own_protocols), stock.text(capture, "-V"))


def assert_filter_changes_nothing(capture, tshark):
    whole = packets(tshark.text(capture, "-V"))
    chosen = packets(tshark.text(capture, "-V", filter="facetime || frame.number % 2 == 0"))
    assert chosen.keys() >= {number for number in whole if number % 2 == 0}
    for number, text in chosen.items():
        assert_same(text, whole[number])


def test_a_filter_changes_no_packet(capture, tshark):
    assert_filter_changes_nothing(capture, tshark)


def test_nothing_becomes_malformed(capture, tshark, stock):
    spare_stock(capture)
    if "[Malformed Packet" not in tshark.text(capture, "-V"):
        return
    ours, theirs = ({number for number, text in packets(program.text(capture, "-V")).items() if "[Malformed Packet" in text}
                    for program in (tshark, stock))
    assert ours <= theirs


GOLDEN = 8      # packets of a scene, each of another kind, path or length, that are cut
LONGEST = 200   # bytes that are kept of them at most


def cut_everywhere(scene):
    """The scene, then some of its packets again, as `editcap -s` leaves them: cut at every length."""
    frames = [frame for _, frame in scene.packets[:400]]
    chosen = {}
    for number, frame in enumerate(frames, 1):
        truth = scene.truth[number]
        if truth["kind"]:
            chosen.setdefault((truth["kind"], truth["path"], len(frame)), frame)
    golden = list(chosen.values())[::max(1, len(chosen) // GOLDEN)][:GOLDEN]
    return frames + [(frame, kept) for frame in golden for kept in range(14, min(len(frame), LONGEST))]


@pytest.mark.parametrize("names", support.in_batches([name for name in generate.CAPTURES if name != "raw-ip" and "bomb" not in name])
                         + [["sip-deflate-bomb"]], ids=lambda names: f"from-{names[0]}")
def test_cut_packets(names, tshark, stock, own_protocols, make_capture):
    """Wireshark says of a cut packet that its size was limited. No protocol of ours calls it malformed: it
    isn't. And a packet of the relay is one however little is left of it."""
    capture = make_capture(list(itertools.chain.from_iterable(cut_everywhere(generate.build(name)) for name in names)))
    labels = "|".join(re.escape(row[1]) for row in tshark.glossary("protocols") if row[2] in own_protocols)
    assert not re.findall(rf"^\[Malformed Packet: (?:{labels})\b.*", tshark.text(capture, "-V"), re.MULTILINE)
    assert not tshark.frames(capture, 'quickrelay && facetime.path != "relay"')
    assert_passes_agree(capture, tshark, stock)
    assert_filter_changes_nothing(capture, tshark)
    if "sip-deflate-bomb" not in names:     # too much for stock
        assert_same(tshark.text(capture, "-V", disable=own_protocols), stock.text(capture, "-V"))
