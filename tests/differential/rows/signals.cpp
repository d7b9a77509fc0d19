// SPDX-License-Identifier: Apache-2.0
// A handler may unwind, walk or jump at every instruction of the loader and of the shim.
#include "tests/differential/victim.h"

namespace unknot::differential {

namespace {

// A recursive lock's owner word is cleared before the lock is free: a walk by a handler that interrupts just there
// waits for its own thread.
const std::vector<Except> between_owner_and_lock = {{"", "the handler interrupts the release of the loader's lock"}};

Victim sampled(const char* name, const char* by, const char* while_it, const char* samples = "1000") {
    return {
        .name = name, .argv = {"sampled", by, while_it, samples}, .may_break = between_owner_and_lock, .cured = true};
}

// A handler's walk that is no unwinder's may rely on the lock, so it waits for it, as bare: there too.
Victim walked(const char* name, const char* while_it) {
    Victim victim = sampled(name, "walk", while_it);
    victim.cured = false;
    return victim;
}

// libunwind's lock and the loader's, in both orders.
Victim sampled_threads(const char* name, const char* while_they) {
    return {.name = name,
            .argv = {"sampled_threads", while_they, "2000"},
            .may_break = {{"", "a handler wants libunwind's lock while its thread has the loader's"}},
            .cured = true};
}

Victim likely(Victim victim) {
    victim.likely = true;
    return victim;
}

// libgcc looks its tables up without a lock (glibc 2.35): nothing may hang.
Victim by_libgcc(const char* name, const char* while_it) {
    return {.name = name, .argv = {"sampled", "libgcc", while_it, "1000"}};
}

}  // namespace

std::vector<Victim> signal_rows() {
    return {
        likely(by_libgcc("libgcc_samples_load", "load")),
        by_libgcc("libgcc_samples_failing_load", "load_failing"),
        by_libgcc("libgcc_samples_throw", "throw"),
        by_libgcc("libgcc_samples_fork", "fork"),
        by_libgcc("libgcc_samples_thread", "thread"),
        by_libgcc("libgcc_samples_walk", "walk_allocating"),
        by_libgcc("libgcc_samples_constructor", "constructor"),
        likely(sampled("libunwind_samples_load", "libunwind", "load")),
        sampled("libunwind_samples_failing_load", "libunwind", "load_failing"),
        sampled("libunwind_samples_throw", "libunwind", "throw"),
        sampled("libunwind_samples_fork", "libunwind", "fork"),
        sampled("libunwind_samples_thread", "libunwind", "thread"),
        sampled("libunwind_samples_walk", "libunwind", "walk_allocating"),
        sampled("libunwind_samples_constructor", "libunwind", "constructor"),
        likely(walked("handler_walks_in_load", "load")),
        {.name = "handler_reads_headers_in_load",
         .argv = {"sampled", "headers", "load", "1000"},
         .may_break = {{"", "dlclose unmaps before it unlinks", Breaks::fails}}},
        walked("handler_walks_in_failing_load", "load_failing"),
        walked("handler_walks_in_constructor", "constructor"),
        walked("handler_walks_in_throw", "throw"),
        sampled_threads("threads_sampled_in_walks", "walk"),
        likely(sampled_threads("threads_sampled_in_allocating_walks", "walk_allocating")),
        sampled_threads("threads_sampled_in_loads", "load"),
        sampled_threads("threads_sampled_in_throws", "throw"),
        {.name = "handler_looks_up_in_walk",
         .argv = {"sampled", "address", "walk_allocating", "1000"},
         .may_break = between_owner_and_lock},
        // The stack traces of libprofiler come from libunwind here; what it says at its end counts its samples.
        {.name = "profiler_beside_loads",
         .argv = {"keeps_loading", "800"},
         .behind = {"libprofiler.so.0"},
         .environment = {{"CPUPROFILE", "/tmp/unknot_differential_%a_profile"}, {"CPUPROFILE_FREQUENCY", "1000"}},
         .compares_errors = false,
         .may_break = between_owner_and_lock,
         .cured = true,
         .likely = true,
         .files = {"/tmp/unknot_differential_%a_profile"}},
        {.name = "allocators_profiler_beside_loads",
         .argv = {"keeps_loading", "800"},
         .behind = {"libtcmalloc_and_profiler.so.4"},
         .environment = {{"CPUPROFILE", "/tmp/unknot_differential_profile_2"}, {"CPUPROFILE_FREQUENCY", "1000"}},
         .compares_errors = false,
         .leaves_out = {{"tcmalloc", "it is the allocator itself: glibc's row has it"},
                        {"tcmalloc_minimal", "as tcmalloc"},
                        {"jemalloc", "as tcmalloc"},
                        {"jemalloc_prof", "as tcmalloc"},
                        {"mimalloc", "as tcmalloc"}},
         .may_break = between_owner_and_lock,
         .cured = true,
         .files = {"/tmp/unknot_differential_profile_2"}},
        {.name = "callback_jumps_out", .argv = {"jumps_out", "callback"}, .likely = true},
        {.name = "constructor_jumps_out", .argv = {"jumps_out", "constructor"}},
        {.name = "thread_ends_in_walk", .argv = {"jumps_out", "thread"}},
        {.name = "handler_forks_in_load", .argv = {"sampled", "fork", "load", "100"}},
        {.name = "handler_forks_in_walk", .argv = {"sampled", "fork", "walk_allocating", "100"}},
        {.name = "handler_jumps_out", .argv = {"jumps_out", "handler"}},
        {.name = "handler_leaves_its_stack", .argv = {"handler_stack"}},
    };
}

}  // namespace unknot::differential
