// SPDX-License-Identifier: Apache-2.0
#include "shim/log/witness.h"

#include "shim/system/object_names.h"

namespace unknot {

void witness(WitnessRecord (&records)[witness_records], const void* caller) {
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(caller));
    for (WitnessRecord& record : records) {
        std::atomic_ref<std::uint64_t> slot(record.address);
        // Relaxed, all: a record is claimed once by the exchange, and its readers look at a process that may be in the
        // middle of anything.
        std::uint64_t seen = slot.load(std::memory_order_relaxed);
        if (seen == 0 && slot.compare_exchange_strong(seen, address, std::memory_order_relaxed)) {
            name_object(caller, record);
            seen = address;
        }
        if (seen != address) continue;
        count(record.count);
        return;
    }
}

}  // namespace unknot
