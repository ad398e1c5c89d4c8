/* One life of lwIP after another in a process: the memory that it holds is given back, and its variables are put back to what they were when the
 * program started. build.rs gathers them in the section lwip_life. This file is compiled without sanitizers, for it goes over what lies between
 * the variables too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKS 65536

extern uint8_t __start_lwip_life[], __stop_lwip_life[];

static uint8_t *first;  /* The variables as they were at the start. */
static void *blocks[MOST_BLOCKS];
static size_t block_count;

void *life_malloc(size_t octets) {
    void *block = block_count < MOST_BLOCKS ? malloc(octets) : NULL;
    if (block)
        blocks[block_count++] = block;
    return block;
}

void *life_calloc(size_t count, size_t octets) {
    void *block = octets && count > SIZE_MAX / octets ? NULL : life_malloc(count * octets);
    return block ? memset(block, 0, count * octets) : NULL;
}

void life_free(void *block) {
    /* What was taken last is mostly given back first. */
    for (size_t i = block_count; i-- > 0;)
        if (blocks[i] == block) {
            blocks[i] = blocks[--block_count];
            break;
        }
    /* What was given back before is the allocator's to find. */
    free(block);
}

/* Not memcpy(): a sanitizer's own would object. */
static void copy(volatile uint8_t *to, const volatile uint8_t *from, size_t octets) {
    size_t i = 0;
    for (; i + 8 <= octets; i += 8)
        *(volatile uint64_t *)(to + i) = *(const volatile uint64_t *)(from + i);
    for (; i < octets; i++)
        to[i] = from[i];
}

void life_begin(void) {
    size_t octets = (size_t)(__stop_lwip_life - __start_lwip_life);
    while (block_count > 0)
        free(blocks[--block_count]);
    if (first) {
        copy(__start_lwip_life, first, octets);
    } else if ((first = malloc(octets))) {
        copy(first, __start_lwip_life, octets);
    } else {
        abort();
    }
}

#ifdef LWIP_COVERAGE
/* libFuzzer reads these beside the compiler's own counters; each stands for some places of lwIP's code. */
static uint8_t counters[8192] __attribute__((section("__libfuzzer_extra_counters"), used));

/* What the compiler calls at each place; build.rs calls it so, for libFuzzer has a function of the compiler's name that wants none of it. */
void life_trace_pc(void) {
    /* From here on, so that the same place has the same counter wherever the program is loaded. */
    uint64_t place = (uint64_t)((uintptr_t)__builtin_return_address(0) - (uintptr_t)&life_begin);
    uint8_t *counter = &counters[(place * 0x9e3779b97f4a7c15ull) >> 51];
    if (*counter < UINT8_MAX)
        ++*counter;
}
#endif
