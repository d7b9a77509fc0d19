// SPDX-License-Identifier: Apache-2.0
// Which malloc a process really uses, and how that allocator takes its stack traces.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/read/objects.h"
#include "policy/allocator.h"

namespace unknot::cli {

// gperftools' stack methods, as they stand in the process (stack_method.h).
struct MethodTable {
    std::uint64_t variable = 0;                 // where the pointer to the row in force stands; 0: not found
    std::uint64_t in_force = 0;                 // what it points at
    StackMethod method = StackMethod::unknown;  // that row's
    std::map<std::string, std::uint64_t> rows;  // every row, by the method's name as gperftools spells it
};

struct AllocatorFacts {
    AllocatorEvidence evidence;
    AllocatorKind kind = AllocatorKind::unknown;
    std::string object;              // file name of the object whose malloc is called; empty: not found
    std::uint64_t object_start = 0;  // of its mapping
    std::string version;             // as the object says, or its file name's
    std::string method_source;       // how the stack method is known, in words
    std::string unwinder;            // object that unwinds for it
    MethodTable methods;             // of gperftools' full build in a process
    bool full_build = false;         // takes stack traces
    bool knows_generic_fp = false, knows_libgcc = false;
    // What it would unwind with, were its import of its unwinder not cut (`unknot immunise`).
    StackMethod uncut_method = StackMethod::unknown;
    bool is_cut = false;
    bool in_executable = false;
    bool sanitizer = false;
    std::vector<std::string> unused;  // other allocators that are loaded but whose malloc is not called
};

// The environment a process was started with, or, for a command that does not run yet, the one it would get from here.
class Environment {
  public:
    explicit Environment(const Process* process) : process_(process) {}
    std::optional<std::string> operator()(const char* variable) const;

  private:
    const Process* process_;  // nullptr: this program's own environment
};

// `process` is nullptr for a command that does not run.
AllocatorFacts allocator_of(const Process* process, const Objects& objects, const Environment& environment,
                            unsigned glibc_minor);

// nongnu.org's, with or without the exceptions of C++ (Debian's 1.8.1 has been both).
bool is_nongnu_libunwind(const Object& object);

std::string name_of(AllocatorKind kind);
std::string name_of(StackMethod method);

}  // namespace unknot::cli
