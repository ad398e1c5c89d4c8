#!/usr/bin/env python3
"""An adapter for the harness's target protocol (harness/TARGETS.md), with a toy stack to adapt.

    harness target-check 'exec:python3 harness/adapters/example/adapter.py'
    harness --target 'exec:python3 harness/adapters/example/adapter.py'
"""

import json
import sys

from toy_tcp import ACK, PSH, RST, Stack

HELLO = {"protocol": 1, "name": "example-py", "version": "1", "clock": "virtual", "families": [4],
         "calls": ["listen", "accept", "send", "recv", "shutdown", "abort", "state"]}


class Adapter:
    def __init__(self):
        self.stack, self.sockets = Stack(0), []

    def answer(self, request):
        op = request["op"]
        method = getattr(self, "op_" + op, None)
        if method is None:
            return {"unsupported": True}
        sock = self.sockets[request["socket"]] if "socket" in request else None
        response = method(request, sock)
        if op != "hello":
            packets, self.stack.out = self.stack.out, []
            response["packets"] = [{"us": us, "ip": ip.hex()} for us, ip in packets]
            response["next_timer_us"] = self.stack.next_timer()
        return response

    def op_hello(self, request, _):
        return dict(HELLO)

    def op_reset(self, request, _):
        self.stack, self.sockets = Stack(request["seed"]), []
        return {}

    def op_listen(self, request, _):
        if request["family"] != 4 or request.get("options"):
            return {"unsupported": True}
        if self.stack.port is not None:
            return {"error": "address-in-use"}
        self.stack.port = request["port"]
        return self.given("listener")

    def given(self, thing):
        self.sockets.append(thing)
        return {"socket": len(self.sockets) - 1}

    def op_accept(self, request, sock):
        return self.given(self.stack.accepted.pop(0)) if self.stack.accepted else {"error": "would-block"}

    def op_send(self, request, sock):
        data = bytes.fromhex(request["data"])
        if sock.ended or sock.state not in ("ESTABLISHED", "CLOSE-WAIT"):
            return {"error": sock.ended or "closed"}
        for at in range(0, len(data), 1460):
            sock.send(PSH | ACK, data[at:at + 1460])
        return {"count": len(data)}

    def op_recv(self, request, sock):
        data = bytes(sock.received[:request["max"]])
        del sock.received[:len(data)]
        if data:
            return {"data": data.hex()}
        return {"eof": True} if sock.eof else {"error": sock.ended or "would-block"}

    def op_shutdown(self, request, sock):
        if request["how"] != "read":
            sock.close()
        return {}

    def op_abort(self, request, sock):
        if sock.state != "CLOSED":
            self.stack.emit(sock.ends, RST | ACK, sock.nxt, sock.rcv)
            sock.over("reset")
        return {}

    def op_state(self, request, sock):
        return {"state": "LISTEN" if sock == "listener" else sock.state}

    def op_deliver(self, request, _):
        for packet in [bytes.fromhex(p) for p in request["packets"]]:
            self.stack.arrives(packet)
        return {}

    def op_advance(self, request, _):
        self.stack.advance(self.stack.now + request["us"])
        return {}


def main():
    adapter = Adapter()
    for line in sys.stdin:
        try:
            response = adapter.answer(json.loads(line))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            response = {"error": "invalid"}
        print(json.dumps(response, separators=(",", ":")), flush=True)


main()
