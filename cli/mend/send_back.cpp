// SPDX-License-Identifier: Apache-2.0
#include "cli/mend/send_back.h"

#include "cli/mend/held_thread.h"
#include "cli/read/callers.h"

namespace unknot::cli {
namespace {

// libc's lock, the walk, the unwinder and the allocator: 9 in glibc 2.36 with libunwind 1.6. No more are looked at,
// because the thread stands meanwhile.
constexpr std::size_t most_frames = 24;

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

}  // namespace

SentBack send_back(const Process& process, const Objects& objects, std::uint64_t allocator_start,
                   const ThreadState& judged) {
    SentBack sent;
    sent.tid = judged.tid;
    sent.name = judged.name;
    HeldThread thread(process, judged.tid);
    if (!still_in(wait_of(judged), thread.wait(), thread.result())) {
        sent.refusal = Refusal::awake;
        return sent;
    }
    const Frames frames = frames_of(process, objects, allocator_start, thread.registers());
    const WayOut out = way_out(frames.kinds.data(), frames.kinds.size());
    sent.refusal = out.refusal;
    // The tables may have ended before the allocator's frame.
    if (out.refusal != Refusal::none && frames.kinds.back() != FrameOf::other)
        sent.refusal = Refusal::frame_not_unwound;
    if (sent.refusal != Refusal::none) return sent;
    thread.return_to(frames.registers[out.leave + 1], out.result);
    sent.held_us = thread.release();
    sent.out_of = objects.describe(frames.registers[out.leave].pc(), true);
    sent.to = objects.describe(frames.registers[out.leave + 1].pc(), true);
    return sent;
}

}  // namespace unknot::cli
