// SPDX-License-Identifier: Apache-2.0
// Ten thousand mappings: half of them anonymous, half of this program's own file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main() {
    const int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0) return 1;
    for (int i = 0; i < 5000; ++i) {
        // Neighbours that differ, or the kernel would make one mapping of them.
        if (mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, self, 0) == MAP_FAILED) return 1;
        if (mmap(nullptr, 4096, i % 2 == 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
            return 1;
    }
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    for (;;) pause();
}
