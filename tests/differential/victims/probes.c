// SPDX-License-Identifier: Apache-2.0
// mcheck watches every block; mprobe says how one is.
#include <mcheck.h>
#include <stdio.h>
#include <stdlib.h>

static void say_nothing(enum mcheck_status status) {
    (void)status;
}

int main(void) {
    const int watches = mcheck(say_nothing) == 0;
    char* volatile block = malloc(40);
    const int before = mprobe(block);
    const volatile int too_far = 40;
    block[too_far] = 1;
    const int after = mprobe(block);
    printf("watches %d, before %d, after %d\n", watches, before, after);
    return 0;
}
