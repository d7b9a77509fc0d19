// SPDX-License-Identifier: Apache-2.0
// A C program without libstdc++ that loads a C++ library: at start there is no operator new behind ours, and the
// library brings one that is never called. Ours must work, and fail, as the standard says.
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
    if (dlerror() != NULL) {
        fprintf(stderr, "does not hold: a program starts without a pending dlerror\n");
        return 1;
    }
    void* library = dlopen("libcpp_library.so", RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    const char* (*use_operators)(bool);
    *(void**)&use_operators = dlsym(library, "use_operators");
    const char* broken = use_operators(argc > 1 && strcmp(argv[1], "failing") == 0);
    if (broken != NULL) {
        fprintf(stderr, "does not hold: %s\n", broken);
        return 1;
    }
    puts("operators work");
    return 0;
}
