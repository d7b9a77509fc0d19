// SPDX-License-Identifier: Apache-2.0
// The only constructor: the order in which the parts come up. Everything before it has already worked, the slow way.
#include <stdlib.h>
#include <sys/auxv.h>

#include "shim/allocator/cxx_runtime.h"
#include "shim/allocator/open_questions.h"
#include "shim/allocator/real_allocator.h"
#include "shim/doors/enter.h"
#include "shim/loader/fork_handlers.h"
#include "shim/loader/identity.h"
#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/loader/native_walk.h"
#include "shim/log/log_output.h"
#include "shim/log/report.h"
#include "shim/system/libc.h"
#include "shim/system/libc_functions.h"
#include "shim/system/object_names.h"
#include "shim/system/text.h"

#ifndef UNKNOT_VERSION
#define UNKNOT_VERSION "0"
#endif

namespace unknot {

namespace {

#ifdef UNKNOT_WALKS_ONLY
constexpr bool walks_only = true;
#else
constexpr bool walks_only = false;
#endif

void read_environment(char** variables) {
    // In secure-execution mode every variable of ours is ignored, the log first of all.
    const bool secure = getauxval(AT_SECURE) != 0;
    const auto look_up = [variables, secure](const char* name) -> const char* {
        std::size_t length = 0;
        while (name[length] != '\0') ++length;
        for (char** at = variables; !secure && at != nullptr && *at != nullptr; ++at) {
            if (starts_with(*at, name) && (*at)[length] == '=') return *at + length + 1;
        }
        return nullptr;
    };
    settings = read_settings(look_up, report::bad_setting);
    log_output::use(settings.log);
    arena.set_limit(settings.arena_max.value);
    set(unknot_stats.arena_limit, settings.arena_max.value);
}

// Nothing that the program allocates may be diverted or deferred here: it does not come here, or somebody else keeps
// account of it. Its walks do come here where only malloc is another's. Said, unless nothing has been asked for.
Mode stand_aside(const Identity& identity) {
    const Mode asked = settings.mode;
    const bool has_walks = identity.walks_arrive && (identity.position == Position::behind_program ||
                                                     identity.position == Position::behind_preload);
    const Mode left =
        knows_loader && has_walks && asked != Mode::observe && asked != Mode::off ? Mode::walks : Mode::off;
    if (identity.position == Position::behind_program || identity.position == Position::replaced) {
        set_flag(unknot_stats, StatsFlag::not_on_path);
    }
    if (identity.position == Position::behind_preload) set_flag(unknot_stats, StatsFlag::wrong_order);
    // Walks are all that was asked for.
    if (asked == Mode::off || (asked == Mode::walks && left == Mode::walks)) return left;
    if (identity.position == Position::behind_program) report::not_on_path(identity.malloc_owner, left);
    if (identity.position == Position::behind_preload) report::wrong_order(identity.malloc_owner, left);
    if (identity.position == Position::replaced) report::calls_redirected();
    if (identity.position == Position::beside_sanitizer && asked != Mode::automatic) {
        report::beside_sanitizer(identity.malloc_owner);
    }
    return left;
}

Mode decide_mode(Identity& identity) {
    // libunknot_walks.so has no malloc: whose it is makes no difference to it.
    if (walks_only) {
        if (settings.mode == Mode::protect || settings.mode == Mode::observe) report::walks_only();
        return settings.mode == Mode::off ? Mode::off : knows_loader ? Mode::walks : Mode::pass_through;
    }
    const Mode mode = resolve_mode(settings.mode, identity.evidence);
    if (identity.position == Position::on_path && watches_load_lock(mode) && !calls_arrive()) {
        identity.position = Position::replaced;
    }
    if (identity.position != Position::on_path) return stand_aside(identity);
    if (!knows_loader && mode == Mode::pass_through) report::another_libc();
    return mode;
}

void begin_watching(const Identity& identity) {
    find_object_finder();
    const char* failure = nullptr;
    if (watches_load_lock(mode())) {
        find_cxx_runtime();
        ask_open_questions(identity.evidence);
        failure = calibrate(native_walk, Wanted::both_locks);
    } else {
        failure = calibrate(native_walk, Wanted::write_lock);
    }
    if (failure != nullptr) report::calibration_failed(failure);
    watch_forks();
    if (follows_rule_2(mode()) && settings.walk == WalkMode::nonblocking) {
        find_version_words();
        refresh_snapshot();
        if (!has_snapshot()) report::no_snapshot();
    }
    settle(enter(), nullptr);  // what all this has put off is not the program's
    // From here on: a key that the shim needs for itself alone might be the one that the program misses.
    prepare_exit_hook(thread_ends);
}

// For strings(1): the copy below is made of immediate values.
[[gnu::used]] constexpr char version_text[] = "libunknot " UNKNOT_VERSION;

void introduce(const Identity& identity) {
    StatsPage& page = unknot_stats;
    page.version = stats_version;
    page.size = sizeof(StatsPage);
    page.mode = mode();
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

void finish() {
    thread_ends(&thread_state);
    report::statistics(unknot_stats);
}

// Before every other object's, where the loader grants it (shim/CMakeLists.txt, initfirst): before libc's own too. So
// nothing of libc's that needs its constructor may be used here, nor stdio, nor locales.
// `off` leaves it at the look: no call into the allocator, no key, no handler.
[[gnu::constructor]] void start(int, char**, char** variables) {
    ask_real();  // fills the table, if nobody has allocated yet
    read_environment(environment(variables));
    Identity identity = identify_process(settings.mode);
    const Mode decided = decide_mode(identity);
    // Before the first question about locks, which the calibration's own calls ask.
    current_mode.store(decided, std::memory_order_relaxed);
    if (knows_loader && (watches_load_lock(decided) || follows_rule_2(decided))) begin_watching(identity);
    introduce(identity);
    seal_real_allocator();
    seal_libc_functions();
    // A process that ends by quick_exit runs no destructors. One that ends by _exit, exec or a signal runs nothing.
    if (settings.report == ReportWhen::exit) at_quick_exit(finish);
    open_hot_path();
}

// Nothing depends on it: a process that ends otherwise only goes without its report.
[[gnu::destructor]] void finish_at_exit() {
    if (settings.report == ReportWhen::exit) finish();
}

}  // namespace
}  // namespace unknot
