// SPDX-License-Identifier: Apache-2.0
// Writes behind a block and frees it: what glibc's checking malloc is there to notice.
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    char* volatile block = malloc(24);
    // Another byte than the one there: glibc's guard byte depends on the address, and may be any.
    volatile size_t behind = 24;
    block[behind] = (char)~block[behind];
    free(block);
    puts("not noticed");
    return 0;
}
