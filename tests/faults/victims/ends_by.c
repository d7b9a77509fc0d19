// SPDX-License-Identifier: Apache-2.0
// Ends in one of the ways in which a process can end. Usage: ends_by exit|quick_exit|_exit|signal
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
    const char* way = argc > 1 ? argv[1] : "";
    if (strcmp(way, "exit") == 0) exit(0);
    if (strcmp(way, "quick_exit") == 0) quick_exit(0);
    if (strcmp(way, "_exit") == 0) _exit(0);
    if (strcmp(way, "signal") == 0) raise(SIGTERM);
    return 2;
}
