// SPDX-License-Identifier: Apache-2.0
// Loads a library, says that it is ready, and waits to be ended.
//   loads PATH stays|goes
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
    void* library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library == NULL) return 2;
    if (strcmp(argv[2], "goes") == 0 && dlclose(library) != 0) return 1;
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    for (;;) pause();
}
