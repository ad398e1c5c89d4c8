/* lwIP's raw API as sockets that never wait. */
#include <stdint.h>
#include <string.h>

#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"

#define MOST_SOCKETS 512
#define MOST_OPTIONS 8

/* As in src/main.rs. */
enum { DONE = 0, WOULD_BLOCK = -1, REFUSED = -2, RESET = -3, TIMED_OUT = -4, NOT_CONNECTED = -5, CLOSED_ERROR = -6, IN_USE = -7,
       NO_BUFFER = -8, INVALID = -9, UNSUPPORTED = -10, END = -11 };
enum { SET_NODELAY = 1, SET_KEEPALIVE = 2 };

struct option { int kind; uint64_t value; };

struct socket {
    int listens;
    struct tcp_pcb *pcb;  /* NULL when the connection is gone. */
    u16_t local_port, remote_port;
    struct pbuf *received;
    int eof, error, closed, half_closed, connecting;
    int listener;         /* What it waits at to be accepted; -1 otherwise. */
    struct option options[MOST_OPTIONS];
    int option_count;
};

static struct socket sockets[MOST_SOCKETS];
static int socket_count;
/* Connections that nobody has accepted yet stand among the sockets from the end on. */
static struct netif wire;
static uint64_t now_us, state_of_chance;

extern void life_begin(void);
extern void glue_sent(uint64_t us, const uint8_t *octets, size_t length);

u32_t sys_now(void) { return (u32_t)(now_us / 1000); }

unsigned int glue_random(void) {
    /* splitmix64 */
    uint64_t z = (state_of_chance += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (unsigned int)(z ^ (z >> 31));
}

static void put(struct pbuf *p) {
    static uint8_t datagram[65536];
    u16_t length = pbuf_copy_partial(p, datagram, sizeof datagram - 1, 0);
    glue_sent(now_us, datagram, length);
}

static err_t out4(struct netif *n, struct pbuf *p, const ip4_addr_t *to) { (void)n, (void)to; put(p); return ERR_OK; }
static err_t out6(struct netif *n, struct pbuf *p, const ip6_addr_t *to) { (void)n, (void)to; put(p); return ERR_OK; }

static err_t up(struct netif *n) {
    n->name[0] = 't', n->name[1] = 'n';
    n->mtu = 1500;
    n->output = out4;
    n->output_ip6 = out6;
    n->flags |= NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

void glue_start(uint64_t seed) {
    life_begin();
    state_of_chance = seed;
    lwip_init();
    /* A machine that has been up for a while, an hour at most: lwIP's clock stands while there is no connection, and at tick 0 it takes the time of a
     * segment's sending for none. */
    tcp_ticks = 1 + glue_random() % (3600 * 2);
    ip4_addr_t address, mask, gateway;
    IP4_ADDR(&address, 192, 0, 2, 1);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 192, 0, 2, 2);
    netif_add(&wire, &address, &mask, &gateway, NULL, up, ip_input);
    ip6_addr_t six;
    ip6addr_aton("2001:db8::1", &six);
    netif_ip6_addr_set(&wire, 0, &six);
    netif_ip6_addr_set_state(&wire, 0, IP6_ADDR_PREFERRED);
    netif_set_default(&wire);
    netif_set_up(&wire);
}

/* ---- callbacks ---- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
    struct socket *s = arg;
    (void)pcb, (void)err;
    if (!p)
        s->eof = 1;
    else if (s->received)
        pbuf_cat(s->received, p);
    else
        s->received = p;
    return ERR_OK;
}

static void on_err(void *arg, err_t err) {
    struct socket *s = arg;
    s->pcb = NULL;
    if (s->error)
        return;
    s->error = err == ERR_RST ? (s->connecting ? REFUSED : RESET) : err == ERR_ABRT ? TIMED_OUT : s->eof ? 0 : CLOSED_ERROR;
    s->connecting = 0;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err) {
    (void)pcb, (void)err;
    ((struct socket *)arg)->connecting = 0;
    return ERR_OK;
}

static int put_option(struct socket *s, int kind, uint64_t value) {
    if (s->listens) {
        if (s->option_count == MOST_OPTIONS)
            return NO_BUFFER;
        s->options[s->option_count++] = (struct option){kind, value};
        return DONE;
    }
    if (!s->pcb)
        return INVALID;
    if (kind == SET_NODELAY) {
        if (value)
            tcp_nagle_disable(s->pcb);
        else
            tcp_nagle_enable(s->pcb);
        return DONE;
    }
    if (value) {
        ip_set_option(s->pcb, SOF_KEEPALIVE);
        s->pcb->keep_idle = s->pcb->keep_intvl = (u32_t)(value / 1000 > UINT32_MAX / 2 ? UINT32_MAX / 2 : value / 1000);
    } else {
        ip_reset_option(s->pcb, SOF_KEEPALIVE);
    }
    return DONE;
}

static struct socket *connection(struct tcp_pcb *pcb, struct socket *s) {
    *s = (struct socket){.pcb = pcb, .local_port = pcb->local_port, .remote_port = pcb->remote_port, .listener = -1};
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_recv);
    tcp_err(pcb, on_err);
    return s;
}

/* Connections that wait to be accepted, in their order. */
static struct socket *waiting[MOST_SOCKETS];
static int waiting_count;

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err) {
    struct socket *listener = arg;
    if (err != ERR_OK || !pcb || waiting_count == MOST_SOCKETS)
        return ERR_VAL;
    struct socket *s = life_calloc(1, sizeof *s);
    if (!s)
        return ERR_MEM;
    connection(pcb, s);
    s->listener = (int)(listener - sockets);
    for (int i = 0; i < listener->option_count; i++)
        put_option(s, listener->options[i].kind, listener->options[i].value);
    tcp_backlog_delayed(pcb);
    waiting[waiting_count++] = s;
    return ERR_OK;
}

