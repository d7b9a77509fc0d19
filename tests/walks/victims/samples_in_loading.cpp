// SPDX-License-Identifier: Apache-2.0
// A sampling profiler interrupts dlopen and dlclose, also where ld.so has unmapped a library and not yet taken it from
// its list.
#include "tests/walks/victims/samples.h"

int main(int argc, char** argv) {
    samples::Sampler sampler(argc, argv);
    while (sampler.goes_on()) dlclose(stage::load("libwalks_plain_plugin.so"));
}
