// SPDX-License-Identifier: Apache-2.0
// Turns mtrace on, leaks one block of three and turns it off; the trace goes to the file that MALLOC_TRACE names.
#include <mcheck.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    mtrace();
    void* volatile first = malloc(1001);
    void* volatile second = calloc(1, 1002);
    first = realloc(first, 1003);
    free(second);
    muntrace();
    puts("traced");
    return first == NULL;
}
