#include "stack.h"

using namespace ns3;

namespace {

// Nanoseconds in a microsecond: ns-3 lets what was written leave a nanosecond later, which is the same microsecond of the harness.
constexpr uint64_t NS = 1000;

// Octets: more than the longest headers of IP and TCP.
constexpr uint32_t BEHIND = 128;

Events *queue;
uint64_t limit_ns;
bool stopped;

} // namespace

NS_OBJECT_ENSURE_REGISTERED(Events);

TypeId Events::GetTypeId() {
    static TypeId type = TypeId("Events").SetParent<Scheduler>().AddConstructor<Events>();
    return type;
}

Events::Events() { queue = this; }

void Events::Insert(const Event &event) { events.emplace(event.key, event.impl); }

bool Events::IsEmpty() const { return stopped || events.empty() || events.begin()->first.m_ts > limit_ns; }

Scheduler::Event Events::PeekNext() const { return Event{events.begin()->second, events.begin()->first}; }

Scheduler::Event Events::RemoveNext() {
    Event event = PeekNext();
    events.erase(events.begin());
    return event;
}

void Events::Remove(const Event &event) { events.erase(event.key); }

bool Events::next(uint64_t &at) const {
    for (const auto &[key, event] : events)
        if (!event->IsCancelled()) {
            at = key.m_ts;
            return true;
        }
    return false;
}

Stack::Stack(const Network &network, uint64_t seed, uint32_t recv_buffer, uint32_t send_buffer) {
    limit_ns = 0;
    stopped = false;
    GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
    GlobalValue::Bind("SchedulerType", TypeIdValue(Events::GetTypeId()));
    RngSeedManager::SetSeed(1);
    RngSeedManager::SetRun(seed);
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(recv_buffer));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(send_buffer));
    Config::SetDefault("ns3::Icmpv6L4Protocol::DAD", BooleanValue(false));

    node = CreateObject<Node>();
    device = CreateObject<VirtualNetDevice>();
    device->SetAddress(Mac48Address("02:00:00:00:00:01"));
    device->SetNeedsArp(false);
    device->SetIsPointToPoint(false);
    device->SetMtu(network.mtu);
    device->SetSendCallback(MakeCallback(&Stack::transmit, this));
    node->AddDevice(device);
    InternetStackHelper internet;
    internet.Install(node);
    internet.AssignStreams(NodeContainer(node), 0);
    tcp = node->GetObject<TcpL4Protocol>();

    Ptr<Ipv4> ipv4 = node->GetObject<Ipv4>();
    uint32_t interface = ipv4->AddInterface(device);
    ipv4->AddAddress(interface, Ipv4InterfaceAddress(Ipv4Address(network.local4.c_str()), Ipv4Mask("/24")));
    ipv4->SetUp(interface);
    Ipv4StaticRoutingHelper routes4;
    routes4.GetStaticRouting(ipv4)->SetDefaultRoute(Ipv4Address(network.remote4.c_str()), interface);

    Ptr<Ipv6> ipv6 = node->GetObject<Ipv6>();
    interface = ipv6->AddInterface(device);
    ipv6->AddAddress(interface, Ipv6InterfaceAddress(Ipv6Address(network.local6.c_str()), Ipv6Prefix(64)));
    ipv6->SetUp(interface);
    Ipv6StaticRoutingHelper routes6;
    routes6.GetStaticRouting(ipv6)->SetDefaultRoute(Ipv6Address(network.remote6.c_str()), interface);
    settle();
}

Stack::~Stack() {
    device->SetSendCallback(VirtualNetDevice::SendCallback());
    node = nullptr;
    device = nullptr;
    tcp = nullptr;
    limit_ns = UINT64_MAX;
    stopped = false;
    Simulator::Destroy();
    queue = nullptr;
}

bool Stack::transmit(Ptr<Packet> packet, const Address &, const Address &, uint16_t protocol) {
    if (protocol != Ipv4L3Protocol::PROT_NUMBER && protocol != Ipv6L3Protocol::PROT_NUMBER)
        return true;
    Datagram datagram{static_cast<uint64_t>(Simulator::Now().GetNanoSeconds()) / NS, std::vector<uint8_t>(packet->GetSize())};
    packet->CopyData(datagram.octets.data(), datagram.octets.size());
    sent.push_back(std::move(datagram));
    stopped = sent.size() > flood;
    return true;
}

void Stack::deliver(const std::vector<uint8_t> &datagram) {
    if (datagram.empty())
        return;
    uint16_t protocol;
    if (datagram[0] >> 4 == 4)
        protocol = Ipv4L3Protocol::PROT_NUMBER;
    else if (datagram[0] >> 4 == 6)
        protocol = Ipv6L3Protocol::PROT_NUMBER;
    else
        return;
    // ns-3 reads on behind the end of a header that is cut off: there it finds the same each time.
    std::vector<uint8_t> longer = datagram;
    longer.resize(datagram.size() + BEHIND);
    Ptr<Packet> packet = Create<Packet>(longer.data(), longer.size());
    packet->RemoveAtEnd(BEHIND);
    device->Receive(packet, protocol, Mac48Address("02:00:00:00:00:02"), device->GetAddress(), NetDevice::PACKET_HOST);
    settle();
}

void Stack::settle() {
    limit_ns = now_us * NS + NS - 1;
    Simulator::Run();
    stopped = false;
}

void Stack::advance(uint64_t us) {
    now_us += us;
    // The clock stands where its last event was: this one brings it to the end.
    uint64_t at = Simulator::Now().GetNanoSeconds();
    if (now_us * NS > at)
        Simulator::Schedule(NanoSeconds(now_us * NS - at), [] {});
    advancing = true;
    settle();
    advancing = false;
}

bool Stack::next_timer(uint64_t &us) const {
    uint64_t at;
    if (!queue || !queue->next(at))
        return false;
    us = std::max(at / NS, now_us + 1);
    return true;
}

Ptr<TcpSocketBase> Stack::socket(const std::string &congestion) {
    Ptr<Socket> socket = congestion.empty() ? tcp->CreateSocket() : tcp->CreateSocket(TypeId::LookupByName(congestion));
    return DynamicCast<TcpSocketBase>(socket);
}

size_t Stack::half_open(uint16_t port) const {
    ObjectVectorValue sockets;
    tcp->GetAttribute("SocketList", sockets);
    size_t count = 0;
    for (auto entry = sockets.Begin(); entry != sockets.End(); ++entry) {
        Ptr<TcpSocketBase> socket = DynamicCast<TcpSocketBase>(entry->second);
        Address at;
        if (!socket || state_of(*socket) != TcpSocket::SYN_RCVD || socket->GetSockName(at))
            continue;
        uint16_t own = InetSocketAddress::IsMatchingType(at) ? InetSocketAddress::ConvertFrom(at).GetPort()
                                                            : Inet6SocketAddress::ConvertFrom(at).GetPort();
        count += own == port;
    }
    return count;
}

TcpSocket::TcpStates_t state_of(const TcpSocketBase &socket) {
    struct Derived : TcpSocketBase {
        static TcpSocket::TcpStates_t of(const TcpSocketBase &socket) {
            bool known = socket.*&Derived::m_endPoint || socket.*&Derived::m_endPoint6;
            return known ? (socket.*&Derived::m_state).Get() : TcpSocket::CLOSED;
        }
    };
    return Derived::of(socket);
}
