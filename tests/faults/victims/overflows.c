// SPDX-License-Identifier: Apache-2.0
// Writes behind a block and frees it: what glibc's checking malloc is there to notice.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char* volatile block = malloc(24);
    volatile size_t too_much = 25;
    memset(block, 'x', too_much);
    free(block);
    puts("not noticed");
    return 0;
}
