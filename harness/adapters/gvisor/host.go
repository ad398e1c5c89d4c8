package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/bufferv2"
	securerand "gvisor.dev/gvisor/pkg/rand"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nic = tcpip.NICID(1)
	// flood is how many packets one request may bring.
	flood = 2000
	// rush is how many timers one request may fire.
	rush = 200_000
)

// host is a fresh stack with its link, its clock and its sockets.
//
// Segments are handled by the goroutine of a processor, of which there is one for each thread of Go: one. It is paused but for settle, which lets
// it run until it has nothing left: netstack's own Pause waits for that. So no request finds it at work, and what comes does not depend on the
// scheduler.
type host struct {
	stack   *stack.Stack
	link    *link
	clock   *clock
	sockets []*socket
	flooded bool
}

// link collects what leaves.
type link struct {
	*channel.Endpoint
	clock *clock
	sent  []packet
}

type packet struct {
	Us int64  `json:"us"`
	IP octets `json:"ip"`
}

func (l *link) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	for _, p := range packets.AsSlice() {
		whole := p.ToBuffer()
		l.sent = append(l.sent, packet{l.clock.now, octets(whole.Flatten())})
		whole.Release()
	}
	return packets.Len(), nil
}

// seeded is a source of octets and of numbers that any goroutine may use.
type seeded struct {
	mu sync.Mutex
	rand.Source
}

func (s *seeded) Int63() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Source.Int63()
}

func (s *seeded) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s.Int63() >> 32)
	}
	return len(p), nil
}

func newHost(seed uint64, local []string, mtu uint32, recvBuffer, sendBuffer int) *host {
	c := &clock{}
	h := &host{clock: c, link: &link{Endpoint: channel.New(0, mtu, ""), clock: c}}
	random := &seeded{Source: rand.NewSource(int64(seed))}
	// The identifications of IP datagrams come from here, whatever the options say.
	securerand.Reader = random
	h.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
		Clock:              c,
		RandSource:         random,
		SecureRNG:          random,
	})
	must(h.stack.CreateNIC(nic, h.link))
	var routes []tcpip.Route
	for _, text := range local {
		address, protocol, bits := parse(text)
		must(h.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{
			Protocol:          protocol,
			AddressWithPrefix: tcpip.AddressWithPrefix{Address: address, PrefixLen: bits},
		}, stack.AddressProperties{}))
		zero := tcpip.Address(make([]byte, len(address)))
		everywhere := tcpip.AddressWithPrefix{Address: zero}.Subnet()
		routes = append(routes, tcpip.Route{Destination: everywhere, NIC: nic})
	}
	h.stack.SetRouteTable(routes)
	sack, delay := tcpip.TCPSACKEnabled(true), tcpip.TCPDelayEnabled(true)
	must(h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack))
	must(h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &delay))
	must(h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &tcpip.TCPReceiveBufferSizeRangeOption{
		Min: tcp.MinBufferSize, Default: recvBuffer, Max: tcp.MaxBufferSize,
	}))
	must(h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &tcpip.TCPSendBufferSizeRangeOption{
		Min: tcp.MinBufferSize, Default: sendBuffer, Max: tcp.MaxBufferSize,
	}))
	h.stack.Pause()
	h.settle()
	h.link.sent = nil
	return h
}

// end lets the goroutines of a stack that is not used any more end.
func (h *host) end() {
	h.stack.Resume()
	h.stack.Close()
}

func must(err tcpip.Error) {
	if err != nil {
		panic(fmt.Sprintf("the stack cannot be set up: %s", err))
	}
}

// settle lets the stack run until it has nothing to do before time passes.
func (h *host) settle() {
	for fired := 0; ; fired++ {
		h.stack.Resume()
		h.stack.Pause()
		due, some := h.clock.next()
		if !some || due > h.clock.now {
			return
		}
		if fired > rush || len(h.link.sent) > flood {
			h.flooded = true
			return
		}
		h.clock.fire()
	}
}

func (h *host) deliver(datagrams []octets) {
	for _, d := range datagrams {
		var protocol tcpip.NetworkProtocolNumber
		switch {
		case len(d) > 0 && d[0]>>4 == 4:
			protocol = header.IPv4ProtocolNumber
		case len(d) > 0 && d[0]>>4 == 6:
			protocol = header.IPv6ProtocolNumber
		default:
			continue
		}
		p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: bufferv2.MakeWithData(d)})
		h.link.InjectInbound(protocol, p)
		p.DecRef()
	}
	h.settle()
}

func (h *host) advance(us int64) {
	until := h.clock.now + us
	for fired := 0; ; fired++ {
		due, some := h.clock.next()
		if !some || due > until {
			break
		}
		if fired > rush || len(h.link.sent) > flood {
			h.flooded = true
			return
		}
		h.clock.now = due
		h.settle()
	}
	h.clock.now = until
	h.settle()
}

