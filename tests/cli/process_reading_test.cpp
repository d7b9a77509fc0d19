// SPDX-License-Identifier: Apache-2.0
// Reading processes that end, change, come back under the same id, or may not be read; and our own loader's locks.
#include <dlfcn.h>
#include <link.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "cli/judge/examine.h"
#include "cli/read/trouble.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

TEST(LoaderLocks, are_free_here_and_owned_inside_a_walk) {
    const cli::Process self(getpid());
    const auto objects = cli::objects_of(self, self.mappings());
    const unsigned minor = cli::libc_of(objects).glibc_minor;
    ASSERT_NE(minor, 0u);
    struct Look {
        const cli::Process& process;
        const cli::Objects& objects;
        unsigned minor;
        std::optional<cli::LoaderLocks> locks = {};
    } look{self, objects, minor};
    const auto outside = cli::find_loader_locks(self, objects, minor);
    ASSERT_GE(outside.locks.size(), 2u) << outside.why_not;
    EXPECT_EQ(outside.source, cli::LockSource::own_loader);
    EXPECT_EQ(outside.locks[1].words.owner, 0);
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            auto& seen = *static_cast<Look*>(data);
            seen.locks = cli::find_loader_locks(seen.process, seen.objects, seen.minor);
            return 1;
        },
        &look);
    ASSERT_TRUE(look.locks.has_value());
    EXPECT_EQ(look.locks->locks[1].name, "_dl_load_write_lock");
    EXPECT_EQ(look.locks->locks[1].words.owner, gettid());
    EXPECT_EQ(look.locks->locks[0].words.owner, 0) << "a walk does not take the load lock";
}

TEST(Objects, come_in_the_order_of_the_loader) {
    const cli::Process self(getpid());
    const auto objects = cli::objects_of(self, self.mappings());
    EXPECT_TRUE(objects.order_known);
    std::vector<std::uint64_t> biases, seen;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            const std::string name = info->dlpi_name;
            if (name.find("vdso") == std::string::npos)
                static_cast<std::vector<std::uint64_t>*>(data)->push_back(info->dlpi_addr);
            return 0;
        },
        &biases);
    for (const auto& object : objects.list) seen.push_back(object.bias);
    EXPECT_EQ(seen, biases);
    const auto* libc = objects.first_exporting("gnu_get_libc_version");
    ASSERT_NE(libc, nullptr);
    EXPECT_EQ(objects.describe(reinterpret_cast<std::uint64_t>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"))),
              "gnu_get_libc_version (" + libc->name() + ")");
}

TEST(Process, that_has_ended_is_told_from_a_living_one) {
    auto victim = std::make_unique<Victim>("cli_idle");
    const cli::Process process(victim->pid());
    EXPECT_TRUE(process.still_the_same());
    EXPECT_FALSE(process.mappings().empty());
    victim.reset();
    EXPECT_FALSE(process.still_the_same());
    EXPECT_THROW(process.mappings(), cli::ProcessGone);
    EXPECT_THROW(process.expect_still_the_same(), cli::ProcessGone);
    EXPECT_THROW(cli::examine_process(process.pid()), cli::ProcessGone);
}

// clone3 can give a child the very id of one that has ended.
TEST(Process, that_comes_back_under_the_same_id_is_another_one) {
    auto victim = std::make_unique<Victim>("cli_idle");
    const cli::Process process(victim->pid());
    victim.reset();
    pid_t wanted = process.pid();
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    arguments.set_tid = reinterpret_cast<std::uint64_t>(&wanted);
    arguments.set_tid_size = 1;
    const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) {
        for (;;) pause();
    }
    if (child < 0) GTEST_SKIP() << "choosing a process id needs CAP_CHECKPOINT_RESTORE";
    ASSERT_EQ(child, wanted);
    EXPECT_TRUE(cli::Process(wanted).still_the_same());
    EXPECT_FALSE(process.still_the_same());
    EXPECT_THROW(process.mappings(), cli::ProcessGone);
    EXPECT_TRUE(process.threads().empty());
    kill(wanted, SIGKILL);
    waitpid(wanted, nullptr, 0);
}

TEST(Process, whose_threads_come_and_go_is_readable_all_the_while) {
    std::atomic<bool> over = false;
    std::thread comes_and_goes([&over] {
        while (!over) std::thread([] {}).join();
    });
    const cli::Process self(getpid());
    int unreadable = 0;
    for (int look = 0; look < 20'000; ++look) {
        for (const cli::ThreadState& thread : self.threads()) unreadable += thread.syscall_readable ? 0 : 1;
    }
    over = true;
    comes_and_goes.join();
    EXPECT_EQ(unreadable, 0);
}

