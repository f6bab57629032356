# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP of the Viceroy stack and its SDP.

Header order: start line, Via, Max-Forwards, To, From, Call-ID, CSeq, Contact, User-Agent,
Content-Type, Content-Encoding, Content-Length, SKESeq, Reason. Since about 2013 in compact form
(v t f i m c e l) with a deflated body; in 2010 in long form and plain.
"""

import struct
import zlib

from . import Wire

COMPACT = {"Via": "v", "To": "t", "From": "f", "Call-ID": "i", "Contact": "m", "Content-Type": "c",
           "Content-Encoding": "e", "Content-Length": "l"}
VICEROY_2010, VICEROY_2015 = "Viceroy 1.4.1", "Viceroy 1.7.0/GK"
REASONS = {100: "Trying", 180: "Ringing", 200: "OK", 407: "Proxy Authentication Required", 486: "Busy Here",
           487: "Request Terminated", 488: "Not Acceptable Here", 603: "Decline"}


def _raw_deflate(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


def _gzip(data):
    """By hand: the header that Python writes changes from version to version."""
    end = struct.pack("<II", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03" + _raw_deflate(data) + end


# Content-Encoding: (header value, coder)
CODINGS = {
    "none": (None, lambda data: data),
    "zlib": ("deflate", lambda data: zlib.compress(data, 9)),
    "raw": ("deflate", _raw_deflate),
    "gzip": ("gzip", _gzip),
}


class Body:
    """What follows the blank line, and the headers that speak of it.

    coding: a key of CODINGS. The rest is for messages that lie: coded = other bytes than the coding
    makes of `plain`, encoding and length = other values of Content-Encoding and Content-Length.
    """

    def __init__(self, plain, content_type, coding="none", coded=None, encoding=None, length=None,
                 damage=None):
        name, coder = CODINGS[coding]
        self.plain, self.content_type, self.coding, self.damage = plain, content_type, coding, damage
        self.coded = coder(plain) if coded is None else coded
        self.encoding = name if encoding is None else encoding
        self.length = len(self.coded) if length is None else length

    def headers(self):
        yield "Content-Type", self.content_type
        if self.encoding:
            yield "Content-Encoding", self.encoding
        yield "Content-Length", str(self.length)

    def truth(self):
        """(entries of truth["sip"], fields)"""
        text = self.plain.decode() if _is_text(self.plain) else self.plain.hex()
        fields = {"facetime_sip.coding": [list(CODINGS).index(self.coding)]} if self.coded else {}
        if self.coding != "none" and not self.damage:
            fields["facetime_sip.inflated_length"] = [len(self.plain)]
        return {"content_type": self.content_type, "body": text, "damage": self.damage}, fields


def _is_text(body):
    return all(byte in (9, 10, 13) or 32 <= byte < 127 for byte in body)


class Dialog:
    """The constants of one SIP dialog: who talks to whom under which names.

    The caller of the dialog is who sends the INVITE, whoever dialled.
    """

    def __init__(self, rng, caller, callee, names=("101", "102"), agent=VICEROY_2015, compact=True):
        """caller, callee: the (address, port) written in the URIs."""
        self.ends = {"caller": caller, "callee": callee}
        self.names = dict(zip(("caller", "callee"), names))
        self.tags = {who: str(rng.getrandbits(31)) for who in self.ends}
        number = f"{rng.getrandbits(128):032x}"
        uuid = "-".join((number[:8], number[8:12], number[12:16], number[16:20], number[20:]))
        self.call_id = f"{uuid}@{caller[0].replace('.', '-').replace(':', '-')}"
        self.rng, self.agent, self.short = rng, agent, COMPACT if compact else {}
        self.branches = {}

    def request(self, method, sender, cseq, body=None, ske_seq=None, reason=None, again=False):
        """again: an INVITE inside the dialog, which names both ends by their tags."""
        start = f"{method} {self._uri(OTHER[sender])} SIP/2.0"
        key = (sender, cseq, method == "ACK")
        headers = [("Via", self._via(sender, key)), ("Max-Forwards", "70")]
        headers += self._names(sender, method, cseq, again or method not in ("INVITE", "CANCEL"))
        if method == "INVITE":
            headers.append(self._contact(sender))
        return self._write(start, headers, body, ske_seq, reason,
                           {"method": method, "status": None, "cseq": cseq})

    def response(self, status, method, sender, cseq, body=None, ske_seq=None):
        """`sender` answers a request of the other end."""
        start = f"SIP/2.0 {status} {REASONS[status]}"
        headers = [("Via", self._via(OTHER[sender], (OTHER[sender], cseq, False)))]
        headers += self._names(OTHER[sender], method, cseq, status > 100)
        if method == "INVITE" and status == 200:
            headers.append(self._contact(sender))
        return self._write(start, headers, body, ske_seq, None,
                           {"method": method, "status": status, "cseq": cseq})

    def _uri(self, who):
        ip, port = self.ends[who]
        return f"sip:user@{_host(ip)}" + (f":{port}" if port != 5060 else "")

    def _via(self, requester, key):
        """One branch a transaction: a response finds its request's again."""
        if key not in self.branches:
            self.branches[key] = f"z9hG4bK{self.rng.getrandbits(64):016x}"
        ip, port = self.ends[requester]
        return f"SIP/2.0/UDP {_host(ip)}:{port};branch={self.branches[key]}"

    def _party(self, who, tagged):
        return f'"{self.names[who]}" <{self._uri(who)}>' + (f";tag={self.tags[who]}" if tagged else "")

    def _names(self, requester, method, cseq, to_tagged):
        return [("To", self._party(OTHER[requester], to_tagged)), ("From", self._party(requester, True)),
                ("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}")]

    def _contact(self, who):
        return "Contact", f"<{self._uri(who)}>;isfocus"

    def _write(self, start, headers, body, ske_seq, reason, sip):
        headers.append(("User-Agent", self.agent))
        headers += body.headers() if body else [("Content-Length", "0")]
        sip, fields = {**sip, "call_id": self.call_id}, {}
        if body:
            more, fields = body.truth()
            sip.update(more)
        if ske_seq:
            headers.append(("SKESeq", "%d;%d" % ske_seq))
            fields["facetime_sip.ske.sequence"] = [ske_seq[0]]
            fields["facetime_sip.ske.fragment"] = [ske_seq[1]]
        if reason:
            headers.append(("Reason", reason))
        lines = [start] + [f"{self.short.get(name, name)}: {value}" for name, value in headers]
        text = "\r\n".join(lines) + "\r\n\r\n"
        return Wire(text.encode() + (body.coded if body else b""), kind="sip", generation="legacy",
                    sip=sip, fields=fields)


