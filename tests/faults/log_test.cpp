// SPDX-License-Identifier: Apache-2.0
// Where the lines go when they cannot go where they should: never into a file of the program, never at its cost.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/faults/afflicted.h"
#include "tests/process/report_line.h"

namespace unknot::faults {

namespace {

namespace fs = std::filesystem;

// Removed with what is in it.
class Folder {
  public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "unknot-faults-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file(const std::string& name) const { return (path_ / name).string(); }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

std::string content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

bool is_report(const std::string& line) {
    return line.starts_with("report mode=protect");
}

Affliction reporting_to(const std::string& log) {
    return {.variables = {{"UNKNOT_REPORT", "exit"}, {"UNKNOT_LOG", log}}};
}

// The line that says why, then the one that was to be written.
void expect_on_stderr(const process::Result& result, const std::string& log, const std::string& reason) {
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.out, "works protected\n");
    const std::vector<std::string> said = lines(result.err);
    ASSERT_EQ(said.size(), 2u) << result.err;
    EXPECT_EQ(said[0], "UNKNOT_LOG: cannot write to " + log + " (" + reason + "); using stderr");
    EXPECT_TRUE(is_report(said[1])) << said[1];
}

TEST(Log, whose_folder_is_missing_goes_to_stderr) {
    const std::string log = "/nonexistent/folder/log";
    expect_on_stderr(run_afflicted(reporting_to(log)), log, "no such folder");
}

TEST(Log, below_a_file_goes_to_stderr) {
    expect_on_stderr(run_afflicted(reporting_to("/dev/null/log")), "/dev/null/log", "a part of the path is no folder");
}

TEST(Log, that_is_a_link_to_itself_goes_to_stderr) {
    const Folder folder;
    const std::string link = folder.file("link");
    fs::create_symlink(link, link);
    expect_on_stderr(run_afflicted(reporting_to(link)), link,
                     "a symbolic link that another user made, or that leads nowhere");
}

// What the owner of the process, or root, has linked is where the log is wanted ...
TEST(Log, that_is_a_link_of_ones_own_is_followed) {
    const Folder folder;
    fs::create_symlink(folder.file("target"), folder.file("link"));
    const process::Result result = run_afflicted(reporting_to(folder.file("link")));
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.err, "");
    EXPECT_TRUE(process::ReportLine::find(content(folder.file("target")), result.pid));
}

// ... and what somebody else has planted is not, in a folder that everybody may write to.
TEST(Log, that_is_somebody_elses_link_goes_to_stderr) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a link that is somebody else's";
    const Folder folder;
    fs::permissions(folder.path(), fs::perms::all);
    std::ofstream(folder.file("target")) << "precious\n";
    fs::create_symlink(folder.file("target"), folder.file("link"));
    ASSERT_EQ(lchown(folder.file("link").c_str(), 65534, 65534), 0);
    expect_on_stderr(run_afflicted(reporting_to(folder.file("link"))), folder.file("link"),
                     "a symbolic link that another user made, or that leads nowhere");
    EXPECT_EQ(content(folder.file("target")), "precious\n");
}

TEST(Log, that_is_a_folder_goes_to_stderr) {
    const Folder folder;
    expect_on_stderr(run_afflicted(reporting_to(folder.path())), folder.path(), "it is a folder");
}

TEST(Log, on_a_full_disk_goes_to_stderr) {
    expect_on_stderr(run_afflicted(reporting_to("/dev/full")), "/dev/full", "no space left");
}

TEST(Log, on_a_read_only_file_system_goes_to_stderr) {
    const Folder folder;
    Affliction affliction = reporting_to(folder.file("log"));
    affliction.faults = {"covered=" + folder.path().string()};
    const process::Result result = run_afflicted(affliction);
    SKIP_IF_REFUSED(result);
    expect_on_stderr(result, folder.file("log"), "read-only file system");
}

TEST(Log, without_permission_goes_to_stderr) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become a user without permission";
    const Folder folder;
    fs::permissions(folder.path(), fs::perms::owner_all);
    Affliction affliction = reporting_to(folder.file("log"));
    affliction.faults = {"unprivileged"};
    expect_on_stderr(run_afflicted(affliction), folder.file("log"), "permission denied");
}

TEST(Log, without_a_descriptor_goes_to_stderr) {
    const Folder folder;
    Affliction affliction = reporting_to(folder.file("log"));
    affliction.program = {"works", "without-descriptors"};
    expect_on_stderr(run_afflicted(affliction), folder.file("log"), "no file descriptor left");
}

