// SPDX-License-Identifier: Apache-2.0
// malloc_set_state, as old builds of Emacs use it: blocks of a heap that was dumped into the program's image live on.
// It must come before the first call of malloc. Linked with libc_malloc_debug, which is where it is left.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int set_state(void* state);
#ifdef __x86_64__
__asm__(".symver set_state,malloc_set_state@GLIBC_2.2.5");
#else
__asm__(".symver set_state,malloc_set_state@GLIBC_2.17");
#endif

enum { bins = 128, blocks = 3, words = 4096 };

// glibc's struct malloc_save_state, version 5 (malloc/malloc-check.c, 2.36).
static struct {
    long magic, version;
    void* top_and_bins[2 * bins + 2];
    char* start;
    int bytes;
    unsigned long trim_threshold, top_pad;
    unsigned int most_mapped;
    unsigned long mmap_threshold;
    int check_action;
    unsigned long most_bytes, most_total;
    unsigned int mapped, most_mapped_ever;
    unsigned long mapped_bytes, most_mapped_bytes;
    int checks;
    unsigned long fast, arena_test, arena_max, arenas;
} state = {.magic = 0x444c4541, .version = 5};

static _Alignas(16) size_t heap[words];

int main(void) {
    static const size_t sizes[blocks] = {64, 128, 256};
    enum { in_use = 1 };
    char* block[blocks];
    char* at = (char*)heap;
    for (int i = 0; i < blocks; ++i) {
        ((size_t*)at)[1] = sizes[i] | in_use;
        block[i] = at + 2 * sizeof(size_t);
        memset(block[i], 'a' + i, sizes[i] - 2 * sizeof(size_t));
        at += sizes[i];
    }
    ((size_t*)at)[1] = (size_t)((char*)(heap + words) - at) | in_use;
    state.top_and_bins[2] = at;
    state.start = (char*)heap;
    state.bytes = sizeof heap;
    printf("set: %d, usable: %zu\n", set_state(&state), malloc_usable_size(block[1]));
    char* moved = realloc(block[2], 1000);
    printf("moved: %d, %.3s\n", moved != block[2], moved);
    free(block[0]);
    free(block[1]);
    free(moved);
    enum { more = 100 };
    void* others[more];
    for (int i = 0; i < more; ++i) others[i] = malloc((size_t)i * 10);
    for (int i = 0; i < more; ++i) free(others[i]);
    puts("end");
    return 0;
}
