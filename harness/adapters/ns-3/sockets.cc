#include "sockets.h"

using namespace ns3;

namespace {

const json UNSUPPORTED = {{"unsupported", true}};

json failed(const char *error) { return {{"error", error}}; }

int family_of(const json &request) {
    uint64_t family = number(request, "family", 6);
    if (family != 4 && family != 6)
        throw Invalid();
    return static_cast<int>(family);
}

// The name of ns-3's type for a congestion control; none where it has none.
std::string congestion_of(const std::string &name) {
    static const std::map<std::string, std::string> types = {
        {"reno", "ns3::TcpLinuxReno"}, {"newreno", "ns3::TcpNewReno"}, {"cubic", "ns3::TcpCubic"}, {"bbr", "ns3::TcpBbr"}, {"vegas", "ns3::TcpVegas"}};
    auto found = types.find(name);
    return found == types.end() ? "" : found->second;
}

// Whether a socket can be given the option now: some are agreed on with the peer, in the handshake.
bool apply(TcpSocketBase &socket, int family, const std::string &name, const json &value) {
    bool fresh = state_of(socket) == TcpSocket::CLOSED || state_of(socket) == TcpSocket::LISTEN;
    static const std::map<std::string, const char *> agreed = {{"timestamps", "Timestamp"}, {"sack", "Sack"}, {"window_scale", "WindowScaling"}};
    if (auto found = agreed.find(name); found != agreed.end() && value.is_boolean() && fresh) {
        socket.SetAttribute(found->second, BooleanValue(value.get<bool>()));
        return true;
    }
    if (name == "nodelay" && value.is_boolean()) {
        socket.SetAttribute("TcpNoDelay", BooleanValue(value.get<bool>()));
        return true;
    }
    if (name == "ack_delay_us" && (value.is_null() || value.is_number_unsigned())) {
        socket.SetAttribute("DelAckCount", UintegerValue(value.is_null() ? 1 : 2));
        if (!value.is_null())
            socket.SetAttribute("DelAckTimeout", TimeValue(MicroSeconds(value.get<uint64_t>())));
        return true;
    }
    if (name == "dscp" && value.is_number_unsigned() && value < 64) {
        uint8_t octet = static_cast<uint8_t>(value.get<unsigned>() << 2);
        family == 4 ? socket.SetIpTos(octet) : socket.SetIpv6Tclass(octet);
        return true;
    }
    if (name == "ttl" && value.is_number_unsigned() && value > 0 && value < 256) {
        uint8_t octet = static_cast<uint8_t>(value.get<unsigned>());
        family == 4 ? socket.SetIpTtl(octet) : socket.SetIpv6HopLimit(octet);
        return true;
    }
    return false;
}

bool apply_all(TcpSocketBase &socket, int family, const json &options) {
    for (const auto &[name, value] : options.items())
        if (name != "congestion" && !apply(socket, family, name, value))
            return false;
    return true;
}

// The options of a request, and the type of the congestion control among them; false where there is no such one.
bool options_of(const json &request, json &options, std::string &congestion) {
    options = request.value("options", json::object());
    if (!options.is_object())
        throw Invalid();
    if (!options.contains("congestion"))
        return true;
    congestion = congestion_of(options["congestion"].get<std::string>());
    return !congestion.empty();
}

Address any(int family, uint16_t port) {
    return family == 4 ? Address(InetSocketAddress(Ipv4Address::GetAny(), port)) : Address(Inet6SocketAddress(Ipv6Address::GetAny(), port));
}

Address at(int family, const std::string &four, const std::string &six, uint16_t port) {
    return family == 4 ? Address(InetSocketAddress(Ipv4Address(four.c_str()), port)) : Address(Inet6SocketAddress(Ipv6Address(six.c_str()), port));
}

std::string text_of(const Address &address) {
    std::ostringstream text;
    if (InetSocketAddress::IsMatchingType(address)) {
        auto peer = InetSocketAddress::ConvertFrom(address);
        text << peer.GetIpv4() << ':' << peer.GetPort();
    } else {
        auto peer = Inet6SocketAddress::ConvertFrom(address);
        text << '[' << peer.GetIpv6() << "]:" << peer.GetPort();
    }
    return text.str();
}

const char *name_of(TcpSocket::TcpStates_t state) {
    switch (state) {
    case TcpSocket::LISTEN: return "LISTEN";
    case TcpSocket::SYN_SENT: return "SYN-SENT";
    case TcpSocket::SYN_RCVD: return "SYN-RECEIVED";
    case TcpSocket::ESTABLISHED: return "ESTABLISHED";
    case TcpSocket::CLOSE_WAIT: return "CLOSE-WAIT";
    case TcpSocket::LAST_ACK: return "LAST-ACK";
    case TcpSocket::FIN_WAIT_1: return "FIN-WAIT-1";
    case TcpSocket::FIN_WAIT_2: return "FIN-WAIT-2";
    case TcpSocket::CLOSING: return "CLOSING";
    case TcpSocket::TIME_WAIT: return "TIME-WAIT";
    default: return "CLOSED";
    }
}

bool opening(const TcpSocketBase &socket) { return state_of(socket) == TcpSocket::SYN_SENT || state_of(socket) == TcpSocket::SYN_RCVD; }

} // namespace

