// SPDX-License-Identifier: Apache-2.0
// What stands on this thread's own stack: is this walk made from inside the allocator, or by a throw? Asked only when
// an unwinder finds the loader lock busy, so malloc pays nothing for it.
//
// Mistakes, and what they cost. The scan reads words, not frames: a stale word can look like a return address.
//   "inside" though it is not: the walk is served from the snapshot. While the snapshot is current (it is, whenever the
//       lock is held by a walk: walks refresh it first) that is the same answer. While it is not, an exception could
//       miss the library that is being loaded right now; so a scan that also meets a throw says so, and the walk tries
//       for the real lock a little longer before it takes the snapshot.
//   "not inside" though it is: with an outdated snapshot a throw would wait inside the allocator, as without the shim.
//       For this the allocator's frame would have to be more than `scan_limit` bytes away, past all frames of the
//       unwinder.
// So every doubt is decided for "inside".
#pragma once

#include <cstddef>

namespace [[gnu::visibility("hidden")]] unknot {

// In bytes, upwards from the caller. Far enough to decide by; and, where nothing but a count depends on the answer,
// past the frames of libunwind (5 KiB, 1.6.2 on x86_64) and of libgcc.
inline constexpr std::size_t scan_limit = std::size_t{64} << 10;
inline constexpr std::size_t brief_scan_limit = std::size_t{8} << 10;

struct StackFindings {
    bool inside_allocator;
    bool throwing;     // a return address into an unwinder's throwing functions stands there
    bool interrupted;  // a signal handler is running
};

// Scans upwards from `frame`, to where the stack is known to end or cannot be read any further.
// `unwinder` is the return address of the walk's caller: a throw of another unwinder's, or what one has left behind on
// the stack, is not this walk's.
StackFindings look_at_own_stack(const void* frame, const void* unwinder, std::size_t limit = scan_limit);

// Is `upper` a frame further up on the stack that `frame` stands on? No, where more than a megabyte or a page that
// cannot be read lies between the two.
bool is_further_up(const void* upper, const void* frame);

}  // namespace unknot
