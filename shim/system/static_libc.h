// SPDX-License-Identifier: Apache-2.0
// What a program that is linked with glibc's libc.a has of the loader: by name, because it is all one object.
#pragma once

#include <link.h>
#include <pthread.h>

#include <cstddef>

// glibc, elf/dl-support.c and elf/dl-iteratephdr.c, 2.26 and later. The lock is a struct of this mutex alone
// (__rtld_lock_recursive_t, sysdeps/nptl/libc-lockP.h), and recursive. NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" pthread_mutex_t _dl_load_write_lock;
extern "C" unsigned long long _dl_load_adds;
extern "C" int __dl_iterate_phdr(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data);
// NOLINTEND(bugprone-reserved-identifier)
