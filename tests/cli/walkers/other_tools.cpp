// SPDX-License-Identifier: Apache-2.0
// A library with the symbols by which the doctor knows another tool that walks: OUTER exported, INNER local.
#include <link.h>

extern "C" {
[[gnu::visibility("default")]] void OUTER() {}

#ifdef INNER
[[gnu::noinline]] static void INNER() {
    asm volatile("");
}
#endif
}

[[gnu::noinline]] static int look(dl_phdr_info*, size_t, void*) {
#ifdef INNER
    INNER();
#endif
    return 0;
}

extern "C" [[gnu::visibility("default")]] void walk() {
    dl_iterate_phdr(look, nullptr);
}
