// SPDX-License-Identifier: Apache-2.0
// One thread alone, which walks and is sampled. The loader lock is recursive, but a signal may come between the moment
// when it is taken and the moment when its owner is written down (or, at the end, the other way round): then the
// handler's own walk waits for the thread that it has interrupted.
#include "tests/incidents/victims/sampling.h"

namespace {

constexpr int enough_samples = 1500;
volatile int samples = 0;

void take_sample(int) {
    const int saved = errno;
    scene::expect(sampling::count_own_frames() > 2, "the stack is seen");
    samples = samples + 1;
    sampling::Timer::again();
    errno = saved;
}

}  // namespace

int main() {
    sampling::ask_loader_at_every_step();
    sampling::count_own_frames();  // what is set up at first use is set up
    const sampling::Timer timer(take_sample);
    for (int said = 0; samples < enough_samples;) {
        scene::inside_walk([] {});
        if (samples < said + 250) continue;
        said = samples;
        scene::progress("samples", said);
    }
}