OTHER = {"caller": "callee", "callee": "caller"}


def _host(ip):
    return f"[{ip}]" if ":" in ip else ip


# --- SDP ----------------------------------------------------------------------------------------

FEATURES_123 = "FLS;VRA:0;MVRA:0;RVRA1:1;AS:2;MS:-1;LTR;CABAC;CR:3;LF:-1;PR;AR:4/3,3/4;XR;"
FEATURES_100 = "FLS;RVRA1:0;PR;LF:-1;CR:1;CF:2;AR:4/3,3/4;XR;"

SENDABLE = ("[x=320,y=240,fps=30] [x=480,y=368,fps=30] [x=640,y=480,fps=30] [x=1024,y=768,fps=30] "
            "[x=1280,y=720,fps=30]")
RECEIVABLE = "[x=320,y=240,fps=15] [x=640,y=480,fps=30] [x=1024,y=768,fps=30,q=1.00] [x=1280,y=720,fps=30]"
CELLULAR = "[x=320,y=240,fps=15,i=1]"
RULES = "imagesize 0 rules 15:320:240:320:240:15"

OFFER_2015 = f"""\
v=0
o=GKVoiceChatService 0 0 IN {{family}} {{ip}}
s=mobile
c=IN {{family}} {{ip}}
b=AS:2000
t=0 0
a={FEATURES_123}
a=X_FLS:123 {FEATURES_123}
a=X_FLS:100 {FEATURES_100}
a=DMBR
a=CAP
m=audio {{port}} RTP/AVP 104 105 106 9 0 124 122 121 119
a=rtcp:{{port}}
a=fmtp:104 SamplesPerBlock 480
a=rtpID:{{audio}}
a=au:65792
a=fmtp:104 sbr;block 480
a=fmtp:105 sbr;block 480
a=fmtp:106 sec;sbr;block 480
a=fmtp:122 sec
a=fmtp:121 sec
a=fmtp:119 sec
m=video {{port}} RTP/AVP 126 123 100
a=rtcp:{{port}}
a=rtpID:{{video}}
a=rtpmap:126 X-H264/90000
a=fmtp:126 {RULES}
a=rtpmap:123 H264/90000
a=fmtp:123 {RULES}
a=rtpmap:100 HEVC/90000
a=fmtp:100 {RULES}
a=imageattr:126 send {SENDABLE} recv {RECEIVABLE}
a=imageattr:123 send {SENDABLE} {CELLULAR} recv {RECEIVABLE} {CELLULAR}
a=imageattr:100 recv {CELLULAR}
"""

