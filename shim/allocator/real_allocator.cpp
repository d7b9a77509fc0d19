// SPDX-License-Identifier: Apache-2.0
#include "shim/allocator/real_allocator.h"

#include <atomic>
#include <initializer_list>

#include "policy/settings.h"
#include "shim/allocator/stand_ins.h"
#include "shim/system/definitions.h"
#include "shim/system/libc.h"
#include "shim/system/libc_functions.h"

namespace unknot {

constinit RealAllocator real_allocator{};
static_assert(alignof(RealAllocator) >= cache_line && sizeof(RealAllocator) % largest_page == 0);

namespace {

constinit std::atomic<bool> resolved{false};

template <class Function>
void fill(Function*& slot, const void* function) {
    // Relaxed: other threads may be filling the same slot with the same value.
    __atomic_store_n(&slot, reinterpret_cast<Function*>(const_cast<void*>(function)), __ATOMIC_RELAXED);
}

template <class Function>
const void* address(Function* function) {
    return reinterpret_cast<const void*>(function);
}

// What the stand-ins stand on.
bool is_primitive(const char* symbol) {
    for (const char* row : {"malloc", "free", "calloc", "realloc", "posix_memalign", "malloc_usable_size"}) {
        if (same(symbol, row)) return true;
    }
    return false;
}

// What comes before libunknot.so.
Definition earlier_definition(const char* symbol) {
    const link_map* self = own_object();
    for (const link_map* object = first_loaded(); self != nullptr && object != self; object = object->l_next) {
        const Definition found = definition_in(*object, symbol);
        if (found.address != nullptr) return found;
    }
    return {};
}

// One filling of the table. Normally the shim comes first, and what comes next is the allocator. Where another malloc
// comes before it, the program's calls go there. What then still comes here is either a call that the other one hands
// down, meant for the next; or a call of a door that only the shim has, with blocks of the other one's making.
class LookUp {
  public:
    // libc's function does where there is no better: for the primitives, and where the allocator is libc's.
    template <class Function>
    void operator()(Function*& slot, Function* stand_in, const char* symbol) const {
        const Definition earlier = earlier_definition(symbol);
        Definition found = next_definition(symbol);
        if (found.address == nullptr && is_primitive(symbol)) found = earlier;
        const link_map* whose = is_behind_ && earlier.address == nullptr ? program_ : next_;
        const bool strange = found.object == libc_ && !is_primitive(symbol) && whose != libc_;
        fill(slot, found.address == nullptr || strange ? address(stand_in) : found.address);
    }

    template <class Function>
    void primitive(Function*& slot, Function* stand_in, const char* symbol) const {
        const Definition earlier = is_behind_ ? earlier_definition(symbol) : Definition{};
        const Definition found = earlier.address != nullptr ? earlier : next_definition(symbol);
        fill(slot, found.address != nullptr ? found.address : address(stand_in));
    }

    void walk(decltype(RealAllocator::dl_iterate_phdr)& slot) const {
        const void* found = next_definition("dl_iterate_phdr").address;
        if (found == nullptr) found = libc_function("dl_iterate_phdr");
        fill(slot, found != nullptr ? found : address(&stand_in::dl_iterate_phdr));
    }

    // malloc_usable_size belongs to the allocator that malloc belongs to. (heaptrack's preload has none of its own, and
    // libc's answers rightly for its blocks; libmemusage.so has none either, and for its blocks libc's answer is
    // noise.)
    bool knows_block_sizes() const {
        return (next_ == libc_) == (next_definition("malloc_usable_size").object == libc_);
    }

  private:
    const link_map* libc_ = libc_object();
    const link_map* next_ = next_definition("malloc").object;
    const link_map* program_ = earlier_definition("malloc").object;
    bool is_behind_ = program_ != nullptr;
};

constinit std::atomic<bool> knows_block_sizes{false};

}  // namespace

// Acquire pairs with the release in resolve_real_allocator: the table is visible.
bool is_resolved() {
    return resolved.load(std::memory_order_acquire);
}

// Relaxed: a stale answer sends one more call to the arena.
bool knows_real_allocator() {
    return __atomic_load_n(&real_allocator.realloc, __ATOMIC_RELAXED) != nullptr;
}

std::size_t real_block_size(void* block) {
    return knows_block_sizes.load(std::memory_order_relaxed) ? real_allocator.malloc_usable_size(block) : 0;
}

void resolve_real_allocator() {
    const LookUp look_up;
    look_up.walk(real_allocator.dl_iterate_phdr);
    look_up.primitive(real_allocator.base.malloc, &stand_in::malloc, "malloc");
    look_up.primitive(real_allocator.base.free, &stand_in::free, "free");
    look_up.primitive(real_allocator.base.realloc, &stand_in::realloc, "realloc");
    look_up.primitive(real_allocator.base.posix_memalign, &stand_in::posix_memalign, "posix_memalign");
    // Rows that every allocator has come first: a signal handler on top of this can forward as soon as they are known.
#define UNKNOT_ALLOCATION(id, symbol, ...) look_up(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_ALLOCATION_INTO(id, symbol) look_up(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_REALLOCATION(id, symbol, ...) look_up(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_DEALLOCATION(id, symbol, ...) look_up(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_QUERY(id, symbol) look_up(real_allocator.id, &stand_in::id, symbol);
#include "shim/allocator/entry_points.inc"
    // Relaxed: whoever asks has seen the table filled, or takes "cannot say" for an answer.
    knows_block_sizes.store(look_up.knows_block_sizes(), std::memory_order_relaxed);
    resolved.store(true, std::memory_order_release);
}

void seal_real_allocator() {
    raw::make_read_only(&real_allocator, sizeof real_allocator);
}

}  // namespace unknot
