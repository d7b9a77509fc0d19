// SPDX-License-Identifier: Apache-2.0
// What to do, in sentences.
#include <fmt/format.h>

#include <algorithm>

#include "cli/say/words.h"

namespace unknot::cli {
namespace {

bool waits_in_libunwind(const Deadlock& deadlock) {
    return std::any_of(deadlock.threads.begin(), deadlock.threads.end(), [](const ThreadReport& thread) {
        return std::any_of(thread.stack.frames.begin(), thread.stack.frames.end(),
                           [](const Frame& frame) { return frame.object.starts_with("libunwind"); });
    });
}

}  // namespace

std::string sentence(Advice advice, const Examination& found) {
    switch (advice) {
        case Advice::rescue:
            return fmt::format("bring it back, it loses nothing but stack traces: unknot rescue {}", found.pid);
        case Advice::immunise:
            return fmt::format("keep it from this deadlock while it runs, without a restart: unknot immunise {}",
                               found.pid);
        case Advice::end_the_process:
            if (found.is_core) return "what is dead of it does not come back by itself";
            return found.pid == 0
                       ? "end it with SIGKILL"
                       : fmt::format(
                             "it will not go on by itself: end it with kill -KILL {}{}", found.pid,
                             waits_in_libunwind(found.deadlock) ? " (libunwind keeps other signals pending)" : "");
        case Advice::keep_one_order:
            return "mend the program: no dladdr, dlsym, dlopen or dlclose inside a dl_iterate_phdr callback; remember "
                   "the "
                   "addresses there and ask about them afterwards";
        case Advice::wait_after_loading:
            return "mend the program: no join and no wait for another thread in a constructor, a destructor, an exit "
                   "handler "
                   "or JNI_OnLoad; start there what is to be waited for, and wait once the library is loaded";
        case Advice::order_locks:
            return goes_through_loader(found.deadlock)
                       ? "mend the program: hold no lock around dlopen, dlclose, dlsym or dl_iterate_phdr that a "
                         "constructor, a destructor or a callback takes too"
                       : "mend the program: take these locks in one order";
        case Advice::no_locks_in_handlers:
            return "mend the program: a signal handler takes no lock, no callback one that its caller holds, and what "
                   "stands before malloc or dl_iterate_phdr looks its functions up before it is needed, not inside";
        case Advice::no_locks_after_fork:
            return "mend the program: after a fork beside other threads call nothing but async-signal-safe functions "
                   "until "
                   "exec (posix_spawn does), or take the lock in pthread_atfork handlers";
        case Advice::get_permission:
            return "run this again with that permission";
        case Advice::look_again:
            return fmt::format(
                "look again in a while: if the same threads still wait, it is deadlocked (unknot doctor {})",
                found.pid);
        case Advice::upgrade_async_profiler:
            return "upgrade async-profiler to 4.0 or later, which does not allocate inside a walk";
        case Advice::use_generic_fp:
            return "start it with TCMALLOC_STACKTRACE_METHOD=generic_fp (this build has it); traces are complete where "
                   "code "
                   "is built with -fno-omit-frame-pointer";
        case Advice::use_libgcc:
            return fmt::format(
                "start it with TCMALLOC_STACKTRACE_METHOD=libgcc (this build has it, and on glibc 2.{} its "
                "look-up takes no lock; _Unwind_Backtrace is bound to libgcc here)",
                found.libc.glibc_minor);
        case Advice::turn_profiling_off:
            return "start it without prof:true in MALLOC_CONF";
        case Advice::use_tcmalloc_minimal:
            return "use libtcmalloc_minimal, the same allocator without stack traces (and without its heap profiler)";
        case Advice::use_another_allocator:
            return "use an allocator that takes no stack traces: glibc's own, mimalloc, tcmalloc_minimal";
        case Advice::link_tcmalloc_minimal:
            return found.libc.is_static
                       ? "link it with libtcmalloc_minimal, the same allocator without stack traces"
                       : "malloc is part of this executable, so no preloaded library can replace it: link it with "
                         "libtcmalloc_minimal, or with tcmalloc as a shared library";
        case Advice::set_protect_mode:
            return found.facts.malloc_in_executable ? "start it with UNKNOT_MODE=walks: the shim is loaded already"
                                                    : "start it with UNKNOT_MODE=protect: the shim is loaded already";
        case Advice::preload_shim_first:
            return "put the shim before the allocator in LD_PRELOAD (unknot run does)";
        case Advice::use_shim:
            return !unwinds_inside_malloc(found.facts.allocator) || found.facts.both_edges_witnessed ||
                           needs_no_allocator(found.facts.cycle)
                       ? "start it under the shim: unknot run --mode protect -- COMMAND"
                       : "start it under the shim, which cuts both edges: unknot run -- COMMAND";
        case Advice::use_walks_shim:
            return "start it with LD_PRELOAD=libunknot_walks.so, which protects it by its walks alone and leaves its "
                   "malloc as "
                   "it is";
        case Advice::link_walks:
            return "link libunknot_walks.a into it, as the last archive: unwinders' walks then never wait";
    }
    return {};
}

}  // namespace unknot::cli
