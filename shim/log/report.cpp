// SPDX-License-Identifier: Apache-2.0
#include "shim/log/report.h"

#include <stdlib.h>

#include "shim/log/log_output.h"
#include "shim/system/line.h"

namespace unknot::report {

namespace {

void write(Line& line) {
    log_output::write(line.text(), line.size());
}

const char* name(Mode mode) {
    constexpr const char* names[] = {"auto", "protect", "observe", "off", "pass_through", "walks"};
    return names[static_cast<std::size_t>(mode)];
}
const char* name(Probe probe) {
    constexpr const char* names[] = {"none", "owner_words", "wrapper"};
    return names[static_cast<std::size_t>(probe)];
}
const char* name(AllocatorKind kind) {
    constexpr const char* names[] = {"unknown",        "glibc",    "tcmalloc", "tcmalloc_minimal",
                                     "tcmalloc_debug", "jemalloc", "mimalloc"};
    return names[static_cast<std::size_t>(kind)];
}
const char* name(WalkMode mode) {
    return mode == WalkMode::native ? "native" : "nonblocking";
}

void add_place(Line& line, const WitnessRecord& record) {
    line << (record.object[0] != '\0' ? record.object : "?") << "+";
    line.hex(record.object[0] != '\0' ? record.offset : record.address);
}

unsigned edges(const WitnessRecord (&records)[witness_records], const char* edge) {
    unsigned seen = 0;
    for (const WitnessRecord& record : records) {
        if (record.count == 0) continue;
        ++seen;
        Line line;
        line << edge << " count=" << record.count << " at ";
        add_place(line, record);
        write(line);
    }
    return seen;
}

void add_busiest(Line& line, const WitnessRecord (&records)[witness_records]) {
    const WitnessRecord* most = records;
    for (const WitnessRecord& record : records)
        if (record.count > most->count) most = &record;
    if (most->count == 0) return;
    line << " busiest_caller=";
    add_place(line, *most);
    line << " busiest_caller_calls=" << most->count;
}

}  // namespace

void bad_setting(const BadSetting& bad) {
    Line line;
    line << bad.variable << "=";
    line.shortened(bad.value) << " is not understood: expected " << bad.accepted << "; using " << bad.fallback;
    write(line);
}

void walks_only() {
    Line line;
    line << "libunknot_walks.so knows no other mode than auto, walks and off; this process is protected by its walks "
            "alone "
            "(mode=walks); libunknot.so in its place protects allocations too";
    write(line);
}

namespace {
const char* what_is_left(Mode mode) {
    return mode == Mode::walks ? "; this process is protected by its walks alone (mode=walks)"
                               : "; this process runs as without unknot";
}
}  // namespace

void not_on_path(const char* owner, Mode left) {
    Line line;
    line << "not on the path: " << owner << " defines malloc itself, before any preload" << what_is_left(left);
    write(line);
}

void wrong_order(const char* allocator, Mode left) {
    Line line;
    line << "wrong order: " << allocator << " comes before libunknot.so; put libunknot.so first in LD_PRELOAD"
         << what_is_left(left);
    write(line);
}

void calls_redirected() {
    Line line;
    line
        << "not on the path: calls of malloc are redirected before they arrive (valgrind does that); this process runs "
           "as without unknot";
    write(line);
}

void beside_sanitizer(const char* runtime) {
    Line line;
    line << "standing aside: " << runtime
         << " keeps account of every block itself, and cannot see into an arena; this process runs as without unknot";
    write(line);
}

void no_real_allocator() {
    Line line;
    line << "no object after libunknot.so defines malloc; nothing can be allocated";
    write(line);
    abort();
}

void missing_vendor(const char* object, const char* function) {
    Line line;
    line << object << " is preloaded, but no object after it defines " << function
         << ": it belongs beside that allocator only; preload it between libunknot.so and the allocator, or not at all";
    write(line);
}

void missing_function(const char* function) {
    Line line;
    line << function << " was called, and the allocator has no such function; nothing can be returned";
    write(line);
    abort();
}

void calibration_failed(const char* reason) {
    Line line;
    line << "the loader's locks were not found (" << reason
         << "): only dl_iterate_phdr walks are protected (probe=wrapper), dlopen and dlclose are not";
    write(line);
}

void no_snapshot() {
    Line line;
    line << "no memory for the list of loaded objects: walks from inside the allocator wait for the loader";
    write(line);
}

void no_exit_hook() {
    Line line;
    line << "no thread-specific key is free: what a thread holds when it ends is kept until the process ends";
    write(line);
}

void another_libc() {
    Line line;
    line
        << "passing through: this libc is not glibc, so its loader's locks are not known; this process runs as without "
           "unknot";
    write(line);
}

void static_reserve(std::size_t bytes) {
    Line line;
    line << "no address space for the arena: using the static reserve of " << bytes << " bytes";
    write(line);
}

void statistics(const StatsPage& page) {
    Line line;
    line << "report mode=" << name(page.mode) << " probe=" << name(page.probe) << " allocator=" << name(page.allocator)
         << " walk=" << name(page.walk_mode);
    line << " flags=" << std::uint64_t{page.flags};
#define UNKNOT_PRINT(counter, unit, kind, help) line << " " #counter "=" << page.counter;
    UNKNOT_COUNTERS(UNKNOT_PRINT)
#undef UNKNOT_PRINT
    add_busiest(line, page.under_loader_lock);
    write(line);
    if (page.mode != Mode::observe) return;
    const unsigned under = edges(page.under_loader_lock, "under_loader_lock");
    const unsigned inside = edges(page.inside_allocator, "inside_allocator");
    Line verdict;
    if (under != 0 && inside != 0) {
        verdict << "verdict: both edges seen: this process can deadlock";
    } else if (under + inside != 0) {
        verdict << "verdict: one edge seen: "
                << (under != 0 ? "allocations under a loader lock" : "walks inside the allocator")
                << ", but not the other";
    } else {
        verdict << "verdict: no edge seen";
    }
    write(verdict);
}

void double_free(const void* block, std::size_t bytes, const char* operation) {
    Line line;
    line << "double free of arena block " << block;
    if (bytes != 0) line << " (" << std::uint64_t{bytes} << " bytes)";
    line << " in " << operation;
    write(line);
    abort();
}

void not_a_block(const void* block, const char* operation) {
    Line line;
    line << operation << " of " << block
         << ", which lies in the arena but is no block of it: an interior or foreign pointer, or its header was "
            "overwritten";
    write(line);
    abort();
}

void cannot_throw(std::size_t bytes) {
    Line line;
    line << "operator new of " << std::uint64_t{bytes}
         << " bytes failed, and no C++ runtime was found to throw std::bad_alloc";
    write(line);
    abort();
}

}  // namespace unknot::report
