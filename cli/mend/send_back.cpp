// SPDX-License-Identifier: Apache-2.0
#include "cli/mend/send_back.h"

#include <unistd.h>

#include <algorithm>

#include "cli/judge/waits.h"
#include "cli/mend/held_thread.h"
#include "cli/read/callers.h"

namespace unknot::cli {
namespace {

// libc's lock, the walk, the unwinder and the allocator: 9 in glibc 2.36 with libunwind 1.6. No more are looked at,
// because the thread stands meanwhile.
constexpr std::size_t most_frames = 24;
// gperftools' traces hold 31 frames, jemalloc's 128, and a frame is asked about more than once.
constexpr int most_times = 512;

struct Frames {
    std::vector<Registers> registers;
    std::vector<FrameOf> kinds;
};

// Up to the allocator, or to whoever is on no list.
Frames frames_of(const Process& process, const Objects& objects, std::uint64_t allocator_start,
                 const Registers& innermost) {
    Frames found;
    std::optional<Registers> at = innermost;
    while (at && found.kinds.size() < most_frames) {
        const bool is_call = !found.kinds.empty();
        found.registers.push_back(*at);
        found.kinds.push_back(frame_of(objects, allocator_start, at->pc() - (is_call ? 1 : 0)));
        if (found.kinds.back() == FrameOf::allocator || found.kinds.back() == FrameOf::other) break;
        at = caller_of(process, objects, *at, is_call);
    }
    return found;
}

// The stack trace that waits: the allocator's frame under it. Another one has begun anew, and is judged anew.
struct Trace {
    std::uint64_t stack_pointer = 0, program_counter = 0;
    bool operator==(const Trace&) const = default;
};

// Once. `trace`: the one that it must be, or 0 for the first time; filled in.
Refusal send_once(const Process& process, const Objects& objects, std::uint64_t allocator_start,
                  const ThreadState& judged, Trace& trace, SentBack& sent) {
    HeldThread thread(process, judged.tid);
    if (!still_in(wait_of(judged), thread.wait(), thread.result())) return Refusal::awake;
    const Frames frames = frames_of(process, objects, allocator_start, thread.registers());
    const WayOut out = way_out(frames.kinds.data(), frames.kinds.size());
    // The tables may have ended before the allocator's frame.
    if (out.refusal != Refusal::none)
        return frames.kinds.back() == FrameOf::other ? out.refusal : Refusal::frame_not_unwound;
    const Registers& last = frames.registers.back();
    const Trace now{last.sp(), last.pc()};
    if (sent.times != 0 && !(now == trace)) return Refusal::changed;
    trace = now;
    thread.return_to(frames.registers[out.leave + 1], out.result);
    const double held_us = thread.release();
    sent.longest_us = std::max(sent.longest_us, held_us);
    sent.all_us += held_us;
    ++sent.times;
    sent.out_of = objects.describe(frames.registers[out.leave].pc(), true);
    sent.to = objects.describe(frames.registers[out.leave + 1].pc(), true);
    return Refusal::none;
}

// It sleeps in that lock again, soon. nullopt: it does something else.
std::optional<ThreadState> waits_again(const Process& process, const ThreadState& judged) {
    constexpr int looks = 100;
    constexpr useconds_t apart_us = 500;
    for (int look = 0; look < looks; ++look) {
        usleep(apart_us);
        auto now = process.thread(judged.tid);
        if (!now) return std::nullopt;
        if (now->in_syscall) return waited_for(*now) == waited_for(judged) ? now : std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

SentBack send_back(const Process& process, const Objects& objects, std::uint64_t allocator_start,
                   const ThreadState& judged) {
    SentBack sent;
    sent.tid = judged.tid;
    sent.name = judged.name;
    // A rehearsal with what is known without holding it, so that the tables have been read when it stands.
    for (const Object& object : objects.list)
        if (object.file != nullptr) object.file->unwind_table();
    Registers known;
    known.word[Registers::stack_pointer] = judged.stack_pointer;
    known.word[Registers::program_counter] = judged.program_counter;
    frames_of(process, objects, allocator_start, known);

    Trace trace;
    sent.refusal = send_once(process, objects, allocator_start, judged, trace, sent);
    while (sent.refusal == Refusal::none && sent.times < most_times) {
        const auto again = waits_again(process, judged);
        if (!again || send_once(process, objects, allocator_start, *again, trace, sent) != Refusal::none) break;
    }
    return sent;
}

}  // namespace unknot::cli
