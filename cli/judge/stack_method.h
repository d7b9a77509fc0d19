// SPDX-License-Identifier: Apache-2.0
// gperftools' stack-trace method of one process: the one in force, read from its memory where that works.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cli/judge/allocator_facts.h"

namespace unknot::cli {

struct MethodTable {
    std::uint64_t variable = 0;                 // where the pointer to the row in force stands; 0: not found
    std::uint64_t in_force = 0;                 // what it points at
    StackMethod method = StackMethod::unknown;  // that row's
    std::map<std::string, std::uint64_t> rows;  // every row, by the method's name as gperftools spells it
};
MethodTable method_table_of(const Process& process, const Object& allocator);

// Sets evidence.stack_method, method_source, knows_generic_fp and knows_libgcc.
void find_stack_method(const Process* process, const Object& allocator, const Environment& environment,
                       AllocatorFacts& facts);

}  // namespace unknot::cli
