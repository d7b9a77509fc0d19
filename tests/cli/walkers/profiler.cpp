// SPDX-License-Identifier: Apache-2.0
// A library with the texts, imports and symbols that builds of async-profiler have, by which the doctor knows them. The
// macros say which build: VERSION its version, NAMED whether that stands behind its name, COLOURED that control
// characters follow, WALKS that it walks, PARSES that it parses symbols meanwhile.
#include <link.h>
#include <stdlib.h>

#define EXPORTED extern "C" [[gnu::visibility("default")]]

// Part of every build from 2.10 on, and no version.
EXPORTED const char server_thread[] = "Async-profiler Server";

EXPORTED const char* asprof_version() {
#ifdef COLOURED
    return "async-profiler " VERSION "\033[31m";
#elif defined(NAMED)
    return "async-profiler " VERSION;
#elif defined(VERSION)
    return VERSION;
#else
    return "";
#endif
}

EXPORTED void asprof_init() {}

#ifdef PARSES
[[gnu::noinline]] static int parseLibrariesCallback(dl_phdr_info* info, size_t, void* data) {
    *static_cast<void**>(data) = malloc(info->dlpi_phnum);
    return 1;
}
#define CALLBACK parseLibrariesCallback
#else
[[gnu::noinline]] static int remember_first(dl_phdr_info* info, size_t, void* data) {
    *static_cast<const void**>(data) = info->dlpi_phdr;
    return 1;
}
#define CALLBACK remember_first
#endif

#ifdef WALKS
EXPORTED void asprof_execute() {
    void* seen = nullptr;
    dl_iterate_phdr(CALLBACK, &seen);
}
#else
EXPORTED void* asprof_execute() {
    void* seen = nullptr;
    CALLBACK(nullptr, 0, &seen);
    return seen;
}
#endif
