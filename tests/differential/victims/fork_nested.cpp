// SPDX-License-Identifier: Apache-2.0
// Children that fork children, each beside a walk of its own parent's thread, by fork and _Fork in turn; the last
// generation starts threads that meet in the loader and in the allocator.
//   fork_nested fork|mixed
#include "tests/differential/stage.h"

namespace {

constexpr int generations = 4;

void threads_meet() {
    const scene::Growth grows;
    for (int i = 0; i < 200; ++i) stage::allocate_in_a_walk();
}

void descend(int generation, bool mixed) {
    stage::work("walk_allocating");
    ++stage::steps();
    if (generation == generations) return threads_meet();
    const stage::Bystander walks([] { stage::work("walk"); });
    const pid_t child = mixed && generation % 2 == 1 ? _Fork() : fork();
    if (child == 0) {
        descend(generation + 1, mixed);
        _exit(0);
    }
    stage::expect_to_end_well(child);
}

}  // namespace

int main(int, char** argv) {
    stage::warm_up();
    for (int i = 0; i < 5; ++i) descend(0, argv[1] == std::string_view("mixed"));
    std::puts("the last generation met");
    return 0;
}
