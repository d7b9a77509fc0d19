// SPDX-License-Identifier: Apache-2.0
// The process starts, works and ends as behind an interposer that only jumps on, whatever else is preloaded.
#include "tests/differential/victim.h"

namespace unknot::differential {

namespace {

Victim before(const char* name, const char* preload, const char* program) {
    return {.name = name, .argv = {program}, .before = {preload}};
}
Victim behind(const char* name, const char* preload, const char* program) {
    return {.name = name, .argv = {program}, .behind = {preload}};
}
Victim without_null(Victim victim, const char* why) {
    victim.null_breaks = why;
    return victim;
}
Victim likely(Victim victim) {
    victim.likely = true;
    return victim;
}

// What only glibc's own malloc knows.
Victim glibc_alone(Victim victim, const char* why) {
    for (const char* other : {"tcmalloc", "tcmalloc_minimal", "jemalloc", "jemalloc_prof", "mimalloc"})
        victim.leaves_out.push_back({other, why});
    return victim;
}

Victim debugged(const char* name, const char* program, bool in_front, int status = 0) {
    Victim victim{.name = name, .argv = {program}, .status = status, .likely = true};
    victim.environment = {{"MALLOC_CHECK_", "3"}, {"MALLOC_TRACE", std::string("/tmp/unknot_differential_") + name}};
    (in_front ? victim.before : victim.behind) = {"libc_malloc_debug.so.0"};
    victim.null_breaks = "it finds libc's malloc: what libc_malloc_debug exports has a hidden version";
    victim.files = {std::string("/tmp/unknot_differential_") + name};
    return glibc_alone(victim, "libc_malloc_debug is glibc's malloc, debugged");
}

Victim audited(const char* name, std::vector<std::string> argv) {
    return {.name = name,
            .argv = std::move(argv),
            .environment = {{"LD_AUDIT", built("audits.so")}},
            .leaves_out = {{"jemalloc", "an audited process has no room for its thread-local storage"},
                           {"jemalloc_prof", "an audited process has no room for its thread-local storage"}}};
}

Victim leaving_out(std::vector<const char*> allocators, const char* why, Victim victim) {
    for (const char* allocator : allocators) victim.leaves_out.push_back({allocator, why});
    return victim;
}
constexpr const char* locks_a_mutex = "it allocates where it takes a mutex of its own";
constexpr const char* makes_a_key = "it makes a key in its first allocation";
constexpr const char* maps_under_lock = "it maps memory under its own lock";
const std::vector<const char*> jemallocs = {"jemalloc", "jemalloc_prof"};
const std::vector<const char*> all_that_map_under_a_lock = {"tcmalloc", "tcmalloc_minimal", "jemalloc", "jemalloc_prof",
                                                            "mimalloc"};

constexpr const char* looks_up_in_malloc = "its first malloc looks up the next, and that allocates";

const std::vector<Except> two_locks_meet = {{"tcmalloc", "it unwinds under its lock"},
                                            {"jemalloc_prof", "it unwinds under its lock"}};

}  // namespace

std::vector<Victim> start_rows() {
    return {
        leaving_out(jemallocs, locks_a_mutex,
                    before("true_behind_allocating_locks", "allocates_in_locks", "/bin/true")),
        leaving_out(jemallocs, locks_a_mutex,
                    behind("true_before_allocating_locks", "allocates_in_locks", "/bin/true")),
        likely(leaving_out(jemallocs, locks_a_mutex,
                           before("starts_behind_allocating_locks", "allocates_in_locks", "starts"))),
        likely(leaving_out(jemallocs, locks_a_mutex,
                           behind("starts_before_allocating_locks", "allocates_in_locks", "starts"))),
        before("starts_behind_walking_locks", "walks_in_locks", "starts"),
        behind("starts_before_walking_locks", "walks_in_locks", "starts"),
        without_null(before("starts_behind_allocating_dlsym", "allocates_in_dlsym", "starts"), looks_up_in_malloc),
        likely(
            without_null(behind("starts_before_allocating_dlsym", "allocates_in_dlsym", "starts"), looks_up_in_malloc)),
        before("starts_behind_allocating_walks", "allocates_in_walks", "starts"),
        likely(behind("starts_before_allocating_walks", "allocates_in_walks", "starts")),
        before("starts_behind_static_walks", "walks_through_a_static", "starts"),
        likely(behind("starts_before_static_walks", "walks_through_a_static", "starts")),
        behind("sees_objects_before_static_walks", "walks_through_a_static", "sees_objects"),
        leaving_out(all_that_map_under_a_lock, maps_under_lock,
                    before("starts_behind_allocating_mmap", "allocates_in_mmap", "starts")),
        leaving_out(all_that_map_under_a_lock, maps_under_lock,
                    behind("starts_before_allocating_mmap", "allocates_in_mmap", "starts")),
        leaving_out(jemallocs, makes_a_key,
                    before("starts_behind_allocating_threads", "allocates_in_threads", "starts")),
        leaving_out(jemallocs, makes_a_key,
                    behind("starts_before_allocating_threads", "allocates_in_threads", "starts")),

        glibc_alone({.name = "true_before_efence",
                     .argv = {"/bin/true"},
                     .behind = {"libefence.so.0"},
                     .environment = {{"EF_ALLOW_MALLOC_0", "1"}},
                     .compares_errors = false,
                     .likely = true},
                    "efence is the allocator"),
        glibc_alone({.name = "starts_before_efence",
                     .argv = {"starts"},
                     .behind = {"libefence.so.0"},
                     .environment = {{"EF_ALLOW_MALLOC_0", "1"}},
                     .compares_errors = false},
                    "efence is the allocator"),

        debugged("overflow_before_malloc_debug", "overflows", false, -6),
        debugged("overflow_behind_malloc_debug", "overflows", true, -6),
        debugged("trace_before_malloc_debug", "traces", false),
        debugged("trace_behind_malloc_debug", "traces", true),
        // What must come before the first malloc of all finds no call of the shim's there.
        debugged("probe_before_malloc_debug", "probes", false),
        debugged("probe_behind_malloc_debug", "probes", true),
        debugged("heap_image_before_malloc_debug", "heap_image", false),
        debugged("heap_image_behind_malloc_debug", "heap_image", true),

        glibc_alone({.name = "deep_plugins", .argv = {"deep_plugins"}, .likely = true},
                    "a deeply bound plug-in frees with libc what it has from them, without the shim"),

        {.name = "early_walks",
         .argv = {"early_walks"},
         .memory = false,
         .may_break = two_locks_meet,
         .cured = true,
         .likely = true},
        {.name = "other_space", .argv = {"other_space"}},
        {.name = "late_exit", .argv = {"late_exit"}},
        glibc_alone({.name = "leak_free", .argv = {"leak_free"}, .null_breaks = looks_up_in_malloc, .likely = true},
                    "it would take the sanitizer's place"),
        glibc_alone({.name = "leaky",
                     .argv = {"leaky"},
                     .status = 23,
                     .compares_errors = false,
                     .null_breaks = looks_up_in_malloc},
                    "it would take the sanitizer's place"),
        {.name = "takes_keys", .argv = {"takes_keys"}, .output = Output::same_when_off, .likely = true},

        {.name = "meets",
         .argv = {"meets", "everything_allowed"},
         .may_break = two_locks_meet,
         .cured = true,
         .likely = true},
        {.name = "meets_with_few_calls",
         .argv = {"meets", "allow_list"},
         .leaves_out = {{"mimalloc", "it asks the kernel for random numbers, which the list leaves out"}},
         .may_break = two_locks_meet,
         .cured = true,
         .likely = true},
        {.name = "meets_without_ipc", .argv = {"meets", "without_ipc"}, .may_break = two_locks_meet, .cured = true},

        audited("audited_start", {"starts"}),
        audited("audited_walks", {"sees_objects"}),
        audited("audited_forks", {"fork_beside", "walk", "fork", "nothing"}),
    };
}

}  // namespace unknot::differential
