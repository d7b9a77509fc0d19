// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/watched_host.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace unknot::test {
namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

std::vector<std::string> watch_at(int port, std::vector<std::string> arguments) {
    const char* other = std::getenv("UNKNOT_COMMAND");
    arguments.insert(arguments.begin(), {other != nullptr ? other : built("unknot"), "watch", "--listen",
                                         "127.0.0.1:" + std::to_string(port), "--interval", "0.3"});
    return arguments;
}

}  // namespace

Metrics metrics_in(const std::string& text) {
    Metrics metrics;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t space = line.rfind(' ');
        if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
        metrics[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
    }
    return metrics;
}

std::optional<double> sum_of(const Metrics& metrics, const std::string& family,
                             const std::vector<std::string>& labels) {
    std::optional<double> sum;
    for (const auto& [series, value] : metrics) {
        if (series.substr(0, series.find('{')) != family) continue;
        bool all = true;
        for (const std::string& label : labels) all = all && series.find(label) != std::string::npos;
        if (all) sum = sum.value_or(0) + value;
    }
    return sum;
}

int free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error("no port of the loopback is free");
    close(fd);
    return ntohs(address.sin_port);
}

std::string fetched(int port, const std::string& path) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    std::string text;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        const std::string request = "GET " + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n";
        if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
            char part[4096];
            for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(n));
        }
    }
    close(fd);
    if (text.empty()) return {};
    if (text.find(" 200 ") > text.find('\n')) throw std::runtime_error("not 200: " + text.substr(0, text.find('\n')));
    return text.substr(std::min(text.find("\r\n\r\n") + 4, text.size()));
}

std::string own_name(const std::string& name) {
    const std::string own = name + "_" + std::to_string(getpid());
    if (own.size() > 15) throw std::runtime_error(own + " is too long for a name");
    return own;
}

std::string copied(const Folder& folder, const std::string& program, const std::string& name) {
    std::filesystem::copy_file(built(program), folder / own_name(name));
    return folder / own_name(name);
}

Watcher::Watcher(std::vector<std::string> arguments)
    : port_(free_port()), child_({watch_at(port_, std::move(arguments)), {}}, patient) {}

bool Watcher::until(const std::function<bool(const Metrics&)>& seen) {
    while (!seen(metrics()))
        if (child_.look(std::chrono::milliseconds(50))) return false;
    return true;
}

bool Watcher::until_it_says(const std::string& text) {
    while (child_.err().find(text) == std::string::npos)
        if (child_.look(std::chrono::milliseconds(50))) return false;
    return true;
}

process::Result Watcher::end_with(int signal) {
    kill(child_.pid(), signal);
    for (;;)
        if (const auto result = child_.look(std::chrono::milliseconds(20))) return *result;
}

}  // namespace unknot::test
