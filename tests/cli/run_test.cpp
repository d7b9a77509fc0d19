// SPDX-License-Identifier: Apache-2.0
// `unknot run`: what it sets, and what it refuses before anything is started.
#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <fstream>

#include "cli/judge/preload.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

const std::string& shim() {
    static const std::string path = std::filesystem::canonical(built("libunknot.so")).string();
    return path;
}

void expect_refused(const std::vector<std::string>& arguments, const std::string& why, const Variables& variables = {},
                    int code = 125) {
    const process::Result result = unknot(arguments, variables);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_TRUE(result.out.empty()) << result.out;
    EXPECT_NE(result.err.find(why), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST(Run, starts_the_command_with_the_shim_first) {
    const process::Result result = unknot({"run", "--", "sh", "-c", "echo $LD_PRELOAD; exit 7"}, {{"LD_PRELOAD", ""}});
    EXPECT_EQ(result.code, 7);
    EXPECT_EQ(result.out, shim() + "\n");
}

TEST(Run, keeps_what_was_preloaded_behind_the_shim) {
    const auto list = cli::make_preload("libtcmalloc.so.4 /x/libother.so:libunknot.so", "/lib/libunknot.so", "");
    EXPECT_EQ(list.text(), "/lib/libunknot.so:libtcmalloc.so.4:/x/libother.so");
}

TEST(Run, replaces_the_allocator_when_one_is_asked_for) {
    const auto list = cli::make_preload("/a/libmimalloc.so.2:/x/libother.so", "/lib/libunknot.so", "jemalloc");
    EXPECT_EQ(list.text(), "/lib/libunknot.so:libjemalloc.so.2:/x/libother.so");
}

TEST(Run, protects_a_command_under_the_asked_allocator) {
    const auto json = only_of(json_of(unknot({"run", "--allocator", "tcmalloc", "--mode", "protect", "--", "sh", "-c",
                                              "'" + built("unknot") + "' stat --json $$"},
                                             {{"LD_PRELOAD", ""}})));
    EXPECT_EQ(json["mode"], "protect");
    EXPECT_EQ(json["allocator"], "tcmalloc");
}

TEST(Run, prints_the_environment_in_a_dry_run) {
    const process::Result result =
        unknot({"run", "--dry-run", "--mode", "observe", "--stats", "--", "false"}, {{"LD_PRELOAD", ""}});
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.out, "LD_PRELOAD=" + shim() + "\nUNKNOT_MODE=observe\nUNKNOT_REPORT=exit\n");
    const auto json = only_of(json_of(unknot({"run", "--dry-run", "--json", "--", "false"}, {{"LD_PRELOAD", ""}})));
    EXPECT_EQ(json["environment"]["LD_PRELOAD"], shim());
}

TEST(Run, follows_a_script_to_its_interpreter) {
    const Folder folder;
    const std::string script = folder / "script";
    std::ofstream(script) << "#!/usr/bin/env sh\necho $LD_PRELOAD\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    EXPECT_EQ(unknot({"run", "--", script}, {{"LD_PRELOAD", ""}}).out, shim() + "\n");
}

TEST(Run, refuses_a_static_program) {
    expect_refused({"run", "--", built("cli_idle_static")}, "static program");
}

TEST(Run, protects_an_executable_that_defines_malloc_by_its_walks_and_says_so) {
    const process::Result dry = unknot({"run", "--dry-run", "--", built("cli_own_malloc")}, {{"LD_PRELOAD", ""}});
    EXPECT_EQ(dry.code, 0) << dry.err;
    EXPECT_EQ(dry.out, "LD_PRELOAD=" + shim() + "\n");
    EXPECT_NE(dry.err.find("defines malloc itself"), std::string::npos) << dry.err;
    EXPECT_NE(dry.err.find("protected by its walks alone"), std::string::npos) << dry.err;

    const Victim victim(built("unknot"), {{"LD_PRELOAD", ""}}, {"run", "--", built("cli_own_malloc")});
    EXPECT_EQ(only_of(json_of(unknot({"stat", "--json", victim.id()})))["mode"], "walks");
}

TEST(Run, refuses_for_a_malloc_of_the_programs_own_what_needs_another) {
    expect_refused({"run", "--allocator", "tcmalloc", "--", built("cli_own_malloc")}, "defines malloc itself");
    expect_refused({"run", "--mode", "observe", "--", built("cli_own_malloc")}, "nothing to observe");
}

TEST(Run, refuses_a_setuid_program) {
    const Folder folder;
    const std::string copy = folder / "setuid";
    std::filesystem::copy_file(built("cli_idle"), copy);
    std::filesystem::permissions(copy, std::filesystem::perms::set_uid, std::filesystem::perm_options::add);
    expect_refused({"run", "--", copy}, "setuid");
}

// The same file with another machine in its header, and with another loader.
TEST(Run, refuses_another_architecture_and_another_libc) {
    const Folder folder;
    std::string bytes = content(built("cli_idle"));
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream(folder / name, std::ios::binary) << text;
        std::filesystem::permissions(folder / name, std::filesystem::perms::owner_all);
        return folder / name;
    };
    std::string foreign = bytes;
    auto& machine = reinterpret_cast<unsigned char&>(foreign[offsetof(Elf64_Ehdr, e_machine)]);
    machine = machine == EM_X86_64 ? EM_AARCH64 : EM_X86_64;
    expect_refused({"run", "--", write("foreign", foreign)}, "the shim is for");

    std::string musl = bytes;
    const std::size_t at = musl.find("ld-linux");
    ASSERT_NE(at, std::string::npos);
    musl.replace(at, 8, "ld-musl-");
    expect_refused({"run", "--", write("musl", musl)}, "another libc");
}

