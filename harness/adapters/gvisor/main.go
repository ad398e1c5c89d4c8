// gVisor's netstack behind the harness's target protocol (harness/TARGETS.md).
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// version is the Debian package's, put here by the linker.
var version = "unknown"

var settings = []string{
	"receive buffer twice what reset wishes: netstack keeps half of it for its own overhead (rcvAdvWndScale) and advertises the other half; no auto-tuning, its default",
	"SACK on, as runsc has it; timestamps and window scale are always on",
	"Nagle's algorithm on, as gVisor's sockets have it; off by default in the package",
	"congestion control reno, the default",
	"SO_REUSEADDR on each socket",
	"the clock starts at an hour: netstack takes 0 for a time that was never set",
}

// octets is hexadecimal in JSON.
type octets []byte

func (o octets) MarshalJSON() ([]byte, error) {
	return []byte(`"` + hex.EncodeToString(o) + `"`), nil
}

func (o *octets) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	data, err := hex.DecodeString(digits)
	*o = data
	return err
}

type options map[string]any

// request has the fields of every request; one that is not there is nil.
type request struct {
	Op         *string
	Protocol   *int
	Local      []string
	Remote     []string
	MTU        *uint32
	Seed       *uint64
	Config     *config
	Port       *uint16
	RemotePort *uint16 `json:"remote_port"`
	Family     *int
	Backlog    *uint16
	Options    options
	Socket     *uint32
	Data       *octets
	Urgent     bool
	Max        *uint32
	How        *string
	Option     *string
	Value      json.RawMessage
	Packets    *[]octets
	Us         *int64
}

type config struct {
	RecvBuffer *int `json:"recv_buffer,omitempty"`
	SendBuffer *int `json:"send_buffer,omitempty"`
}

type response map[string]any

var errInvalid = errors.New("invalid")

type adapter struct {
	local, remote []string
	mtu           uint32
	host          *host
}

func main() {
	// One thread: then netstack has one processor, and nothing runs beside it.
	runtime.GOMAXPROCS(1)
	a := &adapter{local: []string{"192.0.2.1", "2001:db8::1"}, remote: []string{"192.0.2.2", "2001:db8::2"}, mtu: 1500}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		answer, err := a.answer(bytes.TrimSpace(line))
		if err != nil {
			answer = response{"error": "invalid"}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		out.Write(text)
		out.WriteByte('\n')
		out.Flush()
	}
}

func (a *adapter) answer(line []byte) (response, error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	if r.Op == nil {
		return nil, errInvalid
	}
	switch *r.Op {
	case "hello":
		return a.hello(r)
	case "reset":
		return a.reset(r)
	}
	if a.host == nil {
		return nil, errInvalid
	}
	answer, err := a.perform(r)
	if err != nil {
		return nil, err
	}
	h := a.host
	h.settle()
	packets := h.link.sent
	h.link.sent = nil
	if h.flooded || len(packets) > flood {
		h.flooded = false
		if len(packets) > flood {
			packets = packets[:flood]
		}
		answer["flood"] = true
	}
	if len(packets) > 0 {
		answer["packets"] = packets
	}
	answer["next_timer_us"] = nil
	if due, some := h.clock.next(); some {
		if due <= h.clock.now {
			due = h.clock.now + 1
		}
		answer["next_timer_us"] = due
	}
	return answer, nil
}

func (a *adapter) hello(r request) (response, error) {
	if r.Protocol == nil || *r.Protocol != 1 {
		return nil, errInvalid
	}
	if len(r.Local) == 2 {
		a.local = r.Local
	}
	if len(r.Remote) == 2 {
		a.remote = r.Remote
	}
	if r.MTU != nil {
		a.mtu = *r.MTU
	}
	return response{
		"protocol": 1, "name": "gvisor", "version": version, "clock": "virtual", "tick_us": 1, "repeatable": true, "families": []int{4, 6},
		"calls":    []string{"listen", "accept", "connect", "send", "recv", "shutdown", "close", "abort", "set", "state"},
		"settings": settings,
	}, nil
}

