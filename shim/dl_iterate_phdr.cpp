// SPDX-License-Identifier: Apache-2.0
// The exported dl_iterate_phdr: the walk as libc makes it, with this thread marked for its length. No clean-up runs
// when a callback throws or jumps out (that would need an unwinder's personality, and this object links libc alone):
// the mark is then too high, and the slow path heals it by the loader's own word.
#include <link.h>

#include "shim/platform.h"
#include "shim/real_allocator.h"
#include "shim/slow_path.h"

namespace unknot {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

extern "C" UNKNOT_EXPORT int dl_iterate_phdr(Callback callback, void* data) {
    ThreadState& thread = thread_state;
    const RealAllocator& real = thread.id == nobody ? ask_real() : real_allocator;
    begin_walk(thread, __builtin_frame_address(0), UNKNOT_CALLER);
    const int result = real.dl_iterate_phdr(callback, data);
    end_walk(thread);
    return result;
}

}  // namespace unknot
