// SPDX-License-Identifier: Apache-2.0
// fork() takes libc's lock of all open files. Another thread owns it, in the write function of a file of its own, and
// wants a loader lock there.
//   fork_stdio WORK
#include "tests/differential/stage.h"

namespace {

const char* inside;

ssize_t write_it(void*, const char*, std::size_t size) {
    stage::work(inside);
    return static_cast<ssize_t>(size);
}

}  // namespace

int main(int, char** argv) {
    stage::warm_up();
    inside = argv[1];
    std::FILE* file = fopencookie(nullptr, "w", {nullptr, write_it, nullptr, nullptr});
    {
        const stage::Bystander flushes([file] {
            std::fputc('x', file);
            std::fflush(nullptr);
        });
        for (int i = 0; i < 150; ++i) {
            const pid_t child = fork();
            if (child == 0) _exit(0);
            stage::expect_to_end_well(child);
            ++stage::steps();
        }
    }
    std::puts("forked");
    return 0;
}
