// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/counted_unwinder.h"

extern "C" int walk_as_an_unwinder(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
    int walks = 1;
    walks += dl_iterate_phdr(callback, data);  // no jump: the caller's address is what tells
    return walks;
}
