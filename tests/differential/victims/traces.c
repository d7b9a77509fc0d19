// SPDX-License-Identifier: Apache-2.0
// mtrace writes every call into the file that MALLOC_TRACE names.
#include <mcheck.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    const char* path = getenv("MALLOC_TRACE");
    mtrace();
    void* volatile block = malloc(1234);
    block = realloc(block, 4321);
    free(block);
    muntrace();
    FILE* file = fopen(path, "r");
    if (file == NULL) return puts("no trace"), 1;
    int allocated = 0, resized = 0;
    char line[300];
    while (fgets(line, sizeof line, file) != NULL) {
        allocated += strstr(line, " 0x4d2") != NULL;
        resized += strstr(line, " 0x10e1") != NULL;
    }
    fclose(file);
    remove(path);
    printf("%d of 1234 bytes, %d of 4321\n", allocated, resized);
    return 0;
}