ANSWER_2015 = f"""\
v=0
o=GKVoiceChatService 0 0 IN {{family}} {{ip}}
s=mobile
c=IN {{family}} {{ip}}
b=AS:2000:2000
t=0 0
a=X_FLS:123 {FEATURES_123}
a=X_FLS:100 {FEATURES_100}
a=DMBR
a=CAP
m=audio {{port}} RTP/AVP 104 106 121 122 119
a=rtcp:{{port}}
a=fmtp:AAC SamplesPerBlock 480
a=rtpID:{{audio}}
a=au:65792
a=fmtp:104 sbr;block 480
a=fmtp:106 sec;sbr;block 480
a=fmtp:121 sec
a=fmtp:122 sec
a=fmtp:119 sec
m=video {{port}} RTP/AVP 123 100
a=rtcp:{{port}}
a=rtpID:{{video}}
a=rtpmap:123 H264/90000
a=fmtp:123 {RULES}
a=rtpmap:100 HEVC/90000
a=fmtp:100 {RULES}
a=imageattr:123 send [x=1024,y=768,fps=30] {CELLULAR} recv [x=1024,y=768,fps=30,q=1.00] {CELLULAR}
"""

OFFER_2010 = """\
v=0
o=thiago 0 0 IN {family} {ip}
s=1021
c=IN {family} {ip}
b=AS:250
t=0 0
a=FLS;VRA:0;RVRA:1;AS:2
a=hwi:17412:2:2800
a=multipoint:1
a=iChatEncryption:YES
a=bandwidthDetection:NO
m=audio {port} RTP/AVP 105 0
a=rtcp:{port}
a=rtpmap:105 X-AAC_ELD/22050
a=rtpmap:0 PCMU/8000
a=rtpID:{audio}
a=fmtp:AAC SamplesPerBlock 480
m=video {port} RTP/AVP 123 126 34
a=rtcp:{port}
a=rtpmap:123 H264/90000
a=rtpmap:126 X-H264/90000
a=rtpmap:34 H263/90000
a=fmtp:34 imagesize 0
a=framerate:15
a=RTCP:AUDIO {port} VIDEO {port}
a=fmtp:126 imagesize 0 rules 15:320:240:320:240:15
a=fmtp:123 imagesize 0 rules 15:320:240:320:240:15
a=rtpID:{video}
"""


def sdp(template, addr, audio, video):
    """The text as it goes on the wire (CRLF); audio and video are the rtpID of each, the SSRCs."""
    text = template.format(family="IP6" if ":" in addr[0] else "IP4", ip=addr[0], port=addr[1],
                           audio=audio, video=video)
    return text.replace("\n", "\r\n").encode()
