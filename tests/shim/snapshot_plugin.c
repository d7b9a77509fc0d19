// SPDX-License-Identifier: Apache-2.0
// Comes and goes.
int snapshot_plugin(void);
int snapshot_plugin(void) {
    return 1;
}
