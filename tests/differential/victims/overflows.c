// SPDX-License-Identifier: Apache-2.0
// Writes behind the end of a block and frees it: what MALLOC_CHECK_ is there to notice.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char* volatile block = malloc(24);
    const volatile size_t too_many = 25;
    memset(block, 0x41, too_many);
    free(block);
    puts("not noticed");
    return 0;
}
