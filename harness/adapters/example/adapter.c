/* An adapter for the harness's target protocol (harness/TARGETS.md) in C, with the smallest TCP there is: a host without sockets, which
 * answers every segment as RFC 9293 section 3.10.7.1 says. IPv4 only.
 *
 *     cc -O2 -o /tmp/example harness/adapters/example/adapter.c
 *     harness target-check exec:/tmp/example
 *     harness --target exec:/tmp/example 'reset/closed-port-*'
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_LINE (1 << 20)
#define MOST_PACKETS 64

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static unsigned long long now_us; /* The virtual clock. */
static uint8_t sent[MOST_PACKETS][40];
static int sent_count;

/* ---- the stack ---- */

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static void put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, (uint16_t)(v >> 16)), put16(p + 2, (uint16_t)v); }

static uint32_t add(uint32_t sum, const uint8_t *p, size_t length) {
    for (size_t i = 0; i < length; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* RFC 9293 section 3.1: over the addresses, the protocol, the length, and the segment. */
static uint16_t tcp_checksum(const uint8_t *ip, const uint8_t *tcp, size_t length) {
    return fold(add(add((uint32_t)(6 + length), ip + 12, 8), tcp, length));
}

static void reset(const uint8_t *to, uint32_t seq, uint32_t ack, uint8_t flags) {
    if (sent_count == MOST_PACKETS)
        return;
    uint8_t *ip = sent[sent_count++], *tcp = ip + 20;
    memset(ip, 0, 40);
    ip[0] = 0x45, ip[8] = 64, ip[9] = 6;
    put16(ip + 2, 40);
    memcpy(ip + 12, to + 16, 4);
    memcpy(ip + 16, to + 12, 4);
    put16(ip + 10, fold(add(0, ip, 20)));
    memcpy(tcp, to + 22, 2);
    memcpy(tcp + 2, to + 20, 2);
    put32(tcp + 4, seq), put32(tcp + 8, ack);
    tcp[12] = 5 << 4, tcp[13] = flags;
    put16(tcp + 16, tcp_checksum(ip, tcp, 20));
}

static void arrive(const uint8_t *ip, size_t length) {
    if (length < 40 || ip[0] != 0x45 || ip[9] != 6 || get16(ip + 2) > length || get16(ip + 2) < 40 || fold(add(0, ip, 20)))
        return;
    const uint8_t *tcp = ip + 20;
    size_t octets = get16(ip + 2) - 20u, header = (tcp[12] >> 4) * 4u;
    if (header < 20 || header > octets || tcp_checksum(ip, tcp, octets))
        return;
    /* Not from or to what is not one host (RFC 9293 MUST-57). */
    if (ip[12] >= 224 || ip[16] >= 224 || get32(ip + 12) == 0 || get32(ip + 16) == 0)
        return;
    uint8_t flags = tcp[13];
    uint32_t seq = get32(tcp + 4), end = seq + (uint32_t)(octets - header) + !!(flags & SYN) + !!(flags & FIN);
    if (flags & RST)
        return;
    if (flags & ACK)
        reset(ip, get32(tcp + 8), 0, RST);
    else
        reset(ip, 0, end, RST | ACK);
}

/* ---- the adapter ---- */

/* What stands behind "name": in a flat object; NULL where it is not there. A real adapter uses a JSON library. */
static const char *field(const char *line, const char *name) {
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(line, quoted);
    return at ? at + strlen(quoted) : NULL;
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* Reads a string of hexadecimal digits; the length in octets, or -1. Moves *text behind the closing quote. */
static long octets(const char **text, uint8_t *out) {
    long n = 0;
    const char *p = *text;
    while (*p != '"') {
        int high = digit(p[0]), low = high < 0 ? -1 : digit(p[1]);
        if (low < 0)
            return -1;
        out[n++] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    *text = p + 1;
    return n;
}

/* The datagrams of a deliver; whether they are well formed. */
static int deliver(const char *list) {
    static uint8_t ip[LONGEST_LINE / 2];
    if (*list++ != '[')
        return 0;
    while (*list == '"' || *list == ',') {
        list += *list == ',';
        if (*list++ != '"')
            return 0;
        long length = octets(&list, ip);
        if (length < 0)
            return 0;
        arrive(ip, (size_t)length);
    }
    return *list == ']';
}

static void settled(void) {
    printf("{\"packets\":[");
    for (int i = 0; i < sent_count; i++) {
        printf("%s{\"us\":%llu,\"ip\":\"", i ? "," : "", now_us);
        for (int j = 0; j < 40; j++)
            printf("%02x", sent[i][j]);
        printf("\"}");
    }
    printf("],\"next_timer_us\":null}\n");
    sent_count = 0;
}

int main(void) {
    static char line[LONGEST_LINE];
    while (fgets(line, sizeof line, stdin)) {
        const char *op = field(line, "op"), *value;
        if (line[0] != '{' || !op)
            puts("{\"error\":\"invalid\"}");
        else if (!strncmp(op, "\"hello\"", 7))
            puts("{\"protocol\":1,\"name\":\"example-c\",\"version\":\"1\",\"clock\":\"virtual\",\"families\":[4],\"calls\":[]}");
        else if (!strncmp(op, "\"reset\"", 7))
            now_us = 0, settled();
        else if (!strncmp(op, "\"deliver\"", 9)) {
            if ((value = field(line, "packets")) && deliver(value))
                settled();
            else
                sent_count = 0, puts("{\"error\":\"invalid\"}");
        } else if (!strncmp(op, "\"advance\"", 9) && (value = field(line, "us")))
            now_us += strtoull(value, NULL, 10), settled();
        else
            puts("{\"unsupported\":true}");
        fflush(stdout);
    }
    return 0;
}
