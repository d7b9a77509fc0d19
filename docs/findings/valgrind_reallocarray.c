// SPDX-License-Identifier: Apache-2.0
// reallocarray that cannot have the memory fails with ENOMEM and leaves the block as it is. Under memcheck of
// valgrind 3.24 it frees the block, where the product itself does not overflow.
//   cc -g valgrind_reallocarray.c && valgrind --error-exitcode=1 ./a.out
// Without valgrind, and where it is right: "the block is whole", 0. Where it is not: invalid reads and frees, 1.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char* block = malloc(100);
    memset(block, 'x', 100);
    volatile size_t much = SIZE_MAX - 4096;
    if (reallocarray(block, 1, much) != NULL) return 2;
    if (block[0] != 'x' || block[99] != 'x') return 3;
    free(block);
    printf("the block is whole\n");
    return 0;
}
