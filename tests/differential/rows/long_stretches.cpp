// SPDX-License-Identifier: Apache-2.0
// Whatever a thread does under a loader lock, for however long: as much memory as bare.
#include "tests/differential/victim.h"

namespace unknot::differential {

namespace {

const std::vector<Except> two_locks_meet = {{"tcmalloc", "it unwinds under its lock"},
                                            {"jemalloc_prof", "it unwinds under its lock"}};

Victim stretch(const char* name, const char* where, const char* shape) {
    return {.name = name, .argv = {"stretch", where, shape}};
}

// Another thread's stack trace waits for the walk, and the walk for that thread.
Victim waits_for_others(const char* name, const char* shape) {
    return {.name = name, .argv = {"stretch", "walk", shape}, .may_break = two_locks_meet, .cured = true};
}

Victim likely(Victim victim) {
    victim.likely = true;
    return victim;
}

}  // namespace

std::vector<Victim> long_stretch_rows() {
    return {
        stretch("constructor_pairs", "constructor", "pairs"),
        likely(stretch("constructor_lru", "constructor", "lru")),
        likely(stretch("constructor_keep", "constructor", "keep")),
        likely(stretch("constructor_consumer", "constructor", "consumer")),
        stretch("constructor_producer", "constructor", "producer"),
        likely(stretch("constructor_resize", "constructor", "resize")),
        stretch("constructor_large", "constructor", "large"),
        stretch("constructor_news", "constructor", "news"),
        stretch("constructor_zeroed", "constructor", "zeroed"),
        stretch("constructor_threads", "constructor", "threads"),
        stretch("constructor_replace", "constructor", "replace"),
        stretch("destructor_consumer", "destructor", "consumer"),
        stretch("destructor_lru", "destructor", "lru"),
        stretch("destructor_replace", "destructor", "replace"),
        stretch("callback_pairs", "walk", "pairs"),
        stretch("callback_keep", "walk", "keep"),
        stretch("callback_lru", "walk", "lru"),
        stretch("callback_resize", "walk", "resize"),
        stretch("callback_large", "walk", "large"),
        waits_for_others("callback_producer", "producer"),
        waits_for_others("callback_consumer", "consumer"),
        stretch("callback_replace", "walk", "replace"),
        {.name = "constructor_beside_walks",
         .argv = {"stretch", "constructor", "beside_walks"},
         .may_break = two_locks_meet,
         .cured = true,
         .likely = true},
        {.name = "unload_of_small_blocks", .argv = {"unloads_millions", "24"}, .likely = true},
        {.name = "unload_of_blocks", .argv = {"unloads_millions", "100"}},
    };
}

}  // namespace unknot::differential
