// SPDX-License-Identifier: Apache-2.0
// Processes as facts, to be judged.
#pragma once

#include <vector>

#include "policy/risk.h"

namespace unknot {

inline RiskFacts full_tcmalloc(StackMethod method, unsigned glibc_minor = 36) {
    RiskFacts facts;
    facts.allocator.has_tc_malloc = true;
    facts.allocator.has_growth_stacks = true;
    facts.allocator.stack_method = method;
    facts.allocator.glibc_minor = glibc_minor;
    facts.knows_generic_fp = true;
    facts.knows_libgcc = true;
    return facts;
}

inline RiskFacts jemalloc(bool profiles) {
    RiskFacts facts;
    facts.allocator.has_mallocx = true;
    facts.allocator.prof_enabled = profiles;
    facts.allocator.stack_method = StackMethod::libgcc;
    facts.allocator.glibc_minor = 36;
    return facts;
}

inline ShimFacts protecting() {
    ShimFacts shim;
    shim.present = true;
    shim.mode = Mode::protect;
    shim.probe = Probe::owner_words;
    shim.walk_mode = WalkMode::nonblocking;
    return shim;
}

inline std::vector<Advice> advice_for(const RiskFacts& facts) {
    const Judgement judgement = judge(facts);
    return {judgement.advice.begin(), judgement.advice.end()};
}

}  // namespace unknot
