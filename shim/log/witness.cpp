// SPDX-License-Identifier: Apache-2.0
#include "shim/log/witness.h"

#include "shim/system/object_names.h"

namespace unknot {

namespace {

// A caller's record is its home or one of the three behind it, so that a call costs no more where there are many.
constexpr std::size_t ways = 4;

// Of callers that found no room, in all tables.
constinit std::atomic<std::uint64_t> without_room{0};

// No return address. Its record is somebody's, who writes a name; one who never comes back keeps it.
constexpr std::uint64_t being_named = 1;

// The record's old caller, or 0, is replaced. A sighting of either that comes between is lost or counted for the other.
void replace(WitnessRecord& record, std::uint64_t before, std::uint64_t caller) {
    std::atomic_ref<std::uint64_t> address(record.address);
    // Acquire pairs with the release below: the name that is written over has been written.
    if (before == being_named || !address.compare_exchange_strong(before, being_named, std::memory_order_acquire))
        return;
    set(record.count, 0);  // readers skip it
    name_object(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(caller)), record);
    set(record.count, 1);
    address.store(caller, std::memory_order_release);
}

}  // namespace

void witness_elsewhere(WitnessRecord (&records)[witness_records], std::uint64_t caller) {
    WitnessRecord* rarest = nullptr;
    for (std::size_t way = 0; way < ways; ++way) {
        WitnessRecord& record = records[(home_of(caller) + way) % witness_records];
        const std::uint64_t seen = value_of(record.address);
        if (seen == caller) return add_sighting(record);
        if (seen == 0) return replace(record, 0, caller);
        if (rarest == nullptr || value_of(record.count) < value_of(rarest->count)) rarest = &record;
    }
    // On average when as many have come in vain as the rarest was seen: the frequent ones stay, or soon come in.
    // Relaxed: a die, not a count.
    const std::uint64_t enough = value_of(rarest->count) + 1;
    if (without_room.fetch_add(1, std::memory_order_relaxed) % enough == 0)
        replace(*rarest, value_of(rarest->address), caller);
}

}  // namespace unknot
