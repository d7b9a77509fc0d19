// SPDX-License-Identifier: Apache-2.0
// Many threads, and threads with hardly a stack.
#include <gtest/gtest.h>
#include <limits.h>
#include <unistd.h>

#include "tests/faults/afflicted.h"

namespace unknot::faults {

namespace {

TEST(Threads, ten_thousand_at_once_give_everything_back) {
    const process::Result result = run_afflicted({.program = {"many_threads", "10000"}});
    SKIP_IF_REFUSED(result);
    EXPECT_TRUE(result.succeeded()) << story(result);
    RecordProperty("output", result.out);
}

TEST(Threads, on_the_smallest_stack_that_libc_allows_divert_and_unwind) {
    const std::string least = std::to_string(sysconf(_SC_THREAD_STACK_MIN));
    for (const Allocator& allocator : allocators) {
        if (process::is_missing(allocator.soname)) continue;
        const process::Result result = run_afflicted({.program = {"small_stacks", least}}, allocator);
        EXPECT_TRUE(result.succeeded()) << allocator.name << " " << story(result);
        EXPECT_EQ(result.err, "");
    }
}

}  // namespace

}  // namespace unknot::faults
