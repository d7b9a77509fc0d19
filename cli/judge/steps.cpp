// SPDX-License-Identifier: Apache-2.0
// A mutex records its owner, pthread_join waits on a word of the thread that it joins, a spin lock records nothing, and
// a condition variable has nobody to record.
#include "cli/judge/steps.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/judge/allocator_facts.h"
#include "cli/judge/joined.h"
#include "cli/judge/waits.h"

namespace unknot::cli {
namespace {

// The doors of libc's own malloc, as they stand in its dynamic symbols; its inner functions have no names there.
constexpr const char* allocating[] = {"malloc",      "__libc_malloc",   "free",           "__libc_free",
                                      "calloc",      "__libc_calloc",   "realloc",        "__libc_realloc",
                                      "memalign",    "__libc_memalign", "posix_memalign", "aligned_alloc",
                                      "reallocarray"};

bool is_function(const Frame& frame, std::string_view name) {
    return frame.text.starts_with(name) && frame.text.size() > name.size() &&
           (frame.text[name.size()] == ' ' || frame.text[name.size()] == '+');
}

bool is_news(const Frame& frame) {
    return frame.text.starts_with("pthread_cond_") || frame.text.starts_with("sem_");
}

bool looks_up(const Frame& frame) {
    return is_function(frame, "dlsym") || is_function(frame, "dlvsym");
}

bool is_unwinder(const Frame& frame) {
    return frame.object.starts_with("libunwind") || frame.object.starts_with("libgcc_s");
}

}  // namespace

Steps::Steps(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects,
             const Samples& samples, const LoaderLocks& locks, std::string allocator)
    : process_(process),
      mappings_(mappings),
      objects_(objects),
      samples_(samples),
      locks_(locks),
      allocator_(std::move(allocator)) {}

std::string Steps::lock_name(std::uint64_t address) const {
    if (const LoaderLock* lock = locks_.at(address)) return lock->name + " (loader lock)";
    const Object* object = objects_.containing(address);
    if (object == nullptr) return fmt::format("a futex at {:#x}", address);
    // libunwind's cache lock is a static that a stripped library has no name for.
    if (is_nongnu_libunwind(*object) && !object->file->covering(address - object->bias))
        return fmt::format("a lock of libunwind, {}+{:#x}", object->name(), address - object->bias);
    return objects_.describe(address);
}

const Stack& Steps::stack_of(pid_t tid) {
    const auto known = stacks_.find(tid);
    if (known != stacks_.end()) return known->second;
    if (!reader_) reader_.emplace(process_, objects_, mappings_);
    const ThreadState* thread = samples_.asleep(tid);
    return stacks_[tid] = thread == nullptr ? Stack{} : reader_->read(*thread);
}

// What lies at the address is a mutex if it has a mutex's shape and the owner is a live thread, or, for the loader's
// locks, whatever it says.
std::optional<std::int32_t> Steps::recorded_owner(std::uint64_t address) const {
    const LoaderLock* loader = locks_.at(address);
    const auto words = process_.read<MutexWords>(loader != nullptr ? loader->address : address);
    if (!words) return std::nullopt;
    if (loader != nullptr) return words->owner;
    if (!is_held_mutex(*words) || samples_.thread_with_inner(words->owner) == 0) return std::nullopt;
    return words->owner;
}

// A spin lock has no owner word. Its holder, if it takes part in a deadlock through the loader, is a thread that waits
// for a loader lock with a frame of the lock's own object on its stack; of libc's, which is on every stack, only with
// one of its malloc. What a condition variable or a semaphore tells is held by nobody.
pid_t Steps::inferred_owner(pid_t waiter, std::uint64_t address, std::string& evidence) {
    const Object* object = objects_.containing(address);
    const auto& frames = stack_of(waiter).frames;
    if (object == nullptr || std::any_of(frames.begin(), frames.end(), is_news)) return 0;
    const bool libc = object->exports("__libc_start_main");
    for (const auto& [tid, thread] : samples_.last()) {
        const std::uint64_t wait = samples_.steady_wait(tid);
        if (wait == 0 || wait == address || locks_.at(wait) == nullptr) continue;
        const Stack& stack = stack_of(tid);
        const Frame* inside = stack.named_frame_in(object->name());
        if (libc) {
            const auto door = std::find_if(stack.frames.begin(), stack.frames.end(),
                                           [&](const Frame& frame) { return is_inside_allocator(frame); });
            inside = door == stack.frames.end() ? nullptr : &*door;
        }
        if (inside == nullptr) continue;
        evidence =
            fmt::format("its stack {} {}", inside->scanned ? "holds a return address in" : "is inside", inside->text);
        return tid;
    }
    return 0;
}

// Taken, and nobody has signed for it: the waiter itself was about to, or had just crossed its name out.
void Steps::look_for_interruption(CycleStep& step) {
    const std::string place = stack_of(step.tid).interrupted_walk();
    if (place.empty() || !step.waits_for.starts_with("_dl_load_write_lock")) return;
    step.source = OwnerSource::interrupted;
    step.held_by = step.tid;
    step.evidence = place;
}

void Steps::look_at_owner(CycleStep& step, std::int32_t owner) {
    step.recorded_owner = owner;
    step.held_by = owner == 0 ? 0 : samples_.thread_with_inner(owner);
    if (step.through_loader && owner != 0 && step.held_by == 0) step.source = OwnerSource::absent;
    if (step.through_loader && owner == 0) look_for_interruption(step);
    if (!step.through_loader && step.held_by == step.tid && waits_for_itself(process_, samples_.last().at(step.tid))) {
        step.source = OwnerSource::itself;
        step.evidence =
            stack_of(step.tid).signal_frame() ? "it took it before the signal handler on its stack came in" : "";
    }
}

// A mutex by its shape and by the function that waits, of an owner that is no thread here.
bool Steps::look_for_abandoned(CycleStep& step, std::uint64_t address) {
    const auto words = process_.read<MutexWords>(address);
    if (!words || !waits_for_mutex(samples_.last().at(step.tid)) || !is_held_mutex(*words)) return false;
    if (samples_.thread_with_inner(words->owner) != 0) return false;
    const Stack& stack = stack_of(step.tid);
    constexpr std::size_t innermost = 4;  // the system call, the wait, the lock
    const auto end = stack.frames.begin() + static_cast<std::ptrdiff_t>(std::min(innermost, stack.frames.size()));
    if (std::none_of(stack.frames.begin(), end, [](const Frame& frame) {
            return !frame.scanned && frame.text.find("pthread_mutex_lock") != std::string::npos;
        }))
        return false;
    step.source = OwnerSource::absent;
    step.recorded_owner = words->owner;
    return true;
}

bool Steps::look_for_joined(CycleStep& step) {
    const ThreadState* thread = samples_.asleep(step.tid);
    step.held_by = thread == nullptr ? 0 : joined_by(process_, objects_, samples_.last(), *thread);
    if (step.held_by == 0) return false;
    step.source = OwnerSource::joined;
    step.recorded_owner = samples_.last().at(step.held_by).inner_tid;
    return true;
}

// Inside the allocator, called from elsewhere, called from inside the allocator: it has the lock that it waits for.
bool Steps::look_for_reentry(CycleStep& step) {
    const auto& frames = stack_of(step.tid).frames;
    const auto inside = [&](const Frame& frame) { return is_inside_allocator(frame) && !frame.scanned; };
    const auto elsewhere = [&](const Frame& frame) {
        const bool of_libc = frame.object.starts_with("libc.so") || frame.object.starts_with("libc-");
        return !is_inside_allocator(frame) && (!of_libc || looks_up(frame));
    };
    const auto inner = std::find_if(frames.begin(), frames.end(), inside);
    const auto between = std::find_if(inner, frames.end(), elsewhere);
    const auto outer = std::find_if(between, frames.end(), inside);
    if (outer == frames.end()) return false;
    step.source = OwnerSource::itself;
    step.held_by = step.tid;
    step.evidence = fmt::format("its own stack is inside {} further out", outer->text);
    return true;
}

bool Steps::is_inside_allocator(const Frame& frame) const {
    if (!frame.object.starts_with("libc.so") && !frame.object.starts_with("libc-")) return frame.object == allocator_;
    return std::any_of(std::begin(allocating), std::end(allocating),
                       [&](const char* name) { return is_function(frame, name); });
}

// The shim serves the loader lock's owner instead of the allocator, and an unwinder's walk instead of the lock.
bool Steps::shim_cuts(const CycleStep& step, std::uint64_t address) {
    const Stack& stack = stack_of(step.tid);
    if (stack.frames.empty()) return true;  // nothing speaks against it
    const bool allocates = std::any_of(stack.frames.begin(), stack.frames.end(),
                                       [&](const Frame& frame) { return is_inside_allocator(frame); });
    if (step.source == OwnerSource::itself) {
        // A tool's look-up came back into malloc. At its start the shim asks the allocator what it has to know, and
        // that look-up would come back there too.
        if (std::any_of(stack.frames.begin(), stack.frames.end(), looks_up)) return false;
        const std::int32_t inner = samples_.last().at(step.tid).inner_tid;
        return allocates && std::any_of(locks_.locks.begin(), locks_.locks.end(),
                                        [&](const LoaderLock& lock) { return lock.words.owner == inner; });
    }
    if (!step.through_loader) {
        const Object* object = objects_.containing(address);
        return allocates ||
               (object != nullptr && (object->name() == allocator_ || object->name().starts_with("libunwind")));
    }
    if (!step.waits_for.starts_with("_dl_load_write_lock")) return false;
    bool walks = false;
    for (const Frame& frame : stack.frames) {
        const bool walk = frame.text.starts_with("dl_iterate_phdr");
        if (walks && !walk) return is_unwinder(frame) || is_inside_allocator(frame);
        walks = walks || walk;
    }
    return false;
}

CycleStep Steps::step_of(pid_t tid, std::uint64_t address) {
    CycleStep step;
    step.tid = tid;
    step.thread_name = samples_.last().at(tid).name;
    step.waits_for = lock_name(address);
    step.through_loader = locks_.at(address) != nullptr;
    step.callback = stack_of(tid).callback_of_walk();
    if (const auto owner = recorded_owner(address)) {
        look_at_owner(step, *owner);
    } else if (!look_for_abandoned(step, address) && !look_for_joined(step)) {
        step.held_by = inferred_owner(tid, address, step.evidence);
        step.source = step.held_by != 0 ? OwnerSource::inferred : OwnerSource::nobody;
        if (step.held_by == 0) look_for_reentry(step);
    }
    step.shim_cuts = shim_cuts(step, address);
    return step;
}

}  // namespace unknot::cli
