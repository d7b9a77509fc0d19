// SPDX-License-Identifier: Apache-2.0
// Where Prometheus finds the metrics: prometheus-cpp's endpoint, and a file for node_exporter's textfile collector.
#pragma once

#include <memory>
#include <string>

#include "cli/watch/host.h"
#include "cli/watch/own_cost.h"
#include "cli/watch/totals.h"

namespace unknot::cli {

class Exposition {
  public:
    // `listen`: ADDRESS:PORT, `textfile`: a path; empty: without it. Throws Trouble: the port cannot be had, the file
    // cannot be written, or this command was built without prometheus-cpp.
    Exposition(const std::string& listen, const std::string& textfile);
    ~Exposition();
    Exposition(const Exposition&) = delete;
    Exposition& operator=(const Exposition&) = delete;

    // Throws Trouble: the file cannot be written now.
    void publish(const Host& host, const Totals& totals, const OwnCost& cost, bool rescues);

    static bool is_there();  // false: built without prometheus-cpp

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace unknot::cli
