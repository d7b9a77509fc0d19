// SPDX-License-Identifier: Apache-2.0
// A sampling profiler beside the shim: its handler unwinds whatever it has interrupted, ld.so in the middle of dlclose
// and the shim's own code too.
//
// Without the shim's protection a sample can hang: libc's own walk waits for a lock that the interrupted code is about
// to own or to let go of. So in the modes that leave walks as they are a hang says nothing, and a crash says all.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/preload/preload.h"
#include "tests/process/system.h"

namespace unknot::preload {

namespace {

struct Sampling {
    const char* name;
    Allocator allocator;
    const char* mode;
    const char* unwinder;

    bool serves_walks() const { return std::string_view(mode) == "protect"; }
};

// libunwind from the start: what a thread keeps for it would else be allocated by the first sample, inside malloc too.
constexpr Allocator glibc{"glibc", "libunwind.so.8", "glibc", "pass_through"};
constexpr Allocator profiler{"profiler", "libtcmalloc_and_profiler.so.4", "tcmalloc", "protect"};

constexpr Sampling samplings[] = {
    {"protect_libunwind", tcmalloc, "protect", "libunwind"},    {"protect_libgcc", tcmalloc, "protect", "libgcc"},
    {"protect_glibc_libunwind", glibc, "protect", "libunwind"}, {"protect_gperftools", profiler, "protect", "none"},
    {"observe_libunwind", tcmalloc, "observe", "libunwind"},    {"off_libunwind", tcmalloc, "off", "libunwind"},
};

void expect_no_harm(const process::Command& command, const Sampling& sampling) {
    const ShimmedRun run = run_with_shim(command, sampling.allocator, sampling.mode);
    if (!sampling.serves_walks() && run.result.outcome == process::Outcome::hung) return;
    EXPECT_TRUE(run.result.succeeded()) << run.story();
}

// What gperftools' own profiler writes.
class Profile {
  public:
    explicit Profile(const std::string& name)
        : path_(std::filesystem::temp_directory_path() / ("unknot." + name + "." + std::to_string(getpid()))) {}
    ~Profile() {
        std::error_code ignored;
        for (const auto& file : std::filesystem::directory_iterator(path_.parent_path(), ignored)) {
            // A child writes one too, with its pid behind the name.
            if (file.path().filename().string().starts_with(path_.filename().string())) {
                std::filesystem::remove(file.path(), ignored);
            }
        }
    }
    Profile(const Profile&) = delete;
    Profile& operator=(const Profile&) = delete;
    std::string path() const { return path_; }

  private:
    std::filesystem::path path_;
};

class Samples : public testing::TestWithParam<std::tuple<const char*, Sampling>> {};

TEST_P(Samples, do_no_harm) {
    const auto& [scenario, sampling] = GetParam();
    const std::string victim = std::string("samples_in_") + scenario;
    if (victim == "samples_in_forks" && !process::survives_fork(sampling.allocator.name)) {
        GTEST_SKIP() << "a child may find a lock of the allocator taken, without the shim too";
    }
    const bool profiles = std::string_view(sampling.unwinder) == "none";
    // Samples; or rounds, of which a fork takes longest.
    const char* amount = profiles && victim != "samples_in_forks" ? "5000" : "600";
    process::Command command{{built("walks/" + victim), sampling.unwinder, amount}};
    const Profile profile(victim);
    if (profiles) {
        command.environment.emplace_back("CPUPROFILE", profile.path());
        command.environment.emplace_back("CPUPROFILE_FREQUENCY", "1000");
        command.environment.emplace_back("CPUPROFILE_REALTIME", "1");
    }
    expect_no_harm(command, sampling);
    EXPECT_EQ(std::filesystem::exists(profile.path()), profiles);
}

INSTANTIATE_TEST_SUITE_P(
    , Samples,
    testing::Combine(testing::Values("loading", "failed_loading", "throws", "forks", "thread_creation"),
                     testing::ValuesIn(samplings)),
    [](const auto& test) { return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param).name; });

#if defined(__x86_64__)
class Steps : public testing::TestWithParam<std::tuple<const char*, Sampling>> {};

TEST_P(Steps, through_every_instruction_do_no_harm) {
    const auto& [scenario, sampling] = GetParam();
    expect_no_harm({{built(std::string("walks/steps_through_") + scenario), sampling.unwinder}}, sampling);
}

INSTANTIATE_TEST_SUITE_P(, Steps,
                         testing::Combine(testing::Values("loading", "walks"),
                                          testing::Values(samplings[0], samplings[1], samplings[2], samplings[4])),
                         [](const auto& test) {
                             return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param).name;
                         });
#endif

}  // namespace

}  // namespace unknot::preload
