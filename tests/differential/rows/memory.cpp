// SPDX-License-Identifier: Apache-2.0
// What is allocated in walks costs what it holds.
#include "tests/differential/victim.h"

namespace unknot::differential {

namespace {

Victim shape(const char* name) {
    return {.name = name, .argv = {"walk_memory", std::string_view(name).substr(5).data()}};
}

Victim likely(Victim victim) {
    victim.likely = true;
    return victim;
}

const std::vector<Except> all_but_mimalloc = {{"tcmalloc", "the functions are mimalloc's"},
                                              {"tcmalloc_minimal", "the functions are mimalloc's"},
                                              {"jemalloc", "the functions are mimalloc's"},
                                              {"jemalloc_prof", "the functions are mimalloc's"},
                                              {"glibc", "the functions are mimalloc's"}};
const std::vector<Except> all_but_jemalloc = {{"tcmalloc", "the functions are jemalloc's"},
                                              {"tcmalloc_minimal", "the functions are jemalloc's"},
                                              {"mimalloc", "the functions are jemalloc's"},
                                              {"glibc", "the functions are jemalloc's"}};

}  // namespace

std::vector<Victim> memory_rows() {
    return {
        likely(shape("walk_shrink")),
        shape("walk_shrink_in_steps"),
        shape("walk_shrink_later"),
        shape("walk_grow"),
        shape("walk_grow_across_walks"),
        shape("walk_large"),
        shape("walk_large_freed_elsewhere"),
        shape("walk_keep_one"),
        likely(shape("walk_keep_one_between")),
        shape("walk_threads"),
        shape("walk_aligned"),
        shape("walk_free_in_walks"),
        likely(shape("walk_key_destructors")),
        {.name = "dump_size", .argv = {"dump_size"}, .likely = true},
        {.name = "mimalloc_heap_destroy",
         .argv = {"mimalloc_heaps", "destroy"},
         .vendor_doors = true,
         .leaves_out = all_but_mimalloc,
         .likely = true},
        {.name = "mimalloc_heap_delete",
         .argv = {"mimalloc_heaps", "delete"},
         .vendor_doors = true,
         .leaves_out = all_but_mimalloc},
        {.name = "jemalloc_arena_reset",
         .argv = {"jemalloc_arenas", "reset"},
         .vendor_doors = true,
         .leaves_out = all_but_jemalloc},
        {.name = "jemalloc_arena_destroy",
         .argv = {"jemalloc_arenas", "destroy"},
         .vendor_doors = true,
         .leaves_out = all_but_jemalloc,
         .likely = true},
    };
}

}  // namespace unknot::differential
