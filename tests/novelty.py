#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What in a capture of FaceTime the plugin's tables don't know: how we learn of the next change.

    novelty.py --filter VALUES              prints the display filter of the packets that may have news
    tshark -T pdml ... | novelty.py VALUES  prints a table; the exit status is 1 if there are news
    ... --frames FILE                       writes the numbers of their frames to FILE, one a line

VALUES is the output of `tshark -G values` with the plugin. tools/check-capture --novelty does all of it. No table of the
formats stands here: unknown is what the plugin itself calls so (its expert infos), a number that its own list of values
has no name for, bits of a field that it keeps for the rest, a payload type that it gives no codec, a body that is data.
"""

import argparse
import collections
import sys
import xml.etree.ElementTree

OWN = ("gkstun.", "quickrelay.", "facetime", "snatmap.", "commnat.", "baseband.", "gamekit.")

# Expert infos that say "unknown", by the kind of news they are.
EXPERTS = {
    "flag bit": ("quickrelay.unknown_bit", "commnat.bad_flags", "commnat.bad_reserved"),
    "published, never captured": ("quickrelay.unverified", "facetime_link.unverified", "baseband.unverified"),
    "attribute": ("gkstun.unknown_attribute", "gkstun.bad_length", "gkstun.bad_value"),
    "candidate list": ("gkstun.candidates_bad",),
    "TLV": ("facetime_link.unknown_tlv", "facetime_link.bad_tlv_length"),
    "link command": ("facetime_link.unknown_command",),
    "link message": ("facetime_link.no_hmac", "facetime_link.reserved_not_zero", "facetime_link.bad_length"),
    "relay header": ("quickrelay.bad_length", "facetime_rtp.stream_mismatch"),
    "RTCP packet": ("facetime_rtcp.unknown_form",),
    "STUN message": ("gkstun.trailing",),
    "header extension": ("facetime_rtp.unknown_extension", "facetime_rtp.bytes_left", "facetime_rtp.field_missing"),
    "trailer": ("facetime_rtp.no_key_id",),
    "body": ("quickrelay.unparsed_body", "quickrelay.bad_hbh", "quickrelay.broken_chain", "quickrelay.long_chain"),
    "modem's report": ("baseband.bad_form", "baseband.odd_constant", "baseband.bad_length"),
    "NAT test": ("snatmap.bad_type", "commnat.bad_operation", "commnat.bad_direction", "snatmap.bad_length",
                 "commnat.bad_length"),
    "GameKit message": ("gamekit.unknown_type", "gamekit.bad_size"),
}
KIND_OF = {name: kind for kind, names in EXPERTS.items() for name in names}

# The rest of a field of bits: any of them set is news.
REST_BITS = ("gkstun.candidate.other_flags", "gkstun.nomination.other")

# Numbers with names, each of which is told above already, or whose list names exceptions alone.
NOT_LISTS = ("quickrelay.stats.bandwidth", "gamekit.crc.status", "facetime.kind", "facetime.path", "facetime.generation",
             "gkstun.att.type", "facetime_link.command", "facetime_link.tlv.type", "baseband.form", "snatmap.type",
             "commnat.operation", "commnat.direction", "gamekit.type", "commnat.server")

# Stock's fields, and the field of whose list the number must be (stock lists more than FaceTime sends).
LIKE = {"stun.type.method": "gkstun.txid.method", "rtcp.pt": "rtcp.pt"}

HEX_SHOWN, FRAMES_SHOWN = 32, 6
Row = collections.namedtuple("Row", "kind what")


def parse_values(lines):
    """{field: {number}} of the fields that are lists of names."""
    known = collections.defaultdict(set)
    for line in lines:
        kind, name, value, *_ = line.rstrip("\n").split("\t") + [""] * 3
        if kind == "V" and (name.startswith(OWN) or name in LIKE.values()):
            known[name].add(int(value, 0))
    return {field: known[LIKE.get(field, field)] for field in {*known, *LIKE}
            if field not in NOT_LISTS and known.get(LIKE.get(field, field))}


def display_filter(known):
    """Of the packets that may have news; what it lets through is judged again."""
    parts = list(KIND_OF) + [f"{field} != 0" for field in REST_BITS]
    for field, numbers in sorted(known.items()):
        numbers = ", ".join(map(str, sorted(numbers)))
        part = f"{field} && !({field} in {{{numbers}}})" if field not in LIKE else \
            f"facetime && {field} && !({field} in {{{numbers}}})"
        parts.append(f"({part})")
    parts += ['(facetime.kind == "rtp" && rtp.p_type && !facetime_rtp.codec)', 'facetime.kind == "data"']
    return " || ".join(parts)


def number_of(field):
    """What a PDML field shows, as a number, or None."""
    try:
        return int(field.get("show", "").split(" ")[0], 0)
    except ValueError:
        return None


def shortened(digits):
    return digits[:2 * HEX_SHOWN] + ("..." if len(digits) > 2 * HEX_SHOWN else "")


def text_of(field):
    return field.get("showname") or field.get("show") or field.get("name") or ""


def news_of_experts(parents, element):
    """(Row, hex) where the element is an expert info that says unknown: of the item that it hangs on."""
    name = element.get("name")
    if name not in KIND_OF:
        return
    box = parents[element]
    message = next((f.get("show") for f in box.iter("field") if f.get("name") == "_ws.expert.message"), name)
    item = parents.get(box)
    while item is not None and not item.get("value") and item.get("size") in (None, "0"):
        item = parents.get(item)
    label = text_of(item) if item is not None and item.tag == "field" else ""
    label = "" if label.startswith(message.split(":")[0]) else f": {label}"
    yield Row(KIND_OF[name], f"{message} ({name}){label}"), item


def numbered(row, digits):
    """TLVs and attributes begin with their type: two unknown ones are two pieces of news."""
    if row.kind in ("TLV", "attribute") and len(digits) >= 4:
        row = row._replace(what=f"0x{digits[:4]}: {row.what}")
    return row, digits


def news_of_packet(packet, known):
    """[(Row, hex)] of one packet in PDML."""
    parents = {child: parent for parent in packet.iter() for child in parent}
    fields = collections.defaultdict(list)
    for element in packet.iter():
        if element.tag in ("field", "proto"):
            fields[element.get("name")].append(element)
    found = []
    for elements in fields.values():
        for element in elements:
            found += [numbered(row, bytes_of(item)) for row, item in news_of_experts(parents, element)]
    for name, numbers in known.items():
        if name in LIKE and "facetime" not in fields:
            continue
        for field in fields.get(name, ()):
            if number_of(field) is not None and number_of(field) not in numbers:
                found.append((Row("number without a name", f"{name} {field.get('show')}"), bytes_of(field)))
    for name in REST_BITS:
        for field in fields.get(name, ()):
            if number_of(field):
                found.append((Row("flag bit", f"{name} {field.get('show')}"), bytes_of(field)))
    kind = {number_of(field) for field in fields.get("facetime.kind", ())}
    if "rtp.p_type" in fields and 4 in kind and "facetime_rtp.codec" not in fields:
        for field in fields["rtp.p_type"]:
            found.append((Row("payload type", f"no codec is known for payload type {number_of(field)}"),
                          bytes_of(field)))
    if 14 in kind and not any(row.kind == "body" for row, _ in found):
        body = (fields.get("data.data") or fields.get("data") or [None])[-1]
        found.append((Row("body", "a message of no kind that is known"), bytes_of(body)))
    return found


def bytes_of(item):
    """The digits of an item's bytes: PDML gives those of a layer by its fields alone."""
    if item is None:
        return ""
    if item.get("value"):
        return item.get("unmaskedvalue") or item.get("value")
    start, size = int(item.get("pos") or 0), int(item.get("size") or 0)
    digits = [".."] * size
    for field in item.iter("field"):
        value, at = field.get("unmaskedvalue") or field.get("value") or "", int(field.get("pos") or 0) - start
        if value and 0 <= at and at + len(value) // 2 <= size:
            digits[at:at + len(value) // 2] = [value[i:i + 2] for i in range(0, len(value) // 2 * 2, 2)]
    return "".join(digits).rstrip(".")


class News:
    def __init__(self):
        self.rows = collections.defaultdict(list)       # Row: [(frame, hex)]

    def add(self, frame, row, digits):
        if not self.rows[row] or self.rows[row][-1][0] != frame:
            self.rows[row].append((frame, digits))

    @property
    def frames(self):
        return sorted({frame for places in self.rows.values() for frame, _ in places})

    def print(self, out):
        for row in sorted(self.rows):
            places = self.rows[row]
            frames = ", ".join(str(frame) for frame, _ in places[:FRAMES_SHOWN])
            more = f" and {len(places) - FRAMES_SHOWN} more" if len(places) > FRAMES_SHOWN else ""
            what = "".join(c if c.isprintable() else "\ufffd" for c in row.what)
            print(f"{row.kind:26} {len(places):6}  {what}\n{'':34}frames {frames}{more}: {shortened(places[0][1])}",
                  file=out)
        print(f"{len(self.rows)} that the tables don't know, in {len(self.frames)} frames", file=out)


def read(pdml, known):
    """The News of tshark's PDML."""
    news = News()
    for _, element in xml.etree.ElementTree.iterparse(pdml):
        if element.tag == "packet":
            frame = next(int(f.get("show")) for f in element.iter("field") if f.get("name") == "num")
            for row, digits in news_of_packet(element, known):
                news.add(frame, row, digits)
            element.clear()
    return news


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--filter", action="store_true", help="print the display filter")
    parser.add_argument("--frames", type=argparse.FileType("w"), help="write the frames' numbers here")
    parser.add_argument("values", type=argparse.FileType("r", errors="replace"), help="output of tshark -G values")
    options = parser.parse_args()
    known = parse_values(options.values)
    if options.filter:
        print(display_filter(known))
        return 0
    news = read(sys.stdin.buffer, known)
    news.print(sys.stdout)
    if options.frames:
        options.frames.writelines(f"{frame}\n" for frame in news.frames)
    return bool(news.rows)


if __name__ == "__main__":
    sys.exit(main())
