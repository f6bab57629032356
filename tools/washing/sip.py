# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP and SDP: every text of the user's is overwritten, whatever the line. Lines that aren't known to be free of such
texts are overwritten whole."""

import ipaddress
import re

from . import deflate

STARTS = (b"INVITE sip:", b"ACK sip:", b"BYE sip:", b"CANCEL sip:", b"MESSAGE sip:", b"OPTIONS sip:", b"INFO sip:",
          b"NOTIFY sip:", b"REFER sip:", b"UPDATE sip:", b"SIP/2.0 ")

COMPACT = {b"v": b"via", b"t": b"to", b"f": b"from", b"i": b"call-id", b"m": b"contact", b"c": b"content-type",
           b"e": b"content-encoding", b"l": b"content-length", b"o": b"event", b"u": b"allow-events",
           b"r": b"refer-to"}
PARTIES = {b"to", b"from", b"contact", b"refer-to"}
PLAIN_HEADERS = {b"via", b"max-forwards", b"cseq", b"content-type", b"content-encoding", b"content-length", b"skeseq",
                 b"reason", b"allow", b"event", b"allow-events", b"accept", b"expires", b"min-expires",
                 b"subscription-state"}
PLAIN_ATTRIBUTES = {b"FLS", b"X_FLS", b"DMBR", b"CAP", b"hwi", b"multipoint", b"iChatEncryption",
                    b"bandwidthDetection", b"BBCODEC", b"allowrecording", b"rtcp", b"RTCP", b"rtpID", b"au", b"fmtp",
                    b"imageattr", b"rtpmap", b"framerate", b"rtcp-fb", b"sendrecv", b"sendonly", b"recvonly",
                    b"inactive", b"ptime", b"maxptime"}
ORIGINS = {b"GKVoiceChatService", b"-"}
SESSIONS = {b"mobile", b"-", b" ", b""}

_UUID = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
_IPV4 = re.compile(rb"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]|\.\d)")
_IPV6 = re.compile(rb"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:.])")
_MAIL = re.compile(rb"[\w.+-]+@(?!\d+\.\d+\.\d+\.\d+)[A-Za-z][\w-]*(?:\.[\w-]+)+")
_PHONE = re.compile(rb"(?<![\w+])\+\d{5,15}(?!\w)")
_QUOTED = re.compile(rb'"([^"]*)"')
_URI = re.compile(rb"(sips?:)(?:([^@<>;\s]*)@)?(\[[^\]]*\]|[^:;<>\s\"]*)")
_COMPRESSED = re.compile(rb"^(?:content-encoding|e)[ \t]*:[ \t]*(?:x-)?(?:deflate|gzip)", re.I | re.M)


def is_sip(data):
    return data.startswith(STARTS)


def _is_address(text):
    try:
        return ipaddress.ip_address(text.decode())
    except (ValueError, UnicodeDecodeError):
        return None


class Sip:
    """mask: a Mask. bodies: takes (stream, new text) of each compressed body. lost: text bytes given up."""

    def __init__(self, mask):
        self.mask, self.bodies, self.lost = mask, [], 0

    def literals(self, text):
        """Addresses, UUIDs, mail addresses and phone numbers wherever they stand in a line."""
        text = _MAIL.sub(lambda m: self.mask.text(m[0]), text)
        text = _PHONE.sub(lambda m: b"+" + self.mask.text(m[0][1:]), text)
        text = _UUID.sub(lambda m: self.mask.uuid_text(m[0]), text)
        text = _IPV4.sub(lambda m: self.mask.ipv4_text(m[0]), text)
        return _IPV6.sub(lambda m: self.mask.ipv6_text(m[0]) if _is_address(m[0]) else m[0], text)

    def host(self, text):
        bare = text.strip(b"[]")
        return self.literals(text) if _is_address(bare) or not text else self.mask.text(text)

    def uri(self, text):
        def one(match):
            scheme, user, host = match.groups()
            if user is not None:
                user = (user if user == b"user" else self.mask.text(user)) + b"@"
            return scheme + (user or b"") + self.host(host)
        return _URI.sub(one, text)

    def party(self, value):
        """"name" <uri>;params, or name <uri>, or a bare URI."""
        name, bracket, rest = value.partition(b"<")
        if not bracket:
            return self.literals(self.uri(value))
        quoted = _QUOTED.search(name)
        if quoted:
            name = name[:quoted.start(1)] + self.mask.text(quoted[1]) + name[quoted.end(1):]
        elif name.strip():
            bare = name.strip()
            name = name.replace(bare, self.mask.text(bare))
        return name + bracket + self.literals(self.uri(rest))

    def call_id(self, value):
        """A UUID, then an address with dashes in place of dots or colons."""
        before, at, host = value.rpartition(b"@")
        if not at:
            return self.literals(value) if _UUID.search(value) else self.mask.text(value)
        before = self.literals(before) if _UUID.search(before) else self.mask.text(before)
        for mark in (b".", b":"):
            if _is_address(host.replace(b"-", mark)):
                return before + at + self.literals(host.replace(b"-", mark)).replace(mark, b"-")
        return before + at + (host if host == b"addressid" else self.host(host))

    def header(self, line):
        name, colon, value = line.partition(b":")
        space = value[:len(value) - len(value.lstrip(b" \t"))]
        value = value[len(space):]
        key = COMPACT.get(name.strip().lower(), name.strip().lower())
        if not colon:
            return self.mask.text(line)
        if key in PARTIES:
            value = self.party(value)
        elif key == b"call-id":
            value = self.call_id(value)
        elif key in PLAIN_HEADERS or key == b"user-agent" and value.startswith(b"Viceroy"):
            value = self.via(value) if key == b"via" else self.literals(value)
        else:
            value = self.mask.text(value)
        return name + colon + space + value

    def via(self, value):
        """A host that isn't an address is a name."""
        protocol, space, rest = value.partition(b" ")
        host, mark, params = re.fullmatch(rb"(\[[^\]]*\]|[^:;]*)([:;]?)(.*)", rest, re.S).groups()
        return protocol + space + self.host(host) + mark + self.literals(params)

    # bodies

    def sdp_line(self, line):
        kind, value = line[:2], line[2:]
        if kind in (b"v=", b"t=", b"b=", b"m=", b"r="):
            return kind + self.literals(value)
        if kind == b"o=":
            name, space, rest = value.partition(b" ")
            return kind + (name if name in ORIGINS else self.mask.text(name)) + space + self.last_word(rest)
        if kind == b"c=":
            return kind + self.last_word(value)
        if kind == b"s=":
            return kind + (value if value in SESSIONS else self.mask.text(value))
        if kind == b"a=":
            name = re.match(rb"[\w-]*", value)[0]
            rest = value[len(name):]
            return kind + name + (self.literals(rest) if name in PLAIN_ATTRIBUTES else
                                  rest[:1] + self.mask.text(rest[1:]))
        return kind + self.mask.text(value) if kind[1:] == b"=" else self.mask.text(line)

    def last_word(self, text):
        """The address of o= and c=, which may be a host's name."""
        before, space, last = text.rpartition(b" ")
        address, slash, rest = last.partition(b"/")
        return self.literals(before) + space + self.host(address) + slash + rest

    def sdp(self, text):
        return self.lines(text, self.sdp_line)

    def notice(self, text):
        """PING, or key:value."""
        key, colon, value = text.partition(b":")
        if text.strip() == b"PING":
            return text
        return key + colon + self.mask.text(value) if colon and re.fullmatch(rb"\w+", key) else self.mask.text(text)

    @staticmethod
    def lines(text, wash):
        out = []
        for line in text.split(b"\n"):
            bare = line.rstrip(b"\r")
            out.append((wash(bare) if bare else bare) + line[len(bare):])
        return b"\n".join(out)

    def plain_body(self, body, content_type):
        if not body.strip():
            return body
        if content_type.startswith(b"application/sdp") or body.startswith(b"v=0"):
            return self.sdp(body)
        if content_type.startswith(b"text/"):
            return self.lines(body, self.notice)
        return self.mask.opaque(body)

    def compressed_body(self, body, content_type):
        stream = deflate.read(body)
        if not stream:
            return self.plain_body(body, content_type) if body[:2] == b"v=" else self.mask.opaque(body)
        size = len(stream.head) + stream.size + len(stream.trailer)
        rest = self.mask.opaque(body[size:])
        if len(stream.plain) >= deflate.LARGE:
            plain = b"x" * len(stream.plain)
        else:
            plain = self.plain_body(stream.plain, content_type)
        self.bodies.append((stream, plain))
        if plain == stream.plain and stream.state != deflate.CORRUPT:    # nobody knows what follows a break
            return body[:size] + rest
        made, lost = deflate.write(stream, plain)
        self.lost += lost
        return made + rest

    def message(self, data):
        head, blank, body = data.partition(b"\r\n\r\n")
        if not blank:
            head, blank, body = data.partition(b"\n\n")
        start, *headers = head.split(b"\n")
        lines = [self.literals(self.uri(start))]
        for line in headers:
            bare = line.rstrip(b"\r")
            lines.append((self.header(bare) if bare else b"") + line[len(bare):])
        found = re.search(rb"^(?:content-type|c)[ \t]*:[ \t]*([^\r\n;]*)", head, re.I | re.M)
        content_type = found[1].strip().lower() if found else b""
        if not body:
            return b"\n".join(lines) + blank
        if _COMPRESSED.search(head) or body[:2] == b"\x1f\x8b":
            body = self.compressed_body(body, content_type)
        else:
            body = self.plain_body(body, content_type)
        return b"\n".join(lines) + blank + body