Sockets::~Sockets() {
    // ns-3 keeps a socket for as long as there are segments and timers for it: nothing of these objects may be called then.
    for (auto &entry : all) {
        Socket &socket = *entry->socket;
        socket.SetCloseCallbacks(MakeNullCallback<void, Ptr<Socket>>(), MakeNullCallback<void, Ptr<Socket>>());
        socket.SetConnectCallback(MakeNullCallback<void, Ptr<Socket>>(), MakeNullCallback<void, Ptr<Socket>>());
        socket.SetAcceptCallback(MakeNullCallback<bool, Ptr<Socket>, const Address &>(),
                                 MakeNullCallback<void, Ptr<Socket>, const Address &>());
    }
}

json Sockets::perform(const std::string &op, const json &request) {
    if (op == "listen")
        return listen(request);
    if (op == "connect")
        return connect(request);
    static const std::vector<std::string> calls = {"accept", "send", "recv", "shutdown", "close", "set", "state"};
    if (std::find(calls.begin(), calls.end(), op) == calls.end())
        return UNSUPPORTED;
    uint64_t id = number(request, "socket", UINT32_MAX);
    if (id < 1 || id > ids.size())
        throw Invalid();
    Entry &entry = *ids[id - 1];
    if (op == "accept")
        return accept(entry);
    if (op == "send")
        return send(entry, request);
    if (op == "recv")
        return recv(entry, request);
    if (op == "shutdown")
        return shutdown(entry, request);
    if (op == "close")
        return close(entry);
    if (op == "set")
        return set(entry, request);
    return {{"state", name_of(state_of(*entry.socket))}};
}

Sockets::Entry &Sockets::make() {
    all.push_back(std::make_unique<Entry>());
    return *all.back();
}

size_t Sockets::give(Entry *entry) {
    ids.push_back(entry);
    return ids.size();
}

// What ns-3 tells of a connection's end is that it closed, or that there was an error, but not which. An error while time moves on is that nobody has answered.
void Sockets::watch(Entry &entry) {
    Entry *at = &entry;
    entry.socket->SetCloseCallbacks([at](Ptr<Socket>) { at->ended = true; },
                                    [at, this](Ptr<Socket>) {
                                        if (at->error.empty() && !at->ended)
                                            at->error = stack.advancing ? "timed-out" : "reset";
                                    });
}

json Sockets::listen(const json &request) {
    uint16_t port = static_cast<uint16_t>(number(request, "port", 65535));
    int family = family_of(request);
    size_t backlog = request.contains("backlog") ? number(request, "backlog", 65535) : 8;
    json options;
    std::string congestion;
    if (!options_of(request, options, congestion))
        return UNSUPPORTED;
    Ptr<TcpSocketBase> socket = stack.socket(congestion);
    if (socket->Bind(any(family, port)))
        return failed("address-in-use");
    if (!apply_all(*socket, family, options)) {
        socket->Close();
        return UNSUPPORTED;
    }
    socket->Listen();
    Entry &entry = make();
    entry.socket = socket;
    entry.family = family;
    entry.port = port;
    entry.backlog = backlog;
    entry.listener = true;
    Entry *listener = &entry;
    socket->SetAcceptCallback([listener, this](Ptr<Socket>, const Address &)
                                  -> bool { return listener->waiting.size() + stack.half_open(listener->port) < listener->backlog; },
                              [listener, this](Ptr<Socket> made, const Address &from) {
                                  Entry &child = make();
                                  child.socket = DynamicCast<TcpSocketBase>(made);
                                  child.family = listener->family;
                                  child.port = listener->port;
                                  child.peer = text_of(from);
                                  watch(child);
                                  listener->waiting.push_back(&child);
                              });
    return {{"socket", give(&entry)}};
}

