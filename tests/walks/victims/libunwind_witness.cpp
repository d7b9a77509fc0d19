// SPDX-License-Identifier: Apache-2.0
// Walks on behalf of a test, from a library whose name begins as an unwinder's: the shim serves it as it serves one.
#include <link.h>

#include <cstddef>

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

extern "C" int walk_as_unwinder(Callback callback, void* data) {
    const int result = dl_iterate_phdr(callback, data);
    asm volatile("");  // no tail call: the caller must be this library
    return result;
}
