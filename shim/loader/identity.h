// SPDX-License-Identifier: Apache-2.0
// Which allocator do our calls go on to, and are our own functions the ones that the program reaches? Evidence gathered
// once at start from the loaded objects; policy/allocator.h draws the conclusion.
#pragma once

#include "policy/allocator.h"

namespace unknot {

enum class Position : std::uint8_t {
    on_path,           // malloc resolves to the shim
    behind_program,    // the executable defines malloc itself
    behind_preload,    // another object comes first
    beside_sanitizer,  // on the path, but what comes next keeps account of every block itself
    replaced,          // malloc resolves to the shim, but calls do not arrive there: valgrind redirects them
};

struct Identity {
    AllocatorEvidence evidence;
    Position position = Position::on_path;
    bool walks_arrive = true;     // not if libc's own dl_iterate_phdr comes first
    char malloc_owner[128] = {};  // file that takes the blame for another position
};

// Where nothing is asked for (`off`) it only looks at symbols. Else it walks the loaded objects once, notes the ranges
// of inner_code.h on the way, and asks jemalloc for a setting.
Identity identify_process(Mode asked);

// Does the allocator, as far as identify_process could see, hand out blocks that libc's own free takes?
bool hands_out_libcs_blocks();
// Is this the code of ld.so?
bool is_loader_code(const void* address);

// Does a call of the program's free arrive here? Before the hot path opens.
bool calls_arrive();

}  // namespace unknot
