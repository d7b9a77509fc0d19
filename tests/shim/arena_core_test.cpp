// SPDX-License-Identifier: Apache-2.0
// A core dump of a process with an arena is as large as the process: the reservation is no part of it, what was
// committed is. gdb's gcore writes it, as an operator would.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;

constexpr std::size_t mib = std::size_t{1} << 20;

struct Range {
    std::uintptr_t start;
    std::uintptr_t end;
    bool writable;
    bool dumped;
};

// The mappings of this process that overlap the range.
std::vector<Range> mappings(std::uintptr_t from, std::size_t bytes) {
    std::vector<Range> found;
    std::ifstream file("/proc/self/smaps");
    bool inside = false;
    for (std::string line; std::getline(file, line);) {
        unsigned long start = 0;
        unsigned long end = 0;
        char rights[5] = {};
        if (std::sscanf(line.c_str(), "%lx-%lx %4s", &start, &end, rights) == 3) {
            inside = start < from + bytes && end > from;
            if (inside) found.push_back({start, end, rights[1] == 'w', true});
        } else if (inside && line.rfind("VmFlags:", 0) == 0) {
            found.back().dumped = line.find(" dd") == std::string::npos;
        }
    }
    return found;
}

TEST(ArenaInACore, is_dumped_where_it_is_writable_and_nowhere_else) {
    FreshArena fresh;
    std::vector<void*> blocks;
    for (const std::size_t size : {std::size_t{100}, std::size_t{30000}, 3 * mib, 65 * mib, 200 * mib}) {
        blocks.push_back(fresh.allocate(size));
        static_cast<char*>(blocks.back())[size - 1] = 1;
    }
    // The reservation is one mapping after the other around its blocks.
    const auto somewhere = reinterpret_cast<std::uintptr_t>(blocks[0]);
    std::size_t dumped = 0;
    std::size_t reserved = 0;
    for (const Range& range : mappings(somewhere - 64 * mib, fresh.page.arena_reserved)) {
        if (!fresh.arena.contains(reinterpret_cast<void*>(range.start))) continue;
        EXPECT_EQ(range.dumped, range.writable);
        (range.dumped ? dumped : reserved) += range.end - range.start;
    }
    EXPECT_GE(dumped, 268 * mib);
    // Metadata, and a sixty-fourth of each span.
    EXPECT_LE(dumped, fresh.page.arena_committed + fresh.page.arena_committed / 16 + mib);
    EXPECT_GE(reserved, fresh.page.arena_reserved - dumped - mib);
    for (void* block : blocks) fresh.free(block);
}

// A child that waits while gcore looks at it; the bytes that its core takes on disk.
std::size_t core_of(void (*prepare)()) {
    char folder[] = "/tmp/unknot_core_XXXXXX";
    if (mkdtemp(folder) == nullptr) return 0;
    int ready[2];
    if (pipe(ready) != 0) return 0;
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // gcore is no ancestor of this process
        prepare();
        if (write(ready[1], "", 1) != 1) _exit(1);
        for (;;) pause();
    }
    char byte = 0;
    std::size_t bytes = 0;
    if (read(ready[0], &byte, 1) == 1) {
        // The size of a core that gcore should not have begun is bounded too: file size, and time.
        std::ostringstream command;
        command << "ulimit -f 4000000; timeout 100 gcore -o " << folder << "/core " << child << " >" << folder
                << "/output 2>&1";
        const int status = std::system(command.str().c_str());
        struct stat core {};
        const std::string file = std::string(folder) + "/core." + std::to_string(child);
        if (status == 0 && stat(file.c_str(), &core) == 0) bytes = static_cast<std::size_t>(core.st_size);
        std::remove(file.c_str());
        std::remove((std::string(folder) + "/output").c_str());
    }
    rmdir(folder);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(ready[0]);
    close(ready[1]);
    return bytes;
}

constinit FreshArena* in_child = nullptr;
void nothing() {}
void keep_blocks() {
    in_child = new FreshArena;
    for (int i = 0; i < 4; ++i) fill(in_child->allocate(100000), 0, 100000);
    fill(in_child->allocate(8 * mib), 0, 8 * mib);
}

TEST(ArenaInACore, adds_what_is_committed_and_not_what_is_reserved) {
    if (std::system("gcore --help >/dev/null 2>&1; test $? -ne 127") != 0) GTEST_SKIP() << "gdb is not installed";
    const std::size_t bare = core_of(nothing);
    const std::size_t with_arena = core_of(keep_blocks);
    ASSERT_GT(bare, 0u) << "gcore wrote nothing";
    EXPECT_GE(with_arena, bare + 8 * mib);  // the blocks are in it
    EXPECT_LE(with_arena, bare + 11 * mib);
}

}  // namespace
}  // namespace unknot
