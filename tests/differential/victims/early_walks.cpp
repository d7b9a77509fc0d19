// SPDX-License-Identifier: Apache-2.0
// Nothing that linked/walks_early.cpp has not done before main.
#include <cstdio>

int walks_early();

int main() {
    std::printf("%d early walks\n", walks_early());
    return 0;
}
