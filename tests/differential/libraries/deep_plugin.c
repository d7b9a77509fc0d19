// SPDX-License-Identifier: Apache-2.0
// A plug-in without an allocator: loaded with RTLD_DEEPBIND its own calls are libc's, and so are its blocks, some of
// which libc makes for it through the program's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char* kept;
static char* line;
static size_t room;

static void use_libc(void) {
    free(strdup("a copy"));
    char* text = NULL;
    if (asprintf(&text, "%s %d", "printed", 7) > 0) free(text);
    FILE* file = fopen("/proc/self/stat", "r");
    if (file != NULL) {
        if (getline(&line, &room, file) > 0) line = realloc(line, 2 * room);
        fclose(file);
    }
    free(realloc(strdup("x"), 5000));
    free(kept);
    kept = strdup("kept");
}

__attribute__((constructor)) static void start(void) {
    use_libc();
}
__attribute__((destructor)) static void end(void) {
    use_libc();
    free(kept);
    free(line);
}

void use_plugin(void) {
    use_libc();
}
char* make_for_program(size_t size) {
    return malloc(size);
}
char* copy_for_program(const char* text) {
    return strdup(text);
}
void take_from_program(char* block) {
    free(block);
}
