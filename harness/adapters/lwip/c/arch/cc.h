/* What lwIP wants of a compiler. */
#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_PLATFORM_ASSERT(text) do { fprintf(stderr, "lwIP assertion: %s at %s:%d\n", text, __FILE__, __LINE__); abort(); } while (0)
#define LWIP_PLATFORM_DIAG(x) do { } while (0)

void *life_malloc(size_t octets);
void *life_calloc(size_t count, size_t octets);
void life_free(void *block);

unsigned int glue_random(void);
#define LWIP_RAND() glue_random()

#endif
