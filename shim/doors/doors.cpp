// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/doors.h"

#include "shim/doors/enter.h"
#include "shim/log/report.h"

namespace unknot {

namespace {

std::size_t usable_size(const void* block) {
    return arena.usable_size(block);
}
bool resize_in_place(void* block, std::size_t size) {
    return arena.resize_in_place(thread_state.cursor, block, size);
}

}  // namespace

extern "C" constinit const Doors unknot_doors_1{
    .arena = &arena,
    .allocate = divert_allocation,
    .reallocate = divert_reallocation,
    .deallocate = divert_deallocation,
    .must_divert = must_divert,
    .walks_never_wait = walks_never_wait,
    .usable_size = usable_size,
    .resize_in_place = resize_in_place,
    .missing_vendor = report::missing_vendor,
    .missing_function = report::missing_function,
};

}  // namespace unknot
