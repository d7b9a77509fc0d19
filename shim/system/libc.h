// SPDX-License-Identifier: Apache-2.0
// What is read of a libc's inside, in one place: glibc's, and for every other libc the neutral answer. Nothing of the
// program's may be relied on here.
//
// On musl nothing has to be protected (musl 1.2, ldso/dynlink.c): dl_iterate_phdr holds no lock while it calls back,
// and the loader allocates with libc's own malloc, past every interposer. So both edges are missing, and the shim
// passes through whatever the allocator is.
#pragma once

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <unistd.h>

#include <cstddef>

#include "shim/system/libc_functions.h"
#include "shim/system/platform.h"

#if defined(__GLIBC__)
#include <gnu/libc-version.h>
// Where the kernel has put the arguments of the program, above the first thread's frames; exported by ld.so.
extern "C" void* __libc_stack_end;  // NOLINT(bugprone-reserved-identifier): its name
#endif

namespace unknot {

#if defined(__GLIBC__)

inline constexpr bool knows_loader = true;

// "2.36"
inline const char* libc_version() {
    return gnu_get_libc_version();
}
// Nobody else has a function of that name.
inline constexpr const char* only_in_libc = "gnu_get_libc_version";

// What the loader knows of the symbol that begins at `address`; nullptr: nothing.
inline const ElfW(Sym) * symbol_at(const void* address, Dl_info& about) {
    void* entry = nullptr;
    if (dladdr1(address, &about, &entry, RTLD_DL_SYMENT) == 0) return nullptr;
    return static_cast<const ElfW(Sym)*>(entry);
}

// What the loader says an address belongs to. Takes the load lock.
inline const link_map* object_of(const void* address) {
    Dl_info about{};
    void* object = nullptr;
    return dladdr1(address, &about, &object, RTLD_DL_LINKMAP) != 0 ? static_cast<const link_map*>(object) : nullptr;
}

// The executable, first in the list of everything that is loaded. There before any object is relocated.
inline const link_map* first_loaded() {
    return _r_debug.r_map;
}
// Only in the child of a fork, where the thread that began the edit does not exist.
inline void end_unfinished_edit() {
    _r_debug.r_state = r_debug::RT_CONSISTENT;
}

// The environment as the loader hands it to constructors. getenv, of allocators too, knows nothing before libc's own
// constructor has run, which sets this variable to that very value (csu/init-first.c): it is set here for whoever comes
// between.
inline char** environment(char** from_loader) {
    if (environ == nullptr) environ = from_loader;
    return from_loader != nullptr ? from_loader : environ;
}

// False from before the first unmapping until after the last unlinking of a dlclose, and while dlopen maps and links
// (glibc, elf/dl-close.c and dl-open.c, all versions; a debugger relies on it).
inline bool list_is_consistent() {
    return __atomic_load_n(&_r_debug.r_state, __ATOMIC_RELAXED) == r_debug::RT_CONSISTENT;
}

// Above every frame of the thread that the process began with, and of a thread that was created: nptl/allocatestack.c
// puts the descriptor, which pthread_self points into, on top of the stack, on a stack of the program's own too.
inline const void* end_of_first_stack() {
    return __libc_stack_end;
}
inline const void* end_of_thread_stack() {
    return reinterpret_cast<const void*>(pthread_self());
}

// The inside of a recursive mutex, which the loader's locks are. The fields stand in the installed headers
// (bits/struct_mutex.h) because the static initialisers need them: glibc can not change them without breaking every
// compiled program.
inline pthread_mutex_t recursive_mutex() {
    return PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}
inline bool is_recursive(const pthread_mutex_t& mutex) {
    return mutex.__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP;
}
inline int& owner_of(pthread_mutex_t& mutex) {
    return mutex.__data.__owner;
}
inline const int& owner_of(const pthread_mutex_t& mutex) {
    return mutex.__data.__owner;
}
inline bool is_locked(const pthread_mutex_t& mutex) {
    return mutex.__data.__lock != 0;
}
inline bool is_locked_once(const pthread_mutex_t& mutex) {
    return is_locked(mutex) && mutex.__data.__count == 1 && mutex.__data.__nusers == 1;
}
// Of one's own mutex, in a signal handler: has the interrupted code counted its hold down already? It still stands as
// the owner for an instruction or two; whoever locks and unlocks there would let go for it.
inline bool is_being_released(const pthread_mutex_t& mutex) {
    return mutex.__data.__count == 0;
}

// This thread's id as the loader's mutexes spell it. glibc stores the id cached in its thread descriptor, which is not
// always what gettid says (in a vfork child it is the parent's); a mutex of our own gets the same word.
inline int id_in_mutexes() {
    pthread_mutex_t mutex = recursive_mutex();
    lock_mutex(mutex);
    const int id = owner_of(mutex);
    unlock_mutex(mutex);
    return id;
}

#else

inline constexpr bool knows_loader = false;

inline const char* libc_version() {
    return "";
}
inline constexpr const char* only_in_libc = "__libc_start_main";
inline const ElfW(Sym) * symbol_at(const void* address, Dl_info& about) {
    dladdr(address, &about);
    return nullptr;
}
// The handle of the program itself: taken without a lock and without an allocation (musl 1.2, ldso/dynlink.c).
inline const link_map* first_loaded() {
    link_map* first = nullptr;
    return dlinfo(dlopen(nullptr, RTLD_LAZY), RTLD_DI_LINKMAP, &first) == 0 ? first : nullptr;
}
inline const link_map* object_of(const void*) {
    return nullptr;
}
// musl hands constructors nothing, and has set it before.
inline char** environment(char**) {
    return environ;
}
inline bool list_is_consistent() {
    return true;
}
inline void end_unfinished_edit() {}
inline const void* end_of_first_stack() {
    return nullptr;
}
inline const void* end_of_thread_stack() {
    return nullptr;
}

// Nobody asks these for an answer where the loader is not known: there is no mutex to ask about.
inline pthread_mutex_t recursive_mutex() {
    return PTHREAD_MUTEX_INITIALIZER;
}
inline bool is_recursive(const pthread_mutex_t&) {
    return false;
}
inline int& owner_of(pthread_mutex_t& mutex) {
    return *reinterpret_cast<int*>(&mutex);
}
inline const int& owner_of(const pthread_mutex_t& mutex) {
    return *reinterpret_cast<const int*>(&mutex);
}
inline bool is_locked(const pthread_mutex_t&) {
    return false;
}
inline bool is_locked_once(const pthread_mutex_t&) {
    return false;
}
inline bool is_being_released(const pthread_mutex_t&) {
    return false;
}
inline int id_in_mutexes() {
    return static_cast<int>(raw::call(SYS_gettid));
}

#endif

}  // namespace unknot
