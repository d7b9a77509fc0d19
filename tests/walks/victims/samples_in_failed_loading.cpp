// SPDX-License-Identifier: Apache-2.0
// A sampling profiler interrupts a dlopen that fails: at once, and after everything has been mapped.
#include "tests/walks/victims/samples.h"

int main(int argc, char** argv) {
    samples::Sampler sampler(argc, argv);
    while (sampler.goes_on()) {
        scene::expect(dlopen("libwalks_not_there.so", RTLD_NOW) == nullptr, "what is not there is not loaded");
        scene::expect(dlopen("libwalks_unresolved_plugin.so", RTLD_NOW) == nullptr,
                      "what lacks a symbol is not loaded");
        dlerror();
    }
}
