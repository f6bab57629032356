# SPDX-License-Identifier: GPL-2.0-or-later
"""The 2015 report, unaided: what docs/report.md lists is on the pages of the five sessions, without a filter typed.

A row a thing, by its number there: what some line of the page's text (a table's row, a list's item, a paragraph) has to say,
as regular expressions, all of them. The numbers are the report's own, or the generator's where docs/report.md has them
(test_report.py checks these). HIDDEN are the things that a page doesn't say, and why.
"""

import html.parser
import re

LEAST = 125     # of 128

HIDDEN = {
    "1.22": "header names are compact: of no use to a reader of a call, shown in the packet",
    "1.36": "each relayed media packet: the page has first and last, and how many went over the relay",
}

STEP = r"\| {} \| -?[\d.]+ \| {} \| {} \| {}(?= \|)"      # frames, from, to, kind: a row of the ladder's table
EVENT = r"\| {} \| -?[\d.]+ \| \S+ \| {} \|"          # frames, event


def step(frames, source, target, kind, rest=""):
    through = " (through the relay)" if target.endswith("~") else ""
    return STEP.format(frames, source, re.escape(target.rstrip("~") + through), kind) + ".*" + rest


def event(frames, name, rest=""):
    return EVENT.format(frames, name) + ".*" + rest


