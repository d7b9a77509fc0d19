// SPDX-License-Identifier: Apache-2.0
// Found by the plug-in beside it, and by nobody else.
int answer(void);

int answer(void) {
    return 42;
}
