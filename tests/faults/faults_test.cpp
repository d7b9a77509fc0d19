// SPDX-License-Identifier: Apache-2.0
// Every failure of the start, and of what the shim asks the system for: the program runs and comes out right, the log
// says in one line what is off, and where nothing is off it says nothing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <tuple>

#include "tests/faults/afflicted.h"
#include "tests/process/system.h"

namespace unknot::faults {

namespace {

struct Fault {
    const char* name;
    Affliction affliction;
    // Of works.cpp: 0 protected, 4 not.
    int status = 0;
    std::vector<std::string> says = {};
    const char* output = "works protected\n";
};

std::string not_found(const std::string& reason) {
    return "the loader's locks were not found (" + reason +
           "): only dl_iterate_phdr walks are protected (probe=wrapper), dlopen and dlclose are not";
}

Fault refused_calibration(const char* name, const std::string& library, const std::string& reason) {
    Fault fault{name, {.behind = built(library)}};
    fault.says = {not_found(reason)};
    return fault;
}

// How googletest shows the parameter.
void PrintTo(const Fault& fault, std::ostream* out) {
    *out << fault.name;
}

// What takes nothing from the shim: it protects, and says nothing.
std::vector<Fault> harmless() {
    return {
        {"nothing", {}},
        {"process_vm_readv_forbidden", {{"forbidden=process_vm_readv"}}},
        {"sigaltstack_forbidden", {{"forbidden=sigaltstack"}}},
        {"prlimit_forbidden", {{"forbidden=prlimit64"}}},
        {"fstat_forbidden", {{"forbidden=fstat"}}},
        {"no_proc", {{"covered=/proc"}}},
        {"no_dev", {{"covered=/dev"}}},
        {"stack_of_64_kB", {{"stack=65536"}}},
        {"bound_at_start", {.variables = {{"LD_BIND_NOW", "1"}}}},
        {"stdin_closed", {{"closed=0"}}},
        {.name = "stdout_closed", .affliction = {{"closed=1"}}, .output = ""},
        {"stderr_closed", {{"closed=2"}}},
        {.name = "all_closed", .affliction = {{"closed=0", "closed=1", "closed=2"}}, .output = ""},
        {"stderr_without_reader", {{"broken-pipe=2"}}},
        {"three_descriptors", {{"closed=0", "descriptors=3"}}},
        {"no_locked_memory", {{"locked-memory=0"}}},
        {"empty_environment", {{"empty-environment"}}},
        {"huge_environment", {{"huge-environment", "stack=8388608"}}},
        {"unprivileged", {{"unprivileged"}}},
        {"address_space_of_1_GB", {.faults = {"address-space=1073741824"}, .program = {"works", "small"}}},
    };
}

// What takes something: said in one line.
std::vector<Fault> harmful() {
    return {
        refused_calibration("no_rtld_global", "fake_loader_null.so", "the loader exports no _rtld_global"),
        refused_calibration("rtld_global_nowhere", "fake_loader_nowhere.so", "_rtld_global has no symbol entry"),
        refused_calibration("rtld_global_too_small", "fake_loader_tiny.so", "_rtld_global is too small"),
        {.name = "no_thread_specific_key",
         .affliction = {.behind = built("takes_keys.so")},
         .says = {"no thread-specific key is free: what a thread holds when it ends is kept until the process ends"}},
    };
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Fault, Allocator>>& info) {
    return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
}

class Faults : public ::testing::TestWithParam<std::tuple<Fault, Allocator>> {};

TEST_P(Faults, leave_the_program_right_and_are_said_if_they_take_something) {
    const auto& [fault, allocator] = GetParam();
    if (process::is_missing(allocator.soname)) GTEST_SKIP() << "this system has no " << allocator.name;
    const process::Result result = run_afflicted(fault.affliction, allocator);
    SKIP_IF_REFUSED(result);
    EXPECT_EQ(result.outcome, process::Outcome::exited) << story(result);
    EXPECT_EQ(result.code, fault.status) << story(result);
    EXPECT_EQ(result.out, fault.output) << story(result);
    EXPECT_EQ(lines(result.err), fault.says);
}

INSTANTIATE_TEST_SUITE_P(Harmless, Faults,
                         ::testing::Combine(::testing::ValuesIn(harmless()), ::testing::ValuesIn(allocators)), name_of);
INSTANTIATE_TEST_SUITE_P(Harmful, Faults,
                         ::testing::Combine(::testing::ValuesIn(harmful()), ::testing::ValuesIn(allocators)), name_of);

// What else can be wrong with a loader is told by the calibration itself.
TEST(Calibration, refuses_a_loader_that_it_does_not_know) {
    const std::pair<const char*, const char*> refusals[] = {
        {"nothing owned", "no single mutex is owned inside a dl_iterate_phdr callback"},
        {"two owned", "no single mutex is owned inside a dl_iterate_phdr callback"},
        {"stays owned", "the write lock stays owned after the walk"},
        {"no room", "no room for the load lock"},
        {"neighbour is no lock", "the word beside the write lock is no recursive mutex"},
        {"", "dlopen did not own the expected lock"},
    };
    for (const auto& [wrong, reason] : refusals) {
        const process::Result result =
            run_afflicted({.variables = {{"FAKE_LOADER", wrong}}, .program = {"calibrates"}, .preloads = false}, glibc);
        EXPECT_TRUE(result.succeeded()) << wrong << ": " << story(result);
        EXPECT_EQ(result.out, std::string(reason) + "\n") << wrong;
    }
}

// The real hang, in the process that lacks something: bare it hangs there too.
class Deadlock : public ::testing::TestWithParam<Fault> {};

TEST_P(Deadlock, is_averted_under_the_fault_and_there_without_the_shim) {
    Affliction affliction = GetParam().affliction;
    affliction.program = {built("phdr_deadlock"), process::certain_shape, "2048"};
    const process::Result result = run_afflicted(affliction);
    SKIP_IF_REFUSED(result);
    EXPECT_TRUE(result.succeeded()) << story(result);
    affliction.preloads = false;
    affliction.variables.emplace_back("LD_PRELOAD", affliction.behind + " " + tcmalloc.soname);
    // The bare hang is luck, and on a busy machine one run in a few ends well.
    for (int tries = 0; run_afflicted(affliction).outcome != process::Outcome::hung; ++tries) {
        ASSERT_LT(tries, 20) << "the reproducer no longer hangs";
    }
}

std::vector<Fault> real() {
    return {
        {"process_vm_readv_forbidden", {{"forbidden=process_vm_readv"}}},
        {"no_proc", {{"covered=/proc"}}},
        {"stack_of_64_kB", {{"stack=65536"}}},
        {"bound_at_start", {.variables = {{"LD_BIND_NOW", "1"}}}},
        {"all_closed", {{"closed=0", "closed=1", "closed=2"}}},
        {"no_rtld_global", {.behind = built("fake_loader_null.so")}},
        {"no_thread_specific_key", {.behind = built("takes_keys.so")}},
    };
}

INSTANTIATE_TEST_SUITE_P(Real, Deadlock, ::testing::ValuesIn(real()),
                         [](const auto& one) { return std::string(one.param.name); });

// The arena's reservation shrinks with the limit; below a point there is only the static reserve, which is said. Where
// the program has 2 MiB more than it needs by itself, it works, protected.
TEST(AddressSpace, that_is_scarce_is_left_to_the_program) {
    const std::vector<std::string> reserve{"no address space for the arena: using the static reserve of 524288 bytes"};
    std::size_t needed = 0;
    int with_reserve = 0;
    int with_arena = 0;
    for (std::size_t kilobytes = 3 << 10; kilobytes <= 24 << 10; kilobytes += 512) {
        Affliction affliction{.faults = {"address-space=" + std::to_string(kilobytes << 10)}};
        affliction.program = {"works", "small"};
        if (needed == 0) {
            affliction.preloads = false;
            if (run_afflicted(affliction, glibc).code == 3) needed = kilobytes;
            continue;
        }
        if (kilobytes < needed + (2 << 10)) continue;
        const process::Result result = run_afflicted(affliction, glibc);
        EXPECT_EQ(result.code, 0) << kilobytes << " kB: " << story(result);
        EXPECT_EQ(result.out, "works protected\n");
        const std::vector<std::string> said = lines(result.err);
        EXPECT_TRUE(said.empty() || said == reserve) << result.err;
        ++(said.empty() ? with_arena : with_reserve);
    }
    EXPECT_GT(with_reserve, 0);
    EXPECT_GT(with_arena, 0);
}

TEST(Preload, by_a_relative_path_works_and_is_seen_by_children) {
    Affliction affliction{.faults = {"folder=" UNKNOT_BINARY_DIR}, .preloads = false};
    affliction.variables = {{"LD_PRELOAD", "./libunknot.so libtcmalloc.so.4"}};
    const process::Result result = run_afflicted(affliction);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.err, "");
}

TEST(Preload, behind_libc_steps_aside_and_says_so) {
    const process::Result result = run_afflicted({.program = {"works_linked_last"}, .preloads = false});
    EXPECT_EQ(result.code, 4) << story(result);
    EXPECT_EQ(result.out, "works\n");
    EXPECT_EQ(lines(result.err),
              (std::vector<std::string>{"wrong order: libc.so.6 comes before libunknot.so; put libunknot.so first in "
                                        "LD_PRELOAD; this process runs as without unknot"}));
}

}  // namespace

}  // namespace unknot::faults
