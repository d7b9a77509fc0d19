// SPDX-License-Identifier: Apache-2.0
// Built with -fsanitize=leak: a block that nobody can reach any more.
#include <stdio.h>
#include <stdlib.h>

static void* volatile lost;

int main(void) {
    lost = malloc(123);
    lost = NULL;
    puts("lost");
    return 0;
}
