// SPDX-License-Identifier: Apache-2.0
// A sampling profiler interrupts forks; the children walk, load, and take stack traces of their own.
#include <sys/wait.h>

#include "tests/walks/victims/samples.h"

int main(int argc, char** argv) {
    samples::Sampler sampler(argc, argv);
    while (sampler.goes_on()) {
        const pid_t child = fork();
        scene::expect(child >= 0, "a child can be made");
        if (child == 0) {
            scene::inside_walk([] { std::free(scene::seen(std::malloc(100))); });
            dlclose(stage::load("libwalks_plain_plugin.so"));
            if (samples::backtrace_of != nullptr) samples::take(0);
            _exit(0);
        }
        int status = 1;
        while (waitpid(child, &status, 0) != child) {  // interrupted by a sample
        }
        scene::expect(status == 0, "the child ends as it should");
    }
}
