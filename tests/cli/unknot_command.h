// SPDX-License-Identifier: Apache-2.0
// Running the built command, and victims that are examined while they live.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/process/child.h"

namespace unknot::test {

using Variables = std::vector<std::pair<std::string, std::string>>;

// A path in the build folder.
std::string built(const std::string& name);

process::Result unknot(std::vector<std::string> arguments, const Variables& environment = {});
nlohmann::json json_of(const process::Result& result);
nlohmann::json only_of(const nlohmann::json& list);  // of an array of one
std::vector<std::string> keys_of(const nlohmann::json& list);

// When the constructor of a victim returns.
enum class Ready {
    says_so,  // it has written something
    never,    // at once: this one hangs before it can write
};

// For what is examined, never judged by the watcher: how long it stays quiet says nothing.
inline constexpr process::Watch patient{std::chrono::minutes(10), std::chrono::minutes(10)};
// For what hangs, is rescued, and has to go on: long enough for a rescue on a busy machine.
inline constexpr process::Watch hung_for_a_while{std::chrono::seconds(90), std::chrono::minutes(10)};

// Ended by its destructor.
class Victim {
  public:
    explicit Victim(const std::string& program, const Variables& environment = {},
                    std::vector<std::string> arguments = {}, Ready ready = Ready::says_so,
                    process::Watch watch = patient);
    pid_t pid() const { return child_.pid(); }
    std::string id() const { return std::to_string(pid()); }
    // Looks at it until `seen` says yes; false: it ended first.
    bool until(const std::function<bool()>& seen);
    std::string out() const { return child_.out(); }
    // Waits for its end; one that makes no progress is ended. For victims that were given a `watch` that tells.
    process::Result end();

  private:
    process::Child child_;
};

// Removed with everything in it.
class Folder {
  public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

std::string content(const std::string& path);

}  // namespace unknot::test
