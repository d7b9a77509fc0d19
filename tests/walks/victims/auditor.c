// SPDX-License-Identifier: Apache-2.0
// An auditor that looks on: ld.so gives it, and a libc of its own, a namespace beside the program's.
#include <link.h>

unsigned int la_version(unsigned int offered) {
    return offered;
}
