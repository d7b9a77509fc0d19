// SPDX-License-Identifier: Apache-2.0
// Its constructor and destructor are the program's.
extern void when_loaded(void);
extern void when_unloaded(void);
__attribute__((constructor)) static void start(void) {
    when_loaded();
}
__attribute__((destructor)) static void end(void) {
    when_unloaded();
}
