// SPDX-License-Identifier: Apache-2.0
// What an unwinder's walk costs in a process with so many loaded libraries, where what it looks for is in the last one.
//   unwinding_libraries LIBRARY LIBRARIES TURNS MICROSECONDS
// LIBRARY is one_of_many.cpp, of which copies are loaded until the process has so many libraries. Prints, in ns of CPU
// time, the least of so many turns of about so long:
//   walk_ns      a walk over all of them by code that is called like an unwinder
//   throw_ns     a C++ throw in the program that passes through the last library
//   trace_ns     libunwind's _Unwind_Backtrace from 512 call sites of the last library
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/bench/call_sites.h"
#include "tests/bench/clocks.h"
#include "tests/bench/counted_unwinder.h"
#include "tests/bench/unwinding.h"

namespace {

using namespace unknot::bench;

// The last library's.
void (*pass_on)(Work) = nullptr;
void (*pass_on_from_every_site)(Work) = nullptr;

int count_one(dl_phdr_info*, std::size_t, void* count) {
    ++*static_cast<int*>(count);
    return 0;
}

int loaded() {
    int count = 0;
    dl_iterate_phdr(count_one, &count);
    return count;
}

// A copy is another file, so another library to the loader. They are gone from the disk at once.
void load_copies(const std::filesystem::path& library, int wanted) {
    std::string folder = (std::filesystem::temp_directory_path() / "unknot-bench-libraries-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) std::abort();
    for (int i = 0; loaded() < wanted || pass_on == nullptr; ++i) {
        const std::filesystem::path copy = std::filesystem::path(folder) / ("copy" + std::to_string(i) + ".so");
        std::filesystem::copy_file(library, copy);
        void* handle = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
        std::filesystem::remove(copy);
        if (handle == nullptr) {
            std::fprintf(stderr, "unwinding_libraries: %s\n", dlerror());
            std::exit(1);
        }
        pass_on = reinterpret_cast<void (*)(Work)>(dlsym(handle, "pass_on"));
        pass_on_from_every_site = reinterpret_cast<void (*)(Work)>(dlsym(handle, "pass_on_from_every_site"));
    }
    std::filesystem::remove(folder);
}

// Looks for what lies in the last library, as a trace from there does.
void walk() {
    struct Search {
        const void* sought;
    } search{reinterpret_cast<const void*>(pass_on)};
    auto found = [](dl_phdr_info* info, std::size_t, void* data) {
        const auto at = reinterpret_cast<ElfW(Addr)>(static_cast<Search*>(data)->sought) - info->dlpi_addr;
        for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
            const ElfW(Phdr)& header = info->dlpi_phdr[i];
            if (header.p_type == PT_LOAD && at - header.p_vaddr < header.p_memsz) return 1;
        }
        return 0;
    };
    walk_as_an_unwinder(found, &search);
}

void throw_through() {
    try {
        pass_on([] { throw_from(1); });
    } catch (int) {
    }
}

void trace_round() {
    pass_on_from_every_site(stepped_trace);
}

double least_ns(Work work, int turns, std::int64_t turn_ns) {
    double least = 1e18;
    std::int64_t count = 1;
    for (int done = 0; done < turns;) {
        const std::int64_t start = thread_cpu_ns();
        for (std::int64_t i = 0; i < count; ++i) work();
        const std::int64_t taken = thread_cpu_ns() - start;
        if (taken < turn_ns && done == 0) {
            count *= 2;
            continue;
        }
        least = std::min(least, static_cast<double>(taken) / static_cast<double>(count));
        ++done;
    }
    return least;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr, "usage: unwinding_libraries LIBRARY LIBRARIES TURNS MICROSECONDS; nothing was measured\n");
        return 2;
    }
    const bool traces = find_libunwind();
    load_copies(argv[1], std::atoi(argv[2]));
    const int turns = std::atoi(argv[3]);
    const std::int64_t turn_ns = std::atoll(argv[4]) * 1000;
    std::printf("libraries=%d walk_ns=%.1f throw_ns=%.1f", loaded(), least_ns(walk, turns, turn_ns),
                least_ns(throw_through, turns, turn_ns));
    if (traces) std::printf(" trace_ns=%.1f", least_ns(trace_round, turns, turn_ns) / call_sites);
    std::printf("\n");
}
