# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP of the Viceroy stack and its SDP.

Header order: start line, Via, Max-Forwards, To, From, Call-ID, CSeq, Contact, User-Agent,
Content-Type, Content-Encoding, Content-Length, SKESeq, Reason. Since about 2013 in compact form
(v t f i m c e l) with a deflated body; in 2010 in long form and plain.
"""

import gzip
import zlib

from . import Wire

COMPACT = {"Via": "v", "To": "t", "From": "f", "Call-ID": "i", "Contact": "m", "Content-Type": "c",
           "Content-Encoding": "e", "Content-Length": "l"}
VICEROY_2010, VICEROY_2015 = "Viceroy 1.4.1", "Viceroy 1.7.0/GK"
REASONS = {100: "Trying", 180: "Ringing", 200: "OK", 603: "Decline"}


def _raw_deflate(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


# Content-Encoding: (header value, coder)
CODINGS = {
    "none": (None, lambda data: data),
    "zlib": ("deflate", lambda data: zlib.compress(data, 9)),
    "raw": ("deflate", _raw_deflate),
    "gzip": ("gzip", lambda data: gzip.compress(data, 9, mtime=0)),
}


class Dialog:
    """The constants of one SIP dialog: who talks to whom under which names."""

    def __init__(self, rng, caller, callee, names=("101", "102"), agent=VICEROY_2015, compact=True,
                 coding="zlib", isfocus=True):
        """caller, callee: (address, port) written in the URIs; caller is who sends the INVITE."""
        self.ends = {"caller": caller, "callee": callee}
        self.names = dict(zip(("caller", "callee"), names))
        self.tags = {"caller": str(rng.getrandbits(31)), "callee": str(rng.getrandbits(31))}
        number = f"{rng.getrandbits(128):032x}"
        self.uuid = "-".join((number[:8], number[8:12], number[12:16], number[16:20], number[20:]))
        self.call_id = f"{self.uuid}@{caller[0].replace('.', '-').replace(':', '-')}"
        self.rng, self.agent, self.compact, self.coding = rng, agent, compact, coding
        self.isfocus = isfocus
        self.branches = {}

    def _uri(self, who):
        ip, port = self.ends[who]
        host = f"[{ip}]" if ":" in ip else ip
        return f"sip:user@{host}" + (f":{port}" if port != 5060 else "")

    def _party(self, who, tagged):
        tag = f";tag={self.tags[who]}" if tagged else ""
        return f'"{self.names[who]}" <{self._uri(who)}>{tag}'

    def _via(self, frm, key):
        """One branch a transaction: a response and an ACK's repeat find the same again."""
        if key not in self.branches:
            self.branches[key] = f"z9hG4bK{self.rng.getrandbits(64):016x}"
        ip, port = self.ends[frm]
        host = f"[{ip}]" if ":" in ip else ip
        return f"SIP/2.0/UDP {host}:{port};branch={self.branches[key]}"

    def _message(self, start, sender, cseq, method, to_tagged, requester, body, content_type, coding,
                 ske_seq, reason, truth):
        target = "callee" if requester == "caller" else "caller"
        key = (requester, cseq, "ACK" if method == "ACK" else "")
        headers = [("Via", self._via(requester, key))]
        if start.endswith("SIP/2.0"):
            headers.append(("Max-Forwards", "70"))
        headers += [("To", self._party(target, to_tagged)), ("From", self._party(requester, True)),
                    ("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}")]
        if method == "INVITE" and truth["status"] in (None, 200):
            headers.append(("Contact", f"<{self._uri(sender)}>" + (";isfocus" if self.isfocus else "")))
        headers.append(("User-Agent", self.agent))
        name, coder = CODINGS[coding]
        coded = coder(body) if body and content_type else body
        fields = {}
        if content_type:
            headers.append(("Content-Type", content_type))
        if content_type and name:
            headers.append(("Content-Encoding", name))
        if content_type:
            fields["facetime_sip.coding"] = [coding]
            if coding != "none":
                fields["facetime_sip.inflated_length"] = [len(body)]
        headers.append(("Content-Length", str(len(coded))))
        if ske_seq:
            headers.append(("SKESeq", "%d;%d" % ske_seq))
            fields["facetime_sip.ske.sequence"] = [ske_seq[0]]
            fields["facetime_sip.ske.fragment"] = [ske_seq[1]]
        if reason:
            headers.append(("Reason", reason))
        short = COMPACT if self.compact else {}
        lines = [start] + [f"{short.get(header, header)}: {value}" for header, value in headers]
        text = "\r\n".join(lines) + "\r\n\r\n"
        sip = {"method": method, "cseq": cseq, "call_id": self.call_id,
               "content_type": content_type, "body": body.decode() if _is_text(body) else body.hex()}
        return Wire(text.encode() + coded, kind="sip", generation="legacy",
                    sip={**sip, **truth}, fields=fields)

    def request(self, method, sender, cseq, body=b"", content_type=None, coding=None, ske_seq=None,
                reason=None):
        target = "callee" if sender == "caller" else "caller"
        coding = coding or (self.coding if content_type == "application/sdp" else "none")
        return self._message(f"{method} {self._uri(target)} SIP/2.0", sender, cseq, method,
                             method != "INVITE", sender, body, content_type, coding, ske_seq, reason,
                             {"status": None})

    def response(self, status, method, sender, cseq, body=b"", content_type=None, coding=None,
                 ske_seq=None):
        """`sender` answers a request of the other end."""
        requester = "callee" if sender == "caller" else "caller"
        coding = coding or (self.coding if content_type == "application/sdp" else "none")
        return self._message(f"SIP/2.0 {status} {REASONS[status]}", sender, cseq, method, status > 100,
                             requester, body, content_type, coding, ske_seq, None, {"status": status})


def _is_text(body):
    return all(byte in (9, 10, 13) or 32 <= byte < 127 for byte in body)


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
