// SPDX-License-Identifier: Apache-2.0
// Its constructor calls back into the program: the program's code then runs inside dlopen.
extern void doors_constructor_runs(void);

__attribute__((constructor)) static void run(void) {
    doors_constructor_runs();
}
