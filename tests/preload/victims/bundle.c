// SPDX-License-Identifier: Apache-2.0
// The one source of the 64 libraries that libbundle.so and libbroken_bundle.so need, and of these two themselves: what
// matters is how much the loader has to free, not what is in them.
int part_of_bundle(void);

int part_of_bundle(void) {
    return 64;
}
