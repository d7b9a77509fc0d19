// SPDX-License-Identifier: Apache-2.0
// A loader without its struct of globals, as far as a look-up of it can tell. Preloaded behind the shim; under a
// version of its own, so that libc goes on with the true one.
#if defined(FAKE_null)
__asm__(".globl _rtld_global\n.set _rtld_global, 0");
#elif defined(FAKE_nowhere)
__asm__(".globl _rtld_global\n.set _rtld_global, 16");
#else
long _rtld_global = 1;
#endif
