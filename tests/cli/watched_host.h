// SPDX-License-Identifier: Apache-2.0
// `unknot watch` beside the processes of a test, and what it says of them. The host has others too: tests look at the
// series of their own programs alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/watch/exposition.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {

class WithWatch : public testing::Test {
  protected:
    void SetUp() override {
        if (!cli::Exposition::is_there()) GTEST_SKIP() << "built without prometheus-cpp: watch has no endpoint";
    }
};

// "name{labels}" and its value, of Prometheus' text format.
using Metrics = std::map<std::string, double>;
Metrics metrics_in(const std::string& text);
// The sum of a family over all series that have every one of these labels, each written label="value"; nullopt: there
// is no such series.
std::optional<double> sum_of(const Metrics& metrics, const std::string& family, const std::vector<std::string>& labels);

// A port of the loopback that nobody listens on now.
int free_port();
// The body of what is there; empty: nobody answers. Throws std::runtime_error when the answer is not 200.
std::string fetched(int port, const std::string& path);
inline std::string scrape(int port) {
    return fetched(port, "/metrics");
}

// The series of a program are nobody else's: tests run beside each other, so this one's programs have names of their
// own. At most 15 bytes, as the kernel's.
std::string own_name(const std::string& name);
// A copy of a program of the build folder under such a name.
std::string copied(const Folder& folder, const std::string& program, const std::string& name);

// The watcher, at an interval that suits a test. Ended by its destructor.
class Watcher {
  public:
    explicit Watcher(std::vector<std::string> arguments);
    // Scrapes until `seen` says yes; false: the watcher has ended.
    bool until(const std::function<bool(const Metrics&)>& seen);
    bool until_it_says(const std::string& text);  // on stderr
    Metrics metrics() const { return metrics_in(scrape(port_)); }
    std::string out() const { return child_.out(); }
    std::string err() const { return child_.err(); }
    int port() const { return port_; }
    process::Result end_with(int signal);

  private:
    int port_;
    process::Child child_;
};

}  // namespace unknot::test
