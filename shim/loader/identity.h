// SPDX-License-Identifier: Apache-2.0
// Which allocator do our calls go on to, and are our own functions the ones that the program reaches? Evidence gathered
// once at start from the loaded objects; policy/allocator.h draws the conclusion.
#pragma once

#include "policy/allocator.h"

namespace unknot {

enum class Position : std::uint8_t {
    on_path,         // malloc resolves to the shim
    behind_program,  // the executable defines malloc itself
    behind_preload,  // another preloaded object comes first
};

struct Identity {
    AllocatorEvidence evidence;
    Position position = Position::on_path;
    char malloc_owner[128] = {};  // file that the program's malloc comes from, when that is not the shim
};

// Walks the loaded objects once and calls malloc and free once. Also notes the ranges of inner_code.h. Before the hot
// path opens.
Identity identify_process();

}  // namespace unknot