func (a *adapter) reset(r request) (response, error) {
	if r.Seed == nil {
		return nil, errInvalid
	}
	recv, send := 65535, 65535
	if r.Config != nil && r.Config.RecvBuffer != nil {
		recv = *r.Config.RecvBuffer
	}
	if r.Config != nil && r.Config.SendBuffer != nil {
		send = *r.Config.SendBuffer
	}
	recv, send = within(recv, tcp.MinBufferSize/2, tcp.MaxBufferSize/2), within(send, tcp.MinBufferSize, tcp.MaxBufferSize)
	if a.host != nil {
		a.host.end()
	}
	a.host = newHost(*r.Seed, a.local, a.mtu, 2*recv, send)
	return response{"config": config{&recv, &send}}, nil
}

func within(n, least, most int) int {
	if n < least {
		return least
	}
	if n > most {
		return most
	}
	return n
}

func (a *adapter) perform(r request) (response, error) {
	h := a.host
	family := 0
	if r.Family != nil {
		family = *r.Family
	}
	var s *socket
	if r.Socket != nil {
		if *r.Socket < 1 || int64(*r.Socket) > int64(len(h.sockets)) {
			return nil, errInvalid
		}
		s = h.sockets[*r.Socket-1]
	}
	switch *r.Op {
	case "listen":
		if r.Port == nil || family != 4 && family != 6 {
			return nil, errInvalid
		}
		backlog := 8
		if r.Backlog != nil {
			backlog = int(*r.Backlog)
		}
		id, failed := h.listen(*r.Port, family, backlog, r.Options)
		return either(response{"socket": id}, failed), nil
	case "connect":
		if r.Port == nil || r.RemotePort == nil || family != 4 && family != 6 {
			return nil, errInvalid
		}
		id, failed := h.connect(*r.Port, *r.RemotePort, family, a.remote[family/6], r.Options)
		return either(response{"socket": id}, failed), nil
	case "deliver":
		if r.Packets == nil {
			return nil, errInvalid
		}
		h.deliver(*r.Packets)
		return response{}, nil
	case "advance":
		if r.Us == nil || *r.Us < 0 {
			return nil, errInvalid
		}
		h.advance(*r.Us)
		return response{}, nil
	case "accept", "send", "recv", "shutdown", "close", "abort", "set", "state":
		if s == nil {
			return nil, errInvalid
		}
		return h.on(s, r)
	default:
		return response{"unsupported": true}, nil
	}
}

// on performs a call on a socket.
func (h *host) on(s *socket, r request) (response, error) {
	switch *r.Op {
	case "accept":
		id, from, failed := h.accept(s)
		return either(response{"socket": id, "peer": from}, failed), nil
	case "send":
		if r.Data == nil {
			return nil, errInvalid
		}
		if r.Urgent {
			// netstack sends no urgent data.
			return response{"unsupported": true}, nil
		}
		n, failed := s.send(*r.Data)
		return either(response{"count": n}, failed), nil
	case "recv":
		if r.Max == nil {
			return nil, errInvalid
		}
		data, eof, failed := s.recv(int(*r.Max))
		if eof {
			return response{"eof": true}, nil
		}
		return either(response{"data": octets(data)}, failed), nil
	case "shutdown":
		if r.How == nil || *r.How != "read" && *r.How != "write" && *r.How != "both" {
			return nil, errInvalid
		}
		return either(response{}, s.shutdown(*r.How != "write", *r.How != "read")), nil
	case "close":
		if !s.closed {
			s.close()
		}
		return response{}, nil
	case "abort":
		s.abort()
		return response{}, nil
	case "set":
		if r.Option == nil || r.Value == nil {
			return nil, errInvalid
		}
		var value any
		if err := json.Unmarshal(r.Value, &value); err != nil {
			return nil, err
		}
		return either(response{}, s.set(options{*r.Option: value})), nil
	default:
		return response{"state": s.state()}, nil
	}
}

// either is the answer, or the error where there is one.
func either(answer response, failed string) response {
	switch failed {
	case "":
		return answer
	case "unsupported":
		return response{"unsupported": true}
	default:
		return response{"error": failed}
	}
}

// parse gives an address, its protocol, and the length of its network's prefix.
func parse(text string) (tcpip.Address, tcpip.NetworkProtocolNumber, int) {
	ip := net.ParseIP(text)
	if four := ip.To4(); four != nil && !strings.Contains(text, ":") {
		return tcpip.Address(four), header.IPv4ProtocolNumber, 24
	}
	return tcpip.Address(ip.To16()), header.IPv6ProtocolNumber, 64
}

// peer is the text of an address and port.
func peer(a tcpip.FullAddress) string {
	return net.JoinHostPort(net.IP(a.Addr).String(), strconv.Itoa(int(a.Port)))
}
