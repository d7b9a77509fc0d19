// SPDX-License-Identifier: Apache-2.0
// In place of exposition.cpp where prometheus-cpp was not there to build with.
#include "cli/read/trouble.h"
#include "cli/watch/exposition.h"

namespace unknot::cli {

struct Exposition::Parts {};

Exposition::Exposition(const std::string& listen, const std::string& textfile) {
    if (!listen.empty() || !textfile.empty())
        throw Trouble(
            "this command was built without prometheus-cpp: watch has neither --listen nor --textfile; "
            "unknot watch --json works");
}

Exposition::~Exposition() = default;

void Exposition::publish(const Host&, const Totals&, const OwnCost&, bool) {}

bool Exposition::is_there() {
    return false;
}

}  // namespace unknot::cli
