// SPDX-License-Identifier: Apache-2.0
// A library that is mapped, and then turns out to need what nobody has.
int walks_nobody_has_this(void);

int (*walks_unresolved)(void) = walks_nobody_has_this;