TEST(Run, refuses_what_is_not_there) {
    expect_refused({"run", "--", "no-such-command-here"}, "not found", {}, 127);
    expect_refused({"run", "--allocator", "hoard", "--", "true"}, "not known");
    expect_refused({"run", "--allocator", "/no/such/lib.so", "--", "true"}, "No such file");
    expect_refused({"run", "--library", "/no/such/libunknot.so", "--", "true"}, "not found");
    expect_refused({"run", "--library", built("libcli_fake_page.so") + "x", "--", "true"}, "not found");
    expect_refused({"run", "--", "true"}, "is not libunknot.so", {{"UNKNOT_LIBRARY", "/bin/true"}});
}

// As env(1) and timeout(1) do.
TEST(Run, says_by_its_exit_code_why_nothing_was_started) {
    expect_refused({"run", "--", "/no/such/command"}, "No such file", {}, 127);
    expect_refused({"run", "--", "/etc/passwd"}, "not an ELF file", {}, 126);
    const Folder folder;
    const std::string copy = folder / "not_executable";
    std::filesystem::copy_file(built("cli_idle"), copy);
    std::filesystem::permissions(copy, std::filesystem::perms::owner_read);
    expect_refused({"run", "--", copy}, "Permission denied", {}, 126);
    EXPECT_EQ(unknot({"run", "--", "false"}, {{"LD_PRELOAD", ""}}).code, 1) << "the command's own";
}

void expect_usage(const std::vector<std::string>& arguments, const std::string& why) {
    expect_refused(arguments, why, {}, !arguments.empty() && arguments[0] == "run" ? 125 : 2);
}

TEST(Usage, is_explained_in_one_line) {
    expect_usage({}, "--help");
    expect_usage({"run"}, "needs a command");
    expect_usage({"run", "--"}, "no command after --");
    expect_usage({"run", "true"}, "-- goes before the command");
    expect_usage({"run", "--json", "--", "true"}, "needs --dry-run");
    expect_usage({"--frobnicate"}, "--frobnicate");
    expect_usage({"version", "1"}, "takes nothing more");
    expect_usage({"doctor", "0"}, "\"0\" is no process id");
    expect_usage({"run", "--mode", "maybe", "--", "true"}, "maybe");
    expect_usage({"doctor"}, "doctor needs");
    expect_usage({"doctor", "--all", "1"}, "doctor needs");
    expect_usage({"doctor", "twelve"}, "twelve");
    expect_usage({"doctor", "--all", "--only", "dead"}, "\"dead\" is none of deadlocked, at-risk");
    expect_usage({"stat"}, "stat needs");
    expect_usage({"stat", "--format", "xml", "--all"}, "xml");
    expect_usage({"docter", "1"}, "did you mean doctor?");
    expect_usage({"frobnicate"}, "there is no command frobnicate; the commands are ");
}

TEST(Usage, knows_help_and_version_as_commands) {
    EXPECT_EQ(unknot({"help"}).out, unknot({"--help"}).out);
    EXPECT_EQ(unknot({"help", "doctor"}).out, unknot({"doctor", "--help"}).out);
    EXPECT_EQ(unknot({"version"}).out, unknot({"--version"}).out);
    EXPECT_EQ(unknot({"version"}).code, 0);
    for (const char* word : {"help", "version"}) EXPECT_EQ(unknot({"help", word}).out, unknot({"--help"}).out);
}

TEST(Usage, knows_both_spellings_of_immunise) {
    EXPECT_EQ(unknot({"immunize", "--help"}).out, unknot({"immunise", "--help"}).out);
    expect_usage({"imunise", "1"}, "did you mean immunise?");
    expect_usage({"immunise", "1", "--", "true"}, "no command");
    expect_usage({"rescue"}, "PID");
    expect_usage({"doctor", "--exe", "/bin/true", "1"}, "need --core");
    expect_usage({"doctor", "--core", "/x", "1"}, "one of them only");
}

// Whatever is not written was not said: a full disk, a stream that is closed.
TEST(Output, that_could_not_be_written_is_an_error) {
    const Victim victim("cli_idle", {{"LD_PRELOAD", built("libunknot.so")}});
    const std::string pid = " " + victim.id();
    for (const std::string& command :
         {std::string("version"), std::string("help"), std::string("doctor --help"), "doctor" + pid,
          "doctor --json" + pid, std::string("doctor --all --only at-risk"), std::string("doctor -- true"),
          "stat" + pid, "stat --json" + pid, "stat --format openmetrics" + pid, "stat --watch 0.1" + pid,
          std::string("stat --all"), "immunise --dry-run" + pid, "rescue --dry-run" + pid,
          std::string("run --dry-run -- true"), std::string("run --dry-run --json -- true")}) {
        for (const char* nowhere : {">/dev/full", ">&-"}) {
            const auto result = process::run({{"sh", "-c", built("unknot") + " " + command + " " + nowhere}});
            EXPECT_EQ(result.code, command.starts_with("run") ? 125 : 2) << command << nowhere;
            const char* why = nowhere == std::string_view(">&-") ? "stdout: Bad file" : "stdout: No space";
            EXPECT_NE(result.err.find(why), std::string::npos) << command << nowhere << result.err;
        }
    }
}

}  // namespace
}  // namespace unknot::test
