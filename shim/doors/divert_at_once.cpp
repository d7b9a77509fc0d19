// SPDX-License-Identifier: Apache-2.0
// The straight way of what a walk's callback allocates and gives back: everybody who wants the loader's lock waits for
// it meanwhile. All in registers; what is seldom due stands in functions of its own.
// Budget (x86_64, checked by a test): a pair of malloc and free, from the program's call and back, 192 instructions.
#include "shim/doors/counting.h"
#include "shim/doors/divert.h"
#include "shim/doors/from_arena.h"
#include "shim/loader/fork_handlers.h"
#include "shim/log/witness.h"
#include "shim/system/sizes.h"

namespace unknot {

void note_first_diverted(ThreadState& thread) {
    publish_walks(thread);
    if (!thread.has_exit_hook) arm_exit_hook(thread);
    publish_blocks(thread);
}

namespace {

[[gnu::noinline]] void take_back_and_publish(ThreadState& thread, void* block) {
    arena.deallocate(thread.cursor, block);
    publish_blocks(thread);
}

}  // namespace

void* divert_at_once(std::size_t size, std::size_t alignment, Fill fill, const void* caller) {
    ThreadState& thread = thread_state;
    if (!thread.ready || !surely_owns_write_lock(thread) || is_unknown_child() || !follows_rule_1(mode()) ||
        alignment == no_alignment) {
        return nullptr;
    }
    ++thread.slow_calls;
    void* block = from_arena(thread, size, alignment, fill, true);
    if (block != nullptr) witness(unknot_stats.under_loader_lock, caller);
    return block;
}

void take_back(void* block) {
    ThreadState& thread = thread_state;
    if (__builtin_expect(thread.walks == 0, 0)) return take_back_and_publish(thread, block);
    arena.deallocate(thread.cursor, block);
}

}  // namespace unknot
