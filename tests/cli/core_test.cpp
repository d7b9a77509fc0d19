// SPDX-License-Identifier: Apache-2.0
// A process that hung and is no more: the doctor's answer from its dump is the one that it gave while it lived.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/cli/dead_process.h"

namespace unknot::test {
namespace {

const std::vector<std::string> arguments = {process::certain_shape, "3"};

// Dumps it; empty: there is no gdb.
std::string gcore(const Victim& victim, const Folder& folder) {
    const process::Result result = process::run({{"gcore", "-o", folder / "dump", victim.id()}, {}},
                                                {std::chrono::seconds(60), std::chrono::minutes(5)});
    return result.succeeded() ? folder / "dump." + victim.id() : std::string();
}

// `options`: behind --core FILE.
process::Result doctor(const std::string& core, std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"doctor", "--core", core});
    return unknot(options);
}

void expect_same_cycle(const cli::Examination& lived, const cli::Examination& dumped) {
    EXPECT_EQ(dumped.judgement.verdict, Verdict::deadlocked);
    ASSERT_EQ(dumped.deadlock.cycle.size(), lived.deadlock.cycle.size());
    for (std::size_t i = 0; i < lived.deadlock.cycle.size(); ++i) {
        // Either may begin with another of its threads.
        const auto& step = lived.deadlock.cycle[i];
        const auto same = std::find_if(dumped.deadlock.cycle.begin(), dumped.deadlock.cycle.end(),
                                       [&](const cli::CycleStep& each) { return each.tid == step.tid; });
        ASSERT_NE(same, dumped.deadlock.cycle.end());
        EXPECT_EQ(same->waits_for, step.waits_for);
        EXPECT_EQ(same->held_by, step.held_by);
        EXPECT_EQ(same->source, step.source);
    }
    EXPECT_EQ(dumped.allocator.object, lived.allocator.object);
    EXPECT_EQ(dumped.allocator.evidence.stack_method, lived.allocator.evidence.stack_method);
    EXPECT_EQ(dumped.libc.version, lived.libc.version);
    EXPECT_FALSE(dumped.judgement.advice.has(Advice::rescue)) << "nobody comes back from a file";
}

TEST(Core, of_gcore_tells_what_the_process_told) {
    const Folder folder;
    Victim victim("cli_checked_deadlock", bare_tcmalloc, arguments, Ready::never);
    const auto lived = when_stuck(victim, victim.pid());
    ASSERT_TRUE(lived);
    const std::string core = gcore(victim, folder);
    if (core.empty()) GTEST_SKIP() << "gcore, of gdb, is not installed";
    expect_same_cycle(*lived, cli::examine_core({core, "", ""}));

    const process::Result result = doctor(core, {"--report", folder / "report.txt"});
    EXPECT_EQ(result.code, 3) << result.out << result.err;
    EXPECT_NE(result.out.find("inferred from their registers"), std::string::npos) << result.out;
    const std::string report = content(folder / "report.txt");
    for (const char* needed : {"_dl_load_write_lock", "dl_iterate_phdr", "core dump", "Seen once"})
        EXPECT_NE(report.find(needed), std::string::npos) << needed << " is not in\n" << report;
    EXPECT_EQ(report.find("kill -KILL"), std::string::npos) << "that id may be another's by now";
}

TEST(Core, of_the_kernel_tells_what_the_process_told) {
    const std::string pattern = content("/proc/sys/kernel/core_pattern");
    if (pattern != "core\n") GTEST_SKIP() << "this system's dumps go elsewhere: core_pattern is " << pattern;
    const Folder folder;
    Victim victim("/bin/sh", bare_tcmalloc,
                  {"-c", "ulimit -S -c unlimited; cd " + (folder / "") + " && exec " + built("cli_checked_deadlock") +
                             " " + process::certain_shape + " 3"},
                  Ready::never);
    const auto lived = when_stuck(victim, victim.pid());
    ASSERT_TRUE(lived);
    kill(victim.pid(), SIGABRT);
    victim.end();
    std::string core = folder / "core";
    if (!std::ifstream(core)) core += "." + victim.id();
    if (!std::ifstream(core)) GTEST_SKIP() << "the kernel wrote no dump (a limit of this container?)";
    expect_same_cycle(*lived, cli::examine_core({core, "", ""}));
}

TEST(Core, is_read_with_files_that_lie_elsewhere) {
    const Folder folder;
    const std::string program = folder / "moved";
    std::filesystem::copy_file(built("cli_checked_deadlock"), program);
    std::string core;
    {
        Victim victim(program, bare_tcmalloc, arguments, Ready::never);
        ASSERT_TRUE(when_stuck(victim, victim.pid()));
        core = gcore(victim, folder);
    }
    if (core.empty()) GTEST_SKIP() << "gcore, of gdb, is not installed";
    std::filesystem::remove(program);
    const process::Result without = doctor(core);
    EXPECT_NE(without.out.find(program + " could not be read"), std::string::npos) << without.out;
    const process::Result with = doctor(core, {"--exe", built("cli_checked_deadlock")});
    EXPECT_EQ(with.code, 3) << with.out << with.err;
    EXPECT_EQ(with.out.find("could not be read"), std::string::npos) << with.out;
    const process::Result root = doctor(core, {"--exe", built("cli_checked_deadlock"), "--sysroot", "/proc/self/root"});
    EXPECT_EQ(root.code, 3) << root.out << root.err;
    const process::Result nowhere = doctor(core, {"--sysroot", "/nowhere"});
    EXPECT_NE(nowhere.out.find("could not be read"), std::string::npos) << "missing files are named: " << nowhere.out;
    EXPECT_NE(nowhere.code, 0) << "what cannot be seen is no good news";

    // Cut off: it says so, or sees less, and never more than there is.
    const auto whole = std::filesystem::file_size(core);
    for (const auto size : {whole / 2, whole / 100, std::uintmax_t{65536}, std::uintmax_t{4096}, std::uintmax_t{64}}) {
        std::filesystem::resize_file(core, size);
        const process::Result cut = doctor(core, {"--exe", built("cli_checked_deadlock")});
        EXPECT_EQ(cut.outcome, process::Outcome::exited) << process::describe(cut);
        EXPECT_NE((cut.out + cut.err).find("is cut off"), std::string::npos) << size << ": " << cut.out << cut.err;
    }
}

TEST(Core, that_is_none_is_refused) {
    const Folder folder;
    std::ofstream(folder / "empty").flush();
    std::ofstream(folder / "text") << "\x28\xb5\x2f\xfd compressed";
    for (const std::string& file :
         {folder / "empty", folder / "text", folder / "missing", folder / "", built("unknot")}) {
        const process::Result result = doctor(file);
        EXPECT_EQ(result.code, 2) << file << result.out << result.err;
        EXPECT_NE(result.err.find(file), std::string::npos) << result.err;
    }
    EXPECT_EQ(unknot({"doctor", "--exe", "/bin/true", "1"}).code, 2) << "--exe is for a dump";
    EXPECT_EQ(unknot({"doctor", "--core", "x", "1"}).code, 2) << "one of them only";
}

}  // namespace
}  // namespace unknot::test
