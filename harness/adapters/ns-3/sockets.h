// The calls of the target protocol on ns-3's sockets, which tell by callbacks what became of them.
#pragma once

#include <deque>
#include <memory>

#include "fields.h"
#include "stack.h"

class Sockets {
  public:
    Sockets(Stack &stack, const Network &network) : stack(stack), network(network) {}
    ~Sockets();
    Sockets(const Sockets &) = delete;
    Sockets &operator=(const Sockets &) = delete;

    // Performs a call, or throws Invalid.
    json perform(const std::string &op, const json &request);

  private:
    struct Entry {
        ns3::Ptr<ns3::TcpSocketBase> socket;
        int family = 4;
        uint16_t port = 0;
        size_t backlog = 0;
        bool listener = false, shut = false, closed = false, reading = true, ended = false;
        std::string error;
        // Connections that nobody has accepted yet.
        std::deque<Entry *> waiting;
        std::string peer;
    };

    json listen(const json &request);
    json connect(const json &request);
    json accept(Entry &entry);
    json send(Entry &entry, const json &request);
    json recv(Entry &entry, const json &request);
    json shutdown(Entry &entry, const json &request);
    json close(Entry &entry);
    json set(Entry &entry, const json &request);
    Entry &make();
    void watch(Entry &entry);
    size_t give(Entry *entry);

    Stack &stack;
    const Network &network;
    std::vector<std::unique_ptr<Entry>> all;
    // What an id stands for; ids begin at 1.
    std::vector<Entry *> ids;
};
