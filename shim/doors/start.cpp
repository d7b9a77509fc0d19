// SPDX-License-Identifier: Apache-2.0
// The only constructor: the order in which the parts come up. Everything before it has already worked, the slow way.
#include <stdlib.h>

#include "shim/allocator/cxx_runtime.h"
#include "shim/allocator/real_allocator.h"
#include "shim/doors/slow_path.h"
#include "shim/loader/identity.h"
#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/log_output.h"
#include "shim/log/report.h"
#include "shim/system/libc.h"
#include "shim/system/object_names.h"

#ifndef UNKNOT_VERSION
#define UNKNOT_VERSION "0"
#endif

namespace unknot {

namespace {

void read_environment() {
    // secure_getenv: in secure-execution mode every variable of ours is ignored, the log first of all.
    settings = read_settings([](const char* variable) { return secure_getenv(variable); }, report::bad_setting);
    log_output::use(settings.log);
    arena.set_limit(settings.arena_max.value);
    set(unknot_stats.arena_limit, settings.arena_max.value);
}

// By trying, but not with libc: glibc frees, and so does memcheck in its place, which reports the question from 3.21
// on (mlichvar/chrony commit 109970f; seen with 3.24).
bool asks_realloc_zero(const Identity& identity) {
    if (identify(identity.evidence) == AllocatorKind::glibc) return true;
    void* block = real_allocator.malloc(16);
    if (block == nullptr) return true;
    void* left = real_allocator.realloc(block, 0);
    if (left == nullptr) return true;
    real_allocator.free(left);
    return false;
}

// Not on the path: nothing that the program allocates comes here, so nothing may be diverted or deferred here either.
void stand_aside(const Identity& identity) {
    const bool behind_program = identity.position == Position::behind_program;
    set_flag(unknot_stats, behind_program ? StatsFlag::not_on_path : StatsFlag::wrong_order);
    settings.mode = Mode::off;
    adopt_program_allocator();
    behind_program ? report::not_on_path(identity.malloc_owner) : report::wrong_order(identity.malloc_owner);
}

void decide_mode(const Identity& identity) {
    settings.mode = resolve_mode(settings.mode, identity.evidence);
    if (identity.position != Position::on_path) return stand_aside(identity);
    if (!knows_loader && settings.mode == Mode::pass_through) report::another_libc();
}

bool watches() {
    return settings.mode == Mode::protect || settings.mode == Mode::observe;
}

void look_for_locks() {
    if (!watches()) return;
    if (const char* failure = calibrate(real_allocator.dl_iterate_phdr)) report::calibration_failed(failure);
    if (settings.mode == Mode::protect && settings.walk == WalkMode::nonblocking) {
        find_version_words();
        refresh_snapshot();
        if (!has_snapshot()) report::no_snapshot();
    }
}

// For strings(1): the copy below is made of immediate values.
[[gnu::used]] constexpr char version_text[] = "libunknot " UNKNOT_VERSION;

void introduce(const Identity& identity) {
    StatsPage& page = unknot_stats;
    page.version = stats_version;
    page.size = sizeof(StatsPage);
    page.mode = settings.mode;
    page.probe = loader_locks.probe;
    page.allocator = identify(identity.evidence);
    page.walk_mode = settings.walk;
    page.counters = stats_counters;
    __builtin_memcpy(page.library_version, UNKNOT_VERSION, sizeof UNKNOT_VERSION);
    page.pid = raw::pid();
    // Last, so that a reader who finds the magic finds the rest.
    std::atomic_thread_fence(std::memory_order_release);
    __builtin_memcpy(page.magic, stats_magic, sizeof stats_magic);
}

[[gnu::constructor]] void start() {
    ask_real();  // fills the table, if nobody has allocated yet
    read_environment();
    find_object_finder();
    find_cxx_runtime();
    const Identity identity = identify_process();
    realloc_zero_frees = asks_realloc_zero(identity);
    decide_mode(identity);
    look_for_locks();
    if (!prepare_exit_hook(thread_ends) && watches()) report::no_exit_hook();
    introduce(identity);
    open_hot_path();
}

// Nothing depends on it: a process that ends otherwise only goes without its report.
[[gnu::destructor]] void finish() {
    if (settings.report != ReportWhen::exit) return;
    thread_ends(&thread_state);
    report::statistics(unknot_stats);
}

}  // namespace
}  // namespace unknot
