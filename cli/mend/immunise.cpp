// SPDX-License-Identifier: Apache-2.0
#include "cli/mend/immunise.h"

#include "cli/mend/foreign_memory.h"

namespace unknot::cli {

void apply(const Process& process, const Cure& cure) {
    ForeignMemory(process).replace(cure.address, &cure.now, &cure.cured, sizeof cure.cured);
}

void undo(const Process& process, const Cure& cure) {
    ForeignMemory(process).replace(cure.address, &cure.now, &cure.original, sizeof cure.original);
}

}  // namespace unknot::cli
