// SPDX-License-Identifier: Apache-2.0
// The statistics page as text, JSON and OpenMetrics.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/read/page_reader.h"

namespace unknot::cli {

struct StatRow {
    pid_t pid = 0;
    std::string name;
    PageReading reading;
    // Per second since the last look, by counter; empty: this is the first one.
    std::vector<double> rates;
};

// Who was seen, for text: the most frequent places, and the objects that they are in.
std::vector<std::string> lines_of_witnesses(const PageReading& reading);
std::string text_of(const StatRow& row);
nlohmann::ordered_json json_of_page(const PageReading& reading);
std::string json_of(const std::vector<StatRow>& rows, bool indented);
// The name of the metric family of a counter, as Prometheus wants it: with its unit, and _total where it only grows.
std::string family_of(const CounterRow& counter);
std::string openmetrics_of(const std::vector<StatRow>& rows);

}  // namespace unknot::cli
