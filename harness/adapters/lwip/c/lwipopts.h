/* lwIP as an application on a small machine has it, with the two IP versions over a link of whole datagrams. What differs from lwIP's own
 * defaults is told in the report. */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_ARP 0
#define LWIP_ETHERNET 0
#define LWIP_UDP 0
#define LWIP_STATS 0
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_ND6_ALLOW_RA_UPDATES 0
#define IPV6_FRAG_COPYHEADER 1

/* Memory from malloc, so that the sanitizers see it, by way of life.c. */
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC life_malloc
#define MEM_CUSTOM_CALLOC life_calloc
#define MEM_CUSTOM_FREE life_free
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8

#define TCP_MSS 1460
#define TCP_WND 65535
#define TCP_SND_BUF 65535
#define TCP_SND_QUEUELEN 200
#define TCP_LISTEN_BACKLOG 1
#define LWIP_TCP_KEEPALIVE 1
#define SO_REUSE 1

/* Assertions are on: a failed one aborts, which the harness reports as a crash. */
#undef LWIP_NOASSERT

#endif
