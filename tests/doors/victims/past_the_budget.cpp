// SPDX-License-Identifier: Apache-2.0
// A constructor that has used its budget up gets the allocator's own blocks. What clears one of those clears that one:
// gperftools' calloc clears as much as tc_nallocx says, which may be the shim's. Wants UNKNOT_STRETCH_MAX=64K.
#include <link.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/doors/contexts.h"
#include "tests/process/system.h"

namespace {

constexpr std::size_t most = 128;
constexpr std::size_t blocks_each = 400;
constexpr unsigned char pattern = 0xa5;

using Blocks = std::vector<unsigned char*>;

bool is_filled(const unsigned char* block, std::size_t size, unsigned char with) {
    for (std::size_t i = 0; i < size; ++i)
        if (block[i] != with) return false;
    return true;
}

// The thread's mark of the walk stays: from there on its calls go the slow way, over the budget or not.
void leave_a_walk() {
    if (!unknot::process::callbacks_may_throw) return;
    try {
        dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) -> int { throw 1; }, nullptr);
    } catch (int) {
    }
}

}  // namespace

int main() {
    leave_a_walk();  // the first exception through libc makes it load libgcc_s
    // Of every size a row of blocks with gaps, so that what is made next has neighbours.
    std::vector<Blocks> kept(most + 1), cleared(most + 1);
    for (std::size_t size = 1; size <= most; ++size) {
        Blocks all(blocks_each);
        for (unsigned char*& block : all) {
            block = static_cast<unsigned char*>(std::malloc(size));
            std::memset(block, pattern, size);
        }
        for (std::size_t i = 0; i < blocks_each; ++i) {
            if (i % 2 == 0)
                kept[size].push_back(all[i]);
            else
                std::free(all[i]);
        }
        cleared[size].resize(blocks_each / 2);
    }
    std::array<void*, 64> eats_the_budget{};
    doors::run_in(doors::Context::constructor, [&] {
        for (void*& block : eats_the_budget) block = std::malloc(4096);
        leave_a_walk();
        for (std::size_t size = 1; size <= most; ++size)
            for (unsigned char*& block : cleared[size]) block = static_cast<unsigned char*>(std::calloc(1, size));
    });
    if (doors::is_protected() && doors::diverts(doors::Context::constructor))
        doors::expect(doors::counter(&unknot::StatsPage::over_budget) > 0, "calloc", "the budget was used up");
    for (std::size_t size = 1; size <= most; ++size) {
        for (const unsigned char* block : kept[size])
            doors::expect(is_filled(block, size, pattern), "calloc", "clears its own block alone", size);
        for (const unsigned char* block : cleared[size])
            doors::expect(is_filled(block, size, 0), "calloc", "clears the whole block", size);
    }
    return doors::verdict();
}
