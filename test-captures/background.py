# SPDX-License-Identifier: GPL-2.0-or-later
"""What else is in the air: push notifications, web, DNS, and the plain HTTP check of connectivity."""

import struct
from email.utils import formatdate

from wire.packets import ACK, FIN, PSH, SYN

DNS_SERVER = ("172.16.42.1", 53)
PUSH_SERVER = ("17.149.36.99", 5223)
WEB_SERVER = ("17.167.194.86", 443)
CHECK_SERVER = ("17.253.3.205", 80)
CHECK_HOST = "static.ess.apple.com"
HOSTS = {CHECK_HOST: CHECK_SERVER[0], "init.ess.apple.com": WEB_SERVER[0],
         "courier.push.apple.com": PUSH_SERVER[0], "profile.ess.apple.com": WEB_SERVER[0]}


class Tcp:
    """One TCP connection; each method writes one segment."""

    def __init__(self, cap, client, server):
        self.cap, self.ends = cap, {"client": client, "server": server}
        self.seq = {"client": cap.rng.getrandbits(31), "server": cap.rng.getrandbits(31)}

    def send(self, who, flags=ACK, payload=b"", **truth):
        other = "server" if who == "client" else "client"
        ack = self.seq[other] if flags & ACK else 0
        number = self.cap.tcp(self.ends[who], self.ends[other], self.seq[who], ack, flags, payload, **truth)
        self.seq[who] += len(payload) + bool(flags & (SYN | FIN))
        return number

    def tls(self, who, length, **truth):
        """One record of application data."""
        record = b"\x17\x03\x03" + struct.pack("!H", length) + self.cap.random(length)
        return self.send(who, PSH | ACK, record, **truth)

    def ack(self, who):
        return self.send(who)


def dns_name(host):
    return b"".join(bytes([len(label)]) + label.encode() for label in host.split(".")) + b"\0"


class Background:
    """Call it for one more packet; it walks through small exchanges in turn."""

    def __init__(self, cap, client, push_allowed=True):
        self.cap, self.client = cap, client
        port = 49152 + cap.rng.getrandbits(11)
        self.push = Tcp(cap, (client, port), PUSH_SERVER)
        self.web = Tcp(cap, (client, port + 3), WEB_SERVER)
        self.push_allowed = push_allowed
        self.names = list(HOSTS)
        self.steps = []

    def __call__(self):
        if not self.steps:
            self.steps = self._exchange()
        self.steps.pop(0)()

    def _exchange(self):
        choice = self.cap.rng.getrandbits(2)
        if choice == 0 and self.push_allowed:
            return self._records(self.push, 48 + self.cap.rng.getrandbits(5))
        if choice == 1:
            return self.lookup(self.names[self.cap.rng.getrandbits(2)])
        return self._records(self.web, 40 + self.cap.rng.getrandbits(6))

    @staticmethod
    def _records(connection, length):
        return [lambda: connection.tls("client", length), lambda: connection.ack("server"),
                lambda: connection.tls("server", length + 12), lambda: connection.ack("client")]

    def lookup(self, host):
        """A DNS query and its answer."""
        ident, port = self.cap.rng.getrandbits(16), 50000 + self.cap.rng.getrandbits(13)
        question = dns_name(host) + struct.pack("!HH", 1, 1)
        answer = struct.pack("!HHHIH", 0xC00C, 1, 1, 300, 4) + bytes(map(int, HOSTS[host].split(".")))

        def query():
            self.cap.udp((self.client, port), DNS_SERVER,
                         struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + question)

        def response():
            self.cap.udp(DNS_SERVER, (self.client, port),
                         struct.pack("!HHHHHH", ident, 0x8180, 1, 1, 0, 0) + question + answer)
        return [query, response]


class ConnectivityCheck:
    """GET /connectivity.txt in clear, with the headers that the report prints. One method a segment."""

    def __init__(self, cap, client, call):
        self.cap, self.call = cap, call
        self.tcp = Tcp(cap, (client, 49152 + cap.rng.getrandbits(11)), CHECK_SERVER)

    def open(self, start, rtt=0.03):
        """Queue the three segments of the handshake."""
        self.cap.at(start, lambda: self.tcp.send("client", SYN))
        self.cap.at(start + rtt, lambda: self.tcp.send("server", SYN | ACK))
        self.cap.at(start + rtt + 0.001, lambda: self.tcp.ack("client"))

    def get(self):
        number = self.tcp.send("client", PSH | ACK, b"GET /connectivity.txt HTTP/1.1\r\n"
                               b"Host: static.ess.apple.com:80\r\n\r\n",
                               precedes=self.call, http="request")
        self.cap.mark("connectivity request", number)

    def answer(self):
        date = formatdate(self.cap.now // 1_000_000, usegmt=True)
        number = self.tcp.send("server", PSH | ACK, (
            "HTTP/1.1 200 OK\r\nServer: Apache\r\nLast-Modified: Tue, 17 Mar 2015 17:13:45 GMT\r\n"
            "Accept-Ranges: bytes\r\nContent-Length: 13\r\nContent-Type: text/plain; charset=UTF-8\r\n"
            f"Date: {date}\r\nConnection: keep-alive\r\n\r\nAV was here!\n").encode(),
            precedes=self.call, http="response")
        self.cap.mark("connectivity answer", number)

    def close(self, start):
        self.cap.at(start, lambda: self.tcp.ack("client"))
        self.cap.at(start + 0.01, lambda: self.tcp.send("client", FIN | ACK))
        self.cap.at(start + 0.04, lambda: self.tcp.send("server", FIN | ACK))
        self.cap.at(start + 0.041, lambda: self.tcp.ack("client"))
