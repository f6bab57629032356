# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP and SDP: every text of the user's is overwritten, whatever the line.

Each kind of line has a vocabulary, the words and numbers that may stay. Addresses and UUIDs get their stand-ins
wherever they are, and every other word is overwritten. Lines that aren't known are overwritten whole.
"""

import ipaddress
import re

from . import deflate

METHODS = b"INVITE ACK BYE CANCEL MESSAGE OPTIONS INFO NOTIFY REFER UPDATE SUBSCRIBE PUBLISH PRACK REGISTER"
_START = re.compile(rb"(?:%s) (?i:sips?|tel):|SIP/2\.0 " % METHODS.replace(b" ", b"|"))

COMPACT = {b"v": b"via", b"t": b"to", b"f": b"from", b"i": b"call-id", b"m": b"contact", b"c": b"content-type",
           b"e": b"content-encoding", b"l": b"content-length", b"o": b"event", b"u": b"allow-events",
           b"r": b"refer-to"}


# Vocabularies

def _known(words=b"", *forms):
    """Matches these words and these regular expressions."""
    return re.compile(b"|".join([*map(re.escape, words.split()), *forms]), re.I)


NOTHING = _known()
FLAGS = _known(b"isfocus lr rport")
MEDIA_TYPES = _known(b"application text plain sdp ske")
EVENTS = _known(b"conference dialog presence refer")
REQUEST = _known(METHODS + b" SIP 2.0")
REASON = _known(b"SIP Q.850 Remote Hang Up Normal Call Termination", rb"\d{1,4}")

PHRASES = {
    b"Trying", b"Ringing", b"Call Is Being Forwarded", b"Queued", b"Session Progress", b"OK", b"Accepted",
    b"Moved Permanently", b"Moved Temporarily", b"Bad Request", b"Unauthorized", b"Forbidden", b"Not Found",
    b"Method Not Allowed", b"Not Acceptable", b"Request Timeout", b"Gone", b"Request Entity Too Large",
    b"Unsupported Media Type", b"Bad Extension", b"Temporarily Unavailable", b"Call/Transaction Does Not Exist",
    b"Loop Detected", b"Too Many Hops", b"Busy Here", b"Request Terminated", b"Not Acceptable Here", b"Bad Event",
    b"Request Pending", b"Server Internal Error", b"Not Implemented", b"Service Unavailable", b"Server Time-out",
    b"Version Not Supported", b"Busy Everywhere", b"Decline", b"Does Not Exist Anywhere"}

HEADERS = {
    b"via": FLAGS, b"to": FLAGS, b"from": FLAGS, b"contact": FLAGS, b"refer-to": FLAGS,
    b"max-forwards": _known(b"", rb"\d{1,3}"),
    b"cseq": _known(METHODS, rb"\d{1,10}"),
    b"allow": _known(METHODS),
    b"event": EVENTS, b"allow-events": EVENTS,
    b"accept": MEDIA_TYPES, b"content-type": MEDIA_TYPES,
    b"content-encoding": _known(b"deflate x-deflate gzip x-gzip identity"),
    b"content-length": _known(b"", rb"\d{1,10}"),
    b"expires": _known(b"", rb"\d{1,10}"), b"min-expires": _known(b"", rb"\d{1,10}"),
    b"subscription-state": _known(b"active pending terminated"),
    b"user-agent": _known(b"Viceroy GK", rb"\d{1,2}(?:\.\d{1,2}){1,2}"),
    b"skeseq": _known(b"", rb"\d{1,20}"),
    b"reason": REASON,
}
# Their values are overwritten whole. So are the names of others.
MASKED_HEADERS = {b"call-id", b"subject", b"s", b"supported", b"k", b"require", b"server", b"date", b"warning",
                  b"record-route", b"route", b"organization"}

# ;name=value of headers and URIs. Others lose their names, too.
PARAMETERS = {
    b"tag": _known(b"", rb"\d{1,64}|[0-9a-f]{8,64}"),
    b"branch": _known(b"", rb"z9hG4bK[0-9a-f]*"),
    b"received": NOTHING, b"maddr": NOTHING,
    b"rport": _known(b"", rb"\d{1,5}"), b"ttl": _known(b"", rb"\d{1,3}"),
    b"transport": _known(b"udp tcp tls"), b"user": _known(b"ip phone"), b"method": _known(METHODS),
    b"expires": _known(b"", rb"\d{1,10}"), b"q": _known(b"", rb"[01](?:\.\d{1,3})?"),
    b"cause": _known(b"", rb"\d{1,5}"), b"text": REASON,
    b"charset": _known(b"utf-8 us-ascii"),
}

PLACE = _known(b"IN IP4 IP6", rb"(?<=/)\d{1,3}")
ORIGIN = _known(b"IN IP4 IP6 GKVoiceChatService", rb"\d")
SESSIONS = {b"mobile", b"-", b" ", b""}
LINES = {
    b"v=": _known(b"0"),
    b"c=": PLACE,
    b"b=": _known(b"AS CT TIAS RS RR", rb"\d{1,9}|AS(?::\d{1,9}){2}"),
    b"t=": _known(b"", rb"\d{1,10}"), b"r=": _known(b"", rb"-?\d{1,10}[dhms]?"),
    b"m=": _known(b"audio video text application message RTP AVP AVPF SAVP SAVPF UDP TCP TLS", rb"\d{1,5}"),
}

CODECS = (b"AAC AAC-ELD X-AAC_ELD AMR AMR-WB CN EVS G722 H263 H263-1998 H263-2000 H264 H265 HEVC X-H264 iLBC opus PCMA "
          b"PCMU RED Speex telephone-event ")
FEATURES = _known(b"FLS VRA MVRA RVRA RVRA1 RVRA2 UEP AS MS LTR CABAC CR LF PR CF AR XR XRF VRAE SW POS EOD HTS RR POSE",
                  rb"-?\d{1,4}")
YES_NO = _known(b"YES NO 1 0")
ATTRIBUTES = {
    b"FLS": FEATURES, b"X_FLS": FEATURES,
    b"DMBR": NOTHING, b"CAP": NOTHING, b"allowrecording": YES_NO,
    b"hwi": _known(b"", rb"\d{1,6}(?::\d{1,6}){0,3}|:\d{1,6}(?::\d{1,6}){1,3}"),
    b"multipoint": YES_NO, b"iChatEncryption": YES_NO, b"bandwidthDetection": YES_NO,
    b"BBCODEC": _known(CODECS, rb"\d{1,6}"),
    b"rtcp": _known(b"IN IP4 IP6", rb"(?<=^:)\d{1,5}"),
    b"RTCP": _known(b"AUDIO VIDEO", rb"\d{1,5}"),
    b"rtpID": _known(b"", rb"\d{1,10}"),
    b"au": _known(b"", rb"\d{1,6}"),
    b"fmtp": _known(CODECS + b"SamplesPerBlock sbr sec block imagesize rules", rb"\d{1,5}(?::\d{1,4}){0,5}"),
    b"imageattr": _known(b"send recv x y fps i q", rb"\d{1,5}(?::\d{1,5}){0,2}|[01]\.\d{1,3}|(?<=fps=)\d{1,3}\.\d{1,3}"),
    b"rtpmap": _known(CODECS, rb"\d{1,6}"),
    b"framerate": _known(b"", rb"\d{1,3}(?:\.\d{1,3})?"),
    b"rtcp-fb": _known(b"ack nack pli sli rpsi ccm fir tmmbr", rb"\d{1,3}"),
    b"sendrecv": NOTHING, b"sendonly": NOTHING, b"recvonly": NOTHING, b"inactive": NOTHING,
    b"ptime": _known(b"", rb"\d{1,4}"), b"maxptime": _known(b"", rb"\d{1,4}"),
}
NOTICES = {b"VCHandoverCandidateChange"}


# Pieces of text

_UUID = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
# A URI or the place of a Via; a UUID; four numbers, or what may be an IPv6 address; a word.
_PIECE = re.compile(rb"""
    (?P<place> (?<![\w.+-]) (?: (?:sips?|tel|mailto|im|xmpp): | SIP/2\.0/(?:UDP|TCP|TLS)[ \t]+ ) )
        (?: (?P<user> [^@<>";,\s?]* ) @ )?  (?P<host> [^<>";,\s?/]* )
  | (?P<uuid> %(uuid)s )
  | (?P<address> \d{1,3} (?:\.\d{1,3}){3} (?!\w|\.\d|::) | %(word)s* (?: :%(word)s* ){2,} )
  | %(word)s+
    """ % {b"uuid": _UUID.pattern, b"word": rb'[^\s;,=:"<>()\[\]/@*?&{}|]'}, re.I | re.X)
_FIELD = re.compile(rb"""
    (?P<start> ;\s* ) (?P<name> [^\s;,=<>"]+ ) (?P<is> \s*=\s* ) (?P<value> "(?:[^"\\]|\\.)*" | [^\s;,<>"]* )
  | (?P<quoted> "(?:[^"\\]|\\.)*" )
  | ;?[^";]+ | .
    """, re.S | re.X)
_HOST_PORT = re.compile(rb"(\[[^\]]*\]|[^:\[\]]*)(:\d{1,5})?")
_ORIGIN = re.compile(rb"(.*?)((?: \d{1,6}){2} IN IP[46] )(.*)")
_PUNCTUATION = bytes(byte for byte in range(33, 127) if not chr(byte).isalnum())
_COMPRESSED = re.compile(rb"^(?:content-encoding|e)[ \t]*:[ \t]*(?:x-)?(?:deflate|gzip)", re.I | re.M)


def is_sip(data):
    return _START.match(data) is not None


def _is_address(text):
    try:
        return ipaddress.ip_address(text.decode())
    except ValueError:
        return None


class Sip:
    """mask: a Mask. bodies: takes (stream, new text) of each compressed body. lost: text bytes given up."""

    def __init__(self, mask):
        self.mask, self.bodies, self.lost = mask, [], 0

    def words(self, text, known):
        """Only what is known stays."""
        return _PIECE.sub(lambda match: self.piece(match, known), text)

    def piece(self, match, known):
        text = match[0]
        if match["place"]:
            user = match["user"]
            at = b"" if user is None else (user if user == b"user" else self.mask.text(user)) + b"@"
            return match["place"] + at + self.host_port(match["host"])
        if match["uuid"]:
            return self.mask.uuid_text(text)
        return (match["address"] and self.address(text)
                or (text if known.fullmatch(match.string, *match.span()) else self.masked(text)))

    def masked(self, text):
        """Punctuation in front stays, so that what stood apart from the text before it does so again."""
        core = text.lstrip(_PUNCTUATION)
        return text[:len(text) - len(core)] + self.mask.text(core)

    def address(self, text):
        """An address, or a bare IPv6 address and a port or a full stop; else None."""
        found = _is_address(text)
        if not found:
            host, end = re.fullmatch(rb"(.*?)(:\d{1,5}|\.)?", text, re.S).groups()
            return self.address(host) + end if _is_address(host) else None
        if found.version == 4:
            return self.mask.ipv4_text(text)
        if b"." in text:                            # an IPv4 address in its last half
            head, colon, tail = text.rpartition(b":")
            return head + colon + self.mask.ipv4_text(tail)
        return self.mask.ipv6_text(text)

    def host(self, text):
        """An address, with or without brackets, or a name."""
        bare = text.strip(b"[]")
        return text.replace(bare, self.address(bare)) if _is_address(bare) else self.mask.text(text)

    def host_port(self, text):
        found = _HOST_PORT.fullmatch(text)
        if found:
            return self.host(found[1]) + (found[2] or b"")
        return self.address(text) or self.mask.text(text)

    def value(self, text, known):
        """A header's: words, URIs, quoted strings, parameters."""
        return _FIELD.sub(lambda match: self.field(match, known), text)

    def field(self, match, known):
        if match["quoted"]:
            return self.quoted(match[0], known)
        if not match["name"]:
            return self.words(match[0], known)
        name, value = match["name"], match["value"]
        known = PARAMETERS.get(name.lower())
        if known is None:
            name, known = self.mask.text(name), NOTHING
        wash = self.quoted if value.startswith(b'"') else self.words
        return match["start"] + name + match["is"] + wash(value, known)

    def quoted(self, text, known):
        inner = text[1:-1]
        if all(known.fullmatch(piece[0]) for piece in _PIECE.finditer(inner)):
            return text
        return b'"' + self.mask.text(inner) + b'"'

    def call_id(self, value):
        """A UUID, then an address with dashes in place of dots or colons."""
        before, at, host = value.rpartition(b"@")
        if not at:
            before, host = host, before
        parts = re.split(b"(?<![^-])(%s)(?![^-])" % _UUID.pattern, before)
        if len(parts) == 1:
            before = self.mask.text(before)
        else:                                       # texts and UUIDs in turn
            parts[::2] = [re.sub(rb"[^-]+", lambda word: self.mask.text(word[0]), part) for part in parts[::2]]
            parts[1::2] = map(self.mask.uuid_text, parts[1::2])
            before = b"".join(parts)
        for mark in (b".", b":"):
            if _is_address(host.replace(b"-", mark)):
                return before + at + self.address(host.replace(b"-", mark)).replace(mark, b"-")
        return before + at + (host if host == b"addressid" else self.host(host))

    def start(self, line):
        found = re.fullmatch(rb"(SIP/2\.0 \d{3} )(.*?)(\r?)", line, re.S)
        if not found:
            return self.value(line, REQUEST)
        status, phrase, end = found.groups()
        return status + (phrase if phrase in PHRASES else self.mask.text(phrase)) + end

    def header(self, line):
        name, colon, value = line.partition(b":")
        if not colon:
            return self.mask.text(line)
        space = value[:len(value) - len(value.lstrip())]
        value = value[len(space):]
        key = COMPACT.get(name.strip().lower(), name.strip().lower())
        if key == b"call-id":
            value = self.call_id(value)
        elif key in HEADERS:
            value = self.value(value, HEADERS[key])
        else:
            value = self.mask.text(value)
        if key not in HEADERS and key not in MASKED_HEADERS:
            name = self.mask.text(name)
        return name + colon + space + value

    # bodies

    def sdp_line(self, line):
        kind, value = line[:2], line[2:]
        if kind in LINES:
            return kind + self.words(value, LINES[kind])
        if kind == b"s=" and value in SESSIONS:
            return line
        if kind == b"o=":
            return kind + self.origin(value)
        if kind == b"a=":
            name = re.match(rb"[\w-]*", value)[0]
            if name in ATTRIBUTES:
                return kind + name + self.words(value[len(name):], ATTRIBUTES[name])
        return kind + self.mask.text(value) if kind[1:] == b"=" else self.mask.text(line)

    def origin(self, value):
        """Name, which may have spaces, two numbers, IN IP4 or IP6, address."""
        found = _ORIGIN.fullmatch(value)
        if not found:
            return self.words(value, ORIGIN)
        name, numbers, address = found.groups()
        return (name if ORIGIN.fullmatch(name) else self.masked(name)) + numbers + self.words(address, PLACE)

    def sdp(self, text):
        return self.lines(text, self.sdp_line)

    def notice(self, text):
        """PING, or key:value."""
        key, colon, value = text.partition(b":")
        if text.strip() == b"PING":
            return text
        return key + colon + self.mask.text(value) if key in NOTICES else self.mask.text(text)

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
        large = len(stream.plain) >= deflate.LARGE
        plain = b"x" * len(stream.plain) if large else self.plain_body(stream.plain, content_type)
        self.bodies.append((stream, plain))
        # nobody knows what follows a break, or the part that is looked at
        if plain == stream.plain and stream.state != deflate.CORRUPT and not large:
            return deflate.neutral_head(stream) + body[len(stream.head):size] + rest
        made, lost = deflate.write(stream, plain)
        self.lost += lost
        return made + rest

    def message(self, data):
        head, blank, body = data.partition(b"\r\n\r\n")
        if not blank:
            head, blank, body = data.partition(b"\n\n")
        start, *headers = re.split(rb"\n(?![ \t])", head)       # a folded header is one
        lines = [self.start(start)]
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
