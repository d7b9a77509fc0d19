// SPDX-License-Identifier: Apache-2.0
// Debian's own programs whose executable defines malloc and imports dl_iterate_phdr (of Debian 12: the browsers), as
// they come: they do bare, with the walks alone and with the whole shim, which keeps to its walks there, the same.
//   apt-get install firefox-esr chromium
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/preload/preload.h"

namespace unknot::preload {

namespace {

struct Program {
    const char* name;
    const char* file;
    const char* does;  // in a folder of its own, $d, with a page in it; what it prints has to be the same
};
constexpr Program programs[] = {
    {"firefox", "/usr/lib/firefox-esr/firefox-esr",
     "--headless --no-remote --profile $d --screenshot $d/shot.png file://$d/page.html >$d/said; sha256sum "
     "<$d/shot.png"},
    {"chromium", "/usr/lib/chromium/chromium",
     "--headless --no-sandbox --disable-gpu --user-data-dir=$d --dump-dom file://$d/page.html"},
};
void PrintTo(const Program& program, std::ostream* out) {
    *out << program.name;
}

// $1: what is preloaded, into the program alone. Where that is something, one of its processes at least has to say that
// its walks are what protects it.
std::string script(const Program& program) {
    return std::string("set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; ") +
           "echo '<body><script>let s = 0; for (let i = 0; i < 1e6; ++i) s += i % 7; document.body.textContent = s"
           "</script>' >$d/page.html; " +
           "export HOME=$d UNKNOT_REPORT=exit UNKNOT_LOG=$d/log.%p; env ${1:+LD_PRELOAD=$1} " + program.file + " " +
           program.does + "; [ -z \"$1\" ] || grep -qs ' report mode=walks probe=owner_words ' $d/log.*";
}

class OwnMalloc : public testing::TestWithParam<Program> {};

TEST_P(OwnMalloc, of_a_program_of_every_day_makes_no_difference) {
    const Program& program = GetParam();
    if (!std::filesystem::exists(program.file)) GTEST_SKIP() << program.file << " is not installed";
    // Browsers wait for each other's processes, asleep, longer than other programs.
    constexpr process::Watch patient{std::chrono::seconds(60), std::chrono::minutes(5)};
    const auto run_with = [&](const std::string& shim) {
        return process::run({.argv = {"sh", "-c", script(program), "sh", shim}}, patient);
    };
    const process::Result bare = run_with("");
    ASSERT_TRUE(bare.succeeded()) << describe(bare) << bare.err;
    EXPECT_FALSE(bare.out.empty());
    for (const char* library : {"libunknot_walks.so", "libunknot.so"}) {
        const process::Result result = run_with(built(library));
        EXPECT_TRUE(result.succeeded()) << library << ": " << describe(result) << result.err;
        EXPECT_EQ(result.out, bare.out) << library;
    }
}

INSTANTIATE_TEST_SUITE_P(Of, OwnMalloc, testing::ValuesIn(programs),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace

}  // namespace unknot::preload
