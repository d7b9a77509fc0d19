// SPDX-License-Identifier: Apache-2.0
// Takes the shim's place and does what the shim must not, as UNKNOT_MODE says.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((constructor)) static void harm(void) {
    const char* how = getenv("UNKNOT_MODE");
    if (how == NULL) return;
    if (strcmp(how, "hangs") == 0) pause();
    if (strcmp(how, "crashes") == 0) abort();
    if (strcmp(how, "exits") == 0) _exit(3);
    if (strcmp(how, "says") == 0 && write(STDOUT_FILENO, "harm\n", 5) < 0) _exit(4);
    if (strcmp(how, "complains") == 0 && write(STDERR_FILENO, "harm\n", 5) < 0) _exit(4);
    if (strcmp(how, "grows") == 0) {
        const size_t size = 24u << 20;
        void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) memset(memory, 1, size);
    }
}
