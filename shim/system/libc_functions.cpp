// SPDX-License-Identifier: Apache-2.0
#include "shim/system/libc_functions.h"

#include <atomic>
#include <initializer_list>

#include "shim/system/definitions.h"
#include "shim/system/libc.h"
#include "shim/system/platform.h"
#include "shim/system/text.h"

namespace unknot {

namespace {

using MutexFunction = int (*)(pthread_mutex_t*);
using ClockFunction = int (*)(clockid_t, timespec*);

// Read-only once it is filled, as the table of the real allocator is.
struct alignas(largest_page) Functions {
    MutexFunction lock = nullptr;
    MutexFunction try_to_lock = nullptr;
    MutexFunction unlock = nullptr;
    ClockFunction clock = nullptr;
};
constinit Functions functions;
constinit std::atomic<bool> looked{false};

template <class Function>
void find(Function& slot, const char* name) {
    // Relaxed: whoever comes at the same time stores the same value.
    __atomic_store_n(&slot, reinterpret_cast<Function>(const_cast<void*>(libc_function(name))), __ATOMIC_RELAXED);
}

template <class Function>
Function or_else(const Function& slot, Function interposed) {
    Function found = __atomic_load_n(&slot, __ATOMIC_RELAXED);  // Relaxed: either value does.
    return found != nullptr ? found : interposed;
}

}  // namespace

// Before glibc 2.34 libc's own mutex functions are stubs until libpthread has run (nptl/forward.c): libpthread's first.
const void* libc_function(const char* name) {
    for (const char* file : {"libpthread.so", "libdl.so", "libc.so"}) {
        for (const link_map* object = first_loaded(); object != nullptr; object = object->l_next) {
            if (!starts_with(file_name(*object), file)) continue;
            const DynamicSymbol found = find_dynamic_symbol(object->l_addr, object->l_ld, name);
            if (found.start != 0 && !found.is_indirect) return reinterpret_cast<const void*>(found.start);
        }
    }
    return nullptr;
}

void find_libc_functions() {
    // Relaxed: whoever comes at the same time finds the same. Once they are sealed nobody comes any more.
    if (looked.load(std::memory_order_relaxed)) return;
    find(functions.lock, "pthread_mutex_lock");
    find(functions.try_to_lock, "pthread_mutex_trylock");
    find(functions.unlock, "pthread_mutex_unlock");
    find(functions.clock, "clock_gettime");
    looked.store(true, std::memory_order_relaxed);
}

void seal_libc_functions() {
    raw::make_read_only(&functions, sizeof functions);
}

int lock_mutex(pthread_mutex_t& mutex) {
    return or_else<MutexFunction>(functions.lock, pthread_mutex_lock)(&mutex);
}
int try_to_lock_mutex(pthread_mutex_t& mutex) {
    return or_else<MutexFunction>(functions.try_to_lock, pthread_mutex_trylock)(&mutex);
}
int unlock_mutex(pthread_mutex_t& mutex) {
    return or_else<MutexFunction>(functions.unlock, pthread_mutex_unlock)(&mutex);
}
timespec wall_clock() {
    timespec now{};
    or_else<ClockFunction>(functions.clock, clock_gettime)(CLOCK_REALTIME, &now);
    return now;
}

}  // namespace unknot
