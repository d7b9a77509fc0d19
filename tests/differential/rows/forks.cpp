// SPDX-License-Identifier: Apache-2.0
// No loader lock is held while anybody else's code runs, and a child finds locks that it can take.
#include "tests/differential/victim.h"

namespace unknot::differential {

namespace {

// In prepare these take their own locks: whoever allocates under a lock that fork takes later waits for them, and they
// for that lock.
const std::vector<Except> takes_locks_before_fork = {
    {"tcmalloc", "its fork handlers take its locks first"},
    {"tcmalloc_minimal", "its fork handlers take its locks first"},
    {"jemalloc", "its fork handlers take its locks first"},
    {"jemalloc_prof", "its fork handlers take its locks first"},
};
// libc gives a child its load lock and its TLS lock anew, not its write lock, whose owner may have stayed in the
// parent.
const std::vector<Except> write_lock_stays = {{"", "the write lock's owner stays in the parent"}};
// Nor does it undo an edit of the list of loaded objects.
const std::vector<Except> half_an_edit = {{"", "the child has half an edited list", Breaks::fails}};

}  // namespace

std::vector<Victim> fork_rows() {
    return {
        {.name = "fork_stdio_walk", .argv = {"fork_stdio", "walk"}, .likely = true},
        {.name = "fork_stdio_look_up", .argv = {"fork_stdio", "look_up"}},
        {.name = "fork_stdio_address", .argv = {"fork_stdio", "address"}},
        {.name = "fork_stdio_throw", .argv = {"fork_stdio", "throw"}, .may_break = takes_locks_before_fork},
        // Nothing is unloaded: that needs the lock of libc's list of handlers, which fork owns.
        {.name = "fork_stdio_load_again",
         .argv = {"fork_stdio", "load_again"},
         .may_break = takes_locks_before_fork,
         .likely = true},
        {.name = "fork_stdio_load_failing",
         .argv = {"fork_stdio", "load_failing"},
         .may_break = takes_locks_before_fork},
        {.name = "fork_stdio_walk_allocating",
         .argv = {"fork_stdio", "walk_allocating"},
         .may_break = takes_locks_before_fork},

        {.name = "fork_early_lock_walk", .argv = {"fork_handlers", "early", "lock", "walk"}, .likely = true},
        {.name = "fork_late_lock_walk", .argv = {"fork_handlers", "late", "lock", "walk"}},
        {.name = "fork_both_locks_walk", .argv = {"fork_handlers", "both", "lock", "walk"}},
        {.name = "fork_early_lock_load",
         .argv = {"fork_handlers", "early", "lock", "load"},
         .may_break = takes_locks_before_fork},
        {.name = "fork_late_lock_load", .argv = {"fork_handlers", "late", "lock", "load"}, .likely = true},
        {.name = "fork_late_lock_throw", .argv = {"fork_handlers", "late", "lock", "throw"}},
        {.name = "fork_late_lock_look_up", .argv = {"fork_handlers", "late", "lock", "look_up"}},
        {.name = "fork_late_lock_walk_allocating", .argv = {"fork_handlers", "late", "lock", "walk_allocating"}},

        {.name = "fork_early_handler_walks",
         .argv = {"fork_handlers", "early", "work", "walk"},
         .may_break = write_lock_stays,
         .cured = true,
         .likely = true},
        {.name = "fork_late_handler_walks",
         .argv = {"fork_handlers", "late", "work", "walk"},
         .may_break = write_lock_stays,
         .cured = true},
        {.name = "fork_late_handler_allocates", .argv = {"fork_handlers", "late", "work", "allocate"}},
        {.name = "fork_late_handler_loads",
         .argv = {"fork_handlers", "late", "work", "load"},
         .may_break = write_lock_stays,
         .cured = true},
        {.name = "fork_late_handler_throws", .argv = {"fork_handlers", "late", "work", "throw"}},
        {.name = "fork_late_handler_walks_allocating",
         .argv = {"fork_handlers", "late", "work", "walk_allocating"},
         .may_break = write_lock_stays,
         .cured = true},

        {.name = "fork_beside_walk_ends", .argv = {"fork_beside", "walk", "fork", "nothing"}},
        {.name = "fork_beside_walk_walks",
         .argv = {"fork_beside", "walk", "fork", "walk"},
         .may_break = write_lock_stays,
         .cured = true,
         .likely = true},
        {.name = "fork_beside_walk_allocates", .argv = {"fork_beside", "walk", "fork", "allocate"}},
        {.name = "fork_beside_walk_loads",
         .argv = {"fork_beside", "walk", "fork", "load"},
         .may_break = write_lock_stays,
         .cured = true},
        {.name = "fork_beside_walk_throws", .argv = {"fork_beside", "walk", "fork", "throw"}},
        {.name = "fork_beside_allocating_walk_walks",
         .argv = {"fork_beside", "walk_allocating", "fork", "walk_allocating"},
         .may_break = write_lock_stays,
         .cured = true},
        {.name = "fork_beside_load_ends", .argv = {"fork_beside", "load", "fork", "nothing"}},
        {.name = "fork_beside_load_walks",
         .argv = {"fork_beside", "load", "fork", "walk"},
         .may_break = half_an_edit,
         .cured = true,
         .likely = true},
        {.name = "fork_beside_load_allocates", .argv = {"fork_beside", "load", "fork", "allocate"}},
        {.name = "fork_beside_load_loads",
         .argv = {"fork_beside", "load", "fork", "load"},
         .may_break = half_an_edit,
         .cured = true},
        {.name = "fork_beside_load_throws",
         .argv = {"fork_beside", "load", "fork", "throw"},
         .may_break = half_an_edit},
        {.name = "fork_beside_failing_load_walks",
         .argv = {"fork_beside", "load_failing", "fork", "walk_allocating"},
         .may_break = half_an_edit,
         .cured = true},
        {.name = "raw_fork_beside_walk_walks",
         .argv = {"fork_beside", "walk", "_Fork", "walk"},
         .may_break = write_lock_stays,
         .cured = true,
         .likely = true},
        {.name = "raw_fork_beside_load_walks",
         .argv = {"fork_beside", "load", "_Fork", "walk"},
         .may_break = half_an_edit,
         .cured = true},
        {.name = "clone_beside_walk_walks",
         .argv = {"fork_beside", "walk", "clone", "walk"},
         .may_break = write_lock_stays,
         .cured = true},
        {.name = "vfork_beside_load", .argv = {"fork_beside", "load", "vfork", "nothing", "50"}},
        {.name = "spawn_beside_load", .argv = {"fork_beside", "load", "spawn", "nothing", "50"}},
        {.name = "system_beside_walk", .argv = {"fork_beside", "walk_allocating", "system", "nothing", "15"}},
        {.name = "daemon_beside_walk",
         .argv = {"fork_beside", "walk", "daemon", "walk", "30"},
         .may_break = write_lock_stays,
         .cured = true},

        {.name = "fork_in_walk_ends", .argv = {"fork_inside", "walk", "ends"}},
        {.name = "fork_in_walk_goes_on",
         .argv = {"fork_inside", "walk", "goes_on"},
         .may_break = write_lock_stays,
         .cured = true,
         .likely = true},
        {.name = "fork_in_constructor_ends", .argv = {"fork_inside", "constructor", "ends"}},
        {.name = "fork_in_constructor_goes_on",
         .argv = {"fork_inside", "constructor", "goes_on"},
         .may_break = write_lock_stays,
         .cured = true},
        {.name = "fork_in_handler_ends", .argv = {"fork_inside", "handler", "ends"}},
        {.name = "fork_in_handler_goes_on",
         .argv = {"fork_inside", "handler", "goes_on"},
         .may_break = write_lock_stays,
         .cured = true},

        {.name = "fork_nested",
         .argv = {"fork_nested", "fork"},
         .memory = false,  // a heap grows for as long as the walks take
         .may_break = write_lock_stays,
         .cured = true,
         .likely = true},
        {.name = "fork_nested_raw",
         .argv = {"fork_nested", "mixed"},
         .memory = false,
         .may_break = write_lock_stays,
         .cured = true},
    };
}

}  // namespace unknot::differential
