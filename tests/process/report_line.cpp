// SPDX-License-Identifier: Apache-2.0
// Words after "report" are key=value pairs, separated by one blank each.
#include "tests/process/report_line.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace unknot::process {

std::optional<ReportLine> ReportLine::find(const std::string& log, pid_t pid) {
    const std::string opening = "unknot[" + std::to_string(pid) + "]: report ";
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t at = line.find(opening);  // behind the time
        if (at == std::string::npos) continue;
        ReportLine report;
        std::istringstream words(line.substr(at + opening.size()));
        for (std::string word; words >> word;) {
            const std::size_t equals = word.find('=');
            if (equals != std::string::npos) report.values_[word.substr(0, equals)] = word.substr(equals + 1);
        }
        return report;
    }
    return std::nullopt;
}

const std::string& ReportLine::word(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) throw std::out_of_range("the report has no " + key);
    return found->second;
}

std::uint64_t ReportLine::number(const std::string& key) const {
    const std::string& text = word(key);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw std::out_of_range("the report has " + key + "=" + text + ", which is no number");
    }
    return value;
}

LogFolder::LogFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "unknot-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
    path_ = pattern;
}

LogFolder::~LogFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string LogFolder::text(pid_t pid) const {
    std::ifstream file(path_ / std::to_string(pid));
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace unknot::process
