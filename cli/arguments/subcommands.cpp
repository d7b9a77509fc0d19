// SPDX-License-Identifier: Apache-2.0
// What the subcommands have in common.
#include "cli/arguments/subcommands.h"

#include <charconv>
#include <memory>
#include <system_error>
#include <utility>

#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

class WithUsage : public CLI::Formatter {
  public:
    explicit WithUsage(std::string usage) : usage_(std::move(usage)) {}
    std::string make_usage(const CLI::App*, std::string) const override { return "Usage: " + usage_ + "\n"; }

  private:
    std::string usage_;
};

}  // namespace

void set_usage(CLI::App* parser, const std::string& usage) {
    parser->formatter(std::make_shared<WithUsage>(usage));
    parser->group("Commands");
}

CLI::Validator a_pid() {
    const auto check = [](std::string& text) {
        constexpr long largest = 1 << 22;  // PID_MAX_LIMIT of Linux
        long number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool is_one = error == std::errc() && end == text.data() + text.size() && number > 0 && number <= largest;
        return is_one ? std::string() : "\"" + text + "\" is no process id";
    };
    return CLI::Validator(check, "", "process id");
}

CLI::Option* add_pids(CLI::App* parser, std::vector<int>& pids, const std::string& description) {
    return parser->add_option("PID", pids, description)->check(a_pid())->type_name("");
}

void expect_no_command(const std::vector<std::string>& command, const std::string& what_it_takes) {
    if (!command.empty()) throw Trouble(what_it_takes);
}

}  // namespace unknot::cli
