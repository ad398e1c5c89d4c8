// What the fields of a request are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

using json = nlohmann::json;

// A request that lacks something.
struct Invalid {};

inline std::vector<uint8_t> octets_of(const std::string &digits) {
    auto value = [](char c) -> int {
        if (c >= '0' && c <= '9')
            return c - '0';
        if (c >= 'a' && c <= 'f')
            return c - 'a' + 10;
        throw Invalid();
    };
    if (digits.size() % 2)
        throw Invalid();
    std::vector<uint8_t> octets(digits.size() / 2);
    for (size_t i = 0; i < octets.size(); i++)
        octets[i] = static_cast<uint8_t>(value(digits[2 * i]) << 4 | value(digits[2 * i + 1]));
    return octets;
}

inline std::string digits_of(const std::vector<uint8_t> &octets) {
    const char *digit = "0123456789abcdef";
    std::string digits;
    for (uint8_t octet : octets)
        digits += {digit[octet >> 4], digit[octet & 15]};
    return digits;
}

inline uint64_t number(const json &request, const char *name, uint64_t most) {
    const json &value = request.at(name);
    if (!value.is_number_integer() || value < 0 || value > most)
        throw Invalid();
    return value.get<uint64_t>();
}
