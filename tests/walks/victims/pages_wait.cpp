// SPDX-License-Identifier: Apache-2.0
// Tables that a callback makes and frees again and again are faulted in once, and their pages are back once the walk is
// over, however it ends: by a return, an exception, the end of the thread, in a child that was forked inside it, with a
// signal handler in its middle that allocates too, with several threads walking.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <thread>
#include <vector>

#include "policy/stats_page.h"
#include "tests/process/system.h"
#include "tests/walks/victims/stage.h"

namespace {

constexpr std::size_t table = 300'000;
constexpr std::uint64_t most_inside = std::uint64_t{13} << 20;  // what may wait, and a chunk for each thread
constexpr std::uint64_t most_after = std::uint64_t{2} << 20;
constexpr long few_faults = 60;  // 30 tables have 2220 pages

const unknot::StatsPage* page = nullptr;

std::uint64_t committed() {
    return __atomic_load_n(&page->arena_committed, __ATOMIC_RELAXED);
}

long faults() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

void make_tables() {
    std::array<char*, 30> tables{};
    for (char*& one : tables) {
        one = static_cast<char*>(scene::seen(std::malloc(table)));
        for (std::size_t at = 0; at < table; at += 4096) one[at] = 1;
    }
    for (char* one : tables) std::free(one);
}

void make_tables_twice() {
    make_tables();
    const long before = faults();
    make_tables();
    scene::expect(faults() - before <= few_faults, "the pages of the first tables are the second ones'");
    scene::expect(committed() <= most_inside, "no more waits than may");
}

void expect_all_back(const char* claim) {
    std::free(scene::seen(std::malloc(100)));  // the first call after the walk
    scene::expect(committed() <= most_after, claim);
}

void throws() {
    if (!unknot::process::callbacks_may_throw) return;
    try {
        scene::inside_walk([] {
            make_tables_twice();
            throw 1;
        });
    } catch (int) {
        expect_all_back("an exception gives them back");
    }
}

void thread_ends() {
    pthread_t thread;
    const auto body = [](void*) -> void* {
        scene::inside_walk([] {
            make_tables_twice();
            pthread_exit(nullptr);
        });
        return nullptr;
    };
    pthread_create(&thread, nullptr, body, nullptr);
    pthread_join(thread, nullptr);
    scene::expect(committed() <= most_after, "a thread that ends inside its walk gives them back");
}

void forks() {
    pid_t child = -1;
    scene::inside_walk([&child] {
        make_tables_twice();
        child = fork();
        make_tables();
    });
    expect_all_back("parent and child give them back");
    if (child == 0) std::exit(0);
    int status = 0;
    waitpid(child, &status, 0);
    scene::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "so does the child");
}

void is_interrupted() {
    std::signal(SIGUSR1, [](int) { make_tables(); });
    scene::inside_walk([] {
        make_tables();
        std::raise(SIGUSR1);
        make_tables_twice();
    });
    expect_all_back("a signal handler's too");
}

void walk_together() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([] {
            for (int round = 0; round < 10; ++round) scene::inside_walk(make_tables);
        });
    }
    for (std::thread& thread : threads) thread.join();
    scene::expect(committed() <= most_after, "several threads give them back");
}

}  // namespace

int main() {
    page = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    scene::expect(page != nullptr, "the shim is there");
    for (int round = 0; round < 5; ++round) {
        scene::inside_walk(make_tables_twice);
        scene::expect(committed() <= most_after, "the walk's end gives them back");
        throws();
        thread_ends();
        forks();
        is_interrupted();
        walk_together();
    }
    scene::progress("rounds", 5);
}
