// SPDX-License-Identifier: Apache-2.0
#include "cli/judge/way.h"

#include <elf.h>
#include <link.h>

#include "cli/judge/allocator_facts.h"
#include "cli/judge/waits.h"

namespace unknot::cli {
namespace {

bool covers(const Object& object, const char* symbol, std::uint64_t address) {
    const auto found = object.file->defined(symbol);
    if (!found) return false;
    const std::uint64_t start = object.bias + found->address;
    return address >= start && address < start + found->size;
}

// The loader says so itself (<link.h>, r_debug::r_state).
bool list_is_edited(const Process& process, const Objects& objects) {
    const Object* loader = objects.loader();
    const auto symbol = loader == nullptr ? std::nullopt : loader->file->defined("_r_debug");
    const auto debug = symbol ? process.read<r_debug>(loader->bias + symbol->address) : std::nullopt;
    return !debug || debug->r_state != r_debug::RT_CONSISTENT;
}

// Where the registers of a thread that stands are understood: in this program, and of that process.
bool machine_is_proved([[maybe_unused]] const Objects& objects) {
#if defined(__x86_64__)
    const Object* executable = objects.executable();
    return executable != nullptr && executable->file != nullptr && executable->file->machine() == EM_X86_64 &&
           executable->file->is_64bit();
#else
    return false;
#endif
}

}  // namespace

MendingFacts mending_facts_of(const Process& process, const Objects& objects, const Deadlock& deadlock,
                              const AllocatorFacts& allocator, const Cure& cure, const RiskFacts& facts) {
    MendingFacts found;
    found.machine_is_proved = machine_is_proved(objects);
    found.glibc_minor = facts.allocator.glibc_minor;
    found.cycle = facts.cycle;
    for (const ThreadState& thread : process.threads()) {
        const std::string tracer = process.thread_status(thread.tid, "TracerPid");
        found.is_traced = found.is_traced || (!tracer.empty() && tracer != "0");
        found.is_stopped = found.is_stopped || thread.state == 'T';
        // Linux, Documentation/arch/x86/shstk.rst.
        found.has_shadow_stack =
            found.has_shadow_stack ||
            process.thread_status(thread.tid, "x86_Thread_features").find("shstk") != std::string::npos;
    }
    found.allocator_in_executable = facts.malloc_in_executable;
    found.can_be_immune = cure.kind != CureKind::none;
    for (const ThreadReport* waiter : waiters_of(deadlock))
        if (way_seen(objects, allocator.object_start, waiter->stack) == Refusal::none) found.waiter_is_listed = true;
    found.list_is_edited = list_is_edited(process, objects);
    return found;
}

const LoaderLock* write_lock_of(const Deadlock& deadlock) {
    for (const LoaderLock& lock : deadlock.locks.locks)
        if (lock.name == "_dl_load_write_lock") return &lock;
    return nullptr;
}

std::vector<const ThreadReport*> waiters_of(const Deadlock& deadlock) {
    std::vector<const ThreadReport*> waiting;
    const LoaderLock* lock = write_lock_of(deadlock);
    for (const ThreadReport& thread : deadlock.threads)
        if (lock != nullptr && thread.never_ran && waited_for(thread.state) == lock->address)
            waiting.push_back(&thread);
    return waiting;
}

FrameOf frame_of(const Objects& objects, std::uint64_t allocator_start, std::uint64_t address) {
    const Object* object = objects.containing(address);
    if (object == nullptr || object->file == nullptr) return FrameOf::other;
    if (object->exports("gnu_get_libc_version"))
        return covers(*object, "dl_iterate_phdr", address) ? FrameOf::walk : FrameOf::libc;
    // Until glibc 2.34 (its NEWS) the locks are another library's.
    if (object->file->soname() == "libpthread.so.0") return FrameOf::libc;
    if (is_nongnu_libunwind(*object)) return FrameOf::libunwind;
    if (object->file->soname() == "libgcc_s.so.1")
        return covers(*object, "_Unwind_Backtrace", address) ? FrameOf::backtrace : FrameOf::libgcc;
    return object->start == allocator_start ? FrameOf::allocator : FrameOf::other;
}

Wait wait_of(const ThreadState& thread) {
    return {thread.syscall, thread.argument[0], thread.stack_pointer, thread.program_counter};
}

Refusal way_seen(const Objects& objects, std::uint64_t allocator_start, const Stack& stack) {
    std::vector<FrameOf> frames;
    for (std::size_t i = 0; i < stack.frames.size(); ++i) {
        if (stack.frames[i].scanned) return Refusal::none;
        frames.push_back(frame_of(objects, allocator_start, stack.frames[i].address - (i == 0 ? 0 : 1)));
    }
    return way_out(frames.data(), frames.size()).refusal;
}

}  // namespace unknot::cli
