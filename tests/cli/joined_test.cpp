// SPDX-License-Identifier: Apache-2.0
// A thread is found by a word of its struct pthread, which is where pthread_join waits from glibc 2.43 on; and a wait
// for a mutex is told from it. deadlock_test.cpp has what becomes of a real join.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "cli/judge/joined.h"
#include "cli/judge/waits.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

TEST(Joined, is_the_thread_around_the_word) {
    std::promise<pid_t> id;
    std::promise<void> over;
    std::thread thread([&] {
        id.set_value(static_cast<pid_t>(syscall(SYS_gettid)));
        over.get_future().wait();
    });
    const pid_t tid = id.get_future().get();
    const cli::Process self(getpid());
    const auto objects = cli::objects_of(self, self.mappings());
    const auto threads = cli::snapshot_of(self.threads());
    const auto start = static_cast<std::uint64_t>(thread.native_handle());
    for (const std::uint64_t offset : {0x2d0, 0x300, 0x628})
        EXPECT_EQ(cli::thread_around(self, objects, threads, start + offset), tid) << offset;
    EXPECT_EQ(cli::thread_around(self, objects, threads, start + (1 << 14)), 0) << "beyond it";
    EXPECT_EQ(cli::thread_around(self, objects, threads, reinterpret_cast<std::uint64_t>(&self)), 0) << "a stack";
    EXPECT_EQ(cli::thread_around(self, objects, threads, 8), 0) << "no address";
    over.set_value();
    thread.join();
}

// The same word and the same value: libc waits for a mutex in one way and for whatever may be cancelled in another.
TEST(Joined, is_no_mutex) {
    cli::ThreadState thread;
    thread.in_syscall = true;
    thread.syscall = SYS_futex;
    thread.argument[0] = 4096;
    thread.argument[2] = 2;
    thread.argument[1] = FUTEX_WAIT_PRIVATE;
    EXPECT_TRUE(cli::waits_for_mutex(thread));
    thread.argument[1] = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
    EXPECT_FALSE(cli::waits_for_mutex(thread));
    EXPECT_NE(cli::waited_for(thread), 0u);
}

}  // namespace
}  // namespace unknot::test
