// SPDX-License-Identifier: Apache-2.0
// A preload that does nothing: what a process does beside it is what it does bare.
int preloaded_for_nothing;
