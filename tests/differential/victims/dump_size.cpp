// SPDX-License-Identifier: Apache-2.0
// How much a dump of the process has to look at, after walks that allocate: every mapping that is not excluded from
// dumps. More than address space that allocators reserve for threads is too much.
#include <fstream>
#include <sstream>
#include <string>

#include "tests/differential/stage.h"

int main() {
    for (int i = 0; i < 100; ++i) stage::allocate_in_a_walk();
    std::ifstream maps("/proc/self/smaps");
    unsigned long size_kb = 0, sum_kb = 0;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::string key;
        words >> key;
        if (key == "Size:") words >> size_kb;
        if (key == "VmFlags:" && line.find(" dd") == std::string::npos) sum_kb += size_kb;
    }
    stage::expect(sum_kb > 1000, "there is something to dump");
    std::puts(sum_kb < (4ul << 20) ? "less than 4 GiB to dump" : "more than 4 GiB to dump");
    return 0;
}
