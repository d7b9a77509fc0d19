// SPDX-License-Identifier: Apache-2.0
// The short names of verdicts, reasons and advice; in JSON they are what programs go by.
#include "cli/say/words.h"

namespace unknot::cli {

std::string name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::not_affected:
            return "not affected";
        case Verdict::is_protected:
            return "protected";
        case Verdict::at_risk:
            return "at risk";
        case Verdict::deadlocked:
            return "deadlocked";
        case Verdict::unknown:
            break;
    }
    return "unknown";
}

std::string key_of(Reason reason) {
    switch (reason) {
        case Reason::cycle_seen:
            return "cycle_seen";
        case Reason::cycle_of_loader_locks:
            return "cycle_of_loader_locks";
        case Reason::waits_under_loader_lock:
            return "waits_under_loader_lock";
        case Reason::cycle_of_application_locks:
            return "cycle_of_application_locks";
        case Reason::waits_for_own_lock:
            return "waits_for_own_lock";
        case Reason::lock_abandoned:
            return "lock_abandoned";
        case Reason::not_permitted:
            return "not_permitted";
        case Reason::has_ended:
            return "has_ended";
        case Reason::other_word_size:
            return "other_word_size";
        case Reason::malloc_not_found:
            return "malloc_not_found";
        case Reason::file_unreadable:
            return "file_unreadable";
        case Reason::waits_unreadable:
            return "waits_unreadable";
        case Reason::end_not_shown:
            return "end_not_shown";
        case Reason::forked_beside_walk:
            return "forked_beside_walk";
        case Reason::walk_interrupted:
            return "walk_interrupted";
        case Reason::both_edges_witnessed:
            return "both_edges_witnessed";
        case Reason::unwinds_with_libunwind:
            return "unwinds_with_libunwind";
        case Reason::unwinds_with_old_libgcc:
            return "unwinds_with_old_libgcc";
        case Reason::unwinds_with_wrong_libgcc:
            return "unwinds_with_wrong_libgcc";
        case Reason::unwinds_somehow:
            return "unwinds_somehow";
        case Reason::allocator_profiles:
            return "allocator_profiles";
        case Reason::allocator_unknown:
            return "allocator_unknown";
        case Reason::walker_allocates:
            return "walker_allocates";
        case Reason::never_unwinds:
            return "never_unwinds";
        case Reason::profiling_off:
            return "profiling_off";
        case Reason::unwinds_without_loader:
            return "unwinds_without_loader";
        case Reason::sanitizer_allocates:
            return "sanitizer_allocates";
        case Reason::shim_protects:
            return "shim_protects";
        case Reason::shim_protects_by_walks:
            return "shim_protects_by_walks";
        case Reason::shim_passive:
            return "shim_passive";
        case Reason::shim_bypassed:
            return "shim_bypassed";
        case Reason::shim_sees_walks_only:
            return "shim_sees_walks_only";
    }
    return "unknown";
}

std::string key_of(Advice advice) {
    switch (advice) {
        case Advice::rescue:
            return "rescue";
        case Advice::immunise:
            return "immunise";
        case Advice::end_the_process:
            return "end_the_process";
        case Advice::keep_one_order:
            return "keep_one_order";
        case Advice::wait_after_loading:
            return "wait_after_loading";
        case Advice::order_locks:
            return "order_locks";
        case Advice::no_locks_in_handlers:
            return "no_locks_in_handlers";
        case Advice::no_locks_after_fork:
            return "no_locks_after_fork";
        case Advice::get_permission:
            return "get_permission";
        case Advice::look_again:
            return "look_again";
        case Advice::upgrade_async_profiler:
            return "upgrade_async_profiler";
        case Advice::use_generic_fp:
            return "use_generic_fp";
        case Advice::use_libgcc:
            return "use_libgcc";
        case Advice::turn_profiling_off:
            return "turn_profiling_off";
        case Advice::use_tcmalloc_minimal:
            return "use_tcmalloc_minimal";
        case Advice::use_another_allocator:
            return "use_another_allocator";
        case Advice::link_tcmalloc_minimal:
            return "link_tcmalloc_minimal";
        case Advice::set_protect_mode:
            return "set_protect_mode";
        case Advice::preload_shim_first:
            return "preload_shim_first";
        case Advice::use_shim:
            return "use_shim";
        case Advice::use_walks_shim:
            return "use_walks_shim";
        case Advice::link_walks:
            return "link_walks";
    }
    return "unknown";
}

}  // namespace unknot::cli
