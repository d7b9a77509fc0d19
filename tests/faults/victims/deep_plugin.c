// SPDX-License-Identifier: Apache-2.0
// A plug-in that is bound to its own libraries first (RTLD_DEEPBIND): its free and realloc are libc's own, and what it
// gives them was allocated by libc for it, in every way that libc has; in its constructor, under the load lock, and
// later.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static char* kept;

static void use_everything(void) {
    free(strdup("a copy"));
    free(strndup("a longer copy", 5));
    free(wcsdup(L"wide"));
    char* text = NULL;
    if (asprintf(&text, "%d words", 3) > 0) free(text);
    size_t room = 0;
    text = NULL;
    FILE* file = fopen("/proc/self/maps", "r");
    while (file != NULL && getline(&text, &room, file) > 0) {
    }
    if (file != NULL) fclose(file);
    free(text);
    text = NULL;
    file = open_memstream(&text, &room);
    for (int i = 0; i < 3000; ++i) fputs("some text ", file);
    fclose(file);
    free(realloc(text, 10));
    free(realpath("/proc", NULL));
}

__attribute__((constructor)) static void start(void) {
    use_everything();
    kept = strdup("kept");
}
__attribute__((destructor)) static void end(void) {
    free(kept);
    use_everything();
}

void use(void) {
    free(kept);
    use_everything();
    kept = realloc(strdup("kept again"), 200);
}
