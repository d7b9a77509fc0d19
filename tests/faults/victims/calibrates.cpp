// SPDX-License-Identifier: Apache-2.0
// The calibration as the shim does it, against fake_loader.c. Writes why it has failed.
#include <cstdio>

#include "shim/loader/loader_lock.h"

extern "C" int walk_fake_loader(int (*)(dl_phdr_info*, std::size_t, void*), void*);

int main() {
    const char* failure = unknot::calibrate(walk_fake_loader, unknot::Wanted::both_locks);
    std::puts(failure != nullptr ? failure : "calibrated");
    return unknot::loader_locks.probe == unknot::Probe::wrapper ? 0 : 1;
}
