// SPDX-License-Identifier: Apache-2.0
// How the tests start things.
#include "tests/cli/unknot_command.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>

namespace unknot::test {
namespace {

std::vector<std::string> with(std::string first, std::vector<std::string> rest) {
    rest.insert(rest.begin(), std::move(first));
    return rest;
}

}  // namespace

std::string built(const std::string& name) {
    return std::string(UNKNOT_BINARY_DIR) + "/" + name;
}

process::Result unknot(std::vector<std::string> arguments, const Variables& environment) {
    const char* other = std::getenv("UNKNOT_COMMAND");  // built with sanitizers
    return process::run({with(other != nullptr ? other : built("unknot"), std::move(arguments)), environment}, patient);
}

nlohmann::json json_of(const process::Result& result) {
    auto json = nlohmann::json::parse(result.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << process::describe(result) << "\n" << result.out << result.err;
    return json.is_discarded() ? nlohmann::json::object() : json;
}

nlohmann::json only_of(const nlohmann::json& list) {
    EXPECT_TRUE(list.is_array() && list.size() == 1) << list.dump(2);
    return list.is_array() && list.size() == 1 ? list[0] : nlohmann::json::object();
}

std::vector<std::string> keys_of(const nlohmann::json& list) {
    std::vector<std::string> keys;
    for (const auto& entry : list) keys.push_back(entry.at("key"));
    return keys;
}

Victim::Victim(const std::string& program, const Variables& environment, std::vector<std::string> arguments,
               Ready ready, process::Watch watch)
    : child_(
          {with(program.find('/') == std::string::npos ? built(program) : program, std::move(arguments)), environment},
          watch) {
    if (ready == Ready::says_so && !until([&] { return !child_.out().empty(); }))
        throw std::runtime_error(program + " ended before it was ready");
}

bool Victim::until(const std::function<bool()>& seen) {
    while (!seen())
        if (child_.look(std::chrono::milliseconds(20))) return false;
    return true;
}

process::Result Victim::end() {
    for (;;)
        if (const auto result = child_.look(std::chrono::milliseconds(20))) return *result;
}

Folder::Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "unknot-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
}

Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace unknot::test
