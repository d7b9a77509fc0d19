// SPDX-License-Identifier: Apache-2.0
// A library whose threads get a large block of their own at first use.
namespace {
thread_local char own[300'000];
}  // namespace

extern "C" void touch_own() {
    own[sizeof own - 1] = 1;
    asm volatile("" ::"r"(&own[0]) : "memory");
}
