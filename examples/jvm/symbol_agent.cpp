// SPDX-License-Identifier: Apache-2.0
// A JVMTI agent that collects the symbols of every mapped library while the program runs.
#include <jvmti.h>

#include "examples/jvm/symbols.h"

// Attached to a running JVM. The option is how often to collect.
extern "C" JNIEXPORT jint JNICALL Agent_OnAttach(JavaVM*, char* options, void*) {
    const int rounds = options != nullptr && *options != '\0' ? std::atoi(options) : 10;
    for (int round = 1; round <= rounds; ++round) {
        symbols::Symbols found;
        dl_iterate_phdr(symbols::collect, &found);
        dprintf(STDOUT_FILENO, "agent: round %d of %d, %zu symbols of %zu libraries\n", round, rounds,
                found.found.all().size(), found.libraries);
    }
    return JNI_OK;
}
