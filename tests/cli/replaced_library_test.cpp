// SPDX-License-Identifier: Apache-2.0
// A process that was started before an upgrade: the doctor says that it runs the older build.
#include "cli/judge/replaced_library.h"

#include <filesystem>

#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

namespace fs = std::filesystem;

std::string note_on(pid_t pid) {
    const cli::Process process(pid);
    return note_on_replaced_library(process, objects_of(process, process.mappings()));
}

// Beside its place and renamed, as every installation does.
void replace(const std::string& library, const std::string& by) {
    fs::copy_file(by, library + ".incoming");
    fs::rename(library + ".incoming", library);
}

TEST(ReplacedLibrary, is_told_from_the_one_that_is_there) {
    const Folder folder;
    const std::string library = folder / "libunknot.so";
    fs::copy_file(built("libunknot.so"), library);
    const Victim victim("cli_idle", {{"LD_PRELOAD", library}});
    EXPECT_EQ(note_on(victim.pid()), "");
    replace(library, built("libunknot.so"));
    EXPECT_EQ(note_on(victim.pid()), "") << "the same build in another file";
    replace(library, built("libunknot_jemalloc.so"));  // stands for any other build
    EXPECT_NE(note_on(victim.pid()).find("older build of " + library), std::string::npos) << note_on(victim.pid());
    const process::Result doctor = unknot({"doctor", victim.id()});
    EXPECT_NE(doctor.out.find("older build"), std::string::npos) << doctor.out;
    fs::remove(library);
    EXPECT_NE(note_on(victim.pid()).find("has been removed"), std::string::npos) << note_on(victim.pid());
}

TEST(ReplacedLibrary, is_no_concern_of_a_process_without_it) {
    const Victim victim("cli_idle", {{"LD_PRELOAD", ""}});
    EXPECT_EQ(note_on(victim.pid()), "");
}

}  // namespace
}  // namespace unknot::test
