// SPDX-License-Identifier: Apache-2.0
// The library of constructor_walks.
#include "tests/preload/victims/scene.h"

namespace {

const bool walked = [] {
    for (int walk = 0; walk < 20; ++walk) {
        scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
    }
    return true;
}();

}  // namespace
