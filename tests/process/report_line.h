// SPDX-License-Identifier: Apache-2.0
// The line that the shim writes at exit under UNKNOT_REPORT=exit, read back:
//   TIME unknot[PID]: report mode=protect probe=owner_words ... diverted=34 ...
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace unknot::process {

class ReportLine {
  public:
    // The report of process `pid` in the text of a log; empty when it has written none.
    static std::optional<ReportLine> find(const std::string& log, pid_t pid);

    // Both throw std::out_of_range naming the key when the report has no such key, or no number there.
    const std::string& word(const std::string& key) const;
    std::uint64_t number(const std::string& key) const;

  private:
    std::map<std::string, std::string> values_;
};

// A folder of its own for one run's log, removed with everything in it at the end.
class LogFolder {
  public:
    LogFolder();
    ~LogFolder();
    LogFolder(const LogFolder&) = delete;
    LogFolder& operator=(const LogFolder&) = delete;

    // For UNKNOT_LOG: every process writes a file of its own.
    std::string setting() const { return (path_ / "%p").string(); }
    // What process `pid` has written.
    std::string text(pid_t pid) const;

  private:
    std::filesystem::path path_;
};

}  // namespace unknot::process
