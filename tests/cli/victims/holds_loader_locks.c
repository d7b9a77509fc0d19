// SPDX-License-Identifier: Apache-2.0
// A library whose constructor holds the loader's locks until the program lets it go on.
void hold_loader_locks(void);

__attribute__((constructor)) static void start(void) {
    hold_loader_locks();
}
