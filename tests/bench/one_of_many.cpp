// SPDX-License-Identifier: Apache-2.0
// A small library, copies of which fill a process: calls what it is given, from one place of its own or from many.
#include "tests/bench/call_sites.h"

extern "C" void pass_on(void (*function)()) {
    unknot::bench::call_at<unknot::bench::call_sites>(function);
}

extern "C" void pass_on_from_every_site(void (*function)()) {
    for (const auto call : unknot::bench::call_from) call(function);
}
