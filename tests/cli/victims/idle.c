// SPDX-License-Identifier: Apache-2.0
// Allocates once, says that it is ready, and waits to be ended. In C: neither libstdc++ nor libgcc_s is in the process.
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    free(malloc(100));
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    for (;;) pause();
}
