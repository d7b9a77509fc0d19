// SPDX-License-Identifier: Apache-2.0
// gperftools' stack-trace method of one process: the one in force, read from its memory where that works.
#pragma once

#include "cli/judge/allocator_facts.h"

namespace unknot::cli {

MethodTable method_table_of(const Process& process, const Object& allocator);

// Sets evidence.stack_method, method_source, knows_generic_fp and knows_libgcc.
void find_stack_method(const Process* process, const Object& allocator, const Environment& environment,
                       AllocatorFacts& facts);

}  // namespace unknot::cli
