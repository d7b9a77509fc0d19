// SPDX-License-Identifier: Apache-2.0
// Incidents with an allocator that unwinds: walks that allocate, and frees under the loader lock.
#include "tests/incidents/incidents.h"

namespace unknot::preload {

namespace {

// 1: walk callbacks that allocate, beside an allocator that unwinds

// async-profiler/async-profiler/issues/1151: the profiler parses symbols in a dl_iterate_phdr callback.
// P: write lock -> callback's malloc -> pageheap_lock; T: malloc -> pageheap_lock -> GetStackTrace -> write lock.
TEST(Incident, async_profiler_1151) {
    expect_cured(reproducer("malloc"), tcmalloc, {"diverted", "averted", "walks_from_snapshot"});
}

// async-profiler/async-profiler/issues/1147: the same beside jemalloc's heap profiler, built for libunwind.
// P: write lock -> malloc -> sample -> libunwind's cache mutex; T: malloc -> sample -> that mutex -> write lock.
// (ray-project/ray/pull/48671 turned this build on as a cure for another hang.)
TEST(Incident, async_profiler_1147) {
    process::Command command = reproducer("malloc");
    command.environment.emplace_back("MALLOC_CONF", "prof:true,lg_prof_sample:12");
    expect_cured(command, preloading("libjemalloc.so.2 libunwind.so.8"), {"diverted", "walks_from_snapshot"});
}

// ianlancetaylor/libbacktrace/issues/20: its vectors grow by realloc inside the callback, jemalloc samples them.
// The cycle is that of 1147.
TEST(Incident, libbacktrace_20) {
    process::Command command = reproducer("realloc");
    command.environment.emplace_back("MALLOC_CONF", "prof:true,lg_prof_sample:12");
    expect_cured(command, preloading("libjemalloc.so.2 libunwind.so.8"), {"diverted", "deferred"});
}

// DataDog/java-profiler/pull/245: a Java agent under libtcmalloc_and_profiler. The cycle is that of 1151.
TEST(Incident, java_profiler_245) {
    expect_cured(reproducer("new"), preloading("libtcmalloc_and_profiler.so.4"), {"diverted", "averted"});
}

// google/tcmalloc/issues/120 (the frames are gperftools'): small blocks.
// T1: write lock -> callback -> CentralFreeList::Populate -> pageheap_lock; T2: Populate -> unwinder -> write lock.
TEST(Incident, google_tcmalloc_120) {
    expect_cured(program("incidents/small_blocks_in_walk"), tcmalloc, {"diverted", "averted"});
}

// libunwind/libunwind commit 9538c8f2: no allocation and no allocator lock takes part.
// T1: write lock -> callback -> unw_step -> libunwind's cache mutex; T2: malloc -> unw_step -> that mutex -> write
// lock.
TEST(Incident, libunwind_9538c8f2) {
    expect_cured(program("incidents/unwinds_in_walk"), tcmalloc, {"walks_from_snapshot"});
}

// near/near-memory-tracker/issues/102: an allocator in front of another one takes stack traces under a lock of its own.
// T1: alloc -> its lock -> _Unwind_Backtrace -> write lock; T2: write lock -> callback -> alloc -> its lock.
// (libgcc 12 does not walk, so _Unwind_Backtrace is libunwind's here. The shim knows no such allocator, and protects.)
TEST(Incident, near_memory_tracker_102) {
    const std::string libraries = built("incidents/libincident_recording_allocator.so") + " libunwind.so.8";
    expect_cured(reproducer("malloc"), preloading(libraries.c_str()), {"diverted", "averted"});
}

// Its threads may be awake in a hang: heaptrack's wait for its lock is a loop of naps. Such a program is stuck when it
// no longer says how far it is, which it does every few milliseconds.
bool falls_silent(process::Command command, const Allocator& allocator) {
    constexpr int most_silent_looks = 100;  // of 50 ms
    command.environment.emplace_back("LD_PRELOAD", allocator.soname);
    process::Child child(command);
    std::size_t said = 0;
    for (int silent = 0; silent < most_silent_looks; ++silent) {
        if (child.look(std::chrono::milliseconds(50))) return false;
        const std::size_t says = child.out().size();
        if (says != said) silent = 0;
        said = says;
    }
    return true;
}

// KDE/heaptrack commit 88e66a6, with Debian's heaptrack 1.4.0 itself.
// T1: write lock -> callback's malloc -> heaptrack's lock; T4: malloc -> that lock -> updateModuleCache -> write lock.
TEST(Incident, heaptrack_88e66a6) {
    process::Command command = program("incidents/allocates_while_tracked");
    command.environment.emplace_back("DUMP_HEAPTRACK_OUTPUT", "/dev/null");
    const Allocator heaptrack = preloading(UNKNOT_HEAPTRACK);
    int tries = 0;
    while (!falls_silent(command, heaptrack)) ASSERT_LT(++tries, most_tries) << "the reproducer no longer hangs";
    RecordProperty("ran_before_it_hung", tries);
    expect_runs(command, heaptrack, {"diverted"}, "");
    for (int run = 0; run < shimmed_runs; ++run) {
        EXPECT_FALSE(falls_silent(command, preloading((built("libunknot_walks.so ") + UNKNOT_HEAPTRACK).c_str())));
    }
}

// 8 and 2: frees under the loader lock, dlopen and dlclose

// gperftools/gperftools/issues/1159: a failed dlopen. T1: _dl_close_worker, write lock -> free -> IncreaseCacheLimit ->
// pageheap_lock; T8: malloc -> pageheap_lock -> GetStackTrace -> write lock. (What it frees it got while it owned the
// load lock, so it was diverted then.)
TEST(Incident, gperftools_1159_failed_dlopen) {
    expect_cured(program("victims/failed_dlopen_frees"), tcmalloc, {"diverted"});
}

// The same through dlclose.
TEST(Incident, gperftools_1159_dlclose) {
    expect_cured(program("victims/dlclose_frees"), tcmalloc, {"deferred", "drained"});
}

}  // namespace

}  // namespace unknot::preload
