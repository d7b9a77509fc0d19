// SPDX-License-Identifier: Apache-2.0
// The probe against the real loader of this system: calibrated as in the shim, then asked inside and outside of walks,
// dlopen and dlclose, in other threads, and in the child of a fork. This program's own malloc stands where the shim's
// entry points would: it lets the calibration see the allocations that ld.so makes.
#include "shim/loader/loader_lock.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* __libc_calloc(std::size_t count, std::size_t size);

namespace unknot {
namespace {

// What the last allocation under the load lock, made by ld.so itself, was told.
constinit std::atomic<int> allocations_under_the_load_lock{0};
constinit std::atomic<bool> watching{false};

void on_allocation() {
    confirm_load_lock(thread_state);
    if (watching.load(std::memory_order_relaxed) && owns_loader_lock(thread_state)) ++allocations_under_the_load_lock;
}

}  // namespace
}  // namespace unknot

extern "C" void* malloc(std::size_t size) {
    unknot::on_allocation();
    return __libc_malloc(size);
}
extern "C" void* calloc(std::size_t count, std::size_t size) {
    unknot::on_allocation();
    return __libc_calloc(count, size);
}

namespace unknot {
namespace {

// As the guard of shim/doors/enter.cpp does for a thread that it meets for the first time.
bool owns_here() {
    thread_state.id = id_in_mutexes();
    return owns_loader_lock(thread_state);
}

template <class Callback>
void in_a_walk(Callback callback) {
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            (*static_cast<Callback*>(data))();
            return 1;
        },
        &callback);
}

// Another libc, a changed layout: a walk that owns none of the mutexes. In a child, because a process calibrates once.
int walk_without_a_lock(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
    dl_phdr_info nothing{};
    return callback(&nothing, sizeof nothing, data);
}

// On a stack far below this one, as a coroutine's is.
bool owns_on_another_stack() {
    static bool owns = true;
    constexpr std::size_t bytes = 64 << 10;
    ucontext_t here;
    ucontext_t there;
    getcontext(&there);
    there.uc_stack.ss_sp = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    there.uc_stack.ss_size = bytes;
    there.uc_link = &here;
    makecontext(
        &there, [] { owns = owns_loader_lock(thread_state); }, 0);
    swapcontext(&here, &there);
    return owns;
}

