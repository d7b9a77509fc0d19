// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/exposition.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "cli/read/trouble.h"
#include "cli/watch/families.h"

namespace unknot::cli {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

// Between the rounds the endpoint answers with the last one.
class LastRound : public prometheus::Collectable {
  public:
    void set(Families families) {
        const std::lock_guard own(own_);
        families_ = std::move(families);
    }
    Families Collect() const override {
        const std::lock_guard own(own_);
        return families_;
    }

  private:
    mutable std::mutex own_;
    Families families_;
};

// The server says only that it cannot be started.
std::string why_not(const std::string& listen) {
    const std::size_t colon = listen.rfind(':');
    const std::string host = colon == std::string::npos ? "" : listen.substr(0, colon);
    const std::string port = colon == std::string::npos ? listen : listen.substr(colon + 1);
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_family = AF_INET;  // Debian's civetweb has no other
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    if (std::strtoul(port.c_str(), nullptr, 10) > 65535 ||
        getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &wanted, &found) != 0)
        return "it is no ADDRESS:PORT, such as 127.0.0.1:9464";
    std::string text = "the server cannot be started";
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0) text = std::strerror(errno);
    if (fd >= 0) close(fd);
    freeaddrinfo(found);
    return text;
}

std::unique_ptr<prometheus::Exposer> endpoint_at(const std::string& listen) {
    try {
        // One scrape at a time, and a second connection for whoever looks by hand.
        return std::make_unique<prometheus::Exposer>(
            std::vector<std::string>{"listening_ports", listen, "num_threads", "2", "request_timeout_ms", "10000"});
    } catch (const std::exception&) {
        throw Trouble(fmt::format("--listen {}: {}", listen, why_not(listen)));
    }
}

// Whoever reads the file finds the one or the other whole.
void write_by_renaming(const std::string& path, const std::string& text) {
    const std::string beside = fmt::format("{}.{}", path, getpid());
    const auto give_up = [&](int error) {
        unlink(beside.c_str());
        throw Trouble(fmt::format("--textfile {}: it cannot be written: {}", path, std::strerror(error)));
    };
    const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) give_up(errno);
    std::size_t done = 0;
    int error = 0;
    while (error == 0 && done < text.size()) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n >= 0)
            done += static_cast<std::size_t>(n);
        else if (errno != EINTR)
            error = errno;
    }
    if (close(fd) != 0 && error == 0) error = errno;
    if (error == 0 && std::rename(beside.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) give_up(error);
}

}  // namespace

struct Exposition::Parts {
    std::string textfile;
    std::shared_ptr<LastRound> last = std::make_shared<LastRound>();
    std::unique_ptr<prometheus::Exposer> endpoint;
};

Exposition::Exposition(const std::string& listen, const std::string& textfile) : parts_(std::make_unique<Parts>()) {
    parts_->textfile = textfile;
    if (!textfile.empty() && access(textfile.substr(0, textfile.rfind('/') + 1).append(".").c_str(), W_OK) != 0)
        throw Trouble(fmt::format("--textfile {}: it cannot be written: {}", textfile, std::strerror(errno)));
    if (listen.empty()) return;
    parts_->endpoint = endpoint_at(listen);
    parts_->endpoint->RegisterCollectable(parts_->last);
}

Exposition::~Exposition() = default;

void Exposition::publish(const Host& host, const Totals& totals, const OwnCost& cost, bool rescues) {
    Families families = families_of(host, totals, cost, rescues);
    std::string text;
    if (!parts_->textfile.empty()) text = prometheus::TextSerializer().Serialize(families);
    parts_->last->set(std::move(families));
    if (!parts_->textfile.empty()) write_by_renaming(parts_->textfile, text);
}

bool Exposition::is_there() {
    return true;
}

}  // namespace unknot::cli
