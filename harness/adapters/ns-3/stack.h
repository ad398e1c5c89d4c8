// ns-3's internet stack on one node, between a clock and a wire that are the harness's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/virtual-net-device.h>

// The simulator's events, of which those behind a limit are out of its sight: so it runs as far as that, and no further.
class Events : public ns3::Scheduler {
  public:
    static ns3::TypeId GetTypeId();
    Events();
    void Insert(const Event &event) override;
    bool IsEmpty() const override;
    Event PeekNext() const override;
    Event RemoveNext() override;
    void Remove(const Event &event) override;
    // When the first event falls due that was not cancelled, nanoseconds; false where there is none.
    bool next(uint64_t &at) const;

  private:
    std::map<EventKey, ns3::EventImpl *> events;
};

struct Datagram {
    uint64_t us;
    std::vector<uint8_t> octets;
};

struct Network {
    std::string local4 = "192.0.2.1", local6 = "2001:db8::1", remote4 = "192.0.2.2", remote6 = "2001:db8::2";
    uint16_t mtu = 1500;
};

class Stack {
  public:
    // The most datagrams that one request brings.
    static constexpr size_t flood = 2000;

    Stack(const Network &network, uint64_t seed, uint32_t recv_buffer, uint32_t send_buffer);
    ~Stack();
    Stack(const Stack &) = delete;
    Stack &operator=(const Stack &) = delete;

    void deliver(const std::vector<uint8_t> &datagram);
    // Runs what is due by now.
    void settle();
    void advance(uint64_t us);
    // The time at which something can happen without input, microseconds; false where there is none.
    bool next_timer(uint64_t &us) const;
    uint64_t now() const { return now_us; }
    ns3::Ptr<ns3::TcpSocketBase> socket(const std::string &congestion);
    // Connections to a port whose handshake goes on.
    size_t half_open(uint16_t port) const;

    std::vector<Datagram> sent;
    // Whether time moves on, and nothing has come.
    bool advancing = false;

  private:
    bool transmit(ns3::Ptr<ns3::Packet> packet, const ns3::Address &from, const ns3::Address &to, uint16_t protocol);

    ns3::Ptr<ns3::Node> node;
    ns3::Ptr<ns3::VirtualNetDevice> device;
    ns3::Ptr<ns3::TcpL4Protocol> tcp;
    uint64_t now_us = 0;
};

// The state of a connection, which ns-3 keeps for those that derive from its socket. One that has lost its end point, with a reset or after the last
// retransmission, is CLOSED, whatever state ns-3 left it in: no segment reaches it any more.
ns3::TcpSocket::TcpStates_t state_of(const ns3::TcpSocketBase &socket);
