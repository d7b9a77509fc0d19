// SPDX-License-Identifier: Apache-2.0
// What looks like a return address, and who looks for one: so an unwinder that bears no name is known. Also part of
// libunknot_walks.a, so it needs nothing but libc and the kernel.
#pragma once

#include <cstddef>

namespace [[gnu::visibility("hidden")]] unknot {

// Is this what an unwinder hands to its callback? Both known ones begin it with the address whose object they look for
// (libunwind, src/dwarf/Gfind_proc_info-lsb.c, struct dwarf_callback_data; libgcc, unwind-dw2-fde-dip.c, struct
// unw_eh_callback_data), and that address is a return address on their own thread's stack. A word that is neither a
// return address nor stands on this stack a second time is somebody else's; `data` may be anything.
bool looks_for_own_return_address(const void* data, const void* frame);

}  // namespace unknot
