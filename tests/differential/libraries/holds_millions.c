// SPDX-License-Identifier: Apache-2.0
// Holds many blocks, and frees them when it is unloaded.
#include <stdlib.h>
enum { blocks = 1500000 };
static void* held[blocks];
void fill(size_t size) {
    for (int i = 0; i < blocks; ++i) held[i] = malloc(size);
}
void change_hands(void** theirs, int count) {
    for (int i = 0; i < count; ++i) held[i] = theirs[i];
}
__attribute__((destructor)) static void end(void) {
    for (int i = 0; i < blocks; ++i) free(held[i]);
}
