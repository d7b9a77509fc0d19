// SPDX-License-Identifier: Apache-2.0
// Processes that really hang: the cycle, thread by thread, and the report. And ones that only look like it.
#include <unistd.h>

#include <algorithm>

#include "cli/judge/examine.h"
#include "tests/cli/dead_process.h"

namespace unknot::test {
namespace {

cli::Examination examine_when_stuck(Victim& victim, pid_t pid) {
    const auto found = when_stuck(victim, pid);
    EXPECT_TRUE(found) << "the reproducer ended instead of hanging";
    return found.value_or(cli::Examination{});
}

// Every step's holder is the next step's thread, round to the first.
void expect_closed(const std::vector<cli::CycleStep>& cycle) {
    ASSERT_FALSE(cycle.empty());
    for (std::size_t i = 0; i < cycle.size(); ++i) EXPECT_EQ(cycle[i].held_by, cycle[(i + 1) % cycle.size()].tid);
}

const cli::CycleStep* waiting_for(const cli::Examination& found, const std::string& lock) {
    for (const cli::CycleStep& step : found.deadlock.cycle)
        if (step.waits_for.find(lock) != std::string::npos) return &step;
    return nullptr;
}

// What certain_shape's walker waits for.
constexpr const char* second_lock = process::traces_outside_page_heap_lock ? "a lock of libunwind" : "pageheap_lock_";

const Variables tcmalloc_minimal = {{"LD_PRELOAD", "libtcmalloc_minimal.so.4"}};  // takes no stack traces

TEST(Deadlock, is_told_thread_by_thread_without_the_shim) {
    Victim victim("phdr_deadlock", bare_tcmalloc, {process::certain_shape, "1000000"}, Ready::never);
    const auto found = examine_when_stuck(victim, victim.pid());
    EXPECT_EQ(found.judgement.verdict, Verdict::deadlocked);
    EXPECT_EQ(found.deadlock.cycle.size(), 2u);
    expect_closed(found.deadlock.cycle);
    const auto* loader = waiting_for(found, "_dl_load_write_lock");
    const auto* allocator = waiting_for(found, second_lock);
    ASSERT_NE(loader, nullptr);
    ASSERT_NE(allocator, nullptr);
    EXPECT_EQ(loader->source, cli::OwnerSource::recorded);
    if (!process::traces_outside_page_heap_lock) {
        EXPECT_EQ(allocator->source, cli::OwnerSource::inferred) << "a spin lock records no owner";
        EXPECT_FALSE(allocator->evidence.empty());
    }
    EXPECT_NE(allocator->callback.find("callback("), std::string::npos)
        << "the function that allocates inside the walk";
}

TEST(Deadlock, is_followed_through_a_lock_of_the_application) {
    Victim victim("phdr_deadlock", bare_tcmalloc, {"lock3", "1000000"}, Ready::never);
    const auto found = examine_when_stuck(victim, victim.pid());
    expect_closed(found.deadlock.cycle);
    EXPECT_NE(waiting_for(found, "application_lock"), nullptr);
    EXPECT_NE(waiting_for(found, "_dl_load_write_lock"), nullptr);
}

TEST(Deadlock, of_a_child_forked_in_the_middle_of_a_walk_has_no_owner) {
    Victim victim(built("victims/fork_during_walk"), {}, {}, Ready::never);
    const auto found = examine_when_stuck(victim, child_of(victim));
    ASSERT_EQ(found.deadlock.cycle.size(), 1u);
    EXPECT_EQ(found.deadlock.cycle[0].source, cli::OwnerSource::absent);
    EXPECT_NE(found.deadlock.cycle[0].recorded_owner, 0);
    EXPECT_TRUE(found.judgement.reasons.has(Reason::forked_beside_walk));
    EXPECT_TRUE(found.judgement.advice.has(Advice::use_shim));
}

// openucx/ucx/issues/3517: the shim would not have helped, and nobody is told that it would.
TEST(Deadlock, of_loader_locks_alone_is_for_the_program_to_mend) {
    Victim victim(built("incidents/looks_up_address_in_walk"), bare_tcmalloc, {}, Ready::never);
    const auto found = examine_when_stuck(victim, victim.pid());
    expect_closed(found.deadlock.cycle);
    EXPECT_NE(waiting_for(found, "_dl_load_write_lock"), nullptr);
    const auto* walker = waiting_for(found, "_dl_load_lock");
    ASSERT_NE(walker, nullptr);
    EXPECT_FALSE(walker->callback.empty()) << "the callback that asks the loader";
    EXPECT_TRUE(found.judgement.reasons.has(Reason::cycle_of_loader_locks));
    EXPECT_TRUE(found.judgement.advice.has(Advice::keep_one_order));
    EXPECT_FALSE(found.judgement.advice.has(Advice::use_shim));
}

// gperftools/gperftools/issues/1188: the lock is taken, and nobody is recorded as its owner.
TEST(Deadlock, of_a_thread_whose_walk_a_signal_interrupted_is_with_itself) {
    Victim victim(built("incidents/sampled_in_walk"), {}, {}, Ready::never);
    const auto found = examine_when_stuck(victim, victim.pid());
    ASSERT_EQ(found.deadlock.cycle.size(), 1u);
    EXPECT_EQ(found.deadlock.cycle[0].source, cli::OwnerSource::interrupted);
    EXPECT_EQ(found.deadlock.cycle[0].recorded_owner, 0);
    const std::string& place = found.deadlock.cycle[0].evidence;  // libpthread: until glibc 2.33
    EXPECT_TRUE(place.find("libc") != std::string::npos || place.find("libpthread") != std::string::npos)
        << "it was taking or leaving the lock: " << place;
    EXPECT_TRUE(found.judgement.reasons.has(Reason::walk_interrupted));
    EXPECT_TRUE(found.judgement.advice.has(Advice::use_shim));
}

// apache/foundationdb/issues/14022: a lock that is not the loader's.
TEST(Deadlock, of_a_thread_with_itself_is_for_the_program_to_mend) {
    Victim victim("cli_locks_twice", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    const auto found = examine_when_stuck(victim, victim.pid());
    ASSERT_EQ(found.deadlock.cycle.size(), 1u);
    EXPECT_EQ(found.deadlock.cycle[0].source, cli::OwnerSource::itself);
    EXPECT_NE(waiting_for(found, "sample_lock"), nullptr);
    EXPECT_TRUE(found.judgement.reasons.has(Reason::waits_for_own_lock));
    EXPECT_TRUE(found.judgement.advice.has(Advice::no_locks_in_handlers));
    EXPECT_FALSE(found.judgement.advice.has(Advice::use_shim)) << "it would not have helped";
}

// pytorch/pytorch/issues/189110: the futex of pthread_join holds the id of the thread whose end it waits for.
TEST(Deadlock, of_a_constructor_that_joins_is_for_the_program_to_mend) {
    for (const char* shape : {"joins", "joins_at_exit"}) {
        Victim victim("cli_stuck_loading", {{"LD_PRELOAD", built("libunknot.so") + ":libtcmalloc.so.4"}},
                      {shape, built("libcli_holds_loader_locks.so")});
        const auto found = examine_when_stuck(victim, victim.pid());
        expect_closed(found.deadlock.cycle);
        EXPECT_TRUE(std::any_of(found.deadlock.cycle.begin(), found.deadlock.cycle.end(),
                                [](const auto& step) { return step.source == cli::OwnerSource::joined; }));
        EXPECT_TRUE(found.judgement.reasons.has(Reason::waits_under_loader_lock));
        EXPECT_TRUE(found.judgement.advice.has(Advice::wait_after_loading));
        EXPECT_EQ(unknot({"doctor", victim.id()}).code, 3);
    }
}

#if defined(UNKNOT_HAS_JAVA)
TEST(Deadlock, of_a_jvm_whose_native_library_joins_is_for_the_program_to_mend) {
    for (const std::string& preload : {std::string("libtcmalloc.so.4"), built("libunknot.so") + ":libtcmalloc.so.4"}) {
        Victim victim("/usr/bin/env", {{"LD_PRELOAD", preload}},
                      {"java", "-XX:-UsePerfData", "-XX:-CreateCoredumpOnCrash", "-cp", built(""), "LoadsNative",
                       built("libcli_jni_joins.so")});
        const auto found = examine_when_stuck(victim, victim.pid());
        expect_closed(found.deadlock.cycle);
        EXPECT_NE(waiting_for(found, "_dl_load_lock"), nullptr);
        EXPECT_TRUE(found.judgement.reasons.has(Reason::waits_under_loader_lock));
        EXPECT_TRUE(found.judgement.advice.has(Advice::wait_after_loading));
        EXPECT_FALSE(found.judgement.advice.has(Advice::use_shim)) << "it would not have helped";
        EXPECT_EQ(unknot({"doctor", victim.id()}).code, 3);
        EXPECT_EQ(victim.out(), "loading\n");
    }
}
#endif

TEST(Deadlock, is_not_seen_where_locks_are_handed_on) {
    Victim victim("phdr_deadlock", tcmalloc_minimal, {"lock3", "100000000"});
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(cli::examine_process(victim.pid()).deadlock.seen);
}

TEST(Deadlock, is_found_beside_the_statistics_of_a_shim_that_only_observes) {
    Variables variables = bare_tcmalloc;
    variables[0].second = built("libunknot.so") + ":libtcmalloc.so.4";
    variables.emplace_back("UNKNOT_MODE", "observe");
    Victim victim("phdr_deadlock", variables, {process::certain_shape, "1000000"}, Ready::never);
    const auto found = examine_when_stuck(victim, victim.pid());
    EXPECT_EQ(found.judgement.verdict, Verdict::deadlocked);
    ASSERT_TRUE(found.page.has_value());
    EXPECT_TRUE(found.page->both_edges_seen());
}

TEST(Deadlock, is_reported_in_a_file_and_by_the_exit_code) {
    Victim victim("phdr_deadlock", bare_tcmalloc, {process::certain_shape, "1000000"}, Ready::never);
    examine_when_stuck(victim, victim.pid());
    const Folder folder;
    const std::string file = folder / "report.txt";
    const process::Result result = unknot({"doctor", "--report", file, victim.id()});
    EXPECT_EQ(result.code, 3) << result.out << result.err;
    EXPECT_NE(result.out.find("deadlocked"), std::string::npos);
    const std::string report = content(file);
    for (const char* needed : {"_dl_load_write_lock", second_lock, "dl_iterate_phdr", "GetStackTrace", "glibc 2.",
                               "gperftools", "what to do"})
        EXPECT_NE(report.find(needed), std::string::npos) << needed << " is not in\n" << report;

    // A report that is there already is kept, and the verdict does not depend on it.
    const process::Result again = unknot({"doctor", "--report", file, victim.id()});
    EXPECT_EQ(again.code, 3);
    EXPECT_NE(again.err.find("cannot be written"), std::string::npos);
    EXPECT_EQ(content(file), report);
}

// Reading must leave no trace: the waiter for the loader lock has not run once because of it.
TEST(Deadlock, is_read_without_touching_the_process) {
    Victim victim("phdr_deadlock", bare_tcmalloc, {process::certain_shape, "1000000"}, Ready::never);
    const auto found = examine_when_stuck(victim, victim.pid());
    const pid_t waiter = waiting_for(found, "_dl_load_write_lock")->tid;
    const auto switches = [&] {
        for (const auto& thread : cli::Process(victim.pid()).threads())
            if (thread.tid == waiter) return thread.switches;
        return std::uint64_t{0};
    };
    const std::uint64_t before = switches();
    ASSERT_NE(before, 0u);
    unknot({"doctor", victim.id()});
    EXPECT_EQ(switches(), before);
}

// In a container the owner words hold thread ids that mean something else out here.
TEST(Deadlock, is_told_across_process_id_namespaces) {
    if (geteuid() != 0) GTEST_SKIP() << "a namespace of process ids needs root";
    Victim victim("/usr/bin/unshare", bare_tcmalloc,
                  {"--pid", "--fork", built("phdr_deadlock"), process::certain_shape, "1000000"}, Ready::never);
    const auto found = examine_when_stuck(victim, child_of(victim));
    expect_closed(found.deadlock.cycle);
    const auto* loader = waiting_for(found, "_dl_load_write_lock");
    ASSERT_NE(loader, nullptr);
    EXPECT_NE(loader->recorded_owner, loader->held_by);
}

TEST(Deadlock, is_not_seen_in_a_storm_of_walks_that_moves) {
    Victim victim("phdr_deadlock", tcmalloc_minimal, {"malloc", "100000000"});
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(cli::examine_process(victim.pid()).deadlock.seen);
}

TEST(Deadlock, is_not_seen_under_the_shim) {
    Variables variables = bare_tcmalloc;
    variables[0].second = built("libunknot.so") + ":libtcmalloc.so.4";
    Victim victim("phdr_deadlock", variables, {"malloc", "100000000"});
    for (int i = 0; i < 5; ++i) {
        const auto found = cli::examine_process(victim.pid());
        EXPECT_FALSE(found.deadlock.seen);
        EXPECT_EQ(found.judgement.verdict, Verdict::is_protected);
    }
}

}  // namespace
}  // namespace unknot::test
