// SPDX-License-Identifier: Apache-2.0
// errno as the program left it, whatever is called in between.
#pragma once

#include <errno.h>

namespace unknot {

class KeepErrno {
  public:
    KeepErrno() : saved_(errno) {}
    ~KeepErrno() { errno = saved_; }
    KeepErrno(const KeepErrno&) = delete;
    KeepErrno& operator=(const KeepErrno&) = delete;

  private:
    int saved_;
};

}  // namespace unknot
