// SPDX-License-Identifier: Apache-2.0
// Looking a command up without running it.
#include "cli/read/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

std::string look_up(const std::string& command) {
    if (command.find('/') != std::string::npos) return command;
    const char* path = std::getenv("PATH");
    std::string folders = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
    for (std::size_t from = 0; from <= folders.size();) {
        const std::size_t to = std::min(folders.find(':', from), folders.size());
        std::string candidate = to == from ? "." : folders.substr(from, to - from);
        candidate += '/';
        candidate += command;
        struct stat info;
        if (stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(candidate.c_str(), X_OK) == 0)
            return candidate;
        from = to + 1;
    }
    throw CannotStart(fmt::format("{}: command not found in PATH", command), exit_not_found);
}

// "#!/usr/bin/env -S python3 -u" -> "/usr/bin/env", then what env would start.
std::string interpreter_of_script(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    char mark[2] = {};
    if (!file.read(mark, 2) || mark[0] != '#' || mark[1] != '!' || !std::getline(file, line) || line.size() > 4096)
        return {};
    std::vector<std::string> words;
    for (std::size_t at = 0; (at = line.find_first_not_of(" \t\r", at)) != std::string::npos;) {
        const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end;
    }
    if (words.empty()) return {};
    const bool is_env = words[0].ends_with("/env");
    for (std::size_t i = 1; is_env && i < words.size(); ++i)
        if (words[i][0] != '-' && words[i].find('=') == std::string::npos) return words[i];
    return words[0];
}

void find_privilege(Program& program) {
    struct stat info;
    if (stat(program.path.c_str(), &info) != 0) return;
    if ((info.st_mode & S_ISUID) != 0) program.privilege = "setuid";
    if ((info.st_mode & S_ISGID) != 0 && (info.st_mode & S_IXGRP) != 0) program.privilege = "setgid";
    if (getxattr(program.path.c_str(), "security.capability", nullptr, 0) > 0) program.privilege = "file capabilities";
    program.privileged = !program.privilege.empty();
}

std::string output_of(const std::vector<std::string>& command, const std::string* preload, int& status) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Trouble(fmt::format("pipe: {}", std::strerror(errno)));
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child < 0) throw Trouble(fmt::format("fork: {}", std::strerror(errno)));
    if (child == 0) {
        if (preload != nullptr) setenv("LD_PRELOAD", preload->c_str(), 1);
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(ends[1], STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execv(arguments[0], arguments.data());
        _exit(127);
    }
    close(ends[1]);
    std::string text;
    char part[4096];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0 || (n < 0 && errno == EINTR);)
        if (n > 0) text.append(part, static_cast<std::size_t>(n));
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return text;
}

}  // namespace

Program find_program(const std::string& command) {
    Program program;
    program.path = look_up(command);
    // The kernel follows a script's interpreter four times at most.
    for (int depth = 0; depth < 5; ++depth) {
        std::string why;
        program.file = ElfFile::open(program.path, &why);
        if (program.file != nullptr) break;
        const std::string interpreter = why == "not an ELF file" ? interpreter_of_script(program.path) : std::string();
        if (interpreter.empty())
            throw CannotStart(fmt::format("{}: cannot be run: {}", program.path, why),
                              access(program.path.c_str(), F_OK) != 0 ? exit_not_found : exit_not_executable);
        if (program.script.empty()) program.script = program.path;
        program.path = look_up(interpreter);
    }
    if (program.file == nullptr)
        throw CannotStart(fmt::format("{}: too many interpreters", command), exit_not_executable);
    if (!program.file->is_executable_type())
        throw CannotStart(fmt::format("{}: not an executable", program.path), exit_not_executable);
    const std::string& started = program.script.empty() ? program.path : program.script;
    if (access(started.c_str(), X_OK) != 0)
        throw CannotStart(fmt::format("{}: cannot be run: {}", started, std::strerror(errno)), exit_not_executable);
    find_privilege(program);
    return program;
}

Objects objects_for(const Program& program, const std::string* preload) {
    Objects objects;
    objects.order_known = true;
    char* real = realpath(program.path.c_str(), nullptr);
    const std::string path = real != nullptr ? real : program.path;
    std::free(real);
    std::uint64_t fake_start = 0x1000;  // no addresses yet: distinct and empty ranges
    const auto add = [&](const std::string& file) {
        Object object;
        object.path = file;
        object.start = fake_start++;
        object.file = ElfFile::open(file, &object.unreadable);
        if (char* resolved = realpath(file.c_str(), nullptr)) object.path = resolved, std::free(resolved);
        objects.list.push_back(std::move(object));
    };
    add(path);
    const std::string& loader = program.file->interpreter();
    if (loader.empty()) return objects;
    // "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)", "\t/lib64/ld-linux-x86-64.so.2 (0x...)".
    int status = 0;
    const std::string listing = output_of({loader, "--list", path}, preload, status);
    if (status != 0) throw Trouble(fmt::format("{} cannot tell what it would load for {}", loader, path));
    for (std::size_t from = 0; from < listing.size();) {
        const std::size_t to = std::min(listing.find('\n', from), listing.size());
        const std::string line = listing.substr(from, to - from);
        from = to + 1;
        const std::size_t slash = line.find('/'), arrow = line.find("=> "), end = line.rfind(" (0x");
        if (slash == std::string::npos || end == std::string::npos) continue;
        const std::size_t at = arrow == std::string::npos ? slash : arrow + 3;
        add(line.substr(at, end - at));
    }
    return objects;
}

}  // namespace unknot::cli
