// SPDX-License-Identifier: Apache-2.0
#include "cli/judge/replaced_library.h"

#include <fmt/format.h>

namespace unknot::cli {

std::string note_on_replaced_library(const Process& process, const Objects& objects) {
    for (const Object& object : objects.list) {
        if ((object.name() != "libunknot.so" && object.name() != "libunknot_walks.so") || !object.deleted) continue;
        const auto now = ElfFile::open(process.outside_path(object.path));
        if (now == nullptr)
            return fmt::format("its {} has been removed since it was started; the process keeps it until it ends",
                               object.path);
        // A file that was written again and is the same, by its build id, is no other build.
        if (object.file != nullptr && !now->build_id().empty() && object.file->build_id() == now->build_id()) return "";
        return fmt::format("it runs an older build of {} than the one that is there now; restart it to use that",
                           object.path);
    }
    return "";
}

}  // namespace unknot::cli