// socket is a listener or a connection of the application's.
type socket struct {
	endpoint tcpip.Endpoint
	family   int
	options  options
	// shut: the application sends no more. read: it reads no more. closed: by close or abort.
	shut, read, closed bool
	// ended is what the stack said once about the connection's end.
	ended string
}

func (h *host) open(family int, o options) (*socket, string) {
	protocol := header.IPv4ProtocolNumber
	if family == 6 {
		protocol = header.IPv6ProtocolNumber
	}
	endpoint, err := h.stack.NewEndpoint(tcp.ProtocolNumber, protocol, &waiter.Queue{})
	if err != nil {
		return nil, name(err)
	}
	s := &socket{endpoint: endpoint, family: family, options: o}
	if family == 6 {
		endpoint.SocketOptions().SetV6Only(true)
	}
	// A port that a connection has can be listened at beside it.
	endpoint.SocketOptions().SetReuseAddress(true)
	if failed := s.set(o); failed != "" {
		endpoint.Close()
		return nil, failed
	}
	return s, ""
}

func (h *host) give(s *socket) int {
	h.sockets = append(h.sockets, s)
	return len(h.sockets)
}

func (h *host) listen(port uint16, family, backlog int, o options) (int, string) {
	s, failed := h.open(family, o)
	if s == nil {
		return 0, failed
	}
	err := s.endpoint.Bind(tcpip.FullAddress{Port: port})
	if err == nil {
		// One less than this may be half-open before SYN cookies are used: accept.go, handleListenSegment.
		err = s.endpoint.Listen(backlog + 1)
	}
	if err != nil {
		s.endpoint.Close()
		return 0, name(err)
	}
	return h.give(s), ""
}

func (h *host) connect(port, remotePort uint16, family int, remote string, o options) (int, string) {
	s, failed := h.open(family, o)
	if s == nil {
		return 0, failed
	}
	err := s.endpoint.Bind(tcpip.FullAddress{Port: port})
	if err == nil {
		address, _, _ := parse(remote)
		err = s.endpoint.Connect(tcpip.FullAddress{NIC: nic, Addr: address, Port: remotePort})
	}
	if _, started := err.(*tcpip.ErrConnectStarted); err != nil && !started {
		s.endpoint.Close()
		return 0, name(err)
	}
	return h.give(s), ""
}

func (h *host) accept(l *socket) (int, string, string) {
	var from tcpip.FullAddress
	endpoint, _, err := l.endpoint.Accept(&from)
	if err != nil {
		return 0, "", name(err)
	}
	s := &socket{endpoint: endpoint, family: l.family, options: l.options}
	// A socket that was reset while it waited takes no options.
	_ = s.set(l.options)
	return h.give(s), peer(from), ""
}

func (s *socket) send(data []byte) (int, string) {
	if s.shut || s.closed {
		return 0, "closed"
	}
	if s.ended != "" {
		return 0, s.ended
	}
	n, err := s.endpoint.Write(bytes.NewReader(data), tcpip.WriteOptions{})
	if err != nil {
		return 0, s.failed(err)
	}
	if n == 0 && len(data) > 0 {
		return 0, "would-block"
	}
	return int(n), ""
}

// recv gives octets, or eof, or an error.
func (s *socket) recv(max int) (data []byte, eof bool, failed string) {
	if s.closed {
		return nil, false, "closed"
	}
	switch tcp.EndpointState(s.endpoint.State()) {
	case tcp.StateSynSent, tcp.StateSynRecv, tcp.StateConnecting:
		return nil, false, "would-block"
	}
	var buffer bytes.Buffer
	_, err := s.endpoint.Read(&tcpip.LimitedWriter{W: &buffer, N: int64(max)}, tcpip.ReadOptions{})
	_, end := err.(*tcpip.ErrClosedForReceive)
	switch {
	case err == nil:
		return buffer.Bytes(), false, ""
	case s.ended != "":
		return nil, false, s.ended
	case end:
		if s.read || s.lastError() == "" {
			return nil, true, ""
		}
		return nil, false, s.ended
	default:
		return nil, false, s.failed(err)
	}
}

// failed is the error's name; what ended the connection is kept, for netstack tells it once.
func (s *socket) failed(err tcpip.Error) string {
	said := name(err)
	switch err.(type) {
	case *tcpip.ErrWouldBlock:
		return said
	case *tcpip.ErrClosedForSend, *tcpip.ErrNotConnected, *tcpip.ErrClosedForReceive:
		if ended := s.lastError(); ended != "" {
			return ended
		}
		return said
	}
	s.ended = said
	return said
}

// lastError is the error that the socket holds, as SO_ERROR gives it.
func (s *socket) lastError() string {
	if s.ended == "" && tcp.EndpointState(s.endpoint.State()).String() != "LISTEN" {
		if err := s.endpoint.LastError(); err != nil {
			s.ended = name(err)
		}
	}
	return s.ended
}

