// SPDX-License-Identifier: Apache-2.0
// What the shim says to the operator: one line, no allocation. One function per thing to say, so that call sites read
// as sentences. Safe in signal handlers and under any lock.
#pragma once

#include <cstddef>

#include "policy/settings.h"

namespace unknot::report {

void bad_setting(const BadSetting& bad);
// A mode was asked for that needs malloc, of libunknot_walks.so.
void walks_only();
void not_on_path(const char* executable_malloc_owner, Mode left);
void wrong_order(const char* allocator, Mode left);
void calls_redirected();
void beside_sanitizer(const char* runtime);
[[noreturn]] void no_real_allocator();
void missing_vendor(const char* object, const char* function);
[[noreturn]] void missing_function(const char* function);
void calibration_failed(const char* reason);
void no_snapshot();
void no_exit_hook();
void another_libc();
void static_reserve(std::size_t bytes);

// The report of UNKNOT_REPORT=exit.
void statistics(const StatsPage& page);

// Proved memory corruption: these do not return.
[[noreturn]] void double_free(const void* block, std::size_t bytes, const char* operation);
[[noreturn]] void not_a_block(const void* block, const char* operation);
[[noreturn]] void cannot_throw(std::size_t bytes);

}  // namespace unknot::report
