// SPDX-License-Identifier: Apache-2.0
// Every place that an allocator can have: behind the shim, before it, linked, part of the program, the program's own
// unwinder beside it. Each arrangement hangs bare in every shape of the reproducer; with the whole shim and with
// libunknot_walks.so it ends.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <tuple>

#include "tests/preload/preload.h"
#include "tests/process/system.h"

namespace unknot::preload {

namespace {

constexpr int most_tries = 20;

struct Arrangement {
    const char* name;
    const char* program;
    const char* preloaded;      // %s stands for the shim; without a shim it goes
    const char* mode;           // of the whole shim
    const char* settings = "";  // MALLOC_CONF
};
constexpr const char* samples = "prof:true,lg_prof_sample:12";
constexpr Arrangement arrangements[] = {
    {"behind", "phdr_deadlock", "%s libtcmalloc.so.4", "protect"},
    {"before", "phdr_deadlock", "libtcmalloc.so.4 %s", "walks"},
    {"linked", "linked_tcmalloc", "%s", "protect"},
    {"own", "own_tcmalloc", "%s", "walks"},
    {"own_unwinder_too", "own_unwinder", "%s", "walks"},
    {"own_unwinder_stripped", "own_unwinder_stripped", "%s", "walks"},
    {"own_unwinder_lto", "own_unwinder_lto", "%s", "walks"},
    {"own_jemalloc", "own_jemalloc", "%s", "walks", samples},
    {"own_jemalloc_and_unwinder", "own_jemalloc_unwinder", "%s", "walks", samples},
};
void PrintTo(const Arrangement& arrangement, std::ostream* out) {
    *out << arrangement.name;
}

constexpr const char* shapes[] = {"malloc", "calloc", "realloc", "free", "new", "lock3"};

std::string with_shim(const Arrangement& arrangement, const std::string& shim) {
    std::string list = arrangement.preloaded;
    return list.replace(list.find("%s"), 2, shim);
}

process::Command command(const Arrangement& arrangement, const char* shape, const std::string& shim) {
    return {.argv = {built(arrangement.program), shape},
            .environment = {{"LD_PRELOAD", with_shim(arrangement, shim)},
                            {"MALLOC_CONF", arrangement.settings},
                            {"UNKNOT_REPORT", "exit"}}};
}

using Place = std::tuple<Arrangement, const char*>;
class Arrangements : public testing::TestWithParam<Place> {};

constexpr const char* libraries[] = {"libunknot.so", "libunknot_walks.so"};

void expect_bare_hang(const process::Command& command) {
    bool hung = false;
    for (int tries = 0; !hung && tries < most_tries; ++tries) {
        const process::Result bare = process::run(command);
        hung = bare.outcome == process::Outcome::hung;
        ASSERT_TRUE(hung || bare.succeeded()) << describe(bare) << bare.err;
    }
    EXPECT_TRUE(hung || process::traces_outside_page_heap_lock) << "the reproducer no longer hangs";
}

// Bare first, as often as it takes to hang; then with either library.
void expect_a_cure(const std::function<process::Command(const std::string& shim)>& command) {
    expect_bare_hang(command(""));
    for (const char* library : libraries) {
        const process::Result result = process::run(command(built(library)));
        EXPECT_TRUE(result.succeeded()) << library << ": " << describe(result) << result.err;
    }
}

TEST_P(Arrangements, hang_bare_and_never_with_the_shim_or_its_walks_alone) {
    const auto& [arrangement, shape] = GetParam();
    if (!std::filesystem::exists(built(arrangement.program))) GTEST_SKIP() << "this system has no archive for it";
    // jemalloc takes its samples where it gives a block away, with a lock of libunwind's inside its own.
    if (arrangement.settings != std::string() && shape == std::string("free"))
        GTEST_SKIP() << "jemalloc's free takes no trace";
    const auto of_this = [&](const std::string& shim) { return command(arrangement, shape, shim); };
    expect_a_cure(of_this);
    for (const auto& [library, mode] : {std::pair{"libunknot.so", arrangement.mode}, {"libunknot_walks.so", "walks"}}) {
        const process::Result result = process::run(of_this(built(library)));
        EXPECT_NE(result.err.find(std::string(" mode=") + mode + " "), std::string::npos) << library << result.err;
    }
}

// Linked with libc.a too: the same program without and with libunknot_walks.a.
struct Static {
    const char* name;
    const char* bare;
    const char* cured;
    const char* settings;
};
constexpr Static statics[] = {{"tcmalloc", "static_tcmalloc", "static_tcmalloc_walks", ""},
                              {"tcmalloc_stripped", "static_tcmalloc", "static_tcmalloc_walks_stripped", ""},
                              {"jemalloc", "static_jemalloc", "static_jemalloc_walks", samples}};
void PrintTo(const Static& one, std::ostream* out) {
    *out << one.name;
}
class StaticPrograms : public testing::TestWithParam<std::tuple<Static, const char*>> {};

TEST_P(StaticPrograms, hang_without_and_never_with_the_archive) {
    const auto& [program, shape] = GetParam();
    if (!std::filesystem::exists(built(program.cured))) GTEST_SKIP() << "this system has no archive for it";
    if (program.settings != std::string() && shape == std::string("free")) {
        GTEST_SKIP() << "jemalloc's free takes no trace";
    }
    const auto command = [&](const char* name) {
        // tcmalloc leaves libunwind for frame pointers where the program's first trace is the same by both.
        return process::Command{
            .argv = {built(name), shape},
            .environment = {{"TCMALLOC_STACKTRACE_METHOD", "libunwind"}, {"MALLOC_CONF", program.settings}}};
    };
    expect_bare_hang(command(program.bare));
    for (int run = 0; run < 3; ++run) {
        const process::Result result = process::run(command(program.cured));
        EXPECT_TRUE(result.succeeded()) << describe(result) << result.err;
    }
}

// A program's own walk still waits for the lock: only what asks as an unwinder does is served past it.
TEST(StaticPrograms, have_others_wait_for_the_lock) {
    const std::string victim = built("victims/static_walks");
    if (!std::filesystem::exists(victim)) GTEST_SKIP() << "this system has no libc.a";
    const process::Result result = process::run({.argv = {victim}});
    EXPECT_TRUE(result.succeeded()) << describe(result) << result.err;
}

TEST(LateAllocator, of_a_plug_in_hangs_bare_and_never_with_a_library) {
    if (process::traces_outside_page_heap_lock) GTEST_SKIP() << "tcmalloc takes its traces outside of its lock here";
    expect_a_cure([](const std::string& shim) {
        return process::Command{.argv = {built("victims/late_allocator")}, .environment = {{"LD_PRELOAD", shim}}};
    });
}

// In a mount namespace of its own, so that no other process of the machine sees the file.
TEST(SystemWidePreload, beside_an_allocator_in_LD_PRELOAD_hangs_bare_and_never_with_a_library) {
    const std::string set_up =
        "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work && "
        "mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc && ";
    const auto in_namespace = [&](const std::string& then) {
        return process::Command{.argv = {"unshare", "--mount", "sh", "-c", set_up + then}};
    };
    if (!process::run(in_namespace("true")).succeeded()) GTEST_SKIP() << "no mount namespace may be made here";
    expect_a_cure([&](const std::string& shim) {
        return in_namespace("echo '" + shim + "' > /etc/ld.so.preload && LD_PRELOAD=libtcmalloc.so.4 exec " +
                            built("phdr_deadlock") + " grow");
    });
}

INSTANTIATE_TEST_SUITE_P(Of, Arrangements, testing::Combine(testing::ValuesIn(arrangements), testing::ValuesIn(shapes)),
                         [](const auto& test) {
                             return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param);
                         });

INSTANTIATE_TEST_SUITE_P(Of, StaticPrograms, testing::Combine(testing::ValuesIn(statics), testing::ValuesIn(shapes)),
                         [](const auto& test) {
                             return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param);
                         });

}  // namespace

}  // namespace unknot::preload
