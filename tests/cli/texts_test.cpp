// SPDX-License-Identifier: Apache-2.0
// Help, man page and completions say the same; colours are for terminals.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <regex>
#include <set>

#include "cli/say/style.h"
#include "policy/stats_page.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

std::string source(const std::string& name) {
    return content(std::string(UNKNOT_SOURCE_DIR) + "/cli/" + name);
}

std::set<std::string> options_of(const std::string& command) {
    const process::Result help = unknot({command, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_NE(help.out.find("Examples:"), std::string::npos) << command;
    std::set<std::string> options;
    const std::regex option("  (?:-h,)?--([a-z-]+)");
    for (std::sregex_iterator at(help.out.begin(), help.out.end(), option), end; at != end; ++at)
        options.insert((*at)[1]);
    options.erase("help");
    return options;
}

TEST(Texts, name_every_option_everywhere) {
    for (const auto& [command, least] :
         {std::pair("run", 4u), std::pair("doctor", 4u), std::pair("stat", 4u), std::pair("check", 2u),
          std::pair("rescue", 1u), std::pair("immunise", 2u), std::pair("watch", 9u)}) {
        const auto options = options_of(command);
        EXPECT_GE(options.size(), least) << command;
        for (const std::string& option : options) {
            EXPECT_NE(source("completions/unknot.bash").find("--" + option), std::string::npos) << option;
            EXPECT_NE(source("completions/_unknot").find("--" + option), std::string::npos) << option;
            EXPECT_NE(source("completions/unknot.fish").find("-l " + option), std::string::npos) << option;
            EXPECT_NE(source("unknot.1").find("Fl -" + option), std::string::npos) << option;
        }
    }
}

TEST(Texts, name_every_setting_and_every_counter) {
    const std::string page = source("libunknot.7");
#define UNKNOT_SETTING(member, variable, ...) \
    EXPECT_NE(page.find("\n.It Ev " variable "\n"), std::string::npos) << variable;
#include "policy/settings.inc"
#undef UNKNOT_SETTING
#define UNKNOT_NAMED(name, ...) EXPECT_NE(page.find("\n.It Va " #name "\n"), std::string::npos) << #name;
    UNKNOT_COUNTERS(UNKNOT_NAMED)
#undef UNKNOT_NAMED
}

TEST(Completions, are_accepted_by_their_shells) {
    const std::string folder = std::string(UNKNOT_SOURCE_DIR) + "/cli/completions/";
    for (const auto& [shell, file] :
         {std::pair("bash", "unknot.bash"), std::pair("zsh", "_unknot"), std::pair("fish", "unknot.fish")}) {
        if (process::run({{"sh", "-c", std::string("command -v ") + shell}}).code != 0) continue;
        const auto result = process::run({{shell, "-n", folder + file}});
        EXPECT_EQ(result.code, 0) << shell << result.err;
    }
}

TEST(Completions, complete_values_and_commands_in_bash) {
    const auto complete = [](const std::string& words) {
        const std::string script = "source '" + std::string(UNKNOT_SOURCE_DIR) +
                                   "/cli/completions/unknot.bash'; COMP_WORDS=(" + words +
                                   "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _unknot; echo \"${COMPREPLY[*]}\"";
        return process::run({{"bash", "-c", script}}).out;
    };
    EXPECT_EQ(complete("unknot d"), "doctor\n");
    EXPECT_EQ(complete("unknot run --mode o"), "observe off\n");
    EXPECT_EQ(complete("unknot stat --format ''"), "text json openmetrics\n");
}

TEST(Colours, are_for_terminals_without_NO_COLOR) {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    ASSERT_GE(terminal, 0);
    ASSERT_EQ(grantpt(terminal) | unlockpt(terminal), 0);
    const int end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    ASSERT_GE(end, 0);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    EXPECT_TRUE(cli::colours_wanted(end));
    setenv("NO_COLOR", "1", 1);
    EXPECT_FALSE(cli::colours_wanted(end));
    unsetenv("NO_COLOR");
    const int file = open("/dev/null", O_WRONLY);
    EXPECT_FALSE(cli::colours_wanted(file));
    close(file);
    close(end);
    close(terminal);
}

}  // namespace
}  // namespace unknot::test
