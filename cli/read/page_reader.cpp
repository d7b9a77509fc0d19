// SPDX-License-Identifier: Apache-2.0
// The one reader of the page. The bytes are somebody else's: nothing is used before it was checked.
#include "cli/read/page_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

constexpr std::size_t header_bytes = offsetof(StatsPage, walks);
constexpr std::size_t most_page_bytes = std::size_t{1} << 20;

enum KindOfCounter { counter, gauge };

}  // namespace

const std::vector<CounterRow>& counter_rows() {
    static const std::vector<CounterRow> rows = {
#define UNKNOT_ROW(name, unit, kind, help) {#name, unit, (kind) == gauge, help, &StatsPage::name},
        UNKNOT_COUNTERS(UNKNOT_ROW)
#undef UNKNOT_ROW
    };
    return rows;
}

PageReading understand_page(const void* bytes, std::size_t size) {
    PageReading reading;
    if (size < header_bytes) throw Trouble(fmt::format("the statistics page is only {} bytes long", size));
    StatsPage& page = reading.page;
    std::memcpy(&page, bytes, header_bytes);
    if (std::memcmp(page.magic, stats_magic, sizeof stats_magic) != 0) {
        const bool blank = std::all_of(std::begin(page.magic), std::end(page.magic), [](char c) { return c == 0; });
        throw Trouble(blank ? "the shim in this process has not started: its statistics page is still blank"
                            : "what lies at unknot_stats is not a statistics page: its first bytes are not UNKNOT");
    }
    if (page.version == 0 || page.size < header_bytes || page.size > most_page_bytes)
        throw Trouble(fmt::format("the statistics page makes no sense: version {}, size {}", page.version, page.size));
    if (page.version > stats_version || page.size > sizeof(StatsPage) || page.counters > stats_counters)
        reading.notes.push_back(
            fmt::format("the shim is newer than this command (page version {}, {} bytes, {} counters): "
                        "what this command does not know is not shown",
                        page.version, page.size, page.counters));
    if (page.size < sizeof(StatsPage) || page.counters < stats_counters)
        reading.notes.push_back(
            fmt::format("the shim is older than this command (page of {} bytes, {} counters): "
                        "what it does not count is left out",
                        page.size, page.counters));
    const std::size_t known = std::min<std::size_t>({page.size, sizeof(StatsPage), size});
    std::memcpy(&page, bytes, known);
    // A counter is there when the writer says so and its page is long enough for it.
    page.counters = std::min({page.counters, stats_counters, static_cast<std::uint32_t>((known - header_bytes) / 8)});
    // Every thread publishes its share of a gauge when it is its turn: what one has freed may be told before another
    // has told that it had allocated it. Their sum is below zero then, which an unsigned field shows as nearly 2^64.
    for (const CounterRow& row : counter_rows())
        if (row.is_gauge && static_cast<std::int64_t>(page.*row.field) < 0) page.*row.field = 0;
    reading.library_version = printable(page.library_version, sizeof page.library_version);
    if (known < offsetof(StatsPage, inside_allocator))
        std::memset(static_cast<void*>(page.under_loader_lock), 0, sizeof page.under_loader_lock);
    if (known < sizeof(StatsPage))
        std::memset(static_cast<void*>(page.inside_allocator), 0, sizeof page.inside_allocator);
    reading.under_loader_lock = witnesses_in(page.under_loader_lock);
    reading.inside_allocator = witnesses_in(page.inside_allocator);
    return reading;
}

std::optional<PageReading> read_page(const Process& process, const Objects& objects) {
    const Object* shim = objects.first_exporting("unknot_stats");
    if (shim == nullptr) return std::nullopt;
    const auto symbol = shim->file->defined("unknot_stats");
    // Readers and writers may differ in how much of the page they have.
    const std::size_t size = std::min<std::size_t>(symbol->size, sizeof(StatsPage));
    if (size < header_bytes)
        throw Trouble(fmt::format("unknot_stats in {} is too small to be a statistics page", shim->path));
    PageReading place;
    place.library = shim->path;
    place.address = shim->bias + symbol->address;
    place.bytes = size;
    PageReading reading = read_page_again(process, place);
    name_places(reading.under_loader_lock, objects);
    name_places(reading.inside_allocator, objects);
    return reading;
}

PageReading read_page_again(const Process& process, const PageReading& before) {
    StatsPage bytes{};
    const std::size_t size = std::min(before.bytes, sizeof bytes);
    if (!process.read(before.address, &bytes, size)) {
        process.expect_still_the_same();
        if (!process.denied().empty())
            throw NotPermitted(
                fmt::format("cannot read the memory of process {}: {}", process.pid(), process.denied()));
        throw Trouble(fmt::format("the statistics page of process {} could not be read", process.pid()));
    }
    process.expect_still_the_same();
    PageReading reading = understand_page(&bytes, size);
    reading.library = before.library;
    reading.address = before.address;
    reading.bytes = size;
    if (reading.page.pid != 0 && reading.page.pid != static_cast<std::uint32_t>(process.inner_pid()))
        reading.notes.push_back(
            fmt::format("the page was written by process {}, of which this one is a copy (fork)", reading.page.pid));
    return reading;
}

std::string name_of(Mode mode) {
    switch (mode) {
        case Mode::automatic:
            return "auto";
        case Mode::protect:
            return "protect";
        case Mode::observe:
            return "observe";
        case Mode::off:
            return "off";
        case Mode::pass_through:
            return "pass_through";
        case Mode::walks:
            return "walks";
    }
    return "unknown";
}

std::string name_of(Probe probe) {
    switch (probe) {
        case Probe::none:
            return "none";
        case Probe::owner_words:
            return "owner_words";
        case Probe::wrapper:
            return "wrapper";
    }
    return "unknown";
}

std::string name_of(WalkMode mode) {
    switch (mode) {
        case WalkMode::native:
            return "native";
        case WalkMode::nonblocking:
            return "nonblocking";
    }
    return "unknown";
}

std::string verdict_of_witness(const PageReading& reading) {
    if (reading.both_edges_seen()) return "both edges seen: this process can deadlock";
    if (reading.page.mode != Mode::observe) return "not looked for: that is mode observe";
    if (!reading.under_loader_lock.empty())
        return "one edge seen: it allocates under a loader lock; no walk from inside the allocator so far";
    if (!reading.inside_allocator.empty())
        return "one edge seen: the allocator walks the loaded objects; nobody allocated under a loader lock so far";
    return "no edge seen";
}

}  // namespace unknot::cli