DEVICE, PEER, RELAY, APPLE, NAT, NETWORK = "Device", "Peer", "Relay", "Apple's servers", "NAT tests", "Network"
VIA = PEER + "~"
TO_DEVICE = DEVICE + "~"
SAID = {
    "0.1": (r"172\.16\.42\.187:16402 with 71\.230\.89\.52:16402",),
    "0.2": (step(169, DEVICE, VIA, "SIP", "INVITE"), r"In clear: .*SIP"),
    "0.3": (r"No DTLS handshake",),
    "0.4": (r"\| a=rtpmap:123 H264/90000 \| a=rtpmap:123 H264/90000", r"\| a=rtpmap:100 HEVC/90000 \| a=rtpmap:100 HEVC/90000"),
    "0.5": (r"that no packet bears: .*100 \(HEVC\)",),
    "0.6": (r"\| device \| audio \| AAC-ELD", r"\| peer \| audio \| AAC-ELD"),
    "0.7": (event(64, "connectivity_check", "in clear"), r"In clear: Apple's HTTP check"),

    "1.1": (step(60, DEVICE, RELAY, "TURN", "Allocate Request .*XOR-RELAYED-ADDRESS"), event(60, "reserved_allocation", "reserved")),
    "1.2": (step(60, DEVICE, RELAY, "TURN", "lifetime: 60"), step(82, RELAY, DEVICE, "TURN", "lifetime: 60")),
    "1.3": (r"No message to or from the relay has a USERNAME",),
    "1.4": (r"challenges nobody with realm and nonce",),
    "1.5": (step(82, RELAY, DEVICE, "TURN", "Allocate Success Response"),),
    "1.6": (step("110.*", APPLE, DEVICE, "push", "TCP 5223"),),
    "1.7": (step("121, 156", DEVICE, RELAY, "TURN", r"Channel-Bind Request .*71\.230\.89\.52:16402"),),
    "1.8": (event(122, "early_channel_data", "before the answer to its bind in frame 121"), event("132, 142", "early_channel_data")),
    "1.9": (event(122, "legacy_username", "binary.*RFC 5245"),),
    "1.10": (step("122.*", DEVICE, VIA, "STUN", r"\| (?=.*0x8001)(?=.*0x8002)(?=.*0x8003)(?=.*0x8009)(?=.*ICE-CONTROLLING)"),),
    "1.11": (step("122, 132, 142", DEVICE, VIA, "STUN", "Binding Request"),),
    "1.12": (event(156, "channel_bind_retransmitted"),),
    "1.13": (step(158, RELAY, DEVICE, "TURN", "Channel-Bind Success Response"),),
    "1.14": (step("122.*", DEVICE, VIA, "STUN", r"0B3D3519\.00000000\.0-0D31C381\.00000000\.0"),
             step("160.*", PEER, TO_DEVICE, "STUN", r"Success Response user: 0D31C381\.00000000\.0-0B3D3519\.00000000\.0")),
    "1.15": (step("160.*", PEER, TO_DEVICE, "STUN", r"MAPPED-ADDRESS: 17\.155\.5\.251:3489"),),
    "1.16": (step("160", PEER, TO_DEVICE, "STUN",
                  r"\| (?=.*0x8001)(?=.*0x8003)(?=.*0x8004)(?=.*0x8005)(?=.*0x8009)"),),
    "1.17": (step(161, DEVICE, PEER, "STUN", "Binding Request"), r"\| 192\.168\.42\.25:16402 \|.*\| 161$"),
    "1.18": (step(161, DEVICE, PEER, "STUN", r"user: 1772B37B\.00000000\.0-33CC1FF1"),),
    "1.19": (step(162, PEER, TO_DEVICE, "STUN", "Binding Request.*ICE-CONTROLLED"),),
    "1.20": (event(164, "nominated", "relayed pair"), step(164, DEVICE, VIA, "STUN", "USE-CANDIDATE")),
    "1.21": (step(169, DEVICE, VIA, "SIP", "Request: INVITE"), r"In clear: .*SIP"),
    "1.23": (r"Offer in frame 169 \(zlib\), Answer in frame 172 \(zlib\)",),
    "1.24": (r"\| o=GKVoiceChatService 0 0 IN IP4 71\.15\.163\.132 \|",),
    "1.25": (r"\| a=X_FLS:123 FLS;.* \| a=X_FLS:123 FLS;", r"\| a=DMBR \| a=DMBR", r"\| a=CAP \| a=CAP"),
    "1.26": (r"\| a=rtpID:1911967383 \|", r"\| a=rtpID:2853556652 \|"),
    "1.27": (r"\| a=imageattr:123 send \[x=320,y=240",),
    "1.28": (r"\| a=imageattr:100 recv \[x=320,y=240,fps=15,i=1\] \|$",),
    "1.29": (step(170, PEER, TO_DEVICE, "SIP", "100 Trying"), step(171, PEER, TO_DEVICE, "SIP", "180 Ringing"),
             step(172, PEER, TO_DEVICE, "SIP", "200 OK")),
    "1.30": (step(173, DEVICE, VIA, "SIP", "Request: ACK"),),
    "1.31": (r"≠ \| a=imageattr:.*x=1280,y=720.* \| (?!.*x=1280)",),
    "1.32": (r"only the offer has: .*9 \(G722\), 0 \(PCMU\).*126 \(X-H264\)",),
    "1.33": (event(169, "nonstandard_sdp", "without a=rtpmap"), event(172, "nonstandard_sdp", "without a=rtpmap")),
    "1.34": (r"≠ \| b=AS:2000 \| b=AS:2000:2000", event(172, "nonstandard_sdp", "b=AS")),
    "1.35": (r"\| a=fmtp:AAC SamplesPerBlock 480", event(172, "nonstandard_sdp", "a=fmtp with a codec's name")),
    "1.37": (r"neither a=fingerprint nor a=crypto",),
    "1.38": (step(280, PEER, DEVICE, "STUN", "Binding Request"), r"\| 71\.230\.89\.52:16402 \|.*280–"),
    "1.39": (step(281, DEVICE, PEER, "STUN", "Binding Success Response"),),
    "1.40": (event(283, "nominated", "direct pair"), step(283, DEVICE, PEER, "STUN", "USE-CANDIDATE")),
    "1.41": (r"\| 172\.16\.42\.187:16402 \| 71\.230\.89\.52:16402 \|.*\| 121 \| 122–298",),
    "1.42": (step(299, PEER, DEVICE, "STUN", "Binding Success Response"),),
    "1.43": (event(300, "path_switch", "from the relay"), event(301, "path_switch", "from the relay")),
    "1.44": (r"No SIP between the ACK in frame 173 and the BYE in frame 5786",),
    "1.45": (r"\| 172\.16\.42\.187:16402 \| 71\.230\.89\.52:16402 \|.*\| 5466 \| 280–",),
    "1.46": (r"No connectivity check after frame 283, in the 30\.5 s to the call's end",),
    "1.47": (r"\| audio \| AAC-ELD.* \| 104, 119 \|", event(169, "nonstandard_sdp", "dynamic payload types without a=rtpmap")),
    "1.48": (r"\| audio \| .* \| 104, 119 \|",),
    "1.49": (r"\| device \| video \| H264 \| 123 \|", r"\| peer \| video \| H264 \| 123 \|"),
    "1.50": (step("777.*", DEVICE, PEER, "RTCP", r"\| 6 \| [45]\.\d s"), step("792.*", PEER, DEVICE, "RTCP", r"\| 6 \| [45]\.\d s")),
    "1.51": (step("777, .*5179", DEVICE, PEER, "RTCP", "Sender Report .*Source description"),),
    "1.52": (step(5786, DEVICE, PEER, "SIP", "BYE"), step(5790, PEER, DEVICE, "SIP", "200 OK")),
    "1.53": (step(5791, DEVICE, RELAY, "TURN", "lifetime: 0"), event(5791, "relay_released")),
    "1.54": (step("14, 15.*", DEVICE, NAT, "CommNAT"), r"CommNAT .*mapped to 71\.15\.163\.132:16403"),
    "1.55": (step("14, 15.*", DEVICE, NAT, "CommNAT", "Test request"), step(39, DEVICE, NAT, "CommNAT", "Report")),
    "1.56": (step(64, DEVICE, APPLE, "HTTP", r"GET /connectivity\.txt"), event(64, "connectivity_check", r"static\.ess\.apple\.com")),
    "1.57": (event(68, "connectivity_check", "AV was here!"),),

    "2.1": (step(90, DEVICE, VIA, "SIP", "INVITE"),),
    "2.2": (event(62, "reserved_allocation"), event(87, "nominated"), event(198, "nominated"), event(210, "path_switch"),
            event(3440, "call_ended", "BYE")),
    "2.3": (r"\| 192\.168\.42\.25:16402 \| 24 \|.*116–3313",),
    "2.4": (step("116.*", DEVICE, PEER, "STUN", "Binding Request.*ICE-CONTROLLING"),),

    "3.1": (step("71", DEVICE, PEER, "STUN", "Binding Request.*ICE-CONTROLLED"), r"\| 172\.16\.42\.187:16402 \| 71\.15\.163\.132:16402 \|"),
    "3.2": (step("82, 101", DEVICE, PEER, "STUN", "Binding Request"),),
    "3.3": (step("169, 171", PEER, DEVICE, "STUN", r"\| 1\.\d+ \| Binding Success Response"),),
    "3.4": (step(135, DEVICE, RELAY, "TURN", "Allocate Request"),),
    "3.5": (step(138, RELAY, DEVICE, "TURN", "Allocate Success Response"),),
    "3.6": (step("169, 171", PEER, DEVICE, "STUN", "Success"), step("172, 183", DEVICE, PEER, "STUN", "Success")),
    "3.7": (step(178, PEER, RELAY, "TURN", "Allocate Request"),),
    "3.8": (event(182, "nominated"), step(182, PEER, DEVICE, "STUN", "USE-CANDIDATE")),
    "3.9": (step(229, DEVICE, RELAY, "TURN", "lifetime: 0"),),
    "3.10": (step(252, PEER, RELAY, "TURN", r"Channel-Bind Request .*71\.15\.163\.132:1024"),),
    "3.11": (event("262, 288", "allocation_mismatch"),),
    "3.12": (event(280, "relay_released", r"172\.16\.42\.185"), step(280, PEER, RELAY, "TURN", "lifetime: 0")),
    "3.13": (step("289.*", DEVICE, PEER, "STUN", r"\| 9 \|.*Binding Request"), r"\| 172\.16\.42\.187:16402 \| 71\.15\.163\.132:16402 \| 1?\d",
             step("348.*", PEER, DEVICE, "STUN", r"\| 9 \|.*Binding Request"), r"\| 172\.16\.42\.185:16402 \| 71\.15\.163\.132:16402 \| 9 "),
    "3.14": (step(192, PEER, DEVICE, "SIP", "INVITE"), step(199, PEER, DEVICE, "SIP", "ACK")),

    "4.1": (step("357, 379.*", DEVICE, PEER, "STUN", "Binding Request"), step(".*413", DEVICE, PEER, "STUN", "Binding Request"),
            event(557, "hole_punched", "after 3 that did not since frame 357")),
    "4.2": (step(364, DEVICE, PEER, "STUN", "Binding Request"), r"\| 71\.15\.163\.132:16402 \| 1 \| 0 \|.*\| 364$"),
    "4.3": (step(366, NETWORK, DEVICE, "ICMP", "Destination unreachable"), event(366, "peer_unreachable", r"71\.15\.163\.132:16402")),
    "4.4": (r"No STUN server is asked for an address",),
    "4.5": (step(417, DEVICE, RELAY, "TURN", "Allocate Request"), step(418, RELAY, DEVICE, "TURN", "Allocate Success")),
    "4.6": (step(439, PEER, RELAY, "TURN", "Allocate Request"), step(448, RELAY, PEER, "TURN", "Allocate Success")),
    "4.7": (step(418, RELAY, DEVICE, "TURN", r"XOR-MAPPED-ADDRESS: 71\.15\.163\.132:16402"),
            step(448, RELAY, PEER, "TURN", r"XOR-MAPPED-ADDRESS: 71\.15\.163\.132:16402")),
    "4.8": (step(475, DEVICE, RELAY, "TURN", r"Channel-Bind Request .*71\.15\.163\.132:16402"),),
    "4.9": (r"No TURN permission is created",),
    "4.10": (step("508.*", PEER, RELAY, "TURN", "Channel-Bind Request"),),
    "4.11": (event(578, "channel_bind_retransmitted"), step(578, PEER, RELAY, "TURN", "Channel-Bind Request")),
    "4.12": (step(589, RELAY, PEER, "TURN", r"\| 0\.800 \| Channel-Bind Success Response"),),
    "4.13": (event(509, "early_channel_data", "before the answer to its bind in frame 508"), event("536, 568", "early_channel_data")),
    "4.14": (event(585, "relay_released", r"172\.16\.42\.185"),),
    "4.15": (event(557, "hole_punched", "check in frame 556 gets through"), step("557.*", PEER, DEVICE, "STUN", "Success Response")),
    "4.16": (r"\| 172\.16\.42\.187:16402 \| 172\.16\.42\.185:16402 \|.*\| 2900 \| 357–",),
    "4.17": (step("549.*", PEER, DEVICE, "STUN", "Binding Request"),),
    "4.18": (r"Media directly \(2,900 packets\);",),

    "5.1": (event(149, "path_switch", "from the relay"), event(151, "path_switch", "from the relay")),
    "5.2": (event(6893, "path_switch", r"peer's last media \(frame 6216\)"), r"peer_silent: .*17\.9 s.* 6216"),
    "5.3": (event(6893, "path_switch", r"to the relay .*, 3\.0 s after"),),
    "5.4": (event(6893, "path_switch", r"channel 0x4002"),),
    "5.5": (step(92, DEVICE, RELAY, "TURN", "Allocate Request"),),
    "5.6": (event(150, "relay_released"),),
    "5.7": (event(6893, "released_channel_used", "frame 150 released it"), event("6895–9633", "released_channel_used", "1284")),
    "5.8": (event(6893, "media_on_both_paths", "51593 was already sent directly in frame 6892"),),
    "5.9": (event("6895–9597", "media_on_both_paths", "1280"), r"Sent by the device: .*both .* 19 to 3[45] s"),
    "5.10": (r"peer_silent: No media from the peer in the last 17\.9 s in which the device still sent",),
    "5.11": (step("9252, 9261, 9418, 9427.*", APPLE, DEVICE, "push"),),
    "5.12": (r"\| 9598 \|.*\| media_gap \|", r"peer_silent: .* 17\.9 s"),
    "5.13": (step("9598.*", DEVICE, VIA, "SIP", "BYE"), event(9598, "call_ended")),
    "5.14": (event("9605, 9623, 9633", "bye_retransmitted"),),
    "5.15": (event(9633, "bye_unanswered", "4 BYEs and no answer"), r"unanswered_bye: .*never answered"),
    "5.16": (step(9600, DEVICE, RELAY, "TURN", "Allocate Request"), event(9600, "reserved_allocation")),
    "5.17": (event(9608, "call_restarted"),),
    "5.18": (r"\| 9612, 9613|\| 9612 ", r"\| \d \| 0 \| - \| no \| 0 \| 96\d\d"),
    "5.19": (r"Media over the relay \(330 packets\);", r"frames 9600 to 9972"),

    "6.1": (step("122.*", DEVICE, VIA, "STUN", "Binding Request"), step(161, DEVICE, PEER, "STUN", "Binding Request"),
            step(283, DEVICE, PEER, "STUN", "Binding Request")),
    "6.2": (step("82, 101", DEVICE, PEER, "STUN", "Binding Request"), step(135, DEVICE, RELAY, "TURN", "Allocate Request")),
    "6.3": (r"No STUN server is asked for an address",),
    "6.4": (r"an allocation takes one round trip", step(82, RELAY, DEVICE, "TURN", r"\| 0\.\d+ \| Allocate Success Response")),
    "6.5": (event("79.*", "early_channel_data"),),
    "6.6": (event(578, "channel_bind_retransmitted"),),
    "6.7": (r"No DTLS handshake", r"Neither STUN nor TURN over TCP"),
    "6.8": (event(101, "legacy_username", "before RFC 5245"), event(9609, "legacy_username", "before RFC 5245")),
    "6.9": (step(169, DEVICE, VIA, "SIP", "INVITE"), step("110.*", APPLE, DEVICE, "push", "opaque")),
}


class Lines(html.parser.HTMLParser):
    """A page's text without its pictures: a line a table's row, paragraph, item."""

    BREAKS = ("tr", "p", "li", "h2", "h3", "dt", "figcaption", "summary", "caption")
    WITHOUT = ("script", "style", "svg")

    def __init__(self, text):
        super().__init__()
        self.parts, self.inside = [], 0
        self.feed(text)
        self.lines = [re.sub(r"\s+", " ", line).strip() for line in "".join(self.parts).split("\0")]

    def handle_starttag(self, tag, attrs):
        self.inside += tag in self.WITHOUT
        self.parts.append("\0" if tag in self.BREAKS else " | " if tag in ("td", "th") else "")

    def handle_endtag(self, tag):
        self.inside -= tag in self.WITHOUT

    def handle_data(self, data):
        if not self.inside:
            self.parts.append(data.replace("\n", " "))


def unsaid(row, lines):
    """What no line of its captures' pages says."""
    return [f"{row.number} {row.says} ({name}): {wanted}" for name in row.captures for wanted in SAID[row.number]
            if not any(re.search(wanted, line) for line in lines(name))]
