// SPDX-License-Identifier: Apache-2.0
// One fault of a program behind the shim, for memcheck to find.
//   faults none|leak|overrun|use_after_deferred_free|wrong_pair|double_free|free_that_never_runs
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/doors/contexts.h"

using namespace doors;

namespace {

constexpr std::size_t size = 24;
char* volatile block = nullptr;

void leak() {
    block = static_cast<char*>(std::malloc(size));
    block = nullptr;
}
void overrun() {
    block = static_cast<char*>(std::malloc(size));
    block[size] = 1;
    std::free(block);
}
void use_after_deferred_free() {
    block = static_cast<char*>(std::calloc(1, size));
    run_in(Context::walk, [] { std::free(block); });
    [[maybe_unused]] const volatile char read = block[0];
}
void wrong_pair() {
    block = static_cast<char*>(::operator new(size));
    run_in(Context::walk, [] { std::free(block); });
}
void double_free() {
    block = static_cast<char*>(std::malloc(size));
    run_in(Context::walk, [] {
        std::free(block);
        std::free(block);
    });
}
void free_that_never_runs() {
    block = static_cast<char*>(std::malloc(size));
    run_in(Context::walk, [] {
        std::free(block);
        block = nullptr;
        std::exit(0);
    });
}

// What is no fault: blocks of both kinds, freed everywhere.
void none() {
    char* ours = nullptr;
    block = static_cast<char*>(std::malloc(size));
    run_in(Context::walk, [&] {
        ours = static_cast<char*>(std::malloc(size));
        std::free(block);
    });
    ours[size - 1] = 1;
    std::free(ours);
}

struct Fault {
    std::string_view name;
    void (*commit)();
};
constexpr Fault faults[] = {{"none", none},
                            {"leak", leak},
                            {"overrun", overrun},
                            {"use_after_deferred_free", use_after_deferred_free},
                            {"wrong_pair", wrong_pair},
                            {"double_free", double_free},
                            {"free_that_never_runs", free_that_never_runs}};

}  // namespace

int main(int argc, char** argv) {
    for (const Fault& fault : faults) {
        if (argc != 2 || fault.name != argv[1]) continue;
        fault.commit();
        return 0;
    }
    std::fprintf(stderr, "usage: faults");
    for (const Fault& fault : faults) std::fprintf(stderr, " %s", fault.name.data());
    std::fprintf(stderr, "\n");
    return 2;
}