json Sockets::connect(const json &request) {
    uint16_t port = static_cast<uint16_t>(number(request, "port", 65535));
    uint16_t remote_port = static_cast<uint16_t>(number(request, "remote_port", 65535));
    int family = family_of(request);
    json options;
    std::string congestion;
    if (!options_of(request, options, congestion))
        return UNSUPPORTED;
    Ptr<TcpSocketBase> socket = stack.socket(congestion);
    if (socket->Bind(at(family, network.local4, network.local6, port)))
        return failed("address-in-use");
    if (!apply_all(*socket, family, options))
        return UNSUPPORTED;
    Entry &entry = make();
    entry.socket = socket;
    entry.family = family;
    entry.port = port;
    watch(entry);
    Entry *active = &entry;
    socket->SetConnectCallback(MakeNullCallback<void, Ptr<Socket>>(), [active](Ptr<Socket>) { active->error = "timed-out"; });
    Address to = at(family, network.remote4, network.remote6, remote_port);
    if (family == 4) {
        // Connect sets it anew.
        InetSocketAddress with_tos = InetSocketAddress::ConvertFrom(to);
        with_tos.SetTos(socket->GetIpTos());
        to = with_tos;
    }
    if (socket->Connect(to))
        return failed("other: ns-3 has no route");
    return {{"socket", give(&entry)}};
}

json Sockets::accept(Entry &entry) {
    if (!entry.listener || entry.closed)
        return failed("invalid");
    if (entry.waiting.empty())
        return failed("would-block");
    Entry *child = entry.waiting.front();
    entry.waiting.pop_front();
    return {{"socket", give(child)}, {"peer", child->peer}};
}

json Sockets::send(Entry &entry, const json &request) {
    std::vector<uint8_t> data = octets_of(request.at("data").get<std::string>());
    if (request.value("urgent", false))
        return UNSUPPORTED;
    if (entry.closed)
        return failed("closed");
    if (!entry.error.empty())
        return failed(entry.error.c_str());
    if (entry.listener)
        return failed("not-connected");
    if (state_of(*entry.socket) == TcpSocket::SYN_RCVD)
        return failed("would-block");
    size_t count = std::min<size_t>(data.size(), entry.socket->GetTxAvailable());
    if (count == 0 && !data.empty() && !entry.shut && !entry.ended)
        return failed("would-block");
    if (entry.socket->Send(Create<Packet>(data.data(), count), 0) >= 0)
        return {{"count", count}};
    switch (entry.socket->GetErrno()) {
    case Socket::ERROR_SHUTDOWN: return failed("closed");
    case Socket::ERROR_MSGSIZE: return failed(entry.shut ? "closed" : "would-block");
    default: return failed(entry.shut ? "closed" : "not-connected");
    }
}

json Sockets::recv(Entry &entry, const json &request) {
    uint64_t most = number(request, "max", UINT32_MAX);
    if (entry.listener)
        return failed("not-connected");
    if (entry.closed || !entry.reading)
        return failed("closed");
    TcpSocketBase &socket = *entry.socket;
    Ptr<Packet> packet = socket.Recv(static_cast<uint32_t>(most), 0);
    if (packet && packet->GetSize() > 0) {
        std::vector<uint8_t> data(packet->GetSize());
        packet->CopyData(data.data(), data.size());
        return {{"data", digits_of(data)}};
    }
    if (!entry.error.empty())
        return failed(entry.error.c_str());
    bool nothing_left = most > 0 && !opening(socket);
    // An empty packet is ns-3's end of the stream, which it gives in CLOSE-WAIT alone; elsewhere it has told that it closed.
    if (nothing_left && (packet || entry.ended || socket.GetRxBuffer()->Finished()))
        return {{"eof", true}};
    return failed("would-block");
}

json Sockets::shutdown(Entry &entry, const json &request) {
    std::string how = request.at("how").get<std::string>();
    if (how != "read" && how != "write" && how != "both")
        throw Invalid();
    if (entry.listener)
        return failed("not-connected");
    if (entry.closed)
        return json::object();
    if (how != "write") {
        entry.socket->ShutdownRecv();
        entry.reading = false;
    }
    if (how != "read" && !entry.shut) {
        entry.shut = true;
        entry.socket->ShutdownSend();
    }
    return json::object();
}

json Sockets::close(Entry &entry) {
    if (entry.closed)
        return json::object();
    entry.closed = true;
    entry.socket->Close();
    for (Entry *child : entry.waiting)
        child->socket->Close();
    entry.waiting.clear();
    return json::object();
}

json Sockets::set(Entry &entry, const json &request) {
    std::string option = request.at("option").get<std::string>();
    const json &value = request.at("value");
    return apply(*entry.socket, entry.family, option, value) ? json::object() : UNSUPPORTED;
}
