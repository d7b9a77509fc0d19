// SPDX-License-Identifier: Apache-2.0
// A walk by code that the shim takes for an unwinder's: the file that it stands in is named like one.
#pragma once

#include <link.h>

#include <cstddef>

extern "C" int walk_as_an_unwinder(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data);
