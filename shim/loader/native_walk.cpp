// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/native_walk.h"

#include <atomic>

#include "shim/allocator/real_allocator.h"
#include "shim/system/libc_functions.h"

namespace unknot {

namespace {

using Walk = int (*)(int (*)(dl_phdr_info*, std::size_t, void*), void*);

// Relaxed, everywhere: whoever comes first stores what everybody else would.
constinit std::atomic<Walk> native{nullptr};

Walk find() {
    Walk walk = native.load(std::memory_order_relaxed);
    if (walk != nullptr) return walk;
    walk = past_wrappers("dl_iterate_phdr", real_allocator.dl_iterate_phdr);
    native.store(walk, std::memory_order_relaxed);
    return walk;
}

}  // namespace

int native_walk(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
    return find()(callback, data);
}

bool is_walk_wrapped() {
    return real_allocator.dl_iterate_phdr != find();
}

}  // namespace unknot