// Opening it would wait for a reader.
TEST(Log, that_is_a_fifo_without_reader_goes_to_stderr) {
    const Folder folder;
    const std::string fifo = folder.file("fifo");
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    expect_on_stderr(run_afflicted(reporting_to(fifo)), fifo, "a FIFO that nobody reads");
}

// Writing it raises SIGXFSZ.
TEST(Log, beyond_the_size_limit_of_files_kills_nobody) {
    const Folder folder;
    Affliction affliction = reporting_to(folder.file("log"));
    affliction.faults = {"file-size=0", "closed=1"};
    const process::Result result = run_afflicted(affliction);
    // stderr is a file here and has no room either: the line is lost, the program is not.
    EXPECT_EQ(describe(result), "exited 0");
    EXPECT_EQ(content(folder.file("log")), "");
}

// libunwind's constructor opens a pipe, which gets the number: a line in there would be taken for an answer of its own.
TEST(Log, never_lands_in_the_pipe_of_a_library_that_got_stderrs_number) {
    Affliction affliction = reporting_to("stderr");
    affliction.faults = {"closed=0", "closed=2"};  // the pipe's other end gets 0, so that 2 is the one that is written
    const process::Result result = run_afflicted(affliction);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.out, "works protected\n");
}

// Writing it raises SIGPIPE.
TEST(Log, to_a_stderr_without_reader_is_lost_and_kills_nobody) {
    Affliction affliction = reporting_to("stderr");
    affliction.faults = {"broken-pipe=2"};
    const process::Result result = run_afflicted(affliction);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.out, "works protected\n");
}

TEST(Log, to_a_closed_stderr_is_lost) {
    Affliction affliction = reporting_to("stderr");
    affliction.faults = {"closed=2"};
    const process::Result result = run_afflicted(affliction);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.out, "works protected\n");
    EXPECT_EQ(result.err, "");
}

process::Result run_with_stderrs_number(const std::string& how, const std::string& file, bool closed) {
    Affliction affliction = reporting_to("stderr");
    if (closed) affliction.faults = {"closed=2"};
    affliction.program = {"finds_stderrs_number_free", how, file};
    return run_afflicted(affliction, glibc);  // libunwind, beside tcmalloc, would take the number
}

TEST(Log, never_lands_in_a_file_that_got_the_number_of_a_stderr_that_was_closed_at_start) {
    const Folder folder;
    const process::Result result = run_with_stderrs_number("inherited", folder.file("data"), true);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(content(folder.file("data")), "data\n");
}

TEST(Log, never_lands_in_a_file_that_got_the_number_of_a_stderr_that_the_program_has_closed) {
    const Folder folder;
    const process::Result result = run_with_stderrs_number("closes", folder.file("data"), false);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(content(folder.file("data")), "data\n");
}

TEST(Log, follows_a_stderr_that_the_program_redirects_to_its_own_log) {
    const Folder folder;
    const process::Result result = run_with_stderrs_number("redirects", folder.file("server.log"), false);
    EXPECT_EQ(result.code, 0) << story(result);
    const std::vector<std::string> said = lines(content(folder.file("server.log")));
    ASSERT_EQ(said.size(), 2u);
    EXPECT_EQ(said[0], "data");
    EXPECT_TRUE(is_report(said[1])) << said[1];
}

TEST(Log, that_can_be_written_is_written_and_stderr_is_not) {
    const Folder folder;
    const process::Result result = run_afflicted(reporting_to(folder.file("before-%p-after")));
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.err, "");
    const std::string text = content(folder.file("before-" + std::to_string(result.pid) + "-after"));
    EXPECT_TRUE(process::ReportLine::find(text, result.pid)) << text;
}

// Which ends have a report. The others run no code of anybody's: `unknot stat` reads the counters while there is time.
TEST(Report, is_written_at_exit_and_at_quick_exit) {
    for (const char* way : {"exit", "quick_exit", "_exit", "signal"}) {
        const bool runs_handlers = std::string(way) == "exit" || std::string(way) == "quick_exit";
        for (const char* mode : {"off", "protect"}) {
            Affliction affliction = reporting_to("stderr");
            affliction.variables.emplace_back("UNKNOT_MODE", mode);
            affliction.program = {"ends_by", way};
            const process::Result result = run_afflicted(affliction);
            EXPECT_EQ(describe(result), std::string(way) == "signal" ? "killed by signal 15" : "exited 0");
            EXPECT_EQ(lines(result.err).size(), runs_handlers ? 1u : 0u) << way << ": " << result.err;
        }
    }
}

}  // namespace

}  // namespace unknot::faults
