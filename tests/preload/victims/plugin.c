// SPDX-License-Identifier: Apache-2.0
// The plug-in of runpath_plugin; RUNPATH is $ORIGIN.
#include <dlfcn.h>
#include <stddef.h>

int answer_of_neighbour(void);

int answer_of_neighbour(void) {
    void* neighbour = dlopen("libneighbour.so", RTLD_NOW);
    if (neighbour == NULL) return 0;
    int (*answer)(void);
    *(void**)&answer = dlsym(neighbour, "answer");
    return answer == NULL ? 0 : answer();
}
