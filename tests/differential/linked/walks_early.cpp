// SPDX-License-Identifier: Apache-2.0
// A library of the program whose constructor, before any preload's, starts a thread that grows the heap, and walks.
#include "tests/differential/stage.h"

int walks_early();

static int walks = 0;

[[gnu::constructor]] static void start() {
    stage::steps() = 0;
    const scene::Growth grows;
    for (; walks < 3000; ++walks) stage::inside_walk([] { stage::allocate_and_free(scene::large); });
}

int walks_early() {
    return walks;
}
