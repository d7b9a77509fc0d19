// SPDX-License-Identifier: Apache-2.0
// A sampling profiler interrupts exceptions, with libraries that come and go beside them.
#include <stdexcept>

#include "tests/walks/victims/samples.h"

namespace {

[[gnu::noinline]] void throw_from(int depth) {
    if (depth == 0) throw std::runtime_error("thrown");
    throw_from(depth - 1);
    asm volatile("");  // no tail call
}

}  // namespace

int main(int argc, char** argv) {
    samples::Sampler sampler(argc, argv);
    while (sampler.goes_on()) {
        bool caught = false;
        try {
            throw_from(5);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        scene::expect(caught, "the exception arrives");
        dlclose(stage::load("libwalks_plain_plugin.so"));
    }
}
