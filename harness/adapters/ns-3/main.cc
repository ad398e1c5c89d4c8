// ns-3's TCP behind the harness's target protocol (harness/TARGETS.md).
#include <iostream>
#include <optional>

#include <sys/resource.h>

#include "fields.h"
#include "sockets.h"

namespace {

const json SETTINGS = {
    "checksums on: ns-3 neither makes nor looks at them by default (ChecksumEnabled)",
    "Nagle's algorithm off, the default (TcpNoDelay): with it ns-3 also holds back what it has to send again, where that is shorter than a segment (SendPendingData)",
    "buffers as asked for; 128 KiB by default",
    "duplicate address detection off",
    "the device is a VirtualNetDevice without ARP and neighbour discovery; its MTU is the link's",
    "segments of 536 octets, the default (SegmentSize): ns-3 has no option of the maximum segment size",
    "the clock's microsecond holds all that ns-3 does in its nanoseconds: what is written leaves one nanosecond later",
    "the backlog is the adapter's: it has ns-3 refuse a SYN where as many connections are half-open or wait",
    "ns-3 tells that a connection closed or that there was an error, not which: an error while time moves on is timed-out, else reset",
    "there is no abort in ns-3's sockets",
};

class Adapter {
  public:
    json answer(const std::string &line) {
        json request = json::parse(line);
        std::string op = request.at("op").get<std::string>();
        if (op == "hello")
            return hello(request);
        if (op == "reset")
            return reset(request);
        if (!stack)
            throw Invalid();
        json answer;
        if (op == "deliver") {
            std::vector<std::vector<uint8_t>> datagrams;
            for (const json &packet : request.at("packets"))
                datagrams.push_back(octets_of(packet.get<std::string>()));
            for (const auto &datagram : datagrams)
                stack->deliver(datagram);
            answer = json::object();
        } else if (op == "advance") {
            stack->advance(number(request, "us", INT64_MAX / 4000));
            answer = json::object();
        } else {
            answer = sockets->perform(op, request);
        }
        stack->settle();
        return with_packets(std::move(answer));
    }

  private:
    json hello(const json &request) {
        if (request.at("protocol") != 1)
            throw Invalid();
        auto pair = [&request](const char *name, std::string &four, std::string &six) {
            json both = request.value(name, json::array());
            if (both.size() == 2) {
                four = both[0].get<std::string>();
                six = both[1].get<std::string>();
            }
        };
        pair("local", network.local4, network.local6);
        pair("remote", network.remote4, network.remote6);
        if (request.contains("mtu"))
            network.mtu = static_cast<uint16_t>(number(request, "mtu", 65535));
        return {
            {"protocol", 1}, {"name", "ns-3"}, {"version", NS3_VERSION}, {"clock", "virtual"}, {"tick_us", 1}, {"repeatable", true}, {"families", {4, 6}},
            {"calls", {"listen", "accept", "connect", "send", "recv", "shutdown", "close", "set", "state"}}, {"settings", SETTINGS},
        };
    }

    json reset(const json &request) {
        uint64_t seed = number(request, "seed", UINT64_MAX);
        json config = request.value("config", json::object());
        uint32_t recv = config.contains("recv_buffer") ? number(config, "recv_buffer", UINT32_MAX) : 65535;
        uint32_t send = config.contains("send_buffer") ? number(config, "send_buffer", UINT32_MAX) : 65535;
        sockets.reset();
        stack.reset();
        stack.emplace(network, seed, recv, send);
        sockets.emplace(*stack, network);
        stack->sent.clear();
        return {{"config", {{"recv_buffer", recv}, {"send_buffer", send}}}};
    }

    json with_packets(json answer) {
        std::vector<Datagram> sent = std::move(stack->sent);
        stack->sent.clear();
        if (sent.size() > Stack::flood) {
            sent.resize(Stack::flood);
            answer["flood"] = true;
        }
        json packets = json::array();
        for (const Datagram &datagram : sent)
            packets.push_back({{"us", datagram.us}, {"ip", digits_of(datagram.octets)}});
        if (!packets.empty())
            answer["packets"] = std::move(packets);
        uint64_t next;
        answer["next_timer_us"] = stack->next_timer(next) ? json(next) : json();
        return answer;
    }

    Network network;
    std::optional<Stack> stack;
    std::optional<Sockets> sockets;
};

} // namespace

int main() {
    // An option of length 0 has ns-3 fill memory for ever, 400 MB each second: here it dies of that, and the machine does not.
    rlimit memory{1u << 30, 1u << 30};
    if (setrlimit(RLIMIT_AS, &memory))
        std::cerr << "ns-3: no limit of memory could be set\n";
    std::ios::sync_with_stdio(false);
    Adapter adapter;
    std::string line;
    while (std::getline(std::cin, line)) {
        json answer;
        try {
            answer = adapter.answer(line);
        } catch (const Invalid &) {
            answer = {{"error", "invalid"}};
        } catch (const json::exception &) {
            answer = {{"error", "invalid"}};
        }
        std::cout << answer.dump() << '\n' << std::flush;
    }
    return 0;
}
