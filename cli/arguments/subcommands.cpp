// SPDX-License-Identifier: Apache-2.0
// What the subcommands have in common.
#include "cli/arguments/subcommands.h"

#include <memory>
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
}

CLI::Range a_pid() {
    return CLI::Range(1, 1 << 22);
}  // PID_MAX_LIMIT

CLI::Option* add_pids(CLI::App* parser, std::vector<int>& pids, const std::string& description) {
    return parser->add_option("PID", pids, description)->check(a_pid());
}

void expect_no_command(const std::vector<std::string>& command, const std::string& what_it_takes) {
    if (!command.empty()) throw Trouble(what_it_takes);
}

}  // namespace unknot::cli
