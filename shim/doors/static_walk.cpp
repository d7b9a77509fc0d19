// SPDX-License-Identifier: Apache-2.0
// The dl_iterate_phdr of libunknot_walks.a, for programs that are linked with everything, libc.a too. No preload
// reaches them; their walk takes _dl_load_write_lock and holds it during callbacks all the same. Rule 2 alone: an
// unwinder that finds it busy does not wait. Everybody else gets libc's own walk, waiting included.
//
// Such a program's objects are itself and the kernel's vDSO, from start to end: a copy of that list stays exact, until
// the program calls dlopen, which libc.a offers. From then on nothing is served from it.
//
// No clean-up runs when a callback throws or jumps out, so nothing here may need one.
#include "shim/loader/return_addresses.h"
#include "shim/system/platform.h"
#include "shim/system/static_libc.h"

namespace unknot {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

namespace {

// For strings(1) and the doctor, also where the symbols are gone.
[[gnu::used]] constexpr char version_text[] = "libunknot_walks.a " UNKNOT_VERSION;

// Without the counters, as before glibc 2.4: see walk_snapshot in loaded_objects.h.
constexpr std::size_t size_before_2_4 = offsetof(dl_phdr_info, dlpi_adds);

// Written before the program's own constructors run, and never again.
struct Objects {
    dl_phdr_info each[4];
    std::size_t count;
    unsigned long long adds;  // _dl_load_adds at that time
    bool are_known;           // all of them
};
constinit Objects objects{};

int keep(dl_phdr_info* info, std::size_t, void*) {
    if (objects.count == sizeof objects.each / sizeof objects.each[0]) return 1;
    objects.each[objects.count] = *info;
    objects.each[objects.count++].dlpi_tls_data = nullptr;  // it would be another thread's
    return 0;
}

[[gnu::constructor(101)]] void keep_objects() {
    const bool all = __dl_iterate_phdr(keep, nullptr) == 0;
    objects.adds = _dl_load_adds;
    objects.are_known = all;
}

int walk_kept_objects(Callback callback, void* data) {
    int result = 0;
    for (std::size_t i = 0; i < objects.count && result == 0; ++i) {
        dl_phdr_info info = objects.each[i];
        result = callback(&info, size_before_2_4, data);
    }
    return result;
}

// Stands before the program's callback: libc holds the (recursive) lock by then, and our hold of it ends.
struct FirstCall {
    Callback callback;
    void* data;
    bool holding = true;

    static int call(dl_phdr_info* info, std::size_t size, void* self) {
        FirstCall& first = *static_cast<FirstCall*>(self);
        first.release();
        return first.callback(info, size, first.data);
    }
    void release() {
        if (holding) pthread_mutex_unlock(&_dl_load_write_lock);
        holding = false;
    }
};

}  // namespace

extern "C" UNKNOT_EXPORT int dl_iterate_phdr(Callback callback, void* data) {
    if (pthread_mutex_trylock(&_dl_load_write_lock) == 0) {
        FirstCall first{.callback = callback, .data = data};
        const int result = __dl_iterate_phdr(FirstCall::call, &first);
        first.release();
        return result;
    }
    // Relaxed: who has loaded something and walks since knows that it has.
    const bool exact = objects.are_known && __atomic_load_n(&_dl_load_adds, __ATOMIC_RELAXED) == objects.adds;
    if (exact && looks_for_own_return_address(data, __builtin_frame_address(0)))
        return walk_kept_objects(callback, data);
    return __dl_iterate_phdr(callback, data);
}

}  // namespace unknot
