"""A toy TCP stack for the example adapter: passive opens, text and closes over IPv4. What it does wrong is for the harness to find."""

import random
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
RTO_US = 1_000_000
LIMIT = 1 << 32


class Connection:
    """The least that talks TCP."""

    def __init__(self, stack, ends, syn_seq):
        self.stack, self.ends = stack, ends
        self.state = "SYN-RECEIVED"
        self.iss = stack.random.randrange(LIMIT)
        self.una, self.nxt = self.iss, self.iss
        self.rcv = (syn_seq + 1) % LIMIT
        self.received, self.eof, self.ended = bytearray(), False, None
        self.unacked, self.timer, self.rto = [], None, RTO_US
        self.send(SYN | ACK)

    def send(self, flags, data=b""):
        seq, length = self.nxt, len(data) + bool(flags & (SYN | FIN))
        self.nxt = (seq + length) % LIMIT
        if length:
            self.unacked.append((self.nxt, flags, seq, data))
            self.timer = self.timer or self.stack.now + self.rto
        self.stack.emit(self.ends, flags, seq, self.rcv, data)

    def expired(self):
        """The retransmission timer: the first segment again, and twice the time (RFC 6298 section 5)."""
        _, flags, seq, data = self.unacked[0]
        self.stack.emit(self.ends, flags, seq, self.rcv, data)
        self.rto *= 2
        self.timer = self.stack.now + self.rto

    def arrives(self, flags, seq, ack, data):
        in_window = (seq - self.rcv) % LIMIT < 65535
        if not in_window:
            if not flags & RST:
                self.send(ACK)
            return
        if flags & RST:
            if seq == self.rcv:
                self.over("reset")
            else:
                self.send(ACK)
            return
        if flags & SYN:
            return self.send(ACK)
        if not flags & ACK:
            return
        if (self.nxt - ack) % LIMIT > (self.nxt - self.una) % LIMIT:
            if (ack - self.nxt) % LIMIT < LIMIT // 2:  # An ACK of what was never sent.
                self.send(ACK)
                return
        elif ack != self.una:
            self.una, self.rto = ack, RTO_US
            self.unacked = [s for s in self.unacked if (s[0] - ack) % LIMIT < LIMIT // 2 and s[0] != ack]
            self.timer = self.stack.now + self.rto if self.unacked else None
            if self.state == "SYN-RECEIVED":
                self.state = "ESTABLISHED"
                self.stack.accepted.append(self)
            elif self.una == self.nxt:
                self.state = {"FIN-WAIT-1": "FIN-WAIT-2", "CLOSING": "TIME-WAIT", "LAST-ACK": "CLOSED"}.get(self.state, self.state)
                if self.state == "CLOSED":
                    return self.over(None)
        if seq != self.rcv:
            return self.send(ACK)  # Out of order: dropped, and asked for.
        if data and self.state in ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2"):
            self.received += data
            self.rcv = (self.rcv + len(data)) % LIMIT
        if flags & FIN and self.state in ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2"):
            self.rcv, self.eof = (self.rcv + 1) % LIMIT, True
            self.state = {"ESTABLISHED": "CLOSE-WAIT", "FIN-WAIT-1": "CLOSING", "FIN-WAIT-2": "TIME-WAIT"}[self.state]
        if data or flags & FIN:
            self.send(ACK)

    def close(self):
        if self.state in ("ESTABLISHED", "CLOSE-WAIT"):
            self.state = "FIN-WAIT-1" if self.state == "ESTABLISHED" else "LAST-ACK"
            self.send(FIN | ACK)

    def over(self, why):
        self.state, self.ended, self.unacked, self.timer = "CLOSED", why, [], None
        self.stack.connections.pop(self.ends, None)


class Stack:
    def __init__(self, seed):
        self.now, self.random = 0, random.Random(seed)
        self.connections, self.accepted, self.port, self.out = {}, [], None, []

    def emit(self, ends, flags, seq, ack, data=b""):
        (us, our_port), (them, their_port) = ends
        mss = b"\x02\x04\x05\xb4" if flags & SYN else b""
        offset = (20 + len(mss)) << 2
        tcp = struct.pack("!HHIIBBHHH", our_port, their_port, seq, ack, offset, flags, 65535, 0, 0) + mss + data
        pseudo = us + them + struct.pack("!BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, us, them)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        self.out.append((self.now, ip + tcp))

    def arrives(self, ip):
        if len(ip) < 40 or ip[0] != 0x45 or ip[9] != 6 or checksum(ip[:20]):
            return
        them, us, tcp = ip[12:16], ip[16:20], ip[20:struct.unpack("!H", ip[2:4])[0]]
        if checksum(them + us + struct.pack("!BBH", 0, 6, len(tcp)) + tcp):
            return
        their_port, our_port, seq, ack, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
        data, ends = tcp[offset >> 2 & 0x3C:], ((us, our_port), (them, their_port))
        if ends in self.connections:
            return self.connections[ends].arrives(flags, seq, ack, data)
        if our_port == self.port and flags & (SYN | ACK | RST) == SYN:
            self.connections[ends] = Connection(self, ends, seq)
        elif not flags & RST:  # RFC 9293 section 3.10.7.1.
            length = len(data) + bool(flags & SYN) + bool(flags & FIN)
            number, answer = (ack, RST) if flags & ACK else (0, RST | ACK)
            self.emit(ends, answer, number, 0 if flags & ACK else (seq + length) % LIMIT)

    def next_timer(self):
        return min((c.timer for c in self.connections.values() if c.timer), default=None)

    def advance(self, until):
        while (timer := self.next_timer()) is not None and timer <= until:
            self.now = timer
            next(c for c in self.connections.values() if c.timer == timer).expired()
        self.now = until


def checksum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
