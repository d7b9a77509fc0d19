// SPDX-License-Identifier: Apache-2.0
// What its libraries and preloads do is all that happens.
#include <stdio.h>

int main(void) {
    puts("done");
    return 0;
}