TEST(LoaderLockUnknown, leaves_the_probe_to_the_wrapper_and_says_why) {
    const pid_t child = fork();
    if (child == 0) {
        thread_state.id = id_in_mutexes();
        thread_state.id = id_in_mutexes();
        const char* failure = calibrate(walk_without_a_lock);
        bool good = failure != nullptr && loader_locks.probe == Probe::wrapper && !owns_loader_lock(thread_state);
        thread_state.walks = 1;
        thread_state.outermost_walk = __builtin_frame_address(0);  // further up the stack: the walk goes on
        good = good && owns_loader_lock(thread_state);
        thread_state.outermost_walk = nullptr;  // a frame that is gone: it has ended without a word
        good = good && !owns_loader_lock(thread_state) && thread_state.walks == 0;
        thread_state.walks = 1;
        thread_state.outermost_walk = __builtin_frame_address(0);
        good = good && !owns_on_another_stack() && thread_state.walks == 0;  // its callback has jumped away for good
        _exit(good ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

// Calibrated once, as in a process, while other threads walk and load without pause: theirs must not be taken for ours.
class LoaderLock : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        std::atomic<bool> stop{false};
        std::atomic<int> rounds{0};
        std::thread walker([&] {
            while (!stop) in_a_walk([&] { ++rounds; });
        });
        std::thread loader([&] {
            while (!stop) {
                dlopen("/nonexistent/other.so", RTLD_NOW);
                dlerror();
                ++rounds;
            }
        });
        while (rounds < 100) std::this_thread::yield();
        thread_state.id = id_in_mutexes();
        failure_ = calibrate(dl_iterate_phdr);
        stop = true;
        walker.join();
        loader.join();
    }
    void SetUp() override { ASSERT_EQ(failure_, nullptr) << failure_; }
    static inline const char* failure_ = "not calibrated";
};

TEST_F(LoaderLock, is_found_and_confirmed) {
    EXPECT_EQ(loader_locks.probe, Probe::owner_words);
    ASSERT_NE(loader_locks.write_lock, nullptr);
    EXPECT_NE(loader_locks.load_owner, &nobody);
    EXPECT_NE(loader_locks.load_owner, loader_locks.write_owner);
}

// Offsets measured on other days stand here, and nowhere in the shim.
TEST_F(LoaderLock, lies_where_it_was_seen_to_lie) {
    const auto offset = reinterpret_cast<const char*>(loader_locks.write_lock) -
                        static_cast<const char*>(dlsym(RTLD_DEFAULT, "_rtld_global"));
    unsigned minor = 0;
    const char* version = nullptr;
    if (auto* ask = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"))) version = ask();
    ASSERT_NE(version, nullptr);
    ASSERT_EQ(std::sscanf(version, "2.%u", &minor), 1);
#if defined(__x86_64__)
    if (minor == 31)
        EXPECT_EQ(offset, 2352);
    else if (minor == 36 || minor == 41)
        EXPECT_EQ(offset, 2608);
#elif defined(__aarch64__)
    if (minor == 36) EXPECT_EQ(offset, 2744);
#endif
    else
        GTEST_SKIP() << "nobody has measured glibc " << version;
}

TEST_F(LoaderLock, is_not_owned_outside_the_loader) {
    EXPECT_FALSE(owns_here());
}

TEST_F(LoaderLock, is_owned_inside_a_walk_and_not_after_it) {
    for (int i = 0; i < 100; ++i) {
        bool inside = false;
        in_a_walk([&] { inside = owns_here(); });
        EXPECT_TRUE(inside);
        EXPECT_FALSE(owns_here());
    }
}

TEST_F(LoaderLock, is_owned_inside_nested_walks_until_the_last_one_ends) {
    bool inner = false;
    bool between = false;
    in_a_walk([&] {
        in_a_walk([&] { inner = owns_here(); });
        between = owns_here();
    });
    EXPECT_TRUE(inner);
    EXPECT_TRUE(between);
    EXPECT_FALSE(owns_here());
}

TEST_F(LoaderLock, is_owned_by_the_thread_that_walks_and_by_no_other) {
    std::atomic<int> stage{0};
    bool walker_inside = false;
    std::thread walker([&] {
        in_a_walk([&] {
            walker_inside = owns_here();
            stage = 1;
            while (stage != 2) std::this_thread::yield();
        });
        EXPECT_FALSE(owns_here());
    });
    while (stage != 1) std::this_thread::yield();
    EXPECT_FALSE(owns_here());
    stage = 2;
    walker.join();
    EXPECT_TRUE(walker_inside);
}

TEST_F(LoaderLock, is_owned_while_ld_so_allocates) {
    thread_state.id = id_in_mutexes();
    allocations_under_the_load_lock = 0;
    watching = true;
    void* library = dlopen("libm.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (library == nullptr) library = dlopen("libm.so.6", RTLD_NOW);
    dlopen("/nonexistent/library.so", RTLD_NOW);
    dlerror();
    watching = false;
    if (library != nullptr) dlclose(library);
    EXPECT_GT(allocations_under_the_load_lock.load(), 0);
    EXPECT_FALSE(owns_here());
}

TEST_F(LoaderLock, is_known_in_the_child_of_a_fork_and_in_its_child) {
    const pid_t child = fork();
    if (child == 0) {
        thread_state.id = id_in_mutexes();
        bool good = !owns_loader_lock(thread_state);
        in_a_walk([&] { good = good && owns_loader_lock(thread_state); });
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            thread_state.id = id_in_mutexes();
            bool inside = false;
            in_a_walk([&] { inside = owns_loader_lock(thread_state); });
            _exit(inside && !owns_loader_lock(thread_state) ? 0 : 1);
        }
        int status = 1;
        waitpid(grandchild, &status, 0);
        _exit(good && status == 0 ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

// A callback that jumps out leaves the wrapper's mark behind, and, with libc's own walk, the lock as well: here the
// mark alone, as after an exception that libc's cleanup has seen.
TEST_F(LoaderLock, heals_a_mark_that_outlived_its_walk) {
    thread_state.id = id_in_mutexes();
    thread_state.walks = 3;
    const std::uint64_t healed = unknot_stats.healed;
    EXPECT_FALSE(owns_loader_lock(thread_state));
    EXPECT_EQ(thread_state.walks, 0u);
    EXPECT_EQ(unknot_stats.healed, healed + 1);
}

TEST_F(LoaderLock, keeps_the_mark_of_a_walk_that_goes_on) {
    thread_state.id = id_in_mutexes();
    in_a_walk([&] {
        thread_state.walks = 1;
        EXPECT_TRUE(owns_loader_lock(thread_state));
        EXPECT_EQ(thread_state.walks, 1u);
        thread_state.walks = 0;
    });
}

}  // namespace
}  // namespace unknot
