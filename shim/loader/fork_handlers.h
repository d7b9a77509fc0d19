// SPDX-License-Identifier: Apache-2.0
// What a fork asks of the shim. Registered before the real allocator is reached for the first time, so that (handlers
// before a fork run last registered first) ours runs after the allocator's own.
#pragma once

namespace unknot {

void register_fork_handlers();

}  // namespace unknot
