// SPDX-License-Identifier: Apache-2.0
// What immunise and rescue did, would do, or refuse, in sentences.
#pragma once

#include <string>

#include "cli/mend/rescue.h"

namespace unknot::cli {

std::string sentence(Refusal refusal, const MendingFacts& facts);
std::string describe(const Cure& cure);  // the word, what it holds, what it would hold
// All that `unknot rescue` prints.
std::string account_of(const Rescue& rescue, bool dry);

}  // namespace unknot::cli