/* ---- calls: an id or a count from 0, or one of the errors ---- */

/* A port that a connection has can be listened at beside it. */
static struct tcp_pcb *fresh(int family) {
    struct tcp_pcb *pcb = tcp_new_ip_type(family == 4 ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
    if (pcb)
        ip_set_option(pcb, SOF_REUSEADDR);
    return pcb;
}

int glue_listen(uint16_t port, int family, uint16_t backlog) {
    struct tcp_pcb *pcb = fresh(family);
    if (!pcb || socket_count == MOST_SOCKETS)
        return NO_BUFFER;
    err_t err = tcp_bind(pcb, family == 4 ? IP4_ADDR_ANY : IP6_ADDR_ANY, port);
    if (err != ERR_OK) {
        tcp_close(pcb);
        return err == ERR_USE ? IN_USE : INVALID;
    }
    struct tcp_pcb *listening = tcp_listen_with_backlog(pcb, backlog > 255 ? 255 : (u8_t)backlog);
    if (!listening) {
        tcp_close(pcb);
        return NO_BUFFER;
    }
    struct socket *s = &sockets[socket_count];
    *s = (struct socket){.listens = 1, .pcb = listening, .local_port = port, .listener = -1};
    tcp_arg(listening, s);
    tcp_accept(listening, on_accept);
    return socket_count++;
}

int glue_connect(uint16_t port, uint16_t remote_port, int family) {
    struct tcp_pcb *pcb = fresh(family);
    if (!pcb || socket_count == MOST_SOCKETS)
        return NO_BUFFER;
    if (tcp_bind(pcb, family == 4 ? IP4_ADDR_ANY : IP6_ADDR_ANY, port) != ERR_OK) {
        tcp_close(pcb);
        return IN_USE;
    }
    ip_addr_t remote;
    ipaddr_aton(family == 4 ? "192.0.2.2" : "2001:db8::2", &remote);
    struct socket *s = connection(pcb, &sockets[socket_count]);
    s->connecting = 1;
    s->remote_port = remote_port;
    if (tcp_connect(pcb, &remote, remote_port, on_connected) != ERR_OK) {
        tcp_abort(pcb);
        return INVALID;
    }
    return socket_count++;
}

static struct socket *given(uint32_t id) { return id < (uint32_t)socket_count ? &sockets[id] : NULL; }

int glue_accept(uint32_t id) {
    struct socket *listener = given(id);
    if (!listener || !listener->listens)
        return INVALID;
    for (int i = 0; i < waiting_count; i++) {
        struct socket *s = waiting[i];
        if (s->listener != (int)id)
            continue;
        if (socket_count == MOST_SOCKETS)
            return NO_BUFFER;
        memmove(&waiting[i], &waiting[i + 1], (size_t)(--waiting_count - i) * sizeof *waiting);
        struct socket *mine = &sockets[socket_count];
        *mine = *s;
        mine->listener = -1;
        life_free(s);
        if (mine->pcb) {
            tcp_arg(mine->pcb, mine);
            tcp_backlog_accepted(mine->pcb);
        }
        return socket_count++;
    }
    return WOULD_BLOCK;
}

int64_t glue_send(uint32_t id, const uint8_t *octets, uint32_t length) {
    struct socket *s = given(id);
    if (!s)
        return INVALID;
    if (s->listens)
        return NOT_CONNECTED;
    if (s->error)
        return s->error;
    if (s->closed || s->half_closed || !s->pcb)
        return CLOSED_ERROR;
    u32_t n = LWIP_MIN(length, tcp_sndbuf(s->pcb));
    while (n > 0 && tcp_write(s->pcb, octets, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK)
        n /= 2;
    if (n == 0)
        return WOULD_BLOCK;
    tcp_output(s->pcb);
    return n;
}

int64_t glue_recv(uint32_t id, uint8_t *octets, uint32_t most) {
    struct socket *s = given(id);
    if (!s)
        return INVALID;
    if (s->listens)
        return NOT_CONNECTED;
    if (s->closed)
        return CLOSED_ERROR;
    if (s->received) {
        u16_t n = pbuf_copy_partial(s->received, octets, (u16_t)LWIP_MIN(most, 0xffff), 0);
        s->received = pbuf_free_header(s->received, n);
        if (s->pcb)
            tcp_recved(s->pcb, n);
        return n;
    }
    if (s->error)
        return s->error;
    return s->eof || !s->pcb ? END : WOULD_BLOCK;
}

static int lives(struct socket *s);

/* The connection's end, as the user wants it. */
int glue_shutdown(uint32_t id, int read, int write) {
    struct socket *s = given(id);
    if (!s)
        return INVALID;
    if (s->listens)
        return NOT_CONNECTED;
    if (!lives(s) || s->closed)
        return DONE;
    if (write && !s->half_closed) {
        s->half_closed = 1;
        err_t err = tcp_shutdown(s->pcb, 0, 1);
        if (err != ERR_OK)
            return err == ERR_CONN ? NOT_CONNECTED : NO_BUFFER;
    }
    (void)read;
    return DONE;
}

int glue_close(uint32_t id) {
    struct socket *s = given(id);
    if (!s)
        return INVALID;
    if (s->listens && s->pcb) {
        tcp_close(s->pcb);
        s->pcb = NULL;
        /* Nobody will accept them any more. */
        for (int i = 0; i < waiting_count; i++)
            if (waiting[i]->listener == (int)id && waiting[i]->pcb)
                tcp_abort(waiting[i]->pcb);
        return DONE;
    }
    if (s->closed || !lives(s)) {
        s->closed = 1;
        return DONE;
    }
    s->closed = 1;
    /* lwIP resets a connection with unread text by itself only where it knows of it: what stands here was never acknowledged as read. */
    return tcp_close(s->pcb) == ERR_OK ? DONE : NO_BUFFER;
}

int glue_abort(uint32_t id) {
    struct socket *s = given(id);
    if (!s)
        return INVALID;
    if (s->listens)
        return glue_close(id);
    s->closed = 1;
    if (lives(s)) {
        struct tcp_pcb *pcb = s->pcb;
        s->error = RESET;
        tcp_abort(pcb);
        s->pcb = NULL;
    }
    return DONE;
}

int glue_set(uint32_t id, int kind, uint64_t value) {
    struct socket *s = given(id);
    return s ? put_option(s, kind, value) : INVALID;
}

/* Whether a connection's block still stands in one of lwIP's lists: it is freed without a word once the connection ends in order. */
static int lives(struct socket *s) {
    struct tcp_pcb *lists[] = {tcp_active_pcbs, tcp_tw_pcbs, tcp_bound_pcbs};
    for (int i = 0; s->pcb && i < 3; i++)
        for (struct tcp_pcb *pcb = lists[i]; pcb; pcb = pcb->next)
            if (pcb == s->pcb && pcb->local_port == s->local_port && pcb->remote_port == s->remote_port)
                return 1;
    s->pcb = NULL;
    return 0;
}

/* A number of lwIP's enum tcp_state. */
int glue_state(uint32_t id) {
    struct socket *s = given(id);
    if (!s)
        return INVALID;
    if (s->listens)
        return s->pcb ? LISTEN : CLOSED;
    return lives(s) ? (int)s->pcb->state : CLOSED;
}

void glue_deliver(const uint8_t *octets, uint16_t length) {
    struct pbuf *p = pbuf_alloc(PBUF_RAW, length, PBUF_RAM);
    if (!p)
        return;
    pbuf_take(p, octets, length);
    if (wire.input(p, &wire) != ERR_OK)
        pbuf_free(p);
}

/* When the next timer is due; UINT64_MAX for never. */
uint64_t glue_next_timer(void) {
    u32_t ms = sys_timeouts_sleeptime();
    return ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? UINT64_MAX : (now_us / 1000 + ms) * 1000;
}

void glue_advance(uint64_t to) {
    for (;;) {
        uint64_t timer = glue_next_timer();
        if (timer > to)
            break;
        now_us = LWIP_MAX(now_us, timer);
        sys_check_timeouts();
    }
    now_us = to;
}

uint64_t glue_now(void) { return now_us; }
