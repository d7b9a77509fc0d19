// SPDX-License-Identifier: Apache-2.0
// A plug-in that brings libunwind with it.
#define UNW_LOCAL_ONLY
#include <libunwind.h>

extern "C" int frames() {
    void* addresses[64];
    return unw_backtrace(addresses, 64);
}
