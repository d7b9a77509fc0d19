// SPDX-License-Identifier: Apache-2.0
// What happens, as lines: for people on stderr, each with its time, and as JSON on stdout where that is wanted.
#pragma once

#include <string>

#include "cli/watch/host.h"
#include "cli/watch/own_cost.h"
#include "cli/watch/rescues.h"

namespace unknot::cli {

class Events {
  public:
    explicit Events(bool json) : json_(json) {}

    void say(const std::string& text) const;  // to people alone
    void judged(const Watched& process) const;
    void ended(const Watched& process) const;
    // `report`: the file that was written, or empty. `will_be_rescued`: so that the line need not say what would help.
    void deadlocked(const Watched& process, const std::string& report, bool will_be_rescued) const;
    void rescued(const Examination& found, const RescueTried& tried) const;
    void round(const Host& host, const OwnCost& cost) const;

  private:
    bool json_;
};

}  // namespace unknot::cli
