// SPDX-License-Identifier: Apache-2.0
// Which code was seen on which edge, or diverted: a fixed table of return addresses in the statistics page; lock-free,
// allocates nothing, asks the loader nothing (its questions take the load lock).
#pragma once

#include <bit>

#include "shim/log/stats.h"
#include "shim/system/platform.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Where a return address stands in its table, or nearby. Knuth's multiplicative hash.
inline std::size_t home_of(std::uint64_t address) {
    constexpr int bits = std::countr_zero(witness_records);
    return static_cast<std::uint32_t>(address) * 0x9E3779B1u >> (32 - bits);
}
inline std::uint64_t address_of(const void* caller) {
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(caller));
}
inline WitnessRecord& home_of(WitnessRecord (&records)[witness_records], const void* caller) {
    return records[home_of(address_of(caller))];
}
// Relaxed: readers look at a process that may be in the middle of anything.
inline bool is_sighting_of(WitnessRecord& record, const void* caller) {
    return std::atomic_ref(record.address).load(std::memory_order_relaxed) == address_of(caller);
}

UNKNOT_COLD void witness_elsewhere(WitnessRecord (&records)[witness_records], std::uint64_t caller);

// Another locked instruction would cost a fifth of a diverted pair: of two threads that come from one place at the same
// moment, one may go uncounted.
inline void add_sighting(WitnessRecord& record) {
    set(record.count, value_of(record.count) + 1);
}

// One more sighting of `caller`. A table that is full keeps those that are seen most.
inline void witness(WitnessRecord (&records)[witness_records], const void* caller) {
    WitnessRecord& home = home_of(records, caller);
    if (is_sighting_of(home, caller)) return add_sighting(home);
    witness_elsewhere(records, address_of(caller));
}

}  // namespace unknot
