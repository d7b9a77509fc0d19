// SPDX-License-Identifier: Apache-2.0
#include "cli/read/witnesses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <iterator>

namespace unknot::cli {

std::string printable(const char* text, std::size_t most) {
    std::string result(text, strnlen(text, most));
    for (char& c : result)
        if (std::isprint(static_cast<unsigned char>(c)) == 0) c = '?';
    return result;
}

std::string Witness::place() const {
    return object.empty() ? fmt::format("{:#x}", address) : fmt::format("{}+{:#x}", object, offset);
}

std::string Witness::describe() const {
    return function.empty() ? place() : fmt::format("{} in {}", function, place());
}

std::vector<Witness> witnesses_in(const WitnessRecord (&records)[witness_records]) {
    std::vector<Witness> found;
    for (const WitnessRecord& record : records) {
        if (record.count == 0) continue;
        // Two threads that came from one place at the same moment may have taken a record each.
        const auto same = std::find_if(found.begin(), found.end(), [&](const Witness& each) {
            return each.address == record.address && each.offset == record.offset;
        });
        if (same != found.end())
            same->count += record.count;
        else
            found.push_back(
                {printable(record.object, sizeof record.object), "", record.address, record.offset, record.count});
    }
    std::stable_sort(found.begin(), found.end(), [](const Witness& a, const Witness& b) { return a.count > b.count; });
    return found;
}

void name_places(std::vector<Witness>& witnesses, const Objects& objects) {
    for (Witness& each : witnesses) {
        const Object* object = objects.containing(each.address - 1);  // a return address: the call lies before it
        if (object == nullptr) continue;
        const std::uint64_t offset = each.address - object->bias;
        if (each.object.empty())
            each.object = object->name(), each.offset = offset;
        else if (each.offset != offset)
            continue;  // another one lies there now
        if (object->file == nullptr || object->deleted) continue;
        if (const auto symbol = object->file->covering(offset - 1)) each.function = readable(symbol->name);
    }
}

std::vector<ObjectCount> by_object(const std::vector<Witness>& witnesses) {
    std::vector<ObjectCount> found;
    for (const Witness& each : witnesses) {
        const std::string name = each.object.empty() ? "unknown" : each.object;
        const auto same =
            std::find_if(found.begin(), found.end(), [&](const ObjectCount& other) { return other.object == name; });
        if (same != found.end())
            same->count += each.count;
        else
            found.push_back({name, each.count});
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const ObjectCount& a, const ObjectCount& b) { return a.count > b.count; });
    return found;
}

std::string describe(const std::vector<ObjectCount>& objects) {
    constexpr std::size_t most_named = 3;
    double all = 0;
    for (const ObjectCount& each : objects) all += static_cast<double>(each.count);
    std::string text;
    for (std::size_t i = 0; i < std::min(objects.size(), most_named); ++i)
        fmt::format_to(std::back_inserter(text), "{}{} {} calls ({:.0f} %)", i == 0 ? "" : ", ", objects[i].object,
                       objects[i].count, 100 * static_cast<double>(objects[i].count) / all);
    return text;
}

}  // namespace unknot::cli
