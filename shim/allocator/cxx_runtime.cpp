// SPDX-License-Identifier: Apache-2.0
#include "shim/allocator/cxx_runtime.h"

#include <dlfcn.h>

#include "shim/log/report.h"
#include "shim/system/definitions.h"
#include "shim/system/libc.h"
#include "shim/system/text.h"

namespace unknot {

namespace {

using Handler = void (*)();

struct CxxRuntime {
    Handler (*get_new_handler)() = nullptr;  // std::get_new_handler(), libstdc++ and libc++
    void (*throw_bad_alloc)() = nullptr;     // std::__throw_bad_alloc(), libstdc++ and libc++
    // libstdc++'s own, past every allocator that brings one too.
    void* (*new_nothrow)(std::size_t, const void* tag) = nullptr;
    void* (*new_aligned_nothrow)(std::size_t, std::size_t, const void* tag) = nullptr;
};
// Global libraries of the start are never unloaded, so these may be kept.
constinit CxxRuntime at_start;

template <class Function>
void fill(Function*& function, const Definition& found) {
    function = reinterpret_cast<Function*>(const_cast<void*>(found.address));
}

template <class Function>
void look_up(Function*& function, void* handle, const char* symbol) {
    function = reinterpret_cast<Function*>(dlsym(handle, symbol));
}

CxxRuntime look_up(void* handle) {
    CxxRuntime found;
    look_up(found.throw_bad_alloc, handle, "_ZSt17__throw_bad_allocv");
    if (found.throw_bad_alloc == nullptr) return found;
    look_up(found.get_new_handler, handle, "_ZSt15get_new_handlerv");
    // A handle searches its own library first.
    if (void* libstdcxx = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD)) {
        look_up(found.new_nothrow, libstdcxx, "_ZnwmRKSt9nothrow_t");
        look_up(found.new_aligned_nothrow, libstdcxx, "_ZnwmSt11align_val_tRKSt9nothrow_t");
        dlclose(libstdcxx);
    }
    return found;
}

// The runtime that the object around `caller` was linked against. Not kept: it may be unloaded with that object, which
// is on this thread's stack and so cannot go before we are back.
CxxRuntime runtime_of(const void* caller) {
    if (at_start.throw_bad_alloc != nullptr) return at_start;
    CxxRuntime found = look_up(RTLD_DEFAULT);
    Dl_info object{};
    if (found.throw_bad_alloc == nullptr && dladdr(caller, &object) != 0) {
        if (void* handle = dlopen(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD)) {
            found = look_up(handle);
            dlclose(handle);
        }
    }
    return found;
}

Handler handler_of(const CxxRuntime& runtime) {
    return runtime.get_new_handler != nullptr ? runtime.get_new_handler() : nullptr;
}

[[noreturn]] void throw_through(const CxxRuntime& runtime, std::size_t size) {
    if (runtime.throw_bad_alloc != nullptr) runtime.throw_bad_alloc();
    report::cannot_throw(size);
}

}  // namespace

// Without dlopen: one that succeeds before libc's constructor has run, in a process with an auditor, takes the main
// thread's ctype tables away (seen with glibc 2.36, LD_AUDIT).
void find_cxx_runtime() {
    fill(at_start.throw_bad_alloc, first_definition("_ZSt17__throw_bad_allocv"));
    if (at_start.throw_bad_alloc == nullptr) return;
    fill(at_start.get_new_handler, first_definition("_ZSt15get_new_handlerv"));
    for (const link_map* object = first_loaded(); object != nullptr; object = object->l_next) {
        if (!starts_with(file_name(*object), "libstdc++.so")) continue;
        fill(at_start.new_nothrow, definition_in(*object, "_ZnwmRKSt9nothrow_t"));
        fill(at_start.new_aligned_nothrow, definition_in(*object, "_ZnwmSt11align_val_tRKSt9nothrow_t"));
    }
}

void run_new_handler_or_throw(std::size_t size, const void* caller) {
    const CxxRuntime runtime = runtime_of(caller);
    if (Handler handler = handler_of(runtime)) return handler();
    throw_through(runtime, size);
}

void throw_bad_alloc(std::size_t size, const void* caller) {
    throw_through(runtime_of(caller), size);
}

void* retry_nothrow(std::size_t size, std::size_t alignment, const void* caller) {
    const CxxRuntime runtime = runtime_of(caller);
    if (handler_of(runtime) == nullptr) return nullptr;
    const char tag = 0;  // std::nothrow has no state
    if (alignment <= 16) return runtime.new_nothrow != nullptr ? runtime.new_nothrow(size, &tag) : nullptr;
    return runtime.new_aligned_nothrow != nullptr ? runtime.new_aligned_nothrow(size, alignment, &tag) : nullptr;
}

}  // namespace unknot