func (s *socket) shutdown(read, write bool) string {
	if s.closed {
		return ""
	}
	var flags tcpip.ShutdownFlags
	if read {
		flags |= tcpip.ShutdownRead
	}
	if write {
		flags |= tcpip.ShutdownWrite
	}
	if err := s.endpoint.Shutdown(flags); err != nil {
		return name(err)
	}
	s.read = s.read || read
	s.shut = s.shut || write
	return ""
}

func (s *socket) close() {
	s.closed = true
	s.endpoint.Close()
}

func (s *socket) abort() {
	if s.closed {
		return
	}
	s.endpoint.Abort()
	s.close()
}

func (s *socket) state() string {
	switch tcp.EndpointState(s.endpoint.State()) {
	case tcp.StateEstablished:
		return "ESTABLISHED"
	case tcp.StateSynSent, tcp.StateConnecting:
		return "SYN-SENT"
	case tcp.StateSynRecv:
		return "SYN-RECEIVED"
	case tcp.StateFinWait1:
		return "FIN-WAIT-1"
	case tcp.StateFinWait2:
		return "FIN-WAIT-2"
	case tcp.StateTimeWait:
		return "TIME-WAIT"
	case tcp.StateCloseWait:
		return "CLOSE-WAIT"
	case tcp.StateLastAck:
		return "LAST-ACK"
	case tcp.StateListen:
		return "LISTEN"
	case tcp.StateClosing:
		return "CLOSING"
	default:
		return "CLOSED"
	}
}

// set sets the options; "unsupported" where the stack lacks one.
func (s *socket) set(o options) string {
	var err tcpip.Error
	for key, value := range o {
		number, isNumber := value.(float64)
		on, isBool := value.(bool)
		us := time.Duration(number) * time.Microsecond
		wrong := false
		switch key {
		case "nodelay":
			wrong = !isBool
			if isBool {
				s.endpoint.SocketOptions().SetDelayOption(!on)
			}
		case "timestamps", "sack", "window_scale":
			// They are always offered; netstack has no option for one socket.
			if wrong = !isBool; isBool && !on {
				return "unsupported"
			}
		case "ack_delay_us":
			// No ACK is ever delayed.
			if wrong = !isNumber && value != nil; isNumber {
				return "unsupported"
			}
		case "keepalive_us":
			if wrong = !isNumber && value != nil; isNumber {
				idle, interval := tcpip.KeepaliveIdleOption(us), tcpip.KeepaliveIntervalOption(us)
				err = first(err, s.endpoint.SetSockOpt(&idle))
				err = first(err, s.endpoint.SetSockOpt(&interval))
			}
			s.endpoint.SocketOptions().SetKeepAlive(isNumber)
		case "timeout_us":
			timeout := tcpip.TCPUserTimeoutOption(us)
			wrong = !isNumber && value != nil
			err = first(err, s.endpoint.SetSockOpt(&timeout))
		case "mss":
			wrong = !isNumber
			err = first(err, s.endpoint.SetSockOptInt(tcpip.MaxSegOption, int(number)))
		case "dscp":
			wrong = !isNumber
			option := tcpip.IPv4TOSOption
			if s.family == 6 {
				option = tcpip.IPv6TrafficClassOption
			}
			err = first(err, s.endpoint.SetSockOptInt(option, int(number)<<2))
		case "ttl":
			wrong = !isNumber
			option := tcpip.IPv4TTLOption
			if s.family == 6 {
				option = tcpip.IPv6HopLimitOption
			}
			err = first(err, s.endpoint.SetSockOptInt(option, int(number)))
		case "congestion":
			text, isText := value.(string)
			wrong = !isText
			congestion := tcpip.CongestionControlOption(text)
			if isText && s.endpoint.SetSockOpt(&congestion) != nil {
				return "unsupported"
			}
		default:
			return "unsupported"
		}
		if wrong {
			return "invalid"
		}
	}
	if err != nil {
		return name(err)
	}
	return ""
}

func first(a, b tcpip.Error) tcpip.Error {
	if a != nil {
		return a
	}
	return b
}

// name is what the protocol calls an error.
func name(err tcpip.Error) string {
	switch err.(type) {
	case *tcpip.ErrWouldBlock:
		return "would-block"
	case *tcpip.ErrConnectionRefused:
		return "refused"
	// ErrAborted is what netstack calls an RST that came in CLOSE-WAIT: connect.go, handleReset. The application's own abort is not asked about.
	case *tcpip.ErrConnectionReset, *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return "reset"
	case *tcpip.ErrTimeout:
		return "timed-out"
	case *tcpip.ErrNotConnected:
		return "not-connected"
	case *tcpip.ErrClosedForSend, *tcpip.ErrClosedForReceive:
		return "closed"
	case *tcpip.ErrPortInUse:
		return "address-in-use"
	case *tcpip.ErrNoBufferSpace:
		return "no-buffer"
	case *tcpip.ErrInvalidEndpointState, *tcpip.ErrInvalidOptionValue, *tcpip.ErrAlreadyBound, *tcpip.ErrAlreadyConnected:
		return "invalid"
	default:
		return "other: " + err.String()
	}
}

var _ io.Reader = (*seeded)(nil)
