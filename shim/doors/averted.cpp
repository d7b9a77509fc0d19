// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/averted.h"

#include "shim/loader/fork_handlers.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/stats.h"

namespace unknot {

constinit std::atomic<int> diverting{nobody};

namespace {

void clear_contention(const ThreadState& thread, std::uint64_t* counter) {
    int mine = thread.id;
    if (contended().load(std::memory_order_relaxed) != mine) return;
    if (contended().compare_exchange_strong(mine, ClearedInChildren::uncontended, std::memory_order_relaxed) &&
        counter != nullptr) {
        count(*counter);
    }
}

}  // namespace

void forget_walk(const ThreadState& thread) {
    if (diverting.load(std::memory_order_relaxed) == thread.id) diverting.store(nobody, std::memory_order_relaxed);
    clear_contention(thread, nullptr);
}

void note_averted(const ThreadState& thread) {
    clear_contention(thread, &unknot_stats.averted);
}

void note_contention() {
    const int owner = __atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED);
    if (owner == nobody) return;
    if (owner == diverting.load(std::memory_order_relaxed)) return count(unknot_stats.averted);
    contended().store(owner, std::memory_order_relaxed);
}

}  // namespace unknot
