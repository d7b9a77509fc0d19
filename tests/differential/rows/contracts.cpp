// SPDX-License-Identifier: Apache-2.0
// The same answers to the same questions.
#include "tests/differential/victim.h"

namespace unknot::differential {

namespace {

const std::vector<Except> not_mimallocs = {{"tcmalloc", "the function is mimalloc's"},
                                           {"tcmalloc_minimal", "the function is mimalloc's"},
                                           {"jemalloc", "the function is mimalloc's"},
                                           {"jemalloc_prof", "the function is mimalloc's"},
                                           {"glibc", "the function is mimalloc's"}};
const std::vector<Except> not_jemallocs = {{"tcmalloc", "the function is jemalloc's"},
                                           {"tcmalloc_minimal", "the function is jemalloc's"},
                                           {"mimalloc", "the function is jemalloc's"},
                                           {"glibc", "the function is jemalloc's"}};

}  // namespace

std::vector<Victim> contract_rows() {
    return {
        // tcmalloc reports what is too large on stderr, with addresses.
        {.name = "contract_plain", .argv = {"contract", "plain"}, .compares_errors = false},
        {.name = "contract_walk", .argv = {"contract", "walk"}, .compares_errors = false, .likely = true},
        {.name = "contract_constructor", .argv = {"contract", "constructor"}, .compares_errors = false},
        {.name = "zeroes_calloc", .argv = {"zeroes", "calloc"}},
        {.name = "zeroes_mimalloc",
         .argv = {"zeroes", "mimalloc"},
         .vendor_doors = true,
         .leaves_out = not_mimallocs,
         .likely = true},
        {.name = "zeroes_jemalloc",
         .argv = {"zeroes", "jemalloc"},
         .vendor_doors = true,
         .leaves_out = not_jemallocs,
         .likely = true},
        {.name = "sees_objects", .argv = {"sees_objects"}},
    };
}

}  // namespace unknot::differential