TEST(Doctor, survives_processes_that_end_while_it_reads_them) {
    for (int i = 0; i < 40; ++i) {
        auto victim = std::make_unique<Victim>("cli_idle", Variables{{"LD_PRELOAD", "libtcmalloc.so.4"}});
        const std::string id = victim->id();
        process::Child doctor({{built("unknot"), "doctor", id}});
        // Ends it after a little more of the doctor's work each time.
        volatile int spin = 0;
        for (int n = 0; n < i * 40000; ++n) spin = spin + 1;
        victim.reset();
        std::optional<process::Result> result;
        while (!(result = doctor.look(std::chrono::milliseconds(100)))) {
        }
        ASSERT_EQ(result->outcome, process::Outcome::exited) << process::describe(*result);
        ASSERT_TRUE(result->code == 1 || result->code == 2) << result->code << result->err;
        const bool unknown = result->out.find("): unknown\n") != std::string::npos;  // it has just ended
        EXPECT_EQ(result->code == 2, unknown || result->err.find("unknot: ") != std::string::npos) << result->out;
    }
}

// The command, copied to where everybody can execute it.
std::string open_to_all(const Folder& folder) {
    std::filesystem::permissions(folder / "", std::filesystem::perms::all);
    std::filesystem::copy_file(built("unknot"), folder / "unknot");
    return folder / "unknot";
}

TEST(Doctor, names_the_permission_that_is_missing) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    const Folder folder;
    const std::string command_of_all = open_to_all(folder);
    const Victim victim("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    for (const char* command : {"doctor", "stat"}) {
        const auto result = process::run(
            {{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", command_of_all, command, victim.id()}});
        EXPECT_EQ(result.code, 2) << result.out;
        EXPECT_NE(result.err.find("CAP_SYS_PTRACE"), std::string::npos) << result.err;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    }
}

// A root without the capability is told that, and how a container gets it.
TEST(Doctor, that_may_not_read_says_unknown_and_what_is_missing) {
    if (geteuid() != 0) GTEST_SKIP() << "only root has a capability to give away";
    const Victim victim("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    const auto result = process::run({{"setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace",
                                       built("unknot"), "doctor", "--json", victim.id()}});
    EXPECT_EQ(result.code, 2);
    const auto found = only_of(json_of(result));
    EXPECT_EQ(found["verdict"], "unknown");
    EXPECT_EQ(keys_of(found["reasons"]), std::vector<std::string>{"not_permitted"});
    EXPECT_EQ(keys_of(found["advice"]), std::vector<std::string>{"get_permission"});
    EXPECT_NE(result.err.find("this root has no CAP_SYS_PTRACE"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("--cap-add SYS_PTRACE"), std::string::npos) << result.err;
}

// Who may read memory and no file of another user's lacks another capability than that.
TEST(Doctor, names_the_capability_that_is_missing_beside_ptrace) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    const Folder folder;
    const std::string command_of_all = open_to_all(folder);
    const Victim victim("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    for (const auto& [command, capability] :
         {std::pair("doctor", "DAC_READ_SEARCH"), std::pair("immunise", "DAC_OVERRIDE")}) {
        const char* const caps =
            capability == std::string("DAC_OVERRIDE") ? "+sys_ptrace,+dac_read_search" : "+sys_ptrace";
        const auto result = process::run({{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps",
                                           caps, "--ambient-caps", caps, command_of_all, command, victim.id()}});
        EXPECT_EQ(result.code, 2) << result.out;
        EXPECT_NE(result.err.find(std::string("CAP_") + capability + " is not"), std::string::npos) << result.err;
        EXPECT_NE(result.err.find(std::string("--cap-add ") + capability), std::string::npos) << result.err;
    }
}

// Unreadable ones are counted: no error, as long as something could be read.
TEST(Doctor, counts_among_all_what_it_may_not_read) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    const Folder folder;
    const std::string command_of_all = open_to_all(folder);
    process::Child readable({{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "1000"}});
    const Victim unreadable("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    const auto result = process::run(
        {{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", command_of_all, "doctor", "--all"}},
        {std::chrono::minutes(10), std::chrono::minutes(10)});
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    EXPECT_NE(result.out.find(" of them may not be read: "), std::string::npos) << result.out;
    EXPECT_EQ(result.out.find(" " + unreadable.id() + "  "), std::string::npos) << result.out;
}

TEST(Doctor, says_unknown_of_a_process_that_has_ended) {
    const Victim victim("cli_zombie");
    std::string child = victim.out();
    child.resize(child.find('\n'));
    const auto result = unknot({"doctor", "--json", child});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(only_of(json_of(result))["verdict"], "unknown");
    EXPECT_EQ(keys_of(only_of(json_of(result))["reasons"]), std::vector<std::string>{"has_ended"});
}

TEST(Doctor, says_unknown_of_a_32_bit_process) {
    const std::string program = built("cli_idle_32");
    if (access(program.c_str(), X_OK) != 0) GTEST_SKIP() << "this assembler makes no 32-bit programs";
    process::Child child({{program}});
    if (child.look(std::chrono::milliseconds(100))) GTEST_SKIP() << "this kernel runs no 32-bit programs";
    const auto result = unknot({"doctor", "--json", std::to_string(child.pid())});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(only_of(json_of(result))["verdict"], "unknown");
    EXPECT_EQ(keys_of(only_of(json_of(result))["reasons"]), std::vector<std::string>{"other_word_size"});
}

TEST(Doctor, says_that_there_is_no_such_process) {
    const process::Result result = unknot({"doctor", "4194304"});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.err, "unknot: there is no process 4194304\n");
}

}  // namespace
}  // namespace unknot::test
